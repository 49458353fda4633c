"""The published architecture: transformers' CLIPModel, small."""

import math

import torch
from transformers import CLIPConfig, CLIPModel

from .tokenizer import MAX_LENGTH, VOCABULARY

IMAGE_SIZE = 64
PATCH = 8
WIDTH = 128
DIMENSIONS = (32, 64, 128)  # Matryoshka prefixes; the last is the whole embedding
START_ID, STOP_ID = VOCABULARY - 2, VOCABULARY - 1


def config() -> CLIPConfig:
    tower = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_attention_heads=4, hidden_act="quick_gelu")
    return CLIPConfig(
        text_config=dict(
            **tower, num_hidden_layers=3, vocab_size=VOCABULARY, max_position_embeddings=MAX_LENGTH,
            bos_token_id=START_ID, eos_token_id=STOP_ID, pad_token_id=STOP_ID, projection_dim=DIMENSIONS[-1],
        ),
        vision_config=dict(**tower, num_hidden_layers=5, image_size=IMAGE_SIZE, patch_size=PATCH, projection_dim=DIMENSIONS[-1]),
        projection_dim=DIMENSIONS[-1],
        matryoshka_dimensions=list(DIMENSIONS),
    )


def fresh(seed: int) -> CLIPModel:
    """A new model in f32. Attention is the plain one: on a CPU its backward pass is several times faster."""
    torch.manual_seed(seed)
    model = CLIPModel._from_config(config(), attn_implementation="eager")
    text, vision = model.text_model.embeddings, model.vision_model.embeddings
    for embedding in (text.token_embedding, text.position_embedding):
        torch.nn.init.normal_(embedding.weight, std=0.02)
    torch.nn.init.normal_(vision.class_embedding, std=0.02)
    # As strong as what a fresh patch embedding gives; weaker, and shapes take thousands of steps to appear.
    vision.position_embedding.weight.data[1:] = 0.4 * grid_waves(IMAGE_SIZE // PATCH, WIDTH)
    vision.position_embedding.weight.data[0] = 0.0
    for projection in (model.text_projection, model.visual_projection):
        torch.nn.init.normal_(projection.weight, std=WIDTH**-0.5)
    model.logit_scale.data.fill_(2.6592)  # ln(1 / 0.07), as in CLIP
    return model


def see(clip: CLIPModel, pixels: torch.Tensor, kept: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Image embeddings (b, dim), not normalised, and patch tokens (b, patches, width), as CLIPModel has them.

    kept (b, k): only these patches are looked at, which makes a step so much cheaper that most of
    training goes this way (Li et al., "FLIP", https://arxiv.org/abs/2212.00794).
    """
    vision = clip.vision_model
    tokens = vision.embeddings(pixels)
    if kept is not None:
        chosen = tokens[:, 1:].gather(1, kept[..., None].expand(-1, -1, tokens.shape[2]))
        tokens = torch.cat([tokens[:, :1], chosen], dim=1)
    tokens = vision.encoder(inputs_embeds=vision.pre_layrnorm(tokens)).last_hidden_state
    return clip.visual_projection(vision.post_layernorm(tokens[:, 0])), tokens[:, 1:]


def grid_waves(grid: int, width: int) -> torch.Tensor:
    """(grid * grid, width) sines and cosines of row and column, to start position embeddings from.

    After Beyer et al., "Better plain ViT baselines", https://arxiv.org/abs/2205.01580.
    """
    periods = torch.logspace(math.log10(2), math.log10(4 * grid), width // 4)  # patches per turn
    turns = 2 * math.pi * torch.arange(grid)[:, None] / periods
    line = torch.cat([turns.sin(), turns.cos()], dim=1)  # (grid, width / 2)
    rows, columns = line[:, None].expand(-1, grid, -1), line[None].expand(grid, -1, -1)
    return torch.cat([rows, columns], dim=2).reshape(grid * grid, width)
