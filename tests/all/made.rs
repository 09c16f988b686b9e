//! Reports made up for tests: of any size, the same for the same shape, and consistent, so that a merge takes them.

use std::collections::BTreeSet;

use flake_herald::closure::{
    Cause, Change, ClosureDiff, Entry, Family, FamilyKind, Outputs, OwnChange, Selected, StorePath,
    VersionGroup,
};
use flake_herald::flake::Kind;
use flake_herald::report::{
    Failure, Fleet, HostReport, Impact, Outcome, PatchChange, Reboot, RebootPart, RebootReason,
    Report, Scope, Side, SideName, Stage, Status, Step, UnitChange, VulnerabilityChange,
};
use serde_json::json;

/// What a report is to be like.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// How many hosts.
    pub(crate) hosts: usize,
    /// How many packages and paths of the configuration change on each host that changes.
    pub(crate) changes: usize,
    /// How often each status is there, in the order of [`Status::ALL`]. The first host has the first status that is.
    pub(crate) mix: [u8; 7],
    /// Another one, another report.
    pub(crate) seed: u64,
}

impl Shape {
    /// All of whose hosts change.
    pub(crate) fn changed(hosts: usize, changes: usize) -> Self {
        Self {
            hosts,
            changes,
            mix: [0, 0, 0, 1, 0, 0, 0],
            seed: 1,
        }
    }

    /// Hosts of every status, most of which change.
    pub(crate) fn mixed(hosts: usize, changes: usize) -> Self {
        Self {
            mix: [2, 1, 1, 12, 1, 1, 2],
            ..Self::changed(hosts, changes)
        }
    }
}

const STORE: &str = "/nix/store";

/// The roles that hosts have in turn: hosts of one role have changes of their own in common.
const ROLES: [&str; 4] = ["web", "db", "desk", "edge"];

const STEMS: [&str; 24] = [
    "openssl",
    "curl",
    "glib",
    "python3",
    "firefox",
    "nginx",
    "perl",
    "zlib",
    "systemd",
    "libpng",
    "coreutils",
    "bash",
    "gtk4",
    "mesa",
    "krb5",
    "postgresql",
    "kdePackages-kio",
    "rustc",
    "git",
    "ffmpeg",
    "linux-firmware",
    "sudo",
    "qtbase",
    "dbus",
];

/// Numbers in an order that the seed decides (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// Returns a store path of this name.
    fn path(&mut self, name: &str) -> StorePath {
        const BASE32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";
        let digits = [self.next(), self.next(), self.next()];
        let digest: String = (0..32_usize)
            .map(|at| char::from(BASE32[((digits[at / 12] >> (5 * (at % 12))) & 31) as usize]))
            .collect();
        StorePath::parse(&format!("{STORE}/{digest}-{name}")).expect("it is one")
    }
}

/// A change, and on which list of a difference it stands.
#[derive(Clone)]
struct Made {
    list: usize,
    entry: Entry,
}

const CHANGED: usize = 0;
const ADDED: usize = 1;
const REMOVED: usize = 2;
const SELECTION: usize = 3;
const REBUILT: usize = 4;
const CONFIGURATION: usize = 5;

/// Returns a report of this shape. Its digest is left open, for taking one of a large report takes long.
pub(crate) fn report(shape: &Shape) -> Report {
    let mut dice = Dice(shape.seed);
    let mut report = empty();
    // Of twenty changes one is a host's own, three are those of its role.
    let own = shape.changes / 20;
    let of_role = shape.changes * 3 / 20;
    let everywhere = entries(&mut dice, "", shape.changes - own - of_role);
    let roles = ROLES.map(|role| {
        let mut all = entries(&mut dice, role, of_role);
        all.extend(everywhere.iter().cloned());
        all
    });
    let mut alike = None;
    for at in 0..shape.hosts {
        let role = at % ROLES.len();
        let name = format!("{}{:03}", ROLES[role], at / ROLES.len() + 1);
        let status = status(&mut dice, shape, at);
        let mut changes = Vec::new();
        if matches!(status, Status::Changed | Status::Mended) {
            changes.reserve(shape.changes);
            changes.extend(roles[role].iter().cloned());
            changes.extend(entries(&mut dice, &name, own));
        }
        let host = host(&mut dice, name, status, changes, &mut alike);
        report.hosts.push(host);
    }
    report
        .hosts
        .sort_by(|a, b| (a.kind.as_str(), &a.name).cmp(&(b.kind.as_str(), &b.name)));
    report.outcome = Outcome::of(false, &report.hosts);
    report.fleet = Fleet::of(&report.hosts);
    report
}

