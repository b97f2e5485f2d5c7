//! Neither the threads nor how points lie in memory change a byte.

use super::definitions::cut;
use crate::testing::{Layout, Random, points};
use crate::{
    Bounded, Loss, Points, Stop, hypervolume, hypervolume_contributions, hypervolume_estimate,
    hypervolume_in_groups, nearest_in_groups, nearest_to_rays, pareto_layers,
    pareto_layers_by_group, unbeaten, with_threads, within_bounds,
};

#[test]
fn threads_do_not_matter() {
    for (m, levels) in [(1, 50), (2, 1 << 30), (3, 1 << 30), (3, 9), (4, 1 << 30), (5, 4)] {
        let columns = Random(1).columns(40_000, m, levels);
        let run = |threads, stop| {
            with_threads(Some(threads), || pareto_layers(&points(&columns), stop).unwrap()).unwrap()
        };
        let expected = run(1, Stop::Never);
        assert_eq!(run(3, Stop::Never), expected);
        for threads in [1, 3] {
            assert_eq!(run(threads, Stop::UpTo(4)), cut(&expected, 4));
        }
    }
}

#[test]
fn no_kernel_minds_the_threads() {
    for (m, rows) in [(1, 40_000), (2, 40_000), (3, 40_000), (4, 700), (5, 200), (6, 100)] {
        let columns = Random(2).columns(rows, m, 1 << 20);
        let columns: Vec<Vec<f64>> =
            columns.iter().map(|c| c.iter().map(|x| x / f64::from(1 << 20)).collect()).collect();
        let run = |threads| with_threads(Some(threads), || every_kernel(&points(&columns)));
        let expected = run(1).unwrap();
        for threads in [2, 3, 8] {
            assert!(run(threads).unwrap() == expected, "{m} objectives, {threads} threads");
        }
    }
}

/// Every kernel on `points`, as bytes can be compared.
fn every_kernel(points: &Points<'_>) -> (Vec<Vec<i32>>, Vec<u64>, Vec<Vec<u32>>) {
    let (m, rows) = (points.objectives(), points.rows());
    let ids: Vec<u32> = (0..rows as u32).map(|row| row * 7 % 50).collect();
    let layers = vec![
        pareto_layers(points, Stop::Never).unwrap(),
        pareto_layers(points, Stop::UpTo(3)).unwrap(),
        pareto_layers_by_group(points, &ids, 50, Stop::Never).unwrap(),
    ];
    let reference = vec![0.5; m];
    let estimate = hypervolume_estimate(points, &reference, 1024, 3).unwrap();
    let nearest = nearest_to_rays(points, &vec![2.0; m], &vec![0.1; m], 9).unwrap();
    let starts = [0, 3, rows as u32 / 2, rows as u32];
    let grouped = nearest_in_groups(points, &starts, &vec![2.0; 3 * m], &vec![0.1; m], 4).unwrap();
    let screened = unbeaten(points, &vec![true; m], &vec![0.7; m]).unwrap();
    let (ones, halves) = (vec![1.0; m], vec![0.5; m]);
    let bounded = [Loss::Achievement, Loss::Sum, Loss::Distance].map(|loss| {
        let (ideal, units, weights) = (&ones[..], &halves[..], &ones[..]);
        let bounded = Bounded { loss, ideal, units, weights, bounds: &[0.3] };
        within_bounds(points, &vec![true; m], &bounded).unwrap().rows
    });
    let mut numbers = vec![estimate.value, estimate.standard_error];
    numbers.extend(nearest.distances.iter().chain(&grouped.distances));
    numbers.extend(screened.worst.iter().chain(&screened.best));
    numbers.extend(hypervolume_in_groups(points, &ids, 50, &reference).unwrap());
    numbers.push(hypervolume(points, &reference).unwrap());
    numbers.extend(hypervolume_contributions(points, &reference).unwrap());
    let bits = numbers.into_iter().map(f64::to_bits).collect();
    let [reached, summed, near] = bounded;
    (layers, bits, vec![nearest.rows, grouped.rows, screened.rows, reached, summed, near])
}

#[test]
fn layouts_and_widths_do_not_matter() {
    for (m, rows) in [(1, 700), (2, 20_000), (3, 20_000), (4, 600), (5, 200), (6, 100)] {
        for levels in [9, 1 << 20] {
            // Singles hold these numbers exactly.
            let mut columns = Random(8).columns(rows, m, levels);
            columns.iter_mut().flatten().for_each(|x| *x = f64::from((*x / levels as f64) as f32));
            let expected = every_kernel(&points(&columns));
            for layout in Layout::ALL {
                for single in [false, true] {
                    let actual = layout.hold(&columns, single, every_kernel);
                    assert!(actual == expected, "{m} objectives, {layout:?}, single: {single}");
                }
            }
        }
    }
}
