//! Planned trouble: which call goes wrong, how, and how often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use privatelink::{AccountId, Region};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::AwsError;
use crate::api::{Api, Call};
use crate::effects::{self, Break, Effect, When};
use crate::simulator::Failure;
use crate::wire;
use crate::world::ids::mix;
use crate::world::messaging::notices::Fate;
use crate::world::notifications::{ConnectionEvent, EVENTS};
use crate::world::{ForcedFailure, select};

/// A planned fault: an effect, and the calls that it befalls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Fault {
    /// Given when the fault is planned.
    #[serde(default)]
    pub id: u64,
    /// The action, `*` and `?` allowed; every action when missing.
    #[serde(default)]
    pub action: Option<String>,
    /// The account that calls; every account when missing.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// The Region of the call; every Region when missing.
    #[serde(default)]
    pub region: Option<Region>,
    /// An id of an endpoint or a service, `*` and `?` allowed: only calls whose ids in the call log hold it; every call when
    /// missing.
    #[serde(default)]
    pub about: Option<String>,
    /// How many matching calls pass before it begins.
    #[serde(default)]
    pub skip: u32,
    /// How many calls it befalls; for ever when missing.
    #[serde(default)]
    pub times: Option<u32>,
    /// Of so many matching calls it befalls the first only, over and over: with 2, a client that tries again gets through. Every
    /// one when missing.
    #[serde(default)]
    pub every: Option<u32>,
    /// How likely it befalls a matching call, 0 to 1; always when missing. The dice are the seed of the simulator, the id of
    /// the fault and the number of calls that it was thrown for, so the same calls have the same luck again.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What goes wrong.
    #[serde(flatten)]
    pub effect: Effect,
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Fault {
    /// Refuses what it does not know, which serde cannot do by itself for a struct with a flattened part: a member that does
    /// not come back when the fault is written again was not understood.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let given = Map::<String, Value>::deserialize(deserializer)?;
        let known = Self::deserialize(Value::Object(given.clone())).map_err(D::Error::custom)?;
        let Value::Object(written) = serde_json::to_value(&known).map_err(D::Error::custom)? else {
            return Err(D::Error::custom("a fault is an object"));
        };
        match given.keys().find(|key| !written.contains_key(*key)) {
            Some(key) => {
                let takes: Vec<_> = written.keys().map(String::as_str).collect();
                let takes = takes.join(", ");
                Err(D::Error::custom(format!(
                    "unknown member `{key}`: a fault with this effect takes {takes}"
                )))
            }
            None => Ok(known),
        }
    }
}

impl Fault {
    /// This effect on the next call of an action, once.
    pub fn once(action: &str, effect: Effect) -> Self {
        Self {
            times: Some(1),
            ..Self::always(action, effect)
        }
    }

    /// This effect on every call of an action until the fault is removed.
    pub fn always(action: &str, effect: Effect) -> Self {
        Self {
            id: 0,
            action: Some(action.to_owned()),
            account: None,
            region: None,
            about: None,
            skip: 0,
            times: None,
            every: None,
            probability: None,
            effect,
        }
    }

    /// The same fault for one account only.
    #[must_use]
    pub fn for_account(mut self, account: AccountId) -> Self {
        self.account = Some(account);
        self
    }

    /// Why the fault can never happen as it is written; the control API refuses such a fault.
    pub fn check(&self) -> Result<(), String> {
        if let Some(chance) = self.probability.filter(|p| !(0.0..=1.0).contains(p)) {
            return Err(format!("probability {chance} is not between 0 and 1"));
        }
        if self.every == Some(0) {
            return Err("every 0 befalls no call".to_owned());
        }
        if self.times == Some(0) {
            return Err("times 0 befalls no call".to_owned());
        }
        if let Some(pattern) = &self.about {
            check_about(pattern)?;
        }
        if let Some(pattern) = &self.action {
            let fits = |name: &&str| select::matches(pattern, name);
            if self.effect.fate().is_some() {
                if !EVENTS.iter().any(fits) {
                    let names = EVENTS.join(", ");
                    return Err(format!("action {pattern} is none of the events {names}"));
                }
            } else if let Some((able, what)) = self.effect.able() {
                if !able.iter().any(fits) {
                    let names = able.join(", ");
                    return Err(format!("action {pattern} {what}; these do: {names}"));
                }
            } else if !Api::ALL
                .iter()
                .any(|api| wire::actions(*api).iter().any(fits))
            {
                return Err(format!(
                    "action {pattern} is none of those that are simulated"
                ));
            }
        }
        self.effect.check()
    }

