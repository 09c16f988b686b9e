//! The command line: the names of commands and flags, their help, and the words a flag may take.
//!
//! [`FLAGS`] is the only list of flags. clap's parser is built from it, and [`crate::config`] takes
//! the environment's variables and the configuration file's keys from it too, so that the three
//! cannot drift apart. What a value means, and whether it is allowed, is decided there: flags leave
//! this file as the words that were typed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, ValueHint};

/// What the program is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// The whole flow, or with `--dry-run` all of it up to the report.
    Run,
    /// The flow up to the report; nothing is published.
    Report,
    /// Publishing what reports made elsewhere say.
    Publish,
    /// What changes from one closure to another.
    Diff,
    /// A closure as a file that `diff` takes.
    Snapshot,
    /// The hosts that would be built.
    Hosts,
    /// Only the new lock, staged into a file.
    Lock,
    /// The merged configuration and where each value comes from.
    Config,
}

impl Command {
    /// Every command, in the order the help lists them.
    pub const ALL: [Self; 8] = [
        Self::Run,
        Self::Report,
        Self::Publish,
        Self::Diff,
        Self::Snapshot,
        Self::Hosts,
        Self::Lock,
        Self::Config,
    ];

    /// Returns the word that asks for the command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Report => "report",
            Self::Publish => "publish",
            Self::Diff => "diff",
            Self::Snapshot => "snapshot",
            Self::Hosts => "hosts",
            Self::Lock => "lock",
            Self::Config => "config",
        }
    }

    /// Returns what stands behind the command without a flag, in order.
    fn operands(self) -> &'static [Operand] {
        match self {
            Self::Publish => &[REPORTS],
            Self::Diff => &[OLD, NEW],
            Self::Snapshot => &[CLOSURE],
            Self::Run | Self::Report | Self::Hosts | Self::Lock | Self::Config => &[],
        }
    }

    /// Returns what the help of the command ends with.
    pub fn notes(self) -> &'static str {
        match self {
            Self::Diff | Self::Snapshot => CLOSURE_NOTES,
            Self::Run | Self::Report | Self::Publish | Self::Hosts | Self::Lock | Self::Config => {
                NOTES
            }
        }
    }

    /// Returns what the command does, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::Run => {
                "Update the lock, report what changes on every host, publish a pull request"
            }
            Self::Report => "Report what an update changes on every host; publish nothing",
            Self::Publish => {
                "Merge reports made elsewhere, check them, and publish them as one pull request"
            }
            Self::Diff => "Say what changes from one closure to another",
            Self::Snapshot => "Write a closure into a file that `diff` takes in its place",
            Self::Hosts => "List the hosts that would be built",
            Self::Lock => "Stage the new lock into a file; exit 2 if it does not change",
            Self::Config => "Show the merged configuration and where each value comes from",
        }
    }
}

/// What the help of the whole program ends with: where somebody begins who has read nothing yet.
pub const BEGINNING: &str = concat!(
    "Begin with `flake-herald report` in the directory of a flake: it publishes nothing and leaves the\n\
     checkout as it is. The pages begin with\n",
    env!("CARGO_PKG_REPOSITORY"),
    "/src/branch/main/docs/first-run.md"
);

/// What stands behind a command without a flag.
#[derive(Debug, Clone, Copy)]
struct Operand {
    /// What the help calls it. No flag has this name.
    name: &'static str,
    /// Whether there may be several.
    repeats: bool,
    /// Its line of help.
    help: &'static str,
}

const REPORTS: Operand = Operand {
    name: "PATH",
    repeats: true,
    help: "A report.json, or a directory that is searched for them",
};
const OLD: Operand = Operand {
    name: "OLD",
    repeats: false,
    help: "The closure before: the path, generation or snapshot it is known by, see below",
};
const NEW: Operand = Operand {
    name: "NEW",
    repeats: false,
    help: "The closure after, likewise",
};
const CLOSURE: Operand = Operand {
    name: "PATH",
    repeats: false,
    help: "The closure: the path, generation or snapshot it is known by, see below",
};

/// What the help of most commands ends with.
const NOTES: &str = "The first word of a choice is its default, where nothing else is said. Each flag but --config and --flake is also \
                     a key of flake-herald.toml, and each is an environment variable: --eval-batch is FLAKE_HERALD_EVAL_BATCH. A \
                     variable holds a list as one entry a line, and options as NAME VALUE a line.";

/// What the help of the commands ends with that need no flake.
const CLOSURE_NOTES: &str = "\
A closure is a store path and all that it refers to. It is known by:
  /nix/store/…-x                    a store path, of a system or of anything else
  ./result, /run/current-system     a link to one, or links that lead there: profiles, homes
  41                                a generation of the system profile (a file of that name is ./41)
  old.json                          a file that `flake-herald snapshot` wrote; needs no Nix

The first word of a choice is its default. Each flag but --config is also a key of the file that --config names (the \
flake-herald.toml beside a flake is not read here), and each is an environment variable: --color is FLAKE_HERALD_COLOR.";

/// What a flag takes, and so what its environment variable and its key in the file take.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Yes or no; the bare flag means yes.
    Switch,
    /// A flag that counts how often it stands there.
    Repeat,
    /// A whole number.
    Number,
    /// Any text.
    Text,
    /// A path of a file or directory.
    Path,
    /// A length of time, as `90s`, `30m`, `2h`.
    Duration,
    /// A number of bytes, as `20GiB`.
    Size,
    /// One of these words; the first is the default.
    Choice,
    /// Texts; the flag may repeat.
    List,
    /// Words out of these; the flag may repeat.
    Choices,
    /// Names with a value each; the flag may repeat.
    Pairs,
}

/// A flag of the command line.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The long name without its dashes, which is also the key in the configuration file.
    pub name: &'static str,
    /// The one-letter form.
    pub short: Option<char>,
    /// What it takes.
    pub shape: Shape,
    /// What the help calls its value; for a choice, its words between bars.
    pub value: &'static str,
    /// The heading it stands under in the help.
    pub heading: &'static str,
    /// The commands that have it.
    pub commands: &'static [Command],
    /// Its line of help.
    pub help: &'static str,
}

/// An enum of the words that a flag chooses from.
pub trait Choice: Copy + 'static {
    /// Every variant, the default first.
    const ALL: &'static [Self];
    /// Every word, between bars, as the help shows them.
    const WORDS: &'static str;

    /// Returns the word for it.
    fn word(self) -> &'static str;
}

