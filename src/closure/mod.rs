//! Store paths, their names and versions, the graph of references, and what changes between two closures.
//!
//! Everything here is a pure function of its arguments. One [`Graph`] holds every path of the fleet; one
//! sweep, [`Graph::closures`], finds the closures of all roots; a [`Differ`] compares two of them, by the rules
//! of nvd where users know and trust them.

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

pub use closures::{Closure, Closures};
pub use diff::{Cause, Change, ClosureDiff, Entry, Family, FamilyKind, Selected, VersionGroup};
pub use differ::{Differ, Side, diff};
pub use graph::{Graph, GraphBuilder, GraphError, PathId, Record, Selection};
pub use name::{Known, PackageName};
pub use recipe::{Fact, Facts, OwnChange, RawRecipe, Recipe};
pub use selected::{Package, diff_selected};
pub use snapshot::{Snapshot, SnapshotError};
pub use store_path::{StorePath, StorePathError, StorePathReason};
pub use union::Union;
