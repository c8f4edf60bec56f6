//! The index of a layout: which images it has, under which names.

use serde_json::{Map, Value, json};

/// The annotation with the name of an image.
const NAME: &str = "org.opencontainers.image.ref.name";
/// containerd's name of an image, which has the tag in it.
const FULL_NAME: &str = "io.containerd.image.name";

/// The text of an `index.json`, with fields of others as they are.
pub(super) struct Index {
    fields: Map<String, Value>,
    images: Vec<Value>,
}

impl Default for Index {
    fn default() -> Self {
        let mut fields = Map::new();
        fields.insert("schemaVersion".into(), json!(2));
        let kind = "application/vnd.oci.image.index.v1+json";
        fields.insert("mediaType".into(), json!(kind));
        Self {
            fields,
            images: Vec::new(),
        }
    }
}

impl Index {
    /// Reads an index; says what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let images = fields.remove("manifests");
        match (fields.get("schemaVersion"), images) {
            (Some(version), Some(Value::Array(images))) if *version == 2 => {
                Ok(Self { fields, images })
            }
            _ => Err("it is not an index of version 2".into()),
        }
    }

    /// With the image of `descriptor` as `tag`, in place of another one of that name.
    pub(super) fn with(mut self, descriptor: &Value, tag: &str) -> Self {
        self.images
            .retain(|image| image.pointer(&format!("/annotations/{NAME}")) != Some(&json!(tag)));
        let mut image = descriptor.clone();
        if let Some(image) = image.as_object_mut() {
            let annotations = image.entry("annotations").or_insert_with(|| json!({}));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert(NAME.into(), json!(tag));
                rename(annotations, tag);
            }
        }
        self.images.push(image);
        self
    }

    /// Its JSON.
    pub(super) fn text(mut self) -> String {
        self.fields.insert("manifests".into(), self.images.into());
        Value::from(self.fields).to_string()
    }
}

/// Gives containerd's name the tag too.
fn rename(annotations: &mut Map<String, Value>, tag: &str) {
    let full = annotations.get(FULL_NAME).and_then(Value::as_str);
    let Some((repository, _)) = full.and_then(|full| full.rsplit_once(':')) else {
        return;
    };
    let renamed = format!("{repository}:{tag}");
    annotations.insert(FULL_NAME.into(), json!(renamed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_the_place_of_one_of_the_same_name() {
        let image = |digest: &str| json!({ "digest": digest, "annotations": { FULL_NAME: "docker.io/library/box:latest" } });
        let index = Index::default().with(&image("a"), "latest");
        let index = Index::parse(&index.text()).unwrap().with(&image("b"), "v1");
        let text = index.with(&image("c"), "latest").text();
        let value: Value = serde_json::from_str(&text).unwrap();
        let images = value["manifests"].as_array().unwrap().iter();
        let images: Vec<_> = images
            .map(|one| {
                (
                    one["digest"].as_str().unwrap(),
                    one["annotations"][FULL_NAME].as_str().unwrap(),
                )
            })
            .collect();
        let (v1, latest) = ("docker.io/library/box:v1", "docker.io/library/box:latest");
        assert_eq!(images, [("b", v1), ("c", latest)]);
        assert!(Index::parse("{\"schemaVersion\":1,\"manifests\":[]}").is_err());
    }
}
