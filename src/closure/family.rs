//! Packages of which one line tells enough.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use super::version::order;
use super::{Change, ClosureDiff, Entry, Family, FamilyKind, Selected};

/// The fewest packages that make a family by their names.
const BY_NAME: usize = 3;

/// The fewest packages that make a family by nothing but their versions.
const BY_VERSION: usize = 5;

/// Returns the families among the packages of `diff`, the biggest first; those of the same size by their names.
pub(super) fn families(diff: &ClosureDiff) -> Vec<Family> {
    let mut families = by_versions(&diff.changed);
    families.extend(by_names(&diff.removed, &diff.added));
    families.sort_by(|a, b| {
        let key = |family: &Family| (Reverse(family.packages.len()), family.kind);
        (key(a), &a.name, &a.packages).cmp(&(key(b), &b.name, &b.packages))
    });
    families
}

/// Returns the families of packages that go from the same version to the same version, each having one on either side.
///
/// Three of them must begin with the same words, `systemd` and `systemd-minimal`; or five must have versions that are not equal
/// by accident (see [`is_telling`]): Qt and KDE have few words in common. A first word with digits in it is an interpreter's more
/// often than a project's, so that by itself it does not count either.
fn by_versions(changed: &[Entry]) -> Vec<Family> {
    let mut moves: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in changed {
        let ([before], [after]) = (entry.before.as_slice(), entry.after.as_slice()) else {
            continue;
        };
        if let (Some(before), Some(after)) = (&before.version, &after.version)
            && before != after
        {
            moves.entry((before, after)).or_default().push(entry);
        }
    }
    let mut families = Vec::new();
    for ((before, after), entries) in moves {
        let telling = is_telling(before) && is_telling(after);
        let groups: Vec<Vec<&Entry>> = if telling && entries.len() >= BY_VERSION {
            vec![entries]
        } else {
            let mut words: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
            for entry in entries {
                let word = first_word(&entry.name);
                if telling || !word.contains(|c: char| c.is_ascii_digit()) {
                    words.entry(word).or_default().push(entry);
                }
            }
            words
                .into_values()
                .filter(|group| group.len() >= BY_NAME)
                .collect()
        };
        families.extend(groups.into_iter().map(|entries| {
            Family {
                kind: FamilyKind::Versions,
                name: common_words(&entries),
                before: before.to_owned(),
                after: after.to_owned(),
                change: entries
                    .first()
                    .map_or(Change::Changed, |entry| entry.change),
                selected: selected(&entries, &entries),
                packages: entries.iter().map(|entry| entry.name.clone()).collect(),
            }
        }));
    }
    families
}

/// Returns whether packages that share `version` belong together: at least three numbers (`6.4.1`), or one of four digits and more
/// (`2024.2`). Many packages go from `1.0` to `1.1`.
fn is_telling(version: &str) -> bool {
    let numbers: Vec<&str> = version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|number| !number.is_empty())
        .collect();
    numbers.len() >= 3 || numbers.iter().any(|number| number.len() >= 4)
}

