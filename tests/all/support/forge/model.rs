//! What a forge knows, as plain data over real repositories, and what people do to it besides the API.

use std::fs;
use std::path::{Path, PathBuf};

use super::git;

/// Which forge is stood in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Forgejo 12.
    Forgejo,
    /// Gitea 1.25: Forgejo's language, without Forgejo's own routes.
    Gitea,
    /// GitHub, with the paths of GitHub Enterprise.
    Github,
}

/// What a token's owner may do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// It is not there for them.
    None,
    /// They may look at it.
    Read,
    /// They may change it.
    Write,
}

/// A token and who it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// What tests call it; the name in [`super::Seen`].
    pub(crate) name: String,
    /// The token itself.
    pub(crate) secret: String,
    /// Its user.
    pub(crate) user: String,
    /// What it may do: `write:repository` on Forgejo, `pull_requests:write` on GitHub; empty is everything.
    pub(crate) scopes: Vec<String>,
    /// The repository whose job it is the automatic token of.
    pub(crate) automatic: Option<String>,
    /// It is not valid any longer.
    pub(crate) expired: bool,
    /// Its user may only read.
    pub(crate) read_only: bool,
    /// The only repositories it is for, where it is not for all.
    pub(crate) repositories: Option<Vec<String>>,
}

impl Token {
    /// A token of a user who may write everywhere, with every scope.
    pub(crate) fn new(name: &str, secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
            user: "robot".to_owned(),
            scopes: Vec::new(),
            automatic: None,
            expired: false,
            read_only: false,
            repositories: None,
        }
    }

    /// The same with some scopes only.
    pub(crate) fn with_scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self
    }

    /// The same as the automatic token of a repository's job.
    pub(crate) fn automatic_of(mut self, slug: &str, dialect: Dialect) -> Self {
        self.automatic = Some(slug.to_owned());
        self.user = match dialect {
            Dialect::Forgejo => "forgejo-actions",
            Dialect::Gitea => "gitea-actions",
            Dialect::Github => "github-actions[bot]",
        }
        .to_owned();
        self
    }

    /// Says whether it has a scope; writing includes reading.
    pub(crate) fn may(&self, scope: &str) -> bool {
        let wider = scope.replace("read:", "write:").replace(":read", ":write");
        self.scopes.is_empty() || self.scopes.iter().any(|has| *has == scope || *has == wider)
    }
}

/// A label.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    /// Its number.
    pub(crate) id: u64,
    /// Its name.
    pub(crate) name: String,
    /// It belongs to the organisation.
    pub(crate) of_organisation: bool,
}

/// A comment.
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    /// Its number.
    pub(crate) id: u64,
    /// Who wrote it.
    pub(crate) user: String,
    /// What it says.
    pub(crate) body: String,
}

/// Whether a pull request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullState {
    /// It waits.
    Open,
    /// It was closed or merged.
    Closed,
}

/// How to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merging {
    /// With a merge commit.
    Merge,
    /// As one commit.
    Squash,
}

/// A pull request.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    /// Its number in the database, which is not the one people know.
    pub(crate) id: u64,
    /// Its number.
    pub(crate) number: u64,
    /// Its title.
    pub(crate) title: String,
    /// Its body.
    pub(crate) body: String,
    /// Whether it waits.
    pub(crate) state: PullState,
    /// It was merged.
    pub(crate) merged: bool,
    /// The commit that merged it.
    pub(crate) merge_commit: Option<String>,
    /// Its branch.
    pub(crate) head_ref: String,
    /// The repository of its branch where that is another one, as `OWNER/NAME`.
    pub(crate) head_repo: Option<String>,
    /// The commit at its head.
    pub(crate) head_sha: String,
    /// The branch it goes to.
    pub(crate) base_ref: String,
    /// Who opened it.
    pub(crate) user: String,
    /// The names of its labels.
    pub(crate) labels: Vec<String>,
    /// Its assignees.
    pub(crate) assignees: Vec<String>,
    /// Who shall review it.
    pub(crate) reviewers: Vec<String>,
    /// Its comments.
    pub(crate) comments: Vec<Comment>,
    /// GitHub's draft flag; Forgejo reads the title.
    pub(crate) draft: bool,
    /// It is to be merged once its checks succeed, for this commit.
    pub(crate) armed_for: Option<String>,
    /// How often its branch moved while that was so.
    pub(crate) pushes_while_armed: usize,
    /// How often asking for a merge is still answered by "try again later".
    pub(crate) busy: u32,
    /// How often title, body, state or base were changed over the API.
    pub(crate) edits: usize,
    /// Head and base when it was last looked whether one contains the other.
    pub(crate) judged: Option<(String, String)>,
    /// When it was opened and last changed, on the stand-in's clock.
    pub(crate) times: (u64, u64),
}

