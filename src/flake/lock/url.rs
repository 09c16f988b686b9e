//! How Nix spells a reference to an input: `FlakeRef::to_string`, that is `toURL` of each input scheme.

use std::collections::BTreeMap;

use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, percent_encode,
    utf8_percent_encode,
};

use super::input::{Attr, Attrs};

/// Unreserved characters (RFC 3986, 2.3): Nix escapes every other one, where it makes no exception.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What is escaped in a segment of a path.
const SEGMENT: &AsciiSet = &RESERVED.remove(b':').remove(b'@');

/// What is escaped in a whole path.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// What is escaped in names and values of a query.
const QUERY: &AsciiSet = &PATH.remove(b'?');

/// How a version of Nix spells locked references in its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// No `narHash` for archives from forges: Nix up to 2.20, and Lix.
    Plain,
    /// With `narHash`: Nix from 2.21 (2024-03), seen up to 2.26.
    NarHash,
    /// As `NarHash`, but a forge's `host` is named too, and `/` inside of an owner or a branch escaped: seen in 2.34.
    NarHashHost,
    /// No `narHash`, and revisions of seven digits: Determinate Nix from 2025-11
    /// (<https://github.com/DeterminateSystems/nix-src/pull/264>).
    Short,
}

impl Dialect {
    pub(super) fn spelling(self) -> Spelling {
        let modern = matches!(self, Self::NarHashHost | Self::Short);
        Spelling {
            archive_nar_hash: matches!(self, Self::NarHash | Self::NarHashHost),
            file_nar_hash: self != Self::Short,
            short_rev: self == Self::Short,
            host: modern,
            owner: if modern { SEGMENT } else { PATH },
            branch: if modern { SEGMENT } else { PATH },
        }
    }
}

/// What makes up a dialect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spelling {
    /// `narHash` of `github`, `gitlab` and `sourcehut` inputs.
    archive_nar_hash: bool,
    /// `narHash` of `tarball` and `file` inputs.
    file_nar_hash: bool,
    short_rev: bool,
    host: bool,
    /// What is escaped in an owner and a repository.
    owner: &'static AsciiSet,
    /// What is escaped in a branch or tag.
    branch: &'static AsciiSet,
}

/// The query of a URL: Nix sorts it by name.
type Query = BTreeMap<String, String>;

impl Spelling {
    pub(super) const ORIGINAL: Self = Self {
        archive_nar_hash: true,
        file_nar_hash: true,
        short_rev: false,
        host: true,
        owner: SEGMENT,
        branch: PATH,
    };

    /// Returns the reference to the input with these attributes.
    pub(super) fn url(self, attrs: &Attrs) -> String {
        let mut url = match attrs.kind() {
            kind @ ("github" | "gitlab" | "sourcehut") => self.archive(kind, attrs),
            "git" => git(attrs),
            "hg" => mercurial(attrs),
            "tarball" | "file" => self.file(attrs),
            "indirect" => self.indirect(attrs),
            "path" => generic("path", attrs.str("path").unwrap_or_default(), attrs),
            // Nix does not print what it does not know; a reader is better served by what there is.
            kind => generic(kind, "", attrs),
        };
        if let Some(dir) = attrs.str("dir")
            && !dir.is_empty()
        {
            url.query
                .entry("dir".to_owned())
                .or_insert_with(|| dir.to_owned());
        }
        url.to_string()
    }

    fn archive(self, kind: &str, attrs: &Attrs) -> Url {
        let mut url = Url::new(kind);
        for name in ["owner", "repo"] {
            let text = attrs.str(name).unwrap_or_default();
            url.push(utf8_percent_encode(text, self.owner));
        }
        self.push_branch_and_rev(&mut url, attrs);
        if self.archive_nar_hash {
            url.copy(attrs, "narHash");
        }
        if self.host {
            url.copy(attrs, "host");
        }
        url
    }

    fn indirect(self, attrs: &Attrs) -> Url {
        let mut url = Url::new("flake");
        url.push(utf8_percent_encode(
            attrs.str("id").unwrap_or_default(),
            PATH,
        ));
        self.push_branch_and_rev(&mut url, attrs);
        url
    }

    fn push_branch_and_rev(self, url: &mut Url, attrs: &Attrs) {
        if let Some(branch) = attrs.str("ref") {
            url.push(utf8_percent_encode(branch, self.branch));
        }
        if let Some(rev) = hex_rev(attrs) {
            let short = rev.get(..7).filter(|_| self.short_rev);
            url.push(utf8_percent_encode(short.unwrap_or(&rev), SEGMENT));
        }
    }

    fn file(self, attrs: &Attrs) -> Url {
        let mut url = Url::parse(attrs.str("url").unwrap_or_default());
        if self.file_nar_hash {
            url.copy(attrs, "narHash");
        }
        url
    }
}

fn git(attrs: &Attrs) -> Url {
    let mut url = Url::parse(attrs.str("url").unwrap_or_default());
    if url.scheme != "git" && !url.scheme.is_empty() {
        url.scheme.insert_str(0, "git+");
    }
    url.set_rev(attrs);
    url.copy(attrs, "ref");
    for flag in [
        "shallow",
        "lfs",
        "submodules",
        "exportIgnore",
        "verifyCommit",
    ] {
        if attrs.is_true(flag) {
            url.query.insert(flag.to_owned(), "1".to_owned());
        }
    }
    if let Some(key) = attrs.str("publicKey") {
        // The default of `keytype`, as Nix's documentation of `fetchGit` gives it.
        let keytype = attrs.str("keytype").unwrap_or("ssh-ed25519");
        url.query.insert("keytype".to_owned(), keytype.to_owned());
        url.query.insert("publicKey".to_owned(), key.to_owned());
    }
    url.copy(attrs, "publicKeys");
    url
}

