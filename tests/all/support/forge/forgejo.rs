//! Forgejo's API, and Gitea's.

use serde_json::{Value, json};

use super::git;
use super::http::Answer;
use super::model::{
    Access, Comment, Dialect, Label, Merging, Pull, PullState, Repo, State, Token, stamp,
};
use super::{Asker, Call, page};

/// Forgejo's version.
pub(crate) const FORGEJO_VERSION: &str = "12.0.0+gitea-1.22.0";

/// Gitea's version.
const GITEA_VERSION: &str = "1.25.0";

/// Where titles are cut, in bytes.
const TITLE_BYTES: usize = 255;

/// How long a page is, and how long it may be.
const PAGE: (usize, usize) = (30, 50);

/// Answers an API request; none where it is not implemented.
pub(crate) fn answer(state: &mut State, call: &Call<'_>) -> Option<Answer> {
    if matches!(call.asker, Asker::Wrong) {
        return Some(error(state, 401, "user does not exist [uid: 0, name: ]"));
    }
    let parts: Vec<&str> = call.parts.iter().map(String::as_str).collect();
    Some(match (call.method, parts.as_slice()) {
        ("GET", ["version"]) => {
            let version = if state.dialect == Dialect::Gitea {
                GITEA_VERSION
            } else {
                FORGEJO_VERSION
            };
            Answer::json(200, &json!({"version": version}))
        }
        ("GET", ["settings", "api"]) => Answer::json(
            200,
            &json!({
                "max_response_items": PAGE.1, "default_paging_num": PAGE.0,
                "default_git_trees_per_page": 1000, "default_max_blob_size": 10_485_760,
            }),
        ),
        ("GET", ["user"]) => match scoped(state, call, &["read:user"]) {
            Err(answer) => answer,
            Ok(Some(token)) => {
                let id = if token.automatic.is_some() { -2 } else { 7 };
                Answer::json(
                    200,
                    &json!({"id": id, "login": token.user, "username": token.user}),
                )
            }
            Ok(None) => error(state, 401, "token is required"),
        },
        ("GET", ["orgs", owner, "labels"]) => match scoped(state, call, &["read:organization"]) {
            Err(answer) => answer,
            Ok(_) => {
                let labels = state
                    .repos
                    .iter()
                    .filter(|repo| repo.owner() == *owner)
                    .flat_map(|repo| &repo.labels)
                    .filter(|label| label.of_organisation)
                    .map(label_json)
                    .collect();
                Answer::json(200, &Value::Array(labels))
            }
        },
        (_, ["repos", owner, name, rest @ ..]) => {
            return in_repository(state, call, &format!("{owner}/{name}"), rest);
        }
        _ => return None,
    })
}

