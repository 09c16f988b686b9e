//! What holds for any bytes and any lock.

use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Pair, fixtures, locked_to, pairs};
use crate::flake::lock::url::fix_git_url;
use crate::flake::lock::{Dialect, InputChange, LockError, LockFile, changes, message};

#[test]
fn every_truncation_is_refused_without_panic() {
    for name in [
        "v5__davidtwco+veritas__906ba8f5fc",
        "node.parent__Mic92+update-flake-inputs__fa5d4adf6e",
    ] {
        let text = fs::read(fixtures("locks-rare").join(format!("{name}.lock"))).unwrap();
        let length = text.trim_ascii_end().len();
        for end in 0..length {
            let result = LockFile::parse(&text[..end]);
            assert!(
                matches!(result, Err(LockError::Truncated { .. })),
                "{name} up to {end}: {result:?}"
            );
        }
    }
    // The others at places all over, since reading each whole at each byte takes minutes.
    for Pair { name, .. } in pairs() {
        let text = fs::read(fixtures("locks").join(&name).join("new.lock")).unwrap();
        let length = text.trim_ascii_end().len();
        for end in (0..length).step_by(length / 20 + 1) {
            assert!(LockFile::parse(&text[..end]).is_err(), "{name} up to {end}");
        }
    }
}

/// Makes locks of few names, so that references meet.
fn any_lock() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "c", "root"]);
    let target = prop_oneof![
        4 => name().prop_map(|name| json!(name)),
        1 => prop::collection::vec(name(), 0..3).prop_map(|path| json!(path)),
    ];
    let node = (
        prop::collection::btree_map(name(), target, 0..3),
        "[0-9a-f]{2}",
    );
    prop::collection::btree_map(
        name(),
        node.prop_map(|(inputs, rev)| super::node(&rev, &json!(inputs))),
        1..5,
    )
    .prop_map(|nodes| json!({"version": 7, "root": "root", "nodes": nodes}))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(LockFile::parse(&bytes).is_err());
    }

    #[test]
    fn a_damaged_lock_never_panics(at in 0_usize..2_000, byte: u8) {
        let mut text = fs::read(fixtures("locks-rare/v5__davidtwco+veritas__906ba8f5fc.lock")).unwrap();
        text[at] = byte;
        if let Ok(lock) = LockFile::parse(&text) {
            prop_assert!(lock.same_as(&lock.clone()));
            let _text = message(&changes(None, &lock), Dialect::NarHash);
        }
    }

    #[test]
    fn what_is_compared_is_consistent(one in any_lock(), two in any_lock()) {
        let read = |json: &Value| LockFile::parse(json.to_string().as_bytes());
        if let Ok(one) = read(&one) {
            prop_assert!(one.same_as(&one.clone()));
            prop_assert_eq!(changes(Some(&one), &one), []);
            if let Ok(two) = read(&two) {
                prop_assert_eq!(one.same_as(&two), two.same_as(&one));
                let (there, back) = (changes(Some(&one), &two), changes(Some(&two), &one));
                let swapped: Vec<InputChange> = back
                    .into_iter()
                    .map(|InputChange { name, before, after }| InputChange { name, before: after, after: before })
                    .collect();
                if one.same_as(&two) {
                    prop_assert_eq!(&there, &[]);
                }
                prop_assert_eq!(there, swapped);
            }
        }
    }

    #[test]
    fn any_url_is_spelled_without_panic_and_stably(url in "\\PC{0,40}", kind in "git|hg|tarball|file|path|x") {
        let input = locked_to(&json!({"type": kind, "url": url, "path": url})).unwrap();
        for dialect in [Dialect::Plain, Dialect::NarHash, Dialect::NarHashHost, Dialect::Short] {
            prop_assert_eq!(input.url(dialect), input.clone().url(dialect));
        }
        let fixed = fix_git_url(&url);
        prop_assert_eq!(fix_git_url(&fixed), fixed);
    }
}
