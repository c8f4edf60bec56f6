//! Tests that run while no other test uses the engine (`.config/nextest.toml`), because they look at the whole machine or
//! change it for everyone: they compare all handlers, containers and volumes, run `clean`, or register handlers that would
//! serve the programs of other builds.

mod binfmt_table;
mod clean;
mod desktop;
mod handlers;
mod in_a_container;
mod machine;
mod status;
mod store;
