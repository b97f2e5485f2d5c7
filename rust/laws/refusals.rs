//! No rows, and what is refused with which words.

use crate::testing::points;
use crate::{
    Stop, hypervolume, hypervolume_contributions, nearest_to_rays, pareto_layers,
    pareto_layers_by_group, with_threads,
};

#[test]
fn no_row_is_no_error() {
    let empty = [Vec::new(), Vec::new()];
    assert!(pareto_layers(&points(&empty), Stop::UpTo(3)).unwrap().is_empty());
    let grouped = pareto_layers_by_group(&points(&empty), &[], 0, Stop::Never);
    assert!(grouped.unwrap().is_empty());
    assert_eq!(hypervolume(&points(&empty), &[0.0, 0.0]).unwrap(), 0.0);
    assert!(hypervolume_contributions(&points(&empty), &[0.0, 0.0]).unwrap().is_empty());
}

#[test]
fn refusals_say_what_to_do() {
    let columns = [vec![1.0, f64::INFINITY], vec![1.0, 2.0]];
    let points = points(&columns);
    let message = |result: Result<(), crate::Error>| result.unwrap_err().to_string();
    let cases = [
        (pareto_layers(&points, Stop::UpTo(0)).map(drop), "upto must be at least 1"),
        (pareto_layers(&points, Stop::AtLeast(0)).map(drop), "at_least must be at least 1"),
        (pareto_layers_by_group(&points, &[0], 1, Stop::Never).map(drop), "groups has 1 keys"),
        (pareto_layers_by_group(&points, &[0, 5], 2, Stop::Never).map(drop), "id 5 at row 1"),
        (hypervolume(&points, &[0.0, 0.0]).map(drop), "column 0 holds 1 infinite"),
        (hypervolume(&points, &[0.0]).map(drop), "ref has length 1 but there are 2"),
        (hypervolume(&points, &[0.0, f64::NAN]).map(drop), "ref is not finite at position 1"),
        (nearest_to_rays(&points, &[0.0; 2], &[1.0; 2], 1).map(drop), "column 0 holds 1 infinite"),
    ];
    for (result, expected) in cases {
        let actual = message(result);
        assert!(actual.contains(expected), "{actual}");
    }
    let finite = [vec![1.0, 0.0]];
    let points = self::points(&finite);
    let cases = [
        (nearest_to_rays(&points, &[0.0], &[1.0], 3).map(drop), "k = 3 is more than the 2 rows"),
        (nearest_to_rays(&points, &[0.0], &[1.0], 0).map(drop), "k must be at least 1"),
        (nearest_to_rays(&points, &[0.0], &[1.0, 0.0], 1).map(drop), "ray 1 has no direction"),
        (nearest_to_rays(&points, &[0.0; 3], &[1.0], 1).map(drop), "origin has length 3"),
        (with_threads(Some(0), || ()), "n_threads must be at least 1"),
    ];
    for (result, expected) in cases {
        let actual = message(result);
        assert!(actual.contains(expected), "{actual}");
    }
}
