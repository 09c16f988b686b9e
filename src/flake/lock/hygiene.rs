//! What is odd about a lock: copies of one repository, and inputs that nothing changes any more.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::compare_url::Repository;
use super::trust;
use super::{InputPath, LockFile, LockedInput, ROOT, Target};

/// The most notes that are told, and the most inputs that each names.
const MOST: usize = 10;

/// How often a repository is locked before that alone is worth a note.
const OFTEN: usize = 3;

/// How long an input stays the same before that is worth a note.
const LONG: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Something about a lock that whoever keeps the flake may want to tidy up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LockNote {
    /// What it is.
    pub kind: LockNoteKind,
    /// The inputs that are meant, as seen from the flake, the first ten of them.
    pub inputs: Vec<String>,
    /// How many inputs are meant.
    pub count: u64,
    /// The repository, as a flake reference without a revision; null for several, and for one that is only on this machine.
    pub repository: Option<String>,
    /// How often the repository is locked, the flake's own inputs counted; null where the note is about no single one.
    pub times: Option<u64>,
    /// Of inputs that do not change, the UTC day of the oldest, `YYYY-MM-DD`; null for other notes.
    pub date: Option<String>,
}

/// What is odd, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LockNoteKind {
    /// Inputs of the flake's inputs are copies of what the flake has itself: they lack a `follows`.
    NoFollows,
    /// Inputs of the flake were last changed a year or more before the lock's newest.
    Old,
    /// One repository is locked three times or more, at different revisions.
    Repeated,
}

/// Returns what is odd about a lock, the most telling first, and how many further notes there are.
///
/// What is meant to be so is left out: what several inputs of the flake itself have in common, inputs that ask for one
/// revision, and of what does not change sources that are no flakes. So are helpers of a few lines that most flakes have
/// (`flake-utils`, `flake-compat`, `systems`): they hardly change, and a copy costs nothing.
pub fn notes(lock: &LockFile) -> (Vec<LockNote>, usize) {
    let copies = lock.copies();
    let mut notes: Vec<LockNote> = copies.values().filter_map(|all| repeated(all)).collect();
    notes.extend(old(copies.values().flatten()));
    notes.sort_by(|a, b| {
        (a.kind, b.times, b.count)
            .cmp(&(b.kind, a.times, a.count))
            .then_with(|| a.inputs.cmp(&b.inputs))
    });
    let more = notes.len().saturating_sub(MOST);
    notes.truncate(MOST);
    (notes, more)
}

/// A repository that is locked: once of maybe several times.
struct Copy<'a> {
    /// The shortest way to it.
    path: InputPath,
    input: &'a LockedInput,
}

impl Copy<'_> {
    fn is_direct(&self) -> bool {
        !self.path.is_transitive()
    }

    /// Whether it asks for one revision, and so for a copy of its own.
    fn is_pinned(&self) -> bool {
        self.input.original.str("rev").is_some()
    }

    /// Whether it is what `own`, an input of the flake, is: it has the same name, or asks for the same.
    fn could_follow(&self, own: &Self) -> bool {
        self.path.names().len() == 2
            && !self.is_pinned()
            && (self.path.names().last() == own.path.names().last()
                || self.input.original == own.input.original)
    }
}

impl LockFile {
    /// Returns what is locked by repository, each node once, in the order of the shortest ways to them.
    fn copies(&self) -> BTreeMap<String, Vec<Copy<'_>>> {
        let mut paths: BTreeMap<usize, InputPath> = BTreeMap::new();
        self.visit(|path, target| {
            let Target::Node(index) = target else {
                return;
            };
            let length = |path: &InputPath| path.names().len();
            let known = paths.entry(*index).or_insert_with(|| path.clone());
            if (length(path), path) < (length(known), known) {
                known.clone_from(path);
            }
        });
        let mut copies: BTreeMap<String, Vec<Copy<'_>>> = BTreeMap::new();
        for (index, path) in paths {
            if index == ROOT {
                continue;
            }
            if let Some(input) = self.nodes.get(index).and_then(|node| node.input.as_ref())
                && !is_helper(input)
                && let Some(repository) = key(input)
            {
                let copy = Copy { path, input };
                copies.entry(repository).or_default().push(copy);
            }
        }
        for copies in copies.values_mut() {
            copies.sort_by(|a, b| {
                let length = |copy: &Copy<'_>| copy.path.names().len();
                (length(a), &a.path).cmp(&(length(b), &b.path))
            });
        }
        copies
    }
}

