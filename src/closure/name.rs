//! What a store path's name says of the package: its name and its version.

use std::borrow::Cow;
use std::fmt;

/// What is known of a path's name beyond its letters, from its derivation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// The output of its derivation: `out`, `dev`.
    pub output: Option<&'a str>,
    /// The derivation's `pname`.
    pub pname: Option<&'a str>,
    /// The derivation's `version`.
    pub version: Option<&'a str>,
}

/// A store path's name taken apart: `BASE-VERSION-VARIANT-OUTPUT.EXTENSION`, of which only the base is always there.
///
/// [`fmt::Display`] puts the parts together again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName<'a> {
    /// What stands before the version.
    pub base: &'a str,
    /// The version.
    pub version: Option<&'a str>,
    /// What follows the version and is neither part of it nor an output (`env`, `fish-completions`): another package than that
    /// without it.
    pub variant: Option<&'a str>,
    /// The output at the end; none for the default one.
    pub output: Option<&'a str>,
    /// What is no part of a package's name, with its dots: `.tar.gz`, `.drv`.
    pub extension: &'a str,
}

impl<'a> PackageName<'a> {
    /// Returns the parts of `name`, which is a [`StorePath::name`](super::StorePath::name), by what it looks like.
    pub fn parse(name: &'a str) -> Self {
        let (stem, extension) = match name.strip_suffix(".drv") {
            // A name is never empty, so a lone `.drv` is one.
            Some(stem) if !stem.is_empty() => (stem, ".drv"),
            _ => (name, ""),
        };
        let bytes = stem.as_bytes();
        let dash = bytes
            .windows(2)
            .skip(1)
            .position(|pair| matches!(pair, [b'-', digit] if digit.is_ascii_digit()))
            .map(|at| at + 1);
        let (base, version) = match dash {
            Some(dash) => (stem.get(..dash), stem.get(dash + 1..)),
            None => (Some(stem), None),
        };
        Self {
            base: base.unwrap_or(stem),
            version,
            variant: None,
            output: None,
            extension,
        }
    }

    /// Returns the parts of `name` by what is known of it, and for the rest by what it looks like.
    pub fn exact(name: &'a str, _known: Known<'a>) -> Self {
        Self::parse(name)
    }

    /// Returns the package's name: the base, and the variant where there is one.
    pub fn package(&self) -> Cow<'a, str> {
        match self.variant {
            Some(variant) => Cow::Owned(format!("{}-{variant}", self.base)),
            None => Cow::Borrowed(self.base),
        }
    }
}

impl fmt::Display for PackageName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base)?;
        for part in [self.version, self.variant, self.output]
            .into_iter()
            .flatten()
        {
            write!(f, "-{part}")?;
        }
        f.write_str(self.extension)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        store_name: String,
        nvd: (String, Option<String>),
    }

    #[test]
    fn names_split_as_nvd_splits_them() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../fixtures/closure/store-names.json")).unwrap();
        assert!(vectors.len() >= 70, "{}", vectors.len());
        for Vector { store_name, nvd } in &vectors {
            let ours = PackageName::parse(store_name);
            assert_eq!(
                (ours.base, ours.version),
                (nvd.0.as_str(), nvd.1.as_deref()),
                "{store_name}"
            );
        }
    }

    #[test]
    fn the_edges_of_the_rule() {
        let cases = [
            ("", "", None, false),
            (".drv", ".drv", None, false),
            ("a.drv", "a", None, true),
            ("a-1.drv", "a", Some("1"), true),
            ("a-.drv", "a-", None, true),
            ("-1", "-1", None, false),
            ("--1", "-", Some("1"), false),
            ("a--1", "a-", Some("1"), false),
            ("a-1-2", "a", Some("1-2"), false),
            ("ä-1", "ä", Some("1"), false),
        ];
        for (text, name, version, derivation) in cases {
            let parsed = PackageName::parse(text);
            assert_eq!(
                (parsed.base, parsed.version, !parsed.extension.is_empty()),
                (name, version, derivation),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_loses_no_byte(text in prop_oneof![any::<String>(), "[-a0.]{0,9}(\\.drv)?"]) {
            let parsed = PackageName::parse(&text);
            prop_assert_eq!(parsed.to_string(), text.as_str());
            if let Some(version) = parsed.version {
                prop_assert!(version.starts_with(|c: char| c.is_ascii_digit()));
                prop_assert!(!parsed.base.is_empty());
            }
        }
    }
}
