//! What the tests stand on: a hermetic environment, the fixture fleet, the binary's output, programs in between.
//!
//! Tests that need Nix are `#[ignore = "needs nix: run scripts/test"]`, those that need an SSH server `#[ignore = "needs sshd:
//! run scripts/test"]`; `scripts/test` names the Nix in `FLAKE_HERALD_TEST_NIX`, the runner that follows workflows in
//! `FLAKE_HERALD_TEST_ACT`, and includes them. With `FLAKE_HERALD_TEST_KEEP` set,
//! scratch directories stay.

// `cfg(test)` is always on here; written out, it tells clippy that these are tests, where a panic is the way to fail.
#[cfg(test)]
pub(crate) mod actions;
#[cfg(test)]
mod env;
#[cfg(test)]
mod fleet;
#[cfg(test)]
pub(crate) mod forge;
#[cfg(test)]
mod output;
#[cfg(test)]
mod redact;
#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod shim;
#[cfg(test)]
mod ssh;

/// Where the pages are to which errors lead: long, and the same every time.
#[cfg(test)]
pub(crate) const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/src/branch/main/docs/");

pub(crate) use env::{TestEnv, act, fixtures, project};
pub(crate) use fleet::Fleet;
pub(crate) use output::CommandOutput;
pub(crate) use redact::Redactor;
pub(crate) use schema::faults;
pub(crate) use shim::Shim;
pub(crate) use ssh::Sshd;
