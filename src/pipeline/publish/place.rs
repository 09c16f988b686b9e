//! Where the pull request goes: what flags, runner, remote and the forge itself say, joined.

use secrecy::SecretString;
use url::Url;

use crate::forge::{self, Endpoint, ForgeKind, Token};
use crate::git::{BranchName, Checkout, Credential, Remote, RemoteUrl, RepoSlug, Scheme};

use super::{PublishError, Wishes};

/// What a runner says about its job, as far as publishing goes.
#[derive(Debug, Clone)]
pub struct RunnerSays {
    /// Whose runner it is.
    pub kind: ForgeKind,
    /// Whether only the server can tell which it really is.
    pub kind_is_unsure: bool,
    /// The server that started the job.
    pub server_url: Option<Url>,
    /// Its API.
    pub api_url: Option<Url>,
    /// The job's repository.
    pub repository: Option<RepoSlug>,
    /// The branch the job runs on.
    pub base: Option<String>,
    /// The job's own token.
    pub token: Option<SecretString>,
}

/// Where to push and where to ask.
#[derive(Debug)]
pub(super) struct Place {
    /// The remote that is pushed to.
    pub remote: Remote,
    /// What git shows there; none where it finds its own.
    pub credential: Option<Credential>,
    /// The forge's API and the repository on it.
    pub endpoint: Endpoint,
    /// What the API is shown.
    pub token: Token,
    /// The branch that the runner runs on, where the repository is the job's.
    pub runner_base: Option<String>,
}

impl Place {
    /// Finds out where to publish. Asks the server what it is where nobody says; shows it no token for that.
    pub(super) async fn find(wishes: &Wishes, checkout: &Checkout) -> Result<Self, PublishError> {
        let remote = remote(wishes, checkout)?;
        let runner = wishes.runner.as_ref();
        let server = server(wishes, &remote.url)?;
        let here = runner.filter(|runner| {
            runner
                .server_url
                .as_ref()
                .is_some_and(|runners| is_same_server(runners, &server))
        });
        let slug = slug(wishes, &remote.url, &server, here)?;
        let token = match (&wishes.token, here.and_then(|runner| runner.token.clone())) {
            (Some(given), _) => Token::Given(given.clone()),
            (None, Some(automatic)) => Token::Automatic(automatic),
            (None, None) => {
                return Err(PublishError::NoToken {
                    server: shown(&server),
                    elsewhere: runner.is_some_and(|runner| runner.token.is_some()),
                });
            }
        };
        let (kind, api_url) = kind_and_api(wishes, &server, here).await?;
        if matches!(token, Token::Automatic(_)) && !is_runners_api(&api_url, kind, &server, here) {
            return Err(PublishError::NoToken {
                server: api_url.to_string(),
                elsewhere: true,
            });
        }
        let is_servers = is_http(&remote.url) && is_on(&remote.url, &server);
        let credential = is_servers.then(|| match &token {
            Token::Given(secret) => Credential {
                username: "x-access-token".to_owned(),
                password: secret.clone(),
                exclusive: true,
            },
            Token::Automatic(secret) => Credential {
                username: "x-access-token".to_owned(),
                password: secret.clone(),
                exclusive: false,
            },
        });
        let runner_base = here
            .filter(|runner| {
                runner
                    .repository
                    .as_ref()
                    .is_none_or(|job| job.same_as(&slug))
            })
            .and_then(|runner| runner.base.clone());
        tracing::debug!(
            "publishing to {slug} on {server} ({kind}), pushing to {}",
            remote.url
        );
        Ok(Self {
            remote,
            credential,
            endpoint: Endpoint {
                kind,
                api_url,
                server_url: Some(server),
                slug,
            },
            token,
            runner_base,
        })
    }
}

/// Returns the remote to push to: the one named, else `origin`, else the only one.
fn remote(wishes: &Wishes, checkout: &Checkout) -> Result<Remote, PublishError> {
    let known = checkout.remotes()?;
    let name = match &wishes.remote {
        Some(name) => name.clone(),
        None if known.iter().any(|name| name == "origin") => "origin".to_owned(),
        None => match known.as_slice() {
            [only] => only.clone(),
            _ => return Err(PublishError::NoRemote { known }),
        },
    };
    let text = match checkout.remote_url(&name)? {
        Some(text) => text,
        None if name.contains("://") || name.contains('@') => name.clone(),
        None => return Err(PublishError::UnknownRemote { name, known }),
    };
    let url = RemoteUrl::parse(&text).map_err(|source| PublishError::RemoteUrl {
        name: name.clone(),
        source,
    })?;
    Ok(Remote {
        name_or_url: name,
        url,
    })
}

/// Returns the forge's address: the one named; the runner's, where the remote may be on it; else what the remote suggests.
fn server(wishes: &Wishes, remote: &RemoteUrl) -> Result<Url, PublishError> {
    if let Some(named) = &wishes.server_url {
        return Ok(named.clone());
    }
    let runners = wishes.runner.as_ref().and_then(|runner| {
        let server = runner.server_url.as_ref()?;
        // A forge's SSH host, or an alias in ssh_config, need not be named like its web host.
        let is_jobs = || {
            let (Some(job), Some(slug)) = (&runner.repository, remote.slug()) else {
                return false;
            };
            !is_http(remote) && job.same_as(&slug)
        };
        (is_on(remote, server) || is_jobs()).then(|| server.clone())
    });
    runners
        .or_else(|| Url::parse(&remote.web_base()?).ok())
        .ok_or_else(|| PublishError::NoServer {
            remote: remote.to_string(),
        })
}

