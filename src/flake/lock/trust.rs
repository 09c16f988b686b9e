//! Whether an update that somebody else made can be believed: it may move what inputs are locked to, and nothing else.
//!
//! A lock decides what hosts are built from, and Nix believes it: where `original` is what a flake asks for, `locked` is
//! taken as it stands. So a lock from elsewhere is held against the base's, and each `locked` against its `original`.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode_str;

use super::input::Attrs;
use super::{Dialect, Edge, InputPath, LockFile, LockedInput};

/// Something in a new lock that its base does not account for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    input: InputPath,
    what: What,
    /// What was expected, and what there is, fit to print; empty where there is none.
    texts: (String, String),
}

/// What is not accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The flake itself asks for something else than its base.
    Asked,
    /// The flake itself asks for something new.
    New,
    /// It is locked to something else than what was asked for.
    Locked(&'static str),
    /// Its path starts at another input than one that may declare it.
    Parent,
    /// An input of an input asks for something else.
    Transitive,
}

impl Distrust {
    /// Returns the input that is meant.
    pub fn input(&self) -> &InputPath {
        &self.input
    }

    /// Whether the lock must not be used. What does not refuse it is worth a notice.
    pub fn refuses(&self) -> bool {
        self.what != What::Transitive
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = safe(&self.input.to_string());
        let (expected, found) = &self.texts;
        match self.what {
            What::Asked => write!(
                f,
                "the flake asked for `{expected}` as input `{input}`, and the new lock says `{found}`"
            ),
            What::New => write!(
                f,
                "the new lock has an input `{input}` that the flake's lock does not have: `{found}`"
            ),
            What::Locked(why) => write!(
                f,
                "input `{input}` asks for `{expected}`, and is locked to `{found}`: {why}"
            ),
            What::Parent => write!(
                f,
                "input `{input}` is a path in `{found}`, which is no flake on the way to it"
            ),
            What::Transitive => write!(
                f,
                "input `{input}` was `{expected}`, and its flake now asks for `{found}`"
            ),
        }
    }
}

/// Returns what in the lock `new` the lock `base` does not account for, in the order of the inputs.
///
/// An update of `base` moves what inputs are locked to. It changes nothing that the flake itself asks for, and adds
/// nothing, unless `completed` says that the base's lock lagged behind its `flake.nix`. Inputs of inputs may ask for
/// anything, since their flakes change too; that is told, and does not refuse the lock. An input that is as it was is not
/// looked at, and without a base every `locked` is held against its `original` only.
pub fn suspicious(base: Option<&LockFile>, new: &LockFile, completed: bool) -> Vec<Distrust> {
    let known = base.map(LockFile::inputs).unwrap_or_default();
    let mut found = Vec::new();
    let parents = base.map(LockFile::parents).unwrap_or_default();
    for (input, parent) in new.parents() {
        // The flake that declares an input, or one above it that overrules it, is on the way to the input.
        let names: Vec<&str> = parent.names().collect();
        let on_the_way = names.len() < input.names().len()
            && names
                .iter()
                .zip(input.names())
                .all(|(one, two)| *one == two);
        if !on_the_way && parents.get(&input) != Some(&parent) {
            found.push(Distrust {
                texts: (safe(&input.to_string()), safe(&parent.to_string())),
                input,
                what: What::Parent,
            });
        }
    }
    for (input, edge) in new.inputs() {
        let before = known.get(&input);
        if before == Some(&edge) {
            continue;
        }
        let what = match (before, &edge) {
            (Some(before), edge) if same_question(before, edge) => None,
            (Some(_), _) if input.is_transitive() => Some(What::Transitive),
            (Some(_), _) => Some(What::Asked),
            (None, _) if base.is_some() && !completed && !input.is_transitive() => Some(What::New),
            (None, _) => None,
        };
        if let Some(what) = what {
            found.push(Distrust {
                input: input.clone(),
                what,
                texts: (before.map(question).unwrap_or_default(), question(&edge)),
            });
        }
        if let Edge::Locked(locked) = &edge {
            let before = match before {
                Some(Edge::Locked(before)) => Some(before),
                _ => None,
            };
            if let Err(why) = belongs(locked, before, &known) {
                found.push(Distrust {
                    input,
                    what: What::Locked(why),
                    texts: (
                        safe(&locked.original_url()),
                        safe(&locked.url(Dialect::Plain)),
                    ),
                });
            }
        }
    }
    found
}

/// The inputs of the base.
type Known = BTreeMap<InputPath, Edge>;

/// Whether two edges ask for the same thing, whatever it is locked to.
fn same_question(one: &Edge, two: &Edge) -> bool {
    match (one, two) {
        (Edge::Follows(one), Edge::Follows(two)) => one == two,
        (Edge::Locked(one), Edge::Locked(two)) => {
            one.original == two.original && one.flake == two.flake
        }
        _ => false,
    }
}

