//! Everything that a child started, found in `/proc`.
//!
//! The child's process group is not enough: a Nix builder runs in a session of its own, and so does whatever calls setsid(2).
//! Nor is following parents: who loses its parent gets init for one, so what was seen is remembered, with its start time, since
//! process ids are used again. And who lost its parent before we first looked is known by its session, or by a mark in its
//! environment, the way Jenkins does it.
//!
//! Who did all three before we looked, lose its parent, open its own session and clean its environment, as a builder of an
//! unsandboxed Nix without build users may, is no longer told from other programs' daemons; Nix itself does not find it either.
//! So on Linux such orphans become our children ([`adopt_orphans`]), and where the run is stopped they are taken for the child's.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

/// The variable that marks a child and all that inherit its environment. Not one of our `FLAKE_HERALD_…` settings: a
/// flake-herald below a child would refuse an unknown one.
pub(super) const MARK_VARIABLE: &str = "__FLAKE_HERALD_PROCESS";

/// Returns a value for [`MARK_VARIABLE`] that no other child on this machine has: 64 random bits (what the standard library
/// seeds its hash maps with) and our process id.
pub(super) fn new_mark() -> String {
    format!(
        "{}-{:016x}",
        getpid().as_raw_nonzero(),
        RandomState::new().build_hasher().finish()
    )
}

/// Makes us the parent of whatever our children leave behind, for as long as we run; elsewhere than on Linux it does nothing.
///
/// They are not waited for: what has ended stays in the process table until we have too. Whoever waits for any child would take
/// those away that others wait for.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(getpid())) {
        tracing::debug!(%error, "orphans are left to others");
    }
}

/// A line of the process table, from `/proc/PID/stat` (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    parent: i32,
    pub(super) group: i32,
    session: i32,
    /// In clock ticks after boot: with the process id, it names a process for good.
    start: u64,
    /// Whether it has ended and only its parent has not noticed yet. Nothing more can or need be done about it.
    dead: bool,
}

impl Process {
    fn parse(stat: &str) -> Option<Self> {
        // The name in parentheses may itself hold spaces and parentheses: the last one closes it.
        let (pid, rest) = stat.split_once(" (")?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        let dead = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        // These were fields 3 to 6; the start time is field 22.
        let start = fields.nth(15)?.parse().ok()?;
        Some(Self {
            pid: pid.trim().parse().ok()?,
            parent,
            group,
            session,
            start,
            dead,
        })
    }

    pub(super) fn read(pid: i32) -> Option<Self> {
        Self::parse(&String::from_utf8_lossy(
            &fs::read(format!("/proc/{pid}/stat")).ok()?,
        ))
    }

    /// Returns every process that can be seen; empty where there is no `/proc`.
    fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| Self::read(entry.ok()?.file_name().to_str()?.parse().ok()?))
            .collect()
    }
}

/// A child and what it started, as far as it was seen.
#[derive(Debug)]
pub(super) struct ProcessTree {
    root: i32,
    /// When the child started; `None` where there is no `/proc`, and then only the group is known.
    start: Option<u64>,
    /// The variable and its value, as they stand in a marked process's environment.
    mark: Arc<[u8]>,
    /// What belongs to the child: process id to start time, the child included.
    seen: BTreeMap<i32, u64>,
    /// Which of these had not ended when last looked.
    alive: BTreeSet<i32>,
    /// Our own process and session, where orphans in other sessions are taken for the child's.
    adopting: Option<(i32, i32)>,
}

impl ProcessTree {
    /// Returns the tree of a child that was just started, is the leader of its own process group, and got `mark`.
    pub(super) fn new(root: i32, mark: &str) -> Self {
        // Nobody has waited for it yet, so the process id is its own even if it has ended.
        let start = Process::read(root).map(|process| process.start);
        let seen = start.map(|start| (root, start)).into_iter().collect();
        Self {
            root,
            start,
            mark: format!("{MARK_VARIABLE}={mark}").into_bytes().into(),
            seen,
            alive: BTreeSet::new(),
            adopting: None,
        }
    }

