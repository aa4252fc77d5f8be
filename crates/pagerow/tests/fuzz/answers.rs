//! What Notion may answer: any status, any headers, any body.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use pagerow::{
    notion::{
        Address, Limits, NotionClient, Pacing, Patience, Query,
        convert::{self, Incoming, Outgoing},
        transport::{Lost, Request, Response, Transport},
        wire::{
            DataSource, Entry, ListPage, Page, PropertyId, PropertyItemPage, PropertyItems, PropertyValue,
        },
    },
    replica::Relatives,
};
use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{ColumnKind, Field, Flow, Options, PropertyKind},
    value::Value,
};
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::SecretString;

/// A Notion that always says the same.
#[derive(Debug)]
struct Parrot {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Transport for Parrot {
    fn send(&self, _: Request) -> BoxFuture<'_, Result<Response, Lost>> {
        let (status, headers, body) = (self.status, self.headers.clone(), self.body.clone());
        Box::pin(async move { Ok(Response { status, headers, body: Ok(body) }) })
    }
}

const STATUSES: [u16; 18] =
    [200, 200, 200, 200, 201, 202, 204, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 529];
const WAITS: [&str; 6] = ["1", "0", "999999999999999999999", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"];

/// An answer that is no success is an error, whatever it says; a success is read or is an error; both end.
pub(crate) fn an_answer_is_judged(input: &[u8]) {
    let number = |at: usize| input.get(at).copied().map_or(0, usize::from) + input.len();
    let status = STATUSES[number(3) % STATUSES.len()];
    let mut headers = HeaderMap::new();
    if let Ok(wait) = HeaderValue::from_str(WAITS[number(5) % WAITS.len()]) {
        headers.insert("retry-after", wait.clone());
        headers.insert("date", wait);
    }
    let parrot = Parrot { status, headers, body: Bytes::copy_from_slice(input) };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let address = Address { base_url: "https://api.example".into(), token: SecretString::from("t") };
        let pacing = Pacing::seeded(Limits { requests_per_minute: None, in_flight: 4 }, 7);
        let patience = Patience { attempts: 2, rate_limited_attempts: 2, ..Patience::default() };
        let client = NotionClient::over(Arc::new(parrot), &address, pacing, patience).unwrap();
        let page = "5c6a2821-6bb1-4a7e-b6e1-c50111515c3d";
        let body = serde_json::json!({"properties": {}});
        let failed = match number(7) % 9 {
            0 => client.page_get(page, &[]).await.is_err(),
            1 => client.query(page, &Query::default()).await.is_err(),
            2 => client.property_value(page, &PropertyId::new("abc")).await.is_err(),
            3 => client.users(None).await.is_err(),
            4 => client.markdown_get(page).await.is_err(),
            5 => client.page_create(&body, &[]).await.is_err(),
            6 => client.page_patch(page, &body, &[]).await.is_err(),
            7 => client.data_source_get(page).await.is_err(),
            _ => client.users_me().await.is_err(),
        };
        assert!(failed || (200..300).contains(&status), "a {status} was taken for a success");
    });
}

/// Every property that can be read is a value that either side takes or refuses with a reason; what both take agrees;
/// what was read is what would be written.
pub(crate) fn a_page_is_read_and_written(input: &[u8]) {
    let Ok(list) = ListPage::<Page>::decode(input) else { return };
    for page in list.entries.iter().filter_map(Entry::whole) {
        for property in &page.properties {
            let _ = property.value.may_be_cut();
            crosses(&property.value);
        }
    }
}

/// Half a value is no value.
pub(crate) fn pieces_become_a_value_or_none(input: &[u8]) {
    match PropertyItemPage::decode(input) {
        Ok(PropertyItemPage::Single(value)) => crosses(&value),
        Ok(PropertyItemPage::Items { items, .. }) => {
            let mut collected = PropertyItems::default();
            collected.push(items.clone()).unwrap();
            collected.push(items).unwrap();
            crosses(&collected.finish());
        }
        Err(_) => {}
    }
}

/// A schema is read with all of its columns, or named as unreadable.
pub(crate) fn a_schema_is_read(input: &[u8]) {
    let Ok(entry) = Entry::<DataSource>::decode(input) else { return };
    let Some(source) = entry.whole() else { return };
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(input) else { return };
    let columns = json["properties"].as_object().map_or(0, serde_json::Map::len);
    // A key that stands there twice is two columns to a reader that keeps everything.
    assert!(source.properties.len() >= columns, "a column was lost");
}

fn crosses(value: &PropertyValue) {
    let relatives = Relatives::default();
    for field in fields(value.kind()) {
        for home in ["UTC", "America/St_Johns"] {
            let zone = TimeZone::get(home).unwrap();
            let Some(page) = convert::value(value, &field, Incoming { relatives: &relatives, zone: &zone })
            else {
                continue;
            };
            if let Fidelity::Stored(row) = fidelity::in_postgres(&page, &field) {
                assert!(fidelity::agree(&row, &page, &field), "what was stored does not agree: {field:?}");
            }
            let _ = fidelity::over(pagerow_core::side::Side::Notion, &Value::Text("x".into()), &page, &field);
            if let Fidelity::Stored(form) = fidelity::in_notion(&page, &field) {
                let outgoing =
                    Outgoing { relatives: &relatives, zone: &zone, date: None, source: Some(&page) };
                let sent = convert::property(&form, &field, outgoing);
                assert!(sent.is_ok(), "a stored form cannot be sent: {sent:?} in {field:?}");
            }
        }
    }
}

fn fields(kind: &str) -> Vec<Field> {
    let options = || Options { names: Vec::new(), may_grow: true, ordered: false };
    let shows = match kind {
        "title" => vec![PropertyKind::Title],
        "rich_text" => vec![PropertyKind::RichText, PropertyKind::Markdown],
        "number" => vec![PropertyKind::Number],
        "select" => vec![PropertyKind::Select(options())],
        "multi_select" => {
            vec![
                PropertyKind::MultiSelect(options()),
                PropertyKind::MultiSelect(Options { ordered: true, ..options() }),
            ]
        }
        "status" => vec![PropertyKind::Status(options())],
        "date" => vec![PropertyKind::Date],
        "people" => vec![PropertyKind::People { known: Vec::new() }],
        "files" => vec![PropertyKind::Files],
        "checkbox" => vec![PropertyKind::Checkbox],
        "url" => vec![PropertyKind::Url],
        "email" => vec![PropertyKind::Email],
        "phone_number" => vec![PropertyKind::Phone],
        "relation" => vec![PropertyKind::Relation { mapping: "m".into(), single: false }],
        other => vec![PropertyKind::ReadOnly(other.to_owned())],
    };
    let text = || ColumnKind::Text { max: None };
    let holds = [
        text(),
        ColumnKind::Numeric { precision: None, scale: None },
        ColumnKind::Double,
        ColumnKind::Bool,
        ColumnKind::Day,
        ColumnKind::Instant,
        ColumnKind::DayRange,
        ColumnKind::InstantRange,
        ColumnKind::Json,
        ColumnKind::List(Box::new(text())),
        ColumnKind::References { mapping: "m".into() },
    ];
    shows
        .iter()
        .flat_map(|shows| holds.iter().map(move |holds| (shows, holds)))
        .map(|(shows, holds)| Field {
            column: "c".into(),
            property: "P".into(),
            property_id: "p".into(),
            holds: holds.clone(),
            shows: shows.clone(),
            required: false,
            flow: Flow::Both,
            wins: None,
            labels: BTreeMap::new(),
            lens: None,
        })
        .collect()
}
