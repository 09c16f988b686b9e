//! From a merged configuration to a command's result.

use std::ffi::OsString;
use std::io::{self, Write};

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::cli::{self, Command};
use crate::command::{Cancel, ChildEnvironment, Door, Removed};
use crate::config::{Config, Environment, RunnerKind};
use crate::exit::{self, FailOn};
use crate::flake::{AttrPath, Kind, labels};
use crate::nix;
use crate::report::{
    ExcludedHost, Outcome, Report, Scope, defused, to_json, to_markdown, to_plain_text, to_text,
};

use super::{
    Context, Delivery, Error, Finished, HostList, LockSource, Machine, Request, Submodules,
};

/// What a command needs of the world, as values, so that a test can give others.
pub struct Surroundings<'a> {
    /// The environment's variables.
    pub environment: &'a Environment,
    /// When the run began.
    pub now: Timestamp,
    /// The machine.
    pub machine: Machine,
    /// Whether somebody looks at standard output.
    pub terminal: bool,
    /// Standard output.
    pub stdout: &'a mut dyn Write,
    /// Whether styles (colours) are wanted there.
    pub styled: bool,
    /// The way to stop the run.
    pub cancel: &'a Cancel,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("now", &self.now)
            .field("machine", &self.machine)
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

/// Runs the command of `config` and returns its exit code.
///
/// # Errors
///
/// What ends the run; [`exit::of_error`] has its code.
pub async fn run(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    match config.command {
        Command::Config => {
            print(world, config, &config.show())?;
            Ok(exit::CHANGED)
        }
        Command::Run if !config.output.dry_run.value => Err(Error::CannotPublish),
        Command::Run | Command::Report => run_report(config, world).await,
        Command::Hosts => run_hosts(config, world).await,
        Command::Lock => run_lock(config, world).await,
    }
}

async fn run_report(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let request = request(config);
    let context = context(config, world);
    let runner = config.runner.as_ref();
    let mut delivery = Delivery {
        directory: config.output.dir.as_ref().map(|dir| dir.value.clone()),
        runner_output: runner
            .and_then(|r| r.output.as_ref())
            .map(|path| path.value.clone()),
        runner_summary: runner
            .and_then(|r| r.step_summary.as_ref())
            .map(|path| path.value.clone()),
    };
    delivery.prepare(&request)?;
    let looked = super::report(&request, &context, delivery.logs().as_deref()).await;
    let Finished {
        report,
        lock,
        lock_path,
    } = match looked {
        Ok(finished) => finished,
        Err(error) => {
            delivery.fail(exit::of_error(&error))?;
            return Err(error);
        }
    };
    let fail_on = match config.output.fail_on.value {
        cli::FailOn::Broken => FailOn::Broken,
        cli::FailOn::Any => FailOn::Any,
        cli::FailOn::Never => FailOn::Never,
    };
    let code = exit::of_report(&report, fail_on);
    let text = rendered(config, &report, world);
    // The step is over: what follows is the result, and no part of a folded group.
    tracing::info!(target: super::STEP, "");
    print(world, config, &text)?;
    delivery.deliver(&report, &lock, code)?;
    if request.write_lock && report.outcome != Outcome::LockUnchanged {
        super::replace(&lock_path, &lock)?;
    }
    // Forgejo's runner throws the summary away; the log is what is left for a reader.
    if runner.is_some_and(|runner| runner.kind == RunnerKind::Forgejo) {
        tracing::info!("digest of the report: {}", report.digest);
    }
    if exit::nothing_checked(&report) {
        return Err(Error::NothingChecked);
    }
    Ok(code)
}

fn rendered(config: &Config, report: &Report, world: &Surroundings<'_>) -> String {
    let default = if world.terminal {
        cli::Format::Text
    } else {
        cli::Format::Markdown
    };
    let format = config
        .output
        .format
        .as_ref()
        .map_or(default, |format| format.value);
    match format {
        cli::Format::Text if world.styled => to_text(report),
        cli::Format::Text => to_plain_text(report),
        cli::Format::Markdown => to_markdown(report),
        cli::Format::Json => to_json(report),
    }
}

#[derive(Serialize)]
struct HostsJson<'a> {
    scope: &'a Scope,
    excluded: Vec<ExcludedHost>,
    hosts: Vec<HostJson<'a>>,
}

#[derive(Serialize)]
struct HostJson<'a> {
    id: String,
    kind: Kind,
    name: &'a str,
    attr: &'a AttrPath,
    system: Option<&'a str>,
}

async fn run_hosts(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let request = request(config);
    let context = context(config, world);
    let json = config
        .output
        .format
        .as_ref()
        .is_some_and(|format| format.value == cli::Format::Json);
    // As text there is a name a line, and no place for a system.
    let systems = json && config.hosts.systems.value;
    let list = super::hosts(&request, &context, systems).await?;
    let text = if json {
        hosts_json(&list)
    } else {
        hosts_text(&list)
    };
    print(world, config, &text)?;
    Ok(exit::CHANGED)
}