fn question(edge: &Edge) -> String {
    match edge {
        Edge::Follows(path) => safe(&format!("follows {path}")),
        Edge::Locked(locked) if locked.flake => safe(&locked.original_url()),
        Edge::Locked(locked) => format!("{} (no flake)", safe(&locked.original_url())),
    }
}

/// Checks that what an input is locked to is what was asked for. The reason where it is not.
///
/// `before` is what the base has in its place.
fn belongs(
    input: &LockedInput,
    before: Option<&LockedInput>,
    known: &Known,
) -> Result<(), &'static str> {
    let (original, locked) = (&input.original, &input.locked);
    pinned(locked)?;
    if original.kind() == "indirect" {
        // The registry decides, and it is not here: what the base made of the name counts.
        return if registry(original, locked, before, known) {
            same_pins(original, locked)
        } else {
            Err("the base does not say that the name stands for it")
        };
    }
    if original.kind() != locked.kind() {
        return Err("it is of another type");
    }
    match original.kind() {
        "github" | "gitlab" | "sourcehut" => {
            let default = default_host(original.kind());
            same_text(original, locked, "owner")?;
            same_text(original, locked, "repo")?;
            let host = |attrs: &Attrs| attrs.str("host").unwrap_or(default).to_ascii_lowercase();
            if host(original) != host(locked) {
                return Err("it is on another host");
            }
        }
        "git" | "hg" => {
            let url = |attrs: &Attrs| repository(attrs.str("url").unwrap_or_default());
            if url(original) != url(locked) {
                return Err("it is another repository");
            }
            for flag in ["submodules", "lfs", "exportIgnore", "verifyCommit"] {
                if original.is_true(flag) != locked.is_true(flag) {
                    return Err("it is fetched in another way");
                }
            }
            for name in ["publicKey", "publicKeys", "keytype"] {
                if original.str(name) != locked.str(name) {
                    return Err("its commits are verified by other keys");
                }
            }
        }
        "tarball" | "file" => same_place(original, locked, before)?,
        "path" => {
            if original.str("path") != locked.str("path") {
                return Err("it is another path");
            }
        }
        // Brought by a Nix that is newer than this program: all that was asked for must be there.
        _ => {
            let all = original
                .iter()
                .all(|(name, attr)| locked.iter().any(|(n, a)| n == name && a == attr));
            if !all {
                return Err("it lacks some of what was asked for");
            }
        }
    }
    same_pins(original, locked)
}

/// Checks that the contents are fixed by hash, and where there are revisions by one.
fn pinned(locked: &Attrs) -> Result<(), &'static str> {
    let relative = locked.kind() == "path"
        && locked
            .str("path")
            .is_some_and(|path| !path.starts_with('/'));
    if locked.kind() == "indirect" {
        return Err("that is no place to fetch from");
    }
    match locked.str("narHash") {
        // Nix reads other hashes than SHA-256 too, and some of them can be forged.
        Some(hash) if hash.starts_with("sha256-") => {}
        Some(_) => return Err("its hash is not of SHA-256"),
        None if relative => {}
        None => return Err("it has no hash of its contents"),
    }
    let has_revisions = matches!(
        locked.kind(),
        "github" | "gitlab" | "sourcehut" | "git" | "hg"
    );
    match locked.str("rev") {
        Some(rev) if is_rev(rev) => Ok(()),
        Some(_) => Err("its revision is none"),
        None if has_revisions => Err("it has no revision"),
        None => Ok(()),
    }
}

/// Checks what an `original` may fix: the branch or tag, the revision, the directory.
fn same_pins(original: &Attrs, locked: &Attrs) -> Result<(), &'static str> {
    let branch = |attrs: &Attrs| {
        attrs
            .str("ref")
            .map(|name| name.strip_prefix("refs/heads/").unwrap_or(name).to_owned())
    };
    match (branch(original), branch(locked)) {
        (Some(asked), Some(locked)) if asked != locked => {
            return Err("it is another branch or tag");
        }
        // Of a forge's archive Nix forgets the branch; of a repository it keeps it.
        (Some(_), None) if original.kind() == "git" => {
            return Err("it is not said to be of that branch or tag");
        }
        // A pull request is a branch of a stranger's.
        (None, Some(locked)) if locked.starts_with("refs/") => {
            return Err("it is not of the default branch");
        }
        _ => {}
    }
    if let Some(rev) = original.str("rev")
        && !locked
            .str("rev")
            .is_some_and(|locked| locked.eq_ignore_ascii_case(rev))
    {
        return Err("it is another revision");
    }
    if let Some(hash) = original.str("narHash")
        && locked.str("narHash") != Some(hash)
    {
        return Err("it has other contents");
    }
    let dir = |attrs: &Attrs| attrs.str("dir").unwrap_or_default().to_owned();
    if dir(original) != dir(locked) {
        return Err("it is another directory");
    }
    Ok(())
}

