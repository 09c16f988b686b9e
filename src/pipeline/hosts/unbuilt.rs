//! What evaluation alone tells of each host: nothing is built, and no closure is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::closure::{ClosureDiff, StorePath, diff_selected};
use crate::flake::{Host, HostId, Kind};
use crate::nix::{Missing, Nix, NixError};
use crate::pipeline::Error;
use crate::pipeline::judge::{BuildState, SideState, judge};
use crate::report::{Impact, ToBuild, impact_of_selected};

use super::build::heeded_settings;
use super::evaluate::in_batches;
use super::{Look, Looked, Sides, count, host_report};

/// Returns a report for each host, in the hosts' order, from what its two sides evaluate to.
pub(super) async fn look(look: Look<'_>, mut sides: Vec<Sides>) -> Result<Looked, Error> {
    for side in sides.iter_mut().flat_map(Sides::each_mut) {
        if let SideState::Evaluated(_, state) = side {
            *state = BuildState::Unwanted;
        }
    }
    let differ: Vec<(&Host, &Sides)> = look
        .hosts
        .iter()
        .zip(&sides)
        .filter(|(_, sides)| !sides.equal())
        .collect();
    // Only where there are two sides, there is something to compare.
    let comparable: Vec<(Host, [StorePath; 2])> = differ
        .iter()
        .filter(|(host, _)| host.id.kind != Kind::Attr)
        .filter_map(|(host, sides)| {
            let (before, after) = (sides.before.evaluated()?, sides.after.evaluated()?);
            Some(((*host).clone(), [before.out.clone(), after.out.clone()]))
        })
        .collect();
    let mut compared = BTreeMap::new();
    if !comparable.is_empty() {
        look.steps.begin(
            "packages",
            &format!(
                "Listing the selected packages of {}, before and after",
                count(comparable.len(), "host")
            ),
        );
        compared = compare(&look, &comparable).await?;
    }
    let derivations: BTreeSet<&StorePath> = differ
        .iter()
        .filter_map(|(_, sides)| sides.after.evaluated())
        .map(|evaluated| &evaluated.drv)
        .collect();
    let mut warnings = Vec::new();
    let mut to_build = Some(ToBuild::default());
    if !derivations.is_empty() {
        look.steps
            .begin("plan", "Asking what is to build and to fetch");
        let file = look.source.path.join("flake.nix");
        let derivations: Vec<&StorePath> = derivations.into_iter().collect();
        to_build = match plan(look.nix, &file, &derivations).await {
            Ok(missing) => Some(numbers(&missing)),
            Err(error) if error.is_stop() => return Err(error.into()),
            Err(error) => {
                warnings.push(format!(
                    "how much is to build and to fetch is not known: {error}"
                ));
                None
            }
        };
    }
    let no_logs = BTreeMap::new();
    let hosts = look
        .hosts
        .iter()
        .zip(&sides)
        .map(|(host, side)| {
            let verdict = judge(&side.before, &side.after);
            let mut report = host_report(host, side, verdict, look.redactor, &no_logs);
            if let Some((diff, impact)) = compared.remove(&host.id) {
                report.diff = Some(diff);
                report.impact = Some(impact);
            }
            report
        })
        .collect();
    Ok(Looked {
        hosts,
        warnings,
        to_build,
    })
}

/// Returns what changes among the packages that hosts select, and what that means, for those whose packages can be listed on both
/// sides. `comparable` has the hosts and what they build on each side.
async fn compare(
    look: &Look<'_>,
    comparable: &[(Host, [StorePath; 2])],
) -> Result<BTreeMap<HostId, (ClosureDiff, Impact)>, Error> {
    let hosts: Vec<Host> = comparable.iter().map(|(host, _)| host.clone()).collect();
    let mut locks: Vec<&Path> = vec![&look.locks.after];
    locks.extend(look.locks.before.as_deref());
    let (nix, flake) = (&*look.nix, &look.source.reference);
    let mut lists = in_batches(
        &locks,
        &hosts,
        look.request,
        look.machine,
        &**look.progress,
        async |lock, hosts, share| Ok(nix.selected_packages(flake, lock, hosts, share).await?),
    )
    .await?
    .into_iter();
    let (after, before) = (lists.next(), lists.next());
    Ok(comparable
        .iter()
        .zip(
            before
                .into_iter()
                .flatten()
                .zip(after.into_iter().flatten()),
        )
        .filter_map(|((host, roots), lists)| {
            let (Some(Some(before)), Some(Some(after))) = lists else {
                return None;
            };
            let diff = diff_selected(&before, &after);
            let mut impact = impact_of_selected(
                roots.each_ref(),
                host.id.kind == Kind::Nixos,
                [&before, &after],
                &diff,
                &look.request.sensitive,
            );
            look.redactor.impact(&mut impact);
            Some((host.id.clone(), (diff, impact)))
        })
        .collect())
}

/// Asks what building `derivations` would take.
async fn plan(
    nix: &mut Nix,
    flake: &Path,
    derivations: &[&StorePath],
) -> Result<Missing, NixError> {
    heeded_settings(nix, flake).await?;
    nix.missing(derivations).await
}

fn numbers(missing: &Missing) -> ToBuild {
    let count = |paths: &[StorePath]| u64::try_from(paths.len()).unwrap_or(u64::MAX);
    ToBuild {
        derivations: count(&missing.build),
        fetched_paths: count(&missing.fetch),
        download_size: missing.download_size,
        unpacked_size: missing.unpacked_size,
    }
}
