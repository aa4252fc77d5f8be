//! The settings of `[sync]`, which every mapping inherits and may set anew.

use std::time::Duration;

use pagerow_core::{
    mapping::{Flow, OnPageTrashed, OnRowDeleted, Policy},
    record::PageId,
};

use super::{
    error::ConfigError,
    nearest::nearest,
    quantity::{Percent, parse_duration},
    reader::Reader,
    source::Setting,
};

/// How a mapping behaves.
#[derive(Clone, Debug)]
pub struct Rules {
    pub direction: Setting<Flow>,
    pub on_conflict: Policy,
    pub on_row_deleted: OnRowDeleted,
    pub on_page_trashed: Setting<OnPageTrashed>,
    /// Between two looks at what Notion changed.
    pub interval: Duration,
    /// Between two looks at which pages are still there.
    pub sweep_interval: Duration,
    /// Between two full compares of both sides.
    pub compare_interval: Duration,
    pub capture: Setting<Capture>,
    pub max_deletes: Percent,
    pub max_attempts: u32,
    pub new_options: NewOptions,
    /// IANA name of the zone in which times without a zone are meant.
    pub time_zone: String,
    /// Under which page databases are made.
    pub parent_page: Option<Setting<PageId>>,
}

/// How changed rows are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Triggers write the keys of changed rows down, once `schema apply` has installed them. Until then as with `Off`.
    Triggers,
    /// By the column that says when a row was last edited.
    Poll,
    /// By the transactions that wrote the rows; nothing is installed, and each look goes through the table.
    Off,
}

/// What to do with an option that the property lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewOptions {
    /// Writing it makes it.
    Create,
    /// The record is parked.
    Refuse,
}

pub(super) const FLOWS: [(&str, Flow); 3] =
    [("both", Flow::Both), ("to_notion", Flow::ToNotion), ("to_postgres", Flow::ToPostgres)];
pub(super) const CAPTURES: [(&str, Capture); 3] =
    [("triggers", Capture::Triggers), ("poll", Capture::Poll), ("off", Capture::Off)];
pub(super) const NEW_OPTIONS: [(&str, NewOptions); 2] =
    [("create", NewOptions::Create), ("refuse", NewOptions::Refuse)];

impl Default for Rules {
    fn default() -> Self {
        Self {
            direction: Setting::default_of("sync.direction", Flow::Both),
            on_conflict: Policy::Manual,
            on_row_deleted: OnRowDeleted::Trash,
            on_page_trashed: Setting::default_of("sync.on_page_trashed", OnPageTrashed::Ask),
            interval: Duration::from_secs(60),
            sweep_interval: Duration::from_secs(3_600),
            compare_interval: Duration::from_secs(86_400),
            capture: Setting::default_of("sync.capture", Capture::Triggers),
            max_deletes: Percent::OF_DELETES,
            max_attempts: 3,
            new_options: NewOptions::Refuse,
            time_zone: "UTC".to_owned(),
            parent_page: None,
        }
    }
}

impl Rules {
    /// These rules with what a table says anew.
    pub(super) fn overridden_by(&self, reader: &Reader<'_>) -> Self {
        let mut rules = self.clone();
        fn put<T>(place: &mut T, setting: Option<Setting<T>>) {
            if let Some(setting) = setting {
                *place = setting.value;
            }
        }
        if let Some(direction) = reader.word("direction", &FLOWS) {
            rules.direction = direction;
        }
        put(
            &mut rules.on_conflict,
            reader.word(
                "on_conflict",
                &[
                    ("manual", Policy::Manual),
                    ("last_write_wins", Policy::LastWriteWins),
                    ("prefer_postgres", Policy::PreferPostgres),
                    ("prefer_notion", Policy::PreferNotion),
                ],
            ),
        );
        put(
            &mut rules.on_row_deleted,
            reader.word(
                "on_row_deleted",
                &[("trash", OnRowDeleted::Trash), ("keep", OnRowDeleted::Keep), ("ask", OnRowDeleted::Ask)],
            ),
        );
        if let Some(trashed) = reader.word(
            "on_page_trashed",
            &[
                ("ask", OnPageTrashed::Ask),
                ("soft_delete", OnPageTrashed::SoftDelete),
                ("delete", OnPageTrashed::Delete),
                ("restore", OnPageTrashed::Restore),
                ("keep", OnPageTrashed::Keep),
            ],
        ) {
            rules.on_page_trashed = trashed;
        }
        put(&mut rules.interval, reader.duration("interval"));
        put(&mut rules.sweep_interval, reader.duration("sweep_interval"));
        put(&mut rules.compare_interval, reader.duration("compare_interval"));
        if let Some(capture) = reader.word("capture", &CAPTURES) {
            rules.capture = capture;
        }
        put(&mut rules.max_deletes, reader.percent("max_deletes"));
        if let Some(attempts) = reader.integer("max_attempts", 1..=1_000) {
            rules.max_attempts = u32::try_from(attempts.value).unwrap_or(u32::MAX);
        }
        put(&mut rules.new_options, reader.word("new_options", &NEW_OPTIONS));
        if let Some(zone) = reader.text("time_zone") {
            match jiff::tz::TimeZone::get(&zone) {
                Ok(_) => rules.time_zone = zone.value,
                Err(_) => reader.complaints().add(unknown_zone(reader, &zone)),
            }
        }
        if let Some(page) = reader.text("parent_page") {
            match PageId::parse(&page) {
                Some(id) => rules.parent_page = Some(page.map(|_| id)),
                None => reader.complain_at(
                    &page.place,
                    "wrong_id",
                    "parent_page",
                    "`parent_page` takes a page's id or address".to_owned(),
                ),
            }
        }
        rules
    }
}

/// How long the history is kept where nobody says otherwise.
pub(super) const KEEP_HISTORY: Duration = Duration::from_secs(365 * 86_400);

/// `keep_history`, which is the whole configuration's and no mapping's; `None`: for ever.
pub(super) fn keep_history(reader: &Reader<'_>) -> Option<Duration> {
    let Some(text) = reader.text("keep_history") else { return Some(KEEP_HISTORY) };
    if text.value == "forever" {
        return None;
    }
    let keep = parse_duration(&text).filter(|keep| *keep >= Duration::from_secs(86_400));
    if keep.is_none() {
        let message =
            "`keep_history` takes a duration of a day or more, such as \"90d\", or \"forever\"".to_owned();
        reader.complain_at(&text.place, "wrong_duration", "keep_history", message);
    }
    keep
}

fn unknown_zone(reader: &Reader<'_>, zone: &Setting<String>) -> ConfigError {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    ConfigError::at(
        reader.complaints().source,
        &zone.place,
        "unknown_zone",
        &zone.key,
        "`time_zone` takes the IANA name of a time zone, such as \"Europe/Berlin\"",
    )
    .suggest(nearest(zone, names.iter().map(String::as_str)))
}
