//! The configuration: flags over the environment over `flake-herald.toml` over what the runner says
//! over defaults, checked, and each value with where it came from.
//!
//! [`crate::cli::FLAGS`] names the keys. `layers` and [`mod@file`] turn what was said into words,
//! [`value`] turns words into values, in one way for all layers, and [`Config::merge`] puts them
//! together. All that is wrong is found at once and told together.

mod access;
pub mod ci;
mod environment;
mod error;
pub mod file;
pub mod keys;
mod layers;
mod origin;
mod resolve;
mod show;
pub mod value;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::SecretString;

pub use self::access::AccessTokens;
pub use self::ci::{CiRunner, RunnerKind};
pub use self::environment::Environment;
pub use self::error::{ConfigError, Problem, Warning};
use self::file::{ConfigFile, FILE_NAME};
use self::layers::Layers;
pub use self::origin::{Origin, Sourced};
use self::resolve::Resolver;
use self::show::Setting;
use self::value::{Author, HttpUrl, NixOption, PackagePattern, Slug, VariableName};
use crate::cli::{
    AutoMerge, Color, Command, CommitVia, Draft, FailOn, Forge, Format, Kind, LogFormat,
    MergeMethod, OnUnreachable, Parsed, RebaseWhen, Sign, Sort, StoreReader, Submodules,
};

/// The merged configuration. A value that nobody set and that has no fixed default is none.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to do.
    pub command: Command,
    /// Where the flake is.
    pub flake: FlakeConfig,
    /// Which hosts.
    pub hosts: HostsConfig,
    /// How the new lock comes about.
    pub update: UpdateConfig,
    /// How hosts are evaluated, built and read.
    pub build: BuildConfig,
    /// What `diff` shows, and how it ends.
    pub compare: CompareConfig,
    /// What is put out, and how.
    pub output: OutputConfig,
    /// How the pull request is made.
    pub publish: PublishConfig,
    /// What the command works on: the reports of `publish`, what `diff` compares, what `snapshot` writes.
    pub operands: Vec<PathBuf>,
    /// The runner this is a job of.
    pub runner: Option<CiRunner>,
    /// The forge's token from `FLAKE_HERALD_TOKEN`. The runner's own is [`CiRunner::token`].
    pub token: Option<Sourced<SecretString>>,
    /// The tokens for Nix's fetchers, from the file of `nix-access-token-file`.
    pub access_tokens: Option<AccessTokens>,
    /// What is odd about the configuration, to be told before the work starts.
    pub warnings: Vec<Warning>,
    secrets: Vec<SecretString>,
    settings: Vec<Setting>,
    file: Option<PathBuf>,
}

/// Where the flake is.
#[derive(Debug, Clone)]
pub struct FlakeConfig {
    /// `flake`: the directory of `flake.nix`.
    pub dir: Sourced<PathBuf>,
    /// `config`: the configuration file in place of the one beside `flake.nix`.
    pub config: Option<Sourced<PathBuf>>,
    /// `submodules`
    pub submodules: Sourced<Submodules>,
    /// `clone`: the repository to clone first.
    pub clone: Option<Sourced<String>>,
}

/// Which hosts, and what of them.
#[derive(Debug, Clone)]
pub struct HostsConfig {
    /// `host`: patterns of which a host must match one; empty for every host.
    pub include: Sourced<Vec<String>>,
    /// `exclude-host`: patterns that leave a host out, besides the default ones.
    pub exclude: Sourced<Vec<String>>,
    /// `no-default-excludes`: the default pattern does not count.
    pub no_default_excludes: Sourced<bool>,
    /// `kind`: each kind once. Empty only if there is an `attr`.
    pub kinds: Sourced<Vec<Kind>>,
    /// `attr`: attribute paths of derivations, or of sets of them.
    pub attrs: Sourced<Vec<String>>,
    /// `systems`: `hosts` evaluates each host's system.
    pub systems: Sourced<bool>,
    /// `plan`: the list of hosts that gives the scope.
    pub plan: Option<Sourced<PathBuf>>,
}

