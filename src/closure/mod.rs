//! Store paths, their names and versions, the graph of references, and what changes between two closures.
//!
//! Everything here is a pure function of its arguments. One [`Graph`] holds every path of the fleet; one
//! sweep, [`Graph::closures`], finds the closures of all roots; a [`Differ`] compares two of them. It knows paths by their names,
//! and by what their derivations say where these are known ([`Facts`]). Its words are those of nvd, which users know; where nvd is
//! wrong or silent, it goes ways of its own, each said where it is taken.

mod cause;
mod closures;
mod configuration;
mod diff;
mod differ;
mod entry;
mod family;
mod graph;
mod index;
mod name;
mod naming;
#[cfg(test)]
mod properties;
mod recipe;
mod selected;
pub mod snapshot;
mod store_path;
#[cfg(test)]
mod tests;
mod union;
pub mod version;
mod via;

pub use closures::{Closure, Closures, Selection};
pub use configuration::{is_nixos, names_configuration, nixos_release};
pub use diff::{
    Cause, Change, ClosureDiff, Entry, Family, FamilyKind, Outputs, Paths, Selected, VersionGroup,
};
pub use differ::{Differ, Side, diff};
pub use graph::{Graph, GraphBuilder, GraphError, PathId, Record};
pub use name::{Known, PackageName};
pub use recipe::{Fact, Facts, OwnChange, RawRecipe, Recipe};
pub use selected::{Package, diff_selected};
pub use snapshot::{Snapshot, SnapshotError};
pub use store_path::{StorePath, StorePathError, StorePathReason};
pub use union::Union;
