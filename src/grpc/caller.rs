//! Who calls, and what he may do. The owner comes from authentication, never from a field of the request.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tonic::codegen::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tonic::{Request, Status};

use super::errors;
use super::validate::Violations;
use crate::domain::{Actor, OwnerId};
use crate::identity::{Identity, Role, Verifier};
use crate::rate::{Key, Scope};

/// The metadata key that names the owner.
pub const OWNER_KEY: &str = "boxoffice-owner";
/// The operator of a server in development, where nobody is named.
const DEV_ADMIN: &str = "dev";
/// What stands before the token (RFC 6750).
const SCHEME: &str = "bearer";

/// How callers prove who they are.
#[derive(Clone)]
pub enum Authentication {
    /// Not at all: everybody is who he says, and may do everything. For development, on loopback alone.
    Dev,
    /// With a token in `authorization`.
    Tokens(Arc<Verifier>),
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dev => "Dev",
            Self::Tokens(_) => "Tokens",
        })
    }
}

/// Who sent a request. It stands among the request's extensions; a request without one is served by no handler.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Anybody. He may have named an owner.
    Dev(Option<OwnerId>),
    /// Somebody with a valid token.
    Known {
        identity: Arc<Identity>,
        /// The owner that he named.
        named: Option<OwnerId>,
        /// The end of his token.
        valid_until: Option<Instant>,
    },
}

impl Authentication {
    /// Finds out who sent a request, and takes the token out of its headers: whatever looks at them later, and perhaps
    /// writes them to a log, has no token to write.
    pub(crate) fn identify(&self, headers: &mut HeaderMap) -> Result<Caller, Status> {
        match self {
            Self::Dev => {
                headers.remove(AUTHORIZATION);
                named(headers).map(Caller::Dev)
            }
            Self::Tokens(verifier) => {
                let now = now();
                let proved = token(headers).and_then(|token| {
                    verifier.verify(token, now).map_err(|error| errors::unauthenticated(error.to_string()))
                });
                headers.remove(AUTHORIZATION);
                let identity = proved?;
                let named = named(headers)?;
                if identity.role != Role::Gateway && named.as_ref().is_some_and(|named| *named != identity.subject) {
                    return Err(errors::permission_denied("only a gateway may name another owner in boxoffice-owner"));
                }
                // A time too far away to be told is none.
                let valid_until = Instant::now().checked_add(identity.valid_until.saturating_sub(now));
                Ok(Caller::Known { identity, named, valid_until })
            }
        }
    }
}

impl Caller {
    /// Who sent `request`.
    pub(super) fn of<T>(request: &Request<T>) -> Result<&Self, Status> {
        request.extensions().get().ok_or_else(|| {
            tracing::error!("a request came to its handler without being authenticated");
            errors::internal()
        })
    }

    /// The owner for whom a buyer's call is made.
    pub(super) fn owner(&self) -> Result<OwnerId, Status> {
        match self {
            Self::Dev(named) => named.clone().ok_or_else(|| {
                errors::unauthenticated("no owner: send the metadata key boxoffice-owner with the name of the buyer")
            }),
            Self::Known { identity, named, .. } => match identity.role {
                Role::Buyer => Ok(identity.subject.clone()),
                Role::Gateway => named.clone().ok_or_else(|| wrong_owner("must name the buyer: a gateway is none")),
                Role::Admin => Err(errors::permission_denied("an admin is not a buyer")),
            },
        }
    }

