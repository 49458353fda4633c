"""The published architecture: transformers' Idefics3ForConditionalGeneration, small, its eye started from shapes-clip."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from .tokenizer import END, IMAGE, PAD, SPECIALS, VOCABULARY

IMAGE_SIZE = 64
PATCH = 8
SCALE = 2  # pixel shuffle: 2x2 patches make one image token
IMAGE_TOKENS = (IMAGE_SIZE // PATCH // SCALE) ** 2
CONTEXT = 4096
MEAN, STD = (0.5,) * 3, (0.5,) * 3
CLIP_STD = 0.3  # of shapes-clip's preprocessor; the mean is the same


def config() -> Idefics3Config:
    """gelu_pytorch_tanh, for engines that know CLIP's quick_gelu by another name or not at all."""
    return Idefics3Config(
        image_token_id=SPECIALS.index(IMAGE), scale_factor=SCALE, tie_word_embeddings=True,
        pad_token_id=SPECIALS.index(PAD),
        vision_config=dict(
            hidden_size=128, intermediate_size=512, num_hidden_layers=5, num_attention_heads=4, num_channels=3,
            image_size=IMAGE_SIZE, patch_size=PATCH, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-5,
        ),
        text_config=dict(
            model_type="llama", vocab_size=VOCABULARY, hidden_size=256, intermediate_size=640, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, hidden_act="silu", rms_norm_eps=1e-5,
            max_position_embeddings=CONTEXT, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=True, bos_token_id=SPECIALS.index("<|im_start|>"), eos_token_id=SPECIALS.index(END),
            pad_token_id=SPECIALS.index(PAD),
        ),
    )


def fresh(seed: int, clip: Path | None = None) -> Idefics3ForConditionalGeneration:
    """A new model in f32; with `clip`, the folder of shapes-clip, its vision tower is the eye to begin with."""
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration._from_config(config(), attn_implementation="eager")
    model.tie_weights()
    torch.nn.init.normal_(model.model.connector.modality_projection.proj.weight, std=512**-0.5)
    if clip:
        _take_eye(model.model.vision_model, load_file(clip / "model.safetensors"))
    return model


def halve(model) -> None:
    """To bf16, all but the frequencies of the rotary positions, which would be a third of a turn off at the end of a sequence."""
    rotary = model.model.text_model.rotary_emb
    frequencies = rotary.inv_freq.float().clone()
    model.bfloat16()
    rotary.inv_freq = frequencies


@torch.no_grad()
def _take_eye(vision, clip: dict[str, torch.Tensor]) -> None:
    """Copies CLIP's tower as far as the two agree.

    Idefics3 has no class token, no normalisation before the first layer and a bias at the patches.
    The normalisation is folded into patches and positions with one average deviation; the rest is
    left to training.
    """
    clip = {k.removeprefix("vision_model."): v.float() for k, v in clip.items() if k.startswith("vision_model.")}
    own = vision.state_dict()
    for name, value in clip.items():
        if name in own and name.startswith(("encoder.", "post_layernorm.")):
            own[name].copy_(value)
    patches = clip["embeddings.patch_embedding.weight"]
    positions = clip["embeddings.position_embedding.weight"][1:]
    gain, bias = clip["pre_layrnorm.weight"], clip["pre_layrnorm.bias"]
    patches, positions = patches - patches.mean(0, keepdim=True), positions - positions.mean(1, keepdim=True)
    flat = torch.zeros(1, *patches.shape[1:]) + 1.2  # a light, even patch, as most of a picture is
    seen = (patches * flat).sum((1, 2, 3)) + positions
    scale = gain / seen.pow(2).mean(1).sqrt().mean()
    own["embeddings.patch_embedding.weight"].copy_(patches * scale[:, None, None, None] * (STD[0] / CLIP_STD))
    own["embeddings.patch_embedding.bias"].copy_(bias)
    own["embeddings.position_embedding.weight"].copy_(positions * scale)


def see(model, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Image tokens (n, IMAGE_TOKENS, width of the text) and the eye's patch tokens (n, patches, width) of
    pixels (n, 3, size, size), as Idefics3Model has them."""
    vision = model.model.vision_model
    patches = vision.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
    tokens = patches + vision.embeddings.position_embedding.weight
    for layer in vision.encoder.layers:
        tokens = layer(tokens, None)
    tokens = vision.post_layernorm(tokens)
    return model.model.connector(tokens), tokens


def read(model, ids, images, places, mask) -> torch.Tensor:
    """Hidden states (b, length, width) after the text model's last norm.

    ids, places (positions) (b, length); images (n, IMAGE_TOKENS, width) fill the image tokens in
    order; mask (b, 1, length, length) bool, True where a token may look.
    """
    words = model.model.text_model.embed_tokens(ids)
    words = words.masked_scatter((ids == model.config.image_token_id)[..., None], images.to(words.dtype))
    barred = torch.zeros(mask.shape, dtype=words.dtype).masked_fill(~mask, torch.finfo(words.dtype).min)
    return model.model.text_model(inputs_embeds=words, attention_mask=barred, position_ids=places, use_cache=False).last_hidden_state