/// Answers a request about a repository.
fn in_repository(state: &mut State, call: &Call<'_>, slug: &str, rest: &[&str]) -> Option<Answer> {
    let level = if call.method == "GET" {
        "read"
    } else {
        "write"
    };
    let category = match rest {
        ["issues" | "labels", ..] => "issue",
        _ => "repository",
    };
    let token = match scoped(state, call, &[&format!("{level}:{category}")]) {
        Ok(token) => token,
        Err(answer) => return Some(answer),
    };
    let Some(index) = state
        .repos
        .iter()
        .position(|repo| repo.slug.eq_ignore_ascii_case(slug))
    else {
        return Some(moved(state, call, slug).unwrap_or_else(|| not_found(state)));
    };
    let repo = state.repos.get(index)?.clone();
    let access = state.access(&repo, token.as_ref());
    if access == Access::None {
        return Some(not_found(state));
    }
    let write = call.method != "GET";
    if write && token.is_none() {
        return Some(error(state, 401, "token is required"));
    }
    if write && repo.archived {
        let text = format!("<Repository {}:{}> is archived", repo.id, repo.slug);
        return Some(error(state, 423, &text));
    }
    let token = token.unwrap_or_else(|| Token::new("", ""));
    let number = |text: &&str| text.parse::<u64>().ok();
    let pull = |text: &&str| {
        let wanted = number(text)?;
        repo.pulls.iter().find(|pull| pull.number == wanted)
    };
    if !repo.has_pull_requests && rest.first() == Some(&"pulls") {
        return Some(not_found(state));
    }
    Some(match (call.method, rest) {
        ("GET", []) => Answer::json(200, &repo_json(state, &repo, access)),
        ("GET", ["pulls"]) => list(state, call, &repo, access),
        ("POST", ["pulls"]) => open(state, call, &repo, &token),
        ("GET", ["pulls", n]) => match pull(n) {
            Some(pull) => Answer::json(200, &pull_json(state, &repo, pull, access)),
            None => not_found(state),
        },
        ("PATCH", ["pulls", n]) => match pull(n) {
            Some(pull) => edit(state, call, &repo, pull.number, &token, access),
            None => not_found(state),
        },
        ("GET", ["pulls", n, "merge"]) => match pull(n) {
            Some(pull) if pull.merged => Answer::empty(204),
            _ => not_found(state),
        },
        ("POST", ["pulls", n, "merge"]) => match pull(n) {
            Some(pull) => merge(state, call, &repo, pull.number, access),
            None => not_found(state),
        },
        ("DELETE", ["pulls", n, "merge"]) => match pull(n) {
            Some(pull) if pull.armed_for.is_some() => {
                state.pull(slug, pull.number).armed_for = None;
                Answer::empty(204)
            }
            _ => not_found(state),
        },
        ("POST", ["pulls", n, "requested_reviewers"]) => match pull(n) {
            Some(pull) => reviewers(state, call, &repo, pull, access),
            None => not_found(state),
        },
        ("GET", ["pulls", base, head @ ..]) => {
            let head = head.join("/");
            // No state, no order: the first there ever was.
            let found = repo
                .pulls
                .iter()
                .find(|pull| pull.base_ref == *base && pull.head_ref == head);
            match found {
                Some(pull) => Answer::json(200, &pull_json(state, &repo, pull, access)),
                None => not_found(state),
            }
        }
        ("GET", ["issues", n, "comments"]) => match pull(n) {
            Some(pull) => {
                let comments = pull
                    .comments
                    .iter()
                    .map(|one| comment_json(state, &repo, pull, one));
                Answer::json(200, &comments.collect())
            }
            None => not_found(state),
        },
        ("POST", ["issues", n, "comments"]) => match pull(n) {
            Some(_) if call.text("body").unwrap_or_default().is_empty() => {
                error(state, 422, "[Body]: Required")
            }
            Some(pull) => {
                let id = state.next_id();
                let comment = Comment {
                    id,
                    user: token.user.clone(),
                    body: call.text("body").unwrap_or_default().to_owned(),
                };
                let answer = comment_json(state, &repo, pull, &comment);
                state.pull(slug, pull.number).comments.push(comment);
                Answer::json(201, &answer)
            }
            None => not_found(state),
        },
        (method, ["issues", n, "labels"]) => match pull(n) {
            Some(pull) => labels(state, call, method, &repo, pull, access),
            None => not_found(state),
        },
        ("GET", ["labels"]) => {
            // Those of the organisation are elsewhere.
            let own = repo.labels.iter().filter(|label| !label.of_organisation);
            paged(state, call, &own.map(label_json).collect::<Vec<_>>())
        }
        ("POST", ["labels"]) => match (call.text("name"), call.text("color")) {
            (Some(name), Some(_)) if access == Access::Write => {
                let id = state.add_label(slug, name, false);
                Answer::json(
                    201,
                    &json!({"id": id, "name": name, "color": call.text("color")}),
                )
            }
            (Some(_), Some(_)) => Answer::empty(403),
            (None, _) => error(state, 422, "[Name]: Required"),
            (_, None) => error(state, 422, "[Color]: Required"),
        },
        ("GET", ["branches"]) => {
            let all: Vec<Value> = git::branches(&repo.path)
                .iter()
                .map(|(name, id)| branch_json(&repo, name, id))
                .collect();
            paged(state, call, &all)
        }
        ("GET", ["branches", name @ ..]) => {
            let name = name.join("/");
            match git::tip(&repo.path, &name) {
                Some(id) => Answer::json(200, &branch_json(&repo, &name, &id)),
                None => not_found(state),
            }
        }
        ("DELETE", ["branches", name @ ..]) => {
            let name = name.join("/");
            if access < Access::Write {
                error(
                    state,
                    403,
                    "user should have a permission to write to a repo",
                )
            } else if git::tip(&repo.path, &name).is_none() {
                not_found(state)
            } else if name == repo.default_branch {
                error(state, 403, "can not delete default branch")
            } else if repo.protected.contains(&name) {
                error(state, 403, "branch protected")
            } else {
                state.delete_branch(slug, &name);
                Answer::empty(204)
            }
        }
        ("POST", ["statuses", _]) if access == Access::Write => {
            Answer::json(201, &json!({"id": 1, "status": call.text("state")}))
        }
        _ => return None,
    })
}

