//! Where a report goes: standard output, a directory, and the files a runner reads.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::report::{HostReport, Report, Status, to_json, to_markdown, to_plain_text};

use super::Error;

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
    /// Makes the directory, so that a wrong one is found before the work and not after it.
    ///
    /// # Errors
    ///
    /// It cannot be made or written to.
    pub fn prepare(&self) -> Result<(), Error> {
        if let Some(dir) = &self.directory {
            std::fs::create_dir_all(dir).map_err(|source| Error::file(dir, source))?;
            // Some directories can be seen and not written to; only trying tells.
            tempfile::tempfile_in(dir).map_err(|source| Error::file(dir, source))?;
        }
        Ok(())
    }

    /// Returns the directory for the logs of failed builds.
    pub fn logs(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|dir| dir.join("logs"))
    }

    /// Writes the report's files, and what the runner reads.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub fn deliver(&self, report: &Report, lock: &[u8], code: u8) -> Result<(), Error> {
        if let Some(dir) = &self.directory {
            for (name, bytes) in [
                ("report.md", to_markdown(report).as_bytes()),
                ("report.json", to_json(report).as_bytes()),
                ("report.txt", to_plain_text(report).as_bytes()),
                ("flake.lock", lock),
            ] {
                super::replace(&dir.join(name), bytes)?;
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
            append(file, &to_markdown(report))?;
        }
        Ok(())
    }
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
        ("pull-request-number", String::new()),
        ("pull-request-url", String::new()),
        ("pull-request-operation", "none".to_owned()),
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
        .map_err(|source| Error::file(file, source))
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
