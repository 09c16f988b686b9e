//! From a merged configuration to a command's result.

mod compare;
mod hosts;
mod next;
mod wishes;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::cli::{self, Command};
use crate::command::{Cancel, ChildEnvironment, Door, Removed};
use crate::config::value::PackagePattern;
use crate::config::{AccessTokens, Config, Environment, Origin, RunnerKind};
use crate::exit::{self, FailOn};
use crate::flake::Kind;
use crate::forge::room_beside;
use crate::nix;
use crate::report::{
    Outcome, Report, Sensitive, Status, Templates, defused, to_markdown, to_text, write_json,
};

use super::publish::{PublishError, Publishing};
use super::source::Source;
use super::{
    Context, Delivery, Error, Finished, LockSource, Machine, Progress, Request, Submodules,
};

use next::next_step;
use wishes::wishes;

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
    /// How many columns wide it is.
    pub width: usize,
    /// Whether styles (colours) are wanted there.
    pub styled: bool,
    /// The way to stop the run.
    pub cancel: &'a Cancel,
    /// Who hears how the run comes on.
    pub progress: Arc<dyn Progress>,
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
        // It holds what all steps hold, and is large.
        Command::Run | Command::Report => Box::pin(run_report(config, world)).await,
        Command::Publish => Box::pin(run_publish(config, world)).await,
        Command::Diff => compare::run_diff(config, world).await,
        Command::Snapshot => compare::run_snapshot(config, world).await,
        Command::Hosts => hosts::run_hosts(config, world).await,
        Command::Lock => run_lock(config, world).await,
    }
}

async fn run_report(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let mut request = request(config);
    let context = context(config, world);
    let mut delivery = delivery(config);
    let scratch = match super::files::scratch() {
        Ok(scratch) => scratch,
        Err(error) => return failed(&delivery, error),
    };
    let looked = async {
        if let Some(file) = &config.hosts.plan {
            hosts::follow_plan(&mut request, config, &file.value)?;
        }
        // It may lie where the results go.
        let given = match &request.lock {
            LockSource::Given(file) => vec![file.clone()],
            LockSource::Staged | LockSource::Tree => Vec::new(),
        };
        delivery.prepare(&request, &given)?;
        let preview = preview(config)?;
        // What would keep the result from being published is found before hours of building.
        let publishing = if config.publishes() {
            let wishes = wishes(config)?;
            let flake = Source::find(&request)?.path;
            tracing::info!(target: super::STEP, "Looking at the forge");
            Some(Publishing::prepare(wishes, &flake, &context, scratch.path()).await?)
        } else {
            None
        };
        let finished = super::report(&request, &context, delivery.logs().as_deref()).await?;
        let ending = match (publishing, preview) {
            (Some(publishing), _) => Ending::Publish(Box::new(publishing)),
            (None, Some(texts)) => Ending::Preview(texts),
            (None, None) => Ending::Report,
        };
        Ok((ending, finished))
    };
    match looked.await {
        Ok((ending, finished)) => finish(config, world, &delivery, &ending, finished).await,
        Err(error) => failed(&delivery, error),
    }
}

/// What becomes of a report besides being handed to its reader.
enum Ending {
    /// Nothing.
    Report,
    /// The texts of its pull request are written, and nobody gets them.
    Preview(Templates),
    /// It is published.
    Publish(Box<Publishing>),
}

/// Returns the texts of the pull request that `run --dry-run` does not open, read as those of one that it would: what is wrong with
/// them is found before the work. `report` may run where the file of a template is not.
fn preview(config: &Config) -> Result<Option<Templates>, Error> {
    if config.command != Command::Run || config.publishes() {
        return Ok(None);
    }
    let texts = wishes::templates(config)?;
    texts.check().map_err(PublishError::from)?;
    Ok(Some(texts))
}

/// Tells the runner of an error that ended the run before there was a result.
fn failed(delivery: &Delivery, error: Error) -> Result<u8, Error> {
    // It may be that very file that cannot be written, and the error says so.
    drop(delivery.fail(exit::of_error(&error)));
    Err(error)
}

