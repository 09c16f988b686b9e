//! What ends a run: each error says what failed, in the tool's own words, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::command::Stop;
use crate::flake::lock::LockError;
use crate::flake::{AttrPathError, FilterError, NoHost, listed};
use crate::git::GitError;
use crate::nix::NixError;
use crate::report::PlanError;

use super::found::nearest_host;
use super::publish::PublishError;

/// Why a run ended without its result.
#[derive(Debug, Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Nix.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// A lock file that cannot be used.
    #[error("{which} {source}")]
    Lock {
        /// Which one.
        which: String,
        /// What is wrong with it.
        source: LockError,
    },
    /// The plan of a matrix cannot be used.
    #[error("the plan {0}")]
    Plan(#[from] PlanError),
    /// A pattern that is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A path of `--attr` that is none.
    #[error(transparent)]
    Attr(#[from] AttrPathError),
    /// No host is left.
    #[error(transparent)]
    NoHost(#[from] NoHost),
    /// The flake's directory is no directory.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// There is no flake.
    #[error("{} has no flake.nix", .0.display())]
    NoFlake(PathBuf),
    /// There is no commit to compare with.
    #[error(
        "--skip-update compares the working tree's flake.lock with the commit's, and there is no git here"
    )]
    NeedsGit,
    /// Inputs are named where none are known.
    #[error("inputs cannot be chosen: the flake has no flake.lock yet")]
    NoLockToChooseFrom,
    /// An input that the flake does not have.
    #[error("the flake has no input `{name}`; it has {}", list(.known))]
    UnknownInput {
        /// The name.
        name: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// An input of an input cannot be left out yet.
    #[error("`{0}` cannot be excluded: this version can leave out the flake's own inputs only")]
    NestedExclude(String),
    /// Every input is excluded.
    #[error("every input is excluded, so there is nothing to update")]
    NoInputLeft,
    /// A file.
    #[error("cannot use {}: {source}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The lock that would be replaced holds somebody's work.
    #[error("--write-lock would overwrite the uncommitted changes of flake.lock")]
    LockIsEdited,
    /// The directory for the report is the flake's.
    #[error("--output-dir {} would overwrite the flake's own flake.lock", .0.display())]
    OutputIsFlake(PathBuf),
    /// A file of the user's.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The run was told to stop.
    #[error("stopped by {0}")]
    Stopped(Stop),
    /// The run's time was over before there was anything to tell.
    #[error("{0}")]
    Overdue(String),
    /// Standard output.
    #[error("the report cannot be printed: {0}")]
    Stdout(io::Error),
    /// Ctrl-C could not be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signals(io::Error),
    /// Publishing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// An address that is none.
    #[error("`{address}` is no address: {source}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// There is nowhere to write the lock.
    #[error("`lock` needs a file to write to")]
    NoOutput,
    /// Every host that differs was skipped or is unknown.
    #[error("not one host could be checked")]
    NothingChecked,
}

impl Error {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Nix(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::NoFlake(_) | Self::NotADirectory(_) => Some("say where the flake is with --flake DIR".to_owned()),
            // What there is instead is told with the flags that look at it.
            Self::NoHost(NoHost::InFlake { survey: Some(survey), .. }) if survey.has_hosts() => None,
            Self::NoHost(NoHost::InFlake { .. }) => Some(
                "--kind darwin and --kind home look at other outputs, --attr PATH at any derivation".to_owned(),
            ),
            Self::NoHost(NoHost::OtherKind { kind, .. }) => Some(format!(
                "add --kind {}; it replaces the default, so name --kind nixos too if you want both",
                kind.as_str()
            )),
            Self::NoHost(NoHost::Matching { pattern, known }) => {
                nearest_host(pattern, known).map(|near| format!("did you mean {}?", listed([near])))
            }
            Self::NoHost(NoHost::AllExcluded { .. }) => {
                Some("--no-default-excludes keeps *-minimal, and --host NAME keeps the host it names".to_owned())
            }
            Self::LockIsEdited => Some("commit them, or drop them with `git checkout flake.lock`".to_owned()),
            Self::OutputIsFlake(_) => Some("name another directory; --write-lock keeps the new lock".to_owned()),
            Self::Publish(error) => error.hint(),
            Self::Address { .. } => Some("an address is https://forge.example".to_owned()),
            Self::NoOutput => Some("say where with `-o FILE`".to_owned()),
            Self::NoLockToChooseFrom => Some("run `nix flake lock` once, and commit the lock".to_owned()),
            Self::NothingChecked => Some(
                "the report says why for each: a builder for another system is named in Nix's `builders`, a longer time by --build-timeout or --run-timeout".to_owned(),
            ),
            Self::Overdue(_) => Some("give the whole run more time with --run-timeout".to_owned()),
            Self::Lock { source, .. } => lock_hint(source),
            Self::Filter(_)
            | Self::Attr(_)
            | Self::NeedsGit
            | Self::UnknownInput { .. }
            | Self::NestedExclude(_)
            | Self::NoInputLeft
            | Self::File { .. }
            | Self::Write { .. }
            | Self::Stopped(_)
            | Self::Stdout(_)
            | Self::Signals(_) => None,
        }
    }

    /// Returns the signal that ended the run, where one did.
    pub fn stopped(&self) -> Option<Stop> {
        match self {
            Self::Nix(error) => error
                .command()
                .and_then(crate::command::CommandError::stopped),
            Self::Publish(error) => error.stopped(),
            Self::Stopped(stop) => Some(*stop),
            _ => None,
        }
    }
}

/// Says how to mend a lock, where there is one way.
fn lock_hint(error: &LockError) -> Option<String> {
    let hint = match error {
        LockError::Conflict { .. } => {
            "take either side (`git checkout --ours flake.lock`), then run `nix flake lock`"
        }
        LockError::Version { version: ..=4 } => {
            "no Nix of today reads it: remove it and run `nix flake lock`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn list(names: &[String]) -> String {
    const MOST: usize = 30;
    let mut shown: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > MOST {
        shown.push(format!("{} more", names.len() - MOST));
    }
    shown.join(", ")
}
