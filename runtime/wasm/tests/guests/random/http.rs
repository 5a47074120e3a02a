//! `http`: requests to what is granted and to what is not, with any method, header, body, secret and time; nothing but
//! whole requests for the granted origin arrive.

use super::{Case, Recipe, cases};
use crate::servers::{Server, response};

#[test]
fn http() {
    cases("http", 40, |mut case: Case| async move {
        let server = Server::http(|_| response("hello"));
        let other = Server::http(|_| response("never"));
        let (port, forbidden) = (server.port(), other.port());
        let texts = [
            "GET",
            "POST",
            "DELETE",
            "CONNECT",
            "GET / HTTP/1.1\r\nx: y",
            "x-a",
            "host",
            "content-length",
            "transfer-encoding",
            "chunked",
            "a\r\nb: c",
            "token",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "http://[::1]/",
            "http://127.0.0.1",
            "//",
            "http://user:pass@127.0.0.1/",
        ];
        let mut texts = texts.map(str::to_owned).to_vec();
        texts.extend(vec![format!("http://127.0.0.1:{port}/path?q#f"); 12]);
        texts.extend(vec!["GET".to_owned(); 6]);
        texts.extend([
            format!("http://127.0.0.1:{forbidden}/"),
            format!("http://127.0.0.1:{port}@127.0.0.1:{forbidden}/"),
        ]);
        let recipe = Recipe {
            exports: vec!["interceptor"],
            imports: vec!["http"],
            texts,
            rows: 3,
            ..Recipe::default()
        };
        let grant = format!(
            "http \"http://127.0.0.1:{port}\" private=#true\nsecret \"token\" env=\"TOKEN\" origin=\"http://127.0.0.1:{port}\""
        );
        let Some(interceptor) = case.interceptor(&recipe, Some(grant.leak())) else { return };
        case.pass(&*interceptor, 3).await;
        interceptor.close().await;
        assert!(other.heard().iter().all(String::is_empty), "{:?}", other.heard());
        for request in server.heard().iter().filter(|request| request.contains("\r\n\r\n")) {
            let head = request.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
            let hosts: Vec<_> = head.lines().filter(|line| line.starts_with("host:")).collect();
            assert_eq!(hosts, [format!("host: 127.0.0.1:{port}")], "{head}");
            assert!(head.lines().next().is_some_and(|line| line.ends_with(" http/1.1")), "{head}");
        }
    });
}
