//! Arrays that several processes write to: parts, tiles, atomics.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicI32, AtomicU64, Ordering::Relaxed},
};

use mobula::{AtomicArray, AtomicF64, PartRange, Queue, SharedArray, prelude::*};

use crate::support::{nothing_is_left, runtime, whole};

/// Larger than what is copied at sealing.
const LEN: usize = 10_000;

#[remote]
fn fill(part: &mut [f64], value: f64) {
    part.fill(value);
}

#[remote]
fn add_to_each(part: &mut [u64], n: u64) -> u64 {
    part.iter_mut().for_each(|x| *x += n);
    part.iter().sum()
}

#[remote]
fn half_then(part: &mut [f64], how: &str) -> Result<(), String> {
    let half = part.len() / 2;
    part[..half].fill(7.0);
    match how {
        "panic" => panic!("in the middle"),
        "abort" => std::process::abort(),
        _ => Err("in the middle".to_owned()),
    }
}

/// Dies at its first attempt, which leaves a file.
#[remote]
fn half_and_dies_once(part: &mut [f64], path: &str) {
    let first = std::fs::File::create_new(path).is_ok();
    let half = part.len() / 2;
    part[..half].fill(1.0);
    if first {
        std::process::abort();
    }
    part.fill(2.0);
}

#[remote]
fn two_parts(a: &mut [f64], b: &mut [f64]) {
    a.fill(1.0);
    b.fill(2.0);
}

#[remote]
fn count(values: &[u8], counts: &AtomicArray<AtomicU64>) {
    values.iter().for_each(|value| {
        counts[usize::from(*value)].fetch_add(1, Relaxed);
    });
}

#[remote]
fn splits_itself(array: SharedArray<f64>) -> mobula::Result<usize> {
    let parts = array.chunks_mut(array.len() / 4)?;
    for (n, part) in parts.into_iter().enumerate() {
        fill::remote(part, n as f64).spawn().detach();
    }
    Ok(array.settle()?.len())
}

#[remote]
fn makes_an_array(len: usize) -> mobula::Result<SharedArray<f64>> {
    let array = Runtime::current()?.shared_array::<f64>(len, 1.5)?;
    array.with_mut(|all| all[0] = 9.0)?;
    Ok(array)
}

#[remote]
fn seals(array: SharedArray<f64>) -> mobula::Result<f64> {
    Ok(array.seal()?.view()?[1])
}

#[remote]
fn seals_when_told(array: SharedArray<f64>, told: Queue<()>) -> mobula::Result<f64> {
    told.get()?;
    Ok(array.seal()?.view()?[1])
}

#[remote]
fn makes_and_seals(len: usize) -> mobula::Result<ObjectRef<mobula::Array<f64>>> {
    let array = Runtime::current()?.shared_array::<f64>(len, 0.0)?;
    array.with_mut(|all| all[1] = 4.0)?;
    array.with_mut(|all| all[2] = 5.0)?;
    array.seal()
}

#[remote]
fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

#[remote]
fn keep_for(array: SharedArray<f64>, ms: u64) -> usize {
    std::thread::sleep(std::time::Duration::from_millis(ms));
    array.len()
}

#[mobula::test]
fn tasks_write_their_parts_in_place() {
    let rt = runtime(2);
    let array = rt.shared_array::<f64>(LEN, -1.0).unwrap();
    for round in 0..20 {
        for (n, part) in array
            .chunks_mut(LEN / 8 + 1)
            .unwrap()
            .into_iter()
            .enumerate()
        {
            fill::remote(part, (round * n) as f64).spawn().detach();
        }
        assert!(array.settle().unwrap().is_empty());
        array
            .with(|all| {
                for (at, value) in all.iter().enumerate() {
                    assert_eq!(
                        *value,
                        (round * (at / (LEN / 8 + 1))) as f64,
                        "element {at}"
                    );
                }
            })
            .unwrap();
    }
    drop(array);
    nothing_is_left(&rt);
}

