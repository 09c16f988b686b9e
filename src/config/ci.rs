//! What a runner says about its job.
//!
//! The variables are those that the runners of Forgejo, Gitea and GitHub set. All three set
//! `GITHUB_ACTIONS`, so the others are looked for first. Forgejo's runner sets each variable both as
//! `FORGEJO_x` and as `GITHUB_x`, before its version 7 only the latter, and then looks like Gitea's.

use std::ffi::OsStr;
use std::path::PathBuf;

use secrecy::SecretString;

use super::value::{HttpUrl, Slug, Value};
use super::{Environment, Origin, Sourced};

/// The environment's variables that hold tokens, our own first.
pub const SECRET_VARIABLES: &[&str] = &[
    super::keys::TOKEN,
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "FORGEJO_TOKEN",
    "GITEA_TOKEN",
    "CODEBERG_TOKEN",
    // What runners give to actions for caches and artifacts; on Forgejo it opens the repository too.
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

/// Whose runner the job runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerKind {
    /// Forgejo's.
    Forgejo,
    /// Gitea's, or Forgejo's before version 7: only the server can tell.
    Gitea,
    /// GitHub's.
    GitHub,
}

impl RunnerKind {
    /// Returns the forge's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forgejo => "Forgejo",
            Self::Gitea => "Gitea",
            Self::GitHub => "GitHub",
        }
    }

    /// Returns the prefixes of the runner's variables, the surest first.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Forgejo => &["FORGEJO_", "GITHUB_"],
            Self::Gitea | Self::GitHub => &["GITHUB_"],
        }
    }

    /// Returns the variables that hold the job's own token.
    fn tokens(self) -> &'static [&'static str] {
        match self {
            Self::Forgejo => &["FORGEJO_TOKEN", "GITHUB_TOKEN"],
            Self::Gitea => &["GITEA_TOKEN", "GITHUB_TOKEN"],
            Self::GitHub => &["GITHUB_TOKEN"],
        }
    }
}

/// A forge's runner, as the job's environment describes it. What the runner does not say is none.
#[derive(Debug, Clone)]
pub struct CiRunner {
    /// Whose runner it is.
    pub kind: RunnerKind,
    /// The event that started the job, such as `schedule` or `pull_request`.
    pub event: Option<Sourced<String>>,
    /// The forge's address.
    pub server_url: Option<Sourced<HttpUrl>>,
    /// The address of the forge's API.
    pub api_url: Option<Sourced<HttpUrl>>,
    /// The address of GitHub's GraphQL API.
    pub graphql_url: Option<Sourced<HttpUrl>>,
    /// The repository.
    pub repository: Option<Sourced<Slug>>,
    /// The branch that a pull request of ours goes to: in a pull request's job its base, else the
    /// branch the job runs on.
    pub base: Option<Sourced<String>>,
    /// The checkout's directory.
    pub workspace: Option<Sourced<PathBuf>>,
    /// The file that takes the step's outputs.
    pub output: Option<Sourced<PathBuf>>,
    /// The file that takes the job's summary. Forgejo's runner throws it away.
    pub step_summary: Option<Sourced<PathBuf>>,
    /// The job's own token, which is only for the runner's own server.
    pub token: Option<Sourced<SecretString>>,
}

impl CiRunner {
    /// Returns the runner that this environment is of; none outside of a forge's job.
    pub fn detect(environment: &Environment) -> Option<Self> {
        let is = |name| {
            environment
                .get(name)
                .is_some_and(|value| value == "true" || value == "1")
        };
        let kind = if is("FORGEJO_ACTIONS") {
            RunnerKind::Forgejo
        } else if is("GITEA_ACTIONS") {
            RunnerKind::Gitea
        } else if is("GITHUB_ACTIONS") {
            RunnerKind::GitHub
        } else {
            return None;
        };
        let reader = Reader { environment, kind };
        let event = reader.value::<String>("EVENT_NAME");
        let base = if event.as_ref().is_some_and(|event| is_pull_request(event)) {
            reader.value("BASE_REF")
        } else {
            let on_branch = reader
                .value::<String>("REF_TYPE")
                .is_none_or(|kind| kind.value == "branch");
            on_branch.then(|| reader.value("REF_NAME")).flatten()
        };
        Some(Self {
            kind,
            event,
            server_url: reader.value("SERVER_URL"),
            api_url: reader.value("API_URL"),
            graphql_url: reader.value("GRAPHQL_URL"),
            repository: reader.value("REPOSITORY"),
            base,
            workspace: reader.value("WORKSPACE"),
            output: reader.value("OUTPUT"),
            step_summary: reader.value("STEP_SUMMARY"),
            token: kind.tokens().iter().find_map(|name| {
                Some(Sourced {
                    value: secret(environment, name)?,
                    origin: Origin::Runner((*name).to_owned()),
                })
            }),
        })
    }

    /// Returns whether the job runs for a pull request, whose files are then its author's.
    pub fn is_pull_request(&self) -> bool {
        self.event
            .as_ref()
            .is_some_and(|event| is_pull_request(event))
    }
}

/// `pull_request`, and what belongs to one: `pull_request_target`, `pull_request_review` and others.
fn is_pull_request(event: &str) -> bool {
    event.starts_with("pull_request")
}

