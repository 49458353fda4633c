//! `sensorium registry`: the file's schema, and what is wrong with one.

use anyhow::anyhow;

use crate::cli::CheckOptions;

/// Prints the JSON Schema of a registry file.
///
/// # Errors
/// None in practice.
pub(crate) fn schema() -> anyhow::Result<()> {
    println!(
        "{}",
        serde_json::to_string_pretty(&sensorium_engine::registry_schema())?
    );
    Ok(())
}

/// Says what is wrong with a registry file.
///
/// # Errors
/// With all problems, one a line.
pub(crate) async fn check(options: CheckOptions) -> anyhow::Result<()> {
    let file = &options.registry;
    let registry = sensorium_engine::check_registry(file, &options.plugins.plugin_path)
        .await
        .map_err(|problems| anyhow!("the registry has problems\n{problems}"))?;
    let count = registry.models.len();
    println!(
        "{}: {count} model{}, no problems",
        file.display(),
        if count == 1 { "" } else { "s" }
    );
    Ok(())
}
