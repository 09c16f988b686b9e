//! Why a report cannot be published: what failed, and what to do.

use thiserror::Error;

use crate::command::Stop;
use crate::flake::lock::Distrust;
use crate::forge::ForgeError;
use crate::git::{GitError, NameError, RemoteUrlError, TransportError};
use crate::report::{MergeError, ReadError, TemplateError};

/// Why a report cannot be published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The remote.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A setting that is no name.
    #[error("`{key}`: {source}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
    /// A template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A report that cannot be used.
    #[error("{file} {source}")]
    Report {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: ReadError,
    },
    /// Reports that do not belong together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A pull request's job.
    #[error("a job of a pull request (event `{0}`) publishes nothing")]
    PullRequestEvent(String),
    /// There is no git.
    #[error("publishing needs a git checkout, and {0} is in none")]
    NoCheckout(String),
    /// There is no commit.
    #[error("publishing needs a commit, and the checkout has none yet")]
    NoCommit,
    /// There is work that is not committed.
    #[error("publishing needs a clean checkout, and {} not committed", listed(.0))]
    Dirty(Vec<String>),
    /// There is no remote.
    #[error("there is no remote `origin`{}", those(.known))]
    NoRemote {
        /// Those there are.
        known: Vec<String>,
    },
    /// There is no such remote.
    #[error("there is no remote `{}`{}", .name.escape_debug(), those(.known))]
    UnknownRemote {
        /// The one named.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The remote's address.
    #[error("the remote `{}`: {source}", .name.escape_debug())]
    RemoteUrl {
        /// The remote.
        name: String,
        /// What is wrong with its address.
        source: RemoteUrlError,
    },
    /// The forge's address is not known.
    #[error("the forge's address is not known: the remote is {remote}")]
    NoServer {
        /// The remote's address.
        remote: String,
    },
    /// The repository is not known.
    #[error("the repository's owner and name are not known: the remote is {remote}")]
    NoRepository {
        /// The remote's address.
        remote: String,
    },
    /// The forge's kind is not known.
    #[error("{server} is neither Forgejo, Gitea nor GitHub as far as it says")]
    UnknownForge {
        /// The forge's address.
        server: String,
    },
    /// There is no token.
    #[error("there is no token for {server}")]
    NoToken {
        /// The forge's address.
        server: String,
        /// The job has one, for another server.
        elsewhere: bool,
    },
    /// The repository takes no changes.
    #[error("{0} is archived, so it takes no pull requests")]
    Archived(String),
    /// The repository takes no pull requests.
    #[error("{0} has pull requests switched off")]
    NoPullRequests(String),
    /// The token may not push.
    #[error("the token may not push to {0}")]
    MayNotPush(String),
    /// The base is not known.
    #[error("the base branch is not known: the checkout is not on a branch")]
    NoBase,
    /// The base is not there.
    #[error("{remote} has no branch `{base}` to open a pull request against")]
    BaseMissing {
        /// The remote's address.
        remote: String,
        /// The base.
        base: String,
    },
    /// The branch is the base.
    #[error("`{0}` is the base branch, so it cannot be the pull request's")]
    BranchIsBase(String),
    /// The branch is the default branch.
    #[error("`{0}` is the default branch, so it cannot be the pull request's")]
    BranchIsDefault(String),
    /// The branch is protected.
    #[error("`{0}` is a protected branch, so it cannot be the pull request's")]
    BranchIsProtected(String),
    /// The commit is not on the base.
    #[error("the checkout's commit {head} is not on `{base}`")]
    HeadNotInBase {
        /// The commit checked out.
        head: String,
        /// The base.
        base: String,
    },
    /// It cannot be told whether the commit is on the base.
    #[error(
        "the shallow clone does not reach far enough back to tell whether {head} is on `{base}`"
    )]
    TooShallow {
        /// The commit checked out.
        head: String,
        /// The base.
        base: String,
    },
    /// The notes leave no room.
    #[error("the notes that people wrote into pull request {0} leave no room for a report")]
    NotesTooLong(String),
    /// Another run published meanwhile.
    #[error("another run was quicker: pull request {0} carries its commit")]
    Overtaken(String),
    /// Reports of another commit.
    #[error("the reports are about commit {reported}, and the checkout is at {head}")]
    OtherCommit {
        /// The commit reported on.
        reported: String,
        /// The commit checked out.
        head: String,
    },
    /// Reports about uncommitted work.
    #[error("the reports are about a working tree with uncommitted changes, or one without git")]
    NoReportedCommit,
    /// Reports of another directory.
    #[error("the reports are about the flake in `{reported}`, and --flake is `{here}`")]
    OtherDirectory {
        /// The directory reported on.
        reported: String,
        /// The directory here.
        here: String,
    },
    /// A lock that the reports do not speak of.
    #[error(
        "{which} is not the one that the reports are about: its SHA-256 is {is}, not {reported}"
    )]
    OtherLock {
        /// Which lock.
        which: String,
        /// Its hash.
        is: String,
        /// The hash in the reports.
        reported: String,
    },
    /// A lock that no update gives.
    #[error("the new flake.lock is not what an update gives: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Distrust(Vec<Distrust>),
    /// Inputs that the locks do not have.
    #[error("the reports list other input changes than the two locks have")]
    OtherInputs,
    /// The run was told to stop.
    #[error("stopped by {0}")]
    Stopped(Stop),
    /// No reports.
    #[error("{0} holds no report.json")]
    NoReports(String),
}

