//! An identity provider that publishes what a test wants, and signs what it wants.

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::app::auth_settings::IssuerSettings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A key of an issuer.
pub(crate) enum SigningKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().expect("a key"))
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// The public key in bytes: what an attacker would take for a secret.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::P256(key) => key.public_key().as_ref().to_vec(),
            Self::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn jwk(&self, id: &str) -> Value {
        let public = self.public();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            // PKCS#1: two sequences' heads and a zero before 2048 bits, then the exponent 65537.
            Self::Rsa(_) => json!({ "kty": "RSA", "n": text(&public[9..265]), "e": "AQAB" }),
            Self::P256(_) => {
                json!({ "kty": "EC", "crv": "P-256", "x": text(&public[1..33]), "y": text(&public[33..]) })
            }
            Self::Ed(_) => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(&public) }),
        };
        jwk["kid"] = id.into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().into();
        jwk
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("signed");
                signature
            }
            Self::P256(key) => key
                .sign(&random, message)
                .expect("signed")
                .as_ref()
                .to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of these very bytes.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// A token with a good header for this key.
    pub(crate) fn signed(&self, id: &str, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "typ": "at+jwt", "kid": id });
        self.token(&header.to_string(), &claims.to_string())
    }
}

/// Base64url, as every part of a token is.
pub(crate) fn encoded(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// What it answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published {
    pub(crate) keys: Vec<Value>,
    /// In place of the keys: a whole answer, head and body. Nothing is an answer that never comes.
    pub(crate) instead: Option<String>,
    /// In place of its own discovery document.
    pub(crate) discovery: Option<Value>,
    /// Nobody is there.
    pub(crate) down: bool,
    /// How often keys were asked for.
    pub(crate) asked: usize,
    /// How often something else was asked for.
    pub(crate) strayed: usize,
}

/// A running issuer.
#[derive(Debug, Clone)]
pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    state: Arc<Mutex<Published>>,
}

impl FakeIssuer {
    /// Starts one with these keys.
    pub(crate) async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/realms/x", listener.local_addr().expect("bound"));
        let state = Arc::new(Mutex::new(Published {
            keys,
            ..Published::default()
        }));
        let issuer = Self { url, state };
        let served = issuer.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(served.clone().answer(socket));
            }
        });
        issuer
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.state.lock().expect("not poisoned"));
    }

    pub(crate) fn asked(&self) -> usize {
        self.state.lock().expect("not poisoned").asked
    }

    pub(crate) fn strayed(&self) -> usize {
        self.state.lock().expect("not poisoned").strayed
    }

    /// Settings that trust it, with some changed.
    pub(crate) fn settings(&self, name: &str, changes: &Value) -> IssuerSettings {
        let mut settings = json!({ "name": name, "issuer": self.url, "audience": "portcullis" });
        for (key, value) in changes.as_object().expect("an object") {
            settings[key] = value.clone();
        }
        serde_json::from_value(settings).expect("settings")
    }

    async fn answer(self, mut socket: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match socket.read_buf(&mut head).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let answer = match path {
            "/realms/x/.well-known/openid-configuration" => {
                let state = self.state.lock().expect("not poisoned").clone();
                let own = json!({ "issuer": self.url, "jwks_uri": format!("{}/keys", self.url) });
                (!state.down).then(|| ok(&state.discovery.unwrap_or(own)))
            }
            "/realms/x/keys" => {
                let mut state = self.state.lock().expect("not poisoned");
                state.asked += 1;
                let keys = ok(&json!({ "keys": state.keys }));
                (!state.down).then(|| state.instead.clone().unwrap_or(keys))
            }
            _ => {
                self.state.lock().expect("not poisoned").strayed += 1;
                Some(ok(&json!({ "keys": [] })))
            }
        };
        let Some(answer) = answer else { return };
        if answer.is_empty() {
            // Keeps silent, with the connection open.
            std::future::pending::<()>().await;
        }
        let _ = socket.write_all(answer.as_bytes()).await;
    }
}

/// A good answer with this body.
pub(crate) fn ok(body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
