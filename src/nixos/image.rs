//! The container image that Nix runs in, and as whom it runs there.

use super::tar_writer::Owner;
use crate::common::event::Events;
use crate::engine::ImageInfo;

/// The user of our own container image.
const OURS: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

/// The container image that Nix runs in, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderImage {
    pub(super) reference: String,
    pub(super) user: String,
    pub(super) owner: Owner,
    pub(super) foreign: bool,
}

impl BuilderImage {
    /// Our own: user 1000, to whom its `/nix` belongs.
    pub fn ours(reference: impl Into<String>) -> Self {
        let (reference, user) = (reference.into(), "1000:1000".to_owned());
        Self {
            reference,
            user,
            owner: OURS,
            foreign: false,
        }
    }

    /// Reference or id, by which the engine knows it.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Whether the user chose it.
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Whether it runs as root, of its container only.
    pub fn is_root(&self) -> bool {
        self.user == "0:0"
    }

    /// Any other (`--builder-image`): it runs as the user that it names, because its `/nix` belongs
    /// to that one. When that is root it is root without a single capability, in its container only;
    /// root of such a container may write what root owns and nothing else.
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
        // A name's number is known inside only. What is uploaded may be read by all, and the directories
        // that must be written to are open.
        let uid = name.parse().unwrap_or(OURS.uid);
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
