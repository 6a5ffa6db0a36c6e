use mobula::prelude::*;

const NONE: u32 = 0;

#[remote(num_cpus = 0)]
fn zero() {}

#[remote(num_cpus = -1)]
fn negative() {}

#[remote(num_cpus = 0.00001)]
fn tiny() {}

#[remote(num_cpus = "two")]
fn text() {}

#[remote(num_cpus = f64::NAN)]
fn no_number() {}

#[remote(num_cpus = f64::INFINITY)]
fn endless() {}

#[remote(num_cpus = NONE)]
fn constant() {}

#[remote(memory = 0)]
fn no_bytes() {}

#[remote(memory = 1.5)]
fn part_of_a_byte() {}

#[remote(memory = 0 << 20)]
fn no_bytes_by_an_expression() {}

#[remote(resources(gpu = 0))]
fn no_unit() {}

#[remote(resources(gpu = -0.5))]
fn negative_unit() {}

#[remote(resources(gpu = 1.0 - 1.0))]
fn no_unit_by_an_expression() {}

fn main() {}
