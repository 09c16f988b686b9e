//! The life of the pull request, on both dialects and over both ways to push, with reports made beforehand.

use flake_herald::report::{LockNote, LockNoteKind, Report};
use serde_json::{Value, json};

use crate::support::forge::{Answer, Dialect, Fault, Merging, Moment, Next, Token, Trouble, git};
use crate::support::scene::{BRANCH, SLUG, Scene, Transport, lock};

/// A scenario, and what it is called where it fails.
type Scenario = (&'static str, fn(&mut Scene));

const SCENARIOS: &[Scenario] = &[
    (
        "one is opened, and a quiet night changes nothing",
        opens_and_rests,
    ),
    (
        "a bump refreshes it, and going back closes it",
        refreshes_and_closes,
    ),
    (
        "an unrelated commit on the base is no reason to push",
        rests_behind,
    ),
    ("the base's lock moves", base_moves),
    ("the forge merges the base into it", update_branch),
    ("somebody commits on it", foreign_commit),
    ("somebody amends it", amended),
    (
        "merged by squashing, and the branch kept",
        squashed_and_kept,
    ),
    ("closed by a human", declined),
    ("the hold label", held),
    ("a title of one's own and notes", title_and_notes),
    ("a title longer than a forge keeps", long_title),
    ("another scope", other_scope),
    ("the branch is deleted", branch_deleted),
    ("a stale report", stale),
    ("it is to be kept though obsolete", kept),
    ("the branch already goes to another base", other_base),
    ("comments are not allowed", no_comments),
    (
        "the branch goes away while it is closed",
        gone_while_closing,
    ),
    (
        "a report of an older commit, to be put on top",
        behind_but_older,
    ),
];

fn on(dialect: Dialect, transport: Transport) {
    let mut failed = Vec::new();
    for (name, scenario) in SCENARIOS {
        let run = || {
            let mut scene = Scene::new(dialect, transport);
            scenario(&mut scene);
            assert_eq!(scene.forge.violations(), Vec::<String>::new());
        };
        if std::panic::catch_unwind(run).is_err() {
            failed.push(*name);
        }
    }
    assert!(
        failed.is_empty(),
        "on {dialect:?} over {transport:?}: {failed:?}"
    );
}

#[test]
fn the_life_on_forgejo_over_http() {
    on(Dialect::Forgejo, Transport::Http);
}

#[test]
fn the_life_on_gitea_over_http() {
    on(Dialect::Gitea, Transport::Http);
}

#[test]
fn the_life_on_github_over_http() {
    on(Dialect::Github, Transport::Http);
}

#[test]
#[ignore = "needs sshd: run scripts/test"]
fn the_life_on_forgejo_over_ssh() {
    on(Dialect::Forgejo, Transport::Ssh);
}

#[test]
#[ignore = "needs sshd: run scripts/test"]
fn the_life_on_github_over_ssh() {
    on(Dialect::Github, Transport::Ssh);
}

/// The requests since the last look that are no git's.
fn api_requests(scene: &Scene) -> Vec<String> {
    let log = scene.forge.api_log();
    scene.forge.forget();
    log
}

fn opens_and_rests(scene: &mut Scene) {
    scene.forge.forget();
    let done = scene.publish(2).is("created");
    assert_eq!(done.code, Some(0), "{}", done.output);
    let opening = api_requests(scene);
    assert!(opening.len() <= 8, "{opening:#?}");
    scene.is_published(BRANCH, 2);
    let open = &scene.open_from(BRANCH)[0];
    assert_eq!(open.title, "chore: update flake inputs");
    assert!(
        open.body.starts_with("<!-- flake-herald v=1 scope="),
        "{}",
        open.body
    );
    let commit = scene.bare_git(&["cat-file", "commit", BRANCH]);
    assert!(
        commit.contains("\n\nchore: update flake inputs\n\n"),
        "{commit}"
    );
    assert!(commit.contains("\nFlake-Herald-Scope: "), "{commit}");
    assert!(
        commit.contains("committer Fleet Owner <owner@example.org>"),
        "{commit}"
    );
    let tip = scene.tip(BRANCH);
    let (body, edits) = (open.body.clone(), open.edits);

    let done = scene.publish(2).is("unchanged");
    assert_eq!((done.code, done.number), (Some(0), Some(open.number)));
    let quiet = api_requests(scene);
    assert!(quiet.len() <= 5, "{quiet:#?}");
    assert!(
        quiet.iter().all(|request| request.starts_with("GET ")),
        "{quiet:#?}"
    );
    assert_eq!(scene.tip(BRANCH), tip);
    assert_eq!(scene.forge.pushes(), 0);
    let open = &scene.open_from(BRANCH)[0];
    assert_eq!((&open.body, open.edits), (&body, edits));
    // Nothing of it is left in the checkout.
    assert_eq!(scene.git(&["status", "--porcelain"]), "");
    assert_eq!(
        scene
            .git(&["for-each-ref", "--format=%(refname)"])
            .lines()
            .count(),
        3
    );
    assert!(!scene.checkout.join(".git/FETCH_HEAD").exists());
}

fn refreshes_and_closes(scene: &mut Scene) {
    let first = scene.publish(2).is("created").number;
    let done = scene.publish(3).is("updated");
    assert_eq!(done.number, first);
    scene.is_published(BRANCH, 3);
    let done = scene.publish(1).is("closed");
    assert_eq!((done.code, done.number), (Some(2), first));
    assert_eq!(scene.open_from(BRANCH).len(), 0);
    assert_eq!(scene.tip(BRANCH), None);
    let number = first.unwrap();
    let pull = scene.forge.state().pull(SLUG, number).clone();
    assert!(
        pull.body
            .lines()
            .next()
            .unwrap()
            .contains(" closed=obsolete "),
        "{}",
        pull.body
    );
    assert_eq!(pull.comments.len(), 1, "{:?}", pull.comments);
    let done = scene.publish(1).is("none");
    assert_eq!(done.code, Some(2));
    // What we closed ourselves may be opened again, also with the same lock.
    let again = scene.publish(3).is("created").number;
    assert_ne!(again, first);
    scene.is_published(BRANCH, 3);
}

fn rests_behind(scene: &mut Scene) {
    scene.publish(2).is("created");
    let tip = scene.tip(BRANCH);
    scene.land("README", b"unrelated\n");
    scene.forge.forget();
    scene.publish(2).is("unchanged");
    assert_eq!(scene.tip(BRANCH), tip);
    let requests = api_requests(scene);
    assert!(
        requests.iter().all(|request| request.starts_with("GET ")),
        "{requests:#?}"
    );
    // Unless the branch is to be on top.
    let report = scene.report(2);
    scene
        .publish_with(&report, 2, &["--rebase-when", "behind"])
        .is("updated");
    assert_ne!(scene.tip(BRANCH), tip);
    scene.is_published(BRANCH, 2);
    scene
        .publish_with(&report, 2, &["--rebase-when", "behind"])
        .is("unchanged");
}

fn base_moves(scene: &mut Scene) {
    scene.publish(2).is("created");
    scene.land("flake.lock", &lock(3));
    scene.publish(4).is("updated");
    scene.is_published(BRANCH, 4);
    assert_eq!(
        scene.bare_git(&["rev-parse", &format!("{BRANCH}^")]),
        scene.tip("main").unwrap()
    );
}

fn update_branch(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    scene.land("README", b"unrelated\n");
    scene.forge.state().update_branch(SLUG, number).unwrap();
    let merged = scene.tip(BRANCH);
    scene.publish(2).is("unchanged");
    assert_eq!(scene.tip(BRANCH), merged);
    scene.publish(3).is("updated");
    scene.is_published(BRANCH, 3);
}

fn foreign_commit(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    let theirs: &[u8] = b"{ }\n";
    scene.forge.state().commit_on_branch(
        SLUG,
        BRANCH,
        None,
        &[("flake.nix", Some(theirs))],
        "mend it",
    );
    let tip = scene.tip(BRANCH);
    for _ in 0..2 {
        let done = scene.publish(3).is("blocked");
        assert_eq!(done.code, Some(0));
        assert!(
            done.warnings[0].contains("not flake-herald's"),
            "{:?}",
            done.warnings
        );
    }
    // Nor is it closed when there is nothing left to say.
    assert_eq!(scene.publish(1).is("blocked").code, Some(2));
    assert_eq!(scene.tip(BRANCH), tip);
    let pull = scene.forge.state().pull(SLUG, number).clone();
    assert_eq!(pull.comments.len(), 1, "{:?}", pull.comments);
    assert_eq!(pull.edits, 0);
}

fn amended(scene: &mut Scene) {
    scene.publish(2).is("created");
    let message = scene.bare_git(&["log", "-1", "--format=%B", BRANCH]);
    let other = lock(9);
    let files: &[(&str, Option<&[u8]>)] = &[("flake.lock", Some(&other))];
    {
        let mut state = scene.forge.state();
        let base = state.tip(SLUG, "main").unwrap();
        state.set_branch(SLUG, BRANCH, &base);
        state.commit_on_branch(SLUG, BRANCH, None, files, &message);
    }
    let tip = scene.tip(BRANCH);
    let operation = scene.publish(3).operation;
    // GitHub closed it when its branch was the base's for a moment.
    assert_eq!(operation, "blocked");
    assert_eq!(scene.tip(BRANCH), tip);
}

fn squashed_and_kept(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    scene
        .forge
        .state()
        .merge_pull(SLUG, number, Merging::Squash, false)
        .unwrap();
    scene.next_night();
    // There is nothing to do, and the branch is theirs to keep.
    let tip = scene.tip(BRANCH);
    assert_eq!(scene.publish(2).is("none").code, Some(2));
    assert_eq!(scene.tip(BRANCH), tip);
    let again = scene.publish(3).is("created").number.unwrap();
    assert_ne!(again, number);
    scene.is_published(BRANCH, 3);
}

fn declined(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    scene.forge.state().close_as_human(SLUG, number);
    let done = scene.publish(2).is("declined");
    assert_eq!(done.code, Some(0));
    assert!(
        done.warnings[0].contains(&format!("#{number}")),
        "{:?}",
        done.warnings
    );
    assert_eq!(scene.open_from(BRANCH).len(), 0);
    // Also when the branch is gone.
    scene.forge.state().delete_branch(SLUG, BRANCH);
    scene.publish(2).is("declined");
    assert_eq!(scene.tip(BRANCH), None);
    scene.publish(3).is("created");
    scene.is_published(BRANCH, 3);
}

fn held(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    {
        let mut state = scene.forge.state();
        state.add_label(SLUG, "flake-herald:hold", false);
        let labels = &mut state.pull(SLUG, number).labels;
        labels.push("flake-herald:hold".to_owned());
    }
    let tip = scene.tip(BRANCH);
    let done = scene.publish(3).is("held");
    assert_eq!((done.code, done.number), (Some(0), Some(number)));
    assert_eq!(scene.publish(1).is("held").code, Some(2));
    assert_eq!(scene.tip(BRANCH), tip);
    let report = scene.report(3);
    scene
        .publish_with(&report, 3, &["--hold-label", "other"])
        .is("updated");
}

fn title_and_notes(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    let body = scene.forge.state().pull(SLUG, number).body.clone();
    let edited = format!("{body}\nplease wait for Bob\n\n- and Carol\n").replace('\n', "\r\n");
    scene
        .forge
        .state()
        .edit_as_human(SLUG, number, Some("the nightly one"), Some(&edited));
    scene.publish(2).is("unchanged");
    scene.publish(3).is("updated");
    let pull = scene.forge.state().pull(SLUG, number).clone();
    assert_eq!(pull.title, "the nightly one");
    let kept = pull.body.replace("\r\n", "\n");
    assert!(
        kept.trim_end()
            .ends_with("-->\n\nplease wait for Bob\n\n- and Carol"),
        "{kept}"
    );
    scene.is_published(BRANCH, 3);
    // Given back, it is ours again.
    scene
        .forge
        .state()
        .edit_as_human(SLUG, number, Some("chore: update flake inputs"), None);
    let report = scene.report(4);
    scene
        .publish_with(&report, 4, &["--title", "nixpkgs moves on"])
        .is("updated");
    let pull = scene.forge.state().pull(SLUG, number).clone();
    assert_eq!(pull.title, "nixpkgs moves on");
}

/// Forgejo cuts a title at 255 bytes without a word; ours are shorter, so that they are known again.
fn long_title(scene: &mut Scene) {
    let long = |word: &str| format!("{word}: {}", "ä".repeat(400));
    let report = scene.report(2);
    let (first, second) = (long("first"), long("second"));
    let number = scene
        .publish_with(&report, 2, &["--title", &first])
        .is("created")
        .number
        .unwrap();
    let title = || scene.forge.state().pull(SLUG, number).title.clone();
    let written = title();
    assert!(
        written.starts_with("first: ää") && written.len() <= 250,
        "{written}"
    );
    scene
        .publish_with(&report, 2, &["--title", &first])
        .is("unchanged");
    let report = scene.report(3);
    scene
        .publish_with(&report, 3, &["--title", &second])
        .is("updated");
    assert!(title().starts_with("second: ää"), "{}", title());
}

fn other_scope(scene: &mut Scene) {
    scene.publish(2).is("created");
    let tip = scene.tip(BRANCH);
    let mut report = scene.report(3);
    report.scope.hosts.push("webserver".to_owned());
    report.scope = report.scope.identified();
    report.seal();
    let done = scene.publish_with(&report, 3, &[]).is("blocked");
    assert!(done.warnings[0].contains("--branch"), "{:?}", done.warnings);
    assert_eq!(scene.tip(BRANCH), tip);
    scene
        .publish_with(&report, 3, &["--branch", "auto/web"])
        .is("created");
    scene.is_published("auto/web", 3);
    scene.is_published(BRANCH, 2);
}

fn branch_deleted(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    // Both forges close it then; whoever deletes the branch has decided.
    scene.forge.state().delete_branch(SLUG, BRANCH);
    assert_eq!(scene.open_from(BRANCH).len(), 0);
    scene.publish(2).is("declined");
    let again = scene.publish(3).is("created").number.unwrap();
    assert_ne!(again, number);
}

fn stale(scene: &mut Scene) {
    let report = scene.report(2);
    let other = lock(5);
    let files: &[(&str, Option<&[u8]>)] = &[("flake.lock", Some(&other))];
    scene
        .forge
        .state()
        .commit_on_branch(SLUG, "main", None, files, "move the lock");
    let done = scene.publish_with(&report, 2, &[]).is("stale");
    assert_eq!(done.code, Some(0));
    assert_eq!(scene.tip(BRANCH), None);
}

fn kept(scene: &mut Scene) {
    scene.publish(2).is("created");
    let tip = scene.tip(BRANCH);
    let report = scene.report(1);
    assert_eq!(
        scene
            .publish_with(&report, 1, &["--keep-obsolete"])
            .is("unchanged")
            .code,
        Some(2)
    );
    assert_eq!(scene.tip(BRANCH), tip);
    // A lock that somebody gave proves nothing.
    let mut given = report.clone();
    given.lock.origin = flake_herald::report::LockOrigin::Given;
    given.seal();
    scene.publish_with(&given, 1, &[]).is("unchanged");
    // Nor does one in which an input was left alone because it could not be fetched.
    let mut partial = report.clone();
    partial.lock.unreachable = vec!["nixpkgs".to_owned()];
    partial.seal();
    scene.publish_with(&partial, 1, &[]).is("unchanged");
    scene.publish_with(&report, 1, &[]).is("closed");
}

/// A comment that the forge does not take keeps nothing from being done: it is a warning.
fn no_comments(scene: &mut Scene) {
    let refuse = |scene: &Scene| {
        let body = json!({
            "message": "token does not have at least one of required scope(s): [write:issue]"
        });
        scene.forge.fault(Fault::next(
            "POST",
            "/comments",
            Trouble::Answer(Answer::json(403, &body)),
        ));
    };
    scene.publish(2).is("created");
    let theirs: &[u8] = b"{ }\n";
    let ours = scene.tip(BRANCH).unwrap();
    scene.forge.state().commit_on_branch(
        SLUG,
        BRANCH,
        None,
        &[("flake.nix", Some(theirs))],
        "mend it",
    );
    refuse(scene);
    let done = scene.publish(3).is("blocked");
    assert_eq!(done.code, Some(0), "{}", done.output);
    assert!(
        done.warnings.iter().any(|it| it.contains("comment")),
        "{:?}",
        done.warnings
    );
    scene.forge.state().set_branch(SLUG, BRANCH, &ours);
    refuse(scene);
    let done = scene.publish(1).is("closed");
    assert_eq!(done.code, Some(2), "{}", done.output);
    assert!(
        done.warnings.iter().any(|it| it.contains("comment")),
        "{:?}",
        done.warnings
    );
    assert_eq!(scene.open_from(BRANCH).len(), 0);
    assert_eq!(scene.tip(BRANCH), None);
}

/// A forge, or a workflow, may delete the branch of what is closed before we do.
fn gone_while_closing(scene: &mut Scene) {
    scene.publish(2).is("created");
    let bare = scene.bare.clone();
    scene.forge.on_request(Box::new(move |_, request, moment| {
        if moment == Moment::After && request.method == "PATCH" {
            let reference = format!("refs/heads/{BRANCH}");
            git(&bare, &["update-ref", "-d", &reference]).unwrap();
        }
        Next::Continue
    }));
    let done = scene.publish(1).is("closed");
    assert_eq!(done.code, Some(2), "{}", done.output);
}

/// The checkout is what a commit is made on: what cannot be put on the base's tip is not pushed anew again and again.
fn behind_but_older(scene: &mut Scene) {
    let report = scene.report(2);
    scene.publish_with(&report, 2, &[]).is("created");
    let tip = scene.tip(BRANCH);
    let readme: &[u8] = b"unrelated\n";
    scene.forge.state().commit_on_branch(
        SLUG,
        "main",
        None,
        &[("README", Some(readme))],
        "unrelated",
    );
    scene
        .publish_with(&report, 2, &["--rebase-when", "behind"])
        .is("unchanged");
    assert_eq!(scene.tip(BRANCH), tip);
}

/// The job's own token is for the runner's own server, whatever address of an API is named.
#[test]
fn the_jobs_token_is_not_shown_to_another_api() {
    let mut scene = Scene::new(Dialect::Forgejo, Transport::Http);
    scene.env.set("FLAKE_HERALD_TOKEN", "");
    scene
        .forge
        .state()
        .add_token(Token::new("job", "t0ken-of-the-job").automatic_of(SLUG, Dialect::Forgejo));
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let api = format!("http://{}/api/v1", elsewhere.local_addr().unwrap());
    let report = scene.report(2);
    let run = |more: &[&str]| {
        let mut command = scene.command(&report, 2, more);
        command
            .env("FORGEJO_ACTIONS", "true")
            .env("FORGEJO_EVENT_NAME", "schedule")
            .env("FORGEJO_SERVER_URL", scene.forge.server_url())
            .env("FORGEJO_REPOSITORY", SLUG)
            .env("FORGEJO_REF_NAME", "main")
            .env("FORGEJO_TOKEN", "t0ken-of-the-job");
        Scene::finished(scene.env.output(&mut command))
    };
    let done = run(&["--api-url", &api]);
    assert_eq!(done.code, Some(1), "{}", done.output);
    assert!(
        done.output.stderr.contains("FLAKE_HERALD_TOKEN"),
        "{}",
        done.output
    );
    assert!(elsewhere.accept().is_err(), "it was asked");
    run(&["--api-url", &scene.forge.api_url()]).is("created");
}

/// The directory for the results may be the one that the reports are in, and what fails can be tried again.
#[test]
fn reports_outlive_a_run_that_fails() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let report = scene.report(2);
    let dir = scene.env.dir().join("in").display().to_string();
    let done = {
        let mut command = scene.command(&report, 2, &["--output-dir", &dir]);
        command.env("FLAKE_HERALD_TOKEN", "");
        Scene::finished(scene.env.output(&mut command))
    };
    assert_eq!(done.code, Some(1), "{}", done.output);
    let mut again = scene.env.binary();
    again.current_dir(&scene.checkout).args([
        "publish",
        &dir,
        "--lock",
        &format!("{dir}/flake.lock"),
        "--output-dir",
        &dir,
        "--format",
        "json",
    ]);
    Scene::finished(scene.env.output(&mut again)).is("created");
    Scene::finished(scene.env.output(&mut again)).is("unchanged");
}

