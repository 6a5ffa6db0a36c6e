//! A program as a job of a Ray cluster, whose head is a small server of these tests.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use mobula::{EngineKind, prelude::*};

/// Longer than any of these programs takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Names the address of the head to the program, where that is not in `MOBULA_ENGINE`.
const BY_BUILDER: &str = "MOBULA_TEST_HEAD";

/// The program: each test starts it as a process.
#[mobula::test]
#[ignore = "a program that other tests start"]
fn program() {
    let builder = match std::env::var(BY_BUILDER) {
        Ok(url) => Runtime::builder().engine(EngineKind::ray_job(&url).unwrap()),
        Err(_) => Runtime::builder(),
    };
    println!("before the start");
    match builder.start() {
        Ok(_) => println!("started here"),
        Err(error) => {
            println!("refused: setup {}: {error}", error.is_setup());
            std::process::exit(3);
        }
    }
}

/// The requests to a head, and its answers.
#[derive(Default)]
struct State {
    /// Methods and paths, in order.
    asked: Vec<String>,
    /// The bodies of uploads, by their paths.
    packages: HashMap<String, Vec<u8>>,
    submitted: String,
    token: Option<String>,
    /// How often the state of the job was asked for, and when it ends.
    looks: usize,
    stopped: bool,
    /// Answers of the state of the job; the last one stays.
    states: Vec<&'static str>,
    /// Output, one more piece with each look.
    output: Vec<&'static str>,
    /// Statuses in the place of the usual answers, by method and start of the path.
    refuse: Vec<(&'static str, u16, &'static str)>,
    /// Connections that are closed without an answer, from the third look on.
    drops: usize,
}

