//! What is made from the types: that `docs/` has it as the program prints it, and that shells take it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flake_herald::cli::Command;

use crate::support::TestEnv;

/// If this variable is set, the files are written instead of compared.
const WRITE: &str = "FLAKE_HERALD_WRITE_GENERATED";

/// Each file in `docs/`, and what `flake-herald generate` is asked for to have it.
fn files() -> BTreeMap<String, Vec<&'static str>> {
    let mut files: BTreeMap<String, Vec<&'static str>> = [
        ("configuration.md", "configuration"),
        ("completions/flake-herald.bash", "bash"),
        ("completions/flake-herald.fish", "fish"),
        ("completions/_flake-herald", "zsh"),
        ("man/flake-herald.1", "man"),
    ]
    .map(|(file, what)| (file.to_owned(), vec![what]))
    .into();
    for command in Command::ALL {
        let name = command.name();
        files.insert(format!("man/flake-herald-{name}.1"), vec!["man", name]);
    }
    files
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests asks for it"
)]
fn writes() -> bool {
    std::env::var_os(WRITE).is_some_and(|value| !value.is_empty())
}

#[test]
fn the_files_in_docs_are_what_the_program_prints() {
    let env = TestEnv::new();
    let mut old = Vec::new();
    for (file, args) in files() {
        let made = env.run([vec!["generate"], args].concat()).success();
        assert_eq!(made.stderr, "", "{file}");
        // roff without help reads nothing else.
        assert!(
            !file.starts_with("man/") || made.stdout.is_ascii(),
            "{file}"
        );
        let path = docs().join(&file);
        if writes() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &made.stdout).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != made.stdout {
            old.push(file);
        }
    }
    assert!(
        old.is_empty(),
        "not what the program prints now: {}\n{WRITE}=1 cargo test --test all generated:: writes them anew",
        old.join(", ")
    );
    for dir in ["completions", "man"] {
        for entry in fs::read_dir(docs().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                files().contains_key(&format!("{dir}/{name}")),
                "docs/{dir}/{name} is made by nothing"
            );
        }
    }
}

#[test]
fn generate_is_no_command_for_users() {
    let env = TestEnv::new();
    let help = env.run(["--help"]).success();
    assert!(!help.stdout.contains("generate"), "{help}");
    for (file, args) in files() {
        let made = env.run([vec!["generate"], args].concat()).success();
        assert!(
            file == "configuration.md" || !made.stdout.contains("generate"),
            "{file} speaks of it"
        );
    }
    for args in [
        &["generate"][..],
        &["generate", "html"],
        &["generate", "man", "reprot"],
        &["generate", "bash", "run"],
    ] {
        let output = env.run(args).code(1);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.starts_with("error: "), "{output}");
    }
    let output = env.run(["generate", "--help"]).success();
    let usage = "Usage: flake-herald generate <WHAT> [COMMAND]";
    assert!(output.stdout.contains(usage), "{output}");
    assert_eq!(output.stderr, "");
}

#[test]
fn exit_codes_of_the_man_page_are_those_that_are_documented() {
    let text = fs::read_to_string(docs().join("exit-codes.md")).unwrap();
    let codes = flake_herald::exit::OF_REPORTS.iter();
    let mut rows: Vec<String> = codes.map(|(code, _)| code.to_string()).collect();
    let signals = flake_herald::exit::OF_SIGNALS.iter();
    let signals: Vec<String> = signals.map(|(code, _)| code.to_string()).collect();
    rows.push(signals.join(", "));
    for row in rows {
        assert!(text.contains(&format!("\n| {row} |")), "no row for {row}");
    }
}

/// Returns what bash offers behind these words.
fn completed(env: &TestEnv, words: &[&str]) -> Vec<String> {
    let script = r#"
        # Only bash itself, completing, can change how what is offered is shown.
        compopt() { :; }
        . "$1"
        shift
        spec=$(complete -p flake-herald)
        [[ $spec =~ -F\ ([^ ]+) ]]
        COMP_WORDS=(flake-herald "$@")
        COMP_CWORD=$#
        COMP_LINE="flake-herald $*"
        COMP_POINT=${#COMP_LINE}
        last=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
        "${BASH_REMATCH[1]}" flake-herald "$last" "$before"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = env.command("bash");
    bash.args(["--norc", "-c", script, "bash"])
        .arg(docs().join("completions/flake-herald.bash"))
        .args(words);
    let out = env.output(&mut bash).success();
    assert_eq!(out.stderr, "");
    out.stdout.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_words_and_files() {
    let env = TestEnv::new();
    let script = docs().join("completions/flake-herald.bash");
    let _parsed = env
        .output(env.command("bash").arg("-n").arg(script))
        .success();
    assert_eq!(completed(&env, &["re"]), ["report"]);
    assert_eq!(
        completed(&env, &["report", "--exclude-"]),
        ["--exclude-host", "--exclude-input"]
    );
    assert_eq!(
        completed(&env, &["run", "--fail-on", ""]),
        ["broken", "any", "never"]
    );
    assert_eq!(
        completed(&env, &["hosts", "--format", ""]),
        ["text", "json"]
    );
    env.write("new.lock", "");
    assert_eq!(completed(&env, &["report", "--lock", "new"]), ["new.lock"]);
    // Behind a command nothing is offered but its flags, and then bash's own default counts, which is files.
    assert_eq!(completed(&env, &["snapshot", "new"]), [""; 0]);
    let text = fs::read_to_string(docs().join("completions/flake-herald.bash")).unwrap();
    assert!(text.contains("-o default flake-herald\n"));
    // What does nothing yet is not offered.
    assert_eq!(completed(&env, &["run", "--cache-"]), [""; 0]);
    assert_eq!(completed(&env, &["report", "--store-reader", "d"]), [""; 0]);
}
