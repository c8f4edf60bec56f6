//! `sdbuild clean` frees the disk, and removes nothing that is foreign or in use.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use crate::support::*;

/// The store of the user of these tests.
const CLEANED: &str = "sdbuild-store-clean";

/// Keeps the stores of whoever runs the tests, all but [`CLEANED`], in use.
struct OtherStoresInUse(Option<String>);

impl OtherStoresInUse {
    fn hold() -> Self {
        let label = "label=dev.sdbuild.role=store";
        let mut names = docker_lines(&["volume", "ls", "--quiet", "--filter", label]);
        names.retain(|name| name != CLEANED);
        let volumes: Vec<String> = names.iter().map(|name| format!("{name}:/{name}")).collect();
        let container = (!volumes.is_empty()).then(|| {
            let image = builder_image().unwrap();
            let volumes = volumes.iter().flat_map(|volume| ["--volume", volume]);
            let words: Vec<&str> = ["create"].into_iter().chain(volumes).collect();
            docker(&[&words[..], &[&image]].concat())
        });
        Self(container)
    }
}

impl Drop for OtherStoresInUse {
    fn drop(&mut self) {
        if let Some(container) = &self.0 {
            docker(&["rm", container.trim()]);
        }
    }
}

/// A user with their own cache and store, so that cleaning affects no other test.
fn user() -> TestUser {
    let user = TestUser::new();
    let cache = user.home.path().join("cache");
    let cache = cache.to_str().unwrap().to_owned();
    user.with("XDG_CACHE_HOME", cache).with("SDBUILD_STORE", CLEANED)
}

#[test]
fn clean_lists_asks_and_removes_only_own_objects() {
    needs!(engine_ready());
    let user = user();
    docker(&["volume", "create", "--label", "dev.sdbuild.role=store", CLEANED]);
    docker(&["volume", "create", "sdbuild-store-not-labelled"]);
    let object = user.write("cache/sdbuild/sha256/x", "not a download of ours");
    let own = user.write("cache/other/precious", "x");

    let listed = run(&mut user.sdbuild(&["clean", "--dry-run"])).assert_exit_code(0);
    assert!(listed.stdout.contains("sdbuild-store-clean"), "{}", listed.stdout);
    assert!(!listed.stdout.contains("not-labelled"), "{}", listed.stdout);
    assert!(!listed.stdout.contains(STORE), "{}", listed.stdout);
    listed.assert_stderr_contains(&[&format!("the store volume {STORE} is kept"), "--all"]);
    let everything = run(&mut user.sdbuild(&["clean", "--dry-run", "--all"])).assert_exit_code(0);
    for described in [
        "sdbuild-store-clean, the current store".to_owned(),
        format!("{STORE}, not the current store"),
    ] {
        assert!(everything.stdout.contains(&described), "{}", everything.stdout);
    }
    let unasked = run(&mut user.sdbuild(&["clean"])).assert_exit_code(2);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    assert!(docker(&["volume", "ls"]).contains("sdbuild-store-clean"));

    // A build under way keeps the images and the store of the other tests, and a container the stores of whoever runs them.
    let _holder = Holder::start();
    let of_another = StoreVolume::new();
    let role = "dev.sdbuild.role=store";
    docker(&["volume", "create", "--label", role, &of_another.0]);
    let others = OtherStoresInUse::hold();
    run(&mut user.sdbuild(&["clean", "--yes", "--all"])).assert_exit_code(0);
    let volumes = docker(&["volume", "ls"]);
    assert!(!volumes.contains("sdbuild-store-clean"), "{volumes}");
    assert!(volumes.contains("sdbuild-store-not-labelled"));
    assert!(volumes.lines().any(|line| line.ends_with(STORE)), "a live run's store is left alone");
    assert!(volumes.contains(&of_another.0), "a container uses it");
    drop(others);
    docker(&["volume", "rm", "sdbuild-store-not-labelled"]);
    assert!(own.exists());
    drop(object);
}