/// Returns a report without hosts. As JSON, so that fields may be added to the types.
fn empty() -> Report {
    let revision = |digit: &str, date: &str, repository: &str| {
        json!({
            "rev": digit.repeat(40),
            "date": date,
            "url": format!("github:{repository}/{}", digit.repeat(40)),
            "follows": null,
        })
    };
    let input = |name: &str, repository: &str, days: [&str; 2]| {
        json!({
            "name": name,
            "type": "github",
            "original": format!("github:{repository}"),
            "before": revision("a", days[0], repository),
            "after": revision("b", days[1], repository),
            "compare_url": format!(
                "https://github.com/{repository}/compare/{}...{}",
                "a".repeat(40),
                "b".repeat(40)
            ),
            "transitive": name.contains('/'),
        })
    };
    let follows = json!({"rev": null, "date": null, "url": null, "follows": "nixpkgs"});
    serde_json::from_value(json!({
        "schema": 1,
        "tool": {"name": "flake-herald", "version": "0.1.0"},
        "nix": {"version": "2.34.8", "store_dir": STORE},
        "flake": {"dir": ".", "rev": "c".repeat(40)},
        "scope": Scope { dir: ".".to_owned(), kinds: vec![Kind::Nixos], ..Scope::default() }.identified(),
        "lock": {
            "before_hash": "0".repeat(64),
            "after_hash": "1".repeat(64),
            "origin": "staged",
            "completed": false,
            "unreachable": ["private-input"],
        },
        "outcome": "changed",
        "built": true,
        "excluded": [
            {"kind": "nixos", "name": "installer-minimal", "pattern": "*-minimal"},
            {"kind": "nixos", "name": "laptop-old", "pattern": "laptop-*"},
        ],
        "inputs": [
            input("home-manager", "nix-community/home-manager", ["2026-10-30", "2026-11-14"]),
            input("home-manager/utils", "numtide/flake-utils", ["2024-11-13", "2026-01-02"]),
            input("nixos-hardware", "NixOS/nixos-hardware", ["2026-11-10", "2026-11-10"]),
            input("nixpkgs", "NixOS/nixpkgs", ["2026-11-07", "2026-11-20"]),
            {
                "name": "secrets/nixpkgs",
                "type": null,
                "original": null,
                "before": revision("d", "2023-05-05", "NixOS/nixpkgs"),
                "after": follows,
                "compare_url": null,
                "transitive": true,
            },
            {
                "name": "stylix",
                "type": "git",
                "original": "git+https://git.example.org/stylix.git",
                "before": null,
                "after": revision("e", "2026-11-19", "danth/stylix"),
                "compare_url": null,
                "transitive": false,
            },
        ],
        "hosts": [],
        "fleet": Fleet::default(),
        "warnings": ["the input private-input could not be fetched and stays as it is"],
        "digest": "0".repeat(64),
        "timing": {"started": "2026-11-21T03:00:00Z", "total_ms": 1, "steps": [{"name": "evaluate", "ms": 1}]},
        "pull_request": null,
        "plan": null,
    }))
    .expect("it is a report")
}

/// Returns so many changes; `owner` is in their names, so that those of two owners differ.
fn entries(dice: &mut Dice, owner: &str, count: usize) -> Vec<Made> {
    (0..count).map(|at| made(dice, owner, at)).collect()
}

