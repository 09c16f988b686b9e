//! The closures of many roots at once.

use std::collections::BTreeSet;

use super::{Graph, PackageName, PathId, StorePath};

/// Which paths of a graph belong to the closure of which root.
#[derive(Debug, Clone)]
pub struct Closures<'g> {
    graph: &'g Graph,
    roots: Vec<PathId>,
    /// For each root, its closure.
    found: Vec<Found>,
}

/// The closure of one root.
#[derive(Debug, Clone)]
struct Found {
    /// A bit for each path of the graph.
    members: Vec<u64>,
    paths: usize,
    nar_size: u64,
}

impl<'g> Closures<'g> {
    /// Returns the closures of `roots`, all of them ids of `graph`.
    ///
    /// Each path has a mask with a bit for each root that reaches it. A mask is complete when all paths that
    /// refer to its path have passed theirs on, so one pass in that order will do, whatever the number of
    /// roots.
    pub(super) fn sweep(graph: &'g Graph, roots: Vec<PathId>) -> Self {
        let empty = Found {
            members: vec![0; graph.len().div_ceil(64)],
            paths: 0,
            nar_size: 0,
        };
        let mut found = vec![empty; roots.len()];
        let width = roots.len().div_ceil(64);
        let mut masks = vec![0u64; graph.len() * width];
        for (root, id) in roots.iter().enumerate() {
            if let Some(word) = masks.get_mut(id.index() * width + root / 64) {
                *word |= 1 << (root % 64);
            }
        }
        let mut mask = Vec::with_capacity(width);
        for id in graph.referrers_first() {
            let start = id.index() * width;
            mask.clear();
            mask.extend_from_slice(masks.get(start..start + width).unwrap_or_default());
            if mask.iter().all(|word| *word == 0) {
                continue;
            }
            for reference in graph.references(id) {
                let start = reference.index() * width;
                let theirs = masks.get_mut(start..start + width).unwrap_or_default();
                for (theirs, ours) in theirs.iter_mut().zip(&mask) {
                    *theirs |= ours;
                }
            }
            let size = graph.nar_size(id).unwrap_or_default();
            for (word, found) in mask.iter().zip(found.chunks_mut(64)) {
                for root in bits(*word) {
                    if let Some(found) = found.get_mut(root) {
                        found.add(id, size);
                    }
                }
            }
        }
        Self {
            graph,
            roots,
            found,
        }
    }

    /// Returns the graph that the closures belong to.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// Returns the closure of `root`; none where it was not among the roots.
    pub fn of(&self, root: &StorePath) -> Option<Closure<'_>> {
        let id = self.graph.id(root)?;
        self.at(self.roots.iter().position(|known| *known == id)?)
    }

    /// Returns the closure of the root at `index` in the list of roots; none past its end.
    pub fn at(&self, index: usize) -> Option<Closure<'_>> {
        let (root, found) = (self.roots.get(index)?, self.found.get(index)?);
        Some(Closure {
            graph: self.graph,
            root: *root,
            found,
        })
    }
}

impl Found {
    fn add(&mut self, id: PathId, nar_size: u64) {
        if let Some(word) = self.members.get_mut(id.index() / 64) {
            *word |= 1 << (id.index() % 64);
        }
        self.paths += 1;
        self.nar_size = self.nar_size.saturating_add(nar_size);
    }
}

/// Returns which bits of `word` are set, the lowest being 0.
fn bits(word: u64) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
        .take_while(|rest| *rest != 0)
        .map(|rest| rest.trailing_zeros() as usize)
}

/// Returns which bits of `words` are set, as ids.
fn ids(words: impl Iterator<Item = u64>) -> impl Iterator<Item = PathId> {
    words
        .enumerate()
        .flat_map(|(place, word)| bits(word).map(move |bit| place * 64 + bit))
        .filter_map(|index| u32::try_from(index).ok().map(PathId))
}

/// One root and every path it leads to, itself included.
#[derive(Debug, Clone, Copy)]
pub struct Closure<'a> {
    graph: &'a Graph,
    root: PathId,
    found: &'a Found,
}

impl<'a> Closure<'a> {
    /// Returns the graph that the paths belong to.
    pub fn graph(self) -> &'a Graph {
        self.graph
    }

    /// Returns the root.
    pub fn root(self) -> PathId {
        self.root
    }

    /// Returns whether the path belongs to the closure.
    pub fn contains(self, id: PathId) -> bool {
        let word = self.found.members.get(id.index() / 64);
        word.is_some_and(|word| word >> (id.index() % 64) & 1 == 1)
    }

    /// Returns the number of paths, which is at least 1.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a closure has its root and is never empty"
    )]
    pub fn len(self) -> usize {
        self.found.paths
    }

    /// Returns the sum of the paths' NAR sizes, in bytes.
    pub fn nar_size(self) -> u64 {
        self.found.nar_size
    }

    /// Returns the paths, in order.
    pub fn ids(self) -> impl Iterator<Item = PathId> + use<'a> {
        ids(self.found.members.iter().copied())
    }

    /// Returns the paths whose name is `name`, all of it, in order.
    pub fn named(self, name: &str) -> impl Iterator<Item = PathId> {
        let names = self.graph.names();
        let number = names.find(&PackageName::parse(name).package());
        let alike = number.into_iter().flat_map(|number| names.paths(number));
        alike.filter(move |id| {
            let path = self.graph.path(*id).filter(|_| self.contains(*id));
            path.is_some_and(|path| path.name() == name)
        })
    }

    /// Returns what the user chose: what the paths refer to that `links` name, those that the root's `sw` and `home-path` lead to.
    /// Where none of them is in the closure, the root's references `system-path` and `home-manager-path` stand for them, and
    /// without any, the root itself does.
    ///
    /// Besides, on whatever way they are held: what users have of their own (`user-environment`, of
    /// `users.users.<name>.packages`), and what home-manager gives them as a module of the system.
    pub fn selection(self, links: &[StorePath]) -> Selection {
        const PROFILES: [&str; 2] = ["system-path", "home-manager-path"];
        const ANYWHERE: [&str; 2] = ["user-environment", "home-manager-path"];

        let graph = self.graph;
        let is_profile = |id: &PathId| {
            let path = graph.path(*id);
            path.is_some_and(|path| PROFILES.contains(&path.name()))
        };
        let linked = links.iter().filter_map(|link| graph.id(link));
        let mut from: BTreeSet<PathId> = linked.filter(|id| self.contains(*id)).collect();
        if from.is_empty() {
            let references = graph.references(self.root);
            from.extend(references.filter(is_profile));
        }
        if from.is_empty() {
            from.insert(self.root);
        }
        from.extend(ANYWHERE.iter().flat_map(|name| self.named(name)));
        let chosen = from.into_iter().flat_map(|id| graph.references(id));
        Selection(chosen.collect())
    }

    /// Returns the paths that are not in `other`, a closure of the same graph, in order.
    pub fn without(self, other: Option<Self>) -> impl Iterator<Item = PathId> + use<'a> {
        let other = other.map(|other| other.found.members.as_slice());
        let theirs = other
            .unwrap_or_default()
            .iter()
            .copied()
            .chain(std::iter::repeat(0));
        ids(self
            .found
            .members
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours & !theirs))
    }
}

/// The packages that the user has chosen, as opposed to those that came along: some of their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(pub(super) BTreeSet<PathId>);

impl Selection {
    /// Returns the paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = PathId> {
        self.0.iter().copied()
    }
}
