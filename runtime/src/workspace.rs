//! Scratch memory of a thread, kept between calls.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::ptr::NonNull;

use crate::error::RuntimeError;
use crate::tensor::ALIGNMENT;

struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
    in_use: bool,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `acquire` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

thread_local! {
    static BUFFERS: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
}

/// Memory for `bytes` bytes, aligned to [`ALIGNMENT`] and not initialised; nested calls get their own.
pub(crate) fn acquire(bytes: u64) -> Result<NonNull<u8>, RuntimeError> {
    let fail = |bytes| RuntimeError::OutOfMemory { what: "the workspace of a call".to_owned(), bytes };
    let size = usize::try_from(bytes).map_err(|_| fail(None))?;
    let size = size.max(1).checked_next_multiple_of(ALIGNMENT).ok_or(fail(None))?;
    let layout = Layout::from_size_align(size, ALIGNMENT).map_err(|_| fail(None))?;
    let buffers = |buffers: &RefCell<Vec<Buffer>>| {
        let mut buffers = buffers.borrow_mut();
        // The smallest that fits; failing that, the largest free one makes room for its successor.
        let free = buffers.iter_mut().filter(|it| !it.in_use && it.layout.size() >= size);
        if let Some(buffer) = free.min_by_key(|it| it.layout.size()) {
            buffer.in_use = true;
            return Ok(buffer.start);
        }
        let largest = buffers.iter().enumerate().filter(|(_, it)| !it.in_use);
        if let Some((index, _)) = largest.max_by_key(|(_, it)| it.layout.size()) {
            buffers.swap_remove(index);
        }
        // SAFETY: the size is at least one cache line.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or(fail(Some(bytes)))?;
        buffers.push(Buffer { start, layout, in_use: true });
        Ok(start)
    };
    BUFFERS.try_with(buffers).unwrap_or(Err(fail(Some(bytes))))
}

/// Ends the use of a workspace of this thread.
pub(crate) fn release(start: *mut u8) {
    let _ = BUFFERS.try_with(|buffers| {
        if let Some(buffer) = buffers.borrow_mut().iter_mut().find(|it| it.start.as_ptr() == start) {
            buffer.in_use = false;
        }
    });
}

/// Frees the scratch memory that this thread keeps between calls; returns the number of bytes.
pub fn trim_workspace() -> usize {
    let trim = |buffers: &RefCell<Vec<Buffer>>| {
        let mut freed = 0;
        buffers.borrow_mut().retain(|it| {
            freed += if it.in_use { 0 } else { it.layout.size() };
            it.in_use
        });
        freed
    };
    BUFFERS.try_with(trim).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_grown_and_separate_when_nested() {
        let a = acquire(1000).unwrap();
        assert!(a.addr().get().is_multiple_of(ALIGNMENT));
        let b = acquire(10).unwrap();
        assert_ne!(a, b);
        release(a.as_ptr());
        assert_eq!(acquire(900).unwrap(), a, "the free buffer that fits");
        release(a.as_ptr());
        release(b.as_ptr());
        assert_eq!(acquire(0).unwrap(), b, "the smallest that fits");
        release(b.as_ptr());
        let c = acquire(100_000).unwrap();
        release(c.as_ptr());
        assert_eq!(trim_workspace(), 100_032 + 64);
        assert_eq!(trim_workspace(), 0);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert!(matches!(acquire(u64::MAX), Err(RuntimeError::OutOfMemory { bytes: None, .. })));
        assert!(matches!(acquire(1 << 60), Err(RuntimeError::OutOfMemory { bytes: Some(_), .. })));
    }
}
