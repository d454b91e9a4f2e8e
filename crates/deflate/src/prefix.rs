//! Prefix codes of limited length.

/// The longest code that deflate knows.
const LONGEST: usize = 15;
/// As many symbols as the largest code has.
const MOST_SYMBOLS: usize = 288;
/// Bits of a symbol's number.
const SYMBOL_BITS: u32 = 9;

/// The code of a symbol, as it is written: its first bit is the lowest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Code {
    pub(crate) bits: u16,
    pub(crate) length: u8,
}

/// Sets the lengths of the codes of symbols that occur so often, at most `longest`. One that does
/// not occur has no code, of length 0.
///
/// The lengths are Huffman's. Codes that would be too long are shortened, and the longest of the
/// others made longer for it, which is not quite the best code, but rare.
pub(crate) fn set_lengths(counts: &[u32], longest: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut sorted = [0; MOST_SYMBOLS];
    let mut used = 0;
    for (symbol, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        sorted[used] = count << SYMBOL_BITS | symbol as u32;
        used += 1;
    }
    let sorted = &mut sorted[..used];
    sorted.sort_unstable();
    let symbol = |sorted: u32| (sorted & ((1 << SYMBOL_BITS) - 1)) as usize;
    if let [single] = *sorted {
        lengths[symbol(single)] = 1;
    }
    if sorted.len() < 2 {
        return;
    }
    let mut weights = [0; MOST_SYMBOLS];
    for (weight, sorted) in weights.iter_mut().zip(sorted.iter()) {
        *weight = sorted >> SYMBOL_BITS;
    }
    let per_length = limited(&depths(&mut weights[..used]), longest);
    let mut rarest_first = sorted.iter();
    for length in (1..=longest).rev() {
        for sorted in rarest_first.by_ref().take(per_length[length] as usize) {
            lengths[symbol(*sorted)] = length as u8;
        }
    }
}

/// Depths that Huffman trees have: their weights grow as Fibonacci's numbers do, and a sum of
/// weights below 2^23 is deepest at 33.
const DEEPEST: usize = 40;

/// The number of leaves at each depth of the Huffman tree of these weights, which rise; after
/// Moffat and Katajainen, in place.
fn depths(weights: &mut [u32]) -> [u32; DEEPEST] {
    let leaves = weights.len();
    // Inner nodes: first their weights, then the place of the node above.
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            if leaf >= leaves || inner < node && weights[inner] < weights[leaf] {
                weight += weights[inner];
                weights[inner] = node as u32;
                inner += 1;
            } else {
                weight += weights[leaf];
                leaf += 1;
            }
        }
        weights[node] = weight;
    }
    // The root is the last inner node.
    let root = leaves - 2;
    weights[root] = 0;
    for node in (0..root).rev() {
        weights[node] = weights[weights[node] as usize] + 1;
    }
    let mut counts = [0; DEEPEST];
    let (mut open, mut node) = (1, root + 1);
    for (depth, leaves) in counts.iter_mut().enumerate() {
        let below = weights[..node]
            .iter()
            .rev()
            .take_while(|inner| **inner as usize == depth)
            .count();
        node -= below;
        *leaves = open - below as u32;
        open = 2 * below as u32;
    }
    counts
}

/// The number of codes of each length up to `longest`, so that there are as many as before.
fn limited(depths: &[u32; DEEPEST], longest: usize) -> [u32; LONGEST + 1] {
    let mut counts = [0; LONGEST + 1];
    for (depth, count) in depths.iter().enumerate() {
        counts[depth.min(longest)] += count;
    }
    let of_length = |(length, count): (usize, &u32)| count << (longest - length);
    let mut taken: u32 = (1..).zip(&counts[1..=longest]).map(of_length).sum();
    while taken > 1 << longest {
        // One of the longest codes becomes the neighbour of a shorter one.
        let shorter = (1..longest).rev().find(|length| counts[*length] > 0);
        let shorter = shorter.unwrap_or_default();
        counts[longest] -= 1;
        counts[shorter] -= 1;
        counts[shorter + 1] += 2;
        taken -= 1;
    }
    counts
}

/// Sets the codes that have these lengths
/// ([RFC 1951, 3.2.2](https://www.rfc-editor.org/rfc/rfc1951#section-3.2.2)).
pub(crate) fn set_codes(lengths: &[u8], codes: &mut [Code]) {
    let mut counts = [0; LONGEST + 1];
    for length in lengths {
        counts[usize::from(*length)] += 1;
    }
    counts[0] = 0;
    let mut next = [0_u16; LONGEST + 1];
    for length in 1..=LONGEST {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    for (code, length) in codes.iter_mut().zip(lengths) {
        let next = &mut next[usize::from(*length)];
        let reversed = next.reverse_bits().unbounded_shr(16 - u32::from(*length));
        *code = Code {
            bits: reversed,
            length: *length,
        };
        *next += u16::from(*length > 0);
    }
}