async fn run_publish(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let request = request(config);
    let context = context(config, world);
    let mut delivery = delivery(config);
    let scratch = match super::files::scratch() {
        Ok(scratch) => scratch,
        Err(error) => return failed(&delivery, error),
    };
    let looked = async {
        // Before the directory for the results is cleared, which may be the one that holds the reports.
        let (paths, output) = (config.operands.clone(), delivery.directory.clone());
        let (mut report, mut inputs) = unless_stopped(world.cancel, move || {
            super::publish::gather(&paths, output.as_deref())
        })
        .await?;
        let lock_path = config
            .update
            .lock
            .as_ref()
            .map(|lock| lock.value.clone())
            .unwrap_or_default();
        let path = lock_path.clone();
        let lock = unless_stopped(world.cancel, move || {
            std::fs::read(&path).map_err(|source| Error::file(&path, source))
        })
        .await?;
        inputs.push(lock_path);
        delivery.prepare(&request, &inputs)?;
        let flake = request
            .flake
            .canonicalize()
            .map_err(|source| Error::file(&request.flake, source))?;
        tracing::info!(target: super::STEP, "Looking at the forge");
        let publishing =
            Publishing::prepare(wishes(config)?, &flake, &context, scratch.path()).await?;
        publishing.check(&mut report, &lock)?;
        let finished = Finished {
            report,
            lock,
            lock_path: flake.join("flake.lock"),
        };
        Ok((Ending::Publish(Box::new(publishing)), finished))
    };
    match looked.await {
        Ok((ending, finished)) => finish(config, world, &delivery, &ending, finished).await,
        Err(error) => failed(&delivery, error),
    }
}

/// Reads files that somebody named, until the run is told to stop: a pipe that nobody writes to is never read to its end.
async fn unless_stopped<T: Send + 'static>(
    cancel: &Cancel,
    read: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (send, result) = tokio::sync::oneshot::channel();
    // A thread of its own: at its end a runtime waits for those that it has itself.
    std::thread::Builder::new()
        .spawn(move || drop(send.send(read())))
        .map_err(|source| Error::file(Path::new("a thread for reading files"), source))?;
    tokio::select! {
        biased;
        result = result => result.unwrap_or_else(|gone| {
            Err(Error::file(
                Path::new("a thread for reading files"),
                io::Error::other(gone),
            ))
        }),
        stop = cancel.cancelled() => Err(Error::Stopped(stop)),
    }
}

/// Publishes a report where that is wanted, and hands it to whoever reads it.
async fn finish(
    config: &Config,
    world: &mut Surroundings<'_>,
    delivery: &Delivery,
    ending: &Ending,
    finished: Finished,
) -> Result<u8, Error> {
    let Finished {
        mut report,
        lock,
        lock_path,
    } = finished;
    let fail_on = match config.output.fail_on.value {
        cli::FailOn::Broken => FailOn::Broken,
        cli::FailOn::Any => FailOn::Any,
        cli::FailOn::Never => FailOn::Never,
    };
    let code = exit::of_report(&report, fail_on);
    let nothing_checked = exit::nothing_checked(&report);
    let mut failed = None;
    match ending {
        Ending::Publish(publishing) if !nothing_checked => {
            tracing::info!(target: super::STEP, "Publishing");
            match publishing.publish(&report, &lock).await {
                Ok(published) => report.pull_request = Some(published.into_info(publishing)),
                Err(error) => failed = Some(Error::from(error)),
            }
        }
        Ending::Preview(texts) if !nothing_checked => failed = previewed(config, texts, &report),
        Ending::Report | Ending::Preview(_) | Ending::Publish(_) => {}
    }
    let code = failed.as_ref().map_or(code, exit::of_error);
    // The step is over: what follows is the result, and no part of a folded group.
    tracing::info!(target: super::STEP, "");
    if let Some(pull) = &report.pull_request {
        for warning in &pull.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!("{}", pull.sentence());
    }
    // Hours may have gone into it: where one way to its reader fails, the other is still tried.
    let delivered = delivery.deliver(&report, &lock, code);
    let printed = print_report(world, config, &report);
    if let Err(error) = delivered.and(printed) {
        // The runner may have been told otherwise; of two values the later one counts. That it cannot be told is said below.
        drop(delivery.fail(exit::ERROR));
        return Err(error);
    }
    let stopped = failed.as_ref().and_then(Error::stopped).is_some();
    if config.update.write_lock.value
        && !stopped
        && report.outcome != Outcome::LockUnchanged
        && let Err(error) = super::files::replace(&lock_path, &lock)
    {
        drop(delivery.fail(exit::ERROR));
        return Err(error);
    }
    // Forgejo's runner throws the summary away; the log is what is left for a reader.
    if config
        .runner
        .as_ref()
        .is_some_and(|runner| runner.kind == RunnerKind::Forgejo)
    {
        tracing::info!("digest of the report: {}", report.digest);
    }
    match failed {
        Some(error) => Err(error),
        None if nothing_checked => Err(Error::NothingChecked {
            skipped: report
                .hosts
                .iter()
                .all(|host| host.status == Status::Skipped),
        }),
        None => {
            if let Some(next) = next_step(config, world, &report) {
                tracing::info!("{next}");
            }
            Ok(code)
        }
    }
}

