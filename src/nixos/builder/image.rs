//! The container image that Nix runs in, and its user.

use crate::nixos::tar_writer::Owner;
use sdbuild_core::event::Events;
use sdbuild_engine::ImageInfo;

/// The user of sdbuild's own container image.
const OWN_USER: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

/// A container image that Nix runs in, and the user that it runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderImage {
    pub(super) reference: String,
    pub(super) user: String,
    pub(super) owner: Owner,
    pub(super) foreign: bool,
}

impl BuilderImage {
    /// sdbuild's own image: it runs as user 1000, who owns its `/nix`.
    pub fn ours(reference: impl Into<String>) -> Self {
        let (reference, user) = (reference.into(), "1000:1000".to_owned());
        Self {
            reference,
            user,
            owner: OWN_USER,
            foreign: false,
        }
    }

    /// Reference or id of the image in the engine.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Whether the user chose it (`--builder-image`).
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Whether it runs as the container's root.
    pub fn is_root(&self) -> bool {
        self.user == "0:0"
    }

    /// An image of the user's choice (`--builder-image`). It runs as its own user, who owns its `/nix`. If that is
    /// root, it has no capabilities: it can write what root owns in the container and nothing else.
    pub fn foreign(info: &ImageInfo, events: &Events) -> Self {
        let user = info.user.clone().unwrap_or_default();
        let (name, group) = user.split_once(':').unwrap_or((&user, ""));
        let reference = info.id.clone();
        if matches!(name, "" | "0" | "root") {
            events.warn("the builder image runs as root: all its capabilities are dropped");
            let owner = Owner { uid: 0, gid: 0 };
            return Self {
                reference,
                user: "0:0".to_owned(),
                owner,
                foreign: true,
            };
        }
        // The id of a user name is known only inside the image. Uploaded files are readable by all, and the directories
        // that must be written to are writable by all.
        let uid = name.parse().unwrap_or(OWN_USER.uid);
        let owner = Owner {
            uid,
            gid: group.parse().unwrap_or(uid),
        };
        Self {
            reference,
            user,
            owner,
            foreign: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_image_runs_as_its_own_user() {
        let image = |user: Option<&str>| {
            let info = ImageInfo::of_user(user);
            let image = BuilderImage::foreign(&info, &Events::none());
            (image.user, image.owner.uid, image.owner.gid)
        };
        for root in [None, Some("root"), Some("0"), Some("0:0")] {
            assert_eq!(image(root), ("0:0".into(), 0, 0));
        }
        assert_eq!(image(Some("1001:100")), ("1001:100".into(), 1001, 100));
        assert_eq!(image(Some("nix")), ("nix".into(), 1000, 1000));
    }
}
