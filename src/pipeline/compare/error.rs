//! Why there is no comparison.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::closure::{SnapshotError, StorePath};

use super::operand::Like;

/// What can stand for a closure, said where something else stood.
const WHAT_IT_MAY_BE: &str = "a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of \
     the system, or a file that `flake-herald snapshot` wrote";

/// Why a word names no closure.
#[derive(Debug, Error)]
pub enum OperandError {
    /// There is no generation of this number.
    #[error("the system has no generation {number}: {}", in_profile(.dir, .known))]
    NoGeneration {
        /// The number.
        number: String,
        /// Where the generations are.
        dir: PathBuf,
        /// Those that there are, in order.
        known: Vec<u64>,
        /// Whether a file has that name.
        is_file: bool,
    },
    /// There is nothing of that name.
    #[error("there is no file or link {word}{}", reason(.like.as_ref()))]
    Nothing {
        /// What was typed.
        word: String,
        /// What it looks like.
        like: Option<Like>,
    },
    /// A link leads to nothing.
    #[error("{word} is a link to {missing}, which is not there")]
    Broken {
        /// What was typed.
        word: String,
        /// What is not there.
        missing: String,
    },
    /// It is a derivation.
    #[error("{} is the plan of a build, and has no closure of its own", leads(.word, .path))]
    Derivation {
        /// What was typed.
        word: String,
        /// The derivation.
        path: StorePath,
    },
    /// It is a file or directory of a store path.
    #[error("{word} is inside of a store path, and has no closure of its own")]
    Inside {
        /// What was typed.
        word: String,
        /// The store path.
        path: StorePath,
    },
    /// It is a directory.
    #[error("{word} is a directory, and no link to a store path")]
    Directory {
        /// What was typed.
        word: String,
        /// Whether it is a flake's.
        is_flake: bool,
    },
    /// It is no file that could be read twice.
    #[error("{word} is {what}, and a snapshot is read from a file")]
    Special {
        /// What was typed.
        word: String,
        /// What is there.
        what: &'static str,
    },
    /// It cannot be read.
    #[error("{word} cannot be read: {source}")]
    Unreadable {
        /// What was typed.
        word: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is a file, but no snapshot.
    #[error("{word} {source}{}", .like.map(|like| format!(": it looks like {like}")).unwrap_or_default())]
    Snapshot {
        /// What was typed.
        word: String,
        /// What is wrong with it.
        source: SnapshotError,
        /// What it looks like.
        like: Option<&'static str>,
    },
}

impl OperandError {
    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoGeneration { number, is_file: true, .. } => {
                format!("the file of that name is ./{number}")
            }
            Self::NoGeneration { .. } => {
                "a generation of another profile is named by its link: ~/.local/state/nix/profiles/home-manager-7-link".to_owned()
            }
            Self::Nothing { like: Some(Like::Flake), word } => format!(
                "what a flake names has to be built first: `nix build {}` makes ./result",
                shell_words::quote(word)
            ),
            Self::Nothing { like: Some(Like::Outputs), .. } => {
                "build it first: `nix build` makes ./result".to_owned()
            }
            Self::Nothing { like: Some(Like::BaseName(name)), .. } => {
                format!("store paths are named in full: /nix/store/{name}")
            }
            Self::Broken { .. } => {
                "what it led to was removed or moved; build it again".to_owned()
            }
            Self::Derivation { path, .. } => format!(
                "its outputs: `nix-store --query --outputs {path}`; to build them: `nix-store --realise {path}`"
            ),
            Self::Inside { path, .. } => format!("name the store path itself: {path}"),
            Self::Directory { word, is_flake: true } => format!(
                "build what is to be compared: `nix build {}#NAME` makes ./result; or have all hosts compared: `flake-herald report`",
                shell_words::quote(word)
            ),
            Self::Nothing { like: Some(Like::Stdin), .. } => {
                "nothing is read from stdin: write the snapshot to a file first".to_owned()
            }
            Self::Special { .. } => "write it to a file first".to_owned(),
            Self::Snapshot { source: SnapshotError::Newer { .. }, .. } => {
                "update flake-herald, or have the older one write it".to_owned()
            }
            Self::Snapshot { source: SnapshotError::Other | SnapshotError::TooLarge, .. }
            | Self::Nothing { .. }
            | Self::Directory { .. } => WHAT_IT_MAY_BE.to_owned(),
            Self::Snapshot { .. } => {
                "write it again: `flake-herald snapshot PATH -o FILE`".to_owned()
            }
            Self::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "compare as a user who may read it, or have that user write a snapshot of it".to_owned()
                }
                // ErrorKind::FilesystemLoop is not stable.
                _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                    "the links lead in a circle: name what they should lead to".to_owned()
                }
                io::ErrorKind::InvalidFilename => WHAT_IT_MAY_BE.to_owned(),
                _ => return None,
            },
        };
        Some(hint)
    }
}

