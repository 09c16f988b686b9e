//! What can go wrong between us and Nix as a whole. A host's failure is not among it: that is a value.

use thiserror::Error;

use crate::command::CommandError;

use super::message;
use super::version::{MINIMUM_NIX, NixVersion};

/// A call to Nix that did not give what the run needs.
#[derive(Debug, Error)]
pub enum NixError {
    /// The command itself failed.
    #[error("{}", explain(.0))]
    Command(#[from] CommandError),
    /// The Nix on `PATH` is too old.
    #[error("Nix {found} is too old: {}.{} or newer is needed", MINIMUM_NIX.0, MINIMUM_NIX.1)]
    TooOld {
        /// What was found.
        found: NixVersion,
    },
    /// The Nix on `PATH` is not Nix itself, and lacks a command or a flag.
    #[error("Nix {nix} lacks what is needed: {what}")]
    Lacks {
        /// What was found.
        nix: NixVersion,
        /// Commands and flags, as they would be typed.
        what: String,
    },
    /// Nix answered with something that is not understood.
    #[error("{what} cannot be read from Nix's answer: {detail}")]
    Unreadable {
        /// What was asked for.
        what: &'static str,
        /// The answer's beginning, or the parser's words.
        detail: String,
    },
    /// An input cannot be fetched.
    #[error("{}", unreachable_text(.input.as_deref(), .words, .call))]
    Unreachable {
        /// The input, as seen from the root (`nixpkgs`, `home-manager/nixpkgs`), where Nix names it.
        input: Option<String>,
        /// Nix's and git's words.
        words: String,
        /// Whether it is an update that failed, which can leave the input alone.
        keepable: bool,
        /// The call that failed.
        call: Box<CommandError>,
    },
    /// An input is not something that can be locked.
    #[error("an input cannot be locked: {address} is a directory with uncommitted changes")]
    Unlocked {
        /// Its address.
        address: String,
    },
    /// Nix staged no lock file although it reported success.
    #[error("Nix wrote no lock file: {0}")]
    NoLock(String),
    /// The lock given does not fit the flake.
    #[error("the new lock does not fit flake.nix, which asks for inputs that it does not have")]
    StaleLock,
    /// There is no derivation at a path of the user's.
    #[error("--attr names no derivation, and no set of them: {0}")]
    NoDerivation(String),
    /// An input to update is not there.
    #[error("{0}")]
    NoInput(String),
    /// A file of ours cannot be written or read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store's answers contradict each other.
    #[error("the closures cannot be read from the store: {0}")]
    Store(String),
}

impl NixError {
    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Command(error) if error.is_program_missing() => Some(
                "Nix must be installed and on PATH: https://nixos.org/download".to_owned(),
            ),
            Self::Command(error) if error.is_overdue() => error.hint(),
            Self::Command(error) => message::hint(&error.stderr()?.text()),
            Self::TooOld { .. } => Some("update Nix: https://nix.dev/manual/nix/latest/installation/upgrading".to_owned()),
            Self::Lacks { .. } => Some(format!(
                "use Nix {}.{} or newer, or a current release of Lix or Determinate Nix",
                MINIMUM_NIX.0, MINIMUM_NIX.1
            )),
            Self::StaleLock => Some(
                "it was made for another flake.nix: make it anew for this one (`flake-herald lock -o FILE`); where one commit changes \
                 both, build the host from either side and compare with `flake-herald diff`"
                    .to_owned(),
            ),
            Self::Unlocked { .. } | Self::NoLock(_) => Some(
                "commit what is in the input's directory, or leave it as it is locked with --exclude-input NAME".to_owned(),
            ),
            Self::Unreachable { keepable, call, .. } => {
                let known = call.stderr().and_then(|stderr| message::hint(&stderr.text()));
                known.or_else(|| {
                    let hint = if *keepable {
                        "--on-unreachable keep leaves it as it is locked, and updates the others"
                    } else {
                        "there is no doing without it: mend its address in flake.nix, or see that it can be reached from here"
                    };
                    Some(hint.to_owned())
                })
            }
            Self::NoDerivation(_) | Self::NoInput(_) | Self::Unreadable { .. } | Self::File { .. } | Self::Store(_) => None,
        }
    }

    /// Whether the user, or a signal, told the run to stop.
    pub fn is_stop(&self) -> bool {
        self.command()
            .is_some_and(|command| command.stopped().is_some())
    }

    /// Whether the store, or the daemon in front of it, is out of reach for this user.
    pub fn is_out_of_reach(&self) -> bool {
        self.command()
            .and_then(CommandError::stderr)
            .is_some_and(|stderr| message::is_out_of_reach(&stderr.text()))
    }

    /// Whether Nix's words are known to have one cause, so that the hint is all there is to say.
    pub fn has_one_cause(&self) -> bool {
        self.command()
            .and_then(CommandError::stderr)
            .is_some_and(|stderr| message::hint(&stderr.text()).is_some())
    }

    /// Returns the failed command, where there is one.
    pub fn command(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            Self::Unreachable { call, .. } => Some(call),
            _ => None,
        }
    }
}

