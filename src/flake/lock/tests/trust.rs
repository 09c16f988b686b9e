//! Which locks are believed: real updates are, and made-up ones are not.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::super::{Distrust, suspicious};
use super::{LockFile, fixtures, pairs};

/// What refuses a lock, a line each.
fn refusals(base: Option<&LockFile>, new: &LockFile, completed: bool) -> Vec<String> {
    suspicious(base, new, completed)
        .iter()
        .filter(|distrust| distrust.refuses())
        .map(Distrust::to_string)
        .collect()
}

#[test]
fn real_updates_are_believed() {
    let mut refused = Vec::new();
    let mut noticed = 0;
    for pair in pairs() {
        let name = pair.name.split('-').take(2).collect::<Vec<_>>().join("-");
        noticed += suspicious(Some(&pair.before), &pair.after, false).len();
        for distrust in refusals(Some(&pair.before), &pair.after, false) {
            refused.push(format!("{name}: {distrust}"));
        }
    }
    // In these two commits flake.nix itself was changed: they are no updates.
    assert_snapshot!(refused.join("\n"), @"
    exact-099: the flake asked for `github:nix-community/home-manager/release-25.11` as input `home-manager`, and the new lock says `github:nix-community/home-manager`
    exact-099: the flake asked for `flake:nixpkgs/nixos-25.11` as input `nixpkgs`, and the new lock says `flake:nixpkgs/nixos-unstable`
    set-only: the new lock has an input `hyprland` that the flake's lock does not have: `github:hyprwm/Hyprland`
    ");
    assert!(noticed > refused.len(), "no flake of an input ever changed");
}

#[test]
fn without_a_base_only_what_is_not_pinned_is_refused() {
    let mut refused = Vec::new();
    for pair in pairs() {
        refused.extend(refusals(None, &pair.after, false));
    }
    for entry in std::fs::read_dir(fixtures("locks-rare")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        if let Ok(lock) = LockFile::parse(&bytes) {
            refused.extend(refusals(None, &lock, false));
        }
    }
    let mut reasons: Vec<&str> = refused
        .iter()
        .map(|line| line.rsplit(": ").next().unwrap())
        .collect();
    reasons.sort_unstable();
    // A tree with uncommitted changes, a Nix of 2024 that wrote `treeHash`, a copy in somebody's store.
    assert_snapshot!(reasons.join("\n"), @"
    it has no hash of its contents
    it has no hash of its contents
    it has no hash of its contents
    it has no hash of its contents
    it has no revision
    it has no revision
    it has no revision
    the base does not say that the name stands for it
    the base does not say that the name stands for it
    the base does not say that the name stands for it
    ");
}

const REV: &str = "1111111111111111111111111111111111111111";
const NEXT: &str = "2222222222222222222222222222222222222222";
const HASH: &str = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A lock whose flake has the one input `x`.
fn lock(original: &Value, locked: &Value) -> LockFile {
    let json = json!({
        "version": 7,
        "root": "root",
        "nodes": {
            "root": { "inputs": { "x": "x" } },
            "x": { "original": original, "locked": locked },
        },
    });
    LockFile::parse(json.to_string().as_bytes()).unwrap()
}

/// Attributes with these set; null takes one away.
fn with(attrs: &Value, changes: &Value) -> Value {
    let mut attrs = attrs.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            attrs.as_object_mut().unwrap().remove(name);
        } else {
            attrs[name] = value.clone();
        }
    }
    attrs
}

/// What is said of an update of `x` to each of `table`: what of the locked reference is changed, beside revision and hash.
fn said(original: &Value, table: &[Value]) -> String {
    let pins = json!({ "rev": REV, "narHash": HASH, "lastModified": 1 });
    let base = lock(original, &with(original, &pins));
    let mut lines = Vec::new();
    for changes in table {
        let locked = with(
            &with(&with(original, &pins), &json!({ "rev": NEXT })),
            changes,
        );
        let found = refusals(Some(&base), &lock(original, &locked), false);
        let verdict = found
            .first()
            .map_or("fine", |line| line.rsplit("`: ").next().unwrap());
        lines.push(format!("{changes} {verdict}"));
    }
    lines.join("\n")
}

