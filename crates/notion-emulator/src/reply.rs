//! How an answer leaves: status, headers and body, each with the request's id.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{error::ApiError, json};

/// An answer before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) content_type: &'static str,
    pub(crate) retry_after: Option<u64>,
    pub(crate) request_id: Uuid,
}

const JSON: &str = "application/json; charset=utf-8";

impl Reply {
    /// An object already written out; the request's id is put at its end.
    pub(crate) fn object(mut body: String, request_id: Uuid) -> Self {
        if body.ends_with('}') {
            body.pop();
            if !body.ends_with('{') {
                body.push(',');
            }
            body.push_str("\"request_id\":");
            json::id(&mut body, request_id);
            body.push('}');
        }
        Self { status: 200, body, content_type: JSON, retry_after: None, request_id }
    }

    pub(crate) fn tree(body: &Json, request_id: Uuid) -> Self {
        Self::object(body.to_string(), request_id)
    }

    /// A list envelope around results already written out as an array.
    pub(crate) fn list(results: &str, next: Option<&str>, kind: &str, request_id: Uuid) -> Self {
        let mut out = String::with_capacity(results.len() + 256);
        write_list_head(&mut out, results, next, kind);
        out.push('}');
        Self::object(out, request_id)
    }

    pub(crate) fn error(error: &ApiError, request_id: Uuid) -> Self {
        Self {
            status: error.status,
            body: error.to_json(request_id).to_string(),
            content_type: JSON,
            retry_after: error.retry_after,
            request_id,
        }
    }

    /// An answer as the edge in front gives it: without an id, and perhaps not JSON.
    pub(crate) fn raw(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), content_type, retry_after: None, request_id: Uuid::nil() }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if !self.request_id.is_nil()
            && let Ok(id) = HeaderValue::from_str(&self.request_id.to_string())
        {
            headers.insert("x-notion-request-id", id);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Appends everything of a list envelope but its closing brace.
pub(crate) fn write_list_head(out: &mut String, results: &str, next: Option<&str>, kind: &str) {
    out.push_str("{\"object\":\"list\",\"results\":");
    out.push_str(results);
    out.push_str(",\"next_cursor\":");
    json::optional(out, next);
    out.push_str(",\"has_more\":");
    json::boolean(out, next.is_some());
    out.push_str(",\"type\":");
    json::string(out, kind);
    out.push(',');
    json::string(out, kind);
    out.push_str(":{}");
}
