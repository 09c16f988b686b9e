//! Two graphs as one, where the sides of a comparison were read from different stores.

use super::{Graph, GraphBuilder, GraphError, PathId, Record, StorePath};

/// Two graphs as one.
#[derive(Debug, Clone)]
pub struct Union {
    /// Every path of both.
    pub graph: Graph,
    /// Paths that both have with different sizes, in order; in [`graph`](Self::graph) they have that of the second.
    pub resized: Vec<StorePath>,
}

impl Union {
    /// Returns `before` and `after` as one graph.
    ///
    /// A path that is no hash of its content can come out differently where it is built twice, and then often in its size alone.
    /// Going from one closure to the other does not touch such a path, so it has one size on both sides: that in `after`.
    ///
    /// # Errors
    ///
    /// A path that both have refers to other paths in one than in the other, so that what belongs to a closure depends on whom one
    /// asks.
    pub fn of(before: &Graph, after: &Graph) -> Result<Self, GraphError> {
        let mut builder = GraphBuilder::new();
        let mut resized = Vec::new();
        for id in after.ids() {
            builder.add(&record(after, id))?;
        }
        for id in before.ids() {
            let record = record(before, id);
            let known = before.path(id).and_then(|path| after.id(path));
            match known {
                Some(known) if references(after, known) != record.references => {
                    return Err(GraphError::Contradiction {
                        path: StorePath::parse(record.path)?,
                    });
                }
                Some(known) => {
                    if after.nar_size(known) != Some(record.nar_size) {
                        resized.extend(before.path(id).cloned());
                    }
                }
                None => builder.add(&record)?,
            }
        }
        Ok(Self {
            graph: builder.finish()?,
            resized,
        })
    }
}

/// Returns what a graph knows of one of its paths.
pub(super) fn record(graph: &Graph, id: PathId) -> Record<'_> {
    Record {
        path: graph.path(id).map(StorePath::as_str).unwrap_or_default(),
        nar_size: graph.nar_size(id).unwrap_or_default(),
        deriver: graph.deriver(id).map(StorePath::as_str),
        references: references(graph, id),
    }
}

fn references(graph: &Graph, id: PathId) -> Vec<&str> {
    graph
        .references(id)
        .filter_map(|id| graph.path(id))
        .map(StorePath::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "/nix/store/00000000000000000000000000000000-a";
    const B: &str = "/nix/store/00000000000000000000000000000000-b";
    const C: &str = "/nix/store/00000000000000000000000000000000-c";

    /// A graph of paths with their sizes and what they refer to.
    fn graph(paths: &[(&'static str, u64, &[&'static str])]) -> Graph {
        Graph::from_records(paths.iter().map(|(path, nar_size, references)| Record {
            path,
            nar_size: *nar_size,
            deriver: None,
            references: references.to_vec(),
        }))
        .unwrap()
    }

    #[test]
    fn of_two_sizes_that_of_the_second_counts_and_two_sets_of_references_are_an_error() {
        let before = graph(&[(A, 1, &[C]), (C, 10, &[C])]);
        let after = graph(&[(B, 2, &[C]), (C, 11, &[C])]);
        let Union {
            graph: both,
            resized,
        } = Union::of(&before, &after).unwrap();
        let sizes: Vec<_> = both
            .ids()
            .map(|id| (both.path(id).unwrap().name(), both.nar_size(id).unwrap()))
            .collect();
        assert_eq!(sizes, [("a", 1), ("b", 2), ("c", 11)]);
        assert_eq!(resized, [StorePath::parse(C).unwrap()]);

        let other = graph(&[(B, 2, &[C]), (C, 10, &[])]);
        let error = Union::of(&before, &other).unwrap_err();
        assert_eq!(
            error,
            GraphError::Contradiction {
                path: StorePath::parse(C).unwrap()
            }
        );
    }
}
