//! GitHub's API.

use serde_json::{Value, json};

use super::git;
use super::http::Answer;
use super::model::{
    Access, Comment, Dialect, Label, Merging, Pull, PullState, Repo, State, Token, stamp,
};
use super::{Asker, Call, page};

/// How long a page is, and how long it may be.
const PAGE: (usize, usize) = (30, 100);

/// How long a body may be, in characters.
const BODY_CHARACTERS: usize = 65_536;

/// How long a title may be, in characters.
const TITLE_CHARACTERS: usize = 256;

/// Answers an API request; none where it is not implemented.
pub(crate) fn answer(state: &mut State, call: &Call<'_>) -> Option<Answer> {
    if call.request.header("user-agent").is_none() {
        let text = "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Some(Answer::text(403, text).typed("text/html"));
    }
    if matches!(call.asker, Asker::Wrong) {
        return Some(error(401, "Bad credentials", "rest"));
    }
    let parts: Vec<&str> = call.parts.iter().map(String::as_str).collect();
    let answer = match (call.method, parts.as_slice()) {
        ("GET", ["meta"]) => {
            let body =
                json!({"verifiable_password_authentication": true, "installed_version": "3.17.0"});
            Answer::json(200, &body)
        }
        ("GET", ["user"]) => match call.asker.token() {
            Some(token) if token.automatic.is_none() => {
                Answer::json(200, &json!({"id": 7, "login": token.user, "type": "User"}))
            }
            Some(_) => error(403, "Resource not accessible by integration", "rest"),
            None => error(401, "Requires authentication", "rest"),
        },
        (_, ["repos", owner, name, rest @ ..]) => {
            in_repository(state, call, &format!("{owner}/{name}"), rest)?
        }
        (_, ["repositories", id, rest @ ..]) => {
            let repo = state.repos.iter().find(|repo| repo.id.to_string() == *id);
            match repo.map(|repo| repo.slug.clone()) {
                Some(slug) => in_repository(state, call, &slug, rest)?,
                None => not_found(),
            }
        }
        _ => return None,
    };
    Some(
        answer
            .with("X-GitHub-Request-Id", "0000:0000:0000:0000:00000000")
            .with("X-RateLimit-Limit", "5000")
            .with("X-RateLimit-Remaining", "4999"),
    )
}

