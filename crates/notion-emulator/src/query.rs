//! How a query is answered: which index is walked, in what order, where a cursor goes on, and where the cap cuts.

use std::{
    borrow::Cow,
    cmp::Ordering,
    hash::{DefaultHasher, Hash, Hasher},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    at::{self, At},
    clock::{self, Millis},
    error::{ApiError, Result},
    filter::{self, Filter},
    ids::PropertyId,
    index::{self, Place},
    rich_text,
    schema::Kind,
    values::Value,
    world::{DataSource, Page, World},
};

/// A query after its body was checked.
pub(crate) struct Query {
    pub(crate) filter: Option<Filter>,
    pub(crate) sorts: Vec<Sort>,
    pub(crate) page_size: usize,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) archived: bool,
    /// Of everything that a cursor must not be carried over from.
    pub(crate) body_hash: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Sort {
    key: SortKey,
    descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum SortKey {
    Created,
    Edited,
    Property(PropertyId),
}

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cursor {
    body_hash: u64,
    /// The last row given.
    last: Place,
    given: u64,
    incomplete: bool,
}

/// One page of a query's rows.
pub(crate) struct Answer<'w> {
    pub(crate) rows: Vec<Cow<'w, Page>>,
    pub(crate) next: Option<Cursor>,
    /// More rows match than a query may give.
    pub(crate) incomplete: bool,
}

impl Cursor {
    /// The opaque text.
    pub(crate) fn to_text(self) -> String {
        let mut bytes = Vec::with_capacity(33);
        bytes.extend(self.body_hash.to_be_bytes());
        bytes.extend(self.last.0.to_be_bytes());
        bytes.extend(self.last.1.to_be_bytes());
        bytes.extend(self.given.to_be_bytes());
        bytes.push(u8::from(self.incomplete));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn from_text(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != 33 {
            return None;
        }
        let number = |from: usize| bytes[from..from + 8].try_into().map(u64::from_be_bytes).ok();
        let last = (bytes[8..16].try_into().map(i64::from_be_bytes).ok()?, number(16)?);
        Some(Self { body_hash: number(0)?, last, given: number(24)?, incomplete: bytes[32] == 1 })
    }
}

impl Query {
    /// Checks the body of `POST /v1/data_sources/{id}/query`.
    pub(crate) fn parse(source: &DataSource, body: &Json, now: Millis, at: &At) -> Result<Self> {
        let map = at::object(body, at)?;
        let keys = [
            "filter",
            "sorts",
            "page_size",
            "start_cursor",
            "result_type",
            "is_archived",
            "in_trash",
            "archived",
        ];
        at::only_keys(map, &keys, at)?;
        let filter = match map.get("filter") {
            None | Some(Json::Null) => None,
            Some(json) => Some(filter::parse(source, json, now, &at.key("filter"))?),
        };
        let sorts = match map.get("sorts") {
            None | Some(Json::Null) => Vec::new(),
            Some(json) => parse_sorts(source, json, &at.key("sorts"))?,
        };
        if let Some(kind) = map.get("result_type") {
            at::one_of(kind, &["page", "data_source"], &at.key("result_type"))?;
        }
        let mut hasher = DefaultHasher::new();
        source.id.hash(&mut hasher);
        for key in ["filter", "sorts", "is_archived", "result_type"] {
            map.get(key).map(ToString::to_string).hash(&mut hasher);
        }
        let body_hash = hasher.finish();
        let cursor = match map.get("start_cursor") {
            None | Some(Json::Null) => None,
            Some(json) => {
                let text = at::string(json, 2000, &at.key("start_cursor"))?;
                let cursor = Cursor::from_text(text).filter(|cursor| cursor.body_hash == body_hash);
                Some(cursor.ok_or_else(|| invalid_cursor(text))?)
            }
        };
        Ok(Self {
            filter,
            sorts,
            page_size: page_size(map.get("page_size"), &at.key("page_size"))?,
            cursor,
            archived: at::optional_boolean(map, "is_archived", at)?.unwrap_or(false),
            body_hash,
        })
    }

