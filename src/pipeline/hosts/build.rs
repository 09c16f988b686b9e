//! Building what differs, as far as something here can, and holding it until the report is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;

use crate::closure::StorePath;
use crate::flake::listed;
use crate::nix::{
    BuildEvent, BuildFailure, BuildWatcher, Built, Derivation, Missing, Nix, NixError, Settings,
    Unbuildable, free_space, needed, unbuildable,
};
use crate::pipeline::judge::{BuildState, FailedBuild, SideState};
use crate::pipeline::progress::waiting;
use crate::pipeline::{Error, Progress, ProgressEvent};

use super::{Look, Sides, count};

/// Builds what of `derivations` is not there yet, as far as something here can, and returns what became of each.
pub(super) async fn build(
    look: &mut Look<'_>,
    derivations: &BTreeSet<StorePath>,
    sides: &[Sides],
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<StorePath, BuildState>, Error> {
    let overdue = look.request.overdue();
    let nix = &mut *look.nix;
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
    let link = look.scratch.join("drv");
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
        let file = look.source.path.join("flake.nix");
        let settings = heeded_settings(nix, &file).await?;
        // Every substituter is asked, about every path.
        let asked = nix.missing(&missing);
        let planned = waiting(
            &**look.progress,
            "Asking what to build and what to fetch",
            asked,
        )
        .await?;
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
        if let Some(first) = can.first() {
            tracing::info!("{}", plan(&planned));
            let space = look.request.min_free.and_then(|least| {
                let Some(dir) = settings.store_place(first.store_dir()) else {
                    tracing::debug!("--min-free: the store is not a directory of this machine");
                    return None;
                };
                Some(Space { dir, least })
            });
            let short = space
                .as_ref()
                .and_then(|space| space.short_of(planned.unpacked_size, warnings));
            if short.is_some() {
                built.stopped = short;
            } else {
                let progress = look.progress;
                progress.tell(&ProgressEvent::Building {
                    builds: needed(&can, &known),
                    fetches: planned.fetch.len(),
                });
                let watcher: Arc<dyn BuildWatcher> = Arc::new(Watcher {
                    progress: Arc::clone(progress),
                    space,
                });
                let result = nix.build(&can, &known, &watcher).await;
                progress.tell(&ProgressEvent::Over);
                built = result?;
            }
            if let Some(why) = &mut built.stopped {
                tracing::warn!("building has ended early: {why}");
                // How much is free differs from night to night: for the log that is worth telling, in a report it would be news.
                *why = no_room(look.request.min_free.unwrap_or_default());
            }
            // Asked, and not concluded from what Nix printed: what is not there must never pass for what is.
            invalid = nix.invalid(&outputs_of(&can)).await?;
        }
    }
    Ok(roots
        .into_iter()
        .map(|drv| {
            let state = match (cannot.get(drv), outputs.get(drv)) {
                (Some(what), _) => BuildState::Skipped(what.clone()),
                (None, Some(out)) if invalid.contains(*out) => {
                    failed(drv, &built, &known, &overdue)
                }
                (None, _) => BuildState::Valid,
            };
            (drv.clone(), state)
        })
        .collect())
}

/// Says what is to be done, before it is.
fn plan(planned: &Missing) -> String {
    let fetch = count(planned.fetch.len(), "path");
    let sizes = if planned.fetch.is_empty() {
        String::new()
    } else {
        format!(
            " ({} download, {} unpacked)",
            bytes(planned.download_size),
            bytes(planned.unpacked_size)
        )
    };
    format!(
        "{} to build, {fetch} to fetch{sizes}",
        count(planned.build.len(), "derivation")
    )
}

fn bytes(count: u64) -> String {
    ByteSize::b(count).display().iec().to_string()
}

/// The disk that holds the store, and how much of it must stay free.
struct Space {
    dir: PathBuf,
    /// In bytes.
    least: u64,
}

impl Space {
    /// Says that fetching would leave too little, if it would. A warning where the system cannot tell.
    fn short_of(&self, fetch: u64, warnings: &mut Vec<String>) -> Option<String> {
        match free_space(&self.dir) {
            Ok(free) => too_little(free, fetch, self.least),
            Err(error) => {
                warnings.push(format!(
                    "--min-free is not heeded: the free space of {} is not known: {error}",
                    self.dir.display()
                ));
                None
            }
        }
    }
}

/// Says why `free` bytes are too little, where so many of them are wanted and so many must stay.
fn too_little(free: u64, wanted: u64, least: u64) -> Option<String> {
    if free.checked_sub(wanted).is_some_and(|left| left >= least) {
        return None;
    }
    let (free, least) = (bytes(free), bytes(least));
    Some(if wanted == 0 {
        format!("{free} are free, and --min-free asks for {least} to stay free")
    } else {
        let wanted = bytes(wanted);
        format!(
            "{free} are free, {wanted} would be fetched, and --min-free asks for {least} to stay free"
        )
    })
}

/// Says of a host that it was not built for want of room.
fn no_room(least: u64) -> String {
    format!(
        "the store's disk has too little room: --min-free asks for {} to stay free",
        bytes(least)
    )
}

