//! Why a server, or git itself, refused: read from what git prints, which is all there is.
//!
//! Text that is not known keeps its own words and is [`Why::Other`]: a guess would send the reader the wrong way.

use std::fmt;

/// How many lines of git's words are passed on.
const LINES: usize = 3;

/// How long a line of them may be, in characters.
const LINE_SHOWN: usize = 300;

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The branch is not where the lease says; somebody pushed meanwhile.
    LeaseLost,
    /// A rule of the server protects the branch.
    Protected,
    /// The push holds workflow files that the token may not change.
    Workflows,
    /// A hook of the server declined.
    Hook,
    /// The SSH key may only read.
    ReadOnlyKey,
    /// The repository takes no changes: it is archived, or a mirror.
    Archived,
    /// Whoever we are may not do this.
    NoRights,
    /// The server does not know who we are.
    BadCredentials,
    /// The SSH server takes none of the keys.
    NoKey,
    /// The SSH server's key is not known, or another one.
    HostKey,
    /// There is no such repository, or it is hidden.
    NotFound,
    /// There is no such branch or commit.
    NoSuchRef,
    /// The server takes no more than a certain size.
    TooBig,
    /// A proxy in front of the server wants to know the length beforehand.
    Chunked,
    /// TLS could not be trusted.
    Certificate,
    /// No TLS came about.
    Tls,
    /// Git does not trust a directory of another user.
    Owner,
    /// Git does not know an option that we need.
    OldGit,
    /// The server wants to be left alone for a while.
    TooMany,
    /// The server, or the proxy in front of it, cannot answer now: worth another try.
    OutOfOrder,
    /// The server was not reached, or broke off: worth another try.
    Network,
    /// Anything else, in git's words.
    Other,
}

impl Why {
    /// Says it in a few words; none where git's own have to do.
    fn phrase(self) -> Option<&'static str> {
        Some(match self {
            Self::LeaseLost => "the branch was changed by somebody else meanwhile",
            Self::Protected => "the branch is protected",
            Self::Workflows => "the token may not change workflows",
            Self::Hook => "a hook of the server declined",
            Self::ReadOnlyKey => "the SSH key may only read",
            Self::Archived => "the repository takes no changes",
            Self::NoRights => "not allowed",
            Self::BadCredentials => "the login was not accepted",
            Self::NoKey => "the SSH server takes none of the keys here",
            Self::HostKey => "the SSH server's key is not trusted",
            Self::NotFound => "no such repository",
            Self::NoSuchRef => "no such branch or commit",
            Self::TooBig => "the server takes no push of this size",
            Self::Chunked => "the server wants the length of a push beforehand",
            Self::Certificate => "the server's certificate is not trusted",
            Self::Tls => "no TLS connection comes about",
            Self::Owner => "the repository belongs to another user",
            Self::OldGit => "git is too old",
            Self::TooMany => "the server's limit of requests is used up",
            Self::OutOfOrder => "the server is out of order",
            Self::Network => "the server was not reached",
            Self::Other => return None,
        })
    }

    fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::LeaseLost => "nothing was overwritten; run again to start from what is there now",
            Self::Protected => {
                "choose a branch that no rule protects with `--branch`, or let the bot past the rule"
            }
            Self::Workflows => {
                "the branch starts from a commit whose workflows the server does not have yet; give the token the right to change workflows (GitHub: scope `workflow`), or wait until the base is pushed"
            }
            Self::Hook => "the words are the hook's; ask who runs the server",
            Self::ReadOnlyKey => "give the deploy key write access in the repository's settings",
            Self::Archived => "unarchive the repository, or stop the workflow",
            Self::NoRights => {
                "the token or key needs write access: GitHub `permissions: contents: write`, Forgejo and Gitea scope `write:repository`"
            }
            Self::BadCredentials => {
                "check that the token is not expired and belongs to this server"
            }
            Self::NoKey => {
                "is the private key in the job (in a workflow, checkout's `ssh-key`), and its public half a deploy key with write access?"
            }
            Self::HostKey => {
                "add the server's key to known_hosts after checking it: `ssh-keyscan HOST >> ~/.ssh/known_hosts`"
            }
            Self::NotFound => {
                "check the remote's URL; servers also say this when the token may not see the repository"
            }
            Self::NoSuchRef => "it may have been deleted meanwhile; run again",
            Self::TooBig => "raise the limit of the server, or of the proxy in front of it",
            Self::Chunked => {
                "the proxy in front of the server takes no chunked requests; `git config http.postBuffer 52428800` avoids them"
            }
            Self::Certificate => {
                "give git the authority that signed it: `git config http.sslCAInfo FILE`, or GIT_SSL_CAINFO"
            }
            Self::Tls => {
                "does the port speak TLS, and a version of it that git knows? See the remote's URL in `git remote -v`"
            }
            Self::Owner => "if you trust it: `git config --global --add safe.directory DIRECTORY`",
            Self::OldGit => "publishing needs git 2.29 or later",
            Self::TooMany | Self::OutOfOrder => "run again later",
            Self::Network => "run again later; a proxy is set by https_proxy",
            Self::Other => return None,
        })
    }
}

