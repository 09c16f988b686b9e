//! Real locks, and helpers for all tests of this module.

mod compare_url;
mod errors;
mod graft;
mod graph;
mod hygiene;
mod properties;
mod spelling;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Dialect, Edge, LockError, LockFile, LockedInput, changes, message};

fn fixtures(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(directory)
}

fn parse(path: &Path) -> LockFile {
    LockFile::parse(&fs::read(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A pair of consecutive locks of a real repository, with the commit message that Nix wrote.
struct Pair {
    name: String,
    check: String,
    before: LockFile,
    after: LockFile,
    message: String,
}

fn pairs() -> Vec<Pair> {
    let directory = fixtures("locks");
    let index = fs::read_to_string(directory.join("INDEX.tsv")).unwrap();
    let pairs: Vec<Pair> = index
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let pair = directory.join(columns[0]);
            Pair {
                name: columns[0].to_owned(),
                check: columns[4].to_owned(),
                before: parse(&pair.join("old.lock")),
                after: parse(&pair.join("new.lock")),
                message: fs::read_to_string(pair.join("message.txt")).unwrap(),
            }
        })
        .collect();
    assert!(pairs.len() >= 56, "only {} pairs", pairs.len());
    pairs
}

/// The block of Nix's text in a commit message: without what people and forges put around it.
fn nix_text(message: &str) -> String {
    let lines = message.lines().skip_while(|line| !line.starts_with("• "));
    let lines: Vec<&str> = lines
        .take_while(|line| {
            ["• ", "    ", "  → "]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .collect();
    lines.join("\n") + "\n"
}

/// The action and the name in each of the lines that have some.
fn actions(message: &str) -> BTreeSet<String> {
    let lines = message
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("• "));
    lines
        .map(|line| line.trim_end_matches(':').to_owned())
        .collect()
}

#[test]
fn agrees_with_nix_on_every_real_pair() {
    let mut checks = BTreeMap::new();
    for Pair {
        name,
        check,
        before,
        after,
        message: expected,
    } in pairs()
    {
        let changes = changes(Some(&before), &after);
        let dialect = match check.as_str() {
            "exact:narhash" => Dialect::NarHash,
            "exact:plain" => Dialect::Plain,
            "set-only" => {
                assert_eq!(
                    actions(&message(&changes, Dialect::Plain)),
                    actions(&expected),
                    "{name}"
                );
                *checks.entry(check).or_insert(0) += 1;
                continue;
            }
            _ => panic!("unknown check {check} of {name}"),
        };
        assert_eq!(message(&changes, dialect), nix_text(&expected), "{name}");
        *checks.entry(check).or_insert(0) += 1;
    }
    assert_snapshot!(format!("{checks:?}"), @r#"{"exact:narhash": 35, "exact:plain": 15, "set-only": 6}"#);
}

#[test]
fn short_dialect_agrees_with_determinate_nix() {
    for Pair {
        name,
        before,
        after,
        message: expected,
        ..
    } in pairs()
    {
        if name.starts_with("set-only-000")
            || name.starts_with("set-only-001")
            || name.starts_with("set-only-002")
        {
            assert_eq!(
                message(&changes(Some(&before), &after), Dialect::Short),
                nix_text(&expected),
                "{name}"
            );
        }
    }
}

#[test]
fn real_pairs_differ_and_each_equals_itself() {
    for Pair {
        name,
        before,
        after,
        ..
    } in pairs()
    {
        assert!(!before.same_as(&after), "{name}");
        assert!(!after.same_as(&before), "{name}");
        for lock in [before, after] {
            assert!(lock.same_as(&lock.clone()), "{name}");
            assert_eq!(changes(Some(&lock), &lock), [], "{name}");
            assert_eq!(changes(None, &lock).len(), lock.inputs().len(), "{name}");
        }
    }
}

#[test]
fn rare_locks_are_read_or_refused_with_the_reason() {
    let mut read = 0;
    let mut refused = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(fixtures("locks-rare"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "lock"))
    {
        let name = path.file_stem().unwrap().to_str().unwrap();
        match LockFile::parse(&fs::read(path).unwrap()) {
            Ok(lock) => {
                assert!(lock.same_as(&lock.clone()), "{name}");
                assert_eq!(changes(Some(&lock), &lock), [], "{name}");
                assert!(!lock.inputs().is_empty(), "{name}");
                read += 1;
            }
            Err(error) => refused.push(format!("{name}: {error}")),
        }
    }
    assert_eq!(read, 30, "{refused:?}");
    // The other two whose names say UNPARSABLE are read by Nix, too.
    assert_snapshot!(refused.join("\n"), @r"
    UNPARSABLE__AlexNabokikh+nix-config__3f9c1dfca3: has merge conflict markers, the first one in line 132
    UNPARSABLE__Frost-Phoenix+nixos-config__ac73b19272: is not JSON: trailing comma at line 1022 column 7
    v3__NixOS+infra__3589c67ae2: has unsupported version 3
    v3__divnix+digga__8d8ae7ec7b: has unsupported version 3
    v4__NixOS+infra__22a10ac0bd: has unsupported version 4
    ");
}

/// Returns a lock of version 7 with these nodes.
fn lock(nodes: &Value) -> Result<LockFile, LockError> {
    LockFile::parse(
        json!({"version": 7, "root": "root", "nodes": nodes})
            .to_string()
            .as_bytes(),
    )
}

/// Returns a node with these inputs, locked to the revision `rev` of a repository.
fn node(rev: &str, inputs: &Value) -> Value {
    json!({
        "inputs": inputs,
        "locked": {"type": "github", "owner": "o", "repo": "r", "rev": rev, "lastModified": 1_700_000_000},
        "original": {"type": "github", "owner": "o", "repo": "r"},
    })
}

/// Returns a lock with one input, `a`, locked to these attributes.
fn locked_to(locked: &Value) -> Result<LockedInput, LockError> {
    let node = json!({"locked": locked, "original": {"type": "indirect", "id": "a"}});
    let lock = lock(&json!({"root": {"inputs": {"a": "n"}}, "n": node}))?;
    match lock.inputs().into_values().next() {
        Some(Edge::Locked(input)) => Ok(input),
        other => panic!("{other:?}"),
    }
}
