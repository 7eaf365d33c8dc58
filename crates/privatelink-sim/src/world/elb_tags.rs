//! Tags of load balancers, listeners and target groups.

use super::listeners::{check_listener_arn, no_listener};
use super::load_balancers::validation;
use super::select::Tags;
use super::tags::check_tags;
use super::{Caller, World};
use crate::AwsError;

/// AWS keeps at most this many tags on a resource.
const MAX_TAGS: usize = 50;

impl World {
    /// Sets tags. One unknown ARN fails the call and changes nothing.
    pub fn add_elb_tags(
        &mut self,
        caller: &Caller,
        arns: &[String],
        tags: &Tags,
    ) -> Result<(), AwsError> {
        check_elb_tags(tags)?;
        let mut changed = Vec::new();
        for arn in arns {
            let mut all = self.elb_tags(caller, arn)?.clone();
            all.extend(tags.clone());
            if all.len() > MAX_TAGS {
                return Err(AwsError::new(
                    "TooManyTags",
                    format!("A resource has at most {MAX_TAGS} tags"),
                ));
            }
            changed.push((arn, all));
        }
        for (arn, all) in changed {
            *self.elb_tags(caller, arn)? = all;
        }
        Ok(())
    }

    /// Removes tags by key. One unknown ARN fails the call and changes nothing; an unknown key is no error.
    pub fn remove_elb_tags(
        &mut self,
        caller: &Caller,
        arns: &[String],
        keys: &[String],
    ) -> Result<(), AwsError> {
        for arn in arns {
            self.elb_tags(caller, arn)?;
        }
        for arn in arns {
            self.elb_tags(caller, arn)?
                .retain(|key, _| !keys.contains(key));
        }
        Ok(())
    }

    /// The tags of a resource, told by its ARN.
    pub fn elb_tags(&mut self, caller: &Caller, arn: &str) -> Result<&mut Tags, AwsError> {
        let kind = arn.split(':').nth(5).and_then(|r| r.split('/').next());
        match kind {
            Some("loadbalancer") => self.load_balancer(caller, arn).map(|lb| &mut lb.tags),
            Some("targetgroup") => self.target_group(caller, arn).map(|group| &mut group.tags),
            Some("listener") => {
                check_listener_arn(caller, arn)?;
                let listener = self.place(caller).listeners.get_mut(arn);
                listener.map(|l| &mut l.tags).ok_or_else(no_listener)
            }
            Some(other @ ("listener-rule" | "truststore")) => Err(AwsError::not_modelled(
                &format!("A resource of type {other}"),
            )),
            _ => {
                let shown: String = arn.chars().take(256).collect();
                Err(validation(&format!("'{shown}' is not a valid ARN")))
            }
        }
    }
}

/// Refuses keys and values that AWS would refuse, in ELBv2's words.
pub(crate) fn check_elb_tags(tags: &Tags) -> Result<(), AwsError> {
    if tags.len() > MAX_TAGS {
        return Err(AwsError::new(
            "TooManyTags",
            format!("A resource has at most {MAX_TAGS} tags"),
        ));
    }
    check_tags(tags).map_err(|error| validation(&error.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{PROVIDER, caller, load_balancer, target_group, world};

    fn tags(names: &[&str]) -> Tags {
        let pairs = names.iter().map(|n| ((*n).to_owned(), "x".to_owned()));
        pairs.collect()
    }

    #[test]
    fn tags_are_set_on_all_or_none_and_removed_by_key() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let lb = load_balancer(&mut world, &me, "edge").to_string();
        let group = target_group(&mut world, &me, "tg", "TCP");
        let both = [lb.clone(), group.clone()];
        world.add_elb_tags(&me, &both, &tags(&["a", "b"])).unwrap();
        let gone = format!("{group}0");
        let error = world.add_elb_tags(&me, &[lb.clone(), gone], &tags(&["c"]));
        assert_eq!(error.unwrap_err().code, "TargetGroupNotFound");
        world
            .remove_elb_tags(&me, &both, &["b".to_owned(), "z".to_owned()])
            .unwrap();
        for arn in both {
            assert_eq!(*world.elb_tags(&me, &arn).unwrap(), tags(&["a"]), "{arn}");
        }
    }

    #[test]
    fn reserved_and_too_many_tags_and_other_arns_are_refused() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let lb = load_balancer(&mut world, &me, "edge").to_string();
        let arns = std::slice::from_ref(&lb);
        let error = world
            .add_elb_tags(&me, arns, &tags(&["aws:x"]))
            .unwrap_err();
        assert_eq!(error.code, "ValidationError");
        let many: Tags = (0..50).map(|n| (n.to_string(), String::new())).collect();
        world.add_elb_tags(&me, arns, &many).unwrap();
        let error = world.add_elb_tags(&me, arns, &tags(&["one"])).unwrap_err();
        assert_eq!(error.code, "TooManyTags");
        for (arn, code) in [
            ("arn:nothing", "ValidationError"),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener/net/a/b/c",
                "ListenerNotFound",
            ),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/x",
                "UnsupportedOperation",
            ),
        ] {
            assert_eq!(world.elb_tags(&me, arn).unwrap_err().code, code);
        }
    }
}
