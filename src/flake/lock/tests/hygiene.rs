//! What is odd about a lock.

use std::collections::BTreeMap;
use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{fixtures, lock, pairs};
use crate::flake::lock::{LockFile, LockNote, notes};

/// Returns a line for each note.
fn told(lock: &LockFile) -> String {
    let (notes, more) = notes(lock);
    let mut lines: Vec<String> = notes.iter().map(line).collect();
    if more > 0 {
        lines.push(format!("{more} more"));
    }
    lines.join("\n")
}

fn line(note: &LockNote) -> String {
    let LockNote {
        kind,
        inputs,
        count,
        repository,
        times,
        date,
    } = note;
    let times = times.map(|times| format!(" x{times}"));
    [
        format!("{kind:?}{}", times.unwrap_or_default()),
        repository.clone().unwrap_or_default(),
        format!("{count}: {}", inputs.get(..3).unwrap_or(inputs).join(" ")),
        date.clone().unwrap_or_default(),
    ]
    .join("  ")
    .trim()
    .to_owned()
}

/// Returns an input of a repository on GitHub, changed in `month` of 2024.
fn input(repo: &str, month: u8, inputs: &Value) -> Value {
    let rev = format!("{month:040x}");
    let (owner, repo) = repo.split_once('/').unwrap();
    json!({
        "inputs": inputs,
        "locked": {
            "type": "github", "owner": owner, "repo": repo, "rev": rev, "narHash": rev,
            "lastModified": 1_704_067_200 + u64::from(month) * 2_629_800,
        },
        "original": {"type": "github", "owner": owner, "repo": repo},
    })
}

/// Returns the notes on a flake with these inputs of `nodes`.
fn of(inputs: &Value, nodes: &Value) -> String {
    let mut nodes = nodes.clone();
    nodes["root"] = json!({"inputs": inputs});
    told(&lock(&nodes).unwrap())
}

#[test]
fn a_copy_of_what_the_flake_has_is_told_unless_it_is_meant_to_be() {
    let nodes = json!({
        "nixpkgs": input("NixOS/nixpkgs", 9, &json!({})),
        "copy": input("nixos/Nixpkgs", 8, &json!({})),
        "deep": input("NixOS/nixpkgs", 7, &json!({})),
        "hm": input("nix-community/home-manager", 9, &json!({"nixpkgs": "copy"})),
        "hm-follows": input("nix-community/home-manager", 9, &json!({"nixpkgs": ["nixpkgs"]})),
        "hm-shares": input("nix-community/home-manager", 9, &json!({"nixpkgs": "nixpkgs"})),
        "hm-else": input("nix-community/home-manager", 9, &json!({"pkgs": "deep"})),
        "outer": input("o/outer", 9, &json!({"inner": "inner"})),
        "inner": input("o/inner", 9, &json!({"nixpkgs": "deep"})),
        "utils": input("numtide/flake-utils", 9, &json!({})),
        "utils-2": input("numtide/flake-utils", 8, &json!({})),
        "tool": input("o/tool", 9, &json!({"utils": "utils-2"})),
    });
    let of = |inputs: Value| of(&inputs, &nodes);
    // A home with one nixpkgs, in each way of having one.
    assert_eq!(of(json!({"nixpkgs": "nixpkgs"})), "");
    assert_eq!(
        of(json!({"nixpkgs": "nixpkgs", "home-manager": "hm-follows"})),
        ""
    );
    assert_eq!(
        of(json!({"nixpkgs": "nixpkgs", "home-manager": "hm-shares"})),
        ""
    );
    assert_eq!(of(json!({"home-manager": "hm"})), "");
    // Two of the flake's own, on purpose.
    assert_eq!(of(json!({"nixpkgs": "nixpkgs", "nixpkgs-old": "deep"})), "");
    // What an input of an input has is not the flake's to say, once.
    assert_eq!(of(json!({"nixpkgs": "nixpkgs", "outer": "outer"})), "");
    assert_eq!(of(json!({"utils": "utils", "tool": "tool"})), "");
    assert_snapshot!(of(json!({"nixpkgs": "nixpkgs", "home-manager": "hm"})), @"NoFollows x2  github:NixOS/nixpkgs  1: home-manager/nixpkgs");
    // Other names, the same question.
    assert_snapshot!(of(json!({"unstable": "nixpkgs", "home-manager": "hm-else"})), @"NoFollows x2  github:NixOS/nixpkgs  1: home-manager/pkgs");
    assert_snapshot!(of(json!({"nixpkgs": "nixpkgs", "b": "hm", "a": "hm-else", "outer": "outer"})), @"NoFollows x3  github:NixOS/nixpkgs  2: a/pkgs b/nixpkgs");
}

