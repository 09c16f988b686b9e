//! Files that are there whole or not at all, and the directory for all that goes with the run.

use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::error::bare;

/// Makes the directory that everything a run needs on its way is in, and that goes with it.
pub(super) fn scratch() -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix("flake-herald.")
        .tempdir()
        .map_err(|error| Error::Scratch {
            dir: tempfile::env::temp_dir(),
            source: bare(error),
        })
}

/// Puts `bytes` in the place of `file` at once: whoever reads it sees the old or the new one.
///
/// A link stays one, and what is no regular file is written to as it is.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    stage(file, Box::new(|file| file.write_all(bytes)))?.put()
}

/// Writes what a file is to contain.
pub(super) type Contents<'a> = Box<dyn FnOnce(&mut dyn io::Write) -> io::Result<()> + 'a>;

/// New contents of a file, written beside it and not in its place yet. Dropped, they are gone.
pub(super) struct Staged<'a> {
    /// The file as it was named.
    file: &'a Path,
    /// Where that leads.
    target: PathBuf,
    what: What<'a>,
}

enum What<'a> {
    /// The contents, in a file of their own.
    Beside(tempfile::NamedTempFile),
    /// The target is no regular file, and is written to as it is.
    Direct(Contents<'a>),
}

/// Writes `contents` beside `file`, so that nothing but putting them in its place is left to do.
pub(super) fn stage<'a>(file: &'a Path, contents: Contents<'a>) -> Result<Staged<'a>, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source: io::Error| Error::Write {
        path: file.to_owned(),
        source: bare(source),
    };
    let target = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let known = std::fs::metadata(&target).ok();
    if known.as_ref().is_some_and(std::fs::Metadata::is_dir) {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let what = if known.as_ref().is_some_and(|known| !known.is_file()) {
        What::Direct(contents)
    } else {
        let dir = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut new = tempfile::Builder::new()
            .prefix(".flake-herald.")
            .tempfile_in(dir)
            .map_err(failed)?;
        contents(&mut new).map_err(failed)?;
        // A temporary file is for its owner only; a lock file is for everybody who reads the repository.
        let permissions = known.map_or_else(
            || std::fs::Permissions::from_mode(0o644),
            |known| known.permissions(),
        );
        new.as_file().set_permissions(permissions).map_err(failed)?;
        What::Beside(new)
    };
    Ok(Staged { file, target, what })
}

impl Staged<'_> {
    /// Puts the contents in the file's place.
    pub(super) fn put(self) -> Result<(), Error> {
        let put = match self.what {
            What::Beside(new) => new
                .persist(&self.target)
                .map(drop)
                .map_err(|error| error.error),
            What::Direct(contents) => {
                std::fs::File::create(&self.target).and_then(|mut file| contents(&mut file))
            }
        };
        put.map_err(|source| Error::Write {
            path: self.file.to_owned(),
            source,
        })
    }
}
