use mobula::prelude::*;

struct Plain;

fn takes(actor: ActorRef<Plain>) {}

fn main() {
    let rt = Runtime::start().unwrap();
    let actor = rt.actor::<Plain>("name");
    let other = Plain::remote(1);
}
