//! Chance that can be repeated: small random numbers from a seed, and what everything else draws its numbers from.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

/// A splitmix64 sequence; the same seed gives the same numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn fresh() -> Self {
        Self(bits())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// True with the given probability.
    pub(crate) fn hits(&mut self, probability: f64) -> bool {
        if probability >= 1.0 {
            return true;
        }
        #[expect(clippy::cast_precision_loss, reason = "a probability needs no more than 53 bits")]
        let drawn = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < probability
    }
}

thread_local! {
    /// Where numbers of this thread come from while something runs [`under`] a seed.
    static SOURCE: RefCell<Option<Chance>> = const { RefCell::new(None) };
}

/// Lets everything that `work` draws come from `chance`, which moves on with it.
pub(crate) fn under<T>(chance: &mut Chance, work: impl FnOnce() -> T) -> T {
    let before = SOURCE.replace(Some(chance.clone()));
    let done = work();
    if let Some(moved) = SOURCE.replace(before) {
        *chance = moved;
    }
    done
}

/// 64 random bits.
pub(crate) fn bits() -> u64 {
    SOURCE.with_borrow_mut(|source| source.as_mut().map(Chance::next)).unwrap_or_else(rand::random)
}

/// 16 random bytes.
pub(crate) fn bytes() -> [u8; 16] {
    (u128::from(bits()) << 64 | u128::from(bits())).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut one, mut two) = (Chance::seeded(7), Chance::seeded(7));
        assert!((0..100).all(|_| one.next() == two.next()));
    }

    #[test]
    fn ids_follow_the_seed_they_are_drawn_under() {
        let draw = |seed| under(&mut Chance::seeded(seed), || [crate::ids::fresh(), crate::ids::fresh()]);
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert_ne!(draw(3)[0], draw(3)[1]);
        assert_ne!(crate::ids::fresh(), crate::ids::fresh(), "and are random otherwise");
    }

    #[test]
    fn probabilities_hold_roughly() {
        let mut chance = Chance::seeded(1);
        let hits = (0..10_000).filter(|_| chance.hits(0.25)).count();
        assert!((2200..2800).contains(&hits), "{hits}");
        assert!(!chance.hits(0.0));
        assert!(chance.hits(1.0));
    }
}