/// Returns the token where it has the scopes asked for; the automatic one has no scopes, and needs none.
fn scoped(state: &State, call: &Call<'_>, scopes: &[&str]) -> Result<Option<Token>, Answer> {
    let Some(token) = call.asker.token() else {
        return Ok(None);
    };
    if token.automatic.is_some() || scopes.iter().all(|scope| token.may(scope)) {
        return Ok(Some(token.clone()));
    }
    let text = format!(
        "token does not have at least one of required scope(s): [{}]",
        scopes.join(" ")
    );
    Err(error(state, 403, &text))
}

fn error(state: &State, status: u16, message: &str) -> Answer {
    let url = format!("{}/api/swagger", state.server);
    Answer::json(status, &json!({"message": message, "url": url}))
}

fn not_found(state: &State) -> Answer {
    let url = format!("{}/api/swagger", state.server);
    let message = "The target couldn't be found.";
    Answer::json(404, &json!({"errors": [], "message": message, "url": url}))
}

/// Leads from an old name to the new one: 301, or 307 where the owner was renamed. Only a path.
fn moved(state: &State, call: &Call<'_>, slug: &str) -> Option<Answer> {
    let (repo, owner) = state.repos.iter().find_map(|repo| {
        let mut former = repo.former.iter();
        let (_, owner) = former.find(|(old, _)| old.eq_ignore_ascii_case(slug))?;
        Some((repo, *owner))
    })?;
    let target = call.request.target().replacen(slug, &repo.slug, 1);
    let answer = Answer::empty(if owner { 307 } else { 301 });
    Some(answer.with("Location", &target))
}

/// Returns a page of a list with its headers.
fn paged(state: &State, call: &Call<'_>, all: &[Value]) -> Answer {
    let size = match call.number("limit") {
        Some(0) | None => PAGE.0,
        Some(size) => size.min(PAGE.1),
    };
    let address = format!("{}/api/v1{}", state.server, call.path);
    let number = call.number("page").unwrap_or(1);
    let (entries, link) = page(all, number, size, &address, &call.query);
    let answer =
        Answer::json(200, &Value::Array(entries)).with("X-Total-Count", &all.len().to_string());
    match link {
        Some(link) => answer.with("Link", &link),
        None => answer,
    }
}

fn list(state: &State, call: &Call<'_>, repo: &Repo, access: Access) -> Answer {
    let wanted = |pull: &&Pull| match call.arg("state") {
        Some("all") => true,
        Some("closed") => pull.state == PullState::Closed,
        _ => pull.state == PullState::Open,
    };
    let mut pulls: Vec<&Pull> = repo.pulls.iter().filter(wanted).collect();
    match call.arg("sort") {
        Some("oldest") => {}
        Some("recentupdate") => pulls.sort_by_key(|pull| std::cmp::Reverse(pull.times.1)),
        Some("leastupdate") => pulls.sort_by_key(|pull| pull.times.1),
        Some("mostcomment") => pulls.sort_by_key(|pull| std::cmp::Reverse(pull.comments.len())),
        Some("leastcomment") => pulls.sort_by_key(|pull| pull.comments.len()),
        _ => pulls.reverse(),
    }
    let mut all: Vec<Value> = pulls
        .into_iter()
        .map(|pull| pull_json(state, repo, pull, access))
        .collect();
    if state.null_entries {
        all.insert(0, Value::Null);
    }
    paged(state, call, &all)
}

