//! Plugins built for two versions of the interface in one agent, and one for a version that it does not serve.

use std::process::Command;

use millrace_tests::{Agent, binary, eventually, guest, json_events, json_events_so_far, temporary_folder};

#[test]
fn plugins_of_two_versions_of_the_interface_run_in_one_chain() {
    let folder = temporary_folder();
    let folder = folder.path();
    let log = folder.join("web.log");
    std::fs::write(&log, (0..2000).map(|number| format!("line {number}\n")).collect::<String>()).unwrap();
    let config = |wasm: &str| {
        format!(
            r#"
plugins {{ first path={:?}; second path={:?} }}
channels {{ file "durable" }}
sources {{ taildir "web" channel="durable" {{ path {:?}; interceptors {{ {wasm} }} }} }}
sinks {{ file-roll "out" channel="durable" {{ directory {:?}; serializer "json"; roll interval="1h" }} }}
"#,
            guest("v0-1-0"),
            guest("v0-2-0"),
            log,
            folder.join("out")
        )
    };
    let agent = Agent::start(folder, "edge", &config(r#"wasm "first"; wasm "second""#));
    eventually("everything has arrived", || json_events_so_far(&folder.join("out")).len() == 2000);
    assert!(agent.stop().success());
    let version = Command::new(binary()).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    for (number, event) in json_events(&folder.join("out")).iter().enumerate() {
        assert_eq!(event["body"], format!("line {number}"));
        // Both have set it, the later one last; only the later one is told which agent it is in.
        assert_eq!(event["headers"]["interface"], "0.2.0");
        assert_eq!(event["headers"]["agent"].as_str(), version.trim().rsplit(' ').next());
    }
    assert_eq!(json_events(&folder.join("out")).last().unwrap()["headers"]["seen"], "2000");
}

#[test]
fn a_plugin_of_a_version_to_come_is_refused_with_those_that_are_served() {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    let text = format!(
        "agent \"edge\" {{ data-dir {:?} }}\nplugins {{ later path={:?} }}\nchannels {{ memory \"m\" }}\n\
         sources {{ seq \"in\" channel=\"m\" {{ interceptors {{ wasm \"later\" }} }} }}\nsinks {{ null \"out\" channel=\"m\" }}\n",
        folder.path().join("data"),
        guest("other-version")
    );
    std::fs::write(&path, text).unwrap();
    let output = Command::new(binary()).arg("check").arg(&path).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!output.status.success());
    let plain = said.replace("│ ", "");
    assert!(plain.contains("millrace:plugin/interceptor@0.3.0; this agent serves 0.1 and 0.2"), "{said}");
}
