//! A store of objects of our own that borrows from the checkout's: what is fetched and what is committed goes there, and the
//! user's repository stays as it is.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Odb, Oid, Repository, Tree};

use super::commit::{named, trailers};
use super::names::CommitId;
use super::{Checkout, GitError, file_error, tried};

/// How many commits of a branch are looked at: a branch of ours has one, and a merge of the base for each time it was behind.
const MOST_COMMITS: usize = 50;

/// A scratch store of objects above a checkout's.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The user's.
    git_dir: PathBuf,
    toplevel: PathBuf,
    scratch: PathBuf,
    /// Ours.
    store: PathBuf,
    objects: PathBuf,
    is_shallow: bool,
}

/// Whether a commit is part of another one's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contained {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The history is cut off before it was found.
    Unknown,
}

/// What a branch has that its base has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCommits {
    /// The commits, newest first, along first parents.
    pub commits: Vec<CommitFacts>,
    /// What the two have in common was not found: there are too many commits, or history is cut off. There may be more of them,
    /// and some of these may be on the base.
    pub truncated: bool,
}

/// What a commit says and does, as far as it matters for whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFacts {
    /// Its name.
    pub id: CommitId,
    /// Its message.
    pub message: String,
    /// What it comes after, in its order.
    pub parents: Vec<CommitId>,
    /// The paths that are not as in its last parent, content or mode, sorted; for a merge that parent is the side merged in.
    pub changed: Vec<String>,
    /// The lock file in it.
    pub lock: Option<Vec<u8>>,
    /// The lock file in its last parent.
    pub parent_lock: Option<Vec<u8>>,
    /// It merges one commit, which the base contains.
    pub merged_is_on_base: bool,
}

impl CommitFacts {
    /// Returns the value of a trailer of the message; of several the last, as git has it. Capitals do not matter in names.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        trailers(&self.message)
            .into_iter()
            .rev()
            .filter_map(named)
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Workshop {
    /// Makes a store in `scratch`, a directory of our own, that has all that `checkout` has.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub fn new(checkout: &Checkout, scratch: &Path) -> Result<Self, GitError> {
        // Programs are started elsewhere.
        let scratch = std::path::absolute(scratch).map_err(file_error(scratch))?;
        let store = scratch.join("objects.git");
        Repository::init_bare(&store).map_err(tried("make a store for new objects"))?;
        let objects = store.join("objects");
        let borrowed = checkout.object_dir();
        let borrowed = borrowed.canonicalize().map_err(file_error(&borrowed))?;
        let alternates = objects.join("info/alternates");
        let path = borrowed
            .to_str()
            .filter(|path| !path.contains(['\n', '\r']))
            .ok_or_else(|| GitError::Path(borrowed.clone()))?;
        fs::write(&alternates, format!("{path}\n")).map_err(file_error(&alternates))?;
        // Else the git program would look for what a shallow clone was never given.
        let cut = checkout.common_dir().join("shallow");
        match fs::copy(&cut, store.join("shallow")) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(file_error(&cut)(source)),
        }
        Ok(Self {
            git_dir: checkout.git_dir().to_owned(),
            toplevel: checkout.toplevel().to_owned(),
            scratch,
            store,
            objects,
            is_shallow: checkout.is_shallow(),
        })
    }

    /// Returns where new objects go: the value of `GIT_OBJECT_DIRECTORY` for the git program.
    pub fn object_dir(&self) -> &Path {
        &self.objects
    }

    /// Returns our own repository, which has the checkout's history, cut off where that is.
    pub fn store_dir(&self) -> &Path {
        &self.store
    }

    /// Returns the git directory of the checkout, whose configuration counts.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    pub(super) fn toplevel(&self) -> &Path {
        &self.toplevel
    }

    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    pub(super) fn open(&self) -> Result<Repository, GitError> {
        Repository::open_bare(&self.store).map_err(tried("open the store for new objects"))
    }

    /// Returns whether a commit is there, in the checkout's store or in ours.
    pub fn has(&self, commit: &CommitId) -> bool {
        self.open()
            .is_ok_and(|repository| id_of(commit).is_ok_and(|id| is_there(&repository, id)))
    }

    /// Returns whether `ancestor` is `tip` or part of its history.
    ///
    /// # Errors
    ///
    /// `tip` is not there, or the store cannot be read.
    pub fn contains(&self, tip: &CommitId, ancestor: &CommitId) -> Result<Contained, GitError> {
        let repository = self.open()?;
        self.history(&repository, tip)?.contains(id_of(ancestor)?)
    }

    /// Returns a file of a commit, by its path from the top; none where it has no such file.
    ///
    /// # Errors
    ///
    /// The commit is not there, or the store cannot be read.
    pub fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let repository = self.open()?;
        let tree = tree_of(&repository, id_of(commit)?)?;
        file_in(&repository, &tree, path)
    }

    /// Returns the commits from `tip` along first parents down to the first one that `base` contains, which is left out, newest
    /// first. After fifty, and where history is cut off, it stops with what it has.
    ///
    /// # Errors
    ///
    /// A commit named is not there, or the store cannot be read.
    pub fn own_commits(
        &self,
        tip: &CommitId,
        base: &CommitId,
        lock_path: &str,
    ) -> Result<OwnCommits, GitError> {
        let repository = self.open()?;
        let mut history = self.history(&repository, base)?;
        let mut commits = Vec::new();
        let (mut truncated, mut in_doubt) = (false, false);
        let mut next = Some(id_of(tip)?);
        while let Some(id) = next {
            match history.contains(id)? {
                // Down from here both are the same, so nothing is in doubt any more.
                Contained::Yes => {
                    in_doubt = false;
                    break;
                }
                Contained::No => {}
                Contained::Unknown => in_doubt = true,
            }
            if !is_there(&repository, id) && !commits.is_empty() {
                truncated = true;
                break;
            }
            let commit = Header::read(&repository, id)?;
            let last = commit.parents.last().copied();
            let is_cut = last.is_some_and(|parent| !is_there(&repository, parent));
            if is_cut || commits.len() == MOST_COMMITS {
                truncated = true;
                break;
            }
            let merged_is_on_base = match commit.parents.as_slice() {
                [_, merged] => history.contains(*merged)? == Contained::Yes,
                _ => false,
            };
            commits.push(facts(
                &repository,
                &commit,
                last,
                lock_path,
                merged_is_on_base,
            )?);
            next = commit.parents.first().copied();
        }
        Ok(OwnCommits {
            commits,
            truncated: truncated || in_doubt,
        })
    }

    fn history<'a>(
        &self,
        repository: &'a Repository,
        tip: &CommitId,
    ) -> Result<History<'a>, GitError> {
        let tip = id_of(tip)?;
        Header::read(repository, tip)?;
        Ok(History {
            repository,
            tip,
            by_hand: self.is_shallow.then(|| Walk {
                seen: HashSet::from([tip]),
                open: vec![tip],
                is_cut: false,
            }),
        })
    }
}