/// How the new lock comes about.
#[derive(Debug, Clone)]
pub struct UpdateConfig {
    /// `input`: the only inputs to update; empty for all.
    pub inputs: Sourced<Vec<String>>,
    /// `exclude-input`: inputs that stay as they are.
    pub exclude_inputs: Sourced<Vec<String>>,
    /// `on-unreachable`
    pub on_unreachable: Sourced<OnUnreachable>,
    /// `skip-update`: the commit's lock is compared with the working tree's.
    pub skip_update: Sourced<bool>,
    /// `lock`: the file to compare with; never set together with `skip-update`.
    pub lock: Option<Sourced<PathBuf>>,
    /// `write-lock`: the new lock is written into the working tree.
    pub write_lock: Sourced<bool>,
    /// `output`: where `lock` and `snapshot` write to; set for these commands.
    pub output: Option<Sourced<PathBuf>>,
}

/// How hosts are evaluated, built and read.
#[derive(Debug, Clone)]
pub struct BuildConfig {
    /// `no-build`: nothing is built.
    pub no_build: Sourced<bool>,
    /// `eval-jobs`: evaluations at the same time.
    pub eval_jobs: Option<Sourced<NonZeroUsize>>,
    /// `eval-batch`: hosts in one evaluation.
    pub eval_batch: Option<Sourced<NonZeroUsize>>,
    /// `eval-memory`: what evaluations may take together.
    pub eval_memory: Option<Sourced<ByteSize>>,
    /// `max-jobs`: Nix's setting of this name; 0 leaves all builds to other machines.
    pub max_jobs: Option<Sourced<u32>>,
    /// `run-timeout`: the longest time for the whole run.
    pub run_timeout: Option<Sourced<Duration>>,
    /// `build-timeout`: the longest time for one derivation.
    pub build_timeout: Option<Sourced<Duration>>,
    /// `min-free`: the disk space that must stay free.
    pub min_free: Option<Sourced<ByteSize>>,
    /// `accept-flake-config`
    pub accept_flake_config: Sourced<bool>,
    /// `pass-env`: variables that Nix and git see though they hold secrets.
    pub pass_env: Sourced<Vec<VariableName>>,
    /// `option`: settings for Nix, in the order to hand them over. Each name comes from one layer.
    pub options: Vec<Sourced<NixOption>>,
    /// `nix-access-token-file`
    pub access_token_file: Option<Sourced<PathBuf>>,
    /// `store-reader`
    pub store_reader: Sourced<StoreReader>,
}

/// What `diff` shows, and how it ends.
#[derive(Debug, Clone)]
pub struct CompareConfig {
    /// `selected`: only packages that the user chose.
    pub selected: Sourced<bool>,
    /// `sort`: the order of the rows.
    pub sort: Sourced<Sort>,
    /// `all`: nothing is folded.
    pub all: Sourced<bool>,
    /// `exit-code`: the exit code says whether something changes.
    pub exit_code: Sourced<bool>,
}

/// What is put out, and how.
#[derive(Debug, Clone)]
pub struct OutputConfig {
    /// `format`: of stdout; none: text on a terminal, else Markdown (`hosts` and `diff`: text).
    pub format: Option<Sourced<Format>>,
    /// `output-dir`: where reports and logs are written.
    pub dir: Option<Sourced<PathBuf>>,
    /// `fail-on`
    pub fail_on: Sourced<FailOn>,
    /// `color`
    pub color: Sourced<Color>,
    /// `log-format`
    pub log_format: Sourced<LogFormat>,
    /// `verbose` and `quiet`, of which the one from the higher layer counts.
    pub verbosity: Verbosity,
    /// `dry-run`: `run` stops after the report.
    pub dry_run: Sourced<bool>,
}

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// What is done.
    Normal,
    /// The details (`-v`).
    Verbose,
    /// Everything (`-vv` and more).
    Everything,
}

