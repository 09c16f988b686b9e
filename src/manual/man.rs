//! Man pages: one of the program, and one of each command, as git has them.

use std::fmt::Write as _;
use std::io;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use flake_herald::cli::{self, Command};
use flake_herald::config::file::FILE_NAME;
use flake_herald::config::keys::{PREFIX, TOKEN};
use flake_herald::exit;

/// What the program's own page says it does.
const DESCRIPTION: &str = "\
flake-herald says what `nix flake update` changes on every host of a flake, before anybody merges it. It finds the hosts, builds \
each one's closure with the old and the new lock, and reports upgrades, downgrades, what breaks and what is only noise. Its \
command run then keeps one pull request open that carries the update and the report, on Forgejo, Gitea and GitHub. The checkout \
stays as it was.";

/// Returns a command's page, or the program's.
pub(super) fn page(command: Option<Command>) -> io::Result<String> {
    let mut parser = cli::parser();
    parser.build();
    let described = match command {
        Some(command) => parser
            .find_subcommand(command.name())
            .cloned()
            .ok_or_else(|| io::Error::other("a command that the parser does not have"))?,
        None => parser,
    };
    // The usage as the help has it: with each of 70 flags it would be a page of its own.
    let usage = described.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let man = Man::new(described.override_usage(usage))
        .source("flake-herald")
        .manual("flake-herald");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    match command {
        Some(_) => man.render_description_section(&mut page)?,
        None => section("DESCRIPTION", &[DESCRIPTION]).to_writer(&mut page)?,
    }
    if command.is_none() {
        commands().to_writer(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    match command {
        Some(command) => {
            notes(command.notes()).to_writer(&mut page)?;
            exit_status(Some(command)).to_writer(&mut page)?;
        }
        None => {
            exit_status(None).to_writer(&mut page)?;
            environment().to_writer(&mut page)?;
            files().to_writer(&mut page)?;
        }
    }
    see_also(command).to_writer(&mut page)?;
    Ok(tidied(&String::from_utf8_lossy(&page)))
}

/// Returns a section of paragraphs.
fn section(title: &str, paragraphs: &[&str]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for paragraph in paragraphs {
        roff.control("PP", []);
        roff.text([roman(*paragraph)]);
    }
    roff
}

/// Returns the list of commands.
fn commands() -> Roff {
    let mut roff = section("COMMANDS", &[]);
    for command in Command::ALL {
        roff.control("TP", []);
        roff.text([
            bold(format!("flake-herald-{}", command.name())),
            roman("(1)"),
        ]);
        roff.text([roman(command.about())]);
    }
    roff
}

/// Returns what the help ends with. Its indented lines are a table and stay as they are.
fn notes(text: &str) -> Roff {
    let mut roff = section("NOTES", &[]);
    let mut in_table = false;
    for line in text.lines() {
        let is_row = line.starts_with(' ');
        if is_row != in_table {
            roff.control(if is_row { "nf" } else { "fi" }, []);
            in_table = is_row;
        }
        if line.is_empty() {
            roff.control("PP", []);
        } else {
            // Not every terminal has the one sign that stands for three dots; the gap behind them keeps its width.
            let ascii = line.replacen('…', "...", 1);
            let line = if is_row && ascii != line {
                ascii.replacen("    ", "  ", 1)
            } else {
                ascii
            };
            roff.text([roman(line)]);
        }
    }
    if in_table {
        roff.control("fi", []);
    }
    roff
}

/// Returns the exit codes: those of a command, or all of them.
fn exit_status(command: Option<Command>) -> Roff {
    let codes = |roff: &mut Roff, codes: &[(u8, &str)]| {
        for (code, meaning) in codes {
            roff.control("TP", []);
            roff.text([bold(code.to_string())]);
            roff.text([roman(*meaning)]);
        }
    };
    let mut roff = section("EXIT STATUS", &[]);
    match command {
        Some(Command::Run | Command::Report | Command::Publish) => {
            codes(&mut roff, exit::OF_REPORTS);
        }
        Some(Command::Lock) => codes(&mut roff, exit::OF_LOCK),
        Some(Command::Diff) => codes(&mut roff, exit::OF_DIFF),
        Some(Command::Snapshot | Command::Hosts | Command::Config) => {
            codes(&mut roff, exit::OF_OTHERS);
        }
        None => {
            roff.text([roman("Of run, report and publish:")]);
            codes(&mut roff, exit::OF_REPORTS);
            roff.control("PP", []);
            roff.text([roman(
                "lock ends in 0, 1 or 2, diff with --exit-code as diff(1) does, all else in 0 or 1. Every command:",
            )]);
        }
    }
    codes(&mut roff, exit::OF_SIGNALS);
    roff
}

/// Returns the variables that are heeded.
fn environment() -> Roff {
    let mut roff = section("ENVIRONMENT", &[]);
    let mut variable = |name: &str, text: &str| {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    };
    variable(
        &format!("{PREFIX}*"),
        "Each flag's value, where the flag is not given: --eval-batch is FLAKE_HERALD_EVAL_BATCH. A list is an entry a line, \
         options are NAME VALUE a line. An empty variable is as good as none.",
    );
    variable(
        TOKEN,
        "The forge's token. No flag takes it, and no key of the file; --token-file names a file that holds it.",
    );
    variable(
        "FORGEJO_TOKEN, GITEA_TOKEN, GITHUB_TOKEN",
        "In a job of such a forge: the job's own token, used where there is no other, for the runner's own server only.",
    );
    variable(
        "FORGEJO_ACTIONS, GITEA_ACTIONS, GITHUB_ACTIONS",
        "Whose runner the job runs on; its other variables then say the server, the repository and the branch.",
    );
    variable(
        "NO_COLOR",
        "If set and not empty, output has no colours unless --color always asks for them.",
    );
    roff
}

/// Returns the files that are read and written.
fn files() -> Roff {
    let mut roff = section("FILES", &[]);
    let mut file = |name: &str, text: &str| {
        roff.control("TP", []);
        roff.text([italic(name)]);
        roff.text([roman(text)]);
    };
    file(
        FILE_NAME,
        "The configuration, beside flake.nix; another one by --config. Each flag but --config is a key of it, --flake only where --config names the file.",
    );
    file(
        "flake.lock",
        "What is compared: as the commit has it, and as the update leaves it. It is written only with --write-lock.",
    );
    roff
}

/// Returns the other pages, and where the documentation is.
fn see_also(command: Option<Command>) -> Roff {
    let mut roff = section("SEE ALSO", &[]);
    // Names of pages are not hyphenated.
    roff.control("nh", []);
    let mut pages = String::new();
    if command.is_some() {
        pages.push_str("flake-herald(1), ");
    }
    for other in Command::ALL {
        if command != Some(other) {
            // Writing into a text does not fail.
            let _written: std::fmt::Result = write!(pages, "flake-herald-{}(1), ", other.name());
        }
    }
    pages.push_str("nix(1), git(1)");
    roff.text([roman(pages)]);
    roff.control("PP", []);
    let repository = env!("CARGO_PKG_REPOSITORY");
    roff.text([roman(format!("{repository}/src/branch/main/docs"))]);
    roff
}

/// Returns a page with the headings of flags below OPTIONS instead of beside it, and with one preamble.
fn tidied(page: &str) -> String {
    let headings: Vec<&str> = cli::FLAGS.iter().map(|flag| flag.heading).collect();
    let mut tidy = String::with_capacity(page.len());
    // The preamble for apostrophes comes with each section; one is enough.
    let mut seen_preamble = false;
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with(".ie \\n(.g") {
            let rest = lines.next_if(|next| next.starts_with(".el "));
            if !seen_preamble {
                seen_preamble = true;
                for line in [Some(line), rest].into_iter().flatten() {
                    tidy.push_str(line);
                    tidy.push('\n');
                }
            }
            continue;
        }
        let heading = line
            .strip_prefix(".SH ")
            .and_then(|title| headings.iter().find(|known| known.to_uppercase() == title));
        match heading {
            Some(heading) => {
                tidy.push_str(".SS ");
                tidy.push_str(heading);
            }
            None => tidy.push_str(line.trim_end()),
        }
        tidy.push('\n');
    }
    tidy
}
