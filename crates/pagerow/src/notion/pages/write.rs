//! Carrying out one step on a page: only what changes is sent, and the answer is the page as it now is.
//!
//! A body goes first, since it is what Notion is most likely to refuse (it never deletes pages inside a body), and
//! since the answer to the properties then shows the page after both. If the properties are refused after the body
//! was written, the step has failed: the next look finds the new body on both sides and settles it.

use std::time::Duration;

use pagerow_core::{
    digest::Digest,
    fidelity::Reason,
    mapping::PropertyKind,
    mutant::{self, Mutant},
    observation::{Absence, Observation, Sighting},
    plan::{Action, Expect, FieldWrite, Step},
    record::PageId,
    retry::Failure,
    settle,
    value::{Moment, Value},
};
use serde_json::{Map, Value as Json, json};

use super::{
    NotionPages,
    api::Fetched,
    look::Look,
    sighting::{Scratch, State, state},
    verdict::{self, Verdict},
};
use crate::{
    notion::{
        Answer, NotionError, Pacing,
        convert::{self, Outgoing, Unsendable},
        wire::{Entry, Page, PropertyId, PropertyValue},
    },
    replica::{Failed, Outcome, Relatives, Seen, Stamp},
};

/// Why something was not written over.
enum Unwritten {
    /// It is not what the step expects any more.
    Moved,
    Because(NotionError),
}

/// How often a write that Notion did not take is sent again.
const TRIES: u32 = 4;
/// The same where Notion only said that there were too many calls: the whole connection slows down by it.
const TURNS: u32 = 12;

/// Largest request, with some room for what stands around the values: Notion takes 500 KB.
const REQUEST_BYTES: usize = 490_000;

/// What a step writes, as Notion takes it.
struct Content {
    properties: Map<String, Json>,
    body: Option<String>,
}

impl NotionPages {
    pub(super) async fn carry_out(
        &self,
        step: &Step,
        relatives: &Relatives,
        stamp: &Stamp,
    ) -> Outcome<PageId> {
        let shown = self.dates_that_stay_in_part(step).await;
        let content = match self.content(step, relatives, stamp, shown.as_deref()) {
            Ok(content) => content,
            Err(failed) => return Outcome::Failed(failed),
        };
        match (step.action, step.page) {
            (Action::Create, _) => self.create(step, content, relatives).await,
            (Action::Update, Some(page)) => self.update(step, page, content, relatives).await,
            (Action::Restore, Some(page)) => self.restore(step, page, content, relatives).await,
            (Action::Trash, Some(page)) => {
                let body = json!({ "in_trash": true });
                self.patch(step, page, &body, Fetched::default(), relatives).await
            }
            (Action::Delete, _) => {
                Outcome::Failed(impossible("no_such_action", "a page is put in the trash, never deleted"))
            }
            (Action::Update | Action::Restore | Action::Trash, None) => {
                Outcome::Failed(impossible("no_page", "the step does not say which page"))
            }
        }
    }

    // ---- What is sent ----

    /// The page, where a step moves only one end of a range: the other end is to keep its offset, which no value of
    /// ours knows. Rare enough for a call of its own; without the answer both ends are written in the mapping's zone.
    async fn dates_that_stay_in_part(&self, step: &Step) -> Option<Box<Page>> {
        let is_one = |write: &FieldWrite| match (&write.before, &write.after) {
            (Some(Value::Range(before)), Value::Range(after)) => {
                let is_time = matches!(after.start, Some(Moment::Instant(_)));
                is_time && (before.start == after.start || before.end == after.end)
            }
            _ => false,
        };
        let wanted = step.action == Action::Update
            && step.fields.iter().any(|write| !write.withheld && self.is_date(write.field) && is_one(write));
        match self.api.page(step.page.filter(|_| wanted)?).await {
            Ok(Answer { body: Entry::Whole(page), .. }) => Some(Box::new(page)),
            Ok(_) | Err(_) => None,
        }
    }

    fn is_date(&self, field: usize) -> bool {
        self.mapping.fields.get(field).is_some_and(|field| matches!(field.shows, PropertyKind::Date))
    }

