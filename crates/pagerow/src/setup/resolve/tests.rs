//! Configurations against schemas made by hand: each error in one row, and what a sound file becomes.

use pagerow_core::mapping::{ColumnKind, Flow};

use super::*;
use crate::{
    config::{Environment, Source as ConfigSource},
    postgres::table::FieldSource,
    setup::{
        found::{People, Problem, Sight},
        tables::{TableInfo, TableKind, made_by_hand::table},
    },
};

pub(crate) const SUPPLIERS: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(crate) const USERS: &str = "aaaaaaaa-0000-4000-8000-000000000002";

/// `Name title`, `Tier select Gold|Silver`, `Owner relation <id>`, separated by commas.
pub(crate) fn data_source(id: &str, title: &str, properties: &str) -> DataSource {
    let mut members = serde_json::Map::new();
    for (at, property) in properties.split(", ").enumerate() {
        let (name, rest) = property.split_once(" is ").unwrap();
        let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let config = match kind {
            "select" | "multi_select" | "status" => {
                let options: Vec<_> = rest
                    .split('|')
                    .filter(|name| !name.is_empty())
                    .map(|name| serde_json::json!({"id": name, "name": name, "color": "default", "description": null}))
                    .collect();
                serde_json::json!({ "options": options, "groups": [] })
            }
            "relation" => {
                serde_json::json!({"data_source_id": rest, "database_id": rest, "type": "single_property", "single_property": {}})
            }
            "formula" => serde_json::json!({"expression": "1"}),
            _ => serde_json::json!({}),
        };
        let id = if kind == "title" { "title".to_owned() } else { format!("p{at}") };
        members.insert(name.into(), serde_json::json!({"id": id, "name": name, "type": kind, kind: config}));
    }
    let json = serde_json::json!({
        "object": "data_source", "id": id, "in_trash": false, "properties": members,
        "title": [{"type": "text", "text": {"content": title, "link": null}, "plain_text": title, "href": null,
                   "annotations": {"bold": false, "italic": false, "strikethrough": false, "underline": false, "code": false, "color": "default"}}],
        "parent": {"type": "database_id", "database_id": "d"},
    });
    serde_json::from_str(&json.to_string()).unwrap()
}

fn tables() -> Vec<TableInfo> {
    let mut view = table("active", "id int4, name text");
    view.kind = TableKind::View;
    let mut locked = table("locked", "*id int8 default, name text readonly, price numeric");
    locked.may_insert = false;
    vec![
        table(
            "suppliers",
            "*id int8 default, name text not, email text, rating int4, tier mood in gold|silver, tags text[], \
             owner_id int8 to users.id, boss_id int8 to suppliers.id, photo bytea, meta jsonb, total numeric generated, \
             since daterange, updated_at timestamptz, deleted_at timestamptz, page text, note text",
        ),
        table("users", "*id int8 default, name text not"),
        table("pairs", "*a int4, *b int4, label text"),
        table("friends", "*one int8 to users.id, *two int8 to users.id"),
        table("supplier_users", "*supplier_id int8 to suppliers.id, *user_id int8 to users.id"),
        table("grants", "supplier_id int8 to suppliers.id, user_id int8 to users.id, level text not"),
        table("keyless", "name text"),
        view,
        locked,
    ]
}

fn found() -> Found {
    let suppliers = data_source(
        SUPPLIERS,
        "Suppliers",
        &format!(
            "Name is title, E-mail is email, Rating is number, Tier is select gold, Tags is multi_select a, \
             Owner is relation {USERS}, Boss is relation {SUPPLIERS}, Sum is formula, Edited is last_edited_time, Notes is rich_text, \
             Team is relation {USERS}, Supabase ID is rich_text, Last Synced is date, Done is checkbox, Who is people, Stage is status Open|Done, Period is date"
        ),
    );
    Found {
        tables: tables(),
        sources: [
            ("s".to_owned(), SourceFound::Found(Box::new(suppliers))),
            (
                "users".to_owned(),
                SourceFound::Found(Box::new(data_source(
                    USERS,
                    "Users",
                    "Name is title, Supabase ID is rich_text",
                ))),
            ),
        ]
        .into(),
        people: People { known: Vec::new(), sight: Sight::Names },
        capture: None,
        notes: Vec::new(),
        remembered: BTreeMap::new(),
        refused_sql: [("mapping.s.where".to_owned(), "syntax error at or near \"nonsense\"".to_owned())]
            .into(),
    }
}

