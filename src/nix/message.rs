//! What Nix says on stderr, read by pure functions.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::command::CommandError;

/// Returns the message of the error that ended a call: from its last `error:` line to the end.
///
/// A trace stands before it, and on 2.34 its substance may stand on the lines below it. Indentation is
/// taken off. None where Nix named no error.
pub(super) fn last_error(stderr: &str) -> Option<String> {
    let clean = plain(stderr);
    let lines: Vec<&str> = clean.lines().collect();
    let start = lines
        .iter()
        .rposition(|line| line.trim_start().starts_with("error:"))?;
    let block = lines.get(start..)?;
    let text = dedent(block);
    Some(text.trim_end().to_owned())
}

/// Returns the message without Nix's own `error:` before it.
pub(super) fn without_prefix(message: &str) -> &str {
    message
        .strip_prefix("error:")
        .map_or(message, str::trim_start)
}

/// Returns what to do about an error, where Nix's words are known to have one cause.
pub(super) fn hint(stderr: &str) -> Option<String> {
    const KNOWN: [(&str, &str); 16] = [
        // Nix goes on without what git would have fetched, and ends with another error.
        ("executing 'git': No such file", NO_GIT),
        ("executing \"git\": No such file", NO_GIT),
        (
            "is not owned by current user",
            "the checkout belongs to another user: `git config --global --add safe.directory DIR`",
        ),
        (
            "does not contain a 'flake.nix'",
            "say where the flake is with --flake DIR",
        ),
        (
            "is not tracked by Git",
            "Nix sees only files that git knows: `git add` them",
        ),
        (
            "requires lock file changes but they're not allowed",
            "flake.nix asks for inputs that the given lock does not have: make it anew for this flake.nix (`flake-herald lock -o FILE`)",
        ),
        (
            "has unsupported version",
            "the lock was written by a Nix older than 2.4: run `nix flake update` once with a current Nix",
        ),
        ("/db/big-lock': Permission denied", NO_STORE),
        ("cannot connect to socket", NO_DAEMON),
        (
            "is not in the Nix store",
            "this Nix has its paths in another directory; NIX_STORE_DIR and NIX_REMOTE say which store it uses",
        ),
        (
            "No space left on device",
            "make room, for Nix's store (`nix-collect-garbage`) and where TMPDIR says",
        ),
        (
            "in the flake registries",
            "give the input a `url` in flake.nix; an argument of `outputs` that is no input is looked for in the registries too",
        ),
        (
            "function 'outputs' called with unexpected argument",
            "let `outputs` take `...` too: it is called with `self` and every input",
        ),
        (
            "is forbidden in pure evaluation mode",
            "a flake sees its own files and its inputs only: that file has to be among them",
        ),
        ("does not exist in Git repository", UNTRACKED),
        (
            "syntax error in configuration line",
            "that is Nix's own configuration: nix.conf, or the variable NIX_CONFIG",
        ),
    ];
    let stderr = plain(stderr);
    if is_daemon_closed(&stderr) {
        return Some(CLOSED_DAEMON.to_owned());
    }
    if let Some((_, hint)) = KNOWN.iter().find(|(words, _)| stderr.contains(words)) {
        return Some((*hint).to_owned());
    }
    // What follows is in the way that something failed, or only warned of.
    let error = last_error(&stderr)?;
    let hint = if error.contains("-source/") && error.contains("' does not exist") {
        // Up to 2.2x a flake is copied to the store first.
        UNTRACKED
    } else if refuses_setting(without_prefix(&error)) {
        "that is Nix's own configuration: nix.conf, or the variable NIX_CONFIG"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

const NO_GIT: &str = "Nix fetches with git, which must be installed and on PATH";

const NO_DAEMON: &str = "the Nix daemon is not running: `systemctl start nix-daemon`; a container without one needs the host's socket \
                         in it, or a store of its own and NIX_REMOTE=local";

const CLOSED_DAEMON: &str = "this user may not speak to the Nix daemon: let it into the socket's directory, and name it in `allowed-users` of \
                             the daemon's nix.conf";

const NO_STORE: &str = "the Nix store belongs to another user: run as that one, or through its daemon (NIX_REMOTE=daemon)";

/// Whether there is a daemon that this user may not speak to.
fn is_daemon_closed(stderr: &str) -> bool {
    let refused = |line: &str| {
        line.contains("cannot connect to socket") && line.contains("Permission denied")
    };
    stderr.lines().any(refused)
}

/// Whether Nix's words say that the store is out of reach for whoever runs it.
pub(super) fn is_out_of_reach(stderr: &str) -> bool {
    hint(stderr).is_some_and(|hint| [NO_DAEMON, CLOSED_DAEMON, NO_STORE].contains(&hint.as_str()))
}

const UNTRACKED: &str = "Nix sees only files that git knows: if it is there, `git add` it; if not, flake.nix names it wrongly";

/// Whether a text is what Nix says of a setting's value that is none: "configuration setting 'max-jobs' should be 'auto' or an
/// integer", "Boolean setting 'fsync-metadata' has invalid value 'perhaps'".
fn refuses_setting(text: &str) -> bool {
    text.lines().next().is_some_and(|line| {
        line.split_once("setting '").is_some_and(|(before, after)| {
            !before.contains('\'')
                && (after.contains("' should be ") || after.contains("' has invalid value "))
        })
    })
}

/// How the trace before an error begins to say which input of the flake Nix was at, as seen from the root.
const AT_INPUT: &str = "… while updating the flake input '";

/// How it begins to say which address was being fetched.
const FETCHING: &str = "… while fetching the input '";

/// Returns what the last line of a trace that begins with `words`, which end in a quotation mark, has between the marks.
fn traced<'a>(trace: &[&'a str], words: &str) -> Option<&'a str> {
    let told = trace
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix(words))?;
    Some(told.strip_suffix('\'').unwrap_or(told))
}

