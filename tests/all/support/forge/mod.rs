//! A stand-in for Forgejo, Gitea and GitHub: real bare repositories behind `git http-backend`, and as much of the
//! APIs as we use, answering as the real servers do and not as our clients would like it.
//!
//! Every request is recorded, compared with the official API description where that is at hand, and can be disturbed
//! before or after it is carried out.

mod checks;
mod forgejo;
mod git;
mod git_http;
mod github;
mod http;
pub(crate) mod model;

use std::io::BufReader;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(crate) use git::git;
pub(crate) use http::{Answer, Request};
pub(crate) use model::{Dialect, Merging, Pull, PullState, State, Token};

use checks::Checks;

/// How often a request that is never answered looks whether anybody still waits.
const HANG_STEP: Duration = Duration::from_millis(20);

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The API.
    Api,
    /// git over HTTP.
    Git,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// What it is for.
    pub(crate) kind: Kind,
    /// The method.
    pub(crate) method: String,
    /// The path and the query, as sent.
    pub(crate) target: String,
    /// The name of its token, where it had one that is known.
    pub(crate) token: Option<String>,
    /// It carried some authorization, known or not.
    pub(crate) authorized: bool,
    /// The body of an API request.
    pub(crate) body: Value,
    /// The status it was answered with, or would have been; 0 before that.
    pub(crate) status: u16,
    /// The answer was sent.
    pub(crate) answered: bool,
}

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing has been done yet.
    Before,
    /// It was carried out, and no answer was sent.
    After,
}

/// What happens after a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The request goes on.
    Continue,
    /// The connection is closed without another byte.
    Close,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// This is answered, and nothing is done.
    Answer(Answer),
    /// The request is carried out, and this is answered.
    DoThenAnswer(Answer),
    /// The connection is closed, and nothing is done.
    Close,
    /// The request is carried out, and the connection is closed.
    DoThenClose,
    /// The request is carried out, and nothing is ever answered.
    DoThenHang,
    /// The request is carried out and answered after this long.
    Delay(Duration),
}

/// Trouble for some requests.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The method; any where it is empty.
    pub(crate) method: &'static str,
    /// What the path and query hold.
    pub(crate) target: String,
    /// How many requests like this pass first.
    pub(crate) skip: usize,
    /// How many are hit then.
    pub(crate) times: usize,
    /// What happens to them.
    pub(crate) trouble: Trouble,
}

impl Fault {
    /// Trouble for the next request of a method whose target holds a text.
    pub(crate) fn next(method: &'static str, target: &str, trouble: Trouble) -> Self {
        Self {
            method,
            target: target.to_owned(),
            skip: 0,
            times: 1,
            trouble,
        }
    }
}

/// The page of a proxy whose server is away.
pub(crate) fn bad_gateway() -> Answer {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>\
                </center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    Answer::text(502, page).typed("text/html")
}

/// The answer of a server that wants to be left alone for a while.
pub(crate) fn too_many(retry_after: &str) -> Answer {
    Answer::text(429, "Too Many Requests\n").with("Retry-After", retry_after)
}

type Hook = Box<dyn FnMut(usize, &Seen, Moment) -> Next + Send>;

/// What the threads of a server share.
struct Shared {
    state: Mutex<State>,
    sub: String,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<Fault>>,
    hook: Mutex<Option<Hook>>,
    checks: Option<Checks>,
    violations: Mutex<Vec<String>>,
    connections: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

/// Holds a lock, also after a thread that held it has panicked: what it left is looked at by the test that fails.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running stand-in; it ends when this is dropped.
pub(crate) struct StandIn {
    shared: Arc<Shared>,
    server: String,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts one on a free port of the loopback interface, with its repositories in a directory.
    pub(crate) fn start(dialect: Dialect, dir: &Path) -> Self {
        Self::start_below(dialect, dir, "")
    }

