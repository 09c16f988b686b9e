//! What the action installs: the flake's package, and how a release is made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{CommandOutput, TestEnv, project};

const PROGRAMS: [&str; 2] = ["flake-herald-aarch64-linux", "flake-herald-x86_64-linux"];

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

/// A checkout of the project, as far as a release looks at it, and the repository that it comes from.
struct Release {
    env: TestEnv,
}

impl Release {
    fn new() -> Self {
        let env = TestEnv::new();
        copy(
            &project().join("action.yml"),
            &env.dir().join("work/action.yml"),
        );
        let package = "name = \"flake-herald\"\nversion = \"0.1.0\"\n";
        env.write("work/Cargo.toml", format!("[package]\n{package}"));
        env.write("work/Cargo.lock", format!("[[package]]\n{package}"));
        env.write(
            "work/CHANGELOG.md",
            "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-12-01\n\n### Added\n\n- `run` runs.\n\n## 0.0.1 - 2026-01-01\n\n- Old.\n",
        );
        let release = Self { env };
        release.git(&["init", "-q", "--bare", "-b", "main", "../origin.git"]);
        release.git(&["init", "-q", "-b", "main"]);
        release.git(&["remote", "add", "origin", "../origin.git"]);
        release.git(&["add", "."]);
        release.git(&["commit", "-qm", "as tested"]);
        release.git(&["push", "-q", "origin", "main"]);
        release
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = self.env.command("git");
        command.current_dir(self.env.dir().join("work")).args(args);
        self.env.output(&mut command).success().stdout
    }

    fn script(&self, args: &[&str]) -> Command {
        let mut command = self.env.command(project().join("scripts/release"));
        command.current_dir(self.env.dir().join("work")).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> CommandOutput {
        self.env.output(&mut self.script(args))
    }

    /// What it refuses with.
    fn refused(&self, args: &[&str]) -> String {
        let out = self.run(args).code(1);
        assert_eq!(out.stdout, "", "{args:?}");
        out.stderr
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.env.dir().join("work").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.env.dir().join("work").join(file)).unwrap()
    }

    /// What the build jobs leave, and what the steps before publishing make of it.
    fn prepared() -> Self {
        let release = Self::new();
        for program in PROGRAMS {
            release.env.write(format!("work/dist/{program}"), program);
        }
        drop(release.run(&["sums", "dist"]).success());
        let mut command = release.script(&["provenance", "0.1.0", "dist"]);
        command
            .env("GITHUB_SERVER_URL", "https://codeberg.org")
            .env("GITHUB_REPOSITORY", "flake-herald/flake-herald")
            .env("GITHUB_RUN_ID", "7");
        drop(release.env.output(&mut command).success());
        drop(release.run(&["pin", "0.1.0", "dist/SHA256SUMS"]).success());
        release
    }

