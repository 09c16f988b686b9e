//! What changes from one closure to another, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{OwnChange, StorePath};

/// What a package's change amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The highest version before is below the lowest one after.
    Upgraded,
    /// The lowest version before is above the highest one after.
    Downgraded,
    /// The versions differ without such an order, or in how often they are there; or only the outputs differ, or the selection.
    Changed,
    /// There is no such package before.
    Added,
    /// There is no such package after.
    Removed,
    /// The versions are the same, the paths are not.
    Rebuilt,
}

impl Change {
    /// Returns the word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Rebuilt => "rebuilt",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether the user chose the package, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selected {
    /// On neither side.
    No,
    /// On both sides.
    Yes,
    /// After, not before.
    Newly,
    /// Before, not after.
    NoLonger,
}

impl Selected {
    /// Returns the state for a package that was selected `before`, `after`, on both sides or on none.
    pub fn new(before: bool, after: bool) -> Self {
        match (before, after) {
            (false, false) => Self::No,
            (true, true) => Self::Yes,
            (false, true) => Self::Newly,
            (true, false) => Self::NoLonger,
        }
    }

    /// Returns the word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Newly => "newly",
            Self::NoLonger => "no-longer",
        }
    }
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a package was built anew at the same version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its own derivation changed: patches, sources, flags.
    Own,
    /// Only something it is built from changed.
    Inputs,
    /// Not looked into.
    Unknown,
}

/// The paths of one package that have the same version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionGroup {
    /// The version; none for a name without one.
    pub version: Option<String>,
    /// The derivation's outputs among the paths, each once, in byte order; `"out"` for the default one.
    pub outputs: Vec<String>,
    /// The paths, in order; at least one.
    pub paths: Vec<StorePath>,
}

/// What changes of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The package's name.
    pub name: String,
    /// Every version before, ascending, whether or not it is there after too; empty for an added package.
    pub before: Vec<VersionGroup>,
    /// Every version after, ascending; empty for a removed package.
    pub after: Vec<VersionGroup>,
    /// What the change amounts to.
    pub change: Change,
    /// Whether the user chose the package.
    pub selected: Selected,
    /// The NAR sizes of the paths after less those of the paths before, in bytes; none where closures are not known.
    pub size_delta: Option<i64>,
    /// Why it was rebuilt: set in [`ClosureDiff::rebuilt`] and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What of its own derivation changed, where that is known of both sides and something did. Boxed, for of thousands few have one. of a rebuilt package, all of it; of
    /// one whose version moved, where one derivation on each side can be meant.
    #[serde(default)]
    pub own: Option<Box<OwnChange>>,
    /// Why a big newcomer is there: the packages on a shortest way to it, the root first, the newcomer's own left out. Only the
    /// biggest of [`ClosureDiff::added`] have it: 20 at most, of 1 MiB at least.
    #[serde(default)]
    pub via: Option<Vec<String>>,
}

/// What the packages of a family have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FamilyKind {
    /// Their versions: `6.4.1` to `6.4.2`. They stand in [`ClosureDiff::changed`].
    Versions,
    /// The start of their names, which changes: `python3.12` to `python3.13`. They stand in [`ClosureDiff::removed`] under their
    /// names before and in [`ClosureDiff::added`] under those after.
    Names,
}

/// Several packages of which one line tells enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// What they have in common.
    pub kind: FamilyKind,
    /// What the names of the packages begin with, in whole words; of names that change, what stands before the first number
    /// (`python`). Empty where they have only the versions in common.
    pub name: String,
    /// The version, or the start of the names, before.
    pub before: String,
    /// The version, or the start of the names, after.
    pub after: String,
    /// What the change amounts to.
    pub change: Change,
    /// Whether the user chose some of them: on a side where any of them is selected.
    pub selected: Selected,
    /// The packages, by name; of names that change, what follows the start.
    pub packages: Vec<String>,
}

/// What changes from one closure to another. Every list is in the byte order of the names.
///
/// A name stands in one list, with one exception: a rebuilt package whose selection changed stands in both
/// [`selection`](Self::selection) and [`rebuilt`](Self::rebuilt).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosureDiff {
    /// Packages on both sides whose versions differ, as text or in number, or of which only an output came or went.
    pub changed: Vec<Entry>,
    /// Packages that are there only after.
    pub added: Vec<Entry>,
    /// Packages that are there only before.
    pub removed: Vec<Entry>,
    /// Packages with the same versions that are selected on one side only; their `change` is `changed`, as
    /// nvd's `C`.
    pub selection: Vec<Entry>,
    /// Packages with the same versions of which some output has other paths.
    pub rebuilt: Vec<Entry>,
    /// Configuration, apart from packages: units, files in `/etc`, what home-manager writes, triggers, and the system itself
    /// while its release is the same. Their `change` is `added`, `removed` or `changed`.
    pub configuration: Vec<Entry>,
    /// Packages of which one line tells enough, the biggest family first; each also stands in a list of its own.
    #[serde(default)]
    pub families: Vec<Family>,
    /// How many paths are there only after; none where closures are not known.
    pub paths_added: Option<u64>,
    /// How many paths are there only before; none where closures are not known.
    pub paths_removed: Option<u64>,
    /// The closure's NAR size after less that before, in bytes; none where closures are not known.
    pub size_delta: Option<i64>,
}

impl ClosureDiff {
    /// Returns the entries of all lists, list by list.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        [
            &self.changed,
            &self.added,
            &self.removed,
            &self.selection,
            &self.rebuilt,
            &self.configuration,
        ]
        .into_iter()
        .flatten()
    }

    /// Returns the lists of entries, in the order of [`entries`](Self::entries).
    pub fn lists_mut(&mut self) -> [&mut Vec<Entry>; 6] {
        [
            &mut self.changed,
            &mut self.added,
            &mut self.removed,
            &mut self.selection,
            &mut self.rebuilt,
            &mut self.configuration,
        ]
    }

    /// Returns whether nothing changes: neither a path nor a selection.
    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
            && [self.paths_added, self.paths_removed]
                .into_iter()
                .all(|count| count.unwrap_or_default() == 0)
            && self.size_delta.unwrap_or_default() == 0
    }
}
