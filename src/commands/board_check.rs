//! After a build: whether the image has what its boot needs, on the board that it is for, if it is for one in particular.

use std::path::{Path, PathBuf};

use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_image as image;
use sdbuild_image::board::Board;
use sdbuild_image::{Error, ImageFile, ImageKind, OpenOptions};

/// Whether `image` starts, on `board`, if it is for one in particular; warns if not. For a board it is unpacked into the directory `scratch` if it is
/// compressed; else only an image that is not is looked at. Fails when it was interrupted: an image that cannot be read now is complete
/// nevertheless.
pub(super) async fn run(
    image: &Path,
    board: Option<&'static Board>,
    scratch: PathBuf,
    context: &Context,
) -> Result<bool, Failure> {
    let options = OpenOptions {
        spool: scratch,
        hash: false,
    };
    let (path, inner) = (image.to_owned(), context.clone());
    let judge = move || {
        let is_packed = || {
            let file = ImageFile::open(&path, ImageKind::File)?;
            Ok::<_, Error>(file.compression != Compression::None)
        };
        if board.is_none() && is_packed()? {
            return Ok(Vec::new());
        }
        let opened = image::open(&path, &options, &inner)?;
        match board {
            Some(board) => Ok(image::judge_for(&opened, board)?.missing),
            None => image::start_problems(&opened),
        }
    };
    let judged = context.cancel.race(tokio::task::spawn_blocking(judge));
    match judged.await?.or_internal("read the image")? {
        Ok(missing) => {
            if let Some(text) = warning(&missing, board) {
                context.events.warn(text);
            }
            Ok(missing.is_empty())
        }
        Err(Error::Interrupted) => Err(Failure::interrupted()),
        Err(error) => {
            let whom = board.map_or("this machine".to_owned(), |board| {
                format!("a {}", board.title)
            });
            context.events.warn(format!(
                "sdbuild cannot tell whether {whom} can start the image: {error}"
            ));
            Ok(true)
        }
    }
}

/// What the image lacks, and what to do about it.
fn warning(missing: &[String], board: Option<&Board>) -> Option<String> {
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join("; ");
    let Some(board) = board else {
        return Some(format!("the image does not start: {missing}"));
    };
    let (title, name) = (board.title, board.name);
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
    use sdbuild_image::board::{Board, BoardName};

    #[test]
    fn only_an_incomplete_image_is_warned_of() {
        let board = |name: &str| -> &'static Board { name.parse::<BoardName>().unwrap().0 };
        let warning = |missing: &[&str], name: Option<&str>| {
            let missing: Vec<String> = missing.iter().map(|&text| text.to_owned()).collect();
            super::warning(&missing, name.map(board))
        };
        assert_eq!(warning(&[], Some("rock64")), None);
        assert_eq!(warning(&[], None), None);
        let missing = ["U-Boot", "a device tree"];
        let text = warning(&missing, Some("rpi4")).unwrap();
        assert!(!text.contains("sdbuild init"), "{text}");
        let text = warning(&missing, Some("rock64")).unwrap();
        let start = "a PINE64 ROCK64 cannot start this image, which lacks: U-Boot; a device tree\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("sdbuild init DIR --board rock64"), "{text}");
        let text = warning(&["no root"], None).unwrap();
        assert_eq!(text, "the image does not start: no root");
    }
}
