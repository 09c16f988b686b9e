//! The order of versions, by nvd's rule.

use std::cmp::Ordering;

/// Returns how `a` and `b` stand to each other by value; none, for a package without a version, is below
/// every version.
///
/// As in nvd, a version is a list of numbers and words, compared item by item. Punctuation only separates,
/// numbers compare by value whatever their length, words by their bytes, a word is below a number, and of two
/// lists of which one begins with the other the longer one is above. So `1.0pre1` is above `1.0`, and
/// versions that are equal here can differ as text: `1.0-2` and `1.0.2`, `1.01` and `1.1`. Use [`compare`]
/// where such must not be taken for the same.
pub fn compare_values(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => Chunks(a).cmp(Chunks(b)),
        _ => a.is_some().cmp(&b.is_some()),
    }
}

/// Returns how `a` and `b` stand to each other by value, and by their text where the values are equal.
///
/// This order is total: it is [`Ordering::Equal`] for the same text only.
pub fn compare(a: Option<&str>, b: Option<&str>) -> Ordering {
    compare_values(a, b).then_with(|| a.cmp(&b))
}

/// An item of a version. The order of the variants is the order of the items.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Chunk<'a> {
    Word(&'a str),
    /// The count of the digits goes first: without leading zeros, the longer number is the greater one.
    Number(usize, &'a str),
}

/// The items of what is left of a version.
struct Chunks<'a>(&'a str);

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches(|c: char| !c.is_alphanumeric());
        let number = rest.chars().next()?.is_ascii_digit();
        let end = rest
            .find(|c: char| !c.is_alphanumeric() || c.is_ascii_digit() != number)
            .unwrap_or(rest.len());
        let (chunk, rest) = rest.split_at(end);
        self.0 = rest;
        Some(if number {
            let digits = chunk.trim_start_matches('0');
            Chunk::Number(digits.len(), digits)
        } else {
            Chunk::Word(chunk)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version() -> impl Strategy<Value = Option<String>> {
        proptest::option::weighted(
            0.9,
            prop_oneof![
                "[0-9]{1,3}([-._+]?([0-9]{1,3}|a|b|rc|pre|A)){0,4}",
                "[01][.-]?[01a]?[.-]?[01a]?",
                any::<String>()
            ],
        )
    }

    #[test]
    fn numbers_of_any_length_compare_by_value() {
        let long = "9".repeat(400);
        assert_eq!(
            compare_values(Some(&long), Some(&format!("1{long}"))),
            Ordering::Less
        );
        assert_eq!(
            compare_values(Some(&format!("000{long}")), Some(&long)),
            Ordering::Equal
        );
        assert_eq!(compare_values(Some("0"), Some("00")), Ordering::Equal);
        assert_eq!(compare_values(Some("0"), Some("")), Ordering::Greater);
    }

    #[test]
    fn equal_by_value_is_not_equal() {
        assert_eq!(
            compare_values(Some("1.0-2"), Some("1.0.2")),
            Ordering::Equal
        );
        assert_eq!(compare(Some("1.0-2"), Some("1.0.2")), Ordering::Less);
        assert_eq!(compare(Some("1.0.2"), Some("1.0-2")), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn the_order_is_total_and_transitive(a in version(), b in version(), c in version()) {
            for order in [compare, compare_values] {
                let [ab, ba, bc, ac] = [(&a, &b), (&b, &a), (&b, &c), (&a, &c)]
                    .map(|(x, y)| order(x.as_deref(), y.as_deref()));
                prop_assert_eq!(ab, ba.reverse());
                if ab == bc || bc == Ordering::Equal {
                    prop_assert_eq!(ac, ab);
                }
                if ab == Ordering::Equal {
                    prop_assert_eq!(ac, bc);
                }
            }
            prop_assert_eq!(compare(a.as_deref(), b.as_deref()) == Ordering::Equal, a == b);
        }
    }
}
