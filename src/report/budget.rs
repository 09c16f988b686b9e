//! The report as Markdown within a budget of bytes: shortened by importance, never in the middle of a fence, a table or a fold.

use super::clean::is_unseen;
use super::common::{Fleetwide, common};
use super::markdown::{cell, code, entities, fence};
use super::text::{HostNames, ROWS, blocks, first_ones, headline, revision, set_heading, to_build};
use super::{HostReport, Outcome, Report, Status};

/// Where the rest is, once something is left out.
const ELSEWHERE: &str = "see `report.md` in `--output-dir` or the job's summary";

/// Returns the report as Markdown of at most `budget` bytes.
///
/// What does not fit goes in a fixed order: names of unchanged hosts, packages of changed hosts, logs, whole hosts, what
/// many hosts have in common; failures and inputs stay longest. Each cut says how much it left out.
pub fn body(report: &Report, budget: usize) -> String {
    let parts = Parts::of(report);
    for limits in std::iter::once(&Limits::NONE).chain(&Limits::STEPS) {
        let text = parts.render(limits);
        if text.len() <= budget {
            return text;
        }
    }
    // Nothing in these lines is foreign, so they can be cut anywhere.
    let head = format!("## {}\n", parts.headline);
    let more = format!("\n{}\n", sentence(ELSEWHERE));
    if head.len() + more.len() <= budget {
        return head + &more;
    }
    cut(&head, budget).to_owned()
}

fn sentence(text: &str) -> String {
    format!("The report is too long for this place: {text}.")
}

/// Returns the beginning of `text`, of at most `most` bytes and whole characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// How much of each kind is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Names of unchanged hosts.
    unchanged: usize,
    /// Names of hosts left out by a pattern.
    excluded: usize,
    /// Lines of a host that does not fail.
    lines: usize,
    /// Hosts that do not fail.
    hosts: usize,
    /// Lines of a host that fails.
    failure_lines: usize,
    /// Hosts that fail.
    failures: usize,
    warnings: usize,
    inputs: usize,
    /// Changes that a set of hosts has in common.
    common: usize,
    /// Characters of one line or name.
    width: usize,
}

impl Limits {
    pub(super) const NONE: Self = Self {
        unchanged: usize::MAX,
        excluded: usize::MAX,
        lines: usize::MAX,
        hosts: usize::MAX,
        failure_lines: usize::MAX,
        failures: usize::MAX,
        warnings: usize::MAX,
        inputs: usize::MAX,
        common: ROWS,
        width: usize::MAX,
    };

    /// Ever less: each step takes from what matters least among what the one before it left.
    const STEPS: [Self; 17] = {
        let names = Self {
            unchanged: 20,
            excluded: 10,
            width: 2000,
            ..Self::NONE
        };
        let lines = Self {
            unchanged: 5,
            excluded: 3,
            width: 500,
            ..names
        };
        let failing = Self {
            lines: 6,
            hosts: 50,
            failure_lines: 80,
            warnings: 50,
            ..lines
        };
        let few = Self {
            hosts: 5,
            unchanged: 0,
            excluded: 0,
            failure_lines: 16,
            warnings: 10,
            common: 10,
            width: 200,
            ..failing
        };
        [
            names,
            Self {
                lines: 400,
                ..lines
            },
            Self {
                lines: 150,
                ..lines
            },
            Self { lines: 60, ..lines },
            Self { lines: 25, ..lines },
            Self { lines: 12, ..lines },
            failing,
            Self {
                hosts: 20,
                failure_lines: 40,
                ..failing
            },
            Self {
                hosts: 5,
                failure_lines: 25,
                ..failing
            },
            few,
            Self { hosts: 0, ..few },
            Self {
                hosts: 0,
                failures: 50,
                inputs: 200,
                ..few
            },
            Self {
                hosts: 0,
                failures: 20,
                failure_lines: 10,
                common: 5,
                inputs: 100,
                warnings: 5,
                ..few
            },
            Self {
                hosts: 0,
                failures: 8,
                common: 0,
                failure_lines: 6,
                inputs: 40,
                warnings: 3,
                ..few
            },
            Self {
                hosts: 0,
                failures: 3,
                common: 0,
                failure_lines: 6,
                inputs: 20,
                warnings: 1,
                width: 100,
                ..few
            },
            Self {
                hosts: 0,
                failures: 1,
                common: 0,
                failure_lines: 4,
                inputs: 5,
                warnings: 1,
                width: 60,
                ..few
            },
            Self {
                hosts: 0,
                failures: 0,
                common: 0,
                failure_lines: 0,
                inputs: 3,
                warnings: 0,
                width: 40,
                ..few
            },
        ]
    };
}

