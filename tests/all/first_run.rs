//! The first five minutes: what somebody sees who has read nothing yet.
//!
//! Each row is a place in which newcomers are, and all of stderr, for that is what they have. What is wrong with a flake, a
//! repository or a forge besides is in `bad_input` and `refused`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::actions::executable;
use crate::support::forge::{Dialect, Token};
use crate::support::scene::{SLUG, Scene, Transport};
use crate::support::{CommandOutput, DOCS, Fleet, TestEnv};

/// What is told to who reads a log on a phone: more lines than this are not read.
const MOST_LINES: usize = 6;

/// Returns a run as its reader sees it. A run that ended with an error has printed nothing else, and in few lines.
fn seen(title: &str, output: &CommandOutput) -> String {
    let mut redactor = output.redactor.clone();
    let stderr = redactor.redact(&output.stderr).replace(DOCS, "$DOCS/");
    let code = output.status.code().unwrap();
    if code == 1 {
        assert_eq!(output.stdout, "", "{title}");
        let error = stderr.find("Error: ").unwrap_or_else(|| panic!("{output}"));
        let lines = stderr[error..].lines().count();
        assert!(lines <= MOST_LINES, "{title}: {output}");
    }
    format!("# {title}\n{stderr}exit {code}\n\n")
}

/// Rows that need no Nix, in directories of their own.
struct Rows {
    env: TestEnv,
    seen: String,
}

impl Rows {
    fn new() -> Self {
        Self {
            env: TestEnv::new(),
            seen: String::new(),
        }
    }

    /// Returns a directory with these files, as a repository with what is `added`.
    fn dir(&self, name: &str, files: &[(&str, &str)], added: &[&str]) -> PathBuf {
        let dir = self.env.dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        for (file, text) in files {
            fs::write(dir.join(file), text).unwrap();
        }
        if !added.is_empty() {
            git(&self.env, &dir, &["init", "-q", "-b", "main"]);
            git(&self.env, &dir, &[&["add"], added].concat());
            git(&self.env, &dir, &["commit", "-q", "-m", "first"]);
        }
        dir
    }

    fn row(&mut self, title: &str, dir: &Path, args: &[&str]) {
        let output = self.env.run_in(dir, args);
        self.seen.push_str(&seen(title, &output));
    }
}

fn git(env: &TestEnv, dir: &Path, args: &[&str]) {
    let mut command = env.command("git");
    env.output(command.args(args).current_dir(dir)).success();
}

const FLAKE: (&str, &str) = ("flake.nix", "{ outputs = _: { }; }");

