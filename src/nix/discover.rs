//! Discovery: which hosts a flake has.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::flake::{AttrPath, FlakeRef, Host, HostId, Kind, Standing, Survey, listed, nix_string};

use super::error::ended;
use super::settings::read_json;
use super::{Nix, NixError, call, message};

/// What a flake has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The store's directory, such as `/nix/store`.
    pub store_dir: String,
    /// Every host of the kinds asked for, and every derivation at the paths asked for.
    pub hosts: Vec<Host>,
    /// Hosts of the same names at other places, each once for each further place.
    pub elsewhere: Vec<Host>,
    /// What was decided on the way, and what was found and is no host, for the log.
    pub notes: Vec<String>,
    /// What could not be looked at, so that hosts may be missing: for who relies on all being there.
    pub doubts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscoveredJson {
    store: String,
    kinds: BTreeMap<Kind, KindJson>,
    attrs: Vec<AttrJson>,
}

/// What stands where the hosts of a kind are kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindJson {
    is: String,
    names: Vec<String>,
    below: Vec<PlaceJson>,
}

/// A set of hosts below a system; null names where it does not evaluate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceJson {
    path: Vec<String>,
    names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttrJson {
    what: String,
    members: Vec<MemberJson>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberJson {
    name: String,
    is: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SurveyJson {
    outputs: Vec<String>,
    kinds: BTreeMap<Kind, Option<KindJson>>,
    others: BTreeMap<String, u64>,
    package: Option<String>,
}

/// How far discovery looks beyond the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth<'a> {
    /// For hosts below every system, this machine's first, and at what stands in the sets of the user's.
    AllSystems(&'a str),
    /// The same, below one system.
    OneSystem(&'a str),
    /// At nothing else.
    Names,
}

impl Nix {
    /// Returns the names of the flake's hosts of `kinds`, and what stands at `attrs`: a derivation, or
    /// a set of them. No host is evaluated.
    ///
    /// Where the output of a kind is not there or empty, hosts are looked for below `packages.SYSTEM` and
    /// `legacyPackages.SYSTEM` too, where Nix's own command line finds them. One that stands below several systems is
    /// taken from `system`, this machine's, or else from the first.
    ///
    /// # Errors
    ///
    /// The flake cannot be read or evaluated so far, or a path of `attrs` leads to no derivation.
    pub async fn discover(
        &self,
        flake: &FlakeRef,
        kinds: &[Kind],
        attrs: &[AttrPath],
        system: &str,
    ) -> Result<Discovered, NixError> {
        let ask = async |depth| {
            let function = discovery(kinds, attrs, depth);
            let output = self
                .run(&call::outputs(&self.options, flake, &function))
                .await
                // A stale lock is completed on the way.
                .map_err(|error| super::lock::unreachable(error, false))?;
            self.warnings.read(output.stderr.bytes());
            read_json::<DiscoveredJson>("the hosts", &output.stdout)
        };
        let (json, failed) = match ask(Depth::AllSystems(system)).await {
            Ok(json) => (json, None),
            // A type error in some package is not caught in Nix's language, and is no reason to find no host.
            Err(error) if may_be_of_a_package(&error) => {
                let json = ask(Depth::Names).await?;
                if attrs.is_empty() && json.kinds.values().all(|kind| !kind.may_be_below()) {
                    (json, None)
                } else {
                    let narrower = ask(Depth::OneSystem(system)).await.ok();
                    (narrower.unwrap_or(json), Some(error))
                }
            }
            Err(error) => return Err(error),
        };
        let mut found = Discovered {
            store_dir: json.store,
            hosts: Vec::new(),
            elsewhere: Vec::new(),
            notes: Vec::new(),
            doubts: Vec::new(),
        };
        if let Some(error) = failed {
            let words = error.to_string();
            found.doubts.push(format!(
                "something beside the hosts does not evaluate, and not all was looked at: {}",
                words.lines().next().unwrap_or_default()
            ));
        }
        for (kind, json) in json.kinds {
            found.take(kind, &json);
        }
        for (path, json) in attrs.iter().zip(json.attrs) {
            found.take_attr(path, &json)?;
        }
        Ok(found)
    }

    /// Returns what the flake has instead of the hosts that were looked for.
    ///
    /// # Errors
    ///
    /// The flake cannot be evaluated so far.
    pub async fn survey(&self, flake: &FlakeRef, system: &str) -> Result<Survey, NixError> {
        let output = self
            .run(&call::outputs(&self.options, flake, &census(system)))
            .await?;
        let json: SurveyJson = read_json("the outputs", &output.stdout)?;
        let mut survey = Survey {
            outputs: json.outputs,
            system: system.to_owned(),
            package: json.package,
            ..Survey::default()
        };
        for (kind, json) in json.kinds {
            let Some(json) = json else {
                survey.kinds.push((kind, Standing::Broken));
                continue;
            };
            survey.kinds.push((kind, json.standing()));
            let mut hosts: Vec<HostId> = json.hosts(kind).map(|host| host.id).collect();
            hosts.sort();
            hosts.dedup();
            survey.hosts.extend(hosts);
        }
        survey.others = json
            .others
            .into_iter()
            .filter_map(|(output, number)| Some((output, usize::try_from(number).ok()?)))
            .filter(|(_, number)| *number > 0)
            .collect();
        Ok(survey)
    }
}

/// Whether discovery may have failed by what stands beside the hosts.
fn may_be_of_a_package(error: &NixError) -> bool {
    let NixError::Command(command) = error else {
        return false;
    };
    ended(command)
        && !command
            .stderr()
            .is_some_and(|stderr| message::is_environmental(&stderr.text()))
}

impl KindJson {
    fn standing(&self) -> Standing {
        match self.is.as_str() {
            "absent" => Standing::Absent,
            "empty" => Standing::Empty,
            "set" => Standing::Set,
            other => Standing::Other(other.to_owned()),
        }
    }

    /// Whether hosts may stand below a system instead.
    fn may_be_below(&self) -> bool {
        matches!(self.standing(), Standing::Absent | Standing::Empty)
    }

    /// Returns every host at every place, those first that come first.
    fn hosts(&self, kind: Kind) -> impl Iterator<Item = Host> {
        let named = self.names.iter().map(move |name| Host::named(kind, name));
        let below = self.below.iter().flat_map(move |place| {
            let path = AttrPath::new(place.path.clone());
            let names = place.names.iter().flatten();
            names.map(move |name| Host::below(&path, kind, name))
        });
        named.chain(below)
    }
}

impl Discovered {
    fn take(&mut self, kind: Kind, json: &KindJson) {
        let output = kind.output().unwrap_or_default();
        if let standing @ Standing::Other(_) = json.standing() {
            let fault = standing.fault().unwrap_or_default();
            self.doubts.push(format!("`{output}` is {fault}"));
        }
        for place in json.below.iter().filter(|place| place.names.is_none()) {
            self.doubts.push(format!(
                "`{}` does not evaluate, so nothing in it is looked at",
                AttrPath::new(place.path.clone())
            ));
        }
        let mut taken: BTreeMap<HostId, AttrPath> = BTreeMap::new();
        // For a note: which of the names stand at several places, by the place they are taken from.
        let mut several: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for host in json.hosts(kind) {
            match taken.get(&host.id) {
                None => {
                    taken.insert(host.id.clone(), host.attr.clone());
                    self.hosts.push(host);
                }
                Some(attr) => {
                    let place = AttrPath::new(attr.names().iter().take(3).cloned());
                    let names = several.entry(place.to_string()).or_default();
                    if !names.contains(&host.id.name) {
                        names.push(host.id.name.clone());
                    }
                    self.elsewhere.push(host);
                }
            }
        }
        for (place, names) in several {
            self.notes.push(format!(
                "several places have {}: taken from `{place}`",
                listed(names)
            ));
        }
    }

    fn take_attr(&mut self, path: &AttrPath, json: &AttrJson) -> Result<(), NixError> {
        match json.what.as_str() {
            "derivation" => self.hosts.push(Host::at(path.clone())),
            "home" => self.hosts.push(Host::at(Kind::Home.derivation_of(path))),
            "set" => return self.take_members(path, &json.members),
            "system" => {
                return Err(NixError::NoDerivation(format!(
                    "`{path}` is a whole configuration, whose derivation is `{}`",
                    Kind::Nixos.derivation_of(path)
                )));
            }
            what => return Err(NixError::NoDerivation(format!("`{path}` is {what}"))),
        }
        Ok(())
    }

    fn take_members(&mut self, path: &AttrPath, members: &[MemberJson]) -> Result<(), NixError> {
        let before = self.hosts.len();
        let mut others = Vec::new();
        let mut below = Vec::new();
        for MemberJson { name, is } in members {
            let member = path.child(name);
            match is.as_str() {
                "derivation" => self.hosts.push(Host::at(member)),
                "home" => self.hosts.push(Host::at(Kind::Home.derivation_of(&member))),
                is => {
                    if is == "system" {
                        below.push(Kind::Nixos.derivation_of(&member));
                    } else if is == "set" {
                        below.push(member);
                    }
                    others.push(name);
                }
            }
        }
        let kind = Kind::ALL.iter().find(|kind| {
            let output = kind.output().map(str::to_owned);
            output.as_slice() == path.names()
        });
        let below = if let Some(kind) = kind {
            format!("; --kind {kind} looks at what it holds")
        } else if below.is_empty() {
            String::new()
        } else {
            // Whoever tries one hands it to a shell.
            let paths = below.iter().map(AttrPath::to_string);
            let words = paths.map(|path| shell_words::quote(&path).into_owned());
            format!("; --attr can name what stands deeper: {}", listed(words))
        };
        if self.hosts.len() == before {
            return Err(NixError::NoDerivation(format!(
                "there is none in `{path}`{below}"
            )));
        }
        if !others.is_empty() {
            self.notes.push(format!(
                "left alone in `{path}`, for they are no derivations: {}{below}",
                listed(others)
            ));
        }
        Ok(())
    }
}

/// What both functions over a flake's outputs need: for a kind, `{ is, names, below }`.
///
/// Nothing below a system is forced unless the output itself is not there or empty. `tryEval` catches a `throw`.
const KINDS: &str = r#"
  isDerivation = v: builtins.isAttrs v && v ? type && v ? drvPath && v.type == "derivation";
  isSet = v: builtins.isAttrs v && !isDerivation v;
  setOr = default: v: if isSet v then v else default;
  place = output: system: set: let
    tried = builtins.tryEval (let
      names = builtins.attrNames (setOr { } ((setOr { } ((setOr { } (o.${set} or { })).${system} or { })).${output} or { }));
    in builtins.seq names names);
  in { path = [ set system output ]; names = if tried.success then tried.value else null; };
  namesOf = set: let
    tried = builtins.tryEval (let names = builtins.attrNames (setOr { } (o.${set} or { })); in builtins.seq names names);
  in if tried.success then tried.value else [ ];
  systems = let
    all = builtins.listToAttrs (map (name: { inherit name; value = null; }) (namesOf "packages" ++ namesOf "legacyPackages"));
  in builtins.filter (name: all ? ${name}) own
    ++ (if others then builtins.attrNames (removeAttrs all own) else [ ]);
  kind = output: let
    top = o.${output} or { };
  in
    if isDerivation top then { is = "derivation"; names = [ ]; below = [ ]; }
    else if !builtins.isAttrs top then { is = builtins.typeOf top; names = [ ]; below = [ ]; }
    else if builtins.attrNames top != [ ] then { is = "set"; names = builtins.attrNames top; below = [ ]; }
    else {
      is = if o ? ${output} then "empty" else "absent";
      names = [ ];
      below = builtins.concatMap (system: map (place output system) [ "packages" "legacyPackages" ]) systems;
    };"#;

/// Returns which systems [`KINDS`] looks below: first those of a list, then all others or none.
fn systems(depth: Depth<'_>) -> String {
    match depth {
        Depth::AllSystems(system) => {
            format!("  own = [ {} ];\n  others = true;", nix_string(system))
        }
        Depth::OneSystem(system) => {
            format!("  own = [ {} ];\n  others = false;", nix_string(system))
        }
        Depth::Names => "  own = [ ];\n  others = false;".to_owned(),
    }
}

/// Returns the function from a flake's outputs to the names of its hosts.
fn discovery(kinds: &[Kind], attrs: &[AttrPath], depth: Depth<'_>) -> String {
    let systems = systems(depth);
    let kinds: String = kinds
        .iter()
        .filter_map(|kind| Some((kind, kind.output()?)))
        .map(|(kind, output)| format!("    {kind} = kind \"{output}\";\n"))
        .collect();
    let attrs: String = attrs
        .iter()
        .map(|path| {
            let names: Vec<String> = path.names().iter().map(|name| nix_string(name)).collect();
            format!("    (at [ {} ])\n", names.join(" "))
        })
        .collect();
    let look = if depth == Depth::Names {
        "v: \"derivation\""
    } else {
        "is"
    };
    // `at` walks a path and says what stands at its end, so that a wrong one is an answer and not a trace. Something in
    // a set that throws counts as a derivation: as a host it has a place for its message.
    format!(
        r#"o: let
{systems}{KINDS}
  is = v:
    if !builtins.isAttrs v then builtins.typeOf v
    else if isDerivation v then "derivation"
    else if v ? activationPackage then "home"
    else if v ? config && v ? options then "system"
    else "set";
  member = v: let tried = builtins.tryEval (({look}) v); in if tried.success then tried.value else "derivation";
  at = path: let
    step = s: name:
      if s ? missing then s
      else if builtins.isAttrs s.value && s.value ? ${{name}} then {{ value = s.value.${{name}}; }}
      else {{ missing = name; }};
    found = builtins.foldl' step {{ value = o; }} path;
    what = is found.value;
  in
    if found ? missing then {{ what = "missing: there is no `${{found.missing}}`"; members = [ ]; }}
    else if !builtins.isAttrs found.value then {{ what = "neither a derivation nor a set of them"; members = [ ]; }}
    else if what != "set" then {{ inherit what; members = [ ]; }}
    else if builtins.attrNames found.value == [ ] then {{ what = "an empty set"; members = [ ]; }}
    else {{
      inherit what;
      members = map (name: {{ inherit name; is = member found.value.${{name}}; }}) (builtins.attrNames found.value);
    }};
in {{
  store = builtins.storeDir;
  kinds = {{
{kinds}  }};
  attrs = [
{attrs}  ];
}}"#
    )
}

/// Returns the function from a flake's outputs to what of them holds hosts.
fn census(system: &str) -> String {
    let systems = systems(Depth::AllSystems(system));
    let system = nix_string(system);
    let kinds: String = Kind::ALL
        .iter()
        .filter_map(|kind| Some((kind, kind.output()?)))
        .map(|(kind, output)| format!("    {kind} = tried null (kind \"{output}\");\n"))
        .collect();
    let others: Vec<String> = Survey::other_outputs().map(nix_string).collect();
    let others = others.join(" ");
    // What a hive says of all its hosts stands beside them.
    format!(
        r#"o: let
{systems}{KINDS}
  tried = default: v: let tried = builtins.tryEval (builtins.deepSeq v v); in if tried.success then tried.value else default;
  hostsOf = output: let
    v = o.${{output}};
    set = if output == "deploy" then v.nodes or {{ }} else if output == "colmenaHive" then v.nodes or {{ }} else v;
  in builtins.length (builtins.attrNames (removeAttrs (setOr {{ }} set) [ "meta" "defaults" "network" ]));
in {{
  outputs = builtins.attrNames o;
  kinds = {{
{kinds}  }};
  others = builtins.listToAttrs (map (name: {{ inherit name; value = tried 0 (hostsOf name); }})
    (builtins.filter (name: o ? ${{name}}) [ {others} ]));
  package = tried null (let names = builtins.attrNames (setOr {{ }} ((setOr {{ }} (o.packages or {{ }})).{system} or {{ }}));
    in if names == [ ] then null else builtins.head names);
}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_expression_they_stand_in() {
        let attrs = [AttrPath::new(["${abort \"x\"}"])];
        let function = discovery(&[Kind::Home], &attrs, Depth::OneSystem("\" abort"));
        assert!(
            function.contains(r#"(at [ "\${abort \"x\"}" ])"#)
                && function.contains(r#"own = [ "\" abort" ]"#),
            "{function}"
        );
    }

    fn found() -> Discovered {
        Discovered {
            store_dir: String::new(),
            hosts: Vec::new(),
            elsewhere: Vec::new(),
            notes: Vec::new(),
            doubts: Vec::new(),
        }
    }

    fn told(found: &Discovered) -> String {
        let line = |host: &Host| format!("{} = {}", host.id, host.attr);
        let mut out: Vec<String> = found.hosts.iter().map(line).collect();
        let also = found.elsewhere.iter().map(line);
        out.extend(also.map(|line| format!("also {line}")));
        out.extend(found.notes.iter().chain(&found.doubts).cloned());
        out.join("\n")
    }

    #[test]
    fn a_host_below_several_systems_is_one_host() {
        let mut found = found();
        let json = serde_json::json!({"is": "empty", "names": [], "below": [
            {"path": ["packages", "x86_64-linux", "nixosConfigurations"], "names": ["a.b", "web"]},
            {"path": ["legacyPackages", "x86_64-linux", "nixosConfigurations"], "names": ["db", "web"]},
            {"path": ["packages", "aarch64-linux", "nixosConfigurations"], "names": ["db", "web"]},
            {"path": ["legacyPackages", "aarch64-linux", "nixosConfigurations"], "names": null},
        ]});
        found.take(Kind::Nixos, &serde_json::from_value(json).unwrap());
        insta::assert_snapshot!(told(&found), @r#"
        nixos:a.b = packages.x86_64-linux.nixosConfigurations."a.b".config.system.build.toplevel
        nixos:web = packages.x86_64-linux.nixosConfigurations.web.config.system.build.toplevel
        nixos:db = legacyPackages.x86_64-linux.nixosConfigurations.db.config.system.build.toplevel
        also nixos:web = legacyPackages.x86_64-linux.nixosConfigurations.web.config.system.build.toplevel
        also nixos:db = packages.aarch64-linux.nixosConfigurations.db.config.system.build.toplevel
        also nixos:web = packages.aarch64-linux.nixosConfigurations.web.config.system.build.toplevel
        several places have `db`: taken from `legacyPackages.x86_64-linux.nixosConfigurations`
        several places have `web`: taken from `packages.x86_64-linux.nixosConfigurations`
        `legacyPackages.aarch64-linux.nixosConfigurations` does not evaluate, so nothing in it is looked at
        "#);
    }

    #[test]
    fn what_is_no_derivation_is_told() {
        let path = AttrPath::new(["x"]);
        let mut said = Vec::new();
        for json in [
            serde_json::json!({"what": "derivation", "members": []}),
            serde_json::json!({"what": "home", "members": []}),
            serde_json::json!({"what": "system", "members": []}),
            serde_json::json!({"what": "an empty set", "members": []}),
            serde_json::json!({"what": "set", "members": [
                {"name": "a.b", "is": "derivation"}, {"name": "phone", "is": "home"}, {"name": "lib", "is": "set"},
                {"name": "version", "is": "string"}, {"name": "web", "is": "system"},
            ]}),
            serde_json::json!({"what": "set", "members": [
                {"name": "nodes", "is": "set"}, {"name": "toplevel", "is": "set"}, {"name": "f", "is": "lambda"},
                {"name": "`id` '", "is": "set"},
            ]}),
            serde_json::json!({"what": "set", "members": [{"name": "f", "is": "lambda"}]}),
        ] {
            let mut found = found();
            match found.take_attr(&path, &serde_json::from_value(json).unwrap()) {
                Ok(()) => said.push(told(&found)),
                Err(error) => said.push(error.to_string()),
            }
        }
        insta::assert_snapshot!(said.join("\n"), @r#"
        attr:x = x
        attr:x.activationPackage = x.activationPackage
        --attr names no derivation, and no set of them: `x` is a whole configuration, whose derivation is `x.config.system.build.toplevel`
        --attr names no derivation, and no set of them: `x` is an empty set
        attr:x."a.b" = x."a.b"
        attr:x.phone.activationPackage = x.phone.activationPackage
        left alone in `x`, for they are no derivations: `lib`, `version`, `web`; --attr can name what stands deeper: `x.lib`, `x.web.config.system.build.toplevel`
        --attr names no derivation, and no set of them: there is none in `x`; --attr can name what stands deeper: `x.nodes`, `x.toplevel`, `'x."`id` '\''"'`
        --attr names no derivation, and no set of them: there is none in `x`
        "#);
    }
}
