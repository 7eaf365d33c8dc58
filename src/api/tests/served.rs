//! Good requests, the operational routes, and the server on a real socket.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use actix_web::test::{self, TestRequest};

use super::super::auth::Role;
use super::super::auth::test_tokens::TestTokens;
use super::super::openapi::{self, Document};
use super::super::{assemble, serve};
use super::{ask, ask_as, edge, read, sample};

#[actix_web::test]
async fn a_good_request_is_served_and_not_cached() {
    let tokens = TestTokens::new();
    let request = TestRequest::get().uri("/v1/echo?number=7");
    let answer = ask_as(&tokens, &tokens.of(Role::Viewer), request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.json(),
        serde_json::json!({ "number": 7, "caller": "somebody" })
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; frame-ancestors 'none'"
    );
}

#[actix_web::test]
async fn a_harmless_request_id_is_kept_and_another_replaced() {
    let tokens = TestTokens::new();
    let health = |id: &str| {
        TestRequest::get()
            .uri("/healthz")
            .insert_header(("x-request-id", id))
    };
    let kept = ask(edge(&tokens, true), health("trace-7/abc")).await;
    assert_eq!(kept.header("x-request-id"), "trace-7/abc");
    for bad in ["", "two words", &"x".repeat(65)] {
        let answer = ask(edge(&tokens, true), health(bad)).await;
        let id = answer.header("x-request-id");
        assert_eq!(id.len(), 32, "{bad:?} became {id:?}");
    }
}

#[actix_web::test]
async fn the_operational_routes_need_no_token() {
    let tokens = TestTokens::new();
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let answer = ask(edge(&tokens, true), TestRequest::get().uri(path)).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let tokens = TestTokens::new();
    let document = Arc::new(Document::new(&openapi::collect(sample::configure)));
    let app = assemble(edge(&tokens, true), document, sample::configure);
    let app = test::init_service(app).await;
    for path in ["/v1/echo?number=1", "/v1/secret-path", "/v1/another-path"] {
        let token = format!("Bearer {}", tokens.of(Role::Viewer));
        let request = TestRequest::get()
            .uri(path)
            .insert_header(("authorization", token));
        test::call_service(&app, request.to_request()).await;
    }
    let request = TestRequest::get().uri("/metrics").to_request();
    let answer = read(test::call_service(&app, request).await).await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        r#"portcullis_http_requests_total{method="GET",route="/v1/echo",status="200"} 1"#,
        r#"portcullis_http_requests_total{method="GET",route="unmatched",status="404"} 2"#,
    ] {
        assert!(answer.text.contains(line), "{}", answer.text);
    }
    assert!(!answer.text.contains("secret-path"));
    assert!(answer.text.ends_with("# EOF\n"));
}

#[actix_web::test]
async fn the_served_document_describes_every_route_and_its_refusals() {
    let answer = ask(
        edge(&TestTokens::new(), true),
        TestRequest::get().uri("/openapi.json"),
    )
    .await;
    let document = answer.json();
    let decide = &document["paths"]["/v1/things/{id}/decide"]["post"];
    assert_eq!(decide["operationId"], "decide_thing");
    let body = &decide["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/Decision");
    for status in [
        "200", "400", "401", "403", "404", "408", "409", "413", "415", "500", "503",
    ] {
        assert!(decide["responses"][status].is_object(), "{status}");
    }
    for schema in ["Decision", "Echo", "Problem", "FieldProblem"] {
        assert!(
            document["components"]["schemas"][schema].is_object(),
            "{schema}"
        );
    }
    let query = &document["paths"]["/v1/echo"]["get"]["parameters"][0];
    assert_eq!(
        (&query["name"], &query["in"]),
        (&"number".into(), &"query".into())
    );
}

#[actix_web::test]
async fn the_reference_is_served_from_this_program() {
    let tokens = TestTokens::new();
    for path in ["/", "/docs"] {
        let answer = ask(edge(&tokens, true), TestRequest::get().uri(path)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, "/docs/")
        );
    }
    let page = ask(edge(&tokens, true), TestRequest::get().uri("/docs/")).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    assert!(!page.text.contains("https://"), "{}", page.text);
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    let script = TestRequest::get().uri("/docs/swagger-initializer.js");
    let script = ask(edge(&tokens, true), script).await;
    assert!(script.text.contains("/openapi.json"), "{}", script.text);
    assert!(
        script.text.contains(r#""validatorUrl": "none""#),
        "{}",
        script.text
    );
}

/// Sends the whole body before it reads a byte, as simple clients do, and returns what it heard.
fn send_all_then_read(address: SocketAddr, token: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("connected");
    let size = 2 * 1024 * 1024;
    let head = format!(
        "POST /v1/things HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).expect("head sent");
    socket.write_all(&vec![b'x'; size]).expect("body sent");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"}") {
        let count = socket.read(&mut buffer).expect("an answer, not a reset");
        assert_ne!(count, 0, "the answer broke off");
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(answer).expect("UTF-8")
}

/// A client that is still sending must hear the refusal, not a reset connection.
#[actix_web::test]
async fn over_a_socket_two_megabytes_are_answered_and_the_server_stops_when_told() {
    let tokens = TestTokens::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server =
        serve(listener, edge(&tokens, true), 1, None, sample::configure).expect("a server");
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    for (token, status) in [
        (tokens.of(Role::Admin), "413"),
        ("rubbish".to_owned(), "401"),
    ] {
        let client = move || send_all_then_read(address, &token);
        let answer = actix_web::rt::task::spawn_blocking(client)
            .await
            .expect("joined");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(
            answer.contains("content-type: application/problem+json"),
            "{answer}"
        );
    }
    handle.stop(true).await;
    running.await.expect("joined").expect("stopped cleanly");
}