/// A file with the mapping `s` (its own lines, its fields) and the mapping `users`.
fn file(table: &str, lines: &str, fields: &str) -> String {
    format!(
        "[postgres]\nurl = \"postgres://localhost/x\"\n[notion]\ntoken = \"env:TOKEN\"\n\
         [mapping.users]\ntable = \"users\"\ndata_source = \"{USERS}\"\n[mapping.users.fields]\nname = \"Name\"\n\
         [mapping.s]\ntable = \"{table}\"\ndata_source = \"{SUPPLIERS}\"\n{lines}\n[mapping.s.fields]\n{fields}\n"
    )
}

pub(crate) fn config(text: &str) -> Config {
    Config::parse(
        ConfigSource { path: "pagerow.toml".into(), text: text.to_owned() },
        &Environment::of([("TOKEN", "x")]),
        &[],
    )
    .unwrap_or_else(|errors| panic!("{errors}"))
}

fn resolved(lines: &str, fields: &str) -> Resolved {
    let config = config(&file("suppliers", lines, fields));
    let resolution = resolve(&config, &found()).unwrap_or_else(|errors| panic!("{errors}"));
    resolution.mappings.into_iter().find(|one| one.mapping.name == "s").unwrap()
}

#[test]
fn errors_say_where_and_what() {
    let ok = "name = \"Name\"";
    // (table, lines of the mapping, fields, code, what the message holds)
    let cases: &[(&str, &str, &str, &str, &[&str])] = &[
        ("supliers", "", ok, "no_such_table", &["no table supliers", "did you mean `suppliers`", ":11:"]),
        ("public.supliers", "", ok, "no_such_table", &["did you mean `public.suppliers`"]),
        ("keyless", "", ok, "no_key", &["no primary key", "ADD COLUMN id bigint"]),
        ("active", "", ok, "no_key", &["is a view", "match_on"]),
        (
            "active",
            "match_on = [\"name\"]\ndirection = \"both\"",
            ok,
            "wrong_direction",
            &["is no table", ":14:"],
        ),
        (
            "suppliers",
            "",
            "nam = \"Name\"",
            "no_such_column",
            &["has no column nam", "did you mean `name`", ":15:1"],
        ),
        (
            "suppliers",
            "",
            "name = \"Nam\"",
            "no_such_property",
            &["\"Suppliers\" has no property \"Nam\"", "did you mean `Name`", ":15:8"],
        ),
        (
            "suppliers",
            "",
            "name = \"Quux\"",
            "no_such_property",
            &["manage_schema = true", "its properties are"],
        ),
        (
            "suppliers",
            "",
            "name = \"Name\"\nemail = \"title\"",
            "property_twice",
            &["already taken by the field name"],
        ),
        (
            "suppliers",
            "",
            "name = \"Supabase ID\"",
            "property_twice",
            &["key property", "key_property = false"],
        ),
        (
            "suppliers",
            "key_property = \"Key\"",
            ok,
            "no_key_property",
            &["no property \"Key\"", "pagerow schema apply", ":13:"],
        ),
        (
            "suppliers",
            "key_property = \"Rating\"",
            ok,
            "wrong_kind",
            &["is of kind number, and a key is a text"],
        ),
        ("suppliers", "", "photo = \"Notes\"", "wrong_pair", &["bytes have no form in Notion"]),
        (
            "suppliers",
            "",
            "rating = \"E-mail\"",
            "wrong_pair",
            &["which is of kind email", "a whole number: use number"],
        ),
        ("suppliers", "", "meta = \"Rating\"", "wrong_pair", &["canonical JSON"]),
        ("suppliers", "", "owner_id = \"Owner\"", "wrong_pair", &["name its mapping with `relation`"]),
        (
            "suppliers",
            "",
            "rating = { property = \"Rating\", as = \"select\" }",
            "wrong_kind",
            &["is of kind number, not select"],
        ),
        (
            "suppliers",
            "",
            "name = { property = \"Notes\", ordered = true }",
            "no_order",
            &["`ordered` is about a multi_select and an array", "text in a property of kind rich_text"],
        ),
        (
            "suppliers",
            "",
            "rating = { property = \"Notes\", as = \"markdown\" }",
            "wrong_pair",
            &["a whole number: use number or rich_text"],
        ),
        (
            "suppliers",
            "",
            "name = { property = \"Rating\", as = \"markdown\" }",
            "wrong_kind",
            &["is of kind number, not markdown"],
        ),
        (
            "suppliers",
            "",
            "rating = { property = \"Rating\", as = \"date\" }",
            "wrong_pair",
            &["cannot be shown as date"],
        ),
        (
            "suppliers",
            "",
            "name = { property = \"Notes\", values = { a = \"A\" } }",
            "wrong_kind",
            &["`values` names options"],
        ),
        (
            "suppliers",
            "",
            "tier = { property = \"Tier\", values = { golt = \"Gold\" } }",
            "no_such_label",
            &["no label golt", "did you mean `gold`"],
        ),
        (
            "suppliers",
            "",
            "note = { property = \"Sum\", direction = \"to_notion\" }",
            "computed_property",
            &["computed by Notion (formula)", "to_postgres"],
        ),
        (
            "suppliers",
            "",
            "note = { property = \"Sum\", direction = \"both\" }",
            "computed_property",
            &["nothing can be written to it"],
        ),
        (
            "suppliers",
            "direction = \"to_notion\"",
            "note = \"Sum\"",
            "computed_property",
            &["only flows to Notion"],
        ),
        (
            "suppliers",
            "",
            "total = { property = \"Rating\", direction = \"both\" }",
            "wrong_direction",
            &["the column total is generated"],
        ),
        (
            "suppliers",
            "direction = \"to_postgres\"",
            "total = \"Rating\"",
            "wrong_direction",
            &["nothing can flow", "is generated"],
        ),
        (
            "suppliers",
            "",
            "since = { property = \"Notes\", direction = \"to_postgres\" }",
            "wrong_direction",
            &["cannot be filled from"],
        ),
        (
            "suppliers",
            "",
            "owner_id = { property = \"Boss\", relation = \"users\" }",
            "wrong_relation",
            &["leads to another data source"],
        ),
        (
            "suppliers",
            "",
            "owner_id = { property = \"Boss\", relation = \"s\" }",
            "wrong_relation",
            &["leads to public.users"],
        ),
        (
            "suppliers",
            "",
            "team = { property = \"Team\", relation = \"users\", through = \"supplier_user\" }",
            "no_such_table",
            &["did you mean `supplier_users`"],
        ),
        (
            "suppliers",
            "",
            "team = { property = \"Team\", relation = \"users\", through = \"friends\" }",
            "ambiguous_join",
            &["no foreign key to public.suppliers", "own_column"],
        ),
        (
            "suppliers",
            "",
            "team = { property = \"Team\", relation = \"users\", through = \"supplier_users\", own_column = \"supplier\" }",
            "no_such_column",
            &["did you mean `supplier_id`"],
        ),
        (
            "pairs",
            "",
            "x = { property = \"Team\", relation = \"users\", through = \"friends\" }",
            "composite_reference",
            &["key of several columns"],
        ),
        (
            "suppliers",
            "match_on = [\"emial\"]",
            "email = \"E-mail\"",
            "no_such_field",
            &["did you mean `email`"],
        ),
        ("suppliers", "updated_at = \"updated\"", ok, "no_such_column", &["did you mean `updated_at`"]),
        ("suppliers", "updated_at = \"name\"", ok, "wrong_type", &["the column name is text"]),
        ("suppliers", "soft_delete = \"rating\"", ok, "wrong_type", &["cannot mark a row as deleted"]),
        ("suppliers", "where = \"nonsense\"", ok, "wrong_condition", &["syntax error", ":13:9"]),
        (
            "suppliers",
            "",
            "x = { property = \"Notes\", to_notion = \"row.nope\" }",
            "no_such_column",
            &["has no column nope", ":15:39", "did you mean `note`"],
        ),
        (
            "suppliers",
            "",
            "x = { property = \"Notes\", to_notion = \"row.name|uper if row.note else 'a'\" }",
            "wrong_expression",
            &["it knows no filter uper", "did you mean `upper`", ":15:39"],
        ),
        (
            "suppliers",
            "",
            "note = { property = \"Notes\", to_notion = \"vlaue\" }",
            "wrong_expression",
            &["it knows no name vlaue", "did you mean `value`"],
        ),
        (
            "suppliers",
            "",
            "x = { property = \"Notes\", to_notion = \"row.name ~\" }",
            "wrong_expression",
            &["cannot be read"],
        ),
        (
            "suppliers",
            "",
            "x = { property = \"Notes\", to_notion = \"row\" }",
            "wrong_expression",
            &["row has to be followed by a name"],
        ),
        (
            "suppliers",
            "",
            "nope = { property = \"Notes\", to_notion = \"value|upper\" }",
            "no_such_column",
            &["has no column nope", "did you mean `note`"],
        ),
        (
            "suppliers",
            "",
            "x = { property = \"Notes\", to_notion = \"row.photo\" }",
            "wrong_pair",
            &["cannot look at the column photo"],
        ),
        (
            "suppliers",
            "",
            "x = { property = \"Notes\", to_notion = \"row.rating|split(',')\" }",
            "wrong_expression",
            &["for no value of its columns' types it gives a result", "a text is needed"],
        ),
        (
            "suppliers",
            "",
            "x = { property = \"Period\", to_notion = \"row.rating is above(3)\" }",
            "wrong_pair",
            &["cannot be kept in \"Period\", which is of kind date"],
        ),
        (
            "suppliers",
            "",
            "rating = { property = \"Notes\", to_notion = \"value|text\", from_notion = \"value|number|plus(1)\" }",
            "lossy_pair",
            &["brings no value back", ":15:72"],
        ),
        (
            "suppliers",
            "",
            "rating = { property = \"Notes\", to_notion = \"value|text\", from_notion = \"value if page.Name else none\" }",
            "wrong_expression",
            &["it can look at `value` only"],
        ),
        (
            "suppliers",
            "",
            "note = { property = \"Notes\", from_notion = \"value if page.Nmae else none\" }",
            "no_such_property",
            &["has no property \"Nmae\"", "did you mean `Name`"],
        ),
        (
            "suppliers",
            "",
            "note = { property = \"Notes\", from_notion = \"value if page.Owner else none\" }",
            "wrong_pair",
            &["cannot look at the property \"Owner\", which is of kind relation"],
        ),
        (
            "suppliers",
            "",
            "updated_at = { property = \"Tier\", from_notion = \"value|upper\" }",
            "wrong_expression",
            &["for no value of \"Tier\" it gives what the column updated_at can hold"],
        ),
        (
            "suppliers",
            "[mapping.s.stamp]\nsynced_at = \"Synced\"",
            ok,
            "no_such_property",
            &["did you mean `Last Synced`"],
        ),
        (
            "suppliers",
            "[mapping.s.stamp]\nsynced_at = \"Notes\"",
            ok,
            "wrong_kind",
            &["is of kind rich_text, not date"],
        ),
        (
            "suppliers",
            "[mapping.s.columns]\npage_id = \"pagee\"",
            ok,
            "no_such_column",
            &["did you mean `page`"],
        ),
        (
            "suppliers",
            "[mapping.s.columns]\nsynced_at = \"page\"",
            ok,
            "wrong_type",
            &["the column page is text"],
        ),
        (
            "suppliers",
            "[mapping.s.columns]\npage_id = \"name\"",
            ok,
            "column_twice",
            &["is a field of this mapping"],
        ),
        (
            "locked",
            "",
            "name = { property = \"Name\", direction = \"to_postgres\" }",
            "wrong_direction",
            &["may not update the column name", "GRANT UPDATE (name)"],
        ),
    ];
    for (table, lines, fields, code, parts) in cases {
        let outcome = resolve(&config(&file(table, lines, fields)), &found()).map(|_| ());
        let errors = outcome.expect_err(fields);
        // A refused condition stands in `found` for all rows; it only counts where there is one.
        assert_eq!(errors.0.len(), 1, "{errors}");
        let shown = errors.to_string();
        assert_eq!(errors.0[0].code, *code, "{shown}");
        for part in *parts {
            assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
        }
    }
}

