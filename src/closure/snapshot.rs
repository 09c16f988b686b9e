//! A closure as a file, so that it can be compared on another machine, or when it is gone.
//!
//! A snapshot holds all that a comparison asks a store for, so that a diff of snapshots is the diff of the stores. It is one JSON
//! object; its first key says what it is and in which format:
//!
//! | key | |
//! | --- | --- |
//! | `flake-herald-snapshot` | the number of the format, [`FORMAT`] |
//! | `tool` | who wrote it |
//! | `store_dir` | the directory of the paths, which are spelled without it |
//! | `root` | the path whose closure it is |
//! | `links` | the paths that users select packages through, see [`Closure::selection`](super::Closure::selection) |
//! | `kernel_params` | the text of the system's file `kernel-params`; left out where it has none |
//! | `paths` | the closure, sorted: `name`, `nar_size`, `deriver`, `references` (by their place in this list), `output`, `recipe` |
//! | `recipes` | what derivations say ([`Recipe`]); `recipe` of a path is its place in this list |
//!
//! A path without `output` and `recipe` is one of whose derivation nothing is known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use super::store_path::is_name_byte;
use super::{Fact, Facts, Graph, GraphBuilder, GraphError, Recipe, Record, StorePath};

/// The format that is written, and the only one that is read.
pub const FORMAT: u64 = 1;

/// How many bytes a snapshot may have: 256 MiB, hundreds of times what a workstation's path names and references take.
pub const SNAPSHOT_LIMIT: usize = 256 << 20;

/// A closure with all that a comparison asks of it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The path whose closure it is.
    pub root: StorePath,
    /// The paths that users select packages through.
    pub links: Vec<StorePath>,
    /// What the system's kernel is started with, as its file `kernel-params` has it; none where there is none.
    pub kernel_params: Option<String>,
    /// The closure.
    pub graph: Graph,
    /// What is known of the paths by their derivations.
    pub facts: Facts,
}

/// Why bytes are no snapshot. To be read after the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// It is JSON that stops before its end.
    #[error("ends in the middle: it was cut off")]
    CutOff,
    /// It is something else.
    #[error("is no snapshot")]
    Other,
    /// A later version wrote it.
    #[error(
        "was made by a newer flake-herald: it has format {format}, and this one reads {FORMAT}"
    )]
    Newer {
        /// Its format.
        format: u64,
    },
    /// It says that it is a snapshot, and is not as one has to be.
    #[error("is a snapshot that is damaged: {0}")]
    Damaged(String),
    /// It is larger than any that is read.
    #[error("is larger than the {} MiB that a snapshot may have", SNAPSHOT_LIMIT >> 20)]
    TooLarge,
}

