//! `sdbuild inspect`: its lines, its JSON, its exit codes.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::*;
use crate::user;

/// An ext4 without a partition table, made of `tree`; `None` where mkfs.ext4 is missing.
fn ext4(user: &TestUser, fill: impl Fn(&Path)) -> Option<()> {
    let tree = user.state.path().join("tree");
    fs::create_dir_all(&tree).unwrap();
    fill(&tree);
    let image = user.home.path().join("a.img");
    fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-b", "1024", "-L", "ROOT", "-d"]).arg(&tree).arg(&image);
    let path = std::env::var("PATH").unwrap_or_default();
    mkfs.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    match mkfs.output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(())
        }
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "mkfs.ext4: {e}");
            eprintln!("SKIPPED: no mkfs.ext4; run scripts/setup --test");
            None
        }
    }
}

fn inspect(user: &TestUser, words: &[&str]) -> Outcome {
    run(&mut user.sdbuild(&[&["inspect"], words].concat()))
}

const WILD: &str = "wild\u{1b}]0;title\u{7}\nname";

#[test]
fn an_image_in_lines_and_as_json() {
    let user = user();
    let Some(()) = ext4(&user, |tree| {
        fs::create_dir(tree.join("etc")).unwrap();
        fs::write(tree.join("etc/hostname"), "berry\u{1b}[2J\n").unwrap();
    }) else {
        return;
    };
    let lines = inspect(&user, &["a.img"]).assert_exit_code(0);
    let hash = Command::new("sha256sum").arg(user.home.path().join("a.img")).output();
    let hash = String::from_utf8(hash.unwrap().stdout).unwrap()[..64].to_owned();
    for part in [
        "image         a.img: 4.2 MB, not compressed\n",
        &format!("sha256        {hash}\n"),
        "ext4, label ROOT, UUID ",
        "boot loader   none found\n",
        "host name     berry\\u{1b}[2J\n",
    ] {
        assert!(lines.stdout.contains(part), "`{part}` is not in:\n{}", lines.stdout);
    }
    let json = inspect(&user, &["a.img", "--json", "--quiet"]).assert_exit_code(0);
    assert_eq!(json.stderr, "");
    let json = json.json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["sha256"], hash);
    assert_eq!(json["raw"]["size"], 4 << 20);
    assert_eq!(json["table"]["kind"], "none");
    assert_eq!(json["partitions"][0]["number"], 0);
    assert_eq!(json["partitions"][0]["file_system"]["kind"], "ext4");
    assert_eq!(json["boot"]["system"]["host_name"], "berry\u{1b}[2J");
    assert_eq!(json["problems"], Value::Array(Vec::new()));
}

