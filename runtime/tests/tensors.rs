//! Tensors: typed access, sharing, DLPack, sizes that cannot be.

#![allow(unsafe_code, reason = "DLPack loans are raw pointers")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orogen_abi::{DLDataType, DLDevice, DLManagedTensor, DLTensor};
use orogen_runtime::{ALIGNMENT, RuntimeError, Tensor, trim_tensors};

#[test]
fn typed_access_checks_the_type_and_never_converts() {
    let x = Tensor::from_slice(&[2, 2], &[1i64, -2, 3, i64::MIN]).unwrap();
    assert_eq!(x.as_slice::<i64>().unwrap(), [1, -2, 3, i64::MIN]);
    let error = x.as_slice::<f64>().unwrap_err();
    assert!(matches!(error, RuntimeError::DataType { got: DLDataType::I64, .. }), "{error}");
    assert_eq!(error.to_string(), "a tensor of i64 [2, 2]: expected data type f64, got i64");
}

#[test]
fn complex_numbers_are_two_parts() {
    let x = Tensor::from_slice(&[2], &[[1.0f64, -2.0], [0.5, f64::NAN]]).unwrap();
    assert_eq!((x.dtype(), x.byte_len()), (DLDataType::C128, 32));
    assert_eq!(x.as_slice::<[f64; 2]>().unwrap()[0], [1.0, -2.0]);
    let error = x.as_slice::<[f32; 2]>().unwrap_err();
    assert_eq!(error.to_string(), "a tensor of c128 [2]: expected data type c64, got c128");
    // A part, not a number, is what has to be aligned.
    let bytes = Arc::new([0u64; 5]);
    // SAFETY: the owner keeps the elements in place.
    let view = unsafe {
        let data = bytes.as_ptr().add(1).cast();
        Tensor::from_owner(DLDataType::C128, &[2], data, Box::new(bytes.clone()))
    };
    assert_eq!(view.unwrap().as_slice::<[f64; 2]>().unwrap(), [[0.0; 2]; 2]);
}

#[test]
fn rank_zero_and_empty_tensors_hold_one_and_no_elements() {
    let scalar = Tensor::scalar(2.5f32).unwrap();
    assert_eq!((scalar.shape(), scalar.len()), (&[][..], 1));
    assert_eq!(scalar.as_slice::<f32>().unwrap(), [2.5]);
    let empty = Tensor::zeros(DLDataType::F32, &[3, 0, i64::MAX, i64::MAX]).unwrap();
    assert_eq!((empty.len(), empty.byte_len(), empty.is_contiguous()), (0, 0, true));
    assert_eq!(empty.as_slice::<f32>().unwrap(), []);
}

#[test]
fn storage_is_aligned_and_zeroed() {
    for n in [1, 15, 64, 1000] {
        let mut x = Tensor::zeros(DLDataType::U8, &[n]).unwrap();
        assert!(x.as_bytes().unwrap().as_ptr().addr().is_multiple_of(ALIGNMENT));
        assert!(x.as_slice::<u8>().unwrap().iter().all(|&it| it == 0));
        x.as_mut_slice::<u8>().unwrap().fill(9);
        assert!(x.as_slice::<u8>().unwrap().iter().all(|&it| it == 9));
    }
}

#[test]
fn impossible_sizes_are_errors() {
    let new = |shape: &[i64]| Tensor::zeros(DLDataType::F64, shape).unwrap_err();
    assert!(matches!(new(&[-1]), RuntimeError::Shape { .. }));
    assert!(matches!(new(&[i64::MAX, 4]), RuntimeError::OutOfMemory { bytes: None, .. }));
    assert!(matches!(new(&[1 << 60]), RuntimeError::OutOfMemory { bytes: None, .. }));
    // Fits the arithmetic but no machine.
    assert!(matches!(new(&[1 << 55]), RuntimeError::OutOfMemory { bytes: Some(_), .. }));
    let error = Tensor::from_slice(&[3], &[1f32, 2.0]).unwrap_err();
    assert!(matches!(error, RuntimeError::Shape { .. }), "{error}");
}

