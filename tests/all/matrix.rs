//! A job matrix: `hosts` and `lock` once, `report --plan` in each job, and what comes of it together.

use std::fs;
use std::path::PathBuf;

use flake_herald::report::{MergeError, Report, merge, parse, to_json};
use serde_json::Value;

use crate::report::json;
use crate::support::Fleet;

/// A plan and a lock, as the first job of a matrix leaves them, and the jobs' reports.
struct Matrix {
    fleet: Fleet,
    plan: PathBuf,
    lock: PathBuf,
}

impl Matrix {
    fn new(fleet: Fleet) -> Self {
        let hosts = [
            "hosts", "--kind", "nixos", "--kind", "home", "--format", "json",
        ];
        let plan = fleet.run(hosts).success().stdout;
        let plan = fleet.env().write("plan.json", plan);
        let lock = fleet.env().dir().join("new.lock");
        let _out = fleet.run(["lock", "-o", lock.to_str().unwrap()]);
        Self { fleet, plan, lock }
    }

    fn ids(&self) -> Vec<String> {
        let plan: Value = serde_json::from_slice(&fs::read(&self.plan).unwrap()).unwrap();
        plan["hosts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|host| host["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Runs one job and returns its report.
    fn job(&self, host: &str) -> Report {
        let dir = self.fleet.env().dir().join(format!("out-{host}"));
        let args = [
            "report",
            "--plan",
            self.plan.to_str().unwrap(),
            "--lock",
            self.lock.to_str().unwrap(),
            "--host",
            host,
            "--output-dir",
            dir.to_str().unwrap(),
        ];
        let out = self.fleet.run(args);
        let report =
            fs::read(dir.join("report.json")).unwrap_or_else(|error| panic!("{error}: {out}"));
        parse(&report).unwrap()
    }

    fn jobs(&self) -> Vec<(String, Report)> {
        self.ids()
            .into_iter()
            .map(|id| (format!("{id}/report.json"), self.job(&id)))
            .collect()
    }

    /// Runs over all hosts at once and returns the report's JSON.
    fn single(&self) -> Value {
        json(&self.fleet.run([
            "report",
            "--kind",
            "nixos",
            "--kind",
            "home",
            "--lock",
            self.lock.to_str().unwrap(),
            "--format",
            "json",
        ]))
    }
}

/// The bytes of a report, times and paths of logs aside.
fn bytes(mut report: Value) -> String {
    report["timing"] = Value::Null;
    for host in report["hosts"].as_array_mut().unwrap() {
        if host["failure"].is_object() {
            host["failure"]["log_path"] = Value::Null;
        }
    }
    report.to_string()
}

fn merged(reports: Vec<(String, Report)>) -> Value {
    serde_json::from_str(&to_json(&merge(reports).unwrap())).unwrap()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_matrix_merged_is_a_single_run() {
    let fleet = Fleet::new();
    fleet.bump(&["openssl=3.0.14", "fail:php", "throw:nas", "hm:fzf=0.53.0"]);
    let matrix = Matrix::new(fleet);
    let mut reports = matrix.jobs();
    let single = matrix.single();
    assert_eq!(single["lock"]["origin"], "staged");
    assert_eq!(single["plan"], Value::Null);
    assert_eq!(reports.len(), 6);
    let hosts = reports[0].1.plan.as_ref().unwrap().hosts.len();
    assert_eq!((hosts, reports[0].1.hosts.len()), (6, 1));
    assert_eq!(bytes(merged(reports.clone())), bytes(single.clone()));
    // In whatever order the files are found.
    reports.reverse();
    assert_eq!(bytes(merged(reports.clone())), bytes(single.clone()));
    // What was merged, or made at once, is its own merge.
    let whole = parse(single.to_string().as_bytes()).unwrap();
    assert_eq!(
        bytes(merged(vec![("report.json".to_owned(), whole)])),
        bytes(single)
    );

    let (from, lost) = reports.remove(0);
    let error = merge(reports.clone()).unwrap_err();
    assert!(
        matches!(&error, MergeError::Missing(hosts) if hosts.len() == 1),
        "{error}"
    );
    assert!(error.to_string().contains(&lost.hosts[0].name), "{error}");
    reports.push((from.clone(), lost.clone()));
    reports.push(("again.json".to_owned(), lost));
    let error = merge(reports).unwrap_err().to_string();
    assert!(
        error.contains(&from) && error.contains("again.json"),
        "{error}"
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_matrix_with_nothing_to_update_merges_too() {
    let matrix = Matrix::new(Fleet::new());
    let single = matrix.single();
    assert_eq!(single["outcome"], "lock-unchanged");
    assert_eq!(bytes(merged(matrix.jobs())), bytes(single));
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_plan_that_does_not_fit_is_refused() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let matrix = Matrix::new(fleet);
    let plan = matrix.plan.to_str().unwrap();
    let run = |args: &[&str]| {
        matrix
            .fleet
            .run([&["report", "--plan", plan], args].concat())
            .code(1)
    };
    insta::assert_snapshot!(run(&["--host", "webservre"]), @"
    ------- stderr -------
    Error: the plan has no host that matches `webservre`; it has `nixos:devbox`, `nixos:nas`, `nixos:pi`, `nixos:router`, `nixos:webserver`, `home:alice@devbox`
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/matrix.md#when-it-stops
    [exit status: 1]
    ");
    insta::assert_snapshot!(run(&["--kind", "darwin"]), @"
    ------- stderr -------
    Error: the plan has `kind` as `home`, `nixos`, and the flag --kind says `darwin`
    Hint: leave it out here: `hosts` decides what the plan asks for, best by flake-herald.toml or the environment
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/matrix.md#when-it-stops
    [exit status: 1]
    ");
    insta::assert_snapshot!(run(&["--input", "nixpkgs"]), @"
    ------- stderr -------
    Error: the plan has no `input`, and the flag --input says `nixpkgs`
    Hint: leave it out here: `hosts` decides what the plan asks for, best by flake-herald.toml or the environment
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/matrix.md#when-it-stops
    [exit status: 1]
    ");
    // The same as in the plan is no contradiction, and the file gives way.
    matrix
        .fleet
        .write("flake-herald.toml", "kind = [\"darwin\"]\n");
    let _out = matrix
        .fleet
        .run([
            "report",
            "--plan",
            plan,
            "--kind",
            "home",
            "--kind",
            "nixos",
            "--host",
            "nixos:webserver",
        ])
        .success();
    let text = fs::read_to_string(plan).unwrap();
    fs::write(plan, text.replace("\"*-minimal\"", "\"*-maximal\"")).unwrap();
    insta::assert_snapshot!(run(&[]), @"
    ------- stderr -------
    Error: the plan was changed: its scope is not the one that its id 8e52d79c8773a1cb stands for
    Hint: make it anew with `flake-herald hosts --format json`, with the flags that say what to look at
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/matrix.md#when-it-stops
    [exit status: 1]
    ");
    fs::write(plan, text.replace("router", "rooter")).unwrap();
    insta::assert_snapshot!(run(&["--host", "r*"]), @"
    ------- stderr -------
    Staging the update …
    Error: the plan does not fit the flake, which does not have `nixos:rooter`
    Hint: the plan and its jobs must be of one commit
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/matrix.md#when-it-stops
    [exit status: 1]
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_lock_is_staged_only_on_the_commit_it_was_staged_on() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let lock = fleet.env().dir().join("out/flake.lock");
    let path = lock.to_str().unwrap();
    let origin = || {
        let report = [
            "report",
            "--lock",
            path,
            "--format",
            "json",
            "--host",
            "webserver",
        ];
        json(&fleet.run(report))["lock"]["origin"].clone()
    };
    // One that `report` left beside its report.
    let dir = lock.parent().unwrap().to_str().unwrap();
    fleet
        .run(["report", "--host", "webserver", "--output-dir", dir])
        .success();
    assert!(!lock.with_file_name("flake.lock.origin").exists());
    assert_eq!(origin(), "staged");
    fleet.write("flake-herald.toml", "input = [\"nixpkgs\"]\n");
    assert_eq!(origin(), "given");
    fs::remove_file(fleet.flake().join("flake-herald.toml")).unwrap();
    fs::remove_file(lock.with_file_name("report.json")).unwrap();
    assert_eq!(origin(), "given");
    // One that `lock` wrote.
    fleet.run(["lock", "-o", path]).success();
    assert_eq!(origin(), "staged");
    let mut changed = fs::read_to_string(&lock).unwrap();
    changed.push('\n');
    fs::write(&lock, changed).unwrap();
    assert_eq!(origin(), "given");
    fleet.run(["lock", "-o", path]).success();
    fleet.write("README", "another commit");
    fleet.commit("another");
    assert_eq!(origin(), "given");
    // Beside the flake's own lock, and beside what is no file, nothing is put.
    fleet.run(["lock", "-o", "/dev/null"]).success();
    assert!(!PathBuf::from("/dev/null.origin").exists());
    fleet.run(["lock", "-o", "flake.lock"]).success();
    assert!(!fleet.flake().join("flake.lock.origin").exists());
}
