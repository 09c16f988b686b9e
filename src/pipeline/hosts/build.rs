//! Building what differs, as far as something here can, and holding it until the report is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::closure::StorePath;
use crate::nix::{Built, Derivation, Nix, NixError, Settings, Unbuildable, unbuildable};
use crate::pipeline::Error;
use crate::pipeline::judge::{BuildState, FailedBuild, SideState};

use super::{Sides, count};

/// Builds what of `derivations` is not there yet, as far as something here can, and returns what became of each.
pub(super) async fn build(
    nix: &mut Nix,
    flake: &Path,
    derivations: &BTreeSet<StorePath>,
    sides: &[Sides],
    scratch: &Path,
    overdue: &str,
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
        let settings = heeded_settings(nix, flake).await?;
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
                (None, Some(out)) if invalid.contains(*out) => failed(drv, &built, &known, overdue),
                (None, _) => BuildState::Valid,
            };
            (drv.clone(), state)
        })
        .collect())
}

/// Returns the settings in force, having builds heed what `flake`'s own `nixConfig` asks for where that is accepted.
pub(super) async fn heeded_settings(nix: &mut Nix, flake: &Path) -> Result<Settings, NixError> {
    let settings = nix.settings().await?;
    if settings.accept_flake_config {
        let accepted = nix.flake_settings(flake).await?;
        nix.add_flake_settings(accepted);
    }
    Ok(settings)
}

/// Says why the output of `drv` is not there; where the run's time was over, in the words of `overdue`.
fn failed(
    drv: &StorePath,
    built: &Built,
    known: &BTreeMap<StorePath, Derivation>,
    overdue: &str,
) -> BuildState {
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
        (None, None) if built.overdue => BuildState::Unknown(overdue.to_owned()),
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
pub(super) async fn hold(
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
