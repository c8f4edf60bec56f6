//! What Nix reads and writes, as values: references and locks of flakes, `flake.nix`, `nix.conf`, reports of the builder. Pure: nothing
//! here touches files, processes or the network.

pub mod attribute_path;
pub mod brackets;
pub mod build_log;
pub mod causes;
pub mod check;
pub mod cli_module;
pub mod configuration_file;
pub mod diagnosis;
pub mod flake_file;
pub mod flake_lock;
pub mod flake_ref;
pub mod forecast;
pub mod git_inputs;
pub mod git_source;
pub mod ignore_rules;
pub mod known_repository;
pub mod layout;
pub mod locale;
pub mod log;
pub mod nix_conf;
pub mod nix_definitions;
pub mod nix_name;
pub mod nix_syntax;
pub mod package_names;
pub mod reports;
pub mod shell_session;
pub mod slow_work;
pub mod stale_lock;
pub mod store_path;
pub mod time_zone;
pub mod trace;
pub mod user_files;
pub mod wifi_passphrase;
