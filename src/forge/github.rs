//! The dialect of GitHub and GitHub Enterprise.

use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Refusal};
use super::error::{ForgeError, Held};
use super::forgejo::what_of;
use super::http::{Http, Limits, Method, encoded};
use super::types::{
    NewPullRequest, OpenPulls, PrNumber, PrState, PullRequest, PullRequestEdit, Repository,
};
use super::verbs::{self, ClosedPage, Endpoint, Forge, Opened, PAGES, Token};
use crate::git::BranchName;

/// The most that a page holds.
const PAGE: &str = "100";

/// The client of a repository on GitHub.
#[derive(Debug)]
pub struct Github {
    http: Http,
}

#[derive(Deserialize)]
struct RepositoryDto {
    default_branch: Option<String>,
    archived: Option<bool>,
    private: Option<bool>,
    fork: Option<bool>,
    has_pull_requests: Option<bool>,
    permissions: Option<PermissionsDto>,
}

#[derive(Deserialize)]
struct PermissionsDto {
    push: Option<bool>,
}

#[derive(Deserialize)]
struct PullDto {
    number: u64,
    state: Option<String>,
    title: Option<String>,
    body: Option<String>,
    html_url: Option<String>,
    draft: Option<bool>,
    // Lists have only this one of the two.
    merged_at: Option<String>,
    merged: Option<bool>,
    labels: Option<Vec<LabelDto>>,
    head: Option<SideDto>,
    base: Option<SideDto>,
}

#[derive(Deserialize)]
struct LabelDto {
    name: Option<String>,
}

#[derive(Deserialize)]
struct SideDto {
    #[serde(rename = "ref")]
    name: Option<String>,
    sha: Option<String>,
    // None once a fork is deleted.
    repo: Option<RepoDto>,
}

#[derive(Deserialize)]
struct RepoDto {
    id: u64,
}

#[derive(Deserialize)]
struct BranchDto {
    protected: Option<bool>,
}

#[derive(Deserialize)]
struct CommentDto {
    body: Option<String>,
}

impl PullDto {
    /// Whether it is from this branch of the repository itself, to `base` or, without one, to any.
    fn is_from_to(&self, head: &BranchName, base: Option<&BranchName>) -> bool {
        let (Some(from), Some(to)) = (&self.head, &self.base) else {
            return false;
        };
        let id = |side: &SideDto| side.repo.as_ref().map(|repo| repo.id);
        from.name.as_deref() == Some(head.as_str())
            && base.is_none_or(|base| to.name.as_deref() == Some(base.as_str()))
            && id(from).is_some()
            && id(from) == id(to)
    }
}

impl From<PullDto> for PullRequest {
    fn from(dto: PullDto) -> Self {
        Self {
            number: PrNumber(dto.number),
            state: if dto.merged == Some(true) || dto.merged_at.is_some() {
                PrState::Merged
            } else if dto.state.as_deref() == Some("closed") {
                PrState::Closed
            } else {
                PrState::Open
            },
            title: dto.title.unwrap_or_default(),
            body: dto.body.unwrap_or_default(),
            url: dto.html_url.unwrap_or_default(),
            head: dto
                .head
                .and_then(|head| head.sha)
                .and_then(|sha| sha.parse().ok()),
            draft: dto.draft.unwrap_or(false),
            labels: dto
                .labels
                .unwrap_or_default()
                .into_iter()
                .filter_map(|label| label.name)
                .collect(),
        }
    }
}

