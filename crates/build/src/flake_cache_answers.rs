//! What the user has answered about the binary caches of flakes: a file in the state directory that the user may edit.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::flake::Flake;
use crate::plan::Plan;
use crate::request::BuildRequest;
use sdbuild_core::atomic_file;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::flake_caches::{CacheAnswer, CachePolicy};
use sdbuild_core::locked_file;
use sdbuild_core::plain_file;
use sdbuild_core::private_dir;

/// In the state directory.
const FILE: &str = "flake-caches.toml";
/// Answers that are kept, the newest first.
const MAX_ANSWERS: usize = 100;
/// Bytes of the file that are read: an answer has some 300.
const MAX_ANSWERS_BYTES: u64 = 1 << 20;
/// The beginning of the file.
const HEAD: &str = "# The binary caches of flakes that sdbuild has asked about. It asks again about what is removed here.\n";

#[derive(Default, Deserialize, Serialize)]
struct Answers {
    #[serde(default)]
    answer: Vec<CacheAnswer>,
}

/// The file with the answers.
pub fn answers_file(request: &BuildRequest) -> PathBuf {
    request.common.state_dir.join(FILE)
}

/// What is known about the caches of the flake of `plan`.
pub(super) fn policy(plan: &Plan) -> Result<CachePolicy, Failure> {
    let request = &plan.request;
    let Some(flake) = plan.source.source.flake().map(Flake::location) else {
        return Ok(CachePolicy::default());
    };
    let mut answers = read(&answers_file(request))?.answer;
    answers.retain(|answer| answer.flake == flake);
    Ok(CachePolicy {
        flake,
        setting: request.caches.accept_flake_caches,
        offline: request.common.offline,
        answers,
        asks: request.questions.caches,
    })
}

/// Keeps `answer`, in the place of an earlier one about the same caches of the same flake. It waits for other runs that do so.
pub async fn remember(
    answer: CacheAnswer,
    request: &BuildRequest,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let keeping = keep(answer, &request.common.state_dir);
    cancel.race(keeping).await?
}

async fn keep(answer: CacheAnswer, state_dir: &Path) -> Result<(), Failure> {
    let path = state_dir.join(FILE);
    let locked = match private_dir::create(state_dir) {
        Ok(()) => locked_file::lock_directory(state_dir).await,
        Err(error) => Err(error),
    };
    // No other process adds an answer between reading and writing.
    let _locked = locked.or_environment(format!("lock {}", state_dir.display()))?;
    let mut answers = read(&path)?;
    let is_same =
        |other: &CacheAnswer| other.flake == answer.flake && other.caches == answer.caches;
    answers.answer.retain(|other| !is_same(other));
    answers.answer.insert(0, answer);
    answers.answer.truncate(MAX_ANSWERS);
    let text = toml::to_string(&answers).or_internal("write the answers as TOML")?;
    atomic_file::replace(&path, &format!("{HEAD}\n{text}"), 0o600)
        .or_environment(format!("write {}", path.display()))
}

/// A damaged file is not consent: the error is reported.
fn read(path: &Path) -> Result<Answers, Failure> {
    let shown = path.display();
    let text = match plain_file::read_text(path, MAX_ANSWERS_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Answers::default()),
        Err(error) => return Err(error).or_usage(format!("read {shown}")),
    };
    let answers = toml::from_str(&text).or_usage(format!("read {shown}"));
    answers.map_err(|failure| failure.hint(format!("remove {shown} to be asked again")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two runs that read the file at once, the answer of one was lost.
    #[test]
    fn answers_of_runs_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|threads| {
            for number in 0..32 {
                let dir = dir.path();
                threads.spawn(move || {
                    let answer = CacheAnswer {
                        flake: format!("/{number}"),
                        accepted: true,
                        caches: sdbuild_core::flake_caches::FlakeCaches::default(),
                    };
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = runtime.enable_time().build().unwrap();
                    runtime.block_on(keep(answer, dir)).unwrap();
                });
            }
        });
        assert_eq!(read(&dir.path().join(FILE)).unwrap().answer.len(), 32);
    }

    #[test]
    fn a_damaged_file_is_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("flake-caches.toml");
        assert!(read(&file).unwrap().answer.is_empty());
        let text = format!(
            "{HEAD}[[answer]]\nflake = \"/pi\"\naccepted = true\nsubstituters = [\"https://a\"]\ntrusted-public-keys = []\n"
        );
        std::fs::write(&file, &text).unwrap();
        assert!(read(&file).unwrap().answer[0].accepted);
        std::fs::write(&file, text.replace("accepted = true\n", "")).unwrap();
        let failure = read(&file).err().unwrap();
        assert!(failure.hints[0].contains("to be asked again"), "{failure}");
    }
}
