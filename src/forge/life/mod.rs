//! The life of one pull request, as a decision: what is there and what we have, to what to do.
//!
//! Pure, so that every row of the contract is a row of a table here. Who looks and who acts is the pipeline.

use sha2::{Digest as _, Sha256};

use super::marker::{self, Marker};
use super::types::{PrNumber, PrState, PullRequest};
use crate::git::{CommitFacts, CommitId, OwnCommits};

/// The trailer of our commits that names the scope of the run.
pub const SCOPE_TRAILER: &str = "Flake-Herald-Scope";
/// The trailer of our commits that holds the hash of the lock in it.
pub const LOCK_TRAILER: &str = "Flake-Herald-Lock";

/// What this run wants to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The scope of the run.
    pub scope: String,
    /// The hash of the base's lock that the report was made from; none where it has none.
    pub before: Option<String>,
    /// The hash of the new lock.
    pub lock: String,
    /// The digest of the report.
    pub digest: String,
    /// What the report calls for.
    pub goal: Goal,
}

/// What a report calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A pull request that carries it.
    Publish,
    /// No pull request, for there is nothing to say.
    Obsolete {
        /// It is proved that nothing changes, so that an open one may be closed.
        proved: bool,
    },
}

/// How people want it done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Habits {
    /// The label that stops us.
    pub hold_label: String,
    /// The branch is put on top of the base whenever anything landed there, not only another lock.
    pub rebase_when_behind: bool,
    /// A pull request with nothing to say stays open.
    pub keep_obsolete: bool,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The hash of the lock at the base's tip.
    pub base_lock: Option<String>,
    /// Our branch; none where there is none.
    pub branch: Option<Branch>,
    /// The open pull request from our branch to the base.
    pub open: Option<PullRequest>,
    /// Where there is none, an open one from our branch to another base.
    pub elsewhere: Option<PrNumber>,
    /// Those closed, newest first, where somebody looked.
    pub closed: Option<Vec<PullRequest>>,
}

/// The branch of the pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its tip.
    pub tip: CommitId,
    /// Whose it is.
    pub owner: Owner,
    /// The hash of the lock on it.
    pub lock: Option<String>,
    /// The hash of the lock that it comes from: of the base when it was made, or was last merged into it.
    pub parent_lock: Option<String>,
    /// Something landed on the base since.
    pub behind: bool,
}

/// Whose a branch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Ours, of this scope.
    Ours,
    /// Nobody's: the base contains all of it.
    Free,
    /// Ours, of another scope.
    OtherScope(String),
    /// It holds a commit that is not ours: this one.
    Foreign(CommitId),
}

impl Branch {
    /// Says whose a branch is, from the commits on it that the base does not have, newest first.
    ///
    /// A commit is ours only if it has our trailers, differs from its parent in the flake's lock and nothing else, and that
    /// lock has the hash it names. A merge of the base that leaves the lock alone (the forge's "update branch") counts.
    ///
    /// It is behind unless it is on top of one of `tops`: the base's tip, and the commit that a push would put it on. Where
    /// that one is older, a push would leave it behind again, and the next one too.
    pub fn classify(
        tip: CommitId,
        tops: &[&CommitId],
        own: &OwnCommits,
        scope: &str,
        lock_path: &str,
    ) -> Self {
        let commits = &own.commits;
        let owner = match owner(commits, scope, lock_path) {
            // Where the two part was not found, so there may be anything.
            Owner::Ours | Owner::Free | Owner::OtherScope(_) if own.truncated => {
                Owner::Foreign(tip.clone())
            }
            owner => owner,
        };
        let newest = commits.first();
        let last_parent = newest.and_then(|commit| commit.parents.last());
        Self {
            behind: last_parent.is_some_and(|parent| !tops.contains(&parent)),
            lock: newest
                .and_then(|commit| commit.lock.as_deref())
                .map(sha256_hex),
            parent_lock: newest
                .and_then(|commit| commit.parent_lock.as_deref())
                .map(sha256_hex),
            tip,
            owner,
        }
    }
}

fn owner(commits: &[CommitFacts], scope: &str, lock_path: &str) -> Owner {
    let mut other = None;
    for (index, commit) in commits.iter().enumerate() {
        let only_lock = commit.changed.iter().all(|path| path == lock_path);
        let ours = match commit.parents.len() {
            1 => {
                let hash = commit.lock.as_deref().map(sha256_hex);
                let named = commit.trailer(LOCK_TRAILER).map(str::to_owned);
                let by = commit.trailer(SCOPE_TRAILER);
                if by.is_some_and(|by| by != scope) {
                    other = by.map(str::to_owned);
                }
                by.is_some() && named.is_some() && named == hash && only_lock
                    // An empty commit changes nothing: somebody made it to start a job again.
                    && !commit.changed.is_empty()
            }
            2 => {
                let before = commits.get(index + 1).map(|parent| &parent.lock);
                commit.merged_is_on_base && only_lock && before == Some(&commit.lock)
            }
            _ => false,
        };
        if !ours {
            return Owner::Foreign(commit.id.clone());
        }
    }
    match (commits.is_empty(), other) {
        (true, _) => Owner::Free,
        (false, Some(scope)) => Owner::OtherScope(scope),
        (false, None) => Owner::Ours,
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Look at the closed pull requests, then decide again.
    LookAtClosed,
    /// Open a pull request, after a push where the branch is not what it should be.
    Create {
        /// Whether to push first.
        push: bool,
    },
    /// Bring the open one up to date: at least one of the two.
    Update {
        /// Whether to push.
        push: bool,
        /// Whether to write title and body.
        edit: bool,
    },
    /// Nothing: all is as it should be, or there is nothing to say and nothing that says it.
    Nothing,
    /// Close the open one and delete its branch.
    Close,
    /// Delete the branch that was left behind when we closed ours.
    DeleteBranch,
    /// Leave it alone, because it is not ours alone.
    Blocked(Blocked),
    /// Leave it closed, because somebody closed this very update.
    Declined(PrNumber),
    /// Leave it alone, because the hold label is on it.
    Held,
    /// Leave everything alone, because the base's lock has moved since the report.
    Stale,
}

/// What blocks us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// A run of this scope has the branch.
    OtherScope(String),
    /// This commit is not ours.
    Foreign(CommitId),
    /// This pull request goes to another base: what is on ours would come into it.
    OtherBase(PrNumber),
}

