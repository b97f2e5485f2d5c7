//! Areas and volumes: as a double, or as a number that neither over- nor underflows.

use std::ops::{Add, Mul, Sub};

/// What lengths, areas and volumes are computed in. Both kinds round alike: where no double over-
/// or underflows on the way, they give the same bits.
pub(super) trait Measure:
    Copy + Default + Send + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// The length from `low` up to `high`.
    fn span(low: f64, high: f64) -> Self;

    /// Whether this is less than 1/64 of `other`.
    fn far_below(self, other: Self) -> bool;

    /// As doubles, rounded; infinite or 0 where the number itself is out of their range.
    fn values(measures: Vec<Self>) -> Vec<f64>;
}

impl Measure for f64 {
    #[inline(always)]
    fn span(low: f64, high: f64) -> Self {
        high - low
    }

    #[inline]
    fn far_below(self, other: Self) -> bool {
        self < other * (1.0 / 64.0)
    }

    fn values(measures: Vec<Self>) -> Vec<f64> {
        measures
    }
}

/// `digits` times two to the power of `exponent`; of 53 bits, like a double.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wide {
    /// 0, or from 1 up to 2, of either sign.
    digits: f64,
    exponent: i64,
}

/// Numbers whose exponents differ by more are not changed by adding one to the other.
const MAX_ALIGNED: i64 = 120;

impl Wide {
    pub const ONE: Self = Self { digits: 1.0, exponent: 0 };

    /// A finite double, exactly.
    pub fn new(x: f64) -> Self {
        Self::times_power(x, 0)
    }

    /// `x` times two to the power of `exponent`.
    pub fn times_power(x: f64, exponent: i64) -> Self {
        if x == 0.0 {
            return Self::default();
        }
        let lifted = x.abs() < f64::MIN_POSITIVE;
        let x = if lifted { x * power(64) } else { x };
        let own = exponent_of(x);
        // Two steps: a double has no power below -1074, nor 2^1024.
        let digits = x * power(-own / 2) * power(-(own - own / 2));
        Self { digits, exponent: exponent + own - if lifted { 64 } else { 0 } }
    }

    /// The nearest double: rounded once, also below the normal numbers.
    pub fn value(self) -> f64 {
        let exponent = self.exponent.clamp(-1100, 1100);
        let half = exponent / 2;
        self.digits * power(half) * power(exponent - half)
    }

    /// The larger of two positive numbers.
    pub fn larger(self, other: Self) -> Self {
        if (other.exponent, other.digits) > (self.exponent, self.digits) { other } else { self }
    }

    /// This over another positive number, if that is a double; else 0 or infinite.
    pub fn over(self, other: Self) -> f64 {
        Self::times_power(self.digits / other.digits, self.exponent - other.exponent).value()
    }

    /// The power of two that is at or below it; that of 0 is 0.
    pub fn exponent(self) -> i64 {
        self.exponent
    }

    /// This, or nothing if it is below 0.
    pub fn or_nothing(self) -> Self {
        if self.digits > 0.0 { self } else { Self::default() }
    }
}

/// The exponent of a positive or negative normal number.
#[inline]
fn exponent_of(x: f64) -> i64 {
    (x.to_bits() >> 52 & 0x7ff) as i64 - 1023
}

/// Two to a power that is a normal number.
#[inline]
pub(super) fn power(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The exponent of a number; that of the least normal number for those below it, and for 0.
#[inline]
pub(super) fn magnitude(x: f64) -> i64 {
    exponent_of(x).max(-1022)
}

impl Add for Wide {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (large, small) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // Zero has the exponent 0, whatever the other number's is.
        if large.digits == 0.0 {
            return small;
        }
        if small.digits == 0.0 || large.exponent - small.exponent > MAX_ALIGNED {
            return large;
        }
        let digits = large.digits + small.digits * power(small.exponent - large.exponent);
        Self::times_power(digits, large.exponent)
    }
}

impl Sub for Wide {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self { digits: -other.digits, ..other }
    }
}

impl Mul for Wide {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::times_power(self.digits * other.digits, self.exponent + other.exponent)
    }
}

impl Measure for Wide {
    fn span(low: f64, high: f64) -> Self {
        let span = high - low;
        if span.is_finite() {
            Self::new(span)
        } else {
            // Both are large, so that halves are exact.
            Self::times_power(high * 0.5 - low * 0.5, 1)
        }
    }

    fn far_below(self, other: Self) -> bool {
        self.digits <= 0.0 || (other - self * Self::times_power(1.0, 6)).digits > 0.0
    }

    fn values(measures: Vec<Self>) -> Vec<f64> {
        measures.into_iter().map(Self::value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn wide_numbers_round_as_doubles_do() {
        let mut random = Random(5);
        for _ in 0..20_000 {
            let mut next = |most: u64| {
                let scale = random.below(most) as i64 - most as i64 / 2;
                (random.unit() - 0.5) * power(scale)
            };
            let (a, b, c) = (next(200), next(200), next(4));
            for (x, y) in [(a, b), (a, a + a * c), (a, -a), (a, 0.0), (0.0, b)] {
                let (wide_x, wide_y) = (Wide::new(x), Wide::new(y));
                assert_eq!((wide_x + wide_y).value(), x + y);
                assert_eq!((wide_x - wide_y).value(), x - y);
                assert_eq!((wide_x * wide_y).value(), x * y);
                assert_eq!(Wide::span(x, y).value(), y - x);
                if x > 0.0 && y > 0.0 {
                    assert_eq!(wide_x.far_below(wide_y), x.far_below(y));
                }
            }
        }
    }

    #[test]
    fn the_range_is_wide() {
        for x in [f64::MAX, f64::MIN_POSITIVE, 5e-324, 3e-310, 1.0, -2.5, 0.0] {
            assert_eq!(Wide::new(x).value(), x);
        }
        let (huge, tiny) = (Wide::new(1e300), Wide::new(1e-300));
        assert_eq!((huge * huge * huge * tiny * tiny * tiny).value(), 1.0 + f64::EPSILON);
        assert_eq!((huge * huge).value(), f64::INFINITY);
        assert_eq!((tiny * tiny).value(), 0.0);
        assert_eq!((huge * huge - huge * huge).value(), 0.0);
        assert_eq!((huge * huge + tiny * tiny - huge * huge).value(), 0.0);
        assert_eq!((tiny * tiny + Wide::default()).value(), 0.0);
        assert_eq!(
            (tiny * tiny * huge * huge + Wide::default()).value(),
            (tiny * huge * tiny * huge).value()
        );
        assert_eq!(Wide::span(-1.5e308, 1.5e308).value(), f64::INFINITY);
        assert_eq!((Wide::span(-1.5e308, 1.5e308) * Wide::new(0.25)).value(), 0.75e308);
        // Halfway between two subnormal numbers: rounded once.
        assert_eq!(Wide::times_power(1.5, -1074).value(), 1e-323);
        assert_eq!(Wide::times_power(1.0 + f64::EPSILON, -1075).value(), 5e-324);
        assert_eq!(Wide::times_power(1.0, -1075).value(), 0.0);
        assert_eq!((tiny - huge).or_nothing().value(), 0.0);
    }
}
