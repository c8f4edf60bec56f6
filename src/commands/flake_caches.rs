//! The question whether the binary caches that a flake names are used.

use crate::commands::confirm::confirm;
use crate::ui;
use crate::ui::Ui;
use sdbuild_build::BuildRequest;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, Question};
use sdbuild_core::flake_caches::{CacheAnswer, FlakeCaches};
use sdbuild_core::http_url::hide_secrets;

/// Runs `work`. If it ends because the flake names caches that the user has not been asked about, it asks, keeps the answer, and
/// runs `work` again. Without a terminal nothing is asked.
pub(super) async fn asking<T>(
    mut request: BuildRequest,
    ui: &Ui,
    context: &Context,
    work: impl AsyncFn(BuildRequest) -> Result<T, Failure>,
) -> Result<T, Failure> {
    request.questions.caches = ui.can_ask();
    let done = work(request.clone()).await;
    let question = done.as_ref().err().and_then(Failure::question);
    let Some(Question::AcceptCaches(asked)) = question else {
        return done;
    };
    let file = sdbuild_build::answers_file(&request);
    let question = format!(
        "{}\nUse them, now and in later builds? (The answer is saved in {}.)",
        described(&asked.caches),
        ui::sanitize_line(&file.to_string_lossy())
    );
    // Without an answer (Ctrl-D) this build does without them, and the next one asks again.
    if let Some(accepted) = confirm(question, ui, context).await? {
        let answer = CacheAnswer {
            accepted,
            ..asked.clone()
        };
        sdbuild_build::remember_caches(answer, &request, &context.cancel).await?;
    }
    // Never twice in a run.
    request.questions.caches = false;
    work(request).await
}

/// The caches and their keys, one a line.
fn described(caches: &FlakeCaches) -> String {
    let lines = |texts: &[String]| {
        let lines = texts
            .iter()
            .map(|text| ui::sanitize_line(&hide_secrets(text)));
        let lines: Vec<_> = lines.collect();
        lines.join("\n  ")
    };
    format!(
        "The flake names binary caches:\n  {}\nThe owners of these keys decide what your image contains:\n  {}",
        lines(&caches.substituters),
        lines(&caches.trusted_public_keys)
    )
}
