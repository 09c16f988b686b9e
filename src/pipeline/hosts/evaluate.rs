//! Evaluating both sides of every host, in batches.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

use bytesize::ByteSize;
use futures_util::future::try_join_all;

use crate::flake::Host;
use crate::nix::{Batch, EvalFailure, EvalResult, Fault, Nix};
use crate::pipeline::judge::{BuildState, SideState};
use crate::pipeline::locks::complete;
use crate::pipeline::progress::with_ticks;
use crate::pipeline::request::{Machine, Request};
use crate::pipeline::source::Source;
use crate::pipeline::{Context, Error, Progress, ProgressEvent};

use super::{Look, Sides, count};

/// Returns the system of each host, where it evaluates with the flake's own lock.
pub(in crate::pipeline) async fn systems(
    nix: &Nix,
    source: &Source,
    hosts: &[Host],
    request: &Request,
    context: &Context,
    scratch: &Path,
) -> Result<Vec<Option<String>>, Error> {
    let lock = match complete(nix, source, scratch).await? {
        Some(before) => before,
        None => {
            let lock = scratch.join("after.lock");
            nix.update_lock(&source.reference, &[], &lock).await?;
            lock
        }
    };
    let results = evaluate_all(
        nix,
        source,
        &[&lock],
        hosts,
        request,
        &context.machine,
        &*context.progress,
    )
    .await?;
    let mut systems = Vec::with_capacity(hosts.len());
    for (result, host) in results.into_iter().flatten().zip(hosts) {
        systems.push(match result {
            Ok(evaluated) => evaluated.system,
            Err(EvalFailure {
                fault: Fault::Overdue,
                ..
            }) => return Err(Error::Overdue(request.overdue())),
            Err(EvalFailure { message, .. }) => {
                tracing::warn!("{} does not evaluate: {message}", host.id);
                None
            }
        });
    }
    Ok(systems)
}

/// Evaluates both sides of every host.
pub(super) async fn evaluate(look: &Look<'_>) -> Result<Vec<Sides>, Error> {
    let mut locks: Vec<&Path> = vec![&look.locks.after];
    locks.extend(look.locks.before.as_deref());
    let mut results = evaluate_all(
        look.nix,
        look.source,
        &locks,
        look.hosts,
        look.request,
        look.machine,
        &**look.progress,
    )
    .await?
    .into_iter();
    let side = |result: EvalResult| match result {
        Ok(evaluated) => SideState::Evaluated(evaluated, BuildState::NotTried),
        Err(EvalFailure { message, fault }) => match fault {
            Fault::Flake => SideState::NotEvaluated { message },
            Fault::NoBuilder(system) => SideState::NotEvaluable(format!(
                "no builder for {system}, which evaluating it needs"
            )),
            Fault::PastLimit => SideState::Unasked(too_much(look.request.eval_memory)),
            Fault::Overdue => SideState::Unasked(look.request.overdue()),
            Fault::Surroundings | Fault::OutOfMemory => {
                SideState::Unasked(format!("it could not be evaluated: {message}"))
            }
        },
    };
    let after = results.next().unwrap_or_default().into_iter().map(side);
    Ok(match results.next() {
        Some(before) => after
            .zip(before.into_iter().map(side))
            .map(|(after, before)| Sides { before, after })
            .collect(),
        None => after
            .map(|after| Sides {
                before: SideState::Absent,
                after,
            })
            .collect(),
    })
}

/// Says that a host takes more memory than there is for it, which is what somebody `asked` for: only then it is so many bytes.
/// What is free differs from night to night, and is no news.
fn too_much(asked: Option<u64>) -> String {
    let limit = match asked {
        Some(bytes) => format!("{} of memory", ByteSize::b(bytes).display().iec()),
        None => "three quarters of the free memory".to_owned(),
    };
    format!("evaluating it takes more than {limit} (--eval-memory)")
}

