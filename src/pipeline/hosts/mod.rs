//! What the update does to each host: evaluate both sides, build what differs, read and compare the closures.

mod build;
mod compare;
mod evaluate;
mod unbuilt;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::closure::{Differ, Graph, StorePath};
use crate::flake::{Host, HostFilter};
use crate::nix::Nix;
use crate::report::{Failure, HostReport, Redactor, Side, SideName, Stage, Status, ToBuild};

use self::build::{build, hold};
use self::evaluate::evaluate;
use super::found;
use super::judge::{BuildState, SideState, Verdict, judge};
use super::locks::Locks;
use super::request::{Machine, Request};
use super::source::Source;
use super::{Error, Progress, Steps};

pub(super) use self::evaluate::systems;

/// Everything that looking at the hosts takes.
pub(super) struct Look<'a> {
    pub nix: &'a mut Nix,
    pub source: &'a Source,
    pub locks: &'a Locks,
    pub hosts: &'a [Host],
    /// What picked them.
    pub filter: &'a HostFilter,
    pub request: &'a Request,
    pub machine: &'a Machine,
    pub progress: &'a Arc<dyn Progress>,
    /// Where garbage-collector roots stand until the report is done.
    pub scratch: &'a Path,
    /// Where whole logs of failed builds go.
    pub logs: Option<&'a Path>,
    pub redactor: &'a Redactor,
    pub steps: &'a mut Steps,
}

/// What looking at the hosts gives.
#[derive(Default)]
pub(super) struct Looked {
    /// A report for each host, in the hosts' order.
    pub hosts: Vec<HostReport>,
    /// What a reader should know of how they were made.
    pub warnings: Vec<String>,
    /// What building them would take, where they were not built.
    pub to_build: Option<ToBuild>,
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

    /// The outputs, of each side that has one in the store.
    fn roots(&self) -> [Option<&StorePath>; 2] {
        self.each().map(|side| {
            let valid = side.evaluated().filter(|_| side.is_valid());
            valid.map(|evaluated| &evaluated.out)
        })
    }

    fn each_mut(&mut self) -> [&mut SideState; 2] {
        [&mut self.before, &mut self.after]
    }
}

/// Looks at every host: evaluates both sides and, where it is asked for, builds what differs and compares the closures.
pub(super) async fn look(mut look: Look<'_>) -> Result<Looked, Error> {
    look.steps.begin(
        "evaluate",
        &format!(
            "Evaluating {}, before and after",
            count(look.hosts.len(), "host")
        ),
    );
    let mut sides = evaluate(&look).await?;
    found::hint_at_installers(look.request, look.filter, look.hosts, |at| {
        let sides = sides.get(at).into_iter().flat_map(Sides::each);
        sides
            .filter_map(SideState::evaluated)
            .any(|host| host.image)
    });
    if look.request.no_build {
        return unbuilt::look(look, sides).await;
    }

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
        let states = build(&mut look, &derivations, &sides, &mut warnings).await?;
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
    let read = match closures {
        Some(Ok(closures)) => {
            let differing = compare::differing(&closures, sides.iter().map(Sides::roots));
            let facts = nix.facts(closures.graph(), differing).await;
            Some(Ok((closures, facts)))
        }
        Some(Err(words)) => Some(Err(words)),
        None => None,
    };
    let logs = save_logs(&look, &sides, &mut warnings).await?;
    let mut read = read.as_ref().map(|read| match read {
        Ok((closures, facts)) => Ok((closures, Differ::new(closures.graph(), facts))),
        Err(words) => Err(words),
    });
    let reports = look
        .hosts
        .iter()
        .zip(&sides)
        .zip(verdicts)
        .map(|((host, side), verdict)| {
            let mut report = host_report(host, side, verdict, redactor, &logs);
            if let (Some(read), Status::Changed | Status::Mended) = (&mut read, report.status) {
                let compared = match read {
                    Ok((closures, facts)) => {
                        compare::compare(&look, closures, facts, side, &mut report)
                    }
                    Err(words) => Err(words.clone()),
                };
                if let Err(words) = compared {
                    unread(&mut report, &redactor.text(&words));
                }
            }
            report
        })
        .collect();
    Ok(Looked {
        hosts: reports,
        warnings,
        to_build: None,
    })
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
            log_errors: Vec::new(),
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
            log_errors: errors(failed.log_errors.iter().map(|line| redactor.line(line))),
            log_path: failed
                .derivation
                .as_ref()
                .and_then(|drv| logs.get(drv).cloned()),
        }),
        _ => None,
    }
}

/// Returns lines that look like an error as a report has them: each once, and not longer than a reader looks at.
fn errors(lines: impl Iterator<Item = String>) -> Vec<String> {
    const LONGEST: usize = 300;
    let mut errors: Vec<String> = Vec::new();
    // Only what is clean may be cut: of a secret its first half would stay.
    for line in lines.map(|line| line.chars().take(LONGEST).collect()) {
        if !errors.contains(&line) {
            errors.push(line);
        }
    }
    errors
}

/// How much of a failed build's log is kept in a file, in bytes: its end. The file goes where jobs keep their results, often for months,
/// and Nix has the whole.
const LOG_KEPT: usize = 1024 * 1024;

/// How much more is read than kept, so that no secret is cut in two before it is looked for.
const LOG_MARGIN: usize = 64 * 1024;

/// Writes the log of every failed derivation to a file, of a long one the end. Returns the files' paths.
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
            SideState::Evaluated(_, BuildState::Failed(failed)) => Some(failed),
            _ => None,
        })
        .flat_map(|failed| failed.derivation.iter().chain(&failed.others))
        .collect();
    for drv in failed {
        let log = match look.nix.log(drv, LOG_KEPT + LOG_MARGIN).await {
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
        let log = look.redactor.log(&log.bytes, log.before, LOG_KEPT);
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
        log_errors: Vec::new(),
        log_path: None,
    });
}
