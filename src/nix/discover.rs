//! Discovery: which hosts a flake has.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::flake::{AttrPath, FlakeRef, Host, Kind, nix_string};

use super::settings::read_json;
use super::{Nix, NixError, call};

/// What a flake has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The store's directory, such as `/nix/store`.
    pub store_dir: String,
    /// Every host of the kinds asked for, and every derivation at the paths asked for.
    pub hosts: Vec<Host>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscoveredJson {
    store: String,
    kinds: BTreeMap<Kind, Option<Vec<String>>>,
    attrs: Vec<AttrJson>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttrJson {
    what: String,
    names: Vec<String>,
}

impl Nix {
    /// Returns the names of the flake's hosts of `kinds`, and what stands at `attrs`: a derivation, or
    /// a set of them. No host is evaluated.
    ///
    /// # Errors
    ///
    /// The flake cannot be read or evaluated so far, or a path of `attrs` leads to no derivation.
    pub async fn discover(
        &self,
        flake: &FlakeRef,
        kinds: &[Kind],
        attrs: &[AttrPath],
    ) -> Result<Discovered, NixError> {
        let function = discovery(kinds, attrs);
        let output = self
            .run(&call::outputs(&self.options, flake, &function))
            .await?;
        self.warnings.read(output.stderr.bytes());
        let json: DiscoveredJson = read_json("the hosts", &output.stdout)?;
        let mut hosts = Vec::new();
        for (kind, names) in json.kinds {
            for name in names.into_iter().flatten() {
                hosts.push(Host::named(kind, &name));
            }
        }
        for (path, found) in attrs.iter().zip(json.attrs) {
            match found.what.as_str() {
                "derivation" => hosts.push(Host::at(path.clone())),
                "set" => {
                    hosts.extend(found.names.iter().map(|name| Host::at(path.child(name))));
                }
                what => {
                    return Err(NixError::NoDerivation(format!("`{path}` is {what}")));
                }
            }
        }
        Ok(Discovered {
            store_dir: json.store,
            hosts,
        })
    }
}

/// Returns the function from a flake's outputs to the names of its hosts.
fn discovery(kinds: &[Kind], attrs: &[AttrPath]) -> String {
    let kinds: String = kinds
        .iter()
        .filter_map(|kind| Some((kind, kind.output()?)))
        .map(|(kind, output)| {
            format!("    {kind} = if o ? {output} then builtins.attrNames o.{output} else null;\n")
        })
        .collect();
    let attrs: String = attrs
        .iter()
        .map(|path| {
            let names: Vec<String> = path.names().iter().map(|name| nix_string(name)).collect();
            format!("    (at [ {} ])\n", names.join(" "))
        })
        .collect();
    // `at` walks a path and says what stands at its end, so that a wrong one is an answer and not a trace.
    format!(
        r#"o: let
  at = path: let
    step = s: name:
      if s ? missing then s
      else if builtins.isAttrs s.value && s.value ? ${{name}} then {{ value = s.value.${{name}}; }}
      else {{ missing = name; }};
    found = builtins.foldl' step {{ value = o; }} path;
  in
    if found ? missing then {{ what = "missing: there is no `${{found.missing}}`"; names = [ ]; }}
    else if !builtins.isAttrs found.value then {{ what = "neither a derivation nor a set of them"; names = [ ]; }}
    else if found.value.type or null == "derivation" then {{ what = "derivation"; names = [ ]; }}
    else if found.value == {{ }} then {{ what = "an empty set"; names = [ ]; }}
    else {{ what = "set"; names = builtins.attrNames found.value; }};
in {{
  store = builtins.storeDir;
  kinds = {{
{kinds}  }};
  attrs = [
{attrs}  ];
}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_expression_they_stand_in() {
        let function = discovery(&[Kind::Home], &[AttrPath::new(["${abort \"x\"}"])]);
        assert!(
            function.contains(r#"(at [ "\${abort \"x\"}" ])"#),
            "{function}"
        );
    }
}
