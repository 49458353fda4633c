//! A model's way into mistral.rs.

use std::sync::Arc;

use mistralrs::{
    DefaultSchedulerMethod, DeviceMapSetting, IsqType, MemoryGpuConfig, MistralRs, PagedAttentionConfig,
    MultimodalLoaderType, PagedCacheType, SchedulerConfig, TokenSource,
    core::{
        AdapterPaths, GGUFLoaderBuilder, GGUFSpecificConfig, Loader, LocalModelPaths, MistralRsBuilder, ModelPaths, MultimodalLoaderBuilder,
        MultimodalSpecificConfig, NormalLoaderBuilder, NormalSpecificConfig, Pipeline,
    },
    parse_isq_value,
};
use tokenizers_021::Tokenizer;
use tokio::sync::Mutex;

use super::{architecture::Architecture, codec::Codec, files::ModelFiles, numbers::Numbers, vision::Vision};
use crate::{
    checkpoint::{ModelDir, Staging},
    engine::guarded,
    error::LoadError,
    options::Options,
    placement::Placement,
    prompt::ChatTemplate,
    reply::Replies,
    vision_fast::{self, Source},
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

/// What the files came to, before they are loaded.
struct Parts {
    loader: Box<dyn Loader>,
    /// Where the engine reads what, if not all that is staged in any order.
    paths: Option<Box<dyn ModelPaths>>,
    vision: Option<Vision>,
    template: Option<ChatTemplate>,
    /// The model's own tokenizer and the tokens that end a reply; `None`: the engine has them.
    tokens: Option<(Tokenizer, Vec<u32>)>,
    numbers: Numbers,
    /// Bytes of the weights in memory.
    memory_bytes: u64,
    /// ISQ applies to these weights.
    quantisable: bool,
    multimodal: bool,
}

/// What a load has beside the model's own files.
#[derive(Clone, Copy)]
struct Place<'a> {
    staging: &'a Staging,
    threads: usize,
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
    let staging = Staging::new()?;
    let isq = isq_type(options, placement)?;
    let mut parts = match is_gguf(dir, options)? {
        Some(name) => gguf_parts(dir, &name)?,
        None => directory_parts(dir, options, placement, isq, Place { staging: &staging, threads })?,
    };
    if isq.is_some() && !parts.quantisable {
        return Err(LoadError::Request("options: isq is for safetensors; a GGUF file is quantised already".to_owned()));
    }
    let pipeline = guarded(|| load_pipeline(&parts, options, placement, isq)).map_err(LoadError::Engine)??;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LoadError::Process(format!("no runtime: {error}")))?;
    let (metadata, tokenizer, end) = {
        let pipeline = runtime.block_on(pipeline.lock());
        let metadata = pipeline.get_metadata();
        if parts.template.is_none() && !parts.quantisable {
            parts.template = gguf_template(&*pipeline)?;
        }
        match parts.tokens {
            Some((tokenizer, end)) => (metadata, Arc::new(tokenizer), end),
            None => {
                let tokenizer = pipeline.tokenizer();
                let tokenizer = tokenizer.ok_or_else(|| LoadError::Engine("it has no tokenizer".to_owned()))?;
                let end = metadata.eos_tok.clone();
                (metadata, tokenizer, end)
            }
        }
    };
    let source = parts.template.as_ref().map(ChatTemplate::source);
    let replies = Replies::new(&tokenizer, &end, source)
        .map_err(|error| LoadError::file("tokenizer.json", error))?;
    let (size, longest) = replies.extent();
    let own = u32::try_from(metadata.max_seq_len).unwrap_or(u32::MAX);
    let kv_tokens = metadata
        .cache_config
        .as_ref()
        .map(|cache| u32::try_from(cache.num_gpu_blocks * cache.block_size).unwrap_or(u32::MAX));
    let room = kv_tokens.unwrap_or(u32::MAX).min(options.context_length.unwrap_or(u32::MAX));
    let context_length = own.min(room).max(1);
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
    let runner = start(&runtime, &pipeline, &scheduler, if kv_tokens.is_some() { options.prefix_cache } else { 0 })?;
    Ok(Loaded {
        codec: Codec::new(tokenizer, size, longest),
        replies,
        vision: parts.vision,
        numbers: parts.numbers,
        template: parts.template,
        context_length,
        kv_tokens,
        memory_bytes: parts.memory_bytes,
        multimodal: parts.multimodal,
        runner,
    })
}

