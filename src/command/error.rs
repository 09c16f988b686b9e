//! How a command can end badly.

use std::io;
use std::path::PathBuf;
use std::str::Utf8Error;
use std::time::Duration;

use super::cancel::Stop;
use super::capture::StderrTail;

/// How many lines of stderr [`CommandError::detail`] shows: enough for the end of a build log.
pub const LINES_SHOWN: usize = 20;

/// How long a command line in a message may be, in characters.
const COMMAND_SHOWN: usize = 300;

/// What was not there when a program could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The program is not on the `PATH` that children get, or not at the path given.
    Program(String),
    /// The directory to start it in does not exist.
    Directory(PathBuf),
}

/// How a command ended badly. `Display` is one line; [`CommandError::detail`] adds the end of stderr.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program never ran.
    #[error("{} could not be started: {}", shown(argv), why_not_started(missing.as_ref(), error))]
    NotStarted {
        /// The program and its arguments.
        argv: Vec<String>,
        /// What was not there, if that is the reason.
        missing: Option<Missing>,
        /// What the operating system said; part of the message.
        error: io::Error,
    },
    /// The program ended by itself with a status other than 0.
    #[error("{} failed with status {status}", shown(argv))]
    Failed {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The exit status, 1 to 255.
        status: i32,
        /// The end of its stderr.
        stderr: StderrTail,
    },
    /// A signal that did not come from us ended the program.
    #[error("{} was killed by {}", shown(argv), signal_name(*signal))]
    Killed {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The signal's number.
        signal: i32,
        /// The end of its stderr.
        stderr: StderrTail,
    },
    /// The program took longer than it may and was ended, with all it had started.
    #[error("{} was ended after its time limit of {}", shown(argv), seconds(*limit))]
    TimedOut {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The limit it was given.
        limit: Duration,
        /// The end of its stderr.
        stderr: StderrTail,
    },
    /// The run's time was over: the program was ended with all it had started, or was not started at all.
    #[error("the run's time of {} was over before {} ended", seconds(*limit), shown(argv))]
    Overdue {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The time that the whole run may take.
        limit: Duration,
        /// The end of its stderr.
        stderr: StderrTail,
    },
    /// Who watched the program had it ended, with all it had started.
    #[error("{} was ended: {why}", shown(argv))]
    Watched {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The words of who watched it.
        why: String,
        /// The end of its stderr.
        stderr: StderrTail,
    },
    /// The run was stopped: the program was ended with all it had started, or was not started at all.
    #[error("{} was stopped by {stop}", shown(argv))]
    Cancelled {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Why the run was stopped.
        stop: Stop,
        /// The end of its stderr.
        stderr: StderrTail,
    },
    /// The program wrote more to stdout than is accepted and was ended, with all it had started.
    #[error(
        "{} was ended because it wrote more than {limit} bytes to stdout",
        shown(argv)
    )]
    TooMuchOutput {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The limit in bytes.
        limit: u64,
        /// The end of its stderr.
        stderr: StderrTail,
    },
    /// The program's output is not text.
    #[error("{} wrote something to stdout that is not UTF-8", shown(argv))]
    Unreadable {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Where it stops being UTF-8.
        source: Utf8Error,
    },
    /// Its pipes or its status could not be read; it was ended with all it had started.
    #[error("lost touch with {}: {error}", shown(argv))]
    Io {
        /// The program and its arguments.
        argv: Vec<String>,
        /// What the operating system said; part of the message.
        error: io::Error,
        /// The end of its stderr.
        stderr: StderrTail,
    },
}

impl CommandError {
    /// Returns the program and its arguments.
    pub fn argv(&self) -> &[String] {
        match self {
            Self::NotStarted { argv, .. }
            | Self::Failed { argv, .. }
            | Self::Killed { argv, .. }
            | Self::TimedOut { argv, .. }
            | Self::Overdue { argv, .. }
            | Self::Watched { argv, .. }
            | Self::Cancelled { argv, .. }
            | Self::TooMuchOutput { argv, .. }
            | Self::Unreadable { argv, .. }
            | Self::Io { argv, .. } => argv,
        }
    }

