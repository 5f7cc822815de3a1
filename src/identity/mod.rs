//! Who somebody is: tokens, the keys that prove them, and how the two are checked. It knows nothing of gRPC.
//!
//! A token is a JSON Web Token (RFC 7519) with a signature (RFC 7515). It is checked here on `ring` rather than by a
//! library: the ones there are would bring a second set of cryptography along, and little else is needed. The rules that
//! such code gets wrong stand in types: **a key has exactly one algorithm**, and a token is only ever checked against keys
//! of the algorithm that it claims. It cannot choose how a key is used, and there is no key for `none`.

mod claims;
mod der;
#[cfg(test)]
mod hostile;
mod jwks;
mod key;
mod key_file;
mod mint;
#[cfg(test)]
mod tests;
mod token;
mod verifier;

pub use self::claims::{CLOCK_LEEWAY, Expected, Identity, Role};
pub use self::key::Algorithm;
pub use self::mint::{MintError, Minted, Minter};
pub use self::token::{TOKEN_BYTES_MAX, TokenError};
pub use self::verifier::{KEYS_MAX, KeyFiles, TOKENS_REMEMBERED_MAX, Verifier};
