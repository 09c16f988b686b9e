//! `report.json`, schema 1. A missing value is null, never absent; order is fixed.

use std::collections::HashSet;
use std::io::{BufWriter, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::closure::{ClosureDiff, StorePath};
use crate::flake::Kind;
use crate::flake::lock::LockNote;

use super::impact::{Impact, Step};
use super::overview::{self, List, Overview, Shared};
use super::pull_request::PullRequestInfo;

/// The number of the schema. Fields may be added within it, never changed or taken away.
pub const SCHEMA: u32 = 1;

/// What an update changes on every host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What made the report.
    pub tool: Tool,
    /// The Nix it was made with.
    pub nix: NixInfo,
    /// The flake.
    pub flake: FlakeInfo,
    /// What was asked for.
    pub scope: Scope,
    /// The two lock files.
    pub lock: LockInfo,
    /// What came of it, as far as closures go.
    pub outcome: Outcome,
    /// What differs was built. Otherwise it is only evaluated, and nothing is known of closures.
    #[serde(default = "built")]
    pub built: bool,
    /// Hosts that a pattern left out, by kind and name.
    pub excluded: Vec<ExcludedHost>,
    /// The inputs that change, in the order Nix lists them.
    pub inputs: Vec<InputChange>,
    /// What is odd about the new lock, the most telling first; nothing where the lock does not change.
    #[serde(default)]
    pub lock_notes: Vec<LockNote>,
    /// How many such notes are left out.
    #[serde(default)]
    pub lock_notes_left_out: u64,
    /// Every host looked at, by kind and name.
    pub hosts: Vec<HostReport>,
    /// The hosts in numbers.
    pub fleet: Fleet,
    /// What a reader should know before relying on the report.
    pub warnings: Vec<String>,
    /// SHA-256, in hex, over what a reader would see: equal digests, equal reports. See [`Report::seal`].
    pub digest: String,
    /// When and how long. Differs between two runs over the same input.
    pub timing: Timing,
    /// The pull request that carries the report, once there is one.
    /// What a report that is read says of one is not believed.
    #[serde(skip_deserializing)]
    pub pull_request: Option<PullRequestInfo>,
    /// The hosts that the reports of a matrix have together; null for a report that stands alone.
    pub plan: Option<Planned>,
}

/// What reports mean that do not say it: those of versions that always built.
fn built() -> bool {
    true
}

/// What of a plan a report carries: by it a merge knows that no host is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Planned {
    /// Every host of the plan, by kind and name.
    pub hosts: Vec<PlannedHost>,
}

/// A host of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlannedHost {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The Nix in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NixInfo {
    /// Its version as it prints it; for one that is not Nix itself with its name, as in `2.93.3 (Lix)`.
    pub version: String,
    /// Its store's directory, such as `/nix/store`.
    pub store_dir: String,
}

/// The flake that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlakeInfo {
    /// Its directory within the repository; `.` at the top.
    pub dir: String,
    /// The commit evaluated; null where the working tree differed from it by more than the lock, or there is no git.
    pub rev: Option<String>,
}

/// What was asked for: two reports of one scope speak about the same thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Scope {
    /// The first 16 hex digits of the SHA-256 of the other fields' canonical JSON.
    pub id: String,
    /// The flake's directory within the repository; `.` at the top.
    pub dir: String,
    /// The kinds of hosts, sorted.
    pub kinds: Vec<Kind>,
    /// The attribute paths of `--attr`, sorted.
    pub attrs: Vec<String>,
    /// The patterns of `--host`, sorted.
    pub hosts: Vec<String>,
    /// The patterns that leave hosts out, the default one included, sorted.
    pub exclude_hosts: Vec<String>,
    /// The inputs to update, sorted; all where empty.
    pub inputs: Vec<String>,
    /// The inputs not to update, sorted.
    pub exclude_inputs: Vec<String>,
}

