//! Refs as futures.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, nothing_is_left, runtime};

#[remote]
fn square(n: u64) -> u64 {
    n * n
}

/// Ends when the gate has a mark.
#[remote]
fn waits_at(gate: &str) -> u64 {
    eventually("the gate is open", || {
        std::fs::metadata(gate).is_ok_and(|gate| gate.len() > 0)
    });
    200
}

#[mobula::test]
async fn refs_are_awaited_by_value_and_by_reference() -> mobula::Result<()> {
    let rt = runtime(2);
    let nine = rt.spawn(square::remote(3));
    assert_eq!((&nine).await?, 9);
    assert_eq!((&nine).await?, 9);
    let eighty_one = rt.spawn(square::remote(&nine));
    assert_eq!(eighty_one.await?, 81);
    assert_eq!(nine.await?, 9);
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
async fn many_refs_are_joined() -> mobula::Result<()> {
    let rt = runtime(2);
    let refs = rt.spawn_all((0..500).map(square::remote));
    let values = futures::future::try_join_all(&refs).await?;
    assert!(
        values
            .iter()
            .enumerate()
            .all(|(n, value)| *value == (n * n) as u64)
    );
    let (a, b) = tokio::try_join!(&refs[2], &refs[3])?;
    assert_eq!((a, b), (4, 9));
    drop(refs);
    nothing_is_left(&rt);
    Ok(())
}

#[mobula::test]
async fn a_ref_that_loses_a_select_stays_usable() -> mobula::Result<()> {
    let rt = runtime(1);
    let gate = Marks::new();
    let result = rt.spawn(waits_at::remote(gate.path()));
    let early = tokio::select! {
        value = &result => Some(value?),
        () = tokio::time::sleep(Duration::from_millis(1)) => None,
    };
    assert_eq!(early, None);
    mark(gate.path());
    assert_eq!(result.await?, 200);
    Ok(())
}

#[mobula::test]
async fn awaiting_and_blocking_mix() -> mobula::Result<()> {
    let rt = runtime(2);
    let blocking = {
        let rt = rt.clone();
        tokio::task::spawn_blocking(move || -> mobula::Result<u64> {
            let mut sum = 0;
            for n in 0..200 {
                sum += rt.spawn(square::remote(n)).get()?;
            }
            Ok(sum)
        })
    };
    let mut sum = 0;
    for n in 0..200 {
        sum += rt.spawn(square::remote(n)).await?;
    }
    assert_eq!(blocking.await.unwrap()?, sum);
    Ok(())
}
