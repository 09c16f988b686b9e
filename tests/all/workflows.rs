//! The workflows that users copy, followed by a real runner: nektos/act, which the runners of Gitea and Forgejo come from.
//!
//! The fleet's owner commits a shipped file as it is. The copy that act follows differs in this only:
//!
//! - `uses:` loses `https://HOST/`, for act knows addresses of one host only.
//! - Actions of others are the stand-ins in `fixtures/actions`.
//! - The action is the repository's, with other defaults: `install: path`, and a `path` where the binary under test is. There is no
//!   release that could be downloaded.
//!
//! Every label is this machine. What differs between runners is in front of the binary instead: `publish` has a `nix` on its
//! `PATH` that must not be called, the other jobs have a real one, on GitHub's own runners only after the step that installs it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::docs::blocks;
use crate::support::actions::{Action, executable};
use crate::support::forge::{Dialect, Pull, PullState, StandIn, Token};
use crate::support::scene::{BRANCH, SLUG};
use crate::support::{CommandOutput, Fleet, Sshd, TestEnv, act, fixtures, project};

/// The token of the job.
const JOB_TOKEN: &str = "t0ken-of-the-job";
/// The owner's token, as a secret.
const OWN_TOKEN: &str = "t0ken-of-the-owner";
/// The repository that the files are from.
const HOME: &str = "flake-herald/flake-herald";
/// A fork of it, which has the files too.
const FORK: &str = "alice/flake-herald";
/// All of them.
const FILES: [&str; 3] = [
    "flake-update.yml",
    "flake-update-two-jobs.yml",
    "flake-update-matrix.yml",
];

/// A fleet on a forge, with one of the workflows in it.
struct Place {
    fleet: Fleet,
    forge: StandIn,
    dialect: Dialect,
    bare: PathBuf,
    /// What the runner follows.
    workflow: PathBuf,
    /// `--local-repository` for each action.
    actions: Vec<String>,
    /// Secrets and variables of the repository, and what stand-ins want to know.
    more: Vec<String>,
    /// `PATH` without the Nix to test with.
    path: String,
}

/// A call of the binary.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    job: String,
    command: String,
    code: i32,
    environment: String,
}

impl Place {
    fn new(dialect: Dialect, file: &str) -> Self {
        Self::with(dialect, &shipped(dialect, file))
    }

    /// Puts a fleet with a workflow on a forge.
    fn with(dialect: Dialect, workflow: &str) -> Self {
        let fleet = Fleet::new();
        let dir = fleet.env().dir();
        let forge = StandIn::start(dialect, &dir.join("forge"));
        let bare = forge.create_repository(SLUG, "main");
        let job = Token::new("job", JOB_TOKEN).automatic_of(SLUG, dialect);
        forge.state().add_token(job);
        forge.state().add_token(Token::new("own", OWN_TOKEN));

        fleet.write(format!("{}/flake-update.yml", folder(dialect)), workflow);
        fleet.commit("look after updates");
        let copy = fleet.env().write("runner/workflow.yml", adapted(workflow));

        for dir in ["artifacts", "calls", "no-nix"] {
            fs::create_dir(fleet.env().dir().join(dir)).unwrap();
        }
        let nix = fleet.env().which("nix").unwrap();
        let nix = nix.parent().unwrap().to_str().unwrap().to_owned();
        let path = fleet.env().var("PATH").unwrap().to_str().unwrap();
        let path = path.strip_prefix(&format!("{nix}:")).unwrap().to_owned();
        let mut place = Self {
            forge,
            dialect,
            bare,
            workflow: copy,
            actions: Vec::new(),
            more: vec![
                format!("--env=STANDIN_NIX={nix}"),
                format!("--env=STANDIN_ARTIFACTS={}/artifacts", dir.display()),
            ],
            path,
            fleet,
        };
        place.install(&nix);
        place.land();
        place
    }

