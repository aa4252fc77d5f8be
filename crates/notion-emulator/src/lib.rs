//! A Notion in a box.
