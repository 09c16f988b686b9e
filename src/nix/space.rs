//! How much room the store's disk has.

use std::io;
use std::path::{Path, PathBuf};

/// Returns how many bytes of the file system that holds `dir` are free for everybody; where `dir` is not there yet, of the one that
/// holds its nearest parent.
///
/// # Errors
///
/// The system cannot say.
pub fn free_space(dir: &Path) -> io::Result<u64> {
    for dir in dir.ancestors() {
        match rustix::fs::statvfs(dir) {
            Ok(found) => return Ok(found.f_bavail.saturating_mul(found.f_frsize)),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Returns the directory that holds the paths of a store which stands under `store_dir`, by Nix's setting `store`; none where
/// that is no directory of this machine.
pub(super) fn place(store: &str, store_dir: &str) -> Option<PathBuf> {
    match store {
        "" | "auto" | "local" | "daemon" => Some(PathBuf::from(store_dir)),
        _ if store.starts_with("unix://") && !store.contains('?') => Some(PathBuf::from(store_dir)),
        // A store of its own below a directory, as `nix --store DIR` has it.
        _ if store.starts_with('/') && !store.contains('?') => {
            Some(Path::new(store).join(store_dir.trim_start_matches('/')))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_yet_has_the_space_of_its_parent() {
        let here = tempfile::tempdir().unwrap();
        let free = free_space(here.path()).unwrap();
        assert!(free > 0);
        assert!(free_space(&here.path().join("a/b/c")).unwrap() > 0);
        let file = here.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(free_space(&file.join("below")).is_err());
    }

    #[test]
    fn only_a_store_of_this_machine_has_a_place() {
        let table: Vec<String> = [
            "auto",
            "daemon",
            "local",
            "unix:///run/nix/socket",
            "/mnt/other",
            "ssh-ng://builder",
            "https://cache.example.org",
            "local?root=/mnt",
        ]
        .iter()
        .map(|store| format!("{store} {:?}", place(store, "/nix/store")))
        .collect();
        insta::assert_snapshot!(table.join("\n"), @r#"
        auto Some("/nix/store")
        daemon Some("/nix/store")
        local Some("/nix/store")
        unix:///run/nix/socket Some("/nix/store")
        /mnt/other Some("/mnt/other/nix/store")
        ssh-ng://builder None
        https://cache.example.org None
        local?root=/mnt None
        "#);
    }
}
