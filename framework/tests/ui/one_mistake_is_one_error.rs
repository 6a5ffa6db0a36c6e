use mobula::prelude::*;

#[remote(retry = 3)]
fn score(array: &[f64], param: u64) -> f64 {
    array[0] * param as f64
}

mod inner {
    #[mobula::remote]
    pub(crate) fn scale(array: &mut Vec<f64>, k: f64) -> Vec<f64> {
        array.iter().map(|x| x * k).collect()
    }
}

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let scaled = inner::scale::remote(&[1.0], 2.0).spawn();
    let result: f64 = score::remote(&scaled, 7).retries(3).spawn().get()?;
    println!("{result} {}", rt.get(&[scaled])?.len());
    Ok(())
}
