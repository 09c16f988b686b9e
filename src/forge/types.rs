//! What every forge has, in words that are no forge's own.

use std::fmt;

use crate::git::{BranchName, CommitId, RepoSlug};

/// The number of a pull request, as people know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrNumber(pub u64);

impl fmt::Display for PrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Which program a forge runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeKind {
    /// Forgejo.
    Forgejo,
    /// Gitea, which speaks Forgejo's language with small differences.
    Gitea,
    /// GitHub, or GitHub Enterprise.
    Github,
}

impl fmt::Display for ForgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forgejo => "Forgejo",
            Self::Gitea => "Gitea",
            Self::Github => "GitHub",
        })
    }
}

/// A repository as its forge sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its name of today: what was asked for may be an old one that redirects.
    pub slug: RepoSlug,
    /// Its default branch.
    pub default_branch: BranchName,
    /// It takes no changes.
    pub archived: bool,
    /// Not everybody can read it.
    pub private: bool,
    /// It is a fork of another one.
    pub fork: bool,
    /// Whether the token may push to it; none where the forge does not say.
    pub may_push: Option<bool>,
    /// Whether it takes pull requests at all.
    pub takes_pull_requests: bool,
}

/// What became of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrState {
    /// It waits.
    Open,
    /// It was closed without being merged.
    Closed,
    /// It was merged.
    Merged,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: PrNumber,
    /// What became of it.
    pub state: PrState,
    /// Its title; on Forgejo with the prefix that makes it a draft.
    pub title: String,
    /// Its body; empty where it has none.
    pub body: String,
    /// Its page.
    pub url: String,
    /// The commit at its head, where the forge still knows it.
    pub head: Option<CommitId>,
    /// It is a draft.
    pub draft: bool,
    /// The names of its labels.
    pub labels: Vec<String>,
}

/// The open pull requests from a branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenPulls {
    /// The one to the base asked for.
    pub to_base: Option<PullRequest>,
    /// One to another base; looked for only where there is none to the base asked for.
    pub elsewhere: Option<PrNumber>,
}

/// A pull request to open, from a branch of the repository itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPullRequest {
    /// The branch it comes from.
    pub head: BranchName,
    /// The branch it goes to.
    pub base: BranchName,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
}

/// What to change on a pull request; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequestEdit {
    /// The title.
    pub title: Option<String>,
    /// The body.
    pub body: Option<String>,
}
