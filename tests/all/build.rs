//! Building: how it comes on, how it may end, and what of it may reach a reader, a runner and the disk.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::report::{json, statuses};
use crate::support::{CommandOutput, Fleet};

/// The lines that a runner would take for a command, of a text that it sees.
fn commands(text: &str) -> Vec<&str> {
    text.split(['\n', '\r'])
        .filter(|line| line.trim().starts_with("::") || line.contains("##["))
        .filter(|line| *line != "::endgroup::" && !line.starts_with("::group::"))
        .collect()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn however_a_build_ends_it_is_told_for_what_it_is_and_gives_no_commands() {
    let mut fleet = Fleet::new();
    fleet.bump(&[
        "noise:php",
        "script:firefox=head -c 1 /dev/zero >/dev/full",
        "script:zfs-user=kill -9 $$",
        "slow:parted=60",
    ]);
    fleet.env_mut().set("GITHUB_ACTIONS", "true");
    let files = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"].map(|name| {
        let file = fleet.env().write(name.to_lowercase(), "");
        fleet.env_mut().set(name, &file);
        file
    });
    let out = fleet.env().dir().join("out");
    let output = fleet
        .run([
            "report",
            "--format",
            "text",
            "-v",
            "--build-timeout",
            "5s",
            "--host",
            "webserver",
            "--host",
            "devbox",
            "--host",
            "nas",
            "--host",
            "installer-minimal",
            "--output-dir",
            out.to_str().unwrap(),
        ])
        .code(4);
    for text in [&output.stdout, &output.stderr] {
        assert_eq!(commands(text), Vec::<&str>::new(), "{output}");
        assert!(!text.contains('\u{1b}'), "{output}");
    }
    let groups = |word: &str| output.stderr.matches(word).count();
    assert_eq!(groups("::group::"), groups("::endgroup::"), "{output}");
    assert!(
        output.stderr.contains("\n  php-8.2.19 failed\n"),
        "{output}"
    );
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.len() > 100);
        assert_eq!(commands(&text), Vec::<&str>::new(), "{text}");
    }
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let told: Vec<String> = report["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| {
            let why = [&host["reason"], &host["failure"]["error"]];
            let why = why.iter().find_map(|text| text.as_str()).unwrap_or("");
            format!(
                "{} {}: {why}",
                host["name"].as_str().unwrap(),
                host["status"].as_str().unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    devbox unknown: the build of firefox-126.0.drv found the disk full
    installer-minimal unknown: the build of parted-3.6.drv took too long
    nas unknown: the build of zfs-user-2.2.4.drv was killed (signal 9), as builds are when memory runs out
    webserver broken: builder failed with exit code 4
    ");
    let log = &report["hosts"][3]["failure"]["log_tail"];
    insta::assert_snapshot!(serde_json::to_string_pretty(log).unwrap(), @r###"
    [
      "building php-8.2.19",
      "::set-env name=PATH::/evil",
      "##[add-path]x",
      "::stop-commands::x",
      "::error::x",
      "::error::y",
      "  ::warning::z",
      "bad bytes: ��",
      "::notice::red",
      "::debug::t"
    ]
    "###);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flood_of_a_log_costs_neither_memory_nor_disk() {
    let fleet = Fleet::new();
    fleet.bump(&["flood:zlib=16"]);
    let out = fleet.env().dir().join("out");
    let mut command = fleet.env().binary();
    command
        .args(["report", "--format", "json", "--host", "installer-minimal"])
        // Nix takes half a minute of bzip2 for 100 MiB.
        .args(["--option", "compress-build-log", "false"])
        .arg("--output-dir")
        .arg(&out)
        .current_dir(fleet.flake())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut most = 0_u64;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let peak = status.unwrap_or_default();
        let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(peak) = peak {
            let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
            most = most.max(kib);
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(4));
    // The program alone takes 25 MiB; once, the log would take it past this.
    assert!(most > 0 && most < 40 * 1024, "{most} KiB");
    let report = std::fs::read_to_string(out.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let failure = &report["hosts"][0]["failure"];
    assert_eq!(failure["error"], "builder failed with exit code 5");
    let tail = failure["log_tail"].as_array().unwrap();
    assert!(tail.len() > 10 && tail.last().unwrap().as_str().unwrap().ends_with("the end"));
    let log = std::fs::read_to_string(failure["log_path"].as_str().unwrap()).unwrap();
    assert!(
        log.len() > 1_000_000 && log.len() < 1_100_000,
        "{}",
        log.len()
    );
    let (first, second) = (log.lines().next().unwrap(), log.lines().nth(1).unwrap());
    assert!(first.ends_with(" bytes of this log are left out here: `nix log` has all of it]"));
    assert_eq!(
        second,
        "a line of a very long log that nobody will ever read"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn nothing_is_built_where_the_disk_has_too_little_room() {
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
        "router",
        "--min-free",
    ];
    let output = fleet.run(args.into_iter().chain(["1000TiB"])).success();
    let report = json(&output);
    assert_eq!(statuses(&report), ["router unchanged", "webserver unknown"]);
    // How much is free is no part of the report, which would be another one every night.
    assert_eq!(
        report["hosts"][1]["reason"],
        "the store's disk has too little room: --min-free asks for 1000.0 TiB to stay free"
    );
    let told = "iB are free, and --min-free asks for 1000.0 TiB to stay free";
    assert!(output.stderr.contains(told), "{output}");
    let calls = shim.nix_calls();
    assert!(!calls.iter().any(|call| call.has("--keep-going")));

    let report = json(&fleet.run(args.into_iter().chain(["1KiB"])).success());
    assert_eq!(statuses(&report), ["router unchanged", "webserver changed"]);
}

/// Runs the program with a small disk of its own for the store; none where this system gives nobody one.
fn on_a_small_disk(fleet: &Fleet, args: &[&str]) -> Option<CommandOutput> {
    let mut unshare = fleet.env().command("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    unshare.arg("mount -t tmpfs -o size=64m none \"$D/nix\" || exit 77; exec \"$0\" \"$@\"");
    unshare
        .arg(env!("CARGO_BIN_EXE_flake-herald"))
        .args(args)
        .current_dir(fleet.flake());
    let output = fleet.env().output(&mut unshare);
    if output.stderr.contains("unshare: ") || output.stderr.contains("mount: ") {
        return None;
    }
    Some(output)
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_disk_that_fills_up_leaves_hosts_unknown() {
    let fleet = Fleet::new();
    fleet.bump(&["script:parted=head -c 100m /dev/zero >$out; sleep 30"]);
    let args = |more: &'static str| {
        let args = ["report", "--format", "json", "--host", "installer-minimal"];
        args.into_iter().chain(more.split_whitespace())
    };
    let run = |more| on_a_small_disk(&fleet, &args(more).collect::<Vec<_>>());
    let Some(output) = run("") else {
        return;
    };
    let report = json(&output.code(1));
    assert_eq!(statuses(&report), ["installer-minimal unknown"]);
    let reason = report["hosts"][0]["reason"].as_str().unwrap();
    assert!(
        ["disk full", "No space left on device", "disk is full"]
            .iter()
            .any(|words| reason.contains(words)),
        "{reason}"
    );

    // It is ended before that, and long before the builder would have.
    fleet.bump(&["script:parted=head -c 30m /dev/zero >$out; sleep 200"]);
    let output = run("--min-free 30MiB").unwrap().code(1);
    let report = json(&output);
    assert_eq!(statuses(&report), ["installer-minimal unknown"]);
    assert_eq!(
        report["hosts"][0]["reason"],
        "the store's disk has too little room: --min-free asks for 30.0 MiB to stay free"
    );
    assert!(
        output
            .stderr
            .contains("warning: building has ended early: "),
        "{output}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn building_is_shown_on_a_terminal_and_told_elsewhere() {
    let mut fleet = Fleet::new();
    fleet.bump(&["slow:parted=2"]);
    let on_terminal = |fleet: &Fleet, out: &str| {
        let mut script = fleet.env().command("script");
        let line = format!(
            "'{}' report --host installer-minimal --format text >{out}",
            env!("CARGO_BIN_EXE_flake-herald")
        );
        script.args(["-qec", &line, "/dev/null"]);
        fleet.env().output(script.current_dir(fleet.flake()))
    };
    fleet.env_mut().set("TERM", "xterm");
    let output = on_terminal(&fleet, "../report.txt").success();
    let shown = &output.stdout;
    // Each state takes the place of the one before.
    let frames: Vec<&str> = shown.split("\r\u{1b}[2K").collect();
    let parted: Vec<&str> = frames
        .iter()
        // The first one stands below the log's lines.
        .filter_map(|frame| frame.rsplit('\n').next())
        // Beside it another may run, on a machine that has much to do.
        .filter(|bar| bar.contains(" running: parted-3.6"))
        .collect();
    assert!(!parted.is_empty(), "{shown:?}");
    for bar in parted {
        assert!(bar.starts_with("Building "), "{bar:?} {shown:?}");
    }
    // The last one is gone before the next line of the log comes, and the cursor was never hidden.
    let last = frames.last().unwrap();
    assert_eq!(
        *last, "Reading the closures …\r\nComparing the closures …\r\n",
        "{shown:?}"
    );
    assert!(!shown.contains("\u{1b}[?25"), "{shown:?}");
    let report = std::fs::read_to_string(fleet.env().dir().join("report.txt")).unwrap();
    assert!(report.starts_with("1 host: "), "{report}");

    // A terminal that cannot move its cursor, and none at all.
    fleet.env_mut().set("TERM", "dumb");
    fleet.bump(&["slow:parted=0", "parted=3.7"]);
    let output = on_terminal(&fleet, "/dev/null").success();
    assert!(!output.stdout.contains('\u{1b}'), "{output}");
    assert!(!output.stdout.contains("Building 0"), "{output}");
    fleet.bump(&["parted=3.8"]);
    let args = ["report", "--host", "installer-minimal"];
    let output = fleet.run(args.into_iter().chain(["-v"])).success();
    for line in ["    building parted-3.8\n", "    built parted-3.8\n"] {
        assert!(output.stderr.contains(line), "{output}");
    }
    fleet.bump(&["fail:parted"]);
    let output = fleet.run(args).code(4);
    assert!(
        output.stderr.contains("\n  parted-3.8 failed\n"),
        "{output}"
    );
    let output = fleet
        .run(args.into_iter().chain(["--log-format", "json"]))
        .code(4);
    let lines: Vec<serde_json::Value> = output
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line["message"] == "parted-3.8 failed" && line["level"] == "info"),
        "{output}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn hosts_that_fail_the_same_way_are_told_together() {
    let fleet = Fleet::new();
    fleet.bump(&["fail:openssh"]);
    let output = fleet
        .run([
            "report",
            "--format",
            "text",
            "--host",
            "webserver",
            "--host",
            "nas",
            "--host",
            "router",
        ])
        .code(4);
    insta::assert_snapshot!(output.redacted_stdout(), @"
    3 hosts: 3 broken by the update
    Broken by the update: nas, router, webserver
    Reboot, packages and size not known: no host could be compared

    Inputs:
      nixpkgs (git)  c1x0000 -> c2x0000  2024-06-01 -> 2024-06-02, 1 day

    == nas, router, webserver (broken)
    does not build after the update
      $D/nix/store/h0000000000000000000000000000001-openssh-9.7p1.drv
      builder failed with exit code 3
      the end of its log:
      > building openssh-9.7p1
      > unpacking sources
      > checking for gcc... yes
      > checking for libfoo... no
      > configure: error: libfoo not found
    ");
}
