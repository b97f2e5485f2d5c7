//! Criterion benches of every kernel on small clouds: `cargo bench`, about three minutes.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use paretohqd::{
    Column, Points, Stop, crowding_distance, epsilon_additive, hypervolume,
    hypervolume_contributions, hypervolume_in_groups, hypervolume_subset, igd_plus,
    nearest_to_rays, pareto_layers, pareto_layers_by_group, r2_indicator,
};

const ROWS: usize = 10_000;

/// Uniform numbers in 0..1, the same in every run.
fn uniform(rows: usize, m: usize) -> Vec<Vec<f64>> {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
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

fn points(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|column| Column::F64(column)).collect()).expect("finite")
}

fn layers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layers");
    for m in [2, 3, 4, 5, 8] {
        let columns = uniform(ROWS, m);
        let points = points(&columns);
        for (name, stop) in [("all", Stop::Never), ("first 5", Stop::UpTo(5))] {
            group.bench_function(BenchmarkId::new(name, m), |bencher| {
                bencher.iter(|| pareto_layers(black_box(&points), stop));
            });
        }
    }
    group.finish();
}

fn groups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layers in groups of 8");
    let columns = uniform(ROWS, 3);
    let points = points(&columns);
    let ids: Vec<u32> = (0..ROWS as u32).map(|row| row / 8).collect();
    group.bench_function(BenchmarkId::from_parameter(3), |bencher| {
        bencher.iter(|| {
            pareto_layers_by_group(black_box(&points), &ids, ROWS.div_ceil(8), Stop::Never)
        });
    });
    group.finish();
}

fn volume(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hypervolume");
    for (m, rows) in [(2, ROWS), (3, ROWS), (4, 300), (5, 100), (6, 100)] {
        let columns = simplex(rows, m);
        let points = points(&columns);
        group.bench_function(BenchmarkId::from_parameter(m), |bencher| {
            bencher.iter(|| hypervolume(black_box(&points), &vec![0.0; m]));
        });
    }
    group.finish();
}

fn volumes_in_groups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hypervolume in groups of 8");
    let ids: Vec<u32> = (0..ROWS as u32).map(|row| row / 8).collect();
    for m in [2, 3, 4] {
        let columns = uniform(ROWS, m);
        let points = points(&columns);
        group.bench_function(BenchmarkId::from_parameter(m), |bencher| {
            let groups = ROWS.div_ceil(8);
            bencher.iter(|| hypervolume_in_groups(black_box(&points), &ids, groups, &vec![0.0; m]));
        });
    }
    group.finish();
}

fn contributions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("contributions");
    for (m, rows) in [(2, ROWS), (3, ROWS), (4, 300), (5, 100), (6, 100)] {
        let columns = simplex(rows, m);
        let points = points(&columns);
        group.bench_function(BenchmarkId::from_parameter(m), |bencher| {
            bencher.iter(|| hypervolume_contributions(black_box(&points), &vec![0.0; m]));
        });
    }
    group.finish();
}

fn rays(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100 nearest to rays");
    let columns = uniform(ROWS, 3);
    let points = points(&columns);
    for rays in [1, 11, 100] {
        let through: Vec<f64> =
            (0..rays).flat_map(|ray| [0.9 * f64::from(ray) / f64::from(rays), 0.5, 0.1]).collect();
        group.bench_function(BenchmarkId::from_parameter(rays), |bencher| {
            bencher.iter(|| nearest_to_rays(black_box(&points), &[1.0; 3], &through, 100));
        });
    }
    group.finish();
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
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = layers, groups, volume, volumes_in_groups, contributions, rays, indicators,
        subsets
}
criterion_main!(benches);
