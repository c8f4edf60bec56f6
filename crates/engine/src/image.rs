//! Container images: inspect, load, pull, remove.

use std::collections::HashMap;

use bollard::models::ImageInspect;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptions, ListImagesOptionsBuilder, RemoveImageOptions,
};
use futures_util::{StreamExt, TryStreamExt};
use sdbuild_core::system::ReportedArchitecture;
use tokio_util::io::ReaderStream;

use crate::archive::CHUNK_BYTES;
use crate::client::{Engine, request};
use crate::error::{EngineError, MayBeMissing as _, at};
use crate::inventory::unix_seconds;
use crate::labels;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// The engine's id. It differs between image stores for the same content: compare `layers` instead.
    pub id: String,
    pub tags: Vec<String>,
    /// Digests of its uncompressed layers, `sha256:…`.
    pub layers: Vec<String>,
    pub labels: HashMap<String, String>,
    pub size: u64,
    /// The user that its containers run as.
    pub user: Option<String>,
    /// Whose programs are in it: `x86_64`, `aarch64`, or as the engine says.
    pub architecture: Option<ReportedArchitecture>,
    /// Its environment, `KEY=value`.
    pub env: Vec<String>,
    /// When it was loaded into the engine, in seconds since 1970, if the engine reports it. The creation time is no help:
    /// sdbuild's images are reproducible.
    pub loaded: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    /// So many bytes of the archive were sent.
    Sent(u64),
    /// The engine has unpacked so many bytes of the layers. Podman, and Docker with containerd's image store, do not say.
    Unpacked(u64),
}

impl Engine {
    /// The image with the name or id `reference`, `None` if the engine has none.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError> {
        let inspect = self.docker.inspect_image(reference);
        let found = request(format!("inspect container image {reference}"), inspect).await;
        Ok(found.if_exists()?.map(image_info))
    }

    /// Loads an image archive; `progress` is called with what happens to it. Success does not mean that the image exists:
    /// inspect it afterwards.
    pub async fn load_image(
        &self,
        archive: tokio::fs::File,
        progress: impl Fn(Loading) + Send + Sync + Clone + 'static,
    ) -> Result<(), EngineError> {
        let bytes = ReaderStream::with_capacity(archive, CHUNK_BYTES);
        let operation = "load container image";
        let (mut sent, report) = (0, progress.clone());
        let bytes = bytes.inspect_ok(move |chunk| {
            sent += chunk.len() as u64;
            report(Loading::Sent(sent));
        });
        let body = bollard::body_try_stream(bytes);
        let options = ImportImageOptions::default();
        let mut answers = self.docker.import_image(options, body, None);
        let load = async {
            let mut layers = HashMap::new();
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(at(operation))?;
                // bollard reads only `errorDetail`: an answer with `error` alone arrives without content.
                if answer == bollard::models::BuildInfo::default() || answer.error_detail.is_some()
                {
                    let message = "refused without a reason".to_owned();
                    return Err(EngineError::Refused {
                        operation: operation.into(),
                        status: 200,
                        message,
                    });
                }
                let current = answer.progress_detail.and_then(|detail| detail.current);
                if let (Some(layer), Some(current)) = (answer.id, current) {
                    layers.insert(layer, u64::try_from(current).unwrap_or(0));
                    progress(Loading::Unpacked(layers.values().sum()));
                }
            }
            Ok(())
        };
        self.while_responsive(operation, load).await
    }

    /// Pulls an image from its registry; `progress` is called with the bytes received so far and, once known, the total.
    pub async fn pull_image(
        &self,
        reference: &str,
        mut progress: impl FnMut(u64, Option<u64>),
    ) -> Result<(), EngineError> {
        let operation = format!("pull container image {reference}");
        let options = CreateImageOptionsBuilder::default()
            .from_image(&with_tag(reference))
            .build();
        let docker = &self.docker;
        let mut answers = docker.create_image(Some(options), None, None);
        let pull = async {
            let mut layers = HashMap::new();
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(at(operation.clone()))?;
                let detail = answer.progress_detail.unwrap_or_default();
                // `Extracting` counts the same bytes a second time.
                let downloading = answer.status.as_deref() == Some("Downloading");
                if let (true, Some(layer), Some(current)) = (downloading, answer.id, detail.current)
                {
                    layers.insert(layer, (current, detail.total.unwrap_or(current)));
                    let add = |(done, all): (i64, i64), (current, total): &(i64, i64)| {
                        (done.saturating_add(*current), all.saturating_add(*total))
                    };
                    let (done, total) = layers.values().fold((0, 0), add);
                    progress(u64::try_from(done).unwrap_or(0), u64::try_from(total).ok());
                }
            }
            Ok(())
        };
        self.while_responsive(&operation, pull).await
    }

    /// The images that sdbuild assembled, their own names first among their tags.
    pub async fn our_images(&self) -> Result<Vec<ImageInfo>, EngineError> {
        let filters = HashMap::from([("label", vec![labels::DEFINITION])]);
        let options = ListImagesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let list = self.docker.list_images(Some(options));
        let listed = request("list container images", list).await?;
        let mut images = Vec::with_capacity(listed.len());
        for found in listed {
            let image = self.image(&found.id).await?;
            images.extend(image.filter(|image| image.our_tags().next().is_some()));
        }
        for image in &mut images {
            let ours = image.our_tags().map(str::to_owned).collect::<Vec<_>>();
            image.tags.sort_by_key(|tag| !ours.contains(tag));
        }
        Ok(images)
    }

    /// Removes sdbuild's names from an image that sdbuild made, and with its last name the image. An image that a user
    /// has tagged too stays under that name. A missing image is a success; any other image is [`EngineError::NotOurs`].
    pub async fn remove_image(&self, id: &str) -> Result<(), EngineError> {
        let operation = format!("remove container image {id}");
        let Some(image) = self.image(id).await? else {
            return Ok(());
        };
        if image.our_tags().next().is_none() {
            return Err(EngineError::NotOurs { operation });
        }
        let docker = &self.docker;
        for tag in image.our_tags() {
            let removed = docker.remove_image(tag, None::<RemoveImageOptions>, None);
            removed.await.map_err(at(operation.clone())).if_exists()?;
        }
        Ok(())
    }
}

