//! What a reviewer must know before anything else, a sentence each: what breaks, what reboots, what moves, how big it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::closure::{Cause, Change};

use super::budget::short;
use super::overview::{List, Overview, median, reboot, restarts, size_delta, step};
use super::style::{counted, signed_size};
use super::text::HostNames;
use super::{
    HostReport, Impact, Outcome, RebootPart, RebootReason, Report, SideName, Stage, Status, Step,
};

/// One such thing: a lead, a colon, and the words; or a lead that is a sentence by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    /// What it is about: `Reboot`; a whole sentence, with its full stop, where there are no words.
    pub(super) lead: &'static str,
    /// How much a reader should mind.
    pub(super) weight: Weight,
    /// What is said of it, in pieces, without a full stop.
    pub(super) words: Vec<Word>,
}

/// How much a reader should mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It is good news, or no news.
    Fine,
    /// It is worth a look.
    Care,
    /// It is bad.
    Bad,
}

/// A piece of a sentence. Spaces stand in our own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Our own words.
    Own(String),
    /// A name, a version, a text of somebody else's.
    Foreign(String),
}

/// What stands between two versions.
pub(super) const ARROW: &str = " → ";

/// How many characters of a text of somebody else's a point has at most.
const LONGEST: usize = 80;

/// How many things a point names.
const NAMED: usize = 4;

/// How many hosts a point names.
const HOSTS: usize = 3;

/// Returns what a reviewer must know: first what is bad, then what breaks, reboots, moves, and how big it is, then what else is
/// worth a look. Where nothing changes, the headline says it all.
pub(super) fn points(report: &Report) -> Vec<Point> {
    points_of(report, &Overview::of(&report.hosts))
}

/// Returns the same, of hosts already compared.
pub(super) fn points_of(report: &Report, overview: &Overview<'_>) -> Vec<Point> {
    if report.hosts.is_empty() || report.outcome != Outcome::Changed {
        return Vec::new();
    }
    let teller = Teller {
        report,
        overview,
        names: HostNames::of(report),
    };
    let mut points = teller.breaks();
    points.extend(teller.reboots());
    points.extend(teller.steps("Downgraded", Weight::Care, |impact| &impact.downgrades));
    points.extend(teller.gone());
    points.extend(teller.steps("New major version", Weight::Care, |impact| &impact.major));
    points.extend(teller.release());
    points.extend(teller.selected());
    points.extend(teller.size());
    points.extend(teller.security());
    points.extend(teller.patches());
    points.extend(teller.vulnerabilities());
    points.extend(teller.restarts());
    points.extend(teller.services());
    points.extend(teller.outliers());
    points.sort_by_key(|point| point.weight != Weight::Bad);
    points
}

/// A list of what an impact names.
type ListOf = fn(&Impact) -> &Vec<Step>;

/// Hosts, by their place in the report.
type Hosts = Vec<usize>;

/// Writes sentences.
#[derive(Default)]
struct Sentence(Vec<Word>);

impl Sentence {
    fn own(&mut self, text: &str) -> &mut Self {
        match self.0.last_mut() {
            Some(Word::Own(last)) => last.push_str(text),
            _ => self.0.push(Word::Own(text.to_owned())),
        }
        self
    }

    fn foreign(&mut self, text: &str) -> &mut Self {
        self.0.push(Word::Foreign(text.to_owned()));
        self
    }

    fn all(&mut self, words: Vec<Word>) -> &mut Self {
        for word in words {
            match word {
                Word::Own(text) => self.own(&text),
                Word::Foreign(text) => self.foreign(&text),
            };
        }
        self
    }

    fn point(self, lead: &'static str, weight: Weight) -> Point {
        Point {
            lead,
            weight,
            words: self.0,
        }
    }
}

/// Returns a sentence of ours.
fn own(text: &str) -> Sentence {
    let mut sentence = Sentence::default();
    sentence.own(text);
    sentence
}

struct Teller<'a> {
    report: &'a Report,
    overview: &'a Overview<'a>,
    names: HostNames,
}

