//! Every kind of property both ways, and that writing what was read changes nothing.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{ColumnKind, Field, Flow, Options, PropertyKind},
    number::Number,
    record::PageId,
    value::{File, Person, Ref, Value},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::{notion::wire::PropertyValue, replica::Relatives};

const PAGE: &str = "5c6a2821-6bb1-4a7e-b6e1-c50111515c3d";
const OTHER_PAGE: &str = "6d7b3932-7cc2-4b8f-87f2-d61222626d4e";

fn field(shows: PropertyKind) -> Field {
    holding(shows, ColumnKind::Text { max: None })
}

fn holding(shows: PropertyKind, holds: ColumnKind) -> Field {
    Field {
        column: "c".into(),
        property: "P".into(),
        property_id: "p".into(),
        holds,
        shows,
        required: false,
        flow: Flow::Both,
        wins: None,
        labels: BTreeMap::new(),
    }
}

fn relatives() -> Relatives {
    let mut relatives = Relatives::default();
    relatives.add("users", "7".into(), PageId::parse(PAGE).unwrap());
    relatives
}

fn users(single: bool) -> PropertyKind {
    PropertyKind::Relation { mapping: "users".into(), single }
}

fn growing() -> Options {
    Options { names: vec!["Gold".into()], may_grow: true, ordered: false }
}

fn people() -> PropertyKind {
    let person = |email: Option<&str>, id: &str| Person { email: email.map(Into::into), id: Some(id.into()) };
    PropertyKind::People { known: vec![person(Some("ada@example.com"), "u1"), person(None, "u2")] }
}

fn read(shown: Json, field: &Field) -> Option<Value> {
    let shown: PropertyValue = serde_json::from_str(&shown.to_string()).unwrap();
    value(&shown, field, Incoming { relatives: &relatives(), zone: &TimeZone::UTC })
}

fn write(value: &Value, field: &Field) -> Result<Json, Unsendable> {
    property(
        value,
        field,
        Outgoing { relatives: &relatives(), zone: &TimeZone::UTC, date: None, source: None },
    )
}

/// A text item as it would come back: with what its look is otherwise, and the words of a mention.
fn echoed_item(item: &Json) -> Json {
    let mut shown = json!({"annotations": {"bold": false, "italic": false, "strikethrough": false, "underline": false,
        "code": false, "color": "default"}, "href": item["text"]["link"]["url"]});
    for (key, is_so) in item["annotations"].as_object().into_iter().flatten() {
        shown["annotations"][key] = is_so.clone();
    }
    let words = if let Some(text) = item.get("text") {
        shown["type"] = json!("text");
        shown["text"] = json!({"content": text["content"], "link": text.get("link")});
        text["content"].clone()
    } else if let Some(equation) = item.get("equation") {
        shown["type"] = json!("equation");
        shown["equation"] = equation.clone();
        equation["expression"].clone()
    } else {
        let mention = item["mention"].as_object().unwrap();
        let kind = mention.keys().find(|key| *key != "type").unwrap();
        shown["type"] = json!("mention");
        shown["mention"] = json!({"type": kind, (kind): mention[kind]});
        json!(WORDS)
    };
    shown["plain_text"] = words;
    shown
}

/// What every mention of these tests shows.
const WORDS: &str = "somebody";

