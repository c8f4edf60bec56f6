//! Helpers that every module may use and that use no other module.

pub mod build_mode;
pub mod cache_key;
pub mod ci_service;
pub mod configuration_file;
pub mod known_hosts;
pub mod locale;
pub mod nix_name;
pub mod nixos_option;
pub mod remote_builder;
pub mod template_name;
pub mod time_zone;
pub mod wifi_passphrase;
pub mod writable_dir;
