//! Derivations as data, and which of them nothing here can build.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use crate::closure::StorePath;

use super::settings::{Machines, read_json};
use super::{Nix, NixError, call};

/// What of a derivation matters for building it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// The system it is built on.
    pub system: String,
    /// `requiredSystemFeatures`.
    pub features: Vec<String>,
    /// The derivations it needs.
    pub inputs: Vec<StorePath>,
    /// Its outputs, as far as they are known beforehand.
    pub outputs: Vec<StorePath>,
}

/// A derivation that no machine here can build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unbuildable {
    /// The derivation.
    pub drv: StorePath,
    /// Its system.
    pub system: String,
    /// The features it asks for.
    pub features: Vec<String>,
}

impl Nix {
    /// Returns `derivations` as data.
    ///
    /// # Errors
    ///
    /// Nix fails, or its answer is of no known shape.
    pub async fn derivations(
        &self,
        derivations: &[&StorePath],
    ) -> Result<BTreeMap<StorePath, Derivation>, NixError> {
        let store_dir = derivations
            .first()
            .map_or("", |path| path.store_dir())
            .to_owned();
        let output = self
            .run(&call::show_derivations(&self.options, derivations))
            .await?;
        parse_derivations(&output.stdout, &store_dir)
    }
}

/// Returns, for each of `roots` that hangs on one, a derivation that no machine can build: the first by name.
pub fn unbuildable(
    roots: &[&StorePath],
    known: &BTreeMap<StorePath, Derivation>,
    machines: &Machines,
) -> BTreeMap<StorePath, Unbuildable> {
    let mut found = BTreeMap::new();
    let can =
        |derivation: &Derivation| machines.can_build(&derivation.system, &derivation.features);
    if known.values().all(can) {
        return found;
    }
    for root in roots {
        let worst = reachable(root, known)
            .into_iter()
            .filter_map(|drv| Some((drv, known.get(drv)?)))
            .filter(|(_, derivation)| !can(derivation))
            .map(|(drv, derivation)| Unbuildable {
                drv: drv.clone(),
                system: derivation.system.clone(),
                features: derivation.features.clone(),
            })
            // By name: the same on every machine, whatever the paths are.
            .min_by(|a, b| (a.drv.name(), a).cmp(&(b.drv.name(), b)));
        if let Some(worst) = worst {
            found.insert((*root).clone(), worst);
        }
    }
    found
}

/// Returns how many derivations of `known` building `roots` takes, they themselves included.
pub fn needed(roots: &[&StorePath], known: &BTreeMap<StorePath, Derivation>) -> usize {
    all_reachable(roots, known)
        .into_iter()
        .filter(|drv| known.contains_key(*drv))
        .count()
}

/// Returns `root` and every derivation of `known` that it needs.
pub(super) fn reachable<'a>(
    root: &'a StorePath,
    known: &'a BTreeMap<StorePath, Derivation>,
) -> HashSet<&'a StorePath> {
    all_reachable(&[root], known)
}

fn all_reachable<'a>(
    roots: &[&'a StorePath],
    known: &'a BTreeMap<StorePath, Derivation>,
) -> HashSet<&'a StorePath> {
    let mut seen: HashSet<&StorePath> = roots.iter().copied().collect();
    let mut open = roots.to_vec();
    while let Some(drv) = open.pop() {
        for input in known.get(drv).into_iter().flat_map(|d| &d.inputs) {
            if known.contains_key(input) && seen.insert(input) {
                open.push(input);
            }
        }
    }
    seen
}

/// A derivation as 2.19 to 2.32 print it, and as 2.33 and later do.
#[derive(Debug, Deserialize)]
struct DerivationJson {
    #[serde(default)]
    env: EnvJson,
    #[serde(default, rename = "structuredAttrs")]
    structured: Option<StructuredJson>,
    #[serde(default, rename = "inputDrvs")]
    input_drvs: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default)]
    inputs: InputsJson,
    #[serde(default)]
    outputs: BTreeMap<String, OutputJson>,
    system: String,
}

