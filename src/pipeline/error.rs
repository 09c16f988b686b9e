//! What ends a run: each error says what failed, in the tool's own words, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::command::Stop;
use crate::flake::lock::{GraftError, LockError};
use crate::flake::{AttrPathError, FilterError, Kind, NoHost, listed};
use crate::git::GitError;
use crate::nix::NixError;
use crate::report::PlanError;

use super::compare::CompareError;
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
    #[error("{} has no flake.nix", .dir.display())]
    NoFlake {
        /// The directory.
        dir: PathBuf,
        /// The nearest one above or below that has a flake.
        nearest: Option<PathBuf>,
        /// Whether there is a configuration that no flake names.
        plain: bool,
    },
    /// Git does not know the flake, so Nix does not see it.
    #[error("flake.nix in {} is not tracked by git, so Nix does not see it", .0.display())]
    UntrackedFlake(PathBuf),
    /// The flake's lock is a link or a directory.
    #[error("flake.lock is a {0}, which Nix does not take for a lock")]
    LockIsNoFile(&'static str),
    /// There is nothing to compare the commit's lock with.
    #[error(
        "--skip-update compares the commit's flake.lock with the working tree's, which has none"
    )]
    NoTreeLock,
    /// There is no commit to compare with.
    #[error(
        "--skip-update compares the working tree's flake.lock with the commit's, and there is no git here"
    )]
    NeedsGit,
    /// Inputs are named where none are known.
    #[error("inputs cannot be chosen: the flake has no flake.lock yet")]
    NoLockToChooseFrom,
    /// An input that there is not.
    #[error("{} has no input `{name}`{}; it has {}", flake(.of), did_you_mean(.nearest.as_deref()), list(.known))]
    UnknownInput {
        /// The name.
        name: String,
        /// The input that does not have it; empty for the flake itself.
        of: String,
        /// The one that was likely meant.
        nearest: Option<String>,
        /// Those it has.
        known: Vec<String>,
    },
    /// An input that is the same as another.
    #[error("input `{input}` follows {}, and is nothing of its own", followed(.follows))]
    InputFollows {
        /// The input.
        input: String,
        /// The one it follows; empty for the flake itself, or nothing.
        follows: String,
    },
    /// An input of an input that is updated cannot stay as it is.
    #[error(transparent)]
    CannotKeep(GraftError),
    /// Nix has changed what was put back.
    #[error("input `{0}` was to stay as it is locked, and Nix locks it anew")]
    NotKept(String),
    /// An input is a directory with changes that are not committed.
    #[error("input {} cannot be locked: {address} is a directory with uncommitted changes", list(.inputs))]
    Unlocked {
        /// The inputs with this address.
        inputs: Vec<String>,
        /// The address.
        address: String,
    },
    /// No input that is to be updated can be fetched.
    #[error("none of the inputs to update can be fetched:\n{}", .0.join("\n"))]
    NothingReachable(Vec<String>),
    /// The directory for what a run needs has a name that Nix cannot take in a setting.
    #[error("--nix-access-token-file needs a temporary directory whose path has no space and no `#`, not {}", .0.display())]
    NoInclude(PathBuf),
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
    /// The directory for the report is something else.
    #[error("--output-dir {} is {what}", .path.display())]
    OutputIsNoDirectory {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// There is no place for temporary files.
    #[error("no temporary directory can be made in {}: {source}", .dir.display())]
    Scratch {
        /// Where it should have been.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
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
    /// Comparing closures of the user's own.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// There is nowhere to write a result.
    #[error("`{0}` needs a file to write to")]
    NoOutput(&'static str),
    /// Every host that differs was skipped or is unknown.
    #[error("not one host could be checked")]
    NothingChecked {
        /// Whether all of them were skipped: nothing here builds for them.
        skipped: bool,
    },
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
            Self::NoFlake { nearest: Some(nearest), .. } => Some(format!(
                "there is one in another directory: --flake {}",
                shell_words::quote(&nearest.to_string_lossy())
            )),
            Self::NoFlake { plain: true, .. } => Some(
                "a configuration.nix alone is no flake: a flake.nix has to name it under `nixosConfigurations`".to_owned(),
            ),
            Self::NoFlake { .. } => Some(
                "go to the flake's directory, or say where it is with --flake DIR; in a workflow the checkout comes first".to_owned(),
            ),
            Self::NotADirectory(_) => Some("say where the flake is with --flake DIR".to_owned()),
            Self::UntrackedFlake(_) => Some("`git add flake.nix`; it need not be committed yet".to_owned()),
            Self::LockIsNoFile(_) => Some("put the file itself there, or remove it and run `nix flake lock`".to_owned()),
            Self::NoTreeLock => Some("`git checkout flake.lock` brings the commit's back, `nix flake update` makes a new one".to_owned()),
            Self::OutputIsNoDirectory { .. } => Some("name a directory; one that is not there is made".to_owned()),
            Self::Scratch { .. } => Some("the variable TMPDIR says where temporary files go".to_owned()),
            Self::NoHost(NoHost::InFlake { survey: Some(survey), .. }) => Some(survey.hint()),
            Self::NoHost(NoHost::InFlake { .. }) => Some(
                "--kind darwin and --kind home look at other outputs, --attr PATH at any derivation".to_owned(),
            ),
            // The default itself was replaced.
            Self::NoHost(NoHost::OtherKind { kind: Kind::Nixos, .. }) => Some("add --kind nixos".to_owned()),
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
            Self::Compare(error) => error.hint(),
            Self::Address { .. } => Some("an address is https://forge.example".to_owned()),
            Self::NoOutput(_) => Some("say where with `-o FILE`".to_owned()),
            Self::NoLockToChooseFrom => Some("run `nix flake lock` once, and commit the lock".to_owned()),
            Self::NothingChecked { skipped: true } => Some(
                "name a machine that builds for them in Nix's `builders`, leave them out with --exclude-host, or compare without building: --no-build"
                    .to_owned(),
            ),
            Self::NothingChecked { skipped: false } => Some(
                "the report says why for each: a builder for another system is named in Nix's `builders`, a longer time by --build-timeout or --run-timeout, more room by --eval-memory or --min-free".to_owned(),
            ),
            Self::Overdue(_) => Some("give the whole run more time with --run-timeout".to_owned()),
            Self::InputFollows { follows, .. } if follows.is_empty() => None,
            Self::InputFollows { follows, .. } => Some(format!("name `{follows}` instead")),
            Self::CannotKeep(GraftError::Lock(_)) => None,
            Self::CannotKeep(GraftError::AsksOtherwise { input, .. } | GraftError::Carried { input, .. }) => {
                Some(keep_hint(&input.to_string()))
            }
            Self::NotKept(input) => Some(keep_hint(input)),
            Self::Unlocked { inputs, address } => Some(match inputs.first() {
                Some(input) => format!(
                    "commit what is in it, or leave it as it is locked with --exclude-input {}",
                    shell_words::quote(input)
                ),
                None => format!("commit what is in {address}"),
            }),
            Self::NothingReachable(_) => Some(
                "where all are dead, the network or a login is at fault: private inputs need --nix-access-token-file, netrc or an SSH key"
                    .to_owned(),
            ),
            Self::NoInclude(_) => Some("name another one in TMPDIR".to_owned()),
            Self::Lock { which, source } => Some(lock_hint(which, source)),
            Self::File { source, .. } if is_full(source) => Some(
                "make room on that disk; the variable TMPDIR says where temporary files go".to_owned(),
            ),
            Self::Write { source, .. } | Self::Stdout(source) if is_full(source) => {
                Some("make room on that disk, or have it written elsewhere".to_owned())
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
                Some("a file has to go there: move the directory out of the way".to_owned())
            }
            Self::Filter(_)
            | Self::Attr(_)
            | Self::NeedsGit
            | Self::UnknownInput { .. }
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

/// Says how to mend a lock.
fn lock_hint(which: &str, error: &LockError) -> String {
    let hint = match error {
        LockError::Version { version: 8.. } => {
            "a newer Nix wrote it: update flake-herald, or write it with a Nix that this version knows"
        }
        // The flake's own, or its working tree's.
        _ if !which.ends_with("flake.lock") => "make it anew with `flake-herald lock -o FILE`",
        LockError::Conflict { .. } => {
            "take either side (`git checkout --ours flake.lock`), then run `nix flake lock`"
        }
        LockError::Version { .. } => "no Nix of today reads it: remove it and run `nix flake lock`",
        _ => {
            "take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`"
        }
    };
    hint.to_owned()
}

fn keep_hint(input: &str) -> String {
    let above = input.rsplit_once('/').map_or(input, |(above, _)| above);
    format!("leave `{above}` out of the update too, or let `{input}` go with it")
}

fn flake(input: &str) -> String {
    match input {
        "" => "the flake".to_owned(),
        input => format!("the input `{input}`"),
    }
}

fn followed(input: &str) -> String {
    match input {
        "" => "the flake itself or nothing".to_owned(),
        input => format!("`{input}`"),
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest
        .map(|nearest| format!(" (did you mean `{nearest}`?)"))
        .unwrap_or_default()
}

/// Whether there is no room left for a file.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Returns what the system says, without the name that `tempfile` gave a file of its own: nobody knows that one.
pub(super) fn bare(error: io::Error) -> io::Error {
    // Its own error hides the system's and puts this after it.
    match error.to_string().split_once(" at path \"") {
        Some((words, _)) => io::Error::new(error.kind(), words.to_owned()),
        None => error,
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
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
