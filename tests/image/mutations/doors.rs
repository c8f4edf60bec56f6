//! Texts that others may have made: each door reads what is made of sound examples by copying, cutting and repeating pieces.

use sdbuild::settings::{Build, BuildArgs, ConfigArgs};
use sdbuild_core::compression::Compression;
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::plain_tar::plain_entries;
use sdbuild_core::redact::{hide_private_keys, redacted};

use sdbuild_image::blockmap::BlockMap;
use sdbuild_image::board::BOARDS;
use sdbuild_image::seed::{Seed, SeedPaths};
use sdbuild_image::sidecars::{compare_checksum, compare_manifest};
use sdbuild_image::{ImageFacts, ineffective_overlays};
use sdbuild_nix::flake_lock::{Lock, lock_changes, problem};
use sdbuild_nix::log::{Log, clean};
use sdbuild_nix::reports::{EntryReport, flake_report, image_choice};
use sdbuild_nix::{check, ignore_rules};

use super::*;
use crate::door::{enter, fix_tar};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn lines_of_nix_are_read_to_an_end() {
    let examples = [
        r#"@nix {"action":"start","id":1,"level":3,"parent":0,"text":"building","type":105,"fields":["/nix/store/a-b.drv","ssh://m",1,1]}
@nix {"action":"result","id":1,"type":101,"fields":["a line https://u:p@h/x?token=a"]}
@nix {"action":"result","id":1,"type":105,"fields":[1,2,3,4]}
@nix {"action":"stop","id":1}
"#,
        r#"@nix {"action":"msg","level":0,"msg":"error: x","raw_msg":"x","file":"/a:1:2","line":1,"column":2}
@nix {"action":"msg","level":1,"msg":"trace: sdbuild-facts: {}"}
these 2 paths will be fetched (1.25 MiB download, 5.00 MiB unpacked):
sdbuild: to emulate: 3
sdbuild: step: fs.img.drv bytes 5 9
"#,
    ];
    enter(&examples.map(str::as_bytes), |_, bytes| {
        let mut log = Log::default();
        for line in text(bytes).lines() {
            if !check::is_trace(line)
                && image_choice(line).is_none()
                && flake_report(line).is_none()
            {
                std::hint::black_box((EntryReport::parse(line), log.line(line), log.take_error()));
            }
        }
        let text = clean(&text(bytes));
        drop((redacted(&text), hide_private_keys(&text), hide_secrets(&text)));
    });
}

#[test]
fn locks_of_flakes_are_read_to_an_end() {
    let example = r#"{"nodes":{"root":{"inputs":{"a":"a","b":["a","b"]}},"a":{"inputs":{"b":"b"},
"locked":{"type":"git","url":"file:///x","rev":"0123456789012345678901234567890123456789","lastModified":1},
"original":{"type":"git","url":"file:///x"}},"b":{"flake":false,"locked":{"path":"/x","type":"path"}}},"root":"root","version":7}"#;
    enter(&[example.as_bytes()], |_, bytes| {
        let text = text(bytes);
        drop(problem(&text));
        drop(lock_changes(Some(example), &text));
        if let Some(lock) = Lock::parse(&text) {
            std::hint::black_box((lock.inputs(&["a"]), lock.missing_node(), lock.input("a/b/c")));
        }
    });
}

#[test]
fn files_beside_an_image_are_read_to_an_end() {
    let hash = "ab".repeat(32);
    let manifest = format!(
        r#"{{"version":1,"system":"aarch64-linux","image":{{"size":1,"sha256":"{hash}"}},"raw":{{"size":1,"sha256":"{hash}"}},"result":{{"store_path":"/nix/store/x"}}}}"#
    );
    let sums = format!("{hash}  a.img\n");
    let facts = ImageFacts {
        compression: Compression::None,
        size: 1,
        sha256: None,
        raw_size: 1,
        raw_sha256: None,
    };
    enter(&[manifest.as_bytes(), sums.as_bytes()], |dir, bytes| {
        let image = dir.join("a.img");
        fs::write(dir.join("a.img.json"), bytes).unwrap();
        fs::write(dir.join("a.img.sha256"), bytes).unwrap();
        drop((compare_checksum(&image, &facts), compare_manifest(&image, &facts)));
    });
}

#[test]
fn block_maps_are_read_to_an_end() {
    let mut builder = sdbuild_image::blockmap::Builder::new();
    builder.push(&noise(9000));
    builder.blank(1 << 20);
    builder.push(&noise(9000));
    let map = builder.finish().to_xml();
    let without_checksum = map.replace("sha256", "md5");
    enter(&[map.as_bytes(), without_checksum.as_bytes()], |_, bytes| {
        drop(BlockMap::parse(&text(bytes)));
    });
}

#[test]
fn ignore_rules_are_read_to_an_end() {
    let examples = ["*.img\n!/keep\n/dir/**\n# comment\n[a-z]?\\ x\n", "{a,b}*/**/c\n[!a]\n"];
    enter(&examples.map(str::as_bytes), |dir, bytes| {
        fs::create_dir_all(dir.join("sub")).unwrap();
        fs::write(dir.join("sub/file"), "").unwrap();
        fs::write(dir.join(ignore_rules::OWN_IGNORE_FILE), bytes).unwrap();
        if let Ok(walk) = ignore_rules::walk(dir, false) {
            assert!(walk.count() <= 4);
        }
    });
}

