//! Numbers of 128 bits that stand for states and sets, and are kept up with each change instead of made anew.
//!
//! The parts of a state are combined by exclusive or (Zobrist, "A New Hashing Method with Application for Game Playing",
//! 1970). Two different states of a search have the same number with a probability below 2^-80 in a million of millions of
//! states; it would hide a way to explain a history, never make one up.

/// A number in the making.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fingerprint(u64, u64);

impl Fingerprint {
    /// Begins a number for a thing of some kind.
    pub(super) fn of(kind: &str) -> Self {
        let mut begun = Self(0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03);
        for byte in kind.bytes() {
            begun.mix(u64::from(byte));
        }
        begun
    }

    /// Adds a number of the thing.
    pub(super) fn add(&mut self, word: usize) {
        self.mix(word as u64);
    }

    /// Adds a number of the thing.
    pub(super) fn add_signed(&mut self, word: i64) {
        self.mix(word.cast_unsigned());
    }

    /// The whole number.
    pub(super) fn finish(self) -> u128 {
        (u128::from(scatter(self.0)) << 64) | u128::from(scatter(self.1))
    }

    fn mix(&mut self, word: u64) {
        self.0 = scatter(self.0 ^ word).wrapping_mul(0x2545_f491_4f6c_dd1d);
        self.1 = scatter(self.1.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn scatter(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
