#![no_main]
//! The hypervolume of each group against that of the group alone, to the last bit.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Column, Points, hypervolume, hypervolume_in_groups, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, reference};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (groups, step) = (1 + bytes.below(40), 1 + usize::from(bytes.byte()));
    let reference = reference(&mut bytes);
    let cloud = Cloud::new(&mut bytes, 6, 6000);
    cloud.with_points(|points| {
        let m = points.objectives();
        // Exponential in m at worst: hours for some sets.
        if m > 4 && cloud.rows() > 200 {
            return;
        }
        let reference = vec![reference; m];
        let ids: Vec<u32> = (0..cloud.rows()).map(|row| (row / step % groups) as u32).collect();
        let actual = hypervolume_in_groups(points, &ids, groups, &reference);
        assert_eq!(actual.is_err(), cloud.oddities().1, "infinities are refused, and only they");
        let Ok(actual) = actual else { return };
        let again = || hypervolume_in_groups(points, &ids, groups, &reference).unwrap();
        let again = with_threads(Some(3), again).unwrap();
        assert_eq!(actual.len(), groups);
        for (group, (volume, again)) in actual.into_iter().zip(again).enumerate() {
            let members = |column: &Vec<f64>| -> Vec<f64> {
                let rows = (0..ids.len()).filter(|&row| ids[row] as usize == group);
                rows.map(|row| column[row]).collect()
            };
            let part: Vec<Vec<f64>> = cloud.columns.iter().map(members).collect();
            let part = Points::new(part.iter().map(|column| Column::from(&column[..])).collect());
            let alone = hypervolume(&part.unwrap(), &reference).unwrap();
            assert_eq!(volume.to_bits(), alone.to_bits());
            assert_eq!(again.to_bits(), alone.to_bits());
        }
    });
});
