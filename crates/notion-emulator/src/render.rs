//! How pages, databases, data sources and users look in answers, for one connection and version.

use std::collections::HashSet;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    clock::{self, Millis},
    computed::{self, Outcome},
    dates, ids,
    ids::PropertyId,
    json, options, rich_text,
    schema::{self, Kind, Property},
    token::{Token, UserInformation},
    values::{FilePlace, FileRef, Value},
    version::Version,
    world::{DataSource, Database, Page, Parent, User, UserKind, World},
};

/// Who looks, and in which version's words.
#[derive(Clone, Copy)]
pub(crate) struct Viewer<'a> {
    pub(crate) world: &'a World,
    pub(crate) token: &'a Token,
    pub(crate) version: Version,
    pub(crate) base_url: &'a str,
}

/// What is the same for all rows of one answer.
pub(crate) struct RowShape<'a> {
    pub(crate) source: &'a DataSource,
    /// Relations to these data sources are left out.
    hidden: HashSet<Uuid>,
    /// Whether the written form kept with each page may be used.
    keeps: bool,
    only: Option<Vec<PropertyId>>,
}

impl<'a> RowShape<'a> {
    pub(crate) fn new(viewer: Viewer<'a>, source: &'a DataSource, only: Option<Vec<PropertyId>>) -> Self {
        let hidden = viewer.world.hidden_targets(viewer.token, source);
        let keeps = only.is_none()
            && hidden.is_empty()
            && viewer.token.capabilities.user_information == UserInformation::WithEmail
            && !source.properties.iter().any(|property| property.kind.is_computed());
        Self { source, hidden, keeps, only }
    }

    fn shows(&self, property: &Property) -> bool {
        if let Some(only) = &self.only
            && !only.contains(&property.id)
        {
            return false;
        }
        !matches!(&property.kind, Kind::Relation { source, .. } if self.hidden.contains(source))
    }
}

impl<'a> Viewer<'a> {
    /// Appends a page object; rows are given their data source's shape.
    pub(crate) fn write_page(self, out: &mut String, page: &Page, shape: Option<&RowShape<'_>>) {
        out.push_str("{\"object\":\"page\",\"id\":");
        json::id(out, page.id);
        self.write_times(out, page.created, page.edited, page.created_by, page.edited_by);
        out.push_str(",\"cover\":");
        self.write_image(out, page.cover.as_deref());
        out.push_str(",\"icon\":");
        self.write_image(out, page.icon.as_deref());
        out.push_str(",\"parent\":");
        self.write_parent(out, page.parent);
        out.push_str(",\"in_trash\":");
        json::boolean(out, page.in_trash);
        out.push_str(",\"is_archived\":");
        json::boolean(out, page.is_archived);
        out.push_str(",\"is_locked\":");
        json::boolean(out, page.is_locked);
        out.push_str(",\"properties\":");
        match shape {
            Some(shape) => self.write_row_properties(out, page, shape),
            None => self.write_title_property(out, page),
        }
        out.push_str(",\"url\":");
        json::string(out, &ids::page_url(&page.title(), page.id));
        out.push_str(",\"public_url\":null");
        if self.version.has_archived() {
            out.push_str(",\"archived\":");
            json::boolean(out, page.in_trash);
        }
        out.push('}');
    }

    fn write_times(
        self,
        out: &mut String,
        created: Millis,
        edited: Millis,
        created_by: Uuid,
        edited_by: Uuid,
    ) {
        out.push_str(",\"created_time\":\"");
        clock::write_minute(out, created);
        out.push_str("\",\"last_edited_time\":\"");
        clock::write_minute(out, edited);
        out.push_str("\",\"created_by\":{\"object\":\"user\",\"id\":");
        json::id(out, created_by);
        out.push_str("},\"last_edited_by\":{\"object\":\"user\",\"id\":");
        json::id(out, edited_by);
        out.push('}');
    }

    /// Icons and covers: uploads are shown with an address of this hour.
    fn write_image(self, out: &mut String, image: Option<&Json>) {
        match image {
            None => out.push_str("null"),
            Some(image) => json::tree(out, &self.image_json(image)),
        }
    }

    pub(crate) fn image_json(self, image: &Json) -> Json {
        let upload =
            image.get("file_upload").and_then(|upload| upload["id"].as_str()).and_then(ids::parse_uuid);
        match upload {
            None => image.clone(),
            Some(id) => {
                let (url, expiry) = self.upload_address(id);
                json!({"type": "file", "file": {"url": url, "expiry_time": expiry}})
            }
        }
    }

    /// The signed address of an upload and when it ends: one hour from now.
    pub(crate) fn upload_address(self, id: Uuid) -> (String, String) {
        let expiry = self.world.now() + 3_600_000;
        (format!("{}/_emulator/files/{id}?expires={expiry}", self.base_url), clock::zulu_text(expiry))
    }

