//! Bytes as points, and the definitions that the kernels are held against.

use paretohqd::{Column, Points, Strided};

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

/// Columns as the fuzzer wants them: few rows drawn from the bytes, many by a generator.
#[derive(Debug)]
pub struct Cloud {
    pub columns: Vec<Vec<f64>>,
    /// Whether the columns are handed over in single precision.
    pub single: bool,
    /// Whether they are handed over as columns of a row-major table.
    pub row_major: bool,
}

/// Values at which arithmetic and order go wrong first.
const EXTREMES: [f64; 16] = [
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
];

impl Cloud {
    /// Between 1 and `most_objectives` columns of at most `most_rows` rows.
    pub fn new(bytes: &mut Bytes<'_>, most_objectives: usize, most_rows: usize) -> Self {
        let m = 1 + bytes.below(most_objectives);
        let (kind, layout) = (bytes.byte(), bytes.byte());
        let (single, row_major) = (layout % 4 == 0, layout / 4 % 2 == 1);
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
        for _ in 0..rows {
            for (column, &column_kind) in columns.iter_mut().zip(&kinds) {
                column.push(match kind % 8 {
                    0 => (next() % (1 + u64::from(column_kind))) as f64,
                    1 => (next() >> 11) as f64 / (1u64 << 53) as f64,
                    2 => f64::from(bytes.byte() % 4),
                    3 => f64::from(bytes.byte() as i8),
                    4 | 5 => EXTREMES[bytes.below(EXTREMES.len())],
                    _ => f64::from_bits(bytes.word()),
                });
            }
        }
        if single {
            for value in columns.iter_mut().flatten() {
                *value = f64::from(*value as f32);
            }
        }
        Self { columns, single, row_major }
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
        let (m, rows) = (self.columns.len(), self.rows());
        let table: Vec<f64> = (0..rows).flat_map(|row| self.row(row)).collect();
        let narrow_table: Vec<f32> = table.iter().map(|&x| x as f32).collect();
        let narrow: Vec<Vec<f32>> =
            self.columns.iter().map(|column| column.iter().map(|&x| x as f32).collect()).collect();
        let column = |j: usize| match (self.single, self.row_major) {
            (false, false) => Column::F64(&self.columns[j]),
            (true, false) => Column::F32(&narrow[j]),
            (false, true) => Column::F64Strided(strided(&table, j, m, rows)),
            (true, true) => Column::F32Strided(strided(&narrow_table, j, m, rows)),
        };
        let columns = (0..m).map(column).collect();
        let points = Points::new(columns);
        assert_eq!(points.is_err(), self.oddities().0, "NaN is refused, and only NaN");
        if let Ok(points) = points {
            check(&points);
        }
    }
}

/// Column `j` of a table of `m` columns.
fn strided<T: Copy>(table: &[T], j: usize, m: usize, rows: usize) -> Strided<'_, T> {
    // A table without rows has no place for its later columns to begin.
    Strided::new(table, if rows == 0 { 0 } else { j }, m, rows).expect("a column of the table")
}

/// At least as good in every objective and better in one.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(x, y)| x >= y) && a.iter().zip(b).any(|(x, y)| x > y)
}

/// The layer of each row: one past the deepest of those that dominate it.
pub fn layers(rows: &[Vec<f64>]) -> Vec<i32> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[b].partial_cmp(&rows[a]).expect("no NaN"));
    let mut layers = vec![0; rows.len()];
    for (place, &i) in order.iter().enumerate() {
        let above = order[..place].iter().filter(|&&j| dominates(&rows[j], &rows[i]));
        layers[i] = above.map(|&j| layers[j] + 1).max().unwrap_or(0);
    }
    layers
}

/// What a stop leaves of all layers.
pub fn stopped(all: &[i32], last: Option<i32>) -> Vec<i32> {
    all.iter()
        .map(|&layer| if last.is_none_or(|last| layer <= last) { layer } else { -1 })
        .collect()
}

/// The last layer needed to cover `rows` rows.
pub fn last_layer(all: &[i32], rows: usize) -> Option<i32> {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    rows.checked_sub(1).and_then(|place| sorted.get(place).copied())
}

/// The volume above the origin, by slices along the last objective.
pub fn volume(points: &[Vec<f64>], m: usize) -> f64 {
    let inside: Vec<&Vec<f64>> =
        points.iter().filter(|p| p[..m].iter().all(|&x| x > 0.0)).collect();
    if m == 1 {
        return inside.iter().map(|p| p[0]).fold(0.0, f64::max);
    }
    let mut levels: Vec<f64> = inside.iter().map(|p| p[m - 1]).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let mut low = 0.0;
    let mut total = 0.0;
    for level in levels {
        let above: Vec<Vec<f64>> =
            inside.iter().filter(|p| p[m - 1] >= level).map(|p| p[..m - 1].to_vec()).collect();
        total += (level - low) * volume(&above, m - 1);
        low = level;
    }
    total
}
