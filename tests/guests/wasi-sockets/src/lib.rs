//! Does with sockets what the body of each event says, and puts the outcome in its place.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
};

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// Connects there in `configure` and refuses the configuration if that works.
    #[serde(default)]
    connect: Option<String>,
}

struct WasiSockets;

impl Interceptor for WasiSockets {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        match config.connect.map(TcpStream::connect) {
            Some(Ok(_)) => Err(vec![Issue::new("/connect", "connected")]),
            _ => Ok(Self),
        }
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            let outcome = match carry_out(&String::from_utf8_lossy(body)) {
                Ok(outcome) => outcome,
                Err(error) => format!("error: {:?}", error.kind()),
            };
            edits.set_body(row, outcome.as_bytes());
        }
        Ok(())
    }
}

fn carry_out(command: &str) -> io::Result<String> {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    match verb {
        "connect" => {
            let mut stream = TcpStream::connect(rest)?;
            stream.write_all(b"ping\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        }
        "lookup" => {
            let found = rest.to_socket_addrs()?;
            Ok(found.map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" "))
        }
        "listen" => TcpListener::bind(rest).map(|_| "listening".into()),
        "udp" => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(b"x", rest).map(|_| "sent".into())
        }
        _ => Ok(format!("unknown: {command}")),
    }
}

millrace_plugin::export!(WasiSockets);
