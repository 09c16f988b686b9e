//! Attribute paths, in Nix's own spelling.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A path of attribute names, as in `nixosConfigurations."web.example".config`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrPath(Vec<String>);

/// Why a text is not an attribute path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttrPathError {
    /// A name between two dots is missing.
    #[error("the attribute path `{0}` has an empty name in it")]
    Empty(String),
    /// A quoted name has no end.
    #[error("the attribute path `{0}` has a quote that is never closed")]
    Unclosed(String),
    /// Text follows a closing quote without a dot.
    #[error("the attribute path `{0}` needs a dot after a quoted name")]
    AfterQuote(String),
}

impl AttrPath {
    /// Returns the path of these names.
    pub fn new<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Returns the path one level below, at `name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// Returns the path one level above; the empty path's is empty.
    #[must_use]
    pub fn parent(&self) -> Self {
        let names = self.0.split_last().map(|(_, names)| names.to_vec());
        Self(names.unwrap_or_default())
    }

    /// Returns the names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Reads a path as Nix's language writes it: names between dots, quoted where they need it.
    ///
    /// # Errors
    ///
    /// An empty name, a quote that is not closed, or text right after a closing quote.
    pub fn parse(text: &str) -> Result<Self, AttrPathError> {
        let mut names = Vec::new();
        let mut chars = text.chars().peekable();
        loop {
            let mut name = String::new();
            if chars.peek() == Some(&'"') {
                chars.next();
                loop {
                    match chars.next() {
                        Some('\\') => name.extend(chars.next().map(|c| match c {
                            'n' => '\n',
                            'r' => '\r',
                            't' => '\t',
                            c => c,
                        })),
                        Some('"') => break,
                        Some(c) => name.push(c),
                        None => return Err(AttrPathError::Unclosed(text.to_owned())),
                    }
                }
                if chars.peek().is_some_and(|c| *c != '.') {
                    return Err(AttrPathError::AfterQuote(text.to_owned()));
                }
            } else {
                while let Some(c) = chars.next_if(|c| *c != '.') {
                    name.push(c);
                }
            }
            if name.is_empty() {
                return Err(AttrPathError::Empty(text.to_owned()));
            }
            names.push(name);
            if chars.next().is_none() {
                return Ok(Self(names));
            }
        }
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            if is_identifier(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&nix_string(name))?;
            }
        }
        Ok(())
    }
}

impl Serialize for AttrPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttrPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Returns whether Nix's grammar takes `name` as an attribute name without quotes.
fn is_identifier(name: &str) -> bool {
    // The keywords of Nix's lexer; `or` is one only by history, and is quoted to be safe.
    const KEYWORDS: [&str; 10] = [
        "if", "then", "else", "assert", "with", "let", "in", "rec", "inherit", "or",
    ];
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\''))
        && !KEYWORDS.contains(&name)
}

/// Returns `text` as a Nix string literal that cannot be left or interpolated into.
pub fn nix_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_as_it_was_written() {
        for names in [
            vec!["nixosConfigurations", "web"],
            vec!["nixosConfigurations", "x86_64-linux", "config"],
            vec![
                "a",
                "b.c",
                "user@host",
                "${x}",
                "say \"hi\"",
                "back\\slash",
                "or",
                "with space",
                "two\nlines",
                "\r\t",
                "*[a]?{b,c}",
                "größe",
            ],
        ] {
            let path = AttrPath::new(names.clone());
            assert_eq!(AttrPath::parse(&path.to_string()), Ok(path));
        }
    }

    #[test]
    fn names_are_quoted_only_where_nix_needs_it() {
        let path = AttrPath::new(["a", "b-c", "1x", "in", "a.b", "${x}"]);
        insta::assert_snapshot!(path, @r#"a.b-c."1x"."in"."a.b"."\${x}""#);
    }

    #[test]
    fn broken_paths_are_refused() {
        for bad in ["", ".", "a.", ".a", "a..b", "\"a", "\"a\"b", "a.\"\""] {
            assert!(AttrPath::parse(bad).is_err(), "{bad:?}");
        }
    }
}
