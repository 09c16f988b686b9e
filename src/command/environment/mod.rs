//! What children may see of our environment.
//!
//! Nix and git need most of it: proxies, certificates, S3 credentials, `GIT_SSH_COMMAND`, `SSH_AUTH_SOCK`, netrc. They do not
//! need the forge's token, and a builder of an unsandboxed Nix can read its ancestors' environment in `/proc`. So variables
//! that are secrets are taken out, by name and by value, and everything else stays.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use secrecy::{ExposeSecret as _, SecretString};

#[cfg(test)]
mod tests;

/// Names that are secrets and that no ending below covers.
///
/// The tokens of forges and runners that the endings cover (`FLAKE_HERALD_TOKEN`, `GITHUB_TOKEN`, `GH_TOKEN`,
/// `GITHUB_ENTERPRISE_TOKEN`, `GH_ENTERPRISE_TOKEN`, `FORGEJO_TOKEN`, `GITEA_TOKEN`, `CODEBERG_TOKEN`, `GITLAB_TOKEN`,
/// `CI_JOB_TOKEN`, `ACTIONS_RUNTIME_TOKEN`, `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, `INPUT_TOKEN`) are not repeated; a test has them.
const SECRET_NAMES: &[&str] = &[
    // Where the job's identity token is had. Useless without `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, and no child has a use for it.
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    // Actions hand inputs over as `INPUT_` and the input's name, hyphens kept.
    "INPUT_GITHUB-TOKEN",
    // What `sshpass -e` reads.
    "SSHPASS",
];

/// Endings of names that are secrets, in any case. A name that is only the ending, without the underscore, is one too.
const SECRET_ENDINGS: &[&str] = &[
    "_TOKEN",
    "_TOKENS",
    "_PASSWORD",
    "_PASSWD",
    "_PASSPHRASE",
    "_SECRET",
    "_SECRETS",
    "_API_KEY",
    "_PRIVATE_KEY",
    "_SECRET_KEY",
    "_SIGNING_KEY",
    "_DEPLOY_KEY",
    // Personal access tokens: GH_PAT, GITHUB_PAT.
    "_PAT",
];

/// Beginnings of names that stay although their endings speak against them: what Nix needs to reach an S3 cache
/// (`AWS_SESSION_TOKEN`).
const NEEDED_BEGINNINGS: &[&str] = &["AWS_"];

/// The settings of `NIX_CONFIG` whose value is a list of tokens (nix.conf(5), `access-tokens`).
const TOKEN_SETTINGS: &[&str] = &["access-tokens", "extra-access-tokens"];

/// A secret shorter than this, in bytes, only counts where it is the whole value: `x` or `1234` stand in too many places.
const SEARCHED_LENGTH: usize = 8;

/// Why a variable was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its name says that it is a secret.
    Name,
    /// Its value contains a secret that we know.
    Value,
    /// It is `NIX_CONFIG` and contains a secret or access tokens: worth a warning, since private inputs may need them. The way
    /// for them is `--nix-access-token-file`.
    NixConfig,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "named like a secret",
            Self::Value => "contains a secret",
            Self::NixConfig => "contains access tokens",
        })
    }
}

/// A variable that children do not get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removed {
    /// Its name; what is not UTF-8 in it is replaced.
    pub name: String,
    /// Why it was taken out.
    pub reason: Reason,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.reason)
    }
}

/// The environment that children get, all of it. `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChildEnvironment {
    variables: BTreeMap<OsString, OsString>,
    passed: BTreeSet<OsString>,
}

