//! `action.yml` as a runner reads and runs it: each step's script in a file of its own, in the environment of a job.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{CommandOutput, TestEnv};

/// All that a step may need besides the program: bash, coreutils, git and the `sh` of git's own scripts.
const TOOLS: &[&str] = &[
    "bash",
    "cat",
    "chmod",
    "env",
    "git",
    "ln",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sh",
    "sha256sum",
    "sleep",
    "timeout",
    "uname",
];

/// An action's description. What is not named here is refused: no step may be another action.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) author: String,
    pub(crate) description: String,
    pub(crate) branding: Branding,
    pub(crate) inputs: BTreeMap<String, Input>,
    pub(crate) outputs: BTreeMap<String, Output>,
    pub(crate) runs: Runs,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Branding {
    pub(crate) icon: String,
    pub(crate) color: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) default: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Output {
    pub(crate) description: String,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runs {
    pub(crate) using: String,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) id: String,
    #[serde(rename = "if")]
    pub(crate) condition: Option<String>,
    pub(crate) shell: String,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) run: String,
}

impl Action {
    /// Reads the project's own `action.yml`.
    pub(crate) fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml");
        serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    }

    /// Returns a step.
    pub(crate) fn step(&self, id: &str) -> &Step {
        let mut steps = self.runs.steps.iter();
        steps.find(|step| step.id == id).unwrap()
    }

    /// Makes the action know a release whose program for this machine has a sum.
    pub(crate) fn with_release(mut self, sum: &str) -> Self {
        let variable = format!("SHA256_{}", std::env::consts::ARCH.to_uppercase());
        for step in &mut self.runs.steps {
            if let Some(value) = step.env.get_mut(&variable) {
                sum.clone_into(value);
            }
        }
        self
    }
}

/// Whose runner a job runs on, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// Forgejo's: every variable twice, the job's token in every step, and the inputs of an action in its steps' environment.
    Forgejo,
    /// Gitea's, which is of one family with Forgejo's.
    Gitea,
    /// GitHub's, on its host.
    Github,
    /// GitHub's, with a container for the job: its home and workspace belong to somebody else.
    GithubContainer,
}

impl Runner {
    pub(crate) const ALL: [Self; 4] = [
        Self::Forgejo,
        Self::Gitea,
        Self::Github,
        Self::GithubContainer,
    ];
}

/// A job on a runner.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) runner: Runner,
    pub(crate) action: Action,
    /// The directory that the action was fetched to.
    pub(crate) action_path: PathBuf,
    /// The directory that the steps start in.
    pub(crate) workspace: PathBuf,
    /// The job's own token.
    pub(crate) token: String,
    /// The environment, with what the workflow sets for the job.
    pub(crate) variables: BTreeMap<String, OsString>,
    bin: PathBuf,
}

/// What became of a step that uses the action.
#[derive(Debug)]
pub(crate) struct Done {
    /// The step that gets the program.
    pub(crate) get: CommandOutput,
    /// The step that runs it; none if it was left out.
    pub(crate) run: Option<CommandOutput>,
    /// The action's outputs.
    pub(crate) outputs: BTreeMap<String, String>,
    /// What goes on the PATH of later steps.
    pub(crate) path: Vec<PathBuf>,
}

impl Done {
    /// How the step ended.
    pub(crate) fn code(&self) -> i32 {
        let last = self.run.as_ref().unwrap_or(&self.get);
        last.status.code().unwrap_or(-1)
    }

    /// Asserts how the step ended.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}", self.log());
        self
    }

    /// All that the step's log shows.
    pub(crate) fn log(&self) -> String {
        let mut log = String::new();
        for output in [Some(&self.get), self.run.as_ref()].into_iter().flatten() {
            log.push_str(&output.stdout);
            log.push_str(&output.stderr);
        }
        log
    }

    /// An output.
    #[track_caller]
    pub(crate) fn output(&self, name: &str) -> &str {
        &self.outputs[name]
    }
}

