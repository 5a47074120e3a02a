//! The source is killed at random moments while files are written, rotated and copied, and started again.

use std::{fs, io::Write, path::Path, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Bench, expected, numbered};

/// Writes numbered lines in uneven pieces and rotates now and then.
fn write_and_rotate(folder: &Path, lines: usize, by_copy: bool, mut random: StdRng) {
    let path = folder.join("app.log");
    let mut file = fs::File::options().append(true).create(true).open(&path).unwrap();
    let mut rotations = 0;
    let content = numbered(0..lines);
    let mut rest = content.as_bytes();
    while !rest.is_empty() {
        let (piece, next) = rest.split_at(random.random_range(1..2000).min(rest.len()));
        file.write_all(piece).unwrap();
        rest = next;
        std::thread::sleep(Duration::from_micros(random.random_range(0..300)));
        if piece.ends_with(b"\n") || !random.random_bool(0.05) {
            continue;
        }
        // Only at the end of a line, as programs write them.
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        file.write_all(&rest[..end]).unwrap();
        rest = &rest[end..];
        rotations += 1;
        let rotated = folder.join(format!("app.log.{rotations}"));
        if by_copy {
            fs::copy(&path, &rotated).unwrap();
            file.set_len(0).unwrap();
        } else {
            fs::rename(&path, &rotated).unwrap();
            file = fs::File::options().append(true).create(true).open(&path).unwrap();
        }
    }
}

async fn every_line_arrives_once(by_copy: bool, seed: u64) {
    println!("seed {seed}");
    let bench = Bench::new();
    let mut random = StdRng::seed_from_u64(seed);
    let lines = 20_000;
    let folder = bench.folder.path().to_owned();
    let writer_random = StdRng::seed_from_u64(seed + 1);
    let writer =
        tokio::task::spawn_blocking(move || write_and_rotate(&folder, lines, by_copy, writer_random));
    // The first start of all knows nothing yet that could tell a copy from a file of its own.
    let rig = bench.start("app.log*", "");
    bench.wait_for("line 0").await;
    rig.kill().await;
    let mut kills = 0;
    while !writer.is_finished() || kills < 50 {
        let rig = bench.start("app.log*", "batch-size 100");
        tokio::time::sleep(Duration::from_micros(random.random_range(0..20_000))).await;
        rig.kill().await;
        kills += 1;
    }
    writer.await.unwrap();
    let rig = bench.start("app.log*", "");
    bench.append("app.log", "end\n");
    bench.wait_for("end").await;
    bench.channel.wait_for_events(lines + 1).await;
    let (channel, result) = rig.stop().await;
    result.unwrap();
    let mut found = channel.bodies();
    found.retain(|line| line != "end");
    // Files are read side by side, so order holds within each; every line must be there, once.
    found.sort_by_key(|line| line[5..].parse::<usize>().unwrap());
    assert_eq!(found.len(), lines, "after {kills} kills");
    assert!(found == expected(0..lines));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_line_of_renamed_files_arrives_once() {
    every_line_arrives_once(false, rand::random()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_line_of_copied_and_truncated_files_arrives_once() {
    every_line_arrives_once(true, rand::random()).await;
}
