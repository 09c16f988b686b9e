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
    ///
    /// What the report says of the inputs and the lock is made anew, as far as that can be done here.
    pub(in super::super) fn check(&self, report: &mut Report, lock: &[u8]) -> Result<(), Error> {
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
        report.inputs = if report.lock.completed {
            same_results(&inputs, &report.inputs)
        } else {
            same_inputs(&inputs, &report.inputs)
        }
        .ok_or(PublishError::OtherInputs)?;
        let (mut notes, left_out) = if same {
            (Vec::new(), 0)
        } else {
            locks::notes(&new, &Redactor::default())
        };
        for (note, reported) in notes.iter_mut().zip(&report.lock_notes) {
            if same_address(note.repository.as_deref(), reported.repository.as_deref()) {
                note.repository.clone_from(&reported.repository);
            }
        }
        report.lock_notes = notes;
        report.lock_notes_left_out = left_out;
        report.seal();
        Ok(())
    }
}

/// Returns the reported inputs where each becomes what it becomes here. What a stale base lock was completed to, and so what they
/// were and which of them change from there, is not known here.
fn same_results(here: &[InputChange], reported: &[InputChange]) -> Option<Vec<InputChange>> {
    reported
        .iter()
        .map(|reported| {
            here.iter().find_map(|here| {
                let mut completed = here.clone();
                if !same_revision(here.before.as_ref(), reported.before.as_ref()) {
                    completed.before.clone_from(&reported.before);
                    completed.compare_url = None;
                }
                same_input(completed, reported)
            })
        })
        .collect()
}

/// Returns the inputs where both lists say the same.
fn same_inputs(here: &[InputChange], reported: &[InputChange]) -> Option<Vec<InputChange>> {
    if here.len() != reported.len() {
        return None;
    }
    here.iter()
        .zip(reported)
        .map(|(here, reported)| same_input(here.clone(), reported))
        .collect()
}

/// Returns an input where both say the same of it, with the addresses as they are reported. The link is made here, but where
/// something of the addresses was hidden, which a link would show.
fn same_input(here: InputChange, reported: &InputChange) -> Option<InputChange> {
    let same = here.name == reported.name
        && here.kind == reported.kind
        && here.transitive == reported.transitive
        && same_address(here.original.as_deref(), reported.original.as_deref())
        && same_revision(here.before.as_ref(), reported.before.as_ref())
        && same_revision(here.after.as_ref(), reported.after.as_ref());
    let whole = here.before == reported.before && here.after == reported.after;
    same.then(|| InputChange {
        compare_url: here.compare_url.filter(|_| whole),
        ..reported.clone()
    })
}

fn same_revision(here: Option<&InputRevision>, reported: Option<&InputRevision>) -> bool {
    match (here, reported) {
        (Some(here), Some(reported)) => {
            here.rev == reported.rev
                && here.date == reported.date
                && here.follows == reported.follows
                && same_address(here.url.as_deref(), reported.url.as_deref())
        }
        (None, None) => true,
        _ => false,
    }
}

/// Whether a reported address is the one that is here, but for what was hidden of it where the report was made: places of that
/// machine, secrets.
fn same_address(here: Option<&str>, reported: Option<&str>) -> bool {
    const HIDDEN: [&str; 4] = ["<flake>", "<tmp>", "<rev>", "***"];
    let (Some(mut here), Some(reported)) = (here, reported) else {
        return here == reported;
    };
    let mut reported = reported.to_owned();
    for hidden in HIDDEN {
        reported = reported.replace(hidden, "\0");
    }
    let mut parts = reported.split('\0');
    let first = parts.next().unwrap_or_default();
    let Some(last) = parts.next_back() else {
        return here == first;
    };
    let Some(rest) = here
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last))
    else {
        return false;
    };
    here = rest;
    parts.all(|part| match here.split_once(part) {
        Some((_, rest)) => {
            here = rest;
            true
        }
        None => false,
    })
}

fn parse(which: &str, bytes: &[u8]) -> Result<LockFile, Error> {
    LockFile::parse(bytes).map_err(|source| Error::Lock {
        which: which.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_believed_only_as_far_as_it_is_here() {
        let same = |here: &str, reported: &str| same_address(Some(here), Some(reported));
        for (here, reported) in [
            ("github:o/r/1", "github:o/r/1"),
            (
                "git+file:///home/a/fleet/sub?rev=1",
                "git+file://<flake>/sub?rev=1",
            ),
            (
                "git+file:///tmp/x/sub?rev=1",
                "git+file://<tmp>/sub?rev=<rev>",
            ),
            (
                "https://h/t0ken/x.tar.gz?t=t0ken",
                "https://h/***/x.tar.gz?t=***",
            ),
        ] {
            assert!(same(here, reported), "{reported}");
        }
        for (here, reported) in [
            ("github:o/r/1", "github:o/r/2"),
            ("github:o/r/1", "github:evil/<x>"),
            ("github:o/r/1", "<flake>evil<flake>"),
            ("github:o/r/1", "github:<flake>/2"),
            ("aba", "ab<tmp>ba"),
            ("a/b", "a<tmp>/<tmp>/b"),
        ] {
            assert!(!same(here, reported), "{reported}");
        }
        assert!(same_address(None, None));
        assert!(!same_address(None, Some("x")) && !same_address(Some("x"), None));
    }
}
