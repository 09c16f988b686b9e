//! What hosts have in common: each change once, with the hosts that it happens on.

use std::cmp::Reverse;
use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use crate::closure::{Cause, Change, ClosureDiff, Entry, Selected, VersionGroup};
use crate::flake::{HostId, labels};

use super::impact::is_left_running;
use super::rows::{Lists, Rows, builds, versions};
use super::sections::{after_name, is_assembled, name_width};
use super::{DiffView, FleetChange, HostReport, Impact, Reboot, Report, Status, Step};

/// How many sets of hosts are told of, the largest first.
const SETS: usize = 8;

/// What the hosts whose closures were compared have in common and of their own.
pub(super) struct Overview<'a> {
    /// The hosts that were compared, in the report's order.
    pub(super) hosts: Vec<Compared<'a>>,
    /// Each change, in the order in which it is first met.
    pub(super) changes: Vec<Shared<'a>>,
    /// The sets of hosts that have the most in common, the largest first.
    pub(super) sets: Vec<Set>,
    /// How many changes further sets of hosts have in common.
    pub(super) in_more_sets: usize,
}

/// A host whose closures were compared.
pub(super) struct Compared<'a> {
    pub(super) host: &'a HostReport,
    /// What it is called in print.
    pub(super) name: String,
    pub(super) diff: &'a ClosureDiff,
    /// Its changes, by their place in [`Overview::changes`], in the order of [`ClosureDiff::entries`].
    changes: Vec<u32>,
}

/// A change, and where it happens.
pub(super) struct Shared<'a> {
    /// The change on one of the hosts, on one that selects the package where any does.
    pub(super) entry: &'a Entry,
    /// The list that it stands in, by its place in [`ClosureDiff::entries`].
    pub(super) list: List,
    /// The hosts, by their place in [`Overview::hosts`], ascending.
    pub(super) hosts: Vec<u32>,
    /// The closures of all of them grow alike by it.
    same_size: bool,
    /// The set that tells of it, by its place in [`Overview::sets`].
    set: Option<u32>,
}

/// Changes that exactly these hosts have.
pub(super) struct Set {
    /// The hosts, at least two, by their place in [`Overview::hosts`], ascending.
    pub(super) hosts: Vec<u32>,
    /// The changes, by their place in [`Overview::changes`], ascending.
    changes: Vec<u32>,
}

/// A list of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum List {
    Changed,
    Added,
    Removed,
    Selection,
    Rebuilt,
    Configuration,
}

impl List {
    const ALL: [Self; 6] = [
        Self::Changed,
        Self::Added,
        Self::Removed,
        Self::Selection,
        Self::Rebuilt,
        Self::Configuration,
    ];

    /// Whether packages in it move: by their version, their selection, in or out.
    pub(super) fn moves(self) -> bool {
        !matches!(self, Self::Rebuilt | Self::Configuration)
    }
}

/// Hosts that have the same left to tell, once the sets are told of.
pub(super) struct Rest<'a> {
    /// The hosts, at least one, by their place in [`Overview::hosts`], ascending.
    pub(super) hosts: Vec<u32>,
    /// What is left.
    pub(super) lists: Lists<'a>,
}

impl<'a> Overview<'a> {
    /// Compares what changes on `hosts`.
    pub(super) fn of(hosts: &'a [HostReport]) -> Self {
        let id = |host: &HostReport| HostId {
            kind: host.kind,
            name: host.name.clone(),
        };
        let ids: Vec<HostId> = hosts.iter().map(id).collect();
        let mut names = labels(&ids);
        let compared = hosts
            .iter()
            .filter_map(|host| Some((host, host.diff.as_ref()?)));
        let mut known = Known::default();
        let hosts: Vec<Compared<'a>> = compared
            .zip(0_u32..)
            .map(|((host, diff), at)| Compared {
                name: names.remove(&id(host)).unwrap_or_else(|| host.name.clone()),
                host,
                diff,
                changes: lists(diff)
                    .filter(|(list, entry)| {
                        *list != List::Configuration || !is_assembled(&entry.name)
                    })
                    .map(|(list, entry)| known.place(list, entry, at))
                    .collect(),
            })
            .collect();
        let mut overview = Self {
            hosts,
            changes: known.changes,
            sets: Vec::new(),
            in_more_sets: 0,
        };
        overview.find_sets();
        overview
    }

