//! Which page of the documentation has what mends an error.
//!
//! A hint is one sentence. Where a setting of the forge, a choice between tokens or a table is behind it, the page has the rest.
//! Errors whose hint is all there is to say lead nowhere, and so do slips on the command line.

use std::fmt;

use crate::config::{ConfigError, Problem};
use crate::flake::NoHost;
use crate::forge::{ForgeError, Held};
use crate::git::{GitError, TransportError, Why};
use crate::nix::NixError;
use crate::pipeline::{Error, PublishError};

/// Where the pages are: the project's home, and the branch that is current.
const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/src/branch/main/");

/// A page, or a section of one. `Display` is its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// What stops a first run, in a table.
    WhatStops,
    /// Which versions of Nix, and of what else calls itself so.
    WhichNix,
    /// What a forge's refusals of a token or a key mean.
    Tokens,
    /// What GitHub has to be told once.
    GithubSettings,
    /// What keeps a commit from being signed.
    Signing,
    /// What is wrong with reports of several jobs.
    Matrix,
    /// What can be said of a lock that somebody else made.
    OthersLocks,
    /// What templates know.
    Templates,
    /// Every key of the configuration.
    Configuration,
}

impl Page {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WhatStops,
        Self::WhichNix,
        Self::Tokens,
        Self::GithubSettings,
        Self::Signing,
        Self::Matrix,
        Self::OthersLocks,
        Self::Templates,
        Self::Configuration,
    ];

    /// Returns the page's path in the repository, with the section that is meant.
    pub fn path(self) -> &'static str {
        match self {
            Self::WhatStops => "docs/first-run.md#what-stops-it",
            Self::WhichNix => "docs/first-run.md#which-nix",
            Self::Tokens => "docs/tokens.md#when-it-is-refused",
            Self::GithubSettings => "docs/github.md#what-must-be-allowed",
            Self::Signing => "docs/signing.md#when-it-cannot-be-signed",
            Self::Matrix => "docs/matrix.md#when-it-stops",
            Self::OthersLocks => "docs/dependabot.md#report-on-their-pull-requests",
            Self::Templates => "docs/templates.md",
            Self::Configuration => "docs/configuration.md",
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DOCS}{}", self.path())
    }
}

/// Returns the page for what ended a run.
pub fn of_error(error: &Error) -> Option<Page> {
    match error {
        Error::NoFlake { .. } | Error::UntrackedFlake(_) | Error::NothingChecked { .. } => {
            Some(Page::WhatStops)
        }
        Error::NoHost(error) => of_no_host(error),
        Error::Nix(error) => of_nix(error),
        Error::Git(error) => of_git(error),
        Error::Publish(error) => of_publishing(error),
        Error::Plan(_) => Some(Page::Matrix),
        _ => None,
    }
}

/// Returns the page for a configuration that is none: where a key is spelled wrongly, all of them are worth a look.
pub fn of_configuration(error: &ConfigError) -> Option<Page> {
    let misspelt = |problem: &Problem| matches!(problem, Problem::UnknownKey { .. });
    error
        .problems
        .iter()
        .any(misspelt)
        .then_some(Page::Configuration)
}

fn of_no_host(error: &NoHost) -> Option<Page> {
    match error {
        NoHost::InFlake { .. } | NoHost::AllExcluded { .. } => Some(Page::WhatStops),
        // A pattern that somebody typed.
        NoHost::Matching { .. } | NoHost::OtherKind { .. } => None,
    }
}

fn of_nix(error: &NixError) -> Option<Page> {
    match error {
        NixError::Command(command) if command.is_program_missing() => Some(Page::WhichNix),
        NixError::TooOld { .. } | NixError::Lacks { .. } => Some(Page::WhichNix),
        NixError::StaleLock => Some(Page::OthersLocks),
        // A private one, as a rule.
        NixError::Unreachable { .. } if !error.has_one_cause() => Some(Page::WhatStops),
        _ if error.is_out_of_reach() => Some(Page::WhatStops),
        _ => None,
    }
}

fn of_git(error: &GitError) -> Option<Page> {
    match error {
        GitError::NoKey | GitError::NoSigner(_) | GitError::KeyFile { .. } | GitError::Sign(_) => {
            Some(Page::Signing)
        }
        _ => None,
    }
}

fn of_publishing(error: &PublishError) -> Option<Page> {
    match error {
        PublishError::Forge(error) => of_forge(error),
        PublishError::Transport(error) => of_transport(error),
        PublishError::Git(error) => of_git(error),
        PublishError::NoToken { .. } | PublishError::MayNotPush(_) => Some(Page::Tokens),
        PublishError::Template(_) => Some(Page::Templates),
        PublishError::Merge(_)
        | PublishError::NoReports(_)
        | PublishError::OtherCommit { .. }
        | PublishError::NoReportedCommit
        | PublishError::OtherLock { .. }
        | PublishError::Distrust(_)
        | PublishError::OtherInputs => Some(Page::Matrix),
        _ => None,
    }
}

fn of_forge(error: &ForgeError) -> Option<Page> {
    match error {
        ForgeError::ActionsMayNotOpen(_) => Some(Page::GithubSettings),
        ForgeError::Unauthorized(_)
        | ForgeError::Forbidden { .. }
        | ForgeError::PrivateNeedsToken(_)
        | ForgeError::NotFound { .. } => Some(Page::Tokens),
        // A token of one's own has a limit of its own.
        ForgeError::RateLimited { call, .. } if call.held != Held::Given => Some(Page::Tokens),
        _ => None,
    }
}

fn of_transport(error: &TransportError) -> Option<Page> {
    match error.why()? {
        Why::Workflows
        | Why::ReadOnlyKey
        | Why::NoRights
        | Why::BadCredentials
        | Why::NoKey
        | Why::HostKey
        | Why::NotFound => Some(Page::Tokens),
        _ => None,
    }
}
