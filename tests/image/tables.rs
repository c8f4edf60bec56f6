//! Partition tables, compared with sfdisk.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::*;
use sdbuild_image::table;
use sdbuild_image::table::{Table, TableKind};

fn sfdisk(script: &str, size: u64) -> (Vec<u8>, Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    blank(&path, size);
    let mut child = Command::new(find("sfdisk").unwrap())
        .args(["--quiet", "disk"])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let json = run("sfdisk --json disk", dir.path());
    let json: Value = serde_json::from_str(&json).unwrap();
    (fs::read(&path).unwrap(), json["partitiontable"].clone())
}

#[track_caller]
fn same(table: &Table, oracle: &Value) {
    assert_eq!(table.problems, Vec::<String>::new());
    assert_eq!(table.id.as_deref().unwrap(), oracle["id"].as_str().unwrap());
    let theirs = oracle["partitions"].as_array().unwrap();
    assert_eq!(table.partitions.len(), theirs.len());
    for own in &table.partitions {
        let node = format!("disk{}", own.number);
        let their = theirs.iter().find(|p| p["node"] == node.as_str()).unwrap();
        assert_eq!(own.start / 512, their["start"].as_u64().unwrap());
        assert_eq!(own.size / 512, their["size"].as_u64().unwrap());
        let kind = their["type"].as_str().unwrap();
        let kind = if kind.len() < 3 { format!("0x{kind:0>2}") } else { kind.to_owned() };
        assert_eq!(own.kind, kind);
        assert_eq!(own.name.as_deref(), their["name"].as_str());
        let legacy = their["attrs"].as_str().is_some_and(|a| a.contains("LegacyBIOS"));
        assert_eq!(own.bootable, legacy || their["bootable"] == Value::Bool(true));
    }
}

const MBR: &str = "label: dos\nlabel-id: 0x2178694e\nstart=2048, size=2048, type=b\n\
    start=4096, size=8192, type=5\nstart=16384, size=1024, type=83, bootable\n\
    start=6144, size=1024, type=83\nsize=1024, type=82\n";
const GPT: &str = "label: gpt\nstart=2048, size=2048, type=uefi, name=\"ESP ü\"\n\
    start=8192, size=4096, type=linux, name=\"root\", attrs=\"LegacyBIOSBootable\"\n";

#[test]
fn mbr_with_logical_partitions_is_read_like_sfdisk() {
    needs!(have(&["sfdisk"]));
    let (bytes, oracle) = sfdisk(MBR, 16 << 20);
    let table = table::read(&section(bytes)).unwrap();
    assert_eq!(table.kind, TableKind::Mbr);
    same(&table, &oracle);
}

#[test]
fn gpt_is_read_like_sfdisk() {
    needs!(have(&["sfdisk"]));
    let (bytes, oracle) = sfdisk(GPT, 16 << 20);
    let table = table::read(&section(bytes)).unwrap();
    assert_eq!(table.kind, TableKind::Gpt);
    same(&table, &oracle);
}

#[test]
fn damaged_gpt_is_read_from_its_other_copy() {
    needs!(have(&["sfdisk"]));
    let (bytes, _) = sfdisk(GPT, 16 << 20);
    let read = |damage: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        damage(&mut bytes);
        table::read(&section(bytes)).unwrap()
    };
    let header = read(&|bytes| bytes[512 + 40] ^= 1);
    assert_eq!(header.problems, ["the GPT: its header's checksum is wrong"]);
    assert_eq!(header.partitions.len(), 2);
    let entries = read(&|bytes| bytes[1024 + 40] ^= 1);
    assert_eq!(entries.problems, ["the GPT: the checksum over its entries is wrong"]);
    assert_eq!(entries.partitions.len(), 2);
    let backup = read(&|bytes| {
        let at = bytes.len() - 512;
        bytes[at + 40] ^= 1;
    });
    assert_eq!(backup.problems, ["the backup GPT: its header's checksum is wrong"]);
    let cut = read(&|bytes| bytes.truncate(8 << 20));
    assert_eq!(cut.problems, ["the backup GPT: its header at sector 32767 is beyond the end"]);
    let both = read(&|bytes| {
        bytes[512] = 0;
        bytes.truncate(8 << 20);
    });
    assert_eq!(both.partitions, []);
    assert_eq!(both.problems.len(), 2);
}

/// A boot record with entries of type, first sector and number of sectors.
fn record(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut sector = vec![0; 512];
    for (index, (kind, start, size)) in entries.iter().enumerate() {
        let at = 446 + index * 16;
        sector[at + 4] = *kind;
        sector[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        sector[at + 12..at + 16].copy_from_slice(&size.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

fn disk(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut disk = record(entries);
    disk.resize(1 << 20, 0);
    disk
}

#[test]
fn overlaps_and_partitions_beyond_the_end_are_problems() {
    let bytes = disk(&[(0x83, 64, 100), (0x83, 100, 10), (0x83, 163, 10), (0x83, 1000, u32::MAX)]);
    let table = table::read(&section(bytes)).unwrap();
    assert_eq!(
        table.problems,
        [
            "partition 4 ends at byte 2199023767040, beyond the end of the image at 1048576",
            "partitions 1 and 2 overlap",
            "partitions 1 and 3 overlap",
        ]
    );
}

#[test]
fn looping_chain_of_logical_partitions_ends() {
    let mut bytes = disk(&[(5, 64, 1000)]);
    // The first logical partition's record names itself as the next one.
    bytes[64 * 512..65 * 512].copy_from_slice(&record(&[(0x83, 1, 10), (5, 0, 10)]));
    let table = table::read(&section(bytes.clone())).unwrap();
    assert_eq!(table.problems, ["the chain in partition 1 forms a loop"]);
    bytes[64 * 512..65 * 512].copy_from_slice(&record(&[(0x83, 1, 10), (5, u32::MAX, 10)]));
    let table = table::read(&section(bytes.clone())).unwrap();
    assert_eq!(table.problems, ["the chain in partition 1 leads beyond the end"]);
    bytes[64 * 512..65 * 512].fill(0);
    let table = table::read(&section(bytes)).unwrap();
    assert_eq!(table.problems, ["the chain in partition 1 leads to no boot record"]);
}

#[test]
fn disk_without_a_table_has_none() {
    for bytes in [vec![], vec![0; 100], vec![0; 4096], noise(4096), record(&[])] {
        assert_eq!(table::read(&section(bytes)).unwrap().kind, TableKind::None);
    }
}
