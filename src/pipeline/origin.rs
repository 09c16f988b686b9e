//! Whether a lock given by `--lock` was staged by us, on the commit looked at.
//!
//! `lock -o FILE` says so in `FILE.origin`, and `report --output-dir` in the `report.json` beside its `flake.lock`.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::report::{LockInfo, LockOrigin, MAX_BYTES, Redactor, Report, parse};

use super::source::Source;
use super::update::Left;
use super::{Error, Request, StagedLock};

/// The number of the file's form. Another one is not read.
const SCHEMA: u32 = 1;

/// What a staged lock was made from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LockOriginFile {
    schema: u32,
    /// The commit.
    rev: String,
    /// The flake's directory in the repository.
    dir: String,
    /// The inputs updated, sorted; all where empty.
    inputs: Vec<String>,
    /// The inputs not updated, sorted.
    exclude_inputs: Vec<String>,
    /// SHA-256, in hex, of the lock.
    sha256: String,
    /// The inputs that could not be fetched, and what was said of them.
    #[serde(default)]
    unreachable: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

impl LockOriginFile {
    /// Returns what is said of a lock staged now; none where no commit is looked at.
    fn of(request: &Request, source: &Source, lock: &[u8]) -> Option<Self> {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        };
        Some(Self {
            schema: SCHEMA,
            rev: source.rev.clone()?,
            dir: source.dir.clone(),
            inputs: sorted(&request.inputs),
            exclude_inputs: sorted(&request.exclude_inputs),
            sha256: LockInfo::hash(lock),
            unreachable: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Returns what the update left alone, where what is said besides is `expected`.
    fn left(mut self, expected: &Self) -> Option<Left> {
        let left = Left {
            unreachable: std::mem::take(&mut self.unreachable),
            warnings: std::mem::take(&mut self.warnings),
        };
        (self == *expected).then_some(left)
    }

    /// Whether the report is of a run that staged this lock.
    fn is_of(&self, report: &Report) -> bool {
        report.lock.origin == LockOrigin::Staged
            && report.lock.after_hash == self.sha256
            && report.flake.rev.as_ref() == Some(&self.rev)
            && report.flake.dir == self.dir
            && report.scope.inputs == self.inputs
            && report.scope.exclude_inputs == self.exclude_inputs
    }
}

/// Returns what is written beside a lock that was staged; none where it is of no commit.
pub(super) fn text(
    request: &Request,
    source: &Source,
    lock: &[u8],
    left: &Left,
    redactor: &Redactor,
) -> Option<String> {
    let mut said = LockOriginFile::of(request, source, lock)?;
    said.unreachable.clone_from(&left.unreachable);
    said.warnings = left.warnings.iter().map(|w| redactor.line(w)).collect();
    let mut text = serde_json::to_string(&said).ok()?;
    text.push('\n');
    Some(text)
}

/// Writes beside `file` what the lock in it was made from. One of an earlier lock goes.
///
/// Nothing stands beside what is no file (`/dev/stdout`), nor beside the flake's own lock.
pub(super) fn write(file: &Path, lock: &StagedLock) -> Result<(), Error> {
    let own = match (file.canonicalize(), lock.lock_path.canonicalize()) {
        (Ok(file), Ok(own)) => file == own,
        _ => false,
    };
    if own || !file.is_file() {
        return Ok(());
    }
    let beside = beside(file);
    match &lock.origin {
        Some(text) => super::files::replace(&beside, text.as_bytes()),
        None => match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::Write {
                path: beside,
                source: error,
            }),
            _ => Ok(()),
        },
    }
}

/// Returns what the update of the lock in `file` left alone, where what stands beside it says that it was staged by us, and
/// fits; none where it was given.
///
/// What cannot be read says nothing: the lock is then given, which is believed less.
pub(super) fn of_given(
    file: &Path,
    lock: &[u8],
    request: &Request,
    source: &Source,
) -> Option<Left> {
    let expected = LockOriginFile::of(request, source, lock)?;
    let said: Option<LockOriginFile> =
        read(&beside(file)).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(left) = said.and_then(|said| said.left(&expected)) {
        return Some(left);
    }
    let report = parse(&read(&file.with_file_name("report.json"))?).ok()?;
    expected.is_of(&report).then(|| Left::of(&report))
}

fn beside(file: &Path) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(".origin");
    PathBuf::from(name)
}

/// Returns a regular file's bytes, of a long one no more than shows that it is too long.
fn read(path: &Path) -> Option<Vec<u8>> {
    if !path.is_file() {
        return None;
    }
    let most = u64::try_from(MAX_BYTES).ok()?.saturating_add(1);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .ok()?
        .take(most)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}