    /// Puts the binary where the action finds it, with what is the runner's around it, and finds all actions.
    fn install(&mut self, nix: &str) {
        let dir = self.fleet.env().dir().to_owned();
        // On a runner of the user's own: everywhere on Forgejo and Gitea, on GitHub where the file is for such a runner.
        let there = match self.dialect {
            Dialect::Github => format!("update) PATH={nix}:$PATH ;;"),
            _ => format!("*) PATH={nix}:$PATH ;;"),
        };
        self.program(
            "installed/flake-herald",
            &format!(
                "binary={binary}\n\
                 [ \"$1\" != --version ] || exec \"$binary\" \"$@\"\n\
                 case $GITHUB_JOB in publish) PATH={dir}/no-nix:$PATH ;; {there} esac\n\
                 call=$(mktemp {dir}/calls/XXXXXX)\n\
                 key=$RUNNER_TEMP/signing-key\n\
                 {{ env; [ ! -e \"$key\" ] || stat -c 'signing key: %a' \"$key\"; }} >\"$call.env\"\n\
                 code=0\n\
                 \"$binary\" \"$@\" || code=$?\n\
                 echo \"$GITHUB_JOB $1 $code\" >\"$call\"\n\
                 exit \"$code\"\n",
                binary = env!("CARGO_BIN_EXE_flake-herald"),
                dir = dir.display(),
            ),
        );
        self.program(
            "no-nix/nix",
            &format!("echo \"$*\" >>{}/nix-was-called\nexit 99", dir.display()),
        );

        let source = project().join("action.yml");
        let mut action: Value =
            serde_saphyr::from_str(&fs::read_to_string(source).unwrap()).unwrap();
        assert!(action["inputs"]["install"].is_object() && action["inputs"]["path"].is_object());
        action["inputs"]["install"]["default"] = json!("path");
        action["inputs"]["path"]["default"] = json!(dir.join("installed"));
        // JSON is YAML.
        self.fleet
            .env()
            .write("runner/action/action.yml", action.to_string());

        let text = fs::read_to_string(&self.workflow).unwrap();
        let used = text
            .lines()
            .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("uses: "));
        for used in used {
            let used = used.split(' ').next().unwrap();
            let (name, _version) = used.split_once('@').unwrap();
            let dir = if name == HOME {
                dir.join("runner/action")
            } else {
                let (_owner, name) = name.split_once('/').unwrap();
                fixtures().join("actions").join(name)
            };
            assert!(dir.is_dir(), "there is no stand-in for {used}");
            self.actions.push(format!("{used}={}", dir.display()));
        }
    }

    fn program(&self, name: &str, script: &str) {
        let env = self.fleet.env();
        executable(env, &env.dir().join(name), script);
    }

    /// Has the fleet's configuration name the hosts to look at: fewer take less time.
    fn look_at(&self, hosts: &[&str]) {
        self.fleet
            .write("flake-herald.toml", format!("host = {hosts:?}\n"));
        self.fleet.commit("look at some hosts");
        self.land();
    }

    /// Pushes what is committed here to the base.
    fn land(&self) {
        self.fleet.land(&self.bare);
    }

    /// Has the runner follow the workflow, for the schedule or by hand, with a variable or two more.
    fn night_with(&self, event: &str, more: &[&str]) -> CommandOutput {
        let server = self.forge.server_url();
        let api = self.forge.api_url();
        let mut variables = vec![
            format!("GITHUB_SERVER_URL={server}"),
            format!("GITHUB_API_URL={api}"),
            format!("GITHUB_REPOSITORY={SLUG}"),
        ];
        if self.dialect != Dialect::Github {
            variables.push("GITEA_ACTIONS=true".to_owned());
        }
        if self.dialect == Dialect::Forgejo {
            variables.extend([
                "FORGEJO_ACTIONS=true".to_owned(),
                format!("FORGEJO_SERVER_URL={server}"),
                format!("FORGEJO_API_URL={api}"),
                format!("FORGEJO_REPOSITORY={SLUG}"),
                // Into every step, asked for or not.
                format!("FORGEJO_TOKEN={JOB_TOKEN}"),
                format!("GITHUB_TOKEN={JOB_TOKEN}"),
            ]);
        }
        let before = self.fleet.repository();
        let env = self.fleet.env();
        let mut command = env.command(act());
        command
            .env("PATH", &self.path)
            .current_dir(self.fleet.flake())
            .arg(event)
            .arg("--workflows")
            .arg(&self.workflow)
            .args([
                "--defaultbranch",
                "main",
                "--no-skip-checkout",
                "--pull=false",
            ])
            .args([
                "--no-cache-server",
                "--secret",
                &format!("GITHUB_TOKEN={JOB_TOKEN}"),
            ])
            .args(variables.iter().map(|variable| format!("--env={variable}")))
            .args(
                self.actions
                    .iter()
                    .map(|action| format!("--local-repository={action}")),
            )
            .args(
                ["nix", "docker", "ubuntu-latest"]
                    .iter()
                    .map(|label| format!("--platform={label}=-self-hosted")),
            )
            .args(&self.more)
            .args(more);
        let out = env.output(&mut command);
        let called = fs::read_to_string(env.dir().join("nix-was-called")).unwrap_or_default();
        assert_eq!(called, "", "publish called nix\n{}", out.stdout);
        assert_eq!(self.fleet.repository(), before, "{}", out.stdout);
        out
    }

    fn night(&self) -> CommandOutput {
        self.night_with("schedule", &[])
    }

    /// Returns the calls of the binary since the last time, and makes the next run find no artifacts.
    fn calls(&self) -> Vec<Call> {
        let dir = self.fleet.env().dir();
        let mut calls: Vec<Call> = fs::read_dir(dir.join("calls"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_none())
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                let words: Vec<&str> = text.split_whitespace().collect();
                Call {
                    job: words[0].to_owned(),
                    command: words[1].to_owned(),
                    code: words[2].parse().unwrap(),
                    environment: fs::read_to_string(path.with_extension("env")).unwrap(),
                }
            })
            .collect();
        calls.sort_by(|a, b| (&a.job, &a.command, a.code).cmp(&(&b.job, &b.command, b.code)));
        for name in ["calls", "artifacts"] {
            fs::remove_dir_all(dir.join(name)).unwrap();
            fs::create_dir(dir.join(name)).unwrap();
        }
        calls
    }

    /// Returns the calls of the binary since the last time, as `JOB: COMMAND, CODE`.
    fn called(&self) -> Vec<String> {
        self.calls()
            .into_iter()
            .map(|call| format!("{}: {}, {}", call.job, call.command, call.code))
            .collect()
    }

    /// Returns the names of the artifacts of the last run.
    fn artifacts(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.fleet.env().dir().join("artifacts"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Returns the only pull request there is.
    #[track_caller]
    fn pull(&self) -> Pull {
        let pull = self.forge.state().pull(SLUG, 1).clone();
        assert_eq!(pull.head_ref, BRANCH);
        pull
    }

    fn bare_git(&self, args: &[&str]) -> String {
        let mut command = self.fleet.env().command("git");
        let out = command.args(args).current_dir(&self.bare);
        self.fleet.env().output(out).success().stdout
    }

    /// Returns the names of the tokens that something was written with since the last time.
    fn tokens(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .forge
            .requests()
            .into_iter()
            .filter(|request| {
                request.method != "GET" && !request.target.ends_with("/git-upload-pack")
            })
            .filter_map(|request| request.token)
            .collect();
        names.sort();
        names.dedup();
        self.forge.forget();
        names
    }
}

fn folder(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Forgejo => ".forgejo/workflows",
        Dialect::Gitea => ".gitea/workflows",
        Dialect::Github => ".github/workflows",
    }
}

