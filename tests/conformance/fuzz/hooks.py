"""What schemathesis cannot know from the document, and the rules that JSON Schema cannot say."""

import os
import re
import uuid

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

KEY = "Idempotency-Key"
GOOD = re.compile(r'[!#-\[\]-~]{1,255}|"[!#-\[\]-~]{1,255}"')

# A request that is good by its schema may break one of these, and is refused with 400 in these words. Everything else that is good by its schema and
# refused with 400 is a fault of the document or of the program.
RULES = [
    # Times are compared with the clock.
    r"must be in the future",
    r"Give a time that is yet to come",
    r"A service token may be good for",
    # Texts are judged after they were trimmed; names have one line.
    r"must not be empty",
    r"must not contain (control characters|NUL)",
    r"must be a single line",
    # One member or another, one with another, or only with a certain verb.
    r"Give (either|one of) ",
    r"not both",
    r"An external id goes with a role_arn only",
    r"Only an accept ",
    r"Say when live connections are rejected",
    # What is told of an agreement goes with the kind of the notice, and what is used with a connection or an account.
    r"Say for when and how much it was made",
    r"Say why it ended",
    r"Terms are told of what was made or amended",
    r"A cause is said of what has ended",
    r"Name a connection or an account",
    # Which plans the listing had.
    r"The listing never had a plan ",
    # Tags are bounded as a whole, and some keys are AWS's or ours.
    r"keys that begin with aws: or portcullis: are reserved",
    r"control characters are not allowed in tags",
    r"a key has 1 to 128 characters and a value at most 256",
    # Labels, too.
    r"a key has 1 to 63 ",
    r"control characters are not allowed in labels",
    r"label is a key, or a key and a value",
    # What the configuration, the caller's own roles, or the policy's own cases allow.
    r"^invalid_request: The secret before may go on for ",
    # Where the feed of events ends.
    r"The feed has the events ",
    r"^invalid_request: You do not have the role ",
    r"^invalid_request: Give 1 to 100 cases, not 0",
    r"^invalid_request: No slug can be made of the name",
    # A link to the resource of another kind, which the pattern of the path rules out.
    r"^invalid_path: .* is not an? .* \(.* and 32 hexadecimal digits\)",
    # The other proofs, which answers have, are not given by who sends this.
    r"Only the account itself can give this proof",
    # Shapes that are longer than a pattern which could be read: of AWS's ARNs, principals and Regions, and of addresses.
    r"is not an? (role of account|AWS Region|allowed principal|load balancer ARN)",
    r"An e-mail address has one @",
    r"ticket_url must be an https:// address",
    # To JSON Schema 7.0 is an integer, and a date may be any; here numbers are written without a fraction, and years have four digits.
    r"floating point `[-0-9.e+]+`, expected ([iu](16|32|64)|usize)",
    r"a time lies in the years 0000 to 9999",
    # Lists of entity tags, whose pattern is not always followed; and the header of a stream, which a list does not look at.
    r"it is \*, or entity tags in quotation marks",
    r"there is no one resource here whose state it could name",
    r"Last-Event-ID: ",
    # One of our ids, and of no kind that has a trail.
    r"it is no id of anything that has an audit trail",
    # To the document the envelope of SNS is a text.
    r"^sns_message_malformed: ",
]
RULE = re.compile("|".join(f"(?:{rule})" for rule in RULES))


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key names one request: the example of the document, sent with every request, would be `idempotency_key_reused`. Keys that are none stay as they are."""
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and GOOD.fullmatch(key):
        case.headers[KEY] = str(uuid.uuid4())


@schemathesis.check
def good_requests_are_taken(ctx, response, case):
    """schemathesis' own `positive_data_acceptance`, but for the rules above, in a long run. That one alone is switched off in the configuration."""
    if not os.environ.get("FUZZ_REQUESTS"):
        # In a short run chance decides which of the rules above is met first, and one that nobody has written down yet is no reason to stop a release.
        return None
    if response.status_code == 400:
        try:
            problem = response.json()
            told = f"{problem['code']}: {problem['detail']}"
        except (ValueError, KeyError, TypeError):
            told = ""
        if RULE.search(told):
            return None
    return positive_data_acceptance(ctx, response, case)
