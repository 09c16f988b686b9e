//! The report for a terminal, in the layout nvd's users know.

use crate::flake::{HostId, Kind, labels, one_line};

use super::failures::{FailureGroup, failures};
use super::impact_text::write_impact;
use super::inputs::{InputRow, notes, rows};
use super::overview::{Common, Fleetwide, common};
use super::points::{ARROW, Point, Weight, Word, points};
use super::sections::{closure_size, write_sections};
use super::style::{
    BAD, CARE, GOOD, HEADING, PLAIN, WIDTH, column, counted, filled, grouped, line, readable, size,
    spans, wrapped,
};
use super::{DiffView, HostReport, InputRevision, Outcome, Report, Status, ToBuild};

/// Returns the report as text with styles in it, which the stream it goes to takes out where they do not belong. Sentences and lists
/// are broken where a line gets wider than `width` columns; rows, paths and the words of others are not.
pub fn to_text(report: &Report, width: usize) -> String {
    let width = readable(width);
    let mut out = String::new();
    line(&mut out, HEADING, &headline(report));
    for point in points(report) {
        write_point(&mut out, &point, width);
    }
    for warning in &report.warnings {
        line(&mut out, CARE, &format!("warning: {warning}"));
    }
    if let Some(text) = to_build(report) {
        line(&mut out, PLAIN, &text);
    }
    if !report.inputs.is_empty() {
        out.push('\n');
        line(&mut out, HEADING, "Inputs:");
        inputs(&mut out, &rows(report), width);
        for note in notes(report) {
            for text in filled(&format!("  {}", words(&note)), width) {
                line(&mut out, PLAIN, &text);
            }
        }
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
        for text in wrapped("Left out: ", &excluded, width) {
            line(&mut out, PLAIN, &text);
        }
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
            unchanged_hosts(&mut out, &unchanged.collect::<Vec<_>>(), width);
            continue;
        }
        for block in blocks(report, status, width) {
            out.push('\n');
            heading(&mut out, status, &block.names(&names));
            out.push_str(&block.text);
        }
    }
    out
}

fn write_point(out: &mut String, point: &Point, width: usize) {
    let style = match point.weight {
        Weight::Bad => BAD.bold(),
        Weight::Care => CARE.bold(),
        Weight::Fine => GOOD.bold(),
    };
    let said: String = point
        .words
        .iter()
        .map(|word| match word {
            // Versions move as in nvd's rows.
            Word::Own(text) => text.replace(ARROW, " -> "),
            Word::Foreign(text) => text.clone(),
        })
        .collect();
    // A lead may be the whole sentence.
    let colon = if point.lead.ends_with('.') || said.is_empty() {
        ""
    } else {
        ":"
    };
    let lead = format!("{}{colon}", point.lead);
    let text = format!("{lead} {}", said.trim());
    for (i, text) in filled(text.trim_end(), width).iter().enumerate() {
        match text.strip_prefix(lead.as_str()).filter(|_| i == 0) {
            Some(behind) => spans(out, &[(style, &lead), (PLAIN, behind)]),
            None => line(out, PLAIN, text),
        }
    }
}

/// Returns the pieces of a sentence in one.
fn words(words: &[Word]) -> String {
    words
        .iter()
        .map(|word| match word {
            Word::Own(text) | Word::Foreign(text) => text.as_str(),
        })
        .collect()
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
        return format!("On all {of} hosts that were compared:");
    }
    let (shown, more) = first_ones(&set.hosts);
    let shown: Vec<String> = shown.iter().map(|host| name(host)).collect();
    format!(
        "On {} of the {of} hosts that were compared ({}{more}):",
        set.hosts.len(),
        shown.join(", ")
    )
}

/// Writes a line for each unchanged host, or for many of them one heading, broken between names where it gets long: there may be hundreds of them.
fn unchanged_hosts(out: &mut String, names: &[String], width: usize) {
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
        if text.len() > 2 && text.chars().count() + name.chars().count() + end.len() >= width {
            line(out, PLAIN, &text);
            text = "  ".to_owned();
        }
        text.extend([" ", name, end]);
    }
    line(out, PLAIN, &text);
}