/// Answers a request about a repository.
fn in_repository(state: &mut State, call: &Call<'_>, slug: &str, rest: &[&str]) -> Option<Answer> {
    let Some(index) = state
        .repos
        .iter()
        .position(|repo| repo.slug.eq_ignore_ascii_case(slug))
    else {
        return Some(moved(state, call, slug, rest).unwrap_or_else(not_found));
    };
    let repo = state.repos.get(index)?.clone();
    let slug = repo.slug.clone();
    let access = state.access(&repo, call.asker.token());
    if access == Access::None {
        return Some(not_found());
    }
    let write = call.method != "GET";
    if write && call.asker.token().is_none() {
        return Some(error(401, "Requires authentication", "rest"));
    }
    if write && repo.archived {
        return Some(error(
            403,
            "Repository was archived so is read-only.",
            "rest",
        ));
    }
    if let Some(answer) = forbidden(call, rest, access, write) {
        return Some(answer);
    }
    let token = call
        .asker
        .token()
        .cloned()
        .unwrap_or_else(|| Token::new("", ""));
    let pull = |text: &&str| {
        let wanted = text.parse::<u64>().ok()?;
        repo.pulls.iter().find(|pull| pull.number == wanted)
    };
    Some(match (call.method, rest) {
        ("GET", []) => Answer::json(200, &repo_json(state, &repo, access)),
        ("GET", ["pulls"]) => list(state, call, &repo, access),
        ("POST", ["pulls"]) => open(state, call, &repo, &token),
        ("GET", ["pulls", n]) => match pull(n) {
            Some(pull) => Answer::json(200, &pull_json(state, &repo, pull, access)),
            None => not_found(),
        },
        ("PATCH", ["pulls", n]) => match pull(n) {
            Some(pull) => edit(state, call, &repo, pull.number),
            None => not_found(),
        },
        ("GET", ["pulls", n, "merge"]) => match pull(n) {
            Some(pull) if pull.merged => Answer::empty(204),
            _ => not_found(),
        },
        ("PUT", ["pulls", n, "merge"]) => match pull(n) {
            Some(pull) => merge(state, call, &repo, pull),
            None => not_found(),
        },
        ("POST", ["pulls", n, "requested_reviewers"]) => match pull(n) {
            Some(pull) => reviewers(state, call, &repo, pull.number),
            None => not_found(),
        },
        ("GET", ["issues", n, "comments"]) => match pull(n) {
            Some(pull) => {
                let all: Vec<Value> = pull
                    .comments
                    .iter()
                    .map(|comment| comment_json(state, &repo, pull, comment))
                    .collect();
                paged(state, call, &all)
            }
            None => not_found(),
        },
        ("POST", ["issues", n, "comments"]) => match pull(n) {
            Some(pull) => comment(state, call, &repo, pull, &token),
            None => not_found(),
        },
        (method @ ("GET" | "POST" | "PUT" | "DELETE"), ["issues", n, "labels"]) => match pull(n) {
            Some(pull) => labels(state, call, method, &repo, pull.number),
            None => not_found(),
        },
        ("POST", ["issues", n, "assignees"]) => match pull(n) {
            Some(pull) => {
                // Unknown ones are left out in silence.
                let mut names = call.texts("assignees");
                names.retain(|name| state.users.contains(name));
                let pull = state.pull(&slug, pull.number);
                pull.assignees.extend(names);
                let pull = pull.clone();
                Answer::json(201, &pull_json(state, &repo, &pull, access))
            }
            None => not_found(),
        },
        ("GET", ["branches", name @ ..]) => {
            let name = name.join("/");
            match git::tip(&repo.path, &name) {
                Some(id) => Answer::json(200, &branch_json(state, &repo, &name, &id)),
                None => error(
                    404,
                    "Branch not found",
                    "rest/branches/branches#get-a-branch",
                ),
            }
        }
        ("GET", ["git", "ref", "heads", name @ ..]) => {
            match git::tip(&repo.path, &name.join("/")) {
                Some(id) => Answer::json(200, &ref_json(&name.join("/"), &id)),
                None => not_found(),
            }
        }
        ("POST", ["git", "refs"]) => {
            let name = call.text("ref").unwrap_or_default();
            let branch = name.strip_prefix("refs/heads/").unwrap_or_default();
            let id = call.text("sha").unwrap_or_default();
            if git::tip(&repo.path, branch).is_some() {
                error(
                    422,
                    "Reference already exists",
                    "rest/git/refs#create-a-reference",
                )
            } else if branch.is_empty() || git::set_ref(&repo.path, name, id).is_err() {
                error(
                    422,
                    "Object does not exist",
                    "rest/git/refs#create-a-reference",
                )
            } else {
                Answer::json(201, &ref_json(branch, id))
            }
        }
        ("PATCH", ["git", "refs", "heads", name @ ..]) => {
            update_ref(state, call, &repo, &name.join("/"))
        }
        ("DELETE", ["git", "refs", "heads", name @ ..]) => {
            let name = name.join("/");
            if git::tip(&repo.path, &name).is_none() {
                error(
                    422,
                    "Reference does not exist",
                    "rest/git/refs#delete-a-reference",
                )
            } else if repo.protected.contains(&name) {
                error(
                    422,
                    "Cannot delete this protected branch",
                    "rest/git/refs#delete-a-reference",
                )
            } else {
                state.delete_branch(&slug, &name);
                Answer::empty(204)
            }
        }
        _ => return None,
    })
}

/// Answers where a token may not do what it asks for.
fn forbidden(call: &Call<'_>, rest: &[&str], access: Access, write: bool) -> Option<Answer> {
    let token = call.asker.token()?;
    let level = if write { "write" } else { "read" };
    let areas: &[&str] = match rest {
        ["pulls", _, "merge"] if write => &["contents"],
        ["pulls", ..] => &["pull_requests"],
        ["issues", ..] => &["issues", "pull_requests"],
        ["branches" | "git", ..] => &["contents"],
        _ => &[],
    };
    let scoped = areas.is_empty()
        || areas
            .iter()
            .any(|area| token.may(&format!("{area}:{level}")));
    if scoped && (!write || access == Access::Write) {
        return None;
    }
    let what = if token.automatic.is_some() {
        "integration"
    } else {
        "personal access token"
    };
    let needed: Vec<String> = areas.iter().map(|area| format!("{area}={level}")).collect();
    let answer = error(403, &format!("Resource not accessible by {what}"), "rest");
    Some(answer.with("X-Accepted-GitHub-Permissions", &needed.join("; ")))
}

