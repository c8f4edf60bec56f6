//! Block maps that sdbuild and `bmaptool` make and read.

use std::fs;
use std::os::unix::fs::FileExt as _;

use sdbuild_image::blockmap::BlockMap;

use crate::{have, image, map_of, needs, run, try_run};

const MIB: u64 = 1 << 20;

#[test]
fn bmaptool_accepts_our_map_and_finds_differences() {
    needs!(have(&["bmaptool"]));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img");
    // A start, a range that is split, a short gap, and an end inside a block.
    let size = 40 * MIB + 1234;
    let data = [(0, 5000), (5 * MIB, 20 << 20), (25 * MIB + 8192, 1), (size - 9, 9)];
    image(&path, size, 1, &data);
    let bytes = fs::read(&path).unwrap();
    let map = map_of(&bytes);
    fs::write(dir.path().join("a.bmap"), map.to_xml()).unwrap();
    run("bmaptool copy --bmap a.bmap a.img copy", dir.path());
    assert_eq!(fs::read(dir.path().join("copy")).unwrap(), bytes);
    // One byte of the image is changed.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[bytes[12 << 20] ^ 1], 12 * MIB).unwrap();
    let output = try_run("bmaptool copy --bmap a.bmap a.img other", dir.path());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains("checksum mismatch"), "{stderr}");
    // One byte of the map is changed.
    let xml = map.to_xml().replacen("<BlockSize> ", "<BlockSize>  ", 1);
    fs::write(dir.path().join("a.bmap"), xml).unwrap();
    let output = try_run("bmaptool copy --bmap a.bmap a.img other", dir.path());
    assert!(!output.status.success());
}

#[test]
fn map_of_bmaptool_is_read() {
    needs!(have(&["bmaptool"]));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img");
    let data = [(0, 4096), (5 * MIB, 3 << 20), (30 * MIB, 4096)];
    image(&path, 40 * MIB, 2, &data);
    run("bmaptool create -o a.bmap a.img", dir.path());
    let theirs = BlockMap::parse(&fs::read_to_string(dir.path().join("a.bmap")).unwrap());
    assert_eq!(theirs.unwrap(), map_of(&fs::read(&path).unwrap()));
}
