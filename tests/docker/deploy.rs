//! Boards that run, and are changed by `sdbuild deploy`.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::board::{Board, card_with_nix, disk_with, generations};
use crate::support::*;

#[test]
fn a_board_runs_what_was_deployed_and_returns_on_request() {
    needs!(engine_ready(), boot_available());
    let board = Board::start();
    let runs = board.user.track_runs();
    let first = board.running();
    let file = board.write("second", "");
    let shown = run(&mut board.deploy(&file, &["--dry-run"])).assert_exit_code(0);
    assert!(shown.stderr.contains("to copy: "), "{}", shown.stderr);
    assert!(!board.machine.run("ls /nix/store").contains("-nixos-system-second-"));
    let refused = run(&mut board.deploy(&file, &[])).assert_exit_code(2);
    assert!(refused.stderr.contains("was not changed"), "{}", refused.stderr);
    assert_eq!(board.running(), first);

    run(&mut board.deploy(&file, &["--yes"])).assert_exit_code(0);
    assert_eq!(board.machine.run("hostname"), "second\n");
    assert_eq!(generations(&board.machine), ["1", "2*"]);
    let second = board.running();
    assert_eq!(board.machine.run("readlink -f /nix/var/nix/profiles/system"), second);
    board.machine.run("nix-store --verify --check-contents");
    board.assert_nothing_left();

    // Without an address, to the same board.
    let mini = mini_nixpkgs();
    let words = ["deploy", &file, "--nixpkgs", mini.to_str().unwrap(), "--yes"];
    let again = run(&mut board.user.sdbuild(&words)).assert_exit_code(0);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    let status = run(&mut board.user.sdbuild(&["status"])).assert_exit_code(0).stdout;
    assert!(status.contains(&format!("deployed to {}", board.address())), "{status}");
    let listed = run(&mut board.manage(&["--list"])).assert_exit_code(0).stdout;
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[1].ends_with("(runs, starts next)"), "{listed}");

    run(&mut board.manage(&["--rollback", "--yes"])).assert_exit_code(0);
    assert_eq!(board.running(), first);
    assert_eq!(generations(&board.machine), ["1*", "2"]);
    run(&mut board.manage(&["--collect", "--yes"])).assert_exit_code(0);
    assert_eq!(generations(&board.machine), ["1*"]);
    assert!(!board.machine.run("ls /nix/store").contains("-nixos-system-second-"));
    board.assert_nothing_left();
    runs.assert_nothing_left();
}

#[test]
fn a_board_returns_from_a_system_that_fails_or_lets_nobody_in() {
    needs!(engine_ready(), boot_available());
    let board = Board::start();
    let first = board.running();
    let fails = "  system.activationScripts.broken = \"echo this is broken; exit 3\";\n";
    let file = board.write("fails", fails);
    let failed = run(&mut board.deploy(&file, &["--yes"])).assert_exit_code(7);
    assert!(failed.stderr.contains("this is broken"), "{}", failed.stderr);
    assert!(failed.stderr.contains("runs its old system again"), "{}", failed.stderr);
    assert_eq!(
        (board.running(), board.machine.run("hostname")),
        (first.clone(), "first\n".to_owned())
    );
    board.assert_nothing_left();

    let file = board.write("silent", "");
    let text = fs::read_to_string(board.user.home.path().join(&file)).unwrap();
    let text =
        text.replacen("services.openssh.enable = true", "services.openssh.enable = false", 1);
    board.user.write(&file, &text);
    let begin = Instant::now();
    let returned = run(&mut board.deploy(&file, &["--yes"])).assert_exit_code(7);
    assert!(returned.stderr.contains("no new connection confirmed"), "{}", returned.stderr);
    assert!(begin.elapsed() < Duration::from_mins(10), "{:?}", begin.elapsed());
    assert_eq!((board.running(), generations(&board.machine)), (first, vec!["1*".to_owned()]));
    board.assert_nothing_left();
}

