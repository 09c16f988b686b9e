//! git over HTTP: `git http-backend` behind the rules of the forges.

use std::path::PathBuf;

use super::git;
use super::http::{Answer, Request};
use super::model::{Access, Dialect, State};
use super::{Asker, Credential};

/// A call of the backend that is allowed.
#[derive(Debug)]
pub(crate) struct Plan {
    root: PathBuf,
    path: String,
    user: String,
    dialect: &'static str,
    protected: String,
    refuse: String,
}

/// Decides whether a request may reach the backend.
pub(crate) fn plan(
    state: &mut State,
    request: &Request,
    path: &str,
    credential: &Credential,
    asker: &Asker,
) -> Result<Plan, Answer> {
    let dialect = state.dialect;
    let github = dialect == Dialect::Github;
    let parts: Vec<&str> = path.splitn(4, '/').collect();
    let [_, owner, name, rest] = parts[..] else {
        return Err(Answer::text(404, "Not found.\n"));
    };
    let service = rest
        .strip_prefix("git-")
        .map(|service| format!("git-{service}"))
        .or_else(|| {
            let pairs = request.pairs();
            let pair = pairs.iter().find(|(name, _)| name == "service")?;
            Some(pair.1.clone())
        })
        .unwrap_or_default();
    if !matches!(rest, "info/refs" | "git-upload-pack" | "git-receive-pack") {
        return Err(Answer::text(404, "Not found.\n"));
    }
    let write = service == "git-receive-pack";
    let slug = format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(name));
    // Neither takes a token in any other way than as a password.
    let basic = matches!(credential, Credential::Basic(..) | Credential::None);
    let wrong = !basic || matches!(asker, Asker::Wrong);
    let token = if wrong { None } else { asker.token() };
    let denied = |text: &str| {
        let realm = if github { "GitHub" } else { "Gitea" };
        Answer::text(401, text).with("WWW-Authenticate", &format!("Basic realm=\"{realm}\""))
    };
    if wrong && matches!(credential, Credential::Basic(..)) {
        let text = "Invalid username or token. Password authentication is not supported for Git operations.";
        return Err(denied(if github { text } else { "Unauthorized\n" }));
    }
    let repo = state
        .repos
        .iter()
        .find(|repo| repo.slug.eq_ignore_ascii_case(&slug));
    let Some(repo) = repo else {
        let moved = state.repos.iter().find(|repo| {
            let mut former = repo.former.iter();
            former.any(|(old, _)| old.eq_ignore_ascii_case(&slug))
        });
        return Err(match moved {
            Some(repo) => {
                let mut place = format!("{}/{}.git/{rest}", state.server, repo.slug);
                if !request.query.is_empty() {
                    place = format!("{place}?{}", request.query);
                }
                Answer::empty(301).with("Location", &place)
            }
            None if token.is_none() => denied("Repository not found.\n"),
            None => Answer::text(404, "Repository not found."),
        });
    };
    let access = state.access(repo, token);
    if token.is_none() && (write || access == Access::None) {
        return Err(denied(if github {
            "Repository not found."
        } else {
            "Unauthorized\n"
        }));
    }
    if access == Access::None {
        return Err(Answer::text(404, "Repository not found."));
    }
    let user = token.map_or("", |token| token.user.as_str()).to_owned();
    let mut refuse = String::new();
    if write {
        let scope = if github {
            "contents:write"
        } else {
            "write:repository"
        };
        let scoped =
            token.is_some_and(|token| token.automatic.is_some() && !github || token.may(scope));
        if repo.archived {
            return Err(Answer::text(
                403,
                if github {
                    "This repository was archived so it is read-only.\n"
                } else {
                    "This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests."
                },
            ));
        }
        if github && (!scoped || access < Access::Write) {
            let text = format!("Permission to {}.git denied to {user}.\n", repo.slug);
            return Err(Answer::text(403, &text));
        }
        if !scoped {
            return Err(Answer::text(403, "Forbidden\n"));
        }
        if access < Access::Write {
            // Not before the hook: a push to refs/for/ would have been allowed.
            refuse = format!("{}: User permission denied for writing.", speaker(dialect));
        }
    }
    let protected: Vec<String> = repo
        .protected
        .iter()
        .map(|branch| format!("refs/heads/{branch}"))
        .collect();
    Ok(Plan {
        root: state.dir.clone(),
        path: format!("/{}.git/{rest}", repo.slug),
        user,
        dialect: speaker(dialect),
        protected: protected.join("\n"),
        refuse,
    })
}

/// Who speaks in the lines that git shows after `remote:`.
fn speaker(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Forgejo => "Forgejo",
        Dialect::Gitea => "Gitea",
        Dialect::Github => "github",
    }
}

/// Runs the backend.
pub(crate) fn run(plan: &Plan, request: &Request) -> Answer {
    let mut command = git::command("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &plan.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &plan.path)
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REMOTE_USER", &plan.user)
        .env("STAND_IN_DIALECT", plan.dialect)
        .env("STAND_IN_PROTECTED", &plan.protected)
        .env("STAND_IN_REFUSE", &plan.refuse);
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    let output = match git::fed(&mut command, &request.body) {
        Ok(output) => output,
        Err(error) => return Answer::text(500, &format!("stand-in: git http-backend: {error}")),
    };
    let split = output
        .stdout
        .windows(4)
        .position(|four| four == b"\r\n\r\n");
    let Some(split) = split else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Answer::text(500, &format!("stand-in: git http-backend: {complaint}"));
    };
    let (head, body) = output.stdout.split_at(split);
    let mut answer = Answer::empty(200);
    answer.body = body.get(4..).unwrap_or_default().to_vec();
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name == "Status" {
            let number = value.split(' ').next().unwrap_or_default();
            answer.status = number.parse().unwrap_or(500);
        } else {
            answer = answer.with(name, value);
        }
    }
    answer
}
