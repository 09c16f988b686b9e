//! The repository the flake is in, and the commits that are made of it.
//!
//! A [`Checkout`] is the user's repository and is only read. A [`Workshop`] is a store of objects of our own above it: what is
//! fetched and what is committed goes there. Commits are made with libgit2, signed by the programs that git's configuration names.

mod commit;
mod identity;
mod names;
mod refusal;
mod remote;
mod sign;
#[cfg(test)]
mod tests;
mod transport;
mod workshop;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode, FileMode, ObjectType, Repository, StatusOptions};
use thiserror::Error;

use crate::command::Cmd;
use crate::command::{CommandError, Stop};

pub use commit::NewCommit;
pub use identity::Identity;
pub use names::{BranchName, CommitId, NameError, RepoSlug};
pub use refusal::{Refusal, Why};
pub use remote::{RemoteUrl, RemoteUrlError, Scheme};
pub use sign::{SignHow, Signing, WrongKey};
pub use transport::{Credential, Remote, Seen, Transport, TransportError, Want};
pub use workshop::{CommitFacts, Contained, OwnCommits, Workshop};

/// A git checkout, seen from the flake's directory in it.
pub struct Checkout {
    repository: Repository,
    toplevel: PathBuf,
    dir: String,
    /// The directory in which it was trusted, where it belongs to another user.
    trusted: Option<PathBuf>,
}

impl std::fmt::Debug for Checkout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkout")
            .field("toplevel", &self.toplevel)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// What stands at a path of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file, with its bytes as git stores them.
    File(Vec<u8>),
    /// A symbolic link.
    Link,
    /// A directory, or a submodule.
    Directory,
}

