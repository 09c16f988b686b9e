//! What changes among the packages that a configuration selects, where no closure is known.

use std::collections::BTreeMap;

use super::diff::{Found, direction, group};
use super::{Cause, Change, ClosureDiff, Entry, PackageName, Selected, StorePath, version};

/// A package that a configuration selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    name: String,
    version: Option<String>,
    path: StorePath,
}

impl Package {
    /// Returns the package at `path`, of a derivation that is called `name` and may say `pname` and `version` itself.
    ///
    /// What it does not say is taken from its name, as nvd takes it from a path's. Text that no store path could hold
    /// is as good as not said.
    pub fn new(name: &str, pname: Option<&str>, version: Option<&str>, path: StorePath) -> Self {
        let name = if is_plain(name) { name } else { path.name() };
        let parsed = PackageName::parse(name);
        let (short, rest) = match pname.filter(|pname| is_plain(pname)) {
            Some(pname) => {
                let rest = name
                    .strip_prefix(pname)
                    .and_then(|rest| rest.strip_prefix('-'));
                (pname, rest.filter(|rest| !rest.is_empty()))
            }
            None => (parsed.base, parsed.version),
        };
        let version = version.filter(|version| is_plain(version)).or(rest);
        Self {
            name: short.to_owned(),
            version: version.map(str::to_owned),
            path,
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 211
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b))
}

/// Returns what changes from `before` to `after`, by name and version, each package once.
///
/// Every package here is selected on some side. Numbers of paths and sizes are not known: they are none. A package of the
/// same versions at other paths is rebuilt; whether by its own doing is not known either.
pub fn diff_selected(before: &[Package], after: &[Package]) -> ClosureDiff {
    let mut names: BTreeMap<&str, [Vec<Found<'_>>; 2]> = BTreeMap::new();
    for (at, packages) in [before, after].into_iter().enumerate() {
        for package in packages {
            let sides = names.entry(&package.name).or_default();
            if let Some(found) = sides.get_mut(at) {
                found.push(Found {
                    version: package.version.as_deref(),
                    path: &package.path,
                    nar_size: 0,
                });
            }
        }
    }
    let mut diff = ClosureDiff::default();
    for (name, [mut old, mut new]) in names {
        for found in [&mut old, &mut new] {
            found.sort_by(|a, b| {
                version::compare(a.version, b.version).then_with(|| a.path.cmp(b.path))
            });
            found.dedup_by(|a, b| (a.version, a.path) == (b.version, b.path));
        }
        let entry = |change, cause| Entry {
            name: name.to_owned(),
            before: group(&old),
            after: group(&new),
            change,
            selected: Selected::new(!old.is_empty(), !new.is_empty()),
            size_delta: None,
            cause,
            own: None,
            via: None,
        };
        if old.is_empty() {
            diff.added.push(entry(Change::Added, None));
        } else if new.is_empty() {
            diff.removed.push(entry(Change::Removed, None));
        } else if old
            .iter()
            .map(|found| found.version)
            .ne(new.iter().map(|found| found.version))
        {
            diff.changed.push(entry(direction(&old, &new), None));
        } else if old
            .iter()
            .map(|found| found.path)
            .ne(new.iter().map(|found| found.path))
        {
            diff.rebuilt
                .push(entry(Change::Rebuilt, Some(Cause::Unknown)));
        }
    }
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
            ("git-2.44.1", Some("git"), Some("2.44.1")),
            ("git-2.44.1", None, None),
            ("python3-3.11.9-env", None, None),
            ("gtk+3-3.24", Some("gtk+3"), None),
            ("lib-2", Some("lib-2"), None),
            ("lib-2-", Some("lib-2"), Some("")),
            ("script", None, Some("1")),
            ("git-2.44.1", Some("a\nb"), Some("1 @x")),
            ("a\nb", None, None),
        ]
        .map(|(name, pname, version)| {
            let package = Package::new(name, pname, version, path('0', "out-1.0"));
            format!(
                "{name:?} {pname:?} {version:?}: {} {:?}",
                package.name, package.version
            )
        });
        insta::assert_snapshot!(table.join("\n"), @r#"
        "git-2.44.1" Some("git") Some("2.44.1"): git Some("2.44.1")
        "git-2.44.1" None None: git Some("2.44.1")
        "python3-3.11.9-env" None None: python3 Some("3.11.9-env")
        "gtk+3-3.24" Some("gtk+3") None: gtk+3 Some("3.24")
        "lib-2" Some("lib-2") None: lib-2 None
        "lib-2-" Some("lib-2") Some(""): lib-2 None
        "script" None Some("1"): script Some("1")
        "git-2.44.1" Some("a\nb") Some("1 @x"): git Some("2.44.1")
        "a\nb" None None: out Some("1.0")
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
