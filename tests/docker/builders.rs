//! Nix's remote builders: a container with Nix and an SSH server stands for the other machine.

use std::fs;

use crate::registrar::{builder_image, engine, registrar_image};
use crate::support::*;

/// A machine whose programs say that they run on `name`.
async fn machine(name: &str) -> NixMachine {
    let engine = engine().await;
    let registrar = registrar_image(&engine).await;
    NixMachine::start(name, &registrar.reference, &builder_image(&engine).await)
}

/// An image that is the name of the machine that built it.
const NAME_OF_MACHINE: &str = "    mkdir -p $out/sd-image $out/nix-support\n    \
    read -r name </proc/sys/kernel/hostname\n    echo $name >$out/sd-image/small.img\n    \
    echo \"file sd-image $out/sd-image/small.img\" >$out/nix-support/hydra-build-products";

/// A line in the middle of the private key.
fn secret(machine: &NixMachine) -> String {
    let text = fs::read_to_string(machine.key("key")).unwrap();
    text.lines().nth(2).unwrap().to_owned()
}

#[tokio::test]
async fn what_would_be_emulated_is_built_by_a_remote_builder() {
    needs!(NixMachine::can_run());
    let machine = machine("board").await;
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &product(&fresh(NAME_OF_MACHINE)));
    let line = machine.good_line();
    let built = run(&mut user.build(&["--builders", &line])).assert_exit_code(0);
    assert_eq!(fs::read_to_string(built.image()).unwrap(), "board\n");
    assert!(!built.stderr.contains("Emulation"), "{}", built.stderr);
    let summary = "on this machine with a remote builder";
    assert!(built.stderr.contains(summary), "{}", built.stderr);
    let tried = format!("({})", machine.address());
    assert!(built.stderr.contains(&tried), "{}", built.stderr);
    runs.assert_nothing_left();
    let manifest = built.manifest();
    assert_eq!(manifest["emulation"]["mode"], "builders", "{manifest}");
    let logs = fs::read_dir(user.state.path().join(".local/state/sdbuild/logs")).unwrap();
    let logs = logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap());
    let secret = secret(&machine);
    for text in logs.chain([manifest.to_string(), built.stderr]) {
        assert!(!text.contains(&secret), "{text}");
    }
    let plan = run(&mut user.build(&["--dry-run=plan", "--builders", &line])).assert_exit_code(0);
    let share = "aarch64-linux is built there only";
    assert!(plan.stdout.replace("\n               ", " ").contains(share), "{}", plan.stdout);
}

/// A kernel stands for what requires `big-parallel`: its line lacks it, so it is built here, under emulation.
#[tokio::test]
async fn what_a_remote_builder_does_not_cover_is_emulated_here() {
    needs!(NixMachine::can_run());
    let machine = machine("board").await;
    let user = TestUser::new();
    let runs = user.track_runs();
    let kernel = format!(
        "${{pkgs.runCommand \"kernel-{}\" {{ requiredSystemFeatures = [ \"big-parallel\" ]; }} \
         \"read -r name </proc/sys/kernel/hostname; echo $name >$out\"}}",
        nonce()
    );
    let image = "$out/sd-image/small.img";
    let script = format!("{NAME_OF_MACHINE}\n    read -r name <{kernel}\n    echo $name >>{image}");
    user.write("sd-card.nix", &product(&fresh(&script)));
    // Read from a file, as Nix's own setting is.
    let machines = user.state.path().join("machines");
    let line = machine.good_line().replace(" big-parallel ", " - ");
    fs::write(&machines, format!("# the board\n{line}\n")).unwrap();
    let list = format!("@{}", machines.display());
    let built = run(&mut user.build(&["--builders", &list])).assert_exit_code(0);
    let names = fs::read_to_string(built.image()).unwrap();
    let names: Vec<_> = names.lines().collect();
    assert_eq!(names[0], "board");
    assert_ne!(names[1], "board");
    let notice = "does not offer the feature big-parallel";
    assert!(built.stderr.contains(notice), "{}", built.stderr);
    let manifest = built.manifest();
    assert_eq!(manifest["emulation"]["emulated"], true, "{manifest}");
    assert_ne!(manifest["emulation"]["mode"], "builders", "{manifest}");
    runs.assert_nothing_left();
}

/// Asserts that writes to the pipe that has the log of Nix's process for the remote build wait while it is full.
#[track_caller]
fn assert_no_log_is_dropped(builder: &str) {
    let script = "for process in /proc/[0-9]*; do \
        grep -q [_]_build-remote $process/cmdline && grep flags $process/fdinfo/2; done; true";
    let flags = docker(&["exec", builder, "sh", "-c", script]);
    let octal = flags.trim().strip_prefix("flags:").expect(&flags).trim();
    let flags = i32::from_str_radix(octal, 8).expect(octal);
    assert_eq!(flags & nix::libc::O_NONBLOCK, 0, "{octal}");
}

