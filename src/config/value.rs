//! How the words of a flag, a variable or the file become values: one way for each type.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use globset::{Glob, GlobBuilder};
use jiff::SignedDuration;
use jiff::fmt::friendly::SpanPrinter;

use super::keys::nearest;
use crate::cli::Choice;

/// A type that a key can have.
pub trait Value: Sized {
    /// Reads the value.
    ///
    /// # Errors
    ///
    /// What is wrong with the word, and what is allowed instead.
    fn parse(word: &OsStr) -> Result<Self, String>;

    /// Returns the value as TOML.
    fn to_toml(&self) -> String;
}

/// Returns a word as text.
fn text(word: &OsStr) -> Result<&str, String> {
    let text = word.to_str().ok_or("the value is not UTF-8")?;
    if text.contains('\0') {
        // No argument or file name can have one, so it would fail later and less clearly.
        return Err("the value has a NUL byte".to_owned());
    }
    if text.trim().is_empty() {
        return Err("the value is empty".to_owned());
    }
    Ok(text)
}

/// Returns a text as a TOML string on one line.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Returns values as a TOML array.
pub fn array<T: Value>(values: &[T]) -> String {
    let items: Vec<String> = values.iter().map(Value::to_toml).collect();
    format!("[{}]", items.join(", "))
}

impl<T: Choice> Value for T {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let word = text(word)?;
        let known = Self::ALL.iter().find(|choice| choice.word() == word);
        known.copied().ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|choice| choice.word()).collect();
            let hint = nearest(word, &words)
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            format!("{word:?} is not one of {}{hint}", words.join(", "))
        })
    }

    fn to_toml(&self) -> String {
        quoted(self.word())
    }
}

impl Value for bool {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let word = text(word)?;
        match word.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(format!("{word:?} is not true or false")),
        }
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Value for NonZeroUsize {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let word = text(word)?;
        word.parse()
            .ok()
            .ok_or_else(|| format!("{word:?} is not a whole number of at least 1"))
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let word = text(word)?;
        word.parse()
            .ok()
            .ok_or_else(|| format!("{word:?} is not a whole number of at least 0"))
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn parse(word: &OsStr) -> Result<Self, String> {
        text(word).map(str::to_owned)
    }

    fn to_toml(&self) -> String {
        quoted(&without_userinfo(self))
    }
}

/// A pattern of packages' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagePattern(Glob);

impl PackagePattern {
    /// Returns what matches the names.
    pub fn glob(&self) -> &Glob {
        &self.0
    }
}

impl Value for PackagePattern {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let text = text(word)?;
        let glob = GlobBuilder::new(text).backslash_escape(true).build();
        let pattern =
            |error: globset::Error| format!("{text:?} is not a pattern: {}", error.kind());
        glob.map(Self).map_err(pattern)
    }

    fn to_toml(&self) -> String {
        quoted(self.0.glob())
    }
}

impl Value for PathBuf {
    fn parse(word: &OsStr) -> Result<Self, String> {
        if word.is_empty() {
            return Err("the value is empty".to_owned());
        }
        if word.as_encoded_bytes().contains(&0) {
            return Err("the value has a NUL byte".to_owned());
        }
        Ok(Self::from(word))
    }

    fn to_toml(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Value for Duration {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let word = text(word)?;
        // Nix takes a time of nothing for no limit at all, which is said by leaving the key out.
        word.parse::<SignedDuration>()
            .ok()
            .and_then(|time| Self::try_from(time).ok())
            .filter(|time| !time.is_zero())
            .ok_or_else(|| format!("{word:?} is not a time such as 90s, 30m or 2h"))
    }

    fn to_toml(&self) -> String {
        let time = SignedDuration::try_from(*self).unwrap_or(SignedDuration::MAX);
        quoted(&SpanPrinter::new().duration_to_string(&time))
    }
}

impl Value for ByteSize {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let word = text(word)?;
        word.parse()
            .ok()
            .ok_or_else(|| format!("{word:?} is not a size such as 20GiB"))
    }

    fn to_toml(&self) -> String {
        quoted(&self.to_string())
    }
}

/// The address of a server or of its API, with `http` or `https` and without a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// Returns the address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for HttpUrl {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let url = text(word)?;
        if without_userinfo(url) != url {
            // Not repeated: what stands there may be a password.
            return Err("the address has a user name or password in it".to_owned());
        }
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        match rest {
            Some(rest)
                if !rest.is_empty()
                    && !rest.starts_with('/')
                    && !url.contains(char::is_whitespace) =>
            {
                Ok(Self(url.to_owned()))
            }
            _ => Err(format!(
                "{url:?} is not an address such as https://forge.example"
            )),
        }
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}

/// A repository on a forge, as `OWNER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug {
    /// The user or organisation.
    pub owner: String,
    /// The repository's name.
    pub name: String,
}

impl Value for Slug {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let slug = text(word)?;
        let fits = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| c == '/' || c.is_whitespace())
        };
        match slug.split_once('/') {
            Some((owner, name)) if fits(owner) && fits(name) => Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(format!("{slug:?} is not OWNER/NAME")),
        }
    }

    fn to_toml(&self) -> String {
        quoted(&format!("{}/{}", self.owner, self.name))
    }
}

/// The author of a commit, as `NAME <MAIL>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The mail address.
    pub mail: String,
}

