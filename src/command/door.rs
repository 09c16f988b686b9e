//! Running a command: from the start to the last of what it started.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, trace, warn};

use super::cancel::{Cancel, Stop};
use super::capture::{Lines, Ring, STDERR_KEPT, StderrTail};
use super::cmd::Cmd;
use super::environment::ChildEnvironment;
use super::error::{CommandError, Missing};
use super::process_tree::{MARK_VARIABLE, ProcessTree, new_mark};

/// How long a child may take to end by itself after SIGINT, unless the door says otherwise: 10 s. Nix needs a moment to end its
/// builders and to release its locks.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// How long what a child started may take to end by itself once the child has ended after SIGINT.
const LEFTOVERS_GRACE: Duration = Duration::from_millis(500);

/// How often the descendants of a child that is to end are looked up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long to wait for end of file on the pipes after a child has ended by itself: a daemon that it left behind may hold them
/// for ever.
const PIPES_HELD: Duration = Duration::from_secs(2);

/// How long to go on killing. What is left then hangs in the kernel, or is not ours to kill.
const KILL_FOR: Duration = Duration::from_secs(10);

/// How long what is not ended with the run may at least take, however late it is started: enough to write down, push and publish
/// what was found out until then.
const LATE_CALLS: Duration = Duration::from_secs(120);

/// How much is read from a pipe at once.
const CHUNK: usize = 64 * 1024;

/// What a program that ended by itself left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The exit status, 0 to 255.
    pub status: i32,
    /// All of its stdout, or the end of it where no more was asked for.
    pub stdout: Vec<u8>,
    /// How many bytes of stdout came before that end and were not kept.
    pub stdout_dropped: u64,
    /// The end of its stderr.
    pub stderr: StderrTail,
}

impl Output {
    /// Returns whether the exit status is 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// Returns itself if the exit status is 0.
    ///
    /// # Errors
    ///
    /// [`CommandError::Failed`] otherwise.
    pub fn checked(self) -> Result<Self, CommandError> {
        if self.success() {
            Ok(self)
        } else {
            Err(CommandError::Failed {
                argv: self.argv,
                status: self.status,
                stderr: self.stderr,
            })
        }
    }

    /// Returns stdout as text, unchanged.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unreadable`] if it is not UTF-8.
    pub fn text(&self) -> Result<&str, CommandError> {
        std::str::from_utf8(&self.stdout).map_err(|source| CommandError::Unreadable {
            argv: self.argv.clone(),
            source,
        })
    }
}

/// Runs commands with one environment and under one [`Cancel`] token. Clones are cheap and share both.
#[derive(Clone, Debug)]
pub struct Door {
    environment: Arc<ChildEnvironment>,
    cancel: Cancel,
    grace: Duration,
    pipes_held: Duration,
    run_time: Option<RunTime>,
}

/// The time that a run may take.
#[derive(Clone, Copy, Debug)]
struct RunTime {
    /// As it was asked for.
    limit: Duration,
    /// When it is over.
    end: Instant,
    /// How long calls that do not end with the run may take that are started late.
    late: Duration,
}

impl RunTime {
    /// Returns when a command that starts now is to be ended.
    fn end_of(&self, cmd: &Cmd) -> Instant {
        if cmd.is_ended_with_the_run() {
            self.end
        } else {
            self.end.max(Instant::now() + self.late)
        }
    }
}

impl Door {
    /// Returns a door whose children get `environment` and are ended when `cancel` says so.
    pub fn new(environment: ChildEnvironment, cancel: Cancel) -> Self {
        Self {
            environment: Arc::new(environment),
            cancel,
            grace: DEFAULT_GRACE,
            pipes_held: PIPES_HELD,
            run_time: None,
        }
    }

    /// Returns the door of a run that may take `limit` from now on; the default is without limit.
    ///
    /// When it is over, what [ends with the run](Cmd::ends_with_the_run) is ended, and no more of it is started. Any other
    /// command may go on, or still be started, and has at least 2 minutes from its start.
    #[must_use]
    pub fn with_run_time(mut self, limit: Duration) -> Self {
        // One that is beyond what the clock can say never comes.
        self.run_time = Instant::now().checked_add(limit).map(|end| RunTime {
            limit,
            end,
            late: LATE_CALLS,
        });
        self
    }

