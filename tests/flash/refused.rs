//! What is not written: refused images and disks, disks in use, questions that are not answered with yes.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::card::{Card, MIB, assert_contains, run_output};
use crate::{have, image, map_of, needs, run};

#[test]
fn refused_disk_is_not_changed() {
    needs!(have(&["mkfs.ext4", "zstd", "xz", "gzip"]));
    let Some(card) = Card::new(16 * MIB) else { return };
    let before = card.bytes();
    let bytes = card.image("large.img");
    image(&card.at("a.img"), 2 * MIB, 2, &[(0, 4096)]);
    for pack in ["zstd -q", "xz -k -0", "gzip -k -1"] {
        run(&format!("{pack} large.img"), card.dir.path());
    }
    fs::write(card.at("empty.img"), "").unwrap();
    // As long as its partition.
    fs::write(card.at("bad.img"), &bytes[..3 << 20]).unwrap();
    fs::write(card.at("bad.img.sha256"), format!("{}  bad.img\n", "ab".repeat(32))).unwrap();
    fs::write(card.at("other.img"), &bytes[..8192]).unwrap();
    fs::write(card.at("other.img.bmap"), map_of(&bytes).to_xml()).unwrap();
    fs::write(card.at("torn.img"), &bytes[..8192]).unwrap();
    fs::write(card.at("torn.img.bmap"), &map_of(&bytes[..8192]).to_xml()[..300]).unwrap();
    for (name, words) in [
        (
            "large.img",
            "is too small: it has 17 MB (16777216 bytes), but the image has 25 MB (25165824)",
        ),
        ("large.img.zst", "the image has 25 MB (25165824)"),
        ("large.img.xz", "the image has 25 MB (25165824)"),
        ("large.img.gz", "the image has 25 MB (25165824)"),
        ("empty.img", "the file is empty"),
        ("bad.img", "does not have the hash that bad.img.sha256 states"),
        ("other.img", "is the block map of another image"),
        ("torn.img", "read the block map torn.img.bmap"),
        ("none.img", "there is no such file"),
    ] {
        let (code, text) = card.run_flash(name, &[]);
        assert_eq!(code, Some(2), "{name}: {text}");
        assert_contains(&text, &["(nothing was written)", words]);
        assert_eq!(text.matches("error:").count(), 1, "{text}");
    }
    let (code, text) = run_output(&mut card.flash("a.img", &["--yes", "--raw"]));
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &["is not removable", "--allow-fixed"]);
    assert!(card.bytes() == before);
}