    /// Returns the end of stderr, or `None` where there can be none.
    pub fn stderr(&self) -> Option<&StderrTail> {
        match self {
            Self::NotStarted { .. } | Self::Unreadable { .. } => None,
            Self::Failed { stderr, .. }
            | Self::Killed { stderr, .. }
            | Self::TimedOut { stderr, .. }
            | Self::Overdue { stderr, .. }
            | Self::Watched { stderr, .. }
            | Self::Cancelled { stderr, .. }
            | Self::TooMuchOutput { stderr, .. }
            | Self::Io { stderr, .. } => Some(stderr),
        }
    }

    /// Returns the exit status if the program ended by itself with one.
    pub fn status(&self) -> Option<i32> {
        if let Self::Failed { status, .. } = self {
            Some(*status)
        } else {
            None
        }
    }

    /// Returns whether the program is not installed: worth a hint about how to get it.
    pub fn is_program_missing(&self) -> bool {
        matches!(
            self,
            Self::NotStarted {
                missing: Some(Missing::Program(_)),
                ..
            }
        )
    }

    /// Returns whether the run's time was over.
    pub fn is_overdue(&self) -> bool {
        matches!(self, Self::Overdue { .. })
    }

    /// Returns what the user can do about it, where that is known whatever the program is.
    pub fn hint(&self) -> Option<String> {
        self.is_overdue().then(|| {
            "give the whole run more time with --run-timeout, or find out what it waited for: -vv shows each call".to_owned()
        })
    }

    /// Returns why the run was stopped, if this is a cancellation and not a fault.
    pub fn stopped(&self) -> Option<Stop> {
        if let Self::Cancelled { stop, .. } = self {
            Some(*stop)
        } else {
            None
        }
    }

    /// Returns the message and under it the last [`LINES_SHOWN`] lines of stderr, as they came (colours included).
    pub fn detail(&self) -> String {
        let mut text = self.to_string();
        for line in self
            .stderr()
            .map(|stderr| stderr.last_lines(LINES_SHOWN))
            .unwrap_or_default()
        {
            text.push_str("\n    ");
            text.push_str(&line);
        }
        text
    }
}

/// Returns a command line for a message: quoted as a shell would need it, on one line, its middle cut out if it is long.
fn shown(argv: &[String]) -> String {
    let mut line = String::new();
    for character in shell_words::join(argv).chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    let length = line.chars().count();
    if length > COMMAND_SHOWN {
        // The beginning says which call it is; the end usually which host, derivation or file.
        let kept = COMMAND_SHOWN / 2;
        let head: String = line.chars().take(kept).collect();
        let tail: String = line.chars().skip(length - kept).collect();
        line = format!("{head} ... {tail}");
    }
    format!("`{line}`")
}

fn why_not_started(missing: Option<&Missing>, error: &io::Error) -> String {
    match missing {
        Some(Missing::Program(program)) => format!("program {program:?} not found"),
        Some(Missing::Directory(directory)) => format!("directory {directory:?} not found"),
        None => error.to_string(),
    }
}