/// Writes the texts of the pull request that a report calls for, and says its title where somebody wants another one than ours.
fn previewed(config: &Config, texts: &Templates, report: &Report) -> Option<Error> {
    let publish = &config.publish;
    if !super::publish::is_for_publishing(report, publish.publish_unchanged.value) {
        return None;
    }
    let room = room_beside("").unwrap_or_default();
    match texts.rehearse(report, room) {
        Ok(title) => {
            if publish.title.origin != Origin::Default {
                tracing::info!(target: super::STEP, "");
                tracing::info!("the title of its pull request would be: {title}");
            }
            None
        }
        Err(error) => Some(PublishError::from(error).into()),
    }
}

fn delivery(config: &Config) -> Delivery {
    let runner = config.runner.as_ref();
    Delivery {
        directory: config.output.dir.as_ref().map(|dir| dir.value.clone()),
        runner_output: runner
            .and_then(|r| r.output.as_ref())
            .map(|path| path.value.clone()),
        runner_summary: runner
            .and_then(|r| r.step_summary.as_ref())
            .map(|path| path.value.clone()),
    }
}

/// Returns a text without its styles, where they are not wanted.
fn styled_or_plain(world: &Surroundings<'_>, text: String) -> String {
    if world.styled {
        text
    } else {
        anstream::adapter::strip_str(&text).to_string()
    }
}

/// Prints the report in the format asked for.
fn print_report(
    world: &mut Surroundings<'_>,
    config: &Config,
    report: &Report,
) -> Result<(), Error> {
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
    let text = match format {
        cli::Format::Text => styled_or_plain(world, to_text(report, world.width)),
        cli::Format::Markdown => to_markdown(report),
        // In its one line no runner finds a command.
        cli::Format::Json => return printed(write_json(report, &mut *world.stdout)),
    };
    print(world, config, &text)
}

async fn run_lock(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let request = request(config);
    let context = context(config, world);
    let Some(output) = &config.update.output else {
        return Err(Error::NoOutput("lock"));
    };
    // A place that will not do is found before the work.
    drop(super::files::stage(output, Box::new(|_| Ok(())))?);
    let lock = super::lock(&request, &context).await?;
    super::files::replace(output, &lock.bytes)?;
    super::origin::write(output, &lock)?;
    Ok(if lock.differs {
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
    printed(
        world
            .stdout
            .write_all(text.as_bytes())
            .and_then(|()| world.stdout.flush()),
    )
}

fn printed(written: io::Result<()>) -> Result<(), Error> {
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
    let door = Door::new(children.with_fixed_settings(), world.cancel.clone());
    Context {
        door: match &config.build.run_timeout {
            Some(time) => door.with_run_time(time.value),
            None => door,
        },
        now: world.now,
        machine: world.machine,
        secrets: config
            .secrets()
            .iter()
            .map(|secret| secret.expose_secret().to_owned())
            .collect(),
        warnings: removed.iter().filter_map(nix_config_warning).collect(),
        progress: Arc::clone(&world.progress),
    }
}

/// Nix's own settings are missed where they go; other variables that hold a secret are not meant for Nix.
fn nix_config_warning(removed: &Removed) -> Option<String> {
    (removed.name == "NIX_CONFIG").then(|| {
        "NIX_CONFIG holds a secret, so Nix does not get it, for builders could read it: keep settings in nix.conf and tokens \
         in a file for --nix-access-token-file, or pass it on all the same with --pass-env NIX_CONFIG"
            .to_owned()
    })
}

fn workspace(config: &Config) -> Option<PathBuf> {
    let workspace = config.runner.as_ref()?.workspace.as_ref()?;
    Some(workspace.value.clone())
}

/// Returns the packages that matter for security.
fn sensitive(config: &Config) -> Sensitive {
    let patterns = config.publish.security_packages.value.iter();
    let globs: Vec<_> = patterns.map(PackagePattern::glob).cloned().collect();
    Sensitive::with(&globs)
}

fn request(config: &Config) -> Request {
    let (flake, hosts, update, build) =
        (&config.flake, &config.hosts, &config.update, &config.build);
    Request {
        flake: flake.dir.value.clone(),
        workspace: workspace(config),
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
        plan: None,
        exclude_hosts: hosts.exclude.value.clone(),
        default_excludes: !hosts.no_default_excludes.value,
        inputs: update.inputs.value.clone(),
        exclude_inputs: update.exclude_inputs.value.clone(),
        keep_unreachable: update.on_unreachable.value == cli::OnUnreachable::Keep,
        access_tokens: config.access_tokens.as_ref().map(AccessTokens::line),
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
        no_build: build.no_build.value,
        eval_jobs: build.eval_jobs.as_ref().map(|jobs| jobs.value.get()),
        eval_batch: build.eval_batch.as_ref().map(|batch| batch.value.get()),
        eval_memory: build.eval_memory.as_ref().map(|size| size.value.as_u64()),
        run_timeout: build.run_timeout.as_ref().map(|time| time.value),
        min_free: build.min_free.as_ref().map(|size| size.value.as_u64()),
        sensitive: sensitive(config),
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
