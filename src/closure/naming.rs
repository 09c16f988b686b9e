//! Which package, version and output a path is, on one comparison after the other.

use std::collections::HashMap;

use super::{Facts, Graph, Known, PackageName, PathId};

/// The default output.
pub(super) const OUT: &str = "out";

/// What a path is: which package, in which version, which of its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// The number of the package's name; see [`Naming::text`].
    pub(super) name: usize,
    pub(super) version: Option<&'a str>,
    pub(super) output: &'a str,
}

/// What a path is by its looks and by what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readings<'a> {
    /// By what its name looks like.
    pub(super) looks: Named<'a>,
    /// By what its derivation says; none where nothing is known of it.
    pub(super) exact: Option<Named<'a>>,
}

/// The names of a graph's paths, each found once however many comparisons ask for it.
#[derive(Debug)]
pub(super) struct Naming<'a> {
    graph: &'a Graph,
    facts: &'a Facts,
    paths: Vec<Option<Readings<'a>>>,
    /// Names that no path looks like. Their numbers follow those of the graph's.
    further: Vec<String>,
    further_numbers: HashMap<String, usize>,
}

impl<'a> Naming<'a> {
    pub(super) fn new(graph: &'a Graph, facts: &'a Facts) -> Self {
        Self {
            graph,
            facts,
            paths: vec![None; graph.len()],
            further: Vec::new(),
            further_numbers: HashMap::new(),
        }
    }

    /// Returns what `id` is; none for an id of another graph.
    pub(super) fn of(&mut self, id: PathId) -> Option<Readings<'a>> {
        let known = self.paths.get(id.index())?;
        if known.is_some() {
            return *known;
        }
        let names = self.read(id);
        if let Some(slot) = self.paths.get_mut(id.index()) {
            *slot = names;
        }
        names
    }

    fn read(&mut self, id: PathId) -> Option<Readings<'a>> {
        let (graph, facts) = (self.graph, self.facts);
        let path = graph.path(id)?;
        let named = |name, parts: PackageName<'a>| Named {
            name,
            version: parts.version,
            output: parts.output.unwrap_or(OUT),
        };
        let looks = named(graph.names().of_path(id)?, PackageName::parse(path.name()));
        let exact = facts.of(path).map(|fact| {
            let known = Known {
                output: Some(&fact.output),
                pname: fact.recipe.pname.as_deref(),
                version: fact.recipe.version.as_deref(),
            };
            let parts = PackageName::exact(path.name(), known);
            named(self.number(&parts.package()), parts)
        });
        Some(Readings { looks, exact })
    }

    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.graph.names().find(text) {
            return number;
        }
        if let Some(number) = self.further_numbers.get(text) {
            return *number;
        }
        let number = self.graph.names().len() + self.further.len();
        self.further.push(text.to_owned());
        self.further_numbers.insert(text.to_owned(), number);
        number
    }

    /// Returns the name with a number.
    pub(super) fn text(&self, name: usize) -> Option<&str> {
        let names = self.graph.names();
        names.text(name).or_else(|| {
            let further = self.further.get(name.checked_sub(names.len())?)?;
            Some(further)
        })
    }
}
