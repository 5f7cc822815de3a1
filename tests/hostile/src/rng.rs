//! Chance, and what it does to bytes.

/// Longest input. Longer ones cost time and show little that is new; what is too long for the server has its own tests.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Most changes made to one input.
const CHANGES_MAX: usize = 6;
/// Most bytes that one change repeats.
const REPEATED_BYTES_MAX: usize = 4 * 1024;

/// Numbers at which programs break.
const NUMBERS: [i64; 24] = [
    0,
    1,
    -1,
    2,
    100,
    101,
    127,
    128,
    255,
    1_000,
    1_001,
    65_535,
    1_000_000_000,
    1_000_000_001,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    i32::MIN as i64,
    253_402_300_799,
    253_402_300_800,
    -62_135_596_801,
    315_576_000_001,
    i64::MAX / 1_000_000,
    i64::MAX,
    i64::MIN,
];

/// Texts at which programs break: empty, of other alphabets, with what ends or escapes a text, and numbers that are none.
pub const WORDS: [&str; 24] = [
    "",
    " ",
    "\0",
    "\n",
    "\u{7f}",
    "\u{85}",
    "\u{202e}gnp.exe",
    "e\u{301}",
    "\u{10ffff}",
    "🎫",
    "ß",
    "İ",
    "'",
    "\"",
    "\\",
    "${x}",
    "%00",
    "../..",
    "--",
    "null",
    "-0",
    "1e400",
    "NaN",
    "18446744073709551616",
];

/// A source of chance that begins the same with the same seed.
#[derive(Debug, Clone)]
pub struct Rng(fastrand::Rng);

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.usize(..end) }
    }

    /// Whether something happens that does so once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    ///
    /// # Panics
    /// Where there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.0.u8(..)
    }

    /// A number at which programs break, or any.
    pub fn number(&mut self) -> i64 {
        if self.once_in(8) { self.0.i64(..) } else { *self.pick(&NUMBERS) }
    }

    /// Bytes without any order.
    pub fn bytes(&mut self, length_max: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.below(length_max + 1)];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A text: one of `likely`, one of [`WORDS`], a long one, or two of them joined.
    pub fn text(&mut self, likely: &[&str]) -> String {
        match self.below(16) {
            0 => (*self.pick(&WORDS)).to_owned(),
            1 => {
                let length = *self.pick(&[63, 64, 65, 128, 129, 200, 201, 500, 501, 5_000]);
                let word = ["a", "é", "🎫", "\u{1}"][self.below(4)];
                word.repeat(length)
            }
            2 => format!("{}{}", self.pick(&WORDS), self.text(likely)),
            3 => format!("{}{}", self.text(likely), self.pick(&WORDS)),
            _ if likely.is_empty() => (*self.pick(&WORDS)).to_owned(),
            _ => (*self.pick(likely)).to_owned(),
        }
    }

    /// Changes an input here and there. `other` is another input, parts of which may get into this one.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(bytes, other);
        }
        bytes.truncate(INPUT_BYTES_MAX);
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        if bytes.is_empty() {
            bytes.extend(self.bytes(16));
            return;
        }
        let at = self.below(bytes.len());
        let end = at + self.below((bytes.len() - at).min(64) + 1);
        match self.below(9) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = *self.pick(&[0, 1, 0x7f, 0x80, 0xff, b'/', b'"', b'\n']),
            2 => bytes[at] = self.byte(),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = self.bytes(8);
                drop(bytes.splice(at..at, part));
            }
            // The same again, once or very often.
            5 => {
                let part = bytes[at..end].to_vec();
                let times = if self.once_in(4) { REPEATED_BYTES_MAX / part.len().max(1) } else { 1 };
                drop(bytes.splice(at..at, part.repeat(times)));
            }
            6 => {
                let from = self.below(other.len());
                let part = other[from..from + self.below(other.len() - from + 1)].to_vec();
                drop(bytes.splice(at..end, part));
            }
            7 => bytes.truncate(at),
            _ => {
                let word = self.pick(&WORDS).as_bytes().to_vec();
                drop(bytes.splice(at..end, word));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_and_nothing_grows_without_end() {
        let make = |seed| {
            let mut rng = Rng::new(seed);
            let mut bytes = b"begin".to_vec();
            for _ in 0..2_000 {
                let other = rng.bytes(64);
                rng.mutate(&mut bytes, &other);
                assert!(bytes.len() <= INPUT_BYTES_MAX);
            }
            (bytes, rng.text(&["word"]), rng.number())
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