fn isq_type(options: &Options, placement: &Placement) -> Result<Option<IsqType>, LoadError> {
    let Some(level) = &options.isq else { return Ok(None) };
    parse_isq_value(level, Some(&placement.device))
        .map(Some)
        .map_err(|problem| LoadError::Request(format!("options: isq: {problem}")))
}

/// The GGUF file, if that is what there is.
fn is_gguf(dir: &ModelDir, options: &Options) -> Result<Option<String>, LoadError> {
    if let Some(name) = &options.gguf {
        return match dir.find(name)? {
            Some(_) => Ok(Some(name.clone())),
            None => Err(LoadError::Request(format!("options: gguf: there is no {name}"))),
        };
    }
    if dir.find("config.json")?.is_some() {
        return Ok(None);
    }
    match dir.with_extension("gguf")?.as_slice() {
        [] => Ok(None),
        [name] => Ok(Some(name.clone())),
        names => Err(LoadError::Request(format!(
            "options: gguf: say which of these: {}",
            names.join(", ")
        ))),
    }
}

fn directory_parts(
    dir: &ModelDir,
    options: &Options,
    placement: &Placement,
    isq: Option<IsqType>,
    place: Place<'_>,
) -> Result<Parts, LoadError> {
    let staging = place.staging;
    let mut files = ModelFiles::read(dir, options, staging)?;
    let paths = take_out_eye(&mut files, placement, place)?;
    let id = Some(staging.path().to_string_lossy().into_owned());
    let multimodal = matches!(files.architecture, Architecture::Multimodal(_));
    let loader = match files.architecture {
        Architecture::Multimodal(kind) => {
            MultimodalLoaderBuilder::new(MultimodalSpecificConfig::default(), None, None, id, None).build(Some(kind))
        }
        Architecture::Text(kind) => {
            NormalLoaderBuilder::new(NormalSpecificConfig::default(), None, None, id, false, None)
                .build(Some(kind))
                .map_err(|error| LoadError::Engine(error.to_string()))?
        }
    };
    let width = if placement.dtype_name == "f32" { 32.0 } else { 16.0 };
    let bits = isq.map_or(width, |isq| bits(isq).min(width));
    Ok(Parts {
        loader,
        paths,
        vision: files.vision,
        template: files.template,
        tokens: Some((files.tokenizer, files.end)),
        numbers: files.numbers,
        memory_bytes: (files.parameters as f64 * bits / 8.0) as u64,
        quantisable: true,
        multimodal,
    })
}

/// On a CPU, has an Idefics3's images seen outside the engine; answers what the engine reads then.
fn take_out_eye(
    files: &mut ModelFiles,
    placement: &Placement,
    place: Place<'_>,
) -> Result<Option<Box<dyn ModelPaths>>, LoadError> {
    let Architecture::Multimodal(MultimodalLoaderType::Idefics3) = files.architecture else {
        return Ok(None);
    };
    let Some(vision) = files.vision.as_mut().filter(|_| !placement.on_gpu() && placement.dtype_name == "f32") else {
        return Ok(None);
    };
    let source = Source {
        config: &files.config,
        preprocessor: vision.preprocessor(),
        weights: &files.weights,
    };
    let Some(staged) = vision_fast::stage(source, place.staging, place.threads)? else {
        tracing::info!("the vision tower runs in the engine, which is slow on a CPU");
        return Ok(None);
    };
    vision.look_through(staged.eye);
    let path = |name: &str| place.staging.path().join(name);
    // What is read last replaces what was read before.
    let weights = files.weights.iter().map(|(_, path)| path.clone()).chain([staged.weights]);
    Ok(Some(Box::new(LocalModelPaths {
        tokenizer_filename: path("tokenizer.json"),
        config_filename: path("config.json"),
        template_filename: Some(path("chat_template.jinja")),
        filenames: weights.collect(),
        adapter_paths: AdapterPaths::None,
        gen_conf: Some(path("generation_config.json")),
        preprocessor_config: Some(path("preprocessor_config.json")),
        processor_config: Some(path("processor_config.json")),
        chat_template_json_filename: None,
    })))
}

