//! Staging lock files. The flake's own one is never written to.

use std::path::Path;

use crate::flake::FlakeRef;

use super::{Nix, NixError, call};

impl Nix {
    /// Writes to `into` the lock `base`, completed where `flake.nix` has moved on since.
    ///
    /// # Errors
    ///
    /// Nix fails (an input cannot be fetched, a lock it cannot read), or writes nothing.
    pub async fn complete_lock(
        &self,
        flake: &FlakeRef,
        base: &Path,
        into: &Path,
    ) -> Result<(), NixError> {
        let output = self
            .run(&call::complete_lock(&self.options, flake, base, into))
            .await?;
        self.warnings.read(output.stderr.bytes());
        written(into, output.stderr.bytes())
    }

    /// Writes to `into` the flake's lock after updating `inputs`, or all of them where none is named.
    ///
    /// # Errors
    ///
    /// Nix fails (one input that cannot be fetched is enough), or writes nothing.
    pub async fn update_lock(
        &self,
        flake: &FlakeRef,
        inputs: &[String],
        into: &Path,
    ) -> Result<(), NixError> {
        let output = self
            .run(&call::update(&self.options, flake, inputs, into))
            .await?;
        self.warnings.read(output.stderr.bytes());
        let stderr = super::message::plain(&output.stderr.text());
        // Status 0 and a warning is all that Nix has for a name it does not know.
        if let Some(line) = stderr.lines().find(|line| line.contains(UNKNOWN_INPUT)) {
            return Err(NixError::NoInput(
                line.trim_start_matches("warning: ").to_owned(),
            ));
        }
        written(into, output.stderr.bytes())
    }
}

/// What Nix says of an input to update that the flake does not have.
const UNKNOWN_INPUT: &str = "does not match any input of this flake";

/// With an input that cannot be locked Nix ends with status 0, a warning, and no file.
fn written(file: &Path, stderr: &[u8]) -> Result<(), NixError> {
    if file.exists() {
        return Ok(());
    }
    let text = super::message::plain(&String::from_utf8_lossy(stderr));
    let words: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("warning:"))
        .collect();
    Err(NixError::NoLock(words.join("; ")))
}