/// Declares a [`Choice`]: per variant its word and what it means.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident {
        $first:ident $first_word:literal $first_doc:literal,
        $($variant:ident $word:literal $doc:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub enum $name {
            #[doc = $first_doc]
            #[default]
            $first,
            $(#[doc = $doc] $variant,)*
        }

        impl Choice for $name {
            const ALL: &'static [Self] = &[Self::$first, $(Self::$variant,)*];
            const WORDS: &'static str = concat!($first_word, $("|", $word,)*);

            fn word(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

choice! {
    /// Kinds of hosts that a flake keeps in an output of their own (`--kind`).
    Kind {
        Nixos "nixos" "`nixosConfigurations`.",
        Darwin "darwin" "`darwinConfigurations`.",
        Home "home" "`homeConfigurations`.",
    }
}
choice! {
    /// Whether the flake is fetched with its git submodules (`--submodules`).
    Submodules {
        Auto "auto" "With them if the repository has some.",
        On "on" "Always with them.",
        Off "off" "Never with them.",
    }
}
choice! {
    /// What an input that cannot be reached does to the update (`--on-unreachable`).
    OnUnreachable {
        Fail "fail" "The run ends with an error.",
        Keep "keep" "The input stays as it is locked.",
    }
}
choice! {
    /// How closures are read from the Nix store (`--store-reader`).
    StoreReader {
        Auto "auto" "From the database where that is provably right, else by Nix's commands.",
        Database "database" "From the store's database.",
        Command "command" "By Nix's commands.",
    }
}
choice! {
    /// The format of what stdout carries (`--format`).
    Format {
        Text "text" "Text for a terminal.",
        Markdown "markdown" "Markdown, as in the pull request.",
        Json "json" "JSON.",
    }
}
choice! {
    /// The formats of the list of hosts (`hosts --format`).
    ListFormat {
        Text "text" "A name a line.",
        Json "json" "JSON.",
    }
}
choice! {
    /// The order of what changes (`diff --sort`).
    Sort {
        Name "name" "By name.",
        Semver "semver" "The largest step of a version first.",
        Size "size" "What grows or shrinks the most first.",
    }
}
choice! {
    /// Which hosts' failures give exit code 4 (`--fail-on`).
    FailOn {
        Broken "broken" "Hosts that the update breaks.",
        Any "any" "Also hosts that were broken before.",
        Never "never" "None.",
    }
}
choice! {
    /// When output is coloured (`--color`).
    Color {
        Auto "auto" "On a terminal.",
        Always "always" "Always.",
        Never "never" "Never.",
    }
}
choice! {
    /// The format of the log on stderr (`--log-format`).
    LogFormat {
        Text "text" "Lines of text.",
        Json "json" "A JSON object a line.",
    }
}
choice! {
    /// The kind of forge that is published to (`--forge`).
    Forge {
        Auto "auto" "Found out from the runner or from the server.",
        Forgejo "forgejo" "Forgejo.",
        Gitea "gitea" "Gitea.",
        Github "github" "GitHub.",
    }
}
choice! {
    /// How the commit is signed (`--sign`).
    Sign {
        Auto "auto" "As git's configuration says.",
        Ssh "ssh" "With an SSH key.",
        Gpg "gpg" "With a GPG key.",
        Off "off" "Not at all.",
    }
}
choice! {
    /// The way the commit takes to the forge (`--commit-via`).
    CommitVia {
        Push "push" "Pushed by git.",
        Api "api" "Made by the forge, through its API.",
    }
}
choice! {
    /// When the pull request is a draft (`--draft`).
    Draft {
        Never "never" "Never.",
        OnFailure "on-failure" "While a host fails.",
        Always "always" "Always.",
    }
}
choice! {
    /// Whether the pull request merges itself (`--auto-merge`).
    AutoMerge {
        Off "off" "It does not.",
        WhenGreen "when-green" "Once the required checks have passed.",
        Now "now" "At once.",
    }
}
choice! {
    /// How the pull request is merged (`--merge-method`).
    MergeMethod {
        Merge "merge" "With a merge commit.",
        Squash "squash" "As one commit.",
        Rebase "rebase" "By rebasing.",
        RebaseMerge "rebase-merge" "By rebasing, then with a merge commit.",
        FastForwardOnly "fast-forward-only" "By moving the base forward, or not at all.",
    }
}
choice! {
    /// When the branch is put on top of the base again (`--rebase-when`).
    RebaseWhen {
        Conflicted "conflicted" "When the base's lock has changed.",
        Behind "behind" "When anything on the base has changed.",
    }
}

choice! {
    /// What the hidden command `generate` prints, all of it made from the types.
    Generated {
        Man "man" "A man page: of the program, or of the command that is named behind it.",
        Bash "bash" "Completions for bash.",
        Fish "fish" "Completions for fish.",
        Zsh "zsh" "Completions for zsh.",
        Configuration "configuration" "The reference of the configuration, `docs/configuration.md`.",
    }
}

// Who has a flag. `config` shows what `run` and `report` would use, so it takes what they take.
const ALL: &[Command] = &Command::ALL;
/// All that look at a flake.
const FLAKES: &[Command] = &[
    Command::Run,
    Command::Report,
    Command::Publish,
    Command::Hosts,
    Command::Lock,
    Command::Config,
];
const EVALUATE: &[Command] = &[
    Command::Run,
    Command::Report,
    Command::Hosts,
    Command::Config,
];
const FLOW: &[Command] = &[Command::Run, Command::Report, Command::Config];
const UPDATE: &[Command] = &[
    Command::Run,
    Command::Report,
    Command::Lock,
    Command::Config,
];
const RESULT: &[Command] = &[
    Command::Run,
    Command::Report,
    Command::Publish,
    Command::Config,
];
/// All that read closures.
const READ: &[Command] = &[
    Command::Run,
    Command::Report,
    Command::Diff,
    Command::Snapshot,
    Command::Config,
];
const DIFF: &[Command] = &[Command::Diff];
const PUBLISH: &[Command] = &[Command::Run, Command::Publish, Command::Config];

const FLAKE: &str = "Flake";
const HOSTS: &str = "Hosts";
const INPUTS: &str = "Inputs";
const NIX: &str = "Nix";
const COMPARISON: &str = "Comparison";
const OUTPUT: &str = "Output";
const PUBLISHING: &str = "Publishing";

const fn flag(
    name: &'static str,
    shape: Shape,
    value: &'static str,
    heading: &'static str,
    commands: &'static [Command],
    help: &'static str,
) -> Flag {
    Flag {
        name,
        short: None,
        shape,
        value,
        heading,
        commands,
        help,
    }
}

const fn switch(
    name: &'static str,
    heading: &'static str,
    commands: &'static [Command],
    help: &'static str,
) -> Flag {
    flag(name, Shape::Switch, "BOOL", heading, commands, help)
}

const fn choice(
    name: &'static str,
    words: &'static str,
    heading: &'static str,
    commands: &'static [Command],
    help: &'static str,
) -> Flag {
    flag(name, Shape::Choice, words, heading, commands, help)
}

impl Flag {
    const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }
}

/// Every flag, in the order of the help. A name stands here twice where commands take other words.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    flag("flake", Shape::Path, "DIR", FLAKE, FLAKES, "Directory of the flake [default: .]"),
    flag("config", Shape::Path, "FILE", FLAKE, FLAKES, "Configuration file [default: flake-herald.toml beside flake.nix]"),
    choice("submodules", Submodules::WORDS, FLAKE, FLAKES, "Whether the flake sees its git submodules"),
    flag("clone", Shape::Text, "URL", FLAKE, &[Command::Run], "Work on a fresh clone of this repository"),

    flag("host", Shape::List, "GLOB", HOSTS, EVALUATE, "Only these hosts, as NAME or kind:NAME; * ? [ab] {a,b} match, \\[ is a bracket; a plain name beats excludes"),
    flag("exclude-host", Shape::List, "GLOB", HOSTS, EVALUATE, "Leave these hosts out, besides *-minimal"),
    switch("no-default-excludes", HOSTS, EVALUATE, "Do not leave out *-minimal"),
    flag("kind", Shape::Choices, Kind::WORDS, HOSTS, EVALUATE, "Kinds of hosts, instead of nixos"),
    flag("attr", Shape::List, "PATH", HOSTS, EVALUATE, "Also the derivation at this attribute path, or each in a set of them"),
    switch("systems", HOSTS, &[Command::Hosts], "Evaluate each host's system for the JSON list"),
    flag("plan", Shape::Path, "FILE", HOSTS, &[Command::Report], "Take the scope from this list of hosts, as `hosts` wrote it"),

    flag("input", Shape::List, "NAME", INPUTS, UPDATE, "Update only these inputs"),
    flag("exclude-input", Shape::List, "NAME", INPUTS, UPDATE, "Update all inputs but these"),
    choice("on-unreachable", OnUnreachable::WORDS, INPUTS, UPDATE, "Fail on an input that cannot be reached, or keep its lock"),
    switch("skip-update", INPUTS, FLOW, "Compare the commit's flake.lock with the working tree's"),
    flag("lock", Shape::Path, "FILE", INPUTS, RESULT, "Compare with this lock instead of updating; for publish: the lock that was reported on"),
    switch("write-lock", INPUTS, FLOW, "Write the new lock into the working tree"),

    switch("no-build", NIX, FLOW, "Report only what evaluation knows"),
    flag("eval-jobs", Shape::Number, "N", NIX, EVALUATE, "Evaluations at the same time"),
    flag("eval-batch", Shape::Number, "N", NIX, EVALUATE, "Hosts evaluated together in one process"),
    flag("eval-memory", Shape::Size, "SIZE", NIX, EVALUATE, "Most memory that evaluations may take together [default: three quarters of what is free]"),
    flag("max-jobs", Shape::Number, "N", NIX, EVALUATE, "Builds at the same time on this machine"),
    flag("run-timeout", Shape::Duration, "TIME", NIX, FLAKES, "Longest time for the whole run, as 90s, 30m, 2h"),
    flag("build-timeout", Shape::Duration, "TIME", NIX, EVALUATE, "Longest time for one build"),
    flag("min-free", Shape::Size, "SIZE", NIX, FLOW, "Stop building below this much free disk space, as 20GiB"),
    switch("accept-flake-config", NIX, FLAKES, "Let Nix apply the flake's nixConfig"),
    flag("pass-env", Shape::List, "NAME", NIX, ALL, "Let Nix and git see this variable though it holds a secret"),
    flag("option", Shape::Pairs, "NAME VALUE", NIX, ALL, "Setting handed to Nix"),
    flag("nix-access-token-file", Shape::Path, "FILE", NIX, FLAKES, "File with access-tokens for Nix's fetchers"),
    choice("store-reader", StoreReader::WORDS, NIX, READ, "How closures are read from the store (database: not yet)"),

    switch("selected", COMPARISON, DIFF, "Only packages that the user chose"),
    choice("sort", Sort::WORDS, COMPARISON, DIFF, "Order of the rows"),
    switch("all", COMPARISON, DIFF, "Fold nothing: a row for each package of a family, each rebuilt one, each unit and file"),
    switch("exit-code", COMPARISON, DIFF, "Exit 0 where nothing changes, 1 where something does, 2 after an error, as diff does"),

    choice("format", Format::WORDS, OUTPUT, RESULT, "Format on stdout [default: text on a terminal, else markdown]"),
    choice("format", Format::WORDS, OUTPUT, DIFF, "Format on stdout"),
    choice("format", ListFormat::WORDS, OUTPUT, &[Command::Hosts], "Format of the list"),
    flag("output", Shape::Path, "FILE", OUTPUT, &[Command::Lock], "Where to write the new lock").short('o'),
    flag("output", Shape::Path, "FILE", OUTPUT, &[Command::Snapshot], "Where to write the snapshot; - for stdout").short('o'),
    flag("output-dir", Shape::Path, "DIR", OUTPUT, RESULT, "Write report.md, report.json, report.txt, logs and flake.lock here"),
    choice("fail-on", FailOn::WORDS, OUTPUT, RESULT, "Which failing hosts give exit code 4"),
    flag("config", Shape::Path, "FILE", OUTPUT, &[Command::Diff, Command::Snapshot], "Configuration file [default: none]"),
    choice("color", Color::WORDS, OUTPUT, ALL, "When to colour output"),
    choice("log-format", LogFormat::WORDS, OUTPUT, ALL, "Format of the log on stderr"),
    flag("verbose", Shape::Repeat, "", OUTPUT, ALL, "Say more on stderr; twice for everything").short('v'),
    switch("quiet", OUTPUT, ALL, "Say only warnings and errors on stderr").short('q'),

    switch("dry-run", PUBLISHING, &[Command::Run], "Stop after the report: no commit, no push, no pull request"),
    choice("forge", Forge::WORDS, PUBLISHING, PUBLISH, "Kind of forge"),
    flag("server-url", Shape::Text, "URL", PUBLISHING, PUBLISH, "The forge's address"),
    flag("api-url", Shape::Text, "URL", PUBLISHING, PUBLISH, "The address of the forge's API"),
    flag("repository", Shape::Text, "OWNER/NAME", PUBLISHING, PUBLISH, "The repository on the forge"),
    flag("token-file", Shape::Path, "FILE", PUBLISHING, PUBLISH, "File with the forge's token, instead of FLAKE_HERALD_TOKEN"),
    flag("base", Shape::Text, "BRANCH", PUBLISHING, PUBLISH, "Branch that the pull request goes to"),
    flag("branch", Shape::Text, "BRANCH", PUBLISHING, PUBLISH, "Branch of the pull request [default: auto/flake-update]"),
    flag("remote", Shape::Text, "NAME", PUBLISHING, PUBLISH, "Git remote that is pushed to"),
    flag("title", Shape::Text, "TEMPLATE", PUBLISHING, PUBLISH, "Title of the pull request"),
    flag("body-template", Shape::Path, "FILE", PUBLISHING, PUBLISH, "Template of the pull request's body"),
    flag("commit-message", Shape::Text, "TEMPLATE", PUBLISHING, PUBLISH, "Message of the commit"),
    flag("author", Shape::Text, "NAME <MAIL>", PUBLISHING, PUBLISH, "Author of the commit"),
    switch("signoff", PUBLISHING, PUBLISH, "Add a Signed-off-by line to the commit"),
    choice("sign", Sign::WORDS, PUBLISHING, PUBLISH, "How to sign the commit"),
    flag("signing-key-file", Shape::Path, "FILE", PUBLISHING, PUBLISH, "Key that signs the commit"),
    choice("commit-via", CommitVia::WORDS, PUBLISHING, PUBLISH, "Push the commit, or have the forge make it"),
    flag("label", Shape::List, "NAME", PUBLISHING, PUBLISH, "Label of a new pull request"),
    switch("create-labels", PUBLISHING, PUBLISH, "Create labels that the forge does not have"),
    flag("assignee", Shape::List, "LOGIN", PUBLISHING, PUBLISH, "Assignee of a new pull request"),
    flag("reviewer", Shape::List, "LOGIN", PUBLISHING, PUBLISH, "Reviewer asked for a new pull request"),
    choice("draft", Draft::WORDS, PUBLISHING, PUBLISH, "When the pull request is a draft"),
    choice("auto-merge", AutoMerge::WORDS, PUBLISHING, PUBLISH, "Whether the pull request merges itself"),
    choice("merge-method", MergeMethod::WORDS, PUBLISHING, PUBLISH, "How it is merged [default: the forge's]"),
    choice("rebase-when", RebaseWhen::WORDS, PUBLISHING, PUBLISH, "When to put the branch on top of the base again"),
    flag("hold-label", Shape::Text, "NAME", PUBLISHING, PUBLISH, "Label that stops us [default: flake-herald:hold]"),
    switch("keep-obsolete", PUBLISHING, PUBLISH, "Leave a pull request open that has become needless"),
    switch("publish-unchanged", PUBLISHING, PUBLISH, "Publish also when no host changes"),
    flag("cache-to", Shape::List, "URL", PUBLISHING, PUBLISH, "Copy what was built to this cache"),
    switch("cache-required", PUBLISHING, PUBLISH, "Do not publish if copying to a cache fails"),
];

/// Flags, and keys of the file, that nothing in this version heeds. The help says so; they are read
/// and checked like any other and then refused, because a setting that does nothing must not look as if it did. Take a name out of here
/// with the change that makes it work.
pub const NOT_YET: &[&str] = &[
    "assignee",
    "auto-merge",
    "cache-required",
    "cache-to",
    "clone",
    "commit-via",
    "create-labels",
    "draft",
    "label",
    "merge-method",
    "reviewer",
];

/// What was typed: the command, and its flags as words.
#[derive(Clone)]
pub struct Parsed {
    /// The command.
    pub command: Command,
    /// What stands behind the command without a flag, in order: for `publish` the reports, for `diff` OLD and NEW.
    pub operands: Vec<OsString>,
    flags: BTreeMap<&'static str, Vec<OsString>>,
}

impl Parsed {
    /// Returns whether `--exit-code` was typed and not taken back, for what goes wrong before there is a configuration.
    pub fn asks_for_exit_code(&self) -> bool {
        self.flags
            .get("exit-code")
            .and_then(|words| words.last())
            .and_then(|word| word.to_str())
            .is_some_and(is_yes)
    }

    /// Returns the flags that were given, by name, each with its words in order.
    ///
    /// A bare switch has the word `true`, a repeated flag its count, [`Shape::Pairs`] two words a
    /// pair.
    pub fn flags(&self) -> impl Iterator<Item = (&'static str, &[OsString])> {
        self.flags
            .iter()
            .map(|(name, words)| (*name, words.as_slice()))
    }
}

impl std::fmt::Debug for Parsed {
    /// Shows no values: a flag such as `--option` can hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parsed")
            .field("command", &self.command)
            .field("flags", &self.flags.keys())
            .finish()
    }
}

/// Why the command line does not say what to do: a mistake in it, or a call for help or version.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Usage {
    error: Box<clap::Error>,
    code: u8,
}