    fn befalls(
        &self,
        (action, account, region): (&str, &AccountId, &Region),
        ids: &[&str],
    ) -> bool {
        self.action
            .as_ref()
            .is_none_or(|pattern| select::matches(pattern, action))
            && self.account.as_ref().is_none_or(|own| own == account)
            && self.region.as_ref().is_none_or(|own| own == region)
            && self
                .about
                .as_ref()
                .is_none_or(|pattern| ids.iter().any(|id| select::matches(pattern, id)))
            && self.times != Some(0)
    }
}

/// Why a pattern can fit no id of the call log: they are those of endpoints and services.
fn check_about(pattern: &str) -> Result<(), String> {
    let said = pattern.split(['*', '?']).next().unwrap_or_default();
    let begins =
        said.starts_with("vpce-") || (said.len() < pattern.len() && "vpce-".starts_with(said));
    let fits = |c: char| c.is_ascii_alphanumeric() || "-*?".contains(c);
    if begins && pattern.chars().all(fits) {
        return Ok(());
    }
    let shown: String = pattern.chars().take(128).collect();
    Err(format!(
        "about {shown} fits no id: those of calls begin with vpce- and have letters, digits and hyphens"
    ))
}

/// The planned faults; all clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    planned: Arc<Mutex<Planned>>,
}

#[derive(Debug, Default)]
struct Planned {
    seed: u64,
    next: u64,
    faults: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    fault: Fault,
    /// How many calls it met, of those that it does not skip.
    met: u64,
    /// How often the dice were thrown.
    thrown: u64,
}

impl Held {
    /// Whether it happens now, to a call that it befalls: neither skipped nor spared by chance.
    fn strikes(&mut self, seed: u64) -> bool {
        if self.fault.skip > 0 {
            self.fault.skip -= 1;
            return false;
        }
        let turn = u64::from(self.fault.every.unwrap_or(1).max(1));
        let spared = !self.met.is_multiple_of(turn);
        self.met += 1;
        if spared {
            return false;
        }
        let Some(probability) = self.fault.probability else {
            return true;
        };
        self.thrown += 1;
        let dice = mix(seed ^ mix(self.fault.id ^ mix(self.thrown)));
        // 32 bits are finer than anybody's probability, and exact in a float.
        let luck =
            f64::from(u32::try_from(dice >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0);
        luck < probability
    }

    fn spend(&mut self) {
        self.fault.times = self.fault.times.map(|left| left.saturating_sub(1));
    }
}

/// What the planned faults make of one call.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The answer when nothing is done.
    pub(crate) before: Option<AwsError>,
    /// The answer in place of the one that was earned.
    pub(crate) after: Option<AwsError>,
    /// How the answer breaks on its way, and whether the work is done.
    pub(crate) broken: Option<(Break, When)>,
    /// The wait before the work.
    pub(crate) slow_before: Duration,
    /// The wait between the work and the answer.
    pub(crate) slow_after: Duration,
    /// Items that fail.
    pub(crate) forced: Vec<ForcedFailure>,
    /// How far reads lag, in milliseconds.
    pub(crate) lag_ms: u64,
}

impl Plan {
    /// The plan for one look of a call that waits: what happens to the answer happens once, at the end.
    pub(crate) fn look(&self) -> Self {
        Self {
            before: self.before.clone(),
            forced: self.forced.clone(),
            lag_ms: self.lag_ms,
            ..Self::default()
        }
    }

    /// What becomes of an answer.
    pub(crate) fn afterwards<T>(&self, answer: T) -> Result<T, Failure> {
        match &self.after {
            None => Ok(answer),
            Some(error) => Err(Failure::Refused(error.clone())),
        }
    }

    /// Whether it is settled what the caller gets to see.
    fn is_settled(&self) -> bool {
        self.before.is_some() || self.after.is_some() || self.broken.is_some()
    }
}

impl Faults {
    /// No faults yet; the dice of their probabilities are thrown with this seed.
    pub fn seeded(seed: u64) -> Self {
        let faults = Self::default();
        faults.with(|planned| planned.seed = seed);
        faults
    }

    /// Plans a fault and answers with its id. One that [`Fault::check`] finds wrong is planned all the same: a status outside
    /// 500 to 599 is then 500, a probability below 0 never happens, one above 1 always.
    pub fn plan(&self, mut fault: Fault) -> u64 {
        self.with(|planned| {
            planned.next += 1;
            fault.id = planned.next;
            planned.faults.push(Held {
                fault,
                met: 0,
                thrown: 0,
            });
            planned.next
        })
    }

    /// The faults that can still happen, with what is left of their counts.
    pub fn list(&self) -> Vec<Fault> {
        self.with(|planned| {
            planned
                .faults
                .iter()
                .map(|held| held.fault.clone())
                .collect()
        })
    }

