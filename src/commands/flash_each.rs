//! `flash --each`: writes one image to a card for each of several boards. `boards.toml` lists what belongs to each of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use crate::cli::{self, PutArgs, PutFile};
use crate::commands::Session;
use crate::commands::confirm::agree;
use crate::commands::flash::write;
use crate::commands::put_files::PutFiles;
use crate::commands::several::Table;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_image::flash::{self, DiskInventory, SysRoot};

/// The list of boards, in the current directory.
const LIST: &str = "boards.toml";
/// Bytes of the list.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// What belongs to one board, as the flags of `personalise` say it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Board {
    put: Vec<PutFile>,
    hostname: Option<String>,
    ssh_key: Vec<PathBuf>,
    host_key: Option<PathBuf>,
    wifi: Option<String>,
    wifi_passphrase: Option<PathBuf>,
}

impl Board {
    /// What is put onto its card: its own files, and those that the flags name for every board.
    fn with(self, name: &str, common: &PutArgs) -> PutArgs {
        PutArgs {
            files: [common.files.clone(), self.put].concat(),
            hostname: self.hostname.or_else(|| common.hostname.clone()),
            ssh_key: [common.ssh_key.clone(), self.ssh_key].concat(),
            host_key: self.host_key.or_else(|| common.host_key.clone()),
            wifi: self.wifi.or_else(|| common.wifi.clone()),
            wifi_passphrase: self
                .wifi_passphrase
                .or_else(|| common.wifi_passphrase.clone()),
            board: Some(name.to_owned()),
        }
    }
}

/// Writes a card for each board that `args` name, one after the other in the same disk. One that fails does not stop the others.
pub(super) async fn write_each(
    image: &Path,
    device: &Path,
    args: &cli::Flash,
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { context, .. } = session;
    let text = plain_file::read_text(Path::new(LIST), MAX_LIST_BYTES);
    let text = text.or_usage(format!("read {LIST}"))?;
    let boards = chosen(&text, &args.each, &args.put)?;
    // What cannot be read is told before the first card is written.
    for (name, put) in &boards {
        PutFiles::read(put)
            .map_err(|failure| failure.context(format!("read the files of {name}")))?;
    }
    let mut table = Table::default();
    let mut last: Option<(&str, Option<u64>)> = None;
    for (name, put) in &boards {
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
                next_card(name, device, image, last, session).await?;
            }
            write(image, device, args, put, session).await
        };
        let done = Box::pin(work).await;
        if done.is_ok() {
            last = Some((name, sequence(device, image)));
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

/// What is put onto the cards of the boards `names`, which the list `text` has; `common` is for each of them.
fn chosen(
    text: &str,
    names: &[String],
    common: &PutArgs,
) -> Result<Vec<(String, PutArgs)>, Failure> {
    let listed: Result<BTreeMap<String, Board>, _> = toml::from_str(text);
    let mut listed = listed.map_err(|error| {
        Failure::usage(error.to_string().trim_end().to_owned())
            .consequence(format!("{LIST} is not valid"))
    })?;
    let known: Vec<String> = listed.keys().cloned().collect();
    let board = |name: &String| {
        let board = listed.remove(name).ok_or_else(|| {
            let why = if known.contains(name) {
                "is named twice"
            } else {
                "is no board of this list"
            };
            Failure::usage(format!("{name} {why}"))
                .context(format!("read {LIST}"))
                .hint(format!("it has {}", known.join(", ")))
        })?;
        let put = board.with(name, common);
        if put.files.iter().any(|file| file.from == Path::new("-")) {
            return Err(Failure::usage(
                "standard input is for one card, and --each writes several",
            ));
        }
        Ok((name.clone(), put))
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
        match last {
            Some((before, known)) if known.is_some() && known == sequence(device, image) => {
                let text = format!("{shown} still has the card of {before}");
                context.events.notice(text);
            }
            _ => return Ok(()),
        }
    }
}

/// The kernel's number of the card in `device`.
fn sequence(device: &Path, image: &Path) -> Option<u64> {
    let root = SysRoot::here();
    let inventory = DiskInventory::take(&root, image).ok()?;
    flash::find(device, &inventory, &root).ok()?.1.sequence
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
        let all = chosen(list, &names, &common).unwrap();
        let [(barn, of_barn), (_, of_kitchen)] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!((barn.as_str(), of_barn.files.len()), ("barn", 1));
        assert_eq!(of_barn.host_key.as_deref(), Some(Path::new("generate")));
        assert_eq!(of_kitchen.host_key.as_deref(), Some(Path::new("k")));
        assert_eq!(of_kitchen.hostname.as_deref(), Some("kitchen"));
        assert_eq!(of_kitchen.files[1].mode, Some(0o600));
    }

    #[test]
    fn what_is_wrong_in_the_list_is_refused() {
        let refused = |list: &str, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let failure = chosen(list, &names, &PutArgs::default()).unwrap_err();
            assert_eq!(failure.class, Class::Usage, "{failure}");
        };
        refused("[a]\n", &["b"]);
        refused("[a]\n", &["a", "a"]);
        refused("[a]\nhost_key = \"k\"\n", &["a"]);
        refused("[a]\nput = [\"k\"]\n", &["a"]);
        refused("[a]\nput = [\"-:/k\"]\n", &["a"]);
        refused("a = 1\n", &["a"]);
    }
}
