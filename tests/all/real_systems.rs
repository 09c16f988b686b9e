//! What is said of real systems' updates: `fixtures/closures`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flake_herald::closure::{
    Closure, ClosureDiff, Entry, Facts, Family, FamilyKind, Graph, Record, Selected, Side,
    StorePath, diff,
};
use flake_herald::report::{
    Comparison, DiffView, End, Impact, Sensitive, Step, SystemSide, TEXT_WIDTH, diff_to_text,
    impact,
};
use flate2::read::GzDecoder;

/// A week of a stable release.
const GNOME_WEEK: [&str; 2] = ["19.09-20200206_gnome", "19.09-20200214_gnome"];
/// The same week on a server.
const SERVER_WEEK: [&str; 2] = ["19.09-20200206_server", "19.09-20200214_server"];
/// From one release to the next.
const SERVER_RELEASE: [&str; 2] = ["19.03-20190711_server", "19.09-20191003_server"];

/// A system as its file has it.
#[derive(serde::Deserialize)]
struct System {
    root: String,
    refs: BTreeMap<String, Vec<String>>,
}

impl System {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/closures")
            .join(format!("{name}.runtime-approx.json.gz"));
        let mut text = String::new();
        GzDecoder::new(File::open(&path).expect("a system's file"))
            .read_to_string(&mut text)
            .expect("a system's text");
        serde_json::from_str(&text).expect("a system's data")
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.refs.iter().map(|(path, references)| Record {
            path,
            nar_size: 0,
            deriver: None,
            references: references.iter().map(String::as_str).collect(),
        })
    }
}

/// An update of a system.
struct Update {
    systems: [System; 2],
    comparison: Comparison,
}

impl Update {
    fn read(pair: [&str; 2]) -> Self {
        let systems = pair.map(System::read);
        let graph = Graph::from_records(systems.iter().flat_map(System::records))
            .expect("one graph of both sides");
        let roots = systems
            .each_ref()
            .map(|system| StorePath::parse(&system.root).expect("a root"));
        let closures = graph.closures(&roots).expect("the closures of both roots");
        let [before, after] = [0, 1].map(|at| closures.at(at).expect("a closure"));
        let [old, new] = [before, after].map(|closure| closure.selection(&[]));
        let found = diff(
            Side {
                closure: Some(before),
                selected: &old,
            },
            Side {
                closure: Some(after),
                selected: &new,
            },
            &Facts::default(),
        );
        let end = |closure: Closure<'_>, root: &StorePath| End {
            path: root.clone(),
            paths: closure.len() as u64,
            nar_size: closure.nar_size(),
        };
        let sides = [before, after].map(|closure| SystemSide {
            closure,
            kernel_params: None,
        });
        let impact = impact(sides, true, &found, &Sensitive::default());
        let comparison = Comparison {
            before: end(before, &roots[0]),
            after: end(after, &roots[1]),
            diff: found,
            impact: Some(impact),
        };
        Self {
            systems,
            comparison,
        }
    }

    fn diff(&self) -> &ClosureDiff {
        &self.comparison.diff
    }

    fn impact(&self) -> &Impact {
        self.comparison.impact.as_ref().expect("an impact")
    }

    fn text(&self) -> String {
        let text = diff_to_text(&self.comparison, DiffView::default(), TEXT_WIDTH);
        anstream::adapter::strip_str(&text).to_string()
    }

    /// Returns the lists of which each path that moved stands in one.
    fn lists(&self) -> [(&'static str, &[Entry]); 5] {
        let diff = self.diff();
        [
            ("changed", &diff.changed),
            ("added", &diff.added),
            ("removed", &diff.removed),
            ("rebuilt", &diff.rebuilt),
            ("configuration", &diff.configuration),
        ]
    }

    /// Returns the rows that nvd prints, by name: the versions before and after, `-` for none.
    fn nvd(&self) -> BTreeMap<&str, [String; 2]> {
        let [before, after] = self.systems.each_ref().map(|system| {
            let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for path in system.refs.keys() {
                let (name, version) = nvd_name(path);
                versions.entry(name).or_default().push(version);
            }
            for versions in versions.values_mut() {
                versions.sort_unstable();
            }
            versions
        });
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        names
            .into_iter()
            .filter(|name| before.get(name) != after.get(name))
            .map(|name| {
                let of = |side: &BTreeMap<&str, Vec<&str>>| {
                    side.get(name)
                        .map_or("-".to_owned(), |versions| versions.join(", "))
                };
                (name, [of(&before), of(&after)])
            })
            .collect()
    }

    /// Says in which of our lists the paths of each of nvd's rows stand, where that is not what nvd's row says, a line a row.
    fn told_otherwise(&self) -> String {
        let mut list_of: BTreeMap<&str, &str> = BTreeMap::new();
        for (list, entries) in self.lists() {
            for entry in entries {
                for group in entry.before.iter().chain(&entry.after) {
                    for path in &group.paths {
                        list_of.insert(path.as_str(), list);
                    }
                }
            }
        }
        let mut lines = String::new();
        for (name, [before, after]) in self.nvd() {
            let said = match (before.as_str(), after.as_str()) {
                ("-", _) => "added",
                (_, "-") => "removed",
                _ => "changed",
            };
            let [old, new] = &self.systems;
            let only = |here: &System, there: &System| -> BTreeSet<&str> {
                here.refs
                    .keys()
                    .filter(|path| nvd_name(path).0 == name && !there.refs.contains_key(*path))
                    .map(|path| list_of.get(path.as_str()).copied().unwrap_or("nowhere"))
                    .collect()
            };
            let ours = &only(old, new) | &only(new, old);
            if ours != BTreeSet::from([said]) {
                let ours: Vec<&str> = ours.into_iter().collect();
                writeln!(lines, "{name}: {before} -> {after}: {}", ours.join(", "))
                    .expect("a line");
            }
        }
        lines
    }

    /// Says how many rows nvd has, and we.
    fn counts(&self) -> String {
        let diff = self.diff();
        format!(
            "nvd {}; changed {}, added {}, removed {}, selection {}, rebuilt {}, configuration {}, families {}; {} lines",
            self.nvd().len(),
            diff.changed.len(),
            diff.added.len(),
            diff.removed.len(),
            diff.selection.len(),
            diff.rebuilt.len(),
            diff.configuration.len(),
            diff.families.len(),
            self.text().lines().count(),
        )
    }
}

