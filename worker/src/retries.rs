//! How often a task runs again.

/// How often a task runs again, and after what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Retries {
    /// How often at most, whatever the reasons.
    pub left: u32,
    /// Also after an error that its function returned, and not only after its worker's death.
    pub of_errors: bool,
}

impl Retries {
    /// As [`left`](Retries::left) of an actor's call: as often as the actor's
    /// [`max_call_retries`](crate::ActorOptions::max_call_retries) say.
    pub const OF_ACTOR: u32 = u32::MAX;

    /// So many after a worker's death, none after an error.
    pub fn of_deaths(left: u32) -> Retries {
        Retries {
            left,
            of_errors: false,
        }
    }

    /// How often a worker may run the task again that it has.
    pub fn on_the_spot(self) -> u32 {
        match self.of_errors {
            true => self.left,
            false => 0,
        }
    }
}
