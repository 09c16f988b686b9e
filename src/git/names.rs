//! Names that git gives and takes, as types that cannot hold nonsense.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The name of a commit: forty lowercase hex digits of SHA-1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first seven digits, as people know commits.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is no name of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no {what}: {why}")]
pub struct NameError {
    /// The text.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for CommitId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let hex = text
            .chars()
            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        if text.len() == 40 && hex {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError {
                text: text.to_owned(),
                what: "commit",
                why: "a commit is forty lowercase hex digits",
            })
        }
    }
}

/// The name of a branch, without `refs/heads/`, as git-check-ref-format(1) allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchName(String);

impl BranchName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of its ref, `refs/heads/…`.
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name of a branch, in bytes: with `refs/heads/` it fits a file's name, which is how servers keep it.
const LONGEST_BRANCH: usize = 244;

impl FromStr for BranchName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let odd =
            |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        let part_is_odd =
            |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > LONGEST_BRANCH {
            "it is longer than 244 bytes"
        } else if text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit()) {
            "git, and GitHub, take it for a commit"
        } else if text.starts_with("refs/") {
            "it is a branch's name without `refs/heads/`"
        } else if text.starts_with('-') || text == "@" || text == "HEAD" {
            "git takes it for something else"
        } else if text.contains(odd) {
            "spaces, control characters and ~ ^ : ? * [ \\ are not allowed"
        } else if text.contains("..") || text.contains("@{") {
            "`..` and `@{` are not allowed"
        } else if text.ends_with('.') || text.split('/').any(part_is_odd) {
            "no part may be empty, begin with `.` or end with `.lock`, nor the whole with `.`"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(NameError {
            text: text.to_owned(),
            what: "branch",
            why,
        })
    }
}

/// A repository on a forge: its owner and its name.
///
/// Forges do not tell capitals from small letters in either; [`RepoSlug::same_as`] does not either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoSlug {
    /// A user or an organisation.
    pub owner: String,
    /// The repository's name, without `.git`.
    pub name: String,
}

impl RepoSlug {
    /// Returns whether both are the same repository of one server.
    pub fn same_as(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl fmt::Display for RepoSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for RepoSlug {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = |part: &str| {
            part.is_empty()
                || part == "."
                || part == ".."
                || !part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if !bad(owner) && !bad(name) => Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(NameError {
                text: text.to_owned(),
                what: "repository",
                why: "a repository is OWNER/NAME",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_what_git_takes_for_one() {
        for good in ["main", "auto/flake-update", "a.b", "ä", "a@b", "x/HEAD"] {
            assert!(good.parse::<BranchName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "@",
            "HEAD",
            "a b",
            "a..b",
            "a@{1}",
            "a.",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a:b",
            "a\u{7f}",
            "refs/heads/main",
            "a\\b",
            "a~1",
        ] {
            assert!(bad.parse::<BranchName>().is_err(), "{bad}");
        }
        assert!("a".repeat(244).parse::<BranchName>().is_ok());
        assert!("a".repeat(245).parse::<BranchName>().is_err());
        assert!("a".repeat(40).parse::<BranchName>().is_err());
        assert_eq!(
            "a".parse::<BranchName>().unwrap().reference(),
            "refs/heads/a"
        );
    }

    #[test]
    fn commits_and_repositories_are_checked() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(id.parse::<CommitId>().unwrap().short(), "0123456");
        for bad in ["", "0123", &id.to_uppercase(), &format!("{id}0")] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
        let slug: RepoSlug = "Alice/fleet.nix".parse().unwrap();
        assert!(slug.same_as(&"alice/Fleet.nix".parse().unwrap()));
        for bad in ["", "a", "a/", "/b", "a/b/c", "a/..", "a b/c", "a/b?x"] {
            assert!(bad.parse::<RepoSlug>().is_err(), "{bad}");
        }
    }
}