#[test]
fn a_forges_archive_is_of_the_repository_asked_for() {
    let original =
        json!({ "type": "github", "owner": "NixOS", "repo": "nixpkgs", "ref": "nixos-24.05" });
    let table = [
        json!({ "ref": null }),
        json!({ "owner": "nixos" }),
        json!({ "host": "GitHub.com" }),
        json!({ "owner": "evil" }),
        json!({ "repo": "nixpkgs2" }),
        json!({ "owner": "NixOS%2Fnixpkgs" }),
        json!({ "host": "github.com.evil.example" }),
        json!({ "type": "gitlab" }),
        json!({ "type": "path", "path": "/etc" }),
        json!({ "type": "indirect", "id": "nixpkgs" }),
        json!({ "ref": "master" }),
        json!({ "dir": "evil" }),
        json!({ "narHash": null }),
        json!({ "narHash": "md5-1B2M2Y8AsgTpgAmY7PhCfg==" }),
        json!({ "rev": null }),
        json!({ "rev": "main" }),
    ];
    assert_snapshot!(said(&original, &table), @r#"
    {"ref":null} fine
    {"owner":"nixos"} fine
    {"host":"GitHub.com"} fine
    {"owner":"evil"} it is another repository
    {"repo":"nixpkgs2"} it is another repository
    {"owner":"NixOS%2Fnixpkgs"} it is another repository
    {"host":"github.com.evil.example"} it is on another host
    {"type":"gitlab"} it is of another type
    {"path":"/etc","type":"path"} it is of another type
    {"id":"nixpkgs","type":"indirect"} that is no place to fetch from
    {"ref":"master"} it is another branch or tag
    {"dir":"evil"} it is another directory
    {"narHash":null} it has no hash of its contents
    {"narHash":"md5-1B2M2Y8AsgTpgAmY7PhCfg=="} its hash is not of SHA-256
    {"rev":null} it has no revision
    {"rev":"main"} its revision is none
    "#);
}

#[test]
fn a_repository_is_the_one_asked_for() {
    let original = json!({ "type": "git", "url": "https://git.example.org/a/b.git", "ref": "main", "submodules": true });
    let table = [
        json!({}),
        json!({ "url": "https://git.example.org/a/b/" }),
        json!({ "url": "git+https://git.example.org/a/b" }),
        json!({ "ref": "refs/heads/main" }),
        json!({ "ref": null }),
        json!({ "ref": "refs/pull/1/head" }),
        json!({ "url": "https://git.example.org/a/c" }),
        json!({ "url": "http://git.example.org/a/b" }),
        json!({ "url": "https://git.example.org@evil.example/a/b" }),
        json!({ "url": "https://git.example.org/a/b?x=1" }),
        json!({ "submodules": null }),
        json!({ "lfs": true }),
        json!({ "publicKey": "k" }),
        json!({ "dir": "sub" }),
    ];
    assert_snapshot!(said(&original, &table), @r#"
    {} fine
    {"url":"https://git.example.org/a/b/"} fine
    {"url":"git+https://git.example.org/a/b"} fine
    {"ref":"refs/heads/main"} fine
    {"ref":null} it is not said to be of that branch or tag
    {"ref":"refs/pull/1/head"} it is another branch or tag
    {"url":"https://git.example.org/a/c"} it is another repository
    {"url":"http://git.example.org/a/b"} it is another repository
    {"url":"https://git.example.org@evil.example/a/b"} it is another repository
    {"url":"https://git.example.org/a/b?x=1"} it is another repository
    {"submodules":null} it is fetched in another way
    {"lfs":true} it is fetched in another way
    {"publicKey":"k"} its commits are verified by other keys
    {"dir":"sub"} it is another directory
    "#);
    let default = json!({ "type": "git", "url": "ssh://git@example.org/a/b" });
    let table = [
        json!({ "ref": "main" }),
        json!({ "ref": "refs/heads/trunk" }),
        json!({ "ref": "refs/pull/1/head" }),
        json!({ "url": "ssh://evil@example.org/a/b" }),
    ];
    assert_snapshot!(said(&default, &table), @r#"
    {"ref":"main"} fine
    {"ref":"refs/heads/trunk"} fine
    {"ref":"refs/pull/1/head"} it is not of the default branch
    {"url":"ssh://evil@example.org/a/b"} it is another repository
    "#);
}

#[test]
fn a_tarball_is_from_where_it_was_asked_for() {
    let url = |url: &str| json!({ "type": "tarball", "url": url });
    let table = |urls: &[&str]| {
        urls.iter()
            .map(|u| json!({ "url": u, "rev": null }))
            .collect::<Vec<_>>()
    };
    let flakehub = url("https://flakehub.com/f/NixOS/nixpkgs/0.2405.*.tar.gz");
    assert_snapshot!(said(&flakehub, &table(&[
        "https://api.flakehub.com/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz",
        "https://api.flakehub.com/f/pinned/evil/nixpkgs/0.2405.1/018f/source.tar.gz",
        "https://flakehub.com.evil.example/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz",
        "https://evilflakehub.com/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz",
        "http://api.flakehub.com/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz",
    ])), @r#"
    {"rev":null,"url":"https://api.flakehub.com/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz"} fine
    {"rev":null,"url":"https://api.flakehub.com/f/pinned/evil/nixpkgs/0.2405.1/018f/source.tar.gz"} it is another place on the host
    {"rev":null,"url":"https://flakehub.com.evil.example/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz"} it is on another host
    {"rev":null,"url":"https://evilflakehub.com/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz"} it is on another host
    {"rev":null,"url":"http://api.flakehub.com/f/pinned/NixOS/nixpkgs/0.2405.1/018f/source.tar.gz"} it is fetched in another way
    "#);
    let channel = url("https://channels.nixos.org/nixos-unstable/nixexprs.tar.xz");
    assert_snapshot!(said(&channel, &table(&[
        "https://releases.nixos.org/nixos/unstable/nixos-24.11pre1/nixexprs.tar.xz",
        "https://nixos.org.evil.example/nixos-unstable/nixexprs.tar.xz",
        "https://evil.example\\.nixos.org/nixexprs.tar.xz",
    ])), @r#"
    {"rev":null,"url":"https://releases.nixos.org/nixos/unstable/nixos-24.11pre1/nixexprs.tar.xz"} fine
    {"rev":null,"url":"https://nixos.org.evil.example/nixos-unstable/nixexprs.tar.xz"} it is on another host
    {"rev":null,"url":"https://evil.example\\.nixos.org/nixexprs.tar.xz"} it is on another host
    "#);
    let forgejo = url("https://codeberg.org/a/b/archive/main.tar.gz");
    assert_snapshot!(said(&forgejo, &table(&[
        "https://codeberg.org/a/b/archive/2222.tar.gz",
        "https://codeberg.org/api/v1/repos/a/b/archive/2222.tar.gz",
        "https://codeberg.org/evil/b/archive/2222.tar.gz",
        "https://codeberg.org/a/b/../../evil/b/archive/2222.tar.gz",
        "https://codeberg.org/a/b/%2e%2e/%2e%2e/evil/b/archive/2222.tar.gz",
        "https://codeberg.org:444/a/b/archive/2222.tar.gz",
        "https://codeberg.org@evil.example/a/b/archive/2222.tar.gz",
        "file:///a/b/archive/2222.tar.gz",
    ])), @r#"
    {"rev":null,"url":"https://codeberg.org/a/b/archive/2222.tar.gz"} fine
    {"rev":null,"url":"https://codeberg.org/api/v1/repos/a/b/archive/2222.tar.gz"} fine
    {"rev":null,"url":"https://codeberg.org/evil/b/archive/2222.tar.gz"} it is another place on the host
    {"rev":null,"url":"https://codeberg.org/a/b/../../evil/b/archive/2222.tar.gz"} it is another place on the host
    {"rev":null,"url":"https://codeberg.org/a/b/%2e%2e/%2e%2e/evil/b/archive/2222.tar.gz"} it is another place on the host
    {"rev":null,"url":"https://codeberg.org:444/a/b/archive/2222.tar.gz"} it is on another host
    {"rev":null,"url":"https://codeberg.org@evil.example/a/b/archive/2222.tar.gz"} it is on another host
    {"rev":null,"url":"file:///a/b/archive/2222.tar.gz"} it is fetched in another way
    "#);
}

#[test]
fn where_the_base_has_a_tarball_it_may_be_of_the_same_owner_only() {
    let refused = |asked: &str, before: &str, after: &str| {
        let original = json!({ "type": "tarball", "url": asked });
        let at = |url: &str| json!({ "type": "tarball", "url": url, "narHash": HASH });
        let (base, new) = (lock(&original, &at(before)), lock(&original, &at(after)));
        !refusals(Some(&base), &new, false).is_empty()
    };
    let flakehub = |owner: &str, version: &str| {
        format!("https://api.flakehub.com/f/pinned/{owner}/x/{version}/source.tar.gz")
    };
    let asked = "https://flakehub.com/f/me/x/*";
    assert!(!refused(asked, &flakehub("me", "1"), &flakehub("me", "2")));
    assert!(refused(asked, &flakehub("me", "1"), &flakehub("evil", "2")));
    let gitlab = |project: u8, commit: &str| {
        format!(
            "https://gitlab.com/api/v4/projects/{project}/repository/archive.tar.gz?sha={commit}"
        )
    };
    assert!(!refused(
        &gitlab(1, "main"),
        &gitlab(1, "a"),
        &gitlab(1, "b")
    ));
    assert!(refused(
        &gitlab(1, "main"),
        &gitlab(1, "a"),
        &gitlab(2, "b")
    ));
    // A server of one's own that hands on to another: believed where the base has it so.
    let (own, cdn) = (
        "https://example.org/x.tar.gz",
        "https://cdn.example.net/me/x/1.tar.gz",
    );
    assert!(!refused(own, cdn, "https://cdn.example.net/me/x/2.tar.gz"));
    assert!(refused(own, cdn, "https://cdn.example.net/evil/x/2.tar.gz"));
    assert!(refused(own, own, cdn));
    assert!(!refused(own, own, "https://cdn.example.org/1.tar.gz"));
    let shared = "https://github.com/me/x/archive/main.tar.gz";
    let below = |owner: &str| format!("https://codeload.github.com/{owner}/x/tar.gz/main");
    assert!(!refused(shared, shared, &below("me")));
    assert!(refused(shared, shared, &below("evil")));
}

#[test]
fn a_name_stands_for_what_the_base_has() {
    let original = json!({ "type": "indirect", "id": "mine" });
    let at = |owner: &str, repo: &str| json!({ "type": "github", "owner": owner, "repo": repo, "rev": NEXT, "narHash": HASH });
    let base = lock(&original, &at("me", "mine"));
    let moved = with(&at("Me", "mine"), &json!({ "rev": REV }));
    assert_eq!(
        refusals(Some(&base), &lock(&original, &moved), false),
        [""; 0]
    );
    assert_eq!(
        refusals(Some(&base), &lock(&original, &at("evil", "mine")), false).len(),
        1
    );
    // Without a base, what everybody's Nix knows of the name.
    assert_eq!(
        refusals(None, &lock(&original, &at("me", "mine")), false).len(),
        1
    );
    let nixpkgs = json!({ "type": "indirect", "id": "nixpkgs", "ref": "nixos-unstable" });
    assert_eq!(
        refusals(None, &lock(&nixpkgs, &at("NixOS", "nixpkgs")), false),
        [""; 0]
    );
    assert_eq!(
        refusals(None, &lock(&nixpkgs, &at("nix", "pkgs")), false).len(),
        1
    );
}

#[test]
fn what_the_flake_asks_for_stays_and_what_its_inputs_ask_for_is_told() {
    let node = |owner: &str, rev: &str| {
        json!({
            "original": { "type": "github", "owner": owner, "repo": "r" },
            "locked": { "type": "github", "owner": owner, "repo": "r", "rev": rev, "narHash": HASH },
        })
    };
    let lock = |root: Value, a: Value, b: Value| {
        let mut a = a;
        a["inputs"] = json!({ "b": "b" });
        let json = json!({
            "version": 7,
            "root": "root",
            "nodes": { "root": { "inputs": root }, "a": a, "b": b },
        });
        LockFile::parse(json.to_string().as_bytes()).unwrap()
    };
    let base = lock(json!({ "a": "a" }), node("me", REV), node("dep", REV));
    let said = |new: &LockFile, completed: bool| {
        suspicious(Some(&base), new, completed)
            .iter()
            .map(|distrust| {
                format!(
                    "{} {distrust}",
                    if distrust.refuses() { "no:" } else { "well:" }
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let same = || json!({ "a": "a" });
    assert_eq!(
        said(&lock(same(), node("me", NEXT), node("dep", NEXT)), false),
        ""
    );
    assert_snapshot!(said(&lock(same(), node("evil", NEXT), node("other", NEXT)), true), @"
    no: the flake asked for `github:me/r` as input `a`, and the new lock says `github:evil/r`
    well: input `a/b` was `github:dep/r`, and its flake now asks for `github:other/r`
    ");
    let added = lock(
        json!({ "a": "a", "c": "b", "d": ["a"] }),
        node("me", NEXT),
        node("dep", NEXT),
    );
    assert_snapshot!(said(&added, false), @"
    no: the new lock has an input `c` that the flake's lock does not have: `github:dep/r`
    no: the new lock has an input `d` that the flake's lock does not have: `follows a`
    ");
    assert_eq!(said(&added, true), "");
    let follows = lock(
        json!({ "a": "b", "z": "a" }),
        node("me", NEXT),
        node("dep", NEXT),
    );
    assert_snapshot!(said(&follows, true), @"no: the flake asked for `github:me/r` as input `a`, and the new lock says `github:dep/r`");
    let mut no_flake = node("me", NEXT);
    no_flake["flake"] = json!(false);
    assert_snapshot!(said(&lock(same(), no_flake, node("dep", NEXT)), false), @"no: the flake asked for `github:me/r` as input `a`, and the new lock says `github:me/r (no flake)`");
}

#[test]
fn a_relative_path_starts_at_a_flake_that_may_declare_it() {
    let lock = |parent: Value, path: &str| {
        let at = json!({ "type": "path", "path": path });
        let input =
            json!({ "type": "github", "owner": "o", "repo": "r", "rev": REV, "narHash": HASH });
        let asked = json!({ "type": "github", "owner": "o", "repo": "r" });
        let json = json!({
            "version": 7,
            "root": "root",
            "nodes": {
                "root": { "inputs": { "a": "a", "b": "b", "c": "c" } },
                "a": { "inputs": { "sub": "sub" }, "original": asked, "locked": input },
                "b": { "original": asked, "locked": input },
                "c": { "original": asked, "locked": input },
                "sub": { "original": at, "locked": at, "parent": parent },
            },
        });
        LockFile::parse(json.to_string().as_bytes()).unwrap()
    };
    let base = lock(json!(["a"]), "./sub");
    let said = |parent, path| refusals(Some(&base), &lock(parent, path), false).join("\n");
    assert_eq!(said(json!(["a"]), "./sub"), "");
    assert_eq!(said(json!([]), "./sub"), "");
    assert_snapshot!(said(json!(["b"]), "./sub"), @"input `a/sub` is a path in `b`, which is no flake on the way to it");
    // It was so before.
    let odd = lock(json!(["b"]), "./sub");
    assert_eq!(refusals(Some(&odd), &odd, false), [""; 0]);
    assert_eq!(
        refusals(Some(&odd), &lock(json!(["c"]), "./sub"), false).len(),
        1
    );
}

#[test]
fn what_is_said_is_one_line_without_secrets() {
    let original = json!({ "type": "git", "url": "https://me:s3cret@git.example.org/a" });
    let locked = json!({
        "type": "git", "url": format!("https://you:s3cret@git.example.org/b\n::error::`x`\u{202e}{}", "y".repeat(500)),
        "rev": NEXT, "narHash": HASH,
    });
    let lines = refusals(None, &lock(&original, &locked), false);
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert!(
        !line.contains("s3cret") && !line.contains('\n') && line.len() < 500,
        "{line}"
    );
    assert_eq!(line.matches('`').count(), 6, "{line}");
}