/// The history of one commit, asked for others several times.
struct History<'a> {
    repository: &'a Repository,
    tip: Oid,
    by_hand: Option<Walk>,
}

/// A walk through a history that may be cut off.
///
/// libgit2 would take the boundary of a shallow clone for the beginning of history, but a fetch into the store often brings
/// what is behind it: so the parents are followed as the commits name them, as far as they are there.
struct Walk {
    seen: HashSet<Oid>,
    open: Vec<Oid>,
    is_cut: bool,
}

impl History<'_> {
    fn contains(&mut self, commit: Oid) -> Result<Contained, GitError> {
        let found = match &mut self.by_hand {
            Some(walk) => return walk.find(self.repository, commit),
            None if commit == self.tip => true,
            // What is not there is in no complete history; libgit2 would call it an error.
            None if !is_there(self.repository, commit) => false,
            None => self
                .repository
                .graph_descendant_of(self.tip, commit)
                .map_err(tried("compare two histories"))?,
        };
        Ok(if found { Contained::Yes } else { Contained::No })
    }
}

impl Walk {
    fn find(&mut self, repository: &Repository, commit: Oid) -> Result<Contained, GitError> {
        while !self.seen.contains(&commit) {
            let Some(next) = self.open.pop() else {
                return Ok(if self.is_cut {
                    Contained::Unknown
                } else {
                    Contained::No
                });
            };
            if !is_there(repository, next) {
                self.is_cut = true;
                continue;
            }
            for parent in Header::read(repository, next)?.parents {
                if self.seen.insert(parent) {
                    self.open.push(parent);
                }
            }
        }
        Ok(Contained::Yes)
    }
}

/// A commit as it is stored, with the parents it names: libgit2's commits have those of the `shallow` file instead.
struct Header {
    id: Oid,
    tree: Oid,
    parents: Vec<Oid>,
    message: String,
}

impl Header {
    fn read(repository: &Repository, id: Oid) -> Result<Self, GitError> {
        let odb = store_of(repository)?;
        let object = odb.read(id).map_err(|source| GitError::NoCommit {
            id: id.to_string(),
            source,
        })?;
        let text = String::from_utf8_lossy(object.data());
        let (header, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        let named = |name: &'static str| {
            header
                .lines()
                // Only at the beginning: the header of a signature or a tag can hold anything.
                .take_while(|line| line.starts_with("tree ") || line.starts_with("parent "))
                .filter_map(move |line| line.strip_prefix(name)?.parse::<Oid>().ok())
        };
        let tree = named("tree ").next();
        match tree {
            Some(tree) if object.kind() == ObjectType::Commit => Ok(Self {
                id,
                tree,
                parents: named("parent ").collect(),
                message: message.to_owned(),
            }),
            _ => Err(GitError::NoCommit {
                id: id.to_string(),
                source: git2::Error::from_str("it is no commit"),
            }),
        }
    }
}

