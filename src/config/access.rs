//! Tokens for Nix's own fetchers: the file of `--nix-access-token-file`.

use secrecy::{ExposeSecret as _, SecretString};

/// The settings of Nix whose lines the file may have (nix.conf(5)).
const SETTINGS: [&str; 2] = ["access-tokens", "extra-access-tokens"];

/// What a token may have before it that says what sort it is (nix.conf(5), `access-tokens`).
const SORTS: [&str; 2] = ["PAT:", "OAuth2:"];

/// The form that is expected, for error messages.
const FORM: &str = "a line is `HOST=TOKEN` (a host may have a path: `github.com/OWNER=TOKEN`), or `access-tokens = HOST=TOKEN ...`";

/// Tokens by host, as Nix's setting `access-tokens` takes them. `Debug` shows none.
#[derive(Debug, Clone)]
pub struct AccessTokens {
    setting: SecretString,
    tokens: Vec<SecretString>,
}

impl AccessTokens {
    /// Reads the file's bytes.
    ///
    /// # Errors
    ///
    /// Says which line is wrong and what a line is, and never what stands in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
        let mut entries: Vec<&str> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            // As in nix.conf: whatever stands behind it.
            let line = line.split('#').next().unwrap_or_default().trim();
            let wrong = || format!("has something else in line {number}: {FORM}");
            let values = line.split_once('=').and_then(|(name, values)| {
                SETTINGS.contains(&name.trim()).then_some((values, true))
            });
            let (values, is_setting) = values.unwrap_or((line, false));
            for entry in values.split_whitespace() {
                if !is_entry(entry, is_setting) {
                    return Err(wrong());
                }
                entries.push(entry);
            }
        }
        if entries.is_empty() {
            return Err(format!("has no token: {FORM}"));
        }
        let mut tokens = Vec::new();
        for token in entries.iter().filter_map(|entry| entry.split_once('=')) {
            let token = token.1;
            tokens.push(SecretString::from(token));
            let bare = SORTS.iter().find_map(|sort| token.strip_prefix(sort));
            tokens.extend(bare.map(SecretString::from));
        }
        Ok(Self {
            setting: entries.join(" ").into(),
            tokens,
        })
    }

    /// Returns the line of nix.conf that sets them beside those that are set there.
    pub fn line(&self) -> SecretString {
        let setting = self.setting.expose_secret();
        SecretString::from(format!("extra-access-tokens = {setting}\n"))
    }

    /// Returns each token, to be hidden.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.tokens.iter()
    }
}

/// Whether a word is `HOST=TOKEN`. A token on its own may end in `=`, and has no dot before it, as a host has.
fn is_entry(word: &str, is_setting: bool) -> bool {
    let Some((host, token)) = word.split_once('=') else {
        return false;
    };
    let name = host.split('/').next().unwrap_or_default();
    let is_host = !name.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "./:-_~".contains(c));
    let looks_like_one = is_setting || name.contains(['.', ':']) || name == "localhost";
    let bare = SORTS.iter().find_map(|sort| token.strip_prefix(sort));
    is_host
        && looks_like_one
        && token.chars().all(|c| c.is_ascii_graphic())
        && bare.unwrap_or(token).contains(|c: char| c != '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        match AccessTokens::parse(text.as_bytes()) {
            Ok(tokens) => tokens.line().expose_secret().to_owned(),
            Err(reason) => reason,
        }
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let text = "# mine\n\
                    access-tokens = github.com=ghp_a git=PAT:b # old\n\
                    \n  extra-access-tokens=gitlab.example:8443=OAuth2:c\r\n\
                    github.com/alice=d==\n\
                    codeberg.org=e localhost=f\n\
                    access-tokens =\n";
        insta::assert_snapshot!(line(text), @"extra-access-tokens = github.com=ghp_a git=PAT:b gitlab.example:8443=OAuth2:c github.com/alice=d== codeberg.org=e localhost=f");
        let tokens = AccessTokens::parse(text.as_bytes()).unwrap();
        let secrets: Vec<&str> = tokens.secrets().map(|s| s.expose_secret()).collect();
        assert_eq!(
            secrets,
            ["ghp_a", "PAT:b", "b", "OAuth2:c", "c", "d==", "e", "f"]
        );
        assert!(!format!("{tokens:?}").contains("ghp_a"), "{tokens:?}");
    }

    #[test]
    fn what_is_no_entry_is_refused_and_not_repeated() {
        for text in [
            "s3cr3t",
            "s3cr3t==",
            "s3cr3t=",
            "git=s3cr3t",
            "github.com=",
            "github.com=PAT:",
            "github.com = s3cr3t",
            "access-tokens = s3cr3t",
            "access-tokens = =s3cr3t",
            "allow-import-from-derivation = s3cr3t",
            "include s3cr3t",
            "github.com=s\u{1}3cr3t",
            "https://x:s3cr3t@github.com",
        ] {
            let told = line(&format!("github.com=fine\n{text}\n"));
            assert!(
                told.starts_with("has something else in line 2: "),
                "{text}: {told}"
            );
            assert!(!told.contains("3cr3t"), "{told}");
        }
        insta::assert_snapshot!(line("x"), @"has something else in line 1: a line is `HOST=TOKEN` (a host may have a path: `github.com/OWNER=TOKEN`), or `access-tokens = HOST=TOKEN ...`");
        assert!(line("# nothing\n\n").starts_with("has no token: "));
        let told = AccessTokens::parse(b"\xff").unwrap_err();
        assert!(told.starts_with("is not UTF-8: "), "{told}");
    }
}
