//! The inputs for a reader: revisions, days, the time between them, and what is odd about the lock.

use jiff::civil::Date;

use crate::flake::lock::is_compare_url;

use super::points::Word;
use super::{InputChange, InputRevision, LockNote, LockNoteKind, Report};

/// How many inputs a note names.
const NAMED: usize = 3;

/// The most characters of an address that stands for a revision.
const ADDRESS: usize = 40;

/// An input as a reader sees it. Everything but `between` is foreign text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputRow<'a> {
    pub(super) name: &'a str,
    /// What it is fetched by.
    pub(super) kind: Option<&'a str>,
    /// What it was locked to: a short revision, what it follows, or `none`; the address of what has no revision.
    pub(super) before: String,
    pub(super) after: String,
    /// The days of both, where they are known.
    pub(super) dates: [Option<&'a str>; 2],
    /// The time between them, in our words: `7 days`, `2 years older`.
    pub(super) between: Option<String>,
    /// A page that shows what lies between, safe to stand as a link's target: it has only letters, digits and `-._~/%:+=` and no
    /// userinfo.
    pub(super) compare: Option<&'a str>,
    /// It is an input of an input.
    pub(super) transitive: bool,
}

/// Returns the report's inputs, in its order.
pub(super) fn rows(report: &Report) -> Vec<InputRow<'_>> {
    report.inputs.iter().map(row).collect()
}

fn row(input: &InputChange) -> InputRow<'_> {
    let sides = [input.before.as_ref(), input.after.as_ref()];
    let dates = sides.map(|side| side.and_then(day));
    InputRow {
        name: &input.name,
        kind: input.kind.as_deref(),
        before: state(input.before.as_ref()),
        after: state(input.after.as_ref()),
        dates: dates.map(|date| date.map(|(text, _)| text)),
        between: match dates {
            [Some((_, before)), Some((_, after))] => between(before, after),
            _ => None,
        },
        compare: input
            .compare_url
            .as_deref()
            .filter(|url| is_compare_url(url)),
        transitive: input.transitive,
    }
}

/// Says what an input is locked to.
fn state(revision: Option<&InputRevision>) -> String {
    let Some(revision) = revision else {
        return "none".to_owned();
    };
    match revision {
        InputRevision {
            follows: Some(follows),
            ..
        } => format!("follows {follows}"),
        InputRevision { rev: Some(rev), .. } => rev.chars().take(7).collect(),
        InputRevision { url, .. } => {
            let url = url.as_deref().unwrap_or("unknown");
            match url.char_indices().nth(ADDRESS) {
                Some((end, _)) => format!("{}…", url.get(..end).unwrap_or_default()),
                None => url.to_owned(),
            }
        }
    }
}

/// Returns the day of a revision, written `YYYY-MM-DD`. The time of what has neither a commit nor contents that tell is 1970's.
fn day(revision: &InputRevision) -> Option<(&str, Date)> {
    let text = revision.date.as_deref()?;
    let date = parse_day(text)?;
    (date.year() > 1970).then_some((text, date))
}

fn parse_day(text: &str) -> Option<Date> {
    text.parse::<Date>()
        .ok()
        .filter(|date| date.to_string() == text)
}

/// Says how much time lies between two days, in the largest unit that still tells.
fn between(before: Date, after: Date) -> Option<String> {
    let days = after.since(before).ok()?.get_days();
    let amount = match days.unsigned_abs() {
        0 => return Some("same day".to_owned()),
        days @ ..28 => counted(days, "day"),
        days @ ..70 => counted(days / 7, "week"),
        // The mean year, so that a year after is always one.
        days @ ..730 => counted((days * 12 + 182) / 365, "month"),
        days => counted((days + 182) / 365, "year"),
    };
    Some(if days < 0 {
        format!("{amount} older")
    } else {
        amount
    })
}