/// Words, all of which a line holds in any case, and what they mean. The first row that fits any line wins: what a server says
/// of its reasons comes before what git makes of it.
const TABLE: &[(&[&str], Why)] = &[
    // Git on either side. What races the server is told from what stands in the way for good.
    (&["(stale info)"], Why::LeaseLost),
    (&["[rejected] (fetch first)"], Why::LeaseLost),
    (
        &["[rejected] (remote ref updated since checkout)"],
        Why::LeaseLost,
    ),
    (&["(reference already exists)"], Why::LeaseLost),
    (&["(incorrect old value provided)"], Why::LeaseLost),
    (&["cannot lock ref", "but expected"], Why::LeaseLost),
    (
        &["cannot lock ref", "reference already exists"],
        Why::LeaseLost,
    ),
    (
        &["cannot lock ref", "unable to resolve reference"],
        Why::LeaseLost,
    ),
    // GitHub: a token without `workflow`, an app without `workflows`.
    (&["refusing to allow", "workflow"], Why::Workflows),
    (&["archived so it is read-only"], Why::Archived),
    (&["repository is archived"], Why::Archived),
    (&["repo is archived"], Why::Archived),
    (&["mirror repository is read-only"], Why::Archived),
    (&["marked as read only"], Why::ReadOnlyKey),
    (&["deploy key", "not authorized to write"], Why::ReadOnlyKey),
    (&["denied to deploy key"], Why::ReadOnlyKey),
    // GitHub's numbers, then Forgejo's and Gitea's sentences, then git's own switches (receive.deny…).
    (&["gh006"], Why::Protected),
    (&["gh013"], Why::Protected),
    (&["protected branch"], Why::Protected),
    (&["repository rule violations"], Why::Protected),
    (&["branch", "is protected from"], Why::Protected),
    (
        &["is the default branch and cannot be deleted"],
        Why::Protected,
    ),
    (&["denying non-fast-forward"], Why::Protected),
    (&["denying ref deletion"], Why::Protected),
    (&["[remote rejected] (non-fast-forward)"], Why::Protected),
    (&["[remote rejected] (deletion prohibited)"], Why::Protected),
    (
        &["deletion of the current branch prohibited"],
        Why::Protected,
    ),
    (&["file size limit"], Why::TooBig),
    (&["pack exceeds maximum allowed size"], Why::TooBig),
    (&["returned error: 413"], Why::TooBig),
    (&["quota exceeded"], Why::TooBig),
    (&["permission denied for writing"], Why::NoRights),
    (&["write access to repository not granted"], Why::NoRights),
    (&["permission to", "denied to"], Why::NoRights),
    (&["not authorized to write"], Why::NoRights),
    (&["not allowed to push"], Why::NoRights),
    (&["hook declined"], Why::Hook),
    // Not the like of an update: who we are, whom we speak to, whether anybody is there.
    (&["host key verification failed"], Why::HostKey),
    (&["remote host identification has changed"], Why::HostKey),
    (&["no matching host key type"], Why::HostKey),
    (&["authentication failed"], Why::BadCredentials),
    (&["could not read username"], Why::BadCredentials),
    (&["could not read password"], Why::BadCredentials),
    (&["too many authentication failures"], Why::NoKey),
    (&["invalid username or"], Why::BadCredentials),
    (&["permission denied (", "publickey"], Why::NoKey),
    (&["permission denied (", ")"], Why::BadCredentials),
    (&["returned error: 401"], Why::BadCredentials),
    (&["detected dubious ownership"], Why::Owner),
    (&["unknown option `"], Why::OldGit),
    (&["repository not found"], Why::NotFound),
    (&["cannot find repository"], Why::NotFound),
    (&["does not appear to be a git repository"], Why::NotFound),
    (&["repository '", "' not found"], Why::NotFound),
    (&["repository '", "' does not exist"], Why::NotFound),
    (&["returned error: 404"], Why::NotFound),
    (&["couldn't find remote ref"], Why::NoSuchRef),
    (&["not our ref"], Why::NoSuchRef),
    (&["request for unadvertised object"], Why::NoSuchRef),
    (&["returned error: 411"], Why::Chunked),
    (&["returned error: 403"], Why::NoRights),
    (&["ssl certificate problem"], Why::Certificate),
    (
        &["server certificate verification failed"],
        Why::Certificate,
    ),
    (
        &["no alternative certificate subject name"],
        Why::Certificate,
    ),
    // GnuTLS, then OpenSSL.
    (&["gnutls_handshake() failed"], Why::Tls),
    (&["ssl_connect"], Why::Tls),
    (&["ssl routines"], Why::Tls),
    (&["could not resolve"], Why::Network),
    (&["connection refused"], Why::Network),
    (&["timed out"], Why::Network),
    (&["connection reset"], Why::Network),
    (&["connection closed by"], Why::Network),
    (&["failed to connect"], Why::Network),
    (&["couldn't connect"], Why::Network),
    (&["unable to connect"], Why::Network),
    (&["network is unreachable"], Why::Network),
    (&["no route to host"], Why::Network),
    (&["empty reply from server"], Why::Network),
    (&["returned error: 429"], Why::TooMany),
    (&["returned error: 500"], Why::OutOfOrder),
    (&["returned error: 502"], Why::OutOfOrder),
    (&["returned error: 503"], Why::OutOfOrder),
    (&["returned error: 504"], Why::OutOfOrder),
    (&["early eof"], Why::Network),
    (&["unexpected disconnect"], Why::Network),
    (&["hung up unexpectedly"], Why::Network),
];

