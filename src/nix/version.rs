//! Which Nix this is, and whether it will do.

use std::fmt;

use crate::command::Door;

use super::{NixError, call};

/// The oldest Nix that knows what is needed: `nix flake update NAME --flake DIR`, a `nix flake lock` that updates
/// nothing, and the installable `FLAKE#.PATH` are there from 2.19 on (its release notes).
pub const MINIMUM_NIX: (u32, u32) = (2, 19);

/// The version of a Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixVersion {
    /// The version as printed, without the name.
    pub text: String,
    /// Major and minor number of the Nix interface it speaks.
    pub number: (u32, u32),
}

impl NixVersion {
    /// Returns the version of the Nix on `PATH`.
    ///
    /// # Errors
    ///
    /// There is none, its answer is not understood, or it is older than [`MINIMUM_NIX`].
    pub(super) async fn of(door: &Door) -> Result<Self, NixError> {
        let output = door.run(&call::version()).await?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let version = Self::parse(&answer).ok_or_else(|| NixError::Unreadable {
            what: "the version of Nix",
            detail: answer.trim().to_owned(),
        })?;
        if version.number < MINIMUM_NIX {
            return Err(NixError::TooOld { found: version });
        }
        Ok(version)
    }

    /// Reads the answer to `nix --version`: `nix (Nix) 2.34.8`, `nix (Lix, like Nix) 2.93.0`,
    /// `nix (Determinate Nix 3.6.2) 2.29.0`. Pre-releases have letters in them.
    pub(super) fn parse(answer: &str) -> Option<Self> {
        let text = answer.lines().next()?.split_whitespace().next_back()?;
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor: String = parts
            .next()?
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        Some(Self {
            text: text.to_owned(),
            number: (major, minor.parse().ok()?),
        })
    }
}

impl fmt::Display for NixVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_every_kind_of_nix_are_read() {
        let table = [
            "nix (Nix) 2.8.0",
            "nix (Nix) 2.19.0\nSystem type: x86_64-linux",
            "nix (Nix) 2.34.8",
            "nix (Nix) 2.30pre20250521_76a4d4c2",
            "nix (Lix, like Nix) 2.93.3",
            "nix (Lix, like Nix) 2.94.0-dev-pre20250930-5f3bf6a",
            "nix (Determinate Nix 3.6.2) 2.29.0",
            "nix (Nix) 3.0",
            "nix",
            "",
            "bash: nix: no",
        ]
        .map(|answer| {
            let read =
                NixVersion::parse(answer).map(|v| (v.number, v.number >= MINIMUM_NIX, v.text));
            format!("{:?} -> {read:?}", answer.lines().next())
        });
        insta::assert_snapshot!(table.join("\n"), @r#"
        Some("nix (Nix) 2.8.0") -> Some(((2, 8), false, "2.8.0"))
        Some("nix (Nix) 2.19.0") -> Some(((2, 19), true, "2.19.0"))
        Some("nix (Nix) 2.34.8") -> Some(((2, 34), true, "2.34.8"))
        Some("nix (Nix) 2.30pre20250521_76a4d4c2") -> Some(((2, 30), true, "2.30pre20250521_76a4d4c2"))
        Some("nix (Lix, like Nix) 2.93.3") -> Some(((2, 93), true, "2.93.3"))
        Some("nix (Lix, like Nix) 2.94.0-dev-pre20250930-5f3bf6a") -> Some(((2, 94), true, "2.94.0-dev-pre20250930-5f3bf6a"))
        Some("nix (Determinate Nix 3.6.2) 2.29.0") -> Some(((2, 29), true, "2.29.0"))
        Some("nix (Nix) 3.0") -> Some(((3, 0), true, "3.0"))
        Some("nix") -> None
        None -> None
        Some("bash: nix: no") -> None
        "#);
    }
}
