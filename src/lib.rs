//! flake-herald says what a flake update changes on every host.
//!
//! ```text
//! config ─▶ flake ─▶ nix ─▶ closure ─▶ report ─▶ git ─▶ forge
//!    └──────────── pipeline: the only room that knows them all ───────────┘─▶ exit
//!                  command (processes)
//! ```
//!
//! The modules are rooms: each owns one thing and knows few others. [`pipeline`] alone joins them. Which room may
//! import which is held by a test; `CONTRIBUTING.md` has the table, and a glossary.
//!
//! This library serves the binary of the same name and its tests. It is no public interface.

pub mod cli;
pub mod closure;
pub mod command;
pub mod config;
pub mod exit;
pub mod flake;
pub mod forge;
pub mod git;
pub mod nix;
pub mod pipeline;
pub mod report;
