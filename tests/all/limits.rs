//! What a run may cost, how it is stopped, and what children may see.

use std::io::Read as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::report::{json, left_over, statuses};
use crate::support::Fleet;

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_fleet_of_twenty_takes_two_evaluations_a_batch_and_a_dozen_calls_more() {
    let mut fleet = Fleet::new();
    fleet.bump_base(&["hosts:20"]);
    fleet.bump(&["busybox=1.36.2"]);
    let shim = fleet.shim();
    for (batch, batches) in [("20", 1), ("7", 3)] {
        shim.clear();
        let report = json(
            &fleet
                .run([
                    "report",
                    "--format",
                    "json",
                    "--host",
                    "light*",
                    "--eval-batch",
                    batch,
                ])
                .success(),
        );
        assert_eq!(statuses(&report).len(), 20);
        let calls = shim.nix_calls();
        let evaluations = calls
            .iter()
            .filter(|call| call.has("--reference-lock-file") && call.has("eval"))
            .count();
        assert_eq!(evaluations, 2 * batches, "{calls:#?}");
        assert!(
            calls.len() <= 2 * batches + 14,
            "{} calls: {calls:#?}",
            calls.len()
        );
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_unchanged_host_is_neither_built_nor_read() {
    let mut fleet = Fleet::new();
    fleet.bump(&["hw:0.5.0"]);
    let shim = fleet.shim();
    let report = json(
        &fleet
            .run(["report", "--format", "json", "--exclude-host", "pi"])
            .success(),
    );
    assert_eq!(
        statuses(&report),
        [
            "devbox unchanged",
            "nas changed",
            "router unchanged",
            "webserver unchanged"
        ]
    );
    assert_eq!(
        report["hosts"][3]["after"]["paths"],
        serde_json::Value::Null
    );
    for call in shim.nix_calls() {
        let looks = ["--realise", "--query", "--dump-db", "derivation show"]
            .iter()
            .any(|word| call.has(word));
        assert!(!(looks && call.has("nixos-system-webserver")), "{call}");
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn options_for_nix_reach_every_call() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let shim = fleet.shim();
    fleet
        .run([
            "report",
            "--host",
            "webserver",
            "--option",
            "fsync-metadata",
            "false",
            "--max-jobs",
            "1",
        ])
        .success();
    let calls = shim.nix_calls();
    for call in calls.iter().filter(|call| !call.has("--version")) {
        assert!(call.has("--option fsync-metadata false"), "{call}");
    }
    assert!(
        calls
            .iter()
            .any(|call| call.has("--realise") && call.has("--max-jobs 1"))
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn tokens_are_kept_from_nix_and_from_everything_printed() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let shim = fleet.shim();
    let seen = fleet.env().dir().join("seen");
    shim.fault(fleet.env(), "nix", "", &format!("env >>{}", seen.display()));
    for (name, value) in [
        ("FLAKE_HERALD_TOKEN", "tok-aaaaaaaaaaaa"),
        ("GITHUB_TOKEN", "tok-bbbbbbbbbbbb"),
        ("HIDDEN_ELSEWHERE", "xx tok-aaaaaaaaaaaa xx"),
        ("NIX_CONFIG", "access-tokens = github.com=tok-cccccccccccc"),
        ("AWS_SECRET_ACCESS_KEY", "the cache needs it"),
        ("PASSED_TOKEN", "tok-dddddddddddd"),
    ] {
        fleet.env_mut().set(name, value);
    }
    let output = fleet
        .run([
            "report",
            "--host",
            "webserver",
            "-vv",
            "--pass-env",
            "PASSED_TOKEN",
        ])
        .success();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("the cache needs it") && seen.contains("tok-dddddddddddd"));
    for secret in ["tok-aaaaaaaaaaaa", "tok-bbbbbbbbbbbb", "tok-cccccccccccc"] {
        assert!(!seen.contains(secret), "{secret}");
        assert!(
            !output.stdout.contains(secret) && !output.stderr.contains(secret),
            "{secret}"
        );
    }
    assert!(
        output.stdout.contains("--nix-access-token-file"),
        "{output}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_signal_ends_the_builders_and_leaves_nothing() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        stopped_by(signal, code);
    }
}

fn stopped_by(signal: &str, code: i32) {
    let fleet = Fleet::new();
    fleet.bump(&["slow:php=1000"]);
    let before = fleet.repository();
    let mut report = fleet.env().binary();
    report
        .args(["report", "--host", "webserver"])
        .current_dir(fleet.flake());
    let mut child = fleet
        .env()
        .heeding_signals(&report)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let building = || {
        let store = fleet.env().dir().join("nix/store");
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| std::fs::read(entry.ok()?.path().join("environ")).ok())
            .any(|environ| {
                let environ = String::from_utf8_lossy(&environ);
                environ.contains("name=php-8.2.19") && environ.contains(store.to_str().unwrap())
            })
    };
    let started = Instant::now();
    while !building() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the build never began"
        );
        sleep(Duration::from_millis(50));
    }
    let kill = fleet.env().output(
        fleet
            .env()
            .command("kill")
            .args([signal, &child.id().to_string()]),
    );
    assert!(kill.status.success());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(!building(), "the builder outlived the run");
    assert_eq!(left_over(&fleet), Vec::<String>::new());
    assert_eq!(fleet.repository(), before);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_the_daemon_ignores_is_a_warning_of_the_report() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    fleet.write(
        "flake.nix",
        std::fs::read_to_string(fleet.flake().join("flake.nix"))
            .unwrap()
            .replacen(
                "  inputs = {",
                "  nixConfig.connect-timeout = 7;\n  inputs = {",
                1,
            ),
    );
    fleet.commit("nixConfig");
    let report = json(
        &fleet
            .run(["report", "--format", "json", "--host", "webserver"])
            .success(),
    );
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("ignoring untrusted flake configuration setting 'connect-timeout'"),
        "{warnings}"
    );

    // Accepted, it reaches the calls that read no flake too, where there is something to build.
    fleet.bump(&["php=8.2.20"]);
    let shim = fleet.shim();
    let report = json(
        &fleet
            .run([
                "report",
                "--format",
                "json",
                "--host",
                "webserver",
                "--accept-flake-config",
            ])
            .success(),
    );
    assert_eq!(report["warnings"], serde_json::json!([]));
    let calls = shim.nix_calls();
    assert!(
        calls
            .iter()
            .any(|call| call.has("--realise") && call.has("--option connect-timeout 7")),
        "{calls:#?}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flake_accepted_by_nixs_own_settings_is_accepted_everywhere() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let flake = std::fs::read_to_string(fleet.flake().join("flake.nix")).unwrap();
    fleet.write(
        "flake.nix",
        flake.replacen(
            "  inputs = {",
            "  nixConfig.connect-timeout = 7;\n  inputs = {",
            1,
        ),
    );
    fleet.commit("nixConfig");
    let shim = fleet.shim();
    fleet
        .run([
            "report",
            "--host",
            "webserver",
            "--option",
            "accept-flake-config",
            "true",
        ])
        .success();
    let calls = shim.nix_calls();
    assert!(
        calls
            .iter()
            .any(|call| call.has("--dry-run") && call.has("--option connect-timeout 7")),
        "{calls:#?}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_run_that_fails_leaves_no_earlier_report_and_tells_the_runner() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let out = fleet.env().dir().join("out");
    let file = fleet.env().write("outputs", "");
    fleet.env_mut().set("GITHUB_ACTIONS", "true");
    fleet.env_mut().set("GITHUB_OUTPUT", &file);
    let dir = out.to_str().unwrap();
    fleet
        .run(["report", "--host", "webserver", "--output-dir", dir])
        .success();
    fleet.env().write("out/notes.txt", "somebody else's");
    fleet
        .run(["report", "--host", "no-such-host", "--output-dir", dir])
        .code(1);
    let left: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["notes.txt"]);
    let told = std::fs::read_to_string(&file).unwrap();
    let last: Vec<&str> = told
        .lines()
        .filter(|line| !line.contains("flake-herald-"))
        .collect();
    assert_eq!(last[last.len() - 3..], ["1", "false", "none"], "{told}");
}
