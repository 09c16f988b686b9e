//! Closures kept in files: compared without a Nix, refused where they are none, and equal to what they were made from.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Fleet, TestEnv};

/// A path of a snapshot: its digit and name, its size, and which paths it refers to, by their places.
type Line<'a> = (char, &'a str, u64, &'a [usize]);

/// Returns a snapshot of the closure of its last path.
fn snapshot(paths: &[Line<'_>]) -> Value {
    let base = |(digit, name, _, _): &Line<'_>| format!("{}-{name}", digit.to_string().repeat(32));
    let lines: Vec<Value> = paths
        .iter()
        .map(|path| json!({ "name": base(path), "nar_size": path.2, "references": path.3 }))
        .collect();
    json!({
        "flake-herald-snapshot": 1, "tool": "a test", "store_dir": "/nix/store",
        "root": paths.last().map(base), "links": [], "paths": lines, "recipes": [],
    })
}

/// An environment in which nothing is on `PATH`.
fn without_nix() -> TestEnv {
    let mut env = TestEnv::new();
    let empty = env.dir().join("no-programs");
    fs::create_dir(&empty).unwrap();
    env.set("PATH", empty);
    env
}

#[test]
fn two_snapshots_are_compared_where_there_is_no_nix() {
    let env = without_nix();
    let old = snapshot(&[('0', "glibc-2.39", 7, &[]), ('1', "tool-1.0", 1, &[0])]);
    let new = snapshot(&[('0', "glibc-2.39", 7, &[]), ('2', "tool-1.1", 3, &[0])]);
    env.write("old.json", old.to_string());
    env.write("new.json", new.to_string());
    let said = env.run(["diff", "old.json", "new.json"]).success();
    assert_eq!(said.stderr, "");
    for line in [
        "<<< /nix/store/11111111111111111111111111111111-tool-1.0\n",
        ">>> /nix/store/22222222222222222222222222222222-tool-1.1\n",
        " tool  1.0 -> 1.1\n",
        "(1 paths added, 1 paths removed, delta +0, disk usage +2B)",
    ] {
        assert!(said.stdout.contains(line), "{line:?} is not in {said}");
    }
    let code = |new| {
        let output = env.run(["diff", "--exit-code", "./old.json", new]);
        assert_eq!(output.stderr, "");
        output.status.code()
    };
    assert_eq!(code("new.json"), Some(1));
    assert_eq!(code("old.json"), Some(0));
    let same = env.run(["diff", "old.json", "old.json"]).success();
    assert!(
        same.stdout
            .contains("(0 paths added, 0 paths removed, delta +0, disk usage +0B)"),
        "{same}"
    );
    let json = env.run(["diff", "--format", "json", "old.json", "new.json"]);
    let json: Value = serde_json::from_str(&json.success().stdout).unwrap();
    assert_eq!(json["changed"][0]["change"], "upgraded");
    // A snapshot of one is the same file, but for who wrote it.
    let again = env
        .run(["snapshot", "old.json", "-o", "-"])
        .success()
        .stdout;
    let mut again: Value = serde_json::from_str(&again).unwrap();
    again["tool"] = old["tool"].clone();
    assert_eq!(again, old);
}

#[test]
fn what_is_no_snapshot_is_told_in_a_line_and_never_compared() {
    let env = without_nix();
    let good = snapshot(&[('0', "glibc-2.39", 7, &[]), ('1', "tool-1.0", 1, &[0])]);
    let text = good.to_string();
    env.write("good", &text);
    env.write("empty", "");
    env.write("cut", &text[..text.len() / 2]);
    env.write("text", "hello\n");
    env.write("bytes", b"\xff\xfe\0");
    env.write(
        "future",
        json!({ "flake-herald-snapshot": 7, "closure": {} }).to_string(),
    );
    env.write("report", r#"{"schema":1,"hosts":[],"fleet":{}}"#);
    env.write("diff", r#"{"changed":[],"added":[],"removed":[]}"#);
    env.write("lock", r#"{"nodes":{},"root":"root","version":7}"#);
    env.write(
        "infos",
        r#"{"/nix/store/00000000000000000000000000000000-x":{}}"#,
    );
    env.write(
        "infos-2",
        r#"{"info":{},"storeDir":"/nix/store","version":2}"#,
    );
    env.write("infos-old", r#"[{"path":"/nix/store/x","narSize":1}]"#);
    env.write(
        "drvs",
        r#"{"/nix/store/00000000000000000000000000000000-x.drv":{}}"#,
    );
    env.write("other", "{}");
    env.write("gz", b"\x1f\x8b\x08\0");
    env.write(
        "dump",
        "/nix/store/00000000000000000000000000000000-x\nsha256:…\n",
    );
    let mut twice = good.clone();
    let first = twice["paths"][0].clone();
    twice["paths"].as_array_mut().unwrap().push(first);
    env.write("twice", twice.to_string());
    env.write("dir/x", "");
    let large = fs::File::create(env.dir().join("large")).unwrap();
    large.set_len((256 << 20) + 1).unwrap();
    let pipe = env.dir().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();

    let mut said = Vec::new();
    for file in [
        "empty",
        "cut",
        "text",
        "bytes",
        "future",
        "report",
        "diff",
        "lock",
        "infos",
        "infos-2",
        "infos-old",
        "drvs",
        "other",
        "gz",
        "dump",
        "twice",
        "dir",
        "large",
        "pipe",
    ] {
        let output = env.run(["diff", file, "good"]).code(1);
        assert_eq!(output.stdout, "", "{file}");
        let first = output.stderr.lines().next().unwrap_or_default();
        said.push(first.to_owned());
        let reversed = env.run(["diff", "--exit-code", "good", file]).code(2);
        assert_eq!(
            (reversed.stdout, reversed.stderr),
            (String::new(), output.stderr)
        );
    }
    insta::assert_snapshot!(said.join("\n"), @"
    Error: empty is empty
    Error: cut ends in the middle: it was cut off
    Error: text is no snapshot
    Error: bytes is no snapshot
    Error: future was made by a newer flake-herald: it has format 7, and this one reads 1
    Error: report is no snapshot: it looks like a report of flake-herald
    Error: diff is no snapshot: it looks like what `flake-herald diff --format json` prints
    Error: lock is no snapshot: it looks like a flake.lock
    Error: infos is no snapshot: it looks like what `nix path-info --json` prints
    Error: infos-2 is no snapshot: it looks like what `nix path-info --json` prints
    Error: infos-old is no snapshot: it looks like what `nix path-info --json` prints
    Error: drvs is no snapshot: it looks like what `nix derivation show` prints
    Error: other is no snapshot
    Error: gz is no snapshot: it looks like a compressed file, which has to be decompressed first
    Error: dump is no snapshot: it looks like a list of store paths
    Error: twice is a snapshot that is damaged: /nix/store/00000000000000000000000000000000-glibc-2.39 is in it twice
    Error: dir is a directory, and no link to a store path
    Error: large is larger than the 256 MiB that a snapshot may have
    Error: pipe is a pipe, and a snapshot is read from a file
    ");
}

#[test]
fn a_path_that_came_out_differently_is_unchanged_or_an_error_but_never_guessed_at() {
    let env = without_nix();
    let (glibc, user) = (
        ('0', "glibc-2.39", 7, &[][..]),
        ('1', "tool-1.0", 1, &[0][..]),
    );
    env.write("old", snapshot(&[glibc, user]).to_string());
    let resized = ('0', "glibc-2.39", 8, &[][..]);
    env.write(
        "resized",
        snapshot(&[resized, ('2', "tool-1.0", 1, &[0])]).to_string(),
    );
    let rewired = ('0', "glibc-2.39", 7, &[0][..]);
    env.write("rewired", snapshot(&[rewired, user]).to_string());

    let output = env.run(["diff", "old", "resized"]).success();
    insta::assert_snapshot!(output.stderr, @"warning: /nix/store/00000000000000000000000000000000-glibc-2.39 has another size in old than in resized: built twice, it came out differently; it counts as unchanged, with its size in resized");
    assert!(output.stdout.contains("disk usage +0B"), "{output}");
    let output = env.run(["diff", "old", "rewired"]).code(1);
    assert_eq!(output.stdout, "");
    insta::assert_snapshot!(output.stderr, @"
    Error: old and rewired contradict each other: /nix/store/00000000000000000000000000000000-glibc-2.39 refers to other paths in one than in the other
    Hint: it was built twice, and came out differently: compare closures that are in one store
    ");
}

#[test]
fn a_snapshot_is_written_whole_or_not_at_all() {
    let env = without_nix();
    env.write("s", snapshot(&[('0', "x", 7, &[])]).to_string());
    env.write("kept", "as it was");
    let mut said = Vec::new();
    for args in [
        &["snapshot", "s"][..],
        &["snapshot", "missing", "-o", "kept"],
        &[
            "snapshot",
            "/nix/store/00000000000000000000000000000000-x",
            "-o",
            "kept",
        ],
        &["snapshot", "s", "-o", "no/such/dir"],
        &["snapshot", "s", "-o", "."],
    ] {
        let output = env.run(args).code(1);
        assert_eq!(output.stdout, "", "{args:?}");
        said.push(output.stderr);
    }
    insta::assert_snapshot!(said.join(""), @r#"
    Error: `snapshot` needs `--output`
    Error: there is no file or link missing
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    Error: `nix --version` could not be started: program "nix" not found
    Hint: Nix must be installed and on PATH: https://nixos.org/download
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#which-nix
    Error: cannot write no/such/dir: No such file or directory (os error 2)
    Error: cannot write .: is a directory
    Hint: a file has to go there: move the directory out of the way
    "#);
    assert_eq!(
        fs::read_to_string(env.dir().join("kept")).unwrap(),
        "as it was"
    );
    let _out = env.run(["snapshot", "s", "-o", "kept"]).success();
    let left: Vec<_> = fs::read_dir(env.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("herald"))
        .collect();
    assert_eq!(left, [] as [String; 0]);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_diff_of_snapshots_is_the_diff_of_the_stores() {
    let fleet = Fleet::new();
    let build = |link: &str| {
        let attribute = ".#nixosConfigurations.devbox.config.system.build.toplevel";
        let _out = fleet
            .nix(["build", attribute, "--out-link", link])
            .success();
    };
    build("old");
    fleet.bump(&[
        "openssl=3.0.14",
        "firefox=127.0",
        "hm:fzf=0.53.0",
        "add:brotli=1.1.0@curl",
    ]);
    let _out = fleet.nix(["flake", "update"]).success();
    build("new");
    for (link, file) in [
        ("old", "old.json"),
        ("new", "new.json"),
        ("old", "again.json"),
    ] {
        let output = fleet.run(["snapshot", link, "-o", file]).success();
        assert_eq!(
            (output.stdout, output.stderr),
            (String::new(), String::new())
        );
    }
    let file = |name: &str| fs::read_to_string(fleet.flake().join(name)).unwrap();
    assert_eq!(file("old.json"), file("again.json"));
    let printed = fleet
        .run(["snapshot", "./old.json", "--output", "-"])
        .success();
    assert_eq!(printed.stdout, file("old.json"));

    for flags in [
        &["--format", "json"][..],
        &["--format", "markdown"],
        &[],
        &["--all", "--sort", "size"],
        &["--selected", "--sort", "semver"],
    ] {
        let said = |old: &str, new: &str| {
            let output = fleet.run([&["diff", old, new], flags].concat()).success();
            assert_eq!(output.stderr, "");
            output.stdout
        };
        let stores = said("old", "new");
        assert!(stores.contains("firefox"), "{stores}");
        assert_eq!(said("old.json", "new.json"), stores, "{flags:?}");
        assert_eq!(said("old", "new.json"), stores, "{flags:?}");
        assert_eq!(said("old.json", "new"), stores, "{flags:?}");
    }
    let _same = fleet
        .run(["diff", "--exit-code", "old", "old.json"])
        .success();
    let _changed = fleet
        .run(["diff", "--exit-code", "old", "new.json"])
        .code(1);
}
