//! What holds for every graph and every text.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{Plan, graph, path, records, root, texts};
use super::*;

/// Plans without circles but for self-references, of names that collide.
fn plans() -> impl Strategy<Value = Plan> {
    let name = prop_oneof![
        "[ab]",
        "[abA]-(0|1|1\\.0|1-0|1\\.00|2|2pre)",
        "[ab]-[12]\\.drv",
    ];
    let paths = proptest::collection::vec(
        (
            name,
            0u64..1000,
            proptest::collection::vec(any::<usize>(), 0..5),
        ),
        2..24,
    );
    paths.prop_map(|mut paths| {
        let count = paths.len();
        for (number, (_, _, references)) in paths.iter_mut().enumerate() {
            for reference in references {
                *reference = number + *reference % (count - number);
            }
        }
        paths
    })
}

/// The closure, found the plain way.
fn reachable(plan: &Plan, from: usize) -> BTreeSet<usize> {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
    while let Some(number) = todo.pop() {
        if seen.insert(number) {
            todo.extend(&plan[number].2);
        }
    }
    seen
}

fn swapped(diff: &ClosureDiff) -> ClosureDiff {
    let entries = |entries: &[Entry]| -> Vec<Entry> {
        let swap = |entry: &Entry| Entry {
            before: entry.after.clone(),
            after: entry.before.clone(),
            change: match entry.change {
                Change::Upgraded => Change::Downgraded,
                Change::Downgraded => Change::Upgraded,
                Change::Added => Change::Removed,
                Change::Removed => Change::Added,
                same @ (Change::Changed | Change::Rebuilt) => same,
            },
            selected: match entry.selected {
                Selected::Newly => Selected::NoLonger,
                Selected::NoLonger => Selected::Newly,
                same @ (Selected::No | Selected::Yes) => same,
            },
            size_delta: entry.size_delta.map(|size| -size),
            ..entry.clone()
        };
        entries.iter().map(swap).collect()
    };
    ClosureDiff {
        changed: entries(&diff.changed),
        added: entries(&diff.removed),
        removed: entries(&diff.added),
        selection: entries(&diff.selection),
        rebuilt: entries(&diff.rebuilt),
        configuration: entries(&diff.configuration),
        families: Vec::new(),
        paths_added: diff.paths_removed,
        paths_removed: diff.paths_added,
        size_delta: diff.size_delta.map(|size| -size),
    }
}

/// The lists in which each name should stand, from the rules alone.
fn expected_lists(plan: &Plan, selected: &[Selection; 2]) -> BTreeMap<String, Vec<&'static str>> {
    let sides = [0, 1].map(|root| reachable(plan, root));
    let parse = |number: usize| PackageName::parse(&plan[number].0);
    let names: BTreeSet<&str> = (0..plan.len()).map(|number| parse(number).base).collect();
    let mut lists = BTreeMap::new();
    for name in names {
        let paths = |side: usize| -> Vec<usize> {
            sides[side]
                .iter()
                .copied()
                .filter(|number| parse(*number).base == name)
                .collect()
        };
        let versions = |side: usize| {
            let mut versions: Vec<_> = paths(side).into_iter().map(|n| parse(n).version).collect();
            versions.sort_unstable();
            versions
        };
        let mut found = Vec::new();
        match (paths(0).is_empty(), paths(1).is_empty()) {
            (true, true) => {}
            (true, false) => found.push("added"),
            (false, true) => found.push("removed"),
            (false, false) if versions(0) != versions(1) => found.push("changed"),
            (false, false) => {
                if selected[0].contains(name) != selected[1].contains(name) {
                    found.push("selection");
                }
                if paths(0) != paths(1) {
                    found.push("rebuilt");
                }
            }
        }
        if !found.is_empty() {
            lists.insert(name.to_owned(), found);
        }
    }
    lists
}

fn selections() -> impl Strategy<Value = [Selection; 2]> {
    let names = || proptest::collection::vec(prop_oneof!["[abA]", Just("absent".to_owned())], 0..4);
    [names(), names()].prop_map(|sides| sides.map(Selection::from_iter))
}