#[test]
fn two_sides_of_one_table_must_be_named() {
    let mut found = found();
    found.sources.insert(
        "users".into(),
        SourceFound::Found(Box::new(data_source(
            USERS,
            "Users",
            &format!("Name is title, Supabase ID is rich_text, Friends is relation {USERS}"),
        ))),
    );
    let with = |more: &str| {
        let text = file("suppliers", "", "name = \"Name\"").replace(
            "[mapping.users.fields]\nname = \"Name\"",
            &format!("[mapping.users.fields]\nname = \"Name\"\nfriends = {{ property = \"Friends\", relation = \"users\", through = \"friends\"{more} }}"),
        );
        resolve(&config(&text), &found)
    };
    assert_eq!(with("").map(|_| ()).unwrap_err().0[0].code, "ambiguous_join");
    for named in [", own_column = \"two\"", ", other_column = \"one\""] {
        let resolution = with(named).unwrap();
        let users = resolution.mappings.iter().find(|one| one.mapping.name == "users").unwrap();
        let FieldSource::Join { own_column, other_column, .. } = &users.table.fields[1] else { panic!() };
        assert_eq!((own_column.as_str(), other_column.as_str()), ("two", "one"));
    }
}

#[test]
fn what_is_wrong_with_a_data_source_is_said_at_its_line() {
    let config = config(&file("suppliers", "", "owner_id = { property = \"Owner\", relation = \"users\" }"));
    let mut found = found();
    let problem = Problem {
        code: "several_data_sources",
        message: "the database has 2 data sources".into(),
        advice: "name one of them".into(),
    };
    found.sources.insert("users".into(), SourceFound::Problem(problem));
    let errors = resolve(&config, &found).map(|_| ()).unwrap_err();
    assert_eq!(errors.0.len(), 1, "the relation to it is no second error: {errors}");
    assert_eq!((errors.0[0].code, errors.0[0].line), ("several_data_sources", Some(7)));
    found.sources.insert("users".into(), SourceFound::NotMade);
    let errors = resolve(&config, &found).map(|_| ()).unwrap_err();
    assert!(errors.to_string().contains("pagerow schema apply"), "{errors}");
}

