//! Building: what is missing, what cannot be built here, what failed and why.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::closure::StorePath;

use super::error::ended;
use super::settings::{Machines, read_json};
use super::{Nix, NixError, call, message};

/// How many lines of a failed build's log are kept.
const LOG_TAIL: usize = 20;

/// What a build would have to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Derivations to build.
    pub build: Vec<StorePath>,
    /// Paths to fetch.
    pub fetch: Vec<StorePath>,
}

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

/// What came of a build.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// The derivations that failed themselves, by their path. What only hangs on them is not among these.
    pub failures: BTreeMap<StorePath, BuildFailure>,
    /// Nix's last error where nothing it built is to blame: a path that cannot be fetched, a full disk.
    pub error: Option<String>,
}

/// Why one derivation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFailure {
    /// Nix's reason, in the same words for every version where they are known.
    pub reason: String,
    /// The last lines of its log, raw.
    pub log_tail: Vec<String>,
    /// It was ended for taking too long, so nothing is known about it.
    pub timed_out: bool,
}

impl Nix {
    /// Holds `derivations` by garbage-collector roots at `link`, `link-1`, and so on.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn root_derivations(
        &self,
        link: &Path,
        derivations: &[&StorePath],
    ) -> Result<(), NixError> {
        self.door
            .run(&call::root_derivations(&self.options, link, derivations))
            .await?;
        Ok(())
    }

    /// Holds valid `outputs` by garbage-collector roots at `link`, `link-2`, and so on.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn root_outputs(&self, link: &Path, outputs: &[&StorePath]) -> Result<(), NixError> {
        self.door
            .run(&call::root_outputs(&self.options, link, outputs))
            .await?;
        Ok(())
    }

    /// Returns what building `derivations` would have to build and fetch.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn missing(&self, derivations: &[&StorePath]) -> Result<Missing, NixError> {
        let output = self
            .door
            .run(&call::dry_run(&self.options, derivations))
            .await?;
        self.warnings.read(output.stderr.bytes());
        Ok(parse_missing(&String::from_utf8_lossy(
            output.stderr.bytes(),
        )))
    }

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
            .door
            .run(&call::show_derivations(&self.options, derivations))
            .await?;
        parse_derivations(&output.stdout, &store_dir)
    }

    /// Builds `derivations`, going on after failures. `known` says what may be built on the way.
    ///
    /// # Errors
    ///
    /// Nix cannot be started or is told to stop. A failed build is a value.
    pub async fn build(
        &self,
        derivations: &[&StorePath],
        known: &BTreeMap<StorePath, Derivation>,
    ) -> Result<Built, NixError> {
        let mut log = BuildLog::default();
        let output = self
            .door
            .output_with_lines(&call::realise(&self.options, derivations), |line| {
                log.read(line);
            })
            .await?;
        self.warnings.read(log.plain_messages().as_bytes());
        if output.success() {
            return Ok(Built::default());
        }
        // Started and still without its outputs: failed itself. This holds in every version, whatever
        // its messages look like.
        let outputs: Vec<&StorePath> = log
            .started
            .iter()
            .filter_map(|drv| known.get(drv))
            .flat_map(|derivation| &derivation.outputs)
            .collect();
        let invalid = self.invalid(&outputs).await?;
        let mut built = Built::default();
        for drv in &log.started {
            let outputs = known
                .get(drv)
                .map_or(&[][..], |derivation| &derivation.outputs);
            let failed = if outputs.is_empty() {
                // Its paths are not known beforehand: newer versions print none for a fixed output.
                log.own_error(drv).is_some()
            } else {
                outputs.iter().any(|out| invalid.contains(out))
            };
            if failed {
                built.failures.insert(drv.clone(), log.failure(drv));
            }
        }
        built.error = log
            .errors
            .last()
            .map(|text| message::without_prefix(text).to_owned());
        Ok(built)
    }

    /// Returns those of `paths` that are not in the store.
    ///
    /// # Errors
    ///
    /// Nix fails.
    pub async fn invalid(&self, paths: &[&StorePath]) -> Result<HashSet<StorePath>, NixError> {
        let mut invalid = HashSet::new();
        // Far below the limit of all arguments together (2 MiB on Linux).
        for some in paths.chunks(4_000) {
            let output = self.door.run(&call::invalid(&self.options, some)).await?;
            let text = String::from_utf8_lossy(&output.stdout);
            invalid.extend(
                text.lines()
                    .filter_map(|line| StorePath::parse(line.trim()).ok()),
            );
        }
        Ok(invalid)
    }

    /// Returns the log of a build; none where Nix has none.
    ///
    /// # Errors
    ///
    /// Nix cannot be started or is told to stop.
    pub async fn log(&self, derivation: &StorePath) -> Result<Option<Vec<u8>>, NixError> {
        match self.door.run(&call::log(&self.options, derivation)).await {
            Ok(output) => Ok(Some(output.stdout)),
            Err(error) if ended(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns, for each of `roots` that hangs on one, a derivation that no machine can build: the first by name.
pub fn unbuildable(
    roots: &[&StorePath],
    known: &BTreeMap<StorePath, Derivation>,
    machines: &Machines,
) -> BTreeMap<StorePath, Unbuildable> {
    let mut found = BTreeMap::new();
    for root in roots {
        let worst = reachable(root, known)
            .into_iter()
            .filter_map(|drv| Some((drv, known.get(drv)?)))
            .filter(|(_, derivation)| !machines.can_build(&derivation.system, &derivation.features))
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

impl Built {
    /// Returns the failures that `root` hangs on, by name.
    pub fn failures_of<'a>(
        &'a self,
        root: &StorePath,
        known: &BTreeMap<StorePath, Derivation>,
    ) -> Vec<(&'a StorePath, &'a BuildFailure)> {
        let below = reachable(root, known);
        let mut failures: Vec<_> = self
            .failures
            .iter()
            .filter(|(drv, _)| below.contains(*drv))
            .collect();
        failures.sort_by(|(a, _), (b, _)| (a.name(), a).cmp(&(b.name(), b)));
        failures
    }
}

/// Returns `root` and every derivation of `known` that it needs.
fn reachable<'a>(
    root: &'a StorePath,
    known: &'a BTreeMap<StorePath, Derivation>,
) -> HashSet<&'a StorePath> {
    let mut seen = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(drv) = open.pop() {
        for input in known.get(drv).into_iter().flat_map(|d| &d.inputs) {
            if known.contains_key(input) && seen.insert(input) {
                open.push(input);
            }
        }
    }
    seen
}

/// Reads what `--dry-run` says: a heading, then indented paths, for what is built and what is fetched.
fn parse_missing(stderr: &str) -> Missing {
    let mut missing = Missing::default();
    let mut fetching = None;
    for line in message::plain(stderr).lines() {
        if let Some(path) = line.strip_prefix("  ") {
            let path = StorePath::parse(path.trim());
            match (fetching, path) {
                (Some(true), Ok(path)) => missing.fetch.push(path),
                (Some(false), Ok(path)) => missing.build.push(path),
                _ => {}
            }
        } else if line.contains("will be built") {
            fetching = Some(false);
        } else if line.contains("will be fetched") {
            fetching = Some(true);
        } else {
            fetching = None;
        }
    }
    missing
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

/// What Nix reports while it builds, in its `internal-json` format.
///
/// Of the format this is used: `start` of type 105 is a build, its first field the derivation; `result`
/// of type 101 is a log line of it; `msg` of level 0 is an error.
#[derive(Debug, Default)]
struct BuildLog {
    started: BTreeSet<StorePath>,
    activities: HashMap<u64, StorePath>,
    tails: HashMap<StorePath, VecDeque<String>>,
    errors: Vec<String>,
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

    fn read(&mut self, line: &[u8]) {
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
                self.errors.push(message::plain(&event.msg));
            }
            ("msg", _) if event.level == 1 => self.messages.push(event.msg),
            _ => {}
        }
    }

    fn plain_messages(&self) -> String {
        self.messages.join("\n")
    }

    /// Returns the error that is about `drv` itself.
    fn own_error(&self, drv: &StorePath) -> Option<&String> {
        self.errors.iter().find(|text| names_failure_of(text, drv))
    }

    /// Returns why `drv` failed, from the error that names it.
    fn failure(&self, drv: &StorePath) -> BuildFailure {
        let own = self.own_error(drv);
        let timed_out = match own {
            Some(text) => text.contains("timed out after"),
            // 2.34 does not say which build it was that timed out.
            None => self
                .errors
                .iter()
                .any(|text| text.contains("timed out after")),
        };
        let reason = match own {
            Some(text) => reason(text, drv),
            None if timed_out => "timed out".to_owned(),
            None => "failed without a reason given".to_owned(),
        };
        BuildFailure {
            reason,
            log_tail: self.tails.get(drv).into_iter().flatten().cloned().collect(),
            timed_out,
        }
    }
}

/// Whether an error is about `drv` itself, not about what hangs on it.
fn names_failure_of(text: &str, drv: &StorePath) -> bool {
    text.contains(drv.as_str())
        && !text.contains("dependency failed")
        && !text.contains("dependencies failed")
        && !text.contains("dependencies of derivation")
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

    #[test]
    fn what_a_dry_run_lists_is_read() {
        let text = "these 2 derivations will be built:\n  \
             /nix/store/1g7nf7i9xsxf9d789f7ivfjznmjw25zq-php-8.2.19.drv\n  \
             /nix/store/k0psqlhxyjmxgzwgiys5lyfd3a61r0xn-system-path.drv\n\
             this path will be fetched (0.02 MiB download, 0.10 MiB unpacked):\n  \
             /nix/store/00000000000000000000000000000000-hello-2.12\n\
             don't know how to build these paths:\n  /nix/store/11111111111111111111111111111111-x\n";
        let missing = parse_missing(text);
        assert_eq!((missing.build.len(), missing.fetch.len()), (2, 1));
        assert_eq!(parse_missing(""), Missing::default());
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
                    timed_out: false,
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
            assert!(failure.timed_out, "{failure:?}");
        }
    }

    #[test]
    fn lines_that_are_not_nixs_do_no_harm() {
        let log = read(b"hello\n@nix {\n@nix []\n@nix {\"action\":\"start\",\"type\":105}\n@nix {\"action\":\"result\",\"type\":101,\"id\":3,\"fields\":[\"x\"]}\n\xff\xfe");
        assert!(log.started.is_empty());
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
    }
}