fn error(status: u16, message: &str, page: &str) -> Answer {
    let url = format!("https://docs.github.com/{page}");
    let body = json!({"message": message, "documentation_url": url, "status": status.to_string()});
    Answer::json(status, &body)
}

fn not_found() -> Answer {
    error(404, "Not Found", "rest")
}

/// The answer to something whose parts are wrong.
fn invalid(errors: &Value) -> Answer {
    let url = "https://docs.github.com/rest/pulls/pulls";
    let body = json!({"message": "Validation Failed", "errors": errors, "documentation_url": url, "status": "422"});
    Answer::json(422, &body)
}

fn custom(resource: &str, field: &str, message: &str) -> Answer {
    let mut one = json!({"resource": resource, "code": "custom", "message": message});
    if !field.is_empty() {
        one["field"] = json!(field);
    }
    invalid(&json!([one]))
}

/// Leads from an old name to the repository's number: 301 for reading, 307 for the rest.
fn moved(state: &State, call: &Call<'_>, slug: &str, rest: &[&str]) -> Option<Answer> {
    let repo = state.repos.iter().find(|repo| {
        let mut former = repo.former.iter();
        former.any(|(old, _)| old.eq_ignore_ascii_case(slug))
    })?;
    if state.access(repo, call.asker.token()) == Access::None {
        return None;
    }
    let mut place = format!("{}/api/v3/repositories/{}", state.server, repo.id);
    for part in rest {
        place = format!("{place}/{part}");
    }
    if !call.request.query.is_empty() {
        place = format!("{place}?{}", call.request.query);
    }
    let (status, text) = if call.method == "GET" {
        (301, "Moved Permanently")
    } else {
        (307, "Temporary Redirect")
    };
    let url = "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects";
    let body = json!({"message": text, "url": place, "documentation_url": url});
    Some(Answer::json(status, &body).with("Location", &place))
}

fn paged(state: &State, call: &Call<'_>, all: &[Value]) -> Answer {
    let size = match call.number("per_page") {
        Some(0) | None => PAGE.0,
        Some(size) => size.min(PAGE.1),
    };
    let address = format!("{}/api/v3{}", state.server, call.path);
    let number = call.number("page").unwrap_or(1);
    let (entries, link) = page(all, number, size, &address, &call.query);
    let answer = Answer::json(200, &Value::Array(entries));
    match link {
        Some(link) => answer.with("Link", &link),
        None => answer,
    }
}

fn list(state: &State, call: &Call<'_>, repo: &Repo, access: Access) -> Answer {
    if let Some(odd) = call
        .arg("state")
        .filter(|one| !["open", "closed", "all"].contains(one))
    {
        return invalid(
            &json!([{"resource": "PullRequest", "field": "state", "code": "invalid", "value": odd}]),
        );
    }
    let wanted = |pull: &&Pull| {
        let state = match call.arg("state") {
            Some("all") => true,
            Some("closed") => pull.state == PullState::Closed,
            _ => pull.state == PullState::Open,
        };
        // A head without its user filters nothing.
        let head = call
            .arg("head")
            .and_then(|head| head.split_once(':'))
            .is_none_or(|(user, branch)| {
                let owner = pull.head_repo.as_deref().unwrap_or(&repo.slug);
                let owner = owner.split('/').next().unwrap_or_default();
                owner.eq_ignore_ascii_case(user) && pull.head_ref == branch
            });
        state && head && call.arg("base").is_none_or(|base| pull.base_ref == base)
    };
    let mut pulls: Vec<&Pull> = repo.pulls.iter().filter(wanted).collect();
    let updated = matches!(call.arg("sort"), Some("updated"));
    if updated {
        pulls.sort_by_key(|pull| pull.times.1);
    }
    // Newest first, and oldest first for any other order but "created".
    let default = match call.arg("sort") {
        Some("created") | None => "desc",
        Some(_) => "asc",
    };
    if call.arg("direction").unwrap_or(default) == "desc" {
        pulls.reverse();
    }
    let all: Vec<Value> = pulls
        .into_iter()
        .map(|pull| pull_json(state, repo, pull, access))
        .collect();
    paged(state, call, &all)
}

