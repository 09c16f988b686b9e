//! Which two locks are compared, and what becomes of the working tree's.

use std::fs;

use serde_json::Value;

use crate::report::{json, statuses};
use crate::support::Fleet;

#[test]
#[ignore = "needs nix: run scripts/test"]
fn skipping_the_update_compares_the_commits_lock_with_the_working_trees() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    // Nothing updated yet: both locks are one.
    fleet.run(["report", "--skip-update"]).code(2);
    let staged = json(
        &fleet
            .run(["report", "--format", "json", "--host", "webserver"])
            .success(),
    );
    let _updated = fleet.nix(["flake", "update"]).success();
    let before = fleet.repository();
    let tree = json(
        &fleet
            .run([
                "report",
                "--skip-update",
                "--format",
                "json",
                "--host",
                "webserver",
            ])
            .success(),
    );
    assert_eq!(fleet.repository(), before);
    assert_eq!(statuses(&tree), ["webserver changed"]);
    assert_eq!(tree["lock"]["origin"], "tree");
    assert_eq!(tree["lock"]["after_hash"], staged["lock"]["after_hash"]);
    assert_eq!(tree["hosts"], staged["hosts"]);
    // The commit is what is evaluated, so that `self.rev` is there on both sides.
    assert_eq!(
        tree["flake"]["rev"].as_str(),
        Some(fleet.git(["rev-parse", "HEAD"]).trim())
    );
    // Without the flag, the update starts from the commit, and says that the tree's lock is no part of it.
    let again = json(
        &fleet
            .run(["report", "--format", "json", "--host", "webserver"])
            .success(),
    );
    assert_eq!(again["hosts"], staged["hosts"]);
    assert!(
        again["warnings"][0]
            .as_str()
            .unwrap()
            .contains("--skip-update")
    );
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_base_whose_lock_is_stale_is_completed_first() {
    let fleet = Fleet::new();
    fleet.bump(&["input:disko", "nginx=1.26.1"]);
    let before = fleet.repository();
    let output = fleet
        .run([
            "report",
            "--format",
            "text",
            "--host",
            "nas",
            "--host",
            "webserver",
        ])
        .success();
    insta::assert_snapshot!(output.redacted_stdout(), @"
    2 hosts: 1 changed, 1 unchanged (the committed flake.lock did not fit flake.nix, and was completed for the comparison)
    Nothing breaks.
    No reboot.
    Selected packages: nginx 1.26.0 -> 1.26.1 on webserver
    Size: +0B on webserver; 1 package moves
    Restarts: 1 service on webserver: nginx

    Inputs:
      nixpkgs (git)  c1x0000 -> c2x0000  2024-06-01 -> 2024-06-02, 1 day

    == webserver (changed)
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-webserver-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000002-nixos-system-webserver-24.05.20240601.cd5f9e2
    Version changes:
    [U*]  #1  nginx  1.26.0 -> 1.26.1
    Configuration: 1 unit (~ nginx.service)
    Restarts: nginx.service (nginx)
    Security: nginx 1.26.0 -> 1.26.1
    Closure size: 44 -> 44 (5 paths added, 5 paths removed, delta +0, disk usage +0B).

    == nas (unchanged)
    ");
    assert_eq!(fleet.repository(), before);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_base_without_a_lock_has_no_before() {
    let fleet = Fleet::new();
    fleet.git(["rm", "-q", "flake.lock"]);
    fleet.commit("no lock");
    let report = json(
        &fleet
            .run([
                "report",
                "--format",
                "json",
                "--host",
                "webserver",
                "--host",
                "nas",
            ])
            .success(),
    );
    assert_eq!(statuses(&report), ["nas changed", "webserver changed"]);
    assert_eq!(report["lock"]["before_hash"], Value::Null);
    assert_eq!(report["hosts"][0]["before"], Value::Null);
    assert!(report["hosts"][0]["after"]["paths"].as_u64().unwrap() > 20);
    assert!(!fleet.flake().join("flake.lock").exists());
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_lock_is_staged_compared_and_written_only_when_asked() {
    let fleet = Fleet::new();
    let file = fleet.env().dir().join("new.lock");
    let file = file.to_str().unwrap();
    let own = fleet.flake().join("flake.lock");
    let committed = fs::read(&own).unwrap();
    // The file is there all the same: a matrix reads it.
    fleet.run(["lock", "-o", file]).code(2);
    assert_eq!(fs::read(file).unwrap(), committed);
    fleet.bump(&["nginx=1.26.1", "hm:fzf=0.53.0"]);
    fleet.run(["lock", "-o", file]).success();
    assert_eq!(fs::read(&own).unwrap(), committed);
    let given = json(
        &fleet
            .run([
                "report",
                "--lock",
                file,
                "--format",
                "json",
                "--host",
                "webserver",
            ])
            .success(),
    );
    // We staged it ourselves, on this commit.
    assert_eq!(given["lock"]["origin"], "staged");
    assert_eq!(statuses(&given), ["webserver changed"]);
    // It may lie where the results go.
    let out = fleet.env().dir().join("out");
    fs::create_dir(&out).unwrap();
    let there = out.join("flake.lock");
    fs::copy(file, &there).unwrap();
    fleet
        .run([
            "report",
            "--host",
            "webserver",
            "--lock",
            there.to_str().unwrap(),
            "--output-dir",
            out.to_str().unwrap(),
        ])
        .success();
    assert_eq!(fs::read(&there).unwrap(), fs::read(file).unwrap());

    fleet
        .run(["report", "--write-lock", "--host", "webserver"])
        .success();
    assert_eq!(fs::read(&own).unwrap(), fs::read(file).unwrap());
    assert_eq!(fleet.git_status(), " M flake.lock\n");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn only_the_inputs_asked_for_are_updated() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1", "hm:fzf=0.53.0", "hw:0.5.0"]);
    let inputs = |args: &[&str]| -> Vec<String> {
        let report =
            json(&fleet.run([&["report", "--format", "json", "--host", "nas"], args].concat()));
        report["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(inputs(&["--input", "home-manager"]), ["home-manager"]);
    assert_eq!(
        inputs(&["--exclude-input", "nixpkgs"]),
        ["home-manager", "nixos-hardware"]
    );
    insta::assert_snapshot!(fleet.run(["report", "--input", "nixpkg"]).code(1), @"
    ------- stderr -------
    Staging the update …
    Error: the flake has no input `nixpkg` (did you mean `nixpkgs`?); it has `home-manager`, `nixos-hardware`, `nixpkgs`
    [exit status: 1]
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_lock_that_cannot_be_used_is_told_alike_wherever_it_is_from() {
    let fleet = Fleet::new();
    let lock = fs::read_to_string(fleet.flake().join("flake.lock")).unwrap();
    // Of the other ways `bad_input` has a table.
    let bad = [
        format!("<<<<<<< HEAD\n{lock}=======\n{lock}>>>>>>> other\n"),
        // What home-manager's nixpkgs follows.
        lock.replacen(
            "[\n          \"nixpkgs\"\n",
            "[\n          \"home-manager\", \"nixpkgs\"\n",
            1,
        ),
    ];
    let given = fleet.env().dir().join("given.lock");
    let given = given.to_str().unwrap();
    let mut said = Vec::new();
    for bad in &bad {
        fleet.write("../given.lock", bad);
        let before = fleet.repository();
        let from_outside = fleet.run(["report", "--lock", given]).code(1);
        assert_eq!(fleet.repository(), before);
        fleet.write("flake.lock", bad);
        let from_tree = fleet.run(["report", "--skip-update"]).code(1);
        fleet.commit("a bad lock");
        let before = fleet.repository();
        let as_base = fleet.run(["report"]).code(1);
        assert_eq!(fleet.repository(), before);
        fleet.write("flake.lock", &lock);
        fleet.commit("a good lock");
        said.push(as_base.stderr);
        for (out, which) in [
            (from_tree, "the working tree's flake.lock"),
            (from_outside, "$D/given.lock"),
        ] {
            let text = out.to_string();
            let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("Error: ")).collect();
            let reason = said
                .last()
                .unwrap()
                .split_once("Error: flake.lock")
                .unwrap()
                .1;
            let reason = reason.lines().next().unwrap();
            assert_eq!(errors, [format!("Error: {which}{reason}")]);
            assert!(text.contains("\nHint: "), "{text}");
        }
    }
    insta::assert_snapshot!(said.join("\n"), @"
    Staging the update …
    Error: flake.lock has merge conflict markers, the first one in line 1
    Hint: take either side (`git checkout --ours flake.lock`), then run `nix flake lock`

    Staging the update …
    Error: flake.lock has a follow cycle: input 'nixpkgs' of node 'home-manager' follows 'home-manager/nixpkgs', and so itself
    Hint: take it back from the last commit where it was good (`git log flake.lock`), or remove it and run `nix flake lock`
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_given_lock_that_does_not_fit_the_flake_is_no_hosts_fault() {
    let fleet = Fleet::new();
    let file = fleet.env().dir().join("given.lock");
    let file = file.to_str().unwrap();
    fleet.bump(&["nginx=1.26.1"]);
    fleet.run(["lock", "-o", file]).success();
    fleet.bump(&["input:disko"]);
    let output = fleet
        .run(["report", "--lock", file, "--host", "nas"])
        .code(1);
    insta::assert_snapshot!(output, @"
    ------- stderr -------
    Comparing the locks …
    Evaluating 1 host, before and after …
    Error: the new lock does not fit flake.nix, which asks for inputs that it does not have
    Hint: it was made for another flake.nix: make it anew for this one (`flake-herald lock -o FILE`); where one commit changes both, build the host from either side and compare with `flake-herald diff`
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/dependabot.md#report-on-their-pull-requests
    [exit status: 1]
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn an_input_that_follows_another_is_not_updated_by_name() {
    let fleet = Fleet::new();
    let flake = fs::read_to_string(fleet.flake().join("flake.nix")).unwrap();
    let flake = flake.replacen("# new inputs stand here", "alias.follows = \"nixpkgs\";", 1);
    fleet.write("flake.nix", flake);
    let _locked = fleet.nix(["flake", "lock"]).success();
    fleet.commit("an alias");
    fleet.bump(&["nginx=1.26.1", "hw:0.5.0"]);
    let report = json(
        &fleet
            .run([
                "report",
                "--format",
                "json",
                "--host",
                "webserver",
                "--exclude-input",
                "nixos-hardware",
            ])
            .success(),
    );
    assert_eq!(report["inputs"][0]["name"], "nixpkgs");
    fleet.run(["report", "--input", "alias"]).code(1);
    fleet
        .run(["report", "--exclude-input", "home-manager/nixpkgs"])
        .code(1);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_lock_written_through_a_link_goes_where_the_link_leads() {
    let fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let target = fleet.env().write("kept/lock", "old");
    let link = fleet.env().dir().join("link.lock");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    fleet.run(["lock", "-o", link.to_str().unwrap()]).success();
    assert!(link.is_symlink());
    assert!(fs::read_to_string(&target).unwrap().contains("\"nodes\""));
    // Somebody's own work in the lock is not written over.
    fleet.write("flake.lock", fs::read(&target).unwrap());
    fleet.run(["report", "--write-lock"]).code(1);
}
