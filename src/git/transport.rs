//! What goes over the network: looking, fetching, pushing, deleting.
//!
//! The git program does all of it, so that whatever the user, or `actions/checkout`, has set up to reach the remote applies:
//! ssh's configuration, credential helpers, headers, proxies. libgit2 knows none of these.
//!
//! ```text
//!   checkout's git dir ──▶ configuration, remotes, references to negotiate with      (read only)
//!   scratch store      ◀── objects fetched; ──▶ objects pushed                       (GIT_OBJECT_DIRECTORY)
//!   token              ──▶ the child's environment ──▶ a credential helper in -c     (never argv, never a file)
//! ```

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::command::Cmd;
use crate::command::CommandError;
use crate::command::Door;
use crate::command::Output;
use crate::command::Stop;

use super::names::{BranchName, CommitId};
use super::refusal::{Refusal, Why};
use super::remote::RemoteUrl;

/// How long one call may take. A flake's repository is small; what takes longer hangs.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// How much `ls-remote` may print: a few references.
const LOOK_LIMIT: u64 = 1024 * 1024;

/// The variables in which a token reaches the credential helper below. Both names are ours: nothing else reads them.
const USER_VARIABLE: &str = "FLAKE_HERALD_GIT_USER";
const PASSWORD_VARIABLE: &str = "FLAKE_HERALD_GIT_PASSWORD";

/// A credential helper (gitcredentials(7)) that answers from the environment, and heeds neither `store` nor `erase`.
const CREDENTIAL_HELPER: &str = r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$FLAKE_HERALD_GIT_USER" "$FLAKE_HERALD_GIT_PASSWORD"; }; f"#;

/// A remote: what git is told, and where that leads.
#[derive(Clone)]
pub struct Remote {
    /// The name of a remote of the checkout, or a URL or path.
    pub name_or_url: String,
    /// Where pushes go, `insteadOf` applied.
    pub url: RemoteUrl,
}

impl fmt::Debug for Remote {
    // A URL may hold a password, and a name is no news.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What logs us in over HTTP. Other ways have their own.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user; forges take any with a token.
    pub username: String,
    /// The token.
    pub password: SecretString,
    /// It was given on purpose, so it replaces what the checkout is set up with. If not, it is used only where nothing is set up.
    pub exclusive: bool,
}

/// What is at the remote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The branch that its HEAD names; none where there is no commit yet, or HEAD is none of a branch's.
    pub default_branch: Option<BranchName>,
    /// Where the branches asked for are; those that do not exist are left out.
    pub tips: BTreeMap<BranchName, CommitId>,
}

/// What to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want<'a> {
    /// A commit and its history. Servers give any that a reference of theirs leads to.
    Commit(&'a CommitId),
    /// Wherever a branch is now.
    Branch(&'a BranchName),
}

impl Want<'_> {
    fn refspec(self) -> String {
        match self {
            Self::Commit(commit) => commit.to_string(),
            Self::Branch(branch) => branch.reference(),
        }
    }
}

/// Why something with the remote did not work.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The server or git said no.
    #[error("{0}")]
    Refused(Refusal),
    /// Git did not run to its end.
    #[error("{0}")]
    Command(CommandError),
    /// Git said something that is not understood.
    #[error("{doing}: git answers with {what}")]
    Answer {
        /// What was tried.
        doing: String,
        /// What the answer holds.
        what: &'static str,
    },
}

impl TransportError {
    /// Returns the kind of refusal; none where git did not run to its end.
    pub fn why(&self) -> Option<Why> {
        match self {
            Self::Refused(refusal) => Some(refusal.why()),
            Self::Command(_) | Self::Answer { .. } => None,
        }
    }

    /// Returns the signal that ended it, where one did.
    pub fn stopped(&self) -> Option<Stop> {
        match self {
            Self::Command(error) => error.stopped(),
            Self::Refused(_) | Self::Answer { .. } => None,
        }
    }

