//! The emulator's own settings: clock, faults, counters, limits, caps, lag, connections, snapshots, webhooks.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::Order;
use crate::{
    at::{self, BODY},
    chance::Chance,
    clock, dates,
    error::{ApiError, Result},
    ids,
    limiter::Limiter,
    routes::oauth::new_token,
    token::{Capabilities, Token},
    webhooks::{self, Settings, Subscription},
    world::{Lag, User, UserKind, World},
};

pub(super) fn clock(order: &Order<'_>) -> Json {
    let world = order.shared.read();
    json!({"now": clock::zulu_text(world.now()), "frozen": world.clock.is_frozen()})
}

pub(super) fn set_clock(order: &Order<'_>) -> Result<Json> {
    {
        let mut world = order.shared.write();
        if let Some(now) = order.text("now")? {
            let now =
                dates::parse_instant(now).ok_or_else(|| ApiError::validation("`now` is not a time."))?;
            world.clock.set(now);
        }
        match at::optional_boolean(&order.body, "freeze", &BODY)? {
            Some(true) if !world.clock.is_frozen() => world.clock.freeze(),
            Some(false) => world.clock.run(),
            _ => {}
        }
        if let Some(by) = order.number("advance_ms")? {
            world.clock.advance(by);
        }
    }
    Ok(clock(order))
}

pub(super) fn add_fault(order: &Order<'_>) -> Result<Json> {
    let rule = serde_json::from_value(Json::Object(order.body.clone()))
        .map_err(|error| ApiError::validation(format!("This is not a fault: {error}.")))?;
    let id = order.shared.faults_mut().add(rule);
    Ok(json!({"id": id.to_string()}))
}

pub(super) fn remove_faults(order: &Order<'_>, id: Option<Uuid>) -> Json {
    order.shared.faults_mut().remove(id);
    json!({})
}

pub(super) fn counters(order: &Order<'_>) -> Json {
    let mut json = json!(&*order.shared.counters());
    let limiter = order.shared.limiter();
    let (requests, window) = limiter.settings();
    json["fullest_window"] = limiter.fullest().into();
    json["limit"] = json!({"requests": requests, "window_ms": window.as_millis()});
    drop(limiter);
    json["webhooks"] = json!(order.shared.read().hooks.sent);
    json
}

pub(super) fn reset_counters(order: &Order<'_>) -> Json {
    *order.shared.counters() = Default::default();
    order.shared.limiter().forget_fullest();
    order.shared.write().hooks.sent = Default::default();
    json!({})
}

/// `requests: null` takes the limit away.
pub(super) fn set_limits(order: &Order<'_>) -> Result<Json> {
    let requests = order.number("requests")?.map(|requests| u32::try_from(requests).unwrap_or(0));
    let window = order.number("window_ms")?.and_then(|window| u64::try_from(window).ok()).unwrap_or(60_000);
    *order.shared.limiter() = Limiter::new(requests, Duration::from_millis(window.max(1)));
    Ok(json!({"requests": requests, "window_ms": window}))
}

pub(super) fn set_caps(order: &Order<'_>) -> Result<Json> {
    let mut world = order.shared.write();
    let size = |number: i64| usize::try_from(number).unwrap_or(0);
    if let Some(results) = order.number("results")? {
        world.caps.results = size(results);
    }
    if let Some(inline) = order.number("inline")? {
        world.caps.inline = size(inline);
        world.forget_written();
    }
    Ok(json!({"results": world.caps.results, "inline": world.caps.inline}))
}

pub(super) fn set_lag(order: &Order<'_>) -> Result<Json> {
    let max = order.number("max_ms")?.unwrap_or(0).max(0);
    let min = order.number("min_ms")?.unwrap_or(0).clamp(0, max);
    let seed = order.number("seed")?;
    let chance = seed.map_or_else(Chance::fresh, |seed| Chance::seeded(seed.unsigned_abs()));
    let mut world = order.shared.write();
    world.lag = Lag { min, max, chance };
    if max == 0 {
        for source in world.sources.values_mut() {
            source.index.stale.clear();
        }
    }
    Ok(json!({"min_ms": min, "max_ms": max}))
}

