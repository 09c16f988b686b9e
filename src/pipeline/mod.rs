//! The whole flow, as code: the only room that knows the others.

mod commands;
mod compare;
mod deliver;
mod error;
mod files;
mod found;
mod home;
mod hosts;
mod judge;
mod locks;
mod origin;
mod progress;
mod publish;
mod request;
mod source;
mod update;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::command::{ChildEnvironment, Door};
use crate::flake::{AttrPath, Excluded, HostFilter, Selection};
use crate::nix::{self, Discovered, Nix};
use crate::report::{
    ExcludedHost, FlakeInfo, Fleet, HostReport, NixInfo, Outcome, Plan, Redactor, Report, SCHEMA,
    Scope, Side, Status, StepTiming, Timing, Tool,
};

pub use commands::{Surroundings, run};
pub use compare::{CompareError, OperandError};
pub use deliver::{Delivery, outputs};
pub use error::Error;
pub use progress::{Progress, ProgressEvent, Silent};
pub use publish::{PublishError, RunnerSays, Wishes};
pub use request::{LockSource, Machine, Request, Submodules};

use files::scratch;
use hosts::Looked;
use locks::Locks;
use progress::waiting;
use source::Source;

/// The target of the events that begin a step, which the log shows as a heading.
pub const STEP: &str = "flake_herald::step";

/// What a run needs from its surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// The way to other processes.
    pub door: Door,
    /// When the run began.
    pub now: Timestamp,
    /// The machine it runs on.
    pub machine: Machine,
    /// Secrets that must not be shown.
    pub secrets: Vec<String>,
    /// What is known before the run and belongs into the report's warnings.
    pub warnings: Vec<String>,
    /// Who hears how it comes on.
    pub progress: Arc<dyn Progress>,
}

/// What a run comes to.
#[derive(Debug)]
pub struct Finished {
    /// The report.
    pub report: Report,
    /// The bytes of the new lock.
    pub lock: Vec<u8>,
    /// Where the flake keeps its own.
    pub lock_path: PathBuf,
}

impl Context {
    /// Fails where the run was told to stop since the last process ended.
    async fn still_wanted(&self) -> Result<(), Error> {
        // A signal may have come with the end of that process. Once for the runtime to see it, once for who listens to it.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        match self.door.cancel().stopped() {
            Some(stop) => Err(Error::Stopped(stop)),
            None => Ok(()),
        }
    }
}

