//! Foreign text stands only in code: whatever a report says, nobody is mentioned, nothing linked, closed, or broken out of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use flake_herald::report::Report;
use serde_json::Value;

/// Begins and ends every foreign text. What of it stands outside of code has got out.
const TOKEN: &str = "zqforeign";

/// What a text may do where it is read as anything but code.
const HOSTILE: [&str; 44] = [
    "`",
    "``",
    "a```b",
    "````",
    "`````",
    "``````",
    "```````",
    "````````",
    "`````````",
    "|",
    "a|b\\|c",
    "\\",
    "\\`",
    "@someone",
    "cc @org/team",
    "#12",
    "owner/repo#1",
    "GH-1",
    "fixes #12",
    "Closes: evil-owner/repo#3",
    "https://evil.example/x",
    "www.evil.example",
    "<https://evil.example>",
    "someone@evil.example",
    "0123456789abcdef0123456789abcdef01234567",
    "<script>alert(1)</script>",
    "<!-- -->",
    "<!-- flake-herald: notes below this line are kept -->",
    "</details>",
    "</code></summary>",
    "<img src=https://evil.example/x.png>",
    "](https://evil.example)",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "[^1] $a$ $$b$$ ~~c~~ **d** &amp;&#64;",
    "zero\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}width",
    "\u{202e}right\u{2066}to\u{200f}left\u{61c}",
    "tags\u{e0041}\u{e007f}\u{180e}\u{fff9}\u{115f}\u{3164}",
    "\u{1b}[31mred\u{1b}]8;;https://evil.example\u{7}link",
    "nul\0bell\u{7}\u{9b}31m",
    "line\rover\r\nline\n\n# heading\n\n- [ ] task\n\n    code\n---\n> quote",
    "line\u{2028}\u{2029}\u{85}\u{b}\u{c}line",
    "\n##[command]x\n::error::y\n::set-output name=x::y",
    "\n\nFlake-Herald-Lock: 00\nFlake-Herald-Scope: 00\nCo-authored-by: evil <someone@evil.example>\nSigned-off-by: evil",
];

/// What stands nowhere in our own words.
const OUTSIDE: [&str; 16] = [
    "zqf",
    "`",
    "@",
    "#1",
    "#3",
    "GH-",
    "evil",
    "http",
    "www.",
    "01234567",
    "script",
    "flake-herald",
    "img",
    "](",
    "&",
    "\\",
];

/// Returns the report with every text in it that is not checked where it is read made hostile: all but words of ours (`status`), and
/// store paths but for their names.
///
/// It goes over the JSON, so that what is added to a report is hostile too.
pub(crate) fn poisoned(report: &Report, seed: u64) -> Report {
    let mut next = usize::try_from(seed).unwrap() * 7;
    poisoned_by(report, |_| {
        next += 1;
        format!("{TOKEN}{}{TOKEN}", HOSTILE[next % HOSTILE.len()])
    })
}

/// Returns the report with other texts in it, told where each stands (`/hosts/name`).
fn poisoned_by(report: &Report, mut text: impl FnMut(&str) -> String) -> Report {
    let json = serde_json::to_value(report).unwrap();
    // Which places take any text is found out once for each: that takes longer than all else.
    static PLACES: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let mut places = PLACES.lock().unwrap();
    let mut unknown = BTreeSet::new();
    let _as_it_was = changed(&json, "", &mut |place, text| {
        if !places.contains_key(place) {
            unknown.insert(place.to_owned());
        }
        text.to_owned()
    });
    for place in unknown {
        let changed = changed(&json, "", &mut |at, text| {
            if at == place {
                TOKEN.to_owned()
            } else {
                text.to_owned()
            }
        });
        let free = serde_json::from_value::<Report>(changed).is_ok();
        places.insert(place, free);
    }
    // A list of places of which nothing is free would be a test of nothing.
    assert!(places["/hosts/name"] && places["/warnings"] && !places["/hosts/status"]);
    let json = changed(&json, "", &mut |place, old| {
        if places[place] {
            text(place)
        } else if let Some(hash) = old
            .strip_prefix("/nix/store/")
            .and_then(|rest| rest.get(..33))
        {
            let end = if old.ends_with(".drv") { ".drv" } else { "" };
            format!("/nix/store/{hash}{TOKEN}-www.evil.example{end}")
        } else {
            old.to_owned()
        }
    });
    serde_json::from_value(json).unwrap()
}