impl Teller<'_> {
    fn hosts(&self, is: impl Fn(&HostReport) -> bool) -> Hosts {
        let hosts = self.report.hosts.iter().enumerate();
        let hosts = hosts.filter(|(_, host)| is(host));
        hosts.map(|(at, _)| at).collect()
    }

    fn of_status(&self, statuses: &[Status]) -> Hosts {
        self.hosts(|host| statuses.contains(&host.status))
    }

    /// Returns the impact of each host that has one.
    fn impacts(&self) -> impl Iterator<Item = (usize, &Impact)> {
        let hosts = self.report.hosts.iter().enumerate();
        hosts.filter_map(|(at, host)| Some((at, host.impact.as_ref()?)))
    }

    fn is_one(&self) -> bool {
        self.report.hosts.len() == 1
    }

    /// Names hosts: `a`, `b`, `c` and 5 more.
    fn names(&self, hosts: &[usize], most: usize) -> Vec<Word> {
        let mut out = Sentence::default();
        let shown = if hosts.len() == most + 1 {
            most + 1
        } else {
            most
        };
        for (i, host) in hosts.iter().take(shown).enumerate() {
            if let Some(host) = self.report.hosts.get(*host) {
                out.own(if i > 0 { ", " } else { "" });
                out.foreign(&self.names.of_host(host));
            }
        }
        let left = hosts.len().saturating_sub(shown);
        if left > 0 {
            out.own(&format!(" and {left} more"));
        }
        out.0
    }

    /// Says on which hosts: nothing where there is only one in all.
    fn on(&self, hosts: &[usize]) -> Vec<Word> {
        let mut out = Sentence::default();
        let of = self.report.hosts.len();
        let compared = self.overview.hosts.len();
        if self.is_one() || hosts.is_empty() {
        } else if hosts.len() == of {
            let all = if of == 2 {
                "both"
            } else {
                &format!("all {of}")
            };
            out.own(&format!(" on {all} hosts"));
        } else if hosts.len() <= HOSTS {
            out.own(" on ").all(self.names(hosts, HOSTS));
        } else if hosts.len() == compared {
            out.own(&format!(" on all {compared} compared"));
        } else {
            out.own(&format!(" on {} of {of} hosts", hosts.len()));
        }
        out.0
    }

    /// Tells of the first things of a list, and where they happen: once, where it is the same hosts for all.
    fn list(&self, out: &mut Sentence, list: &[(Vec<Word>, Hosts)]) {
        let most = if list.len() == NAMED + 1 {
            list.len()
        } else {
            NAMED
        };
        let mut all = list.iter().map(|(_, hosts)| hosts);
        let first = all.next();
        let alike = all.all(|hosts| Some(hosts) == first);
        for (i, (words, hosts)) in list.iter().take(most).enumerate() {
            // Hosts are named with commas between them.
            let gap = if alike { ", " } else { "; " };
            out.own(if i == 0 { "" } else { gap }).all(words.clone());
            if !alike {
                out.all(self.on(hosts));
            }
        }
        let left = list.len().saturating_sub(most);
        if left > 0 {
            out.own(&format!(" and {left} more"));
        }
        if let Some(hosts) = first.filter(|_| alike) {
            out.all(self.on(hosts));
        }
    }

    /// Returns the point that tells of a list, where there is something in it.
    fn of_list(
        &self,
        lead: &'static str,
        weight: Weight,
        list: &[(Vec<Word>, Hosts)],
    ) -> Option<Point> {
        let mut words = Sentence::default();
        self.list(&mut words, list);
        (!list.is_empty()).then(|| words.point(lead, weight))
    }

    /// What breaks, and what is left open.
    fn breaks(&self) -> Vec<Point> {
        let broken = self.of_status(&[Status::Broken]);
        let before = self.of_status(&[Status::AlreadyBroken]);
        // Of such a host it is not known whether it is the update that breaks it, but that it does not work with it is.
        let fails = |host: &HostReport| {
            let failure = host.failure.as_ref();
            host.status == Status::Unknown
                && failure.is_some_and(|failure| {
                    failure.side == SideName::After && failure.stage != Stage::Read
                })
        };
        let failing = self.hosts(fails);
        let open = self
            .hosts(|host| matches!(host.status, Status::Skipped | Status::Unknown) && !fails(host));
        // Without a lock to begin with there is nothing without the update.
        let is_first = self.report.lock.before_hash.is_none();
        let mended = self.of_status(&[Status::Mended]);
        let naming = |hosts: &[usize], weight, one: &'static str, many: &'static str| {
            let mut words = Sentence::default();
            if self.is_one() {
                return words.point(one, weight);
            }
            if hosts.len() > HOSTS {
                let of = self.report.hosts.len();
                words.own(&format!("{} of {of} hosts: ", hosts.len()));
            }
            words.all(self.names(hosts, HOSTS));
            words.point(many, weight)
        };
        let mut out = Vec::new();
        if !broken.is_empty() {
            let one = "The update breaks the host.";
            out.push(naming(&broken, Weight::Bad, one, "Broken by the update"));
        } else if !failing.is_empty() || is_first && !before.is_empty() {
            // That says enough.
        } else if self.report.built && open.is_empty() {
            out.push(Sentence::default().point("Nothing breaks.", Weight::Fine));
        } else if open.len() < self.report.hosts.len() {
            let words = if self.report.built {
                "as far as could be checked"
            } else {
                "as far as evaluation tells"
            };
            out.push(own(words).point("Nothing breaks", Weight::Fine));
        }
        if !failing.is_empty() {
            let one = "The host fails with the update; whether it does without is not known.";
            let many = "Fail with the update, without it not known";
            out.push(naming(&failing, Weight::Bad, one, many));
        }
        if !before.is_empty() && is_first {
            out.push(naming(
                &before,
                Weight::Bad,
                "The host is broken.",
                "Broken",
            ));
        } else if !before.is_empty() {
            let one = "The host is broken with and without the update.";
            let many = "Broken with and without the update";
            out.push(naming(&before, Weight::Care, one, many));
        }
        if !open.is_empty() {
            let one = "The host was not checked.";
            out.push(naming(&open, Weight::Care, one, "Not checked"));
        }
        if !mended.is_empty() {
            let one = "The update mends the host.";
            out.push(naming(&mended, Weight::Fine, one, "Mended by the update"));
        }
        out
    }

    /// What must reboot.
    fn reboots(&self) -> Option<Point> {
        let unchanged = |host: &HostReport| host.status == Status::Unchanged;
        let known = self.hosts(|host| {
            unchanged(host)
                || self.report.built && reboot(host).is_some_and(|reboot| reboot.needed.is_some())
        });
        if known.is_empty() || !self.report.built && known.len() < self.report.hosts.len() {
            let why = match (self.report.built, self.is_one()) {
                (true, _) if !self.overview.hosts.is_empty() => "the report does not tell",
                (false, _) => "nothing was built",
                (true, true) => "the host could not be compared",
                (true, false) => "no host could be compared",
            };
            let lead = match (self.report.built, self.overview.hosts.is_empty()) {
                (true, true) => "Reboot, packages and size not known",
                (true, false) => "Reboot not known",
                (false, _) => "Reboot and size not known",
            };
            return Some(own(why).point(lead, Weight::Care));
        }
        let due = self.hosts(|host| {
            self.report.built && reboot(host).is_some_and(|reboot| reboot.needed == Some(true))
        });
        if due.is_empty() {
            return Some(match known.len() {
                count if count == self.report.hosts.len() => {
                    Sentence::default().point("No reboot.", Weight::Fine)
                }
                1 => own("on the one host compared").point("No reboot", Weight::Fine),
                count => {
                    own(&format!("on the {count} hosts compared")).point("No reboot", Weight::Fine)
                }
            });
        }
        let mut hosts_of: BTreeMap<&RebootReason, Hosts> = BTreeMap::new();
        for at in &due {
            let reboot = self.report.hosts.get(*at).and_then(reboot);
            let reasons = reboot.map_or(&[][..], |reboot| &reboot.reasons);
            for reason in reasons
                .iter()
                .filter(|reason| !comes_along(reason, reasons))
            {
                hosts_of.entry(reason).or_default().push(*at);
            }
        }
        let reasons = hosts_of.into_iter().collect::<Vec<_>>();
        let mut list = reasons
            .into_iter()
            .map(|(reason, hosts)| (words_of_reason(reason), hosts))
            .collect::<Vec<_>>();
        list.sort_by_key(|(_, hosts)| Reverse(hosts.len()));
        let mut words = Sentence::default();
        if due.len() > HOSTS && list.iter().any(|(_, hosts)| *hosts != due) {
            let of = self.report.hosts.len();
            words.own(&format!("{} of {of} hosts: ", due.len()));
        }
        if list.is_empty() {
            words.own("needed").all(self.on(&due));
        }
        self.list(&mut words, &list);
        Some(words.point("Reboot", Weight::Care))
    }

    /// Which packages that users chose move.
    fn selected(&self) -> Option<Point> {
        let sensitive = self.overview.sensitive();
        let changes = &self.overview.changes;
        let mut moves: Vec<_> = changes.iter().filter(|c| c.is_selected_move()).collect();
        moves.sort_by_key(|change| {
            let security = !sensitive.contains(change.entry.name.as_str());
            (Reverse(change.hosts.len()), security)
        });
        let places: Vec<usize> = self.hosts(|host| host.diff.is_some());
        let list: Vec<(Vec<Word>, Hosts)> = moves
            .iter()
            .map(|change| {
                let places = change.hosts.iter().filter_map(|at| {
                    let at = usize::try_from(*at).ok()?;
                    places.get(at).copied()
                });
                (words_of_step(&step(change.entry)), places.collect())
            })
            .collect();
        let nothing_known = self.overview.hosts.is_empty()
            && self.of_status(&[Status::Unchanged]).len() < self.report.hosts.len();
        if nothing_known && self.is_nothing_known() {
            // That is said already.
            return None;
        }
        let is_open = |host: &HostReport| host.status != Status::Unchanged && host.diff.is_none();
        let open = self.hosts(is_open);
        let none = if nothing_known {
            Sentence::default().point("Not known which selected packages move.", Weight::Care)
        } else if !open.is_empty() {
            let words = match places.len() {
                1 => "on the one host compared".to_owned(),
                count => format!("on the {count} hosts compared"),
            };
            own(&words).point("No selected package moves", Weight::Fine)
        } else {
            Sentence::default().point("No selected package moves.", Weight::Fine)
        };
        let told = self.of_list("Selected packages", Weight::Fine, &list);
        Some(told.unwrap_or(none))
    }

    /// Whether of no host anything is known, though things were built: neither did one stay as it is, nor was one compared.
    fn is_nothing_known(&self) -> bool {
        self.report.built
            && self.overview.hosts.is_empty()
            && self.of_status(&[Status::Unchanged]).is_empty()
    }

    /// How big it is.
    fn size(&self) -> Option<Point> {
        if !self.report.built || self.is_nothing_known() {
            // That is said already.
            return None;
        }
        let deltas: Vec<i64> = self.report.hosts.iter().filter_map(size_delta).collect();
        let moved = self.count(|list| list.moves());
        let rebuilt = self.count(|list| list == List::Rebuilt);
        let mut words = Sentence::default();
        match deltas.as_slice() {
            [] => {
                let unchanged = self
                    .report
                    .hosts
                    .iter()
                    .all(|h| h.status == Status::Unchanged);
                if unchanged {
                    return None;
                }
                return Some(Sentence::default().point("Size not known.", Weight::Care));
            }
            [one] => {
                words.own(&signed_size(*one));
                if !self.is_one() {
                    let host = self.hosts(|host| size_delta(host).is_some());
                    words.all(self.on(&host));
                }
            }
            many if many.iter().all(|delta| *delta == 0) => {
                words.own(&signed_size(0));
            }
            many => {
                let sum = many.iter().copied().fold(0, i64::saturating_add);
                let median = median(many.to_vec()).unwrap_or_default();
                words.own(&format!(
                    "{} a host at the median, {} in sum",
                    signed_size(median),
                    signed_size(sum)
                ));
            }
        }
        let counts = [
            (moved, counted(moved, "package moves", "packages move")),
            (rebuilt, format!("{rebuilt} rebuilt")),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(_, said)| said).collect();
        if counts.is_empty() && deltas.iter().all(|delta| *delta == 0) {
            return None;
        }
        if !counts.is_empty() {
            words.own("; ").own(&counts.join(", "));
        }
        Some(words.point("Size", Weight::Fine))
    }

    /// Counts the packages in the lists that are asked for, each name once.
    fn count(&self, is: impl Fn(List) -> bool) -> usize {
        let changes = self.overview.changes.iter();
        let changes = changes.filter(|change| is(change.list));
        let names: HashSet<&str> = changes.map(|change| change.entry.name.as_str()).collect();
        names.len()
    }

    /// Returns each step of a list, and where it happens, the most widespread first.
    fn grouped<'s>(&'s self, list: impl Fn(&'s Impact) -> &'s [Step]) -> Vec<(&'s Step, Hosts)> {
        let mut hosts_of: BTreeMap<&Step, Hosts> = BTreeMap::new();
        for (at, impact) in self.impacts() {
            for step in list(impact) {
                let hosts = hosts_of.entry(step).or_default();
                if hosts.last() != Some(&at) {
                    hosts.push(at);
                }
            }
        }
        let mut list: Vec<(&Step, Hosts)> = hosts_of.into_iter().collect();
        list.sort_by_key(|(_, hosts)| Reverse(hosts.len()));
        list
    }

    /// Tells of steps of one kind, where there are any.
    fn steps(
        &self,
        lead: &'static str,
        weight: Weight,
        list: impl Fn(&Impact) -> &Vec<Step>,
    ) -> Option<Point> {
        let list = self.grouped(|impact| list(impact)).into_iter();
        let list: Vec<_> = list
            .map(|(step, hosts)| (words_of_step(step), hosts))
            .collect();
        self.of_list(lead, weight, &list)
    }

    /// Which packages that users chose they have no longer.
    fn gone(&self) -> Option<Point> {
        let list = self.grouped(|impact| &impact.gone).into_iter();
        let list: Vec<_> = list
            .map(|(step, hosts)| {
                let mut words = Sentence::default();
                words.foreign(&step.name);
                if let Some(version) = &step.before {
                    words.own(" ").foreign(version);
                }
                if step.change != Change::Removed {
                    words.own(" (only needed by others)");
                }
                (words.0, hosts)
            })
            .collect();
        self.of_list("Gone", Weight::Care, &list)
    }

    fn release(&self) -> Option<Point> {
        let list = self.grouped(|impact| impact.release.as_slice());
        let list: Vec<_> = list
            .into_iter()
            .map(|(step, hosts)| (versions(step), hosts))
            .collect();
        self.of_list("NixOS release", Weight::Care, &list)
    }

    /// What changes of packages that attackers care for, and is not named yet: what asks for a reboot is, and what users chose.
    fn security(&self) -> Option<Point> {
        let reasons = self
            .impacts()
            .flat_map(|(_, impact)| &impact.reboot.reasons);
        let told: HashSet<&str> = reasons.map(|reason| reason.step.name.as_str()).collect();
        let list = self.grouped(|impact| &impact.security);
        let list = list.into_iter();
        let changes = self.overview.changes.iter();
        let selected: HashSet<&str> = changes
            .filter(|change| change.is_selected_move())
            .map(|change| change.entry.name.as_str())
            .collect();
        // Few packages that users chose are all named already.
        let is_told =
            |name: &str| told.contains(name) || selected.len() <= NAMED && selected.contains(name);
        let list = list.filter(|(step, _)| !is_told(&step.name));
        let (rebuilt, moved): (Vec<_>, Vec<_>) = list.partition(|(step, _)| {
            // Without builds no cause is known of any package, and that is said elsewhere.
            step.change == Change::Rebuilt
                && (step.cause == Some(Cause::Inputs)
                    || !self.report.built && step.cause != Some(Cause::Own))
        });
        let mut words = Sentence::default();
        let list: Vec<_> = moved
            .into_iter()
            .map(|(step, hosts)| (words_of_step(step), hosts))
            .collect();
        self.list(&mut words, &list);
        let names: Vec<&str> = {
            let mut seen = HashSet::new();
            let names = rebuilt.iter().map(|(step, _)| step.name.as_str());
            names.filter(|name| seen.insert(*name)).collect()
        };
        if !names.is_empty() {
            words.own(if list.is_empty() { "" } else { "; " });
            words.own("only rebuilt: ");
            for (i, name) in names.iter().take(NAMED).enumerate() {
                words.own(if i > 0 { ", " } else { "" }).foreign(name);
            }
            if names.len() > NAMED {
                words.own(&format!(" and {} more", names.len() - NAMED));
            }
        }
        let weight = if list.is_empty() {
            Weight::Fine
        } else {
            Weight::Care
        };
        (!words.0.is_empty()).then(|| words.point("Security", weight))
    }

    /// Which patches against known holes come and go. With an upgrade a patch goes that the newer version does not need.
    fn patches(&self) -> Vec<Point> {
        let of = |gained: bool| {
            let mut hosts_of: BTreeMap<(&str, &str), Hosts> = BTreeMap::new();
            for (at, impact) in self.impacts() {
                if impact.patches.is_empty() {
                    continue;
                }
                let upgraded = self.upgraded(at);
                let patches = impact.patches.iter().filter(|patch| {
                    patch.gained == gained && (gained || !upgraded.contains(patch.package.as_str()))
                });
                for patch in patches {
                    let key = (patch.package.as_str(), patch.patch.as_str());
                    hosts_of.entry(key).or_default().push(at);
                }
            }
            by_hosts(hosts_of, |(package, patch), words| {
                words.foreign(package).own(" ").foreign(patch);
            })
        };
        self.come_and_go(of, ("Security patches lost", "Security patches gained"))
    }

    /// Returns the packages of a host whose version goes up.
    fn upgraded(&self, at: usize) -> HashSet<&str> {
        let diff = self
            .report
            .hosts
            .get(at)
            .and_then(|host| host.diff.as_ref());
        let changed = diff.into_iter().flat_map(|diff| &diff.changed);
        changed
            .filter(|entry| entry.change == Change::Upgraded)
            .map(|entry| entry.name.as_str())
            .collect()
    }

    /// Which packages are known to be vulnerable on one side only.
    fn vulnerabilities(&self) -> Vec<Point> {
        let of = |gained: bool| {
            let mut texts_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            let mut hosts_of: BTreeMap<&str, Hosts> = BTreeMap::new();
            for (at, impact) in self.impacts() {
                let list = impact.vulnerabilities.iter().flatten();
                // What is gained of holes is lost of safety.
                for change in list.filter(|change| change.gained != gained) {
                    let package = change.package.as_str();
                    texts_of
                        .entry(package)
                        .or_default()
                        .insert(&change.vulnerability);
                    let hosts = hosts_of.entry(package).or_default();
                    if hosts.last() != Some(&at) {
                        hosts.push(at);
                    }
                }
            }
            by_hosts(hosts_of, |package, words| {
                words.foreign(package);
                let texts = texts_of.get(package);
                if let Some(text) = texts.and_then(BTreeSet::first) {
                    words.own(" (").foreign(&short(text, LONGEST));
                    let more = texts.map_or(0, BTreeSet::len).saturating_sub(1);
                    words.own(&if more > 0 {
                        format!(" and {more} more)")
                    } else {
                        ")".to_owned()
                    });
                }
            })
        };
        self.come_and_go(
            of,
            ("Known to be vulnerable", "No longer known to be vulnerable"),
        )
    }

    /// Tells what is bad of a list, then what is good; `of` says whether the good is asked for.
    fn come_and_go(
        &self,
        of: impl Fn(bool) -> Vec<(Vec<Word>, Hosts)>,
        leads: (&'static str, &'static str),
    ) -> Vec<Point> {
        let kinds = [(false, leads.0, Weight::Bad), (true, leads.1, Weight::Fine)];
        let points = kinds
            .into_iter()
            .filter_map(|(good, lead, weight)| self.of_list(lead, weight, &of(good)));
        points.collect()
    }

    fn restarts(&self) -> Option<Point> {
        let mut hosts_of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut hosts = Vec::new();
        let mut most = 0;
        for (at, impact) in self.impacts() {
            let mut here = 0;
            for name in restarts(impact) {
                *hosts_of.entry(name).or_default() += 1;
                here += 1;
            }
            if here > 0 {
                hosts.push(at);
                most = most.max(here);
            }
        }
        let mut names: Vec<(&str, usize)> = hosts_of.into_iter().collect();
        names.sort_by_key(|(_, count)| Reverse(*count));
        // Of services that differ from host to host their sum says nothing of any.
        let mut words = if names.iter().all(|(_, count)| *count == hosts.len()) {
            own(&counted(names.len(), "service", "services"))
        } else {
            let mut words = own("up to ");
            words
                .own(&counted(most, "service", "services"))
                .own(" a host");
            words
        };
        words.all(self.on(&hosts));
        for (i, (name, _)) in names.iter().take(NAMED).enumerate() {
            words.own(if i == 0 { ": " } else { ", " }).foreign(name);
        }
        if names.len() > NAMED {
            words.own(&format!(" and {} more", names.len() - NAMED));
        }
        (!names.is_empty()).then(|| words.point("Restarts", Weight::Fine))
    }

    /// Services that come and go.
    fn services(&self) -> Option<Point> {
        let mut hosts_of: BTreeMap<(bool, &str), Hosts> = BTreeMap::new();
        for (at, impact) in self.impacts() {
            for unit in impact.units_changed.iter().filter(|unit| !unit.user) {
                let sign = match unit.change {
                    Change::Added => true,
                    Change::Removed => false,
                    _ => continue,
                };
                if let Some(name) = unit.name.strip_suffix(".service") {
                    hosts_of.entry((sign, name)).or_default().push(at);
                }
            }
        }
        let mut list: Vec<(Vec<Word>, Hosts)> = hosts_of
            .into_iter()
            .map(|((is_new, name), hosts)| {
                let mut words = own(if is_new { "+ " } else { "- " });
                words.foreign(name);
                (words.0, hosts)
            })
            .collect();
        list.sort_by_key(|(_, hosts)| Reverse(hosts.len()));
        self.of_list("Services that come and go", Weight::Fine, &list)
    }

    /// What only one host has, of what most have none, and closures that grow far more than the others.
    fn outliers(&self) -> Option<Point> {
        const ENOUGH: usize = 4;
        const FAR: u64 = 64 << 20;
        let compared = self.overview.hosts.len();
        if compared < ENOUGH {
            return None;
        }
        let few = compared / ENOUGH;
        let mut odd: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let kinds: [(&str, ListOf); 3] = [
            ("a downgrade", |impact| &impact.downgrades),
            ("a package gone", |impact| &impact.gone),
            ("a new major version", |impact| &impact.major),
        ];
        for (what, list) in kinds {
            let steps = self.grouped(|impact| list(impact));
            let alone: BTreeSet<usize> = steps
                .iter()
                .filter_map(|(_, hosts)| match hosts.as_slice() {
                    [host] => Some(*host),
                    _ => None,
                })
                .collect();
            if alone.len() <= few {
                for host in alone {
                    odd.entry(host)
                        .or_default()
                        .push(format!("{what} of its own"));
                }
            }
        }
        let deltas: Vec<i64> = self.report.hosts.iter().filter_map(size_delta).collect();
        let middle = median(deltas).unwrap_or_default();
        let far = self.hosts(|host| {
            size_delta(host).is_some_and(|delta| {
                let away = delta.abs_diff(middle);
                away >= FAR && away / 2 > middle.unsigned_abs()
            })
        });
        if far.len() <= few {
            for at in far {
                let delta = self.report.hosts.get(at).and_then(size_delta);
                let size = signed_size(delta.unwrap_or_default());
                let words = format!("{size}, the median is {}", signed_size(middle));
                odd.entry(at).or_default().push(words);
            }
        }
        let hosts = odd.into_iter().map(|(host, what)| {
            let mut words = Sentence(self.names(&[host], 1));
            words.own(&format!(" ({})", what.join("; ")));
            (words.0, Vec::new())
        });
        self.of_list("Stands out", Weight::Care, &hosts.collect::<Vec<_>>())
    }
}

