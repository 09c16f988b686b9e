//! The paths of a store and what refers to what.

use std::collections::HashMap;
use std::ops::Range;

use super::index::{Lists, Names};
use super::{Closures, StorePath, StorePathError};

/// What the store knows of one path, as `nix-store --dump-db` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The path.
    pub path: &'a str,
    /// The size of its NAR serialisation, in bytes.
    pub nar_size: u64,
    /// The derivation that made it; none where the store does not know.
    pub deriver: Option<&'a str>,
    /// The paths it refers to, in any order; itself may be among them.
    pub references: Vec<&'a str>,
}

/// A path of one [`Graph`]. The order of ids is the order of the paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub(super) u32);

impl PathId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why records make no graph, or a graph has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A record has a malformed path.
    #[error(transparent)]
    Path(#[from] StorePathError),
    /// A path has two records that differ in size or references.
    #[error("two records of {path} contradict each other")]
    Contradiction {
        /// The path.
        path: StorePath,
    },
    /// A path is referred to but has no record.
    #[error("{referrer} refers to {path}, of which there is no record")]
    MissingReference {
        /// The path without a record.
        path: StorePath,
        /// One that refers to it.
        referrer: StorePath,
    },
    /// Different paths refer to each other in a circle, which Nix rules out.
    #[error("{path} refers to itself through other paths")]
    Cycle {
        /// A path of the circle.
        path: StorePath,
    },
    /// A path that is asked for has no record.
    #[error("there is no record of {path}")]
    NoRecord {
        /// The path.
        path: StorePath,
    },
    /// There are more paths than ids (2³²).
    #[error("more than 4294967295 store paths")]
    TooManyPaths,
}

/// A path while the graph is being built.
#[derive(Debug)]
struct Draft {
    path: StorePath,
    record: Option<DraftRecord>,
}

#[derive(Debug)]
struct DraftRecord {
    nar_size: u64,
    deriver: Option<StorePath>,
    /// Where its references stand in [`GraphBuilder::references`]: sorted, each once.
    references: Range<usize>,
}

/// Gathers records, in any order, into a [`Graph`].
#[derive(Debug, Default)]
pub struct GraphBuilder {
    ids: HashMap<StorePath, u32>,
    drafts: Vec<Draft>,
    references: Vec<u32>,
}

impl GraphBuilder {
    /// Returns a builder without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record. The same record again changes nothing.
    ///
    /// # Errors
    ///
    /// Fails when a path is malformed, or when an earlier record of the same path has another size or other
    /// references.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), GraphError> {
        let id = self.intern(record.path)?;
        let deriver = record.deriver.map(StorePath::parse).transpose()?;
        let mut references = Vec::with_capacity(record.references.len());
        for reference in &record.references {
            references.push(self.intern(reference)?);
        }
        references.sort_unstable();
        references.dedup();

