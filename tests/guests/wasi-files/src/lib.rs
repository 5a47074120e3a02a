//! Does with files, variables, clocks and streams what the body of each event says, and puts the outcome in its place.

use std::{
    fs, io,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// Sleeps so long in `configure`.
    #[serde(default)]
    configure_sleeps: u64,
}

struct WasiFiles;

impl Interceptor for WasiFiles {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        std::thread::sleep(Duration::from_millis(config.configure_sleeps));
        Ok(Self)
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
    let done = |result: io::Result<()>| result.map(|()| "done".to_owned());
    match verb {
        "read" => fs::read_to_string(rest),
        "list" => {
            let mut names = Vec::new();
            for entry in fs::read_dir(rest)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names.join(" "))
        }
        "write" => done(fs::write(rest, "written")),
        "append" => done(fs::OpenOptions::new().append(true).open(rest).map(drop)),
        "remove" => done(fs::remove_file(rest)),
        "mkdir" => done(fs::create_dir(rest)),
        "rename" => done(fs::rename(rest, format!("{rest}.new"))),
        "link" => done(fs::hard_link(rest, format!("{rest}.new"))),
        "env" => Ok(std::env::var(rest).unwrap_or_else(|_| "not set".into())),
        "vars" => Ok(std::env::vars().map(|(name, _)| name).collect::<Vec<_>>().join(" ")),
        "args" => Ok(std::env::args().count().to_string()),
        "wall" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
            Ok(now.as_nanos().to_string())
        }
        "monotonic" => {
            let start = Instant::now();
            let mut turns = 0_u64;
            while start.elapsed().is_zero() && turns < 100_000 {
                turns += 1;
            }
            Ok(if start.elapsed().is_zero() { "stands still" } else { "goes on" }.into())
        }
        "sleep" => {
            std::thread::sleep(Duration::from_millis(rest.parse().unwrap_or(0)));
            Ok("slept".into())
        }
        "seed" => {
            // Seeded by `wasi:random/insecure-seed`.
            use std::hash::{BuildHasher, RandomState};
            Ok(RandomState::new().hash_one(1).to_string())
        }
        "print" => {
            println!("{rest}");
            eprint!("error ");
            eprintln!("{rest}");
            Ok("printed".into())
        }
        "loop" => {
            let mut turns = 0_u64;
            loop {
                turns = std::hint::black_box(turns.wrapping_add(1));
            }
        }
        "panic" => panic!("{rest}"),
        "exit" => std::process::exit(3),
        _ => Ok(format!("unknown: {command}")),
    }
}

millrace_plugin::export!(WasiFiles);
