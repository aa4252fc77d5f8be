//! Everything that is known of one record, for whoever has to find out what went wrong.

use anyhow::Result;
use serde_json::Value as Json;
use tokio_postgres::Client;

use super::{ledger::Ledger, stage::Stage};

/// Edits, steps, findings and the page's own history, in lines.
pub(crate) async fn tell(
    stage: &Stage,
    client: &Client,
    ledger: &Ledger,
    table: &str,
    records: &[String],
) -> Result<String> {
    let mut lines = vec![format!("--- the story of {table} {}", records.join(", "))];
    for edit in ledger.story(records) {
        lines.push(format!(
            "{:>8.3} s {:?} {}: {} {:?} took {:?}",
            edit.at.as_secs_f64(),
            edit.side,
            edit.record,
            edit.what,
            edit.mark,
            edit.took
        ));
    }
    let queries = [
        ("row", format!("SELECT to_jsonb(t)::text FROM {table} t WHERE id::text = ANY($1)")),
        ("link", "SELECT to_jsonb(l)::text FROM pagerow.links l WHERE row_key = ANY($1) OR page_id::text = ANY($1)".to_owned()),
        (
            "conflict",
            "SELECT to_jsonb(c)::text FROM pagerow.conflicts c WHERE row_key = ANY($1) OR page_id::text = ANY($1) ORDER BY id".to_owned(),
        ),
        ("parked", "SELECT to_jsonb(p)::text FROM pagerow.parked p WHERE row_key = ANY($1) OR page_id::text = ANY($1)".to_owned()),
        (
            "step",
            "SELECT concat_ws(' ', to_char(intended_at, 'HH24:MI:SS.MS'), run_id, seq, status, side, action, row_key, page_id, reason::text, step::text) \
             FROM pagerow.steps WHERE (row_key = ANY($1) OR page_id::text = ANY($1)) ORDER BY run_id, seq"
                .to_owned(),
        ),
    ];
    for (name, sql) in &queries {
        for row in client.query(sql, &[&records]).await? {
            lines.push(format!("{name}: {}", row.get::<_, String>(0)));
        }
    }
    for record in records.iter().filter(|record| record.len() == 36) {
        let (status, page) = stage.try_control("GET", &format!("pages/{record}"), &Json::Null).await?;
        if status != 200 {
            continue;
        }
        lines.push(format!("page: {page}"));
        let history = stage.control("GET", &format!("pages/{record}/history"), &Json::Null).await?;
        for event in history["history"].as_array().into_iter().flatten() {
            lines.push(format!(
                "page history: {} {} {}: {}",
                event["at"].as_str().unwrap_or_default(),
                event["by"].as_str().unwrap_or_default(),
                event["what"].as_str().unwrap_or_default(),
                event["values"]
            ));
        }
    }
    Ok(lines.join("\n"))
}
