//! One input by its way from the root, as people name it: `nixpkgs`, `home-manager/nixpkgs`.

use std::sync::Arc;

use super::{Edge, InputPath, LockFile, LockedInput, ROOT, Target};

/// Why a name leads to no input of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// There is no such input.
    Unknown {
        /// The flake that does not have it: the way to an input, or the empty one for the flake itself.
        of: InputPath,
        /// The name it does not have.
        name: String,
        /// The names it has, without those that follow another input.
        known: Vec<String>,
    },
    /// It is the same as another input, and nothing of its own.
    Follows {
        /// The input that follows.
        input: InputPath,
        /// The one it follows; the empty way is the flake itself, or nothing at all.
        follows: InputPath,
    },
}

impl InputPath {
    /// Reads a way as people write it: names with slashes between them.
    pub fn from_text(text: &str) -> Self {
        Self(text.split('/').map(Arc::from).collect())
    }

    /// Tells whether `other` is this input, or an input of it.
    pub fn leads_to(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Returns the input that has this one, the flake itself for one that it declares.
    fn parent(&self) -> Self {
        let above = self.0.len().saturating_sub(1);
        Self(self.0.iter().take(above).cloned().collect())
    }
}

impl LockFile {
    /// Returns the locked input at the end of a way.
    ///
    /// # Errors
    ///
    /// The way leads to no input, or it has one on it that follows another.
    pub fn find(&self, path: &InputPath) -> Result<&LockedInput, NotFound> {
        let index = self.walk(path)?;
        // Only the root has no input, and no name leads there.
        self.nodes
            .get(index)
            .and_then(|node| node.input.as_ref())
            .ok_or_else(|| self.unknown(InputPath::default(), String::new(), index))
    }

    /// Returns the names of the flake's own inputs that are locked, not following another, sorted.
    pub fn own_inputs(&self) -> Vec<String> {
        self.locked_of(ROOT)
    }

    /// Returns the inputs that ask for an address, in Nix's order.
    pub fn inputs_at(&self, address: &str) -> Vec<String> {
        self.inputs()
            .iter()
            .filter(|(_, edge)| match edge {
                Edge::Locked(locked) => locked.original_url() == address,
                Edge::Follows(_) => false,
            })
            .map(|(path, _)| path.to_string())
            .collect()
    }

    /// Tells whether an input and all that it has are the same in both locks; none where one does not have it.
    pub fn keeps(&self, other: &Self, path: &InputPath) -> Option<bool> {
        let (ours, theirs) = (self.walk(path).ok()?, other.walk(path).ok()?);
        Some(self.same_below(ours, other, theirs))
    }

    /// Returns the input with whose source a relative path comes, from parent to parent; none for other inputs.
    pub(super) fn carrier(&self, path: &InputPath) -> Option<InputPath> {
        let mut carrier = None;
        let mut at = path.clone();
        // Each step leads nearer to the root, or ends here: a file can claim anything.
        while let Some(parent) = self
            .walk(&at)
            .ok()
            .and_then(|index| self.nodes.get(index)?.parent.clone())
            .filter(|parent| parent.0.len() < at.0.len())
        {
            carrier = Some(parent.clone());
            at = parent;
        }
        carrier
    }

    fn walk(&self, path: &InputPath) -> Result<usize, NotFound> {
        let mut at = ROOT;
        let mut done = InputPath::default();
        for name in &path.0 {
            let target = self.nodes.get(at).and_then(|node| node.inputs.get(name));
            match target {
                Some(Target::Node(index)) => {
                    at = *index;
                    done = done.join(name);
                }
                Some(Target::Follows(follows)) => {
                    return Err(NotFound::Follows {
                        input: done.join(name),
                        follows: follows.clone(),
                    });
                }
                None => return Err(self.unknown(done, name.to_string(), at)),
            }
        }
        if at == ROOT {
            return Err(self.unknown(path.parent(), path.to_string(), ROOT));
        }
        Ok(at)
    }

    fn unknown(&self, of: InputPath, name: String, at: usize) -> NotFound {
        NotFound::Unknown {
            of,
            name,
            known: self.locked_of(at),
        }
    }

    fn locked_of(&self, at: usize) -> Vec<String> {
        self.nodes
            .get(at)
            .into_iter()
            .flat_map(|node| &node.inputs)
            .filter(|(_, target)| matches!(target, Target::Node(_)))
            .map(|(name, _)| name.to_string())
            .collect()
    }
}
