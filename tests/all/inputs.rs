//! Inputs of every kind: named, left alone, out of reach, not to be locked, and private.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::report::{json, statuses};
use crate::support::Fleet;

/// Runs a script in the scratch directory, `$D`; `commit REPOSITORY` makes it one and commits everything in it.
fn sh(fleet: &Fleet, script: &str) {
    let commit =
        r#"commit() { git -C $1 init -q -b main; git -C $1 add -A; git -C $1 commit -q -m "$2"; }"#;
    let env = fleet.env();
    let script = format!("{commit}\n{script}");
    let out = env.output(env.command("sh").args(["-euc", &script]));
    let _out = out.success();
}

/// Gives the fleet further inputs, in Nix's language with `$D`, and commits it with its lock.
fn add_inputs(fleet: &Fleet, inputs: &str) {
    let inputs = inputs.replace("$D", fleet.env().dir().to_str().unwrap());
    let flake = fs::read_to_string(fleet.flake().join("flake.nix")).unwrap();
    fleet.write(
        "flake.nix",
        flake.replacen("# new inputs stand here", &inputs, 1),
    );
    let _locked = fleet.nix(["flake", "lock"]).success();
    fleet.commit("more inputs");
}

/// Makes the inputs `sub`, which has `parts`, which has `deep`.
fn nested(fleet: &Fleet) {
    sh(
        fleet,
        r#"
        cd inputs; mkdir deep parts sub
        echo '{ outputs = _: { }; }' >deep/flake.nix; commit deep 1
        echo "{ inputs.deep.url = \"git+file://$D/inputs/deep\"; outputs = _: { }; }" >parts/flake.nix
        git init -q parts; git -C parts add -A; nix flake lock ./parts; commit parts 1
        echo "{ inputs.parts.url = \"git+file://$D/inputs/parts\"; outputs = _: { }; }" >sub/flake.nix
        git init -q sub; git -C sub add -A; nix flake lock ./sub; commit sub 1"#,
    );
    add_inputs(fleet, r#"sub.url = "git+file://$D/inputs/sub";"#);
}

/// Moves all three on, each with the one below it.
const NESTED_MOVES: &str = r#"
    cd inputs; echo 2 >deep/two; commit deep 2
    nix flake update --flake ./parts; commit parts 2
    nix flake update --flake ./sub; commit sub 2"#;

/// Where a staged lock goes.
fn new_lock(fleet: &Fleet) -> PathBuf {
    fleet.env().dir().join("new.lock")
}

/// Stages a lock and returns it.
fn staged(fleet: &Fleet, args: &[&str]) -> Value {
    let file = new_lock(fleet);
    let mut all = vec!["lock", "-o", file.to_str().unwrap()];
    all.extend(args);
    let _out = fleet.run(all).success();
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The number of commits up to where an input is locked.
fn locked(lock: &Value, path: &str) -> i64 {
    let node = path.split('/').fold(&lock["nodes"]["root"], |node, name| {
        &lock["nodes"][node["inputs"][name].as_str().unwrap()]
    });
    node["locked"]["revCount"].as_i64().unwrap()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_input_of_an_updated_input_stays_as_it_is_locked() {
    let fleet = Fleet::new();
    nested(&fleet);
    sh(&fleet, NESTED_MOVES);
    let counts = |args: &[&str]| {
        let lock = staged(&fleet, args);
        ["sub", "sub/parts", "sub/parts/deep"].map(|path| locked(&lock, path))
    };
    assert_eq!(counts(&[]), [2, 2, 2]);
    assert_eq!(counts(&["--exclude-input", "sub/parts"]), [2, 1, 1]);
    // The file is as Nix writes it: no node has a name of ours, and none is left over.
    let names = |lock: &Value| -> Vec<String> {
        let nodes = lock["nodes"].as_object().unwrap();
        nodes.keys().cloned().collect()
    };
    let ordinary = staged(&fleet, &[]);
    let kept = staged(&fleet, &["--exclude-input", "sub/parts"]);
    assert_eq!(names(&kept), names(&ordinary));
    assert_eq!(counts(&["--exclude-input", "sub/parts/deep"]), [2, 2, 1]);
    assert_eq!(counts(&["--input", "sub/parts"]), [1, 2, 2]);
    let report = json(&fleet.run([
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "--input",
        "sub",
        "--exclude-input",
        "sub/parts",
    ]));
    assert_eq!(report["outcome"], "closures-unchanged", "{report:#}");
    assert_eq!(report["inputs"][0]["name"], "sub");
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1);

    // The new `sub` has no such input any more, so there is nothing to keep.
    sh(
        &fleet,
        "cd inputs; echo '{ outputs = _: { }; }' >sub/flake.nix; rm sub/flake.lock; commit sub 3",
    );
    let file = new_lock(&fleet);
    let out = fleet.run([
        "lock",
        "-o",
        file.to_str().unwrap(),
        "--exclude-input",
        "sub/parts",
    ]);
    let out = out.success();
    assert!(
        out.stderr.contains(
            "`sub/parts` was to stay as it is locked, and the update leaves no such input"
        ),
        "{out}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_name_that_leads_to_no_input_is_told_what_there_is() {
    let fleet = Fleet::new();
    nested(&fleet);
    sh(
        &fleet,
        r#"cd inputs; sed -i "s|/inputs/parts|/inputs/disko|" sub/flake.nix; nix flake lock ./sub; commit sub 2"#,
    );
    let before = fleet.repository();
    let told: Vec<String> = [
        ["--input", "nixpkg"],
        ["--exclude-input", "sub/part"],
        ["--input", "sub/parts/nothing"],
        ["--input", "sub/parts/deep/x"],
        ["--exclude-input", "home-manager/nixpkgs"],
        // It asks for another repository now.
        ["--exclude-input", "sub/parts"],
    ]
    .into_iter()
    .map(|args| {
        fleet
            .run([&["report"][..], &args[..]].concat())
            .code(1)
            .to_string()
    })
    .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    ------- stderr -------
    Staging the update …
    Error: the flake has no input `nixpkg` (did you mean `nixpkgs`?); it has `home-manager`, `nixos-hardware`, `nixpkgs`, `sub`
    [exit status: 1]

    ------- stderr -------
    Staging the update …
    Error: the input `sub` has no input `sub/part` (did you mean `sub/parts`?); it has `sub/parts`
    [exit status: 1]

    ------- stderr -------
    Staging the update …
    Error: the input `sub/parts` has no input `sub/parts/nothing`; it has `sub/parts/deep`
    [exit status: 1]

    ------- stderr -------
    Staging the update …
    Error: the input `sub/parts/deep` has no input `sub/parts/deep/x`; it has none
    [exit status: 1]

    ------- stderr -------
    Staging the update …
    Error: input `home-manager/nixpkgs` follows `nixpkgs`, and is nothing of its own
    Hint: name `nixpkgs` instead
    [exit status: 1]

    ------- stderr -------
    Staging the update …
    Error: `sub/parts` cannot stay as it is locked: it was `git+file://$D/inputs/parts`, and its flake now asks for `git+file://$D/inputs/disko`
    Hint: leave `sub` out of the update too, or let `sub/parts` go with it
    [exit status: 1]
    ");
    assert_eq!(fleet.repository(), before);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_input_out_of_reach_stays_as_it_is_locked_where_that_is_wanted() {
    let mut fleet = Fleet::new();
    fleet.bump(&[
        "nginx=1.26.1",
        "hm:fzf=0.53.0",
        "unreachable:home-manager",
        "unreachable:nixos-hardware",
    ]);
    let before = fleet.repository();
    let shim = fleet.shim();
    let out = fleet.run(["report", "--host", "webserver"]).code(1);
    assert!(
        out.stderr
            .contains("Error: input `home-manager` cannot be fetched: ")
            && out.stderr.contains("Hint: --on-unreachable keep "),
        "{out}"
    );
    shim.clear();
    let args = [
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "--on-unreachable",
        "keep",
    ];
    let report = json(&fleet.run(args).success());
    // One for all inputs, then one more for each that is found dead.
    let updates = shim.nix_calls().into_iter();
    let updates: Vec<_> = updates.filter(|call| call.has("flake update")).collect();
    assert_eq!(updates.len(), 3, "{updates:?}");
    assert!(updates[2].has(" nixpkgs ") && !updates[2].has(" home-manager "));
    assert_eq!(
        report["lock"]["unreachable"],
        serde_json::json!(["home-manager", "nixos-hardware"])
    );
    let warnings = report["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0]
            .as_str()
            .unwrap()
            .starts_with("input `home-manager` cannot be fetched, and stays as it is locked: "),
        "{warnings:?}"
    );
    assert_eq!(report["inputs"][0]["name"], "nixpkgs");
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1);
    assert_eq!(statuses(&report), ["webserver changed"]);

    // Who is given the staged lock knows of it too.
    let file = new_lock(&fleet);
    let file = file.to_str().unwrap();
    let _out = fleet
        .run(["lock", "-o", file, "--on-unreachable", "keep"])
        .success();
    let given = json(&fleet.run([
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "--lock",
        file,
    ]));
    assert_eq!(given["lock"], report["lock"]);
    assert_eq!(given["warnings"], report["warnings"]);

    let chosen = ["--input", "home-manager", "--on-unreachable", "keep"];
    let out = fleet.run([&["report"][..], &chosen].concat()).code(1);
    assert!(
        out.stderr
            .contains("Error: none of the inputs to update can be fetched:\ninput `home-manager` "),
        "{out}"
    );
    assert_eq!(fleet.repository(), before);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_nix_that_does_not_name_the_dead_input_is_asked_for_each() {
    let mut fleet = Fleet::new();
    nested(&fleet);
    // Inside `sub`, which then stays as a whole.
    sh(
        &fleet,
        r#"cd inputs; sed -i "s|/inputs/parts|/inputs/gone|" sub/flake.nix; rm sub/flake.lock; commit sub 2"#,
    );
    fleet.bump(&["nginx=1.26.1"]);
    let keep = ["--on-unreachable", "keep"];
    let count = |lock: &Value| ["sub", "nixpkgs"].map(|path| locked(lock, path));
    assert_eq!(count(&staged(&fleet, &keep)), [1, 2]);
    let origin = fs::read_to_string(new_lock(&fleet).with_extension("lock.origin")).unwrap();
    assert!(
        origin.contains(r#""unreachable":["sub/parts"]"#),
        "{origin}"
    );

    let shim = fleet.shim();
    shim.fault(
        fleet.env(),
        "nix",
        "flake update",
        r#"rc=0; "$real" "$@" 2>$D/said || rc=$?; sed '/while updating the flake input/d' $D/said >&2; exit $rc"#,
    );
    assert_eq!(count(&staged(&fleet, &keep)), [1, 2]);
    let calls = shim.nix_calls();
    let updates = calls.iter().filter(|call| call.has("flake update"));
    assert_eq!(updates.count(), 6, "all, four on their own, the rest");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_the_base_does_not_have_yet_cannot_be_kept() {
    let fleet = Fleet::new();
    fleet.bump(&["input:disko", "unreachable:disko", "nginx=1.26.1"]);
    let before = fleet.repository();
    for args in [&["report"][..], &["report", "--on-unreachable", "keep"]] {
        let out = fleet.run(args).code(1);
        assert!(
            out.stderr
                .contains("Error: input `disko` cannot be fetched: ")
                && out.stderr.contains("Hint: there is no doing without it"),
            "{out}"
        );
    }
    assert_eq!(fleet.repository(), before);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_input_with_uncommitted_changes_is_named() {
    let fleet = Fleet::new();
    fleet
        .env()
        .write("inputs/nixos-hardware/fanctl-version", "0.9");
    let before = fleet.repository();
    let out = fleet.run(["report", "--host", "nas"]).code(1);
    insta::assert_snapshot!(out, @"
    ------- stderr -------
    Staging the update …
    Error: input `nixos-hardware` cannot be locked: git+file://$D/inputs/nixos-hardware is a directory with uncommitted changes
    Hint: commit what is in it, or leave it as it is locked with --exclude-input nixos-hardware
    [exit status: 1]
    ");
    assert_eq!(fleet.repository(), before);
    fleet.bump(&["nginx=1.26.1"]);
    let lock = staged(&fleet, &["--exclude-input", "nixos-hardware"]);
    assert_eq!(locked(&lock, "nixpkgs"), 2);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn inputs_of_every_form_are_updated_and_reported() {
    let fleet = Fleet::new();
    sh(
        &fleet,
        r#"
        mkdir -p inputs/mono/part inputs/data inputs/reg fleet/own
        echo '{ inputs.lib.url = "path:./lib"; outputs = _: { }; }' >inputs/mono/part/flake.nix
        mkdir inputs/mono/part/lib; echo '{ outputs = _: { }; }' >inputs/mono/part/lib/flake.nix
        git init -q inputs/mono; git -C inputs/mono add -A; commit inputs/mono 1
        echo 1 >inputs/data/x; commit inputs/data 1
        cp inputs/mono/part/lib/flake.nix inputs/reg; commit inputs/reg 1
        cp inputs/reg/flake.nix fleet/own; git -C fleet add own
        echo 1 >plain
        cat >etc/registry.json <<JSON
        {"version":2,"flakes":[{"from":{"type":"indirect","id":"reg"},"to":{"type":"git","url":"file://$D/inputs/reg"}}]}
JSON"#,
    );
    add_inputs(
        &fleet,
        r#"
        mono = { url = "git+file://$D/inputs/mono?dir=part"; inputs.lib.follows = "own"; };
        whole.url = "git+file://$D/inputs/mono?dir=part";
        data = { url = "git+file://$D/inputs/data"; flake = false; };
        file = { url = "file+file://$D/plain"; flake = false; };
        own.url = "path:./own";
        reg.url = "flake:reg";
        none.follows = "";
        "#,
    );
    sh(
        &fleet,
        "for i in mono data reg; do echo 2 >inputs/$i/two; commit inputs/$i 2; done; echo 2 >plain",
    );
    let out = fleet.env().dir().join("out");
    let report = json(&fleet.run([
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "--output-dir",
        out.to_str().unwrap(),
    ]));
    assert_eq!(report["outcome"], "closures-unchanged", "{report:#}");
    assert_eq!(report["warnings"], serde_json::json!([]));
    let text = fs::read_to_string(out.join("report.txt")).unwrap();
    let text = fleet.nix(["--version"]).redactor.redact(&text);
    insta::assert_snapshot!(text, @"
    flake.lock changes, the host stays as it is

    Inputs:
      data (git)   e18e6cd -> 3edf946  2024-06-01, same day
      file (file)  file://$D/pla… -> file://$D/pla…
      mono (git)   8dfda5c -> ea3fbeb  2024-06-01, same day
      reg (git)    b0777ef -> 1fc00fe  2024-06-01, same day
      whole (git)  8dfda5c -> ea3fbeb  2024-06-01, same day

    == webserver (unchanged)
    ");
    // The lock is one that Nix takes as it is.
    fs::copy(out.join("flake.lock"), fleet.flake().join("flake.lock")).unwrap();
    let _out = fleet
        .nix(["flake", "metadata", "--no-update-lock-file"])
        .success();
    fleet.run(["report", "--skip-update"]).code(3);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn submodules_are_part_of_the_flake_unless_they_are_not_wanted() {
    let fleet = Fleet::new();
    sh(
        &fleet,
        r#"
        mkdir part; echo '"from-the-submodule"' >part/name.nix; commit part 1
        cd fleet; git -c protocol.file.allow=always submodule --quiet add $D/part part
        sed -i 's|name = "fanctl-|name = "${import ./part/name.nix}-|' flake.nix
        git add -A; git commit -q -m 'a part'"#,
    );
    fleet.bump(&["hw:0.5.0", "nginx=1.26.1"]);
    let report = |how: &str| {
        let out = fleet.run([
            "report",
            "--format",
            "json",
            "--host",
            "nas",
            "--host",
            "webserver",
            "--submodules",
            how,
        ]);
        json(&out)
    };
    let whole = report("auto");
    assert_eq!(statuses(&whole), ["nas changed", "webserver changed"]);
    assert!(
        whole["hosts"][0]["diff"]["changed"]
            .to_string()
            .contains("from-the-submodule"),
        "{whole:#}"
    );
    assert_eq!(
        statuses(&report("off")),
        ["nas already-broken", "webserver changed"]
    );
}

/// What a call of Nix sees of tokens: its environment, and the setting.
const WATCH: &str = r#"env >>$D/seen; case "$*" in
*" flake "*|*" eval "*) "$real" --extra-experimental-features nix-command config show access-tokens >>$D/tokens
    "$real" --extra-experimental-features nix-command config show cores >>$D/cores
    stat -c %a $(printf %s "$NIX_CONFIG" | sed -n 's/^include //p') >>$D/modes ;; esac"#;

#[test]
#[ignore = "needs nix: run scripts/test"]
fn tokens_for_private_inputs_reach_nixs_fetchers_and_nothing_else() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let file = fleet.env().write(
        "secret",
        "# for Nix\naccess-tokens = github.com=tok-aaaaaaaaaaaa\ngithub.com/alice=tok-bbbbbbbbbbbb\n",
    );
    let file = file.to_str().unwrap();
    let shim = fleet.shim();
    shim.fault(fleet.env(), "nix", "", WATCH);
    shim.fault(fleet.env(), "nix-store", "", "env >>$D/seen");
    fleet.env_mut().set("NIX_CONFIG", "cores = 7");
    let args = [
        "report",
        "--format",
        "json",
        "--host",
        "webserver",
        "-vv",
        "--nix-access-token-file",
        file,
    ];
    let out = fleet.run(args).success();
    assert_eq!(json(&out)["warnings"], serde_json::json!([]));
    let read = |name: &str| fs::read_to_string(fleet.env().dir().join(name)).unwrap();
    let (tokens, seen) = (read("tokens"), read("seen"));
    // The lock twice, the hosts, both sides.
    let tokens: Vec<&str> = tokens.lines().map(str::trim).collect();
    assert!(tokens.len() >= 5, "{tokens:?}");
    for line in tokens {
        assert_eq!(
            line,
            "github.com=tok-aaaaaaaaaaaa github.com/alice=tok-bbbbbbbbbbbb"
        );
    }
    assert!(read("cores").lines().all(|line| line == "7"));
    assert!(read("modes").lines().all(|line| line == "600"));
    let calls: String = shim.calls().iter().map(ToString::to_string).collect();
    for secret in ["tok-aaaaaaaaaaaa", "tok-bbbbbbbbbbbb"] {
        for text in [&seen, &calls, &out.stdout, &out.stderr] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    let left = fleet.env().output(fleet.env().command("ls").arg("tmp"));
    assert_eq!(left.stdout, "");

    fleet.env().write("secret", "tok-aaaaaaaaaaaa\n");
    let out = fleet.run(args).code(1);
    insta::assert_snapshot!(out, @r#"
    ------- stderr -------
    Error: `nix-access-token-file` from the flag --nix-access-token-file: "$D/secret" has something else in line 1: a line is `HOST=TOKEN` (a host may have a path: `github.com/OWNER=TOKEN`), or `access-tokens = HOST=TOKEN ...`
    [exit status: 1]
    "#);
    // A job that does not fetch need not have the file.
    let _out = fleet
        .run(["config", "--nix-access-token-file", "no-such-file"])
        .success();
    let spaced = fleet.env().dir().join("a dir");
    fs::create_dir(&spaced).unwrap();
    fleet.env().write("secret", "github.com=tok-aaaaaaaaaaaa\n");
    fleet.env_mut().set("TMPDIR", spaced);
    let out = fleet
        .run(["hosts", "--nix-access-token-file", file])
        .code(1);
    assert!(
        out.stderr.contains("Hint: name another one in TMPDIR"),
        "{out}"
    );
}