fn counted(count: u32, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Returns what is odd about the lock, a sentence each.
pub(super) fn notes(report: &Report) -> Vec<Vec<Word>> {
    let told = report.lock_notes.iter().filter(|n| !n.inputs.is_empty());
    let mut notes: Vec<Vec<Word>> = told.map(note).collect();
    match report.lock_notes_left_out {
        0 => {}
        1 => notes.push(vec![own("One more such note is left out.")]),
        more => notes.push(vec![own(format!("{more} more such notes are left out."))]),
    }
    notes
}

fn note(note: &LockNote) -> Vec<Word> {
    let mut words = match note.kind {
        LockNoteKind::NoFollows | LockNoteKind::Repeated => {
            let repository = match &note.repository {
                Some(repository) => Word::Foreign(repository.clone()),
                None => own("A repository on this machine"),
            };
            let times = match note.times {
                Some(2) => " is locked twice: ".to_owned(),
                Some(times) => format!(" is locked {times} times: "),
                None => " is locked several times: ".to_owned(),
            };
            vec![repository, own(times)]
        }
        LockNoteKind::Old => vec![own("Not changed for over a year: ")],
    };
    let shown = note.inputs.iter().take(NAMED);
    let more = note
        .count
        .saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
    let last = shown.len().saturating_sub(1);
    let since = note.date.as_deref().filter(|day| parse_day(day).is_some());
    for (index, input) in shown.enumerate() {
        if index > 0 {
            let and = index == last && more == 0;
            words.push(own(if and { " and " } else { ", " }));
        }
        words.push(Word::Foreign(input.clone()));
        if let (0, Some(day)) = (index, since) {
            words.push(own(format!(" (since {day})")));
        }
    }
    if more > 0 {
        words.push(own(format!(" and {more} more")));
    }
    words.push(own(match note.kind {
        LockNoteKind::NoFollows if note.count == 1 => " does not follow the flake's own.",
        LockNoteKind::NoFollows => " do not follow the flake's own.",
        LockNoteKind::Old | LockNoteKind::Repeated => ".",
    }));
    words
}

fn own(text: impl Into<String>) -> Word {
    Word::Own(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    fn revision(rev: Option<&str>, date: Option<&str>) -> InputRevision {
        InputRevision {
            rev: rev.map(str::to_owned),
            date: date.map(str::to_owned),
            url: Some("https://example.org/a-rather-long-address/of-a-file.tar.gz".to_owned()),
            follows: None,
        }
    }

    fn change(before: Option<InputRevision>, after: Option<InputRevision>) -> InputChange {
        InputChange {
            name: "nixpkgs".to_owned(),
            kind: Some("github".to_owned()),
            original: None,
            before,
            after,
            compare_url: None,
            transitive: false,
        }
    }

    #[test]
    fn the_time_between_is_told_from_the_two_revisions() {
        let between = |before, after| {
            let side = |day| Some(revision(Some("0123456789abcdef"), Some(day)));
            let change = change(side(before), side(after));
            row(&change).between.unwrap_or_else(|| "-".to_owned())
        };
        let table = [
            ("2024-06-01", "2024-06-01"),
            ("2024-06-01", "2024-06-02"),
            ("2024-02-26", "2024-03-04"),
            ("2024-06-01", "2024-06-28"),
            ("2024-06-01", "2024-06-29"),
            ("2024-06-01", "2024-07-06"),
            ("2024-06-01", "2024-08-09"),
            ("2024-06-01", "2024-08-10"),
            ("2023-06-01", "2024-06-01"),
            ("2023-04-01", "2024-06-01"),
            ("2022-06-03", "2024-06-01"),
            ("2022-06-01", "2024-06-01"),
            ("2021-06-01", "2024-06-01"),
            ("2024-06-13", "2024-06-01"),
            ("2024-06-02", "2024-06-01"),
            ("-009999-01-01", "9999-12-31"),
            ("1971-01-01", "9999-12-31"),
            ("1970-01-01", "2024-06-01"),
            ("2024-06-01", "2024-6-2"),
            ("2024-06-01", "2024-02-30"),
            ("2024-06-01", "20240602"),
            ("2024-06-01", "2024-06-02T00:00:00"),
            ("2024-06-01", "`@all`"),
        ]
        .map(|(before, after)| format!("{before} {after}  {}", between(before, after)));
        insta::assert_snapshot!(table.join("\n"), @"
        2024-06-01 2024-06-01  same day
        2024-06-01 2024-06-02  1 day
        2024-02-26 2024-03-04  7 days
        2024-06-01 2024-06-28  27 days
        2024-06-01 2024-06-29  4 weeks
        2024-06-01 2024-07-06  5 weeks
        2024-06-01 2024-08-09  9 weeks
        2024-06-01 2024-08-10  2 months
        2023-06-01 2024-06-01  12 months
        2023-04-01 2024-06-01  14 months
        2022-06-03 2024-06-01  24 months
        2022-06-01 2024-06-01  2 years
        2021-06-01 2024-06-01  3 years
        2024-06-13 2024-06-01  12 days older
        2024-06-02 2024-06-01  1 day older
        -009999-01-01 9999-12-31  -
        1971-01-01 9999-12-31  8034 years
        1970-01-01 2024-06-01  -
        2024-06-01 2024-6-2  -
        2024-06-01 2024-02-30  -
        2024-06-01 20240602  -
        2024-06-01 2024-06-02T00:00:00  -
        2024-06-01 `@all`  -
        ");
    }

    #[test]
    fn a_row_says_what_an_input_was_and_is() {
        let follows = Some(InputRevision {
            follows: Some("nixpkgs".to_owned()),
            ..revision(None, None)
        });
        let day = Some("2024-06-01");
        let at = |rev: &str| Some(revision(Some(rev), day));
        let table = [
            change(None, at(&"a".repeat(40))),
            change(at(&"a".repeat(40)), None),
            change(at(&"a".repeat(40)), follows),
            change(at("ärger"), Some(revision(None, day))),
        ]
        .map(|change| {
            let row = row(&change);
            format!(
                "{} -> {} {:?} {:?}",
                row.before, row.after, row.dates, row.between
            )
        });
        insta::assert_snapshot!(table.join("\n"), @r#"
        none -> aaaaaaa [None, Some("2024-06-01")] None
        aaaaaaa -> none [Some("2024-06-01"), None] None
        aaaaaaa -> follows nixpkgs [Some("2024-06-01"), None] None
        ärger -> https://example.org/a-rather-long-addres… [Some("2024-06-01"), Some("2024-06-01")] Some("same day")
        "#);
        for (url, is_link) in [
            ("https://github.com/o/r/compare/a...b", true),
            ("https://github.com/o/r/compare/a...b) @all", false),
            ("https://u:p@github.com/o/r", false),
        ] {
            let mut change = change(None, None);
            change.compare_url = Some(url.to_owned());
            assert_eq!(row(&change).compare.is_some(), is_link, "{url}");
        }
    }

    #[test]
    fn notes_are_sentences_that_keep_names_apart() {
        let note =
            |kind, inputs: &[&str], count, repository: Option<&str>, times, date: Option<&str>| {
                LockNote {
                    kind,
                    inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
                    count,
                    repository: repository.map(str::to_owned),
                    times,
                    date: date.map(str::to_owned),
                }
            };
        let nixpkgs = Some("github:NixOS/nixpkgs");
        let mut report = report(0, 0, "", 0);
        report.lock_notes = vec![
            note(
                LockNoteKind::NoFollows,
                &["hm/nixpkgs"],
                1,
                nixpkgs,
                Some(2),
                None,
            ),
            note(
                LockNoteKind::NoFollows,
                &["a/nixpkgs", "b/nixpkgs"],
                2,
                nixpkgs,
                Some(3),
                None,
            ),
            note(
                LockNoteKind::NoFollows,
                &["a/n", "b/n", "c/n", "d/n"],
                13,
                nixpkgs,
                Some(195),
                None,
            ),
            note(
                LockNoteKind::Repeated,
                &["a/p", "b/p", "c/p"],
                3,
                None,
                Some(3),
                None,
            ),
            note(LockNoteKind::Old, &["a"], 1, None, None, Some("2023-05-26")),
            note(
                LockNoteKind::Old,
                &["a", "b", "c", "d"],
                8,
                None,
                None,
                Some("2023-05-26"),
            ),
            // Forged.
            note(LockNoteKind::Old, &[], 0, None, None, Some("@all")),
            note(LockNoteKind::Repeated, &["a"], u64::MAX, None, None, None),
        ];
        let text = |report: &Report| {
            let notes = notes(report);
            let text = notes.iter().map(|words| {
                let words = words.iter().map(|word| match word {
                    Word::Own(text) => text.clone(),
                    Word::Foreign(text) => format!("`{text}`"),
                });
                words.collect::<String>()
            });
            text.collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(text(&report), @"
        `github:NixOS/nixpkgs` is locked twice: `hm/nixpkgs` does not follow the flake's own.
        `github:NixOS/nixpkgs` is locked 3 times: `a/nixpkgs` and `b/nixpkgs` do not follow the flake's own.
        `github:NixOS/nixpkgs` is locked 195 times: `a/n`, `b/n`, `c/n` and 10 more do not follow the flake's own.
        A repository on this machine is locked 3 times: `a/p`, `b/p` and `c/p`.
        Not changed for over a year: `a` (since 2023-05-26).
        Not changed for over a year: `a` (since 2023-05-26), `b`, `c` and 5 more.
        A repository on this machine is locked several times: `a` and 18446744073709551614 more.
        ");
        report.lock_notes.clear();
        assert_eq!(text(&report), "");
        report.lock_notes_left_out = 1;
        assert_eq!(text(&report), "One more such note is left out.");
        report.lock_notes_left_out = 19;
        assert_eq!(text(&report), "19 more such notes are left out.");
    }
}
