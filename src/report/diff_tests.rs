//! What the comparison of two closures looks like, of values made by hand.

use proptest::prelude::*;

use crate::closure::{
    Cause, Change, ClosureDiff, Entry, Family, FamilyKind, Outputs, OwnChange, Selected, StorePath,
    VersionGroup,
};

use super::rows::Lists;
use super::sections::{sections, write_narrow};
use super::tests::outside_code;
use super::{
    Comparison, DiffSort, DiffView, End, TEXT_WIDTH, diff_to_markdown, diff_to_text,
    write_diff_json,
};

const MIB: i64 = 1 << 20;

const DEFAULT: DiffView = DiffView {
    selected: false,
    sort: DiffSort::Name,
    all: false,
};
const ALL: DiffView = DiffView {
    all: true,
    ..DEFAULT
};
const SELECTED: DiffView = DiffView {
    selected: true,
    ..DEFAULT
};

fn path(name: &str) -> StorePath {
    StorePath::parse(&format!("/nix/store/{}-{name}", "0".repeat(32))).unwrap()
}

/// The versions of a text such as `1.0 2.0*2`, each with an output `out`; `-` is a package without a version.
fn groups(text: &str) -> Vec<VersionGroup> {
    let group = |word: &str| {
        let (version, count) = word.split_once('*').unwrap_or((word, "1"));
        VersionGroup {
            version: (version != "-").then(|| version.to_owned()),
            outputs: Outputs::default(),
            paths: vec![path("x"); count.parse().unwrap()].into(),
        }
    };
    text.split_whitespace().map(group).collect()
}

fn entry(change: Change, name: &str, before: &str, after: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        before: groups(before),
        after: groups(after),
        change,
        selected: Selected::No,
        size_delta: Some(0),
        cause: None,
        own: None,
        via: None,
    }
}

fn up(name: &str, before: &str, after: &str) -> Entry {
    entry(Change::Upgraded, name, before, after)
}

fn added(name: &str, version: &str) -> Entry {
    entry(Change::Added, name, "", version)
}

fn removed(name: &str, version: &str) -> Entry {
    entry(Change::Removed, name, version, "")
}

fn rebuilt(name: &str, cause: Cause) -> Entry {
    Entry {
        cause: Some(cause),
        ..entry(Change::Rebuilt, name, "1.0", "1.0")
    }
}

fn own(name: &str, own: OwnChange) -> Entry {
    Entry {
        own: Some(Box::new(own)),
        ..rebuilt(name, Cause::Own)
    }
}

/// What a test says of an entry beyond its versions.
trait Told {
    fn chosen(self, selected: Selected) -> Self;
    fn of_size(self, size: i64) -> Self;
    fn through(self, via: &str) -> Self;
}

impl Told for Entry {
    fn chosen(self, selected: Selected) -> Self {
        Self { selected, ..self }
    }

    fn of_size(self, size: i64) -> Self {
        Self {
            size_delta: Some(size),
            ..self
        }
    }

    fn through(self, via: &str) -> Self {
        Self {
            via: Some(texts(via)),
            ..self
        }
    }
}