    /// Whose limits a call counts against: the buyer's first, so that one who calls too often does not use up what his gateway
    /// may. An operator has none, nor has whoever calls a server in development without a name.
    pub(crate) fn limited<'a>(&'a self) -> impl Iterator<Item = Key<'a>> + use<'a> {
        let (buyer, gateway) = match self {
            Self::Dev(named) => (named.as_ref(), None),
            Self::Known { identity, named, .. } => match identity.role {
                Role::Buyer => (Some(&identity.subject), None),
                Role::Gateway => (named.as_ref(), Some(&identity.subject)),
                Role::Admin => (None, None),
            },
        };
        let key = |scope, name: Option<&'a OwnerId>| name.map(|name| Key { scope, name: name.as_str() });
        key(Scope::Owner, buyer).into_iter().chain(key(Scope::Gateway, gateway))
    }

    /// Whether the caller may name the owners of a batch.
    pub(super) fn may_name_owners(&self) -> Result<(), Status> {
        match self {
            Self::Dev(_) => Ok(()),
            Self::Known { identity, .. } => match identity.role {
                Role::Gateway => Ok(()),
                Role::Buyer | Role::Admin => Err(errors::permission_denied("only a gateway may name owners")),
            },
        }
    }

    /// The operator who calls.
    pub(crate) fn admin(&self) -> Result<Actor, Status> {
        match self {
            Self::Dev(Some(name)) => Ok(Actor::Admin(name.clone())),
            Self::Dev(None) => OwnerId::new(DEV_ADMIN).map(Actor::Admin).map_err(|_| errors::internal()),
            Self::Known { identity, .. } => match identity.role {
                Role::Admin => Ok(Actor::Admin(identity.subject.clone())),
                Role::Buyer | Role::Gateway => Err(errors::permission_denied("only an admin may do this")),
            },
        }
    }

    /// When the caller's right to be answered ends.
    pub(super) const fn valid_until(&self) -> Option<Instant> {
        match self {
            Self::Dev(_) => None,
            Self::Known { valid_until, .. } => *valid_until,
        }
    }
}

