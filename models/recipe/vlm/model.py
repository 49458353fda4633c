"""The published architecture: transformers' Idefics3ForConditionalGeneration, small, its eye started from shapes-clip."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from .tokenizer import END, IMAGE, PAD, SPECIALS, VOCABULARY

IMAGE_SIZE = 64
PATCH = 8
SCALE = 2  # pixel shuffle: 2x2 patches make one image token
IMAGE_TOKENS = (IMAGE_SIZE // PATCH // SCALE) ** 2
CONTEXT = 4096
MEAN, STD = (0.5,) * 3, (0.5,) * 3
DIRECTED_LAYER = 1  # of the text model; the first gathers the words of a reference
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


def read(model, ids, images, places, mask) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Hidden states (b, length, width) after the text model's last norm, as LlamaModel has them, at half of its time on a
    CPU; the attention (b, 2, length, length) of the heads that training may direct, two of the directed layer, four of
    the next and two of the one after it; and the hidden states after the first two of these layers.

    ids, places (positions) (b, length); images (n, IMAGE_TOKENS, width) fill the image tokens in
    order; mask (b, 1, length, length) bool, True where a token may look.
    """
    text = model.model.text_model
    tokens = text.embed_tokens(ids)
    tokens = tokens.masked_scatter((ids == model.config.image_token_id)[..., None], images.to(tokens.dtype))
    turn = [t[:, None, :, :t.shape[-1] // 2] for t in text.rotary_emb(tokens, places)]
    barred = torch.zeros(mask.shape, dtype=tokens.dtype).masked_fill_(~mask, -1e4)[:, None]
    for k, layer in enumerate(text.layers):
        attended, weights = _attended(layer.self_attn, _even(tokens, layer.input_layernorm), turn, barred)
        tokens = tokens + attended
        even, mlp = _even(tokens, layer.post_attention_layernorm), layer.mlp
        tokens = tokens + mlp.down_proj(F.silu(mlp.gate_proj(even)) * mlp.up_proj(even))
        if k == DIRECTED_LAYER:
            directed, found = [weights[:, 0]], [tokens]
        elif k == DIRECTED_LAYER + 1:
            directed += [weights[:, 1], weights[:, 0]]
            found.append(tokens)
        elif k == DIRECTED_LAYER + 2:
            directed.append(weights[:, 0])
    return _even(tokens, text.norm), directed, found


def _attended(attention, tokens, turn, barred) -> tuple[torch.Tensor, torch.Tensor]:
    """Grouped-query attention: the queries that share a key stand in one matrix. Also the weights (b, keys, queries of each, length, length)."""
    b, length, width = tokens.shape
    size, groups = attention.head_dim, attention.num_key_value_groups
    q, k, v = (p(tokens).view(b, length, -1, size).transpose(1, 2) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    q, k = _turned(q, *turn), _turned(k, *turn)
    shared = k.shape[1]
    scores = torch.matmul(q.reshape(b, shared, groups * length, size) * attention.scaling, k.transpose(2, 3))
    weights = torch.softmax(scores.view(b, shared, groups, length, length) + barred, dim=-1)
    seen = torch.matmul(weights.view(b, shared, groups * length, length), v).view(b, -1, length, size)
    return attention.o_proj(seen.transpose(1, 2).reshape(b, length, width)), weights


def _turned(x, cos, sin) -> torch.Tensor:
    """Rotary positions; cos and sin are of one half, the other being the same."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _even(x, norm) -> torch.Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)
