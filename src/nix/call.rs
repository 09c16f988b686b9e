//! The spelling of every call, in one place, so that a difference between versions has one home.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use crate::closure::StorePath;
use crate::command::Cmd;
use crate::flake::FlakeRef;

use super::probe::{Spelling, Update};

/// What the user asked to be handed to every call.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--option NAME VALUE`, in order.
    settings: Vec<(String, String)>,
    /// The flake's accepted `nixConfig`, for the calls that read no flake.
    pub(super) flake_settings: Vec<(String, String)>,
    /// The flake's own `nixConfig` is trusted.
    pub accept_flake_config: bool,
    /// How many builds at once; Nix's own setting where none.
    max_jobs: Option<u32>,
    /// How long one build may take.
    build_timeout: Option<Duration>,
    /// `NIX_CONFIG` for the calls that fetch, where it is not the surroundings' own.
    config: Option<Hidden>,
}

/// A variable's value, which may hold secrets. `Debug` shows nothing of it.
#[derive(Clone)]
struct Hidden(OsString);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Options {
    /// Returns what `--option`, `--accept-flake-config`, `--max-jobs` and `--build-timeout` ask for.
    pub fn new(
        settings: Vec<(String, String)>,
        accept_flake_config: bool,
        max_jobs: Option<u32>,
        build_timeout: Option<Duration>,
    ) -> Self {
        Self {
            settings,
            flake_settings: Vec::new(),
            accept_flake_config,
            max_jobs,
            build_timeout,
            config: None,
        }
    }

    /// Returns the options with which the calls that fetch also read `file`, which is for settings that neither an argument
    /// nor a variable may hold. `config` is the `NIX_CONFIG` that they get without it.
    ///
    /// None where the path has a character that Nix's `include` cannot take.
    #[must_use]
    pub fn including(mut self, file: &Path, config: Option<&OsStr>) -> Option<Self> {
        let unfit = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'#';
        if file.as_os_str().as_bytes().iter().any(unfit) {
            return None;
        }
        let mut text = config.unwrap_or_default().to_owned();
        text.push("\ninclude ");
        text.push(file);
        self.config = Some(Hidden(text));
        Some(self)
    }
}

/// Flags of [`Options`] that both command lines take.
fn common(cmd: Cmd, options: &Options) -> Cmd {
    let mut cmd = cmd;
    for (name, value) in options.flake_settings.iter().chain(&options.settings) {
        cmd = cmd.arg("--option").arg(name).arg(value);
    }
    cmd
}

/// `nix`, with what every call of it needs.
fn nix(options: &Options) -> Cmd {
    let cmd = Cmd::new("nix")
        // Both are off unless nix.conf says otherwise, and nothing here works without them.
        .args(["--extra-experimental-features", "nix-command flakes"])
        // The default draws a progress bar over the messages that are read here.
        .args(["--log-format", "raw"]);
    let cmd = if options.accept_flake_config {
        cmd.arg("--accept-flake-config")
    } else {
        cmd
    };
    common(cmd, options)
}

/// `nix`, for calls that may fetch an input. Builders are no children of these, unless something is imported from a derivation.
fn fetching(options: &Options) -> Cmd {
    match &options.config {
        Some(Hidden(config)) => nix(options).env("NIX_CONFIG", config),
        None => nix(options),
    }
}

/// `nix-store`, whose calls need no experimental feature and print the same in every version.
fn nix_store(options: &Options) -> Cmd {
    common(Cmd::new("nix-store"), options)
}

/// Returns how long one build may take, as Nix counts: in whole seconds, and 0 is no limit at all.
fn build_limit(options: &Options) -> Option<String> {
    let limit = options.build_timeout?;
    Some(limit.as_secs().max(1).to_string())
}

/// An evaluation, which builds what it imports from derivations.
fn evaluating(options: &Options) -> Cmd {
    let cmd = fetching(options).args(["eval", "--json"]);
    match build_limit(options) {
        Some(limit) => cmd.args(["--option", "timeout", &limit]),
        None => cmd,
    }
}

/// Asks for the version. Opens no store.
pub(super) fn version() -> Cmd {
    Cmd::new("nix").arg("--version")
}

/// Asks for every command and its flags. Opens no store, and answers only if nothing else is on the command line.
pub(super) fn dump_cli() -> Cmd {
    Cmd::new("nix").arg("__dump-cli")
}

/// Asks for the settings in force.
pub(super) fn settings(options: &Options, spelling: Spelling) -> Cmd {
    let words: &[&str] = if spelling.config_show {
        &["config", "show"]
    } else {
        &["show-config"]
    };
    nix(options).args(words.iter().copied()).arg("--json")
}

/// Completes `base` where `flake.nix` moved on, into `into`; nothing else is updated.
pub(super) fn complete_lock(options: &Options, flake: &FlakeRef, base: &Path, into: &Path) -> Cmd {
    fetching(options)
        .args(["flake", "lock"])
        .arg(flake.as_str())
        .arg("--reference-lock-file")
        .arg(base)
        .arg("--output-lock-file")
        .arg(into)
}

