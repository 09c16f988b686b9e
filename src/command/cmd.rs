//! A command as data.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::capture::DEFAULT_LINE_LIMIT;

/// How many bytes of stdout are accepted unless the command says otherwise: 256 MiB.
///
/// The closure dump of a large fleet is some tens of megabytes; what is beyond this is a fault, not a result.
pub const DEFAULT_STDOUT_LIMIT: u64 = 256 * 1024 * 1024;

/// Looks at a running child, whose process id it gets; words that it gives back end the child, and say why.
pub type Watch = Arc<dyn Fn(u32) -> Option<String> + Send + Sync>;

/// One call of a program, as data: nothing runs until it is given to a [`Door`](super::Door).
///
/// `Display` writes it as a line that a shell would read back; `Debug` leaves out the values of extra variables and the bytes
/// for stdin, since either may be secret. The argument list itself is shown everywhere: no secret belongs there.
#[derive(Clone)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    current_dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    env: Vec<(OsString, OsString)>,
    time_limit: Option<Duration>,
    stdout_limit: u64,
    stdout_tail: Option<usize>,
    line_limit: usize,
    watch: Option<(Duration, Watch)>,
    has_grace: bool,
    ends_with_the_run: bool,
}

impl Cmd {
    /// Returns a call of `program` without arguments; a name without a slash is looked up in the `PATH` of the child's environment.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            current_dir: None,
            stdin: None,
            env: Vec::new(),
            time_limit: None,
            stdout_limit: DEFAULT_STDOUT_LIMIT,
            stdout_tail: None,
            line_limit: DEFAULT_LINE_LIMIT,
            watch: None,
            has_grace: true,
            ends_with_the_run: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments in the order given.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the directory the program starts in; the default is our own.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// Sets what the program reads on stdin, followed by end of file; the default is an empty stdin (`/dev/null`).
    #[must_use]
    pub fn stdin_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Sets a variable for this call only, over what the door's environment says. The way for a token to reach a child.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets how long the program may run before it is ended; the default is without limit.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Sets how many bytes the program may write to stdout before it is ended; the default is [`DEFAULT_STDOUT_LIMIT`].
    #[must_use]
    pub fn stdout_limit(mut self, bytes: u64) -> Self {
        self.stdout_limit = bytes;
        self
    }

    /// Has only the end of stdout kept, of this many bytes, however much comes; the default is to keep all, up to the limit.
    #[must_use]
    pub fn stdout_tail(mut self, bytes: usize) -> Self {
        self.stdout_tail = Some(bytes);
        self
    }

    /// Sets at how many bytes a line of stderr is cut before it is handed on; the default is [`DEFAULT_LINE_LIMIT`].
    #[must_use]
    pub fn line_limit(mut self, bytes: usize) -> Self {
        self.line_limit = bytes;
        self
    }

    /// Has the running program looked at, first at once and then every `every`; the default is not to. `watch` has to be quick:
    /// nothing is read meanwhile.
    #[must_use]
    pub fn watched(mut self, every: Duration, watch: Watch) -> Self {
        self.watch = Some((every, watch));
        self
    }

    /// Has the program killed at once where its watch ends it; the default is SIGINT and time to end. For one that goes on taking
    /// what is short, and does not heed SIGINT while it does.
    #[must_use]
    pub fn without_grace(mut self) -> Self {
        self.has_grace = false;
        self
    }

    /// Has the program ended when the run's time is over ([`Door::with_run_time`](super::Door::with_run_time)), and not started
    /// after that; the default is to leave it a little longer, so that what is there can be put in order.
    #[must_use]
    pub fn ends_with_the_run(mut self) -> Self {
        self.ends_with_the_run = true;
        self
    }

    /// Returns the program and its arguments; what is not UTF-8 in them is replaced.
    pub fn argv(&self) -> Vec<String> {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect()
    }

    pub(super) fn program(&self) -> &OsStr {
        &self.program
    }

    pub(super) fn raw_args(&self) -> &[OsString] {
        &self.args
    }

    pub(super) fn directory(&self) -> Option<&Path> {
        self.current_dir.as_deref()
    }

    pub(super) fn stdin(&self) -> Option<&[u8]> {
        self.stdin.as_deref()
    }

    pub(super) fn extra_env(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    pub(super) fn watch(&self) -> Option<&(Duration, Watch)> {
        self.watch.as_ref()
    }

    pub(super) fn has_grace(&self) -> bool {
        self.has_grace
    }

    pub(super) fn is_ended_with_the_run(&self) -> bool {
        self.ends_with_the_run
    }

    pub(super) fn tail(&self) -> Option<usize> {
        self.stdout_tail
    }

    pub(super) fn limits(&self) -> (Option<Duration>, u64, usize) {
        (self.time_limit, self.stdout_limit, self.line_limit)
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shell_words::join(self.argv()))
    }
}

impl fmt::Debug for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Cmd")
            .field("argv", &self.argv())
            .field("current_dir", &self.current_dir)
            .field("stdin_bytes", &self.stdin.as_ref().map(Vec::len))
            .field("env_names", &names)
            .field("time_limit", &self.time_limit)
            .field("stdout_limit", &self.stdout_limit)
            .field("stdout_tail", &self.stdout_tail)
            .field("line_limit", &self.line_limit)
            .field(
                "watched_every",
                &self.watch.as_ref().map(|(every, _)| every),
            )
            .field("has_grace", &self.has_grace)
            .field("ends_with_the_run", &self.ends_with_the_run)
            .finish()
    }
}
