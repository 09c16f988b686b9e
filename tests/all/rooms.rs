//! The rooms of `src/` and who may import whom.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms it may import. `main` is the binary; `lib` declares the rooms and imports none.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("cli", &[]),
    ("config", &["cli"]),
    ("command", &[]),
    ("closure", &[]),
    ("flake", &[]),
    ("nix", &["command", "closure", "flake"]),
    ("report", &["closure", "flake"]),
    ("git", &["command"]),
    ("forge", &["git"]),
    (
        "pipeline",
        &[
            "cli", "config", "command", "closure", "flake", "nix", "report", "git", "forge", "exit",
        ],
    ),
    (
        "exit",
        &[
            "command", "config", "flake", "forge", "git", "nix", "report", "pipeline",
        ],
    ),
    ("lib", &[]),
    (
        "main",
        &[
            "cli", "config", "command", "exit", "manual", "pipeline", "report", "log",
        ],
    ),
    // Of the binary: how the log and the progress look, and what is printed for packagers and readers.
    ("log", &["cli", "config", "exit", "pipeline", "report"]),
    ("manual", &["cli", "config", "exit"]),
];

/// What a room may not reach for, however it is spelled.
const MAY_NOT_NAME: &[(&str, &[&str])] = &[
    (
        "closure",
        &[
            "std::fs", "std::io", "tokio", "async fn", "anstyle", "tracing",
        ],
    ),
    ("flake", &["std::fs", "std::io", "tokio", "async fn"]),
    (
        "report",
        &["std::fs", "tokio", "async fn", "git2", "reqwest"],
    ),
    ("cli", &["std::fs", "std::env"]),
    (
        "pipeline",
        &[
            "reqwest",
            "octocrab",
            "rusqlite",
            "git2::",
            "\\x1b",
            "std::process",
        ],
    ),
    ("git", &["reqwest", "octocrab"]),
    ("manual", &["std::fs", "std::env"]),
    ("forge", &["git2", "std::fs", "std::process"]),
];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source file's room and its text, without its unit tests: those may use whatever they compare with.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    assert!(found.len() > 20, "the sources were not found");
    found
        .into_iter()
        .filter(|path| {
            !path
                .iter()
                .any(|part| part == "tests" || part == "tests.rs")
        })
        .map(|path| {
            let below = path.strip_prefix(&src).unwrap();
            let room = below
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_string_lossy();
            let room = room.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
            // Comments may speak of anything.
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            (room, path, code)
        })
        .collect()
}

#[test]
fn rooms_import_only_what_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let rooms: Vec<&str> = allowed.keys().copied().collect();
    let mut wrong = Vec::new();
    let mut imports = 0;
    for (room, path, text) in sources() {
        let Some(allowed) = allowed.get(room.as_str()) else {
            panic!(
                "{} is in no room: give `{room}` a line in the table",
                path.display()
            );
        };
        for prefix in ["crate::", "flake_herald::"] {
            for piece in text.split(prefix).skip(1) {
                // `use crate::{a, b}` would hide its rooms from this test and from a reader.
                assert!(
                    !piece.starts_with('{'),
                    "{}: import each room on a line of its own",
                    path.display()
                );
                let name: String = piece
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if rooms.contains(&name.as_str()) {
                    imports += 1;
                    if name != room && !allowed.contains(&name.as_str()) {
                        wrong.push(format!(
                            "{}: `{room}` may not import `{name}`",
                            path.display()
                        ));
                    }
                }
            }
        }
    }
    assert!(imports > 30, "the imports were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_name_nothing_they_may_not_know() {
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        for (_, words) in MAY_NOT_NAME.iter().filter(|(name, _)| *name == room) {
            for word in *words {
                if text.contains(word) {
                    wrong.push(format!(
                        "{}: `{room}` may not know `{word}`",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_test_file_is_forgotten() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all");
    let main = fs::read_to_string(dir.join("main.rs")).unwrap();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name != "main" && !name.starts_with('.') {
            assert!(
                main.contains(&format!("mod {name};")),
                "{name} is in no test run"
            );
        }
    }
}