/// Evaluates `hosts` with each of `locks`. A list of results for each lock.
///
/// A host that needs more than the share of one evaluation is asked once more in the end, alone, when all the memory is free.
async fn evaluate_all(
    nix: &Nix,
    source: &Source,
    locks: &[&Path],
    hosts: &[Host],
    request: &Request,
    machine: &Machine,
    progress: &dyn Progress,
) -> Result<Vec<Vec<EvalResult>>, Error> {
    let flake = &source.reference;
    let asked = in_batches(
        locks,
        hosts,
        request,
        machine,
        progress,
        async |lock, hosts, share| Ok(nix.evaluate(flake, lock, hosts, share).await?),
    )
    .await?;
    let mut results: Vec<Vec<EvalResult>> = asked
        .into_iter()
        .map(|list| list.into_iter().map(or_not_asked).collect())
        .collect();
    if request.eval_jobs(machine) > 1 {
        let memory = request.eval_memory(machine);
        for (lock, list) in locks.iter().zip(&mut results) {
            for (host, result) in hosts.iter().zip(list) {
                if is_for_want_of_memory(result) {
                    tracing::info!("{} needs much memory: evaluating it alone", host.id);
                    *result = nix.evaluate_alone(flake, lock, host, memory).await?;
                }
            }
        }
    }
    Ok(results)
}

/// Asks about `hosts` with each of `locks`, in batches of which some run at once, each with its share of the memory. What is
/// answered for each host, in a list for each lock; none for a host that nobody asked about.
pub(super) async fn in_batches<T>(
    locks: &[&Path],
    hosts: &[Host],
    request: &Request,
    machine: &Machine,
    progress: &dyn Progress,
    ask: impl AsyncFn(&Path, &[Host], Option<u64>) -> Result<Batch<T>, Error>,
) -> Result<Vec<Vec<Option<T>>>, Error> {
    let jobs = request.eval_jobs(machine);
    let share = request
        .eval_memory(machine)
        .map(|all| all / u64::try_from(jobs).unwrap_or(u64::MAX));
    let most = request.eval_batch(machine, jobs);
    let queue = RefCell::new(Queue::new(hosts.len(), locks.len(), most));
    let results: Vec<Vec<Option<T>>> = locks
        .iter()
        .map(|_| hosts.iter().map(|_| None).collect())
        .collect();
    let results = RefCell::new(results);
    let (answered, all) = (Cell::new(0), hosts.len().saturating_mul(locks.len()));
    let next = || queue.borrow_mut().next();
    let worker = async || {
        while let Some(piece) = next() {
            let asked = hosts.get(piece.hosts.clone()).unwrap_or_default();
            let lock = locks.get(piece.lock).copied().unwrap_or(Path::new(""));
            let batch = ask(lock, asked, share).await?;
            if batch.too_many {
                tracing::debug!(
                    "{} take too much memory together",
                    count(asked.len(), "host")
                );
                queue.borrow_mut().was_too_big(&piece);
            }
            answered.set(answered.get() + batch.results.len());
            progress.tell(&ProgressEvent::Evaluated {
                done: answered.get(),
                of: all,
            });
            if let Some(list) = results.borrow_mut().get_mut(piece.lock) {
                for (at, result) in piece.hosts.zip(batch.results) {
                    if let Some(slot) = list.get_mut(at) {
                        *slot = Some(result);
                    }
                }
            }
        }
        Ok::<(), Error>(())
    };
    // No more of them than there can be work for.
    let workers = jobs.min(all);
    progress.tell(&ProgressEvent::Evaluated { done: 0, of: all });
    with_ticks(progress, try_join_all((0..workers).map(|_| worker()))).await?;
    Ok(results.into_inner())
}

/// Whether a host may evaluate where there is more memory.
fn is_for_want_of_memory(result: &EvalResult) -> bool {
    let fault = result.as_ref().err().map(|failure| &failure.fault);
    matches!(fault, Some(Fault::PastLimit | Fault::OutOfMemory))
}

fn or_not_asked(result: Option<EvalResult>) -> EvalResult {
    result.unwrap_or_else(|| {
        Err(EvalFailure {
            message: "nobody asked".to_owned(),
            fault: Fault::Surroundings,
        })
    })
}

/// Hosts that are to be evaluated together, with one of the locks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    lock: usize,
    hosts: Range<usize>,
}

/// What is still to be evaluated, in pieces that become smaller where one was too big.
#[derive(Debug)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// How many hosts a piece may have.
    most: usize,
}

impl Queue {
    /// Returns the pieces for `hosts` with each of so many `locks`, of at most `most` hosts.
    fn new(hosts: usize, locks: usize, most: usize) -> Self {
        // The sides of one batch next to each other: they share what the disk and the fetcher have at hand.
        let pieces = alike(0..hosts, most)
            .flat_map(|hosts| {
                (0..locks).map(move |lock| Piece {
                    lock,
                    hosts: hosts.clone(),
                })
            })
            .collect();
        Self { pieces, most }
    }

