//! An S3 server of another make: moto, from PyPI.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use crate::peers::{Server, install, run};

/// A server with nothing in it. It ends when dropped.
pub struct S3Server {
    server: Server,
}

impl S3Server {
    /// Starts one that thinks this long about each part of an upload.
    ///
    /// # Panics
    /// Python is missing, or moto cannot be installed.
    pub fn start(part_pause: Duration) -> Self {
        let folder = install("moto", |folder| {
            run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder));
            let pip =
                ["install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"];
            run(Command::new(folder.join("venv/bin/pip")).args(pip).current_dir(folder));
        });
        let mut command = Command::new(folder.join("venv/bin/python"));
        command.arg(folder.join("server.py")).arg(part_pause.as_millis().to_string());
        // What it says about each request.
        let log = fs::File::create(folder.join("server.log"));
        if let Ok(log) = log {
            command.stderr(log);
        }
        Self { server: Server::start_quietly(&mut command) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// Makes a bucket.
    ///
    /// # Panics
    /// The server refuses.
    pub fn create_bucket(&self, bucket: &str) {
        let (status, body) = self.request("PUT", &format!("/{bucket}"));
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }

    /// How many uploads are neither complete nor aborted.
    pub fn unfinished_uploads(&self, bucket: &str) -> usize {
        self.listing(&format!("/{bucket}?uploads")).matches("<Upload>").count()
    }

    /// The names of the objects, in order.
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let listing = self.listing(&format!("/{bucket}?list-type=2"));
        let keys = listing.split("<Key>").skip(1);
        keys.filter_map(|key| key.split_once("</Key>")).map(|(key, _)| key.to_owned()).collect()
    }

    /// What is in an object.
    ///
    /// # Panics
    /// There is none.
    pub fn object(&self, bucket: &str, key: &str) -> Vec<u8> {
        let (status, body) = self.request("GET", &format!("/{bucket}/{key}"));
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    }

    fn listing(&self, path: &str) -> String {
        let (status, body) = self.request("GET", path);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 200, "{body}");
        assert!(!body.contains("<IsTruncated>true"), "more than one page: {body}");
        body
    }

    fn request(&self, method: &str, path: &str) -> (u16, Vec<u8>) {
        let answer = self.answer(method, path).unwrap_or_default();
        let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
        let head = String::from_utf8_lossy(&answer[..head_end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.get(head_end + 4..).unwrap_or_default().to_vec())
    }

    fn answer(&self, method: &str, path: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port))?;
        // A name of a host that moto takes for S3, and a key, which it does not check.
        let key = "AWS4-HMAC-SHA256 Credential=id/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: s3.amazonaws.com\r\nAuthorization: {key}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}