    /// Returns what the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::Command(error) if error.is_program_missing() => {
                Some("install git: publishing needs it".to_owned())
            }
            Self::Command(CommandError::TimedOut { .. }) => {
                Some("the server does not answer; run again later".to_owned())
            }
            Self::Command(error) => error.hint(),
            Self::Answer { .. } => {
                Some("flake-herald knows repositories with SHA-1 commits only".to_owned())
            }
        }
    }
}

/// Speaks with one remote, from one checkout.
#[derive(Debug)]
pub struct Transport {
    door: Door,
    git_dir: PathBuf,
    toplevel: PathBuf,
    object_dir: Option<PathBuf>,
    remote: Remote,
    credential: Option<Credential>,
    own: OnceCell<bool>,
}

impl Transport {
    /// Returns a transport for a checkout with its git directory, both absolute. Objects are fetched into `object_dir`, the
    /// `objects` of a bare repository of ours that has the checkout's as an alternate; without one they go to the
    /// checkout's own.
    ///
    /// `credential` is for HTTP only. A password in a URL given as the remote's name is used in its place, unless it is
    /// exclusive: it may not stand in an argument list.
    pub fn new(
        door: Door,
        git_dir: PathBuf,
        toplevel: PathBuf,
        object_dir: Option<PathBuf>,
        remote: Remote,
        credential: Option<Credential>,
    ) -> Self {
        let given = RemoteUrl::parse(&remote.name_or_url)
            .ok()
            .filter(RemoteUrl::holds_secret)
            .filter(|_| !credential.as_ref().is_some_and(|it| it.exclusive));
        let credential = match given {
            Some(url) => Some(in_url(&url)),
            None => credential,
        }
        .filter(|_| remote.url.scheme().is_http());
        Self {
            door,
            git_dir,
            toplevel,
            object_dir,
            remote,
            credential,
            own: OnceCell::new(),
        }
    }

    /// Returns the remote.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Looks where some branches are, and which one is the default.
    ///
    /// # Errors
    ///
    /// The remote cannot be read.
    pub async fn look(&self, branches: &[&BranchName]) -> Result<Seen, TransportError> {
        let doing = format!("git cannot read the branches of {}", self.remote.url);
        let cmd = self
            .git(&self.git_dir)
            .await
            .args(["ls-remote", "--quiet", "--symref", "--"])
            .arg(self.address())
            .arg("HEAD")
            .args(branches.iter().map(|branch| branch.reference()))
            .stdout_limit(LOOK_LIMIT);
        let output = self.run(doing.clone(), &cmd).await?;
        seen(&output.stdout, branches).map_err(|what| TransportError::Answer { doing, what })
    }

