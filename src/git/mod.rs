//! The repository the flake is in. Here it is only read; nothing of it is ever changed for a report.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, StatusOptions};
use thiserror::Error;

/// A git checkout, seen from the flake's directory in it.
pub struct Checkout {
    repository: Repository,
    toplevel: PathBuf,
    dir: String,
}

impl std::fmt::Debug for Checkout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkout")
            .field("toplevel", &self.toplevel)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Why a repository cannot be used.
#[derive(Debug, Error)]
pub enum GitError {
    /// Git refuses the checkout of another user.
    #[error("the checkout {} belongs to another user", .0.display())]
    Owner(PathBuf),
    /// There is no working tree to evaluate.
    #[error("{} is a bare repository: a flake is evaluated from a checkout", .0.display())]
    Bare(PathBuf),
    /// A path is not UTF-8, which Nix cannot be told.
    #[error("{} is not UTF-8", .0.display())]
    Path(PathBuf),
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
            Self::Path(_) | Self::Git { .. } => None,
        }
    }
}

/// Says what was tried when libgit2 refuses.
fn tried(what: &'static str) -> impl Fn(git2::Error) -> GitError {
    move |source| GitError::Git { what, source }
}

impl Checkout {
    /// Returns the checkout that `dir`, an absolute path without links in it, is in; none where there is no git.
    ///
    /// # Errors
    ///
    /// The repository is bare, belongs to another user, or cannot be read.
    pub fn find(dir: &Path) -> Result<Option<Self>, GitError> {
        let repository = match Repository::discover(dir) {
            Ok(repository) => repository,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) if error.code() == ErrorCode::Owner => {
                return Err(GitError::Owner(dir.to_owned()));
            }
            Err(error) => return Err(tried("open the repository")(error)),
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
        }))
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

    /// Returns a file of the commit checked out, by its path from the top; none where it has no such file.
    ///
    /// # Errors
    ///
    /// The repository cannot be read.
    pub fn file_at_head(&self, path: &str) -> Result<Option<Vec<u8>>, GitError> {
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
        let object = entry.to_object(&self.repository).map_err(tried(WHAT))?;
        Ok(object.as_blob().map(|blob| blob.content().to_vec()))
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
        let submodules = self
            .repository
            .submodules()
            .map_err(tried("list the submodules"))?;
        Ok(submodules.iter().any(|submodule| submodule.open().is_ok()))
    }
}