impl From<GraphError> for SnapshotError {
    fn from(error: GraphError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The file, over how its texts and recipes are held.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<S, R> {
    #[serde(rename = "flake-herald-snapshot")]
    format: u64,
    tool: S,
    store_dir: S,
    root: S,
    links: Vec<S>,
    // Snapshots of older versions do not have it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    kernel_params: Option<S>,
    paths: Vec<Line<S>>,
    recipes: Vec<R>,
}

/// A path in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<S> {
    name: S,
    nar_size: u64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    deriver: Option<S>,
    references: Vec<usize>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    output: Option<S>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipe: Option<usize>,
}

/// The default of an option, whether or not what it would hold has one.
fn none<T>() -> Option<T> {
    None
}

impl Snapshot {
    /// Returns the snapshot that `bytes` hold.
    ///
    /// # Errors
    ///
    /// They hold anything but a whole and consistent snapshot of [`FORMAT`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if bytes.len() > SNAPSHOT_LIMIT {
            return Err(SnapshotError::TooLarge);
        }
        // A struct would be read from a list of its values too.
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            None => return Err(SnapshotError::Empty),
            Some(b'{') => {}
            Some(_) => return Err(SnapshotError::Other),
        }
        let document: Document<String, Recipe> =
            serde_json::from_slice(bytes).map_err(|error| diagnosis(bytes, &error))?;
        check_format(document.format)?;
        Self::of(document)
    }

    /// Returns what a document says.
    fn of(document: Document<String, Recipe>) -> Result<Self, SnapshotError> {
        let Document {
            store_dir,
            root,
            links,
            kernel_params,
            paths,
            recipes,
            ..
        } = document;
        let full = |name: &str| full(&store_dir, name);
        let names: Vec<String> = paths.iter().map(|line| full(&line.name)).collect();
        let derivers: Vec<Option<String>> = paths
            .iter()
            .map(|line| line.deriver.as_deref().map(full))
            .collect();
        let mut builder = GraphBuilder::new();
        for ((line, path), deriver) in paths.iter().zip(&names).zip(&derivers) {
            let references = line
                .references
                .iter()
                .map(|at| names.get(*at).map(String::as_str))
                .collect::<Option<Vec<&str>>>()
                .ok_or_else(|| damaged(&format!("{path} refers to a path that is not in it")))?;
            builder.add(&Record {
                path,
                nar_size: line.nar_size,
                deriver: deriver.as_deref(),
                references,
            })?;
        }
        let graph = builder.finish()?;
        if graph.len() != names.len() {
            let mut seen = HashSet::new();
            let twice = names.iter().find(|name| !seen.insert(*name));
            let twice = twice.map(String::as_str).unwrap_or_default();
            return Err(damaged(&format!("{twice} is in it twice")));
        }
        let root = parsed(&full(&root))?;
        if graph.id(&root).is_none() {
            return Err(GraphError::NoRecord { path: root }.into());
        }
        let recipes: Vec<Arc<Recipe>> = recipes.into_iter().map(Arc::new).collect();
        let mut facts = Facts::default();
        for (line, path) in paths.into_iter().zip(&names) {
            let (output, recipe) = match (line.output, line.recipe) {
                (None, None) => continue,
                (Some(output), Some(recipe)) if is_output(&output) => (output, recipe),
                _ => return Err(damaged(&format!("{path} is no output of a derivation"))),
            };
            let recipe = recipes
                .get(recipe)
                .map(Arc::clone)
                .ok_or_else(|| damaged(&format!("{path} is made by a recipe that is not in it")))?;
            facts.insert(parsed(path)?, Fact { output, recipe });
        }
        let links = links
            .iter()
            .map(|link| {
                let link = parsed(&full(link))?;
                // Without it, other packages would be the selected ones.
                match graph.id(&link) {
                    Some(_) => Ok(link),
                    None => Err(GraphError::NoRecord { path: link }.into()),
                }
            })
            .collect::<Result<_, SnapshotError>>()?;
        Ok(Self {
            links,
            kernel_params,
            root,
            graph,
            facts,
        })
    }

    /// Returns the snapshot as a file, which says that `tool` wrote it. Two of the same closure are equal byte for byte.
    ///
    /// # Errors
    ///
    /// It would be larger than any that is read.
    pub fn to_json(&self, tool: &str) -> Result<Vec<u8>, SnapshotError> {
        let Self {
            root,
            links,
            kernel_params,
            graph,
            facts,
        } = self;
        let store_dir = root.store_dir();
        let name = |path: &'_ StorePath| -> String { short(store_dir, path).to_owned() };
        let places: HashMap<_, _> = graph.ids().zip(0..).collect();
        let mut recipes: Vec<&Recipe> = Vec::new();
        // The outputs of a derivation share its recipe.
        let mut known: HashMap<*const Recipe, usize> = HashMap::new();
        let mut paths = Vec::with_capacity(graph.len());
        for id in graph.ids() {
            let Some(path) = graph.path(id) else {
                continue;
            };
            let fact = facts.of(path);
            let recipe = fact.map(|fact| {
                *known.entry(Arc::as_ptr(&fact.recipe)).or_insert_with(|| {
                    recipes.push(&fact.recipe);
                    recipes.len() - 1
                })
            });
            paths.push(Line {
                name: name(path),
                nar_size: graph.nar_size(id).unwrap_or_default(),
                deriver: graph.deriver(id).map(name),
                references: graph
                    .references(id)
                    .filter_map(|id| places.get(&id).copied())
                    .collect(),
                output: fact.map(|fact| fact.output.clone()),
                recipe,
            });
        }
        let document = Document {
            format: FORMAT,
            tool: tool.to_owned(),
            store_dir: store_dir.to_owned(),
            root: name(root),
            links: links
                .iter()
                .filter(|link| graph.id(link).is_some())
                .map(name)
                .collect(),
            kernel_params: kernel_params.clone(),
            paths,
            recipes,
        };
        let mut bytes =
            serde_json::to_vec(&document).map_err(|error| damaged(&error.to_string()))?;
        bytes.push(b'\n');
        if bytes.len() > SNAPSHOT_LIMIT {
            return Err(SnapshotError::TooLarge);
        }
        Ok(bytes)
    }
}

