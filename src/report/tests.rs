//! Texts of a pull request, with names and logs as bad as they come.

use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use super::{Report, Templates, body, summary};

pub(super) fn report(hosts: usize, inputs: usize, foreign: &str, log: usize) -> Report {
    let path = |name: &str| format!("/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-{name}");
    let version =
        |version: &str| json!([{"version": version, "outputs": ["out"], "paths": [path("x")]}]);
    let change = |name: &str, from: &str| {
        json!({
            "name": name, "before": version(from), "after": version("2"), "change": "upgraded", "selected": "no", "size_delta": 1,
        })
    };
    let diff = |i: usize| {
        json!({
            "changed": [change(&format!("{foreign}all"), foreign), change(&format!("{foreign}half"), &(i / 4 % 2).to_string()),
                change(&format!("{foreign}{i}"), "1")],
            "added": [], "removed": [], "selection": [], "rebuilt": [], "configuration": [],
            "paths_added": 1, "paths_removed": 1, "size_delta": 1,
        })
    };
    let host = |i: usize| {
        let status = ["broken", "changed", "unchanged", "skipped"][i % 4];
        json!({
            "name": format!("{foreign}{i}"), "kind": "nixos", "attr": "a", "system": "x86_64-linux", "status": status,
            "reason": (status == "skipped").then_some(foreign),
            "before": {"drv_path": path("a.drv"), "out_path": path("a"), "paths": 1, "nar_size": 1},
            "after": {"drv_path": path("b.drv"), "out_path": path("b"), "paths": 1, "nar_size": 1},
            "diff": (status == "changed").then(|| diff(i)), "impact": null,
            "failure": (status == "broken").then(|| json!({
                "stage": "build", "side": "after", "error": format!("{foreign}{}", i / 8), "derivation": path("c.drv"),
                "log_tail": vec![foreign; log], "log_path": null,
            })),
        })
    };
    let input = |i: usize| {
        json!({
            "name": format!("{foreign}in{i}"), "type": "git", "original": foreign,
            "before": {"rev": "1234567890", "date": "2026-01-01", "url": foreign, "follows": null},
            "after": {"rev": null, "date": null, "url": foreign, "follows": null},
            "compare_url": null, "transitive": false,
        })
    };
    let value: Value = json!({
        "schema": 1, "tool": {"name": "t", "version": "1"}, "nix": {"version": "2", "store_dir": "/nix/store"},
        "flake": {"dir": ".", "rev": null},
        "scope": {"id": "", "dir": ".", "kinds": [], "attrs": [], "hosts": [], "exclude_hosts": [], "inputs": [], "exclude_inputs": []},
        "lock": {"before_hash": "a", "after_hash": "b", "origin": "staged", "completed": false},
        "outcome": "changed", "excluded": [{"kind": "nixos", "name": foreign, "pattern": "*"}],
        "inputs": (0..inputs).map(input).collect::<Vec<_>>(), "hosts": (0..hosts).map(host).collect::<Vec<_>>(),
        "fleet": {"hosts": 0, "changed": 0, "unchanged": 0, "broken": 0, "already_broken": 0, "mended": 0, "skipped": 0,
            "unknown": 0, "size_delta": 0},
        "warnings": [foreign], "digest": "", "timing": {"started": "", "total_ms": 0, "steps": []}, "pull_request": null,
    });
    let mut report: Report = serde_json::from_value(value).unwrap();
    report.fleet = super::Fleet::of(&report.hosts);
    report
}

/// What a forge would read as text: all but code, in Markdown and in HTML.
pub(super) fn outside_code(markdown: &str) -> String {
    let (mut block, mut html) = (false, false);
    let mut out = String::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => block = true,
            Event::End(TagEnd::CodeBlock) => block = false,
            Event::InlineHtml(text) if &*text == "<code>" => html = true,
            Event::InlineHtml(text) if &*text == "</code>" => html = false,
            Event::Html(text) => {
                // `<code>` and `<pre>` hold no mark of their own: up to the next `<` it is theirs.
                let text = text.replace("<code>", "\u{1}").replace("<pre>", "\u{1}");
                for part in text.split('<') {
                    out.push_str(part.split('\u{1}').next().unwrap());
                }
            }
            Event::Text(text) | Event::InlineHtml(text) if !block && !html => out.push_str(&text),
            _ => {}
        }
    }
    out
}

fn templates(title: &str, commit: &str, body: Option<&str>) -> Templates {
    Templates::new(title.to_owned(), commit.to_owned(), body.map(str::to_owned))
}

