//! The result of a run as data, and its renderings. How it was got and where it goes is not known here.

mod clean;
mod json;
mod markdown;
mod model;
mod text;

pub use clean::{Redactor, defused};
pub use json::to_json;
pub use markdown::to_markdown;
pub use model::{
    ExcludedHost, Failure, FlakeInfo, Fleet, HostReport, InputChange, InputRevision, LockInfo,
    LockOrigin, NixInfo, Outcome, Report, SCHEMA, Scope, Side, SideName, Stage, Status, StepTiming,
    Timing, Tool,
};
pub use text::{to_plain_text, to_text};
