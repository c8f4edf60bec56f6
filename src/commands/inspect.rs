//! `sdbuild inspect`: what is on an image, in lines or as JSON; `ls` and `cat` look inside.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::cli::{self, InspectCommand};
use crate::common::compression::Compression;
use crate::common::failure::{Failure, OrFail as _};
use crate::image::boot::LoaderKind;
use crate::image::files::{Entry, EntryKind};
use crate::image::place::Place;
use crate::image::report::{Layout, Slot, VERSION};
use crate::image::table::TableKind;
use crate::image::{self, Error, OpenOptions, OpenedImage, Report};
use crate::pipeline::Context;
use crate::settings::{Common, Environment};
use crate::ui::{self, Ui, words};

/// Reads the image and shows what was asked for.
pub async fn run(
    args: &cli::Inspect,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let how = OpenOptions {
        spool: Common::without_file(env)?.cache_dir,
        hash: args.look.is_none(),
    };
    let (path, as_json) = (args.image.clone(), args.json);
    let named = format!("inspect {}", path.display());
    match &args.look {
        None => {
            let report = blocking(context, move |context| {
                image::examine(&path, &open(&path, &how, context)?)
            });
            tell(&report.await?.map_err(|e| e.fail(&named))?, (ui, as_json))
        }
        Some(InspectCommand::Ls { path: inside }) => {
            let inside = inside.clone();
            let listed = blocking(context, move |context| {
                list(&open(&path, &how, context)?, &inside)
            });
            let (place, entries) = listed.await?.map_err(|e| e.fail(&named))?;
            tell_list((&place, &entries), (ui, as_json))
        }
        Some(InspectCommand::Cat { path: inside }) => {
            let (inside, ui) = (inside.clone(), ui.clone());
            let copied = blocking(context, move |context| {
                copy(&open(&path, &how, context)?, &inside, &ui)
            });
            copied.await?.map_err(|e| e.fail(&named))?
        }
    }
}

/// Blocking reads on their own thread, so that a signal ends the wait for a slow disk.
async fn blocking<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Context) -> T + Send + 'static,
) -> Result<T, Failure> {
    let inner = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&inner));
    context
        .cancel
        .race(work)
        .await?
        .or_internal("read the image")
}

fn open(path: &Path, how: &OpenOptions, context: &Context) -> Result<OpenedImage, Error> {
    image::open(path, how, (&context.cancel, &context.events))
}

fn list(opened: &OpenedImage, path: &str) -> Result<(Place, Vec<Entry>), Error> {
    let layout = Layout::read(&opened.disk)?;
    let place = Place::find(path, &layout)?;
    let entries = place.volume(&layout)?.fs.list(&place.path)?;
    Ok((place, entries))
}

/// The outer result is the image's, the inner one standard output's.
fn copy(opened: &OpenedImage, path: &str, ui: &Ui) -> Result<Result<(), Failure>, Error> {
    let layout = Layout::read(&opened.disk)?;
    let place = Place::find(path, &layout)?;
    let mut written = Ok(());
    let copied = place.volume(&layout)?.fs.copy(&place.path, &mut |piece| {
        let more = ui.data(piece);
        let go_on = matches!(more, Ok(true));
        written = more.map(drop);
        Ok(go_on)
    });
    copied.map(|()| written)
}

/// The report, then what is wrong with the image as the failure of the command.
fn tell(report: &Report, (ui, as_json): (&Ui, bool)) -> Result<(), Failure> {
    if as_json {
        ui.result(&json_text(report)?)?;
    } else {
        ui.result(lines(report).trim_end())?;
    }
    let mut wrong = report
        .problems
        .iter()
        .map(|problem| Failure::usage(format!("{}: {problem}", report.image)));
    match wrong.next() {
        None => Ok(()),
        Some(mut failure) => {
            failure.others = wrong.collect();
            Err(failure)
        }
    }
}

fn tell_list(
    (place, entries): (&Place, &[Entry]),
    (ui, as_json): (&Ui, bool),
) -> Result<(), Failure> {
    if as_json {
        let (partition, path) = (place.partition, &place.path);
        return ui.result(&json_text(&json!({
            "version": VERSION, "partition": partition, "path": path, "entries": entries,
        }))?);
    }
    entries.iter().try_for_each(|entry| {
        let kind = match entry.kind {
            EntryKind::File => '-',
            EntryKind::Directory => 'd',
            EntryKind::Link => 'l',
            EntryKind::Special => 's',
        };
        let name = one_line(&entry.name);
        let target = entry.target.as_deref().map(one_line);
        let target = target.map(|t| format!(" -> {t}")).unwrap_or_default();
        ui.result(&format!("{kind} {:>12} {name}{target}", entry.size))
    })
}

fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).or_internal("write JSON")
}

/// Foreign text on one line.
fn one_line(text: &str) -> String {
    ui::sanitize(&text.replace('\n', "\u{fffd}")).into_owned()
}

/// Rows of a word and what it tells.
struct Rows(String);

impl Rows {
    fn add(&mut self, word: &str, text: &str) {
        writeln!(self.0, "{word:<13} {}", one_line(text)).unwrap_or(());
    }
}

fn lines(report: &Report) -> String {
    let mut rows = Rows(String::new());
    let packed = match report.compression {
        Compression::None => "not compressed".to_owned(),
        Compression::Zstd => format!("zstd, {} in all", words::human_bytes(report.raw.size)),
        Compression::Xz => format!("xz, {} in all", words::human_bytes(report.raw.size)),
        Compression::Gzip => format!("gzip, {} in all", words::human_bytes(report.raw.size)),
    };
    let size = words::human_bytes(report.size);
    rows.add("image", &format!("{}: {size}, {packed}", report.image));
    if let Some(hash) = &report.sha256 {
        rows.add("sha256", hash);
    }
    if let Some(hash) = report
        .raw
        .sha256
        .as_ref()
        .filter(|_| report.compression != Compression::None)
    {
        rows.add("raw sha256", hash);
    }
    if let Some(checksum) = &report.checksum {
        let verb = if checksum.matches {
            "the same"
        } else {
            "ANOTHER"
        };
        rows.add(
            "checksum",
            &format!("{verb} as in {}", checksum.file.display()),
        );
    }
    if let Some(manifest) = &report.manifest {
        let verb = if manifest.mismatches.is_empty() {
            "the same"
        } else {
            "ANOTHER"
        };
        let text = format!("{verb} image as in {}", manifest.file.display());
        rows.add("manifest", &text);
    }
    let id = report.table.id.as_deref().unwrap_or_default();
    rows.add(
        "table",
        &match report.table.kind {
            TableKind::Mbr => format!("MBR {id}"),
            TableKind::Gpt => format!("GPT {id}"),
            TableKind::None => "none".to_owned(),
        },
    );
    report
        .partitions
        .iter()
        .for_each(|slot| partition(&mut rows, slot));
    boot(&mut rows, report);
    rows.0
}

fn partition(rows: &mut Rows, slot: &Slot) {
    let p = &slot.partition;
    if p.number > 0 {
        let (size, start) = (words::human_bytes(p.size), words::human_bytes(p.start));
        let name = p.name.as_deref().map(|name| format!(", {name}"));
        let bootable = if p.bootable { ", bootable" } else { "" };
        let text = format!(
            "{size} from {start}, type {}{}{bootable}",
            p.kind,
            name.unwrap_or_default()
        );
        rows.add(&format!("partition {}", p.number), &text);
    }
    let Some(fs) = &slot.file_system else {
        return rows.add("", "no known file system");
    };
    let mut text = fs.kind.clone();
    for (word, value) in [("label", &fs.label), ("UUID", &fs.uuid)] {
        if let Some(value) = value {
            write!(text, ", {word} {value}").unwrap_or(());
        }
    }
    if let Some((free, size)) = fs.free.zip(fs.size) {
        let (free, size) = (words::human_bytes(free), words::human_bytes(size));
        write!(text, ", {free} free of {size}").unwrap_or(());
    }
    rows.add("", &text);
}

fn boot(rows: &mut Rows, report: &Report) {
    let boot = &report.boot;
    for loader in &boot.loaders {
        let kind = match loader.kind {
            LoaderKind::Extlinux => "extlinux",
            LoaderKind::RaspberryPi => "Raspberry Pi firmware",
            LoaderKind::Uefi => "UEFI",
        };
        let files = loader.files.join(", ");
        rows.add(
            "boot loader",
            &format!("{kind}: {files} on partition {}", loader.partition),
        );
    }
    if boot.loaders.is_empty() {
        rows.add("boot loader", "none found");
    }
    if let Some(kernel) = &boot.kernel {
        let version = kernel.version.as_deref().unwrap_or("of unknown version");
        let place = format!("{}:{}", kernel.partition, kernel.path);
        rows.add("kernel", &format!("{version}, {}, {place}", kernel.format));
    }
    let system = &boot.system;
    let nixos = system
        .nixos
        .as_ref()
        .map(|version| format!("NixOS {version}"));
    for (word, value) in [
        ("system", &nixos),
        ("", &system.path),
        ("host name", &system.host_name),
    ] {
        if let Some(value) = value {
            rows.add(word, value);
        }
    }
}
