//! The quiet phase and the reckoning: what must be so when nothing goes wrong any more.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio_postgres::Client;

use super::{
    Summary,
    cell::{self, Kind, TABLES, Table},
    engines::{Engines, describe},
    ledger::{Edit, Ledger, Side},
    stage::Stage,
    story,
};

/// Syncs until nothing is left to do, at most.
const MOST_SYNCS: usize = 30;
/// A page that was looked at less than two seconds ago is overwritten without another look; a call on its way may take
/// its time, or be carried out late. What a person writes into the same property within that time, nobody can see.
const BLIND: f64 = 6.0;
/// So many records' stories are told.
const STORIES: usize = 4;

/// Lets `pagerow` come to rest.
pub(crate) async fn settle(stage: &Stage, engines: &mut Engines, summary: &mut Summary) -> Result<()> {
    let client = stage.client().await?;
    let mut syncs = 0;
    let mut tried_again = false;
    let mut last = String::new();
    let is_quiet = loop {
        if syncs == MOST_SYNCS {
            break false;
        }
        let command = engines.sync(tried_again).await;
        let ended = engines.calmly(&command).await?;
        syncs += 1;
        last = format!("{} {} {}", describe(&ended), ended.stdout.trim(), ended.stderr.trim());
        let report: Json = serde_json::from_str(&ended.stdout).unwrap_or_default();
        if matches!(ended.code, Some(0 | 3)) && report["run"].is_null() && report["quiet"] == true {
            if tried_again {
                break true;
            }
            // What was parked while everything failed is tried again, as a person would ask for.
            client.batch_execute("UPDATE pagerow.parked SET next_try = now()").await?;
            tried_again = true;
        }
    };
    summary.figures.insert("quiet phase: syncs until nothing was left".to_owned(), syncs as u64);
    if !is_quiet {
        summary.violations.push(format!("it does not become quiet in {MOST_SYNCS} syncs; the last: {last}"));
    }
    // Once more, and nothing may be written.
    stage.control("DELETE", "counters", &Json::Null).await?;
    let command = engines.sync(false).await;
    engines.calmly(&command).await?;
    let counters = stage.control("GET", "counters", &Json::Null).await?;
    let calls = counters["total"].as_u64().unwrap_or(0);
    summary.figures.insert("quiet phase: calls of a further sync".to_owned(), calls);
    for (endpoint, statuses) in counters["endpoints"].as_object().into_iter().flatten() {
        let times = statuses.as_object().into_iter().flatten().filter_map(|(_, times)| times.as_u64()).sum();
        summary.figures.insert(format!("quiet phase: a further sync called {endpoint}"), times);
        if !(endpoint.starts_with("GET ") || endpoint.ends_with("/query")) {
            summary.violations.push(format!("a further sync called {endpoint}"));
        }
    }
    let verified = engines.calmly(&["verify", "--json"].map(str::to_owned)).await?;
    let verdict: Json = serde_json::from_str(&verified.stdout).unwrap_or_default();
    let waits = Waiting::read(&client).await?;
    for mapping in verdict["mappings"].as_array().into_iter().flatten() {
        let name = mapping["mapping"].as_str().unwrap_or_default();
        let number = |key: &str| mapping[key].as_u64().unwrap_or(0);
        summary.figures.insert(format!("end: {name}, equal records"), number("equal"));
        for difference in mapping["differing"].as_array().into_iter().flatten() {
            let key = difference["key"].as_str().unwrap_or_default();
            let column = difference["column"].as_str().unwrap_or_default();
            if !waits.explains(name, &[key.to_owned()], column) {
                summary
                    .violations
                    .push(format!("verify: {name} {key} differs in {column}, and nothing is listed"));
            }
        }
    }
    if verdict["mappings"].as_array().is_none_or(Vec::is_empty) {
        summary.violations.push(format!("verify says {} {}", verified.stdout, verified.stderr));
    }
    Ok(())
}

