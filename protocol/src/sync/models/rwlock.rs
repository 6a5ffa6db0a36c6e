use super::*;

struct Shared {
    lock: RawRwLock<Model>,
    /// The readers of each process.
    local: [LocalReaders<ModelFutex>; 3],
    memory: Model,
}

const RWLOCK: usize = RawRwLock::<Model>::WORDS;

impl Shared {
    fn new() -> Arc<Shared> {
        let memory = Model::new(RWLOCK + 2, RawRwLock::<Model>::FUTEXES);
        Arc::new(Shared {
            lock: RawRwLock::new(memory.clone(), 0, 0),
            local: Default::default(),
            memory,
        })
    }

    fn write(&self, process: u32) {
        let _ = self.lock.write(holder(process), None).unwrap();
        add_one(&self.memory, RWLOCK);
        add_one(&self.memory, RWLOCK + 1);
        self.lock.unlock_write(holder(process)).unwrap();
    }

    fn read(&self, process: u32) -> u64 {
        let local = &self.local[process as usize];
        let _ = self.lock.read(holder(process), local, None).unwrap();
        let [one, other] = [0, 1].map(|at| self.memory.words()[RWLOCK + at].load(Relaxed));
        assert_eq!(one, other);
        self.lock.unlock_read(holder(process), local).unwrap();
        one
    }
}

fn run(shared: &Arc<Shared>, f: impl Fn(&Shared) + 'static) -> thread::JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || f(&shared))
}

#[test]
fn loom_readers_see_all_of_a_write_or_nothing() {
    check(2, || {
        let shared = Shared::new();
        let writer = run(&shared, |shared| shared.write(1));
        let reader = run(&shared, |shared| {
            shared.read(2);
        });
        shared.read(0);
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(shared.read(0), 1);
    });
}

/// Two threads of one process, and a writer that waits for them.
#[test]
fn loom_readers_of_one_process_come_and_go_together() {
    check(1, || {
        let shared = Shared::new();
        let writer = run(&shared, |shared| shared.write(1));
        let reader = run(&shared, |shared| {
            shared.read(0);
        });
        shared.read(0);
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(shared.read(0), 1);
    });
}

/// While one of the threads reads, the bit of their process is set. Afterwards it is not.
#[test]
fn loom_readers_of_one_process_have_their_bit() {
    check(3, || {
        let shared = Shared::new();
        let read = |shared: &Shared| {
            let (lock, local) = (&shared.lock, &shared.local[0]);
            let _ = lock.read(holder(0), local, None).unwrap();
            assert_eq!(shared.memory.words()[2].load(Relaxed), 1);
            lock.unlock_read(holder(0), local).unwrap();
        };
        let other = run(&shared, read);
        read(&shared);
        other.join().unwrap();
        assert_eq!(shared.memory.words()[2].load(Relaxed), 0);
    });
}

/// A writer that does not wait, and a reader that does not.
#[test]
fn loom_tries_keep_each_other_out() {
    check(3, || {
        let shared = Shared::new();
        let reader = run(&shared, |shared| {
            let (lock, local) = (&shared.lock, &shared.local[0]);
            if lock.try_read(holder(0), local).is_ok() {
                let [one, other] =
                    [0, 1].map(|at| shared.memory.words()[RWLOCK + at].load(Relaxed));
                assert_eq!(one, other);
                lock.unlock_read(holder(0), local).unwrap();
            }
        });
        if shared.lock.try_write(holder(1)).is_ok() {
            add_one(&shared.memory, RWLOCK);
            add_one(&shared.memory, RWLOCK + 1);
            shared.lock.unlock_write(holder(1)).unwrap();
        }
        reader.join().unwrap();
        // A failed try leaves no mark.
        let _ = shared.lock.try_write(holder(1)).unwrap();
    });
}

#[test]
fn loom_writers_and_a_reader_take_turns() {
    check(2, || {
        let shared = Shared::new();
        let writers = [1, 2].map(|process| run(&shared, move |shared| shared.write(process)));
        shared.read(0);
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(shared.read(0), 2);
    });
}

/// A reader has waited long. It comes before the writer, which goes on afterwards.
#[test]
fn loom_a_reader_s_turn_ends() {
    check(3, || {
        let shared = Shared::new();
        let _ = shared.lock.write(holder(1), None).unwrap();
        let writer = run(&shared, |shared| shared.write(2));
        let reader = run(&shared, |shared| {
            let local = &shared.local[0];
            let _ = shared.lock.read(holder(0), local, far()).unwrap();
            shared.lock.unlock_read(holder(0), local).unwrap();
        });
        shared.lock.unlock_write(holder(1)).unwrap();
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(shared.memory.words()[0].load(Relaxed) & TURN, 0);
    });
}

/// The reader that has waited long dies.
#[test]
fn loom_a_dead_reader_s_turn_ends() {
    check(3, || {
        let shared = Shared::new();
        let _ = shared.lock.write(holder(1), None).unwrap();
        shared.memory.words()[0].fetch_or(READERS | TURN, AcqRel);
        let writer = run(&shared, |shared| shared.write(2));
        shared.lock.unlock_write(holder(1)).unwrap();
        shared.lock.recover(WorkerId(0), holder(0).slot(), cause());
        writer.join().unwrap();
    });
}

#[test]
fn loom_a_dead_reader_is_not_waited_for() {
    check(2, || {
        let shared = Shared::new();
        let _ = shared.lock.read(holder(1), &shared.local[1], None).unwrap();
        let writer = run(&shared, |shared| shared.write(2));
        let reader = run(&shared, |shared| {
            shared.read(0);
        });
        let slot = holder(1).slot();
        assert!(!shared.lock.recover(WorkerId(1), slot, cause()));
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(shared.lock.poison(), None);
    });
}

#[test]
fn loom_a_dead_writer_s_lock_goes_on_to_readers_and_writers() {
    check(2, || {
        let shared = Shared::new();
        let _ = shared.lock.write(holder(1), None).unwrap();
        let writer = run(&shared, |shared| shared.write(2));
        let reader = run(&shared, |shared| {
            shared.read(0);
        });
        let slot = holder(1).slot();
        assert!(shared.lock.recover(WorkerId(1), slot, cause()));
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(shared.lock.poison(), Some(cause()));
    });
}