/// Splits a path's name as nvd does: at the first hyphen that a digit follows.
fn nvd_name(path: &str) -> (&str, &str) {
    let name = &path["/nix/store/".len() + 33..];
    let dash = (1..name.len()).find(|at| {
        name[*at..].starts_with('-') && name[at + 1..].starts_with(|c: char| c.is_ascii_digit())
    });
    dash.map_or((name, "<none>"), |dash| (&name[..dash], &name[dash + 1..]))
}

/// Returns the names of those entries for which `holds`.
fn names(entries: &[Entry], holds: impl Fn(&Entry) -> bool) -> Vec<&str> {
    let entries = entries.iter().filter(|entry| holds(entry));
    entries.map(|entry| entry.name.as_str()).collect()
}

/// Returns the first lines of a text.
fn first(text: &str, lines: usize) -> String {
    let lines: Vec<&str> = text.lines().take(lines).collect();
    lines.join("\n")
}

/// Says what a family is.
fn family(family: &Family) -> String {
    format!(
        "{:?} {:?} {} -> {} {}: {}",
        family.kind,
        family.name,
        family.before,
        family.after,
        family.change,
        family.packages.join(" ")
    )
}

#[test]
fn a_weeks_update_begins_with_what_really_changed() {
    for (pair, really, selected) in [
        (
            GNOME_WEEK,
            &["go", "initrd-linux", "libuv", "linux", "thunderbird"][..],
            &["go", "thunderbird"][..],
        ),
        (SERVER_WEEK, &["go", "initrd-linux", "linux"], &[]),
    ] {
        let update = Update::read(pair);
        let diff = update.diff();
        let changed = names(&diff.changed, |_| true);
        for name in really {
            assert!(changed.contains(name), "{name} is missing: {changed:?}");
        }
        // The kernel's modules may have rows of their own; nothing else may.
        let is_known = |name: &&str| really.contains(name) || name.starts_with("linux-modules");
        assert!(changed.iter().all(is_known), "{changed:?}");
        assert_eq!(
            names(&diff.changed, |entry| entry.selected == Selected::Yes),
            selected
        );
        let others = [&diff.added, &diff.removed, &diff.selection];
        assert!(others.iter().all(|list| list.is_empty()), "{others:?}");

        // They are the first thing seen, and all of it, with what the update does to a host, is on one screen, hundreds of rebuilt
        // paths or not.
        let text = update.text();
        let rows = text
            .lines()
            .skip(3)
            .take_while(|line| line.starts_with('['));
        let rows: Vec<&str> = rows.collect();
        assert_eq!(text.lines().nth(2), Some("Version changes:"), "{text}");
        for name in really {
            assert!(rows.iter().any(|row| row.contains(name)), "{name}: {text}");
        }
        assert!(text.lines().count() <= 32, "{text}");
    }
}

#[test]
fn a_release_is_grouped() {
    let update = Update::read(SERVER_RELEASE);
    let families = &update.diff().families;
    let of = |kind: FamilyKind, before: &str| {
        let found = families
            .iter()
            .find(|family| family.kind == kind && family.before == before);
        found.unwrap_or_else(|| panic!("no family from {before}: {families:?}"))
    };

    let perl = of(FamilyKind::Names, "perl5.28.1");
    assert_eq!(perl.after, "perl5.30.0");
    assert_eq!(perl.packages.len(), 35, "{perl:?}");
    assert!(perl.packages.iter().any(|name| name == "libwww-perl"));
    // Python packages are gone from one interpreter and there in another, but none moved.
    assert!(
        !families
            .iter()
            .any(|family| family.before.starts_with("python")),
        "{families:?}"
    );

    let docker = of(FamilyKind::Versions, "18.09.7");
    assert_eq!(
        docker.packages,
        ["docker", "docker-containerd", "docker-init", "docker-runc"]
    );
    let qt = of(FamilyKind::Versions, "5.12.0");
    assert_eq!((qt.packages.len(), qt.after.as_str()), (7, "5.12.3"));

    // Another release is worth a row, another day of the same one is not.
    let is_system = |entry: &Entry| entry.name.starts_with("nixos-system");
    assert_eq!(names(&update.diff().changed, is_system).len(), 1);

    let text = update.text();
    let perl_rows = text
        .lines()
        .filter(|line| line.starts_with('[') && line.contains("perl5."));
    // The family, and the nine that only the new one has.
    assert!(perl_rows.count() <= 10, "{text}");
    let nvd = update.nvd().len();
    let rows = text.lines().filter(|line| line.starts_with('[')).count();
    assert!(rows < nvd * 3 / 4, "{rows} rows where nvd has {nvd}");
}