impl Job {
    /// A scheduled job on `main`. `server` is the forge's address and that of its API.
    pub(crate) fn new(
        runner: Runner,
        env: &TestEnv,
        workspace: &Path,
        slug: &str,
        server: (&str, &str),
    ) -> Self {
        let at = |name: &str| env.dir().join("runner").join(name);
        for dir in ["temp", "files", "tools", "bin"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        let mut job = Self {
            runner,
            action: Action::read(),
            action_path: at("_actions/flake-herald"),
            workspace: workspace.to_owned(),
            token: format!("t0ken-of-the-{runner:?}-job"),
            variables: BTreeMap::new(),
            bin: at("bin"),
        };
        job.tools(env, TOOLS);
        let (owner, _) = slug.split_once('/').unwrap();
        let head = "0123456789abcdef0123456789abcdef01234567";
        let mut said: Vec<(&str, OsString)> = vec![
            ("ACTIONS", "true".into()),
            ("ACTION", "__run".into()),
            ("ACTION_PATH", job.action_path.clone().into()),
            ("ACTION_REF", "v0.1.0".into()),
            ("ACTION_REPOSITORY", "flake-herald/flake-herald".into()),
            ("ACTOR", "alice".into()),
            ("API_URL", server.1.into()),
            ("BASE_REF", "".into()),
            ("ENV", at("files/env").into()),
            ("EVENT_NAME", "schedule".into()),
            ("EVENT_PATH", at("files/event.json").into()),
            ("HEAD_REF", "".into()),
            ("JOB", "update".into()),
            ("PATH", at("files/path").into()),
            ("REF", "refs/heads/main".into()),
            ("REF_NAME", "main".into()),
            ("REF_TYPE", "branch".into()),
            ("REPOSITORY", slug.into()),
            ("REPOSITORY_OWNER", owner.into()),
            ("RETENTION_DAYS", "0".into()),
            ("RUN_ATTEMPT", "1".into()),
            ("RUN_ID", "17".into()),
            ("RUN_NUMBER", "17".into()),
            ("SERVER_URL", server.0.into()),
            ("SHA", head.into()),
            ("STATE", at("files/state").into()),
            ("STEP_SUMMARY", at("files/summary").into()),
            ("WORKFLOW", "Flake update".into()),
            (
                "WORKFLOW_REF",
                format!("{slug}/.github/workflows/flake-update.yml@refs/heads/main").into(),
            ),
            ("WORKSPACE", workspace.into()),
        ];
        let github = matches!(runner, Runner::Github | Runner::GithubContainer);
        if github {
            said.push(("GRAPHQL_URL", format!("{}/graphql", server.1).into()));
            said.push(("TRIGGERING_ACTOR", "alice".into()));
        } else {
            said.push(("TOKEN", job.token.clone().into()));
            job.set("GITEA_ACTIONS", "true");
            job.set("ACT", "true");
            job.set("ACTIONS_RUNTIME_TOKEN", "t0ken-of-the-runner");
        }
        if runner == Runner::Forgejo {
            job.set("FORGEJO_ACTIONS_RUNNER_VERSION", "v12.0.0");
            for (name, value) in &said {
                job.set(&format!("FORGEJO_{name}"), value);
            }
        }
        if runner == Runner::Gitea {
            // The token must be handed over there.
            said.retain(|(name, _)| *name != "TOKEN");
        }
        for (name, value) in said {
            job.set(&format!("GITHUB_{name}"), value);
        }
        job.set("CI", "true");
        job.set("RUNNER_OS", "Linux");
        job.set("RUNNER_ARCH", "X64");
        job.set("RUNNER_TEMP", at("temp"));
        job.set("RUNNER_TOOL_CACHE", at("tools"));
        if runner == Runner::GithubContainer {
            let home = env.write("runner/home/.keep", "");
            let home = home.parent().unwrap().to_owned();
            for dir in [&home, &job.workspace] {
                give_away(env, dir);
            }
            job.set("HOME", home);
        }
        job
    }

    /// Sets a variable for the job's steps.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Makes these programs of the surroundings be there too.
    pub(crate) fn tools(&mut self, env: &TestEnv, names: &[&str]) {
        for name in names {
            let real = env
                .which(name)
                .unwrap_or_else(|| panic!("{name} is not there"));
            symlink(real, self.bin.join(name)).unwrap();
        }
        self.set("PATH", self.bin.clone());
    }

    /// Makes one of two programs that download be there, and the other one not.
    pub(crate) fn tools_are_only(&mut self, env: &TestEnv, name: &str) {
        let bin = self.bin.with_file_name(format!("bin of {name}"));
        fs::create_dir(&bin).unwrap();
        for tool in TOOLS.iter().copied().chain([name]) {
            symlink(env.which(tool).unwrap(), bin.join(tool)).unwrap();
        }
        self.set("PATH", bin);
    }

    /// Makes a shell script be one of the programs.
    pub(crate) fn tool(&self, env: &TestEnv, name: &str, script: &str) {
        let path = self.bin.join(name);
        // Not through a link to the real one.
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).unwrap();
        }
        executable(env, &path, script);
    }

    /// Uses the action.
    pub(crate) fn uses(&self, env: &TestEnv, with: &[(&str, &str)]) -> Done {
        let mut of_steps = BTreeMap::new();
        let mut ended = BTreeMap::new();
        let mut failed = false;
        for step in &self.action.runs.steps {
            let with = self.inputs(with);
            let runs = match step.condition.as_deref() {
                None => true,
                Some("inputs.command != 'setup'") => with["command"] != "setup",
                Some(other) => panic!("a condition that no test knows: {other}"),
            };
            if !runs || failed {
                continue;
            }
            let output = env.output(&mut self.command(env, step, &with, &of_steps));
            failed = !output.status.success();
            ended.insert(step.id.clone(), output);
            of_steps.insert(step.id.clone(), outputs(&self.file("output")));
        }
        let outputs = self.action.outputs.iter().map(|(name, output)| {
            let value = evaluate(&output.value, &BTreeMap::new(), &of_steps, "");
            (name.clone(), value)
        });
        Done {
            outputs: outputs.collect(),
            get: ended.remove("get").unwrap(),
            run: ended.remove("run"),
            path: self.file("path").lines().map(PathBuf::from).collect(),
        }
    }

    /// Returns the command that runs a step, its files made anew.
    pub(crate) fn command(
        &self,
        env: &TestEnv,
        step: &Step,
        with: &BTreeMap<String, String>,
        of_steps: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Command {
        assert_eq!(step.shell, "bash");
        env.write("runner/files/output", "");
        if step.id == "get" {
            env.write("runner/files/path", "");
        }
        env.write("runner/files/summary", "");
        let script = env.write(format!("runner/temp/{}.sh", step.id), &step.run);
        let mut command = env.command(self.bin.join("bash"));
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(script)
            .current_dir(&self.workspace)
            .envs(&self.variables)
            .env("GITHUB_OUTPUT", env.dir().join("runner/files/output"));
        if matches!(self.runner, Runner::Forgejo | Runner::Gitea) {
            for (name, value) in with {
                command.env(format!("INPUT_{}", name.to_uppercase()), value);
            }
        }
        if self.runner == Runner::Forgejo {
            command.env("FORGEJO_OUTPUT", env.dir().join("runner/files/output"));
        }
        for (name, value) in &step.env {
            command.env(name, evaluate(value, with, of_steps, &self.token));
        }
        command
    }

    /// Returns every input: as it is given, or its default.
    pub(crate) fn inputs(&self, with: &[(&str, &str)]) -> BTreeMap<String, String> {
        let inputs = self.action.inputs.iter();
        let mut inputs: BTreeMap<_, _> = inputs
            .map(|(name, input)| (name.clone(), input.default.clone()))
            .collect();
        for (name, value) in with {
            let known = inputs.insert((*name).to_owned(), (*value).to_owned());
            assert!(known.is_some(), "there is no input {name}");
        }
        inputs
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.bin.with_file_name("files").join(name)).unwrap_or_default()
    }

    /// The directory for temporary files.
    pub(crate) fn temp(&self) -> PathBuf {
        self.bin.with_file_name("temp")
    }
}

