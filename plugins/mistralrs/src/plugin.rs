//! The plugin: what it is, and how it loads a model.

use sensorium_contract::{
    Batching, Capabilities, ChatCapabilities, ChatImages, ChatParameter, LoadProgress, LoadRequest, LoadedModel,
    Manifest, PROTOCOL, Plugin, PluginError, Task,
};

use crate::{
    chat::{Chatter, Shared},
    checkpoint::ModelDir,
    engine::{Engine, Lane, LaneParams, log_panics},
    error::LoadError,
    model::{self, CLAIMED, Loaded, Vision},
    options::{Options, RawOptions},
    placement::{self, Placement},
    prompt::{Parts, Preparer},
};

/// Most entries of `top_logprobs`.
const MAX_TOP_LOGPROBS: u32 = 20;

/// Threads that carry replies; the engine has its own.
const CARRIERS: usize = 2;

/// Threads that make prompts.
const PREPARERS: usize = 4;

/// Chats with vision-language and language models on mistral.rs.
#[derive(Debug, Default)]
pub struct MistralrsPlugin;

impl Plugin for MistralrsPlugin {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "mistralrs".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            tasks: vec![Task::Chat],
            devices: placement::devices(),
            network: false,
            options_schema: Some(RawOptions::schema()),
            architectures: CLAIMED.map(str::to_owned).to_vec(),
        }
    }

    fn load(&self, request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, PluginError> {
        Ok(load(request, progress)?)
    }
}

fn load(request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, LoadError> {
    let options = Options::parse(&request.options)?;
    let placement = Placement::resolve(&request.device, &request.dtype)?;
    let path = request.path.as_deref();
    let path = path.ok_or_else(|| LoadError::Request("this plugin needs a model directory; give source".to_owned()))?;
    let dir = ModelDir::open(path)?;
    // What makes results, besides the files, makes the revision too.
    let kind = if placement.on_gpu() { "gpu" } else { "cpu" };
    let settings = format!(
        "{} {kind} {} {options:?}",
        env!("CARGO_PKG_VERSION"),
        placement.dtype_name
    );
    dir.mark("settings", settings.as_bytes());
    log_panics();
    limit_threads(request.threads);

    let step = |stage: &str, done| {
        progress(LoadProgress {
            stage: stage.to_owned(),
            done,
            total: 1,
        });
    };
    step("weights", 0);
    let loaded = model::load(&dir, &options, &placement, threads(request.threads))?;
    step("weights", 1);
    let capabilities = capabilities(&loaded, &dir, &options, &placement);
    tracing::info!(
        model = request.model,
        device = capabilities.device,
        dtype = capabilities.dtype,
        memory_bytes = capabilities.memory_bytes,
        revision = capabilities.revision,
        "model loaded"
    );
    step("warm-up", 0);
    let chat = chatter(loaded, &options)?;
    step("warm-up", 1);
    Ok(LoadedModel {
        capabilities,
        embed: None,
        chat: Some(std::sync::Arc::new(chat)),
        image: None,
    })
}

/// Lets the engine's thread pools have this many threads.
fn limit_threads(threads: Option<usize>) {
    let Some(threads) = threads else { return };
    // SAFETY: other threads of this process (stdin, the socket's server) never read the environment, and the engine's
    // aren't there yet; candle knows no other way to be told.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
}

/// How many threads kernels use: as many as were asked for, or one for each core.
fn threads(wanted: Option<usize>) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    wanted.unwrap_or_else(all)
}

fn chatter(loaded: Loaded, options: &Options) -> Result<Chatter, LoadError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CARRIERS)
        .max_blocking_threads(PREPARERS)
        .thread_name("replies")
        .enable_time()
        .build()
        .map_err(|error| LoadError::Process(format!("no runtime: {error}")))?;
    let alone = loaded.kv_tokens.is_none() || loaded.vision.as_ref().is_some_and(Vision::alone);
    let sequences = if alone { 1 } else { options.max_sequences };
    let lane = Lane::new(LaneParams {
        sequences,
        kv_tokens: loaded.kv_tokens,
        separate: loaded.vision.as_ref().is_some_and(Vision::separate),
    });
    let shared = Shared {
        engine: Engine::new(loaded.runner, lane).map_err(LoadError::Engine)?,
        preparer: Preparer::new(Parts {
            codec: loaded.codec,
            template: loaded.template,
            vision: loaded.vision,
            numbers: loaded.numbers,
            context_length: loaded.context_length,
            max_images: options.max_images,
            multimodal: loaded.multimodal,
            format: loaded.replies.tool_format(),
        }),
        replies: loaded.replies,
    };
    let warmed_up = runtime.block_on(shared.warm_up());
    warmed_up.map_err(|error| LoadError::Engine(error.message))?;
    Ok(Chatter::new(shared, runtime))
}

fn capabilities(loaded: &Loaded, dir: &ModelDir, options: &Options, placement: &Placement) -> Capabilities {
    use ChatParameter as Can;
    let mut parameters = vec![
        Can::Temperature,
        Can::TopP,
        Can::TopK,
        Can::MinP,
        Can::Seed,
        Can::PresencePenalty,
        Can::FrequencyPenalty,
        Can::RepetitionPenalty,
        Can::LogitBias,
        Can::Logprobs,
        Can::JsonObject,
        Can::JsonSchema,
        Can::Completion,
    ];
    if loaded.template.is_some() {
        parameters.push(Can::Conversation);
    }
    if loaded.replies.can_call_tools() {
        parameters.push(Can::Tools);
    }
    // Images need a template that has a place for them.
    let vision = loaded.vision.as_ref().filter(|vision| {
        let template = loaded.template.as_ref();
        template.is_some_and(|template| template.places(vision.placeholder()) == 1)
    });
    Capabilities {
        revision: dir.revision(),
        memory_bytes: loaded.memory_bytes,
        batching: Batching::Plugin,
        max_batch: options.max_sequences,
        device: placement.device_name.clone(),
        dtype: placement.dtype_name.to_owned(),
        embed: None,
        chat: Some(ChatCapabilities {
            context_length: loaded.context_length,
            parameters,
            images: vision.map(|vision| ChatImages {
                spec: vision.spec(),
                max_images: vision.max_images().min(options.max_images),
                min_side: 1,
            }),
            vocabulary: loaded.codec.size(),
            max_top_logprobs: MAX_TOP_LOGPROBS,
        }),
        image: None,
    }
}
