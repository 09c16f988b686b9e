//! Every figure of ours in a body is one of `report.json`: a value, a size, a number of things there, or of hosts that have one in
//! common.
//!
//! What is held: each number outside of code in the whole Markdown (a list of figures that can be had is made of the JSON, whatever the
//! layout), each count of the headline by its words, and each `Closure size` of the text. Numbers in fences are nvd's rows, which other
//! tests hold. A small number is likely to be in the list for another reason: hence fleets of dozens of hosts, and a look at how
//! many wrong figures would be found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::page::{Page, SPAN};

/// The figures that can be had of a report, as they are printed, and what each is.
pub(crate) struct Figures(BTreeMap<String, String>);

impl Figures {
    pub(crate) fn of(report: &Value) -> Self {
        let mut figures = Self(BTreeMap::new());
        figures.values(report, "");
        let hosts = report["hosts"].as_array().map_or(&[][..], Vec::as_slice);
        figures.hosts(hosts);
        figures.lists(hosts);
        figures.days(&report["inputs"]);
        figures
    }

    fn add(&mut self, number: i64, what: &str) {
        let known = |text: String, all: &mut BTreeMap<String, String>| {
            all.entry(text).or_insert_with(|| what.to_owned());
        };
        known(number.unsigned_abs().to_string(), &mut self.0);
        known(grouped(number.unsigned_abs()), &mut self.0);
        if what.contains("size") {
            known(size(number.unsigned_abs()), &mut self.0);
        }
    }

    fn count(&mut self, number: usize, what: &str) {
        self.add(i64::try_from(number).unwrap_or(i64::MAX), what);
    }

