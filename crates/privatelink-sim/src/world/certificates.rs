//! What a TLS listener encrypts with. Certificates are names only: nothing is ever terminated here.

use serde::{Deserialize, Serialize};

use super::listeners::Listener;
use super::load_balancers::{invalid, validation};
use super::{Caller, World, regions};
use crate::AwsError;

/// The policy of a TLS listener that names none.
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// AWS's policies. None is left out on purpose; what they allow is not modelled.
const POLICY_PREFIX: &str = "ELBSecurityPolicy-";

const ALPN_POLICIES: [&str; 5] = [
    "HTTP1Only",
    "HTTP2Only",
    "HTTP2Optional",
    "HTTP2Preferred",
    "None",
];

/// AWS's quota of certificates on a load balancer, without the default ones.
const MAX_CERTIFICATES: usize = 25;

/// The settings of a TLS listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The default certificate, by ARN.
    pub certificate: String,
    /// The certificate list: others that a client can ask for by name.
    pub more_certificates: Vec<String>,
    /// The security policy.
    pub ssl_policy: String,
    /// The ALPN policy, when one was chosen.
    pub alpn_policy: Option<String>,
}

impl Tls {
    /// The settings after a request: those before, changed by what the request names. Only TLS listeners have any.
    pub(super) fn chosen(
        caller: &Caller,
        protocol: &str,
        before: Option<Self>,
        certificate: Option<String>,
        ssl_policy: Option<String>,
        alpn_policy: Option<String>,
    ) -> Result<Option<Self>, AwsError> {
        if protocol != "TLS" {
            return match (certificate, ssl_policy, alpn_policy) {
                (None, None, None) => Ok(None),
                _ => Err(invalid(&format!(
                    "Certificates, security policies and ALPN policies cannot be specified for {protocol} listeners"
                ))),
            };
        }
        if let Some(policy) = &ssl_policy
            && !policy.starts_with(POLICY_PREFIX)
        {
            return Err(AwsError::new(
                "SSLPolicyNotFound",
                format!("SSL policy '{policy}' not found"),
            ));
        }
        if let Some(policy) = &alpn_policy
            && !ALPN_POLICIES.contains(&policy.as_str())
        {
            // The code has another name than its exception, ALPNPolicyNotSupportedException.
            return Err(AwsError::new(
                "ALPNPolicyNotFound",
                format!("ALPN policy '{policy}' is not supported"),
            ));
        }
        if let Some(arn) = &certificate {
            check_certificate(caller, arn)?;
        }
        let (old_certificate, more, old_policy, old_alpn) = match before {
            Some(tls) => (
                Some(tls.certificate),
                tls.more_certificates,
                Some(tls.ssl_policy),
                tls.alpn_policy,
            ),
            None => (None, Vec::new(), None, None),
        };
        let certificate = certificate.or(old_certificate).ok_or_else(|| {
            AwsError::new(
                "CertificateNotFound",
                "A certificate must be specified for TLS listeners",
            )
        })?;
        Ok(Some(Self {
            certificate,
            more_certificates: more,
            ssl_policy: ssl_policy
                .or(old_policy)
                .unwrap_or_else(|| DEFAULT_POLICY.to_owned()),
            alpn_policy: alpn_policy.or(old_alpn),
        }))
    }
}

impl World {
    /// Adds certificates to the list of a TLS listener; those that are in it already stay.
    pub fn add_certificates(
        &mut self,
        caller: &Caller,
        listener: &str,
        arns: &[String],
    ) -> Result<(), AwsError> {
        let tls = tls_of(self.listener(caller, listener)?)?;
        let mut more = tls.more_certificates.clone();
        for arn in arns {
            check_certificate(caller, arn)?;
            if !more.contains(arn) {
                more.push(arn.clone());
            }
        }
        if more.len() > MAX_CERTIFICATES {
            return Err(AwsError::new(
                "TooManyCertificates",
                format!("A load balancer has at most {MAX_CERTIFICATES} certificates"),
            ));
        }
        tls.more_certificates = more;
        Ok(())
    }

    /// Takes certificates off the list. The default certificate can only be replaced, by `ModifyListener`.
    pub fn remove_certificates(
        &mut self,
        caller: &Caller,
        listener: &str,
        arns: &[String],
    ) -> Result<(), AwsError> {
        let tls = tls_of(self.listener(caller, listener)?)?;
        let is_default =
            |arn: &String| *arn == tls.certificate && !tls.more_certificates.contains(arn);
        if arns.iter().any(is_default) {
            return Err(AwsError::new(
                "OperationNotPermitted",
                "The default certificate of a listener cannot be removed",
            ));
        }
        tls.more_certificates.retain(|arn| !arns.contains(arn));
        Ok(())
    }

    /// The certificates of a listener and whether each is the default one; one that is both comes twice.
    pub fn certificates(
        &mut self,
        caller: &Caller,
        listener: &str,
    ) -> Result<Vec<(String, bool)>, AwsError> {
        let listener = self.listener(caller, listener)?;
        Ok(listener.tls.iter().fold(Vec::new(), |mut rows, tls| {
            rows.push((tls.certificate.clone(), true));
            rows.extend(tls.more_certificates.iter().map(|arn| (arn.clone(), false)));
            rows
        }))
    }
}

