//! Answers of EC2 that come in several pages.

use super::client::Client;
use super::error::Error;
use super::query::Params;
use super::xml::optional;

/// More pages of a list are not read: each has up to a thousand objects.
const MAX_PAGES: usize = 50;

/// The pages of one list.
pub(super) struct Pages<'a> {
    client: &'a Client,
    action: &'static str,
    params: Params,
    /// The token of the next page; `None` before the first one.
    token: Option<String>,
    read: usize,
    is_complete: bool,
}

impl Client {
    /// The pages of the list that `action` returns.
    pub(super) fn pages(&self, action: &'static str, params: Params) -> Pages<'_> {
        Pages {
            client: self,
            action,
            params,
            token: None,
            read: 0,
            is_complete: false,
        }
    }
}

impl Pages<'_> {
    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Error> {
        if self.is_complete {
            return Ok(None);
        }
        self.read += 1;
        if self.read > MAX_PAGES {
            return Err(Error::Unexpected {
                action: self.action,
                what: format!("more than {MAX_PAGES} pages"),
            });
        }
        let mut params = self.params.clone();
        if let Some(token) = self.token.take() {
            params.push(("NextToken".to_owned(), token));
        }
        let body = self.client.query_list(self.action, &params).await?;
        self.token = optional(&body, "nextToken");
        self.is_complete = self.token.is_none();
        Ok(Some(body))
    }
}
