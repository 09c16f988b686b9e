//! The texts of a pull request that are not its body: what a line, a title and a commit message say.

use super::budget::short;
use super::inputs::rows;
use super::markdown::code;
use super::text::{headline, revision};
use super::{InputChange, Report};

/// The most bytes of a title and of a commit's subject: forges cut at 255 without a word.
pub(super) const SUBJECT: usize = 250;

/// The most bytes of a commit's message.
const MESSAGE: usize = 16 * 1024;

/// The most characters of a foreign text in a line of ours.
const NAME: usize = 80;

/// Returns in one line what the report says: its headline, on how many hosts a reboot is due, and what moves, first of all nixpkgs.
pub fn summary(report: &Report) -> String {
    let mut parts = vec![headline(report)];
    match report.fleet.reboot {
        None | Some(0) => {}
        Some(1) if report.fleet.hosts == 1 => parts.push("reboot needed".to_owned()),
        Some(count) => parts.push(format!("reboot on {count}")),
    }
    let inputs = rows(report);
    let direct = || inputs.iter().filter(|input| !input.transitive);
    // Nearly all that a host has comes from it.
    let first = direct().find(|input| input.name == "nixpkgs");
    if let Some(input) = first.or_else(|| direct().next()).or(inputs.first()) {
        let [name, before, after] =
            [input.name, &input.before, &input.after].map(|text| code(&short(text, NAME)));
        let more = match inputs.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("{name} {before} → {after}{more}"));
    }
    parts.join("; ")
}

fn change(input: &InputChange) -> String {
    let side = |side| code(&short(&revision(side), NAME));
    format!(
        "{} {} → {}",
        code(&short(&input.name, NAME)),
        side(input.before.as_ref()),
        side(input.after.as_ref())
    )
}

/// Returns a whole commit message of at most 16 KiB: `message`, the inputs where it is one line only, and our trailers.
pub(super) fn commit_message(
    message: &str,
    report: &Report,
    scope_id: &str,
    lock_hash: &str,
) -> String {
    let trailers = format!("Flake-Herald-Scope: {scope_id}\nFlake-Herald-Lock: {lock_hash}");
    // One paragraph is the last thing git reads trailers from: what looks like ours elsewhere must not be taken for it.
    let lines: Vec<&str> = message
        .trim()
        .lines()
        .map(str::trim_end)
        .filter(|line| {
            !line
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("flake-herald-")
        })
        .collect();
    let subject = lines.first().copied().unwrap_or_default();
    let rest = lines.get(1..).unwrap_or_default().join("\n");
    let rest = rest.trim_matches('\n');
    let mut out = subject.to_owned();
    if rest.is_empty() {
        inputs(
            &mut out,
            report,
            MESSAGE.saturating_sub(trailers.len() + 64),
        );
        return format!("{out}\n\n{trailers}\n");
    }
    let room = MESSAGE.saturating_sub(subject.len() + trailers.len() + 64);
    let paragraph = rest.rsplit("\n\n").next().unwrap_or_default();
    // Where the user's own trailers end the message, ours join them: git reads only one paragraph.
    let joined = paragraph.lines().all(is_trailer);
    let (rest, own) = if joined {
        let head = rest.get(..rest.len() - paragraph.len()).unwrap_or_default();
        (head.trim_end_matches('\n'), paragraph)
    } else {
        (rest, "")
    };
    let rest = whole_lines(rest, room.saturating_sub(own.len()));
    if !rest.is_empty() {
        out.push_str("\n\n");
        out.push_str(&rest);
    }
    out.push_str("\n\n");
    let own = whole_lines(own, room);
    if !own.is_empty() {
        out.push_str(&own);
        out.push('\n');
    }
    format!("{out}{trailers}\n")
}

/// Writes the inputs as an indented paragraph.
fn inputs(out: &mut String, report: &Report, most: usize) {
    for (i, input) in report.inputs.iter().enumerate() {
        let line = format!("    {}\n", change(input));
        if out.len() + line.len() + 64 > most {
            let left = report.inputs.len() - i;
            out.extend(["    ", &left.to_string(), " more"]);
            break;
        }
        out.push_str(if i == 0 { "\n\n" } else { "" });
        out.push_str(&line);
    }
    out.truncate(out.trim_end().len());
}

/// Returns as many whole lines as fit.
fn whole_lines(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let count = text.lines().count();
    for (i, line) in text.lines().enumerate() {
        if out.len() + line.len() + 32 > most {
            out.extend([&(count - i).to_string(), " more lines"]);
            break;
        }
        out.push_str(line);
        out.push('\n');
    }
    out.trim_end().to_owned()
}

fn is_trailer(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(key, value)| {
        !key.is_empty()
            && !value.trim().is_empty()
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}