/// Returns a duration for people: whole seconds without a fraction.
fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// Returns a signal's number with its name where it is the same number on every system that we run on.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::command::capture::Ring;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn tail(text: &str) -> StderrTail {
        let mut ring = Ring::new(1000);
        ring.push(text.as_bytes());
        ring.into_tail()
    }

    fn every_variant() -> Vec<CommandError> {
        let nix = || argv(&["nix", "eval", "--json", ".#a b"]);
        let stderr = || tail("warning: x\nerror: y\n");
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        vec![
            CommandError::NotStarted {
                argv: nix(),
                missing: Some(Missing::Program("nix".to_owned())),
                error: not_found(),
            },
            CommandError::NotStarted {
                argv: nix(),
                missing: Some(Missing::Directory("/no/where".into())),
                error: not_found(),
            },
            CommandError::NotStarted {
                argv: nix(),
                missing: None,
                error: io::ErrorKind::PermissionDenied.into(),
            },
            CommandError::Failed {
                argv: nix(),
                status: 1,
                stderr: stderr(),
            },
            CommandError::Killed {
                argv: nix(),
                signal: 9,
                stderr: stderr(),
            },
            CommandError::Killed {
                argv: nix(),
                signal: 40,
                stderr: stderr(),
            },
            CommandError::TimedOut {
                argv: nix(),
                limit: Duration::from_secs(1800),
                stderr: stderr(),
            },
            CommandError::TimedOut {
                argv: nix(),
                limit: Duration::from_millis(1250),
                stderr: stderr(),
            },
            CommandError::Overdue {
                argv: nix(),
                limit: Duration::from_secs(5400),
                stderr: stderr(),
            },
            CommandError::Cancelled {
                argv: nix(),
                stop: Stop::Terminate,
                stderr: stderr(),
            },
            CommandError::TooMuchOutput {
                argv: nix(),
                limit: 4096,
                stderr: stderr(),
            },
            CommandError::Unreadable {
                argv: nix(),
                source: String::from_utf8(b"ok\xff".to_vec())
                    .unwrap_err()
                    .utf8_error(),
            },
            CommandError::Io {
                argv: nix(),
                error: io::ErrorKind::ConnectionReset.into(),
                stderr: stderr(),
            },
        ]
    }

    #[test]
    fn every_variant_has_one_line() {
        let lines: Vec<_> = every_variant().iter().map(ToString::to_string).collect();
        assert_snapshot!(lines.join("\n"), @r#"
        `nix eval --json '.#a b'` could not be started: program "nix" not found
        `nix eval --json '.#a b'` could not be started: directory "/no/where" not found
        `nix eval --json '.#a b'` could not be started: permission denied
        `nix eval --json '.#a b'` failed with status 1
        `nix eval --json '.#a b'` was killed by signal 9 (SIGKILL)
        `nix eval --json '.#a b'` was killed by signal 40
        `nix eval --json '.#a b'` was ended after its time limit of 1800 s
        `nix eval --json '.#a b'` was ended after its time limit of 1.2 s
        the run's time of 5400 s was over before `nix eval --json '.#a b'` ended
        `nix eval --json '.#a b'` was stopped by SIGTERM
        `nix eval --json '.#a b'` was ended because it wrote more than 4096 bytes to stdout
        `nix eval --json '.#a b'` wrote something to stdout that is not UTF-8
        lost touch with `nix eval --json '.#a b'`: connection reset
        "#);
    }

    #[test]
    fn detail_adds_the_end_of_stderr() {
        let error = CommandError::Failed {
            argv: argv(&["nix", "build"]),
            status: 1,
            stderr: tail("one\n\x1b[31mtwo\x1b[0m\n\n"),
        };
        assert_eq!(
            error.detail(),
            "`nix build` failed with status 1\n    one\n    \u{1b}[31mtwo\u{1b}[0m"
        );
        let many: String = (1..=30).map(|number| format!("line {number}\n")).collect();
        let error = CommandError::Failed {
            argv: argv(&["nix"]),
            status: 1,
            stderr: tail(&many),
        };
        let lines: Vec<_> = error.detail().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 1 + LINES_SHOWN);
        assert_eq!(lines.get(1).map(String::as_str), Some("    line 11"));
    }

    #[test]
    fn accessors_say_what_happened() {
        for error in every_variant() {
            assert_eq!(error.argv(), argv(&["nix", "eval", "--json", ".#a b"]));
        }
        let missing: Vec<_> = every_variant()
            .iter()
            .map(CommandError::is_program_missing)
            .collect();
        assert_eq!(missing.iter().filter(|is| **is).count(), 1);
        let with_stderr = every_variant()
            .iter()
            .filter(|error| error.stderr().is_some())
            .count();
        assert_eq!(with_stderr, 9);
        assert_eq!(
            every_variant().iter().find_map(CommandError::status),
            Some(1)
        );
        assert_eq!(
            every_variant().iter().find_map(CommandError::stopped),
            Some(Stop::Terminate)
        );
    }

    #[test]
    fn a_long_command_line_is_cut_in_its_middle_and_stays_one_line() {
        let long: Vec<_> = (0..1000)
            .map(|number| format!("/nix/store/é{number}.drv"))
            .collect();
        let line = shown(&long);
        assert!(
            line.starts_with("`/nix/store/é0.drv ") || line.starts_with("`'/nix/store/é0.drv' "),
            "{line}"
        );
        assert!(
            line.contains(" ... ") && line.contains("é999.drv"),
            "{line}"
        );
        assert!(line.chars().count() <= COMMAND_SHOWN + 7, "{line}");
        assert_eq!(
            shown(&argv(&["nix", "--expr", "a\nb\x1b[0m"])),
            "`nix --expr 'a\\nb\\u{1b}[0m'`"
        );
    }
}
