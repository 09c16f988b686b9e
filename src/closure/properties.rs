//! What holds for every graph and every text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::tests::{Plan, graph, path, records, root, selection, texts};
use super::*;

/// Plans without circles but for self-references, of roots that are systems and roots that are not.
fn plans() -> impl Strategy<Value = Plan> {
    let root = prop_oneof![
        "nixos-system-web-01-2[45]\\.05\\.2025010[12]",
        "[ab](-1|-2)?",
        Just("etc".to_owned()),
    ];
    let references = || proptest::collection::vec(any::<usize>(), 0..5);
    let roots = proptest::collection::vec((root, 0u64..1000, references()), 2);
    let size = || prop_oneof![9 => 0u64..1000, 1 => 1u64 << 20..1 << 22];
    let others = proptest::collection::vec((name(), size(), references()), 2..32);
    (roots, others).prop_map(|(mut paths, others)| {
        paths.extend(others);
        let count = paths.len();
        for (number, (_, _, references)) in paths.iter_mut().enumerate() {
            for reference in references {
                *reference = number + *reference % (count - number);
            }
        }
        paths
    })
}

/// Names that collide: of packages with outputs and variants, of configuration.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[ab]",
        4 => "[abA]-(0|1|1\\.0|1-0|1\\.00|2|2pre|2\\.1\\.0)(-dev|-lib|-env|-env-dev)?",
        1 => "[ab]-[12]\\.drv",
        2 => "python3\\.1[12]-[abcd]-1",
        2 => "q[abcdef]-5\\.1\\.[12]",
        1 => prop_oneof![
            "unit-[ab]\\.service",
            "etc(-1\\.conf)?",
            "hm_a",
            Just("user-environment".to_owned()),
            Just("system-path".to_owned()),
        ],
    ]
}

/// What is known of each path of a plan, if anything: its output and its recipe.
type KnownPaths = Vec<Option<(String, Recipe)>>;

/// Facts of a part of the paths, which need not fit their names.
fn facts(count: usize) -> impl Strategy<Value = KnownPaths> {
    let recipe = (
        proptest::option::of("[abA]"),
        proptest::option::of("(1|2|1\\.0)"),
        proptest::collection::btree_map("p\\.patch", "[xy]", 0..2),
    );
    let fact = ("(out|out|dev|lib)", recipe).prop_map(|(output, (pname, version, patches))| {
        let recipe = Recipe {
            pname,
            version,
            patches,
            ..Recipe::default()
        };
        (output, recipe)
    });
    proptest::collection::vec(proptest::option::of(fact), count)
}

/// A plan with facts of its paths and names selected on each side.
fn scenes() -> impl Strategy<Value = (Plan, KnownPaths, [Vec<String>; 2])> {
    plans().prop_flat_map(|plan| {
        let facts = facts(plan.len());
        (Just(plan), facts, selections())
    })
}

