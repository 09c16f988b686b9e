//! Building: what is missing, what is built, and what holds it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::closure::StorePath;
use crate::command::CommandError;

use super::build_log::{BuildEvent, BuildFailure, BuildLog, BuildWatcher};
use super::derivation::{Derivation, reachable};
use super::error::{call_and_end, ended};
use super::{Nix, NixError, call, message};

/// How often who watches a build hears that time passes, and is asked whether it may go on.
const TICK: Duration = Duration::from_secs(1);

/// What a build would have to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Derivations to build.
    pub build: Vec<StorePath>,
    /// Paths to fetch.
    pub fetch: Vec<StorePath>,
    /// How much is downloaded for them, in bytes, as exactly as Nix says; 0 where nothing is fetched.
    pub download_size: u64,
    /// How much room they take, in bytes of archives, as exactly as Nix says; 0 where nothing is fetched.
    pub unpacked_size: u64,
}

/// What came of a build.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// The derivations that failed themselves, by their path. What only hangs on them is not among these.
    pub failures: BTreeMap<StorePath, BuildFailure>,
    /// What Nix says of the build as a whole; of a host that no failure explains, all that is known.
    pub error: Option<String>,
    /// The run's time was over before everything was built.
    pub overdue: bool,
    /// Why the build was ended before its end, in the words of who watched it.
    pub stopped: Option<String>,
}

/// The log of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Its end, or all of it.
    pub bytes: Vec<u8>,
    /// How many bytes come before that.
    pub before: u64,
}

