//! From what was typed for a closure to the store path or the snapshot that it names.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::closure::snapshot::SNAPSHOT_LIMIT;
use crate::closure::{Snapshot, SnapshotError, StorePath};
use crate::nix::profile::{Leads, SystemProfile, follow};

use super::error::OperandError;

/// A closure as the user names it.
#[derive(Debug)]
pub(in super::super) struct Operand {
    /// What was typed, fit for a message.
    pub(super) word: String,
    /// What it names.
    pub(super) known: Known,
}

/// What a user's word names.
#[derive(Debug)]
pub(in super::super) enum Known {
    /// A path that is to be in the store.
    Store(StorePath),
    /// A closure that was kept.
    Snapshot(Box<Snapshot>),
}

impl Operand {
    /// Finds out what `word` names; reads it where that is a snapshot. Whether a path is in the store is not looked at.
    ///
    /// A number is a generation of `system` also where a file has that name: `./41` is the file.
    pub(in super::super) fn find(
        word: &Path,
        system: &SystemProfile,
    ) -> Result<Self, OperandError> {
        let shown = shown(word.as_os_str());
        let generation = generation(word, system)?;
        let path = generation.as_deref().unwrap_or(word);
        let unreadable = |source| OperandError::Unreadable {
            word: shown.clone(),
            source,
        };
        let known = match follow(path) {
            // Anything in the current directory would look like a path of a store there.
            Ok(Leads::To(found)) if is_base_name(word) && path.symlink_metadata().is_err() => {
                return Err(OperandError::Nothing {
                    word: shown,
                    like: Some(Like::BaseName(found.base_name().to_owned())),
                });
            }
            Ok(Leads::To(path)) if path.is_derivation() => {
                return Err(OperandError::Derivation { word: shown, path });
            }
            Ok(Leads::To(path)) => Known::Store(path),
            Ok(Leads::Inside(path)) => {
                return Err(OperandError::Inside { word: shown, path });
            }
            // What a descriptor is open for is there under no name (`/dev/fd/63`), but can be looked at.
            Ok(Leads::Nowhere(missing)) if path.metadata().is_err() => {
                return Err(nowhere(path, shown, &missing));
            }
            Ok(Leads::Elsewhere(_) | Leads::Nowhere(_)) => {
                Known::Snapshot(Box::new(read(path, &shown)?))
            }
            Err(_) if path.as_os_str().is_empty() => {
                return Err(OperandError::Nothing {
                    word: shown,
                    like: None,
                });
            }
            Err(error) => return Err(unreadable(error)),
        };
        Ok(Self { word: shown, known })
    }

    /// Returns the store path, where it is one.
    pub(super) fn store_path(&self) -> Option<&StorePath> {
        match &self.known {
            Known::Store(path) => Some(path),
            Known::Snapshot(_) => None,
        }
    }
}

/// Returns the link of the generation that `word` is the number of; none where it is no number.
fn generation(word: &Path, system: &SystemProfile) -> Result<Option<PathBuf>, OperandError> {
    let Some(digits) = word
        .to_str()
        .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
    else {
        return Ok(None);
    };
    let link = digits.parse().ok().map(|number| system.generation(number));
    match link.filter(|link| link.symlink_metadata().is_ok()) {
        Some(link) => Ok(Some(link)),
        None => Err(OperandError::NoGeneration {
            number: digits.to_owned(),
            dir: system.dir.clone(),
            known: system.generations(),
            is_file: word.exists(),
        }),
    }
}

/// Says what is wrong with a path that leads to nothing but `missing`.
fn nowhere(path: &Path, shown: String, missing: &Path) -> OperandError {
    if path.symlink_metadata().is_ok() {
        return OperandError::Broken {
            word: shown,
            missing: self::shown(missing.as_os_str()),
        };
    }
    let text = path.to_string_lossy();
    let like = if text == "-" {
        Some(Like::Stdin)
    } else if text.contains(".drv^") || text.contains(".drv!") {
        Some(Like::Outputs)
    } else if text.contains('#') || has_scheme(&text) {
        Some(Like::Flake)
    } else if text.starts_with("/nix/store/") {
        let why = StorePath::parse(&text).err();
        why.map(|error| Like::StorePath(error.reason.to_string()))
    } else {
        None
    };
    OperandError::Nothing { word: shown, like }
}

