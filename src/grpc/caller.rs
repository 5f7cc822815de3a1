//! Who calls. The owner comes from authentication, never from a field of the request.

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::errors;
use super::validate::Violations;
use crate::domain::{Actor, OwnerId};

/// The metadata key that names the owner.
pub const OWNER_KEY: &str = "boxoffice-owner";
/// The operator of a server in development, where nobody is named.
const DEV_ADMIN: &str = "dev";

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all: everybody is who he says, and may do everything. For development, on loopback alone.
    Dev,
}

impl Authentication {
    /// The owner for whom a buyer's call is made.
    pub(super) fn owner(self, metadata: &MetadataMap) -> Result<OwnerId, Status> {
        match self {
            Self::Dev => named(metadata)?.ok_or_else(|| {
                errors::unauthenticated("no owner: send the metadata key boxoffice-owner with the name of the buyer")
            }),
        }
    }

    /// Whether the caller may name the owners of a batch.
    pub(super) fn may_name_owners(self, _metadata: &MetadataMap) -> Result<(), Status> {
        match self {
            Self::Dev => Ok(()),
        }
    }

    /// The operator who calls.
    pub(super) fn admin(self, metadata: &MetadataMap) -> Result<Actor, Status> {
        match self {
            Self::Dev => {
                let name = match named(metadata)? {
                    Some(name) => name,
                    None => OwnerId::new(DEV_ADMIN).map_err(|_| errors::internal())?,
                };
                Ok(Actor::Admin(name))
            }
        }
    }
}

/// The owner that the metadata names, if any.
fn named(metadata: &MetadataMap) -> Result<Option<OwnerId>, Status> {
    let Some(value) = metadata.get(OWNER_KEY) else { return Ok(None) };
    let wrong = |description| errors::invalid(&Violations::one("INVALID_OWNER", OWNER_KEY, description));
    let text = value.to_str().map_err(|_| wrong("must be 1 to 128 printable ASCII characters without spaces"))?;
    OwnerId::new(text).map(Some).map_err(|error| wrong(error.0))
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    fn metadata(owner: Option<&'static [u8]>) -> MetadataMap {
        let mut headers = tonic::codegen::http::HeaderMap::new();
        if let Some(owner) = owner {
            headers.insert(OWNER_KEY, owner.try_into().unwrap());
        }
        MetadataMap::from_headers(headers)
    }

    #[test]
    fn buyers_must_be_named() {
        let auth = Authentication::Dev;
        assert_eq!(auth.owner(&metadata(Some(b"ann"))).unwrap().as_str(), "ann");
        let status = auth.owner(&metadata(None)).unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(status.get_details_error_info().unwrap().reason, "UNAUTHENTICATED");
        assert!(status.message().contains(OWNER_KEY));
        let wrong: [&'static [u8]; 4] = [b"", b"ann b", b"\xff\xfe", &[b'a'; 129]];
        for owner in wrong {
            let status = auth.owner(&metadata(Some(owner))).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{owner:?}");
            assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_OWNER");
        }
    }

    #[test]
    fn operators_are_named_dev_unless_they_say_otherwise() {
        let auth = Authentication::Dev;
        assert_eq!(auth.admin(&metadata(None)).unwrap().to_string(), "admin:dev");
        assert_eq!(auth.admin(&metadata(Some(b"eve"))).unwrap().to_string(), "admin:eve");
        assert_eq!(auth.admin(&metadata(Some(b"e ve"))).unwrap_err().code(), Code::InvalidArgument);
    }
}
