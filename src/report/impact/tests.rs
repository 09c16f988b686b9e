//! What an impact is, of small closures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use crate::closure::{Fact, Facts, Graph, PackageName, Recipe, Record, Side, diff, diff_selected};

use super::*;

/// Two systems, each as lines `PATH: REFERENCES`, the root first. A path is `NAME#SALT`, the salt a digit, and where something is
/// known of its derivation `=PATCHES` follows: equal ones on both sides are rebuilt only because of what they are built from.
struct Systems {
    graph: Graph,
    facts: Facts,
    roots: [StorePath; 2],
}

fn path(word: &str) -> (String, Option<Recipe>) {
    let (word, patches) = match word.split_once('=') {
        Some((word, patches)) => (word, Some(patches)),
        None => (word, None),
    };
    let (name, salt) = word.split_once('#').unwrap_or((word, "0"));
    let parsed = PackageName::parse(name);
    let recipe = patches.map(|patches| {
        let patches = patches.split(',').filter(|patch| !patch.is_empty());
        Recipe {
            pname: Some(parsed.base.to_owned()),
            version: parsed.version.map(str::to_owned),
            patches: patches.map(|p| (p.to_owned(), p.to_owned())).collect(),
            ..Recipe::default()
        }
    });
    (format!("/nix/store/{}-{name}", salt.repeat(32)), recipe)
}

impl Systems {
    fn of(sides: [&str; 2]) -> Self {
        let mut references: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut facts = Facts::default();
        let mut seen = |word: &str| {
            let (path, recipe) = path(word);
            if let Some(recipe) = recipe {
                let fact = Fact {
                    output: PackageName::parse(path.split_at(44).1)
                        .output
                        .unwrap_or("out")
                        .to_owned(),
                    recipe: Arc::new(recipe),
                };
                facts.insert(StorePath::parse(&path).unwrap(), fact);
            }
            path
        };
        let mut roots = Vec::new();
        for side in sides {
            for (at, line) in side
                .lines()
                .filter(|line| !line.trim().is_empty())
                .enumerate()
            {
                let (word, words) = line.split_once(':').unwrap_or((line, ""));
                let of = seen(word.trim());
                if at == 0 {
                    roots.push(StorePath::parse(&of).unwrap());
                }
                for word in words.split_whitespace() {
                    let to = seen(word);
                    references.entry(to.clone()).or_default();
                    references.entry(of.clone()).or_default().insert(to);
                }
                references.entry(of).or_default();
            }
        }
        let records = references.iter().map(|(path, references)| Record {
            path,
            nar_size: 0,
            deriver: None,
            references: references.iter().map(String::as_str).collect(),
        });
        Self {
            graph: Graph::from_records(records).unwrap(),
            facts,
            roots: roots.try_into().unwrap(),
        }
    }

    fn impact(&self, params: [Option<&str>; 2], is_nixos: bool) -> (ClosureDiff, Impact) {
        let closures = self.graph.closures(&self.roots).unwrap();
        let [before, after] = [0, 1].map(|at| closures.at(at).unwrap());
        let [old, new] = [before, after].map(|closure| closure.selection(&[]));
        let diff = diff(
            Side {
                closure: Some(before),
                selected: &old,
            },
            Side {
                closure: Some(after),
                selected: &new,
            },
            &self.facts,
        );
        let sides = [(before, params[0]), (after, params[1])];
        let sides = sides.map(|(closure, kernel_params)| SystemSide {
            closure,
            kernel_params,
        });
        let found = impact(sides, is_nixos, &diff, &Sensitive::default());
        (diff, found)
    }
}

fn of(sides: [&str; 2]) -> Impact {
    Systems::of(sides).impact([None, None], true).1
}

fn told(step: &Step) -> String {
    let or = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
    let cause = step
        .cause
        .map(|cause| format!(" ({cause:?})"))
        .unwrap_or_default();
    format!(
        "{} {} -> {} {}{cause}",
        step.name,
        or(&step.before),
        or(&step.after),
        step.change
    )
}

fn reasons(impact: &Impact) -> String {
    let mut out = format!("needed: {:?}\n", impact.reboot.needed);
    for reason in &impact.reboot.reasons {
        writeln!(out, "{}: {}", reason.what.as_str(), told(&reason.step)).unwrap();
    }
    out
}

