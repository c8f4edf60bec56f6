//! Files that hold the disk of a virtual machine: which form it is, and the bytes of those in clusters, in any order and compressed: qcow2
//! (<https://www.qemu.org/docs/master/interop/qcow2.html>) and VMDK, as QEMU writes it for one file. A file that names another one, whose content
//! the machine would then read, is refused; everything else of these formats is unsupported.
//!
//! Read without a crate: `imago` 0.2 brings 29 crates and unsafe code, and `qcow` and `qcow2-rs` read qcow2 alone.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Serialize, Serializer};

use super::bytes::{has_magic, slice, u16_at, u32_at, u64_at};
use super::disk::{ReadAt, Section};
use super::error::Error;
use super::iso;
use super::open::{ImageFile, MAX_IMAGE_BYTES};
use super::table::SECTOR_BYTES;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::to_usize::to_usize;

/// The first bytes of a VMDK's header, and of the copy of it at the end of one that was written as a stream.
const VMDK_MAGIC: &[u8] = b"KDMV";
/// Flags of a VMDK's header, by `VMware`'s "Virtual Disk Format 5.0": its clusters are compressed, and each has its length before it.
const VMDK_COMPRESSED: u32 = 1 << 16;
const VMDK_MARKERS: u32 = 1 << 17;
/// Bytes of the headers.
const HEADER_BYTES: usize = 512;
/// Bytes of the largest cluster: QEMU's default for both. A larger one costs much to decompress for each read.
const MAX_CLUSTER_BYTES: u64 = 64 << 10;

/// Bytes that are read in the time in which one is decompressed.
const INFLATION_COST: u64 = 4;
/// Bytes of a disk for each byte of the file with its compressed clusters, of which a system has some three: more are not read.
const MAX_RATIO: u64 = 8;

/// Where the bytes of a cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere: they are zeros.
    Zeros,
    /// As they are, at this byte of the file.
    At(u64),
    /// Compressed, in at most so many bytes of the file.
    Compressed { at: u64, len: u64 },
}

/// How a file says where its clusters are: by a table of tables, each entry of which is for one cluster.
#[derive(Clone, Copy, Debug)]
enum Tables {
    Qcow2 {
        cluster_bits: u32,
    },
    /// `compressed` with deflate, behind a header of 12 bytes.
    Vmdk {
        compressed: bool,
    },
}

/// A disk in clusters.
struct ClusterDisk {
    file: File,
    tables: Tables,
    cluster_bytes: u64,
    /// Entries of a table of clusters.
    entries: u64,
    /// The byte of the table of tables.
    first_table: u64,
    /// The entries of the table of tables.
    table_count: u64,
    /// The number and the bytes of the cluster that was decompressed last.
    decompressed: Mutex<Option<(u64, Vec<u8>)>>,
    /// The work of decompressing that is not counted yet, in bytes that are read.
    work: AtomicU64,
}

/// The disk that `file` holds in `form`.
pub fn disk_in(file: File, form: DiskForm, cancel: &Cancel) -> Result<Section, Error> {
    let mut header = [0; HEADER_BYTES];
    let len = file.metadata()?.len();
    let (disk, size) = match form {
        DiskForm::Raw | DiskForm::Cd => return Ok(Section::whole(file, len, cancel)),
        DiskForm::Qcow2 => {
            read_padded(&file, &mut header, 0)?;
            ClusterDisk::qcow2(file, &header)?
        }
        DiskForm::Vmdk => {
            read_padded(&file, &mut header, 0)?;
            // What is written as a stream has the place of the table at its end.
            if u64_at(&header, 56) == u64::MAX {
                read_padded(&file, &mut header, len.saturating_sub(2 * SECTOR_BYTES))?;
            }
            ClusterDisk::vmdk(file, &header)?
        }
    };
    let cluster_bytes = disk.cluster_bytes;
    if size > MAX_IMAGE_BYTES || !(512..=MAX_CLUSTER_BYTES).contains(&cluster_bytes) {
        let what = format!("a disk of {size} bytes in clusters of {cluster_bytes}");
        return Err(Error::unsupported(what));
    }
    let held = len.saturating_mul(MAX_RATIO);
    Ok(Section::held_in(held, disk, size, cancel))
}

