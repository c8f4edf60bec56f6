//! Small texts from somewhere in the network that no hash is known of; a user looks at them.

use crate::artifact::Remote;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::pipeline::{Context, images};
use crate::settings::Common;

/// A hundred keys of the largest kind.
const LARGEST: u64 = 512 << 10;

/// The text at `url`.
pub async fn listing(url: &str, common: &Common, context: &Context) -> Result<String, Failure> {
    let images = images::images(common, context)?;
    let remote = Remote {
        url,
        sha256: None,
        limit: LARGEST,
    };
    let got = images.fetcher().url(remote, &context.cancel).await?;
    plain_file::read_text(&got.path, LARGEST).or_environment(format!("read what {url} sent"))
}
