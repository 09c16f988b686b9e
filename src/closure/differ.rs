//! The comparison of two closures.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::cause::Causes;
use super::entry::{Found, Pair, signed_delta};
use super::family::families;
use super::naming::{Named, Naming, Readings};
use super::via::ways;
use super::{Closure, ClosureDiff, Facts, Graph, PathId, Selected, Selection};

/// How big a newcomer must be for a reader to ask why it is there, in bytes.
const BIG: i64 = 1024 * 1024;

/// How many newcomers are explained.
const MOST_EXPLAINED: usize = 20;

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

/// Returns what changes from `before` to `after`, two closures of the same graph. For many comparisons, a [`Differ`] is faster.
///
/// See [`Differ::diff`] for the rules.
pub fn diff(before: Side<'_>, after: Side<'_>, facts: &Facts) -> ClosureDiff {
    match before.closure.or(after.closure) {
        Some(closure) => Differ::new(closure.graph(), facts).diff(before, after),
        None => ClosureDiff {
            paths_added: Some(0),
            paths_removed: Some(0),
            size_delta: Some(0),
            ..ClosureDiff::default()
        },
    }
}

/// Compares closures of one graph. What it finds out of a path or of two derivations it keeps for the next comparison.
#[derive(Debug)]
pub struct Differ<'a> {
    graph: &'a Graph,
    naming: Naming<'a>,
    causes: Causes<'a>,
}

/// The paths that are on one side only, in order, for each side.
type Apart<'a> = [Vec<(PathId, Named<'a>)>; 2];

impl<'a> Differ<'a> {
    /// Returns what compares closures of `graph` by what the store knows of its paths.
    pub fn new(graph: &'a Graph, facts: &'a Facts) -> Self {
        Self {
            graph,
            naming: Naming::new(graph, facts),
            causes: Causes::new(facts),
        }
    }

