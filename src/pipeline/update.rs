//! The update itself: which inputs are asked for, which stay as they are, and what is done about one that cannot be fetched.

use std::path::Path;

use crate::config::keys::nearest;
use crate::flake::lock::{InputPath, LockFile, NotFound, graft};
use crate::nix::{Nix, NixError};
use crate::report::Report;

use super::locks::{parse, read};
use super::source::Source;
use super::{Error, Request};

/// The inputs that an update left alone although they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Those that could not be fetched, as seen from the root, sorted.
    pub unreachable: Vec<String>,
    /// What a reader should know, with Nix's words.
    pub warnings: Vec<String>,
}

/// An update of one flake, into one file.
pub(super) struct Update<'a> {
    pub nix: &'a Nix,
    pub source: &'a Source,
    pub request: &'a Request,
    pub scratch: &'a Path,
    /// The file for the new lock.
    pub into: &'a Path,
}

impl Update<'_> {
    /// Updates every input, without a look at the base's lock: what fails is for [`Update::after`] to settle.
    pub(super) async fn all(&self) -> Result<(), NixError> {
        self.named(&[]).await
    }

    /// Settles what [`Update::all`] came to, `before` being the completed base's lock.
    pub(super) async fn after(
        &self,
        all: Result<(), NixError>,
        before: Option<&Path>,
    ) -> Result<Left, Error> {
        let Err(failed) = all else {
            return Ok(Left::default());
        };
        let Some(before) = before.filter(|_| self.can_keep(&failed)) else {
            return Err(explained(failed, before));
        };
        let lock = parse("flake.lock", &read(before)?)?;
        self.what_can_be_reached(lock.own_inputs(), Some(failed))
            .await
            .map_err(|error| with_name(error, &lock))
    }

    /// Updates the inputs chosen by `--input` and `--exclude-input`.
    pub(super) async fn chosen(&self, before: Option<&Path>) -> Result<Left, Error> {
        let before = before.ok_or(Error::NoLockToChooseFrom)?;
        let bytes = read(before)?;
        let lock = parse("flake.lock", &bytes)?;
        let (names, keep) = choose(self.request, &lock)?;
        let mut left = self
            .what_can_be_reached(names, None)
            .await
            .map_err(|error| with_name(error, &lock))?;
        self.put_back(&lock, &bytes, &keep, &mut left).await?;
        Ok(left)
    }

    async fn named(&self, names: &[String]) -> Result<(), NixError> {
        self.nix
            .update_lock(&self.source.reference, names, self.into)
            .await
    }

    fn can_keep(&self, error: &NixError) -> bool {
        self.request.keep_unreachable && matches!(error, NixError::Unreachable { .. })
    }

    /// Updates `names` without those that cannot be fetched, if that is wanted. `failed` is a first try that failed.
    ///
    /// Nix ends at the first that is dead, and names it: one call more for each of them.
    async fn what_can_be_reached(
        &self,
        mut names: Vec<String>,
        mut failed: Option<NixError>,
    ) -> Result<Left, Error> {
        let mut left = Left::default();
        loop {
            let tried = match failed.take() {
                Some(error) => Err(error),
                None => self.named(&names).await,
            };
            let error = match tried {
                Ok(()) => {
                    left.unreachable.sort();
                    return Ok(left);
                }
                Err(error) => error,
            };
            if !self.can_keep(&error) {
                return Err(error.into());
            }
            let before = names.len();
            match &error {
                NixError::Unreachable {
                    input: Some(input),
                    words,
                    ..
                } => {
                    leave(&mut names, input);
                    left.add(input, words);
                }
                _ => self.probe(&mut names, &mut left).await?,
            }
            // It was left alone already, or there is no saying which one it is.
            if names.len() == before {
                return Err(needed(error).into());
            }
            if names.is_empty() {
                return Err(Error::NothingReachable(left.warnings));
            }
            tracing::debug!("updating the others: {error}");
        }
    }

    /// Asks for each input on its own, and leaves those that cannot be fetched: for a Nix that does not name them.
    async fn probe(&self, names: &mut Vec<String>, left: &mut Left) -> Result<(), Error> {
        for name in std::mem::take(names) {
            match self.named(std::slice::from_ref(&name)).await {
                Ok(()) => names.push(name),
                Err(NixError::Unreachable { words, .. }) => left.add(&name, &words),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Puts inputs of inputs back that are to stay as they are, which Nix itself has no way to leave alone.
    async fn put_back(
        &self,
        lock: &LockFile,
        bytes: &[u8],
        keep: &[InputPath],
        left: &mut Left,
    ) -> Result<(), Error> {
        let grafted = graft(bytes, &read(self.into)?, keep).map_err(Error::CannotKeep)?;
        for input in &grafted.gone {
            left.warnings.push(format!(
                "`{input}` was to stay as it is locked, and the update leaves no such input"
            ));
        }
        let Some(file) = grafted.file else {
            return Ok(());
        };
        let path = self.scratch.join("grafted.lock");
        std::fs::write(&path, file).map_err(|source| Error::file(&path, source))?;
        // Nix looks at what was put back, and gives the nodes their names.
        self.nix
            .complete_lock(&self.source.reference, &path, self.into)
            .await?;
        let new = parse("the new flake.lock", &read(self.into)?)?;
        for input in keep.iter().filter(|input| !grafted.gone.contains(input)) {
            if lock.keeps(&new, input) != Some(true) {
                return Err(Error::NotKept(input.to_string()));
            }
        }
        Ok(())
    }
}

impl Left {
    /// Returns what the run of a report left alone.
    pub(super) fn of(report: &Report) -> Self {
        let told = |warning: &&String| {
            let of = |input: &String| warning.starts_with(&sentence(input));
            report.lock.unreachable.iter().any(of)
        };
        Self {
            unreachable: report.lock.unreachable.clone(),
            warnings: report.warnings.iter().filter(told).cloned().collect(),
        }
    }

    fn add(&mut self, input: &str, words: &str) {
        self.unreachable.push(input.to_owned());
        self.warnings.push(format!("{}{words}", sentence(input)));
    }
}

/// Returns how a warning about an input begins. An input of an input holds up the whole of the flake's own input.
fn sentence(input: &str) -> String {
    match input.split_once('/') {
        Some((own, _)) => {
            format!("input `{input}` cannot be fetched, and `{own}` stays as it is locked: ")
        }
        None => format!("input `{input}` cannot be fetched, and stays as it is locked: "),
    }
}

/// Returns the error for a first update that failed, with the input's name where the base's lock has it.
fn explained(error: NixError, before: Option<&Path>) -> Error {
    let lock = before.and_then(|path| LockFile::parse(&read(path).ok()?).ok());
    match lock {
        Some(lock) => with_name(error.into(), &lock),
        None => error.into(),
    }
}

/// Names an input that cannot be locked: Nix tells its address only.
fn with_name(error: Error, lock: &LockFile) -> Error {
    match error {
        Error::Nix(NixError::Unlocked { address }) => {
            let inputs = lock.inputs_at(&address);
            if inputs.is_empty() {
                NixError::Unlocked { address }.into()
            } else {
                Error::Unlocked { inputs, address }
            }
        }
        error => error,
    }
}

/// Says of an input that is left alone, and that Nix fetches all the same, that there is no doing without it.
fn needed(error: NixError) -> NixError {
    match error {
        NixError::Unreachable {
            input, words, call, ..
        } => NixError::Unreachable {
            input,
            words,
            keepable: false,
            call,
        },
        error => error,
    }
}

/// Takes out what belongs to the flake's own input that `input` is, or is an input of.
fn leave(names: &mut Vec<String>, input: &str) {
    let own = |name: &str| name.split('/').next().map(str::to_owned);
    names.retain(|name| own(name) != own(input));
}

/// Returns the inputs to update, and those of them that have to be put back.
fn choose(request: &Request, lock: &LockFile) -> Result<(Vec<String>, Vec<InputPath>), Error> {
    let known = |name: &String| -> Result<InputPath, Error> {
        let path = InputPath::from_text(name);
        lock.find(&path).map_err(|reason| unknown(name, reason))?;
        Ok(path)
    };
    // Nix only warns of a name that it does not know, and succeeds.
    for name in &request.inputs {
        known(name)?;
    }
    let excluded = request
        .exclude_inputs
        .iter()
        .map(known)
        .collect::<Result<Vec<_>, _>>()?;
    let mut names = if request.inputs.is_empty() {
        lock.own_inputs()
    } else {
        request.inputs.clone()
    };
    names.retain(|name| {
        let path = InputPath::from_text(name);
        !excluded.iter().any(|excluded| excluded.leads_to(&path))
    });
    if names.is_empty() {
        return Err(Error::NoInputLeft);
    }
    let keep = excluded
        .into_iter()
        .filter(InputPath::is_transitive)
        .collect();
    Ok((names, keep))
}

fn unknown(name: &str, reason: NotFound) -> Error {
    match reason {
        NotFound::Unknown {
            of,
            name: missing,
            known,
        } => {
            let above = match of.names().len() {
                0 => String::new(),
                _ => format!("{of}/"),
            };
            Error::UnknownInput {
                name: name.to_owned(),
                nearest: nearest(&missing, &known).map(|near| format!("{above}{near}")),
                of: of.to_string(),
                known: known.iter().map(|name| format!("{above}{name}")).collect(),
            }
        }
        NotFound::Follows { input, follows } => Error::InputFollows {
            input: input.to_string(),
            follows: follows.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_what_stays_for_want_of_an_input_of_it() {
        insta::assert_snapshot!(["hw", "sub/hw", "sub/deep/hw"].map(sentence).join("…\n"), @"
        input `hw` cannot be fetched, and stays as it is locked: …
        input `sub/hw` cannot be fetched, and `sub` stays as it is locked: …
        input `sub/deep/hw` cannot be fetched, and `sub` stays as it is locked:
        ");
    }
}
