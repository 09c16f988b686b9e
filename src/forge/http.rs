//! One HTTP stack for both dialects: what is sent where, what is tried again, what an answer may look like.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::answer::{self, Answer, Refusal, one_line};
use super::error::{Call, ForgeError, Held};
use super::types::ForgeKind;
use super::verbs::Token;
use crate::git::RepoSlug;

/// What stands in a path as it is. A branch's slashes do too: every forge takes them, not every proxy their `%2F`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 16 << 20;

/// How often a request is made at most.
const TRIES: u32 = 3;

/// How many redirects of one repository are followed.
const HOPS: u32 = 5;

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For a whole answer.
    pub answer: Duration,
    /// Before the second try; twice that before the third.
    pub pause: Duration,
    /// At most, where a server says when to come again.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            answer: Duration::from_mins(1),
            pause: Duration::from_secs(1),
            wait: Duration::from_mins(1),
        }
    }
}

/// What is done to a thing on a forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Patch,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
        }
    }

    /// Returns whether doing it twice is doing it once. A PATCH of ours says how things are to be.
    fn is_repeatable(self) -> bool {
        self != Self::Post
    }
}

/// What carries the requests.
enum Wire {
    /// Reqwest itself, with the header that holds the token.
    Plain {
        client: Client,
        authorization: Option<HeaderValue>,
    },
    /// Octocrab over the same reqwest. It is made in its first use: it needs the runtime.
    Octocrab {
        client: Client,
        token: Option<SecretString>,
        made: OnceCell<Octocrab>,
    },
}

/// How a dialect's refusals are understood.
pub(super) type Explain = fn(Refusal) -> ForgeError;

/// The connection to one repository of one forge.
pub(super) struct Http {
    kind: ForgeKind,
    api: Url,
    slug: Mutex<RepoSlug>,
    wire: Wire,
    token: Option<SecretString>,
    held: Held,
    explain: Explain,
    limits: Limits,
    requests: AtomicU32,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("kind", &self.kind)
            .field("api", &self.api.as_str())
            .field("slug", &self.slug())
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// Makes the client both dialects share.
fn client(agent: &str, url: &Url, limits: &Limits) -> Result<Client, ForgeError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever was faster installed one as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let mut builder = Client::builder()
        .user_agent(agent)
        .redirect(Policy::none())
        .connect_timeout(limits.connect);
    if url.scheme() == "http" {
        // A container without certificates can still talk to a server that has none.
        builder = builder.tls_certs_only([]);
    }
    builder
        .build()
        // The certificates are what it may fail to find.
        .map_err(|error| ForgeError::Tls {
            origin: origin(url),
            words: innermost(&error),
        })
}

impl Http {
    /// Makes the connection; nothing is sent yet.
    pub(super) fn new(
        kind: ForgeKind,
        mut api: Url,
        slug: RepoSlug,
        token: Option<Token>,
        agent: &str,
        explain: Explain,
        limits: Limits,
    ) -> Result<Self, ForgeError> {
        if !matches!(api.scheme(), "http" | "https") || api.host_str().is_none() {
            return Err(ForgeError::Setup(format!(
                "{}:… is no address of an API",
                api.scheme()
            )));
        }
        if !api.username().is_empty() || api.password().is_some() {
            return Err(ForgeError::Setup(
                "an API's address holds no user name or password".to_owned(),
            ));
        }
        api.set_query(None);
        api.set_fragment(None);
        let client = client(agent, &api, &limits)?;
        let (held, token) = match token {
            None => (Held::Nothing, None),
            Some(Token::Automatic(token)) => (Held::Automatic, Some(token)),
            Some(Token::Given(token)) => (Held::Given, Some(token)),
        };
        let authorization = match &token {
            None => None,
            Some(token) => Some(bearer(token)?),
        };
        let wire = match kind {
            ForgeKind::Github => Wire::Octocrab {
                client,
                token: token.clone(),
                made: OnceCell::new(),
            },
            ForgeKind::Forgejo | ForgeKind::Gitea => Wire::Plain {
                client,
                authorization,
            },
        };
        Ok(Self {
            kind,
            api,
            slug: Mutex::new(slug),
            wire,
            token,
            held,
            explain,
            limits,
            requests: AtomicU32::new(0),
        })
    }

