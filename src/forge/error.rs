//! Why a forge did not do what it was asked to.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::types::{ForgeKind, PrNumber};

/// Whose token the requests carry: what to do about a refusal depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// None.
    Nothing,
    /// The one the runner made for the job.
    Automatic,
    /// One that the user gave.
    Given,
}

/// A request and the forge's answer to it, as far as an error shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// The path, without the query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
    /// The server's own words, on one line; empty where it has none.
    pub words: String,
    /// Whose token was sent.
    pub held: Held,
    /// What the forge runs.
    pub kind: ForgeKind,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.path, self.status)?;
        if !self.words.is_empty() {
            write!(f, ", {}", self.words)?;
        }
        Ok(())
    }
}

/// Why a forge did not do what it was asked to. `Display` is one line; [`ForgeError::hint`] says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// No requests can be made at all.
    #[error("no connection can be set up: {0}")]
    Setup(String),
    /// The token is wrong, or there is none where one is needed.
    #[error("the forge does not know who is asking ({0})")]
    Unauthorized(Call),
    /// The token may not do this.
    #[error("the forge does not allow this ({call})")]
    Forbidden {
        /// What was asked.
        call: Call,
        /// The permission that is missing, as the forge spells it.
        needs: Option<String>,
    },
    /// GitHub's setting that keeps the automatic token from opening pull requests.
    #[error("GitHub Actions may not open pull requests here ({0})")]
    ActionsMayNotOpen(Call),
    /// Forgejo's automatic token cannot open pull requests in private repositories; Gitea's may be refused likewise.
    #[error("the automatic token cannot open a pull request in this repository ({0})")]
    PrivateNeedsToken(Call),
    /// It is not there, or not to be seen.
    #[error("the forge finds no {what} ({call})")]
    NotFound {
        /// What was asked.
        call: Call,
        /// What is missing.
        what: &'static str,
    },
    /// The repository takes no changes.
    #[error("the repository is archived ({0})")]
    Archived(Call),
    /// There is such a pull request.
    #[error("there is such a pull request already ({call})")]
    AlreadyExists {
        /// What was asked.
        call: Call,
        /// Its number, where the forge says it.
        number: Option<PrNumber>,
    },
    /// The branch holds nothing that the base does not.
    #[error("the branch has no changes over its base ({0})")]
    NoCommits(Call),
    /// The branch to merge is not on the forge.
    #[error("the forge does not have the branch ({0})")]
    MissingHead(Call),
    /// The branch to merge into is not on the forge.
    #[error("the forge does not have the base branch ({0})")]
    MissingBase(Call),
    /// The text is longer than the forge takes.
    #[error("the forge does not take a text this long ({0})")]
    BodyTooLong(Call),
    /// What was asked contradicts how things stand.
    #[error("the forge sees a conflict ({0})")]
    Conflict(Call),
    /// The forge takes the request for nonsense.
    #[error("the forge does not accept the request ({0})")]
    Invalid(Call),
    /// Too many requests, and waiting would take too long.
    #[error("the forge's limit of requests is used up{} ({call})", shown_until(until.as_deref()))]
    RateLimited {
        /// What was asked.
        call: Call,
        /// When it may be asked again.
        until: Option<String>,
    },
    /// The forge cannot answer now.
    #[error("the forge is out of order ({0})")]
    Unavailable(Call),
    /// The answer is no JSON: a proxy's or a login page, or a wrong address.
    #[error("the answer is no JSON but {content_type} ({call})")]
    NotJson {
        /// What was asked.
        call: Call,
        /// What the answer says it is.
        content_type: String,
    },
    /// The answer is JSON, but not the one that the forge's description promises.
    #[error("the answer cannot be read ({call}): {why}")]
    Unreadable {
        /// What was asked.
        call: Call,
        /// What is odd.
        why: String,
    },
    /// A redirect that is not followed: the token stays with its own server.
    #[error("{method} {path} is redirected from {from} to {to}")]
    RedirectElsewhere {
        /// The method.
        method: &'static str,
        /// The path asked for.
        path: String,
        /// Where it was asked.
        from: String,
        /// Where it points.
        to: String,
    },
    /// No secure connection.
    #[error("no secure connection to {origin}: {words}")]
    Tls {
        /// The server.
        origin: String,
        /// The reason.
        words: String,
    },
    /// No connection.
    #[error("no connection to {origin}: {words}")]
    Connect {
        /// The server.
        origin: String,
        /// The reason.
        words: String,
    },
    /// The answer took too long.
    #[error("{method} {path}: no answer within {} s", limit.as_secs_f32())]
    Timeout {
        /// The method.
        method: &'static str,
        /// The path.
        path: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection ended before the answer did.
    #[error("{method} {path}: the answer was cut off: {words}")]
    Broken {
        /// The method.
        method: &'static str,
        /// The path.
        path: String,
        /// The reason.
        words: String,
    },
}

fn shown_until(until: Option<&str>) -> String {
    until.map_or_else(String::new, |until| format!(" until {until}"))
}

const OWN_TOKEN: &str = "give a token of your own in FLAKE_HERALD_TOKEN or with --token-file";