impl ImageInfo {
    /// The names that sdbuild gave it. The labels alone do not identify an image of sdbuild's: images that a user builds
    /// on top of one inherit them.
    fn our_tags(&self) -> impl Iterator<Item = &str> {
        let name = labels::image_name(&self.labels);
        let is_ours = move |tag: &&str| {
            // Docker omits its own registry in names, Podman adds `localhost` to loaded images.
            let bare = ["localhost/", "docker.io/"]
                .iter()
                .find_map(|registry| tag.strip_prefix(registry));
            name.as_deref() == Some(bare.unwrap_or(tag))
        };
        self.tags.iter().map(String::as_str).filter(is_ours)
    }
}

/// `reference` with a tag: without one an engine pulls every tag.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

fn image_info(found: ImageInspect) -> ImageInfo {
    let config = found.config.unwrap_or_default();
    ImageInfo {
        id: found.id.unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        layers: found.root_fs.and_then(|fs| fs.layers).unwrap_or_default(),
        labels: config.labels.unwrap_or_default(),
        size: found.size.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        user: config.user.filter(|user| !user.is_empty()),
        architecture: found
            .architecture
            .filter(|name| !name.is_empty())
            .map(|name| (&*name).into()),
        env: config.env.unwrap_or_default(),
        loaded: found
            .metadata
            .and_then(|metadata| metadata.last_tag_time)
            .and_then(|time| unix_seconds(&time))
            .filter(|time| *time > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_tag_is_pulled() {
        assert_eq!(with_tag("nixos/nix"), "nixos/nix:latest");
        assert_eq!(with_tag("host:5000/nix"), "host:5000/nix:latest");
        assert_eq!(with_tag("nix:2.26"), "nix:2.26");
        assert_eq!(with_tag("nix@sha256:00"), "nix@sha256:00");
    }

    fn image(tags: &[&str]) -> ImageInfo {
        let definition = "0123456789abcdef".repeat(4);
        image_info(ImageInspect {
            repo_tags: Some(tags.iter().copied().map(str::to_owned).collect()),
            config: Some(bollard::models::ImageConfig {
                labels: Some(HashMap::from([
                    (labels::DEFINITION.to_owned(), definition),
                    (labels::ROLE.to_owned(), "builder".to_owned()),
                ])),
                ..bollard::models::ImageConfig::default()
            }),
            ..ImageInspect::default()
        })
    }

    #[test]
    fn only_the_name_of_the_definition_is_ours() {
        let ours = [
            "sdbuild/builder:0123456789ab",
            "localhost/sdbuild/builder:0123456789ab",
        ];
        let theirs = [
            "precious:1",
            "sdbuild/builder:latest",
            "sdbuild/registrar:0123456789ab",
            "me/sdbuild/builder:0123456789ab",
        ];
        let both = image(&[theirs.as_slice(), ours.as_slice()].concat());
        assert_eq!(both.our_tags().collect::<Vec<_>>(), ours);
        assert_eq!(image(&theirs).our_tags().count(), 0);
        assert_eq!(image(&[]).our_tags().count(), 0);
    }
}
