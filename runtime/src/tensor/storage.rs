//! Memory of tensors, kept between calls.
//!
//! A large allocation that is given back goes to the system at once, and the next one costs a page fault for every
//! page that is written: for outputs of tens of megabytes more time than the model. So large blocks are kept and
//! used again, by any thread.
//!
//! Laws: M1, kept memory is at most [`MOST_KEPT`] bytes; M2, a block is used again only for a tensor that needs more
//! than half of it.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks below this size are left to the allocator, which keeps them itself.
const LEAST: usize = 1 << 17;
/// Most bytes that are kept.
const MOST_KEPT: usize = 1 << 28;

/// A block that nothing uses.
struct Kept {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the block belongs to the list alone, and memory has no thread.
unsafe impl Send for Kept {}

/// Free blocks, the one given back last at the end.
struct Store {
    kept: Vec<Kept>,
    bytes: usize,
}

static STORE: Mutex<Store> = Mutex::new(Store { kept: Vec::new(), bytes: 0 });

impl Store {
    /// The smallest block that holds `layout` and is not wasted on it (law M2).
    fn take(&mut self, layout: Layout) -> Option<Kept> {
        let fits = |it: &Kept| {
            let size = it.layout.size();
            size >= layout.size() && size / 2 < layout.size() && it.layout.align() == layout.align()
        };
        let best = self.kept.iter().enumerate().filter(|(_, it)| fits(it));
        let (index, _) = best.min_by_key(|(_, it)| it.layout.size())?;
        let kept = self.kept.remove(index);
        self.bytes -= kept.layout.size();
        Some(kept)
    }

    /// Keeps a block; those that waited longest make room for it (law M1).
    fn put(&mut self, block: Kept) -> Vec<Kept> {
        self.bytes += block.layout.size();
        self.kept.push(block);
        let mut over = 0;
        while self.bytes > MOST_KEPT {
            self.bytes -= self.kept[over].layout.size();
            over += 1;
        }
        self.kept.drain(..over).collect()
    }
}

fn store() -> MutexGuard<'static, Store> {
    // Nothing in the critical sections can leave the list half changed.
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn free(blocks: Vec<Kept>) -> usize {
    blocks.into_iter().fold(0, |freed, Kept { start, layout }| {
        // SAFETY: allocated in `acquire` with this layout, and nothing uses it.
        unsafe { dealloc(start.as_ptr(), layout) };
        freed + layout.size()
    })
}

/// Memory for `layout`, which is not empty, with whatever it held, and the layout that it goes back with. `None` when
/// there is none.
pub(super) fn acquire(layout: Layout) -> Option<(NonNull<u8>, Layout)> {
    if layout.size() >= LEAST
        && let Some(kept) = store().take(layout)
    {
        return Some((kept.start, kept.layout));
    }
    // SAFETY: the caller's layout is not empty.
    NonNull::new(unsafe { alloc(layout) }).map(|start| (start, layout))
}

/// Ends the use of memory.
///
/// # Safety
/// `start` was allocated with this layout by the global allocator, and nothing uses it any more.
pub(super) unsafe fn release(start: NonNull<u8>, layout: Layout) {
    let block = Kept { start, layout };
    let over = if (LEAST..=MOST_KEPT).contains(&layout.size()) { store().put(block) } else { vec![block] };
    free(over);
}

/// Frees the memory of tensors that are gone, which is kept for later ones (at most 256 MiB); returns the number of
/// bytes.
pub fn trim_tensors() -> usize {
    let kept = {
        let mut store = store();
        store.bytes = 0;
        std::mem::take(&mut store.kept)
    };
    free(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: usize) -> Kept {
        let layout = Layout::from_size_align(size, 64).expect("a layout");
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) }).expect("memory");
        Kept { start, layout }
    }

    /// Laws M1 and M2, on a list of its own.
    #[test]
    fn the_smallest_that_fits_is_used_and_the_oldest_makes_room() {
        let mut store = Store { kept: Vec::new(), bytes: 0 };
        for size in [4 * LEAST, 2 * LEAST, 3 * LEAST] {
            assert_eq!(free(store.put(block(size))), 0);
        }
        let layout = |size| Layout::from_size_align(size, 64).expect("a layout");
        assert!(store.take(layout(LEAST)).is_none(), "it would waste half of the smallest");
        let taken = store.take(layout(2 * LEAST - 64)).expect("a block");
        assert_eq!(taken.layout.size(), 2 * LEAST);
        assert_eq!(store.bytes, 7 * LEAST);
        assert_eq!(free(store.put(block(MOST_KEPT - 3 * LEAST))), 4 * LEAST);
        assert_eq!(store.bytes, MOST_KEPT);
        free(vec![taken]);
        free(store.kept);
    }
}
