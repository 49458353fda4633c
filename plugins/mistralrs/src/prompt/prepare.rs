//! A request as the engine takes it, or why it is refused: its prompt in words or ids, its images in their size, and
//! the exact number of tokens it comes to, before the engine sees it.

use std::sync::Arc;

use sensorium_contract::{ChatRefused, ChatRequest, Conversation, Prompt, RefusalCode, ToolChoice};

use super::{
    ChatTemplate,
    conversation::{Wording, refused, word},
    neutral::Neutraliser,
};
use crate::{
    model::{Codec, Numbers, Pixels, Vision},
    tools::ToolFormat,
    vision_fast::TooLong,
};

/// Makes prompts for one model. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct Preparer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    codec: Codec,
    template: Option<ChatTemplate>,
    vision: Option<Vision>,
    numbers: Numbers,
    neutral: Neutraliser,
    context_length: u32,
    max_images: u32,
    /// The tokenizer puts the template's first token before every text itself.
    frames: bool,
    /// Prompts go through a processor of transformers, which frames them, not through its tokenizer's template.
    multimodal: bool,
    /// Ids that stand for images.
    image_ids: Vec<u32>,
    /// How the model writes calls of tools.
    format: Option<&'static ToolFormat>,
}

/// A prompt for the engine.
#[derive(Debug)]
pub(crate) enum Input {
    /// As it stands.
    Ids(Vec<u32>),
    /// Written as the engine reads it, with the places of images, which it fills.
    Images { prompt: String, images: Vec<Pixels> },
}

/// A request that fits.
#[derive(Debug)]
pub(crate) struct Prompted {
    pub(crate) input: Input,
    /// Its tokens, for penalties; those of an image need not be all there.
    pub(crate) ids: Vec<u32>,
    /// Images included.
    pub(crate) prompt_tokens: u32,
    pub(crate) image_tokens: u32,
    /// Most tokens of the reply, at least 1.
    pub(crate) max_tokens: u32,
}

/// What a [`Preparer`] is made of.
pub(crate) struct Parts {
    pub(crate) codec: Codec,
    pub(crate) template: Option<ChatTemplate>,
    pub(crate) vision: Option<Vision>,
    pub(crate) numbers: Numbers,
    pub(crate) context_length: u32,
    pub(crate) max_images: u32,
    pub(crate) multimodal: bool,
    pub(crate) format: Option<&'static ToolFormat>,
}

// === impl Preparer ===

impl Preparer {
    /// One for this model.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            codec,
            template,
            vision,
            numbers,
            context_length,
            max_images,
            multimodal,
            format,
        } = parts;
        let marks = vision.as_ref().map(Vision::marks).unwrap_or_default();
        let bos = template.as_ref().and_then(ChatTemplate::bos);
        Self(Arc::new(Inner {
            neutral: Neutraliser::new(&codec, template.as_ref(), marks),
            frames: bos.is_some_and(|bos| codec.frames_with(bos)),
            image_ids: marks.iter().filter_map(|mark| codec.id(mark)).collect(),
            codec,
            template,
            vision,
            numbers,
            context_length,
            max_images,
            multimodal,
            format,
        }))
    }

    /// The prompt of a request. Takes as long as its text and images are large.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn prepare(&self, request: &ChatRequest) -> Result<Prompted, ChatRefused> {
        let inner = &*self.0;
        let (input, ids, image_tokens) = match &request.prompt {
            Prompt::Conversation(conversation) => inner.conversation(conversation)?,
            Prompt::Text(text) => {
                inner.check_bytes(text.len(), "text")?;
                inner.plain(inner.encode(text, true, "text")?, "text")?
            }
            Prompt::TokenIds(ids) => {
                let size = inner.codec.size();
                if let Some(id) = ids.iter().find(|&&id| id >= size) {
                    return Err(refused(format!("token id {id} is not below {size}"), "token_ids"));
                }
                inner.plain(ids.clone(), "token_ids")?
            }
        };
        let prompt_tokens = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let max_tokens = inner.room(prompt_tokens, request.max_tokens)?;
        Ok(Prompted {
            input,
            ids,
            prompt_tokens,
            image_tokens,
            max_tokens,
        })
    }

    /// What the engine is to see instead of prepared pixels, see [`Vision::look`].
    ///
    /// # Errors
    /// If the model's weights make no numbers of them.
    pub(crate) fn look(&self, pixels: Pixels) -> Result<Pixels, TooLong> {
        match &self.0.vision {
            Some(vision) => vision.look(pixels),
            None => Ok(pixels),
        }
    }
}

