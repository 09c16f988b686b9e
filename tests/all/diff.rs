//! What a diff has to tell, on a host that has all of it: `workstation:NAME` in `fixtures/fleet/README.md`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::report::json;
use crate::support::{CommandOutput, Fleet};

/// What is there before: nothing but what the changes below take back.
const BASE: &[&str] = &[
    "workstation:desk",
    "patch:vim=CVE-2024-22667.patch",
    "source:nodejs_18=source of nodejs",
];

/// An update that has something of everything.
const EVERYTHING: &[&str] = &[
    "kde=6.4.2",
    "python3=3.12.4",
    "requests=2.32.3",
    "nodejs_20=20.15.0",
    "sqlite=3.45.2",
    "patch:openssl=CVE-2024-5535.patch",
    "fetchpatch:openssl=CVE-2024-6119.patch",
    "unpatch:vim=CVE-2024-22667.patch",
    "flag:glib=--with-sysprof",
    "unit:openssh=Restart=always",
    "etc:hosts=10.0.0.1 desk",
    "home:.gitconfig=[core]",
    "move:htop",
    "add:clang=18.1.8@ripgrep",
    "size:clang=8",
];

/// A workstation, built before and after an update.
struct Built {
    fleet: Fleet,
    before: String,
    after: String,
}

impl Built {
    fn new(changes: &[&str]) -> Self {
        let fleet = Fleet::new();
        fleet.bump_base(BASE);
        let before = build(&fleet);
        fleet.bump(changes);
        update(&fleet);
        let after = build(&fleet);
        Self {
            fleet,
            before,
            after,
        }
    }

    /// Runs `flake-herald diff`.
    fn diff(&self, before: &str, after: &str, format: &str) -> CommandOutput {
        let args = ["diff", before, after, "--format", format];
        self.fleet.run(args).success()
    }

    /// Returns the diff as data.
    fn data(&self) -> Value {
        json(&self.diff(&self.before, &self.after, "json"))
    }
}

/// Builds the workstation by the lock as it is, and returns its store path.
fn build(fleet: &Fleet) -> String {
    let attribute = ".#nixosConfigurations.desk.config.system.build.toplevel";
    let output = fleet.nix(["build", "--no-link", "--print-out-paths", attribute]);
    output.success().stdout.trim_end().to_owned()
}

/// Updates and commits the lock.
fn update(fleet: &Fleet) {
    let _output = fleet.nix(["flake", "update"]).success();
    fleet.commit("flake.lock: update");
}

/// Returns the names in one of the lists of a diff.
fn names<'a>(diff: &'a Value, list: &str) -> Vec<&'a str> {
    entries(diff, list)
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect()
}

fn entries<'a>(diff: &'a Value, list: &str) -> &'a [Value] {
    diff[list].as_array().map_or(&[], Vec::as_slice)
}

/// Returns the entry of a name in one of the lists.
#[track_caller]
fn entry<'a>(diff: &'a Value, list: &str, name: &str) -> &'a Value {
    let found = entries(diff, list)
        .iter()
        .find(|entry| entry["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {list}: {:?}", names(diff, list)))
}

