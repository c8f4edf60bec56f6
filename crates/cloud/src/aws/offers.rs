//! What machines cost, where they are offered, and what they start from.

use jiff::Timestamp;
use serde_json::json;

use super::client::Client;
use super::error::Error;
use super::query::Params;
use super::xml::{parsed, text};

/// The price of a spot instance.
#[derive(Clone, Debug, PartialEq)]
pub struct SpotPrice {
    /// For instance `c7g.xlarge`.
    pub instance_type: String,
    /// The availability zone.
    pub zone: String,
    /// US dollars an hour.
    pub usd: f64,
}

impl Client {
    /// What spot instances of the types `types` cost now, in each zone where there are some.
    pub async fn spot_prices(&self, types: &[String]) -> Result<Vec<SpotPrice>, Error> {
        let action = "DescribeSpotPriceHistory";
        let mut params: Params = (1..)
            .zip(types)
            .map(|(n, name)| (format!("InstanceType.{n}"), name.clone()))
            .collect();
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // A history that begins now has the prices that are valid now.
        params.push(("StartTime".to_owned(), now));
        params.push(("ProductDescription.1".to_owned(), "Linux/UNIX".to_owned()));
        let mut found = Vec::new();
        let mut pages = self.pages(action, params);
        while let Some(body) = pages.next().await? {
            let page = parsed(action, &body, "spotPriceHistorySet", |item| {
                Some(SpotPrice {
                    instance_type: text(item, "instanceType")?,
                    zone: text(item, "availabilityZone")?,
                    usd: price(&text(item, "spotPrice")?)?,
                })
            })?;
            found.extend(page);
        }
        Ok(found)
    }

    /// The value of the parameter `name` that AWS keeps for everybody, for instance the newest image of a system.
    pub async fn public_parameter(&self, name: &str) -> Result<String, Error> {
        let action = "GetParameter";
        let parameters = json!({ "Name": name });
        let answer = self.query_json("ssm", "AmazonSSM", action, &parameters);
        let answer = answer.await?;
        let value = answer
            .pointer("/Parameter/Value")
            .and_then(|value| value.as_str());
        value.map(str::to_owned).ok_or_else(|| Error::Unexpected {
            action,
            what: "no value".to_owned(),
        })
    }
}

/// A price in US dollars; `None` for what is none.
fn price(text: &str) -> Option<f64> {
    let usd: f64 = text.parse().ok()?;
    (usd.is_finite() && usd > 0.0).then_some(usd)
}
