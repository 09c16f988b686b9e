//! The graph: what is reached, when two are the same, what changed.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{fixtures, lock, node};
use crate::flake::lock::{Dialect, InputPath, LockError, LockFile, changes, message};

#[test]
fn follows_that_arrive_are_fine() {
    let lock = lock(&json!({
        "root": {"inputs": {"a": "n", "b": ["a", "x"], "c": [], "d": ["c", "b", "y"]}},
        "n": node("1", &json!({"x": "m"})),
        "m": node("2", &json!({"y": ["a"]})),
    }))
    .unwrap();
    assert_snapshot!(message(&changes(None, &lock), Dialect::Plain), @r"
    • Added input 'a':
        'github:o/r/1' (2023-11-14)
    • Added input 'a/x':
        'github:o/r/2' (2023-11-14)
    • Added input 'a/x/y':
        follows 'a'
    • Added input 'b':
        follows 'a/x'
    • Added input 'c':
        follows ''
    • Added input 'd':
        follows 'c/b/y'
    ");
}

#[test]
fn reads_what_nix_reads() {
    let mut text = b"\xef\xbb\xbf".to_vec();
    text.extend(
        fs::read(fixtures(
            "locks-rare/node.parent__Mic92+update-flake-inputs__fa5d4adf6e.lock",
        ))
        .unwrap(),
    );
    assert_eq!(
        LockFile::parse(&text)
            .unwrap()
            .root_inputs()
            .collect::<Vec<_>>(),
        ["local-test"]
    );

    // Nodes out of reach are not looked at; no inputs may be said in three ways.
    for inputs in ["", r#""inputs": null"#, r#""inputs": {}"#] {
        let text = format!(
            r#"{{"version": 6, "root": "r", "nodes": {{"r": {{{inputs}}}, "bad": 1}}, "more": 1}}"#
        );
        let lock = LockFile::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (
                lock.version(),
                lock.inputs().len(),
                lock.root_inputs().count()
            ),
            (6, 0, 0),
            "{inputs}"
        );
    }
}

#[test]
fn version_5_keeps_hash_and_time_apart() {
    let apart = json!({
        "root": {"inputs": {"a": "n"}},
        "n": {
            "info": {"lastModified": 1_591_000_000, "narHash": "sha256-x="},
            "locked": {"type": "path", "path": "./a"},
            "original": {"type": "path", "path": "./a"},
        },
    });
    let apart = json!({"version": 5, "root": "root", "nodes": apart}).to_string();
    let apart = LockFile::parse(apart.as_bytes()).unwrap();
    let together = json!({
        "locked": {"type": "path", "path": "./a", "lastModified": 1_591_000_000, "narHash": "sha256-x="},
        "original": {"type": "path", "path": "./a"},
    });
    let together = lock(&json!({"root": {"inputs": {"a": "other"}}, "other": together})).unwrap();
    assert!(apart.same_as(&together));
    assert_eq!(changes(Some(&apart), &together), []);
}

#[test]
fn the_same_graph_is_the_same_lock_whatever_its_nodes_are_called() {
    let graph = |shared: &str, nodes: [&str; 2]| {
        let mut json =
            json!({"top": {"inputs": {"a": "a", "b": shared, "c": ["a", "x"]}}, "unused": 1});
        json["a"] = node("1", &json!({"x": nodes[0]}));
        json[nodes[0]] = node("2", &Value::Null);
        json[nodes[1]] = node("2", &json!({}));
        LockFile::parse(
            json!({"version": 7, "root": "top", "nodes": json})
                .to_string()
                .as_bytes(),
        )
        .unwrap()
    };
    let lock = graph("x", ["x", "y"]);
    assert!(lock.same_as(&graph("z", ["z", "y"])));
    // Two equal nodes are not one node that two inputs share.
    assert!(!lock.same_as(&graph("y", ["x", "y"])));
    assert!(!graph("y", ["x", "y"]).same_as(&lock));
    assert!(graph("y", ["x", "y"]).same_as(&graph("q", ["p", "q"])));
}

