//! The room as a whole: graphs of few and of many paths, and what `diff` makes of them.

use std::sync::Arc;

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

/// Selects all paths that look like packages of these names.
pub(super) fn selection<S: AsRef<str>>(graph: &Graph, names: &[S]) -> Selection {
    let known = names
        .iter()
        .filter_map(|name| graph.names().find(name.as_ref()));
    Selection(known.flat_map(|name| graph.names().paths(name)).collect())
}

/// Diffs path 0 against path 1 of a plan; `selected` are the names on each side.
fn diff_of(plan: &Plan, selected: [&[&str]; 2]) -> ClosureDiff {
    let graph = graph(plan);
    let closures = graph.closures([&root(plan, 0), &root(plan, 1)]).unwrap();
    let [before, after] = selected.map(|names| selection(&graph, names));
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
            let outputs = match group.outputs.join(" ").as_str() {
                "out" => String::new(),
                outputs => format!(" ({outputs})"),
            };
            format!("{version}{outputs} x{}", group.paths.len())
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
          "change": "changed",
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
      "configuration": [
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
          "change": "changed",
          "selected": "no",
          "size_delta": 0,
          "own": null,
          "via": null
        }
      ],
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

/// Diffs systems that differ in the named paths and share others; a line for each entry.
fn diff_of_names(before: &[&str], after: &[&str], shared: &[&str]) -> String {
    let names = [before, after, shared].concat();
    let all = |range: std::ops::Range<usize>| range.map(|at| at + 2).collect::<Vec<_>>();
    let (mid, end) = (before.len(), before.len() + after.len());
    let both = all(end..names.len());
    let mut plan: Plan = vec![
        ("etc".to_owned(), 0, [all(0..mid), both.clone()].concat()),
        ("etc".to_owned(), 0, [all(mid..end), both].concat()),
    ];
    plan.extend(names.iter().map(|name| ((*name).to_owned(), 1, Vec::new())));
    let text = summary(&diff_of(&plan, [&[], &[]]));
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("configuration: etc ["));
    let mut lines: Vec<&str> = lines.collect();
    lines.pop();
    lines.join("; ")
}