impl Nix {
    /// Holds `derivations` by garbage-collector roots at `link`, `link-1`, and so on.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn root_derivations(
        &self,
        link: &Path,
        derivations: &[&StorePath],
    ) -> Result<(), NixError> {
        self.run(&call::root_derivations(&self.options, link, derivations))
            .await?;
        Ok(())
    }

    /// Holds valid `outputs` by garbage-collector roots at `link`, `link-2`, and so on.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn root_outputs(&self, link: &Path, outputs: &[&StorePath]) -> Result<(), NixError> {
        self.run(&call::root_outputs(&self.options, link, outputs))
            .await?;
        Ok(())
    }

    /// Returns what building `derivations` would have to build and fetch.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn missing(&self, derivations: &[&StorePath]) -> Result<Missing, NixError> {
        // Line by line: a mass rebuild lists more than is kept of stderr.
        let mut listing = Listing::default();
        let cmd = call::dry_run(&self.options, derivations);
        let output = self
            .door
            .output_with_lines(&cmd, |line| listing.read(line))
            .await?
            .checked()?;
        self.warnings.read(output.stderr.bytes());
        Ok(listing.missing)
    }

    /// Builds `derivations`, going on after failures. `known` says what may be built on the way; `watcher` hears what happens, and
    /// may end it.
    ///
    /// # Errors
    ///
    /// Nix cannot be started or is told to stop. A failed build is a value, and so is one that the watcher ended.
    pub async fn build(
        &self,
        derivations: &[&StorePath],
        known: &BTreeMap<StorePath, Derivation>,
        watcher: &Arc<dyn BuildWatcher>,
    ) -> Result<Built, NixError> {
        let mut log = BuildLog::default();
        let watch = {
            let watcher = Arc::clone(watcher);
            move |_pid| {
                watcher.tell(&BuildEvent::Tick);
                watcher.objection()
            }
        };
        let cmd = call::realise(&self.options, derivations)
            .ends_with_the_run()
            .watched(TICK, Arc::new(watch));
        let ended = self
            .door
            .output_with_lines(&cmd, |line| log.read(line, &**watcher))
            .await;
        let mut built = Built::default();
        self.warnings.read(log.plain_messages().as_bytes());
        match ended {
            Ok(output) if output.success() => return Ok(built),
            Ok(_) => {}
            // The memory ran out, say: what was built until then is still worth a report.
            Err(error @ CommandError::Killed { .. }) => log.errors.push(call_and_end(&error)),
            Err(CommandError::Overdue { .. }) => built.overdue = true,
            Err(CommandError::Watched { why, .. }) => built.stopped = Some(why),
            Err(error) => return Err(error.into()),
        }
        // Started and still without its outputs: failed itself. This holds in every version, whatever
        // its messages look like.
        let outputs: Vec<&StorePath> = log
            .started
            .iter()
            .filter_map(|drv| known.get(drv))
            .flat_map(|derivation| &derivation.outputs)
            .collect();
        let invalid = self.invalid(&outputs).await?;
        for drv in &log.started {
            let outputs = known
                .get(drv)
                .map_or(&[][..], |derivation| &derivation.outputs);
            // What was just being built when everything was ended did not fail. Nor are all paths known beforehand: newer
            // versions print none for a fixed output.
            let ended_early = built.overdue || built.stopped.is_some();
            let failed = if outputs.is_empty() || ended_early {
                log.own_error(drv).is_some()
            } else {
                outputs.iter().any(|out| invalid.contains(out))
            };
            if failed {
                built.failures.insert(drv.clone(), log.failure(drv));
            }
        }
        built.error = log.error();
        Ok(built)
    }

    /// Returns those of `paths` that are not in the store.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn invalid(&self, paths: &[&StorePath]) -> Result<HashSet<StorePath>, NixError> {
        let mut invalid = HashSet::new();
        // Far below the limit of all arguments together (2 MiB on Linux).
        for some in paths.chunks(4_000) {
            let output = self.run(&call::invalid(&self.options, some)).await?;
            let text = String::from_utf8_lossy(&output.stdout);
            invalid.extend(
                text.lines()
                    .filter_map(|line| StorePath::parse(line.trim()).ok()),
            );
        }
        Ok(invalid)
    }

    /// Returns the log of a build, of a long one the last `most` bytes; none where Nix has none.
    ///
    /// # Errors
    ///
    /// Nix cannot be started or is told to stop.
    pub async fn log(&self, derivation: &StorePath, most: usize) -> Result<Option<Log>, NixError> {
        let cmd = call::log(&self.options, derivation).stdout_tail(most);
        match self.run(&cmd).await {
            Ok(output) => Ok(Some(Log {
                bytes: output.stdout,
                before: output.stdout_dropped,
            })),
            Err(error) if ended(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Built {
    /// Returns the failures that `root` hangs on, by name.
    pub fn failures_of<'a>(
        &'a self,
        root: &StorePath,
        known: &BTreeMap<StorePath, Derivation>,
    ) -> Vec<(&'a StorePath, &'a BuildFailure)> {
        let below = reachable(root, known);
        let mut failures: Vec<_> = self
            .failures
            .iter()
            .filter(|(drv, _)| below.contains(*drv))
            .collect();
        failures.sort_by(|(a, _), (b, _)| (a.name(), a).cmp(&(b.name(), b)));
        failures
    }
}

/// What `--dry-run` says: a heading, then indented paths, for what is built and for what is fetched.
#[derive(Debug, Default)]
struct Listing {
    missing: Missing,
    /// Whether the paths that come now are fetched; none where they are neither.
    fetching: Option<bool>,
}

impl Listing {
    fn read(&mut self, line: &[u8]) {
        let line = message::plain(&String::from_utf8_lossy(line));
        if let Some(path) = line.strip_prefix("  ") {
            match (self.fetching, StorePath::parse(path.trim())) {
                (Some(true), Ok(path)) => self.missing.fetch.push(path),
                (Some(false), Ok(path)) => self.missing.build.push(path),
                _ => {}
            }
        } else if line.contains("will be built") {
            self.fetching = Some(false);
        } else if line.contains("will be fetched") {
            self.fetching = Some(true);
            self.missing.download_size = size_before(&line, "download");
            self.missing.unpacked_size = size_before(&line, "unpacked");
        } else {
            self.fetching = None;
        }
    }
}

/// Returns the size that stands before `word`, in bytes: `0.02 MiB` up to 2.2x, whatever its size; `15.9 KiB` later. 0 where
/// there is none.
fn size_before(line: &str, word: &str) -> u64 {
    let read = || {
        let words: Vec<&str> = line
            .split([' ', '(', ')', ',', ':'])
            .filter(|word| !word.is_empty())
            .collect();
        let at = words.iter().position(|found| *found == word)?;
        let [number, unit] = words.get(at.checked_sub(2)?..at)? else {
            return None;
        };
        let shift = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
            .iter()
            .position(|known| known == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // In whole numbers, for a fraction of a power of two has an end that floating point need not meet.
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let digits = whole
            .parse::<u128>()
            .ok()?
            .checked_mul(scale)?
            .checked_add(fraction.parse().ok()?)?;
        let bytes = digits.checked_mul(1 << (10 * shift))?.checked_div(scale)?;
        u64::try_from(bytes).ok()
    };
    read().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dry_run_lists_is_read() {
        let text = "these 2 derivations will be built:\n  \
             /nix/store/1g7nf7i9xsxf9d789f7ivfjznmjw25zq-php-8.2.19.drv\n  \
             /nix/store/k0psqlhxyjmxgzwgiys5lyfd3a61r0xn-system-path.drv\n\
             this path will be fetched (0.02 MiB download, 0.10 MiB unpacked):\n  \
             /nix/store/00000000000000000000000000000000-hello-2.12\n\
             don't know how to build these paths:\n  /nix/store/11111111111111111111111111111111-x\n";
        let read = |text: &str| {
            let mut listing = Listing::default();
            for line in text.lines() {
                listing.read(line.as_bytes());
            }
            listing.missing
        };
        let missing = read(text);
        assert_eq!((missing.build.len(), missing.fetch.len()), (2, 1));
        assert_eq!(
            (missing.download_size, missing.unpacked_size),
            (20_971, 104_857)
        );
        assert_eq!(read(""), Missing::default());
    }

    #[test]
    fn sizes_are_read_in_every_unit_and_from_every_version() {
        let table = [
            "these 2 paths will be fetched (0.02 MiB download, 0.10 MiB unpacked):",
            "these 44 paths will be fetched (15.9 KiB download, 1.4 MiB unpacked):",
            "this path will be fetched (31.5 GiB download, 1 TiB unpacked):",
            "this path will be fetched (17 B download, 1 EiB unpacked):",
            "this path will be fetched (0.00 MiB download, 0.1 KiB unpacked):",
            "this path will be fetched:",
            "this path will be fetched (many download, -1 KiB unpacked):",
            "this path will be fetched (1 MB download, 1.2.3 MiB unpacked):",
            "these paths will be fetched (99999999999999999999999999 EiB download, download, unpacked",
        ]
        .map(|line| {
            let sizes = ["download", "unpacked"].map(|word| size_before(line, word));
            format!("{sizes:?}")
        });
        insta::assert_snapshot!(table.join("\n"), @"
        [20971, 104857]
        [16281, 1468006]
        [33822867456, 1099511627776]
        [17, 1152921504606846976]
        [0, 102]
        [0, 0]
        [0, 0]
        [0, 0]
        [0, 0]
        ");
    }
}