    pub(crate) fn write_parent(self, out: &mut String, parent: Parent) {
        match parent {
            Parent::Workspace => out.push_str("{\"type\":\"workspace\",\"workspace\":true}"),
            Parent::Page(id) => write_parent_id(out, "page_id", id),
            Parent::Block(id) => write_parent_id(out, "block_id", id),
            Parent::Source(id) => {
                let database = self.world.sources.get(&id).map_or(id, |source| source.database);
                if self.version.has_sources() {
                    out.push_str("{\"type\":\"data_source_id\",\"data_source_id\":");
                    json::id(out, id);
                    out.push_str(",\"database_id\":");
                    json::id(out, database);
                    out.push('}');
                } else {
                    write_parent_id(out, "database_id", database);
                }
            }
        }
    }

    pub(crate) fn parent_json(self, parent: Parent) -> Json {
        let mut out = String::new();
        self.write_parent(&mut out, parent);
        serde_json::from_str(&out).unwrap_or_default()
    }

    fn write_title_property(self, out: &mut String, page: &Page) {
        out.push_str("{\"title\":{\"id\":\"title\",\"type\":\"title\",\"title\":");
        match page.value("title") {
            Some(Value::RichText(items)) => rich_text::write(out, items),
            _ => out.push_str("[]"),
        }
        out.push_str("}}");
    }

    fn write_row_properties(self, out: &mut String, page: &Page, shape: &RowShape<'_>) {
        let has_upload = || {
            page.values.iter().any(|(_, value)| match value {
                Value::Files(files) => files.iter().any(|file| matches!(file.place, FilePlace::Upload(_))),
                _ => false,
            })
        };
        if !shape.keeps || has_upload() {
            self.write_row_properties_anew(out, page, shape);
            return;
        }
        out.push_str(page.written.get_or_init(|| {
            let mut written = String::with_capacity(1024);
            self.write_row_properties_anew(&mut written, page, shape);
            written.into_boxed_str()
        }));
    }

    fn write_row_properties_anew(self, out: &mut String, page: &Page, shape: &RowShape<'_>) {
        out.push('{');
        let mut first = true;
        for property in shape.source.properties.iter().filter(|property| shape.shows(property)) {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            json::string(out, &property.name);
            out.push_str(":{\"id\":");
            json::string(out, &ids::encode(&property.id));
            out.push(',');
            self.write_typed_value(out, shape.source, page, property, Some(self.world.caps.inline));
            out.push('}');
        }
        out.push('}');
    }

    /// Appends `"type":"number","number":7`; `cap` cuts long values as pages show them.
    pub(crate) fn write_typed_value(
        self,
        out: &mut String,
        source: &DataSource,
        page: &Page,
        property: &Property,
        cap: Option<usize>,
    ) {
        let word = property.kind.word();
        out.push_str("\"type\":");
        json::string(out, word);
        out.push(',');
        json::string(out, word);
        out.push(':');
        let cap = cap.unwrap_or(usize::MAX);
        let value = page.value(&property.id);
        match (&property.kind, value) {
            (Kind::Relation { .. }, value) => {
                let targets: &[Uuid] = if let Some(Value::Relation(targets)) = value { targets } else { &[] };
                write_list(out, targets.iter().take(cap), |out, id| {
                    out.push_str("{\"id\":");
                    json::id(out, *id);
                    out.push('}');
                });
                out.push_str(",\"has_more\":");
                json::boolean(out, targets.len() > cap);
            }
            (Kind::Title | Kind::RichText, Some(Value::RichText(items))) => {
                rich_text::write(out, &items[..items.len().min(cap)]);
            }
            (Kind::MultiSelect { options }, Some(Value::MultiSelect(picked))) => {
                let picked = picked.iter().filter_map(|id| options::by_id(options, id));
                write_list(out, picked, options::write_in_row);
            }
            (Kind::People, Some(Value::People(people))) => {
                write_list(out, people.iter().take(cap), |out, id| {
                    json::tree(out, &self.user_value_json(*id));
                });
            }
            (Kind::Files, Some(Value::Files(files))) => {
                write_list(out, files.iter(), |out, file| json::tree(out, &self.file_json(file)));
            }
            (Kind::Title | Kind::RichText | Kind::MultiSelect { .. } | Kind::People | Kind::Files, _) => {
                out.push_str("[]");
            }
            (Kind::Checkbox, value) => json::boolean(out, value.is_some()),
            (Kind::Number { .. }, Some(Value::Number(number))) => json::number(out, *number),
            (Kind::Select { options } | Kind::Status { options, .. }, Some(Value::Select(id))) => {
                match options::by_id(options, id) {
                    Some(choice) => options::write_in_row(out, choice),
                    None => out.push_str("null"),
                }
            }
            (Kind::Date, Some(Value::Date(date))) => dates::write(out, date),
            (Kind::Url | Kind::Email | Kind::PhoneNumber, Some(Value::Text(text))) => json::string(out, text),
            (Kind::UniqueId { prefix, .. }, Some(Value::UniqueId(number))) => {
                out.push_str("{\"prefix\":");
                json::optional(out, prefix.as_deref());
                out.push_str(&format!(",\"number\":{number}}}"));
            }
            (Kind::CreatedTime, _) => write_time(out, page.created),
            (Kind::LastEditedTime, _) => write_time(out, page.edited),
            (Kind::CreatedBy, _) => json::tree(out, &self.user_value_json(page.created_by)),
            (Kind::LastEditedBy, _) => json::tree(out, &self.user_value_json(page.edited_by)),
            (Kind::Formula { expression }, _) => {
                let outcome = computed::formula(source, page, expression);
                json::tree(out, &computed::formula_json(&outcome));
            }
            (Kind::Rollup { relation, target, function }, _) => {
                json::tree(out, &self.rollup_json(source, page, (relation, target, function), cap));
            }
            (Kind::Verification, Some(Value::Verified { date, by })) => {
                let date = computed::date_json(date.as_deref());
                json::tree(
                    out,
                    &json!({"state": "verified", "verified_by": self.user_value_json(*by), "date": date}),
                );
            }
            (Kind::Verification, _) => {
                json::tree(out, &json!({"state": "unverified", "verified_by": null, "date": null}));
            }
            (Kind::Button, _) => out.push_str("{}"),
            _ => out.push_str("null"),
        }
    }