struct Reader<'a> {
    environment: &'a Environment,
    kind: RunnerKind,
}

impl Reader<'_> {
    /// Returns the first of the runner's variables of this name that has a usable value.
    fn value<T: Value>(&self, name: &str) -> Option<Sourced<T>> {
        self.kind.prefixes().iter().find_map(|prefix| {
            let variable = format!("{prefix}{name}");
            let value: &OsStr = self.environment.get_os(&variable)?;
            Some(Sourced {
                value: T::parse(value).ok()?,
                origin: Origin::Runner(variable),
            })
        })
    }
}

/// Returns a variable's value as a secret, without the line end that files and forms leave there.
pub fn secret(environment: &Environment, name: &str) -> Option<SecretString> {
    environment
        .get(name)
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn detect(variables: &[(&str, &str)]) -> Option<CiRunner> {
        CiRunner::detect(&variables.iter().copied().collect())
    }

    #[test]
    fn runners_are_told_apart_though_all_set_githubs_variable() {
        let kind = |variables: &[(&str, &str)]| detect(variables).map(|runner| runner.kind);
        let github = ("GITHUB_ACTIONS", "true");
        let gitea = ("GITEA_ACTIONS", "true");
        let forgejo = ("FORGEJO_ACTIONS", "true");
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&[("GITHUB_ACTIONS", "")]), None);
        assert_eq!(kind(&[("GITHUB_ACTIONS", "false")]), None);
        assert_eq!(kind(&[("CI", "true")]), None);
        assert_eq!(kind(&[github]), Some(RunnerKind::GitHub));
        assert_eq!(kind(&[github, gitea]), Some(RunnerKind::Gitea));
        assert_eq!(kind(&[github, gitea, forgejo]), Some(RunnerKind::Forgejo));
    }

    #[test]
    fn forgejos_own_names_come_before_githubs() {
        let runner = detect(&[
            ("FORGEJO_ACTIONS", "true"),
            ("FORGEJO_SERVER_URL", "https://forge.example/sub"),
            ("GITHUB_SERVER_URL", "https://github.example"),
            ("FORGEJO_API_URL", ""),
            ("GITHUB_API_URL", "https://forge.example/sub/api/v1"),
            ("GITHUB_REPOSITORY", "alice/fleet"),
            ("FORGEJO_OUTPUT", "/tmp/output"),
            ("GITHUB_STEP_SUMMARY", "/tmp/summary"),
            ("GITHUB_TOKEN", "one"),
            ("FORGEJO_TOKEN", "two\n"),
        ])
        .unwrap();
        let server = runner.server_url.unwrap();
        assert_eq!(server.as_str(), "https://forge.example/sub");
        assert_eq!(
            server.origin,
            Origin::Runner("FORGEJO_SERVER_URL".to_owned())
        );
        assert_eq!(
            runner.api_url.unwrap().origin,
            Origin::Runner("GITHUB_API_URL".to_owned())
        );
        assert_eq!(runner.repository.unwrap().owner, "alice");
        assert_eq!(runner.output.unwrap().value, PathBuf::from("/tmp/output"));
        assert_eq!(
            runner.step_summary.unwrap().value,
            PathBuf::from("/tmp/summary")
        );
        let token = runner.token.unwrap();
        assert_eq!(token.expose_secret(), "two");
        assert_eq!(token.origin, Origin::Runner("FORGEJO_TOKEN".to_owned()));
    }

    #[test]
    fn another_forges_variables_are_not_heeded_on_github() {
        let runner = detect(&[
            ("GITHUB_ACTIONS", "true"),
            ("FORGEJO_SERVER_URL", "https://elsewhere.example"),
            ("FORGEJO_TOKEN", "for elsewhere"),
        ])
        .unwrap();
        assert_eq!(runner.server_url, None);
        assert!(runner.token.is_none());
    }

    #[test]
    fn the_base_is_the_pull_requests_or_the_jobs_branch() {
        let base = |variables: &[(&str, &str)]| {
            let all: Vec<_> = [("GITHUB_ACTIONS", "true")]
                .into_iter()
                .chain(variables.iter().copied())
                .collect();
            detect(&all).unwrap().base.map(|base| base.value)
        };
        let name = ("GITHUB_REF_NAME", "main");
        assert_eq!(
            base(&[name, ("GITHUB_REF_TYPE", "branch")]).as_deref(),
            Some("main")
        );
        assert_eq!(base(&[name, ("GITHUB_REF_TYPE", "tag")]), None);
        let event = ("GITHUB_EVENT_NAME", "pull_request");
        let merge = ("GITHUB_REF_NAME", "7/merge");
        assert_eq!(
            base(&[event, merge, ("GITHUB_BASE_REF", "stable")]).as_deref(),
            Some("stable")
        );
        assert_eq!(base(&[event, merge]), None);
    }

    #[test]
    fn pull_requests_jobs_are_known_by_their_event() {
        let event = |event: &str| {
            let runner = detect(&[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", event)]);
            runner.unwrap().is_pull_request()
        };
        assert!(event("pull_request"));
        assert!(event("pull_request_target"));
        assert!(event("pull_request_review_comment"));
        assert!(!event("push"));
        assert!(!event("schedule"));
        assert!(!event(""));
    }
}
