//! The reference of the configuration, as Markdown: every key with its flag, its variable, and what it takes.

use std::collections::BTreeMap;
use std::io;

use flake_herald::cli::{self, Command, FLAGS, Flag, Shape};
use flake_herald::config::keys::{
    FILE_ONLY, Key, NOT_IN_FILE, NOT_IN_PULL_REQUESTS, NOT_YET, NOT_YET_WORDS,
};
use flake_herald::config::{Config, Environment, Origin};

/// What stands before the keys.
const INTRODUCTION: &str = r#"# Configuration

<!-- Made by `flake-herald generate configuration` from the program's own lists; change those instead. -->

Nothing must be configured: `flake-herald report` in a checkout of a flake works as it is. What can be set is a flag, a variable of
the environment, and a key of the file `flake-herald.toml` beside `flake.nix`, all under one name:

```toml
# flake-herald.toml
host = ["web*", "db1"]
eval-batch = 8
eval-memory = "8GiB"
build-timeout = "2h"
fail-on = "any"

[option]
connect-timeout = 10
substituters = ["https://cache.nixos.org", "https://cache.example"]
```

## Which one counts

A flag overrules a variable, a variable the file, the file what the runner of a forge says about its job, and that the default. A
list that is set takes the place of the lower one; it does not add to it. Only `option` is merged, by the settings' names.
`flake-herald config` shows every value and where it comes from.

A key that is not known, a value of the wrong type and settings that contradict each other are errors, all told together; an
unknown variable `FLAKE_HERALD_…` is a warning. What is marked “not yet” is known and refused until it works.

The file is read from beside `flake.nix`, or from where `--config` says; `diff` and `snapshot` need no flake and read it only with
`--config`. Paths in the file start at the file's directory, all others at the current one. In the job of a pull request the file
may be the pull request's own, so there some keys are refused in it; they are marked.

## How values are written

| | flag | variable | file |
| --- | --- | --- | --- |
| yes or no | `--all`, `--all=false` | `true` or `false`, `yes`, `no`, `on`, `off`, `1`, `0` | `true` or `false` |
| number | `--eval-jobs 2` | `2` | `2` |
| time | `90s`, `30m`, `2h`, `1h 30m` | the same | `"30m"` |
| size | `20GiB`, `500MB` | the same | `"20GiB"` |
| word, text, path | `--fail-on any` | `any` | `"any"` |
| list | the flag once for each entry | an entry a line | `["a", "b"]` |
| options | `--option NAME VALUE` | `NAME VALUE` a line | a table, `[option]` |

An empty variable is as good as none. In a workflow, lists are written with `|`:

```yaml
env:
  FLAKE_HERALD_HOST: |
    web*
    db1
  FLAKE_HERALD_OPTION: |
    connect-timeout 10
    substituters https://cache.nixos.org https://cache.example
```

Tables of the file take strings, integers, booleans and arrays of them; an array is joined by spaces, as Nix's own configuration
file has it.

## Secrets

