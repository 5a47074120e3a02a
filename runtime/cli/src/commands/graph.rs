//! `millrace graph`: the flow as text, DOT or Mermaid.

use millrace_config::Report;
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
        let mut way = format!("{} ({})", source.name, source.component.kind.value);
        for step in &source.interceptors {
            way.push_str(&format!(" > {}", step.name));
        }
        lines.push_str(&format!("{way} -> {}\n", source.channels.join(", ")));
    }
    for delivery in &plan.deliveries {
        lines.push_str(&format!("{} -> {}\n", delivery.channel, tree_text(&delivery.tree)));
    }
    lines
}

fn tree_text(tree: &SinkTree) -> String {
    let own = format!("{} ({})", tree.name, tree.component.kind.value);
    match &tree.members {
        None => own,
        Some(members) => {
            let members: Vec<String> = members.iter().map(tree_text).collect();
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
        let id = graph.node("source", &source.name, &source.component.kind.value);
        let steps: Vec<&str> = source.interceptors.iter().map(|step| step.name.as_str()).collect();
        for channel in &source.channels {
            graph.edges.push((id.clone(), format!("channel:{channel}"), steps.join(" > ")));
        }
    }
    for DeliveryPlan { channel, tree, .. } in &plan.deliveries {
        let id = graph.tree(tree);
        graph.edges.push((format!("channel:{channel}"), id, String::new()));
    }
    graph
}

impl Edges {
    fn node(&mut self, role: &'static str, name: &str, kind: &str) -> String {
        let id = format!("{role}:{name}");
        self.nodes.push((id.clone(), format!("{name}\\n{kind}"), role));
        id
    }

    fn tree(&mut self, tree: &SinkTree) -> String {
        let id = self.node("sink", &tree.name, &tree.component.kind.value);
        for member in tree.members.iter().flatten() {
            let inner = self.tree(member);
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
