//! Numbers of units by fingerprint, in little room: a large sale has millions of owners, and this is most of a server's memory.

use hashbrown::HashTable;

/// A number of units that has lost count: any number.
pub(super) const UNITS_MAX: u64 = (1 << UNITS_BITS) - 1;

const UNITS_BITS: u32 = 24;

/// From so many cells on they are spread over parts, by the upper bits of their fingerprints.
const PARTED_FROM: usize = 1 << 15;
const PART_BITS: u32 = 12;
const PRINT_BITS: u32 = u64::BITS - UNITS_BITS;
const SHORT_PRINT_BITS: u32 = PRINT_BITS - PART_BITS;
const SHORT_UNITS_BITS: u32 = u32::BITS - SHORT_PRINT_BITS;
const SHORT_UNITS_MAX: u64 = (1 << SHORT_UNITS_BITS) - 1;

/// A fingerprint is the upper 40 bits of a number. A cell has it and, in the lower 24, its units: 10 to 21 bytes in a hash table.
/// Where there are many cells, most of them are short: the part that they are in stands for 12 bits of the fingerprint, and 4
/// bits are enough for the units of most owners. Parts are sorted, and grow by an eighth: 4 to 5 bytes for each owner from some
/// hundred thousand on, and no moment at which all is there twice.
pub(super) struct Cells {
    long: HashTable<u64>,
    parts: Vec<Vec<u32>>,
    len: usize,
}

