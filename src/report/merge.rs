//! Reports made elsewhere: read with mistrust, and put together to the one that a single run would have made.
//!
//! A report may come from a job that ran foreign code. Nothing in it is believed that can be computed: outcome, numbers
//! and digest are made anew. What contradicts itself is refused.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use thiserror::Error;

use crate::closure::StorePath;
use crate::flake::HostId;
use crate::flake::Kind;
use crate::flake::lock::is_compare_url;

use super::clean::is_unseen;
use super::plan::list;
use super::{
    Fleet, HostReport, LockOrigin, Outcome, Planned, Report, SCHEMA, Side, SideName, Stage, Status,
    StepTiming, Timing, ToBuild,
};

/// The most bytes of a report or plan that are read. That of a hundred hosts, all packages changed, has about 20 MiB.
pub const MAX_BYTES: usize = 64 << 20;

/// The program whose reports are read.
const TOOL: &str = env!("CARGO_PKG_NAME");

/// Why a file is no report that can be used.
///
/// Each message goes on where "the report" or the path of its file left off.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is larger than any report.
    #[error("is larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// It ends before the JSON does, or is empty.
    #[error("is truncated: the JSON ends too early")]
    Truncated,
    /// It is not JSON.
    #[error("is not JSON: {}", printable(&.0.to_string()))]
    Json(serde_json::Error),
    /// It is JSON of something else.
    #[error("is not a report: {}", printable(&.0.to_string()))]
    NotAReport(serde_json::Error),
    /// It is of another program.
    #[error("is a report of `{}`, not of {TOOL}", printable(.0))]
    AnotherTool(String),
    /// It is of a version whose reports cannot be read.
    #[error("has schema {schema}, of {TOOL} {}; this version reads schema {SCHEMA}", printable(.version))]
    Schema {
        /// The number of the schema.
        schema: u64,
        /// The version of the program that made it.
        version: String,
    },
    /// A part is missing, or not what it has to be.
    #[error("is malformed: {}", printable(&.0.to_string()))]
    Malformed(serde_json::Error),
    /// Its scope is not the one its identity stands for.
    #[error("was changed: its scope is not the one that its id {} stands for", printable(.id))]
    Scope {
        /// The identity it claims.
        id: String,
    },
    /// Parts of it contradict each other.
    #[error("contradicts itself: {0}")]
    Contradiction(String),
}

impl ReadError {
    /// Returns what to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Schema { .. } => "use the same version for `report` and `publish`",
            Self::Truncated => {
                "the job that wrote it was stopped, or the artifact is incomplete: make it anew"
            }
            Self::Scope { .. } | Self::Contradiction(_) => "make it anew: somebody changed it",
            Self::NotAReport(_) | Self::AnotherTool(_) => {
                "name the `report.json` that --output-dir wrote, or a directory that holds it"
            }
            Self::TooLarge | Self::Json(_) | Self::Malformed(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why reports cannot be put together.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is none.
    #[error("there is no report")]
    Nothing,
    /// One contradicts itself.
    #[error("{} {source}", printable(.from))]
    Report {
        /// Where the report is from.
        from: String,
        /// What is wrong with it.
        source: ReadError,
    },
    /// Two do not speak about the same thing.
    #[error("{} and {} differ in {what}: {} and {}", printable(.one), printable(.other), printable(&.values.0), printable(&.values.1))]
    Differ {
        /// What differs.
        what: &'static str,
        /// Where the one is from.
        one: String,
        /// Where the other is from.
        other: String,
        /// What each says.
        values: (String, String),
    },
    /// A host is in two of them.
    #[error("{} and {} both have the host `{}`", printable(.one), printable(.other), printable(&.host.to_string()))]
    Twice {
        /// The host.
        host: HostId,
        /// Where the one is from.
        one: String,
        /// Where the other is from.
        other: String,
    },
    /// Nobody can tell whether they are all.
    #[error("{} was made without a plan, so nobody knows which hosts belong to it", printable(.from))]
    NoPlan {
        /// Where the report is from.
        from: String,
    },
    /// A host of the plan is in none of them.
    #[error("the plan has hosts that no report has: {}", list(.0))]
    Missing(Vec<HostId>),
    /// A host is not in the plan.
    #[error("{} has the host `{}`, which is not in the plan", printable(.from), printable(&.host.to_string()))]
    Unplanned {
        /// The host.
        host: HostId,
        /// Where the report is from.
        from: String,
    },
}

impl MergeError {
    /// Returns what to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Report { source, .. } => return source.hint(),
            Self::Nothing => {
                "name the `report.json` that --output-dir wrote, or a directory that holds it"
            }
            Self::Differ { .. } => {
                "all jobs must look at one commit, with one plan and one lock: \
                 `hosts --format json` and `lock -o FILE` make them once, `report --plan FILE --lock FILE` takes them"
            }
            Self::Twice { .. } => {
                "each host belongs into one job of the matrix, and each report is named once"
            }
            Self::NoPlan { .. } => "make the reports of a matrix with `report --plan FILE`",
            Self::Missing(_) => {
                "look for a job that failed or whose report was not kept, and run it again"
            }
            Self::Unplanned { .. } => "make all reports with one plan",
        };
        Some(hint.to_owned())
    }
}

/// Reads a report that was made elsewhere.
///
/// Unknown fields are ignored. The digest is not looked at, nor are outcome and numbers: [`merge`] makes them anew. What
/// only the job that made it can use is taken out: the pull request, and the paths of logs.
///
/// # Errors
///
/// It is no report, one of another version, or it contradicts itself.
pub fn parse(bytes: &[u8]) -> Result<Report, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge);
    }
    /// What tells whether the rest can be read.
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
        tool: HeadTool,
    }
    #[derive(Deserialize)]
    struct HeadTool {
        name: String,
        version: String,
    }
    let Head { schema, tool } = serde_json::from_slice(bytes).map_err(|error| {
        if error.is_eof() {
            ReadError::Truncated
        } else if error.is_data() {
            ReadError::NotAReport(error)
        } else {
            ReadError::Json(error)
        }
    })?;
    if tool.name != TOOL {
        return Err(ReadError::AnotherTool(tool.name));
    }
    if schema != u64::from(SCHEMA) {
        return Err(ReadError::Schema {
            schema,
            version: tool.version,
        });
    }
    let mut report: Report = serde_json::from_slice(bytes).map_err(ReadError::Malformed)?;
    clean(&mut report);
    check(&report)?;
    Ok(report)
}

