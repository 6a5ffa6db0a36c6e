use mobula::prelude::*;

fn is_busy(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ResourceBusy
}

#[remote(retries = 1, retry_errors)]
fn cannot_fail() -> u32 {
    1
}

#[remote(retry_errors = true)]
fn with_a_literal() -> Result<u32, String> {
    Ok(1)
}

#[remote(retry_errors = is_busy)]
fn of_another_error() -> Result<u32, String> {
    Ok(1)
}

#[remote(retries)]
fn without_a_value() -> Result<u32, String> {
    Ok(1)
}

struct Model;

#[remote]
impl Model {
    fn new() -> Self {
        Model
    }

    #[remote(retry_errors)]
    fn fit(&self) {}
}

fn main() {}
