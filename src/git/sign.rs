//! Signatures, as `git commit -S` makes them: by the programs and keys that git's configuration names.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Cmd;
use crate::command::CommandError;
use crate::command::Door;
use crate::command::Output;

use super::identity::Identity;
use super::{GitError, file_error, git_at};

/// How long a program may take: a key may wait to be touched, but nobody may be there to do it.
const SIGNING_TIME: Duration = Duration::from_secs(120);

/// How a commit is to be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignHow {
    /// As git's configuration says; where a key file is given, in any case.
    #[default]
    Auto,
    /// With an SSH key.
    Ssh,
    /// With a key of `OpenPGP`.
    Gpg,
    /// Not at all.
    Off,
}

/// How a commit is to be signed, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signing {
    /// How.
    pub how: SignHow,
    /// The key, where it is not the one that git's configuration names.
    pub key_file: Option<PathBuf>,
}

/// What is wrong with the file of a signing key. `Display` follows the file's name.
#[derive(Debug)]
pub enum WrongKey {
    /// The system does not let it be read.
    Unreadable(io::Error),
    /// There is nothing in it.
    Empty,
    /// It is the public half, and the other one is nowhere to be found.
    Public,
    /// It is locked with a passphrase, and no agent can have it open.
    Passphrase,
    /// The program that signs cannot read it.
    Refused(String),
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(source) => write!(f, "cannot be read: {source}"),
            Self::Empty => f.write_str("is empty"),
            Self::Public => f.write_str("is a public key, and the private one is not here"),
            Self::Passphrase => f.write_str("has a passphrase"),
            Self::Refused(words) => write!(f, "is no private key that can be used: {words}"),
        }
    }
}

impl WrongKey {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => {
                "name the key's file with --signing-key-file, or in git's user.signingKey"
            }
            Self::Empty => {
                "a secret that is not set, or has another name, leaves an empty file; --sign off does without a signature"
            }
            Self::Public => {
                "the file must hold the private key, from BEGIN to END; or SSH_AUTH_SOCK must lead to an agent that has it"
            }
            Self::Passphrase => NO_PASSPHRASE,
            Self::Refused(words) if words.contains("too open") => {
                "nobody else may be able to read it: `chmod 600`, or `umask 077` before it is written"
            }
            Self::Refused(_) => {
                "it must hold the whole private key, from BEGIN to END and with its line breaks"
            }
        }
    }
}

/// What to do about a key that is locked.
pub(super) const NO_PASSPHRASE: &str =
    "nobody is asked for a passphrase here: use a key without one, or an agent that has it open";

/// Whether a program that signs says that it wanted a passphrase: gpg of a terminal that is none, ssh-keygen of the empty one.
pub(super) fn wants_passphrase(words: &str) -> bool {
    [
        "incorrect passphrase",
        "Inappropriate ioctl for device",
        "No pinentry",
    ]
    .iter()
    .any(|part| words.contains(part))
}

/// The kinds of signatures that git knows, by their names in `gpg.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    OpenPgp,
    X509,
    Ssh,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenPgp => "openpgp",
            Self::X509 => "x509",
            Self::Ssh => "ssh",
        })
    }
}

/// What git's configuration says about signatures; every other setting is left where it is.
#[derive(Debug, Default)]
struct Settings(BTreeMap<String, Option<String>>);

impl Settings {
    /// Asks the git program, which alone knows all places: files, includes by directory, `GIT_CONFIG_COUNT`.
    async fn read(door: &Door, git_dir: &Path) -> Result<Self, GitError> {
        let names = r"^(commit\.gpgsign|user\.signingkey|gpg\..*)$";
        let cmd = git_at(git_dir).args(["config", "--null", "--get-regexp", names]);
        let output = door.output(&cmd).await?;
        match output.status {
            0 => Ok(Self::parse(&String::from_utf8_lossy(&output.stdout))),
            // There is none.
            1 => Ok(Self::default()),
            _ => {
                output.checked()?;
                Ok(Self::default())
            }
        }
    }

