//! Nix: how each call is spelled, what its answers mean, and how its store is read.
//!
//! Every method of [`Nix`] is one question to Nix, asked in as few processes as Nix allows.

mod build;
mod build_log;
mod call;
mod derivation;
mod derivation_file;
mod discover;
mod error;
mod eval;
mod facts;
mod lock;
mod message;
mod packages;
mod probe;
pub mod profile;
mod settings;
mod space;
mod store;
mod version;

pub use build::{Built, Log, Missing};
pub use build_log::{BuildEvent, BuildFailure, BuildWatcher, Fetched};
pub use call::Options;
pub use derivation::{Derivation, Unbuildable, needed, unbuildable};
pub use discover::Discovered;
pub use error::NixError;
pub use eval::{Batch, EvalFailure, EvalResult, Evaluated, Fault};
pub use message::Warnings;
pub use settings::{Machines, Settings};
pub use space::free_space;
pub use version::{Flavour, MINIMUM_NIX, NixVersion};

use crate::command::{Cmd, CommandError, Door, Output};

use self::probe::Spelling;

/// The Nix on `PATH`, spoken to through its commands.
#[derive(Debug, Clone)]
pub struct Nix {
    door: Door,
    options: Options,
    version: NixVersion,
    spelling: Spelling,
    warnings: Warnings,
}

impl Nix {
    /// Returns a Nix that is called through `door`, every call carrying `options`.
    ///
    /// # Errors
    ///
    /// There is none on `PATH`, its version is not understood, it is older than [`MINIMUM_NIX`], or it is somebody else's and
    /// lacks what is needed.
    pub async fn connect(door: Door, options: Options) -> Result<Self, NixError> {
        let version = NixVersion::of(&door).await?;
        let warnings = Warnings::default();
        let spelling = Spelling::of(&door, &version, &warnings).await?;
        Ok(Self {
            door,
            options,
            version,
            spelling,
            warnings,
        })
    }

    /// Returns the version.
    pub fn version(&self) -> &NixVersion {
        &self.version
    }

    /// Runs a call, once more where several at once made a new store and got in each other's way.
    async fn run(&self, cmd: &Cmd) -> Result<Output, CommandError> {
        match self.door.run(cmd).await {
            Err(error) if message::is_new_store_race(&error) => {
                tracing::debug!("asking again: {error}");
                self.door.run(cmd).await
            }
            result => result,
        }
    }

    /// Returns what Nix warned of so far and a reader of the report should know, each once.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.seen()
    }

    /// Adds settings that the flake asks for in its `nixConfig` and the user has accepted.
    ///
    /// `nix-store` reads no flake: a cache the flake names would not be used for building without this.
    pub fn add_flake_settings(&mut self, settings: Vec<(String, String)>) {
        self.options.flake_settings = settings;
    }
}