    fn find_sets(&mut self) {
        let mut places: HashMap<&[u32], usize> = HashMap::new();
        let mut sets: Vec<(&[u32], Vec<u32>)> = Vec::new();
        for (change, at) in self.changes.iter().zip(0_u32..) {
            if change.hosts.len() < 2 {
                continue;
            }
            let place = *places.entry(&change.hosts).or_insert(sets.len());
            match sets.get_mut(place) {
                Some((_, changes)) => changes.push(at),
                None => sets.push((&change.hosts, vec![at])),
            }
        }
        sets.sort_by_key(|(hosts, changes)| (Reverse(hosts.len()), Reverse(changes.len())));
        let more = sets.split_off(SETS.min(sets.len()));
        self.in_more_sets = more.iter().map(|(_, changes)| changes.len()).sum();
        let sets: Vec<Set> = sets
            .into_iter()
            .map(|(hosts, changes)| Set {
                hosts: hosts.to_vec(),
                changes,
            })
            .collect();
        for (set, place) in sets.iter().zip(0_u32..) {
            for change in &set.changes {
                if let Some(change) = self.change_mut(*change) {
                    change.set = Some(place);
                }
            }
        }
        self.sets = sets;
    }

    fn change_mut(&mut self, at: u32) -> Option<&mut Shared<'a>> {
        self.changes.get_mut(usize::try_from(at).ok()?)
    }

    fn change(&self, at: u32) -> Option<&Shared<'a>> {
        self.changes.get(usize::try_from(at).ok()?)
    }

    /// Returns the host at this place.
    pub(super) fn host(&self, at: u32) -> Option<&Compared<'a>> {
        self.hosts.get(usize::try_from(at).ok()?)
    }

    /// Returns how much `set` says: how many packages move, and how many are rebuilt.
    pub(super) fn weight_of(&self, set: &Set) -> (usize, usize) {
        let lists = || {
            set.changes
                .iter()
                .filter_map(|at| Some(self.change(*at)?.list))
        };
        let moves = lists().filter(|list| list.moves()).count();
        (moves, lists().filter(|list| *list == List::Rebuilt).count())
    }

    /// Returns what the hosts of `set` have in common.
    pub(super) fn lists_of(&self, set: &Set) -> Lists<'a> {
        self.lists(&set.hosts, &set.changes)
    }

    fn lists(&self, hosts: &[u32], changes: &[u32]) -> Lists<'a> {
        let first = hosts.first().and_then(|host| self.host(*host));
        let mut lists = Lists {
            families: first.map_or(&[], |first| &first.diff.families),
            ..Lists::default()
        };
        for change in changes.iter().filter_map(|at| self.change(*at)) {
            let [changed, added, removed, selection, rebuilt, configuration] = lists.all_mut();
            match change.list {
                List::Changed => changed,
                List::Added => added,
                List::Removed => removed,
                List::Selection => selection,
                List::Rebuilt => rebuilt,
                List::Configuration => configuration,
            }
            .push(change.entry);
        }
        // Changes are in the order in which they are met, which over several hosts is not that of names.
        for list in lists.all_mut() {
            if !list.is_sorted_by(|a, b| a.name <= b.name) {
                list.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        lists
    }

    /// Returns the names of packages by which some closures grow in another way than others.
    pub(super) fn of_unequal_size(&self) -> HashSet<&'a str> {
        let unequal = self.changes.iter().filter(|change| !change.same_size);
        unequal.map(|change| change.entry.name.as_str()).collect()
    }

    /// Returns what is left to tell of each host; those last of which nothing is.
    pub(super) fn rests(&self) -> Vec<Rest<'a>> {
        let mut places: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut groups: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
        for (host, at) in self.hosts.iter().zip(0_u32..) {
            let is_told = |change: &u32| self.change(*change).is_none_or(|c| c.set.is_some());
            let changes = host.changes.iter().copied();
            let mut own: Vec<u32> = changes.filter(|change| !is_told(change)).collect();
            own.sort_unstable();
            let place = match places.entry(own) {
                Slot::Occupied(slot) => *slot.get(),
                Slot::Vacant(slot) => {
                    groups.push((Vec::new(), slot.key().clone()));
                    *slot.insert(groups.len() - 1)
                }
            };
            if let Some((hosts, _)) = groups.get_mut(place) {
                hosts.push(at);
            }
        }
        let rests = groups.into_iter().map(|(hosts, changes)| Rest {
            lists: self.lists(&hosts, &changes),
            hosts,
        });
        let mut rests: Vec<Rest<'a>> = rests.collect();
        rests.sort_by_key(|rest| rest.lists.len() == 0);
        rests
    }

    /// Returns what changes, the most important first, each with the hosts that it is on.
    pub(super) fn most_important(&self) -> Vec<FleetChange> {
        const MOST: usize = 200;
        let sensitive = self.sensitive();
        let told = |change: &&Shared<'_>| match change.list {
            List::Configuration => false,
            List::Rebuilt => {
                change.entry.cause == Some(Cause::Own)
                    || sensitive.contains(change.entry.name.as_str())
            }
            _ => true,
        };
        let rank = |change: &Shared<'_>| {
            let entry = change.entry;
            let security = sensitive.contains(entry.name.as_str());
            let is_first = change.is_selected_move()
                || entry.change == Change::Downgraded
                || security && change.list != List::Rebuilt;
            (!is_first, Reverse(change.hosts.len()), !security)
        };
        let changes = self.changes.iter().filter(told);
        let mut changes: Vec<_> = changes.map(|change| (rank(change), change)).collect();
        changes.sort_by(|(a_rank, a), (b_rank, b)| {
            let by_name = || (&a.entry.name, a.list).cmp(&(&b.entry.name, b.list));
            a_rank.cmp(b_rank).then_with(by_name)
        });
        let changes = changes.into_iter().take(MOST);
        changes
            .map(|(_, change)| {
                let (on, not_on) = self.named(&change.hosts);
                FleetChange {
                    step: step(change.entry),
                    selected: change.entry.selected != Selected::No,
                    security: sensitive.contains(change.entry.name.as_str()),
                    hosts: change.hosts.iter().map(|_| 1).sum(),
                    on,
                    not_on,
                }
            })
            .collect()
    }

    /// Returns the names of packages that keep attackers out, or that attackers reach first.
    pub(super) fn sensitive(&self) -> HashSet<&'a str> {
        let impacts = self
            .hosts
            .iter()
            .filter_map(|host| host.host.impact.as_ref());
        let steps = impacts.flat_map(|impact| &impact.security);
        steps.map(|step| step.name.as_str()).collect()
    }

    /// Returns the names of these hosts where they are few, or of the others where those are.
    fn named(&self, hosts: &[u32]) -> (Vec<String>, Vec<String>) {
        const FEW: usize = 5;
        let names = |at: &mut dyn Iterator<Item = u32>| -> Vec<String> {
            let hosts = at.filter_map(|at| self.host(at));
            hosts.map(|host| host.name.clone()).collect()
        };
        if hosts.len() <= FEW {
            return (names(&mut hosts.iter().copied()), Vec::new());
        }
        if self.hosts.len() - hosts.len().min(self.hosts.len()) > FEW {
            return (Vec::new(), Vec::new());
        }
        let others = self.hosts.iter().zip(0_u32..).map(|(_, at)| at);
        let mut others = others.filter(|at| hosts.binary_search(at).is_err());
        (Vec::new(), names(&mut others))
    }
}

