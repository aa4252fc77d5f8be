//! Proposals from schemas made by hand; each has to be readable again and to resolve.

use super::*;
use crate::{
    config::{Config, Environment, Source},
    setup::{
        Found, SourceFound,
        resolve::tests::{SUPPLIERS, USERS, data_source},
        schema,
        tables::{ForeignKey, TableKind, made_by_hand::table},
    },
};

fn business() -> Vec<TableInfo> {
    let mut view = table("active_suppliers", "id int4, name text");
    view.kind = TableKind::View;
    let mut auth = table("auth.users", "*id uuid, email text");
    auth.oid = 9;
    let mut suppliers = table(
        "suppliers",
        "*id int8 default, contact_name text, company_name varchar(40) not, email text, tier mood in gold|silver, status text in new|active, \
         owner_id int8 to employees.id, logo bytea, api_token text, rating numeric(3,1), total numeric generated, tags text[], created_at timestamptz default, \
         updated_at timestamptz, deleted_at timestamptz, notion_page_id text, Odd\"Name text",
    );
    suppliers.uniques.push(vec!["email".into()]);
    vec![
        table(
            "employees",
            "*id int8 default, last_name text, first_name text, title text, reports_to int8 to employees.id, home_page_url text",
        ),
        table(
            "employee_territories",
            "*employee_id int8 to employees.id, *territory_id text to territories.territory_id",
        ),
        table(
            "order_details",
            "*order_id int4 to orders.id, *supplier_id int8 to suppliers.id, quantity int2 not",
        ),
        table("orders", "*id int4, customer text, supplier_id int8 to suppliers.id, supplier text"),
        suppliers,
        table("territories", "*territory_id text, territory_description text"),
        table("log", "line text"),
        view,
        auth,
    ]
}

fn parsed(text: &str) -> Config {
    let environment = Environment::of([
        ("DATABASE_URL", "postgres://localhost/x"),
        ("NOTION_API_KEY", "x"),
        ("NOTION_PARENT_PAGE", "5c6a28216bb14a7eb6e1c50111515c3d"),
    ]);
    Config::parse(Source { path: "pagerow.toml".into(), text: text.to_owned() }, &environment, &[])
        .unwrap_or_else(|errors| panic!("{errors}\n\n{text}"))
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l.starts_with(line)), "{line:?} begins no line of\n{text}");
}

#[test]
fn a_business_without_notion_gets_databases() {
    let tables = business();
    let proposal = propose(&tables, &[], &Surroundings::default());
    let text = &proposal.text;
    for line in [
        "company_name = { property = \"Company Name\", as = \"title\" }   # the page's title",
        "email = { property = \"Email\", as = \"email\" }",
        "tier = \"Tier\"   # select: gold, silver",
        "status = \"Status\"   # select: new, active",
        "owner_id = { property = \"Owner\", relation = \"employees\" }",
        "# logo = \"Logo\"   # bytea: bytes have no form in Notion",
        "# api_token = \"Api Token\"   # it reads like a secret".replace("Api", "API").as_str(),
        "# id = \"ID\"   # the key stands in the property \"Supabase ID\"",
        "# updated_at = \"Updated At\"   # it changes with every edit",
        "updated_at = \"updated_at\"",
        "soft_delete = \"deleted_at\"",
        "match_on = [\"email\"]",
        "page_id = \"notion_page_id\"",
        "created_at = { property = \"Created At\", direction = \"to_notion\" }",
        "total = \"Total\"   # number, made by the database, so it is shown only",
        "\"Odd\\\"Name\" = \"Odd Name\"",
        "last_name = { property = \"Last Name\", as = \"title\" }",
        "reports_to = { property = \"Reports To\", relation = \"employees\" }",
        "home_page_url = { property = \"Home Page URL\", as = \"url\" }",
        "territories = { property = \"Territories\", relation = \"territories\", through = \"public.employee_territories\", own_column = \"employee_id\", other_column = \"territory_id\" }",
        "order_id = { property = \"Order\", relation = \"orders\", direction = \"to_notion\" }",
        "supplier_id = { property = \"Supplier\", relation = \"suppliers\" }",
        "supplier = \"Supplier 2\"",
        "#   public.log: it has no primary key",
        "#   public.active_suppliers: it is no table",
        "#   public.employee_territories: it only joins employees and territories",
        "parent_page = \"env:NOTION_PARENT_PAGE\"",
    ] {
        has(text, line);
    }
    assert!(!text.contains("auth"), "other people's schemas are not proposed");
    assert!(!text.contains("[mapping.employee_territories]"));
    assert_eq!(proposal.mappings, 5);
    assert!(
        proposal.choices.iter().any(|choice| choice.contains("its title is last_name")),
        "{:?}",
        proposal.choices
    );

    let config = parsed(text);
    let found = Found { tables, ..Found::default() };
    let plan = schema::plan(&config, &found).unwrap_or_else(|errors| panic!("{errors}\n\n{text}"));
    let created =
        plan.changes.iter().filter(|c| matches!(c, schema::SchemaChange::CreateDatabase { .. })).count();
    assert_eq!(created, 5);
    assert!(plan.missing.is_empty());
}