fn hosts_text(list: &HostList) -> String {
    let ids: Vec<_> = list
        .selection
        .hosts
        .iter()
        .map(|host| host.id.clone())
        .collect();
    let labels = labels(&ids);
    ids.iter()
        .filter_map(|id| labels.get(id))
        .map(|label| format!("{label}\n"))
        .collect()
}

fn hosts_json(list: &HostList) -> String {
    let json = HostsJson {
        scope: &list.scope,
        excluded: super::excluded(&list.selection.excluded),
        hosts: list
            .selection
            .hosts
            .iter()
            .zip(&list.systems)
            .map(|(host, system)| HostJson {
                id: host.id.to_string(),
                kind: host.id.kind,
                name: &host.id.name,
                attr: &host.attr,
                system: system.as_deref(),
            })
            .collect(),
    };
    let mut text = serde_json::to_string(&json).unwrap_or_default();
    text.push('\n');
    text
}

async fn run_lock(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let request = request(config);
    let context = context(config, world);
    let Some(output) = &config.update.output else {
        return Err(Error::NoOutput);
    };
    let (differs, bytes) = super::lock(&request, &context).await?;
    super::replace(output, &bytes)?;
    Ok(if differs {
        exit::CHANGED
    } else {
        exit::LOCK_UNCHANGED
    })
}

/// Prints a command's result. A reader who has seen enough (`| head`) is no error.
fn print(world: &mut Surroundings<'_>, config: &Config, text: &str) -> Result<(), Error> {
    let defused_text;
    let text = if config.runner.is_some() {
        defused_text = defused(text);
        &defused_text
    } else {
        text
    };
    let written = world
        .stdout
        .write_all(text.as_bytes())
        .and_then(|()| world.stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Stdout),
    }
}

fn context(config: &Config, world: &Surroundings<'_>) -> Context {
    let parent = world
        .environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let pass: Vec<String> = config
        .build
        .pass_env
        .value
        .iter()
        .map(|name| name.as_str().to_owned())
        .collect();
    let (children, removed) = ChildEnvironment::new(parent, config.secrets(), &pass);
    for variable in &removed {
        tracing::debug!("{} is kept from Nix and git", variable.name);
    }
    Context {
        door: Door::new(children.with_fixed_settings(), world.cancel.clone()),
        now: world.now,
        machine: world.machine,
        secrets: config
            .secrets()
            .iter()
            .map(|secret| secret.expose_secret().to_owned())
            .collect(),
        warnings: removed.iter().filter_map(nix_config_warning).collect(),
    }
}

/// Nix's own settings are missed where they go; other variables that hold a secret are not meant for Nix.
fn nix_config_warning(removed: &Removed) -> Option<String> {
    (removed.name == "NIX_CONFIG").then(|| {
        "NIX_CONFIG holds a secret, so Nix does not get it, for builders could read it: keep settings in nix.conf and tokens \
         in a file for --nix-access-token-file (not in this version yet), or pass it on all the same with --pass-env NIX_CONFIG"
            .to_owned()
    })
}

fn request(config: &Config) -> Request {
    let (flake, hosts, update, build) =
        (&config.flake, &config.hosts, &config.update, &config.build);
    Request {
        flake: flake.dir.value.clone(),
        kinds: hosts
            .kinds
            .value
            .iter()
            .map(|kind| match kind {
                cli::Kind::Nixos => Kind::Nixos,
                cli::Kind::Darwin => Kind::Darwin,
                cli::Kind::Home => Kind::Home,
            })
            .collect(),
        attrs: hosts.attrs.value.clone(),
        hosts: hosts.include.value.clone(),
        exclude_hosts: hosts.exclude.value.clone(),
        default_excludes: !hosts.no_default_excludes.value,
        inputs: update.inputs.value.clone(),
        exclude_inputs: update.exclude_inputs.value.clone(),
        submodules: match flake.submodules.value {
            cli::Submodules::Auto => Submodules::Auto,
            cli::Submodules::On => Submodules::On,
            cli::Submodules::Off => Submodules::Off,
        },
        lock: match &update.lock {
            Some(file) => LockSource::Given(file.value.clone()),
            None if update.skip_update.value => LockSource::Tree,
            None => LockSource::Staged,
        },
        write_lock: update.write_lock.value,
        eval_jobs: build.eval_jobs.as_ref().map(|jobs| jobs.value.get()),
        eval_batch: build.eval_batch.as_ref().map(|batch| batch.value.get()),
        nix: nix::Options::new(
            build
                .options
                .iter()
                .map(|option| (option.value.name.clone(), option.value.value.clone()))
                .collect(),
            build.accept_flake_config.value,
            build.max_jobs.as_ref().map(|jobs| jobs.value),
            build.build_timeout.as_ref().map(|limit| limit.value),
        ),
    }
}
