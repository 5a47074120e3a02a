//! What sources that read files share: which file is which, and its content by offset.

mod content;
mod identity;

pub(in crate::sources) use content::{Content, has_gzip_name};
pub(in crate::sources) use identity::{FileId, Stamp};