/// Puts the reports of a matrix together; each comes with where it is from. One report alone is checked in the same way.
///
/// The result is what a single run over all hosts would have reported, times and paths of logs aside.
///
/// # Errors
///
/// They do not speak about the same thing, a host is in two, is missing, or is not in the plan, or one contradicts
/// itself.
pub fn merge(reports: Vec<(String, Report)>) -> Result<Report, MergeError> {
    for (from, report) in &reports {
        check(report).map_err(|source| MergeError::Report {
            from: from.clone(),
            source,
        })?;
    }
    let Some((first, others)) = reports.split_first() else {
        return Err(MergeError::Nothing);
    };
    for other in others {
        same(first, other)?;
    }
    complete(&reports)?;

    let to_build = to_build(reports.iter().map(|(_, report)| report.fleet.to_build));
    let timing = timing(reports.iter().map(|(_, report)| &report.timing));
    let given = reports
        .iter()
        .any(|(_, report)| report.lock.origin == LockOrigin::Given);
    let mut hosts: Vec<(HostReport, String)> = Vec::new();
    let mut warnings = Vec::new();
    let mut unreachable = BTreeSet::new();
    let mut merged: Option<Report> = None;
    for (_, mut report) in reports {
        let version = &report.nix.version;
        hosts.extend(report.hosts.drain(..).map(|host| (host, version.clone())));
        warnings.append(&mut report.warnings);
        unreachable.extend(report.lock.unreachable.drain(..));
        merged.get_or_insert(report);
    }
    let Some(mut merged) = merged else {
        return Err(MergeError::Nothing);
    };
    hosts.sort_by_cached_key(|(host, _)| id(host));
    // Versions of Nix may differ from machine to machine. The choice must not hang on the order of the files.
    if let Some((_, version)) = hosts.first() {
        merged.nix.version.clone_from(version);
    }
    merged.hosts = hosts.into_iter().map(|(host, _)| host).collect();
    if given {
        // Staged here and given there: what one job could not tell is not known of all.
        merged.lock.origin = LockOrigin::Given;
    }
    merged.outcome = Outcome::of(merged.outcome == Outcome::LockUnchanged, &merged.hosts);
    merged.fleet = if merged.built {
        Fleet::of(&merged.hosts)
    } else {
        Fleet::unbuilt(&merged.hosts, to_build)
    };
    merged.warnings = warnings;
    // A job that was given the lock may not know what the one that staged it does.
    merged.lock.unreachable = unreachable.into_iter().collect();
    merged.timing = timing;
    merged.plan = None;
    clean(&mut merged);
    merged.seal();
    Ok(merged)
}

/// Fails where two reports do not speak about the same thing.
fn same(
    (one, first): &(String, Report),
    (other, second): &(String, Report),
) -> Result<(), MergeError> {
    let differ = |what, values: (String, String)| MergeError::Differ {
        what,
        one: one.clone(),
        other: other.clone(),
        values,
    };
    let none = || "none".to_owned();
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(none);
    let (a, b) = (first, second);
    let texts = [
        (
            "the version of flake-herald",
            a.tool.version.clone(),
            b.tool.version.clone(),
        ),
        (
            "the flake's directory",
            a.flake.dir.clone(),
            b.flake.dir.clone(),
        ),
        ("the commit", or_none(&a.flake.rev), or_none(&b.flake.rev)),
        ("the scope", a.scope.id.clone(), b.scope.id.clone()),
        (
            "the base's flake.lock",
            or_none(&a.lock.before_hash),
            or_none(&b.lock.before_hash),
        ),
        (
            "the new flake.lock",
            a.lock.after_hash.clone(),
            b.lock.after_hash.clone(),
        ),
        (
            "whether the base's flake.lock was completed",
            a.lock.completed.to_string(),
            b.lock.completed.to_string(),
        ),
        (
            "whether hosts were built",
            a.built.to_string(),
            b.built.to_string(),
        ),
        (
            "the store's directory",
            a.nix.store_dir.clone(),
            b.nix.store_dir.clone(),
        ),
    ];
    for (what, one, other) in texts {
        if one != other {
            return Err(differ(what, (one, other)));
        }
    }
    // Where one could not tell that the lock was staged, the merged report does not claim it.
    if a.lock.origin != b.lock.origin && [a.lock.origin, b.lock.origin].contains(&LockOrigin::Tree)
    {
        let name = |origin| match origin {
            LockOrigin::Staged => "staged".to_owned(),
            LockOrigin::Given => "given".to_owned(),
            LockOrigin::Tree => "tree".to_owned(),
        };
        return Err(differ(
            "where the new flake.lock is from",
            (name(a.lock.origin), name(b.lock.origin)),
        ));
    }
    let counts = |n: usize| {
        if n == 1 {
            "1 entry".to_owned()
        } else {
            format!("{n} entries")
        }
    };
    if a.inputs != b.inputs {
        return Err(differ(
            "the inputs that change",
            (counts(a.inputs.len()), counts(b.inputs.len())),
        ));
    }
    if (&a.lock_notes, a.lock_notes_left_out) != (&b.lock_notes, b.lock_notes_left_out) {
        return Err(differ(
            "what is odd about the new flake.lock",
            (counts(a.lock_notes.len()), counts(b.lock_notes.len())),
        ));
    }
    if a.excluded != b.excluded {
        return Err(differ(
            "the hosts left out",
            (counts(a.excluded.len()), counts(b.excluded.len())),
        ));
    }
    if let (Some(one), Some(other)) = (&a.plan, &b.plan)
        && planned(one) != planned(other)
    {
        return Err(differ(
            "the hosts of the plan",
            (counts(one.hosts.len()), counts(other.hosts.len())),
        ));
    }
    Ok(())
}

