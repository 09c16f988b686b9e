//! Every row of the contract's section on the life of the pull request, as data in and data out.

use super::*;
use crate::forge::marker::{body, title_hash};

const SCOPE: &str = "0123456789abcdef";
const OTHER: &str = "fedcba9876543210";
const TITLE: &str = "chore: update flake inputs";
const LOCK_PATH: &str = "flake.lock";

/// A commit's name made of one digit.
fn id(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn hash(text: &str) -> String {
    sha256_hex(text.as_bytes())
}

fn wanted() -> Wanted {
    Wanted {
        scope: SCOPE.to_owned(),
        before: Some(hash("base")),
        lock: hash("new"),
        digest: "digest".to_owned(),
        goal: Goal::Publish,
    }
}

fn habits() -> Habits {
    Habits {
        hold_label: "flake-herald:hold".to_owned(),
        rebase_when_behind: false,
        keep_obsolete: false,
    }
}

fn nothing_there() -> Situation {
    Situation {
        base_lock: Some(hash("base")),
        branch: None,
        open: None,
        elsewhere: None,
        closed: Some(Vec::new()),
    }
}

fn marker_of(lock: &str, digest: &str) -> Marker {
    Marker {
        scope: SCOPE.to_owned(),
        lock: hash(lock),
        digest: digest.to_owned(),
        title: title_hash(TITLE),
        draft: false,
        obsolete: false,
    }
}

fn pull(state: PrState, head: char, marker: &Marker) -> PullRequest {
    PullRequest {
        number: PrNumber(7),
        state,
        title: TITLE.to_owned(),
        body: body(marker, "the report", "a note"),
        url: "https://forge.example/alice/fleet/pulls/7".to_owned(),
        head: Some(id(head)),
        draft: false,
        labels: Vec::new(),
    }
}

/// Our commit: the new lock on the base.
fn ours() -> CommitFacts {
    CommitFacts {
        id: id('c'),
        message: format!(
            "chore: update\n\n{SCOPE_TRAILER}: {SCOPE}\n{LOCK_TRAILER}: {}\n",
            hash("new")
        ),
        parents: vec![id('b')],
        changed: vec![LOCK_PATH.to_owned()],
        lock: Some(b"new".to_vec()),
        parent_lock: Some(b"base".to_vec()),
        merged_is_on_base: false,
    }
}

/// The forge's "update branch": the base merged into ours.
fn merge_of_base() -> CommitFacts {
    CommitFacts {
        id: id('d'),
        message: "Merge branch 'main' into auto/flake-update".to_owned(),
        parents: vec![id('c'), id('e')],
        merged_is_on_base: true,
        ..ours()
    }
}

fn branch(commits: &[CommitFacts]) -> Branch {
    let tip = commits
        .first()
        .map_or_else(|| id('b'), |commit| commit.id.clone());
    Branch::classify(tip, &[&id('b')], &own(commits), SCOPE, LOCK_PATH)
}

fn own(commits: &[CommitFacts]) -> OwnCommits {
    OwnCommits {
        commits: commits.to_vec(),
        truncated: false,
    }
}

fn our_open_one() -> Situation {
    Situation {
        branch: Some(branch(&[ours()])),
        open: Some(pull(PrState::Open, 'c', &marker_of("new", "digest"))),
        closed: None,
        ..nothing_there()
    }
}

#[test]
fn every_row_of_the_life_is_decided() {
    type Change = fn(&mut Wanted, &mut Habits, &mut Situation);
    use Decision as D;
    let create = |push| D::Create { push };
    let update = |push, edit| D::Update { push, edit };
    let foreign = |commit| D::Blocked(Blocked::Foreign(id(commit)));
    let other = || D::Blocked(Blocked::OtherScope(OTHER.to_owned()));
    let from_nothing: [(&str, Change, Decision); 18] = [
        (
            "one to another base is open from our branch",
            |_, _, s| {
                s.branch = Some(branch(&[ours()]));
                s.elsewhere = Some(PrNumber(3));
            },
            D::Blocked(Blocked::OtherBase(PrNumber(3))),
        ),
        ("the first run opens", |_, _, _| {}, create(true)),
        (
            "closed ones are looked at before creating",
            |_, _, s| s.closed = None,
            D::LookAtClosed,
        ),
        (
            "a base without a lock gets one",
            |w, _, s| {
                w.before = None;
                s.base_lock = None;
            },
            create(true),
        ),
        (
            "pushed and killed before opening",
            |_, _, s| s.branch = Some(branch(&[ours()])),
            create(false),
        ),
        (
            "a leftover of ours with an older lock",
            |w, _, s| {
                s.branch = Some(branch(&[ours()]));
                w.lock = hash("newer");
            },
            create(true),
        ),
        (
            "a branch that the base contains is free",
            |_, _, s| s.branch = Some(branch(&[])),
            create(true),
        ),
        (
            "squash-merged, and the branch was kept",
            |w, _, s| {
                s.branch = Some(branch(&[ours()]));
                s.closed = Some(vec![pull(
                    PrState::Merged,
                    'c',
                    &marker_of("new", "digest"),
                )]);
                w.before = Some(hash("new"));
                s.base_lock = Some(hash("new"));
                w.lock = hash("newer");
            },
            create(true),
        ),
        (
            "merged with somebody's commit on it, and the branch was kept",
            |_, _, s| {
                s.branch = Some(branch(&[
                    CommitFacts {
                        id: id('9'),
                        message: "mine".into(),
                        ..ours()
                    },
                    ours(),
                ]));
                s.closed = Some(vec![pull(
                    PrState::Merged,
                    '9',
                    &marker_of("old", "digest"),
                )]);
            },
            create(true),
        ),
        (
            "somebody's branch of our name",
            |_, _, s| {
                s.branch = Some(branch(&[CommitFacts {
                    message: "mine".into(),
                    ..ours()
                }]));
            },
            foreign('c'),
        ),
        (
            "somebody's branch of our name, and a merged one with another head",
            |_, _, s| {
                s.branch = Some(branch(&[CommitFacts {
                    message: "mine".into(),
                    ..ours()
                }]));
                s.closed = Some(vec![pull(
                    PrState::Merged,
                    '9',
                    &marker_of("old", "digest"),
                )]);
            },
            foreign('c'),
        ),
        (
            "closed by a human, with this lock",
            |_, _, s| {
                s.branch = Some(branch(&[ours()]));
                s.closed = Some(vec![pull(
                    PrState::Closed,
                    'c',
                    &marker_of("new", "digest"),
                )]);
            },
            D::Declined(PrNumber(7)),
        ),
        (
            "closed by a human, and the branch deleted",
            |_, _, s| s.closed = Some(vec![pull(PrState::Closed, 'c', &marker_of("new", "older"))]),
            D::Declined(PrNumber(7)),
        ),
        (
            "closed by a human, with an older lock",
            |_, _, s| {
                s.closed = Some(vec![pull(
                    PrState::Closed,
                    'c',
                    &marker_of("old", "digest"),
                )]);
            },
            create(true),
        ),
        (
            "closed by ourselves, with this lock",
            |_, _, s| {
                let marker = Marker {
                    obsolete: true,
                    ..marker_of("new", "digest")
                };
                s.closed = Some(vec![pull(PrState::Closed, 'c', &marker)]);
            },
            create(true),
        ),
        (
            "merged once with this lock, and taken back since",
            |_, _, s| {
                s.closed = Some(vec![pull(
                    PrState::Merged,
                    'c',
                    &marker_of("new", "digest"),
                )]);
            },
            create(true),
        ),
        (
            "another scope's was declined",
            |_, _, s| {
                let marker = Marker {
                    scope: OTHER.to_owned(),
                    ..marker_of("new", "digest")
                };
                s.closed = Some(vec![pull(PrState::Closed, 'c', &marker)]);
            },
            create(true),
        ),
        (
            "the base's lock moved",
            |_, _, s| s.base_lock = Some(hash("moved")),
            D::Stale,
        ),
    ];
    let from_open: [(&str, Change, Decision); 22] = [
        ("a quiet night", |_, _, _| {}, D::Nothing),
        (
            "a quiet night after an unrelated commit landed",
            |_, _, s| {
                let branch = s.branch.as_mut().unwrap();
                branch.behind = true;
            },
            D::Nothing,
        ),
        (
            "the same, but the branch is to be on top",
            |_, h, s| {
                h.rebase_when_behind = true;
                s.branch.as_mut().unwrap().behind = true;
            },
            update(true, false),
        ),
        (
            "on top already",
            |_, h, _| h.rebase_when_behind = true,
            D::Nothing,
        ),
        (
            "a new lock",
            |w, _, _| {
                w.lock = hash("newer");
                w.digest = "other".to_owned();
            },
            update(true, true),
        ),
        (
            "the same lock, another report",
            |w, _, _| w.digest = "other".to_owned(),
            update(false, true),
        ),
        (
            "the base's lock moved before our report",
            |w, _, s| {
                w.before = Some(hash("moved"));
                s.base_lock = Some(hash("moved"));
                w.digest = "other".to_owned();
            },
            update(true, true),
        ),
        (
            "the base's lock moved since our report",
            |_, _, s| s.base_lock = Some(hash("moved")),
            D::Stale,
        ),
        (
            "pushed and killed before editing",
            |_, _, s| s.open = Some(pull(PrState::Open, 'c', &marker_of("old", "older"))),
            update(false, true),
        ),
        (
            "the branch was deleted, and the forge has not closed it",
            |_, _, s| s.branch = None,
            update(true, false),
        ),
        (
            "the forge merged the base into it",
            |_, _, s| s.branch = Some(branch(&[merge_of_base(), ours()])),
            D::Nothing,
        ),
        (
            "the forge merged the base into it, and there is a new lock",
            |w, _, s| {
                s.branch = Some(branch(&[merge_of_base(), ours()]));
                w.lock = hash("newer");
                w.digest = "other".to_owned();
            },
            update(true, true),
        ),
        (
            "somebody amended it",
            |w, _, s| {
                let amended = CommitFacts {
                    changed: vec![LOCK_PATH.to_owned(), "flake.nix".to_owned()],
                    ..ours()
                };
                s.branch = Some(branch(&[amended]));
                w.lock = hash("newer");
            },
            foreign('c'),
        ),
        (
            "somebody amended it on a quiet night",
            |_, _, s| {
                let amended = CommitFacts {
                    lock: Some(b"theirs".to_vec()),
                    ..ours()
                };
                s.branch = Some(branch(&[amended]));
            },
            foreign('c'),
        ),
        (
            "another scope has the branch",
            |_, _, s| {
                let message = ours().message.replace(SCOPE, OTHER);
                s.branch = Some(branch(&[CommitFacts { message, ..ours() }]));
            },
            other(),
        ),
        (
            "another scope has the pull request",
            |_, _, s| {
                let marker = Marker {
                    scope: OTHER.to_owned(),
                    ..marker_of("new", "digest")
                };
                s.open = Some(pull(PrState::Open, 'c', &marker));
            },
            other(),
        ),
        (
            "the hold label",
            |w, _, s| {
                w.lock = hash("newer");
                w.digest = "other".to_owned();
                s.open.as_mut().unwrap().labels =
                    vec!["x".to_owned(), "flake-herald:hold".to_owned()];
            },
            D::Held,
        ),
        (
            "the hold label, and nothing left to say",
            |w, _, s| {
                w.goal = Goal::Obsolete { proved: true };
                s.open.as_mut().unwrap().labels = vec!["flake-herald:hold".to_owned()];
            },
            D::Held,
        ),
        (
            "another label",
            |_, _, s| s.open.as_mut().unwrap().labels = vec!["hold".to_owned()],
            D::Nothing,
        ),
        (
            "web forms sent the body back with CRLF",
            |_, _, s| {
                let open = s.open.as_mut().unwrap();
                open.body = open.body.replace('\n', "\r\n");
            },
            D::Nothing,
        ),
        (
            "somebody opened it by hand from our branch",
            |_, _, s| s.open.as_mut().unwrap().body = "please look".to_owned(),
            update(false, true),
        ),
        (
            "somebody opened the one that we closed again",
            |_, _, s| {
                let marker = Marker {
                    obsolete: true,
                    ..marker_of("new", "digest")
                };
                s.open.as_mut().unwrap().body = body(&marker, "the report", "");
            },
            update(false, true),
        ),
    ];
    let obsolete: [(&str, Change, Decision); 14] = [
        (
            "one to another base is open from our branch",
            |_, _, s| {
                s.open = None;
                s.elsewhere = Some(PrNumber(3));
            },
            D::Nothing,
        ),
        ("nothing to say any more", |_, _, _| {}, D::Close),
        (
            "the branch is gone already",
            |_, _, s| s.branch = None,
            D::Close,
        ),
        (
            "not proved",
            |w, _, _| w.goal = Goal::Obsolete { proved: false },
            D::Nothing,
        ),
        (
            "people keep them",
            |_, h, _| h.keep_obsolete = true,
            D::Nothing,
        ),
        (
            "somebody works on it",
            |_, _, s| {
                s.branch = Some(branch(&[
                    CommitFacts {
                        id: id('9'),
                        message: "mine".into(),
                        ..ours()
                    },
                    ours(),
                ]));
            },
            foreign('9'),
        ),
        (
            "another scope's",
            |_, _, s| {
                let marker = Marker {
                    scope: OTHER.to_owned(),
                    ..marker_of("new", "digest")
                };
                s.open = Some(pull(PrState::Open, 'c', &marker));
            },
            other(),
        ),
        (
            "somebody opened it by hand",
            |_, _, s| s.open.as_mut().unwrap().body = "please look".to_owned(),
            D::Nothing,
        ),
        (
            "the base's lock moved since",
            |_, _, s| s.base_lock = Some(hash("moved")),
            D::Stale,
        ),
        (
            "nothing was ever there",
            |_, _, s| {
                s.open = None;
                s.branch = None;
            },
            D::Nothing,
        ),
        (
            "a branch without a pull request: look why",
            |_, _, s| s.open = None,
            D::LookAtClosed,
        ),
        (
            "closed and killed before the branch was deleted",
            |_, _, s| {
                let marker = Marker {
                    obsolete: true,
                    ..marker_of("new", "digest")
                };
                s.open = None;
                s.closed = Some(vec![pull(PrState::Closed, 'c', &marker)]);
            },
            D::DeleteBranch,
        ),
        (
            "squash-merged and kept",
            |_, _, s| {
                s.open = None;
                s.closed = Some(vec![pull(
                    PrState::Merged,
                    'c',
                    &marker_of("new", "digest"),
                )]);
            },
            D::Nothing,
        ),
        (
            "declined and kept",
            |_, _, s| {
                s.open = None;
                s.closed = Some(vec![pull(
                    PrState::Closed,
                    'c',
                    &marker_of("new", "digest"),
                )]);
            },
            D::Nothing,
        ),
    ];
    let mut wrong = Vec::new();
    let mut check = |what: &str, start: (Wanted, Situation), change: Change, expected: Decision| {
        let (mut wanted, mut there) = start;
        let mut habits = habits();
        change(&mut wanted, &mut habits, &mut there);
        let decided = decide(&wanted, &habits, &there);
        if decided != expected {
            wrong.push(format!("{what}: {decided:?}, not {expected:?}"));
        }
    };
    for (what, change, expected) in from_nothing {
        check(what, (wanted(), nothing_there()), change, expected);
    }
    for (what, change, expected) in from_open {
        check(what, (wanted(), our_open_one()), change, expected);
    }
    for (what, change, expected) in obsolete {
        let goal = Goal::Obsolete { proved: true };
        let wanted = Wanted { goal, ..wanted() };
        check(what, (wanted, our_open_one()), change, expected);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_branch_belongs_to_who_made_all_of_it() {
    let ours_is = |change: fn(&mut CommitFacts)| {
        let mut commit = ours();
        change(&mut commit);
        branch(&[commit]).owner
    };
    assert_eq!(ours_is(|_| ()), Owner::Ours);
    let foreign = |commit| Owner::Foreign(id(commit));
    // Amended: another file, another lock, an executable lock shows as changed too; or the words gone.
    assert_eq!(
        ours_is(|c| c.changed.push("flake.nix".into())),
        foreign('c')
    );
    assert_eq!(ours_is(|c| c.lock = Some(b"x".to_vec())), foreign('c'));
    assert_eq!(ours_is(|c| c.lock = None), foreign('c'));
    assert_eq!(
        ours_is(|c| c.message = "chore: update".into()),
        foreign('c')
    );
    assert_eq!(ours_is(|c| c.changed.clear()), foreign('c'));
    assert_eq!(
        ours_is(|c| c.message = c.message.replace(SCOPE, OTHER)),
        Owner::OtherScope(OTHER.to_owned())
    );
    // A flake in a directory has its own lock.
    assert_eq!(
        ours_is(|c| c.changed = vec!["sub/flake.lock".into()]),
        foreign('c')
    );

    let merge_is = |change: fn(&mut CommitFacts)| {
        let mut merge = merge_of_base();
        change(&mut merge);
        branch(&[merge, ours()]).owner
    };
    assert_eq!(merge_is(|_| ()), Owner::Ours);
    // The base has the same lock by now: nothing differs from it.
    assert_eq!(merge_is(|m| m.changed.clear()), Owner::Ours);
    assert_eq!(merge_is(|m| m.lock = Some(b"x".to_vec())), foreign('d'));
    assert_eq!(merge_is(|m| m.changed.push("evil".into())), foreign('d'));
    assert_eq!(merge_is(|m| m.merged_is_on_base = false), foreign('d'));
    assert_eq!(merge_is(|m| m.parents.push(id('1'))), foreign('d'));
    // A merge on somebody's commit is as little ours as that commit.
    let theirs = CommitFacts {
        message: "mine".into(),
        ..ours()
    };
    assert_eq!(branch(&[merge_of_base(), theirs]).owner, foreign('c'));
    assert_eq!(branch(&[merge_of_base()]).owner, foreign('d'));
    assert_eq!(branch(&[]).owner, Owner::Free);
    // Nobody knows what is below.
    let cut = OwnCommits {
        commits: vec![ours()],
        truncated: true,
    };
    let cut = Branch::classify(id('c'), &[&id('b')], &cut, SCOPE, LOCK_PATH);
    assert_eq!(cut.owner, foreign('c'));
}

#[test]
fn where_a_branch_stands_is_read_from_its_tip() {
    let on_top = branch(&[ours()]);
    assert!(!on_top.behind);
    assert_eq!(on_top.lock, Some(hash("new")));
    assert_eq!(on_top.parent_lock, Some(hash("base")));
    let behind = Branch::classify(
        id('c'),
        &[&id('f'), &id('a')],
        &own(&[ours()]),
        SCOPE,
        LOCK_PATH,
    );
    assert!(behind.behind);
    // Pushed anew it would be where it is.
    let tops = [&id('f'), &id('b')];
    let as_far = Branch::classify(id('c'), &tops, &own(&[ours()]), SCOPE, LOCK_PATH);
    assert!(!as_far.behind);
    // What counts of a merge is what was merged in.
    let merged = Branch::classify(
        id('d'),
        &[&id('f'), &id('e')],
        &own(&[merge_of_base(), ours()]),
        SCOPE,
        LOCK_PATH,
    );
    assert!(!merged.behind);
}

#[test]
fn a_title_is_rewritten_only_while_it_is_ours() {
    let with = |title: &str| PullRequest {
        title: title.to_owned(),
        ..pull(PrState::Open, 'c', &marker_of("new", "digest"))
    };
    let edit = |current: &str, wanted: &str| title_edit(&with(current), wanted);
    assert_eq!(edit(TITLE, TITLE), None);
    assert_eq!(
        edit(TITLE, "nixpkgs moves").as_deref(),
        Some("nixpkgs moves")
    );
    assert_eq!(edit("our nightly update", "nixpkgs moves"), None);
    // Made a draft by hand, and still one afterwards.
    let draft = format!("WIP: {TITLE}");
    assert_eq!(edit(&draft, TITLE), None);
    assert_eq!(
        edit(&draft, "nixpkgs moves").as_deref(),
        Some("WIP: nixpkgs moves")
    );
    // A template's own prefix is not doubled, and comes back no more once somebody took it away.
    assert_eq!(
        edit(&draft, "WIP: nixpkgs moves").as_deref(),
        Some("WIP: nixpkgs moves")
    );
    assert_eq!(edit(TITLE, &draft), None);
    // Written, but killed before the body said so.
    assert_eq!(edit("nixpkgs moves", "nixpkgs moves"), None);
    let by_hand = PullRequest {
        body: "mine".to_owned(),
        ..with(TITLE)
    };
    assert_eq!(title_edit(&by_hand, "nixpkgs moves"), None);
}