/// Asks for every edit what became of it, and looks for what must not be.
pub(crate) async fn reckon(
    stage: &Stage,
    ledger: &Ledger,
    summary: &mut Summary,
    say: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let client = stage.client().await?;
    let waits = Waiting::read(&client).await?;
    waits.tell(&mut summary.figures);
    let mut wrong: Vec<(&'static str, Vec<String>)> = Vec::new();
    let sources = stage.sources().await?;
    let mut ends = BTreeMap::new();
    for (table, (_, source)) in TABLES.iter().zip(&sources) {
        let end = End::read(stage, &client, table, source).await?;
        end.compare(&waits, summary, &mut wrong);
        ends.insert(table.name, end);
    }
    of_ourselves(&client, summary).await?;
    with_proof(&client, ledger, summary, &mut wrong).await?;
    let kept = history(&client).await?;
    for ((table, column, mark), edit) in ledger.standing() {
        let Some(end) = ends.get(table) else { continue };
        let found = end.find(column, &mark);
        let records = end.records(&edit, &found);
        let fate = if found.in_row && found.on_page {
            "on both sides"
        } else if waits.explains(table, &records, column) {
            "in a conflict or parked record"
        } else if end.table.decides && kept.contains(&(table.to_owned(), mark.clone())) {
            "lost to a later edit by rule, kept in the history"
        } else if let Some(blind) = overwritten_blindly(stage, &edit, column, end, &mark).await? {
            blind
        } else {
            summary.violations.push(format!(
                "LOST: {mark} in {table}.{column} of {records:?}, written {:.3} s after the start; in the row: {}, on the page: {}",
                edit.at.as_secs_f64(),
                found.in_row,
                found.on_page
            ));
            wrong.push((table, records));
            continue;
        };
        *summary.figures.entry(format!("marks: {fate}")).or_default() += 1;
    }
    let mut told = BTreeSet::new();
    for (table, records) in wrong {
        if told.len() < STORIES && told.insert(records.clone()) {
            say(&story::tell(stage, &client, ledger, table, &records).await?);
        }
    }
    Ok(())
}

/// Open conflicts and parked records.
struct Waiting {
    /// Mapping, record, column; an empty column stands for all.
    listed: BTreeSet<(String, String, String)>,
    conflicts: u64,
    parked: BTreeMap<String, u64>,
}

impl Waiting {
    async fn read(client: &Client) -> Result<Self> {
        let mut waiting = Self { listed: BTreeSet::new(), conflicts: 0, parked: BTreeMap::new() };
        let conflicts = "SELECT mapping, row_key, page_id::text, column_name FROM pagerow.conflicts WHERE closed_at IS NULL";
        for row in client.query(conflicts, &[]).await? {
            waiting.conflicts += 1;
            waiting.list(&row);
        }
        let parked =
            "SELECT mapping, row_key, page_id::text, column_name, reason->>'code' FROM pagerow.parked";
        for row in client.query(parked, &[]).await? {
            let code: Option<String> = row.get(4);
            *waiting.parked.entry(code.unwrap_or_default()).or_default() += 1;
            waiting.list(&row);
        }
        Ok(waiting)
    }

    fn list(&mut self, row: &tokio_postgres::Row) {
        let column: String = row.get(3);
        for record in [row.get::<_, Option<String>>(1), row.get(2)].into_iter().flatten() {
            self.listed.insert((row.get(0), record, column.clone()));
        }
    }

    fn explains(&self, mapping: &str, records: &[String], column: &str) -> bool {
        records.iter().any(|record| {
            [column, ""].iter().any(|column| {
                self.listed.contains(&(mapping.to_owned(), record.clone(), (*column).to_owned()))
            })
        })
    }

    fn tell(&self, figures: &mut BTreeMap<String, u64>) {
        figures.insert("end: open conflicts".to_owned(), self.conflicts);
        for (code, count) in &self.parked {
            figures.insert(format!("end: parked, {code}"), *count);
        }
    }
}

/// Where a mark was found.
#[derive(Default)]
struct Found {
    in_row: bool,
    on_page: bool,
    records: BTreeSet<String>,
}

/// Both sides of a mapping as they are at the end.
struct End {
    table: Table,
    rows: BTreeMap<String, Json>,
    /// Live pages, bodies included.
    pages: Vec<Json>,
    /// By row key.
    links: BTreeMap<String, String>,
}

impl End {
    async fn read(stage: &Stage, client: &Client, table: &Table, source: &str) -> Result<Self> {
        let live = if table.soft_delete { "WHERE deleted_at IS NULL" } else { "" };
        let sql = format!("SELECT id::text, to_jsonb(t)::text FROM {} t {live}", table.name);
        let mut rows = BTreeMap::new();
        for row in client.query(&sql, &[]).await? {
            rows.insert(row.get(0), serde_json::from_str(row.get(1))?);
        }
        let mut pages = stage.pages(source, false).await?;
        if table.columns.iter().any(|column| column.kind == Kind::Body) {
            for page in &mut pages {
                let id = page["id"].as_str().unwrap_or_default();
                *page = stage.control("GET", &format!("pages/{id}"), &Json::Null).await?;
            }
        }
        let sql = "SELECT row_key, page_id::text FROM pagerow.links WHERE mapping = $1";
        let links = client.query(sql, &[&table.name]).await?;
        let links = links.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(Self { table: *table, rows, pages, links })
    }

    fn key(page: &Json) -> &str {
        page["values"]["Supabase ID"].as_str().unwrap_or_default()
    }

    fn id(page: &Json) -> &str {
        page["id"].as_str().unwrap_or_default()
    }

    fn shown<'p>(page: &'p Json, column: &cell::Column) -> &'p Json {
        match column.kind {
            Kind::Body => &page["markdown"],
            _ => &page["values"][column.property],
        }
    }

    /// One page a row and one row a page, and the same marks in both, but for what is listed.
    fn compare(&self, waits: &Waiting, summary: &mut Summary, wrong: &mut Vec<(&'static str, Vec<String>)>) {
        let name = self.table.name;
        let mut of_key: BTreeMap<&str, Vec<&Json>> = BTreeMap::new();
        for page in &self.pages {
            of_key.entry(Self::key(page)).or_default().push(page);
        }
        let mut complain = |what: String, records: Vec<String>| {
            summary.violations.push(what);
            wrong.push((name, records));
        };
        for (key, pages) in &of_key {
            let ids: Vec<String> = pages.iter().map(|page| Self::id(page).to_owned()).collect();
            let mut records = ids.clone();
            records.push((*key).to_owned());
            if key.is_empty() || pages.len() > 1 {
                if !key.is_empty() || !ids.iter().all(|id| waits.explains(name, std::slice::from_ref(id), ""))
                {
                    complain(format!("{name}: {} live pages carry the key {key:?}", pages.len()), records);
                }
                continue;
            }
            if !self.rows.contains_key(*key) && !waits.explains(name, &records, "") {
                complain(format!("{name}: a live page carries the key {key} of no row"), records);
            }
        }
        for (key, row) in &self.rows {
            let Some([page]) = of_key.get(key.as_str()).map(Vec::as_slice) else {
                if !of_key.contains_key(key.as_str()) && !waits.explains(name, std::slice::from_ref(key), "")
                {
                    let page = self.links.get(key).cloned();
                    complain(
                        format!("{name}: the row {key} has no live page"),
                        [Some(key.clone()), page].into_iter().flatten().collect(),
                    );
                }
                continue;
            };
            let records = vec![key.clone(), Self::id(page).to_owned()];
            if self.links.get(key).map(String::as_str) != Some(Self::id(page)) {
                complain(
                    format!("{name}: {key} and its page are not linked with each other"),
                    records.clone(),
                );
            }
            for column in self.table.columns {
                let sides = [&row[column.name], Self::shown(page, column)].map(|value| match column.kind {
                    Kind::Flag => vec![(value == &Json::Bool(true)).to_string()],
                    Kind::Choice => vec![value.as_str().unwrap_or_default().to_owned()],
                    kind => {
                        let mut marks = cell::marks(kind, value);
                        if kind == Kind::Tags {
                            marks.sort();
                        }
                        marks
                    }
                });
                if sides[0] != sides[1] && !waits.explains(name, &records, column.name) {
                    complain(format!("{name}: {key} differs in {}: {sides:?}", column.name), records.clone());
                }
            }
        }
    }

    fn find(&self, column: &str, mark: &str) -> Found {
        let mut found = Found::default();
        let Some(column) = self.table.columns.iter().find(|known| known.name == column) else { return found };
        let holds = |value: &Json| cell::marks(column.kind, value).iter().any(|one| one == mark);
        for (key, row) in &self.rows {
            if holds(&row[column.name]) {
                found.in_row = true;
                found.records.insert(key.clone());
            }
        }
        for page in &self.pages {
            if holds(Self::shown(page, column)) {
                found.on_page = true;
                found.records.insert(Self::id(page).to_owned());
            }
        }
        found
    }

    /// Every name of the record that an edit was about.
    fn records(&self, edit: &Edit, found: &Found) -> Vec<String> {
        let mut records = found.records.clone();
        records.insert(edit.record.clone());
        for (key, page) in &self.links {
            if records.contains(key) || records.contains(page) {
                records.insert(key.clone());
                records.insert(page.clone());
            }
        }
        records.into_iter().collect()
    }
}

