//! What a store path's name says of the package: its name and its version.

use std::fmt;

/// A store path's name taken apart by nvd's rule.
///
/// The name ends before the first `-` that a digit follows and that is not the first character; what follows
/// that dash is the version, outputs and variants included (`2.42-67-bin`). A `.drv` at the end belongs to
/// neither. [`fmt::Display`] puts the parts together again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName<'a> {
    /// The package's name; empty only where the store path's name is.
    pub name: &'a str,
    /// The version, which begins with a digit; none where no dash is followed by one.
    pub version: Option<&'a str>,
    /// Whether `.drv` stood at the end.
    pub derivation: bool,
}

impl<'a> PackageName<'a> {
    /// Returns the parts of `name`, which is a [`StorePath::name`](super::StorePath::name).
    pub fn parse(name: &'a str) -> Self {
        let (stem, derivation) = match name.strip_suffix(".drv") {
            // A name is never empty, so a lone `.drv` is one.
            Some(stem) if !stem.is_empty() => (stem, true),
            _ => (name, false),
        };
        let bytes = stem.as_bytes();
        let dash = bytes
            .windows(2)
            .skip(1)
            .position(|pair| matches!(pair, [b'-', digit] if digit.is_ascii_digit()))
            .map(|at| at + 1);
        let (name, version) = match dash {
            Some(dash) => (stem.get(..dash), stem.get(dash + 1..)),
            None => (Some(stem), None),
        };
        Self {
            name: name.unwrap_or(stem),
            version,
            derivation,
        }
    }
}

impl fmt::Display for PackageName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(version) = self.version {
            write!(f, "-{version}")?;
        }
        if self.derivation {
            f.write_str(".drv")?;
        }
        Ok(())
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
                (ours.name, ours.version),
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
            assert_eq!(
                PackageName::parse(text),
                PackageName {
                    name,
                    version,
                    derivation
                },
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
                prop_assert!(!parsed.name.is_empty());
            }
        }
    }
}
