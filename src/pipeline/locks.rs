//! The two lock files of a run, staged in the scratch directory.

use std::path::{Path, PathBuf};

use crate::flake::lock::{self, Dialect, Edge, LockFile, LockNote};
use crate::nix::Nix;
use crate::report::{InputChange, InputRevision, LockInfo, LockOrigin, Redactor};

use super::source::Source;
use super::update::{Left, Update};
use super::{Error, LockSource, Request, origin};

/// The lock files compared.
#[derive(Debug)]
pub(super) struct Locks {
    /// The file *before* is evaluated with; none where the base has no lock.
    pub before: Option<PathBuf>,
    /// The file *after* is evaluated with.
    pub after: PathBuf,
    /// The bytes of the new lock.
    pub after_bytes: Vec<u8>,
    /// They say the same.
    pub same: bool,
    /// What the report says of them.
    pub info: LockInfo,
    /// What the update left alone although it was asked for.
    pub left: Left,
    before_data: Option<LockFile>,
    after_data: LockFile,
}

impl Locks {
    /// Stages both locks in `scratch`. Nothing of the flake's own directory is written to.
    pub(super) async fn stage(
        nix: &Nix,
        source: &Source,
        request: &Request,
        scratch: &Path,
    ) -> Result<Self, Error> {
        let base = source
            .base_lock
            .as_deref()
            .map(|bytes| parse("flake.lock", bytes))
            .transpose()?;
        let after = scratch.join("after.lock");
        let completing = complete(nix, source, scratch);
        let update = Update {
            nix,
            source,
            request,
            scratch,
            into: &after,
        };
        let mut left = Left::default();
        let before = match &request.lock {
            LockSource::Staged if request.selects_inputs() => {
                // Which inputs there are is known only from a lock that fits the flake.
                let before = completing.await?;
                left = update.chosen(before.as_deref()).await?;
                before
            }
            LockSource::Staged => {
                let (before, all) = tokio::join!(completing, update.all());
                // An input that the base does not have yet fails both, and has to be there.
                let before = before?;
                left = update.after(all, before.as_deref()).await?;
                before
            }
            LockSource::Tree => {
                copy(&source.lock_path(), &after)?;
                check("the working tree's flake.lock", &after)?;
                completing.await?
            }
            LockSource::Given(file) => {
                copy(file, &after)?;
                check(&file.display().to_string(), &after)?;
                completing.await?
            }
        };
        let mut after_bytes = read(&after)?;
        let origin = match &request.lock {
            LockSource::Staged => LockOrigin::Staged,
            LockSource::Tree => LockOrigin::Tree,
            LockSource::Given(file) => {
                match origin::of_given(file, &after_bytes, request, source) {
                    Some(then) => {
                        left = then;
                        LockOrigin::Staged
                    }
                    None => LockOrigin::Given,
                }
            }
        };
        let after_data = parse("the new flake.lock", &after_bytes)?;
        let before_data = match &before {
            Some(path) => Some(parse("the completed flake.lock", &read(path)?)?),
            None => None,
        };
        let same = base.as_ref().is_some_and(|base| base.same_as(&after_data));
        if let (true, Some(bytes)) = (same, &source.base_lock) {
            // Nix may spell the same lock otherwise; nobody asked for that.
            after_bytes.clone_from(bytes);
        }
        let completed = match (&base, &before_data) {
            (Some(base), Some(before)) => !base.same_as(before),
            _ => false,
        };
        let info = LockInfo {
            before_hash: source.base_lock.as_deref().map(LockInfo::hash),
            after_hash: LockInfo::hash(&after_bytes),
            origin,
            completed,
            unreachable: left.unreachable.clone(),
        };
        Ok(Self {
            before,
            after,
            after_bytes,
            same,
            info,
            left,
            before_data,
            after_data,
        })
    }

    /// Returns what changes between the two, in Nix's order.
    pub(super) fn inputs(&self, redactor: &Redactor) -> Vec<InputChange> {
        if self.same {
            return Vec::new();
        }
        inputs(self.before_data.as_ref(), &self.after_data, redactor)
    }

    /// Returns what is odd about the new lock, and how many notes of it are left out.
    pub(super) fn notes(&self, redactor: &Redactor) -> (Vec<LockNote>, u64) {
        if self.same {
            return (Vec::new(), 0);
        }
        notes(&self.after_data, redactor)
    }
}

/// Returns what is odd about a lock, and how many notes of it are left out.
pub(super) fn notes(lock: &LockFile, redactor: &Redactor) -> (Vec<LockNote>, u64) {
    let (mut notes, more) = lock::notes(lock);
    for repository in notes.iter_mut().filter_map(|note| note.repository.as_mut()) {
        *repository = redactor.without_secrets(repository);
    }
    (notes, u64::try_from(more).unwrap_or(u64::MAX))
}

/// Returns what changes between two locks, in Nix's order.
pub(super) fn inputs(
    before: Option<&LockFile>,
    after: &LockFile,
    redactor: &Redactor,
) -> Vec<InputChange> {
    lock::changes(before, after)
        .into_iter()
        .map(|change| {
            let locked = [&change.after, &change.before]
                .into_iter()
                .flatten()
                .find_map(|edge| match edge {
                    Edge::Locked(locked) => Some(locked),
                    Edge::Follows(_) => None,
                });
            InputChange {
                kind: locked.map(|locked| locked.kind().to_owned()),
                original: locked.map(|locked| redactor.line(&locked.original_url())),
                before: change.before.as_ref().map(|edge| revision(edge, redactor)),
                after: change.after.as_ref().map(|edge| revision(edge, redactor)),
                compare_url: change
                    .before
                    .as_ref()
                    .zip(change.after.as_ref())
                    .and_then(|(before, after)| lock::compare_url(before, after))
                    // A link with a hole in it leads nowhere.
                    .filter(|url| redactor.without_secrets(url) == *url),
                transitive: change.name.is_transitive(),
                name: change.name.to_string(),
            }
        })
        .collect()
}

fn revision(edge: &Edge, redactor: &Redactor) -> InputRevision {
    match edge {
        Edge::Follows(path) => InputRevision {
            rev: None,
            date: None,
            url: None,
            follows: Some(path.to_string()),
        },
        Edge::Locked(locked) => InputRevision {
            rev: locked.rev().map(str::to_owned),
            date: locked.date(),
            url: Some(redactor.line(&locked.url(Dialect::Plain))),
            follows: None,
        },
    }
}

/// Writes the base's lock, completed, to a file of its own; none where the base has none.
pub(super) async fn complete(
    nix: &Nix,
    source: &Source,
    scratch: &Path,
) -> Result<Option<PathBuf>, Error> {
    let Some(bytes) = &source.base_lock else {
        return Ok(None);
    };
    let base = scratch.join("base.lock");
    let before = scratch.join("before.lock");
    std::fs::write(&base, bytes).map_err(|source| Error::file(&base, source))?;
    nix.complete_lock(&source.reference, &base, &before).await?;
    Ok(Some(before))
}

/// Fails where a file is no lock, before Nix is asked about it.
fn check(which: &str, file: &Path) -> Result<(), Error> {
    parse(which, &read(file)?).map(drop)
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::write(to, read(from)?).map_err(|source| Error::file(to, source))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::file(path, source))
}

/// Returns a lock as data; where it is none, the error calls it `which`.
pub(super) fn parse(which: &str, bytes: &[u8]) -> Result<LockFile, Error> {
    LockFile::parse(bytes).map_err(|source| Error::Lock {
        which: which.to_owned(),
        source,
    })
}
