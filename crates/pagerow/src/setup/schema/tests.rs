//! What is planned to be made, from configurations and schemas made by hand.

use super::*;
use crate::setup::{
    found::Problem,
    resolve::tests::{SUPPLIERS, USERS, config, data_source},
    tables::made_by_hand::table,
};

const PARENT: &str = "5c6a28216bb14a7eb6e1c50111515c3d";

fn head(sync: &str) -> String {
    format!("[postgres]\nurl = \"postgres://localhost/x\"\n[notion]\ntoken = \"env:TOKEN\"\n[sync]\n{sync}\n")
}

fn found(sources: &[(&str, SourceFound)]) -> Found {
    Found {
        tables: vec![
            table(
                "suppliers",
                "*id int8 default, name text, email text, tier mood in gold|silver, status text in new|Active, owner_id int8 to users.id, labels text[]",
            ),
            table("users", "*id int8 default, name text, boss_id int8 to users.id"),
        ],
        sources: sources.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect(),
        ..Found::default()
    }
}

fn shown(plan: &SchemaPlan) -> Vec<String> {
    plan.changes.iter().map(ToString::to_string).collect()
}

const FILE: &str = "[mapping.suppliers]\ntable = \"suppliers\"\ndata_source = \"create\"\n[mapping.suppliers.stamp]\nsynced_at = \"Last Synced\"\n\
     [mapping.suppliers.fields]\nname = \"Name\"\nemail = \"E-mail\"\ntier = \"Tier\"\nstatus = { property = \"Status\", values = { new = \"New\" } }\n\
     owner_id = { property = \"Owner\", relation = \"users\" }\nlabels = \"Labels\"\n\
     [mapping.users]\ntable = \"users\"\ndata_source = \"create\"\n[mapping.users.fields]\nname = \"Name\"\nboss_id = { property = \"Boss\", relation = \"users\" }\n";

#[test]
fn databases_come_first_and_relations_last() {
    let config = config(&format!("{}{FILE}", head(&format!("parent_page = \"{PARENT}\""))));
    let plan = plan(&config, &found(&[("suppliers", SourceFound::NotMade), ("users", SourceFound::NotMade)]))
        .unwrap();
    assert_eq!(
        shown(&plan),
        [
            "suppliers: make the database \"Suppliers\" with \"Name\" (title), \"E-mail\" (email), \"Tier\" (select: gold, silver), \
             \"Status\" (select: New, Active), \"Labels\" (multi_select), \"Supabase ID\" (rich_text, for the row's key), \"Last Synced\" (date)",
            "users: make the database \"Users\" with \"Name\" (title), \"Supabase ID\" (rich_text, for the row's key)",
            "suppliers: add the property \"Owner\" (relation to users)",
            "users: add the property \"Boss\" (relation to users)",
        ]
    );
}

#[test]
fn where_to_make_it_must_be_known() {
    let config = config(&format!("{}{FILE}", head("")));
    let errors = plan(&config, &found(&[])).unwrap_err();
    assert!(
        errors.0.iter().all(|error| error.code == "missing_key" && error.to_string().contains("parent_page")),
        "{errors}"
    );
    assert_eq!(errors.0.len(), 2);
}

#[test]
fn what_is_there_is_not_made_again() {
    let users = data_source(
        USERS,
        "Users",
        &format!("Name is title, Supabase ID is rich_text, Boss is relation {USERS}"),
    );
    let suppliers = data_source(
        SUPPLIERS,
        "Suppliers",
        &format!(
            "Name is title, E-mail is email, Tier is select GOLD, Status is select new|Active, Labels is multi_select, Owner is relation {USERS}, Supabase ID is rich_text, Last Synced is date"
        ),
    );
    let found_all = found(&[
        ("suppliers", SourceFound::Found(Box::new(suppliers))),
        ("users", SourceFound::Found(Box::new(users))),
    ]);
    let config = config(&format!("{}{FILE}", head(&format!("parent_page = \"{PARENT}\""))));
    let plan = plan(&config, &found_all).unwrap();
    assert_eq!(shown(&plan), ["suppliers: add to \"Tier\" the options silver"]);
    let SchemaChange::AddOptions { existing, .. } = &plan.changes[0] else { panic!() };
    assert_eq!(existing, &["GOLD"], "options that are left out would be removed from pages");
    assert!(plan.missing.is_empty());
}

