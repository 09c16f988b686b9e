//! Reports made elsewhere: found, read and held against what is here. None of them is trusted.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::flake::lock::{self, LockFile};
use crate::report::{self, InputChange, InputRevision, LockInfo, MAX_BYTES, Redactor, Report};

use super::super::Error;
use super::super::locks;
use super::{PublishError, Publishing};

/// Finds the reports below `paths`, reads them and merges them into one; returns their files too.
///
/// The directory for the results, `output`, may be among them: what an earlier run merged is no report of a job's.
pub(in super::super) fn gather(
    paths: &[PathBuf],
    output: Option<&Path>,
) -> Result<(Report, Vec<PathBuf>), Error> {
    let mut files = Vec::new();
    for path in paths {
        let known = files.len();
        find(path, &mut files)?;
        if files.len() == known {
            return Err(PublishError::NoReports(path.display().to_string()).into());
        }
    }
    files.sort();
    files.dedup();
    let merged = output.and_then(|dir| dir.join("report.json").canonicalize().ok());
    let is_merged = |file: &Path| merged.is_some() && file.canonicalize().ok() == merged;
    let several = files.len() > 1;
    let mut reports = Vec::new();
    let mut used = Vec::new();
    for file in files {
        let bytes = read(&file)?;
        let name = file.display().to_string();
        let report = report::parse(&bytes).map_err(|source| PublishError::Report {
            file: name.clone(),
            source,
        })?;
        // A job of a matrix has a plan, and what comes of all together has none.
        if several && report.plan.is_none() && is_merged(&file) {
            continue;
        }
        reports.push((name, report));
        used.push(file);
    }
    let report = report::merge(reports).map_err(PublishError::Merge)?;
    Ok((report, used))
}

/// Collects a file, or every `report.json` below a directory. Links are not followed: they lead elsewhere, or in circles.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| Error::file(path, source);
    if !path.is_dir() {
        std::fs::metadata(path).map_err(failed)?;
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            find(&entry.path(), files)?;
        } else if kind.is_file() && entry.file_name() == "report.json" {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::file(file, source);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .map_err(failed)?
        .take(
            u64::try_from(MAX_BYTES)
                .unwrap_or(u64::MAX)
                .saturating_add(1),
        )
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

impl Publishing {
    /// Holds a report and a lock made elsewhere against the checkout: the commit, both locks, and what lies between them.
    pub(in super::super) fn check(&self, report: &Report, lock: &[u8]) -> Result<(), Error> {
        let Some(reported) = &report.flake.rev else {
            return Err(PublishError::NoReportedCommit.into());
        };
        if reported != self.head.as_str() {
            return Err(PublishError::OtherCommit {
                reported: reported.clone(),
                head: self.head.to_string(),
            }
            .into());
        }
        let here = self
            .lock_path
            .strip_suffix("/flake.lock")
            .unwrap_or(".")
            .to_owned();
        if report.flake.dir != here || report.scope.dir != here {
            return Err(PublishError::OtherDirectory {
                reported: report.flake.dir.clone(),
                here,
            }
            .into());
        }
        let base = self.file_at_head(&self.lock_path)?;
        let is = base.as_deref().map(LockInfo::hash);
        if is != report.lock.before_hash {
            let none = || "none".to_owned();
            return Err(PublishError::OtherLock {
                which: "the base's flake.lock".to_owned(),
                is: is.unwrap_or_else(none),
                reported: report.lock.before_hash.clone().unwrap_or_else(none),
            }
            .into());
        }
        let is = LockInfo::hash(lock);
        if is != report.lock.after_hash {
            return Err(PublishError::OtherLock {
                which: "the new flake.lock".to_owned(),
                is,
                reported: report.lock.after_hash.clone(),
            }
            .into());
        }
        let new = parse("the new flake.lock", lock)?;
        let base = base
            .map(|bytes| parse("the base's flake.lock", &bytes))
            .transpose()?;
        let (refused, notices): (Vec<_>, Vec<_>) =
            lock::suspicious(base.as_ref(), &new, report.lock.completed)
                .into_iter()
                .partition(lock::Distrust::refuses);
        if !refused.is_empty() {
            return Err(PublishError::Distrust(refused).into());
        }
        for notice in notices {
            tracing::warn!("{notice}");
        }
        let same = base.as_ref().is_some_and(|base| base.same_as(&new));
        let inputs = if same {
            Vec::new()
        } else {
            locks::inputs(base.as_ref(), &new, &Redactor::default())
        };
        let agree = if report.lock.completed {
            same_results(&inputs, &report.inputs)
        } else {
            same_inputs(&inputs, &report.inputs)
        };
        if agree {
            Ok(())
        } else {
            Err(PublishError::OtherInputs.into())
        }
    }
}

/// Whether each input is reported to become what it becomes here. What a stale base lock was completed to, and so what they
/// were and which of them change from there, is not known here.
fn same_results(here: &[InputChange], reported: &[InputChange]) -> bool {
    reported.iter().all(|reported| {
        here.iter().any(|here| {
            let here = InputChange {
                before: reported.before.clone(),
                ..here.clone()
            };
            same_inputs(&[here], std::slice::from_ref(reported))
        })
    })
}

/// Whether both lists say the same. Where the reports were made, places of that machine stand as `<flake>` in addresses.
fn same_inputs(here: &[InputChange], reported: &[InputChange]) -> bool {
    let blotted = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('<'));
    let revision = |here: &Option<InputRevision>, there: &Option<InputRevision>| match (here, there)
    {
        (Some(here), Some(there)) => {
            let url = if blotted(&there.url) {
                there.url.clone()
            } else {
                here.url.clone()
            };
            InputRevision {
                url,
                ..here.clone()
            } == *there
        }
        (None, None) => true,
        _ => false,
    };
    here.len() == reported.len()
        && here.iter().zip(reported).all(|(here, there)| {
            here.name == there.name
                && here.kind == there.kind
                && here.transitive == there.transitive
                && (here.original == there.original || blotted(&there.original))
                && revision(&here.before, &there.before)
                && revision(&here.after, &there.after)
        })
}

fn parse(which: &str, bytes: &[u8]) -> Result<LockFile, Error> {
    LockFile::parse(bytes).map_err(|source| Error::Lock {
        which: which.to_owned(),
        source,
    })
}
