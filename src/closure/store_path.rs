//! Store paths as Nix writes them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The number of characters of the digest at the start of a base name (160 bits in base 32).
pub(super) const DIGEST_LEN: usize = 32;

/// The most characters a store path's name may have; see "Store Path" in the Nix manual.
pub(super) const MAX_NAME_LEN: usize = 211;

/// Nix's base 32 alphabet: no `e`, `o`, `u`, `t`.
const BASE32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// A full store path, `STORE-DIRECTORY/DIGEST-NAME`, known to be well-formed.
///
/// The store directory is usually `/nix/store`, but any absolute directory will do. Cloning is cheap: clones
/// share the text.
#[derive(Clone)]
pub struct StorePath {
    text: Arc<str>,
    /// The length of the store directory, which is where the last slash stands.
    dir_len: usize,
}

impl StorePath {
    /// Returns the store path that `text` spells.
    ///
    /// # Errors
    ///
    /// Fails when `text` is anything but a store path itself; a file inside of one is not one.
    pub fn parse(text: &str) -> Result<Self, StorePathError> {
        match check(text) {
            Ok(dir_len) => Ok(Self {
                text: text.into(),
                dir_len,
            }),
            Err(reason) => Err(StorePathError {
                text: text.to_owned(),
                reason,
            }),
        }
    }

    /// Returns the whole path.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the store directory, without a slash at its end.
    pub fn store_dir(&self) -> &str {
        self.text.get(..self.dir_len).unwrap_or_default()
    }

    /// Returns what follows the store directory: `DIGEST-NAME`.
    pub fn base_name(&self) -> &str {
        self.text.get(self.dir_len + 1..).unwrap_or_default()
    }

    /// Returns the 32 characters before the name.
    pub fn digest(&self) -> &str {
        self.base_name().get(..DIGEST_LEN).unwrap_or_default()
    }

    /// Returns the name, that is what follows the digest and its dash; `.drv` is part of it.
    pub fn name(&self) -> &str {
        self.base_name().get(DIGEST_LEN + 1..).unwrap_or_default()
    }

    /// Returns whether the path is a derivation, that is whether its name ends in `.drv`.
    pub fn is_derivation(&self) -> bool {
        self.name().ends_with(".drv")
    }
}

/// Returns where the store directory of `text` ends.
fn check(text: &str) -> Result<usize, StorePathReason> {
    if !text.starts_with('/') {
        return Err(StorePathReason::NotAbsolute);
    }
    let (dir, base) = text.rsplit_once('/').ok_or(StorePathReason::NotAbsolute)?;
    let plain =
        |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    // The first part is what stands before the leading slash: nothing.
    if dir.is_empty() || !dir.split('/').skip(1).all(plain) {
        return Err(StorePathReason::StoreDir);
    }
    let (digest, name) = base.split_once('-').ok_or(StorePathReason::Digest)?;
    if digest.len() != DIGEST_LEN || !digest.bytes().all(|b| BASE32.contains(&b)) {
        return Err(StorePathReason::Digest);
    }
    if name.is_empty() || name.len() > MAX_NAME_LEN {
        return Err(StorePathReason::NameLength);
    }
    if !name.bytes().all(is_name_byte) {
        return Err(StorePathReason::NameCharacter);
    }
    Ok(dir.len())
}

/// Returns whether a path's name may have the character.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte)
}

/// Why a text is not a store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a store path: {reason}")]
pub struct StorePathError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: StorePathReason,
}

/// The rule that a text breaks which is not a store path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorePathReason {
    /// It does not begin with a slash.
    #[error("it is not absolute")]
    NotAbsolute,
    /// What stands before the last slash is no plain directory.
    #[error("it does not stand in a store directory")]
    StoreDir,
    /// The last part does not begin with a digest and a dash.
    #[error("its last part does not begin with 32 base-32 characters and a dash")]
    Digest,
    /// The name is empty or too long.
    #[error("its name has not between 1 and 211 characters")]
    NameLength,
    /// The name has a character that no name may have.
    #[error("its name has a character other than 0-9, a-z, A-Z, +, -, ., _, ? and =")]
    NameCharacter,
}

