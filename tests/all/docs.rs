//! The documents: that their links lead somewhere, that the flags and variables they name are there, that what they show as
//! files can be read, and that their commands run.
//!
//! Every fenced block says its language. One of `sh` is run by [`commands_run`], in a clean checkout of a flake with hosts, an
//! update waiting for it, with flake-herald on `PATH` and a forge behind `origin`, and must end in 0; so a block that a reader
//! can run is one that this test can run. A block that cannot be run, or read, has its reason on the line before it:
//!
//! ```text
//! <!-- not run: REASON -->
//! ```
//!
//! So that no block is left out without a word, there are no indented ones, and what looks like a fence is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use flake_herald::cli::{Command, FLAGS};
use flake_herald::config::keys::{Key, TOKEN};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::support::forge::{Dialect, StandIn, Token};
use crate::support::scene;
use crate::support::{DOCS, Fleet, TestEnv, project};

/// The project's other home.
const MIRROR: &str = "https://github.com/flake-herald/flake-herald";

/// Where the project's address leads to a file.
const FILES: &str = "/src/branch/main/";

/// Languages of blocks of which nothing is checked here: texts to look at, and templates, which `hostile_text.rs` renders.
const ONLY_SHOWN: &[&str] = &["text", "jinja", "markdown", "diff"];

/// Flags that documents name by themselves, without the program they are of.
const OTHERS: &[(&str, &[&str])] = &[
    ("every program", &["help", "version"]),
    ("nix", &["impure", "recreate-lock-file", "update-input"]),
    ("scripts/bench", &["sizes"]),
];

/// Words in tables of errors that are not ours: what a server, a runner, gpg or ssh-keygen says.
const OF_SERVERS_AND_TOOLS: &[&str] = &[
    "Cannot find: node in PATH",
    "Couldn't load public key",
    "GH006",
    "Not allowed to push to protected branch auto/flake-update",
    "cannot create directory '/nix'",
    "gpg: signing failed: Inappropriate ioctl for device",
    "incorrect passphrase supplied to decrypt private key",
];

/// Variables of ours that no user sets.
const OF_TESTS: &[&str] = &[
    "FLAKE_HERALD_TEST_NIX",
    "FLAKE_HERALD_TEST_KEEP",
    "FLAKE_HERALD_WRITE_GALLERY",
    "FLAKE_HERALD_WRITE_GENERATED",
];

/// A document, taken apart.
struct Page {
    /// Its path from the project's directory.
    path: PathBuf,
    text: String,
    blocks: Vec<Block>,
    /// Lines that look like a block's, or are one's, and are not among `blocks`.
    lost: Vec<usize>,
    /// Code spans.
    spans: Vec<Placed>,
    /// Where links and pictures lead.
    links: Vec<Placed>,
    anchors: BTreeSet<String>,
}

/// A piece of a document, and its line.
struct Placed {
    line: usize,
    text: String,
}

/// A fenced block.
struct Block {
    line: usize,
    language: String,
    text: String,
    /// Why it is not run, if it says so.
    not_run: Option<String>,
}

/// Returns the files below the project's directory, less what is built and git's own.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![project().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if path.is_symlink() || name == ".git" || name == "target" {
                continue;
            }
            if path.is_dir() {
                dirs.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Returns the blocks of a language in what users read, each with where it is.
pub(crate) fn blocks(language: &str) -> Vec<(String, String)> {
    let pages = pages();
    let current = pages.iter().filter(|page| page.is_current());
    current
        .flat_map(|page| page.blocks.iter().map(|block| (page.at(block.line), block)))
        .filter(|(_, block)| block.language == language)
        .map(|(at, block)| (at, block.text.clone()))
        .collect()
}

/// Returns every document.
fn pages() -> Vec<Page> {
    let pages: Vec<Page> = files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            read(path.strip_prefix(project()).unwrap(), text)
        })
        .collect();
    assert!(pages.len() > 5, "the documents were not found");
    pages
}

impl Page {
    /// Whether it is for users and contributors, and people wrote it: the bodies that `docs/report` shows are the program's own,
    /// and what a fixture says of itself is about other programs.
    fn is_written(&self) -> bool {
        let is_body = self.path.starts_with("docs/report") && !self.path.ends_with("README.md");
        let is_on_top = self.path.components().count() == 1;
        (is_on_top || self.path.starts_with("docs")) && !is_body
    }