/// Fails where a host is there twice, missing, or too many.
fn complete(reports: &[(String, Report)]) -> Result<(), MergeError> {
    let mut seen: BTreeMap<HostId, &String> = BTreeMap::new();
    for (from, report) in reports {
        for host in report.hosts.iter().map(id) {
            if let Some(one) = seen.insert(host.clone(), from) {
                return Err(MergeError::Twice {
                    host,
                    one: one.clone(),
                    other: from.clone(),
                });
            }
        }
    }
    let Some((_, first)) = reports.first() else {
        return Err(MergeError::Nothing);
    };
    if reports.len() > 1
        && let Some((from, _)) = reports.iter().find(|(_, report)| report.plan.is_none())
    {
        return Err(MergeError::NoPlan { from: from.clone() });
    }
    let Some(plan) = &first.plan else {
        return Ok(());
    };
    let plan = planned(plan);
    if let Some((host, from)) = seen.iter().find(|(host, _)| !plan.contains(host)) {
        return Err(MergeError::Unplanned {
            host: host.clone(),
            from: (*from).clone(),
        });
    }
    let missing: Vec<HostId> = plan
        .into_iter()
        .filter(|host| !seen.contains_key(host))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(MergeError::Missing(missing))
    }
}

fn planned(plan: &Planned) -> BTreeSet<HostId> {
    plan.hosts
        .iter()
        .map(|host| HostId {
            kind: host.kind,
            name: host.name.clone(),
        })
        .collect()
}

fn id(host: &HostReport) -> HostId {
    HostId {
        kind: host.kind,
        name: host.name.clone(),
    }
}

/// Returns what building the hosts of all jobs would take, where that can be told: what two jobs have in common is in neither's
/// numbers.
fn to_build(all: impl Iterator<Item = Option<ToBuild>>) -> Option<ToBuild> {
    let mut one = ToBuild::default();
    for some in all {
        let some = some?;
        if one == ToBuild::default() {
            one = some;
        } else if some != ToBuild::default() {
            return None;
        }
    }
    Some(one)
}

/// Returns the times of all together: from the first start, as long as the longest, each step summed up.
fn timing<'a>(timings: impl Iterator<Item = &'a Timing>) -> Timing {
    let mut timings: Vec<&Timing> = timings.collect();
    timings.sort_by_key(|timing| timing.started.parse::<Timestamp>().ok());
    let mut steps: Vec<StepTiming> = Vec::new();
    for step in timings.iter().flat_map(|timing| &timing.steps) {
        match steps.iter_mut().find(|known| known.name == step.name) {
            Some(known) => known.ms = known.ms.saturating_add(step.ms),
            None => steps.push(step.clone()),
        }
    }
    Timing {
        started: timings
            .first()
            .map(|timing| timing.started.clone())
            .unwrap_or_default(),
        total_ms: timings
            .iter()
            .map(|timing| timing.total_ms)
            .max()
            .unwrap_or(0),
        steps,
    }
}

/// Takes out what is of no use elsewhere, and characters that a report of ours cannot hold.
fn clean(report: &mut Report) {
    report.pull_request = None;
    let strip = |text: &mut String, keep: &[char]| {
        text.retain(|c| keep.contains(&c) || !is_unseen(c));
    };
    let strip_line = |text: &mut String| strip(text, &[]);
    report.warnings.iter_mut().for_each(strip_line);
    report.lock.unreachable.iter_mut().for_each(strip_line);
    for input in &mut report.inputs {
        let revisions = [&mut input.before, &mut input.after];
        let urls = revisions
            .into_iter()
            .flatten()
            .filter_map(|revision| revision.url.as_mut());
        urls.chain(&mut input.original).for_each(strip_line);
        input.compare_url = input.compare_url.take().filter(|url| is_compare_url(url));
    }
    for note in &mut report.lock_notes {
        note.inputs
            .iter_mut()
            .chain(&mut note.repository)
            .chain(&mut note.date)
            .for_each(strip_line);
    }
    for host in &mut report.hosts {
        host.reason.iter_mut().for_each(strip_line);
        // It means nothing without what it is about.
        host.impact.take_if(|_| host.diff.is_none());
        if let Some(impact) = &mut host.impact {
            impact.texts_mut().for_each(strip_line);
            impact.arrange();
        }
        if let Some(failure) = &mut host.failure {
            failure.log_path = None;
            strip(&mut failure.error, &['\n']);
            let logs = [&mut failure.log_tail, &mut failure.log_errors];
            logs.into_iter().flatten().for_each(strip_line);
        }
    }
}

