//! What changes from one closure to another, by nvd's rules.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Closure, Facts, Graph, OwnChange, PackageName, PathId, Selection, StorePath, version};

/// What a package's change amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The highest version before is below the lowest one after.
    Upgraded,
    /// The lowest version before is above the highest one after.
    Downgraded,
    /// The versions differ without such an order, or only the selection differs.
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
    /// The derivation's outputs among the paths, `"out"` for the default one.
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
    /// What of its own derivation changed, where that is known of both sides and something did.
    #[serde(default)]
    pub own: Option<OwnChange>,
    /// Why a big newcomer is there: the packages on a shortest way to it, the root first, the newcomer's own left out.
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
    /// What the names of the packages begin with; empty where they have only the versions in common.
    pub name: String,
    /// The version, or the start of the names, before.
    pub before: String,
    /// The version, or the start of the names, after.
    pub after: String,
    /// What the change amounts to.
    pub change: Change,
    /// Whether the user chose some of them: `yes` if any is selected on both sides.
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
    /// Packages on both sides whose versions differ, as text or in number.
    pub changed: Vec<Entry>,
    /// Packages that are there only after.
    pub added: Vec<Entry>,
    /// Packages that are there only before.
    pub removed: Vec<Entry>,
    /// Packages with the same versions that are selected on one side only; their `change` is `changed`, as
    /// nvd's `C`.
    pub selection: Vec<Entry>,
    /// Packages with the same versions but different paths.
    pub rebuilt: Vec<Entry>,
    /// Configuration, apart from packages: units, files in `/etc`, what home-manager writes, triggers, the root itself.
    pub configuration: Vec<Entry>,
    /// Packages of which one line tells enough; each also stands in a list of its own.
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

    /// Returns whether nothing changes: neither a path nor a selection.
    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
            && [self.paths_added, self.paths_removed]
                .into_iter()
                .all(|count| count.unwrap_or_default() == 0)
            && self.size_delta.unwrap_or_default() == 0
    }
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The closure; none where there is nothing on this side, so that all of the other one is new or gone.
    pub closure: Option<Closure<'a>>,
    /// The packages that are selected on this side.
    pub selected: &'a Selection,
}

impl Side<'_> {
    fn contains(&self, id: PathId) -> bool {
        self.closure.is_some_and(|closure| closure.contains(id))
    }

    fn nar_size(&self) -> u64 {
        self.closure.map(Closure::nar_size).unwrap_or_default()
    }
}

/// Returns what changes from `before` to `after`, two closures of the same graph.
///
/// Names and versions are nvd's (see [`PackageName::parse`] and [`version::compare_values`]), as is what
/// counts as changed: the versions of a name, each as often as it has paths. The exception: nvd compares by
/// value and hides `1.0-2` becoming `1.0.2`, which here is [`Change::Changed`].
pub fn diff(before: Side<'_>, after: Side<'_>, _facts: &Facts) -> ClosureDiff {
    let mut diff = ClosureDiff {
        paths_added: Some(0),
        paths_removed: Some(0),
        size_delta: Some(signed_delta(before.nar_size(), after.nar_size())),
        ..ClosureDiff::default()
    };
    let Some(graph) = before.closure.or(after.closure).map(Closure::graph) else {
        return diff;
    };
    let names = graph.names();
    let mut touched = vec![false; names.len()];
    let mut touch = |name: Option<usize>| {
        if let Some(touched) = name.and_then(|name| touched.get_mut(name)) {
            *touched = true;
        }
    };
    for (here, there, counter) in [
        (before.closure, after.closure, &mut diff.paths_removed),
        (after.closure, before.closure, &mut diff.paths_added),
    ] {
        for id in here.into_iter().flat_map(|here| here.without(there)) {
            *counter.get_or_insert(0) += 1;
            touch(names.of_path(id));
        }
    }
    // The selection of a package can change though its paths do not.
    for name in before.selected.differing(after.selected) {
        touch(names.find(name));
    }
    for (name, _) in touched.iter().enumerate().filter(|(_, touched)| **touched) {
        compare(&mut diff, graph, name, before, after);
    }
    diff
}

