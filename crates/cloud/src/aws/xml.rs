//! Reads the answers of EC2.

use roxmltree::{Document, Node};

use super::error::Error;
use super::tag::Tag;

/// What `read` makes of each item of the list `set`.
pub(super) fn parsed<T>(
    action: &'static str,
    body: &str,
    set: &str,
    read: impl Fn(Node<'_, '_>) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let unexpected = |what: String| Error::Unexpected { action, what };
    let document = Document::parse(body).map_err(|error| unexpected(error.to_string()))?;
    let read = |item| {
        read(item).ok_or_else(|| unexpected(format!("an item of {set} lacks what each has")))
    };
    items(document.root_element(), set).map(read).collect()
}

/// The text of the element `name`.
pub(super) fn single(action: &'static str, body: &str, name: &str) -> Result<String, Error> {
    let document = Document::parse(body).ok();
    let found = document
        .as_ref()
        .and_then(|document| text(document.root_element(), name));
    found.ok_or_else(|| Error::Unexpected {
        action,
        what: format!("no {name}"),
    })
}

/// The text of the element `name`, if there is one.
pub(super) fn optional(body: &str, name: &str) -> Option<String> {
    let document = Document::parse(body).ok()?;
    text(document.root_element(), name)
}

/// The text of the first element `name` at any depth.
pub(super) fn descendant(body: &str, name: &str) -> Option<String> {
    let document = Document::parse(body).ok()?;
    let found = document
        .descendants()
        .find(|node| node.tag_name().name() == name)?;
    Some(found.text()?.to_owned())
}

pub(super) fn items<'a, 'b>(node: Node<'a, 'b>, set: &str) -> impl Iterator<Item = Node<'a, 'b>> {
    let set = child(node, set);
    set.into_iter().flat_map(|set| {
        set.children()
            .filter(|node| node.tag_name().name() == "item")
    })
}

pub(super) fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

pub(super) fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    Some(child(node, name)?.text()?.to_owned())
}

pub(super) fn tags(node: Node<'_, '_>) -> Vec<Tag> {
    let tag = |item| {
        Some(Tag {
            key: text(item, "key")?,
            value: text(item, "value").unwrap_or_default(),
        })
    };
    items(node, "tagSet").filter_map(tag).collect()
}
