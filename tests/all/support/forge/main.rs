//! stand-in-forge forgejo|gitea|github DIR OWNER/NAME DEFAULT-BRANCH TOKEN [AUTOMATIC-TOKEN] - the tests' forge as a
//! program.
//!
//! Makes one repository below DIR, prints `listening on 127.0.0.1:PORT`, and answers until its standard input ends.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "it is made of the tests' own parts, where a panic is the way to fail"
)]

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

#[expect(
    dead_code,
    unused_imports,
    reason = "tests look into it, a demonstration does not"
)]
#[path = "mod.rs"]
mod forge;

use forge::{Dialect, StandIn, Token};

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
    let mut input = Vec::new();
    let _read = io::stdin().read_to_end(&mut input)?;
    Ok(())
}
