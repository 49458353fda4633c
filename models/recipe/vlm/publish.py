"""Writes the published folder: `python -m recipe.vlm.publish --weights DIR/weights.pt --to shapes-vlm`.

The layout is the one that transformers' Idefics3ForConditionalGeneration and Idefics3Processor load;
weights go to f16. The model card is written by hand and left alone.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import model as architecture
from .tokenizer import END, PAD, SPECIALS, START, VOCABULARY, load, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="without it, random weights: the layout alone")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json that the stages shared; made anew without it")
    parser.add_argument("--to", type=Path, default=Path("shapes-vlm"))
    args = parser.parse_args()
    model = architecture.fresh(0)
    if args.weights:
        model.load_state_dict(torch.load(args.weights)["vlm"])
    publish(model, load(args.tokenizer), args.to)


def publish(model, tokenizer, folder: Path) -> None:
    """Writes the model (f32 in memory, f16 on disk), its configs and its tokenizer into `folder`."""
    write(folder, tokenizer)
    halves = {n: t.half().contiguous() for n, t in model.state_dict().items() if n != "lm_head.weight" and "position_ids" not in n}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    _json(folder / "config.json", _config())
    ids = {name: SPECIALS.index(token) for name, token in (("bos_token_id", START), ("pad_token_id", PAD))}
    _json(folder / "generation_config.json", {**ids, "eos_token_id": [SPECIALS.index(END), SPECIALS.index(PAD)], "max_new_tokens": 128})
    side = {"longest_edge": architecture.IMAGE_SIZE}
    _json(folder / "preprocessor_config.json", {
        "image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor",
        "do_convert_rgb": True, "do_resize": True, "size": side, "max_image_size": side, "resample": 2,
        "do_image_splitting": False, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": list(architecture.MEAN), "image_std": list(architecture.STD), "do_pad": True,
    })
    _json(folder / "processor_config.json", {"processor_class": "Idefics3Processor", "image_seq_len": architecture.IMAGE_TOKENS})


def _config() -> dict:
    """Written out in full, so that any loader finds what it asks for, in old and new names."""
    config = architecture.config()
    text, vision = config.text_config, config.vision_config
    halves = {"dtype": "float16", "torch_dtype": "float16"}
    return {
        "architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3", **halves,
        "image_token_id": config.image_token_id, "scale_factor": config.scale_factor, "tie_word_embeddings": True,
        "vocab_size": VOCABULARY, "use_cache": True,
        "bos_token_id": text.bos_token_id, "eos_token_id": text.eos_token_id, "pad_token_id": text.pad_token_id,
        "vision_config": {"model_type": "idefics3_vision", **halves, **{k: getattr(vision, k) for k in (
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_channels", "image_size", "patch_size",
            "hidden_act", "layer_norm_eps", "attention_dropout", "initializer_range",
        )}},
        "text_config": {
            "model_type": "llama", "architectures": ["LlamaForCausalLM"], **halves, **{k: getattr(text, k) for k in (
                "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
                "hidden_act", "rms_norm_eps", "max_position_embeddings", "attention_bias", "attention_dropout", "mlp_bias", "initializer_range",
                "bos_token_id", "eos_token_id", "pad_token_id",
            )},
            "rope_theta": 10000.0, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
            "tie_word_embeddings": True, "use_cache": True,
        },
    }


def _json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
