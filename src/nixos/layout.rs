//! Where things lie inside the builder; `containers/builder/entry` knows the same places.

/// The user's directory.
pub(super) const CONFIG: &str = "/build/config";
/// The module that imports the user's file.
pub(super) const WRAPPER: &str = "/build/sdbuild/wrapper.nix";
/// What the user laid over it on the command line.
pub(super) const OVERLAY: &str = "/build/sdbuild/overlay.nix";
/// The expression that says what is set.
pub(super) const FACTS: &str = "/build/sdbuild/facts.nix";
/// The program that runs as PID 1.
pub(super) const ENTRY: &str = "/build/sdbuild/entry";
/// The program that holds a shell.
pub(super) const WATCHDOG: &str = "/build/sdbuild/watchdog";
/// What the entry reads when native glue is wanted.
pub(super) const GLUE: &str = "/build/sdbuild/glue";
/// The expression that evaluates with native glue.
pub(super) const GLUE_EXPRESSION: &str = "/build/sdbuild/glue-expression";
/// Everything of ours on the store volume.
pub(super) const HOME: &str = "/nix/var/sdbuild";
/// The directory of the store volume that uploads are relative to.
pub(super) const UPLOAD_ROOT: &str = "/nix/var";
/// Roots of the images that were built, one for each configuration.
pub(super) const ROOTS: &str = "/nix/var/nix/gcroots/sdbuild";

/// The directory where Nix builds, on the volume: never a tmpfs, which fills up with free disk left.
pub(super) fn build_dir(run: &str) -> String {
    format!("{HOME}/build/{run}")
}

/// Where a copy of nixpkgs called `name` stays.
pub(super) fn nixpkgs(name: &str) -> String {
    format!("{HOME}/nixpkgs/{name}")
}

/// What a run uploads to the volume, until the entry moves it to its place.
pub(super) fn incoming(run: &str) -> String {
    format!("{HOME}/incoming-{run}")
}
