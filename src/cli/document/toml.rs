//! The event and its allocations as TOML.

use serde::{Deserialize as _, Deserializer};

use super::Document;
use crate::cli::failure::Failure;

pub(super) fn read(text: &str) -> Result<Document, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn write(document: &Document) -> Result<String, Failure> {
    toml::to_string(document).map_err(|error| Failure::Failed(format!("cannot write it as TOML: {error}")))
}

/// A time may be a text or one of TOML's own.
pub(super) fn time_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match toml::Value::deserialize(from)? {
        toml::Value::String(text) => Ok(Some(text)),
        toml::Value::Datetime(time) => Ok(Some(time.to_string())),
        other => Err(serde::de::Error::custom(format!("a time was expected, not {}", other.type_str()))),
    }
}
