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
    let mut to = Escaping(BufWriter::with_capacity(1 << 16, to));
    serde_json::to_writer(&mut to, value)?;
    to.0.write_all(b"\n")?;
    to.flush()
}

/// Returns the report as [`write_json`] writes it.
pub fn to_json(report: &Report) -> String {
    let mut bytes = Vec::new();
    let written = write_json(report, &mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8(bytes).unwrap_or_default()
}

const COMMAND: &[u8] = b"##[";

/// Escapes [`COMMAND`]. What is written to it comes in pieces, and none ends within: JSON's own signs stand between strings,
/// and of a string what needs no escape comes in one piece.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        let found = |rest: &[u8]| rest.windows(COMMAND.len()).position(|part| part == COMMAND);
        // Most pieces have no such sign, and looking for one byte is quick.
        while let Some(at) = rest.contains(&b'#').then(|| found(rest)).flatten() {
            let (before, after) = rest.split_at(at);
            self.0.write_all(before)?;
            self.0.write_all(b"#\\u0023[")?;
            rest = after.get(COMMAND.len()..).unwrap_or_default();
        }
        self.0.write_all(rest)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_escaped_command_reads_back_as_it_was(texts in proptest::collection::vec("(#|\\[|\"|\\\\|\n|é|:)*", 0..6)) {
            let mut bytes = Vec::new();
            serde_json::to_writer(Escaping(&mut bytes), &texts).unwrap();
            let json = String::from_utf8(bytes).unwrap();
            prop_assert!(!json.contains("##["), "{}", json);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), texts);
        }
    }
}