/// Returns which input of the flake a call failed at, as the trace before the error has it: its name, and its URL where it
/// came to fetching it.
pub(super) fn input_at_fault(stderr: &str) -> Option<String> {
    let clean = plain(stderr);
    let trace: Vec<&str> = clean.lines().map(str::trim_start).collect();
    let name = traced(&trace, AT_INPUT)?;
    Some(match traced(&trace, FETCHING) {
        Some(url) => format!("the input `{name}` ({url})"),
        None => format!("the input `{name}`"),
    })
}

/// Returns what git gave up with, which Nix passes on and then forgets: up to 2.26 the reason stands in git's words only, and Nix
/// goes on to miss what was not fetched.
pub(super) fn git_says(stderr: &str) -> Option<String> {
    /// These come of another, which stands before them.
    const CONSEQUENCES: [&str; 2] = [
        "Refusing to point HEAD",
        "Could not read from remote repository",
    ];
    let clean = plain(stderr);
    clean
        .lines()
        // The last: Nix may have gone on after what stands before it.
        .rev()
        .filter_map(|line| line.strip_prefix("fatal: "))
        .find(|words| !CONSEQUENCES.iter().any(|start| words.starts_with(start)))
        .map(str::to_owned)
}

/// An input that cannot be fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreachable {
    /// The input, as seen from the root, where the trace names it.
    pub(super) input: Option<String>,
    /// Why, on one line.
    pub(super) words: String,
}

/// Returns which input could not be fetched, where that is what ended a call.
///
/// A flake that was fetched and is wrong, a lock that lies about a hash and a full disk are something else.
pub(super) fn unreachable(stderr: &str) -> Option<Unreachable> {
    const ELSE: [&str; 2] = ["cannot connect to socket", "NAR hash mismatch"];
    let clean = plain(stderr);
    // The message has its own trace, and only that speaks of what ended the call.
    let trace: Vec<&str> = clean.lines().map(str::trim_start).collect();
    let from = trace
        .iter()
        .rposition(|line| line.starts_with("… while updating the lock file"))
        .unwrap_or(0);
    let trace = trace.get(from..).unwrap_or_default();
    let fetching = |line: &&str| {
        line.starts_with(FETCHING)
            || line.contains("in the flake registries") && line.contains("cannot find flake")
    };
    let is_else = ELSE.iter().any(|words| clean.contains(words)) || exhausted(&clean).is_some();
    if is_else || !trace.iter().any(fetching) {
        return None;
    }
    let last = last_error(&clean)?;
    let last = without_prefix(&last).replace('\n', " ");
    Some(Unreachable {
        // The flake's own input stands first, then the input of that one.
        input: traced(trace, AT_INPUT).map(str::to_owned),
        words: match git_says(&clean) {
            Some(words) => format!("{words}; {last}"),
            None => last,
        },
    })
}

