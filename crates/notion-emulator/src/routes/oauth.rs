//! `/v1/oauth`: tokens for codes and refresh tokens, told apart by HTTP Basic.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, BODY},
    call::Call,
    chance,
    error::{ApiError, Result},
    reply::Reply,
    world::World,
};

/// Any client is known; it only has to say who it is.
fn check_client(call: &Call<'_>) -> Result<()> {
    let basic = call.authorization.and_then(|header| header.strip_prefix("Basic "));
    let pair = basic.and_then(|text| BASE64_STANDARD.decode(text.trim()).ok());
    match pair {
        Some(pair) if pair.contains(&b':') => Ok(()),
        _ => Err(ApiError::new(401, "invalid_client", "Invalid client credentials.")),
    }
}

/// The code `code-for-<token>` stands for the connection with that token; codes are made by a control.
pub(crate) fn token(call: &Call<'_>) -> Result<Reply> {
    check_client(call)?;
    let body = call.body()?;
    let grant = at::string(at::required(body, "grant_type", &BODY)?, 100, &BODY.key("grant_type"))?;
    let text = |key: &str| at::string(at::required(body, key, &BODY)?, 2000, &BODY.key(key));
    let invalid = || ApiError::new(400, "invalid_grant", "Invalid code.");
    let mut world = call.write();
    let old = match grant {
        "authorization_code" => {
            let code = text("code")?;
            code.strip_prefix("code-for-")
                .filter(|token| world.tokens.contains_key(*token))
                .ok_or_else(invalid)?
        }
        "refresh_token" => {
            let wanted = text("refresh_token")?;
            let found = world
                .tokens
                .values()
                .find(|token| token.refresh_token.as_deref() == Some(wanted) && !token.revoked);
            &found.ok_or_else(invalid)?.token.clone()
        }
        _ => return Err(ApiError::new(400, "unsupported_grant_type", "Unsupported grant type.")),
    };
    // Both tokens of a pair change with each grant.
    let Some(known) = world.tokens.get(old) else { return Err(invalid()) };
    let mut fresh = (**known).clone();
    if grant == "refresh_token" {
        let old = old.to_owned();
        world.tokens.remove(&old);
    }
    fresh.token = new_token();
    fresh.refresh_token = Some(new_token());
    let body = grant_json(&world, &fresh.token, fresh.refresh_token.as_deref(), fresh.bot);
    world.tokens.insert(fresh.token.clone(), Arc::new(fresh));
    Ok(Reply::tree(&body, call.request_id))
}

fn grant_json(world: &World, access: &str, refresh: Option<&str>, bot: Uuid) -> Json {
    let owner = world.users.first().map(|user| user.id.to_string());
    json!({
        "access_token": access, "token_type": "bearer", "refresh_token": refresh, "bot_id": bot.to_string(),
        "workspace_id": world.workspace_id.to_string(), "workspace_name": world.workspace_name,
        "workspace_icon": null, "owner": {"type": "user", "user": {"object": "user", "id": owner}},
        "duplicated_template_id": null,
    })
}

pub(crate) fn introspect(call: &Call<'_>) -> Result<Reply> {
    check_client(call)?;
    let token = at::string(at::required(call.body()?, "token", &BODY)?, 2000, &BODY.key("token"))?;
    let world = call.read();
    let body = match world.tokens.get(token).filter(|token| !token.revoked) {
        Some(_) => json!({"active": true, "scope": "read_content update_content insert_content", "iat": 0}),
        None => json!({"active": false}),
    };
    Ok(Reply::tree(&body, call.request_id))
}

pub(crate) fn revoke(call: &Call<'_>) -> Result<Reply> {
    check_client(call)?;
    let token = at::string(at::required(call.body()?, "token", &BODY)?, 2000, &BODY.key("token"))?;
    if let Some(token) = call.write().tokens.get_mut(token) {
        Arc::make_mut(token).revoked = true;
    }
    Ok(Reply::tree(&json!({}), call.request_id))
}

/// A token in the form that connections have.
pub(crate) fn new_token() -> String {
    let bits: [u64; 4] = std::array::from_fn(|_| chance::bits());
    let text: String = bits.iter().map(|bits| format!("{bits:016x}")).collect();
    format!("ntn_{}", &text[..46])
}
