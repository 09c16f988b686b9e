//! What a change means for who runs the host, in lines of text.

use crate::closure::{Cause, Change};

use super::impact::is_left_running;
use super::style::{BAD, CARE, HEADING, PLAIN, line, listed, spans, wrapped};
use super::{Impact, PatchChange, RebootPart, RebootReason, Step, UnitChange, VulnerabilityChange};

/// How many names a line has at most.
const MOST: usize = 12;

/// How many packages are named that were only rebuilt.
const REBUILT: usize = 4;

/// How many packages are named because of which a unit restarts.
const CAUSES: usize = 3;

/// Writes what a change means beyond what nvd's rows say: those have downgrades, new major versions and what is gone.
pub(super) fn write_impact(out: &mut String, impact: &Impact, width: usize) {
    let list = |out: &mut String, style, lead: &str, items: Vec<String>| {
        if items.is_empty() {
            return;
        }
        let head = format!("{lead}: ");
        for (i, text) in wrapped(&head, &items, width).iter().enumerate() {
            match text.strip_prefix(lead).filter(|_| i == 0) {
                Some(behind) => spans(out, &[(style, lead), (PLAIN, behind)]),
                None => line(out, PLAIN, text),
            }
        }
    };
    if impact.reboot.needed == Some(true) {
        list(
            out,
            CARE.bold(),
            "Reboot",
            first(reasons(&impact.reboot.reasons)),
        );
    }
    if let Some(release) = &impact.release {
        list(out, CARE.bold(), "Release", vec![versions(release)]);
    }
    let all = impact.units_changed.iter();
    let (left_running, others): (Vec<_>, Vec<_>) = all.partition(|unit| is_left_running(unit));
    let restarts = |unit: &&UnitChange| !matches!(unit.change, Change::Added | Change::Removed);
    let lead = if others.iter().any(restarts) {
        "Restarts"
    } else {
        "Units"
    };
    list(out, HEADING, lead, first(units(others)));
    list(out, HEADING, "Left running", first(units(left_running)));
    let (moved, rebuilt, unknown) = security(&impact.security);
    let moved = with_rebuilt(first(moved), "only rebuilt", rebuilt);
    let moved = with_rebuilt(moved, "rebuilt, cause not known", unknown);
    list(out, HEADING, "Security", moved);
    list(out, HEADING, "Patches", first(patches(&impact.patches)));
    let known = impact.vulnerabilities.as_deref().unwrap_or_default();
    let told = |gained: bool| -> Vec<String> {
        let known = known.iter().filter(|known| known.gained == gained);
        known
            .map(
                |VulnerabilityChange {
                     package,
                     vulnerability,
                     ..
                 }| format!("{package}: {vulnerability}"),
            )
            .collect()
    };
    list(out, BAD.bold(), "Known to be vulnerable", first(told(true)));
    list(
        out,
        HEADING,
        "No longer known to be vulnerable",
        first(told(false)),
    );
}

/// Returns the first of many, and how many more there are.
fn first(mut items: Vec<String>) -> Vec<String> {
    let left = items.len().saturating_sub(MOST);
    if left > 0 {
        items.truncate(MOST);
        items.push(format!("and {left} more"));
    }
    items
}

/// Returns what takes effect only with a reboot: each part of the system once, with what of it changes.
fn reasons(reasons: &[RebootReason]) -> Vec<String> {
    let mut last = None;
    reasons
        .iter()
        .map(|RebootReason { what, step: change }| {
            let part = what.as_str();
            let said = match what {
                RebootPart::KernelParameters => [('-', &change.before), ('+', &change.after)]
                    .into_iter()
                    .filter_map(|(sign, words)| Some(format!("{sign} {}", words.as_deref()?)))
                    .collect::<Vec<_>>()
                    .join(" "),
                // Its version is that of the kernel.
                RebootPart::Initrd => String::new(),
                RebootPart::Kernel if change.name == "linux" => versions(change),
                _ if change.name == part => versions(change),
                _ => step(change),
            };
            let of_last = last.replace(*what) == Some(*what);
            match (of_last, said.is_empty()) {
                (_, true) => part.to_owned(),
                (true, false) => said,
                (false, false) => format!("{part} {said}"),
            }
        })
        .collect()
}

