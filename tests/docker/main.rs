//! A real engine, the real kernel table, real emulation, the miniature nixpkgs. What cannot run here
//! says so aloud; CI skips nothing.

#[path = "../support/registrar.rs"]
mod registrar;
#[path = "../support/mod.rs"]
mod support;

mod clean;
mod containers;
mod copy_out;
mod endings;
mod foreign_images;
mod handlers;
mod inputs;
mod lease;
mod products;
mod releases;
mod whole;
