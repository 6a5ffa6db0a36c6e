use mobula::prelude::*;

#[remote]
fn total(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

#[remote]
fn letters(words: &[String]) -> usize {
    words.len()
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let numbers = rt.put(&vec![1.0, 2.0, 3.0])?;
    rt.map_fn(total::remote, numbers.chunks(2)?).get()?;
    let words = rt.put(&vec!["a".to_owned(), "b".to_owned()])?;
    rt.map_fn(letters::remote, words.chunks(2)?).get()?;
    Ok(())
}
