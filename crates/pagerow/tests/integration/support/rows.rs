//! How does a test get a mapping of a table? It names columns and kinds; the catalogue says the rest.
#![expect(clippy::panic, reason = "a test stops at the first surprise, and says which")]

use std::collections::BTreeMap;
use std::sync::Arc;

use pagerow::postgres::rows::PgRows;
use pagerow::postgres::table::{Bookkeeping, Capture, FieldSource, KeyColumn, SoftDelete, Table, TimeColumn};
use pagerow::postgres::transaction::Tx;
use pagerow::postgres::{ConnectionString, Database};
use pagerow::replica::{Cursor, Looked, Outcome, Relatives, Rows, Scope};
use pagerow_core::digest::Digest;
use pagerow_core::mapping::{
    ColumnKind, Field, Flow, KeySource, Mapping, OnPageTrashed, OnRowDeleted, Policy, PropertyKind,
};
use pagerow_core::number::Number;
use pagerow_core::observation::{Observation, Sighting};
use pagerow_core::plan::{Action, Because, Expect, FieldWrite, Step};
use pagerow_core::record::RowKey;
use pagerow_core::side::Side;
use pagerow_core::value::{Ref, Value};
use tokio_postgres::Client;

use super::postgres::TestDatabase;

/// What a test says about a table.
#[derive(Clone, Default)]
pub struct Spec {
    pub table: &'static str,
    pub key: &'static [&'static str],
    pub fields: Vec<(&'static str, ColumnKind)>,
    /// Fields that are no columns.
    pub others: Vec<(&'static str, ColumnKind, FieldSource)>,
    pub condition: Option<&'static str>,
    pub updated_at: Option<&'static str>,
    pub soft_delete: Option<&'static str>,
    pub bookkeeping: Bookkeeping,
    pub zone: Option<&'static str>,
    pub capture: Capture,
}

/// A mapping's rows with what a test needs around them.
pub struct Shop {
    pub rows: PgRows,
    pub database: Database,
    pub mapping: Arc<Mapping>,
}

pub fn text() -> ColumnKind {
    ColumnKind::Text { max: None }
}

pub fn integer() -> ColumnKind {
    ColumnKind::Integer { min: i64::MIN, max: i64::MAX }
}

pub fn numeric() -> ColumnKind {
    ColumnKind::Numeric { precision: None, scale: None }
}

pub fn scalar(name: &str) -> ColumnKind {
    ColumnKind::Scalar { name: name.into() }
}

pub fn list(inner: ColumnKind) -> ColumnKind {
    ColumnKind::List(Box::new(inner))
}

pub fn t(text: &str) -> Value {
    Value::Text(text.into())
}

pub fn n(text: &str) -> Value {
    Value::Number(Number::parse(text).unwrap())
}

pub fn row(key: &str) -> Value {
    Value::Ref(Ref::Row(key.into()))
}

impl Shop {
    pub async fn open(database: &TestDatabase, spec: &Spec) -> Self {
        Self::open_at(&database.url, database, spec).await
    }

    /// Through another address than the database's own: a pooler's.
    pub async fn open_at(url: &str, database: &TestDatabase, spec: &Spec) -> Self {
        let client = database.client().await;
        let (table, mapping) = describe(&client, spec).await;
        let mapping = Arc::new(mapping);
        let database = Database::connect(&ConnectionString::parse(url).unwrap()).await.unwrap();
        let rows = PgRows::new(database.pool().clone(), Arc::clone(&mapping), table).unwrap();
        Self { rows, database, mapping }
    }

    pub async fn look(&self, scope: Scope<'_, RowKey>) -> (Looked, BTreeMap<String, Observation>) {
        let mut seen = BTreeMap::new();
        let mut sink = |one: pagerow::replica::Seen<RowKey>| {
            let double = seen.insert(one.id.as_str().to_owned(), one.observation);
            assert!(double.is_none(), "{:?} was shown twice", one.id);
        };
        let looked = self.rows.look(scope, &mut sink).await.unwrap();
        (looked, seen)
    }

    pub async fn all(&self) -> BTreeMap<String, Observation> {
        self.look(Scope::Everything).await.1
    }

    pub async fn cursor(&self) -> Cursor {
        self.look(Scope::Everything).await.0.cursor.unwrap()
    }

    /// The keys that a delta names, the look, and its cursor.
    pub async fn since(&self, cursor: &Cursor) -> (Vec<String>, Looked) {
        let (looked, seen) = self.look(Scope::Since(cursor)).await;
        (seen.into_keys().collect(), looked)
    }

    pub async fn sighting(&self, key: &str) -> Sighting {
        let (_, mut seen) = self.look(Scope::These(&[key.into()])).await;
        match seen.remove(key) {
            Some(Observation::Present(sighting)) => sighting,
            other => panic!("{key}: {other:?}"),
        }
    }

    pub async fn write(&self, steps: &[Step]) -> Vec<Outcome<RowKey>> {
        self.write_with(steps, &Relatives::default()).await
    }

    pub async fn write_with(&self, steps: &[Step], relatives: &Relatives) -> Vec<Outcome<RowKey>> {
        let mut tx = Tx::begin(self.database.pool()).await.unwrap();
        let steps: Vec<&Step> = steps.iter().collect();
        let outcomes = self.rows.write(&mut tx, &steps, relatives).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(outcomes.len(), steps.len());
        outcomes
    }

    pub fn create(&self, key: Option<&str>, fields: &[(&str, Value)]) -> Step {
        self.step(Action::Create, key, fields, Expect::Nothing)
    }

    pub fn update(&self, key: &str, seen: Digest, fields: &[(&str, Value)]) -> Step {
        self.step(Action::Update, Some(key), fields, Expect::Seen(seen))
    }

    pub fn step(&self, action: Action, key: Option<&str>, fields: &[(&str, Value)], expect: Expect) -> Step {
        let fields = fields
            .iter()
            .map(|(column, value)| FieldWrite {
                field: self.mapping.field(column).unwrap(),
                before: None,
                after: value.clone(),
                source: None,
                withheld: false,
                by: None,
            })
            .collect();
        Step {
            wave: 0,
            side: Side::Postgres,
            action,
            link: None,
            key: key.map(RowKey::from),
            page: None,
            fields,
            mark: false,
            expect,
            source: None,
            because: Because::Edited,
            whole: None,
        }
    }

    pub fn value(&self, sighting: &Sighting, column: &str) -> Value {
        sighting.record.get(self.mapping.field(column).unwrap()).cloned().unwrap()
    }
}

/// What became of a write: `done KEY`, `stale`, or the failure with its code.
pub fn told(outcome: &Outcome<RowKey>) -> String {
    match outcome {
        Outcome::Done { id, .. } => format!("done {id}"),
        Outcome::Stale => "stale".into(),
        Outcome::Failed(failed) => format!("{:?} {}", failed.failure, failed.reason.code),
        Outcome::Unknown(failed) => format!("unknown {}", failed.reason.code),
    }
}

async fn describe(client: &Client, spec: &Spec) -> (Table, Mapping) {
    let regclass = format!("public.\"{}\"", spec.table.replace('"', "\"\""));
    let oid = client.query_one("SELECT $1::text::regclass::oid", &[&regclass]).await.unwrap().get(0);
    let kind: i8 =
        client.query_one("SELECT relkind FROM pg_class WHERE oid = $1", &[&oid]).await.unwrap().get(0);
    let is_table = matches!(kind as u8, b'r' | b'p');
    let columns: BTreeMap<String, (String, String, bool, bool)> = client
        .query(
            "SELECT attname::text, format_type(atttypid, atttypmod), \
             CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) ELSE format_type(atttypid, NULL) END, \
             attgenerated = '' AND attidentity <> 'a', attidentity = 'a' \
             FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid WHERE attrelid = $1 AND attnum > 0",
            &[&oid],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3), row.get(4))))
        .collect();
    let column = |name: &str| FieldSource::Column {
        name: name.into(),
        type_name: columns[name].0.clone(),
        base: columns[name].1.clone(),
        writable: columns[name].2,
    };
    let mut sources: Vec<FieldSource> = spec.fields.iter().map(|(name, _)| column(name)).collect();
    sources.extend(spec.others.iter().map(|(_, _, source)| source.clone()));
    let mut kinds: Vec<(&str, ColumnKind)> = spec.fields.clone();
    kinds.extend(spec.others.iter().map(|(name, holds, _)| (*name, holds.clone())));
    let table = Table {
        oid,
        schema: "public".into(),
        name: spec.table.into(),
        writable: is_table,
        has_xmin: is_table,
        key: spec
            .key
            .iter()
            .map(|name| KeyColumn {
                name: (*name).into(),
                type_name: columns[*name].0.clone(),
                identity_always: columns[*name].3,
            })
            .collect(),
        fields: sources,
        beside: Vec::new(),
        condition: spec.condition.map(Into::into),
        updated_at: spec
            .updated_at
            .map(|name| TimeColumn { name: name.into(), zoned: columns[name].0.contains("with time zone") }),
        soft_delete: spec
            .soft_delete
            .map(|name| SoftDelete { name: name.into(), boolean: columns[name].0 == "boolean" }),
        bookkeeping: spec.bookkeeping.clone(),
        zone: spec.zone.unwrap_or("UTC").into(),
        capture: spec.capture.clone(),
    };
    let fields = kinds
        .into_iter()
        .map(|(name, holds)| Field {
            column: name.into(),
            property: name.into(),
            property_id: name.into(),
            holds,
            shows: PropertyKind::RichText,
            required: false,
            flow: Flow::Both,
            wins: None,
            labels: BTreeMap::new(),
            lens: None,
        })
        .collect();
    let mapping = Mapping {
        name: spec.table.into(),
        fields,
        direction: Flow::Both,
        on_conflict: Policy::Manual,
        on_row_deleted: OnRowDeleted::Trash,
        on_page_trashed: OnPageTrashed::Ask,
        match_on: Vec::new(),
        key: KeySource::Generated,
        key_property: true,
    };
    (table, mapping)
}