impl Usage {
    /// Prints the text: help and version that were asked for to stdout, all else to stderr.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn print(&self) -> io::Result<()> {
        self.error.print()
    }

    /// Returns the exit code: 0 for help and version, else 1, or 2 after `diff --exit-code`. It is never clap's own 2, which
    /// means elsewhere that the lock does not change.
    pub fn exit_code(&self) -> u8 {
        match self.error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
            _ => self.code,
        }
    }
}

/// Reads a command line; the first word is the program's name.
///
/// # Errors
///
/// An unknown command or flag, a flag without its value, no command, or a call for help or version.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, Usage> {
    let args: Vec<OsString> = args.into_iter().collect();
    let code = if is_diff_with_codes(&args) { 2 } else { 1 };
    let usage = |error| Usage {
        error: Box::new(error),
        code,
    };
    let matches = parser().try_get_matches_from(args).map_err(usage)?;
    let given = matches.subcommand().and_then(|(name, flags)| {
        Some((Command::ALL.into_iter().find(|c| c.name() == name)?, flags))
    });
    let Some((command, given)) = given else {
        return Err(usage(
            parser().error(ErrorKind::MissingSubcommand, "a command is needed"),
        ));
    };
    let flags = flags_of(command)
        .filter_map(|flag| Some((flag.name, typed(flag, given)?)))
        .collect();
    let operands = command
        .operands()
        .iter()
        .filter_map(|operand| given.try_get_raw(operand.name).ok().flatten())
        .flatten()
        .map(ToOwned::to_owned)
        .collect();
    Ok(Parsed {
        command,
        operands,
        flags,
    })
}