#[test]
fn a_sound_mapping_has_everything() {
    let one = resolved(
        "match_on = [\"email\"]\nupdated_at = \"updated_at\"\nsoft_delete = \"deleted_at\"\ninterval = \"5s\"\nmax_deletes = \"50%\"\n\
         [mapping.s.stamp]\nsynced_at = \"Last Synced\"\n[mapping.s.columns]\npage_id = \"page\"",
        "name = \"Name\"\nemail = \"E-mail\"\nrating = { property = \"Rating\", wins = \"postgres\" }\n\
         tier = { property = \"Tier\", new_options = \"create\" }\nowner_id = { property = \"Owner\", relation = \"users\" }\n\
         team = { property = \"Team\", relation = \"users\", through = \"supplier_users\" }\n\
         total = \"Sum2\"\nmeta = { as = \"body\" }\n"
            .replace("total = \"Sum2\"\nmeta = { as = \"body\" }\n", "note = { as = \"body\" }\nupdated_at = \"Edited\"\n")
            .as_str(),
    );
    let mapping = &one.mapping;
    let flows: Vec<_> =
        mapping.fields.iter().map(|field| (field.column.as_str(), field.shows.name(), field.flow)).collect();
    assert_eq!(
        flows,
        [
            ("name", "title", Flow::Both),
            ("email", "email", Flow::Both),
            ("rating", "number", Flow::Both),
            ("tier", "select", Flow::Both),
            ("owner_id", "relation", Flow::Both),
            ("team", "relation", Flow::Both),
            ("note", "body", Flow::Both),
            ("updated_at", "last_edited_time", Flow::ToPostgres),
        ]
    );
    assert_eq!(mapping.match_on, [1]);
    assert_eq!(mapping.key, KeySource::Generated);
    assert_eq!(mapping.fields[4].holds, ColumnKind::Reference { mapping: "users".into() });
    assert!(mapping.fields[0].required && !mapping.fields[1].required);
    let FieldSource::Join { own_column, other_column, own_type, .. } = &one.table.fields[5] else { panic!() };
    assert_eq!(
        (own_column.as_str(), other_column.as_str(), own_type.as_str()),
        ("supplier_id", "user_id", "int8")
    );
    assert_eq!(one.table.updated_at.as_ref().map(|t| t.zoned), Some(true));
    assert_eq!(one.table.bookkeeping.page_id.as_deref(), Some("page"));
    assert_eq!(one.source.key_property.as_ref().map(|p| p.kind.as_str()), Some("rich_text"));
    assert!(one.source.stamp.synced_at.is_some() && one.source.has_body);
    assert_eq!((one.interval.as_secs(), one.limits.deletes), (5, 0.5));
    assert!(one.warnings.is_empty(), "{:?}", one.warnings);
}

