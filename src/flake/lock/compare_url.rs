//! The page on which a forge shows what lies between two revisions of an input.

use super::trust::is_rev;
use super::{Edge, LockedInput};

/// The most bytes of a link. Forges allow about 140 for owner and repository.
const MOST: usize = 500;

/// Whose addresses a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forge {
    /// `OWNER/REPO/compare/A...B`: GitHub, Forgejo and Gitea.
    Github,
    /// `GROUP/…/REPO/-/compare/A...B`.
    Gitlab,
}

/// Servers whose kind needs no asking. `git` and tarballs of others have no link: one that leads nowhere is worse than none.
const KNOWN: [(&str, Forge); 5] = [
    ("github.com", Forge::Github),
    ("gitlab.com", Forge::Gitlab),
    ("codeberg.org", Forge::Github),
    ("gitea.com", Forge::Github),
    ("git.lix.systems", Forge::Github),
];

/// Returns the page that shows what lies between two states of an input; none unless both are revisions of one repository
/// on a forge that is known to have such a page.
///
/// sourcehut has none. A link is fit to be followed and to stand in any text: see [`is_compare_url`].
pub fn compare_url(before: &Edge, after: &Edge) -> Option<String> {
    let (Edge::Locked(before), Edge::Locked(after)) = (before, after) else {
        return None;
    };
    let (from, to) = (revision(before)?, revision(after)?);
    let repository = Repository::of(after)?;
    if from == to || !repository.is(&Repository::of(before)?) {
        return None;
    }
    let Repository { forge, host, path } = repository;
    let page = match forge {
        Forge::Github => "compare",
        Forge::Gitlab => "-/compare",
    };
    let url = format!("https://{host}/{path}/{page}/{from}...{to}");
    is_compare_url(&url).then_some(url)
}

/// Tells whether a text can be followed, and written as the target of a link, as it stands: `https`, a host without a user's
/// name, only letters, digits and `-._~/%:+=`, and not too long. Where it leads is not said by that.
pub fn is_compare_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    text.len() <= MOST
        && is_host(host)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%:+=".contains(&byte))
}

/// A repository on a forge that shows differences.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    forge: Forge,
    host: String,
    /// The owner, or the groups, and the name.
    path: String,
}

impl Repository {
    /// Returns the repository that an input is fetched from.
    pub(super) fn of(input: &LockedInput) -> Option<Self> {
        let text = |name| input.attr(name).unwrap_or_default();
        let host = |default: &str| input.attr("host").unwrap_or(default).to_ascii_lowercase();
        match input.kind() {
            "github" => {
                let path = [text("owner"), text("repo")];
                Self::new(Forge::Github, host("github.com"), &path)
            }
            "gitlab" => {
                // Groups within groups are written either way.
                let owner = text("owner").replace("%2F", "/").replace("%2f", "/");
                let path: Vec<&str> = owner.split('/').chain([text("repo")]).collect();
                Self::new(Forge::Gitlab, host("gitlab.com"), &path)
            }
            "git" => Self::cloned(text("url")),
            "tarball" => Self::archived(text("url"), &revision(input)?),
            _ => None,
        }
    }

    /// Whether both are the same one. Forges heed no case in names.
    fn is(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// Returns what is the same for all spellings of one repository.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.host, self.path.to_ascii_lowercase())
    }

    fn new(forge: Forge, host: String, path: &[&str]) -> Option<Self> {
        let fits = match forge {
            Forge::Github => path.len() == 2,
            Forge::Gitlab => path.len() >= 2,
        };
        (fits && is_host(&host) && path.iter().all(|name| is_name(name))).then(|| Self {
            forge,
            host,
            path: path.join("/"),
        })
    }

    /// Returns the repository at an address for git: `https://HOST/OWNER/REPO.git`, `ssh://git@HOST/OWNER/REPO`.
    fn cloned(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let rest = match scheme.to_ascii_lowercase().as_str() {
            "https" => rest,
            "ssh" => rest.strip_prefix("git@").unwrap_or(rest),
            _ => return None,
        };
        let (host, path) = rest.split(['?', '#']).next()?.split_once('/')?;
        let host = host.to_ascii_lowercase();
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = path.strip_suffix(".git").unwrap_or(path);
        let path: Vec<&str> = path.split('/').collect();
        Self::new(known(&host)?, host, &path)
    }

    /// Returns the repository of an archive of the revision `rev`: nixpkgs for a channel, else what Forgejo, Gitea and GitHub call
    /// `OWNER/REPO/archive/REV.tar.gz`, the former two below `api/v1/repos` too, which no other forge has.
    fn archived(url: &str, rev: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        let (host, path) = rest.split(['?', '#']).next()?.split_once('/')?;
        let host = host.to_ascii_lowercase();
        let is_channel = path.starts_with("nixos/") || path.starts_with("nixpkgs/");
        if host == "releases.nixos.org" && is_channel {
            return Self::new(
                Forge::Github,
                "github.com".to_owned(),
                &["NixOS", "nixpkgs"],
            );
        }
        let (forge, path) = match path.strip_prefix("api/v1/repos/") {
            Some(path) => (Forge::Github, path),
            None => (known(&host)?, path),
        };
        let [owner, name, "archive", file] = *path.split('/').collect::<Vec<_>>() else {
            return None;
        };
        let file = file.to_ascii_lowercase();
        let rest = file.strip_prefix(rev)?;
        if !rest.starts_with('.') || forge != Forge::Github {
            return None;
        }
        Self::new(forge, host, &[owner, name])
    }
}

fn known(host: &str) -> Option<Forge> {
    KNOWN
        .iter()
        .find(|(known, _)| *known == host)
        .map(|(_, forge)| *forge)
}

/// Returns the whole hash of the commit, in the lower case of forges.
fn revision(input: &LockedInput) -> Option<String> {
    input
        .rev()
        .filter(|rev| is_rev(rev))
        .map(str::to_ascii_lowercase)
}

/// Whether it is the plain name of a host: no port, no user, and no address, which browsers read in forms of their own.
fn is_host(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    let is_label = |label: &str| {
        label.starts_with(ends)
            && label.ends_with(ends)
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(is_label) && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Whether a part of a path is a name that stands for itself in a URL.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}