/// Updates `inputs` (all where empty) into `into`; the working tree keeps its lock.
pub(super) fn update(
    options: &Options,
    spelling: Spelling,
    flake: &FlakeRef,
    inputs: &[String],
    into: &Path,
) -> Cmd {
    let cmd = match spelling.update {
        Update::Update => fetching(options)
            .args(["flake", "update", "--flake"])
            .arg(flake.as_str())
            .args(inputs),
        Update::Lock => {
            let cmd = fetching(options)
                .args(["flake", "lock"])
                .arg(flake.as_str());
            if inputs.is_empty() {
                cmd.arg("--recreate-lock-file")
            } else {
                inputs
                    .iter()
                    .fold(cmd, |cmd, input| cmd.arg("--update-input").arg(input))
            }
        }
    };
    cmd.arg("--output-lock-file").arg(into)
}

/// Applies `function` to the flake's outputs as its own lock has them.
pub(super) fn outputs(options: &Options, flake: &FlakeRef, function: &str) -> Cmd {
    evaluating(options)
        // A leading dot: exactly this path. Without it Nix looks into `packages.SYSTEM` first.
        .arg(format!("{flake}#."))
        .args(["--no-write-lock-file", "--apply", function])
}

/// Applies `function` to the flake's outputs as the lock in `lock` has them.
pub(super) fn outputs_locked(
    options: &Options,
    flake: &FlakeRef,
    lock: &Path,
    function: &str,
) -> Cmd {
    evaluating(options)
        .arg(format!("{flake}#."))
        .arg("--reference-lock-file")
        .arg(lock)
        // Unlike --no-write-lock-file this refuses a stale lock instead of quietly updating it.
        .arg("--no-update-lock-file")
        // It keeps nothing of what a function gives, only failures without their message.
        .arg("--no-eval-cache")
        .args(["--apply", function])
}

/// Reads the flake's `nixConfig` from its own file.
pub(super) fn flake_settings(options: &Options, file: &Path) -> Cmd {
    nix(options)
        .args(["eval", "--json", "--impure", "--file"])
        .arg(file)
        .args(["--apply", "flake: flake.nixConfig or { }"])
}

/// Roots the derivations themselves. Builds nothing, since no path has a `^`.
pub(super) fn root_derivations(options: &Options, link: &Path, derivations: &[&StorePath]) -> Cmd {
    nix(options)
        .args(["build", "--out-link"])
        .arg(link)
        .args(derivations.iter().map(|path| path.as_str()))
}

/// Asks what would be built and fetched.
pub(super) fn dry_run(options: &Options, derivations: &[&StorePath]) -> Cmd {
    nix_store(options)
        .args(["--realise", "--dry-run"])
        .args(derivations.iter().map(|path| path.as_str()))
}

/// Asks for derivations as data.
pub(super) fn show_derivations(options: &Options, derivations: &[&StorePath]) -> Cmd {
    nix(options)
        .args(["derivation", "show", "--stdin"])
        .stdin_bytes(lines(derivations))
}

/// Builds, going on after failures, and says what happens as data.
pub(super) fn realise(options: &Options, derivations: &[&StorePath]) -> Cmd {
    let mut cmd =
        nix_store(options).args(["--realise", "--keep-going", "--log-format", "internal-json"]);
    if let Some(jobs) = options.max_jobs {
        cmd = cmd.arg("--max-jobs").arg(jobs.to_string());
    }
    if let Some(limit) = build_limit(options) {
        cmd = cmd.arg("--timeout").arg(limit);
    }
    cmd.args(derivations.iter().map(|path| path.as_str()))
}

/// Asks which of `paths` are not valid.
pub(super) fn invalid(options: &Options, paths: &[&StorePath]) -> Cmd {
    nix_store(options)
        .args(["--check-validity", "--print-invalid"])
        .args(paths.iter().map(|path| path.as_str()))
}

/// Roots outputs that are valid.
pub(super) fn root_outputs(options: &Options, link: &Path, outputs: &[&StorePath]) -> Cmd {
    nix_store(options)
        .args(["--realise", "--add-root"])
        .arg(link)
        .args(outputs.iter().map(|path| path.as_str()))
}

/// Asks for the log of a build.
pub(super) fn log(options: &Options, derivation: &StorePath) -> Cmd {
    nix_store(options)
        .arg("--read-log")
        .arg(derivation.as_str())
}

/// Asks for every path of the closures of `roots`, each once.
pub(super) fn requisites(options: &Options, roots: &[&StorePath]) -> Cmd {
    nix_store(options)
        .args(["--query", "--requisites"])
        .args(roots.iter().map(|path| path.as_str()))
}

/// Asks for size, deriver and references of the paths on standard input, a record each.
pub(super) fn dump_db(options: &Options, paths: Vec<u8>) -> Cmd {
    nix_store(options)
        .args(["--dump-db", "--stdin"])
        .stdin_bytes(paths)
}

fn lines(paths: &[&StorePath]) -> Vec<u8> {
    let mut text = Vec::new();
    for path in paths {
        text.extend_from_slice(path.as_str().as_bytes());
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_variable_holds_is_not_shown() {
        let options = Options::default()
            .including(
                Path::new("/x"),
                Some(OsStr::new("access-tokens = h=s3cr3t")),
            )
            .unwrap();
        assert!(!format!("{options:?}").contains("s3cr3t"), "{options:?}");
    }
}