/// Whether a command line that may be wrong is one of `diff` with `--exit-code`.
fn is_diff_with_codes(args: &[OsString]) -> bool {
    let mut args = args.iter().skip(1);
    args.next().is_some_and(|command| command == "diff")
        && args
            .take_while(|arg| *arg != "--")
            .filter_map(|arg| arg.to_str()?.strip_prefix("--exit-code"))
            .any(|rest| rest.is_empty() || rest.strip_prefix('=').is_some_and(is_yes))
}

/// Whether a switch's word switches it on.
fn is_yes(word: &str) -> bool {
    ["true", "yes", "on", "1"]
        .iter()
        .any(|yes| word.eq_ignore_ascii_case(yes))
}

/// Returns what `flake-herald generate` is asked to print, and the command whose man page that is; none where the command line is
/// another one.
///
/// The command is for packagers and for the tests, so the parser of everything else does not know it: neither help nor
/// completions show it.
pub fn generating(args: &[OsString]) -> Option<Result<(Generated, Option<Command>), Usage>> {
    let (first, rest) = args.split_first()?;
    let (name, rest) = rest.split_first()?;
    (name == "generate").then(|| {
        let names = Command::ALL.map(Command::name);
        let words = |words: &[&'static str]| PossibleValuesParser::new(words.to_vec());
        let mut parser = clap::Command::new("flake-herald generate")
            .bin_name("flake-herald generate")
            .about("Print what is made from the program's own lists of commands, flags and keys")
            .arg(
                Arg::new("WHAT")
                    .required(true)
                    .value_parser(words(&Generated::WORDS.split('|').collect::<Vec<_>>())),
            )
            .arg(Arg::new("COMMAND").value_parser(words(&names)));
        let usage = |error| Usage {
            error: Box::new(error),
            code: 1,
        };
        let given = std::iter::once(first).chain(rest);
        let matches = parser.try_get_matches_from_mut(given).map_err(usage)?;
        let word = |name: &str| matches.get_one::<String>(name);
        let what = Generated::ALL
            .iter()
            .find(|what| word("WHAT").is_some_and(|word| word == what.word()));
        let command = Command::ALL
            .into_iter()
            .find(|command| word("COMMAND").is_some_and(|word| word == command.name()));
        match what {
            Some(Generated::Man) => Ok((Generated::Man, command)),
            Some(what) if command.is_none() => Ok((*what, None)),
            _ => {
                let reason = "only `man` takes a command";
                Err(usage(parser.error(ErrorKind::ArgumentConflict, reason)))
            }
        }
    })
}

/// Returns clap's parser for the whole command line.
pub fn parser() -> clap::Command {
    parser_with(&|_, arg| Some(arg))
}

/// Returns the parser with each flag's argument changed, or left out.
pub fn parser_with(change: &dyn Fn(&Flag, Arg) -> Option<Arg>) -> clap::Command {
    clap::Command::new("flake-herald")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Says what a flake update changes on every NixOS host")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .after_help(BEGINNING)
        .subcommands(Command::ALL.map(|command| {
            clap::Command::new(command.name())
                .about(command.about())
                .args(command.operands().iter().map(operand))
                .args(flags_of(command).filter_map(|flag| change(flag, arg(flag))))
                .after_help(command.notes())
        }))
}

fn flags_of(command: Command) -> impl Iterator<Item = &'static Flag> {
    FLAGS
        .iter()
        .filter(move |flag| flag.commands.contains(&command))
}

