//! The order of versions, beside that of a real Nix.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use flake_herald::closure::version::order;

use crate::support::TestEnv;

type Rewriting = fn(&str) -> String;

/// In what ours differs from Nix, as rewritings, one after the other, of what Nix does not know into what it does.
const REWRITINGS: &[(&str, Rewriting)] = &[
    ("the v of a tag", without_v),
    ("punctuation", hyphens),
    ("words before a release", only_pre),
];

fn without_v(version: &str) -> String {
    let number = version
        .strip_prefix('v')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    number.unwrap_or(version).to_owned()
}

fn hyphens(version: &str) -> String {
    version.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Nix knows no word before a release but `pre`; a number after it says which of ours it was.
fn only_pre(version: &str) -> String {
    const WORDS: &[(&str, u8)] = &[
        ("dev", 0),
        ("nightly", 0),
        ("snapshot", 0),
        ("alpha", 1),
        ("beta", 2),
        ("pre", 3),
        ("preview", 3),
        ("rc", 4),
    ];
    let words = version.split('-').map(|word| {
        let items: Vec<&str> = word
            .as_bytes()
            .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
            .map(|item| std::str::from_utf8(item).unwrap())
            .collect();
        let rank = |at: usize| match items[at].to_ascii_lowercase().as_str() {
            letter @ ("a" | "b") if items[at] == letter => {
                let between = at > 0 && at + 1 < items.len();
                between.then_some(if letter == "a" { 1 } else { 2 })
            }
            word => WORDS
                .iter()
                .find(|(known, _)| *known == word)
                .map(|(_, rank)| *rank),
        };
        let item = |at: usize| match rank(at) {
            Some(rank) => format!("pre-{rank}"),
            None => items[at].to_owned(),
        };
        (0..items.len()).map(item).collect::<Vec<_>>().join("-")
    });
    words.collect::<Vec<_>>().join("-")
}

/// Returns whether some item is a Git hash.
fn has_hash(version: &str) -> bool {
    version
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|item| {
            let item = item.strip_prefix(['g', 'v']).unwrap_or(item);
            (7..=40).contains(&item.len())
                && item.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && item.bytes().any(|b| b.is_ascii_digit())
                && item.bytes().any(|b| b.is_ascii_alphabetic())
        })
}

/// Returns whether some number does not fit into 32 bits, which makes it a word to Nix.
fn has_long_number(version: &str) -> bool {
    version
        .split(|c: char| !c.is_ascii_digit())
        .any(|number| !number.is_empty() && number.parse::<i32>().is_err())
}

/// The versions of the fixtures.
fn real() -> BTreeSet<String> {
    let names: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../fixtures/closure/store-names.json")).unwrap();
    let of_names = names.iter().filter_map(|row| row["version"].as_str());
    let of_pairs = include_str!("../../fixtures/closure/version-pairs.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split('|').take(2).map(str::trim));
    of_names.chain(of_pairs).map(str::to_owned).collect()
}

/// Pairs of versions, the same ones every time.
fn made_up(count: usize) -> Vec<(String, String)> {
    let item = proptest::string::string_regex(
        "[0-9]{1,3}|[0-9]{1,3}|[ab]|p|rc|RC|pre|dev|alpha|git|v|[0-9a]{7,8}|99999999999?",
    );
    let version = proptest::collection::vec((item.unwrap(), "[-._+]?"), 0..5)
        .prop_map(|items| items.into_iter().map(|(a, b)| a + &b).collect::<String>())
        .boxed();
    let mut runner = TestRunner::deterministic();
    let pair = (version.clone(), version);
    (0..count)
        .map(|_| pair.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// Asks Nix how the versions of each pair stand to each other.
fn ask(env: &TestEnv, pairs: &[(String, String)]) -> Vec<Ordering> {
    env.write("pairs.json", serde_json::to_string(pairs).unwrap());
    env.write(
        "pairs.nix",
        "with builtins; map (p: compareVersions (elemAt p 0) (elemAt p 1)) (fromJSON (readFile ./pairs.json))",
    );
    let mut command = env.command("nix-instantiate");
    command.args(["--eval", "--strict", "--json", "pairs.nix"]);
    let said = env.output(&mut command).success().stdout;
    let said: Vec<i64> = serde_json::from_str(&said).unwrap();
    assert_eq!(said.len(), pairs.len());
    said.into_iter().map(|order| order.cmp(&0)).collect()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn nix_orders_versions_alike_but_for_a_few_kinds() {
    let real = real();
    let all = || real.iter().map(String::as_str);
    let mut pairs = made_up(8_000);
    let both = all().flat_map(|a| all().map(move |b| (a, b)));
    pairs.extend(
        both.filter(|(a, b)| a < b)
            .map(|(a, b)| (a.to_owned(), b.to_owned())),
    );

    let env = TestEnv::new();
    let mut rewritten = pairs.clone();
    let mut said = vec![ask(&env, &rewritten)];
    for (_, rewrite) in REWRITINGS {
        for (a, b) in &mut rewritten {
            (*a, *b) = (rewrite(a), rewrite(b));
        }
        said.push(ask(&env, &rewritten));
    }

    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (at, (a, b)) in pairs.iter().enumerate() {
        let ours = order(Some(a), Some(b));
        // Where Nix says equal, the versions are so by value.
        let last_other = (0..said.len())
            .rev()
            .find(|step| said[*step][at] != ours.unwrap_or(Ordering::Equal));
        let either = |has: fn(&str) -> bool| has(a) || has(b);
        let kind = match last_other {
            None if ours.is_none() => "equal by value, not as text",
            None => "agreed",
            Some(step) if step < REWRITINGS.len() => REWRITINGS[step].0,
            Some(_) if ours.is_none() && either(has_hash) => "a hash",
            Some(_) if either(has_long_number) => "long numbers",
            Some(_) => {
                wrong.push((a, b, ours));
                continue;
            }
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {}: {:#?}",
        wrong.len(),
        pairs.len(),
        &wrong[..wrong.len().min(20)]
    );
    let names: Vec<&str> = kinds.keys().copied().collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    a hash
    agreed
    equal by value, not as text
    long numbers
    punctuation
    the v of a tag
    words before a release
    ");
}