        let start = self.references.len();
        let Some(draft) = self.drafts.get_mut(id as usize) else {
            return Ok(());
        };
        match &draft.record {
            None => {
                self.references.append(&mut references);
                draft.record = Some(DraftRecord {
                    nar_size: record.nar_size,
                    deriver,
                    references: start..self.references.len(),
                });
                Ok(())
            }
            // The deriver is left out: two derivations can have made the same content.
            Some(known)
                if known.nar_size == record.nar_size
                    && self.references.get(known.references.clone()) == Some(&references) =>
            {
                Ok(())
            }
            Some(_) => Err(GraphError::Contradiction {
                path: draft.path.clone(),
            }),
        }
    }

    /// Returns the id of the path `text`, a new one if need be.
    fn intern(&mut self, text: &str) -> Result<u32, GraphError> {
        if let Some(id) = self.ids.get(text) {
            return Ok(*id);
        }
        let path = StorePath::parse(text)?;
        let id = u32::try_from(self.drafts.len())
            .ok()
            .filter(|id| *id < u32::MAX);
        let id = id.ok_or(GraphError::TooManyPaths)?;
        self.drafts.push(Draft {
            path: path.clone(),
            record: None,
        });
        self.ids.insert(path, id);
        Ok(id)
    }

    /// Returns the graph of all records added.
    ///
    /// # Errors
    ///
    /// Fails when a path is referred to but has no record, or when references go in a circle.
    pub fn finish(self) -> Result<Graph, GraphError> {
        let Self {
            ids,
            drafts,
            references: draft_references,
        } = self;
        drop(ids);
        // Ids in the order of the paths make everything derived from them independent of the order of the
        // records.
        let mut by_path: Vec<u32> = (0u32..).take(drafts.len()).collect();
        by_path.sort_unstable_by_key(|id| drafts.get(*id as usize).map(|draft| &draft.path));
        let mut final_ids = vec![0u32; drafts.len()];
        for (new, old) in (0u32..).zip(&by_path) {
            if let Some(id) = final_ids.get_mut(*old as usize) {
                *id = new;
            }
        }

        let mut graph = Graph {
            paths: Vec::with_capacity(drafts.len()),
            nar_sizes: Vec::with_capacity(drafts.len()),
            derivers: Vec::with_capacity(drafts.len()),
            references: Lists::with_capacity(drafts.len(), draft_references.len()),
            order: Vec::new(),
            names: Names::default(),
        };
        let mut missing: Option<&Draft> = None;
        let sorted = || by_path.iter().filter_map(|id| drafts.get(*id as usize));
        for draft in sorted() {
            let Some(record) = &draft.record else {
                missing = missing.or(Some(draft));
                continue;
            };
            graph.paths.push(draft.path.clone());
            graph.nar_sizes.push(record.nar_size);
            graph.derivers.push(record.deriver.clone());
            let old = draft_references
                .get(record.references.clone())
                .unwrap_or_default();
            let new = old
                .iter()
                .filter_map(|id| final_ids.get(*id as usize).copied());
            graph.references.push_sorted(new);
        }
        if let Some(missing) = missing {
            // Only a reference can have brought in a path without a record.
            let refers = |draft: &&Draft| {
                let record = draft.record.as_ref();
                let references = record.and_then(|r| draft_references.get(r.references.clone()));
                let path = |id: &u32| drafts.get(*id as usize).map(|d| &d.path);
                references
                    .unwrap_or_default()
                    .iter()
                    .any(|id| path(id) == Some(&missing.path))
            };
            let path = missing.path.clone();
            return Err(match sorted().find(refers) {
                Some(by) => GraphError::MissingReference {
                    path,
                    referrer: by.path.clone(),
                },
                None => GraphError::NoRecord { path },
            });
        }
        graph.order = graph.topological_order()?;
        graph.names = Names::of(&graph.paths);
        Ok(graph)
    }
}

/// Every path that was recorded, with its size, its references and its name; each reference leads to a path
/// in here.
#[derive(Debug, Clone)]
pub struct Graph {
    paths: Vec<StorePath>,
    nar_sizes: Vec<u64>,
    derivers: Vec<Option<StorePath>>,
    references: Lists,
    /// Every path before the paths it refers to.
    order: Vec<u32>,
    names: Names,
}

impl Graph {
    /// Returns the graph of `records`, which may come in any order and more than once.
    ///
    /// # Errors
    ///
    /// Fails where [`GraphBuilder::add`] or [`GraphBuilder::finish`] does.
    pub fn from_records<'a>(
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> Result<Self, GraphError> {
        let mut builder = GraphBuilder::new();
        for record in records {
            builder.add(&record)?;
        }
        builder.finish()
    }

    /// Returns the number of paths.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Returns whether there is no path.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Returns all paths, in order.
    pub fn ids(&self) -> impl Iterator<Item = PathId> + use<> {
        (0u32..).take(self.paths.len()).map(PathId)
    }

