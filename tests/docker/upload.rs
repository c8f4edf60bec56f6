//! Uploading a configuration's directory while its files change.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::*;

/// Makes an image that is the list of the uploaded files.
const LIST: &str = "    mkdir -p $out/sd-image $out/nix-support\n    ls -A ${./.} >$out/sd-image/list.img\n    \
    echo \"file sd-image $out/sd-image/list.img\" > $out/nix-support/hydra-build-products";

/// What a log, an editor and a build do in a directory, until `stop`.
fn change_files(dir: &Path, stop: &AtomicBool) {
    let at = |name: &str| dir.join(name);
    let mut log = File::options().append(true).open(at("build.log")).unwrap();
    while !stop.load(Ordering::Relaxed) {
        log.write_all(&[b'x'; 4096]).unwrap();
        fs::write(at(".saved.nix"), "{ }").unwrap();
        fs::rename(at(".saved.nix"), at("saved.nix")).unwrap();
        fs::create_dir_all(at("result")).unwrap();
        fs::write(at("result/temporary"), "x").unwrap();
        fs::remove_dir_all(at("result")).unwrap();
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn changing_files_and_own_output_do_no_harm() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &product(&fresh(LIST)));
    user.write("build.log", "");
    user.write("saved.nix", "{ }");
    let dir = user.home.path().to_owned();
    let output = || File::options().append(true).create(true).open(dir.join("out.txt"));
    let mini = mini_nixpkgs();
    let mini = mini.to_str().unwrap();
    let words = ["build", "--nixpkgs", mini, "--output", "new/images", "--compress", "none"];
    let stop = AtomicBool::new(false);
    let built = std::thread::scope(|scope| {
        scope.spawn(|| change_files(&dir, &stop));
        let mut command = user.sdbuild(&words);
        command.stdout(output().unwrap()).stderr(output().unwrap());
        let built = command.status().unwrap();
        stop.store(true, Ordering::Relaxed);
        built
    });
    let said = fs::read_to_string(dir.join("out.txt")).unwrap();
    assert!(built.success(), "{said}");
    let list = fs::read_to_string(dir.join("new/images/list.img")).unwrap();
    let listed: Vec<&str> = list.lines().filter(|name| !name.starts_with('.')).collect();
    for name in ["build.log", "saved.nix", "sd-card.nix"] {
        assert!(listed.contains(&name), "{name}: {list}");
    }
    assert!(!listed.contains(&"out.txt"), "{list}");
    runs.assert_nothing_left();
}
