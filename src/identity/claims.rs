//! What a token says, and whether it holds now and here.

use std::time::Duration;

use serde::Deserialize;

use super::token::TokenError;
use crate::domain::OwnerId;

/// How far the clocks of whoever issues tokens and of this server may be apart, for `exp` and `nbf`.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(30);

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reserve and buy for himself.
    Buyer,
    /// A trusted backend, which reserves and buys for buyers that it names.
    Gateway,
    /// Run sales. Not a buyer.
    Admin,
}

impl Role {
    /// Its name in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Gateway => "gateway",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Buyer, Self::Gateway, Self::Admin].into_iter().find(|each| each.as_str() == name)
    }
}

/// Who somebody is, as a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The `sub`.
    pub subject: OwnerId,
    /// The `role`.
    pub role: Role,
    /// Until when it holds, since the epoch: `exp` and [`CLOCK_LEEWAY`].
    pub valid_until: Duration,
}

/// What tokens must say besides.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// `aud` must be, or contain, this. Where it is not set, tokens for any audience are refused (RFC 7519, section 4.1.3).
    pub audience: Option<String>,
    /// `iss` must be this. Where it is not set, any will do: whoever has the key may issue.
    pub issuer: Option<String>,
}

/// The claims that matter. A claim that stands twice is refused by the reading.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<String>,
    role: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    aud: Option<Audience>,
    iss: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Who it is, if the token is for this server and holds at `now` (since the epoch).
    pub(super) fn check(self, expected: &Expected, now: Duration) -> Result<Identity, TokenError> {
        let exp = self.exp.ok_or(TokenError::NoExpiry).and_then(date)?;
        let valid_until = exp.checked_add(CLOCK_LEEWAY).ok_or(TokenError::Malformed)?;
        if now >= valid_until {
            return Err(TokenError::Expired);
        }
        if let Some(nbf) = self.nbf
            && date(nbf)? > now.saturating_add(CLOCK_LEEWAY)
        {
            return Err(TokenError::NotYetValid);
        }
        match (&expected.audience, self.aud) {
            (None, None) => {}
            (Some(ours), Some(theirs)) if theirs.names(ours) => {}
            _ => return Err(TokenError::WrongAudience),
        }
        if expected.issuer.is_some() && expected.issuer != self.iss {
            return Err(TokenError::WrongIssuer);
        }
        let role = self.role.as_deref().and_then(Role::of_name).ok_or(TokenError::UnknownRole)?;
        let subject = OwnerId::new(self.sub.as_deref().unwrap_or_default()).map_err(|_| TokenError::BadSubject)?;
        Ok(Identity { subject, role, valid_until })
    }
}

impl Audience {
    fn names(&self, ours: &str) -> bool {
        match self {
            Self::One(theirs) => theirs == ours,
            Self::Several(theirs) => theirs.iter().any(|each| each == ours),
        }
    }
}

/// A `NumericDate`: seconds since the epoch, perhaps with a fraction.
fn date(seconds: f64) -> Result<Duration, TokenError> {
    Duration::try_from_secs_f64(seconds).map_err(|_| TokenError::Malformed)
}