/// Whether a call failed only because another one was making the same new store at that moment.
pub(super) fn is_new_store_race(error: &CommandError) -> bool {
    error.stderr().is_some_and(|stderr| {
        let text = stderr.text();
        text.contains("is busy") && text.contains("SQLite")
            || text.contains("creating symlink") && text.contains("File exists")
    })
}

/// Whether an error says that the surroundings failed, not what was evaluated or built: the disk is full, the
/// daemon or the network is gone.
pub(super) fn is_environmental(text: &str) -> bool {
    const WORDS: [&str; 8] = [
        "cannot connect to socket",
        "Connection refused",
        "Connection reset by peer",
        "unable to download",
        "Could not resolve host",
        "failed to fetch git repository",
        "Failed to fetch git repository",
        "unable to read from remote",
    ];
    exhausted(text).is_some()
        || is_out_of_memory(text)
        || WORDS.iter().any(|words| text.contains(words))
}

/// Whether an error says that a build took longer than it may, which evaluating waited for.
pub(super) fn is_timeout(error: &str) -> bool {
    let error = without_prefix(error);
    error.starts_with("timed out after ") || error.contains(" from .drv file timed out after ")
}

/// Says what the machine ran out of, where a text tells: in a build's own log as well as in Nix's errors. To be read after
/// "the build of X".
pub(super) fn exhausted(text: &str) -> Option<&'static str> {
    const DISK: [&str; 4] = [
        "No space left on device",
        "Disk quota exceeded",
        // SQLite, of Nix's database.
        "database or disk is full",
        // Nix's own guess, below a build that failed on a disk with less than 8 MiB.
        "caused by lack of free disk space",
    ];
    const MEMORY: [&str; 3] = [
        "Cannot allocate memory",
        "virtual memory exhausted",
        // The compiler driver of GCC, when the kernel has killed the compiler.
        "Killed signal terminated program",
    ];
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if has(&DISK) {
        Some("found the disk full")
    } else if has(&MEMORY) {
        Some("ran out of memory")
    } else {
        None
    }
}

/// Whether an error of Nix says that its own memory ran out, in `malloc`'s words or its garbage collector's.
pub(super) fn is_out_of_memory(text: &str) -> bool {
    ["Cannot allocate memory", "out of memory"]
        .iter()
        .any(|words| text.contains(words))
}

/// Returns the system that a derivation needed while evaluating, where nothing here builds for it.
///
/// "a 'aarch64-linux' with features {} is required to build …" up to 2.2x, "Required system: 'aarch64-linux'" later.
pub(super) fn missing_system(text: &str) -> Option<&str> {
    if let Some((_, after)) = text.split_once("Required system: '") {
        return after.split('\'').next();
    }
    let (before, after) = text.split_once("' with features {")?;
    after
        .contains("is required to build")
        .then(|| before.rsplit('\'').next())
        .flatten()
}

/// Takes escape sequences (colours) out of a text. Other control characters stay.
pub(super) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Removes the indentation that all lines share, the first one's own aside.
fn dedent(lines: &[&str]) -> String {
    let Some((first, rest)) = lines.split_first() else {
        return String::new();
    };
    let shared = rest
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let mut out = first.trim_start().to_owned();
    for line in rest {
        out.push('\n');
        out.push_str(line.get(shared..).unwrap_or("").trim_end());
    }
    out
}

/// The warnings of Nix that change what a reader may conclude from a report. Shared by clones.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<BTreeSet<String>>>);

impl Warnings {
    /// Beginnings of the warnings worth passing on, after `warning: `.
    ///
    /// Settings of a client the daemon does not trust are dropped with status 0: a fleet with a cache of
    /// its own would then build the world without anybody being told why.
    const WORTH: [&'static str; 4] = [
        "ignoring the client-specified setting",
        "ignoring untrusted flake configuration setting",
        "ignoring untrusted substituter",
        // A setting with a typo would be obeyed by nobody.
        "unknown setting",
    ];

    /// Keeps the warnings of `stderr` that are worth it.
    pub(super) fn read(&self, stderr: &[u8]) {
        let text = plain(&String::from_utf8_lossy(stderr));
        for line in text.lines() {
            let Some(warning) = line.trim_start().strip_prefix("warning: ") else {
                continue;
            };
            // 2.26 calls it an error too, and goes on all the same.
            let warning = warning.strip_prefix("error: ").unwrap_or(warning);
            if Self::WORTH.iter().any(|start| warning.starts_with(start))
                || refuses_setting(warning)
            {
                self.add(format!("Nix: {warning}"));
            }
        }
    }