#[test]
fn what_cannot_be_written_only_flows_the_other_way() {
    let one = resolved("", "name = \"Name\"\ntotal = \"Rating\"\nsince = \"Period\"\nx = { property = \"Notes\", to_notion = \"1\" }".replace("x =", "y =").as_str());
    let flows: Vec<_> = one.mapping.fields.iter().map(|field| field.flow).collect();
    assert_eq!(flows, [Flow::Both, Flow::ToNotion, Flow::Both, Flow::ToNotion]);

    let config = config(&file("locked", "", "name = \"Name\"\nprice = \"Rating\""));
    let locked =
        resolve(&config, &found()).unwrap().mappings.into_iter().find(|one| one.mapping.name == "s").unwrap();
    assert_eq!(locked.mapping.fields[0].flow, Flow::ToNotion);
    let warnings: Vec<String> = locked.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|w| w.contains("GRANT INSERT ON public.locked")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.contains("GRANT UPDATE (name)")), "{warnings:?}");

    let key = |field: &str| resolved("", field).mapping.fields[0].flow;
    assert_eq!(key("id = \"Rating\""), Flow::ToNotion, "a number that the table gives is not for editing");
    assert_eq!(key("id = { property = \"Rating\", direction = \"both\" }"), Flow::Both);

    let one = resolved("", "grants = { property = \"Team\", relation = \"users\", through = \"grants\" }");
    assert_eq!(one.mapping.fields[0].flow, Flow::ToNotion);
    assert!(one.warnings[0].to_string().contains("needs a value for level"), "{:?}", one.warnings);
}

