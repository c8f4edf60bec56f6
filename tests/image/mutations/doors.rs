//! Texts that others may have made: each door reads what is made of sound examples by copying, cutting and repeating pieces.

use std::path::Path;

use sdbuild::settings::{Build, BuildArgs, ConfigArgs};
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::plain_tar::plain_entries;
use sdbuild_core::redact::{hide_private_keys, redacted};
use sdbuild_image::blockmap::BlockMap;
use sdbuild_image::sidecars::{expected_hash, read_manifest};
use sdbuild_nix::flake_lock::{Lock, lock_changes, problem};
use sdbuild_nix::log::{Log, clean};
use sdbuild_nix::reports::{EntryReport, flake_report, image_choice};
use sdbuild_nix::{check, ignore_rules};

use super::*;

/// Bytes of the longest text that is made; some readers refuse one that long.
const MAX_BYTES: usize = 5 << 20;
/// Pieces of the languages of all doors.
const PIECES: [&str; 20] = [
    "{",
    "[",
    "\"",
    "'",
    "\\",
    "\n",
    "*",
    "[!a]",
    "{a,b}",
    "**/",
    "=",
    "<a>",
    "&",
    "\0",
    "é",
    "\u{202e}",
    "PRIVATE KEY-----",
    "://u:p@",
    "?a=",
    "@nix {\"action\":\"start\",\"id\":1,\"type\":105,\"fields\":[\"/nix/store/a.drv\"]}\n",
];

/// One of `examples` with some pieces changed. Few are long: reading these takes most of the time.
fn mutated(examples: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = examples[random.usize(..examples.len())].clone();
    let most = if random.usize(..100) == 0 { MAX_BYTES } else { 20_000 };
    for _ in 0..random.usize(1..6) {
        let start = random.usize(..=bytes.len());
        let end = (start + random.usize(..200)).min(bytes.len());
        let piece = match random.usize(..7) {
            0 => Vec::new(),
            1 | 2 => bytes[start..end].repeat(1 << random.usize(..18)),
            3 => PIECES[random.usize(..PIECES.len())].repeat(1 << random.usize(..18)).into_bytes(),
            4 => examples[random.usize(..examples.len())].clone(),
            5 => ["0", "-1", "65536", "18446744073709551615", "1e999"][random.usize(..5)].into(),
            _ => vec![random.u8(..)],
        };
        let room = most.saturating_sub(bytes.len());
        bytes.splice(start..end, piece.into_iter().take(room));
    }
    bytes
}

/// Has `read` read [`cases`] of changed `examples`, in a directory of its own.
fn enter(name: &str, examples: &[&str], read: impl Fn(&Path, &[u8])) {
    let dir = tempfile::tempdir().unwrap();
    let examples: Vec<Vec<u8>> = examples.iter().map(|text| text.as_bytes().to_vec()).collect();
    for example in &examples {
        read(dir.path(), example);
    }
    run_cases(name, |number| {
        let mut random = fastrand::Rng::with_seed(number);
        read(dir.path(), &mutated(&examples, &mut random));
    });
}

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
    enter("lines of Nix", &examples, |_, bytes| {
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
    enter("flake.lock", &[example], |_, bytes| {
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
    enter("manifest and sums", &[&manifest, &sums], |dir, bytes| {
        let image = dir.join("a.img");
        fs::write(dir.join("a.img.json"), bytes).unwrap();
        fs::write(dir.join("a.img.sha256"), bytes).unwrap();
        drop((
            read_manifest(&image),
            expected_hash(&image, sdbuild_core::compression::Compression::None),
        ));
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
    enter("block map", &[&map, &without_checksum], |_, bytes| drop(BlockMap::parse(&text(bytes))));
}

#[test]
fn ignore_rules_are_read_to_an_end() {
    let examples = ["*.img\n!/keep\n/dir/**\n# comment\n[a-z]?\\ x\n", "{a,b}*/**/c\n[!a]\n"];
    enter("ignore rules", &examples, |dir, bytes| {
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
    enter("sdbuild.toml", &examples, |dir, bytes| {
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
    run_cases("tar", |number| {
        let mut random = fastrand::Rng::with_seed(number);
        let bytes = mutated(std::slice::from_ref(&archive), &mut random);
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in plain_entries(archive.entries().unwrap()) {
            let Ok(mut entry) = entry else { break };
            drop(std::io::copy(&mut entry.entry, &mut std::io::sink()));
        }
    });
}
