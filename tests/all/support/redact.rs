//! Takes out of a text what differs from one run to the next, keeping its width where that can be kept.

use std::path::Path;

/// The digits of Nix's base 32: no `e`, `o`, `t`, `u`.
const BASE32: &str = "0123456789abcdfghijklmnpqrsvwxyz";

/// Replaces by stand-ins: the scratch directory (`$D`), store hashes, hex digests and commits, `sha256-…` hashes,
/// and durations.
///
/// Equal things have equal stand-ins, numbered as they come, also over several texts. Commits that were announced are
/// found in their short forms too.
#[derive(Clone, Debug)]
pub(crate) struct Redactor {
    scratch: String,
    seen: Vec<String>,
    commits: Vec<String>,
}

impl Redactor {
    /// Returns a redactor that knows this scratch directory.
    pub(crate) fn new(scratch: &Path) -> Self {
        Self {
            scratch: scratch.to_string_lossy().into_owned(),
            seen: Vec::new(),
            commits: Vec::new(),
        }
    }

    /// Announces a commit, in its full form. Commits are numbered in the order in which they are announced.
    pub(crate) fn announce(&mut self, commit: &str) {
        if !self.commits.iter().any(|known| known == commit) {
            self.commits.push(commit.to_owned());
        }
    }

    /// Returns the text with the stand-ins.
    pub(crate) fn redact(&mut self, text: &str) -> String {
        let text = text.replace(&self.scratch, "$D");
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut before = None;
        while let Some(first) = rest.chars().next() {
            let at_start = before.is_none_or(|before: char| !before.is_ascii_alphanumeric());
            let found = if at_start {
                self.token(rest, before)
            } else {
                None
            };
            let (length, stand_in) = found.unwrap_or_else(|| {
                // A word is taken whole, so that its second half is never looked at alone.
                let word = word(rest).len().max(first.len_utf8());
                (word, rest[..word].to_owned())
            });
            out.push_str(&stand_in);
            before = rest[..length].chars().next_back();
            rest = &rest[length..];
        }
        out
    }

    /// Returns the length of what has a stand-in at the start of this text, and the stand-in.
    fn token(&mut self, text: &str, before: Option<char>) -> Option<(usize, String)> {
        if let Some(hash) = text.strip_prefix("sha256-") {
            let length = hash
                .find(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)))
                .unwrap_or(hash.len());
            if length == 44 {
                let stand_in = self.numbered('s', &hash[..length]);
                return Some(("sha256-".len() + length, format!("sha256-{stand_in}")));
            }
        }
        let word = word(text);
        let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_base32 = word.chars().all(|c| BASE32.contains(c));
        if word.len() == 32
            && is_base32
            && (text[word.len()..].starts_with('-') || before == Some('/'))
        {
            return Some((word.len(), self.numbered('h', word)));
        }
        if is_hex && (7..=40).contains(&word.len()) {
            let known = self
                .commits
                .iter()
                .position(|commit| commit.starts_with(word));
            if let Some(index) = known {
                let full = format!("{:0<40}", format!("c{}x", index + 1));
                return Some((word.len(), full[..word.len()].to_owned()));
            }
        }
        if is_hex && (word.len() == 40 || word.len() == 64) {
            return Some((word.len(), self.numbered('x', word)));
        }
        if before == Some('.') || before == Some('-') {
            return None;
        }
        duration(text).map(|length| (length, "[duration]".to_owned()))
    }

    /// Returns a stand-in of the same width, numbered by first appearance.
    fn numbered(&mut self, kind: char, what: &str) -> String {
        let index = self
            .seen
            .iter()
            .position(|seen| seen == what)
            .unwrap_or_else(|| {
                self.seen.push(what.to_owned());
                self.seen.len() - 1
            });
        let number = index + 1;
        let width = what.len() - 1;
        format!("{kind}{number:0>width$}")
    }
}

/// Returns the letters and digits that the text starts with.
fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    &text[..end]
}

/// Returns the length of the duration that the text starts with: `1.2s`, `340 ms`, `2 min`.
fn duration(text: &str) -> Option<usize> {
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let mut length = digits(text);
    if length == 0 {
        return None;
    }
    if let Some(fraction) = text[length..].strip_prefix('.') {
        let more = digits(fraction);
        if more > 0 {
            length += 1 + more;
        }
    }
    if text[length..].starts_with(' ') {
        length += 1;
    }
    let unit = text[length..]
        .find(|c: char| !c.is_alphanumeric())
        .map_or(&text[length..], |end| &text[length..length + end]);
    ["s", "ms", "µs", "ns", "min"]
        .contains(&unit)
        .then_some(length + unit.len())
}

mod tests {
    use super::*;

    fn redact(text: &str) -> String {
        Redactor::new(Path::new("/tmp/scratch")).redact(text)
    }

    #[test]
    fn store_paths_keep_their_width_and_their_identity() {
        let a = "cz7rbp4s1f6qpj23zyib9as7i92xvaws";
        let b = "7raxplrab4xzf0lisg6xnaghkhd0x232";
        let text = format!("/tmp/scratch/nix/store/{a}-glibc-2.39\n{b}-zlib {a}-glibc-2.39");
        insta::assert_snapshot!(redact(&text), @r"
        $D/nix/store/h0000000000000000000000000000001-glibc-2.39
        h0000000000000000000000000000002-zlib h0000000000000000000000000000001-glibc-2.39
        ");
    }

    #[test]
    fn commits_and_digests() {
        let mut redactor = Redactor::new(Path::new("/tmp/scratch"));
        let commit = "0123456789abcdef0123456789abcdef01234567";
        redactor.announce("fedcba9876543210fedcba9876543210fedcba98");
        redactor.announce(commit);
        redactor.announce(commit);
        let text = format!(
            "?rev={commit} {} {}\nsha256-{}= {}",
            &commit[..7],
            "a".repeat(40),
            "A".repeat(43),
            "0f".repeat(32)
        );
        insta::assert_snapshot!(redactor.redact(&text), @r"
        ?rev=c2x0000000000000000000000000000000000000 c2x0000 x000000000000000000000000000000000000001
        sha256-s0000000000000000000000000000000000000000002 x000000000000000000000000000000000000000000000000000000000000003
        ");
    }

    #[test]
    fn durations_go_and_versions_stay() {
        insta::assert_snapshot!(
            redact("took 1.25s, 340 ms, 2 min; openssl 3.0.13s 6.6.32 ms 3 sets 2s-x nix-2s"),
            @"took [duration], [duration], [duration]; openssl 3.0.13s 6.6.32 ms 3 sets [duration]-x nix-2s"
        );
    }

    #[test]
    fn what_is_no_hash_stays() {
        for text in [
            "",
            "plain words, µ and é",
            "cz7rbp4s1f6qpj23zyib9as7i92xvaw-short",
            "ecz7rbp4s1f6qpj23zyib9as7i92xvaws-long",
            "cz7rbp4s1f6qpj23zyib9as7i92xvawe-not-base32",
            "deadbeef",
            "24.05.20240601.cd5f9e2",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