/// How the pull request is made.
#[derive(Debug, Clone)]
pub struct PublishConfig {
    /// `forge`
    pub forge: Sourced<Forge>,
    /// `server-url`, else the runner's.
    pub server_url: Option<Sourced<HttpUrl>>,
    /// `api-url`, else the runner's if the server is the runner's.
    pub api_url: Option<Sourced<HttpUrl>>,
    /// `repository`, else the runner's if the server is the runner's.
    pub repository: Option<Sourced<Slug>>,
    /// `token-file`
    pub token_file: Option<Sourced<PathBuf>>,
    /// `base`, else what the runner says.
    pub base: Option<Sourced<String>>,
    /// `branch`
    pub branch: Option<Sourced<String>>,
    /// `remote`
    pub remote: Option<Sourced<String>>,
    /// `title`: a template.
    pub title: Sourced<String>,
    /// `body-template`: a template's file.
    pub body_template: Option<Sourced<PathBuf>>,
    /// `commit-message`: a template.
    pub commit_message: Sourced<String>,
    /// `author`
    pub author: Option<Sourced<Author>>,
    /// `signoff`
    pub signoff: Sourced<bool>,
    /// `sign`
    pub sign: Sourced<Sign>,
    /// `signing-key-file`
    pub signing_key_file: Option<Sourced<PathBuf>>,
    /// `commit-via`
    pub commit_via: Sourced<CommitVia>,
    /// `label`
    pub labels: Sourced<Vec<String>>,
    /// `create-labels`
    pub create_labels: Sourced<bool>,
    /// `assignee`
    pub assignees: Sourced<Vec<String>>,
    /// `reviewer`
    pub reviewers: Sourced<Vec<String>>,
    /// `draft`
    pub draft: Sourced<Draft>,
    /// `auto-merge`
    pub auto_merge: Sourced<AutoMerge>,
    /// `merge-method`; none for the forge's own default.
    pub merge_method: Option<Sourced<MergeMethod>>,
    /// `rebase-when`
    pub rebase_when: Sourced<RebaseWhen>,
    /// `hold-label`
    pub hold_label: Sourced<String>,
    /// `keep-obsolete`
    pub keep_obsolete: Sourced<bool>,
    /// `publish-unchanged`
    pub publish_unchanged: Sourced<bool>,
    /// `cache-to`: Nix store URLs, `cachix://NAME` or `attic://CACHE`.
    pub caches: Sourced<Vec<String>>,
    /// `cache-required`
    pub cache_required: Sourced<bool>,
    /// `security-packages`: patterns of further packages that matter for security; only in the file.
    pub security_packages: Sourced<Vec<PackagePattern>>,
}

/// The title of the pull request and the subject of the commit, where nobody wants others.
const TITLE: &str = "chore: update flake inputs";

/// The least that evaluations may be given: Nix was seen to take 40 MB to find out that a host is there.
const LEAST_EVAL_MEMORY: ByteSize = ByteSize::mib(64);

/// The label that makes us leave a pull request alone.
const HOLD_LABEL: &str = "flake-herald:hold";

