//! The list of hosts that `hosts --format json` prints: the plan of a matrix, whose jobs report a part each.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::flake::FilterError;
use crate::flake::Host;
use crate::flake::HostFilter;
use crate::flake::HostId;
use crate::flake::Kind;

use super::merge::{MAX_BYTES, printable};
use super::{ExcludedHost, Planned, PlannedHost, Scope};

/// What a matrix is to look at, all its jobs together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked for.
    pub scope: Scope,
    /// Hosts that a pattern left out, by kind and name.
    pub excluded: Vec<ExcludedHost>,
    /// The hosts, by kind and name.
    pub hosts: Vec<PlanHost>,
}

/// A host of a plan, as a job of the matrix takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanHost {
    /// `kind:name`, for `--host`.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The attribute path of its derivation.
    pub attr: String,
    /// Its system; null unless it was asked for and the host evaluates.
    pub system: Option<String>,
}

/// Why a plan cannot be used.
///
/// Each message goes on where "the plan" or the path of its file left off.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It is larger than any plan.
    #[error("is larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// It is no plan.
    #[error("is not a list of hosts as `hosts --format json` prints it: {}", printable(&.0.to_string()))]
    Malformed(serde_json::Error),
    /// There is no host in it.
    #[error("has no hosts")]
    Empty,
    /// It was changed after it was made.
    #[error("was changed: its scope is not the one that its id {} stands for", printable(.id))]
    Scope {
        /// The identity it claims.
        id: String,
    },
    /// A host stands there twice.
    #[error("has the host `{}` twice", printable(&.0.to_string()))]
    Twice(HostId),
    /// A host's parts contradict each other.
    #[error("was changed: the host `{}` is not `{kind}:{}`", printable(.id), printable(.name))]
    Host {
        /// What it is called.
        id: String,
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It is for a flake in another directory.
    #[error("is for the flake in `{}`, and this one is in `{}`", printable(.plan), printable(.here))]
    Dir {
        /// The directory in the plan.
        plan: String,
        /// The flake's.
        here: String,
    },
    /// A pattern of `--host` matches nothing.
    #[error("has no host that matches `{pattern}`; it has {}", list(.known))]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The hosts there are.
        known: Vec<HostId>,
    },
    /// A pattern of `--host` is none.
    #[error("has no host for it: {0}")]
    Filter(#[from] FilterError),
    /// The flake does not have what the plan names.
    #[error("does not fit the flake, which does not have {}", list(.0))]
    Gone(Vec<HostId>),
    /// Something else asks for another scope.
    #[error("has {}, and {origin} says {}", words(key, .plan), said(.asked))]
    Contradiction {
        /// The key of the configuration.
        key: &'static str,
        /// Where the other value comes from, with its article.
        origin: String,
        /// What the plan has.
        plan: Vec<String>,
        /// What was asked for.
        asked: Vec<String>,
    },
}

impl PlanError {
    /// Returns what to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooLarge | Self::Malformed(_) | Self::Empty => {
                "write it with `flake-herald hosts --format json > plan.json`"
            }
            Self::Scope { .. } | Self::Host { .. } | Self::Twice(_) => {
                "make it anew with `flake-herald hosts --format json`, with the flags that say what to look at"
            }
            Self::Dir { .. } => "name the flake's directory with --flake DIR",
            Self::Gone(_) => "the plan and its jobs must be of one commit",
            Self::Contradiction { .. } => {
                "leave it out here: `hosts` decides what the plan asks for, best by flake-herald.toml or the environment"
            }
            Self::NoMatch { .. } | Self::Filter(_) => return None,
        };
        Some(hint.to_owned())
    }
}

