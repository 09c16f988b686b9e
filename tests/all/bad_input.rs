//! The table of bad input: what a run ends with, what it says of it, and that it leaves everything as it was.
//!
//! A row is a mistake. Its answer is the exit code and what stands at `Error:` and `Hint:`, in Nix's words where they are Nix's:
//! where its versions differ in these, the row holds what they share.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::report::{json, left_over, statuses};
use crate::support::{CommandOutput, Fleet};

/// Rows that share a fleet, since each leaves it as it was.
struct Table {
    fleet: Fleet,
    said: Vec<String>,
}

impl Table {
    fn new() -> Self {
        Self {
            fleet: Fleet::new(),
            said: Vec::new(),
        }
    }

    /// Returns a directory of this name, made if it is not there.
    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.fleet.env().dir().join("rows").join(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn git(&self, dir: &Path, args: &[&str]) {
        let mut git = self.fleet.env().command("git");
        let _done = self
            .fleet
            .env()
            .output(git.args(args).current_dir(dir))
            .success();
    }

    fn commit(&self, dir: &Path) {
        self.git(dir, &["add", "-A"]);
        self.git(dir, &["commit", "-q", "-m", "a row"]);
    }

    /// Returns a new repository with this `flake.nix`, committed.
    fn flake(&self, name: &str, text: &[u8]) -> PathBuf {
        let dir = self.dir(name);
        self.git(&dir, &["init", "-q", "-b", "main"]);
        fs::write(dir.join("flake.nix"), text).unwrap();
        self.commit(&dir);
        dir
    }

    /// Returns a clone of the fleet.
    fn clone(&self, name: &str) -> PathBuf {
        let dir = self.dir(name);
        let from = self.fleet.flake();
        self.git(&dir, &["clone", "-q", from.to_str().unwrap(), "."]);
        dir
    }

    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = self.fleet.env().binary();
        command.args(args).current_dir(dir);
        command
    }

    /// Runs flake-herald in a directory and adds a row.
    fn row(&mut self, title: &str, dir: &Path, args: &[&str], code: i32) -> CommandOutput {
        let command = self.command(dir, args);
        self.row_of(title, command, code)
    }

    fn row_of(&mut self, title: &str, mut command: Command, code: i32) -> CommandOutput {
        let dir = command.get_current_dir().unwrap().to_owned();
        let before = self.git_state(&dir);
        let output = self.fleet.env().output(&mut command);
        let end = output.status.code();
        assert_eq!(end, Some(code), "{title}: {output}");
        if code == 1 {
            assert_eq!(output.stdout, "", "{title}");
        }
        assert_eq!(self.git_state(&dir), before, "{title}");
        let nothing = Vec::<String>::new();
        assert_eq!(left_over(&self.fleet), nothing, "{title}: {output}");
        self.said
            .push(format!("{title}: {code}\n{}", told(&output)));
        output
    }

    /// Returns what a run may not touch in a directory: the repository, the index, the lock; what there is of them.
    fn git_state(&self, dir: &Path) -> Vec<Vec<u8>> {
        let mut git = self.fleet.env().command("git");
        git.args(["--no-optional-locks", "status", "--porcelain"]);
        git.args(["--ignored", "--branch"]);
        let status = self.fleet.env().output(git.current_dir(dir)).stdout;
        let read = |name: &str| fs::read(dir.join(name)).unwrap_or_default();
        let files = [
            ".git/HEAD",
            ".git/index",
            ".git/packed-refs",
            ".git/refs/heads/main",
        ];
        let lock = dir.join("flake.lock");
        let lock = if lock.is_symlink() {
            Vec::new()
        } else {
            read("flake.lock")
        };
        let mut state = vec![status.into_bytes(), lock];
        state.extend(files.map(read));
        state
    }

    fn said(&mut self) -> String {
        std::mem::take(&mut self.said).join("\n")
    }
}