    /// Publishes to a forge that answers as Forgejo does, but to requests with `fails` in their address.
    async fn publish(&self, fails: &'static str) -> (CommandOutput, Vec<String>) {
        let server = MockServer::start().await;
        let answer = move |request: &Request| {
            let line = format!("{} {}", request.method, request.url);
            if line.contains(fails) {
                return ResponseTemplate::new(500).set_body_string("out of order");
            }
            let old = json!([{"id": 3, "draft": true, "tag_name": "v0.1.0"}, {"id": 2, "draft": false, "tag_name": "v0.0.1"}]);
            match request.method.as_str() {
                "GET" => ResponseTemplate::new(200).set_body_json(old),
                "DELETE" => ResponseTemplate::new(204),
                "POST" => ResponseTemplate::new(201).set_body_json(json!({"id": 4})),
                _ => ResponseTemplate::new(200).set_body_json(json!({})),
            }
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let mut command = self.script(&["publish", "0.1.0", "dist"]);
        command
            .env("GITHUB_API_URL", format!("{}/api/v1", server.uri()))
            .env("GITHUB_REPOSITORY", "flake-herald/flake-herald")
            .env("GITHUB_ACTOR", "alice")
            .env("RELEASE_TOKEN", "sesame")
            .env_remove("GIT_AUTHOR_NAME")
            .env_remove("GIT_AUTHOR_EMAIL");
        let out = self.env.output(&mut command);
        let mut asked = Vec::new();
        for request in server.received_requests().await.unwrap() {
            assert_eq!(request.headers["authorization"], "token sesame");
            let query = request.url.query().map(|query| format!("?{query}"));
            let path = request.url.path().to_owned() + &query.unwrap_or_default();
            let body = String::from_utf8(request.body).unwrap();
            // Of a form only what it holds: the programs here are texts.
            let body = match body.split_once("\r\n\r\n") {
                Some((_, held)) => held.split("\r\n--").next().unwrap().to_owned(),
                None => body,
            };
            let body = body.lines().next().unwrap_or_default().to_owned();
            asked.push(
                format!("{} {path} {body}", request.method)
                    .trim()
                    .to_owned(),
            );
        }
        assert!(!format!("{out}").contains("sesame"), "{out}");
        (out, asked)
    }

    /// The commits and tags that have arrived.
    fn origin(&self) -> String {
        self.git(&["-C", "../origin.git", "log", "--format=%s (%an)%d", "--all"])
    }
}

#[test]
fn the_text_of_a_release_is_its_section_of_the_changelog() {
    let release = Release::new();
    insta::assert_snapshot!(release.run(&["notes", "0.1.0"]).success().stdout, @r"
    ### Added

    - `run` runs.
    ");
    assert_eq!(
        release.run(&["notes", "0.0.1"]).success().stdout,
        "- Old.\n"
    );

    let mut said = release.refused(&["notes", "0.2.0"]);
    said += &release.refused(&["notes", "v0.1.0"]);
    for bad in ["0.1.0\n", "../x", "1٠.0.0", "0.1.0-a..b"] {
        said += &release.refused(&["notes", bad]);
    }
    release.replace("CHANGELOG.md", "- `run` runs.\n", "");
    said += &release.refused(&["notes", "0.1.0"]);
    release.replace("CHANGELOG.md", "## 0.0.1 - 2026-01-01", "## [0.1.0]");
    said += &release.refused(&["notes", "0.1.0"]);
    insta::assert_snapshot!(said, @r"
    release: CHANGELOG.md has no section 0.2.0: rename Unreleased to `## 0.2.0 - DATE`
    release: not a version: 'v0.1.0' (as 0.1.0, without a v)
    release: not a version: '0.1.0\n' (as 0.1.0, without a v)
    release: not a version: '../x' (as 0.1.0, without a v)
    release: not a version: '1٠.0.0' (as 0.1.0, without a v)
    release: not a version: '0.1.0-a..b' (as 0.1.0, without a v)
    release: CHANGELOG.md's section 0.1.0 is empty
    release: CHANGELOG.md has 2 sections 0.1.0
    ");
}

#[test]
fn what_is_shown_in_a_changelog_is_no_heading() {
    let release = Release::new();
    let shown = "- `run` runs:\n\n  ```sh\n## 0.1.0\n~~~\n[x]: y\n  ````\n\n- And more.\n";
    release.replace("CHANGELOG.md", "- `run` runs.\n", shown);
    assert_eq!(
        release.run(&["notes", "0.1.0"]).success().stdout,
        format!("### Added\n\n{shown}")
    );
}

#[test]
fn a_release_that_is_not_prepared_is_not_begun() {
    let release = Release::new();
    drop(release.run(&["check", "0.1.0"]).success());

    let mut said = release.refused(&["check", "0.0.1"]);
    release.replace(
        "CHANGELOG.md",
        "## Unreleased\n",
        "## Unreleased\n\n### Fixed\n\n- More.\n",
    );
    said += &release.refused(&["check", "0.1.0"]);
    release.replace("CHANGELOG.md", "- More.\n", "");
    release.replace("action.yml", "SHA256_AARCH64:", "SHA256_AARCH65:");
    said += &release.refused(&["check", "0.1.0"]);
    release.replace("action.yml", "SHA256_AARCH65:", "SHA256_AARCH64:");
    release.git(&["push", "-q", "origin", "main:refs/tags/v0.1.0"]);
    said += &release.refused(&["check", "0.1.0"]);
    release.replace("Cargo.lock", "version = \"0.1.0\"", "version = \"0.0.9\"");
    said += &release.refused(&["check", "0.1.0"]);
    release.env.write("work/Cargo.lock", "[[");
    said += release
        .refused(&["check", "0.1.0"])
        .split(": Invalid")
        .next()
        .unwrap();
    insta::assert_snapshot!(said, @"
    release: Cargo.toml is at 0.1.0, not at 0.0.1
    release: CHANGELOG.md still has entries under Unreleased: they belong to 0.1.0
    release: action.yml has 0 lines `SHA256_AARCH64: …`, where one is expected
    release: the tag v0.1.0 is there already
    release: Cargo.lock has flake-herald at 0.0.9: run cargo update --workspace
    release: Cargo.lock is not laid out as expected
    ");
}

/// The variables of the step that gets the program, in the real `action.yml` as `pin` leaves it.
fn pinned(release: &Release) -> Value {
    let action: Value = serde_saphyr::from_str(&release.read("action.yml")).unwrap();
    let steps = action["runs"]["steps"].as_array().unwrap();
    let mut with_pins = steps
        .iter()
        .filter(|step| step["env"]["SHA256_X86_64"].is_string());
    let env = with_pins.next().expect("a step with the pins")["env"].clone();
    assert!(with_pins.next().is_none());
    json!([env["VERSION"], env["SHA256_X86_64"], env["SHA256_AARCH64"]])
}

#[test]
fn the_action_pins_the_programs_of_its_release() {
    let release = Release::new();
    let before = release.read("action.yml");
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let sums = format!("{two}  {}\n{one}  {}\n", PROGRAMS[0], PROGRAMS[1]);
    release.env.write("work/sums", &sums);
    drop(release.run(&["pin", "1.2.3", "sums"]).success());
    assert_eq!(pinned(&release), json!(["1.2.3", one, two]));
    let after = release.read("action.yml");
    let lines = before.lines().zip(after.lines());
    assert_eq!(lines.filter(|(a, b)| a != b).count(), 3);
    assert_eq!(before.lines().count(), after.lines().count());
    drop(release.run(&["pin", "1.2.3", "sums"]).success());
    assert_eq!(release.read("action.yml"), after);

    let mut said = String::new();
    for bad in [
        "",
        sums.lines().next().unwrap(),
        &sums.replacen('1', "", 1),
        &sums.replace("-x86_64-", "-i686-"),
        &(sums.clone() + &sums),
        &sums.replace("  flake", "  ../flake"),
    ] {
        release.env.write("work/sums", bad);
        said += &release.refused(&["pin", "1.2.3", "sums"]);
    }
    release.env.write("work/sums", &sums);
    release.replace("action.yml", "SHA256_AARCH64:", "SHA256_X86_64:");
    said += &release.refused(&["pin", "1.2.3", "sums"]);
    insta::assert_snapshot!(said.replace(&one, "1…1").replace(&two, "2…2").replace(&one[1..], "1…"), @"
    release: sums is of nothing; expected are flake-herald-x86_64-linux, flake-herald-aarch64-linux
    release: sums is of flake-herald-aarch64-linux; expected are flake-herald-x86_64-linux, flake-herald-aarch64-linux
    release: sums: not a line of checksums: '1…  flake-herald-x86_64-linux'
    release: sums is of flake-herald-aarch64-linux, flake-herald-i686-linux; expected are flake-herald-x86_64-linux, flake-herald-aarch64-linux
    release: sums: not a line of checksums: '2…2  flake-herald-aarch64-linux'
    release: sums is of ../flake-herald-aarch64-linux, ../flake-herald-x86_64-linux; expected are flake-herald-x86_64-linux, flake-herald-aarch64-linux
    release: action.yml has 2 lines `SHA256_X86_64: …`, where one is expected
    ");
}

#[test]
fn programs_that_the_action_does_not_pin_are_told() {
    let release = Release::prepared();
    drop(release.run(&["verify", "0.1.0", "dist"]).success());
    let mut said = release.refused(&["verify", "0.1.1", "dist"]);
    release
        .env
        .write("work/dist/flake-herald-x86_64-linux", "another");
    said += &release.refused(&["verify", "0.1.0", "dist"]);
    release.env.write("work/dist/more", "");
    said += &release.refused(&["verify", "0.1.0", "dist"]);
    fs::remove_file(
        release
            .env
            .dir()
            .join("work/dist/flake-herald-x86_64-linux"),
    )
    .unwrap();
    said += &release.refused(&["verify", "0.1.0", "dist"]);
    fs::remove_file(release.env.dir().join("work/dist/more")).unwrap();
    release
        .env
        .write("work/dist/flake-herald-x86_64-linux/program", "");
    said += &release.refused(&["verify", "0.1.0", "dist"]);
    insta::assert_snapshot!(said, @"
    release: these are not the programs that action.yml pins:
      VERSION: pinned 0.1.0, here 0.1.1
    release: these are not the programs that action.yml pins:
      SHA256_X86_64: pinned a0249c7308e1da6f450238eedc3b803cf59252af4c9ef1d499fd5f3ee64ff80b, here ae448ac86c4e8e4dec645729708ef41873ae79c6dff84eff73360989487f08e5
    release: not expected in dist: more
    release: missing in dist: flake-herald-x86_64-linux
    release: not a file in dist: flake-herald-x86_64-linux
    ");
}

#[test]
fn the_provenance_names_the_commit_and_the_programs() {
    let release = Release::prepared();
    let head = release.git(&["rev-parse", "HEAD"]);
    let said: Value = serde_json::from_str(&release.read("dist/provenance.json")).unwrap();
    let source = &said["predicate"]["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(source["digest"]["gitCommit"], head.trim());
    assert_eq!(
        source["uri"],
        "git+https://codeberg.org/flake-herald/flake-herald"
    );
    let sums: Vec<String> = said["subject"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| {
            let sum = subject["digest"]["sha256"].as_str().unwrap();
            format!("{sum}  {}\n", subject["name"].as_str().unwrap())
        })
        .collect();
    assert_eq!(sums.concat(), release.read("dist/SHA256SUMS"));
    // And a tool that is not ours reads them.
    let mut command = release.env.command("sha256sum");
    command
        .current_dir(release.env.dir().join("work/dist"))
        .args(["--check", "SHA256SUMS"]);
    drop(release.env.output(&mut command).success());
}

#[tokio::test]
async fn the_files_are_there_before_the_tag_is() {
    let release = Release::prepared();
    let (out, asked) = release.publish("never").await;
    insta::assert_snapshot!(out, @"[exit status: 0]");
    insta::assert_snapshot!(asked.join("\n"), @r####"
    GET /api/v1/repos/flake-herald/flake-herald/releases?draft=true&limit=50
    DELETE /api/v1/repos/flake-herald/flake-herald/releases/3
    POST /api/v1/repos/flake-herald/flake-herald/releases {"tag_name": "v0.1.0", "target_commitish": "main", "name": "v0.1.0", "body": "### Added\n\n- `run` runs.", "draft": true}
    POST /api/v1/repos/flake-herald/flake-herald/releases/4/assets?name=SHA256SUMS be6a002cdba4aba099d8705192190c88a83a915be900f45fb764eb7f2c4eb3b4  flake-herald-aarch64-linux
    POST /api/v1/repos/flake-herald/flake-herald/releases/4/assets?name=flake-herald-aarch64-linux flake-herald-aarch64-linux
    POST /api/v1/repos/flake-herald/flake-herald/releases/4/assets?name=flake-herald-x86_64-linux flake-herald-x86_64-linux
    POST /api/v1/repos/flake-herald/flake-herald/releases/4/assets?name=provenance.json {
    PATCH /api/v1/repos/flake-herald/flake-herald/releases/4 {"draft": false}
    "####);
    insta::assert_snapshot!(release.origin(), @"
    Release v0.1.0 (alice) (HEAD -> main, tag: v0.1.0)
    as tested (Fleet Owner)
    ");
    assert_eq!(
        release.git(&["diff", "--name-only", "v0.1.0^", "v0.1.0"]),
        "action.yml\n"
    );
    let mut again = release.script(&["check", "0.1.0"]);
    drop(release.env.output(&mut again).code(1));
}

#[tokio::test]
async fn a_release_that_fails_half_way_leaves_no_tag() {
    let release = Release::prepared();
    let (out, asked) = release.publish("SHA256SUMS").await;
    let stderr = out.code(1).stderr;
    assert!(
        stderr.ends_with("assets?name=SHA256SUMS: 500 out of order\n"),
        "{stderr}"
    );
    assert!(
        !asked.iter().any(|line| line.starts_with("PATCH")),
        "{asked:?}"
    );
    assert_eq!(release.origin(), "as tested (Fleet Owner) (HEAD -> main)\n");
    assert_eq!(release.git(&["tag"]), "");
}

/// Whoever is redirected to would get the token.
#[tokio::test]
async fn the_token_goes_nowhere_else() {
    let release = Release::prepared();
    let elsewhere = MockServer::start().await;
    let server = MockServer::start().await;
    let redirect = ResponseTemplate::new(302).insert_header("location", elsewhere.uri());
    Mock::given(any())
        .respond_with(redirect)
        .mount(&server)
        .await;
    let mut command = release.script(&["publish", "0.1.0", "dist"]);
    command
        .env("GITHUB_API_URL", server.uri())
        .env("GITHUB_REPOSITORY", "flake-herald/flake-herald")
        .env("RELEASE_TOKEN", "sesame");
    let stderr = release.env.output(&mut command).code(1).stderr;
    assert!(stderr.trim_end().ends_with("limit=50: 302"), "{stderr}");
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_branch_that_has_moved_on_is_not_tagged_and_the_draft_stays_one() {
    let release = Release::prepared();
    let dir = release.env.dir().join("other");
    let dir = dir.to_str().unwrap();
    release.git(&["clone", "-q", "../origin.git", dir]);
    let commit = ["commit", "-q", "--allow-empty", "-m", "meanwhile"];
    release.git(&[&["-C", dir], &commit[..]].concat());
    release.git(&["-C", dir, "push", "-q", "origin", "main"]);
    let (out, asked) = release.publish("never").await;
    let stderr = out.code(1).stderr;
    assert!(
        stderr.starts_with("release: git push failed:\n"),
        "{stderr}"
    );
    assert!(
        !asked.iter().any(|line| line.starts_with("PATCH")),
        "{asked:?}"
    );
    insta::assert_snapshot!(release.origin(), @"
    meanwhile (Fleet Owner) (HEAD -> main)
    as tested (Fleet Owner)
    ");
}

#[tokio::test]
async fn a_commit_of_more_than_the_action_is_not_published() {
    let release = Release::prepared();
    release.replace("Cargo.toml", "name", "# name");
    let (out, _) = release.publish("never").await;
    insta::assert_snapshot!(out.code(1).stderr, @"release: only action.yml may have changed, and it must:  M Cargo.toml,  M action.yml");
    assert_eq!(release.origin(), "as tested (Fleet Owner) (HEAD -> main)\n");
}

/// Compiles a program that says `says`.
fn program(env: &TestEnv, says: &str, flags: &[&str]) -> PathBuf {
    let source = format!("#include <stdio.h>\nint main(void) {{ puts(\"{says}\"); return 0; }}\n");
    env.write("program.c", source);
    let path = env.dir().join("program");
    let mut command = env.command("cc");
    command.args(["-o", "program", "program.c"]).args(flags);
    drop(env.output(&mut command).success());
    path
}

#[test]
fn a_program_that_is_not_fit_for_a_release_is_told() {
    let env = TestEnv::new();
    let version = concat!("flake-herald ", env!("CARGO_PKG_VERSION"));
    let check = |args: &[&str]| {
        let mut command = env.command(project().join("scripts/check-binary"));
        env.output(command.args(args).arg("program"))
    };
    let mut said = String::new();
    let mut failed = |out: CommandOutput| said += &out.code(1).stderr;

    program(&env, version, &["-s"]);
    let out = check(&[]).success();
    assert!(out.stdout.ends_with("needs libc only\n"), "{out}");
    failed(check(&["--static"]));
    program(&env, version, &["-s", "-static"]);
    let out = check(&["--static"]).success();
    assert!(out.stdout.ends_with("static\n"), "{out}");

    program(&env, version, &[]);
    failed(check(&[]));
    program(&env, "flake-herald 9.9.9", &["-s"]);
    failed(check(&[]));
    program(
        &env,
        &format!("{}/main.rs", env.var("HOME").unwrap().display()),
        &["-s"],
    );
    failed(check(&[]));
    env.write("other.c", "int other(void) { return 0; }\n");
    let mut library = env.command("cc");
    library.args(["-shared", "-fPIC", "-o", "libother.so", "other.c"]);
    drop(env.output(&mut library).success());
    let here = format!("-Wl,--no-as-needed,-rpath,{}", env.dir().display());
    program(&env, version, &["-s", &here, "-L.", "-lother"]);
    failed(check(&[]));
    let file = fs::File::options()
        .append(true)
        .open(env.dir().join("program"))
        .unwrap();
    file.set_len(15_000_001).unwrap();
    failed(check(&[]));
    env.write("program", "#!/bin/sh\n");
    failed(check(&[]));

    let said = said
        .replace(env.dir().to_str().unwrap(), "$D")
        .replace(env!("CARGO_PKG_VERSION"), "$VERSION");
    let address = said
        .find("(0x")
        .map(|at| said[at..].lines().next().unwrap().to_owned());
    insta::assert_snapshot!(said.replace(&address.unwrap_or_default(), "(…)"), @r#"
    check-binary: not static: it wants a loader
    check-binary: not stripped
    check-binary: it says "flake-herald 9.9.9", and Cargo.toml is at $VERSION
    check-binary: $D/home is in it, 1 times (scripts/build-release takes it out)
    check-binary: it needs more than libc:
    check-binary: 	libother.so => $D/libother.so (…)
    check-binary: 15000001 bytes, which is more than 15000000
    check-binary: not a program: $D/program
    "#);
}

/// Forges follow files of both names; the linters are given those of one.
#[test]
fn a_workflow_that_the_linters_would_not_see_is_told() {
    let env = TestEnv::new();
    for dir in [".github", ".forgejo"] {
        copy(&project().join(dir), &env.dir().join(dir));
    }
    env.write(".forgejo/workflows/more.yaml", "on: push\n");
    let mut command = env.command(project().join("scripts/lint-workflows"));
    let said = env.output(command.arg(env.dir())).code(1).stderr;
    assert!(said.contains("/.forgejo/workflows/more.yaml"), "{said}");
}

/// Every output of the project's `flake.nix` evaluates, and its package is built and run, by a real Nix with
/// `fixtures/nixpkgs-standin` in the place of nixpkgs, from a directory as a runner keeps the action's: its `.git` is a file
/// that leads nowhere. `nix run path:DIR` is what the action's `install: nix` does.
///
/// What this does not prove: that the real nixpkgs takes these arguments as the stand-in does, and has packages of these names,
/// and a Rust that is new enough, at the revision that `flake.lock` pins; that the revision's hash is right; that crates are
/// fetched and the program compiles in Nix's sandbox, on any system. (The crates' checksums are those that cargo checks here.)
#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_flake_builds_and_runs_where_the_action_is() {
    let env = TestEnv::new();
    let action = env.dir().join("action");
    for entry in [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "action.yml",
        "docs/completions",
        "docs/man",
        "docs/report.md",
        "flake.lock",
        "flake.nix",
        "nix",
        "scripts/demo",
        "src",
    ] {
        copy(&project().join(entry), &action.join(entry));
    }
    env.write("action/.git", "gitdir: /nowhere/.git/worktrees/action\n");
    env.write("action/target/debug/flake-herald", "old");
    env.write("action/tests/all/main.rs", "");
    copy(
        &project().join("fixtures/nixpkgs-standin"),
        &env.dir().join("standin"),
    );
    env.write("standin/program", env!("CARGO_BIN_EXE_flake-herald"));
    let flake = format!("path:{}", action.display());
    let nix = |args: &[&str]| {
        let mut command = env.command("nix");
        env.output(command.args(args)).success()
    };
    let standin = format!("path:{}", env.dir().join("standin").display());
    let on_standin = |args: &[&str]| {
        let mut all = args.to_vec();
        let at = all.iter().position(|arg| *arg == "--").unwrap_or(all.len());
        all.splice(
            at..at,
            [
                "--no-write-lock-file",
                "--override-input",
                "nixpkgs",
                &standin,
            ],
        );
        nix(&all)
    };

    // The lock is the one that flake.nix wants: nothing has to be written, and nothing is fetched to know it.
    let said = nix(&[
        "flake",
        "metadata",
        "--json",
        "--no-update-lock-file",
        &flake,
    ])
    .stdout;
    let said: Value = serde_json::from_str(&said).unwrap();
    let inputs = said["locks"]["nodes"]["root"]["inputs"]
        .as_object()
        .unwrap();
    assert_eq!(inputs.keys().collect::<Vec<_>>(), ["nixpkgs"]);

    drop(on_standin(&[
        "flake",
        "check",
        "--no-build",
        "--all-systems",
        &flake,
    ]));
    let said = on_standin(&["flake", "show", "--json", "--all-systems", &flake]).stdout;
    let said: Value = serde_json::from_str(&said).unwrap();
    let mut outputs = Vec::new();
    for (kind, systems) in said.as_object().unwrap() {
        for (system, names) in systems.as_object().unwrap() {
            let names = names.as_object().unwrap();
            let names = match names.get("type") {
                Some(Value::String(_)) => String::new(),
                _ => names.keys().map(|name| format!(" {name}")).collect(),
            };
            outputs.push(format!("{kind} {system}{names}"));
        }
    }
    insta::assert_snapshot!(outputs.join("\n"), @"
    apps aarch64-darwin default
    apps aarch64-linux default
    apps x86_64-linux default
    checks aarch64-darwin package
    checks aarch64-linux package
    checks x86_64-linux package
    devShells aarch64-darwin default
    devShells aarch64-linux default
    devShells x86_64-linux default
    formatter aarch64-darwin
    formatter aarch64-linux
    formatter x86_64-linux
    packages aarch64-darwin default flake-herald
    packages aarch64-linux default flake-herald
    packages x86_64-linux default flake-herald
    ");

    let result = env.dir().join("result");
    drop(on_standin(&[
        "build",
        "--out-link",
        result.to_str().unwrap(),
        &flake,
    ]));
    let mut find = env.command("find");
    find.current_dir(&result)
        .args([".", "-not", "-type", "d", "-not", "-name", "*.1"]);
    let found = env.output(&mut find).success().stdout;
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    insta::assert_snapshot!(found.join("\n"), @"
    ./bin/.flake-herald-wrapped
    ./bin/flake-herald
    ./share/bash-completion/completions/flake-herald.bash
    ./share/fish/vendor_completions.d/flake-herald.fish
    ./share/zsh/site-functions/_flake-herald
    ");
    for page in fs::read_dir(project().join("docs/man")).unwrap() {
        let page = page.unwrap().file_name();
        assert!(
            result.join("share/man/man1").join(&page).is_file(),
            "{page:?}"
        );
    }
    let wrapper = fs::read_to_string(result.join("bin/flake-herald")).unwrap();
    assert!(
        wrapper.contains("-gitMinimal/bin:") && wrapper.contains("-openssh/bin "),
        "{wrapper}"
    );

    let version = concat!("flake-herald ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(
        on_standin(&["run", &flake, "--", "--version"]).stdout,
        version
    );

    // The source is what a build reads. Cargo accepts it without the tests and examples that Cargo.toml names.
    let source = on_standin(&["eval", "--raw", &format!("{flake}#default.src")]).stdout;
    let mut list = env.command("sh");
    list.current_dir(&source).args(["-c", "ls -A; ls docs"]);
    insta::assert_snapshot!(env.output(&mut list).success().stdout, @"
    Cargo.lock
    Cargo.toml
    docs
    src
    completions
    man
    ");
    let mut metadata = env.command(env!("CARGO"));
    metadata
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(Path::new(&source).join("Cargo.toml"));
    drop(env.output(&mut metadata).success());
}
