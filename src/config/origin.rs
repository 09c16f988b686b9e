//! Where a value came from.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

/// Where a value came from, in the order of precedence: the later overrules the earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A variable that the runner of a forge sets for its jobs, by name.
    Runner(String),
    /// The configuration file.
    File {
        /// The file, as it was found.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment, by name.
    Environment(String),
    /// A flag, by its long name without dashes.
    Flag(&'static str),
}

impl Origin {
    /// Returns a place in the row of layers, whatever the name or line.
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Runner(_) => 1,
            Self::File { .. } => 2,
            Self::Environment(_) => 3,
            Self::Flag(_) => 4,
        }
    }

    /// Returns whether this layer overrules the other's: a flag a variable, a variable the file.
    pub fn overrules(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    /// Returns the origin as it stands in a sentence, with its article.
    pub fn phrase(&self) -> String {
        match self {
            Self::File { .. } => self.to_string(),
            Self::Default | Self::Runner(_) | Self::Environment(_) | Self::Flag(_) => {
                format!("the {self}")
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Runner(name) => write!(f, "runner's variable {name}"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// A value that knows where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// Returns the value, which nobody set.
    pub fn by_default(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
        }
    }

    /// Returns whether somebody set the value.
    pub fn is_set(&self) -> bool {
        self.origin != Origin::Default
    }
}

impl<T> Deref for Sourced<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
