//! What the update does to each host: evaluate both sides, build what differs, read and compare the closures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::closure::{self, Closures, Graph, StorePath, diff};
use crate::flake::Host;
use crate::nix::{
    Built, Derivation, EvalFailure, EvalResult, Fault, Nix, NixError, Unbuildable, unbuildable,
};
use crate::report::{Failure, HostReport, Redactor, Side, SideName, Stage, Status};

use super::judge::{BuildState, FailedBuild, SideState, Verdict, judge};
use super::locks::Locks;
use super::request::{Machine, Request};
use super::source::Source;
use super::{Error, Steps};

/// Everything that looking at the hosts takes.
pub(super) struct Look<'a> {
    pub nix: &'a mut Nix,
    pub source: &'a Source,
    pub locks: &'a Locks,
    pub hosts: &'a [Host],
    pub request: &'a Request,
    pub machine: &'a Machine,
    /// Where garbage-collector roots stand until the report is done.
    pub scratch: &'a Path,
    /// Where whole logs of failed builds go.
    pub logs: Option<&'a Path>,
    pub redactor: &'a Redactor,
    pub steps: &'a mut Steps,
}

/// The two sides of a host.
struct Sides {
    before: SideState,
    after: SideState,
}

impl Sides {
    /// Whether evaluation alone proves that nothing changes.
    fn equal(&self) -> bool {
        match (self.before.evaluated(), self.after.evaluated()) {
            (Some(before), Some(after)) => before.out == after.out,
            _ => false,
        }
    }

    fn each(&self) -> [&SideState; 2] {
        [&self.before, &self.after]
    }

    fn each_mut(&mut self) -> [&mut SideState; 2] {
        [&mut self.before, &mut self.after]
    }
}

/// Returns a report for each host, in the hosts' order, and what a reader should know of how they were made.
pub(super) async fn look(look: Look<'_>) -> Result<(Vec<HostReport>, Vec<String>), Error> {
    look.steps.begin(
        "evaluate",
        &format!(
            "Evaluating {}, before and after",
            count(look.hosts.len(), "host")
        ),
    );
    let mut sides = evaluate(&look).await?;

    let differ: Vec<usize> = (0..sides.len())
        .filter(|at| !sides.get(*at).is_some_and(Sides::equal))
        .collect();
    let derivations: BTreeSet<StorePath> = differ
        .iter()
        .filter_map(|at| sides.get(*at))
        .flat_map(Sides::each)
        .filter_map(SideState::evaluated)
        .map(|evaluated| evaluated.drv.clone())
        .collect();
    let mut warnings = Vec::new();
    if !derivations.is_empty() {
        look.steps.begin(
            "build",
            &format!("Building what differs on {}", count(differ.len(), "host")),
        );
        let file = look.source.path.join("flake.nix");
        let states = build(
            look.nix,
            &file,
            &derivations,
            &sides,
            look.scratch,
            &mut warnings,
        )
        .await?;
        for side in sides.iter_mut().flat_map(Sides::each_mut) {
            if let SideState::Evaluated(evaluated, state) = side
                && let Some(found) = states.get(&evaluated.drv)
            {
                *state = found.clone();
            }
        }
    }
    let (nix, redactor) = (&*look.nix, look.redactor);
    let verdicts: Vec<Verdict> = sides
        .iter()
        .map(|side| judge(&side.before, &side.after))
        .collect();

    // Unchanged hosts cost no read; a host without its other side has nothing to compare with.
    let roots: BTreeSet<&StorePath> = sides
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| matches!(verdict.status, Status::Changed | Status::Mended))
        .flat_map(|(side, _)| side.each())
        .filter(|side| side.is_valid())
        .filter_map(SideState::evaluated)
        .map(|evaluated| &evaluated.out)
        .collect();
    let roots: Vec<&StorePath> = roots.into_iter().collect();
    let outputs: BTreeSet<&StorePath> = sides
        .iter()
        .flat_map(Sides::each)
        .filter(|side| side.is_valid())
        .filter_map(SideState::evaluated)
        .map(|evaluated| &evaluated.out)
        .collect();
    let holding = hold(nix, outputs, look.scratch);
    let (held, graph) = if roots.is_empty() {
        (holding.await?, None)
    } else {
        look.steps.begin("read", "Reading the closures");
        let (held, graph) = tokio::try_join!(holding, read(nix, &roots))?;
        (held, Some(graph))
    };
    warnings.extend(held);
    let closures = graph.as_ref().map(|graph| match graph {
        Ok(graph) => graph.closures(roots).map_err(|error| error.to_string()),
        Err(words) => Err(words.clone()),
    });

    look.steps.begin("compare", "Comparing the closures");
    let logs = save_logs(&look, &sides, &mut warnings).await?;
    let reports = look
        .hosts
        .iter()
        .zip(&sides)
        .zip(verdicts)
        .map(|((host, side), verdict)| {
            let mut report = host_report(host, side, verdict, redactor, &logs);
            if let (Some(closures), Status::Changed | Status::Mended) = (&closures, report.status) {
                let compared = match closures {
                    Ok(closures) => compare(nix, closures, side, &mut report),
                    Err(words) => Err(words.clone()),
                };
                if let Err(words) = compared {
                    unread(&mut report, &redactor.text(&words));
                }
            }
            report
        })
        .collect();
    Ok((reports, warnings))
}

