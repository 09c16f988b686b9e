//! What a report says of the pull request that carries it.

use serde::Serialize;

/// What became of the pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PullRequestInfo {
    /// What was done.
    pub operation: Operation,
    /// Its number, where there is one.
    pub number: Option<u64>,
    /// Its page.
    pub url: Option<String>,
    /// The branch it comes from.
    pub branch: String,
    /// The branch it goes to.
    pub base: String,
    /// The commit that was pushed; null where nothing was.
    pub commit: Option<String>,
    /// What did not work, or works otherwise than people expect.
    pub warnings: Vec<String>,
}

/// What was done with the pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It was opened.
    Created,
    /// It was brought up to date.
    Updated,
    /// It was right as it was.
    Unchanged,
    /// It was closed, because there was nothing left to say.
    Closed,
    /// It was left alone, because its branch is not ours alone.
    Blocked,
    /// It was not opened, because somebody closed one with this very lock.
    Declined,
    /// It was left alone, because of the hold label.
    Held,
    /// Nothing was done, because the base's lock has moved.
    Stale,
    /// There is none, and none was called for.
    None,
}

impl Operation {
    /// Returns the word used in reports and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Closed => "closed",
            Self::Blocked => "blocked",
            Self::Declined => "declined",
            Self::Held => "held",
            Self::Stale => "stale",
            Self::None => "none",
        }
    }
}

impl PullRequestInfo {
    /// Says in a line what was done.
    pub fn sentence(&self) -> String {
        let which = match (self.number, &self.url) {
            (Some(number), Some(url)) => format!("pull request #{number} ({url})"),
            (Some(number), None) => format!("pull request #{number}"),
            (None, _) => "no pull request".to_owned(),
        };
        match self.operation {
            Operation::None => format!("there is nothing to publish, and {which} is open"),
            Operation::Unchanged => format!("{which} is up to date"),
            Operation::Declined => "the pull request stays closed".to_owned(),
            Operation::Blocked | Operation::Held | Operation::Stale => {
                format!("{which} was left alone ({})", self.operation.as_str())
            }
            Operation::Created | Operation::Updated | Operation::Closed => {
                format!("{which} was {}", self.operation.as_str())
            }
        }
    }
}
