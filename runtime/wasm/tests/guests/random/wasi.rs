//! WASI: files, variables, clocks and streams, with names that want out. A guest of ours carries out random commands.

use rand::{Rng, seq::IndexedRandom};

use super::{Case, cases};
use crate::support::{Setup, batch, bodies, setup};

const VERBS: &[&str] = &[
    "read",
    "list",
    "write",
    "append",
    "remove",
    "mkdir",
    "rename",
    "link",
    "env",
    "vars",
    "args",
    "wall",
    "monotonic",
    "seed",
    "print",
    "panic",
    "exit",
];
const PARTS: &[&str] = &[
    "/geo",
    "..",
    ".",
    "/",
    "a.txt",
    "secret.txt",
    "etc",
    "passwd",
    "proc",
    "self",
    "environ",
    "\0",
    "ä",
    " ",
    "//",
    "TOKEN",
    "REGION",
];

#[test]
fn wasi() {
    cases("wasi", 25, |mut case: Case| async move {
        let geo = case.rig.data.path().join("geo");
        std::fs::create_dir(&geo).unwrap();
        std::fs::write(geo.join("a.txt"), "inside").unwrap();
        std::fs::write(case.rig.data.path().join("secret.txt"), "outside").unwrap();
        std::os::unix::fs::symlink("../secret.txt", geo.join("link")).unwrap();
        let grant = match case.rng.random_range(0..3) {
            0 => None,
            1 => Some("clocks\nrandom".to_owned()),
            _ => Some(format!("directory {:?} at=\"/geo\"\nenv \"REGION\"", geo.display().to_string())),
        };
        let setup = Setup { grant: grant.map(|grant| &*grant.leak()), ..setup("wasi-files") };
        let Some(interceptor) = case.taken(case.rig.build(&setup).ok()) else { return };
        for _ in 0..10 {
            let commands: Vec<String> =
                (0..case.rng.random_range(1..6)).map(|_| command(&mut case)).collect();
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            let result = interceptor.intercept(batch(&commands)).await;
            case.came_to(result.is_ok());
            let Ok(out) = result else { continue };
            assert_eq!(out.len() + out.diverted().len(), commands.len());
            for body in bodies(&out) {
                assert!(!body.contains("outside") && !body.contains("root:"), "{body}");
                assert!(!body.contains(crate::support::SECRET) && !body.contains("nobody should"), "{body}");
            }
        }
        let mut left: Vec<_> =
            std::fs::read_dir(&geo).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a.txt", "link"]);
        assert_eq!(std::fs::read_to_string(geo.join("a.txt")).unwrap(), "inside");
        interceptor.close().await;
    });
}

fn command(case: &mut Case) -> String {
    let verb = VERBS.choose(&mut case.rng).unwrap();
    let parts: Vec<&str> =
        (0..case.rng.random_range(0..5)).map(|_| *PARTS.choose(&mut case.rng).unwrap()).collect();
    format!("{verb} {}", parts.join("/"))
}
