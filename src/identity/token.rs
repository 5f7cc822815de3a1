//! A token taken apart, and what can be wrong with one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::claims::Claims;
use super::key::Algorithm;

/// Longest token. Longer ones are refused before anything is computed from them.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Why a token proves nothing. The messages tell nothing of the token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// More than [`TOKEN_BYTES_MAX`].
    #[error("the token is too long: at most 8 KiB are read")]
    TooLong,
    /// Not a signed JWT, or one with a claim that is none.
    #[error("the token is not a signed JWT")]
    Malformed,
    /// `none`, or something that no key is for.
    #[error("the token's algorithm is not one of this server's keys")]
    Algorithm,
    /// It names a key that is not here.
    #[error("the token's key (kid) is not known to this server")]
    UnknownKey,
    /// It was made with another key, or changed since.
    #[error("the token's signature is not right")]
    Signature,
    /// It has no end.
    #[error("the token has no exp claim: tokens must expire")]
    NoExpiry,
    /// It is over.
    #[error("the token has expired")]
    Expired,
    /// It has not begun.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is meant for somebody else.
    #[error("the token is not meant for this server (aud)")]
    WrongAudience,
    /// It was issued by somebody else.
    #[error("the token was issued by somebody else (iss)")]
    WrongIssuer,
    /// None, or none of the three.
    #[error("the token's role claim must be buyer, gateway or admin")]
    UnknownRole,
    /// It cannot own anything.
    #[error("the token's sub claim must be 1 to 128 printable ASCII characters without spaces")]
    BadSubject,
}

/// The header members that matter (RFC 7515, section 4.1). All that say where a key might be had (`jwk`, `jku`, `x5u`, `x5c`)
/// are ignored: keys come from the operator.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// The parts of a token, none of which is to be believed before its signature is checked.
pub(super) struct Parts<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    payload: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes `token` apart.
    pub(super) fn of(token: &'a str) -> Result<Self, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        // What is critical must be understood, and nothing of the kind is.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let algorithm = Algorithm::of_name(&header.alg).ok_or(TokenError::Algorithm)?;
        Ok(Self { algorithm, kid: header.kid, signed: signed.as_bytes(), signature: decode(signature)?, payload })
    }

    /// What it says. Only for tokens whose signature was checked.
    pub(super) fn claims(&self) -> Result<Claims, TokenError> {
        serde_json::from_slice(&decode(self.payload)?).map_err(|_| TokenError::Malformed)
    }
}

/// Base64 for URLs without padding, in its one valid form.
fn decode(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)
}
