//! What changes among the packages that a configuration selects, where no closure is known.

use std::collections::BTreeMap;

use super::entry::{Found, Pair};
use super::family::families;
use super::naming::{Named, OUT};
use super::{Cause, ClosureDiff, Known, PackageName, Selected, StorePath};

/// A package that a configuration selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    name: String,
    version: Option<String>,
    output: String,
    path: StorePath,
    vulnerabilities: Vec<String>,
}

impl Package {
    /// Returns the package at `path`, of a derivation that is called `name` and may say `pname` and `version` itself.
    ///
    /// What it does not say is taken from the path's name (see [`PackageName::exact`]), which is `name` with the output at its end
    /// unless that is the default one.
    pub fn new(name: &str, pname: Option<&str>, version: Option<&str>, path: StorePath) -> Self {
        let output = match path.name().strip_prefix(name) {
            Some("") => Some(OUT),
            Some(rest) => rest.strip_prefix('-').filter(|output| !output.is_empty()),
            None => None,
        };
        let known = Known {
            output,
            pname,
            version,
        };
        let parts = PackageName::exact(path.name(), known);
        let (name, version) = (
            parts.package().into_owned(),
            parts.version.map(str::to_owned),
        );
        let output = parts.output.unwrap_or(OUT).to_owned();
        Self {
            name,
            version,
            output,
            path,
            vulnerabilities: Vec::new(),
        }
    }