    /// Returns the id of `path`; none where it has no record.
    pub fn id(&self, path: &StorePath) -> Option<PathId> {
        let index = self.paths.binary_search(path).ok()?;
        u32::try_from(index).ok().map(PathId)
    }

    /// Returns the path that `id` stands for; none for an id of another graph.
    pub fn path(&self, id: PathId) -> Option<&StorePath> {
        self.paths.get(id.index())
    }

    /// Returns the size of a path's NAR serialisation, in bytes; none for an id of another graph.
    pub fn nar_size(&self, id: PathId) -> Option<u64> {
        self.nar_sizes.get(id.index()).copied()
    }

    /// Returns the derivation that made a path, where the store knows.
    pub fn deriver(&self, id: PathId) -> Option<&StorePath> {
        self.derivers.get(id.index())?.as_ref()
    }

    /// Returns the paths that a path refers to, in order; itself may be among them.
    pub fn references(&self, id: PathId) -> impl Iterator<Item = PathId> {
        self.references.get(id.index()).iter().map(|id| PathId(*id))
    }

    /// Returns the closures of all `roots`, found in one sweep.
    ///
    /// # Errors
    ///
    /// Fails when a root has no record: its closure would be empty.
    pub fn closures<'r>(
        &self,
        roots: impl IntoIterator<Item = &'r StorePath>,
    ) -> Result<Closures<'_>, GraphError> {
        let roots = roots
            .into_iter()
            .map(|root| {
                self.id(root)
                    .ok_or_else(|| GraphError::NoRecord { path: root.clone() })
            })
            .collect::<Result<_, _>>()?;
        Ok(Closures::sweep(self, roots))
    }

    /// Returns all paths, every one before the paths it refers to.
    pub(super) fn referrers_first(&self) -> impl Iterator<Item = PathId> {
        self.order.iter().map(|id| PathId(*id))
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Returns the order for [`Graph::referrers_first`], by counting down the referrers that are still to
    /// come.
    fn topological_order(&self) -> Result<Vec<u32>, GraphError> {
        let others = |id: PathId| {
            self.references(id)
                .filter(move |reference| *reference != id)
        };
        let mut referrers = vec![0u32; self.len()];
        for reference in self.ids().flat_map(others) {
            if let Some(count) = referrers.get_mut(reference.index()) {
                // As many as there are paths, at most: references are distinct.
                *count += 1;
            }
        }
        let mut order: Vec<u32> = (0u32..)
            .zip(&referrers)
            .filter(|(_, n)| **n == 0)
            .map(|(id, _)| id)
            .collect();
        let mut done = 0;
        while let Some(id) = order.get(done) {
            for reference in others(PathId(*id)).collect::<Vec<_>>() {
                if let Some(count) = referrers.get_mut(reference.index()) {
                    *count -= 1;
                    if *count == 0 {
                        order.push(reference.0);
                    }
                }
            }
            done += 1;
        }
        if order.len() == self.len() {
            return Ok(order);
        }
        // What is left is in a circle or behind one, and each has a referrer among what is left: going back
        // as many steps as there are paths ends in a circle.
        let left = |id: PathId| referrers.get(id.index()).is_some_and(|count| *count > 0);
        let mut back = vec![None; self.len()];
        for id in self.ids().filter(|id| left(*id)) {
            for reference in others(id).filter(|id| left(*id)) {
                if let Some(back) = back.get_mut(reference.index()) {
                    *back = Some(id);
                }
            }
        }
        let start = self.ids().find(|id| left(*id));
        let in_circle = start.map(|start| {
            (0..self.len()).fold(start, |id, _| {
                back.get(id.index()).copied().flatten().unwrap_or(id)
            })
        });
        match in_circle.and_then(|id| self.path(id)) {
            Some(path) => Err(GraphError::Cycle { path: path.clone() }),
            None => Ok(order),
        }
    }
}
