//! Where the flake is, and what of it is evaluated.

use std::path::{Path, PathBuf};

use crate::flake::FlakeRef;
use crate::flake::lock::LockFile;
use crate::git::Checkout;

use super::{Error, LockSource, Request, Submodules};

/// The flake as it will be handed to Nix, and the lock it is compared from.
#[derive(Debug)]
pub(super) struct Source {
    /// The one reference used for every call.
    pub reference: FlakeRef,
    /// The flake's directory on disk, without links in it.
    pub path: PathBuf,
    /// The top of the repository; the flake's directory where there is none.
    pub toplevel: PathBuf,
    /// The commit checked out.
    pub head: Option<String>,
    /// The flake's directory within the repository; `.` at the top.
    pub dir: String,
    /// The commit evaluated, where exactly that is evaluated.
    pub rev: Option<String>,
    /// The bytes of the lock that *before* starts from.
    pub base_lock: Option<Vec<u8>>,
    /// Directories of repositories that belong to somebody else, and that Nix is to trust as we do.
    pub trusted: Vec<PathBuf>,
    /// What a reader should know of it.
    pub warnings: Vec<String>,
}

const LOCK: &str = "flake.lock";

impl Source {
    /// Finds the flake in `request`.
    ///
    /// What is evaluated is the working tree as Nix sees it: its tracked files. Where only the lock differs
    /// from the commit, the commit is evaluated, so that `self.rev` is there and the base's lock is the one in it.
    pub(super) fn find(request: &Request) -> Result<Self, Error> {
        let path = request
            .flake
            .canonicalize()
            .map_err(|source| Error::file(&request.flake, source))?;
        if !path.is_dir() {
            return Err(Error::NotADirectory(request.flake.clone()));
        }
        if !path.join("flake.nix").is_file() {
            return Err(Error::NoFlake(request.flake.clone()));
        }
        match Checkout::find(&path, request.workspace.as_deref())? {
            Some(checkout) => Self::in_git(request, path, &checkout),
            None if request.lock == LockSource::Tree => Err(Error::NeedsGit),
            None => Ok(Self {
                reference: FlakeRef::path(&path),
                toplevel: path.clone(),
                head: None,
                dir: ".".to_owned(),
                rev: None,
                base_lock: read_if_there(&path.join(LOCK))?,
                path,
                trusted: Vec::new(),
                warnings: Vec::new(),
            }),
        }
    }

    fn in_git(request: &Request, path: PathBuf, checkout: &Checkout) -> Result<Self, Error> {
        let mut warnings = Vec::new();
        let head = checkout.head()?;
        let lock_path = checkout.path_of(LOCK);
        let changed = checkout.changed()?;
        let lock_only = !changed.is_empty() && changed.iter().all(|file| *file == lock_path);
        let dirty = !changed.is_empty() && !lock_only;
        let commit = head.clone().filter(|_| !dirty);
        // A plain reference where it will do: a commit's files are read without the filters of the checkout.
        let rev = commit.as_deref().filter(|_| lock_only);
        if rev.is_some() && checkout.has_filters()? {
            warnings.push(
                "only flake.lock differs from the commit, so the commit is evaluated, where Nix runs no filters: \
                 files kept by git-crypt or LFS are seen as they are stored"
                    .to_owned(),
            );
        }
        if dirty {
            warnings.push(
                "the working tree has uncommitted changes, which are part of what was evaluated"
                    .to_owned(),
            );
        }
        let base_lock = if dirty && request.lock != LockSource::Tree {
            // flake.nix may have moved on together with its lock.
            read_if_there(&path.join(LOCK))?
        } else {
            checkout.file_at_head(&lock_path)?
        };
        let on_disk = path.join(LOCK).is_file();
        if base_lock.is_none() && on_disk && request.lock != LockSource::Tree {
            warnings.push(
                "flake.lock is not tracked by git, so there is nothing to compare with: `git add flake.lock`"
                    .to_owned(),
            );
        }
        if lock_only && on_disk && request.lock == LockSource::Staged {
            warnings.push(
                "flake.lock has uncommitted changes, which are no part of this report: --skip-update reports them"
                    .to_owned(),
            );
        }
        if request.write_lock && changed.contains(&lock_path) {
            return Err(Error::LockIsEdited);
        }
        let submodules = match request.submodules {
            Submodules::On => true,
            Submodules::Off => false,
            Submodules::Auto => checkout.has_submodules()?,
        };
        Ok(Self {
            reference: FlakeRef::git(checkout.toplevel(), checkout.dir(), rev, submodules),
            toplevel: checkout.toplevel().to_owned(),
            head,
            path,
            dir: if checkout.dir().is_empty() {
                ".".to_owned()
            } else {
                checkout.dir().to_owned()
            },
            rev: commit,
            base_lock,
            trusted: if checkout.is_foreign() {
                checkout.working_trees()?
            } else {
                Vec::new()
            },
            warnings,
        })
    }

    /// Returns the base's lock as data.
    pub(super) fn parsed_lock(&self) -> Result<Option<LockFile>, Error> {
        self.base_lock
            .as_deref()
            .map(|bytes| {
                LockFile::parse(bytes).map_err(|source| Error::Lock {
                    which: "flake.lock".to_owned(),
                    source,
                })
            })
            .transpose()
    }

    /// Returns the path of the flake's lock in the working tree.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.path.join(LOCK)
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::file(path, source)),
    }
}
