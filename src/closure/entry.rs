//! One package on two sides: its versions, how often each is there, and where they go.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::configuration::{Traits, is_configuration, is_system, same_release};
use super::naming::Named;
use super::{
    Cause, Change, ClosureDiff, Entry, OwnChange, PathId, Selected, StorePath, VersionGroup,
    version,
};

/// A path of the package that is being compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) named: Named<'a>,
    pub(super) path: &'a StorePath,
    pub(super) nar_size: u64,
    /// Its id, where it belongs to a graph.
    pub(super) id: Option<PathId>,
}

/// One package on two sides.
#[derive(Debug)]
pub(super) struct Pair<'a, 'n> {
    pub(super) name: &'n str,
    pub(super) old: Vec<Found<'a>>,
    pub(super) new: Vec<Found<'a>>,
    pub(super) selected: Selected,
    /// Whether it is the root on any side.
    pub(super) root: bool,
}

impl<'a, 'n> Pair<'a, 'n> {
    /// Returns the pair with the paths of each side in the order of their versions, those of a version in their own order.
    pub(super) fn new(
        name: &'n str,
        [mut old, mut new]: [Vec<Found<'a>>; 2],
        selected: Selected,
        root: bool,
    ) -> Self {
        for side in [&mut old, &mut new] {
            side.sort_by(|a, b| {
                version::compare(a.named.version, b.named.version).then_with(|| a.path.cmp(b.path))
            });
        }
        Self {
            name,
            old,
            new,
            selected,
            root,
        }
    }

    /// Puts the package into the lists of `diff` where it belongs; into none if neither its paths nor its selection differ.
    ///
    /// `sized` says whether the sizes of paths are known, `cause` why a package changed and what of its own derivation did.
    pub(super) fn put(
        &self,
        diff: &mut ClosureDiff,
        sized: bool,
        cause: impl FnOnce(&Self, Change) -> (Cause, Option<OwnChange>),
    ) {
        let change = self.change();
        if self.is_configuration() {
            let change = match change {
                // There is no better and worse among files.
                Some(Change::Upgraded | Change::Downgraded | Change::Rebuilt) => {
                    Some(Change::Changed)
                }
                other => other,
            };
            diff.configuration
                .extend(change.map(|change| self.entry(change, sized)));
            return;
        }
        let reselected = matches!(self.selected, Selected::Newly | Selected::NoLonger);
        let there = !self.old.is_empty() || !self.new.is_empty();
        if reselected && there && matches!(change, None | Some(Change::Rebuilt)) {
            diff.selection.push(self.entry(Change::Changed, sized));
        }
        let Some(change) = change else {
            return;
        };
        let (cause, own) = cause(self, change);
        let entry = Entry {
            cause: (change == Change::Rebuilt).then_some(cause),
            own: own.map(Box::new),
            ..self.entry(change, sized)
        };
        match change {
            Change::Added => diff.added.push(entry),
            Change::Removed => diff.removed.push(entry),
            Change::Rebuilt => diff.rebuilt.push(entry),
            Change::Upgraded | Change::Downgraded | Change::Changed => diff.changed.push(entry),
        }
    }

    fn is_configuration(&self) -> bool {
        let (old, new) = (&self.old, &self.new);
        if is_system(self.name) {
            return old.is_empty() || new.is_empty() || same_release(old, new);
        }
        let traits = Traits {
            versioned: old
                .iter()
                .chain(new)
                .any(|found| found.named.version.is_some()),
            selected: self.selected != Selected::No,
            root: self.root,
        };
        is_configuration(self.name, traits)
    }

    /// Returns what the change of the paths amounts to; none where they are the same.
    fn change(&self) -> Option<Change> {
        let (old, new) = (&self.old, &self.new);
        if old.is_empty() && new.is_empty() {
            return None;
        }
        if old.is_empty() {
            return Some(Change::Added);
        }
        if new.is_empty() {
            return Some(Change::Removed);
        }
        if builds(old) != builds(new) {
            return Some(direction(old, new));
        }
        if old
            .iter()
            .map(|found| found.path)
            .eq(new.iter().map(|found| found.path))
        {
            return None;
        }
        let (old, new) = (by_output(old), by_output(new));
        let moved = old
            .iter()
            .any(|(key, paths)| new.get(key).is_some_and(|theirs| theirs != paths));
        Some(if moved {
            Change::Rebuilt
        } else {
            Change::Changed
        })
    }

    fn entry(&self, change: Change, sized: bool) -> Entry {
        Entry {
            name: self.name.to_owned(),
            before: groups(&self.old),
            after: groups(&self.new),
            change,
            selected: self.selected,
            size_delta: sized.then(|| signed_delta(sum(&self.old), sum(&self.new))),
            cause: None,
            own: None,
            via: None,
        }
    }
}

/// Returns the paths of each version and output.
fn by_output<'a>(
    side: &[Found<'a>],
) -> BTreeMap<(Option<&'a str>, &'a str), BTreeSet<&'a StorePath>> {
    let mut outputs: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for found in side {
        let key = (found.named.version, found.named.output);
        outputs.entry(key).or_default().insert(found.path);
    }
    outputs
}

