//! Puts inputs of inputs back to what they were before an update.
//!
//! Nix can leave one of the flake's own inputs alone, and has no way to leave an input of an updated input alone: it takes
//! those from the lock of the updated flake. (`--override-input` would, but fetches anew what a URL no longer gives, and
//! cannot say a `narHash` for git.) So the nodes are put back in the file, where Nix believes them as long as they are
//! what the flakes ask for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{InputPath, LockError, LockFile};

/// What came of putting inputs back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graft {
    /// The file, where anything had to be put back. Nix would name its nodes otherwise.
    pub file: Option<Vec<u8>>,
    /// The inputs that the new lock does not have, and so none can be kept.
    pub gone: Vec<InputPath>,
}

/// Why an input cannot be put back.
#[derive(Debug, thiserror::Error)]
pub enum GraftError {
    /// One of the locks, or what they give together.
    #[error(
        "what was to stay as it is locked does not fit the rest of the new lock, which then {0}"
    )]
    Lock(#[from] LockError),
    /// The updated flake asks for something else, so what was locked would be no answer.
    #[error(
        "`{input}` cannot stay as it is locked: it was `{before}`, and its flake now asks for `{after}`"
    )]
    AsksOtherwise {
        /// The input.
        input: InputPath,
        /// What was asked for.
        before: String,
        /// What is asked for now.
        after: String,
    },
    /// Its source is part of one that is updated.
    #[error(
        "`{input}` cannot stay as it is locked: it is a directory of `{carrier}`, and changes with it"
    )]
    Carried {
        /// The input.
        input: InputPath,
        /// The input whose source it is a part of.
        carrier: InputPath,
    },
}

/// Returns the lock `after` with the inputs `keep`, and all that they have, as the lock `base` has them.
///
/// # Errors
///
/// An input cannot be kept, or one of the files is no lock.
pub fn graft(base: &[u8], after: &[u8], keep: &[InputPath]) -> Result<Graft, GraftError> {
    let (old, new) = (LockFile::parse(base)?, LockFile::parse(after)?);
    let mut gone = Vec::new();
    let mut moved = Vec::new();
    for path in keep {
        let (Ok(before), Ok(now)) = (old.find(path), new.find(path)) else {
            gone.push(path.clone());
            continue;
        };
        if before.original != now.original || before.flake != now.flake {
            return Err(GraftError::AsksOtherwise {
                input: path.clone(),
                before: before.original_url(),
                after: now.original_url(),
            });
        }
        let carriers = (old.carrier(path), new.carrier(path));
        if let (Some(carrier), _) | (None, Some(carrier)) = &carriers
            && (carriers.0 != carriers.1 || !same_source(&old, &new, carrier))
        {
            return Err(GraftError::Carried {
                input: path.clone(),
                carrier: carrier.clone(),
            });
        }
        if old.keeps(&new, path) != Some(true) {
            moved.push(path);
        }
    }
    if moved.is_empty() {
        return Ok(Graft { file: None, gone });
    }
    let old = Nodes::read(base)?;
    let mut new = Nodes::read(after)?;
    for path in moved {
        // Both were read as locks above, so every node is there; whoever asked looks at the result all the same.
        let _put = new.put_back(&old, path);
    }
    let mut file = new.0.to_string().into_bytes();
    file.push(b'\n');
    LockFile::parse(&file)?;
    Ok(Graft {
        file: Some(file),
        gone,
    })
}

fn same_source(old: &LockFile, new: &LockFile, path: &InputPath) -> bool {
    match (old.find(path), new.find(path)) {
        (Ok(old), Ok(new)) => old.locked == new.locked,
        // The flake itself is the same on both sides.
        _ => path.names().len() == 0,
    }
}

/// A lock as JSON, known to be one.
struct Nodes(Value);

impl Nodes {
    fn read(bytes: &[u8]) -> Result<Self, LockError> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| LockError::from_json(text, error))
    }

    fn root(&self) -> Option<String> {
        Some(self.0.get("root")?.as_str()?.to_owned())
    }

    fn node(&self, key: &str) -> Option<&Value> {
        self.0.get("nodes")?.get(key)
    }

    fn nodes_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.get_mut("nodes")?.as_object_mut()
    }

    /// Returns the node that an input of a node is.
    fn input(&self, key: &str, name: &str) -> Option<String> {
        let target = self.node(key)?.get("inputs")?.get(name)?;
        Some(target.as_str()?.to_owned())
    }

    /// Copies what `path` leads to in `old` here. Whatever else shares a node with it keeps its own.
    fn put_back(&mut self, old: &Self, path: &InputPath) -> Option<()> {
        let mut from = old.root()?;
        let mut at = self.root()?;
        let names: Vec<&str> = path.names().collect();
        let (last, above) = names.split_last()?;
        for name in above {
            from = old.input(&from, name)?;
            let own = self.input(&at, name)?;
            let copy = self.node(&own)?.clone();
            let key = self.add(&own, copy)?;
            self.link(&at, name, &key)?;
            at = key;
        }
        let from = old.input(&from, last)?;
        let mut keys = BTreeMap::new();
        let mut open = vec![from.clone()];
        while let Some(key) = open.pop() {
            if keys.contains_key(&key) {
                continue;
            }
            let copy = old.node(&key)?.clone();
            let inputs = copy.get("inputs").and_then(Value::as_object);
            let targets = inputs.into_iter().flat_map(Map::values);
            open.extend(targets.filter_map(|target| Some(target.as_str()?.to_owned())));
            let new = self.add(&key, copy)?;
            keys.insert(key, new);
        }
        for key in keys.values() {
            let inputs = self
                .nodes_mut()?
                .get_mut(key)
                .and_then(|node| node.get_mut("inputs")?.as_object_mut());
            for target in inputs.into_iter().flat_map(Map::values_mut) {
                if let Some(new) = target.as_str().and_then(|target| keys.get(target)) {
                    *target = Value::String(new.clone());
                }
            }
        }
        self.link(&at, last, keys.get(&from)?)
    }

    /// Adds a node under a name that is still free.
    fn add(&mut self, like: &str, node: Value) -> Option<String> {
        let nodes = self.nodes_mut()?;
        let key = (1..)
            .map(|number: u32| format!("{like}_{number}"))
            .find(|key| !nodes.contains_key(key))?;
        nodes.insert(key.clone(), node);
        Some(key)
    }

    fn link(&mut self, key: &str, name: &str, target: &str) -> Option<()> {
        let inputs = self.nodes_mut()?.get_mut(key)?.get_mut("inputs")?;
        *inputs.get_mut(name)? = Value::String(target.to_owned());
        Some(())
    }
}
