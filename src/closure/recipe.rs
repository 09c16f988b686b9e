//! What a derivation says of the package it makes, and what of it changes by itself.
//!
//! A package is built anew at the same version for one of two reasons: its own derivation changed (a source, a patch, a flag), or
//! only something that it is built from did. The two are told apart by comparing derivations with what they are built from
//! masked: a [`Recipe`] is a derivation in which every path that another derivation builds is replaced by that package's name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StorePath;

/// A derivation with what it is built from masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// `pname`, where it says so.
    pub pname: Option<String>,
    /// `version`, where it says so.
    pub version: Option<String>,
    /// What it builds from the outside: by name, the store path's base name, which stands for the content.
    pub sources: BTreeMap<String, String>,
    /// Its patches, likewise.
    pub patches: BTreeMap<String, String>,
    /// Its flags, by attribute (`configureFlags`), word by word, masked.
    pub flags: BTreeMap<String, Vec<String>>,
    /// Every other attribute, the builder and its arguments among them: by name, a hash of the masked text.
    pub attributes: BTreeMap<String, String>,
}

/// What of a derivation itself changed. Nothing is listed twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnChange {
    /// Sources that are there with other content, or on one side only, by name.
    pub sources: Vec<String>,
    /// Patches that are there only after, by name.
    pub patches_added: Vec<String>,
    /// Patches that are there only before, by name.
    pub patches_removed: Vec<String>,
    /// Words of flags that are there only after.
    pub flags_added: Vec<String>,
    /// Words of flags that are there only before.
    pub flags_removed: Vec<String>,
    /// Other attributes that differ, by name.
    pub attributes: Vec<String>,
}

/// What the store knows of a path by its derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Which output of its derivation it is: `out`, `dev`.
    pub output: String,
    /// The derivation.
    pub recipe: Arc<Recipe>,
}

/// What the store knows of paths by their derivations; nothing of those whose derivation it does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(HashMap<StorePath, Fact>);

impl Facts {
    /// Returns what is known of `path`.
    pub fn of(&self, path: &StorePath) -> Option<&Fact> {
        self.0.get(path)
    }

    /// Adds what is known of `path`.
    pub fn insert(&mut self, path: StorePath, fact: Fact) {
        self.0.insert(path, fact);
    }
}