    /// Takes every orphan in a session of its own that became our child since the child was started for one of the child's. It
    /// may be that of another one: only for when all of them are to end.
    pub(super) fn adopt(&mut self) {
        // Not getsid(2): in a container whose session was begun outside its PID namespace that answers 0, which rustix takes
        // for impossible. `/proc` says 0 too, and there it is a number like any other: no session that is begun inside has it.
        let own = getpid().as_raw_nonzero().get();
        self.adopting = Process::read(own).map(|process| (own, process.session));
    }

    /// Looks again: forgets who is gone, remembers who is new.
    pub(super) fn refresh(&mut self) {
        let Some(start) = self.start else { return };
        let mark = Arc::clone(&self.mark);
        self.take_in(&Process::all(), start, |pid| is_marked(pid, &mark));
    }

    fn take_in(&mut self, processes: &[Process], root_start: u64, is_marked: impl Fn(i32) -> bool) {
        let start_of: BTreeMap<i32, u64> = processes
            .iter()
            .map(|process| (process.pid, process.start))
            .collect();
        // The number of a group's or session's leader that has ended is not given out again while the group has members.
        let leads: BTreeSet<i32> = processes
            .iter()
            .flat_map(|process| [process.group, process.session])
            .collect();
        self.seen.retain(|pid, start| {
            start_of
                .get(pid)
                .map_or_else(|| leads.contains(pid), |now| now == start)
        });

        let own = getpid().as_raw_nonzero().get();
        // Nothing that is older than the child can have been started by it.
        let mut others: Vec<&Process> = processes
            .iter()
            .filter(|process| process.start >= root_start && process.pid != own)
            .collect();
        for process in &others {
            // What we start ourselves is in our session.
            let is_orphan = self
                .adopting
                .is_some_and(|(own, session)| process.parent == own && process.session != session);
            if !self.seen.contains_key(&process.pid) && (is_orphan || is_marked(process.pid)) {
                self.seen.insert(process.pid, process.start);
            }
        }
        loop {
            let known = self.seen.len();
            others.retain(|process| {
                if [process.parent, process.group, process.session]
                    .iter()
                    .any(|leader| self.seen.contains_key(leader))
                {
                    self.seen.entry(process.pid).or_insert(process.start);
                    return false;
                }
                true
            });
            if self.seen.len() == known {
                break;
            }
        }
        self.alive = processes
            .iter()
            .filter(|process| !process.dead && self.seen.get(&process.pid) == Some(&process.start))
            .map(|process| process.pid)
            .collect();
    }

    /// Returns how many of them had not ended at the last look.
    pub(super) fn alive(&self) -> usize {
        self.alive.len()
    }

    /// Sends SIGINT to the child's process group, as a terminal does for Ctrl-C: a wrapper around the program gets it and so
    /// does the program. Only while nobody has waited for the child, so that the number is surely its own.
    pub(super) fn interrupt(&self) {
        self.signal_group(Signal::INT);
        // Who is stopped, by a terminal it must not read from for example, would not notice.
        self.signal_group(Signal::CONT);
    }

    /// Sends SIGKILL to all that were seen; to the group too while nobody has waited for the child (`unreaped`), since there
    /// someone may be who was not seen.
    pub(super) fn kill(&self, unreaped: bool) {
        // Without /proc the group is all we have. That its number already means another group is all but impossible then:
        // numbers are given out in turn.
        if unreaped || self.start.is_none() {
            self.signal_group(Signal::KILL);
        }
        for (pid, start) in &self.seen {
            let is_same = Process::read(*pid).is_some_and(|process| process.start == *start);
            if let (true, Some(target)) = (is_same, Pid::from_raw(*pid))
                && let Err(error) = kill_process(target, Signal::KILL)
            {
                tracing::debug!(pid, %error, "could not be killed");
            }
        }
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.root)
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::debug!(group = self.root, %error, "no signal sent to the group");
        }
    }
}

