//! The keys of the configuration: what can be set, where, and what can be done with it already.
//!
//! A key is a long flag's name. The flags stand in [`crate::cli::FLAGS`]; this file adds only what
//! the command line does not know.

use crate::cli::{Command, FLAGS, Shape};

pub use crate::cli::NOT_YET;

/// The prefix of every environment variable that is ours.
pub const PREFIX: &str = "FLAKE_HERALD_";

/// The environment variable that holds the forge's token. It has neither a flag, because others can
/// read a process's arguments, nor a key in the file, because that is committed.
pub const TOKEN: &str = "FLAKE_HERALD_TOKEN";

/// A key that only the configuration file has, with what a flag's help would say.
#[derive(Debug, Clone, Copy)]
pub struct FileOnly {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// What stands for a value.
    pub value: &'static str,
    /// The heading it would have in the help.
    pub heading: &'static str,
    /// The commands that heed it.
    pub commands: &'static [Command],
    /// Its line of help.
    pub help: &'static str,
}

/// Keys that only the configuration file has.
pub const FILE_ONLY: &[FileOnly] = &[FileOnly {
    name: "security-packages",
    shape: Shape::List,
    value: "GLOB",
    heading: "Output",
    commands: &[Command::Run, Command::Report],
    help: "Further packages that count for security in the report, as `our-vpn`, `step-*`",
}];

/// Keys that the file cannot have: it would name itself.
pub const NOT_IN_FILE: &[&str] = &["config"];

/// Words of a choice that nothing in this version heeds; the key's other words work.
pub const NOT_YET_WORDS: &[(&str, &str)] = &[("store-reader", "database")];

/// Keys that the configuration file cannot set in a pull request's job, where the file may be the
/// pull request's own: addresses that tokens go to, what is handed to Nix, templates, and what
/// opens secrets to builds or reads them from files.
pub const NOT_IN_PULL_REQUESTS: &[&str] = &[
    "accept-flake-config",
    "api-url",
    "body-template",
    "cache-to",
    "clone",
    "commit-message",
    "nix-access-token-file",
    "option",
    "pass-env",
    "remote",
    "server-url",
    "signing-key-file",
    "title",
    "token-file",
];

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file and, where it is a flag, on the command line.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// Whether the file can have it.
    pub in_file: bool,
    /// Whether it has a flag and an environment variable.
    pub is_flag: bool,
}

impl Key {
    /// Returns every key once, in the order of the help.
    pub fn all() -> Vec<Self> {
        let mut keys: Vec<Self> = Vec::new();
        let flags = FLAGS.iter().map(|flag| (flag.name, flag.shape, true));
        let others = FILE_ONLY.iter().map(|key| (key.name, key.shape, false));
        for (name, shape, is_flag) in flags.chain(others) {
            if !keys.iter().any(|key| key.name == name) {
                keys.push(Self {
                    name,
                    shape,
                    in_file: !NOT_IN_FILE.contains(&name),
                    is_flag,
                });
            }
        }
        keys
    }

    /// Returns the name of the key's environment variable.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('-', "_").to_uppercase())
    }
}

/// Returns the candidate that `name` was most likely meant to be; none if none is near.
pub fn nearest(
    name: &str,
    candidates: impl IntoIterator<Item = impl AsRef<str>>,
) -> Option<String> {
    // One mistake in three letters: more and the guess is as likely wrong as right.
    let limit = (name.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::osa_distance(name, candidate.as_ref());
            (distance, candidate.as_ref().to_owned())
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_names_real_keys() {
        let keys = Key::all();
        let words = NOT_YET_WORDS.iter().map(|(name, _)| name);
        for name in NOT_YET
            .iter()
            .chain(NOT_IN_FILE)
            .chain(NOT_IN_PULL_REQUESTS)
            .chain(words)
        {
            assert!(keys.iter().any(|key| key.name == *name), "{name}");
        }
    }

    #[test]
    fn words_that_wait_are_words_of_their_key() {
        for (name, word) in NOT_YET_WORDS {
            let flag = FLAGS.iter().find(|flag| flag.name == *name).unwrap();
            assert!(
                flag.value.split('|').any(|known| known == *word),
                "{name} {word}"
            );
        }
    }

    #[test]
    fn the_nearest_key_is_found_or_none() {
        let near = |name| nearest(name, Key::all().iter().map(|key| key.name));
        assert_eq!(near("eval_batch").as_deref(), Some("eval-batch"));
        assert_eq!(near("evalbatch").as_deref(), Some("eval-batch"));
        assert_eq!(near("hosts").as_deref(), Some("host"));
        assert_eq!(near("labels").as_deref(), Some("label"));
        assert_eq!(near("exclude-hsot").as_deref(), Some("exclude-host"));
        assert_eq!(near("colour").as_deref(), Some("color"));
        assert_eq!(near("schedule"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn variables_are_the_keys_in_capitals() {
        let key = Key::all()
            .into_iter()
            .find(|key| key.name == "no-default-excludes")
            .unwrap();
        assert_eq!(key.variable(), "FLAKE_HERALD_NO_DEFAULT_EXCLUDES");
    }
}