#[test]
fn settings_of_a_project_are_read_to_an_end() {
    let examples = [
        "jobs = 3\nsubstituters = ['https://c.example']\n",
        "flake = './sub#pi'\ngit-inputs = ['a']\nformat = 'sd-card'\n",
    ];
    enter(&examples.map(str::as_bytes), |dir, bytes| {
        fs::write(dir.join("sd-card.nix"), "{ }").unwrap();
        fs::write(dir.join("sdbuild.toml"), bytes).unwrap();
        let args = BuildArgs {
            config: ConfigArgs { config: Some(dir.join("sd-card.nix")), ..ConfigArgs::default() },
            ..BuildArgs::default()
        };
        let env = [("HOME", dir)].into_iter().collect();
        drop(Build::resolve(&args, &env));
    });
}

#[test]
fn archives_are_read_to_an_end() {
    let mut builder = tar::Builder::new(Vec::new());
    for name in ["a", &"long/".repeat(40)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        builder.append_data(&mut header, name, &b"abc"[..]).unwrap();
    }
    let archive = builder.into_inner().unwrap();
    enter(&[&archive], |_, bytes| {
        let mut bytes = bytes.to_vec();
        fix_tar(&mut bytes);
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in plain_entries(archive.entries().unwrap()) {
            let Ok(mut entry) = entry else { break };
            drop(std::io::copy(&mut entry.entry, &mut std::io::sink()));
        }
    });
}

/// A volume with FAT, and where in it the contents of its files are.
struct Fat {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Fat {
    const FILE_BYTES: usize = 4 << 10;

    /// A volume with files of these names.
    fn new(label: &str, names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mark = [b'#'; Self::FILE_BYTES];
        blank(&dir.path().join("fat"), 64 << 10);
        fs::write(dir.path().join("file"), mark).unwrap();
        run(&format!("mkfs.vfat -F 12 -s 1 -n {label} fat"), dir.path());
        for name in names {
            let command = if name.ends_with('/') { "mmd -i fat" } else { "mcopy -i fat file" };
            run(&format!("{command} ::/{}", name.trim_end_matches('/')), dir.path());
        }
        let bytes = fs::read(dir.path().join("fat")).unwrap();
        let (mut places, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let is_file = bytes[at..].starts_with(&mark);
            places.extend(is_file.then_some(at));
            at += if is_file { Self::FILE_BYTES } else { 512 };
        }
        assert_eq!(places.len(), names.iter().filter(|name| !name.ends_with('/')).count());
        Self { bytes, places }
    }

    /// The volume with files that say `text`.
    fn with(&self, text: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for at in &self.places {
            let file = &mut bytes[*at..at + Self::FILE_BYTES];
            file.fill(b'\n');
            file.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        }
        bytes
    }
}

#[test]
fn what_boot_loaders_read_is_read_to_an_end() {
    const FILES: [&str; 11] = [
        "config.txt",
        "cmdline.txt",
        "more.txt",
        "extlinux/",
        "extlinux/extlinux.conf",
        "loader/",
        "loader/loader.conf",
        "loader/entries/",
        "loader/entries/a.conf",
        "kernel8.img",
        "start4.elf",
    ];
    needs!(have(&IMAGE_TOOLS));
    let volume = Fat::new("FIRMWARE", &FILES);
    let board = BOARDS.into_iter().find(|board| board.0.name == "rpi4").unwrap();
    let examples = [
        "[pi4]\narm_64bit=1\nkernel=kernel8.img\ninclude more.txt\ninclude config.txt\ndtoverlay=a,b=c\ninitramfs i followkernel\nos_prefix=a/\n",
        CONF,
        "default a.conf\noptions init=/nix/store/a/init root=LABEL=x\n",
    ];
    enter(&examples.map(str::as_bytes), |dir, bytes| {
        let (path, image) = (dir.join("a.img"), volume.with(bytes));
        fs::write(&path, &image).unwrap();
        let layout = Layout::read(&section(image)).unwrap();
        drop(BootReport::find(&layout.volumes));
        drop(ineffective_overlays(&text(bytes), board.0.raspberry_pi().unwrap()));
        // All that the firmware of a board reads takes ten times as long.
        if bytes.len() % 50 > 0 && !examples.contains(&text(bytes).as_str()) {
            return;
        }
        let file = fs::File::open(path).unwrap();
        let start = sdbuild_image::pi_start(file, board.0, dir, &Cancel::new());
        assert!(start.is_ok() || !examples.contains(&text(bytes).as_str()));
    });
}

#[test]
fn seeds_are_read_to_an_end() {
    needs!(have(&IMAGE_TOOLS));
    let volume = Fat::new("CIDATA", &["user-data"]);
    let examples = [
        "#cloud-config\nusers:\n- default\n- {name: a, ssh_authorized_keys: [k]}\nhostname: a\nruncmd: [[a, b], c]\n",
        "#cloud-config\na: &a {b: 1}\nc:\n  <<: *a\nwrite_files:\n- path: /a\n  content: |\n    b\n",
        "version: 2\nethernets: {a: {dhcp4: true}}\n",
    ];
    enter(&examples.map(str::as_bytes), |dir, bytes| {
        let [text, disk] = ["text", "disk"].map(|name| dir.join(name));
        fs::write(&text, bytes).unwrap();
        fs::write(&disk, volume.with(bytes)).unwrap();
        let paths = SeedPaths {
            user_data: &text,
            meta_data: Some(&text),
            network_config: Some(&text),
            vendor_data: Some(&text),
            host_name: None,
        };
        drop(Seed::make(&paths));
        let seed = sdbuild_image::seed::read(&disk);
        assert!(seed.is_ok() || bytes != examples[0].as_bytes());
    });
}
