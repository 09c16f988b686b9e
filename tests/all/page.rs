//! A Markdown text as a forge reads it: what of it is text, code, HTML and links, and what is broken in it.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What a text is made of.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Each block of our own words, code spans as [`SPAN`]: a paragraph, a heading, a cell of a table.
    pub(crate) texts: Vec<String>,
    /// What stands in code spans and fences, and in `<code>`.
    pub(crate) code: Vec<String>,
    /// What of it stands in `<code>`: in summaries of folds.
    pub(crate) summaries: Vec<String>,
    /// The HTML, its `<code>` as [`SPAN`], a line each.
    pub(crate) html: Vec<String>,
    /// Where links and pictures lead.
    pub(crate) links: Vec<String>,
    pub(crate) pictures: Vec<String>,
    /// What is broken: an open fence or fold, a row with too many cells, a tag that is none of ours.
    pub(crate) flaws: Vec<String>,
}

/// Stands for a code span.
pub(crate) const SPAN: char = '▮';

/// Reads a text with everything on that any forge reads.
pub(crate) fn read(markdown: &str) -> Page {
    let mut page = Page::default();
    let mut text = String::new();
    let mut html = String::new();
    let mut block: Option<String> = None;
    let mut tables = 0;
    for event in Parser::new_ext(markdown, Options::all() - meta()) {
        if !matches!(event, Event::Html(_)) && !html.is_empty() {
            page.take_html(&std::mem::take(&mut html));
        }
        match event {
            Event::Start(Tag::CodeBlock(_)) => block = Some(String::new()),
            Event::End(TagEnd::CodeBlock) => page.code.extend(block.take()),
            Event::Text(piece) => match &mut block {
                Some(code) => code.push_str(&piece),
                None => text.push_str(&piece),
            },
            Event::InlineHtml(tag) if matches!(&*tag, "<code>" | "<pre>") && block.is_none() => {
                block = Some(String::new());
            }
            Event::InlineHtml(tag) if matches!(&*tag, "</code>" | "</pre>") && block.is_some() => {
                page.code.extend(block.take());
                text.push(SPAN);
            }
            Event::InlineHtml(piece) => html.push_str(&piece),
            Event::Html(piece) => html.push_str(&piece),
            other if block.is_some() => page.flaws.push(format!("within code: {other:?}")),
            Event::Code(code) => {
                page.code.push(code.into_string());
                text.push(SPAN);
            }
            Event::Start(Tag::Link { dest_url, .. }) => page.links.push(dest_url.into_string()),
            Event::Start(Tag::Image { dest_url, .. }) => page.pictures.push(dest_url.into_string()),
            Event::SoftBreak | Event::HardBreak => text.push('\n'),
            Event::FootnoteReference(name) => page.flaws.push(format!("a footnote: {name}")),
            Event::InlineMath(math) | Event::DisplayMath(math) => {
                page.flaws.push(format!("a formula: {math}"));
            }
            Event::TaskListMarker(_) => page.flaws.push("a task".to_owned()),
            Event::Start(Tag::Table(_)) => tables += 1,
            Event::End(
                TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableCell,
            ) => {
                let text = std::mem::take(&mut text);
                page.texts.extend((!text.trim().is_empty()).then_some(text));
            }
            _ => {}
        }
    }
    page.take_html(&html);
    page.texts.extend((!text.is_empty()).then_some(text));
    page.folds();
    page.lines(markdown, tables);
    page
}

/// Blocks of metadata, and what no forge knows: they would take lines of `---` and quotes for something else.
fn meta() -> Options {
    Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_SMART_PUNCTUATION
}

impl Page {
    /// Takes code out of HTML. It is one only where it holds nothing that Markdown or HTML could read.
    fn take_html(&mut self, html: &str) {
        let mut rest = html;
        let mut out = String::new();
        while let Some((before, after)) = rest.split_once("<code>") {
            out.push_str(before);
            out.push(SPAN);
            let Some((code, after)) = after.split_once("</code>") else {
                self.flaws.push(format!("open code in HTML: {html}"));
                rest = "";
                break;
            };
            match decoded(code) {
                Some(code) => {
                    self.summaries.push(code.clone());
                    self.code.push(code);
                }
                None => self
                    .flaws
                    .push(format!("code in HTML that is not spelled out: {code}")),
            }
            rest = after;
        }
        out.push_str(rest);
        self.html.extend(out.lines().map(str::to_owned));
    }