    /// Returns the door with another time for calls that are started late, so that tests are quick.
    #[cfg(test)]
    pub(super) fn with_late_calls(mut self, late: Duration) -> Self {
        self.run_time = self.run_time.map(|time| RunTime { late, ..time });
        self
    }

    /// Returns the door with another time for children to end by themselves after SIGINT.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Returns the door with less patience for pipes that are held, so that tests are quick.
    #[cfg(test)]
    pub(super) fn with_pipes_held(mut self, time: Duration) -> Self {
        self.pipes_held = time;
        self
    }

    /// Returns what children get to see.
    pub fn environment(&self) -> &ChildEnvironment {
        &self.environment
    }

    /// Returns the door with another environment for its children.
    #[must_use]
    pub fn with_environment(mut self, environment: ChildEnvironment) -> Self {
        self.environment = Arc::new(environment);
        self
    }

    /// Returns the token that ends children.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Runs a command that is to succeed.
    ///
    /// The child runs in its own process group, so a terminal's Ctrl-C reaches only us. When the run is cancelled, its time or the
    /// command's is over, its watch has something against it, or too much comes on stdout, the group gets SIGINT, has the grace
    /// time to end, and then everything that the child started is killed; only then does this return. Where the future is dropped
    /// instead, all of it is killed at once. What a child that ended by itself left running goes on running.
    ///
    /// # Errors
    ///
    /// Any [`CommandError`] but `Unreadable`: also for an exit status other than 0.
    pub async fn run(&self, cmd: &Cmd) -> Result<Output, CommandError> {
        self.output(cmd).await?.checked()
    }

    /// Runs a command whose exit status means something: like [`run`](Self::run), but any exit status is an [`Output`].
    ///
    /// # Errors
    ///
    /// Any [`CommandError`] but `Failed` and `Unreadable`.
    pub async fn output(&self, cmd: &Cmd) -> Result<Output, CommandError> {
        self.output_with_lines(cmd, |_| {}).await
    }

    /// Runs a command like [`output`](Self::output) and hands on each line of stderr as it arrives, without its newline. A line
    /// longer than the command's limit is cut, with a mark at its end. The callback has to be quick: nothing is read meanwhile.
    ///
    /// # Errors
    ///
    /// As `output`.
    pub async fn output_with_lines(
        &self,
        cmd: &Cmd,
        mut on_line: impl FnMut(&[u8]) + Send,
    ) -> Result<Output, CommandError> {
        let argv = cmd.argv();
        if let Some(stop) = self.cancel.stopped() {
            return Err(CommandError::Cancelled {
                argv,
                stop,
                stderr: StderrTail::default(),
            });
        }
        let started = Instant::now();
        let run_end = self.run_time.map(|time| time.end_of(cmd));
        if run_end.is_some_and(|end| end <= started) {
            return Err(CommandError::Overdue {
                argv,
                limit: self.run_limit(),
                stderr: StderrTail::default(),
            });
        }
        trace!(?argv, directory = ?cmd.directory(), "start");
        let mut running = match self.spawn(cmd) {
            Ok(running) => running,
            Err(error) => return Err(not_started(cmd, argv, error)),
        };
        let mut kept = Kept {
            stdout: Vec::new(),
            stdout_dropped: 0,
            stderr: Ring::new(STDERR_KEPT),
        };
        let end = self
            .follow(cmd, run_end, &mut running, &mut kept, &mut on_line)
            .await;
        trace!(?argv, end = ?end, elapsed_ms = started.elapsed().as_millis(), "end");

        let Kept {
            stdout,
            stdout_dropped,
            stderr,
        } = kept;
        let stderr = stderr.into_tail();
        let (limit, stdout_limit, _) = cmd.limits();
        match end {
            End::Exited(exit) => match (exit.code(), exit.signal()) {
                (Some(status), _) => Ok(Output {
                    argv,
                    status,
                    stdout,
                    stdout_dropped,
                    stderr,
                }),
                (None, signal) => Err(CommandError::Killed {
                    argv,
                    signal: signal.unwrap_or_default(),
                    stderr,
                }),
            },
            End::Stopped(stop) => Err(CommandError::Cancelled { argv, stop, stderr }),
            End::TimedOut => Err(CommandError::TimedOut {
                argv,
                limit: limit.unwrap_or_default(),
                stderr,
            }),
            End::Overdue => Err(CommandError::Overdue {
                argv,
                limit: self.run_limit(),
                stderr,
            }),
            End::Watched(why) => Err(CommandError::Watched { argv, why, stderr }),
            End::TooMuch => Err(CommandError::TooMuchOutput {
                argv,
                limit: stdout_limit,
                stderr,
            }),
            End::Lost(error) => Err(CommandError::Io {
                argv,
                error,
                stderr,
            }),
        }
    }