fn tls_of(listener: &mut Listener) -> Result<&mut Tls, AwsError> {
    let protocol = listener.protocol.clone();
    listener.tls.as_mut().ok_or_else(|| {
        validation(&format!(
            "Certificates cannot be changed on a {protocol} listener"
        ))
    })
}

/// A certificate of ACM in the caller's account and Region or of IAM in the account. Which ones exist is not modelled.
fn check_certificate(caller: &Caller, arn: &str) -> Result<(), AwsError> {
    let partition = regions::partition(&caller.region);
    let acm = format!(
        "arn:{partition}:acm:{}:{}:certificate/",
        caller.region, caller.account
    );
    let iam = format!(
        "arn:{partition}:iam::{}:server-certificate/",
        caller.account
    );
    let named = [acm, iam].iter().any(|prefix| {
        arn.strip_prefix(prefix)
            .is_some_and(|name| !name.is_empty())
    });
    if named {
        Ok(())
    } else {
        let shown: String = arn.chars().take(256).collect();
        Err(AwsError::new(
            "CertificateNotFound",
            format!("Certificate '{shown}' not found"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::listeners::{ListenerChange, NewListener};
    use crate::world::testing::{PROVIDER, caller, load_balancer, target_group, world};

    fn certificate(name: &str) -> String {
        format!("arn:aws:acm:eu-west-1:{PROVIDER}:certificate/{name}")
    }

    fn secure(world: &mut World, me: &Caller) -> NewListener {
        NewListener {
            load_balancer: load_balancer(world, me, "edge").to_string(),
            port: 443,
            protocol: "TLS".into(),
            forward: vec![(target_group(world, me, "tg", "TCP"), None)],
            certificate: Some(certificate("main")),
            ..NewListener::default()
        }
    }

    #[test]
    fn a_tls_listener_needs_a_certificate_of_the_account_and_known_policies() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let good = secure(&mut world, &me);
        let foreign = "arn:aws:acm:eu-west-1:999999999999:certificate/x";
        for (change, code) in [
            ((None, None, None), "CertificateNotFound"),
            ((Some(foreign), None, None), "CertificateNotFound"),
            ((Some(""), Some("Old"), None), "SSLPolicyNotFound"),
            ((Some(""), None, Some("HTTP9")), "ALPNPolicyNotFound"),
        ] {
            let own = good.certificate.clone();
            let bad = NewListener {
                certificate: change
                    .0
                    .and_then(|c| if c.is_empty() { own } else { Some(c.into()) }),
                ssl_policy: change.1.map(Into::into),
                alpn_policy: change.2.map(Into::into),
                ..good.clone()
            };
            let error = world.create_listener(&me, bad).unwrap_err();
            assert_eq!(error.code, code);
        }
        let made = world.create_listener(&me, good.clone()).unwrap();
        assert_eq!(made.tls.unwrap().ssl_policy, DEFAULT_POLICY);
        let plain = NewListener {
            port: 80,
            protocol: "TCP".into(),
            ..good
        };
        let error = world.create_listener(&me, plain).unwrap_err();
        assert_eq!(error.code, "InvalidConfigurationRequest");
    }

    #[test]
    fn the_list_grows_and_shrinks_and_the_default_certificate_stays() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let new = secure(&mut world, &me);
        let arn = world.create_listener(&me, new).unwrap().arn;
        let (main, more) = (certificate("main"), certificate("more"));
        for _ in 0..2 {
            let add = world.add_certificates(&me, &arn, std::slice::from_ref(&more));
            assert!(add.is_ok());
        }
        let listed = world.certificates(&me, &arn).unwrap();
        assert_eq!(listed, [(main.clone(), true), (more.clone(), false)]);
        let error = world.remove_certificates(&me, &arn, &[main]).unwrap_err();
        assert_eq!(error.code, "OperationNotPermitted");
        world.remove_certificates(&me, &arn, &[more]).unwrap();
        assert_eq!(world.certificates(&me, &arn).unwrap().len(), 1);
        let many: Vec<_> = (0..26).map(|n| certificate(&n.to_string())).collect();
        let error = world.add_certificates(&me, &arn, &many).unwrap_err();
        assert_eq!(error.code, "TooManyCertificates");
    }

    #[test]
    fn a_listener_that_stops_being_tls_loses_its_certificates() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let new = secure(&mut world, &me);
        let arn = world.create_listener(&me, new).unwrap().arn;
        let to = |protocol: &str| ListenerChange {
            protocol: Some(protocol.into()),
            ..ListenerChange::default()
        };
        let plain = world.modify_listener(&me, &arn, to("TCP")).unwrap();
        assert_eq!(plain.tls, None);
        assert!(world.certificates(&me, &arn).unwrap().is_empty());
        let error = world.add_certificates(&me, &arn, &[certificate("x")]);
        assert_eq!(error.unwrap_err().code, "ValidationError");
        let error = world.modify_listener(&me, &arn, to("TLS")).unwrap_err();
        assert_eq!(error.code, "CertificateNotFound");
    }
}
