//! `report.json`.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::Report;

/// Writes the report as JSON in one line. It holds no control characters, for JSON escapes them.
///
/// `##[` is what old runners read as a command anywhere in a line; it stands escaped, which JSON reads alike. Written as it
/// is made: for a large fleet it has tens of megabytes.
///
/// # Errors
///
/// `to` takes no more.
pub fn write_json(report: &Report, to: impl Write) -> io::Result<()> {
    write_line(report, to)
}

/// Writes anything so.
pub(super) fn write_line(value: &impl Serialize, to: impl Write) -> io::Result<()> {
    // JSON is written sign by sign, and looked through faster in bulk.
    let mut to = BufWriter::with_capacity(1 << 16, Escaping::new(to));
    serde_json::to_writer(&mut to, value)?;
    to.write_all(b"\n")?;
    to.flush()
}

/// Returns the report as [`write_json`] writes it.
pub fn to_json(report: &Report) -> String {
    let mut bytes = Vec::new();
    let written = write_json(report, &mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8(bytes).unwrap_or_default()
}

/// Escapes `##[` in what is written to it, in whatever pieces: the second of two hashes is kept back until it is known what follows.
/// What ends in two is not written whole, which JSON never does.
struct Escaping<W> {
    to: W,
    /// What came last is a hash.
    hash: bool,
    /// It follows another, and is not written yet.
    kept: bool,
}

impl<W> Escaping<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            hash: false,
            kept: false,
        }
    }
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            if std::mem::take(&mut self.kept) {
                let hash: &[u8] = if first == b'[' { b"\\u0023" } else { b"#" };
                self.to.write_all(hash)?;
            }
            if first == b'#' {
                if self.hash {
                    self.kept = true;
                } else {
                    self.to.write_all(b"#")?;
                }
                self.hash = true;
                rest = after;
                continue;
            }
            self.hash = false;
            // Most pieces have no such sign, and looking whether there is one is quicker than looking where.
            let end = if rest.contains(&b'#') {
                rest.iter().position(|byte| *byte == b'#')
            } else {
                None
            };
            let (plain, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.to.write_all(plain)?;
            rest = after;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_escaped_command_reads_back_as_it_was(texts in proptest::collection::vec("(#|\\[|\"|\\\\|\n|é|:)*", 0..6), piece in 1..9_usize) {
            let mut bytes = Vec::new();
            let mut to = BufWriter::with_capacity(piece, Escaping::new(&mut bytes));
            serde_json::to_writer(&mut to, &texts).unwrap();
            to.flush().unwrap();
            drop(to);
            let json = String::from_utf8(bytes).unwrap();
            prop_assert!(!json.contains("##["), "{}", json);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), texts);
        }
    }
}
