//! `action.yml`: that it says what the program can do, and what its steps do on the runners of the three forges.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flake_herald::cli::{Command, FLAGS, Flag, NOT_YET, Shape};
use flake_herald::config::ci::SECRET_VARIABLES;
use flake_herald::flake::Kind;
use flake_herald::report::{
    Failure, Outcome, Planned, PlannedHost, Report, SideName, Stage, Status, to_json,
};
use sha2::{Digest as _, Sha256};

use crate::support::actions::{Action, Done, Job, Runner, entries, executable};
use crate::support::forge::{Dialect, Fault, StandIn, Token, Trouble};
use crate::support::scene::{BRANCH, SLUG, Scene, Transport, lock};
use crate::support::{Fleet, TestEnv};

/// Inputs that are no flags.
const OWN: [&str; 6] = [
    "command",
    "install",
    "path",
    "paths",
    "release-url",
    "token",
];

const OUTPUTS: [&str; 10] = [
    "broken-hosts",
    "changed-hosts",
    "exit-code",
    "has-changes",
    "outcome",
    "pull-request-number",
    "pull-request-operation",
    "pull-request-url",
    "report-json",
    "report-markdown",
];

/// The flags that an input is for: those that work, of the commands that the action runs.
fn flags() -> BTreeMap<&'static str, &'static Flag> {
    let runs = [Command::Run, Command::Report, Command::Publish];
    FLAGS
        .iter()
        .filter(|flag| flag.commands.iter().any(|command| runs.contains(command)))
        .filter(|flag| !NOT_YET.contains(&flag.name))
        .map(|flag| (flag.name, flag))
        .collect()
}

fn variable(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", name.replace('-', "_").to_uppercase())
}

fn names<T>(map: &BTreeMap<String, T>) -> BTreeSet<&str> {
    map.keys().map(String::as_str).collect()
}

#[test]
fn every_flag_that_works_is_an_input_and_every_output_is_mapped() {
    let action = Action::read();
    let flags = flags();
    let mut expected: BTreeSet<&str> = flags.keys().copied().collect();
    for own in OWN {
        assert!(expected.insert(own), "{own} is a flag too");
    }
    assert_eq!(names(&action.inputs), expected);
    for (name, input) in &action.inputs {
        let said = &input.description;
        assert!(!said.trim().is_empty(), "{name}");
        let Some(flag) = flags.get(name.as_str()) else {
            continue;
        };
        assert_eq!(input.default, "", "{name}: a default would hide the file's");
        let wanted: Vec<&str> = match flag.shape {
            Shape::Switch => vec!["true or false"],
            Shape::List | Shape::Pairs => vec!["one a line"],
            Shape::Choices => flag.value.split('|').chain(["one a line"]).collect(),
            Shape::Choice => flag.value.split('|').collect(),
            _ => Vec::new(),
        };
        for words in wanted {
            assert!(
                said.contains(words),
                "{name} does not say {words:?}: {said}"
            );
        }
        let run = &action.step("run").env;
        assert_eq!(
            run[&variable("HERALD_WITH_", name)],
            format!("${{{{ inputs.{name} }}}}")
        );
    }
    assert_eq!(names(&action.outputs), OUTPUTS.into());
    for (name, output) in &action.outputs {
        assert!(!output.description.trim().is_empty(), "{name}");
        assert_eq!(output.value, format!("${{{{ steps.run.outputs.{name} }}}}"));
    }
}

#[test]
fn its_form_is_what_all_three_forges_and_the_marketplace_take() {
    let action = Action::read();
    assert_eq!(action.runs.using, "composite");
    // Steps that use another action, or have a part that only one runner knows, are refused where the file is read.
    let ids: Vec<&str> = action.runs.steps.iter().map(|step| &*step.id).collect();
    assert_eq!(ids, ["get", "run"]);
    for step in &action.runs.steps {
        assert!(!step.run.contains("${{"), "{}: it comes in by env", step.id);
        assert!(!step.name.is_empty());
        // `INPUT_x` is how Forgejo's and Gitea's runners keep the inputs themselves.
        for name in step.env.keys() {
            assert!(!name.starts_with("INPUT_"), "{name}");
            assert!(!name.starts_with("FLAKE_HERALD_"), "{name}");
        }
    }
    let said = [&action.name, &action.author, &action.branding.icon];
    assert!(said.iter().all(|text| !text.is_empty()));
    assert_eq!(action.branding.color, "blue");
    assert!(action.description.len() <= 125, "{}", action.description);
    let get = &action.step("get").env;
    let sums = [&get["SHA256_X86_64"], &get["SHA256_AARCH64"]];
    for sum in sums {
        let digits = sum.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        assert!(sum.is_empty() || (sum.len() == 64 && digits), "{sum}");
    }
    // A release pins both, and stays pinned while the next one is prepared.
    let next = version_parts(env!("CARGO_PKG_VERSION"));
    let pinned = version_parts(&get["VERSION"]);
    match sums.map(|sum| sum.is_empty()) {
        [true, true] => assert_eq!(pinned, next),
        [false, false] => assert!(pinned <= next, "{pinned:?} is not there yet"),
        _ => panic!("one program is pinned, the other is not"),
    }
}

