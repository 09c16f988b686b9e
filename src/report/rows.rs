//! What has a row in nvd's sections: a package, or a family of packages that change alike.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::closure::{
    Change, ClosureDiff, Entry, Family, FamilyKind, OwnChange, PackageName, Selected, VersionGroup,
};

use super::style::{listed, packages};
use super::{DiffSort, DiffView};

/// Fewer packages than this are no family: each has its row.
const FAMILY: usize = 3;

/// How many of more packages than that their row names.
const TOLD: usize = 2;

/// Fewer packages than this of which the same changed have a row each.
const ALIKE: usize = 4;

/// What changes, in the lists of a [`ClosureDiff`]: all of one, or a part.
#[derive(Default)]
pub(super) struct Lists<'a> {
    pub(super) changed: Vec<&'a Entry>,
    pub(super) added: Vec<&'a Entry>,
    pub(super) removed: Vec<&'a Entry>,
    pub(super) selection: Vec<&'a Entry>,
    pub(super) rebuilt: Vec<&'a Entry>,
    pub(super) configuration: Vec<&'a Entry>,
    /// Those of the whole: packages of theirs that are in no list are no members.
    pub(super) families: &'a [Family],
}

impl<'a> Lists<'a> {
    /// Returns all of `diff`.
    pub(super) fn of(diff: &'a ClosureDiff) -> Self {
        Self {
            changed: diff.changed.iter().collect(),
            added: diff.added.iter().collect(),
            removed: diff.removed.iter().collect(),
            selection: diff.selection.iter().collect(),
            rebuilt: diff.rebuilt.iter().collect(),
            configuration: diff.configuration.iter().collect(),
            families: &diff.families,
        }
    }

    /// Returns the lists in the order of [`ClosureDiff::entries`].
    pub(super) fn all_mut(&mut self) -> [&mut Vec<&'a Entry>; 6] {
        [
            &mut self.changed,
            &mut self.added,
            &mut self.removed,
            &mut self.selection,
            &mut self.rebuilt,
            &mut self.configuration,
        ]
    }

    /// Returns so many entries of each list of packages that move: first those that are no mere upgrade of what nobody chose.
    pub(super) fn first(&self, most: usize) -> Self {
        let first = |entries: &[&'a Entry]| {
            let is_told = |entry: &&'a Entry| {
                entry.selected != Selected::No || entry.change == Change::Downgraded
            };
            let others = entries.iter().copied().filter(|entry| !is_told(entry));
            let told = entries.iter().copied().filter(is_told);
            told.chain(others).take(most).collect()
        };
        Self {
            changed: first(&self.changed),
            added: first(&self.added),
            removed: first(&self.removed),
            selection: first(&self.selection),
            rebuilt: self.rebuilt.clone(),
            configuration: self.configuration.clone(),
            families: self.families,
        }
    }

    /// Returns how many packages move: their version, their selection, in or out.
    pub(super) fn moves(&self) -> usize {
        self.changed.len() + self.added.len() + self.removed.len() + self.selection.len()
    }

    /// Returns how much changes.
    pub(super) fn len(&self) -> usize {
        self.moves() + self.rebuilt.len() + self.configuration.len()
    }
}

/// A row, but for its number.
pub(super) struct Row<'a> {
    pub(super) change: Change,
    pub(super) selected: Selected,
    /// The package's name, or what a family is called.
    pub(super) name: Cow<'a, str>,
    /// What becomes of the versions; empty where the name says it.
    pub(super) what: String,
    /// By how many bytes the closure grows, where that is known.
    pub(super) size_delta: Option<i64>,
    /// What is made of a kernel and changes with it; `what` ends in [`Row::with`].
    parts: Vec<&'a str>,
    /// What stands below it, a line each.
    pub(super) notes: Vec<Note>,
    /// The name that it stands at, where rows are in the order of names.
    key: &'a str,
    jump: Jump,
    weight: Weight,
}

/// How much it tells that a derivation itself changed: the most is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// A patch that mends or reopens a hole.
    Security,
    /// Sources, patches or flags; and where nothing of the kind is said.
    Telling,
    /// What it is built with.
    Dependencies,
    /// Attributes, of which a reader does not see what they hold.
    Attributes,
}

