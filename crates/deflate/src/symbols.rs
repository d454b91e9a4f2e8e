//! The symbols of lengths and distances
//! ([RFC 1951, 3.2.5](https://www.rfc-editor.org/rfc/rfc1951#section-3.2.5)).

/// Literals, the end of a block, lengths.
pub(crate) const LITERALS: usize = 286;
/// The literal/length symbol that ends a block: those below are literals, those above lengths.
pub(crate) const END_OF_BLOCK: usize = 256;
/// The symbols of distances.
pub(crate) const DISTANCES: usize = 30;
/// The longest match.
pub(crate) const MAX_LENGTH: usize = 258;
/// The farthest match.
pub(crate) const MAX_DISTANCE: usize = 1 << 15;

/// The lengths of matches, or the distances, that share a symbol.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    /// The first of them.
    pub(crate) base: u16,
    /// How many bits behind the symbol say which of them.
    pub(crate) extra: u8,
}

/// By symbol, counted from the first that stands for a length.
pub(crate) const LENGTH_RANGES: [Range; LITERALS - END_OF_BLOCK - 1] = length_ranges();

const fn length_ranges() -> [Range; 29] {
    let mut ranges = [Range { base: 3, extra: 0 }; 29];
    let mut symbol = 1;
    while symbol < 28 {
        ranges[symbol] = Range {
            base: ranges[symbol - 1].base + (1 << ranges[symbol - 1].extra),
            extra: if symbol < 8 { 0 } else { symbol as u8 / 4 - 1 },
        };
        symbol += 1;
    }
    ranges[28].base = MAX_LENGTH as u16;
    ranges
}

/// By symbol.
pub(crate) const DISTANCE_RANGES: [Range; DISTANCES] = distance_ranges();

const fn distance_ranges() -> [Range; DISTANCES] {
    let mut ranges = [Range { base: 1, extra: 0 }; DISTANCES];
    let mut symbol = 1;
    while symbol < DISTANCES {
        ranges[symbol] = Range {
            base: ranges[symbol - 1].base + (1 << ranges[symbol - 1].extra),
            extra: if symbol < 4 { 0 } else { symbol as u8 / 2 - 1 },
        };
        symbol += 1;
    }
    ranges
}

/// By the length of a match: its symbol, counted from the first that stands for a length.
const LENGTH_SYMBOLS: [u8; 512] = length_symbols();

const fn length_symbols() -> [u8; 512] {
    let mut symbols = [0; 512];
    let mut symbol = 0;
    while symbol < LENGTH_RANGES.len() {
        let mut length = LENGTH_RANGES[symbol].base as usize;
        while length <= MAX_LENGTH {
            symbols[length] = symbol as u8;
            length += 1;
        }
        symbol += 1;
    }
    symbols
}

/// The symbol of a length, counted from the first that stands for a length.
#[inline]
pub(crate) fn length_symbol(length: u16) -> usize {
    usize::from(LENGTH_SYMBOLS[usize::from(length) % LENGTH_SYMBOLS.len()])
}

/// The symbol of a distance. From 5 on, it is twice the place of the highest bit of what is one
/// less, and the bit below that.
#[inline]
pub(crate) fn distance_symbol(distance: u16) -> u8 {
    let distance = u32::from(distance) - 1;
    if distance < 2 {
        return distance as u8;
    }
    let highest = distance.ilog2();
    (2 * highest + (distance >> (highest - 1) & 1)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol_of(ranges: &[Range], value: u16) -> usize {
        let within = |range: &Range| value >= range.base && value - range.base < 1 << range.extra;
        ranges.iter().rposition(within).unwrap()
    }

    #[test]
    fn ranges_are_those_of_the_specification() {
        let last = |ranges: &[Range]| ranges.last().map(|range| (range.base, range.extra));
        assert_eq!(last(&LENGTH_RANGES), Some((258, 0)));
        assert_eq!(last(&LENGTH_RANGES[..28]), Some((227, 5)));
        assert_eq!(last(&DISTANCE_RANGES), Some((24577, 13)));
    }

    #[test]
    fn every_length_and_distance_has_the_symbol_of_its_range() {
        for length in 3..=258 {
            assert_eq!(length_symbol(length), symbol_of(&LENGTH_RANGES, length));
        }
        for distance in 1..=1 << 15 {
            let symbol = usize::from(distance_symbol(distance));
            assert_eq!(symbol, symbol_of(&DISTANCE_RANGES, distance));
        }
    }
}
