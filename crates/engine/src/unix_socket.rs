//! Connecting to Unix sockets whose listener may hang.
//!
//! A blocking connect(2) waits without limit while the listener's queue is full, and no signal that sdbuild handles ends
//! that. Anybody can make such a socket in a directory that is shared, such as `/tmp`.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

/// Connects to the socket `path`, or fails at once: with [`ErrorKind::WouldBlock`] while the listener's queue is full.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(OwnedFd::from(socket).into())
}

/// Whether a process listens on the socket `path`, even if it accepts no connection at present.
pub(crate) fn has_listener(path: &Path) -> io::Result<bool> {
    match connect(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// A listener on `path` that accepts nothing, with a full queue. Dropping it ends that.
    pub(crate) fn hung_listener(path: &Path) -> (Socket, Vec<UnixStream>) {
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let mut queued = Vec::new();
        let full = loop {
            match connect(path) {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        (listener, queued)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_hung_listener_is_still_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let hung = fixture::hung_listener(&at("hung"));
        assert!(has_listener(&at("hung")).unwrap());
        let listener = UnixListener::bind(at("live")).unwrap();
        assert!(has_listener(&at("live")).unwrap());
        drop((hung, listener));
        assert!(!has_listener(&at("hung")).unwrap());
        assert!(!has_listener(&at("live")).unwrap());
        assert!(has_listener(&at("none")).is_err());
    }
}