impl Weight {
    fn of(own: Option<&OwnChange>) -> Self {
        let Some(own) = own else {
            return Self::Attributes;
        };
        let patches = || own.patches_added.iter().chain(&own.patches_removed);
        let none = |lists: &[&Vec<String>]| lists.iter().all(|list| list.is_empty());
        if patches().any(|name| is_security(name)) {
            Self::Security
        } else if patches().next().is_some()
            || !none(&[&own.sources, &own.flags_added, &own.flags_removed])
        {
            Self::Telling
        } else if !none(&[&own.dependencies_added, &own.dependencies_removed]) {
            Self::Dependencies
        } else {
            Self::Attributes
        }
    }
}

/// Returns whether a patch of this name mends a hole.
pub(super) fn is_security(patch: &str) -> bool {
    patch.to_ascii_uppercase().contains("CVE-")
}

/// Names that stand below a row.
pub(super) struct Note {
    /// What they are.
    pub(super) lead: &'static str,
    pub(super) names: Vec<String>,
}

impl Note {
    /// On which way a newcomer comes in.
    pub(super) const THROUGH: &'static str = "through";
}

impl<'a> Row<'a> {
    pub(super) fn of(entry: &'a Entry, view: DiffView) -> Self {
        Self {
            change: entry.change,
            selected: entry.selected,
            name: Cow::Borrowed(&entry.name),
            what: change_versions(entry),
            size_delta: entry.size_delta,
            parts: Vec::new(),
            notes: entry
                .via
                .as_deref()
                .filter(|via| !via.is_empty())
                .map(|via| through(via, view.all))
                .into_iter()
                .collect(),
            key: &entry.name,
            jump: Jump::of(entry),
            weight: Weight::Telling,
        }
    }

    /// Returns the row of a package whose version moved, with what else of its derivation is worth a word.
    fn of_moved(entry: &'a Entry, view: DiffView) -> Self {
        let mut row = Self::of(entry, view);
        if let Some(own) = &entry.own {
            let told = |patches: &[String]| -> Vec<String> {
                let told = patches.iter().filter(|name| view.all || is_security(name));
                told.cloned().collect()
            };
            let patches = OwnChange {
                patches_added: told(&own.patches_added),
                patches_removed: told(&own.patches_removed),
                ..OwnChange::default()
            };
            row.notes.extend(own_change(&patches, view.all));
        }
        row
    }

    /// Returns the row of a rebuilt package with what of the derivation itself changed: behind the version where that is short, else
    /// below.
    pub(super) fn with_own_change(entry: &'a Entry, view: DiffView) -> Self {
        let mut row = Self::of(entry, view);
        row.weight = Weight::of(entry.own.as_deref());
        let own = entry.own.as_deref().map(|own| own_change(own, view.all));
        let (words, notes) = brief(own.unwrap_or_default());
        if !words.is_empty() {
            row.what = format!("{}: {words}", row.what);
        }
        row.notes.extend(notes);
        row
    }

    /// Returns whether it is what a reader looks at last: an upgrade that nobody selected, without a new major version. Of the
    /// kernel and of the system any one is news.
    pub(super) fn came_along(&self) -> bool {
        let is_news = self.name == "linux" || self.name.starts_with("nixos-system-");
        self.change == Change::Upgraded
            && !is_news
            && self.selected == Selected::No
            && self.jump > Jump::Major
            && self.notes.is_empty()
    }

    /// Returns how late a reader looks for it: first what goes down, mends a hole or moves the system, last what came along.
    pub(super) fn rank(&self, is_sensitive: impl Fn(&str) -> bool) -> u8 {
        let is_system = self.name == "linux" || self.name.starts_with("nixos-system-");
        if self.change == Change::Downgraded || self.weight == Weight::Security || is_system {
            0
        } else if self.selected != Selected::No || is_sensitive(self.key) {
            1
        } else if self.jump == Jump::Major && self.change != Change::Rebuilt {
            2
        } else if self.change == Change::Upgraded || self.weight > Weight::Telling {
            4
        } else {
            3
        }
    }

    /// Says what changes along with a kernel; nothing of what is none.
    fn with(&self) -> String {
        if self.parts.is_empty() {
            return String::new();
        }
        format!(" (with {})", self.parts.join(", "))
    }