/// Returns what is to be said of the copies of one repository.
fn repeated(all: &[Copy<'_>]) -> Option<LockNote> {
    let own: Vec<&Copy<'_>> = all.iter().filter(|copy| copy.is_direct()).collect();
    let could_follow: Vec<&Copy<'_>> = all
        .iter()
        .filter(|copy| own.iter().any(|own| copy.could_follow(own)))
        .collect();
    let (kind, meant) = if could_follow.is_empty() {
        let unpinned: Vec<&Copy<'_>> = all.iter().filter(|copy| !copy.is_pinned()).collect();
        let foreign = unpinned.iter().filter(|copy| !copy.is_direct()).count();
        let differ = unpinned
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.input.nar_hash() != b.input.nar_hash()));
        if unpinned.len() < OFTEN || foreign < 2 || !differ {
            return None;
        }
        (LockNoteKind::Repeated, unpinned)
    } else {
        (LockNoteKind::NoFollows, could_follow)
    };
    Some(LockNote {
        repository: all.first().and_then(|copy| shown(copy.input)),
        times: Some(number(all.len())),
        ..note(kind, &meant)
    })
}

/// Returns which inputs of the flake were last changed long before the newest of all.
fn old<'a>(all: impl Iterator<Item = &'a Copy<'a>>) -> Option<LockNote> {
    let all: Vec<(Timestamp, &Copy<'_>)> = all
        // Without a revision, the time is that of a file, and may be anything.
        .filter(|copy| copy.input.rev().is_some())
        .filter_map(|copy| Some((copy.input.last_modified()?, copy)))
        // Such a time stands for none.
        .filter(|(at, _)| at.duration_since(Timestamp::UNIX_EPOCH) > LONG)
        .collect();
    let newest = all.iter().map(|(at, _)| *at).max()?;
    let mut old: Vec<(Timestamp, &Copy<'_>)> = all
        .into_iter()
        .filter(|(at, copy)| {
            copy.is_direct()
                && copy.input.is_flake()
                && !copy.is_pinned()
                && newest.duration_since(*at) >= LONG
        })
        .collect();
    old.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
    let oldest = old.first()?.1.input.date();
    let meant: Vec<&Copy<'_>> = old.into_iter().map(|(_, copy)| copy).collect();
    Some(LockNote {
        date: oldest,
        ..note(LockNoteKind::Old, &meant)
    })
}

fn note(kind: LockNoteKind, meant: &[&Copy<'_>]) -> LockNote {
    LockNote {
        kind,
        inputs: meant
            .iter()
            .take(MOST)
            .map(|copy| copy.path.to_string())
            .collect(),
        count: number(meant.len()),
        repository: None,
        times: None,
        date: None,
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Whether it is one of the helpers that copies of do not matter.
fn is_helper(input: &LockedInput) -> bool {
    let is = |name: &str| matches!(name, "flake-utils" | "flake-compat" | "nix-systems");
    let text = |name| input.attr(name).unwrap_or_default();
    is(text("owner")) || is(text("repo")) || text("url").split(['/', '?']).any(is)
}

/// Returns what is the same for all copies of one repository; none for a directory.
fn key(input: &LockedInput) -> Option<String> {
    match Repository::of(input) {
        Some(repository) => Some(repository.key()),
        None => address(input).map(|address| address.to_ascii_lowercase()),
    }
}

/// Returns the repository for a reader; none where it is only on this machine.
fn shown(input: &LockedInput) -> Option<String> {
    address(input).filter(|address| !address.contains("file:"))
}

/// Returns where an input is from, without its revision.
fn address(input: &LockedInput) -> Option<String> {
    let text = |name| input.attr(name);
    match input.kind() {
        kind @ ("github" | "gitlab" | "sourcehut") => {
            let host = text("host").map(|host| format!("?host={host}"));
            Some(format!(
                "{kind}:{}/{}{}",
                text("owner")?,
                text("repo")?,
                host.unwrap_or_default()
            ))
        }
        kind @ ("git" | "hg") => {
            let url = text("url")?.split(['?', '#']).next()?;
            Some(format!("{kind}+{}", trust::repository(url)))
        }
        // What it is locked to may have a name that changes with the contents.
        "tarball" | "file" => {
            let url = input.original.str("url").or_else(|| text("url"))?;
            url.split(['?', '#']).next().map(str::to_owned)
        }
        _ => None,
    }
}