/// Answers where a title or a body is too long.
fn too_long(call: &Call<'_>) -> Option<Answer> {
    let length = |name: &str| call.text(name).unwrap_or_default().chars().count();
    if length("title") > TITLE_CHARACTERS {
        let text = format!("title is too long (maximum is {TITLE_CHARACTERS} characters)");
        return Some(custom("Issue", "title", &text));
    }
    if length("body") > BODY_CHARACTERS {
        let text = format!("body is too long (maximum is {BODY_CHARACTERS} characters)");
        return Some(custom("Issue", "body", &text));
    }
    None
}

fn open(state: &mut State, call: &Call<'_>, repo: &Repo, token: &Token) -> Answer {
    for name in ["head", "base"] {
        if call.text(name).is_none() {
            let text = format!("Invalid request.\n\n\"{name}\" wasn't supplied.");
            return error(422, &text, "rest/pulls/pulls#create-a-pull-request");
        }
    }
    if token.automatic.is_some() && !state.actions_may_open {
        let text = "GitHub Actions is not permitted to create or approve pull requests.";
        return error(403, text, "rest/pulls/pulls#create-a-pull-request");
    }
    let text = |name: &str| call.text(name).unwrap_or_default().to_owned();
    let (head, base, title) = (text("head"), text("base"), text("title"));
    if title.is_empty() {
        return invalid(
            &json!([{"resource": "PullRequest", "code": "missing_field", "field": "title"}]),
        );
    }
    let head = match head.split_once(':') {
        Some((owner, branch)) if owner.eq_ignore_ascii_case(repo.owner()) => branch.to_owned(),
        Some(_) => String::new(),
        None => head,
    };
    let bad = |field: &str| {
        invalid(&json!([{"resource": "PullRequest", "field": field, "code": "invalid"}]))
    };
    let Some(base_tip) = git::tip(&repo.path, &base) else {
        return bad("base");
    };
    let Some(head_tip) = git::tip(&repo.path, &head) else {
        return bad("head");
    };
    let existing = repo.pulls.iter().any(|pull| {
        let own = pull.head_repo.is_none() && pull.state == PullState::Open;
        own && pull.head_ref == head && pull.base_ref == base
    });
    if existing {
        let text = format!("A pull request already exists for {}:{head}.", repo.owner());
        return custom("PullRequest", "", &text);
    }
    if git::contains(&repo.path, &base_tip, &head_tip) {
        return custom(
            "PullRequest",
            "",
            &format!("No commits between {base} and {head}"),
        );
    }
    if let Some(answer) = too_long(call) {
        return answer;
    }
    let number = state.open_pull(&repo.slug, &head, &base, &title, &text("body"), &token.user);
    let pull = state.pull(&repo.slug, number);
    pull.draft = call.body.get("draft") == Some(&Value::Bool(true));
    let pull = pull.clone();
    Answer::json(201, &pull_json(state, repo, &pull, Access::Write))
}

fn edit(state: &mut State, call: &Call<'_>, repo: &Repo, number: u64) -> Answer {
    if let Some(answer) = too_long(call) {
        return answer;
    }
    let now = state.tick();
    let pull = state.pull(&repo.slug, number);
    if call.text("title") == Some("") {
        return invalid(&json!([{"resource": "Issue", "code": "missing_field", "field": "title"}]));
    }
    match call.text("state") {
        Some("closed") => {
            pull.state = PullState::Closed;
            pull.armed_for = None;
        }
        Some("open") if pull.merged || git::tip(&repo.path, &pull.head_ref).is_none() => {
            return custom("PullRequest", "state", "state cannot be changed.");
        }
        Some("open") => pull.state = PullState::Open,
        Some(odd) => {
            return invalid(
                &json!([{"resource": "PullRequest", "field": "state", "code": "invalid", "value": odd}]),
            );
        }
        None => {}
    }
    if let Some(title) = call.text("title") {
        title.clone_into(&mut pull.title);
    }
    if let Some(body) = call.text("body") {
        body.clone_into(&mut pull.body);
    }
    if let Some(base) = call.text("base") {
        base.clone_into(&mut pull.base_ref);
    }
    pull.edits += 1;
    pull.times.1 = now;
    let pull = pull.clone();
    Answer::json(200, &pull_json(state, repo, &pull, Access::Write))
}