/// `pagerow`'s own tables.
async fn of_ourselves(client: &Client, summary: &mut Summary) -> Result<()> {
    for (what, from) in [
        ("open steps", "pagerow.steps WHERE status IN ('intended', 'unknown')"),
        ("runs without an end", "pagerow.runs WHERE state = 'running'"),
        ("leases that were not given back", "pagerow.leases WHERE expires_at > now()"),
    ] {
        let count: i64 = client.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await?.get(0);
        if count > 0 {
            summary.violations.push(format!("{count} {what}"));
        }
    }
    let steps = client
        .query("SELECT side, action, status, count(*) FROM pagerow.steps GROUP BY 1, 2, 3", &[])
        .await?;
    for row in steps {
        let name = format!(
            "steps: {} {} {}",
            row.get::<_, String>(0),
            row.get::<_, String>(1),
            row.get::<_, String>(2)
        );
        summary.figures.insert(name, u64::try_from(row.get::<_, i64>(3))?);
    }
    Ok(())
}

/// Nothing is deleted on one side that nobody deleted on the other.
async fn with_proof(
    client: &Client,
    ledger: &Ledger,
    summary: &mut Summary,
    wrong: &mut Vec<(&'static str, Vec<String>)>,
) -> Result<()> {
    let sql = "SELECT mapping, lower(side), row_key, page_id::text FROM pagerow.steps \
               WHERE status IN ('done', 'unknown') AND lower(action) IN ('trash', 'delete')";
    for row in client.query(sql, &[]).await? {
        let (mapping, side): (String, String) = (row.get(0), row.get(1));
        let (key, page): (Option<String>, Option<String>) = (row.get(2), row.get(3));
        let Some(table) = TABLES.iter().find(|table| table.name == mapping) else { continue };
        let has_proof = match side.as_str() {
            "notion" => key.as_ref().is_some_and(|key| ledger.was_deleted(table.name, key)),
            _ => page.as_ref().is_some_and(|page| ledger.was_trashed(page)),
        };
        if !has_proof {
            summary.violations.push(format!(
                "{mapping} {key:?} {page:?} was deleted in {side}, and nobody had deleted its other half"
            ));
            wrong.push((table.name, [key, page].into_iter().flatten().collect()));
        }
    }
    Ok(())
}

/// Marks that steps found and replaced, by mapping.
async fn history(client: &Client) -> Result<BTreeSet<(String, String)>> {
    let mut kept = BTreeSet::new();
    for row in
        client.query("SELECT mapping, step::text FROM pagerow.steps WHERE status = 'done'", &[]).await?
    {
        let step: Json = serde_json::from_str(row.get(1))?;
        for write in step["fields"].as_array().into_iter().flatten() {
            let text = write["before"].to_string();
            let numbers =
                text.split(|c: char| !c.is_ascii_digit()).filter(|word| word.len() == 7).map(str::to_owned);
            for mark in cell::words(&text).into_iter().chain(numbers) {
                kept.insert((row.get(0), mark));
            }
        }
    }
    Ok(kept)
}

/// Whether a person's edit of a page was overwritten within the time in which nobody can see it.
async fn overwritten_blindly(
    stage: &Stage,
    edit: &Edit,
    column: &str,
    end: &End,
    mark: &str,
) -> Result<Option<&'static str>> {
    let Some(column) = end.table.columns.iter().find(|known| known.name == column) else { return Ok(None) };
    if edit.side != Side::Page {
        return Ok(None);
    }
    let is_body = column.kind == Kind::Body;
    let path = format!("pages/{}/history", edit.record);
    let (status, history) = stage.try_control("GET", &path, &json!(null)).await?;
    if status != 200 {
        return Ok(None);
    }
    let events = history["history"].as_array().cloned().unwrap_or_default();
    let holds = |value: &Json| cell::marks(column.kind, value).iter().any(|one| one == mark);
    let time = |event: &Json| event["at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    if is_body {
        // The history tells when a body was written, not what was in it: only one that is still there is known.
        let (status, page) =
            stage.try_control("GET", &format!("pages/{}", edit.record), &json!(null)).await?;
        if status != 200 || !holds(&page["markdown"]) {
            return Ok(None);
        }
    }
    // When a person last wrote it, and who took it away.
    let wrote = |event: &Json| match is_body {
        true => {
            event["what"] == "changed" && event["values"].as_object().is_none_or(serde_json::Map::is_empty)
        }
        false => {
            let values = &event["values"][column.property];
            holds(&values["after"]) && !holds(&values["before"])
        }
    };
    let written = events.iter().rev().find(|event| event["is_bot"] == false && wrote(event));
    let Some(written) = written.and_then(time) else { return Ok(None) };
    let within = |event: &Json| {
        time(event).is_some_and(|at| {
            let seconds = (at.as_millisecond() - written.as_millisecond()) as f64 / 1000.0;
            (0.0..BLIND).contains(&seconds)
        })
    };
    let overwritten = events.iter().any(|event| {
        event["is_bot"] == true
            && within(event)
            && holds(&event["values"][column.property]["before"])
            && !holds(&event["values"][column.property]["after"])
    });
    if overwritten {
        return Ok(Some("overwritten in Notion within the seconds that nobody can see"));
    }
    let trashed =
        events.iter().any(|event| event["is_bot"] == true && within(event) && event["what"] == "trashed");
    Ok(trashed.then_some("on a page that was being put in the trash, and is there"))
}
