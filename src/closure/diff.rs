//! What changes from one closure to another, as data.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{OwnChange, StorePath};

/// What a package's change amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its own derivation changed: patches, sources, flags.
    Own,
    /// Only something it is built from changed.
    Inputs,
    /// Not looked into.
    Unknown,
}

/// The outputs of a derivation. Nearly every package has the default one and no other, and a report of a fleet has hundreds of thousands
/// of them: that takes no memory of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<String>")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "Vec<String>"))]
pub struct Outputs(Option<Box<[Cow<'static, str>]>>);

/// What an [`Outputs`] without memory holds.
const DEFAULT: &[Cow<'static, str>] = &[Cow::Borrowed("out")];

impl Deref for Outputs {
    type Target = [Cow<'static, str>];

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().unwrap_or(DEFAULT)
    }
}

/// Outputs that many packages have: their names take no memory either.
const USUAL: [&str; 10] = [
    "bin", "data", "debug", "dev", "devdoc", "doc", "info", "lib", "man", "out",
];

impl<S: AsRef<str>> FromIterator<S> for Outputs {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let name = |name: S| {
            let usual = USUAL.into_iter().find(|usual| *usual == name.as_ref());
            usual.map_or_else(|| name.as_ref().to_owned().into(), Cow::Borrowed)
        };
        let names: Vec<Cow<'static, str>> = names.into_iter().map(name).collect();
        Self((names != DEFAULT).then(|| names.into_boxed_slice()))
    }
}

impl From<Vec<String>> for Outputs {
    fn from(names: Vec<String>) -> Self {
        names.into_iter().collect()
    }
}

impl Serialize for Outputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'a> IntoIterator for &'a Outputs {
    type Item = &'a Cow<'static, str>;
    type IntoIter = slice::Iter<'a, Cow<'static, str>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The store paths of a package's version. Most have one, which takes no memory besides its own text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<StorePath>")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "Vec<StorePath>"))]
pub struct Paths(Held);

/// One path is always [`Held::One`], so that equal paths are held alike.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    One(StorePath),
    Others(Box<[StorePath]>),
}

impl Default for Paths {
    fn default() -> Self {
        Self(Held::Others(Box::default()))
    }
}

impl Deref for Paths {
    type Target = [StorePath];

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Held::One(path) => slice::from_ref(path),
            Held::Others(paths) => paths,
        }
    }
}

impl DerefMut for Paths {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.0 {
            Held::One(path) => slice::from_mut(path),
            Held::Others(paths) => paths,
        }
    }
}

impl FromIterator<StorePath> for Paths {
    fn from_iter<I: IntoIterator<Item = StorePath>>(paths: I) -> Self {
        let mut paths = paths.into_iter();
        Self(match (paths.next(), paths.next()) {
            (Some(path), None) => Held::One(path),
            (first, second) => {
                let first = first.into_iter().chain(second);
                Held::Others(first.chain(paths).collect())
            }
        })
    }
}

impl From<Vec<StorePath>> for Paths {
    fn from(paths: Vec<StorePath>) -> Self {
        paths.into_iter().collect()
    }
}

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'a> IntoIterator for &'a Paths {
    type Item = &'a StorePath;
    type IntoIter = slice::Iter<'a, StorePath>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The paths of one package that have the same version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VersionGroup {
    /// The version; none for a name without one.
    pub version: Option<String>,
    /// The derivation's outputs among the paths, each once, in byte order; `"out"` for the default one.
    pub outputs: Outputs,
    /// The paths, in order; at least one.
    pub paths: Paths,
}

/// What changes of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Entry {
    /// The package's name.
    pub name: String,
    /// Every version before, ascending, whether or not it is there after too; empty for an added package.
    #[serde(deserialize_with = "exact")]
    pub before: Vec<VersionGroup>,
    /// Every version after, ascending; empty for a removed package.
    #[serde(deserialize_with = "exact")]
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

/// Reads a list without room to grow: of its own accord one of a single group takes the memory of four.
fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<VersionGroup>, D::Error> {
    let mut groups = Vec::deserialize(deserializer)?;
    groups.shrink_to_fit();
    Ok(groups)
}

/// What the packages of a family have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