    /// Takes out the next piece.
    fn next(&mut self) -> Option<Piece> {
        let Piece { lock, hosts } = self.pieces.pop_front()?;
        let mut parts: VecDeque<Piece> = alike(hosts, self.most)
            .map(|hosts| Piece { lock, hosts })
            .collect();
        let first = parts.pop_front();
        for part in parts.into_iter().rev() {
            self.pieces.push_front(part);
        }
        first
    }

    /// Makes what is not begun at most half as big as `piece`: a fleet of heavy hosts is not to pay twice for each.
    fn was_too_big(&mut self, piece: &Piece) {
        self.most = self.most.min(piece.hosts.len() / 2).max(1);
    }
}

/// Divides a range into as few as possible of at most `most`, all of one size or nearly: a small one at the end would pay as
/// much for what all hosts share.
fn alike(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let each = range
        .len()
        .div_ceil(range.len().div_ceil(most.max(1)).max(1));
    let end = range.end;
    range
        .step_by(each.max(1))
        .map(move |start| start..start.saturating_add(each).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(queue: &mut Queue) -> String {
        std::iter::from_fn(|| queue.next())
            .map(|Piece { lock, hosts }| format!("{lock}:{}..{}", hosts.start, hosts.end))
            .collect::<Vec<String>>()
            .join(" ")
    }

    #[test]
    fn what_is_free_tonight_is_no_part_of_a_report() {
        insta::assert_snapshot!([too_much(None), too_much(Some(160 << 20))].join("\n"), @"
        evaluating it takes more than three quarters of the free memory (--eval-memory)
        evaluating it takes more than 160.0 MiB of memory (--eval-memory)
        ");
    }

    #[test]
    fn a_fleet_is_evaluated_in_batches_of_one_size_both_sides_next_to_each_other() {
        let queued = |hosts, locks, most| sizes(&mut Queue::new(hosts, locks, most));
        assert_eq!(queued(20, 2, 20), "0:0..20 1:0..20");
        assert_eq!(
            queued(20, 2, 7),
            "0:0..7 1:0..7 0:7..14 1:7..14 0:14..20 1:14..20"
        );
        assert_eq!(queued(9, 1, 8), "0:0..5 0:5..9");
        assert_eq!(queued(2, 1, 1), "0:0..1 0:1..2");
        assert_eq!(queued(1, 1, 1_000), "0:0..1");
        assert_eq!(queued(0, 2, 4), "");
    }

    #[test]
    fn after_one_that_was_too_big_the_rest_is_smaller_and_none_is_lost() {
        let mut queue = Queue::new(20, 2, 10);
        let first = queue.next().unwrap();
        let second = queue.next().unwrap();
        assert_eq!((first.hosts.len(), second.hosts.len()), (10, 10));
        queue.was_too_big(&first);
        // Both sides were begun before either was known to be too big: that is one step only.
        queue.was_too_big(&second);
        assert_eq!(queue.most, 5);
        let third = queue.next().unwrap();
        queue.was_too_big(&third);
        assert_eq!(
            sizes(&mut queue),
            "0:15..17 0:17..19 0:19..20 1:10..12 1:12..14 1:14..16 1:16..18 1:18..20"
        );
        queue.was_too_big(&Piece {
            lock: 0,
            hosts: 0..1,
        });
        assert_eq!(queue.most, 1);
    }

    #[test]
    fn every_host_is_asked_once_a_side_whatever_is_too_big() {
        for (hosts, most, too_big) in [(1, 1, 0), (17, 5, 2), (40, 40, 1), (100, 33, 9)] {
            let mut queue = Queue::new(hosts, 2, most);
            let mut asked = vec![0; 2 * hosts];
            while let Some(piece) = queue.next() {
                assert!(!piece.hosts.is_empty() && piece.hosts.len() <= queue.most);
                if piece.hosts.len() > too_big {
                    queue.was_too_big(&piece);
                }
                for at in piece.hosts {
                    asked[piece.lock * hosts + at] += 1;
                }
            }
            assert!(asked.iter().all(|times| *times == 1), "{asked:?}");
        }
    }
}