impl ClusterDisk {
    /// By the header: numbers are big-endian.
    fn qcow2(file: File, header: &[u8]) -> Result<(Self, u64), Error> {
        let u32_at = |at| u32_at(header, at).swap_bytes();
        let u64_at = |at| u64_at(header, at).swap_bytes();
        let (version, cluster_bits, is_encrypted) = (u32_at(4), u32_at(20), u32_at(32) != 0);
        let features = if version == 2 { 0 } else { u64_at(72) };
        // Bit 0: it was not closed.
        let unknown = features & !1;
        if is_encrypted || unknown != 0 || cluster_bits > 16 {
            return Err(Error::unsupported("a qcow2 file of an unsupported kind"));
        }
        let cluster_bytes = 1 << cluster_bits;
        let disk = Self {
            file,
            tables: Tables::Qcow2 { cluster_bits },
            cluster_bytes,
            entries: cluster_bytes / 8,
            first_table: u64_at(40),
            table_count: u32_at(36).into(),
            decompressed: Mutex::new(None),
            work: AtomicU64::new(0),
        };
        Ok((disk, u64_at(24)))
    }

    /// By the header: numbers are little-endian and count sectors.
    fn vmdk(file: File, header: &[u8]) -> Result<(Self, u64), Error> {
        let sectors = |at| u64_at(header, at).saturating_mul(SECTOR_BYTES);
        let flags = u32_at(header, 8);
        let compressed = flags & VMDK_COMPRESSED != 0;
        let is_known_compression = flags & VMDK_MARKERS != 0 && u16_at(header, 77) == 1;
        if !header.starts_with(VMDK_MAGIC) || compressed && !is_known_compression {
            return Err(Error::unsupported("a VMDK file of an unsupported kind"));
        }
        let (cluster_bytes, entries) = (sectors(20), u64::from(u32_at(header, 44)));
        let (size, covered) = (sectors(12), cluster_bytes.saturating_mul(entries));
        let disk = Self {
            file,
            tables: Tables::Vmdk { compressed },
            cluster_bytes,
            entries: entries.max(1),
            first_table: sectors(56),
            table_count: size.div_ceil(covered.max(1)),
            decompressed: Mutex::new(None),
            work: AtomicU64::new(0),
        };
        Ok((disk, size))
    }

    /// Where the cluster `number` is.
    fn place(&self, number: u64) -> io::Result<Place> {
        let (table, entry) = (number / self.entries, number % self.entries);
        if table >= self.table_count {
            return Ok(Place::Zeros);
        }
        let table = self.table_entry(self.first_table, table)?;
        match self.tables {
            Tables::Qcow2 { cluster_bits } => {
                let table = table & QCOW2_OFFSET;
                if table == 0 {
                    return Ok(Place::Zeros);
                }
                let entry = self.table_entry(table, entry)?;
                Ok(place_in_qcow2(entry, cluster_bits))
            }
            Tables::Vmdk { compressed } => {
                if table == 0 {
                    return Ok(Place::Zeros);
                }
                let sector = self.table_entry(table * SECTOR_BYTES, entry)?;
                let at = sector * SECTOR_BYTES;
                Ok(match (sector, compressed) {
                    // Zeros that hide another disk's bytes have number 1.
                    (0 | 1, _) => Place::Zeros,
                    (_, false) => Place::At(at),
                    (_, true) => {
                        let mut marker = [0; 12];
                        read_padded(&self.file, &mut marker, at)?;
                        let len = u32_at(&marker, 8).into();
                        Place::Compressed { at: at + 12, len }
                    }
                })
            }
        }
    }

