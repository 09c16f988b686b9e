//! Staging lock files. The flake's own one is never written to.

use std::io;
use std::path::Path;

use crate::command::{Cmd, CommandError};
use crate::flake::FlakeRef;

use super::error::ended;
use super::{Nix, NixError, call, message};

impl Nix {
    /// Writes to `into` the lock `base`, completed where `flake.nix` has moved on since.
    ///
    /// # Errors
    ///
    /// Nix fails ([`NixError::Unreachable`] where an input cannot be fetched), or writes nothing.
    pub async fn complete_lock(
        &self,
        flake: &FlakeRef,
        base: &Path,
        into: &Path,
    ) -> Result<(), NixError> {
        let cmd = call::complete_lock(&self.options, flake, base, into);
        let stderr = self.run_into(&cmd, into, false).await?;
        written(into, &stderr)
    }

    /// Writes to `into` the flake's lock after updating `inputs`, or all of them where none is named.
    ///
    /// # Errors
    ///
    /// Nix fails ([`NixError::Unreachable`] for one input that cannot be fetched, which is enough), or writes nothing.
    pub async fn update_lock(
        &self,
        flake: &FlakeRef,
        inputs: &[String],
        into: &Path,
    ) -> Result<(), NixError> {
        let cmd = call::update(&self.options, self.spelling, flake, inputs, into);
        let stderr = self.run_into(&cmd, into, true).await?;
        // Status 0 and a warning is all that Nix has for a name it does not know.
        if let Some(line) = stderr.lines().find(|line| line.contains(UNKNOWN_INPUT)) {
            return Err(NixError::NoInput(
                line.trim_start_matches("warning: ").to_owned(),
            ));
        }
        written(into, &stderr)
    }

    /// Runs a call that is to write `into`, and returns what it says on stderr.
    async fn run_into(&self, cmd: &Cmd, into: &Path, keepable: bool) -> Result<String, NixError> {
        // What an earlier call wrote there must not pass for what this one does not write.
        match std::fs::remove_file(into) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(NixError::File {
                    path: into.display().to_string(),
                    source,
                });
            }
            _ => {}
        }
        let output = self
            .run(cmd)
            .await
            .map_err(|error| unreachable(error, keepable))?;
        self.warnings.read(output.stderr.bytes());
        Ok(message::plain(&output.stderr.text()))
    }
}

/// What Nix says of an input to update that the flake does not have.
const UNKNOWN_INPUT: &str = "does not match any input of this flake";

/// With an input that cannot be locked Nix ends with status 0, a warning, and no file.
fn written(file: &Path, stderr: &str) -> Result<(), NixError> {
    if file.exists() {
        return Ok(());
    }
    // "will not write lock file" in 2.26, "not writing lock file" in 2.34.
    let unlocked = stderr.lines().find_map(|line| {
        let (_, after) = line.split_once("because it has an unlocked input ('")?;
        Some(after.split_once('\'')?.0.to_owned())
    });
    if let Some(address) = unlocked {
        return Err(NixError::Unlocked { address });
    }
    let words: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("warning:"))
        .collect();
    Err(NixError::NoLock(words.join("; ")))
}

/// Says of a call that failed because an input cannot be fetched which one it is, and whether it is an update, which could
/// leave that one alone.
pub(super) fn unreachable(error: CommandError, keepable: bool) -> NixError {
    let told = error
        .stderr()
        .and_then(|stderr| message::unreachable(&stderr.text()));
    match told {
        Some(unreachable) if ended(&error) => NixError::Unreachable {
            input: unreachable.input,
            words: unreachable.words,
            keepable,
            call: Box::new(error),
        },
        _ => error.into(),
    }
}
