//! The order of versions.
//!
//! A version is a list of items: numbers, words and hashes, compared item by item as Nix's `builtins.compareVersions` does.
//! Punctuation and the change between digits and letters only separate items. A number compares by value, whatever its length,
//! and is above every word; words compare by their bytes; what ends first is below, so that `2.3` is below `2.3a`, `2.3-1` and
//! `2.3-unstable-2024-01-01`. Where this differs from Nix:
//!
//! - Words that mark what comes before a release are below its end: `1.0-rc1` is below `1.0`. Nix knows only `pre` as one.
//! - Every punctuation mark separates. To Nix only `.` and `-` do, and a `+` is a word.
//! - A Git hash is one item. It is above the end, and has no order with anything else that could stand in its place.
//! - A `v` before the first number is left out.
//! - Versions that are equal item by item but not as text have no order: `1.0-2` and `1.0.2`, `1.01` and `1.1`.

use std::cmp::Ordering;

use super::name::{is_date, is_hash};

/// Returns how `a` and `b` stand to each other; none where there is no order: between two hashes, between versions of equal
/// value but other text, and between a version and none.
///
/// It is a partial order: if `a` is below `b` and `b` below `c`, then `a` is below `c`. [`Ordering::Equal`] is for the same text
/// only.
pub fn order(a: Option<&str>, b: Option<&str>) -> Option<Ordering> {
    if a == b {
        return Some(Ordering::Equal);
    }
    let (a, b) = first_difference(a?, b?)?;
    let at_end = |item: &Item<'_>| matches!(item, Item::Before(_) | Item::End);
    let hash = [&a, &b].iter().any(|item| matches!(item, Item::Hash(_)));
    (!hash || at_end(&a) || at_end(&b)).then(|| a.cmp(&b))
}

/// Returns how `a` and `b` are sorted: as [`order`] says, and where there is no order by their text, none first.
///
/// This order is total: it is [`Ordering::Equal`] for the same text only.
pub fn compare(a: Option<&str>, b: Option<&str>) -> Ordering {
    let by_value = match (a, b) {
        (Some(a), Some(b)) => first_difference(a, b).map(|(a, b)| a.cmp(&b)),
        _ => None,
    };
    by_value.unwrap_or(Ordering::Equal).then_with(|| a.cmp(&b))
}

/// An item of a version. The order of the variants is the order of the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Item<'a> {
    /// A word for what comes before a release, by its rank.
    Before(u8),
    /// What stands behind the last item.
    End,
    Word(&'a str),
    /// The count of the digits goes first: without leading zeros, the longer number is the greater one.
    Number(usize, &'a str),
    Hash(&'a str),
}

/// Returns the first items in which `a` and `b` differ.
fn first_difference<'a>(a: &'a str, b: &'a str) -> Option<(Item<'a>, Item<'a>)> {
    let (mut a, mut b) = (Items::of(a), Items::of(b));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (a, b) if a != b => return Some((a.unwrap_or(Item::End), b.unwrap_or(Item::End))),
            _ => {}
        }
    }
}

/// The items of what is left of a version.
struct Items<'a> {
    rest: &'a str,
    /// Whether an item ends where the rest begins, with nothing between them.
    joined: bool,
}

impl<'a> Items<'a> {
    fn of(version: &'a str) -> Self {
        let number = version
            .strip_prefix('v')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        Self {
            rest: number.unwrap_or(version),
            joined: false,
        }
    }

    /// Returns what the rest begins with as long as `is` is true of it, and takes it away.
    fn take(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if !self.take(|c| !c.is_alphanumeric()).is_empty() {
            self.joined = false;
        }
        let first = self.rest.chars().next()?;
        if !self.joined {
            let whole = self.rest;
            let run = self.take(char::is_alphanumeric);
            if is_revision(run) {
                return Some(Item::Hash(run));
            }
            self.rest = whole;
        }
        let joined = std::mem::replace(&mut self.joined, true);
        if first.is_ascii_digit() {
            let digits = self.take(|c| c.is_ascii_digit()).trim_start_matches('0');
            return Some(Item::Number(digits.len(), digits));
        }
        let word = self.take(|c| c.is_alphanumeric() && !c.is_ascii_digit());
        // `1.0b2` is a beta, `1.0b` is not.
        let numbered = joined && self.rest.starts_with(|c: char| c.is_ascii_digit());
        Some(before_release(word, numbered).map_or(Item::Word(word), Item::Before))
    }
}

/// Returns the rank of a word for what comes before a release; `numbered` says whether it stands between two digits.
fn before_release(word: &str, numbered: bool) -> Option<u8> {
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
    match word {
        "a" if numbered => Some(1),
        "b" if numbered => Some(2),
        _ => WORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
            .map(|(_, rank)| *rank),
    }
}