#[test]
fn shared_tensors_cannot_be_written() {
    let mut x = Tensor::from_slice(&[2], &[1f32, 2.0]).unwrap();
    let clone = x.clone();
    assert!(matches!(x.as_mut_slice::<f32>().unwrap_err(), RuntimeError::Layout { .. }));
    let mut copy = x.to_owned_copy().unwrap();
    copy.as_mut_slice::<f32>().unwrap()[0] = 7.0;
    assert_eq!(clone.as_slice::<f32>().unwrap(), [1.0, 2.0]);
    drop(clone);
    x.as_mut_slice::<f32>().unwrap()[0] = 5.0;
    assert_eq!(x.as_slice::<f32>().unwrap(), [5.0, 2.0]);
}

#[test]
fn truth_values_are_checked() {
    let good = Tensor::from_bytes(DLDataType::BOOL, &[2], &[0, 1]).unwrap();
    assert_eq!(good.as_slice::<bool>().unwrap(), [false, true]);
    let bad = Tensor::from_bytes(DLDataType::BOOL, &[2], &[0, 2]).unwrap();
    assert!(matches!(bad.as_slice::<bool>().unwrap_err(), RuntimeError::Kind { .. }));
}

#[test]
fn vectors_are_taken_over_without_a_copy() {
    let values = vec![1u16, 2, 3];
    let address = values.as_ptr();
    let mut x = Tensor::from_vec(&[3], values).unwrap();
    assert_eq!(x.as_slice::<u16>().unwrap().as_ptr(), address);
    x.as_mut_slice::<u16>().unwrap()[1] = 9;
    assert_eq!(x.as_slice::<u16>().unwrap(), [1, 9, 3]);
}