#[test]
fn what_is_not_ours_is_only_listed() {
    let file = format!(
        "{}[mapping.users]\ntable = \"users\"\ndata_source = \"{USERS}\"\n[mapping.users.fields]\nname = \"Title\"\nboss_id = {{ property = \"Boss\", relation = \"users\" }}\n",
        head("")
    );
    let users = SourceFound::Found(Box::new(data_source(USERS, "Users", "Name is title")));
    let listed = plan(&config(&file), &found(&[("users", users.clone())])).unwrap();
    assert!(listed.changes.is_empty());
    let missing: Vec<&str> = listed.missing.iter().map(|missing| missing.what.as_str()).collect();
    assert_eq!(
        missing,
        [
            "\"Users\" has no property \"Title\"",
            "\"Users\" has no property \"Boss\"",
            "\"Users\" has no property \"Supabase ID\""
        ]
    );
    assert!(listed.missing[1].advice.contains("manage_schema = true"));

    let managed = file.replace("[mapping.users.fields]", "manage_schema = true\n[mapping.users.fields]");
    let plan = plan(&config(&managed), &found(&[("users", users)])).unwrap();
    assert_eq!(
        shown(&plan),
        [
            "users: add the property \"Title\" (rich_text)",
            "users: add the property \"Supabase ID\" (rich_text, for the row's key)",
            "users: add the property \"Boss\" (relation to users)",
        ]
    );
}

#[test]
fn tables_are_made_from_data_sources_when_that_is_wished() {
    let file = format!(
        "{}[mapping.users]\ntable = \"users\"\ndata_source = \"{USERS}\"\nmanage_schema = true\n[mapping.users.fields]\nname = \"Name\"\nsalary = \"Salary\"\n\
         [mapping.tickets]\ntable = \"tickets\"\ndata_source = \"{SUPPLIERS}\"\nmanage_schema = true\nupdated_at = \"updated_at\"\n[mapping.tickets.fields]\n\
         subject = \"Subject\"\nlabels = \"Labels\"\nopen = \"Open\"\nowner_id = {{ property = \"Owner\", relation = \"users\" }}\n",
        head("")
    );
    let sources = found(&[
        (
            "users",
            SourceFound::Found(Box::new(data_source(
                USERS,
                "Users",
                "Name is title, Salary is number, Supabase ID is rich_text",
            ))),
        ),
        (
            "tickets",
            SourceFound::Found(Box::new(data_source(
                SUPPLIERS,
                "Tickets",
                &format!(
                    "Subject is title, Labels is multi_select, Open is checkbox, Owner is relation {USERS}, Supabase ID is rich_text"
                ),
            ))),
        ),
    ]);
    let made = plan(&config(&file), &sources).unwrap();
    let statements: Vec<&str> = made
        .changes
        .iter()
        .filter_map(|change| match change {
            SchemaChange::Sql { sql, .. } => Some(sql.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        statements,
        [
            "ALTER TABLE \"public\".\"users\" ADD COLUMN \"salary\" numeric;",
            "CREATE TABLE \"public\".\"tickets\" (\n    \"id\" bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,\n    \"subject\" text,\n    \"labels\" text[],\n    \
             \"open\" boolean,\n    \"owner_id\" int8 REFERENCES \"public\".\"users\" (\"id\"),\n    \"updated_at\" timestamptz NOT NULL DEFAULT now()\n);",
        ]
    );
    // A slip of the hand makes no table.
    let slip = file.replace("table = \"tickets\"", "table = \"supplierz\"");
    assert_eq!(plan(&config(&slip), &sources).unwrap_err().0[0].suggestion.as_deref(), Some("suppliers"));
}

#[test]
fn problems_with_data_sources_are_errors() {
    let file = format!(
        "{}[mapping.users]\ntable = \"users\"\ndata_source = \"{USERS}\"\n[mapping.users.fields]\nname = \"Name\"\n",
        head("")
    );
    let problem =
        Problem { code: "not_shared", message: "it is not shared".into(), advice: "share it".into() };
    let errors = plan(&config(&file), &found(&[("users", SourceFound::Problem(problem))])).unwrap_err();
    assert_eq!(errors.0[0].code, "not_shared");
}

#[test]
fn two_titles_are_refused_and_the_key_can_be_one() {
    let with = |fields: &str| {
        let file = format!(
            "{}[mapping.users]\ntable = \"users\"\ndata_source = \"create\"\n[mapping.users.fields]\n{fields}\n",
            head(&format!("parent_page = \"{PARENT}\""))
        );
        plan(&config(&file), &found(&[]))
    };
    let errors =
        with("name = { property = \"A\", as = \"title\" }\nid = { property = \"B\", as = \"title\" }")
            .unwrap_err();
    assert_eq!(errors.0[0].code, "second_title");
    let plan = with("id = \"B\"").unwrap();
    assert_eq!(
        shown(&plan),
        [
            "users: make the database \"Users\" with \"B\" (number), \"Supabase ID\" (title, for the row's key)"
        ]
    );
}
