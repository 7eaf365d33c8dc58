//! The addresses that a message may send us to. Nothing else is ever asked for.
//!
//! A message names the address of its certificate and, when it asks for a confirmation, of that. Believed as they are, they would let anybody
//! choose what we fetch and whose signature counts. So the beginning of the address is not taken apart but compared with the one that follows
//! from the topic's Region: another host, scheme, port, user or spelling is another beginning.

use super::topic::TopicArn;

/// An address that passed its rule; there is no other way to make one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AwsUrl {
    text: String,
    /// Where the path begins.
    path: usize,
    is_sns: bool,
}

impl AwsUrl {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host.
    pub fn host(&self) -> &str {
        let (_, rest) = self.text.split_once("://").unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }

    /// Path and query.
    pub fn path_and_query(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }

    /// Whether it is an address of SNS, which the simulator can stand in for.
    pub fn is_sns(&self) -> bool {
        self.is_sns
    }

    /// The address of SNS in a topic's Region and what follows after the host, which must begin with `/`.
    fn of_sns<'a>(text: &'a str, topic: &TopicArn) -> Option<(Self, &'a str)> {
        // A token has some hundred characters.
        if text.len() > 2_048 {
            return None;
        }
        let origin = format!("https://{}", topic.host());
        let rest = text.strip_prefix(&origin)?;
        let url = Self {
            text: text.to_owned(),
            path: origin.len(),
            is_sns: true,
        };
        rest.starts_with('/').then_some((url, rest))
    }

    /// The address of a certificate: `/SimpleNotificationService-….pem` on the host of SNS in the topic's Region.
    pub fn certificate(text: &str, topic: &TopicArn) -> Option<Self> {
        let (url, rest) = Self::of_sns(text, topic)?;
        let digits = rest
            .strip_prefix("/SimpleNotificationService-")?
            .strip_suffix(".pem")?;
        let fits =
            (16..=128).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then_some(url)
    }

    /// The address that confirms the subscription of just this topic with just this token.
    pub fn confirmation(text: &str, topic: &TopicArn, token: &str) -> Option<Self> {
        let (url, rest) = Self::of_sns(text, topic)?;
        let (mut action, mut of_topic, mut with_token) = (0, 0, 0);
        for pair in rest.strip_prefix("/?")?.split('&') {
            let (name, value) = pair.split_once('=')?;
            // Of all that the three values can contain, only the colon may be written otherwise.
            let value = value.replace("%3A", ":").replace("%3a", ":");
            match name {
                "Action" if value == "ConfirmSubscription" => action += 1,
                "TopicArn" if value == topic.as_str() => of_topic += 1,
                "Token" if value == token => with_token += 1,
                _ => return None,
            }
        }
        ((action, of_topic, with_token) == (1, 1, 1)).then_some(url)
    }

    /// Where Amazon Trust Services, who issue SNS's certificates, publish the certificate of an issuer. Plain HTTP, as is usual: what comes back
    /// counts only if a trusted authority signed it.
    pub fn issuer(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let (host, file) = rest.split_once('/')?;
        let label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
        let (_, kind) = file.rsplit_once('.')?;
        let fits = text.len() <= 256
            && host.ends_with(".amazontrust.com")
            && host.bytes().all(label)
            && matches!(kind, "cer" | "crt")
            && file.bytes().all(plain);
        fits.then(|| Self {
            text: text.to_owned(),
            path: "http://".len() + host.len(),
            is_sns: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "SimpleNotificationService-5416b31fae4efe3bce054dd18e3a4cd1.pem";

    fn topic() -> TopicArn {
        "arn:aws:sns:eu-west-1:111122223333:t".parse().unwrap()
    }

    #[test]
    fn only_the_certificates_of_the_regions_own_sns_are_fetched() {
        let good = format!("https://sns.eu-west-1.amazonaws.com/{FILE}");
        let url = AwsUrl::certificate(&good, &topic()).unwrap();
        assert_eq!(url.as_str(), good);
        assert_eq!(url.host(), "sns.eu-west-1.amazonaws.com");
        assert_eq!(url.path_and_query(), format!("/{FILE}"));
        for bad in [
            format!("http://sns.eu-west-1.amazonaws.com/{FILE}"),
            format!("HTTPS://sns.eu-west-1.amazonaws.com/{FILE}"),
            format!("https://sns.us-east-1.amazonaws.com/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com.cn/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com.evil.example/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com@evil.example/{FILE}"),
            format!("https://user@sns.eu-west-1.amazonaws.com/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com:443/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com:8443/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com./{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com\\@evil.example/{FILE}"),
            format!("https://evil.example/sns.eu-west-1.amazonaws.com/{FILE}"),
            format!("https://sns-eu-west-1.amazonaws.com/{FILE}"),
            format!("https://s3.eu-west-1.amazonaws.com/{FILE}"),
            format!("https://169.254.169.254/{FILE}"),
            format!("https://SNS.eu-west-1.amazonaws.com/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com//{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com/x/{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com/x/../{FILE}"),
            format!("https://sns.eu-west-1.amazonaws.com/{FILE}?x=1"),
            format!("https://sns.eu-west-1.amazonaws.com/{FILE}#x.pem"),
            format!(" https://sns.eu-west-1.amazonaws.com/{FILE}"),
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-.pem".to_owned(),
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService.pem".to_owned(),
            "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription".to_owned(),
            "https://sns.eu-west-1.amazonaws.com".to_owned(),
            String::new(),
        ] {
            assert_eq!(AwsUrl::certificate(&bad, &topic()), None, "{bad}");
        }
    }

    #[test]
    fn only_the_subscription_that_is_spoken_of_is_confirmed() {
        let of = |query: &str| {
            let text = format!("https://sns.eu-west-1.amazonaws.com/?{query}");
            AwsUrl::confirmation(&text, &topic(), "abc")
        };
        let arn = topic().to_string();
        let coded = arn.replace(':', "%3A");
        assert!(
            of(&format!(
                "Action=ConfirmSubscription&TopicArn={arn}&Token=abc"
            ))
            .is_some()
        );
        assert!(
            of(&format!(
                "Action=ConfirmSubscription&TopicArn={coded}&Token=abc"
            ))
            .is_some()
        );
        for bad in [
            String::new(),
            "Action=ConfirmSubscription".to_owned(),
            format!("Action=DeleteTopic&TopicArn={arn}&Token=abc"),
            format!("Action=ConfirmSubscription&TopicArn={arn}2&Token=abc"),
            format!("Action=ConfirmSubscription&TopicArn={arn}&Token=abcd"),
            format!("Action=ConfirmSubscription&TopicArn={arn}&Token=abc&Token=abc"),
            format!("Action=ConfirmSubscription&TopicArn={arn}&Token=abc&X=y"),
            format!("Action=ConfirmSubscription&TopicArn={arn}&Token=abc#"),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
        let elsewhere =
            format!("https://evil.example/?Action=ConfirmSubscription&TopicArn={arn}&Token=abc");
        assert_eq!(AwsUrl::confirmation(&elsewhere, &topic(), "abc"), None);
    }

    #[test]
    fn issuers_are_asked_for_at_amazon_trust_services_only() {
        assert!(AwsUrl::issuer("http://crt.r2m01.amazontrust.com/r2m01.cer").is_some());
        for bad in [
            "https://crt.r2m01.amazontrust.com/r2m01.cer",
            "http://evil.example/r2m01.cer",
            "http://evil.example/.amazontrust.com/r2m01.cer",
            "http://amazontrust.com.evil.example/r2m01.cer",
            "http://evilamazontrust.com/r2m01.cer",
            "http://user@crt.amazontrust.com/r2m01.cer",
            "http://crt.amazontrust.com:8080/r2m01.cer",
            "http://crt.amazontrust.com/r2m01.cer?x",
            "http://crt.amazontrust.com/a/r2m01.cer",
            "ldap://crt.amazontrust.com/r2m01.cer",
        ] {
            assert_eq!(AwsUrl::issuer(bad), None, "{bad}");
        }
    }
}
