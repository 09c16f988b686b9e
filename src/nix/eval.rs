//! Evaluation: what each host is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use serde_json::Value;

use crate::closure::StorePath;
use crate::command::{Cmd, CommandError, Watch, resident_memory};
use crate::flake::{FlakeRef, Host};

use super::error::{call_and_end, ended};
use super::settings::read_json;
use super::{Nix, NixError, call, message};

/// An argument longer than this is not handed to a process: Linux takes 128 KiB for one.
pub(super) const LONGEST_FUNCTION: usize = 100_000;

/// So few hosts are asked one by one, when together they fail: halving them would take as many calls.
const FEW: usize = 4;

/// How often the memory of an evaluation is looked at. Nix was seen to take some 450 MB a second.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The signal of a process that uses memory that is not its own.
const SIGSEGV: i32 = 11;

/// What Nix says of a lock that does not fit the flake. That is no host's fault.
const STALE_LOCK: &str = "requires lock file changes but they're not allowed";

/// What a host evaluates to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The derivation of the host.
    pub drv: StorePath,
    /// What building it gives.
    pub out: StorePath,
    /// The system it is for; none where the derivation does not say.
    pub system: Option<String>,
    /// An installer or an image for a medium can be made of it.
    pub image: bool,
}

/// Why a host has no derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalFailure {
    /// Nix's message, without the trace before it.
    pub message: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault it is that a host does not evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The flake's: it says so with this lock, whoever asks.
    Flake,
    /// The machine's: it has nothing that builds for this system, and evaluating needs something built.
    NoBuilder(String),
    /// The surroundings': disk, network or daemon failed. About the host nothing is known.
    Surroundings,
    /// Its evaluation took more memory than it may, and was ended.
    PastLimit,
    /// The machine's memory ran out, or seems to have: Nix says so, or somebody killed it.
    OutOfMemory,
    /// The run's time was over.
    Overdue,
}

/// A host's own result: one that fails does not end the others.
pub type EvalResult = Result<Evaluated, EvalFailure>;

/// What came of asking about some hosts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<T> {
    /// A result for each host, in their order.
    pub results: Vec<T>,
    /// They were too many: together they took more memory than they may, or than there is.
    pub too_many: bool,
}

/// What came of one joint call.
enum Together {
    /// An answer for each host; none for one that throws.
    Answers(Vec<Option<EvaluatedJson>>),
    /// It failed as a whole, and somebody in it is to blame.
    Failed,
    /// It took too much memory.
    TooMany,
    /// The run's time was over.
    Overdue,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluatedJson {
    drv: Value,
    out: Value,
    system: Value,
    image: bool,
}

impl Nix {
    /// Evaluates `hosts` together, with the flake's inputs as `lock` has them and with at most `memory` bytes.
    ///
    /// A `throw` in one host leaves the others alone, and the host is asked again alone for its message.
    /// An error that ends the whole call (a type error, a missing attribute) is found by halving. Where they take too much
    /// memory together, each is asked alone.
    ///
    /// # Errors
    ///
    /// Nix cannot be started, is told to stop, or answers with something else than what was asked.
    pub async fn evaluate(
        &self,
        flake: &FlakeRef,
        lock: &Path,
        hosts: &[Host],
        memory: Option<u64>,
    ) -> Result<Batch<EvalResult>, NixError> {
        let mut too_many = false;
        let mut results: Vec<Option<EvalResult>> = vec![None; hosts.len()];
        // Pieces of the list still to be asked together.
        let mut pieces = Vec::from([(0, hosts.len())]);
        while let Some((start, end)) = pieces.pop() {
            let piece = start..end;
            let Some(asked) = hosts.get(piece.clone()).filter(|asked| !asked.is_empty()) else {
                continue;
            };
            let function = joint(asked);
            let too_long = function.len() > LONGEST_FUNCTION;
            let answer = if asked.len() == 1 || too_long {
                Together::Failed
            } else {
                self.ask_together(flake, lock, &function, memory).await?
            };
            too_many |= matches!(answer, Together::TooMany);
            match answer {
                Together::Answers(answers) if answers.len() == asked.len() => {
                    for ((at, host), answer) in piece.zip(asked).zip(answers) {
                        let result = match answer {
                            Some(json) => read_evaluated(&json),
                            None => self.evaluate_alone(flake, lock, host, memory).await?,
                        };
                        if let Some(slot) = results.get_mut(at) {
                            *slot = Some(result);
                        }
                    }
                }
                Together::Answers(_) => {
                    return Err(NixError::Unreadable {
                        what: "the evaluation of the hosts",
                        detail: "there is not one answer a host".to_owned(),
                    });
                }
                Together::Overdue => {
                    for slot in results.get_mut(piece).into_iter().flatten() {
                        *slot = Some(Err(overdue()));
                    }
                }
                Together::Failed if asked.len() > FEW => {
                    let middle = start + asked.len() / 2;
                    pieces.push((start, middle));
                    pieces.push((middle, end));
                }
                Together::Failed | Together::TooMany => {
                    for (at, host) in piece.zip(asked) {
                        let result = self.evaluate_alone(flake, lock, host, memory).await?;
                        if let Some(slot) = results.get_mut(at) {
                            *slot = Some(result);
                        }
                    }
                }
            }
        }
        let results = results
            .into_iter()
            .map(|result| {
                result.unwrap_or_else(|| {
                    Err(EvalFailure {
                        message: "the host was not evaluated".to_owned(),
                        fault: Fault::Surroundings,
                    })
                })
            })
            .collect();
        Ok(Batch { results, too_many })
    }

