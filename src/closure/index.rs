//! Tables by number: which numbers belong to a number, and which name a path has.

use std::borrow::Cow;

use super::{PackageName, PathId, StorePath};

/// A list of numbers for each index, one after the other in one allocation (compressed sparse rows).
#[derive(Debug, Clone)]
pub(super) struct Lists {
    /// Where each list ends, after a zero.
    ends: Vec<usize>,
    items: Vec<u32>,
}

impl Default for Lists {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl Lists {
    pub(super) fn with_capacity(lists: usize, items: usize) -> Self {
        let mut ends = Vec::with_capacity(lists + 1);
        ends.push(0);
        Self {
            ends,
            items: Vec::with_capacity(items),
        }
    }

    /// Adds the next list, in ascending order.
    pub(super) fn push_sorted(&mut self, items: impl Iterator<Item = u32>) {
        let start = self.items.len();
        self.items.extend(items);
        if let Some(list) = self.items.get_mut(start..) {
            list.sort_unstable();
        }
        self.ends.push(self.items.len());
    }

    /// Returns the list at `index`; an empty one where there is none.
    pub(super) fn get(&self, index: usize) -> &[u32] {
        let list = match self.ends.get(index..) {
            Some([start, end, ..]) => self.items.get(*start..*end),
            _ => None,
        };
        list.unwrap_or_default()
    }
}

/// The package names of all paths, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// For each path, which name it has. The order of the numbers is that of the names.
    of_path: Vec<u32>,
    /// For each name, its paths.
    paths: Lists,
    texts: Vec<Box<str>>,
}

impl Names {
    pub(super) fn of(paths: &[StorePath]) -> Self {
        let mut named: Vec<(Cow<'_, str>, u32)> = paths
            .iter()
            .map(|path| PackageName::parse(path.name()).package())
            .zip(0..)
            .collect();
        named.sort_unstable();
        let mut names = Self {
            of_path: vec![0; paths.len()],
            ..Self::default()
        };
        for (number, same) in (0u32..).zip(named.chunk_by(|a, b| a.0 == b.0)) {
            names.paths.push_sorted(same.iter().map(|(_, id)| *id));
            for (_, id) in same {
                if let Some(name) = names.of_path.get_mut(*id as usize) {
                    *name = number;
                }
            }
            names
                .texts
                .extend(same.first().map(|(text, _)| Box::from(&**text)));
        }
        names
    }

    /// Returns how many names there are; they are numbered from 0, in byte order.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns the number of the name `text`; none where no path has it.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        self.texts.binary_search_by(|name| (**name).cmp(text)).ok()
    }

    /// Returns the name with a number.
    pub(super) fn text(&self, name: usize) -> Option<&str> {
        self.texts.get(name).map(|text| &**text)
    }

    /// Returns the number of the name that a path has.
    pub(super) fn of_path(&self, id: PathId) -> Option<usize> {
        self.of_path.get(id.index()).map(|name| *name as usize)
    }

    /// Returns the paths that have a name, in order.
    pub(super) fn paths(&self, name: usize) -> impl Iterator<Item = PathId> {
        self.paths.get(name).iter().map(|id| PathId(*id))
    }
}
