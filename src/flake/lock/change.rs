//! What changed between two locks, and Nix's text about it.

use std::cmp::Ordering;

use super::{Dialect, Edge, InputPath, LockFile};

/// An input that an update changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputChange {
    /// Which input, as seen from the root: `nixpkgs`, or `home-manager/nixpkgs`.
    pub name: InputPath,
    /// What it was; `None` if it was added.
    pub before: Option<Edge>,
    /// What it is; `None` if it was removed.
    pub after: Option<Edge>,
}

/// Returns the inputs that differ, in the order in which Nix lists them; without a *before* all are added.
///
/// An input differs if it follows something else or if anything in its `locked` part does, a `narHash` included. What
/// only changes in `original` is no change here, though [`LockFile::same_as`] sees it. An input that can be
/// reached by several ways counts once, by the first one.
pub fn changes(before: Option<&LockFile>, after: &LockFile) -> Vec<InputChange> {
    let mut before = before
        .map(LockFile::inputs)
        .unwrap_or_default()
        .into_iter()
        .peekable();
    let mut after = after.inputs().into_iter().peekable();
    let mut changes = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        match (old, new) {
            (Some((_, old)), Some((_, new))) if old.same_target(&new) => {}
            (Some((name, old)), new) => {
                changes.push(InputChange {
                    name,
                    before: Some(old),
                    after: new.map(|(_, new)| new),
                });
            }
            (None, Some((name, new))) => changes.push(InputChange {
                name,
                before: None,
                after: Some(new),
            }),
            (None, None) => {}
        }
    }
}

/// Returns Nix's text about these changes, as it stands in the commit messages of `nix flake update`.
///
/// It ends with a line feed unless it is empty. It holds text from the locks: names and URLs of strangers.
pub fn message(changes: &[InputChange], dialect: Dialect) -> String {
    changes
        .iter()
        .map(|change| change.describe(dialect))
        .collect()
}

impl InputChange {
    /// Returns the change's lines of Nix's text.
    fn describe(&self, dialect: Dialect) -> String {
        let name = &self.name;
        let describe = |edge: &Edge| edge.describe(dialect);
        match (
            self.before.as_ref().map(describe),
            self.after.as_ref().map(describe),
        ) {
            (Some(before), Some(after)) => {
                format!("• Updated input '{name}':\n    {before}\n  → {after}\n")
            }
            (None, Some(after)) => format!("• Added input '{name}':\n    {after}\n"),
            (Some(_), None) => format!("• Removed input '{name}'\n"),
            (None, None) => String::new(),
        }
    }
}

impl Edge {
    /// Tells whether two edges lead to the same thing, in the eyes of Nix's list of changes.
    fn same_target(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Follows(one), Self::Follows(two)) => one == two,
            (Self::Locked(one), Self::Locked(two)) => one.locked == two.locked,
            _ => false,
        }
    }

    /// Returns how Nix's list of changes names it: `'URL' (DATE)`, or `follows 'a/b'`.
    pub fn describe(&self, dialect: Dialect) -> String {
        match self {
            Self::Follows(path) => format!("follows '{path}'"),
            Self::Locked(input) => {
                let url = input.url(dialect);
                match input.date() {
                    Some(date) => format!("'{url}' ({date})"),
                    None => format!("'{url}'"),
                }
            }
        }
    }
}
