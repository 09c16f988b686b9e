//! Foreign text, made fit for a report: no colours, no secrets, nothing that differs between two runs.

use std::fmt;

use crate::closure::ClosureDiff;

use super::impact::{Impact, RebootPart};

/// A secret shorter than this, in bytes, is hidden only where it is a word of its own: `tok` is in `token`, and whoever tries things
/// out with it would read stars in our own words. No forge makes a token as short, and one this long is still hidden anywhere.
const SHORT_SECRET: usize = 4;

/// Cleans text that comes from outside: logs, errors, URLs.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
    places: Vec<(String, String)>,
}

// Derived, it would print what it hides.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("secrets", &self.secrets.len())
            .field("places", &self.places)
            .finish()
    }
}

impl Redactor {
    /// Returns a redactor that hides `secrets`, and says of each text of `places` what it is instead.
    pub fn new(secrets: Vec<String>, places: Vec<(String, String)>) -> Self {
        let mut secrets: Vec<String> = secrets
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .collect();
        // The longest first, or a secret within a secret would leave the rest of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets, places }
    }

    /// Returns one line of a log: without colours and control characters, the last state of a progress bar,
    /// secrets and user names in URLs hidden, build directories and durations blotted out.
    pub fn line(&self, text: &str) -> String {
        // A carriage return starts the line anew: what was before it is not what a terminal shows.
        let text = text.trim_end_matches('\r');
        let text = text.rsplit('\r').next().unwrap_or(text);
        let text = anstream::adapter::strip_str(text).to_string();
        let text: String = text
            .chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| !is_unseen(*c))
            .collect();
        let mut text = self.without_secrets(&text);
        for (place, what) in &self.places {
            text = text.replace(place.as_str(), what);
        }
        text = hide_sources(&text);
        hide_durations(&hide_build_directories(&text))
    }

    /// Returns a log, as it was but for secrets and user names in URLs: its last `most` bytes, from the start of a line, below one that says
    /// how much came before. Of `bytes` so many are missing already as `before` says.
    pub fn log(&self, bytes: &[u8], before: u64, most: usize) -> String {
        let text = self.without_secrets(&String::from_utf8_lossy(bytes));
        let mut start = text.len().saturating_sub(most);
        if start == 0 && before == 0 {
            return text;
        }
        while !text.is_char_boundary(start) {
            start += 1;
        }
        // A line without its beginning would pass for another one. One that is all there is stays.
        let rest = text.get(start..).unwrap_or("");
        start += rest
            .find('\n')
            .filter(|at| at + 1 < rest.len())
            .map_or(0, |at| at + 1);
        let left_out = before.saturating_add(u64::try_from(start).unwrap_or(u64::MAX));
        format!(
            "[{left_out} bytes of this log are left out here: `nix log` has all of it]\n{}",
            text.get(start..).unwrap_or("")
        )
    }

    /// Hides secrets and user names in URLs in what derivations say, which is foreign text too: flags may hold any.
    pub fn diff(&self, diff: &mut ClosureDiff) {
        let entries = diff.lists_mut().into_iter().flatten();
        for own in entries.filter_map(|entry| entry.own.as_deref_mut()) {
            for words in own.lists_mut() {
                for word in &mut *words {
                    *word = self.without_secrets(word);
                }
                // Words that differed in what is hidden are one.
                words.sort_unstable();
                words.dedup();
            }
        }
    }

    /// Hides secrets and user names in URLs in what of an impact comes from elsewhere than its diff, which is foreign text: what
    /// kernels are started with, and what nixpkgs says of packages.
    pub fn impact(&self, impact: &mut Impact) {
        let clean = |text: &mut String| {
            text.retain(|c| !is_unseen(c));
            *text = self.without_secrets(text);
        };
        for reason in &mut impact.reboot.reasons {
            if reason.what == RebootPart::KernelParameters {
                let sides = [&mut reason.step.before, &mut reason.step.after];
                sides.into_iter().flatten().for_each(clean);
            }
        }
        for change in impact.vulnerabilities.iter_mut().flatten() {
            clean(&mut change.vulnerability);
        }
        impact.arrange();
    }

    /// Returns text without secrets and user names in URLs.
    pub fn without_secrets(&self, text: &str) -> String {
        let mut text = hide_userinfo(text);
        for secret in &self.secrets {
            text = if secret.len() < SHORT_SECRET {
                hide_words(&text, secret)
            } else {
                text.replace(secret.as_str(), "***")
            };
        }
        text
    }

    /// Returns a text of several lines, each as [`Redactor::line`] makes it.
    pub fn text(&self, text: &str) -> String {
        let lines: Vec<String> = text.lines().map(|line| self.line(line)).collect();
        lines.join("\n").trim_end().to_owned()
    }
}

