//! Text and JSON of what commands answer. Pure: values in, text out.

pub(super) mod attention;
pub(super) mod audit;
pub(super) mod difference;
pub(super) mod history;
pub(super) mod matches;
pub(super) mod paused;
pub(super) mod plan_json;
pub(super) mod plan_text;
pub(super) mod report;
pub(super) mod rewind;
pub(super) mod side_by_side;
pub(super) mod status;
pub(super) mod table;
pub(super) mod undo;
pub(super) mod value;
pub(super) mod verdict;