impl Config {
    /// Returns the configuration file that was read; none where there is none.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads the configuration file, if there is one, and merges it with the flags and variables. Commands that need no flake
    /// read only a file that is named, for they are used in whatever directory somebody is in.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them, a flake's directory that is none, or a file that
    /// cannot be read.
    pub fn load(parsed: &Parsed, environment: &Environment) -> Result<Self, ConfigError> {
        let (flake, config) = Self::places(parsed, environment);
        let has_flake = has_flake(parsed.command);
        let path = match &config {
            Some(config) => config.value.clone(),
            None if !has_flake => return Self::merge(parsed, environment, None),
            None if flake.as_os_str() == "." => PathBuf::from(FILE_NAME),
            None => flake.join(FILE_NAME),
        };
        if config.is_none() {
            check_dir(&flake)?;
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if config.is_none() && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let named_by = config.map(|config| config.origin);
                let reason = error.to_string();
                return Err(Problem::Unreadable {
                    path,
                    named_by,
                    reason,
                }
                .into());
            }
        };
        let file = bytes.as_deref().map(|bytes| ConfigFile {
            path: &path,
            bytes,
            named: config.is_some(),
        });
        let mut merged = Self::merge(parsed, environment, file.as_ref())?;
        if has_flake {
            check_dir(&merged.flake.dir)?;
        }
        merged.read_token_file()?;
        merged.read_access_token_file()?;
        Ok(merged)
    }

    /// Returns the flake's directory and the named configuration file, as flags and variables have
    /// them. What is wrong with them is found again by [`Self::merge`].
    fn places(
        parsed: &Parsed,
        environment: &Environment,
    ) -> (Sourced<PathBuf>, Option<Sourced<PathBuf>>) {
        let (environment, _, _) = layers::of_environment(environment);
        let mut resolver = Resolver::new(
            Layers {
                flags: layers::of_flags(parsed),
                environment,
                ..Layers::default()
            },
            None,
        );
        let flake = resolver.one("flake", PathBuf::from("."));
        (flake, resolver.optional("config"))
    }

    /// Merges flags, variables and the file's text, without looking at anything else.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn merge(
        parsed: &Parsed,
        environment: &Environment,
        file: Option<&ConfigFile<'_>>,
    ) -> Result<Self, ConfigError> {
        let (variables, warnings, mut problems) = layers::of_environment(environment);
        let mut layers = Layers {
            flags: layers::of_flags(parsed),
            environment: variables,
            ..Layers::default()
        };
        if let Some(file) = file {
            problems.extend(layers.add_file(file));
        }
        problems.extend(check_token(environment));
        let runner = CiRunner::detect(environment);
        let mut resolver = Resolver::new(layers, runner.as_ref());
        let mut config = Self {
            command: parsed.command,
            flake: flake(&mut resolver),
            hosts: hosts(&mut resolver),
            update: update(&mut resolver),
            build: build(&mut resolver),
            compare: compare(&mut resolver),
            output: output(&mut resolver),
            publish: publish(&mut resolver, runner.as_ref()),
            operands: parsed.operands.iter().map(PathBuf::from).collect(),
            token: ci::secret(environment, keys::TOKEN).map(|value| Sourced {
                value,
                origin: Origin::Environment(keys::TOKEN.to_owned()),
            }),
            access_tokens: None,
            secrets: ci::SECRET_VARIABLES
                .iter()
                .filter_map(|name| ci::secret(environment, name))
                .collect(),
            runner,
            warnings,
            settings: Vec::new(),
            file: file.map(|file| file.path.to_owned()),
        };
        config.check(&mut resolver);
        let (settings, found) = resolver.finish();
        problems.extend(found);
        config.settings = settings;
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { problems })
        }
    }

    /// Whether the command writes to a forge.
    pub fn publishes(&self) -> bool {
        match self.command {
            Command::Publish => true,
            Command::Run => !self.output.dry_run.value,
            Command::Report
            | Command::Diff
            | Command::Snapshot
            | Command::Hosts
            | Command::Lock
            | Command::Config => false,
        }
    }

    /// Reads the token's file, where the command needs a token and no variable from a higher layer holds one.
    fn read_token_file(&mut self) -> Result<(), Problem> {
        let Some(file) = self.publish.token_file.clone().filter(|_| self.publishes()) else {
            return Ok(());
        };
        if let Some(token) = &self.token {
            if token.origin.overrules(&file.origin) {
                return Ok(());
            }
            if !file.origin.overrules(&token.origin) {
                return Err(Problem::Contradiction {
                    first: "token-file",
                    first_origin: file.origin,
                    second: "token",
                    second_origin: token.origin.clone(),
                    why: "both give a token; leave one out".to_owned(),
                });
            }
        }
        let refused = |reason: String| Problem::Value {
            key: "token-file",
            origin: file.origin.clone(),
            reason,
        };
        let bytes = std::fs::read(&file.value)
            .map_err(|error| refused(format!("{:?} cannot be read: {error}", file.value)))?;
        let text = str::from_utf8(&bytes).unwrap_or("\u{0}").trim();
        // Its contents are not repeated: they may be a secret all the same.
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(refused(format!(
                "{:?} holds no token: a token is one line without spaces",
                file.value
            )));
        }
        let secret = SecretString::from(text);
        self.secrets.push(secret.clone());
        self.token = Some(Sourced {
            value: secret,
            origin: file.origin,
        });
        Ok(())
    }

    /// Reads the file with tokens for Nix's fetchers, where the command fetches.
    fn read_access_token_file(&mut self) -> Result<(), Problem> {
        let fetches = match self.command {
            Command::Run | Command::Report | Command::Hosts | Command::Lock => true,
            Command::Publish | Command::Diff | Command::Snapshot | Command::Config => false,
        };
        let Some(file) = self.build.access_token_file.clone().filter(|_| fetches) else {
            return Ok(());
        };
        let refused = |reason: String| Problem::Value {
            key: "nix-access-token-file",
            origin: file.origin.clone(),
            reason: format!("{:?} {reason}", file.value),
        };
        let bytes = std::fs::read(&file.value)
            .map_err(|error| refused(format!("cannot be read: {error}")))?;
        let tokens = AccessTokens::parse(&bytes).map_err(refused)?;
        self.secrets.extend(tokens.secrets().cloned());
        self.access_tokens = Some(tokens);
        Ok(())
    }

    /// Returns every secret that the environment and the files of tokens are known to hold, to be kept out of children's
    /// environments and of texts. A variable that is not UTF-8 is not among them.
    pub fn secrets(&self) -> &[SecretString] {
        &self.secrets
    }

    /// Finds settings that make no sense together.
    fn check(&self, resolver: &mut Resolver) {
        if self.hosts.kinds.is_empty() && self.hosts.attrs.is_empty() {
            let reason = "without a kind and without `attr` there are no hosts".to_owned();
            resolver.refuse("kind", &self.hosts.kinds.origin, reason);
        }
        if let Some(memory) = &self.build.eval_memory
            && memory.value < LEAST_EVAL_MEMORY
        {
            let reason = format!(
                "{} is less than Nix takes itself; at least {} it must be",
                memory.value, LEAST_EVAL_MEMORY
            );
            resolver.refuse("eval-memory", &memory.origin, reason);
        }
        if matches!(self.command, Command::Lock | Command::Snapshot) && self.update.output.is_none()
        {
            resolver.problem(Problem::Missing {
                command: self.command.name(),
                key: "output",
            });
        }
        if self.command == Command::Publish && self.update.lock.is_none() {
            resolver.problem(Problem::Missing {
                command: self.command.name(),
                key: "lock",
            });
        }
        if let (Command::Hosts, Some(format)) = (self.command, &self.output.format)
            && format.value == Format::Markdown
            && matches!(format.origin, Origin::Flag(_))
        {
            // In the file or the environment it is meant for the report, and the list stays text.
            let reason = "`hosts` lists as text or json".to_owned();
            resolver.refuse("format", &format.origin, reason);
        }
        if matches!(
            self.command,
            Command::Run | Command::Report | Command::Config
        ) {
            self.check_update(resolver);
        }
        for name in self.update.inputs.iter() {
            if self.update.exclude_inputs.contains(name) {
                resolver.problem(Problem::Contradiction {
                    first: "input",
                    first_origin: self.update.inputs.origin.clone(),
                    second: "exclude-input",
                    second_origin: self.update.exclude_inputs.origin.clone(),
                    why: format!("both name {name:?}"),
                });
            }
        }
    }

    /// Finds settings that are moot because there is no update.
    fn check_update(&self, resolver: &mut Resolver) {
        let update = &self.update;
        let skip = update
            .skip_update
            .value
            .then_some(&update.skip_update.origin);
        let lock = update.lock.as_ref().map(|lock| &lock.origin);
        if let (Some(skip), Some(lock)) = (skip, lock) {
            resolver.problem(Problem::Contradiction {
                first: "skip-update",
                first_origin: skip.clone(),
                second: "lock",
                second_origin: lock.clone(),
                why: "the new lock is either the working tree's or that file; leave one out, or overrule \
                      the first with --skip-update=false"
                    .to_owned(),
            });
        }
        let inputs = &update.inputs;
        let excludes = &update.exclude_inputs;
        let moot = [
            (
                "input",
                &inputs.origin,
                !inputs.is_empty(),
                "nothing is updated, so no input can be chosen",
            ),
            (
                "exclude-input",
                &excludes.origin,
                !excludes.is_empty(),
                "nothing is updated, so no input can be left out",
            ),
        ];
        for (first, first_origin) in [("skip-update", skip), ("lock", lock)] {
            let Some(first_origin) = first_origin else {
                continue;
            };
            let write = (
                "write-lock",
                &update.write_lock.origin,
                update.write_lock.value && first == "skip-update",
                "the new lock is the working tree's already",
            );
            for (second, second_origin, is_set, why) in moot.into_iter().chain([write]) {
                // A flag may make moot what the file says for every day, but not the other way round.
                if is_set && !first_origin.overrules(second_origin) {
                    resolver.problem(Problem::Contradiction {
                        first,
                        first_origin: first_origin.clone(),
                        second,
                        second_origin: second_origin.clone(),
                        why: why.to_owned(),
                    });
                }
            }
        }
    }
}

