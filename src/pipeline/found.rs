//! From what a flake has to the hosts that are looked at, and what the log says of the way there.

use crate::config::keys::nearest;
use crate::flake::{Host, HostFilter, HostId, Kind, NoHost, Selection, labels, listed, literally};
use crate::nix::{Discovered, Nix};

use super::request::{Machine, Request};
use super::source::Source;
use super::{Context, Error};

/// Returns the hosts that are wanted of those that were found, and those that a pattern left out.
///
/// # Errors
///
/// There is none, or a pattern to include matches none.
pub(super) async fn select(
    nix: &Nix,
    source: &Source,
    request: &Request,
    context: &Context,
    filter: &HostFilter,
    found: Discovered,
) -> Result<Selection, Error> {
    for note in &found.notes {
        tracing::info!("{note}");
    }
    let idle = filter.idle_excludes(&found.hosts, &request.kinds);
    let known: Vec<HostId> = found.hosts.iter().map(|host| host.id.clone()).collect();
    let selection = match filter.select(found.hosts, &request.kinds) {
        Ok(selection) => selection,
        Err(error) => return Err(explained(nix, source, request, &context.machine, error).await),
    };
    for pattern in idle {
        // A typo here looks at a host that was to be left alone.
        match nearest_host(pattern, &known) {
            Some(near) => tracing::warn!(
                "exclude-host {} matches no host; did you mean {}?",
                listed([pattern]),
                listed([near])
            ),
            None => tracing::warn!("exclude-host {} matches no host", listed([pattern])),
        }
    }
    Ok(selection)
}

/// Returns the error with what only the flake knows: what it has instead.
async fn explained(
    nix: &Nix,
    source: &Source,
    request: &Request,
    machine: &Machine,
    error: NoHost,
) -> Error {
    if !matches!(error, NoHost::InFlake { .. } | NoHost::Matching { .. }) {
        return error.into();
    }
    // Asked only now: other outputs may be slow, or broken, and are no matter of a run that has its hosts.
    let survey = match nix.survey(&source.reference, machine.system).await {
        Ok(survey) => survey,
        Err(failed) if failed.is_stop() => return failed.into(),
        Err(failed) => {
            tracing::debug!("what the flake has instead is not known: {failed}");
            return error.into();
        }
    };
    match error {
        NoHost::InFlake { kinds, .. } => NoHost::InFlake {
            kinds,
            survey: Some(Box::new(survey)),
        },
        NoHost::Matching { pattern, known } => {
            let elsewhere = HostFilter::new(std::slice::from_ref(&pattern), &[], false)
                .ok()
                .and_then(|filter| {
                    let others = |id: &&HostId| !request.kinds.contains(&id.kind);
                    survey
                        .hosts
                        .iter()
                        .filter(others)
                        .find(|id| filter.names(id))
                });
            match elsewhere {
                Some(id) => NoHost::OtherKind {
                    pattern,
                    kind: id.kind,
                },
                None => NoHost::Matching { pattern, known },
            }
        }
        error => error,
    }
    .into()
}

/// Returns the pattern for the host that `pattern` was most likely meant to name; none if none is near.
pub(super) fn nearest_host(pattern: &str, known: &[HostId]) -> Option<String> {
    let (kind, name) = literally(pattern);
    let candidates = || {
        let known = known.iter().filter(|id| id.kind != Kind::Attr);
        known.filter(move |id| kind.is_none_or(|kind| kind == id.kind))
    };
    let near = nearest(&name, candidates().map(|id| &id.name))?;
    let id = candidates().find(|id| id.name == near)?;
    Some(id.pattern(kind.is_some()))
}

/// Says in the log which of the hosts look like installers or images, by their names or as `is_image` says.
///
/// Whoever names a host by `--host` knows what it is.
pub(super) fn hint_at_installers(
    request: &Request,
    filter: &HostFilter,
    hosts: &[Host],
    is_image: impl Fn(usize) -> bool,
) {
    let picked = request.plan.is_some() && !request.hosts.is_empty();
    let labels = labels(hosts.iter().map(|host| &host.id));
    let alike: Vec<&String> = hosts
        .iter()
        .enumerate()
        .filter(|(at, host)| host.id.sounds_like_installer() || is_image(*at))
        .filter(|(_, host)| !picked && !filter.names_literally(&host.id))
        .filter_map(|(_, host)| labels.get(&host.id))
        .collect();
    match alike.len() {
        0 => {}
        1 => tracing::info!(
            "{} looks like an installer or an image: leave it out with --exclude-host, if nobody upgrades it",
            listed(alike)
        ),
        _ => tracing::info!(
            "{} look like installers or images: leave them out with --exclude-host, if nobody upgrades them",
            listed(alike)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_that_was_meant_is_found_and_can_be_typed() {
        let mut known: Vec<HostId> = ["webserver", "a[1]", "db"]
            .map(|name| Host::named(Kind::Nixos, name).id)
            .into();
        known.push(Host::named(Kind::Home, "alice@web").id);
        let near = |pattern| nearest_host(pattern, &known);
        let table = [
            "webservre",
            "nixos:webservr",
            "home:webservre",
            "home:alise@web",
            "a[1]",
            "xyz",
            "",
            "bd",
        ]
        .map(|pattern| format!("{pattern} -> {}", near(pattern).unwrap_or_default()));
        insta::assert_snapshot!(table.join("\n"), @r"
        webservre -> webserver
        nixos:webservr -> nixos:webserver
        home:webservre -> 
        home:alise@web -> home:alice@web
        a[1] -> a\[1\]
        xyz -> 
         -> 
        bd -> db
        ");
    }
}