fn made(dice: &mut Dice, owner: &str, at: usize) -> Made {
    let stem = STEMS[at % STEMS.len()];
    let name = match (owner, at / STEMS.len()) {
        ("", 0) => stem.to_owned(),
        ("", round) => format!("{stem}-{round}"),
        (owner, round) => format!("{stem}-{owner}-{round}"),
    };
    let minor = dice.below(60) + 1;
    let old = format!("3.{minor}.{}", dice.below(20));
    let moved = |by: u64| format!("3.{}.0", minor + by);
    // As on a day on which everything is rebuilt: most is, some moves, little comes and goes.
    let roll = dice.below(100);
    let (list, change, before, after) = match roll {
        0..=11 => (CHANGED, Change::Upgraded, Some(old), Some(moved(1))),
        12 => (
            CHANGED,
            Change::Upgraded,
            Some(old),
            Some(format!("4.{minor}")),
        ),
        13 => (CHANGED, Change::Downgraded, Some(moved(1)), Some(old)),
        14 => (CHANGED, Change::Changed, Some(old.clone()), Some(old)),
        15..=17 => (ADDED, Change::Added, None, Some(old)),
        18..=20 => (REMOVED, Change::Removed, Some(old), None),
        21 => (SELECTION, Change::Changed, Some(old.clone()), Some(old)),
        22..=27 => {
            let unit = format!("unit-{name}.service");
            let change = match dice.below(3) {
                0 => Change::Changed,
                1 => Change::Added,
                _ => Change::Removed,
            };
            return Made {
                list: CONFIGURATION,
                entry: configuration(dice, unit, change),
            };
        }
        28..=31 => {
            let file = format!("etc-{name}");
            return Made {
                list: CONFIGURATION,
                entry: configuration(dice, file, Change::Changed),
            };
        }
        _ => (REBUILT, Change::Rebuilt, Some(old.clone()), Some(old)),
    };
    let is_chosen = dice.one_in(12);
    let selected = match (list, is_chosen) {
        (SELECTION, _) if dice.one_in(2) => Selected::Newly,
        (SELECTION, _) => Selected::NoLonger,
        (_, false) => Selected::No,
        (ADDED, true) => Selected::Newly,
        (REMOVED, true) => Selected::NoLonger,
        (_, true) => Selected::Yes,
    };
    let outputs: &[&str] = match dice.below(6) {
        0 => &["bin", "out"],
        1 => &["dev", "lib", "out"],
        _ => &["out"],
    };
    let mut group = |version: Option<String>| -> Vec<VersionGroup> {
        let Some(version) = version else {
            return Vec::new();
        };
        let mut paths: Vec<StorePath> = outputs
            .iter()
            .map(|output| {
                let end = if *output == "out" { "" } else { output };
                let dash = if end.is_empty() { "" } else { "-" };
                dice.path(&format!("{name}-{version}{dash}{end}"))
            })
            .collect();
        paths.sort();
        vec![VersionGroup {
            version: Some(version),
            outputs: outputs.iter().map(|output| (*output).to_owned()).collect(),
            paths: paths.into(),
        }]
    };
    let (before, after) = (group(before), group(after));
    let cause = (list == REBUILT).then(|| match dice.below(20) {
        0 => Cause::Own,
        1 => Cause::Unknown,
        _ => Cause::Inputs,
    });
    let own = (cause == Some(Cause::Own)).then(|| {
        Box::new(OwnChange {
            sources: vec![format!("{name}-source")],
            patches_added: vec![format!("CVE-2026-{at:04}.patch")],
            patches_removed: vec![format!("fix-{at}.patch")],
            flags_added: vec!["--with-tls".to_owned()],
            flags_removed: vec!["--without-tls".to_owned()],
            dependencies_added: vec!["brotli".to_owned()],
            dependencies_removed: vec!["zopfli".to_owned()],
            attributes: vec!["postInstall".to_owned()],
        })
    });
    let size_delta = dice.below(4_000_000).cast_signed() - 1_000_000;
    let via = (list == ADDED && size_delta > 1_000_000).then(|| vec!["system-path".to_owned()]);
    Made {
        list,
        entry: Entry {
            name,
            before,
            after,
            change,
            selected,
            size_delta: Some(size_delta),
            cause,
            own,
            via,
        },
    }
}

fn configuration(dice: &mut Dice, name: String, change: Change) -> Entry {
    let mut group = |there: bool| -> Vec<VersionGroup> {
        let group = VersionGroup {
            version: None,
            outputs: Outputs::default(),
            paths: vec![dice.path(&name)].into(),
        };
        there.then_some(group).into_iter().collect()
    };
    Entry {
        before: group(change != Change::Added),
        after: group(change != Change::Removed),
        name,
        change,
        selected: Selected::No,
        size_delta: Some(0),
        cause: None,
        own: None,
        via: None,
    }
}

fn status(dice: &mut Dice, shape: &Shape, at: usize) -> Status {
    let total: u64 = shape.mix.iter().copied().map(u64::from).sum();
    let mut roll = if at == 0 { 0 } else { dice.below(total.max(1)) };
    for (status, often) in Status::ALL.into_iter().zip(shape.mix) {
        match roll.checked_sub(u64::from(often)) {
            Some(rest) => roll = rest,
            None => return status,
        }
    }
    Status::Unchanged
}

