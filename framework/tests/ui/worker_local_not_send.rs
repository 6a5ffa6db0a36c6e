use std::rc::Rc;

#[mobula::worker_local]
static MODEL: Rc<u32> = Rc::new(7);

fn main() {}