    /// Whether it is of today: a changelog also speaks of what was.
    fn is_current(&self) -> bool {
        self.is_written() && self.path != Path::new("CHANGELOG.md")
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn read(path: &Path, text: String) -> Page {
    let mut page = Page {
        path: path.to_owned(),
        text: String::new(),
        blocks: Vec::new(),
        lost: Vec::new(),
        spans: Vec::new(),
        links: Vec::new(),
        anchors: BTreeSet::new(),
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut heading: Option<String> = None;
    let mut block: Option<Block> = None;
    let mut repeated: BTreeMap<String, usize> = BTreeMap::new();
    // Lines of fenced blocks.
    let mut fenced: BTreeSet<usize> = BTreeSet::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
    for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
        let line = text[..range.start].matches('\n').count() + 1;
        let placed = |text: &str| Placed {
            line,
            text: text.to_owned(),
        };
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let before = repeated.entry(slug.clone()).or_default();
                let anchor = match *before {
                    0 => slug,
                    n => format!("{slug}-{n}"),
                };
                *before += 1;
                page.anchors.insert(anchor);
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => page.lost.push(line),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                fenced.extend(line..=line + text[range].trim_end().matches('\n').count());
                let before = lines.get(line.wrapping_sub(2)).copied().unwrap_or("");
                block = Some(Block {
                    line,
                    language: info.split([' ', ',']).next().unwrap_or("").to_owned(),
                    text: String::new(),
                    not_run: mark(before).map(str::to_owned),
                });
            }
            Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
            Event::Text(piece) => match (&mut block, &mut heading) {
                (Some(block), _) => block.text.push_str(&piece),
                (None, Some(heading)) => heading.push_str(&piece),
                (None, None) => {}
            },
            Event::Code(code) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&code);
                }
                page.spans.push(placed(&code));
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(placed(&dest_url));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                for (attribute, is_link) in [
                    ("href=\"", true),
                    ("src=\"", true),
                    ("id=\"", false),
                    ("name=\"", false),
                ] {
                    for piece in html.split(attribute).skip(1) {
                        let value = piece.split('"').next().unwrap_or("");
                        if is_link {
                            page.links.push(placed(value));
                        } else {
                            page.anchors.insert(value.to_owned());
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let looks_like_a_fence = |line: &str| {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '>');
        line.starts_with("```") || line.starts_with("~~~")
    };
    for (index, line) in lines.iter().enumerate() {
        if looks_like_a_fence(line) && !fenced.contains(&(index + 1)) {
            page.lost.push(index + 1);
        }
    }
    page.text = text;
    page
}

/// Returns the reason in a mark that keeps a block from being run.
fn mark(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    inner.trim().strip_prefix("not run:").map(str::trim)
}

/// Returns the anchor that forges give a heading.
fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// Returns a path without `.` and `..`; none where it leaves the project.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::ParentDir => plain = plain.parent()?.to_owned(),
            _ => {}
        }
    }
    Some(plain)
}

/// Returns what is wrong with a link to a file of the project, if anything.
fn broken(path: &Path, anchor: Option<&str>, pages: &[Page]) -> Option<String> {
    let Some(path) = plain(path) else {
        return Some("leads out of the project".to_owned());
    };
    if !project().join(&path).exists() {
        return Some(format!("{} is not there", path.display()));
    }
    let anchor = anchor?;
    match pages.iter().find(|page| page.path == path) {
        Some(page) if page.anchors.contains(anchor) => None,
        Some(_) => Some(format!("{} has no heading for #{anchor}", path.display())),
        None => Some(format!("{} has no headings", path.display())),
    }
}

/// Returns a link's path and anchor.
fn parted(link: &str) -> (&str, Option<&str>) {
    link.split_once('#')
        .map_or((link, None), |(path, anchor)| (path, Some(anchor)))
}

