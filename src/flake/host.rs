//! Hosts: what they are called and where they stand in the flake.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::AttrPath;

/// The kind of a host, which says where the flake keeps it and what of it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `nixosConfigurations.NAME.config.system.build.toplevel`.
    Nixos,
    /// `darwinConfigurations.NAME.system`.
    Darwin,
    /// `homeConfigurations.NAME.activationPackage`.
    Home,
    /// A derivation at an attribute path the user named.
    Attr,
}

impl Kind {
    /// Every kind, in the order reports list them.
    pub const ALL: [Self; 4] = [Self::Nixos, Self::Darwin, Self::Home, Self::Attr];

    /// Returns the word used for the kind on the command line and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nixos => "nixos",
            Self::Darwin => "darwin",
            Self::Home => "home",
            Self::Attr => "attr",
        }
    }

    /// Returns the flake output that holds the hosts of this kind; none for a path of the user's.
    pub fn output(self) -> Option<&'static str> {
        match self {
            Self::Nixos => Some("nixosConfigurations"),
            Self::Darwin => Some("darwinConfigurations"),
            Self::Home => Some("homeConfigurations"),
            Self::Attr => None,
        }
    }

    /// Returns the path from a host to the derivation that is built and installed.
    fn derivation(self) -> &'static [&'static str] {
        match self {
            Self::Nixos => &["config", "system", "build", "toplevel"],
            Self::Darwin => &["system"],
            Self::Home => &["activationPackage"],
            Self::Attr => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(())
    }
}

/// What tells a host from every other: its kind and its name. Shown as `kind:name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId {
    /// The kind.
    pub kind: Kind,
    /// The raw attribute name; for [`Kind::Attr`] the attribute path.
    pub name: String,
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// A host that the flake has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// Its identity.
    pub id: HostId,
    /// Where its derivation stands, from the flake's outputs.
    pub attr: AttrPath,
}

impl Host {
    /// Returns the host `name` of a kind that the flake keeps in an output of its own.
    ///
    /// A [`Kind::Attr`] host is made by [`Host::at`].
    pub fn named(kind: Kind, name: &str) -> Self {
        let path = kind
            .output()
            .into_iter()
            .chain([name])
            .chain(kind.derivation().iter().copied());
        Self {
            id: HostId {
                kind,
                name: name.to_owned(),
            },
            attr: AttrPath::new(path),
        }
    }

    /// Returns the host that is the derivation at `path`, named by the path itself.
    pub fn at(path: AttrPath) -> Self {
        Self {
            id: HostId {
                kind: Kind::Attr,
                name: path.to_string(),
            },
            attr: path,
        }
    }
}

/// Returns what to call each host in print: its name, or `kind:name` where two share the name.
pub fn labels<'a>(ids: impl IntoIterator<Item = &'a HostId>) -> BTreeMap<HostId, String> {
    let ids: Vec<&HostId> = ids.into_iter().collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for id in &ids {
        *uses.entry(&id.name).or_default() += 1;
    }
    ids.iter()
        .map(|id| {
            let shared = uses.get(id.name.as_str()).is_some_and(|n| *n > 1);
            let label = if shared {
                id.to_string()
            } else {
                id.name.clone()
            };
            // A name with a line break in it must stay one line.
            let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            let label = label.replace(breaks, "\u{fffd}");
            ((*id).clone(), label)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_stand_where_their_kind_keeps_them() {
        let attrs: Vec<String> = [
            Host::named(Kind::Nixos, "web.example"),
            Host::named(Kind::Darwin, "mac"),
            Host::named(Kind::Home, "alice@mac"),
            Host::at(AttrPath::new(["packages", "x86_64-linux", "image"])),
        ]
        .iter()
        .map(|host| format!("{} = {}", host.id, host.attr))
        .collect();
        insta::assert_snapshot!(attrs.join("\n"), @r#"
        nixos:web.example = nixosConfigurations."web.example".config.system.build.toplevel
        darwin:mac = darwinConfigurations.mac.system
        home:alice@mac = homeConfigurations."alice@mac".activationPackage
        attr:packages.x86_64-linux.image = packages.x86_64-linux.image
        "#);
    }

    #[test]
    fn only_a_shared_name_is_shown_with_its_kind() {
        let ids = [
            Host::named(Kind::Nixos, "alice").id,
            Host::named(Kind::Home, "alice").id,
            Host::named(Kind::Nixos, "web").id,
        ];
        let labels: Vec<String> = labels(&ids).into_values().collect();
        assert_eq!(labels, ["nixos:alice", "web", "home:alice"]);
    }
}