#[test]
fn versions_outputs_and_counts_tell_what_a_change_is() {
    let table: [(&[&str], &[&str], &[&str]); 19] = [
        (&["a-1.0"], &["a-1.1"], &[]),
        (&["a-1.10"], &["a-1.9"], &[]),
        (&["a-1.0-2"], &["a-1.0.2"], &[]),
        (&["a-1.0"], &["a-1.1", "a-1.2"], &[]),
        (&["a-1.0"], &["a-3.0"], &["a-2.0"]),
        (&["a-1.0", "a-1.1"], &["a-1.2", "a-1.3"], &[]),
        (&["a-1.0", "a-1.0"], &["a-1.0"], &[]),
        (&["a-1.0"], &[], &["a-1.0"]),
        (&["a-1.0", "a-1.0"], &["a-1.1"], &[]),
        (&["a"], &["a-1.0"], &[]),
        // Outputs are of one build, and do not move a version.
        (&["a-1.0", "a-1.0-dev"], &["a-1.1", "a-1.1-dev"], &[]),
        (&["a-1.0", "a-1.0-dev"], &["a-1.1", "a-1.1-lib"], &[]),
        (&["a-1.0", "a-1.0-dev"], &["a-1.0", "a-1.0-dev"], &[]),
        (&["a-1.0", "a-1.0-dev"], &["a-1.0"], &[]),
        (&["a-1.0-dev"], &[], &["a-1.0"]),
        (&["a-1.0-dev"], &["a-1.0-doc"], &["a-1.0"]),
        (&["a-1.0-dev"], &["a-1.0"], &[]),
        (&["a-1.0", "a-1.0", "a-1.0-dev"], &["a-1.0-dev"], &["a-1.0"]),
        // A variant is another package.
        (&["a-1.0"], &["a-1.0-env"], &[]),
    ];
    let lines = table.map(|(before, after, shared)| {
        let text = |names: &[&str]| names.join(" ");
        let shared_text = match shared {
            [] => String::new(),
            shared => format!(" (both: {})", text(shared)),
        };
        let found = diff_of_names(before, after, shared);
        format!(
            "{} => {}{shared_text}\n    {found}",
            text(before),
            text(after)
        )
    });
    insta::assert_snapshot!(lines.join("\n"), @"
    a-1.0 => a-1.1
        changed: a [1.0 x1] -> [1.1 x1] upgraded no +0
    a-1.10 => a-1.9
        changed: a [1.10 x1] -> [1.9 x1] downgraded no +0
    a-1.0-2 => a-1.0.2
        changed: a [1.0-2 x1] -> [1.0.2 x1] changed no +0
    a-1.0 => a-1.1 a-1.2
        changed: a [1.0 x1] -> [1.1 x1, 1.2 x1] upgraded no +1
    a-1.0 => a-3.0 (both: a-2.0)
        changed: a [1.0 x1, 2.0 x1] -> [2.0 x1, 3.0 x1] changed no +0
    a-1.0 a-1.1 => a-1.2 a-1.3
        changed: a [1.0 x1, 1.1 x1] -> [1.2 x1, 1.3 x1] upgraded no +0
    a-1.0 a-1.0 => a-1.0
        changed: a [1.0 x2] -> [1.0 x1] changed no -1
    a-1.0 =>  (both: a-1.0)
        changed: a [1.0 x2] -> [1.0 x1] changed no -1
    a-1.0 a-1.0 => a-1.1
        changed: a [1.0 x2] -> [1.1 x1] upgraded no -1
    a => a-1.0
        changed: a [<none> x1] -> [1.0 x1] changed no +0
    a-1.0 a-1.0-dev => a-1.1 a-1.1-dev
        changed: a [1.0 (dev out) x2] -> [1.1 (dev out) x2] upgraded no +0
    a-1.0 a-1.0-dev => a-1.1 a-1.1-lib
        changed: a [1.0 (dev out) x2] -> [1.1 (lib out) x2] upgraded no +0
    a-1.0 a-1.0-dev => a-1.0 a-1.0-dev
        rebuilt: a [1.0 (dev out) x2] -> [1.0 (dev out) x2] rebuilt no +0 Unknown
    a-1.0 a-1.0-dev => a-1.0
        rebuilt: a [1.0 (dev out) x2] -> [1.0 x1] rebuilt no -1 Unknown
    a-1.0-dev =>  (both: a-1.0)
        changed: a [1.0 (dev out) x2] -> [1.0 x1] changed no -1
    a-1.0-dev => a-1.0-doc (both: a-1.0)
        changed: a [1.0 (dev out) x2] -> [1.0 (doc out) x2] changed no +0
    a-1.0-dev => a-1.0
        changed: a [1.0 (dev) x1] -> [1.0 x1] changed no +0
    a-1.0 a-1.0 a-1.0-dev => a-1.0-dev (both: a-1.0)
        changed: a [1.0 (dev out) x4] -> [1.0 (dev out) x2] changed no -2
    a-1.0 => a-1.0-env
        added: a-env [] -> [1.0 x1] added no +1; removed: a [1.0 x1] -> [] removed no -1
    ");
}

#[test]
fn configuration_stands_apart_from_packages() {
    let plan = plan(&[
        (
            "nixos-system-web-01-25.05.20250101.abcdef1",
            1,
            &[2, 4, 6, 8],
        ),
        (
            "nixos-system-web-01-25.05.20250201.1234567",
            1,
            &[3, 5, 7, 9, 10],
        ),
        ("system-path", 1, &[11, 13]),
        ("system-path", 1, &[12, 14, 15]),
        ("unit-nginx.service", 1, &[]),
        ("unit-nginx.service", 1, &[]),
        ("stage-2-init.sh", 1, &[]),
        ("stage-2-init.sh", 1, &[]),
        ("X-Restart-Triggers-a", 1, &[]),
        ("X-Restart-Triggers-b", 1, &[]),
        ("initrd-linux-6.6.1", 1, &[]),
        ("steam", 1, &[]),
        ("steam", 1, &[]),
        ("nixos-version", 1, &[]),
        ("nixos-version", 1, &[]),
        ("helper", 1, &[]),
    ]);
    let selected: [&[&str]; 2] = [
        &["steam", "nixos-version"],
        &["steam", "nixos-version", "helper"],
    ];
    insta::assert_snapshot!(summary(&diff_of(&plan, selected)), @"
    added: helper [] -> [<none> x1] added newly +1
    added: initrd-linux [] -> [6.6.1 x1] added no +1
    rebuilt: steam [<none> x1] -> [<none> x1] rebuilt yes +0 Unknown
    configuration: X-Restart-Triggers-a [<none> x1] -> [] removed no -1
    configuration: X-Restart-Triggers-b [] -> [<none> x1] added no +1
    configuration: nixos-system-web-01 [25.05.20250101.abcdef1 x1] -> [25.05.20250201.1234567 x1] changed no +0
    configuration: nixos-version [<none> x1] -> [<none> x1] changed yes +0
    configuration: stage-2-init.sh [<none> x1] -> [<none> x1] changed no +0
    configuration: system-path [<none> x1] -> [<none> x1] changed no +0
    configuration: unit-nginx.service [<none> x1] -> [<none> x1] changed no +0
    +9 -7 +2
    ");
}

#[test]
fn the_root_is_shown_unless_only_its_label_moved() {
    let table = [
        [
            "nixos-system-web-01-25.05.20250101.abcdef1",
            "nixos-system-web-01-25.05.20250201.1234567",
        ],
        [
            "nixos-system-web-01-25.05.20250101.abcdef1",
            "nixos-system-web-01-25.11.20251201.1234567",
        ],
        [
            "nixos-system-web-01-25.11.20251201.1234567",
            "nixos-system-web-01-25.05.20250101.abcdef1",
        ],
        [
            "nixos-system-a-25.05.20250101.abcdef1",
            "nixos-system-b-25.11.20250201.1234567",
        ],
        [
            "darwin-system-25.05.20250101",
            "darwin-system-25.05.20250201",
        ],
        ["home-manager-generation", "home-manager-generation"],
        ["hello-2.12", "hello-2.13"],
        ["hello", "hello"],
        ["hello", "world"],
    ]
    .map(|[before, after]| {
        let plan = plan(&[(before, 1, &[]), (after, 1, &[])]);
        let text = summary(&diff_of(&plan, [&[], &[]]));
        text.lines()
            .filter(|line| line.contains(": "))
            .collect::<Vec<_>>()
            .join("\n")
    });
    insta::assert_snapshot!(table.join("\n"), @"
    configuration: nixos-system-web-01 [25.05.20250101.abcdef1 x1] -> [25.05.20250201.1234567 x1] changed no +0
    changed: nixos-system-web-01 [25.05.20250101.abcdef1 x1] -> [25.11.20251201.1234567 x1] upgraded no +0
    changed: nixos-system-web-01 [25.11.20251201.1234567 x1] -> [25.05.20250101.abcdef1 x1] downgraded no +0
    configuration: nixos-system-a [25.05.20250101.abcdef1 x1] -> [] removed no -1
    configuration: nixos-system-b [] -> [25.11.20250201.1234567 x1] added no +1
    configuration: darwin-system [25.05.20250101 x1] -> [25.05.20250201 x1] changed no +0
    configuration: home-manager-generation [<none> x1] -> [<none> x1] changed no +0
    changed: hello [2.12 x1] -> [2.13 x1] upgraded no +0
    rebuilt: hello [<none> x1] -> [<none> x1] rebuilt no +0 Unknown
    added: world [] -> [<none> x1] added no +1
    removed: hello [<none> x1] -> [] removed no -1
    ");
}

/// A recipe of a package with patches, each of which is its own content.
fn recipe(pname: &str, version: &str, patches: &[&str]) -> Recipe {
    let patches = patches
        .iter()
        .map(|name| ((*name).to_owned(), (*name).to_owned()));
    Recipe {
        pname: Some(pname.to_owned()),
        version: Some(version.to_owned()),
        patches: patches.collect(),
        ..Recipe::default()
    }
}

/// Diffs path 0 against path 1 of a plan, knowing of some of its paths the output and the recipe.
fn diff_knowing(plan: &Plan, known: &[(usize, &str, Recipe)]) -> ClosureDiff {
    let graph = graph(plan);
    let closures = graph.closures([&root(plan, 0), &root(plan, 1)]).unwrap();
    let mut facts = Facts::default();
    for (number, output, recipe) in known {
        let (output, recipe) = ((*output).to_owned(), Arc::new(recipe.clone()));
        facts.insert(root(plan, *number), Fact { output, recipe });
    }
    let [before, after] = [0, 1].map(|at| closures.at(at).unwrap());
    let selected = [before, after].map(|closure| closure.selection(&[]));
    let [before, after] =
        [(before, &selected[0]), (after, &selected[1])].map(|(closure, selected)| Side {
            closure: Some(closure),
            selected,
        });
    diff(before, after, &facts)
}

#[test]
fn what_derivations_say_goes_before_what_names_look_like() {
    let plan = plan(&[
        ("etc", 1, &[2, 4, 6, 8, 10, 12, 13]),
        ("etc", 1, &[3, 5, 7, 9, 11, 12, 14]),
        // Known on both sides.
        ("font-7-1", 1, &[]),
        ("font-7-2", 1, &[]),
        // Known on one side: by its looks on both, beside a path that is on both sides or not.
        ("tool-8-1", 1, &[]),
        ("tool-8-2", 1, &[]),
        // A package where the name has no version.
        ("script", 1, &[]),
        ("script", 1, &[]),
        // An output that no list has.
        ("lib-1.0", 1, &[]),
        ("lib-1.1", 1, &[]),
        ("lib-1.0-odd", 1, &[]),
        ("lib-1.1-odd", 1, &[]),
        // On both sides: never by what is known.
        ("both-9-1", 1, &[]),
        ("both-9-2", 1, &[]),
        // Known on one side, and the other side has the name.
        ("font-7-1.5", 1, &[]),
    ]);
    let known = [
        (2, "out", recipe("font-7", "1", &[])),
        (3, "out", recipe("font-7", "2", &[])),
        (5, "out", recipe("tool-8", "2", &[])),
        (6, "out", recipe("script", "1", &[])),
        (7, "out", recipe("script", "2", &[])),
        (8, "out", recipe("lib", "1.0", &[])),
        (9, "out", recipe("lib", "1.1", &[])),
        (10, "odd", recipe("lib", "1.0", &[])),
        (11, "odd", recipe("lib", "1.1", &[])),
        (12, "out", recipe("both-9", "1", &[])),
        (13, "out", recipe("both-9", "2", &[])),
    ];
    insta::assert_snapshot!(summary(&diff_knowing(&plan, &known)), @"
    changed: both [9-1 x1, 9-2 x1] -> [9-1 x1] changed yes -1
    changed: font-7 [1 x1] -> [1.5 x1, 2 x1] upgraded yes +1
    changed: lib [1.0 (odd out) x2] -> [1.1 (odd out) x2] upgraded yes +0
    changed: script [1 x1] -> [2 x1] upgraded yes +0
    changed: tool [8-1 x1] -> [8-2 x1] upgraded yes +0
    configuration: etc [<none> x1] -> [<none> x1] changed no +0
    +7 -7 +0
    ");
}

#[test]
fn what_is_known_of_some_paths_of_a_package_moves_no_version() {
    // The names of two rebuilt paths and of one on both sides, and what the derivation of each of the two says.
    type Known = Option<(&'static str, Option<&'static str>)>;
    let dev: Known = Some(("out", Some("1.0-dev")));
    let script: Known = Some(("out", Some("1")));
    let table: [(&str, Option<&str>, [Known; 2]); 8] = [
        ("script", None, [script, script]),
        ("script", None, [None, script]),
        ("script", None, [script, None]),
        ("script", Some("script"), [script, script]),
        ("script", None, [script, Some(("out", None))]),
        ("a-1.0-dev", None, [dev, dev]),
        ("a-1.0-dev", None, [None, dev]),
        ("a-1.0-dev", Some("a-1.0"), [dev, dev]),
    ];
    let lines = table.map(|(name, shared, known)| {
        let mut plan = plan(&[
            ("root", 1, &[2]),
            ("root", 1, &[3]),
            (name, 1, &[]),
            (name, 1, &[]),
        ]);
        if let Some(shared) = shared {
            plan.push((shared.to_owned(), 1, Vec::new()));
            plan[0].2.push(4);
            plan[1].2.push(4);
        }
        let facts = known.iter().zip(2..).filter_map(|(known, number)| {
            let (output, version) = (*known)?;
            let recipe = Recipe {
                version: version.map(str::to_owned),
                ..Recipe::default()
            };
            Some((number, output, recipe))
        });
        let text = summary(&diff_knowing(&plan, &facts.collect::<Vec<_>>()));
        let lines = text.lines().filter(|line| !line.contains(": root ["));
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with('+')).collect();
        format!("{name} {shared:?} {known:?}\n    {}", lines.join("; "))
    });
    insta::assert_snapshot!(lines.join("\n"), @r#"
    script None [Some(("out", Some("1"))), Some(("out", Some("1")))]
        rebuilt: script [1 x1] -> [1 x1] rebuilt yes +0 Inputs
    script None [None, Some(("out", Some("1")))]
        rebuilt: script [<none> x1] -> [<none> x1] rebuilt yes +0 Unknown
    script None [Some(("out", Some("1"))), None]
        rebuilt: script [<none> x1] -> [<none> x1] rebuilt yes +0 Unknown
    script Some("script") [Some(("out", Some("1"))), Some(("out", Some("1")))]
        rebuilt: script [<none> x2] -> [<none> x2] rebuilt yes +0 Inputs
    script None [Some(("out", Some("1"))), Some(("out", None))]
        changed: script [1 x1] -> [<none> x1] changed yes +0
    a-1.0-dev None [Some(("out", Some("1.0-dev"))), Some(("out", Some("1.0-dev")))]
        rebuilt: a [1.0-dev x1] -> [1.0-dev x1] rebuilt yes +0 Inputs
    a-1.0-dev None [None, Some(("out", Some("1.0-dev")))]
        rebuilt: a [1.0 (dev) x1] -> [1.0 (dev) x1] rebuilt yes +0 Unknown
    a-1.0-dev Some("a-1.0") [Some(("out", Some("1.0-dev"))), Some(("out", Some("1.0-dev")))]
        rebuilt: a [1.0 (dev out) x2] -> [1.0 (dev out) x2] rebuilt yes +0 Inputs
    "#);
}

#[test]
fn a_rebuild_has_a_cause() {
    // Paths of one package before and after: output and patches where the derivation is known.
    type Paths = &'static [(&'static str, Option<&'static [&'static str]>)];
    let table: [(Paths, Paths); 12] = [
        (&[("out", Some(&[]))], &[("out", Some(&[]))]),
        (&[("out", Some(&[]))], &[("out", Some(&["a"]))]),
        (&[("out", Some(&["a"]))], &[("out", Some(&[]))]),
        (&[("out", Some(&[]))], &[("out", None)]),
        (&[("out", None)], &[("out", None)]),
        // All outputs are of one derivation, and one of them is enough to know.
        (
            &[("out", Some(&[])), ("dev", Some(&[]))],
            &[("out", Some(&["a"])), ("dev", Some(&["a"]))],
        ),
        (
            &[("out", Some(&[])), ("dev", None)],
            &[("out", Some(&["a"])), ("dev", Some(&["a"]))],
        ),
        (
            &[("out", Some(&[])), ("dev", None)],
            &[("out", Some(&[])), ("dev", Some(&[]))],
        ),
        (
            &[("out", Some(&[]))],
            &[("out", Some(&[])), ("dev", Some(&[]))],
        ),
        // Two builds of one version: which is which is guessed by likeness, and not where one is not known.
        (
            &[("out", Some(&["x"])), ("out", Some(&["y"]))],
            &[("out", Some(&["y"])), ("out", Some(&["x"]))],
        ),
        (
            &[("out", Some(&["x"])), ("out", Some(&["y"]))],
            &[("out", Some(&["y", "z"])), ("out", Some(&["x"]))],
        ),
        (
            &[("out", Some(&["x"])), ("out", None)],
            &[("out", Some(&["y"])), ("out", Some(&["x", "z"]))],
        ),
    ];
    let lines = table.map(|(before, after)| {
        let name = |output: &str| match output {
            "out" => "a-1.0".to_owned(),
            output => format!("a-1.0-{output}"),
        };
        let paths = [before, after].concat();
        let mut plan: Plan = vec![
            ("etc".to_owned(), 1, (2..2 + before.len()).collect()),
            (
                "etc".to_owned(),
                1,
                (2 + before.len()..2 + paths.len()).collect(),
            ),
        ];
        plan.extend(
            paths
                .iter()
                .map(|(output, _)| (name(output), 1, Vec::new())),
        );
        let known = paths
            .iter()
            .enumerate()
            .filter_map(|(at, (output, patches))| {
                Some((at + 2, *output, recipe("a", "1.0", (*patches)?)))
            });
        let diff = diff_knowing(&plan, &known.collect::<Vec<_>>());
        let [entry] = diff.rebuilt.as_slice() else {
            panic!("{diff:?}")
        };
        let own = entry
            .own
            .as_ref()
            .map(|own| (&own.patches_added, &own.patches_removed));
        format!(
            "{before:?} => {after:?}\n    {:?} {own:?}",
            entry.cause.unwrap()
        )
    });
    insta::assert_snapshot!(lines.join("\n"), @r#"
    [("out", Some([]))] => [("out", Some([]))]
        Inputs None
    [("out", Some([]))] => [("out", Some(["a"]))]
        Own Some((["a"], []))
    [("out", Some(["a"]))] => [("out", Some([]))]
        Own Some(([], ["a"]))
    [("out", Some([]))] => [("out", None)]
        Unknown None
    [("out", None)] => [("out", None)]
        Unknown None
    [("out", Some([])), ("dev", Some([]))] => [("out", Some(["a"])), ("dev", Some(["a"]))]
        Own Some((["a"], []))
    [("out", Some([])), ("dev", None)] => [("out", Some(["a"])), ("dev", Some(["a"]))]
        Own Some((["a"], []))
    [("out", Some([])), ("dev", None)] => [("out", Some([])), ("dev", Some([]))]
        Unknown None
    [("out", Some([]))] => [("out", Some([])), ("dev", Some([]))]
        Inputs None
    [("out", Some(["x"])), ("out", Some(["y"]))] => [("out", Some(["y"])), ("out", Some(["x"]))]
        Inputs None
    [("out", Some(["x"])), ("out", Some(["y"]))] => [("out", Some(["y", "z"])), ("out", Some(["x"]))]
        Own Some((["z"], []))
    [("out", Some(["x"])), ("out", None)] => [("out", Some(["y"])), ("out", Some(["x", "z"]))]
        Unknown None
    "#);
}

#[test]
fn an_upgrade_says_what_else_of_it_changed() {
    let plan = plan(&[
        ("etc", 1, &[2, 4, 6]),
        ("etc", 1, &[3, 5, 7, 8]),
        ("a-1.0", 1, &[]),
        ("a-1.1", 1, &[]),
        ("b-1.0", 1, &[]),
        ("b-1.1", 1, &[]),
        ("c-1.0", 1, &[]),
        ("c-1.1", 1, &[]),
        ("c-1.2", 1, &[]),
    ]);
    let known: Vec<(usize, &str, Recipe)> = [
        (2, "a", "1.0", &["old", "kept"][..]),
        (3, "a", "1.1", &["new", "kept"]),
        (4, "b", "1.0", &[]),
        (5, "b", "1.1", &[]),
        (6, "c", "1.0", &[]),
        (7, "c", "1.1", &["x"]),
        (8, "c", "1.2", &["x"]),
    ]
    .into_iter()
    .map(|(number, pname, version, patches)| (number, "out", recipe(pname, version, patches)))
    .collect();
    let diff = diff_knowing(&plan, &known);
    let own = diff.changed.iter().map(|entry| {
        let own = entry.own.as_ref();
        let own = own.map(|own| (own.patches_added.join(" "), own.patches_removed.join(" ")));
        (entry.name.as_str(), entry.cause, own)
    });
    let expected = Some(("new".to_owned(), "old".to_owned()));
    assert_eq!(
        own.collect::<Vec<_>>(),
        [("a", None, expected), ("b", None, None), ("c", None, None)]
    );
}

#[test]
fn big_newcomers_say_how_they_are_held() {
    const MIB: u64 = 1024 * 1024;
    let plan = plan(&[
        ("nixos-system-a-25.05", 1, &[]),
        ("nixos-system-a-25.05", 1, &[2, 3, 8]),
        ("etc", 1, &[4]),
        ("system-path", 1, &[5, 6]),
        ("unit-x.service", 1, &[6]),
        ("ide-1.0", 1, &[6, 7]),
        ("toolkit-1.0", 1, &[9]),
        ("small-1.0", MIB - 1, &[]),
        // Outputs of the newcomer itself are no reason.
        ("suite-1.0", 1, &[10]),
        ("engine-1.0-lib", MIB, &[]),
        ("suite-1.0-lib", 2 * MIB, &[]),
    ]);
    let diff = diff_of(&plan, [&[], &[]]);
    let via = diff.added.iter().map(|entry| {
        let way = entry.via.as_ref().map(|via| via.join(", "));
        format!("{}: {}", entry.name, way.unwrap_or("-".to_owned()))
    });
    insta::assert_snapshot!(via.collect::<Vec<_>>().join("\n"), @"
    engine: nixos-system-a, system-path, toolkit
    ide: -
    small: -
    suite: nixos-system-a
    toolkit: -
    ");

    // The biggest are explained, and no more than a reader would read.
    let mut many: Plan = vec![
        ("a-1".to_owned(), 1, vec![]),
        ("b-1".to_owned(), 1, (2..32).collect()),
    ];
    many.extend((0..30).map(|n| (format!("big{n:02}-1"), (2 + n) * MIB, vec![])));
    let diff = diff_of(&many, [&[], &[]]);
    let explained = diff.added.iter().filter(|entry| entry.via.is_some());
    let names: Vec<&str> = explained.map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        (10..30).map(|n| format!("big{n:02}")).collect::<Vec<_>>()
    );
}

#[test]
fn a_package_that_moves_between_profiles_stays_selected() {
    let plan = plan(&[
        ("nixos-system-a-25.05", 1, &[2, 4]),
        ("nixos-system-a-25.05", 1, &[3, 5]),
        ("system-path", 1, &[8, 10]),
        ("system-path", 1, &[10]),
        ("etc", 1, &[6]),
        ("etc", 1, &[7]),
        ("user-environment", 1, &[]),
        ("user-environment", 1, &[9]),
        ("git-7-1", 1, &[]),
        ("git-7-2", 1, &[]),
        ("vim-9.1", 1, &[]),
    ]);
    // What is known of a selected path names it as it names the package.
    let known = [
        (8, "out", recipe("git-7", "1", &[])),
        (9, "out", recipe("git-7", "2", &[])),
    ];
    insta::assert_snapshot!(summary(&diff_knowing(&plan, &known)), @"
    changed: git-7 [1 x1] -> [2 x1] upgraded yes +0
    configuration: etc [<none> x1] -> [<none> x1] changed no +0
    configuration: nixos-system-a [25.05 x1] -> [25.05 x1] changed no +0
    configuration: system-path [<none> x1] -> [<none> x1] changed no +0
    configuration: user-environment [<none> x1] -> [<none> x1] changed no +0
    +5 -5 +0
    ");
}

#[test]
fn one_side_alone_is_all_new_or_all_gone() {
    let plan = plan(&[("root-1", 1, &[1]), ("lib-1", 5, &[])]);
    let graph = graph(&plan);
    let closures = graph.closures([&root(&plan, 0)]).unwrap();
    let selected = selection(&graph, &["lib"]);
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

/// Returns the names of the paths that the closure of path 0 selects, `links` being numbers.
fn selected_by(plan: &Plan, links: &[usize]) -> Vec<String> {
    let graph = graph(plan);
    let closures = graph.closures([&root(plan, 0)]).unwrap();
    let links: Vec<StorePath> = links.iter().map(|link| root(plan, *link)).collect();
    let selected = closures.at(0).unwrap().selection(&links);
    let names = selected
        .paths()
        .map(|id| graph.path(id).unwrap().name().to_owned());
    names.collect()
}

#[test]
fn selected_is_what_profiles_refer_to() {
    let of = |paths: &[(&str, u64, &[usize])], links: &[usize]| selected_by(&plan(paths), links);
    // By links; of those without, by name; and those of users wherever they are held.
    let system: &[(&str, u64, &[usize])] = &[
        ("nixos-system-web-25.05", 1, &[1, 2, 5]),
        ("system-path", 1, &[3]),
        ("etc", 1, &[4, 7]),
        ("git-2.47.0", 1, &[5]),
        ("user-environment", 1, &[6]),
        ("curl-8.0", 1, &[]),
        ("vim-9.1", 1, &[]),
        ("unit-home-manager-alice.service", 1, &[8]),
        ("home-manager-generation", 1, &[9]),
        ("home-manager-path", 1, &[10]),
        ("fish-4.0-doc", 1, &[]),
        ("sw", 1, &[]),
    ];
    assert_eq!(of(system, &[]), ["git-2.47.0", "vim-9.1", "fish-4.0-doc"]);
    assert_eq!(of(system, &[1]), of(system, &[]));
    assert_eq!(
        of(system, &[2]),
        [
            "user-environment",
            "vim-9.1",
            "unit-home-manager-alice.service",
            "fish-4.0-doc"
        ]
    );
    // A link to a path of another closure says nothing.
    assert_eq!(of(system, &[11]), of(system, &[]));

    let home: &[(&str, u64, &[usize])] = &[
        ("home-manager-generation", 1, &[1, 2]),
        ("home-manager-files", 1, &[]),
        ("home-manager-path", 1, &[3]),
        ("fish-4.0", 1, &[]),
    ];
    assert_eq!(of(home, &[]), ["fish-4.0"]);
    // What is no system: its direct references.
    let package: &[(&str, u64, &[usize])] = &[
        ("hello-2.12", 1, &[0, 1]),
        ("glibc-2.40", 1, &[2]),
        ("libidn2-2.3", 1, &[]),
    ];
    assert_eq!(of(package, &[]), ["hello-2.12", "glibc-2.40"]);
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
        ("big-1", u64::MAX, &[]),
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
