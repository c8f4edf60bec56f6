//! After a build for a board: whether the image has what the boot of that board needs.

use std::path::{Path, PathBuf};

use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_image as image;
use sdbuild_image::board::Board;
use sdbuild_image::boards::BoardReport;
use sdbuild_image::{Error, OpenOptions};

/// Whether `board` can start `image`, which is unpacked into the directory `scratch` if it is compressed; warns if not. Fails when it
/// was interrupted: an image that cannot be read now is complete nevertheless.
pub(super) async fn run(
    image: &Path,
    board: &'static Board,
    scratch: PathBuf,
    context: &Context,
) -> Result<bool, Failure> {
    let options = OpenOptions {
        spool: scratch,
        hash: false,
    };
    let (path, inner) = (image.to_owned(), context.clone());
    let judge = move || {
        let opened = image::open(&path, &options, &inner)?;
        image::judge_for(&opened, board)
    };
    let judged = context.cancel.race(tokio::task::spawn_blocking(judge));
    match judged.await?.or_internal("read the image")? {
        Ok(report) => {
            if let Some(text) = warning(&report, board) {
                context.events.warn(text);
            }
            Ok(report.complete)
        }
        Err(Error::Interrupted) => Err(Failure::interrupted()),
        Err(error) => {
            context.events.warn(format!(
                "sdbuild cannot tell whether a {} can start the image: {error}",
                board.title
            ));
            Ok(true)
        }
    }
}

/// What the image lacks, and what to do about it.
fn warning(report: &BoardReport, board: &Board) -> Option<String> {
    if report.complete {
        return None;
    }
    let (title, name) = (report.title, report.board);
    let missing = report.missing.join("; ");
    let init = if board.boots_plain_image() {
        // It would write what the example has.
        String::new()
    } else {
        format!(
            "`sdbuild init DIR --board {name}` writes a configuration with what this board needs; "
        )
    };
    Some(format!(
        "a {title} cannot start this image, which lacks: {missing}\n  hint: {init}`sdbuild inspect -v` shows what each \
         board lacks"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_image::board::BoardName;

    #[test]
    fn only_an_incomplete_image_is_warned_of() {
        let report = |missing: &[&str]| BoardReport {
            board: "rock64",
            title: "PINE64 ROCK64",
            complete: missing.is_empty(),
            missing: missing.iter().map(|&text| text.to_owned()).collect(),
            notes: vec!["a note".to_owned()],
            config_txt: None,
        };
        let board = |name: &str| name.parse::<BoardName>().unwrap().0;
        let warning = |report: &BoardReport, name| warning(report, board(name));
        assert_eq!(warning(&report(&[]), "rock64"), None);
        let report = report(&["U-Boot", "a device tree"]);
        let text = warning(&report, "rpi4").unwrap();
        assert!(!text.contains("sdbuild init"), "{text}");
        let text = warning(&report, "rock64").unwrap();
        let start = "a PINE64 ROCK64 cannot start this image, which lacks: U-Boot; a device tree\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("sdbuild init DIR --board rock64"), "{text}");
    }
}
