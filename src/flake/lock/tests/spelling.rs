//! References in Nix's spelling, and what else is said of an input.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{fixtures, lock, locked_to, parse};
use crate::flake::lock::{Dialect, Edge};

#[test]
fn gives_what_a_report_says_of_an_input() {
    let inputs = parse(&fixtures("locks-rare/v6__NixOS+infra__a23fe9e3d6.lock")).inputs();
    let mut lines = Vec::new();
    for (name, edge) in &inputs {
        let Edge::Locked(input) = edge else { continue };
        lines.push(format!(
            "{name}: {} {} {} {} {}",
            input.kind(),
            input.is_flake(),
            input.rev().unwrap_or("-"),
            input.date().unwrap_or_default(),
            input.original_url(),
        ));
    }
    assert_snapshot!(lines.join("\n"), @r"
    nix: github true 7db879e65e83b1c65206b490d36a69e97c5a877a 2020-06-11 flake:nix
    nix/nixpkgs: github true 70717a337f7ae4e486ba71a500367cad697e5f09 2020-06-08 flake:nixpkgs/nixos-20.03-small
    nixops: github true 0a636f2d59955a7cc1e6cb5bb132aea325c631cf 2020-04-12 flake:nixops
    nixops/nixops-aws: github false af97c16f179cd0df94a6fc3ef470092122253f60 2020-04-12 github:NixOS/nixops-aws/flake
    nixops/nixops-hetzner: github false 663b02618ece7a92a72da408a552528ee8dd354c 2020-04-12 github:NixOS/nixops-hetzner/zfs
    nixops/nixpkgs: github true 70717a337f7ae4e486ba71a500367cad697e5f09 2020-06-08 flake:nixpkgs/nixos-20.03-small
    nixos-channel-scripts: github true f3aa3bae4c06453fb9012abdbbd9ee422e6d5669 2020-05-12 github:NixOS/nixos-channel-scripts
    nixos-channel-scripts/nix: github true 14a3a62bfca6c572b9a415cfa80cdbd7ad4326b3 2020-05-07 flake:nix
    nixos-channel-scripts/nix/nixpkgs: github true b88ff468e9850410070d4e0ccd68c7011f15b2be 2020-03-28 flake:nixpkgs/nixos-20.03-small
    nixos-channel-scripts/nixpkgs: github true 29eddfc36d720dcc4822581175217543b387b1e8 2020-04-07 flake:nixpkgs/nixos-20.03
    nixpkgs: github true 70717a337f7ae4e486ba71a500367cad697e5f09 2020-06-08 flake:nixpkgs/nixos-20.03-small
    ");

    let input = locked_to(&json!({"type": "path", "path": "./a"})).unwrap();
    assert_eq!(
        (
            input.rev(),
            input.nar_hash(),
            input.last_modified(),
            input.date()
        ),
        (None, None, None, None)
    );
    assert_eq!(
        (input.kind(), input.attr("path"), input.attr("rev")),
        ("path", Some("./a"), None)
    );
    // As Nix reads them; times that no calendar holds are left out.
    for (seconds, date) in [
        (json!(0), Some("1970-01-01")),
        (json!(1_591_315_199), Some("2020-06-04")),
        (json!(1_591_315_200), Some("2020-06-05")),
        (json!(5.7), Some("1970-01-01")),
        (json!(-5), Some("1969-12-31")),
        (json!(253_402_300_800_u64), None),
        (json!(u64::MAX), Some("1969-12-31")),
    ] {
        let input =
            locked_to(&json!({"type": "path", "path": "./a", "lastModified": seconds})).unwrap();
        assert_eq!(input.date().as_deref(), date, "{seconds}");
    }
}

const REV: &str = "3f1dae074a0000000000000000000000000000ff";

const HASH: &str = "sha256-2JX3S1hmmUhHuyGyGWnaM4xT0SiaDdVkNzmBrEowwK0=";

/// The expected spellings are what Nix 2.26.3 and 2.34.8 print for these attributes.
#[test]
fn spells_locked_references_as_nix_does() {
    let spell = |dialect, attrs: Value| {
        let mut attrs = attrs;
        attrs["rev"] = json!(REV);
        locked_to(&attrs).unwrap().url(dialect).replace(REV, "REV")
    };
    let new = |attrs: Value| spell(Dialect::NarHashHost, attrs);
    let git = |url: &str| new(json!({"type": "git", "url": url}));

    let gitlab = || json!({"type": "gitlab", "owner": "g/s", "repo": "r", "host": "h.org", "narHash": HASH, "dir": "a b/c&d"});
    assert_snapshot!(spell(Dialect::Plain, gitlab()), @"gitlab:g/s/r/REV?dir=a%20b/c%26d");
    assert_snapshot!(spell(Dialect::NarHash, gitlab()), @"gitlab:g/s/r/REV?dir=a%20b/c%26d&narHash=sha256-2JX3S1hmmUhHuyGyGWnaM4xT0SiaDdVkNzmBrEowwK0%3D");
    assert_snapshot!(spell(Dialect::NarHashHost, gitlab()), @"gitlab:g%2Fs/r/REV?dir=a%20b/c%26d&host=h.org&narHash=sha256-2JX3S1hmmUhHuyGyGWnaM4xT0SiaDdVkNzmBrEowwK0%3D");
    assert_snapshot!(spell(Dialect::Short, gitlab()), @"gitlab:g%2Fs/r/3f1dae0?dir=a%20b/c%26d&host=h.org");
    let tarball = || json!({"type": "tarball", "url": "https://h/p%2Bx/%7E/x.tgz?a=b+c&q=%20&e", "narHash": HASH, "dir": "x"});
    assert_snapshot!(spell(Dialect::Plain, tarball()), @"https://h/p%2Bx/~/x.tgz?a=b%2Bc&dir=x&narHash=sha256-2JX3S1hmmUhHuyGyGWnaM4xT0SiaDdVkNzmBrEowwK0%3D&q=%20");
    assert_snapshot!(spell(Dialect::Short, tarball()), @"https://h/p%2Bx/~/x.tgz?a=b%2Bc&dir=x&q=%20");
    assert_snapshot!(new(json!({"type": "file", "url": "https://h/%2A#frag", "narHash": HASH})), @"https://h/%2A?narHash=sha256-2JX3S1hmmUhHuyGyGWnaM4xT0SiaDdVkNzmBrEowwK0%3D#frag");
    assert_snapshot!(new(json!({"type": "path", "path": "/x y", "narHash": HASH, "lastModified": 1, "dir": "q/r"})), @"path:/x%20y?dir=q/r&lastModified=1&narHash=sha256-2JX3S1hmmUhHuyGyGWnaM4xT0SiaDdVkNzmBrEowwK0%3D&rev=REV");
    assert_snapshot!(new(json!({"type": "hg", "url": "https://h/p", "ref": "default", "narHash": HASH})), @"hg+https://h/p?ref=default&rev=REV");
    assert_snapshot!(new(json!({"type": "indirect", "id": "nixpkgs", "ref": "a/b"})), @"flake:nixpkgs/a%2Fb/REV");
    assert_snapshot!(new(json!({
        "type": "git", "url": "https://h/p?dir=old", "ref": "refs/heads/main", "dir": "new", "narHash": HASH,
        "shallow": true, "submodules": true, "lfs": true, "exportIgnore": false, "revCount": 3,
    })), @"git+https://h/p?dir=old&lfs=1&ref=refs/heads/main&rev=REV&shallow=1&submodules=1");
    assert_snapshot!(git("git@github.com:foo/bar.git"), @"git+ssh://git@github.com/foo/bar.git?rev=REV");
    assert_snapshot!(git("ssh://git@[::1]:22/~u/p"), @"git+ssh://git@[::1]:22/~u/p?rev=REV");
    assert_snapshot!(git("/abs/a b"), @"git+file:///abs/a%20b?rev=REV");
    assert_snapshot!(git("rel/p"), @"git+file:rel/p?rev=REV");
    assert_snapshot!(git("file:rel"), @"git+file:rel?rev=REV");
    assert_snapshot!(git("file:///a/../b//c"), @"git+file:///a/../b//c?rev=REV");
    assert_snapshot!(git("git://h/p"), @"git://h/p?rev=REV");
    assert_snapshot!(git("git+ssh://h/p?x"), @"git+ssh://h/p?rev=REV");
    assert_snapshot!(git("https://h/p(1)/a+b;c=d,e"), @"git+https://h/p%281%29/a%2Bb%3Bc%3Dd%2Ce?rev=REV");
    // Nix refuses these; they are shown as they are, or nearly so.
    assert_snapshot!(new(json!({"type": "tarball", "url": "no url"})), @"no url");
    assert_snapshot!(new(json!({"type": "future", "where": "there", "really": true})), @"future:?really=1&rev=REV&where=there");
}

#[test]
fn spells_original_references_for_people_and_every_nix() {
    let spell = |original: Value| {
        let node = json!({"locked": {"type": "path", "path": "."}, "original": original});
        let lock = lock(&json!({"root": {"inputs": {"a": "n"}}, "n": node})).unwrap();
        match lock.inputs().into_values().next() {
            Some(Edge::Locked(input)) => input.original_url(),
            other => panic!("{other:?}"),
        }
    };
    assert_snapshot!(spell(json!({"type": "github", "owner": "NixOS", "repo": "nixpkgs", "ref": "nixos-24.05"})), @"github:NixOS/nixpkgs/nixos-24.05");
    assert_snapshot!(spell(json!({"type": "github", "owner": "o", "repo": "r", "ref": "feat/x+y", "dir": "d"})), @"github:o/r/feat/x%2By?dir=d");
    assert_snapshot!(spell(json!({"type": "gitlab", "owner": "g", "repo": "r", "host": "h.org"})), @"gitlab:g/r?host=h.org");
    assert_snapshot!(spell(json!({"type": "indirect", "id": "nixpkgs", "ref": "release-20.03"})), @"flake:nixpkgs/release-20.03");
    assert_snapshot!(spell(json!({"type": "tarball", "url": "https://flakehub.com/f/NixOS/nixpkgs/%2A"})), @"https://flakehub.com/f/NixOS/nixpkgs/%2A");
    assert_snapshot!(spell(json!({"type": "git", "url": "ssh://git@h/p", "ref": "main", "submodules": true})), @"git+ssh://git@h/p?ref=main&submodules=1");
    assert_snapshot!(spell(json!({"type": "path", "path": "./sub"})), @"path:./sub");
}
