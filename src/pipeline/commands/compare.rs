//! The commands that work on closures of the user's own: `diff` and `snapshot`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::cli;
use crate::config::Config;
use crate::exit;
use crate::nix::profile::SystemProfile;
use crate::report::{
    Comparison, DiffSort, DiffView, diff_to_markdown, diff_to_text, write_diff_json,
};

use super::super::Request;
use super::super::compare::{CompareError, Operand, compare, snapshot};
use super::super::files;
use super::{
    Error, Surroundings, context, print, printed, request, styled_or_plain, unless_stopped,
};

pub(super) async fn run_diff(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let old = operand(config, world, 0).await?;
    let new = operand(config, world, 1).await?;
    let context = context(config, world);
    let Request { sensitive, nix, .. } = request(config);
    let comparison = Box::pin(compare(old, new, &sensitive, nix, &context)).await?;
    print_comparison(config, world, &comparison)?;
    Ok(exit::of_comparison(
        comparison.diff.is_empty(),
        config.compare.exit_code.value,
    ))
}

fn print_comparison(
    config: &Config,
    world: &mut Surroundings<'_>,
    comparison: &Comparison,
) -> Result<(), Error> {
    let view = DiffView {
        selected: config.compare.selected.value,
        sort: match config.compare.sort.value {
            cli::Sort::Name => DiffSort::Name,
            cli::Sort::Semver => DiffSort::Semver,
            cli::Sort::Size => DiffSort::Size,
        },
        all: config.compare.all.value,
    };
    // Text also into a pipe, unlike a report: whoever pages it wants to read it.
    let format = config.output.format.as_ref();
    match format.map_or(cli::Format::Text, |format| format.value) {
        cli::Format::Text => {
            let text = styled_or_plain(world, diff_to_text(comparison, view, world.width));
            print(world, config, &text)
        }
        cli::Format::Markdown => print(world, config, &diff_to_markdown(comparison, view)),
        // In its one line no runner finds a command.
        cli::Format::Json => {
            let mut stdout = io::BufWriter::new(&mut *world.stdout);
            let written = write_diff_json(&comparison.diff, &mut stdout);
            printed(written.and_then(|()| stdout.flush()))
        }
    }
}

pub(super) async fn run_snapshot(
    config: &Config,
    world: &mut Surroundings<'_>,
) -> Result<u8, Error> {
    let Some(output) = &config.update.output else {
        return Err(Error::NoOutput("snapshot"));
    };
    let to_stdout = output.value == Path::new("-");
    if !to_stdout {
        // A place that will not do is found before the work.
        drop(files::stage(output, Box::new(|_| Ok(())))?);
    }
    let operand = operand(config, world, 0).await?;
    let context = context(config, world);
    let bytes = Box::pin(snapshot(operand, request(config).nix, &context)).await?;
    if to_stdout {
        let written = world.stdout.write_all(&bytes);
        printed(written.and_then(|()| world.stdout.flush()))?;
    } else {
        files::replace(output, &bytes)?;
    }
    Ok(exit::CHANGED)
}

/// Finds the closure that the operand at `index` names.
async fn operand(
    config: &Config,
    world: &Surroundings<'_>,
    index: usize,
) -> Result<Operand, Error> {
    let system = SystemProfile::new(world.environment.get_os("NIX_STATE_DIR"));
    let word: PathBuf = config.operands.get(index).cloned().unwrap_or_default();
    // A snapshot may lie where reading takes its time.
    unless_stopped(world.cancel, move || {
        Operand::find(&word, &system).map_err(|error| CompareError::from(error).into())
    })
    .await
}