/// Returns a workflow with all addresses of actions on one host.
fn adapted(workflow: &str) -> String {
    workflow
        .replace("uses: https://data.forgejo.org/", "uses: ")
        .replace("uses: https://codeberg.org/", "uses: ")
}

/// Returns a file as it is shipped. Those for Gitea are Forgejo's.
fn shipped(dialect: Dialect, file: &str) -> String {
    let folder = match dialect {
        Dialect::Gitea => folder(Dialect::Forgejo),
        other => folder(other),
    };
    fs::read_to_string(project().join(folder).join(file)).unwrap()
}

/// Runs `look` on everything in a file that uses this project's action.
fn each_use(value: &Value, look: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| each_use(value, look)),
        Value::Object(map) => {
            if let Some(used) = map.get("uses").and_then(Value::as_str) {
                let used = used.trim_start_matches("https://codeberg.org/");
                if let Some(version) = used.strip_prefix(&format!("{HOME}@")) {
                    look(version, &value["with"]);
                }
            }
            map.values().for_each(|value| each_use(value, look));
        }
        _ => {}
    }
}

/// A runner takes an input that an action does not have for none at all, and linters do not know this one's.
#[test]
fn inputs_and_versions_that_users_copy_are_the_actions() {
    let action = Action::read();
    // The next release's, once it is being prepared.
    let versions = [
        action.step("get").env["VERSION"].clone(),
        env!("CARGO_PKG_VERSION").to_owned(),
    ];
    let mut texts = blocks("yaml");
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        for file in FILES {
            let mut text = shipped(dialect, file);
            for mark in ["sign", "ssh"] {
                text = text.replace(&format!("#{mark}# "), "");
            }
            let name = format!("{}/{file}", folder(dialect));
            // Inputs that are commented out, as `# fail-on: never # …`, stand below others.
            let taken = text.replace("          # ", "          ");
            assert_ne!(taken, text, "{name}");
            texts.extend([(name.clone(), taken), (name, text)]);
        }
    }
    let mut uses = 0;
    for (name, text) in texts {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        each_use(&value, &mut |version, with| {
            uses += 1;
            let known = version
                .strip_prefix('v')
                .is_some_and(|version| versions.iter().any(|known| known == version));
            assert!(known, "{name} has version {version}");
            for (input, given) in with.as_object().into_iter().flatten() {
                let description = action
                    .inputs
                    .get(input)
                    .map_or_else(String::new, |input| input.description.clone());
                assert!(!description.is_empty(), "{name}: there is no input {input}");
                if input == "command" {
                    let given = given.as_str().unwrap();
                    assert!(description.contains(given), "{name}: command: {given}");
                }
            }
        });
    }
    assert!(uses > 25, "they were not found: {uses}");
}

