//! Store paths, their names and versions, the graph of references, and what changes between two closures.
//!
//! Everything here is a pure function of its arguments. One [`Graph`] holds every path of the fleet; one
//! sweep, [`Graph::closures`], finds the closures of all roots; [`diff()`] compares two of them by the rules
//! of nvd, which users know.

mod closures;
mod diff;
mod graph;
mod index;
mod name;
#[cfg(test)]
mod properties;
mod recipe;
mod selected;
mod store_path;
#[cfg(test)]
mod tests;
pub mod version;

pub use closures::{Closure, Closures};
pub use diff::{
    Cause, Change, ClosureDiff, Entry, Family, FamilyKind, Selected, Side, VersionGroup, diff,
};
pub use graph::{Graph, GraphBuilder, GraphError, PathId, Record, Selection};
pub use name::{Known, PackageName};
pub use recipe::{Fact, Facts, OwnChange, Recipe};
pub use selected::{Package, diff_selected};
pub use store_path::{StorePath, StorePathError, StorePathReason};