    /// Fetches commits with their history; nothing but objects comes of it, no reference and no `FETCH_HEAD`.
    ///
    /// In a shallow checkout the history above its boundary comes along for what branches off below it; the boundary stays.
    ///
    /// # Errors
    ///
    /// The remote cannot be read, or has not what is wanted.
    pub async fn fetch(&self, wants: &[Want<'_>]) -> Result<(), TransportError> {
        if wants.is_empty() {
            return Ok(());
        }
        let cmd = self
            .fetching(self.git(&self.git_dir).await)
            .arg("--")
            .arg(self.address())
            .args(wants.iter().map(|want| want.refspec()));
        self.run(format!("git cannot fetch from {}", self.remote.url), &cmd)
            .await?;
        Ok(())
    }

    /// Fetches the history that a shallow checkout lacks, into `repository`: a bare one of ours that has this transport's
    /// object directory and a copy of the checkout's `shallow`. Git takes that copy away once the history is complete; where
    /// there is none, nothing is done. The checkout itself stays as it is, shallow. Whoever has the repository open has to open
    /// it anew: libgit2 keeps the boundary it has read.
    ///
    /// Deepening in the checkout would not do: its `.git/shallow` would then promise history whose objects are only in the
    /// scratch store (git writes that file beside the configuration even with `--shallow-file`).
    ///
    /// # Errors
    ///
    /// The remote cannot be read, or has not what is wanted.
    pub async fn deepen(
        &self,
        repository: &Path,
        wants: &[Want<'_>],
    ) -> Result<(), TransportError> {
        if wants.is_empty() || !repository.join("shallow").exists() {
            return Ok(());
        }
        let mut cmd = self.git(repository).await;
        for (name, value) in self.configuration_variables().await? {
            cmd = cmd.env(name, value);
        }
        let cmd = self
            .fetching(cmd)
            .arg("--unshallow")
            .arg("--")
            .arg(self.address())
            .args(wants.iter().map(|want| want.refspec()));
        self.run(
            format!("git cannot fetch the history from {}", self.remote.url),
            &cmd,
        )
        .await?;
        Ok(())
    }

    /// Puts a branch where `commit` is, if it is at `expected` now; none: if it does not exist.
    ///
    /// # Errors
    ///
    /// [`Why::LeaseLost`] if it is elsewhere; or the server refuses. Nothing has changed then.
    pub async fn push(
        &self,
        commit: &CommitId,
        branch: &BranchName,
        expected: Option<&CommitId>,
    ) -> Result<(), TransportError> {
        let doing = format!("git cannot push `{branch}` to {}", self.remote.url);
        self.update(doing, Some(commit), branch, expected).await
    }

    /// Deletes a branch, if it is at `expected` now.
    ///
    /// # Errors
    ///
    /// [`Why::LeaseLost`] if it is elsewhere, or is gone already; or the server refuses. Nothing has changed then.
    pub async fn delete(
        &self,
        branch: &BranchName,
        expected: &CommitId,
    ) -> Result<(), TransportError> {
        let doing = format!("git cannot delete `{branch}` at {}", self.remote.url);
        self.update(doing, None, branch, Some(expected)).await
    }

    async fn update(
        &self,
        doing: String,
        commit: Option<&CommitId>,
        branch: &BranchName,
        expected: Option<&CommitId>,
    ) -> Result<(), TransportError> {
        // From our own repository, where there is one: in the checkout a push to a remote with a name would move its
        // remote-tracking branch, to a commit that the checkout's store does not have.
        let mut cmd = match self.object_dir.as_deref().and_then(Path::parent) {
            None => self.git(&self.git_dir).await,
            Some(repository) => {
                let mut cmd = self.git(repository).await;
                for (name, value) in self.configuration_variables().await? {
                    cmd = cmd.env(name, value);
                }
                cmd
            }
        };
        cmd = cmd
            .arg("push")
            .args(push_arguments(branch, expected))
            .arg("--")
            .arg(self.address())
            .arg(refspec(commit, branch));
        self.run(doing, &cmd).await?;
        Ok(())
    }

    /// Returns whether the user, or the runner, has set up a login for this remote. What is in a netrc is not seen.
    pub async fn has_own_credentials(&self) -> bool {
        *self.own.get_or_init(|| self.find_own_credentials()).await
    }

    async fn find_own_credentials(&self) -> bool {
        let url = &self.remote.url;
        if !url.scheme().is_http() {
            // ssh has keys of its own, and the others know no login.
            return true;
        }
        if url.password().is_some() {
            return true;
        }
        let askpass = self.door.environment().get("GIT_ASKPASS");
        if askpass.is_some_and(|program| !program.is_empty()) {
            return true;
        }
        for key in ["http.extraHeader", "credential.helper"] {
            let cmd = self
                .bare_git(&self.git_dir)
                .args(["config", "--includes", "--get-urlmatch", key])
                .arg(url.to_string());
            // Status 1: not set. What cannot be read is not set up.
            let Ok(output) = self.door.output(&cmd).await else {
                continue;
            };
            let value = output.stdout.trim_ascii().to_ascii_lowercase();
            let logs_in = key == "credential.helper" || value.starts_with(b"authorization:");
            if output.success() && logs_in && !value.is_empty() {
                return true;
            }
        }
        false
    }

    /// Returns what git is told the remote is. A URL that holds a secret is written without it.
    fn address(&self) -> String {
        let exclusive = self.credential.as_ref().is_some_and(|it| it.exclusive);
        let given = RemoteUrl::parse(&self.remote.name_or_url).ok();
        match given.filter(RemoteUrl::holds_secret) {
            Some(given) => given.to_string(),
            // Git would use the password of a configured URL, and ask nobody.
            None if exclusive && self.remote.url.holds_secret() => self.remote.url.to_string(),
            None => self.remote.name_or_url.clone(),
        }
    }

    /// Returns `git` with what every call needs, without a login.
    fn bare_git(&self, git_dir: &Path) -> Cmd {
        let mut git_dir_argument = OsString::from("--git-dir=");
        git_dir_argument.push(git_dir);
        let mut cmd = Cmd::new("git")
            .current_dir(&self.toplevel)
            .time_limit(TIME_LIMIT)
            // The git directory is known; looking for it would also ask whose it is.
            .arg(git_dir_argument);
        // A checkout of another user, as in a container job: who it may belong to has been asked before (git-config(1),
        // safe.directory, is heeded in the command line).
        for directory in [&self.toplevel, &self.git_dir] {
            let mut trusted = OsString::from("safe.directory=");
            trusted.push(directory);
            cmd = cmd.arg("-c").arg(trusted);
        }
        for setting in [
            // Nothing is collected, packed or repaired behind the user's back.
            "gc.auto=0",
            "maintenance.auto=false",
            // No hook of the user's sees the token, nor that we move references.
            "core.hooksPath=/dev/null",
            // Lines that are read, not shown.
            "color.ui=never",
            "color.remote=never",
            "color.push=never",
            "color.transport=never",
            "advice.pushUpdateRejected=false",
            // What a fetch would leave beside the objects.
            "fetch.writeCommitGraph=false",
        ] {
            cmd = cmd.args(["-c", setting]);
        }
        if let Some(object_dir) = &self.object_dir {
            cmd = cmd.env("GIT_OBJECT_DIRECTORY", object_dir);
        }
        cmd
    }

    /// Returns `git` with what every call needs, logged in.
    async fn git(&self, git_dir: &Path) -> Cmd {
        let cmd = self.bare_git(git_dir);
        let (Some(credential), Some(server)) = (&self.credential, self.remote.url.server()) else {
            return cmd;
        };
        // A helper of the user's would be told to store our token after a login, so it is either theirs or ours.
        if !credential.exclusive && self.has_own_credentials().await {
            return cmd;
        }
        let mut cmd = cmd;
        if credential.exclusive {
            // An empty value empties the list. It has to be as near to the URL as what it replaces: actions/checkout sets
            // `http.https://HOST/.extraheader`, in the repository's configuration or a file that it includes.
            cmd = cmd.arg("-c").arg(format!(
                "http.{}.extraHeader=",
                header_scope(&self.remote.url, &server)
            ));
        }
        cmd.arg("-c")
            .arg(format!("credential.{server}.helper="))
            .arg("-c")
            .arg(format!("credential.{server}.helper={CREDENTIAL_HELPER}"))
            .env(USER_VARIABLE, &credential.username)
            .env(PASSWORD_VARIABLE, credential.password.expose_secret())
    }

    /// Adds `fetch` and that it may leave nothing but objects.
    fn fetching(&self, cmd: Cmd) -> Cmd {
        let mut cmd = cmd;
        let name = &self.remote.name_or_url;
        if !name.starts_with(['/', '.']) && !name.contains([':', '=']) {
            // Git 2.48 and later would set refs/remotes/NAME/HEAD.
            cmd = cmd
                .arg("-c")
                .arg(format!("remote.{name}.followRemoteHEAD=never"));
        }
        cmd.args([
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--no-prune",
            // A partial clone would leave out what libgit2 cannot fetch later.
            "--no-filter",
            // Else what is fetched also moves the remote-tracking branches.
            "--refmap=",
        ])
    }

    /// Returns the configuration of the checkout as git's variables for it (git-config(1), `GIT_CONFIG_COUNT`): a login that
    /// `includeIf.gitdir` leads to would not apply in another repository, and neither a file nor an argument list may hold it.
    async fn configuration_variables(&self) -> Result<Vec<(String, OsString)>, TransportError> {
        let doing = "git cannot read the checkout's configuration".to_owned();
        let cmd = self.bare_git(&self.git_dir).args([
            "config",
            "--list",
            "--includes",
            "--show-scope",
            "-z",
        ]);
        let output = self.run(doing, &cmd).await?;
        let mut entries = local_entries(&output.stdout);
        // What is in such variables already comes later, as it does without us.
        let environment = self.door.environment();
        let count = environment
            .get("GIT_CONFIG_COUNT")
            .and_then(OsStr::to_str)
            .and_then(|count| count.trim().parse::<usize>().ok())
            .unwrap_or(0);
        for number in 0..count {
            let get = |part| environment.get(format!("GIT_CONFIG_{part}_{number}"));
            if let (Some(key), Some(value)) = (get("KEY"), get("VALUE")) {
                entries.push((key.to_owned(), value.to_owned()));
            }
        }
        let mut variables = vec![(
            "GIT_CONFIG_COUNT".to_owned(),
            entries.len().to_string().into(),
        )];
        for (number, (key, value)) in entries.into_iter().enumerate() {
            variables.push((format!("GIT_CONFIG_KEY_{number}"), key));
            variables.push((format!("GIT_CONFIG_VALUE_{number}"), value));
        }
        Ok(variables)
    }

    async fn run(&self, doing: String, cmd: &Cmd) -> Result<Output, TransportError> {
        let output = self
            .door
            .output(cmd)
            .await
            .map_err(TransportError::Command)?;
        if output.success() {
            return Ok(output);
        }
        let secrets: Vec<&str> = [
            self.credential.as_ref().map(|it| &it.password),
            self.remote.url.password(),
        ]
        .into_iter()
        .flatten()
        .map(|secret| secret.expose_secret())
        .collect();
        Err(TransportError::Refused(Refusal::read(
            doing,
            &output.stdout,
            output.stderr.bytes(),
            &secrets,
        )))
    }
}

/// Returns the login that a URL holds.
fn in_url(url: &RemoteUrl) -> Credential {
    Credential {
        username: url.user().unwrap_or_default().to_owned(),
        password: url
            .password()
            .cloned()
            .unwrap_or_else(|| SecretString::from("x-oauth-basic")),
        exclusive: true,
    }
}

/// Returns the URL in an `http.<url>.…` key that nothing can be nearer to the remote than; `-c` ends a key at its first `=`.
fn header_scope(url: &RemoteUrl, server: &str) -> String {
    let path = url.path();
    if path.contains('=') {
        format!("{server}/")
    } else {
        format!("{server}{path}")
    }
}

/// Returns the options of a push of one branch.
fn push_arguments(branch: &BranchName, expected: Option<&CommitId>) -> Vec<String> {
    let expected = expected.map(CommitId::as_str).unwrap_or_default();
    vec![
        // What became of the branch on stdout, for programs to read.
        "--porcelain".to_owned(),
        // Hooks would see the token.
        "--no-verify".to_owned(),
        // The branch and nothing else, whatever `push.followTags` and `push.recurseSubmodules` say.
        "--no-follow-tags".to_owned(),
        "--recurse-submodules=no".to_owned(),
        format!("--force-with-lease={}:{expected}", branch.reference()),
    ]
}

/// Returns what to push where. There is no `+` in front: it is `--force`, and takes the lease away (git-push(1)).
fn refspec(commit: Option<&CommitId>, branch: &BranchName) -> String {
    let commit = commit.map(CommitId::as_str).unwrap_or_default();
    format!("{commit}:{}", branch.reference())
}

/// Reads what `ls-remote --symref` prints. Its patterns match the ends of names, so others than those asked for can be there.
fn seen(stdout: &[u8], branches: &[&BranchName]) -> Result<Seen, &'static str> {
    const NOT_TEXT: &str = "something that is not UTF-8";
    let text = std::str::from_utf8(stdout).map_err(|_error| NOT_TEXT)?;
    let mut seen = Seen::default();
    for line in text.lines() {
        let Some((value, name)) = line.split_once('\t') else {
            return Err("a line that is no reference");
        };
        if let Some(target) = value.strip_prefix("ref: ") {
            if name == "HEAD" {
                seen.default_branch = target
                    .strip_prefix("refs/heads/")
                    .and_then(|branch| branch.parse().ok());
            }
        } else if let Some(branch) = branches.iter().find(|branch| branch.reference() == name) {
            let commit = value
                .parse()
                .map_err(|_error| "a commit that is not forty hex digits")?;
            seen.tips.insert((*branch).clone(), commit);
        }
    }
    Ok(seen)
}

/// Reads what `git config --list --show-scope -z` prints: the entries of the repository itself, but those that say what kind of
/// repository it is, and the inclusions, which are followed already.
fn local_entries(stdout: &[u8]) -> Vec<(OsString, OsString)> {
    use std::os::unix::ffi::OsStrExt as _;
    const OF_THE_REPOSITORY: &[&[u8]] = &[
        b"core.bare",
        b"core.worktree",
        b"core.repositoryformatversion",
        b"extensions.",
        b"include.",
        b"includeif.",
    ];
    let mut entries = Vec::new();
    let mut fields = stdout.split(|byte| *byte == 0);
    while let (Some(scope), Some(entry)) = (fields.next(), fields.next()) {
        let mut parts = entry.splitn(2, |byte| *byte == b'\n');
        let key = parts.next().unwrap_or_default();
        // A key without a value is true.
        let value = parts.next().unwrap_or(b"true");
        let kept = matches!(scope, b"local" | b"worktree")
            && !OF_THE_REPOSITORY
                .iter()
                .any(|beginning| key.starts_with(beginning));
        if kept {
            entries.push((
                OsStr::from_bytes(key).to_owned(),
                OsStr::from_bytes(value).to_owned(),
            ));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Cancel;
    use crate::command::ChildEnvironment;

    const COMMIT: &str = "0d427f95a5500d1b6bfd7f25872129241c45f834";
    const OTHER: &str = "5fcff0419d2dbcade9e993ea69e8c324f626e5a6";

    fn transport(name_or_url: &str, url: &str, credential: Option<Credential>) -> Transport {
        Transport::new(
            Door::new(ChildEnvironment::default(), Cancel::new()),
            "/w/.git".into(),
            "/w".into(),
            Some("/scratch/objects".into()),
            Remote {
                name_or_url: name_or_url.to_owned(),
                url: RemoteUrl::parse(url).unwrap(),
            },
            credential,
        )
    }

    fn token(exclusive: bool) -> Option<Credential> {
        Some(Credential {
            username: "x-access-token".to_owned(),
            password: SecretString::from("s3cret"),
            exclusive,
        })
    }

    /// The settings of a call that are about logging in.
    async fn login(transport: &Transport) -> Vec<String> {
        let argv = transport.git(Path::new("/w/.git")).await.argv();
        argv.into_iter()
            .filter(|argument| argument.starts_with("credential.") || argument.starts_with("http."))
            .collect()
    }

    #[tokio::test]
    async fn a_token_given_on_purpose_replaces_all_others_and_stands_nowhere() {
        let url = "https://git.example.org:8443/sub/a/b.git";
        let transport = transport("origin", url, token(true));
        let helper = format!("credential.https://git.example.org:8443.helper={CREDENTIAL_HELPER}");
        assert_eq!(
            login(&transport).await,
            [
                "http.https://git.example.org:8443/sub/a/b.git.extraHeader=",
                "credential.https://git.example.org:8443.helper=",
                helper.as_str(),
            ]
        );
        let cmd = transport.git(Path::new("/w/.git")).await;
        for shown in [cmd.to_string(), format!("{cmd:?} {transport:?}")] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        assert_eq!(transport.address(), "origin");
    }

    #[tokio::test]
    async fn only_http_gets_a_token() {
        for url in [
            "git@host:a/b",
            "ssh://host/a/b",
            "git://host/a/b",
            "/a/b",
            "file:///a/b",
        ] {
            assert!(
                login(&transport("origin", url, token(true)))
                    .await
                    .is_empty(),
                "{url}"
            );
        }
    }

    #[test]
    fn a_secret_in_a_url_stays_out_of_the_arguments() {
        let secret = "https://me:s3cret@host/a/b";
        for (name_or_url, credential, address, user) in [
            // Given as a URL: taken apart.
            (secret, None, "https://host/a/b", Some("me")),
            (secret, token(false), "https://host/a/b", Some("me")),
            (
                secret,
                token(true),
                "https://host/a/b",
                Some("x-access-token"),
            ),
            // Configured under a name: git's to use, unless another one is meant.
            ("origin", None, "origin", None),
            ("origin", token(false), "origin", Some("x-access-token")),
            (
                "origin",
                token(true),
                "https://host/a/b",
                Some("x-access-token"),
            ),
        ] {
            let transport = transport(name_or_url, secret, credential);
            assert_eq!(transport.address(), address);
            assert_eq!(
                transport.credential.as_ref().map(|it| it.username.as_str()),
                user
            );
            assert!(!format!("{transport:?}").contains("s3cret"));
        }
        let plain = "https://alice@host/a/b";
        assert_eq!(transport(plain, plain, None).address(), plain);
    }

    #[test]
    fn a_push_has_a_lease_and_no_force() {
        let (commit, other) = (COMMIT.parse().unwrap(), OTHER.parse().unwrap());
        let branch: BranchName = "auto/x".parse().unwrap();
        let lease = |expected| push_arguments(&branch, expected);
        assert!(lease(None).contains(&"--force-with-lease=refs/heads/auto/x:".to_owned()));
        let expected = format!("--force-with-lease=refs/heads/auto/x:{OTHER}");
        assert!(lease(Some(&other)).contains(&expected));
        assert_eq!(
            refspec(Some(&commit), &branch),
            format!("{COMMIT}:refs/heads/auto/x")
        );
        assert_eq!(refspec(None, &branch), ":refs/heads/auto/x");
    }

    #[test]
    fn only_the_branches_asked_for_are_seen() {
        let (bot, gone): (BranchName, BranchName) =
            ("bot".parse().unwrap(), "gone".parse().unwrap());
        let read = |text: &str| seen(text.as_bytes(), &[&bot, &gone]);
        let all = read(&format!(
            "ref: refs/heads/main\tHEAD\n{COMMIT}\tHEAD\n{COMMIT}\trefs/heads/bot\n{OTHER}\trefs/remotes/refs/heads/bot\n"
        ))
        .unwrap();
        assert_eq!(all.default_branch, Some("main".parse().unwrap()));
        assert_eq!(
            all.tips,
            BTreeMap::from([(bot.clone(), COMMIT.parse().unwrap())])
        );
        // An empty repository; a HEAD that is on no branch.
        assert_eq!(read(""), Ok(Seen::default()));
        assert_eq!(read(&format!("{COMMIT}\tHEAD\n")), Ok(Seen::default()));
        assert_eq!(read("nonsense\n"), Err("a line that is no reference"));
        let long = format!("{COMMIT}{COMMIT}\trefs/heads/bot\n");
        assert_eq!(read(&long), Err("a commit that is not forty hex digits"));
    }

    #[test]
    fn the_repositorys_own_settings_are_carried_over() {
        let listed = b"system\0a.b\nx\0local\0core.bare\nfalse\0local\0remote.origin.url\nhttps://h/a/b\0local\0http.https://h/.extraheader\nA: b\nc\0local\0includeif.gitdir:/w/.git.path\n/x\0worktree\0core.flag\0command\0c.d\ne\0";
        let entries: Vec<(String, String)> = local_entries(listed)
            .into_iter()
            .map(|(key, value)| (key.into_string().unwrap(), value.into_string().unwrap()))
            .collect();
        let expected = [
            ("remote.origin.url", "https://h/a/b"),
            ("http.https://h/.extraheader", "A: b\nc"),
            ("core.flag", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(entries, expected);
    }
}
