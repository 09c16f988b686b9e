//! How the configuration wants a report published.

use url::Url;

use crate::cli;
use crate::config::value::{HttpUrl, Slug};
use crate::config::{CiRunner, Config, Origin, RunnerKind, Sourced};
use crate::forge::{ForgeKind, Habits};
use crate::git::{BranchName, Identity, RepoSlug, SignHow, Signing};
use crate::report::Templates;

use super::super::publish::{PublishError, RunnerSays, Wishes};
use super::{Error, workspace};

/// Returns how the configuration wants it published.
pub(super) fn wishes(config: &Config) -> Result<Wishes, Error> {
    if let Some(runner) = config.runner.as_ref().filter(|r| r.is_pull_request()) {
        let event = runner.event.as_ref().map_or("", |event| &event.value);
        return Err(PublishError::PullRequestEvent(event.to_owned()).into());
    }
    let publish = &config.publish;
    let named = |url: &Option<Sourced<HttpUrl>>| {
        url.as_ref()
            .filter(|url| !matches!(url.origin, Origin::Runner(_)))
            .map(|url| address(&url.value))
            .transpose()
    };
    let branch = |key, name: &Option<Sourced<String>>| {
        name.as_ref()
            .filter(|name| !matches!(name.origin, Origin::Runner(_)))
            .map(|name| name.value.parse::<BranchName>())
            .transpose()
            .map_err(|source| PublishError::Setting { key, source })
    };
    Ok(Wishes {
        forge: match publish.forge.value {
            cli::Forge::Auto => None,
            cli::Forge::Forgejo => Some(ForgeKind::Forgejo),
            cli::Forge::Gitea => Some(ForgeKind::Gitea),
            cli::Forge::Github => Some(ForgeKind::Github),
        },
        server_url: named(&publish.server_url)?,
        api_url: named(&publish.api_url)?,
        repository: publish
            .repository
            .as_ref()
            .filter(|slug| !matches!(slug.origin, Origin::Runner(_)))
            .map(|slug| repository(&slug.value))
            .transpose()?,
        token: config.token.as_ref().map(|token| token.value.clone()),
        runner: config.runner.as_ref().map(runner_says).transpose()?,
        workspace: workspace(config),
        base: branch("base", &publish.base)?,
        branch: branch("branch", &publish.branch)?,
        remote: publish.remote.as_ref().map(|remote| remote.value.clone()),
        templates: templates(config)?,
        author: publish.author.as_ref().map(|author| Identity {
            name: author.name.clone(),
            email: author.mail.clone(),
        }),
        bot: config.runner.as_ref().map(|runner| bot(runner.kind)),
        signoff: publish.signoff.value,
        signing: Signing {
            how: match publish.sign.value {
                cli::Sign::Auto => SignHow::Auto,
                cli::Sign::Ssh => SignHow::Ssh,
                cli::Sign::Gpg => SignHow::Gpg,
                cli::Sign::Off => SignHow::Off,
            },
            key_file: publish
                .signing_key_file
                .as_ref()
                .map(|file| file.value.clone()),
        },
        habits: Habits {
            hold_label: publish.hold_label.value.clone(),
            rebase_when_behind: publish.rebase_when.value == cli::RebaseWhen::Behind,
            keep_obsolete: publish.keep_obsolete.value,
        },
        publish_unchanged: publish.publish_unchanged.value,
    })
}

/// Returns the texts that the configuration wants, with what the body's file holds.
pub(super) fn templates(config: &Config) -> Result<Templates, Error> {
    let publish = &config.publish;
    let body = match &publish.body_template {
        None => None,
        Some(file) => Some(
            std::fs::read_to_string(&file.value)
                .map_err(|source| Error::file(&file.value, source))?,
        ),
    };
    Ok(Templates::new(
        publish.title.value.clone(),
        publish.commit_message.value.clone(),
        body,
    ))
}

fn runner_says(runner: &CiRunner) -> Result<RunnerSays, Error> {
    let url =
        |url: &Option<Sourced<HttpUrl>>| url.as_ref().map(|url| address(&url.value)).transpose();
    Ok(RunnerSays {
        kind: match runner.kind {
            RunnerKind::Forgejo => ForgeKind::Forgejo,
            RunnerKind::Gitea => ForgeKind::Gitea,
            RunnerKind::GitHub => ForgeKind::Github,
        },
        // Forgejo's runner before its version 7 sets what Gitea's does.
        kind_is_unsure: runner.kind == RunnerKind::Gitea,
        server_url: url(&runner.server_url)?,
        api_url: url(&runner.api_url)?,
        repository: runner
            .repository
            .as_ref()
            .map(|slug| repository(&slug.value))
            .transpose()?,
        base: runner.base.as_ref().map(|base| base.value.clone()),
        token: runner.token.as_ref().map(|token| token.value.clone()),
    })
}

fn address(url: &HttpUrl) -> Result<Url, Error> {
    Url::parse(url.as_str()).map_err(|source| Error::Address {
        address: url.as_str().to_owned(),
        source,
    })
}

fn repository(slug: &Slug) -> Result<RepoSlug, PublishError> {
    format!("{}/{}", slug.owner, slug.name)
        .parse()
        .map_err(|source| PublishError::Setting {
            key: "repository",
            source,
        })
}

/// Returns who a runner's jobs act as, as each forge shows it.
fn bot(kind: RunnerKind) -> Identity {
    let (name, email) = match kind {
        // models/user/user_system.go of Forgejo and of Gitea.
        RunnerKind::Forgejo => ("forgejo-actions", "noreply@forgejo.org"),
        RunnerKind::Gitea => ("gitea-actions", "teabot@gitea.io"),
        // The number is the bot's user id, by which GitHub knows the address.
        RunnerKind::GitHub => (
            "github-actions[bot]",
            "41898282+github-actions[bot]@users.noreply.github.com",
        ),
    };
    Identity {
        name: name.to_owned(),
        email: email.to_owned(),
    }
}