/// Finds a token that no request could carry.
fn check_token(environment: &Environment) -> Option<Problem> {
    let value = environment.get_os(keys::TOKEN)?;
    let is_token = value
        .to_str()
        .is_some_and(|token| token.trim().chars().all(|c| c.is_ascii_graphic()));
    (!is_token).then(|| Problem::Value {
        key: "token",
        origin: Origin::Environment(keys::TOKEN.to_owned()),
        // Not repeated: it may be a secret all the same.
        reason: "the value has other characters in it than a token".to_owned(),
    })
}

/// Whether the command works on a flake.
fn has_flake(command: Command) -> bool {
    match command {
        Command::Run
        | Command::Report
        | Command::Publish
        | Command::Hosts
        | Command::Lock
        | Command::Config => true,
        Command::Diff | Command::Snapshot => false,
    }
}

fn check_dir(flake: &Sourced<PathBuf>) -> Result<(), Problem> {
    let dir: &Path = flake;
    if dir.is_dir() {
        return Ok(());
    }
    let reason = format!("{dir:?} is not a directory");
    Err(Problem::Value {
        key: "flake",
        origin: flake.origin.clone(),
        reason,
    })
}

fn flake(from: &mut Resolver) -> FlakeConfig {
    FlakeConfig {
        dir: from.one("flake", PathBuf::from(".")),
        config: from.optional("config"),
        submodules: from.one("submodules", Submodules::default()),
        clone: from.optional("clone"),
    }
}