    /// The entry `number` of the table at the byte `table`.
    fn table_entry(&self, table: u64, number: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        match self.tables {
            Tables::Qcow2 { .. } => {
                read_padded(&self.file, &mut bytes, table.saturating_add(number * 8))?;
                Ok(u64::from_be_bytes(bytes))
            }
            Tables::Vmdk { .. } => {
                let at = table.saturating_add(number * 4);
                read_padded(&self.file, bytes.split_at_mut(4).0, at)?;
                Ok(u64::from_le_bytes(bytes))
            }
        }
    }

    /// The bytes of a compressed cluster.
    fn decompress(&self, at: u64, len: u64) -> io::Result<Vec<u8>> {
        let work = self.cluster_bytes * INFLATION_COST;
        self.work.fetch_add(work, Ordering::Relaxed);
        // Larger values do not occur.
        let len = len.min(2 * MAX_CLUSTER_BYTES);
        let mut packed = vec![0; to_usize(len)];
        read_padded(&self.file, &mut packed, at)?;
        let packed = packed.as_slice();
        let decoder: Box<dyn Read + '_> = match self.tables {
            Tables::Qcow2 { .. } => Box::new(flate2::read::DeflateDecoder::new(packed)),
            Tables::Vmdk { .. } => Box::new(flate2::read::ZlibDecoder::new(packed)),
        };
        let mut bytes = Vec::new();
        let read = decoder.take(self.cluster_bytes).read_to_end(&mut bytes);
        read.map_err(|error| {
            let text = format!("the cluster at byte {at}: {error}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        // The last one of a disk may be shorter.
        bytes.resize(to_usize(self.cluster_bytes), 0);
        Ok(bytes)
    }
}

impl ReadAt for ClusterDisk {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let (number, offset) = (at / self.cluster_bytes, at % self.cluster_bytes);
        let rest = to_usize(self.cluster_bytes - offset);
        let wanted = rest.min(buffer.len());
        let buffer = buffer.split_at_mut(wanted).0;
        match self.place(number)? {
            Place::Zeros => buffer.fill(0),
            Place::At(place) => read_padded(&self.file, buffer, place.saturating_add(offset))?,
            Place::Compressed { at, len } => {
                let mut last = self
                    .decompressed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let bytes = match last.take() {
                    Some((known, bytes)) if known == number => bytes,
                    _ => self.decompress(at, len)?,
                };
                let from = to_usize(offset);
                let part = bytes.get(from..).and_then(|bytes| bytes.get(..wanted));
                let part = part.ok_or(io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(part);
                *last = Some((number, bytes));
            }
        }
        Ok(wanted)
    }

    fn take_work(&self) -> u64 {
        self.work.swap(0, Ordering::Relaxed)
    }
}

impl fmt::Debug for ClusterDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterDisk({:?})", self.tables)
    }
}

/// The bits of an entry that are a byte of the file.
const QCOW2_OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Where an entry of a table of clusters says that its cluster is.
fn place_in_qcow2(entry: u64, cluster_bits: u32) -> Place {
    const COMPRESSED: u64 = 1 << 62;
    if entry & COMPRESSED != 0 {
        // The number of further sectors is in the bits above the offset.
        let offset_bits = 70_u32.saturating_sub(cluster_bits);
        let at = entry & ((1 << offset_bits) - 1);
        let further = (entry & (COMPRESSED - 1)) >> offset_bits;
        let len = (further + 1) * SECTOR_BYTES - at % SECTOR_BYTES;
        return Place::Compressed { at, len };
    }
    let reads_as_zeros = entry & 1 != 0;
    match entry & QCOW2_OFFSET {
        0 => Place::Zeros,
        _ if reads_as_zeros => Place::Zeros,
        at => Place::At(at),
    }
}

