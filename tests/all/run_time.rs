//! The longest time for a run (`--run-timeout`): what is not finished by then is unknown, and the rest is told all the same.

use std::time::{Duration, Instant};

use crate::report::{json, left_over, statuses};
use crate::support::Fleet;

/// The processes that have `text` in their environment.
fn processes_with(text: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("environ")).ok())
        .filter(|environ| String::from_utf8_lossy(environ).contains(text))
        .count()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_is_not_built_when_the_time_is_over_is_unknown_and_the_rest_is_told() {
    let fleet = Fleet::new();
    fleet.bump_base(&["hosts:1"]);
    fleet.bump(&["slow:php=1000", "busybox=1.36.2"]);
    let out = fleet.env().dir().join("out");
    let started = Instant::now();
    let report = json(
        &fleet
            .run([
                "report",
                "--format",
                "json",
                "--host",
                "webserver",
                "--host",
                "light01",
                "--output-dir",
                out.to_str().unwrap(),
                "--run-timeout",
                "6s",
            ])
            .success(),
    );
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(statuses(&report), ["light01 changed", "webserver unknown"]);
    assert_eq!(
        report["hosts"][1]["reason"],
        "the run's time was over (--run-timeout 6s)"
    );
    assert!(out.join("report.md").exists() && out.join("flake.lock").exists());
    let store = fleet.env().dir().join("nix/store");
    assert_eq!(processes_with(store.to_str().unwrap()), 0);
    assert_eq!(left_over(&fleet), Vec::<String>::new());
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_evaluation_that_hangs_is_unknown_when_the_time_is_over() {
    let mut fleet = Fleet::new();
    fleet.bump(&["hw:0.5.0"]);
    let shim = fleet.shim();
    shim.fault(
        fleet.env(),
        "nix",
        "after.lock --no-update-lock-file",
        "case \"$*\" in *nixosConfigurations.nas*) sleep 1000 ;; esac",
    );
    let report = json(
        &fleet
            .run([
                "report",
                "--format",
                "json",
                "--host",
                "nas",
                "--host",
                "router",
                "--eval-batch",
                "1",
                "--run-timeout",
                "3s",
            ])
            .success(),
    );
    assert_eq!(statuses(&report), ["nas unknown", "router unchanged"]);
    assert_eq!(
        report["hosts"][0]["reason"],
        "the run's time was over (--run-timeout 3s)"
    );
    // A list of hosts is no list where some are missing.
    shim.fault(
        fleet.env(),
        "nix",
        "before.lock --no-update-lock-file",
        "sleep 1000",
    );
    let output = fleet
        .run([
            "hosts",
            "--systems",
            "--format",
            "json",
            "--run-timeout",
            "1s",
        ])
        .code(1);
    assert_eq!(output.stdout, "");
    // On a busy machine there is time to say how far it came.
    let said = output.stderr.replace("  evaluated 0 of 5\n", "");
    insta::assert_snapshot!(said, @"
    Error: the run's time was over (--run-timeout 1s)
    Hint: give the whole run more time with --run-timeout
    ");
}
