//! Why a package was built anew: by its own doing or because of what it is built from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ptr;

use super::entry::{Found, Pair};
use super::{Cause, Change, Facts, OwnChange, Recipe, StorePath};

/// A path and what made it.
type Made<'a> = (&'a StorePath, Option<&'a Recipe>);

/// Which version and output a path is.
type Key<'a> = (Option<&'a str>, &'a str);

/// What differs between derivations, each two compared once however many hosts have them.
#[derive(Debug)]
pub(super) struct Causes<'a> {
    facts: &'a Facts,
    /// By the addresses of the recipes, which the facts keep in place.
    changes: HashMap<(*const Recipe, *const Recipe), Option<OwnChange>>,
}

impl<'a> Causes<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            changes: HashMap::new(),
        }
    }

    /// Returns why `pair` changed, and what of its own derivations did. The cause is for what was rebuilt only, and unknown for all
    /// else.
    pub(super) fn of(&mut self, pair: &Pair<'a, '_>, change: Change) -> (Cause, Option<OwnChange>) {
        match change {
            Change::Rebuilt => self.rebuilt(pair),
            Change::Upgraded | Change::Downgraded | Change::Changed => {
                (Cause::Unknown, self.moved(pair))
            }
            Change::Added | Change::Removed => (Cause::Unknown, None),
        }
    }

    /// Of a package with the same versions on both sides, derivations are compared that made the same output of the same version.
    fn rebuilt(&mut self, pair: &Pair<'a, '_>) -> (Cause, Option<OwnChange>) {
        let [old, new] = self.apart(pair);
        let (mut own, mut compared, mut unknown) = (None, false, false);
        for (key, old) in &old {
            let Some(new) = new.get(key) else {
                continue;
            };
            compared = true;
            let (changes, all) = self.matched(old, new);
            unknown |= !all;
            for change in changes {
                merge(own.get_or_insert_default(), change);
            }
        }
        match own {
            Some(own) => (Cause::Own, Some(own)),
            None if compared && !unknown => (Cause::Inputs, None),
            None => (Cause::Unknown, None),
        }
    }

    /// Of a package whose version moved, derivations are compared where no more than one on each side can be meant.
    fn moved(&mut self, pair: &Pair<'a, '_>) -> Option<OwnChange> {
        let [old, new] = self.apart(pair);
        let single = |side: &BTreeMap<Key<'a>, Vec<Made<'a>>>| {
            let versions: BTreeSet<_> = side.keys().map(|(version, _)| *version).collect();
            versions.len() == 1 && side.values().all(|made| made.len() == 1)
        };
        if !single(&old) || !single(&new) {
            return None;
        }
        let recipes = |side: BTreeMap<Key<'a>, Vec<Made<'a>>>| -> BTreeMap<&'a str, &'a Recipe> {
            let made = side.into_iter().flat_map(|((_, output), made)| {
                made.into_iter().map(move |(_, recipe)| (output, recipe))
            });
            made.filter_map(|(output, recipe)| Some((output, recipe?)))
                .collect()
        };
        let (old, new) = (recipes(old), recipes(new));
        // All outputs of a version are of one derivation.
        let (output, old) = old.iter().find(|(output, _)| new.contains_key(*output))?;
        self.change(old, new.get(output)?)
    }

    /// Returns the paths that are on one side only, by version and output.
    fn apart(&self, pair: &Pair<'a, '_>) -> [BTreeMap<Key<'a>, Vec<Made<'a>>>; 2] {
        let apart = |here: &[Found<'a>], there: &[Found<'a>]| {
            let there: BTreeSet<&StorePath> = there.iter().map(|found| found.path).collect();
            let mut made: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for found in here.iter().filter(|found| !there.contains(found.path)) {
                let recipe = self.facts.of(found.path).map(|fact| &*fact.recipe);
                let key = (found.named.version, found.named.output);
                made.entry(key).or_default().push((found.path, recipe));
            }
            made
        };
        [apart(&pair.old, &pair.new), apart(&pair.new, &pair.old)]
    }

    /// Returns what changed between derivations of which each on one side is matched with one on the other, and whether all were.
    ///
    /// Which belongs to which is not written anywhere: those that differ the least go together. Where one has no partner, or
    /// nothing is known of one, only those count that do not differ: all else would be guesses.
    fn matched(&mut self, old: &[Made<'a>], new: &[Made<'a>]) -> (Vec<OwnChange>, bool) {
        /// Beyond this many builds of one version, comparing each with each takes too long.
        const MOST: usize = 16;
        if old.len().max(new.len()) > MOST {
            return (Vec::new(), false);
        }
        let mut candidates = Vec::new();
        for (from, before) in old {
            for (to, after) in new {
                let (Some(before), Some(after)) = (before, after) else {
                    continue;
                };
                let change = self.change(before, after);
                let size = change.as_ref().map_or(0, size);
                // The same candidate comes first whichever side is called the old one.
                candidates.push((size, *from.min(to), *from.max(to), (*from, *to), change));
            }
        }
        candidates.sort_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
        let known = |side: &[Made<'a>]| side.iter().all(|(_, recipe)| recipe.is_some());
        let whole = old.len() == new.len() && known(old) && known(new);
        let (mut used, mut changes, mut same) = (BTreeSet::new(), Vec::new(), 0);
        for (size, _, _, (from, to), change) in candidates {
            if (size == 0 || whole) && !used.contains(from) && !used.contains(to) {
                used.extend([from, to]);
                same += usize::from(size == 0);
                changes.extend(change);
            }
        }
        let all = same + changes.len() == old.len().max(new.len());
        (changes, all)
    }

    fn change(&mut self, before: &'a Recipe, after: &'a Recipe) -> Option<OwnChange> {
        let key = (ptr::from_ref(before), ptr::from_ref(after));
        let change = self.changes.entry(key);
        change.or_insert_with(|| before.change(after)).clone()
    }
}

/// Returns how many things a change lists; at least 1, for it is one.
fn size(change: &OwnChange) -> usize {
    change.lists().map(Vec::len).iter().sum::<usize>().max(1)
}

/// Adds `more` to `all`, each thing once and in order.
fn merge(all: &mut OwnChange, mut more: OwnChange) {
    for (all, more) in all.lists_mut().into_iter().zip(more.lists_mut()) {
        all.append(more);
        all.sort_unstable();
        all.dedup();
    }
}
