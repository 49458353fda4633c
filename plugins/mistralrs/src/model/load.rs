//! A model's way into mistral.rs.

use std::sync::Arc;

use mistralrs::{
    DefaultSchedulerMethod, DeviceMapSetting, IsqType, MemoryGpuConfig, MistralRs, PagedAttentionConfig,
    PagedCacheType, SchedulerConfig, TokenSource,
    core::{MistralRsBuilder, Pipeline},
    parse_isq_value,
};
use tokenizers_021::Tokenizer;
use tokio::{runtime::Runtime, sync::Mutex};

use super::{
    codec::Codec,
    numbers::Numbers,
    parts::{How, Parts},
    vision::Vision,
};
use crate::{
    checkpoint::{ModelDir, Staging},
    engine::guarded,
    error::LoadError,
    options::Options,
    placement::Placement,
    prompt::ChatTemplate,
    reply::Replies,
};

/// Tokens in a block of the GPU's key-value cache.
const BLOCK: usize = 32;

/// Tokens for which the GPU's key-value cache has room unless `kv_tokens` says otherwise.
const KV_TOKENS: u32 = 65_536;

/// How often the engine is started again if its start-up races with itself.
const STARTS: usize = 8;

type SharedPipeline = Arc<Mutex<dyn Pipeline>>;

/// A model in mistral.rs.
pub(crate) struct Loaded {
    /// Where requests go.
    pub(crate) runner: Arc<MistralRs>,
    /// From text to ids.
    pub(crate) codec: Codec,
    /// From chosen tokens to replies.
    pub(crate) replies: Replies,
    /// How it reads images; `None`: it doesn't.
    pub(crate) vision: Option<Vision>,
    /// How prompts with images are written for the engine.
    pub(crate) numbers: Numbers,
    /// `None`: it only continues text.
    pub(crate) template: Option<ChatTemplate>,
    /// Prompt and reply together, in tokens.
    pub(crate) context_length: u32,
    /// Tokens for which the key-value cache has room, where it has a fixed size.
    pub(crate) kv_tokens: Option<u32>,
    /// Bytes of the weights in memory.
    pub(crate) memory_bytes: u64,
    /// It may read images, or would if this plugin knew how to give it any.
    pub(crate) multimodal: bool,
}

/// What the engine says of a model that it has loaded.
struct Told {
    tokenizer: Arc<Tokenizer>,
    /// Tokens that end a reply.
    end: Vec<u32>,
    /// Positions that it thinks the model has.
    positions: u32,
    scheduler: SchedulerConfig,
    /// Tokens for which the key-value cache has room, where it has a fixed size.
    kv_tokens: Option<u32>,
}

/// Loads the model in `dir`, on so many threads. Blocks.
///
/// # Errors
/// See [`LoadError`].
pub(crate) fn load(
    dir: &ModelDir,
    options: &Options,
    placement: &Placement,
    threads: usize,
) -> Result<Loaded, LoadError> {
    let how = How {
        options,
        placement,
        isq: isq_type(options, placement)?,
        threads,
    };
    let staging = Staging::new()?;
    let mut parts = Parts::read(dir, how, &staging)?;
    let pipeline = guarded(|| load_pipeline(&parts, how)).map_err(LoadError::Engine)??;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LoadError::Process(format!("no runtime: {error}")))?;
    let told = ask(&runtime, &pipeline, &mut parts, options)?;

    let source = parts.template.as_ref().map(ChatTemplate::source);
    let mut replies =
        Replies::new(&told.tokenizer, &told.end, source).map_err(|error| LoadError::file("tokenizer.json", error))?;
    let marks = parts.vision.as_ref().map(Vision::marks).unwrap_or_default();
    let marks: Vec<u32> = marks
        .iter()
        .filter_map(|mark| told.tokenizer.token_to_id(mark))
        .collect();
    replies.forbid(&marks);
    let (size, longest) = replies.extent();
    let limits = [options.context_length, told.kv_tokens, parts.positions];
    let context_length = limits.into_iter().flatten().fold(told.positions, u32::min).max(1);
    let prefix_cache = if told.kv_tokens.is_some() {
        options.prefix_cache
    } else {
        0
    };
    Ok(Loaded {
        runner: start(&runtime, &pipeline, &told.scheduler, prefix_cache)?,
        codec: Codec::new(told.tokenizer, size, longest),
        replies,
        vision: parts.vision,
        numbers: parts.numbers,
        template: parts.template,
        context_length,
        kv_tokens: told.kv_tokens,
        memory_bytes: parts.memory_bytes,
        multimodal: parts.multimodal,
    })
}

