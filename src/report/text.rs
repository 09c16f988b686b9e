//! The report for a terminal, in the layout nvd's users know.

use std::collections::HashMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::closure::{Change, ClosureDiff, Entry, Selected, VersionGroup};
use crate::flake::{HostId, Kind, labels, one_line};

use super::clean::is_unseen;
use super::common::{Common, Fleetwide, common};
use super::{HostReport, InputChange, InputRevision, Outcome, Report, Status, ToBuild};

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CARE: Style = AnsiColor::Yellow.on_default();
const PLAIN: Style = Style::new();

/// Returns the report as text with styles in it, which the stream it goes to takes out where they do not belong.
pub fn to_text(report: &Report) -> String {
    let mut out = String::new();
    line(&mut out, HEADING, &headline(report));
    for warning in &report.warnings {
        line(&mut out, CARE, &format!("warning: {warning}"));
    }
    if let Some(text) = to_build(report) {
        line(&mut out, PLAIN, &text);
    }
    if !report.inputs.is_empty() {
        out.push('\n');
        line(&mut out, HEADING, "Inputs:");
        inputs(&mut out, &report.inputs);
    }
    if !report.excluded.is_empty() {
        out.push('\n');
        let excluded: Vec<String> = report
            .excluded
            .iter()
            .map(|host| {
                let (name, pattern) = (one_line(&host.name), one_line(&host.pattern));
                format!("{}:{name} by {pattern}", host.kind)
            })
            .collect();
        line(
            &mut out,
            PLAIN,
            &format!("Left out: {}", excluded.join(", ")),
        );
    }
    if report.outcome == Outcome::LockUnchanged {
        return out;
    }
    let names = HostNames::of(report);
    fleetwide(&mut out, &common(report), &names);
    // What a reader must act on first, what needs no word last.
    for status in Status::ALL {
        if status == Status::Unchanged {
            let unchanged = report.with_status(status).map(|host| names.of_host(host));
            unchanged_hosts(&mut out, &unchanged.collect::<Vec<_>>());
            continue;
        }
        for block in blocks(report, status) {
            out.push('\n');
            heading(&mut out, status, &block.names(&names));
            out.push_str(&block.text);
        }
    }
    out
}

/// Writes what many hosts have in common.
fn fleetwide(out: &mut String, fleet: &Fleetwide<'_>, names: &HostNames) {
    for set in &fleet.sets {
        out.push('\n');
        line(
            out,
            HEADING,
            &set_heading(set, fleet.of, |host| names.of_host(host)),
        );
        let (shown, more) = set.first_rows(ROWS);
        for row in shown {
            line(out, PLAIN, row);
        }
        if let Some(more) = more {
            line(out, PLAIN, &more);
        }
    }
    if let Some(more) = fleet.rest() {
        out.push('\n');
        line(out, PLAIN, &more);
    }
}

/// How many rows of changes that hosts have in common are shown; each host has all of its own.
pub(super) const ROWS: usize = 30;

/// Says which hosts have changes in common, naming them with `name`.
pub(super) fn set_heading(
    set: &Common<'_>,
    of: usize,
    name: impl Fn(&HostReport) -> String,
) -> String {
    if set.hosts.len() == of {
        return format!("On all {of} hosts that change:");
    }
    let (shown, more) = first_ones(&set.hosts);
    let shown: Vec<String> = shown.iter().map(|host| name(host)).collect();
    format!(
        "On {} of the {of} hosts that change ({}{more}):",
        set.hosts.len(),
        shown.join(", ")
    )
}

/// Writes a line for each unchanged host, or for many of them one heading, broken between names where it gets long: there may be hundreds of them.
fn unchanged_hosts(out: &mut String, names: &[String]) {
    const WIDTH: usize = 100;
    const FEW: usize = 12;
    if names.is_empty() {
        return;
    }
    out.push('\n');
    if names.len() <= FEW {
        for name in names {
            line(out, PLAIN, &format!("== {name} (unchanged)"));
        }
        return;
    }
    let mut text = "==".to_owned();
    for (i, name) in names.iter().enumerate() {
        let end = if i + 1 == names.len() {
            " (unchanged)"
        } else {
            ","
        };
        if text.len() > 2 && text.chars().count() + name.chars().count() + end.len() >= WIDTH {
            line(out, PLAIN, &text);
            text = "  ".to_owned();
        }
        text.extend([" ", name, end]);
    }
    line(out, PLAIN, &text);
}

