//! As much of DER (X.690) as the public keys of RFC 5280 need.

use tokio_rustls::rustls::pki_types::alg_id;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// What a `SubjectPublicKeyInfo` holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PublicKey<'a> {
    /// An `RSAPublicKey` (PKCS #1).
    Rsa(&'a [u8]),
    /// A point of the curve P-256.
    P256(&'a [u8]),
    /// A key of Ed25519.
    Ed25519(&'a [u8]),
    /// Of another algorithm or curve.
    Other,
}

/// Reads a `SubjectPublicKeyInfo`, or tells that it is none.
pub(super) fn public_key(spki: &[u8]) -> Option<PublicKey<'_>> {
    let body = only(SEQUENCE, spki)?;
    let (algorithm, rest) = next(SEQUENCE, body)?;
    // The first byte counts unused bits. Keys are whole bytes.
    let key = only(BIT_STRING, rest)?.strip_prefix(&[0])?;
    Some(if algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
        PublicKey::Rsa(key)
    } else if algorithm == alg_id::ECDSA_P256.as_ref() {
        PublicKey::P256(key)
    } else if algorithm == alg_id::ED25519.as_ref() {
        PublicKey::Ed25519(key)
    } else {
        PublicKey::Other
    })
}

/// The length of the modulus of an `RSAPublicKey`, in bits, or that it is none.
pub(super) fn rsa_modulus_bits(pkcs1: &[u8]) -> Option<usize> {
    let (modulus, rest) = next(INTEGER, only(SEQUENCE, pkcs1)?)?;
    only(INTEGER, rest)?;
    Some(unsigned_bits(modulus))
}

/// The length of a big-endian number in bits.
pub(super) fn unsigned_bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros).map_or(0, |first| (number.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// The contents of the one element that `input` is.
fn only(tag: u8, input: &[u8]) -> Option<&[u8]> {
    next(tag, input).and_then(|(contents, rest)| rest.is_empty().then_some(contents))
}

/// The contents of the first element, and what follows it.
fn next(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, input) = input.split_first()?;
    let (length, input) = input.split_first()?;
    let (length, input) = match *length {
        short if short < 0x80 => (usize::from(short), input),
        // Two bytes of length are more than the largest key needs.
        0x81 => (usize::from(*input.first()?), input.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*input.first()?, *input.get(1)?])), input.get(2..)?),
        _ => return None,
    };
    (*found == tag).then(|| input.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_by_its_algorithm() {
        let mut ed25519 = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        ed25519.extend([7; 32]);
        assert_eq!(public_key(&ed25519), Some(PublicKey::Ed25519(&[7; 32])));
        ed25519[8] = 0x6e;
        assert_eq!(public_key(&ed25519), Some(PublicKey::Other));
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_no_key() {
        let mut whole = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        whole.extend([7; 32]);
        for length in 0..whole.len() {
            assert_eq!(public_key(&whole[..length]), None, "{length}");
        }
        whole.push(0);
        assert_eq!(public_key(&whole), None);
        assert_eq!(public_key(&[0x30, 0x84, 1, 0, 0, 0]), None);
    }

    #[test]
    fn the_bits_of_a_number_are_counted_without_leading_zeros() {
        assert_eq!(unsigned_bits(&[]), 0);
        assert_eq!(unsigned_bits(&[0, 0]), 0);
        assert_eq!(unsigned_bits(&[0, 0x80, 0]), 16);
        assert_eq!(unsigned_bits(&[1]), 1);
    }
}