/// The facts of those paths of a plan that `of` picks.
fn known(plan: &Plan, facts: &[Option<(String, Recipe)>], of: impl Fn(usize) -> bool) -> Facts {
    let mut known = Facts::default();
    for (number, fact) in facts.iter().enumerate().filter(|(number, _)| of(*number)) {
        if let Some((output, recipe)) = fact.clone() {
            let recipe = Arc::new(recipe);
            known.insert(root(plan, number), Fact { output, recipe });
        }
    }
    known
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
    let change = |change| match change {
        Change::Upgraded => Change::Downgraded,
        Change::Downgraded => Change::Upgraded,
        Change::Added => Change::Removed,
        Change::Removed => Change::Added,
        same @ (Change::Changed | Change::Rebuilt) => same,
    };
    let selected = |selected| match selected {
        Selected::Newly => Selected::NoLonger,
        Selected::NoLonger => Selected::Newly,
        same @ (Selected::No | Selected::Yes) => same,
    };
    let own = |own: &OwnChange| OwnChange {
        patches_added: own.patches_removed.clone(),
        patches_removed: own.patches_added.clone(),
        flags_added: own.flags_removed.clone(),
        flags_removed: own.flags_added.clone(),
        dependencies_added: own.dependencies_removed.clone(),
        dependencies_removed: own.dependencies_added.clone(),
        ..own.clone()
    };
    let entries = |entries: &[Entry]| -> Vec<Entry> {
        let swap = |entry: &Entry| Entry {
            before: entry.after.clone(),
            after: entry.before.clone(),
            change: change(entry.change),
            selected: selected(entry.selected),
            size_delta: entry.size_delta.map(|size| -size),
            own: entry.own.as_deref().map(own).map(Box::new),
            ..entry.clone()
        };
        entries.iter().map(swap).collect()
    };
    let families = diff.families.iter().map(|family| Family {
        before: family.after.clone(),
        after: family.before.clone(),
        change: change(family.change),
        selected: selected(family.selected),
        ..family.clone()
    });
    ClosureDiff {
        changed: entries(&diff.changed),
        added: entries(&diff.removed),
        removed: entries(&diff.added),
        selection: entries(&diff.selection),
        rebuilt: entries(&diff.rebuilt),
        configuration: entries(&diff.configuration),
        families: families.collect(),
        paths_added: diff.paths_removed,
        paths_removed: diff.paths_added,
        size_delta: diff.size_delta.map(|size| -size),
    }
}

/// The same without what is said of newcomers only.
fn unexplained(mut diff: ClosureDiff) -> ClosureDiff {
    for entry in &mut diff.added {
        entry.via = None;
    }
    diff
}

/// The paths of the groups of one side of an entry.
fn paths(groups: &[VersionGroup]) -> BTreeSet<&StorePath> {
    groups.iter().flat_map(|group| &group.paths).collect()
}

