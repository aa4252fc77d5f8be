//! How one mapping's pages are found in their data source: everything the requests need, taken from its schema.

use crate::backup::Backup;

/// A data source and the properties beside the mapping's fields.
#[derive(Clone, Debug)]
pub struct Source {
    pub data_source: String,
    pub name: String,
    /// The property that carries the row's key.
    pub key_property: Option<TextProperty>,
    pub stamp: StampProperties,
    /// How whole rows are written, where the pages keep them.
    pub backup: Option<Backup>,
    /// Properties that expressions look at, by the names that these have for them.
    pub beside: Vec<BesideProperty>,
    /// Whether some field is the page's body, which costs a call a page.
    pub has_body: bool,
    /// IANA name of the zone in which a date without a time, or a time without an offset, is meant where the column
    /// holds points in time.
    pub zone: String,
}

/// A property that holds text: title, rich text, url, e-mail or phone number.
#[derive(Clone, Debug)]
pub struct TextProperty {
    pub id: String,
    pub name: String,
    /// Notion's word for its kind.
    pub kind: String,
}

/// A property that is read for the sake of others.
#[derive(Clone, Debug)]
pub struct BesideProperty {
    /// The expressions' word for it.
    pub name: String,
    pub id: String,
    /// Notion's word for its kind.
    pub kind: String,
}

/// Properties into which pagerow writes with each change.
#[derive(Clone, Debug, Default)]
pub struct StampProperties {
    /// A date.
    pub synced_at: Option<String>,
    /// A rich text.
    pub checksum: Option<String>,
    /// A checkbox.
    pub synced: Option<String>,
    /// A rich text.
    pub backup: Option<String>,
}
