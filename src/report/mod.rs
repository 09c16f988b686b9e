//! The result of a run as data, and its renderings. How it was got and where it goes is not known here.

#[cfg(test)]
mod body_tests;
mod budget;
mod clean;
mod closure_diff;
#[cfg(test)]
mod diff_tests;
mod failures;
mod impact;
mod impact_text;
mod inputs;
mod json;
mod layout;
mod markdown;
mod merge;
mod model;
mod overview;
mod plan;
mod points;
mod publication;
mod pull_request;
mod rows;
#[cfg(test)]
mod schema;
mod sections;
mod style;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use crate::flake::lock::{LockNote, LockNoteKind};
pub use budget::body;
pub use clean::{Redactor, defused};
pub use closure_diff::{
    Comparison, DiffSort, DiffView, End, diff_to_markdown, diff_to_text, write_diff_json,
};
pub use impact::{
    Impact, PatchChange, Reboot, RebootPart, RebootReason, Sensitive, Step, SystemSide, UnitChange,
    VulnerabilityChange, impact, impact_of_selected,
};
pub use json::{to_json, write_json};
pub use markdown::to_markdown;
pub use merge::{MAX_BYTES, MergeError, ReadError, merge, parse};
pub use model::{
    ExcludedHost, Failure, FlakeInfo, Fleet, FleetChange, HostReport, InputChange, InputRevision,
    LockInfo, LockOrigin, NixInfo, Outcome, Planned, PlannedHost, Report, SCHEMA, Scope, Side,
    SideName, Stage, Status, StepTiming, Timing, ToBuild, Tool,
};
pub use plan::{Plan, PlanError, PlanHost};
pub use publication::summary;
pub use pull_request::{Operation, PullRequestInfo};
pub use style::WIDTH as TEXT_WIDTH;
pub use template::{TemplateError, Templates};
pub use text::{to_plain_text, to_text};
