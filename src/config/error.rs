//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::Origin;

/// Everything that is wrong with a configuration, at least one problem.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// The problems, in the order they were found.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.problems.as_slice() {
            return write!(f, "{problem}");
        }
        write!(f, "the configuration has {} problems:", self.problems.len())?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// A value is not what its key takes.
    #[error("`{key}` from {}: {reason}", .origin.phrase())]
    Value {
        /// The key.
        key: &'static str,
        /// Who set it.
        origin: Origin,
        /// What is wrong with the value, and what is allowed.
        reason: String,
    },
    /// The file has a key that there is not.
    #[error("`{}` from {origin}: there is no such key{}", .key.escape_debug(), did_you_mean(.nearest.as_deref()))]
    UnknownKey {
        /// The key as it stands there.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The key that was likely meant.
        nearest: Option<String>,
    },
    /// The key, or this word of its, does nothing in this version.
    #[error("`{key}` from {}: this version of flake-herald cannot do that yet{}", .origin.phrase(), of_word(*.word))]
    NotYet {
        /// The key.
        key: &'static str,
        /// The word, where only that does nothing.
        word: Option<&'static str>,
        /// Who set it.
        origin: Origin,
    },
    /// The file sets what it must not in a pull request's job.
    #[error(
        "`{key}` from {origin}: not allowed in a job of the event `{}`, because the file may be \
         the pull request's own; set it by a flag or the environment", .event.escape_debug()
    )]
    InPullRequest {
        /// The key.
        key: &'static str,
        /// Where it stands.
        origin: Origin,
        /// The job's event.
        event: String,
    },
    /// Two settings cannot both be had.
    #[error("`{first}` from {} and `{second}` from {} contradict each other: {why}", .first_origin.phrase(), .second_origin.phrase())]
    Contradiction {
        /// One key.
        first: &'static str,
        /// Who set it.
        first_origin: Origin,
        /// The other key.
        second: &'static str,
        /// Who set it.
        second_origin: Origin,
        /// Why, and what to do.
        why: String,
    },
    /// The command cannot do without this key.
    #[error("`{command}` needs `--{key}`")]
    Missing {
        /// The command.
        command: &'static str,
        /// The key.
        key: &'static str,
    },
    /// The configuration file cannot be read.
    #[error("cannot read {}{}: {reason}", .path.display(), .named_by.as_ref().map(|origin| format!(", named by {}", origin.phrase())).unwrap_or_default())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Who named it; none if it was looked for beside `flake.nix`.
        named_by: Option<Origin>,
        /// What reading said.
        reason: String,
    },
    /// The configuration file is not TOML.
    #[error("{origin}: {reason}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser says.
        reason: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest
        .map(|nearest| format!("; did you mean `{nearest}`?"))
        .unwrap_or_default()
}

fn of_word(word: Option<&str>) -> String {
    word.map(|word| format!(" (`{word}`)")).unwrap_or_default()
}

/// Something odd that does not stop a run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// A variable has our prefix, but none of our names.
    #[error("the environment variable {} is not known and does nothing{}", .name.escape_debug(), did_you_mean(.nearest.as_deref()))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The variable that was likely meant.
        nearest: Option<String>,
    },
}
