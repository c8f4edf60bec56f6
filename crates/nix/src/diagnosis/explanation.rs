//! What an error of an evaluation means: its cause, its place and what helps.

use super::cause::Cause;
use super::evidence::{ExitContext, Findings};
use super::files;
use super::flakes;
use super::names;
use super::options;
use super::place::{Place, only_definition, only_line, only_word};
use super::syntax;
use super::table::{Advice, Row};
use crate::layout::CONFIG_DIR;
use crate::log::NixError;
use crate::user_files::UserFiles;
use sdbuild_core::nearest::nearest;
use sdbuild_image::image_format::in_place_of;

/// The meaning of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) cause: Cause,
    /// Where in the user's files it is, if that is known.
    pub(super) place: Option<Place>,
    /// What helps, most likely first.
    pub(super) advice: Vec<Advice>,
}

/// A place, and what helps there.
#[derive(Default)]
struct Located {
    place: Option<Place>,
    advice: Vec<Advice>,
}

impl From<Advice> for Located {
    fn from(advice: Advice) -> Self {
        (None, advice).into()
    }
}

impl From<(Option<Place>, Advice)> for Located {
    fn from((place, advice): (Option<Place>, Advice)) -> Self {
        (place, [advice]).into()
    }
}

impl<A: IntoIterator<Item = Advice>> From<(Option<Place>, A)> for Located {
    fn from((place, advice): (Option<Place>, A)) -> Self {
        let advice = advice.into_iter().collect();
        Self { place, advice }
    }
}

impl Explanation {
    /// The meaning of Nix's `error`.
    pub(super) fn find(context: &ExitContext<'_>, findings: &Findings, error: &NixError) -> Self {
        let cause = Cause::read(error);
        let located = names::of_input(context, findings, &cause, error)
            .map_or_else(|| locate(context, findings, error, &cause), Located::from);
        let variable = cause
            .may_need_a_variable()
            .then(|| files::empty_variable(context))
            .flatten();
        let position = error.position.as_ref().and_then(Place::of);
        let position = position.filter(|_| !cause.is_reported_elsewhere());
        Self {
            place: located.place.or(position),
            advice: variable.into_iter().chain(located.advice).collect(),
            cause,
        }
    }
}