#[test]
fn files_and_directories_are_shown() {
    let user = user();
    let content: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let Some(()) = ext4(&user, |tree| {
        fs::write(tree.join("file"), &content).unwrap();
        fs::write(tree.join(WILD), "").unwrap();
        std::os::unix::fs::symlink("file", tree.join("link")).unwrap();
    }) else {
        return;
    };
    let listed = inspect(&user, &["a.img", "ls", "/"]).assert_exit_code(0);
    assert_eq!(
        listed.stdout,
        "-      1000000 file\n\
         l            4 link -> file\n\
         d        12288 lost+found\n\
         -            0 wild\\u{1b}]0;title\\u{7}\u{fffd}name\n"
    );
    assert_eq!(listed.stderr, "");
    // Which partition `/` is of was a guess; without a path it was an error.
    let roots = inspect(&user, &["a.img", "ls"]).assert_exit_code(0);
    let (whose, entries) = roots.stdout.split_once('\n').unwrap();
    assert_eq!(whose, "0:/ (ext4, label ROOT):");
    assert_eq!(entries, listed.stdout);
    let json = inspect(&user, &["a.img", "ls", "--json"]).assert_exit_code(0);
    let json = json.json();
    assert_eq!(json["roots"][0]["partition"], 0);
    assert_eq!(json["roots"][0]["entries"][0]["name"], "file");
    let json = inspect(&user, &["a.img", "ls", "0:/", "--json"]).assert_exit_code(0).json();
    assert_eq!(json["entries"][1]["target"], "file");
    assert_eq!(json["entries"][3]["name"], WILD);
    let cat = user.sdbuild(&["inspect", "a.img", "cat", "/link"]).output().unwrap();
    assert!(cat.status.success() && cat.stdout == content);
    inspect(&user, &["a.img", "cat", "/none"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["a.img: no file system on it has /none"]);
    inspect(&user, &["a.img", "cat", "0:/none"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["there is no /none"]);
    inspect(&user, &["a.img", "ls", "7:/"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["there is no partition 7"]);
    inspect(&user, &["a.img", "cat", "/lost+found"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["/lost+found is not a regular file"]);
    // Whoever reads closes early.
    let mut child = user.sdbuild(&["inspect", "a.img", "cat", "/file"]);
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_manifest_beside_the_image_is_compared() {
    let user = user();
    let Some(()) = ext4(&user, |_| {}) else { return };
    let report = inspect(&user, &["a.img", "--json"]).assert_exit_code(0).json();
    assert_eq!(report["manifest"], Value::Null);
    let manifest = |sha256: &Value, size: u64| {
        let raw = serde_json::json!({ "size": report["raw"]["size"], "sha256": report["sha256"] });
        let image = serde_json::json!({ "size": size, "sha256": sha256 });
        serde_json::json!({ "version": 1, "image": image, "raw": raw, "more": 1 }).to_string()
    };
    let size = report["size"].as_u64().unwrap();
    user.write("a.img.json", &manifest(&report["sha256"], size));
    let outcome = inspect(&user, &["a.img"]).assert_exit_code(0);
    let row = "manifest      the same image as in a.img.json";
    assert!(outcome.stdout.contains(row), "{}", outcome.stdout);

    user.write("a.img.json", &manifest(&"0".repeat(64).into(), size + 1));
    inspect(&user, &["a.img"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["a.img.json belongs to another image: size, sha256 differ\n"]);
    let json = inspect(&user, &["a.img", "--json"]).assert_exit_code(2).json();
    let wrong = &json["manifest"]["mismatches"];
    assert_eq!(*wrong, serde_json::json!(["size", "sha256"]));

    for (text, words) in [
        ("{", "a.img.json is not a manifest"),
        ("{\"version\":2}", "a manifest of version 2, not 1"),
        ("\u{1}", "a.img.json is not a manifest"),
    ] {
        user.write("a.img.json", text);
        let outcome =
            inspect(&user, &["a.img"]).assert_exit_code(2).assert_stderr_contains(&[words]);
        assert!(outcome.stdout.contains("label ROOT"), "{}", outcome.stdout);
    }
}

#[test]
fn truncated_image_is_reported_as_far_as_it_goes() {
    let user = user();
    let Some(()) = ext4(&user, |_| {}) else { return };
    let image = user.home.path().join("a.img");
    let mut bytes = vec![0; 1 << 20];
    bytes[450] = 0x83;
    bytes[454..462].copy_from_slice(&[0, 8, 0, 0, 0, 0x20, 0, 0]);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes.extend(fs::read(&image).unwrap());
    fs::write(&image, &bytes).unwrap();
    inspect(&user, &["a.img"]).assert_exit_code(0);
    fs::write(&image, &bytes[..3 << 20]).unwrap();
    let outcome = inspect(&user, &["a.img"]).assert_exit_code(2);
    assert!(outcome.stdout.contains("label ROOT"), "{}", outcome.stdout);
    outcome.assert_stderr_contains(&[
        "error: a.img: partition 1 ends at byte 5242880, beyond the end of the image at 3145728",
    ]);
}

#[test]
fn a_signal_ends_the_reading_of_a_large_image_at_once() {
    let user = user();
    let image = fs::File::create(user.home.path().join("large.img")).unwrap();
    image.set_len(1 << 40).unwrap();
    let packed = zstd::encode_all(std::io::repeat(0).take(64 << 20), 1).unwrap();
    fs::write(user.home.path().join("packed.img.zst"), packed.repeat(1000)).unwrap();
    for name in ["large.img", "packed.img.zst"] {
        let running = Running::start(&mut user.sdbuild(&["inspect", name]));
        std::thread::sleep(Duration::from_secs(1));
        assert!(!running.is_ended(), "{name} takes minutes");
        let start = Instant::now();
        running.signal(Signal::SIGINT);
        let outcome = running.finish();
        assert_eq!(outcome.signal, Some(Signal::SIGINT as i32), "{}", outcome.stderr);
        assert!(start.elapsed() < Duration::from_secs(1), "{name}: {:?}", start.elapsed());
    }
}

/// The list of images in it is 411 MB long, in a file of a few kilobytes.
#[test]
fn a_packed_container_image_takes_little_memory() {
    let user = user();
    let file = fs::File::create(user.home.path().join("a.tar.zst")).unwrap();
    let mut archive = tar::Builder::new(zstd::Encoder::new(file, 1).unwrap());
    let lists = [("oci-layout", 100), ("index.json", 411 << 20), ("manifest.json", 411 << 20)];
    for (name, size) in lists {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        archive.append_data(&mut header, name, std::io::repeat(b'[').take(size)).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    let inspect = user.sdbuild(&["inspect", "a.tar.zst"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -d 204800; exec \"$0\" \"$@\""]);
    limited.arg(inspect.get_program()).args(inspect.get_args());
    limited.current_dir(inspect.get_current_dir().unwrap());
    limited.env_clear().envs(inspect.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let outcome = run(&mut limited);
    assert!(
        outcome.code.is_some_and(|code| code < 100),
        "{:?}\n{}",
        outcome.signal,
        outcome.stderr
    );
}