fn mercurial(attrs: &Attrs) -> Url {
    let mut url = Url::parse(attrs.str("url").unwrap_or_default());
    url.scheme.insert_str(0, "hg+");
    url.set_rev(attrs);
    url.copy(attrs, "ref");
    url
}

/// Returns a URL whose query is all the attributes that its path does not say.
fn generic(scheme: &str, path: &str, attrs: &Attrs) -> Url {
    let mut url = Url::new(scheme);
    url.push(utf8_percent_encode(path, PATH));
    for (name, attr) in attrs.iter() {
        let value = match attr {
            _ if matches!(name, "type" | "path" | "dir") => continue,
            Attr::Str(value) => value.clone(),
            Attr::Int(value) => value.to_string(),
            Attr::Bool(value) => u8::from(*value).to_string(),
        };
        url.query.insert(name.to_owned(), value);
    }
    url
}

/// Returns the revision in the lower case that Nix prints.
fn hex_rev(attrs: &Attrs) -> Option<String> {
    attrs.str("rev").map(str::to_ascii_lowercase)
}

/// Returns the URL that Nix makes of the `url` of a `git` input (`fixGitURL`): scp's notation and plain paths
/// become URLs, a superfluous `git+` goes, and the rest is spelled the one way Nix spells it.
pub(super) fn fix_git_url(url: &str) -> String {
    let url = scp_to_ssh(url).unwrap_or_else(|| url.to_owned());
    if !url.starts_with("file:") && !url.starts_with("git+file:") && !url.contains("://") {
        let authority = if url.starts_with('/') { "//" } else { "" };
        return format!("file:{authority}{}", utf8_percent_encode(&url, PATH));
    }
    let mut url = Url::parse(&url);
    if let Some(transport) = url.scheme.strip_prefix("git+") {
        url.scheme = transport.to_owned();
    }
    url.to_string()
}

/// Returns `ssh://USER@HOST/PATH` for scp's `USER@HOST:PATH`.
fn scp_to_ssh(url: &str) -> Option<String> {
    // Nix's own expression is `([^/]*)@(.*):(.*)`, and it is greedy.
    let first_segment = url.split('/').next().unwrap_or_default();
    if url.starts_with('/') {
        return None;
    }
    let (host_and_path, user) = first_segment.match_indices('@').rev().find_map(|(at, _)| {
        Some((url.get(at + 1..)?, url.get(..at)?)).filter(|(rest, _)| rest.contains(':'))
    })?;
    let (host, path) = host_and_path.rsplit_once(':')?;
    Some(format!("ssh://{user}@{host}/{path}"))
}

/// A URL in parts, as much as printing it the way Nix does takes.
#[derive(Debug)]
struct Url {
    /// Empty if the text was no URL; it is then all in `path`.
    scheme: String,
    /// With its `//`, as it was written; empty if there is none.
    authority: String,
    /// As it is printed, that is escaped.
    path: String,
    segments: usize,
    query: Query,
    /// As it is printed, with its `#`.
    fragment: String,
}

impl Url {
    fn new(scheme: &str) -> Self {
        Self {
            scheme: scheme.to_owned(),
            authority: String::new(),
            path: String::new(),
            segments: 0,
            query: Query::new(),
            fragment: String::new(),
        }
    }

    /// Takes a URL apart. What is none becomes a path that is printed as it stands.
    fn parse(text: &str) -> Self {
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
        else {
            return Self {
                path: text.to_owned(),
                ..Self::new("")
            };
        };
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(after) => rest.split_at(2 + after.find('/').unwrap_or(after.len())),
            None => ("", rest),
        };
        let path: Vec<String> = path
            .split('/')
            .map(|segment| recode(segment, SEGMENT))
            .collect();
        Self {
            authority: authority.to_owned(),
            path: path.join("/"),
            query: parse_query(query),
            fragment: if fragment.is_empty() {
                String::new()
            } else {
                format!("#{}", recode(fragment, RESERVED))
            },
            ..Self::new(scheme)
        }
    }

    /// Appends a segment that is escaped already.
    fn push(&mut self, segment: PercentEncode<'_>) {
        if self.segments > 0 {
            self.path.push('/');
        }
        self.path.extend(segment);
        self.segments += 1;
    }

    /// Sets the query's `name` to the attribute of that name, if there is one.
    fn copy(&mut self, attrs: &Attrs, name: &str) {
        if let Some(value) = attrs.str(name) {
            self.query.insert(name.to_owned(), value.to_owned());
        }
    }

    fn set_rev(&mut self, attrs: &Attrs) {
        if let Some(rev) = hex_rev(attrs) {
            self.query.insert("rev".to_owned(), rev);
        }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.scheme)?;
        if !self.scheme.is_empty() {
            f.write_str(":")?;
        }
        write!(f, "{}{}", self.authority, self.path)?;
        for (index, (name, value)) in self.query.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            let (name, value) = (
                utf8_percent_encode(name, QUERY),
                utf8_percent_encode(value, QUERY),
            );
            write!(f, "{separator}{name}={value}")?;
        }
        f.write_str(&self.fragment)
    }
}

/// Tells whether the text is a scheme (RFC 3986, 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Returns the names and values of a query. Nix ignores names without a value, and takes the first of several.
fn parse_query(query: &str) -> Query {
    let mut parsed = Query::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        parsed.entry(decode(name)).or_insert_with(|| decode(value));
    }
    parsed
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Unescapes and escapes again, so that the same text is always spelled the same way.
fn recode(text: &str, set: &'static AsciiSet) -> String {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    percent_encode(&bytes, set).to_string()
}
