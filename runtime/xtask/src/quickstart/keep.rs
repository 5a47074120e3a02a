//! `--keep-running`: the log goes on growing, plugins are rebuilt when their source changes, and every change
//! that goes live is reported with the time it took.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};

use crate::guests;

use super::{PLUGINS, Places, agent::RunningAgent, shown, verify};

/// How often anything is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Lines written at each tick.
const LINES_PER_TICK: usize = 20;

/// Goes on until interrupted, or for a time.
pub(super) fn keep_running(
    mut agent: RunningAgent,
    places: &Places,
    lines: &[&str],
    limit: Option<Duration>,
) -> Result<()> {
    println!("\nbuilding the plugins once more, so that edits build soon");
    for name in PLUGINS {
        guests::build_one(&guests::root().join("examples").join(name).join("plugin"))?;
    }
    // The agent takes the new builds before anybody edits.
    std::thread::sleep(Duration::from_secs(1));
    println!(
        "\nthe agent runs on and the log grows; edit the config or a plugin's source now. Ctrl-C stops."
    );
    let mut log = OpenOptions::new().append(true).open(&places.log).context("cannot open the log")?;
    let mut pieces = lines.chunks(LINES_PER_TICK).cycle();
    let mut sources: Vec<Watched> = PLUGINS.iter().map(|name| Watched::plugin(name)).collect();
    let mut config = Watched::file(places.config.clone());
    let mut generation = agent.status()?["generation"].clone();
    let mut edited = None;
    let begun = Instant::now();
    while limit.is_none_or(|limit| begun.elapsed() < limit) {
        if let Some(piece) = pieces.next() {
            log.write_all((piece.join("\n") + "\n").as_bytes()).context("cannot write the log")?;
        }
        for plugin in &mut sources {
            if plugin.has_changed() {
                edited = Some(Instant::now());
                println!("{} has changed, building it", shown(&plugin.path));
                if let Err(error) = guests::build_one(&plugin.path) {
                    println!("{error:#}\nthe running plugin goes on");
                }
            }
        }
        if config.has_changed() {
            edited = Some(Instant::now());
        }
        report(&agent, &mut generation, &mut edited, places)?;
        agent.check_alive()?;
        std::thread::sleep(TICK);
    }
    agent.stop()
}

fn report(
    agent: &RunningAgent,
    generation: &mut serde_json::Value,
    edited: &mut Option<Instant>,
    places: &Places,
) -> Result<()> {
    let status = agent.status()?;
    let reload = &status["last_reload"];
    if status["generation"] != *generation {
        *generation = status["generation"].clone();
        let took = edited.take().map_or(0, |at| at.elapsed().as_millis());
        let changes: Vec<String> = reload["changes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|change| {
                format!(
                    "{} {}",
                    change["action"].as_str().unwrap_or(""),
                    change["name"].as_str().unwrap_or("")
                )
            })
            .collect();
        let lines = verify::delivered(&places.output)?;
        println!(
            "generation {generation} is live, {took} ms after the edit: {} ({lines} lines delivered)",
            changes.join(", ")
        );
    } else if edited.is_some_and(|at| at.elapsed() > Duration::from_millis(1500))
        && reload["outcome"] == "refused"
    {
        *edited = None;
        println!("refused, the old plan runs on: {}", reload["reasons"]);
    }
    Ok(())
}

/// A file or a folder whose newest change is remembered.
struct Watched {
    path: PathBuf,
    newest: Option<SystemTime>,
}

impl Watched {
    fn plugin(name: &str) -> Self {
        Self::file(guests::root().join("examples").join(name).join("plugin"))
    }

    fn file(path: PathBuf) -> Self {
        let newest = newest(&path);
        Self { path, newest }
    }

    fn has_changed(&mut self) -> bool {
        let now = newest(&self.path);
        let changed = now != self.newest;
        self.newest = now;
        changed
    }
}

/// The newest change of a file, or of any source file under a folder.
fn newest(path: &Path) -> Option<SystemTime> {
    if path.is_file() {
        return path.metadata().ok()?.modified().ok();
    }
    let entries = std::fs::read_dir(path).ok()?;
    let inner = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.is_dir() && path.file_name().is_some_and(|name| name != "target")
            || path.extension().is_some_and(|extension| extension == "rs" || extension == "toml")
    });
    inner.filter_map(|path| newest(&path)).max()
}
