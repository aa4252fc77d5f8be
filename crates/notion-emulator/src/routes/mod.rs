//! Which endpoints are claimed, and who answers each.

pub(crate) mod blocks;
pub(crate) mod comments;
pub(crate) mod data_sources;
pub(crate) mod databases;
pub(crate) mod file_uploads;
pub(crate) mod markdown;
pub(crate) mod oauth;
pub(crate) mod pages;
pub(crate) mod property_items;
pub(crate) mod search;
pub(crate) mod users;
pub(crate) mod views;

use crate::{call::Call, error::Result, reply::Reply};

pub(crate) type Handler = fn(&Call<'_>) -> Result<Reply>;

/// The endpoint's name (for counters and faults) and its handler; `None` for a path that is not known.
pub(crate) fn find(method: &str, path: &[&str]) -> Option<(&'static str, Handler)> {
    Some(match (method, path) {
        ("GET", ["users"]) => ("GET /v1/users", users::list),
        ("GET", ["users", "me"]) => ("GET /v1/users/me", users::me),
        ("GET", ["users", _]) => ("GET /v1/users/{id}", users::get),
        ("POST", ["search"]) => ("POST /v1/search", search::search),
        ("POST", ["databases"]) => ("POST /v1/databases", databases::create),
        ("GET", ["databases", _]) => ("GET /v1/databases/{id}", databases::get),
        ("PATCH", ["databases", _]) => ("PATCH /v1/databases/{id}", databases::update),
        ("POST", ["databases", _, "query"]) => ("POST /v1/databases/{id}/query", databases::query),
        ("POST", ["data_sources"]) => ("POST /v1/data_sources", data_sources::create),
        ("GET", ["data_sources", _]) => ("GET /v1/data_sources/{id}", data_sources::get),
        ("PATCH", ["data_sources", _]) => ("PATCH /v1/data_sources/{id}", data_sources::update),
        ("POST", ["data_sources", _, "query"]) => ("POST /v1/data_sources/{id}/query", data_sources::query),
        ("GET", ["data_sources", _, "templates"]) => {
            ("GET /v1/data_sources/{id}/templates", data_sources::templates)
        }
        ("POST", ["pages"]) => ("POST /v1/pages", pages::create),
        ("GET", ["pages", _]) => ("GET /v1/pages/{id}", pages::get),
        ("PATCH", ["pages", _]) => ("PATCH /v1/pages/{id}", pages::update),
        ("POST", ["pages", _, "move"]) => ("POST /v1/pages/{id}/move", pages::relocate),
        ("GET", ["pages", _, "properties", _]) => ("GET /v1/pages/{id}/properties/{id}", property_items::get),
        ("GET", ["pages", _, "markdown"]) => ("GET /v1/pages/{id}/markdown", markdown::get),
        ("PATCH", ["pages", _, "markdown"]) => ("PATCH /v1/pages/{id}/markdown", markdown::update),
        ("GET", ["blocks", _]) => ("GET /v1/blocks/{id}", blocks::get),
        ("PATCH", ["blocks", _]) => ("PATCH /v1/blocks/{id}", blocks::update),
        ("DELETE", ["blocks", _]) => ("DELETE /v1/blocks/{id}", blocks::delete),
        ("GET", ["blocks", _, "children"]) => ("GET /v1/blocks/{id}/children", blocks::children),
        ("PATCH", ["blocks", _, "children"]) => ("PATCH /v1/blocks/{id}/children", blocks::append),
        ("GET", ["comments"]) => ("GET /v1/comments", comments::list),
        ("POST", ["comments"]) => ("POST /v1/comments", comments::create),
        ("GET", ["comments", _]) => ("GET /v1/comments/{id}", comments::get),
        ("PATCH", ["comments", _]) => ("PATCH /v1/comments/{id}", comments::update),
        ("DELETE", ["comments", _]) => ("DELETE /v1/comments/{id}", comments::delete),
        ("GET", ["file_uploads"]) => ("GET /v1/file_uploads", file_uploads::list),
        ("POST", ["file_uploads"]) => ("POST /v1/file_uploads", file_uploads::create),
        ("GET", ["file_uploads", _]) => ("GET /v1/file_uploads/{id}", file_uploads::get),
        ("POST", ["file_uploads", _, "send"]) => ("POST /v1/file_uploads/{id}/send", file_uploads::send),
        ("POST", ["file_uploads", _, "complete"]) => {
            ("POST /v1/file_uploads/{id}/complete", file_uploads::complete)
        }
        ("GET", ["views"]) => ("GET /v1/views", views::list),
        ("POST", ["views"]) => ("POST /v1/views", views::create),
        ("GET", ["views", _]) => ("GET /v1/views/{id}", views::get),
        ("PATCH", ["views", _]) => ("PATCH /v1/views/{id}", views::update),
        ("DELETE", ["views", _]) => ("DELETE /v1/views/{id}", views::delete),
        ("GET", ["custom_emojis"]) => ("GET /v1/custom_emojis", users::custom_emojis),
        ("GET", ["async_tasks", _]) => ("GET /v1/async_tasks/{id}", markdown::task),
        ("POST", ["oauth", "token"]) => ("POST /v1/oauth/token", oauth::token),
        ("POST", ["oauth", "introspect"]) => ("POST /v1/oauth/introspect", oauth::introspect),
        ("POST", ["oauth", "revoke"]) => ("POST /v1/oauth/revoke", oauth::revoke),
        _ => return None,
    })
}
