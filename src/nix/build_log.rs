//! What Nix reports while it builds.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use crate::closure::StorePath;

use super::message;

/// How many lines of a failed build's log are kept.
const LOG_TAIL: usize = 20;

/// How many lines of a log that look like an error are kept.
const LOG_ERRORS: usize = 6;

/// Why one derivation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFailure {
    /// Nix's reason, in the same words for every version where they are known.
    pub reason: String,
    /// The last lines of its log, raw.
    pub log_tail: Vec<String>,
    /// The first lines of its log that look like an error, wherever they stand in it, each once and without colours.
    pub log_errors: Vec<String>,
    /// Why nothing is known about the derivation all the same: it took too long, the disk was full, Nix ended before it.
    pub unknown: Option<String>,
}

impl BuildFailure {
    /// Whether a source has another hash than was declared.
    pub fn is_mismatch(&self) -> bool {
        self.reason.starts_with(MISMATCH)
    }
}

/// Something that happens while Nix builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildEvent<'a> {
    /// A derivation's build has begun.
    Started(&'a StorePath),
    /// It is over, and has what it was to make.
    Built(&'a StorePath),
    /// It is over, and has failed.
    Failed(&'a StorePath),
    /// It is over, and Nix did not count it: it was told to stop.
    Stopped(&'a StorePath),
    /// What is fetched has come on.
    Fetched(Fetched),
    /// A second has passed.
    Tick,
}

/// How far fetching has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Paths that are there.
    pub paths: u64,
    /// Paths that are wanted, as far as Nix knows already.
    pub of_paths: u64,
    /// Bytes that are there, unpacked.
    pub bytes: u64,
    /// Bytes that are wanted, as far as Nix knows already.
    pub of_bytes: u64,
}

/// Who watches a build.
pub trait BuildWatcher: Send + Sync {
    /// Hears what happens. Has to be quick: nothing is read meanwhile.
    fn tell(&self, event: &BuildEvent<'_>);

    /// Returns why the build must not go on, if that is so. Asked at the start and then every second.
    fn objection(&self) -> Option<String>;
}

/// What Nix reports while it builds, in its `internal-json` format.
///
/// Of the format this is used: `start` of type 105 is a build, its first field the derivation; `result`
/// of type 101 is a log line of it; `msg` of level 0 is an error. Activities of the types 104 and 103 count builds and
/// fetched paths, in `result`s of type 105 with the fields done, expected, running, failed; one of type 100 is a path that
/// is fetched, whose `result` of that type begins with its bytes; `result` 106 of type 102 says how many bytes are expected.
#[derive(Debug, Default)]
pub(super) struct BuildLog {
    /// The derivations that were begun.
    pub(super) started: BTreeSet<StorePath>,
    activities: HashMap<u64, StorePath>,
    logs: HashMap<StorePath, Log>,
    /// Nix's errors, in order.
    pub(super) errors: Vec<String>,
    messages: Vec<String>,
    /// The activity that counts builds, and its last count of those done and of those failed.
    builds: Option<u64>,
    counted: (u64, u64),
    /// How many builds Nix has counted as done and as failed, and not yet reported as over: it counts first, and where two end at
    /// once, both.
    ending: (u64, u64),
    /// The activity that counts fetched paths.
    copies: Option<u64>,
    /// Bytes of each path that is being fetched, and how many it has; then those of all that are there.
    copying: HashMap<u64, (u64, u64)>,
    copied: u64,
    fetched: Fetched,
}

#[derive(Debug, Deserialize)]
struct Event {
    action: String,
    #[serde(default)]
    id: u64,
    #[serde(default, rename = "type")]
    kind: u64,
    #[serde(default)]
    level: u64,
    #[serde(default)]
    fields: Vec<Value>,
    #[serde(default)]
    msg: String,
}

impl BuildLog {
    const COPY: u64 = 100;
    const COPIES: u64 = 103;
    const BUILDS: u64 = 104;
    const BUILD: u64 = 105;
    const LOG_LINE: u64 = 101;
    const PROGRESS: u64 = 105;
    const EXPECTED: u64 = 106;

    /// Takes in a line of Nix's stderr, and tells `watcher` what it means.
    pub(super) fn read(&mut self, line: &[u8], watcher: &dyn BuildWatcher) {
        let Some(json) = line.strip_prefix(b"@nix ") else {
            // Not in the format: a plugin, or a library that prints. Kept only if it is a warning.
            return;
        };
        // A builder's line with bytes that are no UTF-8 makes the JSON invalid; the line is still worth having.
        let Some(event) = parse(&String::from_utf8_lossy(json)) else {
            return;
        };
        let first = event.fields.first().and_then(Value::as_str);
        match (event.action.as_str(), event.kind) {
            ("start", Self::BUILD) => {
                if let Some(drv) = first.and_then(|text| StorePath::parse(text).ok()) {
                    watcher.tell(&BuildEvent::Started(&drv));
                    self.activities.insert(event.id, drv.clone());
                    self.started.insert(drv);
                }
            }
            ("result", Self::LOG_LINE) => {
                if let (Some(drv), Some(line)) = (self.activities.get(&event.id), first) {
                    self.logs.entry(drv.clone()).or_default().read(line);
                }
            }
            ("start", Self::BUILDS) => self.builds = Some(event.id),
            ("start", Self::COPIES) => self.copies = Some(event.id),
            ("start", Self::COPY) => {
                self.copying.insert(event.id, (0, 0));
            }
            ("result", Self::PROGRESS) => self.count(&event, watcher),
            ("result", Self::EXPECTED) if number(&event, 0) == Self::COPY => {
                self.fetched.of_bytes = number(&event, 1);
            }
            ("stop", _) => self.stop(event.id, watcher),
            ("msg", _) if event.level == 0 => {
                let text = message::plain(&event.msg);
                if !is_ignored(&text) {
                    self.errors.push(without_log(&text));
                }
            }
            ("msg", _) if event.level == 1 => self.messages.push(event.msg),
            _ => {}
        }
    }

    /// Takes in how far an activity has come.
    fn count(&mut self, event: &Event, watcher: &dyn BuildWatcher) {
        let done = number(event, 0);
        if self.builds == Some(event.id) {
            let now = (done, number(event, 3));
            self.ending.0 += now.0.saturating_sub(self.counted.0);
            self.ending.1 += now.1.saturating_sub(self.counted.1);
            self.counted = now;
        } else if self.copies == Some(event.id) {
            let (paths, of_paths) = (done, number(event, 1));
            if (paths, of_paths) != (self.fetched.paths, self.fetched.of_paths) {
                (self.fetched.paths, self.fetched.of_paths) = (paths, of_paths);
                watcher.tell(&BuildEvent::Fetched(self.fetched));
            }
        } else if let Some(bytes) = self.copying.get_mut(&event.id) {
            *bytes = (done, number(event, 1));
            self.fetched.bytes = self
                .copying
                .values()
                .fold(self.copied, |sum, (done, _)| sum.saturating_add(*done));
            watcher.tell(&BuildEvent::Fetched(self.fetched));
        }
    }

    /// Takes in that an activity is over.
    fn stop(&mut self, id: u64, watcher: &dyn BuildWatcher) {
        if let Some((done, all)) = self.copying.remove(&id) {
            // 2.26 does not count the last piece.
            self.copied = self.copied.saturating_add(done.max(all));
            self.fetched.bytes = self.fetched.bytes.max(self.copied);
        }
        let Some(drv) = self.activities.remove(&id) else {
            return;
        };
        let (built, failed) = self.ending;
        let event = if failed > 0 && (built == 0 || self.own_error(&drv).is_some()) {
            self.ending.1 -= 1;
            BuildEvent::Failed(&drv)
        } else if built > 0 {
            self.ending.0 -= 1;
            // Of thousands of builds that went well, nobody asks for their logs.
            self.logs.remove(&drv);
            BuildEvent::Built(&drv)
        } else {
            BuildEvent::Stopped(&drv)
        };
        if self.activities.is_empty() {
            // What is left of the count was of no build that began.
            self.ending = (0, 0);
        }
        watcher.tell(&event);
    }

    /// Returns Nix's warnings.
    pub(super) fn plain_messages(&self) -> String {
        self.messages.join("\n")
    }

    /// Returns the error that is about `drv` itself.
    pub(super) fn own_error(&self, drv: &StorePath) -> Option<&String> {
        self.errors.iter().find(|text| names_failure_of(text, drv))
    }

    /// Returns why `drv` failed, from the error that names it.
    pub(super) fn failure(&self, drv: &StorePath) -> BuildFailure {
        const TOO_LONG: &str = "timed out after";
        let own = self.own_error(drv);
        let (log_tail, log_errors) = match self.logs.get(drv) {
            Some(log) => (Vec::from(log.tail.clone()), log.errors().to_vec()),
            None => Default::default(),
        };
        let unknown = match own {
            Some(text) if text.contains(TOO_LONG) => Some("took too long".to_owned()),
            Some(text) => machine(text, &log_tail).map(str::to_owned),
            // 2.34 does not say which build it was that timed out.
            None if self.errors.iter().any(|text| text.contains(TOO_LONG)) => {
                Some("took too long".to_owned())
            }
            // Nix itself ran into the full disk, and ended.
            None => Some(
                match self.errors.iter().find_map(|text| message::exhausted(text)) {
                    Some(what) => what.to_owned(),
                    None => match self.error_of_nix() {
                        Some(error) => format!("was begun, and Nix ended: {error}"),
                        None => {
                            "was begun, and Nix ended without saying what became of it".to_owned()
                        }
                    },
                },
            ),
        };
        BuildFailure {
            reason: own.map_or_else(String::new, |text| reason(text, drv)),
            log_tail,
            log_errors,
            unknown,
        }
    }

    /// Returns an error that is about none of the derivations: of a hook after builds, say, at which Nix ends. Of several the first
    /// by its text.
    fn error_of_nix(&self) -> Option<&str> {
        self.errors
            .iter()
            .filter(|text| !hangs_on_another(text))
            .filter(|text| !self.started.iter().any(|drv| text.contains(drv.as_str())))
            .min()
            .map(|text| message::without_prefix(text).trim_end())
    }

    /// Returns the error that says why the build as a whole went wrong: not one about a derivation that only hangs on
    /// another. Of several the first by its text, for builds end in any order.
    pub(super) fn error(&self) -> Option<String> {
        self.errors
            .iter()
            .filter(|text| !hangs_on_another(text))
            .min()
            .map(|text| message::without_prefix(text).trim_end().to_owned())
    }
}

/// What is kept of a build's log.
#[derive(Debug, Default)]
struct Log {
    /// Its last lines.
    tail: VecDeque<String>,
    /// Its first lines that say that they are an error.
    errors: Vec<String>,
    /// Its first lines that come with one, or do no harm.
    hints: Vec<String>,
}

impl Log {
    fn read(&mut self, line: &str) {
        if self.tail.len() == LOG_TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        if self.errors.len() == LOG_ERRORS || !may_be_error(line) {
            return;
        }
        let line = message::plain(line);
        let line = line.trim();
        let kept = if is_error(line) {
            &mut self.errors
        } else if is_hint(line) {
            &mut self.hints
        } else {
            return;
        };
        if kept.len() < LOG_ERRORS && !kept.iter().any(|known| known == line) {
            kept.push(line.to_owned());
        }
    }

    fn errors(&self) -> &[String] {
        if self.errors.is_empty() {
            &self.hints
        } else {
            &self.errors
        }
    }
}

/// What stands in lines that say that they are an error, beside those with `error:`.
const ERRORS: [&str; 5] = [
    "CMake Error",
    "npm ERR!",
    "undefined reference to ",
    " panicked at ",
    "FAILED",
];

/// What stands in lines that come with an error. Many a build that goes well looks for files that are not there.
const HINTS: [&str; 2] = [
    "Traceback (most recent call last)",
    "No such file or directory",
];

/// Whether it is worth to look closer at a line: logs are long, and most lines say nothing.
fn may_be_error(line: &str) -> bool {
    const WORDS: [&str; 5] = ["rror", "RROR", "atal:", "ATAL:", "xception:"];
    let words = WORDS.iter().chain(&ERRORS).chain(&HINTS);
    words.into_iter().any(|words| line.contains(words))
}

/// Whether a line says that it is an error, in the words of compilers, of tests, or of exceptions: `error: …`, `error[E0308]: …`,
/// `ModuleNotFoundError: …`.
fn is_error(line: &str) -> bool {
    ERRORS.iter().any(|words| line.contains(words))
        || line.match_indices(':').any(|(at, colon)| {
            let (head, rest) = line.split_at(at);
            let rest = rest.strip_prefix(colon).unwrap_or(rest);
            (rest.is_empty() || rest.starts_with(char::is_whitespace)) && ends_in_error(head)
        })
}

/// Whether what stands before a colon ends in the word for an error, with or without its number in brackets.
fn ends_in_error(head: &str) -> bool {
    let head = match head
        .strip_suffix(']')
        .and_then(|head| head.rsplit_once('['))
    {
        Some((head, _)) => head,
        None => head,
    };
    let before = head.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let word = head.strip_prefix(before).unwrap_or(head);
    let is_exception = word.starts_with(|c: char| c.is_ascii_uppercase())
        && (word.ends_with("Error") || word.ends_with("Exception"));
    // `--fail-on-error: yes` is none.
    !before.ends_with('-')
        && (is_exception || matches!(word, "error" | "ERROR" | "fatal" | "Fatal" | "FATAL"))
}

/// Whether a line comes with an error.
fn is_hint(line: &str) -> bool {
    HINTS.iter().any(|words| line.contains(words))
}

/// Says what of the machine failed, and not of the derivation, where Nix's error or the end of the build's log tells; to be read after
/// "the build of X".
fn machine(error: &str, log_tail: &[String]) -> Option<&'static str> {
    if let Some(what) = std::iter::once(error)
        .chain(log_tail.iter().map(String::as_str))
        .find_map(message::exhausted)
    {
        return Some(what);
    }
    // No program does that to itself. As a rule it is the kernel, to a machine whose memory has run out.
    if error.contains("due to signal 9") {
        return Some("was killed (signal 9), as builds are when memory runs out");
    }
    message::is_environmental(error)
        .then_some("could not be done: the machine or its network failed")
}

/// Returns what an event says. One that was cut short for its length is read as far as it goes, where that is an error: Nix's
/// errors may hold the end of a log, with lines of any length.
fn parse(json: &str) -> Option<Event> {
    /// What stands in the way of closing a string that was cut: the mark of the cut, half of an escape.
    const MOST_CUT: usize = 64;
    if let Ok(event) = serde_json::from_str(json) {
        return Some(event);
    }
    if !json.starts_with(r#"{"action":"msg""#) {
        return None;
    }
    let (text, _) = json.rsplit_once(" [... ").unwrap_or((json, ""));
    (0..MOST_CUT).find_map(|cut| {
        let text = text.get(..text.len().checked_sub(cut)?)?;
        serde_json::from_str(&format!("{text}\"}}")).ok()
    })
}

/// Returns a field of an event that is a number; 0 where it is none.
fn number(event: &Event, field: usize) -> u64 {
    event.fields.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// Whether Nix went on after an error: what cleaning up ran into after another one.
fn is_ignored(error: &str) -> bool {
    error.trim_start().starts_with("error (ignored)")
}

/// Returns an error without the end of the build's log in it, which the daemon puts there: any words may stand in a log.
fn without_log(error: &str) -> String {
    let lines: Vec<&str> = error
        .lines()
        .take_while(|line| {
            let line = line.trim().to_ascii_lowercase();
            !(line.starts_with("last ") && line.ends_with(" log lines:"))
        })
        .collect();
    lines.join("\n")
}

/// Whether an error is about `drv` itself, not about what hangs on it.
fn names_failure_of(text: &str, drv: &StorePath) -> bool {
    text.contains(drv.as_str()) && !hangs_on_another(text)
}

/// Whether an error is about a derivation that was not built for want of another.
fn hangs_on_another(text: &str) -> bool {
    [
        "dependency failed",
        "dependencies failed",
        "dependencies of derivation",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// Returns the reason within an error about `drv`: "builder failed with exit code 3" from either
/// "builder for 'X' failed with exit code 3" or "Cannot build 'X'.\nReason: builder failed with exit code 3."
fn reason(text: &str, drv: &StorePath) -> String {
    let text = message::without_prefix(text);
    if text.starts_with(MISMATCH) {
        return mismatch(text);
    }
    if let Some((_, after)) = text.split_once("Reason: ") {
        let line = after.lines().next().unwrap_or(after).trim();
        return line.strip_suffix('.').unwrap_or(line).to_owned();
    }
    let quoted = format!("'{drv}'");
    if let Some(rest) = text.strip_prefix(&format!("builder for {quoted} ")) {
        let line = rest.lines().next().unwrap_or(rest);
        return format!("builder {}", line.trim_end_matches([';', '.', ':']));
    }
    text.trim_end().to_owned()
}

/// How Nix begins to say that a source has another hash than was declared.
const MISMATCH: &str = "hash mismatch in fixed-output derivation";

/// Returns Nix's words about a wrong hash with each of the two hashes at the end of a line of its own, one below the other.
fn mismatch(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| match line.split_once(": ") {
            Some((word @ ("specified" | "got"), hash)) => {
                format!("  {:<10} {}", format!("{word}:"), hash.trim())
            }
            _ => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;

    /// Keeps what it hears.
    #[derive(Default)]
    struct Ear(Mutex<Vec<String>>);

    impl BuildWatcher for Ear {
        fn tell(&self, event: &BuildEvent<'_>) {
            let text = match event {
                BuildEvent::Started(drv) => format!("started {}", drv.name()),
                BuildEvent::Built(drv) => format!("built {}", drv.name()),
                BuildEvent::Stopped(drv) => format!("stopped {}", drv.name()),
                BuildEvent::Failed(drv) => format!("failed {}", drv.name()),
                BuildEvent::Fetched(fetched) => format!(
                    "fetched {}/{} paths {}/{} bytes",
                    fetched.paths, fetched.of_paths, fetched.bytes, fetched.of_bytes
                ),
                BuildEvent::Tick => "tick".to_owned(),
            };
            self.0.lock().unwrap().push(text);
        }

        fn objection(&self) -> Option<String> {
            None
        }
    }

    fn heard(bytes: &[u8]) -> String {
        let (ear, mut log) = (Ear::default(), BuildLog::default());
        for line in bytes.split(|b| *b == b'\n') {
            log.read(line, &ear);
        }
        ear.0.into_inner().unwrap().join("\n")
    }

    fn drv(name: &str) -> StorePath {
        StorePath::parse(&format!("/D/nix/store/{name}")).unwrap()
    }

    fn read(bytes: &[u8]) -> BuildLog {
        let mut log = BuildLog::default();
        for line in bytes.split(|b| *b == b'\n') {
            log.read(line, &Ear::default());
        }
        log
    }

    #[test]
    fn the_failed_derivation_its_reason_and_its_log_are_found_in_every_version() {
        for (bytes, path) in [
            (
                &include_bytes!("../../fixtures/nix/2.26.3/build-fail-internal-json.err")[..],
                "v18s68wh3k14bhk81pqpryj5ivffbpiv-php-8.2.19.drv",
            ),
            (
                &include_bytes!("../../fixtures/nix/2.34.8/build-fail-internal-json.err")[..],
                "1g7nf7i9xsxf9d789f7ivfjznmjw25zq-php-8.2.19.drv",
            ),
        ] {
            let log = read(bytes);
            let php = drv(path);
            assert!(log.started.contains(&php));
            assert_eq!(
                log.failure(&php),
                BuildFailure {
                    reason: "builder failed with exit code 3".to_owned(),
                    log_tail: vec![
                        "building php-8.2.19".to_owned(),
                        "checking for libfoo... no".to_owned(),
                        "configure: error: libfoo not found".to_owned(),
                    ],
                    log_errors: vec!["configure: error: libfoo not found".to_owned()],
                    unknown: None,
                }
            );
        }
    }

    #[test]
    fn a_timed_out_build_is_told_from_a_failed_one() {
        let path = "/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv";
        for message in [
            format!("building of '{path}^out' from .drv file timed out after 1 seconds"),
            "timed out after 1 seconds".to_owned(),
        ] {
            let text = format!(
                "@nix {{\"action\":\"start\",\"id\":7,\"type\":105,\"fields\":[\"{path}\",\"\",1,1]}}\n@nix {{\"action\":\"msg\",\"level\":0,\"msg\":\"error: {message}\"}}"
            );
            let failure = read(text.as_bytes()).failure(&StorePath::parse(path).unwrap());
            assert_eq!(
                failure.unknown.as_deref(),
                Some("took too long"),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn what_stands_in_a_log_is_not_taken_for_nixs_words() {
        // Through the daemon the error holds the end of the log.
        let path = "/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv";
        let text = format!(
            "@nix {{\"action\":\"start\",\"id\":7,\"type\":105,\"fields\":[\"{path}\",\"\",1,1]}}\n\
             @nix {{\"action\":\"msg\",\"level\":0,\"msg\":\"error: Cannot build '{path}'.\\n       Reason: builder failed with exit code 1.\\n\
             {}       Last 2 log lines:\\n       > timed out after 900 seconds\\n       > 1 dependency failed\"}}",
            ""
        );
        let failure = read(text.as_bytes()).failure(&StorePath::parse(path).unwrap());
        assert_eq!(failure.reason, "builder failed with exit code 1");
        assert_eq!(failure.unknown, None);
    }

    #[test]
    fn a_full_disk_says_nothing_about_a_derivation() {
        let path = "/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv";
        let text = format!(
            "@nix {{\"action\":\"start\",\"id\":7,\"type\":105,\"fields\":[\"{path}\",\"\",1,1]}}\n\
             @nix {{\"action\":\"msg\",\"level\":0,\"msg\":\"error: writing to file: No space left on device\"}}"
        );
        let log = read(text.as_bytes());
        assert_eq!(
            log.failure(&StorePath::parse(path).unwrap())
                .unknown
                .as_deref(),
            Some("found the disk full")
        );
        assert_eq!(
            log.error().as_deref(),
            Some("writing to file: No space left on device")
        );
    }

    #[test]
    fn what_happens_is_told_as_it_happens_in_every_version() {
        for bytes in [
            &include_bytes!("../../fixtures/nix/2.26.3/realise-events.err")[..],
            &include_bytes!("../../fixtures/nix/2.34.8/realise-events.err")[..],
        ] {
            // Older versions count looking for a cache as fetching for a moment.
            let heard: Vec<String> = heard(bytes)
                .lines()
                .filter(|line| !line.starts_with("fetched"))
                .map(str::to_owned)
                .collect();
            insta::allow_duplicates! {
                insta::assert_snapshot!(heard.join("\n"), @"
                started bad.drv
                started a.drv
                built a.drv
                started b.drv
                failed bad.drv
                built b.drv
                started top2.drv
                built top2.drv
                ");
            }
        }
    }

    #[test]
    fn builds_that_end_at_once_are_all_told() {
        let path = |name: &str| format!("/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-{name}.drv");
        let start = |id: u64, name: &str| json!({"action": "start", "id": id, "type": 105, "fields": [path(name), "", 1, 1]});
        let count = |done: u64, failed: u64| json!({"action": "result", "id": 1, "type": 105, "fields": [done, 4, 0, failed]});
        let error = |name: &str| json!({"action": "msg", "level": 0, "msg": format!("error: builder for '{}' failed with exit code 1", path(name))});
        let stop = |id: u64| json!({"action": "stop", "id": id});
        // In this order they were seen: both are counted before either is over.
        let lines = [
            json!({"action": "start", "id": 1, "type": 104}),
            start(2, "a"),
            start(3, "b"),
            start(4, "c"),
            count(0, 1),
            error("b"),
            count(1, 1),
            count(1, 2),
            error("c"),
            count(1, 2),
            stop(3),
            stop(2),
            stop(4),
            start(5, "d"),
            stop(5),
        ];
        let text: String = lines.iter().map(|line| format!("@nix {line}\n")).collect();
        insta::assert_snapshot!(heard(text.as_bytes()), @"
        started a.drv
        started b.drv
        started c.drv
        failed b.drv
        built a.drv
        failed c.drv
        started d.drv
        stopped d.drv
        ");
    }

    #[test]
    fn what_ends_nix_is_said_of_what_it_was_building() {
        let path = |name: &str| format!("/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-{name}.drv");
        let start = |id: u64, name: &str| json!({"action": "start", "id": id, "type": 105, "fields": [path(name), "", 1, 1]});
        let error =
            |text: &str| json!({"action": "msg", "level": 0, "msg": format!("error: {text}")});
        let lines = [
            start(2, "a"),
            start(3, "b"),
            error(&format!(
                "builder for '{}' failed with exit code 1",
                path("b")
            )),
            error("program '/etc/push' failed with exit code 1"),
        ];
        let text: String = lines.iter().map(|line| format!("@nix {line}\n")).collect();
        let failure = read(text.as_bytes()).failure(&StorePath::parse(&path("a")).unwrap());
        insta::assert_snapshot!(failure.unknown.unwrap(), @"was begun, and Nix ended: program '/etc/push' failed with exit code 1");
    }

    #[test]
    fn fetching_is_counted_in_every_version() {
        for bytes in [
            &include_bytes!("../../fixtures/nix/2.26.3/fetch-events.err")[..],
            &include_bytes!("../../fixtures/nix/2.34.8/fetch-events.err")[..],
        ] {
            let heard = heard(bytes);
            insta::allow_duplicates! {
                insta::assert_snapshot!(heard.lines().last().unwrap(), @"fetched 1/1 paths 300112/300112 bytes");
            }
        }
    }

    #[test]
    fn what_the_machine_does_to_a_build_is_not_the_derivations_fault() {
        let path = "/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv";
        let why = |message: &str, log: &str| {
            let lines = [
                json!({"action": "start", "id": 7, "type": 105, "fields": [path, "", 1, 1]}),
                json!({"action": "result", "id": 7, "type": 101, "fields": [log]}),
                json!({"action": "msg", "level": 0, "msg": message}),
            ];
            let text: String = lines.iter().map(|line| format!("@nix {line}\n")).collect();
            read(text.as_bytes())
                .failure(&StorePath::parse(path).unwrap())
                .unknown
        };
        let older = |how: &str| format!("error: builder for '{path}' failed {how}");
        let newer = |how: &str| {
            format!(
                "error: Cannot build '{path}'.\n       Reason: builder failed {how}.\n       Output paths:\n         /o"
            )
        };
        let versions: [&dyn Fn(&str) -> String; 2] = [&older, &newer];
        let table: Vec<String> = versions
            .iter()
            .flat_map(|failed| {
                [
                    (failed("with exit code 1"), "ld: final link failed: No space left on device"),
                    (failed("with exit code 1"), "sh: 0: Cannot fork: Cannot allocate memory"),
                    (failed("due to signal 9 (Killed)"), ""),
                    (failed("due to signal 11 (Segmentation fault)"), ""),
                    (failed("with exit code 1"), "error: expected `;`"),
                    (
                        failed("with exit code 1\n note: build failure may have been caused by lack of free disk space"),
                        "",
                    ),
                ]
            })
            .map(|(message, log)| format!("{:?}", why(&message, log)))
            .collect();
        let (before, after) = table.split_at(table.len() / 2);
        assert_eq!(before, after);
        insta::assert_snapshot!(before.join("\n"), @r#"
        Some("found the disk full")
        Some("ran out of memory")
        Some("was killed (signal 9), as builds are when memory runs out")
        None
        None
        Some("found the disk full")
        "#);
    }

    #[test]
    fn the_errors_of_a_log_are_kept_wherever_they_stand() {
        let errors = |lines: &[&str]| {
            let mut log = Log::default();
            lines.iter().for_each(|line| log.read(line));
            assert!(log.tail.len() <= LOG_TAIL);
            log.errors().join("\n")
        };
        let recorded = |text: &str| {
            let text = text.replace("\\033", "\u{1b}");
            errors(&text.lines().collect::<Vec<_>>())
        };
        insta::assert_snapshot!(recorded(include_str!(
            "../../fixtures/systems/logs/thunderbird.log"
        )), @"
        17:24.55 /build/thunderbird-68.5.0/comm/mailnews/db/msgdb/src/nsMsgDatabase.cpp:412:41: error: invalid conversion from 'const void*' to 'void*' [-fpermissive]
        17:24.56 /build/thunderbird-68.5.0/comm/mailnews/db/msgdb/src/nsMsgDatabase.cpp:415:12: error: 'class nsMsgDatabase' has no member named 'm_headersInUse'; did you mean 'm_cacheSize'?
        ");
        insta::assert_snapshot!(recorded(include_str!(
            "../../fixtures/systems/logs/openssl.log"
        )), @"#       # ERROR: (int) 'result->client_alert_sent == SSL3_AD_UNEXPECTED_MESSAGE' failed @ test/ssl_test.c:63");
        insta::assert_snapshot!(recorded(include_str!(
            "../../fixtures/systems/logs/billing.log"
        )), @"");
        // One by one: what is an error, what only comes with one, and what is none.
        for line in [
            "error: expected `;`",
            "error[E0308]: mismatched types",
            "a.c:1:2: fatal error: foo.h: No such file or directory",
            "fatal: not a git repository",
            "ERROR: Dependency \"glib\" not found",
            "  subprocess.CalledProcessError: Command failed",
            "java.lang.IllegalStateException: no",
            "CMake Error at CMakeLists.txt:3 (find_package):",
            "a.o: undefined reference to `f'",
            "thread 'main' panicked at src/main.rs:1:2:",
            "test tests::a ... FAILED",
        ] {
            assert!(may_be_error(line) && is_error(line), "{line}");
        }
        for line in [
            "Traceback (most recent call last):",
            "cat: /x: No such file or directory",
        ] {
            assert!(
                may_be_error(line) && is_hint(line) && !is_error(line),
                "{line}"
            );
            assert_eq!(errors(&[line, "x"]), line);
            assert_eq!(errors(&[line, "error: x"]), "error: x");
        }
        for line in [
            "gmake: *** [client.mk:125: build] Error 2",
            "gcc -Werror -c strerror.c",
            "strerror: yes",
            "--fail-on-error: yes",
            "0 errors: none",
            "140266430154560:error:14095126:SSL routines",
        ] {
            assert_eq!(errors(&[line]), "", "{line}");
        }
        // Each once, with or without colours, and not more than a reader looks at.
        assert_eq!(
            errors(&["\u{1b}[31merror:\u{1b}[m a", "error: a"]),
            "error: a"
        );
        let many: Vec<String> = (0..100).map(|i| format!("error: {i}")).collect();
        let many = errors(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(
            many.lines().collect::<Vec<_>>().concat(),
            "error: 0error: 1error: 2error: 3error: 4error: 5"
        );
    }

    #[test]
    fn hashes_stand_ready_to_be_copied() {
        for message in [
            include_str!("../../fixtures/nix/2.26.3/hash-mismatch.err"),
            include_str!("../../fixtures/nix/2.34.8/hash-mismatch.err"),
        ] {
            let text = message.split_once("error: ").unwrap().1;
            let path = text.split('\'').nth(1).unwrap();
            let said = reason(&format!("error: {text}"), &StorePath::parse(path).unwrap());
            let said = said.replace(path, "X.drv");
            insta::allow_duplicates! {
                insta::assert_snapshot!(said, @"
                hash mismatch in fixed-output derivation 'X.drv':
                  specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
                  got:       sha256-mOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=
                ");
            }
        }
    }

    #[test]
    fn an_error_too_long_for_a_line_is_still_one() {
        let path = "/D/nix/store/ljyg26xrf9dhlay7fi5dqi943a9icpas-slow-1.drv";
        let message = json!({"action": "msg", "level": 0, "msg": format!(
            "error: Cannot build '{path}'.\n       Reason: builder failed with exit code 3.\n       Last 1 log lines:\n       > {}",
            "\u{1b}é".repeat(50)
        )})
        .to_string();
        let started = json!({"action": "start", "id": 7, "type": 105, "fields": [path, "", 1, 1]});
        let whole = message.find("Last 1").unwrap() + 20;
        for cut in (whole..message.len()).filter(|at| message.is_char_boundary(*at)) {
            let cut = &message[..cut];
            let text = format!("@nix {started}\n@nix {cut} [... 12345678 bytes cut off]");
            let failure = read(text.as_bytes()).failure(&StorePath::parse(path).unwrap());
            assert_eq!(failure.reason, "builder failed with exit code 3", "{cut}");
        }
    }

    #[test]
    fn what_nix_ignores_is_no_reason() {
        let log = read(
            b"@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error (ignored): error: writing to file: No space left on device\"}\n\
              @nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: writing to file: No space left on device\"}",
        );
        assert_eq!(
            log.error().as_deref(),
            Some("writing to file: No space left on device")
        );
    }

    #[test]
    fn lines_that_are_not_nixs_do_no_harm() {
        let log = read(b"hello\n@nix {\n@nix []\n@nix {\"action\":\"start\",\"type\":105}\n@nix {\"action\":\"result\",\"type\":101,\"id\":3,\"fields\":[\"x\"]}\n\xff\xfe");
        assert!(log.started.is_empty());
    }
}