    /// Removes one fault; answers whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        self.with(|planned| {
            let before = planned.faults.len();
            planned.faults.retain(|held| held.fault.id != id);
            planned.faults.len() < before
        })
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.with(|planned| planned.faults.clear());
    }

    /// Removes all faults and begins again with the first id and this seed.
    pub(crate) fn start_over(&self, seed: u64) {
        self.with(|planned| {
            *planned = Planned {
                seed,
                ..Planned::default()
            };
        });
    }

    /// What happens to this call. Counts down every fault that befalls it, except those on single items: they count when
    /// the call names the item.
    pub(crate) fn befall(&self, call: &Call) -> Plan {
        self.with(|planned| {
            let mut plan = Plan::default();
            if planned.faults.is_empty() {
                return plan;
            }
            let ids: Vec<&str> = call.ids.iter().map(String::as_str).collect();
            let place = (call.action.as_str(), &call.account, &call.region);
            let seed = planned.seed;
            for held in planned
                .faults
                .iter_mut()
                .filter(|held| held.fault.effect.fate().is_none())
                .filter(|held| held.fault.befalls(place, &ids))
            {
                // One answer can go wrong in one way only; a second fault waits for the next call.
                if plan.is_settled() && !held.fault.effect.goes_with_others() {
                    continue;
                }
                if !held.strikes(seed) {
                    continue;
                }
                apply(&held.fault, call.api, &mut plan);
                if !held.fault.effect.is_on_one_item() {
                    held.spend();
                }
            }
            planned.faults.retain(|held| held.fault.times != Some(0));
            plan
        })
    }

    /// What happens to this connection notification. The first fault that befalls it counts down; the others wait.
    pub(crate) fn befall_notification(&self, event: &ConnectionEvent) -> Fate {
        self.with(|planned| {
            let mut fate = Fate::Delivered;
            let ids = [event.service_id.as_str(), event.endpoint_id.as_str()];
            let place = (event.event.as_str(), &event.account, &event.region);
            let seed = planned.seed;
            for held in planned
                .faults
                .iter_mut()
                .filter(|held| held.fault.befalls(place, &ids))
            {
                let Some(planned) = held.fault.effect.fate() else {
                    continue;
                };
                if held.strikes(seed) {
                    held.spend();
                    fate = planned;
                    break;
                }
            }
            planned.faults.retain(|held| held.fault.times != Some(0));
            fate
        })
    }

    /// Counts down the single-item faults that a call has used.
    pub(crate) fn spend(&self, used: &[u64]) {
        if used.is_empty() {
            return;
        }
        self.with(|planned| {
            let faults = planned.faults.iter_mut();
            for held in faults.filter(|held| used.contains(&held.fault.id)) {
                held.spend();
            }
            planned.faults.retain(|held| held.fault.times != Some(0));
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Planned) -> T) -> T {
        act(&mut self.planned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn apply(fault: &Fault, api: Api, plan: &mut Plan) {
    match &fault.effect {
        Effect::Throttle => plan.before = Some(api.throttled()),
        Effect::DenyAction => plan.before = Some(api.denied()),
        Effect::Refuse { code } => {
            let why = "The request was refused as planned";
            plan.before = Some(AwsError::new(code.as_str(), why));
        }
        Effect::ErrorBefore { status, code } => plan.before = Some(server_error(*status, code)),
        Effect::ErrorAfter { status, code } => plan.after = Some(server_error(*status, code)),
        Effect::DropAnswer => plan.broken = Some((Break::Dropped, When::After)),
        Effect::Reset { when } => plan.broken = Some((Break::Reset, *when)),
        Effect::Truncate => plan.broken = Some((Break::Truncated, When::After)),
        Effect::Garbled => plan.broken = Some((Break::Garbled, When::After)),
        Effect::Slow { delay_ms, when } => match when {
            When::Before => plan.slow_before += effects::slow(*delay_ms),
            When::After => plan.slow_after += effects::slow(*delay_ms),
        },
        Effect::StaleReads { lag_ms } => plan.lag_ms = plan.lag_ms.max(*lag_ms),
        // They are about notifications; no call meets them.
        Effect::LoseNotification
        | Effect::DuplicateNotification
        | Effect::DelayNotification { .. }
        | Effect::ReorderNotification => {}
        Effect::PartialUnsuccessful {
            resource_id,
            code,
            message,
        } => plan.forced.push(ForcedFailure {
            fault: fault.id,
            resource_id: resource_id.clone(),
            error: AwsError::new(code.as_str(), message.as_str()),
        }),
    }
}

fn server_error(status: u16, code: &str) -> AwsError {
    let status = if (500..600).contains(&status) {
        status
    } else {
        500
    };
    AwsError::with_status(status, code, "An internal error has occurred")
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
