//! What is sent, and what is made of the answers: one table for both dialects.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::git::BranchName;

const SECRET: &str = "gto_0123456789SECRET";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const KINDS: [ForgeKind; 2] = [ForgeKind::Forgejo, ForgeKind::Github];

fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        pause: Duration::from_millis(1),
        wait: Duration::from_secs(2),
    }
}

/// What a server does when it is asked.
#[derive(Clone)]
enum Reply {
    Says(ResponseTemplate),
    /// It may have done what it was asked to, and never says so.
    HangsUp,
}

/// A server that gives the answers in turn, whatever it is asked, and remembers the questions.
struct Stage {
    server: MockServer,
    kind: ForgeKind,
}

impl Stage {
    async fn new(kind: ForgeKind, answers: Vec<ResponseTemplate>) -> Self {
        Self::with(kind, answers.into_iter().map(Reply::Says).collect()).await
    }

    async fn with(kind: ForgeKind, replies: Vec<Reply>) -> Self {
        let server = MockServer::start().await;
        for reply in replies {
            let mock = Mock::given(any());
            let mock = match reply {
                Reply::Says(answer) => mock.respond_with(answer),
                Reply::HangsUp => mock.respond_with_err(|_: &Request| {
                    io::Error::from(io::ErrorKind::ConnectionReset)
                }),
            };
            mock.up_to_n_times(1).mount(&server).await;
        }
        Mock::given(any())
            .respond_with(ResponseTemplate::new(418).set_body_string("unexpected"))
            .mount(&server)
            .await;
        Self { server, kind }
    }

    /// The API below a sub-path, as behind a proxy or on GitHub Enterprise.
    fn base(&self) -> &'static str {
        match self.kind {
            ForgeKind::Github => "/api/v3",
            _ => "/sub/api/v1",
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            kind: self.kind,
            api_url: format!("{}{}", self.server.uri(), self.base())
                .parse()
                .unwrap(),
            server_url: None,
            slug: "alice/fleet".parse().unwrap(),
        }
    }

    fn client(&self) -> Client {
        self.client_with(Some(Token::Given(SecretString::from(SECRET))))
    }

    fn client_with(&self, token: Option<Token>) -> Client {
        Client::with_limits(self.endpoint(), token, "flake-herald/test", limits()).unwrap()
    }

    async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// Method, path below the API and query of each request.
    async fn seen(&self) -> Vec<String> {
        self.requests()
            .await
            .iter()
            .map(|request| {
                let path = request.url.path();
                let path = path.strip_prefix(self.base()).unwrap_or(path);
                let query = request
                    .url
                    .query()
                    .map_or_else(String::new, |query| format!("?{query}"));
                format!("{} {path}{query}", request.method)
            })
            .collect()
    }

    /// The same without queries.
    async fn paths(&self) -> Vec<String> {
        let seen = self.seen().await;
        seen.iter()
            .map(|line| line.split('?').next().unwrap().to_owned())
            .collect()
    }
}

fn branch(name: &str) -> BranchName {
    name.parse().unwrap()
}

fn head() -> BranchName {
    branch("auto/flake-update")
}

fn main() -> BranchName {
    branch("main")
}

fn ok(json: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json)
}

fn refused(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "message": message }))
}

/// A pull request from a branch of repository `from` to `base` of repository 7.
fn pull(number: u64, head: &str, base: &str, from: u64) -> Value {
    json!({
        "number": number,
        "state": "open",
        "title": "chore: update flake inputs",
        "body": "the body",
        "url": "https://forge.example/api/pulls/9",
        "html_url": format!("https://forge.example/alice/fleet/pulls/{number}"),
        "draft": false,
        "labels": [{ "id": 1, "name": "hold" }],
        "merged_at": null,
        "head": {
            "label": head, "ref": head, "sha": SHA, "repo_id": from,
            "repo": { "id": from, "full_name": "alice/fleet" },
        },
        "base": {
            "label": base, "ref": base, "sha": SHA, "repo_id": 7,
            "repo": { "id": 7, "full_name": "alice/fleet" },
        },
    })
}

fn ours() -> Value {
    pull(9, "auto/flake-update", "main", 7)
}

fn repository(full_name: &str) -> Value {
    json!({
        "full_name": full_name,
        "default_branch": "main",
        "archived": false,
        "private": true,
        "fork": false,
        "permissions": { "admin": false, "push": true, "pull": true },
    })
}

fn new() -> NewPullRequest {
    NewPullRequest {
        head: head(),
        base: main(),
        title: "chore: update flake inputs".to_owned(),
        body: "the body".to_owned(),
    }
}

fn says(answer: ResponseTemplate) -> Reply {
    Reply::Says(answer)
}

fn moved(status: u16, to: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("location", to)
}

fn html(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(
        "<!doctype html><html><HEAD><title>\n Bad\n gateway </title>",
        "text/html; charset=utf-8",
    )
}