fn hosts(from: &mut Resolver) -> HostsConfig {
    let mut kinds = from.list("kind", vec![Kind::default()]);
    let mut seen = Vec::new();
    kinds.value.retain(|kind| {
        let is_new = !seen.contains(kind);
        seen.push(*kind);
        is_new
    });
    HostsConfig {
        include: from.list("host", Vec::new()),
        exclude: from.list("exclude-host", Vec::new()),
        no_default_excludes: from.one("no-default-excludes", false),
        kinds,
        attrs: from.list("attr", Vec::new()),
        systems: from.one("systems", false),
        plan: from.optional("plan"),
    }
}

fn update(from: &mut Resolver) -> UpdateConfig {
    UpdateConfig {
        inputs: from.list("input", Vec::new()),
        exclude_inputs: from.list("exclude-input", Vec::new()),
        on_unreachable: from.one("on-unreachable", OnUnreachable::default()),
        skip_update: from.one("skip-update", false),
        lock: from.optional("lock"),
        write_lock: from.one("write-lock", false),
        output: from.optional("output"),
    }
}

fn build(from: &mut Resolver) -> BuildConfig {
    BuildConfig {
        no_build: from.one("no-build", false),
        eval_jobs: from.optional("eval-jobs"),
        eval_batch: from.optional("eval-batch"),
        eval_memory: from.optional("eval-memory"),
        max_jobs: from.optional("max-jobs"),
        run_timeout: from.optional("run-timeout"),
        build_timeout: from.optional("build-timeout"),
        min_free: from.optional("min-free"),
        accept_flake_config: from.one("accept-flake-config", false),
        pass_env: from.list("pass-env", Vec::new()),
        options: from.options("option"),
        access_token_file: from.optional("nix-access-token-file"),
        store_reader: from.one("store-reader", StoreReader::default()),
    }
}

