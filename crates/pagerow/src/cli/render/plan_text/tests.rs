//! One plan with everything in it, as people and as scripts read it.

use pagerow_core::{
    digest::Digest,
    fidelity::Reason,
    guard::Rule,
    plan::{Action, Because, Census, Expect, FieldWrite, Settlement},
    side::Sides,
};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::cli::render::plan_json;

fn page(number: u128) -> PageId {
    PageId(Uuid::from_u128(number))
}

fn write(field: usize, before: Option<&str>, after: &str) -> FieldWrite {
    let value = |text: &str| if text.is_empty() { Value::Null } else { Value::Text(text.into()) };
    FieldWrite {
        field,
        before: before.map(value),
        after: value(after),
        source: None,
        withheld: false,
        by: None,
    }
}

fn step(side: Side, action: Action, key: Option<&str>, on: Option<u128>, fields: Vec<FieldWrite>) -> Step {
    Step {
        wave: 0,
        side,
        action,
        link: None,
        key: key.map(RowKey::from),
        page: on.map(page),
        fields,
        mark: false,
        expect: Expect::Nothing,
        source: None,
        because: Because::New,
        whole: None,
    }
}

fn sample() -> Plan {
    let withheld = FieldWrite { withheld: true, ..write(1, None, "") };
    let part = MappingPlan {
        mapping: "orders".into(),
        fingerprint: Digest::of(b"orders"),
        columns: vec!["name".into(), "note".into()],
        steps: vec![
            step(Side::Notion, Action::Create, Some("1"), None, vec![write(0, None, "Acme"), withheld]),
            step(Side::Notion, Action::Update, Some("2"), Some(2), vec![write(1, Some("old"), "")]),
            step(Side::Postgres, Action::Create, None, Some(3), vec![write(0, None, "Born in Notion")]),
            step(Side::Notion, Action::Trash, Some("4"), Some(4), vec![]),
        ],
        settlements: vec![Settlement {
            link: None,
            key: "9".into(),
            page: page(9),
            fields: vec![],
            forget: false,
            raise: false,
        }],
        conflicts: vec![Conflict {
            link: Some(1),
            key: Some("5".into()),
            page: Some(page(5)),
            kind: ConflictKind::Field {
                field: 1,
                base: Sides { postgres: Some(Value::Text("a".into())), notion: None },
                values: Sides { postgres: Value::Text("b".into()), notion: Value::Text("c".into()) },
            },
            edited: Sides { postgres: None, notion: Some(jiff::Timestamp::UNIX_EPOCH) },
            authors: Sides::default(),
        }],
        parked: vec![Parked {
            link: None,
            key: Some("6".into()),
            page: None,
            side: Side::Notion,
            field: Some(1),
            reason: Reason {
                code: "too_long".into(),
                text: "the text is too long".into(),
                limit: Some("200000".into()),
            },
            value: None,
        }],
        skipped: vec![
            Skipped { key: Some("7".into()), page: None, why: Why::Direction },
            Skipped { key: Some("8".into()), page: None, why: Why::Direction },
        ],
        census: Census { links: 20, records: Sides { postgres: Some(21), notion: Some(20) }, unchanged: 15 },
    };
    Plan { mappings: vec![part] }
}

fn stopped(plan: &Plan) -> Vec<Refusal> {
    vec![Refusal {
        mapping: "orders".into(),
        rule: Rule::MassDeletion,
        seen: 11,
        limit: 10,
        text: "11 of 20 linked records would be deleted in Notion".into(),
        advice: "bring the rows back".into(),
        pass: Some(plan.hash()),
    }]
}

#[test]
fn people_read_field_by_field_what_happens_and_why_not() {
    let plan = sample();
    let hash = plan.hash();
    let text = super::plan(&plan, &stopped(&plan), (3, 1.0), false);
    let expected = format!(
        r#"orders: insert 1 in Postgres, create 1 in Notion, trash 1 in Notion, update 1 in Notion, 1 conflict, 1 parked, 2 skipped, 1 found equal, 15 unchanged
  + notion create 1
      name: "Acme"
  ~ notion update 2
      note: "old" → nothing
  + postgres insert page 00000000-0000-0000-0000-000000000003
      name: "Born in Notion"
  - notion trash 4
  conflict 5 note: Postgres "b", Notion "c" (both had "a")
  parked 6 note for Notion: the text is too long (at most 200000)
  skipped 2 records (7, 8): the mapping does not flow that way
stopped: orders: 11 of 20 linked records would be deleted in Notion (10 at most)
  = bring the rows back
  = a sync writes nothing of orders; to let exactly this pass, once: --override {hash}
plan {hash}: 4 writes, 3 calls to Notion, about 1 s by the rate limit
"#
    );
    assert_eq!(text, expected);
}