/// What a workflow or a pipeline runs.
fn scripts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| scripts(value, all)),
        Value::Object(map) => {
            for (key, value) in map {
                match (&**key, value) {
                    ("run", Value::String(text)) => all.push(text.clone()),
                    ("script", Value::Array(texts)) => {
                        all.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => scripts(value, all),
                }
            }
        }
        _ => {}
    }
}

/// `docs` runs blocks of commands in one place, where a host changes. These tell one code from another.
#[test]
fn pipelines_in_the_documents_take_quiet_nights_for_a_success() {
    let mut env = TestEnv::new();
    let program = env.dir().join("bin/flake-herald");
    let script = "case $1 in report | run) exit \"$CODE\" ;; esac";
    executable(&env, &program, script);
    env.prepend_path(program.parent().unwrap());
    let mut pipelines = blocks("sh");
    for (name, block) in blocks("yaml") {
        let mut all = Vec::new();
        scripts(&serde_saphyr::from_str(&block).unwrap(), &mut all);
        pipelines.extend(all.into_iter().map(|script| (name.clone(), script)));
    }
    pipelines.retain(|(_, script)| script.contains("code=0\n"));
    assert!(pipelines.len() > 5, "they were not found: {pipelines:?}");
    for (name, script) in pipelines {
        for (code, succeeds) in [(0, true), (1, false), (2, true), (3, true)] {
            let mut shell = env.command("sh");
            shell.args(["-ec", &script]).env("CODE", code.to_string());
            let out = env.output(&mut shell);
            assert_eq!(
                out.status.success(),
                succeeds,
                "{name}, {code}: {script}{out}"
            );
        }
    }
}

