//! What changes between two closures, in the layout nvd's users know: the sections that a host's part of a report and
//! `flake-herald diff` have alike.

use std::cmp::Reverse;

use crate::closure::{Cause, Change, ClosureDiff, Entry, OwnChange, Selected};

use super::rows::{Row, Rows, is_shown, sort};
use super::style::{
    BAD, CARE, GOOD, HEADING, PLAIN, column, counted, line, packages, signed_size, spans, wrapped,
};
use super::{DiffSort, DiffView};

/// How many names a list has at most, and how many packages of which nothing but unnamed attributes changed have rows.
const MOST: usize = 12;

/// By how much a closure must grow or shrink for a row to say so.
const WORTH_A_WORD: u64 = 1 << 20;

/// A section, or what stands in its place.
pub(super) enum Section<'a> {
    /// A sentence of ours.
    Note(String),
    /// A row for each.
    Rows { title: String, rows: Vec<Row<'a>> },
    /// Names of some of what the title counts, in one line with it where they fit.
    Names {
        title: String,
        names: Vec<String>,
        /// What is counted further, and follows the names.
        rest: Vec<String>,
    },
}

/// Returns nvd's sections, then ours.
pub(super) fn sections(diff: &ClosureDiff, view: DiffView) -> Vec<Section<'_>> {
    let mut out = Vec::new();
    let rows = Rows::of(diff, view);
    for (title, rows) in [
        ("Version changes", rows.changed),
        ("Selection state changes", rows.selection),
        ("Added packages", rows.added),
        ("Removed packages", rows.removed),
    ] {
        if !rows.is_empty() {
            let title = title.to_owned();
            out.push(Section::Rows { title, rows });
        }
    }
    if out.is_empty() {
        out.push(Section::Note(
            "No version or selection state changes.".to_owned(),
        ));
    }
    rebuilt(&mut out, &diff.rebuilt, view);
    out.extend(configuration(&diff.configuration, view));
    out.extend(left_out(diff, view).map(Section::Note));
    out
}

/// Writes nvd's sections, then ours.
pub(super) fn write_sections(out: &mut String, diff: &ClosureDiff, view: DiffView) {
    for section in sections(diff, view) {
        match section {
            Section::Note(text) => line(out, PLAIN, &text),
            Section::Rows { title, rows } => {
                line(out, HEADING, &format!("{title}:"));
                write_rows(out, &rows, view);
            }
            Section::Names { title, names, rest } => write_names(out, &title, names, rest),
        }
    }
}

fn write_names(out: &mut String, title: &str, mut names: Vec<String>, rest: Vec<String>) {
    let mut head = title.to_owned();
    if let Some(last) = names.last_mut() {
        last.push(')');
        head.push_str(" (");
    } else if !rest.is_empty() {
        head.push_str(", ");
    }
    names.extend(rest);
    for (i, text) in wrapped(&head, &names).iter().enumerate() {
        match text.strip_prefix(title).filter(|_| i == 0) {
            Some(behind) => spans(out, &[(HEADING, title), (PLAIN, behind)]),
            None => line(out, PLAIN, text),
        }
    }
}

