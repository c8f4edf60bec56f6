//! Whether a server answers, and what time it has. Nothing is kept.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Client;
use reqwest::header::{AGE, DATE, HeaderMap};

use super::client::client;
use super::source::reason;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::timeout::timeout;

/// What a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// The time that it had.
    pub date: Option<SystemTime>,
    /// The time that this machine had then.
    pub heard: SystemTime,
}

impl Answer {
    /// Whether it has what was asked for.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Asks servers for the heads of things.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    client: Client,
    limit: Duration,
}

impl HttpProbe {
    /// One that waits no longer than `limit` for each answer.
    pub fn new(limit: Duration) -> Result<Self, Failure> {
        let client = client(|builder| builder);
        Ok(Self {
            client: client.or_environment("prepare questions to servers")?,
            limit,
        })
    }

    /// What the server says about `url`, or why it says nothing.
    pub async fn ask(&self, url: &str) -> Result<Answer, String> {
        // Not reqwest's own limit: that one counts what this process slept through.
        let answer = timeout(self.limit, self.client.head(url).send()).await;
        let answer = answer.ok_or("no answer in time")?;
        let answer = answer.map_err(|error| reason(&error))?;
        Ok(Answer {
            status: answer.status().as_u16(),
            date: date(answer.headers()),
            heard: SystemTime::now(),
        })
    }
}

/// The time of the answer's origin, and how long it lay in a cache since.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = DateTimeParser::new().parse_timestamp(date).ok()?;
    let age = headers.get(AGE).and_then(|age| age.to_str().ok());
    let age = age.and_then(|age| age.trim().parse::<u32>().ok());
    SystemTime::from(date).checked_add(Duration::from_secs(age.unwrap_or(0).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_out_of_a_cache_is_as_old_as_it_says() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, "Thu, 01 Jan 1970 00:01:00 GMT".parse().unwrap());
        assert_eq!(
            date(&headers),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60))
        );
        headers.insert(AGE, "40".parse().unwrap());
        assert_eq!(
            date(&headers),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100))
        );
        headers.insert(DATE, "soon".parse().unwrap());
        assert_eq!(date(&headers), None);
    }
}