fn selections() -> impl Strategy<Value = [Vec<String>; 2]> {
    let names = || proptest::collection::vec(prop_oneof!["[abA]", Just("absent".to_owned())], 0..4);
    [names(), names()]
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
    fn the_lists_account_for_every_path_once((plan, facts, selected) in scenes()) {
        let facts = known(&plan, &facts, |_| true);
        let graph = graph(&plan);
        let closures = graph.closures([&root(&plan, 0), &root(&plan, 1)]).unwrap();
        let chosen = selected.each_ref().map(|names| selection(&graph, names));
        let [before, after] = [0, 1].map(|n| Side { closure: closures.at(n), selected: &chosen[n] });
        let there = diff(before, after, &facts);

        let [old, new] = [0, 1].map(|root| reachable(&plan, root));
        prop_assert_eq!(there.paths_added, Some(new.difference(&old).count() as u64));
        prop_assert_eq!(there.paths_removed, Some(old.difference(&new).count() as u64));
        let size = |side: &BTreeSet<usize>| side.iter().map(|n| plan[*n].1.cast_signed()).sum::<i64>();
        prop_assert_eq!(there.size_delta, Some(size(&new) - size(&old)));

        // What differs stands in one entry each, so the parts add up to the whole.
        let lists = [&there.changed, &there.added, &there.removed, &there.rebuilt, &there.configuration];
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for entry in lists.into_iter().flatten() {
            let (before, after) = (paths(&entry.before), paths(&entry.after));
            removed.extend(before.difference(&after).map(|path| (*path).clone()));
            added.extend(after.difference(&before).map(|path| (*path).clone()));
            prop_assert!(before != after);
        }
        removed.sort();
        added.sort();
        let exactly = |one: &BTreeSet<usize>, other: &BTreeSet<usize>| {
            let mut paths: Vec<StorePath> = one.difference(other).map(|n| root(&plan, *n)).collect();
            paths.sort();
            paths
        };
        prop_assert_eq!(removed, exactly(&old, &new));
        prop_assert_eq!(added, exactly(&new, &old));
        let sizes: Option<i64> = lists.into_iter().flatten().map(|entry| entry.size_delta).sum();
        prop_assert_eq!(sizes, there.size_delta);

        let mut names = BTreeMap::<&str, usize>::new();
        for list in lists {
            prop_assert!(list.is_sorted_by(|a, b| a.name < b.name));
            for entry in list {
                *names.entry(&entry.name).or_default() += 1;
            }
        }
        prop_assert!(names.values().all(|times| *times == 1), "{names:?}");
        prop_assert!(there.selection.is_sorted_by(|a, b| a.name < b.name));
        for entry in there.entries() {
            for groups in [&entry.before, &entry.after] {
                for VersionGroup { outputs, paths, .. } in groups {
                    prop_assert!(paths.is_sorted_by(|a, b| a < b) && !paths.is_empty());
                    prop_assert!(outputs.is_sorted_by(|a, b| a < b) && !outputs.is_empty());
                    prop_assert!(outputs.len() <= paths.len());
                }
            }
            prop_assert!(entry.own.is_some() || entry.cause != Some(Cause::Own));
        }
        for entry in &there.selection {
            prop_assert_eq!(paths(&entry.before) != paths(&entry.after), there.rebuilt.iter().any(|rebuilt| rebuilt.name == entry.name));
        }
        for family in &there.families {
            prop_assert!(family.packages.len() >= 3 && family.packages.is_sorted_by(|a, b| a < b));
            let member = |list: &[Entry], name: &str| list.iter().any(|entry| entry.name == name);
            for package in &family.packages {
                let (from, to) = (format!("{}-{package}", family.before), format!("{}-{package}", family.after));
                let listed = match family.kind {
                    FamilyKind::Versions => member(&there.changed, package),
                    FamilyKind::Names => member(&there.removed, &from) && member(&there.added, &to),
                };
                prop_assert!(listed, "{family:?}");
            }
        }
        let json = serde_json::to_string(&there).unwrap();
        prop_assert_eq!(serde_json::from_str::<ClosureDiff>(&json).unwrap(), there);
    }

    #[test]
    fn the_sides_are_alike((plan, facts, selected) in scenes()) {
        let all = known(&plan, &facts, |_| true);
        let graph = graph(&plan);
        let closures = graph.closures([&root(&plan, 0), &root(&plan, 1)]).unwrap();
        let chosen = selected.each_ref().map(|names| selection(&graph, names));
        let [before, after] = [0, 1].map(|n| Side { closure: closures.at(n), selected: &chosen[n] });
        let there = diff(before, after, &all);
        let back = diff(after, before, &all);
        prop_assert_eq!(unexplained(back.clone()), swapped(&unexplained(there.clone())));
        prop_assert!(diff(before, before, &all).is_empty() && diff(after, after, &all).is_empty());

        // Nothing stays from one comparison to the next but what is true of all.
        let mut differ = Differ::new(&graph, &all);
        prop_assert_eq!(differ.diff(after, before), back);
        prop_assert_eq!(&differ.diff(before, after), &there);

        // Who knows of what differs alone comes to the same result.
        let [old, new] = [0, 1].map(|root| reachable(&plan, root));
        let some = known(&plan, &facts, |number| old.contains(&number) != new.contains(&number));
        prop_assert_eq!(diff(before, after, &some), there);
    }

    #[test]
    fn what_is_only_rebuilt_moves_by_nothing_that_is_known_of_it(
        (names, facts, known) in proptest::collection::vec(name(), 1..24).prop_flat_map(|names| {
            let facts = facts(names.len());
            let known = proptest::collection::vec(any::<[bool; 3]>(), names.len());
            (Just(names), facts, known)
        }),
    ) {
        // Each name once on both sides or once on either, and then known of either or not; what is known goes by the name.
        let mut plan: Plan = vec![("etc".to_owned(), 1, vec![]), ("etc".to_owned(), 1, vec![])];
        let mut some = Vec::new();
        for (name, [shared, old, new]) in names.iter().zip(&known) {
            let first = names.iter().position(|same| same == name).unwrap();
            let sides: &[(&[usize], bool)] = if *shared { &[(&[0, 1], *old)] } else { &[(&[0], *old), (&[1], *new)] };
            for (roots, known) in sides {
                for root in *roots {
                    let number = plan.len();
                    plan[*root].2.push(number);
                }
                plan.push((name.clone(), 1, vec![]));
                some.push(facts[first].clone().filter(|_| *known));
            }
        }
        some.splice(0..0, [None, None]);
        let graph = graph(&plan);
        let closures = graph.closures([&root(&plan, 0), &root(&plan, 1)]).unwrap();
        let none = Selection::default();
        let [before, after] = [0, 1].map(|n| Side { closure: closures.at(n), selected: &none });
        let there = diff(before, after, &self::known(&plan, &some, |_| true));
        for list in [&there.changed, &there.added, &there.removed] {
            prop_assert!(list.is_empty(), "{list:?}");
        }
    }

    #[test]
    fn without_facts_looks_and_rules_tell_all(plan in plans(), selected in selections()) {
        let graph = graph(&plan);
        let closures = graph.closures([&root(&plan, 0), &root(&plan, 1)]).unwrap();
        let chosen = selected.each_ref().map(|names| selection(&graph, names));
        let [before, after] = [0, 1].map(|n| Side { closure: closures.at(n), selected: &chosen[n] });
        let there = diff(before, after, &Facts::default());
        let sides = [0, 1].map(|root| reachable(&plan, root));
        let parse = |number: usize| PackageName::parse(&plan[number].0);
        for entry in there.entries() {
            for (side, groups) in sides.iter().zip([&entry.before, &entry.after]) {
                // Every path of the name is there, in the group of its version, whether or not it differs.
                let mut expected = BTreeMap::<Option<&str>, BTreeSet<StorePath>>::new();
                for number in side.iter().filter(|n| parse(**n).package() == entry.name) {
                    expected.entry(parse(*number).version).or_default().insert(root(&plan, *number));
                }
                let found = groups.iter().map(|group| (group.version.as_deref(), group.paths.iter().cloned().collect()));
                prop_assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
            }
        }
        let gone = |entry: &Entry| (entry.before.is_empty(), entry.after.is_empty());
        prop_assert!(there.added.iter().all(|entry| gone(entry) == (true, false)));
        prop_assert!(there.removed.iter().all(|entry| gone(entry) == (false, true)));
        for entry in [&there.changed, &there.rebuilt, &there.selection].into_iter().flatten() {
            prop_assert_eq!(gone(entry), (false, false));
        }
        let versions = |groups: &[VersionGroup]| groups.iter().map(|group| group.version.clone()).collect::<Vec<_>>();
        for entry in there.rebuilt.iter().chain(&there.selection) {
            prop_assert_eq!(versions(&entry.before), versions(&entry.after));
        }
        for entry in there.changed.iter().filter(|entry| entry.change != Change::Changed) {
            prop_assert!(versions(&entry.before).iter().all(|version| !versions(&entry.after).contains(version)));
        }
        // The user's own choice is never silent.
        for name in ["a", "b"] {
            let chosen = [0, 1].map(|n| selected[n].iter().any(|chosen| chosen == name));
            let present = |side: &BTreeSet<usize>| side.iter().any(|n| parse(*n).package() == name);
            if chosen[0] != chosen[1] && sides.iter().all(present) {
                let said = there.changed.iter().chain(&there.selection).find(|entry| entry.name == name);
                let state = Selected::new(chosen[0], chosen[1]);
                prop_assert_eq!(said.map(|entry| entry.selected), Some(state));
            }
        }
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