/// Returns the system of each host, where it evaluates with the flake's own lock.
pub(super) async fn systems(
    nix: &Nix,
    source: &Source,
    hosts: &[Host],
    request: &Request,
    machine: &Machine,
    scratch: &Path,
) -> Result<Vec<Option<String>>, Error> {
    let lock = match &source.base_lock {
        Some(bytes) => {
            let base = scratch.join("base.lock");
            let complete = scratch.join("before.lock");
            std::fs::write(&base, bytes).map_err(|source| Error::file(&base, source))?;
            nix.complete_lock(&source.reference, &base, &complete)
                .await?;
            complete
        }
        None => {
            let lock = scratch.join("after.lock");
            nix.update_lock(&source.reference, &[], &lock).await?;
            lock
        }
    };
    let results = in_batches(nix, source, &[&lock], hosts, request, machine).await?;
    let mut systems = Vec::with_capacity(hosts.len());
    for (result, host) in results.into_iter().flatten().zip(hosts) {
        systems.push(match result {
            Ok(evaluated) => evaluated.system,
            Err(EvalFailure { message, .. }) => {
                tracing::warn!("{} does not evaluate: {message}", host.id);
                None
            }
        });
    }
    Ok(systems)
}

/// Evaluates both sides of every host.
async fn evaluate(look: &Look<'_>) -> Result<Vec<Sides>, Error> {
    let mut locks: Vec<&Path> = vec![&look.locks.after];
    locks.extend(look.locks.before.as_deref());
    let mut results = in_batches(
        look.nix,
        look.source,
        &locks,
        look.hosts,
        look.request,
        look.machine,
    )
    .await?
    .into_iter();
    let side = |result: EvalResult| match result {
        Ok(evaluated) => SideState::Evaluated(evaluated, BuildState::NotTried),
        Err(EvalFailure { message, fault }) => match fault {
            Fault::Flake => SideState::NotEvaluated { message },
            Fault::NoBuilder(system) => SideState::NotEvaluable(format!(
                "no builder for {system}, which evaluating it needs"
            )),
            Fault::Surroundings => {
                SideState::Unasked(format!("it could not be evaluated: {message}"))
            }
        },
    };
    let after = results.next().unwrap_or_default().into_iter().map(side);
    Ok(match results.next() {
        Some(before) => after
            .zip(before.into_iter().map(side))
            .map(|(after, before)| Sides { before, after })
            .collect(),
        None => after
            .map(|after| Sides {
                before: SideState::Absent,
                after,
            })
            .collect(),
    })
}