fn operand(operand: &Operand) -> Arg {
    let arg = Arg::new(operand.name)
        .help(operand.help)
        .value_parser(ValueParser::os_string())
        .value_hint(ValueHint::AnyPath)
        .required(true);
    if operand.repeats {
        arg.num_args(1..)
    } else {
        arg
    }
}

fn arg(flag: &Flag) -> Arg {
    let later = if NOT_YET.contains(&flag.name) {
        " (not yet)"
    } else {
        ""
    };
    let mut arg = Arg::new(flag.name)
        .long(flag.name)
        .help(format!("{}{later}", flag.help))
        .help_heading(flag.heading)
        .value_parser(ValueParser::os_string());
    if let Some(short) = flag.short {
        arg = arg.short(short);
    }
    match flag.shape {
        Shape::Repeat => arg
            .value_parser(clap::value_parser!(u8))
            .action(ArgAction::Count),
        // `--skip-update` or `--skip-update=false`, so that a flag can overrule a file. Without
        // the `=`, the next word would be taken for the value.
        Shape::Switch => arg
            .value_name(flag.value)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Shape::List | Shape::Choices => arg.value_name(flag.value).action(ArgAction::Append),
        Shape::Pairs => arg
            .value_names(flag.value.split(' ').collect::<Vec<_>>())
            .num_args(2)
            .allow_negative_numbers(true)
            .action(ArgAction::Append),
        Shape::Number => arg.value_name(flag.value).allow_negative_numbers(true),
        Shape::Path => arg
            .value_name(flag.value)
            .value_hint(if flag.value == "DIR" {
                ValueHint::DirPath
            } else {
                ValueHint::FilePath
            }),
        Shape::Text | Shape::Choice | Shape::Duration | Shape::Size => arg.value_name(flag.value),
    }
}

