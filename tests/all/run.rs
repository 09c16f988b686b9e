//! `flake-herald run` as a whole: the fixture fleet on a real Nix, its pull request on the stand-in forge.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::report::left_over;
use crate::support::forge::{Dialect, Fault, Pull, PullState, StandIn, Token, Trouble};
use crate::support::scene::{BRANCH, Done, SLUG, Scene, TOKEN};
use crate::support::{CommandOutput, Fleet};

/// The fleet as a repository on a forge.
struct Night {
    fleet: Fleet,
    forge: StandIn,
    bare: PathBuf,
    /// The flake's directory.
    dir: PathBuf,
}

impl Night {
    fn new(dialect: Dialect) -> Self {
        Self::with(dialect, Fleet::new())
    }

    /// Puts a fleet, as it is committed, on a forge.
    fn with(dialect: Dialect, mut fleet: Fleet) -> Self {
        let forge = StandIn::start(dialect, &fleet.env().dir().join("forge"));
        let bare = forge.create_repository(SLUG, "main");
        forge.state().add_token(Token::new("given", TOKEN));
        fleet.env_mut().set("FLAKE_HERALD_TOKEN", TOKEN);
        let url = forge.git_url(SLUG);
        fleet.git(["remote", "add", "origin", &url]);
        let dir = fleet.flake();
        let night = Self {
            fleet,
            forge,
            bare,
            dir,
        };
        night.land();
        night
    }

    /// Pushes what is committed here to the base.
    fn land(&self) {
        self.fleet.land(&self.bare);
    }

    fn run(&self, more: &[&str]) -> Done {
        self.command(&[&["run", "--format", "json"], more].concat())
    }

    fn command(&self, args: &[&str]) -> Done {
        Scene::finished(self.fleet.env().run_in(&self.dir, args))
    }

    fn bare_git(&self, args: &[&str]) -> String {
        let mut command = self.fleet.env().command("git");
        let out = command.args(args).current_dir(&self.bare);
        self.fleet.env().output(out).success().stdout
    }

    fn branches(&self) -> String {
        self.bare_git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"])
    }

    fn pull(&self, number: Option<u64>) -> Pull {
        self.forge.state().pull(SLUG, number.unwrap()).clone()
    }

    /// Returns the bytes of the lock that an update would give now.
    fn expected(&self, dir: &str) -> String {
        let file = self.fleet.env().dir().join("expected.lock");
        let flake = format!("git+file://{}{dir}", self.fleet.flake().display());
        let _out = self
            .fleet
            .nix([
                "flake",
                "update",
                "--flake",
                &flake,
                "--output-lock-file",
                file.to_str().unwrap(),
            ])
            .success();
        fs::read_to_string(file).unwrap()
    }

    /// Asserts that the branch is one commit upon the checkout's, with what an update would commit.
    #[track_caller]
    fn is_the_update(&self) {
        let head = self.fleet.git(["rev-parse", "HEAD"]);
        assert_eq!(self.bare_git(&["rev-parse", &format!("{BRANCH}^")]), head);
        let changed = self.bare_git(&[
            "diff",
            "--raw",
            "--no-abbrev",
            &format!("{BRANCH}^"),
            BRANCH,
        ]);
        assert!(
            changed.starts_with(":100644 100644 ") && changed.ends_with(" M\tflake.lock\n"),
            "{changed}"
        );
        assert_eq!(changed.lines().count(), 1);
        let lock = self.bare_git(&["show", &format!("{BRANCH}:flake.lock")]);
        assert_eq!(lock, self.expected(""));
    }
}

