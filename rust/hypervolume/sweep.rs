//! Two and three objectives: a sweep from the best to the worst first objective.

use super::profile::Profile;

/// The area that positive points dominate above the origin. Sorts the points.
pub(super) fn area(points: &mut [[f64; 2]]) -> f64 {
    points.sort_unstable_by(|a, b| b[0].total_cmp(&a[0]));
    let (mut area, mut height) = (0.0, 0.0);
    for &[x, y] in points.iter() {
        if y > height {
            area += x * (y - height);
            height = y;
        }
    }
    area
}

/// The volume that positive points dominate above the origin. Sorts the points.
pub(super) fn volume(points: &mut [[f64; 3]]) -> f64 {
    points.sort_unstable_by(|a, b| b[0].total_cmp(&a[0]));
    volume_of_sorted(points.iter().copied(), &mut Profile::default())
}

/// [`volume`] of points that come with the best first objective first. Clears the profile.
pub(super) fn volume_of_sorted(
    points: impl Iterator<Item = [f64; 3]>,
    profile: &mut Profile,
) -> f64 {
    profile.clear();
    // Each point adds its new area times all of its depth: positive terms only, no cancellation.
    points.map(|[x, y, z]| x * profile.insert(y, z)).sum()
}