/// Finds the hosts, stages the update, builds both sides of every host and says what differs.
///
/// Neither the working tree nor the repository is touched; everything made on the way is below a temporary
/// directory, which is gone afterwards.
///
/// # Errors
///
/// What ends a run as a whole. A host that fails is a value in the report.
pub async fn report(
    request: &Request,
    context: &Context,
    logs: Option<&Path>,
) -> Result<Finished, Error> {
    // What is wrong with the question itself is found before anything is done.
    let attrs = request.attr_paths()?;
    let filter = request.filter()?;
    let scratch = scratch()?;
    let mut steps = Steps::new();
    let source = Source::find(request)?;
    let picked = match &request.plan {
        Some(plan) => {
            plan.fits(&source.dir)?;
            Some((plan, plan.pick(&request.hosts)?))
        }
        None => None,
    };
    let redactor = redactor(context, &source, scratch.path());

    steps.begin("inputs", request.lock.heading());
    if source.base_lock.is_none() && !source.lock_path().exists() {
        tracing::info!(
            "there is no flake.lock yet, so there is nothing to compare with: `nix flake lock` makes one to commit"
        );
    }
    let mut nix = connect(request, context, &source, scratch.path()).await?;
    let found = Box::pin(async {
        let discovered = nix.discover(
            &source.reference,
            &request.kinds,
            &attrs,
            context.machine.system,
        );
        tokio::try_join!(
            async { Ok::<Discovered, Error>(discovered.await?) },
            Locks::stage(&nix, &source, request, scratch.path()),
        )
    });
    // A first run fetches every input here, which can take minutes.
    let (discovered, locks) = waiting(
        &*context.progress,
        "Fetching inputs, looking for hosts",
        found,
    )
    .await?;
    let store_dir = discovered.store_dir.clone();
    let doubts = discovered.doubts.clone();
    let (hosts, excluded) = match picked {
        Some((plan, picked)) => {
            // Which place of several is taken, the plan has decided, on whichever machine.
            let mut hosts = discovered.hosts;
            hosts.extend(discovered.elsewhere);
            (Plan::select(&picked, hosts)?, plan.excluded.clone())
        }
        None => {
            let Selection { hosts, excluded } =
                found::select(&nix, &source, request, context, &filter, discovered).await?;
            (hosts, self::excluded(&excluded))
        }
    };

    let Looked {
        hosts: reports,
        warnings: told,
        to_build,
    } = if locks.same {
        Looked {
            hosts: hosts.iter().map(unchanged).collect(),
            ..Looked::default()
        }
    } else {
        hosts::look(hosts::Look {
            nix: &mut nix,
            source: &source,
            locks: &locks,
            hosts: &hosts,
            filter: &filter,
            request,
            machine: &context.machine,
            progress: &context.progress,
            scratch: scratch.path(),
            logs,
            redactor: &redactor,
            steps: &mut steps,
        })
        .await?
    };
    steps.end();

    let mut warnings: Vec<String> = context.warnings.clone();
    warnings.extend(source.warnings.iter().cloned());
    // A host may be missing for it, which a reader of the report has to know, whichever job of a matrix made it.
    warnings.extend(doubts);
    warnings.extend(nix.warnings());
    warnings.extend(locks.left.warnings.iter().cloned());
    warnings.extend(told);
    let (lock_notes, lock_notes_left_out) = locks.notes(&redactor);
    let mut report = Report {
        schema: SCHEMA,
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        nix: NixInfo {
            version: redactor.line(&nix.version().text),
            store_dir,
        },
        flake: FlakeInfo {
            dir: source.dir.clone(),
            rev: source.rev.clone(),
        },
        scope: match &request.plan {
            Some(plan) => plan.scope.clone(),
            None => scope(request, &source, &attrs),
        },
        inputs: locks.inputs(&redactor),
        lock_notes,
        lock_notes_left_out,
        lock: locks.info,
        outcome: Outcome::of(locks.same, &reports),
        built: !request.no_build,
        excluded,
        fleet: if request.no_build {
            Fleet::unbuilt(&reports, to_build)
        } else {
            Fleet::of(&reports)
        },
        hosts: reports,
        warnings: warnings
            .iter()
            .map(|warning| redactor.line(warning))
            .collect(),
        digest: String::new(),
        timing: steps.timing(context.now),
        pull_request: None,
        plan: request.plan.as_ref().map(Plan::planned),
    };
    report.seal();
    context.still_wanted().await?;
    Ok(Finished {
        report,
        lock: locks.after_bytes,
        lock_path: source.lock_path(),
    })
}

/// The hosts that would be looked at.
#[derive(Debug, Clone)]
pub struct HostList {
    /// What was asked for.
    pub scope: Scope,
    /// The hosts wanted, those left out.
    pub selection: Selection,
    /// The system of each host wanted, where that was asked for and it evaluates.
    pub systems: Vec<Option<String>>,
}

/// Finds the hosts that would be looked at; evaluates them only where `systems` are asked for.
///
/// # Errors
///
/// As [`report`].
pub async fn hosts(request: &Request, context: &Context, systems: bool) -> Result<HostList, Error> {
    let filter = request.filter()?;
    let attrs = request.attr_paths()?;
    let scratch = scratch()?;
    let source = Source::find(request)?;
    let nix = connect(request, context, &source, scratch.path()).await?;
    let found = Box::pin(nix.discover(
        &source.reference,
        &request.kinds,
        &attrs,
        context.machine.system,
    ));
    let discovered = waiting(&*context.progress, "Looking for hosts", found).await?;
    for doubt in &discovered.doubts {
        tracing::warn!("{doubt}");
    }
    let selection = found::select(&nix, &source, request, context, &filter, discovered).await?;
    found::hint_at_installers(request, &filter, &selection.hosts, |_| false);
    let systems = if systems {
        hosts::systems(
            &nix,
            &source,
            &selection.hosts,
            request,
            context,
            scratch.path(),
        )
        .await?
    } else {
        vec![None; selection.hosts.len()]
    };
    context.still_wanted().await?;
    Ok(HostList {
        scope: scope(request, &source, &attrs),
        selection,
        systems,
    })
}

/// A lock staged on its own.
#[derive(Debug)]
pub struct StagedLock {
    /// It differs from the base's.
    pub differs: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where the flake keeps its own.
    pub lock_path: PathBuf,
    /// What it was made from, as the file beside it says; none where that is no commit.
    pub origin: Option<String>,
}