fn merge(state: &mut State, call: &Call<'_>, repo: &Repo, pull: &Pull) -> Answer {
    let page = "rest/pulls/pulls#merge-a-pull-request";
    if pull.state == PullState::Closed || pull.draft {
        return error(405, "Pull Request is not mergeable", page);
    }
    if call.text("sha").is_some_and(|sha| sha != pull.head_sha) {
        return error(
            409,
            "Head branch was modified. Review and try the merge again.",
            page,
        );
    }
    let how = match call.text("merge_method") {
        Some("squash") => Merging::Squash,
        _ => Merging::Merge,
    };
    match state.merge_pull(&repo.slug, pull.number, how, false) {
        Ok(id) => Answer::json(
            200,
            &json!({"sha": id, "merged": true, "message": "Pull Request successfully merged"}),
        ),
        Err(_) => error(405, "Pull Request is not mergeable", page),
    }
}

fn reviewers(state: &mut State, call: &Call<'_>, repo: &Repo, number: u64) -> Answer {
    let names = call.texts("reviewers");
    let page = "rest/pulls/review-requests#request-reviewers-for-a-pull-request";
    if names.iter().any(|name| !state.users.contains(name)) {
        let text = "Reviews may only be requested from collaborators. One or more of the users or teams you specified \
                    is not a collaborator of the repository.";
        return error(422, text, page);
    }
    let pull = state.pull(&repo.slug, number);
    if names.contains(&pull.user) {
        return error(
            422,
            "Review cannot be requested from pull request author.",
            page,
        );
    }
    pull.reviewers.extend(names);
    let pull = pull.clone();
    Answer::json(201, &pull_json(state, repo, &pull, Access::Write))
}

fn comment(state: &mut State, call: &Call<'_>, repo: &Repo, pull: &Pull, token: &Token) -> Answer {
    let body = call.text("body").unwrap_or_default();
    if body.is_empty() {
        return invalid(
            &json!([{"resource": "IssueComment", "code": "missing_field", "field": "body"}]),
        );
    }
    if body.chars().count() > BODY_CHARACTERS {
        let text = format!("Body is too long (maximum is {BODY_CHARACTERS} characters)");
        return custom("IssueComment", "data", &text);
    }
    let comment = Comment {
        id: state.next_id(),
        user: token.user.clone(),
        body: body.to_owned(),
    };
    let answer = comment_json(state, repo, pull, &comment);
    state.pull(&repo.slug, pull.number).comments.push(comment);
    Answer::json(201, &answer)
}

fn labels(state: &mut State, call: &Call<'_>, method: &str, repo: &Repo, number: u64) -> Answer {
    let names = match call.body.as_array() {
        Some(list) => list
            .iter()
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect(),
        None => call.texts("labels"),
    };
    // What is not there yet is made.
    for name in &names {
        if !repo.labels.iter().any(|label| label.name == *name) {
            state.add_label(&repo.slug, name, false);
        }
    }
    let pull = state.pull(&repo.slug, number);
    match method {
        "GET" => {}
        "POST" => {
            pull.labels.extend(names);
            pull.labels.dedup();
        }
        "PUT" => pull.labels = names,
        _ => {
            pull.labels.clear();
            return Answer::empty(204);
        }
    }
    let names = pull.labels.clone();
    Answer::json(200, &labels_json(state.repo(&repo.slug), &names))
}

