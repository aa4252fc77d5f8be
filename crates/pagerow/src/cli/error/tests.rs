//! What people and scripts read when something goes wrong.

use pagerow_core::{
    digest::Digest,
    guard::{Refusal, Refused, Rule},
    plan::Plan,
};

use super::*;
use crate::{
    config::{Config, Environment, Source},
    postgres::ConnectionString,
};

fn unreached() -> Database {
    Database::unconnected(&ConnectionString::parse("postgres://somebody:hidden@db.test/x").unwrap()).unwrap()
}

#[test]
fn a_configuration_error_names_its_place() {
    let source = Source {
        path: "pagerow.toml".into(),
        text: "[postgres]\nurl = \"env:U\"\nschemas = \"x\"\n[notion]\ntoken = \"env:U\"\n".into(),
    };
    let errors = Config::parse(source, &Environment::of([("U", "u")]), &[]).unwrap_err();
    let error = CliError::from(errors);
    assert_eq!(error.exit, Exit::Wrong);
    let json = error.to_json();
    assert_eq!(json["kind"], "configuration");
    assert_eq!(
        (&json["file"], &json["line"], &json["key"]),
        (&"pagerow.toml".into(), &3.into(), &"postgres.schemas".into())
    );
    assert_eq!(json["suggestion"], "schema");
    assert!(error.to_string().contains("pagerow.toml:3:1"), "{error}");
}

#[test]
fn a_usage_error_has_every_member_of_the_shape() {
    let error = CliError::usage("no").about("MAPPING").suggest(Some("orders")).advise("look");
    assert_eq!(
        error.to_json(),
        json!({"kind": "usage", "code": null, "message": "no", "file": null, "line": null, "key": "MAPPING",
            "suggestion": "orders", "advice": "look"})
    );
    assert_eq!(error.to_string(), "error: no\n --> MAPPING\n  = did you mean `orders`?\n  = look");
}

#[test]
fn a_stop_says_its_numbers_and_what_overrides_it() {
    let plan = Plan::default();
    let hash = plan.hash();
    let refusal = Refusal {
        mapping: "orders".into(),
        rule: Rule::MassDeletion,
        seen: 30,
        limit: 20,
        text: "30 of 100 linked records would be deleted in Notion".into(),
        advice: "bring the rows back".into(),
        pass: Some(hash),
    };
    let refused = Box::new(Refused { plan, refusals: vec![refusal] });
    let error = CliError::of_engine(EngineError::Refused(refused), &unreached());
    assert_eq!(error.exit, Exit::Decisions);
    let json = error.to_json();
    assert_eq!((&json["kind"], &json["code"]), (&"guard".into(), &"mass_deletion".into()));
    assert_eq!(json["refusals"][0]["seen"], 30);
    assert_eq!(json["override"], hash.to_string());
    assert_eq!(
        error.to_string(),
        format!(
            "error: orders was stopped: 30 of 100 linked records would be deleted in Notion\n  = bring the rows back\n  \
             = nothing of it was written; `pagerow plan` shows what would be\n  = to let exactly that pass, once: \
             --override {hash}"
        )
    );
}

#[test]
fn every_cause_has_its_exit_code() {
    let wrong = PostgresError::WrongPassword { address: "db:5432".into(), message: "no".into() };
    let gone = PostgresError::NoServer { address: "db:5432".into(), reason: "refused".into() };
    let cases: Vec<(CliError, Exit, &str, &str)> = vec![
        (wrong.into(), Exit::Wrong, "postgres", "wrong_password"),
        (gone.into(), Exit::Failed, "postgres", "no_server"),
        (NotionError::WrongToken(Box::default()).into(), Exit::Wrong, "notion", "wrong_token"),
        (NotionError::Timeout.into(), Exit::Failed, "notion", "no_answer"),
        (
            CliError::of_engine(
                EngineError::Pages {
                    mapping: "orders".into(),
                    source: Box::new(PagesError::Notion(NotionError::WrongToken(Box::default()))),
                },
                &unreached(),
            ),
            Exit::Wrong,
            "notion",
            "wrong_token",
        ),
        (
            CliError::of_engine(
                EngineError::Rows {
                    mapping: "orders".into(),
                    source: Box::new(RowsError::Tx(TxError::Spoilt)),
                },
                &unreached(),
            ),
            Exit::Failed,
            "postgres",
            "refused",
        ),
    ];
    for (error, exit, kind, code) in cases {
        let json = error.to_json();
        assert_eq!(error.exit, exit, "{json}");
        assert_eq!((json["kind"].as_str(), json["code"].as_str()), (Some(kind), Some(code)), "{json}");
        assert!(json["advice"].is_string() || code == "refused", "{json}");
    }
    let stale = EngineError::StalePlan { kept: Digest::of(b"a"), now: Digest::of(b"b") };
    assert_eq!(CliError::of_engine(stale, &unreached()).to_json()["kind"], "stale_plan");
}
