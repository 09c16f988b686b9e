//! What changes from one closure to another, for a reader: the renderings of `flake-herald diff`.

use std::io::{self, Write};

use crate::closure::{Cause, Change, ClosureDiff, StorePath};

use super::impact::Impact;
use super::impact_text::write_impact;
use super::json;
use super::markdown::{code, fence};
use super::rows::{Lists, Rows};
use super::sections::{Section, closure_size, sections, write_rows, write_sections};
use super::style::{PLAIN, WIDTH, line, readable, wrapped};

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
    /// What that means for who runs them; none unless both are NixOS systems.
    pub impact: Option<Impact>,
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
    /// What changes the most first: by which of the first three numbers of the version differs, then by name. What has no two
    /// versions to compare stands last.
    Semver,
    /// By how much the size changes, whether it grows or shrinks, the most first. Every row says it.
    Size,
}

/// Returns the comparison as text with styles in it, in nvd's layout. Lists are broken where a line gets wider than `width` columns.
pub fn diff_to_text(comparison: &Comparison, view: DiffView, width: usize) -> String {
    let mut out = String::new();
    sides(&mut out, comparison);
    write_sections(&mut out, &comparison.diff, view, readable(width));
    if let Some(impact) = &comparison.impact {
        write_impact(&mut out, impact, readable(width));
    }
    last_line(&mut out, comparison);
    out
}

fn sides(out: &mut String, comparison: &Comparison) {
    line(out, PLAIN, &format!("<<< {}", comparison.before.path));
    line(out, PLAIN, &format!(">>> {}", comparison.after.path));
}

fn last_line(out: &mut String, comparison: &Comparison) {
    let (before, after) = (&comparison.before, &comparison.after);
    closure_size(out, &comparison.diff, before.paths, after.paths);
}

/// Returns the comparison as Markdown: a heading, what changes in numbers, then a part for each section of the text. Long ones
/// are folded but for the first, which a reader came for.
///
/// Foreign text stands only in code spans and fences.
pub fn diff_to_markdown(comparison: &Comparison, view: DiffView) -> String {
    const LONG: usize = 40;
    let (before, after) = (&comparison.before.path, &comparison.after.path);
    let mut out = format!("## {} → {}\n", code(before.name()), code(after.name()));
    out.extend(["\n", &numbers(&comparison.diff, view), "\n\n"]);
    let mut paths = String::new();
    sides(&mut paths, comparison);
    out.push_str(&fence(&paths));
    for (at, section) in sections(&Lists::of(&comparison.diff), view)
        .into_iter()
        .enumerate()
    {
        let mut text = String::new();
        let title = match section {
            Section::Note(text) => {
                out.extend(["\n", &text, "\n"]);
                continue;
            }
            Section::Rows { title, rows } => {
                write_rows(&mut text, &rows, view, WIDTH);
                format!("{title}: {}", rows.len())
            }
            Section::Names { title, names, rest } => {
                let mut heading = title;
                let mut lists = vec![names];
                for (count, names) in rest {
                    heading.extend([", ", &count]);
                    lists.push(names);
                }
                for names in lists.iter().flat_map(|names| wrapped("", names, WIDTH)) {
                    line(&mut text, PLAIN, &names);
                }
                heading
            }
        };
        let text = anstream::adapter::strip_str(&text).to_string();
        if text.trim().is_empty() {
            out.extend(["\n### ", &title, "\n"]);
        } else if at > 0 && text.lines().count() > LONG {
            // Around what is folded Markdown needs an empty line, or it is taken for HTML.
            out.extend(["\n<details><summary>", &title, "</summary>\n\n"]);
            out.extend([fence(&text).as_str(), "\n</details>\n"]);
        } else {
            out.extend(["\n### ", &title, "\n\n", &fence(&text)]);
        }
    }
    let mut last = String::new();
    last_line(&mut last, comparison);
    if !last.is_empty() {
        out.extend(["\n", &last]);
    }
    out
}

/// Says how many packages change in which way, whatever of them is shown.
fn numbers(diff: &ClosureDiff, view: DiffView) -> String {
    let rows = Rows::of(
        &Lists::of(diff),
        DiffView {
            selected: false,
            ..view
        },
    );
    let changed = |change| diff.changed.iter().filter(|e| e.change == change).count();
    let rebuilt = diff.rebuilt.len();
    let own = diff.rebuilt.iter().filter(|e| e.cause == Some(Cause::Own));
    let counts = [
        (changed(Change::Upgraded), "upgraded"),
        (changed(Change::Downgraded), "downgraded"),
        (changed(Change::Changed), "changed"),
        (rows.renamed, "renamed"),
        (rows.added.len(), "added"),
        (rows.removed.len(), "removed"),
        (diff.selection.len(), "with another selection state"),
        (own.clone().count(), "rebuilt by own change"),
        (rebuilt - own.count(), "otherwise rebuilt"),
        (diff.configuration.len(), "of the configuration"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(n, words)| format!("{n} {words}")).collect();
    match counts.as_slice() {
        [] if diff.is_empty() => "Nothing changes.".to_owned(),
        [] => "No package changes.".to_owned(),
        counts => format!("{}.", counts.join(", ")),
    }
}

/// Writes what changes as JSON, in one line: the object that stands in a report's `hosts[].diff`.
///
/// # Errors
///
/// `to` takes no more.
pub fn write_diff_json(diff: &ClosureDiff, to: impl Write) -> io::Result<()> {
    json::write_line(diff, to)
}
