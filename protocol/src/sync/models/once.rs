use super::*;

#[test]
fn loom_it_is_done_once() {
    check(2, || {
        let memory = Model::new(2, 1);
        let once = RawOnce::new(memory.clone(), 0, 0);
        let caller = |process| {
            let (memory, once) = (memory.clone(), once.clone());
            move || {
                let ran = once.call(holder(process), None, || add_one(&memory, 1));
                assert_eq!(memory.words()[1].load(Relaxed), 1);
                u32::from(ran.unwrap())
            }
        };
        let others = [1, 2].map(|process| thread::spawn(caller(process)));
        let mut ran = caller(0)();
        for other in others {
            ran += other.join().unwrap();
        }
        assert_eq!(ran, 1);
    });
}

#[test]
fn loom_it_is_done_after_a_death_amid_it() {
    check(2, || {
        let memory = Model::new(2, 1);
        memory.words()[0].store(holder(3).word(), Relaxed);
        let once = RawOnce::new(memory.clone(), 0, 0);
        let callers = [1, 2].map(|process| {
            let (memory, once) = (memory.clone(), once.clone());
            thread::spawn(move || {
                let ran = once.call(holder(process), None, || add_one(&memory, 1));
                u32::from(ran.unwrap())
            })
        });
        assert!(once.recover(WorkerId(3)));
        let [one, other] = callers.map(|caller| caller.join().unwrap());
        assert_eq!(one + other, 1);
    });
}