#[test]
fn what_is_shipped_has_least_rights_and_marks_what_is_to_be_edited() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        for file in FILES {
            let text = shipped(dialect, file);
            let name = format!("{}/{file}", folder(dialect));
            // Names that only the reader knows: labels of runners of one's own.
            let labels = text
                .lines()
                .filter(|line| line.trim_start().starts_with("runs-on:"));
            for line in labels {
                let hosted = line.trim() == "runs-on: ubuntu-latest";
                assert!(hosted || line.contains(" # EDIT: "), "{name}: {line}");
            }
            for secret in text.split("secrets.").skip(1) {
                let secret = secret.split(' ').next().unwrap();
                let head = text.split("\nname:").next().unwrap();
                assert!(head.contains(secret), "{name} does not tell of {secret}");
            }

            let value: Value = serde_saphyr::from_str(&text).unwrap();
            let events: Vec<&String> = value["on"].as_object().unwrap().keys().collect();
            assert_eq!(events, ["schedule", "workflow_dispatch"], "{name}");
            assert_eq!(value["on"]["schedule"], json!([{"cron": "0 2 * * *"}]));
            assert_eq!(value["permissions"], json!({}), "{name}");
            let one = json!({"group": "flake-update", "cancel-in-progress": false});
            assert_eq!(value["concurrency"], one, "{name}");
            for (job, spec) in value["jobs"].as_object().unwrap() {
                let writes = matches!(&**job, "publish" | "update");
                let rights = if writes {
                    json!({"contents": "write", "pull-requests": "write"})
                } else {
                    json!({"contents": "read"})
                };
                assert_eq!(spec["permissions"], rights, "{name}: {job}");
                let spec = spec.to_string();
                assert_eq!(spec.contains("secrets."), writes, "{name}: {job}");
                assert!(
                    spec.contains("\"persist-credentials\":false"),
                    "{name}: {job}"
                );
                assert!(
                    job != "publish" || !spec.contains("install-nix"),
                    "{name}: {job}"
                );
            }
        }
    }
}

/// Takes a variant in, as the head of the file says how to.
fn take_in(workflow: &str, mark: &str) -> String {
    let mark = format!("#{mark}# ");
    assert!(workflow.contains(&format!("\"{mark}\"")), "{mark}");
    workflow
        .lines()
        .map(|line| format!("{}\n", line.replace(&mark, "")))
        .collect()
}

