//! How subscribers hear of changes: collected, perhaps merged, lost, doubled or out of order, then signed and sent.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    chance::Chance,
    clock::{self, Millis},
    ids,
    server::Shared,
    world::{Parent, UserKind, World},
};

/// Subscriptions, what waits to be sent, and how unreliable sending is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hooks {
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) settings: Settings,
    #[serde(skip)]
    pub(crate) pending: Vec<Event>,
    pub(crate) chance: Chance,
    #[serde(skip)]
    pub(crate) sent: Sent,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: Uuid,
    pub(crate) url: String,
    /// The verification token, which is also the key of the signature.
    pub(crate) secret: String,
    /// Empty: every type.
    pub(crate) types: Vec<String>,
    pub(crate) api_version: String,
    pub(crate) integration_id: Uuid,
}

/// Controlled unreliability.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// How long events wait to be merged with later ones, in milliseconds.
    pub(crate) window_ms: Millis,
    /// Share of events that are never sent.
    pub(crate) loss: f64,
    /// Share of events that are sent twice.
    pub(crate) duplicates: f64,
    /// Whether events of one round are sent in random order.
    pub(crate) disorder: bool,
    /// Attempts for one event.
    pub(crate) attempts: u32,
    /// Milliseconds before the second attempt; doubled for each further one.
    pub(crate) retry_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window_ms: 0, loss: 0.0, duplicates: 0.0, disorder: false, attempts: 8, retry_ms: 1000 }
    }
}

/// What became of the events so far.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Sent {
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) merged: u64,
}

/// One event before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    id: Uuid,
    at: Millis,
    /// By the machine's clock.
    recorded: Millis,
    kind: &'static str,
    entity: Uuid,
    entity_type: &'static str,
    authors: Vec<Uuid>,
    data: Json,
}

impl World {
    /// Records that `author` did something; nothing is kept while nobody listens.
    pub(crate) fn record(
        &mut self,
        kind: &'static str,
        (entity_type, entity): (&'static str, Uuid),
        author: Uuid,
        mut data: Json,
    ) {
        if self.hooks.subscriptions.is_empty() {
            return;
        }
        data["parent"] = self.event_parent(entity);
        let list = ["updated_properties", "updated_blocks"].into_iter().find(|list| data.get(list).is_some());
        let merged = self.hooks.settings.window_ms > 0;
        let same =
            self.hooks.pending.iter_mut().rev().find(|event| event.kind == kind && event.entity == entity);
        if let Some(event) = same.filter(|_| merged) {
            if !event.authors.contains(&author) {
                event.authors.push(author);
            }
            if let Some(list) = list {
                let more = data[list].as_array().cloned().unwrap_or_default();
                if let Some(have) = event.data[list].as_array_mut() {
                    for item in more {
                        if !have.contains(&item) {
                            have.push(item);
                        }
                    }
                }
            }
            self.hooks.sent.merged += 1;
            return;
        }
        let at = self.now();
        self.hooks.pending.push(Event {
            id: ids::fresh(),
            at,
            recorded: clock::system_now(),
            kind,
            entity,
            entity_type,
            authors: vec![author],
            data,
        });
    }

    fn event_parent(&self, entity: Uuid) -> Json {
        let parent = if let Some(page) = self.pages.get(&entity) {
            page.parent
        } else if let Some(source) = self.sources.get(&entity) {
            return json!({"id": source.database.to_string(), "type": "database"});
        } else if let Some(database) = self.databases.get(&entity) {
            database.parent
        } else {
            Parent::Workspace
        };
        match parent {
            Parent::Workspace => json!({"id": self.workspace_id.to_string(), "type": "space"}),
            Parent::Page(id) => json!({"id": id.to_string(), "type": "page"}),
            Parent::Block(id) => json!({"id": id.to_string(), "type": "block"}),
            Parent::Source(id) => {
                let database = self.sources.get(&id).map_or(id, |source| source.database);
                json!({"id": database.to_string(), "type": "database", "data_source_id": id.to_string()})
            }
        }
    }

    /// `page.properties_updated` with the encoded ids.
    pub(crate) fn record_properties<'p>(
        &mut self,
        page: Uuid,
        author: Uuid,
        properties: impl Iterator<Item = &'p str>,
    ) {
        if self.hooks.subscriptions.is_empty() {
            return;
        }
        let ids: Vec<String> = properties.map(ids::encode).collect();
        self.record("page.properties_updated", ("page", page), author, json!({"updated_properties": ids}));
    }
}

impl Hooks {
    pub(crate) fn new() -> Self {
        Self {
            subscriptions: Vec::new(),
            settings: Settings::default(),
            pending: Vec::new(),
            chance: Chance::fresh(),
            sent: Sent::default(),
        }
    }

