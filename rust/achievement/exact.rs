//! Sums of quotients, compared without rounding.

use std::cmp::Ordering;

/// How the sum of a / d compares with the sum of b / d over all (a, b, d), where each d is positive.
///
/// Both sums are multiplied by all d, which leaves whole numbers times powers of two.
pub(super) fn compare_sums(terms: impl Iterator<Item = (f64, f64, f64)>) -> Ordering {
    let terms: Vec<_> = terms.filter(|(a, b, _)| a != b).collect();
    if terms.iter().all(|(a, b, _)| a >= b) || terms.iter().all(|(a, b, _)| a <= b) {
        return terms.first().map_or(Ordering::Equal, |(a, b, _)| a.total_cmp(b));
    }
    let mut products = Vec::new();
    for (place, &(a, b, _)) in terms.iter().enumerate() {
        // What is negative on one side is positive on the other.
        for (value, side) in [(a, 0), (b, 1)] {
            let (mut product, mut exponent) = (Vec::new(), 0);
            let (mantissa, e) = parts(value);
            product.push(mantissa);
            exponent += e;
            for (_, &(_, _, d)) in terms.iter().enumerate().filter(|(other, _)| *other != place) {
                let (mantissa, e) = parts(d);
                multiply(&mut product, mantissa);
                exponent += e;
            }
            products.push((if value < 0.0 { 1 - side } else { side }, exponent, product));
        }
    }
    let least = products.iter().map(|(_, exponent, _)| *exponent).min().unwrap_or(0);
    let mut sums = [Vec::new(), Vec::new()];
    for (side, exponent, product) in products {
        add(&mut sums[side], &product, (exponent - least) as usize);
    }
    let [a, b] = sums.map(|mut sum| {
        while sum.last() == Some(&0) {
            sum.pop();
        }
        sum
    });
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

/// Whole numbers m and e such that |x| is m times 2 to the e, for a finite x.
fn parts(x: f64) -> (u64, i64) {
    let bits = x.to_bits();
    let (mantissa, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i64);
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) }
}

/// Multiplies a number of 64-bit digits, the lowest first.
fn multiply(number: &mut Vec<u64>, by: u64) {
    let mut carry = 0;
    for digit in number.iter_mut() {
        let product = u128::from(*digit) * u128::from(by) + carry;
        *digit = product as u64;
        carry = product >> 64;
    }
    if carry > 0 {
        number.push(carry as u64);
    }
}

/// Adds a number times two to the power of `shift`.
fn add(sum: &mut Vec<u64>, number: &[u64], shift: usize) {
    let (digits, bits) = (shift / 64, shift % 64);
    sum.resize(sum.len().max(digits + number.len() + 1), 0);
    let (mut carry, mut low) = (0, 0);
    for (place, digit) in sum[digits..].iter_mut().enumerate() {
        let high = number.get(place).map_or(0, |&digit| u128::from(digit) << bits);
        let total = u128::from(*digit) + u128::from(high as u64 | low) + carry;
        (*digit, carry, low) = (total as u64, total >> 64, (high >> 64) as u64);
    }
    if carry > 0 {
        sum.push(carry as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_are_not_rounded() {
        let compare = |terms: &[(f64, f64, f64)]| compare_sums(terms.iter().copied());
        assert_eq!(compare(&[]), Ordering::Equal);
        assert_eq!(compare(&[(1.0, 1.0, 0.3)]), Ordering::Equal);
        assert_eq!(compare(&[(0.0, -0.0, 0.3)]), Ordering::Equal);
        assert_eq!(compare(&[(1.0, 2.0, 0.3), (2.0, 1.0, 0.3)]), Ordering::Equal);
        assert_eq!(compare(&[(1.0, 2.0, 0.3), (2.0, 1.0, 0.4)]), Ordering::Less);
        assert_eq!(compare(&[(1.0, 2.0, 1.0), (4.0, 2.0, 2.0)]), Ordering::Equal);
        // A difference of 5e-324 beside one of 1e300, which cancels.
        let tiny = 5e-324;
        let terms = [(1e300, -1e300, 1.0), (-1e300, 1e300, 1.0), (tiny, 0.0, 1e300)];
        assert_eq!(compare(&terms), Ordering::Greater);
        let terms = [(1e300, -1e300, 1.0), (-1e300, 1e300, 1.0), (-tiny, 0.0, 1e300)];
        assert_eq!(compare(&terms), Ordering::Less);
        assert_eq!(compare(&[(0.3, 0.1, 3.0), (0.1, 0.3, 3f64.next_up())]), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn whole_numbers_compare_as_fractions(
            terms in prop::collection::vec((-20i64..20, -20i64..20, 1i64..9), 0..5),
            size in prop::sample::select(vec![1.0, 2f64.powi(-1060), 2f64.powi(900), 2f64.powi(60)]),
        ) {
            let all: i64 = terms.iter().map(|(_, _, d)| d).product();
            let expected: i64 = terms.iter().map(|(a, b, d)| (a - b) * all / d).sum();
            let float = |&(a, b, d): &(i64, i64, i64)| (a as f64 * size, b as f64 * size, d as f64);
            prop_assert_eq!(compare_sums(terms.iter().map(float)), expected.cmp(&0));
        }
    }
}