impl Plan {
    /// Reads a plan, and checks that nobody changed it.
    ///
    /// # Errors
    ///
    /// It is no plan, or its parts contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlanError> {
        if bytes.len() > MAX_BYTES {
            return Err(PlanError::TooLarge);
        }
        let mut plan: Self = serde_json::from_slice(bytes).map_err(PlanError::Malformed)?;
        if !plan.scope.is_genuine() {
            return Err(PlanError::Scope { id: plan.scope.id });
        }
        if plan.hosts.is_empty() {
            return Err(PlanError::Empty);
        }
        plan.hosts.sort_by_key(PlanHost::host_id);
        let mut seen = BTreeSet::new();
        for host in &plan.hosts {
            let id = host.host_id();
            if host.id != id.to_string() {
                return Err(PlanError::Host {
                    id: host.id.clone(),
                    kind: host.kind,
                    name: host.name.clone(),
                });
            }
            if !seen.insert(id.clone()) {
                return Err(PlanError::Twice(id));
            }
        }
        Ok(plan)
    }

    /// Returns the plan as JSON in one line.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Checks that it is for the flake in the directory `dir` of its repository.
    ///
    /// # Errors
    ///
    /// It is for another.
    pub fn fits(&self, dir: &str) -> Result<(), PlanError> {
        if self.scope.dir == dir {
            return Ok(());
        }
        Err(PlanError::Dir {
            plan: self.scope.dir.clone(),
            here: dir.to_owned(),
        })
    }

    /// Returns the plan's hosts that match `patterns`; all where there are none.
    ///
    /// A pattern that is a host's `kind:name`, letter for letter, means that host, whatever signs are in it: that is
    /// what a matrix hands on.
    ///
    /// # Errors
    ///
    /// A pattern is none, or matches no host of the plan.
    pub fn pick(&self, patterns: &[String]) -> Result<Vec<&PlanHost>, PlanError> {
        let mut picked = vec![patterns.is_empty(); self.hosts.len()];
        for pattern in patterns {
            let exact = self.hosts.iter().any(|host| host.id == *pattern);
            // What is no glob may still be a name.
            let filter = if exact {
                None
            } else {
                Some(HostFilter::new(std::slice::from_ref(pattern), &[], false)?)
            };
            let mut matched = false;
            for (picked, host) in picked.iter_mut().zip(&self.hosts) {
                let matches = match &filter {
                    Some(filter) => filter.names(&host.host_id()),
                    None => host.id == *pattern,
                };
                *picked |= matches;
                matched |= matches;
            }
            if !matched {
                return Err(PlanError::NoMatch {
                    pattern: pattern.clone(),
                    known: self.hosts.iter().map(PlanHost::host_id).collect(),
                });
            }
        }
        let picked = self.hosts.iter().zip(picked);
        Ok(picked
            .filter_map(|(host, picked)| picked.then_some(host))
            .collect())
    }

    /// Returns those of the hosts that the flake has which `picked` names. A host may be found at several places.
    ///
    /// # Errors
    ///
    /// The flake does not have one of them, or has it elsewhere.
    pub fn select(picked: &[&PlanHost], found: Vec<Host>) -> Result<Vec<Host>, PlanError> {
        let mut found: BTreeMap<(HostId, String), Host> = found
            .into_iter()
            .map(|host| ((host.id.clone(), host.attr.to_string()), host))
            .collect();
        let mut hosts = Vec::with_capacity(picked.len());
        let mut gone = Vec::new();
        for planned in picked {
            let id = planned.host_id();
            match found.remove(&(id.clone(), planned.attr.clone())) {
                Some(host) => hosts.push(host),
                None => gone.push(id),
            }
        }
        if gone.is_empty() {
            Ok(hosts)
        } else {
            Err(PlanError::Gone(gone))
        }
    }

    /// Returns what of it a report carries.
    pub fn planned(&self) -> Planned {
        Planned {
            hosts: self
                .hosts
                .iter()
                .map(|host| PlannedHost {
                    kind: host.kind,
                    name: host.name.clone(),
                })
                .collect(),
        }
    }
}

impl PlanHost {
    /// Returns the host's identity.
    pub fn host_id(&self) -> HostId {
        HostId {
            kind: self.kind,
            name: self.name.clone(),
        }
    }
}

/// Returns hosts in a row, of many the first.
pub(super) fn list(ids: &[HostId]) -> String {
    const MOST: usize = 30;
    let mut shown: Vec<String> = ids
        .iter()
        .take(MOST)
        .map(|id| format!("`{}`", printable(&id.to_string())))
        .collect();
    if ids.len() > MOST {
        shown.push(format!("{} more", ids.len() - MOST));
    }
    shown.join(", ")
}

fn words(key: &str, words: &[String]) -> String {
    if words.is_empty() {
        format!("no `{key}`")
    } else {
        format!("`{key}` as {}", said(words))
    }
}