impl ChildEnvironment {
    /// Returns what is left of `parent` without its secrets, and what was taken out, sorted by name.
    ///
    /// `secrets` are the values that must not reach a child under any name: one of 8 bytes or more is looked for inside of
    /// values, a shorter one only counts as a whole value, white space at either end does not count. The names in `pass` are
    /// exempt from everything, here and in [`with_fixed_settings`](Self::with_fixed_settings).
    pub fn new(
        parent: impl IntoIterator<Item = (OsString, OsString)>,
        secrets: &[SecretString],
        pass: &[String],
    ) -> (Self, Vec<Removed>) {
        let secrets: Vec<&[u8]> = secrets
            .iter()
            .map(|secret| secret.expose_secret().trim().as_bytes())
            .filter(|secret| !secret.is_empty())
            .collect();
        let mut environment = Self {
            variables: BTreeMap::new(),
            passed: pass.iter().map(OsString::from).collect(),
        };
        let mut removed = Vec::new();
        for (name, value) in parent {
            // Such a name cannot be handed to a child, and a child could not tell where it ends.
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                continue;
            }
            let reason = if environment.passed.contains(&name) {
                None
            } else {
                reason_against(&name, value.as_bytes(), &secrets)
            };
            match reason {
                Some(reason) => removed.push(Removed {
                    name: name.to_string_lossy().into_owned(),
                    reason,
                }),
                None => {
                    environment.variables.insert(name, value);
                }
            }
        }
        environment.close_git_config_gaps();
        removed.sort();
        (environment, removed)
    }

    /// Returns the environment with prompts off, messages in English and no repository of the surroundings'. Variables named in
    /// `pass` are left as they are.
    ///
    /// A prompt would hang the run: children are in their own process group, so the terminal, if there is one, stops whoever
    /// reads from it or changes its settings.
    #[must_use]
    pub fn with_fixed_settings(mut self) -> Self {
        // git(1): no questions on the terminal.
        self.fix("GIT_TERMINAL_PROMPT", "0");
        // Git Credential Manager: no windows.
        self.fix("GCM_INTERACTIVE", "never");
        // A GIT_ASKPASS that is set is how many a CI hands over a credential, so it stays. If there is none, git would go on to
        // `core.askPass` and SSH_ASKPASS, windows both; an empty one ends the search (git's prompt.c).
        if !self.variables.contains_key(OsStr::new("GIT_ASKPASS")) {
            self.fix("GIT_ASKPASS", "");
        }
        // ssh(1) asks on /dev/tty, which closed stdin does not prevent; `SSH_ASKPASS_REQUIRE=never` would send it there and have
        // it stopped for ever (SIGTTOU). So its questions go to a program that answers none of them: it is `false` on purpose.
        self.fix("SSH_ASKPASS_REQUIRE", "force");
        self.fix("SSH_ASKPASS", "false");
        // BatchMode where the user sets ssh's command line by variable. Where not, the variable stays unset: it would override
        // `core.sshCommand` and GIT_SSH, and the two lines above already keep ssh from asking.
        if let Some(command) = self
            .variables
            .get(OsStr::new("GIT_SSH_COMMAND"))
            .and_then(|command| in_batch_mode(command))
        {
            self.fix("GIT_SSH_COMMAND", &command);
        }
        // Messages in English, which we read. Not plain `C`: tools that heed the character set would garble names that are not
        // ASCII. Where the system has no C.UTF-8, setlocale(3) fails and the C locale stays: English too.
        self.fix("LC_ALL", "C.UTF-8");
        // gettext heeds it before LC_ALL, unless the locale is plain C.
        if !self.passed.contains(OsStr::new("LANGUAGE")) {
            self.variables.remove(OsStr::new("LANGUAGE"));
        }
        // An empty one counts as unset (XDG Base Directory Specification), which Nix 2.34 does not know: its caches would go into
        // the directory that it is started in.
        for name in [
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
        ] {
            if self
                .variables
                .get(OsStr::new(name))
                .is_some_and(|value| value.is_empty())
            {
                self.variables.remove(OsStr::new(name));
            }
        }
        // A hook, or `git rebase --exec`, points these at its own repository, and so would have git read the remotes of that one,
        // and Nix the inputs in it. What is worked on is always named (`git rev-parse --local-env-vars`; not the
        // configuration, which hands over logins).
        for name in [
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_COMMON_DIR",
            "GIT_CONFIG",
            "GIT_DIR",
            "GIT_GRAFT_FILE",
            "GIT_IMPLICIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_NAMESPACE",
            "GIT_NO_REPLACE_OBJECTS",
            "GIT_OBJECT_DIRECTORY",
            "GIT_PREFIX",
            "GIT_QUARANTINE_PATH",
            "GIT_REPLACE_REF_BASE",
            "GIT_SHALLOW_FILE",
            "GIT_WORK_TREE",
        ] {
            if !self.passed.contains(OsStr::new(name)) {
                self.variables.remove(OsStr::new(name));
            }
        }
        self
    }

    /// Returns the environment with one variable set.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Returns the environment without one variable.
    #[must_use]
    pub fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.remove(name.as_ref());
        self
    }

    /// Returns the value of a variable.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Returns all variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    fn fix(&mut self, name: &str, value: impl AsRef<OsStr>) {
        let name = OsString::from(name);
        if !self.passed.contains(&name) {
            self.variables.insert(name, value.as_ref().to_owned());
        }
    }

    /// Numbers the pairs of `GIT_CONFIG_KEY_n` and `GIT_CONFIG_VALUE_n` anew, if one of them is gone.
    ///
    /// git dies of a number below `GIT_CONFIG_COUNT` that has no key or no value (git-config(1), "Environment"), and with it
    /// every fetch of a flake input.
    fn close_git_config_gaps(&mut self) {
        const COUNT: &str = "GIT_CONFIG_COUNT";
        // More than this is not a configuration; git itself would refuse what does not fit in its argument list.
        const MOST: usize = 10_000;
        let count = self
            .get(COUNT)
            .and_then(OsStr::to_str)
            .and_then(|count| count.trim().parse::<usize>().ok());
        let Some(count) = count.filter(|count| *count <= MOST) else {
            return;
        };
        let name =
            |part: &str, number: usize| OsString::from(format!("GIT_CONFIG_{part}_{number}"));
        let mut kept = 0;
        for number in 0..count {
            let key = self.variables.remove(&name("KEY", number));
            let value = self.variables.remove(&name("VALUE", number));
            if let (Some(key), Some(value)) = (key, value) {
                self.variables.insert(name("KEY", kept), key);
                self.variables.insert(name("VALUE", kept), value);
                kept += 1;
            }
        }
        if kept != count {
            self.variables.insert(COUNT.into(), kept.to_string().into());
        }
    }
}