    fn run_limit(&self) -> Duration {
        self.run_time.map(|time| time.limit).unwrap_or_default()
    }

    fn spawn(&self, cmd: &Cmd) -> io::Result<Running> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the door that all others have to go through"
        )]
        let mut command = Command::new(cmd.program());
        let mark = new_mark();
        command
            .args(cmd.raw_args())
            .env_clear()
            .envs(self.environment.iter())
            .envs(cmd.extra_env().iter().map(|(name, value)| (name, value)))
            .env(MARK_VARIABLE, &mark)
            .stdin(if cmd.stdin().is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal goes to the group in front: to us, who then end the child in order.
            .process_group(0)
            // Has it waited for, should it still be there when we are not.
            .kill_on_drop(true);
        if let Some(directory) = cmd.directory() {
            command.current_dir(directory);
        }
        let child = command.spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| io::Error::other("the child has no process id"))?;
        Ok(Running {
            tree: ProcessTree::new(pid, &mark),
            child,
            over: false,
        })
    }

    /// Sees a child through to its end, and ends it where it has to be.
    async fn follow(
        &self,
        cmd: &Cmd,
        run_end: Option<Instant>,
        running: &mut Running,
        kept: &mut Kept,
        on_line: &mut (impl FnMut(&[u8]) + Send),
    ) -> End {
        let child = &mut running.child;
        let child_id = child.id();
        let pipes = Pipes {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let mut pump = pin!(pump(cmd, pipes, kept, on_line));
        let mut pumped = false;
        let end = tokio::select! {
            biased;
            stop = self.cancel.cancelled() => End::Stopped(stop),
            () = over(cmd.limits().0) => End::TimedOut,
            () = at(run_end) => End::Overdue,
            why = watched(cmd, child_id) => End::Watched(why),
            end = running.exit(pump.as_mut(), &mut pumped, self.pipes_held) => end,
        };
        if matches!(end, End::Exited(_)) {
            running.over = true;
            return end;
        }
        // Its pipes are read until the end, or it might wait for us to read while we wait for it to end; and its last words
        // are worth having.
        let grace = match end {
            End::Watched(_) if !cmd.has_grace() => Duration::ZERO,
            _ => self.grace,
        };
        let mut ending = pin!(running.end(grace, &self.cancel));
        loop {
            tokio::select! {
                () = &mut ending => break,
                _ = &mut pump, if !pumped => pumped = true,
            }
        }
        if !pumped && timeout(LOOK_EVERY, &mut pump).await.is_err() {
            debug!("a pipe is still held after the end");
        }
        end
    }
}

/// How a child came to its end.
#[derive(Debug)]
enum End {
    Exited(ExitStatus),
    Stopped(Stop),
    TimedOut,
    Overdue,
    Watched(String),
    TooMuch,
    Lost(io::Error),
}

/// Our ends of a child's pipes.
struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

/// What is kept of a child's output so far.
struct Kept {
    stdout: Vec<u8>,
    stdout_dropped: u64,
    stderr: Ring,
}