fn open(state: &mut State, call: &Call<'_>, repo: &Repo, token: &Token) -> Answer {
    let mut given = ["Head", "Base", "Title"].into_iter();
    let missing = given.find(|name| {
        call.text(&name.to_lowercase())
            .unwrap_or_default()
            .is_empty()
    });
    if let Some(name) = missing {
        return error(state, 422, &format!("[{name}]: Required"));
    }
    let text = |name: &str| call.text(name).unwrap_or_default().to_owned();
    let (head, base) = (text("head"), text("base"));
    if head == base {
        let same = "Invalid PullRequest: There are no changes between the head and the base";
        return error(state, 422, same);
    }
    if token.automatic.is_some() && repo.private {
        // The job's user is nobody's collaborator.
        return error(state, 404, "Can't read pulls or can't read UnitTypeCode");
    }
    let head = match head.split_once(':') {
        Some((owner, branch)) if owner.eq_ignore_ascii_case(repo.owner()) => branch.to_owned(),
        Some(_) => return not_found(state),
        None => head,
    };
    if git::tip(&repo.path, &base).is_none() || git::tip(&repo.path, &head).is_none() {
        return not_found(state);
    }
    let existing = repo.pulls.iter().find(|pull| {
        let own = pull.head_repo.is_none() && pull.state == PullState::Open;
        own && pull.head_ref == head && pull.base_ref == base
    });
    if let Some(pull) = existing {
        let text = format!(
            "pull request already exists for these targets [id: {}, issue_id: {}, head_repo_id: {}, base_repo_id: {}, \
             head_branch: {head}, base_branch: {base}]",
            pull.id, pull.number, repo.id, repo.id
        );
        return error(state, 409, &text);
    }
    let assignees = call.texts("assignees");
    if let Some(name) = assignees.iter().find(|name| !is_user(state, name)) {
        let text = format!("Assignee does not exist: [name: {name}]");
        return error(state, 422, &text);
    }
    let labels = labels_by_id(call, repo);
    let title = cut(&text("title"));
    let number = state.open_pull(&repo.slug, &head, &base, &title, &text("body"), &token.user);
    let pull = state.pull(&repo.slug, number);
    pull.labels = labels.unwrap_or_default();
    pull.assignees = assignees;
    let pull = pull.clone();
    Answer::json(201, &pull_json(state, repo, &pull, Access::Write))
}

fn edit(
    state: &mut State,
    call: &Call<'_>,
    repo: &Repo,
    number: u64,
    token: &Token,
    access: Access,
) -> Answer {
    let now = state.tick();
    let pull = state.pull(&repo.slug, number);
    if access < Access::Write && pull.user != token.user {
        return Answer::empty(403);
    }
    if call
        .body
        .get("allow_maintainer_edit")
        .is_some_and(|value| !value.is_null())
        && pull.user != token.user
    {
        return Answer::empty(403);
    }
    // Not all or nothing: what came first stays, whatever is wrong later.
    if let Some(title) = call.text("title").filter(|title| !title.is_empty()) {
        pull.title = cut(title);
        pull.edits += 1;
        pull.times.1 = now;
    }
    if let Some(body) = call.text("body") {
        body.clone_into(&mut pull.body);
        pull.edits += 1;
        pull.times.1 = now;
    }
    if let Some(labels) = labels_by_id(call, repo) {
        pull.labels = labels;
    }
    if let Some(wanted) = call.text("state") {
        if pull.merged {
            return error(
                state,
                412,
                "cannot change state of this pull request, it was already merged",
            );
        }
        let closed = wanted == "closed";
        if !closed && git::tip(&repo.path, &pull.head_ref).is_none() {
            return error(state, 500, "");
        }
        pull.edits += 1;
        pull.times.1 = now;
        pull.state = if closed {
            pull.armed_for = None;
            PullState::Closed
        } else {
            PullState::Open
        };
    }
    if let Some(base) = call.text("base").filter(|base| !base.is_empty()) {
        if pull.state == PullState::Closed {
            return error(
                state,
                422,
                "cannot change the base of a closed pull request",
            );
        }
        if git::tip(&repo.path, base).is_none() {
            return error(state, 404, &format!("new base '{base}' not exist"));
        }
        base.clone_into(&mut pull.base_ref);
        pull.edits += 1;
    }
    let pull = pull.clone();
    Answer::json(201, &pull_json(state, repo, &pull, access))
}

fn merge(state: &mut State, call: &Call<'_>, repo: &Repo, number: u64, access: Access) -> Answer {
    let how = match call.text("Do") {
        Some("squash") => Merging::Squash,
        Some("merge") => Merging::Merge,
        Some(_) => return error(state, 405, "Invalid merge style: not allowed"),
        None => return error(state, 422, "[Do]: Required"),
    };
    let dialect = state.dialect;
    let pull = state.pull(&repo.slug, number);
    if pull.state == PullState::Closed {
        return error(state, 405, "");
    }
    if pull.is_draft(dialect) {
        return error(state, 405, "Work in progress PRs cannot be merged");
    }
    if access < Access::Write {
        return error(state, 405, "User not allowed to merge PR");
    }
    if pull.busy > 0 {
        pull.busy -= 1;
        return error(state, 405, "Please try again later");
    }
    let wanted = call.text("head_commit_id").unwrap_or(&pull.head_sha);
    if wanted != pull.head_sha {
        return error(state, 409, "head out of date");
    }
    if call.body.get("merge_when_checks_succeed") == Some(&Value::Bool(true)) {
        if pull.armed_for.is_some() {
            let text = "pull request is already scheduled to auto merge when checks succeed";
            return error(state, 409, text);
        }
        // The merge waits for a status, whether there will be one or not.
        pull.armed_for = Some(pull.head_sha.clone());
        return Answer::empty(201);
    }
    let delete = call.body.get("delete_branch_after_merge") == Some(&Value::Bool(true));
    match state.merge_pull(&repo.slug, number, how, delete) {
        Ok(_) => Answer::empty(200),
        Err(complaint) => error(state, 409, &complaint),
    }
}