impl Github {
    pub(super) fn new(
        endpoint: Endpoint,
        token: Option<Token>,
        user_agent: &str,
        limits: Limits,
    ) -> Result<Self, ForgeError> {
        Ok(Self {
            http: Http::new(
                endpoint.kind,
                endpoint.api_url,
                endpoint.slug,
                token,
                user_agent,
                explain,
                limits,
            )?,
        })
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    /// Returns a page of pull requests from a branch to a base, and whether there are more. GitHub filters, and
    /// ignores a filter that it cannot read; so what comes is looked at again.
    async fn page(
        &self,
        head: &BranchName,
        base: Option<&BranchName>,
        order: &[(&str, &str)],
        page: u32,
    ) -> Result<(Vec<PullDto>, bool), ForgeError> {
        let page = page.to_string();
        let mut owner = self.http.slug().owner;
        let answer = loop {
            let head_of_owner = format!("{owner}:{head}");
            let mut query = vec![
                ("head", head_of_owner.as_str()),
                ("per_page", PAGE),
                ("page", page.as_str()),
            ];
            query.extend(base.map(|base| ("base", base.as_str())));
            query.extend(order);
            let answer = self.http.ask(Method::Get, "/pulls", &query, None).await?;
            // An owner renamed since has no such branch, and none is what GitHub would find.
            let today = self.http.slug().owner;
            if today == owner {
                break answer;
            }
            owner = today;
        };
        let list: Option<Vec<Option<PullDto>>> = answer.json()?;
        let pulls = list
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .filter(|pull| pull.is_from_to(head, base))
            .collect();
        Ok((pulls, answer.has_next_page()))
    }

    async fn patch(&self, number: PrNumber, change: serde_json::Value) -> Result<(), ForgeError> {
        self.http
            .ask(
                Method::Patch,
                &format!("/pulls/{}", number.0),
                &[],
                Some(&change),
            )
            .await?;
        Ok(())
    }

    async fn branch(&self, branch: &BranchName) -> Result<Answer, ForgeError> {
        let path = format!("/branches/{}", encoded(branch.as_str()));
        self.http.ask(Method::Get, &path, &[], None).await
    }

    async fn post(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        let body = json!({
            "head": new.head.as_str(),
            "base": new.base.as_str(),
            "title": new.title,
            "body": new.body,
        });
        let answer = self
            .http
            .ask(Method::Post, "/pulls", &[], Some(&body))
            .await?;
        Ok(answer.json::<PullDto>()?.into())
    }
}

impl Forge for Github {
    async fn repository(&self) -> Result<Repository, ForgeError> {
        let answer = self.http.repository().await?;
        let dto: RepositoryDto = answer.json()?;
        // What stands there is a person's; of an installation's token it says nothing true.
        let of_person = self.http.held() == Held::Given && !self.http.token_begins_with("ghs_");
        Ok(Repository {
            slug: self.http.slug(),
            default_branch: dto
                .default_branch
                .unwrap_or_default()
                .parse()
                .map_err(|error| answer.unreadable(&error))?,
            archived: dto.archived.unwrap_or(false),
            private: dto.private.unwrap_or(false),
            fork: dto.fork.unwrap_or(false),
            may_push: dto
                .permissions
                .and_then(|may| may.push)
                .filter(|_| of_person),
            takes_pull_requests: dto.has_pull_requests.unwrap_or(true),
        })
    }

    async fn find_open(
        &self,
        head: &BranchName,
        base: &BranchName,
    ) -> Result<OpenPulls, ForgeError> {
        let mut found = OpenPulls::default();
        for page in 1..=PAGES {
            let (pulls, more) = self.page(head, None, &[("state", "open")], page).await?;
            for pull in pulls {
                if pull.state.as_deref() == Some("closed") {
                    continue;
                }
                if pull.is_from_to(head, Some(base)) {
                    found.to_base = Some(pull.into());
                    return Ok(found);
                }
                found.elsewhere = Some(PrNumber(pull.number));
            }
            if !more {
                break;
            }
        }
        Ok(found)
    }

    async fn closed(
        &self,
        head: &BranchName,
        base: &BranchName,
        page: u32,
    ) -> Result<ClosedPage, ForgeError> {
        let order = [
            ("state", "closed"),
            ("sort", "created"),
            ("direction", "desc"),
        ];
        let (pulls, more) = self.page(head, Some(base), &order, page).await?;
        Ok(ClosedPage {
            pulls: pulls.into_iter().map(PullRequest::from).collect(),
            more,
        })
    }

