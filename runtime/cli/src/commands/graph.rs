//! `millrace graph`: the flow as text, DOT or Mermaid.

use millrace_config::{ComponentSpec, Report};
use millrace_core::Way;
use millrace_engine::{AgentPlan, DeliveryPlan, SinkTree};

use crate::{
    args::{GraphFormat, GraphOptions},
    exit::Answer,
    place, registry,
};

pub(crate) fn graph(options: &GraphOptions) -> anyhow::Result<Answer> {
    let (spec, mut findings) = registry::load(&options.config);
    let files = spec.files.clone();
    let types = registry::registry();
    let host = registry::plugin_host(&spec.agent.data_dir);
    let (plan, found) = registry::plan(spec, &types, &*host);
    findings.extend(found);
    if findings.has_errors() {
        eprint!("{}", Report::new(&findings, &files).render_text(place::colour_errors(), place::width()));
        return Ok(Answer::No);
    }
    match options.format {
        GraphFormat::Text => print!("{}", text(&plan)),
        GraphFormat::Dot => print!("{}", dot(&plan)),
        GraphFormat::Mermaid => print!("{}", mermaid(&plan)),
    }
    Ok(Answer::Good)
}

/// One line per way of an event.
fn text(plan: &AgentPlan) -> String {
    let mut lines = String::new();
    for source in &plan.sources {
        let mut way = format!("{} ({})", source.name, kind(&source.component, source.component.codec()));
        for step in &source.interceptors {
            way.push_str(&format!(" > {}", step.name));
        }
        let channel = |way: &Way| match &way.when {
            Some(when) => format!("{} ({when})", way.channel),
            None => way.channel.clone(),
        };
        let channels: Vec<String> = source.ways.iter().map(channel).collect();
        lines.push_str(&format!("{way} -> {}\n", channels.join(", ")));
    }
    for delivery in &plan.deliveries {
        let tree = tree_text(&delivery.tree, codec(delivery));
        lines.push_str(&format!("{} -> {tree}\n", delivery.channel));
    }
    lines
}

/// A type, with the plugin that reads or writes bytes for it.
fn kind(component: &ComponentSpec, codec: Option<&str>) -> String {
    let kind = &component.kind.value;
    codec.map_or_else(|| kind.clone(), |codec| format!("{kind}, codec {codec}"))
}

fn codec(delivery: &DeliveryPlan) -> Option<&str> {
    delivery.delivery.block("codec")?.name()
}

fn tree_text(tree: &SinkTree, codec: Option<&str>) -> String {
    let own = format!("{} ({})", tree.name, kind(&tree.component, codec));
    match &tree.members {
        None => own,
        Some(members) => {
            let members: Vec<String> = members.iter().map(|member| tree_text(member, None)).collect();
            format!("{own} {{ {} }}", members.join("; "))
        }
    }
}

/// Edges between identified nodes, with labels.
struct Edges {
    nodes: Vec<(String, String, &'static str)>,
    edges: Vec<(String, String, String)>,
}

fn edges(plan: &AgentPlan) -> Edges {
    let mut graph = Edges { nodes: Vec::new(), edges: Vec::new() };
    for channel in &plan.channels {
        graph.node("channel", &channel.name, &channel.component.kind.value);
    }
    for source in &plan.sources {
        let kind = kind(&source.component, source.component.codec());
        let id = graph.node("source", &source.name, &kind);
        let steps: Vec<&str> = source.interceptors.iter().map(|step| step.name.as_str()).collect();
        for way in &source.ways {
            let when = way.when.iter().map(|when| format!("({when})"));
            let label: Vec<String> = Some(steps.join(" > ")).into_iter().chain(when).collect();
            let label = label.join(" ").trim_start().to_owned();
            graph.edges.push((id.clone(), format!("channel:{}", way.channel), label));
        }
    }
    for delivery in &plan.deliveries {
        let id = graph.tree(&delivery.tree, codec(delivery));
        graph.edges.push((format!("channel:{}", delivery.channel), id, String::new()));
    }
    graph
}

impl Edges {
    fn node(&mut self, role: &'static str, name: &str, kind: &str) -> String {
        let id = format!("{role}:{name}");
        self.nodes.push((id.clone(), format!("{name}\\n{kind}"), role));
        id
    }

    fn tree(&mut self, tree: &SinkTree, codec: Option<&str>) -> String {
        let id = self.node("sink", &tree.name, &kind(&tree.component, codec));
        for member in tree.members.iter().flatten() {
            let inner = self.tree(member, None);
            self.edges.push((id.clone(), inner, String::new()));
        }
        id
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "'"))
}

fn dot(plan: &AgentPlan) -> String {
    let graph = edges(plan);
    let mut text = String::from("digraph millrace {\n  rankdir=LR;\n  node [shape=box];\n");
    for (id, label, role) in &graph.nodes {
        let shape = if *role == "channel" { " shape=cylinder" } else { "" };
        text.push_str(&format!("  {} [label={}{shape}];\n", quoted(id), quoted(label)));
    }
    for (from, to, label) in &graph.edges {
        text.push_str(&format!("  {} -> {} [label={}];\n", quoted(from), quoted(to), quoted(label)));
    }
    text + "}\n"
}

fn mermaid(plan: &AgentPlan) -> String {
    let graph = edges(plan);
    let id =
        |id: &str| id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
    let mut text = String::from("flowchart LR\n");
    for (node, label, role) in &graph.nodes {
        let label = quoted(&label.replace("\\n", "<br/>"));
        let (open, close) = if *role == "channel" { ("[(", ")]") } else { ("[", "]") };
        text.push_str(&format!("  {}{open}{label}{close}\n", id(node)));
    }
    for (from, to, label) in &graph.edges {
        let label = if label.is_empty() { String::new() } else { format!("|{}|", quoted(label)) };
        text.push_str(&format!("  {} -->{label} {}\n", id(from), id(to)));
    }
    text
}