/// Fills `buffer` with the bytes at `at`, and with zeros beyond the end of the file, as QEMU does.
fn read_padded(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match FileExt::read_at(file, rest, at.saturating_add(done as u64)) {
            Ok(0) => {
                rest.fill(0);
                return Ok(());
            }
            Ok(length) => done += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Bit 2 of a qcow2 file's incompatible features: its data are in another file.
const QCOW2_DATA_ELSEWHERE: u64 = 1 << 2;
/// The bytes of a VMDK that QEMU reads as its descriptor: 20 sectors from sector 1 on (`DESC_SIZE` of its `block/vmdk.c`).
const VMDK_DESCRIPTOR: Range<usize> = 512..21 * 512;

/// Format of a disk file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskForm {
    /// Byte by byte; a fixed VHD too, which has a sector more at its end.
    #[default]
    Raw,
    /// QEMU's form.
    Qcow2,
    /// The form of `VMware`, in one file.
    Vmdk,
    /// An ISO 9660 file system, with or without a partition table: a CD or DVD.
    Cd,
}

/// By its name in [`qemu_name`](DiskForm::qemu_name).
impl Serialize for DiskForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.qemu_name())
    }
}

impl DiskForm {
    /// QEMU's name of it.
    pub const fn qemu_name(self) -> &'static str {
        match self {
            Self::Raw | Self::Cd => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
        }
    }

    /// Whether the file has the bytes of the disk as they are.
    pub const fn is_raw(self) -> bool {
        matches!(self, Self::Raw | Self::Cd)
    }
}

impl ImageFile {
    /// How the file holds a disk, by its start, which is decompressed for it; [`DiskForm::Raw`] for damaged data, which are reported
    /// when all of the image is unpacked.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a file that names another one; the file cannot be read.
    pub fn disk_form(&self, cancel: &Cancel) -> Result<DiskForm, Error> {
        form_of(&self.start_unless_damaged(cancel)?)
    }
}

/// The form of the disk with this start.
///
/// # Errors
///
/// [`Error::Refused`] for a file that names another one.
pub(super) fn form_of(start: &[u8]) -> Result<DiskForm, Error> {
    let (form, is_alone) = if has_magic(start, 0, b"QFI\xfb") {
        (DiskForm::Qcow2, is_one_qcow2(start))
    } else if has_magic(start, 0, b"KDMV") {
        (DiskForm::Vmdk, is_one_vmdk(start))
    } else if has_magic(start, iso::MAGIC.0, iso::MAGIC.1) {
        return Ok(DiskForm::Cd);
    } else {
        return Ok(DiskForm::Raw);
    };
    is_alone.then_some(form).ok_or_else(|| {
        Error::refused("the disk is not in this file alone; qemu-img convert makes one file of it")
    })
}

/// By the header, in big-endian numbers: the version at byte 4, the offset of a backing file's name at byte 8, and from version 3
/// on the incompatible features at byte 72.
fn is_one_qcow2(start: &[u8]) -> bool {
    let number = |at| u64_at(start, at).swap_bytes();
    let (version, backing) = (number(0) & 0xffff_ffff, number(8));
    let features = if version == 2 { 0 } else { number(72) };
    let is_whole = start.len() >= 104;
    is_whole && matches!(version, 2 | 3) && backing == 0 && features & QCOW2_DATA_ELSEWHERE == 0
}

/// By the header: the capacity at byte 12, which is 0 where the descriptor names other files, and the sector of the descriptor at
/// byte 28. QEMU reads the name of a parent at sector 1 whatever the header says.
fn is_one_vmdk(start: &[u8]) -> bool {
    let descriptor = slice(start, VMDK_DESCRIPTOR.start, VMDK_DESCRIPTOR.end);
    let descriptor = String::from_utf8_lossy(descriptor);
    // QEMU takes the first one, in this spelling, also in a comment.
    let parent = descriptor.split_once("parentCID=");
    u64_at(start, 12) > 0
        && u64_at(start, 28) == VMDK_DESCRIPTOR.start as u64 / SECTOR_BYTES
        && parent.is_some_and(|(_, id)| id.starts_with("ffffffff"))
        && !descriptor.to_lowercase().contains("parentfilenamehint")
}

#[cfg(test)]
mod tests;