    fn content(
        &self,
        step: &Step,
        relatives: &Relatives,
        stamp: &Stamp,
        shown: Option<&Page>,
    ) -> Result<Content, Failed> {
        let mut content = Content { properties: Map::new(), body: None };
        // A removal carries what goes for the history only.
        if matches!(step.action, Action::Trash | Action::Delete) {
            return Ok(content);
        }
        for write in step.fields.iter().filter(|write| !write.withheld) {
            let id = self.mapping.fields.get(write.field).map(|field| PropertyId::new(&field.property_id));
            let date = match id.and_then(|id| shown?.property(&id)).map(|property| &property.value) {
                Some(PropertyValue::Date(Some(date))) => Some(date),
                _ => None,
            };
            let source = Some(write.source());
            let outgoing = Outgoing { relatives, zone: &self.lens.zone, date, source };
            self.put(write, step.action, outgoing, &mut content)?;
        }
        let carries_key = step.mark || step.action == Action::Create;
        if let Some((property, kind)) =
            self.key_property().filter(|_| carries_key && !mutant::is(Mutant::NoKey))
        {
            let Some(key) = &step.key else {
                return Err(impossible("key_missing", "the step does not say the row's key"));
            };
            content.properties.insert(property.as_str().to_owned(), convert::plain_text(kind, key.as_str()));
        }
        // A page that only comes out of the trash is stamped with its next change: it would cost a call.
        if step.action != Action::Restore || !content.properties.is_empty() {
            self.put_stamp(step, stamp, &mut content.properties);
        }
        // Several long texts may be too much together; a body goes by itself, or with a new page.
        let body =
            if step.action == Action::Create { content.body.as_ref().map_or(0, String::len) } else { 0 };
        let size = |content: &Content| {
            serde_json::to_string(&content.properties).map_or(0, |text| text.len()) + body
        };
        if size(&content) > REQUEST_BYTES {
            self.leave_out_backup(stamp, &mut content.properties);
        }
        let bytes = size(&content);
        if bytes > REQUEST_BYTES {
            let text = format!("the record's values make a request of {bytes} bytes");
            let mut failed = impossible("too_large", text);
            failed.reason.limit = Some(format!("{REQUEST_BYTES} bytes"));
            return Err(failed);
        }
        Ok(content)
    }

    fn put(
        &self,
        write: &FieldWrite,
        action: Action,
        outgoing: Outgoing<'_>,
        content: &mut Content,
    ) -> Result<(), Failed> {
        let Some(field) = self.mapping.fields.get(write.field) else {
            return Err(impossible("no_such_field", "the step names a field that the mapping does not have"));
        };
        if matches!(field.shows, PropertyKind::Body) {
            content.body = Some(match &write.after {
                Value::Null => String::new(),
                Value::Markdown(text) | Value::Text(text) => text.clone(),
                _ => return Err(impossible("not_stored", "only Markdown can be a page's body")),
            });
            return Ok(());
        }
        // Nothing is what a new page has anyway; only a status would get a default.
        let is_default = write.after.is_null() && !matches!(field.shows, PropertyKind::Status(_));
        if action == Action::Create && is_default {
            return Ok(());
        }
        let property = convert::property(&write.after, field, outgoing).map_err(|unsendable| {
            let name = field.property.as_str();
            match unsendable {
                Unsendable::NoPageYet => Failed {
                    failure: Failure::Missing,
                    reason: Reason::new(
                        "waits_for_relation",
                        format!("“{name}” refers to a row that has no page yet"),
                    ),
                    not_before: None,
                },
                Unsendable::NotStored => {
                    impossible("not_stored", format!("the value is in no form that “{name}” stores"))
                }
                Unsendable::NoProperty => impossible("read_only", format!("“{name}” is computed by Notion")),
            }
        })?;
        content.properties.insert(field.property_id.clone(), property);
        Ok(())
    }

    fn put_stamp(&self, step: &Step, stamp: &Stamp, properties: &mut Map<String, Json>) {
        let of = &self.source.stamp;
        if let Some(id) = &of.synced_at {
            let at = stamp.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            properties.insert(id.clone(), json!({ "date": { "start": at } }));
        }
        if let Some(id) = &of.checksum {
            properties.insert(id.clone(), convert::plain_text("rich_text", &stamp.checksum));
        }
        if let Some(id) = &of.synced {
            properties.insert(id.clone(), json!({ "checkbox": true }));
        }
        if let (Some(id), Some(backup), Some(whole), Some(key)) =
            (&of.backup, &self.source.backup, &stamp.whole, &step.key)
        {
            let text = backup.write(key.as_str(), whole);
            properties.insert(id.clone(), convert::plain_text("rich_text", &text));
        }
    }