impl ForgeError {
    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unauthorized(call) => match call.held {
                Held::Nothing => OWN_TOKEN.to_owned(),
                Held::Automatic => format!(
                    "the job's automatic token ends with the job and is good for its own server only; {OWN_TOKEN}"
                ),
                Held::Given => {
                    "the token is wrong, has expired or was revoked, or belongs to another server; make a new one"
                        .to_owned()
                }
            },
            Self::Forbidden { call, needs } => forbidden_hint(call, needs.as_deref()),
            Self::ActionsMayNotOpen(_) => format!(
                "allow it under Settings → Actions → General → Workflow permissions, \"Allow GitHub Actions to create \
                 and approve pull requests\" (the organisation's settings may have to allow it first); or {OWN_TOKEN}"
            ),
            Self::PrivateNeedsToken(call) => {
                let why = match call.kind {
                    ForgeKind::Gitea => {
                        "where the repository is private, the job's automatic token may not do (from Gitea 1.26 on the job's \
                         `permissions:` and the Actions settings say what it may)"
                    }
                    ForgeKind::Forgejo | ForgeKind::Github => {
                        "Forgejo's automatic token cannot open pull requests in private repositories, nor in those of limited \
                         organisations"
                    }
                };
                format!("{why}: {OWN_TOKEN}, with the scope write:repository (write:issue for notes)")
            }
            Self::NotFound { call, .. } => match call.held {
                Held::Nothing => format!(
                    "check owner and name; a private repository is not shown without a token: {OWN_TOKEN}"
                ),
                Held::Automatic => format!(
                    "check owner and name; the automatic token sees its own repository only: for another one {OWN_TOKEN}"
                ),
                Held::Given => {
                    "check owner and name; a forge says the same of a private repository that the token's owner or \
                     the token itself has no access to"
                        .to_owned()
                }
            },
            Self::Archived(_) => {
                "unarchive the repository in its settings, or stop the scheduled job".to_owned()
            }
            Self::MissingHead(_) => {
                "the push did not reach this repository, or somebody deleted the branch; run again".to_owned()
            }
            Self::MissingBase(_) => "check the name of the base branch".to_owned(),
            Self::BodyTooLong(_) => {
                "the forge, or a proxy in front of it, takes shorter texts only; the full report is in --output-dir"
                    .to_owned()
            }
            Self::RateLimited { call, .. } => match (call.kind, call.held) {
                (_, Held::Nothing) => {
                    format!("a token has a higher limit: {OWN_TOKEN}; or run again later")
                }
                (ForgeKind::Github, Held::Automatic) => format!(
                    "run again later; the automatic token has 1,000 requests an hour for the whole repository: \
                     {OWN_TOKEN} has its own"
                ),
                _ => "run again later".to_owned(),
            },
            Self::Unavailable(_) => "run again later".to_owned(),
            Self::NotJson { .. } => {
                "is the address that of the API? A proxy, a login page or a bot check may stand in front of it"
                    .to_owned()
            }
            Self::Unreadable { .. } => {
                "is this kind of forge the right one? --forge says which".to_owned()
            }
            Self::RedirectElsewhere { to, .. } => {
                format!("a token is sent to its own server only; if {to} is the right one, name it")
            }
            Self::Tls { .. } => {
                "is the certificate good and its issuer known here (package ca-certificates, or SSL_CERT_FILE)? Does \
                 the port speak TLS?"
                    .to_owned()
            }
            Self::Connect { .. } => {
                "check the address, and the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the one that is asked instead, \
                 NO_PROXY the hosts that it is not for"
                    .to_owned()
            }
            Self::Timeout { .. } | Self::Broken { .. } => {
                "run again; what may have been done is looked for first".to_owned()
            }
            Self::Setup(_)
            | Self::AlreadyExists { .. }
            | Self::NoCommits(_)
            | Self::Conflict(_)
            | Self::Invalid(_) => return None,
        };
        Some(hint)
    }

    /// Returns whether the request may have been carried out although its answer says nothing of it.
    pub fn answer_is_lost(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::Connect { .. }
            | Self::Unavailable(_)
            | Self::Unreadable { .. } => true,
            Self::NotJson { call, .. } => call.status < 300 || call.status >= 500,
            _ => false,
        }
    }

    /// Returns whether the same request may fare better at once.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Broken { .. } | Self::Connect { .. }
        )
    }
}

fn forbidden_hint(call: &Call, needs: Option<&str>) -> String {
    let needs = needs.map_or_else(
        || match call.kind {
            ForgeKind::Github => "contents: write and pull-requests: write".to_owned(),
            ForgeKind::Forgejo | ForgeKind::Gitea => {
                "write:repository (write:issue for notes), and its owner may write here".to_owned()
            }
        },
        str::to_owned,
    );
    match (call.held, call.kind) {
        (Held::Nothing, _) => format!("{OWN_TOKEN}; it needs {needs}"),
        (Held::Automatic, ForgeKind::Github) => {
            format!("the job's `permissions:` must give {needs}; or {OWN_TOKEN}")
        }
        (Held::Automatic, _) => format!(
            "the job's automatic token is not enough (in a fork's pull request it only reads): {OWN_TOKEN}; it needs \
             {needs}"
        ),
        (Held::Given, _) => format!("the token needs {needs}"),
    }
}