// === impl Inner ===

impl Inner {
    fn conversation(&self, conversation: &Conversation) -> Result<(Input, Vec<u32>, u32), ChatRefused> {
        const FIELD: &str = "conversation.messages";
        let Some(template) = &self.template else {
            return Err(refused(
                "the model has no chat template; it only continues text",
                "conversation",
            ));
        };
        let tools = !conversation.tools.is_empty() && conversation.tool_choice != ToolChoice::None;
        let worded = word(conversation, self.wording(template), tools)?;
        let prompt = template
            .render(&worded.rendering)
            .map_err(|problem| refused(format!("the model's chat template refuses this: {problem}"), FIELD))?;
        self.check_bytes(prompt.len(), FIELD)?;
        let prompt = match template.bos() {
            Some(bos) if self.frames => prompt.strip_prefix(bos).unwrap_or(&prompt).to_owned(),
            _ => prompt,
        };
        if worded.images.is_empty() {
            return self.plain(self.encode(&prompt, self.multimodal, FIELD)?, FIELD);
        }
        let Some(vision) = &self.vision else {
            return Err(refused("the model reads no images", worded.images[0].0.clone()));
        };
        if worded.images.len() > self.max_images as usize {
            let most = self.max_images;
            return Err(refused(
                format!("the model reads at most {most} images in a conversation"),
                FIELD,
            ));
        }
        let placed = prompt.matches(vision.placeholder()).count();
        if placed != worded.images.len() {
            let given = worded.images.len();
            let problem = format!("the model's chat template has place for {placed} of these {given} images");
            return Err(refused(problem, worded.images[0].0.clone()));
        }
        let images = worded
            .images
            .iter()
            .map(|(field, image)| vision.prepare(image).map_err(|problem| refused(problem, field.clone())));
        let images = images.collect::<Result<Vec<Pixels>, _>>()?;
        let (ids, image_tokens) = vision
            .expand(&prompt, &images, &self.codec)
            .map_err(|problem| refused(problem, FIELD))?;
        let prompt = self.numbers.write(&ids);
        Ok((Input::Images { prompt, images }, ids, image_tokens))
    }

    fn wording<'a>(&'a self, template: &'a ChatTemplate) -> Wording<'a> {
        Wording {
            template,
            neutral: &self.neutral,
            format: self.format,
        }
    }

    /// A prompt without images.
    fn plain(&self, ids: Vec<u32>, field: &str) -> Result<(Input, Vec<u32>, u32), ChatRefused> {
        if ids.is_empty() {
            return Err(refused("the prompt is empty", field));
        }
        if ids.iter().any(|id| self.image_ids.contains(id)) {
            return Err(refused(
                "the prompt has a token that stands for an image, but there is no image",
                field,
            ));
        }
        Ok((Input::Ids(ids.clone()), ids, 0))
    }

    fn encode(&self, text: &str, framed: bool, field: &str) -> Result<Vec<u32>, ChatRefused> {
        self.codec
            .encode(text, framed)
            .map_err(|problem| refused(problem, field))
    }

    /// Refuses text that is too long whatever its tokens are, before work goes into it.
    fn check_bytes(&self, bytes: usize, field: &str) -> Result<(), ChatRefused> {
        let least = bytes / self.codec.longest().max(1);
        match least > self.context_length as usize {
            true => Err(self.too_long(&format!("more than {least}"), None, field)),
            false => Ok(()),
        }
    }

    /// Most tokens of the reply.
    fn room(&self, prompt: u32, wanted: Option<u32>) -> Result<u32, ChatRefused> {
        let room = self.context_length.saturating_sub(prompt);
        match wanted {
            Some(wanted) if room > 0 && wanted > room => {
                Err(self.too_long(&prompt.to_string(), Some(wanted), "max_tokens"))
            }
            _ if room == 0 => Err(self.too_long(&prompt.to_string(), None, "")),
            Some(wanted) => Ok(wanted),
            None => Ok(room),
        }
    }

    fn too_long(&self, prompt: &str, reply: Option<u32>, field: &str) -> ChatRefused {
        let context = self.context_length;
        let reply = match reply {
            Some(reply) => format!(" and the reply may have {reply}"),
            None => ", which leaves no room for a reply".to_owned(),
        };
        ChatRefused {
            code: RefusalCode::ContextLength,
            message: format!(
                "this model's maximum context length is {context} tokens, but the prompt has {prompt}{reply}; shorten one of them"
            ),
            field: field.to_owned(),
        }
    }
}