/// Decides what to do.
pub fn decide(wanted: &Wanted, habits: &Habits, there: &Situation) -> Decision {
    if let Some(open) = &there.open
        && open.labels.contains(&habits.hold_label)
    {
        return Decision::Held;
    }
    if there.base_lock != wanted.before {
        return Decision::Stale;
    }
    let marker = there
        .open
        .as_ref()
        .and_then(|open| Marker::read(&open.body));
    if let Some(marker) = &marker
        && marker.scope != wanted.scope
    {
        return Decision::Blocked(Blocked::OtherScope(marker.scope.clone()));
    }
    match wanted.goal {
        Goal::Publish => publish(wanted, habits, there, marker.as_ref()),
        Goal::Obsolete { proved } => {
            if proved && !habits.keep_obsolete {
                obsolete(wanted, there, marker.as_ref())
            } else {
                Decision::Nothing
            }
        }
    }
}

fn publish(
    wanted: &Wanted,
    habits: &Habits,
    there: &Situation,
    marker: Option<&Marker>,
) -> Decision {
    let blocked = there.branch.as_ref().and_then(Branch::blocks);
    if let (Some(blocked), Some(_)) = (&blocked, &there.open) {
        return Decision::Blocked(blocked.clone());
    }
    let push = !there.branch.as_ref().is_some_and(|branch| {
        branch.owner == Owner::Ours
            && branch.lock.as_ref() == Some(&wanted.lock)
            && branch.parent_lock == there.base_lock
            && !(habits.rebase_when_behind && branch.behind)
    });
    if there.open.is_some() {
        let edit = marker.is_none_or(|marker| marker.digest != wanted.digest || marker.obsolete);
        return if push || edit {
            Decision::Update { push, edit }
        } else {
            Decision::Nothing
        };
    }
    if let Some(number) = there.elsewhere {
        return Decision::Blocked(Blocked::OtherBase(number));
    }
    let Some(closed) = &there.closed else {
        return Decision::LookAtClosed;
    };
    if let Some(blocked) = blocked
        && !there
            .branch
            .as_ref()
            .is_some_and(|branch| was_merged(closed, &branch.tip))
    {
        return Decision::Blocked(blocked);
    }
    let declined = closed.iter().find(|pull| {
        pull.state == PrState::Closed
            && Marker::read(&pull.body).is_some_and(|marker| {
                marker.scope == wanted.scope && marker.lock == wanted.lock && !marker.obsolete
            })
    });
    match declined {
        Some(pull) => Decision::Declined(pull.number),
        None => Decision::Create { push },
    }
}

fn obsolete(wanted: &Wanted, there: &Situation, marker: Option<&Marker>) -> Decision {
    let blocked = there.branch.as_ref().and_then(Branch::blocks);
    if there.open.is_some() {
        return match (blocked, marker) {
            (Some(blocked), _) => Decision::Blocked(blocked),
            // Somebody opened it by hand; it is theirs to close.
            (None, None) => Decision::Nothing,
            (None, Some(_)) => Decision::Close,
        };
    }
    let Some(branch) = there
        .branch
        .as_ref()
        .filter(|branch| branch.owner == Owner::Ours && there.elsewhere.is_none())
    else {
        return Decision::Nothing;
    };
    let Some(closed) = &there.closed else {
        return Decision::LookAtClosed;
    };
    let left_behind = closed
        .iter()
        .find(|pull| pull.head.as_ref() == Some(&branch.tip))
        .and_then(|pull| Marker::read(&pull.body).filter(|_| pull.state == PrState::Closed))
        .is_some_and(|marker| marker.scope == wanted.scope && marker.obsolete);
    if left_behind {
        Decision::DeleteBranch
    } else {
        Decision::Nothing
    }
}

impl Branch {
    fn blocks(&self) -> Option<Blocked> {
        match &self.owner {
            Owner::Ours | Owner::Free => None,
            Owner::OtherScope(scope) => Some(Blocked::OtherScope(scope.clone())),
            Owner::Foreign(commit) => Some(Blocked::Foreign(commit.clone())),
        }
    }
}

/// Whether a merged pull request had this head: its branch was kept, and is free.
fn was_merged(closed: &[PullRequest], tip: &CommitId) -> bool {
    closed
        .iter()
        .any(|pull| pull.state == PrState::Merged && pull.head.as_ref() == Some(tip))
}

/// Returns the title to write on an open pull request; none where it stays, because it is right, or somebody's own.
pub fn title_edit(open: &PullRequest, wanted: &str) -> Option<String> {
    let written = Marker::read(&open.body)?.title;
    let (prefix, current) = marker::split_draft_prefix(&open.title);
    let ours = marker::title_hash(current) == written;
    // A template may begin with such a prefix too; it stands there once.
    let (_, bare) = marker::split_draft_prefix(wanted);
    if !ours || current.trim() == bare.trim() {
        return None;
    }
    // Whoever made it a draft means it to stay one.
    Some(if prefix.is_empty() {
        wanted.to_owned()
    } else {
        format!("{prefix} {bare}")
    })
}

#[cfg(test)]
mod tests;