impl Scope {
    /// Returns this scope with its lists sorted, each entry once, and its identity set from them.
    #[must_use]
    pub fn identified(mut self) -> Self {
        self.kinds.sort_by_key(|kind| kind.as_str());
        self.kinds.dedup();
        for list in [
            &mut self.attrs,
            &mut self.hosts,
            &mut self.exclude_hosts,
            &mut self.inputs,
            &mut self.exclude_inputs,
        ] {
            list.sort();
            list.dedup();
        }
        // Through `Value`, whose objects have sorted keys: equal scopes give equal bytes.
        let mut fields = serde_json::to_value(&self).unwrap_or(Value::Null);
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("id");
        }
        self.id = sha256_hex(fields.to_string().as_bytes());
        self.id.truncate(16);
        self
    }

    /// Returns whether the identity and the order are those that the fields give.
    pub fn is_genuine(&self) -> bool {
        self.clone().identified() == *self
    }
}

/// The lock files compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LockInfo {
    /// SHA-256, in hex, of the base's `flake.lock`; null where it has none.
    pub before_hash: Option<String>,
    /// SHA-256, in hex, of the new `flake.lock`.
    pub after_hash: String,
    /// Where the new one comes from.
    pub origin: LockOrigin,
    /// The base's lock did not fit its `flake.nix`, and was completed before comparing.
    pub completed: bool,
    /// The inputs that could not be fetched and so stay as they are locked, as seen from the root, sorted.
    #[serde(default)]
    pub unreachable: Vec<String>,
}

impl LockInfo {
    /// Returns the hash of a lock file's bytes, as this type holds it.
    pub fn hash(bytes: &[u8]) -> String {
        sha256_hex(bytes)
    }
}

/// Where the new lock comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LockOrigin {
    /// Updated by us.
    Staged,
    /// Named by the user.
    Given,
    /// Found in the working tree.
    Tree,
}

/// What came of a run, as far as closures go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// At least one host's closure changes, or cannot be proved not to.
    Changed,
    /// The lock does not change.
    LockUnchanged,
    /// The lock changes, and every host is proved unchanged.
    ClosuresUnchanged,
}

impl Outcome {
    /// Returns what came of looking at `hosts`; `same` says that the lock does not change.
    pub fn of(same: bool, hosts: &[HostReport]) -> Self {
        if same {
            Self::LockUnchanged
        } else if hosts.iter().any(HostReport::counts_as_changed) {
            Self::Changed
        } else {
            Self::ClosuresUnchanged
        }
    }

    /// Returns the word used in reports and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::LockUnchanged => "lock-unchanged",
            Self::ClosuresUnchanged => "closures-unchanged",
        }
    }
}

/// A host left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExcludedHost {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The pattern that left it out.
    pub pattern: String,
}

/// An input that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputChange {
    /// Its path from the flake, as in `home-manager/nixpkgs`.
    pub name: String,
    /// What it is fetched by: `github`, `git`, `tarball`, … ; null for one that only follows another.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What the flake asks for, as a flake reference.
    pub original: Option<String>,
    /// What was locked; null for an input that is new.
    pub before: Option<InputRevision>,
    /// What will be locked; null for an input that goes.
    pub after: Option<InputRevision>,
    /// A page that shows what lies between the two; null unless it is certain that there is one.
    pub compare_url: Option<String>,
    /// It is an input of an input.
    pub transitive: bool,
}

/// What an input is locked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputRevision {
    /// The commit.
    pub rev: Option<String>,
    /// The UTC day of its last change, `YYYY-MM-DD`.
    pub date: Option<String>,
    /// The locked flake reference; null for an input that follows another.
    pub url: Option<String>,
    /// The input that it follows, where it does.
    pub follows: Option<String>,
}

/// What the update means for one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HostReport {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// The attribute path of what was evaluated.
    pub attr: String,
    /// Its system; null where it did not evaluate.
    pub system: Option<String>,
    /// What the update does to it.
    pub status: Status,
    /// Why it was skipped or is unknown.
    pub reason: Option<String>,
    /// Before the update; null where it did not evaluate.
    pub before: Option<Side>,
    /// After the update; null where it does not evaluate.
    pub after: Option<Side>,
    /// What differs, where both closures were read; where nothing was built, among the packages that the configuration
    /// selects, as far as they could be listed.
    pub diff: Option<ClosureDiff>,
    /// What the difference means for who runs the host; null where there is none, or it is not known.
    pub impact: Option<Impact>,
    /// What failed.
    pub failure: Option<Failure>,
}

