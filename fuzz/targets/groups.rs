#![no_main]
//! Layers within groups against each group on its own.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Stop, pareto_layers_by_group};
use paretohqd_fuzz::{Bytes, Cloud, last_layer, layers, stopped};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let groups = 1 + usize::from(bytes.byte());
    let (sorted, stop) = (bytes.below(2) == 0, bytes.below(4));
    let mut state = u32::from(bytes.byte()) + 1;
    let cloud = Cloud::new(&mut bytes, 5, 2000);
    let mut ids: Vec<u32> = (0..cloud.rows())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % groups as u32
        })
        .collect();
    if sorted {
        ids.sort_unstable();
    }
    cloud.with_points(|points| {
        let asked = [Stop::Never, Stop::UpTo(2), Stop::AtLeast(3), Stop::UpTo(1)][stop];
        let actual = pareto_layers_by_group(points, &ids, groups, asked).unwrap();
        for group in 0..groups as u32 {
            let members: Vec<usize> = (0..ids.len()).filter(|&row| ids[row] == group).collect();
            let rows: Vec<Vec<f64>> = members.iter().map(|&row| cloud.row(row)).collect();
            let all = layers(&rows);
            let last = match asked {
                Stop::Never => None,
                Stop::UpTo(layers) => Some(layers as i32 - 1),
                Stop::AtLeast(rows) => last_layer(&all, rows),
                other => unreachable!("a stop that has no definition here: {other:?}"),
            };
            let here: Vec<i32> = members.iter().map(|&row| actual[row]).collect();
            assert_eq!(here, stopped(&all, last));
        }
    });
});
