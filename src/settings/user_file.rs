//! Files of the user's own beside their settings.

use std::path::PathBuf;

use super::environment::Environment;

/// The file `name` in sdbuild's directory among the user's settings; `None` if no home directory is known.
pub fn user_file(env: &Environment, name: &str) -> Option<PathBuf> {
    let config = env.config_home.clone();
    let config = config.or_else(|| Some(env.home_dir()?.join(".config")));
    config.map(|config| config.join("sdbuild").join(name))
}
