//! Helpers that every module may use and that use no other module.

pub mod board;
pub mod build_mode;
pub mod cancel;
mod choice;
pub mod compression;
pub mod context;
pub mod disk_space;
pub mod event;
pub mod failure;
pub mod hash;
pub mod http_url;
pub mod human_bytes;
pub mod image_format;
pub mod invisible_chars;
pub mod locked_file;
pub mod nix_string;
pub mod plain_file;
pub mod program;
pub mod shell_word;
pub mod ssh_key;
pub mod system;
pub mod terminal;
pub mod text;
pub mod timeout;
pub mod transcript;
pub mod unix_socket;