    /// Returns the package with the holes that it is known to have, a text each.
    #[must_use]
    pub fn with_vulnerabilities(self, vulnerabilities: Vec<String>) -> Self {
        Self {
            vulnerabilities,
            ..self
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the holes that it is known to have.
    pub fn vulnerabilities(&self) -> &[String] {
        &self.vulnerabilities
    }
}

/// Returns what changes from `before` to `after`, by name and version, each path once.
///
/// Every package here is selected on some side. Numbers of paths and sizes are not known: they are none. A package of the
/// same versions at other paths is rebuilt; whether by its own doing is not known either.
pub fn diff_selected(before: &[Package], after: &[Package]) -> ClosureDiff {
    let mut names: BTreeMap<&str, [BTreeMap<&StorePath, Found<'_>>; 2]> = BTreeMap::new();
    for (at, packages) in [before, after].into_iter().enumerate() {
        for package in packages {
            let named = Named {
                name: 0,
                version: package.version.as_deref(),
                output: &package.output,
            };
            let found = Found {
                named,
                path: &package.path,
                nar_size: 0,
                id: None,
            };
            let sides = names.entry(&package.name).or_default();
            if let Some(side) = sides.get_mut(at) {
                side.insert(&package.path, found);
            }
        }
    }
    let mut diff = ClosureDiff::default();
    for (name, sides) in names {
        let sides = sides.map(|side| side.into_values().collect::<Vec<_>>());
        let [before, after] = sides.each_ref().map(|side| !side.is_empty());
        let pair = Pair::new(name, sides, Selected::new(before, after), false);
        pair.put(&mut diff, false, |_, _| (Cause::Unknown, None));
    }
    diff.families = families(&diff);
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(digit: char, name: &str) -> StorePath {
        StorePath::parse(&format!(
            "/nix/store/{}-{name}",
            digit.to_string().repeat(32)
        ))
        .unwrap()
    }

    #[test]
    fn a_package_is_known_by_what_it_says_of_itself() {
        let table = [
            // The derivation's name, what it says of itself, and the path's name.
            ("git-2.44.1", Some("git"), Some("2.44.1"), "git-2.44.1"),
            ("git-2.44.1", None, None, "git-2.44.1"),
            ("git-2.44.1", None, None, "git-2.44.1-odd"),
            ("git-2.44.1", Some("git"), Some("2.44.1"), "git-2.44.1-odd"),
            ("perl-5.40.0-env", None, None, "perl-5.40.0-env"),
            ("gtk+3-3.24", Some("gtk+3"), None, "gtk+3-3.24"),
            ("lib-2", Some("lib-2"), None, "lib-2"),
            ("script", None, Some("1"), "script"),
            ("git-2.44.1", Some("a\nb"), Some("1 @x"), "git-2.44.1"),
            ("a\nb", None, None, "out-1.0"),
            ("", Some(""), Some(""), "out-1.0"),
        ]
        .map(|(name, pname, version, stored)| {
            let Package {
                name: found,
                version: found_version,
                output,
                ..
            } = Package::new(name, pname, version, path('0', stored));
            format!("{name:?} {pname:?} {version:?} {stored}: {found} {found_version:?} {output}")
        });
        insta::assert_snapshot!(table.join("\n"), @r#"
        "git-2.44.1" Some("git") Some("2.44.1") git-2.44.1: git Some("2.44.1") out
        "git-2.44.1" None None git-2.44.1: git Some("2.44.1") out
        "git-2.44.1" None None git-2.44.1-odd: git Some("2.44.1") odd
        "git-2.44.1" Some("git") Some("2.44.1") git-2.44.1-odd: git Some("2.44.1") odd
        "perl-5.40.0-env" None None perl-5.40.0-env: perl-env Some("5.40.0") out
        "gtk+3-3.24" Some("gtk+3") None gtk+3-3.24: gtk+3 Some("3.24") out
        "lib-2" Some("lib-2") None lib-2: lib-2 None out
        "script" None Some("1") script: script Some("1") out
        "git-2.44.1" Some("a\nb") Some("1 @x") git-2.44.1: git Some("2.44.1") out
        "a\nb" None None out-1.0: out Some("1.0") out
        "" Some("") Some("") out-1.0: out Some("1.0") out
        "#);
    }

    #[test]
    fn selected_packages_are_compared_by_name_and_version() {
        let package = |name: &str, version: Option<&str>, digit: char| {
            let full = version.map_or(name.to_owned(), |version| format!("{name}-{version}"));
            Package::new(&full, Some(name), version, path(digit, &full))
        };
        let before = [
            package("up", Some("1.9"), '0'),
            package("down", Some("2"), '0'),
            package("two", Some("1"), '0'),
            package("two", Some("2"), '0'),
            package("gone", None, '0'),
            package("same", Some("1"), '0'),
            package("again", Some("1"), '0'),
            package("again", Some("1"), '0'),
            package("script", None, '0'),
            package("textual", Some("1.0-2"), '0'),
        ];
        let after = [
            package("textual", Some("1.0.2"), '1'),
            package("script", None, '1'),
            package("again", Some("1"), '0'),
            package("same", Some("1"), '1'),
            package("two", Some("2"), '0'),
            package("two", Some("3"), '0'),
            package("new", Some("1"), '0'),
            package("down", Some("1"), '0'),
            package("up", Some("1.10"), '0'),
        ];
        let diff = diff_selected(&before, &after);
        let mut table = Vec::new();
        for (list, entries) in [
            ("changed", &diff.changed),
            ("added", &diff.added),
            ("removed", &diff.removed),
            ("selection", &diff.selection),
            ("rebuilt", &diff.rebuilt),
            ("configuration", &diff.configuration),
        ] {
            for entry in entries {
                let versions = |groups: &[super::super::VersionGroup]| -> String {
                    let texts: Vec<String> = groups
                        .iter()
                        .map(|group| format!("{:?} x{}", group.version, group.paths.len()))
                        .collect();
                    texts.join(", ")
                };
                table.push(format!(
                    "{list}: {} {} -> {} {} {} {:?} {:?}",
                    entry.name,
                    versions(&entry.before),
                    versions(&entry.after),
                    entry.change,
                    entry.selected,
                    entry.size_delta,
                    entry.cause
                ));
            }
        }
        table.push(format!(
            "{:?} {:?} {:?}",
            diff.paths_added, diff.paths_removed, diff.size_delta
        ));
        insta::assert_snapshot!(table.join("\n"), @r#"
        changed: down Some("2") x1 -> Some("1") x1 downgraded yes None None
        changed: textual Some("1.0-2") x1 -> Some("1.0.2") x1 changed yes None None
        changed: two Some("1") x1, Some("2") x1 -> Some("2") x1, Some("3") x1 changed yes None None
        changed: up Some("1.9") x1 -> Some("1.10") x1 upgraded yes None None
        added: new  -> Some("1") x1 added newly None None
        removed: gone None x1 ->  removed no-longer None None
        rebuilt: same Some("1") x1 -> Some("1") x1 rebuilt yes None Some(Unknown)
        rebuilt: script None x1 -> None x1 rebuilt yes None Some(Unknown)
        None None None
        "#);
        assert!(diff_selected(&before, &before).is_empty());
    }
}
