//! What Nix reports while it builds.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use crate::closure::StorePath;

use super::message;

/// How many lines of a failed build's log are kept.
const LOG_TAIL: usize = 20;

/// Why one derivation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFailure {
    /// Nix's reason, in the same words for every version where they are known.
    pub reason: String,
    /// The last lines of its log, raw.
    pub log_tail: Vec<String>,
    /// Why nothing is known about the derivation all the same: it took too long, the disk was full, Nix ended before it.
    pub unknown: Option<String>,
}

/// What Nix reports while it builds, in its `internal-json` format.
///
/// Of the format this is used: `start` of type 105 is a build, its first field the derivation; `result`
/// of type 101 is a log line of it; `msg` of level 0 is an error.
#[derive(Debug, Default)]
pub(super) struct BuildLog {
    /// The derivations that were begun.
    pub(super) started: BTreeSet<StorePath>,
    activities: HashMap<u64, StorePath>,
    tails: HashMap<StorePath, VecDeque<String>>,
    /// Nix's errors, in order.
    pub(super) errors: Vec<String>,
    messages: Vec<String>,
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
    const BUILD: u64 = 105;
    const LOG_LINE: u64 = 101;

    /// Takes in a line of Nix's stderr.
    pub(super) fn read(&mut self, line: &[u8]) {
        let Some(json) = line.strip_prefix(b"@nix ") else {
            // Not in the format: a plugin, or a library that prints. Kept only if it is a warning.
            return;
        };
        // A builder's line with bytes that are no UTF-8 makes the JSON invalid; the line is still worth having.
        let Ok(event) = serde_json::from_str::<Event>(&String::from_utf8_lossy(json)) else {
            return;
        };
        let first = event.fields.first().and_then(Value::as_str);
        match (event.action.as_str(), event.kind) {
            ("start", Self::BUILD) => {
                if let Some(drv) = first.and_then(|text| StorePath::parse(text).ok()) {
                    tracing::debug!("building {}", drv.name());
                    self.activities.insert(event.id, drv.clone());
                    self.started.insert(drv);
                }
            }
            ("result", Self::LOG_LINE) => {
                if let (Some(drv), Some(line)) = (self.activities.get(&event.id), first) {
                    let tail = self.tails.entry(drv.clone()).or_default();
                    if tail.len() == LOG_TAIL {
                        tail.pop_front();
                    }
                    tail.push_back(line.to_owned());
                }
            }
            ("msg", _) if event.level == 0 => {
                self.errors.push(without_log(&message::plain(&event.msg)));
            }
            ("msg", _) if event.level == 1 => self.messages.push(event.msg),
            _ => {}
        }
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
        let log_tail: Vec<String> = self.tails.get(drv).into_iter().flatten().cloned().collect();
        let unknown = match own {
            Some(text) if text.contains(TOO_LONG) => Some("took too long".to_owned()),
            Some(text)
                if message::is_environmental(text) || log_tail.iter().any(|line| is_full(line)) =>
            {
                Some("could not be written: the disk is full, or the machine failed".to_owned())
            }
            Some(_) => None,
            // 2.34 does not say which build it was that timed out.
            None if self.errors.iter().any(|text| text.contains(TOO_LONG)) => {
                Some("took too long".to_owned())
            }
            None => Some("was begun, and Nix ended without saying what became of it".to_owned()),
        };
        BuildFailure {
            reason: own.map_or_else(String::new, |text| reason(text, drv)),
            log_tail,
            unknown,
        }
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

/// Whether a builder says that the disk is full.
fn is_full(line: &str) -> bool {
    line.contains("No space left on device")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn drv(name: &str) -> StorePath {
        StorePath::parse(&format!("/D/nix/store/{name}")).unwrap()
    }

    fn read(bytes: &[u8]) -> BuildLog {
        let mut log = BuildLog::default();
        for line in bytes.split(|b| *b == b'\n') {
            log.read(line);
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
        assert!(
            log.failure(&StorePath::parse(path).unwrap())
                .unknown
                .is_some()
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