/// A report cannot say of a lock that lagged behind what is not in it.
#[test]
fn a_completed_lock_is_no_excuse_for_other_inputs() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let mut report = scene.report(2);
    report.lock.completed = true;
    for input in &mut report.inputs {
        if let Some(revision) = &mut input.after {
            revision.rev = Some("f".repeat(40));
            revision.url = Some(format!("github:NixOS/nixpkgs/{}", "f".repeat(40)));
        }
    }
    report.seal();
    let done = scene.publish_with(&report, 2, &[]);
    assert_eq!(done.code, Some(1), "{}", done.output);
    assert!(
        done.output.stderr.contains("other input changes"),
        "{}",
        done.output
    );
    let mut report = scene.report(2);
    report.lock.completed = true;
    report.seal();
    scene.publish_with(&report, 2, &[]).is("created");
}

/// What a report says of inputs is made anew from the two locks, for a job that ran foreign code may say anything.
#[test]
fn links_and_notes_of_a_report_are_not_believed() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let honest = scene.report(2);
    let said = |report: &Report, operation: &str| {
        let done = scene.publish_with(report, 2, &[]).is(operation);
        let report: Value = serde_json::from_str(&done.output.stdout).unwrap();
        json!([report["inputs"], report["lock_notes"], report["digest"]])
    };
    let wanted = said(&honest, "created");
    assert_eq!(wanted[0], json!(honest.inputs));
    for link in [
        "https://evil.example/NixOS/nixpkgs/compare/a...b",
        "https://user:password@github.com/",
        "x](https://evil.example) [y",
    ] {
        let mut forged = honest.clone();
        forged.inputs[0].compare_url = Some(link.to_owned());
        forged.lock_notes = vec![LockNote {
            kind: LockNoteKind::Old,
            inputs: vec!["evil".to_owned()],
            count: 1,
            repository: None,
            times: None,
            date: None,
        }];
        forged.seal();
        assert_eq!(said(&forged, "unchanged"), wanted, "{link}");
    }
}