/// Returns the report as text without styles.
pub fn to_plain_text(report: &Report) -> String {
    anstream::adapter::strip_str(&to_text(report)).to_string()
}

/// Says in one line what the report says.
pub(super) fn headline(report: &Report) -> String {
    let fleet = &report.fleet;
    match report.outcome {
        Outcome::LockUnchanged => "flake.lock does not change".to_owned(),
        Outcome::ClosuresUnchanged if fleet.hosts == 1 => {
            format!(
                "flake.lock changes, the host stays as it is{}",
                base_note(report)
            )
        }
        Outcome::ClosuresUnchanged => format!(
            "flake.lock changes, all {} stay as they are{}",
            hosts(fleet.hosts),
            base_note(report)
        ),
        Outcome::Changed => {
            let parts: Vec<String> = [
                (fleet.broken, "broken by the update"),
                (fleet.already_broken, "broken with and without the update"),
                (fleet.mended, "mended"),
                (fleet.changed, "changed"),
                (fleet.skipped, "skipped"),
                (fleet.unknown, "unknown"),
                (fleet.unchanged, "unchanged"),
            ]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| format!("{count} {words}"))
            .collect();
            let unbuilt = if report.built {
                ""
            } else {
                " (nothing was built: closures are not known)"
            };
            format!(
                "{}: {}{unbuilt}{}",
                hosts(fleet.hosts),
                parts.join(", "),
                base_note(report)
            )
        }
    }
}

/// Says what a build would take, where that was asked and hosts differ.
pub(super) fn to_build(report: &Report) -> Option<String> {
    let ToBuild {
        derivations,
        fetched_paths,
        download_size,
        unpacked_size,
    } = report
        .fleet
        .to_build
        .filter(|_| report.outcome == Outcome::Changed)?;
    let counted = |number: u64, noun: &str| {
        let s = if number == 1 { "" } else { "s" };
        format!("{} {noun}{s}", grouped(number))
    };
    let sizes = if download_size == 0 && unpacked_size == 0 {
        String::new()
    } else {
        format!(
            " ({}, unpacked {})",
            size(download_size, " "),
            size(unpacked_size, " ")
        )
    };
    Some(format!(
        "To build: {}; to fetch: {}{sizes}",
        counted(derivations, "derivation"),
        counted(fetched_paths, "path")
    ))
}

/// Says what is odd about the lock that everything is compared with.
fn base_note(report: &Report) -> &'static str {
    if report.lock.before_hash.is_none() {
        " (there is no committed flake.lock, so there is nothing to compare with)"
    } else if report.lock.completed {
        " (the committed flake.lock did not fit flake.nix, and was completed for the comparison)"
    } else {
        ""
    }
}

fn hosts(count: u64) -> String {
    if count == 1 {
        "1 host".to_owned()
    } else {
        format!("{count} hosts")
    }
}

/// What the hosts of a report are called in print.
pub(super) struct HostNames(std::collections::BTreeMap<HostId, String>);

impl HostNames {
    pub(super) fn of(report: &Report) -> Self {
        let ids: Vec<HostId> = report.hosts.iter().map(id).collect();
        Self(labels(&ids))
    }

    pub(super) fn of_host(&self, host: &HostReport) -> String {
        self.0
            .get(&id(host))
            .cloned()
            .unwrap_or_else(|| host.name.clone())
    }
}

fn id(host: &HostReport) -> HostId {
    HostId {
        kind: host.kind,
        name: host.name.clone(),
    }
}

fn inputs(out: &mut String, inputs: &[InputChange]) {
    let width = inputs
        .iter()
        .map(|input| input.name.chars().count())
        .max()
        .unwrap_or(0);
    for input in inputs {
        let text = format!(
            "  {:width$}  {} -> {}",
            input.name,
            revision(input.before.as_ref()),
            revision(input.after.as_ref())
        );
        line(out, PLAIN, &text);
    }
}

/// Says what an input is locked to: short revision and day, or what it follows.
pub(super) fn revision(revision: Option<&InputRevision>) -> String {
    let Some(revision) = revision else {
        return "none".to_owned();
    };
    if let Some(follows) = &revision.follows {
        return format!("follows {follows}");
    }
    let short = revision
        .rev
        .as_deref()
        .map(|rev| rev.get(..7).unwrap_or(rev).to_owned());
    let parts: Vec<String> = short.into_iter().chain(revision.date.clone()).collect();
    if parts.is_empty() {
        revision.url.clone().unwrap_or_default()
    } else {
        parts.join(" ")
    }
}

