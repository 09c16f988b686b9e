//! Who a commit is by: as git itself would say, and what stands in where git does not know.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::command::Cmd;
use crate::command::Door;

use super::GitError;

/// A name and an address, as a commit has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Identity {
    /// Returns an identity that a commit can hold.
    ///
    /// # Errors
    ///
    /// The name is empty, or one of the two has a character that a commit's header cannot hold.
    pub fn new(name: &str, email: &str) -> Result<Self, GitError> {
        let (name, email) = (name.trim(), email.trim());
        let odd = |text: &str| text.contains(['<', '>', '\n', '\r', '\0']);
        let why = if name.is_empty() {
            "the name is empty"
        } else if odd(name) || odd(email) {
            "neither the name nor the address can hold <, > or a line's end"
        } else if !name.contains(|c: char| !is_crud(c)) {
            "the name is punctuation only"
        } else {
            return Ok(Self {
                name: name.to_owned(),
                email: email.to_owned(),
            });
        };
        Err(GitError::Identity {
            text: format!("{name} <{email}>"),
            why: why.to_owned(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

impl FromStr for Identity {
    type Err = GitError;

    /// Reads `Name <address>`, as `git commit --author` takes it.
    fn from_str(text: &str) -> Result<Self, GitError> {
        let parts = text
            .trim()
            .strip_suffix('>')
            .and_then(|text| text.split_once('<'));
        match parts {
            Some((name, email)) => Self::new(name, email),
            None => Err(GitError::Identity {
                text: text.to_owned(),
                why: "an author is written `Name <address>`".to_owned(),
            }),
        }
    }
}

/// Returns whether git takes a character off either end of a name (ident.c).
fn is_crud(c: char) -> bool {
    c <= ' ' || matches!(c, '.' | ',' | ':' | ';' | '<' | '>' | '"' | '\\' | '\'')
}

/// The two people of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct People {
    pub(super) author: Identity,
    pub(super) committer: Identity,
}

/// Returns who a commit is by: the author given, else who git is told to take (environment, then configuration), else `fallback`.
///
/// The committer is who git is told to take, else the author given, else `fallback`.
pub(super) async fn people(
    door: &Door,
    git_dir: &Path,
    given: Option<&Identity>,
    fallback: Option<&Identity>,
) -> Result<People, GitError> {
    // A line's end in a name would be a header of the commit.
    for identity in given.into_iter().chain(fallback) {
        Identity::new(&identity.name, &identity.email)?;
    }
    let committer = match told(door, git_dir, "GIT_COMMITTER_IDENT").await? {
        Ok(identity) => identity,
        Err(words) => given
            .or(fallback)
            .cloned()
            .ok_or(GitError::NoIdentity(words))?,
    };
    let author = match given {
        Some(author) => author.clone(),
        None => match told(door, git_dir, "GIT_AUTHOR_IDENT").await? {
            Ok(identity) => identity,
            Err(words) => fallback.cloned().ok_or(GitError::NoIdentity(words))?,
        },
    };
    Ok(People { author, committer })
}

/// Returns who git is told to take, or its words where it is told nothing. The git program is asked, since it alone knows all
/// places: variables, `GIT_CONFIG_COUNT`, includes by directory.
async fn told(
    door: &Door,
    git_dir: &Path,
    which: &str,
) -> Result<Result<Identity, String>, GitError> {
    let output = door.output(&ask(git_dir, which)).await?;
    if !output.success() {
        let stderr = output.stderr.text();
        // `Author identity unknown` and advice come first; the reason is what begins with `fatal:`.
        let words = stderr
            .lines()
            .find_map(|line| line.strip_prefix("fatal: "))
            .unwrap_or("git did not say why")
            .to_owned();
        return Ok(Err(words));
    }
    let text = output.text()?;
    // `Name <address> 1700000000 +0000`
    let identity = text
        .rsplit_once('>')
        .and_then(|(person, _)| person.rsplit_once('<'));
    match identity {
        Some((name, email)) => Identity::new(name, email).map(Ok),
        None => Err(GitError::Identity {
            text: text.trim().to_owned(),
            why: "git's answer is no identity".to_owned(),
        }),
    }
}

/// Spells the question. Git would make up a name and an address from the system's users; on a runner that is `root@localhost`.
fn ask(git_dir: &Path, which: &str) -> Cmd {
    super::git_at(git_dir)
        .args(["-c", "user.useConfigOnly=true", "var"])
        .arg(which)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_a_name_and_an_address() {
        let bot: Identity = " Flake Bot  <bot@example.org> ".parse().unwrap();
        assert_eq!(bot, Identity::new("Flake Bot", "bot@example.org").unwrap());
        assert_eq!(bot.to_string(), "Flake Bot <bot@example.org>");
        assert_eq!("A <>".parse::<Identity>().unwrap().email, "");
        for bad in [
            "",
            "Bot",
            "bot@example.org",
            "<bot@example.org>",
            "A <b> <c>",
            "A > <b>",
            "A\nB <c>",
            "A\0 <c>",
            "., <c>",
        ] {
            assert!(bad.parse::<Identity>().is_err(), "{bad:?}");
        }
    }
}
