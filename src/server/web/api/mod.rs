//! `/api/v1/...` and what else is JSON, as `docs/openapi.yaml` describes it.
//!
//! Each file holds the schemas of one subject, named as they are there, and how they are made from facts.

pub(super) mod ports;
pub(super) mod track;

use crate::http::{Response, mime};
use serde::Serialize;

/// 200 with that as JSON, which nobody may store.
pub(super) fn json(body: &impl Serialize) -> Response {
    // Fails for maps whose keys are no text; there are none.
    let mut text = serde_json::to_string(body).unwrap_or_default();
    text.push('\n');
    Response::text(mime::JSON, text).header("Cache-Control", "no-store")
}
