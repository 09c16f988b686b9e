//! Evaluation: what each host is.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::closure::StorePath;
use crate::command::CommandError;
use crate::flake::{FlakeRef, Host};

use super::error::ended;
use super::settings::read_json;
use super::{Nix, NixError, call, message};

/// An argument longer than this is not handed to a process: Linux takes 128 KiB for one.
const LONGEST_FUNCTION: usize = 100_000;

/// So few hosts are asked one by one, when together they fail: halving them would take as many calls.
const FEW: usize = 4;

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
    /// The surroundings': memory, disk, network or daemon failed. About the host nothing is known.
    Surroundings,
}

/// A host's own result: one that fails does not end the others.
pub type EvalResult = Result<Evaluated, EvalFailure>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluatedJson {
    drv: Value,
    out: Value,
    system: Value,
}

impl Nix {
    /// Evaluates `hosts` together, with the flake's inputs as `lock` has them; results in the hosts' order.
    ///
    /// A `throw` in one host leaves the others alone, and the host is asked again alone for its message.
    /// An error that ends the whole call (a type error, a missing attribute) is found by halving.
    ///
    /// # Errors
    ///
    /// Nix cannot be started, is told to stop, or answers with something else than what was asked.
    pub async fn evaluate(
        &self,
        flake: &FlakeRef,
        lock: &Path,
        hosts: &[Host],
    ) -> Result<Vec<EvalResult>, NixError> {
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
                None
            } else {
                self.ask_together(flake, lock, &function).await?
            };
            match answer {
                Some(answers) if answers.len() == asked.len() => {
                    for ((at, host), answer) in piece.zip(asked).zip(answers) {
                        let result = match answer {
                            Some(json) => read_evaluated(&json),
                            None => self.ask_alone(flake, lock, host).await?,
                        };
                        if let Some(slot) = results.get_mut(at) {
                            *slot = Some(result);
                        }
                    }
                }
                Some(_) => {
                    return Err(NixError::Unreadable {
                        what: "the evaluation of the hosts",
                        detail: "there is not one answer a host".to_owned(),
                    });
                }
                None if asked.len() <= FEW => {
                    for (at, host) in piece.zip(asked) {
                        let result = self.ask_alone(flake, lock, host).await?;
                        if let Some(slot) = results.get_mut(at) {
                            *slot = Some(result);
                        }
                    }
                }
                None => {
                    let middle = start + asked.len() / 2;
                    pieces.push((start, middle));
                    pieces.push((middle, end));
                }
            }
        }
        Ok(results
            .into_iter()
            .map(|result| {
                result.unwrap_or_else(|| {
                    Err(EvalFailure {
                        message: "the host was not evaluated".to_owned(),
                        fault: Fault::Surroundings,
                    })
                })
            })
            .collect())
    }

    /// One joint call. None: it failed as a whole, and somebody in it is to blame.
    async fn ask_together(
        &self,
        flake: &FlakeRef,
        lock: &Path,
        function: &str,
    ) -> Result<Option<Vec<Option<EvaluatedJson>>>, NixError> {
        let cmd = call::outputs_locked(&self.options, flake, lock, function);
        match self.run(&cmd).await {
            Ok(output) => {
                self.warnings.read(output.stderr.bytes());
                read_json("the evaluation of the hosts", &output.stdout).map(Some)
            }
            Err(error) if ended(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for one host alone, for the message of its failure.
    async fn ask_alone(
        &self,
        flake: &FlakeRef,
        lock: &Path,
        host: &Host,
    ) -> Result<EvalResult, NixError> {
        let cmd = call::outputs_locked(&self.options, flake, lock, &alone(host));
        match self.run(&cmd).await {
            Ok(output) => {
                self.warnings.read(output.stderr.bytes());
                read_json("the evaluation of a host", &output.stdout)
                    .map(|json| read_evaluated(&json))
            }
            Err(error) if ended(&error) => {
                let words = error
                    .stderr()
                    .and_then(|stderr| message::last_error(&stderr.text()));
                let message = words.unwrap_or_else(|| error.to_string());
                if message.contains(STALE_LOCK) {
                    return Err(NixError::StaleLock);
                }
                let fault = if let Some(system) = message::missing_system(&message) {
                    Fault::NoBuilder(system.to_owned())
                } else if matches!(error, CommandError::Killed { .. })
                    || message::is_environmental(&message)
                {
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
    })
}

/// Returns the function from a flake's outputs to the list of what `hosts` are; null for one that throws.
fn joint(hosts: &[Host]) -> String {
    let asked: String = hosts
        .iter()
        .map(|host| format!("  (ask o.{})\n", host.attr))
        .collect();
    format!(
        "o: let
  ask = d: let
    all = {{ drv = d.drvPath; out = d.outPath; system = d.system or null; }};
    tried = builtins.tryEval (builtins.deepSeq all all);
  in if tried.success then tried.value else null;
in [
{asked}]"
    )
}

/// Returns the function from a flake's outputs to what `host` is, failing where the host fails.
fn alone(host: &Host) -> String {
    format!(
        "o: let d = o.{}; in {{ drv = d.drvPath; out = d.outPath; system = d.system or null; }}",
        host.attr
    )
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
        let fine = read(serde_json::json!({"drv": drv, "out": out, "system": 5})).unwrap();
        assert_eq!(fine.system, None);
        for (drv, out) in [
            (Value::from(5), out),
            (
                Value::from(drv),
                "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9",
            ),
        ] {
            let failure =
                read(serde_json::json!({"drv": drv, "out": out, "system": null})).unwrap_err();
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