#[test]
fn owners_live_as_long_as_the_last_view() {
    struct Owner(Box<[u32]>, Arc<AtomicUsize>);
    impl Drop for Owner {
        fn drop(&mut self) {
            self.0.fill(0);
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let owner = Box::new(Owner(vec![4u32, 5].into(), dropped.clone()));
    let data = owner.0.as_ptr().cast();
    // SAFETY: the boxed slice does not move with its owner.
    let x = unsafe { Tensor::from_owner(DLDataType::U32, &[2], data, owner) }.unwrap();
    let mut y = x.clone();
    drop(x);
    assert_eq!(y.as_slice::<u32>().unwrap(), [4, 5]);
    assert!(y.as_mut_slice::<u32>().is_err(), "borrowed memory is read-only");
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(y);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn loans_share_memory_both_ways() {
    let x = Tensor::from_slice(&[2, 3], &[0f32, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let address = x.as_slice::<f32>().unwrap().as_ptr();
    // SAFETY: the loans were just made and are given up here.
    let (versioned, unversioned) = unsafe {
        let versioned = Tensor::from_dlpack_versioned(x.to_dlpack_versioned()).unwrap();
        (versioned, Tensor::from_dlpack(x.to_dlpack()).unwrap())
    };
    drop(x);
    for mut it in [versioned, unversioned] {
        assert_eq!(it.shape(), [2, 3]);
        assert_eq!(it.as_slice::<f32>().unwrap().as_ptr(), address);
        assert!(it.as_mut_slice::<f32>().is_err(), "a loan is read-only");
    }
}

/// A loan of `data` with the given shape and strides; counts its end in the returned counter.
fn lend(
    data: &'static [f32],
    offset: u64,
    shape: &[i64],
    strides: &[i64],
    device: i32,
) -> (NonNull<DLManagedTensor>, Arc<AtomicUsize>) {
    type Context = (Vec<i64>, Vec<i64>, Arc<AtomicUsize>);
    unsafe extern "C" fn end(loan: *mut DLManagedTensor) {
        // SAFETY: made below.
        unsafe {
            let loan = Box::from_raw(loan);
            let context = Box::from_raw(loan.manager_ctx.cast::<Context>());
            context.2.fetch_add(1, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let mut context: Box<Context> = Box::new((shape.to_vec(), strides.to_vec(), ended.clone()));
    let dl_tensor = DLTensor {
        data: data.as_ptr().cast_mut().cast(),
        device: DLDevice { device_type: device, device_id: 0 },
        ndim: shape.len() as i32,
        dtype: DLDataType::F32,
        shape: context.0.as_mut_ptr(),
        strides: context.1.as_mut_ptr(),
        byte_offset: offset,
    };
    let manager_ctx = Box::into_raw(context).cast();
    let loan = Box::new(DLManagedTensor { dl_tensor, manager_ctx, deleter: Some(end) });
    (NonNull::from(Box::leak(loan)), ended)
}

#[test]
fn strided_loans_are_refused_as_slices_and_copied_on_request() {
    static DATA: [f32; 6] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    // The transpose of a 2×3 matrix, one element in.
    let (loan, ended) = lend(&DATA, 4, &[2, 2], &[1, 3], 1);
    // SAFETY: just made.
    let x = unsafe { Tensor::from_dlpack(loan) }.unwrap();
    assert!(matches!(x.as_slice::<f32>().unwrap_err(), RuntimeError::Layout { .. }));
    assert_eq!(x.contiguous().unwrap().as_slice::<f32>().unwrap(), [1.0, 4.0, 2.0, 5.0]);
    drop(x);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    // Reversed and broadcast.
    let (loan, _) = lend(&DATA, 8, &[2, 3], &[0, -1], 1);
    // SAFETY: just made.
    let x = unsafe { Tensor::from_dlpack(loan) }.unwrap();
    assert_eq!(x.contiguous().unwrap().as_slice::<f32>().unwrap(), [2.0, 1.0, 0.0, 2.0, 1.0, 0.0]);
}

#[test]
fn refused_loans_end_at_once() {
    static DATA: [f32; 2] = [0.0, 1.0];
    for (offset, shape, device) in [(0, &[2][..], 2), (1, &[1], 1), (0, &[-2], 1), (0, &[1 << 62, 8], 1)] {
        let (loan, ended) = lend(&DATA, offset, shape, &vec![1; shape.len()], device);
        // SAFETY: just made.
        assert!(unsafe { Tensor::from_dlpack(loan) }.is_err());
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn files_are_mapped_where_they_are_long_enough() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.bin");
    let values: Vec<u8> = (0..3000i32).flat_map(i32::to_le_bytes).collect();
    std::fs::write(&path, values).unwrap();
    // SAFETY: nobody changes the file.
    let map = |n: i64, offset| unsafe { Tensor::map_file(DLDataType::I32, &[n], &path, offset) };
    assert_eq!(map(3, 8).unwrap().as_slice::<i32>().unwrap(), [2, 3, 4]);
    assert_eq!(map(2, 11_992).unwrap().as_slice::<i32>().unwrap(), [2998, 2999]);
    assert!(map(0, 12_000).unwrap().is_empty());
    assert!(matches!(map(1, 2).unwrap_err(), RuntimeError::Layout { .. }));
    for (n, offset) in [(3001, 0), (1, 12_000), (1, u64::MAX - 1), (i64::MAX / 8, 0)] {
        assert!(matches!(map(n, offset).unwrap_err(), RuntimeError::Open { .. }), "{n} {offset}");
    }
}

#[test]
fn memory_of_large_tensors_is_used_again_and_can_be_trimmed() {
    let values = vec![1u8; 3 << 20];
    let new = || Tensor::from_slice(&[3 << 20], &values).unwrap();
    let first = new();
    let place = first.as_slice::<u8>().unwrap().as_ptr();
    drop(first);
    let second = new();
    assert_eq!(second.as_slice::<u8>().unwrap().as_ptr(), place);
    drop(second);
    assert!(trim_tensors() >= 3 << 20);
}
