//! A user of the store volume that all tests share.

use std::fs;

use crate::support::*;

/// Keeps the store volume that all tests share in use, so that `clean` does not remove it.
pub struct StoreInUse {
    container: String,
    image: String,
}

impl StoreInUse {
    pub fn hold() -> Self {
        // With an empty image: `clean` would keep an image of ours that is in use.
        let nothing = tempfile::NamedTempFile::new().unwrap();
        fs::write(nothing.path(), [0; 1024]).unwrap();
        let image = docker(&["import", nothing.path().to_str().unwrap()]);
        let image = image.trim().to_owned();
        let volume = format!("{STORE}:/kept");
        let container = docker(&["create", "--volume", &volume, &image, "/none"]);
        let container = container.trim().to_owned();
        Self { container, image }
    }
}

impl Drop for StoreInUse {
    fn drop(&mut self) {
        docker(&["rm", &self.container]);
        docker(&["rmi", &self.image]);
    }
}