    /// The record goes before its backup, which then says that it was left out.
    fn leave_out_backup(&self, stamp: &Stamp, properties: &mut Map<String, Json>) {
        if let (Some(id), Some(backup), Some(whole)) =
            (&self.source.stamp.backup, &self.source.backup, &stamp.whole)
            && let Some(property) = properties.get_mut(id)
        {
            *property = convert::plain_text("rich_text", &backup.without(whole));
        }
    }

    // ---- Sending it ----

    async fn create(&self, step: &Step, content: Content, relatives: &Relatives) -> Outcome<PageId> {
        let mut body = json!({
            "parent": { "type": "data_source_id", "data_source_id": &*self.api.data_source },
            "properties": content.properties,
        });
        let markdown = content.body.filter(|markdown| !markdown.is_empty());
        if let Some(markdown) = &markdown {
            body["markdown"] = markdown.as_str().into();
        }
        let mut tries = 0;
        let result = loop {
            let result = self.api.client.page_create(&body, self.api.shown()).await;
            match result {
                // It was not made, and nothing is there that could have changed meanwhile.
                Err(NotionError::Conflict { .. }) if tries < TRIES => {
                    tries += 1;
                    pause(self.api.client.pacing(), tries).await;
                }
                result => break result.and_then(Answer::into_whole),
            }
        };
        let fetched = || Fetched {
            // A new page without Markdown has an empty body; how Notion writes a given one, only it can say.
            body: if markdown.is_none() { Some(String::new()) } else { None },
            ..Fetched::default()
        };
        match result {
            Ok(page) => self.done(step, &page, fetched(), relatives).await,
            Err(error) => {
                let is_about_page = names(&error, &self.api.data_source);
                match verdict::judge(&error, step.action, is_about_page, &self.clock) {
                    Verdict::Happened(Some(id), failed) => {
                        self.look_again(step, id, fetched(), relatives, failed).await
                    }
                    // It was made, and nobody said under which id: the key will find it.
                    Verdict::Happened(None, failed) => Outcome::Unknown(failed),
                    Verdict::Collided(failed) => Outcome::Failed(failed),
                    Verdict::Ended(outcome) => outcome,
                }
            }
        }
    }

    async fn update(
        &self,
        step: &Step,
        id: PageId,
        content: Content,
        relatives: &Relatives,
    ) -> Outcome<PageId> {
        let mut fetched = Fetched::default();
        if let Some(markdown) = &content.body {
            match self.replace_body(step, id, markdown, relatives).await {
                Ok(shown) => fetched.body = shown,
                Err(outcome) => return outcome,
            }
        }
        if content.properties.is_empty() {
            let nothing = impossible("nothing_to_write", "the page could not be read after it was written");
            return self.look_again(step, id, fetched, relatives, nothing).await;
        }
        let body = json!({ "properties": content.properties });
        self.patch(step, id, &body, fetched, relatives).await
    }

    /// Out of the trash first: until then nothing else can be changed. A page that somebody has moved or archived meanwhile
    /// is not back.
    async fn restore(
        &self,
        step: &Step,
        id: PageId,
        content: Content,
        relatives: &Relatives,
    ) -> Outcome<PageId> {
        let state = match step.expect {
            Expect::Absent(Absence::Archived) => json!({ "is_archived": false }),
            _ => json!({ "in_trash": false }),
        };
        let restored = self.patch(step, id, &state, Fetched::default(), relatives).await;
        if content.properties.is_empty() && content.body.is_none()
            || !matches!(restored, Outcome::Done { .. })
        {
            return restored;
        }
        self.update(step, id, content, relatives).await
    }

