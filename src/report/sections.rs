//! What changes between two closures, in the layout nvd's users know.

use crate::closure::{Change, ClosureDiff, Entry, Selected, VersionGroup};

use super::style::{BAD, CARE, GOOD, HEADING, PLAIN, line, signed_size};

/// Writes nvd's sections, then ours.
pub(super) fn sections(out: &mut String, diff: &ClosureDiff) {
    if diff.changed.is_empty()
        && diff.selection.is_empty()
        && diff.added.is_empty()
        && diff.removed.is_empty()
    {
        line(out, PLAIN, "No version or selection state changes.");
    }
    for (title, entries) in [
        ("Version changes:", &diff.changed),
        ("Selection state changes:", &diff.selection),
        ("Added packages:", &diff.added),
        ("Removed packages:", &diff.removed),
    ] {
        section(out, title, entries);
    }
    if !diff.rebuilt.is_empty() {
        let names: Vec<&str> = diff
            .rebuilt
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        line(
            out,
            HEADING,
            &format!(
                "Rebuilt, same version: {} ({})",
                names.len(),
                shortened(&names)
            ),
        );
    }
    if !diff.configuration.is_empty() {
        line(
            out,
            HEADING,
            &format!("Configuration: {} paths", diff.configuration.len()),
        );
    }
}

/// Names enough of a list to know what it is about.
fn shortened(names: &[&str]) -> String {
    const MOST: usize = 12;
    let mut text = names.get(..MOST).unwrap_or(names).join(", ");
    if names.len() > MOST {
        text.push_str(", …");
    }
    text
}

fn section(out: &mut String, title: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    line(out, HEADING, title);
    let number = entries.len().to_string().len();
    let width = entries
        .iter()
        .map(|entry| entry.name.chars().count())
        .max()
        .unwrap_or(0);
    for (i, entry) in entries.iter().enumerate() {
        let style = match entry.change {
            Change::Upgraded | Change::Added => GOOD,
            Change::Downgraded | Change::Removed => BAD,
            Change::Changed | Change::Rebuilt => CARE,
        };
        let versions = change_versions(entry);
        let text = format!(
            "{}  #{:0number$}  {:width$}  {versions}",
            tag(entry),
            i + 1,
            entry.name
        );
        line(out, style, &text);
    }
}

/// Says which versions an entry changes from and to.
pub(super) fn change_versions(entry: &Entry) -> String {
    match entry.change {
        Change::Added => versions(&entry.after),
        Change::Removed => versions(&entry.before),
        _ if versions(&entry.before) == versions(&entry.after) => versions(&entry.after),
        _ => format!("{} -> {}", versions(&entry.before), versions(&entry.after)),
    }
}

/// nvd's two letters: what became of it, and whether the user selected it.
pub(super) fn tag(entry: &Entry) -> String {
    let change = match entry.change {
        Change::Upgraded => 'U',
        Change::Downgraded => 'D',
        Change::Changed | Change::Rebuilt => 'C',
        Change::Added => 'A',
        Change::Removed => 'R',
    };
    let selected = match entry.selected {
        Selected::Yes => '*',
        Selected::Newly => '+',
        Selected::NoLonger => '-',
        Selected::No => '.',
    };
    format!("[{change}{selected}]")
}

fn versions(groups: &[VersionGroup]) -> String {
    let texts: Vec<String> = groups
        .iter()
        .map(|group| {
            let version = group.version.as_deref().unwrap_or("<none>");
            match group.paths.len() {
                0 | 1 => version.to_owned(),
                count => format!("{version} x{count}"),
            }
        })
        .collect();
    texts.join(", ")
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