#[tokio::test]
async fn the_own_pull_request_is_found_among_others_on_any_page() {
    for kind in KINDS {
        let mut closed = ours();
        closed["state"] = json!("closed");
        let mut without_head = ours();
        without_head["head"] = Value::Null;
        let mut deleted_fork = pull(4, "auto/flake-update", "main", 7);
        deleted_fork["head"]["repo"] = Value::Null;
        deleted_fork["head"]["repo_id"] = json!(-1);
        let others = json!([
            null,
            pull(1, "auto/flake-update", "main", 8),
            pull(2, "auto/flake-update", "other", 7),
            pull(3, "other", "main", 7),
            deleted_fork,
            without_head,
            closed,
        ]);
        let stage = Stage::new(
            kind,
            vec![
                ok(&others).insert_header(
                    "link",
                    "<https://elsewhere.example/?page=2>; rel=\"next\", <https://x/>; rel=\"last\"",
                ),
                ok(&json!([ours()])).insert_header("link", "<https://x/>; rel=\"first\""),
            ],
        )
        .await;
        let found = stage
            .client()
            .find_open(&head(), &main())
            .await
            .unwrap()
            .to_base;
        let found = found.unwrap();
        assert_eq!(found.number, PrNumber(9), "{kind}");
        assert_eq!(found.url, "https://forge.example/alice/fleet/pulls/9");
        assert_eq!(found.head.unwrap().as_str(), SHA);
        assert_eq!(found.labels, ["hold"]);
        assert_eq!(found.state, PrState::Open);
        let queries = match kind {
            ForgeKind::Github => [1, 2].map(|page| {
                format!(
                    "GET /repos/alice/fleet/pulls?head=alice%3Aauto%2Fflake-update&per_page=100&page={page}&state=open"
                )
            }),
            _ => [1, 2].map(|page| {
                format!("GET /repos/alice/fleet/pulls?state=open&limit=50&page={page}")
            }),
        };
        assert_eq!(stage.seen().await, queries);
    }
}

#[tokio::test]
async fn lists_with_nothing_in_them_hold_no_pull_request() {
    for kind in KINDS {
        for list in [json!(null), json!([]), json!([null])] {
            let stage = Stage::new(kind, vec![ok(&list)]).await;
            let found = stage
                .client()
                .find_open(&head(), &main())
                .await
                .unwrap()
                .to_base;
            assert_eq!(found, None);
        }
    }
}

#[tokio::test]
async fn what_was_pushed_for_review_on_forgejo_is_no_branch() {
    let mut agit = ours();
    agit["flow"] = json!(1);
    let stage = Stage::new(ForgeKind::Forgejo, vec![ok(&json!([agit]))]).await;
    let found = stage
        .client()
        .find_open(&head(), &main())
        .await
        .unwrap()
        .to_base;
    assert_eq!(found, None);
}

#[tokio::test]
async fn closed_ones_come_newest_first_and_are_known_after_their_branch_is_gone() {
    for kind in KINDS {
        let mut merged = ours();
        merged["state"] = json!("closed");
        let mut closed = merged.clone();
        closed["number"] = json!(8);
        merged["merged_at"] = json!("2026-11-01T00:00:00Z");
        if kind == ForgeKind::Forgejo {
            merged["merged"] = json!(true);
            closed["head"]["ref"] = json!("refs/pull/8/head");
        }
        let list = json!([merged, pull(3, "other", "main", 7), closed]);
        let stage = Stage::new(
            kind,
            vec![ok(&list).insert_header("link", "<https://x/>; rel=\"next\"")],
        )
        .await;
        let page = stage.client().closed(&head(), &main(), 2).await.unwrap();
        assert!(page.more);
        let states: Vec<_> = page.pulls.iter().map(|p| (p.number.0, p.state)).collect();
        assert_eq!(states, [(9, PrState::Merged), (8, PrState::Closed)]);
        let seen = stage.seen().await.join("");
        assert!(
            seen.contains("state=closed") && seen.contains("page=2"),
            "{seen}"
        );
        let order = match kind {
            ForgeKind::Github => "&sort=created&direction=desc",
            _ => "&sort=recentupdate",
        };
        assert!(seen.contains(order), "{seen}");
    }
}

#[tokio::test]
async fn a_moved_repository_is_followed_and_remembered() {
    for kind in KINDS {
        for status in [301, 302, 307, 308] {
            let stage = Stage::new(kind, Vec::new()).await;
            let base = stage.base();
            let absolute = format!("{}{base}/repositories/7", stage.server.uri());
            for target in [format!("{base}/repos/alice/new-fleet"), absolute] {
                let stage = Stage::new(
                    kind,
                    vec![
                        moved(status, &target.replace(&stage.server.uri(), "")),
                        ok(&repository("alice/new-fleet")),
                        ok(&json!([])),
                    ],
                )
                .await;
                let client = stage.client();
                let found = client.repository().await.unwrap();
                assert_eq!(found.slug.to_string(), "alice/new-fleet");
                assert_eq!(client.slug(), found.slug);
                assert_eq!(found.may_push, Some(true));
                client.find_open(&head(), &main()).await.unwrap();
                let last = stage.paths().await.pop().unwrap();
                assert_eq!(last, "GET /repos/alice/new-fleet/pulls");
                assert_eq!(client.requests(), 3);
            }
        }
    }
}

#[tokio::test]
async fn an_absolute_redirect_on_the_same_server_is_followed() {
    for kind in KINDS {
        let server = MockServer::start().await;
        let stage = Stage { server, kind };
        let there = format!("{}{}/repositories/7", stage.server.uri(), stage.base());
        Mock::given(wiremock::matchers::path(format!(
            "{}/repositories/7",
            stage.base()
        )))
        .respond_with(ok(&repository("alice/new-fleet")))
        .mount(&stage.server)
        .await;
        Mock::given(any())
            .respond_with(moved(301, &there))
            .mount(&stage.server)
            .await;
        let found = stage.client().repository().await.unwrap();
        assert_eq!(found.slug.to_string(), "alice/new-fleet");
    }
}