/// Others, images, downloads and logs stay.
#[test]
fn clean_removes_one_store_volume_alone() {
    needs!(engine_ready());
    let user = user();
    let names = ["sdbuild-store-clean-a", "sdbuild-store-clean-b"];
    for name in names {
        docker(&["volume", "create", "--label", "dev.sdbuild.role=store", name]);
    }
    run(&mut user.sdbuild(&["clean", "--store", "sdbuild-store-clean-c"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["there is no store volume sdbuild-store-clean-c"]);
    // Those of the same age, as ours are, come in any order.
    let images = || {
        let listed = docker(&["images", "--quiet"]);
        listed.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = images();
    run(&mut user.sdbuild(&["clean", "--yes", "--store", names[0]])).assert_exit_code(0);
    let volumes = docker(&["volume", "ls", "--quiet"]);
    remove_volume(names[1]);
    assert!(!volumes.contains(names[0]) && volumes.contains(names[1]), "{volumes}");
    assert_eq!(images(), before);
}

/// A build under way, which uses images, store and handler.
struct Holder {
    running: Option<Running>,
    _user: TestUser,
}

impl Holder {
    fn start() -> Self {
        let user = TestUser::new();
        user.write("sd-card.nix", &product("    echo holding on\n    sleep 600"));
        let mut running = Running::start(&mut user.build(&["-v"]));
        running.wait_for("holding on");
        Self { running: Some(running), _user: user }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal(Signal::SIGINT);
            running.finish();
        }
    }
}

#[test]
fn clean_keeps_and_names_a_live_run() {
    needs!(engine_ready());
    let mut holder = Holder::start();
    let (handlers, builders) = (our_handlers(), containers("builder"));
    let handler = handlers.first().unwrap();
    let run_id = handler.strip_prefix("sdbuild-aarch64-").unwrap().to_owned();
    let cleaned = run(&mut user().sdbuild(&["clean", "--yes"])).assert_exit_code(0);
    assert!(cleaned.stderr.contains(&run_id), "{}", cleaned.stderr);
    assert_eq!((our_handlers(), containers("builder")), (handlers, builders));
    let running = holder.running.take().unwrap();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().signal, Some(Signal::SIGTERM as i32));
    assert!(our_handlers().is_empty());
}

#[test]
fn clean_removes_downloads_and_logs() {
    needs!(engine_ready());
    let store = StoreVolume::new();
    let user = user().with("SDBUILD_STORE", &store.0);
    let cache = user.home.path().join("cache/sdbuild");
    user.build_of(&product("    exit 3"), &[]).assert_exit_code(4);
    let logs = user.state.path().join(".local/state/sdbuild/logs");
    assert_eq!(file_names(&logs).len(), 1);
    // On an engine of its own: what any other run has on an engine may need the downloads.
    let service = EngineService::start(EngineKind::Docker(DebianRelease::Here));
    let user = user.with("DOCKER_HOST", service.host());
    run(&mut user.sdbuild(&["clean", "--yes"])).assert_exit_code(0);
    assert!(!logs.exists() || file_names(&logs).is_empty());
    assert!(
        !cache.join("sha256").exists() || fs::read_dir(cache.join("sha256")).unwrap().count() == 0
    );
}

/// A run that began while `clean` waited for its user once lost the images that it was about to use.
#[test]
fn clean_keeps_what_a_run_begun_meanwhile_needs() {
    needs!(engine_ready());
    let user = TestUser::new().with_own_cache();
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    let images = || docker_lines(&["images", "--filter", "label=dev.sdbuild.role", "--quiet"]);
    let before = images();
    let mut screen = Screen::start(&user.sdbuild(&["clean"]), (100, 40));
    screen.wait_for("Remove all of this?");
    let mut holder = Holder::start();
    screen.type_keys("y\n");
    screen.wait_for("has started meanwhile");
    screen.wait_for("removed the rest");
    let running = holder.running.take().unwrap();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().signal, Some(Signal::SIGTERM as i32));
    assert_eq!(images(), before);
    let volumes = docker(&["volume", "ls", "--quiet"]);
    assert!(volumes.lines().any(|name| name == STORE), "{volumes}");
}