    /// Returns what becomes of the versions, and what else stands below it where a line has little room.
    pub(super) fn narrow(&self) -> (&str, Option<Note>) {
        let what = self.what.strip_suffix(&self.with()).unwrap_or(&self.what);
        let parts = self.parts.iter().map(|part| (*part).to_owned()).collect();
        let note = (!self.parts.is_empty()).then_some(Note {
            lead: "with",
            names: parts,
        });
        (what, note)
    }

    /// Returns the package's name, or what a family's rows are ordered by.
    pub(super) fn key(&self) -> &'a str {
        self.key
    }

    /// Returns nvd's two letters: what became of it, and whether the user selected it.
    pub(super) fn tag(&self) -> String {
        let change = match self.change {
            Change::Upgraded => 'U',
            Change::Downgraded => 'D',
            Change::Changed | Change::Rebuilt => 'C',
            Change::Added => 'A',
            Change::Removed => 'R',
        };
        let selected = match self.selected {
            Selected::Yes => '*',
            Selected::Newly => '+',
            Selected::NoLonger => '-',
            Selected::No => '.',
        };
        format!("[{change}{selected}]")
    }
}

/// The rows of nvd's sections.
#[derive(Default)]
pub(super) struct Rows<'a> {
    pub(super) changed: Vec<Row<'a>>,
    pub(super) selection: Vec<Row<'a>>,
    pub(super) added: Vec<Row<'a>>,
    pub(super) removed: Vec<Row<'a>>,
    /// How many packages stand in the rows of families whose names change.
    pub(super) renamed: usize,
}

impl<'a> Rows<'a> {
    /// Returns the rows of `diff` that `view` asks for, in its order.
    pub(super) fn of(diff: &Lists<'a>, view: DiffView) -> Self {
        let parts = parts_of_kernels(diff, view);
        let mut folded = Folded::default();
        if !view.all && !diff.families.is_empty() {
            // What stands in a kernel's row is in no family's.
            let kernels: HashSet<&str> = parts
                .iter()
                .flat_map(|(kernel, parts)| {
                    parts.iter().map(|part| part.name.as_str()).chain([*kernel])
                })
                .collect();
            folded.changed.clone_from(&kernels);
            folded.fold(diff, view);
            folded.changed.retain(|name| !kernels.contains(name));
        }
        let list = |entries: &[&'a Entry], folded: &HashSet<&str>| -> Vec<Row<'a>> {
            let entries = entries.iter().filter(|entry| is_shown(entry, view));
            entries
                .filter(|entry| !folded.contains(entry.name.as_str()))
                .map(|entry| Row::of(entry, view))
                .collect()
        };
        let mut rows = Self {
            changed: moved(diff, &folded.changed, &parts, view),
            selection: list(&diff.selection, &HashSet::new()),
            added: list(&diff.added, &folded.added),
            removed: list(&diff.removed, &folded.removed),
            renamed: folded.renamed,
        };
        rows.changed.append(&mut folded.rows);
        for list in [
            &mut rows.changed,
            &mut rows.selection,
            &mut rows.added,
            &mut rows.removed,
        ] {
            sort(list, view.sort);
        }
        rows
    }

    /// Returns the rows of all sections, section by section.
    pub(super) fn into_all(self) -> impl Iterator<Item = Row<'a>> {
        [self.changed, self.selection, self.added, self.removed]
            .into_iter()
            .flatten()
    }
}

/// Returns what is made of each kernel and changes as it does, by the kernel's name.
fn parts_of_kernels<'a>(diff: &Lists<'a>, view: DiffView) -> HashMap<&'a str, Vec<&'a Entry>> {
    if view.all {
        return HashMap::new();
    }
    let entries = || diff.changed.iter().copied().filter(|e| is_shown(e, view));
    let kernels: HashMap<&str, &Entry> = entries()
        .filter(|entry| entry.name.starts_with("linux") && kernel_of(&entry.name).is_none())
        .map(|kernel| (kernel.name.as_str(), kernel))
        .collect();
    let mut parts: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries() {
        let kernel = kernel_of(&entry.name).and_then(|name| kernels.get(name));
        if let Some(kernel) =
            kernel.filter(|kernel| change_versions(kernel) == change_versions(entry))
        {
            parts.entry(&kernel.name).or_default().push(entry);
        }
    }
    parts
}

