//! A worker over a link that is not the mailbox: two channels in this process.

use std::{
    any::TypeId,
    collections::VecDeque,
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

use mobula_protocol::{
    Attempt, Error, Format, FunctionIndex, IndexCell, Input, Inputs, ObjectId, Payload, Registered,
    Registry, RemoteFn, Result, Role, TaskOptions, TaskSlot, TypeTag, Value, WorkerId,
    message::{Arg, FromWorker, TaskMessage, ToWorker},
    sync::ProcessSlot,
};
use mobula_store::{Backing, Block, SegmentFile, SegmentId, Segments};
use parking_lot::{Condvar, Mutex};

use super::{
    control::{self, Over},
    here::{Here, Member, Number},
    tasks,
    worker::{Settings, Worker},
};
use crate::link::{Claims, Doorbell, Files, Lane, Link, Out};

static ECHO: RemoteFn = RemoteFn {
    package: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    module: module_path!(),
    name: "echo",
    file: file!(),
    line: line!(),
    column: column!(),
    signature: "fn(value) -> value",
    asynchronous: false,
    role: Role::Function,
    options: TaskOptions::DEFAULT,
    owner: TypeId::of::<Channels>,
    run: echo,
    index: IndexCell::NEW,
};

inventory::submit! { Registered(&ECHO) }

fn echo(inputs: &mut Inputs) -> Result<Payload> {
    match inputs.take()? {
        Input::Value(payload, _) => Ok(payload),
        Input::Gather(_) => Err(Error::usage("one value is echoed")),
    }
}

/// The link: a queue for each direction.
struct Channels;

impl Link for Channels {
    type Out = Answers;
    type Lane = Queue;
    type Claims = TakenBack;
    type Files = NoFiles;
}

struct Answers(mpsc::Sender<FromWorker>);

impl Out for Answers {
    fn push(&mut self, message: &FromWorker) {
        // The test has what it wants once it drops the other end.
        let _ = self.0.send(message.clone());
    }
}

#[derive(Clone, Default)]
struct Queue(Arc<(Mutex<VecDeque<ToWorker>>, Condvar)>);

impl Queue {
    fn send(&self, message: ToWorker) {
        self.0.0.lock().push_back(message);
        self.notify();
    }
}

impl Lane for Queue {
    type Doorbell = Queue;

    fn receive(&mut self) -> Result<Option<ToWorker>, String> {
        Ok(self.0.0.lock().pop_front())
    }

    fn ready(&self) -> bool {
        !self.0.0.lock().is_empty()
    }

    fn doorbell(&self) -> Queue {
        self.clone()
    }
}

impl Doorbell for Queue {
    fn notify(&self) {
        self.0.1.notify_all();
    }

    fn sleep(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        if has_work() {
            return;
        }
        let mut queue = self.0.0.lock();
        if queue.is_empty() {
            // A ring that comes between the look and the sleep is made up for.
            let longest = Duration::from_millis(5);
            let timeout = timeout.map_or(longest, |timeout| timeout.min(longest));
            self.0.1.wait_for(&mut queue, timeout);
        }
    }
}

/// The attempt that the driver has taken back.
struct TakenBack(Attempt);

impl Claims for TakenBack {
    fn start(&self, _: TaskSlot, attempt: Attempt, revocable: bool) -> bool {
        !(revocable && attempt == self.0)
    }

    fn is_revoked(&self, _: TaskSlot, attempt: Attempt) -> bool {
        attempt == self.0
    }

    fn set_function(&self, _: FunctionIndex) {}

    fn function(&self) -> Option<FunctionIndex> {
        None
    }
}

struct NoFiles;

impl Files for NoFiles {
    fn segment(&self, id: SegmentId, _: u64) -> Result<SegmentFile, String> {
        Err(format!("{id} does not travel"))
    }

    fn writable(&self, id: SegmentId, _: u64) -> Result<SegmentFile, String> {
        Err(format!("{id} does not travel"))
    }
}

fn task(attempt: u64, byte: u8) -> ToWorker {
    let registry = Registry::get().unwrap();
    let payload = Value {
        format: Format::Packed { of: TypeTag(1) },
        body: mobula_protocol::Body::Inline(Block::copy_of(&[byte], 1)),
        attachments: vec![],
    };
    ToWorker::Task(TaskMessage {
        id: ObjectId {
            origin: WorkerId::DRIVER,
            seq: attempt,
        },
        slot: TaskSlot(attempt as u32),
        attempt: Attempt(attempt),
        function: registry.index_of(&ECHO).unwrap(),
        args: [Arg::Value(Box::new(payload))].into_iter().collect(),
        options: None,
        retries: 0,
        revocable: true,
    })
}

#[test]
fn a_worker_runs_tasks_over_a_link_that_is_not_the_mailbox() {
    let (to_driver, answers) = mpsc::channel();
    let (lane, control_lane) = (Queue::default(), Queue::default());
    let segment = SegmentFile::create(1 << 20, 1 << 20, Backing::Unnamed).unwrap();
    let settings = Settings {
        number: Number::next(),
        id: WorkerId(7),
        process_slot: ProcessSlot::DRIVER,
        registry: Registry::get().unwrap(),
        segment: (SegmentId(7), segment),
        segments: Arc::new(Segments::new()),
        workers: 1,
        stack: 1 << 20,
        max_rss: None,
        printed: None,
        beside: None,
    };
    let ends = (Answers(to_driver), lane.clone(), TakenBack(Attempt(2)));
    let worker = Worker::<Channels>::new(settings, ends).unwrap();
    worker.registered.store(true, Ordering::Release);

    let (runs, serves) = (worker.clone(), worker.clone());
    let tasks = thread::spawn(move || {
        let _member = Member::enter(runs.clone() as Arc<dyn Here>);
        tasks::task_loop(&runs, true);
    });
    let (doorbell, served) = (lane.clone(), control_lane.clone());
    let control = thread::spawn(move || {
        let over = || match serves.closing.load(Ordering::SeqCst) {
            true => Over::Yes,
            false => Over::No,
        };
        control::serve(&serves, served, &NoFiles, &doorbell, over);
    });

    // The second is taken back, and nothing is said of it.
    (1..=3).for_each(|attempt| lane.send(task(attempt, 10 * attempt as u8)));
    for attempt in [1, 3] {
        let answer = answers.recv_timeout(Duration::from_secs(60)).unwrap();
        let FromWorker::Done {
            attempt: run,
            outcome: Ok(value),
            ..
        } = answer
        else {
            panic!("expected the result of run {attempt}, got {answer:?}")
        };
        assert_eq!(run, Attempt(attempt));
        let mobula_protocol::Body::Inline(block) = &value.body else {
            panic!("a byte is inline")
        };
        assert_eq!(block.bytes(), [10 * attempt as u8]);
    }
    control_lane.send(ToWorker::Shutdown);
    tasks.join().unwrap();
    control.join().unwrap();
    drop(worker);
    assert!(answers.recv().is_err(), "nothing else is said");
}