proptest! {
    #[test]
    fn closures_are_what_a_plain_search_finds((plan, order) in plans().prop_flat_map(|plan| {
        let order: Vec<usize> = (0..plan.len()).collect();
        (Just(plan), Just(order).prop_shuffle())
    })) {
        let texts = texts(&plan);
        let records = records(&plan, &texts);
        let shuffled = order.iter().map(|number| records[*number].clone());
        let graph = Graph::from_records(shuffled).unwrap();
        let roots: Vec<StorePath> = (0..plan.len()).map(|number| root(&plan, number)).collect();
        let closures = graph.closures(&roots).unwrap();
        for number in 0..plan.len() {
            let naive = reachable(&plan, number);
            let closure = closures.at(number).unwrap();
            let mut paths: Vec<&str> = naive.iter().map(|n| texts[*n].as_str()).collect();
            paths.sort_unstable();
            let ours: Vec<&str> = closure.ids().map(|id| graph.path(id).unwrap().as_str()).collect();
            prop_assert_eq!(ours, paths);
            prop_assert_eq!(closure.len(), naive.len());
            prop_assert_eq!(closure.nar_size(), naive.iter().map(|n| plan[*n].1).sum::<u64>());
        }
    }

    #[test]
    fn the_lists_and_counts_follow_from_the_rules(plan in plans(), selected in selections()) {
        let graph = graph(&plan);
        let closures = graph.closures([&root(&plan, 0), &root(&plan, 1)]).unwrap();
        let [before, after] = [0, 1].map(|n| Side { closure: closures.at(n), selected: &selected[n] });
        let there = diff(before, after, &Facts::default());

        let [old, new] = [0, 1].map(|root| reachable(&plan, root));
        prop_assert_eq!(there.paths_added, Some(new.difference(&old).count() as u64));
        prop_assert_eq!(there.paths_removed, Some(old.difference(&new).count() as u64));
        let size = |side: &BTreeSet<usize>| side.iter().map(|n| plan[*n].1.cast_signed()).sum::<i64>();
        prop_assert_eq!(there.size_delta, Some(size(&new) - size(&old)));

        let mut lists: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (list, entries) in [
            ("added", &there.added),
            ("removed", &there.removed),
            ("changed", &there.changed),
            ("selection", &there.selection),
            ("rebuilt", &there.rebuilt),
        ] {
            prop_assert!(entries.is_sorted_by(|a, b| a.name < b.name));
            for entry in entries {
                lists.entry(entry.name.clone()).or_default().push(list);
                for group in entry.before.iter().chain(&entry.after) {
                    prop_assert!(group.paths.is_sorted_by(|a, b| a < b) && !group.paths.is_empty());
                }
                prop_assert_eq!(entry.cause.is_some(), list == "rebuilt");
            }
        }
        prop_assert_eq!(lists, expected_lists(&plan, &selected));

        // What differs is all accounted for, so the parts add up to the whole.
        let parts = [&there.added, &there.removed, &there.changed, &there.rebuilt];
        let parts: Option<i64> = parts.into_iter().flatten().map(|entry| entry.size_delta).sum();
        prop_assert_eq!(parts, there.size_delta);

        prop_assert_eq!(diff(after, before, &Facts::default()), swapped(&there));
        prop_assert!(diff(before, before, &Facts::default()).is_empty() && diff(after, after, &Facts::default()).is_empty());
        prop_assert_eq!(there.is_empty(), old == new && expected_lists(&plan, &selected).is_empty());
        let json = serde_json::to_string(&there).unwrap();
        prop_assert_eq!(serde_json::from_str::<ClosureDiff>(&json).unwrap(), there);
    }

    #[test]
    fn any_reference_at_all_makes_a_graph_or_an_error(
        edges in proptest::collection::vec((0usize..6, 0usize..8), 0..12),
    ) {
        // Eight paths of which six have records, references as they come: circles and gaps included.
        let texts: Vec<String> = (0..8).map(|salt| path(salt, "a")).collect();
        let made = Graph::from_records((0..6).map(|from| Record {
            path: &texts[from],
            nar_size: 1,
            deriver: None,
            references: edges.iter().filter(|edge| edge.0 == from).map(|edge| texts[edge.1].as_str()).collect(),
        }));
        let gap = edges.iter().any(|edge| edge.1 >= 6);
        let reaches_itself = |start: usize| {
            let (mut seen, mut todo) = (BTreeSet::new(), vec![start]);
            while let Some(number) = todo.pop() {
                for (_, to) in edges.iter().filter(|edge| edge.0 == number && edge.1 != number) {
                    if seen.insert(*to) {
                        todo.push(*to);
                    }
                }
            }
            seen.contains(&start)
        };
        match made {
            Ok(_) => prop_assert!(!gap && !(0..6).any(reaches_itself)),
            Err(GraphError::MissingReference { .. }) => prop_assert!(gap),
            Err(GraphError::Cycle { path }) => {
                let at = texts.iter().position(|text| text == path.as_str());
                prop_assert!(!gap && at.is_some_and(reaches_itself));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn a_parsed_path_is_its_text(text in prop_oneof![
        any::<String>(),
        "(/nix|/tmp/x|/)?/store?/[0-9a-z]{31,33}-?[-a-z0-9.é]{0,3}",
        "/nix/store/[0-9abcdf]{32}-[-+._?=a-zA-Z0-9]{1,9}",
    ]) {
        if let Ok(path) = StorePath::parse(&text) {
            let parts = format!("{}/{}-{}", path.store_dir(), path.digest(), path.name());
            prop_assert_eq!(parts, text.as_str());
            prop_assert_eq!(path.base_name().len(), 33 + path.name().len());
        }
    }
}
