//! `millrace plugin run`: lines through one plugin.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write, stdin},
};

use anyhow::{Context, bail};
use millrace_author::{
    pipe::{Pipe, Piped},
    rig::Rig,
};

use crate::{exit::Answer, output::output, plugin_args::RunLinesOptions};

#[expect(clippy::disallowed_methods, reason = "the user names the file of lines")]
pub(crate) fn run(options: &RunLinesOptions) -> anyhow::Result<Answer> {
    if !(1..=100_000).contains(&options.batch) {
        bail!("--batch {}: 1 to 100000", options.batch);
    }
    let around = super::config::around(&options.config, &options.file)?;
    let header = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("--header {text}: write NAME=VALUE"),
    };
    let headers = options.headers.iter().map(header).collect::<anyhow::Result<Vec<_>>>()?;
    let mut input: Box<dyn BufRead> = match &options.input {
        Some(path) => Box::new(BufReader::new(
            File::open(path).with_context(|| format!("cannot read {}", path.display()))?,
        )),
        None => Box::new(BufReader::new(stdin())),
    };
    let pipe = match Pipe::open(Rig::new()?, &options.file, &around, &headers) {
        Ok(pipe) => pipe,
        Err(found) => return super::no(&super::config::report(&found, &around.files)),
    };
    let runtime = super::runtime()?;
    let mut all_passed = true;
    loop {
        let lines = lines(&mut *input, options.batch)?;
        if lines.is_empty() {
            break;
        }
        let count = lines.len();
        match runtime.block_on(pipe.pass(lines)) {
            Ok(piped) => show(&piped, count, options)?,
            Err(error) => {
                all_passed = false;
                eprintln!("failed: {error}");
            }
        }
    }
    runtime.block_on(pipe.close());
    Ok(if all_passed { Answer::Good } else { Answer::No })
}

/// The next lines, without their ends. Empty: there are no more.
fn lines(input: &mut dyn BufRead, most: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    while lines.len() < most {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        lines.push(line);
    }
    Ok(lines)
}

fn show(piped: &Piped, count: usize, options: &RunLinesOptions) -> anyhow::Result<()> {
    let mut out = output();
    for event in &piped.out {
        if options.show_headers {
            for (name, value) in event.headers.iter() {
                write!(out, "{}={} ", name.escape_debug(), value.escape_debug())?;
            }
        }
        out.write_all(&event.body)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    for (event, why) in &piped.aside {
        eprintln!("{}: {}", why.escape_debug(), String::from_utf8_lossy(&event.body).escape_debug());
    }
    for event in &piped.dropped {
        eprintln!("dropped: {}", String::from_utf8_lossy(&event.body).escape_debug());
    }
    let told = piped.out.len() + piped.aside.len() + piped.dropped.len();
    if told < count {
        eprintln!("dropped: {} of {count} lines", count - told);
    }
    Ok(())
}
