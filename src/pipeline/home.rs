//! A home directory for Nix where the checkout belongs to somebody else.
//!
//! Nix refuses such a repository, and heeds one way to be told that it is trusted: `safe.directory` in `$HOME/.gitconfig`.
//! That file is the user's. So Nix gets a home of its own, in which everything but that file is the user's.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::command::{ChildEnvironment, Door};

use super::Error;
use super::source::Source;

const GIT_CONFIG: &str = ".gitconfig";

/// Where the directories of the XDG specification are below a home, unless a variable says otherwise.
const DIRECTORIES: [(&str, &str); 4] = [
    ("XDG_CACHE_HOME", ".cache"),
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
];

/// Returns the way to Nix for one flake: where its checkout is another user's that we trust, with a home below `scratch` in
/// which git's configuration says so.
pub(super) fn for_nix(door: &Door, source: &Source, scratch: &Path) -> Result<Door, Error> {
    if source.trusted.is_empty() {
        return Ok(door.clone());
    }
    let home = scratch.join("home");
    let environment = furnish(door.environment(), &source.trusted, &home)?;
    tracing::debug!(
        "the checkout belongs to another user: Nix is told to trust it, by the HOME {}",
        home.display()
    );
    Ok(door.clone().with_environment(environment))
}

/// Makes the directory `home` and returns the environment that has it as HOME.
fn furnish(
    environment: &ChildEnvironment,
    trusted: &[PathBuf],
    home: &Path,
) -> Result<ChildEnvironment, Error> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let gits = variable("HOME").map(PathBuf::from);
    let nixs = home_that_nix_heeds(gits.as_deref());

    fs::create_dir(home).map_err(|source| Error::file(home, source))?;
    if let Some(gits) = &gits {
        link_all(gits, home)?;
    }
    let mut config = Vec::new();
    if let Some(gits) = &gits {
        // Below, XDG_CONFIG_HOME is set for Nix, and git would not find this one any more.
        if nixs.as_ref() != Some(gits) && variable("XDG_CONFIG_HOME").is_none() {
            set(
                &mut config,
                "include",
                "path",
                &gits.join(".config/git/config"),
            );
        }
        // It need not be there: git passes over what it cannot include.
        set(&mut config, "include", "path", &gits.join(GIT_CONFIG));
    }
    for directory in trusted {
        set(&mut config, "safe", "directory", directory);
    }
    let file = home.join(GIT_CONFIG);
    fs::write(&file, config).map_err(|source| Error::file(&file, source))?;

    let mut environment = environment.clone().with("HOME", home);
    if let Some(nixs) = nixs {
        for (name, below) in DIRECTORIES {
            if environment.get(name).is_none_or(OsStr::is_empty) {
                environment = environment.with(name, nixs.join(below));
            }
        }
    }
    Ok(environment)
}

/// Returns the home that Nix takes its configuration and its caches from: `HOME`, unless that is another user's, as in a
/// container job; then the one that the system's list of users has.
fn home_that_nix_heeds(home: Option<&Path>) -> Option<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let is_ours = |home: &Path| match fs::metadata(home) {
        Ok(known) => known.uid() == user,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    home.filter(|home| is_ours(home))
        .map(Path::to_owned)
        .or_else(|| home_of(user, &fs::read_to_string("/etc/passwd").ok()?))
}

/// Returns the home of a user by their number, from the text of `/etc/passwd` (passwd(5)).
fn home_of(user: u32, passwd: &str) -> Option<PathBuf> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let number: u32 = fields.next()?.parse().ok()?;
        let home = fields.nth(2)?;
        (number == user && !home.is_empty()).then(|| PathBuf::from(home))
    })
}

/// Links everything in one home into another, except git's configuration.
fn link_all(from: &Path, to: &Path) -> Result<(), Error> {
    // A home that is not there, or that cannot be listed, has nothing that would be missed.
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name != GIT_CONFIG {
            let link = to.join(name);
            symlink(entry.path(), &link).map_err(|source| Error::file(&link, source))?;
        }
    }
    Ok(())
}

/// Appends a value to the text of a configuration of git (git-config(1), "Syntax").
fn set(config: &mut Vec<u8>, section: &str, name: &str, value: &Path) {
    config.extend_from_slice(format!("[{section}]\n\t{name} = \"").as_bytes());
    for byte in value.as_os_str().as_bytes() {
        match byte {
            b'\n' => config.extend_from_slice(b"\\n"),
            b'"' | b'\\' => config.extend_from_slice(&[b'\\', *byte]),
            _ => config.push(*byte),
        }
    }
    config.extend_from_slice(b"\"\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &Path)]) -> ChildEnvironment {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        ChildEnvironment::new(variables, &[], &[]).0
    }

    #[test]
    fn everything_but_gits_configuration_is_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let (user, home) = (dir.path().join("user"), dir.path().join("home"));
        fs::create_dir_all(user.join(".ssh")).unwrap();
        fs::write(user.join(".netrc"), "machine forge.example").unwrap();
        fs::write(user.join(GIT_CONFIG), "[user]\n\tname = Alice\n").unwrap();
        let elsewhere = Path::new("/elsewhere");
        let before = environment(&[("HOME", &user), ("XDG_CACHE_HOME", elsewhere)]);
        let odd = PathBuf::from("/srv/a \"fleet\"\\ # of\nmine");
        let after = furnish(&before, std::slice::from_ref(&odd), &home).unwrap();

        assert_eq!(after.get("HOME"), Some(home.as_os_str()));
        assert_eq!(after.get("XDG_CACHE_HOME"), Some(elsewhere.as_os_str()));
        for (name, below) in &DIRECTORIES[1..] {
            assert_eq!(after.get(name), Some(user.join(below).as_os_str()));
        }
        assert_eq!(fs::read_link(home.join(".ssh")).unwrap(), user.join(".ssh"));
        assert_eq!(
            fs::read(home.join(".netrc")).unwrap(),
            b"machine forge.example"
        );
        let config = git2::Config::open(&home.join(GIT_CONFIG)).unwrap();
        assert_eq!(config.get_string("user.name").unwrap(), "Alice");
        let safe = config.get_path("safe.directory").unwrap();
        assert_eq!(safe, odd);
    }

    #[test]
    fn a_home_that_is_not_there_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let user = dir.path().join("user");
        let trusted = [PathBuf::from("/srv/fleet")];
        for (name, variables) in [("a", vec![("HOME", user.as_path())]), ("b", Vec::new())] {
            let home = dir.path().join(name);
            let after = furnish(&environment(&variables), &trusted, &home).unwrap();
            assert_eq!(after.get("HOME"), Some(home.as_os_str()));
            assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
        }
    }

    #[test]
    fn the_list_of_users_has_the_home() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nodd\n+::::::\nrunner:x:1001:118:a, b:/home/runner:/bin/bash\nno:x:7:7:::\n";
        assert_eq!(home_of(0, passwd), Some("/root".into()));
        assert_eq!(home_of(1001, passwd), Some("/home/runner".into()));
        assert_eq!(home_of(7, passwd), None);
        assert_eq!(home_of(100, passwd), None);
    }
}
