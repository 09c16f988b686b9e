//! Publishing: from a report and a lock to one pull request that carries them.

mod act;
mod error;
mod place;
mod reports;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use crate::command::Door;
use crate::forge::{
    Branch, Client, Decision, Forge as _, ForgeError, ForgeKind, Goal, Habits, PullRequest,
    Situation, Token, Wanted, decide,
};
use crate::git::{
    BranchName, Checkout, CommitId, Contained, Identity, NewCommit, RepoSlug, Seen, SignHow,
    Signing, Transport, Want, Workshop,
};
use crate::report::{HostReport, LockInfo, LockOrigin, Outcome, Report, Status, Templates};

use super::Context;

use act::Published;
pub use error::PublishError;
use place::Place;
pub use place::RunnerSays;
pub(super) use reports::gather;

const USER_AGENT: &str = concat!("flake-herald/", env!("CARGO_PKG_VERSION"));

/// How people want it published. What is none is found out.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// The forge's kind.
    pub forge: Option<ForgeKind>,
    /// The forge's address.
    pub server_url: Option<Url>,
    /// The address of its API.
    pub api_url: Option<Url>,
    /// The repository.
    pub repository: Option<RepoSlug>,
    /// The token that somebody gave us on purpose.
    pub token: Option<SecretString>,
    /// What the runner says.
    pub runner: Option<RunnerSays>,
    /// The directory whose owner need not be us: the job's checkout.
    pub workspace: Option<PathBuf>,
    /// The branch that the pull request goes to.
    pub base: Option<BranchName>,
    /// The branch it comes from.
    pub branch: Option<BranchName>,
    /// The remote that is pushed to.
    pub remote: Option<String>,
    /// The texts.
    pub templates: Templates,
    /// The author of the commit.
    pub author: Option<Identity>,
    /// Who makes the commit where nobody says: the runner's bot.
    pub bot: Option<Identity>,
    /// Whether the commit is signed off.
    pub signoff: bool,
    /// How the commit is signed.
    pub signing: Signing,
    /// How the pull request is kept.
    pub habits: Habits,
    /// An update that changes no host is published too.
    pub publish_unchanged: bool,
}

/// All that publishing needs, checked before the long work starts.
#[derive(Debug)]
pub(super) struct Publishing {
    wishes: Wishes,
    door: Door,
    now: Timestamp,
    workshop: Workshop,
    transport: Transport,
    client: Client,
    automatic: bool,
    kind: ForgeKind,
    base: BranchName,
    branch: BranchName,
    head: CommitId,
    lock_path: String,
}

impl Publishing {
    /// Finds out where to publish and whether that can work: everything that can go wrong before anything is built.
    pub(super) async fn prepare(
        wishes: Wishes,
        flake: &Path,
        context: &Context,
        scratch: &Path,
    ) -> Result<Self, PublishError> {
        wishes.templates.check()?;
        let checkout = Checkout::find(flake, wishes.workspace.as_deref())?
            .ok_or_else(|| PublishError::NoCheckout(flake.display().to_string()))?;
        let head: CommitId = checkout.head()?.ok_or(PublishError::NoCommit)?.parse()?;
        let lock_path = checkout.path_of("flake.lock");
        let mut changed = checkout.changed()?;
        changed.retain(|path| *path != lock_path);
        if !changed.is_empty() {
            return Err(PublishError::Dirty(changed));
        }
        let place = stoppable(&context.door, Place::find(&wishes, &checkout)).await?;
        let base = match (&wishes.base, &place.runner_base) {
            (Some(base), _) => base.clone(),
            (None, Some(base)) => base.parse()?,
            (None, None) => checkout.branch()?.ok_or(PublishError::NoBase)?,
        };
        let branch = match &wishes.branch {
            Some(branch) => branch.clone(),
            None => place::default_branch(checkout.dir())?,
        };
        if branch == base {
            return Err(PublishError::BranchIsBase(branch.to_string()));
        }
        let pushes_with_token = place.credential.is_some();
        let automatic = matches!(place.token, Token::Automatic(_));
        let kind = place.endpoint.kind;
        let client = Client::new(place.endpoint, Some(place.token), USER_AGENT)?;
        let repository = stoppable(&context.door, client.repository()).await?;
        let slug = repository.slug.to_string();
        if repository.archived {
            return Err(PublishError::Archived(slug));
        }
        if !repository.takes_pull_requests {
            return Err(PublishError::NoPullRequests(slug));
        }
        // Over SSH a key pushes, and the token need not be allowed to.
        if pushes_with_token && repository.may_push == Some(false) {
            return Err(PublishError::MayNotPush(slug));
        }
        if branch == repository.default_branch {
            return Err(PublishError::BranchIsDefault(branch.to_string()));
        }
        let workshop = Workshop::new(&checkout, scratch)?;
        let transport = Transport::new(
            context.door.clone(),
            checkout.git_dir().to_owned(),
            checkout.toplevel().to_owned(),
            Some(workshop.object_dir().to_owned()),
            place.remote,
            place.credential,
        );
        let publishing = Self {
            wishes,
            door: context.door.clone(),
            now: context.now,
            workshop,
            transport,
            client,
            automatic,
            kind,
            base,
            branch,
            head,
            lock_path,
        };
        publishing.look().await?;
        if let Some(refusal) = publishing.client.cannot_open(&repository) {
            let open = publishing
                .ask(
                    publishing
                        .client
                        .find_open(&publishing.branch, &publishing.base),
                )
                .await?;
            // One that somebody else's token opened can be kept.
            if open.to_base.is_none() {
                return Err(refusal.into());
            }
        }
        publishing.rehearse().await?;
        Ok(publishing)
    }