impl Shared<'_> {
    /// Returns whether a package moves that users chose.
    pub(super) fn is_selected_move(&self) -> bool {
        self.list.moves() && self.entry.selected != Selected::No
    }
}

/// Returns how a package changes.
pub(super) fn step(entry: &Entry) -> Step {
    let versions = |groups: &[VersionGroup]| {
        let is_known = groups.iter().any(|group| group.version.is_some());
        is_known.then(|| versions(groups))
    };
    Step {
        name: entry.name.clone(),
        before: versions(&entry.before),
        after: versions(&entry.after),
        change: entry.change,
        cause: entry.cause,
    }
}

/// Returns whether a reboot is due on `host`; nothing where that is not known.
pub(super) fn reboot(host: &HostReport) -> Option<&Reboot> {
    host.impact.as_ref().map(|impact| &impact.reboot)
}

/// Returns the names of the services that restart on a host, where they run.
pub(super) fn restarts(impact: &Impact) -> impl Iterator<Item = &str> {
    let units = impact.units_changed.iter();
    units
        .filter(|unit| !unit.user && unit.change == Change::Changed && !is_left_running(unit))
        .filter_map(|unit| unit.name.strip_suffix(".service"))
        // Of a template nothing runs; what was started from it is rarely what a reader cares for.
        .filter(|name| !name.ends_with('@'))
}

