//! Which mechanisms are on. All are, but in a build with the feature `ablation`, which is for
//! measurements.

/// A mechanism that decides how a thread waits or how much it does at once. What each does stands
/// on the page of the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Looks before a sleep.
    Spin,
    /// Yields between these looks.
    Yields,
    /// More looks on a core that nobody else wants.
    FreeCore,
    /// No yields for a while after long ones.
    Bars,
    /// A worker leaves a core that it shares with the driver.
    Apart,
    /// No spinning of a caller where it has not paid lately.
    SpinRate,
    /// A future's first poll waits on the spot.
    Linger,
    /// No waiting on the spot where it has not paid lately.
    LingerRate,
    /// Looks without yields at the beginning of that.
    Quick,
    /// The background thread naps where callers read the rings.
    Nap,
    /// A caller that spawns reads the rings now and then.
    Look,
    /// The background thread spins before it sleeps.
    BackgroundSpin,
    /// Short tasks go to as many workers as there are cores.
    Packing,
    /// Of many workers, only those are looked at that are likely to have said something.
    Likely,
    /// Calls of a list are submitted in small groups.
    Groups,
    /// Looks before the sleep in the queue of a lock.
    LockSpin,
    /// A worker with a full lane yields before it sleeps.
    LaneYields,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Mechanism; 17] = [
        Mechanism::Spin,
        Mechanism::Yields,
        Mechanism::FreeCore,
        Mechanism::Bars,
        Mechanism::Apart,
        Mechanism::SpinRate,
        Mechanism::Linger,
        Mechanism::LingerRate,
        Mechanism::Quick,
        Mechanism::Nap,
        Mechanism::Look,
        Mechanism::BackgroundSpin,
        Mechanism::Packing,
        Mechanism::Likely,
        Mechanism::Groups,
        Mechanism::LockSpin,
        Mechanism::LaneYields,
    ];

    /// Its name in [`WITHOUT`].
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether it is on. Costs nothing without the feature `ablation`.
    #[cfg(not(feature = "ablation"))]
    #[inline(always)]
    pub const fn is_on(self) -> bool {
        true
    }

    /// Whether it is on: unless the environment has its name in [`WITHOUT`]. Costs two loads.
    #[cfg(feature = "ablation")]
    #[inline]
    pub fn is_on(self) -> bool {
        static OFF: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        let off = *OFF.get_or_init(|| {
            let names = std::env::var(WITHOUT).unwrap_or_default();
            let named = |one: &Mechanism| names.split(',').any(|name| name == one.name());
            let off = Mechanism::ALL.into_iter().filter(named);
            off.fold(0, |off, one| off | 1 << one as u32)
        });
        off & 1 << self as u32 == 0
    }
}

/// The environment variable with the names of mechanisms that are off, separated by commas. Only a
/// build with the feature `ablation` reads it.
pub const WITHOUT: &str = "MOBULA_WITHOUT";
