//! `sdbuild` turns a `sd-card.nix` into a NixOS SD card image on any Linux machine with Docker.
//!
//! The rooms of the house, and who may call whom (`scripts/rooms` checks it):
//!
//! ```text
//! main → lib → commands → { settings, pipeline, ui }
//! pipeline → { oci, binfmt, nixos, output, engine }
//! oci → { artifact, engine }      binfmt, nixos, output → engine
//! event, failure, cancel: the hall, open to every room
//! ```

pub mod artifact;
pub mod binfmt;
pub mod cancel;
pub mod cli;
pub mod engine;
pub mod event;
pub mod failure;
pub mod nixos;
pub mod oci;
pub mod output;
pub mod settings;
pub mod ui;

/// Runs the command.
pub async fn run(_cli: cli::Cli, _cancel: &cancel::Cancel) -> Result<(), failure::Failure> {
    Ok(())
}