/// Returns the families of packages whose names change at the start: `python3.12-requests` to `python3.13-requests`.
///
/// The first word of the names differs in its digits and dots alone, and at least three packages move together. A package that
/// could have come from several, or become several, is left alone.
fn by_names(removed: &[Entry], added: &[Entry]) -> Vec<Family> {
    /// What stays of a name, its first word without digits and dots and what follows; and who had it before and after.
    type Kept<'a> = BTreeMap<(String, &'a str), [Vec<&'a Entry>; 2]>;

    let mut kept: Kept<'_> = BTreeMap::new();
    for (side, entries) in [removed, added].into_iter().enumerate() {
        for entry in entries {
            let Some((word, rest)) = entry.name.split_once('-') else {
                continue;
            };
            if let Some(shape) = shape(word) {
                let sides = kept.entry((shape, rest)).or_default();
                if let Some(list) = sides.get_mut(side) {
                    list.push(entry);
                }
            }
        }
    }
    let mut moves: BTreeMap<(&str, &str), Vec<[&Entry; 2]>> = BTreeMap::new();
    for [old, new] in kept.values() {
        if let ([old], [new]) = (old.as_slice(), new.as_slice()) {
            let words = (first_word(&old.name), first_word(&new.name));
            moves.entry(words).or_default().push([old, new]);
        }
    }
    moves.retain(|_, pairs| pairs.len() >= BY_NAME);
    moves
        .into_iter()
        .map(|((before, after), pairs)| {
            let old: Vec<&Entry> = pairs.iter().map(|[old, _]| *old).collect();
            let new: Vec<&Entry> = pairs.iter().map(|[_, new]| *new).collect();
            let rest = |entry: &&Entry| entry.name.split_once('-').map(|(_, rest)| rest.to_owned());
            Family {
                kind: FamilyKind::Names,
                name: before_number(before).to_owned(),
                before: before.to_owned(),
                after: after.to_owned(),
                change: direction(before, after),
                selected: selected(&old, &new),
                packages: old.iter().filter_map(rest).collect(),
            }
        })
        .collect()
}

/// Returns `word` with `#` for each of its numbers, `python#` for `python3.12`; none for a word without digits.
fn shape(word: &str) -> Option<String> {
    let mut shape = String::new();
    for c in word.chars() {
        if c.is_ascii_digit() {
            if !shape.ends_with('#') {
                shape.push('#');
            }
        } else if c != '.' || !shape.ends_with('#') {
            shape.push(c);
        }
    }
    shape.contains('#').then_some(shape)
}