fn compare(from: &mut Resolver) -> CompareConfig {
    CompareConfig {
        selected: from.one("selected", false),
        sort: from.one("sort", Sort::default()),
        all: from.one("all", false),
        exit_code: from.one("exit-code", false),
    }
}

fn output(from: &mut Resolver) -> OutputConfig {
    let verbose = from.one("verbose", 0_u32);
    let quiet = from.one("quiet", false);
    OutputConfig {
        format: from.optional("format"),
        dir: from.optional("output-dir"),
        fail_on: from.one("fail-on", FailOn::default()),
        color: from.one("color", Color::default()),
        log_format: from.one("log-format", LogFormat::default()),
        verbosity: verbosity(&verbose, &quiet, from),
        dry_run: from.one("dry-run", false),
    }
}

fn verbosity(verbose: &Sourced<u32>, quiet: &Sourced<bool>, resolver: &mut Resolver) -> Verbosity {
    let loud = match verbose.value {
        0 => Verbosity::Normal,
        1 => Verbosity::Verbose,
        _ => Verbosity::Everything,
    };
    if !quiet.value || verbose.origin.overrules(&quiet.origin) {
        return loud;
    }
    if loud != Verbosity::Normal && !quiet.origin.overrules(&verbose.origin) {
        resolver.problem(Problem::Contradiction {
            first: "verbose",
            first_origin: verbose.origin.clone(),
            second: "quiet",
            second_origin: quiet.origin.clone(),
            why: "leave one out".to_owned(),
        });
    }
    Verbosity::Quiet
}

fn publish(from: &mut Resolver, runner: Option<&CiRunner>) -> PublishConfig {
    let server_url = from.filled(
        "server-url",
        runner.and_then(|runner| runner.server_url.clone()),
    );
    // With another server than the runner's, its API and repository are not the runner's either.
    let is_runners = server_url
        .as_ref()
        .is_some_and(|server| matches!(server.origin, Origin::Runner(_)));
    let here = runner.filter(|_| is_runners);
    PublishConfig {
        forge: from.one("forge", Forge::default()),
        server_url,
        api_url: from.filled("api-url", here.and_then(|runner| runner.api_url.clone())),
        repository: from.filled(
            "repository",
            here.and_then(|runner| runner.repository.clone()),
        ),
        token_file: from.optional("token-file"),
        base: from.filled("base", here.and_then(|runner| runner.base.clone())),
        branch: from.optional("branch"),
        remote: from.optional("remote"),
        title: from.one("title", TITLE.to_owned()),
        body_template: from.optional("body-template"),
        commit_message: from.one("commit-message", TITLE.to_owned()),
        author: from.optional("author"),
        signoff: from.one("signoff", false),
        sign: from.one("sign", Sign::default()),
        signing_key_file: from.optional("signing-key-file"),
        commit_via: from.one("commit-via", CommitVia::default()),
        labels: from.list("label", Vec::new()),
        create_labels: from.one("create-labels", false),
        assignees: from.list("assignee", Vec::new()),
        reviewers: from.list("reviewer", Vec::new()),
        draft: from.one("draft", Draft::default()),
        auto_merge: from.one("auto-merge", AutoMerge::default()),
        merge_method: from.optional("merge-method"),
        rebase_when: from.one("rebase-when", RebaseWhen::default()),
        hold_label: from.one("hold-label", HOLD_LABEL.to_owned()),
        keep_obsolete: from.one("keep-obsolete", false),
        publish_unchanged: from.one("publish-unchanged", false),
        caches: from.list("cache-to", Vec::new()),
        cache_required: from.one("cache-required", false),
        security_packages: from.list("security-packages", Vec::new()),
    }
}
