//! Chapters to read, besides the documentation of each call.

#[doc = include_str!("guide/migration.md")]
pub mod migration {}
