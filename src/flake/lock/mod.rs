//! `flake.lock` as data, and what changed between two of them. Pure: bytes in, values out.
//!
//! The rules are Nix's own (`src/libflake/lockfile.cc`): which versions there are, what is ignored, when two
//! locks are the same, which inputs changed and how that is said.

mod change;
mod compare_url;
mod error;
mod find;
mod graft;
mod hygiene;
mod input;
#[cfg(test)]
mod tests;
mod trust;
mod url;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use change::{InputChange, changes, message};
pub use compare_url::{compare_url, is_compare_url};
pub use error::LockError;
pub use find::NotFound;
pub use graft::{Graft, GraftError, graft};
pub use hygiene::{LockNote, LockNoteKind, notes};
use input::Attrs;
pub use input::LockedInput;
pub use trust::{Distrust, suspicious};
pub use url::Dialect;

/// The way from the root to an input: the names of the inputs on it, `home-manager/nixpkgs`.
///
/// Ordered name by name, as in Nix: `a/b` comes before `a-b`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputPath(Vec<Arc<str>>);

impl InputPath {
    /// Returns the names on the way; none for the root itself.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Tells whether this is an input of an input, not one that the flake itself declares.
    pub fn is_transitive(&self) -> bool {
        self.0.len() > 1
    }

    fn join(&self, name: &Arc<str>) -> Self {
        Self(self.0.iter().chain([name]).cloned().collect())
    }

    /// Reads a list of names.
    fn parse(value: &Value) -> Option<Self> {
        value
            .as_array()?
            .iter()
            .map(|name| name.as_str().map(Arc::from))
            .collect::<Option<_>>()
            .map(Self)
    }
}

impl fmt::Display for InputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "/" };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

/// What an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// The same as another input, named by its way from the root (the empty one is the flake itself).
    Follows(InputPath),
    /// A locked input of its own.
    Locked(LockedInput),
}

/// A `flake.lock`: the graph of the inputs of a flake.
#[derive(Debug, Clone)]
pub struct LockFile {
    version: u8,
    /// What can be reached from the root, which is the first of them.
    nodes: Vec<Node>,
}

/// A node of the graph: the flake itself (the root) or an input.
#[derive(Debug, Clone)]
struct Node {
    /// The name in the file, for error messages. Nix renames nodes at will.
    key: String,
    /// Absent for the root.
    input: Option<LockedInput>,
    /// The input from whose directory a relative path starts.
    parent: Option<InputPath>,
    inputs: BTreeMap<Arc<str>, Target>,
}

/// Where an input of a node leads.
#[derive(Debug, Clone)]
enum Target {
    /// An index of [`LockFile::nodes`].
    Node(usize),
    Follows(InputPath),
}

const ROOT: usize = 0;

impl LockFile {
    /// Reads a `flake.lock` of version 5, 6 or 7.
    ///
    /// Nodes that cannot be reached from the root are ignored, as Nix ignores them.
    ///
    /// # Errors
    ///
    /// If the bytes are no such file, or one whose references lead nowhere or in a circle. Nix itself notices the
    /// latter late, when it evaluates.
    pub fn parse(bytes: &[u8]) -> Result<Self, LockError> {
        // Nix's parser skips a byte order mark.
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let json: Value =
            serde_json::from_slice(text).map_err(|error| LockError::from_json(text, error))?;
        let malformed = |part: &str, expected| LockError::Malformed {
            part: part.to_owned(),
            expected,
        };
        let json = json
            .as_object()
            .ok_or_else(|| malformed("the file", "an object"))?;

        let version = match json.get("version") {
            None => 0,
            Some(version) => version
                .as_i64()
                .ok_or_else(|| malformed("'version'", "an integer"))?,
        };
        let Ok(version @ 5..=7) = u8::try_from(version) else {
            return Err(LockError::Version { version });
        };
        let root = json
            .get("root")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("'root'", "a string"))?;
        let nodes = json
            .get("nodes")
            .and_then(Value::as_object)
            .ok_or_else(|| malformed("'nodes'", "an object"))?;

