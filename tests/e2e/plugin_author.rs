//! The loop of a plugin's author, as it is typed: new, build, test, inspect, run, bench, sign, publish.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use millrace_tests::{Registry, binary, guest, temporary_folder};
use serde_json::Value;

fn millrace(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).current_dir(folder).output().unwrap()
}

/// Standard output of a command that must end with this code.
fn ends(code: i32, output: Output) -> (String, String) {
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

fn json(folder: &Path, code: i32, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&ends(code, millrace(folder, &arguments)).0).unwrap()
}

/// A plugin made from the Rust template by the commands themselves, once for all tests.
fn project() -> &'static Path {
    static PROJECT: OnceLock<PathBuf> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let folder = temporary_folder().keep();
        let (out, _) = ends(0, millrace(&folder, &["plugin", "new", "rust", "interceptor", "hide-cards"]));
        assert!(
            out.contains("millrace plugin build hide-cards\n  millrace plugin test hide-cards\n"),
            "{out}"
        );
        let (out, _) = ends(0, millrace(&folder, &["plugin", "build", "--dev", "hide-cards"]));
        assert!(out.contains("role     interceptor\n") && out.contains("digest   sha256:"), "{out}");
        folder.join("hide-cards")
    })
}

#[test]
fn a_new_plugin_is_built_tested_and_measured() {
    let project = project();
    let (out, _) = ends(0, millrace(project, &["plugin", "test"]));
    assert!(out.ends_with("cases, 0 failed\n"), "{out}");
    let inspected = json(project, 0, &["plugin", "inspect", "hide-cards.wasm"]);
    assert_eq!(inspected["world"], "pure-interceptor");
    assert_eq!(inspected["manifest"]["name"], "hide-cards");
    let bench = json(project, 0, &["plugin", "bench", "hide-cards.wasm", "--seconds", "1"]);
    assert_eq!(bench["rows"].as_array().unwrap().len(), 12);
    assert!(bench["cost"]["call_ns"].as_f64().unwrap() > 0.0, "{bench}");
    assert!(bench["compile_us"].as_u64() > bench["cached_us"].as_u64(), "{bench}");
    assert!(bench["memory_bytes"].as_u64().unwrap() > 0, "{bench}");
    // Nothing has changed since: the file stays, and says so.
    let again = json(project, 0, &["plugin", "build", "--dev"]);
    assert_eq!((&again["changed"], &again["language"]), (&Value::Bool(false), &"rust".into()));
}

#[test]
fn lines_go_through_a_plugin() {
    let project = project();
    let mut child = Command::new(binary())
        .args([
            "plugin",
            "run",
            "hide-cards.wasm",
            "--config",
            "mask=*",
            "--config",
            "keep=2",
            "--show-headers",
        ])
        .current_dir(project)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"a 4111111111111111\n\nno card \xff\nlast 4111111111111111")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        output.stdout,
        b"redacted=1 a **************11\n\nno card \xff\nredacted=1 last **************11\n".as_slice()
    );
    let (_, err) = ends(1, millrace(project, &["plugin", "run", "hide-cards.wasm", "--config", "maks=*"]));
    assert!(err.contains("unknown option `maks`") && err.contains("did you mean `mask`?"), "{err}");
}

#[test]
fn a_dropped_and_a_rejected_line_are_told_with_the_reason() {
    let folder = temporary_folder();
    let lines = folder.path().join("lines");
    fs::write(&lines, "keep\nneedle-here\n").unwrap();
    let searches = guest("searches");
    let arguments = ["plugin", "run", searches.to_str().unwrap(), "--input", "lines"];
    let (out, err) = ends(0, millrace(folder.path(), &arguments));
    assert_eq!((out.as_str(), err.as_str()), ("keep\n", "dropped: needle-here\n"));
    let (out, err) = ends(0, millrace(folder.path(), &[&arguments[..], &["--batch", "100"]].concat()));
    assert_eq!((out.as_str(), err.as_str()), ("keep\n", "dropped: 1 of 2 lines\n"));
}