impl Pull {
    /// Says whether it is a draft.
    pub(crate) fn is_draft(&self, dialect: Dialect) -> bool {
        let title = self.title.to_lowercase();
        match dialect {
            Dialect::Github => self.draft,
            Dialect::Forgejo | Dialect::Gitea => {
                title.starts_with("wip:") || title.starts_with("[wip]")
            }
        }
    }
}

/// A repository.
#[derive(Debug, Clone)]
pub(crate) struct Repo {
    /// Its number.
    pub(crate) id: u64,
    /// Its name, `OWNER/NAME`.
    pub(crate) slug: String,
    /// Where it is on disk.
    pub(crate) path: PathBuf,
    /// Its default branch.
    pub(crate) default_branch: String,
    /// Not everybody can read it.
    pub(crate) private: bool,
    /// It takes no changes.
    pub(crate) archived: bool,
    /// It is a fork of another one.
    pub(crate) fork: bool,
    /// It takes pull requests.
    pub(crate) has_pull_requests: bool,
    /// Names it had, each with whether it was the owner that was renamed.
    pub(crate) former: Vec<(String, bool)>,
    /// Branches that take no pushes.
    pub(crate) protected: Vec<String>,
    /// Checks that protected branches ask for.
    pub(crate) required_checks: Vec<String>,
    /// GitHub's setting for auto-merge.
    pub(crate) allow_auto_merge: bool,
    /// Its labels, with those of its organisation.
    pub(crate) labels: Vec<Label>,
    /// Its pull requests, oldest first.
    pub(crate) pulls: Vec<Pull>,
}

impl Repo {
    /// Returns its owner.
    pub(crate) fn owner(&self) -> &str {
        self.slug.split('/').next().unwrap_or_default()
    }

    /// Returns its name without the owner.
    pub(crate) fn name(&self) -> &str {
        self.slug.split('/').next_back().unwrap_or_default()
    }

    /// Returns a pull request.
    pub(crate) fn pull(&mut self, number: u64) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }

    /// Notices what happened to the branches since the last look, and does what forges do about it.
    fn notice(&mut self, dialect: Dialect, now: u64) {
        let branches = git::branches(&self.path);
        let tip = |name: &str| {
            branches
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, id)| id.clone())
        };
        let github = dialect == Dialect::Github;
        for pull in &mut self.pulls {
            if pull.state != PullState::Open || pull.head_repo.is_some() {
                continue;
            }
            let (Some(head), Some(base)) = (tip(&pull.head_ref), tip(&pull.base_ref)) else {
                pull.state = PullState::Closed;
                pull.armed_for = None;
                pull.times.1 = now;
                continue;
            };
            let moved = head != pull.head_sha;
            if moved {
                pull.times.1 = now;
                pull.pushes_while_armed += usize::from(pull.armed_for.is_some());
                pull.head_sha.clone_from(&head);
                drop(git::set_ref(
                    &self.path,
                    &format!("refs/pull/{}/head", pull.number),
                    &head,
                ));
            }
            let judged = (head.clone(), base.clone());
            if github && pull.judged.as_ref() != Some(&judged) {
                pull.judged = Some(judged);
                if !git::contains(&self.path, &base, &head) {
                    continue;
                }
                // A branch reset to something old has nothing left to merge; a base that took it in has merged it.
                pull.state = PullState::Closed;
                pull.merged = !moved;
                pull.merge_commit = pull.merged.then(|| head.clone());
                pull.times.1 = now;
            }
        }
    }
}

