//! Numbers with the digits of a double and any exponent: volumes are right beyond the doubles.

use std::ops::{Add, Mul};

/// `fraction * 2^exponent`: not negative, the fraction in 0.5..1 or 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wide {
    fraction: f64,
    exponent: i64,
}

impl Wide {
    pub const ZERO: Self = Self { fraction: 0.0, exponent: 0 };

    /// A finite number that is not negative, times `2^exponent`.
    pub fn new(value: f64, exponent: i64) -> Self {
        if value == 0.0 {
            return Self::ZERO;
        }
        // Subnormal numbers become normal first.
        let (value, lift) = if value < 1e-300 { (value * 2f64.powi(200), 200) } else { (value, 0) };
        let power = (value.to_bits() >> 52) as i64 - 1022;
        let fraction = f64::from_bits(value.to_bits() & ((1 << 52) - 1) | 1022 << 52);
        Self { fraction, exponent: power + exponent - lift }
    }

    /// The larger number less the smaller, though their difference may be beyond the doubles.
    pub fn difference(larger: f64, smaller: f64) -> Self {
        let difference = larger - smaller;
        if difference.is_finite() {
            Self::new(difference, 0)
        } else {
            Self::new(larger / 2.0 - smaller / 2.0, 1)
        }
    }

    /// This less `other`; 0 if that is more.
    pub fn less(self, other: Self) -> Self {
        if other == Self::ZERO {
            return self;
        }
        let exponent = self.exponent.max(other.exponent);
        let difference = self.at(exponent) - other.at(exponent);
        if difference > 0.0 { Self::new(difference, exponent) } else { Self::ZERO }
    }

    pub fn exceeds(self, other: Self) -> bool {
        self.less(other) != Self::ZERO
    }

    /// Whether a double near this is `actual`: up to `allowance`, infinite past the largest double,
    /// and where doubles have few digits up to the last few of these.
    pub fn is_near(self, actual: f64, allowance: Self) -> bool {
        if actual.is_nan() || actual < 0.0 {
            return false;
        }
        let allowance = allowance + Self::new(64.0 * 5e-324, 0);
        if actual.is_infinite() {
            return !Self::new(f64::MAX, 0).exceeds(self + allowance);
        }
        let actual = Self::new(actual, 0);
        !self.exceeds(actual + allowance) && !actual.exceeds(self + allowance)
    }

    /// In units of `2^exponent`, as a double; what is too small for one is 0.
    fn at(self, exponent: i64) -> f64 {
        match self.exponent - exponent {
            ..-1000 => 0.0,
            places => self.fraction * 2f64.powi(places as i32),
        }
    }
}

impl Add for Wide {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self == Self::ZERO {
            return other;
        }
        if other == Self::ZERO {
            return self;
        }
        let exponent = self.exponent.max(other.exponent);
        Self::new(self.at(exponent) + other.at(exponent), exponent)
    }
}

impl Mul for Wide {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::new(self.fraction * other.fraction, self.exponent + other.exponent)
    }
}
