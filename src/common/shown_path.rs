//! Paths as users would type them.

use std::path::Path;

/// `path` relative to the current directory if it is below it, otherwise as it is.
pub fn shown_path(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(here) => below(path, &here).display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

fn below<'a>(path: &'a Path, dir: &Path) -> &'a Path {
    let relative = path.strip_prefix(dir).ok();
    relative
        .filter(|relative| relative.file_name().is_some())
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_directory_are_relative() {
        let shown = |path| below(Path::new(path), Path::new("/home/me/pi"));
        assert_eq!(shown("/home/me/pi/out/a.img"), Path::new("out/a.img"));
        assert_eq!(shown("/home/me/b.img"), Path::new("/home/me/b.img"));
        assert_eq!(shown("/home/me/pi"), Path::new("/home/me/pi"));
    }
}