#[mobula::test]
fn small_and_large_arrays_work_alike() {
    let rt = runtime(2);
    for len in [0, 1, 7, 512, 513, 70_000] {
        let array = rt.shared_array::<u64>(len, 3).unwrap();
        assert_eq!(array.len(), len);
        let part = array.part_mut(0..len).unwrap();
        let sum = add_to_each::remote(part, 2).spawn().get().unwrap();
        assert_eq!(sum, 5 * len as u64);
        assert!(array.settle().unwrap().is_empty());
        let sealed = array.seal().unwrap();
        assert_eq!(sealed.view().unwrap().iter().sum::<u64>(), sum);
        let again = sealed.to_shared().unwrap();
        again.with_mut(|all| all.fill(1)).unwrap();
        assert_eq!(sealed.view().unwrap().iter().sum::<u64>(), sum);
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn overlapping_and_outlying_parts_are_refused() {
    let rt = runtime(1);
    let array = rt.shared_array::<f64>(100, 0.0).unwrap();
    let refused = |ranges: &[(usize, usize)]| {
        let ranges = ranges.iter().map(|(start, end)| *start..*end);
        let error = array.split_mut(ranges).unwrap_err();
        assert!(error.is_usage(), "{error}");
        error.to_string()
    };
    assert!(refused(&[(0, 10), (9, 20)]).contains("overlap"));
    assert!(refused(&[(90, 101)]).contains("no part of an array of 100"));
    assert!(refused(&[(0, 5), (usize::MAX - 1, usize::MAX)]).contains("no part"));
    assert!(refused(&[(10, 5)]).contains("ends before it begins"));
    // A refused request lends no part.
    let parts = array.split_mut([0..10, 10..20, 95..100]).unwrap();
    assert!(refused(&[(15, 16)]).contains("which is lent"));
    assert!(array.with(|_| ()).unwrap_err().is_usage());
    drop(parts);
    assert!(array.settle().unwrap().is_empty());
    array.with(|all| assert_eq!(all.len(), 100)).unwrap();
    assert!(array.chunks_mut(0).unwrap_err().is_usage());
}

#[mobula::test]
fn a_part_comes_home_from_failed_tasks_and_is_incomplete() {
    let rt = runtime(2);
    let array = rt.shared_array::<f64>(LEN, 0.0).unwrap();
    let quarter = LEN / 4;
    for how in ["error", "panic", "abort"] {
        let mut parts = array.chunks_mut(quarter).unwrap();
        let bad = half_then::remote(parts.pop().unwrap(), how).spawn();
        let others: Vec<_> = parts
            .into_iter()
            .map(|part| fill::remote(part, 5.0).spawn())
            .collect();
        let incomplete = array.settle().unwrap();
        let [incomplete] = &incomplete[..] else {
            panic!("{how}: {incomplete:?}")
        };
        let whole_range = PartRange::Span {
            start: 3 * quarter as u64,
            end: LEN as u64,
        };
        assert_eq!(incomplete.part, whole_range, "{how}");
        let error = bad.get().unwrap_err();
        assert_eq!(incomplete.error.is_crash(), how == "abort");
        assert_eq!(whole(&incomplete.error), whole(&error));
        rt.get(others).unwrap();
        // It is reported once, and can be refilled.
        assert!(array.settle().unwrap().is_empty());
        let part = array.part_mut(3 * quarter..LEN).unwrap();
        fill::remote(part, 5.0).spawn().get().unwrap();
        array
            .with(|all| assert!(all.iter().all(|x| *x == 5.0)))
            .unwrap();
    }
}

#[mobula::test]
fn a_retry_refills_what_a_dead_worker_left() {
    let rt = runtime(2);
    let dir = std::env::temp_dir().join(format!("mobula-shared-{}", std::process::id()));
    let array = rt.shared_array::<f64>(LEN, 0.0).unwrap();
    let part = array.part_mut(0..LEN).unwrap();
    let path = dir.to_str().unwrap();
    let call = half_and_dies_once::remote(part, path).retries(1);
    call.spawn().get().unwrap();
    std::fs::remove_file(&dir).unwrap();
    assert!(array.settle().unwrap().is_empty());
    array
        .with(|all| assert!(all.iter().all(|x| *x == 2.0)))
        .unwrap();
}

#[mobula::test]
fn a_task_may_have_several_parts() {
    let rt = runtime(2);
    let (one, other) = (
        rt.shared_array::<f64>(LEN, 0.0).unwrap(),
        rt.shared_array::<f64>(LEN, 0.0).unwrap(),
    );
    let mut parts = one.chunks_mut(LEN / 2).unwrap();
    let more = other.chunks_mut(LEN).unwrap().pop().unwrap();
    two_parts::remote(parts.remove(0), more)
        .spawn()
        .get()
        .unwrap();
    drop(parts);
    one.with(|all| assert_eq!((all[0], all[LEN - 1]), (1.0, 0.0)))
        .unwrap();
    other.with(|all| assert_eq!(all[LEN - 1], 2.0)).unwrap();
}

#[mobula::test]
fn a_part_can_be_written_by_the_driver_too() {
    let rt = runtime(1);
    let array = rt.shared_array::<f64>(LEN, 0.0).unwrap();
    let mut parts = array.chunks_mut(LEN / 2).unwrap();
    let mut own = parts.pop().unwrap().open().unwrap();
    let theirs = fill::remote(parts.pop().unwrap(), 1.0).spawn();
    own.fill(2.0);
    theirs.get().unwrap();
    assert!(array.with(|_| ()).unwrap_err().is_usage(), "a part is open");
    drop(own);
    array
        .with(|all| assert_eq!((all[0], all[LEN - 1]), (1.0, 2.0)))
        .unwrap();
}

#[mobula::test]
fn a_map_takes_parts_along() {
    let rt = runtime(2);
    let array = rt.shared_array::<u64>(LEN, 1).unwrap();
    let calls = array.chunks_mut(100).unwrap().into_iter();
    let sums = rt
        .map(calls.map(|part| add_to_each::remote(part, 1)))
        .get()
        .unwrap();
    assert_eq!(sums, vec![200; LEN / 100]);
    assert!(array.settle().unwrap().is_empty());
}

#[mobula::test]
fn a_handle_travels_and_splits_in_a_task() {
    let rt = runtime(2);
    let array = rt.shared_array::<f64>(LEN, 0.0).unwrap();
    assert_eq!(
        splits_itself::remote(array.clone()).spawn().get().unwrap(),
        0
    );
    array
        .with(|all| assert_eq!((all[0], all[LEN - 1]), (0.0, 3.0)))
        .unwrap();
    // In values, too.
    let many = rt.put(&vec![Some(array.clone()), None]).unwrap();
    let back = many.get().unwrap();
    assert_eq!(back[0].as_ref(), Some(&array));
}

#[mobula::test]
fn a_task_makes_an_array_that_outlives_it() {
    let rt = runtime(2);
    for len in [10, LEN] {
        let array = makes_an_array::remote(len).spawn().get().unwrap();
        array
            .with(|all| assert_eq!((all[0], all[len - 1]), (9.0, 1.5)))
            .unwrap();
        let part = array.chunks_mut(len).unwrap().pop().unwrap();
        fill::remote(part, 2.0).spawn().get().unwrap();
        let pids = rt.worker_pids();
        for pid in pids {
            // Its maker is dead; the memory is not.
            let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let part = array.chunks_mut(len).unwrap().pop().unwrap();
        fill::remote(part, 3.0).retries(3).spawn().get().unwrap();
        array
            .with(|all| assert!(all.iter().all(|x| *x == 3.0)))
            .unwrap();
        let sealed = array.seal().unwrap();
        assert_eq!(
            sum::remote(&sealed).spawn().get().unwrap(),
            3.0 * len as f64
        );
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn a_sealed_array_is_an_object_that_was_not_copied() {
    let rt = runtime(2);
    let len = 4 << 20;
    let array = rt.shared_array::<f64>(len, 1.0).unwrap();
    let used = rt.store().committed_bytes();
    for part in array.chunks_mut(len / 4).unwrap() {
        fill::remote(part, 2.0).spawn().detach();
    }
    assert!(array.settle().unwrap().is_empty());
    let sealed = array.seal().unwrap();
    assert_eq!(
        sum::remote(&sealed).spawn().get().unwrap(),
        2.0 * len as f64
    );
    assert_eq!(sealed.view().unwrap()[len - 1], 2.0);
    assert!(rt.store().committed_bytes() < used + (len * 8) as u64 / 2);
    drop(sealed);
    nothing_is_left(&rt);
}

#[mobula::test]
fn an_array_in_use_cannot_be_sealed() {
    let rt = runtime(2);
    let array = rt.shared_array::<f64>(LEN, 0.0).unwrap();
    let parts = array.chunks_mut(LEN / 2).unwrap();
    let clone = array.clone();
    let error = clone.seal().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("clones"),
        "{error}"
    );
    let held = keep_for::remote(array.clone(), 50).spawn();
    drop(parts);
    let error = array.clone().seal().unwrap_err();
    assert!(error.is_usage());
    let put = rt.put(&array).unwrap();
    held.get().unwrap();
    let error = array.seal().unwrap().get().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("other handles"),
        "{error}"
    );
    // Nothing happened to it.
    let array = put.get().unwrap();
    drop(put);
    array.with(|all| assert_eq!(all.len(), LEN)).unwrap();
    assert!(array.seal().unwrap().get().is_ok());
}

#[mobula::test]
fn a_task_seals_what_it_made_or_was_given() {
    let rt = runtime(1);
    for len in [8, LEN] {
        let sealed = makes_and_seals::remote(len).spawn().get().unwrap();
        assert_eq!(sealed.view().unwrap()[..3], [0.0, 4.0, 5.0]);
        let array = rt.shared_array::<f64>(len, 6.0).unwrap();
        let kept = array.clone();
        let refused = seals::remote(array).spawn().get();
        // A small array is copied, so it can be sealed in any case.
        assert_eq!(refused.is_ok(), len == 8, "{refused:?}");
        // Counted off before the call is sent.
        let put = rt.put(&kept).unwrap();
        drop(kept);
        let array = put.get().unwrap();
        drop(put);
        drop(rt.put(&0).unwrap());
        assert_eq!(seals::remote(array).spawn().get().unwrap(), 6.0);
    }
    nothing_is_left(&rt);
}

/// The handle that the caller gives to the call does not count, however late its thread drops it.
#[mobula::test]
fn a_task_seals_what_it_was_given_while_others_keep_the_driver_busy() {
    let rt = runtime(2);
    let busy = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while busy.load(Relaxed) {
                    rt.spawn(sum::remote(&[1.0])).get().unwrap();
                }
            });
        }
        let failed: Vec<_> = (0..400)
            .filter_map(|n| {
                let array = rt.shared_array::<f64>(LEN, 6.0).unwrap();
                let sealed = match n % 2 {
                    0 => rt.spawn(seals::remote(array)).get(),
                    _ => {
                        let calls = [seals::remote(array)];
                        rt.get(rt.spawn_all(calls)).map(|all| all[0])
                    }
                };
                sealed.err()
            })
            .collect();
        busy.store(false, Relaxed);
        assert!(
            failed.is_empty(),
            "{} of 400: {:?}",
            failed.len(),
            failed[0]
        );
    });
    nothing_is_left(&rt);
}