#[test]
fn configuration_stands_apart() {
    for pair in [GNOME_WEEK, SERVER_WEEK, SERVER_RELEASE] {
        let update = Update::read(pair);
        let diff = update.diff();
        let packages = [&diff.changed, &diff.added, &diff.removed, &diff.rebuilt];
        let names: Vec<&str> = packages
            .into_iter()
            .flatten()
            .flat_map(|entry| entry.before.iter().chain(&entry.after))
            .flat_map(|group| &group.paths)
            .map(StorePath::name)
            .filter(|name| {
                let starts = ["unit-", "etc-", "fc-5", "X-Restart-Triggers"];
                let ends = [
                    ".conf", ".pam", ".service", ".socket", ".timer", ".target", ".rules", ".json",
                    ".sh", ".xml",
                ];
                let whole = [
                    "etc",
                    "system-path",
                    "system-units",
                    "user-units",
                    "udev-rules",
                    "set-environment",
                ];
                starts.iter().any(|start| name.starts_with(start))
                    || ends.iter().any(|end| name.ends_with(end))
                    || whole.contains(name)
            })
            .collect();
        assert_eq!(names, [""; 0], "{pair:?}");
    }
}

#[test]
fn names_that_are_hard_to_tell_apart() {
    let updates = [GNOME_WEEK, SERVER_WEEK, SERVER_RELEASE].map(Update::read);
    // The names of the paths in lists of ours, with a version by nvd's rule or without one.
    let names = |in_configuration: bool, versioned: bool| {
        let lists = updates.iter().flat_map(Update::lists);
        let entries = lists
            .filter(|(list, _)| (*list == "configuration") == in_configuration)
            .flat_map(|(_, entries)| entries);
        let names: BTreeSet<&str> = entries
            .flat_map(|entry| entry.before.iter().chain(&entry.after))
            .flat_map(|group| &group.paths)
            .filter(|path| (nvd_name(path.as_str()).1 != "<none>") == versioned)
            .map(StorePath::name)
            .collect();
        names.into_iter().collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(names(true, true), @"
    dbus-1
    etc-10-nixos.rules
    etc-60-nixos.conf
    fc-00-nixos-cache.conf
    fc-10-antialias.conf
    fc-10-hinting.conf
    fc-10-nixos-rendering.conf
    fc-10-subpixel.conf
    fc-52-nixos-default-fonts.conf
    fc-53-nixos-reject-type1.conf
    fc-53-no-bitmaps.conf
    fc-53-no-type1.conf
    kmod-debian-aliases-22-1.1.conf
    nixos-system-laptop-19.09.20200206.2de9367
    nixos-system-laptop-19.09.20200214.8731aaa
    nixos-system-server-19.09.20200206.2de9367
    nixos-system-server-19.09.20200214.8731aaa
    polkit-1.pam
    stage-1-init.sh
    stage-2-init.sh
    ");
    insta::assert_snapshot!(names(false, false), @"
    builder.pl
    command-not-found
    nix-info
    steam
    ");
}

#[test]
fn every_path_that_moved_is_told_once() {
    for pair in [GNOME_WEEK, SERVER_WEEK, SERVER_RELEASE] {
        let update = Update::read(pair);
        let lists = update.lists();
        let entries = || lists.iter().flat_map(|(_, entries)| entries.iter());
        let [old, new] = &update.systems;
        for (here, there, groups) in [
            (
                old,
                new,
                entries()
                    .flat_map(|entry| &entry.before)
                    .collect::<Vec<_>>(),
            ),
            (new, old, entries().flat_map(|entry| &entry.after).collect()),
        ] {
            let mut told: Vec<&str> = groups
                .into_iter()
                .flat_map(|group| &group.paths)
                .map(StorePath::as_str)
                .filter(|path| !there.refs.contains_key(*path))
                .collect();
            told.sort_unstable();
            let moved = here.refs.keys().map(String::as_str);
            let moved: Vec<&str> = moved
                .filter(|path| !there.refs.contains_key(*path))
                .collect();
            assert_eq!(told, moved, "{pair:?}");
        }
    }
}

#[test]
fn what_is_said_of_a_weeks_update() {
    insta::assert_snapshot!(first(&Update::read(GNOME_WEEK).text(), 40), @"
    <<< /nix/store/2lyqnwmmfynx3259jhmq43jgifahmcws-nixos-system-laptop-19.09.20200206.2de9367
    >>> /nix/store/a0alqn7xjczbl8akwdj5zgdpxlmp7mh8-nixos-system-laptop-19.09.20200214.8731aaa
    Version changes:
    [C*]  #1  go           1.4-bootstrap-20161024, 1.12.9 -> 1.4-bootstrap-20161024, 1.12.16
    [U.]  #2  libuv        1.32.0 -> 1.34.2
    [U.]  #3  linux        4.19.101 -> 4.19.103 (with initrd-linux, linux-modules-shrunk)
    [U*]  #4  thunderbird  68.4.2 -> 68.5.0
    Rebuilt, cause not known: 386 packages (NetworkManager-fortisslvpn-gnome,
        NetworkManager-iodine-gnome, NetworkManager-l2tp-gnome, NetworkManager-openconnect-gnome,
        NetworkManager-openvpn-gnome, NetworkManager-vpnc-gnome, accountsservice, adwaita-icon-theme,
        at-spi2-core, baobab, bluez, bolt, …)
    Configuration: 16 units (~ accounts-daemon.service, ~ cups-browsed.service, ~ cups.service,
        ~ dbus.service, ~ display-manager.service, ~ libvirt-guests.service, ~ libvirtd-config.service,
        ~ libvirtd.service, ~ nix-daemon.service, ~ nix-gc.service, ~ nix-optimise.service,
        ~ polkit.service, …), 4 scripts of units (~ cups-pre-start, ~ display-manager-start,
        ~ libvirtd-config-start, ~ nix-gc-start), 3 files of etc (~ bashrc, ~ nixos.conf, ~ profile),
        34 configuration files (~ asound.conf, ~ chfn.pam, …), 21 others (~ additional-cups-backends,
        ~ argyllcms_jamtop, …)
    Reboot: kernel 4.19.101 -> 4.19.103, kernel modules kernel-modules, initrd
    Restarts: accounts-daemon.service, cups-browsed.service (cups, cups-filters), cups.service (cups),
        libvirt-guests.service (libvirt), libvirtd-config.service (OVMF, libvirt, qemu),
        libvirtd.service (qemu), nix-daemon.service (nix), nix-gc.service (nix),
        nix-optimise.service (nix), polkit.service, systemd-fsck@.service,
        systemd-udevd.service (NetworkManager-fortisslvpn-gnome, NetworkManager-iodine-gnome, NetworkManager-l2tp-gnome and 13 more),
        and 2 more
    Left running: dbus.service, display-manager.service (adwaita-icon-theme, gdm, gnome-session),
        dbus.service (user)
    Security: linux 4.19.101 -> 4.19.103, thunderbird 68.4.2 -> 68.5.0; rebuilt, cause not known: cups,
        firefox, firefox-unwrapped, flatpak and 11 more
    Closure size: 2288 -> 2288 (598 paths added, 598 paths removed, delta +0, disk usage +0B).
    ");
    insta::assert_snapshot!(first(&Update::read(SERVER_WEEK).text(), 40), @"
    <<< /nix/store/i319wz7nhby74sb8z8dh9h1nix3akpr9-nixos-system-server-19.09.20200206.2de9367
    >>> /nix/store/3ibrjd4yxgxavhzc4c0hp9wa64x0cv27-nixos-system-server-19.09.20200214.8731aaa
    Version changes:
    [C.]  #1  go     1.4-bootstrap-20161024, 1.12.9, 1.13.1 -> 1.4-bootstrap-20161024, 1.12.16, 1.13.7
    [U.]  #2  linux  4.19.101 -> 4.19.103 (with initrd-linux, linux-modules-shrunk)
    Rebuilt, cause not known: 70 packages (borgbackup, docker, fontconfig, grafana, jq, libressl, nix,
        polkit, ripgrep, udisks, at-spi2-atk, at-spi2-core, …)
    Configuration: 13 units (~ dbus.service, ~ docker-prune.service, ~ docker.service, ~ gitea.service,
        ~ grafana.service, ~ nginx.service, ~ nix-daemon.service, ~ nix-gc.service,
        ~ nix-optimise.service, ~ polkit.service, ~ prometheus-node-exporter.service,
        ~ systemd-fsck-.service, …), 6 scripts of units (~ docker-prune-start, ~ gitea-pre-start, …),
        1 file of etc (~ nixos.conf), 5 configuration files (~ fc-00-nixos-cache.conf, ~ fc-cache,
        ~ fonts.conf, ~ nginx.conf, ~ nix.conf), 4 others (~ app.ini, ~ dbus-1, ~ go-bootstrap,
        ~ systemd-boot-builder.py)
    Reboot: kernel 4.19.101 -> 4.19.103, kernel modules kernel-modules, initrd
    Restarts: docker-prune.service (docker), docker.service (docker), gitea.service (gitea),
        grafana.service (grafana), nginx.service (nginx), nix-daemon.service (nix),
        nix-gc.service (nix), nix-optimise.service (nix), polkit.service,
        prometheus-node-exporter.service (node_exporter), systemd-fsck@.service,
        systemd-udevd.service (udisks)
    Left running: dbus.service, dbus.service (user)
    Security: linux 4.19.101 -> 4.19.103; rebuilt, cause not known: cups, docker, gitea,
        grafana and 5 more
    Closure size: 792 -> 792 (156 paths added, 156 paths removed, delta +0, disk usage +0B).
    ");
}

#[test]
fn what_is_said_of_a_release() {
    let update = Update::read(SERVER_RELEASE);
    insta::assert_snapshot!(first(&update.text(), 40), @"
    <<< /nix/store/xkdw5pw27qs1r263wr6i0hc7av9g6r60-nixos-system-server-19.03.20190711.f0fdbd8
    >>> /nix/store/pqb1i2k0532hg3pnv93r782mx48pbh3h-nixos-system-server-19.09.20191003.3ba0d9f
    Version changes:
    [U*]  #01  bind                  9.12.4-P2 -> 9.14.4
    [C.]  #02  bison                 2.7.1, 3.3.2 -> 2.7.1, 3.4.2
    [C.]  #03  boost                 1.67_0 -> 1.67.0
    [U*]  #04  borgbackup            1.1.9 -> 1.1.10
    [U.]  #05  btrfs-progs           4.20.1 -> 5.2.1
    [U*]  #06  coreutils             8.30 x2 -> 8.31 x2
    [U*]  #07  curl                  7.64.0 -> 7.65.3
    [U*]  #08  dbus                  1.12.12 -> 1.12.16
    [U*]  #09  desktop-file-utils    0.23 -> 0.24
    [U*]  #10  dhcpcd                7.1.1 -> 8.0.6
    [U*]  #11  docker (4 packages)   18.09.7 -> 19.03.2
          selected: docker
    [U*]  #12  e2fsprogs             1.44.5 -> 1.45.3
    [U*]  #13  findutils             4.6.0 -> 4.7.0
    [C*]  #14  fuse                  2.9.9, 3.4.1 -> 2.9.9, 3.6.2
    [U*]  #15  gawk                  4.2.1 -> 5.0.1
    [U.]  #16  gcc                   7.4.0 -> 8.3.0
    [U*]  #17  git                   2.19.2 x2 -> 2.23.0
    [C*]  #18  glibc                 2.27 x2 -> 2.27
    [U*]  #19  gnutar                1.31 -> 1.32
    [C.]  #20  go                    1.4-bootstrap-20161024, 1.11.6 -> 1.4-bootstrap-20161024, 1.12.9
    [U*]  #21  grafana               6.2.5 -> 6.4.1
    [U.]  #22  iana-etc              20181219 -> 20190731
    [U.]  #23  icu4c                 59.1 -> 64.2
    [U*]  #24  iproute2              4.20.0 -> 5.2.0
    [U*]  #25  iptables              1.8.2 -> 1.8.3
    [U*]  #26  iputils               20180629 -> 20190709
    [U.]  #27  iso-codes             3.79 -> 4.3
    [U*]  #28  kexec-tools           2.0.18 -> 2.0.20
    [U*]  #29  kmod                  25 -> 26
    [U*]  #30  less                  530 -> 551
    [U.]  #31  libbytesize           1.4 -> 2.1
    [U*]  #32  libcap                2.26 -> 2.27
    [U.]  #33  libedit               20180525-3.1 -> 20190324-3.1
    [U.]  #34  libgudev              232 -> 233
    [U.]  #35  libndctl              63 -> 66
    [U*]  #36  libressl              2.8.3 -> 2.9.2
    ");
    let families: Vec<String> = update.diff().families.iter().map(family).collect();
    insta::assert_snapshot!(families.join("\n"), @r#"
    Names "perl" perl5.28.1 -> perl5.30.0 upgraded: CPAN-Meta-Check Capture-Tiny DBD-SQLite DBI Devel-Symdump Encode-Locale File-Listing File-Slurp HTML-Parser HTML-Tagset HTTP-Cookies HTTP-Daemon HTTP-Date HTTP-Message HTTP-Negotiate IO-HTML JSON LWP-MediaTypes Net-DBus Net-HTTP Pod-Coverage String-ShellQuote TermReadKey Test-Deep Test-Fatal Test-Needs Test-Pod Test-Pod-Coverage Test-RequiresInternet Try-Tiny URI WWW-RobotRules XML-Parser XML-Twig libwww-perl
    Versions "" 5.12.0 -> 5.12.3 upgraded: qtbase qtdeclarative qtlocation qtmultimedia qtsensors qtsvg qtwebchannel
    Versions "docker" 18.09.7 -> 19.03.2 upgraded: docker docker-containerd docker-init docker-runc
    "#);
}

#[test]
fn rows_of_nvd_that_are_told_otherwise() {
    let updates = [GNOME_WEEK, SERVER_WEEK, SERVER_RELEASE].map(Update::read);
    let counts = updates.each_ref().map(Update::counts);
    insta::assert_snapshot!(counts.join("\n"), @"
    nvd 6; changed 6, added 0, removed 0, selection 0, rebuilt 386, configuration 105, families 0; 30 lines
    nvd 4; changed 4, added 0, removed 0, selection 0, rebuilt 70, configuration 53, families 0; 24 lines
    nvd 327; changed 176, added 66, removed 54, selection 0, rebuilt 162, configuration 266, families 3; 253 lines
    ");
    let otherwise = updates.each_ref().map(Update::told_otherwise);
    insta::assert_snapshot!(otherwise.join("\n"), @"
    nixos-system-laptop: 19.09.20200206.2de9367 -> 19.09.20200214.8731aaa: configuration

    nixos-system-server: 19.09.20200206.2de9367 -> 19.09.20200214.8731aaa: configuration

    80-net-setup-link.rules: <none> -> -: configuration
    bootstrap-tools: <none>, <none> -> <none>: configuration
    bootstrap-tools.tar.xz: <none>, <none> -> <none>: configuration
    dbus: 1, 1.12.12, 1.12.12-doc, 1.12.12-lib -> 1, 1.12.16, 1.12.16-doc, 1.12.16-lib: changed, configuration
    etc: 10-nixos.rules, <none> -> 10-nixos.rules, 60-nixos.conf, <none>: configuration
    etc-coredump.conf: - -> <none>: configuration
    etc-fuse.conf: - -> <none>: configuration
    etc-nixos.conf: <none>, <none>, <none> -> <none>, <none>: configuration
    etc-sshd_config: <none> -> -: configuration
    fc: 00-nixos-cache.conf, 00-nixos-cache.conf, 10-antialias.conf, 10-hinting.conf, 10-subpixel.conf, 52-nixos-default-fonts.conf, 53-no-type1.conf -> 00-nixos-cache.conf, 00-nixos-cache.conf, 10-nixos-rendering.conf, 52-nixos-default-fonts.conf, 53-nixos-reject-type1.conf, 53-no-bitmaps.conf: configuration
    font-penultimate-conf: <none> -> -: configuration
    fontconfig-conf: - -> <none>: configuration
    initrd: <none> -> -: configuration
    ipv6-privacy-extensions.rules: - -> <none>, <none>: configuration
    kernel-modules-shrunk: <none> -> -: configuration
    linux: 4.19.58 -> 4.19.76, 4.19.76-modules, 4.19.76-modules-shrunk: added, changed
    options-db.xml: <none> -> -: configuration
    options-docbook.xml: - -> <none>: configuration
    polkit: 0.115, 0.115-bin, 1.pam -> 0.116, 0.116-bin, 1.pam: changed, configuration
    pre-nginx.conf: <none> -> -: configuration
    rubygems: - -> <none>: configuration
    sshd.conf-validated: - -> <none>: configuration
    system-shutdown: - -> <none>: configuration
    unit-disable-transparent-huge-pages.service: - -> <none>: configuration
    unit-mdadm-grow-continue-.service: <none> -> -: configuration
    unit-mdadm-shutdown.service: <none> -> -: configuration
    unit-mdmon-.service: <none> -> -: configuration
    unit-nixos-upgrade.service: <none> -> -: configuration
    unit-redis_init.service: <none> -> -: configuration
    unit-resolvconf.service: - -> <none>: configuration
    unit-script-disable-transparent-huge-pages-start: - -> <none>: configuration
    unit-script-nixos-upgrade-start: <none> -> -: configuration
    unit-script-nscd-post-start: <none> -> -: configuration
    unit-script-nscd-pre-start: <none> -> -: configuration
    unit-script-postgresqlBackup-pre-start: <none> -> -: configuration
    unit-script-redis_init-start: <none> -> -: configuration
    v2.6.6...v2.6.6-nix.patch: <none> -> -: configuration
    ");
}

/// Says what an update means, a line each.
fn meaning(impact: &Impact) -> String {
    let mut out = String::new();
    let mut add = |title: &str, step: &Step| {
        let [before, after] =
            [&step.before, &step.after].map(|text| text.as_deref().unwrap_or("-"));
        let cause = step.cause.map(|cause| format!(" ({cause:?})"));
        let cause = cause.unwrap_or_default();
        writeln!(
            out,
            "{title}: {} {before} -> {after} {}{cause}",
            step.name, step.change
        )
        .expect("a line");
    };
    for reason in &impact.reboot.reasons {
        add(reason.what.as_str(), &reason.step);
    }
    for (title, steps) in [
        ("release", impact.release.as_slice()),
        ("down", &impact.downgrades),
        ("major", &impact.major),
        ("gone", &impact.gone),
        ("security", &impact.security),
    ] {
        for step in steps {
            add(title, step);
        }
    }
    out
}

/// Says which units change, a line each.
fn units(impact: &Impact) -> String {
    let lines = impact.units_changed.iter().map(|unit| {
        let user = if unit.user { " (user)" } else { "" };
        let because = unit.because.join(", ");
        format!("{}{user} {}: {because}\n", unit.name, unit.change)
    });
    lines.collect()
}

#[test]
fn a_week_needs_a_reboot_for_its_kernel_and_restarts_a_few_units() {
    let week = Update::read(GNOME_WEEK);
    insta::assert_snapshot!(meaning(week.impact()), @"
    kernel: linux 4.19.101 -> 4.19.103 upgraded
    kernel modules: kernel-modules - -> - changed
    initrd: initrd-linux 4.19.101 -> 4.19.103 upgraded
    security: cups 2.2.12 x2 -> 2.2.12 x2 rebuilt (Unknown)
    security: firefox 72.0.2 -> 72.0.2 rebuilt (Unknown)
    security: firefox-unwrapped 72.0.2 -> 72.0.2 rebuilt (Unknown)
    security: flatpak 1.4.2 -> 1.4.2 rebuilt (Unknown)
    security: gnupg 2.2.17 x2 -> 2.2.17 x2 rebuilt (Unknown)
    security: libressl 2.9.2 -> 2.9.2 rebuilt (Unknown)
    security: libssh 0.8.7 -> 0.8.7 rebuilt (Unknown)
    security: libvirt 5.4.0 -> 5.4.0 rebuilt (Unknown)
    security: libwebp 1.0.3 -> 1.0.3 rebuilt (Unknown)
    security: linux 4.19.101 -> 4.19.103 upgraded
    security: nix 2.3.2 -> 2.3.2 rebuilt (Unknown)
    security: polkit 0.116 -> 0.116 rebuilt (Unknown)
    security: qemu 4.0.1 -> 4.0.1 rebuilt (Unknown)
    security: thunderbird 68.4.2 -> 68.5.0 upgraded
    security: webkitgtk 2.24.4 -> 2.24.4 rebuilt (Unknown)
    security: xorg-server 1.20.5 -> 1.20.5 rebuilt (Unknown)
    security: xwayland 1.20.5 -> 1.20.5 rebuilt (Unknown)
    ");
    insta::assert_snapshot!(units(week.impact()), @"
    accounts-daemon.service changed: 
    cups-browsed.service changed: cups, cups-filters
    cups.service changed: cups
    dbus.service changed: 
    dbus.service (user) changed: 
    display-manager.service changed: adwaita-icon-theme, gdm, gnome-session
    libvirt-guests.service changed: libvirt
    libvirtd-config.service changed: OVMF, libvirt, qemu
    libvirtd.service changed: qemu
    nix-daemon.service changed: nix
    nix-gc.service changed: nix
    nix-optimise.service changed: nix
    polkit.service changed: 
    systemd-fsck@.service changed: 
    systemd-udevd.service changed: NetworkManager-fortisslvpn-gnome, NetworkManager-iodine-gnome, NetworkManager-l2tp-gnome, NetworkManager-openconnect-gnome, NetworkManager-openvpn-gnome, NetworkManager-vpnc-gnome, bluez, bolt, colord, gnome-settings-daemon, libinput, modem-manager, network-manager, system-config-printer, udisks, upower
    virtlockd.service changed: libvirt
    virtlogd.service changed: libvirt
    ");
    let week = Update::read(SERVER_WEEK);
    insta::assert_snapshot!(units(week.impact()), @"
    dbus.service changed: 
    dbus.service (user) changed: 
    docker-prune.service changed: docker
    docker.service changed: docker
    gitea.service changed: gitea
    grafana.service changed: grafana
    nginx.service changed: nginx
    nix-daemon.service changed: nix
    nix-gc.service changed: nix
    nix-optimise.service changed: nix
    polkit.service changed: 
    prometheus-node-exporter.service changed: node_exporter
    systemd-fsck@.service changed: 
    systemd-udevd.service changed: udisks
    ");
}

#[test]
fn a_release_says_what_it_moves() {
    let release = Update::read(SERVER_RELEASE);
    insta::assert_snapshot!(meaning(release.impact()), @"
    kernel: linux 4.19.58 -> 4.19.76 upgraded
    kernel modules: kernel-modules - -> - changed
    initrd: initrd-linux initrd -> initrd-linux-4.19.76 changed
    systemd: systemd 239.20190219 -> 243 upgraded
    glibc: glibc 2.27 -> 2.27 rebuilt (Unknown)
    dbus: dbus 1.12.12 -> 1.12.16 upgraded
    release: nixos 19.03 -> 19.09 upgraded
    major: btrfs-progs 4.20.1 -> 5.2.1 upgraded
    major: dhcpcd 7.1.1 -> 8.0.6 upgraded
    major: docker 18.09.7 -> 19.03.2 upgraded
    major: docker-containerd 18.09.7 -> 19.03.2 upgraded
    major: docker-init 18.09.7 -> 19.03.2 upgraded
    major: docker-runc 18.09.7 -> 19.03.2 upgraded
    major: gawk 4.2.1 -> 5.0.1 upgraded
    major: gcc 7.4.0 -> 8.3.0 upgraded
    major: icu4c 59.1 -> 64.2 upgraded
    major: iproute2 4.20.0 -> 5.2.0 upgraded
    major: iso-codes 3.79 -> 4.3 upgraded
    major: kmod 25 -> 26 upgraded
    major: less 530 -> 551 upgraded
    major: libbytesize 1.4 -> 2.1 upgraded
    major: libgudev 232 -> 233 upgraded
    major: libndctl 63 -> 66 upgraded
    major: nano 3.2 -> 4.4 upgraded
    major: python2.7-setuptools 40.8.0 -> 41.2.0 upgraded
    major: ripgrep 0.10.0 -> 11.0.2 upgraded
    major: spidermonkey 52.9.0 -> 60.4.0 upgraded
    major: strace 4.26 -> 5.2 upgraded
    major: systemd 239.20190219 -> 243 upgraded
    security: avahi 0.7 -> 0.7 rebuilt (Unknown)
    security: bash 4.4-p23 -> 4.4-p23 rebuilt (Unknown)
    security: bash-interactive 4.4-p23 -> 4.4-p23 rebuilt (Unknown)
    security: bind 9.12.4-P2 -> 9.14.4 upgraded
    security: busybox 1.30.1 -> 1.30.1 rebuilt (Unknown)
    security: cryptsetup 2.0.6 -> 2.1.0 upgraded
    security: cups 2.2.10 -> 2.2.12 upgraded
    security: curl 7.64.0 -> 7.65.3 upgraded
    security: dbus 1.12.12 -> 1.12.16 upgraded
    security: docker 18.09.7 -> 19.03.2 upgraded
    security: expat 2.2.6 -> 2.2.7 upgraded
    security: fail2ban 0.10.4 -> 0.10.4 rebuilt (Unknown)
    security: git 2.19.2 x2 -> 2.23.0 upgraded
    security: gitea 1.8.3 -> 1.9.3 upgraded
    security: glibc 2.27 x2 -> 2.27 changed
    security: gnutls 3.6.7 -> 3.6.9 upgraded
    security: grafana 6.2.5 -> 6.4.1 upgraded
    security: iptables 1.8.2 -> 1.8.3 upgraded
    security: libgcrypt 1.8.4 -> 1.8.5 upgraded
    security: libressl 2.8.3 -> 2.9.2 upgraded
    security: libsodium 1.0.16 -> 1.0.18 upgraded
    security: libssh2 1.8.2 -> 1.9.0 upgraded
    security: libwebp 1.0.2 -> 1.0.3 upgraded
    security: libxml2 2.9.9 -> 2.9.9 rebuilt (Unknown)
    security: linux 4.19.58 -> 4.19.76 upgraded
    security: linux-pam 1.3.0 -> 1.3.1 upgraded
    security: nghttp2 1.36.0 -> 1.39.2 upgraded
    security: nginx 1.14.2 -> 1.16.1 upgraded
    security: nix 2.2.2 -> 2.3 upgraded
    security: nss 3.42.1 -> 3.46 upgraded
    security: nss-cacert 3.42.1 -> 3.46 upgraded
    security: openssh 7.9p1 -> 7.9p1 rebuilt (Unknown)
    security: openssl 1.0.2r x2, 1.1.1b -> 1.1.1d x2 upgraded
    security: p11-kit 0.23.14 -> 0.23.16.1 upgraded
    security: polkit 0.115 -> 0.116 upgraded
    security: postgresql 9.6.14 -> 9.6.15 upgraded
    security: redis 5.0.3 -> 5.0.5 upgraded
    security: rsync 3.1.3 x2 -> 3.1.3 x2 rebuilt (Unknown)
    security: shadow 4.6 -> 4.6 rebuilt (Unknown)
    security: sqlite 3.28.0 -> 3.28.0 rebuilt (Unknown)
    security: sudo 1.8.27 -> 1.8.27 rebuilt (Unknown)
    security: systemd 239.20190219 -> 243 upgraded
    security: unbound 1.9.0 -> 1.9.3 upgraded
    security: util-linux 2.33.1 x2 -> 2.33.2 x2 upgraded
    security: wget 1.20.3 -> 1.20.3 rebuilt (Unknown)
    security: xz 5.2.4 -> 5.2.4 rebuilt (Unknown)
    security: zlib 1.2.11 -> 1.2.11 rebuilt (Unknown)
    ");
    insta::assert_snapshot!(units(release.impact()), @"
    audit.service changed: audit
    container-getty@.service changed: util-linux
    container@.service changed: iproute2
    dbus.service changed: coreutils, findutils, systemd, tzdata
    dbus.service (user) changed: coreutils, findutils, systemd, tzdata
    dbus.socket (user) changed: 
    dhcpcd.service changed: dhcpcd, openresolv
    disable-transparent-huge-pages.service added: 
    docker-prune.service changed: docker
    docker.service changed: docker, kmod
    docker.socket changed: 
    fail2ban.service changed: iproute2, iptables
    firewall.service changed: iptables
    fs.target changed: 
    getty@.service changed: util-linux
    gitea.service changed: git, gitea, perl, postgresql
    grafana.service changed: grafana
    graphical-session.target (user) changed: 
    keys.target changed: 
    local-fs.target changed: 
    mdadm-grow-continue@.service removed: 
    mdadm-shutdown.service removed: 
    mdmon@.service removed: 
    multi-user.target changed: 
    network-interfaces.target changed: 
    network-local-commands.service changed: iproute2
    network-online.target changed: 
    network-setup.service changed: iproute2, openresolv
    nginx.service changed: nginx
    nix-daemon.service changed: nix, util-linux
    nix-daemon.socket changed: 
    nix-gc.service changed: nix
    nix-optimise.service changed: nix
    nixos-activation.service (user) changed: glibc, util-linux
    nixos-upgrade.service removed: 
    nscd.service changed: glibc
    polkit.service changed: coreutils, findutils, systemd, tzdata
    post-resume.service changed: coreutils, findutils, systemd, tzdata
    post-resume.target changed: 
    postgresql.service changed: postgresql
    postgresqlBackup.service changed: postgresql
    postgresqlBackup.timer changed: 
    pre-sleep.service changed: coreutils, findutils, systemd, tzdata
    prepare-kexec.service changed: kexec-tools
    prometheus-node-exporter.service changed: node_exporter
    redis.service changed: redis
    redis_init.service removed: 
    remote-fs.target changed: 
    resolvconf.service added: 
    rngd.service changed: rng-tools
    save-hwclock.service changed: util-linux
    serial-getty@.service changed: util-linux
    sshd.service changed: gawk
    systemd-backlight@.service changed: coreutils, findutils, systemd, tzdata
    systemd-binfmt.service changed: coreutils, findutils, systemd, tzdata
    systemd-fsck@.service changed: coreutils, findutils, systemd, tzdata
    systemd-journal-flush.service changed: coreutils, findutils, systemd, tzdata
    systemd-journal-gatewayd.socket changed: 
    systemd-journald.service changed: coreutils, findutils, systemd, tzdata
    systemd-logind.service changed: coreutils, findutils, systemd, tzdata
    systemd-modules-load.service changed: coreutils, findutils, systemd, tzdata
    systemd-random-seed.service changed: coreutils, findutils, systemd, tzdata
    systemd-remount-fs.service changed: coreutils, findutils, systemd, tzdata
    systemd-sysctl.service changed: coreutils, findutils, systemd, tzdata
    systemd-timedated.service changed: coreutils, findutils, systemd, tzdata
    systemd-timesyncd.service changed: coreutils, findutils, systemd, tzdata
    systemd-udev-settle.service changed: coreutils, findutils, systemd, tzdata
    systemd-udevd.service changed: udisks
    systemd-update-utmp.service changed: coreutils, findutils, systemd, tzdata
    systemd-user-sessions.service changed: coreutils, findutils, systemd, tzdata
    systemd-vconsole-setup.service changed: coreutils, findutils, systemd, tzdata
    user-runtime-dir@.service changed: coreutils, findutils, systemd, tzdata
    user@.service changed: coreutils, findutils, systemd, tzdata
    ");
}