    /// Runs the query. Rows that the connection may not see one by one are `hidden`.
    pub(crate) fn run<'w>(
        &self,
        world: &'w World,
        source: &'w DataSource,
        hidden: &dyn Fn(Uuid) -> bool,
    ) -> Answer<'w> {
        let passes = |page: &Page| {
            !hidden(page.id) && self.filter.as_ref().is_none_or(|filter| filter.matches(world, source, page))
        };
        let now = world.now();
        let lagging = source.index.stale.values().flatten().any(|stale| stale.until > now);
        if lagging || self.archived {
            let rows = source.index.all.values().filter_map(|id| seen_by_queries(world, source, *id, now));
            let rows = rows.filter(|page| {
                let listed = if self.archived { page.is_archived && !page.in_trash } else { page.is_live() };
                listed && passes(page)
            });
            return self.sorted(world, source, rows.collect());
        }
        if let Some((property, text)) = self.filter.as_ref().and_then(Filter::exact_text) {
            let found = source.index.with_text(property, text, &world.pages);
            let rows = found.into_iter().filter_map(|(_, id)| world.pages.get(&id));
            return self.sorted(world, source, rows.filter(|page| passes(page)).map(Cow::Borrowed).collect());
        }
        match self.sorts.as_slice() {
            [] | [Sort { key: SortKey::Created | SortKey::Edited, .. }] => self.walk(world, source, &passes),
            _ => {
                let rows = source.index.created.values().filter_map(|id| world.pages.get(id));
                self.sorted(world, source, rows.filter(|page| passes(page)).map(Cow::Borrowed).collect())
            }
        }
    }

    /// Walks a time order from the cursor on, no further than the answer needs.
    fn walk<'w>(
        &self,
        world: &'w World,
        source: &'w DataSource,
        passes: &dyn Fn(&Page) -> bool,
    ) -> Answer<'w> {
        let (created, descending) = match self.sorts.first() {
            Some(sort) => (sort.key == SortKey::Created, sort.descending),
            None => (true, false),
        };
        let order = if created { &source.index.created } else { &source.index.edited };
        let span = self.filter.as_ref().map(|filter| filter.span(created));
        let mut from: Place = (span.map_or(Millis::MIN, |span| span.from), 0);
        let mut until: Place = (span.map_or(Millis::MAX, |span| span.until), 0);
        if let Some(cursor) = &self.cursor {
            if descending {
                until = until.min(cursor.last);
            } else {
                from = from.max((cursor.last.0, cursor.last.1 + 1));
            }
        }
        let cap = world.caps.results;
        let given = self.cursor.map_or(0, |cursor| usize::try_from(cursor.given).unwrap_or(usize::MAX));
        let size = self.page_size.min(cap.saturating_sub(given));
        // A later page was told whether the cap is reached; the first one has to look.
        // Without a filter to try, the number of rows is known without looking at them.
        let is_known = self.cursor.is_some() || (self.filter.is_none() && order.len() <= cap);
        let look = if is_known { size + 1 } else { cap + 1 };
        let mut rows: Vec<Cow<'w, Page>> = Vec::with_capacity(size);
        let mut last = None;
        let mut seen = 0;
        let mut visit = |place: &Place, id: &Uuid| {
            let Some(page) = world.pages.get(id) else { return true };
            if passes(page) {
                seen += 1;
                if rows.len() < size {
                    rows.push(Cow::Borrowed(page));
                    last = Some(*place);
                }
            }
            seen < look
        };
        if from < until {
            let range = order.range(from..until);
            if descending {
                for (place, id) in range.rev() {
                    if !visit(place, id) {
                        break;
                    }
                }
            } else {
                for (place, id) in range {
                    if !visit(place, id) {
                        break;
                    }
                }
            }
        }
        let incomplete = match &self.cursor {
            Some(cursor) => cursor.incomplete,
            None => seen > cap,
        };
        let total_given = given + rows.len();
        let more = seen > rows.len() && total_given < cap;
        let next = match last {
            Some(last) if more => Some(self.cursor_at(last, total_given, incomplete)),
            _ => None,
        };
        Answer { rows, next, incomplete }
    }

    /// Sorts all matching rows and cuts out the page asked for.
    fn sorted<'w>(&self, world: &World, source: &DataSource, rows: Vec<Cow<'w, Page>>) -> Answer<'w> {
        let cap = world.caps.results;
        let incomplete = rows.len() > cap;
        let mut keyed: Vec<(Vec<Key>, Cow<'w, Page>)> = rows
            .into_iter()
            .map(|page| (self.sorts.iter().map(|sort| sort.key_of(world, source, &page)).collect(), page))
            .collect();
        keyed.sort_by(|(keys_one, one), (keys_two, two)| {
            for ((one, two), sort) in keys_one.iter().zip(keys_two).zip(&self.sorts) {
                let order = Key::compare(one, two, sort.descending);
                if order != Ordering::Equal {
                    return order;
                }
            }
            let order = self.place_of(one).cmp(&self.place_of(two));
            if self.runs_backwards() { order.reverse() } else { order }
        });
        keyed.truncate(cap);
        let start = match &self.cursor {
            None => 0,
            // Live, not a snapshot: where the last row has left, rows may be skipped.
            Some(cursor) => keyed
                .iter()
                .position(|(_, page)| page.seq == cursor.last.1)
                .map_or(usize::try_from(cursor.given).unwrap_or(usize::MAX), |at| at + 1),
        };
        let end = (start.saturating_add(self.page_size)).min(keyed.len());
        let more = end < keyed.len();
        let rows: Vec<Cow<'w, Page>> =
            keyed.into_iter().take(end).skip(start).map(|(_, page)| page).collect();
        let next = match rows.last() {
            Some(page) if more => Some(self.cursor_at(self.place_of(page), end, incomplete)),
            _ => None,
        };
        Answer { rows, next, incomplete }
    }

    /// Where a row stands in the time order that the query walks, so that a cursor means the same to a walk and a sort.
    fn place_of(&self, page: &Page) -> Place {
        match self.sorts.first() {
            Some(Sort { key: SortKey::Edited, .. }) => (clock::minute(page.edited), page.seq),
            _ => index::created_place(page),
        }
    }

    fn runs_backwards(&self) -> bool {
        self.sorts.first().is_some_and(|sort| sort.descending && !matches!(sort.key, SortKey::Property(_)))
    }

    fn cursor_at(&self, last: Place, given: usize, incomplete: bool) -> Cursor {
        Cursor { body_hash: self.body_hash, last, given: given as u64, incomplete }
    }
}

