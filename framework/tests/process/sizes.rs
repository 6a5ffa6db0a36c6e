//! From nothing to more than memory.

use mobula::prelude::*;

use crate::support::{nothing_is_left, runtime, skip};

#[remote]
fn len(bytes: &[u8]) -> usize {
    bytes.len()
}

#[remote]
fn ends(numbers: &[u64]) -> (u64, u64, usize) {
    (numbers[0], numbers[numbers.len() - 1], numbers.len())
}

#[remote]
fn makes(bytes: usize) -> Vec<u8> {
    vec![1; bytes]
}

#[remote]
fn count(all: Vec<u64>) -> usize {
    all.len()
}

#[remote]
fn same(n: u64) -> u64 {
    n
}

#[remote]
fn joined(texts: Vec<String>) -> usize {
    texts.iter().map(String::len).sum()
}

#[mobula::test]
fn an_empty_array_is_a_value_like_any_other() -> mobula::Result<()> {
    let rt = runtime(1);
    let empty = rt.put::<_, Vec<u8>>(&Vec::new())?;
    assert_eq!(rt.spawn(len::remote(&empty)).get()?, 0);
    assert_eq!(rt.spawn(len::remote(&[])).get()?, 0);
    assert_eq!(rt.spawn(makes::remote(0)).get()?, Vec::<u8>::new());
    assert!(rt.put_with(0, |_: &mut [f64]| {})?.view()?.is_empty());
    drop(empty);
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn sizes_around_every_limit_arrive_whole() -> mobula::Result<()> {
    let rt = runtime(1);
    for size in [
        1, 63, 64, 65, 4095, 4096, 16_383, 16_384, 16_385, 65_535, 65_537, 262_143, 262_145,
        3_000_001,
    ] {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        assert_eq!(rt.spawn(len::remote(&bytes)).get()?, size);
        assert_eq!(rt.put(&bytes)?.get()?, bytes);
        assert_eq!(rt.spawn(makes::remote(size)).get()?.len(), size);
    }
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn small_values_never_touch_the_store() -> mobula::Result<()> {
    let rt = runtime(1);
    let small = rt.put(&vec![1_u8; 1000])?;
    let result = rt.spawn(makes::remote(1000));
    assert_eq!(rt.spawn(len::remote(&result)).get()?, 1000);
    assert_eq!((rt.store().used_bytes(), small.get()?.len()), (0, 1000));
    let large = rt.put(&vec![1_u8; 100_000])?;
    assert_eq!(rt.store().used_bytes(), 100_032);
    drop((small, result, large));
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn ten_thousand_arguments_in_one_call() -> mobula::Result<()> {
    let rt = runtime(2);
    let refs = rt.spawn_all((0..10_000).map(same::remote));
    assert_eq!(rt.spawn(count::remote(&refs)).get()?, 10_000);
    let texts: Vec<String> = (0..10_000).map(|n| format!("argument {n:>100}")).collect();
    let expected = texts.iter().map(String::len).sum::<usize>();
    assert_eq!(rt.spawn(joined::remote(texts)).get()?, expected);
    drop(refs);
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn a_full_store_is_an_error_with_numbers_and_later_puts_work() -> mobula::Result<()> {
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(8 << 20)
        .start()?;
    let error = rt.put(&vec![0_u8; 9 << 20]).unwrap_err();
    assert!(error.is_store_full(), "{error}");
    assert!(
        error.to_string().contains("9 MiB") && error.to_string().contains("8 MiB"),
        "{error}"
    );
    let first = rt.put(&vec![0_u8; 5 << 20])?;
    let error = rt.put(&vec![0_u8; 5 << 20]).unwrap_err();
    assert!(error.is_store_full(), "{error}");
    // A result that does not fit is an error, too, and the worker goes on.
    let error = rt.spawn(makes::remote(5 << 20)).get().unwrap_err();
    assert!(error.is_store_full(), "{error}");
    drop(first);
    assert_eq!(rt.spawn(makes::remote(5 << 20)).get()?.len(), 5 << 20);
    // Memory that the worker keeps warm comes back when the driver needs it.
    let again = rt.put(&vec![7_u8; 7 << 20])?;
    assert_eq!(again.view()?[0], 7);
    drop(again);
    assert_eq!(rt.spawn(makes::remote(7 << 20)).get()?.len(), 7 << 20);
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
fn five_gigabytes_are_one_object() -> mobula::Result<()> {
    let elements = (5_usize << 30) / 8;
    let available = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|info| {
            let line = info
                .lines()
                .find(|line| line.starts_with("MemAvailable:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
    if available.is_none_or(|kib| kib < 9 << 20) {
        skip("this takes 9 GiB of free memory");
        return Ok(());
    }
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(6 << 30)
        .start()?;
    let numbers = rt.put_with(elements, |numbers: &mut [u64]| {
        numbers[0] = 1;
        numbers[elements - 1] = 2;
    })?;
    assert_eq!(rt.spawn(ends::remote(&numbers)).get()?, (1, 2, elements));
    drop(numbers);
    nothing_is_left(&rt);
    Ok(())
}