/// Returns the words that were typed for a flag; none if it was not given.
fn typed(flag: &Flag, given: &ArgMatches) -> Option<Vec<OsString>> {
    // The `try_` forms, because the others panic on a name that clap does not know.
    if let Shape::Repeat = flag.shape {
        let count = given.try_get_one::<u8>(flag.name).ok()??;
        return (*count > 0).then(|| vec![count.to_string().into()]);
    }
    let words = given.try_get_raw(flag.name).ok()??;
    Some(words.map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(args: &[&str]) -> Result<Parsed, Usage> {
        parse(["flake-herald"].iter().chain(args).map(OsString::from))
    }

    fn flags(args: &[&str]) -> Vec<(&'static str, Vec<String>)> {
        let parsed = typed(args).unwrap();
        let text = |words: &[OsString]| {
            words
                .iter()
                .map(|word| word.to_str().unwrap().to_owned())
                .collect()
        };
        parsed
            .flags()
            .map(|(name, words)| (name, text(words)))
            .collect()
    }

    fn help(name: &str) -> String {
        let mut parser = parser().term_width(100);
        parser.build();
        parser
            .find_subcommand_mut(name)
            .unwrap()
            .render_help()
            .to_string()
    }

    #[test]
    fn the_parser_is_sound() {
        parser().debug_assert();
    }

    #[test]
    fn flags_become_words() {
        insta::assert_debug_snapshot!(flags(&[
            "report", "--host", "a", "--host", "b", "--skip-update", "--no-build=false", "-vvq", "--option", "cores", "2",
            "--option", "max-silent-time", "-1", "--eval-batch=8", "--color", "never",
        ]), @r#"
        [
            (
                "color",
                [
                    "never",
                ],
            ),
            (
                "eval-batch",
                [
                    "8",
                ],
            ),
            (
                "host",
                [
                    "a",
                    "b",
                ],
            ),
            (
                "no-build",
                [
                    "false",
                ],
            ),
            (
                "option",
                [
                    "cores",
                    "2",
                    "max-silent-time",
                    "-1",
                ],
            ),
            (
                "quiet",
                [
                    "true",
                ],
            ),
            (
                "skip-update",
                [
                    "true",
                ],
            ),
            (
                "verbose",
                [
                    "2",
                ],
            ),
        ]
        "#);
        assert_eq!(
            flags(&["lock", "-o", "new.lock"]),
            [("output", vec!["new.lock".to_owned()])]
        );
        assert_eq!(flags(&["config"]), []);
    }

    #[test]
    fn a_switch_takes_a_word_only_behind_an_equals_sign() {
        assert_eq!(
            flags(&["report", "--skip-update=false"]),
            [("skip-update", vec!["false".to_owned()])]
        );
        assert!(typed(&["report", "--skip-update", "false"]).is_err());
    }

    #[test]
    fn help_and_version_are_no_errors_and_all_else_is_one() {
        let code = |args: &[&str]| typed(args).unwrap_err().exit_code();
        assert_eq!(code(&["--help"]), 0);
        assert_eq!(code(&["report", "--help"]), 0);
        assert_eq!(code(&["help", "run"]), 0);
        assert_eq!(code(&["--version"]), 0);
        assert_eq!(code(&[]), 1);
        assert_eq!(code(&["reprot"]), 1);
        assert_eq!(code(&["report", "--nope"]), 1);
        assert_eq!(code(&["report", "--host"]), 1);
        assert_eq!(code(&["report", "--lock", "a", "--lock", "b"]), 1);
        assert_eq!(code(&["report", "--label", "x"]), 1);
        assert_eq!(code(&["report", "stray"]), 1);
    }

    #[test]
    fn with_exit_code_a_mistake_is_told_from_a_difference() {
        let code = |args: &[&str]| typed(args).unwrap_err().exit_code();
        for args in [
            &["diff"][..],
            &["diff", "1"],
            &["diff", "1", "2", "3"],
            &["diff", "--", "--exit-code"],
            &["diff", "--exit-code=no", "1"],
            &["report", "--exit-code"],
        ] {
            assert_eq!(code(args), 1, "{args:?}");
        }
        for args in [
            &["diff", "--exit-code"][..],
            &["diff", "1", "--exit-code=true"],
            &["diff", "--exit-code", "1", "2", "3"],
            &["diff", "1", "2", "--hots", "--exit-code"],
        ] {
            assert_eq!(code(args), 2, "{args:?}");
        }
        assert_eq!(code(&["diff", "--exit-code", "--help"]), 0);
        let asks = |args: &[&str]| typed(args).unwrap().asks_for_exit_code();
        assert!(asks(&["diff", "--exit-code", "1", "2"]));
        assert!(!asks(&["diff", "--exit-code=false", "1", "2"]));
        assert!(!asks(&["diff", "1", "2"]));
    }

    #[test]
    fn operands_come_in_their_order() {
        let operands = |args: &[&str]| typed(args).unwrap().operands;
        assert_eq!(operands(&["diff", "b", "--all", "--", "-a"]), ["b", "-a"]);
        assert_eq!(operands(&["publish", "b", "a", "c"]), ["b", "a", "c"]);
        assert_eq!(operands(&["snapshot", "-o", "-", "a"]), ["a"]);
        assert!(operands(&["hosts"]).is_empty());
    }

    #[test]
    fn only_what_was_asked_for_goes_to_stdout() {
        let to_stderr = |args: &[&str]| typed(args).unwrap_err().error.use_stderr();
        assert!(!to_stderr(&["--help"]));
        assert!(!to_stderr(&["--version"]));
        assert!(to_stderr(&[]));
        assert!(to_stderr(&["report", "--nope"]));
    }

    #[test]
    fn no_command_shows_the_help() {
        insta::assert_snapshot!(typed(&[]).unwrap_err(), @"
        Says what a flake update changes on every NixOS host

        Usage: flake-herald <COMMAND>

        Commands:
          run       Update the lock, report what changes on every host, publish a pull request
          report    Report what an update changes on every host; publish nothing
          publish   Merge reports made elsewhere, check them, and publish them as one pull request
          diff      Say what changes from one closure to another
          snapshot  Write a closure into a file that `diff` takes in its place
          hosts     List the hosts that would be built
          lock      Stage the new lock into a file; exit 2 if it does not change
          config    Show the merged configuration and where each value comes from
          help      Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version

        Begin with `flake-herald report` in the directory of a flake: it publishes nothing and leaves the
        checkout as it is. The pages begin with
        https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md
        ");
    }

    #[test]
    fn help_of_report() {
        insta::assert_snapshot!(help("report"), @r"
        Report what an update changes on every host; publish nothing

        Usage: flake-herald report [OPTIONS]

        Options:
          -h, --help  Print help

        Flake:
              --flake <DIR>               Directory of the flake [default: .]
              --config <FILE>             Configuration file [default: flake-herald.toml beside flake.nix]
              --submodules <auto|on|off>  Whether the flake sees its git submodules

        Hosts:
              --host <GLOB>                   Only these hosts, as NAME or kind:NAME; * ? [ab] {a,b} match,
                                              \[ is a bracket; a plain name beats excludes
              --exclude-host <GLOB>           Leave these hosts out, besides *-minimal
              --no-default-excludes[=<BOOL>]  Do not leave out *-minimal
              --kind <nixos|darwin|home>      Kinds of hosts, instead of nixos
              --attr <PATH>                   Also the derivation at this attribute path, or each in a set
                                              of them
              --plan <FILE>                   Take the scope from this list of hosts, as `hosts` wrote it

        Inputs:
              --input <NAME>                Update only these inputs
              --exclude-input <NAME>        Update all inputs but these
              --on-unreachable <fail|keep>  Fail on an input that cannot be reached, or keep its lock
              --skip-update[=<BOOL>]        Compare the commit's flake.lock with the working tree's
              --lock <FILE>                 Compare with this lock instead of updating; for publish: the
                                            lock that was reported on
              --write-lock[=<BOOL>]         Write the new lock into the working tree

        Nix:
              --no-build[=<BOOL>]
                  Report only what evaluation knows
              --eval-jobs <N>
                  Evaluations at the same time
              --eval-batch <N>
                  Hosts evaluated together in one process
              --eval-memory <SIZE>
                  Most memory that evaluations may take together [default: three quarters of what is free]
              --max-jobs <N>
                  Builds at the same time on this machine
              --run-timeout <TIME>
                  Longest time for the whole run, as 90s, 30m, 2h
              --build-timeout <TIME>
                  Longest time for one build
              --min-free <SIZE>
                  Stop building below this much free disk space, as 20GiB
              --accept-flake-config[=<BOOL>]
                  Let Nix apply the flake's nixConfig
              --pass-env <NAME>
                  Let Nix and git see this variable though it holds a secret
              --option <NAME> <VALUE>
                  Setting handed to Nix
              --nix-access-token-file <FILE>
                  File with access-tokens for Nix's fetchers
              --store-reader <auto|database|command>
                  How closures are read from the store (database: not yet)

        Output:
              --format <text|markdown|json>  Format on stdout [default: text on a terminal, else markdown]
              --output-dir <DIR>             Write report.md, report.json, report.txt, logs and flake.lock
                                             here
              --fail-on <broken|any|never>   Which failing hosts give exit code 4
              --color <auto|always|never>    When to colour output
              --log-format <text|json>       Format of the log on stderr
          -v, --verbose...                   Say more on stderr; twice for everything
          -q, --quiet[=<BOOL>]               Say only warnings and errors on stderr

        The first word of a choice is its default, where nothing else is said. Each flag but --config and
        --flake is also a key of flake-herald.toml, and each is an environment variable: --eval-batch is
        FLAKE_HERALD_EVAL_BATCH. A variable holds a list as one entry a line, and options as NAME VALUE a
        line.
        ");
    }

    #[test]
    fn help_of_run_adds_publishing() {
        let help = help("run");
        let (_, publishing) = help.split_once("Publishing:\n").unwrap();
        insta::assert_snapshot!(publishing, @"
              --dry-run[=<BOOL>]
                  Stop after the report: no commit, no push, no pull request
              --forge <auto|forgejo|gitea|github>
                  Kind of forge
              --server-url <URL>
                  The forge's address
              --api-url <URL>
                  The address of the forge's API
              --repository <OWNER/NAME>
                  The repository on the forge
              --token-file <FILE>
                  File with the forge's token, instead of FLAKE_HERALD_TOKEN
              --base <BRANCH>
                  Branch that the pull request goes to
              --branch <BRANCH>
                  Branch of the pull request [default: auto/flake-update]
              --remote <NAME>
                  Git remote that is pushed to
              --title <TEMPLATE>
                  Title of the pull request
              --body-template <FILE>
                  Template of the pull request's body
              --commit-message <TEMPLATE>
                  Message of the commit
              --author <NAME <MAIL>>
                  Author of the commit
              --signoff[=<BOOL>]
                  Add a Signed-off-by line to the commit
              --sign <auto|ssh|gpg|off>
                  How to sign the commit
              --signing-key-file <FILE>
                  Key that signs the commit
              --commit-via <push|api>
                  Push the commit, or have the forge make it (not yet)
              --label <NAME>
                  Label of a new pull request (not yet)
              --create-labels[=<BOOL>]
                  Create labels that the forge does not have (not yet)
              --assignee <LOGIN>
                  Assignee of a new pull request (not yet)
              --reviewer <LOGIN>
                  Reviewer asked for a new pull request (not yet)
              --draft <never|on-failure|always>
                  When the pull request is a draft (not yet)
              --auto-merge <off|when-green|now>
                  Whether the pull request merges itself (not yet)
              --merge-method <merge|squash|rebase|rebase-merge|fast-forward-only>
                  How it is merged [default: the forge's] (not yet)
              --rebase-when <conflicted|behind>
                  When to put the branch on top of the base again
              --hold-label <NAME>
                  Label that stops us [default: flake-herald:hold]
              --keep-obsolete[=<BOOL>]
                  Leave a pull request open that has become needless
              --publish-unchanged[=<BOOL>]
                  Publish also when no host changes
              --cache-to <URL>
                  Copy what was built to this cache (not yet)
              --cache-required[=<BOOL>]
                  Do not publish if copying to a cache fails (not yet)

        The first word of a choice is its default, where nothing else is said. Each flag but --config and
        --flake is also a key of flake-herald.toml, and each is an environment variable: --eval-batch is
        FLAKE_HERALD_EVAL_BATCH. A variable holds a list as one entry a line, and options as NAME VALUE a
        line.
        ");
    }

    #[test]
    fn help_of_the_small_commands() {
        insta::assert_snapshot!(help("hosts"), @r"
        List the hosts that would be built

        Usage: flake-herald hosts [OPTIONS]

        Options:
          -h, --help  Print help

        Flake:
              --flake <DIR>               Directory of the flake [default: .]
              --config <FILE>             Configuration file [default: flake-herald.toml beside flake.nix]
              --submodules <auto|on|off>  Whether the flake sees its git submodules

        Hosts:
              --host <GLOB>                   Only these hosts, as NAME or kind:NAME; * ? [ab] {a,b} match,
                                              \[ is a bracket; a plain name beats excludes
              --exclude-host <GLOB>           Leave these hosts out, besides *-minimal
              --no-default-excludes[=<BOOL>]  Do not leave out *-minimal
              --kind <nixos|darwin|home>      Kinds of hosts, instead of nixos
              --attr <PATH>                   Also the derivation at this attribute path, or each in a set
                                              of them
              --systems[=<BOOL>]              Evaluate each host's system for the JSON list

        Nix:
              --eval-jobs <N>                 Evaluations at the same time
              --eval-batch <N>                Hosts evaluated together in one process
              --eval-memory <SIZE>            Most memory that evaluations may take together [default: three
                                              quarters of what is free]
              --max-jobs <N>                  Builds at the same time on this machine
              --run-timeout <TIME>            Longest time for the whole run, as 90s, 30m, 2h
              --build-timeout <TIME>          Longest time for one build
              --accept-flake-config[=<BOOL>]  Let Nix apply the flake's nixConfig
              --pass-env <NAME>               Let Nix and git see this variable though it holds a secret
              --option <NAME> <VALUE>         Setting handed to Nix
              --nix-access-token-file <FILE>  File with access-tokens for Nix's fetchers

        Output:
              --format <text|json>         Format of the list
              --color <auto|always|never>  When to colour output
              --log-format <text|json>     Format of the log on stderr
          -v, --verbose...                 Say more on stderr; twice for everything
          -q, --quiet[=<BOOL>]             Say only warnings and errors on stderr

        The first word of a choice is its default, where nothing else is said. Each flag but --config and
        --flake is also a key of flake-herald.toml, and each is an environment variable: --eval-batch is
        FLAKE_HERALD_EVAL_BATCH. A variable holds a list as one entry a line, and options as NAME VALUE a
        line.
        ");
        insta::assert_snapshot!(help("lock"), @"
        Stage the new lock into a file; exit 2 if it does not change

        Usage: flake-herald lock [OPTIONS]

        Options:
          -h, --help  Print help

        Flake:
              --flake <DIR>               Directory of the flake [default: .]
              --config <FILE>             Configuration file [default: flake-herald.toml beside flake.nix]
              --submodules <auto|on|off>  Whether the flake sees its git submodules

        Inputs:
              --input <NAME>                Update only these inputs
              --exclude-input <NAME>        Update all inputs but these
              --on-unreachable <fail|keep>  Fail on an input that cannot be reached, or keep its lock

        Nix:
              --run-timeout <TIME>            Longest time for the whole run, as 90s, 30m, 2h
              --accept-flake-config[=<BOOL>]  Let Nix apply the flake's nixConfig
              --pass-env <NAME>               Let Nix and git see this variable though it holds a secret
              --option <NAME> <VALUE>         Setting handed to Nix
              --nix-access-token-file <FILE>  File with access-tokens for Nix's fetchers

        Output:
          -o, --output <FILE>              Where to write the new lock
              --color <auto|always|never>  When to colour output
              --log-format <text|json>     Format of the log on stderr
          -v, --verbose...                 Say more on stderr; twice for everything
          -q, --quiet[=<BOOL>]             Say only warnings and errors on stderr

        The first word of a choice is its default, where nothing else is said. Each flag but --config and
        --flake is also a key of flake-herald.toml, and each is an environment variable: --eval-batch is
        FLAKE_HERALD_EVAL_BATCH. A variable holds a list as one entry a line, and options as NAME VALUE a
        line.
        ");
    }

    #[test]
    fn help_of_what_needs_no_flake() {
        insta::assert_snapshot!(help("diff"), @"
        Say what changes from one closure to another

        Usage: flake-herald diff [OPTIONS] <OLD> <NEW>

        Arguments:
          <OLD>  The closure before: the path, generation or snapshot it is known by, see below
          <NEW>  The closure after, likewise

        Options:
          -h, --help  Print help

        Nix:
              --pass-env <NAME>
                  Let Nix and git see this variable though it holds a secret
              --option <NAME> <VALUE>
                  Setting handed to Nix
              --store-reader <auto|database|command>
                  How closures are read from the store (database: not yet)

        Comparison:
              --selected[=<BOOL>]        Only packages that the user chose
              --sort <name|semver|size>  Order of the rows
              --all[=<BOOL>]             Fold nothing: a row for each package of a family, each rebuilt one,
                                         each unit and file
              --exit-code[=<BOOL>]       Exit 0 where nothing changes, 1 where something does, 2 after an
                                         error, as diff does

        Output:
              --format <text|markdown|json>  Format on stdout
              --config <FILE>                Configuration file [default: none]
              --color <auto|always|never>    When to colour output
              --log-format <text|json>       Format of the log on stderr
          -v, --verbose...                   Say more on stderr; twice for everything
          -q, --quiet[=<BOOL>]               Say only warnings and errors on stderr

        A closure is a store path and all that it refers to. It is known by:
          /nix/store/…-x                    a store path, of a system or of anything else
          ./result, /run/current-system     a link to one, or links that lead there: profiles, homes
          41                                a generation of the system profile (a file of that name is ./41)
          old.json                          a file that `flake-herald snapshot` wrote; needs no Nix

        The first word of a choice is its default. Each flag but --config is also a key of the file that
        --config names (the flake-herald.toml beside a flake is not read here), and each is an environment
        variable: --color is FLAKE_HERALD_COLOR.
        ");
        insta::assert_snapshot!(help("snapshot"), @"
        Write a closure into a file that `diff` takes in its place

        Usage: flake-herald snapshot [OPTIONS] <PATH>

        Arguments:
          <PATH>  The closure: the path, generation or snapshot it is known by, see below

        Options:
          -h, --help  Print help

        Nix:
              --pass-env <NAME>
                  Let Nix and git see this variable though it holds a secret
              --option <NAME> <VALUE>
                  Setting handed to Nix
              --store-reader <auto|database|command>
                  How closures are read from the store (database: not yet)

        Output:
          -o, --output <FILE>              Where to write the snapshot; - for stdout
              --config <FILE>              Configuration file [default: none]
              --color <auto|always|never>  When to colour output
              --log-format <text|json>     Format of the log on stderr
          -v, --verbose...                 Say more on stderr; twice for everything
          -q, --quiet[=<BOOL>]             Say only warnings and errors on stderr

        A closure is a store path and all that it refers to. It is known by:
          /nix/store/…-x                    a store path, of a system or of anything else
          ./result, /run/current-system     a link to one, or links that lead there: profiles, homes
          41                                a generation of the system profile (a file of that name is ./41)
          old.json                          a file that `flake-herald snapshot` wrote; needs no Nix

        The first word of a choice is its default. Each flag but --config is also a key of the file that
        --config names (the flake-herald.toml beside a flake is not read here), and each is an environment
        variable: --color is FLAKE_HERALD_COLOR.
        ");
    }

    #[test]
    fn debug_shows_no_value() {
        let parsed = typed(&["report", "--option", "netrc-file", "hunter2"]).unwrap();
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }

    #[test]
    fn every_choice_shows_its_words() {
        fn holds<T: Choice + PartialEq + Default + std::fmt::Debug>() {
            let words: Vec<&str> = T::ALL.iter().map(|choice| choice.word()).collect();
            assert_eq!(words.join("|"), T::WORDS);
            assert_eq!(T::ALL.first(), Some(&T::default()));
        }
        holds::<Kind>();
        holds::<Format>();
        holds::<MergeMethod>();
    }
}
