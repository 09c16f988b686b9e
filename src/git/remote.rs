//! Remote URLs, as git reads them.
//!
//! A URL may carry a secret before its `@`. It is kept apart, and nothing here prints it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use thiserror::Error;

use super::names::RepoSlug;

/// How a remote is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP in the clear.
    Http,
    /// SSH, as a URL or as `host:path`.
    Ssh,
    /// Git's own protocol, which can only read.
    Git,
    /// A repository on this machine.
    File,
}

impl Scheme {
    /// Returns whether it is one of the two that take a token.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Https | Self::Http)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Git => "git",
            Self::File => "file",
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Ssh => Some(22),
            Self::Git => Some(9418),
            Self::File => None,
        }
    }
}

/// Text that is no URL of a remote. The text itself is not shown: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("this is no URL of a git remote: {why}")]
pub struct RemoteUrlError {
    /// What is wrong with it.
    pub why: &'static str,
}

impl RemoteUrlError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(
            "remotes are https://HOST/OWNER/NAME, ssh://git@HOST/OWNER/NAME or git@HOST:OWNER/NAME"
                .to_owned(),
        )
    }
}

fn wrong<T>(why: &'static str) -> Result<T, RemoteUrlError> {
    Err(RemoteUrlError { why })
}

/// Where a remote is. `Display` and `Debug` leave out who logs in.
#[derive(Clone)]
pub struct RemoteUrl {
    scheme: Scheme,
    user: Option<String>,
    password: Option<SecretString>,
    host: Option<String>,
    port: Option<u16>,
    path: String,
    /// Written as `host:path`, in which nothing is percent-encoded.
    scp: bool,
}

impl RemoteUrl {
    /// Reads a URL, an scp-like `user@host:path` or a path, as git would take it.
    ///
    /// # Errors
    ///
    /// Git would refuse it, or take it for an option or for a program of its own (`ext::`).
    pub fn parse(text: &str) -> Result<Self, RemoteUrlError> {
        let text = text.trim();
        if text.is_empty() {
            return wrong("it is empty");
        }
        if text.starts_with('-') {
            return wrong("it begins with `-`");
        }
        if text.contains(char::is_control) {
            return wrong("it holds a control character");
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return Self::url(scheme, rest);
        }
        // `transport::address` starts a program.
        if let Some((transport, _)) = text.split_once("::")
            && !transport.is_empty()
            && transport.chars().all(|c| c.is_ascii_alphanumeric())
        {
            return wrong("remote-helper programs are not supported");
        }
        match scp_split(text)? {
            Some((login, path)) => Self::scp(login, path),
            None => Ok(Self::file(text)),
        }
    }

    fn file(path: &str) -> Self {
        Self {
            scheme: Scheme::File,
            user: None,
            password: None,
            host: None,
            port: None,
            path: path.to_owned(),
            scp: true,
        }
    }

    fn url(scheme: &str, rest: &str) -> Result<Self, RemoteUrlError> {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
            "git" => Scheme::Git,
            "file" => {
                let mut file = Self::file(rest);
                file.scp = false;
                return if rest.is_empty() {
                    wrong("it has no path")
                } else {
                    Ok(file)
                };
            }
            _ => return wrong("git does not know its scheme"),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (userinfo, authority) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let (host, port) = host_and_port(authority)?;
        if path.trim_matches('/').is_empty() {
            return wrong("it has no path");
        }
        if path.contains(char::is_whitespace) {
            return wrong("it holds a space");
        }
        if scheme.is_http() && path.contains(['?', '#']) {
            return wrong("it has a query or a fragment");
        }
        let (user, password) = match userinfo {
            None | Some("") => (None, None),
            Some(userinfo) => match userinfo.split_once(':') {
                Some((user, password)) => (
                    (!user.is_empty()).then(|| decoded(user)),
                    (!password.is_empty()).then(|| SecretString::from(decoded(password))),
                ),
                None => (Some(decoded(userinfo)), None),
            },
        };
        Ok(Self {
            scheme,
            user,
            password,
            host: Some(host),
            port: port.filter(|port| Some(*port) != scheme.default_port()),
            path: path.to_owned(),
            scp: false,
        })
    }