/// Returns where words of the same shape go, by the first of their numbers that differs.
fn direction(before: &str, after: &str) -> Change {
    let numbers = |word: &str| -> Vec<String> {
        word.split(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|number| !number.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (before, after) = (numbers(before), numbers(after));
    let differing = before.iter().zip(&after).find(|(a, b)| a != b);
    match differing.and_then(|(before, after)| order(Some(before), Some(after))) {
        Some(Ordering::Less) => Change::Upgraded,
        Some(Ordering::Greater) => Change::Downgraded,
        Some(Ordering::Equal) | None => Change::Changed,
    }
}

fn first_word(name: &str) -> &str {
    name.split_once('-').map_or(name, |(word, _)| word)
}

/// Returns the words that all names begin with.
fn common_words(entries: &[&Entry]) -> String {
    let mut words: Option<Vec<&str>> = None;
    for entry in entries {
        let theirs = entry.name.split('-');
        words = Some(match words {
            None => theirs.collect(),
            Some(words) => words
                .into_iter()
                .zip(theirs)
                .take_while(|(ours, theirs)| ours == theirs)
                .map(|(word, _)| word)
                .collect(),
        });
    }
    words.unwrap_or_default().join("-")
}

/// Returns what stands before the first number of `word`, which is the same for all words of its shape.
fn before_number(word: &str) -> &str {
    let end = word.find(|c: char| c.is_ascii_digit());
    end.and_then(|end| word.get(..end)).unwrap_or(word)
}

/// Returns the state of a family: chosen on a side if one of its packages is.
fn selected(before: &[&Entry], after: &[&Entry]) -> Selected {
    let is = |entries: &[&Entry], states: [Selected; 2]| {
        entries.iter().any(|entry| states.contains(&entry.selected))
    };
    Selected::new(
        is(before, [Selected::Yes, Selected::NoLonger]),
        is(after, [Selected::Yes, Selected::Newly]),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Outputs, Paths, VersionGroup};
    use super::*;

    fn entry(name: &str, before: &[&str], after: &[&str], selected: Selected) -> Entry {
        let groups = |versions: &[&str]| -> Vec<VersionGroup> {
            let group = |version: &&str| VersionGroup {
                version: Some((*version).to_owned()),
                outputs: Outputs::default(),
                paths: Paths::default(),
            };
            versions.iter().map(group).collect()
        };
        Entry {
            name: name.to_owned(),
            before: groups(before),
            after: groups(after),
            change: Change::Upgraded,
            selected,
            size_delta: None,
            cause: None,
            own: None,
            via: None,
        }
    }

    fn lines(diff: &ClosureDiff) -> String {
        let line = |family: &Family| {
            let Family {
                kind,
                name,
                before,
                after,
                change,
                selected,
                packages,
            } = family;
            format!(
                "{kind:?} {name:?} {before} -> {after} {change} {selected}: {}",
                packages.join(" ")
            )
        };
        families(diff)
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn packages_that_share_versions_are_a_family() {
        let moved = |names: &str, before: &str, after: &str| -> Vec<Entry> {
            let names = names.split(' ');
            names
                .map(|name| entry(name, &[before], &[after], Selected::No))
                .collect()
        };
        let table: [(&str, &str, &str); 10] = [
            (
                "systemd systemd-minimal systemd-minimal-libs",
                "257.8",
                "257.9",
            ),
            (
                "docker docker-containerd docker-init docker-runc",
                "18.09.7",
                "19.03.2",
            ),
            (
                "gst-plugins-bad gst-plugins-base gst-plugins-good",
                "1.24",
                "1.26",
            ),
            // Too few.
            ("nss nss-cacert", "3.42.1", "3.46"),
            // No word in common, but their versions.
            (
                "kwin plasma-desktop powerdevil qtbase qtsvg",
                "6.4.1",
                "6.4.2",
            ),
            ("kwin plasma-desktop powerdevil qtbase", "6.4.1", "6.4.2"),
            // By accident.
            ("alpha beta delta gamma omega", "1.0", "1.1"),
            ("python3.12-a python3.12-b python3.12-c", "1.0", "1.1"),
            // What begins with the same letters is not of the same words.
            ("lib liba libb", "1.0", "1.1"),
            // As many builds of one version do not make a move.
            ("a-x a-y a-z", "2024.1", "2024.1"),
        ];
        let table = table.map(|(names, before, after)| {
            let changed = moved(names, before, after);
            let found = lines(&ClosureDiff {
                changed,
                ..ClosureDiff::default()
            });
            format!("{names} {before} -> {after}\n    {found}")
        });
        insta::assert_snapshot!(table.join("\n"), @r#"
        systemd systemd-minimal systemd-minimal-libs 257.8 -> 257.9
            Versions "systemd" 257.8 -> 257.9 upgraded no: systemd systemd-minimal systemd-minimal-libs
        docker docker-containerd docker-init docker-runc 18.09.7 -> 19.03.2
            Versions "docker" 18.09.7 -> 19.03.2 upgraded no: docker docker-containerd docker-init docker-runc
        gst-plugins-bad gst-plugins-base gst-plugins-good 1.24 -> 1.26
            Versions "gst-plugins" 1.24 -> 1.26 upgraded no: gst-plugins-bad gst-plugins-base gst-plugins-good
        nss nss-cacert 3.42.1 -> 3.46
            
        kwin plasma-desktop powerdevil qtbase qtsvg 6.4.1 -> 6.4.2
            Versions "" 6.4.1 -> 6.4.2 upgraded no: kwin plasma-desktop powerdevil qtbase qtsvg
        kwin plasma-desktop powerdevil qtbase 6.4.1 -> 6.4.2
            
        alpha beta delta gamma omega 1.0 -> 1.1
            
        python3.12-a python3.12-b python3.12-c 1.0 -> 1.1
            
        lib liba libb 1.0 -> 1.1
            
        a-x a-y a-z 2024.1 -> 2024.1
        "#);

        // Only what has one version on either side; selected on any side that one of them is selected on.
        let changed = vec![
            entry("a-w", &["1", "2"], &["3"], Selected::No),
            entry("a-x", &["1"], &["3"], Selected::Newly),
            entry("a-y", &["1"], &["3"], Selected::No),
            entry("a-z", &["1"], &["3"], Selected::NoLonger),
        ];
        let diff = ClosureDiff {
            changed,
            ..ClosureDiff::default()
        };
        insta::assert_snapshot!(lines(&diff), @r#"Versions "a" 1 -> 3 upgraded yes: a-x a-y a-z"#);
    }

    #[test]
    fn names_that_move_their_first_numbers_are_a_family() {
        let entries = |names: &str, selected: &[&str], state: Selected| -> Vec<Entry> {
            let one = |name: &str| {
                let state = if selected.contains(&name) {
                    state
                } else {
                    Selected::No
                };
                entry(name, &["1.0"], &[], state)
            };
            names.split(' ').map(one).collect()
        };
        let table = [
            (
                "python3.12-a python3.12-b python3.12-c",
                "python3.13-a python3.13-b python3.13-c python3.13-d",
            ),
            (
                "perl5.40.0-A-B perl5.40.0-C perl5.40.0-D",
                "perl5.38.2-A-B perl5.38.2-C perl5.38.2-D",
            ),
            ("php83-a php83-b php83-c", "php84-a php84-b php84-c"),
            // Too few have a counterpart.
            (
                "python3.12-a python3.12-b python3.12-c",
                "python3.13-a python3.13-b python3.13-e",
            ),
            (
                "python2.7-a python2.7-pip python3.7-b python3.7-pip",
                "python3.8-a python3.8-b python3.8-pip",
            ),
            // The same word, and no number in it.
            ("lib-a lib-b lib-c", "lab-a lab-b lab-c"),
            ("a1-x a1-y a1-z", "b2-x b2-y b2-z"),
        ]
        .map(|(before, after)| {
            let found = lines(&ClosureDiff {
                removed: entries(before, &["python3.12-b"], Selected::NoLonger),
                added: entries(after, &["python3.13-b"], Selected::Newly),
                ..ClosureDiff::default()
            });
            format!("{before} => {after}\n    {found}")
        });
        insta::assert_snapshot!(table.join("\n"), @r#"
        python3.12-a python3.12-b python3.12-c => python3.13-a python3.13-b python3.13-c python3.13-d
            Names "python" python3.12 -> python3.13 upgraded yes: a b c
        perl5.40.0-A-B perl5.40.0-C perl5.40.0-D => perl5.38.2-A-B perl5.38.2-C perl5.38.2-D
            Names "perl" perl5.40.0 -> perl5.38.2 downgraded no: A-B C D
        php83-a php83-b php83-c => php84-a php84-b php84-c
            Names "php" php83 -> php84 upgraded no: a b c
        python3.12-a python3.12-b python3.12-c => python3.13-a python3.13-b python3.13-e
            
        python2.7-a python2.7-pip python3.7-b python3.7-pip => python3.8-a python3.8-b python3.8-pip
            
        lib-a lib-b lib-c => lab-a lab-b lab-c
            
        a1-x a1-y a1-z => b2-x b2-y b2-z
        "#);
    }

    #[test]
    fn the_biggest_family_is_the_first() {
        let all = |names: &str, before: &str, after: &str| -> Vec<Entry> {
            let names = names.split(' ');
            names
                .map(|name| entry(name, &[before], &[after], Selected::No))
                .collect()
        };
        let changed = [
            all("a-x a-y a-z", "1", "2"),
            all("b-w b-x b-y b-z", "2", "3"),
            all("c-x c-y c-z", "1", "2"),
        ];
        let diff = ClosureDiff {
            changed: changed.concat(),
            ..ClosureDiff::default()
        };
        insta::assert_snapshot!(lines(&diff), @r#"
        Versions "b" 2 -> 3 upgraded no: b-w b-x b-y b-z
        Versions "a" 1 -> 2 upgraded no: a-x a-y a-z
        Versions "c" 1 -> 2 upgraded no: c-x c-y c-z
        "#);
    }
}