#[test]
fn a_workspace_that_is_there_is_paired() {
    let tables = business();
    let sources = [
        data_source(
            SUPPLIERS,
            "Supplier",
            &format!(
                "Firm is title, E-Mail is email, Tier is select gold, Rating is select 1, Owner is relation {USERS}, Total is formula, Supabase ID is rich_text"
            ),
        ),
        data_source(USERS, "Employees", "Last Name is title, First Name is number"),
    ];
    let proposal = propose(&tables, &sources, &Surroundings::default());
    let text = &proposal.text;
    for line in [
        &format!("data_source = \"{SUPPLIERS}\"   # \"Supplier\", paired by its name"),
        "company_name = \"Firm\"   # title",
        "email = \"E-Mail\"   # email",
        "rating = \"Rating\"   # select",
        "owner_id = { property = \"Owner\", relation = \"employees\" }",
        "# total = \"Total\"   # the data source has no such property",
        "last_name = \"Last Name\"   # title",
        "# reports_to = ",
        "manage_schema = true   # lets `pagerow schema apply` add the property \"Supabase ID\"",
        "# territories = ",
    ] {
        has(text, line);
    }
    let mut found = Found { tables, ..Found::default() };
    for (name, at) in [("suppliers", 0), ("employees", 1)] {
        found.sources.insert(name.into(), SourceFound::Found(Box::new(sources[at].clone())));
    }
    let config = parsed(text);
    let plan = schema::plan(&config, &found).unwrap_or_else(|errors| panic!("{errors}\n\n{text}"));
    let missing: Vec<&str> = plan.missing.iter().map(|missing| missing.what.as_str()).collect();
    assert_eq!(missing, ["\"Tier\" of \"Supplier\" lacks the options silver"]);
    let added: Vec<String> =
        plan.changes.iter().filter(|c| c.mapping() == "employees").map(ToString::to_string).collect();
    assert_eq!(added, ["employees: add the property \"Supabase ID\" (rich_text, for the row's key)"]);
}

#[test]
fn keys_that_no_column_can_name_make_no_relation() {
    let mut line = table("lines", "*id int4, order_id int4, item_no int4, note text");
    line.foreign_keys.push(ForeignKey {
        name: "fk".into(),
        columns: vec!["order_id".into(), "item_no".into()],
        target_schema: "public".into(),
        target_table: "items".into(),
        target_columns: vec!["order_id".into(), "item_no".into()],
    });
    let tables = vec![table("items", "*order_id int4, *item_no int4, label text"), line];
    let proposal = propose(&tables, &[], &Surroundings::default());
    has(&proposal.text, "order_id = \"Order ID\"   # number");
    let found = Found { tables, ..Found::default() };
    schema::plan(&parsed(&proposal.text), &found)
        .unwrap_or_else(|errors| panic!("{errors}\n\n{}", proposal.text));
}

#[test]
fn a_file_that_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pagerow.toml");
    std::fs::write(&path, "mine").unwrap();
    let proposal = propose(&business(), &[], &Surroundings::default());
    assert_eq!(write(&proposal, &path, false).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    write(&proposal, &path, true).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), proposal.text);
}