/// Returns the rows of packages whose versions moved but for those `folded`. What is made of a kernel stands in the kernel's row.
fn moved<'a>(
    diff: &Lists<'a>,
    folded: &HashSet<&str>,
    parts: &HashMap<&'a str, Vec<&'a Entry>>,
    view: DiffView,
) -> Vec<Row<'a>> {
    let in_kernels: HashSet<&str> = parts.values().flatten().map(|e| e.name.as_str()).collect();
    let entries = diff.changed.iter().copied().filter(|entry| {
        let name = entry.name.as_str();
        is_shown(entry, view) && !folded.contains(name) && !in_kernels.contains(name)
    });
    entries
        .map(|entry| {
            let mut row = Row::of_moved(entry, view);
            if let Some(parts) = parts.get(row.key) {
                row.parts = parts.iter().map(|part| part.name.as_str()).collect();
                row.what.push_str(&row.with());
                row.size_delta = total_size(parts.iter().copied().chain([entry]));
            }
            row
        })
        .collect()
}

/// Takes from `entries`, which were rebuilt, those of which the same changed as of many others, and returns a row for each such
/// change: an edit of how all packages are built must not hide what else happens.
pub(super) fn alike<'a>(entries: &mut Vec<&'a Entry>, view: DiffView) -> Vec<Row<'a>> {
    // Two patches or sources of one name are not the same.
    let is_general = |own: &&OwnChange| {
        own.sources.is_empty() && own.patches_added.is_empty() && own.patches_removed.is_empty()
    };
    let general = |entry: &&'a Entry| entry.own.as_deref().filter(is_general);
    let mut alike: BTreeMap<&OwnChange, Vec<&Entry>> = BTreeMap::new();
    for entry in entries.iter().filter(|_| !view.all) {
        if let Some(own) = general(entry) {
            alike.entry(own).or_default().push(entry);
        }
    }
    alike.retain(|_, entries| entries.len() >= ALIKE);
    entries.retain(|entry| general(entry).is_none_or(|own| !alike.contains_key(own)));
    let rows = alike.into_iter().map(|(own, entries)| {
        let is_selected = |entry: &&&Entry| entry.selected != Selected::No;
        let name = |entry: &'a Entry| entry.name.as_str();
        let (selected, others): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_selected);
        let selected: Vec<&str> = selected.into_iter().map(name).collect();
        let others = others.into_iter().map(name);
        let names: Vec<&str> = selected.iter().copied().chain(others).collect();
        let (what, mut notes) = brief(own_change(own, view.all));
        notes.extend(chosen(&selected, TOLD));
        Row {
            change: Change::Rebuilt,
            selected: if selected.is_empty() {
                Selected::No
            } else {
                Selected::Yes
            },
            what,
            size_delta: total_size(entries),
            parts: Vec::new(),
            notes,
            key: names.first().copied().unwrap_or_default(),
            name: Cow::Owned(listed(&names, TOLD)),
            jump: Jump::None,
            weight: Weight::of(Some(own)),
        }
    });
    rows.collect()
}

/// Returns whether more is known to have changed of a derivation than attributes, of which a reader does not see what they hold.
pub(super) fn tells(entry: &Entry) -> bool {
    Weight::of(entry.own.as_deref()) != Weight::Attributes
}

/// Returns whether `view` asks for `entry`.
pub(super) fn is_shown(entry: &Entry, view: DiffView) -> bool {
    !view.selected || entry.selected != Selected::No
}

/// Brings `rows` into order. Of rows that are equal in what is asked for, those that tell the most stand first, then by name.
pub(super) fn sort(rows: &mut [Row<'_>], by: DiffSort) {
    rows.sort_by(|a, b| {
        let by_key = match by {
            DiffSort::Name => std::cmp::Ordering::Equal,
            DiffSort::Semver => a.jump.cmp(&b.jump),
            DiffSort::Size => {
                let size = |row: &Row<'_>| Reverse(row.size_delta.map(i64::unsigned_abs));
                size(a).cmp(&size(b))
            }
        };
        by_key
            .then_with(|| a.weight.cmp(&b.weight))
            .then_with(|| a.key.cmp(b.key))
    });
}

/// The families that have a row, and the names whose own rows they replace.
#[derive(Default)]
struct Folded<'a> {
    rows: Vec<Row<'a>>,
    changed: HashSet<&'a str>,
    added: HashSet<&'a str>,
    removed: HashSet<&'a str>,
    renamed: usize,
}