fn reviewers(
    state: &mut State,
    call: &Call<'_>,
    repo: &Repo,
    pull: &Pull,
    access: Access,
) -> Answer {
    let names = call.texts("reviewers");
    if let Some(name) = names.iter().find(|name| !is_user(state, name)) {
        let text = format!("user '{name}' not exist");
        return error(state, 404, &text);
    }
    if names.contains(&pull.user) {
        return error(state, 422, "poster of pr can't be reviewer");
    }
    if access < Access::Write
        && call
            .asker
            .token()
            .is_none_or(|token| token.user != pull.user)
    {
        return error(state, 422, "doer can't choose reviewer");
    }
    let pull = state.pull(&repo.slug, pull.number);
    pull.reviewers.extend(names.clone());
    let reviews = names
        .iter()
        .map(|name| json!({"user": {"login": name}, "state": "REQUEST_REVIEW"}));
    Answer::json(201, &reviews.collect())
}

/// Labels of a pull request: by names or by numbers, never both; unknown ones are dropped in silence.
fn labels(
    state: &mut State,
    call: &Call<'_>,
    method: &str,
    repo: &Repo,
    pull: &Pull,
    access: Access,
) -> Answer {
    let wanted: Vec<Value> = call.body["labels"].as_array().cloned().unwrap_or_default();
    if method != "GET" && access < Access::Write {
        return Answer::empty(403);
    }
    if wanted.iter().any(Value::is_string) && wanted.iter().any(Value::is_number) {
        return error(
            state,
            400,
            "labels should be an array of strings or integers",
        );
    }
    let found: Vec<String> = repo
        .labels
        .iter()
        .filter(|label| {
            wanted
                .iter()
                .any(|one| *one == label.name.as_str() || *one == label.id)
        })
        .map(|label| label.name.clone())
        .collect();
    let pull = state.pull(&repo.slug, pull.number);
    match method {
        "GET" => {}
        "PUT" => pull.labels = found,
        "POST" => {
            pull.labels.extend(found);
            pull.labels.dedup();
        }
        _ => {
            pull.labels.clear();
            return Answer::empty(204);
        }
    }
    let names = pull.labels.clone();
    let list = repo
        .labels
        .iter()
        .filter(|label| names.contains(&label.name));
    Answer::json(200, &list.map(label_json).collect())
}

/// Returns the labels that a body names by their numbers, where it names any.
fn labels_by_id(call: &Call<'_>, repo: &Repo) -> Option<Vec<String>> {
    let wanted = call.body.get("labels")?.as_array()?;
    let known = repo
        .labels
        .iter()
        .filter(|label| wanted.iter().any(|one| *one == label.id));
    Some(known.map(|label| label.name.clone()).collect())
}

fn is_user(state: &State, name: &str) -> bool {
    state.users.iter().any(|user| user == name)
        || state.tokens.iter().any(|token| token.user == name)
}

/// Cuts a title as Forgejo does: to 255 bytes with an ellipsis, between characters, without a word about it.
fn cut(title: &str) -> String {
    if title.len() <= TITLE_BYTES {
        return title.to_owned();
    }
    let mut end = TITLE_BYTES - "…".len();
    while !title.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, _) = title.split_at(end);
    format!("{kept}…")
}

fn label_json(label: &Label) -> Value {
    json!({"id": label.id, "name": label.name, "color": "ededed", "description": "", "exclusive": false})
}

fn user_json(name: &str) -> Value {
    let id = match name {
        "forgejo-actions" | "gitea-actions" => -2,
        _ => 7,
    };
    json!({"id": id, "login": name, "username": name, "full_name": ""})
}