/// A child that has not come to its end; when this is dropped before, the child and all that it started are killed.
struct Running {
    child: Child,
    tree: ProcessTree,
    over: bool,
}

impl Running {
    /// Waits until the child has ended by itself and its pipes are at their end or were held long enough.
    async fn exit(
        &mut self,
        mut pump: Pin<&mut impl Future<Output = Result<(), End>>>,
        pumped: &mut bool,
        pipes_held: Duration,
    ) -> End {
        let exit = loop {
            tokio::select! {
                exit = self.child.wait() => match exit {
                    Ok(exit) => break exit,
                    Err(error) => return End::Lost(error),
                },
                result = &mut pump, if !*pumped => {
                    *pumped = true;
                    if let Err(end) = result {
                        return end;
                    }
                }
            }
        };
        if !*pumped {
            match timeout(pipes_held, pump).await {
                Ok(Ok(())) => *pumped = true,
                Ok(Err(end)) => {
                    *pumped = true;
                    return end;
                }
                Err(_) => debug!(
                    "something that the child left behind holds its pipes: not read any further"
                ),
            }
        }
        End::Exited(exit)
    }

    /// Ends the child and all that it started: SIGINT, time to end, then SIGKILL until nobody is left. Without time to end,
    /// SIGKILL at once.
    async fn end(&mut self, grace: Duration, cancel: &Cancel) {
        if cancel.stopped().is_some() {
            self.tree.adopt();
        }
        self.tree.refresh();
        if grace.is_zero() {
            self.kill(self.child.id().is_none()).await;
            self.over = true;
            return;
        }
        let mut reaped = self.child.id().is_none();
        let mut deadline = Instant::now() + grace;
        if reaped {
            deadline = Instant::now();
        } else {
            self.tree.interrupt();
        }
        loop {
            tokio::select! {
                biased;
                () = cancel.hurried() => deadline = Instant::now(),
                exit = self.child.wait(), if !reaped => {
                    reaped = true;
                    debug!(?exit, "ended after SIGINT");
                    deadline = deadline.min(Instant::now() + LEFTOVERS_GRACE);
                }
                () = sleep(LOOK_EVERY) => {}
            }
            self.tree.refresh();
            if reaped && self.tree.alive() == 0 {
                break;
            }
            if Instant::now() >= deadline {
                self.kill(reaped).await;
                break;
            }
        }
        self.over = true;
    }

