//! Seed: the volume with which cloud-init configures a machine at its first start (its data source `NoCloud`), and the checks
//! of what is in it.
//!
//! A volume is a small FAT file system with the label `CIDATA`, the same bytes for the same files. Foreign volumes, FAT or
//! ISO 9660, are only read.

mod cloud_config;
mod files;
mod yaml;

pub use cloud_config::SeedLogin;
pub use files::{Seed, SeedPaths, read};