/// Returns what happens on which hosts, the most widespread first.
fn by_hosts<K>(
    hosts_of: BTreeMap<K, Hosts>,
    tell: impl Fn(K, &mut Sentence),
) -> Vec<(Vec<Word>, Hosts)> {
    let mut list: Vec<(Vec<Word>, Hosts)> = hosts_of
        .into_iter()
        .map(|(key, hosts)| {
            let mut words = Sentence::default();
            tell(key, &mut words);
            (words.0, hosts)
        })
        .collect();
    list.sort_by_key(|(_, hosts)| Reverse(hosts.len()));
    list
}

/// Returns whether a reason comes with the kernel among `reasons`: the initrd that it starts with, modules built for it.
fn comes_along(reason: &RebootReason, reasons: &[RebootReason]) -> bool {
    let is_part = matches!(reason.what, RebootPart::Initrd | RebootPart::KernelModules);
    is_part
        && reasons.iter().any(|kernel| {
            // Of `2.2.4-6.6.32` the kernel's own version says nothing of the module's.
            let without = |part: &Option<String>, kernel: &Option<String>| {
                let part = part.clone().unwrap_or_default();
                let kernel = kernel.as_deref().unwrap_or_default();
                let own = part.strip_suffix(kernel).map(str::to_owned);
                own.unwrap_or(part)
            };
            kernel.what == RebootPart::Kernel
                && without(&reason.step.before, &kernel.step.before)
                    == without(&reason.step.after, &kernel.step.after)
        })
}