    /// Reads entries that end in NUL, name and value parted by a line's end; without one the setting has no value, which git
    /// takes for true. The last one wins.
    fn parse(text: &str) -> Self {
        let entry = |entry: &str| match entry.split_once('\n') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (entry.to_owned(), None),
        };
        Self(
            text.split('\0')
                .filter(|text| !text.is_empty())
                .map(entry)
                .collect(),
        )
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .and_then(Option::as_deref)
            .filter(|value| !value.is_empty())
    }

    fn flag(&self, name: &str) -> Result<bool, GitError> {
        match self.0.get(name) {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(value)) if value.is_empty() => Ok(false),
            Some(Some(value)) => git2::Config::parse_bool(value.as_str()).map_err(|error| {
                GitError::Sign(format!("git's setting {name}: {}", error.message()))
            }),
        }
    }

    fn format(&self) -> Result<Option<Format>, GitError> {
        match self.text("gpg.format") {
            None => Ok(None),
            Some("openpgp") => Ok(Some(Format::OpenPgp)),
            Some("x509") => Ok(Some(Format::X509)),
            Some("ssh") => Ok(Some(Format::Ssh)),
            Some(other) => Err(GitError::Sign(format!(
                "git's setting gpg.format is unknown: `{other}`"
            ))),
        }
    }

    fn program(&self, format: Format) -> &str {
        match format {
            Format::OpenPgp => self
                .text("gpg.openpgp.program")
                .or(self.text("gpg.program"))
                .unwrap_or("gpg"),
            Format::X509 => self.text("gpg.x509.program").unwrap_or("gpgsm"),
            Format::Ssh => self.text("gpg.ssh.program").unwrap_or("ssh-keygen"),
        }
    }

    /// Returns the kind of signature to make, or none.
    fn wanted(&self, signing: &Signing) -> Result<Option<Format>, GitError> {
        Ok(match signing.how {
            SignHow::Off => None,
            SignHow::Ssh => Some(Format::Ssh),
            SignHow::Gpg => Some(Format::OpenPgp),
            SignHow::Auto if signing.key_file.is_some() => {
                Some(self.format()?.unwrap_or(Format::Ssh))
            }
            SignHow::Auto if self.flag("commit.gpgsign")? => {
                Some(self.format()?.unwrap_or(Format::OpenPgp))
            }
            SignHow::Auto => None,
        })
    }
}

/// Where a signature is made.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) door: &'a Door,
    /// Whose configuration counts.
    pub(super) git_dir: &'a Path,
    /// Where git would start the programs: relative paths in its configuration are from there.
    pub(super) toplevel: &'a Path,
    /// Where files may be left.
    pub(super) scratch: &'a Path,
}

