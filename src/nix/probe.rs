//! Which commands and flags a Nix has, asked of Nix itself where its version number does not say.
//!
//! `nix __dump-cli` prints every command with its arguments and flags as JSON, and its manual is made from that. On 2.26
//! and 2.34 it takes 0.03 s, needs no experimental feature, opens no store and asks no network (strace). Lix has it too
//! (its `lix/nix/main.cc`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::command::Door;

use super::error::ended;
use super::settings::read_json;
use super::version::{Flavour, NixVersion};
use super::{NixError, Warnings, call};

/// Which of two spellings a Nix understands, for the calls that were spelled otherwise once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelling {
    /// How inputs are updated.
    pub update: Update,
    /// `nix config show`, not `nix show-config`.
    pub config_show: bool,
}

/// How inputs are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Update {
    /// `nix flake update NAMES --flake FLAKE`: Nix 2.19 and Lix 2.90 (their release notes) and later.
    Update,
    /// `nix flake lock FLAKE --update-input NAME`: Nix until 2.18, of which Lix is a fork, and Lix before 2.90. Later ones
    /// still take it, with a warning; Lix lists the flag, but refuses to work with it: so this comes second.
    Lock,
}

impl Spelling {
    /// Returns the spelling that Nix itself understands since the version `number`.
    fn of_number(number: (u32, u32)) -> Self {
        Self {
            update: Update::Update,
            // Renamed in 2.20.
            config_show: number >= (2, 20),
        }
    }

    /// That of a current Nix.
    const CURRENT: Self = Self {
        update: Update::Update,
        config_show: true,
    };

