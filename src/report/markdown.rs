//! The report as Markdown, for a pull request's body or a job's summary.
//!
//! Foreign text (names, versions, logs, errors, URLs) stands only in code spans and fences, where it cannot
//! mention, link, close or break out.

use super::Report;
use super::budget::body;
use super::clean::is_unseen;

/// Returns the report as Markdown.
pub fn to_markdown(report: &Report) -> String {
    body(report, usize::MAX)
}

/// Returns `text` as a code span, in one line, whatever is in it.
pub(super) fn code(text: &str) -> String {
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

/// Returns `text` as code that is code in Markdown, tables and HTML alike, and has no mark of any of them.
pub(super) fn entities(text: &str) -> String {
    format!("<code>{}</code>", entities_of(text, false))
}

pub(super) fn entities_of(text: &str, breaks: bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' if breaks => out.push_str("&#10;"),
            c if is_unseen(c) => out.push(' '),
            c if c.is_ascii_alphanumeric() || c == ' ' || !c.is_ascii() => out.push(c),
            c => out.extend(["&#", &u32::from(c).to_string(), ";"]),
        }
    }
    out
}

/// Returns `text` as a code span within a table, where `|` ends a cell even in code.
pub(super) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Returns `text` as a fenced block, with a fence longer than any run of backticks in it. Its lines stay; what else is not seen is a
/// space, as in a code span.
pub(super) fn fence(text: &str) -> String {
    let text: String = text
        .trim_end_matches('\n')
        .chars()
        .map(|c| if c != '\n' && is_unseen(c) { ' ' } else { c })
        .collect();
    let ticks = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{ticks}text\n{text}\n{ticks}\n")
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
        fn foreign_text_never_leaves_its_code(text in "[^\\n\\r]*(@|`|#|~|<|\\||\\\\|\u{2028}|\u{202e}|\u{200b}|\u{1b})*[^\\n\\r]*") {
            let marked = format!("zzforeignzz{text}zzforeignzz");
            let span = texts_outside_code(&format!("a {} b", code(&marked)));
            prop_assert_eq!(span, "a  b");
            let block = texts_outside_code(&format!("a\n\n{}\nb\n", fence(&format!("{marked}\n> ```\n~~~~"))));
            prop_assert_eq!(block, "ab");
            prop_assert!(!code(&text).contains(is_unseen));
            prop_assert!(!fence(&text).chars().any(|c| c != '\n' && is_unseen(c)));
        }
    }
}
