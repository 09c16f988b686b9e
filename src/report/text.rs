//! The report for a terminal, in the layout nvd's users know.

use std::collections::HashMap;

use crate::flake::{HostId, Kind, labels, one_line};

use super::common::{Common, Fleetwide, common};
use super::sections::{closure_size, write_sections};
use super::style::{BAD, CARE, GOOD, HEADING, PLAIN, column, grouped, line, size};
use super::{DiffView, HostReport, InputChange, InputRevision, Outcome, Report, Status, ToBuild};

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
    let width = column(inputs.iter().map(|input| input.name.as_str()));
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
        write_sections(out, diff, DiffView::default());
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

#[cfg(test)]
mod tests {
    use super::*;

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
