//! The body of a pull request, part by part: in the order in which a reader needs them, made in the order in which they get room.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::budget::{ELSEWHERE, Room, short};
use super::failures::{FailureGroup, failures};
use super::inputs::{InputRow, notes, rows as input_rows};
use super::markdown::{cell, code, entities, fence};
use super::overview::{Compared, Overview, Rest, Set, restarts, selected_moves, size_delta};
use super::points::{Point, Word, points_of};
use super::rows::{Lists, Row};
use super::sections::{
    NARROW, Section, closure_size, narrow_title, sections, write_narrow, write_narrow_rows,
};
use super::style::{counted, filled, signed_size, wrapped};
use super::text::{HostNames, to_build};
use super::{DiffView, HostReport, Outcome, Report, Status};

/// How many rows stand open; the rest is folded.
const OPEN: usize = 12;

/// How many hosts a line names.
const NAMES: usize = 12;

/// How many hosts a line names that opens.
const FEW: usize = 3;

/// The most characters of a name in a sentence.
const NAME: usize = 60;

/// A report taken apart.
pub(super) struct Layout<'a> {
    report: &'a Report,
    overview: Overview<'a>,
    names: HostNames,
    failures: Vec<FailureGroup<'a>>,
    rests: Vec<Rest<'a>>,
    points: Vec<Point>,
    /// The names of packages that attackers care for.
    sensitive: HashSet<&'a str>,
    /// The names of packages by which some closures grow in another way than others.
    unequal: HashSet<&'a str>,
}

/// What stands open, and what is folded below it.
struct Piece {
    open: String,
    fold: Option<Fold>,
    /// The fold, once there is room for it.
    folded: String,
}

/// What opens where a reader asks for it.
struct Fold {
    /// Markup of ours, with foreign text as code.
    summary: String,
    texts: Vec<Text>,
}

/// A text that stands in a fence.
struct Text {
    /// Our words above it.
    lead: &'static str,
    text: String,
    /// Of a log the end tells the most, of all else the beginning.
    is_log: bool,
}

impl Text {
    fn of(text: String) -> Self {
        Self {
            lead: "",
            text,
            is_log: false,
        }
    }
}

impl<'a> Layout<'a> {
    /// How many lines may have to say that something is left out.
    pub(super) const PARTS: usize = 14;

    pub(super) fn of(report: &'a Report) -> Self {
        let hosts: &[HostReport] = if report.outcome == Outcome::LockUnchanged {
            &[]
        } else {
            &report.hosts
        };
        let overview = Overview::of(hosts);
        Self {
            report,
            names: HostNames::of(report),
            failures: if hosts.is_empty() {
                Vec::new()
            } else {
                failures(report)
            },
            rests: overview.rests(),
            points: if hosts.is_empty() {
                Vec::new()
            } else {
                points_of(report, &overview)
            },
            sensitive: overview.sensitive(),
            unequal: overview.of_unequal_size(),
            overview,
        }
    }

    /// Returns `head` and what of the report there is room for; nothing where all has to fit and does not.
    pub(super) fn render(&self, head: &str, mut room: Room) -> Option<String> {
        let room = &mut room;
        // The points take a share of the whole, and what fails a share of what they leave, so that with more room no less is
        // said of failures.
        let points = self.points(room.width);
        let kept = room.share(1, 3).min(points.iter().map(String::len).sum());
        room.keep(kept);
        let is_failing = |status| matches!(status, Status::Broken | Status::AlreadyBroken);
        let (mut failing, failing_more) = self.failures(room, 2, is_failing);
        room.release(kept);
        let (points, _) = room.fill(kept, points);
        let (inputs, transitive) = self.inputs(room);
        let to_build = to_build(self.report).map_or_else(String::new, |text| {
            let most = room.share(1, 2);
            room.fit(most, format!("\n{text}.\n"))
        });
        let most = room.share(1, 8);
        let (warnings, warned) = self.warnings(room, 0, most);
        let (mut open, open_more) = self.failures(room, 1, |status| !is_failing(status));
        let (mut sets, sets_more) = self.sets(room);
        let table = self.table(room);
        if room.is_lost() {
            return None;
        }
        let logs_more = fold_all(room, &mut failing, "log", "logs");
        let sets_more = sets_more + &fold_all(room, &mut sets, "list", "lists");
        let open_more = open_more + &fold_all(room, &mut open, "log", "logs");
        let transitive = self.transitive(room, &transitive);
        let notes = self.notes(room);
        if room.is_lost() {
            return None;
        }
        let hosts = self.hosts(room);
        let names = self.names_at_the_end(room);
        // What nobody else has a use for.
        let most = room.share(1, 1);
        let (last_warnings, more_warned) = self.warnings(room, warned, most);
        let left = self.report.warnings.len() - warned - more_warned;
        let warnings = warnings + &last_warnings + &room.notice(left, "warning", "warnings");
        if room.is_lost() {
            return None;
        }
        let mut out = head.to_owned();
        out.push_str(&points);
        out.push_str(&warnings);
        out.push_str(&to_build);
        let mut pieces = |pieces: &[Piece], more: &[&str]| {
            for piece in pieces {
                out.extend([piece.open.as_str(), &piece.folded]);
            }
            out.extend(more.iter().copied());
        };
        pieces(&failing, &[&failing_more, &logs_more]);
        pieces(&open, &[&open_more, &inputs, &transitive, &notes]);
        pieces(&sets, &[&sets_more, &table, &hosts, &names]);
        Some(out)
    }

