//! What a run tells of itself while it works. How it looks is for whoever listens.

use std::fmt;
use std::time::Duration;

/// Listens to how a run comes on.
pub trait Progress: fmt::Debug + Send + Sync {
    /// Hears what happens. Has to be quick: the work waits meanwhile.
    fn tell(&self, event: &ProgressEvent<'_>);
}

/// How a run comes on. A package is the name of a derivation, as `php-8.2.19`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressEvent<'a> {
    /// Something begins that may take its time, and says nothing of how it comes on.
    Waiting(&'a str),
    /// So many evaluations of a host's side are done, of so many.
    Evaluated {
        /// Those that are done.
        done: usize,
        /// All of them.
        of: usize,
    },
    /// Building begins.
    Building {
        /// Derivations to build.
        builds: usize,
        /// Paths to fetch.
        fetches: usize,
    },
    /// A package's build has begun.
    Started(&'a str),
    /// It is over, and the package is there.
    Built(&'a str),
    /// It is over and has failed.
    Failed(&'a str),
    /// It is over because it was told to stop.
    Stopped(&'a str),
    /// Fetching has come on.
    Fetched {
        /// Paths that are there.
        paths: u64,
        /// Bytes that are there.
        bytes: u64,
        /// Bytes that are wanted, as far as is known yet.
        of_bytes: u64,
    },
    /// A second has passed.
    Tick,
    /// Building, or waiting, is over.
    Over,
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn tell(&self, _: &ProgressEvent<'_>) {}
}

/// Does the work, and tells meanwhile that seconds pass.
pub(super) async fn with_ticks<T>(progress: &dyn Progress, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    // The first comes at once.
    seconds.tick().await;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = seconds.tick() => progress.tell(&ProgressEvent::Tick),
        }
    }
}

/// Does the work, and tells meanwhile what is waited for.
pub(super) async fn waiting<T>(
    progress: &dyn Progress,
    what: &str,
    work: impl Future<Output = T>,
) -> T {
    progress.tell(&ProgressEvent::Waiting(what));
    let done = with_ticks(progress, work).await;
    progress.tell(&ProgressEvent::Over);
    done
}