fn words_of_reason(reason: &RebootReason) -> Vec<Word> {
    let step = &reason.step;
    let mut words = Sentence::default();
    match reason.what {
        RebootPart::KernelParameters => {
            words.own(reason.what.as_str());
            for (sign, list) in [(" - ", &step.before), (" + ", &step.after)] {
                if let Some(list) = list {
                    words.own(sign).foreign(&short(list, LONGEST));
                }
            }
        }
        RebootPart::Initrd => {
            words.own(reason.what.as_str());
        }
        RebootPart::KernelModules | RebootPart::Firmware | RebootPart::Microcode => {
            words.own(reason.what.as_str()).own(" ");
            words.all(words_of_step(step));
        }
        RebootPart::Kernel | RebootPart::Systemd | RebootPart::Glibc | RebootPart::Dbus => {
            words.all(words_of_step(step));
        }
    }
    words.0
}

/// Says how a package changes: its name, from which version to which.
fn words_of_step(step: &Step) -> Vec<Word> {
    let mut words = Sentence::default();
    words.foreign(&step.name);
    let end = match step.change {
        Change::Added => " added",
        Change::Removed => " removed",
        Change::Rebuilt => match step.cause {
            Some(Cause::Own) => " rebuilt by its own change",
            Some(Cause::Unknown) => " rebuilt, cause not known",
            _ => " rebuilt",
        },
        _ if step.before == step.after => " changed",
        _ => {
            words.own(" ").all(versions(step));
            return words.0;
        }
    };
    if let Some(version) = step.after.as_ref().or(step.before.as_ref()) {
        words.own(" ").foreign(version);
    }
    words.own(end);
    words.0
}