#[test]
fn a_plain_template_gives_plain_texts() {
    let report = report(3, 2, "n", 1);
    let plain = templates(Templates::DEFAULT_TITLE, Templates::DEFAULT_TITLE, None);
    plain.check().unwrap();
    assert_eq!(plain.title(&report).unwrap(), "chore: update flake inputs");
    assert_eq!(
        plain.commit_message(&report, "id", "hash").unwrap(),
        "chore: update flake inputs\n\n    `nin0` `1234567 2026-01-01` → `n`\n    `nin1` `1234567 2026-01-01` → `n`\n\n\
         Flake-Herald-Scope: id\nFlake-Herald-Lock: hash\n"
    );
    assert_eq!(
        plain.body(&report, 60_000).unwrap(),
        super::to_markdown(&report)
    );
    assert_eq!(
        summary(&report),
        "3 hosts: 1 broken by the update, 1 changed, 1 unchanged; `nin0` `1234567` → `n` and 1 more"
    );
}

#[test]
fn a_rehearsal_finds_what_only_a_report_tells() {
    let report = report(3, 2, "n", 1);
    let good = "{{ fleet.changed }} of {{ fleet.hosts }}";
    let typo = "{{ fleet.chnged }}";
    let title = templates(good, good, Some(good)).rehearse(&report, 60_000);
    assert_eq!(title.unwrap(), "1 of 3");
    for (which, title, commit, body) in [
        ("title", typo, good, None),
        ("commit message", good, typo, None),
        ("body", good, good, Some(typo)),
    ] {
        let texts = templates(title, commit, body);
        texts.check().unwrap();
        let error = texts.rehearse(&report, 60_000).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the template of the {which}")),
            "{error}"
        );
    }
}

#[test]
fn trailers_join_the_users_own() {
    let report = report(1, 1, "n", 1);
    let message = templates(
        "t",
        "s\n\ntext\n\nSigned-off-by: A\nFlake-Herald-Lock: no",
        None,
    )
    .commit_message(&report, "id", "hash")
    .unwrap();
    assert_eq!(
        message,
        "s\n\ntext\n\nSigned-off-by: A\nFlake-Herald-Scope: id\nFlake-Herald-Lock: hash\n"
    );
}

#[test]
fn a_templates_fault_is_told() {
    let report = report(1, 1, "n", 1);
    let told = |source: &str| {
        let error = templates(source, "c", None).title(&report).unwrap_err();
        format!("{error} | {}", error.hint().is_some())
    };
    let table = [
        "{{ nothing }}",
        "{{ inputs[0].name | safe }}",
        "{% if %}",
        "  ",
        "` {{ outcome }}",
    ]
    .map(told);
    let start = [
        "undefined value",
        "unknown filter",
        "syntax error",
        "empty text",
        "backtick",
    ];
    for (line, words) in table.iter().zip(start) {
        assert!(line.contains(words), "{line}");
        assert!(line.starts_with("the template of the title"), "{line}");
    }
    assert!(templates("x", "{% for %}", None).check().is_err());
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert!(told(endless).contains("fuel"), "{}", told(endless));
    for body in [
        "<!-- {{ body }} -->",
        "```\n{{ body }}\n```",
        "<a href={{ outcome }}>",
    ] {
        assert!(
            templates("x", "x", Some(body)).body(&report, 9000).is_err(),
            "{body}"
        );
    }
}

#[test]
fn failures_and_inputs_stay_longest() {
    let report = report(400, 3, "n", 3);
    let whole = body(&report, usize::MAX);
    assert_eq!(whole, super::to_markdown(&report));
    assert!(
        whole.contains("\n<details><summary><code>n1</code>: 1 changed</summary>\n\n```text\n")
    );
    for (budget, words) in [
        (whole.len() - 1, ": see `report.md`"),
        (20_000, " more hosts: see"),
        (9_000, " more hosts of this kind: see"),
        (20_000, "| `nin2`"),
        (2_000, "`n0`, `n4`: does not build after the update"),
        (2_000, "The report is too long for this place"),
        (700, "`n0`, `n4`: does not build after the update"),
    ] {
        let text = body(&report, budget);
        assert!(
            text.len() <= budget && text.contains(words),
            "{budget} {words}: {text}"
        );
        // What a reviewer must know goes last of all.
        assert!(
            (text.contains("| `nin0`") || budget < 2_000) && text.contains("report.md"),
            "{text}"
        );
    }
}

