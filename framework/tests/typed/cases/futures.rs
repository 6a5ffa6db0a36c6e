//! Refs as futures.

use futures::{FutureExt, StreamExt, future::try_join_all, stream::FuturesUnordered};

use super::{Rt, functions::*};

pub(crate) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    let refs = rt.spawn_all((0..5).map(|n| square::remote(f64::from(n))));
    let expected = [0.0, 1.0, 4.0, 9.0, 16.0];
    // A borrow is a future, so the refs stay.
    assert_eq!(try_join_all(&refs).await?, expected);
    assert_eq!(try_join_all(refs.iter()).await?, expected);
    assert_eq!((&refs[3]).await?, 9.0);
    let (a, b) = tokio::try_join!(&refs[1], &refs[2])?;
    assert_eq!((a, b), (1.0, 4.0));
    let (a, b) = futures::try_join!(&refs[1], &refs[2])?;
    assert_eq!((a, b), (1.0, 4.0));
    tokio::select! {
        value = &refs[4] => assert_eq!(value?, 16.0),
        () = std::future::pending() => unreachable!(),
    }
    let mut unordered: FuturesUnordered<_> =
        refs.iter().map(|r| r.map(|value| value.unwrap())).collect();
    let mut sum = 0.0;
    while let Some(value) = unordered.next().await {
        sum += value;
    }
    assert_eq!(sum, 30.0);
    drop(unordered);
    assert_eq!(try_join_all(refs).await?, expected);
    let state = rt.put(&vec![1.0])?;
    assert_eq!(step::remote(&state).spawn().await?, [2.0]);
    assert_eq!(state.as_array().await?, [1.0]);
    let error = super::errors::fails::remote("no")
        .spawn()
        .await
        .unwrap_err();
    assert!(error.is_application());
    assert_eq!(fetch::remote("u", 1).spawn().await?, "u1");
    let started = rt.spawn_async(square::remote(3.0)).await;
    assert_eq!(started.await?, 9.0);
    let two = rt.put(&2.0)?;
    assert_eq!(square::remote(&two).spawn_async().await.await?, 4.0);
    Ok(())
}
