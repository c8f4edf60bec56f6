//! `flash --each`: writes one image to a card for each of several boards. A list has what belongs to each of them: `boards.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use crate::cli::{self, PutArgs};
use crate::commands::Session;
use crate::commands::confirm::agree;
use crate::commands::flash::{Card, write};
use crate::commands::put_files::{Given, PutFiles};
use crate::commands::put_onto::ImageDisk;
use crate::commands::put_place::Place;
use crate::commands::several::Table;
use crate::settings::parse_toml;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_image::flash::{self, Disk, DiskInventory, SysRoot};

/// Bytes of the list.
const MAX_LIST_BYTES: u64 = 64 << 10;

/// What is put onto the card of a board: what the flags name for every board, unless the list has another one for it, and its `own`
/// files, which are in `place`.
fn given(own: PutArgs, mut common: PutArgs, place: &Place) -> Vec<Given> {
    if own.hostname.is_some() {
        common.hostname = None;
    }
    if own.host_key.is_some() {
        common.host_key = None;
    }
    if own.wifi.is_some() {
        (common.wifi, common.wifi_passphrase) = (None, None);
    }
    let place = place.clone();
    vec![Given::by_user(common), Given { args: own, place }]
}

/// A board that gets a card.
#[derive(Clone, Debug)]
struct Chosen {
    name: String,
    given: Vec<Given>,
}

/// Writes a card for each board that `args` name, one after the other in the same disk. One that fails does not stop the others.
pub(super) async fn write_each(
    image: &Path,
    device: &Path,
    args: &cli::Flash,
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { context, .. } = session;
    let list = &args.boards;
    let operation = format!("read {}", list.display());
    let text = plain_file::read_text(list, MAX_LIST_BYTES).or_usage(&operation)?;
    let boards = chosen(&text, &args.each, &args.put, &Place::of_list(list)?);
    let boards = boards.map_err(|failure| failure.context(operation))?;
    check_files(&boards, session).await?;
    let mut table = Table::default();
    let mut before: Option<(&str, Option<u64>)> = None;
    let disk = ImageDisk::new();
    for Chosen { name, given } in &boards {
        if context.cancel.is_cancelled() {
            let text = "not begun: interrupted";
            table.add(
                name.clone(),
                None,
                Err(Failure::message(Class::Interrupted, text)),
            );
            continue;
        }
        let start = Instant::now();
        let work = async {
            if table.is_begun() {
                next_card(name, device, image, before, session).await?;
            }
            let card = Card {
                image,
                device,
                args,
                given,
                board: Some(name),
                disk: &disk,
            };
            write(card, session).await
        };
        let done = Box::pin(work).await;
        if done.is_ok() {
            before = Some((name, card_in(device, image).and_then(|card| card.sequence)));
        }
        table.add(name.clone(), Some(start.elapsed()), done);
    }
    for line in table.lines() {
        context.events.notice(line);
    }
    let failed = table.failed().join(",");
    table.worst().map_or(Ok(()), |failure| {
        let again = format!("to write only what is missing: --each {}", quoted(&failed));
        Err(failure.hint(again))
    })
}

/// Reads the files of all `boards`: what cannot be read is told before the first card is written.
async fn check_files(boards: &[Chosen], session: Session<'_>) -> Result<(), Failure> {
    let boards = boards.to_owned();
    let check = move || {
        boards.iter().try_for_each(|Chosen { name, given }| {
            let read = PutFiles::read(given).map(drop);
            read.map_err(|failure| failure.context(format!("read the files of {name}")))
        })
    };
    let cancel = &session.context.cancel;
    let checked = cancel.race(tokio::task::spawn_blocking(check)).await?;
    checked.or_internal("read the files")?
}