fn other_base(scene: &mut Scene) {
    let number = scene.publish(2).is("created").number.unwrap();
    let tip = scene.tip(BRANCH);
    let theirs: &[u8] = b"not for main\n";
    scene.forge.state().commit_on_branch(
        SLUG,
        "dev",
        Some("main"),
        &[("secret", Some(theirs))],
        "work in progress",
    );
    let bare = scene.bare.display().to_string();
    scene.git(&["fetch", "-q", &bare, "dev"]);
    scene.git(&["checkout", "-q", "-B", "dev", "FETCH_HEAD"]);
    let done = scene.publish(3).is("blocked");
    assert!(
        done.warnings[0].contains(&format!("#{number}")) && done.warnings[0].contains("--branch"),
        "{:?}",
        done.warnings
    );
    assert_eq!(scene.tip(BRANCH), tip);
    let report = scene.report(3);
    scene
        .publish_with(&report, 3, &["--branch", "auto/dev"])
        .is("created");
}

#[test]
fn what_was_done_is_in_outputs_and_report() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let report = scene.report(2);
    let dir = scene.env.dir().join("out").display().to_string();
    let mut command = scene.command(&report, 2, &["--output-dir", &dir]);
    let outputs = scene.env.write("github-output", "");
    command
        .env("FORGEJO_ACTIONS", "true")
        .env("FORGEJO_EVENT_NAME", "schedule")
        .env("FORGEJO_SERVER_URL", scene.forge.server_url())
        .env("FORGEJO_REPOSITORY", SLUG)
        .env("FORGEJO_REF_NAME", "main")
        .env("FORGEJO_OUTPUT", &outputs);
    let done = Scene::finished(scene.env.output(&mut command)).is("created");
    let written: Value =
        serde_json::from_slice(&std::fs::read(format!("{dir}/report.json")).unwrap()).unwrap();
    assert_eq!(written["pull_request"]["number"].as_u64(), done.number);
    assert_eq!(written["pull_request"]["branch"], BRANCH);
    assert_eq!(written["pull_request"]["base"], "main");
    let outputs = std::fs::read_to_string(outputs).unwrap();
    let number = done.number.unwrap();
    for expected in [
        "\ncreated\n".to_owned(),
        format!("\n{number}\n"),
        format!("\n{}\n", written["pull_request"]["url"].as_str().unwrap()),
    ] {
        assert!(outputs.contains(&expected), "{outputs}");
    }
}

