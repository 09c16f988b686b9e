//! What the closures of a host's two sides say.

use std::collections::BTreeSet;

use crate::closure::{Closures, Differ, PathId, Side, StorePath};
use crate::nix::Nix;
use crate::report::HostReport;

use super::Sides;

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
    nix: &Nix,
    closures: &Closures<'_>,
    differ: &mut Differ<'_>,
    sides: &Sides,
    report: &mut HostReport,
) -> Result<(), String> {
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
        let links = nix
            .selecting_paths(root)
            .map_err(|error| error.to_string())?;
        read.push((closure, closure.selection(&links)));
    }
    if let [before, after] = read.as_slice() {
        let [before, after] = [before, after].map(|(closure, selected)| Side {
            closure: Some(*closure),
            selected,
        });
        report.diff = Some(differ.diff(before, after));
    }
    Ok(())
}