    /// Makes a connection without a token and without a repository, for questions to an unknown server.
    pub(super) fn anonymous(server: &Url, agent: &str, limits: Limits) -> Result<Self, ForgeError> {
        Self::new(
            ForgeKind::Forgejo,
            server.clone(),
            RepoSlug {
                owner: String::new(),
                name: String::new(),
            },
            None,
            agent,
            |refusal| ForgeError::Invalid(refusal.call),
            limits,
        )
    }

    /// Returns the repository's name, as far as it is known by now.
    pub(super) fn slug(&self) -> RepoSlug {
        self.slug
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns how many requests were sent.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns what the forge runs.
    pub(super) fn kind(&self) -> ForgeKind {
        self.kind
    }

    /// Returns whose token is sent.
    pub(super) fn held(&self) -> Held {
        self.held
    }

    /// Returns whether the token, if any, begins like this.
    pub(super) fn token_begins_with(&self, prefix: &str) -> bool {
        self.token
            .as_ref()
            .is_some_and(|token| token.expose_secret().starts_with(prefix))
    }

    /// Waits as before another try.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(self.limits.pause).await;
    }

    /// Asks for the repository, wherever it lives by now, and remembers its name.
    pub(super) async fn repository(&self) -> Result<Answer, ForgeError> {
        #[derive(Deserialize)]
        struct Named {
            full_name: String,
        }
        let mut url = self.url("", &[])?;
        for _ in 0..HOPS {
            let answer = self.exchange(Method::Get, &url, None).await?;
            if let Some(target) = self.redirect(&answer, &url)? {
                url = target;
                continue;
            }
            let answer = self.accepted(answer)?;
            let named: Named = answer.json()?;
            let slug = named
                .full_name
                .parse()
                .map_err(|error| answer.unreadable(&error))?;
            *self.slug.lock().unwrap_or_else(PoisonError::into_inner) = slug;
            return Ok(answer);
        }
        Err(self.astray(Method::Get, &url, &url))
    }