/// Passes on how a build comes on, and ends it where the disk fills up.
struct Watcher {
    progress: Arc<dyn Progress>,
    space: Option<Space>,
}

impl BuildWatcher for Watcher {
    fn tell(&self, event: &BuildEvent<'_>) {
        let event = match event {
            BuildEvent::Started(drv) => ProgressEvent::Started(package(drv)),
            BuildEvent::Built(drv) => ProgressEvent::Built(package(drv)),
            BuildEvent::Stopped(drv) => ProgressEvent::Stopped(package(drv)),
            BuildEvent::Failed(drv) => ProgressEvent::Failed(package(drv)),
            BuildEvent::Fetched(fetched) => ProgressEvent::Fetched {
                paths: fetched.paths,
                bytes: fetched.bytes,
                of_bytes: fetched.of_bytes,
            },
            BuildEvent::Tick => ProgressEvent::Tick,
        };
        self.progress.tell(&event);
    }

    fn objection(&self) -> Option<String> {
        let space = self.space.as_ref()?;
        // What could be told a moment ago and cannot now is no reason to throw hours of building away.
        let free = free_space(&space.dir).ok()?;
        too_little(free, 0, space.least)
    }
}

/// Returns what a derivation builds, by name.
fn package(drv: &StorePath) -> &str {
    drv.name().strip_suffix(".drv").unwrap_or(drv.name())
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
    let own: Vec<_> = failures
        .iter()
        .filter(|(_, failure)| failure.unknown.is_none())
        .collect();
    match (own.split_first(), &built.stopped, failures.first()) {
        (Some(((path, failure), others)), _, _) => BuildState::Failed(FailedBuild {
            derivation: Some((*path).clone()),
            reason: std::iter::once(failure.reason.clone())
                .chain(further(others))
                .collect::<Vec<_>>()
                .join("\n"),
            others: others.iter().map(|(path, _)| (*path).clone()).collect(),
            log_tail: failure.log_tail.clone(),
            log_errors: failure.log_errors.clone(),
        }),
        (None, Some(why), _) => BuildState::Unknown(why.clone()),
        (None, None, Some((path, failure))) => {
            let why = failure.unknown.as_deref().unwrap_or("failed");
            BuildState::Unknown(format!("the build of {} {why}", path.name()))
        }
        (None, None, None) if built.overdue => BuildState::Unknown(overdue.to_owned()),
        // Nothing it needs was tried and failed: it could not be fetched, the disk was full, the daemon went away.
        (None, None, None) => BuildState::Unknown(
            built
                .error
                .clone()
                .unwrap_or_else(|| "Nix built everything else and gave no reason".to_owned()),
        ),
    }
}

/// Says what else a host needs and failed: who mends one need not come back for the next.
fn further(failures: &[&(&StorePath, &BuildFailure)]) -> Vec<String> {
    // Of a wrong hash the right one is what a reader needs; of anything else the log has it.
    let (mismatches, others): (Vec<_>, Vec<_>) = failures
        .iter()
        .copied()
        .partition(|(_, failure)| failure.is_mismatch());
    let mut lines: Vec<String> = mismatches
        .iter()
        .map(|(_, failure)| failure.reason.clone())
        .collect();
    if !others.is_empty() {
        let names = others.iter().map(|(path, _)| package(path));
        lines.push(format!("also failed: {}", listed(names)));
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_stay_free_is_held_against_what_will_be_fetched() {
        const GIB: u64 = 1 << 30;
        let said: Vec<String> = [
            (5 * GIB, 9 * GIB + GIB / 5, 20 * GIB),
            (25 * GIB, 9 * GIB, 20 * GIB),
            (19 * GIB, 0, 20 * GIB),
            (20 * GIB, 0, 20 * GIB),
            (30 * GIB, 9 * GIB, 20 * GIB),
        ]
        .iter()
        .map(|(free, wanted, least)| format!("{:?}", too_little(*free, *wanted, *least)))
        .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        Some("5.0 GiB are free, 9.2 GiB would be fetched, and --min-free asks for 20.0 GiB to stay free")
        Some("25.0 GiB are free, 9.0 GiB would be fetched, and --min-free asks for 20.0 GiB to stay free")
        Some("19.0 GiB are free, and --min-free asks for 20.0 GiB to stay free")
        None
        None
        "#);
    }

    #[test]
    fn the_plan_says_sizes_where_something_is_fetched() {
        let path = StorePath::parse("/nix/store/00000000000000000000000000000000-x").unwrap();
        let mut planned = Missing {
            build: vec![path.clone(), path.clone()],
            ..Missing::default()
        };
        let without = plan(&planned);
        planned.fetch.push(path);
        planned.download_size = 3 << 20;
        planned.unpacked_size = 9_646_899;
        insta::assert_snapshot!(format!("{without}\n{}", plan(&planned)), @"
        2 derivations to build, 0 paths to fetch
        2 derivations to build, 1 path to fetch (3.0 MiB download, 9.2 MiB unpacked)
        ");
    }
}
