//! Things are killed, filled up and unplugged: the machine is as it was, and nothing is lost.

#[path = "../support/mod.rs"]
mod support;

mod disk;
mod engine;
mod registrar;
