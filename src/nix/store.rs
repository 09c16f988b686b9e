//! Reading closures from the store, through commands that print the same in every version.

use std::io::{self, Read as _};
use std::path::Path;

use crate::closure::{Graph, GraphBuilder, Record, StorePath};

use super::{Nix, NixError, call};

impl Nix {
    /// Returns the graph of everything that `roots` refer to, from two calls whatever their number.
    ///
    /// # Errors
    ///
    /// A root is not in the store, Nix fails, or its answers contradict each other: never a part of a closure.
    pub async fn graph(&self, roots: &[&StorePath]) -> Result<Graph, NixError> {
        let paths = self.run(&call::requisites(&self.options, roots)).await?;
        let dump = self
            .run(&call::dump_db(&self.options, paths.stdout))
            .await?;
        parse_dump(&dump.stdout)
    }

    /// Returns the paths that users select packages through: what the links `sw` of a system and `home-path` of a home-manager
    /// generation point to. A link that leads elsewhere is somebody's own, and selects nothing.
    ///
    /// # Errors
    ///
    /// A link cannot be read.
    pub fn selecting_paths(&self, root: &StorePath) -> Result<Vec<StorePath>, NixError> {
        let mut found = Vec::new();
        for name in ["sw", "home-path"] {
            let link = Path::new(root.as_str()).join(name);
            match std::fs::read_link(&link) {
                Ok(target) => found.extend(StorePath::parse(&target.to_string_lossy())),
                // EINVAL: it is there, but no link.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound
                            | io::ErrorKind::NotADirectory
                            | io::ErrorKind::InvalidInput
                    ) => {}
                Err(source) => {
                    return Err(NixError::File {
                        path: link.display().to_string(),
                        source,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Returns what the kernel of a NixOS system is started with: the text of its file `kernel-params`. None where the root is not on
    /// disk, has no such file, or one that no kernel would take.
    pub fn kernel_params(&self, root: &StorePath) -> Option<String> {
        // Kernels take 2 to 4 KiB.
        const LIMIT: u64 = 64 << 10;
        let file = Path::new(root.as_str()).join("kernel-params");
        // What is no file could be read without end.
        let is_file = std::fs::symlink_metadata(&file).ok()?.is_file();
        let mut text = String::new();
        let read = std::fs::File::open(&file)
            .ok()
            .filter(|_| is_file)?
            .take(LIMIT + 1)
            .read_to_string(&mut text);
        let length = u64::try_from(read.ok()?).ok()?;
        (length <= LIMIT).then_some(text)
    }
}

/// Reads `nix-store --dump-db`: for each path a line each of path, hash, size of its archive, deriver (may be
/// empty), number of references, and the references.
fn parse_dump(text: &[u8]) -> Result<Graph, NixError> {
    let broken = |error: &dyn std::fmt::Display| NixError::Store(error.to_string());
    let text = std::str::from_utf8(text).map_err(|error| broken(&error))?;
    let mut lines = text.lines();
    let mut builder = GraphBuilder::new();
    while let Some(path) = lines.next() {
        let mut next = |what: &str| {
            lines.next().ok_or_else(|| {
                NixError::Store(format!("the record of {path} ends before its {what}"))
            })
        };
        next("hash")?;
        let nar_size = number(next("size")?)?;
        let deriver = next("deriver")?;
        let count: usize = number(next("number of references")?)?;
        let references = (0..count)
            .map(|_| next("references"))
            .collect::<Result<_, _>>()?;
        let record = Record {
            path,
            nar_size,
            deriver: (!deriver.is_empty()).then_some(deriver),
            references,
        };
        builder.add(&record).map_err(|error| broken(&error))?;
    }
    builder.finish().map_err(|error| broken(&error))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, NixError> {
    text.parse()
        .map_err(|_not_a_number| NixError::Store(format!("`{text}` should be a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read_whole_or_not_at_all() {
        for dump in [
            include_str!("../../fixtures/nix/2.26.3/dump-db.out"),
            include_str!("../../fixtures/nix/2.34.8/dump-db.out"),
        ] {
            let graph = parse_dump(dump.as_bytes()).unwrap();
            assert_eq!(graph.len(), 41);
            // A dump that ends early lacks a line, or a path that another one refers to; or it
            // ends with a record, and then the root, which comes last, is missing.
            let lines: Vec<&str> = dump.lines().collect();
            let mut whole = 0;
            for cut in 1..lines.len() {
                let text = lines[..cut].join("\n");
                if let Ok(part) = parse_dump(text.as_bytes()) {
                    assert!(part.len() < graph.len());
                    whole += 1;
                }
            }
            assert!(whole < graph.len());
        }
        assert!(parse_dump(b"\xff").is_err());
        assert!(parse_dump(b"/nix/store/x\nh\n1\n\n0\n").is_err());
        assert!(
            parse_dump(b"/nix/store/00000000000000000000000000000000-x\nh\nmany\n\n0\n").is_err()
        );
        assert_eq!(parse_dump(b"").unwrap().len(), 0);
    }
}