/// Nix's last error in Nix's words, with the input that it is about, then which call it was.
///
/// Of the call only what it does is told: the flags and functions of ours say nothing to a reader, and the files are gone by then.
fn explain(error: &CommandError) -> String {
    let stderr = error.stderr().map(|stderr| stderr.text());
    // Nix only says that somebody interrupted it: we did.
    let words = stderr
        .as_deref()
        .and_then(message::last_error)
        .filter(|_| !error.is_overdue());
    let Some(words) = words else {
        return error.to_string();
    };
    let mut text = message::without_prefix(&words).to_owned();
    if let Some(input) = stderr.as_deref().and_then(message::input_at_fault) {
        text = format!("{input} cannot be locked: {text}");
        if let Some(words) = stderr.as_deref().and_then(message::git_says) {
            text.push_str("\ngit: ");
            text.push_str(&words);
        }
    }
    format!("{text}\n({})", call_and_end(error))
}

/// Says which call it was, and how it ended. Nothing in it differs from run to run, as the files do that a call names.
pub(super) fn call_and_end(error: &CommandError) -> String {
    let whole = error.to_string();
    let how = whole.rsplit_once("` ").map_or("ended", |(_, how)| how);
    format!("`{}` {how}", doing(error.argv()))
}

/// Returns the words of a call that say what it does: `nix flake lock`, `nix-store --realise`.
fn doing(argv: &[String]) -> String {
    let mut words = argv.iter().map(String::as_str);
    let mut said = vec![words.next().unwrap_or_default()];
    while let Some(word) = words.next() {
        match word {
            "--extra-experimental-features" | "--log-format" => drop(words.next()),
            "--option" => drop((words.next(), words.next())),
            "--accept-flake-config" => {}
            word if said.len() == 1 => said.push(word),
            // The second word of `flake lock`, not what it works on.
            word if said.len() == 2 && word.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                said.push(word);
            }
            _ => break,
        }
    }
    said.join(" ")
}

fn unreachable_text(input: Option<&str>, words: &str, call: &CommandError) -> String {
    let which = input.map_or_else(|| "an input".to_owned(), |input| format!("input `{input}`"));
    format!(
        "{which} cannot be fetched: {words}\n({})",
        call_and_end(call)
    )
}

/// Whether Nix ran to an end of its own, so that what it was asked is to blame: not a missing program, a time
/// limit or the user's Ctrl-C. A signal from elsewhere counts, for it means that the memory ran out.
pub(super) fn ended(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::Failed { .. } | CommandError::Killed { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::StderrTail;

    #[test]
    fn a_call_is_named_by_what_it_does() {
        let table = [
            "nix --extra-experimental-features x --log-format raw flake lock git+file:///x --reference-lock-file /y",
            "nix --extra-experimental-features x --accept-flake-config --option a b eval --json /x#.",
            "nix-store --option a b --realise /x.drv",
            "nix --version",
            "nix",
        ]
        .map(|line| {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            doing(&argv)
        });
        insta::assert_snapshot!(table.join("\n"), @"
        nix flake lock
        nix eval
        nix-store --realise
        nix --version
        nix
        ");
    }

    #[test]
    fn how_a_call_ended_is_told_without_what_differs_from_run_to_run() {
        let line = "nix --log-format raw eval --json /x#. --reference-lock-file /tmp/flake-herald.a1B2c3/after.lock";
        let error = CommandError::Killed {
            argv: line.split(' ').map(str::to_owned).collect(),
            signal: 9,
            stderr: StderrTail::default(),
        };
        assert_eq!(
            call_and_end(&error),
            "`nix eval` was killed by signal 9 (SIGKILL)"
        );
    }
}
