//! Accounts under locks, the steps of a transfer, and the repair after a killed transfer.

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

/// The value under one lock.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Account {
    balance: i64,
    /// The balance after the transfer.
    after: i64,
    /// The number of the other account of the transfer, plus 1. 0 means no transfer.
    partner: u64,
}

/// The argument of all tasks.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Bank {
    accounts: Vec<SharedMutex<Account>>,
    /// The counters. They outlive the processes that count.
    pub(crate) counts: AtomicArray<AtomicU64>,
}

/// The counted events. The value of each is its place in `Bank::counts`.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Transfers,
    /// Poisoned locks.
    Poisoned,
    /// Transfers of dead processes that had passed step 2, and were completed.
    Completed,
    /// Poisoned accounts whose transfer had not passed step 2, or was complete.
    Dropped,
}

/// The number of moments in a transfer at which a task can abort.
pub(crate) const MOMENTS: usize = 7;

pub(crate) type Guard<'b> = SharedMutexGuard<'b, Account>;

impl Bank {
    /// Makes the accounts with equal balances.
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

    /// Returns the counter of an event.
    pub(crate) fn count(&self, what: Count) -> &AtomicU64 {
        &self.counts[what as usize]
    }

    /// Locks two accounts in the order of their numbers. Repairs the accounts if they are poisoned.
    pub(crate) fn lock(&self, low: usize, high: usize) -> mobula::Result<[Guard<'_>; 2]> {
        loop {
            let mut guards = [
                self.accounts[low].lock_ignoring_poison()?,
                self.accounts[high].lock_ignoring_poison()?,
            ];
            if guards.iter().all(|guard| guard.poison().is_none()) {
                return Ok(guards);
            }
            // The repair of an account may need the lock of a third account. Locks must be taken in
            // the order of numbers, so both locks are released before.
            let mut others = Vec::new();
            for (own, guard) in [low, high].into_iter().zip(&guards) {
                if guard.poison().is_some() {
                    self.count(Count::Poisoned).fetch_add(1, Relaxed);
                    others.push((own, guard.partner));
                }
            }
            match others[..] {
                // Usually the process died in a transfer between these two accounts.
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

    /// Repairs all poisoned accounts, and checks the total.
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

    /// Repairs a poisoned account that named this partner when it was last seen.
    fn repair_with(&self, own: usize, partner: u64) -> mobula::Result<()> {
        let Some(other) = partner.checked_sub(1).map(|other| other as usize) else {
            let mut guard = self.accounts[own].lock_ignoring_poison()?;
            // Meanwhile the account may have got another partner and a new poison. Then the caller
            // sees it again.
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
            // The transfer had not passed step 2, or step 4 has already cleared the other account.
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

/// Performs steps 3 and 4. Writes before a fence are in memory before writes after it, even if the
/// process is killed in between.
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

/// Moves an amount between two locked accounts. Calls `moment` between the steps.
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
