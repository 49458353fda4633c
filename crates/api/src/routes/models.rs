//! `GET /v1/models` and `GET /v1/models/{model}`.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use sensorium_engine::Error as EngineError;

use crate::error::ApiError;
use crate::observe::note_model;
use crate::state::AppState;
use crate::wire::error::ErrorBody;
use crate::wire::models::{ModelList, ModelObject};

/// List models
///
/// Every name that may be sent as `model`: ids and, as entries of their own, aliases (their `root` is the id
/// that they stand for).
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "Models",
    operation_id = "listModels",
    responses((status = 200, description = "Ids in the order of the registry, each with its aliases.", body = ModelList))
)]
pub(crate) async fn list(state: Data<AppState>) -> Json<ModelList> {
    let mut data = Vec::new();
    for model in state.engine.models() {
        data.push(ModelObject::named(&model.id, &model));
        data.extend(model.aliases.iter().map(|alias| ModelObject::named(alias, &model)));
    }
    Json(ModelList { object: "list", data })
}

/// Retrieve a model
///
/// By id or alias. Names may contain `/`, written as it is or as `%2F`.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    tag = "Models",
    operation_id = "retrieveModel",
    params(("model" = String, Path, description = "Id or alias", example = "shapes-clip")),
    responses(
        (status = 200, description = "The model.", body = ModelObject),
        (status = 404, description = "There is no such model.", body = ErrorBody),
    )
)]
pub(crate) async fn retrieve(
    request: HttpRequest,
    name: Path<String>,
    state: Data<AppState>,
) -> Result<Json<ModelObject>, ApiError> {
    let name = name.into_inner();
    let Some(model) = state.engine.model(&name) else {
        let model = name.chars().take(200).collect();
        return Err(EngineError::ModelNotFound { model }.into());
    };
    note_model(&request, &model.id);
    Ok(Json(ModelObject::named(&name, &model)))
}