/// What a word looks like that names nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Like {
    /// What other programs take for their standard input.
    Stdin,
    /// Outputs of a derivation, as Nix's commands take them: `/nix/store/….drv^out`.
    Outputs,
    /// A flake reference.
    Flake,
    /// A store path, and why it is none.
    StorePath(String),
    /// The last part of a store path.
    BaseName(String),
}

/// Whether a text begins as a URL does: `github:`, `git+ssh:`.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        !scheme.is_empty()
            && !rest.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'+')
    })
}

/// Whether a word is the last part of a path only.
fn is_base_name(word: &Path) -> bool {
    word.file_name() == Some(word.as_os_str())
}

/// Reads a snapshot.
fn read(path: &Path, word: &str) -> Result<Snapshot, OperandError> {
    let word = || word.to_owned();
    let unreadable = |source| OperandError::Unreadable {
        word: word(),
        source,
    };
    let refused = |source: SnapshotError, like: Option<&'static str>| OperandError::Snapshot {
        word: word(),
        source,
        like,
    };
    let known = path.metadata().map_err(unreadable)?;
    let kind = known.file_type();
    if kind.is_dir() {
        return Err(OperandError::Directory {
            word: word(),
            is_flake: path.join("flake.nix").exists(),
        });
    }
    if !kind.is_file() {
        let what = if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        return Err(OperandError::Special { word: word(), what });
    }
    let most = u64::try_from(SNAPSHOT_LIMIT).unwrap_or(u64::MAX);
    if known.len() > most {
        return Err(refused(SnapshotError::TooLarge, None));
    }
    let bytes = File::open(path)
        .and_then(|file| {
            let mut bytes = Vec::new();
            // It may have grown.
            file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(bytes)
        })
        .map_err(unreadable)?;
    Snapshot::parse(&bytes).map_err(|source| {
        let like = match source {
            SnapshotError::Other => resembles(&bytes),
            _ => None,
        };
        refused(source, like)
    })
}

/// Says what a file looks like that is no snapshot, where that is easily told.
fn resembles(bytes: &[u8]) -> Option<&'static str> {
    // The files' magic numbers: RFC 1952, RFC 8878, the .xz format's specification.
    const COMPRESSED: [&[u8]; 3] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"];
    if COMPRESSED.iter().any(|magic| bytes.starts_with(magic)) {
        return Some("a compressed file, which has to be decompressed first");
    }
    let dump = bytes.split(|byte| *byte == b'\n').next();
    let dump = dump.and_then(|line| std::str::from_utf8(line).ok());
    if dump.is_some_and(|line| StorePath::parse(line).is_ok()) {
        return Some("a list of store paths");
    }
    if let Ok(items) = serde_json::from_slice::<Vec<Keys>>(bytes) {
        let infos = items.iter().any(|item| item.has(&["path", "narSize"]));
        return infos.then_some(PATH_INFO);
    }
    let keys: Keys = serde_json::from_slice(bytes).ok()?;
    const KNOWN: [(&[&str], &str); 7] = [
        (&["schema", "hosts", "fleet"], "a report of flake-herald"),
        (
            &["changed", "added", "removed"],
            "what `flake-herald diff --format json` prints",
        ),
        (&["scope", "hosts"], "a list of hosts of flake-herald"),
        (&["nodes", "root", "version"], "a flake.lock"),
        (&["info", "storeDir"], PATH_INFO),
        (&["derivations", "version"], DERIVATIONS),
        (&["packages", "elements"], "a manifest of a profile"),
    ];
    let known = KNOWN.iter().find(|(names, _)| keys.has(names));
    if let Some((_, what)) = known {
        return Some(what);
    }
    let path = keys.0.keys().find_map(|key| StorePath::parse(key).ok())?;
    Some(if path.is_derivation() {
        DERIVATIONS
    } else {
        PATH_INFO
    })
}

const PATH_INFO: &str = "what `nix path-info --json` prints";
const DERIVATIONS: &str = "what `nix derivation show` prints";

/// The keys of a JSON object.
#[derive(serde::Deserialize)]
struct Keys(std::collections::BTreeMap<String, IgnoredAny>);

impl Keys {
    fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.contains_key(*name))
    }
}

/// Returns a word as a message can have it, on one line, and cut short if it is very long.
fn shown(word: &OsStr) -> String {
    // Far more than a store path takes.
    const MOST: usize = 1000;
    let word = word.to_string_lossy();
    if word.trim().is_empty() {
        return format!("{word:?}");
    }
    let mut shown: String = word
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if word.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
