//! Publishing: from a report and a lock to one pull request that carries them.

mod error;
mod place;
mod reports;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use crate::command::Door;
use crate::forge::{
    self, Blocked, Branch, Client, Decision, Forge as _, ForgeError, ForgeKind, Goal, Habits,
    Marker, NewPullRequest, Opened, PrNumber, PullRequest, PullRequestEdit, Situation, Token,
    Wanted, decide,
};
use crate::git::{
    BranchName, Checkout, CommitId, Contained, Identity, NewCommit, RepoSlug, Seen, SignHow,
    Signing, Transport, Want, Why, Workshop,
};
use crate::report::{
    HostReport, LockInfo, LockOrigin, Operation, Outcome, PullRequestInfo, Report, Status,
    Templates,
};

use super::Context;

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

/// What was done.
#[derive(Debug)]
pub(super) struct Published {
    operation: Operation,
    pull: Option<(PrNumber, String)>,
    commit: Option<CommitId>,
    warnings: Vec<String>,
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
        publishing.rehearse().await?;
        Ok(publishing)
    }

    /// Makes a commit that nobody will see: that there is nobody to make it, or that the lock is a link, is found before the work.
    ///
    /// It is not signed, for a key may want to be touched each time; that the key's file is there can be seen without.
    async fn rehearse(&self) -> Result<(), PublishError> {
        if let Some(file) = &self.wishes.signing.key_file {
            std::fs::metadata(file).map_err(|source| PublishError::KeyFile {
                file: file.display().to_string(),
                source,
            })?;
        }
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

    async fn act(
        &self,
        decision: Decision,
        there: &Situation,
        report: &Report,
        lock: &[u8],
    ) -> Result<Published, PublishError> {
        let open = there.open.as_ref();
        let tip = there.branch.as_ref().map(|branch| &branch.tip);
        let mut done = Published {
            operation: Operation::None,
            pull: open.map(|open| (open.number, open.url.clone())),
            commit: None,
            warnings: Vec::new(),
        };
        match decision {
            Decision::Create { push } => {
                // The texts first: what is wrong with a template must not leave a branch behind.
                let new = self.new_pull_request(report)?;
                if push {
                    done.commit = Some(self.push(report, lock, tip).await?);
                }
                let ours = done.commit.as_ref().or(tip);
                let opened = self.open(report, &new, ours).await;
                if let (Err(error), Some(commit), None) = (&opened, &done.commit, tip) {
                    self.take_back(error, commit).await;
                }
                let (pull, existed) = opened?;
                done.pull = Some((pull.number, pull.url));
                done.operation = if existed {
                    Operation::Updated
                } else {
                    Operation::Created
                };
                done.warnings.extend(self.limits_of_the_token());
            }
            Decision::Update { push, edit } => {
                let edit = match open.filter(|_| edit) {
                    Some(open) => Some((open.number, self.new_texts(report, open)?)),
                    None => None,
                };
                if push {
                    done.commit = Some(self.push(report, lock, tip).await?);
                }
                if let Some((number, texts)) = edit {
                    self.ask(self.client.edit(number, &texts)).await?;
                }
                done.operation = Operation::Updated;
                if push {
                    done.warnings.extend(self.limits_of_the_token());
                }
            }
            Decision::Nothing | Decision::LookAtClosed => {
                if open.is_some() {
                    done.operation = Operation::Unchanged;
                }
            }
            Decision::Close => {
                if let Some(open) = open {
                    done.warnings
                        .extend(self.tell_obsolete(open, report).await?);
                    // The lease decides whether it is still ours to close: forges close what has no branch any more.
                    if self.delete(tip).await? {
                        self.ask(self.client.close(open.number)).await?;
                        done.operation = Operation::Closed;
                    } else {
                        done.operation = Operation::Blocked;
                        done.warnings.push(format!(
                            "somebody pushed to the branch {} just now, so the pull request is left alone",
                            self.branch
                        ));
                    }
                }
            }
            Decision::DeleteBranch => {
                self.delete(tip).await?;
            }
            Decision::Blocked(blocked) => {
                done.operation = Operation::Blocked;
                done.warnings.extend(self.blocked(&blocked, open).await?);
            }
            Decision::Declined(number) => {
                done.operation = Operation::Declined;
                done.warnings.push(format!(
                    "pull request {number} with this very lock was closed unmerged, so it is not opened again; a new lock will be"
                ));
            }
            Decision::Held => {
                done.operation = Operation::Held;
                done.warnings.push(format!(
                    "the label {} is on the pull request, so it is left alone",
                    self.wishes.habits.hold_label
                ));
            }
            Decision::Stale => {
                done.operation = Operation::Stale;
                done.warnings.push(format!(
                    "flake.lock on `{}` has moved since the commit that was reported on ({}), so nothing was done; the next run \
                     starts from there",
                    self.base,
                    self.head.short()
                ));
            }
        }
        Ok(done)
    }

    /// Makes the commit and pushes it, if nobody moved the branch since we looked. Returns the commit.
    async fn push(
        &self,
        report: &Report,
        lock: &[u8],
        tip: Option<&CommitId>,
    ) -> Result<CommitId, PublishError> {
        if self.ask(self.client.is_protected(&self.branch)).await? {
            return Err(PublishError::BranchIsProtected(self.branch.to_string()));
        }
        let message = self.wishes.templates.commit_message(
            report,
            &report.scope.id,
            &report.lock.after_hash,
        )?;
        let commit = self.new_commit(lock.to_vec(), message, self.wishes.signing.clone());
        let commit = self.workshop.commit(&self.door, &commit).await?;
        self.transport.push(&commit, &self.branch, tip).await?;
        tracing::info!("pushed {} to {}", commit.short(), self.branch);
        Ok(commit)
    }

    /// Deletes the branch that this run has just made for a pull request that the forge refuses: nothing half-done is
    /// left. Where the answer was lost, there may be one.
    async fn take_back(&self, error: &PublishError, commit: &CommitId) {
        let refused = matches!(error, PublishError::Forge(error)
            if !error.answer_is_lost() && !matches!(error, ForgeError::AlreadyExists { .. }));
        if !refused {
            return;
        }
        // The refusal is what is told; what is left of the branch, the next run finds.
        match self.transport.delete(&self.branch, commit).await {
            Ok(()) => tracing::info!("deleted {} again", self.branch),
            Err(failed) => tracing::warn!("the branch {} is left behind: {failed}", self.branch),
        }
    }

    fn new_pull_request(&self, report: &Report) -> Result<NewPullRequest, PublishError> {
        let title = self.wishes.templates.title(report)?;
        Ok(NewPullRequest {
            head: self.branch.clone(),
            base: self.base.clone(),
            body: self.body(report, &title, "")?.unwrap_or_default(),
            title,
        })
    }

    /// Opens the pull request; returns whether there was one after all, brought up to date then.
    async fn open(
        &self,
        report: &Report,
        new: &NewPullRequest,
        ours: Option<&CommitId>,
    ) -> Result<(PullRequest, bool), PublishError> {
        let Opened { pull, existed } = self.ask(self.client.open(new)).await?;
        // Another run was quicker, or our own request did arrive.
        if existed && Marker::read(&pull.body) != Marker::read(&new.body) {
            // What it pushed is there then, and the text must go on speaking of that.
            if pull.head.is_some() && pull.head.as_ref() != ours {
                return Err(PublishError::Overtaken(pull.number.to_string()));
            }
            let texts = self.new_texts(report, &pull)?;
            self.ask(self.client.edit(pull.number, &texts)).await?;
        }
        Ok((pull, existed))
    }

    /// Returns the texts that a pull request is to have, with people's notes.
    fn new_texts(
        &self,
        report: &Report,
        open: &PullRequest,
    ) -> Result<PullRequestEdit, PublishError> {
        let title = self.wishes.templates.title(report)?;
        let body = self
            .body(report, &title, &forge::notes(&open.body))?
            .ok_or_else(|| PublishError::NotesTooLong(open.number.to_string()))?;
        Ok(PullRequestEdit {
            title: forge::title_edit(open, &title),
            body: Some(body),
        })
    }

    /// Returns the body with its marker and people's notes; none where the notes leave no room.
    fn body(
        &self,
        report: &Report,
        title: &str,
        notes: &str,
    ) -> Result<Option<String>, PublishError> {
        let Some(room) = forge::room_beside(notes) else {
            return Ok(None);
        };
        let marker = Marker {
            scope: report.scope.id.clone(),
            lock: report.lock.after_hash.clone(),
            digest: report.digest.clone(),
            title: forge::title_hash(title),
            draft: false,
            obsolete: false,
        };
        let text = self.wishes.templates.body(report, room)?;
        Ok(Some(forge::body(&marker, &text, notes)))
    }

    /// Says on the pull request why it is closed. Whatever of it was done before is not done twice. Returns what did not work
    /// of what need not.
    async fn tell_obsolete(
        &self,
        open: &PullRequest,
        report: &Report,
    ) -> Result<Option<String>, PublishError> {
        let why = match report.outcome {
            Outcome::LockUnchanged => "an update gives the lock that the base already has",
            Outcome::ClosuresUnchanged | Outcome::Changed => "the update changes no host any more",
        };
        // Told apart by the report: one that is opened again and closed again says so again.
        let mark = format!(
            "<!-- flake-herald note=obsolete digest={} -->",
            report.digest
        );
        let text = format!(
            "{mark}\nThere is nothing left to merge here: {why}. flake-herald closes this pull request, and opens another when there is."
        );
        // First: what is marked as closed and stays open would be taken for reopened.
        let warning = self.note(open.number, &mark, &text).await?;
        if let Some(body) = forge::closed_as_obsolete(&open.body).filter(|body| *body != open.body)
        {
            let edit = PullRequestEdit {
                title: None,
                body: Some(body),
            };
            self.ask(self.client.edit(open.number, &edit)).await?;
        }
        Ok(warning)
    }

    /// Writes a comment, once. The pull request does not hang on it: what the forge says against it is a warning.
    async fn note(
        &self,
        number: PrNumber,
        mark: &str,
        text: &str,
    ) -> Result<Option<String>, PublishError> {
        match self.ask(self.client.note_once(number, mark, text)).await {
            Ok(_) => Ok(None),
            Err(PublishError::Forge(error)) => {
                let hint = error.hint().map(|hint| format!(" ({hint})"));
                Ok(Some(format!(
                    "pull request {number} has no comment that says why: {error}{}",
                    hint.unwrap_or_default()
                )))
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes the branch; returns whether it is gone. Where somebody pushed to it since we looked, it stays.
    async fn delete(&self, tip: Option<&CommitId>) -> Result<bool, PublishError> {
        let Some(tip) = tip else {
            return Ok(true);
        };
        match self.transport.delete(&self.branch, tip).await {
            Ok(()) => Ok(true),
            // Or somebody deleted it before we did.
            Err(error) if error.why() == Some(Why::LeaseLost) => {
                let Seen { tips, .. } = self.transport.look(&[&self.branch]).await?;
                Ok(!tips.contains_key(&self.branch))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says why the pull request is left alone: here, and once on the pull request if people are at work on it.
    async fn blocked(
        &self,
        blocked: &Blocked,
        open: Option<&PullRequest>,
    ) -> Result<Vec<String>, PublishError> {
        match blocked {
            Blocked::OtherScope(scope) => Ok(vec![format!(
                "the branch {} belongs to a run of another scope ({scope}), so it is left alone: give this run its own with --branch",
                self.branch
            )]),
            Blocked::OtherBase(number) => Ok(vec![format!(
                "pull request {number} goes from the branch {} to another base, and a push for `{}` would change it: give this run \
                 its own branch with --branch",
                self.branch, self.base
            )]),
            Blocked::Foreign(commit) => {
                let what = format!(
                    "the branch {} has a commit that is not flake-herald's ({}), so it is left alone",
                    self.branch,
                    commit.short()
                );
                let mut warnings = vec![format!("{what}: merge or close it, or delete the branch")];
                if let Some(open) = open {
                    const MARK: &str = "<!-- flake-herald note=blocked -->";
                    let text = format!(
                        "{MARK}\nThis branch has a commit that is not flake-herald's (`{}`), so flake-herald leaves it and this pull request \
                         alone from now on. Merge or close it, or take the commit away, and it goes on.",
                        commit.short()
                    );
                    warnings.extend(self.note(open.number, MARK, &text).await?);
                }
                Ok(warnings)
            }
        }
    }

    /// Says what the job's own token does not do, where that is not what people expect of a pull request.
    fn limits_of_the_token(&self) -> Option<String> {
        if !self.automatic {
            return None;
        }
        let what = match self.kind {
            ForgeKind::Github => {
                "the workflows of this pull request wait for somebody's approval, because the job's own token opened it"
            }
            ForgeKind::Forgejo | ForgeKind::Gitea => {
                "workflows do not start for this pull request, because the job's own token opened it"
            }
        };
        Some(format!(
            "{what}: with a token of your own in FLAKE_HERALD_TOKEN they start"
        ))
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

impl Published {
    /// Returns what the report says of the pull request.
    pub(super) fn into_info(self, publishing: &Publishing) -> PullRequestInfo {
        PullRequestInfo {
            operation: self.operation,
            number: self.pull.as_ref().map(|(number, _)| number.0),
            url: self.pull.map(|(_, url)| url),
            branch: publishing.branch.to_string(),
            base: publishing.base.to_string(),
            commit: self.commit.map(|commit| commit.to_string()),
            warnings: self.warnings,
        }
    }
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

/// Whether it is certain that no host changes: a lock that somebody gave says nothing of what an update would give, and a
/// host that was not looked at may be the one that changes.
fn proves_nothing_changes(report: &Report) -> bool {
    let in_doubt = |host: &HostReport| {
        matches!(host.status, Status::Broken | Status::AlreadyBroken) || host.counts_as_changed()
    };
    report.lock.origin == LockOrigin::Staged && !report.hosts.iter().any(in_doubt)
}
