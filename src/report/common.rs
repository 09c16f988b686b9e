//! What changes alike on many hosts, so that it is said once before each host is told of.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::rows::Rows;
use super::sections::{after_name, name_width};
use super::{DiffView, HostReport, Report, Status};

/// Of more hosts than this that change, nobody reads each; of fewer, what they have in common would be said twice for nothing.
const FEW: usize = 10;

/// How many sets of hosts are told of, the largest first.
const SETS: usize = 8;

/// What the hosts of a fleet have in common.
#[derive(Default)]
pub(super) struct Fleetwide<'a> {
    /// How many hosts change and were compared.
    pub(super) of: usize,
    /// The largest sets of hosts.
    pub(super) sets: Vec<Common<'a>>,
    /// How many changes further sets have.
    pub(super) more: usize,
}

/// Changes that exactly these hosts have.
pub(super) struct Common<'a> {
    /// The hosts, at least two, in the report's order.
    pub(super) hosts: Vec<&'a HostReport>,
    /// A row for each change, by name, as in nvd's sections but without a number.
    pub(super) rows: Vec<String>,
}

/// A change as a row has it: two hosts with equal ones have it in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row<'a> {
    name: Cow<'a, str>,
    tag: String,
    what: String,
}

/// Returns what the hosts that change have in common; nothing where they are few.
pub(super) fn common(report: &Report) -> Fleetwide<'_> {
    let hosts: Vec<&HostReport> = report
        .with_status(Status::Changed)
        .filter(|host| host.diff.is_some())
        .collect();
    if hosts.len() <= FEW {
        return Fleetwide::default();
    }
    let mut hosts_of: BTreeMap<Row<'_>, Vec<usize>> = BTreeMap::new();
    for (at, diff) in hosts
        .iter()
        .filter_map(|host| host.diff.as_ref())
        .enumerate()
    {
        for row in Rows::of(diff, DiffView::default()).into_all() {
            let row = Row {
                tag: row.tag(),
                name: row.name,
                what: row.what,
            };
            hosts_of.entry(row).or_default().push(at);
        }
    }
    let mut rows_of: BTreeMap<Vec<usize>, Vec<Row<'_>>> = BTreeMap::new();
    for (row, at) in hosts_of {
        if at.len() > 1 {
            rows_of.entry(at).or_default().push(row);
        }
    }
    let mut sets: Vec<(Vec<usize>, Vec<Row<'_>>)> = rows_of.into_iter().collect();
    sets.sort_by_key(|(at, _)| Reverse(at.len()));
    let rest = sets.split_off(SETS.min(sets.len()));
    Fleetwide {
        of: hosts.len(),
        sets: sets
            .iter()
            .map(|(at, rows)| Common {
                hosts: at.iter().filter_map(|at| hosts.get(*at).copied()).collect(),
                rows: aligned(rows),
            })
            .collect(),
        more: rest.iter().map(|(_, rows)| rows.len()).sum(),
    }
}

impl Common<'_> {
    /// Returns the first `most` rows, and how many follow.
    pub(super) fn first_rows(&self, most: usize) -> (&[String], Option<String>) {
        match self.rows.get(..most) {
            Some(shown) if shown.len() < self.rows.len() => {
                let left = self.rows.len() - shown.len();
                (
                    shown,
                    Some(format!("… {left} more, told of each host below")),
                )
            }
            _ => (&self.rows, None),
        }
    }
}

impl Fleetwide<'_> {
    /// Says how much else some hosts have in common.
    pub(super) fn rest(&self) -> Option<String> {
        match self.more {
            0 => None,
            1 => Some("One more change is on several hosts.".to_owned()),
            more => Some(format!("{more} more changes are on several hosts.")),
        }
    }
}

fn aligned(rows: &[Row<'_>]) -> Vec<String> {
    let width = name_width(rows.iter().map(|row| (&*row.name, &*row.what)));
    rows.iter()
        .map(|row| {
            let (name, what) = (&row.name, after_name(&row.name, &row.what, width));
            format!("{}  {name}{what}", row.tag)
        })
        .collect()
}