fn token_json(token: &Token) -> Json {
    json!({
        "token": token.token, "name": token.name, "bot": token.bot.to_string(),
        "capabilities": token.capabilities, "revoked": token.revoked, "is_public": token.is_public,
        "shared": token.shared.iter().map(Uuid::to_string).collect::<Vec<_>>(),
        "hidden": token.hidden.iter().map(Uuid::to_string).collect::<Vec<_>>(),
    })
}

pub(super) fn tokens(order: &Order<'_>) -> Json {
    let world = order.shared.read();
    json!({"tokens": world.tokens.values().map(|token| token_json(token)).collect::<Vec<_>>()})
}

fn parse_capabilities(map: &Map<String, Json>, before: Capabilities) -> Result<Capabilities> {
    let Some(json) = map.get("capabilities") else { return Ok(before) };
    let mut merged = json!(before);
    for (key, value) in at::object(json, &BODY.key("capabilities"))? {
        merged[key.as_str()] = value.clone();
    }
    serde_json::from_value(merged)
        .map_err(|error| ApiError::validation(format!("These are not capabilities: {error}.")))
}

pub(super) fn add_token(order: &Order<'_>) -> Result<Json> {
    let name = order.text("name")?.unwrap_or("Another connection").to_owned();
    let capabilities = parse_capabilities(&order.body, Capabilities::default())?;
    let is_public = at::optional_boolean(&order.body, "is_public", &BODY)?.unwrap_or(false);
    let mut shared = std::collections::HashSet::new();
    if let Some(list) = order.body.get("shared") {
        for id in at::array(list, usize::MAX, &BODY.key("shared"))? {
            shared.extend(id.as_str().and_then(ids::parse_uuid));
        }
    }
    let mut world = order.shared.write();
    let bot = ids::fresh();
    world.users.push(User { id: bot, name: name.clone(), email: None, kind: UserKind::Bot });
    let token = Token {
        token: new_token(),
        bot,
        name,
        capabilities,
        shared,
        is_public,
        revoked: false,
        refresh_token: is_public.then(new_token),
        ..Token::nobody()
    };
    let mut json = token_json(&token);
    json["refresh_token"] = json!(token.refresh_token);
    json["code"] = format!("code-for-{}", token.token).into();
    world.tokens.insert(token.token.clone(), Arc::new(token));
    Ok(json)
}

pub(super) fn change_token(order: &Order<'_>) -> Result<Json> {
    let wanted = order.path.get(1).copied().unwrap_or_default();
    let mut world = order.shared.write();
    let token = find_token(&mut world, Some(wanted))?;
    token.capabilities = parse_capabilities(&order.body, token.capabilities)?;
    token.revoked = at::optional_boolean(&order.body, "revoked", &BODY)?.unwrap_or(token.revoked);
    Ok(token_json(token))
}

/// A connection by token; the first one when none is given.
fn find_token<'w>(world: &'w mut World, wanted: Option<&str>) -> Result<&'w mut Token> {
    let wanted = wanted.map_or_else(|| world.first_token.clone(), str::to_owned);
    let token = world.tokens.get_mut(&wanted);
    token.map(Arc::make_mut).ok_or_else(|| ApiError::validation("There is no such token."))
}

pub(super) fn share(order: &Order<'_>, share: bool) -> Result<Json> {
    let id =
        order.text("id")?.and_then(ids::parse_uuid).ok_or_else(|| ApiError::validation("Give the `id`."))?;
    let mut world = order.shared.write();
    let token = find_token(&mut world, order.text("token")?)?;
    if share {
        token.hidden.remove(&id);
        token.shared.insert(id);
    } else {
        token.shared.remove(&id);
        token.hidden.insert(id);
    }
    Ok(token_json(token))
}

