//! The dialect of Forgejo and Gitea.

use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Refusal};
use super::error::{ForgeError, Held};
use super::http::{Http, Limits, Method, encoded};
use super::types::{
    NewPullRequest, OpenPulls, PrNumber, PrState, PullRequest, PullRequestEdit, Repository,
};
use super::verbs::{self, ClosedPage, Endpoint, Forge, Opened, PAGES, Token};
use crate::git::BranchName;

/// The most that a page holds where an administrator did not say otherwise.
const PAGE: &str = "50";

/// What a pull request made by pushing to `refs/for/` has as its `flow`: its head is no branch.
const AGIT: u64 = 1;

/// The client of a repository on Forgejo or Gitea.
#[derive(Debug)]
pub struct Forgejo {
    http: Http,
}

#[derive(Deserialize)]
struct RepositoryDto {
    default_branch: Option<String>,
    archived: Option<bool>,
    private: Option<bool>,
    internal: Option<bool>,
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
    // `url` was the page before version 16, and is the API's since.
    html_url: Option<String>,
    draft: Option<bool>,
    merged: Option<bool>,
    flow: Option<u64>,
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
    label: Option<String>,
    #[serde(rename = "ref")]
    name: Option<String>,
    sha: Option<String>,
    repo_id: Option<i64>,
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
        // Once the branch is gone, `ref` is `refs/pull/N/head`; the label still is the branch.
        let is = |side: &SideDto, branch: &BranchName| {
            let named = |name: &Option<String>| name.as_deref() == Some(branch.as_str());
            named(&side.name) || named(&side.label)
        };
        is(from, head)
            && base.is_none_or(|base| is(to, base))
            && from.repo_id.is_some_and(|id| id > 0)
            && from.repo_id == to.repo_id
            && self.flow != Some(AGIT)
    }
}

impl From<PullDto> for PullRequest {
    fn from(dto: PullDto) -> Self {
        Self {
            number: PrNumber(dto.number),
            state: if dto.merged == Some(true) {
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

impl Forgejo {
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

    /// Returns a page of pull requests, and whether there are more. There is no filter by branch.
    async fn page(
        &self,
        state: &str,
        sort: Option<&str>,
        page: u32,
    ) -> Result<(Vec<PullDto>, bool), ForgeError> {
        let page = page.to_string();
        let mut query = vec![("state", state), ("limit", PAGE), ("page", page.as_str())];
        query.extend(sort.map(|sort| ("sort", sort)));
        let answer = self.http.ask(Method::Get, "/pulls", &query, None).await?;
        // A list with nothing in it may be `null`, and so may what is in it.
        let list: Option<Vec<Option<PullDto>>> = answer.json()?;
        let pulls = list.unwrap_or_default().into_iter().flatten().collect();
        Ok((pulls, answer.has_next_page()))
    }

    async fn patch(&self, number: PrNumber, change: serde_json::Value) -> Result<(), ForgeError> {
        // Success is 201 here.
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

    async fn has_branch(&self, branch: &BranchName) -> Result<bool, ForgeError> {
        match self.branch(branch).await {
            Ok(_) => Ok(true),
            Err(ForgeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
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
            .await;
        match answer {
            Ok(answer) => Ok(answer.json::<PullDto>()?.into()),
            // A branch that is missing is a 404 like any other.
            Err(ForgeError::NotFound { call, what }) => {
                let head = self.has_branch(&new.head).await;
                let base = self.has_branch(&new.base).await;
                Err(match (head, base) {
                    (Ok(false), Ok(true)) => ForgeError::MissingHead(call),
                    (Ok(true), Ok(false)) => ForgeError::MissingBase(call),
                    // All is there and to be seen: it is this token that sees no pull requests.
                    (Ok(true), Ok(true)) if call.held == Held::Automatic => {
                        ForgeError::PrivateNeedsToken(call)
                    }
                    _ => ForgeError::NotFound { call, what },
                })
            }
            Err(error) => Err(error),
        }
    }
}

impl Forge for Forgejo {
    async fn repository(&self) -> Result<Repository, ForgeError> {
        let answer = self.http.repository().await?;
        let dto: RepositoryDto = answer.json()?;
        Ok(Repository {
            slug: self.http.slug(),
            default_branch: dto
                .default_branch
                .unwrap_or_default()
                .parse()
                .map_err(|error| answer.unreadable(&error))?,
            archived: dto.archived.unwrap_or(false),
            private: dto.private == Some(true) || dto.internal == Some(true),
            fork: dto.fork.unwrap_or(false),
            may_push: dto.permissions.and_then(|may| may.push),
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
            let (pulls, more) = self.page("open", None, page).await?;
            for pull in pulls {
                if pull.state.as_deref() == Some("closed") || !pull.is_from_to(head, None) {
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
        let (pulls, more) = self.page("closed", Some("recentupdate"), page).await?;
        Ok(ClosedPage {
            pulls: pulls
                .into_iter()
                .filter(|pull| pull.is_from_to(head, Some(base)))
                .map(PullRequest::from)
                .collect(),
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
                // All of them at once, as of today: this list knows no pages. Should it ever, they are read.
                for page in 1..=PAGES {
                    let page_text = page.to_string();
                    let query = [("page", page_text.as_str())];
                    let query = if page == 1 { &[][..] } else { &query };
                    let answer = self.http.ask(Method::Get, &path, query, None).await?;
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
    let number = number_after(&refusal.text, "issue_id:");
    let needs = refusal
        .text
        .split_once("required scope(s): [")
        .and_then(|(_, rest)| rest.split_once(']'))
        // What is read here is read to write to it next; the right to read would only lead to the next refusal.
        .map(|(scopes, _)| scopes.replace("read:", "write:"));
    let reads_nothing = says("can't read pulls") || says("can't read unittype");
    let archived = says("archived");
    let no_changes = says("no changes between");
    let too_long = says("too long");
    let no_base = says("basenotexist") || says("base branch");
    let no_head = says("headnotexist") || says("head branch");
    let call = refusal.call;
    let automatic = call.held == Held::Automatic;
    match call.status {
        403 if archived => ForgeError::Archived(call),
        403 => ForgeError::Forbidden { call, needs },
        404 if opens && automatic && reads_nothing => ForgeError::PrivateNeedsToken(call),
        404 if opens && no_base => ForgeError::MissingBase(call),
        404 if opens && no_head => ForgeError::MissingHead(call),
        404 | 410 => {
            let what = what_of(&call.path);
            ForgeError::NotFound { call, what }
        }
        409 if opens => ForgeError::AlreadyExists { call, number },
        405 | 409 | 412 => ForgeError::Conflict(call),
        422 if no_changes => ForgeError::NoCommits(call),
        422 if too_long => ForgeError::BodyTooLong(call),
        423 => ForgeError::Archived(call),
        _ => ForgeError::Invalid(call),
    }
}

/// Returns in one word what a path names.
pub(super) fn what_of(path: &str) -> &'static str {
    if path.contains("/branches/") {
        "such branch"
    } else if path.contains("/pulls/") || path.contains("/issues/") {
        "such pull request"
    } else {
        "such repository"
    }
}

fn number_after(text: &str, word: &str) -> Option<PrNumber> {
    let (_, rest) = text.split_once(word)?;
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok().map(PrNumber)
}
