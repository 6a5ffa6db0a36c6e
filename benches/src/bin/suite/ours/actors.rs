//! Rows about actors: the rows of Ray's microbenchmark, the cost of a call beside a task, and the
//! cost of an actor.
//!
//! In Ray's microbenchmark a method returns two bytes, and so it does here. Ray's number `n` is the
//! number of workers that all peers get.

use std::{hint::black_box, path::PathBuf, thread, time::Duration};

use mobula::prelude::*;
use mobula_benches::sampling::{Plan, Sampler, measure as sample, timed};

use super::{Out, WORKERS, nothing, per_second, runtime};
use crate::Result;

/// The result of every method.
type Small = [u8; 2];

const SMALL: Small = *b"ok";

/// The number of calls in one batch of one caller.
const BATCH: usize = 1000;
/// The number of calls of one caller in the rows with many actors.
const MANY: usize = 5000;
/// The number of tasks that call many actors, and of actors that submit tasks.
const CALLERS: usize = 4;
/// The number of elements in 1 MiB.
const MIB: usize = (1 << 20) / size_of::<f64>();
/// The numbers of calls in one turn. The first calls wake the other process and are not measured.
/// With single calls in turn, three processes would spin on two cores.
const TURN: (usize, usize) = (50, 500);

struct Server;

#[remote]
impl Server {
    fn new() -> Self {
        Server
    }

    fn small(&self) -> Small {
        SMALL
    }

    fn small_of(&self, _: i64) -> Small {
        SMALL
    }

    fn last(&self, array: &[f64]) -> f64 {
        array[array.len() - 1]
    }

    fn submits(&self, tasks: usize) -> mobula::Result<()> {
        let rt = Runtime::current()?;
        rt.get(rt.spawn_all((0..tasks).map(|_| nothing::remote())))
            .map(drop)
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }
}

struct AsyncServer;

// Ray's default for asynchronous actors is 1,000 concurrent calls.
#[remote(max_concurrency = 1000)]
impl AsyncServer {
    fn new() -> Self {
        AsyncServer
    }

    async fn small(&self) -> Small {
        SMALL
    }

    async fn small_of(&self, _: i64) -> Small {
        SMALL
    }
}

/// An actor that calls other actors.
struct Client {
    servers: Vec<ActorRef<Server>>,
    async_servers: Vec<ActorRef<AsyncServer>>,
}

#[remote]
impl Client {
    fn new(servers: Vec<ActorRef<Server>>, async_servers: Vec<ActorRef<AsyncServer>>) -> Self {
        Client {
            servers,
            async_servers,
        }
    }

    /// Makes `each` calls of each server, to either kind.
    fn calls(&self, each: usize) -> mobula::Result<()> {
        let calls = self.servers.iter();
        let calls = calls.flat_map(|s| (0..each).map(|_| s.small()));
        let more = self.async_servers.iter();
        all(calls.chain(more.flat_map(|s| (0..each).map(|_| s.small()))))
    }

    /// Makes `each` calls of each server. Their argument is one object, which is put once.
    fn calls_with_object(&self, each: usize) -> mobula::Result<()> {
        let zero = Runtime::current()?.put(&0_i64)?;
        let calls = self.servers.iter();
        all(calls.flat_map(|s| (0..each).map(|_| s.small_of(&zero))))
    }
}

#[remote]
fn small() -> Small {
    SMALL
}

/// Makes this many calls, to the servers in turn.
#[remote]
fn calls(servers: Vec<ActorRef<Server>>, calls: usize) -> mobula::Result<()> {
    let servers = servers.iter().cycle().take(calls);
    all(servers.map(|server| server.small()))
}

#[remote]
fn async_calls(servers: Vec<ActorRef<AsyncServer>>, calls: usize) -> mobula::Result<()> {
    let servers = servers.iter().cycle().take(calls);
    all(servers.map(|server| server.small()))
}

