//! What a build made, exported by `sdbuild cache export` as others use it. All of it is the same build.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::{image_user, with_caches};
use crate::registrar::{builder_image, engine, registrar_image};
use crate::support::*;

/// Store paths of the build: an image and its two parts.
const PATHS: usize = 3;

/// A user whose store `volume` has nothing, with the export at `server`.
fn consumer(case: &str, volume: &StoreVolume, server: &CacheServer, key: &str) -> TestUser {
    let user =
        image_user(case).with("SDBUILD_STORE", &volume.0).with("SDBUILD_TRUSTED_PUBLIC_KEYS", key);
    with_caches(user, &[server])
}

/// The exporting user, the image, and what it takes to export.
struct Built {
    user: TestUser,
    runs: RunTracker,
    case: String,
    image: PathBuf,
}

impl Built {
    fn new() -> Self {
        let case = format!("exported-{}", nonce());
        let user = image_user(&case);
        let runs = user.track_runs();
        let image = run(&mut user.build(&[])).assert_exit_code(0).image();
        Self { user, runs, case, image }
    }

    fn command(&self, destination: &str, more: &[&str]) -> std::process::Command {
        let image = self.image.to_str().unwrap();
        let words = [&["cache", "export", destination, image], more].concat();
        self.user.sdbuild(&words)
    }

    /// Exports; what was said must have `told`.
    fn export(&self, destination: &str, more: &[&str], told: &str) {
        let done = run(&mut self.command(destination, more)).assert_exit_code(0);
        assert!(done.stderr.contains(told), "{}", done.stderr);
        self.runs.assert_nothing_left();
    }

    fn public_key(&self) -> String {
        let printed = run(&mut self.user.sdbuild(&["cache", "key"])).assert_exit_code(0);
        printed.stdout.trim().to_owned()
    }
}

/// The files of a cache with their content. Each description must have its file.
fn valid_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for place in [dir.to_owned(), dir.join("nar")] {
        for file in fs::read_dir(place).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            if file.file_type().unwrap().is_file() && !name.starts_with('.') {
                files.insert(name, fs::read(file.path()).unwrap());
            }
        }
    }
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".narinfo")) {
        let text = std::str::from_utf8(text).unwrap();
        let nar = text.lines().find_map(|line| line.strip_prefix("URL: nar/"));
        assert!(files.contains_key(nar.unwrap()), "{name}: {text}");
    }
    files
}

fn count(dir: &Path, ending: &str) -> usize {
    let files = valid_files(dir).into_keys();
    files.filter(|name| name.ends_with(ending)).count()
}

#[test]
fn an_empty_store_takes_an_export_and_builds_nothing() {
    needs!(engine_ready());
    let built = Built::new();
    let dir = built.user.home.path().join("cache");
    let all = format!("exported {PATHS} store paths");
    built.export("cache", &[], &all);
    assert_eq!((count(&dir, ".narinfo"), count(&dir, ".nar.zst")), (PATHS, PATHS));
    let files = valid_files(&dir);
    built.export(&format!("file://{}", dir.display()), &[], "nothing to export");
    assert_eq!(valid_files(&dir), files);

    let (key, server) = (built.public_key(), CacheServer::good(&dir));
    let volume = StoreVolume::new();
    let there = consumer(&built.case, &volume, &server, &key);
    let taken = run(&mut there.build(&["-v"])).assert_exit_code(0);
    assert!(fs::read(taken.image()).unwrap() == fs::read(&built.image).unwrap());
    assert!(!taken.stderr.contains("\nbuilding "), "{}", taken.stderr);
    assert_eq!(server.nars(), PATHS);

    // What a cache of the settings has is not exported.
    let address = server.url();
    built.export("rest", &["--substituters", &address], "nothing to export");
    built.export("whole", &["--substituters", &address, "--all"], &all);
    let nobody = "http://192.0.2.1:9";
    let mut command = built.command("rest", &["--substituters", nobody]);
    command.env("SDBUILD_STALL_TIMEOUT", "2");
    let refused = run(&mut command).assert_exit_code(3);
    let text = format!("the binary cache {nobody} cannot be asked");
    assert!(refused.stderr.contains(&text), "{}", refused.stderr);
    assert_eq!(count(&built.user.home.path().join("rest"), ".narinfo"), 0);

    // Another key: nothing is trusted, and everything exported anew.
    let other = built.user.home.path().join("other-key");
    let other = other.to_str().unwrap();
    let printed = run(&mut built.user.sdbuild(&["cache", "key", other])).assert_exit_code(0);
    let volume = StoreVolume::new();
    let there = consumer(&built.case, &volume, &server, printed.stdout.trim());
    let refused = run(&mut there.build(&["-v"])).assert_exit_code(0);
    let warning = "not signed by any of the keys";
    assert!(refused.stderr.contains(warning), "{}", refused.stderr);
    assert!(refused.stderr.contains("\nbuilding "), "{}", refused.stderr);
    built.export("cache", &["--key", other], &all);

    let secret = fs::read_to_string(built.user.state.path().join(".config/sdbuild/cache-key"));
    let secret = secret.unwrap().split(':').nth(1).unwrap().trim().to_owned();
    for text in files.values().map(|file| String::from_utf8_lossy(file)) {
        assert!(!text.contains(&secret));
    }
}

