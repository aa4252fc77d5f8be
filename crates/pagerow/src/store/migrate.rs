//! How pagerow's own tables come to be: numbered migrations, under a lock that works through a pooler.

use deadpool_postgres::Pool;
use pagerow_core::digest::Digest;
use tokio_postgres::types::Type;

use super::StoreError;
use crate::postgres::transaction::Tx;

/// All migrations in order; a migration that has been released is never edited.
const MIGRATIONS: &[(i32, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/0001_first.sql")),
    (2, "history", include_str!("../../migrations/0002_history.sql")),
    (3, "capture", include_str!("../../migrations/0003_capture.sql")),
    (4, "names", include_str!("../../migrations/0004_names.sql")),
    (5, "identity", include_str!("../../migrations/0005_identity.sql")),
    (6, "conflicts", include_str!("../../migrations/0006_conflicts.sql")),
    (7, "operations", include_str!("../../migrations/0007_operations.sql")),
    (8, "backup", include_str!("../../migrations/0008_backup.sql")),
    (9, "choices", include_str!("../../migrations/0009_choices.sql")),
    (10, "questions", include_str!("../../migrations/0010_questions.sql")),
];

/// Any number, the same for every pagerow: only one migrates at a time.
const LOCK: i64 = 0x7061_6765_726f_7700;

/// The names of all tables and sequences that migrations make.
pub(super) fn relations() -> Vec<String> {
    let mut names = vec!["schema_version".to_owned()];
    names.extend(made(&["create table {schema}.", "create sequence {schema}."]));
    names
}

/// The names of all functions that migrations make.
pub(super) fn functions() -> Vec<String> {
    made(&["create function {schema}."]).collect()
}

fn made(starts: &[&str]) -> impl Iterator<Item = String> {
    let lines = MIGRATIONS.iter().flat_map(|(_, _, sql)| sql.lines());
    lines.filter_map(|line| {
        let rest = starts.iter().find_map(|start| line.trim_start().strip_prefix(start))?;
        Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    })
}

/// Brings the schema up to date. `schema` is quoted.
pub(super) async fn migrate(pool: &Pool, schema: &str) -> Result<(), StoreError> {
    let mut tx = Tx::begin(pool).await?;
    let present = versions(&mut tx, schema).await?;
    let known = MIGRATIONS.last().map_or(0, |(version, _, _)| *version);
    if let Some(&found) = present.last().filter(|last| **last > known) {
        return Err(StoreError::TooNew { found, known });
    }
    if MIGRATIONS.iter().all(|(number, _, _)| present.contains(number)) {
        verify(&mut tx, schema).await?;
        return Ok(tx.commit().await?);
    }

    tx.execute("select pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)]).await?;
    let made = tx.batch_execute(&format!("create schema if not exists {schema}")).await;
    if let Err(error) = made {
        return Err(match error.refused() {
            Some(refused) if refused.code == "42501" => StoreError::Refused { schema: schema.to_owned() },
            _ => error.into(),
        });
    }
    tx.batch_execute(&format!(
        "revoke all on schema {schema} from public; \
         create table if not exists {schema}.schema_version ( \
             version integer primary key, name text not null, digest text not null, \
             applied_at timestamptz not null default now())"
    ))
    .await?;
    // Another one may have migrated while this one waited for the lock.
    let present = versions(&mut tx, schema).await?;
    for (number, name, sql) in MIGRATIONS.iter().filter(|(number, _, _)| !present.contains(number)) {
        tx.batch_execute(&sql.replace("{schema}", schema)).await?;
        let digest = Digest::of(sql.as_bytes()).to_string();
        tx.execute(
            &format!("insert into {schema}.schema_version (version, name, digest) values ($1, $2, $3)"),
            &[(number, Type::INT4), (name, Type::TEXT), (&digest, Type::TEXT)],
        )
        .await?;
    }
    hide(&mut tx, schema).await?;
    Ok(tx.commit().await?)
}

/// The numbers of the migrations that were made, in order; none when nothing is there.
async fn versions(tx: &mut Tx, schema: &str) -> Result<Vec<i32>, StoreError> {
    let there = format!("select to_regclass('{}.schema_version') is not null", schema.replace('\'', "''"));
    if !tx.query(&there, &[]).await?.first().is_some_and(|row| row.get(0)) {
        return Ok(Vec::new());
    }
    let rows =
        tx.query(&format!("select version from {schema}.schema_version order by version"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn verify(tx: &mut Tx, schema: &str) -> Result<(), StoreError> {
    let rows = tx.query(&format!("select version, digest from {schema}.schema_version"), &[]).await?;
    for row in rows {
        let (version, digest): (i32, String) = (row.get(0), row.get(1));
        let ours = MIGRATIONS.iter().find(|(number, _, _)| *number == version);
        if ours.is_some_and(|(_, _, sql)| Digest::of(sql.as_bytes()).to_string() != digest) {
            return Err(StoreError::Altered { version });
        }
    }
    Ok(())
}

/// A hosted database may grant everything new to its web roles by default; pagerow's tables are nobody's.
async fn hide(tx: &mut Tx, schema: &str) -> Result<(), StoreError> {
    tx.batch_execute(&format!(
        "revoke all on all tables in schema {schema} from public; revoke all on all sequences in schema {schema} from public"
    ))
    .await?;
    for role in ["anon", "authenticated"] {
        let there = tx.query("select 1 from pg_roles where rolname = $1", &[(&role, Type::TEXT)]).await?;
        if !there.is_empty() {
            tx.batch_execute(&format!(
                "revoke all on schema {schema} from {role}; revoke all on all tables in schema {schema} from {role}; \
                 revoke all on all sequences in schema {schema} from {role}"
            ))
            .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relation_that_is_made_is_known_by_its_name() {
        let names = relations();
        for name in ["schema_version", "links", "steps", "outbox", "outbox_gaps"] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
        let made: usize = MIGRATIONS
            .iter()
            .map(|(_, _, sql)| {
                let lower = sql.to_lowercase();
                let count = |what: &str| lower.matches(what).count();
                count("create table")
                    + count("create sequence")
                    + count("create function")
                    + count("create or replace")
                    + count("create view")
                    + count("create type")
            })
            .sum();
        assert_eq!(names.len() + functions().len(), made + 1, "one line begins with each");
    }
}