/// Evaluates `hosts` with each of `locks`, in batches of which some run at once. A list of results for each lock.
async fn in_batches(
    nix: &Nix,
    source: &Source,
    locks: &[&Path],
    hosts: &[Host],
    request: &Request,
    machine: &Machine,
) -> Result<Vec<Vec<EvalResult>>, Error> {
    let jobs = request.eval_jobs(machine);
    let most = request.eval_batch(machine, jobs);
    // Batches of one size: the last one would else be small and pay as much for what all hosts share.
    let batch = hosts
        .len()
        .div_ceil(hosts.len().div_ceil(most).max(1))
        .max(1);
    // The sides of one batch next to each other: they share what the disk and the fetcher have at hand.
    let pieces: Vec<(usize, &[Host])> = hosts
        .chunks(batch)
        .flat_map(|hosts| (0..locks.len()).map(move |lock| (lock, hosts)))
        .collect();
    let answers: Vec<(usize, Vec<EvalResult>)> = stream::iter(pieces)
        .map(|(at, hosts)| async move {
            let lock = locks.get(at).copied().unwrap_or(Path::new(""));
            Ok::<_, Error>((at, nix.evaluate(&source.reference, lock, hosts).await?))
        })
        .buffered(jobs)
        .try_collect()
        .await?;
    let mut results: Vec<Vec<EvalResult>> = locks
        .iter()
        .map(|_| Vec::with_capacity(hosts.len()))
        .collect();
    for (at, answer) in answers {
        if let Some(list) = results.get_mut(at) {
            list.extend(answer);
        }
    }
    Ok(results)
}