/// Returns whether a process got the mark when it was started, as far as we may know.
fn is_marked(pid: i32, mark: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_odd_names_are_read() {
        let stat = "42 (a) b (c) S 7 40 39 34816 42 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 2703360 200 18446744073709551615";
        let process = Process {
            pid: 42,
            parent: 7,
            group: 40,
            session: 39,
            start: 123_456,
            dead: false,
        };
        assert_eq!(Process::parse(stat), Some(process));
        assert_eq!(
            Process::parse(&stat.replace(" S ", " Z ")),
            Some(Process {
                dead: true,
                ..process
            })
        );
        for broken in [
            "",
            "42",
            "42 (a",
            "42 (a) S 7 40 39",
            "x (a) S 7 40 39 34816 42 4194560 1 0 0 0 0 0 0 0 20 0 1 0 1",
        ] {
            assert_eq!(Process::parse(broken), None, "{broken}");
        }
    }

    fn process(pid: i32, parent: i32, group: i32, session: i32, start: u64) -> Process {
        Process {
            pid,
            parent,
            group,
            session,
            start,
            dead: false,
        }
    }

    fn tree() -> ProcessTree {
        ProcessTree {
            root: 100,
            start: Some(50),
            mark: Arc::new([]),
            seen: BTreeMap::from([(100, 50)]),
            alive: BTreeSet::new(),
            adopting: None,
        }
    }

    fn seen(tree: &ProcessTree) -> Vec<i32> {
        tree.seen.keys().copied().collect()
    }

    #[test]
    fn descendants_are_found_by_parent_group_session_and_mark() {
        let mut tree = tree();
        let processes = [
            process(1, 0, 1, 1, 1),
            process(100, 10, 100, 10, 50),
            // A builder below a helper below the child, listed before its parent.
            process(90, 101, 90, 90, 52),
            process(101, 100, 100, 10, 51),
            // Orphans: of the group, of the builder's session, and one that only its mark gives away, with a child.
            process(102, 1, 100, 10, 51),
            process(103, 1, 91, 90, 53),
            process(104, 1, 104, 104, 54),
            process(105, 104, 105, 105, 55),
            // Strangers: a younger one, and an older one with a parent's number that must be a coincidence.
            process(200, 1, 200, 200, 60),
            process(201, 100, 201, 201, 49),
        ];
        tree.take_in(&processes, 50, |pid| pid == 104);
        assert_eq!(seen(&tree), [90, 100, 101, 102, 103, 104, 105]);
        assert_eq!(tree.alive(), 7);
    }

    #[test]
    fn orphans_that_became_our_children_are_taken_where_all_are_to_end() {
        let processes = [
            process(10, 1, 10, 5, 1),
            process(100, 10, 100, 5, 50),
            // Another child of ours, then daemons: with a child of its own, and one that is older.
            process(101, 10, 101, 5, 51),
            process(102, 10, 102, 102, 52),
            process(103, 102, 103, 103, 53),
            process(104, 10, 104, 104, 49),
            process(105, 1, 105, 105, 54),
        ];
        let mut tree = tree();
        tree.take_in(&processes, 50, |_| false);
        assert_eq!(seen(&tree), [100]);
        tree.adopting = Some((10, 5));
        tree.take_in(&processes, 50, |_| false);
        assert_eq!(seen(&tree), [100, 102, 103]);
    }

    #[test]
    fn orphans_are_remembered_and_used_numbers_forgotten() {
        let mut tree = tree();
        tree.take_in(
            &[
                process(100, 10, 100, 10, 50),
                process(101, 100, 101, 101, 51),
                process(102, 101, 102, 102, 51),
            ],
            50,
            |_| false,
        );
        // The child and 101 are gone, 102 is an orphan in its own session; 101 is somebody else now, with a child of its own.
        tree.take_in(
            &[
                process(102, 1, 102, 102, 51),
                process(101, 1, 101, 101, 70),
                process(103, 101, 101, 101, 71),
            ],
            50,
            |_| false,
        );
        assert_eq!(seen(&tree), [102]);
        tree.take_in(
            &[Process {
                dead: true,
                ..process(102, 1, 102, 102, 51)
            }],
            50,
            |_| false,
        );
        assert_eq!(tree.alive(), 0);
    }

    #[test]
    fn a_leader_that_has_ended_still_names_its_group() {
        let mut tree = tree();
        tree.take_in(&[process(100, 10, 100, 10, 50)], 50, |_| false);
        tree.take_in(&[process(102, 1, 100, 10, 51)], 50, |_| false);
        assert_eq!(seen(&tree), [100, 102]);
        assert_eq!(tree.alive(), 1);
    }

    #[test]
    fn marks_differ() {
        assert_ne!(new_mark(), new_mark());
    }
}