/// When another task of the worker ends, the worker tells the driver which objects it still has.
#[mobula::test]
fn a_task_seals_what_it_was_given_after_another_task_has_ended_beside_it() {
    let rt = runtime(1);
    let array = rt.shared_array::<f64>(LEN, 6.0).unwrap();
    let told = rt.queue(1).unwrap();
    let sealed = rt.spawn(seals_when_told::remote(array, &told));
    rt.spawn(sum::remote(&[1.0])).get().unwrap();
    told.put(&()).unwrap();
    assert_eq!(sealed.get().unwrap(), 6.0);
    drop((sealed, told));
    nothing_is_left(&rt);
}

#[mobula::test]
fn atomics_are_shared_by_all() {
    let rt = runtime(2);
    let counts = rt.atomic_array::<AtomicU64>(256).unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(25_600).collect();
    let bytes = rt.put(&bytes).unwrap();
    rt.get(rt.spawn_all((0..20).map(|_| count::remote(&bytes, &counts))))
        .unwrap();
    assert!(counts.iter().all(|count| count.load(Relaxed) == 2000));
    let large = rt.atomic_array_from::<AtomicF64>(&vec![0.5; LEN]).unwrap();
    large[LEN - 1].fetch_add(1.0, Relaxed);
    assert_eq!(large.seal().unwrap().view().unwrap()[LEN - 1], 1.5);
    let signed = rt.atomic_array_from::<AtomicI32>(&[-1, 2]).unwrap();
    assert_eq!(signed.to_vec(), [-1, 2]);
    assert_eq!(signed.seal().unwrap().get().unwrap(), [-1, 2]);
    drop(counts);
    drop(bytes);
    nothing_is_left(&rt);
}