/// Returns by how much the closure of `host` grows, in bytes.
pub(super) fn size_delta(host: &HostReport) -> Option<i64> {
    host.diff.as_ref()?.size_delta
}

/// Returns the one in the middle; of an even number the lower of the two.
pub(super) fn median(mut numbers: Vec<i64>) -> Option<i64> {
    numbers.sort_unstable();
    numbers.get(numbers.len().saturating_sub(1) / 2).copied()
}

/// Returns how many packages that users chose move on a host.
pub(super) fn selected_moves(diff: &ClosureDiff) -> usize {
    let moved = lists(diff).filter(|(list, _)| list.moves());
    moved
        .filter(|(_, entry)| entry.selected != Selected::No)
        .count()
}

fn lists(diff: &ClosureDiff) -> impl Iterator<Item = (List, &Entry)> {
    let entries = [
        &diff.changed,
        &diff.added,
        &diff.removed,
        &diff.selection,
        &diff.rebuilt,
        &diff.configuration,
    ];
    let lists = List::ALL.into_iter().zip(entries);
    lists.flat_map(|(list, entries)| entries.iter().map(move |entry| (list, entry)))
}

/// What tells most changes apart: the list, the name, and a version on each side.
type Key<'a> = (List, &'a str, Option<&'a str>, Option<&'a str>);

/// The changes met so far.
#[derive(Default)]
struct Known<'a> {
    changes: Vec<Shared<'a>>,
    /// The first change of each key, and the next one of the same key.
    first: HashMap<Key<'a>, u32>,
    same_key: Vec<Option<u32>>,
    /// The change that followed each when it was last met: hosts of a fleet mostly have the same ones in the same order.
    next: Vec<u32>,
    last: Option<usize>,
}

impl<'a> Known<'a> {
    /// Returns the place of a change of the host at `host`.
    fn place(&mut self, list: List, entry: &'a Entry, host: u32) -> u32 {
        let guess = match self.last {
            Some(last) => self.next.get(last).copied(),
            None => None,
        };
        let guess = guess.filter(|at| self.is(*at, list, entry));
        let at = guess.unwrap_or_else(|| self.look_up(list, entry));
        let index = usize::try_from(at).unwrap_or(usize::MAX);
        if let Some(next) = self.last.and_then(|last| self.next.get_mut(last)) {
            *next = at;
        }
        self.last = Some(index);
        if let Some(change) = self.changes.get_mut(index) {
            // A report made elsewhere may name a change twice.
            if change.hosts.last() != Some(&host) {
                change.hosts.push(host);
            }
            change.same_size &= change.entry.size_delta == entry.size_delta;
            if entry.selected == Selected::Yes && change.entry.selected == Selected::No {
                change.entry = entry;
            }
        }
        at
    }

    fn is(&self, at: u32, list: List, entry: &Entry) -> bool {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let change = self.changes.get(at);
        change.is_some_and(|known| known.list == list && is_same(known.entry, entry))
    }

    fn look_up(&mut self, list: List, entry: &'a Entry) -> u32 {
        let first = |groups: &'a [VersionGroup]| groups.first()?.version.as_deref();
        let key = (
            list,
            entry.name.as_str(),
            first(&entry.before),
            first(&entry.after),
        );
        let new = u32::try_from(self.changes.len()).unwrap_or(u32::MAX);
        let mut at = *self.first.entry(key).or_insert(new);
        while at != new {
            if self.is(at, list, entry) {
                return at;
            }
            let index = usize::try_from(at).unwrap_or(usize::MAX);
            let Some(next) = self.same_key.get_mut(index) else {
                break;
            };
            at = *next.get_or_insert(new);
        }
        self.changes.push(Shared {
            entry,
            list,
            hosts: Vec::new(),
            same_size: true,
            set: None,
        });
        self.same_key.push(None);
        self.next.push(new);
        new
    }
}