fn comment_json(state: &State, repo: &Repo, pull: &Pull, comment: &Comment) -> Value {
    let page = format!("{}/{}/pulls/{}", state.server, repo.slug, pull.number);
    json!({
        "id": comment.id, "body": comment.body, "user": user_json(&comment.user),
        "html_url": format!("{page}#issuecomment-{}", comment.id), "pull_request_url": page, "issue_url": "",
        "created_at": stamp(0), "updated_at": stamp(0),
    })
}

fn branch_json(repo: &Repo, name: &str, id: &str) -> Value {
    let protected = repo.protected.iter().any(|one| one == name);
    json!({
        "name": name, "commit": {"id": id, "message": ""}, "protected": protected, "required_approvals": 0,
        "enable_status_check": protected && !repo.required_checks.is_empty(),
        "status_check_contexts": if protected { repo.required_checks.as_slice() } else { &[] },
        "user_can_push": !protected, "user_can_merge": true,
        "effective_branch_protection_name": if protected { name } else { "" },
    })
}

fn repo_json(state: &State, repo: &Repo, access: Access) -> Value {
    let page = format!("{}/{}", state.server, repo.slug);
    json!({
        "id": repo.id, "name": repo.name(), "full_name": repo.slug, "owner": user_json(repo.owner()),
        "private": repo.private, "fork": repo.fork, "archived": repo.archived, "empty": false,
        "default_branch": repo.default_branch, "html_url": page, "clone_url": format!("{page}.git"),
        "permissions": {"admin": false, "push": access == Access::Write, "pull": true},
        "has_pull_requests": repo.has_pull_requests, "has_issues": true, "default_merge_style": "merge",
        "allow_merge_commits": true, "allow_squash_merge": true, "allow_rebase": true,
    })
}

fn pull_json(state: &State, repo: &Repo, pull: &Pull, access: Access) -> Value {
    let page = format!("{}/{}/pulls/{}", state.server, repo.slug, pull.number);
    let api = format!(
        "{}/api/v1/repos/{}/pulls/{}",
        state.server, repo.slug, pull.number
    );
    let repository = repo_json(state, repo, access);
    let head_tip = git::tip(&repo.path, &pull.head_ref).filter(|_| pull.head_repo.is_none());
    // A branch that is gone: the ref is the pull request's own then, and only the label still names the branch.
    let head_ref = if head_tip.is_some() || pull.head_repo.is_some() {
        pull.head_ref.clone()
    } else {
        format!("refs/pull/{}/head", pull.number)
    };
    let (head_repo_id, head_repo) = match &pull.head_repo {
        Some(slug) => (999, json!({"id": 999, "full_name": slug, "fork": true})),
        None => (repo.id, repository.clone()),
    };
    let labels: Vec<Value> = repo
        .labels
        .iter()
        .filter(|label| pull.labels.contains(&label.name))
        .map(label_json)
        .collect();
    let closed = pull.state == PullState::Closed;
    json!({
        "id": pull.id, "number": pull.number, "url": if state.api_urls { &api } else { &page }, "html_url": page,
        "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"),
        "user": user_json(&pull.user), "title": pull.title, "body": pull.body, "labels": labels, "milestone": null,
        "assignee": pull.assignees.first().map(|name| user_json(name)),
        "assignees": pull.assignees.iter().map(|name| user_json(name)).collect::<Vec<_>>(),
        "requested_reviewers": pull.reviewers.iter().map(|name| user_json(name)).collect::<Vec<_>>(),
        "state": if closed { "closed" } else { "open" }, "draft": pull.is_draft(state.dialect),
        "is_locked": false, "comments": pull.comments.len(), "mergeable": !closed && pull.busy == 0,
        "merged": pull.merged, "merged_at": pull.merged.then(|| stamp(pull.times.1)),
        "merge_commit_sha": pull.merge_commit, "allow_maintainer_edit": false,
        "base": {
            "label": pull.base_ref, "ref": pull.base_ref, "sha": git::tip(&repo.path, &pull.base_ref).unwrap_or_default(),
            "repo_id": repo.id, "repo": repository,
        },
        "head": {
            "label": pull.head_ref, "ref": head_ref,
            "sha": head_tip.as_deref().unwrap_or(&pull.head_sha),
            "repo_id": head_repo_id, "repo": head_repo,
        },
        "merge_base": "", "due_date": null, "created_at": stamp(pull.times.0), "updated_at": stamp(pull.times.1),
        "closed_at": closed.then(|| stamp(pull.times.1)), "pin_order": 0, "flow": 0,
    })
}
