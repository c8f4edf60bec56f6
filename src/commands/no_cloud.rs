//! In place of `cloud`, in a program without that feature: nothing is rented, and nothing is published.

use std::path::Path;

use crate::commands::status::Machine;
use crate::settings::{Build, Environment};
use sdbuild_build::doctor::Check;
use sdbuild_build::{BuildRequest, Common, Item, Outcome};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, Leftover};

fn not_rented() -> Failure {
    Failure::usage("this sdbuild was compiled without rented machines")
        .hint("leave out --on, SDBUILD_ON and `on`, or compile it with the feature `cloud`")
}

pub(super) async fn with_machine<T>(
    settings: Build,
    _: &Environment,
    _: &Context,
    _: impl AsyncFnOnce(&str) -> Result<(), Failure>,
    work: impl AsyncFnOnce(BuildRequest) -> Result<Outcome<T>, Failure>,
) -> Result<Outcome<T>, Failure> {
    if settings.on.is_rented() {
        return Err(not_rented());
    }
    work(settings.request).await
}

pub(super) async fn price(settings: &Build, _: &Environment) -> Result<Option<String>, Failure> {
    match settings.on.is_rented() {
        true => Err(not_rented()),
        false => Ok(None),
    }
}

pub(super) async fn check_provider(settings: &Build, _: &Environment) -> Option<Check> {
    let is_rented = settings.on.is_rented();
    is_rented.then(|| Check::failed("rented machine", &not_rented()))
}

pub(super) fn machines(_: &Path) -> Vec<Machine> {
    Vec::new()
}

pub(super) fn report_unfinished_uploads(_: &Path, _: &Context) {}

#[derive(Default)]
pub(super) struct CloudRecords;

impl CloudRecords {
    pub(super) fn find(_: &Environment, _: &Common) -> Self {
        Self
    }

    pub(super) fn warn_of_unusable(&self, _: &Context) {}

    pub(super) fn items(&self) -> Vec<Item> {
        Vec::new()
    }

    pub(super) async fn remove(&self, _: &Context) -> Result<Vec<Leftover>, Failure> {
        Ok(Vec::new())
    }
}
