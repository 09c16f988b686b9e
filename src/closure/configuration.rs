//! What of a closure is configuration and not a package.

use std::collections::BTreeSet;

use super::PackageName;
use super::entry::Found;

/// What only NixOS, nix-darwin and home-manager call so, whether or not a version seems to stand in it.
const PREFIXES: &[&str] = &[
    "X-Reload-Triggers-",
    "X-Restart-Triggers-",
    "etc-",
    "hm_",
    "unit-",
];

/// Names of what NixOS, nix-darwin and home-manager put together from packages.
const NAMES: &[&str] = &[
    "activate",
    "activation-script",
    "etc",
    "home-manager-files",
    "home-manager-generation",
    "home-manager-path",
    "system-path",
    "system-units",
    "user-environment",
    "user-units",
    "users-groups.json",
];

/// What files end in that nobody runs. Scripts are not among them: a selected `backup.sh` is a program.
const EXTENSIONS: &[&str] = &[
    "cfg", "conf", "css", "desktop", "diff", "ini", "json", "mount", "pam", "patch", "path",
    "rules", "service", "slice", "socket", "target", "timer", "toml", "xml", "yaml", "yml",
];

/// What is known of a name beyond its letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// A path of this name has a version, on any side.
    pub(super) versioned: bool,
    /// It is selected on any side.
    pub(super) selected: bool,
    /// It is the root on any side.
    pub(super) root: bool,
}

/// Returns whether a store path of this name is configuration or a whole system whatever its derivation says of it: nobody need ask.
pub fn names_configuration(name: &str) -> bool {
    is_always(name) || is_system(name) || name.starts_with("darwin-system-")
}

fn is_always(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns whether `name` is configuration. Systems are told by [`is_system`] and are not meant here.
///
/// What has a version is a package, and so are what the user chose and what the comparison is about; all other names without a
/// version are files that a configuration writes. A few names are configuration whatever is true of them.
pub(super) fn is_configuration(name: &str, traits: Traits) -> bool {
    if is_always(name) {
        return true;
    }
    if traits.versioned || traits.root {
        return false;
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    // `nixos-version` and its like are selected on every NixOS and change with its label.
    !traits.selected
        || name.starts_with("nixos-")
        || extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Returns whether `name` is that of a whole system.
pub(super) fn is_system(name: &str) -> bool {
    is_nixos(name) || name == "darwin-system"
}

/// Returns the release of the NixOS system that a store path of this name is, `25.05`; none of anything else, and of one whose label
/// does not say.
pub fn nixos_release(name: &str) -> Option<&str> {
    if !is_nixos(name) {
        return None;
    }
    PackageName::parse(name).version.and_then(release)
}

/// Returns whether a store path of this name is a whole NixOS system.
pub fn is_nixos(name: &str) -> bool {
    name.starts_with("nixos-system-")
}

/// Returns whether two sides of one system are of the same release, so that only the label differs.
pub(super) fn same_release(old: &[Found<'_>], new: &[Found<'_>]) -> bool {
    releases(old) == releases(new)
}

fn releases<'a>(side: &[Found<'a>]) -> BTreeSet<Option<&'a str>> {
    let labels = side.iter().map(|found| found.named.version);
    labels.map(|label| label.and_then(release)).collect()
}

/// Returns the release in a system's label, `25.05` in `25.05.20250705.29e2900`; a label can begin with words of the user's own.
fn release(label: &str) -> Option<&str> {
    label.split('-').find_map(|token| {
        let [a, b, b'.', c, d, rest @ ..] = token.as_bytes() else {
            return None;
        };
        let digits = [a, b, c, d].into_iter().all(u8::is_ascii_digit);
        let ends = rest.first().is_none_or(|next| !next.is_ascii_digit());
        token.get(..5).filter(|_| digits && ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_told_from_packages() {
        let table = [
            // Name, versioned, selected, root.
            ("unit-nginx.service", false, false, false),
            ("unit-container-2.0", true, true, true),
            ("etc-unnamed", true, false, false),
            ("X-Restart-Triggers-nginx", false, false, false),
            ("hm_.gitconfig", false, false, false),
            ("etc", false, true, true),
            ("etcd", true, false, false),
            ("etcd", false, true, false),
            ("user-environment", false, true, true),
            ("set-environment", false, false, false),
            ("stage-2-init.sh", false, false, false),
            ("backup.sh", false, true, false),
            ("nixos-manual.desktop", false, true, false),
            ("nixos-rebuild", false, true, false),
            ("nixos-rebuild", true, true, false),
            ("steam", false, true, false),
            ("steam", false, false, false),
            ("hello", false, false, true),
            ("notes.conf", false, false, true),
            ("linux", true, false, false),
            ("initrd-linux", true, false, false),
        ]
        .map(|(name, versioned, selected, root)| {
            let traits = Traits {
                versioned,
                selected,
                root,
            };
            let kind = if is_configuration(name, traits) {
                "configuration"
            } else {
                "package"
            };
            let marks = [
                (versioned, " versioned"),
                (selected, " selected"),
                (root, " root"),
            ];
            let marks: String = marks
                .into_iter()
                .filter_map(|(set, mark)| set.then_some(mark))
                .collect();
            format!("{name}{marks}: {kind}")
        });
        insta::assert_snapshot!(table.join("\n"), @"
        unit-nginx.service: configuration
        unit-container-2.0 versioned selected root: configuration
        etc-unnamed versioned: configuration
        X-Restart-Triggers-nginx: configuration
        hm_.gitconfig: configuration
        etc selected root: configuration
        etcd versioned: package
        etcd selected: package
        user-environment selected root: configuration
        set-environment: configuration
        stage-2-init.sh: configuration
        backup.sh selected: package
        nixos-manual.desktop selected: configuration
        nixos-rebuild selected: configuration
        nixos-rebuild versioned selected: package
        steam selected: package
        steam: configuration
        hello root: package
        notes.conf root: package
        linux versioned: package
        initrd-linux versioned: package
        ");
    }

    #[test]
    fn of_what_is_never_a_package_nobody_asks() {
        for (name, expected) in [
            ("nixos-system-web-01-25.05", true),
            ("darwin-system-25.05", true),
            ("darwin-system", true),
            ("system-path", true),
            ("unit-nginx.service", true),
            ("linux-6.6.32", false),
            ("backup.sh", false),
        ] {
            assert_eq!(names_configuration(name), expected, "{name}");
        }
    }

    #[test]
    fn the_release_is_found_in_any_label() {
        for (label, expected) in [
            ("25.05.20250705.29e2900", Some("25.05")),
            ("01-25.05.20250705.29e2900", Some("25.05")),
            ("gaming-25.11pre-git", Some("25.11")),
            ("24.05", Some("24.05")),
            ("2025.05", None),
            ("25.055", None),
            ("my-label", None),
            ("25.0é", None),
            ("", None),
        ] {
            assert_eq!(release(label), expected, "{label}");
        }
    }
}
