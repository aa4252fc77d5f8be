//! What a refusal looks like on the wire: status, code, message and extra facts.

use serde_json::{Value as Json, json};
use uuid::Uuid;

/// One refused request, in Notion's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) additional: Option<Json>,
    /// Whole seconds, sent as `Retry-After`.
    pub(crate) retry_after: Option<u64>,
}

/// The answer of everything that can refuse.
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), additional: None, retry_after: None }
    }

    /// 400 with the whole message given.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "validation_error", message)
    }

    /// 400 for a mistake at one place of the body.
    pub(crate) fn body(message: impl std::fmt::Display) -> Self {
        Self::validation(format!("body failed validation: {message}"))
    }

    pub(crate) fn invalid_url() -> Self {
        Self::new(400, "invalid_request_url", "Invalid request URL.")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "API token is invalid.")
    }

    pub(crate) fn restricted() -> Self {
        Self::new(403, "restricted_resource", "Insufficient permissions for this endpoint.")
    }

    /// 404: missing and unshared look the same.
    pub(crate) fn not_found(what: &str, id: &str, connection: &str, bot: Uuid) -> Self {
        let mut error = Self::new(
            404,
            "object_not_found",
            format!(
                "Could not find {what} with ID: {id}. Make sure the relevant pages and databases are shared with your integration \"{connection}\"."
            ),
        );
        error.additional = Some(json!({ "integration_id": bot.to_string() }));
        error
    }

    pub(crate) fn trashed() -> Self {
        Self::validation("Can't edit block that is archived. You must unarchive the block before editing.")
    }

    pub(crate) fn rate_limited(retry_after: u64) -> Self {
        let mut error =
            Self::new(429, "rate_limited", "You have been rate limited. Please try again in a few minutes.");
        error.additional = Some(json!({
            "rate_limit_reason": "public_api_request_rate_limit",
            "retry_after": retry_after.to_string(),
        }));
        error.retry_after = Some(retry_after);
        error
    }

    /// The body, with the request's id.
    pub(crate) fn to_json(&self, request_id: Uuid) -> Json {
        let mut body = json!({
            "object": "error", "status": self.status, "code": self.code,
            "message": self.message, "request_id": request_id.to_string(),
        });
        if let Some(additional) = &self.additional {
            body["additional_data"] = additional.clone();
        }
        body
    }
}