fn host(
    dice: &mut Dice,
    name: String,
    status: Status,
    changes: Vec<Made>,
    alike: &mut Option<Failure>,
) -> HostReport {
    let system_name = format!("nixos-system-{name}-26.05");
    let mut side = |paths: u64| Side {
        drv_path: dice.path(&format!("{system_name}.drv")),
        out_path: dice.path(&system_name),
        paths: Some(paths),
        nar_size: Some(paths * 1_000_003),
    };
    let (mut before, mut after) = (Some(side(2800)), Some(side(2800)));
    if status == Status::Unchanged {
        after.clone_from(&before);
    }
    let failure = match status {
        Status::Broken => Some(failure(dice, &name, SideName::After, alike)),
        Status::AlreadyBroken => {
            before = None;
            Some(failure(dice, &name, SideName::After, &mut None))
        }
        Status::Mended => Some(failure(dice, &name, SideName::Before, &mut None)),
        _ => None,
    };
    // What does not evaluate has no derivation; only what was read has numbers.
    for (side, name) in [
        (&mut before, SideName::Before),
        (&mut after, SideName::After),
    ] {
        let fails = failure.as_ref().filter(|failure| failure.side == name);
        if fails.is_some_and(|failure| failure.stage == Stage::Evaluate) {
            *side = None;
        }
        if let (Some(side), false) = (side, matches!(status, Status::Changed | Status::Mended)) {
            (side.paths, side.nar_size) = (None, None);
        }
    }
    let reason = match status {
        Status::Skipped => Some(format!("no builder for the system of {name}")),
        Status::Unknown => Some("timed out after 3600 s".to_owned()),
        _ => None,
    };
    let compared = matches!(status, Status::Changed | Status::Mended) && before.is_some();
    let diff = compared.then(|| difference(changes));
    let impact = diff.as_ref().map(|diff| impact(dice, diff));
    if let (Some(diff), Some(after)) = (&diff, &mut after) {
        let grown = diff.paths_added.zip(diff.paths_removed);
        after.paths = grown.map(|(added, removed)| 100_000 + added - removed);
    }
    if let (true, Some(before)) = (compared, &mut before) {
        before.paths = Some(100_000);
    }
    HostReport {
        attr: format!("nixosConfigurations.{name}.config.system.build.toplevel"),
        name,
        kind: Kind::Nixos,
        system: Some("x86_64-linux".to_owned()),
        status,
        reason,
        before,
        after,
        diff,
        impact,
        failure,
    }
}

/// Returns why a host fails: some the way an earlier one does.
fn failure(dice: &mut Dice, name: &str, side: SideName, alike: &mut Option<Failure>) -> Failure {
    if let Some(known) = alike.clone()
        && dice.one_in(3)
    {
        return known;
    }
    let derivation = dice.path(&format!("{name}-package-1.2.3.drv"));
    let made = if dice.one_in(3) {
        Failure {
            stage: Stage::Evaluate,
            side,
            error: format!(
                "error:\n… while evaluating the attribute 'config'\n\nerror: The option `services.{name}' does not exist."
            ),
            derivation: None,
            log_tail: Vec::new(),
            log_errors: Vec::new(),
            log_path: None,
        }
    } else {
        Failure {
            stage: Stage::Build,
            side,
            error: format!("error: builder for '{derivation}' failed with exit code 2"),
            derivation: Some(derivation.to_string()),
            log_tail: (0..25)
                .map(|line| format!("{name}.c:{line}: error: expected ';' before '}}' token"))
                .collect(),
            log_errors: vec!["error: no".to_owned()],
            log_path: None,
        }
    };
    if alike.is_none() {
        *alike = Some(made.clone());
    }
    made
}

fn difference(changes: Vec<Made>) -> ClosureDiff {
    let mut diff = ClosureDiff::default();
    let mut paths = [0; 2];
    let mut size = 0;
    for Made { list, entry } in changes {
        for (count, groups) in paths.iter_mut().zip([&entry.before, &entry.after]) {
            *count += groups
                .iter()
                .map(|group| group.paths.len() as u64)
                .sum::<u64>();
        }
        size += entry.size_delta.unwrap_or_default();
        diff.lists_mut()[list].push(entry);
    }
    for list in diff.lists_mut() {
        list.shrink_to_fit();
        list.sort_by(|a, b| a.name.cmp(&b.name));
    }
    [diff.paths_removed, diff.paths_added] = paths.map(Some);
    diff.size_delta = Some(size);
    diff.families.extend(family(&diff));
    diff
}

