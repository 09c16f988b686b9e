//! An answer, read whole: what it says, when to come again, and what is no answer at all.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::error::{Call, ForgeError};

/// How many characters of a server's words an error shows.
const WORDS_SHOWN: usize = 400;

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) call: Call,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.call.status
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads the answer as what it should be.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        if !self.is_json() {
            return Err(self.not_json());
        }
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(&error))
    }

    /// Returns whether the list goes on.
    pub(super) fn has_next_page(&self) -> bool {
        self.header("link").is_some_and(|link| {
            link.split(',')
                .any(|one| one.contains("rel=\"next\"") || one.contains("rel=next"))
        })
    }

    pub(super) fn unreadable(&self, why: &dyn fmt::Display) -> ForgeError {
        ForgeError::Unreadable {
            call: self.call.clone(),
            why: one_line(&why.to_string()),
        }
    }

    pub(super) fn is_json(&self) -> bool {
        serde_json::from_slice::<IgnoredAny>(&self.body).is_ok()
    }

    pub(super) fn not_json(&self) -> ForgeError {
        let content_type = self.header("content-type").unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let content_type = match (content_type, self.body.is_empty()) {
            (_, true) => "nothing",
            ("", false) => "of no type",
            (some, false) => some,
        };
        let mut call = self.call.clone();
        if call.words.is_empty() {
            call.words = one_line(&title_or_start(&self.body));
        }
        ForgeError::NotJson {
            call,
            content_type: one_line(content_type),
        }
    }

    /// Returns whether the same request may fare better in a moment. GitHub's databases follow each other: what was
    /// just made may not be found for a while.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.call.status, 500 | 502 | 503 | 504)
            || (self.call.status == 422 && self.call.words.contains("Could not resolve to a node"))
    }

    /// Returns the server's clock; ours may be wrong, and is not asked.
    fn now(&self) -> Option<jiff::Timestamp> {
        http_date(self.header("date")?)
    }

    /// Returns how long `Retry-After` asks to wait.
    pub(super) fn comes_back(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => self.time_until(http_date(text)?),
        }
    }

    fn time_until(&self, then: jiff::Timestamp) -> Option<Duration> {
        let seconds = then.as_second().saturating_sub(self.now()?.as_second());
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    pub(super) fn until(&self, wait: Duration) -> Option<String> {
        let until = self.now().and_then(|now| {
            now.checked_add(jiff::SignedDuration::try_from(wait).ok()?)
                .ok()
        });
        Some(match until {
            Some(until) => until.to_string(),
            None => format!("{} s from now", wait.as_secs()),
        })
    }

    /// Returns what there is to know of a limit of requests, if that is what stopped this one.
    pub(super) fn limited(&self) -> Option<Limited> {
        let used_up = self.header("x-ratelimit-remaining") == Some("0");
        let is_limit = match self.call.status {
            429 => true,
            403 => {
                used_up
                    || self.headers.contains_key("retry-after")
                    || self.call.words.to_lowercase().contains("rate limit")
            }
            _ => false,
        };
        if !is_limit {
            return None;
        }
        if let Some(wait) = self.comes_back() {
            return Some(Limited {
                wait: Some(wait),
                until: self.until(wait),
            });
        }
        let reset = self
            .header("x-ratelimit-reset")
            .filter(|_| used_up)
            .and_then(|text| text.parse().ok())
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        Some(match reset {
            Some(reset) => Limited {
                wait: self.time_until(reset),
                until: Some(reset.to_string()),
            },
            None => Limited {
                wait: None,
                until: None,
            },
        })
    }

    pub(super) fn into_refusal(self) -> Refusal {
        #[derive(Deserialize)]
        struct Faults {
            errors: Option<Vec<Value>>,
        }
        let json = serde_json::from_slice::<Value>(&self.body).unwrap_or(Value::Null);
        let faults = serde_json::from_value::<Faults>(json.clone())
            .ok()
            .and_then(|faults| faults.errors)
            .unwrap_or_default();
        let word = |fault: &Value, key: &str| {
            fault
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Refusal {
            text: said(&json).to_lowercase(),
            fields: faults
                .iter()
                .map(|fault| (word(fault, "field"), word(fault, "code")))
                .collect(),
            call: self.call,
            headers: self.headers,
        }
    }
}

/// What a server says of when to come again.
pub(super) struct Limited {
    /// How long that is, where it can be told.
    pub(super) wait: Option<Duration>,
    /// The time itself, for people.
    pub(super) until: Option<String>,
}

/// The server's words about a refusal, taken apart.
pub(super) struct Refusal {
    pub(super) call: Call,
    pub(super) headers: HeaderMap,
    /// Everything that it says, in small letters.
    pub(super) text: String,
    /// The fields it complains about.
    pub(super) fields: Vec<(String, String)>,
}

impl Refusal {
    /// Returns whether the request was to open a pull request.
    pub(super) fn opens(&self) -> bool {
        self.call.method == "POST" && self.call.path.ends_with("/pulls")
    }
}

/// Returns what a server says about a refusal; nothing where it does not refuse.
pub(super) fn words(status: u16, body: &[u8]) -> String {
    if status < 300 {
        return String::new();
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => said(&json),
        Err(_) => title_or_start(body),
    }
}

/// Returns all that a JSON answer says: its message, and those of the single faults.
fn said(json: &Value) -> String {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut parts: Vec<String> = text(json, "message").into_iter().collect();
    if let Some(faults) = json.get("errors").and_then(Value::as_array) {
        parts.extend(faults.iter().filter_map(|fault| {
            fault
                .as_str()
                .map(str::to_owned)
                .or_else(|| text(fault, "message"))
                .or_else(|| {
                    Some(format!(
                        "{} {}",
                        text(fault, "field")?,
                        text(fault, "code")?
                    ))
                })
        }));
    }
    parts.retain(|part| !part.trim().is_empty());
    parts.join("; ")
}

/// Returns a page's title, or how a text begins.
fn title_or_start(body: &[u8]) -> String {
    let start = body.get(..4096).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    // Lower case in ASCII keeps every offset.
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|from| {
        let from = from + lower.get(from..)?.find('>')? + 1;
        let to = from + lower.get(from..)?.find("</title")?;
        text.get(from..to)
    });
    match title {
        Some(title) => title.to_owned(),
        None => text.chars().take(120).collect(),
    }
}

pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(WORDS_SHOWN) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// Reads the form of dates that HTTP prescribes.
fn http_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}
