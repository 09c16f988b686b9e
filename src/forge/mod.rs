//! Pull requests on Forgejo, Gitea and GitHub: the verbs, each forge's dialect of them, and the life of one pull request above.

mod answer;
mod error;
mod forgejo;
mod github;
mod http;
mod life;
mod marker;
mod probe;
#[cfg(test)]
mod tests;
mod types;
mod verbs;

pub use error::{Call, ForgeError, Held};
pub use forgejo::Forgejo;
pub use github::Github;
pub use http::Limits;
pub use life::{
    Blocked, Branch, Decision, Goal, Habits, LOCK_TRAILER, Owner, SCOPE_TRAILER, Situation, Wanted,
    decide, title_edit,
};
pub use marker::{
    MOST_BODY, Marker, NOTES, body, closed_as_obsolete, notes, room_beside, title_hash,
};
pub use probe::{probe, usual_api};
pub use types::{
    ForgeKind, NewPullRequest, OpenPulls, PrNumber, PrState, PullRequest, PullRequestEdit,
    Repository,
};
pub use verbs::{Client, ClosedPage, Endpoint, Forge, Opened, Token};