    fn scp(login: &str, path: &str) -> Result<Self, RemoteUrlError> {
        // `[user@host:port]:path` has everything in its brackets.
        let login = login
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .filter(|inner| inner.contains('@'))
            .unwrap_or(login);
        let (user, authority) = match login.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, login),
        };
        // Within brackets one colon stands before a port, more are an IPv6 address.
        let inner = authority
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'));
        let (host, port) = match inner {
            Some(inner) if inner.matches(':').count() < 2 => host_and_port(inner)?,
            _ => host_and_port(authority)?,
        };
        if path.is_empty() {
            return wrong("it has no path");
        }
        Ok(Self {
            scheme: Scheme::Ssh,
            user: user.filter(|user| !user.is_empty()).map(str::to_owned),
            password: None,
            host: Some(host),
            port: port.filter(|port| *port != 22),
            path: path.to_owned(),
            scp: true,
        })
    }

    /// Returns how it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns who logs in. Over HTTP some put a token there: not for printing.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the password in the URL.
    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// Returns the server in small letters, an IPv6 address without brackets; none for a path.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the port; none where it is the scheme's usual one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the path as it is written.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the path's parts as they are meant, the last without `.git`.
    fn parts(&self) -> Vec<String> {
        let path = self.path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(|part| {
                if self.scp {
                    part.to_owned()
                } else {
                    decoded(part)
                }
            })
            .collect()
    }

    /// Returns which repository of the server it is, if it is one of a forge.
    pub fn slug(&self) -> Option<RepoSlug> {
        if self.scheme == Scheme::File {
            return None;
        }
        match self.parts().as_slice() {
            [.., owner, name] => format!("{owner}/{name}").parse().ok(),
            _ => None,
        }
    }

    /// Returns what stands before owner and name, with a slash in front; empty where nothing does. A forge below a path has it.
    pub fn sub_path(&self) -> String {
        if self.scheme == Scheme::File {
            return String::new();
        }
        let parts: Vec<&str> = self
            .path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let above = parts.len().saturating_sub(2);
        parts
            .iter()
            .take(above)
            .flat_map(|part| ["/", part])
            .collect()
    }

    /// Returns where the forge's pages are, without a slash at the end; for what is not HTTP a guess, none for a path.
    pub fn web_base(&self) -> Option<String> {
        let host = self.host.as_deref()?;
        if self.scheme.is_http() {
            return Some(format!("{}{}", self.server()?, self.sub_path()));
        }
        // GitHub's SSH on the port of HTTPS has a name of its own.
        let host = if host == "ssh.github.com" {
            "github.com"
        } else {
            host
        };
        Some(format!("https://{}", Bracketed(host)))
    }

    /// Returns scheme, host and port, as git's `credential.<url>` keys take them.
    pub(super) fn server(&self) -> Option<String> {
        let host = Bracketed(self.host.as_deref()?);
        let scheme = self.scheme.name();
        Some(match self.port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        })
    }

    /// Returns whether the text before the `@` may be read by nobody.
    pub(super) fn holds_secret(&self) -> bool {
        self.scheme.is_http()
            && (self.password.is_some() || self.user.as_deref().is_some_and(like_token))
    }
}

impl FromStr for RemoteUrl {
    type Err = RemoteUrlError;

    fn from_str(text: &str) -> Result<Self, RemoteUrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.server()) {
            (Some(host), _) if self.scp && self.port.is_none() => {
                write!(f, "{}:{}", Bracketed(host), self.path)
            }
            (Some(host), _) if self.scp => {
                write!(f, "[{host}:{}]:{}", self.port.unwrap_or(22), self.path)
            }
            (Some(_), Some(server)) => write!(f, "{server}{}", self.path),
            _ if self.scp => f.write_str(&self.path),
            _ => write!(f, "file://{}", self.path),
        }
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}

/// A host as it stands in a URL.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]", self.0)
        } else {
            f.write_str(self.0)
        }
    }
}