/// Lines that say nothing of the reason: git's advice, and what it adds to every failure.
const IDLE: &[&str] = &[
    "failed to push some refs to",
    "could not read from remote repository",
    "please make sure you have the correct access rights",
    "and the repository exists.",
    "hint:",
    "warning: permanently added",
];

/// Why something was refused, with the words it was refused with.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    doing: String,
    why: Why,
    words: Vec<String>,
}

impl Refusal {
    /// Reads why `doing` failed: from the lines of `--porcelain` on stdout, and from stderr. `secrets` are taken out of the words.
    pub(super) fn read(doing: String, stdout: &[u8], stderr: &[u8], secrets: &[&str]) -> Self {
        let mut lines: Vec<String> = text_lines(stderr, secrets)
            .filter(|line| !is_idle(line))
            .collect();
        let said = lines.len();
        // The server's reasons stand before the summary of a ref.
        lines.extend(text_lines(stdout, secrets).filter_map(|line| rejection(&line)));
        let (why, at) = classify(&lines);
        // A summary only says who declined; what a hook has to say comes before git's own line about it.
        let from = at.filter(|at| *at < said && why != Why::Hook).unwrap_or(0);
        Self {
            doing,
            why,
            words: words(lines.get(from..).unwrap_or_default()),
        }
    }

    /// Returns what kind of refusal it is.
    pub fn why(&self) -> Why {
        self.why
    }

    /// Returns the server's or git's own words, a line each.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        self.why.hint().map(str::to_owned)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.join("; ");
        match (self.why.phrase(), words.as_str()) {
            (Some(phrase), "") => write!(f, "{}: {phrase}", self.doing),
            (Some(phrase), words) => write!(f, "{}: {phrase}: {words}", self.doing),
            (None, "") => write!(f, "{}, and git does not say why", self.doing),
            (None, words) => write!(f, "{}: {words}", self.doing),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("doing", &self.doing)
            .field("why", &self.why)
            .field("words", &self.words)
            .finish()
    }
}