#[tokio::test]
async fn a_write_that_meets_a_redirect_is_repeated_under_the_new_name_and_stays_a_write() {
    for kind in KINDS {
        for status in [301, 302, 307, 308] {
            let stage = Stage::new(
                kind,
                vec![
                    moved(status, "/somewhere"),
                    ok(&repository("bob/fleet")),
                    ResponseTemplate::new(201).set_body_json(ours()),
                    ResponseTemplate::new(201).set_body_json(ours()),
                ],
            )
            .await;
            let client = stage.client();
            let opened = client.open(&new()).await.unwrap();
            assert!(!opened.existed);
            client.close(PrNumber(9)).await.unwrap();
            assert_eq!(
                stage.paths().await,
                [
                    "POST /repos/alice/fleet/pulls",
                    "GET /repos/alice/fleet",
                    "POST /repos/bob/fleet/pulls",
                    "PATCH /repos/bob/fleet/pulls/9",
                ]
            );
            let body: Value = stage.requests().await[2].body_json().unwrap();
            assert_eq!(
                body,
                json!({
                    "head": "auto/flake-update", "base": "main",
                    "title": "chore: update flake inputs", "body": "the body",
                })
            );
        }
    }
}

#[tokio::test]
async fn a_renamed_owner_is_renamed_in_githubs_filter_too() {
    let stage = Stage::new(
        ForgeKind::Github,
        vec![
            moved(301, "/somewhere"),
            ok(&repository("bob/fleet")),
            ok(&json!([])),
            ok(&json!([ours()])),
        ],
    )
    .await;
    let found = stage
        .client()
        .find_open(&head(), &main())
        .await
        .unwrap()
        .to_base;
    assert!(found.is_some());
    let last = stage.seen().await.pop().unwrap();
    assert!(
        last.contains("/repos/bob/fleet/pulls?head=bob%3A"),
        "{last}"
    );
}

#[tokio::test]
async fn redirects_that_lead_nowhere_end() {
    for kind in KINDS {
        let round = || moved(301, "/round");
        let stage = Stage::new(kind, (0..20).map(|_| round()).collect()).await;
        let error = stage.client().repository().await.unwrap_err();
        assert!(
            matches!(error, ForgeError::RedirectElsewhere { .. }),
            "{error}"
        );
        let stage = Stage::new(kind, vec![round(), ok(&repository("alice/fleet"))]).await;
        let error = stage.client().close(PrNumber(9)).await.unwrap_err();
        assert!(
            matches!(error, ForgeError::RedirectElsewhere { .. }),
            "{error}"
        );
        assert_eq!(stage.requests().await.len(), 2);
    }
}

#[tokio::test]
async fn another_server_gets_neither_request_nor_token() {
    for kind in KINDS {
        let other = Stage::new(kind, vec![ok(&repository("alice/fleet"))]).await;
        // The same address, another port: another server.
        let target = format!("{}/repos/alice/fleet", other.server.uri());
        let stage = Stage::new(kind, vec![moved(307, &target), moved(307, &target)]).await;
        let client = stage.client();
        let read = client.repository().await.unwrap_err();
        let write = client.open(&new()).await.unwrap_err();
        for error in [read, write] {
            let text = error.to_string();
            assert!(text.contains(&stage.server.uri()), "{text}");
            assert!(text.contains(&other.server.uri()), "{text}");
            assert!(error.hint().unwrap().contains("its own server only"));
        }
        assert_eq!(other.requests().await.len(), 0);
        assert_eq!(stage.requests().await.len(), 2);
    }
}

#[tokio::test]
async fn the_token_is_in_one_header_and_nowhere_else() {
    for kind in KINDS {
        let stage = Stage::new(
            kind,
            vec![
                ok(&repository("alice/fleet")),
                // A server that repeats what it was sent.
                refused(403, &format!("no, {SECRET} may not")),
            ],
        )
        .await;
        let client = stage.client();
        client.repository().await.unwrap();
        let error = client.repository().await.unwrap_err();
        let shown = format!("{client:?} {error:?} {error} {:?}", error.hint());
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("no, *** may not"), "{shown}");
        for request in stage.requests().await {
            let values: Vec<_> = request.headers.get_all("authorization").iter().collect();
            assert_eq!(values, [&format!("Bearer {SECRET}")]);
            let agents: Vec<_> = request.headers.get_all("user-agent").iter().collect();
            let agent = match kind {
                ForgeKind::Github => "octocrab",
                _ => "flake-herald/test",
            };
            assert_eq!(agents, [agent]);
            assert!(!request.url.as_str().contains(SECRET));
        }

        let stage = Stage::new(kind, vec![ok(&repository("alice/fleet"))]).await;
        stage.client_with(None).repository().await.unwrap();
        assert!(
            !stage.requests().await[0]
                .headers
                .contains_key("authorization")
        );
    }
}

