//! stand-in-forge forgejo|gitea|github DIR OWNER/NAME DEFAULT-BRANCH TOKEN [AUTOMATIC-TOKEN] - the tests' forge as a
//! program.
//!
//! Makes one repository, `DIR/OWNER/NAME.git`, prints `listening on 127.0.0.1:PORT`, and answers until its standard input
//! ends. What people and their browsers do is said there, a line each; every answer ends with a line `.`:
//!
//! - `requests`: the requests of the API since the last look, each as `METHOD TARGET → STATUS`, and `pushes: N`
//! - `pull N`: number, state, branches, commit, title and body of a pull request
//! - `title N TEXT`, `note N TEXT`, `label N NAME`, `close N`: a person's title, line at the end of the body, label,
//!   decision
//! - `update N`: the button "update branch", which merges the base into the branch

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "it is made of the tests' own parts, where a panic is the way to fail"
)]

use std::io::{self, Write as _};
use std::path::PathBuf;

#[expect(
    dead_code,
    unused_imports,
    reason = "tests look into it, a demonstration does not"
)]
#[path = "mod.rs"]
mod forge;

use forge::{Dialect, PullState, StandIn, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dialect, dir, slug, branch, token, rest @ ..] = args.as_slice() else {
        return Err(
            "usage: stand-in-forge forgejo|gitea|github DIR OWNER/NAME DEFAULT-BRANCH TOKEN [AUTOMATIC-TOKEN]"
                .into(),
        );
    };
    let dialect = match dialect.as_str() {
        "forgejo" => Dialect::Forgejo,
        "gitea" => Dialect::Gitea,
        "github" => Dialect::Github,
        other => return Err(format!("`{other}` is no forge of ours").into()),
    };
    let forge = StandIn::start(dialect, &PathBuf::from(dir));
    let _path = forge.create_repository(slug, branch);
    forge.state().add_token(Token::new("given", token));
    if let Some(secret) = rest.first() {
        let automatic = Token::new("automatic", secret).automatic_of(slug, dialect);
        forge.state().add_token(automatic);
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on 127.0.0.1:{}", forge.port())?;
    stdout.flush()?;
    for line in io::stdin().lines() {
        let answer = obey(&forge, slug, &line?).unwrap_or_else(|wrong| format!("wrong: {wrong}"));
        writeln!(stdout, "{}\n.", answer.trim_end())?;
        stdout.flush()?;
    }
    Ok(())
}

/// Does what a line asks for, and returns what there is to say.
fn obey(forge: &StandIn, slug: &str, line: &str) -> Result<String, String> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    if command == "requests" {
        let mut lines = forge.api_log();
        lines.push(format!("pushes: {}", forge.pushes()));
        forge.forget();
        return Ok(lines.join("\n"));
    }
    let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let number: u64 = number
        .parse()
        .map_err(|error| format!("no number of a pull request in `{line}`: {error}"))?;
    let mut state = forge.state();
    let Some(pull) = state.repo(slug).pull(number).cloned() else {
        return Err(format!("there is no pull request {number}"));
    };
    match command {
        "pull" => {
            let open = match pull.state {
                PullState::Open => "open",
                PullState::Closed if pull.merged => "merged",
                PullState::Closed => "closed",
            };
            let commit = pull.head_sha.get(..7).unwrap_or(&pull.head_sha);
            return Ok(format!(
                "#{number} ({open}) {} ({commit}) into {}: {}\n\n{}",
                pull.head_ref, pull.base_ref, pull.title, pull.body
            ));
        }
        "title" => state.edit_as_human(slug, number, Some(text), None),
        "note" => {
            let body = format!("{}\n{text}\n", pull.body.trim_end());
            state.edit_as_human(slug, number, None, Some(&body));
        }
        "label" => {
            state.add_label(slug, text, false);
            state.pull(slug, number).labels.push(text.to_owned());
        }
        "close" => state.close_as_human(slug, number),
        "update" => return state.update_branch(slug, number),
        other => return Err(format!("`{other}` is no command")),
    }
    Ok(String::new())
}
