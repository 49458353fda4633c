//! What each architecture calls the tensors of a transformer layer.

/// Names within one layer, without `.weight` and `.bias`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerNames {
    /// Norm of the attention block.
    pub(crate) norm1: &'static str,
    /// Query projection.
    pub(crate) query: &'static str,
    /// Key projection.
    pub(crate) key: &'static str,
    /// Value projection.
    pub(crate) value: &'static str,
    /// Projection after attention.
    pub(crate) output: &'static str,
    /// Norm of the feed-forward block.
    pub(crate) norm2: &'static str,
    /// First map of the feed-forward block.
    pub(crate) up: &'static str,
    /// Second map of the feed-forward block.
    pub(crate) down: &'static str,
}

/// CLIP and SigLIP, text and vision.
pub(crate) const CLIP_LAYER: LayerNames = LayerNames {
    norm1: "layer_norm1",
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    output: "self_attn.out_proj",
    norm2: "layer_norm2",
    up: "mlp.fc1",
    down: "mlp.fc2",
};

/// BERT, RoBERTa and XLM-RoBERTa.
pub(crate) const BERT_LAYER: LayerNames = LayerNames {
    norm1: "attention.output.LayerNorm",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    output: "attention.output.dense",
    norm2: "output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
};

/// DistilBERT.
pub(crate) const DISTILBERT_LAYER: LayerNames = LayerNames {
    norm1: "sa_layer_norm",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    output: "attention.out_lin",
    norm2: "output_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
};