/// The place of `cause` and what helps, cause by cause.
#[expect(clippy::too_many_lines, reason = "one arm for each cause")]
fn locate(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
    cause: &Cause,
) -> Located {
    let position = error.position.as_ref();
    let of_package = |name: &str, advice: Advice| (names::package(context, name), advice).into();
    match cause {
        Cause::Syntax => of_syntax(context, error),
        Cause::NotUtf8 => {
            let found = context.files.and_then(UserFiles::place_that_is_not_utf_8);
            let place = found.map(|(file, line)| Place {
                file,
                line,
                column: None,
            });
            (place, Row::Encoding.advice()).into()
        }
        Cause::UndefinedVariable { name } => {
            (None, names::undefined(context, findings, name, position)).into()
        }
        Cause::MissingAttribute { name, suggestions } => {
            let advice = names::missing_attribute(context, findings, name, suggestions, error);
            (None, advice).into()
        }
        Cause::MissingArgument { argument, module } => {
            names::not_passed(context, argument, module).into()
        }
        Cause::UnexpectedArgument { function, argument } => (
            None,
            names::unexpected(context, function, argument, position),
        )
            .into(),
        Cause::NotAFunction => match position {
            Some(position) if position.file.starts_with(CONFIG_DIR) => {
                Row::NotAFunction.advice().into()
            }
            Some(_) | None => Located::default(),
        },
        Cause::InfiniteRecursion { imports } => {
            options::recursion(context, imports.as_ref()).into()
        }
        Cause::WrongValue { wanted, found } => options::wrong_value(context, wanted, found).into(),
        Cause::StringAsPath { text } => options::string_as_path(context, text).into(),
        Cause::DefinedTwice { first, .. } => {
            let second = position.map_or(0, |position| position.line);
            Row::DefinedTwice
                .with("first", first.line)
                .and("second", second)
                .into()
        }
        Cause::UnknownOption {
            option,
            suggestions,
            definitions,
        } => {
            // The caret would be below the value.
            let place = options::place(context, option, definitions);
            let place = place.map(|place| Place {
                column: None,
                ..place
            });
            let advice = options::unknown(context, option, suggestions, definitions);
            (place, advice).into()
        }
        Cause::WrongType {
            option,
            wanted,
            definitions,
        } => {
            let place = options::place(context, option, definitions);
            (place, options::wrong_type(option, wanted, definitions)).into()
        }
        Cause::NotASet { option } => {
            let place = options::place(context, option, &[]);
            (place, Row::OptionsBelow.with("option", option)).into()
        }
        Cause::Conflict {
            option,
            definitions,
        } => {
            let place = options::place(context, option, definitions);
            let image = findings.image.as_ref();
            (
                place,
                options::conflict(context, image, option, definitions),
            )
                .into()
        }
        Cause::NoValue { option } => options::no_value(option).into(),
        Cause::OptionGone { option } => options::gone(context, option).into(),
        Cause::Removed { name, instead } => {
            let advice = match instead {
                _ if name.starts_with("linuxPackages_") => Row::Kernel.with("name", name),
                Some(new) => Row::Replaced.with("new", new).and("name", name),
                None => Row::Removed.with("name", name),
            };
            of_package(name, advice)
        }
        Cause::Unfree { package, allow } => {
            let name = if allow.is_empty() { package } else { allow };
            of_package(package, Row::Unfree.with("name", name))
        }
        Cause::Insecure { package } => of_package(package, Row::Insecure.with("name", package)),
        Cause::NotForPlatform { package } => {
            of_package(package, Row::Removed.with("name", package))
        }
        Cause::NoImage | Cause::OtherSystem => {
            let option = if *cause == Cause::NoImage {
                findings.missing_image.as_deref()
            } else {
                Some("nixpkgs.hostPlatform")
            };
            let found = option.and_then(|option| only_definition(context, option));
            (found.map(|(place, _)| place), None).into()
        }
        Cause::NoSdImage => options::import_image(context, None).into(),
        Cause::NoVariant { variant, known } => {
            let similar = nearest(variant, known.iter().map(String::as_str));
            match similar {
                Some(name) => Row::Similar
                    .with("name", format!("--format nixpkgs:{name}"))
                    .into(),
                None => Row::NoVariant.advice().into(),
            }
        }
        Cause::NoVariants => Row::NoVariants.advice().into(),
        Cause::VariantNeedsKvm { variant } => match in_place_of(variant) {
            Some(format) => Row::NeedsKvm
                .saying(format!(
                    "--format {} does the same without one",
                    format.name
                ))
                .into(),
            None => Row::NeedsKvm.advice().into(),
        },
        Cause::WrongPlatform => Row::WrongPlatform.advice().into(),
        Cause::MissingFile { path } => files::missing(context, path).into(),
        Cause::NotInNixpkgs { path } => files::not_in_nixpkgs(context, path).into(),
        Cause::NotInSearchPath { path } => files::not_in_search_path(context, path).into(),
        Cause::NotInFlake { path } => files::untracked(context, path).into(),
        Cause::Impure(impure) => files::impure(context, impure).into(),
        Cause::LockIncomplete { flake } => flakes::incomplete_lock(context, flake).into(),
        Cause::IndirectInput => flakes::indirect_input(context).into(),
        Cause::LocalInput => Row::LocalInput.advice().into(),
        Cause::NoOutputs { flake } => flakes::no_outputs(context, flake).into(),
        Cause::NoSuchOutput { missing, known } => {
            flakes::no_such_output(context, missing, known).into()
        }
        Cause::SeveralConfigurations { known } => flakes::name_one(context, known).into(),
        Cause::FlakeForm { place } => {
            let place = place.as_ref().and_then(in_own_flake);
            (place, Row::FlakeForm.advice()).into()
        }
        Cause::FlakeAttribute { name } => {
            let known = ["description", "inputs", "outputs", "nixConfig"];
            flakes::attribute(context, name, &known, Row::FlakeForm).into()
        }
        Cause::InputAttribute { name } => {
            let known = ["url", "flake", "follows", "inputs", "type"];
            flakes::attribute(context, name, &known, Row::InputUrl).into()
        }
        Cause::InputUrl { url } => flakes::input_url(context, url).into(),
        Cause::WrongHash { specified, got } => {
            // Nix puts the algorithm in front of a hash that a file has without it.
            let plain = specified.split_once(':').map(|(_, plain)| plain);
            let place = only_word(context, specified);
            let place = place.or_else(|| only_word(context, plain?));
            let advice = Row::WrongHash.with("got", got).and("specified", specified);
            (place, advice).into()
        }
        Cause::EmulatesItself => {
            let place = options::place(context, "boot.binfmt.emulatedSystems", &[]);
            (place, Row::EmulatesItself.advice()).into()
        }
        Cause::Other => {
            let message = error.summary.as_str();
            let throws = |line: &str| {
                let forms = ["throw", "abort"];
                forms
                    .iter()
                    .any(|form| line.contains(&format!("{form} \"{message}\"")))
            };
            let is_plain = !message.is_empty() && !message.contains(['"', '\\', '\n']);
            let place = only_line(context, throws).filter(|_| is_plain);
            (place, None).into()
        }
    }
}

/// The slip behind a syntax error, and its line.
fn of_syntax(context: &ExitContext<'_>, error: &NixError) -> Located {
    let (Some(position), Some(files)) = (error.position.as_ref(), context.files) else {
        return Row::OtherSyntax.advice().into();
    };
    if files.is_utf_16(&position.file) {
        return Row::Encoding.advice().into();
    }
    let Some(text) = files.text(&position.file) else {
        return Row::OtherSyntax.advice().into();
    };
    let slip = syntax::find(&text, position, &error.summary);
    (slip.place(position), slip.advice).into()
}

/// The place of the user's `flake.nix`, which Nix has copied to the store.
fn in_own_flake(position: &crate::log::Position) -> Option<Place> {
    let (_, name) = position.file.split_once("-source/")?;
    Place::of(&crate::log::Position {
        file: format!("{CONFIG_DIR}{name}"),
        ..position.clone()
    })
}
