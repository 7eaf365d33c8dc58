//! SHA-1 with RSA, version 1 of SNS's signatures.
//!
//! The cryptography of this workspace verifies such signatures and, rightly, makes none, so the arithmetic is done here, by
//! the Chinese remainder theorem over the key's primes (RFC 8017, 5.1.2 and 8.2). It takes a different time for different
//! keys. That is no harm: the keys are made anew by each process, guard nothing, and whoever can measure it can as well ask the
//! simulator to sign what they like. Nothing else may use this.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use num_bigint::BigUint;

/// What stands before a SHA-1 digest in a signature: the DER of `DigestInfo` up to the digest (RFC 8017, 9.2).
const DIGEST_INFO: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

/// An RSA key that signs with SHA-1.
#[derive(Debug)]
pub(super) struct LegacyKey {
    p: BigUint,
    q: BigUint,
    exponent_p: BigUint,
    exponent_q: BigUint,
    /// The inverse of `q` modulo `p`.
    coefficient: BigUint,
    /// The length of the modulus, and of a signature, in bytes.
    length: usize,
}

impl LegacyKey {
    /// Reads a key in PKCS #8; `None` when it is not an RSA key with its primes.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let (info, _) = element(der, 0x30)?;
        let (_version, rest) = element(info, 0x02)?;
        let (_algorithm, rest) = element(rest, 0x30)?;
        let (key, _) = element(rest, 0x04)?;
        let (mut fields, _) = element(key, 0x30)?;
        let mut numbers = Vec::new();
        while !fields.is_empty() {
            let (number, rest) = element(fields, 0x02)?;
            numbers.push(BigUint::from_bytes_be(number));
            fields = rest;
        }
        // Version, modulus and both exponents come before what is needed here.
        let [_, modulus, _, _, p, q, exponent_p, exponent_q, coefficient] = numbers.as_slice()
        else {
            return None;
        };
        Some(Self {
            p: p.clone(),
            q: q.clone(),
            exponent_p: exponent_p.clone(),
            exponent_q: exponent_q.clone(),
            coefficient: coefficient.clone(),
            length: usize::try_from(modulus.bits().div_ceil(8)).ok()?,
        })
    }

    /// The signature over a text, as long as the modulus.
    pub(super) fn sign(&self, text: &[u8]) -> Vec<u8> {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text);
        let end = DIGEST_INFO.len() + digest.as_ref().len();
        let mut padded = vec![0xff; self.length.saturating_sub(end)];
        for (at, byte) in [(0, 0x00), (1, 0x01)] {
            if let Some(place) = padded.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(last) = padded.last_mut() {
            *last = 0x00;
        }
        padded.extend(DIGEST_INFO);
        padded.extend(digest.as_ref());
        let signed = self.private(&BigUint::from_bytes_be(&padded)).to_bytes_be();
        let mut signature = vec![0; self.length.saturating_sub(signed.len())];
        signature.extend(signed);
        signature
    }

    fn private(&self, message: &BigUint) -> BigUint {
        let by_p = message.modpow(&self.exponent_p, &self.p);
        let by_q = message.modpow(&self.exponent_q, &self.q);
        // One more `p` keeps the difference above zero.
        let difference = (by_p + &self.p) - (&by_q % &self.p);
        let factor = (&self.coefficient * difference) % &self.p;
        by_q + factor * &self.q
    }
}

/// The content of the DER element in front, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let length = bytes.iter().try_fold(0_usize, |sum, byte| {
            sum.checked_mul(256)?.checked_add(usize::from(*byte))
        })?;
        (length, rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_rsa_key_is_not_read() {
        for junk in [
            &b""[..],
            &[0x30],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0x30, 0x03, 0x02, 0x01, 0x00],
        ] {
            assert!(LegacyKey::from_pkcs8(junk).is_none(), "{junk:?}");
        }
    }
}
