//! What is refused, and in which words.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{lock, locked_to, node};
use crate::flake::lock::LockFile;

fn error(bytes: &[u8]) -> String {
    LockFile::parse(bytes).unwrap_err().to_string()
}

fn node_error(nodes: &Value) -> String {
    lock(nodes).unwrap_err().to_string()
}

#[test]
fn says_what_is_wrong_with_the_file() {
    assert_snapshot!(error(b""), @"is truncated: the JSON ends too early, in line 1");
    assert_snapshot!(error(b"{\n  \"nodes\": {\n"), @"is truncated: the JSON ends too early, in line 3");
    assert_snapshot!(error(b"hello"), @"is not JSON: expected value at line 1 column 1");
    assert_snapshot!(error(b"{\n<<<<<<< HEAD\n}"), @"has merge conflict markers, the first one in line 2");
    assert_snapshot!(error(b"{\r\n||||||| base\r\n=======\r\n"), @"has merge conflict markers, the first one in line 2");
    assert_snapshot!(error(b"[]"), @"is malformed: the file is not an object");
    assert_snapshot!(error(b"{}"), @"has unsupported version 0");
    assert_snapshot!(error(br#"{"version": 8}"#), @"has unsupported version 8");
    assert_snapshot!(error(br#"{"version": -1}"#), @"has unsupported version -1");
    assert_snapshot!(error(br#"{"version": "7"}"#), @"is malformed: 'version' is not an integer");
    assert_snapshot!(error(br#"{"version": 7}"#), @"is malformed: 'root' is not a string");
    assert_snapshot!(error(br#"{"version": 7, "root": "root"}"#), @"is malformed: 'nodes' is not an object");
    assert_snapshot!(error(br#"{"version": 7, "root": "top", "nodes": {}}"#), @"has no root node 'top'");
    let nested = format!(r#"{{"version": 7, "root": {}"#, "[".repeat(100_000));
    assert_snapshot!(error(nested.as_bytes()), @"is not JSON: recursion limit exceeded at line 1 column 150");
}

#[test]
fn says_what_is_wrong_with_a_node() {
    let root = |inputs: Value| json!({"root": {"inputs": inputs}, "n": node("1", &json!({}))});
    assert_snapshot!(node_error(&root(json!([]))), @"is malformed: 'inputs' of node 'root' is not an object");
    assert_snapshot!(node_error(&root(json!({"a": 1}))), @"is malformed: input 'a' of node 'root' is not a string or a list of strings");
    assert_snapshot!(node_error(&root(json!({"a": [1]}))), @"is malformed: input 'a' of node 'root' is not a string or a list of strings");
    assert_snapshot!(node_error(&root(json!({"a": "m"}))), @"references missing node 'm' (input 'a' of node 'root')");
    assert_snapshot!(node_error(&root(json!({"a": "root"}))), @"contains cycle to root node (input 'a' of node 'root')");
    assert_snapshot!(node_error(&json!({"root": []})), @"is malformed: node 'root' is not an object");
    let with = |node: Value| node_error(&json!({"root": {"inputs": {"a": "n"}}, "n": node}));
    let path = json!({"type": "path", "path": "./a"});
    assert_snapshot!(with(json!({})), @"is malformed: 'locked' of node 'n' is not there");
    assert_snapshot!(with(json!({"locked": path})), @"is malformed: 'original' of node 'n' is not there");
    assert_snapshot!(with(json!({"locked": [], "original": path})), @"is malformed: 'locked' of node 'n' is not an object");
    assert_snapshot!(with(json!({"locked": path, "original": path, "flake": "no"})), @"is malformed: 'flake' of node 'n' is not a boolean");
    assert_snapshot!(with(json!({"locked": path, "original": path, "parent": "no"})), @"is malformed: 'parent' of node 'n' is not a list of strings");
    let locked = |locked: Value| locked_to(&locked).unwrap_err().to_string();
    assert_snapshot!(locked(json!({})), @"is malformed: attribute 'type' is missing in 'locked' of node 'n'");
    assert_snapshot!(locked(json!({"type": "github", "owner": "o"})), @"is malformed: attribute 'repo' is missing in 'locked' of node 'n'");
    assert_snapshot!(locked(json!({"type": "path", "path": true})), @"is malformed: attribute 'path' in 'locked' of node 'n' is not a string");
    assert_snapshot!(locked(json!({"type": "path", "path": "p", "rev": 1})), @"is malformed: attribute 'rev' in 'locked' of node 'n' is not a string");
    assert_snapshot!(locked(json!({"type": "path", "path": "p", "lastModified": "1"})), @"is malformed: attribute 'lastModified' in 'locked' of node 'n' is not a number");
    assert_snapshot!(locked(json!({"type": "path", "path": "p", "lastModified": null})), @"is malformed: attribute 'lastModified' in 'locked' of node 'n' is not a string, a boolean or a natural number");
    assert_snapshot!(locked(json!({"type": "path", "path": "p", "lastModified": 1e300})), @"is malformed: attribute 'lastModified' in 'locked' of node 'n' is not a string, a boolean or a natural number");
}

#[test]
fn says_which_follows_leads_nowhere_or_in_a_circle() {
    let root =
        |inputs: Value| json!({"root": {"inputs": inputs}, "n": node("1", &json!({"x": ["b"]}))});
    assert_snapshot!(node_error(&root(json!({"a": ["b"]}))), @"has an input 'a' of node 'root' that follows a non-existent input 'b'");
    assert_snapshot!(node_error(&root(json!({"a": "n"}))), @"has an input 'x' of node 'n' that follows a non-existent input 'b'");
    assert_snapshot!(node_error(&root(json!({"a": "n", "b": ["a", "y"]}))), @"has an input 'b' of node 'root' that follows a non-existent input 'a/y'");
    assert_snapshot!(node_error(&root(json!({"a": ["a"]}))), @"has a follow cycle: input 'a' of node 'root' follows 'a', and so itself");
    assert_snapshot!(node_error(&root(json!({"a": ["b", "x"], "b": ["c"], "c": ["a"]}))), @"has a follow cycle: input 'c' of node 'root' follows 'a', and so itself");
    // Through the input of an input, with a path that would grow for ever.
    assert_snapshot!(node_error(&root(json!({"a": "n", "b": ["a", "x", "x"]}))), @"has a follow cycle: input 'x' of node 'n' follows 'b', and so itself");
}
