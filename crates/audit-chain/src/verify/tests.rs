use proptest::prelude::*;

use super::*;
use crate::key::{SealingKey, a_key};
use crate::seal::hash_of;

/// A trail as it is stored: the entries' texts, the seals, their hashes and signatures.
#[derive(Debug, Clone)]
struct Trail {
    texts: Vec<(Uuid, String)>,
    seals: Vec<(Seal, Hash, Option<Signature>)>,
}

fn trail(key: &SealingKey, batches: &[usize]) -> Trail {
    let mut trail = Trail {
        texts: Vec::new(),
        seals: Vec::new(),
    };
    let mut previous = [0; 32];
    for (number, size) in (1..).zip(batches) {
        let leaves = (0..*size).map(|_| {
            let n = trail.texts.len();
            let id = Uuid::from_u128(n as u128 + 1);
            let text = format!("entry {n}");
            trail.texts.push((id, text.clone()));
            Leaf {
                id,
                at: 0,
                hash: hash_of(text.as_bytes()),
            }
        });
        let seal = Seal {
            number,
            at: 0,
            previous,
            leaves: leaves.collect(),
        };
        previous = seal.hash();
        trail
            .seals
            .push((seal, previous, Some(key.sign(&previous))));
    }
    trail
}

fn verify(trail: &Trail, keys: &[PublicKey], kept: &[Head]) -> Result<Checked, Fault> {
    let mut verifier = Verifier::new(keys.to_vec(), kept.to_vec());
    for (seal, stored, signature) in &trail.seals {
        verifier.seal(seal, stored, signature.as_ref())?;
        for leaf in &seal.leaves {
            let text = trail.texts.iter().find(|(id, _)| *id == leaf.id);
            let hash = text.map(|(_, text)| hash_of(text.as_bytes()));
            verifier.entry(seal.number, leaf, hash.as_ref())?;
        }
    }
    verifier.end()
}

#[test]
fn what_was_not_touched_is_good_and_says_where_it_ends() {
    let key = a_key();
    let whole = trail(&key, &[3, 1, 2]);
    let checked = verify(&whole, &[key.public()], &[]).unwrap();
    assert_eq!(
        (checked.seals, checked.entries, checked.signatures),
        (3, 6, 3)
    );
    let head = checked.head.unwrap();
    assert_eq!(head.to_string().parse(), Ok(head));
    assert_eq!(verify(&whole, &[], &[head]).unwrap().signatures, 0);
    assert_eq!(verify(&trail(&key, &[]), &[], &[]), Ok(Checked::default()));
}

#[test]
fn every_kind_of_change_is_found_and_named() {
    let key = a_key();
    let keys = [key.public()];
    let whole = trail(&key, &[2, 2, 2]);
    let head = verify(&whole, &keys, &[]).unwrap().head.unwrap();
    let entry = |n: u128| Uuid::from_u128(n);
    let after = |change: &dyn Fn(&mut Trail)| {
        let mut trail = whole.clone();
        change(&mut trail);
        verify(&trail, &keys, &[head]).unwrap_err()
    };

    let altered = after(&|t| t.texts[3].1.push('!'));
    assert_eq!(
        altered,
        Fault::EntryChanged {
            entry: entry(4),
            number: 2
        }
    );
    let deleted = after(&|t| drop(t.texts.remove(2)));
    assert_eq!(
        deleted,
        Fault::EntryMissing {
            entry: entry(3),
            number: 2
        }
    );
    let exchanged = after(&|t| {
        let text = t.texts[0].1.clone();
        t.texts[0].1 = t.texts[5].1.clone();
        t.texts[5].1 = text;
    });
    assert_eq!(
        exchanged,
        Fault::EntryChanged {
            entry: entry(1),
            number: 1
        }
    );
    assert_eq!(after(&|t| drop(t.seals.remove(1))), Fault::SealMissing(2));
    assert_eq!(after(&|t| drop(t.seals.remove(0))), Fault::SealMissing(1));
    assert_eq!(after(&|t| t.seals.swap(0, 1)), Fault::SealMissing(1));
    assert_eq!(
        after(&|t| t.seals[1].0.leaves.clear()),
        Fault::SealChanged(2)
    );
    let cut = after(&|t| drop(t.seals.pop()));
    assert_eq!(
        cut,
        Fault::CutOff {
            ends_with: 2,
            number: 3
        }
    );
    assert_eq!(after(&|t| t.seals[1].2 = None), Fault::Unsigned(2));
    // A seal that was made anew, with its hash: the chain does not go on from it.
    let rehashed = after(&|t| {
        t.seals[0].0.leaves.pop();
        t.seals[0].1 = t.seals[0].0.hash();
    });
    assert!(
        matches!(rehashed, Fault::SignatureWrong { number: 1, .. }),
        "{rehashed}"
    );
}

/// Whoever can write everything, but has not the key, makes the whole chain anew: only the key and the head tell.
#[test]
fn a_chain_that_was_made_anew_is_found_by_key_or_head() {
    let key = a_key();
    let head = verify(&trail(&key, &[2, 2]), &[], &[])
        .unwrap()
        .head
        .unwrap();
    let mut forged = trail(&a_key(), &[2, 3]);
    forged.texts[0].1.push('!');
    forged.seals[0].0.leaves[0].hash = hash_of(forged.texts[0].1.as_bytes());
    let mut previous = [0; 32];
    for (seal, hash, _) in &mut forged.seals {
        seal.previous = previous;
        *hash = seal.hash();
        previous = *hash;
    }
    assert!(verify(&forged, &[], &[]).is_ok(), "nothing else could tell");
    assert_eq!(verify(&forged, &[], &[head]), Err(Fault::OtherChain(2)));
    let by_key = verify(&forged, &[key.public()], &[]);
    assert!(matches!(
        by_key,
        Err(Fault::SignatureWrong { number: 1, .. })
    ));
}

#[test]
fn what_is_no_head_is_refused() {
    for bad in [
        "",
        "1",
        "1:",
        "x:00",
        "1:00",
        &format!("1:{}", "g".repeat(64)),
        &format!("1:{}", "\u{e9}".repeat(32)),
    ] {
        assert!(bad.parse::<Head>().is_err(), "{bad:?}");
    }
}

proptest! {
    /// Wherever one text is changed, that very entry is named, and it is the first.
    #[test]
    fn the_first_bad_entry_is_named(sizes in prop::collection::vec(0usize..5, 1..6), pick in any::<prop::sample::Index>()) {
        let key = a_key();
        let mut trail = trail(&key, &sizes);
        prop_assume!(!trail.texts.is_empty());
        let at = pick.index(trail.texts.len());
        trail.texts[at].1.push('!');
        let id = trail.texts[at].0;
        let found = verify(&trail, &[key.public()], &[]).unwrap_err();
        let named = matches!(found, Fault::EntryChanged { entry, .. } if entry == id);
        prop_assert!(named, "{}", found);
    }
}