    /// Starts one whose addresses begin with a path, `/git`.
    pub(crate) fn start_below(dialect: Dialect, dir: &Path, sub: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        let server = format!("http://127.0.0.1:{port}{sub}");
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(dialect, server.clone(), dir)),
            sub: sub.to_owned(),
            seen: Mutex::default(),
            faults: Mutex::default(),
            hook: Mutex::default(),
            checks: Checks::load(dialect),
            violations: Mutex::default(),
            connections: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            shared,
            server,
            port,
            thread: Some(thread),
        }
    }

    /// Returns the port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the server's address.
    pub(crate) fn server_url(&self) -> String {
        self.server.clone()
    }

    /// Returns the API's address.
    pub(crate) fn api_url(&self) -> String {
        let dialect = hold(&self.shared.state).dialect;
        format!("{}{}", self.server, api_path(dialect))
    }

    /// Returns where a repository is cloned from.
    pub(crate) fn git_url(&self, slug: &str) -> String {
        format!("{}/{slug}.git", self.server)
    }

    /// Makes an empty repository and returns where it is on disk.
    pub(crate) fn create_repository(&self, slug: &str, default_branch: &str) -> PathBuf {
        self.state().create_repository(slug, default_branch)
    }

    /// Makes a commit of these files on the default branch, and returns it.
    pub(crate) fn seed(&self, slug: &str, files: &[(&str, &[u8])]) -> String {
        let mut state = self.state();
        let branch = state.repo(slug).default_branch.clone();
        let files: Vec<_> = files
            .iter()
            .map(|&(path, contents)| (path, Some(contents)))
            .collect();
        state.commit_on_branch(slug, &branch, None, &files, "Add the fleet")
    }

    /// Clones a repository over HTTP as a user with a token would; nothing of the token stays in the clone.
    pub(crate) fn clone_to(&self, slug: &str, dir: &Path, token: Option<&str>) {
        let header = token.map(|token| {
            let pair = STANDARD.encode(format!("x-access-token:{token}"));
            format!("http.extraHeader=Authorization: Basic {pair}")
        });
        let url = self.git_url(slug);
        let mut args = Vec::new();
        if let Some(header) = &header {
            args.extend(["-c", header.as_str()]);
        }
        let target = dir.to_str().expect("a path in UTF-8");
        args.extend(["clone", "-q", &url, target]);
        git(Path::new("/"), &args).expect("the repository can be cloned");
    }

    /// Returns everything the forge knows, up to date with its repositories, to read and to change.
    ///
    /// No request is answered while it is held: drop it before the next one.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = hold(&self.shared.state);
        state.notice();
        state
    }

    /// Returns every request so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        hold(&self.shared.seen).clone()
    }

    /// Returns the API requests so far, each as `METHOD TARGET → STATUS`, without the API's own path.
    pub(crate) fn api_log(&self) -> Vec<String> {
        let dialect = hold(&self.shared.state).dialect;
        let api = format!("{}{}", self.shared.sub, api_path(dialect));
        let mut seen = self.requests();
        seen.retain(|seen| seen.kind == Kind::Api);
        seen.iter()
            .map(|seen| {
                let target = seen.target.strip_prefix(&api).unwrap_or(&seen.target);
                format!("{} {target} → {}", seen.method, seen.status)
            })
            .collect()
    }

    /// Returns how many pushes were carried out, also those that moved nothing.
    pub(crate) fn pushes(&self) -> usize {
        let mut seen = self.requests();
        seen.retain(|seen| seen.method == "POST" && seen.target.ends_with("/git-receive-pack"));
        seen.len()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        hold(&self.shared.seen).clear();
    }

    /// Adds trouble; the oldest that fits a request hits it.
    pub(crate) fn fault(&self, fault: Fault) {
        hold(&self.shared.faults).push(fault);
    }

    /// Takes away the trouble that is left.
    pub(crate) fn clear_faults(&self) {
        hold(&self.shared.faults).clear();
    }

    /// Calls a function before each request is carried out and before it is answered, with its number, from 1.
    ///
    /// It runs on the server's threads and must not use the stand-in.
    pub(crate) fn on_request(&self, hook: Hook) {
        *hold(&self.shared.hook) = Some(hook);
    }

    /// Returns what did not fit the API's description so far, and forgets it. What nobody asks for fails the test.
    pub(crate) fn violations(&self) -> Vec<String> {
        std::mem::take(&mut *hold(&self.shared.violations))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        for connection in hold(&self.shared.connections).drain(..) {
            // Most are closed already.
            drop(connection.shutdown(Shutdown::Both));
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        let violations = self.violations();
        assert!(
            violations.is_empty() || thread::panicking(),
            "requests that do not fit the API's description:\n{}",
            violations.join("\n")
        );
    }
}

