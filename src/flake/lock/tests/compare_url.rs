//! Links to what lies between two revisions.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{locked_to, pairs};
use crate::flake::lock::{Edge, changes, compare_url, is_compare_url};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

/// Returns the link between two states, with the revisions shortened; `-` for none.
fn link(before: &Value, after: &Value) -> String {
    let edge = |locked: &Value| Edge::Locked(locked_to(locked).unwrap());
    match compare_url(&edge(before), &edge(after)) {
        Some(url) => url.replace(A, "A").replace(&B.to_ascii_lowercase(), "B"),
        None => "-".to_owned(),
    }
}

/// Returns the link between two revisions of what has these attributes.
fn moved(attrs: &Value) -> String {
    let at = |rev: &str| {
        let text = attrs.to_string().replace("REV", rev);
        let mut attrs: Value = serde_json::from_str(&text).unwrap();
        attrs["rev"] = json!(rev);
        attrs
    };
    link(&at(A), &at(B))
}

#[test]
fn a_link_is_there_where_it_is_certain_to_work() {
    let forge = |kind: &str, owner: &str, repo: &str| {
        moved(&json!({"type": kind, "owner": owner, "repo": repo}))
    };
    let on = |kind: &str, host: &str| {
        moved(&json!({"type": kind, "owner": "o", "repo": "r", "host": host}))
    };
    let git = |url: &str| format!("{url}\n    {}", moved(&json!({"type": "git", "url": url})));
    let tarball = |url: &str| {
        format!(
            "{url}\n    {}",
            moved(&json!({"type": "tarball", "url": url}))
        )
    };
    assert_snapshot!(forge("github", "NixOS", "nixpkgs"), @"https://github.com/NixOS/nixpkgs/compare/A...B");
    assert_snapshot!(on("github", "Git.Corp.example"), @"https://git.corp.example/o/r/compare/A...B");
    assert_snapshot!(forge("gitlab", "simple-nixos-mailserver", "nixos-mailserver"), @"https://gitlab.com/simple-nixos-mailserver/nixos-mailserver/-/compare/A...B");
    assert_snapshot!(forge("gitlab", "a%2Fb%2fc", "r"), @"https://gitlab.com/a/b/c/r/-/compare/A...B");
    assert_snapshot!(forge("gitlab", "a/b", "r"), @"https://gitlab.com/a/b/r/-/compare/A...B");
    assert_snapshot!(on("gitlab", "gitlab.freedesktop.org"), @"https://gitlab.freedesktop.org/o/r/-/compare/A...B");
    assert_snapshot!(forge("sourcehut", "~rycee", "nmd"), @"-");
    let table = [
        "https://github.com/o/r",
        "https://github.com/o/r.git/",
        "https://GitHub.com/o/r.git",
        "git@github.com:o/r.git",
        "ssh://git@github.com/o/r.git",
        "git+ssh://git@github.com/o/r",
        "ssh://github.com/o/r",
        "https://codeberg.org/o/r?ref=main",
        "https://gitea.com/o/r",
        "https://git.lix.systems/lix-project/lix",
        "https://gitlab.com/group/sub/r.git",
        // No page, or nobody knows.
        "https://git.example.org/o/r",
        "https://gist.github.com/fdeaf79e.git",
        "https://github.com/o",
        "https://github.com/o/r/x",
        "https://github.com/o/..",
        "https://github.com//r",
        "https://user:secret@github.com/o/r",
        "https://github.com@evil.example/o/r",
        "https://github.com:8443/o/r",
        "ssh://git@github.com:443/o/r",
        "ssh://alice@github.com/o/r",
        "http://github.com/o/r",
        "git://github.com/o/r",
        "file:///srv/github.com/o/r",
        "https://github.com/o/r%0a",
        "https://github.com/o/r)x",
        "https://github.com/ö/r",
    ]
    .map(git);
    assert_snapshot!(table.join("\n"), @"
    https://github.com/o/r
        https://github.com/o/r/compare/A...B
    https://github.com/o/r.git/
        https://github.com/o/r/compare/A...B
    https://GitHub.com/o/r.git
        https://github.com/o/r/compare/A...B
    git@github.com:o/r.git
        https://github.com/o/r/compare/A...B
    ssh://git@github.com/o/r.git
        https://github.com/o/r/compare/A...B
    git+ssh://git@github.com/o/r
        https://github.com/o/r/compare/A...B
    ssh://github.com/o/r
        https://github.com/o/r/compare/A...B
    https://codeberg.org/o/r?ref=main
        https://codeberg.org/o/r/compare/A...B
    https://gitea.com/o/r
        https://gitea.com/o/r/compare/A...B
    https://git.lix.systems/lix-project/lix
        https://git.lix.systems/lix-project/lix/compare/A...B
    https://gitlab.com/group/sub/r.git
        https://gitlab.com/group/sub/r/-/compare/A...B
    https://git.example.org/o/r
        -
    https://gist.github.com/fdeaf79e.git
        -
    https://github.com/o
        -
    https://github.com/o/r/x
        -
    https://github.com/o/..
        -
    https://github.com//r
        -
    https://user:secret@github.com/o/r
        -
    https://github.com@evil.example/o/r
        -
    https://github.com:8443/o/r
        -
    ssh://git@github.com:443/o/r
        -
    ssh://alice@github.com/o/r
        -
    http://github.com/o/r
        -
    git://github.com/o/r
        -
    file:///srv/github.com/o/r
        -
    https://github.com/o/r%0a
        -
    https://github.com/o/r)x
        -
    https://github.com/ö/r
        -
    ");
    let table = [
        "https://git.lix.systems/api/v1/repos/lix-project/lix/archive/REV.tar.gz?rev=REV",
        "https://git.example.org/api/v1/repos/o/r/archive/REV.tar.gz",
        "https://codeberg.org/o/r/archive/REV.tar.gz",
        "https://github.com/o/r/archive/REV.tar.gz",
        "https://releases.nixos.org/nixos/unstable/nixos-25.05pre1/nixexprs.tar.xz",
        // Of something else, or nobody knows.
        "https://codeberg.org/o/r/archive/main.tar.gz",
        "https://git.example.org/o/r/archive/REV.tar.gz",
        "https://gitlab.com/o/r/-/archive/REV/r-REV.tar.gz",
        "https://gitlab.com/o/r/archive/REV.tar.gz",
        "https://api.flakehub.com/f/pinned/NixOS/nixpkgs/0.1.1%2Brev-REV/x/source.tar.gz",
        "https://releases.nixos.org/nix/nix-2.30.0/nix-2.30.0.tar.xz",
        "http://codeberg.org/o/r/archive/REV.tar.gz",
    ]
    .map(tarball);
    assert_snapshot!(table.join("\n"), @"
    https://git.lix.systems/api/v1/repos/lix-project/lix/archive/REV.tar.gz?rev=REV
        https://git.lix.systems/lix-project/lix/compare/A...B
    https://git.example.org/api/v1/repos/o/r/archive/REV.tar.gz
        https://git.example.org/o/r/compare/A...B
    https://codeberg.org/o/r/archive/REV.tar.gz
        https://codeberg.org/o/r/compare/A...B
    https://github.com/o/r/archive/REV.tar.gz
        https://github.com/o/r/compare/A...B
    https://releases.nixos.org/nixos/unstable/nixos-25.05pre1/nixexprs.tar.xz
        https://github.com/NixOS/nixpkgs/compare/A...B
    https://codeberg.org/o/r/archive/main.tar.gz
        -
    https://git.example.org/o/r/archive/REV.tar.gz
        -
    https://gitlab.com/o/r/-/archive/REV/r-REV.tar.gz
        -
    https://gitlab.com/o/r/archive/REV.tar.gz
        -
    https://api.flakehub.com/f/pinned/NixOS/nixpkgs/0.1.1%2Brev-REV/x/source.tar.gz
        -
    https://releases.nixos.org/nix/nix-2.30.0/nix-2.30.0.tar.xz
        -
    http://codeberg.org/o/r/archive/REV.tar.gz
        -
    ");
}

#[test]
fn a_link_needs_two_revisions_of_one_repository() {
    let github =
        |owner: &str, rev: &str| json!({"type": "github", "owner": owner, "repo": "r", "rev": rev});
    let none = json!({"type": "github", "owner": "o", "repo": "r"});
    let git = json!({"type": "git", "url": "https://github.com/o/r.git", "rev": B});
    let gitlab = json!({"type": "gitlab", "owner": "o", "repo": "r", "rev": B});
    assert_eq!(
        link(&github("o", A), &github("O", B)),
        "https://github.com/O/r/compare/A...B"
    );
    assert_eq!(
        link(&github("o", A), &git),
        "https://github.com/o/r/compare/A...B"
    );
    for (before, after) in [
        (github("o", A), github("fork", B)),
        (github("o", A), github("o", A)),
        (github("o", B), github("o", &B.to_ascii_lowercase())),
        (github("o", A), github("o", "v1.0")),
        (github("o", &A[..39]), github("o", B)),
        (github("o", A), none.clone()),
        (none, github("o", B)),
        (github("o", A), gitlab),
        (github(&"o".repeat(1000), A), github(&"o".repeat(1000), B)),
    ] {
        assert_eq!(link(&before, &after), "-", "{before} {after}");
    }
}

#[test]
fn most_real_updates_have_links() {
    let mut links = 0;
    let mut without = BTreeMap::new();
    for pair in pairs() {
        for change in changes(Some(&pair.before), &pair.after) {
            let (Some(before), Some(after)) = (&change.before, &change.after) else {
                continue;
            };
            if let Some(url) = compare_url(before, after) {
                assert!(is_compare_url(&url), "{url}");
                links += 1;
                continue;
            }
            let kind = |edge: &Edge| match edge {
                Edge::Follows(_) => "follows".to_owned(),
                Edge::Locked(input) => match input.attr("url") {
                    Some(url) => {
                        let host: Vec<&str> = url.split('/').take(3).collect();
                        format!("{} {}", input.kind(), host.join("/"))
                    }
                    None => format!("{}:{}", input.kind(), input.attr("owner").unwrap_or("")),
                },
            };
            *without
                .entry(format!("{} -> {}", kind(before), kind(after)))
                .or_insert(0) += 1;
        }
    }
    let without: Vec<String> = without
        .iter()
        .map(|(kind, n)| format!("{n}  {kind}"))
        .collect();
    assert_snapshot!(format!("{links} with a link, without:\n{}", without.join("\n")), @"
    388 with a link, without:
    1  git file:/home/pinpox -> git file:/home/pinpox
    1  git https://git.clan.lol -> git https://git.clan.lol
    1  github:NixOS -> github:cachix
    1  github:cachix -> follows
    1  tarball https://api.flakehub.com -> tarball https://api.flakehub.com
    3  tarball https://github.com -> tarball https://github.com
    ");
}

#[test]
fn a_link_is_fit_to_be_followed() {
    let yes = [
        "https://h/",
        "https://git.h-1.example:8443/~o/r%2F/-/compare/a...b+c=d",
    ];
    for url in yes {
        assert!(is_compare_url(url), "{url}");
    }
    let no = [
        "",
        "https://",
        "https:///o/r",
        "http://h/",
        "HTTPS://h/",
        "https://u@h/",
        "https://u:p@h/",
        "https://h:/",
        "https://h:8a/",
        "https://%68/",
        "https://.h/",
        "https://h/(",
        "https://h/)",
        "https://h/ ",
        "https://h/\n",
        "https://h/?q",
        "https://h/#f",
        "https://h/\u{202e}",
        "https://h\\@evil/",
        "javascript:alert(1)",
    ];
    for url in no {
        assert!(!is_compare_url(url), "{url}");
    }
    assert!(!is_compare_url(&format!("https://h/{}", "a".repeat(1000))));
}

/// Makes names that come near to good ones.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9._~-]{1,8}",
        1 => "[a-z%/2F:@?#&=+ )\\\\`|<\u{202e}ö.-]{0,8}",
    ]
}

proptest! {
    #[test]
    fn whatever_a_lock_holds_a_link_is_fit_to_be_followed(
        kind in "github|gitlab|sourcehut|git|tarball",
        owner in name(), repo in name(), host in prop::option::of(name()), revs in ["[0-9a-f]{40}", "[0-9a-f]{40}"],
        scheme in prop::sample::select(vec!["https", "ssh", "git+ssh", "http"]),
        server in prop::sample::select(vec!["github.com", "git@github.com", "gitlab.com", "u:p@codeberg.org", "gitea.com"]),
    ) {
        let edge = |rev: &String| {
            let url = format!("{scheme}://{server}/{owner}/{repo}/archive/{rev}.tar.gz");
            let url = if kind == "git" { format!("{scheme}://{server}/{owner}/{repo}") } else { url };
            let mut attrs = json!({"type": kind, "owner": owner, "repo": repo, "rev": rev, "url": url});
            if let Some(host) = &host {
                attrs["host"] = json!(host);
            }
            Edge::Locked(locked_to(&attrs).unwrap())
        };
        if let Some(link) = compare_url(&edge(&revs[0]), &edge(&revs[1])) {
            let rest = link.strip_prefix("https://").unwrap();
            prop_assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%:+=".contains(&b)), "{}", link);
            let url = url::Url::parse(&link).unwrap();
            prop_assert_eq!(url.as_str(), link.as_str());
            prop_assert_eq!((url.username(), url.password(), url.query()), ("", None, None));
            prop_assert!(is_compare_url(&link));
        }
    }
}
