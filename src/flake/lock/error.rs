//! What can be wrong with a `flake.lock`.

use super::InputPath;

/// Why a `flake.lock` cannot be used.
///
/// Each message goes on where "flake.lock" or a path left off: "flake.lock has unsupported version 3".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The file ends before the JSON does, or is empty.
    #[error("is truncated: the JSON ends too early, in line {line}")]
    Truncated {
        /// The line in which the file ends, counted from 1.
        line: usize,
    },

    /// A merge was committed, or is going on, without being resolved.
    #[error("has merge conflict markers, the first one in line {line}")]
    Conflict {
        /// The line of the first marker, counted from 1.
        line: usize,
    },

    /// The file is not JSON.
    #[error("is not JSON: {0}")]
    Json(serde_json::Error),

    /// The file is JSON, but a part of it is not what it has to be.
    #[error("is malformed: {part} is not {expected}")]
    Malformed {
        /// The part: `root`, or `locked` of a node.
        part: String,
        /// What it should have been.
        expected: &'static str,
    },

    /// The format is older or newer than what can be read: versions 5, 6 and 7, as in Nix itself.
    #[error("has unsupported version {version}")]
    Version {
        /// The version it claims; 0 if it claims none.
        version: i64,
    },

    /// The node that `root` names is not there.
    #[error("has no root node '{key}'")]
    MissingRoot {
        /// The name of the root node.
        key: String,
    },

    /// A node's input refers to a node that is not there.
    #[error("references missing node '{target}' (input '{input}' of node '{node}')")]
    MissingNode {
        /// The node with the reference.
        node: String,
        /// The input of that node.
        input: String,
        /// The node that is not there.
        target: String,
    },

    /// A node's input refers to the root node.
    #[error("contains cycle to root node (input '{input}' of node '{node}')")]
    CycleToRoot {
        /// The node with the reference.
        node: String,
        /// The input of that node.
        input: String,
    },

    /// A node lacks an attribute that every node, or every input of its type, has.
    #[error("is malformed: attribute '{attribute}' is missing in '{part}' of node '{node}'")]
    MissingAttribute {
        /// The node.
        node: String,
        /// `locked` or `original`.
        part: &'static str,
        /// The attribute.
        attribute: &'static str,
    },

    /// An input follows another one that is not there.
    #[error(
        "has an input '{input}' of node '{node}' that follows a non-existent input '{follows}'"
    )]
    FollowsNowhere {
        /// The node with the input.
        node: String,
        /// The input.
        input: String,
        /// What it follows.
        follows: InputPath,
    },

    /// An input follows, perhaps through others, itself.
    #[error(
        "has a follow cycle: input '{input}' of node '{node}' follows '{follows}', and so itself"
    )]
    FollowsCycle {
        /// The node with the input.
        node: String,
        /// The input.
        input: String,
        /// What it follows.
        follows: InputPath,
    },
}

impl LockError {
    /// Returns the error for a text that serde could not read as JSON.
    pub(super) fn from_json(text: &[u8], error: serde_json::Error) -> Self {
        if let Some(line) = first_conflict_marker(text) {
            Self::Conflict { line }
        } else if error.is_eof() {
            Self::Truncated { line: error.line() }
        } else {
            Self::Json(error)
        }
    }
}

/// Returns the line, counted from 1, of the first marker that git leaves around a merge conflict.
///
/// None of them is a line of JSON, so this needs no look at the state of the repository.
fn first_conflict_marker(text: &[u8]) -> Option<usize> {
    text.split(|&byte| byte == b'\n')
        .position(|line| {
            let line = line.trim_ascii_end();
            line == b"======="
                || [b"<<<<<<<", b"|||||||", b">>>>>>>"].iter().any(|marker| {
                    line.strip_prefix(*marker)
                        .is_some_and(|rest| rest.first().is_none_or(|&byte| byte == b' '))
                })
        })
        .map(|index| index + 1)
}
