//! The stand-in for forges: raw requests and what the real servers are documented to answer.
//!
//! No client of ours is used here, so that both cannot be wrong in the same way.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::forge::{
    Dialect, Fault, Kind, Merging, Moment, Next, PullState, StandIn, Token, Trouble, bad_gateway,
    git, too_many,
};

const SLUG: &str = "alice/fleet";
const BRANCH: &str = "auto/flake-update";

/// A forge with `alice/fleet`, a branch that is one commit ahead, and a few tokens.
struct Scene {
    forge: StandIn,
    scratch: TempDir,
    base: String,
    head: String,
}

/// What came back.
#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Scene {
    fn new(dialect: Dialect) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let forge = StandIn::start(dialect, &scratch.path().join("repos"));
        let _path = forge.create_repository(SLUG, "main");
        let base = forge.seed(SLUG, &[("flake.lock", b"{}\n"), ("flake.nix", b"{ }\n")]);
        let mut state = forge.state();
        let files: &[(&str, Option<&[u8]>)] = &[("flake.lock", Some(b"{1}\n"))];
        let head = state.commit_on_branch(SLUG, BRANCH, Some("main"), files, "Update");
        let narrow: &[&str] = match dialect {
            Dialect::Github => &["contents:write", "pull_requests:read"],
            Dialect::Forgejo | Dialect::Gitea => &["read:repository"],
        };
        for token in [
            Token::new("full", "t-full"),
            Token::new("narrow", "t-narrow").with_scopes(narrow),
            Token::new("automatic", "t-automatic").automatic_of(SLUG, dialect),
            Token::new("foreign", "t-foreign").automatic_of("alice/other", dialect),
            Token {
                read_only: true,
                user: "bob".to_owned(),
                ..Token::new("reader", "t-reader")
            },
            Token {
                repositories: Some(Vec::new()),
                user: "mallory".to_owned(),
                ..Token::new("stranger", "t-stranger")
            },
            Token {
                expired: true,
                ..Token::new("old", "t-old")
            },
        ] {
            state.add_token(token);
        }
        drop(state);
        Self {
            forge,
            scratch,
            base,
            head,
        }
    }

    /// Sends one request; the path begins after the API's own.
    fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Got {
        let header = match token {
            "" => String::new(),
            token if token.contains(' ') => token.to_owned(),
            token => format!("token t-{token}"),
        };
        let api = self.forge.api_url();
        let host = format!("http://127.0.0.1:{}", self.forge.port());
        let sub = api.strip_prefix(&host).unwrap();
        send(
            self.forge.port(),
            method,
            &format!("{sub}{path}"),
            &header,
            body,
        )
        .unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    fn pulls(&self, method: &str, rest: &str, token: &str, body: &Value) -> Got {
        self.ask(method, &format!("/repos/{SLUG}/pulls{rest}"), token, body)
    }

    /// Opens the pull request of the scene.
    fn open(&self) -> u64 {
        let got = self.pulls("POST", "", "full", &new(BRANCH, "main"));
        assert_eq!(got.status, 201, "{got:?}");
        got.json()["number"].as_u64().unwrap()
    }

    /// Runs git in a fresh clone and returns what it said, or complained.
    fn clone(&self, name: &str, token: Option<&str>) -> std::path::PathBuf {
        let dir = self.scratch.path().join(name);
        self.forge.clone_to(SLUG, &dir, token);
        dir
    }
}

/// Sends one request on a connection of its own; none where nothing came back.
fn send(port: u16, method: &str, target: &str, authorization: &str, body: &Value) -> Option<Got> {
    let mut text = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nUser-Agent: raw\r\nConnection: close\r\n"
    );
    if !authorization.is_empty() {
        text = format!("{text}Authorization: {authorization}\r\n");
    }
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    if !body.is_empty() {
        let length = body.len();
        text = format!("{text}Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(format!("{text}\r\n{body}").as_bytes())
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut bytes = Vec::new();
    // A time-out and a closed connection are both no answer.
    let _read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, text) = text.split_once("\r\n\r\n")?;
    Some(Got {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        text: text.to_owned(),
    })
}