impl PublishError {
    /// Returns the signal that ended it, where one did.
    pub fn stopped(&self) -> Option<Stop> {
        match self {
            Self::Stopped(stop) => Some(*stop),
            Self::Transport(error) => error.stopped(),
            Self::Git(error) => error.stopped(),
            _ => None,
        }
    }

    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Forge(error) => return error.hint(),
            Self::Transport(error) => return error.hint(),
            Self::Git(error) => return error.hint(),
            Self::Template(error) => return error.hint(),
            Self::Report { source, .. } => return source.hint(),
            Self::Merge(error) => return error.hint(),
            Self::PullRequestEvent(_) => {
                "its files and its lock are its author's; `report`, or `run --dry-run`, works there"
            }
            Self::NoCheckout(_) => "`flake-herald report` works without git",
            Self::Dirty(_) => {
                "commit it or stash it; `flake-herald report` shows what would change all the same"
            }
            Self::NoRemote { .. } | Self::UnknownRemote { .. } => {
                "name the one to push to with --remote NAME, or add it with `git remote add origin URL`"
            }
            Self::RemoteUrl { .. } => "see `git remote -v`",
            Self::NoServer { .. } => {
                "say it with --server-url https://forge.example and --repository OWNER/NAME"
            }
            Self::NoRepository { .. } => "say it with --repository OWNER/NAME",
            Self::UnknownForge { .. } => {
                "say what it is with --forge forgejo, --forge gitea or --forge github, and where with --server-url"
            }
            Self::NoToken {
                elsewhere: true, ..
            } => {
                "the job's own token is for the runner's own server only: give one in FLAKE_HERALD_TOKEN or --token-file"
            }
            Self::NoToken { .. } => {
                "give one in FLAKE_HERALD_TOKEN or --token-file FILE; in a workflow: `env: GITHUB_TOKEN: ${{ github.token }}`"
            }
            Self::MayNotPush(_) => {
                "give it the right to write to the repository: `contents: write` and `pull-requests: write` in a GitHub workflow, \
                 write:repository on Forgejo and Gitea"
            }
            Self::NoPullRequests(_) => "switch them on in the repository's settings",
            Self::NoBase => "name the branch that pull requests go to with --base BRANCH",
            Self::BaseMissing { .. } => "push it first, or name another with --base",
            Self::BranchIsBase(_) | Self::BranchIsDefault(_) | Self::BranchIsProtected(_) => {
                "name another with --branch"
            }
            Self::HeadNotInBase { .. } => {
                "push it first, check out the base, or name another base with --base"
            }
            Self::TooShallow { .. } => {
                "check out the base's tip, or more of its history (`fetch-depth: 0`)"
            }
            Self::Overtaken(_) => {
                "nothing of it was changed; run again to start from what is there now"
            }
            Self::NotesTooLong(_) => "shorten what stands under the line that keeps it",
            Self::OtherCommit { .. } => "check out that commit, or report again",
            Self::NoReportedCommit => "report on a clean checkout",
            Self::OtherDirectory { .. } => "name the flake's directory with --flake",
            Self::OtherLock { .. } => {
                "use the lock that lay beside the reports, on the commit they were made on"
            }
            Self::Distrust(_) | Self::OtherInputs => {
                "the reports or the lock were changed on their way here; report again, or find out where"
            }
            Self::NoReports(_) => "`flake-herald report --output-dir DIR` writes one",
            Self::Archived(_) => {
                "unarchive the repository in its settings, or stop the scheduled job"
            }
            Self::NoCommit => "commit the flake and push it first",
            Self::Name(_) | Self::Setting { .. } | Self::Stopped(_) => return None,
        };
        Some(hint.to_owned())
    }
}

fn listed(files: &[String]) -> String {
    const MOST: usize = 3;
    let shown: Vec<String> = files
        .iter()
        .take(MOST)
        .map(|file| format!("`{file}`"))
        .collect();
    let more = files.len().saturating_sub(MOST);
    let verb = if files.len() == 1 { "is" } else { "are" };
    if more == 0 {
        format!("{} {verb}", shown.join(", "))
    } else {
        format!("{} and {more} more {verb}", shown.join(", "))
    }
}

fn those(remotes: &[String]) -> String {
    if remotes.is_empty() {
        String::new()
    } else {
        let verb = if remotes.len() == 1 { "is" } else { "are" };
        format!(", but there {verb} `{}`", remotes.join("`, `"))
    }
}