/// A path of the package that is being compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'g> {
    pub(super) version: Option<&'g str>,
    pub(super) path: &'g StorePath,
    pub(super) nar_size: u64,
}

/// Puts the package `name` where it belongs in `diff`.
fn compare(diff: &mut ClosureDiff, graph: &Graph, name: usize, before: Side<'_>, after: Side<'_>) {
    let find = |side: Side<'_>| -> Vec<Found<'_>> {
        let ids = graph.names().paths(name).filter(|id| side.contains(*id));
        let mut found: Vec<Found<'_>> = ids
            .filter_map(|id| {
                let (path, nar_size) = (graph.path(id)?, graph.nar_size(id)?);
                Some(Found {
                    version: PackageName::parse(path.name()).version,
                    path,
                    nar_size,
                })
            })
            .collect();
        // Stable, so that the paths of a version stay in order.
        found.sort_by(|a, b| version::compare(a.version, b.version));
        found
    };
    let (old, new) = (find(before), find(after));
    let Some(name) = graph.names().text(name) else {
        return;
    };
    let selected = Selected::new(
        before.selected.contains(name),
        after.selected.contains(name),
    );
    let entry = |change, cause| Entry {
        name: name.to_owned(),
        before: group(&old),
        after: group(&new),
        change,
        selected,
        size_delta: Some(signed_delta(sum(&old), sum(&new))),
        cause,
        own: None,
        via: None,
    };

    if old.is_empty() && new.is_empty() {
        // A name that is selected without being in the closure.
    } else if old.is_empty() {
        diff.added.push(entry(Change::Added, None));
    } else if new.is_empty() {
        diff.removed.push(entry(Change::Removed, None));
    } else if !old
        .iter()
        .map(|found| found.version)
        .eq(new.iter().map(|found| found.version))
    {
        diff.changed.push(entry(direction(&old, &new), None));
    } else {
        if matches!(selected, Selected::Newly | Selected::NoLonger) {
            diff.selection.push(entry(Change::Changed, None));
        }
        if !old
            .iter()
            .map(|found| found.path)
            .eq(new.iter().map(|found| found.path))
        {
            diff.rebuilt
                .push(entry(Change::Rebuilt, Some(Cause::Unknown)));
        }
    }
}

/// Returns where the versions go, both sides being in ascending order.
pub(super) fn direction(old: &[Found<'_>], new: &[Found<'_>]) -> Change {
    let below = |low: &[Found<'_>], high: &[Found<'_>]| match (low.last(), high.first()) {
        (Some(low), Some(high)) => {
            version::compare_values(low.version, high.version) == Ordering::Less
        }
        _ => false,
    };
    if below(old, new) {
        Change::Upgraded
    } else if below(new, old) {
        Change::Downgraded
    } else {
        Change::Changed
    }
}

/// Returns the groups of equal versions, in the order of `found`.
pub(super) fn group(found: &[Found<'_>]) -> Vec<VersionGroup> {
    found
        .chunk_by(|a, b| a.version == b.version)
        .map(|same| VersionGroup {
            version: same
                .first()
                .and_then(|found| found.version)
                .map(str::to_owned),
            // Outputs still stand at the end of the version.
            outputs: vec!["out".to_owned()],
            paths: same.iter().map(|found| found.path.clone()).collect(),
        })
        .collect()
}

fn sum(found: &[Found<'_>]) -> u64 {
    found
        .iter()
        .fold(0, |sum: u64, found| sum.saturating_add(found.nar_size))
}

/// Returns `after` less `before`, at the limits of `i64` where it exceeds them.
fn signed_delta(before: u64, after: u64) -> i64 {
    let size = i64::try_from(after.abs_diff(before)).unwrap_or(i64::MAX);
    if after < before { -size } else { size }
}
