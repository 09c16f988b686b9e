//! Which Nix this is, and whether it will do.

use std::fmt;

use crate::command::Door;

use super::{NixError, call};

/// The oldest Nix that knows what is needed: `nix flake update NAME --flake DIR`, a `nix flake lock` that updates
/// nothing, and the installable `FLAKE#.PATH` are there from 2.19 on (its release notes).
pub const MINIMUM_NIX: (u32, u32) = (2, 19);

/// The most characters of a version that are shown: whatever calls itself `nix` may print anything.
const LONGEST: usize = 100;

/// Whose Nix it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// The Nix of the Nix project.
    Nix,
    /// Lix, forked from Nix 2.18. Its 2.90 and later are numbers of its own, and say nothing of Nix 2.19's interface.
    Lix,
    /// Determinate Nix, which prints its own number and that of the Nix it is made from.
    Determinate,
    /// Something else.
    Other,
}

/// The version of a Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixVersion {
    /// The version as printed, without the name for Nix itself, with it for others: `2.34.8`, `2.93.3 (Lix)`,
    /// `2.31.1 (Determinate Nix 3.11.2)`. What nobody knows is printed as it is.
    pub text: String,
    /// Whose it is.
    pub flavour: Flavour,
    /// Major and minor number of the Nix interface it speaks; none where the number printed does not say.
    pub number: Option<(u32, u32)>,
}

impl NixVersion {
    /// Returns the version of the Nix on `PATH`.
    ///
    /// # Errors
    ///
    /// There is none, its answer is empty, or it is older than [`MINIMUM_NIX`].
    pub(super) async fn of(door: &Door) -> Result<Self, NixError> {
        let output = door.run(&call::version()).await?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let version = Self::parse(&answer).ok_or_else(|| NixError::Unreadable {
            what: "the version of Nix",
            detail: "it says nothing".to_owned(),
        })?;
        if version.number.is_some_and(|number| number < MINIMUM_NIX) {
            return Err(NixError::TooOld { found: version });
        }
        Ok(version)
    }

    /// Whether the number alone says what its commands take.
    pub(super) fn is_plain(&self) -> bool {
        self.flavour == Flavour::Nix && self.number.is_some()
    }

    /// Reads the answer to `nix --version`: the first line with a name in parentheses and a number after it.
    ///
    /// Lix prints lines about the installation below it (2.92 on), and a wrapper may print its own words above it. An
    /// answer without such a line is somebody else's version as it stands. None where there is no answer.
    pub(super) fn parse(answer: &str) -> Option<Self> {
        let mut lines = answer.lines().map(str::trim);
        if let Some(version) = lines.clone().find_map(Self::parse_line) {
            return Some(version);
        }
        let first = lines.find(|line| !line.is_empty())?;
        Some(Self {
            text: shown(first),
            flavour: Flavour::Other,
            number: None,
        })
    }

    /// Reads `nix (NAME) NUMBER`.
    fn parse_line(line: &str) -> Option<Self> {
        let (name, text) = line.match_indices('(').find_map(|(start, _)| {
            let (name, rest) = line.get(start + 1..)?.split_once(')')?;
            let text = rest.split_whitespace().next()?;
            text.starts_with(|c: char| c.is_ascii_digit())
                .then_some((name, text))
        })?;
        let flavour = if name.contains("Lix") || text.contains("-lix") {
            Flavour::Lix
        } else if name.contains("Determinate") {
            Flavour::Determinate
        } else if name == "Nix" {
            Flavour::Nix
        } else {
            Flavour::Other
        };
        Some(Self {
            text: match flavour {
                Flavour::Nix => shown(text),
                Flavour::Lix => shown(&format!("{text} (Lix)")),
                Flavour::Determinate | Flavour::Other => shown(&format!("{text} ({name})")),
            },
            flavour,
            number: match flavour {
                Flavour::Nix | Flavour::Determinate => number(text),
                Flavour::Lix | Flavour::Other => None,
            },
        })
    }
}

