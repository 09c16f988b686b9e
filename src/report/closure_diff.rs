//! What changes from one closure to another, for a reader: the renderings of `flake-herald diff`.

use std::io::{self, Write};

use crate::closure::{ClosureDiff, StorePath};

use super::markdown::fence;
use super::sections::{closure_size, sections};
use super::style::{PLAIN, line};

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The root.
    pub path: StorePath,
    /// How many paths its closure has.
    pub paths: u64,
    /// The size of its closure, in bytes of archives.
    pub nar_size: u64,
}

/// Two closures and what changes from one to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The old one.
    pub before: End,
    /// The new one.
    pub after: End,
    /// What changes.
    pub diff: ClosureDiff,
}

/// What of a comparison is shown, and in which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiffView {
    /// Only packages that the user chose.
    pub selected: bool,
    /// The order of the rows.
    pub sort: DiffSort,
    /// Nothing is folded: each package of a family, each rebuilt package, each path of the configuration has its row.
    pub all: bool,
}

/// The order of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DiffSort {
    /// By name, as bytes.
    #[default]
    Name,
    /// What changes the most first: by the first part of the version that differs, then by name.
    Semver,
    /// By how much the size changes, the largest first.
    Size,
}

/// Returns the comparison as text with styles in it, in nvd's layout.
pub fn diff_to_text(comparison: &Comparison, _view: DiffView) -> String {
    let mut out = String::new();
    line(&mut out, PLAIN, &format!("<<< {}", comparison.before.path));
    line(&mut out, PLAIN, &format!(">>> {}", comparison.after.path));
    sections(&mut out, &comparison.diff);
    closure_size(
        &mut out,
        &comparison.diff,
        comparison.before.paths,
        comparison.after.paths,
    );
    out
}

/// Returns the comparison as Markdown.
pub fn diff_to_markdown(comparison: &Comparison, view: DiffView) -> String {
    fence(&anstream::adapter::strip_str(&diff_to_text(comparison, view)).to_string())
}

/// Writes what changes as JSON, in one line: the object that stands in a report's `hosts[].diff`.
///
/// # Errors
///
/// `to` takes no more.
pub fn write_diff_json(diff: &ClosureDiff, mut to: impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut to, diff)?;
    to.write_all(b"\n")
}
