//! Volumes and contributions of any doubles in four objectives and more, in numbers that neither
//! over- nor underflow: WFG (While, Bradstreet, Barone 2012) as plainly as it can be written.
//!
//! Only points whose boxes are no doubles come here, so that it may be slow. Points stay as they
//! are; `corner` is where their boxes begin.

use std::cmp::Ordering;

use super::measure::{Measure, Wide};
use super::staircase::Staircase;
use crate::layers::{Stop, layers};
use crate::points::Points;
use crate::threads;

/// The volume that the points dominate above `reference`.
pub(super) fn volume(points: &Points<'_>, reference: &[f64]) -> Wide {
    let layers = layers(points, Stop::UpTo(1));
    let row = |row: usize| -> Vec<f64> {
        points.columns().iter().map(|column| column.get(row)).collect()
    };
    let front = (0..points.rows()).filter(|&row| layers[row] == 0).map(row);
    let above = |point: &Vec<f64>| point.iter().zip(reference).all(|(x, least)| x > least);
    union(front.filter(above).collect(), reference)
}

/// What the point at a place adds to the others, row after row of all points.
pub(super) fn contribution(points: &[Vec<f64>], at: usize, corner: &[f64]) -> Wide {
    let mut others = points.to_vec();
    let point = others.swap_remove(at);
    added(&others, &point, corner)
}

/// The volume of boxes from the corner up to each point.
fn union(mut points: Vec<Vec<f64>>, corner: &[f64]) -> Wide {
    let [corner @ .., last_corner] = corner else { return Wide::default() };
    let last = corner.len();
    points.sort_unstable_by(|a, b| {
        b[last].total_cmp(&a[last]).then_with(|| b.partial_cmp(a).unwrap_or(Ordering::Equal))
    });
    // Slices, from the best to the worst last objective.
    let mut volume = Wide::default();
    let mut outline = Staircase::default();
    let mut front: Vec<Vec<f64>> = Vec::new();
    for mut point in points {
        let depth = Wide::span(*last_corner, point[last]);
        let area = match corner {
            &[y, z] => outline.insert_above([y, z], point[0], point[1]),
            _ => {
                point.truncate(last);
                let area = added(&front, &point, corner);
                front.retain(|q| q.iter().zip(&point).any(|(q, p)| q > p));
                front.push(point);
                area
            }
        };
        volume = volume + depth * area;
    }
    volume
}

/// What a point adds to a front: its box above its floors less what the front covers of that. A
/// point of the front that is worse in one objective alone covers all up to there, a floor.
fn added(front: &[Vec<f64>], point: &[f64], corner: &[f64]) -> Wide {
    threads::check();
    let mut floors = corner.to_vec();
    for q in front {
        let mut worse = q.iter().zip(point).enumerate().filter(|(_, (q, p))| q < p);
        match (worse.next(), worse.next()) {
            (None, _) => return Wide::default(),
            (Some((j, (&q, _))), None) => floors[j] = floors[j].max(q),
            _ => {}
        }
    }
    let limit = |q: &Vec<f64>| q.iter().zip(point).map(|(q, p)| q.min(*p)).collect();
    let within = |q: &Vec<f64>| q.iter().zip(&floors).all(|(q, floor)| q > floor);
    let limited: Vec<Vec<f64>> = front.iter().filter(|&q| within(q)).map(limit).collect();
    let sides = point.iter().zip(&floors).map(|(p, floor)| Wide::span(*floor, *p));
    let room = sides.fold(Wide::ONE, |room, side| room * side);
    (room - union(limited, &floors)).or_nothing()
}
