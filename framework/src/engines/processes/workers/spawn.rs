//! Starts a worker: another process of this program, with a mailbox and a segment.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use mobula_protocol::{
    Error, Result, WorkerId,
    link::{self, Bootstrap, BootstrapDescriptors, TOKEN_VARIABLE},
    mailbox::{self, DriverEnd, Stream as Printed},
    sync::ProcessSlot,
};
use mobula_store::{Backing, SegmentFile, SegmentId, descriptors, limits::Wanted};
use rustix::{event::epoll, process::Pid};

use crate::engines::processes::{
    Driver,
    output::{Stream, Words},
    peers::peer::Peer,
    shared_words,
    workers::cores,
    workers::life::{Life, OwnLife},
    workers::program,
    workers::watched::{Signs, Watched},
};
use crate::promise::ENGINE;

impl Driver {
    /// Starts one further worker. The worker takes tasks when it has registered, and ends with the
    /// calling thread. The output of a `hushed` worker is not passed on before it has registered.
    ///
    /// # Errors
    /// There is no memory, descriptor or process.
    pub(in crate::engines::processes) fn start_worker(&self, hushed: bool) -> Result<()> {
        let process_slot = self.with(|_, peers| peers.process_slots.take());
        let process_slot = process_slot.ok_or_else(|| {
            Error::setup("no further worker: there are as many processes as can share locks")
        })?;
        let mut unused = Some(process_slot);
        let started = self.start_worker_at(process_slot, &mut unused, hushed);
        if let Some(process_slot) = unused {
            self.with(|_, peers| peers.process_slots.give_back(process_slot));
        }
        started
    }

    /// Does the work of [`start_worker`](Self::start_worker). Empties `unused` when the process
    /// slot belongs to a peer.
    fn start_worker_at(
        &self,
        process_slot: ProcessSlot,
        unused: &mut Option<ProcessSlot>,
        hushed: bool,
    ) -> Result<()> {
        let number = self.next_worker.fetch_add(1, Ordering::Relaxed);
        let id = u32::try_from(number).map(WorkerId).map_err(|_| {
            Error::setup("this runtime has started 4,294,967,295 workers, and cannot number more")
        })?;
        let (mailbox_file, mailbox_memory) = shared_words(mailbox::bytes() as u64)?;
        let end =
            DriverEnd::create(&mailbox_memory).map_err(|error| Error::setup(error.to_string()))?;

        let segment = SegmentId(id.0);
        let len = self.config.worker_segment;
        let file = SegmentFile::create(len, self.capacity.capacity(), Backing::Unnamed)?;

        let failed = |what: &str, error: io::Error| {
            Error::refused(
                format!("cannot start a worker: {what}"),
                Wanted::Descriptor,
                error,
            )
        };
        let made = || {
            let (read, write) = descriptors::pipe()?;
            // Only the driver's end is non-blocking: the worker's prints wait for room.
            rustix::io::ioctl_fionbio(&read, true)?;
            Ok((read, write))
        };
        let output = || {
            made()
                .map_err(|error: rustix::io::Errno| failed("no pipe for its output", error.into()))
        };
        let (stdout_read, stdout_write) = output()?;
        let (stderr_read, stderr_write) = output()?;
        let unread = watch_of(&stdout_read, &stderr_read)
            .map_err(|error| failed("no watch of its output", error.into()))?;
        let (socket, worker_socket) = link::pair().map_err(|error| failed("no socket", error))?;
        let socket = Arc::new(socket);
        let own = OwnLife::new()?;
        let token = link::new_token();
        let heap_write = file
            .read_write_fd(ENGINE)
            .ok_or_else(|| Error::internal("a new segment that is read-only"))?;
        let mailbox_write = mailbox_file
            .read_write_fd(ENGINE)
            .ok_or_else(|| Error::internal("a new mailbox that is read-only"))?;
        let doorbell_write = self
            .doorbell_file
            .read_write_fd(ENGINE)
            .ok_or_else(|| Error::internal("a doorbell that is read-only"))?;
        Bootstrap::new(
            token.clone(),
            self.registry.fingerprint(),
            (id, process_slot, self.config.workers as u32),
            (
                self.config.stack,
                self.surroundings.umask,
                self.config.nice,
                self.config.max_worker_rss,
            ),
            mailbox_file.len(),
            self.doorbell_file.len(),
            (segment, file.len()),
        )
        .send(
            socket.as_fd(),
            &BootstrapDescriptors {
                driver: own.seen_by_worker.as_fd(),
                stdout: stdout_write.as_fd(),
                mailbox: mailbox_write,
                doorbell: doorbell_write,
                heap_read: file.read_only_fd(),
                heap_write,
                printed: unread.as_fd(),
            },
        )?;
        drop(unread);

        let registered = Arc::new(AtomicBool::new(false));
        let words = Words {
            current: end.state.clone(),
            printed: end.printed.clone(),
        };
        self.segments.insert(segment, &file)?;
        let exec = || self.exec(&token, worker_socket, stderr_write, socket.clone());
        let ((pid, life), place) = match cores::start_on(self.cores.as_ref(), exec) {
            Ok(started) => started,
            Err(error) => {
                self.segments.remove(segment);
                return Err(error);
            }
        };
        let stream = |which, fd| {
            let words = words.clone();
            Stream::new(which, fd, pid, words, self.registry, hushed)
        };
        let stdout = stream(Printed::Stdout, stdout_read);
        let stderr = stream(Printed::Stderr, stderr_read);
        self.output.add(stdout.clone(), stderr.clone());
        let peer = Peer::new(
            end,
            pid,
            socket,
            own.kept,
            (segment, process_slot),
            registered.clone(),
        );
        *unused = None;
        let started = self.with(|scheduler, peers| {
            peers.add(id, peer, (segment, file));
            let started = scheduler.worker_starting(id);
            // The runtime may have ended in the meantime.
            if self.is_closed() {
                scheduler.worker_stopping(id, peers);
            }
            started
        });
        self.monitor.add(Watched {
            id,
            segment,
            pid,
            life,
            stdout,
            stderr,
            registered,
            began: Instant::now(),
            ready: None,
            signs: Signs::default(),
            _place: place,
        });
        // The worker may have notified it before the driver could look at its lane.
        self.poll();
        started.map_err(|violation| Error::internal(violation.to_string()))
    }

