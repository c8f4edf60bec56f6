//! Where images are, for commands that take the newest one.

use std::path::PathBuf;

use super::environment::Environment;
use super::options::Options;
use super::resolver::{Resolver, current_dir};
use sdbuild_core::failure::Failure;

/// The current directory, and the output directory of builds in it.
pub fn output_dir(env: &Environment) -> Result<(PathBuf, PathBuf), Failure> {
    let here = current_dir()?;
    let mut resolver = Resolver::new(Options::default(), env, Some(&here))?;
    let output = resolver.value_or("output", |o| o.output.clone(), here.clone())?;
    Ok((here, output))
}
