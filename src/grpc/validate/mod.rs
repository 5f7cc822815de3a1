//! The shape of every request: what can be checked without knowing the event's state.
//!
//! A valid request costs no allocation here beyond its own ids. Of an invalid one all violations are collected.

mod admin;
mod fields;
#[cfg(test)]
mod hostile;
mod inventory;
#[cfg(test)]
mod tests;
mod waiting_room;

use std::borrow::Cow;
use std::fmt;

pub(super) use self::admin::*;
pub(super) use self::inventory::*;
pub(super) use self::waiting_room::*;

/// Most violations that are told of one request: they travel in a header, and some clients take no more than 8 KiB of them.
const VIOLATIONS_MAX: usize = 20;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// For programs: `INVALID_…`.
    pub(super) reason: &'static str,
    /// The path of the field.
    pub(super) field: String,
    /// Completes a sentence that begins with the field.
    pub(super) description: Cow<'static, str>,
}

/// What is wrong with a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    /// One alone.
    pub(super) fn one(reason: &'static str, field: &str, description: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![Violation { reason, field: field.to_owned(), description: description.into() }])
    }

    /// All of them, in order of the fields.
    pub(super) fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    fn add(&mut self, reason: &'static str, path: Path<'_>, description: impl Into<Cow<'static, str>>) {
        if self.0.len() < VIOLATIONS_MAX {
            self.0.push(Violation { reason, field: path.to_string(), description: description.into() });
        }
    }

    /// `value` if nothing is wrong. It is `None` only where a violation was added.
    fn check<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

/// Where a field stands in a request. It lives on the stack, and becomes text only for a violation.
#[derive(Clone, Copy)]
enum Path<'a> {
    /// The request itself.
    Request,
    /// A field of a message.
    Field(&'a Path<'a>, &'static str),
    /// An element of a list.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    const fn field(&'a self, name: &'static str) -> Self {
        Self::Field(self, name)
    }

    const fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => Ok(()),
            Self::Field(Self::Request, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(list, index) => write!(f, "{list}[{index}]"),
        }
    }
}