/// A report taken apart, its hosts already rendered: they are the expensive part of each attempt.
pub(super) struct Parts<'a> {
    report: &'a Report,
    headline: String,
    failing: Vec<HostPart>,
    others: Vec<HostPart>,
    unchanged: Vec<String>,
    names: HostNames,
    fleet: Fleetwide<'a>,
}

/// What is told of a host, or of several that have the same to tell.
struct HostPart {
    names: Vec<String>,
    status: Status,
    lines: Vec<String>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let mut parts = Self {
            report,
            headline: headline(report),
            failing: Vec::new(),
            others: Vec::new(),
            unchanged: Vec::new(),
            names: HostNames::of(report),
            fleet: Fleetwide::default(),
        };
        if report.outcome == Outcome::LockUnchanged {
            return parts;
        }
        parts.fleet = common(report);
        for status in Status::ALL {
            if status == Status::Unchanged {
                let unchanged = report.with_status(status);
                parts.unchanged = unchanged.map(|host| parts.names.of_host(host)).collect();
                continue;
            }
            for block in blocks(report, status) {
                let text = anstream::adapter::strip_str(&block.text).to_string();
                let part = HostPart {
                    names: block
                        .hosts
                        .iter()
                        .map(|host| parts.names.of_host(host))
                        .collect(),
                    status,
                    lines: text.lines().map(str::to_owned).collect(),
                };
                if matches!(status, Status::Broken | Status::AlreadyBroken) {
                    parts.failing.push(part);
                } else {
                    parts.others.push(part);
                }
            }
        }
        parts
    }

    pub(super) fn render(&self, limits: &Limits) -> String {
        let mut out = format!("## {}\n", self.headline);
        let warnings = &self.report.warnings;
        for warning in warnings.iter().take(limits.warnings) {
            out.push_str("\nWarning: ");
            out.push_str(&code(&short(warning, limits.width)));
            out.push('\n');
        }
        more(
            &mut out,
            warnings.len(),
            limits.warnings,
            "warning",
            "warnings",
        );
        if let Some(text) = to_build(self.report) {
            out.extend(["\n", &text, "\n"]);
        }
        hosts(
            &mut out,
            &self.failing,
            limits.failures,
            false,
            limits.width,
            |lines| ends(lines, limits.failure_lines, limits.width),
        );
        more(
            &mut out,
            count(&self.failing),
            count_first(&self.failing, limits.failures),
            "host that fails",
            "hosts that fail",
        );
        self.inputs(&mut out, limits);
        self.excluded(&mut out, limits);
        self.fleetwide(&mut out, limits);
        // One host is what the reader came for; of many each is opened by who asks for it.
        let folded = self.failing.len() + self.others.len() > 1;
        hosts(
            &mut out,
            &self.others,
            limits.hosts,
            folded,
            limits.width,
            |lines| start(lines, limits.lines, limits.width),
        );
        more(
            &mut out,
            count(&self.others),
            count_first(&self.others, limits.hosts),
            "host",
            "hosts",
        );
        if !self.unchanged.is_empty() && limits.unchanged > 0 {
            let names: Vec<String> = self
                .unchanged
                .iter()
                .take(limits.unchanged)
                .map(|name| code(&short(name, limits.width)))
                .collect();
            out.push_str("\n### Unchanged\n\n");
            out.push_str(&names.join(", "));
            out.push('\n');
        }
        more(
            &mut out,
            self.unchanged.len(),
            limits.unchanged,
            "unchanged host",
            "unchanged hosts",
        );
        out
    }

    fn inputs(&self, out: &mut String, limits: &Limits) {
        let inputs = &self.report.inputs;
        if inputs.is_empty() {
            return;
        }
        out.push_str("\n### Inputs\n\n| input | before | after |\n| --- | --- | --- |\n");
        for input in inputs.iter().take(limits.inputs) {
            let row = [
                &input.name,
                &revision(input.before.as_ref()),
                &revision(input.after.as_ref()),
            ]
            .map(|text| cell(&short(text, limits.width)));
            out.push_str("| ");
            out.push_str(&row.join(" | "));
            out.push_str(" |\n");
        }
        more(out, inputs.len(), limits.inputs, "input", "inputs");
    }

    fn fleetwide(&self, out: &mut String, limits: &Limits) {
        if self.fleet.sets.is_empty() || limits.common == 0 {
            return;
        }
        out.push_str("\n### On many hosts\n");
        let name = |host: &HostReport| code(&short(&self.names.of_host(host), limits.width));
        for set in &self.fleet.sets {
            let (shown, more) = set.first_rows(limits.common);
            let mut rows: Vec<String> = shown.iter().map(|row| short(row, limits.width)).collect();
            rows.extend(more);
            out.extend(["\n", &set_heading(set, self.fleet.of, name), "\n\n"]);
            out.push_str(&fence(&rows.join("\n")));
        }
        if let Some(rest) = self.fleet.rest() {
            out.extend(["\n", &rest, "\n"]);
        }
    }

    fn excluded(&self, out: &mut String, limits: &Limits) {
        let excluded = &self.report.excluded;
        if !excluded.is_empty() && limits.excluded > 0 {
            let excluded: Vec<String> = excluded
                .iter()
                .take(limits.excluded)
                .map(|host| {
                    let name = format!("{}:{}", host.kind, host.name);
                    format!(
                        "{} by {}",
                        code(&short(&name, limits.width)),
                        code(&short(&host.pattern, limits.width))
                    )
                })
                .collect();
            out.push_str("\nLeft out: ");
            out.push_str(&excluded.join(", "));
            out.push('\n');
        }
        more(
            out,
            excluded.len(),
            limits.excluded,
            "host left out",
            "hosts left out",
        );
    }
}