/// Why a repository cannot be used, or a commit not be made.
#[derive(Debug, Error)]
pub enum GitError {
    /// Git refuses the checkout of another user.
    #[error("the checkout {} belongs to another user", .0.display())]
    Owner(PathBuf),
    /// There is no working tree to evaluate.
    #[error("{} is a bare repository: a flake is evaluated from a checkout", .0.display())]
    Bare(PathBuf),
    /// A worktree's or a submodule's `.git` names a directory that is not there.
    #[error("{} leads to no git repository", .0.display())]
    NoRepository(PathBuf),
    /// A path is not UTF-8, which Nix cannot be told.
    #[error("{} is not UTF-8", .0.display())]
    Path(PathBuf),
    /// The repository's objects have names that libgit2 does not read.
    #[error("{} names its objects by SHA-256, which is not supported", .0.display())]
    Sha256(PathBuf),
    /// The repository is laid out in a way that libgit2 does not read.
    #[error("{} uses the git extension {name}, which is not supported", .path.display())]
    Extension {
        /// The directory it was looked for from.
        path: PathBuf,
        /// The extension's name, lowercase, as under `extensions.`.
        name: String,
    },
    /// A name that git holds is none that we take.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A commit is not there.
    #[error("commit {id} cannot be read: {}", .source.message())]
    NoCommit {
        /// Its name.
        id: String,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// The file to change is a link.
    #[error("{} is a symbolic link in the commit to build on", .0.display())]
    Link(PathBuf),
    /// The file to change is a directory, or a submodule.
    #[error("{} is no file in the commit to build on", .0.display())]
    NoFile(PathBuf),
    /// A name or an address that a commit cannot hold.
    #[error("`{}` cannot be a commit's author: {why}", .text.escape_debug())]
    Identity {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody is known whose commit it would be.
    #[error("git does not know who the commit is by: {0}")]
    NoIdentity(String),
    /// A message that a commit cannot hold.
    #[error("the commit message cannot be used: {0}")]
    Message(&'static str),
    /// A signature is wanted and no key is named.
    #[error("the commit cannot be signed: no SSH key is named")]
    NoKey,
    /// The program that signs did not run, or not to its end.
    #[error("the commit cannot be signed: {0}")]
    NoSigner(CommandError),
    /// The file of the signing key holds none that can be used.
    #[error("the signing key {} {wrong}", .file.display())]
    KeyFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        wrong: WrongKey,
    },
    /// A signature is wanted and cannot be made.
    #[error("the commit cannot be signed: {0}")]
    Sign(String),
    /// The git program failed.
    #[error("{}", in_words(.0))]
    Command(#[from] CommandError),
    /// A file of git's or of ours cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Anything else, in libgit2's words.
    #[error("git cannot {what}: {}", .source.message())]
    Git {
        /// What was tried.
        what: &'static str,
        /// What libgit2 says.
        source: git2::Error,
    },
}

impl GitError {
    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Owner(path) => Some(format!(
                "if you trust it: `git config --global --add safe.directory {}`",
                path.display()
            )),
            Self::Bare(_) => Some("run in a clone of it".to_owned()),
            Self::NoRepository(_) => Some(
                "a worktree or a submodule needs the repository that it was made from: have that at hand too, or run there"
                    .to_owned(),
            ),
            Self::Sha256(_) => Some(
                "only repositories that name their objects by SHA-1 can be worked with".to_owned(),
            ),
            Self::Extension { name, .. } => Some(match name.as_str() {
                "refstorage" => "`git refs migrate --ref-format=files` brings the usual layout back".to_owned(),
                "partialclone" => "clone it without `--filter`".to_owned(),
                _ => "run in a clone without it".to_owned(),
            }),
            Self::Link(_) => Some("publish from the directory that the file itself is in".to_owned()),
            Self::NoIdentity(_) => Some(
                "`git config user.name NAME` and `git config user.email ADDRESS`, or --author 'NAME <ADDRESS>'"
                    .to_owned(),
            ),
            Self::NoKey => Some("set git's user.signingKey, or give --signing-key-file".to_owned()),
            Self::NoSigner(error) if error.is_program_missing() => Some(
                "install the program (OpenSSH or GnuPG), or do without a signature: --sign off".to_owned(),
            ),
            Self::KeyFile { wrong, .. } => Some(wrong.hint().to_owned()),
            Self::Sign(words) if sign::wants_passphrase(words) => Some(sign::NO_PASSPHRASE.to_owned()),
            Self::Sign(_) => Some(
                "git's commit.gpgSign, gpg.format and user.signingKey say how commits are signed; --sign off does without"
                    .to_owned(),
            ),
            Self::Command(error) if error.is_program_missing() => {
                Some("git must be installed and on PATH".to_owned())
            }
            Self::NoSigner(error) | Self::Command(error) => error.hint(),
            Self::NoCommit { .. } => {
                Some("in a shallow clone, fetch more of the history: `fetch-depth: 0` for actions/checkout".to_owned())
            }
            Self::Path(_)
            | Self::Name(_)
            | Self::NoFile(_)
            | Self::Identity { .. }
            | Self::Message(_)
            | Self::File { .. }
            | Self::Git { .. } => None,
        }
    }

    /// Returns the signal that ended it, where one did.
    pub fn stopped(&self) -> Option<Stop> {
        match self {
            Self::NoSigner(error) | Self::Command(error) => error.stopped(),
            _ => None,
        }
    }
}

/// Returns a failed call of git with the line that says why.
fn in_words(error: &CommandError) -> String {
    let stderr = error
        .stderr()
        .map(|stderr| stderr.text())
        .unwrap_or_default();
    match stderr.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!("{error}: {}", line.trim()),
        None => error.to_string(),
    }
}

/// Says which file it was that the system refused.
fn file_error(path: &Path) -> impl FnOnce(io::Error) -> GitError {
    let path = path.to_owned();
    move |source| GitError::File { path, source }
}

/// Returns a call of git for one repository, which it does not look for: so it has no say in whose it is either.
fn git_at(git_dir: &Path) -> Cmd {
    let mut option = OsString::from("--git-dir=");
    option.push(git_dir);
    Cmd::new("git").arg(option)
}

