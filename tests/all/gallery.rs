//! The bodies that `docs/report` shows are those that the program writes of the systems in `fixtures/systems`.

// The systems are of this kind, and what is of another cannot be built.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::support::TestEnv;

/// If this variable is set, the bodies are written instead of compared.
const WRITE: &str = "FLAKE_HERALD_WRITE_GALLERY";

/// The digits of Nix's base 32.
const BASE32: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// How many letters fit into a line on a phone 390 pixels wide, and how many lines below a forge's own head.
const PHONE: (usize, usize) = (46, 24);

/// Bodies, how the program ends with each, and what of it stands on a phone's first screen: what breaks, whether something must
/// reboot, what moves, how big it is.
const GALLERY: [(&str, i32, &[&str]); 6] = [
    ("quiet-day", 0, &["4 hosts", "reboot", "thunderbird", "iB"]),
    ("kernel-update", 0, &["3 hosts", "reboot", "linux", "iB"]),
    ("mass-rebuild", 0, &["3 hosts", "reboot", "glibc", "iB"]),
    ("broken-host", 4, &["magpie", "wren", "reboot", "iB"]),
    ("everything-broken", 4, &["6", "broken", "openssl"]),
    ("40-hosts", 4, &["40 hosts", "db-07", "reboot", "iB"]),
];

#[test]
#[ignore = "needs nix: run scripts/test"]
fn the_gallery_shows_what_is_posted() {
    let env = TestEnv::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let systems = env.dir().join("systems");
    let _made = env
        .output(
            env.command(root.join("fixtures/systems/make.py"))
                .arg(&systems),
        )
        .success();
    let mut wrong = Vec::new();
    for (name, code, answers) in GALLERY {
        let fleet = systems.join(name).join("fleet");
        let args = ["report", "--lock", "../after.lock", "--format", "markdown"];
        let body = settled(&env.run_in(&fleet, args).code(code).stdout, env.dir());
        wrong.extend(faults(name, &body, answers));
        let shown = root.join("docs/report").join(name).with_extension("md");
        if writes() {
            fs::write(&shown, &body).expect("a file of the gallery");
        } else {
            let posted = env.write(name, &body);
            let diff = env.output(env.command("diff").arg("-uN").args([&shown, &posted]));
            if !diff.status.success() {
                wrong.push(format!(
                    "{name}.md is not what is posted; scripts/gallery writes it anew\n{}",
                    diff.stdout
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns what is wrong with a body, whatever it shows.
fn faults(name: &str, body: &str, answers: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    if body.len() >= 60_000 || (name == "40-hosts" && body.len() >= 20_000) {
        faults.push(format!("{name} has {} bytes", body.len()));
    }
    let unfolded = unfolded(body);
    if name == "quiet-day" && unfolded.len() >= 25 {
        faults.push(format!(
            "{name} has {} lines that are not folded",
            unfolded.len()
        ));
    }
    let (columns, lines) = PHONE;
    let mut rows = 0;
    let first_screen: Vec<&str> = unfolded
        .into_iter()
        .take_while(|line| {
            rows += line.chars().count().div_ceil(columns);
            rows <= lines
        })
        .collect();
    let first_screen = first_screen.join("\n").replace("&#45;", "-");
    let lower = first_screen.to_lowercase();
    for answer in answers {
        if !lower.contains(&answer.to_lowercase()) {
            faults.push(format!(
                "{name} does not say {answer:?} on the first screen:\n{first_screen}"
            ));
        }
    }
    faults
}

/// Returns the lines that are seen before anything is opened, less empty ones.
fn unfolded(body: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut seen = Vec::new();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let opens = line.matches("<details").count();
        let closes = line.matches("</details>").count();
        // What opens it is seen.
        if depth == 0 && line != "</details>" {
            seen.push(line);
        }
        depth = (depth + opens).saturating_sub(closes);
    }
    seen
}

/// Returns a body as it is where the store is `/nix/store`. Hashes depend on where the store is, so each has a stand-in, made of
/// the name behind it and the number of hashes that came before it with that name.
fn settled(body: &str, scratch: &Path) -> String {
    let store = scratch.join("nix/store");
    let body = body.replace(&*store.to_string_lossy(), "/nix/store");
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut out = String::new();
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let end = |text: &str, in_word: fn(char) -> bool| {
            text.find(|c| !in_word(c)).unwrap_or(text.len())
        };
        let word = end(rest, |c| c.is_ascii_alphanumeric());
        let (word, behind) = rest.split_at(word);
        let is_hash = word.len() == 32 && word.bytes().all(|byte| BASE32.contains(&byte));
        if let Some(name) = behind.strip_prefix('-').filter(|_| is_hash) {
            let name = &name[..end(name, |c| c.is_ascii_alphanumeric() || "+-._?=".contains(c))];
            let hashes = known.entry(name).or_default();
            let number = hashes.iter().position(|hash| *hash == word);
            let number = number.unwrap_or_else(|| {
                hashes.push(word);
                hashes.len() - 1
            });
            let digest = Sha256::digest(format!("{name} {number}"));
            let digits = digest.iter().map(|byte| BASE32[usize::from(byte % 32)]);
            out.extend(digits.map(char::from));
        } else {
            out.push_str(word);
        }
        let between = behind
            .find(|c: char| c.is_ascii_alphanumeric())
            .unwrap_or(behind.len());
        let (between, next) = behind.split_at(between);
        out.push_str(between);
        rest = next;
    }
    assert!(!out.contains(&*scratch.to_string_lossy()), "{out}");
    out
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether to write the gallery says who runs the test"
)]
fn writes() -> bool {
    std::env::var_os(WRITE).is_some()
}

#[test]
fn what_is_folded_is_not_seen() {
    let body = "## a\n\n<details><summary>b</summary>\n\nc\n<details><summary>d</summary>\ne\n</details>\nf\n</details>\n\ng\n";
    assert_eq!(
        unfolded(body),
        ["## a", "<details><summary>b</summary>", "g"]
    );
}

#[test]
fn hashes_have_stand_ins_that_do_not_depend_on_where_the_store_is() {
    let body = |store: &str, digits: [&str; 2]| {
        let [a, b] = digits.map(|digit| digit.repeat(32));
        format!("{store}/{a}-sudo-1.9 `{b}-sudo-1.9`: {a}-sudo-1.9, sudo-1.9 {a}")
    };
    let here = settled(&body("/here/nix/store", ["x", "y"]), Path::new("/here"));
    let there = settled(
        &body("/over/there/nix/store", ["z", "0"]),
        Path::new("/over/there"),
    );
    // What is no store path stays.
    assert_eq!(
        here.replace(&"x".repeat(32), ""),
        there.replace(&"z".repeat(32), "")
    );
    insta::assert_snapshot!(here, @"/nix/store/abrqig6xvh90lyj5mwxl96a1aclijb4g-sudo-1.9 `crm6acnr5zm4r9mbx8avp96lfjsdhwzl-sudo-1.9`: abrqig6xvh90lyj5mwxl96a1aclijb4g-sudo-1.9, sudo-1.9 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}