        let lock = Self {
            version,
            nodes: Reader::new(nodes).read(root)?,
        };
        lock.check_follows()?;
        Ok(lock)
    }

    /// Returns the version of the format: 5, 6 or 7.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Returns the names of the inputs that the flake itself declares, sorted.
    pub fn root_inputs(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .first()
            .into_iter()
            .flat_map(|root| root.inputs.keys().map(AsRef::as_ref))
    }

    /// Returns all inputs by their way from the root, as Nix lists them for its comparison: depth first, names
    /// sorted, and into each node once, by the first way to it.
    pub fn inputs(&self) -> BTreeMap<InputPath, Edge> {
        let mut inputs = BTreeMap::new();
        self.visit(|path, target| {
            let edge = match target {
                Target::Follows(follows) => Some(Edge::Follows(follows.clone())),
                Target::Node(index) => self
                    .nodes
                    .get(*index)
                    .and_then(|node| node.input.clone())
                    .map(Edge::Locked),
            };
            if let Some(edge) = edge {
                inputs.insert(path.clone(), edge);
            }
        });
        inputs
    }

    /// Returns, for each input whose path is relative, the input from whose directory it starts.
    fn parents(&self) -> BTreeMap<InputPath, InputPath> {
        let mut parents = BTreeMap::new();
        self.visit(|path, target| {
            if let Target::Node(index) = target
                && let Some(parent) = self.nodes.get(*index).and_then(|node| node.parent.as_ref())
            {
                parents.insert(path.clone(), parent.clone());
            }
        });
        parents
    }

    /// Shows all inputs with their way from the root, as [`inputs`](Self::inputs) lists them.
    fn visit(&self, mut see: impl FnMut(&InputPath, &Target)) {
        let mut entered = vec![false; self.nodes.len()];
        // By hand and not by recursion, since the depth is the file's to choose.
        let mut stack = Vec::new();
        let mut enter = |index: usize| -> Option<&Node> {
            let entered = entered.get_mut(index)?;
            if std::mem::replace(entered, true) {
                None
            } else {
                self.nodes.get(index)
            }
        };
        if let Some(root) = enter(ROOT) {
            stack.push((InputPath::default(), root.inputs.iter()));
        }
        while let Some((prefix, rest)) = stack.last_mut() {
            let Some((name, target)) = rest.next() else {
                stack.pop();
                continue;
            };
            let path = prefix.join(name);
            see(&path, target);
            if let Target::Node(index) = target
                && let Some(node) = enter(*index)
            {
                stack.push((path, node.inputs.iter()));
            }
        }
    }

    /// Tells whether Nix would see no change between the two, that is, leave the file as it is.
    ///
    /// The graphs are compared from the root: which nodes are shared, what they follow, and each one's `original`,
    /// `locked`, `flake` and `parent`. The names of nodes, nodes that nothing refers to, the formatting and the
    /// version do not count.
    pub fn same_as(&self, other: &Self) -> bool {
        self.same_below(ROOT, other, ROOT)
    }

    /// Tells the same of what can be reached from one node of each.
    fn same_below(&self, from: usize, other: &Self, other_from: usize) -> bool {
        let mut theirs = vec![None; self.nodes.len()];
        let mut ours = vec![None; other.nodes.len()];
        let mut pairs = vec![(from, other_from)];
        while let Some((one, two)) = pairs.pop() {
            let (Some(their), Some(our)) = (theirs.get_mut(one), ours.get_mut(two)) else {
                return false;
            };
            match (&their, &our) {
                (None, None) => {}
                // Met before, and the two were set together.
                (Some(met), _) if *met == two => continue,
                _ => return false,
            }
            *their = Some(two);
            *our = Some(one);
            let (Some(one), Some(two)) = (self.nodes.get(one), other.nodes.get(two)) else {
                return false;
            };
            if one.input != two.input
                || one.parent != two.parent
                || one.inputs.len() != two.inputs.len()
            {
                return false;
            }
            for ((name, target), (other_name, other_target)) in one.inputs.iter().zip(&two.inputs) {
                match (target, other_target) {
                    _ if name != other_name => return false,
                    (Target::Node(one), Target::Node(two)) => pairs.push((*one, *two)),
                    (Target::Follows(one), Target::Follows(two)) if one == two => {}
                    _ => return false,
                }
            }
        }
        true
    }

    /// Checks that whatever follows something arrives somewhere.
    fn check_follows(&self) -> Result<(), LockError> {
        let mut resolved = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for (name, target) in &node.inputs {
                if let Target::Follows(path) = target {
                    self.resolve(
                        Walk {
                            from: (index, name),
                            path,
                            done: 0,
                            at: ROOT,
                        },
                        &mut resolved,
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Walks to what an input follows, and on the way first to what the inputs on that way follow.
    fn resolve<'a>(
        &'a self,
        walk: Walk<'a>,
        resolved: &mut HashMap<InputOf<'a>, usize>,
    ) -> Result<(), LockError> {
        let mut open = HashSet::from([walk.from]);
        let mut walks = vec![walk];
        while let Some(walk) = walks.last_mut() {
            let Some(name) = walk.path.0.get(walk.done) else {
                resolved.insert(walk.from, walk.at);
                open.remove(&walk.from);
                walks.pop();
                continue;
            };
            let step = self
                .nodes
                .get(walk.at)
                .and_then(|node| node.inputs.get_key_value(name));
            match step {
                None => {
                    let (node, input, follows) = self.describe(walk);
                    return Err(LockError::FollowsNowhere {
                        node,
                        input,
                        follows,
                    });
                }
                Some((_, Target::Node(index))) => {
                    walk.at = *index;
                    walk.done += 1;
                }
                Some((name, Target::Follows(path))) => {
                    let from = (walk.at, &**name);
                    if let Some(&index) = resolved.get(&from) {
                        walk.at = index;
                        walk.done += 1;
                    } else if open.insert(from) {
                        walks.push(Walk {
                            from,
                            path,
                            done: 0,
                            at: ROOT,
                        });
                    } else {
                        let (node, input, follows) = self.describe(walk);
                        return Err(LockError::FollowsCycle {
                            node,
                            input,
                            follows,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn describe(&self, walk: &Walk<'_>) -> (String, String, InputPath) {
        let (node, input) = walk.from;
        let node = self
            .nodes
            .get(node)
            .map(|node| node.key.clone())
            .unwrap_or_default();
        (node, input.to_owned(), walk.path.clone())
    }
}

/// An input of a node, by the node's index and the input's name.
type InputOf<'a> = (usize, &'a str);

/// A walk from the root along a path that an input follows.
struct Walk<'a> {
    /// The input that follows.
    from: InputOf<'a>,
    path: &'a InputPath,
    /// How many names of the path are behind us.
    done: usize,
    /// Where we are: an index of the nodes.
    at: usize,
}

/// Reads the nodes that can be reached from the root.
struct Reader<'a> {
    json: &'a Map<String, Value>,
    /// The index that each name in the file has got.
    indices: HashMap<&'a str, usize>,
    /// The names by index; those not read yet are at the end.
    keys: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(json: &'a Map<String, Value>) -> Self {
        Self {
            json,
            indices: HashMap::new(),
            keys: Vec::new(),
        }
    }

    fn read(mut self, root: &str) -> Result<Vec<Node>, LockError> {
        let Some((root, _)) = self.json.get_key_value(root) else {
            return Err(LockError::MissingRoot {
                key: root.to_owned(),
            });
        };
        self.index(root);
        let mut nodes = Vec::new();
        while let Some(&key) = self.keys.get(nodes.len()) {
            let json = self
                .json
                .get(key)
                .and_then(Value::as_object)
                .ok_or_else(|| LockError::Malformed {
                    part: format!("node '{key}'"),
                    expected: "an object",
                })?;
            nodes.push(self.node(key, json, nodes.is_empty())?);
        }
        Ok(nodes)
    }

    /// Returns the index of a node; a new one if it was not asked for before.
    fn index(&mut self, key: &'a str) -> usize {
        *self.indices.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.keys.len() - 1
        })
    }

    fn node(
        &mut self,
        key: &'a str,
        json: &'a Map<String, Value>,
        is_root: bool,
    ) -> Result<Node, LockError> {
        let malformed = |part: &str, expected| LockError::Malformed {
            part: format!("'{part}' of node '{key}'"),
            expected,
        };
        let mut node = Node {
            key: key.to_owned(),
            input: None,
            parent: None,
            inputs: BTreeMap::new(),
        };
        if !is_root {
            node.input = Some(LockedInput {
                locked: Attrs::parse(key, "locked", json.get("locked"), json.get("info"))?,
                original: Attrs::parse(key, "original", json.get("original"), None)?,
                flake: match json.get("flake") {
                    None => true,
                    Some(flake) => flake
                        .as_bool()
                        .ok_or_else(|| malformed("flake", "a boolean"))?,
                },
            });
            if let Some(parent) = json.get("parent") {
                node.parent = Some(
                    InputPath::parse(parent)
                        .ok_or_else(|| malformed("parent", "a list of strings"))?,
                );
            }
        }
        let inputs = match json.get("inputs") {
            // Written by other tools; Nix reads it as no inputs.
            None | Some(Value::Null) => None,
            Some(inputs) => Some(
                inputs
                    .as_object()
                    .ok_or_else(|| malformed("inputs", "an object"))?,
            ),
        };
        for (name, value) in inputs.into_iter().flatten() {
            let target = match value {
                Value::String(target) => Target::Node(self.target(key, name, target)?),
                _ => InputPath::parse(value)
                    .map(Target::Follows)
                    .ok_or_else(|| LockError::Malformed {
                        part: format!("input '{name}' of node '{key}'"),
                        expected: "a string or a list of strings",
                    })?,
            };
            node.inputs.insert(Arc::from(name.as_str()), target);
        }
        Ok(node)
    }

    fn target(&mut self, node: &str, input: &str, target: &'a str) -> Result<usize, LockError> {
        let (node, input) = (node.to_owned(), input.to_owned());
        if !self.json.contains_key(target) {
            return Err(LockError::MissingNode {
                node,
                input,
                target: target.to_owned(),
            });
        }
        match self.index(target) {
            ROOT => Err(LockError::CycleToRoot { node, input }),
            index => Ok(index),
        }
    }
}