fn slug(
    wishes: &Wishes,
    remote: &RemoteUrl,
    server: &Url,
    here: Option<&RunnerSays>,
) -> Result<RepoSlug, PublishError> {
    let of_remote = remote.slug();
    let jobs = here.and_then(|runner| runner.repository.clone());
    wishes
        .repository
        .clone()
        // What is pushed to is what the pull request must be in, whatever repository the job is of.
        .or_else(|| of_remote.clone().filter(|_| is_on(remote, server)))
        .or(jobs)
        .or(of_remote)
        .ok_or_else(|| PublishError::NoRepository {
            remote: remote.to_string(),
        })
}

async fn kind_and_api(
    wishes: &Wishes,
    server: &Url,
    here: Option<&RunnerSays>,
) -> Result<(ForgeKind, Url), PublishError> {
    let runners_api = here.and_then(|runner| runner.api_url.clone());
    let named_api = wishes.api_url.clone().or(runners_api);
    let known = wishes.forge.or_else(|| {
        here.filter(|runner| !runner.kind_is_unsure)
            .map(|runner| runner.kind)
    });
    let api_of = |kind| {
        named_api
            .clone()
            .or_else(|| forge::usual_api(kind, server))
            .ok_or_else(|| PublishError::UnknownForge {
                server: shown(server),
            })
    };
    if let Some(kind) = known {
        return Ok((kind, api_of(kind)?));
    }
    match forge::probe(server).await? {
        Some((kind, api)) => Ok((kind, named_api.unwrap_or(api))),
        None => match here {
            Some(runner) => Ok((runner.kind, api_of(runner.kind)?)),
            None => Err(PublishError::UnknownForge {
                server: shown(server),
            }),
        },
    }
}

/// Returns an address as people write it.
fn shown(server: &Url) -> String {
    server.as_str().trim_end_matches('/').to_owned()
}

fn is_http(remote: &RemoteUrl) -> bool {
    remote.scheme().is_http()
}

/// Whether a remote is on a server: the same host, and over HTTP the same port.
fn is_on(remote: &RemoteUrl, server: &Url) -> bool {
    let same_host = match (remote.host(), server.host_str()) {
        (Some(a), Some(b)) => a
            .trim_matches(['[', ']'])
            .eq_ignore_ascii_case(b.trim_matches(['[', ']'])),
        _ => false,
    };
    let default = match remote.scheme() {
        Scheme::Http => Some(80),
        Scheme::Https => Some(443),
        Scheme::Ssh | Scheme::Git | Scheme::File => None,
    };
    // The same port without encryption is not the same: the token is not for who listens on the way.
    let scheme = match remote.scheme() {
        Scheme::Http => Some("http"),
        Scheme::Https => Some("https"),
        Scheme::Ssh | Scheme::Git | Scheme::File => None,
    };
    let same_scheme = scheme.is_none_or(|scheme| scheme == server.scheme());
    let same_port = !is_http(remote) || remote.port().or(default) == server.port_or_known_default();
    same_host && same_scheme && same_port
}

/// Whether an API is on the runner's own server, as the runner or the forge's kind has it: no other sees the job's token.
fn is_runners_api(api: &Url, kind: ForgeKind, server: &Url, here: Option<&RunnerSays>) -> bool {
    let said = here.and_then(|runner| runner.api_url.clone());
    [said, forge::usual_api(kind, server)]
        .into_iter()
        .flatten()
        .any(|known| known.origin() == api.origin())
}

fn is_same_server(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
        && one.path().trim_end_matches('/') == other.path().trim_end_matches('/')
}

/// Returns the branch of our pull request where nobody names one.
///
/// A flake in a directory has its own: joined by `-`, for git cannot have `a` and `a/b` as branches at once.
pub(super) fn default_branch(dir: &str) -> Result<BranchName, PublishError> {
    const BRANCH: &str = "auto/flake-update";
    if dir == "." || dir.is_empty() {
        return Ok(BRANCH.parse()?);
    }
    let safe: String = dir
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let mut safe = safe.trim_matches('.').replace("..", ".");
    while let Some(rest) = safe.strip_suffix(".lock") {
        safe = rest.to_owned();
    }
    Ok(format!("{BRANCH}-{safe}").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flake_of_a_repository_has_its_own_branch() {
        let of = |dir| default_branch(dir).unwrap().to_string();
        assert_eq!(of("."), "auto/flake-update");
        assert_eq!(of(""), "auto/flake-update");
        assert_eq!(of("hosts/alice"), "auto/flake-update-hosts-alice");
        assert_eq!(of("a b~c^d:e"), "auto/flake-update-a-b-c-d-e");
        assert_eq!(of("..x..y.lock.lock"), "auto/flake-update-x.y");
    }

    #[test]
    fn a_remote_is_on_a_server_by_host_and_port() {
        let on = |remote: &str, server: &str| {
            is_on(
                &RemoteUrl::parse(remote).unwrap(),
                &Url::parse(server).unwrap(),
            )
        };
        assert!(on("https://Forge.example/a/b.git", "https://forge.example"));
        assert!(on(
            "https://forge.example:443/a/b",
            "https://forge.example/sub"
        ));
        assert!(on("git@forge.example:a/b", "https://forge.example:8443"));
        assert!(on("http://127.0.0.1:3000/a/b", "http://127.0.0.1:3000"));
        assert!(!on("http://127.0.0.1:3000/a/b", "http://127.0.0.1:3001"));
        assert!(!on("http://127.0.0.1:3000/a/b", "https://127.0.0.1:3000"));
        assert!(!on(
            "https://forge.example.evil/a/b",
            "https://forge.example"
        ));
        assert!(!on("/srv/git/a/b", "https://forge.example"));
    }
}
