//! Accounts under locks, what a transfer does to them, and what is left to do when one was killed.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
    fence,
};

use anyhow::{Result, ensure};
use bytemuck::{Pod, Zeroable};
use mobula::{AtomicArray, SharedMutex, SharedMutexGuard, prelude::*};
use serde::{Deserialize, Serialize};

pub(crate) const ACCOUNTS: usize = 32;
pub(crate) const BALANCE: i64 = 1000;

/// What is under one lock.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Account {
    balance: i64,
    /// The balance after the transfer.
    after: i64,
    /// The number of the account on the other side of it, plus 1; 0 for none.
    partner: u64,
}

/// What all tasks get.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Bank {
    accounts: Vec<SharedMutex<Account>>,
    /// Outlives whoever counts.
    pub(crate) counts: AtomicArray<AtomicU64>,
}

/// What is counted, by place in `Bank::counts`.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Transfers,
    /// Locks that were found poisoned.
    Poisoned,
    /// Transfers of dead processes that counted, and were completed.
    Completed,
    /// Those that did not count yet, or were done.
    Dropped,
}

/// Moments of a transfer at which a task can abort.
pub(crate) const MOMENTS: usize = 7;

pub(crate) type Guard<'b> = SharedMutexGuard<'b, Account>;

impl Bank {
    /// With all balances the same.
    pub(crate) fn open(rt: &Runtime) -> mobula::Result<Bank> {
        let account = Account {
            balance: BALANCE,
            ..Account::default()
        };
        let accounts = (0..ACCOUNTS).map(|_| rt.shared_mutex(account));
        Ok(Bank {
            accounts: accounts.collect::<mobula::Result<_>>()?,
            counts: rt.atomic_array(4)?,
        })
    }

    /// The counter.
    pub(crate) fn count(&self, what: Count) -> &AtomicU64 {
        &self.counts[what as usize]
    }

    /// Locks two accounts, of which the first has the smaller number, and repairs them if they need
    /// it.
    pub(crate) fn lock(&self, low: usize, high: usize) -> mobula::Result<[Guard<'_>; 2]> {
        loop {
            let mut guards = [
                self.accounts[low].lock_ignoring_poison()?,
                self.accounts[high].lock_ignoring_poison()?,
            ];
            if guards.iter().all(|guard| guard.poison().is_none()) {
                return Ok(guards);
            }
            // One whose partner is a third account needs the lock of that one, in its turn: so all
            // are given back before.
            let mut others = Vec::new();
            for (own, guard) in [low, high].into_iter().zip(&guards) {
                if guard.poison().is_some() {
                    self.count(Count::Poisoned).fetch_add(1, Relaxed);
                    others.push((own, guard.partner));
                }
            }
            match others[..] {
                // Left in the middle of a transfer between these two, which is the usual case.
                [(_, first), (_, second)]
                    if [first, second] == [high as u64 + 1, low as u64 + 1] =>
                {
                    self.repair(&mut guards);
                }
                _ => {
                    drop(guards);
                    others
                        .into_iter()
                        .try_for_each(|(own, partner)| self.repair_with(own, partner))?;
                }
            }
        }
    }

    /// Repairs all accounts that need it, and looks at the total.
    pub(crate) fn check_total(&self) -> Result<()> {
        for low in (0..ACCOUNTS).step_by(2) {
            drop(self.lock(low, low + 1)?);
        }
        let balance = |account: &SharedMutex<Account>| Ok(account.lock()?.balance);
        let total: i64 = self.accounts.iter().map(balance).sum::<Result<_>>()?;
        let right = ACCOUNTS as i64 * BALANCE;
        ensure!(total == right, "{total} in all accounts, not {right}");
        Ok(())
    }

    /// Repairs a poisoned account, which named this partner a moment ago.
    fn repair_with(&self, own: usize, partner: u64) -> mobula::Result<()> {
        let Some(other) = partner.checked_sub(1).map(|other| other as usize) else {
            let mut guard = self.accounts[own].lock_ignoring_poison()?;
            // It may have got another partner, and been poisoned again: then it is looked at again.
            if guard.poison().is_some() && guard.partner == 0 {
                guard.clear_poison();
                self.count(Count::Dropped).fetch_add(1, Relaxed);
            }
            return Ok(());
        };
        let (low, high) = (own.min(other), own.max(other));
        let mut guards = [
            self.accounts[low].lock_ignoring_poison()?,
            self.accounts[high].lock_ignoring_poison()?,
        ];
        let place = usize::from(own == high);
        if guards[place].poison().is_none() || guards[place].partner != partner {
            return Ok(());
        }
        if guards[1 - place].partner == own as u64 + 1 {
            self.repair(&mut guards);
        } else {
            // The other one has gone on without this one.
            guards[place].partner = 0;
            guards[place].clear_poison();
            self.count(Count::Dropped).fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Completes a transfer between two accounts that name each other.
    fn repair(&self, guards: &mut [Guard<'_>; 2]) {
        settle(guards, |_| ());
        guards.iter_mut().for_each(Guard::clear_poison);
        self.count(Count::Completed).fetch_add(1, Relaxed);
    }
}

/// Steps 3 and 4. What is written before a fence is in memory before what is written after it, also
/// if the process is killed in between.
fn settle(guards: &mut [Guard<'_>; 2], moment: impl Fn(usize)) {
    let [low, high] = guards;
    low.balance = low.after;
    moment(4);
    high.balance = high.after;
    moment(5);
    fence(SeqCst);
    high.partner = 0;
    moment(6);
    fence(SeqCst);
    low.partner = 0;
}

/// Moves an amount between two locked accounts. `moment` is called between its steps.
pub(crate) fn transfer(
    [low, high]: [usize; 2],
    guards: &mut [Guard<'_>; 2],
    amount: i64,
    moment: impl Fn(usize),
) {
    moment(0);
    guards[0].after = guards[0].balance - amount;
    moment(1);
    guards[1].after = guards[1].balance + amount;
    fence(SeqCst);
    guards[0].partner = high as u64 + 1;
    moment(2);
    fence(SeqCst);
    guards[1].partner = low as u64 + 1;
    moment(3);
    fence(SeqCst);
    settle(guards, moment);
}
