//! `flake-herald report` on the fixture fleet: what it says, and what it leaves alone.

use serde_json::Value;

use crate::support::{CommandOutput, Fleet, faults};

/// The report as data.
pub(crate) fn json(output: &CommandOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}:\n{output}"))
}

/// Fails where a report is not what its schema says.
fn assert_fits_the_schema(report: &Value) {
    let schema = include_str!("../../docs/report.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    assert_eq!(faults(&schema, report), Vec::<String>::new());
}

/// Each host's status, by name.
pub(crate) fn statuses(report: &Value) -> Vec<String> {
    report["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| {
            format!(
                "{} {}",
                host["name"].as_str().unwrap(),
                host["status"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_update_is_told_host_by_host_and_nothing_is_touched() {
    let fleet = Fleet::new();
    fleet.bump(&[
        "openssl=3.0.14",
        "firefox=127.0",
        "linux=6.6.35",
        "remove:parted",
        "remove:htop",
        "hm:fzf=0.53.0",
        "hw:0.5.0",
    ]);
    // What an earlier build left: nothing is compared with it, and it stays.
    let stale = fleet.flake().join("result-webserver");
    std::os::unix::fs::symlink("/nix/store/stale", &stale).unwrap();
    let before = fleet.repository();
    let output = fleet
        .run(["report", "--format", "text", "--exclude-host", "pi"])
        .success();
    insta::assert_snapshot!(output, @"
    4 hosts: 4 changed
    Nothing breaks.
    Reboot: 4 of 4 hosts: linux 6.6.32 -> 6.6.35 on all 4 hosts; kernel modules zfs-kernel 2.2.4-6.6.32
        rebuilt on nas
    Gone: htop 3.3.0 on nas, webserver
    New major version: firefox 126.0 -> 127.0 on devbox
    Selected packages: htop 3.3.0 removed on nas, webserver; firefox 126.0 -> 127.0 on devbox; fzf
        0.52.1 -> 0.53.0 on devbox
    Size: -5.2KiB a host at the median, -10.4KiB in sum; 7 packages move, 20 rebuilt
    Security: openssl 3.0.13 -> 3.0.14 on all 4 hosts; only rebuilt: curl, krb5, nghttp2, nix and 11
        more
    Restarts: up to 3 services a host on all 4 hosts: openssh, docker, nginx, postgresql and 1 more
    Stands out: devbox (a new major version of its own)

    Inputs:
      home-manager (git)    c3x0000 -> c4x0000  2024-06-01 -> 2024-06-02, 1 day
      nixos-hardware (git)  c5x0000 -> c6x0000  2024-06-01 -> 2024-06-02, 1 day
      nixpkgs (git)         c1x0000 -> c2x0000  2024-06-01 -> 2024-06-02, 1 day

    Left out: nixos:installer-minimal by *-minimal, nixos:pi by pi

    == devbox (changed)
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-devbox-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000002-nixos-system-devbox-24.05.20240601.cd5f9e2
    Version changes:
    [U*]  #1  firefox  126.0 -> 127.0
    [U*]  #2  fzf      0.52.1 -> 0.53.0
    [U.]  #3  linux    6.6.32 -> 6.6.35 (with initrd-linux)
    [U.]  #4  openssl  3.0.13 -> 3.0.14
    Rebuilt only because of what they are built from: 12 packages (chromium, curl, docker, git,
        gnome-shell, nix, openssh, python3, systemd, dbus, krb5, nghttp2)
    Configuration: 2 units (~ docker.service, ~ openssh.service)
    Reboot: kernel 6.6.32 -> 6.6.35, initrd
    Restarts: docker.service (docker), openssh.service (openssh)
    Security: firefox 126.0 -> 127.0, linux 6.6.32 -> 6.6.35,
        openssl 3.0.13 -> 3.0.14; only rebuilt: chromium, curl, dbus, docker and 6 more
    Closure size: 57 -> 57 (24 paths added, 24 paths removed, delta +0, disk usage +0B).

    == nas (changed)
    <<< $D/nix/store/h0000000000000000000000000000003-nixos-system-nas-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000004-nixos-system-nas-24.05.20240601.cd5f9e2
    Version changes:
    [U.]  #1  fanctl   0.4.1 -> 0.5.0
    [U.]  #2  linux    6.6.32 -> 6.6.35 (with initrd-linux)
    [U.]  #3  openssl  3.0.13 -> 3.0.14
    Removed packages:
    [R-]  #1  htop  3.3.0
    Rebuilt only because of what they are built from: 11 packages (curl, nix, openssh, restic, samba,
        systemd, zfs-kernel, zfs-user, krb5, nghttp2, python3)
    Configuration: 2 units (~ openssh.service, ~ samba.service)
    Reboot: kernel 6.6.32 -> 6.6.35, kernel modules zfs-kernel 2.2.4-6.6.32 (rebuilt), initrd
    Restarts: openssh.service (openssh), samba.service (samba)
    Security: linux 6.6.32 -> 6.6.35, openssl 3.0.13 -> 3.0.14; only rebuilt: curl, krb5, nghttp2,
        nix and 3 more
    Closure size: 46 -> 45 (20 paths added, 21 paths removed, delta -1, disk usage -5.2KiB).

    == router (changed)
    <<< $D/nix/store/h0000000000000000000000000000005-nixos-system-router-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000006-nixos-system-router-24.05.20240601.cd5f9e2
    Version changes:
    [U.]  #1  linux    6.6.32 -> 6.6.35 (with initrd-linux)
    [U.]  #2  openssl  3.0.13 -> 3.0.14
    Rebuilt only because of what they are built from: 6 packages (nix, openssh, systemd, curl, krb5,
        nghttp2)
    Configuration: 1 unit (~ openssh.service)
    Reboot: kernel 6.6.32 -> 6.6.35, initrd
    Restarts: openssh.service (openssh)
    Security: linux 6.6.32 -> 6.6.35, openssl 3.0.13 -> 3.0.14; only rebuilt: curl, krb5, nghttp2,
        nix and 2 more
    Closure size: 28 -> 28 (13 paths added, 13 paths removed, delta +0, disk usage +0B).

    == webserver (changed)
    <<< $D/nix/store/h0000000000000000000000000000007-nixos-system-webserver-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000008-nixos-system-webserver-24.05.20240601.cd5f9e2
    Version changes:
    [U.]  #1  linux    6.6.32 -> 6.6.35 (with initrd-linux)
    [U.]  #2  openssl  3.0.13 -> 3.0.14
    Removed packages:
    [R-]  #1  htop  3.3.0
    Rebuilt only because of what they are built from: 11 packages (certbot, curl, nginx, nix, openssh,
        php, postgresql, systemd, krb5, nghttp2, python3)
    Configuration: 3 units (~ nginx.service, ~ openssh.service, ~ postgresql.service)
    Reboot: kernel 6.6.32 -> 6.6.35, initrd
    Restarts: nginx.service (nginx), openssh.service (openssh), postgresql.service (postgresql)
    Security: linux 6.6.32 -> 6.6.35, openssl 3.0.13 -> 3.0.14; only rebuilt: certbot, curl, krb5,
        nghttp2 and 6 more
    Closure size: 44 -> 43 (20 paths added, 21 paths removed, delta -1, disk usage -5.2KiB).
    ------- stderr -------
    Staging the update …
    Evaluating 4 hosts, before and after …
    Building what differs on 4 hosts …
      131 derivations to build, 0 paths to fetch
    Reading the closures …
    Comparing the closures …
    [exit status: 0]
    ");
    assert_eq!(fleet.repository(), before);
    assert!(stale.is_symlink());
    assert_eq!(left_over(&fleet), Vec::<String>::new());
}

/// What is left in the directory for temporary files.
pub(crate) fn left_over(fleet: &Fleet) -> Vec<String> {
    let dir = fleet.env().dir().join("tmp");
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_report_in_every_form_and_for_the_runner() {
    let mut fleet = Fleet::new();
    fleet.bump(&["openssl=3.0.14", "nginx=1.26.1"]);
    let out = fleet.env().dir().join("out");
    fleet.env_mut().set("GITHUB_ACTIONS", "true");
    for name in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
        let file = fleet.env().write(name.to_lowercase(), "before\n");
        fleet.env_mut().set(name, file);
    }
    let output = fleet
        .run([
            "report",
            "--host",
            "webserver",
            "--output-dir",
            out.to_str().unwrap(),
        ])
        .success();
    insta::assert_snapshot!(output, @"
    ## 1 host: changed

    - **Nothing breaks.**
    - **No reboot.**
    - **Selected packages:** `nginx` `1.26.0` → `1.26.1`
    - **Size:** +0B; 2 packages move, 10 rebuilt
    - **Security:** `openssl` `3.0.13` → `3.0.14`; only rebuilt: `certbot`, `curl`, `krb5`, `nghttp2` and 5 more
    - **Restarts:** 3 services: `nginx`, `openssh`, `postgresql`

    ### Inputs

    | input | change | time |
    | --- | --- | --- |
    | `nixpkgs` (`git`) | `c1x0000` → `c2x0000` | `2024-06-01` → `2024-06-02` 1 day |

    ### `webserver`

    ```text
    [U*] nginx   1.26.0 -> 1.26.1
    [U.] openssl 3.0.13 -> 3.0.14
    ```

    <details><summary>Only rebuilt: 10 packages; Configuration: 3 units</summary>

    ```text
    Only rebuilt: 10 packages (certbot, curl, nix,
        openssh, php, postgresql, systemd, krb5,
        nghttp2, python3)
    Configuration: 3 units (~ nginx.service,
        ~ openssh.service, ~ postgresql.service)
    Closure size: 44 -> 44 (18 paths added,
        18 paths removed, delta +0,
        disk usage +0B).
    ```

    </details>
    ------- stderr -------
    ::group::Staging the update
    ::endgroup::
    ::group::Evaluating 1 host, before and after
    ::endgroup::
    ::group::Building what differs on 1 host
      66 derivations to build, 0 paths to fetch
    ::endgroup::
    ::group::Reading the closures
    ::endgroup::
    ::group::Comparing the closures
    ::endgroup::
    [exit status: 0]
    ");

    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["flake.lock", "report.json", "report.md", "report.txt"]
    );
    assert_eq!(read(&out.join("report.md")), output.stdout);
    assert_eq!(
        read(&fleet.env().dir().join("github_step_summary")),
        format!("before\n{}", output.stdout)
    );
    assert!(read(&out.join("report.txt")).contains("== webserver (changed)\n<<< /"));
    assert_ne!(
        read(&out.join("flake.lock")),
        read(&fleet.flake().join("flake.lock"))
    );

    let report: Value = serde_json::from_str(&read(&out.join("report.json"))).unwrap();
    assert_fits_the_schema(&report);
    assert_eq!(report["schema"], 1);
    assert_eq!(
        report["flake"]["rev"].as_str(),
        Some(fleet.git(["rev-parse", "HEAD"]).trim())
    );
    assert_eq!(report["lock"]["origin"], "staged");
    assert_eq!(
        report["scope"]["exclude_hosts"],
        serde_json::json!(["*-minimal"])
    );
    assert_eq!(report["excluded"], serde_json::json!([]));

    let outputs = read(&fleet.env().dir().join("github_output"));
    let delimiter = outputs
        .lines()
        .nth(1)
        .unwrap()
        .split_once("<<")
        .unwrap()
        .1
        .to_owned();
    let outputs = outputs
        .replace(&delimiter, "END")
        .replace(fleet.env().dir().to_str().unwrap(), "$D");
    insta::assert_snapshot!(outputs, @r#"
    before
    outcome<<END
    changed
    END
    exit-code<<END
    0
    END
    has-changes<<END
    true
    END
    changed-hosts<<END
    ["webserver"]
    END
    broken-hosts<<END
    []
    END
    report-json<<END
    $D/out/report.json
    END
    report-markdown<<END
    $D/out/report.md
    END
    pull-request-number<<END

    END
    pull-request-url<<END

    END
    pull-request-operation<<END
    none
    END
    "#);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_same_input_gives_the_same_bytes_and_a_later_commit_the_same_digest() {
    let fleet = Fleet::new();
    fleet.bump(&["openssl=3.0.14", "fail:php", "throw:nas"]);
    // An error whose place is in the flake's own source, which is another one with every commit.
    let flake = std::fs::read_to_string(fleet.flake().join("flake.nix")).unwrap();
    let own =
        "homeless = { config.system.build.toplevel = 1 + \"x\"; };\n    } // builtins.mapAttrs";
    fleet.write(
        "flake.nix",
        flake.replacen("} // builtins.mapAttrs", own, 1),
    );
    fleet.commit("a host with a fault of its own");
    let run = || {
        let mut report = json(
            &fleet
                .run(["report", "--format", "json", "--exclude-host", "router"])
                .code(4),
        );
        assert_fits_the_schema(&report);
        report["timing"] = Value::Null;
        report
    };
    let first = run();
    assert_eq!(first, run());
    fleet.write("README", "an unrelated commit");
    fleet.commit("unrelated");
    let later = run();
    assert_ne!(first["flake"]["rev"], later["flake"]["rev"]);
    assert_eq!(first["digest"], later["digest"]);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn nothing_to_update_is_2_and_a_fleet_proved_unchanged_is_3() {
    let fleet = Fleet::new();
    let same = fleet.run(["report"]).code(2);
    let dry = fleet.run(["run", "--dry-run"]).code(2);
    assert_eq!(dry.to_string(), same.to_string());
    insta::assert_snapshot!(same, @"
    ## flake.lock does not change

    Left out: `nixos:installer-minimal` by `*-minimal`
    ------- stderr -------
    Staging the update …
    [exit status: 2]
    ");
    // Other derivations, equal outputs: nothing is built or read.
    fleet.bump(&[
        "mirror:nginx=https://mirror.example/nginx",
        "mirror:openssl=https://mirror.example/openssl",
    ]);
    let proved = fleet.run(["report", "--format", "text"]).code(3);
    insta::assert_snapshot!(proved, @"
    flake.lock changes, all 5 hosts stay as they are

    Inputs:
      nixpkgs (git)  c1x0000 -> c2x0000  2024-06-01 -> 2024-06-02, 1 day

    Left out: nixos:installer-minimal by *-minimal

    == devbox (unchanged)
    == nas (unchanged)
    == pi (unchanged)
    == router (unchanged)
    == webserver (unchanged)
    ------- stderr -------
    Staging the update …
    Evaluating 5 hosts, before and after …
    Comparing the closures …
    [exit status: 3]
    ");
    let built: Vec<_> = std::fs::read_dir(fleet.env().var("NIX_STORE_DIR").unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("nixos-system") && !name.ends_with(".drv"))
        .collect();
    assert_eq!(built, Vec::<String>::new());
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_home_and_a_path_of_the_users_are_hosts_too() {
    let fleet = Fleet::new();
    fleet.bump(&["hm:fzf=0.53.0"]);
    let home = fleet
        .run(["report", "--kind", "home", "--format", "text"])
        .success();
    insta::assert_snapshot!(home, @"
    1 host: changed
    Nothing breaks.
    No reboot.
    Selected packages: fzf 0.52.1 -> 0.53.0
    Size: +0B; 1 package moves

    Inputs:
      home-manager (git)  c2x0000 -> c3x0000  2024-06-01 -> 2024-06-02, 1 day

    == alice@devbox (changed)
    <<< $D/nix/store/h0000000000000000000000000000001-home-manager-generation
    >>> $D/nix/store/h0000000000000000000000000000002-home-manager-generation
    Version changes:
    [U*]  #1  fzf  0.52.1 -> 0.53.0
    Closure size: 17 -> 17 (3 paths added, 3 paths removed, delta +0, disk usage +0B).
    ------- stderr -------
    Staging the update …
    Evaluating 1 host, before and after …
    Building what differs on 1 host …
      21 derivations to build, 0 paths to fetch
    Reading the closures …
    Comparing the closures …
    [exit status: 0]
    ");
    let report = json(
        &fleet
            .run([
                "report",
                "--kind",
                "nixos",
                "--kind",
                "home",
                "--host",
                "webserver",
                "--attr",
                "homeConfigurations.\"alice@devbox\".activationPackage",
                "--format",
                "json",
            ])
            .success(),
    );
    assert_eq!(
        statuses(&report),
        [
            "webserver unchanged",
            "homeConfigurations.\"alice@devbox\".activationPackage changed"
        ]
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn hosts_are_listed_as_a_matrix_takes_them() {
    let fleet = Fleet::new();
    insta::assert_snapshot!(fleet.run(["hosts", "--kind", "nixos", "--kind", "home"]).success(), @"
    devbox
    nas
    pi
    router
    webserver
    alice@devbox
    ------- stderr -------
      left out: `nixos:installer-minimal` by `*-minimal`
    [exit status: 0]
    ");
    insta::assert_snapshot!(fleet.run(["hosts", "--format", "json", "--systems", "--host", "pi", "--host", "installer-*"]).success(), @r#"
    {"scope":{"id":"2efef9b397f96b61","dir":".","kinds":["nixos"],"attrs":[],"hosts":["installer-*","pi"],"exclude_hosts":["*-minimal"],"inputs":[],"exclude_inputs":[]},"excluded":[{"kind":"nixos","name":"installer-minimal","pattern":"*-minimal"}],"hosts":[{"id":"nixos:pi","kind":"nixos","name":"pi","attr":"nixosConfigurations.pi.config.system.build.toplevel","system":"aarch64-linux"}]}
    [exit status: 0]
    "#);
    insta::assert_snapshot!(fleet.run(["hosts", "--host", "webservre"]).code(1), @"
    ------- stderr -------
    Error: no host matches `webservre`; the flake has `nixos:devbox`, `nixos:installer-minimal`, `nixos:nas`, `nixos:pi`, `nixos:router`, `nixos:webserver`
    Hint: did you mean `webserver`?
    [exit status: 1]
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flake_below_the_top_of_a_shallow_clone_is_read_where_it_is() {
    let fleet = Fleet::new();
    let dir = fleet.env().dir().to_owned();
    std::fs::create_dir(fleet.flake().join("sub dir")).unwrap();
    fleet.git(["mv", "flake.nix", "flake.lock", "more-hosts", "sub dir/"]);
    fleet.commit("below");
    fleet.bump(&["nginx=1.26.1"]);
    fleet.git([
        "clone",
        "-q",
        "--depth=1",
        &format!("file://{}", fleet.flake().display()),
        dir.join("shallow").to_str().unwrap(),
    ]);
    let clone = dir.join("shallow/sub dir");
    let output = fleet
        .env()
        .run_in(
            &clone,
            ["report", "--format", "json", "--host", "webserver"],
        )
        .success();
    let report = json(&output);
    assert_eq!(statuses(&report), ["webserver changed"]);
    assert_eq!(report["scope"]["dir"], "sub dir");
    assert_eq!(report["flake"]["dir"], "sub dir");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flake_without_git_is_read_too() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    std::fs::remove_dir_all(fleet.flake().join(".git")).unwrap();
    let report = json(
        &fleet
            .env()
            .run_in(
                &fleet.flake(),
                ["report", "--format", "json", "--host", "webserver"],
            )
            .success(),
    );
    assert_eq!(statuses(&report), ["webserver changed"]);
    assert_eq!(report["flake"]["rev"], Value::Null);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_readmes_report_is_what_the_demo_prints() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let demo = read("scripts/demo");
    let (_, changes) = demo.split_once("bump.sh\" \"$dir\" \\\n").unwrap();
    let (changes, _) = changes.split_once("\n\n").unwrap();
    let changes: Vec<&str> = changes
        .split_whitespace()
        .filter(|word| *word != "\\")
        .collect();
    let readme = read("README.md");
    let (_, told) = readme.split_once("```text\n").unwrap();
    let (told, _) = told.split_once("\n```").unwrap();

    let fleet = Fleet::new();
    fleet.bump(&changes);
    let output = fleet
        .run(["report", "--color", "never", "--format", "text"])
        .success();
    let dir = fleet.env().dir().to_str().unwrap();
    assert_eq!(
        without_hashes(told, "/tmp/flake-herald-demo"),
        without_hashes(output.stdout.trim_end(), dir)
    );
}

/// A report's text without what depends on the directory the fleet is in.
fn without_hashes(text: &str, dir: &str) -> String {
    let is_revision = |word: &str| word.len() == 7 && word.chars().all(|c| c.is_ascii_hexdigit());
    text.lines()
        .map(|line| {
            let words: Vec<String> = line
                .replace(&format!("{dir}/"), "")
                .split(' ')
                .map(|word| match word.split_once('-') {
                    Some((_, name)) if word.starts_with("nix/store/") => name.to_owned(),
                    _ if is_revision(word) => "REV".to_owned(),
                    _ => word.to_owned(),
                })
                .collect();
            // Packages hold paths, so their sizes depend on it too.
            let line = words.join(" ");
            let line = line.split(", disk usage").next().unwrap_or_default();
            let line = if line.starts_with("Size: ") {
                "Size"
            } else {
                line
            };
            format!("{line}\n")
        })
        .collect()
}