/// Says from which version to which.
fn versions(step: &Step) -> Vec<Word> {
    let mut words = Sentence::default();
    for (i, version) in [&step.before, &step.after].into_iter().enumerate() {
        words.own(if i > 0 { ARROW } else { "" });
        match version {
            Some(version) => words.foreign(version),
            None => words.own("none"),
        };
    }
    words.0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Fleet, PatchChange, Reboot, UnitChange, VulnerabilityChange};
    use super::*;

    fn step(name: &str, before: &str, after: &str, change: Change) -> Step {
        let version = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Step {
            name: name.to_owned(),
            before: version(before),
            after: version(after),
            change,
            cause: None,
        }
    }

    fn patch(package: &str, gained: bool) -> PatchChange {
        PatchChange {
            package: package.to_owned(),
            patch: "CVE-2026-1.patch".to_owned(),
            gained,
        }
    }

    fn vulnerability(package: &str, vulnerability: &str, gained: bool) -> VulnerabilityChange {
        VulnerabilityChange {
            package: package.to_owned(),
            vulnerability: vulnerability.to_owned(),
            gained,
        }
    }

    fn restart(name: &str) -> UnitChange {
        UnitChange {
            name: name.to_owned(),
            user: false,
            change: Change::Changed,
            because: Vec::new(),
        }
    }

    /// Returns the points of hosts that change in nothing but what their impacts say.
    fn told(impacts: &[Impact]) -> String {
        let mut report = super::super::tests::report(4 * impacts.len(), 0, "h", 0);
        report.hosts.retain(|host| host.status == Status::Changed);
        for (host, impact) in report.hosts.iter_mut().zip(impacts) {
            host.impact = Some(impact.clone());
        }
        report.fleet = Fleet::of(&report.hosts);
        shown(&report)
    }

    fn shown(report: &Report) -> String {
        let points = points(report).into_iter().map(|point| {
            let words = point.words.iter().map(|word| match word {
                Word::Own(text) => text.clone(),
                Word::Foreign(text) => format!("`{text}`"),
            });
            let colon = if point.words.is_empty() { "" } else { ": " };
            let words: String = words.collect();
            format!("{:?} {}{colon}{words}", point.weight, point.lead)
        });
        // They are the same whatever an impact says.
        let is_told = |line: &String| {
            !["Nothing", "No selected", "Size", "No reboot"]
                .iter()
                .any(|lead| line.starts_with(&format!("Fine {lead}")))
        };
        points.filter(is_told).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_point_reads_well_for_one_host_and_for_many() {
        let reboot = |reasons: Vec<RebootReason>| Reboot {
            needed: Some(!reasons.is_empty()),
            reasons,
        };
        let parameters = |before: &str, after: &str| RebootReason {
            what: RebootPart::KernelParameters,
            step: step("", before, after, Change::Changed),
        };
        let plain = || Impact {
            reboot: reboot(Vec::new()),
            ..Impact::default()
        };
        let kernel = || RebootReason {
            what: RebootPart::Kernel,
            step: step("linux", "6.6.32", "6.6.35", Change::Upgraded),
        };
        let table = [
            Impact {
                release: Some(step("nixos", "24.05", "24.11", Change::Upgraded)),
                ..plain()
            },
            Impact {
                major: vec![
                    step("nginx", "1.26", "2.0", Change::Upgraded),
                    step("php", "7", "8", Change::Upgraded),
                ],
                ..plain()
            },
            Impact {
                patches: vec![patch("openssl", false), patch("sudo", true)],
                ..plain()
            },
            Impact {
                vulnerabilities: Some(vec![
                    vulnerability("olm", &"it is deprecated, ".repeat(9), true),
                    vulnerability("python2", "CVE-2026-1", true),
                    vulnerability("python2", "CVE-2026-2", true),
                    vulnerability("openssl", "end of life", false),
                ]),
                ..plain()
            },
            Impact {
                reboot: reboot(vec![kernel(), parameters("quiet splash", "loglevel=4")]),
                ..plain()
            },
            Impact {
                reboot: reboot(vec![parameters("", "mitigations=off")]),
                ..plain()
            },
            Impact {
                gone: vec![
                    step("hello", "2.12", "", Change::Removed),
                    step("perl", "5.38", "5.40", Change::Upgraded),
                ],
                ..plain()
            },
            Impact {
                downgrades: vec![step("mesa", "24.1", "24.0", Change::Downgraded)],
                ..plain()
            },
            Impact {
                units_changed: vec![
                    restart("nginx.service"),
                    restart("systemd-fsck@.service"),
                    restart("logrotate.timer"),
                ],
                ..plain()
            },
        ];
        let mut lines = Vec::new();
        for impact in &table {
            lines.push(told(std::slice::from_ref(impact)));
            lines.push(told(&[impact.clone(), impact.clone()]));
            let others = [impact.clone(), plain(), plain(), plain(), plain()];
            lines.push(told(&others));
        }
        insta::assert_snapshot!(lines.join("\n"), @"
        Care NixOS release: `24.05` → `24.11`
        Care NixOS release: `24.05` → `24.11` on both hosts
        Care NixOS release: `24.05` → `24.11` on `h1`
        Care New major version: `nginx` `1.26` → `2.0`, `php` `7` → `8`
        Care New major version: `nginx` `1.26` → `2.0`, `php` `7` → `8` on both hosts
        Care New major version: `nginx` `1.26` → `2.0`, `php` `7` → `8` on `h1`
        Care Stands out: `h1` (a new major version of its own)
        Bad Security patches lost: `openssl` `CVE-2026-1.patch`
        Fine Security patches gained: `sudo` `CVE-2026-1.patch`
        Bad Security patches lost: `openssl` `CVE-2026-1.patch` on both hosts
        Fine Security patches gained: `sudo` `CVE-2026-1.patch` on both hosts
        Bad Security patches lost: `openssl` `CVE-2026-1.patch` on `h1`
        Fine Security patches gained: `sudo` `CVE-2026-1.patch` on `h1`
        Bad Known to be vulnerable: `olm` (`it is deprecated, it is deprecated, it is deprecated, it is deprecated, it is d…`), `python2` (`CVE-2026-1` and 1 more)
        Fine No longer known to be vulnerable: `openssl` (`end of life`)
        Bad Known to be vulnerable: `olm` (`it is deprecated, it is deprecated, it is deprecated, it is deprecated, it is d…`), `python2` (`CVE-2026-1` and 1 more) on both hosts
        Fine No longer known to be vulnerable: `openssl` (`end of life`) on both hosts
        Bad Known to be vulnerable: `olm` (`it is deprecated, it is deprecated, it is deprecated, it is deprecated, it is d…`), `python2` (`CVE-2026-1` and 1 more) on `h1`
        Fine No longer known to be vulnerable: `openssl` (`end of life`) on `h1`
        Care Reboot: `linux` `6.6.32` → `6.6.35`, kernel parameters - `quiet splash` + `loglevel=4`
        Care Reboot: `linux` `6.6.32` → `6.6.35`, kernel parameters - `quiet splash` + `loglevel=4` on both hosts
        Care Reboot: `linux` `6.6.32` → `6.6.35`, kernel parameters - `quiet splash` + `loglevel=4` on `h1`
        Care Reboot: kernel parameters + `mitigations=off`
        Care Reboot: kernel parameters + `mitigations=off` on both hosts
        Care Reboot: kernel parameters + `mitigations=off` on `h1`
        Care Gone: `hello` `2.12`, `perl` `5.38` (only needed by others)
        Care Gone: `hello` `2.12`, `perl` `5.38` (only needed by others) on both hosts
        Care Gone: `hello` `2.12`, `perl` `5.38` (only needed by others) on `h1`
        Care Stands out: `h1` (a package gone of its own)
        Care Downgraded: `mesa` `24.1` → `24.0`
        Care Downgraded: `mesa` `24.1` → `24.0` on both hosts
        Care Downgraded: `mesa` `24.1` → `24.0` on `h1`
        Care Stands out: `h1` (a downgrade of its own)
        Fine Restarts: 1 service: `nginx`
        Fine Restarts: 1 service on both hosts: `nginx`
        Fine Restarts: 1 service on `h1`: `nginx`
        ");
        let kernels = Impact {
            reboot: reboot(vec![kernel()]),
            ..plain()
        };
        insta::assert_snapshot!(told(&[table[4].clone(), kernels.clone(), kernels]), @"Care Reboot: `linux` `6.6.32` → `6.6.35` on all 3 hosts; kernel parameters - `quiet splash` + `loglevel=4` on `h1`");
    }

    #[test]
    fn a_patch_that_goes_with_an_upgrade_is_not_lost() {
        let told = |change: &str| {
            let mut report = super::super::tests::report(4, 0, "h", 0);
            report.hosts.retain(|host| host.status == Status::Changed);
            let mut host: Value = serde_json::to_value(&report.hosts[0]).unwrap();
            host["diff"]["changed"][0]["change"] = json!(change);
            host["impact"] = serde_json::to_value(Impact {
                patches: vec![patch("hall", false)],
                reboot: Reboot {
                    needed: Some(false),
                    reasons: Vec::new(),
                },
                ..Impact::default()
            })
            .unwrap();
            report.hosts[0] = serde_json::from_value(host).unwrap();
            shown(&report)
        };
        insta::assert_snapshot!(["upgraded", "downgraded", "changed"].map(told).join("\n"), @"

        Bad Security patches lost: `hall` `CVE-2026-1.patch`
        Bad Security patches lost: `hall` `CVE-2026-1.patch`
        ");
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let leads = |report: &Report| {
            let points = points(report).into_iter();
            points.take(3).map(|point| point.lead).collect::<Vec<_>>()
        };
        // One host is broken, one changes, one was skipped, one stays.
        let mut report = super::super::tests::report(4, 0, "h", 0);
        report.hosts.retain(|host| host.status != Status::Skipped);
        for host in &mut report.hosts {
            if host.status == Status::Broken {
                host.status = Status::Unknown;
            }
        }
        assert_eq!(
            leads(&report)[0],
            "Fail with the update, without it not known"
        );
        for host in &mut report.hosts {
            if let Some(failure) = &mut host.failure {
                failure.stage = Stage::Read;
            }
        }
        assert_eq!(leads(&report)[..2], ["Nothing breaks", "Not checked"]);
        for host in &mut report.hosts {
            if host.status == Status::Unknown {
                host.status = Status::AlreadyBroken;
            }
        }
        assert_eq!(
            leads(&report)[..2],
            ["Nothing breaks.", "Broken with and without the update"]
        );
        report.lock.before_hash = None;
        assert_eq!(leads(&report)[0], "Broken");
        // Without builds, a host that stays as it is says nothing of the others.
        report.built = false;
        assert!(leads(&report).contains(&"Reboot and size not known"));
    }

    #[test]
    fn what_does_not_change_needs_no_points() {
        let mut report = super::super::tests::report(4, 0, "h", 0);
        assert!(!points(&report).is_empty());
        for outcome in [Outcome::LockUnchanged, Outcome::ClosuresUnchanged] {
            report.outcome = outcome;
            assert_eq!(points(&report), []);
        }
    }

    #[test]
    fn the_size_has_only_numbers_that_say_something() {
        let told = |size: i64, changed: usize, rebuilt: usize| {
            let mut report = super::super::tests::report(4, 0, "h", 0);
            report.hosts.retain(|host| host.status == Status::Changed);
            let diff = report.hosts[0].diff.as_mut().unwrap();
            diff.rebuilt = diff.changed.iter().take(rebuilt).cloned().collect();
            diff.changed.truncate(changed);
            diff.size_delta = Some(size);
            let points = points(&report);
            let point = points.iter().find(|point| point.lead == "Size");
            format!("{:?}", point.map(|point| &point.words))
        };
        insta::assert_snapshot!(
            [
                told(0, 1, 0),
                told(0, 0, 2),
                told(0, 0, 0),
                told(1024, 0, 0),
                told(-1024, 2, 1)
            ]
            .join("\n"), @r#"
        Some([Own("+0B; 1 package moves")])
        Some([Own("+0B; 2 rebuilt")])
        None
        Some([Own("+1.0KiB")])
        Some([Own("-1.0KiB; 2 packages move, 1 rebuilt")])
        "#);
    }
}