fn api_path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Forgejo | Dialect::Gitea => "/api/v1",
        Dialect::Github => "/api/v3",
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(other) = stream.try_clone() {
            hold(&shared.connections).push(other);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(&shared, stream));
    }
}

/// Answers the requests of one connection.
fn serve(shared: &Shared, stream: TcpStream) {
    // Small answers must not wait for more.
    drop(stream.set_nodelay(true));
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = http::read(&mut stream) {
        match attend(shared, &request, stream.get_ref()) {
            Some(answer) => {
                let head = request.method == "HEAD";
                let last = request.header("connection") == Some("close");
                if answer.write(stream.get_mut(), head).is_err() || last {
                    break;
                }
            }
            None => break,
        }
    }
    drop(stream.get_ref().shutdown(Shutdown::Both));
}

/// Carries one request out, with all that may happen to it; none closes the connection.
fn attend(shared: &Shared, request: &Request, stream: &TcpStream) -> Option<Answer> {
    let path = request.path.strip_prefix(shared.sub.as_str());
    let kind = if path.is_some_and(|path| path.starts_with("/api/")) {
        Kind::Api
    } else {
        Kind::Git
    };
    let body = match kind {
        Kind::Api => serde_json::from_slice(&request.body).unwrap_or_default(),
        Kind::Git => Value::Null,
    };
    let credential = credential(request);
    let token = hold(&shared.state)
        .tokens
        .iter()
        .find(|token| credential.fits(token))
        .map(|token| token.name.clone());
    let mut entry = Seen {
        kind,
        method: request.method.clone(),
        target: request.target(),
        token,
        authorized: credential != Credential::None,
        body,
        status: 0,
        answered: false,
    };
    let index = {
        let mut seen = hold(&shared.seen);
        seen.push(entry.clone());
        seen.len() - 1
    };
    let note = |change: &dyn Fn(&mut Seen)| {
        // `forget` may have been called meanwhile.
        if let Some(seen) = hold(&shared.seen).get_mut(index) {
            change(seen);
        }
    };
    if ask(shared, index + 1, &entry, Moment::Before) == Next::Close {
        return None;
    }
    let trouble = trouble(shared, &entry);
    match &trouble {
        Some(Trouble::Close) => return None,
        Some(Trouble::Answer(answer)) => {
            note(&|seen| (seen.status, seen.answered) = (answer.status, true));
            return Some(answer.clone());
        }
        Some(Trouble::Delay(delay)) => thread::sleep(*delay),
        Some(Trouble::DoThenAnswer(_) | Trouble::DoThenClose | Trouble::DoThenHang) | None => {}
    }
    let work = AssertUnwindSafe(|| route(shared, kind, request, &credential));
    let answer = panic::catch_unwind(work).unwrap_or_else(|_| {
        let text = format!(
            "stand-in: panicked: {} {}",
            request.method,
            request.target()
        );
        hold(&shared.violations).push(text.clone());
        Answer::text(500, &text)
    });
    entry.status = answer.status;
    note(&|seen| seen.status = answer.status);
    if ask(shared, index + 1, &entry, Moment::After) == Next::Close {
        return None;
    }
    let answer = match trouble {
        Some(Trouble::DoThenClose) => return None,
        Some(Trouble::DoThenHang) => {
            hang(shared, stream);
            return None;
        }
        Some(Trouble::DoThenAnswer(other)) => other,
        _ => answer,
    };
    note(&|seen| seen.answered = true);
    Some(answer)
}

