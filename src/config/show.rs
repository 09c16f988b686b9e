//! The configuration as text, for `flake-herald config`.

use super::keys::{NOT_YET, TOKEN};
use super::{Config, Origin};

/// A key as it was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The key.
    pub(super) key: &'static str,
    /// The key with its value as TOML, and where that came from; none if nobody set it and it has no
    /// fixed default.
    pub(super) shown: Option<(String, Origin)>,
}

/// The widest setting that still pushes the origins of all others to the right.
const WIDEST: usize = 40;

impl Config {
    /// Returns each key that has a value, with it as TOML, and where that came from.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        self.settings.iter().filter_map(|setting| {
            let (shown, origin) = setting.shown.as_ref()?;
            let (_, value) = shown.split_once(" = ")?;
            Some((setting.key, value, origin))
        })
    }

    /// Returns every setting with its value and where that came from, as a configuration file that
    /// can be read back. What is not set stands there as a comment; secrets are hidden, and keys that
    /// do nothing yet are left out.
    pub fn show(&self) -> String {
        let mut lines = vec![
            match &self.file {
                Some(path) => format!("# configuration file: {}", path.display()),
                None => "# configuration file: none".to_owned(),
            },
            match &self.runner {
                Some(runner) => format!(
                    "# runner: {}, event {}",
                    runner.kind.name(),
                    runner
                        .event
                        .as_ref()
                        .map_or("unknown".to_owned(), |event| event
                            .escape_debug()
                            .to_string())
                ),
                None => "# runner: none".to_owned(),
            },
            match (
                &self.token,
                self.runner
                    .as_ref()
                    .and_then(|runner| runner.token.as_ref()),
            ) {
                (Some(token), _) => format!("# token: (hidden), from the {}", token.origin),
                (None, Some(token)) => format!(
                    "# token: the job's own (hidden), from the {}, for its own server only",
                    token.origin
                ),
                (None, None) => format!("# token: not set ({TOKEN})"),
            },
        ];
        let settings = self
            .settings
            .iter()
            .filter(|setting| !NOT_YET.contains(&setting.key));
        let rows: Vec<(String, String)> = settings
            .map(|setting| match &setting.shown {
                // The file cannot name itself, so it is no line that could be read back.
                Some((value, origin)) if setting.key == "config" => {
                    (format!("# {value}"), origin.to_string())
                }
                Some((value, origin)) => (value.clone(), origin.to_string()),
                None => (format!("# {}", setting.key), "not set".to_owned()),
            })
            .collect();
        let width = rows
            .iter()
            .map(|(left, _)| left.chars().count())
            .filter(|width| *width <= WIDEST)
            .max()
            .unwrap_or(0);
        lines.extend(
            rows.iter()
                .map(|(left, origin)| format!("{left:width$}  # {origin}")),
        );
        lines.push(String::new());
        lines.join("\n")
    }
}
