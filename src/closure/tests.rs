//! The room as a whole: graphs of few and of many paths, and what `diff` makes of them.

use super::*;

/// Returns the path of a made-up store that is told from others of the same name by `salt`.
pub(super) fn path(salt: usize, name: &str) -> String {
    let alphabet: Vec<char> = "0123456789abcdfghijklmnpqrsvwxyz".chars().collect();
    let digest: String = (0..32u32)
        .rev()
        .map(|place| alphabet[salt.checked_shr(5 * place).unwrap_or(0) % 32])
        .collect();
    format!("/tmp/x/nix/store/{digest}-{name}")
}

pub(super) fn store_path(salt: usize, name: &str) -> StorePath {
    StorePath::parse(&path(salt, name)).unwrap()
}

/// The paths of a test by number: name, size and the numbers it refers to.
pub(super) type Plan = Vec<(String, u64, Vec<usize>)>;

pub(super) fn plan(paths: &[(&str, u64, &[usize])]) -> Plan {
    paths
        .iter()
        .map(|(name, size, references)| ((*name).to_owned(), *size, references.to_vec()))
        .collect()
}

pub(super) fn texts(plan: &Plan) -> Vec<String> {
    plan.iter()
        .enumerate()
        .map(|(salt, (name, ..))| path(salt, name))
        .collect()
}

pub(super) fn records<'a>(plan: &Plan, texts: &'a [String]) -> Vec<Record<'a>> {
    plan.iter()
        .zip(texts)
        .map(|((_, nar_size, references), path)| Record {
            path,
            nar_size: *nar_size,
            deriver: None,
            references: references.iter().map(|to| texts[*to].as_str()).collect(),
        })
        .collect()
}

pub(super) fn graph(plan: &Plan) -> Graph {
    Graph::from_records(records(plan, &texts(plan))).unwrap()
}

pub(super) fn root(plan: &Plan, number: usize) -> StorePath {
    store_path(number, &plan[number].0)
}

/// Diffs path 0 against path 1 of a plan; `selected` are the names on each side.
fn diff_of(plan: &Plan, selected: [&[&str]; 2]) -> ClosureDiff {
    let graph = graph(plan);
    let closures = graph.closures([&root(plan, 0), &root(plan, 1)]).unwrap();
    let [before, after] = selected.map(|names| names.iter().copied().collect::<Selection>());
    diff(
        Side {
            closure: closures.at(0),
            selected: &before,
        },
        Side {
            closure: closures.at(1),
            selected: &after,
        },
        &Facts::default(),
    )
}

/// Returns a line for each entry, after the name of its list.
fn summary(diff: &ClosureDiff) -> String {
    let side = |groups: &[VersionGroup]| {
        let groups = groups.iter().map(|group| {
            let version = group.version.as_deref().unwrap_or("<none>");
            format!("{version} x{}", group.paths.len())
        });
        groups.collect::<Vec<_>>().join(", ")
    };
    let lists = [
        ("changed", &diff.changed),
        ("added", &diff.added),
        ("removed", &diff.removed),
        ("selection", &diff.selection),
        ("rebuilt", &diff.rebuilt),
        ("configuration", &diff.configuration),
    ];
    let mut lines = Vec::new();
    for (list, entries) in lists {
        for entry in entries {
            let Entry {
                name,
                before,
                after,
                change,
                selected,
                size_delta,
                cause,
                own: _,
                via: _,
            } = entry;
            let (before, after) = (side(before), side(after));
            let size_delta = size_delta.unwrap();
            let cause = cause.map(|cause| format!(" {cause:?}")).unwrap_or_default();
            lines.push(format!(
                "{list}: {name} [{before}] -> [{after}] {change} {selected} {size_delta:+}{cause}"
            ));
        }
    }
    lines.push(format!(
        "+{} -{} {:+}",
        diff.paths_added.unwrap(),
        diff.paths_removed.unwrap(),
        diff.size_delta.unwrap()
    ));
    lines.join("\n")
}

