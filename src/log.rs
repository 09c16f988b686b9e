//! How the log of a run, and how it comes on, look on stderr.
//!
//! On a terminal one line at the bottom moves, and what the log says goes above it. Elsewhere there is a line now and then.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use bytesize::ByteSize;
use flake_herald::cli::LogFormat;
use flake_herald::config::{Config, Environment, Verbosity};
use flake_herald::exit::pages::Page;
use flake_herald::pipeline::{Progress, ProgressEvent, STEP};
use flake_herald::report;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use secrecy::ExposeSecret as _;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// How often there is a line on how the run comes on, where nothing can be drawn.
const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// How long something has to last before it is drawn: what is over at once would only flicker.
const WORTH_DRAWING: Duration = Duration::from_millis(300);

/// How long what was drawn stays.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// How many running builds are named.
const NAMED: usize = 5;

/// Sends events to stderr, as lines or as JSON, and returns what shows how the run comes on.
pub(crate) fn start(config: &Config, environment: &Environment) -> Arc<Screen> {
    let level = match config.output.verbosity {
        Verbosity::Quiet => LevelFilter::WARN,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
        Verbosity::Everything => LevelFilter::TRACE,
    };
    let json = config.output.log_format.value == LogFormat::Json;
    let lines = Lines {
        groups: config.runner.is_some(),
        json,
        redactor: redactor(config),
    };
    let screen = Arc::new(Screen {
        draws: io::stderr().is_terminal()
            && environment.get("TERM").is_some_and(|term| term != "dumb")
            && environment.get("CI").is_none()
            && config.runner.is_none()
            && !json
            && config.output.verbosity != Verbosity::Quiet,
        state: Mutex::default(),
    });
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(Above(Arc::clone(&screen)))
        .with_ansi(false)
        // It would complain of a stderr that cannot be written to there, and panic.
        .log_internal_errors(false)
        .event_format(lines)
        .init();
    screen
}

/// Returns what hides the configuration's secrets.
pub(crate) fn redactor(config: &Config) -> report::Redactor {
    let secrets = config
        .secrets()
        .iter()
        .map(|secret| secret.expose_secret().to_owned())
        .collect();
    report::Redactor::new(secrets, Vec::new())
}

/// Prints what ended the run. The only other thing on stderr is the log.
pub(crate) fn complain(error: &str, hint: Option<&str>, page: Option<Page>, color: ColorChoice) {
    let mut stderr = AutoStream::new(io::stderr().lock(), color);
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let mut text = format!("{style}Error:{style:#} {error}\n");
    if let Some(hint) = hint {
        text.push_str("Hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    if let Some(page) = page {
        text.push_str("More: ");
        text.push_str(&page.to_string());
        text.push('\n');
    }
    // Nobody is left to tell.
    drop(stderr.write_all(text.as_bytes()));
}

/// Whether a group of the runner is open.
static GROUP: AtomicBool = AtomicBool::new(false);

/// Where the run shows how it comes on.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Whether a line can be drawn and drawn again.
    draws: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    board: Board,
    bar: Option<ProgressBar>,
    /// When the bar was last drawn.
    drawn: Option<Instant>,
}

