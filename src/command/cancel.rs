//! The run's stop button.

use std::future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Why a run is stopped: the signal that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// SIGHUP: the terminal is gone.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a service manager, a CI runner that cancels a job.
    Terminate,
}

impl Stop {
    /// Returns the number of the signal, as POSIX fixes it: 1, 2 or 15.
    pub fn signal(self) -> i32 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    stop: Option<Stop>,
    hurry: bool,
}

/// A token that says whether the run is to stop. Clones are the same token.
#[derive(Clone, Debug)]
pub struct Cancel {
    state: watch::Sender<State>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancel {
    /// Returns a token that nothing has stopped yet.
    pub fn new() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
        }
    }

    /// Stops the run. The first reason stays; being called again means "now": children get no more time to end by themselves.
    pub fn cancel(&self, stop: Stop) {
        self.state.send_modify(|state| match state.stop {
            None => state.stop = Some(stop),
            Some(_) => state.hurry = true,
        });
    }

    /// Returns why the run is stopped, or `None` while it goes on.
    pub fn stopped(&self) -> Option<Stop> {
        self.state.borrow().stop
    }

    /// Waits until the run is stopped and returns why; returns at once if it is already.
    pub async fn cancelled(&self) -> Stop {
        let mut states = self.state.subscribe();
        match states
            .wait_for(|state| state.stop.is_some())
            .await
            .map(|state| state.stop)
        {
            Ok(Some(stop)) => stop,
            // Not reached: we hold a sender, so the channel cannot close, and the condition asks for a reason.
            Ok(None) | Err(_) => future::pending().await,
        }
    }

    /// Waits until the run was told to stop more than once.
    pub(super) async fn hurried(&self) {
        let mut states = self.state.subscribe();
        if states.wait_for(|state| state.hurry).await.is_err() {
            future::pending::<()>().await;
        }
    }

    /// Listens for SIGHUP, SIGINT and SIGTERM from now on and stops the run when one comes, until the task is aborted.
    ///
    /// A signal that is ignored when this is called stays ignored (`nohup`, a job in the background of a script); this is seen
    /// where there is a `/proc` (Linux).
    ///
    /// # Errors
    ///
    /// What the operating system says when a handler cannot be set.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as `tokio::spawn` does.
    pub fn listen(&self) -> io::Result<JoinHandle<()>> {
        let ignored = std::fs::read_to_string("/proc/self/status")
            .map_or(0, |status| ignored_signals(&status));
        let open = |stop: Stop, kind: SignalKind| -> io::Result<Option<Signal>> {
            if ignored >> (stop.signal() - 1) & 1 == 1 {
                Ok(None)
            } else {
                signal(kind).map(Some)
            }
        };
        let mut hangup = open(Stop::Hangup, SignalKind::hangup())?;
        let mut interrupt = open(Stop::Interrupt, SignalKind::interrupt())?;
        let mut terminate = open(Stop::Terminate, SignalKind::terminate())?;
        let cancel = self.clone();
        Ok(tokio::spawn(async move {
            loop {
                let stop = tokio::select! {
                    () = next(hangup.as_mut()) => Stop::Hangup,
                    () = next(interrupt.as_mut()) => Stop::Interrupt,
                    () = next(terminate.as_mut()) => Stop::Terminate,
                };
                tracing::warn!("stopping: {stop}");
                cancel.cancel(stop);
            }
        }))
    }
}

/// Waits for the next signal; for ever if there is no listener, or if it came to its end.
async fn next(signal: Option<&mut Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    future::pending::<()>().await;
}

/// Returns the bit set of ignored signals from the text of `/proc/self/status` (`SigIgn`, hexadecimal; proc(5)).
fn ignored_signals(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays_and_the_second_call_hurries() {
        let cancel = Cancel::new();
        let other = cancel.clone();
        assert_eq!(cancel.stopped(), None);
        let waiting = tokio::spawn(async move { other.cancelled().await });
        cancel.cancel(Stop::Terminate);
        assert_eq!(waiting.await.unwrap(), Stop::Terminate);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), cancel.hurried())
                .await
                .is_err()
        );
        cancel.cancel(Stop::Interrupt);
        assert_eq!(cancel.stopped(), Some(Stop::Terminate));
        cancel.hurried().await;
    }

    #[test]
    fn ignored_signals_are_read_from_status() {
        assert_eq!(
            ignored_signals("Name:\tx\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n"),
            0x1001
        );
        assert_eq!(ignored_signals("SigIgn:\tnonsense\n"), 0);
        assert_eq!(ignored_signals(""), 0);
    }

    #[tokio::test]
    async fn a_signal_stops_the_run() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if ignored_signals(&status) & 1 == 1 {
            // Under `nohup` the signal below would rightly do nothing.
            return;
        }
        let cancel = Cancel::new();
        let listener = cancel.listen().unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP)
            .unwrap();
        let stop = tokio::time::timeout(Duration::from_secs(2), cancel.cancelled())
            .await
            .unwrap();
        assert_eq!(stop, Stop::Hangup);
        listener.abort();
    }
}