/// Returns how a path is spelled in a file whose store directory is `store_dir`.
fn short<'p>(store_dir: &str, path: &'p StorePath) -> &'p str {
    if path.store_dir() == store_dir {
        path.base_name()
    } else {
        path.as_str()
    }
}

/// Returns the path that [`short`] spelled.
fn full(store_dir: &str, name: &str) -> String {
    if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{store_dir}/{name}")
    }
}

fn parsed(path: &str) -> Result<StorePath, SnapshotError> {
    StorePath::parse(path).map_err(|error| damaged(&error.to_string()))
}

/// Whether a derivation can have an output of this name: what a store path's name is made of.
fn is_output(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name_byte)
}

fn check_format(format: u64) -> Result<(), SnapshotError> {
    match format {
        FORMAT => Ok(()),
        format if format > FORMAT => Err(SnapshotError::Newer { format }),
        format => Err(damaged(&format!("there is no format {format}"))),
    }
}

/// Says what is wrong with a file that is not read as a snapshot.
fn diagnosis(bytes: &[u8], error: &serde_json::Error) -> SnapshotError {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "flake-herald-snapshot", default)]
        format: Option<Value>,
    }
    match serde_json::from_slice::<Head>(bytes) {
        Err(end) if end.classify() == Category::Eof => SnapshotError::CutOff,
        Err(_) if begins_as_one(bytes) => damaged(&error.to_string()),
        Err(_) | Ok(Head { format: None }) => SnapshotError::Other,
        Ok(Head {
            format: Some(format),
        }) => format
            .as_u64()
            .and_then(|format| check_format(format).err())
            .unwrap_or_else(|| damaged(&error.to_string())),
    }
}

/// Whether the first key is a snapshot's, so that the file is one whatever comes after it.
fn begins_as_one(bytes: &[u8]) -> bool {
    bytes
        .trim_ascii_start()
        .strip_prefix(b"{")
        .is_some_and(|rest| {
            rest.trim_ascii_start()
                .starts_with(b"\"flake-herald-snapshot\"")
        })
}

