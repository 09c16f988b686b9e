//! What a flake has instead of the hosts that were looked for.

use super::{AttrPath, HostId, Kind, listed};

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
    /// This machine's system, as Nix calls it.
    pub system: String,
    /// The first of the packages for it.
    pub package: Option<String>,
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

    /// Says what there is instead.
    pub fn instead(&self) -> String {
        let mut found: Vec<String> = self
            .of_kinds()
            .into_iter()
            .map(|(_, output, names)| format!("{} in `{output}` ({})", names.len(), some(&names)))
            .collect();
        found.extend(
            self.of_others()
                .map(|(output, number, _)| format!("{number} in `{output}`")),
        );
        if !found.is_empty() {
            format!("; it has {}", found.join(", "))
        } else if self.outputs.is_empty() {
            "; it has no outputs at all".to_owned()
        } else {
            format!("; its outputs are {}", listed(&self.outputs))
        }
    }

    /// Says with which flags what there is instead is looked at.
    pub fn hint(&self) -> String {
        let kinds: Vec<String> = self
            .of_kinds()
            .into_iter()
            .map(|(kind, ..)| format!("--kind {kind}"))
            .collect();
        // Kinds can be had together; of the others each has words of its own.
        let mut flags = Vec::from_iter((!kinds.is_empty()).then(|| kinds.join(" ")));
        flags.extend(self.of_others().map(|(.., flag)| flag.to_owned()));
        if !flags.is_empty() {
            return format!("say what to look at: {}", flags.join(", or "));
        }
        let system = &self.system;
        match &self.package {
            Some(package) => format!(
                "is another flake meant (--flake DIR)? Of this one --attr packages.{system} looks at every package, \
                 --attr {} at one",
                // Whoever tries it hands it to a shell.
                shell_words::quote(&AttrPath::new(["packages", system.as_str(), package.as_str()]).to_string())
            ),
            None => "is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one".to_owned(),
        }
    }

    /// Returns the kinds of which there are hosts, where these stand, and their names.
    fn of_kinds(&self) -> Vec<(Kind, &'static str, Vec<&str>)> {
        let of = |kind: Kind| self.hosts.iter().filter(move |id| id.kind == kind);
        Kind::ALL
            .iter()
            .filter_map(|kind| {
                Some((
                    *kind,
                    kind.output()?,
                    of(*kind).map(|id| id.name.as_str()).collect(),
                ))
            })
            .filter(|(.., names): &(_, _, Vec<&str>)| !names.is_empty())
            .collect()
    }

    /// Returns the outputs of other tools with the number of hosts in them, and the flag that looks at them.
    fn of_others(&self) -> impl Iterator<Item = (&'static str, usize, &'static str)> {
        let number_in = |output: &str| {
            let found = self.others.iter().find(|(name, _)| name == output);
            found.map(|(_, number)| *number)
        };
        OTHERS.into_iter().filter_map(move |(output, flag)| {
            // A hive is made from the other.
            let made = output == "colmena" && number_in("colmenaHive").is_some();
            Some((output, number_in(output).filter(|_| !made)?, flag))
        })
    }
}

/// Returns the first few of some names: enough to see what is spoken of.
fn some(names: &[&str]) -> String {
    const MOST: usize = 3;
    let first = listed(names.iter().take(MOST));
    match names.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
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
                "no hosts in {}{}\n  {}\n",
                survey.without(&Kind::ALL),
                survey.instead(),
                survey.hint()
            )
        };
        let mut said = say(&survey);
        survey.system = "x86_64-linux".to_owned();
        survey.package = Some("a.b".to_owned());
        said.push_str(&say(&survey));
        survey.package = Some("`id` $(id) ' \n".to_owned());
        said.push_str(&say(&survey));
        survey.outputs.clear();
        survey.package = None;
        survey.kinds.clear();
        said.push_str(&say(&survey));
        survey.others = ["colmena", "deploy"]
            .map(|name| (name.to_owned(), 3))
            .into();
        said.push_str(&say(&survey));
        survey.others.push(("colmenaHive".to_owned(), 3));
        survey.hosts = ["a", "b", "c", "d", "e"]
            .map(|name| Host::named(Kind::Home, name).id)
            .into();
        survey.hosts.push(Host::named(Kind::Darwin, "mac").id);
        said.push_str(&say(&survey));
        insta::assert_snapshot!(said, @r#"
        no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts) or `darwinConfigurations` (which is empty) or `homeConfigurations` (which is there, but does not evaluate); its outputs are `apps`, `lib`
          is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
        no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts) or `darwinConfigurations` (which is empty) or `homeConfigurations` (which is there, but does not evaluate); its outputs are `apps`, `lib`
          is another flake meant (--flake DIR)? Of this one --attr packages.x86_64-linux looks at every package, --attr 'packages.x86_64-linux."a.b"' at one
        no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts) or `darwinConfigurations` (which is empty) or `homeConfigurations` (which is there, but does not evaluate); its outputs are `apps`, `lib`
          is another flake meant (--flake DIR)? Of this one --attr packages.x86_64-linux looks at every package, --attr 'packages.x86_64-linux."`id` \$(id) '\'' \n"' at one
        no hosts in `nixosConfigurations` or `darwinConfigurations` or `homeConfigurations`; it has no outputs at all
          is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
        no hosts in `nixosConfigurations` or `darwinConfigurations` or `homeConfigurations`; it has 3 in `colmena`, 3 in `deploy`
          say what to look at: --attr colmenaHive.toplevel, which `colmenaHive = colmena.lib.makeHive self.outputs.colmena` makes, or --attr deploy.nodes.NODE.profiles.PROFILE.path
        no hosts in `nixosConfigurations` or `darwinConfigurations` or `homeConfigurations`; it has 1 in `darwinConfigurations` (`mac`), 5 in `homeConfigurations` (`a`, `b`, `c` and 2 more), 3 in `colmenaHive`, 3 in `deploy`
          say what to look at: --kind darwin --kind home, or --attr colmenaHive.toplevel, or --attr deploy.nodes.NODE.profiles.PROFILE.path
        "#);
    }
}