/// Returns the reason, and which line says so.
fn classify(lines: &[String]) -> (Why, Option<usize>) {
    let lower: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    for (needles, why) in TABLE {
        let fits = |line: &String| needles.iter().all(|needle| line.contains(needle));
        if let Some(at) = lower.iter().position(fits) {
            return (*why, Some(at));
        }
    }
    (Why::Other, None)
}

/// Returns the first lines without git's marks, each once.
fn words(lines: &[String]) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for line in lines {
        let line = bare(line);
        if !line.is_empty() && !said.iter().any(|said| said == line) {
            said.push(shortened(line));
        }
        if said.len() == LINES {
            break;
        }
    }
    said
}

/// Returns a line without git's marks in front.
fn bare(line: &str) -> &str {
    let mut rest = line;
    for mark in ["remote:", "fatal:", "error:", "ERROR:"] {
        rest = rest.strip_prefix(mark).unwrap_or(rest).trim();
    }
    rest
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE_SHOWN) {
        Some((at, _)) => format!("{} ...", line.get(..at).unwrap_or(line)),
        None => line.to_owned(),
    }
}

/// Returns whether a line says nothing of the reason.
fn is_idle(line: &str) -> bool {
    let line = bare(line);
    let lower = line.to_lowercase();
    // Forges frame their messages, and ssh its warnings.
    line.chars().all(|c| !c.is_alphanumeric())
        || line.starts_with("@@")
        || IDLE.iter().any(|idle| lower.starts_with(idle))
}

/// Returns the end of a `--porcelain` line that says a ref was not taken: `[remote rejected] (reason)`.
fn rejection(line: &str) -> Option<String> {
    let mut fields = line.strip_prefix('!')?.trim_start().splitn(2, ' ');
    let (_refs, summary) = (fields.next()?, fields.next()?);
    Some(summary.trim().to_owned())
}

/// Returns lines with control characters as spaces, escape sequences gone, and secrets taken out.
fn text_lines<'a>(bytes: &'a [u8], secrets: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    bytes
        // Progress ends in a carriage return.
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(move |line| {
            let mut line = clean(&String::from_utf8_lossy(line));
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                line = line.replace(secret, "***");
            }
            without_userinfo(&line).trim().to_owned()
        })
        .filter(|line| !line.is_empty())
}

/// Takes out escape sequences (CSI), and makes spaces of other control characters.
fn clean(line: &str) -> String {
    let mut out = String::new();
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '\u{1b}' && characters.peek() == Some(&'[') {
            characters.next();
            for c in characters.by_ref() {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        } else {
            out.push(if c.is_control() { ' ' } else { c });
        }
    }
    out
}

