//! What changes between two closures, in the layout nvd's users know: the sections that a host's part of a report and
//! `flake-herald diff` have alike.

use std::cmp::Reverse;

use crate::closure::{Cause, Change, ClosureDiff, Entry, Selected};

use super::rows::{Lists, Note, Row, Rows, alike, is_shown, sort, tells};
use super::style::{
    BAD, CARE, GOOD, HEADING, PLAIN, column, counted, line, packages, signed_size, spans, wrapped,
};
use super::{DiffSort, DiffView};

/// How many names a list has at most, and how many packages of which nothing but unnamed attributes changed have rows.
const MOST: usize = 12;

/// How many version changes stand together.
const ROWS: usize = 40;

/// How many names of one kind of configuration are all told.
const FEW: usize = 5;

/// How many names of one kind of configuration are told where there are more.
const SOME: usize = 2;

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
        /// What is counted further, and follows the names: the number, and names of some.
        rest: Vec<(String, Vec<String>)>,
    },
}

/// Returns nvd's sections, then ours.
pub(super) fn sections<'a>(diff: &Lists<'a>, view: DiffView) -> Vec<Section<'a>> {
    let mut out = Vec::new();
    let mut rows = Rows::of(diff, view);
    let along = came_along(&mut rows.changed, view);
    let section = |title: &str, rows: Vec<Row<'a>>| {
        let title = title.to_owned();
        (!rows.is_empty()).then_some(Section::Rows { title, rows })
    };
    out.extend(section("Version changes", rows.changed));
    out.extend(section(
        "Upgraded along with others, to no new major version",
        along,
    ));
    out.extend(section("Selection state changes", rows.selection));
    out.extend(section("Added packages", rows.added));
    out.extend(section("Removed packages", rows.removed));
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

/// Takes out of many `rows` those that a reader looks at last, so that the others are seen: a new release moves hundreds of
/// packages. Rows in another order than that of names are wanted in it.
fn came_along<'a>(rows: &mut Vec<Row<'a>>, view: DiffView) -> Vec<Row<'a>> {
    if view.all || view.sort != DiffSort::Name || rows.len() <= ROWS {
        return Vec::new();
    }
    rows.extract_if(.., |row| row.came_along()).collect()
}

/// Writes nvd's sections, then ours.
pub(super) fn write_sections(out: &mut String, diff: &ClosureDiff, view: DiffView, width: usize) {
    for section in sections(&Lists::of(diff), view) {
        match section {
            Section::Note(text) => line(out, PLAIN, &text),
            Section::Rows { title, rows } => {
                line(out, HEADING, &format!("{title}:"));
                write_rows(out, &rows, view, width);
            }
            Section::Names { title, names, rest } => write_names(out, &title, names, rest, width),
        }
    }
}

/// Writes sections for a narrow page: rows without numbers, names with little between them and what follows.
pub(super) fn write_narrow(out: &mut String, sections: Vec<Section<'_>>) {
    for section in sections {
        match section {
            Section::Note(text) => line(out, PLAIN, &text),
            Section::Rows { title, rows } => {
                line(out, PLAIN, &format!("{title}:"));
                write_narrow_rows(out, &rows);
            }
            Section::Names { title, names, rest } => {
                write_names(out, &narrow_title(&title), names, rest, NARROW);
            }
        }
    }
}

/// Returns a section's title in fewer words.
pub(super) fn narrow_title(title: &str) -> String {
    title.replacen(ONLY_REBUILT, "Only rebuilt", 1)
}

/// What heads packages that were rebuilt for no reason of their own.
const ONLY_REBUILT: &str = "Rebuilt only because of what they are built from";

/// How many columns of code a phone shows, about.
pub(super) const NARROW: usize = 46;

