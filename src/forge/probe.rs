//! What an unknown server runs. Nobody's token is sent to find out.

use serde::Deserialize;
use url::Url;

use super::answer::Answer;
use super::error::ForgeError;
use super::http::{Http, Limits, Method};
use super::types::ForgeKind;

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Meta {
    installed_version: Option<String>,
}

#[derive(Deserialize)]
struct Complaint {
    url: Option<String>,
}

/// Returns what a server runs, and the address of its API; none where it is no forge that is known here. It asks
/// three times at most, and GitHub's own hosts not at all.
///
/// # Errors
///
/// The server cannot be reached.
pub async fn probe(server: &Url) -> Result<Option<(ForgeKind, Url)>, ForgeError> {
    probe_within(server, Limits::default()).await
}

async fn probe_within(
    server: &Url,
    limits: Limits,
) -> Result<Option<(ForgeKind, Url)>, ForgeError> {
    if let Some(api) = github_of(server) {
        return Ok(Some((ForgeKind::Github, api)));
    }
    let agent = concat!("flake-herald/", env!("CARGO_PKG_VERSION"));
    let http = Http::anonymous(server, agent, limits)?;
    let ask = async |path: &str| -> Result<Option<(Url, Answer)>, ForgeError> {
        let Some(url) = below(server, path) else {
            return Ok(None);
        };
        let answer = http.once(Method::Get, &url, None).await?;
        Ok(Some((url, answer)))
    };
    let api = below(server, "/api/v1");

    // Only Forgejo has this one.
    if let Some((_, answer)) = ask("/api/forgejo/v1/version").await?
        && version(&answer).is_some()
    {
        return Ok(api.map(|api| (ForgeKind::Forgejo, api)));
    }
    if let Some((_, answer)) = ask("/api/v1/version").await? {
        let kind = match version(&answer) {
            // A proxy may hide the other address.
            Some(version) if version.contains("+gitea-") => Some(ForgeKind::Forgejo),
            Some(_) => Some(ForgeKind::Gitea),
            None if wants_sign_in(&answer) => Some(ForgeKind::Gitea),
            None => None,
        };
        if let Some(kind) = kind {
            return Ok(api.map(|api| (kind, api)));
        }
    }
    if let Some((_, answer)) = ask("/api/v3/meta").await?
        && is_enterprise(&answer)
    {
        return Ok(below(server, "/api/v3").map(|api| (ForgeKind::Github, api)));
    }
    Ok(None)
}

/// Returns where a forge of this kind has its API; none for an address that cannot have one.
pub fn usual_api(kind: ForgeKind, server: &Url) -> Option<Url> {
    match kind {
        ForgeKind::Forgejo | ForgeKind::Gitea => below(server, "/api/v1"),
        ForgeKind::Github => github_of(server).or_else(|| below(server, "/api/v3")),
    }
}

/// Returns the address of the API on GitHub's own hosts, where it is no path of the server.
fn github_of(server: &Url) -> Option<Url> {
    let host = server.host_str()?;
    let api = match host.strip_suffix(".ghe.com") {
        Some(name) => format!("https://api.{}.ghe.com", name.trim_start_matches("api.")),
        None if matches!(host, "github.com" | "www.github.com") => {
            "https://api.github.com".to_owned()
        }
        None => return None,
    };
    Url::parse(&api).ok()
}

/// Joins a path to an address without losing the address's own.
fn below(server: &Url, path: &str) -> Option<Url> {
    let mut url = server.clone();
    url.set_query(None);
    url.set_fragment(None);
    Url::parse(&format!("{}{path}", url.as_str().trim_end_matches('/'))).ok()
}

fn version(answer: &Answer) -> Option<String> {
    if answer.status() != 200 {
        return None;
    }
    answer.json::<Version>().ok().map(|version| version.version)
}

/// An instance that shows nothing to strangers still complains in its own way.
fn wants_sign_in(answer: &Answer) -> bool {
    matches!(answer.status(), 401 | 403)
        && answer
            .json::<Complaint>()
            .ok()
            .and_then(|complaint| complaint.url)
            .is_some_and(|url| url.ends_with("/api/swagger"))
}

fn is_enterprise(answer: &Answer) -> bool {
    let headers = [
        "x-github-enterprise-version",
        "x-github-request-id",
        "x-github-media-type",
    ];
    headers.iter().any(|name| answer.header(name).is_some())
        || (answer.status() == 200
            && answer
                .json::<Meta>()
                .is_ok_and(|meta| meta.installed_version.is_some()))
}
