//! Indices of the file: checked, and turned into ordinals.

/// The highest of many string indices, and where it was found: they can be checked only when the table is there.
#[derive(Clone, Copy, Default)]
pub(super) struct Highest {
    pub(super) value: u32,
    pub(super) offset: u64,
    pub(super) any: bool,
}

impl Highest {
    #[inline(always)]
    pub(super) fn see(&mut self, value: u32, offset: u64) {
        if value > self.value || !self.any {
            *self = Highest { value, offset, any: true };
        }
    }

    /// Takes in what was seen further on in the text.
    pub(super) fn merge(&mut self, later: Highest) {
        if later.any {
            self.see(later.value, later.offset);
        }
    }
}

/// Turns node *indices* of the file (ordinal x fields) into ordinals, without a division.
///
/// For `width` = odd x 2^s, multiplying by the inverse of odd modulo 2^32 and rotating right by s gives the quotient
/// for multiples of `width`, and something above every possible quotient for all other numbers.
#[derive(Clone, Copy)]
pub(super) struct Ordinals {
    inverse: u32,
    shift: u32,
    /// One beyond the last ordinal.
    end: u32,
}

impl Ordinals {
    pub(super) fn new(width: usize, nodes: u32) -> Self {
        let width = width as u32;
        let shift = width.trailing_zeros();
        let odd = width >> shift;
        // Newton's iteration: `odd` is its own inverse modulo 8, each step doubles the correct bits.
        let mut inverse = odd;
        for _ in 0..4 {
            inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        let possible = u64::from(u32::MAX / width) + 1;
        Ordinals { inverse, shift, end: u64::from(nodes).min(possible) as u32 }
    }

    /// The ordinal of the node at `index`, `None` when that is none.
    #[inline(always)]
    pub(super) fn of(self, index: u32) -> Option<u32> {
        let ordinal = index.wrapping_mul(self.inverse).rotate_right(self.shift);
        (ordinal < self.end).then_some(ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_those_of_a_division() {
        for width in 1..=32usize {
            for nodes in [1, 2, 1000, u32::MAX / width as u32, u32::MAX - 2] {
                let ordinals = Ordinals::new(width, nodes);
                let top = u64::from(nodes) * width as u64;
                let near = |n: u64| n.saturating_sub(100)..n + 100;
                for index in near(0).chain(near(top)).chain(near(u64::from(u32::MAX) - 99)).chain(near(1 << 31)) {
                    let Ok(index) = u32::try_from(index) else { continue };
                    let expected =
                        (index % width as u32 == 0 && index / (width as u32) < nodes).then(|| index / width as u32);
                    assert_eq!(ordinals.of(index), expected, "{index} of width {width}, {nodes} nodes");
                }
            }
        }
    }
}
