//! Numbers without a pattern for tests, the same in every run.

/// A linear congruence (Knuth, MMIX).
pub(crate) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }

    /// A number from 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Points on the simplex, row after row.
    pub fn simplex(&mut self, rows: usize, m: usize) -> Vec<f64> {
        let mut points = Vec::with_capacity(rows * m);
        for _ in 0..rows {
            let row: Vec<f64> =
                (0..m).map(|_| -(self.unit() + 1.0 / (1u64 << 53) as f64).ln()).collect();
            let sum: f64 = row.iter().sum();
            points.extend(row.iter().map(|x| x / sum));
        }
        points
    }

    /// Columns of whole numbers below `levels`.
    pub fn columns(&mut self, rows: usize, m: usize, levels: u64) -> Vec<Vec<f64>> {
        (0..m).map(|_| (0..rows).map(|_| self.below(levels) as f64).collect()).collect()
    }
}