#[test]
fn views_flow_to_notion_only() {
    let config = config(&file("active", "match_on = [\"id\"]", "name = \"Name\"\nid = \"Rating\""));
    let view =
        resolve(&config, &found()).unwrap().mappings.into_iter().find(|one| one.mapping.name == "s").unwrap();
    assert_eq!(view.mapping.direction, Flow::ToNotion);
    assert!(!view.table.writable && !view.table.has_xmin);
    assert_eq!(view.table.key[0].name, "id");
}

#[test]
fn doubts_are_warnings() {
    let warned = |lines: &str, fields: &str| {
        let one = resolved(lines, fields);
        one.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(warned("", "tier = \"Tier\"").contains("lacks the options silver"), "gold is there");
    assert!(warned("", "email = \"Who\"").contains("Read user information including email addresses"));
    assert!(warned("on_conflict = \"last_write_wins\"", "name = \"Name\"").contains("updated_at = "));
    assert!(warned("", "rating = { property = \"Owner\", relation = \"users\" }").contains("no foreign key"));
}

#[test]
fn keys_that_nobody_makes_come_from_fields_or_the_key_property() {
    let source = |fields: &str| {
        let config = config(&file("pairs", "", fields));
        resolve(&config, &found()).unwrap().mappings.into_iter().find(|one| one.mapping.name == "s").unwrap()
    };
    let by_fields = source("label = \"Name\"\nb = \"Rating\"\na = { property = \"Notes\" }");
    assert_eq!(by_fields.mapping.key, KeySource::Fields(vec![2, 1]));
    let by_property = source("label = \"Name\"\nb = \"Rating\"");
    assert_eq!(by_property.mapping.key, KeySource::KeyProperty);
    assert_eq!(by_property.warnings.len(), 1);
}

#[test]
fn referenced_mappings_come_first() {
    let config = config(&file(
        "suppliers",
        "",
        "name = \"Name\"\nboss_id = { property = \"Boss\", relation = \"s\" }",
    ));
    let resolution = resolve(&config, &found()).unwrap();
    let names: Vec<_> = resolution.mappings.iter().map(|one| one.mapping.name.as_str()).collect();
    assert_eq!(names, ["users", "s"]);
    assert_eq!(resolution.cycles, [vec!["s".to_owned()]]);
}
