//! The layers of the configuration as words with their origin, before anything is understood.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::file::ConfigFile;
use super::keys::{Key, PREFIX, TOKEN, nearest};
use super::value::os_words;
use super::{Environment, Origin, Problem, Warning};
use crate::cli::{Parsed, Shape};

/// The words somebody set a key to.
///
/// Lists have any number of words, [`Shape::Pairs`] two words a pair, all other shapes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    /// The words.
    pub(super) words: Vec<OsString>,
    /// Who set them.
    pub(super) origin: Origin,
    /// In the file, the line of each word.
    pub(super) lines: Vec<usize>,
}

impl Raw {
    fn new(words: Vec<OsString>, origin: Origin) -> Self {
        Self {
            words,
            origin,
            lines: Vec::new(),
        }
    }

    /// Returns who set the word at an index: in the file, with the word's own line.
    pub(super) fn origin_of(&self, index: usize) -> Origin {
        match (&self.origin, self.lines.get(index)) {
            (Origin::File { path, .. }, Some(line)) => Origin::File {
                path: path.clone(),
                line: *line,
            },
            (origin, _) => origin.clone(),
        }
    }
}

/// One layer: what it sets, by key.
pub(super) type Layer = BTreeMap<&'static str, Raw>;

/// Returns what the command line sets.
pub(super) fn of_flags(parsed: &Parsed) -> Layer {
    parsed
        .flags()
        .map(|(name, words)| (name, Raw::new(words.to_vec(), Origin::Flag(name))))
        .collect()
}

/// Returns what the environment sets, with what is odd and what is wrong about it.
pub(super) fn of_environment(environment: &Environment) -> (Layer, Vec<Warning>, Vec<Problem>) {
    let keys: Vec<Key> = Key::all().into_iter().filter(|key| key.is_flag).collect();
    let mut layer = Layer::new();
    let mut problems = Vec::new();
    for key in &keys {
        let variable = key.variable();
        let Some(value) = environment.get_os(&variable) else {
            continue;
        };
        let origin = Origin::Environment(variable);
        match words(key, value) {
            // Nothing but empty lines says as little as an empty variable.
            Ok(words) if words.is_empty() => {}
            Ok(words) => {
                layer.insert(key.name, Raw::new(words, origin));
            }
            Err(reason) => problems.push(Problem::Value {
                key: key.name,
                origin,
                reason,
            }),
        }
    }
    (layer, unknown_variables(environment, &keys), problems)
}

/// Returns the words in a variable's value.
fn words(key: &Key, value: &OsStr) -> Result<Vec<OsString>, String> {
    if !matches!(key.shape, Shape::List | Shape::Choices | Shape::Pairs) {
        return Ok(vec![value.to_owned()]);
    }
    let value = value.to_str().ok_or("the value is not UTF-8")?;
    let lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
    if !matches!(key.shape, Shape::Pairs) {
        return Ok(os_words(lines));
    }
    let mut words = Vec::new();
    for line in lines {
        // The line is not repeated in the message: it may hold a secret.
        let (name, value) = line
            .split_once(char::is_whitespace)
            .ok_or("each line must be NAME VALUE, with a space between")?;
        words.extend(os_words([name, value.trim_start()]));
    }
    Ok(words)
}

fn unknown_variables(environment: &Environment, keys: &[Key]) -> Vec<Warning> {
    let mut known: Vec<String> = keys.iter().map(Key::variable).collect();
    known.push(TOKEN.to_owned());
    environment
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .map(|name| {
            // Without the prefix, which would make every name near to every other.
            let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
            let nearest = nearest(&bare(&name), known.iter().map(|name| bare(name)));
            Warning::UnknownVariable {
                name,
                nearest: nearest.map(|bare| format!("{PREFIX}{bare}")),
            }
        })
        .collect()
}

/// The layers on top of the defaults.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The command line.
    pub(super) flags: Layer,
    /// The environment.
    pub(super) environment: Layer,
    /// The configuration file.
    pub(super) file: Layer,
}

impl Layers {
    /// Returns what the layers say to a key, the highest first.
    pub(super) fn of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Raw> {
        [&self.flags, &self.environment, &self.file]
            .into_iter()
            .filter_map(move |layer| layer.get(key))
    }

    /// Adds what the file sets; returns what is wrong with it.
    pub(super) fn add_file(&mut self, file: &ConfigFile<'_>) -> Vec<Problem> {
        let (layer, problems) = file.layer();
        self.file = layer;
        problems
    }
}
