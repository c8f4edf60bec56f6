//! `sdbuild formats`: lists the formats of images that can be built, or describes one.

use serde_json::json;

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::ui::Ui;
use crate::ui::layout::labelled;
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
    let columns = ui.result_size().0;
    if let Some(format) = &args.format {
        let lines = description(format, columns);
        return lines.iter().try_for_each(|line| ui.result(line));
    }
    let lines = all()
        .chain([&OF_NIXPKGS])
        .flat_map(|format| lines(format, columns));
    lines.into_iter().try_for_each(|line| ui.result(&line))
}

fn as_json(format: &ImageFormat) -> serde_json::Value {
    json!({
        "name": format.name, "purpose": format.purpose, "file": format.file, "boots": format.boots,
        "disk": format.is_disk, "native_glue": format.has_native_glue,
    })
}

fn lines(format: &ImageFormat, columns: usize) -> Vec<String> {
    let text = [format.purpose.to_owned(), format!("file: {}", format.file)];
    let names = [format.name, ""];
    let rows = names.into_iter().zip(&text);
    rows.flat_map(|(name, text)| labelled(name, NAME_COLUMNS, text, columns))
        .collect()
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
    let names = std::iter::once(name.as_str()).chain(std::iter::repeat(""));
    let rows = names.zip(&text);
    rows.flat_map(|(name, text)| labelled(name, NAME_COLUMNS, text, columns))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_and_begins_with_the_format_once() {
        for format in all().chain([&OF_NIXPKGS]) {
            for columns in [60, 80, 200] {
                let lines = lines(format, columns);
                let fits = |line: &String| line.chars().count() <= columns;
                assert!(lines.iter().all(fits), "{lines:#?}");
                assert!(lines[0].starts_with(format.name), "{lines:#?}");
                assert!(lines[1..].iter().all(|line| line.starts_with(' ')));
                let described = description(&Format::of(format), columns);
                assert!(described.iter().all(fits), "{described:#?}");
                assert!(described[0].starts_with(format.name), "{described:#?}");
            }
        }
    }
}
