//! Carrying out what was decided: commit, push, open, edit, close, each so that the next run can go on from wherever this one ends.

use crate::forge::{
    self, Blocked, Decision, Forge as _, ForgeError, ForgeKind, Marker, NewPullRequest, Opened,
    PrNumber, PullRequest, PullRequestEdit, Situation,
};
use crate::git::{CommitId, Seen, Why};
use crate::report::{Operation, Outcome, PullRequestInfo, Report};

use super::{PublishError, Publishing};

/// What was done.
#[derive(Debug)]
pub(in super::super) struct Published {
    operation: Operation,
    pull: Option<(PrNumber, String)>,
    commit: Option<CommitId>,
    warnings: Vec<String>,
}

impl Publishing {
    /// Does what was decided.
    pub(super) async fn act(
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

impl Published {
    /// Returns what the report says of the pull request.
    pub(in super::super) fn into_info(self, publishing: &Publishing) -> PullRequestInfo {
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
