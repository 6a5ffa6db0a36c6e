//! The mechanisms that are on. All are on, except in a build with the feature `ablation`, which is
//! for measurements.

/// A mechanism that decides how a thread waits or how much it does at once. The page of the
/// [module](super) describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Looks before a sleep.
    Spin,
    /// Yields between these looks.
    Yields,
    /// More looks on a core that no other thread wants.
    FreeCore,
    /// No yields for a time after a long one.
    Bars,
    /// A worker leaves a core that it shares with the driver.
    Apart,
    /// No spinning of a caller after most of its spinning has failed.
    SpinRate,
    /// A future's first poll waits in place.
    Linger,
    /// No waiting in place after most of it has failed.
    LingerRate,
    /// Looks without yields at the beginning of waiting in place.
    Quick,
    /// The background thread uses timed parks while callers read the rings.
    Nap,
    /// A caller that submits calls reads the rings now and then.
    Look,
    /// The background thread spins before it sleeps.
    BackgroundSpin,
    /// Short tasks go to as many workers as there are cores.
    Packing,
    /// The calls of a list are submitted in small groups.
    Groups,
    /// Looks before the sleep in the queue of a lock.
    LockSpin,
    /// A worker with a full lane yields before it sleeps.
    LaneYields,
}

impl Mechanism {
    /// All mechanisms.
    pub const ALL: [Mechanism; 16] = [
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
        Mechanism::Groups,
        Mechanism::LockSpin,
        Mechanism::LaneYields,
    ];

    /// Returns its name in [`WITHOUT`].
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Returns whether it is on. Costs nothing without the feature `ablation`.
    #[cfg(not(feature = "ablation"))]
    #[inline(always)]
    pub const fn is_on(self) -> bool {
        true
    }

    /// Returns whether it is on. It is off if the environment has its name in [`WITHOUT`]. Costs
    /// two loads.
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