The forge's token has neither a flag, because others can read a process's arguments, nor a key, because the file is committed. It
is the variable `FLAKE_HERALD_TOKEN`, or the content of the file that [`token-file`](#token-file) names. Tokens for Nix's fetchers
stand in the file that [`nix-access-token-file`](#nix-access-token-file) names. None of these is shown or logged.
"#;

/// What a key comes to that nobody set, where neither its help nor its type says it.
const UNSET: &[(&str, &str)] = &[
    (
        "eval-jobs",
        "one for each side, if processors and memory are there",
    ),
    ("eval-batch", "as many as should fit the memory"),
    ("max-jobs", "Nix's own setting"),
    ("run-timeout", "no limit"),
    ("build-timeout", "no limit"),
    ("min-free", "no limit"),
    ("output", "none, it must be given"),
    ("output-dir", "no files"),
    ("lock", "an update of all inputs, or of those chosen"),
    ("api-url", "where a forge of that kind has it"),
    ("server-url", "the remote's"),
    ("repository", "the remote's"),
    ("base", "the branch that is checked out"),
    ("remote", "`origin`, else the only one"),
    ("body-template", "the report's own text"),
    ("author", "git's, else the runner's bot"),
    ("signing-key-file", "git's `user.signingKey`"),
];

/// One way in which commands have a key: most keys have one.
struct Variant {
    help: &'static str,
    default: Option<&'static str>,
    value: &'static str,
    commands: Vec<&'static str>,
}

/// Returns the reference.
pub(super) fn reference() -> io::Result<String> {
    let defaults = defaults()?;
    let mut out = INTRODUCTION.to_owned();
    let headings = headings();
    out.push_str("\n## Keys\n");
    out.push('\n');
    for heading in &headings {
        let anchor = heading.to_lowercase();
        line(
            &mut out,
            &format!("- [{heading}](#keys-{anchor}): {}", links(heading)),
        );
    }
    for heading in headings {
        // `## Output` alone would have the anchor of the key `output`.
        line(&mut out, &format!("\n## Keys: {heading}"));
        for key in Key::all() {
            if heading_of(&key) == Some(heading) {
                describe(&mut out, &key, &defaults);
            }
        }
    }
    Ok(out)
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Returns the headings of the help, in its order.
fn headings() -> Vec<&'static str> {
    let mut headings = Vec::new();
    for flag in FLAGS {
        if !headings.contains(&flag.heading) {
            headings.push(flag.heading);
        }
    }
    headings
}

/// Returns the heading that a key stands under: that of its first flag.
fn heading_of(key: &Key) -> Option<&'static str> {
    let flags = FLAGS.iter().map(|flag| (flag.name, flag.heading));
    let others = FILE_ONLY.iter().map(|key| (key.name, key.heading));
    flags
        .chain(others)
        .find(|(name, _)| *name == key.name)
        .map(|(_, heading)| heading)
}

fn links(heading: &str) -> String {
    let keys = Key::all();
    let names = keys.iter().filter(|key| heading_of(key) == Some(heading));
    let links: Vec<String> = names
        .map(|key| format!("[`{0}`](#{0})", key.name))
        .collect();
    links.join(", ")
}

/// Returns what each key has that nobody set: its value as TOML, or none where the runner of a forge says it.
fn defaults() -> io::Result<BTreeMap<&'static str, Option<String>>> {
    let parse = || cli::parse(["flake-herald", "config"].map(Into::into)).map_err(io::Error::other);
    // A job of which everything is known, to see which keys take something from there.
    let job: Environment = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://forge.example"),
        ("GITHUB_API_URL", "https://forge.example/api"),
        ("GITHUB_REPOSITORY", "alice/fleet"),
        ("GITHUB_REF_NAME", "main"),
    ]
    .into_iter()
    .collect();
    let merged = Config::merge(&parse()?, &job, None).map_err(io::Error::other)?;
    let values = merged.values().map(|(key, value, origin)| {
        let fixed = matches!(origin, Origin::Default).then(|| value.to_owned());
        (key, fixed)
    });
    Ok(values.collect())
}

fn describe(out: &mut String, key: &Key, defaults: &BTreeMap<&'static str, Option<String>>) {
    let variants = variants(key);
    line(out, &format!("\n### `{}`\n", key.name));
    let one = match variants.as_slice() {
        [one] => Some(one),
        _ => None,
    };
    if let Some(one) = one {
        line(out, &format!("{}.\n", escaped(one.help)));
    }
    if NOT_YET.contains(&key.name) {
        line(out, "**Not yet**: refused in this version.\n");
    }
    let value = variants.first().map_or("", |variant| variant.value);
    let flag = FLAGS.iter().find(|flag| flag.name == key.name);
    if let Some(flag) = flag {
        line(out, &format!("- flag: {}", as_flag(flag)));
        line(out, &format!("- variable: `{}`", key.variable()));
    }
    let file = if NOT_IN_FILE.contains(&key.name) {
        "no, it would name itself".to_owned()
    } else if key.name == "flake" {
        "only in a file that `--config` names".to_owned()
    } else {
        format!("`{}`", in_file(key, value))
    };
    let in_pull_requests = if NOT_IN_PULL_REQUESTS.contains(&key.name) {
        "; refused in a pull request's job"
    } else {
        ""
    };
    line(out, &format!("- file: {file}{in_pull_requests}"));
    let words = words(key, value);
    if one.is_some() && !words.is_empty() {
        line(out, &format!("- words: {words}"));
    }
    if let Some(one) = one {
        line(out, &format!("- default: {}", default(key, one, defaults)));
        line(out, &format!("- commands: {}", code(&one.commands)));
    } else {
        for variant in &variants {
            let words = words_of(key, variant);
            line(
                out,
                &format!(
                    "- {}: {}{words}; default: {}",
                    code(&variant.commands),
                    escaped(variant.help),
                    default(key, variant, defaults)
                ),
            );
        }
    }
}

/// Returns the ways in which commands have a key.
fn variants(key: &Key) -> Vec<Variant> {
    // `config` shows what others would use.
    let names = |commands: &[Command]| -> Vec<&'static str> {
        let mut names: Vec<&'static str> = commands.iter().map(|command| command.name()).collect();
        if names.len() > 1 {
            names.retain(|name| *name != Command::Config.name());
        }
        names
    };
    let of = |help: &'static str, value, commands| {
        // The default stands in a line of its own.
        let (help, default) = match help.split_once(" [default: ") {
            Some((help, default)) => (help, default.strip_suffix(']')),
            None => (help, None),
        };
        Variant {
            help,
            default,
            value,
            commands: names(commands),
        }
    };
    let flags = FLAGS
        .iter()
        .filter(|flag| flag.name == key.name)
        .map(|flag| of(flag.help, flag.value, flag.commands));
    let others = FILE_ONLY
        .iter()
        .filter(|only| only.name == key.name)
        .map(|only| of(only.help, only.value, only.commands));
    flags.chain(others).collect()
}