#[test]
fn a_long_list_is_cut_where_nobody_asked_for_all_of_it() {
    let mut plan = sample();
    let one = plan.mappings[0].steps[3].clone();
    plan.mappings[0].steps = vec![one; 60];
    let short = super::plan(&plan, &[], (60, 20.0), false);
    assert!(short.contains("… and 10 more writes (-v or --json shows all)"), "{short}");
    assert_eq!(super::plan(&plan, &[], (60, 20.0), true).matches("- notion trash").count(), 60);
}

#[test]
fn scripts_read_the_same_as_stable_json() {
    let plan = sample();
    let hash = plan.hash().to_string();
    let json = plan_json::plan(&plan, &stopped(&plan), |_| None, (3, 1.0));
    let id = |number: u128| page(number).to_string();
    assert_eq!(
        json,
        json!({
            "hash": hash,
            "calls": 3,
            "seconds": 1.0,
            "mappings": [{
                "mapping": "orders",
                "links": 20,
                "unchanged": 15,
                "agreed": 1,
                "steps": [
                    {"id": 1, "side": "notion", "action": "create", "key": "1", "page_id": null, "because": "new",
                        "fields": {"name": {"before": null, "after": "Acme"}}},
                    {"id": 2, "side": "notion", "action": "update", "key": "2", "page_id": id(2), "because": "new",
                        "fields": {"note": {"before": "old", "after": null}}},
                    {"id": 3, "side": "postgres", "action": "insert", "key": null, "page_id": id(3), "because": "new",
                        "fields": {"name": {"before": null, "after": "Born in Notion"}}},
                    {"id": 4, "side": "notion", "action": "trash", "key": "4", "page_id": id(4), "because": "new",
                        "fields": {}},
                ],
                "conflicts": [{"key": "5", "page_id": id(5), "kind": "field", "deleted_on": null, "column": "note",
                    "property": null, "base": "a", "base_postgres": "a", "base_notion": null, "postgres": "b",
                    "notion": "c", "postgres_time": null, "notion_time": "1970-01-01T00:00:00Z",
                    "postgres_author": null, "notion_author": null}],
                "parked": [{"key": "6", "page_id": null, "side": "notion", "column": "note",
                    "reason": "the text is too long", "value": null, "limit": "200000", "code": "too_long"}],
                "skipped": [
                    {"key": "7", "page_id": null, "code": "direction", "reason": "the mapping does not flow that way"},
                    {"key": "8", "page_id": null, "code": "direction", "reason": "the mapping does not flow that way"},
                ],
                "refusals": [{"mapping": "orders", "rule": "mass_deletion", "seen": 11, "limit": 10,
                    "text": "11 of 20 linked records would be deleted in Notion", "advice": "bring the rows back",
                    "override": hash}],
            }],
        })
    );
}

#[test]
fn formatting_that_stays_is_shown_and_formatting_that_goes_is_said() {
    let bold = |after: Value| FieldWrite {
        before: Some(Value::Markdown("**Ada** said".into())),
        after,
        ..write(1, None, "")
    };
    let mut plan = sample();
    let update = |write| step(Side::Notion, Action::Update, Some("2"), Some(2), vec![write]);
    plan.mappings[0].steps =
        vec![update(bold(Value::Markdown("**Ada** wrote".into()))), update(bold(Value::Text("Bo".into())))];
    let text = super::plan(&plan, &[], (2, 1.0), false);
    assert!(text.contains("note: \"**Ada** said\" → \"**Ada** wrote\"\n"), "{text}");
    assert!(
        text.contains("note: \"**Ada** said\" → \"Bo\" (the formatting goes with the words)\n"),
        "{text}"
    );
}
