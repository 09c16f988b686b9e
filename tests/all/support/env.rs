//! The universe that a test's processes run in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{CommandOutput, Redactor};

/// How long one process may take. The slowest thing that a test does is to build the fleet twice, about 3 s.
const TIME_LIMIT: Duration = Duration::from_secs(240);

/// How long the output may stay open after the process has ended, held by something it left behind.
const OUTPUT_LIMIT: Duration = Duration::from_secs(10);

/// A scratch directory and an environment in which everything is below it.
///
/// The variables are those of `fixtures/fleet/env.sh`, with a fixed locale, time zone and width; of the surrounding
/// environment only `PATH` is kept, after the directory of the Nix to test with.
#[derive(Debug)]
pub(crate) struct TestEnv {
    scratch: TempDir,
    dir: PathBuf,
    vars: BTreeMap<OsString, OsString>,
}

impl TestEnv {
    /// Makes an empty scratch directory and the environment that belongs to it.
    pub(crate) fn new() -> Self {
        let mut scratch = tempfile::Builder::new()
            .prefix("flake-herald-test-")
            .tempdir()
            .expect("a scratch directory");
        if ambient("FLAKE_HERALD_TEST_KEEP").is_some() {
            scratch.disable_cleanup(true);
        }
        // The real path: Nix and git resolve links, and what they print is compared with it.
        let dir = scratch
            .path()
            .canonicalize()
            .expect("the scratch directory's path");
        let tmp = dir.join("tmp");
        fs::create_dir(&tmp).expect("a directory for temporary files");

        let mut path = ambient("FLAKE_HERALD_TEST_NIX").unwrap_or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push(ambient("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));

        let mut vars: BTreeMap<OsString, OsString> = [
            ("PATH", path),
            ("D", dir.clone().into()),
            ("TMPDIR", tmp.into()),
            ("COLUMNS", "100".into()),
            ("LANG", "C.UTF-8".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("USER", "tester".into()),
        ]
        .map(|(name, value)| (name.into(), value))
        .into();
        // The fleet's own scripts and what the tests run must agree, so there is one list of variables.
        let listed = program("sh")
            .args(["-euc", r#". "$1"; exec env -0"#, "sh"])
            .arg(fixtures().join("fleet/env.sh"))
            .env_clear()
            .envs(&vars)
            .output()
            .expect("sh runs");
        assert!(listed.status.success(), "fixtures/fleet/env.sh: {listed:?}");
        for entry in listed.stdout.split(|&byte| byte == 0) {
            let mut parts = entry.splitn(2, |&byte| byte == b'=');
            if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                vars.insert(
                    OsString::from_vec(name.to_vec()),
                    OsString::from_vec(value.to_vec()),
                );
            }
        }
        // What the shell sets for itself.
        for name in ["PWD", "OLDPWD", "SHLVL", "_"] {
            vars.remove(OsStr::new(name));
        }
        Self { scratch, dir, vars }
    }

    /// Returns the scratch directory, links resolved. In snapshots it is `$D`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns what a variable is set to for the processes started from now on.
    pub(crate) fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Sets a variable for the processes started from now on.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.vars.insert(name.into(), value.into());
    }

    /// Takes a variable away from the processes started from now on.
    pub(crate) fn unset(&mut self, name: &str) {
        self.vars.remove(OsStr::new(name));
    }

    /// Puts a directory in front of `PATH`.
    pub(crate) fn prepend_path(&mut self, dir: &Path) {
        let mut path = dir.as_os_str().to_owned();
        path.push(":");
        path.push(self.var("PATH").unwrap_or_default());
        self.set("PATH", path);
    }

    /// Returns where `PATH` leads for a program, if it does.
    pub(crate) fn which(&self, name: &str) -> Option<PathBuf> {
        self.var("PATH")?
            .as_bytes()
            .split(|&byte| byte == b':')
            .map(|dir| Path::new(OsStr::from_bytes(dir)).join(name))
            .find(|path| path.is_file())
    }

    /// Writes a file below the scratch directory, with the directories that lead to it, and returns its path.
    pub(crate) fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().expect("a file has a parent")).expect("directories");
        fs::write(&path, contents).expect("a file below the scratch directory");
        path
    }

    /// Returns a command in this environment, in the scratch directory, its input closed.
    pub(crate) fn command(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = program(name);
        command
            .env_clear()
            .envs(&self.vars)
            .current_dir(&self.dir)
            .stdin(Stdio::null());
        command
    }

    /// Returns a command that is the binary under test.
    pub(crate) fn binary(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_flake-herald"))
    }

    /// Returns the same command where signals do what they do by default: whoever runs the tests may have them ignored, as a
    /// shell does for what it starts in the background.
    pub(crate) fn heeding_signals(&self, command: &Command) -> Command {
        let mut heeding = self.command("env");
        heeding
            .arg("--default-signal")
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            heeding.current_dir(dir);
        }
        heeding
    }

