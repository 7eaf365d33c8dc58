//! Listeners of Network Load Balancers.

use privatelink::LoadBalancerArn;
use serde::{Deserialize, Serialize};

use super::load_balancers::no_load_balancer;
use super::select::Tags;
use super::{Caller, World};
use crate::AwsError;

/// Protocols a Network Load Balancer listens with.
const PROTOCOLS: [&str; 6] = ["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"];

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `arn:…:listener/net/NAME/…`.
    pub arn: String,
    /// The load balancer.
    pub load_balancer: LoadBalancerArn,
    /// 1 to 65535.
    pub port: u16,
    /// One of the protocols of a Network Load Balancer.
    pub protocol: String,
    /// Where it forwards to by default.
    pub target_groups: Vec<String>,
    /// The owner's tags.
    pub tags: Tags,
}

impl World {
    /// Makes a listener that forwards to target groups.
    pub fn create_listener(
        &mut self,
        caller: &Caller,
        load_balancer: &str,
        port: u16,
        protocol: &str,
        target_groups: Vec<String>,
        tags: Tags,
    ) -> Result<Listener, AwsError> {
        let balancer = self.load_balancer(caller, load_balancer)?.arn.clone();
        if !PROTOCOLS.contains(&protocol) || port == 0 {
            return Err(AwsError::new(
                "UnsupportedProtocol",
                format!("'{protocol}' on port {port} is not supported by a network load balancer"),
            ));
        }
        let id = self.ids.next_hex16();
        let place = self.place(caller);
        if let Some(unknown) = target_groups
            .iter()
            .find(|arn| !place.target_groups.contains_key(*arn))
        {
            return Err(super::targets::no_target_group(unknown));
        }
        if place
            .listeners
            .values()
            .any(|l| l.load_balancer == balancer && l.port == port)
        {
            return Err(AwsError::new(
                "DuplicateListener",
                "A listener already exists on this port for this load balancer",
            ));
        }
        let arn = format!(
            "{}/{id}",
            balancer
                .as_str()
                .replacen(":loadbalancer/", ":listener/", 1)
        );
        let listener = Listener {
            arn,
            load_balancer: balancer,
            port,
            protocol: protocol.to_owned(),
            target_groups,
            tags,
        };
        place
            .listeners
            .insert(listener.arn.clone(), listener.clone());
        Ok(listener)
    }

    /// Lists the listeners of a load balancer, or the listeners named.
    pub fn listeners(
        &mut self,
        caller: &Caller,
        load_balancer: Option<&str>,
        arns: &[String],
    ) -> Result<Vec<Listener>, AwsError> {
        let place = self.place(caller);
        if let Some(arn) = load_balancer
            && !place
                .load_balancers
                .keys()
                .any(|known| known.as_str() == arn)
        {
            return Err(no_load_balancer());
        }
        if let Some(unknown) = arns.iter().find(|arn| !place.listeners.contains_key(*arn)) {
            return Err(no_listener(unknown));
        }
        Ok(place
            .listeners
            .values()
            .filter(|l| load_balancer.is_none_or(|arn| l.load_balancer.as_str() == arn))
            .filter(|l| arns.is_empty() || arns.contains(&l.arn))
            .cloned()
            .collect())
    }

    /// Deletes a listener.
    pub fn delete_listener(&mut self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        self.place(caller)
            .listeners
            .remove(arn)
            .map(|_| ())
            .ok_or_else(|| no_listener(arn))
    }
}

fn no_listener(arn: &str) -> AwsError {
    AwsError::new("ListenerNotFound", format!("Listener '{arn}' not found"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{PROVIDER, caller, load_balancer, world};

    #[test]
    fn a_port_takes_one_listener() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge").to_string();
        let mut listen =
            |protocol| world.create_listener(&me, &arn, 443, protocol, vec![], Tags::new());
        assert_eq!(listen("HTTP").unwrap_err().code, "UnsupportedProtocol");
        assert!(listen("TCP").is_ok());
        assert_eq!(listen("TCP").unwrap_err().code, "DuplicateListener");
    }

    #[test]
    fn listeners_go_with_their_load_balancer() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge").to_string();
        world
            .create_listener(&me, &arn, 443, "TCP", vec![], Tags::new())
            .unwrap();
        world.delete_load_balancer(&me, &arn).unwrap();
        assert!(world.listeners(&me, None, &[]).unwrap().is_empty());
        let error = world.listeners(&me, Some(&arn), &[]).unwrap_err();
        assert_eq!(error.code, "LoadBalancerNotFound");
    }
}