/// Asks the engine for what the files didn't say.
fn ask(runtime: &Runtime, pipeline: &SharedPipeline, parts: &mut Parts, options: &Options) -> Result<Told, LoadError> {
    let pipeline = runtime.block_on(pipeline.lock());
    let metadata = pipeline.get_metadata();
    let (tokenizer, end) = match parts.tokens.take() {
        Some((tokenizer, end)) => (Arc::new(tokenizer), end),
        None => {
            parts.template = own_template(&*pipeline)?;
            let tokenizer = pipeline.tokenizer();
            let tokenizer = tokenizer.ok_or_else(|| LoadError::Engine("it has no tokenizer".to_owned()))?;
            (tokenizer, metadata.eos_tok.clone())
        }
    };
    let whole = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let kv_tokens = metadata
        .cache_config
        .as_ref()
        .map(|cache| whole(cache.num_gpu_blocks * cache.block_size));
    let scheduler = match &metadata.cache_config {
        Some(config) => SchedulerConfig::PagedAttentionMeta {
            max_num_seqs: options.max_sequences as usize,
            config: config.clone(),
        },
        // Sequences that wait in this scheduler start over, without their images (default_scheduler.rs:212); with room
        // for one, what has started never waits.
        None => SchedulerConfig::DefaultScheduler {
            method: DefaultSchedulerMethod::Fixed(std::num::NonZeroUsize::MIN),
        },
    };
    Ok(Told {
        tokenizer,
        end,
        positions: whole(metadata.max_seq_len),
        scheduler,
        kv_tokens,
    })
}

/// The chat template that a GGUF file carries.
fn own_template(pipeline: &dyn Pipeline) -> Result<Option<ChatTemplate>, LoadError> {
    let Some(own) = pipeline.get_chat_template() else {
        return Ok(None);
    };
    let Some(source) = own
        .chat_template
        .as_ref()
        .and_then(|template| template.0.as_ref().left())
    else {
        return Ok(None);
    };
    ChatTemplate::new(source, own.bos_tok(), own.eos_tok()).map(Some)
}

fn isq_type(options: &Options, placement: &Placement) -> Result<Option<IsqType>, LoadError> {
    let Some(level) = &options.isq else { return Ok(None) };
    parse_isq_value(level, Some(&placement.device))
        .map(Some)
        .map_err(|problem| LoadError::Request(format!("options: isq: {problem}")))
}

fn load_pipeline(parts: &Parts, how: How<'_>) -> Result<SharedPipeline, LoadError> {
    let paged = match how.placement.on_gpu() {
        true => {
            let memory = MemoryGpuConfig::ContextSize(how.options.kv_tokens.unwrap_or(KV_TOKENS) as usize);
            let config = PagedAttentionConfig::new(Some(BLOCK), memory, PagedCacheType::Auto);
            Some(config.map_err(|error| LoadError::Engine(error.to_string()))?)
        }
        false => None,
    };
    let Placement { device, dtype, .. } = how.placement;
    let isq = how.isq;
    let (silent, mapping) = (true, DeviceMapSetting::dummy());
    let pipeline = match &parts.paths {
        Some(paths) => parts
            .loader
            .load_model_from_path(paths, dtype, device, silent, mapping, isq, paged),
        None => {
            let (revision, token) = (None, TokenSource::None);
            parts
                .loader
                .load_model_from_hf(revision, token, dtype, device, silent, mapping, isq, paged)
        }
    };
    pipeline
        .map(|pipeline| pipeline as SharedPipeline)
        // What follows are the names of functions.
        .map_err(|error| LoadError::Engine(format!("{error:#}").lines().next().unwrap_or_default().to_owned()))
}

/// Starts the engine's thread. On a current-thread runtime it does without a trial run, which would panic where a
/// model fails.
fn start(
    runtime: &Runtime,
    pipeline: &SharedPipeline,
    scheduler: &SchedulerConfig,
    prefix_cache: u32,
) -> Result<Arc<MistralRs>, LoadError> {
    let mut problem = LoadError::Engine("its engine doesn't start".to_owned());
    for _ in 0..STARTS {
        let builder = MistralRsBuilder::new(pipeline.clone(), scheduler.clone(), false, None)
            .with_no_prefix_cache(prefix_cache == 0)
            .with_prefix_cache_n(prefix_cache as usize);
        // `MistralRs::new` takes a lock that its own thread may hold just then (lib.rs:635), and panics if so.
        match guarded(|| runtime.block_on(builder.build())) {
            Ok(runner) => return Ok(runner),
            Err(panic) => problem = LoadError::Engine(panic),
        }
    }
    Err(problem)
}
