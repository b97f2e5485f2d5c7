//! A sequence along an axis, in blocks, so that a change moves part of one block only.

/// Items per block.
const BLOCK_ITEMS: usize = 128;

/// Something that has a coordinate along the axis.
pub(super) trait Keyed: Copy {
    /// What it is sought by.
    fn key(&self) -> f64;
}

/// A block and a place in it.
pub(super) type Place = (usize, usize);

/// Items whose keys rise; no block is empty.
pub(super) struct Blocks<T> {
    /// The key of each block's last item.
    lasts: Vec<f64>,
    blocks: Vec<Vec<T>>,
    /// Emptied blocks, kept for their memory.
    spare: Vec<Vec<T>>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { lasts: Vec::new(), blocks: Vec::new(), spare: Vec::new() }
    }
}

impl<T: Keyed> Blocks<T> {
    pub fn clear(&mut self) {
        self.lasts.clear();
        for mut block in self.blocks.drain(..) {
            block.clear();
            self.spare.push(block);
        }
    }

    /// The place of the first item whose key is `key` or more.
    #[inline]
    pub fn seek(&self, key: f64) -> Place {
        let block = self.lasts.partition_point(|&last| last < key);
        let at = self.blocks.get(block).map_or(0, |run| run.partition_point(|x| x.key() < key));
        (block, at)
    }

    #[inline]
    pub fn get(&self, (block, at): Place) -> Option<&T> {
        self.blocks.get(block)?.get(at)
    }

    #[inline]
    pub fn before(&self, (block, at): Place) -> Option<Place> {
        match at.checked_sub(1) {
            Some(at) => Some((block, at)),
            None => {
                let block = block.checked_sub(1)?;
                Some((block, self.blocks[block].len() - 1))
            }
        }
    }

    #[inline]
    pub fn after(&self, (block, at): Place) -> Place {
        if at + 1 < self.blocks[block].len() { (block, at + 1) } else { (block + 1, 0) }
    }

    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    /// Adds an item after the others.
    pub fn push(&mut self, item: T) {
        let end = (self.blocks.len(), 0);
        self.replace(end, end, item);
    }

    /// Puts `item` in the place of those from `from` up to `to`.
    pub fn replace(&mut self, from: Place, to: Place, item: T) {
        let Some((block, range)) = self.within_one_block(from, to) else {
            return self.splice(from, to, &[item]);
        };
        let run = &mut self.blocks[block];
        if range.end == run.len() {
            self.lasts[block] = item.key();
        }
        if range.is_empty() {
            run.insert(range.start, item);
            if run.len() > BLOCK_ITEMS {
                self.split(block);
            }
        } else {
            run[range.start] = item;
            if range.len() > 1 {
                run.drain(range.start + 1..range.end);
            }
        }
    }

    /// Puts `items` in the place of those from `from` up to `to`.
    pub fn splice(&mut self, from: Place, to: Place, items: &[T]) {
        if let Some((block, range)) = self.within_one_block(from, to) {
            self.blocks[block].splice(range, items.iter().copied());
            return self.settle(block);
        }
        if self.blocks.is_empty() {
            let run = self.new_block();
            self.blocks.push(run);
            self.lasts.push(f64::NAN);
        }
        let ((block, first), (last_block, last)) = (from, to);
        // Items past the last block go to its end.
        let (block, first) = match self.blocks.get(block) {
            Some(_) => (block, first),
            None => (self.blocks.len() - 1, usize::MAX),
        };
        let run = &mut self.blocks[block];
        run.truncate(first);
        run.extend_from_slice(items);
        let mut end = last_block.clamp(block + 1, self.blocks.len());
        if let Some(run) = self.blocks.get_mut(last_block).filter(|_| last_block > block) {
            run.drain(..last);
            end += usize::from(run.is_empty());
        }
        let gone = block + 1..end;
        self.lasts.drain(gone.clone());
        for mut run in self.blocks.drain(gone) {
            run.clear();
            self.spare.push(run);
        }
        self.settle(block);
    }

    /// The block that holds all items from `from` up to `to`, if it is one, and their places.
    #[inline]
    fn within_one_block(&self, from: Place, to: Place) -> Option<(usize, std::ops::Range<usize>)> {
        let run = self.blocks.get(from.0)?;
        let end = if to.0 == from.0 {
            to.1
        } else if to == (from.0 + 1, 0) {
            run.len()
        } else {
            return None;
        };
        Some((from.0, from.1..end))
    }

    /// Restores the last key of a block that changed; splits it when too full, drops it when empty.
    #[inline]
    fn settle(&mut self, block: usize) {
        let run = &self.blocks[block];
        match run.last() {
            Some(last) => self.lasts[block] = last.key(),
            None => {
                self.lasts.remove(block);
                let run = self.blocks.remove(block);
                self.spare.push(run);
                return;
            }
        }
        if run.len() > BLOCK_ITEMS {
            self.split(block);
        }
    }

    /// Cuts a block into parts of at most half a block, or two halves.
    fn split(&mut self, block: usize) {
        let len = self.blocks[block].len();
        let parts = (len / (BLOCK_ITEMS / 2)).max(2);
        for part in (1..parts).rev() {
            let mut upper = self.new_block();
            upper.extend(self.blocks[block].drain(len * part / parts..));
            self.lasts[block] = self.blocks[block][len * part / parts - 1].key();
            self.lasts.insert(block + 1, upper[upper.len() - 1].key());
            self.blocks.insert(block + 1, upper);
        }
    }

    fn new_block(&mut self) -> Vec<T> {
        self.spare.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    impl Keyed for u32 {
        fn key(&self) -> f64 {
            f64::from(*self)
        }
    }

    fn check(blocks: &Blocks<u32>, list: &[u32]) {
        assert!(blocks.items().eq(list));
        assert_eq!(blocks.lasts.len(), blocks.blocks.len());
        for (run, &last) in blocks.blocks.iter().zip(&blocks.lasts) {
            assert_eq!(run.last().map(Keyed::key), Some(last));
            assert!(run.len() <= BLOCK_ITEMS);
        }
    }

    #[test]
    fn blocks_are_a_list() {
        let mut random = Random(3);
        for most in [3, 40, 1000] {
            let (mut blocks, mut list) = (Blocks::default(), Vec::new());
            for _ in 0..600 {
                // A range of the axis gets other items.
                let low = random.below(100_000) as u32;
                let high = low + random.below(if list.len() > 3000 { 60_000 } else { 900 }) as u32;
                let from = list.partition_point(|&x| x < low);
                let to = list.partition_point(|&x| x < high);
                let mut items: Vec<u32> = (0..random.below(most))
                    .map(|_| low + random.below(u64::from(high - low).max(1)) as u32)
                    .filter(|x| (low..high).contains(x))
                    .collect();
                items.sort_unstable();
                items.dedup();
                let places = (blocks.seek(f64::from(low)), blocks.seek(f64::from(high)));
                if let [item] = items[..] {
                    blocks.replace(places.0, places.1, item);
                } else {
                    blocks.splice(places.0, places.1, &items);
                }
                list.splice(from..to, items);
                check(&blocks, &list);
            }
            let mut place = blocks.seek(0.0);
            for (i, x) in list.iter().enumerate() {
                assert_eq!(blocks.get(place), Some(x));
                assert_eq!(
                    blocks.before(place).and_then(|p| blocks.get(p)).copied(),
                    i.checked_sub(1).map(|i| list[i])
                );
                place = blocks.after(place);
            }
            assert!(blocks.get(place).is_none());
            blocks.clear();
            check(&blocks, &[]);
        }
    }
}
