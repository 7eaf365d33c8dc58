//! Seeded identifiers: the same seed and the same calls give the same ids.

use serde::{Deserialize, Serialize};

/// A source of identifiers. Its whole state is two numbers, so a snapshot goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdSource {
    seed: u64,
    used: u64,
}

impl IdSource {
    /// A source that starts from this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, used: 0 }
    }

    /// The seed it started from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next id: the prefix and 17 hexadecimal digits, as EC2 writes them.
    pub fn ec2(&mut self, prefix: &str) -> String {
        format!("{prefix}0{}", self.next_hex16())
    }

    /// The next 16 hexadecimal digits, as ELBv2 ends its ARNs.
    pub fn next_hex16(&mut self) -> String {
        self.used = self.used.wrapping_add(1);
        format!("{:016x}", mix(self.seed ^ mix(self.used)))
    }

    /// The next `length` upper-case letters and digits, as IAM writes keys.
    pub fn key(&mut self, prefix: &str, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut key = prefix.to_owned();
        self.used = self.used.wrapping_add(1);
        let mut bits = mix(self.seed ^ mix(self.used));
        for _ in 0..length {
            bits = mix(bits);
            key.push(char::from(LETTERS[usize::from(bits.to_le_bytes()[0] & 31)]));
        }
        key
    }

    /// An id that depends on the seed and on these words only, not on what was called before.
    pub fn fixed(&self, prefix: &str, words: &[&str]) -> String {
        format!(
            "{prefix}0{:016x}",
            mix(self.fixed_number(words) ^ hash(prefix))
        )
    }

    /// A number that depends on the seed and on these words only.
    pub fn fixed_number(&self, words: &[&str]) -> u64 {
        words
            .iter()
            .fold(mix(self.seed), |sum, word| mix(sum ^ hash(word)))
    }
}

/// Spreads the bits of a number (the finishing steps of the public-domain `SplitMix64` generator).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A 64-bit hash of a text that is the same in every build (FNV-1a).
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_calls_give_the_same_ids() {
        let (mut one, mut two) = (IdSource::new(7), IdSource::new(7));
        let ids: Vec<_> = (0..5).map(|_| one.ec2("vpce-")).collect();
        let same: Vec<_> = (0..5).map(|_| two.ec2("vpce-")).collect();
        assert_eq!(ids, same);
        assert_ne!(ids[0], ids[1]);
        assert_ne!(IdSource::new(8).ec2("vpce-"), ids[0]);
    }

    #[test]
    fn ids_have_seventeen_hexadecimal_digits() {
        let id = IdSource::new(1).ec2("vpce-svc-");
        let tail = id.strip_prefix("vpce-svc-").unwrap();
        assert_eq!(tail.len(), 17);
        assert!(id.parse::<privatelink::ServiceId>().is_ok());
    }

    #[test]
    fn a_fixed_id_does_not_depend_on_earlier_calls() {
        let mut ids = IdSource::new(3);
        let before = ids.fixed("vpc-", &["123456789012", "eu-west-1"]);
        ids.ec2("vpce-");
        assert_eq!(ids.fixed("vpc-", &["123456789012", "eu-west-1"]), before);
    }
}
