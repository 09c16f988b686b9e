//! From what a user calls a closure to its store path: links, profiles and their generations.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::closure::StorePath;

/// How many links are followed, as the kernel does (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// To a store path.
    To(StorePath),
    /// To something inside of a store path.
    Inside(StorePath),
    /// To something outside of a store.
    Elsewhere(PathBuf),
    /// To nothing: this is not there.
    Nowhere(PathBuf),
}

/// Follows the links of `path` until it comes to a store path.
///
/// Neither the store directory nor a store path need be there: a chroot store has its paths somewhere else, and what was collected
/// as garbage is still known by its name. A store path that is a link itself is not followed.
///
/// # Errors
///
/// A directory cannot be read, or links lead in a circle.
pub fn follow(path: &Path) -> io::Result<Leads> {
    let mut rest: VecDeque<OsString> = VecDeque::new();
    prepend(&mut rest, &std::path::absolute(path)?);
    let mut at = begin(&mut rest);
    let mut links = 0;
    loop {
        if let Some(found) = store_path(&at).filter(|_| rest.is_empty()) {
            return Ok(Leads::To(found));
        }
        let kind = match std::fs::symlink_metadata(&at) {
            Ok(known) => known.file_type(),
            Err(error) if is_missing(&error) => {
                at.extend(rest);
                return Ok(match inside(&at) {
                    Some(path) => Leads::Inside(path),
                    None => Leads::Nowhere(at),
                });
            }
            Err(error) => return Err(error),
        };
        if kind.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = std::fs::read_link(&at)?;
            prepend(&mut rest, &target);
            if target.is_absolute() {
                at = begin(&mut rest);
            } else {
                at.pop();
            }
        }
        match rest.pop_front() {
            Some(name) if name == ".." => drop(at.pop()),
            Some(name) => at.push(name),
            None if kind.is_symlink() => {}
            None => {
                return Ok(match inside(&at) {
                    Some(path) => Leads::Inside(path),
                    None => Leads::Elsewhere(at),
                });
            }
        }
    }
}