#[mobula::test]
fn there_is_no_limit_on_the_number_of_arrays() {
    let rt = runtime(2);
    let counters: Vec<_> = (0..20_000)
        .map(|_| rt.atomic_array::<AtomicU64>(1).unwrap())
        .collect();
    let large: Vec<_> = (0..2000)
        .map(|_| rt.shared_array::<u64>(600, 1).unwrap())
        .collect();
    let bytes = rt.put(&vec![0_u8; 3]).unwrap();
    let calls = counters
        .iter()
        .map(|counter| count::remote(&bytes, counter));
    rt.get(rt.spawn_all(calls)).unwrap();
    assert!(counters.iter().all(|counter| counter[0].load(Relaxed) == 3));
    let parts = large
        .iter()
        .map(|array| array.chunks_mut(600).unwrap().pop().unwrap());
    let sums = rt
        .map(parts.map(|part| add_to_each::remote(part, 1)))
        .get()
        .unwrap();
    assert!(sums.iter().all(|sum| *sum == 1200));
    drop((counters, large, bytes));
    nothing_is_left(&rt);
}

#[mobula::test]
fn memory_that_was_shared_is_used_again_safely() {
    let rt = runtime(2);
    for round in 0..50_u64 {
        let len = 1000 + (round as usize * 37) % 3000;
        let array = rt.shared_array::<u64>(len, round).unwrap();
        let calls = array.chunks_mut(len / 3).unwrap().into_iter();
        rt.get(rt.spawn_all(calls.map(|part| add_to_each::remote(part, 1))))
            .unwrap();
        if round % 2 == 0 {
            let sealed = array.seal().unwrap();
            assert!(sealed.view().unwrap().iter().all(|x| *x == round + 1));
        }
        let ordinary = rt.put(&vec![round; len]).unwrap();
        assert!(ordinary.view().unwrap().iter().all(|x| *x == round));
    }
    nothing_is_left(&rt);
}

