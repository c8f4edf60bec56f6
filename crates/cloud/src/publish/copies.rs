//! Copies of an image in other regions.

use serde::Serialize;

use crate::aws::{Client, ImageCopy};
use crate::publish::existing::{offer, published_before, wait};
use crate::publish::plan::Plan;
use crate::publish::token;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// A copy of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionCopy {
    /// The region that it is in.
    pub region: String,
    /// Its id.
    pub image: String,
}

/// Has `image` copied to each region that was asked for, and returns the copies. AWS copies all of them at once; if it was asked for,
/// they are waited for, and shared and deprecated like the image.
pub(super) async fn make(
    plan: &Plan,
    client: &Client,
    image: &str,
    context: &Context,
) -> Result<Vec<RegionCopy>, Failure> {
    let mut copies = Vec::new();
    for region in &plan.request.copy_to {
        copies.push(RegionCopy {
            region: region.clone(),
            image: start(plan, client, image, region).await?,
        });
    }
    if plan.request.wait {
        for RegionCopy { region, image } in &copies {
            let there = client.in_region(region);
            let finished = finish(plan, &there, image, context).await;
            finished.map_err(|failure| failure.context(format!("copy it to {region}")))?;
        }
    }
    Ok(copies)
}

/// The copy of `image` in `region`, which may be there already.
async fn start(plan: &Plan, client: &Client, image: &str, region: &str) -> Result<String, Failure> {
    let there = client.in_region(region);
    if let Some(copy) = published_before(plan, &there).await? {
        return Ok(copy.id);
    }
    // Another one for each copy: EC2 would take one of the image, region and name for that of a copy that was removed since, and refuses one
    // with other parameters, such as those of an image that was removed and published again.
    let token = token::random()?;
    let tags = plan.tags();
    let copy = ImageCopy {
        source: image,
        region: client.region(),
        name: &plan.name,
        token: &token,
        tags: &tags,
    };
    Ok(there.copy_image(&copy).await?)
}

async fn finish(plan: &Plan, there: &Client, copy: &str, context: &Context) -> Result<(), Failure> {
    let what = format!("AWS copies it to {}", there.region());
    let image = wait(there, copy, &what, context).await?;
    offer(plan, there, &image).await
}