fn store_of(repository: &Repository) -> Result<Odb<'_>, GitError> {
    repository.odb().map_err(tried("open the object store"))
}

fn is_there(repository: &Repository, id: Oid) -> bool {
    // A miss has libgit2 look anew at what other processes may have added.
    repository
        .odb()
        .and_then(|odb| odb.read_header(id))
        .is_ok_and(|(_, kind)| kind == ObjectType::Commit)
}

fn facts(
    repository: &Repository,
    commit: &Header,
    last_parent: Option<Oid>,
    lock_path: &str,
    merged_is_on_base: bool,
) -> Result<CommitFacts, GitError> {
    let tree = tree_of(repository, commit.id)?;
    let before = last_parent
        .map(|parent| tree_of(repository, parent))
        .transpose()?;
    let mut changed = BTreeSet::new();
    compare(repository, before.as_ref(), Some(&tree), "", &mut changed)?;
    Ok(CommitFacts {
        id: name_of(commit.id)?,
        message: commit.message.clone(),
        parents: commit
            .parents
            .iter()
            .map(|parent| name_of(*parent))
            .collect::<Result<_, _>>()?,
        changed: changed.into_iter().collect(),
        lock: file_in(repository, &tree, lock_path)?,
        parent_lock: match &before {
            Some(tree) => file_in(repository, tree, lock_path)?,
            None => None,
        },
        merged_is_on_base,
    })
}

/// Collects the paths that two trees do not have alike. libgit2's diff heeds the user's `diff.ignoreSubmodules`; this does not.
fn compare(
    repository: &Repository,
    before: Option<&Tree<'_>>,
    after: Option<&Tree<'_>>,
    prefix: &str,
    into: &mut BTreeSet<String>,
) -> Result<(), GitError> {
    if let (Some(before), Some(after)) = (before, after)
        && before.id() == after.id()
    {
        return Ok(());
    }
    let sides = [before, after];
    let names: BTreeSet<Vec<u8>> = sides
        .iter()
        .flatten()
        .flat_map(|tree| tree.iter().map(|entry| entry.name_bytes().to_vec()))
        .collect();
    for name in names {
        let [old, new] = sides.map(|tree| tree.and_then(|tree| tree.get_name_bytes(&name)));
        let what = |entry: &Option<git2::TreeEntry<'_>>| {
            entry
                .as_ref()
                .map(|entry| (entry.id(), entry.filemode_raw()))
        };
        if what(&old) == what(&new) {
            continue;
        }
        let path = format!("{prefix}{}", String::from_utf8_lossy(&name));
        let mut has_file = false;
        let mut trees = Vec::new();
        for entry in [&old, &new] {
            let tree = match entry {
                Some(entry) if entry.kind() == Some(ObjectType::Tree) => Some(
                    repository
                        .find_tree(entry.id())
                        .map_err(tried("compare two commits"))?,
                ),
                Some(_) => {
                    has_file = true;
                    None
                }
                None => None,
            };
            trees.push(tree);
        }
        if has_file {
            into.insert(path.clone());
        }
        if let [old, new] = trees.as_slice()
            && (old.is_some() || new.is_some())
        {
            compare(
                repository,
                old.as_ref(),
                new.as_ref(),
                &format!("{path}/"),
                into,
            )?;
        }
    }
    Ok(())
}

fn tree_of(repository: &Repository, commit: Oid) -> Result<Tree<'_>, GitError> {
    let header = Header::read(repository, commit)?;
    repository
        .find_tree(header.tree)
        .map_err(tried("read a commit's tree"))
}

fn file_in(
    repository: &Repository,
    tree: &Tree<'_>,
    path: &str,
) -> Result<Option<Vec<u8>>, GitError> {
    const WHAT: &str = "read a file of a commit";
    let entry = match tree.get_path(Path::new(path)) {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(tried(WHAT)(error)),
    };
    if entry.kind() != Some(ObjectType::Blob) {
        return Ok(None);
    }
    let blob = repository.find_blob(entry.id()).map_err(tried(WHAT))?;
    Ok(Some(blob.content().to_vec()))
}

pub(super) fn id_of(commit: &CommitId) -> Result<Oid, GitError> {
    Oid::from_str(commit.as_str()).map_err(tried("read a commit's name"))
}

pub(super) fn name_of(id: Oid) -> Result<CommitId, GitError> {
    Ok(id.to_string().parse()?)
}