/// Returns how the flag is typed.
fn as_flag(flag: &Flag) -> String {
    let short = flag
        .short
        .map(|short| format!("`-{short}`, "))
        .unwrap_or_default();
    let name = flag.name;
    match flag.shape {
        Shape::Switch => format!("{short}`--{name}`"),
        Shape::Repeat => format!("{short}`--{name}`, up to twice"),
        Shape::List | Shape::Pairs => {
            format!("{short}`--{name} {}`, once for each", flag.value)
        }
        Shape::Choices => format!("{short}`--{name} WORD`, once for each"),
        Shape::Choice => format!("{short}`--{name} WORD`"),
        Shape::Number | Shape::Text | Shape::Path | Shape::Duration | Shape::Size => {
            format!("{short}`--{name} {}`", flag.value)
        }
    }
}

/// Returns how the key is written in the file.
fn in_file(key: &Key, value: &str) -> String {
    let name = key.name;
    match key.shape {
        Shape::Switch => format!("{name} = true"),
        Shape::Repeat => format!("{name} = 1"),
        Shape::Number => format!("{name} = {value}"),
        Shape::Text | Shape::Path | Shape::Duration | Shape::Size => {
            format!("{name} = \"{value}\"")
        }
        Shape::Choice => format!("{name} = \"WORD\""),
        Shape::List => format!("{name} = [\"{value}\"]"),
        Shape::Choices => format!("{name} = [\"WORD\"]"),
        Shape::Pairs => format!("{name} = {{ NAME = \"VALUE\" }}"),
    }
}

/// Returns the words that may be chosen from; nothing where there is no choice.
fn words(key: &Key, value: &str) -> String {
    if !matches!(key.shape, Shape::Choice | Shape::Choices) {
        return String::new();
    }
    let words: Vec<String> = value
        .split('|')
        .map(|word| {
            let later = NOT_YET_WORDS.contains(&(key.name, word));
            format!("`{word}`{}", if later { " (not yet)" } else { "" })
        })
        .collect();
    words.join(", ")
}

fn words_of(key: &Key, variant: &Variant) -> String {
    let words = words(key, variant.value);
    if words.is_empty() {
        words
    } else {
        format!(", {words}")
    }
}

fn default(
    key: &Key,
    variant: &Variant,
    defaults: &BTreeMap<&'static str, Option<String>>,
) -> String {
    let unset = UNSET
        .iter()
        .find(|(name, _)| *name == key.name)
        .map(|(_, text)| *text);
    match (defaults.get(key.name), variant.default) {
        (Some(Some(fixed)), None) if fixed == "[]" => "none".to_owned(),
        (Some(Some(fixed)), _) => format!("`{}`", fixed.trim_matches('"')),
        (_, Some(said)) => escaped(said),
        (Some(None), None) => {
            format!(
                "in a job what the runner says, else {}",
                unset.unwrap_or("none")
            )
        }
        // As the help says: the first word, where nothing else is said.
        (None, None) if matches!(key.shape, Shape::Choice) => {
            let first = variant.value.split('|').next().unwrap_or_default();
            format!("`{first}`")
        }
        (None, None) => unset.unwrap_or("none").to_owned(),
    }
}

fn code(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// Returns a line of help as Markdown: what stands in backquotes is code, and all else only text.
fn escaped(help: &str) -> String {
    let mut out = String::with_capacity(help.len());
    for (index, piece) in help.split('`').enumerate() {
        if index > 0 {
            out.push('`');
        }
        for c in piece.chars() {
            let is_code = index % 2 == 1;
            if !is_code && "\\*_[]<>~|#".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_unset_keys_is_needed_and_of_real_ones() {
        let defaults = defaults().unwrap();
        for (name, _) in UNSET {
            let key = Key::all().into_iter().find(|key| key.name == *name);
            let key = key.unwrap_or_else(|| panic!("{name} is no key"));
            assert!(
                !matches!(defaults.get(name), Some(Some(_))),
                "{name} has a default"
            );
            assert!(
                variants(&key).iter().any(|one| one.default.is_none()),
                "the help of {name} says it"
            );
        }
    }

    #[test]
    fn a_line_of_help_is_only_text() {
        assert_eq!(
            escaped("as `a*` *b* <c> \\["),
            "as `a*` \\*b\\* \\<c\\> \\\\\\["
        );
    }
}
