//! Hosts that fail, for a reader: what failed, in whose words, and the end of the log; each kind of failure once.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::clean::Redactor;
use super::text::HostNames;
use super::{Failure, HostReport, Report, SideName, Stage, Status};

/// Hosts that fail, or are left open, in the same way. All texts but `what` are foreign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailureGroup<'a> {
    pub(super) status: Status,
    /// The hosts, in the report's order; at least one.
    pub(super) hosts: Vec<&'a HostReport>,
    /// Why they were skipped or are unknown.
    pub(super) reason: Option<&'a str>,
    /// What failed, in our words: `does not build after the update`.
    pub(super) what: Option<String>,
    pub(super) stage: Option<Stage>,
    pub(super) side: Option<SideName>,
    /// The derivation's store path; the first host's, where those of the others differ in nothing but their hash.
    pub(super) derivation: Option<&'a str>,
    /// The few lines of the error that tell what is wrong, in their order; then those of the log that look like an error and stand
    /// before its end.
    pub(super) telling: Vec<String>,
    /// The rest of the error, in its order; empty where the telling lines are all of it.
    pub(super) error: Vec<String>,
    /// The last 20 lines of the log at most, without colours.
    pub(super) log: Vec<String>,
    /// Of these, what a reader sees while the log is folded: the lines that look like an error, or where no line of the whole log
    /// does, the last ones. Few at most, and none where the log is said to be another's.
    pub(super) signs: Vec<String>,
    /// What the first host of an earlier group is called that has this same log: then it is not said again.
    pub(super) log_as: Option<String>,
}

/// How many lines of an error tell what is wrong.
const TELLING: usize = 6;

/// How many lines of a log are shown.
const LOG: usize = 20;

/// How many of a log's last lines stand for it where none looks like an error.
const SIGNS: usize = 3;

/// How many kinds of failure show something of their log while it is folded.
const WITH_SIGNS: usize = 8;

/// Returns the hosts that are broken, already broken, mended, skipped or unknown, in that order; those that fail alike together,
/// the failure of the most hosts first.
///
/// Hosts fail alike where a reader would see the same but for hashes in store paths: of a derivation that is made for each host, each
/// has another.
pub(super) fn failures(report: &Report) -> Vec<FailureGroup<'_>> {
    const FAILING: [Status; 5] = [
        Status::Broken,
        Status::AlreadyBroken,
        Status::Mended,
        Status::Skipped,
        Status::Unknown,
    ];
    let names = HostNames::of(report);
    let mut groups = Vec::new();
    for status in FAILING {
        let mut alike: Vec<Alike<'_>> = Vec::new();
        let mut known: HashMap<Key<'_>, usize> = HashMap::new();
        for host in report.with_status(status) {
            let told = Told::of(host);
            let next = alike.len();
            let at = *known.entry(told.key()).or_insert(next);
            match alike.get_mut(at) {
                Some(alike) => alike.hosts.push(host),
                None => alike.push(Alike {
                    hosts: vec![host],
                    told,
                }),
            }
        }
        alike.sort_by_key(|alike| Reverse(alike.hosts.len()));
        groups.extend(alike.into_iter().map(|alike| alike.group(status)));
    }
    // Of many failures it matters more that each is there.
    for group in groups.iter_mut().skip(WITH_SIGNS) {
        group.signs.clear();
    }
    let mut logs: HashMap<Vec<String>, String> = HashMap::new();
    for group in groups.iter_mut().filter(|group| !group.log.is_empty()) {
        if let Some(name) = logs.get(&group.log) {
            group.log_as = Some(name.clone());
            group.log.clear();
            group.signs.clear();
        } else if let Some(host) = group.hosts.first() {
            logs.insert(group.log.clone(), names.of_host(host));
        }
    }
    groups
}

/// Hosts that fail alike.
struct Alike<'a> {
    hosts: Vec<&'a HostReport>,
    told: Told<'a>,
}