/// Says what was tried when libgit2 refuses.
fn tried(what: &'static str) -> impl Fn(git2::Error) -> GitError {
    move |source| GitError::Git { what, source }
}

impl Checkout {
    /// Returns the checkout that `dir`, an absolute path without links in it, is in; none where there is no git.
    ///
    /// Another user's checkout is refused, as git does, unless it lies in `trusted`: in a container job the runner's workspace
    /// often belongs to the user outside.
    ///
    /// # Errors
    ///
    /// The repository is bare, belongs to another user, is not where `.git` says, or cannot be read.
    pub fn find(dir: &Path, trusted: Option<&Path>) -> Result<Option<Self>, GitError> {
        let (repository, trusted) = match Repository::discover(dir) {
            Ok(repository) => (repository, None),
            Err(error) if error.code() == ErrorCode::NotFound => {
                // A file there is a pointer. What it points to being gone is no reason to take the directory for one without git.
                let pointer = dir.ancestors().map(|dir| dir.join(".git"));
                return match pointer.into_iter().find(|path| path.is_file()) {
                    Some(pointer) => Err(GitError::NoRepository(pointer)),
                    None => Ok(None),
                };
            }
            Err(error) if error.code() == ErrorCode::Owner => match trusted {
                Some(trusted) => (open_trusted(dir, trusted)?, Some(trusted.to_owned())),
                None => return Err(GitError::Owner(dir.to_owned())),
            },
            Err(error) => return Err(not_opened(dir, error)),
        };
        let Some(workdir) = repository.workdir() else {
            return Err(GitError::Bare(repository.path().to_owned()));
        };
        let toplevel = workdir
            .canonicalize()
            .unwrap_or_else(|_| workdir.to_owned());
        let Ok(below) = dir.strip_prefix(&toplevel) else {
            return Err(GitError::Path(dir.to_owned()));
        };
        let dir = below
            .to_str()
            .ok_or_else(|| GitError::Path(dir.to_owned()))?
            .to_owned();
        Ok(Some(Self {
            repository,
            toplevel,
            dir,
            trusted,
        }))
    }

    /// Returns git's directory of this checkout; for a worktree that is not the one its objects are in.
    pub fn git_dir(&self) -> &Path {
        self.repository.path()
    }

    /// Returns git's directory that all worktrees share.
    fn common_dir(&self) -> &Path {
        self.repository.commondir()
    }

    /// Returns the directory of its objects.
    pub fn object_dir(&self) -> PathBuf {
        self.common_dir().join("objects")
    }

    /// Returns whether history is cut off, as in a clone with `--depth`.
    pub fn is_shallow(&self) -> bool {
        // Not libgit2's answer, which looks for a worktree's own.
        self.common_dir()
            .join("shallow")
            .metadata()
            .is_ok_and(|file| file.len() > 0)
    }

