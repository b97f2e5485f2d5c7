//! Criterion benches of every kernel, on clouds of 10,000 and of a million rows and on shapes that
//! are hard: `cargo bench`, about four minutes.

use std::hint::black_box;
use std::time::Duration;

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use paretohqd::{
    Column, Points, Stop, crowding_distance, epsilon_additive, hypervolume,
    hypervolume_contributions, hypervolume_estimate, hypervolume_in_groups, hypervolume_subset,
    igd_plus, least_achievement, least_achievement_in_groups, nearest_in_groups, nearest_to_rays,
    pareto_layers, pareto_layers_by_group, r2_indicator, unbeaten,
};

const ROWS: usize = 10_000;
const MANY_ROWS: usize = 1_000_000;

/// Numbers in 0..1, the same in every run.
fn numbers() -> impl FnMut() -> f64 {
    let mut state = 1u64;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Columns of uniform numbers in 0..1.
fn uniform(rows: usize, m: usize) -> Vec<Vec<f64>> {
    let mut next = numbers();
    (0..m).map(|_| (0..rows).map(|_| next()).collect()).collect()
}

/// Positive points on the unit simplex: one large front.
fn simplex(rows: usize, m: usize) -> Vec<Vec<f64>> {
    let mut columns = uniform(rows, m);
    for row in 0..rows {
        let sum: f64 = columns.iter().map(|column| -column[row].max(1e-9).ln()).sum();
        for column in &mut columns {
            column[row] = -column[row].max(1e-9).ln() / sum;
        }
    }
    columns
}

/// Each objective the row's number with noise: about half as many layers as rows.
fn noisy_chain(rows: usize, m: usize) -> Vec<Vec<f64>> {
    let mut next = numbers();
    // A sum of four uniform numbers has the spread of a normal one after scaling.
    let mut noise = || (0..4).map(|_| next() - 0.5).sum::<f64>() * 3f64.sqrt();
    (0..m).map(|_| (0..rows).map(|row| row as f64 + noise()).collect()).collect()
}

/// One point above a front whose points cut what it adds one after the other.
fn one_above(rows: usize) -> Vec<Vec<f64>> {
    let at = |row: usize| 0.9 - 0.8 * row as f64 / rows as f64;
    let column =
        |of: fn(f64) -> f64| std::iter::once(1.0).chain((1..rows).map(|row| of(at(row)))).collect();
    vec![column(|x| x), column(|x| x), column(|x| 1.0 - x)]
}

fn points(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|column| Column::F64(column)).collect()).expect("finite")
}

/// Times `call` under "name/m/rows".
fn time<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    columns: &[Vec<f64>],
    call: impl Fn(&Points<'_>) -> T,
) {
    let points = points(columns);
    let name = format!("{name}, M={}, {} rows", points.objectives(), points.rows());
    group.bench_function(name, |bencher| bencher.iter(|| call(black_box(&points))));
}

fn layers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layers");
    for (rows, sizes) in [(ROWS, &[2, 3, 4, 5, 8][..]), (MANY_ROWS, &[2, 3, 4, 5])] {
        for &m in sizes {
            let columns = uniform(rows, m);
            for (name, stop) in
                [("all", Stop::Never), ("first 5", Stop::UpTo(5)), ("single front", Stop::UpTo(1))]
            {
                time(&mut group, name, &columns, |points| pareto_layers(points, stop));
            }
        }
    }
    group.finish();
}

fn hard_shapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hard shapes");
    for m in [2, 3, 4, 5] {
        time(&mut group, "noisy chain", &noisy_chain(MANY_ROWS / 4, m), |points| {
            pareto_layers(points, Stop::Never)
        });
    }
    time(&mut group, "one front", &simplex(MANY_ROWS / 4, 3), |points| {
        pareto_layers(points, Stop::UpTo(5))
    });
    time(&mut group, "contributions, one above a front", &one_above(ROWS), |points| {
        hypervolume_contributions(points, &[0.0; 3])
    });
    group.finish();
}

fn groups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("groups");
    for size in [8, 65, 256] {
        let columns = uniform(ROWS * 10, 3);
        let ids: Vec<u32> = (0..ROWS as u32 * 10).map(|row| row / size).collect();
        let groups = ids[ids.len() - 1] as usize + 1;
        time(&mut group, &format!("layers of {size}"), &columns, |points| {
            pareto_layers_by_group(points, &ids, groups, Stop::Never)
        });
        time(&mut group, &format!("hypervolume of {size}"), &columns, |points| {
            hypervolume_in_groups(points, &ids, groups, &[0.0; 3])
        });
    }
    for m in [2, 4] {
        let ids: Vec<u32> = (0..ROWS as u32).map(|row| row / 8).collect();
        time(&mut group, "hypervolume of 8", &uniform(ROWS, m), |points| {
            hypervolume_in_groups(points, &ids, ROWS.div_ceil(8), &vec![0.0; m])
        });
    }
    group.finish();
}