impl Screen {
    /// Takes away what is drawn and ends the group that is open: nothing more is to come, or only an error.
    pub(crate) fn end(&self) {
        self.state().clear();
        if GROUP.swap(false, Ordering::Relaxed) {
            // Nobody is left to tell.
            drop(io::stderr().lock().write_all(b"::endgroup::\n"));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Screen {
    fn tell(&self, event: &ProgressEvent<'_>) {
        let now = Instant::now();
        let mut state = self.state();
        let mut lines: Vec<Line> = state.board.hear(event, now).into_iter().collect();
        if self.draws {
            state.draw(now);
        } else {
            lines.extend(state.board.summary_due(now));
        }
        // What is logged is written above the bar, which is in the state.
        drop(state);
        for line in lines {
            match line {
                Line::Told(text) => tracing::info!("{text}"),
                Line::Detail(text) => tracing::debug!("{text}"),
            }
        }
    }
}

impl State {
    fn draw(&mut self, now: Instant) {
        let Some(text) = self.board.drawing(now) else {
            self.clear();
            return;
        };
        if self
            .drawn
            .is_some_and(|drawn| now.saturating_duration_since(drawn) < DRAW_EVERY)
        {
            return;
        }
        self.drawn = Some(now);
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            // It cuts the message, and not the time, where the terminal is narrow.
            match ProgressStyle::with_template("{wide_msg} {clock}") {
                Ok(style) => bar.with_style(style.with_key("clock", write_clock)),
                Err(_) => bar,
            }
            .with_elapsed(self.board.lasted(now))
        });
        bar.set_message(text);
    }

    fn clear(&mut self) {
        self.drawn = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Told(String),
    /// For who asked for more.
    Detail(String),
}

/// How the run comes on, as far as it was heard.
#[derive(Debug, Default)]
struct Board {
    work: Work,
    /// When it began.
    since: Option<Instant>,
    /// What was last said of it, and when.
    said: Option<(Instant, String)>,
}

#[derive(Debug, Default)]
enum Work {
    #[default]
    Nothing,
    /// For something that says nothing of how it comes on.
    Waiting(String),
    Evaluating {
        done: usize,
        of: usize,
    },
    Building(Builds),
}

#[derive(Debug, Default)]
struct Builds {
    built: usize,
    failed: usize,
    of: usize,
    /// In the order in which they began.
    running: Vec<String>,
    fetched: u64,
    to_fetch: usize,
    bytes: u64,
    of_bytes: u64,
}

impl Board {
    /// Takes in an event, and returns what is worth a line of its own.
    fn hear(&mut self, event: &ProgressEvent<'_>, now: Instant) -> Option<Line> {
        match *event {
            ProgressEvent::Evaluated { done, of } if done < of => {
                if !matches!(self.work, Work::Evaluating { .. }) {
                    self.begin(Work::Nothing, now);
                }
                self.work = Work::Evaluating { done, of };
                return None;
            }
            ProgressEvent::Evaluated { .. } | ProgressEvent::Over => {
                self.work = Work::Nothing;
                return None;
            }
            ProgressEvent::Waiting(what) => {
                self.begin(Work::Waiting(what.to_owned()), now);
                return None;
            }
            ProgressEvent::Building { builds, fetches } => {
                let builds = Builds {
                    of: builds,
                    to_fetch: fetches,
                    ..Builds::default()
                };
                self.begin(Work::Building(builds), now);
                return None;
            }
            ProgressEvent::Started(_)
            | ProgressEvent::Built(_)
            | ProgressEvent::Failed(_)
            | ProgressEvent::Stopped(_)
            | ProgressEvent::Fetched { .. }
            | ProgressEvent::Tick => {}
        }
        let Work::Building(builds) = &mut self.work else {
            return None;
        };
        match *event {
            ProgressEvent::Started(name) => {
                builds.running.push(name.to_owned());
                Some(Line::Detail(format!("building {name}")))
            }
            ProgressEvent::Stopped(name) => {
                builds.ended(name);
                None
            }
            ProgressEvent::Built(name) => {
                builds.ended(name);
                builds.built += 1;
                Some(Line::Detail(format!("built {name}")))
            }
            ProgressEvent::Failed(name) => {
                builds.ended(name);
                builds.failed += 1;
                Some(Line::Told(format!("{name} failed")))
            }
            ProgressEvent::Fetched {
                paths,
                bytes,
                of_bytes,
            } => {
                (builds.fetched, builds.bytes, builds.of_bytes) = (paths, bytes, of_bytes);
                None
            }
            _ => None,
        }
    }

    fn begin(&mut self, work: Work, now: Instant) {
        *self = Self {
            work,
            since: Some(now),
            said: None,
        };
    }

    /// Returns how long the work has lasted.
    fn lasted(&self, now: Instant) -> Duration {
        self.since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Returns a line on how the work comes on, where it is time for one and there is something new.
    fn summary_due(&mut self, now: Instant) -> Option<Line> {
        let last = self.said.as_ref().map(|(when, _)| *when).or(self.since)?;
        if now.saturating_duration_since(last) < SUMMARY_EVERY {
            return None;
        }
        let text = match &self.work {
            Work::Nothing | Work::Waiting(_) => return None,
            Work::Evaluating { done, of } => format!("evaluated {done} of {of}"),
            Work::Building(builds) => builds.summary(),
        };
        if self.said.as_ref().is_some_and(|(_, said)| *said == text) {
            return None;
        }
        self.said = Some((now, text.clone()));
        Some(Line::Told(text))
    }

    /// Returns what is drawn, where there is something that takes its time.
    fn drawing(&self, now: Instant) -> Option<String> {
        if self.lasted(now) < WORTH_DRAWING {
            return None;
        }
        match &self.work {
            Work::Nothing => None,
            Work::Waiting(what) => Some(what.clone()),
            Work::Evaluating { done, of } => Some(format!("Evaluating {done}/{of}")),
            Work::Building(builds) => Some(builds.drawing()),
        }
    }
}

impl Builds {
    fn ended(&mut self, name: &str) {
        if let Some(at) = self.running.iter().position(|running| running == name) {
            self.running.remove(at);
        }
    }

    fn summary(&self) -> String {
        let mut parts = Vec::new();
        if self.of > 0 {
            parts.push(format!("built {} of {}", self.built, self.of));
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.to_fetch > 0 {
            parts.push(format!(
                "fetched {} of {} paths",
                self.fetched, self.to_fetch
            ));
        }
        parts.extend(self.names());
        parts.join(", ")
    }

    fn drawing(&self) -> String {
        let mut parts = Vec::new();
        if self.of > 0 {
            parts.push(format!("Building {}/{}", self.built, self.of));
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.to_fetch > 0 {
            let word = if parts.is_empty() {
                "Fetching"
            } else {
                "fetched"
            };
            parts.push(format!("{word} {}/{}", self.fetched, self.to_fetch));
        }
        let mut text = parts.join(", ");
        if self.to_fetch > 0 && self.of_bytes > 0 {
            let size = |bytes: u64| ByteSize::b(bytes).display().iec();
            let bytes = self.bytes.min(self.of_bytes);
            text = format!("{text} ({} of {})", size(bytes), size(self.of_bytes));
        }
        if let Some(names) = self.names() {
            text.push_str("  ");
            text.push_str(&names);
        }
        text
    }

    /// Names what is being built.
    fn names(&self) -> Option<String> {
        let count = self.running.len();
        let named = self
            .running
            .get(..NAMED)
            .unwrap_or(&self.running)
            .join(", ");
        match count.checked_sub(NAMED) {
            _ if count == 0 => None,
            None | Some(0) => Some(format!("{count} running: {named}")),
            Some(more) => Some(format!("{count} running: {named} and {more} more")),
        }
    }
}

fn write_clock(bar: &ProgressState, out: &mut dyn fmt::Write) {
    // What takes it is a string, which cannot fail.
    out.write_str(&clock(bar.elapsed())).unwrap_or_default();
}

/// Writes a time as `1:23` or `1:02:03`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Writes to stderr, above what is drawn there.
struct Above(Arc<Screen>);

struct AboveWriter<'a>(&'a Screen);

impl<'a> MakeWriter<'a> for Above {
    type Writer = AboveWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        AboveWriter(&self.0)
    }
}

impl io::Write for AboveWriter<'_> {
    /// Takes a whole event: whoever formats events writes each at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().lock().write_all(bytes);
        match &self.0.state().bar {
            Some(bar) => bar.suspend(write)?,
            None => write()?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Events as lines for people: a step as a heading, which a runner folds; what follows it indented.
struct Lines {
    groups: bool,
    json: bool,
    redactor: report::Redactor,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message::default();
        event.record(&mut message);
        let text = self.redactor.text(&message.0.join(" "));
        let metadata = event.metadata();
        let step = metadata.target() == STEP;
        if self.json {
            if step && text.is_empty() {
                return Ok(());
            }
            let level = metadata.level().as_str().to_ascii_lowercase();
            let line =
                serde_json::json!({"level": level, "step": step, "message": text}).to_string();
            return writeln!(out, "{}", line.replace("##[", "#\\u0023["));
        }
        if step {
            // An empty heading ends the last step.
            if text.is_empty() {
                return if GROUP.swap(false, Ordering::Relaxed) {
                    writeln!(out, "::endgroup::")
                } else {
                    Ok(())
                };
            }
            if !self.groups {
                return writeln!(out, "{text} …");
            }
            if GROUP.swap(true, Ordering::Relaxed) {
                writeln!(out, "::endgroup::")?;
            }
            return writeln!(out, "::group::{text}");
        }
        let prefix = match *metadata.level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "  ",
            _ => "    ",
        };
        for line in text.lines() {
            let line = if self.groups {
                report::defused(line)
            } else {
                line.to_owned()
            };
            writeln!(out, "{prefix}{line}")?;
        }
        Ok(())
    }
}

/// An event's message and fields as text.
#[derive(Default)]
struct Message(Vec<String>);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push(if field.name() == "message" {
            format!("{value:?}")
        } else {
            format!("{}={value:?}", field.name())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is drawn and what is logged as events come, at seconds after the start.
    fn shown(events: &[(u64, ProgressEvent<'_>)]) -> String {
        let start = Instant::now();
        let mut board = Board::default();
        let mut out = Vec::new();
        for (second, event) in events {
            let now = start + Duration::from_secs(*second);
            let lines = board.hear(event, now).into_iter();
            let lines: Vec<Line> = lines.chain(board.summary_due(now)).collect();
            let drawn = board.drawing(now).unwrap_or_default();
            out.push(format!("{} | {drawn}", clock(board.lasted(now))));
            out.extend(lines.iter().map(|line| format!("    {line:?}")));
        }
        out.join("\n")
    }

    #[test]
    fn building_is_shown_as_it_comes_on() {
        use ProgressEvent::{
            Building, Built, Evaluated, Failed, Fetched, Over, Started, Stopped, Tick, Waiting,
        };
        let names = ["a-1", "b-2", "c-3", "d-4", "e-5", "f-6", "g-7"];
        let mut events = vec![
            (0, Waiting("Looking for hosts")),
            (1, Tick),
            (30, Tick),
            (31, Over),
            (0, Evaluated { done: 0, of: 40 }),
            (1, Tick),
            (11, Tick),
            (12, Evaluated { done: 30, of: 40 }),
            (13, Evaluated { done: 40, of: 40 }),
            (
                20,
                Building {
                    builds: 40,
                    fetches: 3,
                },
            ),
        ];
        events.extend(names.iter().map(|name| (21, Started(name))));
        events.extend([
            (22, Built("b-2")),
            (23, Failed("a-1")),
            (
                24,
                Fetched {
                    paths: 1,
                    bytes: 2048,
                    of_bytes: 1_048_576,
                },
            ),
            (29, Tick),
            (31, Tick),
            (32, Built("c-3")),
            (42, Tick),
            (60, Tick),
            (3700, Built("d-4")),
            (3701, Stopped("e-5")),
            (3702, Over),
            (3800, Tick),
        ]);
        insta::assert_snapshot!(shown(&events), @r#"
        0:00 | 
        0:01 | Looking for hosts
        0:30 | Looking for hosts
        0:31 | 
        0:00 | 
        0:01 | Evaluating 0/40
        0:11 | Evaluating 0/40
            Told("evaluated 0 of 40")
        0:12 | Evaluating 30/40
        0:13 | 
        0:00 | 
        0:01 | Building 0/40, fetched 0/3  1 running: a-1
            Detail("building a-1")
        0:01 | Building 0/40, fetched 0/3  2 running: a-1, b-2
            Detail("building b-2")
        0:01 | Building 0/40, fetched 0/3  3 running: a-1, b-2, c-3
            Detail("building c-3")
        0:01 | Building 0/40, fetched 0/3  4 running: a-1, b-2, c-3, d-4
            Detail("building d-4")
        0:01 | Building 0/40, fetched 0/3  5 running: a-1, b-2, c-3, d-4, e-5
            Detail("building e-5")
        0:01 | Building 0/40, fetched 0/3  6 running: a-1, b-2, c-3, d-4, e-5 and 1 more
            Detail("building f-6")
        0:01 | Building 0/40, fetched 0/3  7 running: a-1, b-2, c-3, d-4, e-5 and 2 more
            Detail("building g-7")
        0:02 | Building 1/40, fetched 0/3  6 running: a-1, c-3, d-4, e-5, f-6 and 1 more
            Detail("built b-2")
        0:03 | Building 1/40, 1 failed, fetched 0/3  5 running: c-3, d-4, e-5, f-6, g-7
            Told("a-1 failed")
        0:04 | Building 1/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  5 running: c-3, d-4, e-5, f-6, g-7
        0:09 | Building 1/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  5 running: c-3, d-4, e-5, f-6, g-7
        0:11 | Building 1/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  5 running: c-3, d-4, e-5, f-6, g-7
            Told("built 1 of 40, 1 failed, fetched 1 of 3 paths, 5 running: c-3, d-4, e-5, f-6, g-7")
        0:12 | Building 2/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  4 running: d-4, e-5, f-6, g-7
            Detail("built c-3")
        0:22 | Building 2/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  4 running: d-4, e-5, f-6, g-7
            Told("built 2 of 40, 1 failed, fetched 1 of 3 paths, 4 running: d-4, e-5, f-6, g-7")
        0:40 | Building 2/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  4 running: d-4, e-5, f-6, g-7
        1:01:20 | Building 3/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  3 running: e-5, f-6, g-7
            Detail("built d-4")
            Told("built 3 of 40, 1 failed, fetched 1 of 3 paths, 3 running: e-5, f-6, g-7")
        1:01:21 | Building 3/40, 1 failed, fetched 1/3 (2.0 KiB of 1.0 MiB)  2 running: f-6, g-7
        1:01:22 | 
        1:03:00 |
        "#);
    }

    #[test]
    fn what_is_only_fetched_has_no_count_of_builds() {
        let events = [
            (
                0,
                ProgressEvent::Building {
                    builds: 0,
                    fetches: 2,
                },
            ),
            (11, ProgressEvent::Tick),
        ];
        insta::assert_snapshot!(shown(&events), @r#"
        0:00 | 
        0:11 | Fetching 0/2
            Told("fetched 0 of 2 paths")
        "#);
    }
}
