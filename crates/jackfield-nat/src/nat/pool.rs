//! The ports of one external address and protocol: which are free, and which comes next.

use std::ops::RangeInclusive;

/// The ports of one address and protocol that are mapped or held down.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// One bit per port: 8 KiB, and a search for a free port reads 64 of them at once.
    words: Vec<u64>,
}

/// All ports, or only the even or the odd ones (RFC 4787 REQ-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parity {
    Any,
    Even,
    Odd,
}

impl Parity {
    pub(crate) fn of(port: u16) -> Self {
        if port & 1 == 0 { Self::Even } else { Self::Odd }
    }

    pub(crate) fn fits(self, port: u16) -> bool {
        self == Self::Any || self == Self::of(port)
    }

    fn mask(self) -> u64 {
        match self {
            Self::Any => u64::MAX,
            Self::Even => 0x5555_5555_5555_5555,
            Self::Odd => 0xaaaa_aaaa_aaaa_aaaa,
        }
    }
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            words: vec![0; 1024],
        }
    }

    pub(crate) fn is_free(&self, port: u16) -> bool {
        self.words
            .get(usize::from(port >> 6))
            .is_some_and(|word| word & 1 << (port & 63) == 0)
    }

    pub(crate) fn take(&mut self, port: u16) {
        if let Some(word) = self.words.get_mut(usize::from(port >> 6)) {
            *word |= 1 << (port & 63);
        }
    }

    pub(crate) fn free(&mut self, port: u16) {
        if let Some(word) = self.words.get_mut(usize::from(port >> 6)) {
            *word &= !(1 << (port & 63));
        }
    }

    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn taken(&self) -> usize {
        self.words.iter().map(|it| it.count_ones() as usize).sum()
    }

    /// Returns the first free port of `range` at or after `start`, wrapping around at the end.
    pub(crate) fn next_free(
        &self,
        start: u16,
        range: &RangeInclusive<u16>,
        parity: Parity,
    ) -> Option<u16> {
        let start = start.clamp(*range.start(), *range.end());
        self.first_free(start, *range.end(), parity)
            .or_else(|| self.first_free(*range.start(), start, parity))
    }

    /// Returns the first free port between two, reading 64 at a time.
    fn first_free(&self, from: u16, to: u16, parity: Parity) -> Option<u16> {
        // Ports below `from` in its word are masked out, in the first word alone.
        let mut mask = u64::MAX << (from & 63);
        for index in from >> 6..=to >> 6 {
            let free = !self.words.get(usize::from(index))? & mask & parity.mask();
            if free != 0 {
                let port = (index << 6) + free.trailing_zeros() as u16;
                return (port <= to).then_some(port);
            }
            mask = u64::MAX;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_goes_round_and_keeps_parity_and_range() {
        let mut pool = Pool::new();
        for port in 1000..=1010 {
            pool.take(port);
        }
        assert_eq!(
            pool.next_free(1005, &(1000..=1012), Parity::Any),
            Some(1011)
        );
        assert_eq!(
            pool.next_free(1005, &(1000..=1012), Parity::Even),
            Some(1012)
        );
        pool.take(1011);
        pool.take(1012);
        assert_eq!(pool.next_free(1005, &(1000..=1012), Parity::Any), None);
        pool.free(1003);
        assert_eq!(
            pool.next_free(1005, &(1000..=1012), Parity::Odd),
            Some(1003)
        );
        assert_eq!(pool.next_free(1005, &(1000..=1012), Parity::Even), None);
        assert_eq!(
            pool.next_free(65535, &(1..=65535), Parity::Any),
            Some(65535)
        );
    }
}
