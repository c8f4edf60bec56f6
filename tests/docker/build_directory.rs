//! The directory that Nix builds in: programs write its path into what they make.

use std::fs;

use crate::support::*;

const WORK: &str = "/nix/var/sdbuild/work";

/// Builds an image whose content is the path of the directory in which it was built, and returns that.
fn build(user: &TestUser) -> String {
    let script = fresh(SMALL_IMAGE).replace("echo small", "echo $NIX_BUILD_TOP");
    let image =
        user.build_of(&product_of_the_builder_alone(&script), &[]).assert_exit_code(0).image();
    fs::read_to_string(image).unwrap()
}

#[test]
fn builds_have_the_same_directory_in_every_run() {
    needs!(engine_ready());
    let volume = StoreVolume::new();
    let user = || TestUser::new().with("SDBUILD_STORE", &volume.0);
    let (first, second) = (user(), user());
    let same = format!("{WORK}/nix-build-product.drv-0\n");
    assert_eq!(build(&first), same);

    let script = fresh(&format!("    echo beside\n    sleep 600\n{SMALL_IMAGE}"));
    second.write("sd-card.nix", &product_of_the_builder_alone(&script));
    let mut beside = Running::start(&mut second.build(&["-v"]));
    beside.wait_for("beside");
    let own = build(&first);
    assert!(own.starts_with("/nix/var/sdbuild/build/"), "{own}");
    beside.signal(nix::sys::signal::Signal::SIGTERM);
    beside.finish();
    let left = in_builder(&volume.0, &[], "ls /nix/var/sdbuild", &[]).assert_exit_code(0);
    assert!(!left.stdout.contains("work"), "{}", left.stdout);
}

/// Runs of the entry with the ids in `$1` at once; `$2`: the live runs. Each tells the directory that Nix builds in, if it is
/// not its own, and what that contains.
const ENTER: &str = r#"
trap : USR1
export PATH=/stubs:$PATH SDBUILD_RESULT=/tmp/none SDBUILD_LIVE="$2"
for id in $1; do
  SDBUILD_RUN=$id TMPDIR=/nix/var/sdbuild/build/$id sh /build/sdbuild/entry \
    sh -c 'echo "${NIX_CONFIG##* }" $(ls -A "${NIX_CONFIG##* }"); sleep 3; exit 1' &
  all="$all $!"
done
for one in $all; do
  until wait "$one"; [ ! -e "/proc/$one/cwd" ]; do :; done
done
"#;

#[test]
fn directory_of_a_killed_run_is_taken_over_once() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.build_of(&product_of_the_builder_alone(SMALL_IMAGE), &[]).assert_exit_code(0);
    let volume = StoreVolume::new();
    // Every file is old.
    let stubs = tempfile::tempdir().unwrap();
    let stub = "#!/bin/sh\ncase \"$*\" in *-cmin*) [ ! -e \"$1\" ] || echo \"$1\" ;; esac\n";
    fs::write(stubs.path().join("find"), stub).unwrap();
    run(std::process::Command::new("chmod").args(["-R", "a+rx"]).arg(stubs.path()));
    let programs = root().join("containers/builder");
    let mounts = [
        format!("{}:/stubs:ro", stubs.path().display()),
        format!("{}:/build/sdbuild:ro", programs.display()),
    ];
    let mounts = mounts.each_ref().map(String::as_str);
    let inside = |script: &str, arguments: &[&str]| {
        let said = in_builder(&volume.0, &mounts, script, arguments).assert_exit_code(0);
        said.stdout
    };
    let killed = format!("mkdir -p {WORK}/nix-build-x; : >{WORK}/.run-dead");
    inside(&killed, &[]);
    assert_eq!(inside(ENTER, &["zero", "dead"]).trim(), "", "it lives");
    let said = inside(ENTER, &["one two three four", "one two three four"]);
    let taken = said.lines().filter(|line| !line.trim().is_empty());
    let taken: Vec<&str> = taken.collect();
    let words = taken.first().expect(&said).split_once(" .run-").expect(&said);
    assert_eq!((taken.len(), words.0), (1, WORK), "{said}");
    assert!(["one", "two", "three", "four"].contains(&words.1), "{said}");
}
