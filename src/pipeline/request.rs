//! What a run is asked to do, in the rooms' own terms.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::SpanPrinter;

use secrecy::SecretString;

use crate::flake::{AttrPath, AttrPathError, FilterError, HostFilter, Kind};
use crate::nix;
use crate::report::{Plan, Sensitive};

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// The flake's directory.
    pub flake: PathBuf,
    /// The directory whose owner need not be us: the job's checkout.
    pub workspace: Option<PathBuf>,
    /// The kinds of hosts to look at.
    pub kinds: Vec<Kind>,
    /// Attribute paths of further derivations.
    pub attrs: Vec<String>,
    /// Patterns of hosts to look at; all where empty.
    pub hosts: Vec<String>,
    /// Patterns of hosts to leave out.
    pub exclude_hosts: Vec<String>,
    /// Whether the default exclude is in force.
    pub default_excludes: bool,
    /// The plan whose hosts are looked at; `hosts` then picks out of it, and what else says what to look at is the
    /// plan's, see [`Request::follow`].
    pub plan: Option<Plan>,
    /// Inputs to update; all where empty.
    pub inputs: Vec<String>,
    /// Inputs to leave alone.
    pub exclude_inputs: Vec<String>,
    /// Whether an input that cannot be fetched stays as it is locked; else it ends the run.
    pub keep_unreachable: bool,
    /// The line of nix.conf with tokens for Nix's fetchers.
    pub access_tokens: Option<SecretString>,
    /// Whether submodules are part of the flake.
    pub submodules: Submodules,
    /// Where the new lock comes from.
    pub lock: LockSource,
    /// Whether the new lock is written to the working tree in the end.
    pub write_lock: bool,
    /// Whether hosts are only evaluated.
    pub no_build: bool,
    /// How many evaluations run at once.
    pub eval_jobs: Option<usize>,
    /// How many hosts one evaluation takes.
    pub eval_batch: Option<usize>,
    /// How much memory evaluations may take together, in bytes.
    pub eval_memory: Option<u64>,
    /// How long the whole run may take.
    pub run_timeout: Option<Duration>,
    /// How many bytes of the store's disk must stay free.
    pub min_free: Option<u64>,
    /// The packages that matter for security.
    pub sensitive: Sensitive,
    /// What is handed to every call of Nix.
    pub nix: nix::Options,
}

/// Where the new lock comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockSource {
    /// It is staged by updating the base's.
    Staged,
    /// It is the working tree's.
    Tree,
    /// It is this file.
    Given(PathBuf),
}

impl LockSource {
    /// Says what getting the two locks is.
    pub(super) fn heading(&self) -> &'static str {
        match self {
            Self::Staged => "Staging the update",
            Self::Tree | Self::Given(_) => "Comparing the locks",
        }
    }
}

/// Whether git submodules are part of the flake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submodules {
    /// Where one is checked out.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// The machine a run is on.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Its system, as Nix calls it; empty where Nix has no name for it.
    pub system: &'static str,
    /// How many threads run at once.
    pub threads: usize,
    /// Memory that is free to use, in bytes, where that is known.
    pub memory: Option<u64>,
}

/// What one host may take while it is evaluated together with others, in bytes. NixOS systems take some
/// hundred MiB each, and a batch shares what they have in common.
const MEMORY_PER_HOST: u64 = 512 * 1024 * 1024;

/// What an evaluation takes that has hardly begun, in bytes: 40 MB were seen.
const MEMORY_AT_LEAST: u64 = 64 * 1024 * 1024;

impl Request {
    /// Takes over what a plan asks for. Its `hosts` patterns stay in its scope: here they pick out of its hosts.
    pub fn follow(&mut self, plan: Plan) {
        let scope = &plan.scope;
        self.kinds.clone_from(&scope.kinds);
        self.attrs.clone_from(&scope.attrs);
        self.exclude_hosts.clone_from(&scope.exclude_hosts);
        // It is among the plan's.
        self.default_excludes = false;
        self.inputs.clone_from(&scope.inputs);
        self.exclude_inputs.clone_from(&scope.exclude_inputs);
        self.plan = Some(plan);
    }

    pub(super) fn filter(&self) -> Result<HostFilter, FilterError> {
        HostFilter::new(&self.hosts, &self.exclude_hosts, self.default_excludes)
    }

    pub(super) fn attr_paths(&self) -> Result<Vec<AttrPath>, AttrPathError> {
        self.attrs
            .iter()
            .map(|text| AttrPath::parse(text))
            .collect()
    }

    /// Whether not all of the flake's inputs are to be updated.
    pub(super) fn selects_inputs(&self) -> bool {
        !(self.inputs.is_empty() && self.exclude_inputs.is_empty())
    }

    /// Returns how many evaluations run at once: one for each side unless asked otherwise, for more of them
    /// only double the memory.
    pub(super) fn eval_jobs(&self, machine: &Machine) -> usize {
        let fits = self.eval_memory(machine).map_or(usize::MAX, |memory| {
            usize::try_from(memory / MEMORY_AT_LEAST).unwrap_or(usize::MAX)
        });
        self.eval_jobs
            .unwrap_or_else(|| machine.threads.min(2).min(fits))
            .max(1)
    }

    /// Returns how much memory evaluations may take together, in bytes: unless asked otherwise three quarters of what is free,
    /// for builds and whoever else is there need some. None where nobody knows.
    pub(super) fn eval_memory(&self, machine: &Machine) -> Option<u64> {
        let default = || machine.memory.map(|free| (free / 4).saturating_mul(3));
        self.eval_memory.or_else(default)
    }

    /// Returns how many hosts one evaluation takes: as many as should fit what evaluations may take, or what is free, when `jobs`
    /// run at once. What a host takes is a guess, and a batch that comes out too big is divided.
    pub(super) fn eval_batch(&self, machine: &Machine, jobs: usize) -> usize {
        const UNKNOWN_MEMORY: usize = 4;
        let fits = match self.eval_memory.or(machine.memory) {
            Some(memory) => {
                let each = MEMORY_PER_HOST.saturating_mul(u64::try_from(jobs).unwrap_or(1));
                usize::try_from(memory / each).unwrap_or(usize::MAX)
            }
            None => UNKNOWN_MEMORY,
        };
        self.eval_batch.unwrap_or(fits).clamp(1, 1_000)
    }

    /// Says that the run's time was over before something was done.
    pub(super) fn overdue(&self) -> String {
        let time = self
            .run_timeout
            .and_then(|time| SignedDuration::try_from(time).ok())
            .map(|time| format!(" {}", SpanPrinter::new().duration_to_string(&time)))
            .unwrap_or_default();
        format!("the run's time was over (--run-timeout{time})")
    }
}