#[derive(Debug, Default, Deserialize)]
struct EnvJson {
    #[serde(default, rename = "requiredSystemFeatures")]
    features: Option<String>,
    /// Structured attributes of the older shape: JSON within JSON.
    #[serde(default, rename = "__json")]
    json: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct StructuredJson {
    #[serde(default, rename = "requiredSystemFeatures")]
    features: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct InputsJson {
    #[serde(default)]
    drvs: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct OutputJson {
    #[serde(default)]
    path: Option<String>,
}

fn parse_derivations(
    json: &[u8],
    store_dir: &str,
) -> Result<BTreeMap<StorePath, Derivation>, NixError> {
    const WHAT: &str = "derivations";
    #[derive(Deserialize)]
    struct Wrapped {
        derivations: BTreeMap<String, DerivationJson>,
    }
    // Whichever shape it is, a wrong guess fails at once: derivations have no key `derivations`.
    let all = match serde_json::from_slice::<Wrapped>(json) {
        Ok(wrapped) => wrapped.derivations,
        Err(_not_wrapped) => read_json::<BTreeMap<String, DerivationJson>>(WHAT, json)?,
    };
    // Newer versions print base names.
    let path = |text: &str| -> Result<StorePath, NixError> {
        let full = if text.starts_with('/') {
            text.to_owned()
        } else {
            format!("{store_dir}/{text}")
        };
        StorePath::parse(&full).map_err(|error| NixError::Unreadable {
            what: WHAT,
            detail: error.to_string(),
        })
    };
    all.into_iter()
        .map(|(drv, json)| {
            let structured = json
                .env
                .json
                .as_deref()
                .and_then(|text| serde_json::from_str::<StructuredJson>(text).ok())
                .or(json.structured);
            let features = match (json.env.features, structured) {
                (Some(text), _) => text.split_whitespace().map(str::to_owned).collect(),
                (None, Some(structured)) => structured.features,
                (None, None) => Vec::new(),
            };
            let inputs = json.input_drvs.keys().chain(json.inputs.drvs.keys());
            Ok((
                path(&drv)?,
                Derivation {
                    system: json.system,
                    features,
                    inputs: inputs.map(|text| path(text)).collect::<Result<_, _>>()?,
                    // Content-addressed outputs have no path yet.
                    outputs: json
                        .outputs
                        .into_values()
                        .filter_map(|output| output.path)
                        .map(|text| path(&text))
                        .collect::<Result<_, _>>()?,
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drv(name: &str) -> StorePath {
        StorePath::parse(&format!("/D/nix/store/{name}")).unwrap()
    }

    #[test]
    fn both_shapes_of_a_derivation_are_read_alike() {
        let older = parse_derivations(
            include_bytes!("../../fixtures/nix/2.26.3/derivation-show.out"),
            "/D/nix/store",
        )
        .unwrap();
        let newer = parse_derivations(
            include_bytes!("../../fixtures/nix/2.34.8/derivation-show.out"),
            "/D/nix/store",
        )
        .unwrap();
        for all in [&older, &newer] {
            assert_eq!(all.len(), 1);
            let (drv, derivation) = all.first_key_value().unwrap();
            assert_eq!(drv.store_dir(), "/D/nix/store");
            assert_eq!(derivation.system, "x86_64-linux");
            assert_eq!(derivation.outputs.len(), 1);
            let mut inputs: Vec<&str> = derivation.inputs.iter().map(StorePath::name).collect();
            inputs.sort_unstable();
            assert_eq!(
                inputs,
                [
                    "bash-5.2p26.drv",
                    "etc.drv",
                    "initrd-linux-6.6.32.drv",
                    "linux-6.6.32.drv",
                    "system-path.drv",
                    "systemd-255.6.drv"
                ]
            );
        }
        assert!(parse_derivations(b"[]", "/D").is_err());
    }

    #[test]
    fn features_are_found_wherever_they_stand() {
        let show = |body: &str| {
            let json = format!(
                r#"{{"/n/00000000000000000000000000000000-x.drv": {{"system": "s", {body}}}}}"#
            );
            parse_derivations(json.as_bytes(), "/n")
                .unwrap()
                .into_values()
                .next()
                .unwrap()
                .features
        };
        assert_eq!(
            show(r#""env": {"requiredSystemFeatures": "kvm big-parallel"}"#),
            ["kvm", "big-parallel"]
        );
        assert_eq!(
            show(r#""env": {"__json": "{\"requiredSystemFeatures\":[\"kvm\"]}"}"#),
            ["kvm"]
        );
        assert_eq!(
            show(r#""env": {}, "structuredAttrs": {"requiredSystemFeatures": ["gpu"]}"#),
            ["gpu"]
        );
        assert!(show(r#""env": {}"#).is_empty());
    }

    #[test]
    fn what_nobody_can_build_takes_its_hosts_out() {
        let names = [
            "00000000000000000000000000000000-pi.drv",
            "11111111111111111111111111111111-web.drv",
            "22222222222222222222222222222222-linux.drv",
            "33333333333333333333333333333333-src.drv",
        ];
        let [pi, web, linux, src] = names.map(drv);
        let derivation = |system: &str, inputs: &[&StorePath]| Derivation {
            system: system.to_owned(),
            features: Vec::new(),
            inputs: inputs.iter().map(|p| (*p).clone()).collect(),
            outputs: Vec::new(),
        };
        let known = BTreeMap::from([
            (pi.clone(), derivation("x86_64-linux", &[&linux, &src])),
            (web.clone(), derivation("x86_64-linux", &[&src])),
            (linux.clone(), derivation("aarch64-linux", &[])),
            (src.clone(), derivation("builtin", &[])),
        ]);
        let found = unbuildable(&[&pi, &web], &known, &Machines::of_system("x86_64-linux"));
        assert_eq!(found.len(), 1);
        assert_eq!(found.get(&pi).map(|u| u.drv.clone()), Some(linux));
        // What two of them need counts once.
        assert_eq!(needed(&[&pi, &web], &known), 4);
        assert_eq!(needed(&[&web], &known), 2);
    }
}
