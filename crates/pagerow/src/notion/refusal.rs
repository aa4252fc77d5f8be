//! Turns an answer that is no success into the error it means.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{Capability, NotionError, Problem, RateScope, Refusal, Subject, Unlogged};

/// What is known of the call that was refused.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) subject: Subject,
    pub(super) capability: Capability,
}

/// The header and body key that name a request at Notion's side.
pub(super) const REQUEST_ID: &str = "x-notion-request-id";

#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    request_id: Option<String>,
    #[serde(default)]
    additional_data: Option<Map<String, Value>>,
}

/// The error that an answer means. Without a readable body the status decides alone.
pub(super) fn error(status: u16, headers: &HeaderMap, body: &[u8], asked: &Asked) -> NotionError {
    let parsed: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let data = parsed.additional_data.unwrap_or_default();
    let refusal = Box::new(Refusal {
        status,
        request_id: request_id(headers).or(parsed.request_id),
        code: parsed.code,
        message: Unlogged::new(parsed.message),
    });
    let subject = || asked.subject.clone();
    match status {
        400 => invalid(refusal, &data, asked),
        401 => NotionError::WrongToken(refusal),
        403 if data.contains_key("block_limit") => NotionError::BlockLimit(refusal),
        // Without a code it is the edge that blocks us, which no capability would change.
        403 if !refusal.is_from_api() => {
            NotionError::RateLimited { scope: RateScope::Blocked, retry_after: None, refusal }
        }
        403 => NotionError::MissingCapability { capability: asked.capability, refusal },
        404 if refusal.is_from_api() => NotionError::NotShared { subject: subject(), refusal },
        409 if refusal.code == "row_limit_exceeded" => NotionError::RowLimit { subject: subject(), refusal },
        409 => NotionError::Conflict { subject: subject(), refusal },
        429 => NotionError::RateLimited {
            scope: scope(&data),
            retry_after: retry_after(headers, &data),
            refusal,
        },
        529 => NotionError::Overloaded { retry_after: retry_after(headers, &data), refusal },
        503 if was_saved(&refusal, &data) => NotionError::Saved { committed: committed(&data), refusal },
        408 | 500.. => NotionError::Server(refusal),
        402..=499 => NotionError::Invalid { problem: Problem::Other, property: None, refusal },
        _ => NotionError::Unexpected(refusal),
    }
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// When Notion answered, on its own clock.
pub(super) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// `Retry-After` in seconds or as a date, which is measured against the answer's own `Date`.
pub(super) fn retry_after(headers: &HeaderMap, data: &Map<String, Value>) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let text = header.or_else(|| data.get("retry_after").and_then(Value::as_str))?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let wait = http_date(text)?.duration_since(server_time(headers)?);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

fn scope(data: &Map<String, Value>) -> RateScope {
    match data.get("rate_limit_reason").and_then(Value::as_str) {
        Some("public_api_request_rate_limit") => RateScope::Connection,
        Some("public_api_space_request_rate_limit") => RateScope::Workspace,
        Some("public_api_endpoint_rate_limit") => RateScope::Endpoint,
        Some("public_api_request_blocked") => RateScope::Blocked,
        _ => RateScope::Unsaid,
    }
}

fn was_saved(refusal: &Refusal, data: &Map<String, Value>) -> bool {
    data.contains_key("committed_resource_id")
        || data.contains_key("committed_child_ids")
        || refusal.message.reveal().starts_with("The change was saved")
}

fn committed(data: &Map<String, Value>) -> Vec<String> {
    let strings = |key| match data.get(key) {
        Some(Value::String(id)) => vec![id.clone()],
        Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    [strings("committed_resource_id"), strings("committed_child_ids")].concat()
}

fn invalid(refusal: Box<Refusal>, data: &Map<String, Value>, asked: &Asked) -> NotionError {
    if data.get("error_type").and_then(Value::as_str) == Some("multiple_data_sources_for_database") {
        let id = |key| data.get(key).and_then(Value::as_str).map(str::to_owned);
        let children = data.get("child_data_source_ids").and_then(Value::as_array);
        return NotionError::SeveralDataSources {
            database_id: id("database_id").unwrap_or_else(|| asked.subject.id.clone()),
            data_source_ids: children
                .map(|ids| ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
        };
    }
    let message = refusal.message.reveal();
    if let Some((is, wanted)) = wrong_kind_of_id(message) {
        return NotionError::WrongKindOfId { id: asked.subject.id.clone(), is, wanted };
    }
    if message.contains("start_cursor") && !message.contains("page_size") {
        return NotionError::StaleCursor(refusal);
    }
    if message.contains("block that is archived") {
        return NotionError::InTrash { subject: asked.subject.clone(), refusal };
    }
    let (problem, property) = problem(message);
    NotionError::Invalid { problem, property, refusal }
}

/// `Provided ID … is a database, not a page.`
fn wrong_kind_of_id(message: &str) -> Option<(String, String)> {
    const KINDS: [&str; 6] = ["page", "database", "data source", "data_source", "block", "view"];
    let (before, after) = message.split_once(", not a ")?;
    let (_, is) = before.rsplit_once(" is a ")?;
    let kind =
        |text: &str| KINDS.into_iter().find(|kind| text.starts_with(kind)).map(|kind| kind.replace('_', " "));
    Some((kind(is)?, kind(after)?))
}

/// The problem and the property, taken only from those parts of a message that hold our own keys.
fn problem(message: &str) -> (Problem, Option<String>) {
    if let Some(property) = message.strip_suffix(" is not a property that exists.") {
        return (Problem::NoSuchProperty, Some(property.to_owned()));
    }
    if let Some(property) = message.strip_prefix("Could not find property with name or id: ") {
        return (Problem::NoSuchProperty, Some(property.trim_end_matches('.').to_owned()));
    }
    if let Some((property, _)) = message.split_once(" is expected to be ") {
        return (Problem::WrongType, Some(property.to_owned()));
    }
    if message.contains("commas not allowed") {
        return (Problem::CommaInOption, None);
    }
    if message.starts_with("Invalid status option") || message.starts_with("Invalid select option") {
        return (Problem::NoSuchOption, None);
    }
    let Some(path) = failed_path(message) else { return (Problem::Other, None) };
    let property = path.strip_prefix("body.properties.").map(|rest| property_of(rest).to_owned());
    let limit = message.split_once(" should be ≤ `").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    match limit {
        Some(limit) => (Problem::TooLong { limit }, property),
        None => (Problem::Malformed { path: path.to_owned() }, property),
    }
}

/// The first path in `body failed validation: PATH should …`. It is made of keys, never of values.
fn failed_path(message: &str) -> Option<&str> {
    let (place, rest) = message.split_once(" failed validation")?;
    if !matches!(place, "body" | "path" | "query") {
        return None;
    }
    let rest = rest
        .strip_prefix(": ")
        .or_else(|| rest.strip_prefix(". Fix one: ").or(rest.strip_prefix(". Fix one:\n")))?;
    let (path, _) = rest.split_once(" should ")?;
    path.starts_with(place).then_some(path)
}

/// The property's name at the head of `Name.rich_text[0].text.content.length`; names may hold dots themselves.
fn property_of(path: &str) -> &str {
    const TYPES: [&str; 14] = [
        "title",
        "rich_text",
        "number",
        "select",
        "multi_select",
        "status",
        "date",
        "people",
        "files",
        "checkbox",
        "url",
        "email",
        "phone_number",
        "relation",
    ];
    let ends_here = |(at, _): &(usize, &str)| {
        let key = path[at + 1..].split(['.', '[']).next().unwrap_or_default();
        TYPES.contains(&key)
    };
    path.match_indices('.').find(ends_here).map_or(path, |(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::super::error::Fate;
    use super::*;

    fn asked() -> Asked {
        let subject = Subject { kind: "page", id: "p-1".to_owned() };
        Asked { subject, capability: Capability::UpdateContent }
    }

    fn of(status: u16, body: &str) -> NotionError {
        error(status, &HeaderMap::new(), body.as_bytes(), &asked())
    }

    fn api(status: u16, code: &str, message: &str) -> NotionError {
        let body = serde_json::json!({"object": "error", "status": status, "code": code, "message": message,
            "request_id": "req-1"});
        of(status, &body.to_string())
    }

    #[test]
    fn every_status_has_its_fate() {
        use Fate::{NotApplied, Unknown};
        for (status, code, fate) in [
            (400, "validation_error", NotApplied),
            (401, "unauthorized", NotApplied),
            (403, "restricted_resource", NotApplied),
            (404, "object_not_found", NotApplied),
            (409, "conflict_error", NotApplied),
            (409, "row_limit_exceeded", NotApplied),
            (413, "", NotApplied),
            (429, "rate_limited", NotApplied),
            (529, "service_overload", NotApplied),
            (408, "", Unknown),
            (500, "internal_server_error", Unknown),
            (502, "bad_gateway", Unknown),
            (503, "service_unavailable", Unknown),
            (503, "database_connection_unavailable", Unknown),
            (504, "gateway_timeout", Unknown),
            (520, "", Unknown),
            (302, "", Unknown),
        ] {
            assert_eq!(api(status, code, "x").fate(), fate, "{status} {code}");
        }
    }

    #[test]
    fn a_503_may_mean_saved() {
        let body = r#"{"object":"error","status":503,"code":"service_unavailable","message":"The change was saved, but the response could not be built in time.",
            "additional_data":{"committed_resource_id":"new-page","elapsed_ms":"55001","retry_guidance":["do not repeat the write"]}}"#;
        assert_eq!(of(503, body).fate(), Fate::Applied { committed: vec!["new-page".into()] });
        let update = r#"{"code":"service_unavailable","message":"The change was saved, but the response could not be built in time"}"#;
        assert_eq!(of(503, update).fate(), Fate::Applied { committed: vec![] });
        let children = r#"{"code":"service_unavailable","message":"","additional_data":{"committed_child_ids":["a","b"]}}"#;
        assert_eq!(of(503, children).fate(), Fate::Applied { committed: vec!["a".into(), "b".into()] });
    }

    #[test]
    fn html_from_the_edge_is_no_notion_error() {
        let html = "<html><body>502 Bad Gateway cf-ray</body></html>";
        let error = of(502, html);
        assert!(matches!(&error, NotionError::Server(refusal) if !refusal.is_from_api()));
        assert_eq!(error.to_string(), "Notion is in trouble (status 502)");
        assert!(matches!(of(403, html), NotionError::RateLimited { scope: RateScope::Blocked, .. }));
        assert_eq!(of(404, html).fate(), Fate::NotApplied);
        assert!(
            !matches!(of(404, html), NotionError::NotShared { .. }),
            "an edge's 404 says nothing about a page"
        );
    }

    #[test]
    fn messages_are_not_displayed() {
        let error = api(
            400,
            "validation_error",
            "Invalid status option. Status option \"Secret 42\" does not exist\".",
        );
        assert!(!error.to_string().contains("Secret"), "{error}");
        assert!(!format!("{error:?}").contains("Secret"), "{error:?}");
        assert!(error.to_string().contains("req-1"));
        assert!(error.refusal().unwrap().message.reveal().contains("Secret 42"));
    }

    #[test]
    fn problems_are_named_by_place() {
        let cases = [
            (
                "body failed validation: body.properties.Body.rich_text[0].text.content.length should be ≤ `2000`, instead was `2602`.",
                Problem::TooLong { limit: 2000 },
                Some("Body"),
            ),
            (
                "body failed validation: body.properties.a.b.date.start should be a valid ISO 8601 date string, instead was `\"Secret\"`.",
                Problem::Malformed { path: "body.properties.a.b.date.start".into() },
                Some("a.b"),
            ),
            (
                "body failed validation. Fix one: body.properties.X.title should be defined, instead was `undefined`. body.properties.X.date should be defined",
                Problem::Malformed { path: "body.properties.X.title".into() },
                Some("X"),
            ),
            ("Rating is expected to be number.", Problem::WrongType, Some("Rating")),
            ("Ghost is not a property that exists.", Problem::NoSuchProperty, Some("Ghost")),
            ("Could not find property with name or id: abc", Problem::NoSuchProperty, Some("abc")),
            ("Invalid select option, commas not allowed: Secret, Other", Problem::CommaInOption, None),
            ("Something else about Secret", Problem::Other, None),
        ];
        for (message, expected, name) in cases {
            let NotionError::Invalid { problem, property, .. } = api(400, "validation_error", message) else {
                panic!("{message}")
            };
            assert_eq!((problem, property.as_deref()), (expected, name), "{message}");
            assert!(!api(400, "validation_error", message).to_string().contains("Secret"));
        }
    }

    #[test]
    fn ids_of_another_kind_are_told() {
        let error = api(
            400,
            "validation_error",
            "Provided ID p-1 is a database, not a page. Use the retrieve database API instead.",
        );
        assert_eq!(error.to_string(), "p-1 is the id of a database, not of a page");
        let several = r#"{"code":"validation_error","message":"Databases with multiple data sources are not supported in this API version.",
            "additional_data":{"error_type":"multiple_data_sources_for_database","database_id":"db","child_data_source_ids":["a","b"]}}"#;
        assert!(of(400, several).advice().contains("a, b"));
    }

    #[test]
    fn special_refusals_are_told_apart() {
        assert!(matches!(
            api(400, "validation_error", "The start_cursor provided is invalid: x"),
            NotionError::StaleCursor(_)
        ));
        let archived = "Can't edit block that is archived. You must unarchive the block before editing.";
        assert!(matches!(api(400, "validation_error", archived), NotionError::InTrash { .. }));
        let block_limit = r#"{"code":"restricted_resource","message":"x","additional_data":{"block_limit":"block_creation"}}"#;
        assert!(matches!(of(403, block_limit), NotionError::BlockLimit(_)));
        let capability = api(403, "restricted_resource", "API token does not have access to this resource.");
        assert!(capability.advice().contains("update content"), "{}", capability.advice());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let with = |pairs: &[(&'static str, &'static str)]| {
            let headers =
                pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect();
            retry_after(&headers, &Map::new())
        };
        assert_eq!(with(&[("retry-after", "17")]), Some(Duration::from_secs(17)));
        let date = ("date", "Sun, 29 Aug 2021 17:45:01 GMT");
        assert_eq!(
            with(&[date, ("retry-after", "Sun, 29 Aug 2021 17:46:31 GMT")]),
            Some(Duration::from_secs(90))
        );
        assert_eq!(with(&[date, ("retry-after", "Sun, 29 Aug 2021 17:44:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(with(&[("retry-after", "soon")]), None);
        assert_eq!(with(&[("retry-after", "-3")]), None);
        let data = serde_json::from_str(r#"{"retry_after":"8"}"#).unwrap();
        assert_eq!(retry_after(&HeaderMap::new(), &data), Some(Duration::from_secs(8)));
    }
}
