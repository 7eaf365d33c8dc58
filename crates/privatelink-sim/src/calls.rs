//! One call from its start to its end: what is planned for it, the work, the log, and the answer or what is left of it.
//!
//! A slow call waits by the machine's clock and holds nothing meanwhile, neither a thread nor the world's lock.

use std::time::Duration;

use privatelink::{AccountId, Region};

use crate::AwsError;
use crate::api::{Api, Call};
use crate::effects::{Break, When};
use crate::faults::Plan;
use crate::simulator::{Failure, Simulator};
use crate::world::identity::Identity;
use crate::world::{Caller, World};

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    /// What the call earned.
    pub(crate) result: Result<T, Failure>,
    /// What breaks on the way to the caller.
    pub(crate) broken: Option<Break>,
}

impl<T> Ended<T> {
    /// What a caller in process sees.
    pub(crate) fn seen(self) -> Result<T, Failure> {
        match self.broken {
            Some(how) => Err(Failure::Broken(how)),
            None => self.result,
        }
    }
}

impl Simulator {
    /// Does one call: faults before it, the work, the state file, faults after it, the log.
    pub(crate) async fn call<T>(
        &self,
        call: Call,
        identity: Identity,
        work: impl FnOnce(&mut World, &Caller) -> Result<T, AwsError>,
    ) -> Ended<T> {
        let plan = self.faults().befall(&call);
        pause(plan.slow_before).await;
        let slow_after = plan.slow_after;
        let ended = self.finish(call, identity, plan, work);
        pause(slow_after).await;
        ended
    }

    /// A call in process by an account's root identity.
    pub(crate) async fn call_as<T>(
        &self,
        place: (&AccountId, &Region),
        api: Api,
        action: &str,
        ids: Vec<String>,
        work: impl FnOnce(&mut World, &Caller) -> Result<T, AwsError>,
    ) -> Result<T, Failure> {
        let (call, identity) = in_process(place, api, action, ids);
        self.call(call, identity, work).await.seen()
    }

    /// As [`Simulator::call_as`] for callers that cannot wait: a call that a slow fault befalls is refused.
    pub(crate) fn call_now<T>(
        &self,
        place: (&AccountId, &Region),
        api: Api,
        action: &str,
        ids: Vec<String>,
        work: impl FnOnce(&mut World, &Caller) -> Result<T, AwsError>,
    ) -> Result<T, Failure> {
        let (call, identity) = in_process(place, api, action, ids);
        let mut plan = self.faults().befall(&call);
        if plan.slow_before + plan.slow_after > Duration::ZERO {
            let what = "A slow fault on a call in process that cannot wait";
            plan.before = Some(AwsError::not_modelled(what));
        }
        self.finish(call, identity, plan, work).seen()
    }

    fn finish<T>(
        &self,
        call: Call,
        identity: Identity,
        mut plan: Plan,
        work: impl FnOnce(&mut World, &Caller) -> Result<T, AwsError>,
    ) -> Ended<T> {
        let broken = plan.broken.take();
        if let Some((how, When::Before)) = broken {
            return self.lost(call, how);
        }
        let (result, done) = self.perform(&call, identity, plan, work);
        self.ended(call, result, done, broken.map(|(how, _)| how))
    }

    /// The end of a call whose connection broke before the work.
    pub(crate) fn lost<T>(&self, call: Call, how: Break) -> Ended<T> {
        let result = Err(Failure::Broken(how));
        self.record(call, &result, false);
        Ended {
            result,
            broken: Some(how),
        }
    }

    /// The end of a call whose work was tried. A refusal always arrives; only the answer to work that was done can break.
    pub(crate) fn ended<T>(
        &self,
        call: Call,
        result: Result<T, Failure>,
        done: bool,
        broken: Option<Break>,
    ) -> Ended<T> {
        let broken = broken.filter(|_| result.is_ok());
        match broken {
            Some(how) => self.record(call, &Err::<(), _>(Failure::Broken(how)), done),
            None => self.record(call, &result, done),
        }
        Ended { result, broken }
    }
}

/// A call in process and the root identity that makes it.
pub(crate) fn in_process(
    (account, region): (&AccountId, &Region),
    api: Api,
    action: &str,
    ids: Vec<String>,
) -> (Call, Identity) {
    let call = Call {
        api,
        action: action.to_owned(),
        account: account.clone(),
        region: region.clone(),
        ids,
        // In process everything is read page by page.
        unfiltered: false,
    };
    (call, Identity::root(account, region))
}

/// Waits so long by the machine's clock.
pub(crate) async fn pause(long: Duration) {
    if !long.is_zero() {
        tokio::time::sleep(long).await;
    }
}