/// Writes a shell script that can be run.
pub(crate) fn executable(env: &TestEnv, path: &Path, script: &str) {
    env.write(path, format!("#!/bin/sh\n{script}\n"));
    let mut chmod = env.command("chmod");
    let _out = env.output(chmod.arg("755").arg(path)).success();
}

/// Makes a directory somebody else's. Only root can; for others it stays theirs.
fn give_away(env: &TestEnv, dir: &Path) {
    let mut chown = env.command("chown");
    let _tried = env.output(chown.args(["-R", "12345:12345"]).arg(dir));
}

/// Evaluates a value as a runner does. An expression that no test knows is a failure.
fn evaluate(
    value: &str,
    inputs: &BTreeMap<String, String>,
    of_steps: &BTreeMap<String, BTreeMap<String, String>>,
    token: &str,
) -> String {
    let Some(expression) = value.strip_prefix("${{ ") else {
        assert!(!value.contains("${{"), "{value}");
        return value.to_owned();
    };
    let expression = expression.strip_suffix(" }}").unwrap();
    let parts: Vec<&str> = expression.split('.').collect();
    match parts[..] {
        ["inputs", name] => inputs[name].clone(),
        ["github", "token"] => token.to_owned(),
        ["steps", step, "outputs", name] => {
            let value = of_steps.get(step).and_then(|outputs| outputs.get(name));
            value.cloned().unwrap_or_default()
        }
        _ => panic!("an expression that no test knows: {expression}"),
    }
}

/// Reads a file of outputs: `NAME=VALUE`, or `NAME<<DELIMITER` and lines to the delimiter. The last one counts.
fn outputs(text: &str) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((name, delimiter)) = line.split_once("<<") {
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            outputs.insert(name.to_owned(), value.join("\n"));
        } else {
            let (name, value) = line.split_once('=').unwrap();
            outputs.insert(name.to_owned(), value.to_owned());
        }
    }
    outputs
}

/// Returns what an environment as `/proc` and `env -0` show it has.
pub(crate) fn entries(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes);
    text.split('\0')
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