#[test]
fn what_fails_the_same_way_is_told_once() {
    let mut report = report(80, 0, "n", 1);
    report.warnings.clear();
    report.excluded.clear();
    // All of one kind fail alike, but for one whose log says something else, and one that failed before.
    for host in &mut report.hosts {
        host.diff = None;
        if let Some(failure) = &mut host.failure {
            failure.error = "builder failed".to_owned();
            if host.name == "n8" {
                failure.log_tail = vec!["another log".to_owned()];
            }
            if host.name == "n12" {
                host.status = super::Status::AlreadyBroken;
            }
        }
    }
    report.hosts.retain(|host| {
        host.status != super::Status::Unchanged && host.status != super::Status::Changed
    });
    report.fleet = super::Fleet::of(&report.hosts);
    insta::assert_snapshot!(super::to_plain_text(&report), @"
    40 hosts: 19 broken by the update, 1 broken with and without the update, 20 skipped
    Broken by the update: 19 of 40 hosts: n0, n4, n8 and 16 more
    Broken with and without the update: n12
    Not checked: 20 of 40 hosts: n3, n7, n11 and 17 more
    Reboot, packages and size not known: no host could be compared

    == n0, n4, n16, n20, n24, n28, n32, n36, n40, n44, n48, n52 and 6 more (broken)
    does not build after the update
      /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-c.drv
      builder failed
      the end of its log:
      > n

    == n8 (broken)
    <<< /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-a
    >>> /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-b
    does not build after the update
      /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-c.drv
      builder failed
      the end of its log:
      > another log
    Closure size: 1 paths.

    == n12 (already-broken)
    <<< /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-a
    >>> /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-b
    does not build before or after the update
      /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-c.drv
      builder failed
      its log ends as that of n0
    Closure size: 1 paths.

    == n3, n7, n11, n15, n19, n23, n27, n31, n35, n39, n43, n47 and 8 more (skipped)
    n
    ");
    insta::assert_snapshot!(super::to_markdown(&report), @"
    ## 40 hosts: 19 broken by the update, 1 broken with and without the update, 20 skipped

    - **Broken by the update:** 19 of 40 hosts: `n0`, `n4`, `n8` and 16 more
    - **Broken with and without the update:** `n12`
    - **Not checked:** 20 of 40 hosts: `n3`, `n7`, `n11` and 17 more
    - **Reboot, packages and size not known:** no host could be compared

    ### Broken by the update

    `n0`, `n4`, `n16`, `n20`, `n24`, `n28`, `n32`, `n36`, `n40`, `n44`, `n48`, `n52` and 6 more: does not build after the update, `c.drv`.

    ```text
    builder failed
    n
    ```

    <details><summary>The end of the log</summary>

    ```text
    /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-c.drv
    ```

    ```text
    n
    ```

    </details>

    `n8`: does not build after the update, `c.drv`.

    ```text
    builder failed
    another log
    ```

    <details><summary>The end of the log</summary>

    ```text
    /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-c.drv
    ```

    ```text
    another log
    ```

    </details>

    ### Broken with and without the update

    `n12`: does not build before or after the update, `c.drv`.

    ```text
    builder failed
    ```

    Its log ends as that of `n0`.

    <details><summary>The derivation</summary>

    ```text
    /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-c.drv
    ```

    </details>

    ### Skipped

    `n3`, `n7`, `n11`, `n15`, `n19`, `n23`, `n27`, `n31`, `n35`, `n39`, `n43`, `n47` and 8 more.

    ```text
    n
    ```

    ### Hosts

    | host | changes | then |
    | --- | --- | --- |
    | `n0`, `n4` and 17 more | broken |  |
    | `n3`, `n7` and 18 more | skipped |  |
    | `n12` | already-broken |  |
    ");
}

#[test]
fn other_hashes_in_store_paths_are_no_other_report() {
    let digest = |change: fn(String) -> String| {
        let value = serde_json::to_string(&report(4, 1, "n", 1)).unwrap();
        let mut report: Report = serde_json::from_str(&change(value)).unwrap();
        report.seal();
        report.digest
    };
    let same = digest(|json| json);
    const HASH: &str = "/00bgd045z0d4icpbc2yyz4gx48ak44la-";
    assert_eq!(
        same,
        digest(|json| json.replace(HASH, "/11bgd045z0d4icpbc2yyz4gx48ak44la-"))
    );
    assert_ne!(
        same,
        digest(|json| json.replace(
            "/00bgd045z0d4icpbc2yyz4gx48ak44la-c.drv",
            "/00bgd045z0d4icpbc2yyz4gx48ak44la-d.drv"
        ))
    );
    assert_ne!(
        same,
        digest(|json| json.replace("\"after_hash\":\"b\"", "\"after_hash\":\"c\""))
    );
}

const LINES: &[&str] = &[
    "{{ inputs[0].name }}",
    "see {{ inputs[0].name }}{{ inputs[0].original }} and {{ summary }}",
    "`{{ inputs[0].name }}` and ` {{ inputs[0].original }} `",
    "{% set x %}<{{ inputs[0].name }}>{% endset %}{{ x }} {{ x | upper }} {{ x ~ inputs[0].name }}",
    "{% macro m(a) %}in {{ a }}{% endmacro %}{{ m(inputs[0].name) }} {{ m(1) | replace('in', inputs[0].name) }}",
    "{% autoescape false %}{{ inputs[0].name }}{{ [inputs[0].name, 1] | join(', ') }}{% endautoescape %}",
    "{{ inputs | map(attribute='name') | join(', ') }} {{ inputs[0] }} {{ [inputs[0].name] }}",
    "{% filter upper %}{{ inputs[0].name }}{% endfilter %}{{ inputs[0].name[1:] }}",
    "\\{{ inputs[0].name }}",
];

const BODIES: &[&str] = &[
    "| a | b |\n| --- | --- |\n| {{ inputs[0].name }} | {{ inputs[0].original }} |\n",
    "<details><summary>{{ inputs[0].name }}</summary>\n\n{{ warnings | fence }}\n\n</details>\n\n{{ summary }}",
    "text\n\n{{ warnings | fence }}\n\n{{ body }}\n",
    "[{{ inputs[0].name }}]({{ inputs[0].original }})",
    "- {{ inputs[0].name }}\n- `x` {{ inputs[0].original }} `\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_text_leaves_its_code_and_no_budget_is_passed(
        middle in "(@|`|``|```|~~~|#|<b>|</code>|-->|\\||\\\\|\\)|\\]\\(|\n|\r|x| |\u{202e}){0,12}",
        hosts in 0_usize..30, inputs in 1_usize..30, log in 0_usize..40, budget in 0_usize..9000,
    ) {
        let foreign = format!("zq{middle}zq");
        let report = report(hosts, inputs, &foreign, log);
        let text = body(&report, budget);
        prop_assert!(text.len() <= budget, "{} > {budget}", text.len());
        prop_assert_eq!(&text, &body(&report, budget));
        prop_assert_eq!(text.matches("\n<details>").count(), text.matches("\n</details>\n").count());
        prop_assert!(!outside_code(&text).contains("zq"), "{text}");
        prop_assert!(!outside_code(&summary(&report)).contains("zq"));
        for line in LINES.iter().chain(BODIES) {
            let templates = templates(line, line, Some(line));
            if let Ok(title) = templates.title(&report) {
                prop_assert!(title.len() <= 250 && !title.contains('\n'));
                if LINES.contains(line) {
                    prop_assert!(!outside_code(&title).to_lowercase().contains("zq"), "{line}: {title}");
                }
            }
            let text = templates.body(&report, budget + 200).unwrap();
            prop_assert!(text.len() <= budget + 200, "{line}");
            prop_assert!(!outside_code(&text).to_lowercase().contains("zq"), "{line}: {text}");
            if let Ok(message) = templates.commit_message(&report, "i", "h") {
                prop_assert!(message.len() <= 16 * 1024);
                prop_assert!(message.ends_with("\nFlake-Herald-Scope: i\nFlake-Herald-Lock: h\n"));
                if LINES.contains(line) {
                    prop_assert!(!outside_code(&message).to_lowercase().contains("zq"), "{line}: {message}");
                }
            }
        }
    }
}

#[test]
fn what_many_hosts_have_in_common_is_said_before_each_is_told_of() {
    let few = super::to_plain_text(&report(40, 1, "n", 1));
    assert!(!few.contains("hosts that change"), "{few}");
    let many = report(44, 1, "n", 1);
    let text = super::to_plain_text(&many);
    let (_, text) = text.split_once("\nOn ").unwrap();
    let (text, _) = text.split_once("\n\n== ").unwrap();
    insta::assert_snapshot!(text, @"
    all 11 hosts that were compared:
    [U.]  nall  n -> 2

    On 6 of the 11 hosts that were compared (n1, n9, n17, n25, n33, n41):
    [U.]  nhalf  0 -> 2

    On 5 of the 11 hosts that were compared (n5, n13, n21, n29, n37):
    [U.]  nhalf  1 -> 2
    ");
    let markdown = super::to_markdown(&many);
    let (_, markdown) = markdown.split_once("### On all 11").unwrap();
    let (markdown, _) = markdown.split_once("### Hosts").unwrap();
    insta::assert_snapshot!(markdown, @"
     hosts compared

    ```text
    [U.] nall n -> 2
    ```

    <details><summary>On 6 of 11 hosts compared: 1 changed; <code>n1</code>, <code>n9</code>, <code>n17</code> and 3 more</summary>

    ```text
    Version changes:
    [U.] nhalf 0 -> 2
    ```

    </details>

    <details><summary>On 5 of 11 hosts compared: 1 changed; <code>n5</code>, <code>n13</code>, <code>n21</code> and 2 more</summary>

    ```text
    Version changes:
    [U.] nhalf 1 -> 2
    ```

    </details>
    ");
    // It is told of longer than the hosts themselves.
    let least = |what: &str| {
        let budgets = (1_000..12_000).step_by(500);
        let with = budgets.filter(|budget| body(&many, *budget).contains(what));
        with.min()
    };
    assert!(least("### On all 11") < least("<code>n1</code>: 1 changed"));
}
