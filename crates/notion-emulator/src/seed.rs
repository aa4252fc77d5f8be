//! The workspace of a fresh start: one connection, one shared page, three people and a guest.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use crate::{
    chance::Chance,
    clock::Clock,
    ids, rich_text,
    routes::oauth::new_token,
    token::Token,
    values::Value,
    webhooks::Hooks,
    world::{Caps, Lag, Page, Parent, User, UserKind, World},
};

/// Makes the default workspace; the token is the one given, or a random one.
pub(crate) fn workspace(token: Option<String>, clock: Clock) -> World {
    let people = [
        ("Ada Lovelace", "ada@example.com", UserKind::Person),
        ("Grace Hopper", "grace@example.com", UserKind::Person),
        ("Alan Turing", "alan@example.com", UserKind::Person),
        ("Guest Reviewer", "guest@example.org", UserKind::Guest),
    ];
    let mut users: Vec<User> = people
        .into_iter()
        .map(|(name, email, kind)| User {
            id: ids::fresh(),
            name: name.to_owned(),
            email: Some(email.to_owned()),
            kind,
        })
        .collect();
    let bot = User { id: ids::fresh(), name: "Sync bot".into(), email: None, kind: UserKind::Bot };
    let owner = users.first().map_or_else(ids::fresh, |user| user.id);
    let page = Page {
        id: ids::fresh(),
        seq: 1,
        parent: Parent::Workspace,
        created: clock.now(),
        edited: clock.now(),
        created_by: owner,
        edited_by: owner,
        icon: None,
        cover: None,
        in_trash: false,
        is_archived: false,
        is_locked: false,
        values: vec![("title".into(), Value::RichText(rich_text::plain("Shared with the connection")))],
        children: Vec::new(),
        written: OnceLock::new(),
    };
    let token = Token {
        token: token.unwrap_or_else(new_token),
        bot: bot.id,
        name: bot.name.clone(),
        shared: HashSet::from([page.id]),
        revoked: false,
        ..Token::nobody()
    };
    users.push(bot);
    World {
        workspace_id: ids::fresh(),
        workspace_name: "Emulated workspace".into(),
        parent_page_id: page.id,
        first_token: token.token.clone(),
        users,
        tokens: HashMap::from([(token.token.clone(), Arc::new(token))]),
        pages: HashMap::from([(page.id, page)]),
        databases: HashMap::new(),
        sources: HashMap::new(),
        blocks: HashMap::new(),
        comments: Vec::new(),
        uploads: BTreeMap::new(),
        views: Vec::new(),
        tasks: HashMap::new(),
        next_seq: 1,
        clock,
        caps: Caps::default(),
        lag: Lag { min: 0, max: 0, chance: Chance::fresh() },
        hooks: Hooks::new(),
        history: None,
    }
}
