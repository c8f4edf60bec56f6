//! `sdbuild clean --old`: what results that were replaced keep on the store volume is given back, and nothing else.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::*;

/// The links to results on the store volume, the newest first: which run of which configuration.
const RESULTS: &str = "ls -td /nix/var/nix/gcroots/sdbuild/*/*/image";

/// All links.
const ALL_ROOTS: &str = "find /nix/var/nix/gcroots/sdbuild -type l | sort";

struct Store {
    volume: StoreVolume,
    user: TestUser,
}

impl Store {
    fn new() -> Self {
        let volume = StoreVolume::new();
        let user = TestUser::new().offline().with("SDBUILD_STORE", &volume.0);
        Self { volume, user }
    }

    /// Builds an image with `text` in it for `host`; returns its store path.
    fn build(&self, host: &str, text: &str) -> String {
        let script = format!("    : {text}\n{SMALL_IMAGE}");
        self.user.write("sd-card.nix", &product_of_the_builder_alone(&script));
        let words = ["--force", "--json", "--hostname", host];
        let manifest = run(&mut self.user.build(&words)).assert_exit_code(0).json();
        manifest["result"]["store_path"].as_str().unwrap().to_owned()
    }

    fn inside(&self, script: &str) -> String {
        let said = in_builder(&self.volume.0, &[], script, &[]).assert_exit_code(0);
        said.stdout.trim().to_owned()
    }

    fn clean(&self, words: &[&str]) -> Outcome {
        let words = [&["clean", "--old"], words].concat();
        run(&mut self.user.sdbuild(&words)).assert_exit_code(0)
    }

    /// Which of `paths` exist, in their order.
    fn existing(&self, paths: &[&String]) -> Vec<String> {
        let list = |path: &&String| format!("[ ! -e {path} ] || echo {path}");
        let script: Vec<_> = paths.iter().map(list).collect();
        let found = self.inside(&script.join("\n"));
        found.lines().map(str::to_owned).collect()
    }
}

#[test]
fn old_results_are_given_back_and_the_last_ones_stay() {
    needs!(engine_ready());
    let store = Store::new();
    let kitchen: Vec<String> =
        ["1", "2", "3", "4", "4"].iter().map(|text| store.build("kitchen", text)).collect();
    let garage = store.build("garage", "5");
    assert_eq!(kitchen[3], kitchen[4]);
    // Without any command the last three of each host are remembered, and each result once.
    let all_roots = store.inside(&format!("{RESULTS} | sort; echo; {ALL_ROOTS}"));
    let (results, _) = all_roots.split_once("\n\n").unwrap();
    assert_eq!(results.lines().count(), 4);

    let listed = store.clean(&["--dry-run"]).stdout;
    assert!(listed.contains("2 old results"), "{listed}");
    let status = run(&mut store.user.sdbuild(&["status", "--json"])).assert_exit_code(0);
    let status = status.json();
    let forecast = status["reclaimable"]["old"].as_u64().unwrap();
    assert!(forecast > 0);
    let unchanged = store.inside(&format!("{RESULTS} | sort; echo; {ALL_ROOTS}"));
    assert_eq!(unchanged, all_roots, "a forecast changes nothing");
    let all: Vec<&String> = kitchen.iter().collect();
    assert_eq!(store.existing(&all), kitchen);

    let two = store.clean(&["--keep", "2", "--dry-run"]).stdout;
    assert!(two.contains("1 old result and"), "{two}");
    let cleaned = store.clean(&["--yes"]);
    let left = format!("{}: ", store.volume.0);
    assert!(cleaned.stderr.contains(&left), "{}", cleaned.stderr);
    let looked_at = [&kitchen[0], &kitchen[2], &kitchen[3], &garage];
    let last = [kitchen[3].clone(), garage.clone()];
    assert_eq!(store.existing(&looked_at), last);
    let results = store.inside(&format!("nix-store --verify --check-contents; {RESULTS}"));
    assert_eq!(results.lines().count(), 2);
    assert_eq!(store.build("kitchen", "4"), kitchen[3]);

    store.clean(&["--keep", "0", "--yes"]);
    assert_eq!(store.existing(&[&garage]), [""; 0]);
    assert_eq!(store.inside("ls /nix/var/sdbuild/nixpkgs"), "");
    assert_eq!(store.build("garage", "5"), garage, "it is built again");
}

#[test]
fn no_garbage_is_collected_while_a_builder_uses_the_store() {
    needs!(engine_ready());
    let store = Store::new();
    let first = store.build("kitchen", "1");
    let second = store.build("kitchen", "2");
    let script = "    echo holding on\n    sleep 600";
    store.user.write("sd-card.nix", &product_of_the_builder_alone(script));
    let mut running = Running::start(&mut store.user.build(&["-v"]));
    running.wait_for("holding on");
    let refused = store.clean(&["--yes"]);
    assert!(
        refused.stderr.contains("a run uses the store volume")
            && refused.stderr.contains("when that run has ended")
            && !refused.stderr.contains("nothing to remove"),
        "{}",
        refused.stderr
    );
    running.signal(Signal::SIGTERM);
    running.finish();
    let both = [first, second];
    assert_eq!(store.existing(&[&both[0], &both[1]]), both);
}

/// Without waiting, its derivations could be removed while it builds them.
#[test]
fn a_build_waits_until_garbage_is_collected() {
    needs!(engine_ready());
    let store = Store::new();
    store.build("kitchen", "1");
    let run_id = "0c0c0c0c0c0c";
    let name = format!("sdbuild-collector-{run_id}");
    let volume = format!("{}:/nix", store.volume.0);
    let image = builder_image().unwrap();
    let collector = ["run", "--detach", "--rm", "--name", &name];
    let labels =
        ["--label", "dev.sdbuild.role=collector", "--label", "dev.sdbuild.run=0c0c0c0c0c0c"];
    let rest = ["--volume", &volume, &image, "sleep", "600"];
    docker(&[&collector[..], &labels, &rest].concat());
    let script = format!("    : 2\n{SMALL_IMAGE}");
    store.user.write("sd-card.nix", &product_of_the_builder_alone(&script));
    let mut running = Running::start(&mut store.user.build(&["--force"]));
    running.wait_for("which removes old results");
    std::thread::sleep(Duration::from_secs(2));
    docker(&["rm", "--force", &name]);
    running.finish().assert_exit_code(0);
}
