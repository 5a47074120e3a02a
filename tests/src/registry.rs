//! A real OCI registry on loopback: that of `crane`, installed by Go's own tools from its module proxy.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use crate::build::target;

const CRANE: &str = "github.com/google/go-containerregistry/cmd/crane@v0.20.6";

/// A running registry; it ends when dropped.
pub struct Registry {
    child: Child,
    address: String,
}

fn crane() -> &'static PathBuf {
    static CRANE_PATH: OnceLock<PathBuf> = OnceLock::new();
    CRANE_PATH.get_or_init(|| {
        let folder = target().join("tools");
        let path = folder.join("crane");
        if !path.exists() {
            let status = Command::new("go").args(["install", CRANE]).env("GOBIN", &folder).status();
            assert!(status.is_ok_and(|status| status.success()), "Go is needed to install {CRANE}");
        }
        path
    })
}

impl Registry {
    /// Starts one on a free port, with nothing in it.
    ///
    /// # Panics
    /// It cannot be installed or does not start.
    pub fn start() -> Self {
        let child = Command::new(crane())
            .args(["registry", "serve", "--address", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else { unreachable!("crane can be run") };
        let Some(log) = child.stderr.take() else { unreachable!("standard error is a pipe") };
        // 2026/11/23 17:49:42 serving on port 45871
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let port =
            lines.find_map(|line| line.rsplit_once("on port ").map(|(_, port)| port.trim().to_owned()));
        let Some(port) = port else { unreachable!("the registry says where it listens") };
        // Whoever stops reading would block it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: format!("127.0.0.1:{port}") }
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is gone already, or it ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
