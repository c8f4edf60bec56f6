//! What an image has in place of a path that cannot be shown.

use std::path::Path;

use super::boot::BootReport;
use super::entry::EntryKind;
use super::place::{ImagePath, parse};
use super::report::Layout;

/// The directory that NixOS fills from its system when it starts.
const MADE_AT_START: &str = "/etc";

/// What an image has in place of a path; its text is a path for `ls` or `cat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nearby {
    /// The directory that the path names, or the nearest one above it.
    Directory(String),
    /// The file of the NixOS system from which the path is made when it starts.
    Source(String),
}

impl Nearby {
    /// What there is in place of `text`; `None` if no file system has anything of it.
    pub fn find(text: &str, layout: &Layout) -> Option<Self> {
        let (number, path) = parse(text);
        let path = format!("/{}", path.trim_start_matches('/'));
        let made_from = || {
            let in_start = Path::new(&path).starts_with(MADE_AT_START);
            let system = BootReport::find(&layout.volumes).ok()?.system.path;
            let system = system.filter(|_| in_start)?;
            let limit = format!("{system}{MADE_AT_START}");
            nearest(&format!("{system}{path}"), &limit, number, layout)
        };
        let of_system = number.is_none().then(made_from).flatten();
        of_system.or_else(|| match nearest(&path, "/", number, layout)? {
            directory @ Self::Directory(_) => Some(directory),
            // It is there, and is not shown for another reason.
            Self::Source(_) => None,
        })
    }
}

/// The file or directory at `path`, or the nearest directory above it, down from `limit`, on the partition `number` if there is one.
fn nearest(path: &str, limit: &str, number: Option<u32>, layout: &Layout) -> Option<Nearby> {
    let above = Path::new(path).ancestors().enumerate();
    let above = above.take_while(|(_, above)| above.starts_with(limit));
    above
        .filter_map(|(distance, above)| Some((distance, above.to_str()?)))
        .find_map(|(distance, above)| {
            let text = match number {
                Some(number) => format!("{number}:{above}"),
                None => above.to_owned(),
            };
            let place = ImagePath::find(&text, layout).ok()?;
            match place.volume(layout).ok()?.fs.find(&place.path).ok()?? {
                EntryKind::Directory => Some(Nearby::Directory(text)),
                EntryKind::File if distance == 0 => Some(Nearby::Source(text)),
                EntryKind::File | EntryKind::Link | EntryKind::Special => None,
            }
        })
}
