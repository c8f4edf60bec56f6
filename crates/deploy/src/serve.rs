//! The store of a machine, by the protocol of `nix-store --serve`, which `nix copy --to ssh://` speaks too: the paths that it lacks are
//! found in one question and added one after the other. The machine compares each archive with its hash, and keeps what is complete;
//! no garbage collection removes what was asked about while the connection lasts.
//!
//! Numbers are 64 bits, little-endian. Texts have their length before them and zeros after them, up to a multiple of eight bytes.

use std::collections::BTreeSet;
use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::closure::PathInfo;
use crate::store_path::StorePath;

/// What the client begins with (`SERVE_MAGIC_1` of Nix).
const CLIENT_MAGIC: u64 = 0x390c_9deb;
/// What the server answers (`SERVE_MAGIC_2`).
const SERVER_MAGIC: u64 = 0x5452_eecb;
/// Version 2.6 of the protocol, which Nix has spoken since 2.0; 2.5 is the first one that adds paths with their hash.
const VERSION: u64 = 2 << 8 | 6;
const MIN_MINOR: u64 = 5;
/// The command that says which paths are there (`QueryValidPaths`).
const QUERY_VALID_PATHS: u64 = 1;
/// The command that adds a path (`AddToStoreNar`).
const ADD_TO_STORE_NAR: u64 = 9;
/// What a path that was added is answered with.
const ADDED: u64 = 1;
/// Bytes of a text that is read.
const MAX_TEXT: u64 = 4096;

/// The store of a machine.
#[derive(Debug)]
pub struct Store<R, W> {
    from: R,
    to: W,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Store<R, W> {
    /// Greets the server that reads `to` and writes `from`.
    pub(crate) async fn open(mut from: R, mut to: W) -> io::Result<Self> {
        let mut greeting = Message::default();
        greeting.number(CLIENT_MAGIC).number(VERSION);
        greeting.send(&mut to).await?;
        if from.read_u64_le().await? != SERVER_MAGIC {
            return Err(invalid("it is not the store of a Nix"));
        }
        let version = from.read_u64_le().await?;
        if version >> 8 != VERSION >> 8 || version & 0xff < MIN_MINOR {
            return Err(invalid("its Nix is too old"));
        }
        Ok(Self { from, to })
    }

    /// Those of `paths` that the store has; with `keep` it keeps them from now on. With `fetch` it first fetches what its own binary
    /// caches have.
    pub(crate) async fn valid(
        &mut self,
        paths: &[&StorePath],
        keep: bool,
        fetch: bool,
    ) -> io::Result<BTreeSet<StorePath>> {
        let mut message = Message::default();
        message
            .number(QUERY_VALID_PATHS)
            .number(keep.into())
            .number(fetch.into());
        message.texts(paths.iter().map(|path| path.as_str()));
        message.send(&mut self.to).await?;
        let count = self.from.read_u64_le().await?;
        if count > paths.len() as u64 {
            return Err(invalid("it has more paths than were asked about"));
        }
        let mut valid = BTreeSet::new();
        for _ in 0..count {
            let path = self.text().await?;
            valid.insert(
                path.parse()
                    .map_err(|error| invalid(format!("{path:?} {error}")))?,
            );
        }
        Ok(valid)
    }

    /// Adds the path of `info`, whose archive comes next from `archives`; `sent` gets the bytes of each part.
    pub(crate) async fn add(
        &mut self,
        info: &PathInfo,
        archives: &mut Archives,
        mut sent: impl FnMut(u64),
    ) -> io::Result<()> {
        let mut message = Message::default();
        message.number(ADD_TO_STORE_NAR).text(info.path.as_str());
        message.text(info.deriver.as_ref().map_or("", StorePath::as_str));
        message.text(&info.nar_hash);
        message.texts(info.references.iter().map(StorePath::as_str));
        // The time of the registration: that of the machine. The last number: whether it was built there.
        message.number(0).number(info.nar_size).number(0);
        // No signatures, and no hash that its name is made of.
        message.texts([].into_iter()).text("");
        message.send(&mut self.to).await?;
        let mut rest = info.nar_size;
        while rest > 0 {
            let part = archives.next(rest).await?;
            self.to.write_all(&part).await?;
            rest -= part.len() as u64;
            sent(part.len() as u64);
        }
        self.to.flush().await?;
        if self.from.read_u64_le().await? != ADDED {
            return Err(invalid(format!("it did not add {}", info.path)));
        }
        Ok(())
    }

    async fn text(&mut self) -> io::Result<String> {
        let length = self.from.read_u64_le().await?;
        let length = usize::try_from(length).ok().filter(|_| length <= MAX_TEXT);
        let length = length.ok_or_else(|| invalid("its text is too long"))?;
        let mut bytes = vec![0; length.next_multiple_of(8)];
        self.from.read_exact(&mut bytes).await?;
        bytes.truncate(length);
        String::from_utf8(bytes).map_err(|_| invalid("its text is not UTF-8"))
    }
}

/// Archives that come one behind the other, in parts of any length.
#[derive(Debug)]
pub(crate) struct Archives {
    parts: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Archives {
    /// Those in `parts`.
    pub(crate) fn new(parts: mpsc::Receiver<Bytes>) -> Self {
        Self {
            parts,
            rest: Bytes::new(),
        }
    }

    /// The next bytes, at least one and at most `limit`.
    async fn next(&mut self, limit: u64) -> io::Result<Bytes> {
        while self.rest.is_empty() {
            let next = self.parts.recv().await;
            self.rest = next.ok_or_else(|| invalid("the archive is cut off"))?;
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.rest.split_to(self.rest.len().min(limit)))
    }
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// A message before it is sent.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self
    }

