//! Are the triggers there, as this program would install them, and can what they wrote be relied on?

use deadpool_postgres::Pool;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Row, types::Type};

use super::{MOST_BYTES, Source, install::EVENTS};
use crate::postgres::{
    catalogue::{literal, quoted},
    rows::RowsError,
    transaction::{Param, Tx, TxError},
};

/// What stands in a cursor about capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::postgres) struct CaptureMark {
    pub(in crate::postgres) sources: Vec<i64>,
    /// Names each trigger and function with the transaction that last touched it: others mean that some time may have
    /// passed without them.
    stamp: String,
    /// How often a change could not be written down, anywhere.
    gaps: i64,
    /// Transactions before this one may have gone without being captured, also those that had not ended then.
    until: u64,
}

/// Whether the triggers of one table are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InForce {
    Yes,
    /// Not one of its triggers is there.
    NotInstalled,
    /// Some are missing, switched off, or not as this program would make them; as a sentence.
    No(String),
}

/// What the catalogue says of all sources of one mapping.
pub(in crate::postgres) struct Standing {
    pub(in crate::postgres) in_force: Vec<InForce>,
    stamp: String,
    gaps: i64,
    open: bool,
}

/// Every relation that a statement on the source's table may touch, with the triggers that call its function.
///
/// The table is looked up by its quoted name; one that is not there has no line.
const TRIGGERS: &str = "
WITH RECURSIVE source (place, relation, function, plain, notifying) AS (
    SELECT ordinality::int4, to_regclass(t), to_regprocedure(f || '()')::oid, b, n
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS asked (t, f, b, n, ordinality)
), tree (place, relation) AS (
    SELECT place, relation::oid FROM source WHERE relation IS NOT NULL
    UNION SELECT tree.place, i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.relation
)
SELECT tree.place, tree.relation::regclass::text, c.relkind::text,
       (SELECT count(DISTINCT t.tgtype) FROM pg_trigger t
        WHERE t.tgrelid = tree.relation AND t.tgfoid = source.function AND NOT t.tgisinternal AND t.tgqual IS NULL
          AND (t.tgtype, coalesce(t.tgoldtable, ''), coalesce(t.tgnewtable, ''))
              IN ((4, '', 'pagerow_new'), (16, 'pagerow_old', 'pagerow_new'), (8, 'pagerow_old', ''), (32, '', ''))),
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = tree.relation AND t.tgfoid = source.function
               AND t.tgenabled NOT IN ('O', 'A')),
       coalesce(p.prosrc IN (source.plain, source.notifying) AND p.prosecdef, false),
       EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = tree.relation),
       concat_ws(' ', (SELECT string_agg(concat_ws('.', t.oid, t.xmin, t.tgenabled), ' ' ORDER BY t.oid) FROM pg_trigger t
        WHERE t.tgrelid = tree.relation AND t.tgfoid = source.function), p.oid, p.xmin)
FROM tree JOIN source USING (place) JOIN pg_class c ON c.oid = tree.relation LEFT JOIN pg_proc p ON p.oid = source.function
ORDER BY tree.place, tree.relation";

/// How often something could not be written down, and whether the outbox takes more. Neither is part of a snapshot: this
/// is how it stands now.
fn counters(own: &str) -> String {
    format!(
        "SELECT (SELECT last_value + is_called::int4 FROM {own}.outbox_gaps), pg_relation_size({}) < {MOST_BYTES}",
        literal(&format!("{own}.outbox"))
    )
}

/// Whether pagerow's own tables for capture are there.
async fn is_there(tx: &mut Tx, own: &str) -> Result<bool, TxError> {
    let names: Vec<String> = ["outbox", "outbox_pruned", "outbox_assured", "outbox_gaps"]
        .map(|name| format!("{own}.{name}"))
        .into();
    let sql = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest($1::text[]) AS name";
    let found = tx.query(sql, &[(&names, Type::TEXT_ARRAY)]).await?;
    Ok(found.first().is_some_and(|row| row.get(0)))
}

impl Standing {
    /// Asks within a snapshot. `None` where pagerow's own tables for it are not there (yet).
    pub(in crate::postgres) async fn read(
        tx: &mut Tx,
        sources: &[Source],
        own_schema: &str,
    ) -> Result<Option<Self>, TxError> {
        let own = quoted(own_schema);
        if !is_there(tx, &own).await? {
            return Ok(None);
        }
        let list = |each: &dyn Fn(&Source) -> String| sources.iter().map(each).collect::<Vec<String>>();
        let tables = list(&|source| format!("{}.{}", quoted(&source.schema), quoted(&source.table)));
        let functions = list(&|source| format!("{own}.{}", quoted(&source.function())));
        let (plain, notifying) = (list(&|source| source.body(false)), list(&|source| source.body(true)));
        let params: [Param<'_>; 4] = [
            (&tables, Type::TEXT_ARRAY),
            (&functions, Type::TEXT_ARRAY),
            (&plain, Type::TEXT_ARRAY),
            (&notifying, Type::TEXT_ARRAY),
        ];
        let found = tx.query(TRIGGERS, &params).await?;
        let counted = tx.query(&counters(&own), &[]).await?;
        let Some(counted) = counted.first() else { return Ok(None) };
        let in_force = (1i32..).zip(sources).map(|(place, _)| {
            let own: Vec<&Row> = found.iter().filter(|row| row.get::<_, i32>(0) == place).collect();
            in_force(&own)
        });
        let stamps = found.iter().map(|row| row.get::<_, String>(7));
        Ok(Some(Self {
            in_force: in_force.collect(),
            stamp: stamps.collect::<Vec<_>>().join(" "),
            gaps: counted.get(0),
            open: counted.get(1),
        }))
    }