/// Writes numbered rows.
pub(super) fn write_rows(out: &mut String, rows: &[Row<'_>], view: DiffView) {
    let number = rows.len().to_string().len();
    let width = name_width(rows.iter().map(|row| (&*row.name, &*row.what)));
    for (i, row) in rows.iter().enumerate() {
        let style = match row.change {
            Change::Upgraded | Change::Added => GOOD,
            Change::Downgraded | Change::Removed => BAD,
            Change::Changed | Change::Rebuilt => CARE,
        };
        let name = match row.selected {
            Selected::No => PLAIN,
            _ => HEADING,
        };
        let size = row
            .size_delta
            .filter(|size| view.sort == DiffSort::Size || size.unsigned_abs() >= WORTH_A_WORD);
        let size = size.map_or_else(String::new, |size| format!(", {}", signed_size(size)));
        spans(
            out,
            &[
                (style, &row.tag()),
                (PLAIN, &format!("  #{:0number$}  ", i + 1)),
                (name, &row.name),
                (
                    PLAIN,
                    &format!("{}{size}", after_name(&row.name, &row.what, width)),
                ),
            ],
        );
        for note in &row.notes {
            for text in wrapped(&format!("      {} ", note.lead), &note.names) {
                line(out, PLAIN, &text);
            }
        }
    }
}

/// Returns how wide the column of names is, of rows of a name and what follows it. A name that nothing follows needs no column.
pub(super) fn name_width<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> usize {
    column(
        rows.filter(|(_, what)| !what.is_empty())
            .map(|(name, _)| name),
    )
}

/// Returns what stands after `name` in a column of `width`.
pub(super) fn after_name(name: &str, what: &str, width: usize) -> String {
    if what.is_empty() {
        return String::new();
    }
    let gap = width.saturating_sub(name.chars().count());
    format!("{:gap$}  {what}", "")
}

/// Adds what was rebuilt at the same version: first what changed by itself.
fn rebuilt<'a>(out: &mut Vec<Section<'a>>, entries: &'a [Entry], view: DiffView) {
    let of = |cause: Cause| -> Vec<&'a Entry> {
        let entries = entries.iter().filter(|entry| is_shown(entry, view));
        // What says nothing of a cause is from a report that others wrote.
        entries
            .filter(|entry| entry.cause.unwrap_or(Cause::Unknown) == cause)
            .collect()
    };
    let (mut telling, mut others): (Vec<&Entry>, Vec<&Entry>) = of(Cause::Own)
        .into_iter()
        .partition(|entry| entry.own.as_ref().is_some_and(tells));
    if view.all || others.len() <= MOST {
        telling.append(&mut others);
    }
    if !telling.is_empty() {
        let mut rows: Vec<Row<'_>> = telling
            .into_iter()
            .map(|entry| Row::with_own_change(entry, view))
            .collect();
        sort(&mut rows, view.sort);
        out.push(Section::Rows {
            title: "Rebuilt, own change".to_owned(),
            rows,
        });
    }
    for (title, mut entries) in [
        ("Rebuilt, other attributes of their own", others),
        (
            "Rebuilt only because of what they are built from",
            of(Cause::Inputs),
        ),
        ("Rebuilt, cause not known", of(Cause::Unknown)),
    ] {
        if entries.is_empty() {
            continue;
        }
        if view.all {
            let rows = entries.into_iter().map(|entry| Row::of(entry, view));
            let (title, mut rows) = (title.to_owned(), rows.collect::<Vec<_>>());
            sort(&mut rows, view.sort);
            out.push(Section::Rows { title, rows });
            continue;
        }
        let key = |entry: &&Entry| {
            let size = entry.size_delta.filter(|_| view.sort == DiffSort::Size);
            (
                entry.selected == Selected::No,
                Reverse(size.map(i64::unsigned_abs)),
            )
        };
        entries.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
        out.push(Section::Names {
            title: format!("{title}: {}", packages(entries.len())),
            names: first_names(entries.iter().map(|entry| entry.name.clone())),
            rest: Vec::new(),
        });
    }
}

/// Returns whether more is known to have changed than attributes, of which a reader does not see what they hold.
fn tells(own: &OwnChange) -> bool {
    let lists = [
        &own.sources,
        &own.patches_added,
        &own.patches_removed,
        &own.flags_added,
        &own.flags_removed,
    ];
    lists.into_iter().any(|list| !list.is_empty())
}

/// Returns names enough to know what a list is about.
fn first_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.take(MOST + 1).collect();
    if let Some(last) = names.get_mut(MOST) {
        "…".clone_into(last);
    }
    names
}

/// What a path of the configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// A unit of systemd.
    Unit,
    /// A script that a unit runs.
    Script,
    /// A file in `/etc`.
    Etc,
    /// A file that home-manager writes.
    Home,
    /// What restarts a unit when it changes.
    Trigger,
    /// What only gathers other paths, or does not say what it is.
    Other,
    /// The system itself, which changes whenever anything does.
    Root,
}

