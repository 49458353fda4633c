//! The files that weights are spread over, as an index of transformers or diffusers lists them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{FileError, ModelDir};

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// The files that `index` (`model.safetensors.index.json`, say) lists, or `None` if there is no such index. Whether they
/// are there shows when they are opened.
///
/// # Errors
/// As [`ModelDir::json`].
pub fn shards(dir: &ModelDir, index: &str) -> Result<Option<BTreeSet<String>>, FileError> {
    let index: Option<ShardIndex> = dir.json(index)?;
    Ok(index.map(|index| index.weight_map.into_values().collect()))
}