    /// Adds every number, and how long every list is.
    fn values(&mut self, json: &Value, place: &str) {
        match json {
            Value::Number(number) => {
                if let Some(number) = number.as_i64() {
                    self.add(number, place);
                }
            }
            Value::String(text) => {
                self.0
                    .entry(text.clone())
                    .or_insert_with(|| place.to_owned());
            }
            Value::Array(items) => {
                self.count(items.len(), &format!("the length of {place}"));
                items.iter().for_each(|item| self.values(item, place));
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.values(value, &format!("{place}/{key}"));
                }
            }
            Value::Bool(_) | Value::Null => {}
        }
    }

    /// Adds how many hosts have something in common, what they have together, and the sums over them.
    fn hosts(&mut self, hosts: &[Value]) {
        let mut having: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
        for (at, host) in hosts.iter().enumerate() {
            having_of(host, "", &mut |place, value| {
                having.entry((place, value)).or_default().insert(at);
            });
        }
        let mut distinct: BTreeMap<&str, usize> = BTreeMap::new();
        let mut sets: BTreeMap<(&str, &BTreeSet<usize>), usize> = BTreeMap::new();
        for ((place, value), at) in &having {
            self.count(at.len(), &format!("hosts with {place} {value}"));
            self.count(
                hosts.len() - at.len(),
                &format!("hosts without {place} {value}"),
            );
            *distinct.entry(place).or_default() += 1;
            *sets.entry((place, at)).or_default() += 1;
        }
        for (place, number) in distinct {
            self.count(number, &format!("different {place}"));
        }
        for ((place, _), number) in sets {
            self.count(number, &format!("{place} that the same hosts have"));
        }
        let sizes = hosts
            .iter()
            .filter_map(|host| host["diff"]["size_delta"].as_i64());
        self.add(sizes.sum(), "the sum of size_delta");
    }

    /// Adds how many entries of a host's lists are alike in what is one of few words: selected, changed alike, of one cause.
    fn lists(&mut self, hosts: &[Value]) {
        for host in hosts {
            let mut chosen = 0;
            for list in [
                "changed",
                "added",
                "removed",
                "selection",
                "rebuilt",
                "configuration",
            ] {
                let entries = host["diff"][list].as_array().map_or(&[][..], Vec::as_slice);
                let mut alike: BTreeMap<(&str, &str), usize> = BTreeMap::new();
                for entry in entries {
                    for key in ["selected", "change", "cause"] {
                        let word = entry[key].as_str().unwrap_or("none");
                        *alike.entry((key, word)).or_default() += 1;
                    }
                }
                let unselected = alike.get(&("selected", "no")).copied().unwrap_or_default();
                let moved = !matches!(list, "rebuilt" | "configuration");
                chosen += if moved { entries.len() - unselected } else { 0 };
                for ((key, word), number) in alike {
                    self.count(number, &format!("{list} of a host whose {key} is {word}"));
                }
            }
            self.count(chosen, "selected changes of a host");
        }
    }

    /// Adds the time between two dates of an input, in every unit it may be told in.
    fn days(&mut self, inputs: &Value) {
        for input in inputs.as_array().into_iter().flatten() {
            let day = |side: &str| {
                input[side]["date"]
                    .as_str()?
                    .parse::<jiff::civil::Date>()
                    .ok()
            };
            if let Some((before, after)) = day("before").zip(day("after")) {
                let days = i64::from((after - before).get_days()).abs();
                // A month has from 28 to 31 days, and a year a leap day or none.
                for (unit, lengths) in [
                    ("days", 1..=1),
                    ("weeks", 7..=7),
                    ("months", 28..=31),
                    ("years", 365..=366),
                ] {
                    for length in lengths {
                        let number = days / length;
                        self.add(number, &format!("{unit} between dates"));
                        self.add(number + 1, &format!("{unit} between dates, rounded"));
                    }
                }
            }
        }
    }

    /// Returns the figures of a page that cannot be had, each with the text it stands in.
    pub(crate) fn missing(&self, page: &Page) -> Vec<String> {
        let mut missing = Vec::new();
        for text in page.texts.iter().chain(&page.html) {
            for (figure, before, after) in figures(text) {
                // Of a list that names the first ones, these count too.
                let shown = if after.trim_start().starts_with("more") {
                    before.matches(SPAN).count()
                } else {
                    0
                };
                let more = |shown: usize| {
                    let number: usize = figure.parse().ok()?;
                    self.0.get(&(number + shown).to_string())
                };
                // Of its own rows: a test below counts them.
                if before.ends_with("<summary>") && is_of_rows(after) {
                    continue;
                }
                // A size may have a gap before its unit.
                let plain = figure.replace(' ', "");
                let known = self.0.contains_key(&plain) || (1..=shown).any(|n| more(n).is_some());
                if !known {
                    missing.push(format!("{figure} in: {text}"));
                }
            }
        }
        missing
    }
}

/// Returns whether a number that stands before this text in the summary of a fold is one of the rows in it.
fn is_of_rows(after: &str) -> bool {
    [" more;", " more<"]
        .iter()
        .any(|start| after.starts_with(start))
}

/// Calls for what a host has: each value with where it stands, and each entry and step by its name and its versions.
fn having_of(json: &Value, place: &str, has: &mut impl FnMut(String, String)) {
    match json {
        Value::Array(items) => {
            if !items.is_empty() {
                has(format!("{place}, any"), String::new());
            }
            items.iter().for_each(|item| having_of(item, place, has));
        }
        Value::Object(fields) => {
            if let Some(name) = fields.get("name").and_then(Value::as_str) {
                let versions = ["before", "after"].map(|side| versions(fields.get(side)));
                let value = format!("{name} {versions:?}");
                // What is rebuilt is counted by its cause, and of the configuration each kind of file.
                if let Some(cause) = fields.get("cause").and_then(Value::as_str) {
                    has(format!("{place}, {cause}"), value.clone());
                }
                if let Some(kind) = kind(name).filter(|_| place.ends_with("/configuration")) {
                    has(format!("{place}, {kind}"), value.clone());
                }
                has(place.to_owned(), value);
            }
            for (key, value) in fields {
                having_of(value, &format!("{place}/{key}"), has);
            }
        }
        value => has(place.to_owned(), value.to_string()),
    }
}

