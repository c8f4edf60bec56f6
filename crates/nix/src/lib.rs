//! What Nix reads and writes, as values: references and locks of flakes, `flake.nix`, `nix.conf`, reports of the builder. Pure: nothing
//! here touches files, processes or the network.

pub mod attribute_path;
pub mod flake_file;
pub mod flake_lock;
pub mod flake_ref;
pub mod forecast;
pub mod git_inputs;
pub mod git_source;
pub mod known_repository;
pub mod layout;
pub mod nix_conf;
pub mod nix_definitions;
pub mod nix_syntax;
pub mod reports;
pub mod shell_session;
pub mod slow_work;
pub mod source_files;
pub mod store_path;
pub mod trace;