    /// Returns the names of the remotes, sorted.
    ///
    /// # Errors
    ///
    /// The configuration cannot be read, or a name is not UTF-8.
    pub fn remotes(&self) -> Result<Vec<String>, GitError> {
        const WHAT: &str = "list the remotes";
        let remotes = self.repository.remotes().map_err(tried(WHAT))?;
        let mut names = Vec::new();
        for name in &remotes {
            names.extend(name.map_err(tried(WHAT))?.map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Returns where a remote is pushed to, with git's `pushInsteadOf` and `insteadOf` applied; none where there is no such remote.
    ///
    /// # Errors
    ///
    /// The configuration cannot be read, or the URL is not UTF-8.
    pub fn remote_url(&self, name: &str) -> Result<Option<String>, GitError> {
        const WHAT: &str = "read a remote's URL";
        let remote = match self.repository.find_remote(name) {
            Ok(remote) => remote,
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                return Ok(None);
            }
            Err(error) => return Err(tried(WHAT)(error)),
        };
        let url = match remote.pushurl().map_err(tried(WHAT))? {
            Some(url) => url,
            None => remote.url().map_err(tried(WHAT))?,
        };
        Ok(Some(url.to_owned()).filter(|url| !url.is_empty()))
    }

    /// Returns the branch checked out; none where a commit is, or something that is no branch.
    ///
    /// # Errors
    ///
    /// The repository cannot be read, or the branch has a name that we do not take.
    pub fn branch(&self) -> Result<Option<BranchName>, GitError> {
        const WHAT: &str = "find the branch checked out";
        let head = self
            .repository
            .find_reference("HEAD")
            .map_err(tried(WHAT))?;
        let target = head.symbolic_target().map_err(tried(WHAT))?;
        Ok(target
            .and_then(|target| target.strip_prefix("refs/heads/"))
            .map(str::parse)
            .transpose()?)
    }

    /// Returns whether it belongs to another user, so that git, and whoever asks as git does, would refuse it.
    pub fn is_foreign(&self) -> bool {
        self.trusted.is_some()
    }

    /// Returns the top of the working tree, and those of the submodules that are checked out, with theirs.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn working_trees(&self) -> Result<Vec<PathBuf>, GitError> {
        let mut found = vec![self.toplevel.clone()];
        let trusted = self.trusted.as_deref();
        add_submodules(&self.repository, &self.toplevel, trusted, &mut found)?;
        Ok(found)
    }

    /// Returns the top of the working tree.
    pub fn toplevel(&self) -> &Path {
        &self.toplevel
    }

    /// Returns the flake's directory below the top; empty where it is the top.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// Returns the path of a file of the flake, from the top.
    pub fn path_of(&self, name: &str) -> String {
        if self.dir.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.dir)
        }
    }

    /// Returns the commit checked out; none before the first one.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn head(&self) -> Result<Option<String>, GitError> {
        match self.repository.head() {
            Ok(head) => {
                let commit = head
                    .peel_to_commit()
                    .map_err(tried("find the commit checked out"))?;
                Ok(Some(commit.id().to_string()))
            }
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                Ok(None)
            }
            Err(error) => Err(tried("find the commit checked out")(error)),
        }
    }

    /// Returns the tracked files that differ from the commit checked out, from the top, sorted.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn changed(&self) -> Result<Vec<String>, GitError> {
        let mut options = StatusOptions::new();
        options
            .include_untracked(false)
            .include_ignored(false)
            .exclude_submodules(true);
        let statuses = self
            .repository
            .statuses(Some(&mut options))
            .map_err(tried("compare the working tree with its commit"))?;
        let mut paths: Vec<String> = statuses
            .iter()
            .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned())
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// Returns whether git knows a file of the working tree, by its path from the top: Nix sees no other.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn is_tracked(&self, path: &str) -> Result<bool, GitError> {
        let index = self
            .repository
            .index()
            .map_err(tried("list the tracked files"))?;
        // Beyond 0 are the sides of a merge that is not resolved.
        Ok((0..=3).any(|stage| index.get_path(Path::new(path), stage).is_some()))
    }

    /// Returns a file of the commit checked out, by its path from the top; none where it has no such file.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn file_at_head(&self, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        Ok(match self.at_head(path)? {
            Some(Entry::File(bytes)) => Some(bytes),
            Some(Entry::Link | Entry::Directory) | None => None,
        })
    }

    /// Returns what stands at a path of the commit checked out, from the top; none where there is nothing.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn at_head(&self, path: &str) -> Result<Option<Entry>, GitError> {
        const WHAT: &str = "read a file of the commit checked out";
        if self.head()?.is_none() {
            return Ok(None);
        }
        let tree = self
            .repository
            .head()
            .and_then(|head| head.peel_to_tree())
            .map_err(tried(WHAT))?;
        let entry = match tree.get_path(Path::new(path)) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(tried(WHAT)(error)),
        };
        if entry.filemode() == i32::from(FileMode::Link) {
            return Ok(Some(Entry::Link));
        }
        if entry.kind() != Some(ObjectType::Blob) {
            return Ok(Some(Entry::Directory));
        }
        let object = entry.to_object(&self.repository).map_err(tried(WHAT))?;
        Ok(object
            .as_blob()
            .map(|blob| Entry::File(blob.content().to_vec())))
    }

    /// Returns whether the commit's `.gitattributes` at the top name a filter (git-crypt, LFS), which Nix does
    /// not run when it reads a commit instead of the working tree.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn has_filters(&self) -> Result<bool, GitError> {
        let attributes = self.file_at_head(".gitattributes")?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&attributes)
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .any(|line| {
                line.split_whitespace()
                    .skip(1)
                    .any(|word| word.starts_with("filter="))
            }))
    }

    /// Returns whether a submodule is checked out: whoever did that means it to be part of the flake.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn has_submodules(&self) -> Result<bool, GitError> {
        Ok(self.working_trees()?.len() > 1)
    }
}

