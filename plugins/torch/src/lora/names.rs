//! What the trainers of adapters call their tensors.

/// Which half of an adapter a tensor is, or its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `[rank, input]`, also called A.
    Down,
    /// `[out, rank]`, also called B.
    Up,
    /// One number; the product is scaled by alpha / rank.
    Alpha,
}

/// Where a tensor of a LoRA file belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoraKey {
    /// `unet`, `text_encoder`, `text_encoder_2`.
    pub(super) component: &'static str,
    /// The layer's name with underscores for dots, which is how kohya's trainer writes it.
    pub(super) layer: String,
    /// Which of the layer's tensors it is.
    pub(super) part: Part,
}

/// Endings of names, longest first where one ends another.
const PARTS: [(&str, Part); 9] = [
    (".lora_linear_layer.down.weight", Part::Down),
    (".lora_linear_layer.up.weight", Part::Up),
    (".lora_down.weight", Part::Down),
    (".lora_up.weight", Part::Up),
    (".lora.down.weight", Part::Down),
    (".lora.up.weight", Part::Up),
    (".lora_A.weight", Part::Down),
    (".lora_B.weight", Part::Up),
    (".alpha", Part::Alpha),
];

/// Beginnings of names: diffusers', then kohya's.
const COMPONENTS: [(&str, &str); 7] = [
    ("unet.", "unet"),
    ("text_encoder.", "text_encoder"),
    ("text_encoder_2.", "text_encoder_2"),
    ("lora_unet_", "unet"),
    ("lora_te_", "text_encoder"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
];

/// The key that a layer of the model is looked up by.
pub(super) fn layer_key(name: &str) -> String {
    name.replace('.', "_")
}

/// Where a tensor belongs; `None` if its name is of no kind that is known.
pub(super) fn parse(name: &str) -> Option<LoraKey> {
    let (prefix, component) = COMPONENTS.into_iter().find(|(prefix, _)| name.starts_with(prefix))?;
    let rest = &name[prefix.len()..];
    // Attention processors of diffusers 0.14 to 0.22: `attn1.processor.to_q_lora.down.weight`.
    if let Some((layer, tail)) = rest.split_once(".processor.") {
        let (map, part) = match tail.strip_suffix("_lora.down.weight") {
            Some(map) => (map, Part::Down),
            None => (tail.strip_suffix("_lora.up.weight")?, Part::Up),
        };
        let map = if map == "to_out" { "to_out.0" } else { map };
        let layer = layer_key(&format!("{layer}.{map}"));
        return Some(LoraKey { component, layer, part });
    }
    let (layer, part) = PARTS
        .iter()
        .find_map(|(ending, part)| Some((rest.strip_suffix(ending)?, *part)))?;
    Some(LoraKey {
        component,
        layer: layer_key(layer),
        part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trainer_s_names_are_read() {
        let query = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
        let out = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0";
        let text = "text_model_encoder_layers_0_self_attn_q_proj";
        let diffusers = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1";
        for (name, component, layer, part) in [
            (format!("{diffusers}.to_q.lora_A.weight"), "unet", query, Part::Down),
            (format!("{diffusers}.to_q.lora.up.weight"), "unet", query, Part::Up),
            (
                format!("{diffusers}.processor.to_q_lora.down.weight"),
                "unet",
                query,
                Part::Down,
            ),
            (
                format!("{diffusers}.processor.to_out_lora.up.weight"),
                "unet",
                out,
                Part::Up,
            ),
            (format!("{diffusers}.to_out.0.lora_B.weight"), "unet", out, Part::Up),
            (format!("lora_unet_{query}.lora_down.weight"), "unet", query, Part::Down),
            (format!("lora_unet_{query}.alpha"), "unet", query, Part::Alpha),
            (format!("lora_te_{text}.lora_up.weight"), "text_encoder", text, Part::Up),
            (format!("lora_te2_{text}.alpha"), "text_encoder_2", text, Part::Alpha),
            (
                "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight".to_owned(),
                "text_encoder",
                text,
                Part::Down,
            ),
        ] {
            let key = LoraKey {
                component,
                layer: layer.to_owned(),
                part,
            };
            assert_eq!(parse(&name), Some(key), "{name}");
        }
        for name in [
            "to_q.lora_A.weight",
            "unet.conv_in.weight",
            "transformer.x.lora_A.weight",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