/// A head of a cluster.
struct Head {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Head {
    fn start(state: State) -> Head {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let served = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), served.clone());
                thread::spawn(move || serve(stream, &state));
            }
        });
        Head { url, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers requests of one connection.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut parts = first.split(' ');
        let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
        let (mut length, mut token) = (0, None);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else {
                break;
            };
            match &*name.to_ascii_lowercase() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => token = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (status, answer) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.token = token;
            match answer(&mut state, method, path, body) {
                Some(answer) => answer,
                None => return,
            }
        };
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        if stream.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(state: &mut State, method: &str, path: &str, body: Vec<u8>) -> Option<(u16, String)> {
    let asked = format!("{method} {path}");
    state.asked.push(asked.clone());
    let refused = state
        .refuse
        .iter()
        .find(|(start, ..)| asked.starts_with(start));
    if let Some((_, status, text)) = refused {
        return Some((*status, (*text).to_owned()));
    }
    if state.looks >= 2 && state.drops > 0 {
        state.drops -= 1;
        return None;
    }
    let answer = match (method, path) {
        ("GET", "/api/version") => r#"{"version": "4", "ray_version": "2.60.0"}"#.to_owned(),
        ("GET", path) if path.starts_with("/api/packages/gcs/") => {
            match state.packages.contains_key(path) {
                true => String::new(),
                false => return Some((404, "no such package".to_owned())),
            }
        }
        ("PUT", path) if path.starts_with("/api/packages/gcs/") => {
            state.packages.insert(path.to_owned(), body);
            String::new()
        }
        ("POST", "/api/jobs/") => {
            state.submitted = String::from_utf8(body).unwrap();
            r#"{"job_id": "raysubmit_7", "submission_id": "raysubmit_7"}"#.to_owned()
        }
        ("POST", "/api/jobs/raysubmit_7/stop") => {
            state.stopped = true;
            r#"{"stopped": true}"#.to_owned()
        }
        ("GET", "/api/jobs/raysubmit_7") => {
            let look = state.looks.min(state.states.len() - 1);
            state.looks += 1;
            match state.stopped {
                true => r#"{"status": "STOPPED", "message": "stopped"}"#.to_owned(),
                false => state.states[look].to_owned(),
            }
        }
        ("GET", "/api/jobs/raysubmit_7/logs") => {
            let text: String = state.output.iter().take(state.looks).copied().collect();
            format!(r#"{{"logs": "{text}"}}"#)
        }
        _ => return Some((404, format!("there is no {asked}"))),
    };
    Some((200, answer))
}

const RUNNING: &str =
    r#"{"status": "RUNNING", "message": null, "driver_exit_code": null, "other": [1]}"#;
const SUCCEEDED: &str = r#"{"status": "SUCCEEDED", "message": "done", "driver_exit_code": 0}"#;

/// The program, with the job on this head.
fn command(url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["program", "--exact", "--ignored", "--nocapture"])
        .env("MOBULA_ENGINE", format!("ray-job:{url}"))
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env_remove("ALL_PROXY")
        .env_remove("all_proxy")
        .env_remove("RAY_AUTH_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Its end, in time.
fn end(mut child: Child) -> (i32, String, String) {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LONG {
            let _ = child.kill();
            panic!("the program does not end: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn run(url: &str) -> (i32, String, String) {
    end(command(url).spawn().unwrap())
}

#[test]
fn a_program_is_uploaded_and_its_output_and_exit_code_come_back() {
    let head = Head::start(State {
        states: vec![RUNNING, RUNNING, SUCCEEDED],
        output: vec!["one\\n", "two\\n", "three\\n"],
        ..State::default()
    });
    let (code, out, err) = run(&head.url);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("before the start"), "{out}");
    // Each line once, and nothing of what follows the start.
    assert!(out.ends_with("one\ntwo\nthree\n"), "{out}");
    assert!(
        err.contains("raysubmit_7") && err.contains("2.60.0"),
        "{err}"
    );

    let state = head.state();
    assert_eq!(state.packages.len(), 1);
    let (path, zip) = state.packages.iter().next().unwrap();
    let name = path.rsplit('/').next().unwrap();
    assert!(zip.starts_with(b"PK\x03\x04"));
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(zip.len() > program.len() && zip[..64 + 256].windows(4).any(|at| at == b"\x7fELF"));
    for part in [
        format!(r#""working_dir":"gcs://{name}""#),
        r#""MOBULA_ENGINE":"ray:auto""#.to_owned(),
        // The job starts the program in the way in which workers of this test are started.
        "'program' '--exact' '--nocapture'".to_owned(),
    ] {
        assert!(
            state.submitted.contains(&part),
            "{part}: {}",
            state.submitted
        );
    }
    let order: Vec<_> = state
        .asked
        .iter()
        .take(4)
        .map(|asked| &asked[..9])
        .collect();
    assert_eq!(order, ["GET /api/", "GET /api/", "PUT /api/", "POST /api"]);
    drop(state);

    // The head already has this program.
    head.state().looks = 0;
    let (code, ..) = run(&head.url);
    assert_eq!(code, 0);
    let uploads = head
        .state()
        .asked
        .iter()
        .filter(|asked| asked.starts_with("PUT"))
        .count();
    assert_eq!(uploads, 1);
}

#[test]
fn a_builder_names_a_head_as_well() {
    let head = Head::start(State {
        states: vec![SUCCEEDED],
        output: vec!["over there\\n"],
        ..State::default()
    });
    let mut command = command(&head.url);
    command
        .env_remove("MOBULA_ENGINE")
        .env(BY_BUILDER, &head.url);
    let (code, out, err) = end(command.spawn().unwrap());
    assert!(
        code == 0 && out.ends_with("over there\n"),
        "{code} {out} {err}"
    );
}

#[test]
fn a_failed_job_gives_its_exit_code_and_reason() {
    let head = Head::start(State {
        states: vec![
            r#"{"status": "FAILED", "message": "it was bad, last available logs: much", "driver_exit_code": 41}"#,
        ],
        ..State::default()
    });
    let (code, _, err) = run(&head.url);
    assert_eq!(code, 41, "{err}");
    assert!(err.contains("it was bad") && !err.contains("much"), "{err}");
}

#[test]
fn an_interrupt_stops_the_job() {
    let head = Head::start(State {
        states: vec![RUNNING],
        output: vec!["it runs\\n"],
        ..State::default()
    });
    let mut child = command(&head.url).spawn().unwrap();
    let began = Instant::now();
    while head.state().looks == 0 {
        assert!(began.elapsed() < LONG && child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let (code, out, err) = end(child);
    assert_eq!(code, 130, "{err}");
    assert!(
        head.state().stopped && out.ends_with("it runs\n"),
        "{out} {err}"
    );
}

#[test]
fn a_head_may_be_out_of_reach_for_a_moment() {
    let head = Head::start(State {
        states: vec![RUNNING, RUNNING, RUNNING, SUCCEEDED],
        output: vec!["a", "b", "c", "d\\n"],
        drops: 5,
        ..State::default()
    });
    let (code, out, err) = run(&head.url);
    assert!(code == 0 && out.ends_with("abcd\n"), "{code} {out} {err}");
}

#[test]
fn errors_of_the_head_say_what_to_do() {
    for (refuse, wanted) in [
        (("GET /api/version", 404, "nothing here"), "ray[default]"),
        (
            ("GET /api/version", 200, "<html>a proxy"),
            "no head of a Ray cluster",
        ),
        (("GET /api/version", 401, "who are you"), "RAY_AUTH_TOKEN"),
        (
            ("PUT /api/packages", 500, "Traceback: the store is full"),
            "the store is full",
        ),
        (
            ("POST /api/jobs/", 400, "TypeError: no such field"),
            "no such field",
        ),
    ] {
        let head = Head::start(State {
            states: vec![RUNNING],
            refuse: vec![refuse],
            ..State::default()
        });
        let (code, out, err) = run(&head.url);
        assert_eq!(code, 3, "{err}");
        assert!(out.contains("setup true") && out.contains(wanted), "{out}");
        assert!(out.contains(&head.url), "{out}");
    }
}

#[test]
fn a_token_goes_with_each_request() {
    let head = Head::start(State {
        states: vec![SUCCEEDED],
        ..State::default()
    });
    let child = command(&head.url).env("RAY_AUTH_TOKEN", "secret").spawn();
    assert_eq!(end(child.unwrap()).0, 0);
    assert_eq!(head.state().token.as_deref(), Some("Bearer secret"));
}

#[test]
fn a_head_that_is_not_there_is_an_error() {
    // No process listens on this port any more.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (code, out, _) = run(&url);
    assert!(
        code == 3 && out.contains("does not answer") && out.contains("8265"),
        "{out}"
    );
}