/// Takes what stands between `://` and `@` out of URLs.
fn without_userinfo(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>'))
            .unwrap_or(after.len());
        let (authority, after) = after.split_at(end);
        out.push_str(
            authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host),
        );
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stdout: &str, stderr: &str) -> Refusal {
        Refusal::read(
            "git cannot push".to_owned(),
            stdout.as_bytes(),
            stderr.as_bytes(),
            &["hunter2"],
        )
    }

    /// The porcelain of a push whose one ref was not taken.
    fn porcelain(reason: &str) -> String {
        format!(
            "To ../srv.git\n!\t0d427f95a5500d1b6bfd7f25872129241c45f834:refs/heads/x\t{reason}\nDone\n"
        )
    }

    /// Recorded with git 2.47.3 and OpenSSH 9.2 on loopback, against bare repositories with hooks and switches, and an HTTP
    /// server that answers with a status.
    #[test]
    fn recorded_refusals_are_told_apart() {
        let failed = "error: failed to push some refs to '../srv.git'\n";
        for (reason, stderr, why, shown) in [
            (
                "[rejected] (stale info)",
                "",
                Why::LeaseLost,
                "git cannot push: the branch was changed by somebody else meanwhile: [rejected] (stale info)",
            ),
            (
                "[remote rejected] (non-fast-forward)",
                "remote: error: denying non-fast-forward refs/heads/main (you should pull first)        \n",
                Why::Protected,
                "git cannot push: the branch is protected: denying non-fast-forward refs/heads/main (you should pull first); [remote rejected] (non-fast-forward)",
            ),
            (
                "[remote rejected] (deletion prohibited)",
                "remote: error: denying ref deletion for refs/heads/main        \n",
                Why::Protected,
                "git cannot push: the branch is protected: denying ref deletion for refs/heads/main; [remote rejected] (deletion prohibited)",
            ),
            (
                "[remote rejected] (hook declined)",
                "remote: no \u{1b}[31mway        \nremote:  two        \nremote: error: hook declined to update refs/heads/x        \n",
                Why::Hook,
                "git cannot push: a hook of the server declined: no way; two; hook declined to update refs/heads/x",
            ),
            (
                "[remote rejected] (failed to update ref)",
                "remote: error: cannot lock ref 'refs/heads/main/x': 'refs/heads/main' exists; cannot create 'refs/heads/main/x'        \n",
                Why::Other,
                "git cannot push: cannot lock ref 'refs/heads/main/x': 'refs/heads/main' exists; cannot create 'refs/heads/main/x'; [remote rejected] (failed to update ref)",
            ),
            (
                "[remote rejected] (unpacker error)",
                "remote: fatal: pack exceeds maximum allowed size        \nerror: remote unpack failed: unpack-objects abnormal exit\n",
                Why::TooBig,
                "git cannot push: the server takes no push of this size: pack exceeds maximum allowed size; remote unpack failed: unpack-objects abnormal exit; [remote rejected] (unpacker error)",
            ),
        ] {
            let refusal = read(&porcelain(reason), &format!("{stderr}{failed}"));
            assert_eq!(
                (refusal.why(), refusal.to_string().as_str()),
                (why, shown),
                "{reason}"
            );
        }
        let end = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n";
        for (stderr, why, words) in [
            (
                "ssh: Could not resolve hostname origin: Name or service not known\n",
                Why::Network,
                "ssh: Could not resolve hostname origin: Name or service not known",
            ),
            (
                "ssh: connect to host 127.0.0.1 port 1: Connection refused\n",
                Why::Network,
                "ssh: connect to host 127.0.0.1 port 1: Connection refused",
            ),
            (
                "fatal: '/nonexistent' does not appear to be a git repository\n",
                Why::NotFound,
                "'/nonexistent' does not appear to be a git repository",
            ),
            (
                "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\nHost key verification failed.\n",
                Why::HostKey,
                "Host key verification failed.",
            ),
            (
                "root@127.0.0.1: Permission denied (publickey).\n",
                Why::NoKey,
                "root@127.0.0.1: Permission denied (publickey).",
            ),
        ] {
            let refusal = read("", &format!("{stderr}{end}"));
            assert_eq!(
                (refusal.why(), refusal.words().join("; ").as_str()),
                (why, words)
            );
        }
        for (stderr, why, words) in [
            (
                "fatal: Authentication failed for 'http://127.0.0.1:18431/401/o/r/'\n",
                Why::BadCredentials,
                "Authentication failed for 'http://127.0.0.1:18431/401/o/r/'",
            ),
            (
                "fatal: could not read Username for 'http://127.0.0.1:18431': terminal prompts disabled\n",
                Why::BadCredentials,
                "could not read Username for 'http://127.0.0.1:18431': terminal prompts disabled",
            ),
            (
                "remote: Permission to o/r.git denied to github-actions[bot].\nfatal: unable to access 'http://127.0.0.1:18431/403/o/r/': The requested URL returned error: 403\n",
                Why::NoRights,
                "Permission to o/r.git denied to github-actions[bot].; unable to access 'http://127.0.0.1:18431/403/o/r/': The requested URL returned error: 403",
            ),
            (
                "remote: Not Found\nfatal: repository 'http://127.0.0.1:18431/404/o/r/' not found\n",
                Why::NotFound,
                "repository 'http://127.0.0.1:18431/404/o/r/' not found",
            ),
            (
                "fatal: unable to access 'http://127.0.0.1:18431/413/o/r/': The requested URL returned error: 413\n",
                Why::TooBig,
                "unable to access 'http://127.0.0.1:18431/413/o/r/': The requested URL returned error: 413",
            ),
            (
                "fatal: unable to access 'http://127.0.0.1:18431/411/o/r/': The requested URL returned error: 411\n",
                Why::Chunked,
                "unable to access 'http://127.0.0.1:18431/411/o/r/': The requested URL returned error: 411",
            ),
            (
                "remote: slow down\nfatal: unable to access 'http://127.0.0.1:18431/429/o/r/': The requested URL returned error: 429\n",
                Why::TooMany,
                "unable to access 'http://127.0.0.1:18431/429/o/r/': The requested URL returned error: 429",
            ),
            (
                "fatal: unable to access 'http://127.0.0.1:18431/502/o/r/': The requested URL returned error: 502\n",
                Why::OutOfOrder,
                "unable to access 'http://127.0.0.1:18431/502/o/r/': The requested URL returned error: 502",
            ),
            (
                "fatal: unable to access 'https://127.0.0.1:18431/o/r/': gnutls_handshake() failed: The TLS connection was non-properly terminated.\n",
                Why::Tls,
                "unable to access 'https://127.0.0.1:18431/o/r/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
            ),
            (
                "fatal: unable to access 'https://localhost:1/x/': Failed to connect to localhost port 1 after 0 ms: Couldn't connect to server\n",
                Why::Network,
                "unable to access 'https://localhost:1/x/': Failed to connect to localhost port 1 after 0 ms: Couldn't connect to server",
            ),
            (
                "fatal: unable to access 'http://nonexistent.invalid/x/': Could not resolve host: nonexistent.invalid\n",
                Why::Network,
                "unable to access 'http://nonexistent.invalid/x/': Could not resolve host: nonexistent.invalid",
            ),
        ] {
            let refusal = read("", stderr);
            assert_eq!(
                (refusal.why(), refusal.words().join("; ").as_str()),
                (why, words)
            );
        }
    }

    /// The servers' sentences, as their sources and their users quote them.
    #[test]
    fn what_forges_say_is_told_apart() {
        for (stderr, why) in [
            (
                "remote: \nremote: Forgejo: Not allowed to push to protected branch main",
                Why::Protected,
            ),
            (
                "remote: Gitea: branch main is protected from force push",
                Why::Protected,
            ),
            (
                "remote: error: GH006: Protected branch update failed for refs/heads/main.",
                Why::Protected,
            ),
            (
                "remote: error: GH013: Repository rule violations found for refs/heads/x.",
                Why::Protected,
            ),
            (
                "remote: Forgejo: User permission denied for writing.",
                Why::NoRights,
            ),
            (
                "Forgejo: User: 2:bob with Key: 3:laptop is not authorized to write to alice/fleet.",
                Why::NoRights,
            ),
            (
                "Forgejo: Deploy Key: 3:ci is not authorized to write to alice/fleet.",
                Why::ReadOnlyKey,
            ),
            (
                "ERROR: The key you are authenticating with has been marked as read only.",
                Why::ReadOnlyKey,
            ),
            (
                "ERROR: Permission to a/b.git denied to deploy key",
                Why::ReadOnlyKey,
            ),
            ("ERROR: Permission to a/b.git denied to bob.", Why::NoRights),
            (
                "remote: Write access to repository not granted.\nfatal: unable to access 'https://github.com/a/b/': The requested URL returned error: 403",
                Why::NoRights,
            ),
            (
                "remote: This repository was archived so it is read-only.\nfatal: unable to access 'https://github.com/a/b/': The requested URL returned error: 403",
                Why::Archived,
            ),
            (
                "remote: This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests.\nfatal: unable to access 'https://h/a/b/': The requested URL returned error: 403",
                Why::Archived,
            ),
            ("ERROR: Repository not found.", Why::NotFound),
            (
                "Forgejo: Cannot find repository: alice/fleet",
                Why::NotFound,
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://github.com/a/b/' not found",
                Why::NotFound,
            ),
            (
                "remote: Invalid username or token. Password authentication is not supported for Git operations.\nfatal: Authentication failed for 'https://github.com/a/b/'",
                Why::BadCredentials,
            ),
            (
                "fatal: remote error: upload-pack: not our ref 0d427f95a5500d1b6bfd7f25872129241c45f834",
                Why::NoSuchRef,
            ),
            (
                "fatal: couldn't find remote ref refs/heads/gone",
                Why::NoSuchRef,
            ),
            (
                "fatal: unable to access 'https://h/a/b/': SSL certificate problem: self-signed certificate",
                Why::Certificate,
            ),
            (
                "fatal: unable to access 'https://h/a/b/': server certificate verification failed. CAfile: none CRLfile: none",
                Why::Certificate,
            ),
            (
                "remote: error: File big.bin is 120.00 MB; this exceeds GitHub's file size limit of 100.00 MB",
                Why::TooBig,
            ),
            (
                "fetch-pack: unexpected disconnect while reading sideband packet",
                Why::Network,
            ),
            (
                "remote: error: cannot lock ref 'refs/heads/x': is at 0d427f9 but expected 5fcff04",
                Why::LeaseLost,
            ),
            (
                "remote: error: cannot lock ref 'refs/heads/x': reference already exists",
                Why::LeaseLost,
            ),
            (
                "error: unknown option `no-write-fetch-head'\nusage: git fetch [<options>] [<repository> [<refspec>...]]",
                Why::OldGit,
            ),
            ("fatal: something new", Why::Other),
            ("", Why::Other),
        ] {
            assert_eq!(read("", stderr).why(), why, "{stderr}");
        }
        for (reason, why) in [
            (
                "[remote rejected] (protected branch hook declined)",
                Why::Protected,
            ),
            (
                "[remote rejected] (push declined due to repository rule violations)",
                Why::Protected,
            ),
            (
                "[remote rejected] (refusing to allow a GitHub App to create or update workflow `.github/workflows/x.yml` without `workflows` permission)",
                Why::Workflows,
            ),
            (
                "[remote rejected] (refusing to allow a Personal Access Token to create or update workflow `.github/workflows/x.yml` without `workflow` scope)",
                Why::Workflows,
            ),
            ("[remote rejected] (pre-receive hook declined)", Why::Hook),
            (
                "[remote rejected] (reference already exists)",
                Why::LeaseLost,
            ),
        ] {
            assert_eq!(read(&porcelain(reason), "").why(), why, "{reason}");
        }
    }

    #[test]
    fn only_the_words_that_matter_are_passed_on_and_no_secret() {
        let stderr = "remote: \nremote: ========\nremote: error: GH013: Repository rule violations found for refs/heads/x.\nremote: Review all repository rules at https://me:hunter2@github.com/a/b/rules\nremote: \nremote: - Changes must be made through a pull request.\nremote: more\nhint: advice\n";
        assert_eq!(
            read(&porcelain("[remote rejected] (push declined)"), stderr).to_string(),
            "git cannot push: the branch is protected: GH013: Repository rule violations found for refs/heads/x.; Review all repository rules at https://github.com/a/b/rules; - Changes must be made through a pull request."
        );
        let refusal = read(
            "",
            "fatal: bad password hunter2 for http://x@y@host/a, http://b@c\u{7}\n",
        );
        assert_eq!(
            refusal.to_string(),
            "git cannot push: bad password *** for http://host/a, http://c"
        );
        assert!(!format!("{refusal:?}").contains("hunter2"));
        assert_eq!(
            read("", "").to_string(),
            "git cannot push, and git does not say why"
        );
        let long = read("", &format!("fatal: {}", "é".repeat(1000)));
        assert_eq!(
            long.to_string().chars().count(),
            "git cannot push: ".len() + LINE_SHOWN + 4
        );
    }

    #[test]
    fn every_kind_but_the_unknown_has_words_and_a_hint() {
        for (_, why) in TABLE {
            assert!(why.phrase().is_some() && why.hint().is_some(), "{why:?}");
        }
        for (needles, _) in TABLE {
            for needle in *needles {
                assert_eq!(
                    *needle,
                    needle.to_lowercase(),
                    "lines are compared in small letters"
                );
            }
        }
        assert_eq!(Why::Other.hint(), None);
    }
}