    /// The object under `rollup`.
    pub(crate) fn rollup_json(
        self,
        source: &DataSource,
        page: &Page,
        (relation, target, function): (&str, &str, &str),
        cap: usize,
    ) -> Json {
        match computed::rollup(self.world, source, page, (relation, target, function)) {
            Outcome::Number(number) => {
                json!({"type": "number", "number": computed::number_json(number), "function": function})
            }
            Outcome::Date(date) => {
                json!({"type": "date", "date": computed::date_json(date.as_ref()), "function": function})
            }
            Outcome::List(_) => {
                let items = self.rollup_items(source, page, relation, target);
                let items: Vec<Json> = items.into_iter().take(cap).collect();
                json!({"type": "array", "array": items, "function": function})
            }
            _ => json!({"type": "unsupported", "unsupported": {}, "function": function}),
        }
    }

    /// The values a rollup lists, each without an id.
    pub(crate) fn rollup_items(
        self,
        source: &DataSource,
        page: &Page,
        relation: &str,
        target: &str,
    ) -> Vec<Json> {
        let Some(rolled) = computed::rolled_up(self.world, source, page, relation, target) else {
            return Vec::new();
        };
        // A rollup of a rollup would be able to run in circles.
        if matches!(rolled.property.kind, Kind::Rollup { .. }) {
            return Vec::new();
        }
        rolled
            .pages
            .iter()
            .map(|page| {
                let mut out = String::from("{");
                self.write_typed_value(&mut out, rolled.source, page, rolled.property, None);
                out.push('}');
                serde_json::from_str(&out).unwrap_or_default()
            })
            .collect()
    }

    pub(crate) fn file_json(self, file: &FileRef) -> Json {
        match &file.place {
            FilePlace::External(url) => {
                json!({"name": file.name, "type": "external", "external": {"url": url}})
            }
            FilePlace::Upload(id) => {
                let (url, expiry) = self.upload_address(*id);
                json!({"name": file.name, "type": "file", "file": {"url": url, "expiry_time": expiry}})
            }
        }
    }

    /// A user inside a value: full where the connection may see users.
    pub(crate) fn user_value_json(self, id: Uuid) -> Json {
        match self.world.user(id) {
            Some(user) if self.token.capabilities.user_information != UserInformation::None => {
                self.user_json(user)
            }
            _ => json!({"object": "user", "id": id.to_string()}),
        }
    }

    pub(crate) fn user_json(self, user: &User) -> Json {
        let with_email = self.token.capabilities.user_information == UserInformation::WithEmail;
        let mut json = json!({
            "object": "user", "id": user.id.to_string(), "name": user.name, "avatar_url": null,
        });
        match user.kind {
            UserKind::Bot => {
                json["type"] = "bot".into();
                json["bot"] = json!({});
            }
            UserKind::Person | UserKind::Guest => {
                json["type"] = "person".into();
                json["person"] = match &user.email {
                    Some(email) if with_email && user.kind == UserKind::Person => json!({"email": email}),
                    _ => json!({}),
                };
            }
        }
        json
    }

