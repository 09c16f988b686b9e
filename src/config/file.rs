//! The configuration file.

use std::ffi::OsString;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, nearest};
use super::layers::{Layer, Raw};
use super::{Origin, Problem};
use crate::cli::Shape;

/// The name of the file beside `flake.nix`.
pub const FILE_NAME: &str = "flake-herald.toml";

/// Something with the byte where it stands in the file.
type Placed<T> = (T, usize);

/// A configuration file that was read.
#[derive(Debug, Clone, Copy)]
pub struct ConfigFile<'a> {
    /// Where it is; relative paths in it are relative to its directory.
    pub path: &'a Path,
    /// What is in it.
    pub bytes: &'a [u8],
    /// Whether somebody named it, in place of the one beside `flake.nix`.
    pub named: bool,
}

impl ConfigFile<'_> {
    /// Returns what the file sets, and what is wrong with it.
    pub(super) fn layer(&self) -> (Layer, Vec<Problem>) {
        let text = match str::from_utf8(self.bytes) {
            Ok(text) => text,
            Err(error) => {
                let reason = "the file is not UTF-8".to_owned();
                return (
                    Layer::new(),
                    vec![self.syntax(self.line(error.valid_up_to()), reason)],
                );
            }
        };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let line = self.line(error.span().map_or(0, |span| span.start));
                return (
                    Layer::new(),
                    vec![self.syntax(line, one_line(error.message()))],
                );
            }
        };
        let keys = Key::all();
        let mut layer = Layer::new();
        let mut problems = Vec::new();
        for (name, value) in table.get_ref() {
            let origin = self.origin(name.span().start);
            let Some(key) = keys.iter().find(|key| key.name == name.get_ref()) else {
                let known = keys.iter().filter(|key| key.in_file);
                problems.push(Problem::UnknownKey {
                    key: name.get_ref().to_string(),
                    origin,
                    nearest: nearest(name.get_ref(), known.map(|key| key.name)),
                });
                continue;
            };
            let wrong = |(reason, at): Placed<String>| Problem::Value {
                key: key.name,
                origin: self.origin(at),
                reason,
            };
            match self.words(key, value) {
                _ if !key.in_file => {
                    problems.push(wrong((
                        "the file cannot name another file".to_owned(),
                        name.span().start,
                    )));
                }
                _ if key.name == "flake" && !self.named => problems.push(wrong((
                    "the file beside flake.nix cannot name another flake".to_owned(),
                    name.span().start,
                ))),
                Ok(words) => {
                    let lines = words.iter().map(|(_, at)| self.line(*at)).collect();
                    let words = words.into_iter().map(|(word, _)| word).collect();
                    layer.insert(
                        key.name,
                        Raw {
                            words,
                            origin,
                            lines,
                        },
                    );
                }
                Err(error) => problems.push(wrong(error)),
            }
        }
        // In the order of the file, not of the alphabet.
        problems.sort_by_key(|problem| match problem {
            Problem::Value {
                origin: Origin::File { line, .. },
                ..
            }
            | Problem::UnknownKey {
                origin: Origin::File { line, .. },
                ..
            } => *line,
            _ => 0,
        });
        (layer, problems)
    }

    /// Returns the words of a value, each with where it stands; else where the value is wrong and how.
    fn words(
        &self,
        key: &Key,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<Placed<OsString>>, Placed<String>> {
        let start = value.span().start;
        let wrong = |value: &Spanned<DeValue<'_>>| {
            let reason = format!(
                "must be {}, not {}",
                wanted(key.shape),
                type_name(value.get_ref())
            );
            (reason, value.span().start)
        };
        match (key.shape, value.get_ref()) {
            (Shape::Switch, DeValue::Boolean(yes)) => Ok(vec![(yes.to_string().into(), start)]),
            (Shape::Number | Shape::Repeat, DeValue::Integer(_)) => {
                Ok(vec![(integer(value.get_ref()).into(), start)])
            }
            (Shape::Path, DeValue::String(text)) => Ok(vec![(self.relative(text), start)]),
            (
                Shape::Text
                | Shape::Duration
                | Shape::Size
                | Shape::Choice
                | Shape::List
                | Shape::Choices,
                DeValue::String(text),
            ) => Ok(vec![(text.as_ref().into(), start)]),
            (Shape::List | Shape::Choices, DeValue::Array(items)) => items
                .iter()
                .map(|item| {
                    let text = item.get_ref().as_str().ok_or_else(|| wrong(item))?;
                    Ok((text.into(), item.span().start))
                })
                .collect(),
            (Shape::Pairs, DeValue::Table(table)) => {
                let mut words = Vec::new();
                for (name, value) in table {
                    let at = name.span().start;
                    let text = setting(value.get_ref()).ok_or_else(|| {
                        let kind = type_name(value.get_ref());
                        let allowed = "a string, an integer, a boolean or an array of them";
                        let name = name.get_ref().escape_debug();
                        (format!("`{name}` must be {allowed}, not {kind}"), at)
                    })?;
                    words.extend([(name.get_ref().as_ref().into(), at), (text.into(), at)]);
                }
                Ok(words)
            }
            _ => Err(wrong(value)),
        }
    }

    /// Returns a path in the file as seen from the current directory.
    fn relative(&self, text: &str) -> OsString {
        match self.path.parent() {
            // Joined, an empty text would become the directory; it is refused later as it is.
            Some(dir) if !text.is_empty() => dir.join(text).into_os_string(),
            _ => text.into(),
        }
    }

    fn origin(&self, at: usize) -> Origin {
        self.at_line(self.line(at))
    }

    fn at_line(&self, line: usize) -> Origin {
        let path = self.path.to_owned();
        Origin::File { path, line }
    }

    fn syntax(&self, line: usize, reason: String) -> Problem {
        Problem::Syntax {
            origin: self.at_line(line),
            reason,
        }
    }

    /// Returns the line of a byte, from 1.
    fn line(&self, at: usize) -> usize {
        self.bytes
            .iter()
            .take(at)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    }
}

/// Returns a setting of Nix as Nix's own configuration file spells it; none for other types.
fn setting(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Integer(_) => Some(integer(value)),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Array(_) => None,
                    item => setting(item),
                })
                .collect();
            items.map(|items| items.join(" "))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// Returns an integer in decimal digits; one that is too large as it is written.
fn integer(value: &DeValue<'_>) -> String {
    value.as_integer().map_or_else(String::new, |integer| {
        i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| integer.as_str().to_owned(), |number| number.to_string())
    })
}

fn wanted(shape: Shape) -> &'static str {
    match shape {
        Shape::Switch => "true or false",
        Shape::Number | Shape::Repeat => "an integer",
        Shape::Text | Shape::Path | Shape::Choice => "a string",
        Shape::Duration => "a string such as \"30m\"",
        Shape::Size => "a string such as \"20GiB\"",
        Shape::List | Shape::Choices => "an array of strings",
        Shape::Pairs => "a table",
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Returns a text without its line ends and other control characters.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
