//! Points spread evenly over the unit cube, the same for the same seed.

/// An embedded lattice in base 2 (as Cools, Kuo, Nuyens 2006): the best of 400 random factors for
/// one coordinate after the other, judged by the worst of 2^6 to 2^17 points.
const FACTORS: [u32; 12] = [
    1, 292_235, 391_661, 879_903, 630_725, 249_927, 79_063, 118_563, 377_209, 702_611, 68_803,
    332_791,
];

/// The lattice shifted at random (Cranley, Patterson 1976), so that each of its points is anywhere
/// alike.
pub(super) struct Lattice {
    /// Factor and shift of each coordinate, in units of 2^-32.
    coordinates: Vec<(u32, u32)>,
}

impl Lattice {
    /// The lattice of one replicate in some coordinates.
    pub fn new(coordinates: usize, seed: u64, replicate: usize) -> Self {
        let mut random = SplitMix(SplitMix(seed).next().wrapping_add(replicate as u64));
        let coordinates = (0..coordinates).map(|j| {
            // Coordinates past those that the lattice was made for get odd factors as they come.
            let made_up = || SplitMix(j as u64).next() as u32 >> 12 | 1;
            (FACTORS.get(j).copied().unwrap_or_else(made_up), random.next() as u32)
        });
        Self { coordinates: coordinates.collect() }
    }

    /// The coordinates of a point, each between 0 and 1 but neither.
    #[inline(always)]
    pub fn point(&self, index: u32) -> impl Iterator<Item = f64> + '_ {
        let place = index.reverse_bits();
        self.coordinates.iter().map(move |&(factor, shift)| {
            let place = place.wrapping_mul(factor).wrapping_add(shift);
            (f64::from(place) + 0.5) / 4_294_967_296.0
        })
    }
}

/// Random numbers for shifts (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
