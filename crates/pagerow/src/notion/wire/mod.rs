//! Notion's JSON as types that expect surprises: unknown keys are ignored, unknown kinds are kept as they came.
//!
//! Decoding never goes through `serde_json::Value` and never guesses: a value whose shape we do not know stays
//! opaque JSON, an element of a list that cannot be read is named and the others are kept.

mod child;
mod database;
mod list;
mod markdown;
mod number;
mod opaque;
mod page;
mod property;
mod property_id;
mod property_item;
mod rich_text;
mod schema;
mod tagged;
mod user;

#[cfg(test)]
mod fixtures;

pub use child::Child;
pub use database::{DataSource, DataSourceRef, Database};
pub use list::{Entry, ListPage, RequestStatus, WhereItBroke, WireObject};
pub use markdown::PageMarkdown;
pub use number::Number;
pub use opaque::Opaque;
pub use page::{Page, Parent};
pub use property::{
    DateValue, FileLocation, FileValue, Formula, INLINE_LIMIT, Property, PropertyValue, Rollup, RollupValue,
    SelectOption, UniqueId, Verification,
};
pub use property_id::PropertyId;
pub use property_item::{Items, PropertyItemPage, PropertyItems};
pub use rich_text::{RichText, RichTextItem};
pub use schema::{DualProperty, PropertyConfig, PropertySchema, StatusGroup};
pub use user::{Bot, User, UserKind, WorkspaceLimits};
