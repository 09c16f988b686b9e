//! Where a report goes: standard output, a directory, and the files a runner reads.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::report::{
    HostReport, Operation, Report, Status, body, defused, to_markdown, to_plain_text, write_json,
};

use super::error::bare;
use super::files::{Contents, stage};
use super::{Error, Request};

/// The files of a report.
const FILES: [&str; 4] = ["report.md", "report.json", "report.txt", "flake.lock"];

/// Where to deliver, besides standard output.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// The directory for the report's files.
    pub directory: Option<PathBuf>,
    /// The file that takes a step's outputs.
    pub runner_output: Option<PathBuf>,
    /// The file that takes a job's summary.
    pub runner_summary: Option<PathBuf>,
}

impl Delivery {
    /// Makes the directory, so that a wrong one is found before the work and not after it, and takes an earlier run's
    /// files out of it: where this run fails, they must not pass for its own. What this run itself was given, `inputs`, stays
    /// there, for whoever tries again.
    ///
    /// # Errors
    ///
    /// It cannot be made or written to, or is the flake's own.
    pub fn prepare(&mut self, request: &Request, inputs: &[PathBuf]) -> Result<(), Error> {
        for file in self.runner_output.iter().chain(&self.runner_summary) {
            append(file, "")?;
        }
        let Some(dir) = &mut self.directory else {
            return Ok(());
        };
        let failed = |source| Error::Write {
            path: dir.clone(),
            source: bare(source),
        };
        if let Ok(known) = dir.symlink_metadata()
            && !dir.is_dir()
        {
            return Err(Error::OutputIsNoDirectory {
                path: dir.clone(),
                what: if known.is_symlink() && !dir.exists() {
                    "a link to what is not there"
                } else {
                    "no directory"
                },
            });
        }
        std::fs::create_dir_all(&dir).map_err(failed)?;
        // Whoever reads the step's outputs may be in another directory.
        let full = dir.canonicalize().map_err(failed)?;
        if request
            .flake
            .canonicalize()
            .is_ok_and(|flake| flake == full)
        {
            return Err(Error::OutputIsFlake(dir.clone()));
        }
        // Some directories can be seen and not written to; only trying tells.
        tempfile::tempfile_in(&full).map_err(failed)?;
        let files = FILES.map(|name| full.join(name));
        if let Some(path) = files.iter().find(|path| path.is_dir()) {
            return Err(Error::Write {
                path: path.clone(),
                source: ErrorKind::IsADirectory.into(),
            });
        }
        let inputs: Vec<PathBuf> = inputs
            .iter()
            .filter_map(|input| input.canonicalize().ok())
            .collect();
        let reads = |path: &Path| path.canonicalize().is_ok_and(|path| inputs.contains(&path));
        let logs = std::fs::read_dir(full.join("logs")).into_iter().flatten();
        let old = logs
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            // They are part of the report beside them.
            .filter(|_| !reads(&full.join("report.json")))
            .chain(files);
        for path in old.filter(|path| path.is_file() && !reads(path)) {
            std::fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
        }
        *dir = full;
        Ok(())
    }

    /// Tells the runner that the run failed.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub fn fail(&self, code: u8) -> Result<(), Error> {
        if let Some(file) = &self.runner_output {
            let outputs = [
                ("exit-code", code.to_string()),
                ("has-changes", false.to_string()),
                ("pull-request-operation", "none".to_owned()),
            ];
            append(file, &encode(&outputs, &delimiter()?))?;
        }
        Ok(())
    }

    /// Returns the directory for the logs of failed builds.
    pub fn logs(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|dir| dir.join("logs"))
    }

    /// Writes the report's files, and what the runner reads. Of the files there are all or none.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub fn deliver(&self, report: &Report, lock: &[u8], code: u8) -> Result<(), Error> {
        if let Some(dir) = &self.directory {
            let contents: [Contents<'_>; FILES.len()] = [
                Box::new(|file| file.write_all(to_markdown(report).as_bytes())),
                Box::new(|file| write_json(report, file)),
                Box::new(|file| file.write_all(to_plain_text(report).as_bytes())),
                Box::new(|file| file.write_all(lock)),
            ];
            let files = FILES.map(|name| dir.join(name));
            // Where the disk is full, that is found while nothing is in its place yet.
            let staged = files
                .iter()
                .zip(contents)
                .map(|(file, contents)| stage(file, contents))
                .collect::<Result<Vec<_>, _>>()?;
            for file in staged {
                file.put()?;
            }
        }
        if let Some(file) = &self.runner_output {
            append(
                file,
                &encode(
                    &outputs(report, code, self.directory.as_deref()),
                    &delimiter()?,
                ),
            )?;
        }
        if let Some(file) = &self.runner_summary {
            append(file, &summary(report))?;
        }
        Ok(())
    }
}