fn volumes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("volumes");
    for (m, rows) in [(2, ROWS), (3, ROWS), (4, 1000), (5, 300), (6, 100), (8, 60)] {
        let columns = simplex(rows, m);
        let reference = vec![0.0; m];
        time(&mut group, "hypervolume", &columns, |points| hypervolume(points, &reference));
        time(&mut group, "contributions", &columns, |points| {
            hypervolume_contributions(points, &reference)
        });
    }
    for m in [2, 3] {
        let columns = simplex(MANY_ROWS, m);
        time(&mut group, "hypervolume", &columns, |points| hypervolume(points, &vec![0.0; m]));
    }
    time(&mut group, "estimate", &simplex(1000, 8), |points| {
        hypervolume_estimate(points, &[0.0; 8], 1 << 16, 0)
    });
    group.finish();
}

fn screens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unbeaten by 20 rows");
    for (rows, m) in [(ROWS, 3), (MANY_ROWS, 3), (MANY_ROWS, 5)] {
        // The sums of these are large, so that they beat many.
        let others: Vec<f64> = simplex(20, m).iter().flatten().map(|x| 0.8 + 0.1 * x).collect();
        time(&mut group, "screen", &uniform(rows, m), |points| {
            unbeaten(points, &vec![true; m], &others)
        });
    }
    group.finish();
}

fn rays(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nearest");
    for rows in [ROWS, MANY_ROWS] {
        let columns = uniform(rows, 3);
        for rays in [1, 11, 100] {
            let through: Vec<f64> = (0..rays)
                .flat_map(|ray| [0.9 * f64::from(ray) / f64::from(rays), 0.5, 0.1])
                .collect();
            time(&mut group, &format!("100 to {rays} rays"), &columns, |points| {
                nearest_to_rays(points, &[1.0; 3], &through, 100)
            });
        }
    }
    for size in [8, 100] {
        let columns = uniform(ROWS * 10, 3);
        let starts: Vec<u32> = (0..=ROWS as u32 * 10).step_by(size).collect();
        let spans = vec![1.0; 3 * (starts.len() - 1)];
        let weights: Vec<f64> = (0..11)
            .flat_map(|ray| [0.1 * f64::from(ray), 0.3, 1.0 - 0.1 * f64::from(ray)])
            .collect();
        time(&mut group, &format!("2 to 11 rays in groups of {size}"), &columns, |points| {
            nearest_in_groups(points, &starts, &spans, &weights, 2)
        });
    }
    group.finish();
}

fn achievements(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("achievement");
    for (rows, m) in [(ROWS, 3), (MANY_ROWS, 2), (MANY_ROWS, 3), (MANY_ROWS, 5)] {
        let directions = directions(m);
        time(&mut group, "100 for 11 preferences", &uniform(rows, m), |points| {
            least_achievement(points, &vec![1.0; m], &directions, 100)
        });
    }
    for size in [8, 100] {
        let starts: Vec<u32> = (0..=ROWS as u32 * 10).step_by(size).collect();
        let ones = vec![1.0; 3 * (starts.len() - 1)];
        let directions = directions(3);
        time(
            &mut group,
            &format!("2 for 11 preferences in groups of {size}"),
            &uniform(ROWS * 10, 3),
            |points| least_achievement_in_groups(points, &starts, &ones, &ones, &directions, 2),
        );
    }
    group.finish();
}

/// How far 11 preferences let each objective fall, all above 0.
fn directions(m: usize) -> Vec<f64> {
    let mut next = numbers();
    (0..11 * m).map(|_| 0.1 + next()).collect()
}

fn indicators(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("indicators");
    for m in [2, 3, 5] {
        let (columns, others) = (simplex(ROWS, m), simplex(ROWS / 10, m));
        let (points, reference) = (points(&columns), points(&others));
        let weights: Vec<f64> =
            (0..ROWS / 10).flat_map(|i| others.iter().map(move |column| column[i])).collect();
        group.bench_function(BenchmarkId::new("crowding distance", m), |bencher| {
            bencher.iter(|| crowding_distance(black_box(&points)));
        });
        group.bench_function(BenchmarkId::new("IGD+", m), |bencher| {
            bencher.iter(|| igd_plus(black_box(&points), &reference));
        });
        group.bench_function(BenchmarkId::new("additive epsilon", m), |bencher| {
            bencher.iter(|| epsilon_additive(black_box(&points), &reference));
        });
        group.bench_function(BenchmarkId::new("R2", m), |bencher| {
            bencher.iter(|| r2_indicator(black_box(&points), &weights, &vec![1.0; m]));
        });
    }
    group.finish();
}

fn subsets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("50 points of a hypervolume");
    for (m, rows) in [(2, ROWS), (3, ROWS), (4, 1000), (5, 300)] {
        let columns = simplex(rows, m);
        let points = points(&columns);
        group.bench_function(BenchmarkId::from_parameter(m), |bencher| {
            bencher.iter(|| hypervolume_subset(black_box(&points), 50, &vec![0.0; m]));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = layers, hard_shapes, groups, volumes, screens, rays, achievements, indicators,
        subsets
}
criterion_main!(benches);