/// Writes rows for a narrow page.
pub(super) fn write_narrow_rows(out: &mut String, rows: &[Row<'_>]) {
    // Few names are longer, and so are not worth the room they would take from all.
    const NAME: usize = 20;
    let names = rows.iter().map(|row| (&*row.name, &*row.what));
    let width = name_width(names.filter(|(name, _)| name.chars().count() <= NAME));
    for row in rows {
        let (what, parts) = row.narrow();
        let size = row
            .size_delta
            .filter(|size| size.unsigned_abs() >= WORTH_A_WORD);
        let size = size.map_or_else(String::new, |size| format!(", {}", signed_size(size)));
        let what = if what.is_empty() {
            String::new()
        } else {
            format!(" {what}")
        };
        let name = if what.is_empty() {
            row.name.to_string()
        } else {
            format!("{:width$}", row.name)
        };
        line(out, PLAIN, &format!("{} {name}{what}{size}", row.tag()));
        for note in parts.iter().chain(&row.notes) {
            // Every way begins at the host itself.
            let names = match note.names.split_first() {
                Some((_, names)) if note.lead == Note::THROUGH && !names.is_empty() => names,
                _ => &note.names,
            };
            for text in wrapped(&format!("  {} ", note.lead), names, NARROW) {
                line(out, PLAIN, &text);
            }
        }
    }
}

fn write_names(
    out: &mut String,
    title: &str,
    names: Vec<String>,
    rest: Vec<(String, Vec<String>)>,
    width: usize,
) {
    let closed = |mut names: Vec<String>| {
        if let Some(last) = names.last_mut() {
            last.push(')');
        }
        names
    };
    let mut head = title.to_owned();
    if !names.is_empty() {
        head.push_str(" (");
    } else if !rest.is_empty() {
        head.push_str(", ");
    }
    let mut items = closed(names);
    for (count, names) in rest {
        let mut names = closed(names);
        // A number and the first of its names stay in one line.
        match names.first_mut() {
            Some(first) => first.insert_str(0, &format!("{count} (")),
            None => names.push(count),
        }
        items.append(&mut names);
    }
    for (i, text) in wrapped(&head, &items, width).iter().enumerate() {
        match text.strip_prefix(title).filter(|_| i == 0) {
            Some(behind) => spans(out, &[(HEADING, title), (PLAIN, behind)]),
            None => line(out, PLAIN, text),
        }
    }
}

/// Writes numbered rows.
pub(super) fn write_rows(out: &mut String, rows: &[Row<'_>], view: DiffView, width: usize) {
    let number = rows.len().to_string().len();
    let column = name_width(rows.iter().map(|row| (&*row.name, &*row.what)));
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
                    &format!("{}{size}", after_name(&row.name, &row.what, column)),
                ),
            ],
        );
        for note in &row.notes {
            for text in wrapped(&format!("      {} ", note.lead), &note.names, width) {
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
fn rebuilt<'a>(out: &mut Vec<Section<'a>>, entries: &[&'a Entry], view: DiffView) {
    let of = |cause: Cause| -> Vec<&'a Entry> {
        let entries = entries.iter().copied();
        let entries = entries.filter(|entry| is_shown(entry, view));
        // What says nothing of a cause is from a report that others wrote.
        entries
            .filter(|entry| entry.cause.unwrap_or(Cause::Unknown) == cause)
            .collect()
    };
    let mut own = of(Cause::Own);
    let mut rows = alike(&mut own, view);
    let (mut telling, mut others): (Vec<&Entry>, Vec<&Entry>) =
        own.into_iter().partition(|entry| tells(entry));
    if view.all || others.len() <= MOST {
        telling.append(&mut others);
    }
    let telling = telling.into_iter();
    rows.extend(telling.map(|entry| Row::with_own_change(entry, view)));
    if !rows.is_empty() {
        sort(&mut rows, view.sort);
        out.push(Section::Rows {
            title: "Rebuilt, own change".to_owned(),
            rows,
        });
    }
    for (title, mut entries) in [
        ("Rebuilt, other attributes of their own", others),
        (ONLY_REBUILT, of(Cause::Inputs)),
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
            names: first_names(entries.iter().map(|entry| entry.name.clone()), MOST),
            rest: Vec::new(),
        });
    }
}

