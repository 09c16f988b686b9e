//! The report as Markdown, for a pull request's body or a job's summary.
//!
//! Foreign text (names, versions, logs, errors, URLs) stands only in code spans and fences, where it cannot
//! mention, link, close or break out.

use super::clean::is_unseen;
use super::text::{HostNames, body, headline, revision};
use super::{Outcome, Report, Status};

/// Returns the report as Markdown.
pub fn to_markdown(report: &Report) -> String {
    let mut out = format!("## {}\n", headline(report));
    for warning in &report.warnings {
        out.push_str("\nWarning: ");
        out.push_str(&code(warning));
        out.push('\n');
    }
    if !report.inputs.is_empty() {
        out.push_str("\n### Inputs\n\n| input | before | after |\n| --- | --- | --- |\n");
        for input in &report.inputs {
            let row = [
                cell(&input.name),
                cell(&revision(input.before.as_ref())),
                cell(&revision(input.after.as_ref())),
            ];
            out.push_str("| ");
            out.push_str(&row.join(" | "));
            out.push_str(" |\n");
        }
    }
    if !report.excluded.is_empty() {
        let excluded: Vec<String> = report
            .excluded
            .iter()
            .map(|host| {
                format!(
                    "{} by {}",
                    code(&format!("{}:{}", host.kind, host.name)),
                    code(&host.pattern)
                )
            })
            .collect();
        out.push_str("\nLeft out: ");
        out.push_str(&excluded.join(", "));
        out.push('\n');
    }
    if report.outcome == Outcome::LockUnchanged {
        return out;
    }
    let names = HostNames::of(report);
    for status in Status::ALL {
        if status == Status::Unchanged {
            continue;
        }
        for host in report.with_status(status) {
            let mut text = String::new();
            body(&mut text, host);
            let text = anstream::adapter::strip_str(&text).to_string();
            out.push_str("\n### ");
            out.push_str(&code(&names.of_host(host)));
            out.push(' ');
            out.push_str(status.as_str());
            out.push_str("\n\n");
            out.push_str(&fence(&text));
        }
    }
    let unchanged: Vec<String> = report
        .with_status(Status::Unchanged)
        .map(|host| code(&names.of_host(host)))
        .collect();
    if !unchanged.is_empty() {
        out.push_str("\n### Unchanged\n\n");
        out.push_str(&unchanged.join(", "));
        out.push('\n');
    }
    out
}

/// Returns `text` as a code span, in one line, whatever is in it.
fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if is_unseen(c) { ' ' } else { c })
        .collect();
    let ticks = "`".repeat(longest_run(&text) + 1);
    // A span that begins or ends with a backtick needs a space there; one of spaces only keeps them.
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() {
        " "
    } else {
        ""
    };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// Returns `text` as a code span within a table, where `|` ends a cell even in code.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Returns `text` as a fenced block, with a fence longer than any run of backticks in it.
fn fence(text: &str) -> String {
    let ticks = "`".repeat(longest_run(text).max(2) + 1);
    format!("{ticks}text\n{}\n{ticks}\n", text.trim_end_matches('\n'))
}

fn longest_run(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser};

    use super::*;

    #[test]
    fn code_holds_whatever_is_in_it() {
        let table = ["plain", "a`b", "``", "`", "", "two\nlines", "a|b"]
            .map(|text| format!("{} {}", code(text), cell(text)));
        insta::assert_snapshot!(table.join("\n"), @r"
        `plain` `plain`
        ``a`b`` ``a`b``
        ``` `` ``` ``` `` ```
        `` ` `` `` ` ``
        `  ` `  `
        `two lines` `two lines`
        `a|b` `a\|b`
        ");
    }

    fn texts_outside_code(markdown: &str) -> String {
        let mut fenced = false;
        let mut out = String::new();
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Start(pulldown_cmark::Tag::CodeBlock(_)) => fenced = true,
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => fenced = false,
                Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) if !fenced => {
                    out.push_str(&text);
                }
                _ => {}
            }
        }
        out
    }

    proptest! {
        #[test]
        fn foreign_text_never_leaves_its_code(text in "[^\\n\\r]*(@|`|#|~|<|\\||\\\\)*[^\\n\\r]*") {
            let marked = format!("zzforeignzz{text}zzforeignzz");
            let span = texts_outside_code(&format!("a {} b", code(&marked)));
            prop_assert_eq!(span, "a  b");
            let block = texts_outside_code(&format!("a\n\n{}\nb\n", fence(&format!("{marked}\n> ```\n~~~~"))));
            prop_assert_eq!(block, "ab");
        }
    }
}