/// Adds the working trees of the submodules of `repository`, whose own is `toplevel`, and of theirs.
fn add_submodules(
    repository: &Repository,
    toplevel: &Path,
    trusted: Option<&Path>,
    found: &mut Vec<PathBuf>,
) -> Result<(), GitError> {
    let submodules = repository
        .submodules()
        .map_err(tried("list the submodules"))?;
    for submodule in &submodules {
        let Ok(path) = toplevel.join(submodule.path()).canonicalize() else {
            continue;
        };
        let opened = match (submodule.open(), trusted) {
            (Err(error), Some(trusted)) if error.code() == ErrorCode::Owner => {
                open_trusted(&path, trusted).ok()
            }
            (opened, _) => opened.ok(),
        };
        if let Some(opened) = opened
            && path.starts_with(toplevel)
            && !found.contains(&path)
        {
            found.push(path.clone());
            add_submodules(&opened, &path, trusted, found)?;
        }
    }
    Ok(())
}

/// Opens another user's repository, which libgit2 refuses to, if it lies in `trusted` with all that belongs to it.
///
/// libgit2 does not ask for the owner where it is told that a path is a bare repository; that this one has a working tree is
/// told to it afterwards, in memory only.
fn open_trusted(dir: &Path, trusted: &Path) -> Result<Repository, GitError> {
    const WHAT: &str = "open the repository";
    let refused = || GitError::Owner(dir.to_owned());
    let trusted = trusted.canonicalize().map_err(file_error(trusted))?;
    let is_trusted = |path: &Path| {
        path.canonicalize()
            .is_ok_and(|path| path.starts_with(&trusted))
    };
    let git_dir = Repository::discover_path(dir, None::<&Path>).map_err(tried(WHAT))?;
    let toplevel = dir
        .ancestors()
        .find(|path| path.join(".git").exists())
        .ok_or_else(refused)?;
    let repository = Repository::open_bare(&git_dir).map_err(|error| not_opened(dir, error))?;
    let parts = [toplevel, &git_dir, repository.commondir()];
    if !parts.into_iter().all(is_trusted) {
        return Err(refused());
    }
    repository
        .set_workdir(toplevel, false)
        .map_err(tried(WHAT))?;
    Ok(repository)
}

/// Says why libgit2 cannot open a repository.
fn not_opened(dir: &Path, error: git2::Error) -> GitError {
    if error.class() == ErrorClass::Repository {
        let path = dir.to_owned();
        if error.message() == "unknown object format 'sha256'" {
            return GitError::Sha256(path);
        }
        let extension = error
            .message()
            .strip_prefix("unsupported extension name extensions.");
        if let Some(name) = extension {
            let name = name.to_owned();
            return GitError::Extension { path, name };
        }
    }
    tried("open the repository")(error)
}
