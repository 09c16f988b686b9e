//! The body of our pull request: its first line says what we wrote, its last part is the people's.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The line under which everything is kept as people leave it.
pub const NOTES: &str = "<!-- flake-herald: notes below this line are kept -->";

const BEGIN: &str = "<!-- flake-herald v=1 ";
const END: &str = " -->";

/// The longest body we write, in bytes. GitHub takes 65,536 characters and does not say of which kind.
pub const MOST_BODY: usize = 60_000;

/// What the first line of a body says: which report it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The scope of the run.
    pub scope: String,
    /// The hash of the new lock.
    pub lock: String,
    /// The digest of the report.
    pub digest: String,
    /// The hash of the title we wrote, see [`title_hash`].
    pub title: String,
    /// What we last made of it: a draft or not.
    pub draft: bool,
    /// We closed it ourselves, because there was nothing left to say.
    pub obsolete: bool,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            lock,
            digest,
            title,
            draft,
            obsolete,
        } = self;
        let closed = if *obsolete { " closed=obsolete" } else { "" };
        write!(
            f,
            "{BEGIN}scope={scope} lock={lock} digest={digest} title={title} draft={draft}{closed}{END}"
        )
    }
}

impl Marker {
    /// Returns what the first line of `body` says; none where it is not ours.
    ///
    /// Web forms send line ends as CRLF, and forges keep them.
    pub fn read(body: &str) -> Option<Self> {
        let line = body.trim_start().lines().next()?.trim_end();
        let fields = line.strip_prefix(BEGIN)?.strip_suffix(END)?;
        let field = |name: &str| {
            fields
                .split(' ')
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        Some(Self {
            scope: field("scope")?.to_owned(),
            lock: field("lock")?.to_owned(),
            digest: field("digest")?.to_owned(),
            title: field("title")?.to_owned(),
            draft: field("draft")? == "true",
            obsolete: field("closed") == Some("obsolete"),
        })
    }
}

/// Returns the text that people keep in a body: what is under [`NOTES`], or all of a body that is not ours.
pub fn notes(body: &str) -> String {
    let body = body.replace("\r\n", "\n");
    let kept = match (body.split_once(NOTES), Marker::read(&body)) {
        (Some((_, notes)), _) => notes,
        (None, Some(_)) => "",
        (None, None) => &body,
    };
    kept.trim_start_matches('\n').trim_end().to_owned()
}

/// Returns how many bytes are left for the report beside these notes; none where the notes alone fill the body.
pub fn room_beside(notes: &str) -> Option<usize> {
    const LEAST: usize = 2_000;
    // The marker has fixed lengths; this is it and the notes' line with room to spare.
    const FRAME: usize = 500;
    MOST_BODY
        .checked_sub(notes.len().checked_add(FRAME)?)
        .filter(|room| *room >= LEAST)
}

/// Returns a body: the marker, the report's text, and what people wrote.
pub fn body(marker: &Marker, text: &str, notes: &str) -> String {
    // Only our own lines count, whatever a log says.
    let text = text.replace("<!-- flake-herald", "<!-\u{200b}- flake-herald");
    let mut body = format!("{marker}\n{}\n\n{NOTES}\n", text.trim_end());
    if !notes.is_empty() {
        body.push('\n');
        body.push_str(notes);
        body.push('\n');
    }
    body
}

/// Returns a body of ours that says from now on that we closed it; none where it is not ours.
pub fn closed_as_obsolete(body: &str) -> Option<String> {
    let marker = Marker::read(body)?;
    let closed = Marker {
        obsolete: true,
        ..marker
    };
    let rest = body
        .trim_start()
        .split_once('\n')
        .map_or("", |(_, rest)| rest);
    Some(format!("{closed}\n{rest}"))
}

/// Returns what a title is told by: a hash of it without the prefix that makes it a draft on Forgejo.
pub fn title_hash(title: &str) -> String {
    let (_, title) = split_draft_prefix(title);
    Sha256::digest(title.trim().as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Splits a title into the prefix that makes it a draft and the rest.
///
/// Forgejo has no other sign of a draft; the prefixes are its defaults (`WORK_IN_PROGRESS_PREFIXES`), in any case.
pub(super) fn split_draft_prefix(title: &str) -> (&str, &str) {
    for prefix in ["WIP:", "[WIP]"] {
        if title
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        {
            let (start, rest) = title.split_at(prefix.len());
            return (start, rest.trim_start());
        }
    }
    ("", title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        Marker {
            scope: "0123456789abcdef".to_owned(),
            lock: "aa".repeat(32),
            digest: "bb".repeat(32),
            title: title_hash("chore: update flake inputs"),
            draft: false,
            obsolete: false,
        }
    }

    #[test]
    fn a_marker_reads_back() {
        for draft in [false, true] {
            for obsolete in [false, true] {
                let marker = Marker {
                    draft,
                    obsolete,
                    ..marker()
                };
                assert_eq!(
                    Marker::read(&body(&marker, "text", "")),
                    Some(marker.clone())
                );
                let crlf = body(&marker, "text\nmore", "note").replace('\n', "\r\n");
                assert_eq!(Marker::read(&crlf), Some(marker.clone()));
                assert_eq!(notes(&crlf), "note");
            }
        }
        insta::assert_snapshot!(body(&Marker { lock: "L".into(), digest: "D".into(), title: "T".into(), ..marker() }, "text\n\n", "mine"), @"
        <!-- flake-herald v=1 scope=0123456789abcdef lock=L digest=D title=T draft=false -->
        text

        <!-- flake-herald: notes below this line are kept -->

        mine
        ");
    }

    #[test]
    fn what_is_not_ours_is_no_marker() {
        for text in [
            "",
            "text",
            "<!-- flake-herald -->",
            "<!-- flake-herald v=1 -->",
            "<!-- flake-herald v=1 scope=a lock=b digest=c title=d -->",
            "<!-- flake-herald v=2 scope=a lock=b digest=c title=d draft=false -->",
            "text\n<!-- flake-herald v=1 scope=a lock=b digest=c title=d draft=false -->",
        ] {
            assert_eq!(Marker::read(text), None, "{text}");
            assert_eq!(closed_as_obsolete(text), None);
        }
    }

    #[test]
    fn notes_are_kept_whatever_the_report_says() {
        let evil = format!("log\n{NOTES}\nnot a note\n{}", marker());
        let written = body(&marker(), &evil, "a note\n\nof two");
        assert_eq!(notes(&written), "a note\n\nof two");
        assert_eq!(notes(&body(&marker(), &evil, "")), "");
        // Somebody opened it by hand from our branch: all of it is theirs.
        assert_eq!(notes("please look\r\nat this\r\n"), "please look\nat this");
        // Somebody took the line away: what was above is ours.
        let without = written.replace(NOTES, "");
        assert_eq!(notes(&without), "");
    }

    #[test]
    fn closing_changes_the_first_line_only() {
        let open = body(&marker(), "text", "note");
        let closed = closed_as_obsolete(&open).unwrap();
        assert!(Marker::read(&closed).unwrap().obsolete);
        assert_eq!(notes(&closed), "note");
        assert_eq!(closed_as_obsolete(&closed).unwrap(), closed);
        assert_eq!(
            closed.split_once('\n').unwrap().1,
            open.split_once('\n').unwrap().1
        );
    }

    #[test]
    fn notes_leave_room_or_none() {
        assert_eq!(room_beside(""), Some(59_500));
        assert_eq!(room_beside(&"x".repeat(57_500)), Some(2_000));
        assert_eq!(room_beside(&"x".repeat(57_501)), None);
        assert_eq!(room_beside(&"x".repeat(70_000)), None);
        let notes = "x".repeat(10_000);
        let full = "y".repeat(room_beside(&notes).unwrap());
        assert!(
            body(
                &Marker {
                    obsolete: true,
                    ..marker()
                },
                &full,
                &notes
            )
            .len()
                <= MOST_BODY
        );
    }

    #[test]
    fn a_draft_is_not_another_title() {
        let plain = title_hash("chore: update");
        for title in [
            "WIP: chore: update",
            "wip:chore: update",
            "[WIP] chore: update",
            " chore: update ",
        ] {
            assert_eq!(title_hash(title), plain, "{title}");
        }
        assert_ne!(title_hash("Chore: update"), plain);
        assert_eq!(split_draft_prefix("WIP: a"), ("WIP:", "a"));
        assert_eq!(split_draft_prefix("wipe: a"), ("", "wipe: a"));
    }
}
