use std::io::Write as _;

use super::*;

const CLUSTER: usize = 512;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn put(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.resize(bytes.len().max(at + part.len()), 0);
    bytes[at..at + part.len()].copy_from_slice(part);
}

/// A qcow2 file of `size` bytes in clusters of 512: the first is as it is, the second has the bytes `packed`, the third is zeros.
fn qcow2(size: u64, packed: &[u8]) -> Vec<u8> {
    let mut disk = Vec::new();
    put(&mut disk, 0, b"QFI\xfb\0\0\0\x02");
    put(&mut disk, 20, &9_u32.to_be_bytes());
    put(&mut disk, 24, &size.to_be_bytes());
    put(&mut disk, 36, &1_u32.to_be_bytes());
    put(&mut disk, 40, &512_u64.to_be_bytes());
    put(&mut disk, 512, &1024_u64.to_be_bytes());
    put(&mut disk, 1024, &1536_u64.to_be_bytes());
    put(&mut disk, 1032, &(1_u64 << 62 | 2048).to_be_bytes());
    put(&mut disk, 1536, &[7; CLUSTER]);
    put(&mut disk, 2048, packed);
    disk
}

/// `bytes`, compressed by deflate, with or without zlib's header.
fn packed(bytes: &[u8], with_header: bool) -> Vec<u8> {
    let level = flate2::Compression::default();
    if with_header {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
        encoder.write_all(bytes).unwrap();
        return encoder.finish().unwrap();
    }
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn cluster(disk: &Section, number: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![1; CLUSTER];
    disk.read(number * CLUSTER as u64, &mut bytes)?;
    Ok(bytes)
}

fn read(bytes: &[u8], form: DiskForm) -> Result<Section, Error> {
    disk_in(file(bytes), form, &Cancel::new())
}

#[test]
fn clusters_of_qcow2_are_found_and_decompressed() {
    let disk = qcow2(2048, &packed(&[8; CLUSTER], false));
    let disk = read(&disk, DiskForm::Qcow2).unwrap();
    assert_eq!(disk.len(), 2048);
    for (number, byte) in [(0, 7), (1, 8), (2, 0), (3, 0)] {
        assert_eq!(cluster(&disk, number).unwrap(), [byte; CLUSTER], "{number}");
    }
}

#[test]
fn damaged_cluster_is_a_damaged_image() {
    let disk = read(&qcow2(2048, &[0xff; 64]), DiskForm::Qcow2).unwrap();
    let error = cluster(&disk, 1).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
}

/// A file of some KiB that states 256 GiB could be read for hours.
#[test]
fn reads_are_limited_by_the_size_of_the_file() {
    let disk = read(&qcow2(MAX_IMAGE_BYTES, &[]), DiskForm::Qcow2).unwrap();
    let mut zeros = vec![0; 64 << 20];
    let mut read = |number: u64| disk.read((1 << 30) + number * (64 << 20), &mut zeros);
    read(0).unwrap();
    assert!((1..6).any(|number| read(number).is_err()));
}

/// A VMDK that was written as a stream: one cluster of 512 bytes, and the header again at the end.
fn vmdk(flags: u32, magic: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    put(&mut header, 0, magic);
    put(&mut header, 8, &flags.to_le_bytes());
    put(&mut header, 12, &1_u64.to_le_bytes());
    put(&mut header, 20, &1_u64.to_le_bytes());
    put(&mut header, 44, &512_u32.to_le_bytes());
    put(&mut header, 56, &1_u64.to_le_bytes());
    put(&mut header, 77, &[1, 0]);
    put(&mut header, 511, &[0]);
    let mut disk = header.clone();
    put(&mut disk, 0, VMDK_MAGIC);
    put(&mut disk, 56, &u64::MAX.to_le_bytes());
    put(&mut disk, 512, &2_u32.to_le_bytes());
    put(&mut disk, 1024, &3_u32.to_le_bytes());
    let content = packed(&[9; CLUSTER], true);
    let length = u32::try_from(content.len()).unwrap();
    put(&mut disk, 1536 + 8, &length.to_le_bytes());
    put(&mut disk, 1536 + 12, &content);
    put(&mut disk, 2048, &header);
    put(&mut disk, 3071, &[0]);
    disk
}

#[test]
fn clusters_of_vmdk_are_found_and_decompressed() {
    let disk = vmdk(VMDK_COMPRESSED | VMDK_MARKERS, VMDK_MAGIC);
    let disk = read(&disk, DiskForm::Vmdk).unwrap();
    assert_eq!(cluster(&disk, 0).unwrap(), [9; CLUSTER]);
}

#[test]
fn vmdk_of_another_form_is_unsupported() {
    for (flags, magic) in [
        (VMDK_COMPRESSED, VMDK_MAGIC),
        (VMDK_COMPRESSED | VMDK_MARKERS, b"KDMX"),
    ] {
        let error = read(&vmdk(flags, magic), DiskForm::Vmdk).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
}

mod disk_form {
    use super::super::*;

    fn qcow2(version: u8, backing: u8, features: u8) -> Vec<u8> {
        let mut header = vec![0; 104];
        header[..4].copy_from_slice(b"QFI\xfb");
        header[7] = version;
        header[15] = backing;
        header[79] = features;
        header
    }

    fn vmdk(capacity: u8, descriptor: &str) -> Vec<u8> {
        let mut file = vec![0; VMDK_DESCRIPTOR.end];
        file[..4].copy_from_slice(b"KDMV");
        file[12] = capacity;
        file[28] = 1;
        file[36] = 1;
        file[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
        file
    }

    #[test]
    fn disks_in_one_file_have_a_form() {
        let form = |start: &[u8]| form_of(start).ok().map(DiskForm::qemu_name);
        assert_eq!(form(b"anything"), Some("raw"));
        assert_eq!(form(&qcow2(2, 0, 4)), Some("qcow2"));
        assert_eq!(form(&qcow2(3, 0, 1)), Some("qcow2"));
        assert_eq!(form(&vmdk(9, "CID=1\nparentCID=ffffffff\n")), Some("vmdk"));
    }

    /// The machine would read the other file.
    #[test]
    fn disks_that_name_another_file_are_refused() {
        for file in [
            qcow2(3, 9, 0),
            qcow2(2, 9, 0),
            qcow2(3, 0, 4),
            qcow2(4, 0, 0),
            b"QFI\xfb".to_vec(),
            vmdk(0, "parentCID=ffffffff\n"),
            vmdk(9, "parentCID=00000001\n"),
            vmdk(9, "# parentcid=ffffffff\nparentCID=00000001\n"),
            vmdk(
                9,
                "parentCID=ffffffff\nparentFileNameHint=\"/etc/shadow\"\n",
            ),
            b"KDMV".to_vec(),
            // QEMU looks for the parent elsewhere than the header says: in the sectors behind a shorter descriptor, and at
            // sector 1.
            vmdk(
                9,
                &format!(
                    "parentCID=ffffffff\n{}parentFileNameHint=\"/etc/shadow\"\n",
                    " ".repeat(600)
                ),
            ),
            {
                let mut file = vmdk(9, "parentFileNameHint=\"/etc/shadow\"\n");
                file[28] = 2;
                file[1024..1042].copy_from_slice(b"parentCID=ffffffff");
                file
            },
        ] {
            assert!(matches!(form_of(&file), Err(Error::Refused(_))), "{file:?}");
        }
    }
}