/// What is told of one host, or of several at once, of which there is the same to tell.
pub(super) struct Block<'a> {
    pub(super) hosts: Vec<&'a HostReport>,
    /// What stands below the heading, with styles.
    pub(super) text: String,
}

impl Block<'_> {
    /// Returns what its hosts are called, of many the first ones.
    fn names(&self, names: &HostNames) -> String {
        let (shown, more) = first_ones(&self.hosts);
        let shown: Vec<String> = shown.iter().map(|host| names.of_host(host)).collect();
        format!("{}{more}", shown.join(", "))
    }
}

/// Returns the first ones of a list that is to stand in one line, and how many more there are.
pub(super) fn first_ones<T>(list: &[T]) -> (&[T], String) {
    const MOST: usize = 12;
    match list.get(..MOST) {
        Some(first) if list.len() > MOST => (first, format!(" and {} more", list.len() - MOST)),
        _ => (list, String::new()),
    }
}

/// Returns the hosts of one status, in the report's order, those that fail the same way or are left open for the same reason together.
pub(super) fn blocks(report: &Report, status: Status) -> Vec<Block<'_>> {
    let alike = matches!(
        status,
        Status::Broken | Status::AlreadyBroken | Status::Skipped | Status::Unknown
    );
    let mut blocks: Vec<Block<'_>> = Vec::new();
    // What is told of it alone decides, for that is what a reader would see twice. What its paths are is told of one alone.
    let mut known: HashMap<String, usize> = HashMap::new();
    for host in report.with_status(status) {
        if alike && host.diff.is_none() {
            let mut text = String::new();
            trouble(&mut text, host);
            let next = blocks.len();
            let at = *known.entry(text.clone()).or_insert(next);
            if let Some(block) = blocks.get_mut(at) {
                block.hosts.push(host);
                block.text = text;
                continue;
            }
        }
        let mut text = String::new();
        body(&mut text, host);
        blocks.push(Block {
            hosts: vec![host],
            text,
        });
    }
    blocks
}

fn heading(out: &mut String, status: Status, names: &str) {
    let style = match status {
        Status::Broken | Status::AlreadyBroken => BAD.bold(),
        Status::Mended => GOOD.bold(),
        Status::Skipped | Status::Unknown => CARE.bold(),
        Status::Changed => HEADING,
        Status::Unchanged => PLAIN,
    };
    line(out, style, &format!("== {names} ({})", status.as_str()));
}

/// Writes what is below a host's heading.
fn body(out: &mut String, host: &HostReport) {
    if host.status == Status::Unchanged {
        return;
    }
    if let Some(before) = &host.before {
        line(out, PLAIN, &format!("<<< {}", before.out_path));
    }
    if let Some(after) = &host.after {
        line(out, PLAIN, &format!(">>> {}", after.out_path));
    }
    trouble(out, host);
    if let Some(diff) = &host.diff {
        sections(out, diff);
        let (before, after) = (host.before.as_ref(), host.after.as_ref());
        let paths = |side: Option<&super::Side>| side.and_then(|s| s.paths).unwrap_or(0);
        closure_size(out, diff, paths(before), paths(after));
    }
    if let Some(words) = unbuilt(host) {
        line(out, PLAIN, words);
    }
    if let (None, Some(paths)) = (&host.diff, host.after.as_ref().and_then(|side| side.paths)) {
        line(out, PLAIN, &format!("Closure size: {paths} paths."));
    }
}

/// Writes what is wrong with a host, and why.
fn trouble(out: &mut String, host: &HostReport) {
    if let Some(reason) = &host.reason {
        line(out, CARE, reason);
    }
    if let Some(failure) = &host.failure {
        let side = match (host.status, failure.side) {
            (Status::AlreadyBroken, _)
                if host.before.is_some() || failure.side == super::SideName::Before =>
            {
                " before or after the update"
            }
            // Of a side that does not evaluate nothing is known, so that there may have been no side before.
            (Status::AlreadyBroken, _) => "",
            (_, super::SideName::Before) => " before the update",
            (_, super::SideName::After) => " after the update",
        };
        let what = format!("{}{side}", failure.stage.what_fails());
        line(out, BAD, &what);
        if let Some(derivation) = &failure.derivation {
            line(out, PLAIN, &format!("  {derivation}"));
        }
        for text in failure.error.lines() {
            line(out, BAD, &format!("  {text}"));
        }
        if !failure.log_tail.is_empty() {
            line(out, PLAIN, "  the end of its log:");
            for text in &failure.log_tail {
                line(out, PLAIN, &format!("  > {text}"));
            }
        }
    }
}