/// Everything a forge knows.
#[derive(Debug)]
pub(crate) struct State {
    /// Which forge it is.
    pub(crate) dialect: Dialect,
    /// The server's address, with its sub-path.
    pub(crate) server: String,
    /// The directory of the repositories.
    pub(crate) dir: PathBuf,
    /// The repositories.
    pub(crate) repos: Vec<Repo>,
    /// The tokens.
    pub(crate) tokens: Vec<Token>,
    /// Users that can be assigned and asked for reviews, besides those of tokens.
    pub(crate) users: Vec<String>,
    /// The first entry of every list of pull requests is `null`, as on Forgejo 16.
    pub(crate) null_entries: bool,
    /// A pull request's `url` is the API's, as since Forgejo 16.
    pub(crate) api_urls: bool,
    /// GitHub's setting "Allow GitHub Actions to create and approve pull requests".
    pub(crate) actions_may_open: bool,
    /// How often a new pull request answers a merge by "try again later".
    pub(crate) busy_after_opening: u32,
    /// The stand-in's clock.
    pub(crate) clock: u64,
    /// The last number given out in the database.
    pub(crate) last_id: u64,
}

impl State {
    /// A forge without anything.
    pub(crate) fn new(dialect: Dialect, server: String, dir: &Path) -> Self {
        Self {
            dialect,
            server,
            dir: dir.to_owned(),
            repos: Vec::new(),
            tokens: Vec::new(),
            users: vec!["alice".to_owned()],
            null_entries: false,
            api_urls: false,
            actions_may_open: true,
            busy_after_opening: 1,
            clock: 0,
            last_id: 100,
        }
    }

    /// Returns a number that nothing has yet.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Makes the clock tick.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Makes an empty repository.
    pub(crate) fn create_repository(&mut self, slug: &str, default_branch: &str) -> PathBuf {
        let path = self.dir.join(format!("{slug}.git"));
        git::init(&path, default_branch).expect("a bare repository");
        let id = self.next_id();
        self.repos.push(Repo {
            id,
            slug: slug.to_owned(),
            path: path.clone(),
            default_branch: default_branch.to_owned(),
            private: false,
            archived: false,
            fork: false,
            has_pull_requests: true,
            former: Vec::new(),
            protected: Vec::new(),
            required_checks: Vec::new(),
            allow_auto_merge: false,
            labels: Vec::new(),
            pulls: Vec::new(),
        });
        path
    }

    /// Returns a repository by its name of today.
    #[track_caller]
    pub(crate) fn repo(&mut self, slug: &str) -> &mut Repo {
        self.repos
            .iter_mut()
            .find(|repo| repo.slug.eq_ignore_ascii_case(slug))
            .unwrap_or_else(|| panic!("there is no repository {slug}"))
    }

    /// Returns a pull request.
    #[track_caller]
    pub(crate) fn pull(&mut self, slug: &str, number: u64) -> &mut Pull {
        self.repo(slug)
            .pull(number)
            .unwrap_or_else(|| panic!("{slug} has no pull request {number}"))
    }

    /// Returns the open pull requests of a repository.
    #[track_caller]
    pub(crate) fn open_pulls(&mut self, slug: &str) -> Vec<Pull> {
        let pulls = self.repo(slug).pulls.iter();
        pulls
            .filter(|pull| pull.state == PullState::Open)
            .cloned()
            .collect()
    }

    /// Notices what happened in the repositories besides the API.
    pub(crate) fn notice(&mut self) {
        let (dialect, now) = (self.dialect, self.tick());
        for repo in &mut self.repos {
            repo.notice(dialect, now);
        }
    }

    /// Adds a token.
    pub(crate) fn add_token(&mut self, token: Token) {
        self.tokens.push(token);
    }

    /// Adds a label to a repository, or to its organisation.
    pub(crate) fn add_label(&mut self, slug: &str, name: &str, of_organisation: bool) -> u64 {
        let id = self.next_id();
        self.repo(slug).labels.push(Label {
            id,
            name: name.to_owned(),
            of_organisation,
        });
        id
    }

