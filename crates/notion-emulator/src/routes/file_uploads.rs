//! `/v1/file_uploads`: made, sent in one part or many, completed, then attached within the hour.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart},
    http::Request,
};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, BODY},
    call::{self, Call},
    clock,
    error::{ApiError, Result},
    ids,
    reply::Reply,
    world::{Upload, World},
};

const HOUR: i64 = 3_600_000;
const MAX_FILE: usize = 5 * 1024 * 1024;

pub(crate) fn create(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let body = call.body()?;
    at::only_keys(body, &["mode", "filename", "content_type", "number_of_parts", "external_url"], &BODY)?;
    let text = |key: &str, max: usize| match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => at::string(json, max, &BODY.key(key)).map(|text| Some(text.to_owned())),
    };
    let mode = match body.get("mode") {
        None | Some(Json::Null) => "single_part",
        Some(mode) => at::one_of(mode, &["single_part", "multi_part", "external_url"], &BODY.key("mode"))?,
    };
    if mode == "external_url" {
        // The emulator reaches out to nobody.
        return Err(ApiError::validation("The external_url mode is not available in this emulator."));
    }
    let filename = text("filename", 900)?;
    let parts = match body.get("number_of_parts") {
        None | Some(Json::Null) => 1,
        Some(json) => json.as_u64().filter(|parts| (1..=1000).contains(parts)).ok_or_else(|| {
            BODY.key("number_of_parts").should_be("a number between 1 and 1000", Some(json))
        })?,
    };
    if mode == "multi_part" && filename.is_none() {
        return Err(BODY.key("filename").should_be("defined", None));
    }
    let content_type = text("content_type", 200)?;
    let mut world = call.write();
    let (id, now) = (ids::fresh(), world.now());
    let upload = Upload {
        id,
        mode: mode.to_owned(),
        status: "pending".into(),
        filename,
        content_type,
        parts_expected: parts,
        parts: std::collections::BTreeMap::new(),
        created: now,
        created_by: call.token.bot,
        attached: false,
    };
    world.uploads.insert(id, upload);
    world.record("file_upload.created", ("file_upload", id), call.token.bot, json!({}));
    answer(call, &world, id)
}

pub(crate) fn send(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let id = call.path_id(1, "file_upload_id")?;
    let form = read_form(call)?;
    let file = form.file.ok_or_else(|| BODY.key("file").should_be("defined", None))?;
    let mut world = call.write();
    let now = world.now();
    let upload = world.uploads.get_mut(&id).ok_or_else(|| call.not_found("file_upload", id))?;
    expire(upload, now);
    if upload.status != "pending" {
        let status = &upload.status;
        return Err(ApiError::validation(format!(
            "File upload with ID {id} cannot be sent: its status is {status}."
        )));
    }
    let total: usize = upload.parts.values().map(Bytes::len).sum();
    if total + file.len() > MAX_FILE {
        return Err(ApiError::validation(format!("The file is larger than the limit of {MAX_FILE} bytes.")));
    }
    if upload.mode == "multi_part" {
        let number = form.part_number.ok_or_else(|| BODY.key("part_number").should_be("defined", None))?;
        if number == 0 || number > upload.parts_expected {
            return Err(ApiError::body(format_args!(
                "body.part_number should be ≤ `{}`, instead was `{number}`.",
                upload.parts_expected
            )));
        }
        upload.parts.insert(number, file);
    } else {
        upload.parts.insert(1, file);
        upload.status = "uploaded".into();
        if upload.filename.is_none() {
            upload.filename = form.name;
        }
        if upload.content_type.is_none() {
            upload.content_type = form.content_type;
        }
    }
    answer(call, &world, id)
}

pub(crate) fn complete(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let id = call.path_id(1, "file_upload_id")?;
    let mut world = call.write();
    let now = world.now();
    let upload = world.uploads.get_mut(&id).ok_or_else(|| call.not_found("file_upload", id))?;
    expire(upload, now);
    let complete = upload.parts.len() as u64 == upload.parts_expected;
    if upload.mode != "multi_part" || upload.status != "pending" || !complete {
        return Err(ApiError::validation(format!(
            "File upload with ID {id} cannot be completed: {} of {} parts were sent.",
            upload.parts.len(),
            upload.parts_expected
        )));
    }
    upload.status = "uploaded".into();
    world.record("file_upload.completed", ("file_upload", id), call.token.bot, json!({}));
    answer(call, &world, id)
}

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    let id = call.path_id(1, "file_upload_id")?;
    let mut world = call.write();
    let now = world.now();
    expire(world.uploads.get_mut(&id).ok_or_else(|| call.not_found("file_upload", id))?, now);
    answer(call, &world, id)
}