impl Place<'_> {
    /// Returns the signature of a commit without one; none where none is wanted.
    pub(super) async fn sign(
        &self,
        signing: &Signing,
        committer: &Identity,
        commit: &str,
    ) -> Result<Option<String>, GitError> {
        if signing.how == SignHow::Off {
            return Ok(None);
        }
        let settings = Settings::read(self.door, self.git_dir).await?;
        let Some(format) = settings.wanted(signing)? else {
            return Ok(None);
        };
        let files = self.files()?;
        let program = self.expanded(settings.program(format));
        let signature = match (format, &signing.key_file) {
            (Format::Ssh, key_file) => {
                let key = self.ssh_key(key_file.as_deref(), &settings).await?;
                self.with_ssh(&program, &key, files.path(), commit).await
            }
            (Format::OpenPgp, Some(file)) => {
                self.with_gpg_file(&program, file, files.path(), commit)
                    .await
            }
            (Format::X509, Some(_)) => Err(no_file_for_x509()),
            (Format::OpenPgp | Format::X509, None) => {
                let key = settings
                    .text("user.signingkey")
                    .map_or_else(|| committer.to_string(), str::to_owned);
                self.with_gpg(&program, None, &key, commit).await
            }
        };
        signature.map(Some)
    }

    /// Finds what would keep a commit from being signed, as far as that is seen without signing with a key that may want to be
    /// touched each time: whether a file holds a key, and one that is not locked.
    pub(super) async fn check(&self, signing: &Signing) -> Result<(), GitError> {
        if signing.how == SignHow::Off {
            return Ok(());
        }
        let settings = Settings::read(self.door, self.git_dir).await?;
        let Some(format) = settings.wanted(signing)? else {
            return Ok(());
        };
        let files = self.files()?;
        let program = self.expanded(settings.program(format));
        match (format, &signing.key_file) {
            // It can be read only once, and that is for the signature.
            (_, Some(file)) if is_pipe(file) => Ok(()),
            (Format::Ssh, key_file) => match self.ssh_key(key_file.as_deref(), &settings).await? {
                SshKey::File(file) => self.check_ssh(&program, &file, files.path()).await,
                SshKey::Literal(_) => Ok(()),
            },
            // In a keyring of our own no card has it.
            (Format::OpenPgp, Some(file)) => self
                .with_gpg_file(&program, file, files.path(), "a rehearsal")
                .await
                .map(drop),
            (Format::X509, Some(_)) => Err(no_file_for_x509()),
            (Format::OpenPgp | Format::X509, None) => Ok(()),
        }
    }

    async fn check_ssh(&self, program: &str, file: &Path, files: &Path) -> Result<(), GitError> {
        // Others that sign in its place may have keys elsewhere, and need not know more of them than how to sign.
        if !is_ssh_keygen(program) {
            return Ok(());
        }
        let file = &self.toplevel.join(file);
        let refused = |file: &Path, wrong| GitError::KeyFile {
            file: file.to_owned(),
            wrong,
        };
        let has_agent = self.door.environment().get("SSH_AUTH_SOCK").is_some();
        let (file, path, agent_helps) = match usable(file, files)? {
            // The agent is asked first.
            Usable::Public if has_agent => return Ok(()),
            Usable::Public => match private_half(file).filter(|private| private.exists()) {
                Some(private) => (private.clone(), private, false),
                None => return Err(refused(file, WrongKey::Public)),
            },
            Usable::Private(path) => (file.clone(), path, has_agent),
            // What the agent has is found by the public half.
            Usable::Pem(path) => (file.clone(), path, has_agent && public_half(file).exists()),
        };
        let Err(error) = self.opened(program, &path).await else {
            return Ok(());
        };
        match error {
            GitError::Sign(words) if !wants_passphrase(&words) => {
                let words = words.replace(&*path.to_string_lossy(), &file.to_string_lossy());
                Err(refused(&file, WrongKey::Refused(words)))
            }
            GitError::Sign(_) if agent_helps => Ok(()),
            GitError::Sign(_) => Err(refused(&file, WrongKey::Passphrase)),
            other => Err(other),
        }
    }

    /// Has ssh-keygen read a private key, as far as that takes no passphrase, and returns the public half.
    async fn opened(&self, program: &str, private: &Path) -> Result<Vec<u8>, GitError> {
        let cmd = self
            .signer(program)
            .args(["-y", "-P", "", "-f"])
            .arg(private);
        let output = self.door.run(&cmd).await.map_err(failed)?;
        Ok(output.stdout)
    }

    /// Returns the file to give to ssh-keygen, which is to sign with the key in `file`.
    async fn handed_over(
        &self,
        program: &str,
        file: &Path,
        files: &Path,
    ) -> Result<PathBuf, GitError> {
        let path = match usable(file, files)? {
            Usable::Public => return Ok(file.to_owned()),
            Usable::Private(path) => return Ok(path),
            Usable::Pem(path) => path,
        };
        // Before it is copied: ssh-keygen is to see who else may read the file.
        let public = match self.opened(program, &path).await {
            Ok(public) => public,
            // An agent may have it open.
            Err(_) if public_half(file).exists() => return Ok(file.to_owned()),
            Err(error) => return Err(error),
        };
        let copy = files.join("pair");
        let private = std::fs::read(&path).map_err(file_error(&path))?;
        write_secret(&copy, &private)?;
        let beside = public_half(&copy);
        std::fs::write(&beside, public).map_err(file_error(&beside))?;
        Ok(copy)
    }

    /// Returns a directory for files that are gone with it. The system's directory for temporary files is not ours alone.
    fn files(&self) -> Result<tempfile::TempDir, GitError> {
        tempfile::Builder::new()
            .prefix("signature-")
            .tempdir_in(self.scratch)
            .map_err(file_error(self.scratch))
    }

    /// Returns the SSH key in the file that somebody named, else the one that git would take.
    async fn ssh_key(
        &self,
        key_file: Option<&Path>,
        settings: &Settings,
    ) -> Result<SshKey, GitError> {
        if let Some(file) = key_file {
            return Ok(SshKey::File(absolute(file)?));
        }
        if let Some(key) = settings.text("user.signingkey") {
            return Ok(match literal(key) {
                Some(key) => SshKey::Literal(key.to_owned()),
                None => SshKey::File(PathBuf::from(self.expanded(key))),
            });
        }
        let Some(command) = settings.text("gpg.ssh.defaultkeycommand") else {
            return Err(GitError::NoKey);
        };
        let words = shell_words::split(command).unwrap_or_default();
        let Some((program, args)) = words.split_first() else {
            return Err(GitError::Sign(format!(
                "git's setting gpg.ssh.defaultKeyCommand is no command: `{command}`"
            )));
        };
        let cmd = self.signer(program).args(args);
        let output = self.door.run(&cmd).await.map_err(failed)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next().unwrap_or_default();
        literal(line)
            .map(|key| SshKey::Literal(key.to_owned()))
            .ok_or_else(|| {
                GitError::Sign(format!(
                    "the first line that gpg.ssh.defaultKeyCommand writes is no SSH key: `{}`",
                    line.escape_debug()
                ))
            })
    }

    async fn with_ssh(
        &self,
        program: &str,
        key: &SshKey,
        files: &Path,
        commit: &str,
    ) -> Result<String, GitError> {
        let buffer = files.join("commit");
        std::fs::write(&buffer, commit).map_err(file_error(&buffer))?;
        let mut cmd = self.signer(program).args(["-Y", "sign", "-n", "git", "-f"]);
        match key {
            SshKey::File(file) if is_ssh_keygen(program) => {
                let file = self.toplevel.join(file);
                cmd = cmd.arg(self.handed_over(program, &file, files).await?);
            }
            // To another program it may be the name of something else.
            SshKey::File(file) => cmd = cmd.arg(file),
            SshKey::Literal(key) => {
                // The public half; the agent has the other one.
                let file = files.join("key.pub");
                std::fs::write(&file, format!("{key}\n")).map_err(file_error(&file))?;
                cmd = cmd.arg(file).arg("-U");
            }
        }
        self.door.run(&cmd.arg(&buffer)).await.map_err(failed)?;
        let signature = files.join("commit.sig");
        let text = std::fs::read_to_string(&signature).map_err(file_error(&signature))?;
        Ok(text.replace('\r', ""))
    }

    async fn with_gpg(
        &self,
        program: &str,
        home: Option<&Path>,
        key: &str,
        commit: &str,
    ) -> Result<String, GitError> {
        let mut cmd = self
            .signer(program)
            .args(["--status-fd=2", "-bsau"])
            .arg(key)
            .stdin_bytes(commit);
        if let Some(home) = home {
            cmd = cmd.env("GNUPGHOME", home);
        }
        let output = self.door.run(&cmd).await.map_err(failed)?;
        // gpg can end with status 0 and no signature (git's gpg-interface.c).
        let created = output
            .stderr
            .text()
            .lines()
            .any(|line| line.starts_with("[GNUPG:] SIG_CREATED "));
        if !created {
            return Err(GitError::Sign(words(&output)));
        }
        Ok(output.text()?.replace('\r', ""))
    }

    async fn with_gpg_file(
        &self,
        program: &str,
        file: &Path,
        files: &Path,
        commit: &str,
    ) -> Result<String, GitError> {
        let file = absolute(file)?;
        drop(contents(&file)?);
        let (home, key) = self.imported(program, &file, files).await?;
        let signature = self.with_gpg(program, Some(&home), &key, commit).await;
        self.end_agent(&home).await;
        signature
    }

    /// Returns a keyring of its own for the secret key in `file`, and the key's fingerprint.
    async fn imported(
        &self,
        program: &str,
        file: &Path,
        files: &Path,
    ) -> Result<(PathBuf, String), GitError> {
        let home = files.join("gnupg");
        std::fs::create_dir(&home).map_err(file_error(&home))?;
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&home, mode).map_err(file_error(&home))?;
        let gpg = || {
            self.signer(program)
                .args(["--batch", "--no-tty"])
                .env("GNUPGHOME", &home)
        };
        let import = gpg().arg("--import").arg(file);
        let imported = self.door.run(&import).await;
        let listed = match imported {
            Ok(_) => {
                let list = gpg().args(["--with-colons", "--list-secret-keys"]);
                self.door.run(&list).await
            }
            Err(error) => Err(error),
        };
        let key = listed.map_err(failed).and_then(|output| {
            fingerprint(&String::from_utf8_lossy(&output.stdout))
                .ok_or_else(|| GitError::Sign(format!("{} holds no secret key", file.display())))
        });
        match key {
            Ok(key) => Ok((home, key)),
            Err(error) => {
                self.end_agent(&home).await;
                Err(error)
            }
        }
    }

    /// Ends the agent that gpg started for a keyring of ours; it would go away by itself, some time after its directory has.
    async fn end_agent(&self, home: &Path) {
        let cmd = self
            .signer("gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", home);
        if let Err(error) = self.door.run(&cmd).await {
            tracing::debug!(%error, "the agent of a keyring of ours goes on for a while");
        }
    }

    fn signer(&self, program: &str) -> Cmd {
        Cmd::new(program)
            .current_dir(self.toplevel)
            .time_limit(SIGNING_TIME)
    }

    /// Returns a path of git's configuration with the home directory for `~/`.
    fn expanded(&self, path: &str) -> String {
        let home = self.door.environment().get("HOME");
        match (path.strip_prefix("~/"), home.and_then(|home| home.to_str())) {
            (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
            _ => path.to_owned(),
        }
    }
}

