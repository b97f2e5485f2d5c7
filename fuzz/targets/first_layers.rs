#![no_main]
//! The first layers, by number and by rows covered, on three threads, against all layers cut off.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Stop, pareto_layers, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, last_layer, stopped};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (upto, at_least) = (bytes.below(40), usize::from(bytes.byte()) * 13);
    // Enough rows for the bound by a sample.
    let cloud = Cloud::new(&mut bytes, 6, 60_000);
    cloud.with_points(|points| {
        let on =
            |threads, stop| with_threads(Some(threads), || pareto_layers(points, stop)).unwrap();
        let all = on(1, Stop::Never).unwrap();
        assert_eq!(on(3, Stop::Never).unwrap(), all);
        match on(3, Stop::UpTo(upto)) {
            Ok(actual) => assert_eq!(actual, stopped(&all, Some(upto as i32 - 1))),
            Err(_) => assert_eq!(upto, 0),
        }
        match on(3, Stop::AtLeast(at_least)) {
            Ok(actual) => assert_eq!(actual, stopped(&all, last_layer(&all, at_least))),
            Err(_) => assert_eq!(at_least, 0),
        }
    });
});