/// What an update does to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Fine before, fails after.
    Broken,
    /// Fails before and after.
    AlreadyBroken,
    /// Failed before, fine after.
    Mended,
    /// Fine before and after, and different.
    Changed,
    /// Nothing here can build it.
    Skipped,
    /// It could not be found out.
    Unknown,
    /// The same before and after.
    Unchanged,
}

impl Status {
    /// Every status, in the order in which a reader should hear of them.
    pub const ALL: [Self; 7] = [
        Self::Broken,
        Self::AlreadyBroken,
        Self::Mended,
        Self::Changed,
        Self::Skipped,
        Self::Unknown,
        Self::Unchanged,
    ];

    /// Returns the word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::AlreadyBroken => "already-broken",
            Self::Mended => "mended",
            Self::Changed => "changed",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Unchanged => "unchanged",
        }
    }
}

/// One side of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Side {
    /// Its derivation.
    pub drv_path: StorePath,
    /// What building it gives.
    pub out_path: StorePath,
    /// How many paths its closure has; null where it was not read.
    pub paths: Option<u64>,
    /// The size of its closure, in bytes of archives; null where it was not read.
    pub nar_size: Option<u64>,
}

/// Why a host failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// At what.
    pub stage: Stage,
    /// Which side of the update failed; for a host that failed on both, the side after.
    pub side: SideName,
    /// The tool's own words.
    pub error: String,
    /// The derivation that failed to build; null for another stage.
    pub derivation: Option<String>,
    /// The end of its log.
    pub log_tail: Vec<String>,
    /// The first lines of its log that look like an error, wherever they stand in it.
    #[serde(default)]
    pub log_errors: Vec<String>,
    /// The file that holds the whole log, where one was written.
    pub log_path: Option<String>,
}

/// The stage at which a host failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It has no derivation.
    Evaluate,
    /// Its derivation does not build.
    Build,
    /// Its closure cannot be read.
    Read,
}

impl Stage {
    /// Returns what a host does that fails at it.
    pub fn what_fails(self) -> &'static str {
        match self {
            Self::Evaluate => "does not evaluate",
            Self::Build => "does not build",
            Self::Read => "cannot be read",
        }
    }
}

/// A side of the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SideName {
    /// With the base's lock.
    Before,
    /// With the new lock.
    After,
}

/// The hosts in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fleet {
    /// All that were looked at.
    pub hosts: u64,
    /// With status `changed`.
    pub changed: u64,
    /// With status `unchanged`.
    pub unchanged: u64,
    /// With status `broken`.
    pub broken: u64,
    /// With status `already-broken`.
    pub already_broken: u64,
    /// With status `mended`.
    pub mended: u64,
    /// With status `skipped`.
    pub skipped: u64,
    /// With status `unknown`.
    pub unknown: u64,
    /// The sum of the hosts' `size_delta`, in bytes. What hosts share counts for each. Null where nothing was built.
    pub size_delta: Option<i64>,
    /// What building the hosts that differ would take; null where they were built, and where it is not known.
    pub to_build: Option<ToBuild>,
    /// The `size_delta` in the middle of those of the hosts that were compared, of an even number the lower of the two, in bytes;
    /// null where none was.
    #[serde(default)]
    pub size_delta_median: Option<i64>,
    /// The hosts that were compared: those with a `diff`.
    #[serde(default)]
    pub compared: u64,
    /// The hosts on which a reboot is due; null where that is known of no host.
    #[serde(default)]
    pub reboot: Option<u64>,
    /// The hosts on which services restart; null where that is known of no host.
    #[serde(default)]
    pub restarts: Option<u64>,
    /// How many packages move: their version, their selection, in or out. Here and below a name counts once, on however many hosts.
    #[serde(default)]
    pub moved: u64,
    /// Those of them that users chose.
    #[serde(default)]
    pub selected: u64,
    /// Packages whose version goes down.
    #[serde(default)]
    pub downgrades: u64,
    /// Packages of which the first number of the version goes up.
    #[serde(default)]
    pub major: u64,
    /// Packages that users chose, and that are gone.
    #[serde(default)]
    pub gone: u64,
    /// Packages that keep attackers out, or that attackers reach first, and that change.
    #[serde(default)]
    pub security: u64,
    /// Packages that are built anew at the same version.
    #[serde(default)]
    pub rebuilt: u64,
    /// What changes on the hosts, each change once: 200 at most, those that users chose, that go down or that attackers care for
    /// first, then by how many hosts they are on. Packages that are rebuilt for what they are built from are left out.
    #[serde(default)]
    pub changes: Vec<FleetChange>,
}