/// Returns the upgrades of packages whose names begin alike and that nobody chose, as if they were of one version.
fn family(diff: &ClosureDiff) -> Option<Family> {
    let packages: Vec<String> = diff
        .changed
        .iter()
        .filter(|entry| {
            entry.name.starts_with("kdePackages-kio-") && entry.selected == Selected::No
        })
        .map(|entry| entry.name.clone())
        .collect();
    (packages.len() > 2).then(|| Family {
        kind: FamilyKind::Versions,
        name: "kdePackages".to_owned(),
        before: "6.4.1".to_owned(),
        after: "6.4.2".to_owned(),
        change: Change::Upgraded,
        selected: Selected::No,
        packages,
    })
}

/// Returns what of a difference is worth a word.
fn impact(dice: &mut Dice, diff: &ClosureDiff) -> Impact {
    const MOST: usize = 50;
    let version = |groups: &[VersionGroup]| groups.first().and_then(|group| group.version.clone());
    let step = |entry: &Entry| Step {
        name: entry.name.clone(),
        before: version(&entry.before),
        after: version(&entry.after),
        change: entry.change,
        cause: entry.cause,
    };
    let steps = |list: &[Entry], wanted: &dyn Fn(&Entry) -> bool| -> Vec<Step> {
        let wanted = list.iter().filter(|entry| wanted(entry));
        wanted.take(MOST).map(step).collect()
    };
    let all: Vec<Entry> = diff
        .entries()
        .filter(|entry| !entry.name.contains('-'))
        .cloned()
        .collect();
    let kernel = dice.one_in(2).then(|| Step {
        name: "linux".to_owned(),
        before: Some("6.6.32".to_owned()),
        after: Some("6.6.35".to_owned()),
        change: Change::Upgraded,
        cause: None,
    });
    let reasons: Vec<RebootReason> = [RebootPart::Kernel, RebootPart::Initrd]
        .into_iter()
        .zip(kernel.iter().chain(&kernel))
        .map(|(what, step)| RebootReason {
            what,
            step: step.clone(),
        })
        .collect();
    let patches: BTreeSet<PatchChange> = diff
        .rebuilt
        .iter()
        .filter_map(|entry| Some((&entry.name, entry.own.as_ref()?.patches_added.first()?)))
        .take(MOST)
        .map(|(package, patch)| PatchChange {
            package: package.clone(),
            patch: patch.clone(),
            gained: true,
        })
        .collect();
    let mut security = steps(&all, &|entry| {
        matches!(
            &*entry.name,
            "openssl" | "curl" | "sudo" | "systemd" | "firefox"
        )
    });
    // They come from several lists, and stand by their names.
    security.sort();
    Impact {
        reboot: Reboot {
            needed: Some(!reasons.is_empty()),
            reasons,
        },
        units_changed: diff
            .configuration
            .iter()
            .filter_map(|entry| Some((entry, entry.name.strip_prefix("unit-")?)))
            .map(|(entry, name)| UnitChange {
                name: name.to_owned(),
                user: false,
                change: entry.change,
                because: vec![name.trim_end_matches(".service").to_owned()],
            })
            .collect(),
        kernel,
        systemd: all.iter().find(|entry| entry.name == "systemd").map(step),
        release: dice.one_in(9).then(|| Step {
            name: "nixos".to_owned(),
            before: Some("25.11".to_owned()),
            after: Some("26.05".to_owned()),
            change: Change::Upgraded,
            cause: None,
        }),
        downgrades: steps(&diff.changed, &|entry| entry.change == Change::Downgraded),
        major: steps(&diff.changed, &|entry| {
            version(&entry.after).is_some_and(|version| version.starts_with('4'))
        }),
        gone: steps(&diff.removed, &|entry| entry.selected == Selected::NoLonger),
        security,
        patches: patches.into_iter().collect(),
        vulnerabilities: dice.one_in(2).then(|| {
            vec![VulnerabilityChange {
                package: "openssl".to_owned(),
                vulnerability: "has reached its end of life".to_owned(),
                gained: true,
            }]
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_report_is_one_that_a_run_could_have_made() {
        for seed in 0..10 {
            let shape = Shape {
                seed,
                ..Shape::mixed(12, 30)
            };
            let made = report(&shape);
            assert_eq!(made, report(&shape), "{seed}");
            let json = flake_herald::report::to_json(&made);
            let mut read = flake_herald::report::parse(json.as_bytes()).unwrap();
            read.pull_request.clone_from(&made.pull_request);
            assert_eq!(made, read, "{seed}");
        }
    }
}
