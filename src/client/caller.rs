//! Who calls, as metadata.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use super::Error;

const OWNER_KEY: &str = "boxoffice-owner";
const TOKEN_KEY: &str = "authorization";
const PASS_KEY: &str = "boxoffice-pass";

/// Who calls: nobody (events can be read), an owner, or the bearer of a token. A gateway bears a token and names the owner.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    owner: Option<MetadataValue<Ascii>>,
    /// Marked as sensitive, so that it is neither shown nor kept in header tables.
    token: Option<MetadataValue<Ascii>>,
    pass: Option<MetadataValue<Ascii>>,
}

impl Caller {
    /// Whoever `owner` names. Servers believe it in development (`serve --dev`), and gateways always.
    ///
    /// # Errors
    /// [`Error::Unusable`]: not 1 or more printable ASCII characters without spaces.
    pub fn owner(owner: &str) -> Result<Self, Error> {
        Self::default().on_behalf_of(owner)
    }

    /// The bearer of a token, without the word `Bearer`.
    ///
    /// # Errors
    /// [`Error::Unusable`]: not 1 or more printable ASCII characters without spaces.
    pub fn token(token: &str) -> Result<Self, Error> {
        let mut token = value("a token", token, &format!("Bearer {token}"))?;
        token.set_sensitive(true);
        Ok(Self { token: Some(token), ..Self::default() })
    }

    /// The same on behalf of `owner`, as gateways call.
    ///
    /// # Errors
    /// [`Error::Unusable`]: not 1 or more printable ASCII characters without spaces.
    pub fn on_behalf_of(self, owner: &str) -> Result<Self, Error> {
        Ok(Self { owner: Some(value("an owner's name", owner, owner)?), ..self })
    }

    /// The same with a pass of the event's waiting room (`WaitingRoomService`), as long as it is good.
    ///
    /// # Errors
    /// [`Error::Unusable`]: not 1 or more printable ASCII characters without spaces.
    pub fn with_pass(self, pass: &str) -> Result<Self, Error> {
        Ok(Self { pass: Some(value("a pass", pass, pass)?), ..self })
    }

    /// Says on a call who makes it: for calls that [`Client`](super::Client) does not make.
    pub fn stamp(&self, metadata: &mut MetadataMap) {
        for (key, value) in [(OWNER_KEY, &self.owner), (TOKEN_KEY, &self.token), (PASS_KEY, &self.pass)] {
            if let Some(value) = value {
                metadata.insert(key, value.clone());
            }
        }
    }
}

/// A token must not show in an error, so the text is not repeated there.
fn value(what: &str, text: &str, header: &str) -> Result<MetadataValue<Ascii>, Error> {
    let usable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let header = usable.then(|| MetadataValue::try_from(header).ok()).flatten();
    header.ok_or_else(|| Error::Unusable(format!("{what} must be printable ASCII characters without spaces")))
}