/// Why two closures cannot be compared, or one not be kept.
#[derive(Debug, Error)]
pub enum CompareError {
    /// What was typed for one of them names none.
    #[error(transparent)]
    Operand(#[from] OperandError),
    /// A path is not in the store.
    #[error("{} is not in the store", leads(.word, .path))]
    NotInStore {
        /// What was typed.
        word: String,
        /// The path.
        path: StorePath,
    },
    /// A path has other references on one side than on the other.
    #[error(
        "{old} and {new} contradict each other: {path} refers to other paths in one than in the other"
    )]
    Contradiction {
        /// The path.
        path: StorePath,
        /// What was typed for one side.
        old: String,
        /// What was typed for the other.
        new: String,
    },
    /// A snapshot cannot be written.
    #[error("the snapshot of {word} {source}")]
    NotKept {
        /// What was typed.
        word: String,
        /// What is wrong with it.
        source: SnapshotError,
    },
}

impl CompareError {
    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Operand(error) => error.hint(),
            Self::NotInStore { path, .. } => Some(format!(
                "it was collected as garbage, or never was there; `nix-store --realise {path}` fetches it where a cache has it"
            )),
            Self::Contradiction { .. } => Some(
                "it was built twice, and came out differently: compare closures that are in one store".to_owned(),
            ),
            Self::NotKept { .. } => None,
        }
    }
}

/// Names a store path, and what led to it where that was something else.
fn leads(word: &str, path: &StorePath) -> String {
    if word.trim_end_matches('/') == path.as_str() {
        path.to_string()
    } else {
        format!("{word} leads to {path}, which")
    }
}

fn reason(like: Option<&Like>) -> String {
    match like {
        Some(Like::StorePath(why)) => format!(", and it is no store path: {why}"),
        _ => String::new(),
    }
}

/// Says which generations there are.
fn in_profile(dir: &std::path::Path, known: &[u64]) -> String {
    if known.is_empty() {
        return format!("there is none in {}", dir.display());
    }
    format!("{} has {}", dir.display(), ranges(known))
}

/// Returns sorted numbers as ranges, of many the last: `3, 7 to 9`.
fn ranges(numbers: &[u64]) -> String {
    const MOST: usize = 8;
    let ranges: Vec<String> = numbers
        .chunk_by(|a, b| a.checked_add(1) == Some(*b))
        .filter_map(|range| match (range.first()?, range.last()?) {
            (first, last) if first == last => Some(first.to_string()),
            (first, last) => Some(format!("{first} to {last}")),
        })
        .collect();
    let dropped = ranges.len().saturating_sub(MOST);
    let shown = ranges.get(dropped..).unwrap_or_default().join(", ");
    match dropped {
        0 => shown,
        _ => format!("…, {shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_told_as_ranges_the_last_of_many() {
        let many: Vec<u64> = (0..40).map(|n| n * 2).collect();
        let told: Vec<String> = [
            &[41][..],
            &[1, 2, 3, 7, 9, 10],
            &[u64::MAX - 1, u64::MAX],
            &many,
        ]
        .into_iter()
        .map(ranges)
        .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        41
        1 to 3, 7, 9 to 10
        18446744073709551614 to 18446744073709551615
        …, 64, 66, 68, 70, 72, 74, 76, 78
        ");
    }
}
