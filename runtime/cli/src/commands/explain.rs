//! `millrace explain`: the reference of every component, from the tables that `check` uses.

use std::{fs, path::Path};

use anyhow::Context;
use millrace_config::{AGENT_OPTIONS, Explained, OptionSpec, PLUGIN_OPTIONS, SINK_OPTIONS};
use millrace_core::Registry;

use crate::{args::ExplainOptions, exit::Answer, place, registry};

/// A component type, or a block that is no component.
struct Topic {
    /// `source`, `sink`, … or `block`.
    role: &'static str,
    name: &'static str,
    summary: &'static str,
    options: &'static [OptionSpec],
    example: &'static str,
}

impl Topic {
    fn explained(&self) -> Explained<'_> {
        let example = Some(self.example).filter(|example| !example.is_empty());
        Explained { name: self.name, summary: self.summary, options: self.options, example }
    }

    fn title(&self) -> String {
        format!("{} {}", self.role, self.name)
    }
}

pub(crate) fn explain(options: &ExplainOptions) -> anyhow::Result<Answer> {
    let types = registry::registry();
    let topics = topics(&types);
    if let Some(folder) = &options.markdown {
        write_pages(&topics, folder)?;
        return Ok(Answer::Good);
    }
    let Some(wanted) = &options.topic else {
        print!("{}", list(&topics));
        return Ok(Answer::Good);
    };
    match (wanted.as_str(), &options.plugin) {
        ("plugin", Some(name)) => return super::explain_plugin::by_name(name, &options.config),
        (_, Some(more)) => anyhow::bail!("`explain {wanted}` stands alone; what is `{more}`?"),
        (file, None) if file.ends_with(".wasm") => return super::explain_plugin::by_file(Path::new(file)),
        _ => {}
    }
    let found: Vec<&Topic> = topics.iter().filter(|topic| topic.name == wanted).collect();
    if found.is_empty() {
        let near = millrace_config::closest(wanted, topics.iter().map(|topic| topic.name));
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        eprintln!("millrace: there is nothing called `{wanted}`; {near}`millrace explain` lists everything");
        return Ok(Answer::No);
    }
    for (place_in_list, topic) in found.iter().enumerate() {
        if place_in_list > 0 {
            println!();
        }
        if found.len() > 1 {
            println!("[{}]", topic.role);
        }
        print!("{}", millrace_config::explain_text(&topic.explained(), place::colour(), place::width()));
    }
    Ok(Answer::Good)
}

macro_rules! topics_of {
    ($topics:ident, $role:literal, $factories:expr) => {
        $topics.extend($factories.iter().map(|factory| Topic {
            role: $role,
            name: factory.name,
            summary: factory.summary,
            options: factory.options,
            example: factory.example,
        }));
    };
}

fn topics(types: &Registry) -> Vec<Topic> {
    let block = |name, summary, options, example| Topic { role: "block", name, summary, options, example };
    let mut topics = vec![
        block(
            "agent",
            "The agent itself: its name, its data, its admin server",
            AGENT_OPTIONS,
            "agent \"edge-01\" { data-dir \"/var/lib/millrace\" }",
        ),
        block(
            "plugins",
            "A plugin: its file, its limits, its grants",
            PLUGIN_OPTIONS,
            "plugins { redact path=\"plugins/redact.wasm\" }",
        ),
        block("sink-options", "What every sink and sink group has besides its own options", SINK_OPTIONS, ""),
    ];
    topics_of!(topics, "source", types.sources);
    topics_of!(topics, "interceptor", types.interceptors);
    topics_of!(topics, "selector", types.selectors);
    topics_of!(topics, "channel", types.channels);
    topics_of!(topics, "sink", types.sinks);
    topics_of!(topics, "sink-processor", types.sink_processors);
    topics.sort_by_key(|topic| (role_order(topic.role), topic.name));
    topics
}

fn role_order(role: &str) -> usize {
    ["block", "source", "interceptor", "selector", "channel", "sink", "sink-processor"]
        .iter()
        .position(|known| *known == role)
        .unwrap_or(usize::MAX)
}

fn list(topics: &[Topic]) -> String {
    let width = topics.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut role = "";
    for topic in topics {
        if topic.role != role {
            role = topic.role;
            text.push_str(&format!("{}{role}s\n", if text.is_empty() { "" } else { "\n" }));
        }
        text.push_str(&format!("  {:<width$}  {}\n", topic.name, topic.summary));
    }
    text + "\n`millrace explain NAME` shows the options of one of them\n"
}

/// One page per topic and an index, for the repository.
#[expect(clippy::disallowed_methods, reason = "the pages go where the user says")]
fn write_pages(topics: &[Topic], folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut index = String::from(
        "# Reference\n\nEvery component with its options. These pages are generated by `cargo xtask docs` from the \
         tables that `millrace check` uses; `millrace explain NAME` shows the same in a terminal.\n",
    );
    let mut role = "";
    for topic in topics {
        if topic.role != role {
            role = topic.role;
            index.push_str(&format!("\n## {role}s\n\n"));
        }
        let file = format!("{}.md", topic.title().replace(' ', "-"));
        index.push_str(&format!("- [`{}`]({file}): {}\n", topic.name, topic.summary));
        let page = millrace_config::explain_markdown(&topic.explained(), 1);
        fs::write(folder.join(&file), page).with_context(|| format!("cannot write {file}"))?;
    }
    fs::write(folder.join("README.md"), index).context("cannot write the index")
}