    /// Appends a database object; the oldest version puts the schema into it.
    pub(crate) fn write_database(self, out: &mut String, database: &Database) {
        out.push_str("{\"object\":\"database\",\"id\":");
        json::id(out, database.id);
        out.push_str(",\"title\":");
        rich_text::write(out, &database.title);
        out.push_str(",\"description\":");
        rich_text::write(out, &database.description);
        out.push_str(",\"parent\":");
        self.write_parent(out, database.parent);
        out.push_str(",\"is_inline\":");
        json::boolean(out, database.is_inline);
        out.push_str(",\"in_trash\":");
        json::boolean(out, database.in_trash);
        out.push_str(",\"is_locked\":");
        json::boolean(out, database.is_locked);
        out.push_str(",\"created_time\":");
        json::string(out, &clock::exact_text(database.created));
        out.push_str(",\"last_edited_time\":");
        json::string(out, &clock::exact_text(database.edited));
        if self.version.has_sources() {
            out.push_str(",\"data_sources\":");
            let sources = database.sources.iter().filter_map(|id| self.world.sources.get(id));
            write_list(out, sources.filter(|source| !source.in_trash), |out, source| {
                out.push_str("{\"id\":");
                json::id(out, source.id);
                out.push_str(",\"name\":");
                json::string(out, &rich_text::plain_text(&source.title));
                out.push('}');
            });
        } else {
            let user = |id: Uuid| json!({"object": "user", "id": id.to_string()});
            out.push_str(",\"created_by\":");
            json::tree(out, &user(database.created_by));
            out.push_str(",\"last_edited_by\":");
            json::tree(out, &user(database.edited_by));
            if let Some(source) = database.sources.first().and_then(|id| self.world.sources.get(id)) {
                out.push_str(",\"properties\":");
                self.write_schema(out, source);
            }
        }
        out.push_str(",\"icon\":");
        self.write_image(out, database.icon.as_ref());
        out.push_str(",\"cover\":");
        self.write_image(out, database.cover.as_ref());
        out.push_str(",\"url\":");
        json::string(out, &format!("https://app.notion.com/{}", database.id.simple()));
        out.push_str(",\"public_url\":null");
        if self.version.has_archived() {
            out.push_str(",\"archived\":");
            json::boolean(out, database.in_trash);
        }
        out.push('}');
    }

    fn write_schema(self, out: &mut String, source: &DataSource) {
        let hidden = self.world.hidden_targets(self.token, source);
        let shown = source.properties.iter().filter(
            |property| !matches!(&property.kind, Kind::Relation { source, .. } if hidden.contains(source)),
        );
        schema::write_all(out, self.world, source, shown);
    }

    pub(crate) fn write_source(self, out: &mut String, source: &DataSource) {
        let database = self.world.databases.get(&source.database);
        out.push_str("{\"object\":\"data_source\",\"id\":");
        json::id(out, source.id);
        out.push_str(",\"cover\":");
        self.write_image(out, database.and_then(|database| database.cover.as_ref()));
        out.push_str(",\"icon\":");
        self.write_image(out, source.icon.as_ref().or(database.and_then(|database| database.icon.as_ref())));
        self.write_times(out, source.created, source.edited, source.created_by, source.edited_by);
        out.push_str(",\"title\":");
        rich_text::write(out, &source.title);
        out.push_str(",\"description\":");
        rich_text::write(out, &source.description);
        out.push_str(",\"is_inline\":");
        json::boolean(out, database.is_some_and(|database| database.is_inline));
        out.push_str(",\"properties\":");
        self.write_schema(out, source);
        out.push_str(",\"parent\":");
        write_parent_id(out, "database_id", source.database);
        out.push_str(",\"database_parent\":");
        self.write_parent(out, database.map_or(Parent::Workspace, |database| database.parent));
        out.push_str(",\"url\":");
        json::string(out, &format!("https://app.notion.com/{}", source.database.simple()));
        out.push_str(",\"public_url\":null,\"in_trash\":");
        let in_trash = source.in_trash || database.is_some_and(|database| database.in_trash);
        json::boolean(out, in_trash);
        if self.version.has_archived() {
            out.push_str(",\"archived\":");
            json::boolean(out, in_trash);
        }
        out.push('}');
    }
}

fn write_parent_id(out: &mut String, key: &str, id: Uuid) {
    out.push_str("{\"type\":");
    json::string(out, key);
    out.push(',');
    json::string(out, key);
    out.push(':');
    json::id(out, id);
    out.push('}');
}

fn write_time(out: &mut String, at: Millis) {
    out.push('"');
    clock::write_minute(out, at);
    out.push('"');
}

/// Appends an array of what `write` writes.
pub(crate) fn write_list<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut String, T),
) {
    out.push('[');
    let mut first = true;
    for item in items {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}
