use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::sync::Notify;

use super::*;
use crate::domain::clock::{Clock as _, SystemClock};
use crate::sns::fetch::FetchError;
use crate::sns::topic::TopicArn;
use crate::sns::trust;

/// Gives one answer to all, and only when it is let.
struct Gated {
    answer: Result<Vec<u8>, FetchError>,
    asked: AtomicUsize,
    open: Notify,
}

#[async_trait]
impl Fetch for Gated {
    async fn get(&self, _: &AwsUrl) -> Result<Vec<u8>, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.open.notified().await;
        self.answer.clone()
    }
}

fn topic() -> TopicArn {
    "arn:aws:sns:eu-west-1:111122223333:t".parse().unwrap()
}

fn url(number: usize) -> AwsUrl {
    let text =
        format!("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-{number:032x}.pem");
    AwsUrl::certificate(&text, &topic()).unwrap()
}

/// A chain that is good until the given year, and who trusts it.
fn good_until(year: i32) -> (Vec<u8>, Arc<Roots>) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let mut own = CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).unwrap();
    own.not_after = rcgen::date_time_ymd(year, 1, 1);
    let own = own.signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
    let mut roots = Roots::default();
    let trusted = trust::certificates(root.as_ref().pem().as_bytes()).unwrap();
    roots.add(&trusted).unwrap();
    (own.pem().into_bytes(), Arc::new(roots))
}

fn kept(answer: Result<Vec<u8>, FetchError>, roots: Arc<Roots>) -> (Arc<Gated>, Arc<Certificates>) {
    let aws = Arc::new(Gated {
        answer,
        asked: AtomicUsize::new(0),
        open: Notify::new(),
    });
    let certificates = Certificates::new(aws.clone(), roots, HookMetrics::default());
    (aws, Arc::new(certificates))
}

#[tokio::test]
async fn many_who_want_one_certificate_fetch_it_once() {
    let (pem, roots) = good_until(4000);
    let (aws, certificates) = kept(Ok(pem), roots);
    let names = topic().signer_names();
    let now = SystemClock.now();
    let address = url(1);
    let all =
        futures_util::future::join_all((0..50).map(|_| certificates.chain(&address, &names, now)));
    let open = async {
        // All fifty have asked before this one is polled.
        tokio::task::yield_now().await;
        aws.open.notify_one();
    };
    let (answers, ()) = tokio::join!(all, open);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(aws.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn many_who_want_what_fails_hear_of_one_failure() {
    let (_, roots) = good_until(4000);
    let (aws, certificates) = kept(Err(FetchError::Status(500)), roots);
    let names = topic().signer_names();
    let now = SystemClock.now();
    let address = url(1);
    aws.open.notify_one();
    for _ in 0..50 {
        let failed = certificates.chain(&address, &names, now).await.unwrap_err();
        assert!(matches!(failed, NoCertificate::NotFetched(_)));
    }
    assert_eq!(aws.asked.load(Ordering::SeqCst), 1);
    // Later it is asked for again.
    aws.open.notify_one();
    let later = now + FAILED_FOR;
    assert!(certificates.chain(&address, &names, later).await.is_err());
    assert_eq!(aws.asked.load(Ordering::SeqCst), 2);
}

/// A certificate that was good when it was fetched is not good for ever.
#[tokio::test]
async fn a_certificate_that_ends_is_seen_to_end() {
    let (pem, roots) = good_until(2200);
    let (aws, certificates) = kept(Ok(pem), roots.clone());
    let names = topic().signer_names();
    let now = SystemClock.now();
    aws.open.notify_one();
    let chain = certificates.chain(&url(1), &names, now).await.unwrap();
    assert!(chain.verify(&roots, now, &names).is_ok());
    let late = now + TimeDelta::days(200 * 366);
    let ended = chain.verify(&roots, late, &names).unwrap_err();
    assert!(matches!(ended, Untrusted::NotValid(_)), "{ended}");
}

#[tokio::test]
async fn what_is_remembered_and_what_is_asked_for_is_bounded() {
    let (pem, roots) = good_until(4000);
    let (aws, certificates) = kept(Ok(pem), roots);
    let names = topic().signer_names();
    let now = SystemClock.now();
    aws.open.notify_one();
    certificates.chain(&url(0), &names, now).await.unwrap();
    let mut fetched = 0;
    for number in 1..2_000 {
        aws.open.notify_one();
        let answer = certificates.chain(&url(number), &names, now).await;
        fetched += usize::from(answer.is_ok());
        let slots = certificates.slots.lock().unwrap().len();
        assert!(slots <= MOST_REMEMBERED, "{slots}");
    }
    assert_eq!(fetched + 1, FETCHES_PER_MINUTE as usize);
    // The good one is still known, without asking.
    let asked = aws.asked.load(Ordering::SeqCst);
    certificates.chain(&url(0), &names, now).await.unwrap();
    assert_eq!(aws.asked.load(Ordering::SeqCst), asked);
}
