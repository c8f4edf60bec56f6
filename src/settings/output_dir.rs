//! Where images are, for commands that take the newest one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::options::Options;
use super::resolver::{Resolver, current_dir};
use sdbuild_core::failure::Failure;
use sdbuild_image::image_format;

/// Refuses the name of an image or of a disk, of which a build would make a directory.
pub(super) fn check(dir: &Path) -> Result<(), Failure> {
    let is_memory = dir.starts_with("/dev/shm");
    if dir.starts_with("/dev") && !is_memory && !dir.is_dir() {
        let text = format!("the output {} is in /dev, where disks are", dir.display());
        let hint = "--output names the directory to write to; `sdbuild flash` writes a finished image to a disk";
        return Err(Failure::usage(text).hint(hint));
    }
    if dir.is_dir() || !is_named_like_an_image(dir) {
        return Ok(());
    }
    let text = format!(
        "the output {} is the name of an image, not of a directory",
        dir.display()
    );
    Err(Failure::usage(text).hint("--output names the directory to write to. The image's name comes from networking.hostName or --hostname"))
}

/// Whether `path` ends as the images of a format do, compressed or not.
fn is_named_like_an_image(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let extensions = image_format::all().flat_map(|format| format.extensions);
    // A directory often has the name of the archive that it was unpacked from.
    let extensions = extensions
        .copied()
        .filter(|extension| !extension.contains("tar"));
    image_format::extension_of(&name.to_lowercase(), extensions).is_some()
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
        for name in ["pi.img", "pi.img.zst", "pi.IMG.xz", "pi.qcow2"] {
            let path = dir.path().join(name);
            assert!(check(&path).is_err(), "{name}");
            std::fs::create_dir(&path).unwrap();
            assert!(check(&path).is_ok(), "{name} exists and is a directory");
        }
        assert!(check(Path::new("/dev/sdzz")).is_err());
        for memory in ["/dev/shm", "/dev/shm/new/one"] {
            assert!(check(Path::new(memory)).is_ok(), "{memory}");
        }
        for name in ["images", "out.d", "26.05", "backup.tar", "img"] {
            assert!(check(&dir.path().join(name)).is_ok(), "{name}");
        }
    }
}