/// The version of a row that queries see: an older one while the index lags.
fn seen_by_queries<'w>(
    world: &'w World,
    source: &'w DataSource,
    id: Uuid,
    now: Millis,
) -> Option<Cow<'w, Page>> {
    let stale = source.index.stale.get(&id).and_then(|stale| stale.iter().find(|stale| stale.until > now));
    match stale {
        Some(stale) => stale.page.as_deref().map(Cow::Borrowed),
        None => world.pages.get(&id).map(Cow::Borrowed),
    }
}

/// What is said of a cursor that is unknown, or belongs to another body.
pub(crate) fn invalid_cursor(text: &str) -> ApiError {
    ApiError::validation(format!("The start_cursor provided is invalid: {text}"))
}

/// Reads a page size from a body; 100 when absent.
pub(crate) fn page_size(json: Option<&Json>, at: &At) -> Result<usize> {
    match json {
        None | Some(Json::Null) => Ok(100),
        Some(json) => {
            let size = json.as_u64().ok_or_else(|| at.should_be("a number", Some(json)))?;
            match usize::try_from(size) {
                Ok(size @ 1..=100) => Ok(size),
                Ok(0) => Err(ApiError::body(format_args!("{at} should be ≥ `1`, instead was `0`."))),
                _ => Err(ApiError::body(format_args!("{at} should be ≤ `100`, instead was `{size}`."))),
            }
        }
    }
}