/// An error must not send anybody to a page that is not there.
#[test]
fn the_pages_that_errors_lead_to_are_there() {
    let pages = pages();
    for page in flake_herald::exit::pages::Page::ALL {
        let (path, anchor) = parted(page.path());
        assert_eq!(broken(Path::new(path), anchor, &pages), None);
        let address = page.to_string();
        let there = address.strip_prefix(DOCS);
        assert_eq!(there, page.path().strip_prefix("docs/"), "{address}");
    }
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut links = 0;
    for page in &pages {
        for link in &page.links {
            let (path, anchor) = parted(&link.text);
            if path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let target = match path {
                "" => page.path.clone(),
                path => page.path.parent().unwrap().join(path),
            };
            wrong.extend(
                broken(&target, anchor, &pages)
                    .map(|why| format!("{}: {}: {why}", page.at(link.line), link.text)),
            );
        }
    }
    assert!(links > 10, "the links were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_is_linked_from_another_one() {
    let pages = pages();
    let linked: BTreeSet<PathBuf> = pages
        .iter()
        .flat_map(|page| {
            page.links.iter().filter_map(|link| {
                let (path, _) = parted(&link.text);
                let target = plain(&page.path.parent()?.join(path))?;
                (!path.is_empty() && target != page.path).then_some(target)
            })
        })
        .collect();
    let lost: Vec<String> = pages
        .iter()
        .filter(|page| page.path.starts_with("docs") && !linked.contains(&page.path))
        .map(|page| page.path.display().to_string())
        .collect();
    assert!(lost.is_empty(), "no page links to {}", lost.join(", "));
}

#[test]
fn the_readme_leads_to_every_page() {
    let pages = pages();
    let readme = pages
        .iter()
        .find(|page| page.path == Path::new("README.md"));
    let linked: BTreeSet<&str> = readme
        .unwrap()
        .links
        .iter()
        .map(|link| parted(&link.text).0)
        .collect();
    let lost: Vec<String> = pages
        .iter()
        .filter(|page| page.path.parent() == Some(Path::new("docs")))
        .map(|page| page.path.display().to_string())
        .filter(|path| !linked.contains(path.as_str()))
        .collect();
    assert!(lost.is_empty(), "not in README.md: {}", lost.join(", "));
}

/// Whoever has an error looks for its words.
#[test]
fn what_tables_of_errors_quote_is_what_is_said() {
    let sources: String = files()
        .into_iter()
        .filter(|path| path.starts_with(project().join("src")) || path.ends_with("action.yml"))
        .map(|path| fs::read_to_string(path).unwrap().replace("\\\"", "\""))
        .collect();
    let mut wrong = Vec::new();
    let mut quoted = 0;
    for page in pages().iter().filter(|page| page.is_current()) {
        let mut in_table = false;
        for (index, line) in page.text.lines().enumerate() {
            in_table = line.starts_with("| it says") || in_table && line.starts_with('|');
            let said = line.split(" | ").next().filter(|_| in_table);
            for quote in said
                .into_iter()
                .flat_map(|said| said.split('`').skip(1).step_by(2))
            {
                // In brackets stand the server's words, and `…` is for what differs.
                let ours = quote.split('(').next().unwrap_or(quote);
                for piece in ours.split(['…', '\n']).flat_map(|piece| piece.split(": ")) {
                    let piece = piece.trim_matches([' ', ':', ',', '.']);
                    quoted += usize::from(!piece.is_empty());
                    let is_known = sources.contains(piece)
                        || OF_SERVERS_AND_TOOLS
                            .iter()
                            .any(|words| words.contains(piece));
                    if !is_known {
                        wrong.push(format!("{}: nothing says {piece:?}", page.at(index + 1)));
                    }
                }
            }
        }
    }
    assert!(quoted > 50, "the tables were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the pieces of a text that begin with `prefix`, each up to where an address ends, with its line.
fn beginning_with<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.match_indices(prefix).map(move |(at, _)| {
        let rest = &text[at..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "\"'`<>()[]{}|\\,;…".contains(c))
            .unwrap_or(rest.len());
        let line = text[..at].matches('\n').count() + 1;
        (line, rest[..end].trim_end_matches(['.', ':']))
    })
}

#[test]
fn the_project_has_one_address_and_what_is_named_below_it_is_there() {
    let home = env!("CARGO_PKG_REPOSITORY");
    let pages = pages();
    let mut wrong = Vec::new();
    let mut named = 0;
    for path in files() {
        let below = path.strip_prefix(project()).unwrap();
        let is_ours = !below.starts_with("fixtures") && !below.starts_with("tests");
        let Some(text) = fs::read_to_string(&path).ok().filter(|_| is_ours) else {
            continue;
        };
        for (host, own) in [
            ("https://codeberg.org/", home),
            ("https://github.com/", MIRROR),
        ] {
            for (line, address) in beginning_with(&text, host) {
                if !address.contains("flake-herald") {
                    continue;
                }
                let at = format!("{}:{line}: {address}", below.display());
                match address.strip_prefix(own) {
                    Some(rest) if rest.is_empty() || rest.starts_with(['/', '@', '.']) => {
                        named += 1;
                        if let Some(file) = rest.strip_prefix(FILES) {
                            let (path, anchor) = parted(file);
                            let why = broken(Path::new(path), anchor, &pages);
                            wrong.extend(why.map(|why| format!("{at}: {why}")));
                        }
                    }
                    _ => wrong.push(format!("{at}: the project is at {own}")),
                }
            }
        }
        // What code and workflows say where to read on.
        if below.extension().is_none_or(|e| e != "md") && !below.starts_with("docs") {
            for (line, file) in beginning_with(&text, "docs/") {
                let (path, anchor) = parted(file);
                if path.ends_with(".md") {
                    let why = broken(Path::new(path), anchor, &pages);
                    let at = format!("{}:{line}: {file}", below.display());
                    wrong.extend(why.map(|why| format!("{at}: {why}")));
                }
            }
        }
    }
    assert!(named > 0, "the address was not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the flags of a command, or of all.
fn flags_of(command: Option<&str>) -> BTreeSet<&'static str> {
    let of_any = command.is_none_or(|name| Command::ALL.iter().all(|known| known.name() != name));
    FLAGS
        .iter()
        .filter(|flag| {
            let has = |known: &Command| Some(known.name()) == command;
            of_any || flag.commands.iter().any(has)
        })
        .map(|flag| flag.name)
        .chain(OTHERS[0].1.iter().copied())
        .collect()
}

/// Returns flags in a line of code that are none of the program they are given to, as far as that is flake-herald.
fn unknown_flags(code: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    // A command ends where a shell says so.
    for piece in code.split(['|', ';', '&', '\n', '(', ')', '{', '}']) {
        let words: Vec<&str> = piece
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'', '`', ',', '$']))
            .collect();
        let program = words
            .iter()
            .position(|word| *word == "flake-herald" || word.ends_with("/flake-herald"));
        let (command, of_ours) = match program {
            Some(at) => (words.get(at + 1).copied(), &words[at..]),
            // Flags by themselves, as a document speaks of them.
            None if piece.trim_start().starts_with("--") => (None, words.as_slice()),
            None => continue,
        };
        let known = flags_of(command.filter(|word| !word.starts_with('-')));
        for word in of_ours.iter().take_while(|word| !word.starts_with('#')) {
            let name = word.strip_prefix("--").map(|word| {
                let end = word.find(|c: char| c != '-' && !c.is_ascii_lowercase());
                &word[..end.unwrap_or(word.len())]
            });
            if let Some(name) = name.filter(|name| !name.is_empty())
                && !known.contains(name)
                && (program.is_some() || !OTHERS.iter().any(|(_, flags)| flags.contains(&name)))
            {
                unknown.push(format!("--{name}"));
            }
        }
    }
    unknown
}