pub(super) fn snapshot(order: &Order<'_>) -> Result<Json> {
    let name = order.text("name")?.unwrap_or("default").to_owned();
    let world = order.shared.read().clone();
    let mut snapshots = order.shared.snapshots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    snapshots.insert(name.clone(), world);
    Ok(json!({"name": name}))
}

/// Brings back everything but the clock, which never runs backwards by itself.
pub(super) fn restore(order: &Order<'_>) -> Result<Json> {
    let name = order.text("name")?.unwrap_or("default");
    let snapshots = order.shared.snapshots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let kept = snapshots.get(name).ok_or_else(|| ApiError::validation("There is no such snapshot."))?.clone();
    drop(snapshots);
    let mut world = order.shared.write();
    let clock = world.clock.clone();
    *world = kept;
    world.clock = clock;
    Ok(json!({"name": name}))
}

/// Begins or ends keeping what happens to pages.
pub(super) fn keep_history(order: &Order<'_>) -> Result<Json> {
    let keep = at::optional_boolean(&order.body, "keep", &BODY)?.unwrap_or(true);
    let mut world = order.shared.write();
    match keep {
        true if world.history.is_none() => world.history = Some(Vec::new()),
        true => {}
        false => world.history = None,
    }
    Ok(json!({"keep": keep}))
}

pub(super) fn save(order: &Order<'_>) -> Result<Json> {
    order.shared.save().map_err(|error| {
        ApiError::new(500, "internal_server_error", format!("The state was not saved: {error}."))
    })?;
    Ok(json!({"saved": order.shared.state_file.is_some()}))
}

pub(super) fn webhooks(order: &Order<'_>) -> Json {
    let world = order.shared.read();
    json!({
        "subscriptions": world.hooks.subscriptions, "settings": world.hooks.settings,
        "pending": world.hooks.pending.len(), "sent": world.hooks.sent,
    })
}

pub(super) fn unsubscribe(order: &Order<'_>) -> Json {
    let mut world = order.shared.write();
    world.hooks.subscriptions.clear();
    world.hooks.pending.clear();
    json!({})
}

pub(super) fn set_webhooks(order: &Order<'_>) -> Result<Json> {
    let mut world = order.shared.write();
    let mut merged = json!(world.hooks.settings);
    for (key, value) in &order.body {
        merged[key.as_str()] = value.clone();
    }
    let settings: Settings = serde_json::from_value(merged)
        .map_err(|error| ApiError::validation(format!("These are not webhook settings: {error}.")))?;
    world.hooks.settings = settings;
    Ok(json!(world.hooks.settings))
}

/// Subscribes a URL: first the handshake with the verification token, which must be answered by 2xx.
pub(super) async fn subscribe(order: &Order<'_>) -> Result<Json> {
    let url = order.text("url")?.ok_or_else(|| ApiError::validation("Give the `url`."))?.to_owned();
    let mut types = Vec::new();
    if let Some(list) = order.body.get("types") {
        for kind in at::array(list, usize::MAX, &BODY.key("types"))? {
            types.push(at::string(kind, 100, &BODY.key("types"))?.to_owned());
        }
    }
    let bot = {
        let mut world = order.shared.write();
        find_token(&mut world, order.text("token")?)?.bot
    };
    let secret = match order.text("secret")? {
        Some(secret) => secret.to_owned(),
        None => new_token().replacen("ntn_", "secret_", 1),
    };
    let subscription = Subscription {
        id: ids::fresh(),
        url,
        secret,
        types,
        api_version: order.text("api_version")?.unwrap_or("2026-03-11").to_owned(),
        integration_id: bot,
    };
    let hello = json!({"verification_token": subscription.secret}).to_string();
    let verified = webhooks::post(&reqwest::Client::new(), &subscription, hello).await;
    let json = json!({
        "id": subscription.id.to_string(), "verification_token": subscription.secret, "verified": verified,
    });
    if !verified {
        return Err(ApiError::validation("The URL did not answer the verification with 2xx."));
    }
    order.shared.write().hooks.subscriptions.push(subscription);
    Ok(json)
}