fn texts(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

fn family(kind: FamilyKind, name: &str, versions: [&str; 2], packages: Vec<String>) -> Family {
    Family {
        kind,
        name: name.to_owned(),
        before: versions[0].to_owned(),
        after: versions[1].to_owned(),
        change: Change::Upgraded,
        selected: Selected::No,
        packages,
    }
}

fn comparison(diff: ClosureDiff) -> Comparison {
    let end = |label: &str, paths| End {
        path: path(&format!("nixos-system-web-{label}")),
        paths,
        nar_size: 0,
    };
    Comparison {
        impact: None,
        before: end("25.05", 1200),
        after: end("25.11", 1203),
        diff,
    }
}

fn text(diff: &ClosureDiff, view: DiffView) -> String {
    let text = diff_to_text(&comparison(diff.clone()), view, TEXT_WIDTH);
    anstream::adapter::strip_str(&text).to_string()
}

/// The text without the lines that tell which paths are compared.
fn below(diff: &ClosureDiff, view: DiffView) -> String {
    let text = text(diff, view);
    text.lines().skip(2).collect::<Vec<_>>().join("\n")
}

/// One of each.
fn mixed() -> ClosureDiff {
    let own_change = OwnChange {
        sources: texts("source"),
        patches_added: texts("a.patch b.patch c.patch d.patch CVE-2026-1234.patch"),
        patches_removed: texts("CVE-2025-1.patch"),
        flags_added: texts("--with-x"),
        flags_removed: texts("--without-x"),
        dependencies_added: texts("brotli"),
        dependencies_removed: texts("zlib"),
        attributes: texts("postInstall"),
    };
    ClosureDiff {
        changed: vec![
            entry(Change::Changed, "bash", "5.2 5.3", "5.3*2").chosen(Selected::Yes),
            entry(Change::Changed, "curl", "8.0", "8.0"),
            entry(Change::Downgraded, "dav1d", "1.5", "1.4.3").of_size(-3 * MIB / 2),
            up("firefox", "140.0", "141.0")
                .chosen(Selected::Yes)
                .of_size(12 * MIB),
            entry(Change::Changed, "script", "-", "1"),
        ],
        added: vec![
            added("gtk4", "4.20")
                .of_size(40 * MIB)
                .through("nixos-system-web system-path gimp"),
            added("llvm", "20.1")
                .of_size(400 * MIB)
                .through("nixos-system-web etc mesa libgallium spirv"),
            added("tiny", "-"),
        ],
        removed: vec![removed("gtk3", "3.24 3.22*3").chosen(Selected::NoLonger)],
        selection: vec![entry(Change::Changed, "git", "2.50", "2.50").chosen(Selected::Newly)],
        rebuilt: vec![
            own("openssl", own_change).chosen(Selected::Yes),
            own(
                "perl",
                OwnChange {
                    attributes: texts("postInstall"),
                    ..OwnChange::default()
                },
            ),
            rebuilt("hello", Cause::Own),
            rebuilt("glibc", Cause::Inputs).of_size(2 * MIB),
            rebuilt("nginx", Cause::Inputs).chosen(Selected::Yes),
            rebuilt("zlib", Cause::Unknown),
        ],
        configuration: vec![
            entry(Change::Changed, "etc", "-", "-"),
            entry(Change::Changed, "etc-hosts", "-", "-"),
            entry(Change::Changed, "hm_.bashrc", "-", "-"),
            entry(Change::Changed, "nixos-system-web", "25.05", "25.11"),
            entry(Change::Removed, "unit-cups.service", "-", ""),
            entry(Change::Changed, "unit-nginx.service", "-", "-"),
            entry(Change::Added, "unit-script-nginx-start", "", "-"),
            entry(Change::Added, "unit-sshd.socket", "", "-"),
        ],
        families: Vec::new(),
        paths_added: Some(30),
        paths_removed: Some(27),
        size_delta: Some(450 * MIB),
    }
}

#[test]
fn every_section_has_its_place() {
    let mut diff = mixed();
    // A version in three outputs is one build of it; an output that comes or goes is no other version.
    let curl = &mut diff.changed[1];
    for group in curl.before.iter_mut().chain(&mut curl.after) {
        group.outputs = texts("dev man out").into();
        group.paths = vec![path("x"); 3].into();
    }
    let after = &mut diff.changed[1].after[0];
    (after.outputs, after.paths) = (texts("lib out").into(), vec![path("x"); 2].into());
    insta::assert_snapshot!(text(&diff, DEFAULT), @"
    <<< /nix/store/00000000000000000000000000000000-nixos-system-web-25.05
    >>> /nix/store/00000000000000000000000000000000-nixos-system-web-25.11
    Version changes:
    [C*]  #1  bash     5.2, 5.3 -> 5.3 x2
    [C.]  #2  curl     8.0, outputs + lib - dev - man
    [D.]  #3  dav1d    1.5 -> 1.4.3, -1.5MiB
    [U*]  #4  firefox  140.0 -> 141.0, +12.0MiB
    [C.]  #5  script   <none> -> 1
    Selection state changes:
    [C+]  #1  git  2.50
    Added packages:
    [A.]  #1  gtk4  4.20, +40.0MiB
          through nixos-system-web, system-path, gimp
    [A.]  #2  llvm  20.1, +400.0MiB
          through nixos-system-web, etc, …, spirv
    [A.]  #3  tiny  <none>
    Removed packages:
    [R-]  #1  gtk3  3.24, 3.22 x3
    Rebuilt, own change:
    [C*]  #1  openssl  1.0
          sources source
          patches + CVE-2026-1234.patch, - CVE-2025-1.patch, + a.patch, + b.patch, + c.patch, and 1 more
          flags + --with-x, - --without-x
          dependencies + brotli, - zlib
          attributes postInstall
    [C.]  #2  hello    1.0
    [C.]  #3  perl     1.0: attributes postInstall
    Rebuilt only because of what they are built from: 2 packages (nginx, glibc)
    Rebuilt, cause not known: 1 package (zlib)
    Configuration: 3 units (- cups.service, ~ nginx.service, + sshd.socket),
        1 script of a unit (+ nginx-start), 1 file of etc (~ hosts), 1 home-manager file (~ .bashrc)
    Closure size: 1200 -> 1203 (30 paths added, 27 paths removed, delta +3, disk usage +450.0MiB).
    ");
    insta::assert_snapshot!(below(&diff, ALL), @"
    Version changes:
    [C*]  #1  bash     5.2, 5.3 -> 5.3 x2
    [C.]  #2  curl     8.0, outputs + lib - dev - man
    [D.]  #3  dav1d    1.5 -> 1.4.3, -1.5MiB
    [U*]  #4  firefox  140.0 -> 141.0, +12.0MiB
    [C.]  #5  script   <none> -> 1
    Selection state changes:
    [C+]  #1  git  2.50
    Added packages:
    [A.]  #1  gtk4  4.20, +40.0MiB
          through nixos-system-web, system-path, gimp
    [A.]  #2  llvm  20.1, +400.0MiB
          through nixos-system-web, etc, mesa, libgallium, spirv
    [A.]  #3  tiny  <none>
    Removed packages:
    [R-]  #1  gtk3  3.24, 3.22 x3
    Rebuilt, own change:
    [C*]  #1  openssl  1.0
          sources source
          patches + CVE-2026-1234.patch, - CVE-2025-1.patch, + a.patch, + b.patch, + c.patch, + d.patch
          flags + --with-x, - --without-x
          dependencies + brotli, - zlib
          attributes postInstall
    [C.]  #2  hello    1.0
    [C.]  #3  perl     1.0: attributes postInstall
    Rebuilt only because of what they are built from:
    [C.]  #1  glibc  1.0, +2.0MiB
    [C*]  #2  nginx  1.0
    Rebuilt, cause not known:
    [C.]  #1  zlib  1.0
    Configuration:
    [C.]  #1  etc
    [C.]  #2  etc-hosts
    [C.]  #3  hm_.bashrc
    [C.]  #4  nixos-system-web  25.05 -> 25.11
    [R.]  #5  unit-cups.service
    [C.]  #6  unit-nginx.service
    [A.]  #7  unit-script-nginx-start
    [A.]  #8  unit-sshd.socket
    Closure size: 1200 -> 1203 (30 paths added, 27 paths removed, delta +3, disk usage +450.0MiB).
    ");
    insta::assert_snapshot!(below(&diff, SELECTED), @"
    Version changes:
    [C*]  #1  bash     5.2, 5.3 -> 5.3 x2
    [U*]  #2  firefox  140.0 -> 141.0, +12.0MiB
    Selection state changes:
    [C+]  #1  git  2.50
    Removed packages:
    [R-]  #1  gtk3  3.24, 3.22 x3
    Rebuilt, own change:
    [C*]  #1  openssl  1.0
          sources source
          patches + CVE-2026-1234.patch, - CVE-2025-1.patch, + a.patch, + b.patch, + c.patch, and 1 more
          flags + --with-x, - --without-x
          dependencies + brotli, - zlib
          attributes postInstall
    Rebuilt only because of what they are built from: 1 package (nginx)
    Not selected: 3 version changes, 3 added packages, 4 rebuilt packages, 8 paths of the configuration.
    Closure size: 1200 -> 1203 (30 paths added, 27 paths removed, delta +3, disk usage +450.0MiB).
    ");
}

#[test]
fn colours_tell_what_becomes_of_a_package() {
    let diff = ClosureDiff {
        changed: vec![
            up("a", "1", "2").chosen(Selected::Yes),
            entry(Change::Downgraded, "b", "2", "1"),
        ],
        removed: vec![removed("c", "1")],
        ..ClosureDiff::default()
    };
    let shown = diff_to_text(&comparison(diff), DEFAULT, TEXT_WIDTH).replace('\u{1b}', "^");
    insta::assert_snapshot!(shown, @"
    <<< /nix/store/00000000000000000000000000000000-nixos-system-web-25.05
    >>> /nix/store/00000000000000000000000000000000-nixos-system-web-25.11
    ^[1mVersion changes:^[0m
    ^[32m[U*]^[0m  #1  ^[1ma^[0m  1 -> 2
    ^[31m[D.]^[0m  #2  b  2 -> 1
    ^[1mRemoved packages:^[0m
    ^[31m[R.]^[0m  #1  c  1
    ");
}

#[test]
fn what_is_not_known_or_does_not_change_is_not_told() {
    let nothing = ClosureDiff {
        paths_added: Some(0),
        paths_removed: Some(0),
        size_delta: Some(0),
        ..ClosureDiff::default()
    };
    insta::assert_snapshot!(text(&nothing, DEFAULT), @"
    <<< /nix/store/00000000000000000000000000000000-nixos-system-web-25.05
    >>> /nix/store/00000000000000000000000000000000-nixos-system-web-25.11
    No version or selection state changes.
    Closure size: 1200 -> 1203 (0 paths added, 0 paths removed, delta +3, disk usage +0B).
    ");
    insta::assert_snapshot!(diff_to_markdown(&comparison(nothing), DEFAULT), @"
    ## `nixos-system-web-25.05` → `nixos-system-web-25.11`

    Nothing changes.

    ```text
    <<< /nix/store/00000000000000000000000000000000-nixos-system-web-25.05
    >>> /nix/store/00000000000000000000000000000000-nixos-system-web-25.11
    ```

    No version or selection state changes.

    Closure size: 1200 -> 1203 (0 paths added, 0 paths removed, delta +3, disk usage +0B).
    ");
    // Only the root moved, which goes without saying; nothing was built, so that there are no numbers.
    let mut unbuilt = ClosureDiff {
        changed: vec![up("git", "2.49", "2.50")],
        rebuilt: vec![rebuilt("curl", Cause::Unknown)],
        configuration: vec![entry(Change::Changed, "nixos-system-web", "1", "2")],
        ..ClosureDiff::default()
    };
    for entry in unbuilt.changed.iter_mut().chain(&mut unbuilt.rebuilt) {
        entry.size_delta = None;
    }
    let by_size = DiffView {
        sort: DiffSort::Size,
        ..DEFAULT
    };
    insta::assert_snapshot!(below(&unbuilt, by_size), @"
    Version changes:
    [U.]  #1  git  2.49 -> 2.50
    Rebuilt, cause not known: 1 package (curl)
    ");
}

/// A release update: KDE in one version, Python under other names, two packages that only look like a family.
fn release() -> ClosureDiff {
    let kde = ["ark", "dolphin", "kate", "kwin", "okular", "plasma-desktop"];
    let python = ["numpy", "requests", "yaml", "zipp"];
    let of_kde = |name: &&str| up(name, "6.4.1", "6.4.2").of_size(MIB / 2);
    let mut diff = ClosureDiff {
        changed: kde.iter().map(of_kde).collect(),
        ..ClosureDiff::default()
    };
    diff.changed.extend([
        up("linux", "6.12.1", "6.18.1"),
        up("systemd", "258.1", "258.2"),
        up("systemd-minimal", "258.1", "258.2").chosen(Selected::Yes),
        up("systemd-minimal-libs", "258.1", "258.2"),
        up("twin-a", "1", "2"),
        up("twin-b", "1", "2"),
    ]);
    diff.removed = python
        .map(|name| removed(&format!("python3.12-{name}"), "1.0"))
        .to_vec();
    diff.added = python
        .map(|name| added(&format!("python3.13-{name}"), "1.1"))
        .to_vec();
    diff.added.push(added("python3.13-new", "2"));
    let words = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    diff.families = vec![
        family(FamilyKind::Versions, "", ["6.4.1", "6.4.2"], words(&kde)),
        family(
            FamilyKind::Names,
            "python",
            ["python3.12", "python3.13"],
            words(&python),
        ),
        family(
            FamilyKind::Versions,
            "systemd",
            ["258.1", "258.2"],
            texts("systemd systemd-minimal systemd-minimal-libs"),
        ),
        family(
            FamilyKind::Versions,
            "twin",
            ["1", "2"],
            texts("twin-a twin-b twin-c"),
        ),
    ];
    diff.families[2].selected = Selected::Yes;
    diff
}

#[test]
fn a_family_has_one_row_and_hides_nobody_who_was_chosen() {
    let mut diff = release();
    insta::assert_snapshot!(below(&diff, DEFAULT), @"
    Version changes:
    [U.]  #1  ark, dolphin and 4 more  6.4.1 -> 6.4.2, +3.0MiB
    [U.]  #2  linux                    6.12.1 -> 6.18.1
    [U.]  #3  python3.12 -> python3.13: 4 packages
    [U*]  #4  systemd (3 packages)     258.1 -> 258.2
          selected: systemd-minimal
    [U.]  #5  twin-a                   1 -> 2
    [U.]  #6  twin-b                   1 -> 2
    Added packages:
    [A.]  #1  python3.13-new  2
    ");
    for at in [1, 3, 4] {
        diff.changed[at].selected = Selected::Yes;
    }
    diff.removed[1].selected = Selected::NoLonger;
    diff.added[1].selected = Selected::Newly;
    diff.families[0].selected = Selected::Yes;
    diff.families[1].selected = Selected::Yes;
    insta::assert_snapshot!(below(&diff, DEFAULT), @"
    Version changes:
    [U*]  #1  dolphin, kwin and 4 more  6.4.1 -> 6.4.2, +3.0MiB
          selected: dolphin, kwin, okular
    [U.]  #2  linux                     6.12.1 -> 6.18.1
    [U*]  #3  python3.12 -> python3.13: 4 packages
          selected: requests
    [U*]  #4  systemd (3 packages)      258.1 -> 258.2
          selected: systemd-minimal
    [U.]  #5  twin-a                    1 -> 2
    [U.]  #6  twin-b                    1 -> 2
    Added packages:
    [A.]  #1  python3.13-new  2
    ");
    insta::assert_snapshot!(below(&diff, SELECTED), @"
    Version changes:
    [U*]  #1  dolphin, kwin, okular  6.4.1 -> 6.4.2, +1.5MiB
    [U*]  #2  systemd-minimal        258.1 -> 258.2
    Added packages:
    [A+]  #1  python3.13-requests  1.1
    Removed packages:
    [R-]  #1  python3.12-requests  1.0
    Not selected: 8 version changes, 4 added packages, 3 removed packages.
    ");
    let all = below(&diff, ALL);
    for entry in diff.entries() {
        assert!(all.contains(&format!("  {}  ", entry.name)), "{all}");
    }
    // What the family's row would say of it is not so.
    let mut odd = release();
    odd.changed[0].change = Change::Downgraded;
    odd.changed[1].after = groups("6.4.3");
    odd.changed[2].before = groups("6.4.0 6.4.1");
    let text = below(&odd, DEFAULT);
    let rows = [
        "[D.]  #1  ark",
        "#2  dolphin",
        "#3  kate",
        "#4  kwin, okular, plasma-desktop  6.4.1 -> 6.4.2",
    ];
    for row in rows {
        assert!(text.contains(row), "{text}");
    }
    // Whether the hyphen is the start's, the rest's or nobody's.
    for (before, after, hyphen) in [
        ("python3.12-", "python3.13-", ""),
        ("python3.12", "python3.13", "-"),
    ] {
        let mut diff = release();
        let python = &mut diff.families[1];
        (python.before, python.after) = (before.to_owned(), after.to_owned());
        for name in &mut python.packages {
            name.insert_str(0, hyphen);
        }
        let text = below(&diff, DEFAULT);
        assert!(
            !text.contains("-numpy") && text.contains("4 packages"),
            "{text}"
        );
    }
}

#[test]
fn a_family_that_many_hosts_have_is_one_row_too() {
    let mut report = super::tests::report(44, 0, "n", 1);
    let changed = report.hosts.iter_mut().filter(|host| host.diff.is_some());
    for (i, host) in changed.enumerate() {
        let mut diff = release();
        // The first host has less of KDE: what it says of the family is not what the others say.
        diff.changed.drain(..usize::from(i == 0));
        host.diff = Some(diff);
    }
    let text = super::to_plain_text(&report);
    let (_, text) = text.split_once("\nOn ").unwrap();
    let (text, _) = text.split_once("\n\n== ").unwrap();
    insta::assert_snapshot!(text, @"
    all 11 hosts that were compared:
    [U.]  dolphin, kate and 3 more  6.4.1 -> 6.4.2
    [U.]  linux                     6.12.1 -> 6.18.1
    [U.]  python3.12 -> python3.13: 4 packages
    [U*]  systemd (3 packages)      258.1 -> 258.2
    [U.]  twin-a                    1 -> 2
    [U.]  twin-b                    1 -> 2
    [A.]  python3.13-new            2

    On 10 of the 11 hosts that were compared (n5, n9, n13, n17, n21, n25, n29, n33, n37, n41):
    [U.]  ark  6.4.1 -> 6.4.2
    ");
}

#[test]
fn rows_stand_in_the_order_asked_for() {
    let mut diff = release();
    diff.changed = vec![
        up("Zed", "1.0", "1.0.1").of_size(-9 * MIB),
        up("a", "1.0-2", "1.0.2").of_size(10),
        up("b", "1.0", "1.1").of_size(9 * MIB),
        up("c", "1.9 2.0", "2.0 3.0").of_size(-20 * MIB),
        Entry {
            size_delta: None,
            ..up("d", "1.0.0.1", "1.0.0.2")
        },
    ];
    diff.changed.extend(release().changed.drain(..6));
    diff.added.clear();
    diff.removed.clear();
    let names = |sort| {
        let text = below(&diff, DiffView { sort, ..DEFAULT });
        text.lines()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(names(DiffSort::Name), @"
    [U.]  #1  Zed                      1.0 -> 1.0.1, -9.0MiB
    [U.]  #2  a                        1.0-2 -> 1.0.2
    [U.]  #3  ark, dolphin and 4 more  6.4.1 -> 6.4.2, +3.0MiB
    [U.]  #4  b                        1.0 -> 1.1, +9.0MiB
    [U.]  #5  c                        1.9, 2.0 -> 2.0, 3.0, -20.0MiB
    [U.]  #6  d                        1.0.0.1 -> 1.0.0.2
    ");
    insta::assert_snapshot!(names(DiffSort::Semver), @"
    [U.]  #1  c                        1.9, 2.0 -> 2.0, 3.0, -20.0MiB
    [U.]  #2  b                        1.0 -> 1.1, +9.0MiB
    [U.]  #3  Zed                      1.0 -> 1.0.1, -9.0MiB
    [U.]  #4  ark, dolphin and 4 more  6.4.1 -> 6.4.2, +3.0MiB
    [U.]  #5  a                        1.0-2 -> 1.0.2
    [U.]  #6  d                        1.0.0.1 -> 1.0.0.2
    ");
    insta::assert_snapshot!(names(DiffSort::Size), @"
    [U.]  #1  c                        1.9, 2.0 -> 2.0, 3.0, -20.0MiB
    [U.]  #2  Zed                      1.0 -> 1.0.1, -9.0MiB
    [U.]  #3  b                        1.0 -> 1.1, +9.0MiB
    [U.]  #4  ark, dolphin and 4 more  6.4.1 -> 6.4.2, +3.0MiB
    [U.]  #5  a                        1.0-2 -> 1.0.2, +10B
    [U.]  #6  d                        1.0.0.1 -> 1.0.0.2
    ");
}

/// What changed of a derivation itself, as `key words` each: `patches+ a.patch`.
fn changed_by_itself(parts: &[&str]) -> OwnChange {
    let mut own = OwnChange::default();
    for part in parts {
        let (key, words) = part.split_once(' ').unwrap();
        let list = match key {
            "sources" => &mut own.sources,
            "patches+" => &mut own.patches_added,
            "patches-" => &mut own.patches_removed,
            "flags+" => &mut own.flags_added,
            "dependencies+" => &mut own.dependencies_added,
            "attributes" => &mut own.attributes,
            _ => panic!("{key}"),
        };
        list.extend(texts(words));
    }
    own
}

#[test]
fn what_mends_a_hole_comes_first_and_what_all_share_is_one_row() {
    let mut diff = ClosureDiff::default();
    for (name, parts) in [
        ("acl", &["attributes strictDeps"][..]),
        ("attr", &["attributes strictDeps"]),
        ("bash", &["attributes outputs"]),
        ("cups", &["attributes strictDeps"]),
        ("curl", &["dependencies+ brotli"]),
        ("dbus", &["attributes strictDeps", "flags+ --with-x"]),
        ("expat", &["sources source"]),
        ("freetype", &["sources source"]),
        ("giflib", &["sources source"]),
        ("git", &["sources source"]),
        ("vim", &["attributes strictDeps"]),
        (
            "zlib",
            &["attributes strictDeps", "patches+ cve-2026-1.patch"],
        ),
    ] {
        diff.rebuilt.push(own(name, changed_by_itself(parts)));
    }
    diff.rebuilt[10].selected = Selected::Yes;
    insta::assert_snapshot!(below(&diff, DEFAULT), @"
    No version or selection state changes.
    Rebuilt, own change:
    [C.]  #1  zlib                 1.0: patches + cve-2026-1.patch; attributes strictDeps
    [C.]  #2  dbus                 1.0: flags + --with-x; attributes strictDeps
    [C.]  #3  expat                1.0: sources source
    [C.]  #4  freetype             1.0: sources source
    [C.]  #5  giflib               1.0: sources source
    [C.]  #6  git                  1.0: sources source
    [C.]  #7  curl                 1.0: dependencies + brotli
    [C.]  #8  bash                 1.0: attributes outputs
    [C*]  #9  vim, acl and 2 more  attributes strictDeps
    ");
    let all = below(&diff, ALL);
    assert!(
        all.contains("  vim       1.0: attributes strictDeps"),
        "{all}"
    );
    // In the order of sizes, that of the row counts.
    diff.rebuilt[0].size_delta = Some(2 * MIB);
    let by_size = DiffView {
        sort: DiffSort::Size,
        ..DEFAULT
    };
    let text = below(&diff, by_size);
    let row = text.lines().nth(2);
    assert_eq!(
        row,
        Some("[C*]  #1  vim, acl and 2 more  attributes strictDeps, +2.0MiB")
    );
}

#[test]
fn an_upgrade_says_which_holes_it_mends() {
    let moved = |name: &str, parts: &[&str]| Entry {
        own: Some(Box::new(changed_by_itself(parts))),
        ..up(name, "1.0", "1.1")
    };
    let kde: Vec<Entry> = ["ark", "dolphin", "kate", "kwin"]
        .map(|name| moved(name, &["sources source"]))
        .into();
    let mut diff = ClosureDiff {
        changed: kde,
        families: vec![family(
            FamilyKind::Versions,
            "",
            ["1.0", "1.1"],
            texts("ark dolphin kate kwin"),
        )],
        ..ClosureDiff::default()
    };
    diff.changed[1].own = Some(Box::new(changed_by_itself(&["patches+ CVE-2026-2.patch"])));
    diff.changed.push(moved(
        "perl",
        &[
            "sources perl-1.1.tar.gz",
            "patches+ CVE-2026-1.patch fix.patch",
            "patches- CVE-2025-1.patch",
            "attributes strictDeps",
        ],
    ));
    insta::assert_snapshot!(below(&diff, DEFAULT), @"
    Version changes:
    [U.]  #1  ark, kate, kwin  1.0 -> 1.1
    [U.]  #2  dolphin          1.0 -> 1.1
          patches + CVE-2026-2.patch
    [U.]  #3  perl             1.0 -> 1.1
          patches + CVE-2026-1.patch, - CVE-2025-1.patch
    ");
    insta::assert_snapshot!(below(&diff, ALL), @"
    Version changes:
    [U.]  #1  ark      1.0 -> 1.1
    [U.]  #2  dolphin  1.0 -> 1.1
          patches + CVE-2026-2.patch
    [U.]  #3  kate     1.0 -> 1.1
    [U.]  #4  kwin     1.0 -> 1.1
    [U.]  #5  perl     1.0 -> 1.1
          patches + CVE-2026-1.patch, - CVE-2025-1.patch, + fix.patch
    ");
}

#[test]
fn what_is_made_of_a_kernel_stands_with_it() {
    let mut diff = ClosureDiff {
        changed: vec![
            up("initrd-linux", "6.6.32", "6.6.35").of_size(MIB),
            up("initrd-linux-zen", "6.9", "6.10"),
            // An initrd of modules is nobody's.
            up("initrd-linux-modules-shrunk", "6.6.32", "6.6.35"),
            up("linux", "6.6.32", "6.6.35").of_size(MIB),
            up("linux-firmware", "6.6.32", "6.6.35"),
            up("linux-modules-shrunk", "6.6.32", "6.6.35"),
            up("linux-zen", "6.9", "6.9.1"),
            up("linux-zen-modules", "6.9", "6.9.1"),
            up("node-modules", "1", "2"),
        ],
        ..ClosureDiff::default()
    };
    insta::assert_snapshot!(below(&diff, DEFAULT), @"
    Version changes:
    [U.]  #1  initrd-linux-modules-shrunk  6.6.32 -> 6.6.35
    [U.]  #2  initrd-linux-zen             6.9 -> 6.10
    [U.]  #3  linux                        6.6.32 -> 6.6.35 (with initrd-linux, linux-modules-shrunk), +2.0MiB
    [U.]  #4  linux-firmware               6.6.32 -> 6.6.35
    [U.]  #5  linux-zen                    6.9 -> 6.9.1 (with linux-zen-modules)
    [U.]  #6  node-modules                 1 -> 2
    ");
    let rows = |diff: &ClosureDiff, view| below(diff, view).lines().count() - 1;
    assert_eq!(rows(&diff, ALL), diff.changed.len());
    // No family takes the kernel from what is made of it.
    let names = ["linux", "linux-firmware", "linux-modules-shrunk"];
    let names = names.map(str::to_owned).to_vec();
    diff.families = vec![family(
        FamilyKind::Versions,
        "linux",
        ["6.6.32", "6.6.35"],
        names,
    )];
    let kernel =
        "linux                        6.6.32 -> 6.6.35 (with initrd-linux, linux-modules-shrunk)";
    assert!(
        below(&diff, DEFAULT).contains(kernel),
        "{}",
        below(&diff, DEFAULT)
    );
    // On a narrow page it stands below.
    let mut narrow = String::new();
    let long = up("a-name-of-more-than-twenty-letters", "1", "2");
    diff.changed.insert(0, long);
    write_narrow(&mut narrow, sections(&Lists::of(&diff), DEFAULT));
    insta::assert_snapshot!(anstream::adapter::strip_str(&narrow).to_string(), @"
    Version changes:
    [U.] a-name-of-more-than-twenty-letters 1 -> 2
    [U.] initrd-linux-modules-shrunk 6.6.32 -> 6.6.35
    [U.] initrd-linux-zen 6.9 -> 6.10
    [U.] linux            6.6.32 -> 6.6.35, +2.0MiB
      with initrd-linux, linux-modules-shrunk
    [U.] linux-firmware   6.6.32 -> 6.6.35
    [U.] linux-zen        6.9 -> 6.9.1
      with linux-zen-modules
    [U.] node-modules     1 -> 2
    ");
    diff.changed.remove(0);
    diff.families.clear();
    // Without the kernel each has its row.
    diff.changed.remove(3);
    assert_eq!(rows(&diff, DEFAULT), diff.changed.len() - 1);
}

#[test]
fn configuration_is_named_where_it_is_little() {
    let of = |names: &str| ClosureDiff {
        configuration: texts(names)
            .iter()
            .map(|name| entry(Change::Changed, name, "-", "-"))
            .collect(),
        ..ClosureDiff::default()
    };
    // What changes with anything is no news.
    let assembled = "X-Restart-Triggers-nginx activate etc home-manager-path nixos-system-web nixos-version system-path \
        system-units user-environment user-units";
    assert_eq!(
        below(&of(assembled), DEFAULT),
        "No version or selection state changes."
    );
    assert_eq!(below(&of(assembled), ALL).lines().count(), 12);
    let little = "boot.json set-environment";
    insta::assert_snapshot!(below(&of(little), DEFAULT), @"
    No version or selection state changes.
    Configuration: 2 others (~ boot.json, ~ set-environment)
    ");
    let much = "a b c d e f etc etc-a etc-b etc-c etc-d etc-e etc-f fc-cache fonts.conf sshd.pam 10.rules hm_a unit-a.service \
        unit-script-a-start";
    insta::assert_snapshot!(below(&of(much), DEFAULT), @"
    No version or selection state changes.
    Configuration: 1 unit (~ a.service), 1 script of a unit (~ a-start), 6 files of etc (~ a, ~ b, …),
        1 home-manager file (~ a), 4 configuration files (~ fc-cache, ~ fonts.conf, ~ sshd.pam,
        ~ 10.rules), 6 others (~ a, ~ b, …)
    ");
    let markdown = diff_to_markdown(
        &comparison(of("unit-a.service boot.json etc-hosts")),
        DEFAULT,
    );
    let (_, markdown) = markdown.split_once("\n### ").unwrap();
    insta::assert_snapshot!(markdown, @"
    Configuration: 1 unit, 1 file of etc, 1 other

    ```text
    ~ a.service
    ~ hosts
    ~ boot.json
    ```
    ");
}

#[test]
fn a_mass_rebuild_is_a_few_lines() {
    let many = |change: &dyn Fn(&str) -> Entry| -> Vec<Entry> {
        (0..5000)
            .map(|i| change(&format!("package-{i:04}")))
            .collect()
    };
    let attributes = |name: &str| OwnChange {
        attributes: texts(name),
        ..OwnChange::default()
    };
    let mut diff = ClosureDiff {
        rebuilt: many(&|name| rebuilt(name, Cause::Inputs)),
        configuration: many(&|name| {
            entry(Change::Changed, &format!("unit-{name}.service"), "-", "-")
        }),
        ..ClosureDiff::default()
    };
    diff.rebuilt
        .extend(many(&|name| own(name, attributes(name))));
    diff.rebuilt[4321].selected = Selected::Yes;
    insta::assert_snapshot!(below(&diff, DEFAULT), @"
    No version or selection state changes.
    Rebuilt, other attributes of their own: 5000 packages (package-0000, package-0001, package-0002,
        package-0003, package-0004, package-0005, package-0006, package-0007, package-0008,
        package-0009, package-0010, package-0011, …)
    Rebuilt only because of what they are built from: 5000 packages (package-4321, package-0000,
        package-0001, package-0002, package-0003, package-0004, package-0005, package-0006,
        package-0007, package-0008, package-0009, package-0010, …)
    Configuration: 5000 units (~ package-0000.service, ~ package-0001.service, ~ package-0002.service,
        ~ package-0003.service, ~ package-0004.service, ~ package-0005.service, ~ package-0006.service,
        ~ package-0007.service, ~ package-0008.service, ~ package-0009.service, ~ package-0010.service,
        ~ package-0011.service, …)
    ");
    assert_eq!(below(&diff, ALL).lines().count(), 15_004);
    let markdown = diff_to_markdown(&comparison(diff), ALL);
    assert_eq!(markdown.matches("\n<details>").count(), 3);
}

#[test]
fn markdown_folds_what_is_long() {
    let mut diff = mixed();
    diff.added = (0..50).map(|i| added(&format!("a{i}"), "1")).collect();
    let markdown = diff_to_markdown(&comparison(diff), DEFAULT);
    let (start, rest) = markdown.split_once("[A.]  #02").unwrap();
    let (_, end) = rest.split_once("#50").unwrap();
    insta::assert_snapshot!(format!("{start}(…)#50{end}"), @"
    ## `nixos-system-web-25.05` → `nixos-system-web-25.11`

    1 upgraded, 1 downgraded, 3 changed, 50 added, 1 removed, 1 with another selection state, 3 rebuilt by own change, 3 otherwise rebuilt, 8 of the configuration.

    ```text
    <<< /nix/store/00000000000000000000000000000000-nixos-system-web-25.05
    >>> /nix/store/00000000000000000000000000000000-nixos-system-web-25.11
    ```

    ### Version changes: 5

    ```text
    [C*]  #1  bash     5.2, 5.3 -> 5.3 x2
    [C.]  #2  curl     8.0
    [D.]  #3  dav1d    1.5 -> 1.4.3, -1.5MiB
    [U*]  #4  firefox  140.0 -> 141.0, +12.0MiB
    [C.]  #5  script   <none> -> 1
    ```

    ### Selection state changes: 1

    ```text
    [C+]  #1  git  2.50
    ```

    <details><summary>Added packages: 50</summary>

    ```text
    [A.]  #01  a0   1
    (…)#50  a9   1
    ```

    </details>

    ### Removed packages: 1

    ```text
    [R-]  #1  gtk3  3.24, 3.22 x3
    ```

    ### Rebuilt, own change: 3

    ```text
    [C*]  #1  openssl  1.0
          sources source
          patches + CVE-2026-1234.patch, - CVE-2025-1.patch, + a.patch, + b.patch, + c.patch, and 1 more
          flags + --with-x, - --without-x
          dependencies + brotli, - zlib
          attributes postInstall
    [C.]  #2  hello    1.0
    [C.]  #3  perl     1.0: attributes postInstall
    ```

    ### Rebuilt only because of what they are built from: 2 packages

    ```text
    nginx, glibc
    ```

    ### Rebuilt, cause not known: 1 package

    ```text
    zlib
    ```

    ### Configuration: 3 units, 1 script of a unit, 1 file of etc, 1 home-manager file

    ```text
    - cups.service, ~ nginx.service, + sshd.socket
    + nginx-start
    ~ hosts
    ~ .bashrc
    ```

    Closure size: 1200 -> 1203 (30 paths added, 27 paths removed, delta +3, disk usage +450.0MiB).
    ");
}

#[test]
fn json_is_one_line_and_no_command() {
    let mut diff = mixed();
    diff.changed[0].name = "##[group]\n".to_owned();
    let mut bytes = Vec::new();
    write_diff_json(&diff, &mut bytes).unwrap();
    let json = String::from_utf8(bytes).unwrap();
    assert!(json.ends_with("}\n") && json.matches('\n').count() == 1 && !json.contains("##["));
    assert_eq!(serde_json::from_str::<ClosureDiff>(&json).unwrap(), diff);
}

#[test]
fn a_name_that_no_store_has_takes_no_room_from_others() {
    // Wider than what a format can pad to.
    let long = "x".repeat(70_000);
    let mut diff = ClosureDiff {
        changed: vec![up(&long, "1", "2"), up("git", "1", "2")],
        ..ClosureDiff::default()
    };
    diff.changed[1].before[0].version = Some("1\n>>> no".to_owned());
    let text = below(&diff, DEFAULT);
    assert!(
        text.contains("\n[U.]  #1  git  1␊>>> no -> 2\n"),
        "{}",
        &text[..200]
    );
    assert!(text.ends_with("xxx  1 -> 2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_text_leaves_its_code(
        middle in "(@|`|``|```|~~~|#|<b>|</code>|-->|\\||\\\\|\\)|\\]\\(|\n|\r|x| |\u{202e}|\u{1b}\\[31m){0,12}",
        selected in any::<bool>(), all in any::<bool>(), sort in 0_usize..3,
    ) {
        let foreign = format!("zq{middle}zq");
        let mut diff = release();
        let other = mixed();
        diff.changed.extend(other.changed);
        diff.added.extend(other.added);
        diff.rebuilt = other.rebuilt;
        diff.configuration = other.configuration;
        let lists = [&mut diff.changed, &mut diff.added, &mut diff.removed, &mut diff.rebuilt, &mut diff.configuration];
        for entry in lists.into_iter().flatten() {
            entry.name.push_str(&foreign);
            for group in entry.before.iter_mut().chain(&mut entry.after) {
                group.version = group.version.take().map(|version| version + &foreign);
                group.outputs = vec!["out".to_owned(), foreign.clone()].into();
            }
            for text in entry.via.iter_mut().flatten() {
                text.push_str(&foreign);
            }
            if let Some(own) = &mut entry.own {
                own.patches_added.push(foreign.clone());
                own.attributes.push(foreign.clone());
            }
        }
        // As the families' names, so that they still are families.
        let python = format!("python{foreign}");
        for entry in diff.added.iter_mut().chain(&mut diff.removed) {
            entry.name = entry.name.replacen("python", &python, 1);
        }
        for family in &mut diff.families {
            for text in family.packages.iter_mut().chain([&mut family.name]).filter(|text| !text.is_empty()) {
                text.push_str(&foreign);
            }
            for text in [&mut family.before, &mut family.after] {
                *text = if family.kind == FamilyKind::Names {
                    text.replacen("python", &python, 1)
                } else {
                    format!("{text}{foreign}")
                };
            }
        }
        let sort = [DiffSort::Name, DiffSort::Semver, DiffSort::Size][sort];
        let view = DiffView { selected, sort, all };
        let markdown = diff_to_markdown(&comparison(diff.clone()), view);
        prop_assert!(!outside_code(&markdown).contains("zq"), "{}", markdown);
        prop_assert_eq!(markdown.matches("\n<details>").count(), markdown.matches("\n</details>\n").count());
        let text = text(&diff, view);
        prop_assert_eq!(text.contains(": 4 packages"), !all && !selected, "{}", text);
        prop_assert!(!text.chars().any(|c| c != '\n' && super::clean::is_unseen(c)), "{:?}", text);
    }
}

#[test]
fn of_many_upgrades_those_that_came_along_stand_apart() {
    let news = [
        up("linux", "6.6.32", "6.6.35"),
        up("major", "1.9", "2.0"),
        up("vim", "9.0", "9.1").chosen(Selected::Yes),
    ];
    let told = |count: usize, view| {
        let along = (news.len()..count).map(|n| up(&format!("lib{n:02}"), "1.0", "1.1"));
        let diff = ClosureDiff {
            changed: along.chain(news.iter().cloned()).collect(),
            ..ClosureDiff::default()
        };
        text(&diff, view)
    };
    let title = "Upgraded along with others";
    assert!(!told(40, DEFAULT).contains(title));
    let many = told(41, DEFAULT);
    let (first, along) = many.split_once(title).unwrap();
    assert!(
        ["linux", "major", "vim"]
            .iter()
            .all(|name| first.contains(name))
    );
    assert_eq!(
        (first.matches("lib").count(), along.matches("lib").count()),
        (0, 38)
    );
    let by_size = DiffView {
        sort: DiffSort::Size,
        ..DEFAULT
    };
    assert!(
        [ALL, by_size]
            .iter()
            .all(|view| !told(41, *view).contains(title))
    );
}

#[test]
fn what_is_long_pushes_nothing_away() {
    let name = "long-".repeat(30);
    let diff = ClosureDiff {
        changed: vec![up(&name, "1.0", "1.1"), up("short", "1.0", "1.1")],
        rebuilt: vec![own(
            "flagged",
            OwnChange {
                flags_added: vec!["é".repeat(5000)],
                ..OwnChange::default()
            },
        )],
        ..ClosureDiff::default()
    };
    let told = text(&diff, ALL);
    assert!(told.contains("[U.]  #2  short  1.0 -> 1.1\n"), "{told}");
    assert!(told.contains(&format!("{name}  1.0 -> 1.1\n")), "{told}");
    assert!(
        told.lines().all(|line| line.chars().count() < 200),
        "{told}"
    );
}