    /// Whether all triggers are.
    pub(in crate::postgres) fn in_force(&self) -> bool {
        self.in_force.iter().all(|one| *one == InForce::Yes)
    }

    /// What is wrong with them, as a sentence.
    pub(in crate::postgres) fn trouble(&self) -> String {
        let troubles = self.in_force.iter().map(|one| match one {
            InForce::Yes => None,
            InForce::NotInstalled => Some("the triggers are gone".to_owned()),
            InForce::No(why) => Some(why.clone()),
        });
        troubles.flatten().next().unwrap_or_default()
    }

    /// What goes into the cursor of a look at everything that began after `assurance`; `None` when capture is not in
    /// force.
    pub(in crate::postgres) fn mark(&self, sources: &[Source], assurance: &Assurance) -> Option<CaptureMark> {
        self.in_force().then(|| CaptureMark {
            sources: sources.iter().map(|source| source.id).collect(),
            stamp: self.stamp.clone(),
            gaps: assurance.gaps,
            until: assurance.until,
        })
    }

    /// Whether everything that was written since an earlier look is in the outbox. `xmin` is that look's.
    pub(in crate::postgres) fn continues(&self, then: &CaptureMark, xmin: u64, sources: &[Source]) -> bool {
        self.open
            && self.in_force()
            && self.stamp == then.stamp
            && self.gaps == then.gaps
            && xmin >= then.until
            && then.sources.iter().eq(sources.iter().map(|source| &source.id))
    }
}

fn in_force(rows: &[&Row]) -> InForce {
    if rows.is_empty() {
        return InForce::No("the table is not there".to_owned());
    }
    let complete = i64::try_from(EVENTS.len()).unwrap_or(i64::MAX);
    let count = |row: &&&Row| row.get::<_, i64>(3);
    if rows.iter().all(|row| count(&row) == 0) {
        return InForce::NotInstalled;
    }
    let named = |row: &Row| row.get::<_, String>(1);
    let first = |is_bad: &dyn Fn(&Row) -> bool| rows.iter().copied().find(|row| is_bad(row)).map(named);
    if let Some(table) = first(&|row| row.get::<_, bool>(6)) {
        return InForce::No(format!(
            "{table} is filled by a subscription, which fires no triggers of statements"
        ));
    }
    if let Some(table) = first(&|row| row.get::<_, i64>(3) < complete) {
        return InForce::No(format!("triggers are missing on {table}"));
    }
    if let Some(table) = first(&|row| row.get::<_, bool>(4)) {
        return InForce::No(format!("triggers on {table} are switched off"));
    }
    if let Some(table) = first(&|row| !row.get::<_, bool>(5)) {
        return InForce::No(format!("the triggers on {table} call a function that is not of this version"));
    }
    InForce::Yes
}

/// From when on the outbox can be relied on again.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) struct Assurance {
    gaps: i64,
    until: u64,
}

impl Assurance {
    /// Opens the outbox where it was full, and tells how far what was not written down may reach. A look at everything
    /// begins after it: what that look does not see is either captured, or of a transaction before `until` that had
    /// not ended.
    ///
    /// A full outbox is opened after its being full has been counted, so that a stop in between is no loss.
    pub(in crate::postgres) async fn make(pool: &Pool, own_schema: &str) -> Result<Option<Self>, RowsError> {
        let own = quoted(own_schema);
        let mut tx = Tx::begin(pool).await?;
        if !is_there(&mut tx, &own).await? {
            tx.commit().await?;
            return Ok(None);
        }
        let counted = tx.query(&counters(&own), &[]).await?;
        if counted.first().is_some_and(|row| !row.get::<_, bool>(1)) {
            let gaps = format!("{own}.outbox_gaps");
            tx.query("SELECT nextval($1::text::regclass)", &[(&gaps, Type::TEXT)]).await?;
            tx.commit().await?;
            empty(pool, &own).await?;
            tx = Tx::begin(pool).await?;
        }
        let gaps: i64 = tx.query(&counters(&own), &[]).await?.first().map_or(0, |row| row.get(0));
        // A statement of its own, after the counters: whoever went without capture until now has a smaller number. That
        // holds for good, so that on a busy server the first answer is not outrun by ever later ones. A larger one that
        // is kept comes from another server, from which this database was copied.
        let until = format!(
            "INSERT INTO {own}.outbox_assured AS known VALUES ($1, pg_snapshot_xmax(pg_current_snapshot())) \
             ON CONFLICT (gaps) DO UPDATE SET until = least(known.until, excluded.until) RETURNING until::text"
        );
        let until = tx.query(&until, &[(&gaps, Type::INT8)]).await?;
        tx.execute(&format!("DELETE FROM {own}.outbox_assured WHERE gaps < $1"), &[(&gaps, Type::INT8)])
            .await?;
        tx.commit().await?;
        let until: Option<String> = until.first().map(|row| row.get(0));
        let until = until
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| RowsError::Key("no transaction number".to_owned()))?;
        Ok(Some(Self { gaps, until }))
    }
}

/// Empties the outbox, unless somebody's long transaction stands in the way: then it stays full, and everything is looked
/// at until a later try comes through.
async fn empty(pool: &Pool, own: &str) -> Result<(), RowsError> {
    let mut tx = Tx::begin(pool).await?;
    match tx.batch_execute(&format!("SET LOCAL lock_timeout = '1s'; TRUNCATE {own}.outbox")).await {
        Ok(()) => Ok(tx.commit().await?),
        Err(error) if error.may_pass() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