/// Returns which kind of file of the configuration a path of this name is, of those that a made report has.
fn kind(name: &str) -> Option<&'static str> {
    let kinds = ["unit-script-", "unit-", "etc-", "hm_"];
    kinds.into_iter().find(|start| name.starts_with(start))
}

/// Returns the versions of one side of an entry, or of a step.
fn versions(side: Option<&Value>) -> String {
    match side {
        Some(Value::Array(groups)) => groups
            .iter()
            .map(|group| group["version"].to_string())
            .collect(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Returns each figure of a text with its unit if that is one of size, and what stands before and after it.
fn figures(text: &str) -> Vec<(&str, &str, &str)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..]
        .find(|c: char| c.is_ascii_digit())
        .map(|at| from + at)
    {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-');
        let end = text[start..]
            .find(|c| !is_part(c))
            .map_or(text.len(), |at| start + at);
        let figure = text[start..end].trim_end_matches(|c: char| !c.is_ascii_digit());
        let mut end = start + figure.len();
        let rest = text[end..].trim_start();
        if let Some(unit) = ["KiB", "MiB", "GiB", "TiB"]
            .iter()
            .find(|unit| rest.starts_with(**unit))
        {
            end = text.len() - rest.len() + unit.len();
        }
        // Part of a word of ours, such as `UTF-8`.
        if !text[..start].ends_with(|c: char| c.is_alphabetic()) {
            found.push((&text[start..end], &text[..start], &text[end..]));
        }
        from = end;
    }
    found
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts = digits.as_bytes().rchunks(3).rev();
    parts
        .map(|part| String::from_utf8_lossy(part))
        .collect::<Vec<_>>()
        .join(",")
}

/// Returns a size as it is printed, without a gap before its unit.
fn size(bytes: u64) -> String {
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    match unit {
        "B" => bytes.to_string(),
        unit => format!("{}.{}{unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use flake_herald::report::{Report, body, summary, to_markdown, to_plain_text};

    use crate::made::{Shape, report};
    use crate::page;

    use super::*;

    fn reports() -> Vec<Report> {
        [
            Shape::mixed(60, 90),
            Shape::changed(40, 150),
            Shape::mixed(17, 40),
            Shape::changed(5, 24),
            Shape::changed(1, 300),
        ]
        .iter()
        .map(report)
        .collect()
    }

    #[test]
    fn each_figure_of_a_body_is_one_of_the_report() {
        for report in reports() {
            let figures = Figures::of(&serde_json::to_value(&report).unwrap());
            let hosts = report.hosts.len();
            let whole = to_markdown(&report);
            assert_eq!(
                figures.missing(&page::read(&whole)),
                Vec::<String>::new(),
                "{hosts} hosts"
            );
            if body(&report, 60_000).len() < whole.len() {
                continue;
            }
            assert_eq!(body(&report, 60_000), whole);
        }
    }

    #[test]
    fn a_wrong_figure_would_be_found() {
        let report = report(&Shape::mixed(60, 90));
        let figures = Figures::of(&serde_json::to_value(&report).unwrap());
        let wrong = "## 1203 hosts: 1,187 changed\n\n`a` and 4321 more, 77.7 MiB, +77.7MiB, `9999`\n\n| 5555 |\n| --- |\n| 6666 |\n";
        insta::assert_debug_snapshot!(figures.missing(&page::read(wrong)), @r#"
        [
            "1203 in: 1203 hosts: 1,187 changed",
            "1,187 in: 1203 hosts: 1,187 changed",
            "4321 in: ▮ and 4321 more, 77.7 MiB, +77.7MiB, ▮",
            "77.7 MiB in: ▮ and 4321 more, 77.7 MiB, +77.7MiB, ▮",
            "77.7MiB in: ▮ and 4321 more, 77.7 MiB, +77.7MiB, ▮",
            "5555 in: 5555",
            "6666 in: 6666",
        ]
        "#);
        // Of the numbers up to 200, as most in a body are, more would be found than pass: 73 passed.
        let pass = (1..=200).filter(|number: &i32| figures.0.contains_key(&number.to_string()));
        assert!(pass.count() < 100);
    }

    #[test]
    fn the_headline_counts_hosts_by_status() {
        let words = [
            ("broken by the update", "broken"),
            ("broken with and without the update", "already_broken"),
            ("mended", "mended"),
            ("changed", "changed"),
            ("skipped", "skipped"),
            ("unknown", "unknown"),
            ("unchanged", "unchanged"),
        ];
        for report in reports() {
            let fleet = serde_json::to_value(&report).unwrap()["fleet"].clone();
            for line in [
                summary(&report),
                to_markdown(&report).lines().next().unwrap().to_owned(),
            ] {
                let headline = line.trim_start_matches("## ");
                let (hosts, rest) = headline.split_once(": ").unwrap();
                let (hosts, word) = hosts.split_once(' ').unwrap();
                assert_eq!(hosts, fleet["hosts"].to_string(), "{line}");
                assert_eq!(word == "host", hosts == "1", "{line}");
                // Of the only host there is its status is said, not counted.
                let rest = if hosts == "1" {
                    format!("1 {rest}")
                } else {
                    rest.to_owned()
                };
                let rest = rest.split(';').next().unwrap();
                let mut told = 0;
                for part in rest.split(", ") {
                    let (number, what) = part.split_once(' ').unwrap();
                    let key = words.iter().find(|(words, _)| *words == what);
                    let (_, key) = key.unwrap_or_else(|| panic!("what is counted there? {line}"));
                    assert_eq!(number, fleet[key].to_string(), "{line}");
                    told += number.parse::<u64>().unwrap();
                }
                assert_eq!(told, report.fleet.hosts, "{line}");
            }
        }
    }

    #[test]
    fn a_fold_of_more_rows_has_so_many() {
        let mut seen = 0;
        for report in reports() {
            let whole = to_markdown(&report);
            for fold in whole.split("<details><summary>").skip(1) {
                let (fold, _) = fold.split_once("\n</details>").unwrap();
                let digits = fold.find(|c: char| !c.is_ascii_digit()).unwrap();
                let (number, after) = fold.split_at(digits);
                if is_of_rows(after) {
                    let rows = after.lines().filter(|line| line.starts_with('['));
                    assert_eq!(rows.count().to_string(), number, "{fold}");
                    seen += 1;
                }
            }
        }
        assert!(seen >= 3, "{seen}");
    }

    fn counted(lines: impl IntoIterator<Item = impl Into<String>>) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for line in lines {
            *counted.entry(line.into()).or_default() += 1;
        }
        counted
    }

    #[test]
    fn the_size_of_a_closure_is_that_of_its_host() {
        for report in reports() {
            let text = to_plain_text(&report);
            let told: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("Closure size"))
                .collect();
            let derived: Vec<String> = report
                .hosts
                .iter()
                .filter_map(|host| {
                    let Some(diff) = &host.diff else {
                        let paths = host.after.as_ref()?.paths?;
                        return Some(format!("Closure size: {paths} paths."));
                    };
                    let paths = [&host.before, &host.after].map(|side| side.as_ref().and_then(|side| side.paths));
                    let [before, after] = paths.map(Option::unwrap_or_default);
                    let (added, removed) = (diff.paths_added?, diff.paths_removed?);
                    let delta = added.cast_signed() - removed.cast_signed();
                    let bytes = diff.size_delta?;
                    let unit = if bytes.unsigned_abs() < 1024 { "B" } else { "" };
                    let sign = if bytes < 0 { '-' } else { '+' };
                    Some(format!(
                        "Closure size: {before} -> {after} ({added} paths added, {removed} paths removed, delta {delta:+}, disk usage {sign}{}{unit}).",
                        size(bytes.unsigned_abs())
                    ))
                })
                .collect();
            let (told, derived) = (counted(told), counted(derived));
            assert!(!derived.is_empty());
            assert_eq!(told, derived);
        }
    }
}