    /// Returns what changes from `before` to `after`, two closures of the graph.
    ///
    /// A package is compared by its versions as text, each as often as it was built: as in nvd, but that nvd hides `1.0-2` becoming
    /// `1.0.2`, and takes outputs for versions. Here all outputs of a build are one. An output that came or went does not change
    /// the version: where all outputs that are on both sides have the same paths, the package is
    /// [`Changed`](super::Change::Changed), else [`Rebuilt`](super::Change::Rebuilt).
    ///
    /// A path that is on one side only is named by what its derivation says of it, where that is known of all such paths that look
    /// like the same package. A path on both sides, and what looks like one, is named by what its name looks like
    /// ([`PackageName::parse`](super::PackageName::parse)) even if more is known: so who knows only of what differs comes to the same
    /// result, and no package seems to become another one where less is known of one side than of the other.
    pub fn diff(&mut self, before: Side<'_>, after: Side<'_>) -> ClosureDiff {
        let sides = [before, after];
        let apart = self.apart(sides);
        let [removed, added] = apart.each_ref().map(Vec::len);
        let mut diff = ClosureDiff {
            paths_added: u64::try_from(added).ok(),
            paths_removed: u64::try_from(removed).ok(),
            size_delta: Some(signed_delta(before.nar_size(), after.nar_size())),
            ..ClosureDiff::default()
        };
        let mut touched: BTreeMap<usize, [Vec<Found<'a>>; 2]> = BTreeMap::new();
        for (side, paths) in apart.iter().enumerate() {
            for (id, named) in paths {
                let lists = touched.entry(named.name).or_default();
                if let Some(list) = lists.get_mut(side) {
                    list.extend(found(self.graph, *id, *named));
                }
            }
        }
        let [chosen_before, chosen_after] = self.selected(sides, &apart);
        // The selection of a package can change though its paths do not.
        for name in chosen_before.symmetric_difference(&chosen_after) {
            touched.entry(*name).or_default();
        }
        let roots = sides.map(|side| side.closure.map(Closure::root));
        let is_root = |found: &Found<'_>| found.id.is_some() && roots.contains(&found.id);
        for (name, [mut old, mut new]) in touched {
            for id in shared(self.graph, name, sides) {
                let names = self.naming.of(id);
                let found = names.and_then(|names| found(self.graph, id, names.looks));
                old.extend(found);
                new.extend(found);
            }
            let Some(text) = self.naming.text(name) else {
                continue;
            };
            let selected =
                Selected::new(chosen_before.contains(&name), chosen_after.contains(&name));
            let root = old.iter().chain(&new).any(is_root);
            let causes = &mut self.causes;
            Pair::new(text, [old, new], selected, root)
                .put(&mut diff, true, |pair, change| causes.of(pair, change));
        }
        // Numbers of names follow their order but for those that only derivations tell.
        for list in diff.lists_mut() {
            list.sort_by(|a, b| a.name.cmp(&b.name));
        }
        self.explain(&mut diff, after, &apart);
        diff.families = families(&diff);
        diff
    }

    /// Returns the paths that are on one side only, and what they are.
    fn apart(&mut self, [before, after]: [Side<'_>; 2]) -> Apart<'a> {
        let mut names = |here: Side<'_>, there: Side<'_>| -> Vec<(PathId, Readings<'a>)> {
            let ids = here
                .closure
                .into_iter()
                .flat_map(|here| here.without(there.closure));
            ids.filter_map(|id| Some((id, self.naming.of(id)?)))
                .collect()
        };
        let found = [names(before, after), names(after, before)];
        settle(&found, |name| {
            let mut paths = shared(self.graph, name, [before, after]);
            paths.next().is_some()
        })
    }

    /// Returns the names that are selected on each side.
    fn selected(&self, sides: [Side<'_>; 2], apart: &Apart<'a>) -> [BTreeSet<usize>; 2] {
        let [before, after] = sides;
        let [removed, added] = apart;
        let names = |side: Side<'_>, apart: &[(PathId, Named<'a>)]| {
            let paths = side.selected.paths().filter(|id| side.contains(*id));
            paths.filter_map(|id| self.name(id, apart)).collect()
        };
        [names(before, removed), names(after, added)]
    }

    /// Returns the name of a path of a side of which `apart` are the paths that the other side does not have.
    fn name(&self, id: PathId, apart: &[(PathId, Named<'a>)]) -> Option<usize> {
        match apart.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => apart.get(at).map(|(_, named)| named.name),
            Err(_) => self.graph.names().of_path(id),
        }
    }

    /// Says of the biggest newcomers why they are there.
    fn explain(&self, diff: &mut ClosureDiff, after: Side<'_>, [_, apart]: &Apart<'a>) {
        let mut big: Vec<_> = diff
            .added
            .iter_mut()
            .filter(|entry| entry.size_delta >= Some(BIG))
            .collect();
        let Some(closure) = after.closure.filter(|_| !big.is_empty()) else {
            return;
        };
        // Stable, so that those of the same size stay in the order of their names.
        big.sort_by_key(|entry| Reverse(entry.size_delta));
        big.truncate(MOST_EXPLAINED);
        let wanted: Vec<Vec<PathId>> = big
            .iter()
            .map(|entry| {
                let paths = entry.after.iter().flat_map(|group| &group.paths);
                paths.filter_map(|path| self.graph.id(path)).collect()
            })
            .collect();
        let ways = ways(self.graph, closure.root(), &wanted);
        for (entry, way) in big.into_iter().zip(ways) {
            let names = way.into_iter().flatten();
            let mut names: Vec<String> = names
                .filter_map(|id| self.naming.text(self.name(id, apart)?))
                .filter(|name| *name != entry.name)
                .map(str::to_owned)
                .collect();
            names.dedup();
            entry.via = Some(names).filter(|names| !names.is_empty());
        }
    }
}

/// Returns for each path of each side what it counts as: what is known of it where that is known of all paths that look like the
/// same package, else what it looks like. `on_both` says whether paths on both sides look like a name.
fn settle<'a>(
    sides: &[Vec<(PathId, Readings<'a>)>; 2],
    on_both: impl Fn(usize) -> bool,
) -> Apart<'a> {
    let is_doubtful = |names: &Readings<'_>| names.exact.is_some_and(|exact| exact != names.looks);
    let all = || sides.iter().flatten().map(|(_, names)| names);
    let mut unknown = BTreeSet::new();
    if all().any(is_doubtful) {
        let without = all().filter(|names| names.exact.is_none());
        unknown.extend(without.map(|names| names.looks.name));
    }
    let settled = |names: Readings<'a>| {
        let looks = names.looks;
        let by_looks =
            is_doubtful(&names) && (unknown.contains(&looks.name) || on_both(looks.name));
        names.exact.filter(|_| !by_looks).unwrap_or(looks)
    };
    sides.each_ref().map(|paths| {
        let paths = paths.iter().map(|(id, names)| (*id, settled(*names)));
        paths.collect()
    })
}

fn found<'g>(graph: &'g Graph, id: PathId, named: Named<'g>) -> Option<Found<'g>> {
    Some(Found {
        named,
        path: graph.path(id)?,
        nar_size: graph.nar_size(id)?,
        id: Some(id),
    })
}

/// Returns the paths that look like `name` and are on both sides, in order.
fn shared<'g>(
    graph: &'g Graph,
    name: usize,
    [before, after]: [Side<'g>; 2],
) -> impl Iterator<Item = PathId> + use<'g> {
    let paths = graph.names().paths(name);
    paths.filter(move |id| before.contains(*id) && after.contains(*id))
}