    /// One joint call.
    async fn ask_together(
        &self,
        flake: &FlakeRef,
        lock: &Path,
        function: &str,
        memory: Option<u64>,
    ) -> Result<Together, NixError> {
        let cmd = call::outputs_locked(&self.options, flake, lock, function);
        match self.run(&bounded(cmd, memory)).await {
            Ok(output) => {
                self.warnings.read(output.stderr.bytes());
                read_json("the evaluation of the hosts", &output.stdout).map(Together::Answers)
            }
            Err(error) if error.is_overdue() => Ok(Together::Overdue),
            Err(error) if memory_fault(&error).is_some() => Ok(Together::TooMany),
            Err(error) if ended(&error) => Ok(Together::Failed),
            Err(error) => Err(error.into()),
        }
    }

    /// Evaluates one host alone, with at most `memory` bytes; its failure has Nix's message.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    pub async fn evaluate_alone(
        &self,
        flake: &FlakeRef,
        lock: &Path,
        host: &Host,
        memory: Option<u64>,
    ) -> Result<EvalResult, NixError> {
        let cmd = call::outputs_locked(&self.options, flake, lock, &alone(host));
        match self.run(&bounded(cmd, memory)).await {
            Ok(output) => {
                self.warnings.read(output.stderr.bytes());
                read_json("the evaluation of a host", &output.stdout)
                    .map(|json| read_evaluated(&json))
            }
            Err(error) if error.is_overdue() => Ok(Err(overdue())),
            Err(error) if ended(&error) || memory_fault(&error).is_some() => {
                let words = match &error {
                    CommandError::Watched { why, .. } => Some(why.clone()),
                    CommandError::Killed {
                        signal: SIGSEGV, ..
                    } => Some("Nix crashed, as it does where a recursion is too deep".to_owned()),
                    error => error
                        .stderr()
                        .and_then(|stderr| message::last_error(&stderr.text())),
                };
                let message = words.unwrap_or_else(|| call_and_end(&error));
                if message.contains(STALE_LOCK) {
                    return Err(NixError::StaleLock);
                }
                let fault = if let Some(system) = message::missing_system(&message) {
                    Fault::NoBuilder(system.to_owned())
                } else if let Some(fault) = memory_fault(&error) {
                    fault
                } else if message::is_environmental(&message) || message::is_timeout(&message) {
                    Fault::Surroundings
                } else {
                    Fault::Flake
                };
                Ok(Err(EvalFailure {
                    message: message::without_prefix(&message).to_owned(),
                    fault,
                }))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns a call of an evaluation that may take `memory` bytes, and no longer than the run.
pub(super) fn bounded(cmd: Cmd, memory: Option<u64>) -> Cmd {
    let cmd = cmd.ends_with_the_run();
    match memory {
        // While it evaluates, Nix does not look whether it was interrupted.
        Some(most) => cmd.watched(LOOK_EVERY, at_most(most)).without_grace(),
        None => cmd,
    }
}

/// Returns a watch that ends what has more than `most` bytes resident.
fn at_most(most: u64) -> Watch {
    let was_past = AtomicBool::new(false);
    Arc::new(move |pid| {
        let is_past = resident_memory(pid).is_some_and(|bytes| bytes > most);
        // Twice in a row: where Nix has just forked to run git, its pages count twice.
        (was_past.swap(is_past, Ordering::Relaxed) && is_past).then(|| {
            format!(
                "it took more than {} of memory",
                ByteSize::b(most).display().iec()
            )
        })
    })
}

/// Returns whether it was for want of memory that a call ended.
pub(super) fn memory_fault(error: &CommandError) -> Option<Fault> {
    match error {
        CommandError::Watched { .. } => Some(Fault::PastLimit),
        // A recursion that is too deep, where Nix did not notice it itself: it was not seen to crash so for want of memory.
        CommandError::Killed {
            signal: SIGSEGV, ..
        } => None,
        // What the kernel does where memory runs out, and 2.34 to itself (SIGABRT).
        CommandError::Killed { .. } => Some(Fault::OutOfMemory),
        CommandError::Failed { stderr, .. } => message::last_error(&stderr.text())
            .is_some_and(|words| message::is_out_of_memory(&words))
            .then_some(Fault::OutOfMemory),
        _ => None,
    }
}

fn overdue() -> EvalFailure {
    EvalFailure {
        message: "the run's time was over".to_owned(),
        fault: Fault::Overdue,
    }
}

fn read_evaluated(json: &EvaluatedJson) -> EvalResult {
    // A flake may say anything: what is no path fails for this host, and not for all.
    let path = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        StorePath::parse(text).map_err(|error| EvalFailure {
            message: format!("the host has no path known beforehand ({error})"),
            fault: Fault::Flake,
        })
    };
    Ok(Evaluated {
        drv: path(&json.drv)?,
        out: path(&json.out)?,
        system: json.system.as_str().map(str::to_owned),
        image: json.image,
    })
}

/// Returns the function from a flake's outputs to the list of what `hosts` are; null for one that throws.
fn joint(hosts: &[Host]) -> String {
    let asked: String = hosts
        .iter()
        .map(|host| format!("  (ask o.{} {})\n", host.attr, builds(host)))
        .collect();
    format!(
        "o: let
  ask = d: builds: let
    all = {{ drv = d.drvPath; out = d.outPath; system = d.system or null; image = {IS_IMAGE}; }};
    tried = builtins.tryEval (builtins.deepSeq all all);
  in if tried.success then tried.value else null;
in [
{asked}]"
    )
}

/// Returns the function from a flake's outputs to what `host` is, failing where the host fails.
fn alone(host: &Host) -> String {
    format!(
        "o: let d = o.{}; builds = {}; in {{ drv = d.drvPath; out = d.outPath; system = d.system or null; image = {IS_IMAGE}; }}",
        host.attr,
        builds(host)
    )
}

/// Whether `builds` has what only installers and images have: newer systems all have `images`. It is the set that the
/// system itself stands in, so asking it what it has costs nothing and fails for nobody.
const IS_IMAGE: &str = "builds ? isoImage || builds ? sdImage";

/// Returns the set that all builds of `host` stand in, as an expression.
fn builds(host: &Host) -> String {
    host.builds()
        .map_or_else(|| "{ }".to_owned(), |path| format!("o.{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flake::Kind;

    #[test]
    fn what_a_host_says_of_itself_fails_for_that_host_only() {
        let read = |json: Value| read_evaluated(&serde_json::from_value(json).unwrap());
        let drv = "/nix/store/00000000000000000000000000000000-x.drv";
        let out = "/nix/store/00000000000000000000000000000000-x";
        let fine =
            read(serde_json::json!({"drv": drv, "out": out, "system": 5, "image": false})).unwrap();
        assert_eq!(fine.system, None);
        for (drv, out) in [
            (Value::from(5), out),
            (
                Value::from(drv),
                "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9",
            ),
        ] {
            let failure =
                read(serde_json::json!({"drv": drv, "out": out, "system": null, "image": false}))
                    .unwrap_err();
            assert_eq!(failure.fault, Fault::Flake);
        }
    }

    #[test]
    fn names_cannot_leave_the_expression_they_stand_in() {
        let function = joint(&[Host::named(Kind::Nixos, "\"; abort \"x")]);
        assert!(
            function.contains(r#"o.nixosConfigurations."\"; abort \"x".config"#),
            "{function}"
        );
    }
}
