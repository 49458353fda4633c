"""The published architecture: the parts of diffusers' StableDiffusionPipeline, small."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from ..clip import model as clip

SIDE = 128  # pixels
CELLS = 16  # latents along a side
CHANNELS = 4  # of a latent
WIDTHS = (64, 96, 112)  # of the UNet at 16, 8 and 4 cells
TOKENS = 40  # of a prompt, padded with the end marker; the longest captions take 33
STEPS = 1000  # of the diffusion
TEXT_WIDTH = clip.WIDTH


def vae_config() -> dict:
    """128x128 pixels to 16x16 latents. The mid attention is kept, for loaders that expect it. Norms have few, wide groups:
    in one of two channels an even picture always comes out as plus and minus one, and its colour is forgotten."""
    return dict(
        in_channels=3, out_channels=3, latent_channels=CHANNELS, sample_size=SIDE, block_out_channels=[16, 32, 48, 64],
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=1,
        norm_num_groups=2, act_fn="silu", scaling_factor=0.18215, force_upcast=False,
    )


def unet_config() -> dict:
    """Attention at 8 and 4 cells only: among 16x16 it would take more than half of a training step, and objects are three
    to six cells wide. As in Stable Diffusion 1, `attention_head_dim` is the number of heads."""
    return dict(
        sample_size=CELLS, in_channels=CHANNELS, out_channels=CHANNELS, block_out_channels=list(WIDTHS), layers_per_block=1,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=4, norm_num_groups=8, act_fn="silu",
    )


def text_config() -> CLIPTextConfig:
    """shapes-clip's text tower with room for prompts of `TOKENS`."""
    own = clip.config().text_config.to_dict() | {"max_position_embeddings": TOKENS}
    return CLIPTextConfig(**own)


def scheduler_config() -> dict:
    """DDPM's linear betas: at the last step hardly one part in a hundred of the signal's brightness is left to see,
    so that the noise a picture begins with does not set its background. Velocity after Salimans and Ho, "Progressive
    distillation", https://arxiv.org/abs/2202.00512."""
    return dict(
        num_train_timesteps=STEPS, beta_schedule="linear", beta_start=1e-4, beta_end=0.02, prediction_type="v_prediction",
        clip_sample=False, set_alpha_to_one=True, steps_offset=1, timestep_spacing="trailing",
    )


def fresh_vae(seed: int) -> AutoencoderKL:
    torch.manual_seed(seed)
    return _quiet(AutoencoderKL(**vae_config()))


def fresh_unet(seed: int) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return _quiet(UNet2DConditionModel(**unet_config()))


def fresh_text(folder: Path) -> CLIPTextModel:
    """shapes-clip's text tower, in f32, from its published folder."""
    from safetensors.torch import load_file

    text = CLIPTextModel._from_config(text_config(), attn_implementation="eager")
    taken = {k: v.float() for k, v in load_file(folder / "model.safetensors").items() if k.startswith("text_model.")}
    places = "text_model.embeddings.position_embedding.weight"
    taken[places] = taken[places][:TOKENS]
    own = text.state_dict()
    prefix = "" if "text_model.final_layer_norm.weight" in own else "text_model."
    text.load_state_dict({k.removeprefix(prefix): v for k, v in taken.items()}, strict=False)
    return text


def scheduler() -> DDIMScheduler:
    return DDIMScheduler(**scheduler_config())


def _quiet(model):
    """The model with every residual branch beginning at zero, as in Stable Diffusion's own code, which diffusers leaves out:
    signals and gradients pass straight through to begin with (Goyal et al., https://arxiv.org/abs/1706.02677)."""
    for name, parameter in model.named_parameters():
        if name.endswith((".conv2.weight", ".proj_out.weight", "attentions.0.to_out.0.weight")):
            torch.nn.init.zeros_(parameter)
    return model
