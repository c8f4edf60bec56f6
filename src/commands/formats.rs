//! `sdbuild formats`: lists the formats of images that can be built.

use serde_json::json;

use crate::cli;
use crate::commands::json_output::print_json;
use crate::common::failure::Failure;
use crate::common::image_format::{ImageFormat, OF_NIXPKGS, all};
use crate::ui::Ui;
use crate::ui::layout::labelled;

/// Version of the JSON, raised when a field is removed or changes its meaning.
const VERSION: u32 = 1;
/// Columns of the names, and of the text behind them.
const NAME_COLUMNS: usize = 16;

/// Writes the formats to standard output.
pub fn run(args: &cli::Formats, ui: &Ui) -> Result<(), Failure> {
    if args.json {
        let formats: Vec<_> = all().map(as_json).collect();
        return print_json(&json!({ "version": VERSION, "formats": formats }), ui);
    }
    let columns = ui.result_size().0;
    all()
        .chain([&OF_NIXPKGS])
        .flat_map(|format| lines(format, columns))
        .try_for_each(|line| ui.result(&line))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_and_begins_with_the_format_once() {
        for format in all().chain([&OF_NIXPKGS]) {
            for columns in [40, 80, 200] {
                let lines = lines(format, columns);
                let fits = |line: &String| line.chars().count() <= columns;
                assert!(lines.iter().all(fits), "{lines:#?}");
                assert!(lines[0].starts_with(format.name), "{lines:#?}");
                assert!(lines[1..].iter().all(|line| line.starts_with(' ')));
            }
        }
    }
}