/// Whether the name of a registry stands for what it is locked to, as far as the base tells.
fn registry(original: &Attrs, locked: &Attrs, before: Option<&LockedInput>, known: &Known) -> bool {
    match before {
        Some(before) if before.original.str("id") == original.str("id") => {
            same_source(&before.locked, locked)
        }
        _ => in_global_registry(original, locked) || in_base(original, locked, known),
    }
}

/// What the registry that Nix comes with says of names that flakes use: the name, the owner, the repository. All are
/// on GitHub.
const REGISTRY: [(&str, &str, &str); 20] = [
    ("disko", "nix-community", "disko"),
    ("emacs-overlay", "nix-community", "emacs-overlay"),
    ("fenix", "nix-community", "fenix"),
    ("flake-parts", "hercules-ci", "flake-parts"),
    ("flake-utils", "numtide", "flake-utils"),
    ("hercules-ci-agent", "hercules-ci", "hercules-ci-agent"),
    ("hercules-ci-effects", "hercules-ci", "hercules-ci-effects"),
    ("home-manager", "nix-community", "home-manager"),
    ("hydra", "NixOS", "hydra"),
    ("nix", "NixOS", "nix"),
    ("nix-darwin", "LnL7", "nix-darwin"),
    ("nix-darwin", "nix-darwin", "nix-darwin"),
    ("nixops", "NixOS", "nixops"),
    ("nixos-hardware", "NixOS", "nixos-hardware"),
    ("nixpkgs", "NixOS", "nixpkgs"),
    ("nur", "nix-community", "NUR"),
    ("patchelf", "NixOS", "patchelf"),
    ("poetry2nix", "nix-community", "poetry2nix"),
    ("sops-nix", "Mic92", "sops-nix"),
    ("systems", "nix-systems", "default"),
];

/// Whether Nix's own registry has the name, for what it is locked to.
fn in_global_registry(original: &Attrs, locked: &Attrs) -> bool {
    let is = |name: &str, expected: &str| {
        locked
            .str(name)
            .is_some_and(|text| text.eq_ignore_ascii_case(expected))
    };
    locked.kind() == "github"
        && locked.str("host").is_none_or(|host| host == "github.com")
        && REGISTRY.iter().any(|(id, owner, repo)| {
            original.str("id") == Some(id) && is("owner", owner) && is("repo", repo)
        })
}

/// Whether another input of the base has the name, for what it is locked to.
fn in_base(original: &Attrs, locked: &Attrs, known: &Known) -> bool {
    known.values().any(|edge| match edge {
        Edge::Locked(other) => {
            other.original.kind() == "indirect"
                && other.original.str("id") == original.str("id")
                && same_source(&other.locked, locked)
        }
        Edge::Follows(_) => false,
    })
}

/// Whether two locked references lead to the same place, at whatever revision.
fn same_source(one: &Attrs, two: &Attrs) -> bool {
    let lower = |attrs: &Attrs, name: &str| attrs.str(name).map(str::to_ascii_lowercase);
    let url = |attrs: &Attrs| attrs.str("url").map(repository);
    one.kind() == two.kind()
        && ["owner", "repo", "host"]
            .iter()
            .all(|name| lower(one, name) == lower(two, name))
        && (url(one) == url(two) || same_place(one, two, None).is_ok())
        && one.str("path") == two.str("path")
        && one.str("dir") == two.str("dir")
}

fn same_text(original: &Attrs, locked: &Attrs, name: &str) -> Result<(), &'static str> {
    let text = |attrs: &Attrs| {
        percent_decode_str(attrs.str(name).unwrap_or_default())
            .decode_utf8_lossy()
            .to_lowercase()
    };
    if text(original) == text(locked) {
        Ok(())
    } else {
        Err("it is another repository")
    }
}

fn default_host(kind: &str) -> &'static str {
    match kind {
        "github" => "github.com",
        "gitlab" => "gitlab.com",
        _ => "git.sr.ht",
    }
}

