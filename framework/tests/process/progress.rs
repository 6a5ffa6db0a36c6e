//! Progress bars on a terminal, and none elsewhere.

use std::{
    fs::File,
    io::Read,
    process::{Child, Stdio},
};

use mobula::prelude::*;

use crate::{
    programs::{FILE, Program},
    support::{self, Marks, mark, skip},
    terminal::terminal,
};

#[remote]
fn says(n: u32) -> u32 {
    println!("hello {n}");
    n
}

#[remote]
fn waits_for_a_mark(path: &str) {
    support::eventually("the file has a mark", || {
        std::fs::metadata(path).unwrap().len() > 0
    });
}

/// Is half done until the file has a mark.
#[remote]
fn is_half_done(path: &str) {
    mobula::context().progress().set(1, 2);
    waits_for_a_mark(path);
}

#[remote]
fn numbers(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

#[remote]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[mobula::test]
#[ignore = "a program of other tests"]
fn program() {
    // The harness has left a line without its end.
    println!();
    let rt = support::runtime(1);
    let refs = |n| rt.spawn_all((0..n).map(|n| add::remote(n, 1)));
    match std::env::var("MOBULA_TEST_CASE").as_deref() {
        Ok("bars of maps") => {
            let map = rt.map_fn(says::remote, 0..5).chunk_size(1);
            assert_eq!(map.progress("scoring").get().unwrap().len(), 5);
            let uncounted = (0..).map_while(|n| (n < 7).then(|| add::remote(n, 1)));
            assert_eq!(rt.map(uncounted).progress("some").iter().count(), 7);
            let tree = rt.map_fn(says::remote, 5..9).progress("a\ntree");
            assert_eq!(tree.tree_reduce(add::remote).get().unwrap(), Some(26));
            println!("the end");
        }
        Ok("bars of refs") => {
            let mut done = rt.as_completed(refs(3)).progress("three");
            done.push(add::remote(1, 2).spawn());
            assert_eq!(done.by_ref().count(), 4);
            println!("the end");
        }
        Ok("two bars") => {
            let mut one = rt.as_completed(refs(2)).progress("one");
            let mut two = rt.as_completed(refs(3)).progress("two");
            for n in 0..2 {
                assert!(one.next().is_some() && two.next().is_some());
                rt.spawn(says::remote(n)).get().unwrap();
            }
        }
        Ok("a bar that waits") => {
            let path = std::env::var(FILE).unwrap();
            let map = rt.map_fn(waits_for_a_mark::remote, [&path[..]]);
            map.progress("waiting").get().unwrap();
        }
        Ok("a bar of long tasks") => {
            let path = std::env::var(FILE).unwrap();
            let map = rt.map_fn(is_half_done::remote, [&path[..]; 2]);
            map.progress("long").get().unwrap();
        }
        Ok("bars of streams") => {
            let stream = rt.spawn_stream(numbers::remote(5)).progress("items");
            assert_eq!(stream.count(), 5);
            let refs = rt.spawn_stream(numbers::remote(4)).progress("refs");
            assert_eq!(refs.refs().count(), 4);
            println!("the end");
        }
        Ok("a bar that is left") => {
            let map = rt.map_fn(says::remote, 0..100).progress("left");
            map.iter().next().unwrap().unwrap();
            println!("the end");
        }
        _ => {}
    }
}

/// Starts a program with its output on a terminal, whose other end it gives.
fn on_a_terminal(case: &str, file: &str) -> Option<(Child, File)> {
    let (user, name) = terminal()?;
    let own = File::options().read(true).write(true).open(name).unwrap();
    let mut command = Program::command("progress::program", case);
    command
        .env(FILE, file)
        .stdout(own.try_clone().unwrap())
        .stderr(own);
    Some((command.spawn().unwrap(), user))
}

/// The rows of the terminal at the program's end. Calls `each` with what they are before.
fn rows_each(case: &str, mut each: impl FnMut(&[String])) -> Option<Vec<String>> {
    let Some((mut child, mut user)) = on_a_terminal(case, "") else {
        skip("no pseudo-terminal to be had");
        return None;
    };
    let mut screen = vt100::Parser::new(40, 80, 0);
    let rows = |screen: &vt100::Parser| screen.screen().rows(0, 80).collect::<Vec<_>>();
    read(&mut user, |bytes| {
        for byte in bytes {
            // Something else may be done to the screen from here on.
            if *byte == b'\x1b' {
                each(&rows(&screen));
            }
            screen.process(&[*byte]);
        }
    });
    let rows = rows(&screen);
    assert!(child.wait().unwrap().success(), "{rows:#?}");
    Some(rows)
}

/// The rows of the terminal at the program's end.
fn rows(case: &str) -> Option<Vec<String>> {
    rows_each(case, |_| {})
}

/// Reads until the program has closed its end.
fn read(user: &mut File, mut each: impl FnMut(&[u8])) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = user.read(&mut bytes) {
        each(&bytes[..count]);
    }
}