    /// Renames a repository; the old name leads to the new one.
    pub(crate) fn rename(&mut self, slug: &str, new: &str) {
        let path = self.dir.join(format!("{new}.git"));
        let repo = self.repo(slug);
        fs::create_dir_all(path.parent().expect("a parent")).expect("the new owner's directory");
        fs::rename(&repo.path, &path).expect("the repository moves");
        let owner = !new.starts_with(&format!("{}/", repo.owner()));
        repo.former.push((repo.slug.clone(), owner));
        repo.slug = new.to_owned();
        repo.path = path;
    }

    /// Says what a token's owner may do with a repository.
    pub(crate) fn access(&self, repo: &Repo, token: Option<&Token>) -> Access {
        let public = if repo.private {
            Access::None
        } else {
            Access::Read
        };
        let Some(token) = token else {
            return public;
        };
        let own = |slug: &String| slug.eq_ignore_ascii_case(&repo.slug);
        let is_own = token
            .automatic
            .as_ref()
            .is_none_or(|of| own(of) || repo.former.iter().any(|(name, _)| name == of));
        if !is_own {
            // Forgejo's automatic token does not even see what is public elsewhere.
            return if self.dialect == Dialect::Github {
                public
            } else {
                Access::None
            };
        }
        let listed = token
            .repositories
            .as_ref()
            .is_none_or(|list| list.iter().any(own));
        match (listed, token.read_only) {
            (false, _) => public,
            (true, true) => Access::Read,
            (true, false) => Access::Write,
        }
    }

    /// Makes a commit on a branch as somebody at a keyboard would, the branch too if it is not there, from `from`.
    pub(crate) fn commit_on_branch(
        &mut self,
        slug: &str,
        branch: &str,
        from: Option<&str>,
        files: &[(&str, Option<&[u8]>)],
        message: &str,
    ) -> String {
        let path = self.repo(slug).path.clone();
        let parent =
            git::tip(&path, branch).or_else(|| from.and_then(|from| git::tip(&path, from)));
        let id = git::commit(&path, parent.as_deref(), files, message).expect("a commit");
        git::set_ref(&path, &format!("refs/heads/{branch}"), &id).expect("the branch moves");
        self.notice();
        id
    }

    /// Sets a branch to a commit, whatever was there.
    pub(crate) fn set_branch(&mut self, slug: &str, branch: &str, id: &str) {
        let path = self.repo(slug).path.clone();
        git::set_ref(&path, &format!("refs/heads/{branch}"), id).expect("the branch moves");
        self.notice();
    }

    /// Deletes a branch.
    pub(crate) fn delete_branch(&mut self, slug: &str, branch: &str) {
        let path = self.repo(slug).path.clone();
        git::delete_ref(&path, &format!("refs/heads/{branch}")).expect("the branch goes");
        self.notice();
    }

    /// Returns a branch's tip.
    pub(crate) fn tip(&mut self, slug: &str, branch: &str) -> Option<String> {
        git::tip(&self.repo(slug).path, branch)
    }

    /// Opens a pull request as it is, whatever the API would say about it. Returns its number.
    pub(crate) fn open_pull(
        &mut self,
        slug: &str,
        head: &str,
        base: &str,
        title: &str,
        body: &str,
        user: &str,
    ) -> u64 {
        let (id, now) = (self.next_id(), self.tick());
        let busy = self.busy_after_opening;
        let repo = self.repo(slug);
        let number = repo.pulls.len() as u64 + 1;
        let head_sha = git::tip(&repo.path, head).unwrap_or_else(|| "0".repeat(40));
        drop(git::set_ref(
            &repo.path,
            &format!("refs/pull/{number}/head"),
            &head_sha,
        ));
        repo.pulls.push(Pull {
            id,
            number,
            title: title.to_owned(),
            body: body.to_owned(),
            state: PullState::Open,
            merged: false,
            merge_commit: None,
            head_ref: head.to_owned(),
            head_repo: None,
            head_sha,
            base_ref: base.to_owned(),
            user: user.to_owned(),
            labels: Vec::new(),
            assignees: Vec::new(),
            reviewers: Vec::new(),
            comments: Vec::new(),
            draft: false,
            armed_for: None,
            pushes_while_armed: 0,
            busy,
            edits: 0,
            judged: None,
            times: (now, now),
        });
        number
    }

