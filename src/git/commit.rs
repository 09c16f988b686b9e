//! A commit that changes one file, made in the workshop: no ref, no index, no working tree is involved.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, ObjectType, Repository, Signature, Time, Tree};
use jiff::Timestamp;

use crate::command::Door;

use super::identity::{Identity, People, people};
use super::names::CommitId;
use super::sign::{Place, Signing};
use super::workshop::{Workshop, id_of, name_of};
use super::{GitError, tried};

/// A commit that is to be made.
#[derive(Debug, Clone)]
pub struct NewCommit {
    /// What it comes after.
    pub parent: CommitId,
    /// The one file that it changes, from the top.
    pub path: String,
    /// What the file becomes.
    pub content: Vec<u8>,
    /// The message; white space at its end is of no matter.
    pub message: String,
    /// Who it is by, if not who git is told to take.
    pub author: Option<Identity>,
    /// Who stands in where git is told nothing.
    pub fallback: Option<Identity>,
    /// When it is made.
    pub at: Timestamp,
    /// Whether the committer signs the message off.
    pub signoff: bool,
    /// Whether and how it is signed.
    pub signing: Signing,
}

impl Workshop {
    /// Makes a commit and returns its name. It is nobody's branch until it is pushed.
    ///
    /// # Errors
    ///
    /// The parent is not there, the path is no plain file in it, nobody is known whose commit it would be, or the signature
    /// that is wanted cannot be made.
    pub async fn commit(&self, door: &Door, new: &NewCommit) -> Result<CommitId, GitError> {
        let people = people(
            door,
            self.git_dir(),
            new.author.as_ref(),
            new.fallback.as_ref(),
        )
        .await?;
        let signoff = new.signoff.then_some(&people.committer);
        let message = finished(&new.message, signoff)?;
        // The repository is opened anew afterwards: a handle kept over an await would tie the future to one thread.
        let unsigned = unsigned(&self.open()?, new, &people, &message)?;
        let signature = self
            .place(door)
            .sign(&new.signing, &people.committer, &unsigned)
            .await?;
        let repository = self.open()?;
        let id = match signature {
            Some(signature) => {
                // libgit2 would make a line of its own of what is behind the last line's end; git does not.
                let signature = signature.trim_end_matches('\n');
                repository.commit_signed(&unsigned, signature, Some("gpgsig"))
            }
            None => repository
                .odb()
                .and_then(|odb| odb.write(ObjectType::Commit, unsigned.as_bytes())),
        };
        name_of(id.map_err(tried("write the commit"))?)
    }

    /// Finds what would keep a commit from being signed, as far as that is seen without signing.
    ///
    /// # Errors
    ///
    /// No key is named, or its file holds none that can be used.
    pub async fn check_signing(&self, door: &Door, signing: &Signing) -> Result<(), GitError> {
        self.place(door).check(signing).await
    }

    fn place<'a>(&'a self, door: &'a Door) -> Place<'a> {
        Place {
            door,
            git_dir: self.git_dir(),
            toplevel: self.toplevel(),
            scratch: self.scratch(),
        }
    }
}

/// Returns the text of a commit without a signature, after writing the tree that it names.
fn unsigned(
    repository: &Repository,
    new: &NewCommit,
    people: &People,
    message: &str,
) -> Result<String, GitError> {
    let parent = repository
        .find_commit(id_of(&new.parent)?)
        .map_err(tried("find the commit to build on"))?;
    let before = parent.tree().map_err(tried("read the tree to build on"))?;
    let mode = mode(&before, &new.path)?;
    let blob = repository
        .blob(&new.content)
        .map_err(tried("write the new file"))?;
    let tree = TreeUpdateBuilder::new()
        .upsert(new.path.as_str(), blob, mode)
        .create_updated(repository, &before)
        .and_then(|id| repository.find_tree(id))
        .map_err(tried("write the new tree"))?;
    let time = Time::new(new.at.as_second(), 0);
    let signature = |identity: &Identity| {
        Signature::new(&identity.name, &identity.email, &time).map_err(|error| GitError::Identity {
            text: identity.to_string(),
            why: error.message().to_owned(),
        })
    };
    let text = repository
        .commit_create_buffer(
            &signature(&people.author)?,
            &signature(&people.committer)?,
            message,
            &tree,
            &[&parent],
        )
        .map_err(tried("write the commit"))?;
    text.as_str()
        .map(str::to_owned)
        .map_err(tried("write the commit"))
}

/// Returns the mode that the file is to have: the one it has.
fn mode(tree: &Tree<'_>, path: &str) -> Result<FileMode, GitError> {
    let entry = match tree.get_path(Path::new(path)) {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(FileMode::Blob),
        Err(error) => return Err(tried("read the tree to build on")(error)),
    };
    match entry.filemode() {
        mode if mode == i32::from(FileMode::BlobExecutable) => Ok(FileMode::BlobExecutable),
        mode if mode == i32::from(FileMode::Link) => Err(GitError::Link(PathBuf::from(path))),
        _ if entry.kind() == Some(ObjectType::Blob) => Ok(FileMode::Blob),
        _ => Err(GitError::NoFile(PathBuf::from(path))),
    }
}