fn update_ref(state: &mut State, call: &Call<'_>, repo: &Repo, branch: &str) -> Answer {
    let page = "rest/git/refs#update-a-reference";
    let id = call.text("sha").unwrap_or_default();
    let Some(old) = git::tip(&repo.path, branch) else {
        return error(422, "Reference does not exist", page);
    };
    if repo.protected.iter().any(|one| one == branch) {
        return error(422, "Protected branch update failed", page);
    }
    let force = call.body.get("force") == Some(&Value::Bool(true));
    if !force && !git::contains(&repo.path, id, &old) {
        return error(422, "Update is not a fast forward", page);
    }
    if git::set_ref(&repo.path, &format!("refs/heads/{branch}"), id).is_err() {
        return error(422, "Object does not exist", page);
    }
    state.notice();
    Answer::json(200, &ref_json(branch, id))
}

/// Answers the mutations we use: drafts and auto-merge. Errors come with status 200.
pub(crate) fn graphql(state: &mut State, call: &Call<'_>) -> Answer {
    let failed = |message: &str| {
        let body = json!({"data": null, "errors": [{"type": "UNPROCESSABLE", "message": message}]});
        Answer::json(200, &body)
    };
    let Some(token) = call.asker.token().cloned() else {
        return error(401, "Bad credentials", "graphql");
    };
    let query = call.text("query").unwrap_or_default();
    let Some((repo_id, number)) = node(&call.body["variables"]) else {
        return failed("Could not resolve to a node with the global id of ''");
    };
    let repo = state.repos.iter().find(|repo| repo.id == repo_id);
    let Some(repo) = repo
        .filter(|repo| state.access(repo, Some(&token)) == Access::Write)
        .cloned()
    else {
        return failed("Could not resolve to a node with the global id of 'PR_?'");
    };
    let Some(pull) = repo.pulls.iter().find(|pull| pull.number == number) else {
        return failed("Could not resolve to a node with the global id of 'PR_?'");
    };
    let guarded = repo.protected.contains(&pull.base_ref);
    let change = state.pull(&repo.slug, number);
    if query.contains("convertPullRequestToDraft") {
        change.draft = true;
        change.armed_for = None;
    } else if query.contains("markPullRequestReadyForReview") {
        change.draft = false;
    } else if query.contains("disablePullRequestAutoMerge") {
        if change.armed_for.take().is_none() {
            return failed("Can't disable auto-merge for this pull request");
        }
    } else if query.contains("enablePullRequestAutoMerge") {
        if !repo.allow_auto_merge {
            return failed("Auto merge is not allowed for this repository");
        }
        if !guarded {
            return failed("Protected branch rules not configured for this branch");
        }
        if repo.required_checks.is_empty() {
            return failed("Pull request Pull request is in clean status");
        }
        change.armed_for = Some(change.head_sha.clone());
    } else {
        return Answer::text(500, &format!("stand-in: not implemented GraphQL {query}"));
    }
    let id = format!("PR_{repo_id}_{number}");
    Answer::json(
        200,
        &json!({"data": {"done": {"pullRequest": {"id": id, "isDraft": change.draft}}}}),
    )
}

/// Finds a pull request's global number in the variables of a query.
fn node(value: &Value) -> Option<(u64, u64)> {
    match value {
        Value::String(text) => {
            let (repo, number) = text.strip_prefix("PR_")?.split_once('_')?;
            Some((repo.parse().ok()?, number.parse().ok()?))
        }
        Value::Object(fields) => fields.values().find_map(node),
        _ => None,
    }
}

fn user_json(name: &str) -> Value {
    let kind = if name.ends_with("[bot]") {
        "Bot"
    } else {
        "User"
    };
    json!({"id": 7, "login": name, "type": kind})
}

fn labels_json(repo: &Repo, names: &[String]) -> Value {
    let entry = |label: &Label| json!({"id": label.id, "name": label.name, "color": "ededed", "default": false});
    let list = repo
        .labels
        .iter()
        .filter(|label| names.contains(&label.name));
    list.map(entry).collect()
}

fn comment_json(state: &State, repo: &Repo, pull: &Pull, comment: &Comment) -> Value {
    let page = format!("{}/{}/pull/{}", state.server, repo.slug, pull.number);
    json!({
        "id": comment.id, "body": comment.body, "user": user_json(&comment.user),
        "html_url": format!("{page}#issuecomment-{}", comment.id), "created_at": stamp(0), "updated_at": stamp(0),
    })
}