#[test]
fn a_signed_commit_is_what_git_verifies() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let key = scene.env.dir().join("key");
    let mut keygen = scene.env.command("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "bot", "-f"]);
    let _made = scene.env.output(keygen.arg(&key)).success();
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = scene
        .env
        .write("signers", format!("owner@example.org {public}"));
    let report = scene.report(2);
    let key = key.display().to_string();
    scene
        .publish_with(&report, 2, &["--signing-key-file", &key])
        .is("created");
    let allowed = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    // The command fails where the signature is not good.
    scene.bare_git(&["-c", &allowed, "verify-commit", BRANCH]);

    // As the repository says, without a flag.
    scene.git(&["config", "commit.gpgsign", "true"]);
    scene.git(&["config", "gpg.format", "ssh"]);
    scene.git(&["config", "user.signingkey", &key]);
    scene.publish(3).is("updated");
    scene.bare_git(&["-c", &allowed, "verify-commit", BRANCH]);

    // Wanted, and not to be had: nothing is pushed unsigned.
    let tip = scene.tip(BRANCH);
    let report = scene.report(4);
    let file = |name: &str| scene.env.dir().join(name).display().to_string();
    scene.git(&["config", "user.signingkey", &file("missing")]);
    // What a secret that is not set leaves behind.
    scene.env.write("empty", "\n");
    for (flags, wrong) in [
        (&[][..], format!("{} cannot be read", file("missing"))),
        (
            &["--signing-key-file", &file("other")],
            format!("{} cannot be read", file("other")),
        ),
        (
            &["--signing-key-file", &file("empty")],
            format!("{} is empty", file("empty")),
        ),
    ] {
        let done = scene.publish_with(&report, 4, flags);
        assert_eq!(done.code, Some(1), "{}", done.output);
        let said = &done.output.stderr;
        assert!(
            said.contains(&format!("Error: the signing key {wrong}")),
            "{said}"
        );
        // It is found before the work, of which publishing is the last.
        assert!(!said.contains("Publishing"), "{said}");
        assert!(said.contains("/docs/signing.md#"), "{said}");
    }
    assert_eq!(scene.tip(BRANCH), tip);
}