fn said(words: &[String]) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", printable(word)))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let host = |kind: Kind, name: &str| {
            let host = Host::named(kind, name);
            PlanHost {
                id: host.id.to_string(),
                kind,
                name: name.to_owned(),
                attr: host.attr.to_string(),
                system: None,
            }
        };
        Plan {
            scope: Scope {
                dir: ".".to_owned(),
                kinds: vec![Kind::Nixos, Kind::Home],
                ..Scope::default()
            }
            .identified(),
            excluded: Vec::new(),
            hosts: vec![
                host(Kind::Nixos, "["),
                host(Kind::Nixos, "alice"),
                host(Kind::Nixos, "web[1]"),
                host(Kind::Home, "alice"),
            ],
        }
    }

    fn picked(patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        plan()
            .pick(&patterns)
            .map(|hosts| hosts.iter().map(|host| host.id.clone()).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_job_gets_the_hosts_it_names() {
        let table = [
            &[][..],
            &["alice"],
            &["home:*"],
            &["nixos:web[1]"],
            &["nixos:["],
            &["*[[]1]", "home:alice"],
            &["web"],
            &["["],
        ]
        .map(|patterns| format!("{patterns:?} {:?}", picked(patterns)));
        insta::assert_snapshot!(table.join("\n"), @r#"
        [] Ok(["nixos:[", "nixos:alice", "nixos:web[1]", "home:alice"])
        ["alice"] Ok(["nixos:alice", "home:alice"])
        ["home:*"] Ok(["home:alice"])
        ["nixos:web[1]"] Ok(["nixos:web[1]"])
        ["nixos:["] Ok(["nixos:["])
        ["*[[]1]", "home:alice"] Ok(["nixos:web[1]", "home:alice"])
        ["web"] Err("has no host that matches `web`; it has `nixos:[`, `nixos:alice`, `nixos:web[1]`, `home:alice`")
        ["["] Err("has no host for it: the host pattern `[` is not a glob: unclosed character class; missing ']'")
        "#);
    }

    #[test]
    fn a_plan_reads_back_and_a_changed_one_is_refused() {
        let text = plan().to_json();
        assert_eq!(Plan::parse(text.as_bytes()).unwrap(), plan());
        let table = [
            text.replacen("\"home\"", "\"darwin\"", 1),
            text.replacen("web[1]", "web[2]", 1),
            text.replace("nixos:web[1]", "nixos:alice")
                .replace("web[1]", "alice"),
            text.replace("\"hosts\":[{", "\"hosts\":[],\"others\":[{"),
            text.get(..100).unwrap().to_owned(),
            "[]".to_owned(),
            text.replacen("\"kinds\"", "\"later\":1,\"kinds\"", 1),
        ]
        .map(|text| match Plan::parse(text.as_bytes()) {
            Ok(plan) => format!("{} hosts", plan.hosts.len()),
            Err(error) => error.to_string(),
        });
        insta::assert_snapshot!(table.join("\n"), @"
        was changed: its scope is not the one that its id d366945c6f1496d4 stands for
        was changed: the host `nixos:web[2]` is not `nixos:web[1]`
        has the host `nixos:alice` twice
        has no hosts
        is not a list of hosts as `hosts --format json` prints it: EOF while parsing a string at line 1 column 100
        is not a list of hosts as `hosts --format json` prints it: invalid length 0, expected struct Plan with 3 elements at line 1 column 2
        4 hosts
        ");
    }

    #[test]
    fn what_the_flake_does_not_have_is_told() {
        let plan = plan();
        let found = |name: &str| {
            vec![
                Host::named(Kind::Home, "alice"),
                Host::named(Kind::Nixos, name),
            ]
        };
        let picked = plan.pick(&["*alice".to_owned()]).unwrap();
        assert_eq!(Plan::select(&picked, found("alice")).unwrap().len(), 2);
        let error = Plan::select(&picked, found("other")).unwrap_err();
        insta::assert_snapshot!(error, @"does not fit the flake, which does not have `nixos:alice`");
        insta::assert_snapshot!(plan.fits("sub").unwrap_err(), @"is for the flake in `.`, and this one is in `sub`");
    }
}