fn version_parts(text: &str) -> Vec<u32> {
    let release = text.split('-').next().unwrap_or_default();
    let parts = release.split('.').map(str::parse);
    parts.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_page_names_all_of_it() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/action.md");
    let page = fs::read_to_string(page).unwrap();
    let action = Action::read();
    let quoted = |text: &str| -> Vec<String> {
        let quoted = text.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    };
    let rows = |head: &str| -> Vec<Vec<Vec<String>>> {
        let (_, table) = page.split_once(head).unwrap_or_else(|| panic!("no {head}"));
        let table = table.lines().skip(2).take_while(|row| row.starts_with('|'));
        table
            .map(|row| row.split('|').skip(1).map(quoted).collect())
            .collect()
    };
    let first = |head: &str| -> Vec<String> {
        let mut names: Vec<_> = rows(head)
            .into_iter()
            .flat_map(|mut row| row.remove(0))
            .collect();
        names.sort();
        names
    };
    assert_eq!(first("| input | default | |"), OWN);
    assert_eq!(first("| output | |"), OUTPUTS);
    assert_eq!(first("| `install` | |"), ["auto", "nix", "path", "release"]);
    let mut named = BTreeMap::new();
    for row in rows("| about | one value | one a line | `true` or `false` |") {
        for (column, names) in row.into_iter().enumerate() {
            for name in names.into_iter().filter(|name| name != "NAME VALUE") {
                assert_eq!(named.insert(name.clone(), column), None, "{name} twice");
            }
        }
    }
    let expected = flags().into_iter().map(|(name, flag)| {
        let column = match flag.shape {
            Shape::List | Shape::Choices | Shape::Pairs => 2,
            Shape::Switch => 3,
            _ => 1,
        };
        (name.to_owned(), column)
    });
    assert_eq!(named, expected.collect());
    for name in action.inputs.keys() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

/// A job with nothing but the action's first step in mind.
fn bare_job(env: &TestEnv) -> Job {
    let workspace = env.write("work space/.keep", "");
    let nowhere = ("http://127.0.0.1:9", "http://127.0.0.1:9/api/v1");
    Job::new(
        Runner::Forgejo,
        env,
        workspace.parent().unwrap(),
        SLUG,
        nowhere,
    )
}

const BINARY: &str = env!("CARGO_BIN_EXE_flake-herald");

fn version() -> String {
    format!("flake-herald {}", env!("CARGO_PKG_VERSION"))
}

#[test]
fn a_path_is_the_program_or_its_directory() {
    let env = TestEnv::new();
    let job = bare_job(&env);
    let dir = Path::new(BINARY).parent().unwrap().to_str().unwrap();
    let setup = |path: &str| {
        let with = [("command", "setup"), ("install", "path"), ("path", path)];
        job.uses(&env, &with)
    };
    let script = format!("exec {BINARY} \"$@\"");
    executable(&env, &job.workspace.join("the tools/herald $HOME"), &script);
    for path in [BINARY, dir, "the tools/herald $HOME"] {
        let done = setup(path).ends(0);
        assert!(done.run.is_none(), "{}", done.log());
        assert!(done.get.stderr.contains(&version()), "{}", done.log());
        // Later steps find it by its name, and nothing else that lies beside it.
        let [on_path] = &done.path[..] else {
            panic!("{:?}", done.path)
        };
        let there = fs::read_dir(on_path).unwrap();
        let there: Vec<_> = there.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, ["flake-herald"]);
        let out = env.output(env.command(on_path.join("flake-herald")).arg("--version"));
        assert_eq!(out.success().stdout.trim(), version());
    }
    let refused = |path: &str| setup(path).ends(1).get.stderr;
    insta::assert_snapshot!(refused(""), @r#"
    Error: "install: path" needs the input path: the program, or the directory it is in
    "#);
    let said = refused("nowhere\n::set-output name=program::/bin/false");
    assert!(
        said.contains(
            r"/nowhere\n::set-output name=program::/bin/false' is no program that can be run"
        ),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
    env.write("work space/plain", "text");
    assert!(refused("plain").contains("/plain is no program"));
    assert!(refused(".").contains("/flake-herald is no program"));
    assert!(refused("/bin/true").contains("is not flake-herald"));
    executable(&env, &job.workspace.join("bad"), "exec /nowhere/at-all");
    assert!(refused("bad").contains("cannot be run here"));
}

#[test]
fn words_that_mean_nothing_are_refused_before_anything_is_fetched() {
    let env = TestEnv::new();
    let job = bare_job(&env);
    let refused = |with: &[(&str, &str)]| {
        let done = job.uses(&env, with).ends(1);
        assert!(done.run.is_none() && done.get.stdout.is_empty());
        assert_eq!(
            fs::read_dir(job.temp()).unwrap().count(),
            1,
            "the script alone"
        );
        done.get.stderr
    };
    insta::assert_snapshot!(refused(&[("command", "hosts")]), @r#"
    Error: the input command is hosts: it must be run, report, publish or setup
    Hint: for the other commands of flake-herald, use "command: setup" and call flake-herald in a step of your own
    "#);
    insta::assert_snapshot!(refused(&[("command", "run; id\n::error::x")]), @r#"
    Error: the input command is $'run; id\n::error::x': it must be run, report, publish or setup
    Hint: for the other commands of flake-herald, use "command: setup" and call flake-herald in a step of your own
    "#);
    insta::assert_snapshot!(refused(&[("install", "cargo")]), @"Error: the input install is cargo: it must be auto, release, nix or path");
    insta::assert_snapshot!(refused(&[("path", BINARY)]), @r#"Error: the input path is only for "install: path", and install is auto"#);
    // Empty is what an expression gives whose variable nobody set.
    let done = job.uses(&env, &[("command", ""), ("install", "")]).ends(1);
    assert!(
        done.get.stderr.contains("flake-herald cannot be had"),
        "{}",
        done.log()
    );
}

/// A site with files, on loopback. Ends with the test.
fn site(files: &[(String, String)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/mirror", listener.local_addr().unwrap());
    let files: BTreeMap<String, String> = files.iter().cloned().collect();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.extend(byte);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match files.get(path) {
                Some(body) => ("200 OK", body.as_str()),
                None => ("404 Not Found", "no such page"),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

/// A site that sends for as long as it is listened to.
fn endless_site() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let piece = [b'x'; 1 << 16];
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
            // More than is taken, and not so much that a failing test fills a disk.
            for _ in 0..4096 {
                if stream.write_all(&piece).is_err() {
                    break;
                }
            }
        }
    });
    address
}

fn sum(bytes: &str) -> String {
    let digest = Sha256::digest(bytes.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a release would hold: here a script, for the program under test is large.
fn asset() -> String {
    format!("#!/bin/sh\nexec {BINARY} \"$@\"\n")
}

fn asset_path() -> String {
    let action = Action::read();
    let version = &action.step("get").env["VERSION"];
    let arch = std::env::consts::ARCH;
    format!("/mirror/v{version}/flake-herald-{arch}-linux")
}

#[test]
fn a_release_is_run_only_if_it_is_the_one_that_is_pinned() {
    let env = TestEnv::new();
    let mut job = bare_job(&env);
    let url = site(&[(asset_path(), asset())]);
    let setup = |job: &Job, install: &str, url: &str| {
        let with = [
            ("command", "setup"),
            ("install", install),
            ("release-url", url),
        ];
        job.uses(&env, &with)
    };
    // As long as there is none.
    job.action = Action::read().with_release("");
    let none = setup(&job, "release", "").ends(1).get.stderr;
    assert!(
        none.starts_with("Error: this commit of the action knows no release of flake-herald "),
        "{none}"
    );

    job.action = Action::read().with_release(&sum(&asset()));
    let said = setup(&job, "release", &url).ends(1).get.stderr;
    assert!(said.contains("neither curl nor wget"), "{said}");
    let said = setup(&job, "auto", &url).ends(1).get.stderr;
    insta::assert_snapshot!(said, @r#"
    No release is used: there is neither curl nor wget to download it with.
    Error: flake-herald cannot be had: there is neither curl nor wget to download it with; there is no nix on the PATH
    Hint: install Nix in an earlier step, or bring the program along and use "install: path"
    "#);
    for tool in ["wget", "curl"] {
        // Where there are both, it is curl.
        job.tools(&env, &[tool]);
        for install in ["release", "auto"] {
            let done = setup(&job, install, &format!("{url}/")).ends(0);
            assert!(done.get.stderr.contains(&version()), "{}", done.log());
            let program = done.path[0].join("flake-herald");
            assert_eq!(fs::read_to_string(program).unwrap(), asset());
        }
        // Another one in its place is not even made a program, whatever else could be had.
        let mut other = job.clone();
        other.action = Action::read().with_release(&sum("another"));
        let before = programs(&job);
        for install in ["release", "auto"] {
            let done = setup(&other, install, &url).ends(1);
            let said = &done.get.stderr;
            assert!(
                said.contains(&sum("another")) && said.contains(&sum(&asset())),
                "{said}"
            );
            assert!(done.path.is_empty());
        }
        assert_eq!(programs(&job), before, "something of it stays");
        let missing = format!("{url}/elsewhere");
        let said = setup(&job, "release", &missing).ends(1).get.stderr;
        assert!(
            said.contains(&format!("cannot be downloaded ({tool}: exit code ")),
            "{said}"
        );
        assert!(said.contains("Hint: "), "{said}");
        let said = setup(&job, "auto", &missing).ends(1).get.stderr;
        assert!(
            said.contains("cannot be downloaded") && said.contains("no nix"),
            "{said}"
        );
    }
    // What has no end is not kept until the disk is full.
    let endless = endless_site();
    for tool in ["curl", "wget"] {
        let mut alone = job.clone();
        alone.tools_are_only(&env, tool);
        let said = setup(&alone, "release", &endless).ends(1).get.stderr;
        let why = format!("cannot be downloaded ({tool}: exit code ");
        assert!(said.contains(&why), "{said}");
    }
    assert_eq!(programs(&job).len(), 4, "something of it stays");
    // Only what nobody can change on its way.
    for url in [
        "http://example.org/mirror",
        "http://127.0.0.1.example.org/",
        "http://localhost:x@example.org/",
        "file:///tmp",
        "-o/tmp/x",
    ] {
        for install in ["release", "auto"] {
            let said = setup(&job, install, url).ends(1).get.stderr;
            assert!(said.contains("it must begin with https://"), "{said}");
        }
    }
    // No release is made for it.
    job.tool(
        &env,
        "uname",
        "[ \"$1\" = -m ] && echo arm64 || echo Darwin",
    );
    let said = setup(&job, "release", &url).ends(1).get.stderr;
    insta::assert_snapshot!(said, @r#"
    Error: releases are for Linux on x86_64 and aarch64, and this is Darwin on arm64
    Hint: use "install: nix"
    "#);
}

/// The files in the directories that the action made.
fn programs(job: &Job) -> Vec<PathBuf> {
    let made = fs::read_dir(job.temp()).unwrap();
    let made = made.map(|entry| entry.unwrap().path());
    made.filter(|path| path.is_dir())
        .flat_map(|dir| fs::read_dir(dir).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// A program in the place of ours that writes down how it was called, and ends as `CODE` says.
fn witness(env: &TestEnv, job: &Job) -> PathBuf {
    let path = job.workspace.join("witness");
    let script = format!(
        "[ \"$1\" != --version ] || {{ echo 'flake-herald 0'; exit; }}
         cd {}
         for word; do printf '%s\\0' \"$word\"; done >args
         env -0 >seen
         cat /proc/$PPID/environ >above
         exit \"${{CODE-0}}\"",
        env.dir().display()
    );
    executable(env, &path, &script);
    path
}

#[test]
fn inputs_arrive_under_their_flags_names_and_as_they_are() {
    let env = TestEnv::new();
    let mut job = bare_job(&env);
    witness(&env, &job);
    let seen = |name: &str| entries(&fs::read(env.dir().join(name)).unwrap());
    let values: Vec<(&str, String)> = flags()
        .into_keys()
        .map(|name| {
            let value = format!(
                "{name}\n`id` $HOME \"two\" 'three' \\ ${{{{ x }}}}\n::set-output name=outcome::x\n"
            );
            (name, value)
        })
        .collect();
    let mut with: Vec<(&str, &str)> = values
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    with.extend([("install", "path"), ("path", "witness")]);
    for command in ["run", "report"] {
        let done = job.uses(&env, &[&with[..], &[("command", command)]].concat());
        let done = done.ends(0);
        let got = seen("seen");
        for (name, value) in &values {
            assert_eq!(
                got.get(&variable("FLAKE_HERALD_", name)),
                Some(value),
                "{name}"
            );
        }
        assert!(!done.log().contains("set-output"), "{}", done.log());
        let left = got.keys().find(|name| name.starts_with("HERALD_"));
        assert_eq!(left, None);
        assert_eq!(
            fs::read(env.dir().join("args")).unwrap(),
            format!("{command}\0").into_bytes()
        );
    }

    // What is not set hides nothing that the workflow sets for the job, and is not set.
    job.set("FLAKE_HERALD_HOST", "of the job");
    job.set("FLAKE_HERALD_TITLE", "of the job");
    let with = [
        ("install", "path"),
        ("path", "witness"),
        ("title", "of the step"),
        ("command", ""),
    ];
    job.uses(&env, &with).ends(0);
    let got = seen("seen");
    let ours: Vec<String> = got
        .iter()
        .filter(|(name, _)| name.starts_with("FLAKE_HERALD_"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        ours,
        [
            "FLAKE_HERALD_HOST=of the job",
            "FLAKE_HERALD_TITLE=of the step"
        ]
    );
    assert_eq!(fs::read(env.dir().join("args")).unwrap(), b"run\0");

    // One path a line, whatever is in it.
    let paths = "a report\n--lock\n\n $(id) ";
    let with = [
        ("install", "path"),
        ("path", "witness"),
        ("command", "publish"),
    ];
    job.uses(&env, &[&with[..], &[("paths", paths)]].concat())
        .ends(0);
    assert_eq!(
        fs::read_to_string(env.dir().join("args")).unwrap(),
        "publish\0--\0a report\0--lock\0 $(id) \0"
    );
    let said = |with: &[(&str, &str)]| job.uses(&env, with).ends(1).run.unwrap().stderr;
    insta::assert_snapshot!(said(&with), @r#"Error: "command: publish" needs the input paths: reports, or directories with them, one a line"#);
    insta::assert_snapshot!(said(&[with[0], with[1], ("paths", "x")]), @r#"Error: the input paths is only for "command: publish", and command is run"#);
}

/// Builds may read the environment of what started them, so only what publishes gets a token, and only its own.
#[test]
fn tokens_go_to_what_publishes_and_to_nothing_else() {
    for runner in [Runner::Forgejo, Runner::Gitea, Runner::Github] {
        let env = TestEnv::new();
        let workspace = env.write("work/.keep", "");
        let nowhere = ("http://127.0.0.1:9", "http://127.0.0.1:9/api/v1");
        let mut job = Job::new(runner, &env, workspace.parent().unwrap(), SLUG, nowhere);
        witness(&env, &job);
        let seen = |name: &str| entries(&fs::read(env.dir().join(name)).unwrap());
        let with = [("install", "path"), ("path", "witness")];
        let uses = |job: &Job, more: &[(&str, &str)]| {
            let _done = job.uses(&env, &[&with[..], more].concat()).ends(0);
        };
        let publishes: [&[(&str, &str)]; 3] = [
            &[],
            &[("dry-run", "false")],
            &[("command", "publish"), ("paths", "x")],
        ];
        for more in publishes {
            uses(&job, more);
            let got = seen("seen");
            assert_eq!(got["GITHUB_TOKEN"], job.token);
            assert_eq!(got.get("FLAKE_HERALD_TOKEN"), None);
            uses(&job, &[more, &[("token", "my-0wn token")]].concat());
            let got = seen("seen");
            assert_eq!(got["FLAKE_HERALD_TOKEN"], "my-0wn token");
            assert_eq!(got["GITHUB_TOKEN"], job.token);
            // Also where every shell of the job says what it does.
            let mut traced = job.clone();
            traced.set("SHELLOPTS", "xtrace");
            let own = ("token", "my-0wn token");
            let done = traced.uses(&env, &[&with[..], more, &[own]].concat());
            let log = done.ends(0).log();
            assert!(!log.contains("0wn") && !log.contains(&job.token), "{log}");
            // The job's own is that, however it is given: what it cannot do is told then.
            uses(&job, &[more, &[("token", &*job.token)]].concat());
            assert_eq!(seen("seen").get("FLAKE_HERALD_TOKEN"), None);
        }
        // What the workflow sets for the job counts.
        let mut given = job.clone();
        given.set("GITHUB_TOKEN", "t0ken-of-another");
        given.set("FLAKE_HERALD_TOKEN", "t0ken-of-mine");
        uses(&given, &[]);
        let got = seen("seen");
        assert_eq!(got["GITHUB_TOKEN"], "t0ken-of-another");
        assert_eq!(got["FLAKE_HERALD_TOKEN"], "t0ken-of-mine");

        for name in SECRET_VARIABLES {
            job.set(name, format!("hunter2 in {name}"));
        }
        job.token = "hunter2 of the job".to_owned();
        // A variable of the job's cannot make them believe that there is nothing left to take out.
        job.set("HERALD_BARE", "yes");
        let builds: [&[(&str, &str)]; 4] = [
            &[("command", "report")],
            &[("dry-run", "true")],
            &[("dry-run", "Yes")],
            &[("dry-run", "1")],
        ];
        for more in builds {
            uses(&job, &[more, &[("token", "hunter2 of mine")]].concat());
            for file in ["seen", "above"] {
                let got = seen(file);
                assert!(got.contains_key("GITHUB_WORKSPACE"), "{file}: {got:?}");
                let told = got.iter().find(|(_, value)| value.contains("hunter2"));
                assert_eq!(told, None, "{runner:?} {more:?} {file}");
            }
        }
        // The first step knows none at all: with `install: nix`, it builds.
        job.tool(
            &env,
            "nix",
            &format!(
                "env -0 >{0}/seen; cat /proc/$PPID/environ >{0}/above; exit 1",
                env.dir().display()
            ),
        );
        fs::create_dir_all(&job.action_path).unwrap();
        let done = job.uses(&env, &[("install", "nix"), ("token", "hunter2 of mine")]);
        let done = done.ends(1);
        assert!(
            done.get.stderr.contains("nix cannot build it"),
            "{}",
            done.log()
        );
        for file in ["seen", "above"] {
            let got = seen(file);
            assert!(got.contains_key("GITHUB_WORKSPACE"), "{file}: {got:?}");
            let told = got.iter().find(|(_, value)| value.contains("hunter2"));
            assert_eq!(told, None, "{runner:?} {file}");
        }
    }
}

#[test]
fn a_quiet_night_is_a_success_and_what_is_broken_is_not() {
    let env = TestEnv::new();
    let mut job = bare_job(&env);
    witness(&env, &job);
    for (code, ends) in [
        (0, 0),
        (1, 1),
        (2, 0),
        (3, 0),
        (4, 4),
        (129, 129),
        (130, 130),
        (137, 137),
        (143, 143),
    ] {
        job.set("CODE", code.to_string());
        let done = job.uses(&env, &[("install", "path"), ("path", "witness")]);
        let done = done.ends(ends);
        assert_eq!(done.output("exit-code"), code.to_string());
        let said = &done.run.as_ref().unwrap().stderr;
        assert_eq!(said.contains("fail-on: never"), code == 4, "{said}");
    }
}

fn dialect(runner: Runner) -> Dialect {
    match runner {
        Runner::Forgejo => Dialect::Forgejo,
        Runner::Gitea => Dialect::Gitea,
        Runner::Github | Runner::GithubContainer => Dialect::Github,
    }
}

/// A scene and a job in its checkout, with reports in `in`, `more` and the lock in `in`.
fn publishing(runner: Runner, after: u32, reports: &[Report]) -> (Scene, Job) {
    let dialect = dialect(runner);
    let mut scene = Scene::new(dialect, Transport::Http);
    scene.env.unset("FLAKE_HERALD_TOKEN");
    let made;
    let reports = if reports.is_empty() {
        made = [scene.report(after)];
        &made
    } else {
        reports
    };
    for (dir, report) in ["in put", "more"].into_iter().zip(reports) {
        scene
            .env
            .write(format!("{dir}/report.json"), to_json(report));
    }
    scene.env.write("in put/flake.lock", lock(after));
    let (server, api) = (scene.forge.server_url(), scene.forge.api_url());
    if runner == Runner::Github {
        // The credentials that a checkout leaves there.
        let basic = STANDARD.encode("x-access-token:t0ken-of-the-checkout");
        let token = Token::new("checkout", "t0ken-of-the-checkout");
        scene.forge.state().add_token(token);
        let key = format!("http.{server}/.extraheader");
        scene.git(&["config", &key, &format!("AUTHORIZATION: basic {basic}")]);
    }
    scene.git(&["checkout", "-q", "--detach"]);
    let job = Job::new(runner, &scene.env, &scene.checkout, SLUG, (&server, &api));
    let automatic = Token::new("automatic", &job.token).automatic_of(SLUG, dialect);
    scene.forge.state().add_token(automatic);
    (scene, job)
}

const PUBLISH: [(&str, &str); 5] = [
    ("command", "publish"),
    ("install", "path"),
    ("path", BINARY),
    ("paths", "../in put"),
    ("lock", "../in put/flake.lock"),
];

fn is(done: &Done, outputs: &[(&str, &str)]) {
    for (name, value) in outputs {
        assert_eq!(done.output(name), *value, "{name}: {}", done.log());
    }
}

/// The whole action, with the program under test and the stand-in forge; reports made beforehand stand for Nix.
#[test]
fn a_pull_request_is_opened_and_kept_on_every_runner() {
    for runner in Runner::ALL {
        let (scene, mut job) = publishing(runner, 2, &[]);
        // With a token of one's own on one of them, with the job's on the others.
        let own: &[(&str, &str)] = match runner {
            Runner::GithubContainer => &[("token", "t0ken-of-alice-with-write")],
            _ => &[],
        };
        let more = [
            ("title", "update `x` \"$HOME\" 'y'"),
            ("output-dir", "../out"),
        ];
        let with = [&PUBLISH[..], &more, own].concat();
        let done = job.uses(&scene.env, &with).ends(0);
        let number = scene.open_from(BRANCH)[0].number.to_string();
        let url = match runner {
            Runner::Forgejo | Runner::Gitea => {
                format!("{}/{SLUG}/pulls/{number}", scene.forge.server_url())
            }
            _ => format!("{}/{SLUG}/pull/{number}", scene.forge.server_url()),
        };
        let out = scene.env.dir().join("out");
        let mut expected = vec![
            ("outcome", "changed"),
            ("exit-code", "0"),
            ("has-changes", "true"),
            ("changed-hosts", "[\"webserver\"]"),
            ("broken-hosts", "[]"),
            (
                "report-json",
                out.join("report.json").to_str().unwrap().to_owned().leak(),
            ),
            (
                "report-markdown",
                out.join("report.md").to_str().unwrap().to_owned().leak(),
            ),
            ("pull-request-number", number.leak()),
            ("pull-request-url", url.leak()),
            ("pull-request-operation", "created"),
        ];
        is(&done, &expected);
        assert_eq!(expected.len(), done.outputs.len());
        assert_eq!(scene.open_from(BRANCH)[0].title, more[0].1);
        scene.is_published(BRANCH, 2);
        let log = done.log();
        assert!(!log.contains("t0ken"), "{runner:?}: {log}");
        // The automatic token starts no workflows, and the log says so.
        let warned = log.contains("workflows");
        assert_eq!(warned, own.is_empty(), "{runner:?}: {log}");

        scene.forge.forget();
        let done = job.uses(&scene.env, &with).ends(0);
        expected.pop();
        expected.push(("pull-request-operation", "unchanged"));
        is(&done, &expected);
        assert_eq!(scene.forge.pushes(), 0);

        // Neither token is left anywhere on the runner.
        let mut grep = scene.env.command("grep");
        grep.args(["-rlaF", "-e", "t0ken-of-alice", "-e", &job.token]);
        grep.args(["--exclude-dir=forge", "."]);
        let left = scene.env.output(grep.current_dir(scene.env.dir()));
        assert_eq!((left.status.code(), &*left.stdout), (Some(1), ""));

        // An error of the program fails the step, and the outputs say so.
        job.token = "wrong".to_owned();
        job.set("FORGEJO_TOKEN", "wrong");
        job.set("GITHUB_TOKEN", "wrong");
        let done = job.uses(
            &scene.env,
            &[&with[..], &[("token", "wr0ng-token")]].concat(),
        );
        let done = done.ends(1);
        is(
            &done,
            &[
                ("exit-code", "1"),
                ("has-changes", "false"),
                ("pull-request-operation", "none"),
                ("outcome", ""),
            ],
        );
        assert!(!done.log().contains("wr0ng-token"), "{}", done.log());
        // Also one that comes before it can.
        let done = job.uses(
            &scene.env,
            &[&with[..], &[("fail-on", "somtimes")]].concat(),
        );
        let done = done.ends(1);
        is(&done, &[("exit-code", "1"), ("has-changes", "false")]);
        is(
            &done,
            &[("pull-request-operation", "none"), ("outcome", "")],
        );
        assert_eq!(scene.forge.violations(), Vec::<String>::new());
    }
}

#[test]
fn a_lock_that_does_not_change_is_a_success() {
    let (scene, job) = publishing(Runner::Forgejo, 1, &[]);
    let done = job.uses(&scene.env, &PUBLISH).ends(0);
    is(
        &done,
        &[
            ("exit-code", "2"),
            ("outcome", "lock-unchanged"),
            ("has-changes", "false"),
            ("changed-hosts", "[]"),
            ("pull-request-operation", "none"),
            ("pull-request-number", ""),
        ],
    );
}

/// Two jobs of a matrix, one of them with a host that the update breaks.
#[test]
fn broken_hosts_fail_the_step_once_they_are_published() {
    let template = Scene::new(Dialect::Github, Transport::Http);
    let mut whole = template.report(2);
    whole.plan = Some(Planned {
        hosts: ["webserver", "db"]
            .map(|name| PlannedHost {
                kind: Kind::Nixos,
                name: name.to_owned(),
            })
            .into(),
    });
    let mut broken = whole.clone();
    let host = &mut broken.hosts[0];
    "db".clone_into(&mut host.name);
    "nixosConfigurations.db.config.system.build.toplevel".clone_into(&mut host.attr);
    host.status = Status::Broken;
    host.failure = Some(Failure {
        stage: Stage::Build,
        side: SideName::After,
        error: "builder failed".to_owned(),
        derivation: None,
        log_tail: Vec::new(),
        log_errors: Vec::new(),
        log_path: None,
    });
    assert_eq!(broken.outcome, Outcome::Changed);
    for report in [&mut whole, &mut broken] {
        report.fleet = flake_herald::report::Fleet::of(&report.hosts);
        report.seal();
    }
    drop(template);
    let (scene, job) = publishing(Runner::GithubContainer, 2, &[whole, broken]);
    let both = [&PUBLISH[..], &[("paths", "../in put\n../more")]].concat();
    let expected = [
        ("outcome", "changed"),
        ("exit-code", "4"),
        ("changed-hosts", "[\"db\",\"webserver\"]"),
        ("broken-hosts", "[\"db\"]"),
        ("pull-request-operation", "created"),
        ("pull-request-number", "1"),
    ];
    let done = job.uses(&scene.env, &both).ends(4);
    is(&done, &expected);
    let said = done.run.unwrap().stderr;
    assert!(said.ends_with("Error: the step fails because of broken hosts (exit code 4); the report names them\nHint: with \"fail-on: never\" it does not fail, and the output broken-hosts names those that the update breaks\n"), "{said}");
    let done = job.uses(&scene.env, &[&both[..], &[("fail-on", "never")]].concat());
    is(
        &done.ends(0),
        &[
            ("exit-code", "0"),
            ("broken-hosts", "[\"db\"]"),
            ("pull-request-operation", "unchanged"),
        ],
    );
    // Half of it is no report.
    let done = job.uses(&scene.env, &PUBLISH).ends(1);
    assert!(done.log().contains("that no report has"), "{}", done.log());
}

/// A runner sends its signal to the shell alone.
#[test]
fn a_job_that_is_cancelled_ends_the_program_properly() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (scene, job) = publishing(Runner::Github, 2, &[]);
        let hang = Fault::next("GET", "/pulls", Trouble::DoThenHang);
        scene.forge.fault(hang);
        let inputs = job.inputs(&PUBLISH);
        let got = BTreeMap::from([("program".to_owned(), BINARY.to_owned())]);
        let of_steps = BTreeMap::from([("get".to_owned(), got)]);
        let step = job.action.step("run");
        let shell = job.command(&scene.env, step, &inputs, &of_steps);
        let mut heeding = scene.env.heeding_signals(&shell);
        for (name, value) in shell.get_envs() {
            heeding.env(name, value.unwrap());
        }
        let mut child = heeding
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !scene
            .forge
            .requests()
            .iter()
            .any(|seen| seen.target.contains("/pulls"))
        {
            assert!(Instant::now() < deadline, "no request came");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{said}");
        assert!(Instant::now() < deadline, "{said}");
        // The program's own words.
        assert!(
            said.contains(if code == 130 { "SIGINT" } else { "SIGTERM" }),
            "{said}"
        );
        let outputs = fs::read_to_string(scene.env.dir().join("runner/files/output")).unwrap();
        assert!(
            outputs.ends_with(&format!("exit-code={code}\n")),
            "{outputs}"
        );
    }
}

/// A signal that comes before there is a program to have it sent on to is not lost.
#[test]
fn a_job_that_is_cancelled_at_once_starts_nothing() {
    use rustix::process::{Pid, Signal, kill_process};
    let env = TestEnv::new();
    let job = bare_job(&env);
    let program = witness(&env, &job);
    let inputs = job.inputs(&[]);
    let got = BTreeMap::from([("program".to_owned(), program.display().to_string())]);
    let of_steps = BTreeMap::from([("get".to_owned(), got)]);
    let mut shell = job.command(&env, job.action.step("run"), &inputs, &of_steps);
    // Where it waits for somebody to read, the first outputs are written: what comes next is the program.
    let fifo = env.dir().join("fifo");
    let mut mkfifo = env.command("mkfifo");
    let _out = env.output(mkfifo.arg(&fifo)).success();
    shell.env("GITHUB_OUTPUT", &fifo);
    let mut child = shell.stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // Up to there it calls nothing that it would sleep for.
    let stat = format!("/proc/{}/stat", child.id());
    let sleeps = || fs::read_to_string(&stat).unwrap().contains(") S ");
    while !sleeps() {
        assert!(Instant::now() < deadline, "it does not wait");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    // It goes on, if it still does.
    let reader = fs::File::options().read(true).write(true).open(&fifo);
    let status = child.wait().unwrap();
    drop(reader);
    assert!(!status.success(), "{status}");
    assert!(!env.dir().join("args").exists(), "the program was started");
}

/// An action's directory as Forgejo's runner has it, whose flake builds a program that runs ours. Beside it, it says which
/// processes have a secret in their environment, and which have a variable of the job.
fn buildable(env: &TestEnv, job: &mut Job, secret: &str) {
    job.action_path = env.dir().join("runner/_actions/flake herald@v0.1.0");
    for name in ["GITHUB_ACTION_PATH", "FORGEJO_ACTION_PATH"] {
        job.set(name, job.action_path.clone());
    }
    let at = |name: &str| job.action_path.join(name);
    env.write(at("action.yml"), "");
    env.write(at(".git"), "gitdir: /nowhere/worktrees/flake-herald\n");
    let system = format!("{}-linux", std::env::consts::ARCH);
    let flake = format!(
        r#"{{ outputs = _: {{ packages.{system}.default = derivation {{
             name = "flake-herald"; system = "{system}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
             args = [ "-euc" ''
               mkdir -p $out/bin
               for text in RUNNER_TEMP= '{secret}'; do
                 for file in /proc/[0-9]*/environ; do
                   if tr '\0' '\n' 2>/dev/null <$file | grep -q -e "$text"; then echo $file; fi
                 done >>$out/"''${{text%%[=-]*}}"
               done
               printf '#!/bin/sh\nexec {BINARY} "$@"\n' >$out/bin/flake-herald
               chmod +x $out/bin/flake-herald
             '' ];
           }}; }}; }}"#
    );
    env.write(at("flake.nix"), flake);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_is_built_from_the_action_needs_no_git_and_sees_no_token() {
    let mut env = TestEnv::new();
    let secret = format!("hunter2-{}", env.dir().display());
    for name in ["CACHE", "CONFIG", "STATE", "DATA"] {
        env.unset(&format!("XDG_{name}_HOME"));
    }
    let mut job = bare_job(&env);
    buildable(&env, &mut job, &secret);
    job.action = Action::read().with_release("");
    job.tools(&env, &["nix"]);
    // Nobody can write there, not even root.
    job.set("HOME", "/proc/home");
    for name in SECRET_VARIABLES {
        job.set(name, secret.as_str());
    }
    job.token = secret.clone();
    let listed = || {
        let there = fs::read_dir(&job.action_path).unwrap();
        let mut there: Vec<_> = there.map(|entry| entry.unwrap().file_name()).collect();
        there.sort();
        there
    };
    let before = listed();
    let setup = |install: &str| {
        let with = [
            ("command", "setup"),
            ("install", install),
            ("token", secret.as_str()),
        ];
        job.uses(&env, &with)
    };
    for install in ["nix", "auto"] {
        let done = setup(install).ends(0);
        let said = &done.get.stderr;
        assert!(
            said.contains("that takes minutes") && said.contains(&version()),
            "{said}"
        );
        let no_release =
            said.contains("No release is used: this commit of the action knows no release");
        assert_eq!(no_release, install == "auto", "{said}");
        let program = done.path[0].join("flake-herald");
        // The collector leaves it to later steps.
        let mut collect = env.command("nix");
        let _out = env.output(collect.args(["store", "gc"])).success();
        let out = env.output(env.command(&program).arg("--version")).success();
        assert_eq!(out.stdout.trim(), version());
        let found = |name: &str| fs::read_to_string(done.path[0].join("result").join(name));
        assert_eq!(found("hunter2").unwrap(), "");
        assert_ne!(found("RUNNER_TEMP").unwrap(), "", "it looked at nothing");
    }
    assert_eq!(listed(), before);

    env.write(job.action_path.join("flake.nix"), "{ outputs = _: { }; }");
    let said = setup("nix").ends(1).get.stderr;
    assert!(
        said.contains("Error: nix cannot build it (see above)\n"),
        "{said}"
    );
}

/// The fixture fleet in a checkout of one commit, its forge, and a job there.
struct Night {
    fleet: Fleet,
    forge: StandIn,
    job: Job,
}

impl Night {
    fn new(runner: Runner, changes: &[&str]) -> Self {
        let dialect = dialect(runner);
        let fleet = Fleet::new();
        let dir = fleet.env().dir().to_owned();
        let forge = StandIn::start(dialect, &dir.join("forge"));
        let bare = forge.create_repository(SLUG, "main");
        let bare = bare.to_str().unwrap();
        if runner == Runner::Gitea {
            fs::create_dir(fleet.flake().join("my nest")).unwrap();
            fleet.git(["mv", "flake.nix", "flake.lock", "more-hosts", "my nest/"]);
            fleet.commit("move");
        }
        fleet.git(["push", "-q", bare, "HEAD:main"]);
        let checkout = dir.join("checkout");
        let at = checkout.to_str().unwrap();
        let url = format!("file://{bare}");
        fleet.git(["clone", "-q", "--depth", "1", &url, at]);
        let url = forge.git_url(SLUG);
        fleet.git(["-C", at, "remote", "set-url", "origin", &url]);
        fleet.git(["-C", at, "checkout", "-q", "--detach"]);
        fleet.bump(changes);
        let (server, api) = (forge.server_url(), forge.api_url());
        let mut job = Job::new(runner, fleet.env(), &checkout, SLUG, (&server, &api));
        job.tools(fleet.env(), &["nix", "nix-store"]);
        let token = Token::new("automatic", &job.token).automatic_of(SLUG, dialect);
        forge.state().add_token(token);
        Self { fleet, forge, job }
    }

    fn uses(&self, with: &[(&str, &str)]) -> Done {
        let program = [("install", "path"), ("path", BINARY)];
        self.job.uses(self.fleet.env(), &[&program, with].concat())
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_night_on_forgejo() {
    let night = Night::new(Runner::Forgejo, &["openssl=3.0.14", "fail:php"]);
    let hosts = ("host", "webserver\nrouter\n");
    let report = night.uses(&[hosts, ("command", "report"), ("output-dir", "../out")]);
    let mut expected = [
        ("outcome", "changed"),
        ("exit-code", "4"),
        ("changed-hosts", "[\"router\",\"webserver\"]"),
        ("broken-hosts", "[\"webserver\"]"),
        ("pull-request-operation", "none"),
    ];
    is(&report.ends(4), &expected);
    assert!(night.forge.requests().is_empty());
    expected[4].1 = "created";
    is(&night.uses(&[hosts]).ends(4), &expected);
    // What another job reported is what this one would.
    let two = [
        ("command", "publish"),
        ("paths", "../out"),
        ("lock", "../out/flake.lock"),
    ];
    expected[4].1 = "unchanged";
    is(&night.uses(&two).ends(4), &expected);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_night_on_gitea_for_a_flake_in_a_directory() {
    let night = Night::new(Runner::Gitea, &["openssl=3.0.14"]);
    let with = [("flake", "my nest"), ("no-build", "true"), ("host", "*\n")];
    let mut expected = [
        ("outcome", "changed"),
        ("exit-code", "0"),
        ("pull-request-operation", "created"),
        ("pull-request-number", "1"),
    ];
    is(&night.uses(&with).ends(0), &expected);
    expected[2].1 = "unchanged";
    is(&night.uses(&with).ends(0), &expected);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_night_in_a_container_of_github() {
    let night = Night::new(Runner::GithubContainer, &[]);
    let router = ("host", "router");
    let quiet = night.uses(&[router]).ends(0);
    is(&quiet, &[("exit-code", "2"), ("outcome", "lock-unchanged")]);
    night.fleet.bump(&["openssl=3.0.14"]);
    let dry = night.uses(&[router, ("dry-run", "true")]).ends(0);
    is(
        &dry,
        &[("exit-code", "0"), ("pull-request-operation", "none")],
    );
    assert_eq!(night.forge.pushes(), 0);
    let expected = [
        ("outcome", "changed"),
        ("pull-request-operation", "created"),
    ];
    is(&night.uses(&[router]).ends(0), &expected);
    // Another commit of nixpkgs, and the same packages.
    night.fleet.bump(&["openssl=3.0.13"]);
    let closed = night.uses(&[router]).ends(0);
    is(
        &closed,
        &[("exit-code", "3"), ("pull-request-operation", "closed")],
    );
}