/// Returns the job's summary: the report as Markdown. Of one over 1 MiB GitHub shows nothing.
fn summary(report: &Report) -> String {
    const MOST: usize = 1_000_000;
    let text = defused(&body(report, MOST));
    if text.len() <= MOST {
        return text;
    }
    // What breaks the commands in it at most doubles a text.
    defused(&body(report, MOST / 2))
}

/// Returns the outputs of a step, by name. Lists are JSON; what there is none of is empty.
pub fn outputs(report: &Report, code: u8, directory: Option<&Path>) -> Vec<(&'static str, String)> {
    let list = |keep: &dyn Fn(&HostReport) -> bool| {
        let ids: Vec<_> = report
            .hosts
            .iter()
            .map(|host| crate::flake::HostId {
                kind: host.kind,
                name: host.name.clone(),
            })
            .collect();
        let labels = crate::flake::labels(&ids);
        let names: Vec<&String> = report
            .hosts
            .iter()
            .zip(&ids)
            .filter(|(host, _)| keep(host))
            .filter_map(|(_, id)| labels.get(id))
            .collect();
        serde_json::to_string(&names).unwrap_or_default()
    };
    let file = |name: &str| {
        directory
            .map(|dir| dir.join(name).display().to_string())
            .unwrap_or_default()
    };
    let changed = list(&HostReport::counts_as_changed);
    let pull = report.pull_request.as_ref();
    vec![
        ("outcome", report.outcome.as_str().to_owned()),
        ("exit-code", code.to_string()),
        (
            "has-changes",
            (report.outcome == crate::report::Outcome::Changed).to_string(),
        ),
        ("changed-hosts", changed),
        ("broken-hosts", list(&|host| host.status == Status::Broken)),
        ("report-json", file("report.json")),
        ("report-markdown", file("report.md")),
        (
            "pull-request-number",
            pull.and_then(|pull| pull.number)
                .map(|number| number.to_string())
                .unwrap_or_default(),
        ),
        (
            "pull-request-url",
            pull.and_then(|pull| pull.url.clone()).unwrap_or_default(),
        ),
        (
            "pull-request-operation",
            pull.map_or(Operation::None, |pull| pull.operation)
                .as_str()
                .to_owned(),
        ),
    ]
}

/// Returns outputs as a runner reads them. With a delimiter nobody can guess, no value can pass for another output.
fn encode(outputs: &[(&str, String)], delimiter: &str) -> String {
    outputs
        .iter()
        .map(|(name, value)| format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
        .collect()
}

fn delimiter() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::file(
            Path::new("the system's random numbers"),
            std::io::Error::other(error),
        )
    })?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("flake-herald-{digits}"))
}

fn append(file: &Path, text: &str) -> Result<(), Error> {
    let open =
        || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(file) };
    open()
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .map_err(|source| Error::Write {
            path: file.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_cannot_pass_for_another() {
        let outputs = [("a", "1\nb=2".to_owned()), ("c", String::new())];
        insta::assert_snapshot!(encode(&outputs, "END"), @"
        a<<END
        1
        b=2
        END
        c<<END

        END
        ");
        assert_ne!(delimiter().unwrap(), delimiter().unwrap());
    }
}