    /// Looks whether every fold has a summary, and is closed.
    fn folds(&mut self) {
        let mut open: Vec<&str> = Vec::new();
        let mut flaws = Vec::new();
        for line in &self.html {
            let mut rest = line.as_str();
            while let Some((_, tag)) = rest.split_once('<') {
                let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
                match (tag, open.last()) {
                    ("details", _) if after.starts_with("<summary>") => open.push("details"),
                    ("summary", Some(&"details")) => open.push("summary"),
                    ("/summary", Some(&"summary")) => {
                        open.pop();
                    }
                    ("/details", Some(&"details")) => {
                        open.pop();
                    }
                    (tag, _) if tag.starts_with("!--") && tag.ends_with("--") => {}
                    _ => flaws.push(format!("a tag out of place: <{tag}> in {line}")),
                }
                rest = after;
            }
        }
        if !open.is_empty() {
            flaws.push(format!("not closed: {open:?}"));
        }
        self.flaws.append(&mut flaws);
    }

    /// Looks at fences and tables line by line, for a parser mends them silently.
    fn lines(&mut self, markdown: &str, tables: usize) {
        let mut fence: Option<usize> = None;
        let mut cells: Option<usize> = None;
        let mut begun = 0;
        for line in markdown.lines() {
            let ticks = line.trim_start().chars().take_while(|c| *c == '`').count();
            match fence {
                Some(open) => {
                    if ticks >= open && line.trim().len() == ticks {
                        fence = None;
                    }
                    continue;
                }
                None if ticks >= 3 && line.trim_start().rfind('`') == Some(ticks - 1) => {
                    fence = Some(ticks);
                }
                None => {}
            }
            if !line.starts_with('|') {
                cells = None;
                continue;
            }
            let count = line.replace("\\|", "").matches('|').count();
            if cells.is_none() {
                begun += 1;
            }
            if *cells.get_or_insert(count) != count || !line.ends_with('|') {
                self.flaws.push(format!("a row of {count} marks: {line}"));
            }
        }
        if fence.is_some() {
            self.flaws.push("a fence is not closed".to_owned());
        }
        if begun != tables {
            self.flaws
                .push(format!("{begun} tables begin, and {tables} are read"));
        }
    }

    /// Returns all but code in one text, for what must not be in it.
    pub(crate) fn outside_code(&self) -> String {
        let mut out = String::new();
        for part in [&self.texts, &self.html, &self.pictures] {
            for text in part {
                out.extend([text, "\n"]);
            }
        }
        out
    }
}

/// Returns what entities stand for; none where a character stands there that should have been one.
fn decoded(code: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        if let Some(entity) = rest.strip_prefix("&#") {
            let (number, after) = entity.split_once(';')?;
            out.push(char::from_u32(number.parse().ok()?)?);
            rest = after;
        } else if c.is_ascii_alphanumeric() || c == ' ' || !c.is_ascii() {
            out.push(c);
            rest = rest.get(c.len_utf8()..)?;
        } else {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_seen() {
        let table = [
            (
                "## fine `a`\n\n<details><summary><code>a&#45;b</code> c</summary>\n\n```text\n| |\n```\n\n</details>\n",
                0,
            ),
            ("| a | b |\n| --- | --- |\n| `c\\|` | d |\n", 0),
            ("```text\nopen\n", 1),
            ("````text\nopen\n```\n", 1),
            ("<details><summary>a</summary>\n\nb\n", 1),
            ("<details>\n\nb\n\n</details>\n", 2),
            ("a <b>c</b>\n", 2),
            (
                "<details><summary><code>a-b</code></summary>\n\n</details>\n",
                1,
            ),
            ("| a | b |\n| --- | --- |\n| c |\n", 1),
            ("| a | b |\n| --- | --- |\n| c | d\n", 1),
            ("| a | b |\n| c | d |\n", 1),
            ("</details>\n", 1),
            ("a <code>b &#35;</code> <pre>c&#10;d</pre>\n", 0),
            ("a <code>b *c*</code>\n", 2),
        ];
        for (text, flaws) in table {
            assert_eq!(
                read(text).flaws.len(),
                flaws,
                "{text}{:?}",
                read(text).flaws
            );
        }
        let page = read("a `b` [c](https://d) <e@f> ![g](h)\n");
        insta::assert_debug_snapshot!((page.texts, page.code, page.links, page.pictures), @r#"
        (
            [
                "a ▮ c e@f g",
            ],
            [
                "b",
            ],
            [
                "https://d",
                "e@f",
            ],
            [
                "h",
            ],
        )
        "#);
    }
}