/// Returns text that no runner reads a command in: one begins a line with `::`, or holds `##[` anywhere.
///
/// An invisible space (U+200B) breaks either; a reader sees the same.
pub fn defused(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive(['\n', '\r']) {
        let start = line.len() - line.trim_start().len();
        let (indent, rest) = line.split_at(start);
        out.push_str(indent);
        if rest.starts_with("::") {
            out.push('\u{200b}');
        }
        out.push_str(&rest.replace("##[", "##\u{200b}["));
    }
    out
}

/// Whether a character is not seen, or changes how others are shown without being one itself: a control character, a line or
/// paragraph separator, a mark that turns the direction of writing, and all that Unicode has programs not show
/// (`Default_Ignorable_Code_Point`), by which two names that differ look alike.
pub(super) fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Hides a text where it is no part of a longer word.
fn hide_words(text: &str, secret: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let after = tail.get(secret.len()..).unwrap_or("");
        let goes_on = |from: Option<char>, to: Option<char>| {
            from.zip(to)
                .is_some_and(|(from, to)| from.is_alphanumeric() && to.is_alphanumeric())
        };
        if goes_on(out.chars().next_back(), secret.chars().next())
            || goes_on(secret.chars().next_back(), after.chars().next())
        {
            // What is hidden may begin within what is not.
            let first = tail.chars().next().map_or(0, char::len_utf8);
            let (first, others) = tail.split_at(first);
            out.push_str(first);
            rest = others;
        } else {
            out.push_str("***");
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Takes `user:password@` out of URLs.
fn hide_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '/' | '?' | '#' | '\'' | '"' | '`' | '<' | '>')
            })
            .unwrap_or(tail.len());
        let (authority, after) = tail.split_at(end);
        match authority.rfind('@') {
            // `git@` of an SSH address names nobody, and is part of what the flake says.
            Some(at) if authority.get(..at) != Some("git") => {
                out.push_str(authority.get(at + 1..).unwrap_or(""));
            }
            _ => out.push_str(authority),
        }
        rest = after;
        // Where one URL follows another at once, what ends the first is the scheme of the next: `a)https://b`.
        if rest.starts_with("//") && out.ends_with(':') {
            out.pop();
            rest = tail.get(end.saturating_sub(1)..).unwrap_or(after);
        }
    }
    out.push_str(rest);
    out
}