/// Returns names enough to know what a list is about: `most` at most.
fn first_names(names: impl Iterator<Item = String>, most: usize) -> Vec<String> {
    let mut names: Vec<String> = names.take(most + 1).collect();
    if let Some(last) = names.get_mut(most) {
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
    /// Another file that programs are configured by.
    File,
    /// What does not say what it is.
    Other,
    /// What changes with anything: the system, its version and its manual, what gathers other paths, what restarts the unit that names
    /// it.
    Assembled,
}

impl Piece {
    /// What is counted, in this order, and what names of its kind begin with: units first, for they are what a reader looks for.
    const COUNTED: [(Self, &'static str, &'static str, &'static str); 6] = [
        (Self::Unit, "unit", "units", "unit-"),
        (
            Self::Script,
            "script of a unit",
            "scripts of units",
            "unit-script-",
        ),
        (Self::Etc, "file of etc", "files of etc", "etc-"),
        (Self::Home, "home-manager file", "home-manager files", "hm_"),
        (Self::File, "configuration file", "configuration files", ""),
        (Self::Other, "other", "others", ""),
    ];

    /// Returns what the path of this name is. NixOS, nix-darwin and home-manager name them so.
    fn of(name: &str) -> Self {
        const ASSEMBLED: [&str; 28] = [
            "activate",
            "activation-script",
            "darwin-system",
            "etc",
            "etc-lsb-release",
            "etc-os-release",
            "firmware",
            "fontconfig-conf",
            "fontconfig-etc",
            "graphics-drivers",
            "home-manager-files",
            "home-manager-generation",
            "home-manager-path",
            "hwdb.bin",
            "issue",
            "kernel-modules",
            "manual-olinkdb",
            "opengl-drivers",
            "stage-1-init.sh",
            "stage-2-init.sh",
            "system-generators",
            "system-path",
            "system-shutdown",
            "system-units",
            "udev-rules",
            "user-environment",
            "user-generators",
            "user-units",
        ];
        const STARTS: [(&str, Piece); 9] = [
            ("unit-script-", Piece::Script),
            ("unit-", Piece::Unit),
            ("etc-", Piece::Etc),
            ("hm_", Piece::Home),
            // Of fontconfig.
            ("fc-", Piece::File),
            ("X-Restart-Triggers-", Piece::Assembled),
            ("X-Reload-Triggers-", Piece::Assembled),
            // The system, its manual, its tools.
            ("nixos-", Piece::Assembled),
            ("darwin-system-", Piece::Assembled),
        ];
        const ENDS: [&str; 4] = [".conf", ".pam", ".rules", ".cfg"];
        let start = STARTS.iter().find(|(start, _)| name.starts_with(start));
        match start {
            _ if ASSEMBLED.contains(&name) => Self::Assembled,
            Some((_, piece)) => *piece,
            None if ENDS.iter().any(|end| name.ends_with(end)) => Self::File,
            None => Self::Other,
        }
    }
}

/// Returns whether a path of the configuration of this name changes with anything, so that it is no news.
pub(super) fn is_assembled(name: &str) -> bool {
    Piece::of(name) == Piece::Assembled
}

/// Returns the section of what is no package.
fn configuration<'a>(entries: &[&'a Entry], view: DiffView) -> Option<Section<'a>> {
    let entries = entries.iter().copied();
    let entries: Vec<&'a Entry> = entries.filter(|e| is_shown(e, view)).collect();
    if view.all {
        let mut rows: Vec<Row<'a>> = entries.iter().map(|e| Row::of(e, view)).collect();
        for row in rows.iter_mut().filter(|row| row.what == "<none>") {
            row.what.clear();
        }
        sort(&mut rows, view.sort);
        let title = "Configuration".to_owned();
        return (!rows.is_empty()).then_some(Section::Rows { title, rows });
    }
    let counts = Piece::COUNTED
        .iter()
        .filter_map(|(piece, one, many, start)| {
            let of_kind = entries
                .iter()
                .filter(|entry| Piece::of(&entry.name) == *piece);
            let names = of_kind.map(|entry| {
                let sign = match entry.change {
                    Change::Added => '+',
                    Change::Removed => '-',
                    _ => '~',
                };
                let name = entry.name.strip_prefix(start).unwrap_or(&entry.name);
                format!("{sign} {name}")
            });
            let names: Vec<String> = names.collect();
            let count = counted(names.len(), one, many);
            // Every unit is one that may restart; of a long list of something else, a few names tell what it is about.
            let most = match piece {
                Piece::Unit => MOST,
                _ if names.len() <= FEW => FEW,
                _ => SOME,
            };
            (!names.is_empty()).then(|| (count, first_names(names.into_iter(), most)))
        });
    let mut counts = counts.collect::<Vec<_>>().into_iter();
    let (count, names) = counts.next()?;
    Some(Section::Names {
        title: format!("Configuration: {count}"),
        names,
        rest: counts.collect(),
    })
}

/// Says how much is not shown since the user did not select it.
fn left_out(diff: &Lists<'_>, view: DiffView) -> Option<String> {
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