fn all(calls: impl IntoIterator<Item = UnspawnedCall<Small>>) -> mobula::Result<()> {
    let rt = Runtime::current()?;
    rt.get(rt.spawn_all(calls)).map(drop)
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    out.attempt("actor_call", || in_turn(out));
    out.attempt("actor_create", || create(out));
    let rt = runtime()?;
    let rate = |row: &str, count: usize, plan: Plan, work: &dyn Fn() -> mobula::Result<()>| {
        out.rate(row, count as f64, plan, work);
    };
    let batch = out.slow(20, 1.0);
    let many = out.slow(5, 1.5);

    let one = rt.spawn_actor(Server::remote());
    rate("actor_async", BATCH, batch, &|| {
        all((0..BATCH).map(|_| one.small()))
    });
    let threads = rt.spawn_actor(Server::remote().max_concurrency(16));
    rate("actor_concurrent", BATCH, batch, &|| {
        all((0..BATCH).map(|_| threads.small()))
    });
    drop((one, threads));

    let new = |_| rt.spawn_actor(Server::remote());
    let servers: Vec<_> = (0..WORKERS).map(new).collect();
    let client = rt.spawn_actor(Client::remote(&servers, Vec::new()));
    rate("actor_1n_async", MANY * WORKERS, many, &|| {
        client.calls(MANY).spawn().get()
    });
    drop(client);
    rate("actor_nn_async", MANY * CALLERS, many, &|| {
        rt.get(rt.spawn_all((0..CALLERS).map(|_| calls::remote(&servers, MANY))))
            .map(drop)
    });
    let client = |server: &ActorRef<Server>| {
        rt.spawn_actor(Client::remote(vec![server.clone()], Vec::new()))
    };
    let clients: Vec<_> = servers.iter().map(client).collect();
    rate("actor_nn_arg_async", BATCH * WORKERS, many, &|| {
        let calls = clients.iter().map(|client| client.calls_with_object(BATCH));
        rt.get(rt.spawn_all(calls)).map(drop)
    });
    drop((clients, servers));

    let new = |_| rt.spawn_actor(AsyncServer::remote());
    let servers: Vec<_> = (0..WORKERS).map(new).collect();
    let one = &servers[0];
    rate("async_actor_sync", 1, out.fast(1.0), &|| {
        one.small().spawn().get().map(drop)
    });
    rate("async_actor_async", BATCH, batch, &|| {
        all((0..BATCH).map(|_| one.small()))
    });
    rate("async_actor_args_async", BATCH, batch, &|| {
        all((0..BATCH as i64).map(|n| one.small_of(n)))
    });
    let client = rt.spawn_actor(Client::remote(Vec::new(), &servers));
    rate("async_actor_1n_async", MANY * WORKERS, many, &|| {
        client.calls(MANY).spawn().get()
    });
    drop(client);
    rate("async_actor_nn_async", MANY * CALLERS, many, &|| {
        rt.get(rt.spawn_all((0..CALLERS).map(|_| async_calls::remote(&servers, MANY))))
            .map(drop)
    });
    drop(servers);

    let new = |_| rt.spawn_actor(Server::remote());
    let submitters: Vec<_> = (0..CALLERS).map(new).collect();
    let each = out.size(10_000, 1_000);
    rate(
        "multi_tasks_async",
        each * CALLERS,
        out.slow(5, 2.0),
        &|| {
            let calls = submitters.iter().map(|actor| actor.submits(each));
            rt.get(rt.spawn_all(calls)).map(drop)
        },
    );
    Ok(())
}

/// Measures single calls of an actor in turn with single tasks of the same result.
fn in_turn(out: &Out) -> Result<()> {
    let rt = runtime()?;
    let actor = rt.spawn_actor(Server::remote());
    let array = rt.put(&vec![1.0; MIB])?;
    let plan = Plan {
        warm_up: 2 * TURN.1,
        ..out.fast(3.0)
    };
    let mut samplers: [Sampler; 3] = std::array::from_fn(|_| Sampler::new(plan));
    while samplers[0].more() {
        turn(&mut samplers[0], || rt.spawn(small::remote()).get())?;
        turn(&mut samplers[1], || actor.small().spawn().get())?;
        turn(&mut samplers[2], || actor.last(&array).spawn().get())?;
    }
    let [task, call, over] = samplers.map(Sampler::summary);
    out.floor("small_task", task);
    out.row("actor_call", call);
    out.row("actor_sync", per_second(1.0, call));
    out.row("actor_call_1m", over);
    Ok(())
}

fn turn<T>(sampler: &mut Sampler, mut work: impl FnMut() -> mobula::Result<T>) -> Result<()> {
    for _ in 0..TURN.0 {
        work()?;
    }
    for _ in 0..TURN.1 {
        let mut result = None;
        sampler.add(timed(|| result = Some(work())));
        result.transpose()?.map(black_box);
    }
    Ok(())
}

/// Measures the start of an actor. The process of each actor is gone before the next actor starts.
fn create(out: &Out) -> Result<()> {
    let rt = runtime()?;
    let times = sample(out.slow(20, 2.0), || {
        let mut made = None;
        let seconds = timed(|| {
            let actor = rt.spawn_actor(Server::remote());
            let first = actor.small().spawn().get();
            made = Some(first.map(|_| actor));
        });
        let Some(actor) = made.transpose()? else {
            return Ok(seconds);
        };
        let process = PathBuf::from(format!("/proc/{}", actor.pid().spawn().get()?));
        ActorRef::kill(&actor);
        while process.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        Ok::<_, mobula::Error>(seconds)
    })?;
    out.row("actor_create", times);
    Ok(())
}