    /// Returns a line for each point.
    fn points(&self, width: usize) -> Vec<String> {
        let points = self.points.iter().enumerate();
        let points = points.map(|(i, point)| {
            let start = if i == 0 { "\n" } else { "" };
            let words = said(&point.words, width.min(NAME));
            match words.as_str() {
                "" => format!("{start}- **{}**\n", point.lead),
                words => format!("{start}- **{}:** {words}\n", point.lead),
            }
        });
        points.collect()
    }

    /// Names hosts as code: the first ones, and how many more.
    fn hosts_named<'h>(
        &self,
        hosts: impl IntoIterator<Item = &'h HostReport>,
        most: usize,
        width: usize,
        mark: fn(&str) -> String,
    ) -> String {
        let names = hosts.into_iter().map(|host| self.names.of_host(host));
        named(names, most, width, mark)
    }

    /// Returns what fails, or is left open, of the statuses asked for, within so many thirds of the room.
    fn failures(
        &self,
        room: &mut Room,
        thirds: usize,
        is_asked: impl Fn(Status) -> bool,
    ) -> (Vec<Piece>, String) {
        let mut most = room.share(thirds, 3);
        let mut pieces = Vec::new();
        let (mut told, mut all) = (0, 0);
        let mut status = None;
        let mut is_full = false;
        for group in self.failures.iter().filter(|group| is_asked(group.status)) {
            all += group.hosts.len();
            if is_full {
                continue;
            }
            let mut open = String::new();
            if status != Some(group.status) {
                let title = match group.status {
                    // Without a lock to begin with there is nothing without the update.
                    Status::AlreadyBroken if self.report.lock.before_hash.is_none() => "Broken",
                    status => title(status),
                };
                open.extend(["\n### ", title, "\n"]);
            }
            let fold = self.failure(&mut open, group, room.width);
            let (open, count) = room.fill(most, [open]);
            is_full = count == 0;
            if !is_full {
                most -= open.len();
                status = Some(group.status);
                told += group.hosts.len();
                pieces.push(Piece {
                    open,
                    fold,
                    folded: String::new(),
                });
            }
        }
        let more = room.notice(all - told, "host of this kind", "hosts of this kind");
        (pieces, more)
    }

    /// Writes what is told of hosts that fail alike, and returns what is folded of it.
    fn failure(&self, out: &mut String, group: &FailureGroup<'_>, width: usize) -> Option<Fold> {
        const TELLING: usize = 8;
        let hosts = group.hosts.iter().copied();
        out.extend(["\n", &self.hosts_named(hosts, NAMES, width.min(NAME), code)]);
        if let Some(what) = &group.what {
            out.extend([": ", what]);
        }
        if let Some(derivation) = group.derivation {
            let name = derivation.rsplit('/').next().unwrap_or(derivation);
            let name = name
                .get(33..)
                .filter(|_| name.is_char_boundary(33))
                .unwrap_or(name);
            out.extend([", ", &code(&short(name, width))]);
        }
        out.push_str(".\n");
        let reason = group.reason.iter().flat_map(|reason| reason.lines());
        let telling = group.telling.iter().chain(&group.signs).map(String::as_str);
        let mut telling: Vec<&str> = reason.chain(telling).collect();
        let mut error = group.error.as_slice();
        if telling.is_empty() {
            let first = error.get(..TELLING).unwrap_or(error);
            telling = first.iter().map(String::as_str).collect();
            error = error.get(first.len()..).unwrap_or_default();
        }
        if !telling.is_empty() {
            // Of a long line the end tells what is wrong: on a phone it has to be seen without being looked for.
            const LONG: usize = 2 * NARROW;
            let lines: Vec<String> = telling
                .iter()
                .map(|line| short(line, width))
                .flat_map(|line| match line.chars().count() {
                    0..LONG => vec![line],
                    _ => filled(&line, NARROW),
                })
                .collect();
            out.extend(["\n", &fence(&lines.join("\n"))]);
        }
        if let Some(same) = &group.log_as {
            let same = code(&short(same, width.min(NAME)));
            out.extend(["\nIts log ends as that of ", &same, ".\n"]);
        }
        let mut texts = Vec::new();
        if let Some(derivation) = group.derivation {
            texts.push(Text::of(derivation.to_owned()));
        }
        if !error.is_empty() {
            texts.push(Text {
                lead: "The rest of the error:",
                text: error.join("\n"),
                is_log: false,
            });
        }
        if !group.log.is_empty() {
            texts.push(Text {
                // The fold's summary says it, unless there is more in it.
                lead: if error.is_empty() {
                    ""
                } else {
                    "The end of the log:"
                },
                text: group.log.join("\n"),
                is_log: true,
            });
        }
        let summary = match (error.is_empty(), group.log.is_empty()) {
            (_, false) => "The end of the log",
            (false, true) => "The whole error",
            (true, true) => "The derivation",
        };
        (!texts.is_empty()).then(|| Fold {
            summary: summary.to_owned(),
            texts,
        })
    }

    /// Returns the table of the flake's own inputs, and the rows of the others.
    fn inputs(&self, room: &mut Room) -> (String, Vec<String>) {
        let rows = input_rows(self.report);
        let (transitive, direct): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.transitive);
        let (timed, head) = head_of(&rows);
        let width = room.width;
        let line = |row: &&InputRow<'_>| input(row, timed, width);
        let start = format!("\n### Inputs\n\n{head}");
        let direct: Vec<String> = direct.iter().map(line).collect();
        let transitive: Vec<String> = transitive.iter().map(line).collect();
        if direct.is_empty() {
            // Those of inputs are folded below it.
            let heading = if transitive.is_empty() {
                ""
            } else {
                "\n### Inputs\n"
            };
            let most = room.share(1, 2);
            return (room.fit(most, heading.to_owned()), transitive);
        }
        let (text, shown) = table(room, room.share(1, 2), &start, &direct, "");
        let more = room.notice(direct.len() - shown, "input", "inputs");
        (text + &more, transitive)
    }

    fn transitive(&self, room: &mut Room, rows: &[String]) -> String {
        let (_, head) = head_of(&input_rows(self.report));
        let count = counted(rows.len(), "input of an input", "inputs of inputs");
        let start = format!("\n<details><summary>{count}</summary>\n\n{head}");
        let (text, shown) = table(room, room.share(1, 3), &start, rows, END);
        text + &room.notice(rows.len() - shown, "input of an input", "inputs of inputs")
    }

    /// Returns what is odd about the lock.
    fn notes(&self, room: &mut Room) -> String {
        let notes = notes(self.report);
        let lines = notes.iter().map(|note| said(note, room.width.min(NAME)));
        let most = room.share(1, 4);
        match notes.len() {
            0 => String::new(),
            1 => {
                let line: String = lines.collect();
                room.fit(most, format!("\n{line}\n"))
            }
            count => {
                let lines: Vec<String> = lines.map(|line| format!("- {line}\n")).collect();
                let start = format!("\n<details><summary>{count} notes on the lock</summary>\n\n");
                let (text, shown) = table(room, most, &start, &lines, END);
                text + &room.notice(count - shown, "note on the lock", "notes on the lock")
            }
        }
    }

    /// Returns warnings but for the first `from`, and how many.
    fn warnings(&self, room: &mut Room, from: usize, most: usize) -> (String, usize) {
        let width = room.width;
        let warnings = self.report.warnings.iter().skip(from);
        let lines = warnings.map(|text| format!("\nWarning: {}\n", code(&short(text, width))));
        room.fill(most, lines)
    }

    /// Returns what hosts have in common; of the only one that was compared, all.
    fn sets(&self, room: &mut Room) -> (Vec<Piece>, String) {
        let mut pieces = Vec::new();
        let mut is_told = true;
        let compared = self.overview.hosts.len();
        let all: Vec<Piece> = match (self.overview.hosts.as_slice(), self.rests.as_slice()) {
            ([host], [rest]) => vec![self.only(host, rest, room.width)],
            _ => {
                // One stands open: of those of at least half of the hosts the one that says the most.
                let sets = self.overview.sets.iter().enumerate();
                let open = sets
                    .clone()
                    .filter(|(_, set)| set.hosts.len() * 2 >= compared)
                    .max_by_key(|(at, set)| (self.overview.weight_of(set), Reverse(*at)))
                    .filter(|(_, set)| self.overview.weight_of(set) > (0, 0))
                    .map(|(at, _)| at);
                let mut sets: Vec<(usize, &Set)> = sets.collect();
                sets.sort_by_key(|(at, _)| Some(*at) != open);
                let sets = sets.into_iter();
                sets.filter_map(|(at, set)| self.set(set, Some(at) == open, room.width))
                    .collect()
            }
        };
        let count = all.len();
        let mut most = room.share(1, 2);
        for piece in all {
            let (_, fits) = if is_told {
                room.fill(most, [piece.open.clone()])
            } else {
                (String::new(), 0)
            };
            is_told = fits == 1;
            if is_told {
                most -= piece.open.len();
                pieces.push(piece);
            }
        }
        let more = room.notice(
            count - pieces.len(),
            "group of hosts with changes in common",
            "groups of hosts with changes in common",
        );
        (pieces, more)
    }

    /// Returns all of the only host that was compared.
    fn only(&self, host: &Compared<'_>, rest: &Rest<'_>, width: usize) -> Piece {
        let name = code(&short(&host.name, width.min(NAME)));
        let mut open = format!("\n### {name}\n");
        let fold = self.opened(&mut open, &rest.lists, width, Some(host));
        Piece {
            open,
            fold,
            folded: String::new(),
        }
    }

    fn set(&self, set: &Set, is_large: bool, width: usize) -> Option<Piece> {
        let lists = self.overview.lists_of(set);
        let (compared, count) = (self.overview.hosts.len(), set.hosts.len());
        let hosts = |places: &[u32], mark: fn(&str) -> String| {
            let hosts = places.iter().filter_map(|at| self.overview.host(*at));
            let most = if is_large { NAMES } else { FEW };
            self.hosts_named(hosts.map(|host| host.host), most, width.min(NAME), mark)
        };
        let is_all = compared == self.report.hosts.len();
        let on = match (count == compared, is_all) {
            (true, _) if count == 2 && is_all => "On both hosts".to_owned(),
            (true, _) if count == 2 => "On both hosts compared".to_owned(),
            (true, true) => format!("On all {count} hosts"),
            (true, false) => format!("On all {count} hosts compared"),
            (false, true) => format!("On {count} of {compared} hosts"),
            (false, false) => format!("On {count} of {compared} hosts compared"),
        };
        if !is_large {
            let names = hosts(&set.hosts, entities);
            let mut text = String::new();
            write_narrow(&mut text, self.sections(&lists, true));
            return Some(Piece {
                open: String::new(),
                fold: Some(Fold {
                    summary: if count == compared {
                        format!("{on}: {}", amount(&lists)?)
                    } else {
                        format!("{on}: {}; {names}", amount(&lists)?)
                    },
                    texts: vec![Text::of(plain(&text))],
                }),
                folded: String::new(),
            });
        }
        let mut open = format!("\n### {on}\n");
        if count < compared {
            let others = (0_u32..).zip(&self.overview.hosts).map(|(at, _)| at);
            let others = others.filter(|at| set.hosts.binary_search(at).is_err());
            let others: Vec<u32> = others.collect();
            let (lead, places) = if others.len() <= NAMES.min(count) {
                ("Not on", &others)
            } else {
                ("On", &set.hosts)
            };
            out_line(&mut open, &format!("{lead} {}.", hosts(places, code)));
        }
        let fold = self.opened(&mut open, &lists, width, None);
        Some(Piece {
            open,
            fold,
            folded: String::new(),
        })
    }

    /// Returns the sections of `lists`; of several hosts without sizes that are not the same on all.
    fn sections(&self, lists: &Lists<'a>, is_shared: bool) -> Vec<Section<'a>> {
        let mut sections = sections(lists, DiffView::default());
        // Of a part nothing follows from what it does not hold.
        if self.overview.hosts.len() > 1 {
            sections.retain(|section| !matches!(section, Section::Note(_)));
        }
        if !is_shared {
            return sections;
        }
        for section in &mut sections {
            if let Section::Rows { rows, .. } = section {
                for row in rows {
                    row.size_delta = row.size_delta.filter(|_| !self.unequal.contains(row.key()));
                }
            }
        }
        sections
    }

    /// Writes the rows that a reader looks for first, and returns the others, folded.
    fn opened(
        &self,
        out: &mut String,
        lists: &Lists<'a>,
        width: usize,
        only: Option<&Compared<'_>>,
    ) -> Option<Fold> {
        let rank = |row: &Row<'_>| row.rank(|name| self.sensitive.contains(name));
        let mut sections = self.sections(lists, only.is_none());
        let mut ranks: Vec<u8> = Vec::new();
        for section in &sections {
            if let Section::Rows { rows, .. } = section {
                ranks.extend(rows.iter().map(rank));
            }
        }
        ranks.sort_unstable();
        // All that rank before the last one shown are shown, and as many of its own rank as there is place for.
        let last = ranks.get(OPEN - 1).copied().unwrap_or(u8::MAX);
        let mut places = OPEN
            - ranks
                .iter()
                .take_while(|rank| **rank < last)
                .count()
                .min(OPEN);
        let mut first: Vec<Row<'a>> = Vec::new();
        let mut note = None;
        for section in &mut sections {
            match section {
                Section::Rows { rows, .. } => {
                    first.extend(rows.extract_if(.., |row| {
                        let rank = rank(row);
                        let shown = rank < last || rank == last && places > 0;
                        if rank == last && shown {
                            places -= 1;
                        }
                        shown
                    }));
                }
                Section::Note(text) if note.is_none() => note = Some(text.clone()),
                Section::Note(_) | Section::Names { .. } => {}
            }
        }
        first.sort_by_key(rank);
        if first.is_empty() {
            if let Some(note) = note.filter(|_| only.is_some()) {
                out_line(out, &note);
            }
        } else {
            let mut text = String::new();
            write_narrow_rows(&mut text, &first);
            let text = plain(&text);
            let lines: Vec<String> = text.lines().map(|line| short(line, width)).collect();
            out.extend(["\n", &fence(&lines.join("\n"))]);
        }
        let mut counts = Vec::new();
        let mut more = 0;
        sections.retain(|section| match section {
            Section::Rows { rows, .. } => {
                more += rows.len();
                !rows.is_empty()
            }
            Section::Note(_) => false,
            Section::Names { .. } => true,
        });
        if more > 0 {
            counts.push(format!("{more} more"));
        }
        let titles = sections.iter().filter_map(|section| match section {
            Section::Names { title, .. } => Some(narrow_title(title)),
            _ => None,
        });
        counts.extend(titles);
        let mut text = String::new();
        write_narrow(&mut text, sections);
        if let Some(host) = only {
            size_line(&mut text, host);
        }
        if counts.is_empty() && !text.is_empty() {
            counts.push("Closure size".to_owned());
        }
        (!counts.is_empty()).then(|| Fold {
            summary: counts.join("; "),
            texts: vec![Text::of(plain(&text))],
        })
    }

    /// Returns the table of hosts, where there are several that do not stay as they are.
    fn table(&self, room: &mut Room) -> String {
        const ROWS: usize = 20;
        const FEW_HOSTS: usize = 5;
        const HEAD: &str = "| host | changes | then |\n| --- | --- | --- |\n";
        let hosts = self.report.hosts.iter();
        let hosts = hosts.filter(|host| host.status != Status::Unchanged);
        let hosts: Vec<&HostReport> = hosts.collect();
        if self.report.outcome == Outcome::LockUnchanged || hosts.len() < 2 {
            return String::new();
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut groups: Vec<(String, Vec<&HostReport>)> = Vec::new();
        for host in hosts {
            let cells = cells(host);
            let place = *places.entry(cells.clone()).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, alike)) => alike.push(host),
                None => groups.push((cells, vec![host])),
            }
        }
        let width = room.width.min(NAME);
        let counts: Vec<usize> = groups.iter().map(|(_, hosts)| hosts.len()).collect();
        let rows: Vec<String> = groups
            .into_iter()
            .map(|(cells, hosts)| {
                let names = hosts.into_iter().map(|host| self.names.of_host(host));
                format!("| {} | {cells} |\n", named(names, 2, width, cell))
            })
            .collect();
        // What is said of few is named above.
        let open = if self.report.hosts.len() > FEW_HOSTS {
            ROWS
        } else {
            0
        };
        let (first, rest) = rows.split_at(open.min(rows.len()));
        let most = room.share(1, 2);
        let (mut text, mut shown) = table(room, most, &format!("\n### Hosts\n\n{HEAD}"), first, "");
        if shown == first.len() && !rest.is_empty() {
            let most = room.share(1, 3);
            let left: usize = counts.iter().skip(shown).sum();
            let left = match first.len() {
                0 => counted(left, "host", "hosts"),
                _ => counted(left, "more host", "more hosts"),
            };
            let start = format!("\n<details><summary>{left}</summary>\n\n{HEAD}");
            let (more, shown_more) = table(room, most, &start, rest, END);
            text.push_str(&more);
            shown += shown_more;
        }
        let left = counts.iter().skip(shown).sum();
        text + &room.notice(left, "host of this table", "hosts of this table")
    }

    /// Returns what is left to tell of each host.
    fn hosts(&self, room: &mut Room) -> String {
        const LEAST: usize = 600;
        let mut out = String::new();
        if self.overview.hosts.len() < 2 {
            return out;
        }
        let (told, rests): (Vec<&Rest<'_>>, Vec<&Rest<'_>>) =
            self.rests.iter().partition(|rest| rest.lists.len() == 0);
        let told: usize = told.iter().map(|rest| rest.hosts.len()).sum();
        if told > 0 && !rests.is_empty() {
            let others = match told {
                1 => "the other host".to_owned(),
                told => format!("the other {told} hosts"),
            };
            let line = format!("\nNothing else changes on {others}.\n");
            out += &room.fit(room.share(1, 8), line);
        }
        let all: usize = rests.iter().map(|rest| rest.hosts.len()).sum();
        let mut shown = 0;
        for (i, rest) in rests.iter().enumerate() {
            let most = room.share(7, 8) / if room.is_shared() { rests.len() - i } else { 1 };
            let most = most.max(LEAST).min(room.share(1, 1));
            let fold = self.rest(rest, room.is_shared().then_some(most), room.width);
            let Some(text) = folded(room, &fold, most) else {
                break;
            };
            out += &text;
            shown += rest.hosts.len();
        }
        out + &room.notice(all - shown, "host", "hosts")
    }

    /// Returns what is left to tell of hosts: of each alike. Of more than `most` bytes there is no need.
    fn rest(&self, rest: &Rest<'a>, most: Option<usize>, width: usize) -> Fold {
        /// How many bytes a row has at least.
        const ROW: usize = 12;
        let hosts = rest.hosts.iter().filter_map(|at| self.overview.host(*at));
        let hosts: Vec<&Compared<'_>> = hosts.collect();
        let names = hosts.iter().map(|host| host.host);
        let names = self.hosts_named(names, FEW, width.min(NAME), entities);
        let amount = amount(&rest.lists).unwrap_or_default();
        let mut text = String::new();
        let rows = most.map_or(usize::MAX, |most| most / ROW);
        // The row of a family counts its packages, so that of families none can be left out beforehand.
        if rest.lists.moves() > rows && rest.lists.families.is_empty() {
            let lists = rest.lists.first(rows);
            write_narrow(&mut text, self.sections(&lists, hosts.len() > 1));
            text.extend(["… not all: ", &amount, "\n"]);
        } else {
            write_narrow(&mut text, self.sections(&rest.lists, hosts.len() > 1));
        }
        if let [host] = hosts.as_slice() {
            size_line(&mut text, host);
        }
        Fold {
            summary: format!("{names}: {amount}"),
            texts: vec![Text::of(plain(&text))],
        }
    }

    /// Returns the hosts of which there is only the name to tell.
    fn names_at_the_end(&self, room: &mut Room) -> String {
        let width = room.width.min(NAME);
        let excluded = &self.report.excluded;
        let items = excluded.iter().enumerate().map(|(i, host)| {
            let start = if i == 0 { "\nLeft out: " } else { ", " };
            let name = code(&short(&format!("{}:{}", host.kind, host.name), width));
            format!("{start}{name} by {}", code(&short(&host.pattern, width)))
        });
        let (mut out, shown) = room.fill(room.share(1, 2).saturating_sub(1), items);
        if shown > 0 {
            out.push('\n');
            room.keep(1);
        }
        out += &room.notice(excluded.len() - shown, "host left out", "hosts left out");
        if self.report.outcome == Outcome::LockUnchanged {
            return out;
        }
        let unchanged: Vec<&HostReport> = self.report.with_status(Status::Unchanged).collect();
        let items = unchanged.iter().enumerate().map(|(i, host)| {
            let start = if i == 0 { "\n### Unchanged\n\n" } else { ", " };
            format!("{start}{}", code(&short(&self.names.of_host(host), width)))
        });
        let (names, shown) = room.fill(room.share(1, 1).saturating_sub(1), items);
        out += &names;
        if shown > 0 {
            out.push('\n');
            room.keep(1);
        }
        out + &room.notice(unchanged.len() - shown, "unchanged host", "unchanged hosts")
    }
}

