//! Parses the command line, starts the logs, runs the pipeline and turns its result into an exit code.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use flake_herald::cli::{self, Color, LogFormat};
use flake_herald::command::{Cancel, adopt_orphans};
use flake_herald::config::{Config, Environment, Verbosity};
use flake_herald::exit;
use flake_herald::pipeline::{self, Machine, STEP, Surroundings};
use flake_herald::report;
use secrecy::ExposeSecret as _;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

fn main() -> ExitCode {
    let parsed = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(usage) => {
            // There is nobody left to tell where writing fails.
            drop(usage.print());
            return ExitCode::from(usage.exit_code());
        }
    };
    let environment = surrounding_environment();
    let config = match Config::load(&parsed, &environment) {
        Ok(config) => config,
        Err(error) => {
            complain(&error.to_string(), None, ColorChoice::Auto);
            return ExitCode::from(exit::ERROR);
        }
    };
    let color = match config.output.color.value {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    start_logs(&config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    ExitCode::from(run(&config, &environment, color))
}

/// Runs the command and says how it ended.
fn run(config: &Config, environment: &Environment, color: ColorChoice) -> u8 {
    // Everything waits for Nix; one thread does.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"), None, color);
            return exit::ERROR;
        }
    };
    let cancel = Cancel::new();
    adopt_orphans();
    let terminal = io::stdout().is_terminal();
    // What is printed has styles only where they belong, so nothing need take them out on the way.
    let styled = match color {
        ColorChoice::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        chosen => chosen != ColorChoice::Never,
    };
    let mut stdout = io::stdout().lock();
    let result = runtime.block_on(async {
        let _listening = cancel.listen().map_err(pipeline::Error::Signals)?;
        let mut world = Surroundings {
            environment,
            now: now(),
            machine: machine(),
            terminal,
            stdout: &mut stdout,
            styled,
            cancel: &cancel,
        };
        pipeline::run(config, &mut world).await
    });
    if config.runner.is_some() {
        end_group();
    }
    match result {
        Ok(code) => code,
        Err(error) => {
            let secrets: Vec<String> = config
                .secrets()
                .iter()
                .map(|secret| secret.expose_secret().to_owned())
                .collect();
            let redactor = report::Redactor::new(secrets, Vec::new());
            let mut text = redactor.text(&error.to_string());
            if config.runner.is_some() {
                text = report::defused(&text);
            }
            complain(&text, error.hint().as_deref(), color);
            exit::of_error(&error)
        }
    }
}

/// Prints what ended the run. The only other thing on stderr is the log.
fn complain(error: &str, hint: Option<&str>, color: ColorChoice) {
    let mut stderr = AutoStream::new(io::stderr().lock(), color);
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let mut text = format!("{style}Error:{style:#} {error}\n");
    if let Some(hint) = hint {
        text.push_str("Hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    // Nobody is left to tell.
    drop(stderr.write_all(text.as_bytes()));
}

#[expect(
    clippy::disallowed_methods,
    reason = "here the environment is taken as a value, once"
)]
fn surrounding_environment() -> Environment {
    Environment::from_iter(std::env::vars_os())
}

#[expect(clippy::disallowed_methods, reason = "here the clock is read, once")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn machine() -> Machine {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).ok();
    // proc(5): what can be used without swapping, in kibibytes. Elsewhere than on Linux it is not known.
    let free = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    });
    // A container may be allowed less (cgroup v2; without a limit the file says `max`).
    let bytes = |path: &str| read(path)?.trim().parse::<u64>().ok();
    // Files that the kernel keeps in memory count as taken there, and are given back when somebody needs the memory.
    let files = || -> u64 {
        let stat = read("/sys/fs/cgroup/memory.stat").unwrap_or_default();
        stat.lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| matches!(*name, "active_file" | "inactive_file"))
            .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
            .sum()
    };
    let allowed = bytes("/sys/fs/cgroup/memory.max").map(|most| {
        let taken = bytes("/sys/fs/cgroup/memory.current").unwrap_or(0);
        most.saturating_sub(taken.saturating_sub(files()))
    });
    let memory = match (free, allowed) {
        (Some(free), Some(allowed)) => Some(free.min(allowed)),
        (free, allowed) => free.or(allowed),
    };
    Machine {
        system: system(),
        threads,
        memory,
    }
}

/// Returns this machine's system in Nix's words.
fn system() -> &'static str {
    match (std::env::consts::ARCH, std::env::consts::OS) {
        ("x86_64", "linux") => "x86_64-linux",
        ("aarch64", "linux") => "aarch64-linux",
        ("x86", "linux") => "i686-linux",
        ("arm", "linux") => "armv7l-linux",
        ("riscv64", "linux") => "riscv64-linux",
        ("powerpc64", "linux") => "powerpc64le-linux",
        ("x86_64", "macos") => "x86_64-darwin",
        ("aarch64", "macos") => "aarch64-darwin",
        _ => "",
    }
}

/// Sends events to stderr, as lines or as JSON.
fn start_logs(config: &Config) {
    let level = match config.output.verbosity {
        Verbosity::Quiet => LevelFilter::WARN,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
        Verbosity::Everything => LevelFilter::TRACE,
    };
    let secrets = config
        .secrets()
        .iter()
        .map(|secret| secret.expose_secret().to_owned())
        .collect();
    let lines = Lines {
        groups: config.runner.is_some(),
        json: config.output.log_format.value == LogFormat::Json,
        redactor: report::Redactor::new(secrets, Vec::new()),
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(false)
        // It would complain of a stderr that cannot be written to there, and panic.
        .log_internal_errors(false)
        .event_format(lines)
        .init();
}

/// Events as lines for people: a step as a heading, which a runner folds; what follows it indented.
struct Lines {
    groups: bool,
    json: bool,
    redactor: report::Redactor,
}

/// Whether a group of the runner is open.
static GROUP: AtomicBool = AtomicBool::new(false);

fn end_group() {
    if GROUP.swap(false, Ordering::Relaxed) {
        // Nobody is left to tell.
        drop(io::stderr().lock().write_all(b"::endgroup::\n"));
    }
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
