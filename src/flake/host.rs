//! Hosts: what they are called and where they stand in the flake.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::AttrPath;

/// The kind of a host, which says where the flake keeps it and what of it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

    /// Returns where the derivation of what stands at `place` is, if that is a host of this kind.
    pub fn derivation_of(self, place: &AttrPath) -> AttrPath {
        self.derivation()
            .iter()
            .fold(place.clone(), |path, name| path.child(name))
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

impl HostId {
    /// Returns the pattern of `--host` that means the host of this name, with its kind or without.
    ///
    /// A name that reads like a kind and a name has its kind in front in either case.
    pub fn pattern(&self, with_kind: bool) -> String {
        let mut out = if with_kind || self.is_like_an_id() {
            format!("{}:", self.kind)
        } else {
            String::new()
        };
        for c in self.name.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out
    }

    /// Whether the name itself reads like `kind:name`.
    fn is_like_an_id(&self) -> bool {
        self.name
            .split_once(':')
            .is_some_and(|(kind, _)| kind.parse::<Kind>().is_ok())
    }

    /// Whether the name has a word in it that people give to installers and images.
    pub fn sounds_like_installer(&self) -> bool {
        const WORDS: [&str; 4] = ["iso", "installer", "live", "bootstrap"];
        self.kind == Kind::Nixos
            && words(&self.name)
                .iter()
                .any(|word| WORDS.contains(&word.as_str()))
    }
}

/// Returns the words of a name in lower case: what stands between other signs than letters, and between camel humps.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before: Option<char> = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        // `liveISOImage` is live, ISO, Image.
        let hump = c.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || before.is_some_and(char::is_uppercase)
                    && chars.peek().is_some_and(|next| next.is_lowercase()));
        if hump || !c.is_alphabetic() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphabetic(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words
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
        Self::below(&AttrPath::new(kind.output()), kind, name)
    }

    /// Returns the host `name` of a kind whose hosts the flake keeps in the set at `place`.
    pub fn below(place: &AttrPath, kind: Kind, name: &str) -> Self {
        Self {
            id: HostId {
                kind,
                name: name.to_owned(),
            },
            attr: kind.derivation_of(&place.child(name)),
        }
    }

    /// Returns where the host's configuration stands; none for a derivation at a path of the user's.
    pub fn config(&self) -> Option<AttrPath> {
        if self.id.kind == Kind::Attr {
            return None;
        }
        let names = self.attr.names();
        let place = names.len().saturating_sub(self.id.kind.derivation().len());
        let place = names.get(..place).unwrap_or_default();
        Some(AttrPath::new(place.iter().cloned()).child("config"))
    }

    /// Returns where the host keeps all that can be built of it, images among it; none for kinds that have no such set.
    pub fn builds(&self) -> Option<AttrPath> {
        (self.id.kind == Kind::Nixos).then(|| self.attr.parent())
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
            let label = if shared || id.is_like_an_id() {
                id.to_string()
            } else {
                id.name.clone()
            };
            ((*id).clone(), one_line(&label))
        })
        .collect()
}

/// Returns names in a row, each in quotes; of many the first ones.
pub fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    // Enough to spot the typo; a fleet of hundreds would drown it.
    const MOST: usize = 20;
    let mut shown: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", one_line(name.as_ref())))
        .collect();
    if shown.len() > MOST {
        let more = shown.len() - MOST;
        shown.truncate(MOST);
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}

/// Returns a name as one line: line breaks and other signs without a shape are replaced.
pub fn one_line(name: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    name.replace(breaks, "\u{fffd}")
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

    #[test]
    fn a_name_that_reads_like_a_kind_and_a_name_has_its_kind_in_front() {
        let ids = ["home:alice", "a:b", "two\nlines"].map(|name| Host::named(Kind::Nixos, name).id);
        let labels: Vec<String> = labels(&ids).into_values().collect();
        assert_eq!(labels, ["a:b", "nixos:home:alice", "two\u{fffd}lines"]);
    }

    #[test]
    fn installers_are_told_by_whole_words_of_their_names() {
        let sounds = |name: &&str| Host::named(Kind::Nixos, name).id.sounds_like_installer();
        let all = [
            "iso",
            "live-iso",
            "LiveCD",
            "x86_64iso",
            "iso2",
            "my.Installer",
            "bootstrap_image",
            "liveISOImage",
            "USBInstaller",
            "installer riscv64",
            "isolde",
            "olive",
            "alive",
            "ISOLATED",
            "massflash",
            "installers",
            "delivery",
            "",
            "größe",
        ];
        let (yes, no): (Vec<&str>, Vec<&str>) = all.iter().partition(|name| sounds(name));
        insta::assert_snapshot!(format!("{yes:?}\n{no:?}"), @r#"
        ["iso", "live-iso", "LiveCD", "x86_64iso", "iso2", "my.Installer", "bootstrap_image", "liveISOImage", "USBInstaller", "installer riscv64"]
        ["isolde", "olive", "alive", "ISOLATED", "massflash", "installers", "delivery", "", "größe"]
        "#);
        // Nobody leaves out a user who is called so.
        assert!(!Host::named(Kind::Home, "live").id.sounds_like_installer());
    }
}
