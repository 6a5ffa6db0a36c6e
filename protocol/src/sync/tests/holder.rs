use super::*;

#[test]
fn a_thread_is_the_same_holder_each_time() {
    let here = || Holder::this_thread(WorkerId(3), ProcessSlot::DRIVER);
    assert_eq!(here(), here());
    let there = thread::spawn(here).join().unwrap();
    assert_ne!(here(), there);
    assert_eq!(here().process(), WorkerId(3));
}

#[test]
fn detached_holders_differ_from_each_other_and_from_threads() {
    let detached = || Holder::detached(WorkerId(3), ProcessSlot::DRIVER);
    let (one, other) = (detached(), detached());
    assert_ne!(one, other);
    let mark = 1 << 26;
    assert_ne!(one.tag() & mark, 0);
    let here = Holder::this_thread(WorkerId(3), ProcessSlot::DRIVER);
    assert_eq!(here.tag() & mark, 0);
}

#[test]
fn there_are_as_many_process_slots_as_said() {
    assert_eq!(
        ProcessSlot::new(PROCESS_SLOTS as u16 - 1).unwrap().number(),
        PROCESS_SLOTS as u16 - 1
    );
    assert_eq!(ProcessSlot::new(PROCESS_SLOTS as u16), None);
}

#[test]
fn a_cause_comes_back_from_its_word() {
    let hows = [
        How::Exited(0),
        How::Exited(255),
        How::Signal(9),
        How::Panicked,
        How::TimedOut,
        How::Unknown,
    ];
    for how in hows {
        let cause = Cause {
            pid: 4_194_303,
            how,
        };
        assert_eq!(Cause::decode(cause.encode()), Some(cause));
        assert_ne!(Cause { pid: 0, how }.encode(), 0);
    }
    assert_eq!(Cause::decode(0), None);
    assert_eq!(Cause::decode(u64::MAX).unwrap().how, How::Unknown);
    assert_eq!(killed(7).to_string(), "process 7 died (signal 9)");
}
