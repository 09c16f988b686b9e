//! `report.json`.

use super::Report;

/// Returns the report as JSON, indented, with a newline at its end.
///
/// `##[` is what old runners read as a command anywhere in a line; it stands escaped, which JSON reads alike.
pub fn to_json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text.replace("##[", "#\\u0023[")
}