/// A change that hosts have in common, or that one of them has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FleetChange {
    /// How the package changes.
    #[serde(flatten)]
    pub step: Step,
    /// Users chose it, on one of the hosts at least.
    pub selected: bool,
    /// It keeps attackers out, or attackers reach it first.
    pub security: bool,
    /// On how many hosts it happens.
    pub hosts: u64,
    /// Those hosts, by name, where they are 5 at most; else none.
    pub on: Vec<String>,
    /// The compared hosts on which it does not happen, where `on` is empty and they are 5 at most; else none.
    pub not_on: Vec<String>,
}

/// What a build would take, by the store and the caches at that time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ToBuild {
    /// How many derivations would be built.
    pub derivations: u64,
    /// How many paths would be fetched from caches.
    pub fetched_paths: u64,
    /// How much would be downloaded for them, in bytes.
    pub download_size: u64,
    /// How much room they would take, in bytes of archives.
    pub unpacked_size: u64,
}

impl Fleet {
    /// Counts `hosts` of which nothing was built.
    pub fn unbuilt(hosts: &[HostReport], to_build: Option<ToBuild>) -> Self {
        Self {
            size_delta: None,
            size_delta_median: None,
            reboot: None,
            restarts: None,
            to_build,
            ..Self::of(hosts)
        }
    }

    /// Counts `hosts`.
    pub fn of(hosts: &[HostReport]) -> Self {
        let status = |status: Status| count(hosts.iter().filter(|host| host.status == status));
        let deltas: Vec<i64> = hosts.iter().filter_map(overview::size_delta).collect();
        // Of a host that stays as it is all is known.
        let stays = |host: &&HostReport| host.status == Status::Unchanged;
        let told: Vec<&HostReport> = hosts
            .iter()
            .filter(|host| stays(host) || host.impact.is_some())
            .collect();
        let known = |is: fn(&Impact) -> bool| {
            let with = told
                .iter()
                .filter(|host| host.impact.as_ref().is_some_and(is));
            (!told.is_empty()).then(|| count(with))
        };
        let steps = |list: fn(&Impact) -> &Vec<Step>| {
            let impacts = hosts.iter().filter_map(|host| host.impact.as_ref());
            let names = impacts.flat_map(list).map(|step| step.name.as_str());
            count(names.collect::<HashSet<_>>())
        };
        let overview = Overview::of(hosts);
        let names = |is: fn(&Shared<'_>) -> bool| {
            let changes = overview.changes.iter().filter(|change| is(change));
            let names = changes.map(|change| change.entry.name.as_str());
            count(names.collect::<HashSet<_>>())
        };
        Self {
            hosts: count(hosts),
            changed: status(Status::Changed),
            unchanged: status(Status::Unchanged),
            broken: status(Status::Broken),
            already_broken: status(Status::AlreadyBroken),
            mended: status(Status::Mended),
            skipped: status(Status::Skipped),
            unknown: status(Status::Unknown),
            // A report made elsewhere may hold any number.
            size_delta: Some(deltas.iter().copied().fold(0, i64::saturating_add)),
            to_build: None,
            size_delta_median: overview::median(deltas),
            compared: count(&overview.hosts),
            reboot: known(|impact| impact.reboot.needed == Some(true)),
            restarts: known(|impact| overview::restarts(impact).next().is_some()),
            moved: names(|change| change.list.moves()),
            selected: names(|change| change.is_selected_move()),
            downgrades: steps(|impact| &impact.downgrades),
            major: steps(|impact| &impact.major),
            gone: steps(|impact| &impact.gone),
            security: steps(|impact| &impact.security),
            rebuilt: names(|change| change.list == List::Rebuilt),
            changes: overview.most_important(),
        }
    }
}

