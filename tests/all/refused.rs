//! Bad input: one clear line, a hint that helps, the exit code 1, and nothing half-done.
//!
//! Each row breaks one thing. What the program says about all rows of a group is one snapshot.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flake_herald::flake::Kind;
use flake_herald::report::{MAX_BYTES, Planned, PlannedHost, Report, to_json};
use serde_json::{Value, json};

use crate::support::forge::{
    Answer, Dialect, Fault, Moment, Next, Token, Trouble, bad_gateway, git, too_many,
};
use crate::support::scene::{BRANCH, SLUG, Scene, TOKEN, Transport, lock};
use crate::support::{CommandOutput, DOCS, Shim, TestEnv};

/// What is broken, and the command that comes upon it.
type Row = (&'static str, fn(&mut Scene) -> Command);

/// Everything that a refused run must leave as it was.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    forge_refs: String,
    pulls: Vec<String>,
    checkout_refs: String,
    status: String,
    /// Files git makes on the way: none may stay.
    git_dir: Vec<PathBuf>,
}

impl Left {
    fn by(scene: &Scene) -> Self {
        let pulls = scene
            .forge
            .state()
            .repos
            .iter()
            .flat_map(|repo| &repo.pulls)
            .map(|pull| {
                format!(
                    "{} {:?} {} {} {} edits, {} comments",
                    pull.number,
                    pull.state,
                    pull.title,
                    pull.body,
                    pull.edits,
                    pull.comments.len()
                )
            })
            .collect();
        let checkout = |args: &[&str]| {
            let mut command = scene.env.command("git");
            // Some scenes have no repository there; then that is what has to stay so.
            let out = scene
                .env
                .output(command.args(args).current_dir(&scene.checkout));
            format!("{}{}", out.stdout, out.stderr)
        };
        let mut git_dir = Vec::new();
        let git = scene.checkout.join(".git");
        if git.is_dir() {
            list(&git, &mut git_dir);
        }
        git_dir.sort();
        Self {
            forge_refs: scene.bare_git(&["for-each-ref"]),
            pulls,
            checkout_refs: checkout(&["for-each-ref"]) + &checkout(&["rev-parse", "HEAD"]),
            status: checkout(&["status", "--porcelain"]),
            git_dir,
        }
    }
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Runs a command that has to be refused, and returns its words.
#[track_caller]
fn refused(scene: &Scene, command: &mut Command) -> String {
    let before = Left::by(scene);
    let out = scene.env.output(command);
    let said = words(scene, &out);
    assert_eq!(Left::by(scene), before, "{out}");
    said
}

/// Returns the error and the hint of a run that failed, after seeing that there is nothing else.
#[track_caller]
fn words(scene: &Scene, out: &CommandOutput) -> String {
    assert_eq!(out.status.code(), Some(1), "{out}");
    // The report itself is printed all the same.
    if !out.stdout.is_empty() {
        let report: Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(report["pull_request"], Value::Null, "{out}");
    }
    // Steps, and what they did.
    let is_step =
        |line: &&str| line.ends_with('…') || line.starts_with("::") || line.starts_with("  ");
    let said: Vec<&str> = out.stderr.lines().filter(|line| !is_step(line)).collect();
    let errors = said
        .iter()
        .filter(|line| line.starts_with("Error: "))
        .count();
    let hints = said
        .iter()
        .filter(|line| line.starts_with("Hint: "))
        .count();
    let pages = said
        .iter()
        .filter(|line| line.starts_with("More: "))
        .count();
    assert_eq!(errors, 1, "{out}");
    assert!(hints <= 1 && pages <= 1, "{out}");
    assert_eq!(said.len(), errors + hints + pages, "{out}");
    let redacted = out.redactor.clone().redact(&(said.join("\n") + "\n"));
    redacted
        .replace(&scene.forge.server_url(), "$FORGE")
        .replace(&format!("127.0.0.1:{}", scene.forge.port()), "$HOST")
        .replace(DOCS, "$DOCS/")
}

/// Runs every row in a scene of its own and returns all that was said.
fn table(dialect: Dialect, rows: &[Row]) -> String {
    let mut text = String::new();
    for (name, row) in rows {
        let run = std::panic::AssertUnwindSafe(|| {
            let mut scene = Scene::new(dialect, Transport::Http);
            let mut command = row(&mut scene);
            let said = refused(&scene, &mut command);
            assert_eq!(scene.forge.violations(), Vec::<String>::new());
            said
        });
        let said = std::panic::catch_unwind(run)
            .unwrap_or_else(|_| "it was not refused as it has to be: see above\n".to_owned());
        writeln!(text, "# {name}\n{said}").unwrap();
    }
    text
}

/// Publishing lock number 2, with nothing special about it.
fn usual(scene: &Scene) -> Command {
    with(scene, &[])
}

fn with(scene: &Scene, more: &[&str]) -> Command {
    scene.command(&scene.report(2), 2, more)
}

/// Makes the token one of these scopes only.
fn scopes(scene: &Scene, scopes: &[&str]) {
    let mut state = scene.forge.state();
    let token = state
        .tokens
        .iter_mut()
        .find(|token| token.name == "given")
        .unwrap();
    token.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
}

/// The job of the stand-in's own runner, with the job's token and no other.
fn job(scene: &mut Scene, command: &mut Command) {
    const SECRET: &str = "t0ken-of-the-job";
    let dialect = scene.forge.state().dialect;
    let token = Token::new("job", SECRET).automatic_of(SLUG, dialect);
    scene.forge.state().add_token(token);
    let (prefix, server) = match dialect {
        Dialect::Forgejo => ("FORGEJO", scene.forge.server_url()),
        Dialect::Gitea | Dialect::Github => ("GITHUB", scene.forge.server_url()),
    };
    for (name, value) in [
        ("ACTIONS", "true"),
        ("EVENT_NAME", "schedule"),
        ("SERVER_URL", &server),
        ("API_URL", &scene.forge.api_url()),
        ("REPOSITORY", SLUG),
        ("REF_NAME", "main"),
        ("REF_TYPE", "branch"),
        ("TOKEN", SECRET),
    ] {
        command.env(format!("{prefix}_{name}"), value);
    }
    command.env_remove("FLAKE_HERALD_TOKEN");
}

fn wrong_token(scene: &mut Scene) -> Command {
    scene.env.set("FLAKE_HERALD_TOKEN", "t0ken-of-nobody");
    usual(scene)
}

fn expired_token(scene: &mut Scene) -> Command {
    scene.forge.state().tokens[0].expired = true;
    usual(scene)
}

fn no_token(scene: &mut Scene) -> Command {
    scene.env.unset("FLAKE_HERALD_TOKEN");
    usual(scene)
}

fn token_of_two_words(scene: &mut Scene) -> Command {
    scene.env.set("FLAKE_HERALD_TOKEN", "two words");
    usual(scene)
}

fn token_elsewhere(scene: &mut Scene) -> Command {
    let mut command = usual(scene);
    job(scene, &mut command);
    for prefix in ["FORGEJO", "GITHUB"] {
        command.env(format!("{prefix}_SERVER_URL"), "https://forge.example");
        command.env_remove(format!("{prefix}_API_URL"));
    }
    command
}

fn token_file_missing(scene: &mut Scene) -> Command {
    scene.env.unset("FLAKE_HERALD_TOKEN");
    with(scene, &["--token-file", "no-such-file"])
}

fn reader(scene: &mut Scene) -> Command {
    scene.forge.state().tokens[0].read_only = true;
    usual(scene)
}

fn reading_scopes(scene: &mut Scene) -> Command {
    let github = scene.forge.state().dialect == Dialect::Github;
    scopes(
        scene,
        if github {
            &["metadata:read", "pull_requests:write"]
        } else {
            &["read:repository", "write:issue"]
        },
    );
    usual(scene)
}

fn no_pull_requests_at_all(scene: &mut Scene) -> Command {
    scopes(scene, &["metadata:read", "contents:write"]);
    usual(scene)
}

fn pull_requests_only_read(scene: &mut Scene) -> Command {
    scopes(
        scene,
        &["metadata:read", "contents:write", "pull_requests:read"],
    );
    usual(scene)
}

fn automatic_in_private(scene: &mut Scene) -> Command {
    scene.forge.state().repo(SLUG).private = true;
    let mut command = usual(scene);
    job(scene, &mut command);
    command
}

fn actions_may_not(scene: &mut Scene) -> Command {
    scene.forge.state().actions_may_open = false;
    let mut command = usual(scene);
    job(scene, &mut command);
    command
}

const ASKERS: &[Row] = &[
    ("a wrong token", wrong_token),
    ("an expired token", expired_token),
    ("no token", no_token),
    ("a token that no header can carry", token_of_two_words),
    ("the runner's token, for another server", token_elsewhere),
    ("no file for the token", token_file_missing),
    ("an owner who may only read", reader),
    ("scopes that only read", reading_scopes),
];

#[test]
fn who_asks_on_forgejo() {
    let rows = [
        ASKERS,
        &[(
            "the automatic token in a private repository",
            automatic_in_private,
        )],
    ]
    .concat();
    insta::assert_snapshot!(table(Dialect::Forgejo, &rows), @r#"
    # a wrong token
    Error: the forge does not know who is asking (GET /api/v1/repos/alice/fleet: 401, user does not exist [uid: 0, name: ])
    Hint: the token is wrong, has expired or was revoked, or belongs to another server; make a new one
    More: $DOCS/tokens.md#when-it-is-refused

    # an expired token
    Error: the forge does not know who is asking (GET /api/v1/repos/alice/fleet: 401, user does not exist [uid: 0, name: ])
    Hint: the token is wrong, has expired or was revoked, or belongs to another server; make a new one
    More: $DOCS/tokens.md#when-it-is-refused

    # no token
    Error: there is no token for $FORGE
    Hint: give one in FLAKE_HERALD_TOKEN or --token-file FILE; in a workflow: `env: GITHUB_TOKEN: ${{ github.token }}`
    More: $DOCS/tokens.md#when-it-is-refused

    # a token that no header can carry
    Error: `token` from the environment variable FLAKE_HERALD_TOKEN: the value has other characters in it than a token

    # the runner's token, for another server
    Error: there is no token for $FORGE
    Hint: the job's own token is for the runner's own server only: give one in FLAKE_HERALD_TOKEN or --token-file
    More: $DOCS/tokens.md#when-it-is-refused

    # no file for the token
    Error: `token-file` from the flag --token-file: "no-such-file" cannot be read: No such file or directory (os error 2)

    # an owner who may only read
    Error: the token may not push to alice/fleet
    Hint: give it the right to write to the repository: `contents: write` and `pull-requests: write` in a GitHub workflow, write:repository on Forgejo and Gitea
    More: $DOCS/tokens.md#when-it-is-refused

    # scopes that only read
    Error: git cannot push `auto/flake-update` to $FORGE/alice/fleet.git: not allowed: unable to access '$FORGE/alice/fleet.git/': The requested URL returned error: 403
    Hint: the token or key needs write access: GitHub `permissions: contents: write`, Forgejo and Gitea scope `write:repository`
    More: $DOCS/tokens.md#when-it-is-refused

    # the automatic token in a private repository
    Error: the automatic token cannot open a pull request in this repository (GET /api/v1/repos/alice/fleet: 200, it is not public)
    Hint: Forgejo's automatic token cannot open pull requests in private repositories, nor in those of limited organisations: give a token of your own in FLAKE_HERALD_TOKEN or with --token-file, with the scope write:repository (write:issue for notes)
    More: $DOCS/tokens.md#when-it-is-refused
    "#);
}

#[test]
fn who_asks_on_github() {
    let rows = [
        ASKERS,
        &[
            ("no permission for pull requests", no_pull_requests_at_all),
            (
                "permission to read pull requests only",
                pull_requests_only_read,
            ),
            ("GitHub Actions is not permitted", actions_may_not),
        ],
    ]
    .concat();
    insta::assert_snapshot!(table(Dialect::Github, &rows), @r#"
    # a wrong token
    Error: the forge does not know who is asking (GET /api/v3/repos/alice/fleet: 401, Bad credentials)
    Hint: the token is wrong, has expired or was revoked, or belongs to another server; make a new one
    More: $DOCS/tokens.md#when-it-is-refused

    # an expired token
    Error: the forge does not know who is asking (GET /api/v3/repos/alice/fleet: 401, Bad credentials)
    Hint: the token is wrong, has expired or was revoked, or belongs to another server; make a new one
    More: $DOCS/tokens.md#when-it-is-refused

    # no token
    Error: there is no token for $FORGE
    Hint: give one in FLAKE_HERALD_TOKEN or --token-file FILE; in a workflow: `env: GITHUB_TOKEN: ${{ github.token }}`
    More: $DOCS/tokens.md#when-it-is-refused

    # a token that no header can carry
    Error: `token` from the environment variable FLAKE_HERALD_TOKEN: the value has other characters in it than a token

    # the runner's token, for another server
    Error: there is no token for $FORGE
    Hint: the job's own token is for the runner's own server only: give one in FLAKE_HERALD_TOKEN or --token-file
    More: $DOCS/tokens.md#when-it-is-refused

    # no file for the token
    Error: `token-file` from the flag --token-file: "no-such-file" cannot be read: No such file or directory (os error 2)

    # an owner who may only read
    Error: the token may not push to alice/fleet
    Hint: give it the right to write to the repository: `contents: write` and `pull-requests: write` in a GitHub workflow, write:repository on Forgejo and Gitea
    More: $DOCS/tokens.md#when-it-is-refused

    # scopes that only read
    Error: the forge does not allow this (GET /api/v3/repos/alice/fleet/branches/auto/flake-update: 403, Resource not accessible by personal access token)
    Hint: the token needs contents: write
    More: $DOCS/tokens.md#when-it-is-refused

    # no permission for pull requests
    Error: the forge does not allow this (GET /api/v3/repos/alice/fleet/pulls: 403, Resource not accessible by personal access token)
    Hint: the token needs pull-requests: write
    More: $DOCS/tokens.md#when-it-is-refused

    # permission to read pull requests only
    Error: the forge does not allow this (POST /api/v3/repos/alice/fleet/pulls: 403, Resource not accessible by personal access token)
    Hint: the token needs pull-requests: write
    More: $DOCS/tokens.md#when-it-is-refused

    # GitHub Actions is not permitted
    Error: GitHub Actions may not open pull requests here (POST /api/v3/repos/alice/fleet/pulls: 403, GitHub Actions is not permitted to create or approve pull requests.)
    Hint: allow it under Settings → Actions → General → Workflow permissions, "Allow GitHub Actions to create and approve pull requests" (the organisation's settings may have to allow it first); or give a token of your own in FLAKE_HERALD_TOKEN or with --token-file
    More: $DOCS/github.md#what-must-be-allowed
    "#);
}

fn archived(scene: &mut Scene) -> Command {
    scene.forge.state().repo(SLUG).archived = true;
    usual(scene)
}

fn no_access(scene: &mut Scene) -> Command {
    let mut state = scene.forge.state();
    state.repo(SLUG).private = true;
    state.tokens[0].repositories = Some(vec!["alice/other".to_owned()]);
    drop(state);
    usual(scene)
}

fn deleted(scene: &mut Scene) -> Command {
    let command = usual(scene);
    scene.forge.state().repos.clear();
    command
}

fn no_pull_requests(scene: &mut Scene) -> Command {
    scene.forge.state().repo(SLUG).has_pull_requests = false;
    usual(scene)
}

fn branch_protected(scene: &mut Scene) -> Command {
    scene.publish(3).is("created");
    let rule = BRANCH.to_owned();
    scene.forge.state().repo(SLUG).protected.push(rule);
    usual(scene)
}

fn new_branch_protected(scene: &mut Scene) -> Command {
    let rule = BRANCH.to_owned();
    scene.forge.state().repo(SLUG).protected.push(rule);
    usual(scene)
}

/// What stands on the repository itself.
const REPOSITORIES: &[Row] = &[
    ("archived", archived),
    ("private, without access", no_access),
    ("deleted", deleted),
    ("pull requests switched off", no_pull_requests),
    ("our branch is protected", branch_protected),
    (
        "our branch is protected before it is there",
        new_branch_protected,
    ),
];

#[test]
fn repositories_on_forgejo() {
    insta::assert_snapshot!(table(Dialect::Forgejo, REPOSITORIES), @"
    # archived
    Error: alice/fleet is archived, so it takes no pull requests
    Hint: unarchive the repository in its settings, or stop the scheduled job

    # private, without access
    Error: the forge finds no such repository (GET /api/v1/repos/alice/fleet: 404, The target couldn't be found.)
    Hint: check owner and name; a forge says the same of a private repository that the token's owner or the token itself has no access to
    More: $DOCS/tokens.md#when-it-is-refused

    # deleted
    Error: the forge finds no such repository (GET /api/v1/repos/alice/fleet: 404, The target couldn't be found.)
    Hint: check owner and name; a forge says the same of a private repository that the token's owner or the token itself has no access to
    More: $DOCS/tokens.md#when-it-is-refused

    # pull requests switched off
    Error: alice/fleet has pull requests switched off
    Hint: switch them on in the repository's settings

    # our branch is protected
    Error: `auto/flake-update` is a protected branch, so it cannot be the pull request's
    Hint: name another with --branch

    # our branch is protected before it is there
    Error: git cannot push `auto/flake-update` to $FORGE/alice/fleet.git: the branch is protected: Forgejo: Not allowed to push to protected branch auto/flake-update; [remote rejected] (pre-receive hook declined)
    Hint: choose a branch that no rule protects with `--branch`, or let the bot past the rule
    ");
}

#[test]
fn repositories_on_github() {
    insta::assert_snapshot!(table(Dialect::Github, REPOSITORIES), @"
    # archived
    Error: alice/fleet is archived, so it takes no pull requests
    Hint: unarchive the repository in its settings, or stop the scheduled job

    # private, without access
    Error: the forge finds no such repository (GET /api/v3/repos/alice/fleet: 404, Not Found)
    Hint: check owner and name; a forge says the same of a private repository that the token's owner or the token itself has no access to
    More: $DOCS/tokens.md#when-it-is-refused

    # deleted
    Error: the forge finds no such repository (GET /api/v3/repos/alice/fleet: 404, Not Found)
    Hint: check owner and name; a forge says the same of a private repository that the token's owner or the token itself has no access to
    More: $DOCS/tokens.md#when-it-is-refused

    # pull requests switched off
    Error: alice/fleet has pull requests switched off
    Hint: switch them on in the repository's settings

    # our branch is protected
    Error: `auto/flake-update` is a protected branch, so it cannot be the pull request's
    Hint: name another with --branch

    # our branch is protected before it is there
    Error: git cannot push `auto/flake-update` to $FORGE/alice/fleet.git: the branch is protected: GH006: Protected branch update failed for refs/heads/auto/flake-update.; - Changes must be made through a pull request.; [remote rejected] (pre-receive hook declined)
    Hint: choose a branch that no rule protects with `--branch`, or let the bot past the rule
    ");
}

fn base_missing(scene: &mut Scene) -> Command {
    with(scene, &["--base", "release"])
}

fn branch_is_base(scene: &mut Scene) -> Command {
    with(scene, &["--branch", "main"])
}

fn branch_is_default(scene: &mut Scene) -> Command {
    scene.git(&["push", "-q", &scene.bare.display().to_string(), "HEAD:dev"]);
    with(scene, &["--base", "dev", "--branch", "main"])
}

fn branch_is_no_name(scene: &mut Scene) -> Command {
    with(scene, &["--branch", "a..b"])
}

fn no_remotes(scene: &mut Scene) -> Command {
    scene.git(&["remote", "remove", "origin"]);
    usual(scene)
}

fn no_origin(scene: &mut Scene) -> Command {
    scene.git(&["remote", "rename", "origin", "one"]);
    scene.git(&["remote", "add", "two", "https://forge.example/a/b"]);
    usual(scene)
}

fn unknown_remote(scene: &mut Scene) -> Command {
    with(scene, &["--remote", "upstream"])
}

fn remote_is_a_directory(scene: &mut Scene) -> Command {
    let bare = scene.bare.display().to_string();
    scene.git(&["remote", "set-url", "origin", &bare]);
    usual(scene)
}

fn detached(scene: &mut Scene) -> Command {
    scene.git(&["checkout", "-q", "--detach"]);
    usual(scene)
}

fn head_not_in_base(scene: &mut Scene) -> Command {
    scene.git(&["commit", "-q", "--allow-empty", "-m", "mine"]);
    usual(scene)
}

fn dirty(scene: &mut Scene) -> Command {
    fs::write(scene.checkout.join("flake.nix"), "{ }\n").unwrap();
    usual(scene)
}

fn many_dirty(scene: &mut Scene) -> Command {
    for name in ["a", "b", "c", "d", "e"] {
        fs::write(scene.checkout.join(name), "").unwrap();
    }
    scene.git(&["add", "-A"]);
    usual(scene)
}

fn no_commit(scene: &mut Scene) -> Command {
    let command = usual(scene);
    scene.git(&["checkout", "-q", "--orphan", "new"]);
    command
}

fn no_checkout(scene: &mut Scene) -> Command {
    let command = usual(scene);
    fs::rename(
        scene.checkout.join(".git"),
        scene.env.dir().join("elsewhere"),
    )
    .unwrap();
    command
}

fn sha256(scene: &mut Scene) -> Command {
    let command = usual(scene);
    fs::remove_dir_all(scene.checkout.join(".git")).unwrap();
    scene.git(&["init", "-q", "--object-format=sha256", "-b", "main"]);
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "-q", "-m", "all"]);
    let url = format!("{}/{SLUG}.git", scene.forge.server_url());
    scene.git(&["remote", "add", "origin", &url]);
    command
}

/// The server's own history ends before it reaches the checkout's commit, so no fetch can bring it.
fn too_shallow(scene: &mut Scene) -> Command {
    let old = scene.git(&["rev-parse", "HEAD"]);
    scene.land("README", b"none\n");
    scene.land("README", b"one\n");
    let end = scene.git(&["rev-parse", "HEAD"]);
    scene.land("README", b"two\n");
    fs::write(scene.bare.join("shallow"), format!("{end}\n")).unwrap();
    fs::remove_dir_all(&scene.checkout).unwrap();
    // Only the commit itself, as a job of yesterday left it.
    scene.git_in_dir(&["init", "-q", "-b", "main", "checkout"]);
    let bare = format!("file://{}", scene.bare.display());
    fs::remove_file(scene.bare.join("shallow")).unwrap();
    scene.bare_git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    scene.git(&["fetch", "-q", "--depth=1", &bare, &old]);
    fs::write(scene.bare.join("shallow"), format!("{end}\n")).unwrap();
    scene.git(&["reset", "-q", "--hard", &old]);
    let url = format!("{}/{SLUG}.git", scene.forge.server_url());
    scene.git(&["remote", "add", "origin", &url]);
    usual(scene)
}

const CHECKOUTS: &[Row] = &[
    ("the base is missing", base_missing),
    ("the branch is the base", branch_is_base),
    ("the branch is the default branch", branch_is_default),
    ("the branch is no name", branch_is_no_name),
    ("no remote", no_remotes),
    ("two remotes, none of them origin", no_origin),
    ("an unknown remote", unknown_remote),
    ("a remote without a server", remote_is_a_directory),
    ("a detached head", detached),
    ("a commit that the base does not have", head_not_in_base),
    ("a changed file", dirty),
    ("many changed files", many_dirty),
    ("no commit yet", no_commit),
    ("no checkout", no_checkout),
    ("a repository of SHA-256", sha256),
    ("a shallow clone that no fetch mends", too_shallow),
];

#[test]
fn checkouts() {
    insta::assert_snapshot!(table(Dialect::Forgejo, CHECKOUTS), @"
    # the base is missing
    Error: $FORGE/alice/fleet.git has no branch `release` to open a pull request against
    Hint: push it first, or name another with --base

    # the branch is the base
    Error: `main` is the base branch, so it cannot be the pull request's
    Hint: name another with --branch

    # the branch is the default branch
    Error: `main` is the default branch, so it cannot be the pull request's
    Hint: name another with --branch

    # the branch is no name
    Error: `branch`: `a..b` is no branch: `..` and `@{` are not allowed

    # no remote
    Error: there is no remote `origin`
    Hint: name the one to push to with --remote NAME, or add it with `git remote add origin URL`

    # two remotes, none of them origin
    Error: there is no remote `origin`, but there are `one`, `two`
    Hint: name the one to push to with --remote NAME, or add it with `git remote add origin URL`

    # an unknown remote
    Error: there is no remote `upstream`, but there is `origin`
    Hint: name the one to push to with --remote NAME, or add it with `git remote add origin URL`

    # a remote without a server
    Error: the forge's address is not known: the remote is $D/forge/alice/fleet.git
    Hint: say it with --server-url https://forge.example and --repository OWNER/NAME

    # a detached head
    Error: the base branch is not known: the checkout is not on a branch
    Hint: name the branch that pull requests go to with --base BRANCH

    # a commit that the base does not have
    Error: the checkout's commit 11aa6ba is not on `main`
    Hint: push it first, check out the base, or name another base with --base

    # a changed file
    Error: publishing needs a clean checkout, and `flake.nix` is not committed
    Hint: commit it or stash it; `flake-herald report` shows what would change all the same

    # many changed files
    Error: publishing needs a clean checkout, and `a`, `b`, `c` and 2 more are not committed
    Hint: commit it or stash it; `flake-herald report` shows what would change all the same

    # no commit yet
    Error: publishing needs a commit, and the checkout has none yet
    Hint: commit the flake and push it first

    # no checkout
    Error: publishing needs a git checkout, and $D/checkout is in none
    Hint: `flake-herald report` works without git

    # a repository of SHA-256
    Error: $D/checkout names its objects by SHA-256, which is not supported
    Hint: only repositories that name their objects by SHA-1 can be worked with

    # a shallow clone that no fetch mends
    Error: the shallow clone does not reach far enough back to tell whether 3d21a1c is on `main`
    Hint: check out the base's tip, or more of its history (`fetch-depth: 0`)
    ");
}

fn html(scene: &mut Scene) -> Command {
    let page = "<!DOCTYPE html>\n<html><head><title>Sign in\n to Example</title></head></html>\n";
    scene.forge.fault(Fault {
        times: 100,
        ..Fault::next(
            "GET",
            "/repos/alice/fleet",
            Trouble::Answer(Answer::text(200, page).typed("text/html; charset=utf-8")),
        )
    });
    usual(scene)
}

fn always(method: &'static str, target: &str, answer: Answer) -> Fault {
    Fault {
        times: 100,
        ..Fault::next(method, target, Trouble::Answer(answer))
    }
}

fn out_of_order(scene: &mut Scene) -> Command {
    scene
        .forge
        .fault(always("GET", "/repos/alice/fleet", bad_gateway()));
    usual(scene)
}

fn out_of_order_silently(scene: &mut Scene) -> Command {
    let answer = Answer::json(500, &json!({"message": "", "url": "https://x/api/swagger"}));
    scene
        .forge
        .fault(always("GET", "/repos/alice/fleet/pulls", answer));
    usual(scene)
}

fn git_out_of_order(scene: &mut Scene) -> Command {
    scene.forge.fault(always("GET", "info/refs", bad_gateway()));
    usual(scene)
}

fn push_out_of_order(scene: &mut Scene) -> Command {
    scene
        .forge
        .fault(always("POST", "git-receive-pack", bad_gateway()));
    usual(scene)
}

fn too_many_requests(scene: &mut Scene) -> Command {
    let answer = too_many("3600").with("Date", "Sat, 01 Jun 2024 02:00:00 GMT");
    scene
        .forge
        .fault(always("GET", "/repos/alice/fleet", answer));
    usual(scene)
}

fn too_many_pushes(scene: &mut Scene) -> Command {
    scene
        .forge
        .fault(always("GET", "git-receive-pack", too_many("3600")));
    usual(scene)
}

fn no_tls(scene: &mut Scene) -> Command {
    let server = scene.forge.server_url().replace("http:", "https:");
    with(
        scene,
        &[
            "--server-url",
            &server,
            "--repository",
            SLUG,
            "--forge",
            "forgejo",
        ],
    )
}

fn no_tls_for_git(scene: &mut Scene) -> Command {
    let server = scene.forge.server_url();
    let url = format!("{}/{SLUG}.git", server.replace("http:", "https:"));
    scene.git(&["remote", "set-url", "origin", &url]);
    with(scene, &["--server-url", &server, "--repository", SLUG])
}

fn nobody_there(scene: &mut Scene) -> Command {
    scene.git(&[
        "remote",
        "set-url",
        "origin",
        "http://127.0.0.1:1/alice/fleet.git",
    ]);
    usual(scene)
}

fn no_such_host(scene: &mut Scene) -> Command {
    let url = "http://forge.invalid/alice/fleet.git";
    scene.git(&["remote", "set-url", "origin", url]);
    usual(scene)
}

fn dead_proxy(scene: &mut Scene) -> Command {
    scene.env.set("HTTP_PROXY", "http://127.0.0.1:1");
    scene.env.set("http_proxy", "http://127.0.0.1:1");
    usual(scene)
}

fn dead_https_proxy(scene: &mut Scene) -> Command {
    scene.env.set("HTTPS_PROXY", "http://u:secret@127.0.0.1:1");
    let url = "https://forge.example/alice/fleet.git";
    scene.git(&["remote", "set-url", "origin", url]);
    usual(scene)
}

fn unknown_forge(scene: &mut Scene) -> Command {
    let page = Answer::text(404, "<html><title>Not here</title></html>").typed("text/html");
    scene.forge.fault(always("GET", "/api/", page));
    usual(scene)
}

fn redirected_elsewhere(scene: &mut Scene) -> Command {
    let answer = Answer::empty(302).with("Location", "https://login.example/?next=/api");
    scene
        .forge
        .fault(always("GET", "/repos/alice/fleet", answer));
    usual(scene)
}

const WIRES: &[Row] = &[
    ("HTML instead of JSON", html),
    ("a redirect to another server", redirected_elsewhere),
    ("the forge is out of order", out_of_order),
    (
        "the forge is out of order and has no words",
        out_of_order_silently,
    ),
    ("git is out of order", git_out_of_order),
    ("the push is out of order", push_out_of_order),
    ("too many requests", too_many_requests),
    ("too many pushes", too_many_pushes),
    ("no TLS", no_tls),
    ("nobody is there", nobody_there),
    ("a dead proxy", dead_proxy),
    ("a dead proxy for HTTPS", dead_https_proxy),
    ("an unknown forge", unknown_forge),
];

#[test]
fn wires_to_forgejo() {
    insta::assert_snapshot!(table(Dialect::Forgejo, WIRES), @"
    # HTML instead of JSON
    Error: the answer is no JSON but text/html (GET /api/v1/repos/alice/fleet: 200, Sign in to Example)
    Hint: is the address that of the API? A proxy, a login page or a bot check may stand in front of it

    # a redirect to another server
    Error: GET /api/v1/repos/alice/fleet is redirected from $FORGE to https://login.example
    Hint: a token is sent to its own server only; if https://login.example is the right one, name it

    # the forge is out of order
    Error: the forge is out of order (GET /api/v1/repos/alice/fleet: 502, 502 Bad Gateway)
    Hint: run again later

    # the forge is out of order and has no words
    Error: the forge is out of order (GET /api/v1/repos/alice/fleet/pulls: 500)
    Hint: run again later

    # git is out of order
    Error: git cannot read the branches of $FORGE/alice/fleet.git: the server is out of order: unable to access '$FORGE/alice/fleet.git/': The requested URL returned error: 502
    Hint: run again later

    # the push is out of order
    Error: git cannot push `auto/flake-update` to $FORGE/alice/fleet.git: the server is out of order: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502; send-pack: unexpected disconnect while reading sideband packet; the remote end hung up unexpectedly
    Hint: run again later

    # too many requests
    Error: the forge's limit of requests is used up until 2024-06-01T03:00:00Z (GET /api/v1/repos/alice/fleet: 429, Too Many Requests)
    Hint: run again later

    # too many pushes
    Error: git cannot push `auto/flake-update` to $FORGE/alice/fleet.git: the server's limit of requests is used up: unable to access '$FORGE/alice/fleet.git/': The requested URL returned error: 429
    Hint: run again later

    # no TLS
    Error: no secure connection to https://$HOST: tls handshake eof
    Hint: is the certificate good and its issuer known here (package ca-certificates, or SSL_CERT_FILE)? Does the port speak TLS?

    # nobody is there
    Error: no connection to http://127.0.0.1:1: Connection refused (os error 111)
    Hint: check the address, and the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the one that is asked instead, NO_PROXY the hosts that it is not for

    # a dead proxy
    Error: no connection to $FORGE: Connection refused (os error 111)
    Hint: check the address, and the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the one that is asked instead, NO_PROXY the hosts that it is not for

    # a dead proxy for HTTPS
    Error: no connection to https://forge.example: Connection refused (os error 111)
    Hint: check the address, and the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the one that is asked instead, NO_PROXY the hosts that it is not for

    # an unknown forge
    Error: $FORGE is neither Forgejo, Gitea nor GitHub as far as it says
    Hint: say what it is with --forge forgejo, --forge gitea or --forge github, and where with --server-url
    ");
}

#[test]
fn wires_to_github() {
    insta::assert_snapshot!(table(Dialect::Github, WIRES), @"
    # HTML instead of JSON
    Error: the answer is no JSON but text/html (GET /api/v3/repos/alice/fleet: 200, Sign in to Example)
    Hint: is the address that of the API? A proxy, a login page or a bot check may stand in front of it

    # a redirect to another server
    Error: GET /api/v3/repos/alice/fleet is redirected from $FORGE to https://login.example
    Hint: a token is sent to its own server only; if https://login.example is the right one, name it

    # the forge is out of order
    Error: the forge is out of order (GET /api/v3/repos/alice/fleet: 502, 502 Bad Gateway)
    Hint: run again later

    # the forge is out of order and has no words
    Error: the forge is out of order (GET /api/v3/repos/alice/fleet/pulls: 500)
    Hint: run again later

    # git is out of order
    Error: git cannot read the branches of $FORGE/alice/fleet.git: the server is out of order: unable to access '$FORGE/alice/fleet.git/': The requested URL returned error: 502
    Hint: run again later

    # the push is out of order
    Error: git cannot push `auto/flake-update` to $FORGE/alice/fleet.git: the server is out of order: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502; send-pack: unexpected disconnect while reading sideband packet; the remote end hung up unexpectedly
    Hint: run again later

    # too many requests
    Error: the forge's limit of requests is used up until 2024-06-01T03:00:00Z (GET /api/v3/repos/alice/fleet: 429, Too Many Requests)
    Hint: run again later

    # too many pushes
    Error: git cannot push `auto/flake-update` to $FORGE/alice/fleet.git: the server's limit of requests is used up: unable to access '$FORGE/alice/fleet.git/': The requested URL returned error: 429
    Hint: run again later

    # no TLS
    Error: no secure connection to https://$HOST: tls handshake eof
    Hint: is the certificate good and its issuer known here (package ca-certificates, or SSL_CERT_FILE)? Does the port speak TLS?

    # nobody is there
    Error: no connection to http://127.0.0.1:1: Connection refused (os error 111)
    Hint: check the address, and the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the one that is asked instead, NO_PROXY the hosts that it is not for

    # a dead proxy
    Error: no connection to $FORGE: Connection refused (os error 111)
    Hint: check the address, and the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the one that is asked instead, NO_PROXY the hosts that it is not for

    # a dead proxy for HTTPS
    Error: no connection to https://forge.example: Connection refused (os error 111)
    Hint: check the address, and the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the one that is asked instead, NO_PROXY the hosts that it is not for

    # an unknown forge
    Error: $FORGE is neither Forgejo, Gitea nor GitHub as far as it says
    Hint: say what it is with --forge forgejo, --forge gitea or --forge github, and where with --server-url
    ");
}

/// What words are used depends on the resolver and on git's TLS library.
#[test]
fn wires_that_libraries_speak_of() {
    let rows: [(Row, &str); 2] = [
        (
            (
                "Error: no connection to http://forge.invalid: ",
                no_such_host,
            ),
            "\nHint: check the address, and the proxy",
        ),
        (
            (
                ": no TLS connection comes about: unable to access 'https://$HOST/alice/fleet.git/': ",
                no_tls_for_git,
            ),
            "\nHint: does the port speak TLS",
        ),
    ];
    for ((error, row), hint) in rows {
        let mut scene = Scene::new(Dialect::Forgejo, Transport::Http);
        let mut command = row(&mut scene);
        let said = refused(&scene, &mut command);
        assert!(said.contains(error) && said.contains(hint), "{said}");
    }
}

/// What is refused before a single request is made.
fn early(rows: &[(&str, &[&str])]) -> String {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let mut text = String::new();
    for (name, args) in rows {
        scene.forge.forget();
        let said = refused(&scene, &mut with(&scene, args));
        assert_eq!(scene.forge.requests().len(), 0, "{name}");
        writeln!(text, "# {name}\n{said}").unwrap();
    }
    text
}

#[test]
fn templates_are_looked_at_first() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let file = scene.env.write("body", "one\n{% for %}\n");
    let file = file.display().to_string();
    insta::assert_snapshot!(early(&[
        ("syntax in the title", &["--title", "update {{ outcome"]),
        ("an unknown key in the title", &["--title", "{{ hsots }}"]),
        ("an unknown filter", &["--title", "{{ outcome | shout }}"]),
        ("the body in the title", &["--title", "{{ body }}"]),
        ("an unknown key in the message", &["--commit-message", "x\n\n{{ hosst[0].name }}"]),
        ("no such file", &["--body-template", "/no/such/file"]),
        ("the body's file", &["--body-template", &file]),
    ]), @"
    # syntax in the title
    Error: the template of the title, line 1: syntax error: unexpected end of input, expected end of variable block
    More: $DOCS/templates.md

    # an unknown key in the title
    Error: the template of the title: there is no `hsots`
    Hint: a template knows schema, tool, nix, flake, scope, lock, outcome, built, excluded, inputs, hosts, fleet, lock_notes, lock_notes_left_out, warnings, digest, timing, pull_request, plan, summary, and that of the body `body`
    More: $DOCS/templates.md

    # an unknown filter
    Error: the template of the title, line 1: unknown filter: filter shout is unknown
    Hint: `safe`, `escape` and `format` are left out on purpose: each value is a code span, `| fence` makes it a fenced block
    More: $DOCS/templates.md

    # the body in the title
    Error: the template of the title: there is no `body`
    Hint: a template knows schema, tool, nix, flake, scope, lock, outcome, built, excluded, inputs, hosts, fleet, lock_notes, lock_notes_left_out, warnings, digest, timing, pull_request, plan, summary, and that of the body `body`
    More: $DOCS/templates.md

    # an unknown key in the message
    Error: the template of the commit message: there is no `hosst`
    Hint: a template knows schema, tool, nix, flake, scope, lock, outcome, built, excluded, inputs, hosts, fleet, lock_notes, lock_notes_left_out, warnings, digest, timing, pull_request, plan, summary, and that of the body `body`
    More: $DOCS/templates.md

    # no such file
    Error: cannot use /no/such/file: No such file or directory (os error 2)

    # the body's file
    Error: the template of the body, line 2: syntax error: unexpected end of block, expected in
    More: $DOCS/templates.md
    ");
}

fn empty_title(scene: &mut Scene) -> Command {
    with(scene, &["--title", "{# nothing #}"])
}

fn unknown_key_of_a_host(scene: &mut Scene) -> Command {
    with(scene, &["--title", "{{ hosts[0].nmae }}"])
}

fn unknown_key_in_the_body(scene: &mut Scene) -> Command {
    let file = scene.env.write("body", "# All\n\n{{ fleet.hots }}\n");
    with(scene, &["--body-template", &file.display().to_string()])
}

fn unknown_key_in_the_body_of_an_edit(scene: &mut Scene) -> Command {
    scene.publish(3).is("created");
    unknown_key_in_the_body(scene)
}

/// What only a report shows comes up before anything is pushed.
const TEMPLATES: &[Row] = &[
    ("an empty title", empty_title),
    ("an unknown key of a host", unknown_key_of_a_host),
    ("an unknown key in the body", unknown_key_in_the_body),
    (
        "an unknown key in the body of an edit",
        unknown_key_in_the_body_of_an_edit,
    ),
];

#[test]
fn templates_leave_nothing_half_done() {
    insta::assert_snapshot!(table(Dialect::Forgejo, TEMPLATES), @"
    # an empty title
    Error: the template of the title gives an empty text
    Hint: give it some text outside of conditions
    More: $DOCS/templates.md

    # an unknown key of a host
    Error: the template of the title, line 1: undefined value
    Hint: a template knows schema, tool, nix, flake, scope, lock, outcome, built, excluded, inputs, hosts, fleet, lock_notes, lock_notes_left_out, warnings, digest, timing, pull_request, plan, summary, and that of the body `body`
    More: $DOCS/templates.md

    # an unknown key in the body
    Error: the template of the body, line 3: undefined value
    Hint: a template knows schema, tool, nix, flake, scope, lock, outcome, built, excluded, inputs, hosts, fleet, lock_notes, lock_notes_left_out, warnings, digest, timing, pull_request, plan, summary, and that of the body `body`
    More: $DOCS/templates.md

    # an unknown key in the body of an edit
    Error: the template of the body, line 3: undefined value
    Hint: a template knows schema, tool, nix, flake, scope, lock, outcome, built, excluded, inputs, hosts, fleet, lock_notes, lock_notes_left_out, warnings, digest, timing, pull_request, plan, summary, and that of the body `body`
    More: $DOCS/templates.md
    ");
}

#[test]
fn a_pull_requests_job_publishes_nothing() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let event = |command: &mut Command| {
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_EVENT_NAME", "pull_request_target")
            .env("GITHUB_BASE_REF", "main");
    };
    let mut publish = usual(&scene);
    event(&mut publish);
    insta::assert_snapshot!(refused(&scene, &mut publish), @"
    Error: a job of a pull request (event `pull_request_target`) publishes nothing
    Hint: its files and its lock are its author's; `report`, or `run --dry-run`, works there
    ");
    let mut run = scene.env.binary();
    run.arg("run").current_dir(&scene.checkout);
    event(&mut run);
    insta::assert_snapshot!(refused(&scene, &mut run), @"
    Error: a job of a pull request (event `pull_request_target`) publishes nothing
    Hint: its files and its lock are its author's; `report`, or `run --dry-run`, works there
    ");
    // There is no such program: it gets as far as Nix.
    let mut dry = scene.env.binary();
    dry.args(["run", "--dry-run"])
        .env("PATH", scene.env.dir())
        .current_dir(&scene.checkout);
    event(&mut dry);
    let out = scene.env.output(&mut dry);
    assert!(!out.stderr.contains("publishes nothing"), "{out}");
    assert!(out.stderr.contains("nix"), "{out}");
    assert_eq!(scene.forge.requests().len(), 0);
}

/// What looks odd and is all right.
type Fine = (&'static str, fn(&mut Scene));

fn renamed(scene: &mut Scene) {
    scene.forge.state().rename(SLUG, "alice/herd");
    scene.bare = scene.forge.state().repo("alice/herd").path.clone();
    fine(scene, &mut usual(scene));
    assert_eq!(scene.forge.state().open_pulls("alice/herd").len(), 1);
    // And again: what is there is found under the new name.
    let done = Scene::finished(scene.env.output(&mut usual(scene)));
    done.is("unchanged");
}

fn owner_renamed(scene: &mut Scene) {
    scene.forge.state().rename(SLUG, "bob/fleet");
    scene.bare = scene.forge.state().repo("bob/fleet").path.clone();
    fine(scene, &mut usual(scene));
    assert_eq!(scene.forge.state().open_pulls("bob/fleet").len(), 1);
}

fn fork(scene: &mut Scene) {
    scene.forge.state().repo(SLUG).fork = true;
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn base_protected(scene: &mut Scene) {
    let rule = "main".to_owned();
    scene.forge.state().repo(SLUG).protected.push(rule);
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn one_other_remote(scene: &mut Scene) {
    scene.git(&["remote", "rename", "origin", "forge"]);
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn detached_with_a_base(scene: &mut Scene) {
    scene.git(&["checkout", "-q", "--detach"]);
    fine(scene, &mut with(scene, &["--base", "main"]));
    scene.is_published(BRANCH, 2);
}

fn untracked_and_lock(scene: &mut Scene) {
    let report = scene.report(2);
    fs::write(scene.checkout.join("notes"), "mine").unwrap();
    fs::write(scene.checkout.join("flake.lock"), lock(7)).unwrap();
    fine(scene, &mut scene.command(&report, 2, &[]));
    scene.is_published(BRANCH, 2);
    assert_eq!(
        scene.git(&["status", "--porcelain"]),
        " M flake.lock\n?? notes"
    );
}

fn shallow(scene: &mut Scene) {
    scene.land("README", b"one\n");
    scene.land("README", b"two\n");
    shallow_clone(scene);
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn shallow_and_behind(scene: &mut Scene) {
    scene.land("README", b"one\n");
    shallow_clone(scene);
    let theirs: &[u8] = b"two\n";
    for name in ["a", "b"] {
        scene
            .forge
            .state()
            .commit_on_branch(SLUG, "main", None, &[(name, Some(theirs))], name);
    }
    fine(scene, &mut usual(scene));
    assert_eq!(scene.lock_on(BRANCH), 2);
}

fn shallow_clone(scene: &Scene) {
    fs::remove_dir_all(&scene.checkout).unwrap();
    let bare = format!("file://{}", scene.bare.display());
    scene.git_in_dir(&["clone", "-q", "--depth=1", &bare, "checkout"]);
    let url = format!("{}/{SLUG}.git", scene.forge.server_url());
    scene.git(&["remote", "set-url", "origin", &url]);
    assert!(scene.checkout.join(".git/shallow").exists());
}

fn out_of_order_once(scene: &mut Scene) {
    for (method, target) in [
        ("GET", "/repos/alice/fleet"),
        ("GET", "/pulls"),
        ("POST", "/pulls"),
    ] {
        scene
            .forge
            .fault(Fault::next(method, target, Trouble::Answer(bad_gateway())));
    }
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn too_many_for_a_second(scene: &mut Scene) {
    for (method, target) in [("GET", "/pulls"), ("POST", "/pulls")] {
        scene
            .forge
            .fault(Fault::next(method, target, Trouble::Answer(too_many("1"))));
    }
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn answer_lost_but_done(scene: &mut Scene) {
    scene
        .forge
        .fault(Fault::next("POST", "/pulls", Trouble::DoThenClose));
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn answer_lost_and_not_done(scene: &mut Scene) {
    scene
        .forge
        .fault(Fault::next("POST", "/pulls", Trouble::Close));
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

fn no_proxy(scene: &mut Scene) {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        scene.env.set(name, "http://127.0.0.1:1");
    }
    scene.env.set("NO_PROXY", "localhost,127.0.0.1");
    fine(scene, &mut usual(scene));
    scene.is_published(BRANCH, 2);
}

#[track_caller]
fn fine(scene: &Scene, command: &mut Command) {
    let status = scene.git(&["status", "--porcelain"]);
    let done = Scene::finished(scene.env.output(command)).is("created");
    assert_eq!(done.code, Some(0), "{}", done.output);
    assert_eq!(scene.git(&["status", "--porcelain"]), status);
}

const FINE: &[Fine] = &[
    ("a renamed repository", renamed),
    ("a renamed owner", owner_renamed),
    ("a fork", fork),
    ("a protected base", base_protected),
    ("one remote that is not called origin", one_other_remote),
    ("a detached head and a base", detached_with_a_base),
    ("an untracked file and a changed lock", untracked_and_lock),
    ("a shallow clone", shallow),
    ("a shallow clone behind the base", shallow_and_behind),
    ("out of order once", out_of_order_once),
    ("too many for a second", too_many_for_a_second),
    ("a lost answer to what was done", answer_lost_but_done),
    (
        "a lost answer to what was not done",
        answer_lost_and_not_done,
    ),
    ("a proxy, and not for us", no_proxy),
];

fn all_fine(dialect: Dialect) {
    let mut failed = Vec::new();
    for (name, row) in FINE {
        let run = || {
            let mut scene = Scene::new(dialect, Transport::Http);
            row(&mut scene);
            assert_eq!(scene.forge.violations(), Vec::<String>::new());
        };
        if std::panic::catch_unwind(run).is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "on {dialect:?}: {failed:?}");
}

#[test]
fn what_only_looks_odd_on_forgejo() {
    all_fine(Dialect::Forgejo);
}

#[test]
fn what_only_looks_odd_on_github() {
    all_fine(Dialect::Github);
}

/// Publishes a report that somebody changed on its way.
fn forged(scene: &Scene, forge: impl FnOnce(&mut Report)) -> Command {
    let mut report = scene.report(2);
    forge(&mut report);
    report.seal();
    scene.command(&report, 2, &[])
}

/// Publishes whatever is in these files.
fn files(scene: &Scene, reports: &[(&str, Vec<u8>)], lock: &[u8]) -> Command {
    for (name, bytes) in reports {
        let _path = scene.env.write(Path::new("in").join(name), bytes);
    }
    let lock = scene.env.write("new.lock", lock);
    let mut command = scene.env.binary();
    command
        .current_dir(&scene.checkout)
        .args(["publish", "../in", "--lock"])
        .arg(lock);
    command
}

fn bytes(report: &Report) -> Vec<u8> {
    to_json(report).into_bytes()
}

fn forged_lock_hash(scene: &mut Scene) -> Command {
    forged(scene, |report| report.lock.after_hash = "0".repeat(64))
}

fn forged_base_hash(scene: &mut Scene) -> Command {
    forged(scene, |report| {
        report.lock.before_hash = Some("0".repeat(64));
    })
}

fn other_commit(scene: &mut Scene) -> Command {
    forged(scene, |report| report.flake.rev = Some("0".repeat(40)))
}

fn no_reported_commit(scene: &mut Scene) -> Command {
    forged(scene, |report| report.flake.rev = None)
}

fn other_directory(scene: &mut Scene) -> Command {
    forged(scene, |report| {
        report.flake.dir = "hosts".to_owned();
        report.scope.dir = "hosts".to_owned();
        report.scope = report.scope.clone().identified();
    })
}

fn forged_inputs(scene: &mut Scene) -> Command {
    forged(scene, |report| {
        let after = report.inputs[0].after.as_mut().unwrap();
        after.url = Some("github:NixOS/nixpkgs/harmless".to_owned());
    })
}

fn forged_scope(scene: &mut Scene) -> Command {
    forged(scene, |report| report.scope.hosts.push("nas".to_owned()))
}

/// A lock whose report fits it, and which no update gives.
fn doctored(scene: &Scene, change: impl FnOnce(&mut Value)) -> Command {
    let mut doctored: Value = serde_json::from_slice(&lock(2)).unwrap();
    change(&mut doctored["nodes"]["nixpkgs"]);
    let doctored = format!("{doctored:#}\n").into_bytes();
    let mut report = scene.report(2);
    report.lock.after_hash = flake_herald::report::LockInfo::hash(&doctored);
    report.seal();
    files(scene, &[("report.json", bytes(&report))], &doctored)
}

fn locked_elsewhere(scene: &mut Scene) -> Command {
    doctored(scene, |node| node["locked"]["owner"] = json!("mallory"))
}

fn asked_elsewhere(scene: &mut Scene) -> Command {
    doctored(scene, |node| {
        node["locked"]["owner"] = json!("mallory");
        node["original"]["owner"] = json!("mallory");
    })
}

fn lock_is_no_json(scene: &mut Scene) -> Command {
    let text = b"<<<<<<< ours\n{}\n";
    let mut report = scene.report(2);
    report.lock.after_hash = flake_herald::report::LockInfo::hash(text);
    report.seal();
    files(scene, &[("report.json", bytes(&report))], text)
}

fn no_lock(scene: &mut Scene) -> Command {
    let mut command = files(scene, &[("report.json", bytes(&scene.report(2)))], b"");
    fs::remove_file(scene.env.dir().join("new.lock")).unwrap();
    command.arg("-q");
    command
}

/// A report of a matrix: its plan has two hosts.
fn of_a_matrix(scene: &Scene, host: &str) -> Report {
    let mut report = scene.report(2);
    report.plan = Some(Planned {
        hosts: ["nas", "webserver"]
            .map(|name| PlannedHost {
                kind: Kind::Nixos,
                name: name.to_owned(),
            })
            .to_vec(),
    });
    report.hosts[0].attr = report.hosts[0].attr.replace("webserver", host);
    report.hosts[0].name = host.to_owned();
    report.seal();
    report
}

fn missing_host(scene: &mut Scene) -> Command {
    let report = of_a_matrix(scene, "webserver");
    files(scene, &[("1/report.json", bytes(&report))], &lock(2))
}

fn host_twice(scene: &mut Scene) -> Command {
    let report = bytes(&of_a_matrix(scene, "webserver"));
    files(
        scene,
        &[("1/report.json", report.clone()), ("2/report.json", report)],
        &lock(2),
    )
}

fn two_scopes(scene: &mut Scene) -> Command {
    let one = of_a_matrix(scene, "webserver");
    let mut two = of_a_matrix(scene, "nas");
    two.scope.inputs.push("nixpkgs".to_owned());
    two.scope = two.scope.identified();
    two.seal();
    files(
        scene,
        &[
            ("1/report.json", bytes(&one)),
            ("2/report.json", bytes(&two)),
        ],
        &lock(2),
    )
}

fn truncated(scene: &mut Scene) -> Command {
    let mut report = bytes(&scene.report(2));
    report.truncate(report.len() / 2);
    files(scene, &[("report.json", report)], &lock(2))
}

fn of_another_kind(scene: &mut Scene) -> Command {
    files(scene, &[("report.json", b"[1, 2]".to_vec())], &lock(2))
}

fn of_another_schema(scene: &mut Scene) -> Command {
    let text = to_json(&scene.report(2)).replacen("\"schema\":1", "\"schema\":99", 1);
    let text = text.replacen("\"schema\": 1", "\"schema\": 99", 1);
    files(scene, &[("report.json", text.into_bytes())], &lock(2))
}

fn huge(scene: &mut Scene) -> Command {
    files(
        scene,
        &[("report.json", vec![b' '; MAX_BYTES + 100])],
        &lock(2),
    )
}

fn no_reports(scene: &mut Scene) -> Command {
    files(scene, &[("result.json", bytes(&scene.report(2)))], &lock(2))
}

fn no_such_report(scene: &mut Scene) -> Command {
    let mut command = scene.env.binary();
    command.current_dir(&scene.checkout).args([
        "publish",
        "no/report.json",
        "--lock",
        "flake.lock",
    ]);
    command
}

const REPORTS: &[Row] = &[
    ("another lock than the reported one", forged_lock_hash),
    ("another base than the reported one", forged_base_hash),
    ("another commit", other_commit),
    ("no commit", no_reported_commit),
    ("another directory", other_directory),
    ("forged inputs", forged_inputs),
    ("a forged scope", forged_scope),
    ("an input locked to what nobody asked for", locked_elsewhere),
    ("an input asked for by nobody", asked_elsewhere),
    ("a lock that is no JSON", lock_is_no_json),
    ("no lock", no_lock),
    ("a host of the plan is missing", missing_host),
    ("a host twice", host_twice),
    ("two scopes", two_scopes),
    ("a truncated report", truncated),
    ("no report but JSON", of_another_kind),
    ("a report of another version", of_another_schema),
    ("a huge file", huge),
    ("a directory without reports", no_reports),
    ("no such file", no_such_report),
];

#[test]
fn reports() {
    insta::assert_snapshot!(table(Dialect::Forgejo, REPORTS), @"
    # another lock than the reported one
    Error: the new flake.lock is not the one that the reports are about: its SHA-256 is x000000000000000000000000000000000000000000000000000000000000001, not x000000000000000000000000000000000000000000000000000000000000002
    Hint: use the lock that lay beside the reports, on the commit they were made on
    More: $DOCS/matrix.md#when-it-stops

    # another base than the reported one
    Error: the base's flake.lock is not the one that the reports are about: its SHA-256 is x000000000000000000000000000000000000000000000000000000000000001, not x000000000000000000000000000000000000000000000000000000000000002
    Hint: use the lock that lay beside the reports, on the commit they were made on
    More: $DOCS/matrix.md#when-it-stops

    # another commit
    Error: the reports are about commit x000000000000000000000000000000000000001, and the checkout is at x000000000000000000000000000000000000002
    Hint: check out that commit, or report again
    More: $DOCS/matrix.md#when-it-stops

    # no commit
    Error: the reports are about a working tree with uncommitted changes, or one without git
    Hint: report on a clean checkout
    More: $DOCS/matrix.md#when-it-stops

    # another directory
    Error: the reports are about the flake in `hosts`, and --flake is `.`
    Hint: name the flake's directory with --flake

    # forged inputs
    Error: the reports list other input changes than the two locks have
    Hint: the reports or the lock were changed on their way here; report again, or find out where
    More: $DOCS/matrix.md#when-it-stops

    # a forged scope
    Error: $D/in/report.json was changed: its scope is not the one that its id bd33fc5d01eb39c1 stands for
    Hint: make it anew: somebody changed it

    # an input locked to what nobody asked for
    Error: the new flake.lock is not what an update gives: input `nixpkgs` asks for `github:NixOS/nixpkgs/nixos-unstable`, and is locked to `github:mallory/nixpkgs/x000000000000000000000000000000000000001`: it is another repository
    Hint: the reports or the lock were changed on their way here; report again, or find out where
    More: $DOCS/matrix.md#when-it-stops

    # an input asked for by nobody
    Error: the new flake.lock is not what an update gives: the flake asked for `github:NixOS/nixpkgs/nixos-unstable` as input `nixpkgs`, and the new lock says `github:mallory/nixpkgs/nixos-unstable`
    Hint: the reports or the lock were changed on their way here; report again, or find out where
    More: $DOCS/matrix.md#when-it-stops

    # a lock that is no JSON
    Error: the new flake.lock has merge conflict markers, the first one in line 1
    Hint: take either side (`git checkout --ours flake.lock`), then run `nix flake lock`

    # no lock
    Error: cannot use $D/new.lock: No such file or directory (os error 2)

    # a host of the plan is missing
    Error: the plan has hosts that no report has: `nixos:nas`
    Hint: look for a job that failed or whose report was not kept, and run it again
    More: $DOCS/matrix.md#when-it-stops

    # a host twice
    Error: ../in/1/report.json and ../in/2/report.json both have the host `nixos:webserver`
    Hint: each host belongs into one job of the matrix, and each report is named once
    More: $DOCS/matrix.md#when-it-stops

    # two scopes
    Error: ../in/1/report.json and ../in/2/report.json differ in the scope: bd33fc5d01eb39c1 and 1eafc0eb295fa96f
    Hint: all jobs must look at one commit, with one plan and one lock: `hosts --format json` and `lock -o FILE` make them once, `report --plan FILE --lock FILE` takes them
    More: $DOCS/matrix.md#when-it-stops

    # a truncated report
    Error: ../in/report.json is truncated: the JSON ends too early
    Hint: the job that wrote it was stopped, or the artifact is incomplete: make it anew

    # no report but JSON
    Error: ../in/report.json is not a report: invalid type: integer `2`, expected struct HeadTool at line 1 column 5
    Hint: name the `report.json` that --output-dir wrote, or a directory that holds it

    # a report of another version
    Error: ../in/report.json has schema 99, of flake-herald 0.1.0; this version reads schema 1
    Hint: use the same version for `report` and `publish`

    # a huge file
    Error: ../in/report.json is larger than 64 MiB

    # a directory without reports
    Error: ../in holds no report.json
    Hint: `flake-herald report --output-dir DIR` writes one
    More: $DOCS/matrix.md#when-it-stops

    # no such file
    Error: cannot use no/report.json: No such file or directory (os error 2)
    ");
}

/// Between the look at the branch and the push, somebody does something to it.
fn overtaken(dialect: Dialect, before: u32, meanwhile: fn(&Path)) -> (Scene, String) {
    let scene = Scene::new(dialect, Transport::Http);
    if before > 1 {
        scene.publish(before).is("created");
    }
    let mut command = usual(&scene);
    let bare = scene.bare.clone();
    let mut done = false;
    scene.forge.on_request(Box::new(move |_, seen, moment| {
        if moment == Moment::Before
            && seen.method == "GET"
            && seen.target.contains("git-receive-pack")
            && !done
        {
            done = true;
            meanwhile(&bare);
        }
        Next::Continue
    }));
    let out = scene.env.output(&mut command);
    let said = words(&scene, &out);
    (scene, said)
}

fn set(bare: &Path) {
    let commit = git(
        bare,
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.org",
            "commit-tree",
            "-m",
            "theirs",
            "main^{tree}",
        ],
    )
    .unwrap();
    git(
        bare,
        &["update-ref", &format!("refs/heads/{BRANCH}"), commit.trim()],
    )
    .unwrap();
}

fn unset(bare: &Path) {
    git(bare, &["update-ref", "-d", &format!("refs/heads/{BRANCH}")]).unwrap();
}

#[test]
fn a_branch_that_moved_meanwhile_is_not_overwritten() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        for (before, what, moved) in [
            (1, "made", set as fn(&Path)),
            (3, "moved", set),
            (3, "deleted", unset),
        ] {
            let (scene, said) = overtaken(dialect, before, moved);
            assert!(
                said.contains("the branch was changed by somebody else meanwhile")
                    && said.contains("Hint: nothing was overwritten; run again"),
                "{what}: {said}"
            );
            let subject = || scene.bare_git(&["log", "-1", "--format=%s", BRANCH]);
            match what {
                "deleted" => assert_eq!(scene.tip(BRANCH), None),
                _ => assert_eq!(subject(), "theirs", "{what}"),
            }
            assert_eq!(scene.git(&["status", "--porcelain"]), "");
        }
    }
}

/// Two runs with different locks, of which the requests of one are slow at some point. The second starts at once, or once
/// the first has pushed.
fn race(dialect: Dialect, slow: &str, at_once: bool) {
    let scene = Scene::new(dialect, Transport::Http);
    let mut commands: Vec<(u32, Command)> = Vec::new();
    for after in [2, 3] {
        let report = scene.env.write(
            format!("in-{after}/report.json"),
            to_json(&scene.report(after)),
        );
        let lock = scene
            .env
            .write(format!("in-{after}/flake.lock"), lock(after));
        let mut command = scene.env.binary();
        command
            .current_dir(&scene.checkout)
            .arg("publish")
            .arg(report)
            .arg("--lock")
            .arg(lock)
            .args(["--format", "json"]);
        commands.push((after, command));
    }
    if !slow.is_empty() {
        let delay = Trouble::Delay(std::time::Duration::from_secs(2));
        scene.forge.fault(Fault::next("POST", slow, delay));
    }
    let env: &TestEnv = &scene.env;
    let ended: Vec<CommandOutput> = std::thread::scope(|scope| {
        let running: Vec<_> = commands
            .iter_mut()
            .map(|(after, command)| {
                while !at_once && *after == 3 && scene.tip(BRANCH).is_none() {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                scope.spawn(|| env.output(command))
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let open = scene.open_from(BRANCH);
    assert_eq!(open.len(), 1, "{ended:#?}");
    assert_eq!(scene.forge.state().repo(SLUG).pulls.len(), 1);
    for out in &ended {
        match out.status.code() {
            Some(0) => {}
            Some(1) => assert!(
                out.stderr.contains("changed by somebody else meanwhile")
                    || out.stderr.contains("another run was quicker"),
                "{out}"
            ),
            _ => panic!("{out}"),
        }
    }
    assert!(
        ended.iter().any(|out| out.status.success()),
        "{dialect:?} {slow}: {ended:#?}"
    );
    // Whoever won: branch and pull request speak of the same lock, or the one who says so is told to run again.
    let lock = scene.lock_on(BRANCH);
    if ended.iter().all(|out| out.status.success()) {
        scene.is_published(BRANCH, lock);
    }
    let done = scene.publish(lock);
    assert_eq!(done.code, Some(0), "{}", done.output);
    scene.is_published(BRANCH, lock);
}

#[test]
fn of_two_runs_at_once_one_wins() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        for slow in ["", "git-receive-pack", "/pulls"] {
            race(dialect, slow, true);
        }
        race(dialect, "/pulls", false);
    }
}

/// A report about many hosts, each broken with a long log.
fn large(scene: &Scene) -> Report {
    let mut report = scene.report(2);
    let one = report.hosts[0].clone();
    report.hosts = (0..400)
        .map(|n| {
            let mut host = one.clone();
            host.name = format!("host-{n:03}-with-a-rather-long-name-{}", "x".repeat(60));
            host.attr = format!(
                "nixosConfigurations.{}.config.system.build.toplevel",
                host.name
            );
            host
        })
        .collect();
    report.fleet = flake_herald::report::Fleet::of(&report.hosts);
    report.warnings = (0..200)
        .map(|n| format!("warning {n}: ``` {}", "<details>é🦔 @alice #1 ".repeat(40)))
        .collect();
    report.seal();
    report
}

#[test]
fn a_large_report_and_long_notes_fit() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        let scene = Scene::new(dialect, Transport::Http);
        let report = large(&scene);
        let done = scene.publish_with(&report, 2, &[]).is("created");
        let number = done.number.unwrap();
        let body = scene.forge.state().pull(SLUG, number).body.clone();
        assert!(body.len() <= 60_000, "{} bytes", body.len());
        assert!(body.len() > 20_000, "{} bytes", body.len());
        // Notes that leave hardly any room are kept all the same.
        let notes = |bytes: usize| format!("{body}\n{}", "note\n".repeat(bytes / 5));
        scene
            .forge
            .state()
            .edit_as_human(SLUG, number, None, Some(&notes(50_000)));
        scene.publish(3).is("updated");
        scene.is_published(BRANCH, 3);
        let body = scene.forge.state().pull(SLUG, number).body.clone();
        assert!(body.len() <= 60_000, "{} bytes", body.len());
        assert_eq!(
            body.matches("note\n").count() + body.matches("note\r\n").count(),
            10_000
        );
        // These leave none: nothing is pushed either.
        for bytes in [59_000, 70_000] {
            scene
                .forge
                .state()
                .edit_as_human(SLUG, number, None, Some(&notes(bytes)));
            let said = refused(&scene, &mut scene.command(&scene.report(4), 4, &[]));
            assert!(
                said.contains(&format!(
                    "Error: the notes that people wrote into pull request #{number} leave no room"
                )) && said.contains("\nHint: shorten what stands under"),
                "{said}"
            );
        }
    }
}

/// A token in every form in which it could leak.
fn forms(token: &str) -> Vec<String> {
    vec![
        token.to_owned(),
        STANDARD.encode(token),
        STANDARD.encode(format!("x-access-token:{token}")),
        STANDARD.encode(format!(":{token}")),
    ]
}

#[track_caller]
fn holds_none(what: &str, bytes: &[u8], forms: &[String]) {
    for form in forms {
        let found = bytes
            .windows(form.len())
            .any(|window| window == form.as_bytes());
        assert!(!found, "{what} holds the token");
    }
}

#[test]
fn no_token_is_left_by_text_on_forgejo() {
    leaves_no_token(Dialect::Forgejo, "text", false);
}

#[test]
fn no_token_is_left_by_json_on_forgejo() {
    leaves_no_token(Dialect::Forgejo, "json", true);
}

#[test]
fn no_token_is_left_by_text_on_github() {
    leaves_no_token(Dialect::Github, "text", true);
}

#[test]
fn no_token_is_left_by_json_on_github() {
    leaves_no_token(Dialect::Github, "json", false);
}

fn leaves_no_token(dialect: Dialect, format: &str, by_file: bool) {
    let mut scene = Scene::new(dialect, Transport::Http);
    let shim = Shim::new(&mut scene.env);
    let file = scene.env.write("token-file", format!("{TOKEN}\n"));
    let file = file.display().to_string();
    if by_file {
        scene.env.unset("FLAKE_HERALD_TOKEN");
    }
    let github = dialect == Dialect::Github;
    let repeats =
        |status: u16| Answer::json(status, &json!({"message": format!("what is {TOKEN}?")}));
    let page = format!("<html><title>Hello, {TOKEN}</title></html>");
    let page = Answer::text(200, &page).typed("text/html");
    let troubles: Vec<(&str, Option<Fault>)> = vec![
        ("it is opened", None),
        (
            "401",
            Some(Fault::next("GET", "/pulls?", Trouble::Answer(repeats(401)))),
        ),
        (
            "403",
            Some(Fault::next("GET", "/pulls?", Trouble::Answer(repeats(403)))),
        ),
        (
            "422",
            Some(Fault::next(
                "PATCH",
                "/pulls/",
                Trouble::Answer(repeats(422)),
            )),
        ),
        (
            "a page",
            Some(Fault::next("GET", "/repos/alice", Trouble::Answer(page))),
        ),
        ("502", Some(always("GET", "/repos/alice", bad_gateway()))),
        (
            "git's 401",
            Some(always(
                "GET",
                "receive-pack",
                Answer::text(401, &format!("no {TOKEN}\n")),
            )),
        ),
        (
            "git's 403",
            Some(always(
                "GET",
                "receive-pack",
                Answer::text(403, &format!("no {TOKEN}\n")),
            )),
        ),
        (
            "a lost answer",
            Some(Fault::next("PATCH", "/pulls/", Trouble::DoThenClose)),
        ),
        ("it is refreshed", None),
        ("it is closed", None),
    ];
    let forms = forms(TOKEN);
    for (n, (name, fault)) in troubles.into_iter().enumerate() {
        let after = if name == "it is closed" {
            1
        } else {
            u32::try_from(n).unwrap() + 2
        };
        // What is left of a fault must not hit the next run.
        scene.forge.clear_faults();
        if let Some(fault) = fault {
            scene.forge.fault(fault);
        }
        let dir = scene.env.dir().join("out").display().to_string();
        let mut more = vec!["-vv", "--log-format", format, "--output-dir", &dir];
        if by_file {
            more.extend(["--token-file", &file]);
        }
        let mut command = scene.command(&scene.report(after), after, &more);
        let prefix = if github { "GITHUB" } else { "FORGEJO" };
        command
            .env(format!("{prefix}_ACTIONS"), "true")
            .env(format!("{prefix}_SERVER_URL"), scene.forge.server_url())
            .env(format!("{prefix}_REPOSITORY"), SLUG)
            .env(format!("{prefix}_REF_NAME"), "main")
            .env(format!("{prefix}_OUTPUT"), scene.env.dir().join("outputs"))
            .env(
                format!("{prefix}_STEP_SUMMARY"),
                scene.env.dir().join("summary"),
            );
        if github {
            command.env("GITHUB_API_URL", scene.forge.api_url());
        }
        let out = scene.env.output(&mut command);
        let is_fine = name.starts_with("it is") || name == "a lost answer";
        let code = match name {
            "it is closed" => 2,
            _ if is_fine => 0,
            _ => 1,
        };
        assert_eq!(out.status.code(), Some(code), "{name}: {out}");
        assert!(
            out.stderr.contains("GET /") || name.starts_with("git"),
            "this is not the most verbose level: {out}"
        );
        holds_none(name, out.stdout.as_bytes(), &forms);
        holds_none(name, out.stderr.as_bytes(), &forms);
        for call in shim.calls() {
            holds_none(name, call.to_string().as_bytes(), &forms);
        }
    }
    let mut left = Vec::new();
    list(scene.env.dir(), &mut left);
    for path in left {
        let Ok(bytes) = fs::read(&path) else { continue };
        if path.ends_with("token-file") {
            assert!(
                bytes.starts_with(TOKEN.as_bytes()),
                "the search finds nothing"
            );
            continue;
        }
        holds_none(&path.display().to_string(), &bytes, &forms);
    }
    // Objects are compressed.
    let objects = ["cat-file", "--batch-all-objects", "--batch"];
    let objects = [scene.git(&objects), scene.bare_git(&objects)].concat();
    assert!(objects.contains("Flake-Herald-Lock"));
    holds_none("an object", objects.as_bytes(), &forms);
    for pull in &scene.forge.state().repo(SLUG).pulls {
        holds_none("a pull request", format!("{pull:?}").as_bytes(), &forms);
    }
}