/// Names the copy of a source in the store as such: its hash is that of the whole commit, and tells nobody anything.
fn hide_sources(text: &str) -> String {
    const NAME: &str = "-source/";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(NAME) {
        let (head, tail) = rest.split_at(at);
        let start = head.rfind(|c: char| !is_path_char(c)).map_or(0, |i| {
            i + head
                .get(i..)
                .and_then(|s| s.chars().next())
                .map_or(1, char::len_utf8)
        });
        let path = head.get(start..).unwrap_or("");
        let hash = path.rsplit('/').next().unwrap_or("");
        if path.starts_with('/')
            && hash.len() == 32
            && hash.chars().all(|c| c.is_ascii_alphanumeric())
        {
            out.push_str(head.get(..start).unwrap_or(""));
            out.push_str("<source>/");
        } else {
            out.push_str(head);
            out.push_str(NAME);
        }
        rest = tail.get(NAME.len()..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// Blots out the directories Nix builds in: `/tmp/nix-build-NAME.drv-0`, `/nix/var/nix/builds/nix-12-34`, `/build` stays.
fn hide_build_directories(text: &str) -> String {
    const MARKS: [&str; 2] = ["/nix-build-", "/builds/nix-"];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // What was looked at and is none: the name of a repository, say.
    let mut seen = 0;
    loop {
        let found = MARKS
            .iter()
            .filter_map(|mark| rest.get(seen..)?.find(mark))
            .min();
        let Some(at) = found.map(|at| seen + at) else {
            out.push_str(rest);
            return out;
        };
        let mark = rest.get(at..).unwrap_or("");
        let is_numbered = mark
            .strip_prefix("/builds/nix-")
            .is_none_or(|number| number.starts_with(|c: char| c.is_ascii_digit()));
        if !is_numbered {
            seen = at + 1;
            continue;
        }
        let Some(start) = build_directory(rest, at) else {
            // The same is true of every mark in what could be one path.
            seen = at + mark.find(|c| !is_path_char(c)).unwrap_or(mark.len());
            continue;
        };
        seen = 0;
        out.push_str(rest.get(..start).unwrap_or(""));
        out.push_str("<build>");
        let tail = rest.get(at..).unwrap_or("");
        let tail = tail.strip_prefix("/builds").unwrap_or(tail);
        let end = tail
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == '/' || !is_path_char(*c))
            .map_or(tail.len(), |(i, _)| i);
        rest = tail.get(end..).unwrap_or("");
    }
}

/// Returns where the path begins that has a mark of a build directory at `at`; none where it is no path from the root, as in
/// `github:Mic92/nix-build-uncached` and `https://example.org/nix-build-x`.
fn build_directory(text: &str, at: usize) -> Option<usize> {
    let head = text.get(..at)?;
    let start = head.rfind(|c: char| !is_path_char(c)).map_or(0, |i| {
        i + head
            .get(i..)
            .and_then(|s| s.chars().next())
            .map_or(1, char::len_utf8)
    });
    let before = head.get(..start)?;
    let mut path = text.get(start..)?;
    if before.ends_with(':')
        && let Some(authority) = path.strip_prefix("//")
    {
        // `file:///tmp/…` has none.
        if !authority.starts_with('/') {
            return None;
        }
        path = authority;
    }
    // `-I/tmp/…` and `TMPDIR=/tmp/…` are paths with something before them, `Mic92/…` is none.
    let slash = path.find('/')?;
    let glued = path.get(..slash)?;
    let is_flag = glued.starts_with('-') && glued.len() == 2;
    (glued.is_empty() || glued.ends_with('=') || is_flag).then(|| text.len() - path.len() + slash)
}

fn is_path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '?' | '=')
}

