//! What a flake is, as data: how it is referred to, which hosts it has, which of them are wanted,
//! and what its `flake.lock` says. Nothing here runs Nix.

mod attr;
mod filter;
mod host;
pub mod lock;
mod reference;
mod survey;

pub use attr::{AttrPath, AttrPathError, nix_string};
pub use filter::{Excluded, FilterError, HostFilter, NoHost, Selection, literally};
pub use host::{Host, HostId, Kind, labels, listed, one_line};
pub use reference::{FlakeRef, percent_encode_path};
pub use survey::{Standing, Survey};