    /// Opens a pull request from a fork's branch of the same name.
    pub(crate) fn open_from_fork(&mut self, slug: &str, fork: &str, head: &str, base: &str) -> u64 {
        let number = self.open_pull(slug, head, base, "from a fork", "", "mallory");
        let pull = self.pull(slug, number);
        pull.head_repo = Some(fork.to_owned());
        pull.head_sha = "f".repeat(40);
        number
    }

    /// Edits title and body as the web page does: a form's text comes with CRLF line ends.
    pub(crate) fn edit_as_human(
        &mut self,
        slug: &str,
        number: u64,
        title: Option<&str>,
        body: Option<&str>,
    ) {
        let now = self.tick();
        let pull = self.pull(slug, number);
        if let Some(title) = title {
            title.clone_into(&mut pull.title);
        }
        if let Some(body) = body {
            pull.body = body.replace("\r\n", "\n").replace('\n', "\r\n");
        }
        pull.times.1 = now;
    }

    /// Comments as somebody.
    pub(crate) fn comment_as_human(&mut self, slug: &str, number: u64, body: &str) {
        let id = self.next_id();
        self.pull(slug, number).comments.push(Comment {
            id,
            user: "alice".to_owned(),
            body: body.to_owned(),
        });
    }

    /// Closes a pull request without merging it.
    pub(crate) fn close_as_human(&mut self, slug: &str, number: u64) {
        let now = self.tick();
        let pull = self.pull(slug, number);
        pull.state = PullState::Closed;
        pull.armed_for = None;
        pull.times.1 = now;
    }

    /// Merges a pull request; a conflict is an error.
    pub(crate) fn merge_pull(
        &mut self,
        slug: &str,
        number: u64,
        how: Merging,
        delete_branch: bool,
    ) -> Result<String, String> {
        let now = self.tick();
        let repo = self.repo(slug);
        let path = repo.path.clone();
        let pull = repo.pull(number).ok_or("no such pull request")?;
        let base = git::tip(&path, &pull.base_ref).ok_or("the base is gone")?;
        let tree = git::merged_tree(&path, &base, &pull.head_sha)?;
        let (parents, message) = match how {
            Merging::Merge => (
                vec![base.as_str(), pull.head_sha.as_str()],
                format!("Merge pull request #{number} from {}", pull.head_ref),
            ),
            Merging::Squash => (vec![base.as_str()], format!("{} (#{number})", pull.title)),
        };
        let commit = git::commit_tree(&path, &tree, &parents, &message)?;
        git::set_ref(&path, &format!("refs/heads/{}", pull.base_ref), &commit)?;
        pull.state = PullState::Closed;
        pull.merged = true;
        pull.merge_commit = Some(commit.clone());
        pull.armed_for = None;
        pull.times.1 = now;
        if delete_branch {
            git::delete_ref(&path, &format!("refs/heads/{}", pull.head_ref))?;
        }
        self.notice();
        Ok(commit)
    }

    /// Merges the base into a pull request's branch, as the button "Update branch" does.
    pub(crate) fn update_branch(&mut self, slug: &str, number: u64) -> Result<String, String> {
        let repo = self.repo(slug);
        let path = repo.path.clone();
        let pull = repo.pull(number).ok_or("no such pull request")?;
        let (head, base) = (pull.head_ref.clone(), pull.base_ref.clone());
        let base_tip = git::tip(&path, &base).ok_or("the base is gone")?;
        let head_tip = git::tip(&path, &head).ok_or("the branch is gone")?;
        let tree = git::merged_tree(&path, &head_tip, &base_tip)?;
        let message = format!("Merge branch '{base}' into {head}");
        let commit = git::commit_tree(&path, &tree, &[&head_tip, &base_tip], &message)?;
        git::set_ref(&path, &format!("refs/heads/{head}"), &commit)?;
        self.notice();
        Ok(commit)
    }
}

/// Returns a moment of the stand-in's clock as the APIs write it.
pub(crate) fn stamp(clock: u64) -> String {
    let (minutes, seconds) = (clock / 60, clock % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let (days, hours) = (hours / 24, hours % 24);
    format!(
        "2024-06-{:02}T{hours:02}:{minutes:02}:{seconds:02}Z",
        1 + days
    )
}