/// What is told of a host.
struct Told<'a> {
    reason: Option<&'a str>,
    what: Option<String>,
    failure: Option<&'a Failure>,
    /// The error, a clean line each.
    error: Vec<String>,
    log: Vec<String>,
    /// What of the log looks like an error and stands before its end.
    log_errors: Vec<String>,
    /// What of the log's end a reader sees while it is folded.
    signs: Vec<String>,
}

/// What two hosts that fail alike have alike.
type Key<'a> = (
    Option<&'a str>,
    Option<String>,
    Option<String>,
    Vec<String>,
    Vec<String>,
    Vec<String>,
);

impl<'a> Told<'a> {
    fn of(host: &'a HostReport) -> Self {
        let failure = host.failure.as_ref();
        let log = failure.map_or_else(Vec::new, |failure| end_of_log(&failure.log_tail));
        let errors = failure.map_or_else(Vec::new, |failure| {
            let errors = clean(failure.log_errors.iter().flat_map(|line| line.split('\n')));
            let errors = errors.into_iter().map(|line| line.trim().to_owned());
            errors.filter(|error| !error.is_empty()).collect()
        });
        // One that was cut for its length is the start of its line.
        let (mut signs, mut log_errors): (Vec<String>, Vec<String>) =
            errors.into_iter().partition(|error| {
                log.iter()
                    .any(|line| line.trim().starts_with(error.as_str()))
            });
        log_errors.truncate(TELLING);
        signs.truncate(TELLING - log_errors.len());
        if signs.is_empty() && log_errors.is_empty() {
            signs = log
                .iter()
                .skip(log.len().saturating_sub(SIGNS))
                .cloned()
                .collect();
        }
        Self {
            reason: host.reason.as_deref(),
            what: failure.map(|failure| what_fails(host, failure)),
            failure,
            error: failure.map_or_else(Vec::new, |failure| lines_of_error(&failure.error)),
            log,
            log_errors,
            signs,
        }
    }

    fn key(&self) -> Key<'a> {
        let masked = |lines: &[String]| lines.iter().map(|line| without_hashes(line)).collect();
        let derivation = self
            .failure
            .and_then(|failure| failure.derivation.as_deref());
        (
            self.reason,
            self.what.clone(),
            derivation.map(without_hashes),
            masked(&self.error),
            masked(&self.log),
            masked(&self.log_errors),
        )
    }
}

impl<'a> Alike<'a> {
    fn group(self, status: Status) -> FailureGroup<'a> {
        let Told {
            reason,
            what,
            failure,
            error,
            log,
            log_errors,
            signs,
        } = self.told;
        let (mut telling, error) = telling(error);
        telling.extend(log_errors);
        FailureGroup {
            status,
            hosts: self.hosts,
            reason,
            what,
            stage: failure.map(|failure| failure.stage),
            side: failure.map(|failure| failure.side),
            derivation: failure.and_then(|failure| failure.derivation.as_deref()),
            telling,
            error,
            log,
            signs,
            log_as: None,
        }
    }
}

/// Says what a host fails at, and on which side.
fn what_fails(host: &HostReport, failure: &Failure) -> String {
    let side = match (host.status, failure.side) {
        (Status::AlreadyBroken, side) if host.before.is_some() || side == SideName::Before => {
            " before or after the update"
        }
        // Of a side that does not evaluate nothing is known, so that there may have been no side before.
        (Status::AlreadyBroken, _) => "",
        (_, SideName::Before) => " before the update",
        (_, SideName::After) => " after the update",
    };
    format!("{}{side}", failure.stage.what_fails())
}

/// Returns lines without what does not belong into a text. Those of a run of ours are clean; a report may come from elsewhere.
fn clean<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let redactor = Redactor::default();
    let lines = lines.map(|line| redactor.line(line).trim_end().to_owned());
    without_empty_ends(lines.collect())
}