/// Fails where a report says what no run of ours says.
fn check(report: &Report) -> Result<(), ReadError> {
    let wrong = |what: String| Err(ReadError::Contradiction(what));
    if !report.scope.is_genuine() {
        return Err(ReadError::Scope {
            id: report.scope.id.clone(),
        });
    }
    if report.scope.dir != report.flake.dir {
        return wrong(format!(
            "it is of the flake in `{}`, and its scope of the one in `{}`",
            printable(&report.flake.dir),
            printable(&report.scope.dir)
        ));
    }
    if report.timing.started.parse::<Timestamp>().is_err() {
        return wrong("it has no time at which it began".to_owned());
    }
    if report
        .flake
        .rev
        .as_deref()
        .is_some_and(|rev| !is_hex(rev, &[40, 64]))
    {
        return wrong("its commit is none".to_owned());
    }
    let hashes = [
        Some(&report.lock.after_hash),
        report.lock.before_hash.as_ref(),
    ];
    if hashes
        .into_iter()
        .flatten()
        .any(|hash| !is_hex(hash, &[64]))
    {
        return wrong("the hash of a flake.lock is none".to_owned());
    }
    let same = report.lock.before_hash.as_ref() == Some(&report.lock.after_hash);
    if same != (report.outcome == Outcome::LockUnchanged) {
        return wrong(format!(
            "its outcome is `{}`, and the hashes of the two flake.lock {}",
            report.outcome.as_str(),
            if same { "are equal" } else { "differ" }
        ));
    }
    if same && !report.inputs.is_empty() {
        return wrong("its inputs change, and the flake.lock does not".to_owned());
    }
    if report.hosts.is_empty() {
        return wrong("it has no hosts".to_owned());
    }
    let excluded: BTreeSet<(Kind, &str)> = report
        .excluded
        .iter()
        .map(|host| (host.kind, host.name.as_str()))
        .collect();
    for host in &report.hosts {
        let verdict = if excluded.contains(&(host.kind, &host.name)) {
            Err("is left out, and there".to_owned())
        } else {
            check_host(host, report, same).and_then(|()| check_numbers(host, report.built))
        };
        if let Err(what) = verdict {
            return wrong(format!(
                "the host `{}` {what}",
                printable(&id(host).to_string())
            ));
        }
    }
    Ok(())
}

