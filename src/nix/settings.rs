//! Nix's settings, and which systems and features can be built with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{Nix, NixError, call, space};

/// The settings of Nix that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The machine's own system, such as `x86_64-linux`.
    pub system: String,
    /// The flake's own `nixConfig` is trusted, by Nix's settings or by ours.
    pub accept_flake_config: bool,
    /// What can be built here and on the machines of `builders`.
    pub machines: Machines,
    /// The store, as Nix spells it: `auto`, `daemon`, a URL.
    store: String,
}

impl Settings {
    /// Returns the directory that holds the paths of the store which stands under `store_dir`; none where that is not on this
    /// machine.
    pub fn store_place(&self, store_dir: &str) -> Option<PathBuf> {
        space::place(&self.store, store_dir)
    }
}

/// The machines that can build, each by the systems and features it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machines(Vec<Machine>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Machine {
    systems: BTreeSet<String>,
    features: BTreeSet<String>,
    /// Features that a derivation must ask for to be built there.
    mandatory: BTreeSet<String>,
}

impl Machines {
    /// Returns whether some machine builds a derivation of `system` that asks for `features`.
    ///
    /// What Nix builds itself (`builtin`) needs no machine.
    pub fn can_build(&self, system: &str, features: &[String]) -> bool {
        system == "builtin"
            || self.0.iter().any(|machine| {
                machine.systems.contains(system)
                    && features
                        .iter()
                        .all(|f| machine.features.contains(f) || machine.mandatory.contains(f))
                    && machine.mandatory.iter().all(|f| features.contains(f))
            })
    }

    /// Returns a single machine of this system, without features.
    #[cfg(test)]
    pub(super) fn of_system(system: &str) -> Self {
        Self(vec![Machine {
            systems: BTreeSet::from([system.to_owned()]),
            features: BTreeSet::new(),
            mandatory: BTreeSet::new(),
        }])
    }

    /// Adds the machines of a `builders` setting or a machines file: a line (or, in the setting, a part
    /// between semicolons) each, the fields `URI SYSTEMS KEY JOBS SPEED FEATURES MANDATORY HOSTKEY`, `-` for none.
    ///
    /// `own` is the system of a machine that names none.
    fn add_builders(&mut self, text: &str, own: &str) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("");
            for entry in line.split(';') {
                let fields: Vec<&str> = entry.split_whitespace().collect();
                if fields.is_empty() {
                    continue;
                }
                let list = |at: usize| -> BTreeSet<String> {
                    match fields.get(at) {
                        None | Some(&"-") => BTreeSet::new(),
                        Some(text) => text.split(',').map(str::to_owned).collect(),
                    }
                };
                let mut systems = list(1);
                if systems.is_empty() {
                    systems.insert(own.to_owned());
                }
                self.0.push(Machine {
                    systems,
                    features: list(5),
                    mandatory: list(6),
                });
            }
        }
    }
}

/// One setting as `nix config show --json` prints it.
#[derive(Debug, Deserialize)]
struct Setting {
    value: Value,
}

impl Nix {
    /// Returns the settings in force, with this machine's `builders` read from their files.
    ///
    /// # Errors
    ///
    /// Nix fails, or its answer is not understood. A machines file that is missing is none, as for Nix.
    pub async fn settings(&self) -> Result<Settings, NixError> {
        let output = self
            .run(&call::settings(&self.options, self.spelling))
            .await?;
        self.warnings.read(output.stderr.bytes());
        parse(&output.stdout, |path| std::fs::read_to_string(path).ok())
    }

    /// Returns the settings that the flake in `file` asks for in its `nixConfig`.
    ///
    /// # Errors
    ///
    /// Nix fails, or its answer is not understood.
    pub async fn flake_settings(&self, file: &Path) -> Result<Vec<(String, String)>, NixError> {
        let output = self.run(&call::flake_settings(&self.options, file)).await?;
        let settings: serde_json::Map<String, Value> =
            read_json("the flake's nixConfig", &output.stdout)?;
        Ok(settings
            .into_iter()
            .filter_map(|(name, value)| Some((name, spelled(&value)?)))
            .collect())
    }
}