/// Blots out durations with a fraction or after `in`: `0.34s`, `12.5 seconds`, `in 3s`.
fn hide_durations(text: &str) -> String {
    const UNITS: [&str; 11] = [
        "milliseconds",
        "millisecond",
        "seconds",
        "second",
        "minutes",
        "minute",
        "secs",
        "sec",
        "ms",
        "min",
        "s",
    ];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        let starts = c.is_ascii_digit()
            && !before.is_some_and(|p| p.is_alphanumeric() || matches!(p, '.' | '-' | '_'));
        if starts {
            let number = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let (digits, tail) = rest.split_at(number);
            let word = tail.strip_prefix(' ').unwrap_or(tail);
            let unit = UNITS.iter().find(|unit| {
                word.strip_prefix(**unit).is_some_and(|after| {
                    !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            });
            let fraction = digits.matches('.').count() == 1;
            let timed = fraction || out.ends_with("in ") || out.ends_with("after ");
            if let (Some(unit), true) = (unit, timed && !digits.ends_with('.')) {
                out.push_str("<duration>");
                rest = word.get(unit.len()..).unwrap_or("");
            } else {
                out.push_str(digits);
                rest = tail;
            }
            before = Some('0');
            continue;
        }
        out.push(c);
        before = Some(c);
        rest = rest.get(c.len_utf8()..).unwrap_or("");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::closure::{Cause, Change, Entry, OwnChange, Selected};

    use super::super::impact::{RebootReason, Step, VulnerabilityChange};
    use super::*;

    /// Errors may be a line of a MiB, and whoever wrote the flake chooses what is in them.
    #[test]
    fn a_line_full_of_marks_takes_no_time() {
        let text = "a/nix-build-".repeat(20_000);
        let begun = std::time::Instant::now();
        assert_eq!(hide_build_directories(&text), text);
        assert!(begun.elapsed() < std::time::Duration::from_secs(3));
    }

    #[test]
    fn what_differs_or_tells_too_much_is_taken_out() {
        let redactor = Redactor::new(
            vec![
                "s3cr3t".to_owned(),
                "s3cr3t-and-more".to_owned(),
                String::new(),
            ],
            vec![("/tmp/flake-herald.x1".to_owned(), "<tmp>".to_owned())],
        );
        let table = [
            "plain text, version 1.2.3s of 2024 in 3 parts",
            "\x1b[31;1merror:\x1b[0m red",
            "10%\r50%\r100% done\r",
            "fetching https://alice:s3cret@example.org/x.git and ssh://git@host/y",
            "[a](https://example.org)https://alice:pw@example.org/x",
            "token s3cr3t-and-more, s3cr3t",
            "at /tmp/flake-herald.x1/after.lock:3",
            "at /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-source/flake.nix:3:1",
            "cd /tmp/nix-build-php-8.2.19.drv-0/source && make",
            "file '/nix/var/nix/builds/nix-1234-5678/x.c': no",
            "cc -I/tmp/nix-build-a.drv-0/x TMPDIR=/tmp/nix-build-a.drv-0 PATH=/bin:/tmp/nix-build-a.drv-0/bin file:///tmp/nix-build-a.drv-0",
            "/builds/nix-community/x/y.nix github:Mic92/nix-build-uncached/0123 https://github.com/Mic92/nix-build-uncached/pull/1 ssh://git@host/builds/nix-x a/nix-build-x/nix-build-b",
            "/nix-build-x/y //tmp/nix-build-x",
            "test result: ok in 0.34s; took 12.5 seconds; slept 3 s; in 3s; 1.5x",
            "timed out after 1 seconds",
            "bell\x07 and\ttab, ze\u{200b}ro\u{feff} and \u{202e}turned",
        ]
        .map(|text| redactor.line(text));
        insta::assert_snapshot!(table.join("\n"), @"
        plain text, version 1.2.3s of 2024 in 3 parts
        error: red
        100% done
        fetching https://example.org/x.git and ssh://git@host/y
        [a](https://example.org)https://example.org/x
        token ***, ***
        at <tmp>/after.lock:3
        at <source>/flake.nix:3:1
        cd <build>/source && make
        file '<build>/x.c': no
        cc -I<build>/x TMPDIR=<build> PATH=/bin:<build>/bin file://<build>
        /builds/nix-community/x/y.nix github:Mic92/nix-build-uncached/0123 https://github.com/Mic92/nix-build-uncached/pull/1 ssh://git@host/builds/nix-x a/nix-build-x/nix-build-b
        <build>/y <build>
        test result: ok in <duration>; took <duration>; slept 3 s; in <duration>; 1.5x
        timed out after <duration>
        bell and tab, zero and turned
        ");
    }

    #[test]
    fn a_short_secret_is_hidden_where_it_stands_alone() {
        let hidden = |secret: &str, text: &str| {
            Redactor::new(vec![secret.to_owned()], Vec::new()).without_secrets(text)
        };
        assert_eq!(
            hidden("tok", "the token is tok, --token=tok toktok tok-tok stok"),
            "the token is ***, --token=*** toktok ***-*** stok"
        );
        assert_eq!(hidden("a-a", "xa-a-a é a-aé a-a"), "xa-*** é a-aé ***");
        assert_eq!(hidden("=", "a=b"), "a***b");
        // Those of forges are longer.
        assert_eq!(hidden("1234", "x12345"), "x***5");
    }

    #[test]
    fn what_kernels_are_started_with_and_what_packages_are_said_to_have_hides_secrets() {
        let redactor = Redactor::new(vec!["s3cret".to_owned()], Vec::new());
        let step = |before: &str, after: &str| Step {
            name: "kernel-params".to_owned(),
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
            change: Change::Changed,
            cause: None,
        };
        let hole = |text: &str| VulnerabilityChange {
            package: "p".to_owned(),
            vulnerability: text.to_owned(),
            gained: true,
        };
        let reason = RebootReason {
            what: RebootPart::KernelParameters,
            step: step("key=s3cret", "root=https://me:pw@host/x\x1b[2J in=3s"),
        };
        let mut impact = Impact::default();
        impact.reboot.reasons.push(reason);
        impact.vulnerabilities = Some(vec![hole("z s3cret"), hole("\u{202e}a")]);
        redactor.impact(&mut impact);
        let reasons = &impact.reboot.reasons;
        assert_eq!(
            reasons[0].step,
            step("key=***", "root=https://host/x[2J in=3s")
        );
        assert_eq!(impact.vulnerabilities, Some(vec![hole("a"), hole("z ***")]));
    }

    #[test]
    fn no_line_is_a_command_of_a_runner() {
        let text =
            "a\n::set-env name=X::y\n  ::error::no\nx ::fine::\n##[group]x ##[set-output]\nlast";
        let table: Vec<String> = defused(text)
            .lines()
            .map(|line| line.escape_debug().to_string())
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r"
        a
        \u{200b}::set-env name=X::y
          \u{200b}::error::no
        x ::fine::
        ##\u{200b}[group]x ##\u{200b}[set-output]
        last
        ");
        assert_eq!(defused("nothing\nto do\n"), "nothing\nto do\n");
    }

    #[test]
    fn flags_keep_all_but_what_is_secret() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut diff = ClosureDiff {
            rebuilt: vec![Entry {
                name: "x".to_owned(),
                before: Vec::new(),
                after: Vec::new(),
                change: Change::Rebuilt,
                selected: Selected::No,
                size_delta: None,
                cause: Some(Cause::Own),
                own: Some(Box::new(OwnChange {
                    flags_added: words(&[
                        "--mirror=https://a:pw@example.org/x",
                        "--mirror=https://b:pw@example.org/x",
                        "--timeout=30s",
                        "--token=s3cr3t",
                    ]),
                    flags_removed: words(&["--mirror=https://c@example.org/x"]),
                    dependencies_added: words(&["https://a:pw@example.org/x", "zlib"]),
                    ..OwnChange::default()
                })),
                via: None,
            }],
            ..ClosureDiff::default()
        };
        Redactor::new(vec!["s3cr3t".to_owned()], Vec::new()).diff(&mut diff);
        let own = diff.rebuilt[0].own.as_ref().unwrap();
        insta::assert_snapshot!([
                &*own.flags_added,
                &["-".to_owned()],
                &*own.flags_removed,
                &*own.dependencies_added,
            ]
            .concat().join("\n"), @"
        --mirror=https://example.org/x
        --timeout=30s
        --token=***
        -
        --mirror=https://example.org/x
        https://example.org/x
        zlib
        ");
    }

    #[test]
    fn a_log_keeps_all_but_what_is_secret() {
        let redactor = Redactor::new(vec!["s3cr3t".to_owned()], Vec::new());
        assert_eq!(
            redactor.log(
                b"\x1b[1mtoken s3cr3t\nhttps://u:pw@example.org/x took 1.5s\n\xff",
                0,
                100
            ),
            "\x1b[1mtoken ***\nhttps://example.org/x took 1.5s\n\u{fffd}"
        );
        let long = |bytes: &[u8], before| redactor.log(bytes, before, 20);
        let table = [
            long(b"first line\nsecond line\nlast line\n", 0),
            long(b"first line\nsecond line\nlast line\n", 1000),
            long(b"s3cr3t s3cr3t s3cr3t", 7),
            long(
                "one line \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"
                    .as_bytes(),
                0,
            ),
        ];
        insta::assert_snapshot!(table.join("\n---\n"), @"
        [23 bytes of this log are left out here: `nix log` has all of it]
        last line

        ---
        [1023 bytes of this log are left out here: `nix log` has all of it]
        last line

        ---
        [7 bytes of this log are left out here: `nix log` has all of it]
        *** *** ***
        ---
        [11 bytes of this log are left out here: `nix log` has all of it]
        éééééééééé
        ");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC*(://|/nix-build-|[0-9.]+ ?s|@|\r|\x1b\\[|12345678|7)*\\PC*") {
            let redactor = Redactor::new(vec!["12345678".to_owned(), "7".to_owned()], Vec::new());
            let line = redactor.line(&text);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(!line.contains("12345678"));
            let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).collect();
            prop_assert!(!words.contains(&"7"), "{line:?}");
        }
    }
}
