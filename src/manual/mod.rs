//! What is made from the types for packagers and readers: man pages, completions, the reference of the configuration.
//!
//! What is made stands in `docs/` too, where it can be had without the program; a test holds it to what is printed here. It has
//! no date and no version in it, so that it changes with the lists it is made from and not with every release.

mod completion;
mod configuration;
mod man;

use std::io;

use flake_herald::cli::{Command, Generated};

/// Returns what `flake-herald generate` prints. Of the texts only man pages are about a command.
///
/// # Errors
///
/// A fault of ours: lists that contradict each other.
pub(crate) fn text(what: Generated, command: Option<Command>) -> io::Result<String> {
    match what {
        Generated::Man => man::page(command),
        Generated::Bash => completion::script(clap_complete::Shell::Bash),
        Generated::Fish => completion::script(clap_complete::Shell::Fish),
        Generated::Zsh => completion::script(clap_complete::Shell::Zsh),
        Generated::Configuration => configuration::reference(),
    }
}
