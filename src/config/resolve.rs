//! Takes values out of the layers, and keeps what is wrong and what was taken.

use super::keys::{Key, NOT_IN_PULL_REQUESTS, NOT_YET, NOT_YET_WORDS};
use super::layers::{Layers, Raw};
use super::show::Setting;
use super::value::{NixOption, Value, array};
use super::{CiRunner, Origin, Problem, Sourced};

/// Takes the value of each key, once, from the highest layer that has it.
///
/// What is wrong is kept for [`Self::finish`], and the default given in its place, so that all
/// problems are found in one go.
#[derive(Debug)]
pub(super) struct Resolver {
    layers: Layers,
    /// The event of a pull request's job.
    pull_request: Option<String>,
    problems: Vec<Problem>,
    settings: Vec<Setting>,
}

impl Resolver {
    /// Returns a resolver over these layers, in a job of this runner.
    pub(super) fn new(layers: Layers, runner: Option<&CiRunner>) -> Self {
        let mut resolver = Self {
            layers,
            pull_request: runner
                .filter(|runner| runner.is_pull_request())
                .and_then(|runner| runner.event.as_ref())
                .map(|event| event.value.clone()),
            problems: Vec::new(),
            settings: Vec::new(),
        };
        for key in NOT_YET {
            let set = resolver.layers.of(key).next().map(|raw| raw.origin.clone());
            resolver.problems.extend(set.map(|origin| Problem::NotYet {
                key,
                word: None,
                origin,
            }));
        }
        resolver
    }

    /// Returns a key's value, or the default.
    pub(super) fn one<T: Value>(&mut self, key: &'static str, default: T) -> Sourced<T> {
        let value = self
            .word(key)
            .unwrap_or_else(|| Sourced::by_default(default));
        self.record(key, Some((value.to_toml(), &value.origin)));
        value
    }

    /// Returns a key's value, if somebody set it.
    pub(super) fn optional<T: Value>(&mut self, key: &'static str) -> Option<Sourced<T>> {
        self.filled(key, None)
    }

    /// Returns a key's value, or what the runner says.
    pub(super) fn filled<T: Value>(
        &mut self,
        key: &'static str,
        runner: Option<Sourced<T>>,
    ) -> Option<Sourced<T>> {
        let value = self.word(key).or(runner);
        self.record(
            key,
            value.as_ref().map(|value| (value.to_toml(), &value.origin)),
        );
        value
    }

    /// Returns a key's values, or the default.
    pub(super) fn list<T: Value>(&mut self, key: &'static str, default: Vec<T>) -> Sourced<Vec<T>> {
        let mut values = None;
        if let Some(raw) = self.top(key) {
            let mut value = Vec::new();
            let known = self.problems.len();
            for (index, word) in raw.words.iter().enumerate() {
                match T::parse(word) {
                    Ok(item) => value.push(item),
                    Err(reason) => self.refuse(key, &raw.origin_of(index), reason),
                }
            }
            if self.problems.len() == known {
                values = Some(Sourced {
                    value,
                    origin: raw.origin,
                });
            }
        }
        let values = values.unwrap_or_else(|| Sourced::by_default(default));
        self.record(key, Some((array(&values), &values.origin)));
        values
    }

    /// Returns the settings of all layers, of each name those of the highest that has it.
    ///
    /// Within a layer a name may repeat: Nix takes the last, or adds up those of `extra-` settings.
    pub(super) fn options(&mut self, key: &'static str) -> Vec<Sourced<NixOption>> {
        let raws: Vec<Raw> = self.layers.of(key).cloned().collect();
        let mut options: Vec<Sourced<NixOption>> = Vec::new();
        for raw in raws {
            self.check_file(key, &raw.origin);
            let mut layer = Vec::new();
            for (pair, index) in raw.words.chunks(2).zip((0..).step_by(2)) {
                let origin = raw.origin_of(index);
                let [name, value] = pair else {
                    continue;
                };
                match NixOption::parse(name, value) {
                    Ok(value) => layer.push(Sourced { value, origin }),
                    Err(reason) => self.refuse(key, &origin, reason),
                }
            }
            layer.retain(|new| !options.iter().any(|known| known.name == new.name));
            // The lower layer's come first, as they would from Nix's own configuration file.
            options.splice(0..0, layer);
        }
        if options.is_empty() {
            self.record(key, None);
        }
        for option in &options {
            let value = super::value::quoted(&option.shown());
            self.settings.push(Setting {
                key,
                shown: Some((
                    format!("{key}.{} = {value}", option.name),
                    option.origin.clone(),
                )),
            });
        }
        options
    }

    /// Notes what is wrong with a key's value.
    pub(super) fn refuse(&mut self, key: &'static str, origin: &Origin, reason: String) {
        let origin = origin.clone();
        self.problem(Problem::Value {
            key,
            origin,
            reason,
        });
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Returns what was taken, in the order of the help, and what is wrong.
    pub(super) fn finish(mut self) -> (Vec<Setting>, Vec<Problem>) {
        let order = |setting: &Setting| Key::all().iter().position(|key| key.name == setting.key);
        self.settings.sort_by_cached_key(order);
        (self.settings, self.problems)
    }

    /// Returns the words of the highest layer that has the key, if they may be used.
    fn top(&mut self, key: &'static str) -> Option<Raw> {
        let raw = self.layers.of(key).next()?.clone();
        self.check_file(key, &raw.origin);
        Some(raw)
    }

    fn word<T: Value>(&mut self, key: &'static str) -> Option<Sourced<T>> {
        let Raw { words, origin, .. } = self.top(key)?;
        let word = words.last()?;
        let waits = NOT_YET_WORDS
            .iter()
            .find(|(waiting, not_yet)| *waiting == key && *not_yet == word);
        if let Some((_, not_yet)) = waits {
            self.problem(Problem::NotYet {
                key,
                word: Some(not_yet),
                origin,
            });
            return None;
        }
        match T::parse(word) {
            Ok(value) => Some(Sourced { value, origin }),
            Err(reason) => {
                self.refuse(key, &origin, reason);
                None
            }
        }
    }

    /// Notes a key that the file sets, and that it must not set in a pull request's job.
    fn check_file(&mut self, key: &'static str, origin: &Origin) {
        if let (Some(event), Origin::File { .. }) = (&self.pull_request, origin)
            && NOT_IN_PULL_REQUESTS.contains(&key)
        {
            self.problems.push(Problem::InPullRequest {
                key,
                origin: origin.clone(),
                event: event.clone(),
            });
        }
    }

    fn record(&mut self, key: &'static str, value: Option<(String, &Origin)>) {
        let shown = value.map(|(toml, origin)| (format!("{key} = {toml}"), origin.clone()));
        self.settings.push(Setting { key, shown });
    }
}