    /// Takes out what is due, with losses, doubles and disorder applied.
    fn take_due(&mut self, now: Millis) -> Vec<Event> {
        let window = self.settings.window_ms;
        let (mut due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|event| now - event.recorded >= window);
        self.pending = later;
        // A create and a delete within one window cancel out.
        if window > 0 {
            let gone: Vec<Uuid> = due
                .iter()
                .filter(|event| event.kind.ends_with(".deleted"))
                .map(|event| event.entity)
                .filter(|id| due.iter().any(|event| event.entity == *id && event.kind.ends_with(".created")))
                .collect();
            due.retain(|event| !gone.contains(&event.entity));
        }
        let mut out = Vec::with_capacity(due.len());
        for event in due {
            if self.settings.loss > 0.0 && self.chance.hits(self.settings.loss) {
                self.sent.lost += 1;
                continue;
            }
            if self.settings.duplicates > 0.0 && self.chance.hits(self.settings.duplicates) {
                self.sent.doubled += 1;
                out.push(event.clone());
            }
            out.push(event);
        }
        if self.settings.disorder {
            for index in (1..out.len()).rev() {
                let other = usize::try_from(self.chance.below(index as u64 + 1)).unwrap_or(0);
                out.swap(index, other);
            }
        }
        out
    }
}

/// The payload of one attempt.
fn payload(world: &World, subscription: &Subscription, event: &Event, attempt: u32) -> String {
    let kind = |id: Uuid| match world.user(id).map(|user| user.kind) {
        Some(UserKind::Bot) => "bot",
        _ => "person",
    };
    let authors: Vec<Json> =
        event.authors.iter().map(|id| json!({"id": id.to_string(), "type": kind(*id)})).collect();
    json!({
        "id": event.id.to_string(), "timestamp": clock::zulu_text(event.at),
        "workspace_id": world.workspace_id.to_string(), "workspace_name": world.workspace_name,
        "subscription_id": subscription.id.to_string(), "integration_id": subscription.integration_id.to_string(),
        "type": event.kind, "authors": authors, "attempt_number": attempt,
        "api_version": subscription.api_version,
        "entity": {"id": event.entity.to_string(), "type": event.entity_type}, "data": event.data,
    })
    .to_string()
}

/// `sha256=` and the HMAC of the raw body in hex, as `X-Notion-Signature` carries it.
pub(crate) fn signature(secret: &str, body: &str) -> String {
    use std::fmt::Write;
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body.as_bytes());
    let mut out = String::from("sha256=");
    for byte in mac.finalize().into_bytes() {
        let written = write!(out, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    out
}

/// Sends what is due, round after round, until the emulator stops.
pub(crate) async fn deliver(shared: Arc<Shared>) {
    let client = reqwest::Client::new();
    let mut stop = shared.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let due = {
            let idle = shared.read().hooks.pending.is_empty();
            if idle {
                continue;
            }
            let mut world = shared.write();
            let due = world.hooks.take_due(clock::system_now());
            let mut jobs = Vec::new();
            for event in due {
                for subscription in &world.hooks.subscriptions {
                    if subscription.types.is_empty()
                        || subscription.types.iter().any(|kind| kind == event.kind)
                    {
                        jobs.push((subscription.clone(), event.clone()));
                    }
                }
            }
            jobs
        };
        for (subscription, event) in due {
            // The first attempt is awaited so that order is kept unless disorder is asked for.
            if !attempt(&shared, &client, &subscription, &event, 1).await {
                let (shared, client) = (shared.clone(), client.clone());
                tokio::spawn(async move { retry(&shared, &client, &subscription, &event).await });
            }
        }
    }
}

async fn retry(shared: &Shared, client: &reqwest::Client, subscription: &Subscription, event: &Event) {
    let settings = shared.read().hooks.settings.clone();
    let mut stop = shared.stopping();
    let mut wait = settings.retry_ms;
    for number in 2..=settings.attempts {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if attempt(shared, client, subscription, event, number).await {
            return;
        }
        wait = wait.saturating_mul(2);
    }
    shared.write().hooks.sent.failed += 1;
}

async fn attempt(
    shared: &Shared,
    client: &reqwest::Client,
    subscription: &Subscription,
    event: &Event,
    number: u32,
) -> bool {
    let body = payload(&shared.read(), subscription, event, number);
    let delivered = post(client, subscription, body).await;
    if delivered {
        shared.write().hooks.sent.delivered += 1;
    }
    delivered
}

/// Posts one signed body; anything but 2xx within ten seconds is a failure.
pub(crate) async fn post(client: &reqwest::Client, subscription: &Subscription, body: String) -> bool {
    let request = client
        .post(&subscription.url)
        .timeout(Duration::from_secs(10))
        .header("content-type", "application/json")
        .header("x-notion-signature", signature(&subscription.secret, &body))
        .body(body);
    matches!(request.send().await, Ok(answer) if answer.status().is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_known_one() {
        // RFC 4231, case 2.
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
