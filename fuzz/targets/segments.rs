#![no_main]
//! Nearest rows within groups against the search on each group alone.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Column, Points, nearest_in_groups, nearest_to_rays, with_threads};
use paretohqd_fuzz::{Bytes, Cloud};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (groups, rays, k) = (1 + bytes.below(20), bytes.below(5), 1 + bytes.below(9));
    let shares: Vec<f64> = (0..rays * 6).map(|_| f64::from(bytes.byte()) / 255.0).collect();
    let scale = [1.0, 1.0, 1e150, 1e-150, 1e300, 1e-310][bytes.below(6)];
    let sizes: Vec<f64> = (0..groups * 6).map(|_| f64::from(bytes.byte()) / 16.0 * scale).collect();
    let cloud = Cloud::new(&mut bytes, 6, 4000);
    cloud.with_points(|points| {
        let (m, n) = (points.objectives(), cloud.rows());
        let starts: Vec<u32> = (0..=groups).map(|g| (g * n / groups) as u32).collect();
        let (spans, weights) = (&sizes[..groups * m], &shares[..rays * m]);
        let actual = nearest_in_groups(points, &starts, spans, weights, k);
        assert_eq!(actual.is_err(), cloud.oddities().1);
        let Ok(actual) = actual else { return };
        let again = with_threads(Some(3), || nearest_in_groups(points, &starts, spans, weights, k));
        assert_eq!(again.unwrap().unwrap(), actual);
        let mut place = 0;
        for weights in weights.chunks_exact(m) {
            for (ends, origin) in starts.windows(2).zip(spans.chunks_exact(m)) {
                let (first, last) = (ends[0] as usize, ends[1] as usize);
                let held = k.min(last - first);
                let here = place..place + held;
                place += held;
                let through: Vec<f64> = weights.iter().zip(origin).map(|(w, s)| w * s).collect();
                // No objective with a weight has a span: the ray is a point, to the groups alone.
                let still = through == origin || through.iter().all(|&x| x == 0.0);
                if held == 0 || still {
                    continue;
                }
                let columns: Vec<Vec<f64>> =
                    cloud.columns.iter().map(|column| column[first..last].to_vec()).collect();
                let part = columns.iter().map(|column| Column::from(&column[..])).collect();
                let alone =
                    nearest_to_rays(&Points::new(part).unwrap(), origin, &through, held).unwrap();
                let rows: Vec<u32> = alone.rows.iter().map(|row| row + first as u32).collect();
                assert_eq!(actual.rows[here.clone()], rows);
                assert_eq!(actual.distances[here], alone.distances);
            }
        }
        assert_eq!(actual.rows.len(), place);
    });
});