/// Builds what of `derivations` is not there yet, as far as something here can, and returns what became of each.
async fn build(
    nix: &mut Nix,
    flake: &Path,
    derivations: &BTreeSet<StorePath>,
    sides: &[Sides],
    scratch: &Path,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<StorePath, BuildState>, Error> {
    let roots: Vec<&StorePath> = derivations.iter().collect();
    let outputs: BTreeMap<&StorePath, &StorePath> = sides
        .iter()
        .flat_map(Sides::each)
        .filter_map(SideState::evaluated)
        .map(|evaluated| (&evaluated.drv, &evaluated.out))
        .collect();
    let outputs_of = |roots: &[&StorePath]| -> Vec<&StorePath> {
        roots
            .iter()
            .filter_map(|drv| outputs.get(drv).copied())
            .collect()
    };
    let link = scratch.join("drv");
    let wanted = outputs_of(&roots);
    let rooting = async { Ok(nix.root_derivations(&link, &roots).await) };
    let (mut invalid, rooted) = tokio::try_join!(nix.invalid(&wanted), rooting)?;
    warnings.extend(unless_stopped(rooted, unprotected)?);

    let mut known: BTreeMap<StorePath, Derivation> = BTreeMap::new();
    let mut cannot: BTreeMap<StorePath, Unbuildable> = BTreeMap::new();
    let mut built = Built::default();
    let missing: Vec<&StorePath> = roots
        .iter()
        .copied()
        .filter(|drv| outputs.get(drv).is_some_and(|out| invalid.contains(*out)))
        .collect();
    if !missing.is_empty() {
        let settings = nix.settings().await?;
        if settings.accept_flake_config {
            let accepted = nix.flake_settings(flake).await?;
            nix.add_flake_settings(accepted);
        }
        let planned = nix.missing(&missing).await?;
        if !planned.build.is_empty() {
            let build: Vec<&StorePath> = planned.build.iter().collect();
            known = nix.derivations(&build).await?;
            cannot = unbuildable(&missing, &known, &settings.machines);
        }
        let can: Vec<&StorePath> = missing
            .iter()
            .copied()
            .filter(|drv| !cannot.contains_key(*drv))
            .collect();
        if !can.is_empty() {
            tracing::info!(
                "{} to build, {} to fetch",
                count(planned.build.len(), "derivation"),
                count(planned.fetch.len(), "path")
            );
            built = nix.build(&can, &known).await?;
            // Asked, and not concluded from what Nix printed: what is not there must never pass for what is.
            invalid = nix.invalid(&outputs_of(&can)).await?;
        }
    }
    Ok(roots
        .into_iter()
        .map(|drv| {
            let state = match (cannot.get(drv), outputs.get(drv)) {
                (Some(what), _) => BuildState::Skipped(what.clone()),
                (None, Some(out)) if invalid.contains(*out) => failed(drv, &built, &known),
                (None, _) => BuildState::Valid,
            };
            (drv.clone(), state)
        })
        .collect())
}

/// Says why the output of `drv` is not there.
fn failed(drv: &StorePath, built: &Built, known: &BTreeMap<StorePath, Derivation>) -> BuildState {
    let failures = built.failures_of(drv, known);
    let own = failures
        .iter()
        .find(|(_, failure)| failure.unknown.is_none());
    match (own, failures.first()) {
        (Some((path, failure)), _) => BuildState::Failed(FailedBuild {
            derivation: Some((*path).clone()),
            reason: failure.reason.clone(),
            log_tail: failure.log_tail.clone(),
        }),
        (None, Some((path, failure))) => {
            let why = failure.unknown.as_deref().unwrap_or("failed");
            BuildState::Unknown(format!("the build of {} {why}", path.name()))
        }
        // Nothing it needs was tried and failed: it could not be fetched, the disk was full, the daemon went away.
        (None, None) => BuildState::Unknown(
            built
                .error
                .clone()
                .unwrap_or_else(|| "Nix built everything else and gave no reason".to_owned()),
        ),
    }
}

/// Holds outputs by garbage-collector roots until the scratch directory goes. A warning where that fails.
async fn hold(
    nix: &Nix,
    outputs: BTreeSet<&StorePath>,
    scratch: &Path,
) -> Result<Option<String>, Error> {
    if outputs.is_empty() {
        return Ok(None);
    }
    let outputs: Vec<&StorePath> = outputs.into_iter().collect();
    let held = nix.root_outputs(&scratch.join("out"), &outputs).await;
    unless_stopped(held, unprotected)
}

fn unprotected(error: &NixError) -> String {
    format!("what was built is not protected from garbage collection: {error}")
}

/// Returns a warning for what went wrong without harm to the report; only being told to stop is an error.
fn unless_stopped(
    result: Result<(), NixError>,
    warning: impl Fn(&NixError) -> String,
) -> Result<Option<String>, Error> {
    match result {
        Ok(()) => Ok(None),
        Err(error) if error.is_stop() => Err(error.into()),
        Err(error) => Ok(Some(warning(&error))),
    }
}

/// Returns the graph of all roots, or the words of why it cannot be read.
async fn read(nix: &Nix, roots: &[&StorePath]) -> Result<Result<Graph, String>, Error> {
    match nix.graph(roots).await {
        Ok(graph) => Ok(Ok(graph)),
        Err(error) if error.is_stop() => Err(error.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn host_report(
    host: &Host,
    sides: &Sides,
    verdict: Verdict,
    redactor: &Redactor,
    logs: &BTreeMap<StorePath, String>,
) -> HostReport {
    let side = |state: &SideState| {
        state.evaluated().map(|evaluated| Side {
            drv_path: evaluated.drv.clone(),
            out_path: evaluated.out.clone(),
            paths: None,
            nar_size: None,
        })
    };
    let evaluated = sides.after.evaluated().or_else(|| sides.before.evaluated());
    HostReport {
        name: host.id.name.clone(),
        kind: host.id.kind,
        attr: host.attr.to_string(),
        system: evaluated.and_then(|evaluated| evaluated.system.clone()),
        status: verdict.status,
        reason: verdict.reason.map(|reason| redactor.line(&reason)),
        before: side(&sides.before),
        after: side(&sides.after),
        diff: None,
        impact: None,
        failure: verdict.failed.and_then(|name| {
            let state = match name {
                SideName::Before => &sides.before,
                SideName::After => &sides.after,
            };
            failure(state, name, redactor, logs)
        }),
    }
}

fn failure(
    state: &SideState,
    side: SideName,
    redactor: &Redactor,
    logs: &BTreeMap<StorePath, String>,
) -> Option<Failure> {
    match state {
        SideState::NotEvaluated { message } => Some(Failure {
            stage: Stage::Evaluate,
            side,
            error: redactor.text(message),
            derivation: None,
            log_tail: Vec::new(),
            log_path: None,
        }),
        SideState::Evaluated(_, BuildState::Failed(failed)) => Some(Failure {
            stage: Stage::Build,
            side,
            error: redactor.text(&failed.reason),
            derivation: failed.derivation.as_ref().map(ToString::to_string),
            log_tail: failed
                .log_tail
                .iter()
                .map(|line| redactor.line(line))
                .collect(),
            log_path: failed
                .derivation
                .as_ref()
                .and_then(|drv| logs.get(drv).cloned()),
        }),
        _ => None,
    }
}

/// Writes the whole log of every failed derivation to a file. Returns the files' paths.
async fn save_logs(
    look: &Look<'_>,
    sides: &[Sides],
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<StorePath, String>, Error> {
    let mut written = BTreeMap::new();
    let Some(dir) = look.logs else {
        return Ok(written);
    };
    let failed: BTreeSet<&StorePath> = sides
        .iter()
        .flat_map(Sides::each)
        .filter_map(|side| match side {
            SideState::Evaluated(_, BuildState::Failed(failed)) => failed.derivation.as_ref(),
            _ => None,
        })
        .collect();
    for drv in failed {
        let log = match look.nix.log(drv).await {
            Ok(Some(log)) => log,
            Ok(None) => continue,
            Err(error) if error.is_stop() => return Err(error.into()),
            Err(error) => {
                warnings.push(format!("the log of {} is not kept: {error}", drv.name()));
                continue;
            }
        };
        let name = drv.base_name();
        let name = name.strip_suffix(".drv").unwrap_or(name);
        let file = dir.join(format!("{name}.log"));
        let log = look.redactor.log(&log);
        let kept = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&file, log));
        if let Err(error) = kept {
            warnings.push(format!("the log of {} is not kept: {error}", drv.name()));
            continue;
        }
        written.insert(drv.clone(), file.display().to_string());
    }
    Ok(written)
}

pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// Says of a host that nothing can be said about its closures.
fn unread(report: &mut HostReport, words: &str) {
    report.status = Status::Unknown;
    report.reason = Some("its closures cannot be read from the store".to_owned());
    report.failure = Some(Failure {
        stage: Stage::Read,
        side: SideName::After,
        error: words.to_owned(),
        derivation: None,
        log_tail: Vec::new(),
        log_path: None,
    });
}

/// Puts into a host's report what its closures say. The words of what is wrong where they cannot be read.
fn compare(
    nix: &Nix,
    closures: &Closures<'_>,
    sides: &Sides,
    report: &mut HostReport,
) -> Result<(), String> {
    let mut read = Vec::new();
    for (state, side) in sides
        .each()
        .into_iter()
        .zip([&mut report.before, &mut report.after])
    {
        let valid = state.evaluated().filter(|_| state.is_valid());
        let found = valid.and_then(|valid| Some((&valid.out, closures.of(&valid.out)?)));
        let Some((root, closure)) = found else {
            continue;
        };
        if let Some(side) = side {
            side.paths = u64::try_from(closure.len()).ok();
            side.nar_size = Some(closure.nar_size());
        }
        // nvd: what `sw` refers to, and where there is none, what the root itself does.
        let selected = nix.selected_path(root).map_err(|error| error.to_string())?;
        let selected = closure
            .graph()
            .selected_names(selected.as_ref().unwrap_or(root))
            .map_err(|error| error.to_string())?;
        read.push((closure, selected));
    }
    if let [(before, selected_before), (after, selected_after)] = read.as_slice() {
        report.diff = Some(diff(
            closure::Side {
                closure: Some(*before),
                selected: selected_before,
            },
            closure::Side {
                closure: Some(*after),
                selected: selected_after,
            },
        ));
    }
    Ok(())
}
