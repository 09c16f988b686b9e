//! What the closures of a host's two sides say.

use std::collections::BTreeSet;

use crate::closure::{self, Closures, Differ, PathId, Side, StorePath};
use crate::flake::Kind;
use crate::report::{self, HostReport, SystemSide, impact};

use super::{Look, Sides};

/// Returns the paths that are on one side only of some host.
pub(super) fn differing<'a>(
    closures: &Closures<'_>,
    roots: impl Iterator<Item = [Option<&'a StorePath>; 2]>,
) -> BTreeSet<PathId> {
    // Many hosts of a fleet may be the same one.
    let pairs: BTreeSet<[&StorePath; 2]> = roots
        .filter_map(|[before, after]| Some([before?, after?]))
        .collect();
    pairs
        .into_iter()
        .filter_map(|[before, after]| Some((closures.of(before)?, closures.of(after)?)))
        .flat_map(|(before, after)| {
            before
                .without(Some(after))
                .chain(after.without(Some(before)))
        })
        .collect()
}

/// Puts into a host's report what its closures say. The words of what is wrong where they cannot be read.
pub(super) fn compare(
    look: &Look<'_>,
    closures: &Closures<'_>,
    differ: &mut Differ<'_>,
    sides: &Sides,
    report: &mut HostReport,
) -> Result<(), String> {
    // A system that was named by its attribute boots like any other.
    let is_system = |side: &report::Side| closure::is_nixos(side.out_path.name());
    let is_nixos = report.kind == Kind::Nixos
        || report.kind == Kind::Attr && report.after.as_ref().is_some_and(is_system);
    let mut read = Vec::new();
    for (root, side) in sides
        .roots()
        .into_iter()
        .zip([&mut report.before, &mut report.after])
    {
        let found = root.and_then(|root| Some((root, closures.of(root)?)));
        let Some((root, closure)) = found else {
            continue;
        };
        if let Some(side) = side {
            side.paths = u64::try_from(closure.len()).ok();
            side.nar_size = Some(closure.nar_size());
        }
        let links = look
            .nix
            .selecting_paths(root)
            .map_err(|error| error.to_string())?;
        let params = look.nix.kernel_params(root).filter(|_| is_nixos);
        read.push((closure, closure.selection(&links), params));
    }
    if let [before, after] = read.as_slice() {
        let [old, new] = [before, after].map(|(closure, selected, _)| Side {
            closure: Some(*closure),
            selected,
        });
        let mut diff = differ.diff(old, new);
        look.redactor.diff(&mut diff);
        let systems = [before, after].map(|(closure, _, params)| SystemSide {
            closure: *closure,
            kernel_params: params.as_deref(),
        });
        let mut impact = impact(systems, is_nixos, &diff, &look.request.sensitive);
        look.redactor.impact(&mut impact);
        report.diff = Some(diff);
        report.impact = Some(impact);
    }
    Ok(())
}
