//! `--no-build`: what evaluation alone tells.

use std::fs;

use flake_herald::report::{Report, merge, parse, to_json};
use serde_json::{Value, json};

use crate::report::{json, statuses};
use crate::support::Fleet;

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_update_is_told_without_building_anything() {
    let mut fleet = Fleet::new();
    let shim = fleet.shim();
    fleet.bump(&[
        "openssl=3.0.14",
        "firefox=127.0",
        "postgresql=15.6",
        "remove:htop",
        "hm:fzf=0.53.0",
        "throw:nas",
    ]);
    let flags = ["report", "--no-build", "--kind", "nixos", "--kind", "home"];
    let before = fleet.repository();
    shim.clear();
    let text = fleet
        .run(flags.into_iter().chain(["--format", "text"]))
        .code(4);
    insta::assert_snapshot!(text, @"
    6 hosts: 1 broken by the update, 5 changed (nothing was built: closures are not known)
    Broken by the update: nas
    Reboot and size not known: nothing was built
    Downgraded: postgresql 15.7 -> 15.6 on webserver
    Gone: htop 3.3.0 on pi, webserver
    New major version: firefox 126.0 -> 127.0 on devbox
    Selected packages: fzf 0.52.1 -> 0.53.0 on devbox, alice@devbox; htop 3.3.0 removed on pi,
        webserver; firefox 126.0 -> 127.0 on devbox; postgresql 15.7 -> 15.6 on webserver
    Security: only rebuilt: nix, openssh, systemd, curl and 6 more
    Stands out: devbox (a new major version of its own), webserver (a downgrade of its own)
    To build: 102 derivations; to fetch: 0 paths

    Inputs:
      home-manager (git)  c3x0000 -> c4x0000  2024-06-01 -> 2024-06-02, 1 day
      nixpkgs (git)       c1x0000 -> c2x0000  2024-06-01 -> 2024-06-02, 1 day

    Left out: nixos:installer-minimal by *-minimal

    == nas (broken)
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-nas-24.05.20240601.cd5f9e2
    does not evaluate after the update
      host nas: the option `services.frobnicate' does not exist

    == devbox (changed)
    <<< $D/nix/store/h0000000000000000000000000000002-nixos-system-devbox-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000003-nixos-system-devbox-24.05.20240601.cd5f9e2
    Version changes:
    [U*]  #1  firefox  126.0 -> 127.0
    [U*]  #2  fzf      0.52.1 -> 0.53.0
    Rebuilt, cause not known: 9 packages (chromium, curl, docker, git, gnome-shell, nix, openssh,
        python3, systemd)
    Security: firefox 126.0 -> 127.0; rebuilt, cause not known: chromium, curl, docker, git and 3 more
    Not built: only packages selected by the configuration are compared.

    == pi (changed)
    <<< $D/nix/store/h0000000000000000000000000000004-nixos-system-pi-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000005-nixos-system-pi-24.05.20240601.cd5f9e2
    Removed packages:
    [R-]  #1  htop  3.3.0
    Rebuilt, cause not known: 4 packages (nginx, nix, openssh, systemd)
    Security: rebuilt, cause not known: nginx, nix, openssh, systemd
    Not built: only packages selected by the configuration are compared.

    == router (changed)
    <<< $D/nix/store/h0000000000000000000000000000006-nixos-system-router-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000007-nixos-system-router-24.05.20240601.cd5f9e2
    No version or selection state changes.
    Rebuilt, cause not known: 3 packages (nix, openssh, systemd)
    Security: rebuilt, cause not known: nix, openssh, systemd
    Not built: only packages selected by the configuration are compared.

    == webserver (changed)
    <<< $D/nix/store/h0000000000000000000000000000008-nixos-system-webserver-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000009-nixos-system-webserver-24.05.20240601.cd5f9e2
    Version changes:
    [D*]  #1  postgresql  15.7 -> 15.6
    Removed packages:
    [R-]  #1  htop  3.3.0
    Rebuilt, cause not known: 7 packages (certbot, curl, nginx, nix, openssh, php, systemd)
    Security: postgresql 15.7 -> 15.6; rebuilt, cause not known: certbot, curl, nginx, nix and 3 more
    Not built: only packages selected by the configuration are compared.

    == alice@devbox (changed)
    <<< $D/nix/store/h0000000000000000000000000000010-home-manager-generation
    >>> $D/nix/store/h0000000000000000000000000000011-home-manager-generation
    Version changes:
    [U*]  #1  fzf  0.52.1 -> 0.53.0
    Rebuilt, cause not known: 1 package (git)
    Security: rebuilt, cause not known: git
    Not built: only packages selected by the configuration are compared.
    ------- stderr -------
    Staging the update …
    Evaluating 6 hosts, before and after …
    Listing the selected packages of 5 hosts, before and after …
    Asking what is to build and to fetch …
    [exit status: 4]
    ");
    assert_eq!(fleet.repository(), before);
    let calls = shim.nix_calls();
    let works = calls.iter().any(|call| {
        call.has("--realise") && !call.has("--dry-run")
            || call.has("--dump-db")
            || call.args.iter().any(|arg| arg == "build")
    });
    assert!(!works, "{calls:#?}");
    // One for the hosts, the two sides and one alone for its message, the two sides' packages.
    let evaluations = calls.iter().filter(|call| call.has(" eval ")).count();
    assert_eq!((evaluations, calls.len()), (6, 11), "{calls:#?}");

    let markdown = fleet.run(["report", "--no-build", "--host", "webserver"]);
    insta::assert_snapshot!(markdown.redacted_stdout(), @"
    ## 1 host: changed (nothing was built: closures are not known)

    - **Nothing breaks:** as far as evaluation tells
    - **Reboot and size not known:** nothing was built
    - **Downgraded:** `postgresql` `15.7` → `15.6`
    - **Gone:** `htop` `3.3.0`
    - **Selected packages:** `postgresql` `15.7` → `15.6`, `htop` `3.3.0` removed
    - **Security:** only rebuilt: `certbot`, `curl`, `nginx`, `nix` and 3 more

    To build: 45 derivations; to fetch: 0 paths.

    ### Inputs

    | input | change | time |
    | --- | --- | --- |
    | `home-manager` (`git`) | `c3x0000` → `c4x0000` | `2024-06-01` → `2024-06-02` 1 day |
    | `nixpkgs` (`git`) | `c1x0000` → `c2x0000` | `2024-06-01` → `2024-06-02` 1 day |

    ### `webserver`

    ```text
    [D*] postgresql 15.7 -> 15.6
    [R-] htop       3.3.0
    ```

    <details><summary>Rebuilt, cause not known: 7 packages</summary>

    ```text
    Rebuilt, cause not known: 7 packages (certbot,
        curl, nginx, nix, openssh, php, systemd)
    ```

    </details>
    ");

    // What is about building is not heeded, and does no harm.
    let more = [
        "--format",
        "json",
        "--max-jobs",
        "0",
        "--build-timeout",
        "1s",
        "--store-reader",
        "command",
    ];
    let report = json(&fleet.run(flags.into_iter().chain(more)).code(4));
    assert_eq!(
        (&report["built"], &report["outcome"]),
        (&json!(false), &json!("changed"))
    );
    let fleet_numbers = &report["fleet"];
    assert_eq!(fleet_numbers["size_delta"], Value::Null);
    let to_build =
        json!({ "derivations": 102, "fetched_paths": 0, "download_size": 0, "unpacked_size": 0 });
    assert_eq!(fleet_numbers["to_build"], to_build);
    let host = report["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|host| host["name"] == "alice@devbox");
    let mut host = host.unwrap().clone();
    host["system"] = Value::Null;
    host["diff"]["rebuilt"] = json!(host["diff"]["rebuilt"].as_array().unwrap().len());
    let host = serde_json::to_string_pretty(&host).unwrap();
    insta::assert_snapshot!(text.redactor.clone().redact(&host), @r#"
    {
      "after": {
        "drv_path": "$D/nix/store/h0000000000000000000000000000001-home-manager-generation.drv",
        "nar_size": null,
        "out_path": "$D/nix/store/h0000000000000000000000000000002-home-manager-generation",
        "paths": null
      },
      "attr": "homeConfigurations.\"alice@devbox\".activationPackage",
      "before": {
        "drv_path": "$D/nix/store/h0000000000000000000000000000003-home-manager-generation.drv",
        "nar_size": null,
        "out_path": "$D/nix/store/h0000000000000000000000000000004-home-manager-generation",
        "paths": null
      },
      "diff": {
        "added": [],
        "changed": [
          {
            "after": [
              {
                "outputs": [
                  "out"
                ],
                "paths": [
                  "$D/nix/store/h0000000000000000000000000000005-fzf-0.53.0"
                ],
                "version": "0.53.0"
              }
            ],
            "before": [
              {
                "outputs": [
                  "out"
                ],
                "paths": [
                  "$D/nix/store/h0000000000000000000000000000006-fzf-0.52.1"
                ],
                "version": "0.52.1"
              }
            ],
            "change": "upgraded",
            "name": "fzf",
            "own": null,
            "selected": "yes",
            "size_delta": null,
            "via": null
          }
        ],
        "configuration": [],
        "families": [],
        "paths_added": null,
        "paths_removed": null,
        "rebuilt": 1,
        "removed": [],
        "selection": [],
        "size_delta": null
      },
      "failure": null,
      "impact": {
        "downgrades": [],
        "gone": [],
        "kernel": null,
        "major": [],
        "patches": [],
        "reboot": {
          "needed": false,
          "reasons": []
        },
        "release": null,
        "security": [
          {
            "after": "2.44.1",
            "before": "2.44.1",
            "cause": "unknown",
            "change": "rebuilt",
            "name": "git"
          }
        ],
        "systemd": null,
        "units_changed": [],
        "vulnerabilities": []
      },
      "kind": "home",
      "name": "alice@devbox",
      "reason": null,
      "status": "changed",
      "system": null
    }
    "#);

    // With the same words as the report of a build, where there is one.
    let built = json(
        &fleet
            .run(["report", "--host", "webserver", "--format", "json"])
            .success(),
    );
    assert_eq!(
        (&built["built"], &built["fleet"]["to_build"]),
        (&json!(true), &Value::Null)
    );
    let selected = |report: &Value, list: &str| -> Vec<Value> {
        let host = report["hosts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|host| host["name"] == "webserver");
        let list = host.unwrap()["diff"][list].as_array().unwrap();
        list.iter()
            .filter(|entry| entry["selected"] != "no")
            .map(|entry| {
                let mut entry = entry.clone();
                // What only a build tells, or only derivations that were read.
                for key in ["size_delta", "cause", "own"] {
                    entry[key] = Value::Null;
                }
                entry
            })
            .collect()
    };
    for list in ["changed", "added", "removed", "rebuilt"] {
        assert_eq!(selected(&report, list), selected(&built, list), "{list}");
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_cannot_be_listed_is_said_and_fails_nobody_else() {
    let fleet = Fleet::new();
    let flake = fs::read_to_string(fleet.flake().join("flake.nix")).unwrap();
    let host = |name: &str, more: &str| {
        format!("{name} = {{ config = {{ system.build.toplevel = pkgs.openssl; {more} }}; }};\n")
    };
    let hosts = [
        host("none", ""),
        host("number", "environment.systemPackages = 5;"),
        host("thrower", "environment.systemPackages = throw \"x\";"),
        host("typed", "environment.systemPackages = [ (1 + \"x\") ];"),
        host(
            "odd",
            "users.users = { a = 5; b.packages = null; c.packages = [ pkgs.curl ]; };
            environment.systemPackages = [ null \"text\" { } { name = \"a-1\"; } { name = \"b-1\"; outPath = ./.; } (throw \"y\")
              { name = \"c-1\"; outPath = \"/not/in/a/store\"; } pkgs.openssl pkgs.openssl ];",
        ),
    ]
    .concat();
    let hosts = format!("{hosts}}} // builtins.mapAttrs");
    fleet.write(
        "flake.nix",
        flake.replacen("} // builtins.mapAttrs", &hosts, 1),
    );
    fleet.commit("odd hosts");
    fleet.bump_base(&["throw:nas", "throw:devbox"]);
    fleet.bump(&["openssl=3.0.14", "fix:nas", "throw:webserver"]);
    let flags = [
        "report",
        "--no-build",
        "--exclude-host",
        "pi",
        "--exclude-host",
        "router",
        "--attr",
        "nixosConfigurations.pi.config.system.build.toplevel",
        "--format",
        "text",
    ];
    let text = fleet.run(flags).code(4);
    insta::assert_snapshot!(text, @"
    9 hosts: 1 broken by the update, 1 broken with and without the update, 1 mended, 6 changed (nothing was built: closures are not known)
    Broken by the update: webserver
    Broken with and without the update: devbox
    Mended by the update: nas
    Reboot and size not known: nothing was built
    Selected packages: openssl 3.0.13 -> 3.0.14 on odd
    Security: only rebuilt: curl
    To build: 77 derivations; to fetch: 0 paths

    Inputs:
      nixpkgs (git)  c2x0000 -> c3x0000  2024-06-02 -> 2024-06-03, 1 day

    Left out: nixos:installer-minimal by *-minimal, nixos:pi by pi, nixos:router by router

    == webserver (broken)
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-webserver-24.05.20240601.cd5f9e2
    does not evaluate after the update
      host webserver: the option `services.frobnicate' does not exist

    == devbox (already-broken)
    does not evaluate
      host devbox: the option `services.frobnicate' does not exist

    == nas (mended)
    >>> $D/nix/store/h0000000000000000000000000000002-nixos-system-nas-24.05.20240601.cd5f9e2
    does not evaluate before the update
      host nas: the option `services.frobnicate' does not exist
    Not built, and there is nothing to compare with.

    == none (changed)
    <<< $D/nix/store/h0000000000000000000000000000003-openssl-3.0.13
    >>> $D/nix/store/h0000000000000000000000000000004-openssl-3.0.14
    Not built, and the packages selected by the configuration cannot be listed: nothing is compared.

    == number (changed)
    <<< $D/nix/store/h0000000000000000000000000000003-openssl-3.0.13
    >>> $D/nix/store/h0000000000000000000000000000004-openssl-3.0.14
    Not built, and the packages selected by the configuration cannot be listed: nothing is compared.

    == odd (changed)
    <<< $D/nix/store/h0000000000000000000000000000003-openssl-3.0.13
    >>> $D/nix/store/h0000000000000000000000000000004-openssl-3.0.14
    Version changes:
    [U*]  #1  openssl  3.0.13 -> 3.0.14
    Rebuilt, cause not known: 1 package (curl)
    Security: openssl 3.0.13 -> 3.0.14; rebuilt, cause not known: curl
    Not built: only packages selected by the configuration are compared.

    == thrower (changed)
    <<< $D/nix/store/h0000000000000000000000000000003-openssl-3.0.13
    >>> $D/nix/store/h0000000000000000000000000000004-openssl-3.0.14
    Not built, and the packages selected by the configuration cannot be listed: nothing is compared.

    == typed (changed)
    <<< $D/nix/store/h0000000000000000000000000000003-openssl-3.0.13
    >>> $D/nix/store/h0000000000000000000000000000004-openssl-3.0.14
    Not built, and the packages selected by the configuration cannot be listed: nothing is compared.

    == nixosConfigurations.pi.config.system.build.toplevel (changed)
    <<< $D/nix/store/h0000000000000000000000000000005-nixos-system-pi-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000006-nixos-system-pi-24.05.20240601.cd5f9e2
    Not built, and no configuration says which packages are selected: nothing is compared.
    ------- stderr -------
    Staging the update …
    Evaluating 9 hosts, before and after …
    Listing the selected packages of 5 hosts, before and after …
    Asking what is to build and to fetch …
    [exit status: 4]
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn equal_outputs_are_proof_and_a_base_without_a_lock_is_none() {
    let fleet = Fleet::new();
    fleet.bump(&["mirror:nginx=https://mirror.example/nginx"]);
    let report = json(
        &fleet
            .run(["report", "--no-build", "--format", "json"])
            .code(3),
    );
    assert_eq!(report["outcome"], "closures-unchanged");
    assert_eq!(report["fleet"]["to_build"]["derivations"], 0);
    assert!(
        statuses(&report)
            .iter()
            .all(|host| host.ends_with(" unchanged"))
    );
    let text = fleet
        .run(["report", "--no-build", "--format", "text"])
        .code(3);
    assert!(
        text.stdout
            .starts_with("flake.lock changes, all 5 hosts stay as they are\n\nInputs:\n"),
        "{text}"
    );
    fs::remove_file(fleet.flake().join("flake.lock")).unwrap();
    fleet.commit("no lock");
    let text = fleet
        .run(["report", "--no-build", "--format", "text", "--host", "pi"])
        .success();
    insta::assert_snapshot!(text.redacted_stdout(), @"
    1 host: changed (nothing was built: closures are not known) (there is no committed flake.lock, so there is nothing to compare with)
    Nothing breaks: as far as evaluation tells
    Reboot and size not known: nothing was built
    Not known which selected packages move.
    To build: 30 derivations; to fetch: 0 paths

    Inputs:
      home-manager (git)    none -> c3x0000          2024-06-01
      home-manager/nixpkgs  none -> follows nixpkgs
      nixos-hardware (git)  none -> c4x0000          2024-06-01
      nixpkgs (git)         none -> c2x0000          2024-06-02

    == pi (changed)
    >>> $D/nix/store/h0000000000000000000000000000001-nixos-system-pi-24.05.20240601.cd5f9e2
    Not built, and there is nothing to compare with.
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_a_cache_has_is_to_be_fetched() {
    let mut fleet = Fleet::new();
    fleet.bump(&["stdenv=2"]);
    let flags = ["report", "--host", "installer-minimal", "--format", "json"];
    let built = json(&fleet.run(flags).success());
    let out = built["hosts"][0]["after"]["out_path"].as_str().unwrap();
    let paths = built["hosts"][0]["after"]["paths"].as_u64().unwrap();
    let size = built["hosts"][0]["after"]["nar_size"].as_u64().unwrap();
    let cache = format!("file://{}", fleet.env().dir().join("cache").display());
    let _out = fleet.nix(["copy", "--to", &cache, out]).success();
    let mut collect = fleet.env().command("nix-store");
    let _out = fleet.env().output(collect.arg("--gc")).success();
    let options = [
        "--no-build",
        "--option",
        "substituters",
        &cache,
        "--option",
        "require-sigs",
        "false",
    ];
    let run = |fleet: &Fleet| fleet.run([&flags[..], &options[..]].concat()).success();
    let report = json(&run(&fleet));
    let to_build = &report["fleet"]["to_build"];
    assert_eq!(
        (&to_build["derivations"], &to_build["fetched_paths"]),
        (&json!(0), &json!(paths))
    );
    // Nix says it in MiB with two digits, or in a unit that fits with one.
    let (unpacked, download) = (
        to_build["unpacked_size"].as_u64().unwrap(),
        to_build["download_size"].as_u64().unwrap(),
    );
    assert!(unpacked.abs_diff(size) < 55_000, "{unpacked} {size}");
    assert!(download > 0 && download < unpacked, "{to_build}");

    // That it cannot be told is no reason to tell nothing else.
    let shim = fleet.shim();
    shim.fault(
        fleet.env(),
        "nix-store",
        "--dry-run",
        "echo 'error: the cache is gone' >&2; exit 1",
    );
    let report = json(&run(&fleet));
    assert_eq!(report["fleet"]["to_build"], Value::Null);
    let warnings = report["warnings"].as_array().unwrap();
    assert!(
        warnings.len() == 1
            && warnings[0]
                .as_str()
                .unwrap()
                .starts_with("how much is to build and to fetch is not known: the cache is gone"),
        "{warnings:?}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_matrix_merged_is_a_single_run() {
    let fleet = Fleet::new();
    fleet.bump(&["openssl=3.0.14", "throw:nas"]);
    let scope = [
        "--exclude-host",
        "pi",
        "--exclude-host",
        "router",
        "--exclude-host",
        "devbox",
    ];
    let plan = fleet
        .run([&["hosts", "--format", "json"][..], &scope].concat())
        .success()
        .stdout;
    let plan = fleet.env().write("plan.json", plan);
    let reports: Vec<(String, Report)> = ["nas", "webserver"]
        .into_iter()
        .map(|host| {
            let out = fleet.run([
                "report",
                "--no-build",
                "--plan",
                plan.to_str().unwrap(),
                "--host",
                host,
                "--format",
                "json",
            ]);
            (host.to_owned(), parse(out.stdout.as_bytes()).unwrap())
        })
        .collect();
    let single = fleet.run([&["report", "--no-build", "--format", "json"][..], &scope].concat());
    let single = json(&single.code(4));
    let merged = merge(reports.clone()).unwrap();
    let mut merged: Value = serde_json::from_str(&to_json(&merged)).unwrap();
    merged["timing"] = single["timing"].clone();
    assert_eq!(merged, single);

    // One that was built does not belong to the others.
    let mut other = reports.clone();
    other[1].1.built = true;
    other[1].1.hosts[0].diff = None;
    let error = merge(other).unwrap_err().to_string();
    assert_eq!(
        error,
        "nas and webserver differ in whether hosts were built: false and true"
    );
}