/// Says what of a host is compared, where it differs and was not built.
fn unbuilt(host: &HostReport) -> Option<&'static str> {
    let after = host.after.as_ref()?;
    // What is built and differs is read, or it is no longer said to be so.
    if !matches!(host.status, Status::Changed | Status::Mended) || after.paths.is_some() {
        return None;
    }
    Some(match (&host.diff, &host.before) {
        (Some(_), _) => "Not built: only packages selected by the configuration are compared.",
        (None, None) => "Not built, and there is nothing to compare with.",
        (None, Some(_)) if host.kind == Kind::Attr => {
            "Not built, and no configuration says which packages are selected: nothing is compared."
        }
        (None, Some(_)) => {
            "Not built, and the packages selected by the configuration cannot be listed: nothing is compared."
        }
    })
}

fn sections(out: &mut String, diff: &ClosureDiff) {
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

fn closure_size(out: &mut String, diff: &ClosureDiff, before: u64, after: u64) {
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

/// Returns a difference of sizes as nvd prints it: `+1.5MiB`, `-512B`, `+0B`.
pub(super) fn signed_size(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", size(bytes.unsigned_abs(), ""))
}

/// Returns a size with `gap` before its unit: `812.3 MiB`.
fn size(bytes: u64, gap: &str) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes}{gap}B");
    }
    // Tenths of a unit in whole numbers: exact, and the same on every machine.
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    format!("{}.{}{gap}{unit}", tenths / 10, tenths % 10)
}

/// Returns a number with a comma before every three digits from its end: `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn line(out: &mut String, style: Style, text: &str) {
    // A name may hold a line break or an escape, and must not pass for a line or a colour of ours.
    let escaped: String;
    let text = if text.chars().any(is_unseen) {
        escaped = text.chars().map(shown).collect();
        &escaped
    } else {
        text
    };
    // Writing to a string cannot fail; a style that writes nothing must not leave a reset behind.
    let written = if style == PLAIN {
        writeln!(out, "{text}")
    } else {
        writeln!(out, "{style}{text}{style:#}")
    };
    debug_assert!(written.is_ok(), "a string takes whatever is written");
}

/// Returns a character as it is shown: a control character by its picture (U+2400 and on).
fn shown(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or('?'),
        _ if is_unseen(c) => '\u{fffd}',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_sizes_have_their_unit() {
        let numbers = [0, 7, 999, 1000, 1_204, 999_999, 12_345_678, u64::MAX].map(grouped);
        insta::assert_snapshot!(numbers.join(" "), @"0 7 999 1,000 1,204 999,999 12,345,678 18,446,744,073,709,551,615");
        let sizes = [0, 1023, 1024, 851_758_284, u64::MAX].map(|bytes| size(bytes, " "));
        insta::assert_snapshot!(sizes.join(", "), @"0 B, 1023 B, 1.0 KiB, 812.3 MiB, 16777216.0 TiB");
    }

    #[test]
    fn differences_of_sizes_are_short_and_signed() {
        let sizes = [
            0,
            1,
            -1023,
            1024,
            1_572_864,
            -5_368_709_120,
            i64::MAX,
            i64::MIN,
        ]
        .map(signed_size)
        .join(" ");
        insta::assert_snapshot!(sizes, @"+0B +1B -1023B +1.0KiB +1.5MiB -5.0GiB +8388608.0TiB -8388608.0TiB");
    }

    #[test]
    fn unchanged_hosts_stand_together() {
        let text = |count: usize| {
            let names: Vec<String> = (1..=count).map(|i| format!("web{i}")).collect();
            let mut out = String::new();
            unchanged_hosts(&mut out, &names);
            out
        };
        assert_eq!(text(0), "");
        assert_eq!(text(1), "\n== web1 (unchanged)\n");
        insta::assert_snapshot!(text(40), @"

        == web1, web2, web3, web4, web5, web6, web7, web8, web9, web10, web11, web12, web13, web14, web15,
           web16, web17, web18, web19, web20, web21, web22, web23, web24, web25, web26, web27, web28, web29,
           web30, web31, web32, web33, web34, web35, web36, web37, web38, web39, web40 (unchanged)
        ");
        assert!(text(2000).lines().all(|line| line.len() <= 100));
    }
}
