//! Hosts that fail: one's failure is a value in the report and never the end of the run, nor silence.

use serde_json::Value;

use crate::report::{json, left_over, statuses};
use crate::support::Fleet;

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_host_whose_build_fails_stays_in_the_report_with_the_end_of_its_log() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1", "fail:php", "hm:fzf=0.53.0"]);
    let before = fleet.repository();
    let out = fleet.env().dir().join("out");
    let output = fleet
        .run([
            "report",
            "--format",
            "text",
            "--host",
            "webserver",
            "--host",
            "devbox",
            "--output-dir",
            out.to_str().unwrap(),
        ])
        .code(4);
    insta::assert_snapshot!(output.redacted_stdout(), @"
    2 hosts: 1 broken by the update, 1 changed
    Broken by the update: webserver
    No reboot: on the one host compared
    Selected packages: fzf 0.52.1 -> 0.53.0 on devbox
    Size: +0B on devbox; 1 package moves

    Inputs:
      home-manager (git)  c3x0000 -> c4x0000  2024-06-01 -> 2024-06-02, 1 day
      nixpkgs (git)       c1x0000 -> c2x0000  2024-06-01 -> 2024-06-02, 1 day

    == webserver (broken)
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-webserver-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000002-nixos-system-webserver-24.05.20240601.cd5f9e2
    does not build after the update
      $D/nix/store/h0000000000000000000000000000003-php-8.2.19.drv
      builder failed with exit code 3
      the end of its log:
      > building php-8.2.19
      > unpacking sources
      > checking for gcc... yes
      > checking for libfoo... no
      > configure: error: libfoo not found

    == devbox (changed)
    <<< $D/nix/store/h0000000000000000000000000000004-nixos-system-devbox-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000005-nixos-system-devbox-24.05.20240601.cd5f9e2
    Version changes:
    [U*]  #1  fzf  0.52.1 -> 0.53.0
    Closure size: 57 -> 57 (5 paths added, 5 paths removed, delta +0, disk usage +0B).
    ");
    assert_eq!(fleet.repository(), before);
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let failure = &report["hosts"][1]["failure"];
    assert_eq!(failure["error"], "builder failed with exit code 3");
    assert!(
        failure["derivation"]
            .as_str()
            .unwrap()
            .ends_with("-php-8.2.19.drv")
    );
    let log = std::fs::read_to_string(failure["log_path"].as_str().unwrap()).unwrap();
    assert!(
        log.ends_with("configure: error: libfoo not found\n"),
        "{log}"
    );

    for (policy, code) in [("any", 4), ("never", 0)] {
        fleet
            .run(["report", "--host", "webserver", "--fail-on", policy])
            .code(code);
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn of_several_failures_of_a_host_each_is_named_and_its_log_kept() {
    let fleet = Fleet::new();
    fleet.bump(&["fail:php", "fail:postgresql"]);
    let out = fleet.env().dir().join("out");
    let output = fleet.run([
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "--output-dir",
        out.to_str().unwrap(),
    ]);
    let failure = &json(&output.code(4))["hosts"][0]["failure"];
    assert_eq!(
        failure["error"],
        "builder failed with exit code 3\nalso failed: `postgresql-15.7`"
    );
    assert!(
        failure["derivation"]
            .as_str()
            .unwrap()
            .ends_with("-php-8.2.19.drv")
    );
    let logs = std::fs::read_dir(out.join("logs")).unwrap();
    let mut logs: Vec<String> = logs
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.split_once('-').unwrap().1.to_owned())
        .collect();
    logs.sort();
    assert_eq!(logs, ["php-8.2.19.log", "postgresql-15.7.log"]);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_fleet_that_fails_as_a_whole_is_not_green() {
    let fleet = Fleet::new();
    fleet.bump(&["fail:bash"]);
    let output = fleet
        .run(["report", "--format", "json", "--exclude-host", "pi"])
        .code(4);
    assert_eq!(
        statuses(&json(&output)),
        [
            "devbox broken",
            "nas broken",
            "router broken",
            "webserver broken"
        ]
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn every_way_not_to_evaluate_leaves_the_other_hosts_alone() {
    let fleet = Fleet::new();
    fleet.bump(&[
        "throw:devbox",
        "typeerror:nas",
        "missing:router",
        "nginx=1.26.1",
    ]);
    let output = fleet
        .run([
            "report",
            "--format",
            "text",
            "--exclude-host",
            "pi",
            "--eval-batch",
            "10",
        ])
        .code(4);
    // Where Nix shows the source differs between its versions.
    let told: String = output
        .redacted_stdout()
        .lines()
        .filter(|line| {
            !line.starts_with("  at ") && !line.starts_with("<<<") && !line.starts_with(">>>")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(told, @r#"
    4 hosts: 3 broken by the update, 1 changed
    Broken by the update: devbox, nas, router
    No reboot: on the one host compared
    Selected packages: nginx 1.26.0 -> 1.26.1 on webserver
    Size: +0B on webserver; 1 package moves
    Restarts: 1 service on webserver: nginx

    Inputs:
      nixpkgs (git)  c1x0000 -> c2x0000  2024-06-01 -> 2024-06-02, 1 day

    Left out: nixos:installer-minimal by *-minimal, nixos:pi by pi

    == devbox (broken)
    does not evaluate after the update
      host devbox: the option `services.frobnicate' does not exist

    == nas (broken)
    does not evaluate after the update
      cannot add a string to an integer
         124|       "assert" = assert how == "no assertion of this host holds"; toplevel;
         125|       typeerror = 1 + hostName;
            |                       ^
         126|       missing = (pkgsFor systems.native).no-such-package;

    == router (broken)
    does not evaluate after the update
      attribute 'no-such-package' missing
         125|       typeerror = 1 + hostName;
         126|       missing = (pkgsFor systems.native).no-such-package;
            |                 ^
         127|       ifd = import (derivation {

    == webserver (changed)
    Version changes:
    [U*]  #1  nginx  1.26.0 -> 1.26.1
    Configuration: 1 unit (~ nginx.service)
    Restarts: nginx.service (nginx)
    Security: nginx 1.26.0 -> 1.26.1
    Closure size: 44 -> 44 (5 paths added, 5 paths removed, delta +0, disk usage +0B).
    "#);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn broken_before_is_told_from_broken_by_the_update() {
    let fleet = Fleet::new();
    fleet.bump_base(&["fail:php", "throw:nas", "fail:firefox"]);
    fleet.bump(&["fix:firefox", "openssl=3.0.14"]);
    let run = |args: &[&str], code| {
        json(
            &fleet
                .run(
                    [
                        &["report", "--format", "json", "--exclude-host", "pi"],
                        args,
                    ]
                    .concat(),
                )
                .code(code),
        )
    };
    let report = run(&[], 0);
    assert_eq!(
        statuses(&report),
        [
            "devbox mended",
            "nas already-broken",
            "router changed",
            "webserver already-broken"
        ]
    );
    assert_eq!(report["hosts"][0]["failure"]["side"], "before");
    assert_eq!(report["hosts"][1]["failure"]["stage"], "evaluate");
    assert_eq!(report["hosts"][3]["failure"]["stage"], "build");
    run(&["--fail-on", "any"], 4);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_host_nobody_here_can_build_is_skipped_and_counts_as_changed() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1", "feature:php=gpu"]);
    let output = fleet
        .run([
            "report",
            "--format",
            "json",
            "--host",
            "pi",
            "--host",
            "webserver",
            "--host",
            "router",
        ])
        .success();
    let report = json(&output);
    assert_eq!(
        statuses(&report),
        ["pi skipped", "router unchanged", "webserver skipped"]
    );
    let reason = |at: usize| report["hosts"][at]["reason"].as_str().unwrap().to_owned();
    assert!(reason(0).starts_with("no builder for "), "{}", reason(0));
    assert!(
        reason(2).ends_with(" with gpu, which php-8.2.19.drv needs"),
        "{}",
        reason(2)
    );
    // Where nothing at all was checked, nothing is known.
    let output = fleet
        .run(["report", "--host", "pi", "--format", "text"])
        .code(1);
    assert!(output.stdout.contains("== pi (skipped)"), "{output}");
    assert!(
        output.stderr.contains("not one host could be checked"),
        "{output}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn wrong_hashes_show_the_right_ones() {
    let fleet = Fleet::new();
    // The side before is in the store already. Built at the same time, the two sources have one content, and Nix 2.34.8
    // now and then waits for ever for the lock of the path that the wrong one turns out to have: it holds it itself.
    let _built = fleet
        .nix([
            "build",
            "--no-link",
            ".#nixosConfigurations.webserver.config.system.build.toplevel",
        ])
        .success();
    fleet.bump(&["hash:nginx", "hash:openssl"]);
    let out = fleet.env().dir().join("out");
    let output = fleet
        .run([
            "report",
            "--format",
            "text",
            "--host",
            "webserver",
            "--output-dir",
            out.to_str().unwrap(),
        ])
        .code(4);
    let text = output.redacted_stdout();
    let (_, told) = text
        .split_once("does not build after the update\n")
        .unwrap();
    insta::assert_snapshot!(told, @"
    $D/nix/store/h0000000000000000000000000000003-nginx-1.26.0.tar.gz.drv
    hash mismatch in fixed-output derivation '$D/nix/store/h0000000000000000000000000000003-nginx-1.26.0.tar.gz.drv':
      specified: sha256-s0000000000000000000000000000000000000000004
      got:       sha256-s0000000000000000000000000000000000000000005
    hash mismatch in fixed-output derivation '$D/nix/store/h0000000000000000000000000000006-openssl-3.0.13.tar.gz.drv':
      specified: sha256-s0000000000000000000000000000000000000000004
      got:       sha256-s0000000000000000000000000000000000000000007
    ");
    let markdown = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert_eq!(
        markdown.matches("\n  got:       sha256-").count(),
        2,
        "{markdown}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_store_that_cannot_be_read_is_an_unknown_host_and_never_an_empty_diff() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let shim = fleet.shim();
    shim.fault(
        fleet.env(),
        "nix-store",
        "--dump-db",
        "echo 'error: the diff tool crashed' >&2; exit 1",
    );
    let output = fleet
        .run([
            "report",
            "--format",
            "json",
            "--host",
            "webserver",
            "--host",
            "router",
        ])
        .success();
    let report = json(&output);
    assert_eq!(statuses(&report), ["router unchanged", "webserver unknown"]);
    assert_eq!(report["hosts"][1]["diff"], Value::Null);
    assert_eq!(report["hosts"][1]["failure"]["stage"], "read");
    assert!(
        report["hosts"][1]["failure"]["error"]
            .as_str()
            .unwrap()
            .contains("the diff tool crashed")
    );

    // Half an answer is no answer.
    shim.fault(
        fleet.env(),
        "nix-store",
        "--dump-db",
        "\"$real\" \"$@\" | head -n 50; exit 0",
    );
    let report = json(
        &fleet
            .run([
                "report",
                "--format",
                "json",
                "--host",
                "webserver",
                "--host",
                "router",
            ])
            .success(),
    );
    assert_eq!(statuses(&report), ["router unchanged", "webserver unknown"]);
    assert_eq!(left_over(&fleet), Vec::<String>::new());
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_failure_comes_through_the_daemon_as_it_is() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1", "fail:zfs-user"]);
    let socket = fleet.env().dir().join("socket");
    fleet.env_mut().set("NIX_DAEMON_SOCKET_PATH", &socket);
    let mut daemon = fleet
        .env()
        .command("nix-daemon")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    while !socket.exists() {
        assert!(
            started.elapsed().as_secs() < 20,
            "the daemon does not start"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // The client finds no database, only the socket.
    let empty = fleet.env().dir().join("empty");
    std::fs::create_dir(&empty).unwrap();
    fleet.env_mut().set("NIX_REMOTE", "daemon");
    fleet.env_mut().set("NIX_STATE_DIR", &empty);
    let output = fleet.run([
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "--host",
        "nas",
    ]);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let report = json(&output.code(4));
    assert_eq!(statuses(&report), ["nas broken", "webserver changed"]);
    let failure = &report["hosts"][0]["failure"];
    assert_eq!(failure["error"], "builder failed with exit code 3");
    assert!(failure["log_tail"].as_array().unwrap().len() > 2);
    assert_eq!(report["hosts"][1]["diff"]["changed"][0]["name"], "nginx");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_the_surroundings_break_is_not_blamed_on_the_update() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let shim = fleet.shim();
    let args = [
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "--host",
        "nas",
    ];
    let run = |code| json(&fleet.run(args).code(code));
    // The kernel takes the memory back while the side after is evaluated.
    shim.fault(
        fleet.env(),
        "nix",
        "after.lock --no-update-lock-file",
        "kill -9 $$",
    );
    assert_eq!(statuses(&run(1)), ["nas unknown", "webserver unknown"]);
    // The daemon goes away.
    let gone =
        "echo \"error: cannot connect to socket at '/nix/socket': Connection refused\" >&2; exit 1";
    shim.fault(
        fleet.env(),
        "nix",
        "eval --json",
        &format!("case \"$*\" in *reference-lock-file*) {gone} ;; esac"),
    );
    assert_eq!(statuses(&run(1)), ["nas unknown", "webserver unknown"]);
    // The disk is full in the middle of a build.
    let full = "echo '@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: writing to file: No space left on device\"}' >&2; exit 1";
    shim.fault(fleet.env(), "nix", "nothing", "");
    shim.fault(fleet.env(), "nix-store", "--keep-going", full);
    assert_eq!(statuses(&run(0)), ["nas unchanged", "webserver unknown"]);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_root_that_cannot_be_made_is_a_warning() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let shim = fleet.shim();
    shim.fault(
        fleet.env(),
        "nix-store",
        "--add-root",
        "echo 'error: Permission denied' >&2; exit 1",
    );
    let report = json(
        &fleet
            .run(["report", "--format", "json", "--host", "webserver"])
            .success(),
    );
    assert_eq!(statuses(&report), ["webserver changed"]);
    assert!(
        report["warnings"][0]
            .as_str()
            .unwrap()
            .contains("garbage collection")
    );
    shim.fault(
        fleet.env(),
        "nix",
        "--out-link",
        "echo 'error: Permission denied' >&2; exit 1",
    );
    let report = json(
        &fleet
            .run(["report", "--format", "json", "--host", "webserver"])
            .success(),
    );
    assert_eq!(report["warnings"].as_array().unwrap().len(), 2);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_update_that_breaks_every_host_takes_few_evaluations() {
    let mut fleet = Fleet::new();
    fleet.bump_base(&["hosts:16"]);
    fleet.bump(&["typeerror:light01", "typeerror:light09"]);
    let shim = fleet.shim();
    let report = json(
        &fleet
            .run([
                "report",
                "--format",
                "json",
                "--host",
                "light*",
                "--eval-batch",
                "16",
            ])
            .code(4),
    );
    assert_eq!(
        statuses(&report)
            .iter()
            .filter(|status| status.ends_with("broken"))
            .count(),
        2
    );
    let asked = shim
        .nix_calls()
        .iter()
        .filter(|call| call.has("after.lock --no-update-lock-file"))
        .count();
    assert!(asked <= 15, "{asked} evaluations for two of sixteen hosts");
}