impl Piece {
    /// What is counted, in this order: units first, for their names follow their number.
    const COUNTED: [(Self, &'static str, &'static str); 6] = [
        (Self::Unit, "unit", "units"),
        (Self::Script, "script of a unit", "scripts of units"),
        (Self::Etc, "file of etc", "files of etc"),
        (Self::Home, "home-manager file", "home-manager files"),
        (Self::Trigger, "restart trigger", "restart triggers"),
        (Self::Other, "other", "others"),
    ];

    /// Returns what the path of this name is. NixOS and home-manager name them so.
    fn of(name: &str) -> Self {
        const STARTS: [(&str, Piece); 8] = [
            ("unit-script-", Piece::Script),
            ("unit-", Piece::Unit),
            ("etc-", Piece::Etc),
            ("hm_", Piece::Home),
            ("X-Restart-Triggers-", Piece::Trigger),
            ("X-Reload-Triggers-", Piece::Trigger),
            ("nixos-system-", Piece::Root),
            ("darwin-system-", Piece::Root),
        ];
        let start = STARTS.iter().find(|(start, _)| name.starts_with(start));
        start.map_or(Self::Other, |(_, piece)| *piece)
    }
}

/// Returns the section of what is no package.
fn configuration(entries: &[Entry], view: DiffView) -> Option<Section<'_>> {
    let entries: Vec<&Entry> = entries.iter().filter(|e| is_shown(e, view)).collect();
    if view.all {
        let mut rows: Vec<Row<'_>> = entries.iter().map(|e| Row::of(e, view)).collect();
        for row in rows.iter_mut().filter(|row| row.what == "<none>") {
            row.what.clear();
        }
        sort(&mut rows, view.sort);
        let title = "Configuration".to_owned();
        return (!rows.is_empty()).then_some(Section::Rows { title, rows });
    }
    let pieces: Vec<Piece> = entries.iter().map(|entry| Piece::of(&entry.name)).collect();
    let counts = Piece::COUNTED.iter().filter_map(|(piece, one, many)| {
        let count = pieces.iter().filter(|other| *other == piece).count();
        (count > 0).then(|| counted(count, one, many))
    });
    let mut counts = counts.collect::<Vec<_>>().into_iter();
    let title = format!("Configuration: {}", counts.next()?);
    let units = entries
        .iter()
        .zip(&pieces)
        .filter(|(_, piece)| **piece == Piece::Unit);
    let units = units.map(|(entry, _)| {
        let sign = match entry.change {
            Change::Added => '+',
            Change::Removed => '-',
            _ => '~',
        };
        let name = entry.name.strip_prefix("unit-").unwrap_or(&entry.name);
        format!("{sign} {name}")
    });
    Some(Section::Names {
        title,
        names: first_names(units),
        rest: counts.collect(),
    })
}

/// Says how much is not shown since the user did not select it.
fn left_out(diff: &ClosureDiff, view: DiffView) -> Option<String> {
    let lists = [
        (&diff.changed, "version change", "version changes"),
        (&diff.added, "added package", "added packages"),
        (&diff.removed, "removed package", "removed packages"),
        (&diff.rebuilt, "rebuilt package", "rebuilt packages"),
        (
            &diff.configuration,
            "path of the configuration",
            "paths of the configuration",
        ),
    ];
    let counts = lists.into_iter().filter_map(|(entries, one, many)| {
        let left = entries.iter().filter(|e| !is_shown(e, view)).count();
        (left > 0).then(|| counted(left, one, many))
    });
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| format!("Not selected: {}.", counts.join(", ")))
}

/// Writes nvd's last line.
pub(super) fn closure_size(out: &mut String, diff: &ClosureDiff, before: u64, after: u64) {
    let (Some(added), Some(removed), Some(size_delta)) =
        (diff.paths_added, diff.paths_removed, diff.size_delta)
    else {
        return;
    };
    let delta = i128::from(after) - i128::from(before);
    line(
        out,
        PLAIN,
        &format!(
            "Closure size: {before} -> {after} ({added} paths added, {removed} paths removed, delta {delta:+}, disk usage {}).",
            signed_size(size_delta)
        ),
    );
}