/// Returns the name of a package and how it changes.
fn step(step: &Step) -> String {
    let versions = versions(step);
    let gap = if versions.is_empty() { "" } else { " " };
    format!("{}{gap}{versions}", step.name)
}

/// Says how a package changes.
fn versions(step: &Step) -> String {
    let (before, after) = (step.before.as_deref(), step.after.as_deref());
    let said = match (before, after) {
        (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
        (before, after) => after.or(before).unwrap_or_default().to_owned(),
    };
    let what = match (step.change, step.cause) {
        (Change::Added, _) => "(new)",
        (Change::Removed, _) => "(gone)",
        (Change::Rebuilt, Some(Cause::Own)) => "(rebuilt, own change)",
        (Change::Rebuilt, _) => "(rebuilt)",
        _ => "",
    };
    format!("{said} {what}").trim().to_owned()
}

/// Returns units, services first, with what they restart for: those that change, then those that come and go.
fn units(mut units: Vec<&UnitChange>) -> Vec<String> {
    let sign = |unit: &UnitChange| match unit.change {
        Change::Added => "+ ",
        Change::Removed => "- ",
        _ => "",
    };
    let order = |unit: &UnitChange| match unit.change {
        Change::Added => 1,
        Change::Removed => 2,
        _ => 0,
    };
    units.sort_by_key(|unit| (order(unit), !unit.name.ends_with(".service"), unit.user));
    units
        .into_iter()
        .map(|unit| {
            // What comes and goes does not restart for anything.
            let because = match sign(unit) {
                "" => listed(&unit.because, CAUSES),
                _ => String::new(),
            };
            let notes = match (unit.user, because.is_empty()) {
                (true, true) => " (user)".to_owned(),
                (true, false) => format!(" (user: {because})"),
                (false, true) => String::new(),
                (false, false) => format!(" ({because})"),
            };
            format!("{}{}{notes}", sign(unit), unit.name)
        })
        .collect()
}

/// Returns how packages change that keep attackers out, where their version or recipe does; the names of those built anew only
/// because of what they are built from; and the names of those of which the cause is not known.
fn security(steps: &[Step]) -> (Vec<String>, Vec<&str>, Vec<&str>) {
    let (mut own, mut along, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for of in steps {
        match (of.change, of.cause) {
            (Change::Rebuilt, Some(Cause::Inputs)) => along.push(of.name.as_str()),
            (Change::Rebuilt, Some(Cause::Unknown) | None) => unknown.push(of.name.as_str()),
            _ => own.push(step(of)),
        }
    }
    (own, along, unknown)
}

/// Adds names of packages that were rebuilt: behind a semicolon, for a comma ends what is said of one package.
fn with_rebuilt(mut items: Vec<String>, how: &str, names: Vec<&str>) -> Vec<String> {
    let left = names.len().saturating_sub(REBUILT);
    let mut names: Vec<String> = names.into_iter().take(REBUILT).map(str::to_owned).collect();
    if let Some(first) = names.first_mut() {
        let before = items
            .pop()
            .map_or_else(String::new, |item| format!("{item}; "));
        *first = format!("{before}{how}: {first}");
    }
    if let Some(last) = names.last_mut().filter(|_| left > 0) {
        *last = format!("{last} and {left} more");
    }
    items.append(&mut names);
    items
}

fn patches(patches: &[PatchChange]) -> Vec<String> {
    patches
        .iter()
        .map(|patch| {
            let sign = if patch.gained { '+' } else { '-' };
            format!("{sign} {} ({})", patch.patch, patch.package)
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Reboot;
    use super::super::style::{WIDTH, readable};
    use super::*;

    fn change(name: &str, before: &str, after: &str) -> Step {
        let version = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Step {
            name: name.to_owned(),
            before: version(before),
            after: version(after),
            change: match (before, after) {
                ("", _) => Change::Added,
                (_, "") => Change::Removed,
                _ if before == after => Change::Rebuilt,
                _ => Change::Upgraded,
            },
            cause: (before == after).then_some(Cause::Inputs),
        }
    }

    fn reason(what: RebootPart, name: &str, before: &str, after: &str) -> RebootReason {
        RebootReason {
            what,
            step: change(name, before, after),
        }
    }

    fn unit(name: &str, change: Change, because: &[&str]) -> UnitChange {
        UnitChange {
            name: name.to_owned(),
            user: name.starts_with("pipewire"),
            change,
            because: because.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    pub(in super::super) fn full() -> Impact {
        Impact {
            reboot: Reboot {
                needed: Some(true),
                reasons: vec![
                    reason(RebootPart::Kernel, "linux", "6.6.32", "6.6.35"),
                    reason(RebootPart::KernelModules, "nvidia-x11", "550.1", "550.2"),
                    reason(RebootPart::KernelModules, "zfs-kernel", "2.2.4", "2.2.4"),
                    reason(
                        RebootPart::KernelParameters,
                        "",
                        "quiet splash",
                        "loglevel=4",
                    ),
                    reason(RebootPart::Initrd, "initrd-linux", "6.6.32", "6.6.35"),
                    reason(RebootPart::Microcode, "amd-ucode", "", "2026"),
                    reason(RebootPart::Systemd, "systemd", "255", "256"),
                    reason(RebootPart::Glibc, "glibc", "2.39", "2.39"),
                ],
            },
            units_changed: vec![
                unit("gone.service", Change::Removed, &[]),
                unit("logrotate.timer", Change::Changed, &[]),
                unit("new.service", Change::Added, &["new"]),
                unit("nginx.service", Change::Changed, &["nginx"]),
                unit("php.service", Change::Changed, &["a", "b", "c", "d"]),
                unit("pipewire.service", Change::Changed, &["pipewire"]),
                unit("pipewire.socket", Change::Changed, &[]),
            ],
            release: Some(change("nixos", "24.05", "24.11")),
            security: vec![
                change("curl", "8.1", "8.1"),
                Step {
                    cause: Some(Cause::Own),
                    ..change("openssl", "3.0.13", "3.0.13")
                },
                change("sudo", "1.9.15", "1.9.16"),
            ],
            patches: vec![
                PatchChange {
                    package: "openssl".to_owned(),
                    patch: "CVE-2026-1.patch".to_owned(),
                    gained: true,
                },
                PatchChange {
                    package: "sudo".to_owned(),
                    patch: "CVE-2025-2.patch".to_owned(),
                    gained: false,
                },
            ],
            vulnerabilities: Some(vec![VulnerabilityChange {
                package: "olm-3.2".to_owned(),
                vulnerability: "it is deprecated".to_owned(),
                gained: true,
            }]),
            // What rows already say.
            downgrades: vec![change("a", "2", "1")],
            major: vec![change("b", "1", "2")],
            gone: vec![change("c", "1", "")],
            ..Impact::default()
        }
    }

    fn text(impact: &Impact, width: usize) -> String {
        let mut out = String::new();
        write_impact(&mut out, impact, width);
        anstream::adapter::strip_str(&out).to_string()
    }

    #[test]
    fn what_rows_do_not_say_has_a_line_each() {
        assert_eq!(text(&Impact::default(), WIDTH), "");
        insta::assert_snapshot!(text(&full(), WIDTH), @"
        Reboot: kernel 6.6.32 -> 6.6.35, kernel modules nvidia-x11 550.1 -> 550.2,
            zfs-kernel 2.2.4 (rebuilt), kernel parameters - quiet splash + loglevel=4, initrd,
            microcode amd-ucode 2026 (new), systemd 255 -> 256, glibc 2.39 (rebuilt)
        Release: 24.05 -> 24.11
        Restarts: nginx.service (nginx), php.service (a, b, c and 1 more),
            pipewire.service (user: pipewire), logrotate.timer, pipewire.socket (user), + new.service,
            - gone.service
        Security: openssl 3.0.13 (rebuilt, own change), sudo 1.9.15 -> 1.9.16; only rebuilt: curl
        Patches: + CVE-2026-1.patch (openssl), - CVE-2025-2.patch (sudo)
        Known to be vulnerable: olm-3.2: it is deprecated
        ");
        insta::assert_snapshot!(text(&full(), readable(0)), @"
        Reboot: kernel 6.6.32 -> 6.6.35,
            kernel modules nvidia-x11 550.1 -> 550.2,
            zfs-kernel 2.2.4 (rebuilt),
            kernel parameters - quiet splash + loglevel=4,
            initrd,
            microcode amd-ucode 2026 (new),
            systemd 255 -> 256,
            glibc 2.39 (rebuilt)
        Release: 24.05 -> 24.11
        Restarts: nginx.service (nginx),
            php.service (a, b, c and 1 more),
            pipewire.service (user: pipewire),
            logrotate.timer,
            pipewire.socket (user),
            + new.service, - gone.service
        Security: openssl 3.0.13 (rebuilt, own change),
            sudo 1.9.15 -> 1.9.16; only rebuilt: curl
        Patches: + CVE-2026-1.patch (openssl),
            - CVE-2025-2.patch (sudo)
        Known to be vulnerable: olm-3.2: it is deprecated
        ");
    }

    #[test]
    fn what_was_only_rebuilt_is_named_in_short() {
        let told = |moved: &[&str], rebuilt: usize| {
            let moved = moved.iter().map(|name| change(name, "1", "2"));
            let rebuilt = (0..rebuilt).map(|i| change(&format!("r{i}"), "1", "1"));
            let security = moved.chain(rebuilt).collect();
            let impact = Impact {
                security,
                ..Impact::default()
            };
            text(&impact, WIDTH)
        };
        let table = [
            told(&["curl", "linux"], 11),
            told(&[], 4),
            told(&["curl"], 0),
        ];
        insta::assert_snapshot!(table.concat(), @"
        Security: curl 1 -> 2, linux 1 -> 2; only rebuilt: r0, r1, r2, r3 and 7 more
        Security: only rebuilt: r0, r1, r2, r3
        Security: curl 1 -> 2
        ");
    }

    #[test]
    fn what_is_left_running_and_what_has_no_known_cause_is_said_apart() {
        let rebuilt = |name: &str, cause| Step {
            cause: Some(cause),
            change: Change::Rebuilt,
            ..change(name, "1", "1")
        };
        let impact = Impact {
            units_changed: vec![
                unit("dbus.service", Change::Changed, &["dbus"]),
                unit("display-manager.service", Change::Added, &[]),
                unit("nginx.service", Change::Changed, &["nginx"]),
            ],
            security: vec![
                rebuilt("curl", Cause::Inputs),
                rebuilt("openssl", Cause::Unknown),
                rebuilt("sudo", Cause::Own),
            ],
            ..Impact::default()
        };
        insta::assert_snapshot!(text(&impact, WIDTH), @"
        Restarts: nginx.service (nginx), + display-manager.service
        Left running: dbus.service (dbus)
        Security: sudo 1 (rebuilt, own change); only rebuilt: curl; rebuilt, cause not known: openssl
        ");
    }

    #[test]
    fn many_units_are_counted() {
        let units = (0..100).map(|i| unit(&format!("u{i:02}.service"), Change::Added, &[]));
        let impact = Impact {
            units_changed: units.collect(),
            ..Impact::default()
        };
        insta::assert_snapshot!(text(&impact, WIDTH), @"
        Units: + u00.service, + u01.service, + u02.service, + u03.service, + u04.service, + u05.service,
            + u06.service, + u07.service, + u08.service, + u09.service, + u10.service, + u11.service,
            and 88 more
        ");
    }
}
