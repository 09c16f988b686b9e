//! A budget of bytes for the Markdown: who may take how much of it, and what says that something is left out.

use super::Report;
use super::clean::is_unseen;
use super::layout::Layout;
use super::text::headline;

/// Where the rest is, once something is left out.
pub(super) const ELSEWHERE: &str = "see `report.md` in `--output-dir` or the job's summary";

/// The most bytes of a line that says how much of a part is left out.
const NOTICE: usize = 128;

/// Returns the report as Markdown of at most `budget` bytes.
///
/// Parts get room in a fixed order of importance, which `docs/report.md` tells; each of which something is left out says how much.
pub fn body(report: &Report, budget: usize) -> String {
    let head = format!("## {}\n", headline(report));
    let layout = Layout::of(report);
    if let Some(text) = layout.render(&head, Room::whole(budget.saturating_sub(head.len()))) {
        return text;
    }
    let more = format!("\nThe report is too long for this place: {ELSEWHERE}.\n");
    if head.len() + more.len() > budget {
        // Nothing in it is foreign, so it can be cut anywhere.
        return cut(&head, budget).to_owned();
    }
    let left = budget - head.len();
    let reserve = NOTICE * Layout::PARTS;
    // Where lines of each part would take what there is to say, one says it for all.
    let room = if left > 4 * reserve {
        Room::shared(left - reserve, false)
    } else {
        Room::shared(left - more.len(), true)
    };
    let is_tight = room.tight;
    let mut text = layout.render(&head, room).unwrap_or(head);
    if is_tight {
        text.push_str(&more);
    }
    text
}

/// Returns the beginning of `text`, of at most `most` bytes and whole characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// What is left of a budget.
#[derive(Debug)]
pub(super) struct Room {
    /// How many bytes.
    left: usize,
    /// All has to fit, or nothing is made of it.
    whole: bool,
    /// One line at the end says that something is left out; otherwise each part has one of its own, for which there is room besides.
    tight: bool,
    /// The most characters of a line or name.
    pub(super) width: usize,
    /// Something did not fit.
    pub(super) is_short: bool,
}

impl Room {
    /// Returns the room for a report that is to fit whole.
    fn whole(left: usize) -> Self {
        Self {
            left,
            whole: true,
            tight: false,
            width: usize::MAX,
            is_short: false,
        }
    }

    /// Returns the room for a report of which things are left out.
    fn shared(left: usize, tight: bool) -> Self {
        Self {
            left,
            whole: false,
            tight,
            width: (left / 40).clamp(16, 500),
            is_short: false,
        }
    }

    /// Whether it is for nothing to go on.
    pub(super) fn is_lost(&self) -> bool {
        self.whole && self.is_short
    }

    /// Whether parts have to leave room for each other.
    pub(super) fn is_shared(&self) -> bool {
        !self.whole
    }

    /// Returns `parts` of `of` parts of what is left; all of it where all has to fit.
    pub(super) fn share(&self, parts: usize, of: usize) -> usize {
        if self.whole {
            self.left
        } else {
            self.left / of * parts
        }
    }

    /// Returns as many of `items`, one behind the other, as fit into `most` bytes, and how many they are.
    pub(super) fn fill(
        &mut self,
        most: usize,
        items: impl IntoIterator<Item = String>,
    ) -> (String, usize) {
        let most = most.min(self.left);
        let (mut text, mut count) = (String::new(), 0);
        for item in items {
            if text.len() + item.len() > most {
                self.is_short = true;
                break;
            }
            text.push_str(&item);
            count += 1;
        }
        self.left -= text.len();
        (text, count)
    }

    /// Returns `text` if it fits into `most` bytes.
    pub(super) fn fit(&mut self, most: usize, text: String) -> String {
        self.fill(most, [text]).0
    }

    /// Takes `bytes` for something that others are not to have.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Gives back what was kept.
    pub(super) fn release(&mut self, bytes: usize) {
        self.left += bytes;
    }

    /// Says that `left` things are left out.
    pub(super) fn notice(&self, left: usize, one: &str, many: &str) -> String {
        if left == 0 || self.tight {
            return String::new();
        }
        let what = if left == 1 { one } else { many };
        format!("\n{left} more {what}: {ELSEWHERE}.\n")
    }
}

/// Returns a line or name of at most `width` characters. What is not shown as itself does not come in by the cut.
pub(super) fn short(text: &str, width: usize) -> String {
    if width == usize::MAX || text.chars().nth(width).is_none() {
        return text.to_owned();
    }
    let mut kept: String = text
        .chars()
        .take(width.saturating_sub(1))
        .map(|c| if is_unseen(c) { ' ' } else { c })
        .collect();
    kept.push('…');
    kept
}
