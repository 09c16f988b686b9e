//! What a diff alone tells of the packages that change.

use std::collections::BTreeSet;

use crate::closure::{
    Change, ClosureDiff, Entry, FamilyKind, Package, Selected, StorePath, nixos_release, version,
};

use super::super::rows::{is_security, kernel_of, renamed};
use super::changes::{Changes, step};
use super::{PatchChange, Sensitive, Step, VulnerabilityChange};

/// Returns from which release to which a NixOS system moves.
pub(super) fn release([before, after]: [&StorePath; 2]) -> Option<Step> {
    let [old, new] = [before, after].map(|root| nixos_release(root.name()));
    if old? == new? {
        return None;
    }
    Some(Step {
        name: "nixos".to_owned(),
        before: old.map(str::to_owned),
        after: new.map(str::to_owned),
        change: match version::compare(old, new) {
            std::cmp::Ordering::Greater => Change::Downgraded,
            _ => Change::Upgraded,
        },
        cause: None,
    })
}

/// Returns the packages whose versions move in one direction. The system is told by its release, and what is made of a kernel by the
/// kernel.
fn moved(diff: &ClosureDiff, change: Change) -> impl Iterator<Item = &Entry> {
    diff.changed.iter().filter(move |entry| {
        let is_told = entry.name.starts_with("nixos-system-")
            || kernel_of(&entry.name).is_some_and(|kernel| kernel.starts_with("linux"));
        entry.change == change && !is_told
    })
}

/// Returns the packages whose versions go down.
pub(super) fn downgrades(diff: &ClosureDiff) -> Vec<Step> {
    listed(moved(diff, Change::Downgraded))
}

/// Returns the packages of which the first number of the version goes up, of the lowest or of the highest one.
pub(super) fn major(diff: &ClosureDiff) -> Vec<Step> {
    listed(moved(diff, Change::Upgraded).filter(|entry| {
        let ends = [
            (entry.before.first(), entry.after.first()),
            (entry.before.last(), entry.after.last()),
        ];
        ends.into_iter().any(|(before, after)| {
            let first = |group: Option<&crate::closure::VersionGroup>| {
                first_number(group?.version.as_deref()?)
            };
            matches!((first(before), first(after)), (Some(old), Some(new)) if old < new)
        })
    }))
}

/// Returns the first number of a version; none where it is of four digits or more. That is a year, a date, or counts something: it
/// goes up with time, and tells nobody that something is different.
fn first_number(version: &str) -> Option<u16> {
    let start = version.find(|c: char| c.is_ascii_digit())?;
    let digits = version.get(start..)?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let digits = digits.get(..end)?;
    if digits.len() > 3 {
        None
    } else {
        digits.parse().ok()
    }
}

/// Returns the packages that users chose and have no longer: they are gone, or only still there because others need them. One that has
/// another name is not gone, `python3.12-requests` for `python3.11-requests`.
pub(super) fn gone(diff: &ClosureDiff) -> Vec<Step> {
    let is_lost = |entry: &&Entry| entry.selected == Selected::NoLonger;
    let lost = [&diff.removed, &diff.selection, &diff.changed];
    let mut lost = lost.into_iter().flatten().filter(is_lost).peekable();
    if lost.peek().is_none() {
        return Vec::new();
    }
    let added: BTreeSet<&str> = diff.added.iter().map(|entry| entry.name.as_str()).collect();
    let families = diff
        .families
        .iter()
        .filter(|family| family.kind == FamilyKind::Names);
    let other_names: BTreeSet<String> = families
        .flat_map(|family| {
            let packages = family.packages.iter();
            let stays = packages.filter(|rest| added.contains(&*renamed(&family.after, rest)));
            stays.map(|rest| renamed(&family.before, rest))
        })
        .collect();
    listed(lost.filter(|entry| !other_names.contains(&entry.name)))
}

/// Returns whatever changes of packages that matter for security.
pub(super) fn security(changes: Changes<'_>, sensitive: &Sensitive) -> Vec<Step> {
    listed(
        changes
            .packages()
            .filter(|entry| sensitive.contains(&entry.name)),
    )
}

/// Returns the patches against known holes that packages gain and lose, by the patches' names.
pub(super) fn patches(diff: &ClosureDiff) -> Vec<PatchChange> {
    let own = diff
        .entries()
        .filter_map(|entry| Some((entry, entry.own.as_deref()?)));
    let patches: BTreeSet<PatchChange> = own
        .flat_map(|(entry, own)| {
            let lists = [(true, &own.patches_added), (false, &own.patches_removed)];
            lists.into_iter().flat_map(move |(gained, names)| {
                let names = names.iter().filter(|name| is_security(name));
                names.map(move |patch| PatchChange {
                    package: entry.name.clone(),
                    patch: patch.clone(),
                    gained,
                })
            })
        })
        .collect();
    patches.into_iter().collect()
}

/// Returns the known holes that are there on one side only, in whatever version of the package.
pub(super) fn vulnerabilities([before, after]: [&[Package]; 2]) -> Vec<VulnerabilityChange> {
    let [old, new] = [before, after].map(|packages| {
        let known = packages.iter().flat_map(|package| {
            let texts = package.vulnerabilities().iter();
            texts.map(|text| (package.name(), text.as_str()))
        });
        known.collect::<BTreeSet<_>>()
    });
    let apart = old.symmetric_difference(&new);
    apart
        .map(|(package, vulnerability)| VulnerabilityChange {
            package: (*package).to_owned(),
            vulnerability: (*vulnerability).to_owned(),
            gained: new.contains(&(*package, *vulnerability)),
        })
        .collect()
}

/// Returns how packages change, in order.
fn listed<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Step> {
    let steps: BTreeSet<Step> = entries.map(step).collect();
    steps.into_iter().collect()
}
