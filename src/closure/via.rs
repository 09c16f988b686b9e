//! Why a path is in a closure: a shortest way to it from the root.

use std::collections::{BTreeMap, VecDeque};

use super::{Graph, PathId};

/// Returns for each list of paths a shortest way from `root` to the nearest of them: the paths on it in order, without the last.
/// None where no path of the list can be reached.
///
/// Of ways of the same length it is the one that goes by the paths that come first in order.
pub(super) fn ways(
    graph: &Graph,
    root: PathId,
    wanted: &[Vec<PathId>],
) -> Vec<Option<Vec<PathId>>> {
    let mut lists: BTreeMap<PathId, usize> = BTreeMap::new();
    for (list, paths) in wanted.iter().enumerate() {
        lists.extend(paths.iter().map(|path| (*path, list)));
    }
    let mut ways = vec![None; wanted.len()];
    let mut missing = wanted.len();
    // From where each path was reached first; the root from itself.
    let mut from: Vec<Option<PathId>> = vec![None; graph.len()];
    if let Some(from) = from.get_mut(root.index()) {
        *from = Some(root);
    }
    let mut todo = VecDeque::from([root]);
    while let Some(id) = todo.pop_front() {
        let way = lists.get(&id).and_then(|list| ways.get_mut(*list));
        if let Some(way @ None) = way {
            *way = Some(back(&from, id));
            missing -= 1;
        }
        if missing == 0 {
            break;
        }
        for reference in graph.references(id) {
            if let Some(from @ None) = from.get_mut(reference.index()) {
                *from = Some(id);
                todo.push_back(reference);
            }
        }
    }
    ways
}

/// Returns the paths from the root to `id`, without it.
fn back(from: &[Option<PathId>], id: PathId) -> Vec<PathId> {
    let earlier = |id: &PathId| {
        let earlier = from.get(id.index()).copied().flatten();
        earlier.filter(|earlier| earlier != id)
    };
    let mut way: Vec<PathId> = std::iter::successors(earlier(&id), earlier).collect();
    way.reverse();
    way
}