fn count<T>(list: impl IntoIterator<Item = T>) -> u64 {
    list.into_iter().map(|_| 1).sum()
}

/// When and how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Timing {
    /// When the run began, RFC 3339.
    pub started: String,
    /// How long it took, in milliseconds.
    pub total_ms: u64,
    /// Its steps, in order.
    pub steps: Vec<StepTiming>,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StepTiming {
    /// The step.
    pub name: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl HostReport {
    /// Whether it counts as changed for outcome and exit code: it is proved unchanged otherwise.
    ///
    /// A host that was not built, or failed, is unchanged only where both sides are the same derivation.
    pub fn counts_as_changed(&self) -> bool {
        match self.status {
            Status::Changed | Status::Mended | Status::Broken => true,
            Status::Unchanged => false,
            Status::AlreadyBroken | Status::Skipped | Status::Unknown => {
                match (&self.before, &self.after) {
                    (Some(before), Some(after)) => before.drv_path != after.drv_path,
                    _ => true,
                }
            }
        }
    }
}

impl Report {
    /// Sets the digest over everything a reader would see: all but the times, the pull request, the plan, the paths
    /// of log files, the base's revision, and the hashes in store paths, which tell a reader nothing. A host that is built
    /// from the flake's own source has others after every commit, and that alone is no news. Nor is it one that a cache has
    /// more of what is to be built than the night before.
    ///
    /// Warnings are put in order, each once: the jobs of a matrix tell the same ones, in an order of their own.
    pub fn seal(&mut self) {
        self.warnings.sort();
        self.warnings.dedup();
        let mut unseen = self.unseen();
        let mut hash = Hash::default();
        // The types here have nothing that JSON cannot hold, and a hash takes every byte.
        // The hashes decide the order of an entry's paths, and do not count.
        self.paths_of_entries(|paths| paths.sort_by(|a, b| a.name().cmp(b.name())));
        // JSON is written sign by sign, and hashed faster in bulk.
        let mut bulk = BufWriter::with_capacity(1 << 16, &mut hash);
        let written = serde_json::to_writer(&mut bulk, &*self);
        let flushed = bulk.flush();
        drop(bulk);
        debug_assert!(written.is_ok() && flushed.is_ok(), "{written:?}");
        self.paths_of_entries(|paths| paths.sort());
        self.digest = hash.finish();
        self.timing = std::mem::take(&mut unseen.timing);
        self.pull_request = unseen.pull_request.take();
        self.plan = unseen.plan.take();
        self.flake.rev = unseen.rev.take();
        self.fleet.to_build = unseen.to_build.take();
        for (failure, path) in self.failures().zip(unseen.log_paths) {
            failure.log_path = path;
        }
    }

    /// Takes out what the digest does not cover.
    fn unseen(&mut self) -> Unseen {
        self.digest.clear();
        Unseen {
            timing: std::mem::take(&mut self.timing),
            pull_request: self.pull_request.take(),
            plan: self.plan.take(),
            rev: self.flake.rev.take(),
            to_build: self.fleet.to_build.take(),
            log_paths: self
                .failures()
                .map(|failure| failure.log_path.take())
                .collect(),
        }
    }

    fn failures(&mut self) -> impl Iterator<Item = &mut Failure> {
        self.hosts
            .iter_mut()
            .filter_map(|host| host.failure.as_mut())
    }

    /// Does something with the paths of every entry of every diff.
    fn paths_of_entries(&mut self, mut work: impl FnMut(&mut [StorePath])) {
        for diff in self.hosts.iter_mut().filter_map(|host| host.diff.as_mut()) {
            for entry in diff.lists_mut().into_iter().flatten() {
                for group in entry.before.iter_mut().chain(&mut entry.after) {
                    work(&mut group.paths);
                }
            }
        }
    }

    /// Returns the hosts of one status, in the report's order.
    pub fn with_status(&self, status: Status) -> impl Iterator<Item = &HostReport> {
        self.hosts.iter().filter(move |host| host.status == status)
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What of a report its digest does not cover.
struct Unseen {
    timing: Timing,
    pull_request: Option<PullRequestInfo>,
    plan: Option<Planned>,
    rev: Option<String>,
    to_build: Option<ToBuild>,
    log_paths: Vec<Option<String>>,
}

/// Takes bytes into a hash, without the hashes of store paths in them: 32 letters and digits between `/` and `-`.
///
/// As they come, for a report of a large fleet is too big to be written out for it.
#[derive(Default)]
struct Hash {
    sha: Sha256,
    /// Whether what comes next may be a hash, for it follows a slash.
    holding: bool,
    /// What has come of it.
    held: Vec<u8>,
}

impl Hash {
    const LENGTH: usize = 32;

    fn release(&mut self) {
        self.sha.update(&self.held);
        self.held.clear();
        self.holding = false;
    }

    /// Returns the hash in hex.
    fn finish(mut self) -> String {
        self.release();
        hex(&self.sha.finalize())
    }
}

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if !self.holding {
                let end = rest
                    .iter()
                    .position(|byte| *byte == b'/')
                    .map_or(rest.len(), |at| at + 1);
                let (plain, after) = rest.split_at(end);
                self.sha.update(plain);
                self.holding = plain.ends_with(b"/");
                rest = after;
            } else if self.held.len() < Self::LENGTH && byte.is_ascii_alphanumeric() {
                let most = Self::LENGTH - self.held.len();
                let run = rest.iter().take(most);
                let end = run.take_while(|byte| byte.is_ascii_alphanumeric());
                let (part, after) = rest.split_at(end.count());
                self.held.extend_from_slice(part);
                rest = after;
            } else {
                if self.held.len() == Self::LENGTH && byte == b'-' {
                    self.held.clear();
                }
                self.release();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_store_paths_do_not_count_however_they_come() {
        const HASH: &str = "00bgd045z0d4icpbc2yyz4gx48ak44la";
        let of = |text: &str, piece: usize| {
            let mut hash = Hash::default();
            for piece in text.as_bytes().chunks(piece) {
                hash.write_all(piece).unwrap();
            }
            hash.finish()
        };
        for (text, seen) in [
            (format!("/nix/store/{HASH}-a"), "/nix/store/-a".to_owned()),
            (format!("//{HASH}-//{HASH}-"), "//-//-".to_owned()),
            (format!("/{HASH}"), format!("/{HASH}")),
            (format!("/{HASH}x-a"), format!("/{HASH}x-a")),
            (format!("{HASH}-a"), format!("{HASH}-a")),
            ("/short-a/b/".to_owned(), "/short-a/b/".to_owned()),
        ] {
            for piece in [1, 7, 1000] {
                assert_eq!(of(&text, piece), sha256_hex(seen.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn a_scope_is_known_by_what_was_asked_not_by_how() {
        let scope = |hosts: &[&str]| {
            Scope {
                dir: ".".to_owned(),
                kinds: vec![Kind::Home, Kind::Nixos],
                hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
                ..Scope::default()
            }
            .identified()
        };
        assert_eq!(scope(&["b", "a", "b"]), scope(&["a", "b"]));
        assert_ne!(scope(&["a"]).id, scope(&["b"]).id);
        assert_eq!(scope(&[]).id.len(), 16);
        // The identity must survive a release: branches carry it in their commits.
        insta::assert_snapshot!(scope(&["a"]).id, @"efa2cb9a2fe7bdcb");
    }
}
