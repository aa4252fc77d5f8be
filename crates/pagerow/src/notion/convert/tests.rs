//! Every kind of property both ways, and that writing what was read changes nothing.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{ColumnKind, Field, Flow, Options, PropertyKind},
    number::Number,
    record::PageId,
    side::Side,
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

pub(super) fn holding(shows: PropertyKind, holds: ColumnKind) -> Field {
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
        lens: None,
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
pub(super) fn echoed(written: &Json) -> Json {
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
    let formatted = "<b>bold </b><mention json=\"{&quot;type&quot;:&quot;date&quot;}\">today</mention>";
    assert_eq!(read(rich, &field(PropertyKind::RichText)), Some(Value::Markdown(formatted.into())));
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
    let incomplete = json!({"type": "rollup", "rollup": {"type": "incomplete", "incomplete": {}}});
    let rollup = holding(PropertyKind::ReadOnly("rollup".into()), any.clone());
    assert_eq!(read(incomplete, &rollup), None, "a part of it is not it");
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

/// Formatted text comes as Markdown and goes out as it came, whatever the column holds.
#[test]
fn formatting_survives_both_ways() {
    let look = |annotations: Json| {
        let mut all = json!({"bold": false, "italic": false, "strikethrough": false, "underline": false,
            "code": false, "color": "default"});
        for (key, value) in annotations.as_object().unwrap() {
            all[key] = value.clone();
        }
        all
    };
    let words = |text: &str, link: Option<&str>, annotations: Json| {
        json!({"type": "text", "text": {"content": text, "link": link.map(|url| json!({"url": url}))},
            "annotations": look(annotations), "plain_text": text, "href": link})
    };
    let mention = |mention: Json, text: &str| json!({"type": "mention", "mention": mention, "annotations": look(json!({})), "plain_text": text, "href": null});
    for (item, markdown, written) in [
        (
            words("a", None, json!({"bold": true, "italic": true})),
            "***a***",
            json!({"text": {"content": "a"}, "annotations": {"bold": true, "italic": true}}),
        ),
        (
            words("a", Some("https://x.example/(1)"), json!({"strikethrough": true})),
            "[~~a~~](https://x.example/\\(1\\))",
            json!({"text": {"content": "a", "link": {"url": "https://x.example/(1)"}},
                "annotations": {"strikethrough": true}}),
        ),
        (
            words("a", None, json!({"underline": true, "color": "red_background"})),
            "<span color=\"red_background\"><u>a</u></span>",
            json!({"text": {"content": "a"}, "annotations": {"underline": true, "color": "red_background"}}),
        ),
        (
            words("a*b", None, json!({"code": true})),
            "`a*b`",
            json!({"text": {"content": "a*b"}, "annotations": {"code": true}}),
        ),
        (
            json!({"type": "equation", "equation": {"expression": "e=mc^2"}, "annotations": look(json!({})),
                "plain_text": "e=mc^2", "href": null}),
            "$`e=mc^2`$",
            json!({"equation": {"expression": "e=mc^2"}}),
        ),
        (
            mention(json!({"type": "user", "user": {"object": "user", "id": "u1", "name": "Ada"}}), "@Ada"),
            "<mention-user url=\"user://u1\">@Ada</mention-user>",
            json!({"mention": {"user": {"id": "u1"}}}),
        ),
        (
            mention(json!({"type": "page", "page": {"id": PAGE}}), "Home"),
            "<mention-page url=\"page://5c6a2821-6bb1-4a7e-b6e1-c50111515c3d\">Home</mention-page>",
            json!({"mention": {"page": {"id": PAGE}}}),
        ),
        (
            mention(
                json!({"type": "date", "date": {"start": "2026-01-01", "end": null, "time_zone": null}}),
                "1 Jan",
            ),
            "<mention-date start=\"2026-01-01\">1 Jan</mention-date>",
            json!({"mention": {"date": {"start": "2026-01-01"}}}),
        ),
        (
            mention(json!({"type": "custom_emoji", "custom_emoji": {"id": "e", "name": "x"}}), ":x:"),
            "<mention json=\"{&quot;custom_emoji&quot;:{&quot;id&quot;:&quot;e&quot;,&quot;name&quot;:&quot;x&quot;},&quot;type&quot;:&quot;custom_emoji&quot;}\">:x:</mention>",
            json!({"mention": {"type": "custom_emoji", "custom_emoji": {"id": "e", "name": "x"}}}),
        ),
    ] {
        for shows in [PropertyKind::RichText, PropertyKind::Markdown] {
            let field = field(shows);
            let value = read(json!({"type": "rich_text", "rich_text": [item]}), &field).unwrap();
            assert_eq!(value, Value::Markdown(markdown.into()));
            assert_eq!(fidelity::in_notion(&value, &field), Fidelity::Stored(value.clone()));
            assert_eq!(write(&value, &field).unwrap(), json!({"rich_text": [written]}), "{markdown}");
        }
        let row = fidelity::in_postgres(&Value::Markdown(markdown.into()), &field(PropertyKind::RichText));
        assert_eq!(row, Fidelity::Stored(text(item["plain_text"].as_str().unwrap())));
    }
    // Plain words are Markdown with its signs kept from being read.
    let plain = json!({"type": "rich_text", "rich_text": [words("2*3 [x]", None, json!({}))]});
    assert_eq!(read(plain.clone(), &field(PropertyKind::RichText)), Some(text("2*3 [x]")));
    let markdown = Value::Markdown("2\\*3 \\[x]".into());
    assert_eq!(read(plain, &field(PropertyKind::Markdown)), Some(markdown.clone()));
    assert_eq!(
        write(&markdown, &field(PropertyKind::Markdown)).unwrap(),
        json!({"rich_text": [{"text": {"content": "2*3 [x]"}}]})
    );
    // A preview is Notion's own making: its link stays.
    let preview = json!({"type": "rich_text", "rich_text": [{"type": "mention", "plain_text": "pull 1",
        "href": "https://x.example/1", "mention": {"type": "link_preview", "link_preview": {"url": "https://x.example/1"}}}]});
    let value = read(preview, &field(PropertyKind::RichText)).unwrap();
    assert_eq!(
        write(&value, &field(PropertyKind::RichText)).unwrap(),
        json!({"rich_text": [{"text": {"content": "pull 1", "link": {"url": "https://x.example/1"}}}]})
    );
}

#[test]
fn the_order_of_options_is_the_columns() {
    let texts = || ColumnKind::List(Box::new(ColumnKind::Text { max: None }));
    let shown = json!({"type": "multi_select", "multi_select": [
        {"id": "1", "name": "b", "color": "red"}, {"id": "2", "name": "a", "color": "red"}]});
    let set = holding(PropertyKind::MultiSelect(growing()), texts());
    let list = holding(PropertyKind::MultiSelect(Options { ordered: true, ..growing() }), texts());
    let [b, a] = ["b", "a"].map(text);
    assert_eq!(read(shown.clone(), &set), Some(Value::set([a.clone(), b.clone()])));
    assert_eq!(read(shown, &list), Some(Value::List(vec![b.clone(), a.clone()])));
    let row = Value::List(vec![b.clone(), a.clone()]);
    let (relatives, zone) = (relatives(), TimeZone::UTC);
    for field in [set, list] {
        let Fidelity::Stored(form) = fidelity::in_notion(&row, &field) else { panic!() };
        let outgoing = Outgoing { relatives: &relatives, zone: &zone, date: None, source: Some(&row) };
        let written = property(&form, &field, outgoing).unwrap();
        assert_eq!(written, json!({"multi_select": [{"name": "b"}, {"name": "a"}]}));
    }
}

#[test]
fn people_whom_nobody_may_see_are_not_read_and_those_without_an_address_are_not_lost() {
    let field = holding(people(), ColumnKind::List(Box::new(ColumnKind::Text { max: None })));
    let read = |user: Json| read(json!({"type": "people", "people": [user]}), &field);
    assert_eq!(read(json!({"object": "user", "id": "u9"})), None, "no capability to see people");
    let refused = |value: Option<Value>| match fidelity::in_postgres(&value.unwrap(), &field) {
        Fidelity::Unstorable(reason) => reason.code,
        Fidelity::Stored(stored) => panic!("{stored:?}"),
    };
    for nameless in [
        json!({"object": "user", "id": "g", "type": "person", "person": {}}),
        json!({"object": "user", "id": "b", "type": "bot", "bot": {}}),
        json!({"object": "group", "id": "t", "name": "Team"}),
    ] {
        assert_eq!(refused(read(nameless)), "no_address");
    }
    // A guest is in no list of people; one whom the property shows can stay in it.
    let guest = Value::set([person(Some("guest@example.com"), "g1")]);
    let both = Value::List(vec![text("guest@example.com"), text("ada@example.com")]);
    let Fidelity::Unstorable(reason) = fidelity::in_notion(&both, &field) else { panic!() };
    assert_eq!(reason.code, "no_such_person");
    let Fidelity::Stored(kept) = fidelity::over(Side::Notion, &both, &guest, &field) else { panic!() };
    assert_eq!(write(&kept, &field).unwrap(), json!({"people": [{"id": "u1"}, {"id": "g1"}]}));
}

#[test]
fn files_that_stay_keep_their_names_and_are_not_made_links() {
    let files = holding(PropertyKind::Files, ColumnKind::List(Box::new(ColumnKind::Text { max: None })));
    let shown = json!({"type": "files", "files": [
        {"name": "My scan.pdf", "type": "file", "file": {"url": "https://store.example/b/x.pdf?sign=2", "expiry_time": "2026-01-01T00:00:00.000Z"}},
        {"name": "Logo", "type": "external", "external": {"url": "https://x.example/logo.png?size=2"}},
    ]});
    let page = read(shown.clone(), &files).unwrap();
    let signed_again =
        read(serde_json::from_str(&shown.to_string().replace("sign=2", "sign=3")).unwrap(), &files);
    assert_eq!(signed_again.as_ref(), Some(&page), "another signature is no change");
    let row = Value::List(vec![
        text("https://x.example/logo.png?size=2"),
        text("https://x.example/new.pdf"),
        text("https://store.example/b/x.pdf?sign=2"),
    ]);
    let Fidelity::Stored(kept) = fidelity::over(Side::Notion, &row, &page, &files) else { panic!() };
    assert_eq!(
        write(&kept, &files).unwrap(),
        json!({"files": [
            {"name": "Logo", "type": "external", "external": {"url": "https://x.example/logo.png?size=2"}},
            {"name": "new.pdf", "type": "external", "external": {"url": "https://x.example/new.pdf"}},
            // Its host says nothing, but the page says that Notion keeps it.
            {"name": "My scan.pdf", "type": "file", "file": {"url": "https://store.example/b/x.pdf?sign=2"}},
        ]})
    );
}

#[test]
fn doubles_of_any_size_go_both_ways() {
    let doubles = holding(PropertyKind::Number, ColumnKind::Double);
    for (literal, plain) in [
        ("9007199254740994", "9007199254740994"),
        ("1e300", "1e300"),
        ("-1.7976931348623157e308", "-1.7976931348623157e308"),
        ("5e-324", "5e-324"),
    ] {
        let value = Value::Number(Number::parse(plain).unwrap());
        assert_eq!(fidelity::in_notion(&value, &doubles), Fidelity::Stored(value.clone()), "{literal}");
        let written = write(&value, &doubles).unwrap();
        let shown = json!({"type": "number", "number": written["number"]});
        assert_eq!(read(shown, &doubles), Some(value));
    }
    let whole = holding(PropertyKind::Number, ColumnKind::Integer { min: i64::MIN, max: i64::MAX });
    let value = number("9007199254740994");
    assert!(
        matches!(fidelity::in_notion(&value, &whole), Fidelity::Unstorable(_)),
        "its neighbours are none"
    );
}

/// What cannot be text in Postgres is carried as it is, and never written as something else.
#[test]
fn half_characters_are_not_understood_and_not_lost() {
    let broken = r#"{"type":"rich_text","rich_text":[{"type":"text","text":{"content":"a\ud83d"},"plain_text":"a\ud83d"}]}"#;
    let shown: PropertyValue = serde_json::from_str(broken).unwrap();
    let field = field(PropertyKind::RichText);
    let (relatives, zone) = (relatives(), TimeZone::UTC);
    let value = value(&shown, &field, Incoming { relatives: &relatives, zone: &zone }).unwrap();
    assert!(matches!(value, Value::Opaque(_)));
    let Fidelity::Unstorable(reason) = fidelity::in_postgres(&value, &field) else { panic!() };
    assert_eq!(reason.code, "not_understood");
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
