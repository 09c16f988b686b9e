//! Completions for shells.

use std::io;

use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use flake_herald::cli::{self, Shape};
use flake_herald::config::keys::{NOT_YET, NOT_YET_WORDS};

/// Returns the script that completes the command line in a shell.
///
/// Flags and words that do nothing yet are not offered. The words of choices are added here: the parser itself leaves it to
/// `config` to say which word is wrong, as it does for the environment and the file.
pub(super) fn script(shell: Shell) -> io::Result<String> {
    let mut parser = cli::parser_with(&|flag, arg| {
        if NOT_YET.contains(&flag.name) {
            return None;
        }
        Some(match flag.shape {
            Shape::Choice | Shape::Choices => {
                let words = flag
                    .value
                    .split('|')
                    .filter(|word| !NOT_YET_WORDS.contains(&(flag.name, word)));
                arg.value_parser(PossibleValuesParser::new(words.collect::<Vec<_>>()))
            }
            Shape::Switch => arg.value_parser(PossibleValuesParser::new(["true", "false"])),
            Shape::Repeat
            | Shape::Number
            | Shape::Text
            | Shape::Path
            | Shape::Duration
            | Shape::Size
            | Shape::List
            | Shape::Pairs => arg,
        })
    });
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut parser, "flake-herald", &mut script);
    let script = String::from_utf8(script).map_err(io::Error::other)?;
    // clap_complete 4.6.11 writes a hyphen in the program's name in two ways, and bash then offers nothing behind a command.
    Ok(script.replace("flake__subcmd__herald", "flake__herald"))
}