/// Counts the hosts in `parts`.
fn count(parts: &[HostPart]) -> usize {
    count_first(parts, usize::MAX)
}

/// Counts the hosts in the first `most` of `parts`.
fn count_first(parts: &[HostPart], most: usize) -> usize {
    parts.iter().take(most).map(|part| part.names.len()).sum()
}

fn hosts(
    out: &mut String,
    hosts: &[HostPart],
    most: usize,
    folded: bool,
    width: usize,
    shorten: impl Fn(&[String]) -> String,
) {
    for host in hosts.iter().take(most) {
        let status = host.status.as_str();
        let (names, more) = first_ones(&host.names);
        let names = |mark: fn(&str) -> String| {
            let names: Vec<String> = names.iter().map(|name| mark(&short(name, width))).collect();
            names.join(", ")
        };
        let lines = fence(&shorten(&host.lines));
        if folded {
            // Around what is folded Markdown needs an empty line, or it is taken for HTML.
            out.push_str("\n<details><summary>");
            out.push_str(&names(entities));
            out.extend([
                &more,
                " ",
                status,
                "</summary>\n\n",
                &lines,
                "\n</details>\n",
            ]);
        } else {
            out.push_str("\n### ");
            out.push_str(&names(code));
            out.extend([&more, " ", status, "\n\n", &lines]);
        }
    }
}

/// Says how many of `count` are not among the first `shown`.
fn more(out: &mut String, count: usize, shown: usize, one: &str, many: &str) {
    let left = count.saturating_sub(shown);
    if left > 0 {
        let what = if left == 1 { one } else { many };
        out.extend([
            "\n",
            &left.to_string(),
            " more ",
            what,
            ": ",
            ELSEWHERE,
            ".\n",
        ]);
    }
}

/// Returns the first `most` lines, and how many follow.
fn start(lines: &[String], most: usize, width: usize) -> String {
    let mut shown: Vec<String> = lines.iter().take(most).map(|l| short(l, width)).collect();
    let left = lines.len().saturating_sub(most);
    if left > 0 {
        shown.push(left_out(left));
    }
    shown.join("\n")
}

/// Returns `most` lines, the first and the last ones: an error says first what is wrong, a log last.
fn ends(lines: &[String], most: usize, width: usize) -> String {
    if lines.len() <= most {
        return start(lines, most, width);
    }
    let tail = most / 2;
    let head = most - tail;
    let mut shown: Vec<String> = lines.iter().take(head).map(|l| short(l, width)).collect();
    shown.push(left_out(lines.len() - most));
    shown.extend(
        lines
            .iter()
            .skip(lines.len() - tail)
            .map(|l| short(l, width)),
    );
    shown.join("\n")
}

fn left_out(lines: usize) -> String {
    let what = if lines == 1 { "line" } else { "lines" };
    format!("… {lines} more {what}: see report.md in --output-dir or the job's summary")
}

/// Returns a line or name of at most `width` characters. What is not shown as itself does not come in by the cut.
pub(super) fn short(text: &str, width: usize) -> String {
    if width == usize::MAX || text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text
        .chars()
        .take(width.saturating_sub(1))
        .map(|c| if is_unseen(c) { ' ' } else { c })
        .collect();
    kept.push('…');
    kept
}