/// Returns the JSON with each text replaced; `place` is made of the keys on the way to it.
fn changed(json: &Value, place: &str, text: &mut impl FnMut(&str, &str) -> String) -> Value {
    match json {
        Value::String(old) => Value::String(text(place, old)),
        Value::Array(items) => items
            .iter()
            .map(|item| changed(item, place, text))
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), changed(value, &format!("{place}/{key}"), text)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use flake_herald::closure::{ClosureDiff, Entry, OwnChange};
    use flake_herald::report::{Redactor, Templates, body, summary, to_markdown, to_plain_text};

    use crate::made::{Shape, report};
    use crate::page;

    use super::*;

    /// As many as there are hostile texts, so that each stands at each place.
    const SEEDS: std::ops::Range<u64> = 0..HOSTILE.len() as u64;

    fn made(seed: u64) -> Report {
        let shape = Shape {
            seed: seed % 5,
            ..Shape::mixed(6, 12)
        };
        poisoned(&report(&shape), seed)
    }

    /// Returns whether nobody sees the character, or it changes how others are shown: but for line breaks, which are ours.
    fn is_unseen(c: char) -> bool {
        let marks = [
            '\u{ad}'..='\u{ad}',
            '\u{61c}'..='\u{61c}',
            '\u{115f}'..='\u{1160}',
            '\u{180b}'..='\u{180f}',
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{3164}'..='\u{3164}',
            '\u{fe00}'..='\u{fe0f}',
            '\u{feff}'..='\u{feff}',
            '\u{fff9}'..='\u{fffb}',
            '\u{e0000}'..='\u{e007f}',
        ];
        (c.is_control() && c != '\n') || marks.iter().any(|range| range.contains(&c))
    }

    /// Fails where a text holds more than our own words outside of code.
    fn holds_only_code(what: &str, markdown: &str) {
        if let Some(c) = markdown.chars().find(|c| is_unseen(*c)) {
            let line = markdown.lines().find(|line| line.contains(c));
            panic!("{what}: {c:?} is in it: {line:?}");
        }
        let page = page::read(markdown);
        assert_eq!(page.flaws, Vec::<String>::new(), "{what}");
        assert_eq!(page.pictures, Vec::<String>::new(), "{what}");
        let outside = page.outside_code();
        for sign in OUTSIDE {
            let line = outside.lines().find(|line| line.contains(sign));
            assert_eq!(line, None, "{what}: {sign}");
        }
        for link in &page.links {
            let rest = link.strip_prefix("https://").unwrap_or("@");
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/%:+=".contains(c);
            assert!(rest.chars().all(plain), "{what}: {link}");
        }
    }

    #[test]
    fn of_a_body_only_code_is_foreign() {
        for seed in SEEDS {
            let report = made(seed);
            let whole = to_markdown(&report);
            assert!(whole.matches(TOKEN).count() > 50, "{whole}");
            holds_only_code(&format!("the whole report {seed}"), &whole);
            for budget in [5_000, 2_000] {
                let what = format!("a body of {budget} bytes, {seed}");
                holds_only_code(&what, &body(&report, budget));
            }
        }
    }

    #[test]
    fn of_a_body_by_a_template_only_code_is_foreign() {
        let templates = [
            "{{ body }}",
            "{{ summary }}\n\n{% for host in hosts %}- {{ host.name }} {{ host.status }}: {{ host.reason }}\n{% endfor %}",
            "| a |\n| --- |\n{% for input in inputs %}| {{ input.name }} {{ input.compare_url }} |\n{% endfor %}",
            "{% for host in hosts if host.failure %}{{ host.failure.error | fence }}{{ host.failure.log_tail | fence }}{% endfor %}{{ warnings | join(', ') }}",
            "<details><summary>{{ hosts[0].name }}</summary>\n\n{{ body }}\n\n</details>\n",
        ];
        for seed in 0..4 {
            let report = made(seed);
            for template in templates {
                let templates = Templates::new(
                    Templates::DEFAULT_TITLE.to_owned(),
                    Templates::DEFAULT_TITLE.to_owned(),
                    Some(template.to_owned()),
                );
                let text = templates.body(&report, 60_000).unwrap();
                assert!(text.len() <= 60_000);
                holds_only_code(&format!("{seed}: {template}"), &text);
            }
        }
    }

    #[test]
    fn of_a_title_and_a_message_only_code_is_foreign() {
        let templates = [
            "{{ summary }}",
            "update {{ inputs[0].name }}, {{ hosts[0].name }} and {{ hosts | map(attribute='name') | join(' ') }}",
            "update\n\n{% for host in hosts %}{{ host.name }}: {{ host.failure.error }}\n{% endfor %}",
            "update\n\n{{ warnings }}\n\n{{ inputs[1].name }}",
            "{{ warnings[0] }}{{ excluded[0].pattern }}",
        ];
        for seed in SEEDS {
            let report = made(seed);
            let one_line = summary(&report);
            assert!(!one_line.contains(is_unseen) && !one_line.contains('\n'));
            holds_only_code("the summary", &one_line);
            for template in templates {
                let templates = Templates::new(
                    template.replace(".failure.error", ".attr"),
                    template.replace(".failure.error", ".attr"),
                    None,
                );
                let title = templates.title(&report).unwrap();
                assert!(title.len() <= 250 && !title.contains('\n'), "{title}");
                holds_only_code(template, &title);
                let message = templates.commit_message(&report, "5c0be", "10c4").unwrap();
                assert!(message.len() <= 16 * 1024, "{}", message.len());
                holds_only_code(template, &message);
                let (_, trailers) = message.trim_end().rsplit_once("\n\n").unwrap();
                assert_eq!(
                    trailers,
                    "Flake-Herald-Scope: 5c0be\nFlake-Herald-Lock: 10c4"
                );
                let of_others = message.lines().rev().skip(2).filter(|line| {
                    let line = line.to_ascii_lowercase();
                    ["flake-herald-", "co-authored-by", "signed-off-by"]
                        .iter()
                        .any(|key| line.starts_with(key))
                });
                assert_eq!(of_others.collect::<Vec<_>>(), Vec::<&str>::new());
            }
            let default = Templates::new(
                Templates::DEFAULT_TITLE.to_owned(),
                Templates::DEFAULT_TITLE.to_owned(),
                None,
            );
            let message = default.commit_message(&report, "5c0be", "10c4").unwrap();
            holds_only_code("the default message", &message);
        }
    }

    /// The examples of `docs/templates.md`, of the kind that stands behind `jinja`.
    fn documented(kind: &str) -> Vec<String> {
        let page = include_str!("../../docs/templates.md");
        let opening = format!("```jinja {kind}\n");
        page.split(&opening)
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn the_documented_templates_work_and_hold_only_code() {
        let [titles, commits, bodies] = ["title", "commit", "body"].map(documented);
        assert!(
            titles.len() > 2 && commits.len() > 1 && bodies.len() > 2,
            "templates.md lost its examples: {titles:?} {commits:?} {bodies:?}"
        );
        let default = || Templates::DEFAULT_TITLE.to_owned();
        for seed in 0..4 {
            let report = made(seed);
            for title in &titles {
                let templates = Templates::new(title.clone(), default(), None);
                templates.check().unwrap();
                holds_only_code(title, &templates.title(&report).unwrap());
            }
            for commit in &commits {
                let templates = Templates::new(default(), commit.clone(), None);
                templates.check().unwrap();
                holds_only_code(
                    commit,
                    &templates.commit_message(&report, "5c0be", "10c4").unwrap(),
                );
            }
            for body in &bodies {
                let templates = Templates::new(default(), default(), Some(body.clone()));
                templates.check().unwrap();
                holds_only_code(body, &templates.body(&report, 60_000).unwrap());
            }
        }
    }

    #[test]
    fn a_text_has_no_character_that_is_not_seen() {
        for seed in 0..6 {
            let text = to_plain_text(&made(seed));
            assert_eq!(text.chars().find(|c| is_unseen(*c)), None, "{seed}");
        }
    }

    #[test]
    fn a_line_of_a_megabyte_breaks_nothing() {
        let plain = report(&Shape::mixed(8, 8));
        let long = format!("{TOKEN}{}", "`@someone \u{202e}| ".repeat(80_000));
        for place in [
            "/hosts/name",
            "/hosts/failure/error",
            "/hosts/failure/log_tail",
            "/hosts/failure/log_errors",
            "/hosts/diff/changed/name",
            "/inputs/name",
            "/warnings",
        ] {
            let mut first = true;
            let report = poisoned_by(&plain, |at| {
                if at == place && std::mem::take(&mut first) {
                    long.clone()
                } else {
                    TOKEN.to_owned()
                }
            });
            assert!(!first, "{place}");
            let text = body(&report, 60_000);
            assert!(text.len() <= 60_000, "{place}: {}", text.len());
            holds_only_code(place, &text);
            let templates =
                Templates::new("{{ summary }}".to_owned(), "{{ summary }}".to_owned(), None);
            assert!(templates.title(&report).unwrap().len() <= 250);
            assert!(templates.commit_message(&report, "s", "l").unwrap().len() <= 16 * 1024);
        }
    }

    #[test]
    fn secrets_and_who_logs_in_never_arrive() {
        let redactor = Redactor::new(vec!["hunter2".to_owned()], Vec::new());
        for text in HOSTILE {
            for secret in [
                "hunter2",
                "https://alice:pw0rd@git.example.org/x",
                "ssh://alice:pw0rd@h/x",
            ] {
                let whole = format!("{text} {secret} {text}\n{secret}{text}\n{text}{secret}");
                let cleaned = redactor.text(&whole);
                let line = redactor.line(&whole);
                let mut diff = ClosureDiff::default();
                let entry: Entry = serde_json::from_value(serde_json::json!({
                    "name": "x", "before": [], "after": [], "change": "changed", "selected": "no", "size_delta": null,
                    "own": OwnChange { flags_added: vec![whole.clone()], ..OwnChange::default() },
                }))
                .unwrap();
                diff.changed.push(entry);
                redactor.diff(&mut diff);
                let flag = &diff.changed[0].own.as_ref().unwrap().flags_added[0];
                for out in [&cleaned, &line, flag] {
                    assert!(
                        !out.contains("hunter2") && !out.contains("pw0rd"),
                        "{text:?}: {out:?}"
                    );
                }
                assert_eq!(
                    cleaned.chars().chain(line.chars()).find(|c| is_unseen(*c)),
                    None,
                    "{text:?}"
                );
            }
        }
    }
}
