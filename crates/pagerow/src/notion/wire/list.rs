//! A page of a list: what could be read, what could not, and whether there is more.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tagged::Text;

/// An object that Notion names in its `object` key.
pub trait WireObject: for<'de> Deserialize<'de> {
    const OBJECT: &'static str;
}

/// One answer of a paged endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage<T> {
    pub entries: Vec<Entry<T>>,
    /// Where the next answer begins; `None` at the end. A list that says it has more always has one.
    pub next_cursor: Option<String>,
    pub request_status: RequestStatus,
}

/// Whether the entries are all that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestStatus {
    /// Notion did not say otherwise.
    Complete,
    /// More matched than Notion lists (10,000): the end of the list is not the end of the data.
    Incomplete { reason: String },
}

/// One object of an answer. None of them is dropped in silence.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<T> {
    Whole(T),
    /// Only the id was shown: the connection may not see more. Not the same as empty.
    Partial {
        id: String,
    },
    /// Another kind of object, as a data source among the rows of a wiki.
    Other {
        object: String,
        id: Option<String>,
    },
    /// The right kind in a shape we cannot read. `reason` says where, never what.
    Unreadable {
        id: Option<String>,
        reason: String,
    },
}

impl<T> Entry<T> {
    pub fn whole(&self) -> Option<&T> {
        match self {
            Self::Whole(object) => Some(object),
            Self::Partial { .. } | Self::Other { .. } | Self::Unreadable { .. } => None,
        }
    }

    pub fn into_whole(self) -> Option<T> {
        match self {
            Self::Whole(object) => Some(object),
            Self::Partial { .. } | Self::Other { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl<T: WireObject> Entry<T> {
    /// Reads one object. Fails only when `json` is no JSON at all.
    pub fn decode(json: &[u8]) -> Result<Self, WhereItBroke> {
        let raw: &RawValue = serde_json::from_slice(json).map_err(|error| WhereItBroke::new(&error))?;
        Ok(Self::of(raw))
    }

    fn of(raw: &RawValue) -> Self {
        let error = match serde_json::from_str(raw.get()) {
            Ok(object) => return Self::Whole(object),
            Err(error) => error,
        };
        let reason = WhereItBroke::new(&error).to_string();
        let Ok(peek) = serde_json::from_str::<Peek<'_>>(raw.get()) else {
            return Self::Unreadable { id: None, reason };
        };
        let id = peek.id.map(|id| id.0.into_owned());
        match (peek.object, id) {
            (Some(object), id) if object.0 != T::OBJECT => Self::Other { object: object.0.into_owned(), id },
            (Some(_), Some(id)) if is_partial(raw) => Self::Partial { id },
            (_, id) => Self::Unreadable { id, reason },
        }
    }
}

impl<T: WireObject> ListPage<T> {
    /// Reads a list answer, each element on its own.
    pub fn decode(json: &[u8]) -> Result<Self, WhereItBroke> {
        let envelope = Envelope::decode(json)?;
        let entries = envelope.results.iter().map(|raw| Entry::of(raw)).collect();
        Ok(Self { entries, next_cursor: envelope.next_cursor()?, request_status: envelope.request_status() })
    }
}

/// A list answer whose elements are still raw.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) results: Vec<&'a RawValue>,
    // Without this key the end of a list could not be told from a cut answer.
    has_more: bool,
    next_cursor: Option<String>,
    #[serde(borrow)]
    request_status: Option<Status<'a>>,
    /// Of property items: what they are items of.
    #[serde(borrow)]
    pub(super) property_item: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    incomplete_reason: Option<Text<'a>>,
}

impl<'a> Envelope<'a> {
    pub(super) fn decode(json: &'a [u8]) -> Result<Self, WhereItBroke> {
        serde_json::from_slice(json).map_err(|error| WhereItBroke::new(&error))
    }

    pub(super) fn next_cursor(&self) -> Result<Option<String>, WhereItBroke> {
        match (self.has_more, &self.next_cursor) {
            (false, _) => Ok(None),
            (true, Some(cursor)) => Ok(Some(cursor.clone())),
            (true, None) => Err(WhereItBroke("the list has more but names no cursor".to_owned())),
        }
    }

    fn request_status(&self) -> RequestStatus {
        match &self.request_status {
            None => RequestStatus::Complete,
            Some(status) if status.kind.as_ref().is_some_and(|kind| kind.0 == "complete") => {
                RequestStatus::Complete
            }
            // A status we do not know is no promise of completeness.
            Some(status) => {
                let reason = status.incomplete_reason.as_ref().or(status.kind.as_ref());
                RequestStatus::Incomplete {
                    reason: reason.map(|text| text.0.to_string()).unwrap_or_default(),
                }
            }
        }
    }
}

/// Where and how JSON could not be read, without quoting any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhereItBroke(String);

impl WhereItBroke {
    pub(super) fn new(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Io => "could not be read",
            serde_json::error::Category::Syntax => "is no JSON",
            serde_json::error::Category::Data => "has an unexpected shape",
            serde_json::error::Category::Eof => "ends too early",
        };
        Self(format!("{what} (line {}, column {})", error.line(), error.column()))
    }

    pub(in crate::notion) fn shape(of: &str) -> Self {
        Self(format!("{of} has an unexpected shape"))
    }
}

impl fmt::Display for WhereItBroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
}