/// Where the log is kept for the test to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_without_token_query_or_body() {
    for kind in KINDS {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let stage = Stage::new(kind, vec![ok(&json!([])), exists(kind)]).await;
        let client = stage.client();
        client.find_open(&head(), &main()).await.unwrap();
        client.open(&new()).await.unwrap_err();
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let base = stage.base();
        for line in ["GET {}: 200 in ", "POST {}: 4"] {
            let line = line.replace("{}", &format!("{base}/repos/alice/fleet/pulls"));
            assert!(text.contains(&line), "{text}");
        }
        for secret in [SECRET, "state=open", "the body"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn tokens_and_addresses_that_cannot_be_sent_are_refused_first() {
    for kind in KINDS {
        let stage = Stage::new(kind, Vec::new()).await;
        for bad in ["", "a\nb", "a b", "ä"] {
            let token = Token::Given(SecretString::from(bad));
            let error = Client::new(stage.endpoint(), Some(token), "x").unwrap_err();
            assert!(matches!(error, ForgeError::Setup(_)), "{error}");
        }
        for bad in ["file:///x", "https://user:pass@forge.example/"] {
            let endpoint = Endpoint {
                api_url: bad.parse().unwrap(),
                ..stage.endpoint()
            };
            let error = Client::new(endpoint, None, "x").unwrap_err();
            assert!(!error.to_string().contains("pass@"), "{error}");
        }
    }
}

#[tokio::test]
async fn requests_are_repeated_where_that_does_no_harm() {
    for kind in KINDS {
        for first in [
            html(502),
            ResponseTemplate::new(500),
            refused(503, "later"),
            refused(504, "later"),
            refused(429, "slow down").insert_header("retry-after", "0"),
        ]
        .map(Reply::Says)
        .into_iter()
        .chain([Reply::HangsUp])
        {
            let answers = vec![first.clone(), says(ok(&repository("alice/fleet")))];
            let stage = Stage::with(kind, answers).await;
            stage.client().repository().await.unwrap();
            let stage = Stage::with(kind, vec![first, says(ResponseTemplate::new(201))]).await;
            let client = stage.client();
            client.close(PrNumber(9)).await.unwrap();
            assert_eq!(client.requests(), 2);
            let bodies: Vec<Value> = stage
                .requests()
                .await
                .iter()
                .map(|request| request.body_json().unwrap())
                .collect();
            assert_eq!(
                bodies,
                [json!({ "state": "closed" }), json!({ "state": "closed" })]
            );
        }
        let stage = Stage::new(kind, vec![html(502), html(502), html(502)]).await;
        let error = stage.client().repository().await.unwrap_err();
        assert!(matches!(error, ForgeError::Unavailable(_)), "{error}");
        let base = stage.base();
        assert_eq!(
            error.to_string(),
            format!("the forge is out of order (GET {base}/repos/alice/fleet: 502, Bad gateway)")
        );
        assert_eq!(stage.requests().await.len(), 3);
    }
}

#[tokio::test]
async fn what_github_has_not_found_yet_is_asked_for_again() {
    let stage = Stage::new(
        ForgeKind::Github,
        vec![
            refused(
                422,
                "Could not resolve to a node with the global id of 'x'.",
            ),
            ok(&ours()),
        ],
    )
    .await;
    stage.client().close(PrNumber(9)).await.unwrap();
}

#[tokio::test]
async fn a_server_is_given_the_time_it_asks_for_within_reason() {
    for kind in KINDS {
        let answers = |after: &str| {
            vec![
                refused(429, "slow down")
                    .insert_header("retry-after", after)
                    .insert_header("date", "Sat, 21 Nov 2026 12:00:00 GMT"),
                ok(&repository("alice/fleet")),
            ]
        };
        for after in ["1", "Sat, 21 Nov 2026 12:00:01 GMT"] {
            let stage = Stage::new(kind, answers(after)).await;
            let started = Instant::now();
            stage.client().repository().await.unwrap();
            assert!(started.elapsed() >= Duration::from_secs(1));
        }
        for after in ["9999", "Sat, 21 Nov 2026 14:46:39 GMT"] {
            let stage = Stage::new(kind, answers(after)).await;
            let error = stage.client().repository().await.unwrap_err();
            let ForgeError::RateLimited { until, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(until.as_deref(), Some("2026-11-21T14:46:39Z"));
            assert_eq!(stage.requests().await.len(), 1);
        }
    }
}

#[tokio::test]
async fn githubs_limits_are_told_from_its_refusals() {
    let used_up = refused(403, "API rate limit exceeded for installation.")
        .insert_header("x-ratelimit-remaining", "0")
        .insert_header("x-ratelimit-reset", "1795269600")
        .insert_header("date", "Sat, 21 Nov 2026 12:00:00 GMT");
    let stage = Stage::new(ForgeKind::Github, vec![used_up]).await;
    let token = Token::Automatic(SecretString::from(SECRET));
    let error = stage
        .client_with(Some(token))
        .repository()
        .await
        .unwrap_err();
    let ForgeError::RateLimited { until, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(until.as_deref(), Some("2026-11-21T14:00:00Z"));
    assert!(error.hint().unwrap().contains("1,000 requests an hour"));

    let secondary =
        refused(403, "You have exceeded a secondary rate limit.").insert_header("retry-after", "0");
    let stage = Stage::new(
        ForgeKind::Github,
        vec![secondary, ResponseTemplate::new(201).set_body_json(ours())],
    )
    .await;
    // It says that it did nothing: that is safe to repeat even for a POST.
    assert!(!stage.client().open(&new()).await.unwrap().existed);
    assert_eq!(stage.paths().await.len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_before_it_is_asked_for_again() {
    for kind in KINDS {
        let nothing = || says(ok(&json!([])));
        let garbage = ResponseTemplate::new(201).set_body_string("{\"number\":");
        let made = || says(ResponseTemplate::new(201).set_body_json(ours()));
        let there = || says(ok(&json!([ours()])));
        let (post, look) = (
            "POST /repos/alice/fleet/pulls",
            "GET /repos/alice/fleet/pulls",
        );
        for first in [
            Reply::HangsUp,
            says(html(502)),
            says(html(200)),
            says(garbage),
            says(ResponseTemplate::new(500)),
        ] {
            // It was carried out.
            let stage = Stage::with(kind, vec![first.clone(), there()]).await;
            let opened = stage.client().open(&new()).await.unwrap();
            assert_eq!((opened.pull.number.0, opened.existed), (9, false));
            assert_eq!(stage.paths().await, [post, look]);

            // It was not.
            let stage = Stage::with(kind, vec![first.clone(), nothing(), made()]).await;
            let opened = stage.client().open(&new()).await.unwrap();
            assert_eq!((opened.pull.number.0, opened.existed), (9, false));
            assert_eq!(stage.paths().await, [post, look, post]);

            // Nor the second time, and that is enough.
            let stage = Stage::with(kind, vec![first.clone(), nothing(), first, nothing()]).await;
            stage.client().open(&new()).await.unwrap_err();
            assert_eq!(stage.paths().await, [post, look, post, look]);
        }

        // It was, but the list lagged.
        let lag = vec![
            Reply::HangsUp,
            nothing(),
            says(exists(kind)),
            nothing(),
            there(),
        ];
        let stage = Stage::with(kind, lag).await;
        let opened = stage.client().open(&new()).await.unwrap();
        assert_eq!((opened.pull.number.0, opened.existed), (9, false));
        assert_eq!(stage.paths().await, [post, look, post, look, look]);
    }
}

fn exists(kind: ForgeKind) -> ResponseTemplate {
    match kind {
        ForgeKind::Github => ResponseTemplate::new(422).set_body_json(json!({
            "message": "Validation Failed",
            "errors": [{
                "resource": "PullRequest",
                "code": "custom",
                "message": "A pull request already exists for alice:auto/flake-update.",
            }],
        })),
        _ => refused(
            409,
            "pull request already exists for these targets [id: 3, issue_id: 9, head_repo_id: 7, base_repo_id: 7, \
             head_branch: auto/flake-update, base_branch: main]",
        ),
    }
}

#[tokio::test]
async fn one_that_exists_is_not_opened() {
    for kind in KINDS {
        let stage = Stage::new(kind, vec![exists(kind), ok(&json!([ours()]))]).await;
        let opened = stage.client().open(&new()).await.unwrap();
        assert_eq!((opened.pull.number.0, opened.existed), (9, true));

        let nothing = || ok(&json!([]));
        let answers = vec![exists(kind), nothing(), nothing(), nothing()];
        let stage = Stage::new(kind, answers).await;
        let error = stage.client().open(&new()).await.unwrap_err();
        let ForgeError::AlreadyExists { number, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(number.is_some(), kind == ForgeKind::Forgejo);
    }
}

#[tokio::test]
async fn edits_send_what_changes() {
    for kind in KINDS {
        // Forgejo's success is 201.
        let answers = [200, 201].map(|status| ResponseTemplate::new(status).set_body_json(ours()));
        let stage = Stage::new(kind, answers.to_vec()).await;
        let client = stage.client();
        let edit = PullRequestEdit {
            title: None,
            body: Some("new".to_owned()),
        };
        client.edit(PrNumber(9), &edit).await.unwrap();
        let edit = PullRequestEdit {
            title: Some("t".to_owned()),
            body: None,
        };
        client.edit(PrNumber(9), &edit).await.unwrap();
        let bodies: Vec<Value> = stage
            .requests()
            .await
            .iter()
            .map(|request| request.body_json().unwrap())
            .collect();
        assert_eq!(bodies, [json!({ "body": "new" }), json!({ "title": "t" })]);
    }
}

#[tokio::test]
async fn a_note_is_written_once() {
    for kind in KINDS {
        let mark = "<!-- note -->";
        let text = format!("{mark}\nheld");
        let other = json!([{ "body": "x" }, null, { "body": null }]);
        let there = json!([{ "body": text }]);
        let more = "<https://x/>; rel=\"next\"";
        let path = "/repos/alice/fleet/issues/9/comments";
        let (get, post) = (format!("GET {path}"), format!("POST {path}"));

        let answers = vec![ok(&other).insert_header("link", more), ok(&there)];
        let stage = Stage::new(kind, answers).await;
        let wrote = stage.client().note_once(PrNumber(9), mark, &text).await;
        assert!(!wrote.unwrap());

        let answers = vec![ok(&other), ResponseTemplate::new(201)];
        let stage = Stage::new(kind, answers).await;
        let wrote = stage.client().note_once(PrNumber(9), mark, &text).await;
        assert!(wrote.unwrap());
        assert_eq!(stage.paths().await, [get.clone(), post.clone()]);
        let body: Value = stage.requests().await[1].body_json().unwrap();
        assert_eq!(body, json!({ "body": text }));

        let answers = vec![says(ok(&other)), Reply::HangsUp, says(ok(&there))];
        let stage = Stage::with(kind, answers).await;
        let wrote = stage.client().note_once(PrNumber(9), mark, &text).await;
        assert!(wrote.unwrap());
        assert_eq!(
            stage.paths().await,
            [get.clone(), post.clone(), get.clone()]
        );

        let answers = vec![
            says(ok(&other)),
            Reply::HangsUp,
            says(ok(&other)),
            Reply::HangsUp,
        ];
        let stage = Stage::with(kind, answers).await;
        let wrote = stage.client().note_once(PrNumber(9), mark, &text).await;
        wrote.unwrap_err();
        assert_eq!(stage.paths().await, [get.clone(), post.clone(), get, post]);
    }
}

#[tokio::test]
async fn branches_are_protected_or_not_or_not_there() {
    for kind in KINDS {
        let stage = Stage::new(
            kind,
            vec![
                ok(&json!({ "name": "x", "protected": true })),
                ok(&json!({ "name": "x", "protected": false })),
                refused(404, "Branch not found"),
                refused(401, "Bad credentials"),
            ],
        )
        .await;
        let client = stage.client();
        let odd = branch("auto/ä#%1");
        assert!(client.is_protected(&odd).await.unwrap());
        assert!(!client.is_protected(&odd).await.unwrap());
        assert!(!client.is_protected(&odd).await.unwrap());
        client.is_protected(&odd).await.unwrap_err();
        assert_eq!(
            stage.seen().await[0],
            "GET /repos/alice/fleet/branches/auto/%C3%A4%23%251"
        );
    }
}

/// What opening a pull request, or asking for the repository, says of one answer.
async fn error_of(
    kind: ForgeKind,
    token: Option<Token>,
    opens: bool,
    answer: ResponseTemplate,
) -> ForgeError {
    let stage = Stage::new(kind, vec![answer]).await;
    let client = stage.client_with(token);
    if opens {
        client.open(&new()).await.unwrap_err()
    } else {
        client.repository().await.unwrap_err()
    }
}

fn given() -> Option<Token> {
    Some(Token::Given(SecretString::from(SECRET)))
}

fn automatic() -> Option<Token> {
    Some(Token::Automatic(SecretString::from(SECRET)))
}

#[tokio::test]
async fn refusals_both_know() {
    for kind in KINDS {
        let unauthorized = refused(401, "Bad credentials");
        for (token, hint) in [
            (None, "FLAKE_HERALD_TOKEN"),
            (automatic(), "its own server only"),
            (given(), "expired"),
        ] {
            let error = error_of(kind, token, false, unauthorized.clone()).await;
            assert!(matches!(error, ForgeError::Unauthorized(_)), "{error}");
            assert!(error.hint().unwrap().contains(hint), "{error}");
        }
        for (token, hint) in [
            (None, "private repository"),
            (automatic(), "its own repository only"),
            (given(), "access"),
        ] {
            let error = error_of(kind, token, false, refused(404, "Not Found")).await;
            assert!(matches!(error, ForgeError::NotFound { .. }), "{error}");
            assert!(error.hint().unwrap().contains(hint), "{error}");
        }
        let empty = error_of(kind, given(), false, ResponseTemplate::new(403)).await;
        assert!(
            matches!(empty, ForgeError::Forbidden { needs: None, .. }),
            "{empty}"
        );
        assert!(empty.to_string().ends_with("/repos/alice/fleet: 403)"));
        for status in [403, 423] {
            let answer = refused(status, "Repository was archived so is read-only.");
            let error = error_of(kind, given(), true, answer).await;
            assert!(matches!(error, ForgeError::Archived(_)), "{error}");
        }
        for status in [200, 403, 404] {
            let error = error_of(kind, given(), false, html(status)).await;
            let ForgeError::NotJson { content_type, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(content_type, "text/html");
            assert!(error.to_string().contains("Bad gateway"), "{error}");
        }
        let error = error_of(kind, given(), false, ok(&json!({ "full_name": 1 }))).await;
        assert!(matches!(error, ForgeError::Unreadable { .. }), "{error}");
        let error = error_of(kind, given(), true, html(413)).await;
        assert!(matches!(error, ForgeError::BodyTooLong(_)), "{error}");
        let error = error_of(kind, given(), true, refused(405, "no")).await;
        assert!(matches!(error, ForgeError::Conflict(_)), "{error}");
        let long = format!("a\u{1b}[31m\n{}", "x".repeat(9999));
        let error = error_of(kind, given(), true, refused(400, &long)).await;
        let text = error.to_string();
        assert!(text.len() < 600 && !text.contains('\n') && !text.contains('\u{1b}'));
    }
}

#[tokio::test]
async fn refusals_of_forgejo() {
    let kind = ForgeKind::Forgejo;
    let scope = "token does not have at least one of required scope(s): [write:repository]";
    let error = error_of(kind, given(), true, refused(403, scope)).await;
    assert!(
        matches!(&error, ForgeError::Forbidden { needs: Some(needs), .. } if needs == "write:repository"),
        "{error}"
    );
    assert_eq!(error.hint().unwrap(), "the token needs write:repository");

    let private = ResponseTemplate::new(404).set_body_json(json!({
        "message": "The target couldn't be found.",
        "url": "https://forge.example/api/swagger",
        "errors": ["Can't read pulls or can't read UnitTypeCode"],
    }));
    let error = error_of(kind, given(), true, private.clone()).await;
    assert!(
        !matches!(error, ForgeError::PrivateNeedsToken(_)),
        "{error}"
    );
    let error = error_of(kind, automatic(), true, private).await;
    assert!(matches!(error, ForgeError::PrivateNeedsToken(_)), "{error}");
    assert!(error.to_string().contains("can't read UnitTypeCode"));
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("FLAKE_HERALD_TOKEN") && hint.contains("write:repository"),
        "{hint}"
    );
    assert!(
        hint.starts_with("Forgejo's automatic token cannot"),
        "{hint}"
    );
    // Of Gitea it is not known.
    let private = ResponseTemplate::new(404).set_body_json(json!({
        "message": "The target couldn't be found.",
        "errors": ["Can't read pulls or can't read UnitTypeCode"],
    }));
    let hint = error_of(ForgeKind::Gitea, automatic(), true, private)
        .await
        .hint()
        .unwrap();
    insta::assert_snapshot!(hint, @"where the repository is private, the job's automatic token may not do (from Gitea 1.26 on the job's `permissions:` and the Actions settings say what it may): give a token of your own in FLAKE_HERALD_TOKEN or with --token-file, with the scope write:repository (write:issue for notes)");

    let same = "There are no changes between the head and the base";
    let error = error_of(kind, given(), true, refused(422, same)).await;
    assert!(matches!(error, ForgeError::NoCommits(_)), "{error}");
    let error = error_of(kind, given(), true, refused(422, "[Title]: Required")).await;
    assert!(matches!(error, ForgeError::Invalid(_)), "{error}");
    assert!(error.to_string().contains("[Title]: Required"));
}

#[tokio::test]
async fn a_branch_missing_on_forgejo_is_told_from_a_repository_missing() {
    let missing = || refused(404, "The target couldn't be found.");
    let there = || ok(&json!({ "name": "x", "protected": false }));
    for (head, base, word) in [
        (missing(), there(), "does not have the branch"),
        (there(), missing(), "does not have the base branch"),
        (missing(), missing(), "finds no such repository"),
    ] {
        // Who is told that the branch is missing asks again: it was pushed a moment ago.
        let answers = [missing(), head, base];
        let stage = Stage::new(
            ForgeKind::Forgejo,
            [answers.clone(), answers.clone(), answers].concat(),
        )
        .await;
        let error = stage.client().open(&new()).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    // Both are there: without a word of why, it is still the automatic token.
    let stage = Stage::new(ForgeKind::Forgejo, vec![missing(), there(), there()]).await;
    let error = stage.client_with(automatic()).open(&new()).await;
    assert!(matches!(error, Err(ForgeError::PrivateNeedsToken(_))));
}

#[tokio::test]
async fn the_automatic_token_opens_nothing_that_is_not_public_on_forgejo() {
    let public = Repository {
        slug: "alice/fleet".parse().unwrap(),
        default_branch: main(),
        archived: false,
        private: false,
        fork: false,
        may_push: Some(true),
        takes_pull_requests: true,
    };
    let private = Repository {
        private: true,
        ..public.clone()
    };
    let mut table = String::new();
    for (kind, token, repository) in [
        (ForgeKind::Forgejo, automatic(), &private),
        (ForgeKind::Forgejo, automatic(), &public),
        (ForgeKind::Forgejo, given(), &private),
        (ForgeKind::Gitea, automatic(), &private),
        (ForgeKind::Github, automatic(), &private),
    ] {
        let stage = Stage::new(kind, Vec::new()).await;
        let said = stage.client_with(token).cannot_open(repository);
        table += &said.map_or_else(|| "-".to_owned(), |error| error.to_string());
        table.push('\n');
    }
    insta::assert_snapshot!(table, @"
    the automatic token cannot open a pull request in this repository (GET /sub/api/v1/repos/alice/fleet: 200, it is not public)
    -
    -
    -
    -
    ");
}

#[tokio::test]
async fn refusals_of_github() {
    let kind = ForgeKind::Github;
    let actions = "GitHub Actions is not permitted to create or approve pull requests.";
    let error = error_of(kind, automatic(), true, refused(403, actions)).await;
    assert!(matches!(error, ForgeError::ActionsMayNotOpen(_)), "{error}");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("Settings → Actions → General")
    );

    for message in [
        "Resource not accessible by integration",
        "Resource not accessible by personal access token",
    ] {
        let answer = refused(403, message)
            .insert_header("x-accepted-github-permissions", "pull_requests=write");
        let error = error_of(kind, given(), true, answer).await;
        assert_eq!(
            error.hint().unwrap(),
            "the token needs pull-requests: write"
        );
    }
    let error = error_of(kind, automatic(), true, ResponseTemplate::new(403)).await;
    assert!(error.hint().unwrap().contains("`permissions:`"));

    let fault = |fault: Value| {
        ResponseTemplate::new(422)
            .set_body_json(json!({ "message": "Validation Failed", "errors": [fault] }))
    };
    let field = |name: &str| json!({ "resource": "PullRequest", "field": name, "code": "invalid" });
    let stage = Stage::new(kind, vec![fault(field("head")); 3]).await;
    let error = stage.client().open(&new()).await.unwrap_err();
    assert!(matches!(error, ForgeError::MissingHead(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("Validation Failed; head invalid")
    );
    let error = error_of(kind, given(), true, fault(field("base"))).await;
    assert!(matches!(error, ForgeError::MissingBase(_)), "{error}");
    let none = json!({ "code": "custom", "message": "No commits between main and x" });
    let error = error_of(kind, given(), true, fault(none)).await;
    assert!(matches!(error, ForgeError::NoCommits(_)), "{error}");
    assert!(error.to_string().contains("No commits between main and x"));
    let long = json!({
        "field": "body", "code": "custom",
        "message": "body is too long (maximum is 65536 characters)",
    });
    let error = error_of(kind, given(), true, fault(long)).await;
    assert!(matches!(error, ForgeError::BodyTooLong(_)), "{error}");
    // Faults may be mere texts.
    let error = error_of(kind, given(), true, fault(json!("odd"))).await;
    assert!(error.to_string().contains("Validation Failed; odd"));
}

#[tokio::test]
async fn github_says_nothing_true_about_what_an_installation_may() {
    let stage = Stage::new(
        ForgeKind::Github,
        vec![
            ok(&repository("alice/fleet")),
            ok(&repository("alice/fleet")),
        ],
    )
    .await;
    let installation = Token::Given(SecretString::from("ghs_x"));
    for token in [automatic(), Some(installation)] {
        let found = stage.client_with(token).repository().await.unwrap();
        assert_eq!(found.may_push, None);
    }
}

#[tokio::test]
async fn servers_that_cannot_be_reached_are_told_apart() {
    for kind in KINDS {
        let stage = Stage::new(kind, Vec::new()).await;
        let port = stage.server.address().port();
        let endpoint = |url: String| Endpoint {
            api_url: url.parse().unwrap(),
            ..stage.endpoint()
        };
        let client = |url| {
            Client::with_limits(endpoint(url), given(), "flake-herald/test", limits()).unwrap()
        };

        // It speaks no TLS.
        let tls = client(format!("https://127.0.0.1:{port}/"));
        let error = tls.repository().await.unwrap_err();
        assert!(matches!(error, ForgeError::Tls { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&format!("https://127.0.0.1:{port}"))
        );

        // Nobody listens.
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let refused = client(format!("http://{free}/"));
        let error = refused.repository().await.unwrap_err();
        assert!(matches!(error, ForgeError::Connect { .. }), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
        assert_eq!(refused.requests(), 3);

        // It never answers.
        let late = ok(&repository("alice/fleet")).set_delay(Duration::from_mins(5));
        let silent = Stage::new(kind, vec![late.clone(), late.clone(), late]).await;
        let impatient = Limits {
            answer: Duration::from_millis(50),
            ..limits()
        };
        let silent = Client::with_limits(silent.endpoint(), given(), "x", impatient).unwrap();
        let error = silent.repository().await.unwrap_err();
        assert!(matches!(error, ForgeError::Timeout { .. }), "{error:?}");
        assert_eq!(silent.requests(), 3);
    }
}

async fn probed(answers: Vec<ResponseTemplate>) -> (Option<(ForgeKind, String)>, Vec<String>) {
    let stage = Stage::new(ForgeKind::Forgejo, answers).await;
    let server: Url = format!("{}/sub/", stage.server.uri()).parse().unwrap();
    let found = probe(&server).await.unwrap();
    let found = found.map(|(kind, api)| (kind, api.as_str().replace(&stage.server.uri(), "")));
    for request in stage.requests().await {
        assert!(!request.headers.contains_key("authorization"));
    }
    (found, stage.paths().await)
}

#[tokio::test]
async fn servers_say_what_they_are() {
    let version = |version: &str| ok(&json!({ "version": version }));
    let nothing = || html(404);
    let api = |kind, path: &str| Some((kind, path.to_owned()));
    let forgejo = api(ForgeKind::Forgejo, "/sub/api/v1");
    let gitea = api(ForgeKind::Gitea, "/sub/api/v1");
    let github = api(ForgeKind::Github, "/sub/api/v3");

    let (found, paths) = probed(vec![version("16.0.1+gitea-1.22.0")]).await;
    assert_eq!(found, forgejo);
    assert_eq!(paths, ["GET /sub/api/forgejo/v1/version"]);
    let hidden = vec![nothing(), version("12.0.0+gitea-1.22.0")];
    assert_eq!(probed(hidden).await.0, forgejo);
    assert_eq!(probed(vec![nothing(), version("1.25.0")]).await.0, gitea);
    let closed = ResponseTemplate::new(403).set_body_json(json!({
        "message": "Only signed in user is allowed to call APIs.",
        "url": "https://forge.example/api/swagger",
    }));
    assert_eq!(probed(vec![nothing(), closed]).await.0, gitea);
    let meta = ok(&json!({ "installed_version": "3.15.0" }));
    assert_eq!(probed(vec![nothing(), nothing(), meta]).await.0, github);
    let private = refused(401, "Must authenticate to access this API.")
        .insert_header("x-github-request-id", "1");
    assert_eq!(probed(vec![nothing(), nothing(), private]).await.0, github);
    let (found, paths) = probed(vec![nothing(), html(200), html(200)]).await;
    assert_eq!((found, paths.len()), (None, 3));
}

#[tokio::test]
async fn githubs_own_hosts_are_not_asked() {
    for (server, api) in [
        ("https://github.com/", "https://api.github.com/"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com/"),
    ] {
        let found = probe(&server.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((found.0, found.1.as_str()), (ForgeKind::Github, api));
    }
    // A name that only looks like it.
    let found = probe(&"http://github.com.localhost:1/".parse().unwrap()).await;
    assert!(
        matches!(found, Err(ForgeError::Connect { .. })),
        "{found:?}"
    );
}
