//! The packages that configurations select, by evaluation alone.

use std::path::Path;

use serde::Deserialize;

use crate::closure::{Package, StorePath};
use crate::flake::{FlakeRef, Host, Kind};

use super::error::ended;
use super::eval::{Batch, LONGEST_FUNCTION, bounded, memory_fault};
use super::settings::read_json;
use super::{Nix, NixError, call};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageJson {
    name: String,
    pname: Option<String>,
    version: Option<String>,
    out: String,
    /// The holes that nixpkgs knows of.
    vulnerabilities: Vec<String>,
}

/// The packages of one host as Nix answers; none where they cannot be listed, or where one of them is no package.
type PackagesJson = Option<Vec<Option<PackageJson>>>;

impl Nix {
    /// Returns the packages that each of `hosts` selects, with the flake's inputs as `lock` has them; in the hosts' order. None
    /// where a host has no such list, or its list does not evaluate.
    ///
    /// All are asked together, with no more than `memory` bytes where that is given. A `throw` leaves the other hosts alone; who
    /// is to blame for an error that ends the whole call is found by halving.
    ///
    /// # Errors
    ///
    /// Nix cannot be started, is told to stop, or answers with something else than what was asked.
    pub async fn selected_packages(
        &self,
        flake: &FlakeRef,
        lock: &Path,
        hosts: &[Host],
        memory: Option<u64>,
    ) -> Result<Batch<Option<Vec<Package>>>, NixError> {
        let mut too_many = false;
        let mut results: Vec<Option<Vec<Package>>> = hosts.iter().map(|_| None).collect();
        let mut pieces = Vec::from([(0, hosts.len())]);
        while let Some((start, end)) = pieces.pop() {
            let Some(asked) = hosts.get(start..end).filter(|asked| !asked.is_empty()) else {
                continue;
            };
            let function = selected(asked);
            let too_long = function.len() > LONGEST_FUNCTION && asked.len() > 1;
            let cmd = bounded(
                call::outputs_locked(&self.options, flake, lock, &function),
                memory,
            );
            let answer = if too_long {
                None
            } else {
                match self.run(&cmd).await {
                    Ok(output) => Some(output),
                    // There is a report without them too.
                    Err(error) if error.is_overdue() => break,
                    Err(error) if ended(&error) || memory_fault(&error).is_some() => {
                        too_many |= memory_fault(&error).is_some();
                        tracing::debug!("packages that cannot be listed: {error}");
                        None
                    }
                    Err(error) => return Err(error.into()),
                }
            };
            if let Some(output) = answer {
                self.warnings.read(output.stderr.bytes());
                let lists: Vec<PackagesJson> = read_json("the hosts' packages", &output.stdout)?;
                for (slot, list) in results.iter_mut().take(end).skip(start).zip(lists) {
                    *slot = list.map(read_packages);
                }
            } else if asked.len() > 1 {
                let middle = start + asked.len() / 2;
                pieces.push((start, middle));
                pieces.push((middle, end));
            }
        }
        Ok(Batch { results, too_many })
    }
}

/// What is at no path known beforehand cannot be compared, and is left out.
fn read_packages(list: Vec<Option<PackageJson>>) -> Vec<Package> {
    list.into_iter()
        .flatten()
        .filter_map(|json| {
            let path = StorePath::parse(&json.out).ok()?;
            let (pname, version) = (json.pname.as_deref(), json.version.as_deref());
            let package = Package::new(&json.name, pname, version, path);
            Some(package.with_vulnerabilities(json.vulnerabilities))
        })
        .collect()
}

/// Returns the expression that says, from the flake's outputs `o`, what `host` selects; null for what has no such list.
fn list_of(host: &Host) -> String {
    match (host.id.kind, host.config()) {
        (Kind::Nixos | Kind::Darwin, Some(config)) => format!("(system o.{config})"),
        (Kind::Home, Some(config)) => format!("o.{config}.home.packages or null"),
        _ => "null".to_owned(),
    }
}

/// Returns the function from a flake's outputs to the lists of packages that `hosts` select.
///
/// What nixpkgs says of a package's holes is asked on its own: a package whose `meta` does not evaluate is one without.
///
/// What is no package (null, a string, a set without a name or a path) is null, and so is one that does not evaluate.
fn selected(hosts: &[Host]) -> String {
    let asked: String = hosts
        .iter()
        .map(|host| format!("  (ask ({}))\n", list_of(host)))
        .collect();
    format!(
        "o: let
  inherit (builtins) attrValues concatMap filter isAttrs isList isString map;
  try = all: let tried = builtins.tryEval (builtins.deepSeq all all); in if tried.success then tried.value else null;
  text = v: if isString v then v else null;
  list = v: if isList v then v else [ ];
  known = p: let all = try (filter isString (list (p.meta.knownVulnerabilities or [ ]))); in if all == null then [ ] else all;
  package = p: try (
    if isAttrs p && isString (p.name or null) && isString (p.outPath or null)
    then {{
      inherit (p) name;
      pname = text (p.pname or null);
      version = text (p.version or null);
      out = p.outPath;
      vulnerabilities = known p;
    }}
    else null);
  ask = all: try (if isList all then map package all else null);
  system = c: let
    all = c.environment.systemPackages or null;
    users = c.users.users or {{ }};
    own = if isAttrs users then concatMap (user: list (user.packages or [ ])) (attrValues users) else [ ];
  in if isList all then all ++ own else null;
in [
{asked}]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flake::AttrPath;

    #[test]
    fn every_kind_keeps_its_packages_elsewhere() {
        let lists = [
            Host::named(Kind::Nixos, "web.example"),
            Host::named(Kind::Darwin, "\"; abort \"x"),
            Host::named(Kind::Home, "alice@mac"),
            Host::at(AttrPath::new(["packages", "x"])),
            Host::below(
                &AttrPath::new(["packages", "x86_64-linux", "nixosConfigurations"]),
                Kind::Nixos,
                "web",
            ),
        ]
        .map(|host| list_of(&host));
        insta::assert_snapshot!(lists.join("\n"), @r#"
        (system o.nixosConfigurations."web.example".config)
        (system o.darwinConfigurations."\"; abort \"x".config)
        o.homeConfigurations."alice@mac".config.home.packages or null
        null
        (system o.packages.x86_64-linux.nixosConfigurations.web.config)
        "#);
    }

    #[test]
    fn what_is_at_no_path_is_left_out() {
        let packages: PackagesJson = serde_json::from_str(
            r#"[null, {"name": "a-1", "pname": null, "version": null, "vulnerabilities": [], "out": "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"},
                {"name": "b-1", "pname": "b", "version": "1", "vulnerabilities": [], "out": "/nix/store/00000000000000000000000000000000-b-1"}]"#,
        )
        .unwrap();
        assert_eq!(read_packages(packages.unwrap()).len(), 1);
    }
}
