//! `/v1/users` and `/v1/custom_emojis`: who is there.

use serde_json::json;

use crate::{
    call::{self, Call},
    error::Result,
    render::write_list,
    reply::Reply,
    world::UserKind,
};

pub(crate) fn me(call: &Call<'_>) -> Result<Reply> {
    let world = call.read();
    let body = json!({
        "object": "user", "id": call.token.bot.to_string(), "name": call.token.name, "avatar_url": null,
        "type": "bot",
        "bot": {
            "owner": {"type": "workspace", "workspace": true},
            "workspace_id": world.workspace_id.to_string(), "workspace_name": world.workspace_name,
            "workspace_limits": {"max_file_upload_size_in_bytes": 5_242_880},
        },
    });
    Ok(Reply::tree(&body, call.request_id))
}

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_users()?;
    let id = call.path_id(1, "user_id")?;
    let world = call.read();
    let user = world.user(id).ok_or_else(|| call.not_found("user", id))?;
    Ok(Reply::tree(&call.viewer(&world).user_json(user), call.request_id))
}

/// Members and bots; guests are not listed.
pub(crate) fn list(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_users()?;
    let world = call.read();
    let users: Vec<_> = world.users.iter().filter(|user| user.kind != UserKind::Guest).collect();
    let (users, next) = call::paged(users, call.parameter("start_cursor"), call.page_size()?)?;
    let viewer = call.viewer(&world);
    let mut results = String::new();
    write_list(&mut results, users.into_iter(), |out, user| {
        out.push_str(&viewer.user_json(user).to_string());
    });
    Ok(Reply::list(&results, next.as_deref(), "user", call.request_id))
}

/// The workspace has none.
pub(crate) fn custom_emojis(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    call.page_size()?;
    Ok(Reply::list("[]", None, "custom_emoji", call.request_id))
}