#[test]
fn one_repository_at_three_revisions_is_told() {
    let (a, b, c) = (1, 2, 3);
    let parts = |month| input("hercules-ci/flake-parts", month, &json!({}));
    let user = |name: &str, of: &str| input(&format!("o/{name}"), 9, &json!({"parts": of}));
    let nodes = |x, y, z| {
        json!({
            "1": parts(x), "2": parts(y), "3": parts(z),
            "a": user("a", "1"), "b": user("b", "2"), "c": user("c", "3"),
        })
    };
    let all = json!({"a": "a", "b": "b", "c": "c"});
    assert_snapshot!(of(&all, &nodes(a, b, c)), @"Repeated x3  github:hercules-ci/flake-parts  3: a/parts b/parts c/parts");
    assert_eq!(of(&all, &nodes(a, a, a)), "");
    assert_eq!(of(&json!({"a": "a", "b": "b"}), &nodes(a, b, c)), "");
    let mut pinned = nodes(a, b, c);
    pinned["1"]["original"]["rev"] = json!("1");
    assert_eq!(of(&all, &pinned), "");
}

#[test]
fn what_did_not_change_for_a_year_is_told_against_the_newest() {
    let nodes = json!({
        "new": input("o/new", 24, &json!({"deep": "deep"})),
        "year": input("o/year", 11, &json!({})),
        "older": input("o/older", 1, &json!({})),
        "deep": input("o/deep", 1, &json!({})),
        "utils": input("numtide/flake-utils", 1, &json!({})),
        "systems": input("nix-systems/default", 1, &json!({})),
    });
    let table = |more: &str, change: fn(&mut Value)| {
        let mut nodes = nodes.clone();
        change(&mut nodes);
        let all = json!({"new": "new", "year": "year", "utils": "utils", "systems": "systems", "older": more});
        of(&all, &nodes)
    };
    assert_snapshot!(table("older", |_| {}), @"Old    2: older year  2024-01-31");
    let (pinned, source, path, forged) = (
        table("older", |nodes| {
            nodes["older"]["original"]["rev"] = json!("1");
        }),
        table("older", |nodes| nodes["older"]["flake"] = json!(false)),
        table("older", |nodes| {
            nodes["older"]["locked"] = json!({"type": "path", "path": "/x", "lastModified": 1});
        }),
        table("older", |nodes| {
            nodes["older"]["locked"]["lastModified"] = json!(u64::MAX);
        }),
    );
    assert_snapshot!(pinned, @"Old    1: year  2024-11-30");
    assert_eq!(
        [source, path, forged],
        [pinned.clone(), pinned.clone(), pinned]
    );
    // A file's own time may lie in the future, and makes nothing old.
    let file = json!({"type": "file", "url": "https://h/f", "narHash": "x", "lastModified": 4_000_000_000_u64});
    let nodes = json!({
        "year": input("o/year", 11, &json!({})),
        "file": {"locked": file, "original": file, "flake": false},
    });
    assert_eq!(of(&json!({"year": "year", "file": "file"}), &nodes), "");
}