#[test]
fn the_jobs_own_token_works_and_says_what_it_does_not_do() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        let scene = Scene::new(dialect, Transport::Http);
        let automatic = Token::new("automatic", "the-jobs-own-token");
        scene
            .forge
            .state()
            .add_token(automatic.automatic_of(SLUG, dialect));
        let report = scene.report(2);
        let mut command = scene.command(&report, 2, &[]);
        command.env_remove("FLAKE_HERALD_TOKEN");
        let (kind, prefix, api) = match dialect {
            Dialect::Github => ("GITHUB_ACTIONS", "GITHUB", scene.forge.api_url()),
            _ => ("FORGEJO_ACTIONS", "FORGEJO", scene.forge.api_url()),
        };
        command
            .env(kind, "true")
            .env("GITHUB_ACTIONS", "true")
            .env(format!("{prefix}_TOKEN"), "the-jobs-own-token")
            .env(format!("{prefix}_SERVER_URL"), scene.forge.server_url())
            .env(format!("{prefix}_API_URL"), api)
            .env(format!("{prefix}_REPOSITORY"), SLUG)
            .env(format!("{prefix}_REF_NAME"), "main");
        // Who commits says git's configuration; without one, it is the runner's bot.
        for name in ["AUTHOR", "COMMITTER"] {
            command.env_remove(format!("GIT_{name}_NAME"));
            command.env_remove(format!("GIT_{name}_EMAIL"));
        }
        let done = Scene::finished(scene.env.output(&mut command)).is("created");
        assert!(
            done.warnings[0].contains("FLAKE_HERALD_TOKEN"),
            "{:?}",
            done.warnings
        );
        scene.is_published(BRANCH, 2);
        let by = scene.bare_git(&["log", "-1", "--format=%an %cn", BRANCH]);
        let bot = match dialect {
            Dialect::Github => "github-actions[bot]",
            _ => "forgejo-actions",
        };
        assert_eq!(by, format!("{bot} {bot}"));
        let user = &scene.open_from(BRANCH)[0].user;
        assert_eq!(user, bot);
    }
}