    /// Does something to what is under the repository; `path` begins with a slash. A repository that moved is
    /// looked up, and asked once more under its new name: reqwest would make a GET of a POST.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, ForgeError> {
        let before = self.slug();
        let url = self.url(path, query)?;
        let answer = self.exchange(method, &url, body).await?;
        let Some(target) = self.redirect(&answer, &url)? else {
            return self.accepted(answer);
        };
        self.repository().await?;
        if self.slug() == before {
            return Err(self.astray(method, &url, &target));
        }
        let url = self.url(path, query)?;
        let answer = self.exchange(method, &url, body).await?;
        match self.redirect(&answer, &url)? {
            Some(target) => Err(self.astray(method, &url, &target)),
            None => self.accepted(answer),
        }
    }

    pub(super) fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, ForgeError> {
        let slug = self.slug();
        let whole = format!(
            "{}/repos/{}/{}{path}",
            self.api.as_str().trim_end_matches('/'),
            encoded(&slug.owner),
            encoded(&slug.name),
        );
        let mut url = Url::parse(&whole)
            .map_err(|error| ForgeError::Setup(format!("{}: {error}", self.api)))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Returns where the answer points, if it is a redirect.
    fn redirect(&self, answer: &Answer, url: &Url) -> Result<Option<Url>, ForgeError> {
        if !matches!(answer.call.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let target = answer
            .headers
            .get("location")
            .and_then(|location| location.to_str().ok())
            .and_then(|location| url.join(location).ok());
        let Some(target) = target else {
            return Err(answer.unreadable(&"a redirect that points nowhere"));
        };
        if target.origin() == self.api.origin() {
            Ok(Some(target))
        } else {
            Err(ForgeError::RedirectElsewhere {
                method: answer.call.method,
                path: answer.call.path.clone(),
                from: origin(url),
                to: origin(&target),
            })
        }
    }

    fn astray(&self, method: Method, from: &Url, to: &Url) -> ForgeError {
        let shown = |url: &Url| format!("{}{}", origin(&self.api), url.path());
        ForgeError::RedirectElsewhere {
            method: method.as_str(),
            path: from.path().to_owned(),
            from: shown(from),
            to: shown(to),
        }
    }

    /// Returns a good answer, and the dialect's reading of any other one.
    fn accepted(&self, answer: Answer) -> Result<Answer, ForgeError> {
        let status = answer.call.status;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        if let Some(limited) = answer.limited() {
            return Err(ForgeError::RateLimited {
                call: answer.call,
                until: limited.until,
            });
        }
        if status == 401 {
            return Err(ForgeError::Unauthorized(answer.call));
        }
        if status >= 500 {
            return Err(match answer.comes_back() {
                Some(wait) if wait > self.limits.wait => ForgeError::RateLimited {
                    until: answer.until(wait),
                    call: answer.call,
                },
                _ => ForgeError::Unavailable(answer.call),
            });
        }
        if status == 413 && !answer.is_json() {
            return Err(ForgeError::BodyTooLong(answer.call));
        }
        if !answer.body.is_empty() && !answer.is_json() {
            return Err(answer.not_json());
        }
        Err((self.explain)(answer.into_refusal()))
    }

    /// Sends a request until there is an answer worth having: whatever its status, redirects included.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
    ) -> Result<Answer, ForgeError> {
        let mut tries = 1;
        loop {
            let result = self.once(method, url, body).await;
            let backoff = self.limits.pause * tries;
            let wait = match &result {
                Ok(answer) => {
                    if let Some(limited) = answer.limited() {
                        // Refused, not carried out: that goes for a POST too.
                        let unsaid = match self.kind {
                            // Its guide asks for a minute at least.
                            ForgeKind::Github => self.limits.wait,
                            ForgeKind::Forgejo | ForgeKind::Gitea => backoff,
                        };
                        limited.wait.or(limited.until.is_none().then_some(unsaid))
                    } else if method.is_repeatable() && answer.is_passing() {
                        Some(answer.comes_back().unwrap_or(backoff))
                    } else {
                        None
                    }
                }
                Err(error) if method.is_repeatable() && error.is_passing() => Some(backoff),
                Err(_) => None,
            };
            match wait {
                Some(wait) if tries < TRIES && wait <= self.limits.wait => {
                    tracing::debug!("try {} comes in {} s", tries + 1, wait.as_secs_f32());
                    tokio::time::sleep(wait).await;
                    tries += 1;
                }
                _ => return result,
            }
        }
    }

    /// Sends a request once, and logs that. A probe has no second try.
    pub(super) async fn once(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
    ) -> Result<Answer, ForgeError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let sent = Box::pin(self.send(method, url, body));
        let result = match tokio::time::timeout(self.limits.answer, sent).await {
            Ok(result) => result,
            Err(_) => Err(ForgeError::Timeout {
                method: method.as_str(),
                path: url.path().to_owned(),
                limit: self.limits.answer,
            }),
        };
        let ms = started.elapsed().as_millis();
        let (method, path) = (method.as_str(), url.path());
        match &result {
            Ok(answer) => {
                tracing::debug!("{method} {path}: {} in {ms} ms", answer.call.status);
            }
            Err(_) => tracing::debug!("{method} {path}: no answer in {ms} ms"),
        }
        result
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
    ) -> Result<Answer, ForgeError> {
        let failed =
            |error: &(dyn StdError + 'static)| wire_error(error, method, url, &self.limits);
        let mut response = match &self.wire {
            Wire::Plain {
                client,
                authorization,
            } => {
                let mut request = match method {
                    Method::Get => client.get(url.clone()),
                    Method::Post => client.post(url.clone()),
                    Method::Patch => client.patch(url.clone()),
                }
                .header(ACCEPT, "application/json");
                // Only ever called with the API's own origin; the token must not depend on that.
                if let Some(value) = authorization
                    && url.origin() == self.api.origin()
                {
                    request = request.header(AUTHORIZATION, value.clone());
                }
                if let Some(body) = body {
                    request = request.json(body);
                }
                request.send().await.map_err(|error| failed(&error))?
            }
            Wire::Octocrab {
                client,
                token,
                made,
            } => {
                let github = made
                    .get_or_try_init(|| async { octocrab(&self.api, client, token.as_ref()) })
                    .await?;
                // The whole address: octocrab joins a path to its base by comparing beginnings.
                let answered = match method {
                    Method::Get => github._get(url.as_str()).await,
                    Method::Post => github._post(url.as_str(), body).await,
                    Method::Patch => github._patch(url.as_str(), body).await,
                };
                let answered = answered.map_err(|error| failed(&error))?;
                Response::from(answered.map(reqwest::Body::wrap))
            }
        };
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if bytes.len() + chunk.len() > LONGEST_ANSWER {
                return Err(ForgeError::Broken {
                    method: method.as_str(),
                    path: url.path().to_owned(),
                    words: format!("it is longer than {} MiB", LONGEST_ANSWER >> 20),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        let words = self.words(status, &bytes);
        Ok(Answer {
            call: Call {
                method: method.as_str(),
                path: url.path().to_owned(),
                status,
                words,
                held: self.held,
                kind: self.kind,
            },
            headers,
            body: bytes,
        })
    }

    /// Returns what a server says, without the token that it may repeat.
    fn words(&self, status: u16, body: &[u8]) -> String {
        let said = answer::words(status, body);
        match &self.token {
            Some(token) if !token.expose_secret().is_empty() => {
                one_line(&said.replace(token.expose_secret(), "***"))
            }
            _ => one_line(&said),
        }
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, ForgeError> {
    let text = token.expose_secret();
    let bad = || {
        ForgeError::Setup(
            "the token is empty or holds spaces or characters that no header can carry".to_owned(),
        )
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {text}")).or(Err(bad()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn octocrab(
    api: &Url,
    client: &Client,
    token: Option<&SecretString>,
) -> Result<Octocrab, ForgeError> {
    let failed = |error: octocrab::Error| ForgeError::Setup(innermost(&error));
    let mut builder = Octocrab::builder()
        .base_uri(api.as_str())
        .map_err(failed)?
        .upload_uri(api.as_str())
        .map_err(failed)?
        // Its own retries repeat a POST too.
        .add_retry_config(RetryConfig::None)
        // It calls itself `octocrab`; a user agent of ours would be a second one.
        .add_header(ACCEPT, "application/vnd.github+json".to_owned());
    if let Some(token) = token {
        builder = builder.personal_token(token.clone());
    }
    builder.build_with_reqwest(client.clone()).map_err(failed)
}

/// Encodes a name, or several with slashes between, as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Returns every error below one, itself included. What an I/O error wraps is not its source; it is looked into.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut found = Vec::new();
    let mut next: Option<&'a (dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        found.push(error);
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    found
}

/// Returns the words of the first cause. The errors above it repeat the address, with its query.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    one_line(
        &causes(error)
            .last()
            .map_or_else(String::new, ToString::to_string),
    )
}

fn wire_error(
    error: &(dyn StdError + 'static),
    method: Method,
    url: &Url,
    limits: &Limits,
) -> ForgeError {
    let causes = causes(error);
    let words = innermost(error);
    // What ends the connection instead of speaking TLS is told by rustls's user, not by rustls.
    if causes.iter().any(|cause| cause.is::<rustls::Error>()) || words.starts_with("tls handshake")
    {
        return ForgeError::Tls {
            origin: origin(url),
            words,
        };
    }
    let reqwest = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<reqwest::Error>());
    match reqwest {
        Some(error) if error.is_connect() && error.is_timeout() => ForgeError::Connect {
            origin: origin(url),
            words: format!("nobody answered within {} s", limits.connect.as_secs_f32()),
        },
        Some(error) if error.is_connect() => ForgeError::Connect {
            origin: origin(url),
            words,
        },
        Some(error) if error.is_timeout() => ForgeError::Timeout {
            method: method.as_str(),
            path: url.path().to_owned(),
            limit: limits.answer,
        },
        Some(_) => ForgeError::Broken {
            method: method.as_str(),
            path: url.path().to_owned(),
            words,
        },
        None => ForgeError::Setup(words),
    }
}