/// The places of the rows that begin so, which are in order.
#[track_caller]
fn places<const N: usize>(rows: &[String], starts: [&str; N]) -> [usize; N] {
    let places = starts.map(|start| {
        let found = (0..rows.len()).filter(|row| rows[*row].starts_with(start));
        let found: Vec<usize> = found.collect();
        assert_eq!(found.len(), 1, "{start}: {rows:#?}");
        found[0]
    });
    assert!(places.is_sorted(), "{starts:?}: {rows:#?}");
    places
}

/// The row of what a task has printed.
#[track_caller]
fn said(rows: &[String], text: &str) -> usize {
    let end = format!(") {text}");
    let found = (0..rows.len()).filter(|row| {
        let row = rows[*row].trim_end();
        row.starts_with("(says pid=") && row.ends_with(&end)
    });
    let found: Vec<usize> = found.collect();
    assert_eq!(found.len(), 1, "{text}: {rows:#?}");
    found[0]
}

#[test]
fn lines_of_tasks_are_above_the_bars_of_maps() {
    let Some(rows) = rows("bars of maps") else {
        return;
    };
    let [scoring, some, tree, _] = places(&rows, ["scoring ", "some ", "a\\ntree ", "the end"]);
    assert!(rows[scoring].contains(" 5/5 ["), "{rows:#?}");
    assert!(rows[some].contains(" 7 ["), "{rows:#?}");
    assert!(rows[tree].contains(" 4/4 ["), "{rows:#?}");
    for n in 0..9 {
        let row = said(&rows, &format!("hello {n}"));
        assert!(row < if n < 5 { scoring } else { tree }, "{rows:#?}");
    }
}

#[test]
fn a_bar_counts_refs_that_are_given_out() {
    let Some(rows) = rows("bars of refs") else {
        return;
    };
    let [three, _] = places(&rows, ["three ", "the end"]);
    assert!(rows[three].contains(" 4/4 ["), "{rows:#?}");
}

#[test]
fn several_bars_are_below_each_other() {
    let mut together = false;
    let is_bar = |row: &String, name: &str| row.starts_with(name) && row.contains(" left]");
    let rows = rows_each("two bars", |rows| {
        let pairs = rows.windows(2);
        together |= pairs
            .into_iter()
            .any(|two| is_bar(&two[0], "one ") && is_bar(&two[1], "two "));
    });
    let Some(rows) = rows else { return };
    assert!(together, "{rows:#?}");
    // The bar that is dropped first comes first.
    let [two, one] = places(&rows, ["two ", "one "]);
    assert!(
        rows[one].contains(" 2/2 [") && rows[two].contains(" 2/3 ["),
        "{rows:#?}"
    );
    assert!(said(&rows, "hello 0") < said(&rows, "hello 1"), "{rows:#?}");
    assert!(said(&rows, "hello 1") < two, "{rows:#?}");
}

#[test]
fn a_bar_is_drawn_again_while_nothing_comes() {
    let marks = Marks::new();
    let Some((mut child, mut user)) = on_a_terminal("a bar that waits", marks.path()) else {
        return skip("no pseudo-terminal to be had");
    };
    let mut text = String::new();
    read(&mut user, |bytes| {
        text.push_str(&String::from_utf8_lossy(bytes));
        // Nothing else happens until then.
        if text.matches("waiting ").count() >= 3 && marks.count() == 0 {
            mark(marks.path());
        }
    });
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.contains(" 1/1 ["), "{text}");
}

#[test]
fn a_bar_of_few_long_tasks_moves_by_what_they_say() {
    let marks = Marks::new();
    let Some((mut child, mut user)) = on_a_terminal("a bar of long tasks", marks.path()) else {
        return skip("no pseudo-terminal to be had");
    };
    let mut screen = vt100::Parser::new(40, 80, 0);
    // One of two tasks is half done, and none has ended.
    let is_there = |row: String| {
        let cells = row.matches('\u{2588}').count();
        row.starts_with("long ") && row.contains(" 0/2 [") && (7..=8).contains(&cells)
    };
    read(&mut user, |bytes| {
        screen.process(bytes);
        if marks.count() == 0 && screen.screen().rows(0, 80).any(is_there) {
            mark(marks.path());
        }
    });
    let rows: Vec<String> = screen.screen().rows(0, 80).collect();
    assert!(child.wait().unwrap().success(), "{rows:#?}");
    assert!(marks.count() == 1, "{rows:#?}");
    let [long] = places(&rows, ["long "]);
    assert!(rows[long].contains(" 2/2 ["), "{rows:#?}");
}

#[test]
fn a_bar_of_a_stream_counts_items() {
    let Some(rows) = rows("bars of streams") else {
        return;
    };
    let [items, refs, _] = places(&rows, ["items ", "refs ", "the end"]);
    assert!(rows[items].contains(" 5 ["), "{rows:#?}");
    assert!(rows[refs].contains(" 4 ["), "{rows:#?}");
}

#[test]
fn a_bar_of_a_map_that_is_left_stays() {
    let Some(rows) = rows("a bar that is left") else {
        return;
    };
    let [left, _] = places(&rows, ["left ", "the end"]);
    assert!(rows[left].contains("/100 ["), "{rows:#?}");
}

#[test]
fn without_a_terminal_there_are_no_bars() {
    for case in ["bars of maps", "bars of refs", "two bars"] {
        let mut command = Program::command("progress::program", case);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, "", "{case}");
    }
}
