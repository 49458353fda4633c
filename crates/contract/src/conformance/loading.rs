//! Before there is a model: the manifest, the handshake, loading.

use super::bench::Bench;
use super::chat::{Outcome, any};
use super::check::{Objection, refused};
use super::image;
use crate::process::describe;
use crate::{Capabilities, EmbedInput, Fault, LoadState, PROTOCOL, Task};

/// No plugin has this option.
const UNKNOWN_OPTION: &str = "no-plugin-has-this-option";

pub(super) async fn check(bench: &mut Bench<'_>) {
    before_loading(bench).await;
    bench
        .check("Load refuses unknown options as INVALID_ARGUMENT", async |bench| {
            let process = bench.start().await?;
            let mut request = bench.options.load.clone();
            request.options.insert(UNKNOWN_OPTION.into(), true.into());
            refused(process.client().load(&request, |_| {}).await, Fault::Caller)
        })
        .await;
    bench
        .check("Load ends in `loaded` with valid capabilities", async |bench| {
            let manifest = describe(&bench.options.executable).await?;
            let session = bench.session().await?;
            let Capabilities { embed, chat, image, .. } = &session.capabilities;
            for (task, can) in [
                (Task::Embed, embed.is_some()),
                (Task::Chat, chat.is_some()),
                (Task::Image, image.is_some()),
            ] {
                if can && !manifest.tasks.contains(&task) {
                    let task = task.as_str();
                    return Objection::fail(format!("the model can {task}, but the manifest does not list the task"));
                }
            }
            let health = session.client.health().await?;
            if health.state != LoadState::Loaded {
                return Objection::fail(format!("health says {:?} after `loaded`", health.state));
            }
            Ok(())
        })
        .await;
    bench
        .check("a second Load is FAILED_PRECONDITION", async |bench| {
            let request = bench.options.load.clone();
            let session = bench.session().await?;
            refused(session.client.load(&request, |_| {}).await, Fault::Model)?;
            session.still_works().await
        })
        .await;
}

async fn before_loading(bench: &mut Bench<'_>) {
    bench
        .check("`describe` prints a valid manifest", async |bench| {
            let manifest = describe(&bench.options.executable).await?;
            let file = bench
                .options
                .executable
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            if file != format!("sensorium-{}", manifest.name) {
                return Objection::fail(format!(
                    "the manifest's name is {}, the file's is {file}",
                    manifest.name
                ));
            }
            if !manifest.protocol.is_compatible_with(PROTOCOL) {
                return Objection::fail(format!("it speaks protocol {}, not {PROTOCOL}", manifest.protocol));
            }
            Ok(())
        })
        .await;
    bench
        .check("`serve` writes the handshake and accepts connections", async |bench| {
            let process = bench.start().await?;
            let printed = describe(&bench.options.executable).await?;
            if process.protocol() != printed.protocol {
                return Objection::fail("handshake and manifest name different protocol versions");
            }
            Ok(())
        })
        .await;
    bench
        .check(
            "Describe answers with the manifest that `describe` prints",
            async |bench| {
                let printed = describe(&bench.options.executable).await?;
                let answered = bench.start().await?.client().describe().await?;
                if printed != answered {
                    return Objection::fail(format!("printed {printed:?}, answered {answered:?}"));
                }
                Ok(())
            },
        )
        .await;
    bench
        .check(
            "Health says EMPTY before loading, and Embed, Chat and Imagine are FAILED_PRECONDITION",
            async |bench| {
                let process = bench.start().await?;
                let health = process.client().health().await?;
                if health.state != LoadState::Empty {
                    return Objection::fail(format!("health says {:?}", health.state));
                }
                let input = EmbedInput::text("a red circle", true);
                refused(process.client().embed(vec![input], 1, None).await, Fault::Model)?;
                match Outcome::of(&process.client(), any(1)).await {
                    Outcome::Failed(error) => refused::<()>(Err(error), Fault::Model)?,
                    other => return Objection::fail(format!("Chat comes to {other:?}")),
                }
                match image::Outcome::of(&process.client(), image::any()).await {
                    image::Outcome::Failed(error) => refused::<()>(Err(error), Fault::Model),
                    other => Objection::fail(format!("Imagine comes to {other:?}")),
                }
            },
        )
        .await;
}