// Equality, order and hash are those of the text, as `Borrow<str>` promises.
impl PartialEq for StorePath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for StorePath {}

impl PartialOrd for StorePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StorePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for StorePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for StorePath {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for StorePath {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        Self::parse(text)
    }
}

impl Serialize for StorePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for StorePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for StorePath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StorePath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A path in the store, such as `/nix/store/HASH-NAME`.",
            "pattern": "^/.*[0-9a-z]{32}-[^/]+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "3zmbd0i4y75cq9hlp44k8ij52qb66v5n";

    #[test]
    fn a_path_falls_into_its_parts() {
        for dir in ["/nix/store", "/tmp/x/nix/store", "/s"] {
            let text = format!("{dir}/{DIGEST}-glibc-2.39-52.drv");
            let path = StorePath::parse(&text).unwrap();
            assert_eq!(path.store_dir(), dir);
            assert_eq!(path.base_name(), format!("{DIGEST}-glibc-2.39-52.drv"));
            assert_eq!(path.digest(), DIGEST);
            assert_eq!(path.name(), "glibc-2.39-52.drv");
            assert!(path.is_derivation());
            assert_eq!(path.to_string(), text);
        }
        let path = StorePath::parse(&format!("/nix/store/{DIGEST}-drv")).unwrap();
        assert!(!path.is_derivation());
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_that_rule() {
        use StorePathReason::{Digest, NameCharacter, NameLength, NotAbsolute, StoreDir};
        let cases = [
            (String::new(), NotAbsolute),
            (format!("nix/store/{DIGEST}-a"), NotAbsolute),
            (format!("{DIGEST}-a"), NotAbsolute),
            (format!("/{DIGEST}-a"), StoreDir),
            (format!("//{DIGEST}-a"), StoreDir),
            (format!("/nix//store/{DIGEST}-a"), StoreDir),
            (format!("/nix/../store/{DIGEST}-a"), StoreDir),
            (format!("/nix/st\nore/{DIGEST}-a"), StoreDir),
            ("/nix/store/".to_owned(), Digest),
            (format!("/nix/store/{DIGEST}"), Digest),
            (format!("/nix/store/{DIGEST}-a/bin"), Digest),
            (format!("/nix/store/{}-a", DIGEST.replace('z', "e")), Digest),
            (format!("/nix/store/{}-a", DIGEST.replace('z', "Z")), Digest),
            (format!("/nix/store/0{DIGEST}-a"), Digest),
            (format!("/nix/store/{DIGEST}-"), NameLength),
            (
                format!("/nix/store/{DIGEST}-{}", "a".repeat(212)),
                NameLength,
            ),
            (format!("/nix/store/{DIGEST}-a b"), NameCharacter),
            (format!("/nix/store/{DIGEST}-a\n"), NameCharacter),
            (format!("/nix/store/{DIGEST}-ä"), NameCharacter),
        ];
        for (text, reason) in cases {
            let error = StorePath::parse(&text).unwrap_err();
            assert_eq!((&error.text, error.reason), (&text, reason));
        }
        for name in ["a".repeat(211), "0+-._?=Az".to_owned(), "-1.0".to_owned()] {
            assert_eq!(
                StorePath::parse(&format!("/nix/store/{DIGEST}-{name}"))
                    .unwrap()
                    .name(),
                name
            );
        }
    }

    #[test]
    fn an_error_names_the_text_and_the_rule() {
        let error = StorePath::parse("/nix/store/x-\u{1b}").unwrap_err();
        insta::assert_snapshot!(error, @r#""/nix/store/x-\u{1b}" is not a store path: its last part does not begin with 32 base-32 characters and a dash"#);
    }

    #[test]
    fn json_is_the_text_and_is_checked() {
        let text = format!("\"/nix/store/{DIGEST}-a\"");
        let path: StorePath = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&path).unwrap(), text);
        assert!(serde_json::from_str::<StorePath>("\"/nix/store/a\"").is_err());
    }
}