    async fn patch(
        &self,
        step: &Step,
        id: PageId,
        body: &Json,
        fetched: Fetched,
        relatives: &Relatives,
    ) -> Outcome<PageId> {
        let (page, mut tries) = (id.to_string(), 0);
        let result = loop {
            match self.api.client.page_patch(&page, body, self.api.shown()).await {
                Ok(answer) => break Ok(answer),
                Err(error) => match self.once_more(&mut tries, step, id, error, relatives).await {
                    Ok(()) => {}
                    Err(why) => break Err(why),
                },
            }
        };
        match result.and_then(|answer| answer.into_whole().map_err(Unwritten::Because)) {
            Ok(page) => self.done(step, &page, fetched, relatives).await,
            Err(why) => match self.after_failure(step, id, &why, relatives).await {
                Ok(failed) => self.look_again(step, id, fetched, relatives, failed).await,
                Err(outcome) => outcome,
            },
        }
    }

    /// Replaces a body and says how Notion now shows it, where it shows all of it.
    async fn replace_body(
        &self,
        step: &Step,
        id: PageId,
        markdown: &str,
        relatives: &Relatives,
    ) -> Result<Option<String>, Outcome<PageId>> {
        let (page, mut tries) = (id.to_string(), 0);
        let result = loop {
            match self.api.client.markdown_replace(&page, markdown).await {
                Ok(answer) => break Ok(answer),
                Err(error) => match self.once_more(&mut tries, step, id, error, relatives).await {
                    Ok(()) => {}
                    Err(why) => break Err(why),
                },
            }
        };
        match result {
            Ok(answer) => Ok(answer.body.is_whole().then_some(answer.body.markdown)),
            // Written, and unread: the field counts as not read.
            Err(why) => self.after_failure(step, id, &why, relatives).await.map(|_| None),
        }
    }

    /// Whether what takes the place of something is to be sent again: while Notion does not take it and the page still is
    /// what the step expects. Minutes may have passed, in which somebody edited it.
    async fn once_more(
        &self,
        tries: &mut u32,
        step: &Step,
        id: PageId,
        error: NotionError,
        relatives: &Relatives,
    ) -> Result<(), Unwritten> {
        let most = match &error {
            NotionError::RateLimited { .. } | NotionError::Overloaded { .. } => TURNS,
            _ => TRIES,
        };
        if *tries >= most || !self.api.client.was_not_taken(&error) {
            return Err(Unwritten::Because(error));
        }
        *tries += 1;
        pause(self.api.client.pacing(), *tries).await;
        match (self.may_repeat(step, id, relatives).await, step.expect) {
            (true, _) => Ok(()),
            (false, Expect::Seen(_)) => Err(Unwritten::Moved),
            (false, Expect::Nothing | Expect::Absent(_)) => Err(Unwritten::Because(error)),
        }
    }

    /// Whether a write that was not taken can be sent again: somebody may have saved meanwhile, perhaps nothing that
    /// matters here.
    async fn may_repeat(&self, step: &Step, id: PageId, relatives: &Relatives) -> bool {
        match step.expect {
            Expect::Seen(expected) => self.digest(id, relatives).await == Some(expected),
            // A page comes back as it is, whatever somebody did to it in the trash.
            Expect::Absent(_) => step.action == Action::Restore,
            Expect::Nothing => false,
        }
    }

    /// What a failed call on a page amounts to: `Ok` when it happened all the same.
    async fn after_failure(
        &self,
        step: &Step,
        id: PageId,
        why: &Unwritten,
        relatives: &Relatives,
    ) -> Result<Failed, Outcome<PageId>> {
        let error = match why {
            Unwritten::Moved => return Err(Outcome::Stale),
            Unwritten::Because(error) => error,
        };
        match verdict::judge(error, step.action, names(error, &id.to_string()), &self.clock) {
            Verdict::Happened(_, failed) => Ok(failed),
            Verdict::Ended(outcome) => Err(outcome),
            Verdict::Collided(failed) => Err(match step.expect {
                Expect::Seen(expected) if self.digest(id, relatives).await == Some(expected) => {
                    Outcome::Failed(failed)
                }
                Expect::Seen(_) => Outcome::Stale,
                Expect::Nothing | Expect::Absent(_) => Outcome::Failed(failed),
            }),
        }
    }

    // ---- What it is then ----