const INPUTS: &str = "| input | change |\n| --- | --- |\n";
const INPUTS_TIMED: &str = "| input | change | time |\n| --- | --- | --- |\n";

/// What ends a fold. Around what is folded Markdown needs an empty line, or it is taken for HTML.
const END: &str = "\n</details>\n";

/// Returns whether the inputs have times to tell, and the head of their tables.
fn head_of(rows: &[InputRow<'_>]) -> (bool, &'static str) {
    let is_timed = |row: &InputRow<'_>| row.between.is_some() || row.dates != [None, None];
    if rows.iter().any(is_timed) {
        (true, INPUTS_TIMED)
    } else {
        (false, INPUTS)
    }
}

fn input(row: &InputRow<'_>, timed: bool, width: usize) -> String {
    let [name, before, after] =
        [row.name, &row.before, &row.after].map(|text| cell(&short(text, width)));
    let link = row
        .compare
        .map_or_else(String::new, |url| format!(" [compare]({url})"));
    let kind = row.kind.map_or_else(String::new, |kind| {
        format!(" ({})", cell(&short(kind, width)))
    });
    let mut out = format!("| {name}{kind} | {before} → {after}{link} |");
    if timed {
        let dates = row
            .dates
            .map(|date| date.map(|date| cell(&short(date, width))));
        let dates = match dates {
            [Some(before), Some(after)] => format!("{before} → {after} "),
            [Some(one), None] | [None, Some(one)] => format!("{one} "),
            [None, None] => String::new(),
        };
        let between = row.between.as_deref().unwrap_or_default();
        out.extend([" ", &dates, between, " |"]);
    }
    out + "\n"
}

/// Returns `start`, as many of `rows` as fit with it and `end` into `most` bytes, and `end`; nothing without a row. Says how many
/// rows they are.
fn table(room: &mut Room, most: usize, start: &str, rows: &[String], end: &str) -> (String, usize) {
    if most.min(room.share(1, 1)) < end.len() {
        room.is_short |= !rows.is_empty();
        return (String::new(), 0);
    }
    room.keep(end.len());
    let items = rows.iter().enumerate().map(|(i, row)| {
        let start = if i == 0 { start } else { "" };
        format!("{start}{row}")
    });
    let (text, shown) = room.fill(most.saturating_sub(end.len()), items);
    if shown == 0 {
        room.release(end.len());
        return (text, 0);
    }
    (text + end, shown)
}

/// Returns the cells of a host's row in the table.
fn cells(host: &HostReport) -> String {
    let mut changes = Vec::new();
    match (host.status, &host.diff) {
        (Status::Changed, Some(_)) => {}
        (Status::Changed, None) => changes.push("changed, not compared".to_owned()),
        (status, _) => changes.push(status.as_str().to_owned()),
    }
    let selected = host.diff.as_ref().map_or(0, selected_moves);
    if selected > 0 {
        changes.push(format!("{selected} selected"));
    }
    if let Some(impact) = &host.impact {
        for (list, one, many) in [
            (&impact.downgrades, "downgrade", "downgrades"),
            (&impact.gone, "gone", "gone"),
            (&impact.major, "new major", "new majors"),
        ] {
            if !list.is_empty() {
                changes.push(counted(list.len(), one, many));
            }
        }
    }
    changes.extend(size_delta(host).map(signed_size));
    let mut then = Vec::new();
    if let Some(impact) = &host.impact {
        if impact.reboot.needed == Some(true) {
            then.push("reboot".to_owned());
        }
        let restarts = restarts(impact).count();
        if restarts > 0 {
            then.push(counted(restarts, "restart", "restarts"));
        }
    }
    format!("{} | {}", changes.join(", "), then.join(", "))
}

/// Says how much `lists` hold; nothing where a reader sees nothing of them.
fn amount(lists: &Lists<'_>) -> Option<String> {
    let counts = [
        (lists.moves(), "changed"),
        (lists.rebuilt.len(), "rebuilt"),
        (lists.configuration.len(), "of the configuration"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(n, what)| format!("{n} {what}")).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Returns the names of the first `most`, and how many more there are.
fn named(
    mut names: impl Iterator<Item = String>,
    most: usize,
    width: usize,
    mark: fn(&str) -> String,
) -> String {
    let shown = names
        .by_ref()
        .take(most)
        .map(|name| mark(&short(&name, width)));
    let shown: Vec<String> = shown.collect();
    let shown = shown.join(", ");
    match names.count() {
        0 => shown,
        left => format!("{shown} and {left} more"),
    }
}

/// Returns words as Markdown.
fn said(words: &[Word], width: usize) -> String {
    let words = words.iter().map(|word| match word {
        Word::Own(text) => text.clone(),
        Word::Foreign(text) => code(&short(text, width)),
    });
    words.collect()
}

fn title(status: Status) -> &'static str {
    match status {
        Status::Broken => "Broken by the update",
        Status::AlreadyBroken => "Broken with and without the update",
        Status::Mended => "Mended by the update",
        Status::Skipped => "Skipped",
        Status::Unknown => "Unknown",
        Status::Changed => "Changed",
        Status::Unchanged => "Unchanged",
    }
}

/// Writes a paragraph.
fn out_line(out: &mut String, text: &str) {
    out.extend(["\n", text, "\n"]);
}

/// Writes nvd's last line, broken for a narrow page.
fn size_line(out: &mut String, host: &Compared<'_>) {
    let paths = |side: Option<&super::Side>| side.and_then(|side| side.paths).unwrap_or(0);
    let (before, after) = (host.host.before.as_ref(), host.host.after.as_ref());
    let mut line = String::new();
    closure_size(&mut line, host.diff, paths(before), paths(after));
    let words: Vec<String> = line.trim_end().split(", ").map(str::to_owned).collect();
    for line in wrapped("", &words, NARROW) {
        if !line.is_empty() {
            out.extend([&line, "\n"]);
        }
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Makes the folds of `pieces`, and says of how many nothing is shown.
fn fold_all(room: &mut Room, pieces: &mut [Piece], one: &str, many: &str) -> String {
    let mut left = 0;
    for piece in pieces {
        if let Some(fold) = &piece.fold {
            let most = room.share(1, 3);
            match folded(room, fold, most) {
                Some(text) => piece.folded = text,
                None => left += 1,
            }
        }
    }
    room.notice(left, one, many)
}

/// Returns a fold of at most `most` bytes: with the texts cut, where it has to be; nothing where even that is too much.
fn folded(room: &mut Room, fold: &Fold, most: usize) -> Option<String> {
    /// What a text says at least.
    const LEAST: usize = 100;
    /// What the line that says what is left out takes, and a fence.
    const MORE: usize = 140;
    let written = |texts: &[String]| {
        let mut out = format!("\n<details><summary>{}</summary>\n", fold.summary);
        for (text, kept) in fold.texts.iter().zip(texts) {
            if !text.lead.is_empty() {
                out_line(&mut out, text.lead);
            }
            out.extend(["\n", &fence(kept)]);
        }
        out + END
    };
    let length: usize = fold.texts.iter().map(|text| text.text.len()).sum();
    if length <= most {
        let texts: Vec<String> = fold.texts.iter().map(|text| text.text.clone()).collect();
        let text = written(&texts);
        if text.len() <= most {
            return Some(room.fit(most, text));
        }
    }
    room.is_short = true;
    let around: usize = fold.summary.len()
        + 64
        + fold
            .texts
            .iter()
            .map(|text| text.lead.len() + MORE)
            .sum::<usize>();
    if room.is_lost() || around + LEAST * fold.texts.len() > most {
        return None;
    }
    let each = (most - around) / fold.texts.len().max(1);
    let texts: Vec<String> = fold
        .texts
        .iter()
        .map(|text| lines(text, each, room.width))
        .collect();
    let text = written(&texts);
    // Backticks of others make a fence longer than it is thought to be.
    (text.len() <= most).then(|| room.fit(most, text))
}

/// Returns as many lines of `text` as fit, and how many are left out; of a log the last ones.
fn lines(text: &Text, most: usize, width: usize) -> String {
    let count = text.text.lines().count();
    let mut left = most;
    let mut fits = |line: &str| {
        let line = short(line, width);
        let fits = line.len() < left;
        left = left.saturating_sub(line.len() + 1);
        fits.then_some(line)
    };
    let mut kept: Vec<String> = if text.is_log {
        text.text.lines().rev().map_while(&mut fits).collect()
    } else {
        text.text.lines().map_while(&mut fits).collect()
    };
    let more = count - kept.len();
    if more > 0 {
        let elsewhere = ELSEWHERE.replace('`', "");
        kept.push(format!(
            "… {}: {elsewhere}",
            counted(more, "more line", "more lines")
        ));
    }
    if text.is_log {
        kept.reverse();
    }
    kept.join("\n")
}
