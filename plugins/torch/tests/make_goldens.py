"""Makes the golden files of this folder with diffusers and transformers.

Tiny pipelines of each architecture with random weights, in the layout that diffusers writes, each with what the reference
makes of a few inputs: states of texts, passes of the UNet and the autoencoder, and whole images. Beside them, the
trajectories of every scheduler under a stand-in for a model.

    python make_goldens.py                  everything, into golden/
    python make_goldens.py sd15 schedulers  some of it

Needs torch 2.11, diffusers 0.42, transformers 5, scipy, numpy and safetensors. Everything is seeded; noise is the plugin's own
(src/noise.rs), so that a seed gives the same image on both sides.
"""

import json
import shutil
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import (AutoencoderKL, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline,
                       StableDiffusionPipeline, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline,
                       StableDiffusionXLPipeline, UNet2DConditionModel)
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

GOLDEN = Path(__file__).parent / "golden"
TOKENIZER = Path(__file__).parents[2] / "candle/tests/golden/clip-legacy"
PROMPT, NEGATIVE = "a red circle above a blue square", "two small green triangles"
LONG = "seven wizards quietly box with jugs of liquor and more and more of it " * 4
SEED, STEPS, SIDE = 7, 20, 64

# --- noise: Philox 4x32-10 and Box-Muller, as in src/noise.rs --------------------------------------------------------

STREAMS = {"initial": 0, "encoding": 1, "masked": 2}


