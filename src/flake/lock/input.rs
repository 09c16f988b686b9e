//! One locked input: what was asked for, and what it was locked to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::LockError;
use super::url::{Dialect, Spelling, fix_git_url};

/// An attribute of an input. Nix knows these three types and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attr {
    Str(String),
    /// Nix stores every number as an unsigned one of 64 bits, and reads times back as signed.
    Int(u64),
    Bool(bool),
}

/// The attributes of an input, as `original` or `locked` of a node lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attrs(BTreeMap<String, Attr>);

/// Attributes that are strings wherever they occur, in every type of input.
const STRINGS: [&str; 9] = [
    "type", "dir", "host", "narHash", "owner", "ref", "repo", "rev", "url",
];

impl Attrs {
    /// Reads the attributes `part` of `node`; `info` are further ones, which version 5 kept apart.
    pub(super) fn parse(
        node: &str,
        part: &'static str,
        value: Option<&Value>,
        info: Option<&Value>,
    ) -> Result<Self, LockError> {
        let malformed = |expected| LockError::Malformed {
            part: format!("'{part}' of node '{node}'"),
            expected,
        };
        let Some(value) = value else {
            return Err(malformed("there"));
        };
        let mut attrs = BTreeMap::new();
        for object in [Some(value), info].into_iter().flatten() {
            for (name, value) in object.as_object().ok_or_else(|| malformed("an object"))? {
                let attr = Attr::parse(value).ok_or_else(|| LockError::Malformed {
                    part: format!("attribute '{name}' in '{part}' of node '{node}'"),
                    expected: "a string, a boolean or a natural number",
                })?;
                attrs.insert(name.clone(), attr);
            }
        }
        let mut attrs = Self(attrs);
        attrs.check(node, part)?;
        // Nix compares and prints what it made of the URL, so this belongs to reading.
        if attrs.kind() == "git"
            && let Some(url) = attrs.str("url")
        {
            let url = fix_git_url(url);
            attrs.0.insert("url".to_owned(), Attr::Str(url));
        }
        Ok(attrs)
    }

    /// Checks what the rest of this module, and Nix, relies on.
    fn check(&self, node: &str, part: &'static str) -> Result<(), LockError> {
        let wrong = |name: &str, expected| LockError::Malformed {
            part: format!("attribute '{name}' in '{part}' of node '{node}'"),
            expected,
        };
        for name in STRINGS {
            if !matches!(self.0.get(name), None | Some(Attr::Str(_))) {
                return Err(wrong(name, "a string"));
            }
        }
        for name in ["lastModified", "revCount"] {
            if !matches!(self.0.get(name), None | Some(Attr::Int(_))) {
                return Err(wrong(name, "a number"));
            }
        }
        let required: &[&'static str] = match self.str("type") {
            None => &["type"],
            Some("github" | "gitlab" | "sourcehut") => &["owner", "repo"],
            Some("git" | "hg" | "tarball" | "file") => &["url"],
            Some("path") => &["path"],
            Some("indirect") => &["id"],
            // A type of a Nix newer than this program.
            Some(_) => &[],
        };
        for &attribute in required {
            match self.0.get(attribute) {
                Some(Attr::Str(_)) => {}
                Some(_) => return Err(wrong(attribute, "a string")),
                None => {
                    return Err(LockError::MissingAttribute {
                        node: node.to_owned(),
                        part,
                        attribute,
                    });
                }
            }
        }
        Ok(())
    }

    /// Returns the type of the input, such as `github`.
    pub(super) fn kind(&self) -> &str {
        self.str("type").unwrap_or_default()
    }

    /// Returns the attribute of that name if it is a string.
    pub(super) fn str(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Attr::Str(value)) => Some(value),
            _ => None,
        }
    }

    /// Tells whether the attribute of that name is there and true.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Attr::Bool(true))
    }

    /// Returns all attributes, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().map(|(name, attr)| (name.as_str(), attr))
    }
}

impl Attr {
    /// Reads an attribute as Nix does: any number becomes an unsigned integer.
    fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Str(text.clone())),
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Number(number) => number
                .as_u64()
                .or_else(|| number.as_i64().map(i64::cast_unsigned))
                // Through its digits, since a cast would invent a value for what does not fit.
                .or_else(|| number.as_f64()?.trunc().to_string().parse().ok())
                .map(Self::Int),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// An input as a `flake.lock` has it: the reference that was asked for and the one it was locked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedInput {
    pub(super) original: Attrs,
    pub(super) locked: Attrs,
    pub(super) flake: bool,
}

impl LockedInput {
    /// Returns the type of what it is locked to: `github`, `gitlab`, `sourcehut`, `git`, `hg`, `tarball`, `file`,
    /// `path`, or one that a newer Nix brought.
    pub fn kind(&self) -> &str {
        self.locked.kind()
    }

    /// Tells whether the input is itself a flake (and not just a source).
    pub fn is_flake(&self) -> bool {
        self.flake
    }

    /// Returns the locked revision, a commit hash in hexadecimal digits, where the type has such a thing.
    ///
    /// A tarball may have one too; a dirty tree has none.
    pub fn rev(&self) -> Option<&str> {
        self.locked.str("rev")
    }

    /// Returns the locked contents' hash, in SRI notation.
    pub fn nar_hash(&self) -> Option<&str> {
        self.locked.str("narHash")
    }

    /// Returns the locked attribute of that name, such as `owner`, `repo`, `host`, `url` or `ref`, if it is a string.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.locked.str(name)
    }

    /// Returns when the locked tree was last modified: for a commit its time, for a path 1 as a rule.
    ///
    /// `None` where the lock does not say, or where it names a time beyond the year 9999.
    pub fn last_modified(&self) -> Option<Timestamp> {
        self.locked.iter().find_map(|(name, attr)| match attr {
            Attr::Int(seconds) if name == "lastModified" => {
                Timestamp::from_second(seconds.cast_signed()).ok()
            }
            _ => None,
        })
    }

    /// Returns the day of [`last_modified`](Self::last_modified) in UTC, as `YYYY-MM-DD`.
    pub fn date(&self) -> Option<String> {
        Some(
            self.last_modified()?
                .to_zoned(TimeZone::UTC)
                .date()
                .to_string(),
        )
    }

    /// Returns the locked reference as Nix prints it, such as `github:NixOS/nixpkgs/2d293cb…`.
    ///
    /// It is text from a file: a `git` or `tarball` URL may hold a user's name and password.
    pub fn url(&self, dialect: Dialect) -> String {
        dialect.spelling().url(&self.locked)
    }

    /// Returns the reference that was asked for, such as `github:NixOS/nixpkgs/nixos-24.05` or `flake:nixpkgs`.
    ///
    /// Nix versions differ here; this is the form that all of them read: `/` in a branch's name stays, and
    /// a host that is not the type's own is named. The warning of [`url`](Self::url) holds.
    pub fn original_url(&self) -> String {
        Spelling::ORIGINAL.url(&self.original)
    }
}