/// The boards `names` of the list `text`, whose files are in `place`; `common` is put onto the card of each of them.
fn chosen(
    text: &str,
    names: &[String],
    common: &PutArgs,
    place: &Place,
) -> Result<Vec<Chosen>, Failure> {
    let mut listed: BTreeMap<String, PutArgs> = parse_toml(text)?;
    let known: Vec<String> = listed.keys().cloned().collect();
    let board = |name: &String| {
        let board = listed.remove(name).ok_or_else(|| {
            let why = if known.contains(name) {
                "is named twice"
            } else {
                "is no board of this list"
            };
            let failure = Failure::usage(format!("{name} {why}"));
            failure.hint(format!("it has {}", known.join(", ")))
        })?;
        if board.wifi.is_none() && board.wifi_passphrase.is_some() {
            let text = format!("{name} has a wifi-passphrase without wifi");
            return Err(Failure::usage(text));
        }
        let given = given(board, common.clone(), place);
        let mut files = given.iter().flat_map(|given| &given.args.files);
        if files.any(|file| file.from == Path::new("-")) {
            return Err(Failure::usage(
                "standard input is for one card, and --each writes several",
            ));
        }
        let name = name.clone();
        Ok(Chosen { name, given })
    };
    names.iter().map(board).collect()
}

/// Waits until the card of `name` is in `device`, in place of that of the `last` board, if the kernel tells cards apart.
async fn next_card(
    name: &str,
    device: &Path,
    image: &Path,
    last: Option<(&str, Option<u64>)>,
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
    let shown = device.display();
    loop {
        let text =
            format!("sdbuild cannot ask for the card of {name}, because this is not a terminal");
        let unasked =
            Failure::usage(text).hint(format!("insert it, and run this again with --each {name}"));
        let question = format!("Insert the card of {name} into {shown}. Is it there?");
        agree(
            question,
            "nothing was written: the answer was no",
            unasked,
            ui,
            context,
        )
        .await?;
        let Some(card) = card_in(device, image) else {
            context
                .events
                .notice(format!("there is no card in {shown}"));
            continue;
        };
        match last {
            Some((before, known)) if known.is_some() && known == card.sequence => {
                let text = format!("{shown} still has the card of {before}");
                context.events.notice(text);
            }
            _ => return Ok(()),
        }
    }
}

/// The card in `device`, if there is one.
fn card_in(device: &Path, image: &Path) -> Option<Disk> {
    let root = SysRoot::here();
    let inventory = DiskInventory::take(&root, image).ok()?;
    let (_, disk) = flash::find(device, &inventory, &root).ok()?;
    (disk.size > 0).then_some(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_has_its_own_files_and_those_of_all() {
        let list = "[kitchen]\nhostname = \"kitchen\"\nput = [\"wifi:/etc/wifi:0600\"]\nhost-key = \"k\"\n[barn]\n";
        let common = PutArgs {
            files: vec!["all:/srv/all".parse().unwrap()],
            host_key: Some("generate".into()),
            ..PutArgs::default()
        };
        let names = ["barn", "kitchen"].map(str::to_owned);
        let place = Place::Below("/list".into());
        let all = chosen(list, &names, &common, &place).unwrap();
        let [barn, kitchen] = &all[..] else {
            panic!("{all:?}")
        };
        let [all, own] = &barn.given[..] else {
            panic!("{barn:?}")
        };
        assert_eq!((barn.name.as_str(), all.args.files.len()), ("barn", 1));
        assert_eq!(all.args.host_key.as_deref(), Some(Path::new("generate")));
        assert!(own.args.is_empty());
        let [all, own] = &kitchen.given[..] else {
            panic!("{kitchen:?}")
        };
        assert!(all.args.host_key.is_none() && matches!(all.place, Place::Anywhere));
        assert_eq!(own.args.host_key.as_deref(), Some(Path::new("k")));
        assert_eq!(own.args.hostname.as_deref(), Some("kitchen"));
        assert_eq!(own.args.files[0].mode, Some(0o600));
        assert!(matches!(&own.place, Place::Below(dir) if dir == Path::new("/list")));
    }

    #[test]
    fn what_is_wrong_in_the_list_is_refused() {
        let refused = |list: &str, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let failure = chosen(list, &names, &PutArgs::default(), &Place::Anywhere).unwrap_err();
            assert_eq!(failure.class, Class::Usage, "{failure}");
        };
        refused("[a]\n", &["b"]);
        refused("[a]\n", &["a", "a"]);
        refused("[a]\nhost_key = \"k\"\n", &["a"]);
        refused("[a]\nput = [\"k\"]\n", &["a"]);
        refused("[a]\nput = [\"-:/k\"]\n", &["a"]);
        refused("[a]\nwifi-passphrase = \"k\"\n", &["a"]);
        refused("a = 1\n", &["a"]);
    }
}
