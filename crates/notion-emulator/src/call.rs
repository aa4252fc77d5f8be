//! One request on its way to a handler: path, query, version, connection and body.

use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{
    at::{self, BODY},
    error::{ApiError, Result},
    ids,
    render::Viewer,
    server::Shared,
    token::{Capabilities, Token},
    values::Scope,
    version::Version,
    world::World,
};

/// A request that passed the version and token checks.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) version: Version,
    pub(crate) token: Arc<Token>,
    /// Path pieces after `/v1`, still percent-encoded.
    pub(crate) path: Vec<&'a str>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Json,
    /// The request's bytes, for the one endpoint that takes files.
    pub(crate) raw: Bytes,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) request_id: Uuid,
}

impl Call<'_> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, World> {
        self.shared.read()
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, World> {
        self.shared.write()
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.token.capabilities
    }

    pub(crate) fn viewer<'w>(&'w self, world: &'w World) -> Viewer<'w> {
        Viewer { world, token: &self.token, version: self.version, base_url: self.shared.base_url() }
    }

    pub(crate) fn scope<'w>(&'w self, world: &'w World) -> Scope<'w> {
        Scope { world, token: &self.token }
    }

    /// The body as an object.
    pub(crate) fn body(&self) -> Result<&Map<String, Json>> {
        at::object(&self.body, &BODY)
    }

    /// The id in the path at `index`; `name` is what messages call it.
    pub(crate) fn path_id(&self, index: usize, name: &str) -> Result<Uuid> {
        let text = self.path.get(index).copied().unwrap_or_default();
        ids::parse_uuid(text).ok_or_else(|| {
            ApiError::validation(format!(
                "path failed validation: path.{name} should be a valid uuid, instead was `\"{text}\"`."
            ))
        })
    }

    /// A query parameter's first value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `filter_properties`, repeated, bracketed or plain.
    pub(crate) fn filter_properties(&self) -> Result<Option<Vec<&str>>> {
        let wanted: Vec<&str> = self
            .query
            .iter()
            .filter(|(key, _)| key == "filter_properties" || key.starts_with("filter_properties["))
            .map(|(_, value)| value.as_str())
            .collect();
        if wanted.len() > 100 {
            return Err(ApiError::validation(format!(
                "query failed validation: query.filter_properties.length should be ≤ `100`, instead was `{}`.",
                wanted.len()
            )));
        }
        Ok((!wanted.is_empty()).then_some(wanted))
    }

    /// `page_size` of the query string; 100 when absent.
    pub(crate) fn page_size(&self) -> Result<usize> {
        let Some(text) = self.parameter("page_size") else { return Ok(100) };
        let wrong = |what: &str| {
            ApiError::validation(format!(
                "query failed validation: query.page_size should be {what}, instead was `\"{text}\"`."
            ))
        };
        match text.parse::<usize>() {
            Ok(size @ 1..=100) => Ok(size),
            Ok(0) => Err(wrong("≥ `1`")),
            Ok(_) => Err(wrong("≤ `100`")),
            Err(_) => Err(wrong("a number")),
        }
    }

    /// 404 in this connection's words.
    pub(crate) fn not_found(&self, what: &str, id: Uuid) -> ApiError {
        ApiError::not_found(what, &id.to_string(), &self.token.name, self.token.bot)
    }
}

/// Cuts a list into pages by an opaque cursor that counts.
pub(crate) fn paged<T>(items: Vec<T>, start: Option<&str>, size: usize) -> Result<(Vec<T>, Option<String>)> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let from = match start.filter(|text| !text.is_empty()) {
        None => 0,
        Some(text) => {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
            let text_of = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text_of
                .and_then(|text| text.strip_prefix("after:").and_then(|count| count.parse::<usize>().ok()))
                .ok_or_else(|| crate::query::invalid_cursor(text))?
        }
    };
    let total = items.len();
    let page: Vec<T> = items.into_iter().skip(from).take(size).collect();
    let end = from + page.len();
    let next = (end < total).then(|| BASE64_URL_SAFE_NO_PAD.encode(format!("after:{end}")));
    Ok((page, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_walk_a_list_once() {
        let mut start = None;
        let mut seen = Vec::new();
        loop {
            let (page, next) = paged((0..7).collect(), start.as_deref(), 3).unwrap();
            seen.extend(page);
            match next {
                Some(next) => start = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
        assert!(paged(vec![1], Some("nonsense!"), 3).is_err());
    }
}