#[test]
fn every_part_that_nix_compares_makes_a_difference() {
    let with = |part: &str, value: Value| {
        let mut json = json!({
            "root": {"inputs": {"a": "a", "b": "b"}},
            "a": node("1", &json!({"x": ["b"]})),
            "b": node("2", &json!({})),
        });
        if !part.is_empty() {
            let (object, key) = part.rsplit_once('/').unwrap();
            json.pointer_mut(object).unwrap()[key] = value;
        }
        lock(&json).unwrap()
    };
    let plain = with("", Value::Null);
    let unchanged = [
        ("/a/flake", json!(true)),
        ("/b/inputs", Value::Null),
        ("/b/more", json!(1)),
    ];
    for (part, value) in unchanged {
        assert!(plain.same_as(&with(part, value)), "{part}");
    }
    let changed = [
        ("/a/flake", json!(false), 0),
        ("/a/parent", json!([]), 0),
        ("/a/original/ref", json!("main"), 0),
        ("/a/locked/narHash", json!("sha256-x="), 1),
        ("/a/locked/lastModified", json!(1), 1),
        ("/a/inputs/x", json!([]), 1),
        ("/a/inputs/x", json!("b"), 1),
        ("/b/inputs/x", json!([]), 1),
        ("/root/inputs/b", json!("a"), 1),
    ];
    for (part, value, number) in changed {
        let other = with(part, value);
        assert!(!plain.same_as(&other) && !other.same_as(&plain), "{part}");
        assert_eq!(changes(Some(&plain), &other).len(), number, "{part}");
    }
}

#[test]
fn order_is_name_by_name() {
    let inner = node("1", &json!({"z": ["a-b"]}));
    let lock = lock(
        &json!({"root": {"inputs": {"a": "a", "a-b": "b"}}, "a": inner, "b": node("2", &json!({}))}),
    );
    let names: Vec<String> = lock
        .unwrap()
        .inputs()
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["a", "a/z", "a-b"]);
}

#[test]
fn a_node_is_entered_once_by_the_first_way_to_it() {
    let shared = json!({
        "root": {"inputs": {"a": "n", "b": "n", "c": "c"}},
        "n": node("1", &json!({"x": "c"})),
        // A circle of nodes, as version 5 and 6 allowed it.
        "c": node("2", &json!({"back": "n", "self": "c"})),
    });
    let lock = lock(&shared).unwrap();
    let inputs = lock.inputs();
    let names: Vec<String> = inputs.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "a/x", "a/x/back", "a/x/self", "b", "c"]);
    assert!(lock.same_as(&lock.clone()));
    let transitive: Vec<bool> = inputs.keys().map(InputPath::is_transitive).collect();
    assert_eq!(transitive, [false, true, true, true, false, false]);
    assert_eq!(
        inputs.keys().nth(2).unwrap().names().collect::<Vec<_>>(),
        ["a", "x", "back"]
    );
}

#[test]
fn depth_and_long_chains_do_not_overflow_the_stack() {
    const DEPTH: usize = 2_000;
    let mut nodes = json!({"root": {"inputs": {"a": "n0"}}});
    for index in 0..DEPTH {
        nodes[format!("n{index}")] = node("1", &json!({"a": format!("n{}", index + 1)}));
    }
    nodes[format!("n{DEPTH}")] = node("1", &json!({}));
    let deep = lock(&nodes).unwrap();
    assert_eq!(deep.inputs().len(), DEPTH + 1);
    assert!(deep.same_as(&deep.clone()));

    let chain = |end: Value| {
        let mut inputs = json!({});
        for index in 0..50_000 {
            inputs[format!("f{index}")] = json!([format!("f{}", index + 1)]);
        }
        inputs["f50000"] = end;
        lock(&json!({"root": {"inputs": inputs}, "n": node("1", &json!({}))}))
    };
    assert!(chain(json!("n")).is_ok());
    assert!(matches!(
        chain(json!(["f0"])),
        Err(LockError::FollowsCycle { .. })
    ));
    assert!(matches!(
        chain(json!(["nowhere"])),
        Err(LockError::FollowsNowhere { .. })
    ));
}
