//! What is kept of a child's output.

use std::borrow::Cow;
use std::collections::VecDeque;

/// How many bytes of stderr's end are kept: 1 MiB.
pub const STDERR_KEPT: usize = 1024 * 1024;

/// At how many bytes a line of stderr is cut before it is handed on, unless the command says otherwise: 64 KiB.
pub const DEFAULT_LINE_LIMIT: usize = 64 * 1024;

/// The end of what a child wrote to stderr, as raw bytes: colours and control characters are still in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StderrTail {
    bytes: Vec<u8>,
    dropped: u64,
}

impl StderrTail {
    /// Returns the last bytes written, [`STDERR_KEPT`] at most.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns how many bytes came before these and were not kept.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns the text; what is not UTF-8 in it is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Returns the last `count` lines without their line ends, in order; what is not UTF-8 in them is replaced. Blank lines at
    /// the very end are left out, and so is a line that lost its beginning, unless it is the only one.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let text = self.text();
        let mut lines: Vec<&str> = text.trim_end().lines().collect();
        if self.dropped > 0 && lines.len() > 1 {
            lines.remove(0);
        }
        lines
            .iter()
            .skip(lines.len().saturating_sub(count))
            .map(|line| (*line).to_owned())
            .collect()
    }
}

/// Keeps the last bytes of a stream, up to a limit.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    limit: usize,
    dropped: u64,
}

impl Ring {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            limit,
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend(chunk);
        let excess = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..excess);
        self.dropped += u64::try_from(excess).unwrap_or(u64::MAX);
    }

    pub(super) fn into_tail(self) -> StderrTail {
        StderrTail {
            bytes: self.bytes.into(),
            dropped: self.dropped,
        }
    }
}

/// Cuts a stream into lines, each at most `limit` bytes long plus a mark that says how much of it was cut off.
#[derive(Debug)]
pub(super) struct Lines {
    line: Vec<u8>,
    limit: usize,
    cut: u64,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            limit,
            cut: 0,
        }
    }

    /// Takes the next bytes and hands on every line that they complete, without its newline.
    pub(super) fn push(&mut self, chunk: &[u8], hand_on: &mut impl FnMut(&[u8])) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.append(end);
                    self.flush(hand_on);
                }
                None => self.append(piece),
            }
        }
    }

    /// Hands on the last line, if it had no newline.
    pub(super) fn finish(&mut self, hand_on: &mut impl FnMut(&[u8])) {
        if !self.line.is_empty() || self.cut > 0 {
            self.flush(hand_on);
        }
    }

    fn append(&mut self, piece: &[u8]) {
        let room = self.limit.saturating_sub(self.line.len());
        let (kept, rest) = piece.split_at_checked(room).unwrap_or((piece, &[]));
        self.line.extend_from_slice(kept);
        self.cut += u64::try_from(rest.len()).unwrap_or(u64::MAX);
    }

    fn flush(&mut self, hand_on: &mut impl FnMut(&[u8])) {
        if self.cut > 0 {
            self.line
                .extend_from_slice(format!(" [... {} bytes cut off]", self.cut).as_bytes());
        }
        hand_on(&self.line);
        self.line.clear();
        self.cut = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(limit: usize, chunks: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let mut seen = Vec::new();
        let mut hand_on = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
        for chunk in chunks {
            lines.push(chunk.as_bytes(), &mut hand_on);
        }
        lines.finish(&mut hand_on);
        seen
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_chunked() {
        let text = "one\n\ntwo\r\nthree";
        let whole = cut(100, &[text]);
        assert_eq!(whole, ["one", "", "two\r", "three"]);
        for at in 0..=text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(cut(100, &[left, right]), whole, "split at {at}");
        }
        assert_eq!(cut(100, &["a\n"]), ["a"]);
        assert_eq!(cut(100, &[]), Vec::<String>::new());
    }

    #[test]
    fn a_long_line_is_cut_with_a_mark_and_the_next_is_whole() {
        assert_eq!(
            cut(4, &["12345", "678\nabcd\n"]),
            ["1234 [... 4 bytes cut off]", "abcd"]
        );
        assert_eq!(cut(0, &["12"]), [" [... 2 bytes cut off]"]);
    }

    #[test]
    fn a_ring_keeps_the_end_and_counts_the_rest() {
        let mut ring = Ring::new(5);
        ring.push(b"abc");
        ring.push(b"defg");
        ring.push(b"");
        let tail = ring.into_tail();
        assert_eq!((tail.bytes(), tail.dropped()), (b"cdefg".as_slice(), 2));
        let mut ring = Ring::new(3);
        ring.push(b"0123456789");
        let tail = ring.into_tail();
        assert_eq!((tail.bytes(), tail.dropped()), (b"789".as_slice(), 7));
    }

    #[test]
    fn last_lines_leave_out_blank_ends_and_a_beheaded_line() {
        let tail = |text: &str, dropped| StderrTail {
            bytes: text.as_bytes().to_vec(),
            dropped,
        };
        assert_eq!(tail("a\nb\nc\n\n", 0).last_lines(2), ["b", "c"]);
        assert_eq!(tail("a\nb\n", 0).last_lines(20), ["a", "b"]);
        assert_eq!(tail("ead\nb\n", 9).last_lines(20), ["b"]);
        assert_eq!(tail("only", 9).last_lines(20), ["only"]);
        assert!(tail("\n\n", 0).last_lines(20).is_empty());
        assert_eq!(
            StderrTail {
                bytes: b"\xff\x1b[31mx".to_vec(),
                dropped: 0
            }
            .last_lines(1),
            ["\u{fffd}\u{1b}[31mx"]
        );
    }
}