fn ref_json(branch: &str, id: &str) -> Value {
    json!({"ref": format!("refs/heads/{branch}"), "object": {"type": "commit", "sha": id}})
}

fn branch_json(state: &State, repo: &Repo, name: &str, id: &str) -> Value {
    let protected = repo.protected.iter().any(|one| one == name);
    let contexts: &[String] = if protected {
        &repo.required_checks
    } else {
        &[]
    };
    let level = if contexts.is_empty() {
        "off"
    } else {
        "non_admins"
    };
    let api = format!(
        "{}/api/v3/repos/{}/branches/{name}",
        state.server, repo.slug
    );
    json!({
        "name": name, "commit": {"sha": id}, "protected": protected,
        "protection": {
            "enabled": protected, "required_status_checks": {"enforcement_level": level, "contexts": contexts},
        },
        "_links": {"self": api}, "protection_url": format!("{api}/protection"),
    })
}

fn repo_json(state: &State, repo: &Repo, access: Access) -> Value {
    let page = format!("{}/{}", state.server, repo.slug);
    let mut body = json!({
        "id": repo.id, "name": repo.name(), "full_name": repo.slug, "owner": user_json(repo.owner()),
        "private": repo.private, "fork": repo.fork, "archived": repo.archived, "disabled": false,
        "default_branch": repo.default_branch, "html_url": page, "clone_url": format!("{page}.git"),
        "has_pull_requests": repo.has_pull_requests, "allow_auto_merge": repo.allow_auto_merge,
        "allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": true,
    });
    // Nobody in particular is not told.
    if access > Access::None {
        let write = access == Access::Write;
        body["permissions"] = json!({"admin": false, "maintain": false, "push": write, "triage": write, "pull": true});
    }
    body
}

fn pull_json(state: &State, repo: &Repo, pull: &Pull, access: Access) -> Value {
    let page = format!("{}/{}/pull/{}", state.server, repo.slug, pull.number);
    let api = format!(
        "{}/api/v3/repos/{}/pulls/{}",
        state.server, repo.slug, pull.number
    );
    let repository = repo_json(state, repo, access);
    let head_owner = pull.head_repo.as_deref().unwrap_or(&repo.slug);
    let head_owner = head_owner.split('/').next().unwrap_or_default();
    let head_repo = match &pull.head_repo {
        Some(slug) => json!({"id": 999, "full_name": slug, "fork": true}),
        None => repository.clone(),
    };
    let closed = pull.state == PullState::Closed;
    json!({
        "id": pull.id, "node_id": format!("PR_{}_{}", repo.id, pull.number), "number": pull.number, "url": api,
        "html_url": page, "state": if closed { "closed" } else { "open" }, "locked": false, "title": pull.title,
        // An empty body is none.
        "body": Some(&pull.body).filter(|body| !body.is_empty()), "user": user_json(&pull.user),
        "labels": labels_json(repo, &pull.labels), "draft": pull.is_draft(Dialect::Github),
        "assignees": pull.assignees.iter().map(|name| user_json(name)).collect::<Vec<_>>(),
        "requested_reviewers": pull.reviewers.iter().map(|name| user_json(name)).collect::<Vec<_>>(),
        "merged_at": pull.merged.then(|| stamp(pull.times.1)), "merge_commit_sha": pull.merge_commit,
        "created_at": stamp(pull.times.0), "updated_at": stamp(pull.times.1),
        "closed_at": closed.then(|| stamp(pull.times.1)),
        "auto_merge": pull.armed_for.as_ref().map(|_| json!({"merge_method": "merge"})),
        "head": {
            "label": format!("{head_owner}:{}", pull.head_ref), "ref": pull.head_ref, "sha": pull.head_sha,
            "repo": head_repo,
        },
        "base": {
            "label": format!("{}:{}", repo.owner(), pull.base_ref), "ref": pull.base_ref,
            "sha": git::tip(&repo.path, &pull.base_ref).unwrap_or_default(), "repo": repository,
        },
    })
}