/// Returns whether a reader sees the same change in both; whether the package is selected on both sides does not make
/// another of it.
fn is_same(a: &Entry, b: &Entry) -> bool {
    let moved = |selected| matches!(selected, Selected::Newly | Selected::NoLonger);
    a.name == b.name
        && a.change == b.change
        && a.cause == b.cause
        && (a.selected == b.selected || !(moved(a.selected) || moved(b.selected)))
        && is_same_groups(&a.before, &b.before)
        && is_same_groups(&a.after, &b.after)
        && a.own == b.own
}

fn is_same_groups(a: &[VersionGroup], b: &[VersionGroup]) -> bool {
    let is_same = |(a, b): (&VersionGroup, &VersionGroup)| {
        a.version == b.version
            && a.paths.len() == b.paths.len()
            && a.outputs == b.outputs
            // Where each output is there once, so is the build.
            && (a.paths.len() <= a.outputs.len().max(1) || builds(a) == builds(b))
    };
    a.len() == b.len() && a.iter().zip(b).all(is_same)
}

/// What the hosts of a large fleet have in common, for the text, which then tells all of each host.
#[derive(Default)]
pub(super) struct Fleetwide<'a> {
    /// How many hosts change and were compared.
    pub(super) of: usize,
    /// The largest sets of hosts.
    pub(super) sets: Vec<Common<'a>>,
    /// How many changes further sets have.
    pub(super) more: usize,
}

/// Changes that exactly these hosts have.
pub(super) struct Common<'a> {
    /// The hosts, at least two, in the report's order.
    pub(super) hosts: Vec<&'a HostReport>,
    /// A row for each change, section by section as nvd has them, but without a number.
    pub(super) rows: Vec<String>,
}

/// Returns what the hosts that change have in common; nothing where they are few.
pub(super) fn common(report: &Report) -> Fleetwide<'_> {
    /// Of more hosts than this that change, nobody reads each; of fewer, what they have in common would be said twice for nothing.
    const FEW: usize = 10;
    let changed = report.with_status(Status::Changed);
    if changed.filter(|host| host.diff.is_some()).count() <= FEW {
        return Fleetwide::default();
    }
    let overview = Overview::of(&report.hosts);
    let mut fleet = Fleetwide {
        of: overview.hosts.len(),
        sets: Vec::new(),
        more: overview.in_more_sets,
    };
    for set in &overview.sets {
        let rows: Vec<_> = Rows::of(&overview.lists_of(set), DiffView::default())
            .into_all()
            .collect();
        if rows.is_empty() {
            continue;
        }
        let width = name_width(rows.iter().map(|row| (&*row.name, &*row.what)));
        let hosts = set.hosts.iter().filter_map(|at| overview.host(*at));
        fleet.sets.push(Common {
            hosts: hosts.map(|host| host.host).collect(),
            rows: rows
                .iter()
                .map(|row| {
                    let (name, what) = (&row.name, after_name(&row.name, &row.what, width));
                    format!("{}  {name}{what}", row.tag())
                })
                .collect(),
        });
    }
    fleet
}

impl Common<'_> {
    /// Returns the first `most` rows, and how many follow.
    pub(super) fn first_rows(&self, most: usize) -> (&[String], Option<String>) {
        match self.rows.get(..most) {
            Some(shown) if shown.len() < self.rows.len() => {
                let left = self.rows.len() - shown.len();
                let more = format!("… {left} more, told of each host below");
                (shown, Some(more))
            }
            _ => (&self.rows, None),
        }
    }
}

impl Fleetwide<'_> {
    /// Says how much else some hosts have in common.
    pub(super) fn rest(&self) -> Option<String> {
        match self.more {
            0 => None,
            1 => Some("One more change is on several hosts.".to_owned()),
            more => Some(format!("{more} more changes are on several hosts.")),
        }
    }
}