    /// Makes a commit that nobody will see: that there is nobody to make it, or that the lock is a link, is found before the work.
    ///
    /// It is not signed, for a key may want to be touched each time; whether its file holds one can be seen without.
    async fn rehearse(&self) -> Result<(), PublishError> {
        self.workshop
            .check_signing(&self.door, &self.wishes.signing)
            .await?;
        let unsigned = Signing {
            how: SignHow::Off,
            key_file: None,
        };
        let commit = self.new_commit(Vec::new(), "a rehearsal".to_owned(), unsigned);
        self.workshop.commit(&self.door, &commit).await?;
        Ok(())
    }

    fn new_commit(&self, content: Vec<u8>, message: String, signing: Signing) -> NewCommit {
        NewCommit {
            parent: self.head.clone(),
            path: self.lock_path.clone(),
            content,
            message,
            author: self.wishes.author.clone(),
            fallback: self.wishes.bot.clone(),
            at: self.now,
            signoff: self.wishes.signoff,
            signing,
        }
    }

    /// Returns a file of the commit that is reported on and built upon.
    pub(super) fn file_at_head(&self, path: &str) -> Result<Option<Vec<u8>>, PublishError> {
        Ok(self.workshop.file_at(&self.head, path)?)
    }

    /// Looks at both branches on the remote, and makes sure that the base has our commit.
    async fn look(&self) -> Result<(CommitId, Option<CommitId>), PublishError> {
        let Seen { tips, .. } = self.transport.look(&[&self.base, &self.branch]).await?;
        let Some(base_tip) = tips.get(&self.base).cloned() else {
            return Err(PublishError::BaseMissing {
                remote: self.transport.remote().url.to_string(),
                base: self.base.to_string(),
            });
        };
        let branch_tip = tips.get(&self.branch).cloned();
        let missing: Vec<Want<'_>> = [Some(&base_tip), branch_tip.as_ref()]
            .into_iter()
            .flatten()
            .filter(|commit| !self.workshop.has(commit))
            .map(Want::Commit)
            .collect();
        self.transport.fetch(&missing).await?;
        let mut contained = self.workshop.contains(&base_tip, &self.head)?;
        if contained == Contained::Unknown {
            self.deepen(&base_tip).await?;
            contained = self.workshop.contains(&base_tip, &self.head)?;
        }
        let (head, base) = (self.head.short().to_owned(), self.base.to_string());
        match contained {
            Contained::Yes => Ok((base_tip, branch_tip)),
            Contained::No => Err(PublishError::HeadNotInBase { head, base }),
            Contained::Unknown => Err(PublishError::TooShallow { head, base }),
        }
    }

    /// Fetches the history that a shallow clone lacks.
    async fn deepen(&self, tip: &CommitId) -> Result<(), PublishError> {
        let store = self.workshop.store_dir();
        Ok(self.transport.deepen(store, &[Want::Commit(tip)]).await?)
    }

