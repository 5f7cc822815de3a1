//! What the log of a server says of Redis. An outage is to have one line when it begins and one when it ends, however many
//! calls meet it.

/// What the lines say, wherever they stand in a line of the log.
const AWAY: &str = "Redis is away";
const BACK: &str = "Redis is back";
const REDIS: &str = "Redis";

/// How many lines there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RedisLines {
    /// That it is away.
    pub away: usize,
    /// That it is back.
    pub back: usize,
    /// Anything else about it.
    pub other: usize,
}

impl RedisLines {
    /// Counts them.
    pub(super) fn of(log: &str) -> Self {
        let mut lines = Self::default();
        for line in log.lines() {
            let of_kind = match line {
                line if line.contains(AWAY) => &mut lines.away,
                line if line.contains(BACK) => &mut lines.back,
                line if line.contains(REDIS) => &mut lines.other,
                _ => continue,
            };
            *of_kind += 1;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_what_they_say() {
        let log = "  WARN boxoffice::redis: Redis is away; its work is done without it why=broken\n INFO listening\n \
                   INFO boxoffice::redis: Redis is back\n WARN boxoffice::redis: Redis refuses commands\n";
        let lines = RedisLines::of(log);
        assert_eq!(lines, RedisLines { away: 1, back: 1, other: 1 });
    }
}