/// Returns the errors and hints of a run: of each error its first line, of the words of clap all of them.
fn told(output: &CommandOutput) -> String {
    let mut redactor = output.redactor.clone();
    redactor
        .redact(&output.stderr)
        .lines()
        .filter(|line| {
            ["Error: ", "Hint: ", "error: ", "git: ", "- "]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .map(|line| {
            // Up to 2.2x a flake is read from its copy in the store.
            let line = line.replace("<source>", "$FLAKE");
            format!("  {line}\n")
        })
        .collect()
}

const REPORT: [&str; 3] = ["report", "--host", "nas"];

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flake_that_is_not_where_it_should_be() {
    let mut table = Table::new();
    let flake = b"{ outputs = _: { }; }";
    let (above, below, empty) = (table.dir("above/a/b"), table.dir("below"), table.dir("no"));
    fs::write(table.dir("above").join("flake.nix"), flake).unwrap();
    fs::write(table.dir("below/my fleet/nix").join("flake.nix"), flake).unwrap();
    table.row("no flake", &empty, &["report"], 1);
    table.row("one above", &above, &["hosts"], 1);
    table.row("one below", &below, &["lock", "-o", "x"], 1);
    table.row("no such directory", &empty, &["report", "--flake", "x"], 1);
    let file = table.dir("above").join("flake.nix");
    let file = file.to_str().unwrap();
    table.row("a file", &empty, &["report", "--flake", file], 1);
    symlink("nowhere", empty.join("flake.nix")).unwrap();
    table.row("a link to nothing", &empty, &["report"], 1);

    let untracked = table.clone("untracked");
    table.git(&untracked, &["rm", "-q", "--cached", "flake.nix"]);
    table.row("flake.nix not tracked", &untracked, &["report"], 1);
    let lock = table.clone("lock");
    table.git(&lock, &["rm", "-q", "--cached", "flake.lock"]);
    table.git(&lock, &["commit", "-q", "-m", "no lock"]);
    let output = table.row("flake.lock not tracked", &lock, &REPORT, 0);
    assert!(output.stdout.contains("`git add flake.lock`"), "{output}");

    let bare = table.dir("bare");
    table.git(&bare, &["init", "-q", "--bare"]);
    fs::write(bare.join("flake.nix"), flake).unwrap();
    table.row("a bare repository", &bare, &["report"], 1);
    let unborn = table.clone("unborn");
    table.git(&unborn, &["update-ref", "-d", "HEAD"]);
    table.row("no commit yet", &unborn, &REPORT, 2);
    table.git(&unborn, &["rm", "-q", "--cached", "flake.nix"]);
    table.row("no commit, nothing added", &unborn, &REPORT, 1);
    let detached = table.clone("detached");
    table.git(&detached, &["checkout", "-q", "--detach"]);
    table.row("a commit checked out", &detached, &REPORT, 2);
    let worktree = table.clone("worktree");
    fs::remove_dir_all(worktree.join(".git")).unwrap();
    table.row("no git", &worktree, &REPORT, 2);
    fs::write(worktree.join(".git"), "gitdir: /nonexistent\n").unwrap();
    table.row("a worktree alone", &worktree, &REPORT, 1);

    insta::assert_snapshot!(table.said(), @r#"
    no flake: 1
      Error: $D/rows/no has no flake.nix
      Hint: go to the flake's directory, or say where it is with --flake DIR; in a workflow the checkout comes first

    one above: 1
      Error: $D/rows/above/a/b has no flake.nix
      Hint: there is one in another directory: --flake $D/rows/above

    one below: 1
      Error: $D/rows/below has no flake.nix
      Hint: there is one in another directory: --flake '$D/rows/below/my fleet/nix'

    no such directory: 1
      Error: `flake` from the flag --flake: "x" is not a directory

    a file: 1
      Error: `flake` from the flag --flake: "$D/rows/above/flake.nix" is not a directory

    a link to nothing: 1
      Error: $D/rows/no has no flake.nix
      Hint: go to the flake's directory, or say where it is with --flake DIR; in a workflow the checkout comes first

    flake.nix not tracked: 1
      Error: flake.nix in $D/rows/untracked is not tracked by git, so Nix does not see it
      Hint: `git add flake.nix`; it need not be committed yet

    flake.lock not tracked: 0

    a bare repository: 1
      Error: $D/rows/bare/ is a bare repository: a flake is evaluated from a checkout
      Hint: run in a clone of it

    no commit yet: 2

    no commit, nothing added: 1
      Error: flake.nix in $D/rows/unborn is not tracked by git, so Nix does not see it
      Hint: `git add flake.nix`; it need not be committed yet

    a commit checked out: 2

    no git: 2

    a worktree alone: 1
      Error: $D/rows/worktree/.git leads to no git repository
      Hint: a worktree or a submodule needs the repository that it was made from: have that at hand too, or run there
    "#);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flake_that_is_none() {
    let mut table = Table::new();
    let rows: [(&str, &[u8]); 13] = [
        ("syntax error", b"{ outputs = { self }: { a = ; }; }"),
        ("an empty file", b""),
        ("not UTF-8", b"\xff\xfe{ }"),
        ("a list", b"[ ]"),
        ("no outputs", b"{ description = \"x\"; }"),
        ("outputs are no function", b"{ outputs = 5; }"),
        (
            "outputs throw",
            b"{ outputs = _: throw \"I am not ready\"; }",
        ),
        ("outputs are no set", b"{ outputs = _: 5; }"),
        ("outputs take too little", b"{ outputs = { }: { }; }"),
        (
            "outputs take what is no input",
            b"{ outputs = { self, nixpkgs }: { }; }",
        ),
        (
            "outputs without end",
            b"{ outputs = { self }: self.x // { }; }",
        ),
        (
            "no hosts",
            b"{ outputs = _: { nixosConfigurations = { }; }; }",
        ),
        (
            "hosts are no set",
            b"{ outputs = _: { nixosConfigurations = 7; }; }",
        ),
    ];
    for (title, text) in rows {
        let dir = table.flake(title, text);
        table.row(title, &dir, &["report"], 1);
    }
    let said = said_of_flakes(&mut table, &rows.map(|(title, _)| title));
    insta::assert_snapshot!(said, @"
    syntax error: 1
      Error: syntax error, unexpected ';'

    an empty file: 1
      Error: syntax error, unexpected end of file

    not UTF-8: 1
      Error: syntax error, unexpected invalid token

    a list: 1
      Error: file '$FLAKE/flake.nix' must be an attribute set

    no outputs: 1
      Error: flake 'git+file://$D/rows/no%20outputs' lacks attribute 'outputs'

    outputs are no function: 1
      Error: expected a function but got an integer at $FLAKE/flake.nix:1:3

    outputs throw: 1
      Error: I am not ready

    outputs are no set: 1
      Error: expected a set but found an integer: 5

    outputs take too little: 1
      Error: function 'outputs' called with unexpected argument 'self'
      Hint: let `outputs` take `...` too: it is called with `self` and every input

    outputs take what is no input: 1
      Error: input `nixpkgs` cannot be fetched: cannot find flake 'flake:nixpkgs' in the flake registries
      Hint: give the input a `url` in flake.nix; an argument of `outputs` that is no input is looked for in the registries too

    outputs without end: 1
      Error: infinite recursion encountered

    no hosts: 1
      Error: the flake has no hosts in `nixosConfigurations` (which is empty); its outputs are `nixosConfigurations`
      Hint: is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one

    hosts are no set: 1
      Error: the flake has no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts); its outputs are `nixosConfigurations`
      Hint: is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
    ");

    // Nix's versions have different words for these: the hint is ours.
    for (title, text) in [
        (
            "missing",
            &b"{ outputs = _: { nixosConfigurations = import ./x.nix; }; }"[..],
        ),
        (
            "outside",
            b"{ outputs = _: { nixosConfigurations = import /etc/x.nix; }; }",
        ),
    ] {
        let dir = table.flake(title, text);
        table.row(title, &dir, &["hosts"], 1);
    }
    let hints: Vec<String> = table
        .said()
        .lines()
        .filter(|line| line.starts_with("  Hint"))
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!(hints.join("\n"), @"
    Hint: Nix sees only files that git knows: if it is there, `git add` it; if not, flake.nix names it wrongly
    Hint: a flake sees its own files and its inputs only: that file has to be among them
    ");
}

/// Returns what was said, with the place of each row's flake as the older Nix has it.
fn said_of_flakes(table: &mut Table, titles: &[&str]) -> String {
    titles.iter().fold(table.said(), |said, title| {
        said.replace(&format!("$D/rows/{title}/"), "$FLAKE/")
    })
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_lock_that_is_none() {
    let mut table = Table::new();
    let dir = table.clone("lock");
    let lock = dir.join("flake.lock");
    let good = fs::read_to_string(&lock).unwrap();
    let mut data: Value = serde_json::from_str(&good).unwrap();
    data["nodes"]["root"]["inputs"]["a"] = serde_json::json!(["b"]);
    data["nodes"]["root"]["inputs"]["b"] = serde_json::json!(["a"]);
    let rows: [(&str, Vec<u8>); 9] = [
        ("not JSON", b"hello".to_vec()),
        ("truncated", good.as_bytes()[..700].to_vec()),
        ("empty", Vec::new()),
        ("version 99", good.replace(": 7", ": 99").into_bytes()),
        ("version 4", good.replace(": 7", ": 4").into_bytes()),
        (
            "a node is missing",
            good.replace(r#": "nixos-hardware""#, r#": "gone""#)
                .into_bytes(),
        ),
        ("inputs follow each other", data.to_string().into_bytes()),
        (
            "a conflict",
            format!("<<<<<<< HEAD\n{good}=======\n{good}>>>>>>> x\n").into_bytes(),
        ),
        ("50 MB of brackets", vec![b'['; 50_000_000]),
    ];
    for (title, bytes) in rows {
        fs::write(&lock, bytes).unwrap();
        table.commit(&dir);
        table.row(title, &dir, &REPORT, 1);
    }
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    fs::write(lock.join("x"), "").unwrap();
    table.commit(&dir);
    table.row("a directory", &dir, &REPORT, 1);
    fs::remove_dir_all(&lock).unwrap();
    symlink("nowhere", &lock).unwrap();
    table.commit(&dir);
    table.row("a link to nothing", &dir, &["lock", "-o", "../x"], 1);
    fs::remove_file(&lock).unwrap();
    fs::write(dir.join("real.lock"), &good).unwrap();
    symlink("real.lock", &lock).unwrap();
    table.commit(&dir);
    // Nix refuses it too, with "is a symlink".
    table.row("a link", &dir, &REPORT, 1);

    let dir = table.clone("tree");
    let skip = ["report", "--host", "nas", "--skip-update"];
    let lock = dir.join("flake.lock");
    fs::write(&lock, "hello").unwrap();
    table.row("not committed, not looked at", &dir, &REPORT, 2);
    table.row("the tree's", &dir, &skip, 1);
    fs::remove_file(&lock).unwrap();
    table.row("none in the tree", &dir, &skip, 1);
    symlink("/dev/zero", &lock).unwrap();
    table.row("a link in the tree", &dir, &skip, 1);
    let dir = table.clone("given");
    let given = |file| ["report", "--host", "nas", "--lock", file];
    table.row("a given one that is missing", &dir, &given("x"), 1);
    table.row("a given directory", &dir, &given("."), 1);
    table.row("something else given", &dir, &given("flake.nix"), 1);

    insta::assert_snapshot!(table.said(), @"
    not JSON: 1
      Error: flake.lock is not JSON: expected value at line 1 column 1
      Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`

    truncated: 1
      Error: flake.lock is truncated: the JSON ends too early, in line 26
      Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`

    empty: 1
      Error: flake.lock is truncated: the JSON ends too early, in line 1
      Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`

    version 99: 1
      Error: flake.lock has unsupported version 99
      Hint: a newer Nix wrote it: update flake-herald, or write it with a Nix that this version knows

    version 4: 1
      Error: flake.lock has unsupported version 4
      Hint: no Nix of today reads it: remove it and run `nix flake lock`

    a node is missing: 1
      Error: flake.lock references missing node 'gone' (input 'nixos-hardware' of node 'root')
      Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`

    inputs follow each other: 1
      Error: flake.lock has a follow cycle: input 'b' of node 'root' follows 'a', and so itself
      Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`

    a conflict: 1
      Error: flake.lock has merge conflict markers, the first one in line 1
      Hint: take either side (`git checkout --ours flake.lock`), then run `nix flake lock`

    50 MB of brackets: 1
      Error: flake.lock is not JSON: recursion limit exceeded at line 1 column 128
      Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`

    a directory: 1
      Error: flake.lock is a directory, which Nix does not take for a lock
      Hint: put the file itself there, or remove it and run `nix flake lock`

    a link to nothing: 1
      Error: flake.lock is a symbolic link, which Nix does not take for a lock
      Hint: put the file itself there, or remove it and run `nix flake lock`

    a link: 1
      Error: flake.lock is a symbolic link, which Nix does not take for a lock
      Hint: put the file itself there, or remove it and run `nix flake lock`

    not committed, not looked at: 2

    the tree's: 1
      Error: the working tree's flake.lock is not JSON: expected value at line 1 column 1
      Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`

    none in the tree: 1
      Error: --skip-update compares the commit's flake.lock with the working tree's, which has none
      Hint: `git checkout flake.lock` brings the commit's back, `nix flake update` makes a new one

    a link in the tree: 1
      Error: flake.lock is a symbolic link, which Nix does not take for a lock
      Hint: put the file itself there, or remove it and run `nix flake lock`

    a given one that is missing: 1
      Error: cannot use x: No such file or directory (os error 2)

    a given directory: 1
      Error: cannot use .: Is a directory (os error 21)

    something else given: 1
      Error: flake.nix is not JSON: key must be a string at line 2 column 3
      Hint: make it anew with `flake-herald lock -o FILE`
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_input_that_cannot_be_reached() {
    let mut table = Table::new();
    table.fleet.bump(&["unreachable:nixos-hardware"]);
    let dir = table.fleet.flake();
    let output = table.row("an input", &dir, &REPORT, 1);
    table.fleet.bump(&["reachable:nixos-hardware"]);
    let place = format!(
        "{}/inputs/nixos-hardware",
        table.fleet.env().dir().display()
    );
    let start = "Error: input `nixos-hardware` cannot be fetched: ";
    assert!(output.stderr.contains(start), "{output}");
    // 2.26 tells what git said, and then only that a branch is not there.
    assert!(
        output
            .stderr
            .contains("does not appear to be a git repository")
            || output
                .stderr
                .contains(&format!("Git repository \"{place}\" does not exist")),
        "{output}"
    );

    // Without git, Nix reads checkouts, and nothing else.
    let bin = table.dir("bin");
    let nix = table.fleet.env().which("nix").unwrap();
    let nix_store = nix.with_file_name("nix-store");
    for real in [nix, nix_store] {
        let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
        let stand_in = bin.join(real.file_name().unwrap());
        fs::write(&stand_in, script).unwrap();
        let mut chmod = table.fleet.env().command("chmod");
        let chmod = chmod.arg("+x").arg(&stand_in);
        let _done = table.fleet.env().output(chmod).success();
    }
    let mut without = table.command(&dir, &REPORT);
    without.env("PATH", &bin);
    table.row_of("checkouts without git", without, 2);
    let bare = table.dir("bare.git");
    let from = table.fleet.input("disko");
    table.git(
        &bare,
        &["clone", "-q", "--bare", from.to_str().unwrap(), "."],
    );
    let text = format!(
        "{{ inputs.x.url = \"git+file://{}\"; outputs = _: {{ }}; }}",
        bare.display()
    );
    let flake = table.flake("fetching", text.as_bytes());
    let mut without = table.command(&flake, &["lock", "-o", "../x"]);
    without.env("PATH", &bin);
    let output = table.row_of("fetching without git", without, 1);
    assert!(
        output
            .stderr
            .ends_with("Hint: Nix fetches with git, which must be installed and on PATH\n"),
        "{output}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn hosts_that_fail_are_in_the_report() {
    let mut table = Table::new();
    // Not UTF-8, a control character and a colour.
    let script = r#"printf '\377\376 \001 \033[31mno\033[0m\n' >&2; exit 3"#;
    let dir = table.fleet.flake();
    table
        .fleet
        .env()
        .write("inputs/nixpkgs/changes/php@fail", script);
    table.fleet.bump(&[
        "throw:devbox",
        "assert:nas",
        "recurse:router",
        "slow:busybox=60",
    ]);
    let args = ["report", "--format", "json", "--exclude-host", "pi"];
    let all = [
        &args[..],
        &["--no-default-excludes", "--build-timeout", "5s"],
    ]
    .concat();
    let report = json(&table.row("hosts", &dir, &all, 4));
    assert_eq!(
        statuses(&report),
        [
            "devbox broken",
            "installer-minimal unknown",
            "nas broken",
            "router broken",
            "webserver broken"
        ]
    );
    let told: Vec<String> = report["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| {
            let error = host["failure"]["error"].as_str();
            let error = error.or(host["reason"].as_str()).unwrap_or_default();
            let tail = host["failure"]["log_tail"].as_array();
            let tail = tail.and_then(|tail| tail.last()).unwrap_or(&Value::Null);
            format!(
                "{}: {} {tail}",
                host["name"].as_str().unwrap(),
                error.lines().next().unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    devbox: host devbox: the option `services.frobnicate' does not exist null
    installer-minimal: the build of busybox-1.36.1.drv took too long null
    nas: string '"assert"' is not equal to string '"no assertion of this host holds"' null
    router: infinite recursion encountered null
    webserver: builder failed with exit code 3 "��  no"
    "#);

    table
        .fleet
        .bump(&["fix:devbox", "missing:devbox", "fix:nas", "typeerror:nas"]);
    let two = [&args[..], &["--host", "devbox", "--host", "nas"]].concat();
    let report = json(&table.row("more hosts", &dir, &two, 4));
    assert_eq!(statuses(&report), ["devbox broken", "nas broken"]);
}

/// The files of a directory, with what is below it.
fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

const WHOLE: [&str; 4] = ["flake.lock", "report.json", "report.md", "report.txt"];

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_place_for_the_report_that_will_not_do_is_found_before_the_work() {
    let mut table = Table::new();
    let shim = table.fleet.shim();
    let dir = table.fleet.flake();
    let out = table.dir("out");
    fs::write(out.join("file"), "").unwrap();
    symlink("/nonexistent/x", out.join("nowhere")).unwrap();
    symlink("file", out.join("link")).unwrap();
    fs::create_dir_all(out.join("taken/report.json")).unwrap();
    let path = |name: &str| out.join(name).display().to_string();
    for (title, place) in [
        ("a file", path("file")),
        ("a link to a file", path("link")),
        ("a link to nothing", path("nowhere")),
        ("below a file", path("file/x")),
        ("below /proc", "/proc/x".to_owned()),
        ("read-only", "/proc/self".to_owned()),
        ("a device", "/dev/full".to_owned()),
        ("a report is a directory", path("taken")),
        ("the flake's own", ".".to_owned()),
        ("nothing", String::new()),
    ] {
        let args = ["report", "--host", "nas", "--output-dir", &place];
        table.row(title, &dir, &args, 1);
    }
    let full = path("full/x");
    for (variable, value) in [
        ("GITHUB_OUTPUT", full.as_str()),
        ("GITHUB_STEP_SUMMARY", out.to_str().unwrap()),
    ] {
        let mut command = table.command(&dir, &REPORT);
        command.env("GITHUB_ACTIONS", "true").env(variable, value);
        table.row_of(variable, command, 1);
    }
    for (title, place) in [("a lock", path("taken")), ("a lock below", path("file/x"))] {
        table.row(title, &dir, &["lock", "-o", &place], 1);
    }
    // Nothing was asked of Nix.
    assert_eq!(shim.nix_calls(), []);
    assert_eq!(files(&out.join("taken")), ["report.json"]);
    insta::assert_snapshot!(table.said(), @"
    a file: 1
      Error: --output-dir $D/rows/out/file is no directory
      Hint: name a directory; one that is not there is made

    a link to a file: 1
      Error: --output-dir $D/rows/out/link is no directory
      Hint: name a directory; one that is not there is made

    a link to nothing: 1
      Error: --output-dir $D/rows/out/nowhere is a link to what is not there
      Hint: name a directory; one that is not there is made

    below a file: 1
      Error: cannot write $D/rows/out/file/x: Not a directory (os error 20)

    below /proc: 1
      Error: cannot write /proc/x: No such file or directory (os error 2)

    read-only: 1
      Error: cannot write /proc/self: Operation not permitted (os error 1)

    a device: 1
      Error: --output-dir /dev/full is no directory
      Hint: name a directory; one that is not there is made

    a report is a directory: 1
      Error: cannot write $D/rows/out/taken/report.json: is a directory
      Hint: a file has to go there: move the directory out of the way

    the flake's own: 1
      Error: --output-dir . would overwrite the flake's own flake.lock
      Hint: name another directory; --write-lock keeps the new lock

    nothing: 1
      Error: `output-dir` from the flag --output-dir: the value is empty

    GITHUB_OUTPUT: 1
      Error: cannot write $D/rows/out/full/x: No such file or directory (os error 2)

    GITHUB_STEP_SUMMARY: 1
      Error: cannot write $D/rows/out: Is a directory (os error 21)
      Hint: a file has to go there: move the directory out of the way

    a lock: 1
      Error: cannot write $D/rows/out/taken: is a directory
      Hint: a file has to go there: move the directory out of the way

    a lock below: 1
      Error: cannot write $D/rows/out/file/x: Not a directory (os error 20)
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_reader_who_is_not_there() {
    let mut table = Table::new();
    table.fleet.bump(&["hw:0.5.0"]);
    let dir = table.fleet.flake();
    // Shell, so that descriptors can be closed; the code of the first in a pipe is written to a file.
    let shell = |table: &Table, script: &str| {
        let mut command = table.fleet.env().command("sh");
        command
            .args(["-c", script, env!("CARGO_BIN_EXE_flake-herald")])
            .args(REPORT)
            .current_dir(&dir);
        command
    };
    let out = table.dir("out");
    table.row_of("stdout closed", shell(&table, "\"$0\" \"$@\" >&-"), 0);
    table.row_of("stdout full", shell(&table, "\"$0\" \"$@\" >/dev/full"), 1);
    let script = "{ \"$0\" \"$@\"; echo $? >\"$TMPDIR/../code\"; } | head -n 1";
    let output = table.row_of("one line is enough", shell(&table, script), 0);
    assert_eq!(output.stdout.lines().count(), 1);
    let script = "{ \"$0\" \"$@\"; echo $? >>\"$TMPDIR/../code\"; } | true";
    table.row_of("nobody reads", shell(&table, script), 0);
    let codes = fs::read_to_string(table.fleet.env().dir().join("code")).unwrap();
    assert_eq!(codes, "0\n0\n");
    for (title, ending) in [
        ("stderr closed", "2>&-"),
        ("stderr full", "2>/dev/full"),
        ("stdin closed", "<&-"),
    ] {
        let script = format!("\"$0\" \"$@\" {ending}");
        let output = table.row_of(title, shell(&table, &script), 0);
        assert!(output.stdout.contains("1 host: changed"), "{output}");
    }
    let script = "\"$0\" \"$@\" --host nobody 2>/dev/full";
    table.row_of("an error and stderr full", shell(&table, script), 1);
    let script = format!("\"$0\" \"$@\" --output-dir {} <&- >&- 2>&-", out.display());
    table.row_of("all closed", shell(&table, &script), 0);
    assert_eq!(files(&out), WHOLE);
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.starts_with("## 1 host: changed"), "{markdown}");

    // What is whole stays, what a reader has is as it should be, and the job fails.
    let told = table.fleet.env().write("told", "");
    for (variable, place) in [
        ("GITHUB_OUTPUT", "output"),
        ("GITHUB_STEP_SUMMARY", "summary"),
    ] {
        let out = table.dir(place);
        let mut args = REPORT.to_vec();
        args.extend(["--format", "json", "--output-dir", out.to_str().unwrap()]);
        let mut command = table.command(&dir, &args);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_OUTPUT", &told)
            .env(variable, "/dev/full");
        let output = table.fleet.env().output(&mut command).code(1);
        table
            .said
            .push(format!("{variable} full\n{}", self::told(&output)));
        assert_eq!(files(&out), WHOLE);
        assert_eq!(statuses(&json(&output)), ["nas changed"]);
    }
    // The later value counts.
    let told = fs::read_to_string(told).unwrap();
    let (_, last) = told.rsplit_once("exit-code<<").unwrap();
    assert_eq!(last.lines().nth(1), Some("1"), "{told}");
    insta::assert_snapshot!(table.said(), @"
    stdout closed: 0

    stdout full: 1
      Error: the report cannot be printed: No space left on device (os error 28)
      Hint: make room on that disk, or have it written elsewhere

    one line is enough: 0

    nobody reads: 0

    stderr closed: 0

    stderr full: 0

    stdin closed: 0

    an error and stderr full: 1

    all closed: 0

    GITHUB_OUTPUT full
      Error: cannot write /dev/full: No space left on device (os error 28)
      Hint: make room on that disk, or have it written elsewhere

    GITHUB_STEP_SUMMARY full
      Error: cannot write /dev/full: No space left on device (os error 28)
      Hint: make room on that disk, or have it written elsewhere
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_full_disk_leaves_no_half_a_report() {
    let mut table = Table::new();
    table.fleet.bump(&["hw:0.5.0"]);
    let dir = table.fleet.flake();
    let out = table.dir("out");
    // A limit for files stands in for the disk. Nix needs larger ones: its stand-ins lift it again.
    let shim = table.fleet.shim();
    for program in ["nix", "nix-store"] {
        shim.fault(table.fleet.env(), program, "", "ulimit -S -f unlimited");
    }
    let mut args = REPORT.to_vec();
    args.extend(["--output-dir", out.to_str().unwrap()]);
    // Files of 512 bytes: there is no room for the locks. Then for everything but report.json, which is larger.
    for (title, blocks) in [("no room at all", 1), ("room for a half", 6)] {
        let mut command = table.fleet.env().command("sh");
        command
            .args([
                "-c",
                &format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\""),
            ])
            .arg(env!("CARGO_BIN_EXE_flake-herald"))
            .args(&args)
            .current_dir(&dir);
        // What was to be written is printed all the same.
        let (before, output) = (
            table.fleet.repository(),
            table.fleet.env().output(&mut command),
        );
        let output = output.code(1);
        assert_eq!(output.stdout.contains("1 host"), blocks > 1, "{output}");
        assert_eq!(table.fleet.repository(), before);
        assert_eq!(left_over(&table.fleet), Vec::<String>::new());
        assert_eq!(files(&out), Vec::<String>::new(), "{title}");
        let said = told(&output)
            .lines()
            .map(|line| match line.split_once("/tmp/") {
                // A name of its own.
                Some((before, after)) => {
                    let (_, after) = after.split_once('/').unwrap();
                    format!("{before}/tmp/…/{after}\n")
                }
                None => format!("{line}\n"),
            })
            .collect::<String>();
        table.said.push(format!("{title}\n{said}"));
    }
    insta::assert_snapshot!(table.said(), @"
    no room at all
      Error: cannot use $D/tmp/…/base.lock: File too large (os error 27)
      Hint: make room on that disk; the variable TMPDIR says where temporary files go

    room for a half
      Error: cannot write $D/rows/out/report.json: File too large (os error 27)
      Hint: make room on that disk, or have it written elsewhere
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn surroundings_that_will_not_do() {
    let mut table = Table::new();
    let dir = table.fleet.flake();
    let mut with = |title: &str, variables: &[(&str, &str)], code| {
        let mut command = table.command(&dir, &REPORT);
        command.envs(variables.iter().copied());
        table.row_of(title, command, code);
    };
    with("PATH empty", &[("PATH", "")], 1);
    with("TMPDIR missing", &[("TMPDIR", "/nonexistent/tmp")], 1);
    with("TMPDIR a file", &[("TMPDIR", "flake.nix")], 1);
    with("TMPDIR read-only", &[("TMPDIR", "/proc")], 1);
    with("HOME missing", &[("HOME", "/nonexistent")], 2);
    // Nix 2.34 would put its caches into the flake's directory.
    with(
        "XDG empty",
        &[("XDG_CACHE_HOME", ""), ("XDG_STATE_HOME", "")],
        2,
    );
    with("NIX_CONFIG broken", &[("NIX_CONFIG", "what is this")], 1);
    with("NIX_CONFIG wrong", &[("NIX_CONFIG", "max-jobs = many")], 1);
    with("an unknown variable", &[("FLAKE_HERALD_HOTS", "x")], 2);
    let socket = table.dir("x").join("socket");
    let socket = [
        ("NIX_REMOTE", "daemon"),
        ("NIX_DAEMON_SOCKET_PATH", socket.to_str().unwrap()),
    ];
    let mut command = table.command(&dir, &REPORT);
    command.envs(socket);
    table.row_of("no daemon", command, 1);
    let mut command = table.command(&dir, &REPORT);
    command.env_remove("HOME");
    table.row_of("no HOME", command, 2);
    let mut command = table.command(&dir, &REPORT);
    command.env_remove("PATH");
    table.row_of("no PATH", command, 1);

    // Flakes are asked for on every call.
    let conf = table.fleet.env().dir().join("etc/nix.conf");
    let good = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, good.replace("experimental-features", "# ")).unwrap();
    table.row("flakes off", &dir, &REPORT, 2);
    fs::write(&conf, format!("{good}what is this\n")).unwrap();
    table.row("nix.conf broken", &dir, &REPORT, 1);
    fs::write(&conf, good).unwrap();
    let said = table.said();
    // Quotes differ between Nix's versions.
    insta::assert_snapshot!(said.replace('"', "'"), @"
    PATH empty: 1
      Error: `nix --version` could not be started: program 'nix' not found
      Hint: Nix must be installed and on PATH: https://nixos.org/download

    TMPDIR missing: 1
      Error: no temporary directory can be made in /nonexistent/tmp: No such file or directory (os error 2)
      Hint: the variable TMPDIR says where temporary files go

    TMPDIR a file: 1
      Error: no temporary directory can be made in flake.nix: Not a directory (os error 20)
      Hint: the variable TMPDIR says where temporary files go

    TMPDIR read-only: 1
      Error: no temporary directory can be made in /proc: No such file or directory (os error 2)
      Hint: the variable TMPDIR says where temporary files go

    HOME missing: 2

    XDG empty: 2

    NIX_CONFIG broken: 1
      Error: syntax error in configuration line 'what is this' in 'NIX_CONFIG'
      Hint: that is Nix's own configuration: nix.conf, or the variable NIX_CONFIG

    NIX_CONFIG wrong: 1
      Error: configuration setting 'max-jobs' should be 'auto' or an integer
      Hint: that is Nix's own configuration: nix.conf, or the variable NIX_CONFIG

    an unknown variable: 2

    no daemon: 1
      Error: cannot connect to socket at '$D/rows/x/socket': No such file or directory
      Hint: the Nix daemon is not running: `systemctl start nix-daemon`; a container without one needs the host's socket in it, or a store of its own and NIX_REMOTE=local

    no HOME: 2

    no PATH: 1
      Error: `nix --version` could not be started: program 'nix' not found
      Hint: Nix must be installed and on PATH: https://nixos.org/download

    flakes off: 2

    nix.conf broken: 1
      Error: syntax error in configuration line 'what is this' in '$D/etc/nix.conf'
      Hint: that is Nix's own configuration: nix.conf, or the variable NIX_CONFIG
    ");

    // What Nix takes for a warning is one of the report.
    table.fleet.bump(&["hw:0.5.0"]);
    let mut args = REPORT.to_vec();
    args.extend(["--format", "json", "--option", "max-jobs", "many"]);
    args.extend(["--option", "no-such-setting", "1"]);
    let report = json(&table.row("options", &dir, &args, 0));
    insta::assert_snapshot!(report["warnings"], @r#"["Nix: configuration setting 'max-jobs' should be 'auto' or an integer","Nix: unknown setting 'no-such-setting'"]"#);
}

#[test]
fn flags_that_contradict_or_say_nothing() {
    let env = crate::support::TestEnv::new();
    env.write("flake.nix", "{ }");
    env.write("broken.toml", "host = [");
    env.write("unknown.toml", "hots = \"x\"\n");
    env.write("odd.toml", b"\xff\xfe");
    let mut said = Vec::new();
    for args in [
        &["--eval-jobs", "0"][..],
        &["--eval-jobs", "-1"],
        &["--eval-jobs", "99999999999999999999"],
        &["--max-jobs", "x"],
        &["--build-timeout", "0s"],
        &["--build-timeout", "soon"],
        &["--build-timeout", "99999999999999999999h"],
        &["--lock", "x", "--skip-update"],
        &["--skip-update", "--write-lock"],
        &["--input", "x", "--exclude-input", "x"],
        &["--host", ""],
        &["--attr", ""],
        &["--attr", "a..b"],
        &["--attr", "a.\"b"],
        &["--option", "", "x"],
        &["--option", "max-jobs"],
        &["-q", "-v"],
        &["--flake", ".", "--flake", "."],
        &["--config", "missing.toml"],
        &["--config", "."],
        &["--config", "broken.toml"],
        &["--config", "unknown.toml"],
        &["--config", "odd.toml"],
        &["--lock", ""],
        &["--host", "["],
        &["--exclude-host", "{a"],
    ] {
        let output = env.run([&["report"], args].concat()).code(1);
        assert_eq!(output.stdout, "", "{args:?}");
        assert_eq!(files(&env.dir().join("tmp")), Vec::<String>::new());
        said.push(format!("{}\n{}", args.join(" "), told(&output)));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    --eval-jobs 0
      Error: `eval-jobs` from the flag --eval-jobs: "0" is not a whole number of at least 1

    --eval-jobs -1
      Error: `eval-jobs` from the flag --eval-jobs: "-1" is not a whole number of at least 1

    --eval-jobs 99999999999999999999
      Error: `eval-jobs` from the flag --eval-jobs: "99999999999999999999" is not a whole number of at least 1

    --max-jobs x
      Error: `max-jobs` from the flag --max-jobs: "x" is not a whole number of at least 0

    --build-timeout 0s
      Error: `build-timeout` from the flag --build-timeout: "[duration]" is not a time such as [duration], 30m or 2h

    --build-timeout soon
      Error: `build-timeout` from the flag --build-timeout: "soon" is not a time such as [duration], 30m or 2h

    --build-timeout 99999999999999999999h
      Error: `build-timeout` from the flag --build-timeout: "99999999999999999999h" is not a time such as [duration], 30m or 2h

    --lock x --skip-update
      Error: `skip-update` from the flag --skip-update and `lock` from the flag --lock contradict each other: the new lock is either the working tree's or that file; leave one out, or overrule the first with --skip-update=false

    --skip-update --write-lock
      Error: `skip-update` from the flag --skip-update and `write-lock` from the flag --write-lock contradict each other: the new lock is the working tree's already

    --input x --exclude-input x
      Error: `input` from the flag --input and `exclude-input` from the flag --exclude-input contradict each other: both name "x"

    --host 
      Error: `host` from the flag --host: the value is empty

    --attr 
      Error: `attr` from the flag --attr: the value is empty

    --attr a..b
      Error: the attribute path `a..b` has an empty name in it

    --attr a."b
      Error: the attribute path `a."b` has a quote that is never closed

    --option  x
      Error: `option` from the flag --option: the value is empty

    --option max-jobs
      error: 2 values required for '--option <NAME> <VALUE>' but 1 was provided

    -q -v
      Error: `verbose` from the flag --verbose and `quiet` from the flag --quiet contradict each other: leave one out

    --flake . --flake .
      error: the argument '--flake <DIR>' cannot be used multiple times

    --config missing.toml
      Error: cannot read missing.toml, named by the flag --config: No such file or directory (os error 2)

    --config .
      Error: cannot read ., named by the flag --config: Is a directory (os error 21)

    --config broken.toml
      Error: broken.toml line 1: unclosed array, expected `]`

    --config unknown.toml
      Error: `hots` from unknown.toml line 1: there is no such key; did you mean `host`?

    --config odd.toml
      Error: odd.toml line 1: the file is not UTF-8

    --lock 
      Error: `lock` from the flag --lock: the value is empty

    --host [
      Error: the host pattern `[` is not a glob: unclosed character class; missing ']'

    --exclude-host {a
      Error: the host pattern `{a` is not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
    "#);
}