/// Returns a setting's value as `--option` takes it.
fn spelled(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(spelled).collect();
            Some(items?.join(" "))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// Reads JSON that Nix printed.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, NixError> {
    serde_json::from_slice(bytes).map_err(|error| NixError::Unreadable {
        what,
        detail: error.to_string(),
    })
}

fn parse(json: &[u8], read: impl Fn(&Path) -> Option<String>) -> Result<Settings, NixError> {
    let settings: std::collections::BTreeMap<String, Setting> = read_json("the settings", json)?;
    let text = |name: &str| -> String {
        settings
            .get(name)
            .and_then(|setting| spelled(&setting.value))
            .unwrap_or_default()
    };
    let set = |name: &str| -> BTreeSet<String> {
        text(name).split_whitespace().map(str::to_owned).collect()
    };
    let system = text("system");
    if system.is_empty() {
        return Err(NixError::Unreadable {
            what: "the settings",
            detail: "there is no `system`".to_owned(),
        });
    }
    let mut systems = set("extra-platforms");
    systems.insert(system.clone());
    let mut machines = Machines::default();
    // `max-jobs = 0` is how a machine says that it builds nothing itself.
    if text("max-jobs") != "0" {
        machines.0.push(Machine {
            systems,
            features: set("system-features"),
            mandatory: BTreeSet::new(),
        });
    }
    let builders = text("builders");
    for line in builders.split(['\n', ';']).map(str::trim) {
        match line.strip_prefix('@') {
            Some(file) => {
                if let Some(text) = read(Path::new(file)) {
                    machines.add_builders(&text, &system);
                }
            }
            None => machines.add_builders(line, &system),
        }
    }
    Ok(Settings {
        accept_flake_config: text("accept-flake-config") == "true",
        store: text("store"),
        system,
        machines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(builders: &str, jobs: &str) -> Settings {
        let json = serde_json::json!({
            "system": {"value": "x86_64-linux"},
            "extra-platforms": {"value": ["i686-linux"]},
            "system-features": {"value": ["kvm", "big-parallel"]},
            "builders": {"value": builders},
            "max-jobs": {"value": jobs},
        });
        parse(json.to_string().as_bytes(), |path| {
            (path == Path::new("/etc/nix/machines")).then(|| {
                "# ours\nssh://arm aarch64-linux,armv7l-linux /key 4 1 big-parallel - -\n"
                    .to_owned()
            })
        })
        .unwrap()
    }

    #[test]
    fn machines_are_known_by_system_and_features() {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let here = settings("", "2").machines;
        assert!(here.can_build("x86_64-linux", &own(&["kvm"])));
        assert!(here.can_build("i686-linux", &[]));
        assert!(here.can_build("builtin", &[]));
        assert!(!here.can_build("aarch64-linux", &[]));
        assert!(!here.can_build("x86_64-linux", &own(&["benchmark"])));

        let file = settings("@/etc/nix/machines", "2").machines;
        assert!(file.can_build("armv7l-linux", &own(&["big-parallel"])));
        assert!(!file.can_build("aarch64-linux", &own(&["kvm"])));
        assert_eq!(settings("@/etc/nix/missing", "2").machines, here);

        let inline = settings("ssh://a riscv64-linux ; ssh://b - - 1 1 - gpu", "0").machines;
        assert!(inline.can_build("riscv64-linux", &[]));
        assert!(inline.can_build("x86_64-linux", &own(&["gpu"])));
        assert!(
            !inline.can_build("x86_64-linux", &[]),
            "the only machine of that system wants the feature asked for"
        );
    }

    #[test]
    fn an_answer_without_a_system_is_refused() {
        assert!(parse(b"{}", |_| None).is_err());
        assert!(parse(b"[", |_| None).is_err());
    }
}
