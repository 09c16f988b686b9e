//! What a flake has instead of the hosts that were looked for.

use super::{HostId, Kind, listed};

/// What a flake has, for somebody who looked for hosts and found none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// What stands where each kind's hosts are kept.
    pub kinds: Vec<(Kind, Standing)>,
    /// Hosts of those kinds.
    pub hosts: Vec<HostId>,
    /// Outputs of other tools that hold hosts, and how many.
    pub others: Vec<(String, usize)>,
    /// The names of all outputs.
    pub outputs: Vec<String>,
}

/// What stands where hosts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Absent,
    /// A set without anything in it.
    Empty,
    /// A set.
    Set,
    /// A value of this type, as Nix calls it, or a derivation.
    Other(String),
    /// Something that does not evaluate.
    Broken,
}

impl Standing {
    /// Says what is wrong with it, after its name; nothing where it is not there, or is a set.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Absent | Self::Set => None,
            Self::Empty => Some("empty".to_owned()),
            Self::Other(what) => Some(format!("of the type {what}, and no set of hosts")),
            Self::Broken => Some("there, but does not evaluate".to_owned()),
        }
    }
}

/// Outputs of other tools that hold hosts, and what of them `--attr` can name. The longest first where one holds another.
const OTHERS: [(&str, &str); 5] = [
    ("systemConfigs", "--attr systemConfigs"),
    (
        "nixOnDroidConfigurations",
        "--attr nixOnDroidConfigurations",
    ),
    ("colmenaHive", "--attr colmenaHive.toplevel"),
    (
        "colmena",
        "--attr colmenaHive.toplevel, which `colmenaHive = colmena.lib.makeHive self.outputs.colmena` makes",
    ),
    ("deploy", "--attr deploy.nodes.NODE.profiles.PROFILE.path"),
];

impl Survey {
    /// Returns the outputs of other tools that are worth looking at.
    pub fn other_outputs() -> impl Iterator<Item = &'static str> {
        OTHERS.iter().map(|(output, _)| *output)
    }

    /// Says in which outputs no hosts of `kinds` are, and what is wrong with these.
    pub fn without(&self, kinds: &[Kind]) -> String {
        let looked: Vec<String> = kinds
            .iter()
            .filter_map(|kind| {
                let standing = self.kinds.iter().find(|(known, _)| known == kind);
                let fault = standing.and_then(|(_, standing)| standing.fault());
                let output = kind.output()?;
                Some(match fault {
                    Some(fault) => format!("`{output}` (which is {fault})"),
                    None => format!("`{output}`"),
                })
            })
            .collect();
        looked.join(" or ")
    }

    /// Whether the flake has hosts of any sort.
    pub fn has_hosts(&self) -> bool {
        !self.hosts.is_empty() || !self.others.is_empty()
    }

    /// Says what there is, and with which flag it is looked at. Nothing if nothing is known.
    pub fn instead(&self) -> String {
        let mut found: Vec<String> = Kind::ALL
            .iter()
            .filter_map(|kind| {
                let number = self.hosts.iter().filter(|id| id.kind == *kind).count();
                let output = kind.output()?;
                (number > 0).then(|| format!("{number} in `{output}` (--kind {kind})"))
            })
            .collect();
        for (output, flag) in OTHERS {
            // A hive is made from the other.
            let made =
                output == "colmena" && self.others.iter().any(|(name, _)| name == "colmenaHive");
            let number = self.others.iter().find(|(name, _)| name == output);
            if let (Some((_, number)), false) = (number, made) {
                found.push(format!("{number} in `{output}` ({flag})"));
            }
        }
        if !found.is_empty() {
            format!("; it has {}", found.join(", "))
        } else if self.outputs.is_empty() {
            "; it has no outputs at all".to_owned()
        } else {
            format!("; its outputs are {}", listed(&self.outputs))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flake::Host;

    #[test]
    fn what_there_is_instead_is_told_with_its_flag() {
        let mut survey = Survey {
            kinds: vec![
                (Kind::Nixos, Standing::Other("int".to_owned())),
                (Kind::Darwin, Standing::Empty),
                (Kind::Home, Standing::Broken),
            ],
            outputs: vec!["apps".to_owned(), "lib".to_owned()],
            ..Survey::default()
        };
        let say = |survey: &Survey| {
            format!(
                "no hosts in {}{}\n",
                survey.without(&Kind::ALL),
                survey.instead()
            )
        };
        let mut said = say(&survey);
        survey.outputs.clear();
        said.push_str(&say(&survey));
        survey.others = ["colmena", "deploy"]
            .map(|name| (name.to_owned(), 3))
            .into();
        said.push_str(&say(&survey));
        survey.others.push(("colmenaHive".to_owned(), 3));
        survey.hosts = ["a", "b"]
            .map(|name| Host::named(Kind::Home, name).id)
            .into();
        said.push_str(&say(&survey));
        insta::assert_snapshot!(said, @"
        no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts) or `darwinConfigurations` (which is empty) or `homeConfigurations` (which is there, but does not evaluate); its outputs are `apps`, `lib`
        no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts) or `darwinConfigurations` (which is empty) or `homeConfigurations` (which is there, but does not evaluate); it has no outputs at all
        no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts) or `darwinConfigurations` (which is empty) or `homeConfigurations` (which is there, but does not evaluate); it has 3 in `colmena` (--attr colmenaHive.toplevel, which `colmenaHive = colmena.lib.makeHive self.outputs.colmena` makes), 3 in `deploy` (--attr deploy.nodes.NODE.profiles.PROFILE.path)
        no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts) or `darwinConfigurations` (which is empty) or `homeConfigurations` (which is there, but does not evaluate); it has 2 in `homeConfigurations` (--kind home), 3 in `colmenaHive` (--attr colmenaHive.toplevel), 3 in `deploy` (--attr deploy.nodes.NODE.profiles.PROFILE.path)
        ");
    }
}
