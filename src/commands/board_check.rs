//! After a build for a board: whether the image has what the boot of that board needs.

use std::path::{Path, PathBuf};

use crate::common::board::Board;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::image::boards::BoardReport;
use crate::image::{self, Error, OpenOptions};

/// Warns if `board` cannot start `image`, which is unpacked into the directory `scratch` if it is compressed. Fails when it was
/// interrupted: an image that cannot be read now is complete nevertheless.
pub(super) async fn run(
    image: &Path,
    board: &'static Board,
    scratch: PathBuf,
    context: &Context,
) -> Result<(), Failure> {
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
            if let Some(text) = warning(&report) {
                context.events.warn(text);
            }
            Ok(())
        }
        Err(Error::Interrupted) => Err(Failure::interrupted()),
        Err(error) => {
            context.events.warn(format!(
                "it is not known whether a {} starts the image: {error}",
                board.title
            ));
            Ok(())
        }
    }
}

/// What the image lacks, and what to do about it.
fn warning(report: &BoardReport) -> Option<String> {
    if report.complete {
        return None;
    }
    let (title, name) = (report.title, report.board);
    let missing = report.missing.join("; ");
    Some(format!(
        "a {title} does not start this image: {missing}\n  hint: `sdbuild init DIR --board {name}` writes a configuration with \
         what this board needs; `sdbuild inspect` shows what each board lacks"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(warning(&report(&[])), None);
        let text = warning(&report(&["U-Boot", "a device tree"])).unwrap();
        let start = "a PINE64 ROCK64 does not start this image: U-Boot; a device tree\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("sdbuild init DIR --board rock64"), "{text}");
    }
}