fn ask(shared: &Shared, count: usize, seen: &Seen, moment: Moment) -> Next {
    match &mut *hold(&shared.hook) {
        Some(hook) => hook(count, seen, moment),
        None => Next::Continue,
    }
}

/// Takes the trouble that is meant for a request.
fn trouble(shared: &Shared, seen: &Seen) -> Option<Trouble> {
    let mut faults = hold(&shared.faults);
    for fault in faults.iter_mut() {
        let fits = (fault.method.is_empty() || fault.method == seen.method)
            && seen.target.contains(&fault.target)
            && fault.times > 0;
        if !fits {
            continue;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        fault.times -= 1;
        return Some(fault.trouble.clone());
    }
    None
}

/// Waits until the other side has gone, or the stand-in ends.
fn hang(shared: &Shared, stream: &TcpStream) {
    drop(stream.set_read_timeout(Some(HANG_STEP)));
    while !shared.stopped.load(Ordering::SeqCst) {
        match stream.peek(&mut [0]) {
            Ok(0) => return,
            // It sends something: it waits all the same.
            Ok(_) => thread::sleep(HANG_STEP),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => return,
        }
    }
}

/// What a request brings to say who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing.
    None,
    /// `Authorization: Bearer` or `token`.
    Token(String),
    /// `Authorization: Basic`.
    Basic(String, String),
    /// Something that cannot be read.
    Odd,
}

impl Credential {
    /// Says whether it is this token. Forgejo takes it for the user name too, where the password says nothing.
    pub(crate) fn fits(&self, token: &Token) -> bool {
        match self {
            Self::Token(secret) => *secret == token.secret,
            Self::Basic(user, password) => {
                let silent = password.is_empty() || password == "x-oauth-basic";
                *password == token.secret || (silent && *user == token.secret)
            }
            Self::None | Self::Odd => false,
        }
    }
}

fn credential(request: &Request) -> Credential {
    let Some(header) = request.header("authorization") else {
        return Credential::None;
    };
    let (kind, rest) = header.split_once(' ').unwrap_or((header, ""));
    match kind.to_lowercase().as_str() {
        "bearer" | "token" => Credential::Token(rest.trim().to_owned()),
        "basic" => STANDARD
            .decode(rest.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|pair| {
                let (user, password) = pair.split_once(':')?;
                Some(Credential::Basic(user.to_owned(), password.to_owned()))
            })
            .unwrap_or(Credential::Odd),
        _ => Credential::Odd,
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// Nobody in particular.
    Anonymous,
    /// The owner of a token.
    Known(Token),
    /// Somebody with a token that is none.
    Wrong,
}

impl Asker {
    /// Returns the token.
    pub(crate) fn token(&self) -> Option<&Token> {
        match self {
            Self::Known(token) => Some(token),
            Self::Anonymous | Self::Wrong => None,
        }
    }
}

/// An API request, taken apart.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The path after the API's own, decoded, in parts.
    pub(crate) parts: Vec<String>,
    /// The path after the API's own, as sent.
    pub(crate) path: &'a str,
    /// The request itself.
    pub(crate) request: &'a Request,
    /// The query.
    pub(crate) query: Vec<(String, String)>,
    /// The body; null where there is none.
    pub(crate) body: Value,
    /// Who asks.
    pub(crate) asker: Asker,
}

impl Call<'_> {
    /// Returns a value of the query.
    pub(crate) fn arg(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// Returns a number of the query.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.arg(name)?.parse().ok()
    }

    /// Returns a text of the body.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    /// Returns a list of texts of the body.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let list = self.body.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|value| Some(value.as_str()?.to_owned()))
            .collect()
    }
}