/// Checks that a tarball is from where it was asked for: servers name the place that will not change, which is another.
///
/// It may be on a host below the one asked for (`flakehub.com`, `api.flakehub.com`), on the one where the base has it, and
/// for `nixos.org` on any of its. On one host the first two names of the path, which are a repository's where many share
/// the host, stay.
fn same_place(
    original: &Attrs,
    locked: &Attrs,
    before: Option<&LockedInput>,
) -> Result<(), &'static str> {
    let url = |attrs: &Attrs| Place::of(attrs.str("url").unwrap_or_default());
    let (asked, found) = (url(original), url(locked));
    if asked == found {
        return Ok(());
    }
    if found.scheme != asked.scheme && found.scheme != "https" {
        return Err("it is fetched in another way");
    }
    if !matches!(found.scheme.as_str(), "http" | "https") {
        return Err("it is another file");
    }
    let known = before
        .filter(|before| before.original == *original && before.kind() == locked.kind())
        .map(|before| url(&before.locked));
    if known
        .as_ref()
        .is_some_and(|known| known.host == found.host && same_owner(known, &found))
    {
        return Ok(());
    }
    if found.host == asked.host {
        return if same_owner(&asked, &found) {
            Ok(())
        } else {
            Err("it is another place on the host")
        };
    }
    if found.host == "api.flakehub.com" && asked.host == "flakehub.com" {
        // `/f/OWNER/NAME/…` becomes `/f/pinned/OWNER/NAME/…`.
        return if same_owner(&asked, &found) {
            Ok(())
        } else {
            Err("it is another place on the host")
        };
    }
    let below = |host: &str| {
        found
            .host
            .strip_suffix(host)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    // What is below a host that many share (`codeload.github.com`) is shared by them too.
    const SHARED: [&str; 4] = ["github.com", "gitlab.com", "codeberg.org", "git.sr.ht"];
    if below(&asked.host) && (same_owner(&asked, &found) || !SHARED.contains(&asked.host.as_str()))
    {
        return Ok(());
    }
    let of_nixos = asked.host == "nixos.org" || asked.host.ends_with(".nixos.org");
    if of_nixos && below("nixos.org") {
        return Ok(());
    }
    Err("it is on another host")
}

/// Whether two places of one host are of one owner and repository.
fn same_owner(one: &Place, two: &Place) -> bool {
    one.owner().is_some() && one.owner() == two.owner()
}

/// Where a URL leads, in the one spelling in which it is compared.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    scheme: String,
    /// With the port; without a user's name, which names no place.
    host: String,
    path: Vec<String>,
    query: String,
}

impl Place {
    fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let scheme = scheme.to_ascii_lowercase();
        let scheme = scheme
            .strip_prefix("tarball+")
            .or_else(|| scheme.strip_prefix("file+"))
            .unwrap_or(&scheme)
            .to_owned();
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A backslash ends a host for some readers of URLs and not for others.
        let (authority, path) = rest
            .find(['/', '\\'])
            .map_or((rest, ""), |at| rest.split_at(at));
        let host = authority.rsplit('@').next().unwrap_or_default();
        Self {
            scheme,
            host: host.to_ascii_lowercase(),
            path: path
                .trim_start_matches('/')
                .split('/')
                .map(|name| {
                    percent_decode_str(name)
                        .decode_utf8_lossy()
                        .to_ascii_lowercase()
                })
                .collect(),
            query: query.to_owned(),
        }
    }

    /// Returns the first two names of the path, which on a forge are owner and repository; none where a name in it
    /// leads elsewhere.
    fn owner(&self) -> Option<&[String]> {
        let clean = !self
            .path
            .iter()
            .any(|name| name == ".." || name == "." || name.contains(['/', '\\']));
        let starts = |path: &[String], names: &[&str]| {
            path.iter()
                .map(String::as_str)
                .take(names.len())
                .eq(names.iter().copied())
        };
        let flakehub = matches!(self.host.as_str(), "flakehub.com" | "api.flakehub.com");
        // So Forgejo and Gitea name an archive that will not change, GitLab any, and FlakeHub a release.
        let skip = match self.path.as_slice() {
            path if starts(path, &["api", "v1", "repos"]) => 3,
            path if starts(path, &["api", "v4"]) => 2,
            path if flakehub && starts(path, &["f", "pinned"]) => 2,
            path if flakehub && starts(path, &["f"]) => 1,
            _ => 0,
        };
        let path = self.path.get(skip..)?;
        path.get(..2).filter(|_| clean)
    }
}

/// Returns a repository's URL in the one spelling in which it is compared.
pub(super) fn repository(url: &str) -> String {
    let url = url.strip_prefix("git+").unwrap_or(url);
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix(".git").unwrap_or(url);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    format!(
        "{}://{}{path}",
        scheme.to_ascii_lowercase(),
        authority.to_ascii_lowercase()
    )
}

pub(super) fn is_rev(rev: &str) -> bool {
    matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns foreign text as it may stand in a message: one line, not too long, without a user's name and password.
fn safe(text: &str) -> String {
    const MOST: usize = 200;
    let text = match text.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = match authority.rsplit_once('@') {
                // It names nobody, and is part of what the flake says.
                Some(("git", _)) | None => authority,
                Some((_, host)) => host,
            };
            format!("{scheme}://{host}{path}")
        }
        None => text.to_owned(),
    };
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| match c {
            // It ends the code span that the text stands in.
            '`' => '\'',
            c if is_unseen(c) => '\u{fffd}',
            c => c,
        })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
