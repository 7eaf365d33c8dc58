//! Takes out of AWS's messages what differs each time, so that the same failure twice is the same text.

/// Stands for what was taken out.
const GONE: &str = "*";

/// Opaque blobs, such as EC2's encoded authorization failure, are longer than any id or ARN part.
const BLOB: usize = 100;

/// Replaces request ids, times and opaque blobs. Resource ids, ARNs and account ids stay: they are the message.
pub(crate) fn scrub(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        push_word(&mut out, word);
        let gap = tail.find(is_word).unwrap_or(tail.len());
        let (between, next) = tail.split_at(gap);
        out.push_str(between);
        rest = next;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_+/=:.".contains(c)
}

fn push_word(out: &mut String, word: &str) {
    let core = word.trim_end_matches(['.', ':']);
    if is_time(core) || core.len() >= BLOB && !core.starts_with("arn:") {
        out.push_str(GONE);
    } else {
        for (n, part) in core.split(':').enumerate() {
            if n > 0 {
                out.push(':');
            }
            out.push_str(if is_uuid(part) { GONE } else { part });
        }
    }
    out.push_str(&word[core.len()..]);
}

/// `8-4-4-4-12` hexadecimal digits, as AWS writes request ids.
fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && word.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// `20260102T030405Z` or `2026-01-02T03:04:05…`, as AWS writes times into complaints about signatures.
fn is_time(word: &str) -> bool {
    let Some((date, time)) = word.split_once('T') else {
        return false;
    };
    let date_digits = date.bytes().filter(u8::is_ascii_digit).count();
    let time_digits = time.bytes().filter(u8::is_ascii_digit).count();
    date_digits == 8
        && time_digits >= 6
        && date.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        && time
            .bytes()
            .all(|b| b.is_ascii_digit() || b":.Z+-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_go_and_resource_ids_stay() {
        assert_eq!(
            scrub(
                "The VpcEndpointService Id 'vpce-svc-0123456789abcdef0' does not exist \
                 (RequestID: 7a62c49f-347e-4fc4-9331-6e8eaaaaaaaa)"
            ),
            "The VpcEndpointService Id 'vpce-svc-0123456789abcdef0' does not exist \
             (RequestID: *)"
        );
        assert_eq!(
            scrub("RequestID:7a62c49f-347e-4fc4-9331-6e8eaaaaaaaa."),
            "RequestID:*."
        );
        let arn = "Load balancer 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/a-name-of-thirty-two-characters-/0123456789abcdef' cannot be deleted";
        assert_eq!(scrub(arn), arn);
    }

    #[test]
    fn the_same_failure_at_another_time_reads_the_same() {
        let at = |time: &str| scrub(&format!("Signature expired: {time} is now earlier than it"));
        assert_eq!(at("20260102T030405Z"), at("20271231T235959Z"));
        assert_eq!(at("2026-01-02T03:04:05Z"), at("2027-12-31T23:59:59.123Z"));
        assert_eq!(
            at("20260102T030405Z"),
            "Signature expired: * is now earlier than it"
        );
    }

    #[test]
    fn an_encoded_authorization_failure_is_a_blob() {
        let blob = "aB3-_".repeat(60);
        assert_eq!(
            scrub(&format!(
                "You are not authorized. Encoded authorization failure message: {blob}"
            )),
            "You are not authorized. Encoded authorization failure message: *"
        );
    }

    #[test]
    fn plain_words_of_any_script_pass() {
        for text in ["", "…", "Totally fine: TCP, TLS.", "größer als 10 — nein"] {
            assert_eq!(scrub(text), text);
        }
    }
}