/// An SSH key, as git's configuration names one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SshKey {
    /// A file with either half; where it is the public one, the other half is beside it or with the agent. It is as it was
    /// named: from the toplevel, where it is relative.
    File(PathBuf),
    /// The public half itself.
    Literal(String),
}

/// Whether the program that signs is the one of OpenSSH, whose ways with files are known.
fn is_ssh_keygen(program: &str) -> bool {
    Path::new(program).file_name() == Some("ssh-keygen".as_ref())
}

/// The file of an SSH key, as ssh-keygen can read it.
enum Usable {
    /// It has both halves, or nobody has looked.
    Private(PathBuf),
    /// It has both, but ssh-keygen does not read the public one there: it wants a file beside it.
    Pem(PathBuf),
    /// It has the public half.
    Public,
}

/// Returns how to hand over the key in `file`: as it is, or where ssh-keygen would not take it for how its lines end, as a copy
/// in `files` that only we can read.
fn usable(file: &Path, files: &Path) -> Result<Usable, GitError> {
    let text = contents(file)?;
    if is_public(&text) {
        return Ok(Usable::Public);
    }
    let path = match mended(&text) {
        Some(mended) => {
            let copy = files.join("key");
            write_secret(&copy, mended.as_bytes())?;
            copy
        }
        None => file.to_owned(),
    };
    Ok(if is_pem(&text) {
        Usable::Pem(path)
    } else {
        Usable::Private(path)
    })
}