/// Puts the names that `path` is made of before `rest`.
fn prepend(rest: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(_) | Component::ParentDir => {
                rest.push_front(part.as_os_str().to_owned());
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// Returns where to begin to follow an absolute path: at the store path in it where there is one, whose directories may be links
/// that Nix does not name; else at the root.
fn begin(rest: &mut VecDeque<OsString>) -> PathBuf {
    let mut at = PathBuf::from("/");
    for (index, name) in rest.iter().enumerate() {
        if name == ".." {
            break;
        }
        at.push(name);
        if store_path(&at).is_some() {
            rest.drain(..=index);
            return at;
        }
    }
    PathBuf::from("/")
}

fn store_path(path: &Path) -> Option<StorePath> {
    StorePath::parse(path.to_str()?).ok()
}

/// Returns the store path that `path` is inside of.
fn inside(path: &Path) -> Option<StorePath> {
    path.ancestors().find_map(store_path)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The profile that a system of NixOS or nix-darwin is switched by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemProfile {
    /// The directory of its generations, each the link `system-NUMBER-link`.
    pub dir: PathBuf,
}

impl SystemProfile {
    /// Returns the profile of the machine whose Nix has `NIX_STATE_DIR` set to `state_dir`.
    pub fn new(state_dir: Option<&OsStr>) -> Self {
        let state_dir = state_dir.unwrap_or_else(|| OsStr::new("/nix/var/nix"));
        Self {
            dir: Path::new(state_dir).join("profiles"),
        }
    }

    /// Returns the link of a generation, which need not be there.
    pub fn generation(&self, number: u64) -> PathBuf {
        self.dir.join(format!("system-{number}-link"))
    }

    /// Returns the numbers of the generations that there are, in order; none where the directory cannot be listed.
    pub fn generations(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = std::fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let number = name.to_str()?.strip_prefix("system-")?;
                number.strip_suffix("-link")?.parse().ok()
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    const A: &str = "/nix/store/00000000000000000000000000000000-a";

    #[test]
    fn links_are_followed_to_the_first_store_path() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let store = dir.join("store");
        let real = store.join("00000000000000000000000000000000-real");
        let link = store.join("00000000000000000000000000000000-link");
        fs::create_dir_all(real.join("bin")).unwrap();
        fs::create_dir_all(dir.join("profiles")).unwrap();
        fs::write(dir.join("file"), "").unwrap();
        symlink("bin", real.join("sbin")).unwrap();
        symlink(&link, real.join("sw")).unwrap();
        symlink(&real, &link).unwrap();
        symlink(&store, dir.join("other-store")).unwrap();
        for (name, target) in [
            ("system-1-link", A),
            ("system", "system-1-link"),
            ("gone", "/nowhere/at/all"),
            ("loop", "loop"),
            ("up", "../profiles/system"),
            ("file", "../file"),
        ] {
            symlink(target, dir.join("profiles").join(name)).unwrap();
        }
        symlink("profiles/system", dir.join("result")).unwrap();
        symlink(&real, dir.join("real")).unwrap();
        symlink(dir.join("real"), dir.join("re\u{e9}l")).unwrap();
        symlink(&real, dir.join(OsStr::from_bytes(b"re\xffl"))).unwrap();

        let at = |path: &str| dir.join(path).to_str().unwrap().to_owned();
        let said = |path: &Path| match follow(path) {
            Ok(leads) => format!("{leads:?}").replace(dir.to_str().unwrap(), "DIR"),
            Err(error) => error.to_string(),
        };
        let mut table: Vec<String> = [
            A.to_owned(),
            format!("{A}/"),
            format!("{A}/bin/x"),
            format!("{A}/../00000000000000000000000000000000-b"),
            "/nix/store/x".to_owned(),
            at("result"),
            at("result/"),
            at("./profiles//up"),
            at("profiles/gone"),
            at("profiles/loop"),
            at("profiles/file"),
            at("profiles/file/x"),
            at("profiles"),
            at("missing"),
            at("real"),
            at("re\u{e9}l"),
            at("real/bin"),
            at("real/sbin"),
            at("real/sw"),
            at("real/sw/bin"),
            at("real/../real/../../file"),
            at("store/00000000000000000000000000000000-link"),
            at("other-store/00000000000000000000000000000000-real"),
        ]
        .iter()
        .map(|path| {
            let shown = path.replace(dir.to_str().unwrap(), "DIR");
            format!("{shown}: {}", said(Path::new(path)))
        })
        .collect();
        table.push(said(&dir.join(OsStr::from_bytes(b"re\xffl"))));
        insta::assert_snapshot!(table.join("\n"), @r#"
        /nix/store/00000000000000000000000000000000-a: To("/nix/store/00000000000000000000000000000000-a")
        /nix/store/00000000000000000000000000000000-a/: To("/nix/store/00000000000000000000000000000000-a")
        /nix/store/00000000000000000000000000000000-a/bin/x: Inside("/nix/store/00000000000000000000000000000000-a")
        /nix/store/00000000000000000000000000000000-a/../00000000000000000000000000000000-b: Inside("/nix/store/00000000000000000000000000000000-a")
        /nix/store/x: Nowhere("/nix/store/x")
        DIR/result: To("/nix/store/00000000000000000000000000000000-a")
        DIR/result/: To("/nix/store/00000000000000000000000000000000-a")
        DIR/./profiles//up: To("/nix/store/00000000000000000000000000000000-a")
        DIR/profiles/gone: Nowhere("/nowhere/at/all")
        DIR/profiles/loop: Too many levels of symbolic links (os error 40)
        DIR/profiles/file: Elsewhere("DIR/file")
        DIR/profiles/file/x: Nowhere("DIR/file/x")
        DIR/profiles: Elsewhere("DIR/profiles")
        DIR/missing: Nowhere("DIR/missing")
        DIR/real: To("DIR/store/00000000000000000000000000000000-real")
        DIR/reél: To("DIR/store/00000000000000000000000000000000-real")
        DIR/real/bin: Inside("DIR/store/00000000000000000000000000000000-real")
        DIR/real/sbin: Inside("DIR/store/00000000000000000000000000000000-real")
        DIR/real/sw: To("DIR/store/00000000000000000000000000000000-link")
        DIR/real/sw/bin: Inside("DIR/store/00000000000000000000000000000000-link")
        DIR/real/../real/../../file: Nowhere("DIR/store/real/../../file")
        DIR/store/00000000000000000000000000000000-link: To("DIR/store/00000000000000000000000000000000-link")
        DIR/other-store/00000000000000000000000000000000-real: To("DIR/other-store/00000000000000000000000000000000-real")
        To("DIR/store/00000000000000000000000000000000-real")
        "#);
        assert!(follow(Path::new("")).is_err());
    }

    #[test]
    fn generations_are_the_links_with_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let profile = SystemProfile::new(Some(dir.path().as_os_str()));
        assert_eq!(profile.generations(), [] as [u64; 0]);
        fs::create_dir(&profile.dir).unwrap();
        for name in [
            "system-9-link",
            "system-10-link",
            "system",
            "system-x-link",
            "default-3-link",
            "system-3-link.tmp",
        ] {
            symlink(A, profile.dir.join(name)).unwrap();
        }
        assert_eq!(profile.generations(), [9, 10]);
        assert_eq!(
            follow(&profile.generation(9)).unwrap(),
            Leads::To(StorePath::parse(A).unwrap())
        );
        assert_eq!(
            SystemProfile::new(None).generation(1),
            Path::new("/nix/var/nix/profiles/system-1-link")
        );
    }
}
