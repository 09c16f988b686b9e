//! Evaluating both sides of every host, in batches.

use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::flake::Host;
use crate::nix::{EvalFailure, EvalResult, Fault, Nix};
use crate::pipeline::Error;
use crate::pipeline::judge::{BuildState, SideState};
use crate::pipeline::request::{Machine, Request};
use crate::pipeline::source::Source;

use super::{Look, Sides};

/// Returns the system of each host, where it evaluates with the flake's own lock.
pub(in crate::pipeline) async fn systems(
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
pub(super) async fn evaluate(look: &Look<'_>) -> Result<Vec<Sides>, Error> {
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
