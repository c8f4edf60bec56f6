//! Paths as users would type them.

use std::path::Path;

/// `path` relative to the current directory if it is below it, otherwise as it is.
pub fn shown_path(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(here) => below(path, &here).display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// `dir` as the beginning of the paths of its files: empty for the current directory, else relative to it if it is below it, otherwise
/// as it is, with a slash at the end.
pub fn shown_dir(dir: &Path) -> String {
    match std::env::current_dir() {
        Ok(here) => dir_below(dir, &here),
        Err(_) => dir_below(dir, Path::new("")),
    }
}

fn dir_below(dir: &Path, here: &Path) -> String {
    if dir == here {
        return String::new();
    }
    let shown = below(dir, here).display().to_string();
    format!("{}/", shown.trim_end_matches('/'))
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
    #[test]
    fn a_directory_is_the_beginning_of_its_files() {
        let shown = |path| dir_below(Path::new(path), Path::new("/home/me"));
        assert_eq!(shown("/home/me"), "");
        assert_eq!(shown("/home/me/pi"), "pi/");
        assert_eq!(shown("/srv/pi/"), "/srv/pi/");
        assert_eq!(shown("/"), "/");
    }
}