/// Returns major and minor number. Pre-releases have letters in them: `2.4pre20201205_a5d85d0`.
fn number(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

impl fmt::Display for NixVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Lix 2.92 and later print (its release notes).
    const LIX_WITH_DETAILS: &str = "nix (Lix, like Nix) 2.92.0-dev-pre20250117-0d14c2b
System type: x86_64-linux
Additional system types: i686-linux, x86_64-v1-linux, x86_64-v2-linux, x86_64-v3-linux
Features: gc, signed-caches
System configuration file: /etc/nix/nix.conf
User configuration files: /home/jade/.config/nix/nix.conf:/etc/xdg/nix/nix.conf
Store directory: /nix/store
State directory: /nix/var/nix
Data directory: /nix/store/rliimcnqkplrqdgm4z6yqclpr6c32wh6-lix-2.92.0-dev-pre20250117-0d14c2b/share
";

    fn read(answer: &str) -> String {
        let Some(version) = NixVersion::parse(answer) else {
            return format!("{answer:?}: nothing");
        };
        let verdict = match version.number {
            Some(number) if number < MINIMUM_NIX => "too old",
            _ if version.is_plain() => "will do",
            _ => "ask",
        };
        format!(
            "{}: {:?} {:?} `{version}` {verdict}",
            answer.lines().next().unwrap_or_default(),
            version.flavour,
            version.number
        )
    }

    #[test]
    fn answers_of_every_kind_of_nix_are_read() {
        // As found in public repositories, issues and release notes, the last group aside.
        let answers = [
            "nix (Nix) 2.3.3",
            "nix (Nix) 2.4pre20201205_a5d85d0",
            "nix (Nix) 2.10.0pre20220712_a9fab18",
            "nix (Nix) 2.12.0pre20220902_0c7f213",
            "nix (Nix) 2.18.1",
            "nix (Nix) 2.19.0",
            "nix (Nix) 2.19.3",
            "nix (Nix) 2.21.2\nSystem type: aarch64-darwin\nAdditional system types: x86_64-darwin\n",
            "nix (Nix) 2.22.0pre20240320_7d2ead5",
            "nix (Nix) 2.23.0pre20240526_7de033d6",
            "nix (Nix) 2.24.9",
            "nix (Nix) 2.25",
            "nix (Nix) 2.28.5",
            "nix (Nix) 2.31.3\n",
            "nix (Nix) 2.35.2",
            "nix-env (Nix) 2.31.3",
            "command (Nix) name (Nix) 2.21.2",
            "nix (Lix, like Nix) 2.90-beta.0",
            "nix-env (Lix, like Nix) 2.90-beta.1-lixpre20240506-b6799ab",
            "nix (Lix, like Nix) 2.90.0-beta.1\nSystem type: aarch64-darwin\n",
            "nix (Lix, like Nix) 2.90.0",
            "nix (Lix, like Nix) 2.91.1",
            LIX_WITH_DETAILS,
            "nix (Lix, like Nix) 2.93.0-pre20260701",
            "nix (Lix, like Nix) 2.93.3",
            "nix (Lix, like Nix) 2.94.0",
            "nix (Lix, like Nix) 2.95.2",
            "nix (Determinate Nix 3.4.1) 2.28.2",
            "nix (Determinate Nix 3.6.6) 2.29.0",
            "nix (Determinate Nix 3.11.3) 2.31.2",
            "nix (Determinate Nix 3.14.0) 2.32.4",
            "nix (Determinate Nix 3.15.1) 2.33.0",
            "nix (Determinate Nix 3.18.1) 2.33.4",
            "nix (Determinate Nix 3.22.3) 2.35.2",
            "nix (Nix) 2.24.12 pre-2",
            "nix-eval-jobs 2.24.0",
            "foobar 2.0.1 other stuff",
            "garbage output",
            // Thought up.
            "warning: unknown setting 'lazy-trees'\nnix (Nix) 2.34.8",
            "nix (Nix) 2.24.9 (Determinate Systems installer)",
            "nix (Nix) 2.18.3-lix",
            "nix (Nix) 3.0",
            "nix (Nix) 3",
            "nix (Nix)",
            "nix (Nix 2.24.0",
            "nix (Other) 7.1\u{1b}[31m",
            "\n\n",
            "",
        ];
        insta::assert_snapshot!(answers.map(read).join("\n"), @r#"
        nix (Nix) 2.3.3: Nix Some((2, 3)) `2.3.3` too old
        nix (Nix) 2.4pre20201205_a5d85d0: Nix Some((2, 4)) `2.4pre20201205_a5d85d0` too old
        nix (Nix) 2.10.0pre20220712_a9fab18: Nix Some((2, 10)) `2.10.0pre20220712_a9fab18` too old
        nix (Nix) 2.12.0pre20220902_0c7f213: Nix Some((2, 12)) `2.12.0pre20220902_0c7f213` too old
        nix (Nix) 2.18.1: Nix Some((2, 18)) `2.18.1` too old
        nix (Nix) 2.19.0: Nix Some((2, 19)) `2.19.0` will do
        nix (Nix) 2.19.3: Nix Some((2, 19)) `2.19.3` will do
        nix (Nix) 2.21.2: Nix Some((2, 21)) `2.21.2` will do
        nix (Nix) 2.22.0pre20240320_7d2ead5: Nix Some((2, 22)) `2.22.0pre20240320_7d2ead5` will do
        nix (Nix) 2.23.0pre20240526_7de033d6: Nix Some((2, 23)) `2.23.0pre20240526_7de033d6` will do
        nix (Nix) 2.24.9: Nix Some((2, 24)) `2.24.9` will do
        nix (Nix) 2.25: Nix Some((2, 25)) `2.25` will do
        nix (Nix) 2.28.5: Nix Some((2, 28)) `2.28.5` will do
        nix (Nix) 2.31.3: Nix Some((2, 31)) `2.31.3` will do
        nix (Nix) 2.35.2: Nix Some((2, 35)) `2.35.2` will do
        nix-env (Nix) 2.31.3: Nix Some((2, 31)) `2.31.3` will do
        command (Nix) name (Nix) 2.21.2: Nix Some((2, 21)) `2.21.2` will do
        nix (Lix, like Nix) 2.90-beta.0: Lix None `2.90-beta.0 (Lix)` ask
        nix-env (Lix, like Nix) 2.90-beta.1-lixpre20240506-b6799ab: Lix None `2.90-beta.1-lixpre20240506-b6799ab (Lix)` ask
        nix (Lix, like Nix) 2.90.0-beta.1: Lix None `2.90.0-beta.1 (Lix)` ask
        nix (Lix, like Nix) 2.90.0: Lix None `2.90.0 (Lix)` ask
        nix (Lix, like Nix) 2.91.1: Lix None `2.91.1 (Lix)` ask
        nix (Lix, like Nix) 2.92.0-dev-pre20250117-0d14c2b: Lix None `2.92.0-dev-pre20250117-0d14c2b (Lix)` ask
        nix (Lix, like Nix) 2.93.0-pre20260701: Lix None `2.93.0-pre20260701 (Lix)` ask
        nix (Lix, like Nix) 2.93.3: Lix None `2.93.3 (Lix)` ask
        nix (Lix, like Nix) 2.94.0: Lix None `2.94.0 (Lix)` ask
        nix (Lix, like Nix) 2.95.2: Lix None `2.95.2 (Lix)` ask
        nix (Determinate Nix 3.4.1) 2.28.2: Determinate Some((2, 28)) `2.28.2 (Determinate Nix 3.4.1)` ask
        nix (Determinate Nix 3.6.6) 2.29.0: Determinate Some((2, 29)) `2.29.0 (Determinate Nix 3.6.6)` ask
        nix (Determinate Nix 3.11.3) 2.31.2: Determinate Some((2, 31)) `2.31.2 (Determinate Nix 3.11.3)` ask
        nix (Determinate Nix 3.14.0) 2.32.4: Determinate Some((2, 32)) `2.32.4 (Determinate Nix 3.14.0)` ask
        nix (Determinate Nix 3.15.1) 2.33.0: Determinate Some((2, 33)) `2.33.0 (Determinate Nix 3.15.1)` ask
        nix (Determinate Nix 3.18.1) 2.33.4: Determinate Some((2, 33)) `2.33.4 (Determinate Nix 3.18.1)` ask
        nix (Determinate Nix 3.22.3) 2.35.2: Determinate Some((2, 35)) `2.35.2 (Determinate Nix 3.22.3)` ask
        nix (Nix) 2.24.12 pre-2: Nix Some((2, 24)) `2.24.12` will do
        nix-eval-jobs 2.24.0: Other None `nix-eval-jobs 2.24.0` ask
        foobar 2.0.1 other stuff: Other None `foobar 2.0.1 other stuff` ask
        garbage output: Other None `garbage output` ask
        warning: unknown setting 'lazy-trees': Nix Some((2, 34)) `2.34.8` will do
        nix (Nix) 2.24.9 (Determinate Systems installer): Nix Some((2, 24)) `2.24.9` will do
        nix (Nix) 2.18.3-lix: Lix None `2.18.3-lix (Lix)` ask
        nix (Nix) 3.0: Nix Some((3, 0)) `3.0` will do
        nix (Nix) 3: Nix None `3` ask
        nix (Nix): Other None `nix (Nix)` ask
        nix (Nix 2.24.0: Other None `nix (Nix 2.24.0` ask
        nix (Other) 7.1[31m: Other None `7.1[31m (Other)` ask
        "\n\n": nothing
        "": nothing
        "#);
        let long = NixVersion::parse(&"x".repeat(10_000)).unwrap();
        assert_eq!(long.text.len(), LONGEST);
    }
}