    /// Returns the spelling that the Nix on `PATH` understands. Only one that is not Nix itself is asked.
    ///
    /// # Errors
    ///
    /// It lacks a command or a flag for which there is no other spelling, or it is nothing that calls itself Nix.
    pub(super) async fn of(
        door: &Door,
        version: &NixVersion,
        warnings: &Warnings,
    ) -> Result<Self, NixError> {
        if let (true, Some(number)) = (version.is_plain(), version.number) {
            return Ok(Self::of_number(number));
        }
        let answer = match door.run(&call::dump_cli()).await {
            Ok(output) => read_json::<Dump>("what its commands take", &output.stdout),
            Err(error) if !ended(&error) => return Err(error.into()),
            Err(error) => Err(error.into()),
        };
        match answer {
            Ok(dump) => dump.spelling().map_err(|lacks| NixError::Lacks {
                nix: version.clone(),
                what: lacks.join(", "),
            }),
            // Nobody knows what this is.
            Err(_) if version.flavour == Flavour::Other => Err(NixError::Unreadable {
                what: "the version of Nix",
                detail: version.text.clone(),
            }),
            // Every call says for itself if it is not understood, and fails: nothing is lost by trying.
            Err(error) => {
                let words = error.to_string();
                warnings.add(format!(
                    "it could not be found out what the commands of Nix {version} take, so they are called as those of Nix: {}",
                    words.lines().next().unwrap_or_default()
                ));
                Ok(Self::CURRENT)
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Dump {
    args: Command,
}

/// A command, and the commands below it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Command {
    commands: BTreeMap<String, Self>,
    args: Vec<Positional>,
    flags: BTreeMap<String, IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Positional {
    /// How many words it takes; any number where none.
    #[serde(default)]
    arity: Option<u64>,
}

/// The flags without which there is no report, of the commands that [`call`] spells.
const NEEDED: [(&str, &[&str]); 4] = [
    (
        "flake lock",
        &["reference-lock-file", "output-lock-file", "override-input"],
    ),
    (
        "eval",
        &[
            "json",
            "apply",
            "impure",
            "file",
            "no-write-lock-file",
            "no-update-lock-file",
            "reference-lock-file",
        ],
    ),
    ("build", &["out-link"]),
    ("derivation show", &["stdin"]),
];

impl Dump {
    fn command(&self, name: &str) -> Option<&Command> {
        name.split_whitespace()
            .try_fold(&self.args, |command, word| command.commands.get(word))
    }

    fn has(&self, command: &str, flag: &str) -> bool {
        self.command(command)
            .is_some_and(|command| command.flags.contains_key(flag))
    }

    /// Returns the spelling, or what is lacking: each as it would be typed.
    fn spelling(&self) -> Result<Spelling, Vec<String>> {
        let mut lacks = Vec::new();
        for (name, flags) in NEEDED {
            if self.command(name).is_none() {
                lacks.push(format!("`nix {name}`"));
                continue;
            }
            for flag in flags {
                if !self.has(name, flag) {
                    lacks.push(format!("`nix {name} --{flag}`"));
                }
            }
        }
        let names = self.command("flake update").is_some_and(|update| {
            // A Nix before 2.19 takes the flake here, and one only.
            update.args.first().is_some_and(|arg| arg.arity.is_none())
        });
        let update = if names && self.has("flake update", "flake") {
            if !self.has("flake update", "output-lock-file") {
                lacks.push("`nix flake update --output-lock-file`".to_owned());
            }
            Update::Update
        } else {
            if !["update-input", "recreate-lock-file"]
                .iter()
                .all(|flag| self.has("flake lock", flag))
            {
                lacks.push("`nix flake update NAME --flake`".to_owned());
            }
            Update::Lock
        };
        let config_show = self.has("config show", "json");
        if !config_show && !self.has("show-config", "json") {
            lacks.push("`nix config show --json`".to_owned());
        }
        if lacks.is_empty() {
            Ok(Spelling {
                update,
                config_show,
            })
        } else {
            Err(lacks)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::flake::FlakeRef;
    use crate::nix::Options;

    /// What `nix __dump-cli` of 2.26.3 prints, less what is not read here.
    fn dump() -> Value {
        let flags = |names: &str| -> Value {
            let flags = names.split_whitespace();
            flags.map(|name| (name.to_owned(), json!({}))).collect()
        };
        let flake = json!({ "commands": {
            "lock": {
                "args": [{ "arity": 1, "label": "flake-url", "optional": true }],
                "flags": flags("no-update-lock-file output-lock-file override-input recreate-lock-file reference-lock-file update-input"),
            },
            "update": {
                "args": [{ "label": "inputs", "optional": true }],
                "flags": flags("flake output-lock-file override-input recreate-lock-file reference-lock-file update-input"),
            },
        } });
        json!({ "fetchers": {}, "stores": {}, "args": { "description": "nix", "commands": {
            "build": { "flags": flags("out-link output-lock-file") },
            "config": { "commands": { "show": { "flags": flags("json") } } },
            "derivation": { "commands": { "show": { "flags": flags("stdin recursive") } } },
            "eval": { "flags": flags("apply file impure json no-update-lock-file no-write-lock-file reference-lock-file") },
            "flake": flake,
        } } })
    }

    fn spelling(dump: Value) -> Result<Spelling, Vec<String>> {
        serde_json::from_value::<Dump>(dump).unwrap().spelling()
    }

    /// Returns [`dump`] without what stands at a path, such as `eval/flags/apply`.
    fn without(path: &str) -> Value {
        let mut dump = dump();
        let pointer = format!("/args/commands/{}", path.replace(' ', "/commands/"));
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = dump.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(name).is_some(), "{path}");
        dump
    }

    #[test]
    fn what_is_lacking_is_named_or_spelled_otherwise() {
        assert_eq!(spelling(dump()).unwrap(), Spelling::CURRENT);
        let table = [
            "flake update/flags/flake",
            "flake update/flags/output-lock-file",
            "flake update",
            "flake lock/flags/output-lock-file",
            "flake lock/flags/override-input",
            "flake lock/flags/update-input",
            "eval/flags/apply",
            "eval/flags/no-update-lock-file",
            "derivation show",
            "config show",
            "build/flags/out-link",
            "flake",
        ]
        .map(|path| match spelling(without(path)) {
            Ok(spelling) => format!("{path}: {spelling:?}"),
            Err(lacks) => format!("{path}: lacks {}", lacks.join(", ")),
        });
        insta::assert_snapshot!(table.join("\n"), @"
        flake update/flags/flake: Spelling { update: Lock, config_show: true }
        flake update/flags/output-lock-file: lacks `nix flake update --output-lock-file`
        flake update: Spelling { update: Lock, config_show: true }
        flake lock/flags/output-lock-file: lacks `nix flake lock --output-lock-file`
        flake lock/flags/override-input: lacks `nix flake lock --override-input`
        flake lock/flags/update-input: Spelling { update: Update, config_show: true }
        eval/flags/apply: lacks `nix eval --apply`
        eval/flags/no-update-lock-file: lacks `nix eval --no-update-lock-file`
        derivation show: lacks `nix derivation show`
        config show: lacks `nix config show --json`
        build/flags/out-link: lacks `nix build --out-link`
        flake: lacks `nix flake lock`, `nix flake update NAME --flake`
        ");
    }

    #[test]
    fn a_nix_of_before_the_overhaul_is_spoken_to_as_it_was() {
        let mut old = dump();
        let commands = old.pointer_mut("/args/commands").unwrap();
        commands["flake"]["commands"]["update"] = json!({
            "args": [{ "arity": 1, "label": "flake-url", "optional": true }],
            "flags": { "output-lock-file": {} },
        });
        assert!(commands.as_object_mut().unwrap().remove("config").is_some());
        commands["show-config"] = json!({ "flags": { "json": {} } });
        let old = spelling(old).unwrap();
        assert_eq!(
            (old.update, old.config_show),
            (Update::Lock, false),
            "an update takes the flake, and no names"
        );

        let flake = FlakeRef::git(Path::new("/fleet"), "", None, false);
        let argv = |spelling, inputs: &[&str]| {
            let inputs: Vec<String> = inputs.iter().map(|name| (*name).to_owned()).collect();
            let options = Options::default();
            let cmd = call::update(&options, spelling, &flake, &inputs, Path::new("/new.lock"));
            cmd.argv().split_off(5).join(" ")
        };
        let settings = |spelling| {
            let cmd = call::settings(&Options::default(), spelling);
            cmd.argv().split_off(5).join(" ")
        };
        let table = [
            argv(Spelling::CURRENT, &[]),
            argv(Spelling::CURRENT, &["nixpkgs", "sub/hw"]),
            settings(Spelling::CURRENT),
            argv(old, &[]),
            argv(old, &["nixpkgs", "sub/hw"]),
            settings(old),
        ];
        insta::assert_snapshot!(table.join("\n"), @"
        flake update --flake git+file:///fleet --output-lock-file /new.lock
        flake update --flake git+file:///fleet nixpkgs sub/hw --output-lock-file /new.lock
        config show --json
        flake lock git+file:///fleet --recreate-lock-file --output-lock-file /new.lock
        flake lock git+file:///fleet --update-input nixpkgs --update-input sub/hw --output-lock-file /new.lock
        show-config --json
        ");
        assert!(!Spelling::of_number((2, 19)).config_show);
        assert_eq!(Spelling::of_number((2, 20)), Spelling::CURRENT);
    }
}
