//! Where the flake is, and what of it is evaluated.

use std::path::{Path, PathBuf};

use crate::flake::FlakeRef;
use crate::git::{Checkout, Entry};

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

const FLAKE: &str = "flake.nix";
const LOCK: &str = "flake.lock";

/// What a lock is that is no file.
const LINK: &str = "symbolic link";
const DIRECTORY: &str = "directory";

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
        if !path.join(FLAKE).is_file() {
            return Err(Error::NoFlake {
                nearest: nearest(&path),
                plain: path.join("configuration.nix").is_file(),
                dir: path,
            });
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
                base_lock: lock_on_disk(&path.join(LOCK))?,
                path,
                trusted: Vec::new(),
                warnings: Vec::new(),
            }),
        }
    }

    fn in_git(request: &Request, path: PathBuf, checkout: &Checkout) -> Result<Self, Error> {
        if !checkout.is_tracked(&checkout.path_of(FLAKE))? {
            return Err(Error::UntrackedFlake(path));
        }
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
            lock_on_disk(&path.join(LOCK))?
        } else {
            match checkout.at_head(&lock_path)? {
                Some(Entry::File(bytes)) => Some(bytes),
                Some(Entry::Link) => return Err(Error::LockIsNoFile(LINK)),
                Some(Entry::Directory) => return Err(Error::LockIsNoFile(DIRECTORY)),
                None => None,
            }
        };
        let on_disk = path.join(LOCK).is_file();
        if request.lock == LockSource::Tree && lock_on_disk(&path.join(LOCK))?.is_none() {
            return Err(Error::NoTreeLock);
        }
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

    /// Returns the path of the flake's lock in the working tree.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.path.join(LOCK)
    }
}

/// Returns the nearest directory above or below `dir` that has a flake, for whoever is in the wrong place.
fn nearest(dir: &Path) -> Option<PathBuf> {
    /// How many levels below are looked at, and how many directories: it is only a hint.
    const DEPTH: usize = 4;
    const DIRECTORIES: usize = 2_000;
    let has_flake = |dir: &PathBuf| dir.join(FLAKE).is_file();
    let mut above = dir.ancestors().skip(1).map(Path::to_owned);
    let mut level = vec![dir.to_owned()];
    let mut looked_at = 0;
    for _ in 0..DEPTH {
        if let Some(parent) = above.next().filter(has_flake) {
            return Some(parent);
        }
        let mut below: Vec<PathBuf> = level
            .iter()
            .filter_map(|dir| std::fs::read_dir(dir).ok())
            .flatten()
            .filter_map(Result::ok)
            // Links are not followed, and what is hidden is nobody's fleet.
            .filter(|entry| {
                entry.file_type().is_ok_and(|kind| kind.is_dir())
                    && !entry.file_name().as_encoded_bytes().starts_with(b".")
            })
            .take(DIRECTORIES)
            .map(|entry| entry.path())
            .collect();
        below.sort();
        if let Some(found) = below.iter().find(|dir| has_flake(dir)) {
            return Some(found.clone());
        }
        looked_at += below.len();
        if looked_at >= DIRECTORIES {
            break;
        }
        level = below;
    }
    above.find(has_flake)
}

/// Returns the bytes of the flake's lock on disk; none where there is none.
///
/// # Errors
///
/// It cannot be read, or is no file: Nix refuses a link too.
fn lock_on_disk(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match path.symlink_metadata() {
        Ok(known) if known.is_symlink() => return Err(Error::LockIsNoFile(LINK)),
        Ok(known) if known.is_dir() => return Err(Error::LockIsNoFile(DIRECTORY)),
        // Reading says what is wrong.
        _ => {}
    }
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::file(path, source)),
    }
}
