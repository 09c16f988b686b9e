//! The list of hosts, and the scope that a list made earlier gives a report.

use std::io::Read as _;
use std::path::Path;

use crate::cli;
use crate::config::{Config, Origin};
use crate::exit;
use crate::flake::{HostFilter, Kind, labels, listed};
use crate::report::{MAX_BYTES, Plan, PlanError, PlanHost};

use super::super::{Error, HostList, Request, excluded, hosts};
use super::{Surroundings, context, print, request};

pub(super) async fn run_hosts(config: &Config, world: &mut Surroundings<'_>) -> Result<u8, Error> {
    let request = request(config);
    let context = context(config, world);
    let json = config
        .output
        .format
        .as_ref()
        .is_some_and(|format| format.value == cli::Format::Json);
    // As text there is a name a line, and no place for a system.
    let systems = json && config.hosts.systems.value;
    let list = hosts(&request, &context, systems).await?;
    let text = if json {
        hosts_json(&list)
    } else {
        for host in &list.selection.excluded {
            let (id, pattern) = (listed([host.id.to_string()]), listed([&host.pattern]));
            tracing::info!("left out: {id} by {pattern}");
        }
        hosts_text(&list)
    };
    print(world, config, &text)?;
    Ok(exit::CHANGED)
}

fn hosts_text(list: &HostList) -> String {
    let ids: Vec<_> = list
        .selection
        .hosts
        .iter()
        .map(|host| host.id.clone())
        .collect();
    let labels = labels(&ids);
    ids.iter()
        .filter_map(|id| labels.get(id))
        .map(|label| format!("{label}\n"))
        .collect()
}

fn hosts_json(list: &HostList) -> String {
    let plan = Plan {
        scope: list.scope.clone(),
        excluded: excluded(&list.selection.excluded),
        hosts: list
            .selection
            .hosts
            .iter()
            .zip(&list.systems)
            .map(|(host, system)| PlanHost {
                id: host.id.to_string(),
                kind: host.id.kind,
                name: host.id.name.clone(),
                attr: host.attr.to_string(),
                system: system.clone(),
            })
            .collect(),
    };
    plan.to_json()
}

/// Makes `request` ask for what the plan in `file` asks for.
///
/// A plan stands above the configuration file and below nothing: a flag or a variable that asks for something else is a
/// contradiction, for the report would not be one of the plan's.
pub(super) fn follow_plan(
    request: &mut Request,
    config: &Config,
    file: &Path,
) -> Result<(), Error> {
    let plan = Plan::parse(&read_plan(file)?)?;
    let scope = &plan.scope;
    let (hosts, update) = (&config.hosts, &config.update);
    let kinds = |kinds: &[Kind]| kinds.iter().map(ToString::to_string).collect();
    let asked: [(&'static str, &Origin, Vec<String>, Vec<String>); 6] = [
        (
            "kind",
            &hosts.kinds.origin,
            kinds(&request.kinds),
            kinds(&scope.kinds),
        ),
        (
            "attr",
            &hosts.attrs.origin,
            request.attrs.clone(),
            scope.attrs.clone(),
        ),
        (
            "exclude-host",
            &hosts.exclude.origin,
            HostFilter::effective_excludes(&request.exclude_hosts, request.default_excludes),
            scope.exclude_hosts.clone(),
        ),
        (
            "exclude-host",
            &hosts.no_default_excludes.origin,
            HostFilter::effective_excludes(&request.exclude_hosts, request.default_excludes),
            scope.exclude_hosts.clone(),
        ),
        (
            "input",
            &update.inputs.origin,
            request.inputs.clone(),
            scope.inputs.clone(),
        ),
        (
            "exclude-input",
            &update.exclude_inputs.origin,
            request.exclude_inputs.clone(),
            scope.exclude_inputs.clone(),
        ),
    ];
    for (key, origin, mut asked, plan) in asked {
        asked.sort();
        asked.dedup();
        if is_said_now(origin) && asked != plan {
            return Err(PlanError::Contradiction {
                key,
                origin: origin.phrase(),
                plan,
                asked,
            }
            .into());
        }
    }
    if !is_said_now(&hosts.include.origin) {
        // Those of the configuration file are in the plan's scope.
        request.hosts.clear();
    }
    request.follow(plan);
    Ok(())
}

/// Whether a value was said for this command: by a flag or a variable.
fn is_said_now(origin: &Origin) -> bool {
    match origin {
        Origin::Flag(_) | Origin::Environment(_) => true,
        Origin::Default | Origin::Runner(_) | Origin::File { .. } => false,
    }
}

/// Reads a plan, of one that is too large no more than shows that it is.
fn read_plan(file: &Path) -> Result<Vec<u8>, Error> {
    let most = u64::try_from(MAX_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(file)?
            .take(most)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| Error::file(file, source))
}