#[test]
fn a_case_that_fails_shows_every_difference() {
    let project = project();
    let cases = project.join("wrong.kdl");
    fs::write(
        &cases,
        "case \"wrong\" { in { event \"4111111111111111\"; event \"x\" }; out { event \"x\"; event \"y\" a=\"1\" } }\n\
         case \"right\" { in { event \"x\" }; unchanged }\n\
         case \"no mistake\" { config { keep 4 }; issue \"/keep\" }\n",
    )
    .unwrap();
    let (out, _) = ends(1, millrace(project, &["plugin", "test", "--cases", "wrong.kdl"]));
    assert_eq!(
        out,
        "FAILED  wrong\n        \
         + out: event \"############1111\" redacted=\"1\"\n          \
         out: event \"x\"\n        \
         - out: event \"y\" a=\"1\"\n        \
         (- expected, + found)\n\
         good    right\n\
         FAILED  no mistake\n        \
         - issue \"/keep\"\n        \
         + the options are accepted\n        \
         (- expected, + found)\n\
         3 cases, 2 failed\n"
    );
    let result = json(project, 0, &["plugin", "test", "--cases", "wrong.kdl", "--only", "right"]);
    assert_eq!(result["cases"][0]["passed"], true);
    fs::write(&cases, "case \"a\" { in { event \"x\" }; unchnged }").unwrap();
    let (_, err) = ends(2, millrace(project, &["plugin", "test", "--cases", "wrong.kdl"]));
    assert!(err.contains("wrong.kdl:1:30") && err.contains("did you mean `unchanged`?"), "{err}");
}