#[mobula::test]
fn threads_of_the_driver_split_and_settle_at_once() {
    let rt = runtime(2);
    let array = rt.shared_array::<f64>(8 * LEN, 0.0).unwrap();
    let begin = Arc::new(Barrier::new(8));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (array, begin) = (array.clone(), begin.clone());
            scope.spawn(move || {
                begin.wait();
                for _ in 0..20 {
                    let own = n * LEN..(n + 1) * LEN;
                    let part = array.part_mut(own).unwrap();
                    fill::remote(part, n as f64).spawn().get().unwrap();
                    // Its end may not have been counted yet: that is what `settle` is for.
                    array.settle().unwrap();
                }
            });
        }
    });
    array
        .with(|all| {
            assert!(
                all.iter()
                    .enumerate()
                    .all(|(at, x)| *x == (at / LEN) as f64)
            )
        })
        .unwrap();
}

#[mobula::test]
fn after_the_end_of_the_runtime_everything_is_an_error() {
    let rt = runtime(1);
    let array = rt.shared_array::<f64>(LEN, 0.0).unwrap();
    let part = array.part_mut(0..10).unwrap();
    rt.shutdown();
    assert!(array.settle().unwrap_err().is_shutdown());
    assert!(array.chunks_mut(10).unwrap_err().is_shutdown());
    assert!(
        fill::remote(part, 1.0)
            .spawn()
            .get()
            .unwrap_err()
            .is_shutdown()
    );
}

#[mobula::test]
fn freeing_an_array_twice_is_nothing_and_using_it_then_is_an_error() {
    let rt = runtime(1);
    let mut array = rt.shared_array(1 << 16, 1_u64).unwrap();
    let clone = array.clone();
    let part = array.part_mut(0..10).unwrap();
    array.free();
    array.free();
    let errors = [
        array.with(|_| ()).unwrap_err(),
        array.chunks_mut(10).map(drop).unwrap_err(),
        array.settle().map(drop).unwrap_err(),
        rt.put(&array).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(whole(&error).contains("freed"), "{error:?}");
    }
    assert!(array.clone() != clone && array == array);
    // Others have it still, and the part.
    drop(part);
    assert_eq!(clone.with(|all| all.iter().sum::<u64>()).unwrap(), 1 << 16);
    assert!(rt.store().used_bytes() > 0);
    drop(clone);
    nothing_is_left(&rt);
    assert!(array.seal().map(drop).unwrap_err().is_usage());
}