fn without_empty_ends(mut lines: Vec<String>) -> Vec<String> {
    let start = lines.iter().take_while(|line| line.is_empty()).count();
    lines.drain(..start);
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

fn end_of_log(log: &[String]) -> Vec<String> {
    let mut lines = clean(log.iter().flat_map(|line| line.split('\n')));
    lines.drain(..lines.len().saturating_sub(LOG));
    without_empty_ends(lines)
}

/// Returns the lines of an error, without those that say no more than that it is one.
fn lines_of_error(error: &str) -> Vec<String> {
    let mut lines = clean(error.lines());
    lines.retain(|line| line.trim() != "error:");
    without_empty_ends(lines)
}

/// Returns a text without the hashes in its store paths: 32 letters and digits between `/` and `-`.
fn without_hashes(text: &str) -> String {
    const LENGTH: usize = 32;
    let mut parts = text.split('/');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hash = part.split_once('-').filter(|(hash, _)| {
            hash.len() == LENGTH && hash.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        out.push('/');
        out.push_str(hash.map_or(part, |(_, name)| name));
    }
    out
}

/// How much a line of an error tells, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// The error itself, and what is known to name its cause.
    Cause,
    /// What stands below it in the same paragraph.
    Near,
    /// What follows.
    Far,
    /// The trace, the source around it, how to get around it, where to look further.
    Aside,
}

/// Parts an error into the lines that tell what is wrong and the others.
fn telling(lines: Vec<String>) -> (Vec<String>, Vec<String>) {
    let said = lines.iter().filter(|line| !line.is_empty()).count();
    let around = lines.iter().any(|line| is_way_around(line.trim()));
    if said <= TELLING && !around {
        let lines = lines.into_iter().filter(|line| !line.is_empty());
        return (dedented(lines.collect()), Vec::new());
    }
    let weights = weights(&lines);
    let mut chosen: Vec<usize> = (0..lines.len())
        .filter(|at| lines.get(*at).is_some_and(|line| !line.is_empty()))
        .filter(|at| weights.get(*at).is_some_and(|w| *w < Weight::Aside))
        .collect();
    // Where a cause is named, what follows far below adds nothing to it.
    let named = lines.iter().any(|line| is_cause(line));
    if named {
        chosen.retain(|at| weights.get(*at).is_some_and(|w| *w < Weight::Far));
    }
    if chosen.is_empty() {
        chosen = (0..lines.len()).collect();
    }
    chosen.sort_by_key(|at| weights.get(*at).copied());
    chosen.truncate(TELLING);
    let mut telling = Vec::new();
    let mut rest = Vec::new();
    for (at, line) in lines.into_iter().enumerate() {
        if chosen.contains(&at) {
            telling.push(line);
        } else {
            rest.push(line);
        }
    }
    (dedented(telling), without_empty_ends(rest))
}

/// Returns lines without the spaces that all of them begin with.
fn dedented(mut lines: Vec<String>) -> Vec<String> {
    let indent = |line: &String| line.len() - line.trim_start_matches(' ').len();
    let least = lines.iter().map(indent).min().unwrap_or(0);
    for line in &mut lines {
        line.drain(..least);
    }
    lines
}

/// Returns how much each line of an error tells. The error that counts is the last one: a trace stands before it.
fn weights(lines: &[String]) -> Vec<Weight> {
    let error = lines
        .iter()
        .rposition(|line| line.trim_start().starts_with("error:"))
        .unwrap_or(0);
    let (mut near, mut listed, mut aside) = (true, false, false);
    let mut weights = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim();
        listed &= !text.is_empty();
        near &= at <= error || !text.is_empty();
        aside |= is_way_around(text);
        weights.push(if at == error {
            Weight::Cause
        } else if at < error || aside || is_aside(text) {
            Weight::Aside
        } else if listed || is_cause(text) {
            Weight::Cause
        } else if near {
            Weight::Near
        } else {
            Weight::Far
        });
        listed |= is_list(text);
    }
    weights
}

/// Whether a list of what is wrong follows a line.
fn is_list(text: &str) -> bool {
    text == "Known issues:" || text == "Failed assertions:" || text.ends_with("efinition values:")
}

