//! The output of `inspect`: lines or JSON.

mod boards;

use serde_json::{Value, json};

use crate::commands::Session;
use crate::commands::json_output::print_json;
use crate::ui::layout::labelled;
use crate::ui::{Ui, sanitize_line};
use sdbuild_core::compression::Compression;
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_image::boot::{BootReport, LoaderKind};
use sdbuild_image::files::{Entry, EntryKind, Summary};
use sdbuild_image::iso::Platform;
use sdbuild_image::report::ImagePath;
use sdbuild_image::report::{PartitionReport, Report, VERSION};
use sdbuild_image::table::{Partition, TableKind};

/// The entries of a directory.
pub(super) struct Directory {
    pub(super) place: ImagePath,
    /// The kind and the label of its file system.
    pub(super) file_system: String,
    pub(super) entries: Vec<Entry>,
}

/// Shows the report; the problems of the image are the failure of the command.
pub(super) fn report(report: &Report, ui: &Ui, as_json: bool) -> Result<(), Failure> {
    if as_json {
        print_json(report, ui)?;
    } else {
        ui.result(&report_lines(report, ui.result_columns(), ui.is_verbose()).join("\n"))?;
    }
    let mut problems = report
        .problems
        .iter()
        .map(|problem| Failure::usage(format!("{}: {problem}", report.image)));
    match problems.next() {
        None => Ok(()),
        Some(mut failure) => {
            failure.others = problems.collect();
            Err(failure)
        }
    }
}

/// Shows the entries of a directory. A notice says whose they are.
pub(super) fn directory(
    dir: &Directory,
    session: Session<'_>,
    as_json: bool,
) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
    if as_json {
        let (partition, path) = (dir.place.partition, &dir.place.path);
        let object = json!({
            "version": VERSION, "partition": partition, "path": path, "entries": dir.entries,
        });
        return print_json(&object, ui);
    }
    if dir.place.partition > 0 {
        context.events.notice(whose(dir));
    }
    entries(dir, ui)
}

/// Shows the root directories, each below a line that says whose it is.
pub(super) fn roots(dirs: &[Directory], ui: &Ui, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let roots: Vec<_> = dirs.iter().map(as_object).collect();
        return print_json(&json!({ "version": VERSION, "roots": roots }), ui);
    }
    for dir in dirs {
        ui.result(&format!("{}:", whose(dir)))?;
        entries(dir, ui)?;
    }
    Ok(())
}

fn whose(dir: &Directory) -> String {
    let ImagePath { partition, path } = &dir.place;
    sanitize_line(&format!("{partition}:{path} ({})", dir.file_system))
}

fn as_object(dir: &Directory) -> Value {
    let ImagePath { partition, path } = &dir.place;
    json!({ "partition": partition, "path": path, "entries": dir.entries })
}

fn entries(dir: &Directory, ui: &Ui) -> Result<(), Failure> {
    dir.entries
        .iter()
        .try_for_each(|entry| ui.result(&entry_line(entry)))
}

/// The kind and the label of a file system.
pub(super) fn kind_and_label(summary: &Summary) -> String {
    let label = summary
        .label
        .as_ref()
        .map(|label| format!(", label {label}"));
    format!("{}{}", summary.kind, label.unwrap_or_default())
}

fn entry_line(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Link => 'l',
        EntryKind::Special => 's',
    };
    let name = sanitize_line(&entry.name);
    let target = entry.target.as_deref().map(sanitize_line);
    let target = target.map(|target| format!(" -> {target}"));
    let target = target.unwrap_or_default();
    format!("{kind} {:>12} {name}{target}", entry.size)
}

/// Columns of the labels.
const LABEL_COLUMNS: usize = 14;

/// Labels and values, in lines of so many columns.
struct LabelledLines {
    lines: Vec<String>,
    columns: usize,
}

impl LabelledLines {
    fn add(&mut self, label: &str, value: &str) {
        let lines = labelled(label, LABEL_COLUMNS, value, self.columns);
        self.lines.extend(lines);
    }

    fn add_if_some(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }
}

fn report_lines(report: &Report, columns: usize, is_verbose: bool) -> Vec<String> {
    let mut lines = LabelledLines {
        lines: Vec::new(),
        columns,
    };
    add_file(&mut lines, report);
    add_sidecars(&mut lines, report);
    let id = report.table.id.as_deref().unwrap_or_default();
    let table = match report.table.kind {
        TableKind::Mbr => format!("MBR {id}"),
        TableKind::Gpt => format!("GPT {id}"),
        TableKind::None => "none".to_owned(),
    };
    lines.add("table", &table);
    for partition in &report.partitions {
        add_partition(&mut lines, partition);
    }
    add_boot(&mut lines, &report.boot);
    for (label, text) in boards::lines(&report.boards, is_verbose) {
        lines.add(&label, &text);
    }
    lines.lines
}

