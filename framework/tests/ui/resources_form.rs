use mobula::prelude::*;

#[remote(resources = 1)]
fn a_value() {}

#[remote(resources)]
fn nothing() {}

#[remote(resources(gpu))]
fn no_amount() {}

#[remote(resources(gpu =))]
fn an_empty_amount() {}

#[remote(resources(gpu = 1, gpu = 2))]
fn twice() {}

#[remote(resources("" = 1))]
fn no_name() {}

#[remote(resources(num_cpus = 1))]
fn an_option_of_its_own() {}

#[remote(num_cpus(2))]
fn in_parentheses() {}

struct Tally;

#[remote]
impl Tally {
    fn new() -> Tally {
        Tally
    }

    #[remote(num_cpus = 1)]
    fn method(&self) {}
}

fn main() {}
