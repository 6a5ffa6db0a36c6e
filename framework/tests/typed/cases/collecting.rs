//! Results of many calls, some of them, in time, or as a stream.

use std::time::Duration;

use mobula::prelude::*;

use super::{Rt, errors::fails, functions::*};

/// For what only a hang explains.
const LONG: Duration = Duration::from_secs(60);

pub(crate) fn all(rt: &Rt) {
    wait_gives_as_many_as_asked_in_the_order_given(rt);
    what_wait_cannot_do_is_refused(rt);
    as_completed_has_a_limit_of_time(rt);
    maps_have_a_limit_of_time(rt);
    what_has_ended_is_not_cancelled(rt);
}

fn wait_gives_as_many_as_asked_in_the_order_given(rt: &Rt) {
    let refs = rt.spawn_all((0..10).map(|n| square::remote(f64::from(n))));
    let (ready, pending) = rt.wait(&refs, 10, None).unwrap();
    assert_eq!((&ready, pending.len()), (&refs, 0));
    for count in 1..10 {
        let (ready, pending) = rt.wait(&refs, count, Some(LONG)).unwrap();
        assert_eq!((ready.len(), pending.len()), (count, 10 - count));
        let mut again = refs.iter().filter(|object| ready.contains(object));
        assert!(again.by_ref().eq(&ready));
        let mut others = refs.iter().filter(|object| pending.contains(object));
        assert!(others.by_ref().eq(&pending));
    }
    // A failure is an end, too.
    let failed = fails::remote("no").spawn();
    let (ready, _) = rt.wait(std::slice::from_ref(&failed), 1, None).unwrap();
    assert!(ready[0].get().unwrap_err().is_application());
    let (ready, pending) = rt.wait(&Vec::<ObjectRef<f64>>::new(), 0, None).unwrap();
    assert!(ready.is_empty() && pending.is_empty());
}

fn what_wait_cannot_do_is_refused(rt: &Rt) {
    let refs = rt.spawn_all((0..2).map(|n| square::remote(f64::from(n))));
    for count in [0, 3] {
        let error = rt.wait(&refs, count, None).unwrap_err();
        assert!(error.is_usage(), "{error}");
        assert!(error.to_string().contains("of 2 refs"), "{error}");
    }
    let twice = [refs[0].clone(), refs[1].clone(), refs[0].clone()];
    let error = rt.wait(&twice, 1, None).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    assert!(error.to_string().contains("index 2"), "{error}");
}

fn as_completed_has_a_limit_of_time(rt: &Rt) {
    let refs = rt.spawn_all((0..10).map(|n| square::remote(f64::from(n))));
    let mut running = rt.as_completed(refs);
    let mut sum = 0.0;
    while let Some(done) = running.next_timeout(LONG).unwrap() {
        sum += done.get().unwrap();
    }
    assert_eq!(sum, 285.0);
    assert!(running.next_timeout(Duration::ZERO).unwrap().is_none());
}

fn maps_have_a_limit_of_time(rt: &Rt) {
    let calls = || (0..100).map(|n| square::remote(f64::from(n)));
    let mut results = rt.map(calls()).iter();
    let mut place = 0.0;
    while let Some(result) = results.next_timeout(LONG).unwrap() {
        assert_eq!(result.unwrap(), place * place);
        place += 1.0;
    }
    assert_eq!(place, 100.0);
    let mut results = rt.map(calls()).unordered();
    let mut sum = 0.0;
    while let Some((place, result)) = results.next_timeout(LONG).unwrap() {
        let value = result.unwrap();
        assert_eq!(value, (place * place) as f64);
        sum += value;
    }
    assert_eq!(sum, 328_350.0);
}

fn what_has_ended_is_not_cancelled(rt: &Rt) {
    let refs = rt.spawn_all((0..10).map(|n| square::remote(f64::from(n))));
    let values = rt.get(&refs).unwrap();
    refs.cancel();
    refs[3].cancel();
    assert_eq!(rt.get(&refs).unwrap(), values);
    let put = rt.put(&7_u64).unwrap();
    put.cancel();
    assert_eq!(put.get().unwrap(), 7);
    let guarded = refs.cancel_on_drop();
    assert_eq!(guarded.len(), 10);
    drop(guarded);
    let one = square::remote(3.0).spawn().cancel_on_drop();
    assert_eq!(one.get().unwrap(), 9.0);
}

#[cfg(feature = "stream")]
pub(crate) async fn all_async(rt: &Rt) -> mobula::Result<()> {
    use futures::StreamExt;
    let calls = || (0..100).map(|n| square::remote(f64::from(n)));
    let mut running = rt.as_completed(rt.spawn_all(calls().take(10))).stream();
    let (mut sum, mut more) = (0.0, 5);
    while let Some(done) = running.next().await {
        sum += done.await?;
        if more > 0 {
            more -= 1;
            running.push(square::remote(1.0).spawn());
        }
    }
    assert_eq!(sum, 290.0);
    let values: Vec<_> = rt.map(calls()).iter().stream().collect().await;
    for (place, value) in values.into_iter().enumerate() {
        assert_eq!(value?, (place * place) as f64);
    }
    let mut unordered = rt.map(calls()).unordered().stream();
    let mut count = 0;
    loop {
        // A future that is dropped loses nothing.
        tokio::select! {
            biased;
            () = std::future::ready(()), if count % 2 == 0 => count += 1,
            next = unordered.next() => match next {
                Some((place, value)) => {
                    assert_eq!(value?, (place * place) as f64);
                    count += 1;
                }
                None => break,
            },
        }
    }
    assert!(count >= 199, "{count}");
    Ok(())
}
