//! What holds of every body, however it is laid out: it fits, it is whole Markdown, and what gives way first is what matters least.

use std::collections::BTreeSet;

use flake_herald::closure::Selected;
use flake_herald::report::{Report, Status, body, to_markdown};

use crate::page;

/// From nothing to what a forge takes.
const BUDGETS: [usize; 6] = [0, 300, 1_000, 5_000, 20_000, 60_000];

/// Returns what is wrong with the bodies of a report.
pub(crate) fn flaws(report: &Report) -> Vec<String> {
    let mut flaws = Vec::new();
    let full = to_markdown(report);
    let all = failing(report, &full).len();
    let mut before = 0;
    for budget in BUDGETS {
        let text = body(report, budget);
        let mut say = |what: String| flaws.push(format!("{budget} bytes: {what}"));
        if text.len() > budget {
            say(format!("has {}", text.len()));
        }
        if text != body(report, budget) {
            say("is another one the second time".to_owned());
        }
        let page = page::read(&text);
        page.flaws.iter().cloned().for_each(&mut say);
        if budget >= 1_000 && text.len() < full.len() && !text.contains("report.md") {
            say(format!("does not say where the rest is:\n{text}"));
        }
        let shown = failing(report, &text).len();
        if shown < before {
            say(format!(
                "shows {shown} failing hosts, and a smaller one {before}"
            ));
        }
        before = shown;
        let mut changed = report.with_status(Status::Changed);
        if let Some(host) = changed.find(|host| page.summaries.contains(&host.name))
            && shown < all
        {
            say(format!(
                "tells of {} and leaves out {} hosts that fail",
                host.name,
                all - shown
            ));
        }
    }
    flaws
}

/// Returns the hosts that fail and that a text names.
fn failing<'a>(report: &'a Report, text: &str) -> BTreeSet<&'a str> {
    let fails = [Status::Broken, Status::AlreadyBroken].into_iter();
    fails
        .flat_map(|status| report.with_status(status))
        .map(|host| host.name.as_str())
        .filter(|name| text.contains(name))
        .collect()
}

/// Returns what the whole Markdown leaves out of what a reader has to hear of.
pub(crate) fn left_out(report: &Report) -> Vec<String> {
    let code = page::read(&to_markdown(report)).code.join("\n");
    let mut wanted: Vec<&str> = Vec::new();
    for host in &report.hosts {
        if matches!(host.status, Status::Broken | Status::AlreadyBroken) {
            wanted.push(&host.name);
        }
        if let Some(diff) = &host.diff {
            // Rebuilt ones are told in numbers.
            let lists = [&diff.changed, &diff.added, &diff.removed, &diff.selection];
            let entries = lists.into_iter().flatten();
            let chosen = entries.filter(|entry| entry.selected != Selected::No);
            wanted.extend(chosen.map(|entry| entry.name.as_str()));
        }
    }
    for input in &report.inputs {
        wanted.push(&input.name);
        let sides = [&input.before, &input.after].into_iter().flatten();
        wanted.extend(sides.filter_map(|side| side.rev.as_ref()?.get(..7)));
    }
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    let words: BTreeSet<&str> = code.split(|c| !is_in_word(c)).collect();
    let wanted: BTreeSet<&str> = wanted.into_iter().collect();
    wanted
        .difference(&words)
        .map(|word| (*word).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::hostile_text::poisoned;
    use crate::made::{Shape, report};

    use super::*;

    fn shapes() -> impl Strategy<Value = Shape> {
        let often = proptest::array::uniform7(0..4_u8);
        (1..30_usize, 0..60_usize, often, any::<u64>()).prop_map(|(hosts, changes, mix, seed)| {
            Shape {
                hosts,
                changes,
                mix,
                seed,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_body_fits_and_is_whole(shape in shapes()) {
            prop_assert_eq!(flaws(&report(&shape)), Vec::<String>::new());
        }

        #[test]
        fn the_whole_report_leaves_nothing_out(shape in shapes()) {
            prop_assert_eq!(left_out(&report(&shape)), Vec::<String>::new());
        }
    }

    #[test]
    fn a_body_of_hostile_texts_fits_and_is_whole() {
        for seed in 0..3 {
            let shape = Shape {
                seed,
                ..Shape::mixed(6, 20)
            };
            let report = poisoned(&report(&shape), seed);
            for budget in BUDGETS {
                let text = body(&report, budget);
                assert!(text.len() <= budget, "{seed}, {budget}: {}", text.len());
                assert_eq!(
                    page::read(&text).flaws,
                    Vec::<String>::new(),
                    "{seed}, {budget}"
                );
            }
        }
    }

    // Up to 500 hosts of 5,000 changes with optimizations: `scripts/bench --report`.
    #[test]
    fn the_body_of_a_large_fleet_fits_and_is_whole() {
        for (hosts, changes) in [(500, 10), (40, 200), (1, 3_000)] {
            let report = report(&Shape::mixed(hosts, changes));
            assert_eq!(flaws(&report), Vec::<String>::new(), "{hosts} × {changes}");
        }
        let all_broken = Shape {
            mix: [1, 0, 0, 0, 0, 0, 0],
            ..Shape::changed(200, 0)
        };
        assert_eq!(flaws(&report(&all_broken)), Vec::<String>::new());
    }
}