/// Splits `host:path`; none where git takes it for a path, which is one with a slash before its first colon.
fn scp_split(text: &str) -> Result<Option<(&str, &str)>, RemoteUrlError> {
    // A colon in brackets belongs to the host.
    let login = text.find('@').map_or(0, |at| at + 1);
    let bracket = [0, login]
        .into_iter()
        .find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with('[')));
    if let Some(bracket) = bracket
        && let Some((host, rest)) = text.split_once(']')
        && !host.contains('/')
    {
        let end = host.len() + 1;
        return match rest.strip_prefix(':') {
            Some(path) => Ok(text.get(..end).map(|login| (login, path))),
            None if bracket == 0 => Ok(None),
            None => wrong("no colon follows its brackets"),
        };
    }
    Ok(match text.split_once(':') {
        Some((login, path)) if !login.contains('/') => {
            if login.is_empty() {
                return wrong("it has no host");
            }
            Some((login, path))
        }
        _ => None,
    })
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), RemoteUrlError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((host, port)) = rest.split_once(']') else {
            return wrong("a bracket is not closed");
        };
        let port = match port {
            "" => None,
            port => match port.strip_prefix(':') {
                Some(port) => Some(port),
                None => return wrong("something other than a port follows its host"),
            },
        };
        if !host
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '%'))
        {
            return wrong("its host is no IPv6 address");
        }
        (host, port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    // ssh takes what begins with `-` for an option.
    let odd = |c: char| c.is_whitespace() || "/\\?#@<>\"'`".contains(c);
    if host.is_empty() {
        return wrong("it has no host");
    }
    if host.starts_with('-') || host.contains(odd) {
        return wrong("its host is no name of a server");
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return wrong("its port is no number from 1 to 65535"),
            Ok(port) => Some(port),
        },
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// Returns whether a user name is rather a token: some write `https://TOKEN@host/`.
fn like_token(user: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
    ];
    PREFIXES.iter().any(|prefix| user.starts_with(prefix))
        || (user.len() >= 40 && user.chars().all(|c| c.is_ascii_hexdigit()))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    /// One line with all that is read of a URL.
    fn read(text: &str) -> String {
        match RemoteUrl::parse(text) {
            Ok(url) => format!(
                "{:?} {} {} {} {} | {} | {}",
                url.scheme(),
                url.host().unwrap_or("-"),
                url.port().map_or("-".to_owned(), |port| port.to_string()),
                url.slug().map_or("-".to_owned(), |slug| slug.to_string()),
                if url.sub_path().is_empty() {
                    "-".to_owned()
                } else {
                    url.sub_path()
                },
                url.web_base().unwrap_or("-".to_owned()),
                url,
            ),
            Err(error) => error.why.to_owned(),
        }
    }

    #[test]
    fn urls_are_read_as_git_reads_them() {
        for (text, expected) in [
            (
                "https://codeberg.org/alice/fleet.git",
                "Https codeberg.org - alice/fleet - | https://codeberg.org | https://codeberg.org/alice/fleet.git",
            ),
            (
                "https://codeberg.org/alice/fleet",
                "Https codeberg.org - alice/fleet - | https://codeberg.org | https://codeberg.org/alice/fleet",
            ),
            (
                "https://codeberg.org/alice/fleet.git/",
                "Https codeberg.org - alice/fleet - | https://codeberg.org | https://codeberg.org/alice/fleet.git/",
            ),
            (
                "https://codeberg.org//alice//fleet/",
                "Https codeberg.org - alice/fleet - | https://codeberg.org | https://codeberg.org//alice//fleet/",
            ),
            (
                "https://x-access-token:s3cret@github.com/a/b",
                "Https github.com - a/b - | https://github.com | https://github.com/a/b",
            ),
            (
                "https://ghp_0123@github.com/a/b",
                "Https github.com - a/b - | https://github.com | https://github.com/a/b",
            ),
            (
                "https://p%40ss:w%3Ard@Git.Example.ORG:8443/a/b.git",
                "Https git.example.org 8443 a/b - | https://git.example.org:8443 | https://git.example.org:8443/a/b.git",
            ),
            (
                "https://a@b@host/a/b",
                "Https host - a/b - | https://host | https://host/a/b",
            ),
            (
                "https://host:443/a/b",
                "Https host - a/b - | https://host | https://host/a/b",
            ),
            (
                "http://127.0.0.1:3000/git/sub/a/b.git",
                "Http 127.0.0.1 3000 a/b /git/sub | http://127.0.0.1:3000/git/sub | http://127.0.0.1:3000/git/sub/a/b.git",
            ),
            (
                "HTTPS://Host/A/B",
                "Https host - A/B - | https://host | https://host/A/B",
            ),
            (
                "http://[::1]:3000/a/b",
                "Http ::1 3000 a/b - | http://[::1]:3000 | http://[::1]:3000/a/b",
            ),
            (
                "http://[2001:DB8::1]/a/b",
                "Http 2001:db8::1 - a/b - | http://[2001:db8::1] | http://[2001:db8::1]/a/b",
            ),
            (
                "https://host/%61lice/fl%65et.git",
                "Https host - alice/fleet - | https://host | https://host/%61lice/fl%65et.git",
            ),
            (
                "https://host/a%2Fb/c",
                "Https host - - - | https://host | https://host/a%2Fb/c",
            ),
            (
                "https://host/only",
                "Https host - - - | https://host | https://host/only",
            ),
            (
                "git@github.com:a/b.git",
                "Ssh github.com - a/b - | https://github.com | github.com:a/b.git",
            ),
            (
                "github.com:a/b",
                "Ssh github.com - a/b - | https://github.com | github.com:a/b",
            ),
            (
                "git@host:/srv/git/a/b.git",
                "Ssh host - a/b /srv/git | https://host | host:/srv/git/a/b.git",
            ),
            ("git@host:~a/b", "Ssh host - - - | https://host | host:~a/b"),
            (
                "[host:2222]:a/b",
                "Ssh host 2222 a/b - | https://host | [host:2222]:a/b",
            ),
            (
                "git@[host:2222]:a/b",
                "Ssh host 2222 a/b - | https://host | [host:2222]:a/b",
            ),
            (
                "[git@host:2222]:a/b",
                "Ssh host 2222 a/b - | https://host | [host:2222]:a/b",
            ),
            ("[::1]:a/b", "Ssh ::1 - a/b - | https://[::1] | [::1]:a/b"),
            (
                "git@[::1]:a/b.git",
                "Ssh ::1 - a/b - | https://[::1] | [::1]:a/b.git",
            ),
            (
                "ssh://git@host:2222/sub/owner/repo.git",
                "Ssh host 2222 owner/repo /sub | https://host | ssh://host:2222/sub/owner/repo.git",
            ),
            (
                "git+ssh://git@host/a/b",
                "Ssh host - a/b - | https://host | ssh://host/a/b",
            ),
            (
                "ssh://git@ssh.github.com:443/a/b.git",
                "Ssh ssh.github.com 443 a/b - | https://github.com | ssh://ssh.github.com:443/a/b.git",
            ),
            (
                "ssh://host:/a/b",
                "Ssh host - a/b - | https://host | ssh://host/a/b",
            ),
            (
                "git://host/a/b.git",
                "Git host - a/b - | https://host | git://host/a/b.git",
            ),
            ("/srv/git/a/b.git", "File - - - - | - | /srv/git/a/b.git"),
            ("../b.git", "File - - - - | - | ../b.git"),
            ("./odd:name/x", "File - - - - | - | ./odd:name/x"),
            (
                "file:///srv/git/b.git",
                "File - - - - | - | file:///srv/git/b.git",
            ),
            ("", "it is empty"),
            ("--upload-pack=sh", "it begins with `-`"),
            ("-oProxyCommand=x:a/b", "it begins with `-`"),
            (
                "ssh://-oProxyCommand=x/a/b",
                "its host is no name of a server",
            ),
            (
                "git@-oProxyCommand=x:a/b",
                "its host is no name of a server",
            ),
            ("ext::sh -c x", "remote-helper programs are not supported"),
            ("ftp://host/a/b", "git does not know its scheme"),
            ("https:///a/b", "it has no host"),
            (":a/b", "it has no host"),
            ("https://host", "it has no path"),
            ("https://host/", "it has no path"),
            ("git@host:", "it has no path"),
            (
                "https://host:0/a/b",
                "its port is no number from 1 to 65535",
            ),
            (
                "https://host:http/a/b",
                "its port is no number from 1 to 65535",
            ),
            ("https://[::1/a/b", "a bracket is not closed"),
            (
                "https://[::1]x/a/b",
                "something other than a port follows its host",
            ),
            ("https://[x]/a/b", "its host is no IPv6 address"),
            ("https://host/a/b?x=1", "it has a query or a fragment"),
            ("https://host/a b/c", "it holds a space"),
            ("https://ho st/a/b", "its host is no name of a server"),
            ("https://host/a/b\nc", "it holds a control character"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn who_logs_in_is_read_and_never_shown() {
        let url = RemoteUrl::parse("https://al%40ice:s%2Fcret@host/a/b").unwrap();
        assert_eq!(url.user(), Some("al@ice"));
        assert_eq!(url.password().unwrap().expose_secret(), "s/cret");
        assert!(url.holds_secret());
        for shown in [url.to_string(), format!("{url:?}"), format!("{url:#?}")] {
            assert!(!shown.contains("cret") && !shown.contains("ice"), "{shown}");
        }
        for (text, expected) in [
            ("https://alice@host/a/b", false),
            ("https://github_pat_11AAAA@github.com/a/b", true),
            (
                "https://0123456789abcdef0123456789abcdef01234567@host/a/b",
                true,
            ),
            ("ssh://git:x@host/a/b", false),
        ] {
            assert_eq!(
                RemoteUrl::parse(text).unwrap().holds_secret(),
                expected,
                "{text}"
            );
        }
        let error = RemoteUrl::parse("ftp://me:s3cret@host/a").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}