/// Whether the object holds nothing but what identifies it.
fn is_partial(raw: &RawValue) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it decodes matters")]
    struct OnlyId<'a> {
        #[serde(borrow)]
        object: Text<'a>,
        #[serde(borrow)]
        id: Text<'a>,
        #[serde(borrow)]
        request_id: Option<&'a RawValue>,
    }
    serde_json::from_str::<OnlyId<'_>>(raw.get()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Page, User};
    use super::*;

    #[test]
    fn a_broken_element_leaves_the_others() {
        let page = r#"{"object":"page","id":"1","created_time":"2026-07-04T09:08:00.000Z","last_edited_time":"2026-07-04T09:08:00.000Z",
            "parent":{"type":"workspace","workspace":true},"properties":{}}"#;
        let json = format!(
            r#"{{"object":"list","results":[{page},{},{{"object":"page","id":"3"}},{{"object":"data_source","id":"4","properties":{{}}}},7],
               "has_more":true,"next_cursor":"c","type":"page_or_data_source"}}"#,
            page.replace("\"properties\":{}", "\"properties\":\"Secret 12345\"").replace("\"1\"", "\"2\"")
        );
        let list = ListPage::<Page>::decode(json.as_bytes()).unwrap();
        assert!(matches!(&list.entries[0], Entry::Whole(page) if page.id == "1"));
        let Entry::Unreadable { id, reason } = &list.entries[1] else { panic!("{:?}", list.entries[1]) };
        assert_eq!(id.as_deref(), Some("2"));
        assert!(!reason.contains("Secret"), "{reason}");
        assert_eq!(list.entries[2], Entry::Partial { id: "3".into() });
        assert_eq!(list.entries[3], Entry::Other { object: "data_source".into(), id: Some("4".into()) });
        assert!(matches!(&list.entries[4], Entry::Unreadable { id: None, .. }));
        assert_eq!(list.next_cursor.as_deref(), Some("c"));
    }

    #[test]
    fn the_end_of_a_list_must_be_said() {
        let decode = |json: &str| ListPage::<User>::decode(json.as_bytes());
        assert!(decode(r#"{"results":[],"next_cursor":null}"#).is_err());
        assert!(decode(r#"{"results":[],"has_more":true,"next_cursor":null}"#).is_err());
        assert!(decode(r#"{"results":[{"object":"user","id":"#).is_err());
        assert_eq!(
            decode(r#"{"results":[],"has_more":false,"next_cursor":null}"#).unwrap().next_cursor,
            None
        );
    }

    #[test]
    fn only_complete_is_complete() {
        let status = |json: &str| {
            let body =
                format!(r#"{{"results":[],"has_more":false,"next_cursor":null,"request_status":{json}}}"#);
            ListPage::<User>::decode(body.as_bytes()).unwrap().request_status
        };
        assert_eq!(status("null"), RequestStatus::Complete);
        assert_eq!(status(r#"{"type":"complete"}"#), RequestStatus::Complete);
        let incomplete = status(r#"{"type":"incomplete","incomplete_reason":"query_result_limit_reached"}"#);
        assert_eq!(incomplete, RequestStatus::Incomplete { reason: "query_result_limit_reached".into() });
        assert_eq!(status(r#"{"type":"partial"}"#), RequestStatus::Incomplete { reason: "partial".into() });
    }
}
