//! Names and numbers that identify things, checked where they are made.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// Number of a change within its event: 1, 2, 3 … without gaps. 0 stands for "before the first".
pub type Seq = i64;

/// Version of what people edit of an event or allocation: 1 when created, one more with each edit.
pub type Version = i64;

/// Why a text is not an id. The message completes a sentence that begins with the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub &'static str);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// Where it does not have the form of such an id.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Id of an event: 1-63 of `a-z0-9-`, neither first nor last a `-` (AIP-122).
    EventId,
    check_segment
);
text_id!(
    /// Id of an allocation within its event, of the form of an [`EventId`].
    AllocationId,
    check_segment
);
text_id!(
    /// Who owns a reservation, as authentication names him: 1-128 printable ASCII characters without spaces.
    OwnerId,
    check_owner
);
text_id!(
    /// The buyer's order or payment: 1-128 characters, none of them a control character.
    OrderRef,
    check_order_ref
);

fn check_segment(text: &str) -> Result<(), InvalidId> {
    let bytes = text.as_bytes();
    let allowed = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    if bytes.is_empty()
        || bytes.len() > 63
        || !bytes.iter().all(allowed)
        || text.starts_with('-')
        || text.ends_with('-')
    {
        return Err(InvalidId("must be 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'"));
    }
    Ok(())
}

fn check_owner(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() || text.len() > 128 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(InvalidId("must be 1 to 128 printable ASCII characters without spaces"));
    }
    Ok(())
}

fn check_order_ref(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() || text.chars().count() > 128 || text.chars().any(char::is_control) {
        return Err(InvalidId("must be 1 to 128 characters, none of them a control character"));
    }
    Ok(())
}

/// Id of a reservation within its event: a UUID that the client chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(Uuid);

impl ReservationId {
    /// Reads a UUID.
    ///
    /// # Errors
    /// Where `text` is none.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        // The hyphenated form alone: one reservation has one name.
        let uuid = if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
        uuid.map(Self).ok_or(InvalidId("must be a UUID like 0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71"))
    }

    /// The id as a UUID.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl From<Uuid> for ReservationId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A buyer. Of a reservation's own changes: its owner.
    Owner(OwnerId),
    /// An operator, by name.
    Admin(OwnerId),
    /// Boxoffice itself: expiry.
    System,
}

impl Actor {
    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// Where `text` names nobody.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        match text.split_once(':') {
            None if text == "system" => Ok(Self::System),
            Some(("admin", name)) => OwnerId::new(name).map(Self::Admin),
            Some(("owner", name)) => OwnerId::new(name).map(Self::Owner),
            _ => Err(InvalidId("must be system, admin:NAME or owner:NAME")),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => write!(f, "owner:{owner}"),
            Self::Admin(name) => write!(f, "admin:{name}"),
            Self::System => f.write_str("system"),
        }
    }
}