#[tokio::test]
async fn a_remote_builder_that_dies_in_mid_build_is_one_error() {
    needs!(NixMachine::can_run());
    let machine = machine("board").await;
    let user = TestUser::new().with("SDBUILD_BUILDERS", machine.good_line());
    let runs = user.track_runs();
    let running = Running::in_mid_build(&user, &[]);
    let builder = runs.container("builder");
    assert_eq!(runs.handlers(), [""; 0]);
    let inspected = docker(&["inspect", &builder]);
    assert!(!inspected.contains(&secret(&machine)), "{inspected}");
    let modes = docker(&["exec", &builder, "stat", "--format", "%a", "/run/sdbuild/builder-key-0"]);
    assert_eq!(modes.trim(), "600");
    assert_no_log_is_dropped(&builder);
    machine.kill();
    let outcome = running.finish().assert_exit_code(3).assert_stderr_contains(&[
        "error: a remote builder was lost while it built product: Nix daemon disconnected",
        "hint: run it again when the builder answers",
    ]);
    // With -v the log of Nix is shown before.
    let (_, report) = outcome.stderr.split_once("Clean up").unwrap();
    assert_eq!(report.matches("\nerror: ").count(), 1, "{report}");
    assert_eq!(report.matches("slowest derivations: product").count(), 1, "{report}");
    assert_eq!(user.outputs(), [""; 0]);
    runs.assert_nothing_left();
}

/// A key is made where there is none, and works once its line is there.
fn a_missing_key_is_made(machine: &NixMachine, user: &TestUser) {
    let key = machine.key("key");
    let keyless = machine.good_line().replace(key.to_str().unwrap(), "-");
    let told = run(&mut user.build(&["--builders", &keyless])).assert_exit_code(2);
    let made =
        fs::read_to_string(user.state.path().join(".config/sdbuild/builder-key.pub")).unwrap();
    let text = told.stderr.replace('\n', " ");
    assert!(text.contains("created the key"), "{}", told.stderr);
    let line = made.split(' ').nth(1).unwrap();
    assert!(text.contains(line), "{}", told.stderr);
    let refused = run(&mut user.build(&["--builders", &keyless])).assert_exit_code(3);
    assert!(refused.stderr.contains("Permission denied"), "{}", refused.stderr);
    machine.accept(&made);
    run(&mut user.build(&["--builders", &keyless])).assert_exit_code(0);
}

#[tokio::test]
async fn a_remote_builder_that_cannot_be_used_is_explained() {
    needs!(NixMachine::can_run());
    let machine = machine("board").await;
    let good = machine.good_line();
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
    let stranger = machine.line("aarch64-linux", "key", "stranger");
    let refused = run(&mut user.build(&["--builders", &stranger])).assert_exit_code(3);
    let error = "its host key is not the one that you trust";
    assert!(refused.stderr.contains(error), "{}", refused.stderr);
    assert!(!refused.stderr.contains("Upload"), "nothing was begun\n{}", refused.stderr);
    runs.assert_nothing_left();

    a_missing_key_is_made(&machine, &user);
    let unknown = good.rsplit_once(' ').unwrap().0;
    let refused = run(&mut user.build(&["--builders", unknown])).assert_exit_code(2);
    let hint = "ssh-keyscan -t ed25519 -p 2222";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);

    // ssh tells logins apart by host, port and account.
    let lines = [
        machine.line("aarch64-linux", "stranger", "host").replace(":2222", ":2223"),
        machine.line("aarch64-linux", "untrusted", "host").replace(":2222", ":2224"),
        machine.line("riscv64-linux", "key", "host").replace(":2222", ":2225"),
        good.replace(":2222", ":2226"),
        good,
    ];
    let user = user.with("SDBUILD_BUILDERS", lines.join("\n"));
    let doctor = run(&mut user.sdbuild(&["doctor", "--json"])).assert_exit_code(3);
    let report = doctor.json();
    let checks = report["checks"].as_array().unwrap();
    let checks = checks.iter().filter(|check| check["topic"] == "builder");
    let found: Vec<_> = checks
        .map(|check| [&check["verdict"], &check["text"]].map(|word| word.as_str().unwrap()))
        .collect();
    for (number, (verdict, text)) in [
        ("bad", "Permission denied"),
        ("bad", "does not trust sdbuild"),
        ("bad", "does not build for riscv64-linux"),
        ("bad", "cannot use the builder"),
        ("good", "(aarch64-linux) builds; "),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(found[number][0], verdict, "{found:#?}");
        assert!(found[number][1].contains(text), "{found:#?}");
    }
    runs.assert_nothing_left();
}