fn add_file(lines: &mut LabelledLines, report: &Report) {
    let size = human_bytes(report.size);
    let is_compressed = report.compression != Compression::None;
    let compression = if is_compressed {
        let raw_size = human_bytes(report.raw.size);
        format!("{}, {raw_size} decompressed", report.compression)
    } else {
        "not compressed".to_owned()
    };
    lines.add("image", &format!("{}: {size}, {compression}", report.image));
    if !report.disk.form.is_raw() {
        let size = human_bytes(report.disk.size);
        lines.add(
            "disk",
            &format!("{size}, as {}", report.disk.form.qemu_name()),
        );
    }
    let sha256 = report.sha256.map(|hash| hash.to_string());
    lines.add_if_some("sha256", sha256.as_deref());
    let raw_sha256 = report.raw.sha256.filter(|_| is_compressed);
    let raw_sha256 = raw_sha256.map(|hash| hash.to_string());
    lines.add_if_some("raw sha256", raw_sha256.as_deref());
}

fn add_sidecars(lines: &mut LabelledLines, report: &Report) {
    let verdict = |is_same| if is_same { "the same" } else { "ANOTHER" };
    if let Some(checksum) = &report.checksum {
        let verdict = verdict(checksum.matches);
        let text = format!("{verdict} as in {}", checksum.file.display());
        lines.add("checksum", &text);
    }
    if let Some(manifest) = &report.manifest {
        let verdict = verdict(manifest.mismatches.is_empty());
        let text = format!("{verdict} image as in {}", manifest.file.display());
        lines.add("manifest", &text);
    }
}

fn add_partition(lines: &mut LabelledLines, report: &PartitionReport) {
    let partition = &report.partition;
    if partition.number > 0 {
        let label = format!("partition {}", partition.number);
        lines.add(&label, &partition_text(partition));
    }
    let text = report.file_system.as_ref().map(|fs| {
        let other = report
            .other_fat()
            .map(|kind| format!("; the type is that of {kind}"));
        format!("{}{}", file_system_text(fs), other.unwrap_or_default())
    });
    lines.add("", text.as_deref().unwrap_or("no known file system"));
}

fn partition_text(partition: &Partition) -> String {
    let (size, start) = (human_bytes(partition.size), human_bytes(partition.start));
    let mut parts = vec![
        format!("{size} from {start}"),
        format!("type {}", partition.kind),
    ];
    parts.extend(partition.name.clone());
    parts.extend(partition.bootable.then(|| "bootable".to_owned()));
    parts.join(", ")
}

fn file_system_text(summary: &Summary) -> String {
    let mut parts = vec![kind_and_label(summary)];
    parts.extend(summary.uuid.as_ref().map(|uuid| format!("UUID {uuid}")));
    if let Some((free, size)) = summary.free.zip(summary.size) {
        let (free, size) = (human_bytes(free), human_bytes(size));
        parts.push(format!("{free} free of {size}"));
    }
    parts.join(", ")
}

fn add_boot(lines: &mut LabelledLines, boot: &BootReport) {
    for loader in &boot.loaders {
        let kind = match loader.kind {
            LoaderKind::Extlinux => "extlinux",
            LoaderKind::RaspberryPi => "Raspberry Pi firmware",
            LoaderKind::Uefi => "UEFI",
        };
        let (files, partition) = (loader.files.join(", "), loader.partition);
        let text = format!("{kind}: {files} on partition {partition}");
        lines.add("boot loader", &text);
    }
    for entry in &boot.el_torito {
        let platform = match entry.platform {
            Platform::Bios => "BIOS",
            Platform::Uefi => "UEFI",
            Platform::Other => "other firmware",
        };
        let start = human_bytes(entry.start);
        lines.add("El Torito", &format!("{platform}, from {start}"));
    }
    if boot.loaders.is_empty() {
        lines.add("boot loader", "none found");
    }
    if let Some(kernel) = &boot.kernel {
        let version = kernel.version.as_deref().unwrap_or("unknown version");
        let path = format!("{}:{}", kernel.partition, kernel.path);
        lines.add(
            "kernel",
            &format!("{version}, {}, {path}", kernel.format.name()),
        );
    }
    let system = &boot.system;
    let nixos = system.nixos.as_deref();
    let nixos = nixos.map(|version| format!("NixOS {version}"));
    lines.add_if_some("system", nixos.as_deref());
    lines.add_if_some("", system.path.as_deref());
    lines.add_if_some("host name", system.host_name.as_deref());
}