def philox(seed, blocks, stream):
    mask = np.uint64(0xFFFFFFFF)
    index = np.arange(blocks, dtype=np.uint64)
    counter = [index & mask, index >> np.uint64(32), np.full(blocks, stream & 0xFFFFFFFF, np.uint64),
               np.full(blocks, stream >> 32, np.uint64)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * counter[0], np.uint64(0xCD9E8D57) * counter[2]
        counter = [(b >> np.uint64(32)) ^ counter[1] ^ np.uint64(key[0]), b & mask,
                   (a >> np.uint64(32)) ^ counter[3] ^ np.uint64(key[1]), a & mask]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def normal(seed, stream, shape):
    count = int(np.prod(shape))
    words = [(word.astype(np.float64) + 0.5) / 2**32 for word in philox(seed, -(-count // 4), stream)]
    pairs = []
    for a, b in ((words[0], words[1]), (words[2], words[3])):
        radius = np.sqrt(-2 * np.log(a))
        pairs += [radius * np.cos(2 * np.pi * b), radius * np.sin(2 * np.pi * b)]
    values = np.stack(pairs, 1).reshape(-1)[:count].astype(np.float32)
    return torch.from_numpy(values).reshape(shape)


class Noise:
    """Stands in for randn_tensor wherever diffusers draws: what it is for follows from who asks."""

    def __init__(self, seeds, encodings=("encoding", "masked")):
        self.seeds, self.steps, self.encodings = seeds, iter(range(10**6)), iter(encodings)

    def draw(self, stream, shape):
        return torch.cat([normal(seed, stream, (1, *shape[1:])) for seed in self.seeds])

    def initial(self, shape, **_):
        return self.draw(STREAMS["initial"], shape)

    def encoding(self, shape, **_):
        return self.draw(STREAMS[next(self.encodings)], shape)

    def step(self, shape, **_):
        return self.draw(2**32 | next(self.steps), shape)

    def __enter__(self):
        self.patched = []
        for name, module in list(sys.modules.items()):
            if not name.startswith("diffusers") or "randn_tensor" not in vars(module):
                continue
            if "scheduling" in name:
                stand_in = self.step
            elif name.endswith("autoencoders.vae"):
                stand_in = self.encoding
            elif "pipeline" in name:
                stand_in = self.initial
            else:
                continue
            self.patched.append((module, module.randn_tensor))
            module.randn_tensor = stand_in
        return self

    def __exit__(self, *_):
        for module, original in self.patched:
            module.randn_tensor = original


# --- tiny models -----------------------------------------------------------------------------------------------------


def randomise(model, seed, gain=1.0):
    """Weights under which signals neither die nor explode, rounded to f16, which is how they are stored."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                norm_weight = "norm" in name and name.endswith("weight")
                values = values * 0.1 + (1.0 if norm_weight else 0.0)
            elif "embedding" in name and "linear" not in name and "cond_proj" not in name:
                values = values * 0.5
            else:
                values = values * gain / parameter[0].numel() ** 0.5
            parameter.copy_(values.half().float())
    return model.eval()


def text_encoder(cls, seed, **config):
    base = dict(vocab_size=len(json.loads((TOKENIZER / "vocab.json").read_text())), hidden_size=16, intermediate_size=32,
                num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=77, hidden_act="quick_gelu")
    return randomise(cls(CLIPTextConfig(**{**base, **config})), seed, 1.6)


def vae(seed, **config):
    base = dict(block_out_channels=(4, 4, 6, 8), layers_per_block=1, norm_num_groups=2, latent_channels=4,
                sample_size=SIDE)
    config = {**base, **config}
    levels = len(config["block_out_channels"])
    model = AutoencoderKL(down_block_types=("DownEncoderBlock2D",) * levels,
                          up_block_types=("UpDecoderBlock2D",) * levels, **config)
    return randomise(model, seed)


def save(directory, pipeline, legacy_names=False):
    """Writes f16 files, and for legacy_names what old checkpoints have: other names in the autoencoder's attention, and the
    tokenizer as vocabulary and merges."""
    shutil.rmtree(directory, ignore_errors=True)
    pipeline.save_pretrained(directory)
    for part in directory.iterdir():
        for file in part.glob("*.safetensors") if part.is_dir() else []:
            from safetensors.torch import load_file
            tensors = {name: tensor.half() for name, tensor in load_file(file).items()}
            if legacy_names and part.name == "vae":
                for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
                    tensors = {name.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): tensor
                               for name, tensor in tensors.items()}
            save_file(tensors, file, metadata={"format": "pt"})
    if legacy_names:
        (directory / "tokenizer/tokenizer.json").unlink()
        for file in ("vocab.json", "merges.txt"):
            shutil.copy(TOKENIZER / file, directory / "tokenizer")
    for file in ("special_tokens_map.json", "added_tokens.json"):
        for found in directory.rglob(file):
            found.unlink()


def tokenizer(pad=None):
    made = CLIPTokenizer.from_pretrained(TOKENIZER, model_max_length=77)
    if pad:
        made.pad_token = pad
    return made


def unet(seed, **config):
    return randomise(UNet2DConditionModel(**config), seed)


CROSS_DOWN, DOWN, CROSS_UP, UP = "CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"
SCHEDULE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
WITHOUT = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def sd15():
    network = unet(1, sample_size=8, block_out_channels=(4, 4, 8, 8), norm_num_groups=2, attention_head_dim=2,
                   cross_attention_dim=16, layers_per_block=2, down_block_types=(CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN),
                   up_block_types=(UP, CROSS_UP, CROSS_UP, CROSS_UP))
    scheduler = diffusers.PNDMScheduler(**SCHEDULE, skip_prk_steps=True)
    return StableDiffusionPipeline(vae=vae(2), text_encoder=text_encoder(CLIPTextModel, 3), tokenizer=tokenizer(),
                                   unet=network, scheduler=scheduler, **WITHOUT)


def sd21():
    network = unet(4, sample_size=8, block_out_channels=(4, 8, 8), norm_num_groups=2, attention_head_dim=(1, 2, 2),
                   cross_attention_dim=16, layers_per_block=1, down_block_types=(CROSS_DOWN, CROSS_DOWN, DOWN),
                   up_block_types=(UP, CROSS_UP, CROSS_UP), use_linear_projection=True, upcast_attention=True)
    scheduler = diffusers.DDIMScheduler(**SCHEDULE, prediction_type="v_prediction", clip_sample=False,
                                        set_alpha_to_one=False)
    encoder = text_encoder(CLIPTextModel, 5, hidden_act="gelu")
    return StableDiffusionPipeline(vae=vae(6), text_encoder=encoder, tokenizer=tokenizer("!"), unet=network,
                                   scheduler=scheduler, **WITHOUT)


def inpaint():
    network = unet(7, sample_size=8, in_channels=9, block_out_channels=(4, 8), norm_num_groups=2, attention_head_dim=2,
                   cross_attention_dim=16, layers_per_block=1, down_block_types=(CROSS_DOWN, DOWN),
                   up_block_types=(UP, CROSS_UP))
    scheduler = diffusers.DDIMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=False)
    return StableDiffusionInpaintPipeline(vae=vae(8), text_encoder=text_encoder(CLIPTextModel, 9), tokenizer=tokenizer(),
                                          unet=network, scheduler=scheduler, **WITHOUT)


def sdxl():
    network = unet(10, sample_size=16, block_out_channels=(4, 8, 8), norm_num_groups=2, attention_head_dim=(1, 2, 2),
                   cross_attention_dim=40, layers_per_block=1, transformer_layers_per_block=(1, 1, 2),
                   down_block_types=(DOWN, CROSS_DOWN, CROSS_DOWN), up_block_types=(CROSS_UP, CROSS_UP, UP),
                   use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
                   projection_class_embeddings_input_dim=20 + 6 * 8)
    scheduler = diffusers.EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="leading")
    first = text_encoder(CLIPTextModel, 11)
    second = text_encoder(CLIPTextModelWithProjection, 12, hidden_size=24, projection_dim=20, hidden_act="gelu")
    return StableDiffusionXLPipeline(vae=vae(13, block_out_channels=(4, 8, 8), scaling_factor=0.13025),
                                     text_encoder=first, text_encoder_2=second, tokenizer=tokenizer(),
                                     tokenizer_2=tokenizer("!"), unet=network, scheduler=scheduler)


def lcm():
    network = unet(14, sample_size=8, block_out_channels=(4, 8), norm_num_groups=2, attention_head_dim=2,
                   cross_attention_dim=16, layers_per_block=1, down_block_types=(CROSS_DOWN, DOWN),
                   up_block_types=(UP, CROSS_UP), time_cond_proj_dim=32)
    scheduler = diffusers.LCMScheduler(**SCHEDULE)
    return diffusers.LatentConsistencyModelPipeline(vae=vae(15), text_encoder=text_encoder(CLIPTextModel, 16),
                                                    tokenizer=tokenizer(), unet=network, scheduler=scheduler, **WITHOUT)


# --- what the reference makes of them --------------------------------------------------------------------------------


def picture(side, seed=5):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, 3)).astype(np.float32).repeat(side // 4, 0).repeat(side // 4, 1)
    return (coarse + rng.normal(0, 12, coarse.shape)).clip(0, 255).astype(np.uint8)


def half_mask(side):
    mask = np.zeros((side, side), np.uint8)
    mask[side // 8: side - side // 8, : side // 2] = 255
    return mask


def bytes_of(image):
    return torch.from_numpy(np.array(image).copy())


def networks(pipeline, out):
    """One pass of each network."""
    for name in ("text_encoder", "text_encoder_2"):
        encoder = getattr(pipeline, name, None)
        if encoder is None:
            continue
        words = getattr(pipeline, name.replace("text_encoder", "tokenizer"))
        read = words([PROMPT, LONG, ""], padding="max_length", truncation=True, max_length=77, return_tensors="pt")
        made = encoder(read.input_ids, output_hidden_states=True)
        out[f"{name}.ids"] = read.input_ids
        # Every fifth token is enough.
        last = made.last_hidden_state if name == "text_encoder" else encoder.text_model.final_layer_norm(made.hidden_states[-1])
        out[f"{name}.last"], out[f"{name}.penultimate"] = last[:, ::5], made.hidden_states[-2][:, ::5]
        if name == "text_encoder_2":
            out[f"{name}.pooled"] = made.text_embeds
    network, config = pipeline.unet, pipeline.unet.config
    side = config.sample_size
    sample = normal(1, 0, (2, config.in_channels, side, side + 3))
    context = normal(2, 0, (2, 77, config.cross_attention_dim))
    extra = {}
    if config.addition_embed_type:
        sizes = torch.tensor([[128.0, 96, 0, 0, 128, 96], [64, 64, 8, 4, 128, 128]])
        extra = dict(added_cond_kwargs={"text_embeds": normal(3, 0, (2, 20)), "time_ids": sizes})
    if config.time_cond_proj_dim:
        extra = dict(timestep_cond=normal(4, 0, (2, config.time_cond_proj_dim)))
    out["unet.output"] = network(sample, torch.tensor([981.0, 17.5]), context, **extra).sample
    moments = pipeline.vae.encode(normal(5, 0, (1, 3, 32, 48)).clamp(-1, 1)).latent_dist
    out["vae.mean"], out["vae.std"] = moments.mean, moments.std
    channels = pipeline.vae.config.latent_channels
    out["vae.decoded"] = pipeline.vae.decode(normal(6, 0, (1, channels, 5, 4))).sample


def images(pipeline, directory, out, kinds, steps=STEPS):
    """Whole images from the plugin's noise."""
    guidance = 5.0 if isinstance(pipeline, StableDiffusionXLPipeline) else 7.5
    classes = {
        "text": type(pipeline), "image": StableDiffusionImg2ImgPipeline, "inpaint": StableDiffusionInpaintPipeline,
    }
    if isinstance(pipeline, StableDiffusionXLPipeline):
        classes.update(image=StableDiffusionXLImg2ImgPipeline, inpaint=StableDiffusionXLInpaintPipeline)
    side = SIDE
    for kind, arguments in kinds.items():
        cls = classes[kind.split("-")[0]]
        made = cls(**{name: part for name, part in pipeline.components.items()
                      if name not in ("image_encoder", "safety_checker", "feature_extractor")},
                   **({} if "XL" in cls.__name__ else WITHOUT))
        made.set_progress_bar_config(disable=True)
        seeds = arguments.pop("seeds", [SEED])
        call = dict(prompt=PROMPT, num_inference_steps=steps, num_images_per_prompt=len(seeds),
                    guidance_scale=guidance)
        scheduler = arguments.pop("scheduler", None)
        if scheduler:
            # From the file: a configuration in memory forgets what it has by default. Latents are never clipped.
            config = json.loads((directory / "scheduler/scheduler_config.json").read_text())
            made.scheduler = getattr(diffusers, scheduler).from_config({**config, "clip_sample": False})
        if kind.startswith(("image", "inpaint")):
            call["image"] = Image.fromarray(picture(side))
        if kind.startswith("inpaint"):
            call["mask_image"] = Image.fromarray(half_mask(side))
        if not kind.startswith("image"):
            call.update(height=side, width=side)
        call.update(arguments)
        # A UNet that sees the masked image needs no other, unless it begins with it.
        only_masked = pipeline.unet.config.in_channels == 9 and call.get("strength") == 1.0
        encodings = ["masked"] if only_masked else ["encoding", "masked"]
        with Noise(seeds, encodings):
            out[f"image.{kind}"] = torch.stack([bytes_of(image) for image in made(**call).images])
        # Bytes alone would hide much: what they were rounded from, too.
        with Noise(seeds, encodings):
            out[f"latents.{kind}"] = made(**call, output_type="latent").images


def lora(directory, pipeline, out):
    """Adapters in diffusers' words and in kohya's, and an image of the model with the first merged into it."""
    generator = torch.Generator().manual_seed(99)
    diffusers_words, kohya_words, merged = {}, {}, []
    names = {"unet": "lora_unet", "text_encoder": "lora_te"}
    for component, kohya in names.items():
        modules = dict(getattr(pipeline, component).named_modules())
        wanted = [name for name, module in modules.items()
                  if name.endswith(("attn2.to_k", "attn1.to_out.0", "ff.net.0.proj", "q_proj", "proj_in", "resnets.0.conv1"))
                  and (not name.startswith(("down", "mid")) or "0" in name)][:12]
        for name in wanted:
            weight = modules[name].weight
            rank, alpha = 2, 3.0
            down = torch.randn(rank, *weight.shape[1:], generator=generator) * 0.2
            up = torch.randn(weight.shape[0], rank, *(1,) * (weight.dim() - 2), generator=generator) * 0.2
            inner = name if component == "unet" or name.startswith("text_model") else f"text_model.{name}"
            diffusers_words[f"{component}.{inner}.lora_A.weight"] = down * (alpha / rank)
            diffusers_words[f"{component}.{inner}.lora_B.weight"] = up
            key = f"{kohya}_{inner.replace('.', '_')}"
            kohya_words[f"{key}.lora_down.weight"], kohya_words[f"{key}.lora_up.weight"] = down, up
            kohya_words[f"{key}.alpha"] = torch.tensor(alpha)
            change = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape) * (alpha / rank)
            merged.append((weight, change * 0.7))
    save_file(diffusers_words, directory / "style.safetensors")
    save_file(kohya_words, directory / "style-kohya.safetensors")
    with torch.no_grad():
        for weight, change in merged:
            weight += change
        images(pipeline, directory, out, {"text-lora": {}})
        for weight, change in merged:
            weight -= change


def pipeline(name, make, kinds, steps=STEPS, with_lora=False, legacy_names=False):
    made, directory, out = make(), GOLDEN / name, {}
    save(directory, made, legacy_names)
    with torch.no_grad():
        networks(made, out)
        out["input.image"], out["input.mask"] = bytes_of(picture(SIDE)), bytes_of(half_mask(SIDE))
        images(made, directory, out, kinds, steps)
        if with_lora:
            lora(directory, made, out)
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, directory / "expected.safetensors")


# --- schedulers ------------------------------------------------------------------------------------------------------


def stand_in(sample, timestep):
    """A smooth function in place of a model."""
    return torch.tanh(sample * 0.6 + np.cos(float(timestep) / 150.0)) * 0.9


def trajectory(case):
    """Every sample of a run, and of an image's latents with noise at its beginning."""
    cls = getattr(diffusers, case["class"])
    scheduler = cls(**case["config"])
    scheduler.set_timesteps(case["steps"])
    begin = case.get("begin", 0) * scheduler.order
    shape = (1, 2, 3, 3)
    noise = Noise([3])
    timesteps = scheduler.timesteps[begin:]
    initial = normal(3, 0, shape)
    # Without it diffusers looks for the first timestep, and begins a step late where two are the same.
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    if begin:
        sample = scheduler.add_noise(normal(4, 0, shape), initial, timesteps[:1])
    else:
        sample = initial * scheduler.init_noise_sigma
    noise.steps = iter(range(begin, 10**6))
    samples = [sample]
    with noise:
        for timestep in timesteps:
            seen = scheduler.scale_model_input(sample, timestep)
            sample = scheduler.step(stand_in(seen, timestep), timestep, sample, return_dict=False)[0]
            samples.append(sample)
    return torch.cat(samples), scheduler.timesteps.to(torch.float64)


def cases():
    base = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    offset = dict(base, steps_offset=1)
    spacings = [dict(offset, timestep_spacing=s) for s in ("leading", "linspace", "trailing")]
    velocity = dict(prediction_type="v_prediction")
    plain = dict(clip_sample=False, set_alpha_to_one=False)
    per_class = {
        "DDIMScheduler": [dict(c, **plain) for c in spacings] + [
            dict(offset, **plain, **velocity), dict(offset), dict(offset, **plain, prediction_type="sample"),
            dict(offset, **plain, **velocity, rescale_betas_zero_snr=True, timestep_spacing="trailing"),
            dict(offset, clip_sample=False, thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.9),
            dict(offset, clip_sample=False, beta_schedule="squaredcos_cap_v2"), {},
        ],
        "DDPMScheduler": [dict(c, clip_sample=False) for c in spacings] + [
            dict(offset, clip_sample=False, **velocity), dict(offset, variance_type="fixed_large"), {},
        ],
        "PNDMScheduler": [dict(c, skip_prk_steps=True) for c in spacings] + [
            dict(offset, skip_prk_steps=True, **velocity), dict(offset), dict(offset, timestep_spacing="trailing"),
            dict(offset, skip_prk_steps=True, set_alpha_to_one=True), dict(offset, skip_prk_steps=True, beta_schedule="linear"),
        ],
        "EulerDiscreteScheduler": spacings + [
            dict(offset, **velocity), dict(offset, use_karras_sigmas=True), dict(offset, use_exponential_sigmas=True),
            dict(offset, **velocity, rescale_betas_zero_snr=True, timestep_spacing="trailing"),
            dict(offset, final_sigmas_type="sigma_min"), dict(offset, use_karras_sigmas=True, sigma_min=0.1, sigma_max=9.0),
            dict(offset, **velocity, timestep_type="continuous"), dict(offset, prediction_type="sample"),
            dict(beta_schedule="squaredcos_cap_v2"),
        ],
        "EulerAncestralDiscreteScheduler": spacings + [
            dict(offset, **velocity), dict(offset, **velocity, rescale_betas_zero_snr=True, timestep_spacing="trailing"),
        ],
        "DPMSolverMultistepScheduler": spacings + [
            dict(offset, **velocity), dict(offset, use_karras_sigmas=True), dict(offset, use_exponential_sigmas=True),
            dict(offset, solver_type="heun"), dict(offset, solver_order=1), dict(offset, euler_at_final=True),
            dict(offset, algorithm_type="sde-dpmsolver++"), dict(offset, algorithm_type="sde-dpmsolver++", solver_type="heun"),
            dict(offset, algorithm_type="dpmsolver", final_sigmas_type="sigma_min"),
            dict(offset, algorithm_type="dpmsolver", final_sigmas_type="sigma_min", solver_type="heun"),
            dict(offset, algorithm_type="sde-dpmsolver", final_sigmas_type="sigma_min"),
            dict(offset, algorithm_type="sde-dpmsolver", final_sigmas_type="sigma_min", solver_type="heun"),
            dict(offset, final_sigmas_type="sigma_min"), dict(offset, thresholding=True, sample_max_value=2.0),
            dict(beta_schedule="squaredcos_cap_v2", use_karras_sigmas=True),
        ],
        "HeunDiscreteScheduler": spacings + [
            dict(offset, **velocity), dict(offset, use_karras_sigmas=True), dict(offset, clip_sample=True), {},
        ],
        "LMSDiscreteScheduler": spacings + [dict(offset, **velocity), dict(offset, use_karras_sigmas=True), {}],
        "KDPM2DiscreteScheduler": spacings + [
            dict(offset, **velocity), dict(offset, use_karras_sigmas=True), dict(offset, use_exponential_sigmas=True),
        ],
    }
    for name, configs in per_class.items():
        for config in configs:
            yield {"class": name, "config": config, "steps": STEPS}
        # From the middle, as for an image; and few steps.
        yield {"class": name, "config": configs[0], "steps": STEPS, "begin": 8}
        yield {"class": name, "config": configs[0], "steps": 6}
    for config, steps in ((offset, 4), (offset, 8), (dict(offset, **velocity), 4), (dict(offset, clip_sample=True), 1)):
        yield {"class": "LCMScheduler", "config": config, "steps": steps}
    yield {"class": "LCMScheduler", "config": offset, "steps": 8, "begin": 3}
    trailing = dict(offset, timestep_spacing="trailing")
    for name in ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"):
        yield {"class": name, "config": trailing, "steps": 1}
    yield {"class": "DDIMScheduler", "config": dict(trailing, **plain), "steps": 1}


def schedulers():
    made, listed = {}, []
    for index, case in enumerate(cases()):
        samples, timesteps = trajectory(case)
        assert torch.isfinite(samples).all(), case
        made[f"{index}.samples"], made[f"{index}.timesteps"] = samples.float().contiguous(), timesteps
        listed.append(case)
    save_file(made, GOLDEN / "schedulers.safetensors")
    (GOLDEN / "schedulers.json").write_text(json.dumps(listed, indent=0).replace("\n", " ").replace("}, {", "},\n{") + "\n")


IMAGE = {"strength": 0.6}
MAKE = {
    "sd15": lambda: pipeline("sd15", sd15, {
        "text": {"negative_prompt": NEGATIVE, "seeds": [SEED, 8]}, "text-unguided": {"guidance_scale": 1.0},
        "text-ancestral": {"scheduler": "EulerAncestralDiscreteScheduler", "seeds": [SEED, 8]},
        "text-heun": {"scheduler": "HeunDiscreteScheduler"}, "text-ddim": {"scheduler": "DDIMScheduler"},
        "text-dpm": {"scheduler": "DPMSolverMultistepScheduler"},
        "image": dict(IMAGE), "image-heun": dict(IMAGE, scheduler="HeunDiscreteScheduler"),
        "inpaint": {"strength": 1.0}, "inpaint-part": dict(IMAGE, scheduler="EulerDiscreteScheduler"),
    }, with_lora=True, legacy_names=True),
    "sd21": lambda: pipeline("sd21", sd21, {"text": {"negative_prompt": NEGATIVE}, "image": dict(IMAGE)}),
    "inpaint": lambda: pipeline("inpaint", inpaint, {"inpaint": {"strength": 1.0}, "inpaint-part": dict(IMAGE)}),
    "sdxl": lambda: pipeline("sdxl", sdxl, {
        "text": {}, "text-negative": {"negative_prompt": NEGATIVE}, "image": dict(IMAGE), "inpaint": dict(IMAGE),
    }),
    "lcm": lambda: pipeline("lcm", lcm, {"text": {"guidance_scale": 8.5}}, steps=4),
    "schedulers": schedulers,
}

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # layers this small only wait for one another
    for wanted in sys.argv[1:] or MAKE:
        MAKE[wanted]()
        print(wanted)