/// Writes a file that only we can read.
fn write_secret(file: &Path, bytes: &[u8]) -> Result<(), GitError> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| io::Write::write_all(&mut file, bytes))
        .map_err(file_error(file))
}

/// Returns where ssh-keygen looks for the private half of the public key in `file`, which may be a certificate.
fn private_half(file: &Path) -> Option<PathBuf> {
    let name = file.as_os_str().as_bytes();
    ["-cert.pub", ".pub"]
        .iter()
        .find_map(|end| name.strip_suffix(end.as_bytes()))
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
}

/// Returns where ssh-keygen looks for the public half of the private key in `file`.
fn public_half(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Returns what the file of a key holds, which is not nothing; of a pipe nothing is read here.
fn contents(file: &Path) -> Result<String, GitError> {
    let refused = |wrong| GitError::KeyFile {
        file: file.to_owned(),
        wrong,
    };
    let unreadable = |source| refused(WrongKey::Unreadable(source));
    if is_pipe(file) {
        return Ok(String::new());
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    if bytes.trim_ascii().is_empty() {
        return Err(refused(WrongKey::Empty));
    }
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// Whether what is there has no contents that stay: `<(gpg --export-secret-keys)` is a pipe.
fn is_pipe(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|known| !known.is_file() && !known.is_dir())
}

fn is_public(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|beginning| text.trim_start().starts_with(beginning))
}

/// Whether a private key is not in OpenSSH's own form, in which alone the public half can be read without the private one.
fn is_pem(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("-----BEGIN ") && !text.starts_with("-----BEGIN OPENSSH")
}

/// Returns a private key with lines that ssh-keygen takes, where these are none: forms and YAML leave Windows' line ends, blanks at
/// their beginning, or the last line without its end.
fn mended(text: &str) -> Option<String> {
    if !text.trim_start().starts_with("-----BEGIN ") {
        return None;
    }
    let mut mended: Vec<&str> = text.trim().lines().map(str::trim).collect();
    mended.push("");
    let mended = mended.join("\n");
    (mended != text).then_some(mended)
}

fn no_file_for_x509() -> GitError {
    GitError::Sign("a key file cannot be used where git's setting gpg.format is x509".to_owned())
}

/// Returns the public key that a setting is, where it is none that names a file (git's `is_literal_ssh_key`).
fn literal(key: &str) -> Option<&str> {
    key.strip_prefix("key::")
        .or_else(|| key.starts_with("ssh-").then_some(key))
}

/// Returns the fingerprint of the first secret key in gpg's list.
fn fingerprint(list: &str) -> Option<String> {
    list.lines()
        .skip_while(|line| !line.starts_with("sec:"))
        .find(|line| line.starts_with("fpr:"))
        .and_then(|line| line.split(':').nth(9))
        .map(str::to_owned)
}

fn absolute(file: &Path) -> Result<PathBuf, GitError> {
    std::path::absolute(file).map_err(file_error(file))
}

/// Says in the program's own words why there is no signature.
fn failed(error: CommandError) -> GitError {
    if error.is_program_missing() || error.status().is_none() {
        return GitError::NoSigner(error);
    }
    let text = error.stderr().map(|stderr| said(&stderr.text()));
    match text.filter(|text| !text.is_empty()) {
        Some(text) => GitError::Sign(text),
        None => GitError::Sign(error.to_string()),
    }
}

fn words(output: &Output) -> String {
    let text = said(&output.stderr.text());
    if text.is_empty() {
        "the program made no signature and gave no reason".to_owned()
    } else {
        text
    }
}

/// Returns what a program said, on one line: without gpg's lines for machines and of no interest, ssh's frames, and what it said
/// before.
fn said(stderr: &str) -> String {
    const IDLE: [&str; 3] = ["[GNUPG:]", "gpg: keybox '", "gpg: Total number processed: "];
    let mut lines: Vec<&str> = Vec::new();
    for line in stderr.lines() {
        let line = line.trim_matches(['@', ' ', '\t', '\r']);
        let is_idle = IDLE.iter().any(|idle| line.starts_with(idle));
        if !line.is_empty() && !is_idle && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::parse(text)
    }

    #[test]
    fn the_last_of_several_settings_counts() {
        let text = "gpg.format\nssh\0commit.gpgsign\0gpg.format\nopenpgp\0user.signingkey\na\nb\0";
        let settings = settings(text);
        assert_eq!(settings.text("gpg.format"), Some("openpgp"));
        assert_eq!(settings.text("user.signingkey"), Some("a\nb"));
        assert!(settings.flag("commit.gpgsign").unwrap());
        assert!(!settings.flag("commit.other").unwrap());
    }

    #[test]
    fn what_is_wanted_says_which_signature() {
        let off = "";
        let gpg = "commit.gpgsign\ntrue\0";
        let ssh = "commit.gpgsign\n1\0gpg.format\nssh\0";
        let never = "commit.gpgsign\nno\0gpg.format\nx509\0";
        let rows = [
            (off, SignHow::Auto, false, None),
            (off, SignHow::Auto, true, Some(Format::Ssh)),
            (off, SignHow::Ssh, false, Some(Format::Ssh)),
            (off, SignHow::Gpg, true, Some(Format::OpenPgp)),
            (gpg, SignHow::Auto, false, Some(Format::OpenPgp)),
            (gpg, SignHow::Off, true, None),
            (gpg, SignHow::Ssh, false, Some(Format::Ssh)),
            (ssh, SignHow::Auto, false, Some(Format::Ssh)),
            (ssh, SignHow::Gpg, false, Some(Format::OpenPgp)),
            (never, SignHow::Auto, false, None),
            (never, SignHow::Auto, true, Some(Format::X509)),
        ];
        for (text, how, has_file, expected) in rows {
            let key_file = has_file.then(|| PathBuf::from("key"));
            let wanted = settings(text).wanted(&Signing { how, key_file });
            assert_eq!(wanted.unwrap(), expected, "{text:?} {how:?} {has_file}");
        }
        for bad in [
            "commit.gpgsign\nmaybe\0",
            "commit.gpgsign\0gpg.format\npgp\0",
        ] {
            let wanted = settings(bad).wanted(&Signing::default());
            assert!(wanted.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_programs_say_fits_a_line() {
        let ssh = "@@@@@@\n@   WARNING: UNPROTECTED PRIVATE KEY FILE!   @\n@@@@@@\nPermissions 0644 are too open.\r\n\n\
                   Load key: bad permissions\n";
        assert_eq!(
            said(ssh),
            "WARNING: UNPROTECTED PRIVATE KEY FILE!; Permissions 0644 are too open.; Load key: bad permissions"
        );
        let gpg = "[GNUPG:] INV_SGNR 9 x\ngpg: signing failed: No secret key\ngpg: signing failed: No secret key\n";
        assert_eq!(said(gpg), "gpg: signing failed: No secret key");
    }

    #[test]
    fn only_lines_that_ssh_keygen_does_not_take_are_mended() {
        let good =
            "-----BEGIN X PRIVATE KEY-----\nProc-Type: 4\n\nYWJj\n-----END X PRIVATE KEY-----\n";
        assert_eq!(mended(good), None);
        assert_eq!(mended("ssh-ed25519 AAAA\r\n"), None);
        assert_eq!(mended("anything\r\n"), None);
        for bad in [
            good.replace('\n', "\r\n"),
            good.replace('\n', "\n  "),
            good.trim_end().to_owned(),
            format!("\n{good}\n\n"),
        ] {
            assert_eq!(mended(&bad).as_deref(), Some(good), "{bad:?}");
        }
    }

    #[test]
    fn the_first_secret_key_of_a_list_is_found() {
        let list = "tru::1\nsec:u:255:22:AA:1:::u:::scESC:::+::ed25519:::0:\nfpr:::::::::FIRST:\ngrp:::::::::G:\n\
                    ssb:u:\nfpr:::::::::SECOND:\n";
        assert_eq!(fingerprint(list).as_deref(), Some("FIRST"));
        assert_eq!(fingerprint("pub:u:\nfpr:::::::::FIRST:\n"), None);
    }
}
