//! Questions on the user's terminal.

use crate::ui::{Hidden, Ui};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};

/// Asks a question that is answered with y or n; `None` if there is no terminal to ask on, and at the end of the input. A signal ends the
/// wait.
pub(super) async fn confirm(
    question: impl Into<String>,
    ui: &Ui,
    context: &Context,
) -> Result<Option<bool>, Failure> {
    let question = question.into();
    ask(ui, context, move |ui| ui.confirm(&question)).await
}

/// An error unless the user agrees: `declined` where the answer is no, `unasked` where there is nobody to ask.
pub(super) async fn agree(
    question: impl Into<String>,
    declined: &str,
    unasked: Failure,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    match confirm(question, ui, context).await? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::declined(declined)),
        None => Err(unasked),
    }
}

/// Asks for a line of text; `None` if there is no terminal to ask on, and at the end of the input.
pub(super) async fn read_line(
    question: String,
    ui: &Ui,
    context: &Context,
) -> Result<Option<String>, Failure> {
    ask(ui, context, move |ui| ui.line(&question)).await
}

/// Reading a terminal blocks: `question` runs on a thread of its own, which is abandoned on cancellation.
async fn ask<T: Send + 'static>(
    ui: &Ui,
    context: &Context,
    question: impl FnOnce(&Ui) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let ui = ui.clone();
    let asked = tokio::task::spawn_blocking(move || question(&ui));
    context.cancel.race(asked).await?.or_internal("ask")?
}

/// Asks for a password, which the terminal does not show; `None` if there is no terminal to ask on, and at the end of the input.
pub(super) async fn read_hidden(
    question: String,
    ui: &Ui,
    context: &Context,
) -> Result<Option<String>, Failure> {
    if !ui.can_ask() {
        return Ok(None);
    }
    let hidden = Hidden::begin()?;
    let read = ask(ui, context, move |ui| ui.line(&question)).await;
    drop(hidden);
    read
}