#[test]
fn flags_that_are_named_are_there() {
    let mut wrong = Vec::new();
    let mut commands = 0;
    for page in pages().iter().filter(|page| page.is_current()) {
        let blocks = page.blocks.iter().map(|block| {
            let joined = block.text.replace("\\\n", " ");
            (block.line, joined)
        });
        let spans = page.spans.iter().map(|span| (span.line, span.text.clone()));
        for (line, code) in blocks.chain(spans) {
            commands += code.matches("flake-herald ").count();
            for flag in unknown_flags(&code) {
                wrong.push(format!("{}: {flag} in {code:?}", page.at(line)));
            }
        }
    }
    assert!(commands > 20, "the commands were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn variables_that_are_named_are_there() {
    let keys = Key::all();
    let mut known: BTreeSet<String> = keys
        .iter()
        .filter(|key| key.is_flag)
        .map(Key::variable)
        .collect();
    known.insert(TOKEN.to_owned());
    known.extend(OF_TESTS.iter().map(|name| (*name).to_owned()));
    let mut wrong = Vec::new();
    for page in pages().iter().filter(|page| page.is_current()) {
        for (at, _) in page.text.match_indices("FLAKE_HERALD_") {
            let rest = &page.text[at..];
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            // `FLAKE_HERALD_…` and `FLAKE_HERALD_NAME` stand for all of them.
            let stands_for_all = matches!(name, "FLAKE_HERALD_" | "FLAKE_HERALD_NAME");
            if !stands_for_all && !known.contains(name) {
                let line = page.text[..at].matches('\n').count() + 1;
                wrong.push(format!("{}: {name}", page.at(line)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn blocks_can_be_read_as_what_they_are() {
    let env = TestEnv::new();
    let mut wrong = Vec::new();
    let mut configurations = 0;
    for page in pages().iter().filter(|page| page.is_written()) {
        for block in &page.blocks {
            let at = page.at(block.line);
            if let Some(reason) = &block.not_run {
                if reason.is_empty() {
                    wrong.push(format!("{at}: `not run` without a reason"));
                }
                continue;
            }
            let read = match block.language.as_str() {
                // These have tests of their own, below.
                "sh" | "nix" => Ok(()),
                "toml" => toml::from_str::<toml::Table>(&block.text)
                    .map(drop)
                    .map_err(|error| error.to_string()),
                "yaml" => serde_saphyr::from_str::<serde_json::Value>(&block.text)
                    .map(drop)
                    .map_err(|error| error.to_string()),
                "json" => serde_json::from_str::<serde_json::Value>(&block.text)
                    .map(drop)
                    .map_err(|error| error.to_string()),
                language if ONLY_SHOWN.contains(&language) => Ok(()),
                "" => Err("a block without a language; `text` is one".to_owned()),
                other => Err(format!(
                    "no test knows the language {other:?}; commands are `sh`"
                )),
            };
            wrong.extend(read.err().map(|why| format!("{at}: {why}")));
            if block.language == "toml" && block.text.starts_with("# flake-herald.toml") {
                configurations += 1;
                let file = env.write("flake-herald.toml", &block.text);
                let mut config = env.binary();
                config.arg("config").arg("--config").arg(file);
                let out = env.output(&mut config);
                if !out.status.success() {
                    wrong.push(format!("{at}: {}", out.stderr));
                }
            }
        }
        for line in &page.lost {
            wrong.push(format!(
                "{}: no fenced block, and looks like one",
                page.at(*line)
            ));
        }
        // A mark that stands before nothing keeps nothing from being run.
        for (index, _) in page
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| mark(line).is_some())
        {
            if !page.blocks.iter().any(|block| block.line == index + 2) {
                wrong.push(format!("{}: no block follows", page.at(index + 1)));
            }
        }
    }
    assert!(configurations > 0, "no configuration was found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn nix_blocks_parse() {
    let env = TestEnv::new();
    let mut wrong = Vec::new();
    for page in pages().iter().filter(|page| page.is_written()) {
        for block in &page.blocks {
            if block.language == "nix" && block.not_run.is_none() {
                let file = env.write("block.nix", &block.text);
                let mut parse = env.command("nix-instantiate");
                let out = env.output(parse.arg("--parse").arg(file));
                if !out.status.success() {
                    wrong.push(format!("{}: {}", page.at(block.line), out.stderr));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the commands of a block as they are run: what stands for the reader's own token is a real one.
fn runnable(block: &str) -> String {
    block.replace(&format!("{TOKEN}=…"), &format!("{TOKEN}={}", scene::TOKEN))
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn commands_run() {
    // One fleet, and one store, for all of them: the second block finds built what the first one built.
    let mut fleet = Fleet::new();
    fleet.bump(&["openssl=3.0.14"]);
    let bin = fleet.env().dir().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_flake-herald"), bin.join("flake-herald"))
        .unwrap();
    fleet.env_mut().prepend_path(&bin);
    fleet.env_mut().set(TOKEN, scene::TOKEN);
    // A block that needs the internet must not end well on one machine only. The forge is on loopback.
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        fleet.env_mut().set(name, "http://127.0.0.1:9");
    }
    fleet.env_mut().set("no_proxy", "127.0.0.1,localhost");
    let env = fleet.env();
    let checkout = env.dir().join("home/my-nixos-config");
    let git = |dir: &Path, args: &[&str]| {
        let mut git = env.command("git");
        env.output(git.args(args).current_dir(dir)).success()
    };
    let mut wrong = Vec::new();
    let mut ran = 0;
    for page in pages().iter().filter(|page| page.is_written()) {
        for block in &page.blocks {
            if block.language != "sh" || block.not_run.is_some() {
                continue;
            }
            ran += 1;
            let dir = env.dir().join(format!("forge-{ran}"));
            let forge = StandIn::start(Dialect::Forgejo, &dir);
            let bare = forge.create_repository(scene::SLUG, "main");
            forge.state().add_token(Token::new("given", scene::TOKEN));
            let bare = bare.to_str().unwrap();
            let _pushed = git(&fleet.flake(), &["push", "-q", bare, "HEAD:main"]);
            let _clone = git(
                env.dir(),
                &[
                    "clone",
                    "-q",
                    "--branch",
                    "main",
                    bare,
                    checkout.to_str().unwrap(),
                ],
            );
            let url = forge.git_url(scene::SLUG);
            let _url = git(&checkout, &["remote", "set-url", "origin", &url]);
            let script = env.write("block.sh", runnable(&block.text));
            let mut bash = env.command("bash");
            bash.args(["-euo", "pipefail"])
                .arg(&script)
                .current_dir(&checkout);
            let out = env.output(&mut bash);
            if !out.status.success() {
                wrong.push(format!(
                    "{}: ended with {}; a block that cannot be run has `<!-- not run: REASON -->` before it\n{}{}",
                    page.at(block.line),
                    out.status,
                    block.text,
                    out.stderr
                ));
            }
            fs::remove_dir_all(&checkout).unwrap();
        }
    }
    assert!(ran > 0, "no commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

mod of_this_test {
    use super::*;

    fn page(text: &str) -> Page {
        read(Path::new("docs/page.md"), text.to_owned())
    }

    #[test]
    fn anchors_are_those_of_forges() {
        let page =
            page("# What *a* `diff` says, 2.0\n\n## Same\n\n## Same\n\n<a id=\"own\"></a>\n");
        let anchors: Vec<&str> = page.anchors.iter().map(String::as_str).collect();
        assert_eq!(anchors, ["own", "same", "same-1", "what-a-diff-says-20"]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let pages = [page("# Here\n")];
        let broken = |path: &str, anchor| broken(Path::new(path), anchor, &pages);
        assert_eq!(broken("README.md", None), None);
        assert!(broken("docs/no-such.md", None).is_some());
        assert!(broken("docs/../../x", None).is_some());
        assert!(broken("src/main.rs", Some("main")).is_some());
        fs::metadata(project().join("docs/report.md")).unwrap();
        assert!(
            super::broken(
                Path::new("docs/report.md"),
                Some("no-such"),
                &super::pages()
            )
            .is_some()
        );
    }

    #[test]
    fn typos_in_flags_are_found() {
        assert_eq!(
            unknown_flags("flake-herald report --hots x --host y"),
            ["--hots"]
        );
        assert_eq!(
            unknown_flags("a && flake-herald hosts --sort name"),
            ["--sort"]
        );
        assert_eq!(
            unknown_flags("cargo install --locked; flake-herald --host x"),
            [""; 0]
        );
        assert_eq!(unknown_flags("--falke DIR"), ["--falke"]);
        assert_eq!(unknown_flags("--fail-on=any"), [""; 0]);
        assert_eq!(unknown_flags("nix --dump-db"), [""; 0]);
        assert_eq!(unknown_flags("flake-herald report --help"), [""; 0]);
    }

    #[test]
    fn blocks_that_would_be_left_out_are_found() {
        let page = |text: &str| {
            let page = page(text);
            (page.blocks.len(), page.lost)
        };
        for read in [
            "```sh\na\n```\n",
            "~~~ sh\n```\n~~~\n",
            "- a\n\n  ```sh\n  b\n  ```\n",
            "> ```sh\n> a\n> ```\n",
            "````sh\n```\n````\n",
            "```sh\nwithout an end\n",
        ] {
            assert_eq!(page(read), (1, vec![]), "{read}");
        }
        assert_eq!(page("a\n\n    b\n").1, [3]);
        assert_eq!(page("a\n\n\tb\n").1, [3]);
        assert_eq!(page("a\n    ```sh\n    b\n    ```\n").1, [2, 4]);
        assert_eq!(page("<details>\n```sh\na\n```\n</details>\n").1, [2, 4]);
        assert_eq!(page("```sh `a`\nb\n").1, [1]);
    }

    #[test]
    fn marks_are_of_the_next_line() {
        let page = page(
            "<!-- not run: no such file -->\n```sh\na\n```\n\n<!-- not run: -->\n```sh\nb\n```\n\n```sh\nc\n```\n",
        );
        let marks: Vec<Option<&str>> = page
            .blocks
            .iter()
            .map(|block| block.not_run.as_deref())
            .collect();
        assert_eq!(marks, [Some("no such file"), Some(""), None]);
    }
}