#[test]
fn a_folder_that_exists_and_a_bad_name_are_refused() {
    let folder = temporary_folder();
    fs::create_dir(folder.path().join("there")).unwrap();
    for (arguments, reason) in [
        (["rust", "interceptor", "there"], "there exists already"),
        (["rust", "interceptor", "../up"], "cannot be the name of a plugin"),
        (["rust", "interceptor", "Big"], "lower-case letters"),
        (["rsut", "interceptor", "a"], "did you mean `rust`?"),
        (["rust", "channel", "a"], "there is no template for a channel in rust"),
    ] {
        let (_, err) = ends(2, millrace(folder.path(), &[&["plugin", "new"], &arguments[..]].concat()));
        assert!(err.contains(reason), "{err}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let (out, _) = ends(0, millrace(folder.path(), &["plugin", "new"]));
    assert!(out.contains("rust        interceptor\n"), "{out}");
    let (_, err) = ends(1, millrace(folder.path(), &["plugin", "build"]));
    assert!(err.contains("holds no plugin in a language that is known here"), "{err}");
}

#[test]
fn a_build_stops_at_a_wrong_manifest_and_at_a_wrong_source() {
    let folder = temporary_folder();
    ends(0, millrace(folder.path(), &["plugin", "new", "rust", "interceptor", "broken"]));
    let project = folder.path().join("broken");
    let manifest = project.join("plugin.kdl");
    let good = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, good.replace("summary", "sumary")).unwrap();
    let (_, err) = ends(1, millrace(&project, &["plugin", "build"]));
    assert!(err.contains("did you mean `summary`?"), "{err}");
    fs::write(&manifest, good).unwrap();
    fs::write(project.join("src/lib.rs"), "compile_error!(\"not yet\");").unwrap();
    let (_, err) = ends(1, millrace(&project, &["plugin", "build", "--dev"]));
    assert!(err.contains("cargo build of broken failed") && err.contains("not yet"), "{err}");
    assert!(!project.join("broken.wasm").exists());
}

fn config(folder: &Path, plugin: &str, options: &str) -> PathBuf {
    let path = folder.join("agent.kdl");
    let text = format!(
        "plugins {{ hide {plugin} }}\nchannels {{ memory \"m\" }}\n\
         sources {{ netcat \"in\" channel=\"m\" {{ listen \"127.0.0.1:0\"; interceptors {{ wasm \"hide\" {{\n{options}\n}} }} }} }}\n\
         sinks {{ null \"out\" channel=\"m\" }}\n"
    );
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn check_knows_the_options_of_a_plugin_from_its_file() {
    let folder = temporary_folder();
    let plugin = format!("path={:?}", project().join("hide-cards.wasm"));
    config(folder.path(), &plugin, "maks \"*\"\nkeep \"four\"");
    let found = json(folder.path(), 1, &["check", "agent.kdl"]);
    let text = found.to_string();
    for part in [
        "plugin::unknown-option",
        "unknown option `maks`",
        "did you mean `mask`?",
        "plugin::wrong-type",
        "`keep` is not a whole number",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (out, _) = ends(1, millrace(folder.path(), &["check", "agent.kdl"]));
    assert!(out.contains("agent.kdl:4:1") && out.contains("agent.kdl:5:6"), "{out}");
    config(folder.path(), &plugin, "keep 2");
    ends(0, millrace(folder.path(), &["check", "agent.kdl"]));
    let (out, _) = ends(0, millrace(folder.path(), &["explain", "plugin", "hide", "--config", "agent.kdl"]));
    assert!(
        out.starts_with("hide-cards: ") && out.contains("  keep  whole number from 0 to 13, default 4\n"),
        "{out}"
    );
    let (_, err) =
        ends(2, millrace(folder.path(), &["explain", "plugin", "hidden", "--config", "agent.kdl"]));
    assert!(err.contains("declares no plugin `hidden`; did you mean `hide`?"), "{err}");
}

#[test]
fn a_key_makes_the_signature_mandatory() {
    let folder = temporary_folder();
    fs::copy(project().join("hide-cards.wasm"), folder.path().join("hide.wasm")).unwrap();
    let (out, _) = ends(0, millrace(folder.path(), &["plugin", "keygen", "mine"]));
    let key = out.rsplit(' ').next().unwrap().trim().to_owned();
    ends(0, millrace(folder.path(), &["plugin", "keygen", "other"]));
    config(folder.path(), &format!("path=\"hide.wasm\" key={key:?}"), "");
    let (out, _) = ends(1, millrace(folder.path(), &["check", "agent.kdl"]));
    assert!(out.contains("plugin::signature") && out.contains("hide.wasm.minisig cannot be read"), "{out}");
    assert!(out.contains("agent.kdl:1:"), "{out}");
    ends(0, millrace(folder.path(), &["plugin", "sign", "hide.wasm", "--key", "other.key"]));
    let (out, _) = ends(1, millrace(folder.path(), &["check", "agent.kdl"]));
    assert!(out.contains("it is signed with another key"), "{out}");
    let (_, err) = ends(1, millrace(folder.path(), &["plugin", "verify", "hide.wasm", "--key", "mine.pub"]));
    assert!(err.contains("it is signed with another key"), "{err}");
    ends(0, millrace(folder.path(), &["plugin", "sign", "hide.wasm", "--key", "mine.key"]));
    let (out, _) = ends(0, millrace(folder.path(), &["plugin", "verify", "hide.wasm", "--key", &key]));
    assert_eq!(out, "hide.wasm: good (file:hide.wasm)\n");
    ends(0, millrace(folder.path(), &["check", "agent.kdl"]));
    fs::OpenOptions::new()
        .append(true)
        .open(folder.path().join("hide.wasm"))
        .unwrap()
        .write_all(b"\0\x02\x01x")
        .unwrap();
    let (out, _) = ends(1, millrace(folder.path(), &["check", "agent.kdl"]));
    assert!(out.contains("the signature is not one of this content"), "{out}");
    config(folder.path(), "path=\"hide.wasm\" key=\"RWshort\"", "");
    let (out, _) = ends(1, millrace(folder.path(), &["check", "agent.kdl"]));
    assert!(out.contains("is not a public key of minisign"), "{out}");
}

#[test]
fn a_plugin_goes_to_a_registry_and_comes_back_as_it_was() {
    let folder = temporary_folder();
    let registry = Registry::start();
    let reference = format!("oci://{}/team/hide:1.0", registry.address());
    fs::copy(project().join("hide-cards.wasm"), folder.path().join("hide.wasm")).unwrap();
    ends(0, millrace(folder.path(), &["plugin", "keygen", "mine"]));
    ends(0, millrace(folder.path(), &["plugin", "sign", "hide.wasm", "--key", "mine.key"]));
    let pushed = json(folder.path(), 0, &["plugin", "push", "hide.wasm", &reference]);
    let again = json(folder.path(), 0, &["plugin", "push", "hide.wasm", &reference]);
    assert_eq!(pushed["digest"], again["digest"]);
    let pulled = json(folder.path(), 0, &["plugin", "pull", &reference, "--output", "back.wasm"]);
    assert_eq!(
        (&pulled["digest"], &pulled["component_digest"]),
        (&pushed["digest"], &pushed["component_digest"])
    );
    assert_eq!(
        fs::read(folder.path().join("back.wasm")).unwrap(),
        fs::read(folder.path().join("hide.wasm")).unwrap()
    );
    ends(0, millrace(folder.path(), &["plugin", "verify", "back.wasm", "--key", "mine.pub"]));
    let pinned = pushed["reference"].as_str().unwrap();
    ends(0, millrace(folder.path(), &["plugin", "pull", pinned, "--output", "pinned.wasm"]));
    let missing = format!("oci://{}/team/other:1.0", registry.address());
    let (_, err) = ends(1, millrace(folder.path(), &["plugin", "pull", &missing]));
    assert!(err.contains("the registry answers 404"), "{err}");
    let (_, err) = ends(1, millrace(folder.path(), &["plugin", "pull", "oci://127.0.0.1:1/a:b"]));
    assert!(err.contains("the registry 127.0.0.1:1 does not answer: "), "{err}");
    let (_, err) = ends(2, millrace(folder.path(), &["plugin", "pull", "https://127.0.0.1/a"]));
    assert!(err.contains("the scheme is https"), "{err}");
    fs::write(folder.path().join("text.wasm"), "text").unwrap();
    ends(1, millrace(folder.path(), &["plugin", "push", "text.wasm", &reference]));
}

/// A custom section of a component.
fn section(name: &str, content: &[u8]) -> Vec<u8> {
    let mut inner = vec![u8::try_from(name.len()).unwrap()];
    inner.extend_from_slice(name.as_bytes());
    inner.extend_from_slice(content);
    let mut section = vec![0];
    let mut length = inner.len();
    while length >= 0x80 {
        section.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    section.push(length as u8);
    section.extend(inner);
    section
}

#[test]
fn files_that_are_no_plugins_and_hostile_manifests_are_a_no() {
    let folder = temporary_folder();
    let file = folder.path().join("file.wasm");
    let whole = fs::read(guest("keeps-all")).unwrap();
    let with = |content: &[u8]| [&whole[..], &section("millrace:manifest", content)].concat();
    let deep = format!("plugin \"a\" {}{}", "{ x ".repeat(5000), "}".repeat(5000));
    let schema = r###"plugin "a" { config ##"{"$ref":"#"}"## }"###;
    for (content, reason) in [
        (Vec::new(), "no valid component"),
        (b"hello".to_vec(), "no valid component"),
        (whole[..whole.len() / 2].to_vec(), "no valid component"),
        (with(b"\xff\xfe"), "its manifest cannot be used: it is not text"),
        (with(b"plugin {"), "its manifest cannot be used"),
        (with(deep.as_bytes()), "its manifest cannot be used"),
        (with(&vec![b' '; 600_000]), "its manifest cannot be used: it has 600000 bytes"),
        (
            [with(b"plugin \"a\""), section("millrace:manifest", b"plugin \"b\"")].concat(),
            "there are two of them",
        ),
        (with(schema.as_bytes()), "it refers to itself without end"),
    ] {
        fs::write(&file, &content).unwrap();
        let output = millrace(folder.path(), &["plugin", "inspect", "file.wasm"]);
        let (out, err) = ends(1, output);
        assert!(out.contains(reason) || err.contains(reason), "{reason}: {out}{err}");
    }
    fs::File::create(&file).unwrap().set_len((64 << 20) + 1).unwrap();
    let (_, err) = ends(2, millrace(folder.path(), &["plugin", "inspect", "file.wasm"]));
    assert!(err.contains("at most 67108864 are allowed"), "{err}");
    let (_, err) = ends(2, millrace(folder.path(), &["plugin", "inspect", "nowhere.wasm"]));
    assert!(err.contains("nowhere.wasm"), "{err}");
}

#[test]
fn two_versions_are_compared() {
    let folder = temporary_folder();
    let (old, new) = (guest("keeps-all"), project().join("hide-cards.wasm"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let changes = json(folder.path(), 0, &["plugin", "inspect", new, "--against", old]);
    let lines = changes["changes"]["changes"].to_string();
    assert!(lines.contains("keep: whole number from 0 to 13, default 4"), "{lines}");
    assert_eq!(changes["changes"]["asks_for_more"], lines.contains(r#"{"about":"imports","change":"added""#));
    let same = json(folder.path(), 0, &["plugin", "inspect", new, "--against", new]);
    assert_eq!(
        (&same["changes"]["bytes"], same["changes"]["changes"].as_array().unwrap().len()),
        (&0.into(), 0)
    );
}

#[test]
fn every_command_of_the_author_has_help_with_an_example() {
    let folder = temporary_folder();
    for command in
        ["new", "build", "inspect", "test", "bench", "run", "keygen", "sign", "verify", "push", "pull"]
    {
        let (help, _) = ends(0, millrace(folder.path(), &["plugin", command, "--help"]));
        assert!(help.contains("Example:\n  "), "{command}: {help}");
    }
}