#[test]
fn real_locks_get_few_notes() {
    let rare = fs::read_dir(fixtures("locks-rare")).unwrap();
    let rare = rare.filter_map(|entry| {
        let path = entry.unwrap().path();
        let lock = LockFile::parse(&fs::read(&path).unwrap()).ok()?;
        Some((path.file_stem()?.to_str()?.to_owned(), lock))
    });
    let locks: BTreeMap<String, LockFile> = pairs()
        .into_iter()
        .map(|pair| (pair.name, pair.after))
        .chain(rare)
        .collect();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for lock in locks.values() {
        *counts.entry(notes(lock).0.len()).or_default() += 1;
    }
    assert_snapshot!(format!("{counts:?}"), @"{0: 23, 1: 22, 2: 11, 3: 11, 4: 8, 5: 4, 6: 1, 7: 4, 8: 1, 10: 1}");
    let shown = |name: &str| {
        let (_, lock) = locks.iter().find(|(full, _)| full.contains(name)).unwrap();
        told(lock)
    };
    assert_snapshot!(shown("britter"), @"
    NoFollows x5  github:nixos/nixpkgs  3: catppuccin/nixpkgs nur/nixpkgs sops-nix/nixpkgs
    NoFollows x3  github:numtide/treefmt-nix  2: nixvim/treefmt-nix nur/treefmt-nix
    ");
    assert_snapshot!(shown("exact-102-lonerOrz"), @"
    NoFollows x14  github:NixOS/nixpkgs  12: chaotic/nixpkgs disko/nixpkgs distro-grub-themes/nixpkgs
    NoFollows x4  github:nix-community/home-manager  3: chaotic/home-manager stylix/home-manager zen-browser/home-manager
    NoFollows x4  github:hercules-ci/flake-parts  3: nur/flake-parts nvf/flake-parts stylix/flake-parts
    NoFollows x2  github:nix-community/NUR  1: stylix/nur
    Repeated x3  github:nix-community/nixpkgs.lib  3: flake-parts/nixpkgs-lib nixos-generators/nixlib nvf/flake-parts/nixpkgs-lib
    ");
    assert_snapshot!(shown("exact-141-pinpox"), @"
    NoFollows x3  github:nixos/nixpkgs  1: nur/nixpkgs
    NoFollows x2  github:nix-community/disko  1: clan-core/disko
    Old    8: nix-apple-fonts mc3000 matrix-hook  2021-11-16
    ");
    assert_snapshot!(shown("exact-051-Gerschtli"), @"Old    2: agenix-cli homeage  2022-01-05");
    assert_snapshot!(shown("v5__NixOS+infra"), @"
    NoFollows x4  github:NixOS/nixpkgs  2: nix/nixpkgs nixos-channel-scripts/nixpkgs
    NoFollows x2  github:NixOS/nix  1: nixos-channel-scripts/nix
    ");
    assert_snapshot!(shown("biggest"), @"
    NoFollows x195  github:nixos/nixpkgs  13: attic/nixpkgs attic/nixpkgs-stable flatpaks/nixpkgs
    NoFollows x16  github:nix-community/home-manager  2: flatpaks/home-manager nix-on-droid/home-manager
    Old    1: nix-on-droid  2023-06-30
    Repeated x22  github:nix-community/nix-vscode-extensions  22: myFlakes/vscode-flake/nix-vscode-extensions myFlakes/ansible-flake/nixos-configs/myFlakes/vscode-flake/nix-vscode-extensions myFlakes/jetporch-flake/nixos-configs/myFlakes/vscode-flake/nix-vscode-extensions
    Repeated x17  github:nix-community/nixGL  17: myFlakes/vimb-flake/nixgl myFlakes/wezterm-flake/nixgl myFlakes/ansible-flake/nixos-configs/myFlakes/vimb-flake/nixgl
    Repeated x16  github:oxalica/rust-overlay  16: lanzaboote/rust-overlay nixos-apple-silicon/rust-overlay myFlakes/helix-flake/helix-src/rust-overlay
    Repeated x14  github:heywoodlh/flakes  14: myFlakes myFlakes/kube-flake/op-scripts myFlakes/ansible-flake/nixos-configs/myFlakes
    Repeated x11  github:ipetkov/crane  11: attic/crane lanzaboote/crane proxmox-nixos/crane
    Repeated x11  github:LnL7/nix-darwin  11: darwin myFlakes/ansible-flake/nixos-configs/darwin myFlakes/jetporch-flake/nixos-configs/darwin
    Repeated x11  git+https://github.com/Jovian-Experiments/Jovian-NixOS  11: jovian-nixos myFlakes/ansible-flake/nixos-configs/jovian-nixos myFlakes/jetporch-flake/nixos-configs/jovian-nixos
    19 more
    ");
}
