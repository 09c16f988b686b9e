//! The only door to other processes.
//!
//! A [`Cmd`] is an argument list as data. A [`Door`] runs it: with the [`ChildEnvironment`] that says what children may see,
//! under the [`Cancel`] token of the run, with stdin closed unless bytes are given, with a time limit and limits on what is
//! kept of the output. What ends badly is a [`CommandError`] that carries the argument list, the status and stderr's tail.
//!
//! ```text
//!   Cmd ──▶ Door ──▶ spawn ──▶ feed stdin, keep stdout, cut stderr into lines ──▶ Output or CommandError
//!            ├ ChildEnvironment        │
//!            └ Cancel, time limit ─────┴▶ SIGINT, grace, then SIGKILL for all that the child started
//! ```
//!
//! What a program's output means is for the caller. Nothing else in the crate starts a process (`clippy.toml` keeps it so).

mod cancel;
mod capture;
mod cmd;
mod door;
mod environment;
mod error;
mod memory;
mod process_tree;
#[cfg(test)]
mod tests;

pub use cancel::{Cancel, Stop};
pub use capture::{DEFAULT_LINE_LIMIT, STDERR_KEPT, StderrTail};
pub use cmd::{Cmd, DEFAULT_STDOUT_LIMIT, Watch};
pub use door::{DEFAULT_GRACE, Door, Output};
pub use environment::{ChildEnvironment, Reason, Removed};
pub use error::{CommandError, LINES_SHOWN, Missing};
pub use memory::resident_memory;
pub use process_tree::adopt_orphans;