    /// Keeps a warning of our own.
    pub(super) fn add(&self, warning: String) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(warning);
    }

    /// Returns the warnings kept, sorted.
    pub(super) fn seen(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! sample {
        ($version:literal, $name:literal) => {
            include_str!(concat!("../../fixtures/nix/", $version, "/", $name, ".err"))
        };
    }

    #[test]
    fn a_build_that_evaluating_waited_for_too_long_is_told_in_every_version() {
        let late = "building of '/D/nix/store/x.drv^out' from .drv file timed out after 2 seconds";
        for text in [
            "timed out after 2 seconds",
            "error: timed out after 2 seconds",
            late,
        ] {
            assert!(is_timeout(text), "{text}");
        }
        assert!(!is_timeout(
            "error: `services.x` has timed out after 3 releases"
        ));
    }

    #[test]
    fn the_last_error_is_the_one_that_counts() {
        let messages: Vec<String> = [
            sample!("2.26.3", "eval-fail-one"),
            sample!("2.34.8", "eval-fail-one"),
            sample!("2.26.3", "syntax-error"),
            sample!("2.34.8", "syntax-error"),
            sample!("2.34.8", "hash-mismatch"),
            "no such thing",
        ]
        .iter()
        .map(|stderr| format!("{:?}", last_error(stderr)))
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @r#"
        Some("error: gnome-shell has been removed, as it was unmaintained")
        Some("error: gnome-shell has been removed, as it was unmaintained")
        Some("error: syntax error, unexpected ';'\nat «string»:1:7:\n     1| { a = ; }\n      |       ^")
        Some("error: syntax error, unexpected ';'\nat «string»:1:7:\n     1| { a = ; }\n      |       ^")
        Some("error: hash mismatch in fixed-output derivation '/D/nix/store/4zx8v8qw9a58hcbyympq4gpl2wqrd3wk-src-1.drv':\nspecified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n   got:    sha256-mOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=")
        None
        "#);
    }

    #[test]
    fn the_missing_system_is_named_by_every_version() {
        for stderr in [
            sample!("2.26.3", "platform-mismatch"),
            sample!("2.34.8", "platform-mismatch"),
        ] {
            assert_eq!(missing_system(stderr), Some("aarch64-linux"));
        }
        assert_eq!(
            missing_system("a 'thing' with features {} is missing"),
            None
        );
        assert_eq!(missing_system(sample!("2.34.8", "hash-mismatch")), None);
    }

    #[test]
    fn an_input_that_cannot_be_fetched_is_named() {
        let trace = |rest: &str| {
            format!(
                "unpacking 'x'\nerror:\n       … while updating the lock file of flake 'git+file:///f'\n\n{rest}"
            )
        };
        let input = |name: &str| format!("       … while updating the flake input '{name}'\n\n");
        let fetch = "       … while fetching the input 'git+https://h/x'\n\n";
        let told = |stderr: &str| match unreachable(stderr) {
            Some(Unreachable { input, words }) => {
                format!("{}: {words}", input.unwrap_or_else(|| "?".to_owned()))
            }
            None => "none".to_owned(),
        };
        let table = [
            trace(&format!(
                "{}{fetch}       error: Failed to fetch git repository 'https://h/x'\n",
                input("a")
            )),
            // 2.26 goes on to miss what was not fetched, and git's own words stand before.
            format!(
                "fatal: unable to access 'https://h/y/': earlier\nfatal: unable to access 'https://h/x/': Could not resolve host\n\
                 fatal: Refusing to point HEAD outside of refs/\nwarning: could not update cached head\n{}",
                trace(&format!(
                    "{}{fetch}       error: resolving Git reference 'master': revspec 'master' not found\n",
                    input("a")
                ))
            ),
            trace(&format!(
                "{}{}{fetch}       error: unable to download 'https://h/x':\n         HTTP error 404\n",
                input("sub"),
                input("sub/hw")
            )),
            trace(&format!(
                "{}       error: cannot find flake 'flake:foo' in the flake registries\n",
                input("foo")
            )),
            format!("error:\n       {fetch}       error: no trace\n"),
            // While evaluating, of an input that is locked.
            format!(
                "fatal: repository 'https://h/x/' not found\nerror:\n       {fetch}       error: no such revision\n"
            ),
            // Not a matter of reaching it.
            trace(&format!("{}       error: syntax error\n", input("a"))),
            trace(&format!(
                "{}{fetch}       error: NAR hash mismatch in input 'x'\n",
                input("a")
            )),
            trace(&format!(
                "{}{fetch}       error: writing to file: No space left on device\n",
                input("a")
            )),
            "error: nothing of the sort".to_owned(),
        ]
        .map(|stderr| told(&stderr));
        insta::assert_snapshot!(table.join("\n"), @"
        a: Failed to fetch git repository 'https://h/x'
        a: unable to access 'https://h/x/': Could not resolve host; resolving Git reference 'master': revspec 'master' not found
        sub/hw: unable to download 'https://h/x': HTTP error 404
        foo: cannot find flake 'flake:foo' in the flake registries
        ?: no trace
        ?: repository 'https://h/x/' not found; no such revision
        none
        none
        none
        none
        ");
    }

    #[test]
    fn the_input_that_a_call_failed_at_is_named() {
        let trace = "error:\n       … while updating the lock file of flake 'git+file:///x'\n\n       \
            … while updating the flake input 'nixpkgs'\n\n       \
            … while fetching the input 'git+file:///y'\n\n       error: revspec 'master' not found\n";
        assert_eq!(
            input_at_fault(trace).as_deref(),
            Some("the input `nixpkgs` (git+file:///y)")
        );
        let (before, _) = trace.split_once("       … while fetching").unwrap();
        assert_eq!(
            input_at_fault(before).as_deref(),
            Some("the input `nixpkgs`")
        );
        assert_eq!(input_at_fault("error: no"), None);
    }

    #[test]
    fn a_setting_that_is_ignored_is_told_from_one_that_ends_the_call() {
        let ignored = "warning: error: configuration setting 'max-jobs' should be 'auto' or an integer\n\
            warning: Boolean setting 'fsync-metadata' has invalid value 'perhaps'\n";
        let warnings = Warnings::default();
        warnings.read(ignored.as_bytes());
        insta::assert_snapshot!(warnings.seen().join("\n"), @"
        Nix: Boolean setting 'fsync-metadata' has invalid value 'perhaps'
        Nix: configuration setting 'max-jobs' should be 'auto' or an integer
        ");
        assert_eq!(hint(&format!("{ignored}error: it throws")), None);
        assert!(hint("error: configuration setting 'max-jobs' should be 'auto' or an integer\nTry 'nix --help'").is_some());
        // Words of a flake about a setting of its own.
        assert!(!refuses_setting(
            "the option 'x' of setting 'y' should be z"
        ));
    }

    #[test]
    fn warnings_worth_a_reader_are_kept_once() {
        let warnings = Warnings::default();
        for _ in 0..2 {
            warnings.read(
                b"warning: Git tree '/x' is dirty\n\
                  \x1b[35;1mwarning:\x1b[0m ignoring untrusted flake configuration setting 'extra-substituters'.\n\
                  warning: ignoring the client-specified setting 'builders', because it is a restricted setting\n",
            );
        }
        insta::assert_snapshot!(warnings.seen().join("\n"), @"
        Nix: ignoring the client-specified setting 'builders', because it is a restricted setting
        Nix: ignoring untrusted flake configuration setting 'extra-substituters'.
        ");
    }

    /// What 2.26.3 and 2.34.8 say where the store is not for who asks.
    #[test]
    fn a_store_out_of_reach_is_told_from_a_daemon_that_is_not_there() {
        let table = [
            "error: opening lock file '/nix/var/nix/db/big-lock': Permission denied",
            "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Permission denied",
            "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': No such file or directory",
            "error: opening file '/etc/secret': Permission denied",
        ]
        .map(|words| {
            assert_eq!(is_out_of_reach(words), hint(words).is_some(), "{words}");
            hint(words).unwrap_or_default()
        });
        insta::assert_snapshot!(table.join("\n"), @"
        the Nix store belongs to another user: run as that one, or through its daemon (NIX_REMOTE=daemon)
        this user may not speak to the Nix daemon: let it into the socket's directory, and name it in `allowed-users` of the daemon's nix.conf
        the Nix daemon is not running: `systemctl start nix-daemon`; a container without one needs the host's socket in it, or a store of its own and NIX_REMOTE=local
        ");
    }
}