/// A package of a family: what the family calls it, and what it is on its lists.
struct Member<'a> {
    name: &'a str,
    entries: Vec<&'a Entry>,
}

impl<'a> Folded<'a> {
    fn fold(&mut self, diff: &Lists<'a>, view: DiffView) {
        let by_name = |entries: &[&'a Entry]| -> HashMap<&'a str, &'a Entry> {
            let entries = entries.iter().filter(|entry| is_shown(entry, view));
            entries.map(|entry| (entry.name.as_str(), *entry)).collect()
        };
        let (changed, added, removed) = (
            by_name(&diff.changed),
            by_name(&diff.added),
            by_name(&diff.removed),
        );
        for family in diff.families {
            // A package that is in no list, or in another family's row, is no member: a report may come from elsewhere.
            let free = |list: &HashMap<&str, &'a Entry>, taken: &HashSet<&str>, name: &str| {
                let entry = list.get(name).copied();
                entry.filter(|entry| !taken.contains(entry.name.as_str()))
            };
            let mut seen = HashSet::new();
            let members = family.packages.iter().filter(|name| seen.insert(*name));
            let members = members.map(|name| Member {
                name,
                entries: match family.kind {
                    FamilyKind::Versions => free(&changed, &self.changed, name)
                        .filter(|entry| is_told_by(family, entry))
                        .into_iter()
                        .collect(),
                    FamilyKind::Names => {
                        let old = free(&removed, &self.removed, &renamed(&family.before, name));
                        let new = free(&added, &self.added, &renamed(&family.after, name));
                        old.into_iter().chain(new).collect()
                    }
                },
            });
            let members: Vec<Member<'a>> = members
                .filter(|member| !member.entries.is_empty())
                .collect();
            if members.len() < FAMILY {
                continue;
            }
            for entry in members.iter().flat_map(|member| &member.entries) {
                let taken = match (family.kind, entry.change) {
                    (FamilyKind::Versions, _) => &mut self.changed,
                    (FamilyKind::Names, Change::Removed) => &mut self.removed,
                    (FamilyKind::Names, _) => &mut self.added,
                };
                taken.insert(&entry.name);
            }
            if family.kind == FamilyKind::Names {
                self.renamed += members.len();
            }
            self.rows.push(family_row(family, &members));
        }
    }
}

/// Returns whether the row of a family of one version says of `entry` what its own would.
fn is_told_by(family: &Family, entry: &Entry) -> bool {
    if Weight::of(entry.own.as_deref()) == Weight::Security {
        return false;
    }
    let is = |groups: &[VersionGroup], version: &str| matches!(groups, [one] if one.version.as_deref() == Some(version));
    entry.change == family.change
        && is(&entry.before, &family.before)
        && is(&entry.after, &family.after)
}

/// Returns the name of the kernel that a path of this name is made of: its initrd, its modules.
pub(super) fn kernel_of(name: &str) -> Option<&str> {
    match name.strip_prefix("initrd-") {
        Some(kernel) => Some(kernel),
        None => name.split_once("-modules").map(|(kernel, _)| kernel),
    }
}

/// Returns the name that `rest` has in a family whose names begin with `start`, with or without the hyphen between them.
pub(super) fn renamed(start: &str, rest: &str) -> String {
    if start.ends_with('-') || rest.starts_with('-') {
        format!("{start}{rest}")
    } else {
        format!("{start}-{rest}")
    }
}