fn route(shared: &Shared, kind: Kind, request: &Request, credential: &Credential) -> Answer {
    let Some(path) = request.path.strip_prefix(shared.sub.as_str()) else {
        return not_implemented(request);
    };
    let mut state = hold(&shared.state);
    state.notice();
    let known = state.tokens.iter().find(|token| credential.fits(token));
    let asker = match (credential, known) {
        (Credential::None, _) => Asker::Anonymous,
        (_, Some(token)) if !token.expired => Asker::Known(token.clone()),
        (_, _) => Asker::Wrong,
    };
    if kind == Kind::Git {
        let plan = git_http::plan(&mut state, request, path, credential, &asker);
        // Other requests go on while git works.
        drop(state);
        let answer = match plan {
            Ok(plan) => git_http::run(&plan, request),
            Err(answer) => return answer,
        };
        hold(&shared.state).notice();
        return answer;
    }
    let dialect = state.dialect;
    if path == "/api/forgejo/v1/version" && dialect == Dialect::Forgejo {
        return Answer::json(
            200,
            &serde_json::json!({"version": forgejo::FORGEJO_VERSION}),
        );
    }
    if path == "/api/graphql" && dialect == Dialect::Github {
        let call = call(request, "/graphql", asker);
        return github::graphql(&mut state, &call);
    }
    let Some(below) = path.strip_prefix(api_path(dialect)) else {
        // What no API answers, the web pages do: with their own page for "not found".
        let page = "<!DOCTYPE html><html><head><title>Page Not Found</title></head><body>404</body></html>";
        return Answer::text(404, page).typed("text/html; charset=utf-8");
    };
    let call = call(request, below, asker);
    if let Some(checks) = &shared.checks {
        let found = checks.compare(&call);
        hold(&shared.violations).extend(found);
    }
    let answer = match dialect {
        Dialect::Forgejo | Dialect::Gitea => forgejo::answer(&mut state, &call),
        Dialect::Github => github::answer(&mut state, &call),
    };
    answer.unwrap_or_else(|| not_implemented(request))
}

fn call<'a>(request: &'a Request, below: &'a str, asker: Asker) -> Call<'a> {
    Call {
        method: &request.method,
        parts: below
            .split('/')
            .filter(|part| !part.is_empty())
            .map(http::decode)
            .collect(),
        path: below,
        request,
        query: request.pairs(),
        body: serde_json::from_slice(&request.body).unwrap_or_default(),
        asker,
    }
}

fn not_implemented(request: &Request) -> Answer {
    let text = format!(
        "stand-in: not implemented {} {}",
        request.method, request.path
    );
    Answer::text(500, &text)
}

/// Cuts one page out of a list, and returns it with the `Link` header that leads to the others.
pub(crate) fn page<T: Clone>(
    all: &[T],
    page: usize,
    size: usize,
    address: &str,
    query: &[(String, String)],
) -> (Vec<T>, Option<String>) {
    let pages = all.len().div_ceil(size).max(1);
    let page = page.max(1);
    let entries = all
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .cloned()
        .collect();
    let link = |number: usize, rel: &str| {
        let mut pairs: Vec<String> = query
            .iter()
            .filter(|(name, _)| name != "page")
            .map(|(name, value)| {
                format!("{name}={}", value.replace('/', "%2F").replace(':', "%3A"))
            })
            .collect();
        pairs.push(format!("page={number}"));
        format!("<{address}?{}>; rel=\"{rel}\"", pairs.join("&"))
    };
    let mut links = Vec::new();
    if page < pages {
        links.extend([link(page + 1, "next"), link(pages, "last")]);
    }
    if page > 1 {
        links.extend([link(1, "first"), link(page - 1, "prev")]);
    }
    (entries, (!links.is_empty()).then(|| links.join(",")))
}
