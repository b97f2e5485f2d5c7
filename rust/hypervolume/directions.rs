//! Directions spread evenly over the positive part of the sphere, the same for the same seed.

use std::f64::consts::LN_2;

/// An embedded lattice in base 2 (as Cools, Kuo, Nuyens 2006): the best of 400 random factors for
/// one coordinate after the other, judged by the worst of 2^6 to 2^17 points.
const LATTICE: [u32; 12] = [
    1, 292_235, 391_661, 879_903, 630_725, 249_927, 79_063, 118_563, 377_209, 702_611, 68_803,
    332_791,
];

/// The lattice shifted at random (Cranley, Patterson 1976) and bent to the sphere: each
/// coordinate becomes a half-normal number, and a vector of such points everywhere alike.
pub(super) struct Directions {
    /// Factor and shift of each coordinate, in units of 2^-32.
    coordinates: Vec<(u32, u32)>,
}

impl Directions {
    /// The directions of one replicate in `m` objectives.
    pub fn new(m: usize, seed: u64, replicate: usize) -> Self {
        let mut random = SplitMix(SplitMix(seed).next().wrapping_add(replicate as u64));
        let coordinates = (0..m).map(|j| {
            // Objectives past those that the lattice was made for get odd factors as they come.
            let made_up = || SplitMix(j as u64).next() as u32 >> 12 | 1;
            (LATTICE.get(j).copied().unwrap_or_else(made_up), random.next() as u32)
        });
        Self { coordinates: coordinates.collect() }
    }

    /// Writes one over each coordinate of direction `index` to every `step`th place of `out`.
    #[inline(always)]
    pub fn inverses(&self, index: u32, out: &mut [f64], step: usize) {
        let place = index.reverse_bits();
        let mut square = 0.0;
        for (out, &(factor, shift)) in out.iter_mut().step_by(step).zip(&self.coordinates) {
            let place = place.wrapping_mul(factor).wrapping_add(shift);
            let normal = half_normal((f64::from(place) + 0.5) / 4_294_967_296.0);
            square += normal * normal;
            *out = normal;
        }
        let length = square.sqrt();
        for out in out.iter_mut().step_by(step) {
            *out = length / *out;
        }
    }
}

/// The number that a half-normal variable is below with probability `p` in 0..1: the rational
/// approximations of Acklam (2003), off by 1e-9 of the value, far below any standard error.
#[inline(always)]
fn half_normal(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.357751867269,
        -30.66479806614716,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -54.47609879822406,
        161.5858368580409,
        -155.6989798598866,
        66.80131188771972,
        -13.28068155288572,
        1.0,
    ];
    const C: [f64; 6] = [
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0];
    let horner = |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, factor| sum * x + factor);
    let upper = (1.0 - p) / 2.0;
    if upper < 0.02425 {
        let q = (-2.0 * ln(upper)).sqrt();
        return -horner(&C, q) / horner(&D, q);
    }
    let q = p / 2.0;
    q * horner(&A, q * q) / horner(&B, q * q)
}

/// The natural logarithm of a positive normal number, to about 1e-12. Libraries differ in the
/// last bit of theirs from one processor to the next.
#[inline(always)]
fn ln(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    let mantissa = f64::from_bits(x.to_bits() & ((1 << 52) - 1) | 1023 << 52);
    // Around 1.4, the middle of 1..2: ln(f) = ln(sqrt 2) + 2 artanh((f - sqrt 2)/(f + sqrt 2)).
    let s = (mantissa - std::f64::consts::SQRT_2) / (mantissa + std::f64::consts::SQRT_2);
    let series = [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0];
    let artanh = s * series.iter().fold(0.0, |sum, odd| sum * (s * s) + 1.0 / odd);
    (f64::from(exponent) + 0.5) * LN_2 + 2.0 * artanh
}

/// Random numbers for shifts (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
