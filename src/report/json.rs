//! `report.json`.

use super::Report;

/// Returns the report as JSON in one line. It holds no control characters, for JSON escapes them.
///
/// `##[` is what old runners read as a command anywhere in a line; it stands escaped, which JSON reads alike.
pub fn to_json(report: &Report) -> String {
    let mut text = serde_json::to_string(report).unwrap_or_default();
    text.push('\n');
    if text.contains("##[") {
        text = text.replace("##[", "#\\u0023[");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_escaped_command_reads_back_as_it_was() {
        let text: String = serde_json::from_str("\"#\\u0023[group]\"").unwrap();
        assert_eq!(text, "##[group]");
    }
}