fn life(dialect: Dialect) {
    let night = Night::new(dialect);
    let nothing = night.run(&[]).is("none");
    assert_eq!(nothing.code, Some(2), "{}", nothing.output);
    assert_eq!(night.branches(), "main\n");

    night.fleet.bump(&["openssl=3.0.14"]);
    let before = night.fleet.repository();
    night.forge.forget();
    let opened = night.run(&[]).is("created");
    assert_eq!(opened.code, Some(0), "{}", opened.output);
    night.is_the_update();
    assert!(
        night.forge.api_log().len() <= 8,
        "{:#?}",
        night.forge.api_log()
    );
    let pull = night.pull(opened.number);
    assert_eq!(
        (pull.base_ref.as_str(), pull.head_ref.as_str()),
        ("main", BRANCH)
    );
    assert!(pull.body.contains("openssl"), "{}", pull.body);
    // The checkout is left alone, and so is everything else here.
    assert_eq!(night.fleet.repository(), before);
    assert_eq!(left_over(&night.fleet), Vec::<String>::new());

    let tip = night.bare_git(&["rev-parse", BRANCH]);
    night.forge.forget();
    let quiet = night.run(&[]).is("unchanged");
    assert_eq!((quiet.code, quiet.number), (Some(0), opened.number));
    assert_eq!(night.bare_git(&["rev-parse", BRANCH]), tip);
    let requests = night.forge.api_log();
    assert!(
        requests.len() <= 5 && requests.iter().all(|line| line.starts_with("GET ")),
        "{requests:#?}"
    );
    assert_eq!(night.forge.pushes(), 0);

    night.fleet.bump(&["nginx=1.26.1"]);
    let refreshed = night.run(&[]).is("updated");
    assert_eq!((refreshed.code, refreshed.number), (Some(0), opened.number));
    night.is_the_update();
    assert!(night.pull(opened.number).body.contains("1.26.1"));

    // Somebody updates by hand: there is nothing left to say.
    night.fleet.land_update(&night.bare);
    let closed = night.run(&[]).is("closed");
    assert_eq!(
        (closed.code, closed.number),
        (Some(2), opened.number),
        "{}",
        closed.output
    );
    assert_eq!(night.branches(), "main\n");
    assert_eq!(night.run(&[]).is("none").code, Some(2));
    assert_eq!(left_over(&night.fleet), Vec::<String>::new());
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_life_of_a_real_update_on_forgejo() {
    life(Dialect::Forgejo);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_life_of_a_real_update_on_github() {
    life(Dialect::Github);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_broken_host_is_published_and_said_first() {
    let night = Night::new(Dialect::Forgejo);
    night.fleet.bump(&["openssl=3.0.14", "fail:php"]);
    let done = night.run(&[]).is("created");
    assert_eq!(done.code, Some(4), "{}", done.output);
    night.is_the_update();
    let body = night.pull(done.number).body;
    let headline = body.lines().nth(1).unwrap();
    assert!(headline.contains("1 broken by the update"), "{body}");
    // The first point names it, and why comes before all that changes.
    assert_eq!(
        body.lines().nth(3),
        Some("- **Broken by the update:** `webserver`"),
        "{body}"
    );
    let why = body.find("libfoo not found").unwrap();
    assert!(
        why < body.find("\n### Inputs\n").unwrap() && why < body.find("[U.] openssl").unwrap(),
        "{body}"
    );
    let done = night.run(&["--fail-on", "never"]).is("unchanged");
    assert_eq!(done.code, Some(0));
    // Going back would be no change, but for the host that cannot be looked at.
    night
        .fleet
        .bump(&["openssl=3.0.13", "fix:php", "throw:nas"]);
    let done = night.run(&[]).is("updated");
    assert_eq!(done.code, Some(4), "{}", done.output);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_was_not_built_is_published_too() {
    let night = Night::new(Dialect::Forgejo);
    night.fleet.bump(&["nginx=1.26.1"]);
    let run = |more: &[&str]| night.run(&[&["--host", "webserver", "--host", "pi"], more].concat());
    let opened = run(&["--no-build"]).is("created");
    assert_eq!(opened.code, Some(0), "{}", opened.output);
    night.is_the_update();
    let body = night.pull(opened.number).body;
    let said = |body: &str| {
        body.contains(
            "## 2 hosts: 2 changed (nothing was built: closures are not known)\n\n- **Nothing breaks:** ",
        )
    };
    assert!(said(&body) && body.contains("nginx"), "{body}");
    let tip = night.bare_git(&["rev-parse", BRANCH]);

    // The same again, by two jobs.
    let out = night.fleet.env().dir().join("out");
    let out = out.to_str().unwrap();
    let _report = night
        .fleet
        .run([
            "report",
            "--no-build",
            "--host",
            "webserver",
            "--host",
            "pi",
            "--output-dir",
            out,
        ])
        .success();
    let lock = format!("{out}/flake.lock");
    let publish = ["publish", out, "--lock", &lock, "--format", "json"];
    let quiet = night.command(&publish).is("unchanged");
    assert_eq!((quiet.code, quiet.number), (Some(0), opened.number));

    // Built, the report says more; the commit is the same.
    let built = run(&[]).is("updated");
    assert_eq!((built.code, built.number), (Some(0), opened.number));
    let body = night.pull(opened.number).body;
    assert!(!said(&body) && body.contains("Closure size"), "{body}");
    assert_eq!(night.bare_git(&["rev-parse", BRANCH]), tip);

    // Equal outputs are proof without a build.
    night.fleet.bump(&[
        "nginx=1.26.0",
        "mirror:nginx=https://mirror.example.org/nginx.tar.gz",
    ]);
    let closed = run(&["--no-build"]).is("closed");
    assert_eq!((closed.code, closed.number), (Some(3), opened.number));
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn closures_that_stay_close_it_on_proof_only() {
    let night = Night::new(Dialect::Github);
    night.fleet.bump(&["openssl=3.0.14"]);
    let number = night.run(&[]).is("created").number;
    // Another commit of nixpkgs, and the same packages as on the base.
    night.fleet.bump(&[
        "openssl=3.0.13",
        "mirror:nginx=https://mirror.example.org/nginx.tar.gz",
    ]);
    let tip = night.bare_git(&["rev-parse", BRANCH]);

    let given = night.fleet.env().write("given.lock", night.expected(""));
    let done = night
        .run(&["--lock", given.to_str().unwrap()])
        .is("unchanged");
    assert_eq!(
        (done.code, done.number),
        (Some(3), number),
        "{}",
        done.output
    );

    let before = fs::read(night.dir.join("flake.lock")).unwrap();
    fs::copy(&given, night.dir.join("flake.lock")).unwrap();
    let done = night.run(&["--skip-update"]).is("unchanged");
    assert_eq!(done.code, Some(3), "{}", done.output);
    fs::write(night.dir.join("flake.lock"), before).unwrap();

    let done = night.run(&["--keep-obsolete"]).is("unchanged");
    assert_eq!(done.code, Some(3));
    assert_eq!(night.bare_git(&["rev-parse", BRANCH]), tip);
    let done = night.run(&["--publish-unchanged"]).is("updated");
    assert_eq!((done.code, done.number), (Some(3), number));
    night.is_the_update();

    let done = night.run(&[]).is("closed");
    assert_eq!(
        (done.code, done.number),
        (Some(3), number),
        "{}",
        done.output
    );
    assert_eq!(night.pull(number).state, PullState::Closed);
    assert_eq!(night.branches(), "main\n");
    // Nothing is published of it either.
    let done = night.run(&[]).is("none");
    assert_eq!(done.code, Some(3));
    assert_eq!(night.branches(), "main\n");
    let done = night.run(&["--publish-unchanged"]).is("created");
    assert_eq!(done.code, Some(3));
    night.is_the_update();
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_host_broken_all_along_keeps_it_open() {
    let fleet = Fleet::new();
    fleet.bump_base(&["throw:nas"]);
    let night = Night::with(Dialect::Forgejo, fleet);
    night.fleet.bump(&["openssl=3.0.14"]);
    let opened = night.run(&[]).is("created");
    assert_eq!(opened.code, Some(0), "{}", opened.output);
    night.fleet.bump(&["openssl=3.0.13"]);
    let done = night.run(&[]).is("updated");
    assert_eq!(
        (done.code, done.number),
        (Some(0), opened.number),
        "{}",
        done.output
    );
    assert_eq!(
        night.run(&["--fail-on", "any"]).is("unchanged").code,
        Some(4)
    );
    night.is_the_update();
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_dry_run_reaches_nobody() {
    let night = Night::new(Dialect::Forgejo);
    night.fleet.bump(&["openssl=3.0.14"]);
    let before = night.fleet.repository();
    let done = night.run(&[
        "--dry-run",
        "--title",
        "flake: {{ fleet.changed }} of {{ fleet.hosts }}",
    ]);
    assert_eq!(done.code, Some(0), "{}", done.output);
    assert_eq!(done.operation, "no report");
    let title = "\n  the title of its pull request would be: flake: 4 of 5\n";
    assert!(done.output.stderr.contains(title), "{}", done.output);
    // What only a report tells of a template is told here too, below the report.
    let done = night.run(&[
        "--dry-run",
        "--no-build",
        "--commit-message",
        "{{ fleet.chnged }}",
    ]);
    assert_eq!(done.code, Some(1), "{}", done.output);
    assert!(
        done.output
            .stderr
            .contains("Error: the template of the commit message"),
        "{}",
        done.output
    );
    assert!(!done.output.stdout.is_empty(), "{}", done.output);
    let requests = night.forge.requests();
    assert!(requests.is_empty(), "{requests:#?}");
    assert_eq!(night.fleet.repository(), before);
    assert_eq!(night.branches(), "main\n");
    assert_eq!(left_over(&night.fleet), Vec::<String>::new());
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_lock_is_written_here_too_where_that_is_asked_for() {
    let night = Night::new(Dialect::Forgejo);
    night.fleet.bump(&["openssl=3.0.14"]);
    let expected = night.expected("");
    let opened = night.run(&["--write-lock"]).is("created");
    assert_eq!(opened.code, Some(0), "{}", opened.output);
    assert_eq!(
        fs::read_to_string(night.dir.join("flake.lock")).unwrap(),
        expected
    );
    assert_eq!(night.fleet.git_status(), " M flake.lock\n");
    // What was written is what is published, however it is looked at; at most the words about it differ.
    let tip = night.bare_git(&["rev-parse", BRANCH]);
    for more in [&["--skip-update"][..], &[]] {
        let done = night.run(more);
        assert_eq!(
            (done.code, done.number),
            (Some(0), opened.number),
            "{}",
            done.output
        );
    }
    assert_eq!(night.bare_git(&["rev-parse", BRANCH]), tip);
    let done = night.run(&["--write-lock"]);
    assert_eq!(done.code, Some(1), "{}", done.output);
    assert_eq!(night.fleet.git_status(), " M flake.lock\n");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_working_trees_lock_is_published_with_skip_update() {
    let night = Night::new(Dialect::Github);
    night.fleet.bump(&["openssl=3.0.14"]);
    let mine = night.expected("");
    // Newer than what is in the tree, and none of its business.
    night.fleet.bump(&["nginx=1.26.1"]);
    fs::write(night.dir.join("flake.lock"), &mine).unwrap();
    let before = night.fleet.repository();
    let done = night.run(&["--skip-update"]).is("created");
    assert_eq!(done.code, Some(0), "{}", done.output);
    assert_eq!(
        night.bare_git(&["show", &format!("{BRANCH}:flake.lock")]),
        mine
    );
    assert_eq!(night.fleet.repository(), before);
    // Another tracked change is no part of what would be merged.
    night.fleet.write("more-hosts/README", "changed\n");
    night.forge.forget();
    let done = night.run(&["--skip-update"]);
    assert_eq!(done.code, Some(1), "{}", done.output);
    assert!(
        done.output.stderr.contains("more-hosts/README"),
        "{}",
        done.output
    );
    assert_eq!(night.forge.pushes(), 0);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flake_in_a_directory_has_its_own_branch() {
    let fleet = Fleet::new();
    fs::create_dir(fleet.flake().join("infra")).unwrap();
    fleet.git(["mv", "flake.nix", "flake.lock", "more-hosts", "infra/"]);
    fleet.commit("move");
    let mut night = Night::with(Dialect::Forgejo, fleet);
    night.dir = night.fleet.flake().join("infra");
    night.fleet.bump(&["openssl=3.0.14"]);
    let done = night.run(&[]).is("created");
    assert_eq!(done.code, Some(0), "{}", done.output);
    let branch = "auto/flake-update-infra";
    assert_eq!(night.branches(), format!("{branch}\nmain\n"));
    assert_eq!(
        night.bare_git(&["diff", "--name-only", "main", branch]),
        "infra/flake.lock\n"
    );
    assert_eq!(
        night.bare_git(&["show", &format!("{branch}:infra/flake.lock")]),
        night.expected("?dir=infra")
    );
    assert_eq!(night.run(&[]).is("unchanged").code, Some(0));
}

/// As actions/checkout leaves it: one commit, no branch, each night anew.
#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_clone_of_one_commit_is_enough_night_after_night() {
    let mut night = Night::new(Dialect::Github);
    night.fleet.bump(&["openssl=3.0.14"]);
    let mut number = None;
    let mut tip = String::new();
    for round in 0..4 {
        // The base moves on, and the branch stays behind.
        night
            .fleet
            .write("more-hosts/README", format!("round {round}\n"));
        night.fleet.commit("unrelated");
        night.land();
        let clone = night.fleet.env().dir().join(format!("clone-{round}"));
        let url = format!("file://{}", night.bare.display());
        for args in [
            &["clone", "-q", "--depth", "1", &url, clone.to_str().unwrap()][..],
            &["-C", clone.to_str().unwrap(), "checkout", "-q", "--detach"],
            &[
                "-C",
                clone.to_str().unwrap(),
                "remote",
                "set-url",
                "origin",
                &night.forge.git_url(SLUG),
            ],
        ] {
            night.fleet.git(args);
        }
        night.dir = clone;
        if round == 2 {
            // Somebody tried it out: the commit is evaluated, by its name.
            fs::write(night.dir.join("flake.lock"), night.expected("")).unwrap();
        }
        night.forge.forget();
        // One host is built from all of the flake: it has another path after every commit, and that alone is no news.
        let done = night.run(&["--base", "main"]);
        assert_eq!(done.code, Some(0), "{}", done.output);
        if round == 0 {
            number = done.number;
            tip = night.bare_git(&["rev-parse", BRANCH]);
            night.is_the_update();
        }
        assert_eq!(done.number, number);
        assert_eq!(
            done.operation,
            ["created", "unchanged", "updated", "updated"][round],
            "{}",
            done.output
        );
        assert_eq!(night.bare_git(&["rev-parse", BRANCH]), tip);
    }
}

/// The value of a step's output.
fn output<'a>(outputs: &'a str, name: &str) -> &'a str {
    let (_, rest) = outputs
        .rsplit_once(&format!("{name}<<"))
        .unwrap_or_else(|| panic!("no {name} in {outputs}"));
    rest.lines().nth(1).unwrap()
}

fn in_a_job(dialect: Dialect) {
    let mut night = Night::new(dialect);
    night.fleet.bump(&["openssl=3.0.14", "fail:php"]);
    let env = night.fleet.env_mut();
    let (outputs, summary) = (env.write("outputs", ""), env.write("summary", ""));
    let server = night.forge.server_url();
    let names: &[&str] = match dialect {
        Dialect::Github => &["GITHUB"],
        Dialect::Forgejo | Dialect::Gitea => &["GITHUB", "FORGEJO"],
    };
    env.unset("FLAKE_HERALD_TOKEN");
    for name in names {
        let mut set = |key: &str, value: &str| env.set(&format!("{name}_{key}"), value);
        set("ACTIONS", "true");
        set("EVENT_NAME", "schedule");
        set("SERVER_URL", &server);
        set("API_URL", &night.forge.api_url());
        set("REPOSITORY", SLUG);
        set("REF_NAME", "main");
        set("REF_TYPE", "branch");
        set("OUTPUT", outputs.to_str().unwrap());
        set("STEP_SUMMARY", summary.to_str().unwrap());
        set("TOKEN", TOKEN);
    }
    // As actions/checkout leaves it.
    night.fleet.git(["checkout", "-q", "--detach"]);
    let dir = night.fleet.env().dir().join("out");
    let done = night
        .run(&["--output-dir", dir.to_str().unwrap()])
        .is("created");
    assert_eq!(done.code, Some(4), "{}", done.output);
    assert!(!done.output.stderr.contains(TOKEN) && !done.output.stdout.contains(TOKEN));
    // The job's own token starts no workflow, and says so.
    assert_eq!(done.warnings.len(), 1, "{:?}", done.warnings);
    let said = fs::read_to_string(&outputs).unwrap();
    let pull = night.pull(done.number);
    let url = match dialect {
        Dialect::Github => format!("{server}/{SLUG}/pull/{}", pull.number),
        Dialect::Forgejo | Dialect::Gitea => format!("{server}/{SLUG}/pulls/{}", pull.number),
    };
    for (name, value) in [
        ("outcome", "changed"),
        ("exit-code", "4"),
        ("has-changes", "true"),
        ("broken-hosts", "[\"webserver\"]"),
        ("pull-request-operation", "created"),
        ("pull-request-number", &pull.number.to_string()),
        ("pull-request-url", &url),
        ("report-json", dir.join("report.json").to_str().unwrap()),
        ("report-markdown", dir.join("report.md").to_str().unwrap()),
    ] {
        assert_eq!(output(&said, name), value, "{name}");
    }
    let changed: Vec<String> = serde_json::from_str(output(&said, "changed-hosts")).unwrap();
    assert!(changed.contains(&"devbox".to_owned()), "{changed:?}");
    let summary = fs::read_to_string(summary).unwrap();
    assert_eq!(summary, fs::read_to_string(dir.join("report.md")).unwrap());
    let written: Value =
        serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
    assert_eq!(written["pull_request"]["operation"], "created");
    let digest = format!(
        "digest of the report: {}",
        written["digest"].as_str().unwrap()
    );
    assert_eq!(
        done.output.stderr.contains(&digest),
        dialect != Dialect::Github,
        "{}",
        done.output
    );
    let (opened, closed) = ("::group::", "::endgroup::");
    let count = |text: &str| {
        done.output
            .stderr
            .lines()
            .filter(|line| line.starts_with(text))
            .count()
    };
    assert_eq!(count(opened), count(closed), "{}", done.output);
    // The bot makes the commit where nobody says otherwise; here the environment does.
    let author = night.bare_git(&["log", "-1", "--format=%an", BRANCH]);
    assert_eq!(author, "Fleet Owner\n");
    let quiet = night.run(&[]).is("unchanged");
    assert_eq!(quiet.warnings, Vec::<String>::new());
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_scheduled_job_of_forgejo_has_outputs_and_a_summary() {
    in_a_job(Dialect::Forgejo);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_scheduled_job_of_github_has_outputs_and_a_summary() {
    in_a_job(Dialect::Github);
}

impl Night {
    /// Runs, sends a signal as soon as a request is seen, and returns how it ended.
    fn stopped_at(
        &self,
        method: &str,
        target: &str,
        signal: rustix::process::Signal,
    ) -> CommandOutput {
        self.forge.forget();
        let env = self.fleet.env();
        let mut run = env.binary();
        run.args(["run", "--write-lock", "--format", "json"])
            .current_dir(&self.dir);
        let mut child = env
            .heeding_signals(&run)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let came = |seen: &crate::support::forge::Seen| {
            seen.method == method && seen.target.contains(target)
        };
        while !self.forge.requests().iter().any(came) {
            assert!(Instant::now() < deadline, "no {method} {target} came");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let since = Instant::now();
        let status = child.wait().unwrap();
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "{:?}",
            since.elapsed()
        );
        let (mut stdout, mut stderr) = (String::new(), String::new());
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert_eq!(left_over(&self.fleet), Vec::<String>::new(), "{stderr}");
        CommandOutput {
            status,
            stdout,
            stderr,
            redactor: crate::support::Redactor::new(env.dir()),
        }
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_run_that_is_stopped_leaves_nothing_half_done() {
    use rustix::process::Signal;
    let night = Night::new(Dialect::Forgejo);
    night.fleet.bump(&["openssl=3.0.14"]);
    let before = night.fleet.repository();
    let hang = |method, target| Fault::next(method, target, Trouble::DoThenHang);

    // What the forge is, what the repository is, what git sees, what is open.
    for (method, target) in [
        ("GET", "/version"),
        ("GET", "/api/v1/repos/alice/fleet"),
        ("GET", "/info/refs?service=git-"),
        ("GET", "/pulls"),
    ] {
        night.forge.fault(hang(method, target));
        let out = night.stopped_at(method, target, Signal::INT).code(130);
        assert!(out.stderr.contains("SIGINT"), "{out}");
        assert_eq!(night.branches(), "main\n");
        assert_eq!(night.fleet.repository(), before);
    }
    night.forge.fault(hang("POST", "/git-receive-pack"));
    let out = night
        .stopped_at("POST", "/git-receive-pack", Signal::TERM)
        .code(143);
    assert!(out.stderr.contains("SIGTERM"), "{out}");
    assert!(night.forge.state().open_pulls(SLUG).is_empty());
    assert_eq!(night.fleet.repository(), before);
    let done = night.run(&[]).is("created");
    assert_eq!(done.code, Some(0), "{}", done.output);
    night.is_the_update();
    assert_eq!(night.fleet.repository(), before);
}

/// A report without what differs from run to run, nor what was done with it.
fn bare_report(output: &CommandOutput) -> Value {
    let mut report: Value = serde_json::from_str(&output.stdout).unwrap();
    report["timing"] = Value::Null;
    report["pull_request"] = Value::Null;
    for host in report["hosts"].as_array_mut().unwrap() {
        if host["failure"].is_object() {
            host["failure"]["log_path"] = Value::Null;
        }
    }
    report
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_matrix_publishes_what_a_single_run_would() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        let night = Night::new(dialect);
        night
            .fleet
            .bump(&["openssl=3.0.14", "fail:php", "throw:nas"]);
        let single = night.run(&["--dry-run"]);
        let dir = night.fleet.env().dir().to_owned();
        let at = |name: &str| dir.join(name).display().to_string();
        let env = night.fleet.env();
        let plan = env
            .run_in(&night.dir, ["hosts", "--format", "json"])
            .success();
        env.write("plan.json", &plan.stdout);
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
        let _out = env
            .run_in(&night.dir, ["lock", "-o", &at("staged/flake.lock")])
            .code(1);
        fs::create_dir(dir.join("staged")).unwrap();
        let _out = env
            .run_in(&night.dir, ["lock", "-o", &at("staged/flake.lock")])
            .success();
        for (number, host) in plan["hosts"].as_array().unwrap().iter().enumerate() {
            let out = at(&format!("jobs/{}/{number}", number % 2));
            let _out = env.run_in(
                &night.dir,
                [
                    "report",
                    "--plan",
                    &at("plan.json"),
                    "--lock",
                    &at("staged/flake.lock"),
                    "--host",
                    host["id"].as_str().unwrap(),
                    "--output-dir",
                    &out,
                ],
            );
        }
        let publish = |paths: &[&str]| {
            let args = [
                "publish",
                "--lock",
                &at("staged/flake.lock"),
                "--format",
                "json",
            ];
            night.command(&[&args, paths].concat())
        };
        night.forge.forget();
        let (one, two) = (at("jobs/0"), at("jobs/1"));
        let some = publish(&[&one]);
        assert_eq!(some.code, Some(1), "{}", some.output);
        assert!(
            some.output.stderr.contains("that no report has"),
            "{}",
            some.output
        );
        assert!(night.forge.requests().is_empty());
        let done = publish(&[&one, &two]).is("created");
        assert_eq!(done.code, Some(4), "{}", done.output);
        assert_eq!(bare_report(&done.output), bare_report(&single.output));
        night.is_the_update();
        assert_eq!(night.forge.state().open_pulls(SLUG).len(), 1);
        let body = night.pull(done.number).body;
        assert_eq!(publish(&[&at("jobs")]).is("unchanged").code, Some(4));
        // A single run of the same scope finds it as it would have left it.
        assert_eq!(night.run(&[]).is("unchanged").code, Some(4));
        assert_eq!(night.pull(done.number).body, body);
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn two_jobs_publish_what_one_would() {
    let mut night = Night::new(Dialect::Forgejo);
    night.fleet.bump(&["openssl=3.0.14", "fail:php"]);
    let out = night.fleet.env().dir().join("out");
    let (dir, lock) = (out.display().to_string(), out.join("flake.lock"));
    let lock = lock.to_str().unwrap();
    // The job that builds knows no secret.
    night.fleet.env_mut().unset("FLAKE_HERALD_TOKEN");
    let reported = night.command(&["report", "--format", "json", "--output-dir", &dir]);
    assert_eq!(reported.code, Some(4), "{}", reported.output);
    assert!(night.forge.requests().is_empty());
    night.fleet.env_mut().set("FLAKE_HERALD_TOKEN", TOKEN);
    // And the one that publishes has no Nix.
    let nix = night.fleet.shim();
    for name in ["nix", "nix-store"] {
        nix.fault(night.fleet.env(), name, "", "exit 9");
    }
    nix.clear();
    let publish = ["publish", &dir, "--lock", lock, "--format", "json"];
    let done = night.command(&publish).is("created");
    assert_eq!(done.code, Some(4), "{}", done.output);
    assert_eq!(bare_report(&done.output), bare_report(&reported.output));
    // Its own results may go where it reads from.
    for operation in ["unchanged", "unchanged"] {
        let done = night
            .command(&[&publish, &["--output-dir", &dir][..]].concat())
            .is(operation);
        assert_eq!(done.code, Some(4), "{}", done.output);
        let written: Value =
            serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
        assert_eq!(written["pull_request"]["operation"], operation);
        assert_eq!(
            fs::read_to_string(lock).unwrap(),
            night.bare_git(&["show", &format!("{BRANCH}:flake.lock")])
        );
    }
    assert_eq!(nix.nix_calls(), []);
    // What cannot be published is still there for another try.
    night
        .fleet
        .env_mut()
        .set("FLAKE_HERALD_TOKEN", "wrong-token-of-alice");
    let before = fs::read(out.join("report.json")).unwrap();
    let done = night.command(&[&publish, &["--output-dir", &dir][..]].concat());
    assert_eq!(done.code, Some(1), "{}", done.output);
    assert_eq!(fs::read(out.join("report.json")).ok(), Some(before));
    assert!(Path::new(lock).exists());
}

/// Only root can give files away, and only root is in the place of a container's job. As somebody else this does nothing.
#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_checkout_of_another_user_is_worked_with_in_a_runners_workspace_only() {
    let mut night = Night::new(Dialect::Github);
    if fs::metadata(night.fleet.env().dir()).unwrap().uid() != 0 {
        return;
    }
    // A submodule has an owner of its own.
    let part = night.fleet.env().dir().join("part");
    let sh = |night: &Night, script: &str| {
        let env = night.fleet.env();
        let out = env.output(env.command("sh").args(["-euc", script]));
        let _out = out.success();
    };
    sh(
        &night,
        &format!(
            "git init -q -b main {part}; cd {part}; echo hello >x; git add x; git commit -q -m x; cd {fleet}
             git -c protocol.file.allow=always submodule --quiet add {part} part; git commit -q -m 'a part'",
            part = part.display(),
            fleet = night.dir.display()
        ),
    );
    night.land();
    night.fleet.bump(&["openssl=3.0.14"]);
    let expected = night.expected("");
    let head = night.fleet.git(["rev-parse", "HEAD"]);
    let config = "[user]\n\tname = Somebody\n";
    night.fleet.env().write("home/.gitconfig", config);
    sh(
        &night,
        &format!("chown -R 12345:12345 {}", night.dir.display()),
    );

    for args in [
        &["report"][..],
        &["run"],
        &["hosts"],
        &["lock", "-o", "x.lock"],
    ] {
        let done = night.command(args);
        assert_eq!(done.code, Some(1), "{}", done.output);
        let stderr = &done.output.stderr;
        assert!(
            stderr.contains("belongs to another user") && stderr.contains("safe.directory"),
            "{}",
            done.output
        );
    }
    let env = night.fleet.env_mut();
    env.set("GITHUB_ACTIONS", "true");
    // Somewhere else is nothing that the runner vouches for.
    let elsewhere = env.dir().join("home");
    env.set("GITHUB_WORKSPACE", elsewhere);
    assert_eq!(night.command(&["report"]).code, Some(1));
    let workspace = night.dir.clone();
    night.fleet.env_mut().set("GITHUB_WORKSPACE", workspace);
    // No variable leads to the caches and to Nix's own configuration: they are found where they are.
    for name in [
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_DATA_HOME",
    ] {
        night.fleet.env_mut().unset(name);
    }
    sh(&night, "rm -rf home/.cache");

    let hosts = night.command(&["hosts"]);
    assert_eq!(hosts.code, Some(0), "{}", hosts.output);
    let reported = night.command(&["report", "--format", "json", "-vv"]);
    assert_eq!(reported.code, Some(0), "{}", reported.output);
    assert!(
        reported.output.stderr.contains("submodules=1"),
        "{}",
        reported.output
    );
    assert!(night.fleet.env().dir().join("home/.cache/nix").is_dir());
    let done = night.run(&["--base", "main"]).is("created");
    assert_eq!(done.code, Some(0), "{}", done.output);
    assert_eq!(bare_report(&done.output), bare_report(&reported.output));
    assert_eq!(
        night.bare_git(&["show", &format!("{BRANCH}:flake.lock")]),
        expected
    );
    assert_eq!(night.bare_git(&["rev-parse", &format!("{BRANCH}^")]), head);
    assert_eq!(night.run(&["--base", "main"]).is("unchanged").code, Some(0));
    // In a container job the home is that other user's too, and Nix heeds it no more.
    for (name, below) in [
        ("CACHE", ".cache"),
        ("CONFIG", ".config"),
        ("STATE", ".local/state"),
    ] {
        let dir = night.fleet.env().dir().join("home").join(below);
        night.fleet.env_mut().set(&format!("XDG_{name}_HOME"), dir);
    }
    sh(&night, "chown 12345:12345 home");
    let again = night.command(&["report", "--format", "json"]);
    assert_eq!(bare_report(&again.output), bare_report(&reported.output));
    // Nothing of it stays: not in the home, not in the checkout, which nobody else owns a part of now.
    assert_eq!(
        fs::read_to_string(night.fleet.env().dir().join("home/.gitconfig")).unwrap(),
        config
    );
    assert!(night.fleet.env().dir().join("home/.cache/nix").is_dir());
    assert_eq!(left_over(&night.fleet), Vec::<String>::new());
    let find = format!("test -z \"$(find {} ! -user 12345)\"", night.dir.display());
    sh(&night, &find);
}