/// Fails where what is said of a host does not go together: the other half of the sentence.
fn check_host(host: &HostReport, report: &Report, same: bool) -> Result<(), String> {
    let status = host.status;
    let wrong = |what: &str| Err(format!("is `{}`, {what}", status.as_str()));
    let (before, after) = (host.before.as_ref(), host.after.as_ref());
    let failed = host
        .failure
        .as_ref()
        .map(|failure| (failure.side, failure.stage));
    for side in [before, after].into_iter().flatten() {
        check_side(side, &report.nix.store_dir)?;
    }
    if let Some(diff) = &host.diff {
        let mut paths = diff
            .entries()
            .flat_map(|entry| entry.before.iter().chain(&entry.after))
            .flat_map(|group| &group.paths);
        if paths.any(|path| path.store_dir() != report.nix.store_dir) {
            return Err("has paths of another store".to_owned());
        }
    }
    if same {
        return if status == Status::Unchanged && before.is_none() && after.is_none() {
            Ok(())
        } else {
            wrong("and the flake.lock does not change")
        };
    }
    if report.lock.before_hash.is_none() && before.is_some() {
        return Err("has a before, and the base has no flake.lock".to_owned());
    }
    let both = before.zip(after);
    if let Some((before, after)) = both
        && (before.out_path == after.out_path) != (status == Status::Unchanged)
    {
        return wrong(if status == Status::Unchanged {
            "and its two sides differ"
        } else {
            "and its two sides are the same"
        });
    }
    if host.diff.is_some()
        && !(matches!(status, Status::Changed | Status::Mended) && both.is_some())
    {
        return wrong("and has a difference between two closures");
    }
    let says_why = host.reason.is_some();
    match status {
        Status::Unchanged => match (both, failed) {
            (None, _) => wrong("and does not have both sides"),
            (Some(_), Some(_)) => wrong("and fails"),
            (Some(_), None) => Ok(()),
        },
        Status::Changed => match (before, after, failed) {
            (_, _, Some(_)) => wrong("and fails"),
            (Some(_), Some(_), None) => Ok(()),
            (None, Some(_), None) if report.lock.before_hash.is_none() => Ok(()),
            _ => wrong("and does not have both sides"),
        },
        Status::Mended => match (after, failed) {
            (None, _) => wrong("and there is nothing after"),
            (Some(_), Some((SideName::Before, _))) => Ok(()),
            (Some(_), _) => wrong("and did not fail before"),
        },
        Status::Broken => match (before, failed) {
            (None, _) => wrong("and there was nothing before"),
            (Some(_), Some((SideName::After, _))) => Ok(()),
            (Some(_), _) => wrong("and does not fail after"),
        },
        Status::AlreadyBroken => match failed {
            Some((SideName::After, _)) => Ok(()),
            _ => wrong("and does not fail after"),
        },
        Status::Skipped => match failed {
            Some(_) => wrong("and fails"),
            None if !says_why => wrong("and it does not say why"),
            None => Ok(()),
        },
        Status::Unknown => match failed {
            Some((SideName::Before, _)) => wrong("and fails before"),
            _ if !says_why => wrong("and it does not say why"),
            _ => Ok(()),
        },
    }?;
    // What does not evaluate has no derivation, and what does not build has one.
    match failed {
        Some((side, stage)) => {
            let there = match side {
                SideName::Before => before,
                SideName::After => after,
            };
            if (stage == Stage::Evaluate) == there.is_some() {
                return Err(format!(
                    "{} on the side that has {} derivation",
                    stage.what_fails(),
                    if there.is_some() { "a" } else { "no" }
                ));
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// Fails where a host has numbers that only a build gives and nothing was built, or the other way about.
fn check_numbers(host: &HostReport, built: bool) -> Result<(), String> {
    let mut known = Vec::new();
    if let Some(diff) = &host.diff {
        known.extend([
            diff.paths_added.is_some(),
            diff.paths_removed.is_some(),
            diff.size_delta.is_some(),
        ]);
        let entries = diff.entries();
        known.extend(entries.map(|entry| entry.size_delta.is_some()));
    }
    let failed = host.failure.as_ref().map(|failure| failure.stage);
    if !built {
        let sides = [&host.before, &host.after].into_iter().flatten();
        known.extend(sides.map(|side| side.paths.or(side.nar_size).is_some()));
        known.push(matches!(failed, Some(Stage::Build | Stage::Read)));
    }
    if known.iter().any(|known| *known != built) {
        return Err(if built {
            "has a difference without numbers, and hosts were built".to_owned()
        } else {
            "has what only a build can tell, and nothing was built".to_owned()
        });
    }
    Ok(())
}

fn check_side(side: &Side, store_dir: &str) -> Result<(), String> {
    let elsewhere = |path: &StorePath| path.store_dir() != store_dir;
    if elsewhere(&side.drv_path) || elsewhere(&side.out_path) {
        return Err("has paths of another store".to_owned());
    }
    if !side.drv_path.is_derivation() {
        return Err("has a derivation that is none".to_owned());
    }
    Ok(())
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns foreign text as it may stand in a message: one line, not too long, nothing that is not seen.
pub(super) fn printable(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| if is_unseen(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    const BEFORE: &str = "/nix/store/00000000000000000000000000000000-a";
    const AFTER: &str = "/nix/store/00000000000000000000000000000001-a";

    fn side(path: &str) -> Value {
        json!({ "drv_path": format!("{path}.drv"), "out_path": path, "paths": null, "nar_size": null })
    }

    fn failure(stage: &str, side: &str) -> Value {
        json!({ "stage": stage, "side": side, "error": "x", "derivation": null, "log_tail": [], "log_path": "/tmp/x" })
    }

    fn host(name: &str) -> Value {
        json!({
            "name": name, "kind": "nixos", "attr": name, "system": "x86_64-linux", "status": "changed", "reason": null,
            "before": side(BEFORE), "after": side(AFTER), "diff": null, "impact": null, "failure": null,
        })
    }

    /// A report of a job of a matrix over the hosts `a` and `b`.
    fn report(name: &str) -> Value {
        let scope = super::super::Scope {
            dir: ".".to_owned(),
            ..Default::default()
        };
        json!({
            "schema": 1,
            "tool": { "name": "flake-herald", "version": "1.0.0" },
            "nix": { "version": format!("2.{name}"), "store_dir": "/nix/store" },
            "flake": { "dir": ".", "rev": "1".repeat(40) },
            "scope": scope.identified(),
            "lock": {
                "before_hash": "0".repeat(64), "after_hash": "1".repeat(64), "origin": "staged", "completed": false,
                "unreachable": [],
            },
            "outcome": "changed",
            "excluded": [],
            "inputs": [],
            "lock_notes": [],
            "lock_notes_left_out": 0,
            "hosts": [host(name)],
            "fleet": {
                "hosts": 9, "changed": 9, "unchanged": 0, "broken": 0, "already_broken": 0, "mended": 0, "skipped": 0,
                "unknown": 0, "size_delta": 0,
            },
            "warnings": [format!("w{name}"), "w"],
            "digest": "not looked at",
            "timing": { "started": "2026-01-01T00:00:00Z", "total_ms": 1, "steps": [{ "name": "build", "ms": 1 }] },
            "pull_request": { "number": 1 },
            "plan": { "hosts": [{ "kind": "nixos", "name": "a" }, { "kind": "nixos", "name": "b" }] },
        })
    }

    fn read(report: &Value) -> Result<Report, ReadError> {
        parse(report.to_string().as_bytes())
    }

    fn with(report: &Value, pointer: &str, value: Value) -> Value {
        let mut report = report.clone();
        *report.pointer_mut(pointer).unwrap() = value;
        report
    }

    fn merged(reports: &[Value]) -> Result<Report, MergeError> {
        merge(
            reports
                .iter()
                .enumerate()
                .map(|(at, report)| (format!("{at}.json"), read(report).unwrap()))
                .collect(),
        )
    }

    #[test]
    fn an_impact_is_that_of_a_diff_in_order_and_without_what_nobody_sees() {
        let impact = json!({
            "reboot": { "needed": false, "reasons": [
                { "what": "initrd", "name": "i", "before": "1", "after": "2", "change": "changed", "cause": null },
                { "what": "kernel", "name": "l\u{1b}", "before": null, "after": "2\u{202e}", "change": "added", "cause": null },
            ] },
            "units_changed": [{ "name": "b\n", "user": false, "change": "changed", "because": ["z", "a\u{7}", "a"] }],
            "kernel": null, "systemd": null, "release": null, "downgrades": [], "major": [], "gone": [],
            "security": [
                { "name": "b", "before": null, "after": "1", "change": "added", "cause": null },
                { "name": "a", "before": null, "after": "1", "change": "added", "cause": null },
                { "name": "a", "before": null, "after": "1", "change": "added", "cause": null },
            ],
            "patches": [{ "package": "p\u{0}", "patch": "CVE\u{2028}", "gained": true }],
            "vulnerabilities": [{ "package": "p", "vulnerability": "x\u{85}", "gained": true }],
        });
        let alone = with(&report("a"), "/hosts/0/impact", impact);
        assert_eq!(read(&alone).unwrap().hosts[0].impact, None);

        let diff = json!({
            "changed": [], "added": [], "removed": [], "selection": [], "rebuilt": [], "configuration": [], "paths_added": 1,
            "paths_removed": 1, "size_delta": 0,
        });
        let told = read(&with(&alone, "/hosts/0/diff", diff)).unwrap();
        let impact = told.hosts[0].impact.as_ref().unwrap();
        assert_eq!(impact.reboot.needed, Some(true));
        let reasons: Vec<&str> = impact
            .reboot
            .reasons
            .iter()
            .map(|r| r.step.name.as_str())
            .collect();
        assert_eq!(reasons, ["l", "i"]);
        assert_eq!(impact.security.len(), 2);
        assert_eq!(impact.units_changed[0].because, ["a", "z"]);
        let text = serde_json::to_string(impact).unwrap();
        let seen = |c: char| !is_unseen(c) && c != '\\';
        assert!(text.chars().all(seen), "{text}");
    }

    #[test]
    fn what_can_be_computed_is_not_believed() {
        let later = json!({ "started": "2025-12-31T00:00:00Z", "total_ms": 9, "steps": [{ "name": "build", "ms": 2 }] });
        let reports = [report("b"), with(&report("a"), "/timing", later)];
        let whole = merged(&reports).unwrap();
        let names: Vec<&str> = whole.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!((whole.fleet.hosts, whole.fleet.changed), (2, 2));
        assert_eq!(whole.warnings, ["w", "wa", "wb"]);
        assert_eq!(whole.nix.version, "2.a");
        assert_eq!(
            (whole.pull_request.is_none(), whole.plan.is_none()),
            (true, true)
        );
        assert_eq!(whole.timing.started, "2025-12-31T00:00:00Z");
        assert_eq!(
            (
                whole.timing.total_ms,
                whole.timing.steps.len(),
                whole.timing.steps[0].ms
            ),
            (9, 1, 3)
        );
        let mut sealed = whole.clone();
        sealed.seal();
        assert_eq!(whole, sealed);
        let [b, a] = reports;
        assert_eq!(merged(&[a, b]).unwrap().digest, whole.digest);
    }

    #[test]
    fn what_one_job_knows_of_inputs_out_of_reach_holds_for_all() {
        let (a, b) = (report("a"), report("b"));
        assert_eq!(
            merged(&[a.clone(), b.clone()]).unwrap().lock.unreachable,
            [""; 0]
        );
        let a = with(&a, "/lock/unreachable", json!(["x", "b\u{1b}"]));
        let b = with(&b, "/lock/unreachable", json!(["a", "x"]));
        for reports in [[a.clone(), b.clone()], [b, a]] {
            let whole = merged(&reports).unwrap();
            assert_eq!(whole.lock.unreachable, ["a", "b", "x"]);
        }
    }

    #[test]
    fn reports_that_do_not_belong_together_are_refused() {
        let (a, b) = (report("a"), report("b"));
        let mut other_scope = b.clone();
        other_scope["scope"] = serde_json::to_value(
            super::super::Scope {
                dir: ".".to_owned(),
                hosts: vec!["b".to_owned()],
                ..Default::default()
            }
            .identified(),
        )
        .unwrap();
        let input = json!({
            "name": "x", "type": null, "original": null, "before": null, "after": null, "compare_url": null,
            "transitive": false,
        });
        let table = [
            vec![],
            vec![a.clone()],
            vec![a.clone(), a.clone()],
            vec![a.clone(), report("c")],
            vec![a.clone(), with(&b, "/plan", Value::Null)],
            vec![a.clone(), with(&b, "/plan/hosts/1/name", json!("c"))],
            vec![a.clone(), other_scope],
            vec![a.clone(), with(&b, "/flake/rev", json!("2".repeat(40)))],
            vec![a.clone(), with(&b, "/flake/rev", Value::Null)],
            vec![
                a.clone(),
                with(&b, "/lock/after_hash", json!("2".repeat(64))),
            ],
            vec![
                a.clone(),
                with(&b, "/lock/before_hash", json!("2".repeat(64))),
            ],
            vec![a.clone(), with(&b, "/lock/completed", json!(true))],
            vec![a.clone(), with(&b, "/lock/origin", json!("tree"))],
            vec![a.clone(), unbuilt(b.clone(), Value::Null)],
            vec![a.clone(), with(&b, "/tool/version", json!("2\n::error::"))],
            vec![a.clone(), with(&b, "/inputs", json!([input]))],
            vec![a.clone(), with(&b, "/lock_notes_left_out", json!(1))],
            vec![
                a.clone(),
                with(
                    &b,
                    "/excluded",
                    json!([{ "kind": "home", "name": "x", "pattern": "*" }]),
                ),
            ],
        ]
        .map(|reports| match merged(&reports) {
            Ok(_) => "fine".to_owned(),
            Err(error) => {
                assert!(error.hint().is_some(), "{error}");
                error.to_string()
            }
        });
        insta::assert_snapshot!(table.join("\n"), @"
        there is no report
        the plan has hosts that no report has: `nixos:b`
        0.json and 1.json both have the host `nixos:a`
        1.json has the host `nixos:c`, which is not in the plan
        1.json was made without a plan, so nobody knows which hosts belong to it
        0.json and 1.json differ in the hosts of the plan: 2 entries and 2 entries
        0.json and 1.json differ in the scope: 4fbde3f38fa7dbd6 and 0f3f891301e9339e
        0.json and 1.json differ in the commit: 1111111111111111111111111111111111111111 and 2222222222222222222222222222222222222222
        0.json and 1.json differ in the commit: 1111111111111111111111111111111111111111 and none
        0.json and 1.json differ in the new flake.lock: 1111111111111111111111111111111111111111111111111111111111111111 and 2222222222222222222222222222222222222222222222222222222222222222
        0.json and 1.json differ in the base's flake.lock: 0000000000000000000000000000000000000000000000000000000000000000 and 2222222222222222222222222222222222222222222222222222222222222222
        0.json and 1.json differ in whether the base's flake.lock was completed: false and true
        0.json and 1.json differ in where the new flake.lock is from: staged and tree
        0.json and 1.json differ in whether hosts were built: true and false
        0.json and 1.json differ in the version of flake-herald: 1.0.0 and 2�::error::
        0.json and 1.json differ in the inputs that change: 0 entries and 1 entry
        0.json and 1.json differ in what is odd about the new flake.lock: 0 entries and 0 entries
        0.json and 1.json differ in the hosts left out: 0 entries and 1 entry
        ");
        let given = merged(&[a, with(&b, "/lock/origin", json!("given"))]).unwrap();
        assert_eq!(given.lock.origin, LockOrigin::Given);
        let alone = with(&b, "/plan", Value::Null);
        assert_eq!(merged(&[alone]).unwrap().hosts.len(), 1);
    }

    #[test]
    fn what_is_no_report_of_ours_is_refused() {
        let good = report("a");
        let text = good.to_string();
        let mut table: Vec<String> = ["", "{", "nonsense", "[]", "{}", &text[..text.len() - 5]]
            .iter()
            .map(|text| parse(text.as_bytes()).unwrap_err().to_string())
            .collect();
        for (pointer, value) in [
            ("/schema", json!(2)),
            ("/schema", json!("1")),
            ("/tool/name", json!("other")),
            ("/hosts", json!({})),
            ("/hosts/0/status", json!("odd\n::error::")),
            ("/hosts/0/after/out_path", json!("/etc/passwd")),
            ("/hosts/0/after/out_path", json!("/nix/store/../x")),
            ("/scope/dir", json!("sub")),
            ("/flake/dir", json!("sub")),
            ("/flake/rev", json!("--upload-pack=x")),
            ("/lock/after_hash", json!("x")),
            ("/lock/after_hash", json!("0".repeat(64))),
            ("/outcome", json!("lock-unchanged")),
            ("/timing/started", json!("<script>")),
            ("/hosts", json!([])),
            ("/hosts/0/before", Value::Null),
            ("/hosts/0/after", side(BEFORE)),
            ("/hosts/0/status", json!("unchanged")),
            ("/hosts/0/status", json!("mended")),
            ("/hosts/0/status", json!("broken")),
            ("/hosts/0/status", json!("already-broken")),
            ("/hosts/0/status", json!("skipped")),
            ("/hosts/0/status", json!("unknown")),
            ("/hosts/0/failure", failure("build", "after")),
            ("/nix/store_dir", json!("/other/store")),
        ] {
            let error = read(&with(&good, pointer, value.clone())).unwrap_err();
            table.push(format!("{pointer} {value}: {error}"));
        }
        insta::assert_snapshot!(table.join("\n"), @r#"
        is truncated: the JSON ends too early
        is truncated: the JSON ends too early
        is not JSON: expected ident at line 1 column 2
        is not a report: invalid length 0, expected struct Head with 2 elements at line 1 column 2
        is not a report: missing field `schema` at line 1 column 2
        is truncated: the JSON ends too early
        /schema 2: has schema 2, of flake-herald 1.0.0; this version reads schema 1
        /schema "1": is not a report: invalid type: string "1", expected u64 at line 1 column 1164
        /tool/name "other": is a report of `other`, not of flake-herald
        /hosts {}: is malformed: invalid type: map, expected a sequence at line 1 column 243
        /hosts/0/status "odd\n::error::": is malformed: unknown variant `odd�::error::`, expected one of `broken`, `already-broken`, `mended`, `changed`, `skipped`, `unknown`, `unchanged` at line 1 column 685
        /hosts/0/after/out_path "/etc/passwd": is malformed: "/etc/passwd" is not a store path: its last part does not begin with 32 base-32 characters and a dash at line 1 column 357
        /hosts/0/after/out_path "/nix/store/../x": is malformed: "/nix/store/../x" is not a store path: it does not stand in a store directory at line 1 column 361
        /scope/dir "sub": was changed: its scope is not the one that its id 4fbde3f38fa7dbd6 stands for
        /flake/dir "sub": contradicts itself: it is of the flake in `sub`, and its scope of the one in `.`
        /flake/rev "--upload-pack=x": contradicts itself: its commit is none
        /lock/after_hash "x": contradicts itself: the hash of a flake.lock is none
        /lock/after_hash "0000000000000000000000000000000000000000000000000000000000000000": contradicts itself: its outcome is `changed`, and the hashes of the two flake.lock are equal
        /outcome "lock-unchanged": contradicts itself: its outcome is `lock-unchanged`, and the hashes of the two flake.lock differ
        /timing/started "<script>": contradicts itself: it has no time at which it began
        /hosts []: contradicts itself: it has no hosts
        /hosts/0/before null: contradicts itself: the host `nixos:a` is `changed`, and does not have both sides
        /hosts/0/after {"drv_path":"/nix/store/00000000000000000000000000000000-a.drv","nar_size":null,"out_path":"/nix/store/00000000000000000000000000000000-a","paths":null}: contradicts itself: the host `nixos:a` is `changed`, and its two sides are the same
        /hosts/0/status "unchanged": contradicts itself: the host `nixos:a` is `unchanged`, and its two sides differ
        /hosts/0/status "mended": contradicts itself: the host `nixos:a` is `mended`, and did not fail before
        /hosts/0/status "broken": contradicts itself: the host `nixos:a` is `broken`, and does not fail after
        /hosts/0/status "already-broken": contradicts itself: the host `nixos:a` is `already-broken`, and does not fail after
        /hosts/0/status "skipped": contradicts itself: the host `nixos:a` is `skipped`, and it does not say why
        /hosts/0/status "unknown": contradicts itself: the host `nixos:a` is `unknown`, and it does not say why
        /hosts/0/failure {"derivation":null,"error":"x","log_path":"/tmp/x","log_tail":[],"side":"after","stage":"build"}: contradicts itself: the host `nixos:a` is `changed`, and fails
        /nix/store_dir "/other/store": contradicts itself: the host `nixos:a` has paths of another store
        "#);
        assert!(matches!(
            parse(&vec![b' '; MAX_BYTES + 1]),
            Err(ReadError::TooLarge)
        ));
    }

    /// The same report of a job that built nothing.
    fn unbuilt(mut report: Value, to_build: Value) -> Value {
        report["built"] = json!(false);
        report["fleet"]["size_delta"] = Value::Null;
        report["fleet"]["to_build"] = to_build;
        report
    }

    #[test]
    fn what_was_not_built_has_no_numbers_of_closures() {
        let to_build = |derivations: u64| json!({ "derivations": derivations, "fetched_paths": 0, "download_size": 0, "unpacked_size": 0 });
        let told = |a: Value, b: Value| {
            let whole = merged(&[unbuilt(report("a"), a), unbuilt(report("b"), b)]).unwrap();
            assert_eq!((whole.built, whole.fleet.size_delta), (false, None));
            whole.fleet.to_build.map(|to_build| to_build.derivations)
        };
        // What two jobs have in common, their numbers do not say.
        let table = [
            told(to_build(0), to_build(0)),
            told(to_build(3), to_build(0)),
            told(to_build(0), to_build(3)),
            told(to_build(3), to_build(3)),
            told(Value::Null, to_build(0)),
        ];
        assert_eq!(table, [Some(0), Some(3), Some(3), None, None]);
        let alone = with(&unbuilt(report("a"), to_build(3)), "/plan", Value::Null);
        let alone = merged(&[alone]).unwrap();
        let mut without = alone.clone();
        without.fleet.to_build = None;
        without.seal();
        assert_eq!(alone.fleet.to_build.unwrap().derivations, 3);
        // A cache that has more the night after is no news.
        assert_eq!(without.digest, alone.digest);

        let diff = |count: Value, size: Value| {
            json!({
                "changed": [], "added": [], "removed": [], "selection": [], "rebuilt": [], "configuration": [],
                "paths_added": count, "paths_removed": count, "size_delta": size,
            })
        };
        let unknown = || diff(Value::Null, Value::Null);
        let table = [
            (true, diff(json!(1), json!(1)), Value::Null),
            (true, unknown(), Value::Null),
            (true, diff(json!(1), Value::Null), Value::Null),
            (false, unknown(), Value::Null),
            (false, diff(Value::Null, json!(1)), Value::Null),
            (false, unknown(), json!(9)),
        ]
        .map(|(built, diff, paths)| {
            let mut report = report("a");
            report["built"] = json!(built);
            report["hosts"][0]["diff"] = diff;
            report["hosts"][0]["after"]["paths"] = paths;
            match read(&report) {
                Ok(_) => "fine".to_owned(),
                Err(error) => error.to_string(),
            }
        });
        insta::assert_snapshot!(table.join("\n"), @"
        fine
        contradicts itself: the host `nixos:a` has a difference without numbers, and hosts were built
        contradicts itself: the host `nixos:a` has a difference without numbers, and hosts were built
        fine
        contradicts itself: the host `nixos:a` has what only a build can tell, and nothing was built
        contradicts itself: the host `nixos:a` has what only a build can tell, and nothing was built
        ");
    }

    #[test]
    fn what_a_run_can_say_is_read() {
        let cases = [
            json!({ "status": "broken", "failure": failure("build", "after") }),
            json!({ "status": "broken", "failure": failure("evaluate", "after"), "after": null }),
            json!({ "status": "already-broken", "failure": failure("evaluate", "after"), "after": null, "before": null }),
            json!({ "status": "mended", "failure": failure("evaluate", "before"), "before": null }),
            json!({ "status": "skipped", "reason": "no builder" }),
            json!({ "status": "skipped", "reason": "no builder", "before": null, "after": null }),
            json!({ "status": "unknown", "reason": "timed out" }),
            json!({ "status": "unknown", "reason": "x", "failure": failure("read", "after") }),
            json!({ "status": "unknown", "reason": "x", "failure": failure("evaluate", "after"), "after": null }),
            json!({ "status": "unchanged", "after": side(BEFORE) }),
        ];
        for case in cases {
            let mut report = report("a");
            for (name, value) in case.as_object().unwrap() {
                report["hosts"][0][name] = value.clone();
            }
            report["later"] = json!({ "of": "a version to come" });
            let read = read(&report).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(
                read.hosts[0]
                    .failure
                    .as_ref()
                    .is_none_or(|failure| failure.log_path.is_none())
            );
        }
        let mut first = with(&report("a"), "/lock/before_hash", Value::Null);
        first["hosts"][0]["before"] = Value::Null;
        assert!(read(&first).is_ok());
        let mut same = with(&report("a"), "/lock/after_hash", json!("0".repeat(64)));
        same["outcome"] = json!("lock-unchanged");
        same["hosts"][0] = with(
            &with(&host("a"), "/before", Value::Null),
            "/after",
            Value::Null,
        );
        same["hosts"][0]["status"] = json!("unchanged");
        assert!(read(&same).is_ok());
    }

    #[test]
    fn numbers_and_signs_of_a_stranger_do_no_harm() {
        let mut hostile = report("a");
        let diff = json!({
            "changed": [], "added": [], "removed": [], "selection": [], "rebuilt": [], "configuration": [],
            "paths_added": u64::MAX, "paths_removed": u64::MAX, "size_delta": i64::MIN,
        });
        let mut other = host("b");
        for host in [&mut hostile["hosts"][0], &mut other] {
            host["diff"] = diff.clone();
            host["before"]["nar_size"] = json!(u64::MAX);
            host["after"]["nar_size"] = json!(0);
        }
        hostile["hosts"].as_array_mut().unwrap().push(other);
        hostile["warnings"] = json!(["a\u{1b}[31m\u{202e}b\r\n::error::x"]);
        hostile["timing"]["steps"] =
            json!([{ "name": "x", "ms": u64::MAX }, { "name": "x", "ms": u64::MAX }]);
        let input = |url: &str| {
            json!({
                "name": "x", "type": null, "original": null, "before": null, "after": null, "compare_url": url,
                "transitive": false,
            })
        };
        let link = "https://github.com/o/r/compare/a...b";
        hostile["inputs"] = json!([
            input(link),
            input("https://u:p@h/"),
            input("https://h/) @all")
        ]);
        let whole = merged(&[hostile]).unwrap();
        let links: Vec<_> = whole
            .inputs
            .iter()
            .map(|input| &input.compare_url)
            .collect();
        assert_eq!(links, [&Some(link.to_owned()), &None, &None]);
        assert_eq!(whole.fleet.size_delta, Some(i64::MIN));
        assert_eq!(whole.warnings, ["a[31mb::error::x"]);
        for text in [
            super::super::to_markdown(&whole),
            super::super::to_json(&whole),
            super::super::to_plain_text(&whole),
        ] {
            assert!(!text.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0_usize..2000, at in 0_usize..2000) {
            let mut text = report("a").to_string().into_bytes();
            prop_assert!(parse(&bytes).is_err());
            let at = at.min(text.len());
            let end = at.saturating_add(cut % 16).min(text.len());
            text.splice(at..end, bytes);
            if let Ok(report) = parse(&text) {
                let _merged = merge(vec![(String::new(), report)]);
            }
        }
    }
}
