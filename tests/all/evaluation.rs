//! Hosts that are hard to evaluate: they take too much memory, or never come to an end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::report::{json, statuses};
use crate::support::Fleet;

const MIB: u64 = 1024 * 1024;

/// Runs `work` and returns what it gives, and the most memory that all evaluations of the flake in `dir` were seen to have
/// resident at one time, in bytes: what `/proc` says of each, added up every few milliseconds.
fn with_peak<T>(dir: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let over = AtomicBool::new(false);
    let flake = format!("git+file://{}", dir.display());
    std::thread::scope(|scope| {
        let peak = scope.spawn(|| {
            let mut peak = 0;
            while !over.load(Ordering::Relaxed) {
                peak = peak.max(resident(&flake));
                std::thread::sleep(Duration::from_millis(10));
            }
            peak
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        (done, peak.join().unwrap())
    })
}

/// Returns what the processes that have `argument` among theirs have resident together.
fn resident(argument: &str) -> u64 {
    let read = |process: &Path, file: &str| std::fs::read(process.join(file)).unwrap_or_default();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|process| String::from_utf8_lossy(&read(process, "cmdline")).contains(argument))
        .filter_map(|process| {
            let status = String::from_utf8_lossy(&read(&process, "status")).into_owned();
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        })
        .sum::<u64>()
        * 1024
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_host_that_takes_too_much_memory_is_unknown_and_its_neighbours_come_out_right() {
    let mut fleet = Fleet::new();
    fleet.bump_base(&["hosts:4"]);
    fleet.bump(&["eat:light01", "throw:light02", "hw:0.5.0"]);
    let shim = fleet.shim();
    let (output, peak) = with_peak(&fleet.flake(), || {
        fleet.run([
            "report",
            "--format",
            "json",
            "--host",
            "light*",
            "--eval-batch",
            "10",
            "--eval-jobs",
            "2",
            "--eval-memory",
            "160MiB",
        ])
    });
    let report = json(&output.code(4));
    assert_eq!(
        statuses(&report),
        [
            "light01 unknown",
            "light02 broken",
            "light03 unchanged",
            "light04 unchanged"
        ]
    );
    assert_eq!(
        report["hosts"][0]["reason"],
        "evaluating it takes more than 160.0 MiB of memory (--eval-memory)"
    );
    // It wants 480. What it takes between two looks, and while it is ended, comes on top of the limit.
    assert!(peak > 60 * MIB && peak < 300 * MIB, "{} MiB", peak / MIB);
    let calls = shim.nix_calls();
    let evaluations = calls
        .iter()
        .filter(|call| call.has("eval") && call.has("--reference-lock-file"))
        .count();
    // Before: all at once. After: all at once, then each alone, and the big one once more.
    assert_eq!(evaluations, 1 + 1 + 4 + 1, "{calls:#?}");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_host_that_needs_more_than_its_share_gets_all_of_it_in_the_end() {
    let fleet = Fleet::new();
    fleet.bump(&["eat:nas", "nginx=1.26.1"]);
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
                "--eval-jobs",
                "8",
                "--eval-memory",
                "800MiB",
            ])
            .code(3),
    );
    assert_eq!(statuses(&report), ["nas unchanged", "router unchanged"]);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_batch_that_the_kernel_kills_is_asked_one_by_one_and_the_next_are_smaller() {
    let mut fleet = Fleet::new();
    fleet.bump_base(&["hosts:8"]);
    fleet.bump(&["hw:0.5.0"]);
    let shim = fleet.shim();
    // Of several hosts together, after the update.
    shim.fault(
        fleet.env(),
        "nix",
        "after.lock --no-update-lock-file",
        "case \"$*\" in *'ask = d'*) kill -9 $$ ;; esac",
    );
    let run = || {
        json(
            &fleet
                .run([
                    "report",
                    "--format",
                    "json",
                    "--host",
                    "light*",
                    "--eval-batch",
                    "8",
                    "--eval-jobs",
                    "1",
                ])
                .code(3),
        )
    };
    assert_eq!(statuses(&run()).len(), 8);
    let calls = shim.nix_calls();
    let count = |lock: &str| {
        let words = format!("{lock} --no-update-lock-file");
        calls.iter().filter(|call| call.has(&words)).count()
    };
    assert_eq!(
        (count("after.lock"), count("before.lock")),
        (1 + 8, 2),
        "{calls:#?}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_recursion_without_end_is_the_hosts_own_fault() {
    let mut fleet = Fleet::new();
    fleet.bump_base(&["hosts:3"]);
    fleet.bump(&["recurse:light01", "deep:light02", "hw:0.5.0"]);
    let args = [
        "report",
        "--format",
        "json",
        "--host",
        "light*",
        "--eval-batch",
        "10",
    ];
    let report = json(&fleet.run(args).code(4));
    assert_eq!(
        statuses(&report),
        ["light01 broken", "light02 broken", "light03 unchanged"]
    );
    for (at, words) in [(0, "infinite recursion encountered"), (1, "stack overflow")] {
        let error = report["hosts"][at]["failure"]["error"].as_str().unwrap();
        assert!(error.contains(words), "{error}");
    }
    // Where Nix does not notice it itself, it crashes.
    let shim = fleet.shim();
    shim.fault(
        fleet.env(),
        "nix",
        "after.lock --no-update-lock-file",
        "case \"$*\" in *light02*) kill -SEGV $$ ;; esac",
    );
    let crashed = json(&fleet.run(args).code(4));
    assert_eq!(statuses(&crashed), statuses(&report));
    let error = crashed["hosts"][1]["failure"]["error"].as_str().unwrap();
    assert!(error.starts_with("Nix crashed"), "{error}");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_evaluating_builds_has_no_longer_than_any_other_build() {
    let fleet = Fleet::new();
    let flake = std::fs::read_to_string(fleet.flake().join("flake.nix")).unwrap();
    let slow = r#"    nixosConfigurations = {
      slow = import (derivation {
        name = "slow.nix";
        inherit (native) system;
        builder = "/bin/sh";
        args = [ "-c" "/bin/sleep 60" ];
        inherit (pkgs) openssl;
      }) (host "slow" [ ] [ ]);"#;
    let flake = flake.replacen("    nixosConfigurations = {", slow, 1);
    fleet.write("flake.nix", flake);
    fleet.commit("a host that imports from a slow derivation");
    fleet.bump(&["openssl=3.0.14"]);
    let args = "report --format json --build-timeout 1s --host slow --host router";
    let report = json(&fleet.run(args.split(' ')).success());
    assert_eq!(statuses(&report), ["router changed", "slow unknown"]);
    let reason = report["hosts"][1]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("it could not be evaluated: "),
        "{reason}"
    );
    assert!(
        reason.ends_with("timed out after 1 seconds")
            || reason.ends_with("timed out after <duration>"),
        "{reason}"
    );
}
