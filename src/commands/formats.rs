//! `sdbuild formats`: lists the formats of images that can be built, or describes one.

use serde_json::json;

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::ui::Ui;
use crate::ui::layout::entry;
use sdbuild_core::compression::Compression;
use sdbuild_core::failure::Failure;
use sdbuild_image::image_format::{Format, ImageFormat, Maker, OF_NIXPKGS, all};

/// Columns of the names, and of the text behind them.
const NAME_COLUMNS: usize = 16;

/// Writes the formats to standard output: one that is named with all that is known of it, else two lines for each.
pub fn run(args: &cli::Formats, ui: &Ui) -> Result<(), Failure> {
    if args.json {
        let named = args.format.as_ref().map(|format| vec![format.row()]);
        let formats = named.unwrap_or_else(|| all().collect());
        let formats: Vec<_> = formats.into_iter().map(as_json).collect();
        return print_json(&json!({ "version": VERSION, "formats": formats }), ui);
    }
    let columns = ui.result_columns();
    let lines = match &args.format {
        Some(format) => description(format, columns),
        None => all()
            .chain([&OF_NIXPKGS])
            .flat_map(|format| lines(format, columns))
            .collect(),
    };
    ui.result(&lines.join("\n"))
}

fn as_json(format: &ImageFormat) -> serde_json::Value {
    json!({
        "name": format.name, "purpose": format.purpose, "file": format.file, "boots": format.boots,
        "disk": format.is_disk, "native_glue": format.has_native_glue,
    })
}

fn lines(format: &ImageFormat, columns: usize) -> Vec<String> {
    let text = [format.purpose.to_owned(), format!("file: {}", format.file)];
    entry(format.name, NAME_COLUMNS, &text, columns)
}

/// What is known of `format`, in lines of `columns`.
fn description(format: &Format, columns: usize) -> Vec<String> {
    let row = format.row();
    let name = format.to_string();
    let mut text = vec![
        row.purpose.to_owned(),
        format!("file: {}", row.file),
        format!("made {}", made_by(row.maker)),
    ];
    let options = |variant| format!("its options go into image.modules, under `{variant}`");
    text.extend(format.variant().map(options));
    if row.compression != Compression::None {
        text.push(format!("compressed by sdbuild with {}", row.compression));
    }
    let in_place = row.replaces.join(", ");
    if !in_place.is_empty() {
        text.push(format!("replaces nixpkgs' {in_place}, which needs KVM"));
    }
    let next = row.next.iter();
    text.extend(next.map(|(command, what)| format!("{command} FILE: {what}")));
    text.push(format!("`sdbuild build --format {name}` builds it"));
    entry(&name, NAME_COLUMNS, &text, columns)
}

/// Describes the maker of a format's file.
fn made_by(maker: Maker) -> &'static str {
    match maker {
        Maker::Nixpkgs => "by nixpkgs' own derivation",
        Maker::Archive => {
            "by sdbuild from the kernel, the initial RAM disk and the script of nixpkgs, without emulation"
        }
        Maker::Disk => {
            "by sdbuild's own derivation, without emulation and without a virtual machine"
        }
        Maker::Iso => {
            "by nixpkgs' derivation, with mksquashfs and xorriso that run without emulation"
        }
        Maker::Container => "by sdbuild's own derivation, without emulation",
    }
}
