//! Corners of boxes: arrays of `W` values, so that whole points are compared and limited by a few
//! instructions. Those past the objectives are padding, sides of length 1.

use pulp::Simd;

/// A corner of a box.
pub(super) type Corner<const W: usize> = [f64; W];

/// A point with `pad` in place of the objectives that it lacks.
pub(super) fn padded<const W: usize>(point: &[f64], pad: f64) -> Corner<W> {
    let mut corner = [pad; W];
    corner[..point.len()].copy_from_slice(point);
    corner
}

/// The volume of the box between two corners. The order of the factors is the same everywhere.
#[inline(always)]
pub(super) fn volume<S: Simd, const W: usize>(simd: S, high: &Corner<W>, low: &Corner<W>) -> f64 {
    let (highs, lows) = (S::as_simd_f64s(high).0, S::as_simd_f64s(low).0);
    let mut half = highs.len();
    if half == 0 {
        let mut sides = *high;
        for j in 0..W {
            sides[j] -= low[j];
        }
        return (sides[0] * sides[2]) * (sides[1] * sides[3]);
    }
    let mut sides = [simd.splat_f64s(0.0); W];
    for i in 0..half {
        sides[i] = simd.sub_f64s(highs[i], lows[i]);
    }
    while half > 1 {
        half /= 2;
        for i in 0..half {
            sides[i] = simd.mul_f64s(sides[i], sides[i + half]);
        }
    }
    simd.reduce_product_f64s(sides[0])
}

/// `corner` with the value of another in one objective.
#[inline(always)]
pub(super) fn replaced<const W: usize>(
    corner: &Corner<W>,
    objective: usize,
    by: &Corner<W>,
) -> Corner<W> {
    let mut replaced = *corner;
    for j in 0..W {
        replaced[j] = if j == objective { by[j] } else { corner[j] };
    }
    replaced
}

/// The smaller value in each objective.
#[inline(always)]
pub(super) fn least<const W: usize>(a: &Corner<W>, b: &Corner<W>) -> Corner<W> {
    let mut least = *a;
    for j in 0..W {
        least[j] = if a[j] < b[j] { a[j] } else { b[j] };
    }
    least
}

/// Whether `a` is less than `b` in some objective.
#[inline(always)]
pub(super) fn misses<const W: usize>(a: &Corner<W>, b: &Corner<W>) -> bool {
    let mut misses = false;
    for j in 0..W {
        misses |= a[j] < b[j];
    }
    misses
}