/// Stages the new lock and nothing else.
///
/// # Errors
///
/// As [`report`].
pub async fn lock(request: &Request, context: &Context) -> Result<StagedLock, Error> {
    let scratch = scratch()?;
    let source = Source::find(request)?;
    let nix = connect(request, context, &source, scratch.path()).await?;
    tracing::info!(target: STEP, "{}", request.lock.heading());
    let staged = Box::pin(Locks::stage(&nix, &source, request, scratch.path()));
    let locks = waiting(&*context.progress, "Fetching inputs", staged).await?;
    context.still_wanted().await?;
    let told = source.warnings.iter().chain(&locks.left.warnings);
    for warning in told.chain(&nix.warnings()) {
        tracing::warn!("{warning}");
    }
    let redactor = redactor(context, &source, scratch.path());
    Ok(StagedLock {
        differs: !locks.same,
        lock_path: source.lock_path(),
        origin: origin::text(request, &source, &locks.after_bytes, &locks.left, &redactor),
        bytes: locks.after_bytes,
    })
}

async fn connect(
    request: &Request,
    context: &Context,
    source: &Source,
    scratch: &Path,
) -> Result<Nix, Error> {
    tracing::debug!("the flake is {}", source.reference);
    let door = home::for_nix(&context.door, source, scratch)?;
    let options = with_access_tokens(request, door.environment(), scratch)?;
    Ok(Nix::connect(door, options).await?)
}

/// Returns the options with which Nix's fetchers have the tokens meant for them.
///
/// Neither an argument nor a variable holds them, for builders may be able to read those: Nix is told of a file, which is gone
/// with the run.
fn with_access_tokens(
    request: &Request,
    environment: &ChildEnvironment,
    scratch: &Path,
) -> Result<nix::Options, Error> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let options = request.nix.clone();
    let Some(setting) = &request.access_tokens else {
        return Ok(options);
    };
    let file = scratch.join("access-tokens.conf");
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut file| file.write_all(setting.expose_secret().as_bytes()))
        .map_err(|source| Error::file(&file, source))?;
    options
        .including(&file, environment.get("NIX_CONFIG"))
        .ok_or_else(|| Error::NoInclude(scratch.to_owned()))
}

fn scope(request: &Request, source: &Source, attrs: &[AttrPath]) -> Scope {
    Scope {
        id: String::new(),
        dir: source.dir.clone(),
        kinds: request.kinds.clone(),
        attrs: attrs.iter().map(ToString::to_string).collect(),
        hosts: request.hosts.clone(),
        exclude_hosts: HostFilter::effective_excludes(
            &request.exclude_hosts,
            request.default_excludes,
        ),
        inputs: request.inputs.clone(),
        exclude_inputs: request.exclude_inputs.clone(),
    }
    .identified()
}

/// Returns what hides secrets, and what differs between two runs over the same input: where they were, and on which
/// commit.
fn redactor(context: &Context, source: &Source, scratch: &Path) -> Redactor {
    let mut places = vec![(scratch.display().to_string(), "<tmp>".to_owned())];
    // A repository at the root would make every slash its name.
    if source.toplevel.parent().is_some() {
        places.push((source.toplevel.display().to_string(), "<flake>".to_owned()));
    }
    if let Some(rev) = &source.head {
        places.push((rev.clone(), "<rev>".to_owned()));
    }
    Redactor::new(context.secrets.clone(), places)
}

/// Returns the hosts left out as reports have them.
fn excluded(hosts: &[Excluded]) -> Vec<ExcludedHost> {
    hosts
        .iter()
        .map(|host| ExcludedHost {
            kind: host.id.kind,
            name: host.id.name.clone(),
            pattern: host.pattern.clone(),
        })
        .collect()
}

/// A host where the lock does not change: nothing of it was evaluated.
fn unchanged(host: &crate::flake::Host) -> HostReport {
    HostReport {
        name: host.id.name.clone(),
        kind: host.id.kind,
        attr: host.attr.to_string(),
        system: None,
        status: Status::Unchanged,
        reason: None,
        before: None::<Side>,
        after: None,
        diff: None,
        impact: None,
        failure: None,
    }
}

/// The steps of a run, with what each took.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
    current: Option<(&'static str, Instant)>,
    done: Vec<StepTiming>,
}

impl Steps {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            current: None,
            done: Vec::new(),
        }
    }

    /// Ends the step before and begins another, saying so in the log.
    pub(crate) fn begin(&mut self, name: &'static str, heading: &str) {
        self.end();
        tracing::info!(target: STEP, "{heading}");
        self.current = Some((name, Instant::now()));
    }

    fn end(&mut self) {
        if let Some((name, since)) = self.current.take() {
            self.done.push(StepTiming {
                name: name.to_owned(),
                ms: milliseconds(since),
            });
        }
    }

    fn timing(&self, started: Timestamp) -> Timing {
        Timing {
            started: started.to_string(),
            total_ms: milliseconds(self.started),
            steps: self.done.clone(),
        }
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