/// Returns the report as text without styles, as it stands in a file.
pub fn to_plain_text(report: &Report) -> String {
    anstream::adapter::strip_str(&to_text(report, WIDTH)).to_string()
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
            let counts = [
                (fleet.broken, "broken by the update"),
                (
                    fleet.already_broken,
                    if report.lock.before_hash.is_none() {
                        "broken"
                    } else {
                        "broken with and without the update"
                    },
                ),
                (fleet.mended, "mended"),
                (fleet.changed, "changed"),
                (fleet.skipped, "skipped"),
                (fleet.unknown, "unknown"),
                (fleet.unchanged, "unchanged"),
            ];
            let parts: Vec<String> = counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, words)| match fleet.hosts {
                    1 => (*words).to_owned(),
                    _ => format!("{count} {words}"),
                })
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

/// Writes a row for each input: name, revisions, and their days and the time between them, which stand below where there is no
/// room; then a page that shows what lies between. Inputs of inputs are only counted where they are many.
fn inputs(out: &mut String, inputs: &[InputRow<'_>], width: usize) {
    const FEW: usize = 3;
    let of_inputs = inputs.iter().filter(|input| input.transitive).count();
    let shown: Vec<(&InputRow<'_>, String, String, String)> = inputs
        .iter()
        .filter(|input| !input.transitive || of_inputs <= FEW)
        .map(|input| {
            let step = format!("{} -> {}", input.before, input.after);
            let name = match input.kind {
                Some(kind) => format!("{} ({kind})", input.name),
                None => input.name.to_owned(),
            };
            (input, name, step, when(input))
        })
        .collect();
    let names = column(shown.iter().map(|(_, name, ..)| name.as_str()));
    let steps = column(shown.iter().map(|(_, _, step, _)| step.as_str()));
    let whens = column(shown.iter().map(|(.., when)| when.as_str()));
    let beside = 2 + names + 2 + steps + 2 + whens <= width;
    for (input, name, step, when) in shown {
        if when.is_empty() {
            line(out, PLAIN, &format!("  {name:names$}  {step}"));
        } else if beside {
            line(
                out,
                PLAIN,
                &format!("  {name:names$}  {step:steps$}  {when}"),
            );
        } else {
            line(out, PLAIN, &format!("  {name:names$}  {step}"));
            line(out, PLAIN, &format!("    {when}"));
        }
        if let Some(page) = input.compare.filter(|_| !input.transitive) {
            line(out, PLAIN, &format!("    {page}"));
        }
    }
    if of_inputs > FEW {
        let text = counted(of_inputs, "input of an input", "inputs of inputs");
        line(out, PLAIN, &format!("  and {text}"));
    }
}

/// Says from when the revisions of an input are, and how long lies between them.
fn when(input: &InputRow<'_>) -> String {
    let days = match input.dates {
        [Some(before), Some(after)] if before != after => format!("{before} -> {after}"),
        [_, Some(day)] | [Some(day), None] => day.to_owned(),
        [None, None] => String::new(),
    };
    match &input.between {
        Some(between) if !days.is_empty() => format!("{days}, {between}"),
        Some(between) => between.clone(),
        None => days,
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

/// Returns what is told of the hosts of one status, once of those that fail the same way or are left open for the same reason. What the
/// paths of a host are is told of one alone.
pub(super) fn blocks(report: &Report, status: Status, width: usize) -> Vec<Block<'_>> {
    if matches!(status, Status::Changed | Status::Unchanged) {
        let hosts = report.with_status(status);
        return hosts.map(|host| alone(host, None, width)).collect();
    }
    let mut blocks = Vec::new();
    for group in failures(report) {
        match group.hosts.as_slice() {
            _ if group.status != status => {}
            [host] => blocks.push(alone(host, Some(&group), width)),
            hosts => {
                let mut text = String::new();
                trouble(&mut text, &group);
                blocks.push(Block {
                    hosts: hosts.to_vec(),
                    text,
                });
                // What they fail at is the same, what else changes need not be.
                let differ = hosts.iter().filter(|host| host.diff.is_some());
                blocks.extend(differ.map(|host| alone(host, None, width)));
            }
        }
    }
    blocks
}

/// Returns what is told of one host.
fn alone<'a>(host: &'a HostReport, group: Option<&FailureGroup<'_>>, width: usize) -> Block<'a> {
    let mut text = String::new();
    body(&mut text, host, group, width);
    Block {
        hosts: vec![host],
        text,
    }
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
fn body(out: &mut String, host: &HostReport, group: Option<&FailureGroup<'_>>, width: usize) {
    if let Some(before) = &host.before {
        line(out, PLAIN, &format!("<<< {}", before.out_path));
    }
    if let Some(after) = &host.after {
        line(out, PLAIN, &format!(">>> {}", after.out_path));
    }
    if let Some(group) = group {
        trouble(out, group);
    }
    if let Some(diff) = &host.diff {
        write_sections(out, diff, DiffView::default(), width);
    }
    if let Some(impact) = &host.impact {
        write_impact(out, impact, width);
    }
    if let Some(diff) = &host.diff {
        let (before, after) = (host.before.as_ref(), host.after.as_ref());
        let paths = |side: Option<&super::Side>| side.and_then(|s| s.paths).unwrap_or(0);
        closure_size(out, diff, paths(before), paths(after));
    }
    if let Some(words) = unbuilt(host) {
        for text in filled(words, width) {
            line(out, PLAIN, &text);
        }
    }
    if let (None, Some(paths)) = (&host.diff, host.after.as_ref().and_then(|side| side.paths)) {
        line(out, PLAIN, &format!("Closure size: {paths} paths."));
    }
}

/// Writes what is wrong with hosts, and why.
fn trouble(out: &mut String, group: &FailureGroup<'_>) {
    if let Some(reason) = group.reason {
        line(out, CARE, reason);
    }
    if let Some(what) = &group.what {
        line(out, BAD, what);
    }
    if let Some(derivation) = group.derivation {
        line(out, PLAIN, &format!("  {derivation}"));
    }
    for text in &group.telling {
        line(out, BAD, &format!("  {text}"));
    }
    quoted(out, "  the rest of the error:", &group.error);
    quoted(out, "  the end of its log:", &group.log);
    if let Some(host) = &group.log_as {
        line(out, PLAIN, &format!("  its log ends as that of {host}"));
    }
}

/// Writes lines of others below a line of ours.
fn quoted(out: &mut String, head: &str, lines: &[String]) {
    if !lines.is_empty() {
        line(out, PLAIN, head);
    }
    for text in lines {
        line(out, PLAIN, format!("  > {text}").trim_end());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_hosts_stand_together() {
        let text = |count: usize| {
            let names: Vec<String> = (1..=count).map(|i| format!("web{i}")).collect();
            let mut out = String::new();
            unchanged_hosts(&mut out, &names, WIDTH);
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

    fn plain(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        anstream::adapter::strip_str(&out).to_string()
    }

    #[test]
    fn a_point_is_a_sentence_below_the_headline() {
        let own = |text: &str| Word::Own(text.to_owned());
        let points = [
            Point {
                lead: "Nothing breaks.",
                weight: Weight::Fine,
                words: Vec::new(),
            },
            Point {
                lead: "Reboot",
                weight: Weight::Care,
                words: vec![
                    own("38 of 40 hosts, for "),
                    Word::Foreign("linux".to_owned()),
                    own(" 6.6.32 -> 6.6.35 and systemd 255 -> 256"),
                ],
            },
        ];
        let text = |width| {
            plain(|out| {
                for point in &points {
                    write_point(out, point, width);
                }
            })
        };
        insta::assert_snapshot!(text(80), @"
        Nothing breaks.
        Reboot: 38 of 40 hosts, for linux 6.6.32 -> 6.6.35 and systemd 255 -> 256
        ");
        insta::assert_snapshot!(text(40), @"
        Nothing breaks.
        Reboot: 38 of 40 hosts, for linux 6.6.32
            -> 6.6.35 and systemd 255 -> 256
        ");
    }

    fn row<'a>(name: &'a str, before: &str, after: &str) -> InputRow<'a> {
        InputRow {
            name,
            kind: Some("github"),
            before: before.to_owned(),
            after: after.to_owned(),
            dates: [Some("2024-06-01"), Some("2024-06-08")],
            between: Some("7 days".to_owned()),
            compare: None,
            transitive: name.contains('/'),
        }
    }

    #[test]
    fn inputs_stand_in_columns_where_there_is_room() {
        let mut some = vec![
            row("home-manager", "a1x0000", "b1x0000"),
            InputRow {
                dates: [None, Some("2024-06-08")],
                between: None,
                ..row("new", "none", "b2x0000")
            },
            InputRow {
                compare: Some("https://example.org/compare/71aad07...45cb002"),
                ..row("nixpkgs", "71aad07", "45cb002")
            },
            InputRow {
                dates: [None, None],
                between: None,
                ..row("sub/nixpkgs", "a3x0000", "follows nixpkgs")
            },
        ];
        let text = |rows: &[InputRow<'_>], width| plain(|out| inputs(out, rows, width));
        insta::assert_snapshot!(text(&some, 100), @"
        home-manager (github)  a1x0000 -> b1x0000          2024-06-01 -> 2024-06-08, 7 days
        new (github)           none -> b2x0000             2024-06-08
        nixpkgs (github)       71aad07 -> 45cb002          2024-06-01 -> 2024-06-08, 7 days
          https://example.org/compare/71aad07...45cb002
        sub/nixpkgs (github)   a3x0000 -> follows nixpkgs
        ");
        let more = ["sub/a", "sub/b", "sub/c"].map(|name| row(name, "a4x0000", "b4x0000"));
        some.extend(more);
        insta::assert_snapshot!(text(&some, 40), @"
        home-manager (github)  a1x0000 -> b1x0000
          2024-06-01 -> 2024-06-08, 7 days
        new (github)           none -> b2x0000
          2024-06-08
        nixpkgs (github)       71aad07 -> 45cb002
          2024-06-01 -> 2024-06-08, 7 days
          https://example.org/compare/71aad07...45cb002
        and 4 inputs of inputs
        ");
    }

    #[test]
    fn a_width_changes_only_where_lines_break() {
        let mut report = super::super::tests::report(60, 2, "name", 2);
        for host in &mut report.hosts {
            host.impact = host
                .diff
                .as_ref()
                .map(|_| super::super::impact_text::tests::full());
        }
        let text = |width| plain(|out| out.push_str(&to_text(&report, width)));
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let wanted = text(WIDTH);
        for width in [0, 40, 80, 200] {
            let text = text(width);
            assert_eq!(words(&text), words(&wanted), "{width}");
        }
        assert_ne!(text(40), wanted);
        assert_eq!(to_plain_text(&report), wanted);
    }

    #[test]
    fn one_host_needs_no_counts() {
        let headline = |hosts| {
            let mut report = super::super::tests::report(hosts, 0, "n", 0);
            report.fleet = super::super::Fleet::of(&report.hosts);
            headline(&report)
        };
        insta::assert_snapshot!([1, 4, 40].map(headline).join("\n"), @"
        1 host: broken by the update
        4 hosts: 1 broken by the update, 1 changed, 1 skipped, 1 unchanged
        40 hosts: 10 broken by the update, 10 changed, 10 skipped, 10 unchanged
        ");
    }
}