fn family_row<'a>(family: &'a Family, members: &[Member<'a>]) -> Row<'a> {
    let is_selected =
        |member: &&Member<'_>| member.entries.iter().any(|e| e.selected != Selected::No);
    let selected: Vec<&str> = members.iter().filter(is_selected).map(|m| m.name).collect();
    let count = members.len();
    let (before, after) = (&family.before, &family.after);
    let versions = format!("{before} -> {after}");
    // Those whom the row names need no word below.
    let mut told = 0;
    let (name, what, key) = match family.kind {
        FamilyKind::Names => {
            let name = format!("{versions}: {}", packages(count));
            (name, String::new(), before.as_str())
        }
        FamilyKind::Versions if !family.name.is_empty() => {
            let name = format!("{} ({})", family.name, packages(count));
            (name, versions, family.name.as_str())
        }
        FamilyKind::Versions => {
            told = if count > FAMILY { TOLD } else { FAMILY };
            let others = members.iter().filter(|member| !is_selected(member));
            let others = others.map(|member| member.name);
            let names: Vec<&str> = selected.iter().copied().chain(others).collect();
            let first = names.first().copied().unwrap_or_default();
            (listed(&names, told), versions, first)
        }
    };
    Row {
        change: family.change,
        selected: family.selected,
        name: Cow::Owned(name),
        what,
        size_delta: total_size(
            members
                .iter()
                .flat_map(|member| member.entries.iter().copied()),
        ),
        parts: Vec::new(),
        notes: chosen(&selected, told).into_iter().collect(),
        key,
        jump: Jump::between(before, after),
        weight: Weight::Telling,
    }
}

/// Says which packages of a row the user chose, unless they are among the first `told`, whom it names.
fn chosen(selected: &[&str], told: usize) -> Option<Note> {
    (selected.len() > told).then(|| Note {
        lead: "selected:",
        names: first_of(selected.iter().map(|name| (*name).to_owned()).collect(), 30),
    })
}

/// Returns by how much the closure grows by all of `entries`, where that is known of each.
fn total_size<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Option<i64> {
    entries.into_iter().try_fold(0_i64, |sum, entry| {
        Some(sum.saturating_add(entry.size_delta?))
    })
}

/// Says on which way a newcomer comes in.
fn through(via: &[String], all: bool) -> Note {
    let names = match via {
        // Where it comes from and what wants it: what is between them tells the least.
        [root, second, _, .., last] if via.len() > 4 && !all => {
            vec![root.clone(), second.clone(), "…".to_owned(), last.clone()]
        }
        _ => via.to_vec(),
    };
    Note {
        lead: Note::THROUGH,
        names,
    }
}

/// Says what of a derivation itself changed; nothing where it does not say.
fn own_change(own: &OwnChange, all: bool) -> Vec<Note> {
    let most = if all { usize::MAX } else { 5 };
    let signed = |added: &[String], removed: &[String]| {
        let signs = [("+", added), ("-", removed)];
        let words = signs
            .into_iter()
            .flat_map(|(sign, list)| list.iter().map(move |text| format!("{sign} {}", cut(text))));
        let mut words: Vec<String> = words.collect();
        // What mends a hole is what a reader looks for, and must not be what is left out.
        words.sort_by_key(|word| !is_security(word));
        words
    };
    [
        ("sources", own.sources.clone()),
        ("patches", signed(&own.patches_added, &own.patches_removed)),
        ("flags", signed(&own.flags_added, &own.flags_removed)),
        (
            "dependencies",
            signed(&own.dependencies_added, &own.dependencies_removed),
        ),
        ("attributes", own.attributes.clone()),
    ]
    .into_iter()
    .filter(|(_, words)| !words.is_empty())
    .map(|(lead, words)| Note {
        lead,
        names: first_of(words, most),
    })
    .collect()
}

/// Returns `text`, or of a long one the beginning: a flag can be a whole script.
fn cut(text: &str) -> Cow<'_, str> {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// Returns notes as words of their row where they are short, else as they are.
fn brief(notes: Vec<Note>) -> (String, Vec<Note>) {
    const SHORT: usize = 60;
    let words = notes
        .iter()
        .map(|note| format!("{} {}", note.lead, note.names.join(", ")));
    let words = words.collect::<Vec<_>>().join("; ");
    if words.chars().count() > SHORT {
        (String::new(), notes)
    } else {
        (words, Vec::new())
    }
}

/// Returns the first `most` of `words`, and how many more there are.
fn first_of(mut words: Vec<String>, most: usize) -> Vec<String> {
    let left = words.len().saturating_sub(most);
    if left > 0 {
        words.truncate(most);
        words.push(format!("and {left} more"));
    }
    words
}

/// Says which versions an entry changes from and to, and where they stay the same, which outputs come and go.
fn change_versions(entry: &Entry) -> String {
    let (before, after) = (versions(&entry.before), versions(&entry.after));
    match entry.change {
        Change::Added => after,
        Change::Removed => before,
        _ if before == after => after + &outputs(entry),
        _ => format!("{before} -> {after}"),
    }
}

fn outputs(entry: &Entry) -> String {
    // So it is nearly always, and of thousands.
    let same = |(a, b): (&VersionGroup, &VersionGroup)| a.outputs == b.outputs;
    if entry.before.iter().zip(&entry.after).all(same) {
        return String::new();
    }
    let [before, after] = [&entry.before, &entry.after].map(|groups| {
        let outputs = groups.iter().flat_map(|group| &group.outputs);
        outputs.collect::<BTreeSet<_>>()
    });
    let came = after
        .difference(&before)
        .map(|output| format!(" + {output}"));
    let went = before
        .difference(&after)
        .map(|output| format!(" - {output}"));
    let words: String = came.chain(went).collect();
    if words.is_empty() {
        words
    } else {
        format!(", outputs{words}")
    }
}

/// Names versions as nvd does, each with how often it was built: its outputs are one build.
pub(super) fn versions(groups: &[VersionGroup]) -> String {
    let texts: Vec<String> = groups
        .iter()
        .map(|group| {
            let version = group.version.as_deref().unwrap_or("<none>");
            match builds(group) {
                0 | 1 => version.to_owned(),
                count => format!("{version} x{count}"),
            }
        })
        .collect();
    texts.join(", ")
}

/// Returns how often a version was built: as many times as there are paths that are the same output.
pub(super) fn builds(group: &VersionGroup) -> usize {
    let known = group.outputs.len().max(1);
    if known == 1 {
        return group.paths.len();
    }
    let mut counts: HashMap<Option<&str>, usize> = HashMap::new();
    for path in &group.paths {
        let output = PackageName::parse(path.name()).output;
        *counts.entry(output).or_default() += 1;
    }
    if counts.len() == known {
        counts.into_values().max().unwrap_or_default()
    } else {
        // The names do not tell the outputs apart: as if each build had all of them.
        group.paths.len().div_ceil(known)
    }
}

/// Which part of a version is the first that differs: what changes the most is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Jump {
    Major,
    Minor,
    Patch,
    /// A part further on, or one that is no number.
    Other,
    /// There are no two versions to compare, or they are the same.
    None,
}

