//! What is asked of a forge, in words that are no forge's own.

use secrecy::SecretString;
use url::Url;

use super::error::{Call, ForgeError, Held};
use super::forgejo::Forgejo;
use super::github::Github;
use super::http::{Http, Limits};
use super::types::{
    ForgeKind, NewPullRequest, OpenPulls, PrNumber, PullRequest, PullRequestEdit, Repository,
};
use crate::git::{BranchName, RepoSlug};

/// How often a list is asked for what was just said to be in it: it may lag.
const LOOKS: u32 = 3;

/// How many pages of a list are read at most.
pub(super) const PAGES: u32 = 400;

/// A pull request that is open now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The pull request.
    pub pull: PullRequest,
    /// It was there before: what it says may not be what was asked for.
    pub existed: bool,
}

/// A page of closed and merged pull requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPage {
    /// Those from the branch to the base; there may be none among all that the page holds.
    pub pulls: Vec<PullRequest>,
    /// There are more pages.
    pub more: bool,
}

/// The verbs.
#[expect(
    async_fn_in_trait,
    reason = "the crate is its only user, and its runtime has one thread"
)]
pub trait Forge {
    /// Returns the repository, and remembers its name where it moved.
    ///
    /// # Errors
    ///
    /// The forge does not say.
    async fn repository(&self) -> Result<Repository, ForgeError>;

    /// Returns the open pull request from a branch of the repository itself to a base, and whether there is one to another.
    ///
    /// # Errors
    ///
    /// The forge does not say.
    async fn find_open(
        &self,
        head: &BranchName,
        base: &BranchName,
    ) -> Result<OpenPulls, ForgeError>;

    /// Returns a page, counted from 1, of the closed and merged ones, newest first.
    ///
    /// # Errors
    ///
    /// The forge does not say.
    async fn closed(
        &self,
        head: &BranchName,
        base: &BranchName,
        page: u32,
    ) -> Result<ClosedPage, ForgeError>;

    /// Returns whether a branch is protected; one that is not there is not.
    ///
    /// # Errors
    ///
    /// The forge does not say.
    async fn is_protected(&self, branch: &BranchName) -> Result<bool, ForgeError>;

    /// Opens a pull request, once. Where the answer is lost, it is looked for before it is asked for again.
    ///
    /// # Errors
    ///
    /// The forge refuses.
    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError>;

    /// Changes a pull request. What is to be changed is up to the caller.
    ///
    /// # Errors
    ///
    /// The forge refuses.
    async fn edit(&self, number: PrNumber, edit: &PullRequestEdit) -> Result<(), ForgeError>;

    /// Closes a pull request.
    ///
    /// # Errors
    ///
    /// The forge refuses.
    async fn close(&self, number: PrNumber) -> Result<(), ForgeError>;

    /// Writes a comment unless there is one that contains `mark`, which the text is to contain; says whether it did.
    ///
    /// # Errors
    ///
    /// The forge refuses.
    async fn note_once(&self, number: PrNumber, mark: &str, text: &str)
    -> Result<bool, ForgeError>;
}

/// A repository on a forge.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// What the forge runs.
    pub kind: ForgeKind,
    /// The address of its API, with a sub-path where it has one.
    pub api_url: Url,
    /// The address of its pages, where it is known.
    pub server_url: Option<Url>,
    /// The repository.
    pub slug: RepoSlug,
}

/// A token, and where it is from: that decides what to say when it is not enough.
#[derive(Debug, Clone)]
pub enum Token {
    /// The one that the runner made for the job.
    Automatic(SecretString),
    /// One that the user gave.
    Given(SecretString),
}

/// The client of one repository, in its forge's dialect.
#[derive(Debug)]
pub enum Client {
    /// Forgejo's, and Gitea's.
    Forgejo(Forgejo),
    /// GitHub's.
    Github(Github),
}

impl Client {
    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// The address or the token cannot be used, or no certificates are there to check others with.
    pub fn new(
        endpoint: Endpoint,
        token: Option<Token>,
        user_agent: &str,
    ) -> Result<Self, ForgeError> {
        Self::with_limits(endpoint, token, user_agent, Limits::default())
    }

    /// Makes a client that waits for as long as it is told to.
    ///
    /// # Errors
    ///
    /// As for [`Client::new`].
    pub fn with_limits(
        endpoint: Endpoint,
        token: Option<Token>,
        user_agent: &str,
        limits: Limits,
    ) -> Result<Self, ForgeError> {
        Ok(match endpoint.kind {
            ForgeKind::Github => Self::Github(Github::new(endpoint, token, user_agent, limits)?),
            ForgeKind::Forgejo | ForgeKind::Gitea => {
                Self::Forgejo(Forgejo::new(endpoint, token, user_agent, limits)?)
            }
        })
    }

    fn http(&self) -> &Http {
        match self {
            Self::Forgejo(client) => client.http(),
            Self::Github(client) => client.http(),
        }
    }

    /// Returns the repository's name: once it was asked for, the one of today.
    pub fn slug(&self) -> RepoSlug {
        self.http().slug()
    }

    /// Returns how many requests were sent.
    pub fn requests(&self) -> u32 {
        self.http().requests()
    }