/// The time by this server's clock, since the epoch.
#[expect(clippy::disallowed_methods, reason = "tokens are checked before any database is asked, by the server's clock")]
fn now() -> Duration {
    // A clock before 1970 makes every token one of the future. None is then valid that says from when on it is.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The token that was sent. Never a part of a message.
fn token(headers: &HeaderMap) -> Result<&str, Status> {
    let wrong = errors::unauthenticated;
    let value = match only(headers.get_all(AUTHORIZATION).iter()) {
        Ok(Some(value)) => value,
        Ok(None) => return Err(wrong("no token: send the metadata key authorization with Bearer and a token")),
        Err(Twice) => return Err(wrong("authorization must be sent once")),
    };
    let form = || wrong("authorization must be Bearer and a token");
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(form)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.is_empty() {
        return Err(form());
    }
    Ok(token)
}

/// The owner that the metadata names, if any.
fn named(headers: &HeaderMap) -> Result<Option<OwnerId>, Status> {
    let value = match only(headers.get_all(OWNER_KEY).iter()) {
        Ok(Some(value)) => value,
        Ok(None) => return Ok(None),
        Err(Twice) => return Err(wrong_owner("must be sent once")),
    };
    let text = value.to_str().map_err(|_| wrong_owner("must be 1 to 128 printable ASCII characters without spaces"))?;
    OwnerId::new(text).map(Some).map_err(|error| wrong_owner(error.0))
}

fn wrong_owner(description: &'static str) -> Status {
    Violations::one("INVALID_OWNER", OWNER_KEY, description).into()
}

/// A header was sent more than once. Somebody before us might have checked another of its values than we would.
pub(super) struct Twice;

/// The one value of a header, if it was sent.
pub(super) fn only<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Result<Option<&'a HeaderValue>, Twice> {
    let first = values.next();
    if values.next().is_some() { Err(Twice) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::identity::{Expected, KeyFiles, Minted, Minter};

    fn headers(owners: &[&'static [u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for owner in owners {
            headers.append(OWNER_KEY, HeaderValue::from_bytes(owner).unwrap());
        }
        headers
    }

    fn dev(owners: &[&'static [u8]]) -> Result<Caller, Status> {
        Authentication::Dev.identify(&mut headers(owners))
    }

    #[test]
    fn buyers_must_be_named() {
        assert_eq!(dev(&[b"ann"]).unwrap().owner().unwrap().as_str(), "ann");
        let status = dev(&[]).unwrap().owner().unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(status.get_details_error_info().unwrap().reason, "UNAUTHENTICATED");
        assert!(status.message().contains(OWNER_KEY));
        let wrong: [&[&'static [u8]]; 5] = [&[b""], &[b"ann b"], &[b"\xff\xfe"], &[&[b'a'; 129]], &[b"ann", b"ann"]];
        for owners in wrong {
            let status = dev(owners).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{owners:?}");
            assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_OWNER");
        }
    }

    #[test]
    fn operators_are_named_dev_unless_they_say_otherwise() {
        assert_eq!(dev(&[]).unwrap().admin().unwrap().to_string(), "admin:dev");
        assert_eq!(dev(&[b"eve"]).unwrap().admin().unwrap().to_string(), "admin:eve");
    }

    #[test]
    fn calls_count_against_the_buyer_and_then_his_gateway() {
        let id = |name: &str| OwnerId::new(name).unwrap();
        let known = |role, named: Option<&str>| {
            let identity = Arc::new(Identity { subject: id("sub"), role, valid_until: Duration::from_secs(1) });
            Caller::Known { identity, named: named.map(id), valid_until: None }
        };
        let (owner, gateway) = (Scope::Owner, Scope::Gateway);
        for (caller, limits) in [
            (Caller::Dev(None), vec![]),
            (Caller::Dev(Some(id("ann"))), vec![(owner, "ann")]),
            (known(Role::Buyer, None), vec![(owner, "sub")]),
            (known(Role::Buyer, Some("sub")), vec![(owner, "sub")]),
            (known(Role::Gateway, None), vec![(gateway, "sub")]),
            (known(Role::Gateway, Some("ann")), vec![(owner, "ann"), (gateway, "sub")]),
            (known(Role::Admin, None), vec![]),
            (known(Role::Admin, Some("sub")), vec![]),
        ] {
            let told: Vec<_> = caller.limited().map(|key| (key.scope, key.name)).collect();
            assert_eq!(told, limits, "{caller:?}");
        }
    }

    #[test]
    fn a_token_is_sent_once_after_bearer_in_any_case() {
        let told = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            token(&headers).map(str::to_owned).map_err(|status| status.message().to_owned())
        };
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(told(&[value]), Ok("a.b.c".to_owned()), "{value}");
        }
        for value in ["", "Bearer", "Bearer ", "Bearer  ", "a.b.c", "Basic a.b.c", "Bearera.b.c", " Bearer a.b.c"] {
            assert!(told(&[value]).unwrap_err().contains("must be Bearer"), "{value:?}");
        }
        assert!(told(&[]).unwrap_err().contains("no token"));
        assert!(told(&["Bearer a.b.c", "Bearer a.b.c"]).unwrap_err().contains("once"));
    }

    #[test]
    fn no_token_is_left_in_the_headers() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        std::fs::write(&key, "pfWl9aWl9aWl9aWl9aWl9aWl9aWl9aWl9aWl9aWl9aU=").unwrap();
        let keys = KeyFiles { keys: vec![key.clone()], jwks: Vec::new() };
        let verifier = Verifier::load(keys, Expected::default()).unwrap();
        let ann = Minted { sub: Some("ann".to_owned()), role: Some("buyer".to_owned()), ..Minted::default() };
        let ann = Minted { exp: Some(now().as_secs() + 600), ..ann };
        let good = format!("Bearer {}", Minter::load(&key).unwrap().mint(&ann, None).unwrap());
        let tokens = Authentication::Tokens(Arc::new(verifier));
        for (authentication, sent, known) in [
            (&Authentication::Dev, vec!["Bearer secret", "Bearer secret"], true),
            (&tokens, vec![good.as_str()], true),
            (&tokens, vec!["Bearer secret"], false),
            (&tokens, vec![good.as_str(), "Bearer secret"], false),
        ] {
            let mut headers = headers(&[b"ann"]);
            for token in &sent {
                headers.append(AUTHORIZATION, HeaderValue::from_str(token).unwrap());
            }
            assert_eq!(authentication.identify(&mut headers).is_ok(), known, "{authentication:?} {sent:?}");
            assert!(!headers.contains_key(AUTHORIZATION), "{authentication:?} {sent:?}");
        }
    }
}