pub(crate) fn list(call: &Call<'_>) -> Result<Reply> {
    let world = call.read();
    let status = call.parameter("status");
    let mut uploads: Vec<&Upload> =
        world.uploads.values().filter(|upload| status.is_none_or(|status| upload.status == status)).collect();
    uploads.sort_by_key(|upload| (upload.created, upload.id));
    let (uploads, next) = call::paged(uploads, call.parameter("start_cursor"), call.page_size()?)?;
    let results: Vec<Json> = uploads.into_iter().map(|upload| to_json(call, &world, upload)).collect();
    Ok(Reply::list(&Json::Array(results).to_string(), next.as_deref(), "file_upload", call.request_id))
}

fn expire(upload: &mut Upload, now: i64) {
    if !upload.attached && now > upload.created + HOUR {
        upload.status = "expired".into();
    }
}

fn answer(call: &Call<'_>, world: &World, id: Uuid) -> Result<Reply> {
    let upload = world.uploads.get(&id).ok_or_else(|| call.not_found("file_upload", id))?;
    Ok(Reply::tree(&to_json(call, world, upload), call.request_id))
}

fn to_json(call: &Call<'_>, world: &World, upload: &Upload) -> Json {
    let kind = if world.users.iter().any(|user| user.id == upload.created_by && user.email.is_some()) {
        "person"
    } else {
        "bot"
    };
    let length: usize = upload.parts.values().map(Bytes::len).sum();
    let mut body = json!({
        "object": "file_upload", "id": upload.id.to_string(),
        "created_time": clock::minute_text(upload.created), "last_edited_time": clock::minute_text(upload.created),
        "created_by": {"id": upload.created_by.to_string(), "type": kind},
        "expiry_time": if upload.attached { Json::Null } else { clock::minute_text(upload.created + HOUR).into() },
        "status": upload.status, "filename": upload.filename, "content_type": upload.content_type,
        "content_length": if length == 0 { Json::Null } else { length.into() }, "in_trash": false,
    });
    if call.version.has_archived() {
        body["archived"] = false.into();
    }
    if upload.status == "pending" {
        body["upload_url"] = format!("{}/v1/file_uploads/{}/send", call.shared.base_url(), upload.id).into();
        if upload.mode == "multi_part" {
            let url = format!("{}/v1/file_uploads/{}/complete", call.shared.base_url(), upload.id);
            body["complete_url"] = url.into();
            body["number_of_parts"] = json!({"total": upload.parts_expected, "sent": upload.parts.len()});
        }
    }
    body
}

#[derive(Default)]
struct Form {
    file: Option<Bytes>,
    name: Option<String>,
    content_type: Option<String>,
    part_number: Option<u64>,
}

/// Takes a multipart form apart. All bytes are here already, so nothing is waited for.
fn read_form(call: &Call<'_>) -> Result<Form> {
    let broken = || ApiError::validation("The request is not a multipart form with a file.");
    let content_type = call.content_type.filter(|kind| kind.starts_with("multipart/")).ok_or_else(broken)?;
    let request = Request::post("/")
        .header("content-type", content_type)
        .body(Body::from(call.raw.clone()))
        .map_err(|_| broken())?;
    let read = async {
        let mut form = Form::default();
        let mut multipart = Multipart::from_request(request, &()).await.map_err(|_| broken())?;
        read_fields(&mut form, &mut multipart).await.map_err(|_| broken())?;
        Ok(form)
    };
    futures_util::FutureExt::now_or_never(read).unwrap_or_else(|| Err(broken()))
}

async fn read_fields(
    form: &mut Form,
    multipart: &mut Multipart,
) -> std::result::Result<(), axum::extract::multipart::MultipartError> {
    while let Some(field) = multipart.next_field().await? {
        match field.name() {
            Some("file") => {
                form.name = field.file_name().map(str::to_owned);
                form.content_type = field.content_type().map(str::to_owned);
                form.file = Some(field.bytes().await?);
            }
            Some("part_number") => form.part_number = field.text().await?.parse().ok(),
            _ => {}
        }
    }
    Ok(())
}

/// Saves the parts' bytes as base64.
pub(crate) mod parts {
    use std::collections::BTreeMap;

    use base64::{Engine, prelude::BASE64_STANDARD};
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(parts: &BTreeMap<u64, Bytes>, out: S) -> Result<S::Ok, S::Error> {
        let texts: BTreeMap<u64, String> =
            parts.iter().map(|(number, bytes)| (*number, BASE64_STANDARD.encode(bytes))).collect();
        texts.serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u64, Bytes>, D::Error> {
        let texts = BTreeMap::<u64, String>::deserialize(from)?;
        texts
            .into_iter()
            .map(|(number, text)| {
                BASE64_STANDARD.decode(text).map(|bytes| (number, bytes.into())).map_err(D::Error::custom)
            })
            .collect()
    }
}