    fn exec(
        &self,
        token: &str,
        socket: OwnedFd,
        stderr: OwnedFd,
        own_socket: Arc<OwnedFd>,
    ) -> Result<(u32, Life)> {
        let mut command = program::command()?;
        let is_set = |name: &OsString| {
            let given = self.surroundings.environment.iter().chain(&self.config.env);
            given.into_iter().any(|(known, _)| known == name)
        };
        let threads = cores::threads(self.surroundings.cores, self.config.workers, is_set);
        command
            .args(&self.monitor.entry().args)
            .current_dir(self.surroundings.directory())
            .env_clear()
            .envs(
                self.surroundings
                    .environment
                    .iter()
                    .map(|(key, value)| (key, value)),
            )
            .envs(threads)
            .envs(self.monitor.entry().env.iter().copied())
            .envs(self.config.env.iter().map(|(key, value)| (key, value)))
            .env(TOKEN_VARIABLE, token)
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr))
            // Ctrl-C in a terminal goes to the driver alone. And the processes that a task starts
            // can be ended together with their worker.
            .process_group(0);
        let mut child = descriptors::with_standard_in_use(|| command.spawn()).map_err(|error| {
            let program = Path::new(command.get_program()).display();
            let what = format!("cannot start a worker: {program} does not run");
            Error::refused(what, Wanted::Thread, error)
        })?;
        let pid = child.id();
        let life = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Error::internal(format!("a process with the id {pid}")))
            .and_then(|pid| Life::of(pid, own_socket));
        match life {
            // The monitor collects the exit status.
            Ok(life) => Ok((pid, life)),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

/// Returns a descriptor that is readable while one of these is.
fn watch_of(stdout: &OwnedFd, stderr: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let watch = descriptors::watch()?;
    for fd in [stdout, stderr] {
        let data = epoll::EventData::new_u64(0);
        epoll::add(&watch, fd, data, epoll::EventFlags::IN)?;
    }
    Ok(watch)
}