/// Returns the error with a detail that fits a line, whatever the file holds.
fn damaged(detail: &str) -> SnapshotError {
    const MOST: usize = 300;
    let mut line: String = detail
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if detail.chars().nth(MOST).is_some() {
        line.push('…');
    }
    SnapshotError::Damaged(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::union::record;
    use super::*;

    fn path(digit: usize, name: &str) -> String {
        format!("/nix/store/{digit:032}-{name}")
    }

    fn sample() -> Snapshot {
        let (root, sw, dev, out) = (
            path(4, "system"),
            path(3, "system-path"),
            path(2, "x-1-dev"),
            path(1, "x-1"),
        );
        let drv = path(5, "x-1.drv");
        let records = [
            (&root, None, vec![&sw]),
            (&sw, None, vec![&out]),
            (&dev, Some(&drv), vec![&out, &dev]),
            (&out, Some(&drv), vec![]),
        ];
        let records = records.map(|(path, deriver, references)| Record {
            path,
            nar_size: 7,
            deriver: deriver.map(String::as_str),
            references: references.into_iter().map(String::as_str).collect(),
        });
        let mut facts = Facts::default();
        let recipe = Arc::new(Recipe {
            pname: Some("x".to_owned()),
            ..Recipe::default()
        });
        for (path, output) in [(&dev, "dev"), (&out, "out")] {
            let fact = Fact {
                output: output.to_owned(),
                recipe: Arc::clone(&recipe),
            };
            facts.insert(StorePath::parse(path).unwrap(), fact);
        }
        Snapshot {
            root: StorePath::parse(&root).unwrap(),
            links: vec![StorePath::parse(&sw).unwrap()],
            kernel_params: Some("loglevel=4".to_owned()),
            graph: Graph::from_records(records).unwrap(),
            facts,
        }
    }

    fn written() -> Value {
        serde_json::from_slice(&sample().to_json("tool 1").unwrap()).unwrap()
    }

    fn error(document: &Value) -> String {
        Snapshot::parse(document.to_string().as_bytes())
            .unwrap_err()
            .to_string()
    }

    fn same(one: &Snapshot, other: &Snapshot) -> bool {
        let records = |of: &Snapshot| -> Vec<String> {
            of.graph
                .ids()
                .map(|id| format!("{:?}", record(&of.graph, id)))
                .collect()
        };
        let rest = |of: &Snapshot| (of.root.clone(), of.links.clone(), of.kernel_params.clone());
        (rest(one), &one.facts) == (rest(other), &other.facts) && records(one) == records(other)
    }

    #[test]
    fn the_format() {
        let text = String::from_utf8(sample().to_json("tool 1").unwrap()).unwrap();
        insta::assert_snapshot!(text.replace("},{", "},\n{"), @r#"
        {"flake-herald-snapshot":1,"tool":"tool 1","store_dir":"/nix/store","root":"00000000000000000000000000000004-system","links":["00000000000000000000000000000003-system-path"],"kernel_params":"loglevel=4","paths":[{"name":"00000000000000000000000000000001-x-1","nar_size":7,"deriver":"00000000000000000000000000000005-x-1.drv","references":[],"output":"out","recipe":0},
        {"name":"00000000000000000000000000000002-x-1-dev","nar_size":7,"deriver":"00000000000000000000000000000005-x-1.drv","references":[0,1],"output":"dev","recipe":0},
        {"name":"00000000000000000000000000000003-system-path","nar_size":7,"references":[0]},
        {"name":"00000000000000000000000000000004-system","nar_size":7,"references":[2]}],"recipes":[{"pname":"x","version":null,"sources":{},"patches":{},"flags":{},"dependencies":{},"attributes":{}}]}
        "#);
        assert!(same(&Snapshot::parse(text.as_bytes()).unwrap(), &sample()));

        // As older versions wrote it.
        let older = text.replace(r#""kernel_params":"loglevel=4","#, "");
        assert_ne!(older, text);
        let without = Snapshot {
            kernel_params: None,
            ..sample()
        };
        assert!(same(&Snapshot::parse(older.as_bytes()).unwrap(), &without));
        assert_eq!(without.to_json("tool 1").unwrap(), older.into_bytes());
    }

    #[test]
    fn what_is_no_snapshot_is_told_in_a_line() {
        let of = |bytes: &[u8]| Snapshot::parse(bytes).unwrap_err().to_string();
        let mut said = vec![
            of(b""),
            of(b" \n"),
            of(b"[1]"),
            of(b"text"),
            of(b"{\"nodes\":{}}"),
            of(b"{]"),
            of(b"\xff"),
            of(b"{\"flake-herald-snapshot\":2,\"store\":[]}"),
            of(b"{\"flake-herald-snapshot\":0}"),
            of(b"{\"flake-herald-snapshot\":\"1\"}"),
            of(b"{\"flake-herald-snapshot\":1,\"a\\u001bb\":1}"),
            of(b"{\"flake-herald-snapshot\":1;"),
            of(b"{\n \"flake-herald-snapshot\" \xff"),
            of(&[sample().to_json("tool 1").unwrap(), b"{}".to_vec()].concat()),
        ];
        type Edit = fn(&mut Value);
        let edits: [Edit; 17] = [
            |d| d["flake-herald-snapshot"] = json!(u64::MAX),
            |d| d["flake-herald-snapshot"] = json!(-1),
            |d| d["more"] = json!(1),
            |d| d["paths"][0]["more"] = json!(1),
            |d| d["paths"][0]["references"] = json!([4]),
            |d| d["paths"][0]["references"] = json!([3]),
            |d| d["paths"][0]["name"] = d["paths"][1]["name"].clone(),
            |d| d["paths"][0]["name"] = json!("x"),
            |d| d["paths"][0]["deriver"] = json!("x.drv"),
            |d| d["paths"][0]["nar_size"] = json!(-1),
            |d| d["paths"][0]["output"] = json!("a\nb"),
            |d| drop(d["paths"][0].as_object_mut().unwrap().remove("recipe")),
            |d| d["paths"][0]["recipe"] = json!(1),
            |d| d["root"] = json!(format!("{:032}-gone", 9)),
            |d| d["links"][0] = json!("/etc"),
            |d| d["links"][0] = json!(format!("{:032}-system-path", 9)),
            |d| d["store_dir"] = json!("nix/store"),
        ];
        said.extend(edits.map(|edit| {
            let mut document = written();
            edit(&mut document);
            error(&document)
        }));
        insta::assert_snapshot!(said.join("\n"), @r#"
        is empty
        is empty
        is no snapshot
        is no snapshot
        is no snapshot
        is no snapshot
        is no snapshot
        was made by a newer flake-herald: it has format 2, and this one reads 1
        is a snapshot that is damaged: there is no format 0
        is a snapshot that is damaged: invalid type: string "1", expected u64 at line 1 column 28
        is a snapshot that is damaged: unknown field `a�b`, expected one of `flake-herald-snapshot`, `tool`, `store_dir`, `root`, `links`, `kernel_params`, `paths`, `recipes` at line 1 column 37
        is a snapshot that is damaged: expected `,` or `}` at line 1 column 27
        is a snapshot that is damaged: expected `:` at line 2 column 26
        is a snapshot that is damaged: trailing characters at line 2 column 1
        was made by a newer flake-herald: it has format 18446744073709551615, and this one reads 1
        is a snapshot that is damaged: invalid value: integer `-1`, expected u64 at line 1 column 27
        is a snapshot that is damaged: unknown field `more`, expected one of `flake-herald-snapshot`, `tool`, `store_dir`, `root`, `links`, `kernel_params`, `paths`, `recipes` at line 1 column 119
        is a snapshot that is damaged: unknown field `more`, expected one of `name`, `nar_size`, `deriver`, `references`, `output`, `recipe` at line 1 column 182
        is a snapshot that is damaged: /nix/store/00000000000000000000000000000001-x-1 refers to a path that is not in it
        is a snapshot that is damaged: /nix/store/00000000000000000000000000000003-system-path refers to itself through other paths
        is a snapshot that is damaged: two records of /nix/store/00000000000000000000000000000002-x-1-dev contradict each other
        is a snapshot that is damaged: "/nix/store/x" is not a store path: its last part does not begin with 32 base-32 characters and a dash
        is a snapshot that is damaged: "/nix/store/x.drv" is not a store path: its last part does not begin with 32 base-32 characters and a dash
        is a snapshot that is damaged: invalid value: integer `-1`, expected u64 at line 1 column 235
        is a snapshot that is damaged: /nix/store/00000000000000000000000000000001-x-1 is no output of a derivation
        is a snapshot that is damaged: /nix/store/00000000000000000000000000000001-x-1 is no output of a derivation
        is a snapshot that is damaged: /nix/store/00000000000000000000000000000001-x-1 is made by a recipe that is not in it
        is a snapshot that is damaged: there is no record of /nix/store/00000000000000000000000000000009-gone
        is a snapshot that is damaged: "/etc" is not a store path: it does not stand in a store directory
        is a snapshot that is damaged: there is no record of /nix/store/00000000000000000000000000000009-system-path
        is a snapshot that is damaged: "nix/store/00000000000000000000000000000001-x-1" is not a store path: it is not absolute
        "#);
    }

    #[test]
    fn a_link_to_outside_of_the_closure_selects_nothing_and_is_not_kept() {
        let mut snapshot = sample();
        let outside = StorePath::parse(&path(9, "gone")).unwrap();
        snapshot.links.push(outside);
        assert_eq!(
            snapshot.to_json("tool 1").unwrap(),
            sample().to_json("tool 1").unwrap()
        );
    }

    #[test]
    fn a_path_twice_is_refused_even_where_both_say_the_same() {
        let mut document = written();
        let paths = document["paths"].as_array_mut().unwrap();
        paths.push(paths[0].clone());
        insta::assert_snapshot!(error(&document), @"is a snapshot that is damaged: /nix/store/00000000000000000000000000000001-x-1 is in it twice");
    }

    #[test]
    fn a_snapshot_that_is_cut_off_is_none() {
        let bytes = sample().to_json("tool 1").unwrap();
        // Its last byte is the end of the line.
        for end in 1..bytes.len() - 1 {
            assert_eq!(
                Snapshot::parse(&bytes[..end]).unwrap_err(),
                SnapshotError::CutOff,
                "{end}"
            );
        }
        assert_eq!(
            Snapshot::parse(&vec![b' '; SNAPSHOT_LIMIT + 1]).unwrap_err(),
            SnapshotError::TooLarge
        );
    }

    /// Closures in which each path refers to some with a smaller digit, and which end in their root.
    fn snapshots() -> impl Strategy<Value = Snapshot> {
        let path_of = |digit: usize| path(digit, "x-1");
        let lines =
            proptest::collection::vec((any::<u64>(), any::<u16>(), any::<Option<u8>>()), 1..12);
        lines.prop_map(move |lines| {
            let paths: Vec<String> = (0..lines.len()).map(path_of).collect();
            let drv = path(99, "x.drv");
            let recipes = [0, 1].map(|n| {
                Arc::new(Recipe {
                    version: Some(n.to_string()),
                    ..Recipe::default()
                })
            });
            let mut facts = Facts::default();
            let records = lines
                .iter()
                .enumerate()
                .map(|(at, (size, mask, _))| Record {
                    path: &paths[at],
                    nar_size: *size,
                    deriver: (size % 2 == 0).then_some(drv.as_str()),
                    references: (0..=at)
                        .filter(|other| mask >> other & 1 == 1)
                        .map(|other| paths[other].as_str())
                        .collect(),
                });
            let graph = Graph::from_records(records).unwrap();
            for (path, (_, _, fact)) in paths.iter().zip(&lines) {
                if let Some(fact) = fact {
                    let fact = Fact {
                        output: "out".to_owned(),
                        recipe: Arc::clone(&recipes[usize::from(fact % 2)]),
                    };
                    facts.insert(StorePath::parse(path).unwrap(), fact);
                }
            }
            let root = StorePath::parse(&paths[paths.len() - 1]).unwrap();
            Snapshot {
                links: vec![root.clone()],
                kernel_params: paths
                    .len()
                    .is_multiple_of(2)
                    .then(|| "a \"b c\"\n".to_owned()),
                root,
                graph,
                facts,
            }
        })
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(snapshot in snapshots()) {
            let bytes = snapshot.to_json("tool").unwrap();
            let read = Snapshot::parse(&bytes).unwrap();
            prop_assert!(same(&read, &snapshot));
            prop_assert_eq!(read.to_json("tool").unwrap(), bytes);
        }

        #[test]
        fn whatever_is_done_to_a_snapshot_it_is_refused_or_whole(
            snapshot in snapshots(),
            edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), ".{0,4}|[0-9]{0,3}"), 1..4),
        ) {
            let mut bytes = snapshot.to_json("tool").unwrap();
            for (one, other, text) in edits {
                let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
                bytes.splice(one.min(other)..(one.min(other) + one.max(other) % 5).min(bytes.len()), text.bytes());
                if bytes.is_empty() {
                    break;
                }
            }
            match Snapshot::parse(&bytes) {
                Ok(read) => {
                    prop_assert!(read.graph.closures([&read.root]).is_ok());
                    prop_assert!(Snapshot::parse(&read.to_json("tool").unwrap()).is_ok());
                }
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control), "{error}"),
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Snapshot::parse(&bytes).is_err());
        }
    }
}