/// Says in a line for each list what is in it, with what of each derivation changed by itself.
fn outline(diff: &Value) -> String {
    let mut lines = String::new();
    for list in [
        "changed",
        "added",
        "removed",
        "selection",
        "rebuilt",
        "configuration",
    ] {
        let entries: Vec<String> = entries(diff, list)
            .iter()
            .map(|entry| {
                let name = entry["name"].as_str().expect("a name");
                let own: Vec<String> = entry["own"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(_, words)| words.as_array().is_some_and(|words| !words.is_empty()))
                    .map(|(key, words)| format!("{key} {words}"))
                    .collect();
                if own.is_empty() {
                    name.to_owned()
                } else {
                    format!("{name} ({})", own.join(", "))
                }
            })
            .collect();
        if !entries.is_empty() {
            writeln!(lines, "  {list}: {}", entries.join(", ")).expect("a line");
        }
    }
    lines
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_diff_of_everything_for_people() {
    let built = Built::new(EVERYTHING);
    let said = |format| {
        let output = built.diff(&built.before, &built.after, format);
        output.redacted_stdout()
    };
    insta::assert_snapshot!(said("text"), @"
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-desk-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000002-nixos-system-desk-24.05.20240601.cd5f9e2
    Version changes:
    [C*]  #1  nodejs                                       18.20.3, 20.14.0 -> 18.20.3, 20.15.0
    [U*]  #2  plasma-desktop, plasma-workspace and 5 more  6.4.1 -> 6.4.2
          selected: plasma-desktop, plasma-workspace, powerdevil
    [U.]  #3  python3                                      3.11.9 -> 3.12.4
    [U*]  #4  python3.11 -> python3.12: 7 packages
          selected: numpy, pyyaml, requests
    [D.]  #5  sqlite                                       3.45.3 -> 3.45.2
    Added packages:
    [A.]  #1  clang  18.1.8, +8.0MiB
          through nixos-system-desk, etc, user-environment, ripgrep
    Rebuilt, own change:
    [C.]  #1  openssl  3.0.13: patches + CVE-2024-5535.patch, + CVE-2024-6119.patch
    [C*]  #2  vim      9.1.0377: patches - CVE-2024-22667.patch
    [C*]  #3  glib     2.80.2: flags + --with-sysprof
    [C*]  #4  ripgrep  14.1.0: dependencies + clang
    Rebuilt only because of what they are built from: 7 packages (git, nix, openssh, systemd, curl,
        krb5, nghttp2)
    Configuration: 2 units (~ home-manager-alice.service, ~ openssh.service), 1 file of etc (~ hosts),
        1 home-manager file (~ .gitconfig)
    Restarts: home-manager-alice.service, openssh.service (openssh)
    Security: openssl 3.0.13 (rebuilt, own change), sqlite 3.45.3 -> 3.45.2; only rebuilt: curl, git,
        krb5, nghttp2 and 3 more
    Patches: + CVE-2024-5535.patch (openssl), + CVE-2024-6119.patch (openssl),
        - CVE-2024-22667.patch (vim)
    Closure size: 67 -> 68 (43 paths added, 42 paths removed, delta +1, disk usage +8.0MiB).
    ");
    insta::assert_snapshot!(said("markdown"), @"
    ## `nixos-system-desk-24.05.20240601.cd5f9e2` → `nixos-system-desk-24.05.20240601.cd5f9e2`

    8 upgraded, 1 downgraded, 1 changed, 7 renamed, 1 added, 4 rebuilt by own change, 7 otherwise rebuilt, 11 of the configuration.

    ```text
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-desk-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000002-nixos-system-desk-24.05.20240601.cd5f9e2
    ```

    ### Version changes: 5

    ```text
    [C*]  #1  nodejs                                       18.20.3, 20.14.0 -> 18.20.3, 20.15.0
    [U*]  #2  plasma-desktop, plasma-workspace and 5 more  6.4.1 -> 6.4.2
          selected: plasma-desktop, plasma-workspace, powerdevil
    [U.]  #3  python3                                      3.11.9 -> 3.12.4
    [U*]  #4  python3.11 -> python3.12: 7 packages
          selected: numpy, pyyaml, requests
    [D.]  #5  sqlite                                       3.45.3 -> 3.45.2
    ```

    ### Added packages: 1

    ```text
    [A.]  #1  clang  18.1.8, +8.0MiB
          through nixos-system-desk, etc, user-environment, ripgrep
    ```

    ### Rebuilt, own change: 4

    ```text
    [C.]  #1  openssl  3.0.13: patches + CVE-2024-5535.patch, + CVE-2024-6119.patch
    [C*]  #2  vim      9.1.0377: patches - CVE-2024-22667.patch
    [C*]  #3  glib     2.80.2: flags + --with-sysprof
    [C*]  #4  ripgrep  14.1.0: dependencies + clang
    ```

    ### Rebuilt only because of what they are built from: 7 packages

    ```text
    git, nix, openssh, systemd, curl, krb5, nghttp2
    ```

    ### Configuration: 2 units, 1 file of etc, 1 home-manager file

    ```text
    ~ home-manager-alice.service, ~ openssh.service
    ~ hosts
    ~ .gitconfig
    ```

    Closure size: 67 -> 68 (43 paths added, 42 paths removed, delta +1, disk usage +8.0MiB).
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_diff_says_what_a_reviewer_needs() {
    let diff = Built::new(EVERYTHING).data();

    // Packages, configuration and what is merely rebuilt are kept apart.
    for (list, configuration) in [
        ("changed", false),
        ("added", false),
        ("removed", false),
        ("rebuilt", false),
        ("configuration", true),
    ] {
        for name in names(&diff, list) {
            let known = ["etc", "system-path", "user-environment"];
            let starts = [
                "etc-",
                "hm_",
                "home-manager-",
                "nixos-system-",
                "unit-",
                "X-Restart-Triggers-",
            ];
            let is_configuration =
                known.contains(&name) || starts.iter().any(|start| name.starts_with(start));
            assert_eq!(is_configuration, configuration, "{name} is in {list}");
        }
    }

    // The same version, another hash: by its own doing or not, and by which.
    let own = |name: &str, key: &str| {
        let entry = entry(&diff, "rebuilt", name);
        assert_eq!(entry["cause"], "own", "{entry}");
        entry["own"][key].clone()
    };
    assert_eq!(
        own("openssl", "patches_added"),
        serde_json::json!(["CVE-2024-5535.patch", "CVE-2024-6119.patch"])
    );
    assert_eq!(
        own("vim", "patches_removed"),
        serde_json::json!(["CVE-2024-22667.patch"])
    );
    assert_eq!(
        own("glib", "flags_added"),
        serde_json::json!(["--with-sysprof"])
    );
    assert_eq!(entry(&diff, "rebuilt", "curl")["cause"], "inputs");
    assert_eq!(entry(&diff, "changed", "sqlite")["change"], "downgraded");

    // Several versions of one name, of which one moves.
    let nodejs = entry(&diff, "changed", "nodejs");
    let versions = |side: &str| -> Vec<&str> {
        let groups = nodejs[side].as_array().expect("groups").iter();
        groups
            .filter_map(|group| group["version"].as_str())
            .collect()
    };
    assert_eq!(versions("before"), ["18.20.3", "20.14.0"]);
    assert_eq!(versions("after"), ["18.20.3", "20.15.0"]);

    // Families.
    let families: Vec<String> = entries(&diff, "families")
        .iter()
        .map(|family| {
            format!(
                "{} {} -> {}: {}",
                family["kind"].as_str().expect("a kind"),
                family["before"].as_str().expect("a version"),
                family["after"].as_str().expect("a version"),
                family["packages"].as_array().expect("packages").len()
            )
        })
        .collect();
    for family in [
        "versions 6.4.1 -> 6.4.2: 7",
        "names python3.11 -> python3.12: 7",
    ] {
        assert!(families.iter().any(|found| found == family), "{families:?}");
    }

    // The cause of the size.
    let clang = entry(&diff, "added", "clang");
    assert!(clang["size_delta"].as_i64() > Some(8 << 20), "{clang}");
    assert_eq!(
        clang["via"],
        serde_json::json!(["nixos-system-desk", "etc", "user-environment", "ripgrep"])
    );

    // What moves to her home is as much selected as before.
    assert!(!names(&diff, "selection").contains(&"htop"), "{diff}");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_way_back_is_the_way_there_turned_around() {
    let built = Built::new(EVERYTHING);
    let there = built.data();
    let back = json(&built.diff(&built.after, &built.before, "json"));
    for (list, turned) in [
        ("changed", "changed"),
        ("added", "removed"),
        ("removed", "added"),
        ("selection", "selection"),
        ("rebuilt", "rebuilt"),
        ("configuration", "configuration"),
    ] {
        assert_eq!(names(&there, list), names(&back, turned), "{list}");
    }
    for (key, turned) in [
        ("paths_added", "paths_removed"),
        ("paths_removed", "paths_added"),
    ] {
        assert_eq!(there[key], back[turned], "{key}");
    }
    assert_eq!(
        there["size_delta"].as_i64(),
        back["size_delta"].as_i64().map(|delta| -delta)
    );
    let same = json(&built.diff(&built.after, &built.after, "json"));
    assert_eq!(outline(&same), "");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_report_says_of_a_host_what_a_diff_says() {
    let built = Built::new(EVERYTHING);
    let fleet = &built.fleet;
    // The lock of before, and the update once more.
    fleet.git(["reset", "-q", "--hard", "HEAD^"]);
    let report = |format| {
        let args = ["report", "--host", "desk", "--format", format];
        fleet.run(args).success()
    };
    let (told, diff) = (json(&report("json")), built.data());
    let told = &told["hosts"][0]["diff"];
    assert_eq!(outline(told), outline(&diff));
    assert!(*told == diff, "{told:#}\n{diff:#}");
    let text = built.diff(&built.before, &built.after, "text").stdout;
    let said = report("text").stdout;
    assert!(said.contains(&text), "{said}\ndoes not contain\n{text}");

    // A body has rows for a phone: without numbers, the weightiest first, and the way to a newcomer without the host. Each row of the
    // diff stands in it all the same, once.
    let said = report("markdown").stdout;
    let rows = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| line.starts_with('['));
        let mut rows: Vec<String> = rows
            .map(|row| {
                let words = row.split_whitespace();
                let words = words.filter(|word| !word.starts_with('#'));
                words.collect::<Vec<_>>().join(" ")
            })
            .collect();
        rows.sort();
        rows
    };
    assert!(rows(&text).len() > 8, "{text}");
    assert_eq!(rows(&said), rows(&text), "{said}\n{text}");
    // So do the names that stand in no row, and the last line, broken elsewhere.
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = flat(&said);
    for (start, end) in [
        ("7 packages (git", ")"),
        ("Configuration: ", ".gitconfig)"),
        ("Closure size: ", ")."),
    ] {
        let text = flat(&text);
        let (_, rest) = text.split_once(start).unwrap();
        let (part, _) = rest.split_once(end).unwrap();
        let part = format!("{start}{part}{end}");
        assert!(said.contains(&part), "{part}\nis not in\n{said}");
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn no_secret_in_a_flag_is_told() {
    let built = Built::new(&["flag:glib=--mirror=https://alice:s3cret@example.org/x"]);
    let fleet = &built.fleet;
    fleet.git(["reset", "-q", "--hard", "HEAD^"]);
    for format in ["text", "markdown", "json"] {
        let report = ["report", "--host", "desk", "--format", format];
        for output in [
            fleet.run(report).success(),
            built.diff(&built.before, &built.after, format),
        ] {
            assert!(
                output.stdout.contains("--mirror=https://example.org/x"),
                "{output}"
            );
            assert!(!output.stdout.contains("s3cret"), "{output}");
        }
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn small_updates() {
    let fleet = Fleet::new();
    fleet.bump_base(BASE);
    let mut said = String::new();
    for changes in [
        &["unit:openssh=Restart=always"][..],
        &["etc:hosts=10.0.0.1 desk"],
        &["etc:sshd_config=PermitRootLogin yes"],
        &["home:.gitconfig=[core]"],
        &["hm:fzf=0.53.0"],
        &["move:vim"],
        &["outputs:glib=out lib"],
        &["outputs:glib=out lib dev doc"],
        &["source:nodejs_18=another source"],
        &["script:htop=true"],
        &["patch:perl=CVE-2023-47038.patch"],
        &["patch:perl=CVE-2023-47039.patch", "perl=5.38.3"],
        &["nodejs_20=18.20.3"],
        &["nixos=24.05.20240608.cd5f9e2"],
        &["nixos=24.11.20241201.0123456"],
    ] {
        fleet.bump(changes);
        let output = fleet.run(["report", "--host", "desk", "--format", "json"]);
        let report = json(&output.success());
        let outline = outline(&report["hosts"][0]["diff"]);
        write!(said, "{}\n{outline}", changes.join(" ")).expect("lines");
        // What was told is the base of what comes next.
        update(&fleet);
    }
    insta::assert_snapshot!(said, @r#"
    unit:openssh=Restart=always
      configuration: etc, nixos-system-desk, unit-openssh.service
    etc:hosts=10.0.0.1 desk
      configuration: etc, etc-hosts, nixos-system-desk
    etc:sshd_config=PermitRootLogin yes
      configuration: X-Restart-Triggers-openssh, etc, etc-sshd_config, nixos-system-desk, unit-openssh.service
    home:.gitconfig=[core]
      configuration: etc, hm_.gitconfig, home-manager-files, home-manager-generation, nixos-system-desk, unit-home-manager-alice.service
    hm:fzf=0.53.0
      changed: fzf
      configuration: etc, home-manager-generation, home-manager-path, nixos-system-desk, unit-home-manager-alice.service
    move:vim
      configuration: etc, home-manager-generation, home-manager-path, nixos-system-desk, system-path, unit-home-manager-alice.service
    outputs:glib=out lib
      rebuilt: bluedevil, glib (attributes ["outputs"]), kscreen, kwin, plasma-desktop, plasma-workspace, powerdevil
      configuration: nixos-system-desk, system-path
    outputs:glib=out lib dev doc
      rebuilt: bluedevil, glib (attributes ["outputs"]), kscreen, kwin, plasma-desktop, plasma-workspace, powerdevil
      configuration: nixos-system-desk, system-path
    source:nodejs_18=another source
      rebuilt: nodejs (sources ["nodejs_18-18.20.3.tar.gz"])
      configuration: nixos-system-desk, system-path
    script:htop=true
      rebuilt: htop (attributes ["args"])
      configuration: nixos-system-desk, system-path
    patch:perl=CVE-2023-47038.patch
      rebuilt: git, perl (patches_added ["CVE-2023-47038.patch"])
      configuration: nixos-system-desk, system-path
    patch:perl=CVE-2023-47039.patch perl=5.38.3
      changed: perl (patches_added ["CVE-2023-47039.patch"])
      rebuilt: git
      configuration: nixos-system-desk, system-path
    nodejs_20=18.20.3
      changed: nodejs
      configuration: nixos-system-desk, system-path
    nixos=24.05.20240608.cd5f9e2
      configuration: nixos-system-desk
    nixos=24.11.20241201.0123456
      changed: nixos-system-desk
    "#);
}