    /// Returns why no pull request can be opened in `repository`, where the forge itself says so only once the branch is pushed.
    ///
    /// Opening one, Forgejo asks what the user behind its automatic token may read by himself: nothing that is not public, in
    /// Forgejo 16 neither.
    pub fn cannot_open(&self, repository: &Repository) -> Option<ForgeError> {
        let http = self.http();
        let is_refused = http.kind() == ForgeKind::Forgejo
            && http.held() == Held::Automatic
            && repository.private;
        is_refused.then(|| {
            ForgeError::PrivateNeedsToken(Call {
                method: "GET",
                path: http
                    .url("", &[])
                    .map_or_else(|_| String::new(), |url| url.path().to_owned()),
                status: 200,
                words: "it is not public".to_owned(),
                held: Held::Automatic,
                kind: ForgeKind::Forgejo,
            })
        })
    }
}

impl Forge for Client {
    async fn repository(&self) -> Result<Repository, ForgeError> {
        match self {
            Self::Forgejo(client) => client.repository().await,
            Self::Github(client) => client.repository().await,
        }
    }

    async fn find_open(
        &self,
        head: &BranchName,
        base: &BranchName,
    ) -> Result<OpenPulls, ForgeError> {
        match self {
            Self::Forgejo(client) => client.find_open(head, base).await,
            Self::Github(client) => client.find_open(head, base).await,
        }
    }

    async fn closed(
        &self,
        head: &BranchName,
        base: &BranchName,
        page: u32,
    ) -> Result<ClosedPage, ForgeError> {
        match self {
            Self::Forgejo(client) => client.closed(head, base, page).await,
            Self::Github(client) => client.closed(head, base, page).await,
        }
    }

    async fn is_protected(&self, branch: &BranchName) -> Result<bool, ForgeError> {
        match self {
            Self::Forgejo(client) => client.is_protected(branch).await,
            Self::Github(client) => client.is_protected(branch).await,
        }
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        match self {
            Self::Forgejo(client) => client.open(new).await,
            Self::Github(client) => client.open(new).await,
        }
    }

    async fn edit(&self, number: PrNumber, edit: &PullRequestEdit) -> Result<(), ForgeError> {
        match self {
            Self::Forgejo(client) => client.edit(number, edit).await,
            Self::Github(client) => client.edit(number, edit).await,
        }
    }

    async fn close(&self, number: PrNumber) -> Result<(), ForgeError> {
        match self {
            Self::Forgejo(client) => client.close(number).await,
            Self::Github(client) => client.close(number).await,
        }
    }

    async fn note_once(
        &self,
        number: PrNumber,
        mark: &str,
        text: &str,
    ) -> Result<bool, ForgeError> {
        match self {
            Self::Forgejo(client) => client.note_once(number, mark, text).await,
            Self::Github(client) => client.note_once(number, mark, text).await,
        }
    }
}

/// Opens a pull request: after an answer that is lost, with one more POST, and only once the list does not show it.
pub(super) async fn open_once(
    forge: &impl Forge,
    http: &Http,
    new: &NewPullRequest,
    post: impl AsyncFn() -> Result<PullRequest, ForgeError>,
) -> Result<Opened, ForgeError> {
    let mut again = true;
    let mut lags = 1..LOOKS;
    loop {
        match post().await {
            Ok(pull) => {
                return Ok(Opened {
                    pull,
                    existed: false,
                });
            }
            Err(error @ ForgeError::AlreadyExists { .. }) => {
                for look in 1..=LOOKS {
                    if let Some(pull) = forge.find_open(&new.head, &new.base).await?.to_base {
                        // Ours after all, where the first answer was lost and the list lagged.
                        let existed = again || !says(&pull, new);
                        return Ok(Opened { pull, existed });
                    }
                    if look < LOOKS {
                        http.pause().await;
                    }
                }
                return Err(error);
            }
            // The branch was pushed a moment ago, and what answers here may not have heard of it; nothing was done.
            Err(ForgeError::MissingHead(_)) if lags.next().is_some() => http.pause().await,
            Err(error) if error.answer_is_lost() => {
                http.pause().await;
                if let Some(pull) = forge.find_open(&new.head, &new.base).await?.to_base {
                    let existed = !says(&pull, new);
                    return Ok(Opened { pull, existed });
                }
                if !again {
                    return Err(error);
                }
                again = false;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Writes a comment with at most two POSTs, by the same rule.
pub(super) async fn note_once(
    http: &Http,
    is_there: impl AsyncFn() -> Result<bool, ForgeError>,
    post: impl AsyncFn() -> Result<(), ForgeError>,
) -> Result<bool, ForgeError> {
    if is_there().await? {
        return Ok(false);
    }
    let lost = match post().await {
        Ok(()) => return Ok(true),
        Err(error) if error.answer_is_lost() => error,
        Err(error) => return Err(error),
    };
    http.pause().await;
    if is_there().await? {
        return Ok(true);
    }
    tracing::debug!("once more: {lost}");
    post().await?;
    Ok(true)
}

fn says(pull: &PullRequest, new: &NewPullRequest) -> bool {
    pull.title == new.title && pull.body == new.body
}