/// Whether a line names the cause of an error, by the words of Nix and of nixpkgs.
fn is_cause(text: &str) -> bool {
    const STARTS: [&str; 5] = [
        "specified:",
        "got:",
        "Reason: ",
        "Required system:",
        "Current system:",
    ];
    const WORDS: [&str; 13] = [
        "refusing to evaluate",
        "failed with exit code",
        "hash mismatch in",
        "No space left on device",
        "out of memory",
        "is required to build",
        "option `",
        "is marked as ",
        "has been removed",
        "undefined variable",
        "infinite recursion",
        "Did you mean",
        "timed out after",
    ];
    let text = text.trim_start();
    is_list(text)
        || is_position(text)
        || STARTS.iter().any(|start| text.starts_with(start))
        || WORDS.iter().any(|words| text.contains(words))
}

/// Whether a line is a place in a file: `at /nix/store/…/flake.nix:3:5:`.
fn is_position(text: &str) -> bool {
    let Some(place) = text.strip_prefix("at ") else {
        return false;
    };
    let numbers = place.trim_end_matches(':').rsplit(':').take(2);
    numbers.clone().count() == 2
        && numbers
            .into_iter()
            .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether from this line on nixpkgs says how to install a package all the same.
fn is_way_around(text: &str) -> bool {
    text.starts_with("You can install it anyway") || text.starts_with("a) To temporarily allow ")
}

/// Whether a line is of a trace, of source text that is quoted, or of what Nix always says.
fn is_aside(text: &str) -> bool {
    const STARTS: [&str; 8] = [
        "… ",
        "> ",
        "(stack trace truncated",
        "(use '--show-trace'",
        "For full logs, run",
        "nix log ",
        "Output paths:",
        "Last ",
    ];
    let quoted = text
        .split_once('|')
        .is_some_and(|(number, _)| number.trim().bytes().all(|byte| byte.is_ascii_digit()));
    let is_path = text.starts_with('/') && !text.contains(char::is_whitespace);
    // Of a derivation that only hangs on the one that failed.
    let hangs =
        text.contains("dependencies of derivation '") || text.ends_with("dependency failed.");
    quoted || is_path || hangs || STARTS.iter().any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    macro_rules! sample {
        ($version:literal, $name:literal) => {
            include_str!(concat!("../../fixtures/nix/", $version, "/", $name, ".err"))
        };
    }

    /// The telling lines of an error, then how many more there are.
    fn told(error: &str) -> String {
        let (telling, rest) = telling(lines_of_error(error));
        format!("{}\n({} more)", telling.join("\n"), rest.len())
    }

    #[test]
    fn errors_before_the_end_of_a_log_are_told() {
        let tail: Vec<String> = (0..25)
            .map(|i| format!("make: *** [{i}] Error 2"))
            .collect();
        let told = |errors: Value| {
            let mut report = super::super::tests::report(1, 0, "n", 1);
            let mut host = serde_json::to_value(&report.hosts[0]).unwrap();
            host["failure"]["error"] = json!("builder failed with exit code 2");
            host["failure"]["log_tail"] = json!(tail);
            host["failure"]["log_errors"] = errors;
            report.hosts[0] = serde_json::from_value(host).unwrap();
            failures(&report).remove(0).telling.join("\n")
        };
        // The last one is in the end of the log anyway; of the last but one only the start was kept.
        insta::assert_snapshot!(told(json!(["  \u{1b}[31ma.c:1: error:\u{1b}[m no", "error: b\nerror: c", "make: *** [9", &tail[20], ""])), @"
        builder failed with exit code 2
        a.c:1: error: no
        error: b
        error: c
        ");
        assert_eq!(told(json!([])), "builder failed with exit code 2");
        let many: Vec<String> = (0..99).map(|i| format!("error: {i}")).collect();
        assert_eq!(told(json!(many)).lines().count(), 1 + TELLING);
    }

    #[test]
    fn the_telling_lines_of_what_nix_said_are_those_of_the_last_error() {
        let table = [
            sample!("2.26.3", "eval-fail-one"),
            sample!("2.34.8", "eval-fail-one"),
            sample!("2.34.8", "syntax-error"),
            sample!("2.34.8", "hash-mismatch"),
            sample!("2.34.8", "platform-mismatch"),
            sample!("2.26.3", "timeout"),
        ]
        .map(told);
        insta::assert_snapshot!(table.join("\n\n"), @"
        error: gnome-shell has been removed, as it was unmaintained
        (19 more)

        error: gnome-shell has been removed, as it was unmaintained
        (19 more)

        error: syntax error, unexpected ';'
               at «string»:1:7:
                    1| { a = ; }
                     |       ^
        (0 more)

        this derivation will be built:
          /D/nix/store/4zx8v8qw9a58hcbyympq4gpl2wqrd3wk-src-1.drv
        building '/D/nix/store/4zx8v8qw9a58hcbyympq4gpl2wqrd3wk-src-1.drv'...
        error: hash mismatch in fixed-output derivation '/D/nix/store/4zx8v8qw9a58hcbyympq4gpl2wqrd3wk-src-1.drv':
                 specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
                    got:    sha256-mOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=
        (0 more)

        this derivation will be built:
          /D/nix/store/zxg56dbzfsvp2q6rbs0fdvgnn6bkwhrb-x-1.drv
        error: Cannot build '/D/nix/store/zxg56dbzfsvp2q6rbs0fdvgnn6bkwhrb-x-1.drv'.
               Reason: platform mismatch
               Required system: 'aarch64-linux'
               Current system: 'x86_64-linux'
        (0 more)

        this derivation will be built:
          /D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv
        building '/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv'...
        error: building of '/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv^out' from .drv file timed out after <duration>
        (0 more)
        ");
    }

    const INSECURE: &str = "error: Package ‘openssl-1.1.1w’ in <source>/pkgs/openssl/default.nix:210 is marked as insecure, refusing to evaluate.


Known issues:
 - OpenSSL 1.1 is reaching its end of life on 2023/09/11 and cannot
   be supported through the NixOS 23.05 release cycle.
 - another

You can install it anyway by allowing this package, using the
following methods:

a) To temporarily allow all insecure packages, you can use an environment
   variable for a single invocation of the nix tools:

     $ export NIXPKGS_ALLOW_INSECURE=1";

    const UNFREE: &str = "error: Package ‘steam-1.0’ in <source>/pkgs/steam/default.nix:1 has an unfree license (‘unfree’), refusing to evaluate.

a) To temporarily allow unfree packages, you can use an environment variable
   for a single invocation of the nix tools.

     $ export NIXPKGS_ALLOW_UNFREE=1

   Note: When using `nix shell`, `nix build`, `nix develop`, etc with a flake,
         then pass `--impure` in order to allow use of environment variables.";

    const UNSUPPORTED: &str = "error: Package ‘x-1.0’ in <source>/x.nix:1 is not available on the requested hostPlatform:
  hostPlatform.system = \"aarch64-linux\"
  package.meta.platforms = [
    \"x86_64-linux\"
  ]
  package.meta.badPlatforms = [ ]
, refusing to evaluate.

a) To temporarily allow packages that are unsupported for this system, you can use an environment variable";

    const ASSERTIONS: &str = "error:
Failed assertions:
- The ‘fileSystems’ option does not specify your root file system.
- You must set the option ‘boot.loader.grub.devices’ or
  'boot.loader.grub.mirroredBoots' to make the system bootable.
- third
- fourth
- fifth";

    const OPTION: &str = "error: The option `services.nginx.enable' has conflicting definition values:
- In `<source>/hosts/web.nix': false
- In `<source>/modules/web.nix': true
Use `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";

    const MISSING: &str = "error: attribute 'nginxx' missing
at <source>/hosts/web.nix:3:5:
     2| {
     3|   package = pkgs.nginxx;
      |             ^
     4| }
Did you mean one of nginx or nginxQuic?";

    const HASHES: &str = "hash mismatch in fixed-output derivation '/nix/store/4zx8v8qw9a58hcbyympq4gpl2wqrd3wk-a.drv':
  specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
  got:       sha256-mOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=
hash mismatch in fixed-output derivation '/nix/store/5zx8v8qw9a58hcbyympq4gpl2wqrd3wk-b.drv':
  specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
  got:       sha256-nOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=
hash mismatch in fixed-output derivation '/nix/store/6zx8v8qw9a58hcbyympq4gpl2wqrd3wk-c.drv':
  specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
  got:       sha256-oOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=";

    const BUILD: &str =
        "error: Cannot build '/nix/store/1g7nf7i9xsxf9d789f7ivfjznmjw25zq-php-8.2.19.drv'.
       Reason: builder failed with exit code 3.
       Output paths:
         /nix/store/bn2dnk2vgls1vlrdvxbfinr1dcfrlihv-php-8.2.19
       Last 3 log lines:
       > building php-8.2.19
       > configure: error: libfoo not found
       For full logs, run:
         nix log /nix/store/1g7nf7i9xsxf9d789f7ivfjznmjw25zq-php-8.2.19.drv";

    const PROSE: &str = "error: first\nsecond\n\nthird\nfourth\nfifth\n\nsixth\nseventh";

    #[test]
    fn of_a_long_error_the_lines_that_name_the_cause_are_told() {
        let table = [
            INSECURE,
            UNFREE,
            UNSUPPORTED,
            ASSERTIONS,
            OPTION,
            MISSING,
            HASHES,
            BUILD,
            PROSE,
        ]
        .map(told);
        insta::assert_snapshot!(table.join("\n\n"), @r#"
        error: Package ‘openssl-1.1.1w’ in <source>/pkgs/openssl/default.nix:210 is marked as insecure, refusing to evaluate.
        Known issues:
         - OpenSSL 1.1 is reaching its end of life on 2023/09/11 and cannot
           be supported through the NixOS 23.05 release cycle.
         - another
        (7 more)

        error: Package ‘steam-1.0’ in <source>/pkgs/steam/default.nix:1 has an unfree license (‘unfree’), refusing to evaluate.
        (7 more)

        error: Package ‘x-1.0’ in <source>/x.nix:1 is not available on the requested hostPlatform:
          hostPlatform.system = "aarch64-linux"
          package.meta.platforms = [
            "x86_64-linux"
          ]
        , refusing to evaluate.
        (3 more)

        Failed assertions:
        - The ‘fileSystems’ option does not specify your root file system.
        - You must set the option ‘boot.loader.grub.devices’ or
          'boot.loader.grub.mirroredBoots' to make the system bootable.
        - third
        - fourth
        (1 more)

        error: The option `services.nginx.enable' has conflicting definition values:
        - In `<source>/hosts/web.nix': false
        - In `<source>/modules/web.nix': true
        Use `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.
        (0 more)

        error: attribute 'nginxx' missing
        at <source>/hosts/web.nix:3:5:
        Did you mean one of nginx or nginxQuic?
        (4 more)

        hash mismatch in fixed-output derivation '/nix/store/4zx8v8qw9a58hcbyympq4gpl2wqrd3wk-a.drv':
          specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
          got:       sha256-mOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=
        hash mismatch in fixed-output derivation '/nix/store/5zx8v8qw9a58hcbyympq4gpl2wqrd3wk-b.drv':
          specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
          got:       sha256-nOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=
        (3 more)

        error: Cannot build '/nix/store/1g7nf7i9xsxf9d789f7ivfjznmjw25zq-php-8.2.19.drv'.
               Reason: builder failed with exit code 3.
        (7 more)

        error: first
        second
        third
        fourth
        fifth
        sixth
        (1 more)
        "#);
    }

    /// A report of hosts of these statuses, reasons, errors, derivations and logs; of a host without an error and a derivation none
    /// failed.
    fn report(hosts: &[(Status, &str, &str, &str, &[&str])]) -> Report {
        let mut report = super::super::tests::report(hosts.len(), 0, "n", 0);
        for (host, (status, reason, error, derivation, log)) in report.hosts.iter_mut().zip(hosts) {
            host.status = *status;
            host.diff = None;
            host.reason = (!reason.is_empty()).then(|| (*reason).to_owned());
            host.failure = (!error.is_empty()).then(|| {
                serde_json::from_value(json!({
                    "stage": "build", "side": if host.status == Status::Mended { "before" } else { "after" }, "error": error, "derivation": derivation, "log_tail": log,
                    "log_path": null,
                }))
                .unwrap()
            });
        }
        report
    }

    #[test]
    fn hosts_that_fail_alike_are_told_of_together_and_a_log_once() {
        use Status::{AlreadyBroken, Broken, Changed, Mended, Skipped, Unknown};
        const A: &str = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-system-path.drv";
        const B: &str = "/nix/store/11bgd045z0d4icpbc2yyz4gx48ak44la-system-path.drv";
        const C: &str = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-php.drv";
        const LOG: &[&str] = &["10%\r50%\rdone", "\u{1b}[31mred\u{1b}[0m", "", ""];
        let long: Vec<String> = (0..30).map(|i| i.to_string()).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let report = report(&[
            (Skipped, "no builder", "", "", &[]),
            (Broken, "", "builder failed", C, &long),
            (Broken, "", "builder failed", A, LOG),
            (Changed, "", "", "", &[]),
            (Broken, "", "builder failed", B, LOG),
            (AlreadyBroken, "", "builder failed", A, LOG),
            (Mended, "", "builder failed", A, &["other"]),
            (Unknown, "took too long", "", "", &[]),
            (Skipped, "no builder", "", "", &[]),
        ]);
        let groups = failures(&report);
        let told = groups.iter().map(|group| {
            let hosts: Vec<&str> = group.hosts.iter().map(|host| host.name.as_str()).collect();
            format!(
                "{} {} | {} | {} | {} | {} | {}",
                group.status.as_str(),
                hosts.join(" "),
                group.reason.or(group.what.as_deref()).unwrap_or_default(),
                group.derivation.unwrap_or_default(),
                group.telling.join("/"),
                group.log.join("/"),
                group.log_as.as_deref().unwrap_or_default(),
            )
        });
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
        broken n2 n4 | does not build after the update | /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-system-path.drv | builder failed | done/red | 
        broken n1 | does not build after the update | /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-php.drv | builder failed | 10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29 | 
        already-broken n5 | does not build before or after the update | /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-system-path.drv | builder failed |  | n2
        mended n6 | does not build before the update | /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-system-path.drv | builder failed | other | 
        skipped n0 n8 | no builder |  |  |  | 
        unknown n7 | took too long |  |  |  |
        ");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn no_line_of_an_error_is_lost(
            lines in prop::collection::vec(
                "(error:|… |at /x:1:2:|- |Known issues:| \\||a\\) To temporarily allow |Reason: |/|\u{1b}\\[|\r|\\PC){0,4}",
                0..30,
            )
        ) {
            let error = lines.join("\n");
            let mut wanted = lines_of_error(&error);
            let (mut parts, rest) = telling(wanted.clone());
            prop_assert!(parts.len() <= TELLING);
            prop_assert_eq!(parts.is_empty(), wanted.is_empty());
            parts.extend(rest);
            for lines in [&mut wanted, &mut parts] {
                lines.retain(|line| !line.is_empty());
                lines.iter_mut().for_each(|line| *line = line.trim_start().to_owned());
                lines.sort();
            }
            prop_assert_eq!(parts, wanted);
        }

        #[test]
        fn each_host_is_told_of_once(
            hosts in prop::collection::vec((0..7_usize, 0..2_usize, 0..3_usize), 0..30)
        ) {
            const WORDS: [&str; 3] = ["", "a", "b"];
            let hosts: Vec<_> = hosts
                .into_iter()
                .map(|(status, reason, error)| {
                    (Status::ALL[status], WORDS[reason], WORDS[error], "/nix/store/x.drv", &WORDS[..error])
                })
                .collect();
            let report = report(&hosts);
            let mut told: Vec<&str> = failures(&report)
                .iter()
                .flat_map(|group| &group.hosts)
                .map(|host| host.name.as_str())
                .collect();
            told.sort_unstable();
            let mut wanted: Vec<&str> = report
                .hosts
                .iter()
                .filter(|host| !matches!(host.status, Status::Changed | Status::Unchanged))
                .map(|host| host.name.as_str())
                .collect();
            wanted.sort_unstable();
            prop_assert_eq!(told, wanted);
        }
    }
}