    fn texts<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a str>) -> &mut Self {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
        self
    }

    async fn send(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        to.write_all(&self.0).await?;
        to.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::fixture::path;

    /// A store that a server answers to with `answers`, and what was sent to that server.
    async fn talk<T>(
        answers: &[u8],
        work: impl AsyncFnOnce(Store<&[u8], &mut Vec<u8>>) -> T,
    ) -> (io::Result<T>, Vec<u8>) {
        let mut sent = Vec::new();
        let done = match Store::open(answers, &mut sent).await {
            Ok(store) => Ok(work(store).await),
            Err(error) => Err(error),
        };
        (done, sent)
    }

    fn message(parts: &[u64]) -> Message {
        let mut message = Message::default();
        for part in parts {
            message.number(*part);
        }
        message
    }

    #[tokio::test]
    async fn paths_are_asked_about_and_added() {
        let (one, two) = (path('1', "a-1"), path('2', "b-2"));
        let mut answers = message(&[SERVER_MAGIC, 2 << 8 | 7, 1]);
        answers.text(one.as_str()).number(ADDED);
        let info = PathInfo {
            path: two.clone(),
            nar_hash: "ab".to_owned(),
            nar_size: 5,
            deriver: None,
            references: vec![one.clone()],
        };
        let (sender, receiver) = mpsc::channel(4);
        for part in ["ab", "cdefgh"] {
            sender.send(Bytes::from(part)).await.unwrap();
        }
        let mut archives = Archives::new(receiver);
        let (done, sent) = talk(&answers.0, async |mut store| {
            let valid = store.valid(&[&one, &two], true, true).await.unwrap();
            assert_eq!(valid, BTreeSet::from([one.clone()]));
            let mut bytes = 0;
            store
                .add(&info, &mut archives, |part| bytes += part)
                .await
                .unwrap();
            bytes
        })
        .await;
        assert_eq!(done.unwrap(), 5);
        let mut expected = message(&[CLIENT_MAGIC, VERSION, QUERY_VALID_PATHS, 1, 1]);
        expected.texts([one.as_str(), two.as_str()].into_iter());
        expected
            .number(ADD_TO_STORE_NAR)
            .text(two.as_str())
            .text("")
            .text("ab");
        expected
            .texts([one.as_str()].into_iter())
            .number(0)
            .number(5)
            .number(0)
            .number(0)
            .text("");
        expected.0.extend(b"abcde");
        assert_eq!(sent, expected.0);
        assert_eq!(archives.next(9).await.unwrap(), "fgh");
        drop(sender);
        archives.next(1).await.unwrap_err();
    }

    #[tokio::test]
    async fn other_servers_are_refused() {
        for (answers, why) in [
            (message(&[1, VERSION]), "not the store"),
            (message(&[SERVER_MAGIC, 2 << 8 | 4]), "too old"),
        ] {
            let (done, _) = talk(&answers.0, async |_| ()).await;
            let error = done.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        for (answer, why) in [
            (message(&[2]), "more paths"),
            (message(&[1, 1 << 20]), "too long"),
        ] {
            let mut answers = message(&[SERVER_MAGIC, VERSION]);
            answers.0.extend(answer.0);
            let (done, _) = talk(&answers.0, async |mut store| {
                store
                    .valid(&[&path('1', "a")], true, false)
                    .await
                    .unwrap_err()
                    .to_string()
            })
            .await;
            assert!(done.unwrap().contains(why), "{why}");
        }
    }
}
