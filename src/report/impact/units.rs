//! Which units of systemd change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::closure::{Cause, Change, Closure, ClosureDiff, Entry, PathId};

use super::UnitChange;
use super::changes::Changes;

/// What the names of units end in.
const KINDS: &[&str] = &[
    "automount",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

/// The kinds of which there are templates, `getty@.service`.
const TEMPLATES: &[&str] = &["path", "service", "socket", "target", "timer"];

/// What NixOS gives every service on its way, in byte order.
const GIVEN: &[&str] = &[
    "coreutils",
    "findutils",
    "glibc-locales",
    "gnugrep",
    "gnused",
    "systemd",
    "tzdata",
];

/// Services that NixOS itself leaves running when they change: its modules give them `reloadIfChanged`, or `restartIfChanged = false`.
const LEFT_RUNNING: [&str; 7] = [
    "dbus",
    "dbus-broker",
    "display-manager",
    "emergency",
    "rescue",
    "systemd-logind",
    "systemd-user-sessions",
];

/// Returns whether the unit changes and NixOS leaves it running all the same.
pub(in crate::report) fn is_left_running(unit: &UnitChange) -> bool {
    let service = unit.name.strip_suffix(".service");
    unit.change == Change::Changed && service.is_some_and(|name| LEFT_RUNNING.contains(&name))
}

/// Returns the units that come, go, or change.
///
/// They are the paths `unit-NAME` that NixOS makes of each unit that its modules define or extend. Units that packages bring along
/// are parts of those packages, and are not told. A unit belongs to users where `user-units` refers to it, else to the system.
pub(super) fn units(
    [before, after]: [Closure<'_>; 2],
    diff: &ClosureDiff,
    changes: Changes<'_>,
) -> Vec<UnitChange> {
    let sides = [before, after];
    let mut units: BTreeMap<(String, bool), [BTreeSet<PathId>; 2]> = BTreeMap::new();
    let entries = diff.configuration.iter();
    let entries: Vec<&Entry> = entries
        .filter(|entry| entry.name.starts_with("unit-"))
        .collect();
    if entries.is_empty() {
        return Vec::new();
    }
    for (at, closure) in sides.into_iter().enumerate() {
        let graph = closure.graph();
        let of = |name: &str| -> BTreeSet<PathId> {
            let lists = closure.named(name);
            lists.flat_map(|id| graph.references(id)).collect()
        };
        let (users, systems) = (of("user-units"), of("system-units"));
        for entry in &entries {
            let groups = if at == 0 { &entry.before } else { &entry.after };
            for path in groups.iter().flat_map(|group| &group.paths) {
                let (Some(name), Some(id)) = (unit_of(path.name()), graph.id(path)) else {
                    continue;
                };
                let user = users.contains(&id);
                for user in [
                    user.then_some(true),
                    (!user || systems.contains(&id)).then_some(false),
                ] {
                    let Some(user) = user else { continue };
                    let sides = units.entry((name.clone(), user)).or_default();
                    if let Some(side) = sides.get_mut(at) {
                        side.insert(id);
                    }
                }
            }
        }
    }
    let mut because = Because {
        sides,
        changes,
        known: HashMap::new(),
    };
    let changed = units.into_iter().filter_map(|((name, user), [old, new])| {
        let change = match (old.is_empty(), new.is_empty()) {
            _ if old == new => return None,
            (true, _) => Change::Added,
            (_, true) => Change::Removed,
            _ => Change::Changed,
        };
        let because = match change {
            Change::Changed => because.of([&old, &new]),
            _ => Vec::new(),
        };
        Some(UnitChange {
            name,
            user,
            change,
            because,
        })
    });
    changed.collect()
}

/// Returns the unit that a store path of this name is; none where it is something else, as a script, or turns a unit off.
///
/// A store path can hold neither `@` nor a backslash, and NixOS puts a hyphen there. Only what can be nothing but a template is
/// called by its own name.
fn unit_of(name: &str) -> Option<String> {
    let name = name.strip_prefix("unit-")?;
    let (stem, kind) = name.rsplit_once('.')?;
    if !KINDS.contains(&kind) {
        return None;
    }
    let template = stem.strip_suffix('-').filter(|stem| !stem.is_empty());
    Some(match template.filter(|_| TEMPLATES.contains(&kind)) {
        Some(stem) => format!("{stem}@.{kind}"),
        None => name.to_owned(),
    })
}

/// Finds the packages because of which units change.
struct Because<'a> {
    sides: [Closure<'a>; 2],
    changes: Changes<'a>,
    /// What changes of the package of a path.
    known: HashMap<PathId, Option<&'a Entry>>,
}

impl Because<'_> {
    /// Returns the packages that change, of those that a unit or its scripts refer to: those that tell the most. A package whose version
    /// or own derivation changes tells more than one that was rebuilt, and what every service has the least.
    fn of(&mut self, units: [&BTreeSet<PathId>; 2]) -> Vec<String> {
        let [before, after] = self.sides;
        let graph = before.graph();
        let mut found: BTreeMap<(bool, bool), BTreeSet<&str>> = BTreeMap::new();
        for (units, there) in units.into_iter().zip([after, before]) {
            let apart = |id: PathId| {
                let references = graph.references(id);
                references.filter(move |id| !there.contains(*id))
            };
            for id in units.iter().flat_map(|id| apart(*id)) {
                let is_script = graph
                    .path(id)
                    .is_some_and(|path| path.name().starts_with("unit-script-"));
                let scripts = is_script.then(|| apart(id)).into_iter().flatten();
                for id in scripts.chain([id]) {
                    let changes = self.changes;
                    let entry = self.known.entry(id).or_insert_with(|| {
                        graph.path(id).and_then(|path| changes.package_of(path))
                    });
                    if let Some(entry) = entry {
                        let is_rebuilt =
                            entry.change == Change::Rebuilt && entry.cause != Some(Cause::Own);
                        let is_given = GIVEN.binary_search(&entry.name.as_str()).is_ok();
                        let alike = found.entry((is_rebuilt, is_given)).or_default();
                        alike.insert(&entry.name);
                    }
                }
            }
        }
        let told = found.into_values().next().unwrap_or_default();
        told.into_iter().map(str::to_owned).collect()
    }
}