    /// The page after a write. Values that the answer cuts are fetched, as far as the step wrote them.
    async fn done(
        &self,
        step: &Step,
        page: &Page,
        mut fetched: Fetched,
        relatives: &Relatives,
    ) -> Outcome<PageId> {
        let Some(id) = PageId::parse(&page.id) else {
            return Outcome::Unknown(Failed {
                failure: Failure::Unknown,
                ..impossible("no_id", "Notion's answer names the page by an id of an unknown form")
            });
        };
        if step.action == Action::Restore && matches!(state(page, &self.api.data_source), State::Away(_)) {
            return Outcome::Stale;
        }
        let mut scratch = Scratch::default();
        let wrote = |field: usize| step.fields.iter().any(|write| write.field == field && !write.withheld);
        let mut missing = self.lens.missing(page, &mut scratch);
        missing.cut.retain(|(field, _)| wrote(*field));
        let wrote_body = step
            .fields
            .iter()
            .any(|write| !write.withheld && self.is_body(write.field) && step.action != Action::Trash);
        missing.body = wrote_body && fetched.body.is_none();
        if !missing.cut.is_empty() || missing.body {
            // Without it these fields count as not read, and the next look settles them.
            match self.api.fetch(id, &missing).await {
                Ok(more) => {
                    fetched.values = more.values;
                    fetched.body = fetched.body.or(more.body);
                }
                Err(error) => tracing::debug!(page = %id, %error, "a written page could not be read whole"),
            }
        }
        let mut sighting: Sighting =
            self.lens.sighting(&self.mapping, page, &fetched, relatives, &mut scratch);
        if missing.body {
            // It was read after it was written: somebody may have been at it in between.
            let answered = settle::as_answered(&self.mapping, step, &sighting.record);
            for write in step.fields.iter().filter(|write| self.is_body(write.field)) {
                sighting.record.set(write.field, answered.get(write.field).cloned());
            }
        }
        Outcome::Done { id, sighting: Box::new(sighting) }
    }

    /// Reads a page that was certainly written; if that fails, nobody can say what it is now.
    async fn look_again(
        &self,
        step: &Step,
        id: PageId,
        fetched: Fetched,
        relatives: &Relatives,
        failed: Failed,
    ) -> Outcome<PageId> {
        match self.api.page(id).await {
            Ok(Answer { body: Entry::Whole(page), .. }) => {
                let mut outcome = self.done(step, &page, fetched, relatives).await;
                if let Outcome::Done { sighting, .. } = &mut outcome {
                    sighting.record = settle::as_answered(&self.mapping, step, &sighting.record);
                    // It may not be us.
                    sighting.editor = None;
                }
                outcome
            }
            Ok(_) | Err(_) => Outcome::Unknown(Failed { failure: Failure::Unknown, ..failed }),
        }
    }

    /// The page's digest as a look shows it; `None` when it is not there or cannot be read.
    async fn digest(&self, id: PageId, relatives: &Relatives) -> Option<Digest> {
        let mut digest = None;
        let mut take = |seen: Seen<PageId>| {
            if let Observation::Present(sighting) = seen.observation {
                digest = Some(sighting.digest);
            }
        };
        // A failure to look is as good as a changed page: the record is planned anew.
        Look::new(self, relatives, &mut take).these(&[id]).await.ok()?;
        digest
    }

    fn is_body(&self, field: usize) -> bool {
        self.mapping.fields.get(field).is_some_and(|field| matches!(field.shows, PropertyKind::Body))
    }
}

/// Some time, so that those who collided do not meet again.
async fn pause(pacing: &Pacing, tries: u32) {
    let longest = Duration::from_millis(200) * (1 << tries.min(4));
    tokio::time::sleep(longest.mul_f64(pacing.chance())).await;
}

/// Whether a refusal speaks of this id, or of none: a page that is referred to may be what was not found.
fn names(error: &NotionError, id: &str) -> bool {
    let Some(refusal) = error.refusal() else { return true };
    let plain = |text: &str| text.replace('-', "").to_lowercase();
    let message = plain(refusal.message.reveal());
    let speaks_of_an_id = message.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() == 32);
    !speaks_of_an_id || message.contains(&plain(id))
}

fn impossible(code: &str, text: impl Into<String>) -> Failed {
    Failed { failure: Failure::Record, reason: Reason::new(code, text), not_before: None }
}