    /// Asks the forge, unless the run is told to stop meanwhile.
    async fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, ForgeError>>,
    ) -> Result<T, PublishError> {
        stoppable(&self.door, asked).await
    }

    /// Does what the life of the pull request asks for.
    pub(super) async fn publish(
        &self,
        report: &Report,
        lock: &[u8],
    ) -> Result<Published, PublishError> {
        // Somebody may have committed here while hosts were built.
        if let Some(reported) = report
            .flake
            .rev
            .as_ref()
            .filter(|rev| *rev != self.head.as_str())
        {
            return Err(PublishError::OtherCommit {
                reported: reported.clone(),
                head: self.head.to_string(),
            });
        }
        let (base_tip, branch_tip) = self.look().await?;
        let wanted = self.wanted(report);
        let branch = match branch_tip {
            None => None,
            Some(tip) => {
                let mut own = self
                    .workshop
                    .own_commits(&tip, &base_tip, &self.lock_path)?;
                if own.truncated {
                    self.deepen(&tip).await?;
                    own = self
                        .workshop
                        .own_commits(&tip, &base_tip, &self.lock_path)?;
                }
                Some(Branch::classify(
                    tip,
                    &[&base_tip, &self.head],
                    &own,
                    &wanted.scope,
                    &self.lock_path,
                ))
            }
        };
        let open = self
            .ask(self.client.find_open(&self.branch, &self.base))
            .await?;
        let mut there = Situation {
            base_lock: self
                .workshop
                .file_at(&base_tip, &self.lock_path)?
                .as_deref()
                .map(LockInfo::hash),
            branch,
            open: open.to_base,
            elsewhere: open.elsewhere,
            closed: None,
        };
        let mut decision = decide(&wanted, &self.wishes.habits, &there);
        if decision == Decision::LookAtClosed {
            there.closed = Some(self.closed().await?);
            decision = decide(&wanted, &self.wishes.habits, &there);
        }
        tracing::debug!("decided: {decision:?}");
        self.act(decision, &there, report, lock).await
    }

    fn wanted(&self, report: &Report) -> Wanted {
        Wanted {
            scope: report.scope.id.clone(),
            before: report.lock.before_hash.clone(),
            lock: report.lock.after_hash.clone(),
            digest: report.digest.clone(),
            goal: goal(report, self.wishes.publish_unchanged),
        }
    }

    /// Returns the closed pull requests from our branch, newest first: two pages at most.
    async fn closed(&self) -> Result<Vec<PullRequest>, PublishError> {
        let mut closed = Vec::new();
        for page in 1..=2 {
            let found = self
                .ask(self.client.closed(&self.branch, &self.base, page))
                .await?;
            closed.extend(found.pulls);
            if !found.more {
                break;
            }
        }
        Ok(closed)
    }
}

/// Waits for the forge's answer, unless the run is told to stop: what hangs must not keep it.
async fn stoppable<T, E>(
    door: &Door,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, PublishError>
where
    PublishError: From<E>,
{
    tokio::select! {
        answer = asked => Ok(answer?),
        stop = door.cancel().cancelled() => Err(PublishError::Stopped(stop)),
    }
}

/// Whether a report calls for a pull request.
pub(super) fn is_for_publishing(report: &Report, publish_unchanged: bool) -> bool {
    goal(report, publish_unchanged) == Goal::Publish
}

/// Returns what a report calls for.
fn goal(report: &Report, publish_unchanged: bool) -> Goal {
    match report.outcome {
        Outcome::Changed => Goal::Publish,
        Outcome::ClosuresUnchanged if publish_unchanged => Goal::Publish,
        Outcome::ClosuresUnchanged | Outcome::LockUnchanged => Goal::Obsolete {
            proved: proves_nothing_changes(report),
        },
    }
}

/// Whether it is certain that no host changes: a lock that somebody gave says nothing of what an update would give, nor does
/// one with inputs that could not be fetched, and a host that was not looked at may be the one that changes.
fn proves_nothing_changes(report: &Report) -> bool {
    let in_doubt = |host: &HostReport| {
        matches!(host.status, Status::Broken | Status::AlreadyBroken) || host.counts_as_changed()
    };
    report.lock.origin == LockOrigin::Staged
        && report.lock.unreachable.is_empty()
        && !report.hosts.iter().any(in_doubt)
}