fn gguf_parts(dir: &ModelDir, name: &str) -> Result<Parts, LoadError> {
    let memory_bytes = dir.mark_weights(name)?;
    let path = dir.find(name)?.ok_or_else(|| LoadError::file(name, "is missing"))?;
    let folder = path.parent().unwrap_or(&path).to_string_lossy().into_owned();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let config = GGUFSpecificConfig { topology: None };
    Ok(Parts {
        loader: GGUFLoaderBuilder::new(None, None, folder, vec![file], config, false, None).build(),
        paths: None,
        vision: None,
        template: None,
        tokens: None,
        numbers: Numbers::default(),
        memory_bytes,
        quantisable: false,
        multimodal: false,
    })
}

/// The chat template that a GGUF file carries.
fn gguf_template(pipeline: &dyn Pipeline) -> Result<Option<ChatTemplate>, LoadError> {
    let Some(own) = pipeline.get_chat_template() else { return Ok(None) };
    let Some(source) = own.chat_template.as_ref().and_then(|template| template.0.as_ref().left()) else {
        return Ok(None);
    };
    ChatTemplate::new(source, own.bos_tok(), own.eos_tok()).map(Some)
}

/// About how many bits a quantised weight takes, scales included.
fn bits(isq: IsqType) -> f64 {
    match isq {
        IsqType::Q2K | IsqType::AFQ2 => 2.6,
        IsqType::Q3K | IsqType::AFQ3 => 3.5,
        IsqType::Q4_0 | IsqType::Q4_1 | IsqType::Q4K | IsqType::HQQ4 | IsqType::AFQ4 | IsqType::MXFP4 => 4.6,
        IsqType::Q5_0 | IsqType::Q5_1 | IsqType::Q5K => 5.6,
        IsqType::Q6K | IsqType::AFQ6 => 6.6,
        _ => 8.5,
    }
}

fn load_pipeline(
    parts: &Parts,
    options: &Options,
    placement: &Placement,
    isq: Option<IsqType>,
) -> Result<SharedPipeline, LoadError> {
    let paged = match placement.on_gpu() {
        true => {
            let memory = MemoryGpuConfig::ContextSize(options.kv_tokens.unwrap_or(KV_TOKENS) as usize);
            let config = PagedAttentionConfig::new(Some(BLOCK), memory, PagedCacheType::Auto);
            Some(config.map_err(|error| LoadError::Engine(error.to_string()))?)
        }
        false => None,
    };
    let Placement { device, dtype, .. } = placement;
    let (silent, mapping) = (true, DeviceMapSetting::dummy());
    let pipeline = match &parts.paths {
        Some(paths) => parts.loader.load_model_from_path(paths, dtype, device, silent, mapping, isq, paged),
        None => {
            let (revision, token) = (None, TokenSource::None);
            parts.loader.load_model_from_hf(revision, token, dtype, device, silent, mapping, isq, paged)
        }
    };
    pipeline
        .map(|pipeline| pipeline as SharedPipeline)
        .map_err(|error| LoadError::Engine(format!("{error:#}")))
}

/// Starts the engine's thread. On a current-thread runtime it does without a trial run, which would panic where a
/// model fails.
fn start(
    runtime: &tokio::runtime::Runtime,
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