/// A property as it would come back after `written` was sent: what Notion adds to what it was given.
fn echoed(written: &Json) -> Json {
    let (kind, payload) = written.as_object().unwrap().iter().next().unwrap();
    let option = |name: &Json| json!({"id": "o", "name": name, "color": "default"});
    let payload = match kind.as_str() {
        "title" | "rich_text" => payload.as_array().unwrap().iter().map(echoed_item).collect(),
        "select" | "status" if !payload.is_null() => option(&payload["name"]),
        "multi_select" => payload.as_array().unwrap().iter().map(|item| option(&item["name"])).collect(),
        "date" if !payload.is_null() => json!({
            "start": payload["start"], "end": payload.get("end"), "time_zone": null,
        }),
        "people" => payload
            .as_array()
            .unwrap()
            .iter()
            .map(|item| json!({"object": "user", "id": item["id"]}))
            .collect(),
        _ => payload.clone(),
    };
    json!({"id": "p", "type": kind, (kind.clone()): payload, "has_more": false})
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn number(text: &str) -> Value {
    Value::Number(Number::parse(text).unwrap())
}

fn person(email: Option<&str>, id: &str) -> Value {
    Value::Person(Box::new(Person { email: email.map(Into::into), id: Some(id.into()) }))
}

fn file(url: &str) -> Value {
    Value::File(Box::new(File { url: url.into(), name: "a".into(), hosted: File::is_hosted_at(url) }))
}

fn row(key: &str) -> Value {
    Value::Ref(Ref::Row(key.into()))
}

fn page(id: &str) -> Value {
    Value::Ref(Ref::Page(PageId::parse(id).unwrap()))
}

#[test]
fn what_is_empty_is_nothing() {
    for (shown, shows) in [
        (json!({"type": "title", "title": []}), PropertyKind::Title),
        (json!({"type": "rich_text", "rich_text": []}), PropertyKind::RichText),
        (json!({"type": "number", "number": null}), PropertyKind::Number),
        (json!({"type": "select", "select": null}), PropertyKind::Select(growing())),
        (json!({"type": "status", "status": null}), PropertyKind::Status(growing())),
        (json!({"type": "multi_select", "multi_select": []}), PropertyKind::MultiSelect(growing())),
        (json!({"type": "date", "date": null}), PropertyKind::Date),
        (json!({"type": "people", "people": []}), people()),
        (json!({"type": "files", "files": []}), PropertyKind::Files),
        (json!({"type": "url", "url": null}), PropertyKind::Url),
        (json!({"type": "email", "email": ""}), PropertyKind::Email),
        (json!({"type": "phone_number", "phone_number": null}), PropertyKind::Phone),
        (json!({"type": "relation", "relation": [], "has_more": false}), users(false)),
    ] {
        assert_eq!(read(shown.clone(), &field(shows)), Some(Value::Null), "{shown}");
    }
    assert_eq!(
        read(json!({"type": "checkbox", "checkbox": false}), &field(PropertyKind::Checkbox)),
        Some(Value::Bool(false)),
        "a checkbox is never empty"
    );
}

#[test]
fn every_writable_kind_is_read() {
    let rich = json!({"type": "rich_text", "rich_text": [
        {"type": "text", "text": {"content": "bold "}, "annotations": {"bold": true}, "plain_text": "bold "},
        {"type": "mention", "mention": {"type": "date"}, "plain_text": "today"},
    ]});
    assert_eq!(read(rich, &field(PropertyKind::RichText)), Some(text("bold today")));
    for (literal, expected) in
        [("0.1", "0.1"), ("1e21", "1000000000000000000000"), ("-0", "0"), ("12.50", "12.5")]
    {
        let shown = serde_json::from_str(&format!(r#"{{"type":"number","number":{literal}}}"#)).unwrap();
        assert_eq!(read(shown, &field(PropertyKind::Number)), Some(number(expected)));
    }
    let gold = json!({"id": "o", "name": "Gold", "color": "red"});
    assert_eq!(
        read(json!({"type": "select", "select": gold}), &field(PropertyKind::Select(growing()))),
        Some(text("Gold"))
    );
    assert_eq!(
        read(
            json!({"type": "multi_select", "multi_select": [gold]}),
            &field(PropertyKind::MultiSelect(growing()))
        ),
        Some(Value::set([text("Gold")]))
    );
    let shown = json!({"type": "people", "people": [
        {"object": "user", "id": "u1"},
        {"object": "user", "id": "u3", "type": "person", "person": {"email": "bob@example.com"}},
        {"object": "user", "id": "b1", "type": "bot", "bot": {}},
        {"object": "group", "id": "g1", "name": "Team"},
    ]});
    let everybody = Value::set([
        person(Some("ada@example.com"), "u1"),
        person(Some("bob@example.com"), "u3"),
        person(None, "b1"),
        person(None, "g1"),
    ]);
    assert_eq!(read(shown, &field(people())), Some(everybody));
    let shown = json!({"type": "files", "files": [
        {"name": "a", "type": "external", "external": {"url": "https://x.example/a"}},
        {"name": "b", "type": "file", "file": {"url": "https://f.example/b?X-Amz-Signature=1", "expiry_time": "2026-01-01T00:00:00.000Z"}},
    ]});
    assert_eq!(
        read(shown, &field(PropertyKind::Files)),
        Some(Value::List(vec![file("https://x.example/a"), file("https://f.example/b?X-Amz-Signature=2")]))
    );
    let shown =
        json!({"type": "relation", "relation": [{"id": PAGE}, {"id": OTHER_PAGE}], "has_more": false});
    assert_eq!(read(shown, &field(users(false))), Some(Value::set([row("7"), page(OTHER_PAGE)])));
}

#[test]
fn computed_properties_show_their_results() {
    let of = |kind: &str, shown: Json, holds: ColumnKind| {
        read(json!({"type": kind, (kind): shown}), &holding(PropertyKind::ReadOnly(kind.into()), holds))
            .unwrap()
    };
    let any = ColumnKind::Text { max: None };
    assert_eq!(of("formula", json!({"type": "string", "string": "x"}), any.clone()), text("x"));
    assert_eq!(of("formula", json!({"type": "number", "number": 3.5}), any.clone()), number("3.5"));
    assert_eq!(of("formula", json!({"type": "boolean", "boolean": true}), any.clone()), Value::Bool(true));
    assert_eq!(
        of(
            "formula",
            json!({"type": "date", "date": {"start": "2026-02-11", "end": null}}),
            ColumnKind::Instant
        ),
        Value::Instant("2026-02-11T00:00:00Z".parse().unwrap())
    );
    assert!(matches!(
        of("formula", json!({"type": "unsupported", "unsupported": {}}), any.clone()),
        Value::Opaque(_)
    ));
    assert_eq!(
        of("rollup", json!({"type": "number", "number": 7, "function": "sum"}), any.clone()),
        number("7")
    );
    let array = json!({"type": "array", "function": "show_original", "array": [
        {"type": "title", "title": [{"plain_text": "A"}]}, {"type": "number", "number": 1},
    ]});
    assert_eq!(of("rollup", array, any.clone()), Value::List(vec![text("A"), number("1")]));
    assert!(matches!(
        of("rollup", json!({"type": "incomplete", "incomplete": {}}), any.clone()),
        Value::Opaque(_)
    ));
    assert_eq!(of("unique_id", json!({"prefix": "PRE", "number": 3}), any.clone()), text("PRE-3"));
    assert_eq!(of("unique_id", json!({"prefix": null, "number": 3}), any.clone()), text("3"));
    assert_eq!(
        of("created_time", json!("2026-07-04T09:08:00.000Z"), ColumnKind::Instant),
        Value::Instant("2026-07-04T09:08:00Z".parse().unwrap())
    );
    assert_eq!(
        of(
            "created_by",
            json!({"object": "user", "id": "u", "type": "person", "person": {"email": "e@x.de"}}),
            any.clone()
        ),
        person(Some("e@x.de"), "u")
    );
    assert_eq!(of("verification", json!({"state": "verified"}), any.clone()), text("verified"));
    assert_eq!(of("hologram", json!({"z": 1}), any), Value::opaque("hologram", r#"{"z":1}"#));
}

#[test]
fn what_is_not_shown_is_not_read() {
    let number = field(PropertyKind::Number);
    assert_eq!(read(json!({"id": "p"}), &number), None);
    assert_eq!(read(json!({"type": "checkbox", "checkbox": true}), &number), None, "retyped");
    let place = field(PropertyKind::ReadOnly("place".into()));
    assert_eq!(read(json!({"type": "place", "place": null}), &place), None, "null even where it is set");
    let odd = read(json!({"type": "number", "number": "seven"}), &number);
    assert!(matches!(odd, Some(Value::Opaque(_))), "{odd:?}");
}

#[test]
fn every_kind_is_written() {
    let write = |value: Value, shows: PropertyKind| write(&value, &field(shows)).unwrap();
    assert_eq!(write(text("a"), PropertyKind::Title), json!({"title": [{"text": {"content": "a"}}]}));
    assert_eq!(write(Value::Null, PropertyKind::RichText), json!({"rich_text": []}));
    assert_eq!(
        write(number("9007199254740992"), PropertyKind::Number).to_string(),
        r#"{"number":9007199254740992}"#
    );
    assert_eq!(write(number("0.1"), PropertyKind::Number).to_string(), r#"{"number":0.1}"#);
    assert_eq!(write(Value::Null, PropertyKind::Number), json!({"number": null}));
    assert_eq!(write(text("Gold"), PropertyKind::Select(growing())), json!({"select": {"name": "Gold"}}));
    assert_eq!(write(Value::Null, PropertyKind::Status(growing())), json!({"status": null}));
    assert_eq!(
        write(Value::set([text("b"), text("a")]), PropertyKind::MultiSelect(growing())),
        json!({"multi_select": [{"name": "a"}, {"name": "b"}]})
    );
    assert_eq!(write(Value::Null, PropertyKind::MultiSelect(growing())), json!({"multi_select": []}));
    assert_eq!(
        write(Value::Instant("2026-02-11T10:20:00Z".parse().unwrap()), PropertyKind::Date),
        json!({"date": {"start": "2026-02-11T10:20:00Z"}})
    );
    assert_eq!(write(Value::Null, PropertyKind::Date), json!({"date": null}));
    assert_eq!(
        write(Value::set([person(Some("ada@example.com"), "u1")]), people()),
        json!({"people": [{"id": "u1"}]})
    );
    assert_eq!(
        write(
            Value::List(vec![
                file("https://x.example/a.pdf"),
                file("https://prod-files-secure.s3.us-west-2.amazonaws.com/b.pdf?X-Amz-Signature=1"),
                file("https://mine.s3.amazonaws.com/c.pdf?X-Amz-Signature=1"),
            ]),
            PropertyKind::Files
        ),
        json!({"files": [
            {"name": "a", "type": "external", "external": {"url": "https://x.example/a.pdf"}},
            {"name": "a", "type": "file", "file": {"url": "https://prod-files-secure.s3.us-west-2.amazonaws.com/b.pdf?X-Amz-Signature=1"}},
            {"name": "a", "type": "external", "external": {"url": "https://mine.s3.amazonaws.com/c.pdf?X-Amz-Signature=1"}},
        ]})
    );
    assert_eq!(write(Value::Bool(true), PropertyKind::Checkbox), json!({"checkbox": true}));
    assert_eq!(write(text("https://x.example"), PropertyKind::Url), json!({"url": "https://x.example"}));
    assert_eq!(write(Value::Null, PropertyKind::Phone), json!({"phone_number": null}));
    assert_eq!(
        write(Value::set([row("7"), page(OTHER_PAGE)]), users(false)),
        json!({"relation": [{"id": PAGE}, {"id": OTHER_PAGE}]})
    );
    assert_eq!(write(Value::Null, users(true)), json!({"relation": []}));
}

#[test]
fn what_cannot_be_sent_says_why() {
    let write = |value: Value, shows: PropertyKind| write(&value, &field(shows));
    assert_eq!(write(Value::set([row("8")]), users(false)), Err(Unsendable::NoPageYet));
    assert_eq!(write(text("x"), PropertyKind::ReadOnly("formula".into())), Err(Unsendable::NoProperty));
    assert_eq!(write(Value::Markdown("x".into()), PropertyKind::Body), Err(Unsendable::NoProperty));
    assert_eq!(write(number("9007199254740993"), PropertyKind::Number), Err(Unsendable::NotStored));
    assert_eq!(write(Value::Bool(true), PropertyKind::Title), Err(Unsendable::NotStored));
    let nobody = Value::set([Value::Person(Box::new(Person { email: Some("x@y".into()), id: None }))]);
    assert_eq!(write(nobody, people()), Err(Unsendable::NotStored));
}

#[test]
fn long_text_is_cut_between_characters() {
    let lengths = |text: &str| -> Vec<usize> {
        let written = write(&self::text(text), &field(PropertyKind::RichText)).unwrap();
        let items = written["rich_text"].as_array().unwrap().clone();
        let contents: Vec<String> =
            items.iter().map(|item| item["text"]["content"].as_str().unwrap().to_owned()).collect();
        assert_eq!(contents.concat(), text);
        contents.iter().map(|content| content.encode_utf16().count()).collect()
    };
    assert_eq!(lengths(&"a".repeat(2_000)), [2_000]);
    assert_eq!(lengths(&"a".repeat(2_001)), [2_000, 1]);
    assert_eq!(lengths(&"😀".repeat(1_000)), [2_000]);
    assert_eq!(lengths(&format!("a{}", "😀".repeat(1_000))), [1_999, 2], "no half of a character");
    // Even pieces that each lose a unit stay within a hundred items up to the limit that the core allows.
    assert_eq!(lengths(&"a".repeat(fidelity::RICH_TEXT_UNITS)).len(), 100);
}

#[test]
fn text_goes_into_any_kind_of_text_property() {
    assert_eq!(plain_text("title", "7"), json!({"title": [{"text": {"content": "7"}}]}));
    assert_eq!(plain_text("phone_number", "7"), json!({"phone_number": "7"}));
    assert_eq!(plain_text("url", ""), json!({"url": null}));
}

fn arbitrary_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", "(a|😀|é|\n){1990,2010}", Just(String::new())]
}

/// A field with a value of its column.
fn arbitrary() -> impl Strategy<Value = (Field, Value)> {
    let texts = || arbitrary_text().prop_map(Value::Text);
    let instants = || {
        (-62_135_510_400_i64..253_402_200_000)
            .prop_map(|second| Value::Instant(jiff::Timestamp::from_second(second).unwrap()))
    };
    let options = || "[a-zA-Z]{1,8}";
    prop_oneof![
        texts().prop_map(|v| (field(PropertyKind::Title), v)),
        texts().prop_map(|v| (field(PropertyKind::RichText), v)),
        texts().prop_map(|v| (field(PropertyKind::Url), v)),
        any::<f64>().prop_map(|n| {
            let value = Number::from_f64(n).map_or(Value::Null, Value::Number);
            (holding(PropertyKind::Number, ColumnKind::Double), value)
        }),
        any::<i64>().prop_map(|n| (field(PropertyKind::Number), Value::Number(n.into()))),
        options().prop_map(|name| (field(PropertyKind::Select(growing())), Value::Text(name))),
        prop::collection::vec(options(), 0..5).prop_map(|names| {
            let names = Value::List(names.into_iter().map(Value::Text).collect());
            (field(PropertyKind::MultiSelect(growing())), names)
        }),
        instants().prop_map(|v| (holding(PropertyKind::Date, ColumnKind::Instant), v)),
        (1_i16..9999, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| {
            let day = jiff::civil::date(year, month, day);
            (holding(PropertyKind::Date, ColumnKind::Day), Value::Day(day))
        }),
        any::<bool>().prop_map(|v| (field(PropertyKind::Checkbox), Value::Bool(v))),
        Just((field(people()), Value::Text("ada@example.com".into()))),
        prop::collection::vec("https://x\\.example/[a-z]{1,9}", 0..4).prop_map(|urls| {
            (field(PropertyKind::Files), Value::List(urls.into_iter().map(Value::Text).collect()))
        }),
        Just((field(users(false)), Value::set([row("7"), page(OTHER_PAGE)]))),
        Just((field(users(true)), Value::Null)),
    ]
}

proptest! {
    /// Reading back what was written gives the stored form, whatever the zone it was written in.
    #[test]
    fn what_was_written_reads_back((field, value) in arbitrary(), home in prop::sample::select(vec![
        "UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati",
    ])) {
        let Fidelity::Stored(stored) = fidelity::in_notion(&value, &field) else { return Ok(()) };
        let zone = TimeZone::get(home).unwrap();
        let relatives = relatives();
        let written = property(&stored, &field, Outgoing { relatives: &relatives, zone: &zone, date: None, source: Some(&value) }).unwrap();
        let shown: PropertyValue = serde_json::from_str(&echoed(&written).to_string()).unwrap();
        let back = super::value(&shown, &field, Incoming { relatives: &relatives, zone: &zone });
        prop_assert_eq!(back.as_ref(), Some(&stored));
        // And what was read is itself a stored form: writing it changes nothing.
        prop_assert_eq!(fidelity::in_notion(&stored, &field), Fidelity::Stored(stored));
    }
}