    async fn is_protected(&self, branch: &BranchName) -> Result<bool, ForgeError> {
        match self.branch(branch).await {
            Ok(answer) => Ok(answer.json::<BranchDto>()?.protected.unwrap_or(false)),
            Err(ForgeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        verbs::open_once(self, &self.http, new, async || self.post(new).await).await
    }

    async fn edit(&self, number: PrNumber, edit: &PullRequestEdit) -> Result<(), ForgeError> {
        let mut change = serde_json::Map::new();
        if let Some(title) = &edit.title {
            change.insert("title".to_owned(), json!(title));
        }
        if let Some(body) = &edit.body {
            change.insert("body".to_owned(), json!(body));
        }
        self.patch(number, change.into()).await
    }

    async fn close(&self, number: PrNumber) -> Result<(), ForgeError> {
        self.patch(number, json!({ "state": "closed" })).await
    }

    async fn note_once(
        &self,
        number: PrNumber,
        mark: &str,
        text: &str,
    ) -> Result<bool, ForgeError> {
        let path = format!("/issues/{}/comments", number.0);
        let body = json!({ "body": text });
        verbs::note_once(
            &self.http,
            async || {
                for page in 1..=PAGES {
                    let page = page.to_string();
                    let query = [("per_page", PAGE), ("page", page.as_str())];
                    let answer = self.http.ask(Method::Get, &path, &query, None).await?;
                    let list: Option<Vec<Option<CommentDto>>> = answer.json()?;
                    let is_here = list
                        .unwrap_or_default()
                        .into_iter()
                        .flatten()
                        .any(|comment| comment.body.is_some_and(|body| body.contains(mark)));
                    if is_here || !answer.has_next_page() {
                        return Ok(is_here);
                    }
                }
                Ok(false)
            },
            async || {
                self.http
                    .ask(Method::Post, &path, &[], Some(&body))
                    .await
                    .map(drop)
            },
        )
        .await
    }
}

/// Understands a refusal. The texts are no promise: what none of them fits is told by its status.
fn explain(refusal: Refusal) -> ForgeError {
    let opens = refusal.opens();
    let says = |words: &str| refusal.text.contains(words);
    let bad = |field: &str| {
        refusal
            .fields
            .iter()
            .any(|(name, code)| name == field && code == "invalid")
    };
    let header = |name: &str| {
        let value = refusal.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    // As a workflow's `permissions` has them; whatever is read of these is written to next.
    let needs = header("x-accepted-github-permissions")
        .map(|permissions| {
            permissions
                .split([',', ';'])
                .map(|one| match one.trim().split_once('=') {
                    Some((area @ ("contents" | "pull_requests" | "issues"), _)) => {
                        format!("{}: write", area.replace('_', "-"))
                    }
                    Some((area, level)) => format!("{}: {level}", area.replace('_', "-")),
                    None => one.trim().to_owned(),
                })
                .collect::<Vec<_>>()
                .join(" or ")
        })
        .or_else(|| header("x-accepted-oauth-scopes"));
    let not_for_actions = says("not permitted to create or approve pull requests");
    let archived = says("archived");
    let exists = says("a pull request already exists");
    let no_commits = says("no commits between");
    let too_long = says("body is too long") || (says("too long") && !says("title is too long"));
    let (bad_head, bad_base) = (bad("head"), bad("base"));
    let call = refusal.call;
    match call.status {
        403 if not_for_actions => ForgeError::ActionsMayNotOpen(call),
        403 if archived => ForgeError::Archived(call),
        403 => ForgeError::Forbidden { call, needs },
        404 | 410 | 451 => {
            let what = what_of(&call.path);
            ForgeError::NotFound { call, what }
        }
        405 | 409 | 412 => ForgeError::Conflict(call),
        422 if opens && exists => ForgeError::AlreadyExists { call, number: None },
        422 if opens && no_commits => ForgeError::NoCommits(call),
        422 if opens && bad_head => ForgeError::MissingHead(call),
        422 if opens && bad_base => ForgeError::MissingBase(call),
        422 if too_long => ForgeError::BodyTooLong(call),
        423 => ForgeError::Archived(call),
        _ => ForgeError::Invalid(call),
    }
}