    /// Runs the binary under test in the scratch directory.
    #[must_use = "snapshot the output, or assert its status with .success() or .code(n)"]
    pub(crate) fn run<I>(&self, args: I) -> CommandOutput
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.run_in(&self.dir, args)
    }

    /// Runs the binary under test in some directory.
    #[must_use = "snapshot the output, or assert its status with .success() or .code(n)"]
    pub(crate) fn run_in<I>(&self, dir: &Path, args: I) -> CommandOutput
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.output(self.binary().args(args).current_dir(dir))
    }

    /// Runs a command to its end and returns what it said.
    ///
    /// Panics when it takes too long, or leaves something behind that holds its output open.
    #[must_use = "snapshot the output, or assert its status with .success() or .code(n)"]
    pub(crate) fn output(&self, command: &mut Command) -> CommandOutput {
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child can be waited for") {
                break status;
            }
            if started.elapsed() > TIME_LIMIT {
                child.kill().expect("the child can be killed");
                let heard = stderr.recv_timeout(OUTPUT_LIMIT).unwrap_or_default();
                panic!("{command:?} still runs after {TIME_LIMIT:?}; it said:\n{heard}");
            }
            thread::sleep(Duration::from_millis(2));
        };
        let finish = |stream: mpsc::Receiver<String>| {
            stream.recv_timeout(OUTPUT_LIMIT).unwrap_or_else(|_| {
                panic!("{command:?} has ended, but something it left behind holds its output open")
            })
        };
        CommandOutput {
            status,
            stdout: finish(stdout),
            stderr: finish(stderr),
            redactor: Redactor::new(&self.dir),
        }
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if ambient("FLAKE_HERALD_TEST_KEEP").is_none() {
            // A store is read-only, and only root can remove something from a read-only directory.
            make_removable(self.scratch.path());
        }
    }
}

/// Returns the runner to follow workflows with.
pub(crate) fn act() -> PathBuf {
    ambient("FLAKE_HERALD_TEST_ACT")
        .expect("this test needs act: run scripts/test, which gets one")
        .into()
}

/// Returns the project's directory.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the directory `fixtures/` of the project.
pub(crate) fn fixtures() -> PathBuf {
    project().join("fixtures")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test starts processes itself: it looks at the binary from the outside"
)]
fn program(name: impl AsRef<OsStr>) -> Command {
    Command::new(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "which Nix and act to test with comes from scripts/test, and PATH from outside"
)]
fn ambient(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Reads a stream to its end, beside the caller.
fn collect(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before a broken read still tells more than nothing.
        let _read: io::Result<usize> = stream.read_to_end(&mut bytes);
        let _sent: Result<(), _> = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn make_removable(dir: &Path) {
    let Ok(meta) = fs::symlink_metadata(dir) else {
        return;
    };
    if !meta.is_dir() {
        return;
    }
    let mut permissions = meta.permissions();
    permissions.set_mode(permissions.mode() | 0o700);
    if fs::set_permissions(dir, permissions).is_err() {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        make_removable(&entry.path());
    }
}

mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_there_is_in_the_environment() {
        let mut env = TestEnv::new();
        env.set("EXTRA", "1");
        env.unset("USER");
        let out = env.output(env.command("sh").args(["-c", "env | sort"]));
        let names: Vec<&str> = out
            .stdout
            .lines()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name))
            .filter(|name| *name != "PWD" && *name != "_" && *name != "SHLVL")
            .collect();
        assert!(out.status.success());
        assert!(names.contains(&"NIX_STORE_DIR") && names.contains(&"EXTRA"));
        assert!(!names.contains(&"USER"));
        for name in names {
            let known = ["NIX_", "GIT_", "XDG_", "LC_"];
            let others = [
                "COLUMNS", "D", "EXTRA", "HOME", "LANG", "PATH", "TMPDIR", "TZ",
            ];
            assert!(
                known.iter().any(|prefix| name.starts_with(prefix)) || others.contains(&name),
                "{name} came in from outside"
            );
        }
        for name in ["HOME", "XDG_CACHE_HOME", "NIX_STORE_DIR", "TMPDIR"] {
            let value = env.var(name).expect("a variable of ours");
            assert!(Path::new(value).starts_with(env.dir()), "{name}");
        }
    }

    #[test]
    fn the_binary_runs_with_its_input_closed() {
        let env = TestEnv::new();
        let out = env.run(["--version"]).success();
        assert!(out.stdout.starts_with("flake-herald "), "{out}");
        let out = env.output(env.command("cat").current_dir("/"));
        assert_eq!(out.code(0).stdout, "");
    }

    #[test]
    fn a_program_is_found_where_path_says() {
        let mut env = TestEnv::new();
        let file = env.write("bin/sh", "");
        assert_ne!(env.which("sh"), Some(file.clone()));
        env.prepend_path(&env.dir().join("bin"));
        assert_eq!(env.which("sh"), Some(file));
        assert_eq!(env.which("no-such-program"), None);
    }

    #[test]
    fn a_read_only_scratch_directory_is_removed() {
        let env = TestEnv::new();
        let dir = env.dir().to_owned();
        let file = env.write("store/path/file", "x");
        let parent = file.parent().expect("a parent");
        fs::set_permissions(parent, fs::Permissions::from_mode(0o555)).expect("permissions");
        drop(env);
        assert!(!dir.exists());
    }
}
