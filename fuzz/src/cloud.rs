//! Bytes as points: few rows drawn from the bytes, many by a generator.

use paretohqd::Points;

use crate::layout::Layout;

/// What is left of the bytes.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// The next byte; 0 once there is none left.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }
}

/// Points as the fuzzer wants them.
#[derive(Debug)]
pub struct Cloud {
    pub columns: Vec<Vec<f64>>,
    /// How the columns are handed over.
    layout: Layout,
}

/// Values at which arithmetic and order go wrong first.
const EXTREMES: [f64; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    -f64::MIN_POSITIVE,
    5e-324,
    1e-160,
    1e150,
    -1e150,
    f64::EPSILON,
    0.1,
    1e308,
    5e307,
    1e200,
    1e-200,
    1e80,
    1e-82,
    1e-308,
    1e38,
];

impl Cloud {
    /// Between 1 and `most_objectives` columns of at most `most_rows` rows.
    pub fn new(bytes: &mut Bytes<'_>, most_objectives: usize, most_rows: usize) -> Self {
        let m = 1 + bytes.below(most_objectives);
        let kind = bytes.byte();
        let layout = Layout::new(bytes, m);
        let rows = match kind % 8 {
            // Many rows from a short seed reach what few rows do not: forks, blocks, buckets.
            0 | 1 => (usize::from(bytes.byte()) * 256 + usize::from(bytes.byte())) % most_rows,
            _ => (bytes.0.len() / m).min(most_rows.min(200)),
        };
        let mut state = bytes.word() | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let kinds: Vec<u8> = (0..m).map(|_| bytes.byte()).collect();
        let mut columns = vec![Vec::with_capacity(rows); m];
        for row in 0..rows {
            for (column, &column_kind) in columns.iter_mut().zip(&kinds) {
                column.push(match kind % 8 {
                    0 => (next() % (1 + u64::from(column_kind))) as f64,
                    1 => large(row, column_kind, next()),
                    2 => f64::from(bytes.byte() % 4),
                    3 => f64::from(bytes.byte() as i8),
                    4 => EXTREMES[bytes.below(EXTREMES.len())],
                    // The same, each column on a scale of its own.
                    5 => power(column_kind) * f64::from(bytes.byte() as i8),
                    _ => f64::from_bits(bytes.word()),
                });
            }
        }
        for (column, single) in columns.iter_mut().zip(&layout.single) {
            if *single {
                column.iter_mut().for_each(|value| *value = f64::from(*value as f32));
            }
        }
        Self { columns, layout }
    }

    pub fn rows(&self) -> usize {
        self.columns[0].len()
    }

    pub fn row(&self, row: usize) -> Vec<f64> {
        self.columns.iter().map(|column| column[row]).collect()
    }

    /// Whether a value is NaN, and whether one is infinite.
    pub fn oddities(&self) -> (bool, bool) {
        let mut values = self.columns.iter().flatten();
        (values.clone().any(|x| x.is_nan()), values.any(|x| x.is_infinite()))
    }

    /// Hands the points to `check`, unless a NaN was refused, as it must be.
    pub fn with_points(&self, check: impl FnOnce(&Points<'_>)) {
        let stored = self.layout.store(&self.columns);
        let points = Points::new(self.layout.columns(&self.columns, &stored));
        assert_eq!(points.is_err(), self.oddities().0, "NaN is refused, and only NaN");
        if let Ok(points) = points {
            check(&points);
        }
    }
}

/// A value of many rows: uniform, or along a chain or a front with more or less noise.
fn large(row: usize, kind: u8, random: u64) -> f64 {
    let (row, noise) = (row as f64, (random >> 11) as f64 / (1u64 << 53) as f64);
    match kind % 8 {
        0 | 1 => noise,
        2 => row + noise * f64::from(kind),
        3 => noise * f64::from(kind) - row,
        4 => row,
        5 => -row,
        6 => noise * power(kind),
        _ => 1e6 + noise,
    }
}

/// A power of two that the byte chooses, within and beyond where products of some are finite.
fn power(byte: u8) -> f64 {
    2f64.powi((i32::from(byte) - 128) * 8)
}