/// Pushes with a header of authorization.
fn push(dir: &Path, header: &str, more: &[&str]) -> Result<String, String> {
    let config = format!("http.extraHeader=Authorization: {header}");
    let mut args = Vec::new();
    if !header.is_empty() {
        args.extend(["-c", config.as_str()]);
    }
    args.extend(["push", "--porcelain", "origin"]);
    args.extend(more);
    git(dir, &args)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn new(head: &str, base: &str) -> Value {
    json!({"head": head, "base": base, "title": "chore: update flake inputs", "body": "text"})
}

/// Method, path, token, body, status, and what the answer holds.
type Row<'a> = (&'a str, &'a str, &'a str, Value, u16, &'a str);

fn hold_table(scene: &Scene, rows: &[Row<'_>]) {
    for (method, path, token, body, status, holds) in rows {
        let got = scene.ask(method, path, token, body);
        assert!(
            got.status == *status && got.text.contains(holds),
            "{method} {path} as {token:?} with {body}: expected {status} {holds:?}, got {got:?}"
        );
        assert!(
            !(holds.is_empty() && *status == 403) || got.text.is_empty(),
            "{got:?}"
        );
    }
}

#[test]
fn forgejo_answers_as_its_source_says() {
    let scene = Scene::new(Dialect::Forgejo);
    let mut state = scene.forge.state();
    let private = "alice/private";
    let _path = state.create_repository(private, "main");
    state.repo(private).private = true;
    let files: &[(&str, Option<&[u8]>)] = &[("a", Some(b"a"))];
    state.commit_on_branch(private, "main", None, files, "One");
    state.commit_on_branch(private, "x", Some("main"), &[("a", Some(b"b"))], "Two");
    state.set_branch(SLUG, "same", &scene.base);
    state.repo(SLUG).protected = vec!["main".to_owned(), "stable/24.05".to_owned()];
    state.set_branch(SLUG, "stable/24.05", &scene.base);
    state.tokens[2].automatic = Some(private.to_owned());
    drop(state);

    let none = Value::Null;
    let title = |title: &str| json!({"head": BRANCH, "base": "main", "title": title});
    let scope = "token does not have at least one of required scope(s): [write:repository]";
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("GET", "/version", "", none.clone(), 200, "12.0.0+gitea-1.22.0"),
        ("GET", "/settings/api", "", none.clone(), 200, r#""max_response_items":50"#),
        // Who asks.
        ("GET", "/repos/alice/fleet", "", none.clone(), 200, r#""push":false"#),
        ("GET", "/repos/Alice/Fleet", "Bearer t-full", none.clone(), 200, r#""push":true"#),
        ("GET", "/repos/alice/fleet", &basic("x", "t-full"), none.clone(), 200, r#""push":true"#),
        ("GET", "/repos/alice/fleet", &basic("t-full", ""), none.clone(), 200, r#""push":true"#),
        ("GET", "/repos/alice/fleet", "reader", none.clone(), 200, r#""push":false"#),
        ("GET", "/repos/alice/fleet", "unknown", none.clone(), 401, "user does not exist"),
        ("GET", "/repos/alice/fleet", "old", none.clone(), 401, "user does not exist"),
        ("GET", "/repos/alice/fleet", "foreign", none.clone(), 404, "couldn't be found"),
        ("GET", "/repos/alice/private", "", none.clone(), 404, "couldn't be found"),
        ("GET", "/repos/alice/private", "stranger", none.clone(), 404, "couldn't be found"),
        ("GET", "/repos/alice/private", "automatic", none.clone(), 200, r#""private":true"#),
        ("GET", "/repos/alice/nothing", "full", none.clone(), 404, "couldn't be found"),
        ("GET", "/user", "automatic", none.clone(), 200, r#""id":-2"#),
        ("GET", "/user", "narrow", none.clone(), 403, "[read:user]"),
        // Opening.
        ("POST", "/repos/alice/fleet/pulls", "", new(BRANCH, "main"), 401, "token is required"),
        ("POST", "/repos/alice/fleet/pulls", "narrow", new(BRANCH, "main"), 403, scope),
        ("POST", "/repos/alice/fleet/pulls", "full", json!({"base": "main", "title": "t"}), 422, "[Head]: Required"),
        ("POST", "/repos/alice/fleet/pulls", "full", title(""), 422, "[Title]: Required"),
        ("POST", "/repos/alice/fleet/pulls", "full", new("nowhere", "main"), 404, "couldn't be found"),
        ("POST", "/repos/alice/fleet/pulls", "full", new(BRANCH, "nowhere"), 404, "couldn't be found"),
        ("POST", "/repos/alice/fleet/pulls", "full", new("main", "main"), 422, "no changes between the head and"),
        ("POST", "/repos/alice/private/pulls", "automatic", new("x", "main"), 404, "Can't read pulls or can't read"),
        ("POST", "/repos/alice/private/pulls", "full", new("x", "main"), 201, r#""number":1"#),
        ("POST", "/repos/alice/fleet/pulls", "full", new("same", "main"), 201, r#""number":1"#),
        ("POST", "/repos/alice/fleet/pulls", "full", new(BRANCH, "main"), 201, r#""number":2"#),
        ("POST", "/repos/alice/fleet/pulls", "full", new(BRANCH, "main"), 409, "issue_id: 2, head_repo_id"),
        // Editing.
        ("PATCH", "/repos/alice/fleet/pulls/2", "full", json!({"title": ""}), 201, "chore: update flake inputs"),
        ("PATCH", "/repos/alice/fleet/pulls/2", "full", json!({"title": "WIP: t"}), 201, r#""draft":true"#),
        ("PATCH", "/repos/alice/fleet/pulls/2", "full", json!({"body": "new"}), 201, r#""body":"new""#),
        ("PATCH", "/repos/alice/fleet/pulls/2", "reader", json!({"body": "mine"}), 403, ""),
        ("PATCH", "/repos/alice/fleet/pulls/9", "full", json!({"body": "new"}), 404, "couldn't be found"),
        ("POST", "/repos/alice/fleet/pulls/2/merge", "full", json!({}), 422, "[Do]: Required"),
        ("POST", "/repos/alice/fleet/pulls/2/merge", "full", json!({"Do": "merge"}), 405, "Work in progress"),
        ("PATCH", "/repos/alice/fleet/pulls/2", "full", json!({"title": "t"}), 201, r#""draft":false"#),
        // Comments and labels ask for another scope.
        ("POST", "/repos/alice/fleet/issues/2/comments", "narrow", json!({"body": "x"}), 403, "[write:issue]"),
        ("GET", "/repos/alice/fleet/issues/2/comments", "narrow", none.clone(), 403, "[read:issue]"),
        ("POST", "/repos/alice/fleet/issues/2/comments", "full", json!({"body": "x"}), 201, r#""body":"x""#),
        ("GET", "/repos/alice/fleet/issues/2/comments", "full", none.clone(), 200, r#""body":"x""#),
        ("POST", "/repos/alice/fleet/issues/2/labels", "full", json!({"labels": ["no"]}), 200, "[]"),
        ("POST", "/repos/alice/fleet/issues/2/labels", "full", json!({"labels": ["no", 1]}), 400, "labels should be"),
        ("POST", "/repos/alice/fleet/pulls/2/requested_reviewers", "full", json!({"reviewers": ["x"]}), 404, "'x'"),
        // Branches: slashes as they are, and encoded.
        ("GET", "/repos/alice/fleet/branches/auto/flake-update", "", none.clone(), 200, r#""protected":false"#),
        ("GET", "/repos/alice/fleet/branches/stable%2F24.05", "", none.clone(), 200, r#""protected":true"#),
        ("GET", "/repos/alice/fleet/branches/nothing", "", none.clone(), 404, "couldn't be found"),
        ("DELETE", "/repos/alice/fleet/branches/main", "full", none.clone(), 403, "default branch"),
        ("DELETE", "/repos/alice/fleet/branches/stable/24.05", "full", none.clone(), 403, "protected"),
        ("DELETE", "/repos/alice/fleet/branches/same", "reader", none.clone(), 403, "permission to write"),
        ("DELETE", "/repos/alice/fleet/branches/same", "full", none.clone(), 204, ""),
        ("GET", "/repos/alice/fleet/pulls/1", "", none.clone(), 200, r#""ref":"refs/pull/1/head""#),
        ("GET", "/repos/alice/fleet/pulls/1", "", none.clone(), 200, r#""state":"closed""#),
        // Merging.
        ("POST", "/repos/alice/fleet/pulls/2/merge", "full", json!({"Do": "merge"}), 405, "Please try again later"),
        ("DELETE", "/repos/alice/fleet/pulls/2/merge", "full", none.clone(), 404, ""),
    ];
    hold_table(&scene, rows);

    let armed = json!({"Do": "squash", "merge_when_checks_succeed": true});
    for status in [201, 409] {
        assert_eq!(
            scene.pulls("POST", "/2/merge", "full", &armed).status,
            status
        );
    }
    let stale = json!({"Do": "squash", "head_commit_id": scene.base});
    assert_eq!(scene.pulls("POST", "/2/merge", "full", &stale).status, 409);
    let got = scene.pulls("POST", "/2/merge", "full", &json!({"Do": "squash"}));
    assert_eq!((got.status, got.text.as_str()), (200, ""));
    let reopen = json!({"state": "open"});
    assert_eq!(scene.pulls("PATCH", "/2", "full", &reopen).status, 412);

    scene.forge.state().repo(SLUG).archived = true;
    let got = scene.pulls("POST", "", "full", &new(BRANCH, "main"));
    assert!(
        got.status == 423 && got.text.contains("is archived"),
        "{got:?}"
    );
    let got = send(
        scene.forge.port(),
        "GET",
        "/api/forgejo/v1/version",
        "",
        &Value::Null,
    )
    .unwrap();
    assert_eq!(got.status, 200);
    let got = scene.ask("GET", "/repos/alice/fleet/milestones", "full", &Value::Null);
    assert_eq!(got.status, 500);
    assert!(
        got.text.starts_with("stand-in: not implemented GET"),
        "{got:?}"
    );
    // A body without `Do` and a path that we never use were sent on purpose.
    let violations = scene.forge.violations();
    insta::assert_snapshot!(violations.join("\n"), @r"
    POST /repos/alice/fleet/pulls/2/merge: body.Do is missing
    GET /repos/alice/fleet/milestones: no such path
    ");
}

#[test]
fn github_answers_as_documented() {
    let scene = Scene::new(Dialect::Github);
    let mut state = scene.forge.state();
    state.set_branch(SLUG, "same", &scene.base);
    state.set_branch(SLUG, "stable/24.05", &scene.base);
    state.repo(SLUG).protected = vec!["stable/24.05".to_owned()];
    drop(state);
    let none = Value::Null;
    let long = |name: &str, length: usize| json!({name: "ä".repeat(length)});
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("GET", "/meta", "", none.clone(), 200, "installed_version"),
        ("GET", "/repos/alice/fleet", "unknown", none.clone(), 401, "Bad credentials"),
        ("GET", "/repos/alice/fleet", "old", none.clone(), 401, "Bad credentials"),
        ("GET", "/repos/alice/fleet", "Bearer t-full", none.clone(), 200, r#""push":true"#),
        ("GET", "/repos/alice/fleet", "foreign", none.clone(), 200, r#""push":false"#),
        ("GET", "/repos/alice/nothing", "full", none.clone(), 404, "Not Found"),
        ("POST", "/repos/alice/fleet/pulls", "", new(BRANCH, "main"), 401, "Requires authentication"),
        ("POST", "/repos/alice/fleet/pulls", "narrow", new(BRANCH, "main"), 403, "not accessible by personal access"),
        ("POST", "/repos/alice/fleet/pulls", "foreign", new(BRANCH, "main"), 403, "not accessible by integration"),
        ("POST", "/repos/alice/fleet/pulls", "full", json!({"base": "main"}), 422, r#"\"head\" wasn't supplied"#),
        ("POST", "/repos/alice/fleet/pulls", "full", json!({"base": "main", "head": BRANCH}), 422, "missing_field"),
        ("POST", "/repos/alice/fleet/pulls", "full", new("nowhere", "main"), 422, r#""field":"head""#),
        ("POST", "/repos/alice/fleet/pulls", "full", new(BRANCH, "nowhere"), 422, r#""field":"base""#),
        ("POST", "/repos/alice/fleet/pulls", "full", new("same", "main"), 422, "No commits between main and same"),
        ("POST", "/repos/alice/fleet/pulls", "full", new("main", "main"), 422, "No commits between main and main"),
        ("POST", "/repos/alice/fleet/pulls", "full", new(BRANCH, "main"), 201, r#""number":1"#),
        ("POST", "/repos/alice/fleet/pulls", "full", new(BRANCH, "main"), 422, "already exists for alice:auto/flake"),
        ("PATCH", "/repos/alice/fleet/pulls/1", "full", long("title", 256), 200, "ä"),
        ("PATCH", "/repos/alice/fleet/pulls/1", "full", long("title", 257), 422, "title is too long"),
        ("PATCH", "/repos/alice/fleet/pulls/1", "full", long("body", 65_536), 200, "ä"),
        ("PATCH", "/repos/alice/fleet/pulls/1", "full", long("body", 65_537), 422, "body is too long (maximum is 65536"),
        ("PATCH", "/repos/alice/fleet/pulls/1", "full", json!({"body": ""}), 200, r#""body":null"#),
        ("POST", "/repos/alice/fleet/issues/1/comments", "full", long("body", 65_537), 422, r#""field":"data""#),
        ("POST", "/repos/alice/fleet/issues/1/comments", "full", json!({"body": "x"}), 201, r#""body":"x""#),
        ("POST", "/repos/alice/fleet/issues/1/labels", "full", json!({"labels": ["nix"]}), 200, r#""name":"nix""#),
        ("GET", "/repos/alice/fleet/branches/stable/24.05", "", none.clone(), 200, r#""protected":true"#),
        ("GET", "/repos/alice/fleet/branches/auto%2Fflake-update", "", none.clone(), 200, r#""protected":false"#),
        ("GET", "/repos/alice/fleet/branches/nothing", "", none.clone(), 404, "Branch not found"),
        ("DELETE", "/repos/alice/fleet/git/refs/heads/nothing", "full", none.clone(), 422, "Reference does not exist"),
        ("DELETE", "/repos/alice/fleet/git/refs/heads/same", "full", none.clone(), 204, ""),
        ("GET", "/repos/alice/fleet/pulls?state=open&head=alice:auto/flake-update&base=main", "", none.clone(), 200, r#""number":1"#),
        ("GET", "/repos/alice/fleet/pulls?head=bob:auto/flake-update", "", none.clone(), 200, "[]"),
        // Without a user, the filter is none.
        ("GET", "/repos/alice/fleet/pulls?head=nothing", "", none.clone(), 200, r#""number":1"#),
    ];
    hold_table(&scene, rows);

    scene.forge.state().actions_may_open = false;
    let got = scene.pulls("POST", "", "automatic", &new(BRANCH, "main"));
    assert_eq!(got.status, 403);
    let text = "GitHub Actions is not permitted to create or approve pull requests.";
    assert_eq!(got.json()["message"], text);

    let got = scene.pulls("POST", "", "narrow", &new(BRANCH, "main"));
    assert_eq!(
        got.header("x-accepted-github-permissions"),
        Some("pull_requests=write")
    );

    // Without a name, nobody is served.
    let mut stream = TcpStream::connect(("127.0.0.1", scene.forge.port())).unwrap();
    stream
        .write_all(b"GET /api/v3/meta HTTP/1.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");

    scene.forge.state().repo(SLUG).archived = true;
    let got = scene.pulls("PATCH", "/1", "full", &json!({"body": "x"}));
    assert_eq!(got.status, 403);
    assert!(got.text.contains("archived so is read-only"), "{got:?}");
    let violations = scene.forge.violations();
    insta::assert_snapshot!(violations.join("\n"), @"POST /repos/alice/fleet/pulls: body.head is missing");
}

#[test]
fn requests_are_compared_with_the_descriptions() {
    let scene = Scene::new(Dialect::Forgejo);
    let _number = scene.open();
    let list = scene.pulls(
        "GET",
        "?state=open&limit=50&page=1&sort=recentupdate",
        "full",
        &Value::Null,
    );
    assert_eq!(list.status, 200);
    assert_eq!(scene.forge.violations(), [""; 0]);
    // The server does not mind, and the test hears of it.
    assert_eq!(
        scene
            .pulls("GET", "?head=x&limit=ten", "full", &Value::Null)
            .status,
        200
    );
    assert_eq!(
        scene
            .pulls(
                "PATCH",
                "/1",
                "full",
                &json!({"titel": "x", "body": 1, "labels": ["a"]})
            )
            .status,
        201
    );
    assert_eq!(
        scene
            .ask("GET", "/repos/alice/fleet/wiki", "full", &Value::Null)
            .status,
        500
    );
    insta::assert_snapshot!(scene.forge.violations().join("\n"), @r#"
    GET /repos/alice/fleet/pulls: no parameter `head` in the query
    GET /repos/alice/fleet/pulls: `limit=ten` in the query is no such value
    PATCH /repos/alice/fleet/pulls/1: body.body is 1 and no string
    PATCH /repos/alice/fleet/pulls/1: body.labels[] is "a" and no integer
    PATCH /repos/alice/fleet/pulls/1: body.titel is unknown
    GET /repos/alice/fleet/wiki: no such path
    "#);
}

#[test]
#[should_panic(expected = "requests that do not fit")]
fn a_request_that_does_not_fit_fails_its_test() {
    let scene = Scene::new(Dialect::Github);
    let _got = scene.pulls("GET", "?limit=50", "full", &Value::Null);
}

#[test]
fn a_title_is_cut_without_a_word_on_forgejo() {
    let scene = Scene::new(Dialect::Forgejo);
    let _number = scene.open();
    let exact = "ä".repeat(127) + "x";
    let got = scene.pulls("PATCH", "/1", "full", &json!({"title": exact}));
    assert_eq!(got.json()["title"], exact);
    let got = scene.pulls("PATCH", "/1", "full", &json!({"title": "ä".repeat(128)}));
    assert_eq!(got.json()["title"], "ä".repeat(126) + "…");
}

#[test]
fn lists_come_in_pages_newest_first() {
    for (dialect, size) in [(Dialect::Forgejo, "limit"), (Dialect::Github, "per_page")] {
        let scene = Scene::new(dialect);
        let mut state = scene.forge.state();
        for _ in 0..120 {
            state.open_pull(SLUG, BRANCH, "main", "t", "", "robot");
        }
        let fork = state.open_from_fork(SLUG, "mallory/fleet", BRANCH, "main");
        drop(state);
        let longest = if dialect == Dialect::Github { 100 } else { 50 };
        let got = scene.pulls(
            "GET",
            &format!("?state=open&{size}=500"),
            "full",
            &Value::Null,
        );
        assert_eq!(got.json().as_array().unwrap().len(), longest);
        assert_eq!(got.json()[0]["number"], fork);
        assert_eq!(got.json()[0]["head"]["repo"]["full_name"], "mallory/fleet");
        let link = got.header("link").unwrap().to_owned();
        let next = link.split_once('>').unwrap().0.trim_start_matches('<');
        assert!(link.contains(r#"rel="next""#), "{link}");
        assert!(next.starts_with(&scene.forge.api_url()), "{next}");
        assert!(
            next.contains("state=open") && next.contains("page=2"),
            "{next}"
        );
        if dialect == Dialect::Forgejo {
            assert_eq!(got.header("x-total-count"), Some("121"));
        }
        let got = scene.pulls("GET", "", "full", &Value::Null);
        assert_eq!(got.json().as_array().unwrap().len(), 30);
        let last = scene.pulls("GET", &format!("?{size}=50&page=3"), "full", &Value::Null);
        assert_eq!(last.json().as_array().unwrap().len(), 21);
        assert!(!last.header("link").unwrap().contains("next"), "{last:?}");
        scene.forge.state().null_entries = true;
        if dialect == Dialect::Forgejo {
            let got = scene.pulls("GET", "?page=1", "full", &Value::Null);
            assert!(got.json()[0].is_null());
        }
    }
}

#[test]
fn a_renamed_repository_leads_on() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        let scene = Scene::new(dialect);
        scene.forge.state().rename(SLUG, "alice/machines");
        let read = scene.ask(
            "GET",
            "/repos/alice/fleet/pulls?state=all",
            "full",
            &Value::Null,
        );
        let write = scene.pulls("POST", "", "full", &new(BRANCH, "main"));
        let place = read.header("location").unwrap();
        if dialect == Dialect::Github {
            assert_eq!((read.status, write.status), (301, 307));
            assert!(
                place.starts_with(&format!("{}/repositories/", scene.forge.api_url())),
                "{place}"
            );
            assert!(place.ends_with("/pulls?state=all"), "{place}");
        } else {
            assert_eq!((read.status, write.status), (301, 301));
            assert_eq!(place, "/api/v1/repos/alice/machines/pulls?state=all");
        }
        let target = place.strip_prefix(&format!("http://127.0.0.1:{}", scene.forge.port()));
        let target = target.unwrap_or(place);
        let got = send(
            scene.forge.port(),
            "GET",
            target,
            "token t-full",
            &Value::Null,
        )
        .unwrap();
        assert_eq!((got.status, got.text.as_str()), (200, "[]"));
        // git follows, too.
        let dir = scene.clone("clone", Some("t-full"));
        assert!(dir.join("flake.lock").exists());

        scene.forge.state().rename("alice/machines", "bob/machines");
        let write = scene.ask(
            "POST",
            "/repos/alice/machines/pulls",
            "full",
            &new(BRANCH, "main"),
        );
        assert_eq!(write.status, 307);
    }
}

#[test]
fn pushes_go_to_real_repositories_under_the_forges_rules() {
    for dialect in [Dialect::Forgejo, Dialect::Gitea, Dialect::Github] {
        let scene = Scene::new(dialect);
        scene.forge.state().repo(SLUG).protected = vec!["main".to_owned()];
        let dir = scene.clone("clone", None);
        git(&dir, &["commit", "-q", "--allow-empty", "-m", "One"]).unwrap();
        let full = basic("anybody", "t-full");
        let to = |name: &str| format!("HEAD:refs/heads/{name}");

        push(&dir, &full, &[&to("a/b")]).unwrap();
        let tip = git(&dir, &["rev-parse", "HEAD"]).unwrap();
        assert_eq!(scene.forge.state().tip(SLUG, "a/b"), Some(tip.clone()));
        // A user name is enough for Forgejo, a lost lease is one on the server's side too.
        push(&dir, &basic("t-full", "x-oauth-basic"), &[&to("c")]).unwrap();
        let lost = format!("--force-with-lease=refs/heads/c:{}", scene.base);
        let said = push(&dir, &full, &[&lost, "HEAD~1:refs/heads/c"]).unwrap_err();
        assert!(said.contains("stale info"), "{said}");
        // Chunked, as libgit2 does always and git for what is large.
        let chunked = format!("http.extraHeader=Authorization: {full}");
        git(
            &dir,
            &[
                "-c",
                "http.postBuffer=1",
                "-c",
                &chunked,
                "push",
                "-q",
                "origin",
                &to("d"),
            ],
        )
        .unwrap();
        // Compressed, as git does for what names many commits.
        for number in 0..30 {
            let message = number.to_string();
            git(&dir, &["commit", "-q", "--allow-empty", "-m", &message]).unwrap();
        }
        let files: &[(&str, Option<&[u8]>)] = &[("new", Some(b"new"))];
        let newer = scene
            .forge
            .state()
            .commit_on_branch(SLUG, "n", Some("main"), files, "N");
        git(&dir, &["fetch", "-q", "origin", "n"]).unwrap();
        assert_eq!(git(&dir, &["rev-parse", "FETCH_HEAD"]).unwrap(), newer);
        git(&dir, &["reset", "-q", "--hard", &tip]).unwrap();
        push(&dir, &full, &[":refs/heads/d"]).unwrap();
        assert_eq!(scene.forge.state().tip(SLUG, "d"), None);

        let refused = |token: &str, branch: &str| push(&dir, token, &[&to(branch)]).unwrap_err();
        let said = refused(&full, "main");
        let expected = match dialect {
            Dialect::Forgejo => "remote: Forgejo: Not allowed to push to protected branch main",
            Dialect::Gitea => "remote: Gitea: Not allowed to push to protected branch main",
            Dialect::Github => {
                "remote: error: GH006: Protected branch update failed for refs/heads/main."
            }
        };
        assert!(
            said.contains(expected) && said.contains("hook declined"),
            "{said}"
        );
        let said = refused(&basic("bob", "t-reader"), "e");
        let expected = match dialect {
            Dialect::Github => "403",
            Dialect::Forgejo | Dialect::Gitea => "User permission denied for writing",
        };
        assert!(said.contains(expected), "{said}");
        for (header, expected) in [
            ("", "could not read Username"),
            ("Bearer t-full", "could not read Username"),
            ("token t-full", "could not read Username"),
        ] {
            let said = refused(header, "e");
            assert!(said.contains(expected), "{header}: {said}");
        }
        let said = refused(&basic("x", "t-old"), "e");
        assert!(
            said.contains("could not read Username") || said.contains("Authentication failed"),
            "{said}"
        );
        if dialect != Dialect::Github {
            let said = refused(&basic("x", "t-narrow"), "e");
            assert!(said.contains("403"), "{said}");
        }

        scene.forge.state().repo(SLUG).private = true;
        let url = scene.forge.git_url(SLUG);
        let said = git(&dir, &["ls-remote", &url]).unwrap_err();
        assert!(said.contains("could not read Username"), "{said}");
        let stranger = format!(
            "http.extraHeader=Authorization: {}",
            basic("x", "t-stranger")
        );
        let said = git(&dir, &["-c", &stranger, "ls-remote", &url]).unwrap_err();
        assert!(said.contains("not found"), "{said}");
        assert!(
            scene
                .clone("private", Some("t-reader"))
                .join("flake.nix")
                .exists()
        );

        scene.forge.state().repo(SLUG).archived = true;
        let said = refused(&full, "e");
        assert!(said.contains("403") && said.contains("rchived"), "{said}");

        assert_eq!(scene.forge.state().tip(SLUG, "e"), None);
        assert!(
            scene
                .forge
                .requests()
                .iter()
                .all(|seen| seen.kind == Kind::Git)
        );
        assert!(
            scene
                .forge
                .requests()
                .iter()
                .any(|seen| seen.token.as_deref() == Some("full"))
        );
    }
}

#[test]
fn branches_that_go_or_move_change_their_pull_requests() {
    for dialect in [Dialect::Forgejo, Dialect::Github] {
        let scene = Scene::new(dialect);
        let number = scene.open();
        let dir = scene.clone("clone", None);
        let full = basic("x", "t-full");
        git(&dir, &["checkout", "-q", BRANCH]).unwrap();
        git(&dir, &["commit", "-q", "--allow-empty", "-m", "Two"]).unwrap();
        scene.forge.state().pull(SLUG, number).armed_for = Some(scene.head.clone());
        push(&dir, &full, &[&format!("HEAD:{BRANCH}")]).unwrap();
        let tip = git(&dir, &["rev-parse", "HEAD"]).unwrap();
        let shown = scene
            .pulls("GET", &format!("/{number}"), "", &Value::Null)
            .json();
        assert_eq!(shown["head"]["sha"], tip);
        assert_eq!(scene.forge.state().pull(SLUG, number).pushes_while_armed, 1);

        // Back to the base: GitHub closes it, Forgejo keeps it empty.
        push(
            &dir,
            &full,
            &[&format!("+{}:refs/heads/{BRANCH}", scene.base)],
        )
        .unwrap();
        let pull = scene.forge.state().pull(SLUG, number).clone();
        let closed = if dialect == Dialect::Github {
            PullState::Closed
        } else {
            PullState::Open
        };
        assert_eq!((pull.state, pull.merged), (closed, false));

        push(&dir, &full, &["+HEAD:refs/heads/other"]).unwrap();
        let got = scene.pulls("POST", "", "full", &new("other", "main"));
        let other = got.json()["number"].as_u64().unwrap();
        push(&dir, &full, &[":refs/heads/other"]).unwrap();
        let shown = scene
            .pulls("GET", &format!("/{other}"), "", &Value::Null)
            .json();
        assert_eq!(
            (&shown["state"], &shown["merged_at"]),
            (&json!("closed"), &Value::Null)
        );
        let (label, name) = match dialect {
            Dialect::Github => ("alice:other", "other".to_owned()),
            Dialect::Forgejo | Dialect::Gitea => ("other", format!("refs/pull/{other}/head")),
        };
        assert_eq!(shown["head"]["label"], label);
        assert_eq!(shown["head"]["ref"], name);
        assert_eq!(shown["head"]["sha"], tip);
    }
}

#[test]
fn people_merge_update_edit_and_close() {
    let scene = Scene::new(Dialect::Github);
    let first = scene.open();
    let mut state = scene.forge.state();
    let files: &[(&str, Option<&[u8]>)] = &[("README", Some(b"hello\n")), ("flake.nix", None)];
    let main = state.commit_on_branch(SLUG, "main", None, files, "Elsewhere");
    let merge = state.update_branch(SLUG, first).unwrap();
    let path = state.repo(SLUG).path.clone();
    git(&path, &["pack-refs", "--all"]).unwrap();
    assert_eq!(state.tip(SLUG, BRANCH), Some(merge.clone()));
    assert_eq!(state.tip(SLUG, "auto"), None);
    let parents = git(&path, &["show", "-s", "--format=%P", &merge]).unwrap();
    assert_eq!(parents, format!("{} {main}", scene.head));
    assert_eq!(
        git(&path, &["show", &format!("{merge}:flake.lock")]).unwrap(),
        "{1}"
    );
    assert!(git(&path, &["show", &format!("{merge}:flake.nix")]).is_err());

    state.edit_as_human(SLUG, first, Some("Mine"), Some("one\ntwo\r\nthree"));
    state.comment_as_human(SLUG, first, "hm");
    let pull = state.pull(SLUG, first).clone();
    assert_eq!(
        (pull.title.as_str(), pull.body.as_str()),
        ("Mine", "one\r\ntwo\r\nthree")
    );
    assert_eq!((pull.comments.len(), pull.edits), (1, 0));

    let commit = state
        .merge_pull(SLUG, first, Merging::Squash, true)
        .unwrap();
    assert_eq!(state.tip(SLUG, "main"), Some(commit));
    assert_eq!(state.tip(SLUG, BRANCH), None);
    assert!(state.pull(SLUG, first).merged);

    state.commit_on_branch(
        SLUG,
        BRANCH,
        Some("main"),
        &[("flake.lock", Some(b"{2}\n"))],
        "Next",
    );
    let second = state.open_pull(SLUG, BRANCH, "main", "t", "", "robot");
    assert_eq!(state.open_pulls(SLUG).len(), 1);
    state.close_as_human(SLUG, second);
    assert_eq!(state.open_pulls(SLUG).len(), 0);
    // What a merge commit brings to the base is merged, not closed.
    state.commit_on_branch(SLUG, "x", Some("main"), &[("x", Some(b"x"))], "X");
    let third = state.open_pull(SLUG, "x", "main", "t", "", "robot");
    let tip = state.tip(SLUG, "x").unwrap();
    state.set_branch(SLUG, "main", &tip);
    let pull = state.pull(SLUG, third);
    assert!(pull.merged && pull.state == PullState::Closed);
    // A conflict is one.
    state.commit_on_branch(SLUG, "y", Some("main"), &[("x", Some(b"y"))], "Y");
    state.commit_on_branch(SLUG, "main", None, &[("x", Some(b"z"))], "Z");
    let fourth = state.open_pull(SLUG, "y", "main", "t", "", "robot");
    assert!(
        state
            .merge_pull(SLUG, fourth, Merging::Merge, false)
            .is_err()
    );
}

#[test]
fn drafts_and_auto_merge_of_github_go_by_graphql() {
    let scene = Scene::new(Dialect::Github);
    let _number = scene.open();
    let node = scene.pulls("GET", "/1", "", &Value::Null).json()["node_id"].clone();
    let ask = |mutation: &str| {
        let query = format!(
            "mutation($id: ID!) {{ {mutation}(input: {{pullRequestId: $id}}) {{ clientMutationId }} }}"
        );
        let body = json!({"query": query, "variables": {"id": node}});
        let got = send(
            scene.forge.port(),
            "POST",
            "/api/graphql",
            "Bearer t-full",
            &body,
        )
        .unwrap();
        assert_eq!(got.status, 200, "{got:?}");
        got.text
    };
    assert!(ask("convertPullRequestToDraft").contains("true"));
    assert!(scene.forge.state().pull(SLUG, 1).draft);
    assert!(ask("markPullRequestReadyForReview").contains("false"));
    let arm = "enablePullRequestAutoMerge";
    assert!(ask(arm).contains("Auto merge is not allowed for this repository"));
    scene.forge.state().repo(SLUG).allow_auto_merge = true;
    assert!(ask(arm).contains("Protected branch rules not configured"));
    scene.forge.state().repo(SLUG).protected = vec!["main".to_owned()];
    assert!(ask(arm).contains("clean status"));
    scene.forge.state().repo(SLUG).required_checks = vec!["ci".to_owned()];
    assert!(!ask(arm).contains("errors"));
    assert_eq!(
        scene.forge.state().pull(SLUG, 1).armed_for,
        Some(scene.head.clone())
    );
    assert!(!ask("disablePullRequestAutoMerge").contains("errors"));
}

#[test]
fn trouble_hits_what_it_is_meant_for() {
    let scene = Scene::new(Dialect::Forgejo);
    let forge = &scene.forge;
    forge.fault(Fault::next("GET", "/pulls", Trouble::Answer(bad_gateway())));
    forge.fault(Fault::next("GET", "/pulls", Trouble::Answer(too_many("7"))));
    assert_eq!(scene.ask("GET", "/version", "", &Value::Null).status, 200);
    let got = scene.pulls("GET", "", "", &Value::Null);
    assert!(
        got.status == 502 && got.header("content-type") == Some("text/html"),
        "{got:?}"
    );
    let got = scene.pulls("GET", "", "", &Value::Null);
    assert_eq!((got.status, got.header("retry-after")), (429, Some("7")));
    assert_eq!(scene.pulls("GET", "", "", &Value::Null).status, 200);

    // Carried out, and nobody hears of it.
    let target = format!("/api/v1/repos/{SLUG}/pulls");
    for trouble in [Trouble::DoThenClose, Trouble::DoThenHang] {
        forge.fault(Fault::next("POST", "/pulls", trouble));
        let got = send(
            forge.port(),
            "POST",
            &target,
            "token t-full",
            &new(BRANCH, "main"),
        );
        assert!(got.is_none(), "{got:?}");
        assert_eq!(forge.state().open_pulls(SLUG).len(), 1);
        let seen = forge.requests().pop().unwrap();
        assert!(
            (seen.status == 201 || seen.status == 409) && !seen.answered,
            "{seen:?}"
        );
        assert!(seen.authorized && seen.body["head"] == BRANCH, "{seen:?}");
    }
    forge.fault(Fault {
        skip: 1,
        ..Fault::next("PATCH", "/pulls/1", Trouble::Close)
    });
    assert_eq!(
        scene
            .pulls("PATCH", "/1", "full", &json!({"body": "1"}))
            .status,
        201
    );
    let one = format!("{target}/1");
    assert!(
        send(
            forge.port(),
            "PATCH",
            &one,
            "token t-full",
            &json!({"body": "2"})
        )
        .is_none()
    );
    assert_eq!(forge.state().pull(SLUG, 1).body, "1");
    forge.fault(Fault::next(
        "PATCH",
        "/pulls/1",
        Trouble::DoThenAnswer(bad_gateway()),
    ));
    assert_eq!(
        scene
            .pulls("PATCH", "/1", "full", &json!({"body": "3"}))
            .status,
        502
    );
    assert_eq!(forge.state().pull(SLUG, 1).body, "3");
    forge.fault(Fault::next(
        "",
        "/version",
        Trouble::Delay(Duration::from_millis(150)),
    ));
    let started = Instant::now();
    assert_eq!(scene.ask("GET", "/version", "", &Value::Null).status, 200);
    assert!(started.elapsed() >= Duration::from_millis(150));

    assert_eq!(
        forge.api_log().first().map(String::as_str),
        Some("GET /version → 200")
    );
    forge.forget();
    assert_eq!(forge.requests().len(), 0);
}

#[test]
fn a_hook_sees_every_request_and_can_end_it() {
    let scene = Scene::new(Dialect::Github);
    let calls = Arc::new(AtomicUsize::new(0));
    let heard = Arc::new(Mutex::new(Vec::new()));
    scene.forge.on_request(Box::new({
        let (calls, heard) = (Arc::clone(&calls), Arc::clone(&heard));
        move |count, seen, moment| {
            calls.fetch_add(1, Ordering::SeqCst);
            heard.lock().unwrap().push(format!(
                "{count} {} {moment:?} {}",
                seen.method, seen.status
            ));
            match (count, moment) {
                (2, Moment::After) | (3, Moment::Before) => Next::Close,
                _ => Next::Continue,
            }
        }
    }));
    assert_eq!(scene.pulls("GET", "", "", &Value::Null).status, 200);
    let target = format!("/api/v3/repos/{SLUG}/pulls");
    let post = |head: &str| {
        send(
            scene.forge.port(),
            "POST",
            &target,
            "token t-full",
            &new(head, "main"),
        )
    };
    assert!(post(BRANCH).is_none());
    assert!(post("nowhere").is_none());
    assert_eq!(scene.forge.state().open_pulls(SLUG).len(), 1);
    let expected = [
        "1 GET Before 0",
        "1 GET After 200",
        "2 POST Before 0",
        "2 POST After 201",
        "3 POST Before 0",
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
    assert_eq!(calls.load(Ordering::SeqCst), 5);
}

#[test]
fn gitea_has_no_routes_of_forgejo_and_a_path_in_front_is_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let forge = StandIn::start_below(Dialect::Gitea, scratch.path(), "/git");
    let _path = forge.create_repository(SLUG, "main");
    let _seed = forge.seed(SLUG, &[("a", b"a")]);
    let get = |target: &str| send(forge.port(), "GET", target, "", &Value::Null).unwrap();
    assert_eq!(get("/git/api/forgejo/v1/version").status, 404);
    let got = get("/git/api/v1/version");
    assert!(got.text.contains("1.25.0"), "{got:?}");
    assert_eq!(get("/api/v1/version").status, 500);
    assert_eq!(
        forge.api_url(),
        format!("http://127.0.0.1:{}/git/api/v1", forge.port())
    );
    forge.clone_to(SLUG, &scratch.path().join("clone"), None);
    assert_eq!(forge.pushes(), 0);
    let repo = get("/git/api/v1/repos/alice/fleet").json();
    assert_eq!(
        repo["html_url"],
        format!("{}/alice/fleet", forge.server_url())
    );
    forge.state().rename(SLUG, "alice/x");
    let got = get("/git/api/v1/repos/alice/fleet");
    assert_eq!(got.header("location"), Some("/git/api/v1/repos/alice/x"));
}