#[test]
fn mounted_card_is_unmounted_only_on_request() {
    needs!(have(&["mkfs.ext4"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    let bytes = card.image("a.img");
    run(&format!("mkfs.ext4 -q -L OLD {}", card.node), card.dir.path());
    fs::create_dir(card.at("point")).unwrap();
    let point = card.at("point").canonicalize().unwrap();
    run(&format!("mount {} {}", card.node, point.display()), card.dir.path());
    let (code, text) = card.run_flash("a.img", &[]);
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &["is mounted at", point.to_str().unwrap(), "--unmount"]);
    // A program uses it.
    let held = fs::File::create(point.join("file")).unwrap();
    let (code, text) = card.run_flash("a.img", &["--unmount"]);
    assert_eq!(code, Some(3), "{text}");
    assert_contains(&text, &["(nothing was written)", "unmount", "busy"]);
    drop(held);
    // As a container that just starts: it has a copy of all mounts for a moment.
    let mut container = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sleep", "1"])
        .spawn()
        .unwrap();
    let name = format!("/proc/{}/comm", container.id());
    while fs::read_to_string(&name).unwrap() != "sleep\n" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let (code, text) = card.run_flash("a.img", &["--unmount"]);
    assert_eq!(code, Some(0), "{text}");
    container.wait().unwrap();
    assert_contains(&text, &["label OLD"]);
    assert!(card.bytes()[..bytes.len()] == bytes[..]);
}

#[test]
fn card_mounted_in_another_namespace_is_in_use() {
    needs!(have(&["unshare", "mkfs.ext4"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("a.img");
    // Without lazy initialization, in which the kernel writes inode tables some seconds after the mount.
    let mkfs = "mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0";
    run(&format!("{mkfs} {}", card.node), card.dir.path());
    let before = card.bytes();
    // Mounted in another mount namespace, for instance that of a container.
    let mut away = Command::new("unshare");
    away.args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg("mount \"$1\" /mnt && echo there && read -r _")
        .args(["sh", &card.node])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut away = away.spawn().unwrap();
    let mut there = [0; 6];
    std::io::Read::read_exact(away.stdout.as_mut().unwrap(), &mut there).unwrap();
    let (code, text) = card.run_flash("a.img", &[]);
    drop(away.stdin.take());
    away.wait().unwrap();
    assert_eq!(code, Some(3), "{text}");
    assert_contains(&text, &["(nothing was written)", "is in use"]);
    // Mounting writes a few bytes itself; none of the image are there.
    assert!(card.bytes()[8 << 20..] == before[8 << 20..]);
}

/// An ISO 9660 file system with an empty root directory.
fn iso9660() -> Vec<u8> {
    const SECTOR: usize = 2048;
    let mut iso = vec![0; 20 * SECTOR];
    let primary = 16 * SECTOR;
    iso[primary..primary + 7].copy_from_slice(b"\x01CD001\x01");
    iso[primary + 80] = 20;
    // The size of a block, and the record of the root directory: its length, its sector, its bytes, its name.
    for (at, value) in [(129, 8), (156, 34), (158, 19), (167, 8), (181, 2), (188, 1)] {
        iso[primary + at] = value;
    }
    iso[17 * SECTOR..17 * SECTOR + 7].copy_from_slice(b"\xffCD001\x01");
    iso
}

/// The recipe was written to the card, with a warning.
#[test]
fn file_without_partition_table_needs_raw() {
    needs!(have(&["mkfs.ext4", "zstd", "addpart"]));
    let Some(card) = Card::new(16 * MIB) else { return };
    let before = card.bytes();
    let recipe = "{ config, pkgs, ... }: { imports = [ ]; }\n".repeat(50);
    fs::write(card.at("sd-card.nix"), &recipe).unwrap();
    run("zstd -q sd-card.nix -o packed.img.zst", card.dir.path());
    fs::File::create(card.at("ext.img")).unwrap().set_len(MIB).unwrap();
    run("mkfs.ext4 -q ext.img", card.dir.path());
    fs::write(card.at("noise.img"), [1; 4096]).unwrap();
    for (name, words) in [
        ("sd-card.nix", "it is a text file, not an image"),
        ("packed.img.zst", "it is a text file, not an image"),
        ("noise.img", "there is no partition table and no known "),
        ("ext.img", "there is no partition table in it"),
    ] {
        let (code, text) = card.run_flash(name, &[]);
        assert_eq!(code, Some(2), "{name}: {text}");
        assert_contains(&text, &["(nothing was written)", words]);
        let is_configuration = name == "sd-card.nix";
        let told = text.contains("that is a configuration; `sdbuild build ");
        assert_eq!(told, is_configuration, "{text}");
        let is_text = words.starts_with("it is a text");
        assert_eq!(text.contains("give --raw"), !is_text, "{text}");
        assert!(card.bytes() == before, "{name}");
    }
    let mut flash = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
    flash.args(["flash", "sd-card.nix", &card.node, "--yes"]);
    let (code, text) = run_output(flash.current_dir(card.dir.path()));
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &["that is a configuration; `sdbuild build "]);
    assert!(!text.contains("--allow-fixed"), "not the disk: {text}");
    let (code, text) = card.run_flash("sd-card.nix", &["--raw"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(card.bytes().starts_with(recipe.as_bytes()));
    // UEFI starts it from a stick without a table.
    let iso = iso9660();
    fs::write(card.at("live.iso"), &iso).unwrap();
    let (code, text) = card.run_flash("live.iso", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(card.bytes().starts_with(&iso));
    run(&format!("addpart {} 1 2048 4096", card.node), card.dir.path());
    let node = format!("{}p1", card.node);
    let mut flash = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
    flash.args(["flash", "live.iso", &node, "--allow-fixed", "--yes"]);
    let (code, text) = run_output(flash.current_dir(card.dir.path()));
    assert_eq!(code, Some(2), "{text}");
    let refusal = format!("it is a partition of {}", card.node);
    assert_contains(&text, &["(nothing was written)", &refusal]);
    assert_eq!(text.matches("error:").count(), 1, "{text}");
}

#[test]
fn user_without_permission_gets_the_whole_command() {
    needs!(have(&["setpriv"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("my card.img");
    run("chmod 755 .", card.dir.path());
    let mut command = Command::new("setpriv");
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    command.args(user).arg(env!("CARGO_BIN_EXE_sdbuild"));
    let words = ["flash", "my card.img", &card.node, "--allow-fixed"];
    let command = command.args(words).current_dir(card.dir.path());
    let (code, text) = run_output(command.env("HOME", card.dir.path()));
    assert_eq!(code, Some(3), "{text}");
    let wanted = format!("/sdbuild flash 'my card.img' {} --allow-fixed", card.node);
    assert_contains(&text, &["this user may not write", "as root: sudo /", &wanted]);
}

#[test]
fn missing_disk_is_said_with_those_that_exist() {
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("a.img");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
    command.args(["flash", "a.img", "/dev/sdzzz", "--yes"]);
    let (code, text) = run_output(command.current_dir(card.dir.path()));
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &["there is no /dev/sdzzz"]);
    // Where the tests run in a container, that is the reason.
    let hints = ["removable disk", "this is a container; run"];
    assert!(hints.iter().any(|hint| text.contains(hint)), "{text}");
}

#[test]
fn a_disk_alone_gets_the_newest_image() {
    let Some(card) = Card::new(32 * MIB) else { return };
    let bytes = card.image("a.img");
    let before = card.bytes();
    let flash = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        command.arg("flash").args(words);
        run_output(command.current_dir(card.dir.path()))
    };
    let (code, text) = flash(&[&card.node, "--yes"]);
    assert_eq!(code, Some(2), "{text}");
    assert_contains(&text, &["a.img", &card.node, "--allow-fixed"]);
    assert_eq!(card.bytes(), before);
    let (code, text) = flash(&[&card.node, "--allow-fixed", "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert_contains(&text, &["the newest image", "a.img"]);
    assert!(card.bytes().starts_with(&bytes));
}

#[test]
fn only_yes_confirms() {
    needs!(have(&["script"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    let bytes = card.image("a.img");
    let before = card.bytes();
    let sdbuild = env!("CARGO_BIN_EXE_sdbuild");
    let command = format!("{sdbuild} flash a.img {} --allow-fixed", card.node);
    for (answer, written) in [("n\n", false), ("\n", false), ("yes\n", true)] {
        // `script` provides a terminal.
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        let script = script.current_dir(card.dir.path()).stdin(Stdio::piped());
        let mut child = script.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = if written { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert_contains(&text, &[&card.node, "no partitions", "All of this will be lost", "[y/N]"]);
        let now = card.bytes();
        if written {
            assert_contains(&text, &["is written and verified: you can take the card out"]);
            assert!(now[..bytes.len()] == bytes[..]);
        } else {
            assert_contains(&text, &["nothing was written: the answer was no"]);
            assert!(!text.contains("error"), "no is no error: {text}");
            assert!(now == before, "{answer:?}");
        }
    }
}

/// What cannot be put there is told before anything is written, and before an engine is asked.
#[test]
fn a_refused_file_leaves_the_card_as_it_is() {
    needs!(have(&["zstd"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("a.img");
    run("zstd -q a.img", card.dir.path());
    fs::write(card.at("secret"), "secret").unwrap();
    let before = card.bytes();
    for image in ["a.img", "a.img.zst"] {
        for (path, words) in [
            ("/srv/secret", "the image has no NixOS that starts from an ext4 partition"),
            ("/nix/store/secret", "everybody can read it"),
        ] {
            let mut flash = card.flash(image, &["--allow-fixed", "--yes"]);
            flash.args(["--put", &format!("secret:{path}")]).env("DOCKER_HOST", "unix:///nowhere");
            let (code, text) = run_output(&mut flash);
            assert_eq!(code, Some(2), "{image}: {text}");
            assert_contains(&text, &[path, words, "(nothing was written)"]);
        }
    }
    assert!(card.bytes() == before);
}