#[test]
fn every_kind_of_change_has_its_place() {
    let plan = plan(&[
        ("system", 1, &[2, 3, 4, 5, 6, 7, 12, 14, 16, 18]),
        ("system", 1, &[2, 3, 8, 9, 10, 11, 13, 15, 17, 19]),
        ("glibc-2.40-66", 1000, &[2]),
        ("same-1.0", 10, &[2]),
        ("up-1.9", 10, &[2]),
        ("down-1.9", 10, &[2]),
        ("gone-1.0", 7, &[]),
        ("rebuilt-1.0", 10, &[2]),
        ("up-1.10", 15, &[2]),
        ("down-1.8", 10, &[2]),
        ("rebuilt-1.0", 9, &[2]),
        ("new", 8, &[]),
        ("both-1.0-2", 1, &[]),
        ("both-1.0.2", 1, &[]),
        ("Mixed-2", 1, &[]),
        ("Mixed-3", 1, &[14, 16]),
        ("Mixed-4", 1, &[]),
        ("picked-2", 1, &[]),
        ("picked-2", 1, &[]),
        ("twice-1.0", 1, &[20]),
        ("twice-1.0", 1, &[21]),
        ("twice", 1, &[]),
    ]);
    let diff = diff_of(
        &plan,
        [
            &["up", "same", "gone", "elsewhere"],
            &["up", "new", "picked", "glibc"],
        ],
    );
    insta::assert_snapshot!(summary(&diff), @"
    changed: Mixed [2 x1, 4 x1] -> [2 x1, 3 x1, 4 x1] changed no +1
    changed: both [1.0-2 x1] -> [1.0.2 x1] changed no +0
    changed: down [1.9 x1] -> [1.8 x1] downgraded no +0
    changed: up [1.9 x1] -> [1.10 x1] upgraded yes +5
    added: new [] -> [<none> x1] added newly +8
    added: twice [] -> [<none> x1, 1.0 x2] added no +3
    removed: gone [1.0 x1] -> [] removed no-longer -7
    selection: glibc [2.40-66 x1] -> [2.40-66 x1] changed newly +0
    selection: picked [2 x1] -> [2 x1] changed newly +0
    selection: same [1.0 x1] -> [1.0 x1] changed no-longer +0
    rebuilt: picked [2 x1] -> [2 x1] rebuilt newly +0 Unknown
    rebuilt: rebuilt [1.0 x1] -> [1.0 x1] rebuilt no -1 Unknown
    rebuilt: system [<none> x1] -> [<none> x1] rebuilt no +0 Unknown
    +11 -7 +9
    ");
}

#[test]
fn the_json_is_the_documented_one() {
    let plan = plan(&[
        ("root", 1, &[2, 3]),
        ("root", 1, &[4, 5, 6]),
        ("a", 10, &[]),
        ("b", 10, &[]),
        ("a-1", 20, &[]),
        ("a-1", 21, &[]),
        ("b", 10, &[]),
    ]);
    let diff = diff_of(&plan, [&["a"], &[]]);
    let json = serde_json::to_string_pretty(&diff).unwrap();
    assert_eq!(serde_json::from_str::<ClosureDiff>(&json).unwrap(), diff);
    insta::assert_snapshot!(json, @r#"
    {
      "changed": [
        {
          "name": "a",
          "before": [
            {
              "version": null,
              "outputs": [
                "out"
              ],
              "paths": [
                "/tmp/x/nix/store/00000000000000000000000000000002-a"
              ]
            }
          ],
          "after": [
            {
              "version": "1",
              "outputs": [
                "out"
              ],
              "paths": [
                "/tmp/x/nix/store/00000000000000000000000000000004-a-1",
                "/tmp/x/nix/store/00000000000000000000000000000005-a-1"
              ]
            }
          ],
          "change": "upgraded",
          "selected": "no-longer",
          "size_delta": 31,
          "own": null,
          "via": null
        }
      ],
      "added": [],
      "removed": [],
      "selection": [],
      "rebuilt": [
        {
          "name": "b",
          "before": [
            {
              "version": null,
              "outputs": [
                "out"
              ],
              "paths": [
                "/tmp/x/nix/store/00000000000000000000000000000003-b"
              ]
            }
          ],
          "after": [
            {
              "version": null,
              "outputs": [
                "out"
              ],
              "paths": [
                "/tmp/x/nix/store/00000000000000000000000000000006-b"
              ]
            }
          ],
          "change": "rebuilt",
          "selected": "no",
          "size_delta": 0,
          "cause": "unknown",
          "own": null,
          "via": null
        },
        {
          "name": "root",
          "before": [
            {
              "version": null,
              "outputs": [
                "out"
              ],
              "paths": [
                "/tmp/x/nix/store/00000000000000000000000000000000-root"
              ]
            }
          ],
          "after": [
            {
              "version": null,
              "outputs": [
                "out"
              ],
              "paths": [
                "/tmp/x/nix/store/00000000000000000000000000000001-root"
              ]
            }
          ],
          "change": "rebuilt",
          "selected": "no",
          "size_delta": 0,
          "cause": "unknown",
          "own": null,
          "via": null
        }
      ],
      "configuration": [],
      "families": [],
      "paths_added": 4,
      "paths_removed": 3,
      "size_delta": 31
    }
    "#);
}

#[test]
fn the_words_of_the_json_are_those_of_the_types() {
    use Change::{Added, Changed, Downgraded, Rebuilt, Removed, Upgraded};
    for change in [Upgraded, Downgraded, Changed, Added, Removed, Rebuilt] {
        assert_eq!(serde_json::to_value(change).unwrap(), change.as_str());
    }
    for selected in [
        Selected::No,
        Selected::Yes,
        Selected::Newly,
        Selected::NoLonger,
    ] {
        assert_eq!(serde_json::to_value(selected).unwrap(), selected.as_str());
    }
}

#[test]
fn versions_move_as_nvd_says() {
    // nvd compares by value and does not show these at all; a change of text is never hidden here.
    let shown_here = ["1.0-2", "1.0", "1.01", "2024-01-01", "1.2.3+git"];
    let mut rows = 0;
    for line in include_str!("../../fixtures/closure/version-pairs.txt").lines() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        rows += 1;
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [old, new, _want, _nix, nvd, _dix] = columns[..] else {
            panic!("{line}");
        };
        let name = |version: &str| match version {
            "" => "x".to_owned(),
            version => format!("x-{version}"),
        };
        let plan: Plan = vec![(name(old), 1, vec![]), (name(new), 1, vec![])];
        let diff = diff_of(&plan, [&[], &[]]);
        let ours = match diff.changed.as_slice() {
            [] => "=",
            [
                Entry {
                    change: Change::Upgraded,
                    ..
                },
            ] => "U",
            [
                Entry {
                    change: Change::Downgraded,
                    ..
                },
            ] => "D",
            [
                Entry {
                    change: Change::Changed,
                    ..
                },
            ] => "C",
            other => panic!("{other:?}"),
        };
        let expected = match nvd {
            "=" => {
                assert!(shown_here.contains(&old), "{line}");
                "C"
            }
            nvd => nvd,
        };
        assert_eq!(ours, expected, "{line}");
    }
    assert_eq!(rows, 34);
}

#[test]
fn one_side_alone_is_all_new_or_all_gone() {
    let plan = plan(&[("root-1", 1, &[1]), ("lib-1", 5, &[])]);
    let graph = graph(&plan);
    let closures = graph.closures([&root(&plan, 0)]).unwrap();
    let selected = ["lib"].into_iter().collect();
    let none = Selection::default();
    let there = Side {
        closure: closures.at(0),
        selected: &selected,
    };
    let nothing = Side {
        closure: None,
        selected: &none,
    };
    insta::assert_snapshot!(summary(&diff(nothing, there, &Facts::default())), @"
    added: lib [] -> [1 x1] added newly +5
    added: root [] -> [1 x1] added no +1
    +2 -0 +6
    ");
    insta::assert_snapshot!(summary(&diff(there, nothing, &Facts::default())), @"
    removed: lib [1 x1] -> [] removed no-longer -5
    removed: root [1 x1] -> [] removed no -1
    +0 -2 -6
    ");
    assert!(diff(nothing, nothing, &Facts::default()).is_empty());
    assert!(closures.at(1).is_none());
}

#[test]
fn selected_are_the_names_of_direct_references() {
    let plan = plan(&[
        ("system-path", 1, &[0, 1, 2, 3]),
        ("git-2.47.0", 1, &[4]),
        ("git-2.47.0-doc", 1, &[]),
        ("etc", 1, &[]),
        ("curl-8.0", 1, &[]),
    ]);
    let graph = graph(&plan);
    let closures = graph.closures([&root(&plan, 0)]).unwrap();
    let selected = closures.at(0).unwrap().selection(&[]);
    assert_eq!(
        selected.names().collect::<Vec<_>>(),
        ["etc", "git", "system-path"]
    );
    assert!(selected.contains("git") && !selected.contains("curl"));
}

#[test]
fn a_root_without_a_record_is_an_error() {
    let plan = plan(&[("a", 1, &[])]);
    let absent = store_path(7, "b");
    let error = graph(&plan)
        .closures([&root(&plan, 0), &absent])
        .unwrap_err();
    insta::assert_snapshot!(error, @"there is no record of /tmp/x/nix/store/00000000000000000000000000000007-b");
}

#[test]
fn a_reference_without_a_record_is_an_error() {
    let plan = plan(&[("a", 1, &[1]), ("b", 1, &[2]), ("c", 1, &[])]);
    let texts = texts(&plan);
    let mut records = records(&plan, &texts);
    records.pop();
    let error = Graph::from_records(records).unwrap_err();
    insta::assert_snapshot!(error, @"/tmp/x/nix/store/00000000000000000000000000000001-b refers to /tmp/x/nix/store/00000000000000000000000000000002-c, of which there is no record");
}

#[test]
fn circles_are_an_error_that_names_one_of_them() {
    // 0 leads into the circle of 1 and 2, which leads to 3.
    let plan = plan(&[
        ("a", 1, &[1]),
        ("b", 1, &[2]),
        ("c", 1, &[1, 3]),
        ("d", 1, &[3]),
    ]);
    let error = Graph::from_records(records(&plan, &texts(&plan))).unwrap_err();
    let GraphError::Cycle { path } = &error else {
        panic!("{error}")
    };
    assert!([root(&plan, 1), root(&plan, 2)].contains(path), "{path}");
}

#[test]
fn repeated_records_must_agree() {
    let plan = plan(&[("a", 1, &[1, 0]), ("b", 1, &[])]);
    let texts = texts(&plan);
    let all = || records(&plan, &texts);
    let again = |change: fn(&mut Record<'_>)| {
        let mut twice = all();
        let mut more = all();
        more.iter_mut().for_each(change);
        twice.append(&mut more);
        Graph::from_records(twice)
    };
    assert_eq!(again(|_| ()).unwrap().len(), 2);
    assert_eq!(
        again(|record| record.references.reverse()).unwrap().len(),
        2
    );
    let contradiction = Err(GraphError::Contradiction {
        path: root(&plan, 0),
    });
    assert_eq!(
        again(|record| record.nar_size = 2).map(|_| ()),
        contradiction
    );
    assert_eq!(
        again(|record| record.references.truncate(1)).map(|_| ()),
        contradiction
    );
}

#[test]
fn malformed_paths_are_refused_wherever_they_stand() {
    let good = path(1, "a");
    let bad = "/nix/store/a";
    let record = |path, deriver, references: &[&'static str]| {
        let record = Record {
            path,
            nar_size: 1,
            deriver,
            references: references.to_vec(),
        };
        Graph::from_records([record]).map(|graph| graph.len())
    };
    assert_eq!(record(&good, None, &[]), Ok(1));
    for error in [
        record(bad, None, &[]),
        record(&good, Some(bad), &[]),
        record(&good, None, &[bad]),
    ] {
        assert!(matches!(error, Err(GraphError::Path(_))), "{error:?}");
    }
}

#[test]
fn a_graph_answers_about_its_paths() {
    let plan = plan(&[("a", 3, &[1, 0]), ("b", 4, &[])]);
    let texts = texts(&plan);
    let deriver = path(9, "a.drv");
    let mut records = records(&plan, &texts);
    records[0].deriver = Some(&deriver);
    records.reverse();
    let graph = Graph::from_records(records).unwrap();
    let [a, b] = [0, 1].map(|number| graph.id(&root(&plan, number)).unwrap());
    assert_eq!(graph.ids().collect::<Vec<_>>(), [a, b]);
    assert_eq!(graph.references(a).collect::<Vec<_>>(), [a, b]);
    assert_eq!(
        graph.deriver(a).map(StorePath::as_str),
        Some(deriver.as_str())
    );
    assert_eq!((graph.deriver(b), graph.nar_size(b)), (None, Some(4)));
    assert_eq!(graph.id(&store_path(9, "a.drv")), None);
    assert_eq!(
        graph.path(b).map(StorePath::as_str),
        Some(texts[1].as_str())
    );
    assert!(!graph.is_empty() && Graph::from_records([]).unwrap().is_empty());
}

#[test]
fn sizes_beyond_the_numbers_stop_at_their_limits() {
    let plan = plan(&[
        ("r-1", u64::MAX, &[2]),
        ("r-2", 1, &[]),
        ("big", u64::MAX, &[]),
    ]);
    let there = diff_of(&plan, [&[], &[]]);
    assert_eq!(there.size_delta, Some(-i64::MAX));
    assert_eq!(there.removed[0].size_delta, Some(-i64::MAX));
}

/// A chain as long as a fleet's store is big: what recurses per path overflows the stack here.
#[test]
fn depth_costs_no_stack() {
    let count = 100_000;
    let plan: Plan = (0..count)
        .map(|n| {
            (
                "p-1".to_owned(),
                1,
                if n + 1 < count { vec![n + 1] } else { vec![] },
            )
        })
        .collect();
    let graph = graph(&plan);
    let closures = graph.closures([&root(&plan, 1), &root(&plan, 0)]).unwrap();
    let lens = [0, 1].map(|index| closures.at(index).unwrap().len());
    assert_eq!(lens, [count - 1, count]);
}

/// Seventy roots need two words a path.
#[test]
fn many_roots_are_told_apart() {
    let plan: Plan = (0..70)
        .map(|n| {
            (
                format!("host-{n}"),
                1 << (n % 8),
                if n < 69 { vec![n + 1] } else { vec![] },
            )
        })
        .collect();
    let graph = graph(&plan);
    let roots: Vec<StorePath> = (0..70).map(|number| root(&plan, number)).collect();
    let closures = graph.closures(&roots).unwrap();
    for (index, root) in roots.iter().enumerate() {
        let closure = closures.at(index).unwrap();
        assert_eq!(closure.len(), 70 - index);
        assert_eq!(graph.path(closure.root()), Some(root));
        assert_eq!(
            closure.nar_size(),
            (index..70).map(|n| 1 << (n % 8)).sum::<u64>()
        );
        assert_eq!(closures.of(root).unwrap().ids().count(), 70 - index);
    }
}
