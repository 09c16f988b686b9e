//! What of a diff is about a package or a path, and how it is told.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::closure::version::{compare, order};
use crate::closure::{Cause, Change, ClosureDiff, Entry, PackageName, StorePath, VersionGroup};

use super::super::rows::versions;
use super::Step;

/// The packages that a diff has, found by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes<'a>(&'a ClosureDiff);

impl<'a> Changes<'a> {
    pub(super) fn of(diff: &'a ClosureDiff) -> Self {
        Self(diff)
    }

    /// Returns what changes of packages, list by list: a package stands in one.
    pub(super) fn packages(self) -> impl Iterator<Item = &'a Entry> {
        self.lists().into_iter().flatten()
    }

    fn lists(self) -> [&'a [Entry]; 4] {
        let diff = self.0;
        [&diff.changed, &diff.added, &diff.removed, &diff.rebuilt].map(Vec::as_slice)
    }

    /// Returns what changes of the package of this name.
    pub(super) fn package(self, name: &str) -> Option<&'a Entry> {
        self.lists().into_iter().find_map(|list| found(list, name))
    }

    /// Returns what changes of the package that a path belongs to; none where it is configuration.
    pub(super) fn package_of(self, path: &StorePath) -> Option<&'a Entry> {
        let holds = |entry: &&Entry| {
            let groups = entry.before.iter().chain(&entry.after);
            groups.flat_map(|group| &group.paths).any(|p| p == path)
        };
        let name = PackageName::parse(path.name()).package();
        if let Some(entry) = self.package(&name).filter(holds) {
            return Some(entry);
        }
        if found(&self.0.configuration, &name).is_some_and(|entry| holds(&entry)) {
            return None;
        }
        // Its derivation calls it something else than its name looks like.
        self.packages().find(holds)
    }
}

/// Returns the entry of this name; every list of a diff is in the order of the names.
fn found<'a>(list: &'a [Entry], name: &str) -> Option<&'a Entry> {
    let at = list.binary_search_by(|entry| entry.name.as_str().cmp(name));
    list.get(at.ok()?)
}

/// Returns how a package changes.
pub(super) fn step(entry: &Entry) -> Step {
    Step {
        name: entry.name.clone(),
        before: told(&entry.before),
        after: told(&entry.after),
        change: entry.change,
        cause: entry.cause,
    }
}

/// Returns versions as nvd writes them; none where there is none.
fn told(groups: &[VersionGroup]) -> Option<String> {
    let any = groups.iter().any(|group| group.version.is_some());
    any.then(|| versions(groups))
}

/// Returns how a part of a system changes to which the root refers by these paths; none where they are the same.
///
/// The root is more exact than the diff, where a package may stand with more versions than the one that the system runs. Where a
/// part is another package than before, the two are called by their whole names.
pub(super) fn step_between(
    [before, after]: [&BTreeSet<&StorePath>; 2],
    changes: Changes<'_>,
) -> Option<Step> {
    if before == after {
        return None;
    }
    let mut apart = after.difference(before).chain(before.difference(after));
    let entry = apart.find_map(|path| changes.package_of(path));
    let [old, new] = [before, after].map(Part::of);
    let name = new.packages.first().or(old.packages.first())?.to_string();
    let name = entry.map_or(name, |entry| entry.name.clone());
    let there = !old.packages.is_empty() && !new.packages.is_empty();
    if there && old.packages != new.packages {
        return Some(Step {
            name,
            before: joined(before.iter().map(|path| path.name())),
            after: joined(after.iter().map(|path| path.name())),
            change: Change::Changed,
            cause: None,
        });
    }
    let (change, cause) = match entry {
        _ if old.packages.is_empty() => (Change::Added, None),
        _ if new.packages.is_empty() => (Change::Removed, None),
        _ if old.versions != new.versions => (old.direction(&new), None),
        Some(entry) => (Change::Rebuilt, Some(entry.cause.unwrap_or(Cause::Unknown))),
        // There is no telling what of configuration changed.
        None => (Change::Changed, None),
    };
    Some(Step {
        name,
        before: joined(old.versions),
        after: joined(new.versions),
        change,
        cause,
    })
}

/// What the paths of a part are.
struct Part<'a> {
    packages: BTreeSet<Cow<'a, str>>,
    /// Ascending, each once.
    versions: Vec<&'a str>,
}

impl<'a> Part<'a> {
    fn of(paths: &BTreeSet<&'a StorePath>) -> Self {
        let names: Vec<PackageName<'a>> = paths
            .iter()
            .map(|path| PackageName::parse(path.name()))
            .collect();
        let mut versions: Vec<&str> = names.iter().filter_map(|name| name.version).collect();
        versions.sort_by(|a, b| compare(Some(a), Some(b)));
        versions.dedup();
        Self {
            packages: names.iter().map(PackageName::package).collect(),
            versions,
        }
    }

    /// Returns where the versions go to `new`.
    fn direction(&self, new: &Self) -> Change {
        let below = |low: &Self, high: &Self| {
            let ends = [low.versions.last(), high.versions.first()].map(|end| end.copied());
            let [low, high] = ends;
            order(low, high) == Some(Ordering::Less)
        };
        if below(self, new) {
            Change::Upgraded
        } else if below(new, self) {
            Change::Downgraded
        } else {
            Change::Changed
        }
    }
}

fn joined<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let words: Vec<&str> = words.into_iter().collect();
    (!words.is_empty()).then(|| words.join(", "))
}
