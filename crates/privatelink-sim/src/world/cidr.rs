//! Blocks of addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct V4 {
    base: u32,
    bits: u8,
}

impl V4 {
    /// Reads `A.B.C.D/N`; what is behind the prefix does not count.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        let address: Ipv4Addr = address.parse().ok()?;
        Some(Self {
            base: u32::from(address) & mask(bits),
            bits,
        })
    }

    /// How many addresses it has; one less than true for the block of all addresses.
    pub(super) fn size(self) -> u32 {
        (!mask(self.bits)).saturating_add(1)
    }

    /// The address at a place in the block.
    pub(super) fn nth(self, at: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base.wrapping_add(at))
    }

    /// The place of an address in the block; `None` outside of it.
    pub(super) fn offset(self, address: Ipv4Addr) -> Option<u32> {
        let number = u32::from(address);
        (number & mask(self.bits) == self.base).then(|| number - self.base)
    }

    /// Whether the other block is inside this one.
    pub(super) fn covers(self, other: Self) -> bool {
        self.bits <= other.bits && other.base & mask(self.bits) == self.base
    }

    /// The block as it is written, with nothing behind the prefix.
    pub(super) fn canonical(self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

/// An IPv6 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct V6 {
    base: u128,
    bits: u8,
}

impl V6 {
    /// Reads `A::/N`; what is behind the prefix does not count.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 128)?;
        let address: Ipv6Addr = address.parse().ok()?;
        Some(Self {
            base: u128::from(address) & mask6(bits),
            bits,
        })
    }

    /// The length of the prefix.
    pub(super) fn bits(self) -> u8 {
        self.bits
    }

    /// Whether an address is inside.
    pub(super) fn contains(self, address: Ipv6Addr) -> bool {
        u128::from(address) & mask6(self.bits) == self.base
    }

    /// An address of the block; the number is cut to the block's size.
    pub(super) fn nth(self, at: u64) -> Ipv6Addr {
        Ipv6Addr::from(self.base | (u128::from(at) & !mask6(self.bits)))
    }

    /// Whether the other block is inside this one.
    pub(super) fn covers(self, other: Self) -> bool {
        self.bits <= other.bits && other.base & mask6(self.bits) == self.base
    }

    /// The block as it is written, with nothing behind the prefix.
    pub(super) fn canonical(self) -> String {
        format!("{}/{}", Ipv6Addr::from(self.base), self.bits)
    }
}

fn mask6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_know_their_addresses() {
        let block = V4::parse("10.0.1.7/24").unwrap();
        assert_eq!(block.canonical(), "10.0.1.0/24");
        assert_eq!(block.offset("10.0.1.9".parse().unwrap()), Some(9));
        assert_eq!(block.offset("10.0.2.9".parse().unwrap()), None);
        assert!(V4::parse("10.0.0.0/16").unwrap().covers(block));
        assert!(!block.covers(V4::parse("10.0.0.0/16").unwrap()));
        assert!(V4::parse("0.0.0.0/0").unwrap().covers(block));
        for junk in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0"] {
            assert_eq!(V4::parse(junk), None, "{junk}");
        }
        let six = V6::parse("2001:db8:1::5/64").unwrap();
        assert_eq!(six.canonical(), "2001:db8:1::/64");
        assert!(six.contains(six.nth(u64::MAX)));
        assert!(V6::parse("2001:db8::/32").unwrap().covers(six));
        assert_eq!(V6::parse("2001:db8::/129"), None);
    }
}