    async fn kill(&mut self, mut reaped: bool) {
        debug!(alive = self.tree.alive(), "SIGKILL");
        let until = Instant::now() + KILL_FOR;
        loop {
            self.tree.kill(!reaped);
            if reaped {
                sleep(Duration::from_millis(5)).await;
            } else {
                reaped = timeout(LOOK_EVERY, self.child.wait()).await.is_ok();
            }
            // Also finds whoever was started since.
            self.tree.refresh();
            if reaped && self.tree.alive() == 0 {
                return;
            }
            if Instant::now() >= until {
                warn!(left = self.tree.alive(), "processes could not be killed");
                return;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // Nothing can be awaited here, so there is no time to end in order. A few rounds, since what is not dead yet may
        // start something between two looks; 20 ms at most.
        for _ in 0..10 {
            self.tree.refresh();
            self.tree.kill(self.child.id().is_some());
            thread::sleep(Duration::from_millis(2));
            self.tree.refresh();
            if self.tree.alive() == 0 {
                return;
            }
        }
        warn!(left = self.tree.alive(), "processes may be left behind");
    }
}

/// Moves the bytes: ours to stdin, what comes on stdout and stderr to where it is kept. All at once, since a child that
/// waits for one of them would otherwise wait for ever.
async fn pump(
    cmd: &Cmd,
    pipes: Pipes,
    kept: &mut Kept,
    on_line: &mut (impl FnMut(&[u8]) + Send),
) -> Result<(), End> {
    let Pipes {
        stdin,
        stdout,
        stderr,
    } = pipes;
    let (_, stdout_limit, line_limit) = cmd.limits();
    let Kept {
        stdout: kept_stdout,
        stdout_dropped,
        stderr: kept_stderr,
    } = kept;
    let feed = async move {
        let (Some(mut pipe), Some(bytes)) = (stdin, cmd.stdin()) else {
            return Ok(());
        };
        match pipe.write_all(bytes).await {
            // Nobody has to read to the end.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(End::Lost(error)),
            _ => Ok(()),
        }
    };
    let keep = async move {
        let Some(mut pipe) = stdout else {
            return Ok(());
        };
        while read_some(&mut pipe, kept_stdout).await? > 0 {
            if let Some(tail) = cmd.tail() {
                // Not after every piece: what is kept would be moved each time.
                if kept_stdout.len() > tail.saturating_mul(2).saturating_add(CHUNK) {
                    drop_start(kept_stdout, tail, stdout_dropped);
                }
            } else if u64::try_from(kept_stdout.len()).unwrap_or(u64::MAX) > stdout_limit {
                return Err(End::TooMuch);
            }
        }
        if let Some(tail) = cmd.tail() {
            drop_start(kept_stdout, tail, stdout_dropped);
        }
        Ok(())
    };
    let cut = async move {
        let Some(mut pipe) = stderr else {
            return Ok(());
        };
        let mut lines = Lines::new(line_limit);
        let mut hand_on = |line: &[u8]| {
            trace!(line = ?String::from_utf8_lossy(line), "stderr");
            on_line(line);
        };
        let mut chunk = Vec::with_capacity(CHUNK);
        while read_some(&mut pipe, &mut chunk).await? > 0 {
            kept_stderr.push(&chunk);
            lines.push(&chunk, &mut hand_on);
            chunk.clear();
        }
        lines.finish(&mut hand_on);
        Ok(())
    };
    tokio::try_join!(feed, keep, cut).map(|_| ())
}

/// Takes all but the last `tail` bytes away, and counts them.
fn drop_start(bytes: &mut Vec<u8>, tail: usize, dropped: &mut u64) {
    let excess = bytes.len().saturating_sub(tail);
    bytes.drain(..excess);
    *dropped = dropped.saturating_add(u64::try_from(excess).unwrap_or(u64::MAX));
}

/// Appends what can be read now, and returns how many bytes that were: 0 at the end.
async fn read_some(
    pipe: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Result<usize, End> {
    if buffer.capacity() - buffer.len() < CHUNK / 2 {
        buffer.reserve(CHUNK);
    }
    pipe.read_buf(buffer).await.map_err(End::Lost)
}

/// Looks at a child for as long as whoever watches it has nothing against it.
async fn watched(cmd: &Cmd, child: Option<u32>) -> String {
    let (Some((every, watch)), Some(child)) = (cmd.watch(), child) else {
        return std::future::pending().await;
    };
    loop {
        if let Some(why) = watch(child) {
            return why;
        }
        sleep(*every).await;
    }
}

/// Waits for the end of a time limit; for ever if there is none.
async fn over(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Waits for a moment; for ever if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Finds out why a program could not be started: "No such file or directory" is said of the program and of the directory.
fn not_started(cmd: &Cmd, argv: Vec<String>, error: io::Error) -> CommandError {
    let missing = match (error.kind(), cmd.directory()) {
        (io::ErrorKind::NotFound, Some(directory)) if !directory.is_dir() => {
            Some(Missing::Directory(directory.to_owned()))
        }
        // A file that is there has an interpreter that is not: the system's own words are the better ones then.
        (io::ErrorKind::NotFound, _) if !is_file_by_path(Path::new(cmd.program())) => Some(
            Missing::Program(cmd.program().to_string_lossy().into_owned()),
        ),
        _ => None,
    };
    debug!(?argv, %error, "not started");
    CommandError::NotStarted {
        argv,
        missing,
        error,
    }
}

fn is_file_by_path(program: &Path) -> bool {
    program.components().count() > 1 && program.exists()
}