impl Jump {
    /// Returns the greater one of those of the lowest and of the highest versions.
    fn of(entry: &Entry) -> Self {
        let ends = [
            (entry.before.first(), entry.after.first()),
            (entry.before.last(), entry.after.last()),
        ];
        let jumps = ends.map(|(before, after)| {
            let (Some(before), Some(after)) = (before, after) else {
                return Self::None;
            };
            match (&before.version, &after.version) {
                (Some(before), Some(after)) => Self::between(before, after),
                (None, None) => Self::None,
                _ => Self::Other,
            }
        });
        jumps.into_iter().min().unwrap_or(Self::None)
    }

    fn between(before: &str, after: &str) -> Self {
        if before == after {
            return Self::None;
        }
        let mut numbers = [before, after].map(|version| {
            version
                .split(|c: char| !c.is_ascii_digit())
                .filter(|digits| !digits.is_empty())
                .map(|digits| digits.trim_start_matches('0'))
        });
        let [old, new] = &mut numbers;
        for jump in [Self::Major, Self::Minor, Self::Patch] {
            if old.next() != new.next() {
                return jump;
            }
        }
        Self::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_differs_decides_how_far_a_version_jumps() {
        let table = [
            ("1.9", "2.0"),
            ("1.9", "1.10"),
            ("1.9", "1.9.1"),
            ("1.9.1", "1.9.2"),
            ("1.9.1.1", "1.9.1.2"),
            ("1.09.1", "1.9.1"),
            ("9-unstable-2026-01-01", "9-unstable-2026-02-01"),
            ("1.0", "1.0"),
            ("", "1"),
            ("a", "b"),
            ("python3.12", "python3.13"),
        ]
        .map(|(before, after)| format!("{before} {after} {:?}", Jump::between(before, after)));
        insta::assert_snapshot!(table.join("\n"), @"
        1.9 2.0 Major
        1.9 1.10 Minor
        1.9 1.9.1 Patch
        1.9.1 1.9.2 Patch
        1.9.1.1 1.9.1.2 Other
        1.09.1 1.9.1 Other
        9-unstable-2026-01-01 9-unstable-2026-02-01 Patch
        1.0 1.0 None
         1 Major
        a b Other
        python3.12 python3.13 Minor
        ");
    }
}