/// Returns a message as git would store it: with one newline at its end, signed off where that is asked for.
fn finished(message: &str, signoff: Option<&Identity>) -> Result<String, GitError> {
    if message.contains('\0') {
        return Err(GitError::Message("it holds a NUL"));
    }
    let mut message = message.replace("\r\n", "\n").trim_end().to_owned();
    message.drain(..message.len() - message.trim_start_matches('\n').len());
    if message.is_empty() {
        return Err(GitError::Message("it is empty"));
    }
    if let Some(identity) = signoff {
        let line = format!("Signed-off-by: {identity}");
        let block = trailers(&message);
        if block.last() != Some(&line.as_str()) {
            message.push_str(if block.is_empty() { "\n\n" } else { "\n" });
            message.push_str(&line);
        }
    }
    message.push('\n');
    Ok(message)
}

/// Lines that make trailers of a paragraph which is not made of trailers only.
const OF_GIT: &[&str] = &["Signed-off-by: ", "(cherry picked from commit "];

/// Returns the lines of a message's trailers, as git-interpret-trailers(1) finds them: the last paragraph, which is not the
/// subject's, if its lines are `name: value` all, or a quarter of them with one that git itself writes.
pub(super) fn trailers(message: &str) -> Vec<&str> {
    let message = message.trim_end();
    let is_blank = |line: &&str| line.trim().is_empty();
    let lines: Vec<&str> = message.lines().collect();
    let Some(blank) = lines.iter().rposition(is_blank) else {
        return Vec::new();
    };
    let block: Vec<&str> = lines.into_iter().skip(blank + 1).collect();
    let continues = |line: &str| line.starts_with([' ', '\t']);
    if block.first().is_none_or(|line| continues(line)) {
        return Vec::new();
    }
    let of_git = |line: &str| OF_GIT.iter().any(|start| line.starts_with(start));
    let heads = block.iter().filter(|line| !continues(line));
    let (good, bad): (Vec<&&str>, Vec<&&str>) =
        heads.partition(|line| of_git(line) || named(line).is_some());
    let by_git = good.iter().any(|line| of_git(line));
    if bad.is_empty() || (by_git && good.len() * 3 >= bad.len()) {
        block
    } else {
        Vec::new()
    }
}

/// Returns the name and the value of a trailer's line.
pub(super) fn named(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end_matches([' ', '\t']);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!name.is_empty() && name.chars().all(allowed)).then(|| (name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bot() -> Identity {
        Identity::new("Bot", "bot@example.org").unwrap()
    }

    #[test]
    fn a_message_ends_in_one_newline() {
        assert_eq!(finished("a", None).unwrap(), "a\n");
        assert_eq!(finished("\n\na\r\n\r\nb\n\n \n", None).unwrap(), "a\n\nb\n");
        assert!(finished(" \n", None).is_err());
        assert!(finished("a\0b", None).is_err());
    }

    #[test]
    fn a_signoff_joins_the_trailers() {
        let signed = |message: &str| finished(message, Some(&bot())).unwrap();
        let line = "Signed-off-by: Bot <bot@example.org>\n";
        assert_eq!(signed("subject"), format!("subject\n\n{line}"));
        assert_eq!(signed("fix: subject"), format!("fix: subject\n\n{line}"));
        assert_eq!(signed("s\n\nbody"), format!("s\n\nbody\n\n{line}"));
        assert_eq!(signed("s\n\nA-B: c\n"), format!("s\n\nA-B: c\n{line}"));
        assert_eq!(signed(&format!("s\n\n{line}")), format!("s\n\n{line}"));
        assert_eq!(
            signed(&format!("s\n\n{line}A: b")),
            format!("s\n\n{line}A: b\n{line}")
        );
    }

    #[test]
    fn trailers_are_the_last_paragraph() {
        let found = |message: &str| trailers(message).len();
        assert_eq!(found("s\n\nA: b\nC-D: e\n  more\n"), 3);
        assert_eq!(found("s\n \nA: b\n\n\n"), 1);
        assert_eq!(found("A: subject"), 0);
        assert_eq!(found("A: subject\nB: c"), 0);
        assert_eq!(found("s\n\nA: b\n\nwords"), 0);
        assert_eq!(found("s\n\nA: b\nplain words"), 0);
        assert_eq!(found("s\n\nSigned-off-by: x\nplain words"), 2);
        assert_eq!(found("s\n\nSigned-off-by: x\n1\n2\n3\n4"), 0);
        assert_eq!(found("s\n\n  A: b\nC: d"), 0);
        assert_eq!(found("s\n\nA b: c"), 0);
        assert_eq!(named("A-b \t:  c: d "), Some(("A-b", "c: d")));
        assert_eq!(named(": x"), None);
        assert_eq!(named("ä: x"), None);
    }
}
