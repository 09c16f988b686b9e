//! Exit codes: what a pipeline may branch on; and `pages`, where a reader of an error goes on.

pub mod pages;

use crate::command::Stop;
use crate::pipeline::Error;
use crate::report::{Outcome, Report, Status};

/// At least one host's closure changes.
pub const CHANGED: u8 = 0;
/// Usage, configuration, environment, Nix, git, forge, or a fault of ours.
pub const ERROR: u8 = 1;
/// `flake.lock` does not change.
pub const LOCK_UNCHANGED: u8 = 2;
/// `flake.lock` changes, and every host is proved unchanged.
pub const CLOSURES_UNCHANGED: u8 = 3;
/// As 0 or 3, but the update breaks a host.
pub const BROKEN: u8 = 4;
/// Stopped by SIGHUP: 128 and the signal's number, as shells have it.
pub const HANGUP: u8 = 129;
/// Stopped by SIGINT.
pub const INTERRUPTED: u8 = 130;
/// Stopped by SIGTERM.
pub const TERMINATED: u8 = 143;

/// Returns the code for what ended a run.
pub fn of_error(error: &Error) -> u8 {
    match error.stopped() {
        Some(Stop::Hangup) => HANGUP,
        Some(Stop::Interrupt) => INTERRUPTED,
        Some(Stop::Terminate) => TERMINATED,
        None => ERROR,
    }
}

/// `diff --exit-code`: nothing changes. The codes are those of diff(1).
pub const SAME: u8 = 0;
/// `diff --exit-code`: something changes.
pub const DIFFERENT: u8 = 1;
/// `diff --exit-code`: an error, which elsewhere is [`ERROR`].
pub const TROUBLE: u8 = 2;

/// Returns the code for a comparison in which nothing changes, or something; 0 for both unless the code is `asked` for.
pub fn of_comparison(same: bool, asked: bool) -> u8 {
    if same || !asked { SAME } else { DIFFERENT }
}

/// Returns the code that stands for `code` where [`ERROR`] would say that something changes.
pub fn in_comparison(code: u8) -> u8 {
    if code == ERROR { TROUBLE } else { code }
}

/// What the codes of `run`, `report` and `publish` say, for whoever documents them.
pub const OF_REPORTS: &[(u8, &str)] = &[
    (CHANGED, "At least one host's closure changes."),
    (
        ERROR,
        "An error: usage, configuration, environment, Nix, git, the forge.",
    ),
    (LOCK_UNCHANGED, "flake.lock does not change."),
    (
        CLOSURES_UNCHANGED,
        "flake.lock changes, and every host is proved unchanged.",
    ),
    (
        BROKEN,
        "As 0 or 3, but the update breaks at least one host (--fail-on any: also one that was broken before; never: not used).",
    ),
];

/// What the codes of `lock` say.
pub const OF_LOCK: &[(u8, &str)] = &[
    (CHANGED, "The new lock is staged."),
    (ERROR, "An error."),
    (
        LOCK_UNCHANGED,
        "flake.lock does not change; the file is written all the same.",
    ),
];

/// What the codes of `diff` say.
pub const OF_DIFF: &[(u8, &str)] = &[
    (
        SAME,
        "Nothing changes; without --exit-code also where something does.",
    ),
    (
        DIFFERENT,
        "With --exit-code, something changes; without it, an error.",
    ),
    (TROUBLE, "With --exit-code, an error."),
];

/// What the codes of all other commands say.
pub const OF_OTHERS: &[(u8, &str)] = &[(CHANGED, "All is well."), (ERROR, "An error.")];

/// What the codes of a command say that was stopped.
pub const OF_SIGNALS: &[(u8, &str)] = &[
    (HANGUP, "Stopped by SIGHUP."),
    (INTERRUPTED, "Stopped by SIGINT."),
    (TERMINATED, "Stopped by SIGTERM."),
];

/// Which broken hosts make a run end in [`BROKEN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    /// Those the update breaks.
    Broken,
    /// Those that are broken after it, also if they were before.
    Any,
    /// None.
    Never,
}

/// Returns the code for a report.
///
/// Where hosts differ and not one could be checked, nothing is known: that is an error, not a change.
pub fn of_report(report: &Report, fail_on: FailOn) -> u8 {
    let any = |status: Status| report.with_status(status).next().is_some();
    if report.outcome == Outcome::LockUnchanged {
        return LOCK_UNCHANGED;
    }
    if nothing_checked(report) {
        return ERROR;
    }
    let broken = match fail_on {
        FailOn::Broken => any(Status::Broken),
        FailOn::Any => any(Status::Broken) || any(Status::AlreadyBroken),
        FailOn::Never => false,
    };
    match report.outcome {
        _ if broken => BROKEN,
        Outcome::ClosuresUnchanged => CLOSURES_UNCHANGED,
        Outcome::Changed | Outcome::LockUnchanged => CHANGED,
    }
}

/// Returns whether every host is skipped or unknown.
pub fn nothing_checked(report: &Report) -> bool {
    !report.hosts.is_empty()
        && report
            .hosts
            .iter()
            .all(|host| matches!(host.status, Status::Skipped | Status::Unknown))
}
