//! Where images are, for commands that take the newest one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::options::Options;
use super::resolver::{Resolver, current_dir};
use crate::common::failure::Failure;

/// Ends of the names of images.
const IMAGE_ENDS: [&str; 8] = ["gz", "img", "iso", "qcow2", "raw", "tar", "vmdk", "zst"];

/// Refuses the name of an image, of which a build would make a directory.
pub(super) fn check(dir: &Path) -> Result<(), Failure> {
    let end = dir.extension().and_then(OsStr::to_str).unwrap_or_default();
    if dir.is_dir() || !IMAGE_ENDS.contains(&end) {
        return Ok(());
    }
    let text = format!(
        "the output {} is the name of a file, not of a directory",
        dir.display()
    );
    let hint = "--output names the directory to write to; the image is named after networking.hostName in the configuration, or --hostname";
    Err(Failure::usage(text).hint(hint))
}

/// The current directory, and the output directory of builds in it.
pub fn output_dir(env: &Environment) -> Result<(PathBuf, PathBuf), Failure> {
    let here = current_dir()?;
    let mut resolver = Resolver::new(Options::default(), env, Some(&here))?;
    let output = resolver.value_or("output", None, |o| o.output.clone(), here.clone())?;
    Ok((here, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_no_output_directory() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["pi.img", "pi.img.zst", "pi.iso"] {
            let path = dir.path().join(name);
            assert!(check(&path).is_err(), "{name}");
            std::fs::create_dir(&path).unwrap();
            assert!(check(&path).is_ok(), "{name} exists and is a directory");
        }
        for name in ["images", "out.d", "26.05"] {
            assert!(check(&dir.path().join(name)).is_ok(), "{name}");
        }
    }
}