/// Returns how often each version was built. A version's outputs are of one build, so it is as many as the most paths that are the
/// same output. `side` is in the order of the versions.
fn builds<'a>(side: &[Found<'a>]) -> Vec<(Option<&'a str>, usize)> {
    let count = |same: &[Found<'a>]| {
        // Nearly all packages.
        if same.len() == 1 {
            return 1;
        }
        let mut outputs: BTreeMap<&str, usize> = BTreeMap::new();
        for found in same {
            *outputs.entry(found.named.output).or_default() += 1;
        }
        outputs.into_values().max().unwrap_or_default()
    };
    side.chunk_by(|a, b| a.named.version == b.named.version)
        .filter_map(|same| Some((same.first()?.named.version, count(same))))
        .collect()
}

/// Returns where the versions go, both sides being in ascending order: up where every version before is below every one after.
fn direction(old: &[Found<'_>], new: &[Found<'_>]) -> Change {
    let (old, new) = (versions(old), versions(new));
    // The nearest two first, which mostly tell; others can be without an order even so.
    let below = |low: &[Option<&str>], high: &[Option<&str>]| {
        low.iter().rev().all(|low| {
            high.iter()
                .all(|high| version::order(*low, *high) == Some(Ordering::Less))
        })
    };
    if below(&old, &new) {
        Change::Upgraded
    } else if below(&new, &old) {
        Change::Downgraded
    } else {
        Change::Changed
    }
}

/// Returns each version once; `side` is in their order.
fn versions<'a>(side: &[Found<'a>]) -> Vec<Option<&'a str>> {
    let mut versions: Vec<_> = side.iter().map(|found| found.named.version).collect();
    versions.dedup();
    versions
}

/// Returns the groups of equal versions, in the order of `side`.
fn groups(side: &[Found<'_>]) -> Vec<VersionGroup> {
    side.chunk_by(|a, b| a.named.version == b.named.version)
        .map(|same| {
            let outputs: BTreeSet<&str> = same.iter().map(|found| found.named.output).collect();
            VersionGroup {
                version: same
                    .first()
                    .and_then(|found| found.named.version)
                    .map(str::to_owned),
                outputs: outputs.into_iter().collect(),
                paths: same.iter().map(|found| found.path.clone()).collect(),
            }
        })
        .collect()
}

fn sum(side: &[Found<'_>]) -> u64 {
    side.iter()
        .fold(0, |sum: u64, found| sum.saturating_add(found.nar_size))
}

/// Returns `after` less `before`, at the limits of `i64` where it exceeds them.
pub(super) fn signed_delta(before: u64, after: u64) -> i64 {
    let size = i64::try_from(after.abs_diff(before)).unwrap_or(i64::MAX);
    if after < before { -size } else { size }
}