fn key(place: &Place, name: &str) -> String {
    let file = place.fleet.env().dir().join(name);
    let mut keygen = place.fleet.env().command("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "bot", "-f"]);
    let _made = place.fleet.env().output(keygen.arg(&file)).success();
    file.display().to_string()
}

/// One job, three nights: the first opens, the second is quiet, the third breaks a host and says so.
fn one_job(dialect: Dialect, secret: bool) {
    let mut place = Place::new(dialect, "flake-update.yml");
    let token = if secret {
        place
            .more
            .push(format!("--secret=FLAKE_HERALD_TOKEN={OWN_TOKEN}"));
        "own"
    } else {
        "job"
    };
    place.fleet.bump(&["openssl=3.0.14"]);
    let out = place.night().success();
    assert_eq!(place.called(), ["update: run, 0"], "{}", out.stdout);
    assert_eq!(place.tokens(), [token]);
    let pull = place.pull();
    assert_eq!(pull.state, PullState::Open);
    assert!(pull.body.contains("openssl"), "{}", pull.body);
    let tip = place.bare_git(&["rev-parse", BRANCH]);

    let out = place.night_with("workflow_dispatch", &[]).success();
    assert_eq!(place.called(), ["update: run, 0"], "{}", out.stdout);
    assert_eq!(place.tokens(), [""; 0], "{}", out.stdout);
    assert_eq!(place.bare_git(&["rev-parse", BRANCH]), tip);

    place.fleet.bump(&["fail:php"]);
    let out = place.night().code(1);
    assert_eq!(place.called(), ["update: run, 4"], "{}", out.stdout);
    let body = place.pull().body;
    assert!(body.contains("1 broken by the update"), "{body}");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn one_job_on_forgejo_with_its_own_token() {
    one_job(Dialect::Forgejo, false);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn one_job_on_github_with_a_secret() {
    one_job(Dialect::Github, true);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn one_job_on_gitea_is_the_one_for_forgejo() {
    let place = Place::new(Dialect::Gitea, "flake-update.yml");
    place.look_at(&["webserver"]);
    place.fleet.bump(&["openssl=3.0.14"]);
    let out = place.night().success();
    assert_eq!(place.called(), ["update: run, 0"], "{}", out.stdout);
    assert_eq!(place.tokens(), ["job"]);
    assert_eq!(place.pull().state, PullState::Open);
}

/// A deploy key pushes, and another key signs; the forge's API has the job's token.
fn with_keys(dialect: Dialect) {
    let text = take_in(&shipped(dialect, "flake-update.yml"), "sign");
    let text = take_in(&text, "ssh");
    let text: String = text
        .split_inclusive('\n')
        .filter(|line| !line.contains("persist-credentials:"))
        .collect();
    let mut place = Place::with(dialect, &text);
    let sshd = Sshd::start(place.fleet.env());
    let _command = sshd.key(place.fleet.env(), "deploy");
    let signing = key(&place, "signing");
    let dir = place.fleet.env().dir().to_owned();
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    place.more.extend([
        format!("--env=STANDIN_SSH_URL={}", sshd.url(&place.bare)),
        format!("--secret=DEPLOY_KEY={}", read("ssh/deploy").trim_end()),
        format!("--secret=SIGNING_KEY={}", read("signing").trim_end()),
        format!("--var=KNOWN_HOSTS={}", read("ssh/known_hosts")),
    ]);
    if dialect == Dialect::Github {
        // The real checkout knows github.com's keys. Here they are those of the stand-in.
        let file = place.workflow.clone();
        let known = "          ssh-known-hosts: ${{ vars.KNOWN_HOSTS }}\n";
        let ssh = "          ssh-key: ${{ secrets.DEPLOY_KEY }}\n";
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace(ssh, &format!("{ssh}{known}"))).unwrap();
    }
    place.look_at(&["webserver"]);
    place.fleet.bump(&["openssl=3.0.14"]);
    let out = place.night().success();
    let calls = place.calls();
    let codes: Vec<i32> = calls.iter().map(|call| call.code).collect();
    assert_eq!(codes, [0], "{}", out.stdout);
    assert!(
        calls[0].environment.contains("\nsigning key: 600\n"),
        "{}",
        calls[0].environment
    );
    assert!(out.stdout.contains("Success - Main Remove the signing key"));
    assert_eq!(place.forge.pushes(), 0);
    assert_eq!(place.tokens(), ["job"]);
    assert_eq!(place.pull().state, PullState::Open);
    let public = fs::read_to_string(format!("{signing}.pub")).unwrap();
    let signers = place
        .fleet
        .env()
        .write("signers", format!("owner@example.org {public}"));
    let allowed = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    // The command fails where the signature is not good.
    place.bare_git(&["-c", &allowed, "verify-commit", BRANCH]);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_deploy_key_pushes_and_another_key_signs_on_forgejo() {
    with_keys(Dialect::Forgejo);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_deploy_key_pushes_and_another_key_signs_on_github() {
    with_keys(Dialect::Github);
}

/// Two jobs: only one of them has what may write; a broken host is published; in the end the pull request is closed.
fn two_jobs(dialect: Dialect) {
    let mut place = Place::new(dialect, "flake-update-two-jobs.yml");
    place
        .more
        .push(format!("--secret=FLAKE_HERALD_TOKEN={OWN_TOKEN}"));
    place.look_at(&["nas", "webserver"]);
    place.fleet.bump(&["openssl=3.0.14", "fail:php"]);
    let out = place.night().code(1);
    let calls = place.calls();
    let codes: Vec<i32> = calls.iter().map(|call| call.code).collect();
    assert_eq!(codes, [4, 0], "{}", out.stdout);
    let (publish, report) = (&calls[0], &calls[1]);
    assert_eq!((&*report.job, &*report.command), ("report", "report"));
    assert!(publish.environment.contains(OWN_TOKEN));
    assert!(!report.environment.contains(OWN_TOKEN));
    // Forgejo's runner puts the job's token into every step, see docs/forgejo.md.
    let has = report.environment.contains(JOB_TOKEN);
    assert!(
        !has || dialect != Dialect::Github,
        "the first job has its token:\n{}",
        report.environment
    );
    assert_eq!(place.tokens(), ["own"]);
    let pull = place.pull();
    assert!(
        pull.body.contains("1 broken by the update"),
        "{}",
        pull.body
    );

    place.fleet.land_update(&place.bare);
    let out = place.night().success();
    let called = ["publish: publish, 2", "report: report, 2"];
    assert_eq!(place.called(), called, "{}", out.stdout);
    assert_eq!(place.pull().state, PullState::Closed);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn two_jobs_on_forgejo() {
    two_jobs(Dialect::Forgejo);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn two_jobs_on_github() {
    two_jobs(Dialect::Github);
}

/// A job for each host, also one that nothing here can build; what they say is one pull request.
fn matrix(dialect: Dialect) {
    let place = Place::new(dialect, "flake-update-matrix.yml");
    place.look_at(&["nas", "pi", "webserver"]);
    place.fleet.bump(&["openssl=3.0.14", "fail:php"]);
    let out = place.night().code(1);
    let mut artifacts: Vec<String> = ["nas", "pi", "webserver"]
        .iter()
        .map(|host| format!("report-nixos-{host}"))
        .collect();
    artifacts.insert(0, "plan".to_owned());
    assert_eq!(place.artifacts(), artifacts, "{}", out.stdout);
    let calls = place.calls();
    let reports: Vec<i32> = calls
        .iter()
        .filter(|call| call.job == "report")
        .map(|call| call.code)
        .collect();
    // One of them, pi, could not be checked.
    assert_eq!(reports, [0, 0, 1], "{}", out.stdout);
    let publish: Vec<i32> = calls
        .iter()
        .filter(|call| call.job == "publish")
        .map(|call| call.code)
        .collect();
    assert_eq!(publish, [4], "{}", out.stdout);
    let pull = place.pull();
    assert_eq!(pull.state, PullState::Open);
    let headline = pull.body.lines().nth(1).unwrap();
    assert!(
        headline.contains("3 hosts") && headline.contains("1 skipped"),
        "{headline}"
    );

    place.fleet.land_update(&place.bare);
    let out = place.night().success();
    let called = [
        "plan: hosts, 0",
        "plan: lock, 2",
        "publish: publish, 2",
        "report: report, 2",
        "report: report, 2",
        "report: report, 2",
    ];
    assert_eq!(place.called(), called, "{}", out.stdout);
    assert_eq!(place.pull().state, PullState::Closed);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_matrix_on_forgejo() {
    matrix(Dialect::Forgejo);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_matrix_on_github() {
    matrix(Dialect::Github);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_fails_publishes_nothing() {
    for file in ["flake-update-two-jobs.yml", "flake-update-matrix.yml"] {
        let place = Place::new(Dialect::Forgejo, file);
        place
            .fleet
            .write("flake-herald.toml", "kind = [\"nonsense\"]\n");
        place.fleet.commit("break the configuration");
        place.land();
        let out = place.night().code(1);
        let calls = place.calls();
        assert!(
            !calls.is_empty() && calls.iter().all(|call| call.code == 1),
            "{}",
            out.stdout
        );
        assert!(
            calls.iter().all(|call| call.job != "publish"),
            "{}",
            out.stdout
        );
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn they_rest_in_the_repository_that_they_are_from() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        let place = Place::new(dialect, FILES[0]);
        for (file, from) in FILES.into_iter().zip([HOME, FORK, HOME]) {
            let here = format!("--env=GITHUB_REPOSITORY={from}");
            fs::write(&place.workflow, adapted(&shipped(dialect, file))).unwrap();
            let mut more = vec![here.as_str()];
            if file == "flake-update-matrix.yml" {
                // Without `plan` there is no other job, but act makes the matrix first, of what a skipped job does not say.
                more.extend(["--job", "plan"]);
            }
            let out = place.night_with("schedule", &more).success();
            assert_eq!(place.called(), [""; 0], "{file}: {}", out.stdout);
        }
    }
}