/// The program is Debian's sudo.
#[test]
fn an_account_becomes_root_by_sudo_with_and_without_a_password() {
    needs!(engine_ready(), boot_available());
    let board = Board::start_from(|user| {
        let (key, public) = key(user);
        let account = format!(
            "  security.sudo.package = pkgs.sudo;\n  users.users.ann = {{\n    isNormalUser = true;\n    extraGroups = [ \"wheel\" ];\n    \
             password = \"right\";\n    openssh.authorizedKeys.keys = [ \"{public}\" ];\n  }};\n"
        );
        (disk_with(user, &key, &account), key)
    });
    let first = board.running();
    let by_account = |file: &str| {
        let address = format!("ssh://ann@127.0.0.1:{}", board.port);
        let words = ["deploy", "--no-substitute", "--yes", file, &address];
        let mut command = board.user.sdbuild(&words);
        command.arg("--nixpkgs").arg(mini_nixpkgs());
        command
    };
    let file = board.write("second", "  security.sudo.wheelNeedsPassword = false;\n");
    let unasked = run(&mut by_account(&file)).assert_exit_code(2);
    assert!(unasked.stderr.contains("no terminal"), "{}", unasked.stderr);
    for (passwords, code) in [(&["wrong", "nope", "wrong"][..], 2), (&["wrong", "right"], 0)] {
        assert_eq!(board.running(), first);
        let mut screen = Screen::start(&by_account(&file), (160, 40));
        for (number, password) in passwords.iter().enumerate() {
            screen.wait_until("the question", |text| {
                let answers: Vec<_> = text.split("does not take this password").collect();
                answers.len() == number + 1 && answers[number].contains("Password of sudo")
            });
            screen.type_keys(&format!("{password}\n"));
        }
        // A machine beside other tests takes minutes.
        let ended = screen.wait_within(Duration::from_mins(10));
        let seen = String::from_utf8_lossy(&screen.all()).into_owned();
        assert_eq!(ended.code(), Some(code), "{seen}");
        assert!(passwords.iter().all(|password| !seen.contains(password)), "{seen}");
        board.assert_nothing_left();
    }
    assert_eq!(board.machine.run("hostname"), "second\n");

    let file = board.write("third", "  security.sudo.wheelNeedsPassword = false;\n");
    run(&mut by_account(&file)).assert_exit_code(0);
    assert_eq!(board.machine.run("hostname"), "third\n");
    board.assert_nothing_left();
}

/// Nobody confirms: the machine returns by itself. Without power in between, it starts the old system.
#[test]
fn a_board_whose_deployment_is_killed_runs_the_old_system() {
    needs!(engine_ready(), boot_available());
    let board = Board::start();
    let first = board.running();
    // The activation takes as long as it takes to kill what waits for it.
    let slow = "  system.activationScripts.slow = \"echo slowly; sleep 20\";\n";
    let file = board.write("slow", slow);
    let mut deploying = Running::start(&mut board.deploy(&file, &["--yes"]));
    deploying.wait_for("would activate");
    wait_until(&board, "activating");
    deploying.signal(Signal::SIGKILL);
    drop(deploying);
    let second = run(&mut board.deploy(&file, &["--yes"])).assert_exit_code(2);
    assert!(second.stderr.contains("has not ended"), "{}", second.stderr);
    let begin = Instant::now();
    while board.running() != first
        || board.machine.run("cat /run/sdbuild-deploy/state") != "returned unconfirmed\n"
    {
        assert!(begin.elapsed() < Duration::from_mins(5), "{}", board.running());
        std::thread::sleep(Duration::from_secs(1));
    }

    let mut deploying = Running::start(&mut board.deploy(&file, &["--yes"]));
    deploying.wait_for("would activate");
    wait_until(&board, "activating");
    let Board { user, machine, disk, port } = board;
    let mut machine = machine.cut_power(&disk);
    machine.wait_for("first");
    let board = Board { user, machine, disk, port };
    deploying.finish().assert_exit_code(7);
    assert_eq!(board.running(), first);
    assert_eq!(generations(&board.machine), ["1*"]);

    run(&mut board.deploy(&file, &["--boot", "--reboot", "--yes"])).assert_exit_code(0);
    assert_eq!(board.machine.run("hostname"), "slow\n");
    assert_eq!(generations(&board.machine), ["1", "2*"]);
    board.assert_nothing_left();
}

