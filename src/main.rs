//! Parses the command line, starts the logs, runs the pipeline and turns its result into an exit code.

mod log;
mod manual;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use flake_herald::cli::{self, Color, Command, Generated, Usage};
use flake_herald::command::{Cancel, adopt_orphans};
use flake_herald::config::{CiRunner, Config, Environment};
use flake_herald::exit;
use flake_herald::pipeline::{self, Delivery, Machine, Surroundings};
use flake_herald::report;

use log::{Screen, complain};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(asked) = cli::generating(&args) {
        return match asked {
            Ok((what, command)) => generate(what, command),
            Err(usage) => refuse(&usage),
        };
    }
    let environment = surrounding_environment();
    let asked = args.get(1).and_then(|word| {
        let mut commands = Command::ALL.into_iter();
        commands.find(|command| word == command.name())
    });
    let parsed = match cli::parse(args) {
        Ok(parsed) => parsed,
        Err(usage) => {
            if usage.exit_code() != 0 {
                tell_runner(asked, &environment);
            }
            return refuse(&usage);
        }
    };
    let config = match Config::load(&parsed, &environment) {
        Ok(config) => config,
        Err(error) => {
            tell_runner(Some(parsed.command), &environment);
            let page = exit::pages::of_configuration(&error);
            complain(&error.to_string(), None, page, ColorChoice::Auto);
            return ExitCode::from(if parsed.asks_for_exit_code() {
                exit::in_comparison(exit::ERROR)
            } else {
                exit::ERROR
            });
        }
    };
    let color = match config.output.color.value {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let screen = log::start(&config, &environment);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    ExitCode::from(run(&config, &environment, color, &screen))
}

/// Tells the runner that the step failed before the pipeline could, which does so later: who asks for the outputs
/// of a step finds them, whatever it was.
fn tell_runner(command: Option<Command>, environment: &Environment) {
    if !matches!(
        command,
        Some(Command::Run | Command::Report | Command::Publish)
    ) {
        return;
    }
    let output = CiRunner::detect(environment).and_then(|runner| runner.output);
    let delivery = Delivery {
        runner_output: output.map(|file| file.value),
        ..Delivery::default()
    };
    // The error that is told is the one that came first.
    drop(delivery.fail(exit::ERROR));
}

/// Says what is wrong with the command line, or the help that it asks for.
fn refuse(usage: &Usage) -> ExitCode {
    // There is nobody left to tell where writing fails.
    drop(usage.print());
    ExitCode::from(usage.exit_code())
}

/// Prints what is made from the types.
fn generate(what: Generated, command: Option<Command>) -> ExitCode {
    let printed =
        manual::text(what, command).and_then(|text| io::stdout().lock().write_all(text.as_bytes()));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string(), None, None, ColorChoice::Auto);
            ExitCode::from(exit::ERROR)
        }
    }
}

/// Runs the command and says how it ended.
fn run(config: &Config, environment: &Environment, color: ColorChoice, screen: &Arc<Screen>) -> u8 {
    let code_of_error = |code| {
        if config.command == Command::Diff && config.compare.exit_code.value {
            exit::in_comparison(code)
        } else {
            code
        }
    };
    // Everything waits for Nix; one thread does.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tell_runner(Some(config.command), environment);
            complain(&format!("cannot start: {error}"), None, None, color);
            return code_of_error(exit::ERROR);
        }
    };
    let cancel = Cancel::new();
    adopt_orphans();
    let terminal = io::stdout().is_terminal();
    let width = terminal_size::terminal_size_of(io::stdout())
        .map_or(report::TEXT_WIDTH, |(width, _)| usize::from(width.0));
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
            width,
            stdout: &mut stdout,
            styled,
            cancel: &cancel,
            progress: Arc::<Screen>::clone(screen),
        };
        pipeline::run(config, &mut world).await
    });
    screen.end();
    match result {
        Ok(code) => code,
        Err(error) => {
            if matches!(error, pipeline::Error::Signals(_)) {
                tell_runner(Some(config.command), environment);
            }
            let redactor = log::redactor(config);
            // Hints name addresses and directories too.
            let told = |text: &str| {
                let text = redactor.text(text);
                if config.runner.is_some() {
                    report::defused(&text)
                } else {
                    text
                }
            };
            let hint = error.hint().map(|hint| told(&hint));
            let page = exit::pages::of_error(&error);
            complain(&told(&error.to_string()), hint.as_deref(), page, color);
            code_of_error(exit::of_error(&error))
        }
    }
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
