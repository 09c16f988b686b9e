//! The one form in which a flake is handed to Nix.

use std::fmt;
use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What a path in a flake reference must not hold as it is.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a query value must not hold as it is.
const QUERY: &AsciiSet = &PATH.add(b'&').add(b'+').add(b'=');

/// A flake reference: `git+file://TOPLEVEL?dir=SUB`, or `path:` where there is no git.
///
/// `git+file://` is the only form that leaves untracked files alone, works in a shallow clone and sees
/// what a relative input above the flake's directory refers to; `path:` copies the whole directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlakeRef(String);

impl FlakeRef {
    /// Returns the reference to the flake in `dir` (relative, empty for the top) of the git checkout at `toplevel`.
    ///
    /// With `rev` the commit is meant, not the working tree; `shallow` is then said too, since a shallow
    /// clone refuses a revision without it.
    pub fn git(toplevel: &Path, dir: &str, rev: Option<&str>, submodules: bool) -> Self {
        let mut query = Vec::new();
        if !dir.is_empty() {
            query.push(format!("dir={}", utf8_percent_encode(dir, QUERY)));
        }
        if let Some(rev) = rev {
            query.push(format!("rev={rev}"));
            query.push("shallow=1".to_owned());
        }
        if submodules {
            query.push("submodules=1".to_owned());
        }
        let mut text = format!("git+file://{}", percent_encode_path(toplevel));
        if !query.is_empty() {
            text.push('?');
            text.push_str(&query.join("&"));
        }
        Self(text)
    }

    /// Returns the reference to a flake that is in no git checkout.
    pub fn path(dir: &Path) -> Self {
        Self(format!("path:{}", percent_encode_path(dir)))
    }

    /// Returns the reference as Nix's command line takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FlakeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a file's path as it stands in a URL. Bytes that are no UTF-8 are encoded as they are.
pub fn percent_encode_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    percent_encoding::percent_encode(path.as_os_str().as_bytes(), PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_spelled_one_way() {
        let table = [
            FlakeRef::git(Path::new("/srv/fleet"), "", None, false),
            FlakeRef::git(Path::new("/srv/my fleet#1"), "sub dir/a&b", None, true),
            FlakeRef::git(
                Path::new("/srv/fleet"),
                "",
                Some("0123456789012345678901234567890123456789"),
                false,
            ),
            FlakeRef::path(Path::new("/srv/50% off?")),
        ]
        .map(|reference| reference.to_string());
        insta::assert_snapshot!(table.join("\n"), @"
        git+file:///srv/fleet
        git+file:///srv/my%20fleet%231?dir=sub%20dir/a%26b&submodules=1
        git+file:///srv/fleet?rev=0123456789012345678901234567890123456789&shallow=1
        path:/srv/50%25%20off%3F
        ");
    }
}