/// U-Boot and the settings of the firmware change, in a configuration whose system stays the same.
#[test]
fn a_board_gets_the_firmware_of_its_configuration_on_request() {
    needs!(engine_ready(), boot_available());
    let board = Board::start_from(card_with_nix);
    let runs = board.user.track_runs();
    let first = board.running();
    let there = |command: &str| {
        let (before, after) =
            ("mkdir -p /mnt && mount LABEL=FIRMWARE /mnt && cd /mnt", "cd / && umount /mnt");
        board.machine.run(&format!("{before} && {command} && {after}"))
    };
    let hashes = || there("find . -type f -exec sha256sum {} +");
    let old = hashes();
    let firmware = "  sdImage.populateFirmwareCommands = lib.mkAfter ''\n    chmod u+w firmware/*\n    \
                    echo dtparam=i2c_arm=on >>firmware/config.txt\n    echo more >>firmware/u-boot.bin\n    \
                    mkdir firmware/overlays\n    echo new >firmware/overlays/new.dtbo\n  '';\n";
    let file = board.write("first", firmware);

    let told = run(&mut board.deploy(&file, &["--yes"])).assert_exit_code(0);
    told.assert_stderr_contains(&[
        "the firmware differs (--firmware replaces it): overlays/new.dtbo, u-boot.bin, config.txt",
        "already",
    ]);
    there(
        "df -Pk . | awk 'END { print $4 - 600 }' | xargs -I N dd if=/dev/zero of=fill bs=1k count=N",
    );
    let full = run(&mut board.deploy(&file, &["--firmware", "--yes"])).assert_exit_code(3);
    full.assert_stderr_contains(&["firmware partition", "u-boot.bin"]);
    there("rm fill");
    assert_eq!(hashes(), old);

    run(&mut board.deploy(&file, &["--firmware", "--yes"])).assert_exit_code(0);
    assert_ne!(hashes(), old);
    let again = run(&mut board.deploy(&file, &["--firmware", "--yes"])).assert_exit_code(0);
    let again = again.assert_stderr_contains(&["already"]);
    assert!(!again.stderr.contains("differs"), "{}", again.stderr);
    assert_eq!(
        (board.running(), generations(&board.machine)),
        (first.clone(), vec!["1*".to_owned()])
    );
    board.assert_nothing_left();

    // As a board does: U-Boot comes from its card.
    board.machine.run("sync");
    let Board { user, mut machine, disk, port } = board;
    let card = user.state.path().join("card.img");
    let mut convert = std::process::Command::new("qemu-img");
    convert.args(["convert", "-U", "-O", "raw"]).args([&disk, &card]);
    run(&mut convert).assert_exit_code(0);
    let partition = format!("{}@@8M", card.display());
    let read = |name: &str| {
        let to = user.state.path().join("read");
        let mut copy = std::process::Command::new("mcopy");
        copy.args(["-n", "-i", &partition, &format!("::{name}")]).arg(&to);
        run(&mut copy).assert_exit_code(0);
        (fs::read(&to).unwrap(), to)
    };
    assert!(read("config.txt").0.ends_with(b"enable_uart=1\ndtparam=i2c_arm=on\n"));
    assert_eq!(read("overlays/new.dtbo").0, b"new\n");
    let (u_boot, file) = read("u-boot.bin");
    assert!(u_boot.ends_with(b"more\n") && u_boot.len() > 500_000, "{}", u_boot.len());
    machine.u_boot = file;
    let mut machine = machine.cut_power(&disk);
    machine.wait_for("first");
    let board = Board { user, machine, disk, port };
    assert_eq!(board.running(), first);
    runs.assert_nothing_left();
}

/// Waits until the deployment on the machine is in this state.
#[track_caller]
fn wait_until(board: &Board, state: &str) {
    let begin = Instant::now();
    let read = || run(&mut board.machine.ssh("cat /run/sdbuild-deploy/state")).stdout;
    while read().trim_end() != state {
        assert!(begin.elapsed() < Duration::from_mins(2), "not {state}: {}", read());
    }
}