impl Cells {
    pub(super) const fn new() -> Self {
        Self { long: HashTable::new(), parts: Vec::new(), len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many units a fingerprint has. What is in its lower 24 bits does not matter, here and below.
    pub(super) fn units(&self, print: u64) -> u64 {
        if let Some(cell) = self.long.find(table_hash(print), |cell| same_print(*cell, print)) {
            return cell & UNITS_MAX;
        }
        let Some(part) = self.parts.get(part_of(print)) else { return 0 };
        find_short(part, print).map_or(0, |at| u64::from(part[at]) & SHORT_UNITS_MAX)
    }

    /// Adds units, or takes them away. What has reached [`UNITS_MAX`] stays there, so that it is never too low.
    pub(super) fn add(&mut self, print: u64, units: i64) {
        let Ok(mut long) = self.long.find_entry(table_hash(print), |cell| same_print(*cell, print)) else {
            return self.add_short(print, units);
        };
        match sum(*long.get() & UNITS_MAX, units) {
            0 => {
                long.remove();
                self.len -= 1;
            }
            new => *long.get_mut() = print & !UNITS_MAX | new,
        }
    }

    /// The same for what is not among the long ones, but may have to go there.
    fn add_short(&mut self, print: u64, units: i64) {
        let Some(part) = self.parts.get_mut(part_of(print)) else {
            let new = sum(0, units);
            if new > 0 {
                self.len += 1;
                self.insert_long(print & !UNITS_MAX | new);
                if self.len == PARTED_FROM {
                    self.spread();
                }
            }
            return;
        };
        let place = find_short(part, print);
        let old = place.map_or(0, |at| u64::from(part[at]) & SHORT_UNITS_MAX);
        let new = sum(old, units);
        self.len = self.len + usize::from(new > 0) - usize::from(old > 0);
        match (place, short_cell(print, new)) {
            (Ok(at), Some(cell)) => part[at] = cell,
            (Ok(at), None) => {
                part.remove(at);
                if part.len() < part.capacity() / 2 {
                    part.shrink_to_fit();
                }
            }
            (Err(at), Some(cell)) => {
                if part.len() == part.capacity() {
                    part.reserve_exact((part.len() / 8).max(4));
                }
                part.insert(at, cell);
            }
            (Err(_), None) => {}
        }
        if new > SHORT_UNITS_MAX {
            self.insert_long(print & !UNITS_MAX | new);
        }
    }

    fn insert_long(&mut self, cell: u64) {
        self.long.insert_unique(table_hash(cell), cell, |cell| table_hash(*cell));
    }

    fn spread(&mut self) {
        self.parts = vec![Vec::new(); 1 << PART_BITS];
        self.len = 0;
        for cell in std::mem::take(&mut self.long) {
            self.add_short(cell, (cell & UNITS_MAX).cast_signed());
        }
    }
}

fn sum(old: u64, units: i64) -> u64 {
    if old == UNITS_MAX { old } else { old.saturating_add_signed(units).min(UNITS_MAX) }
}

const fn same_print(cell: u64, print: u64) -> bool {
    (cell ^ print) >> UNITS_BITS == 0
}

/// Spreads a cell's fingerprint over all 64 bits, since the table uses the lowest and the highest (Fibonacci hashing).
const fn table_hash(cell: u64) -> u64 {
    (cell >> UNITS_BITS).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn part_of(print: u64) -> usize {
    usize::try_from(print >> (u64::BITS - PART_BITS)).unwrap_or(usize::MAX)
}

/// What its part does not tell of a fingerprint.
const fn rest_of(print: u64) -> u64 {
    print >> UNITS_BITS & ((1 << SHORT_PRINT_BITS) - 1)
}

/// The rest of the fingerprint, and the units; nothing where there are none, or too many.
fn short_cell(print: u64, units: u64) -> Option<u32> {
    let cell = u32::try_from(rest_of(print) << SHORT_UNITS_BITS | units).ok();
    cell.filter(|_| (1..=SHORT_UNITS_MAX).contains(&units))
}

/// Where in its part a fingerprint is, or belongs.
fn find_short(part: &[u32], print: u64) -> Result<usize, usize> {
    part.binary_search_by_key(&rest_of(print), |cell| u64::from(cell >> SHORT_UNITS_BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// `SplitMix64`'s steps: as good as random, and the same each time.
    fn mixed(number: u64) -> u64 {
        let mixed = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    #[test]
    fn they_count_as_a_plain_map_does_whether_few_or_many() {
        let (mut cells, mut plain) = (Cells::new(), HashMap::<u64, u64>::new());
        for step in 1..=400_000_u64 {
            let print = mixed(mixed(step) % 60_000) & !UNITS_MAX;
            // Mostly single units come and go; now and then as many as a short cell holds, or more, and more than any does.
            let units = match mixed(step ^ 1 << 40) % 100 {
                0..=59 => 1,
                60..=89 => -1,
                90..=93 => SHORT_UNITS_MAX.cast_signed(),
                94..=97 => 20,
                98 => -30,
                _ => i64::from(u32::MAX),
            };
            cells.add(print | step & UNITS_MAX, units);
            let entry = plain.entry(print).or_default();
            if *entry != UNITS_MAX {
                *entry = u64::try_from((entry.cast_signed() + units).max(0)).unwrap().min(UNITS_MAX);
            }
            assert_eq!(cells.units(print | !step & UNITS_MAX), *entry, "step {step}");
            if step % 20_000 == 0 {
                assert_eq!(cells.len(), plain.values().filter(|units| **units > 0).count(), "step {step}");
                assert!(plain.iter().all(|(print, units)| cells.units(*print) == *units), "step {step}");
            }
        }
        assert!(!cells.parts.is_empty() && !cells.long.is_empty(), "both kinds were met");
    }

    /// The parts alone take 100 KB, whatever is in them.
    #[test]
    fn few_are_not_spread_over_parts() {
        let mut cells = Cells::new();
        (1..PARTED_FROM as u64).for_each(|number| cells.add(mixed(number), 1));
        assert_eq!((cells.parts.len(), cells.long.len()), (0, PARTED_FROM - 1));
        cells.add(mixed(PARTED_FROM as u64), 1);
        assert_eq!((cells.parts.len(), cells.long.len()), (1 << PART_BITS, 0));
    }

    #[test]
    fn many_take_five_bytes_each_at_any_moment() {
        let mut cells = Cells::new();
        for number in 1..=1_000_000 {
            cells.add(mixed(number), 2);
            if number >= 300_000 && number % 10_000 == 0 {
                let rooms: usize = cells.parts.iter().map(|part| part.capacity() * size_of::<u32>()).sum();
                let each = f64::from(u32::try_from(rooms).unwrap()) / f64::from(u32::try_from(number).unwrap());
                assert!(each < 5.0, "{each} bytes for each of {number}");
            }
        }
        assert_eq!((cells.len(), cells.long.len()), (1_000_000, 0));
    }

    #[test]
    fn what_was_taken_away_takes_no_room() {
        let mut cells = Cells::new();
        for units in [1, -1] {
            (0..100_000).for_each(|number| cells.add(mixed(number), units));
        }
        assert_eq!(cells.len(), 0);
        assert!(cells.parts.iter().all(|part| part.capacity() <= 4));
    }
}
