//! Where somebody who has just seen a first report goes on.

use std::fs;
use std::path::Path;

use crate::cli::Command;
use crate::config::Config;
use crate::report::{Outcome, Report};

use super::Surroundings;

/// The directories in which forges keep workflows.
const WORKFLOWS: [&str; 3] = [
    ".forgejo/workflows",
    ".gitea/workflows",
    ".github/workflows",
];

/// Returns a sentence for who looks at a terminal and has nothing set up yet; none for everybody else, who knows.
pub(super) fn next_step(
    config: &Config,
    world: &Surroundings<'_>,
    report: &Report,
) -> Option<&'static str> {
    let looks = world.terminal && config.runner.is_none() && world.environment.get("CI").is_none();
    let is_new = config.command == Command::Report
        && report.outcome != Outcome::LockUnchanged
        && config.file().is_none();
    (looks && is_new && !has_workflow(&config.flake.dir.value)).then_some(concat!(
        "next: a job that keeps a pull request open with this: ",
        env!("CARGO_PKG_REPOSITORY")
    ))
}

/// Whether a workflow of the flake's repository names this program.
fn has_workflow(flake: &Path) -> bool {
    let Ok(flake) = flake.canonicalize() else {
        return false;
    };
    for dir in flake.ancestors() {
        let mut files = WORKFLOWS
            .iter()
            .filter_map(|workflows| fs::read_dir(dir.join(workflows)).ok())
            .flatten()
            .filter_map(Result::ok);
        if files.any(|file| {
            fs::read_to_string(file.path()).is_ok_and(|text| text.contains(env!("CARGO_PKG_NAME")))
        }) {
            return true;
        }
        if dir.join(".git").exists() {
            break;
        }
    }
    false
}
