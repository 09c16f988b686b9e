//! One input by its way, and inputs of inputs that are put back after an update.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::node;
use crate::flake::lock::{InputPath, LockFile, NotFound, graft};

fn bytes(nodes: &Value) -> Vec<u8> {
    json!({"version": 7, "root": "root", "nodes": nodes})
        .to_string()
        .into_bytes()
}

fn path(text: &str) -> InputPath {
    InputPath::from_text(text)
}

/// A flake with the inputs `sub` (and its `hw`, and of that one `deep`) and `other`, at these revisions.
fn nested(sub: &str, hw: &str, deep: &str) -> Value {
    json!({
        "root": {"inputs": {"sub": "sub", "other": "other"}},
        "sub": node(sub, &json!({"hw": "hw", "other": ["other"]})),
        "hw": node(hw, &json!({"deep": "deep", "other": ["other"], "twin": ["sub", "hw", "deep"]})),
        "deep": node(deep, &json!({})),
        "other": node("o", &json!({})),
    })
}

fn rev(lock: &LockFile, at: &str) -> String {
    let input = lock.find(&path(at)).unwrap();
    input.rev().unwrap().to_owned()
}

fn refused(base: &Value, after: &Value, keep: &str) -> String {
    graft(&bytes(base), &bytes(after), &[path(keep)])
        .unwrap_err()
        .to_string()
}

#[test]
fn an_input_of_an_input_is_put_back_with_all_it_has() {
    let (base, after) = (nested("1", "1", "1"), nested("2", "2", "2"));
    let keep = [path("sub/hw")];
    let grafted = graft(&bytes(&base), &bytes(&after), &keep).unwrap();
    assert_eq!(grafted.gone, []);
    let lock = LockFile::parse(&grafted.file.unwrap()).unwrap();
    assert_eq!(rev(&lock, "sub"), "2");
    assert_eq!(rev(&lock, "sub/hw"), "1");
    assert_eq!(rev(&lock, "sub/hw/deep"), "1");
    let base = LockFile::parse(&bytes(&base)).unwrap();
    assert_eq!(base.keeps(&lock, &keep[0]), Some(true));
    assert_eq!(base.keeps(&lock, &path("sub")), Some(false));
    assert_eq!(base.keeps(&lock, &path("nope")), None);
    // Only the innermost: what is above it stays updated.
    let inner = graft(
        &bytes(&nested("1", "1", "1")),
        &bytes(&after),
        &[path("sub/hw/deep")],
    );
    let lock = LockFile::parse(&inner.unwrap().file.unwrap()).unwrap();
    assert_eq!(rev(&lock, "sub/hw"), "2");
    assert_eq!(rev(&lock, "sub/hw/deep"), "1");
}

#[test]
fn whatever_shares_a_node_keeps_its_own() {
    let mut base = nested("1", "1", "1");
    base["root"]["inputs"]["copy"] = json!("sub");
    let mut after = nested("2", "2", "2");
    after["root"]["inputs"]["copy"] = json!("sub");
    after["hw_1"] = json!("no node, and nothing leads here");
    let keep = [path("sub/hw"), path("sub/hw/deep")];
    let file = graft(&bytes(&base), &bytes(&after), &keep).unwrap().file;
    let lock = LockFile::parse(&file.unwrap()).unwrap();
    assert_eq!(rev(&lock, "sub/hw"), "1");
    assert_eq!(rev(&lock, "copy/hw"), "2");
}

#[test]
fn nothing_is_written_where_nothing_moved() {
    let base = nested("1", "1", "1");
    let grafted = graft(
        &bytes(&base),
        &bytes(&nested("2", "1", "1")),
        &[path("sub/hw")],
    );
    assert_eq!(grafted.unwrap().file, None);
    // Gone, or following another now: none is left to keep.
    let mut after = nested("2", "2", "2");
    after["sub"]["inputs"] = json!({"other": ["other"]});
    after["other"]["inputs"] = json!({});
    let grafted = graft(&bytes(&base), &bytes(&after), &[path("sub/hw")]).unwrap();
    assert_eq!((grafted.file, grafted.gone), (None, vec![path("sub/hw")]));
    after["sub"]["inputs"] = json!({"hw": ["other"]});
    let grafted = graft(&bytes(&base), &bytes(&after), &[path("sub/hw")]).unwrap();
    assert_eq!(grafted.gone, [path("sub/hw")]);
}

#[test]
fn what_would_be_no_answer_any_more_is_refused() {
    let base = nested("1", "1", "1");
    let mut after = nested("2", "2", "2");
    after["hw"]["original"]["repo"] = json!("elsewhere");
    assert_snapshot!(refused(&base, &after, "sub/hw"), @"`sub/hw` cannot stay as it is locked: it was `github:o/r`, and its flake now asks for `github:o/elsewhere`");
    let relative = |sub: &str, inner: &str| {
        let mut lock = nested(sub, "1", "1");
        let path = json!({"type": "path", "path": inner});
        lock["hw"]["locked"] = path.clone();
        lock["hw"]["original"] = path;
        lock["hw"]["parent"] = json!(["sub"]);
        lock
    };
    assert_snapshot!(refused(&relative("1", "./hw"), &relative("2", "./hw"), "sub/hw"), @"`sub/hw` cannot stay as it is locked: it is a directory of `sub`, and changes with it");
    let same = graft(
        &bytes(&relative("1", "./hw")),
        &bytes(&relative("1", "./hw")),
        &[path("sub/hw")],
    );
    assert_eq!(same.unwrap().file, None);
    // What was followed is gone with the update.
    let mut after = nested("2", "2", "2");
    after["root"]["inputs"] = json!({"sub": "sub"});
    after["sub"]["inputs"] = json!({"hw": "hw"});
    after["hw"]["inputs"] = json!({"deep": "deep"});
    assert_snapshot!(refused(&base, &after, "sub/hw"), @"what was to stay as it is locked does not fit the rest of the new lock, which then has an input 'other' of node 'hw_1' that follows a non-existent input 'other'");
}

#[test]
fn a_name_leads_to_an_input_or_says_why_not() {
    let lock = LockFile::parse(&bytes(&nested("1", "1", "1"))).unwrap();
    let told = |at: &str| match lock.find(&path(at)) {
        Ok(input) => input.url(crate::flake::lock::Dialect::Plain),
        Err(NotFound::Unknown { of, name, known }) => format!("no {name} in '{of}', but {known:?}"),
        Err(NotFound::Follows { input, follows }) => format!("{input} follows {follows}"),
    };
    let names = [
        "other",
        "sub/hw/deep",
        "nope",
        "",
        "sub/",
        "/sub",
        "sub/nope",
        "sub/other",
        "sub/other/x",
        "sub/hw/deep/x",
    ];
    let told: Vec<String> = names
        .iter()
        .map(|at| format!("{at:?}: {}", told(at)))
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    "other": github:o/r/o
    "sub/hw/deep": github:o/r/1
    "nope": no nope in '', but ["other", "sub"]
    "": no  in '', but ["other", "sub"]
    "sub/": no  in 'sub', but ["hw"]
    "/sub": no  in '', but ["other", "sub"]
    "sub/nope": no nope in 'sub', but ["hw"]
    "sub/other": sub/other follows other
    "sub/other/x": sub/other follows other
    "sub/hw/deep/x": no x in 'sub/hw/deep', but []
    "#);
    assert_eq!(lock.own_inputs(), ["other", "sub"]);
    assert_eq!(lock.inputs_at("github:o/r").len(), 4);
    assert!(path("a/b").leads_to(&path("a/b/c")) && !path("a/b").leads_to(&path("a/bc")));
}