impl Value for Author {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let author = text(word)?;
        // git takes none of these inside a name or an address.
        let fits = |part: &str| !part.is_empty() && !part.contains(['<', '>', '\n']);
        author
            .trim()
            .strip_suffix('>')
            .and_then(|rest| rest.split_once('<'))
            .map(|(name, mail)| (name.trim(), mail.trim()))
            .filter(|(name, mail)| fits(name) && fits(mail))
            .map(|(name, mail)| Self {
                name: name.to_owned(),
                mail: mail.to_owned(),
            })
            .ok_or_else(|| format!("{author:?} is not NAME <MAIL>"))
    }

    fn to_toml(&self) -> String {
        quoted(&format!("{} <{}>", self.name, self.mail))
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableName(String);

impl VariableName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for VariableName {
    fn parse(word: &OsStr) -> Result<Self, String> {
        let name = text(word)?;
        if name.contains(|c: char| c == '=' || c.is_whitespace()) {
            // Not repeated: whoever writes NAME=VALUE here may have written a secret.
            return Err("the name of a variable has no `=` and no spaces in it".to_owned());
        }
        Ok(Self(name.to_owned()))
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}

/// A setting that is handed to Nix as `--option NAME VALUE`.
#[derive(Clone, PartialEq, Eq)]
pub struct NixOption {
    /// The setting's name.
    pub name: String,
    /// Its value, which may be empty.
    pub value: String,
}

impl NixOption {
    /// Reads a setting from its two words.
    ///
    /// # Errors
    ///
    /// A name that no setting of Nix can have, a value that cannot be an argument, or a setting that
    /// holds a secret.
    pub fn parse(name: &OsStr, value: &OsStr) -> Result<Self, String> {
        let name = text(name)?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        if !is_name {
            return Err(format!("{name:?} is not the name of a setting of Nix"));
        }
        if matches!(name, "access-tokens" | "extra-access-tokens") {
            return Err(format!(
                "`{name}` holds secrets, and as an option every process of this machine could read them; \
                 put it into nix.conf"
            ));
        }
        let value = value
            .to_str()
            .ok_or_else(|| format!("the value of `{name}` is not UTF-8"))?;
        if value.contains('\0') {
            return Err(format!("the value of `{name}` has a NUL byte"));
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    /// Returns the value as it may be shown.
    pub fn shown(&self) -> String {
        without_userinfo(&self.value)
    }
}

impl std::fmt::Debug for NixOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {:?}", self.name, self.shown())
    }
}

/// Returns a text with the user names and passwords of the URLs in it hidden.
pub fn without_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        // The authority ends where the path, the query, the fragment or the word does.
        let end = after
            .find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str("(hidden)@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = path;
    }
    out.push_str(rest);
    out
}

/// Returns words out of texts.
pub fn os_words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
    texts.into_iter().map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<T: Value>(word: &str) -> Result<T, String> {
        T::parse(OsStr::new(word))
    }

    #[test]
    fn times_and_sizes_need_their_unit_and_show_as_they_read() {
        let time = |word| parse::<Duration>(word).map(|time| time.to_toml());
        assert_eq!(time("90s").as_deref(), Ok("\"1m 30s\""));
        assert_eq!(time("2h").as_deref(), Ok("\"2h\""));
        assert_eq!(time("1m 30s").as_deref(), Ok("\"1m 30s\""));
        assert!(time("30").is_err());
        assert!(time("h").is_err());
        let size = |word| parse::<ByteSize>(word).map(|size| size.as_u64());
        assert_eq!(size("20GiB"), Ok(20 << 30));
        assert_eq!(size("1.5 MB"), Ok(1_500_000));
        assert!(size("much").is_err());
        assert!(size("-1GiB").is_err());
    }

    #[test]
    fn addresses_are_of_http_and_hold_no_password() {
        for good in [
            "https://forge.example",
            "http://localhost:3000/sub/",
            "https://h/a@b",
        ] {
            assert_eq!(
                parse::<HttpUrl>(good)
                    .map(|url| url.as_str().to_owned())
                    .as_deref(),
                Ok(good)
            );
        }
        for bad in [
            "forge.example",
            "ssh://git@h",
            "https://",
            "https:///x",
            "https://a b",
            "https://u:hunter2@h",
        ] {
            let reason = parse::<HttpUrl>(bad).unwrap_err();
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn repositories_have_an_owner_and_a_name() {
        let slug = parse::<Slug>("alice/fleet").unwrap();
        assert_eq!(
            (slug.owner.as_str(), slug.name.as_str()),
            ("alice", "fleet")
        );
        for bad in ["fleet", "/fleet", "alice/", "a/b/c", "a b/c"] {
            assert!(parse::<Slug>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn authors_have_a_name_and_a_mail_address() {
        let author = parse::<Author>(" Flake Herald  <bot@forge.example> ").unwrap();
        assert_eq!(
            (author.name.as_str(), author.mail.as_str()),
            ("Flake Herald", "bot@forge.example")
        );
        for bad in [
            "bot",
            "<a@b>",
            "A <>",
            "A <a@b> c",
            "A <<a@b>",
            "A\nB <a@b>",
        ] {
            assert!(parse::<Author>(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_nul_byte_is_refused_everywhere() {
        assert!(parse::<String>("a\0b").is_err());
        assert!(parse::<PathBuf>("a\0b").is_err());
        assert!(NixOption::parse(OsStr::new("cores"), OsStr::new("a\0b")).is_err());
    }

    proptest! {
        #[test]
        fn quoted_text_reads_back_and_stays_on_its_line(text in "(?s).{0,20}") {
            let line = format!("a = {}", quoted(&text));
            prop_assert!(!line.contains(char::is_control));
            let table = toml::de::DeTable::parse(&line).unwrap();
            prop_assert_eq!(table.get_ref()["a"].get_ref().as_str(), Some(text.as_str()));
        }
    }
}