/// Returns whether `run` is a Git hash, also with the `g` that `git describe` puts before it, and not a date with a letter as in
/// `20180525a` and `0a20240131`.
fn is_revision(run: &str) -> bool {
    let dated = |text: Option<&str>| text.is_some_and(|text| is_date(text, ""));
    is_hash(run.strip_prefix('g').unwrap_or(run))
        && !dated(run.get(..8))
        && !dated(run.len().checked_sub(8).and_then(|from| run.get(from..)))
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_of_pairs() {
        let mut rows = 0;
        for line in include_str!("../../fixtures/closure/version-pairs.txt").lines() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            rows += 1;
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let [old, new, want, ..] = columns[..] else {
                panic!("{line}");
            };
            let [old, new] = [old, new].map(|version| (!version.is_empty()).then_some(version));
            let verdict = |old, new| match order(old, new) {
                Some(Less) => "U",
                Some(Greater) => "D",
                Some(Equal) => "=",
                None => "C",
            };
            let back = match want {
                "U" => "D",
                "D" => "U",
                other => other,
            };
            assert_eq!(
                (verdict(old, new), verdict(new, old)),
                (want, back),
                "{line}"
            );
        }
        assert!(rows >= 34, "{rows}");
    }

    #[test]
    fn what_stands_in_no_pair() {
        // From low to high; none has no order with its neighbour.
        let ascending = [
            "1.0.dev1",
            "1.0a1",
            "1.0-alpha2",
            "1.0b1",
            "1.0-BETA2",
            "1.0pre1",
            "1.0-rc1",
            "1.0",
            "1.0a",
            "1.0b",
            "1.0p1",
            "1.0-p2",
            "1.0.post1",
            "1.0-unstable-2024-01-01",
            "1.0-1",
            "1.0_2",
            "1.0.3",
            "v1.0.4",
            "1.0.10",
            "1.0.20180525",
            "1.0.20180525a",
            "1.0.20180525b",
            "1.1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(order(Some(pair[0]), Some(pair[1])), Some(Less), "{pair:?}");
        }
        let unordered = [
            ("1.0-abcdef1", "1.0-abcdef2"),
            ("1.0-abcdef1", "1.0-1"),
            ("1.0-abcdef1", "1.0-20240131"),
            ("1.0+gabcdef1", "1.0+gabcdef2"),
            ("1.0-abcdef1-1", "1.0-abcdef2-2"),
            ("v1.0", "1.0"),
            ("1.0alpha1", "1.0a1"),
            ("", "."),
        ];
        for (a, b) in unordered {
            assert_eq!(order(Some(a), Some(b)), None, "{a} {b}");
            assert_eq!(compare(Some(a), Some(b)), a.cmp(b), "{a} {b}");
        }
        assert_eq!(
            order(Some("1.0-abcdef1-1"), Some("1.0-abcdef1-2")),
            Some(Less)
        );
        assert_eq!(order(Some("1.0"), Some("1.0-abcdef1")), Some(Less));
        assert_eq!(order(None, None), Some(Equal));
        assert_eq!(order(None, Some("")), None);
        assert_eq!(compare(None, Some("")), Less);
    }

    #[test]
    fn numbers_of_any_length_compare_by_value() {
        let nines = "9".repeat(10_000);
        let order = |a: &str, b: &str| order(Some(a), Some(b));
        assert_eq!(order(&nines, &format!("1{nines}")), Some(Less));
        assert_eq!(order(&format!("000{nines}"), &nines), None);
        assert_eq!(order(&nines, "10"), Some(Greater));
        assert_eq!(order("0", "00"), None);
        assert_eq!(order("", "0"), Some(Less));
        // A hundred thousand items, of one run or not: anything but linear time does not end.
        for part in ["1a", "1.", ".", "-a", "abcdef1-"] {
            let long = part.repeat(100_000);
            assert_eq!(order(&long, &format!("{long}-z9")), Some(Less), "{part}");
        }
    }

    fn version() -> impl Strategy<Value = Option<String>> {
        let item = prop_oneof![
            4 => "[0-9]{1,2}",
            2 => "a|b|p|rc|pre|RC|dev|alpha|v|git",
            1 => "abcdef1|abcdef2|g?9abcdef|1234567|20240131[ab]?|0[ab]20240131",
        ];
        let items = proptest::collection::vec((item, "[-._+]?"), 0..5)
            .prop_map(|items| items.into_iter().map(|(a, b)| a + &b).collect::<String>());
        let version = prop_oneof![4 => items, 1 => "[01ab.-]{0,4}", 1 => any::<String>()];
        proptest::option::weighted(0.95, version)
    }

    proptest! {
        #[test]
        fn the_order_is_transitive_and_sorting_agrees_with_it(a in version(), b in version(), c in version()) {
            let [ab, bc, ac] = [(&a, &b), (&b, &c), (&a, &c)].map(|(x, y)| (x.as_deref(), y.as_deref()));
            // The order that may be missing.
            prop_assert_eq!(order(ab.0, ab.1), order(ab.1, ab.0).map(Ordering::reverse));
            prop_assert_eq!(order(ab.0, ab.1) == Some(Equal), a == b);
            if let Some(known @ (Less | Greater)) = order(ab.0, ab.1) {
                prop_assert_eq!(compare(ab.0, ab.1), known);
                if order(bc.0, bc.1) == Some(known) {
                    prop_assert_eq!(order(ac.0, ac.1), Some(known));
                }
            }
            // That of the list.
            let [ab, ba, bc, ac] = [ab, (ab.1, ab.0), bc, ac].map(|(x, y)| compare(x, y));
            prop_assert_eq!(ab, ba.reverse());
            prop_assert_eq!(ab == Equal, a == b);
            if ab == bc || bc == Equal {
                prop_assert_eq!(ac, ab);
            }
            if ab == Equal {
                prop_assert_eq!(ac, bc);
            }
        }
    }
}