impl fmt::Debug for ChildEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Returns why a variable must not reach a child, or `None` if it may.
fn reason_against(name: &OsStr, value: &[u8], secrets: &[&[u8]]) -> Option<Reason> {
    let holds_secret = secrets.iter().any(|secret| holds(value, secret));
    if name == "NIX_CONFIG" {
        return (holds_secret || sets_tokens(value)).then_some(Reason::NixConfig);
    }
    if is_secret_name(&name.to_string_lossy()) {
        return Some(Reason::Name);
    }
    holds_secret.then_some(Reason::Value)
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if SECRET_NAMES.contains(&name.as_str()) {
        return true;
    }
    if NEEDED_BEGINNINGS
        .iter()
        .any(|beginning| name.starts_with(beginning))
    {
        return false;
    }
    SECRET_ENDINGS
        .iter()
        .any(|ending| name.ends_with(ending) || ending.strip_prefix('_') == Some(&name))
}

/// Returns whether a value is a secret or, if the secret is long enough, contains it.
fn holds(value: &[u8], secret: &[u8]) -> bool {
    if secret.len() < SEARCHED_LENGTH {
        value.trim_ascii() == secret
    } else {
        value.windows(secret.len()).any(|window| window == secret)
    }
}

/// Returns whether the text of a `NIX_CONFIG` sets access tokens to something.
fn sets_tokens(config: &[u8]) -> bool {
    String::from_utf8_lossy(config).lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_once('=').is_some_and(|(name, value)| {
            TOKEN_SETTINGS.contains(&name.trim()) && !value.trim().is_empty()
        })
    })
}

/// Returns a command line for ssh with `BatchMode` switched on, or `None` if it is better left alone: it says something about
/// `BatchMode` itself, is no plain call of `ssh`, or cannot be read.
fn in_batch_mode(command: &OsStr) -> Option<OsString> {
    // A shell reads this line: behind any of these, an option at the end could go to something other than ssh.
    const SHELL_SYNTAX: &[char] = &[';', '|', '&', '<', '>', '`', '(', ')', '#', '\n'];
    let command = command.to_str()?;
    if command.contains(SHELL_SYNTAX) || command.to_ascii_lowercase().contains("batchmode") {
        return None;
    }
    let words = shell_words::split(command).ok()?;
    let program = words.first()?.rsplit('/').next()?;
    (program == "ssh").then(|| format!("{command} -oBatchMode=yes").into())
}