fn steps(title: &str, steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| format!("{title}: {}\n", told(step)))
        .collect()
}

const BEFORE: &str = "nixos-system-web-24.05.1#1: linux-6.6.32#1 kernel-modules#1 initrd-linux-6.6.32#1 firmware#1 linux-pam-1.6#1 \
    systemd-255.6#1= dbus-1.14#1= glibc-2.39-bin#1= system-path#1
    kernel-modules#1: linux-6.6.32-modules#1 zfs-kernel-2.2.4-6.6.32#1 nvidia-x11-550.78-6.6.32#1
    firmware#1: linux-firmware-20240513#1= alsa-firmware-1#1=
    initrd-linux-6.6.32#1: microcode-intel-20240514#1
    system-path#1: git-2.44#1=";

/// What becomes of the system above by replacing words.
fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(
        BEFORE.replace("24.05.1#1", "24.05.2#2"),
        |text, (old, new)| {
            assert!(text.contains(old), "{old}");
            text.replace(old, new)
        },
    )
}

#[test]
fn a_kernel_needs_a_reboot_whatever_its_version() {
    let table = [
        (
            "a version, and all that is made of it",
            edited(&[
                ("linux-6.6.32-modules#1", "linux-6.6.33-modules#2"),
                ("initrd-linux-6.6.32#1", "initrd-linux-6.6.33#2"),
                ("linux-6.6.32#1", "linux-6.6.33#2"),
                ("kernel-modules#1", "kernel-modules#2"),
                ("550.78-6.6.32#1", "550.90-6.6.33#2"),
                ("2.2.4-6.6.32#1", "2.2.4-6.6.33#2"),
            ]),
        ),
        (
            "the same version",
            edited(&[(": linux-6.6.32#1", ": linux-6.6.32#2")]),
        ),
        (
            "another kernel",
            edited(&[(": linux-6.6.32#1", ": linux-zen-6.6.30#2")]),
        ),
        (
            "an older one",
            edited(&[(": linux-6.6.32#1", ": linux-6.6.8#2")]),
        ),
        (
            "a module alone",
            edited(&[
                ("kernel-modules#1", "kernel-modules#2"),
                ("550.78-6.6.32#1", "550.90-6.6.32#2"),
            ]),
        ),
        (
            "the initial ramdisk",
            edited(&[("initrd-linux-6.6.32#1", "initrd-linux-6.6.32#2")]),
        ),
        (
            "microcode",
            edited(&[
                ("initrd-linux-6.6.32#1", "initrd-linux-6.6.32#2"),
                ("20240514#1", "20240531#2"),
            ]),
        ),
        (
            "firmware",
            edited(&[("firmware#1", "firmware#2"), ("20240513#1", "20240610#2")]),
        ),
        (
            "firmware of which nothing is known",
            edited(&[("firmware#1", "firmware#2")]),
        ),
        (
            "a git",
            edited(&[
                ("git-2.44#1", "git-2.45#2"),
                ("system-path#1", "system-path#2"),
                ("linux-pam-1.6#1", "linux-pam-1.7#2"),
            ]),
        ),
    ];
    let told: Vec<String> = table
        .into_iter()
        .map(|(what, after)| {
            let impact = of([BEFORE, &after]);
            let kernel = impact
                .kernel
                .as_ref()
                .map(|kernel| format!("[{}]\n", told(kernel)));
            format!("{what}: {}{}", reasons(&impact), kernel.unwrap_or_default())
        })
        .collect();
    insta::assert_snapshot!(told.concat(), @"
    a version, and all that is made of it: needed: Some(true)
    kernel: linux 6.6.32 -> 6.6.33 upgraded
    kernel modules: kernel-modules - -> - changed
    kernel modules: nvidia-x11 550.78-6.6.32 -> 550.90-6.6.33 upgraded
    kernel modules: zfs-kernel 2.2.4-6.6.32 -> 2.2.4-6.6.33 upgraded
    initrd: initrd-linux 6.6.32 -> 6.6.33 upgraded
    [linux 6.6.32 -> 6.6.33 upgraded]
    the same version: needed: Some(true)
    kernel: linux 6.6.32 -> 6.6.32 rebuilt (Unknown)
    [linux 6.6.32 -> 6.6.32 rebuilt (Unknown)]
    another kernel: needed: Some(true)
    kernel: linux-zen linux-6.6.32 -> linux-zen-6.6.30 changed
    [linux-zen linux-6.6.32 -> linux-zen-6.6.30 changed]
    an older one: needed: Some(true)
    kernel: linux 6.6.32 -> 6.6.8 downgraded
    [linux 6.6.32 -> 6.6.8 downgraded]
    a module alone: needed: Some(true)
    kernel modules: kernel-modules - -> - changed
    kernel modules: nvidia-x11 550.78-6.6.32 -> 550.90-6.6.32 upgraded
    the initial ramdisk: needed: Some(true)
    initrd: initrd-linux 6.6.32 -> 6.6.32 rebuilt (Unknown)
    microcode: needed: Some(true)
    initrd: initrd-linux 6.6.32 -> 6.6.32 rebuilt (Unknown)
    microcode: microcode-intel 20240514 -> 20240531 upgraded
    firmware: needed: Some(true)
    firmware: linux-firmware 20240513 -> 20240610 upgraded
    firmware of which nothing is known: needed: Some(true)
    firmware: firmware - -> - changed
    a git: needed: Some(false)
    ");
}

#[test]
fn what_runs_needs_a_reboot_where_it_does_something_else() {
    let table = [
        (
            "rebuilt by what it is built from",
            edited(&[
                ("systemd-255.6#1", "systemd-255.6#2"),
                ("dbus-1.14#1", "dbus-1.14#2"),
                ("glibc-2.39-bin#1", "glibc-2.39-bin#2"),
            ]),
        ),
        (
            "an own change",
            edited(&[("systemd-255.6#1=", "systemd-255.6#2=CVE-2024-1.patch")]),
        ),
        (
            "nobody knows",
            edited(&[("glibc-2.39-bin#1=", "glibc-2.39-bin#2")]),
        ),
        (
            "a version",
            edited(&[
                ("dbus-1.14#1=", "dbus-1.16#2="),
                ("systemd-255.6#1", "systemd-256#2"),
            ]),
        ),
        (
            "another copy, further down",
            edited(&[
                ("git-2.44#1=", "git-2.44#2= glibc-2.38#2"),
                ("system-path#1", "system-path#2"),
            ]),
        ),
    ];
    let told: Vec<String> = table
        .into_iter()
        .map(|(what, after)| {
            let impact = of([BEFORE, &after]);
            let systemd = impact
                .systemd
                .as_ref()
                .map(|step| format!("[{}]\n", told(step)));
            format!(
                "{what}: {}{}",
                reasons(&impact),
                systemd.unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(told.concat(), @"
    rebuilt by what it is built from: needed: Some(false)
    [systemd 255.6 -> 255.6 rebuilt (Inputs)]
    an own change: needed: Some(true)
    systemd: systemd 255.6 -> 255.6 rebuilt (Own)
    [systemd 255.6 -> 255.6 rebuilt (Own)]
    nobody knows: needed: Some(true)
    glibc: glibc 2.39 -> 2.39 rebuilt (Unknown)
    a version: needed: Some(true)
    systemd: systemd 255.6 -> 256 upgraded
    dbus: dbus 1.14 -> 1.16 upgraded
    [systemd 255.6 -> 256 upgraded]
    another copy, further down: needed: Some(false)
    ");
}

#[test]
fn only_what_is_booted_needs_a_reboot() {
    let systems = Systems::of([BEFORE, &edited(&[(": linux-6.6.32#1", ": linux-6.6.33#2")])]);
    let (_, home) = systems.impact([None, None], false);
    assert_eq!((home.reboot, home.kernel), (Reboot::never(), None));

    let container =
        |systemd: &str| format!("nixos-system-box-24.05#{systemd}: systemd-{systemd}#{systemd}");
    let found = of([&container("1"), &container("2")]);
    assert_eq!(found.reboot, Reboot::never());
    assert!(found.systemd.is_some());

    // Without a link `firmware`, what is known to be firmware counts.
    let system = |n: &str| {
        format!("nixos-system-a-24.05#{n}: linux-6.6#0 etc#{n}\netc#{n}: linux-firmware-{n}#{n}")
    };
    insta::assert_snapshot!(reasons(&of([&system("1"), &system("2")])), @"
    needed: Some(true)
    firmware: linux-firmware 1 -> 2 upgraded
    ");
}

#[test]
fn words_of_the_kernel_come_and_go() {
    let systems = Systems::of([
        BEFORE,
        &edited(&[
            ("git-2.44#1", "git-2.44#2"),
            ("system-path#1", "system-path#2"),
        ]),
    ]);
    let table = [
        ["loglevel=4 quiet\n", " loglevel=4  quiet"],
        ["loglevel=4 quiet", "loglevel=7 quiet splash"],
        ["loglevel=4", "loglevel=4 console=tty0 console=ttyS0"],
        ["a a b", "a b"],
        ["console=tty0 console=ttyS0", "console=ttyS0 console=tty0"],
        [r#"dyndbg="file a +p""#, r#"dyndbg="file b +p""#],
        ["", "quiet"],
    ]
    .map(|[before, after]| {
        let (_, impact) = systems.impact([Some(before), Some(after)], true);
        format!("{before:?} {after:?}: {}", reasons(&impact))
    });
    insta::assert_snapshot!(table.concat(), @r#"
    "loglevel=4 quiet\n" " loglevel=4  quiet": needed: Some(false)
    "loglevel=4 quiet" "loglevel=7 quiet splash": needed: Some(true)
    kernel parameters: kernel-params loglevel=4 -> loglevel=7 splash changed
    "loglevel=4" "loglevel=4 console=tty0 console=ttyS0": needed: Some(true)
    kernel parameters: kernel-params - -> console=tty0 console=ttyS0 added
    "a a b" "a b": needed: Some(true)
    kernel parameters: kernel-params a -> - removed
    "console=tty0 console=ttyS0" "console=ttyS0 console=tty0": needed: Some(true)
    kernel parameters: kernel-params console=tty0 console=ttyS0 -> console=ttyS0 console=tty0 changed
    "dyndbg=\"file a +p\"" "dyndbg=\"file b +p\"": needed: Some(true)
    kernel parameters: kernel-params dyndbg="file a +p" -> dyndbg="file b +p" changed
    "" "quiet": needed: Some(true)
    kernel parameters: kernel-params - -> quiet added
    "#);
    let (_, one) = systems.impact([Some("quiet"), None], true);
    assert_eq!(one.reboot.needed, Some(false));
}

#[test]
fn units_say_because_of_what_they_change() {
    let before = "nixos-system-web-24.05#1: etc#1
        etc#1: system-units#1 user-units#1
        system-units#1: unit-nginx.service#1 unit-gone.timer#1 unit-getty-.service#1 unit-text.service#1 unit-script-odd.service#0 \
          unit-both.socket#1 unit-user-.slice#1 unit-off.service#1 unit-same.service#0 unit-lib.service#1 dbus-1.14#1
        user-units#1: unit-both.socket#1 unit-agent.service#1
        unit-nginx.service#1: nginx-1.26#1 coreutils-9.5#1= unit-script-nginx-start#1 nginx.conf#1
        unit-script-nginx-start#1: openssl-3.0.13#1 bash-5.2#0
        unit-lib.service#1: coreutils-9.5#1=
        unit-agent.service#1: gnupg-2.4#1";
    let after = "nixos-system-web-24.05#2: etc#2
        etc#2: system-units#2 user-units#2
        system-units#2: unit-nginx.service#2 unit-getty-.service#2 unit-text.service#2 unit-new.target#2 unit-script-odd.service#0 \
          unit-both.socket#2 unit-user-.slice#2 unit-off.service-disabled#2 unit-same.service#0 unit-lib.service#2 dbus-1.14#2
        user-units#2: unit-both.socket#2 unit-agent.service#2
        unit-nginx.service#2: nginx-1.27#2 coreutils-9.5#2= unit-script-nginx-start#2 nginx.conf#2
        unit-script-nginx-start#2: openssl-3.0.14#2 bash-5.2#0
        unit-lib.service#2: coreutils-9.5#2=
        unit-agent.service#2: pinentry-1#2";
    let units = of([before, after]).units_changed;
    let told: Vec<String> = units
        .iter()
        .map(|unit| {
            let user = if unit.user { " (user)" } else { "" };
            format!("{}{user} {} {:?}", unit.name, unit.change, unit.because)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    agent.service (user) changed ["gnupg", "pinentry"]
    both.socket changed []
    both.socket (user) changed []
    getty@.service changed []
    gone.timer removed []
    lib.service changed ["coreutils"]
    new.target added []
    nginx.service changed ["nginx", "openssl"]
    off.service removed []
    text.service changed []
    user-.slice changed []
    "#);
}

#[test]
fn packages_are_told_by_what_becomes_of_them() {
    let before = "nixos-system-web-24.05.1#1: system-path#1 initrd-linux-6.9#1 linux-6.9#1
        system-path#1: htop-3.3#1 tmux-3.4#1 less-643#1 tool-0.9#1 date-20240501#1 year-2023.4#1 firefox-126.0#1 down-2.0#1 \
          openssl-3.0.13#1= vim-9.1#1=CVE-2024-1.patch kept-1#0 python3.11-a-1#1 python3.11-b-1#1 python3.11-c-1#1 both-1#1
        both-1#1: both-2#1 xz-5.4#1";
    let after = "nixos-system-web-24.11.1#2: system-path#2 initrd-linux-6.8#2 linux-6.8#2
        system-path#2: tmux-3.4#1 less-661#2 tool-0.10#2 date-20240601#2 year-2024.1#2 firefox-127.0#2 down-1.9#2 \
          openssl-3.0.13#2=CVE-2024-2.patch,other.patch vim-9.1#2= python3.12-a-1#2 python3.12-b-1#2 python3.12-c-1#2 both-3#2
        tmux-3.4#1: kept-1#0
        both-3#2: both-4#2 sudo-1#2";
    let impact = of([before, after]);
    let mut text = [
        steps("release", impact.release.as_slice()),
        steps("down", &impact.downgrades),
        steps("major", &impact.major),
        steps("gone", &impact.gone),
        steps("security", &impact.security),
    ]
    .concat();
    for patch in &impact.patches {
        writeln!(text, "{} {} {}", patch.package, patch.patch, patch.gained).unwrap();
    }
    insta::assert_snapshot!(text, @"
    release: nixos 24.05 -> 24.11 upgraded
    down: down 2.0 -> 1.9 downgraded
    down: linux 6.9 -> 6.8 downgraded
    major: both 1, 2 -> 3, 4 upgraded
    major: firefox 126.0 -> 127.0 upgraded
    major: less 643 -> 661 upgraded
    gone: htop 3.3 -> - removed
    gone: kept 1 -> 1 changed
    security: firefox 126.0 -> 127.0 upgraded
    security: linux 6.9 -> 6.8 downgraded
    security: openssl 3.0.13 -> 3.0.13 rebuilt (Own)
    security: sudo - -> 1 added
    security: xz 5.4 -> - removed
    openssl CVE-2024-2.patch true
    vim CVE-2024-1.patch false
    ");
    assert_eq!(impact.vulnerabilities, None);
}

#[test]
fn of_what_was_not_built_reboots_are_not_known() {
    let package = |name: &str, salt: &str, holes: &[&str]| {
        let (path, _) = path(&format!("{name}#{salt}"));
        let package = Package::new(name, None, None, StorePath::parse(&path).unwrap());
        package.with_vulnerabilities(holes.iter().map(|hole| (*hole).to_owned()).collect())
    };
    let before = [
        package("htop-3.3", "1", &[]),
        package("olm-3.2", "1", &["weak", "unmaintained"]),
        package("openssl-1.1", "1", &["end of life"]),
        package("new-1", "1", &[]),
    ];
    let after = [
        package("olm-3.3", "2", &["weak"]),
        package("openssl-3.0", "2", &[]),
        package("new-2", "2", &["CVE-1"]),
    ];
    let diff = diff_selected(&before, &after);
    let roots = ["nixos-system-a-24.05.1#1", "nixos-system-a-24.05.2#2"];
    let roots = roots.map(|root| StorePath::parse(&path(root).0).unwrap());
    let of = |is_nixos| {
        impact_of_selected(
            roots.each_ref(),
            is_nixos,
            [&before, &after],
            &diff,
            &Sensitive::default(),
        )
    };
    let impact = of(true);
    assert_eq!(impact.reboot.needed, None);
    assert_eq!(of(false).reboot, Reboot::never());
    assert_eq!(impact.release, None);
    let mut text = [
        steps("major", &impact.major),
        steps("gone", &impact.gone),
        steps("security", &impact.security),
    ]
    .concat();
    for change in impact.vulnerabilities.unwrap() {
        writeln!(
            text,
            "{} {} {}",
            change.package, change.vulnerability, change.gained
        )
        .unwrap();
    }
    insta::assert_snapshot!(text, @"
    major: new 1 -> 2 upgraded
    major: openssl 1.1 -> 3.0 upgraded
    gone: htop 3.3 -> - removed
    security: openssl 1.1 -> 3.0 upgraded
    new CVE-1 true
    olm unmaintained false
    openssl end of life false
    ");
}

/// Systems of some parts, units and packages, each at one of two paths or missing.
fn systems() -> impl Strategy<Value = [Vec<usize>; 2]> {
    let side = || proptest::collection::vec(0..3_usize, PARTS.len());
    [side(), side()]
}

const PARTS: &[&str] = &[
    "linux-6.6.3",
    "kernel-modules",
    "initrd-linux-6.6.3",
    "firmware",
    "systemd-255",
    "glibc-2.39",
    "dbus-1.14",
    "zfs-kernel-2.2-6.6.3",
    "unit-a.service",
    "unit-b-.service",
    "openssl-3",
    "microcode-amd-1",
];

fn made(side: &[usize], salt: char) -> String {
    let word = |(name, at): (&&str, &usize)| (*at > 0).then(|| format!("{name}#{at}"));
    let words: Vec<String> = PARTS.iter().zip(side).filter_map(word).collect();
    let unit = words.iter().filter(|word| word.starts_with("unit-"));
    let units: Vec<String> = unit
        .map(|word| format!("{word}: openssl-3#{}", word.chars().last().unwrap()))
        .collect();
    format!(
        "nixos-system-a-24.05.{salt}#{salt}: {}\n{}",
        words.join(" "),
        units.join("\n")
    )
}

proptest! {
    #[test]
    fn the_other_way_round_it_is_the_mirror_image([before, after] in systems()) {
        let [before, after] = [made(&before, '8'), made(&after, '9')];
        let (there, back) = (of([&before, &after]), of([&after, &before]));
        let mirrored = |change| match change {
            Change::Added => Change::Removed,
            Change::Removed => Change::Added,
            Change::Upgraded => Change::Downgraded,
            Change::Downgraded => Change::Upgraded,
            other => other,
        };
        let units = |impact: &Impact, mirror: bool| -> Vec<UnitChange> {
            let units = impact.units_changed.iter().cloned();
            units.map(|unit| UnitChange { change: if mirror { mirrored(unit.change) } else { unit.change }, ..unit }).collect()
        };
        prop_assert_eq!(units(&there, true), units(&back, false));
        let mirror = |step: Step| Step {
            before: step.after,
            after: step.before,
            change: mirrored(step.change),
            ..step
        };
        let reasons: BTreeSet<_> = there.reboot.reasons.into_iter().map(|reason| (reason.what, mirror(reason.step))).collect();
        let others: BTreeSet<_> = back.reboot.reasons.into_iter().map(|reason| (reason.what, reason.step)).collect();
        prop_assert_eq!(reasons, others);
        prop_assert_eq!(there.reboot.needed, back.reboot.needed);
        prop_assert_eq!(there.security.len(), back.security.len());
    }

    #[test]
    fn what_stays_has_no_impact([before, _] in systems()) {
        let system = made(&before, '8');
        let (diff, found) = Systems::of([&system, &system]).impact([Some("a b"), Some("a b")], true);
        prop_assert!(diff.is_empty());
        prop_assert_eq!(found, Impact { reboot: Reboot::never(), ..Impact::default() });
    }

    #[test]
    fn what_is_arranged_stays([before, after] in systems()) {
        let found = of([&made(&before, '8'), &made(&after, '9')]);
        let mut arranged = found.clone();
        arranged.arrange();
        prop_assert_eq!(arranged, found);
    }
}