#[test]
fn before_nix_is_asked() {
    let mut rows = Rows::new();
    let empty = rows.dir("empty", &[], &[]);
    rows.row("no flake here", &empty, &["report"]);
    let plain = rows.dir("plain", &[("configuration.nix", "{ }")], &[]);
    rows.row("a configuration without a flake", &plain, &["report"]);
    let sub = rows.dir("sub/nix", &[FLAKE], &[]);
    rows.row("one directory too high", sub.parent().unwrap(), &["run"]);

    let new = rows.dir("new", &[FLAKE, ("README", "")], &["README"]);
    rows.row("a flake.nix that git does not know", &new, &["report"]);
    let lone = rows.dir("lone", &[FLAKE], &[]);
    rows.row("no repository to publish in", &lone, &["run"]);
    let flake = rows.dir("flake", &[FLAKE], &["."]);
    rows.row("no remote to publish to", &flake, &["run"]);

    let slip = ("flake-herald.toml", "hots = [\"web\"]\n");
    let typo = rows.dir("typo", &[FLAKE, slip], &["."]);
    rows.row("a slip in the configuration file", &typo, &["report"]);

    rows.env.set("PATH", "/nonexistent");
    rows.row("no Nix", &flake, &["report"]);
    insta::assert_snapshot!(rows.seen, @r#"
    # no flake here
    Error: $D/empty has no flake.nix
    Hint: go to the flake's directory, or say where it is with --flake DIR; in a workflow the checkout comes first
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # a configuration without a flake
    Error: $D/plain has no flake.nix
    Hint: a configuration.nix alone is no flake: a flake.nix has to name it under `nixosConfigurations`
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # one directory too high
    Error: $D/sub has no flake.nix
    Hint: there is one in another directory: --flake $D/sub/nix
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # a flake.nix that git does not know
    Error: flake.nix in $D/new is not tracked by git, so Nix does not see it
    Hint: `git add flake.nix`; it need not be committed yet
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # no repository to publish in
    Looking at the forge …
    Error: publishing needs a git checkout, and $D/lone is in none
    Hint: `flake-herald report` works without git
    exit 1

    # no remote to publish to
    Looking at the forge …
    Error: there is no remote `origin`
    Hint: name the one to push to with --remote NAME, or add it with `git remote add origin URL`
    exit 1

    # a slip in the configuration file
    Error: `hots` from flake-herald.toml line 1: there is no such key; did you mean `host`?
    More: $DOCS/configuration.md
    exit 1

    # no Nix
    Staging the update …
      there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit
    Error: `nix --version` could not be started: program "nix" not found
    Hint: Nix must be installed and on PATH: https://nixos.org/download
    More: $DOCS/first-run.md#which-nix
    exit 1
    "#);
}

/// A Nix of before flakes could be used as they are here.
#[test]
fn a_nix_of_long_ago() {
    let mut rows = Rows::new();
    let flake = rows.dir("flake", &[FLAKE], &["."]);
    let bin = rows.dir("bin", &[], &[]);
    executable(&rows.env, &bin.join("nix"), "echo 'nix (Nix) 2.18.1'");
    rows.env.prepend_path(&bin);
    rows.row("an old Nix", &flake, &["report"]);
    insta::assert_snapshot!(rows.seen, @"
    # an old Nix
    Staging the update …
      there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit
    Error: Nix 2.18.1 is too old: 2.19 or newer is needed
    Hint: update Nix: https://nix.dev/manual/nix/latest/installation/upgrading
    More: $DOCS/first-run.md#which-nix
    exit 1
    ");
}

/// Publishing from a workflow that somebody has just copied, on each forge, as the runner sets it up.
#[test]
fn the_first_workflow() {
    /// What is wrong, and how: nothing else is.
    type Wrong = (&'static str, Dialect, fn(&Scene, &mut Command));
    const SECRET: &str = "t0ken-of-the-job";
    let rows: [Wrong; 5] = [
        (
            "Forgejo, a private repository with the automatic token",
            Dialect::Forgejo,
            |scene, _| scene.forge.state().repos[0].private = true,
        ),
        (
            "Forgejo, a job that a pull request started",
            Dialect::Forgejo,
            |_, command| {
                command.env("FORGEJO_EVENT_NAME", "pull_request");
            },
        ),
        ("GitHub, the setting is off", Dialect::Github, |scene, _| {
            scene.forge.state().actions_may_open = false;
        }),
        (
            "GitHub, no token passed to the step",
            Dialect::Github,
            |_, command| {
                command.env_remove("GITHUB_TOKEN");
            },
        ),
        ("GitHub, no `permissions:`", Dialect::Github, |scene, _| {
            let mut state = scene.forge.state();
            let token = state.tokens.iter_mut().find(|token| token.name == "job");
            token.unwrap().scopes = ["metadata:read", "contents:read"].map(str::to_owned).into();
        }),
    ];
    let mut all = String::new();
    for (title, dialect, wrong) in rows {
        let mut scene = Scene::new(dialect, Transport::Http);
        scene.env.unset("FLAKE_HERALD_TOKEN");
        let token = Token::new("job", SECRET).automatic_of(SLUG, dialect);
        scene.forge.state().add_token(token);
        let prefix = match dialect {
            Dialect::Forgejo => "FORGEJO",
            Dialect::Gitea | Dialect::Github => "GITHUB",
        };
        let mut command = scene.command(&scene.report(2), 2, &[]);
        for (name, value) in [
            ("ACTIONS", "true"),
            ("EVENT_NAME", "schedule"),
            ("SERVER_URL", &scene.forge.server_url()),
            ("API_URL", &scene.forge.api_url()),
            ("REPOSITORY", SLUG),
            ("REF_NAME", "main"),
            ("REF_TYPE", "branch"),
            ("TOKEN", SECRET),
        ] {
            command.env(format!("{prefix}_{name}"), value);
        }
        wrong(&scene, &mut command);
        let mut output = scene.env.output(&mut command);
        // The report is printed all the same where only publishing fails.
        output.stdout.clear();
        // The commit is made now, and so has another name each time.
        for line in seen(title, &output).lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let line = match words.as_slice() {
                ["", "", "pushed", _, rest @ ..] => format!("  pushed COMMIT {}", rest.join(" ")),
                _ => line.replace(&scene.forge.server_url(), "$FORGE"),
            };
            writeln!(all, "{line}").unwrap();
        }
        assert_eq!(scene.forge.violations(), Vec::<String>::new());
    }
    insta::assert_snapshot!(all, @r#"
    # Forgejo, a private repository with the automatic token
    ::group::Looking at the forge
    ::endgroup::
    Error: the automatic token cannot open a pull request in this repository (GET /api/v1/repos/alice/fleet: 200, it is not public)
    Hint: Forgejo's automatic token cannot open pull requests in private repositories, nor in those of limited organisations: give a token of your own in FLAKE_HERALD_TOKEN or with --token-file, with the scope write:repository (write:issue for notes)
    More: $DOCS/tokens.md#when-it-is-refused
    exit 1

    # Forgejo, a job that a pull request started
    ::group::Looking at the forge
    ::endgroup::
    Error: a job of a pull request (event `pull_request`) publishes nothing
    Hint: its files and its lock are its author's; `report`, or `run --dry-run`, works there
    exit 1

    # GitHub, the setting is off
    ::group::Looking at the forge
    ::endgroup::
    ::group::Publishing
      pushed COMMIT to auto/flake-update
      deleted auto/flake-update again
    ::endgroup::
    Error: GitHub Actions may not open pull requests here (POST /api/v3/repos/alice/fleet/pulls: 403, GitHub Actions is not permitted to create or approve pull requests.)
    Hint: allow it under Settings → Actions → General → Workflow permissions, "Allow GitHub Actions to create and approve pull requests" (the organisation's settings may have to allow it first); or give a token of your own in FLAKE_HERALD_TOKEN or with --token-file
    More: $DOCS/github.md#what-must-be-allowed
    exit 1

    # GitHub, no token passed to the step
    ::group::Looking at the forge
    ::endgroup::
    Error: there is no token for $FORGE
    Hint: give one in FLAKE_HERALD_TOKEN or --token-file FILE; in a workflow: `env: GITHUB_TOKEN: ${{ github.token }}`
    More: $DOCS/tokens.md#when-it-is-refused
    exit 1

    # GitHub, no `permissions:`
    ::group::Looking at the forge
    ::endgroup::
    ::group::Publishing
    ::endgroup::
    Error: the forge does not allow this (GET /api/v3/repos/alice/fleet/pulls: 403, Resource not accessible by integration)
    Hint: the job's `permissions:` must give pull-requests: write; or give a token of your own in FLAKE_HERALD_TOKEN or with --token-file
    More: $DOCS/tokens.md#when-it-is-refused
    exit 1
    "#);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_a_flake_has_instead_of_hosts() {
    let fleet = Fleet::new();
    let nixpkgs = fleet.input("nixpkgs");
    let system = fleet.nix([
        "eval",
        "--raw",
        "--impure",
        "--expr",
        "builtins.currentSystem",
    ]);
    let system = system.success().stdout;
    let mut all = String::new();
    for (title, outputs) in [
        (
            "packages only",
            "packages.$S = { default = bash; hello = bash; }; devShells.$S.default = bash;",
        ),
        (
            "other kinds",
            "homeConfigurations.\"alice@desk\".activationPackage = bash; darwinConfigurations.mac.system = bash;",
        ),
        ("a library", "lib.x = 1;"),
        (
            "an installer only",
            "nixosConfigurations.iso-minimal.config.system.build.toplevel = bash;",
        ),
        (
            "hosts for another system only",
            "nixosConfigurations.pi.config.system.build.toplevel = derivation { name = \"pi\"; system = \"riscv64-linux\"; builder = \"/bin/sh\"; };",
        ),
    ] {
        let dir = fleet.env().dir().join(title);
        fs::create_dir(&dir).unwrap();
        let text = format!(
            "{{ inputs.nixpkgs.url = \"git+file://{}\"; outputs = {{ self, nixpkgs }}: let inherit (nixpkgs.legacyPackages.$S) bash; in {{ {outputs} }}; }}\n",
            nixpkgs.display()
        );
        fs::write(dir.join("flake.nix"), text.replace("$S", &system)).unwrap();
        git(fleet.env(), &dir, &["init", "-q", "-b", "main"]);
        git(fleet.env(), &dir, &["add", "."]);
        let mut output = fleet.env().run_in(&dir, ["report"]);
        // What was looked at is printed also where nothing could be checked.
        output.stdout.clear();
        all.push_str(&seen(title, &output).replace(&system, "$SYSTEM"));
    }
    insta::assert_snapshot!(all, @"
    # packages only
    Staging the update …
      there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit
    Error: the flake has no hosts in `nixosConfigurations`; its outputs are `devShells`, `packages`
    Hint: is another flake meant (--flake DIR)? Of this one --attr packages.$SYSTEM looks at every package, --attr packages.$SYSTEM.default at one
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # other kinds
    Staging the update …
      there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit
    Error: the flake has no hosts in `nixosConfigurations`; it has 1 in `darwinConfigurations` (`mac`), 1 in `homeConfigurations` (`alice@desk`)
    Hint: say what to look at: --kind darwin --kind home
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # a library
    Staging the update …
      there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit
    Error: the flake has no hosts in `nixosConfigurations`; its outputs are `lib`
    Hint: is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # an installer only
    Staging the update …
      there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit
    Error: every host is left out: `nixos:iso-minimal` by `*-minimal`
    Hint: --no-default-excludes keeps *-minimal, and --host NAME keeps the host it names
    More: $DOCS/first-run.md#what-stops-it
    exit 1

    # hosts for another system only
    Staging the update …
      there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit
    Evaluating 1 host, before and after …
    Building what differs on 1 host …
    Comparing the closures …
    Error: not one host could be checked
    Hint: name a machine that builds for them in Nix's `builders`, leave them out with --exclude-host, or compare without building: --no-build
    More: $DOCS/first-run.md#what-stops-it
    exit 1
    ");
}

/// Runs a command on a terminal and returns what is seen there.
fn on_a_terminal(env: &TestEnv, dir: &Path, args: &str) -> String {
    let mut script = env.command("script");
    let binary = env!("CARGO_BIN_EXE_flake-herald");
    script.args(["-qec", &format!("{binary} {args}"), "/dev/null"]);
    let output = env.output(script.env("TERM", "xterm").current_dir(dir));
    output.success().stdout
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_terminal_says_where_to_go_on_until_somebody_has_gone_there() {
    let fleet = Fleet::new();
    fleet.bump(&["hw:0.5.0"]);
    let (env, flake) = (fleet.env(), fleet.flake());
    let next = || {
        let seen = on_a_terminal(env, &flake, "report --host nas --no-build");
        assert!(seen.contains("1 host: changed"), "{seen}");
        let last = seen.lines().last().unwrap_or_default().trim();
        last.strip_prefix("next: ").map(str::to_owned)
    };
    assert_eq!(
        next().as_deref(),
        Some(concat!(
            "a job that keeps a pull request open with this: ",
            env!("CARGO_PKG_REPOSITORY")
        ))
    );
    let workflow = flake.join(".forgejo/workflows/flake-update.yml");
    fs::create_dir_all(workflow.parent().unwrap()).unwrap();
    fs::write(&workflow, "run: flake-herald run\n").unwrap();
    assert_eq!(next(), None);
    fs::write(&workflow, "run: make\n").unwrap();
    fs::write(flake.join("flake-herald.toml"), "").unwrap();
    assert_eq!(next(), None);
}