#[test]
fn an_export_that_was_killed_goes_on() {
    needs!(engine_ready());
    let built = Built::new();
    let dir = built.user.home.path().join("cache");
    let mut running = Running::start(&mut built.command("cache", &[]));
    let infos = || {
        let files = fs::read_dir(&dir).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".narinfo")).count()
    };
    running.wait_until("a path is exported", || infos() > 0);
    running.signal(Signal::SIGKILL);
    drop(running);
    let before = count(&dir, ".narinfo");
    assert!((1..PATHS).contains(&before), "{before}");
    built.export("cache", &[], "exported ");
    assert_eq!(count(&dir, ".narinfo"), PATHS);
    // A file that went missing is exported again, and no other one.
    let nar = fs::read_dir(dir.join("nar")).unwrap().flatten().next().unwrap();
    fs::remove_file(nar.path()).unwrap();
    built.export("cache", &[], "exported 1 store path ");
    assert_eq!(count(&dir, ".nar.zst"), PATHS);
}

#[test]
fn an_export_is_sent_to_a_server_that_takes_it() {
    needs!(engine_ready());
    let built = Built::new();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("nar")).unwrap();
    let place = dir.path().to_owned();
    let server = CacheServer::start(dir.path(), move |request| {
        let login = request.header("authorization").is_some();
        match request.method.as_str() {
            "PUT" if !login => Reply::Status("401 Unauthorized", String::new()),
            "PUT" => {
                fs::write(place.join(request.file()), &request.body).unwrap();
                Reply::Status("201 Created", String::new())
            }
            _ => Reply::File,
        }
    });
    let refused = run(&mut built.command(&server.url(), &[])).assert_exit_code(3);
    assert!(refused.stderr.contains("401"), "{}", refused.stderr);
    let host = host_for_containers();
    let netrc = built.user.write("netrc", &format!("machine {host} login me password hidden\n"));
    let login = ["--netrc-file", netrc.to_str().unwrap()];
    let all = format!("exported {PATHS} store paths");
    built.export(&server.url(), &login, &all);
    let files = valid_files(dir.path());
    assert_eq!(files.len(), 2 * PATHS + 1, "{:?}", files.keys());
    let sent = || {
        let requests = server.requests().into_iter();
        let sent = requests.filter(|r| r.method == "PUT" && r.header("authorization").is_some());
        sent.map(|request| request.file().to_owned()).collect::<Vec<_>>()
    };
    let first = sent();
    assert_eq!(first[0], "nix-cache-info");
    let kinds = first[1..]
        .chunks(2)
        .map(|pair| (pair[0].starts_with("nar/"), pair[1].ends_with(".narinfo")));
    assert!(kinds.eq([(true, true); PATHS]), "{first:?}");
    built.export(&server.url(), &login, "nothing to export");
    assert_eq!(sent(), first);
}

#[tokio::test]
async fn an_export_is_sent_to_the_store_of_another_machine() {
    needs!(NixMachine::can_run());
    let engine = engine().await;
    let registrar = registrar_image(&engine).await;
    let machine = NixMachine::start("store", &registrar.reference, &builder_image(&engine).await);
    let built = Built::new();
    let manifest = manifest(&built.image);
    let path = manifest["result"]["store_path"].as_str().unwrap();
    assert!(!machine.has(path));
    machine.make_known_to(&built.user);
    let key = machine.key("key");
    let login = ["--builder-key", key.to_str().unwrap()];
    let refused = run(&mut built.command(&machine.address(), &login)).assert_exit_code(3);
    let error = "lacks a signature by a trusted key";
    assert!(refused.stderr.contains(error), "{}", refused.stderr);
    machine.trust(&built.public_key());
    let all = format!("exported {PATHS} store paths");
    built.export(&machine.address(), &login, &all);
    assert!(machine.has(path));
}
