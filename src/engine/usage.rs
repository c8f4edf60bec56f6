//! How large our volumes are. Engines before API 1.52 say so in a shape that bollard does not read, so
//! this one question is asked by hand. It is nice to know and nothing more: no answer is no size.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::engine::{Endpoint, Engine};

/// Engines count the bytes of every volume to answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// A thousand volumes are half a megabyte.
const LARGEST: u64 = 64 << 20;
/// The last API that answers in the shape below.
const OLD_SHAPE: u32 = 47;

#[derive(Deserialize)]
struct Usage {
    #[serde(rename = "Volumes")]
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
struct Volume {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "UsageData")]
    usage: Option<Size>,
}

#[derive(Deserialize)]
struct Size {
    #[serde(rename = "Size")]
    size: i64,
}

impl Engine {
    /// Bytes by volume name, as far as the engine tells.
    pub(super) async fn volume_sizes(&self) -> HashMap<String, u64> {
        let minor = self.facts().api.1.min(OLD_SHAPE);
        // HTTP 1.0: the answer comes in one piece and ends with the connection.
        let request =
            format!("GET /v1.{minor}/system/df?type=volume HTTP/1.0\r\nHost: engine\r\n\r\n");
        let answer = async {
            match self.endpoint() {
                Endpoint::Unix(path) => ask(UnixStream::connect(path).await?, &request).await,
                Endpoint::Tcp(address) => ask(TcpStream::connect(address).await?, &request).await,
            }
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => sizes(&answer),
            Ok(Err(_)) | Err(_) => HashMap::new(),
        }
    }
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn sizes(answer: &[u8]) -> HashMap<String, u64> {
    let body = answer
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .and_then(|at| answer.get(at + 4..));
    let usage = body.and_then(|body| serde_json::from_slice::<Usage>(body).ok());
    let volumes = usage.and_then(|usage| usage.volumes).unwrap_or_default();
    let size = |volume: Volume| Some((volume.name, u64::try_from(volume.usage?.size).ok()?));
    volumes.into_iter().filter_map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::sizes;

    #[test]
    fn sizes_are_read() {
        let answer = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{\"LayersSize\":1,\"Volumes\":[\
            {\"Name\":\"a\",\"UsageData\":{\"Size\":12,\"RefCount\":0}},\
            {\"Name\":\"b\",\"UsageData\":{\"Size\":-1,\"RefCount\":-1}},{\"Name\":\"c\"}]}";
        assert_eq!(sizes(answer), [("a".to_owned(), 12)].into());
    }

    #[test]
    fn anything_else_is_no_size() {
        for answer in [
            &b""[..],
            b"HTTP/1.0 404 x\r\n\r\n{\"message\":\"no\"}",
            b"\r\n\r\n{\"Volumes\":null}",
        ] {
            assert!(sizes(answer).is_empty());
        }
    }
}
