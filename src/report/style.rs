//! Lines with styles, numbers and sizes, as every text of ours has them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::clean::is_unseen;

pub(super) const HEADING: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const CARE: Style = AnsiColor::Yellow.on_default();
pub(super) const PLAIN: Style = Style::new();

pub(super) fn line(out: &mut String, style: Style, text: &str) {
    spans(out, &[(style, text)]);
}

/// Writes a line of several styles.
pub(super) fn spans(out: &mut String, spans: &[(Style, &str)]) {
    for (style, text) in spans {
        // A name may hold a line break or an escape, and must not pass for a line or a colour of ours.
        let escaped: String;
        let text = if text.chars().any(is_unseen) {
            escaped = text.chars().map(shown).collect();
            &escaped
        } else {
            *text
        };
        // Writing to a string cannot fail; a style that writes nothing must not leave a reset behind.
        let written = if *style == PLAIN || text.is_empty() {
            write!(out, "{text}")
        } else {
            write!(out, "{style}{text}{style:#}")
        };
        debug_assert!(written.is_ok(), "a string takes whatever is written");
    }
    out.push('\n');
}

/// How many columns wide a text is where no terminal says: in files and pipes.
pub const WIDTH: usize = 100;

/// Returns how wide text is on a terminal of `width` columns: in less than 40 nothing could be read.
pub(super) fn readable(width: usize) -> usize {
    const LEAST: usize = 40;
    width.max(LEAST)
}

/// Returns `head` and the items in lines of at most `width` characters, broken between items and indented below the first one. An
/// item that is longer has a line of its own.
pub(super) fn wrapped(head: &str, items: &[String], width: usize) -> Vec<String> {
    flowed(head, items, ",", width)
}

/// Returns a text in lines of at most `width` characters, broken at spaces and indented below the first one. A longer word has a line
/// of its own.
pub(super) fn filled(text: &str, width: usize) -> Vec<String> {
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    flowed("", &words, "", width)
}

fn flowed(head: &str, items: &[String], between: &str, most: usize) -> Vec<String> {
    let indent = head.len() - head.trim_start().len() + 4;
    let mut lines = Vec::new();
    let mut text = head.to_owned();
    let mut width = head.chars().count();
    for (i, item) in items.iter().enumerate() {
        let end = if i + 1 == items.len() { "" } else { between };
        let long = item.chars().count() + end.chars().count();
        if i > 0 && width + 1 + long > most {
            lines.push(std::mem::replace(&mut text, " ".repeat(indent)));
            width = indent;
        } else if i > 0 {
            text.push(' ');
            width += 1;
        }
        text.extend([item, end]);
        width += long;
    }
    lines.push(text);
    lines
}

/// Returns how wide a column of `names` is. A long name has no say, or it would push away what follows all the others.
pub(super) fn column<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    const MOST: usize = 60;
    let widths = names.map(|name| name.chars().count());
    widths.filter(|width| *width <= MOST).max().unwrap_or(0)
}

/// Returns the first `most` of a list, and how many more there are: `a, b and 3 more`.
pub(super) fn listed<S: AsRef<str>>(list: &[S], most: usize) -> String {
    let shown: Vec<&str> = list.iter().take(most).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match list.len().saturating_sub(most) {
        0 => shown,
        left => format!("{shown} and {left} more"),
    }
}

/// Returns a number of things: `1 unit`, `2 units`.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Returns a number of packages.
pub(super) fn packages(number: usize) -> String {
    counted(number, "package", "packages")
}

/// Returns a character as it is shown: a control character by its picture (U+2400 and on).
fn shown(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or('?'),
        _ if is_unseen(c) => '\u{fffd}',
        _ => c,
    }
}

/// Returns a difference of sizes as nvd prints it: `+1.5MiB`, `-512B`, `+0B`.
pub(super) fn signed_size(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", size(bytes.unsigned_abs(), ""))
}

/// Returns a size with `gap` before its unit: `812.3 MiB`.
pub(super) fn size(bytes: u64, gap: &str) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes}{gap}B");
    }
    // Tenths of a unit in whole numbers: exact, and the same on every machine.
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    format!("{}.{}{gap}{unit}", tenths / 10, tenths % 10)
}

/// Returns a number with a comma before every three digits from its end: `1,204`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_grouped_and_sizes_have_their_unit() {
        let numbers = [0, 7, 999, 1000, 1_204, 999_999, 12_345_678, u64::MAX].map(grouped);
        insta::assert_snapshot!(numbers.join(" "), @"0 7 999 1,000 1,204 999,999 12,345,678 18,446,744,073,709,551,615");
        let sizes = [0, 1023, 1024, 851_758_284, u64::MAX].map(|bytes| size(bytes, " "));
        insta::assert_snapshot!(sizes.join(", "), @"0 B, 1023 B, 1.0 KiB, 812.3 MiB, 16777216.0 TiB");
    }

    #[test]
    fn differences_of_sizes_are_short_and_signed() {
        let sizes = [
            0,
            1,
            -1023,
            1024,
            1_572_864,
            -5_368_709_120,
            i64::MAX,
            i64::MIN,
        ]
        .map(signed_size)
        .join(" ");
        insta::assert_snapshot!(sizes, @"+0B +1B -1023B +1.0KiB +1.5MiB -5.0GiB +8388608.0TiB -8388608.0TiB");
    }

    proptest! {
        #[test]
        fn lines_are_as_wide_as_asked_or_have_one_item(
            head in "[A-Z]?[a-z]{0,9}", items in prop::collection::vec("[a-z]{1,30}", 0..20), width in 0..60_usize,
        ) {
            let lines = wrapped(&head, &items, width);
            for (i, line) in lines.iter().enumerate() {
                let items = line.split(' ').filter(|item| !item.is_empty()).count();
                prop_assert!(line.len() <= width || items <= 1 + usize::from(i == 0), "{line}");
            }
            let joined: String = lines.iter().map(|line| line.replace([' ', ','], "")).collect();
            prop_assert_eq!(joined, format!("{head}{}", items.concat()));
            let text = items.join(" ");
            let filled = filled(&text, width).join(" ");
            prop_assert_eq!(filled.split_whitespace().collect::<Vec<_>>(), items);
        }
    }
}
