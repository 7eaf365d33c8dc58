"""A real HTTP endpoint for SNS to post to: it notes what it hears, answers as it is told, and checks SNS's signatures."""

import base64
import collections
import datetime
import http.server
import json
import queue
import threading
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from _program import Failed

# What is signed, in this order, of a notification and of the two messages with a token.
NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
WITH_TOKEN = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


class Hook:
    """An endpoint. The next answers come from `answers`; without one it says 200, and `"silence"` is none until `release`."""

    def __enter__(self):
        self.heard = queue.Queue()
        self.answers = collections.deque()
        self.release = threading.Event()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                answer = hook.answers.popleft() if hook.answers else 200
                head = {name.lower(): value for name, value in self.headers.items()}
                hook.heard.put((self.path, head, body))
                if answer == "silence":
                    hook.release.wait(30)
                    answer = 200
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    def next(self):
        """The path, the head and the body of the next request."""
        try:
            return self.heard.get(timeout=10)
        except queue.Empty:
            raise Failed("the endpoint heard nothing in 10 s") from None

    def envelope(self):
        """The head and the JSON of the next request."""
        _, head, body = self.next()
        return head, json.loads(body)

    def quiet(self, lab, what):
        """Nothing came that was not asked for."""
        lab.that(what, self.heard.empty(), True)


def certificate(lab, url):
    """SNS's certificate, from where its envelopes say, and only if AWS's own host is named and the authority vouches for it."""
    where = urllib.parse.urlsplit(url)
    lab.that("SNS's own host", (where.scheme, where.netloc, where.query), ("https", "sns.eu-west-1.amazonaws.com", ""))
    lab.that("and its path", where.path.startswith("/SimpleNotificationService-") and where.path.endswith(".pem"), True)

    def fetch(path):
        with urllib.request.urlopen(f"{lab.url}{path}", timeout=10) as answer:
            return x509.load_pem_x509_certificate(answer.read())

    leaf, root = fetch(where.path), fetch("/_sim/sns/root.pem")
    leaf.verify_directly_issued_by(root)
    now = datetime.datetime.now(datetime.UTC)
    lab.that("in its time", leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc, True)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lab.that("for SNS", names.get_values_for_type(x509.DNSName), ["sns.amazonaws.com"])
    return leaf


def verify(lab, envelope, version):
    """The signature of an envelope, with an implementation that is not the simulator's. A changed text must not pass."""
    lab.that("the version of the signature", envelope["SignatureVersion"], version)
    key = certificate(lab, envelope["SigningCertURL"]).public_key()
    names = NOTIFICATION if envelope["Type"] == "Notification" else WITH_TOKEN
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    kind = {"1": hashes.SHA1, "2": hashes.SHA256}[version]()
    signature = base64.b64decode(envelope["Signature"])
    key.verify(signature, signed.encode(), padding.PKCS1v15(), kind)
    lab.checks += 1
    try:
        key.verify(signature, signed.replace("Message\n", "Message\nx", 1).encode(), padding.PKCS1v15(), kind)
    except Exception:  # noqa: BLE001, the point is that it does not pass
        return
    raise Failed("a changed message passed its signature")


def follow(lab, link):
    """What a browser does with SNS's links: no signature. The status and the body."""
    where = urllib.parse.urlsplit(link)
    lab.that("a link to SNS", where.netloc, "sns.eu-west-1.amazonaws.com")
    try:
        with urllib.request.urlopen(f"{lab.url}{where.path}?{where.query}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