fn parse_sorts(source: &DataSource, json: &Json, at: &At) -> Result<Vec<Sort>> {
    let mut sorts = Vec::new();
    for (index, json) in at::array(json, 100, at)?.iter().enumerate() {
        let at = at.index(index);
        let map = at::object(json, &at)?;
        at::only_keys(map, &["property", "timestamp", "direction"], &at)?;
        let direction = match map.get("direction") {
            None => "ascending",
            Some(word) => at::one_of(word, &["ascending", "descending"], &at.key("direction"))?,
        };
        let key = if let Some(word) = map.get("timestamp") {
            match at::one_of(word, &["created_time", "last_edited_time"], &at.key("timestamp"))? {
                "created_time" => SortKey::Created,
                _ => SortKey::Edited,
            }
        } else {
            let key = at::string(at::required(map, "property", &at)?, 2000, &at.key("property"))?;
            let property = source.property(key).ok_or_else(|| filter::unknown_property(key))?;
            match property.kind {
                Kind::CreatedTime => SortKey::Created,
                Kind::LastEditedTime => SortKey::Edited,
                _ => SortKey::Property(property.id.clone()),
            }
        };
        sorts.push(Sort { key, descending: direction == "descending" });
    }
    Ok(sorts)
}

/// What a row is sorted by.
#[derive(Clone, Debug, PartialEq)]
enum Key {
    Empty,
    Number(f64),
    Text(String),
}

impl Key {
    /// Empty values come last in both directions.
    fn compare(one: &Self, two: &Self, descending: bool) -> Ordering {
        let order = match (one, two) {
            (Self::Empty, Self::Empty) => return Ordering::Equal,
            (Self::Empty, _) => return Ordering::Greater,
            (_, Self::Empty) => return Ordering::Less,
            (Self::Number(one), Self::Number(two)) => one.total_cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        if descending { order.reverse() } else { order }
    }
}

#[expect(clippy::cast_precision_loss, reason = "times, counts and row numbers are far below 2^53")]
impl Sort {
    fn key_of(&self, world: &World, source: &DataSource, page: &Page) -> Key {
        let id = match &self.key {
            SortKey::Created => return Key::Number(clock::minute(page.created) as f64),
            SortKey::Edited => return Key::Number(clock::minute(page.edited) as f64),
            SortKey::Property(id) => id,
        };
        let Some(property) = source.by_id(id) else { return Key::Empty };
        let position = |id: &str| {
            let (options, _) = property.kind.options()?;
            options.iter().position(|choice| &*choice.id == id)
        };
        let user = |id: Uuid| world.user(id).map_or(Key::Empty, |user| Key::Text(user.name.to_lowercase()));
        match (&property.kind, page.value(id)) {
            (Kind::Checkbox, value) => Key::Number(f64::from(u8::from(value.is_some()))),
            (Kind::CreatedBy, _) => user(page.created_by),
            (Kind::LastEditedBy, _) => user(page.edited_by),
            (_, None) => Key::Empty,
            (_, Some(value)) => match value {
                Value::RichText(items) => Key::Text(rich_text::plain_text(items).to_lowercase()),
                Value::Text(text) => Key::Text(text.to_lowercase()),
                Value::Number(number) => Key::Number(*number),
                Value::UniqueId(number) => Key::Number(*number as f64),
                Value::Select(id) => position(id).map_or(Key::Empty, |at| Key::Number(at as f64)),
                Value::MultiSelect(ids) => {
                    ids.first().and_then(|id| position(id)).map_or(Key::Empty, |at| Key::Number(at as f64))
                }
                Value::Date(date) => Key::Number(date.start.at as f64),
                Value::People(ids) => ids.first().map_or(Key::Empty, |id| user(*id)),
                Value::Files(files) => files.first().map_or(Key::Empty, |file| Key::Text(file.name.clone())),
                Value::Relation(ids) => match ids.first().and_then(|id| world.pages.get(id)) {
                    Some(page) => Key::Text(page.title().to_lowercase()),
                    None => Key::Empty,
                },
                Value::Checkbox(_) | Value::Verified { .. } => Key::Number(1.0),
            },
        }
    }
}
