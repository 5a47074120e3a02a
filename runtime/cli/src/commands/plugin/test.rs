//! `millrace plugin test`: the cases of a plugin on the real host.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use millrace_author::{
    Project,
    cases::{self, CaseResult},
    look, manifest, read,
    rig::is_script,
    script_of,
};
use serde_json::json;

use crate::{args::OutputFormat, exit::Answer, plugin_args::TestOptions};

#[expect(clippy::disallowed_methods, reason = "the user names the file of the cases")]
pub(crate) fn test(options: &TestOptions) -> anyhow::Result<Answer> {
    let (plugin, cases) = places(options)?;
    // A script is an interceptor without a manifest.
    let (role, manifest) = if is_script(&plugin) {
        (None, None)
    } else {
        match look(&read(&plugin)?) {
            Ok(inspection) => (inspection.role, manifest(&inspection)),
            Err(error) => return super::no(&format!("{}: {error}", plugin.display())),
        }
    };
    let text = std::fs::read_to_string(&cases).with_context(|| format!("cannot read {}", cases.display()))?;
    let file = match cases::read(&cases.display().to_string(), &text) {
        Ok(file) => file,
        Err((found, files)) => bail!("the cases have mistakes\n{}", super::config::report(&found, &files)),
    };
    let is_wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only));
    let wanted: Vec<_> = file.cases.iter().filter(|case| is_wanted(&case.name)).collect();
    if wanted.is_empty() {
        bail!("no case of {} contains {:?}", cases.display(), options.only.as_deref().unwrap_or_default());
    }
    let runner = cases::Runner::new(&plugin, role, manifest.as_ref())?;
    let runtime = super::runtime()?;
    let mut results = Vec::with_capacity(wanted.len());
    for case in wanted {
        let result = runtime.block_on(runner.run(case))?;
        if options.format == OutputFormat::Text {
            print!("{}", shown(&result));
        }
        results.push(result);
    }
    let failed = results.iter().filter(|result| !result.is_good()).count();
    match options.format {
        OutputFormat::Text => println!("{} cases, {failed} failed", results.len()),
        OutputFormat::Json => {
            let list: Vec<_> = results.iter().map(CaseResult::to_json).collect();
            println!(
                "{}",
                serde_json::to_string_pretty(&json!({ "plugin": plugin, "failed": failed, "cases": list }))?
            );
        }
    }
    Ok(if failed == 0 { Answer::Good } else { Answer::No })
}

fn shown(result: &CaseResult) -> String {
    let mut text = format!("{}  {}\n", if result.is_good() { "good  " } else { "FAILED" }, result.name);
    for line in &result.differences {
        text.push_str(&format!("        {line}\n"));
    }
    if !result.is_good() {
        text.push_str("        (- expected, + found)\n");
    }
    text
}

/// The component and its cases.
fn places(options: &TestOptions) -> anyhow::Result<(PathBuf, PathBuf)> {
    let target = &options.target;
    let (plugin, folder) = if target.is_dir() {
        let project = Project::open(target)?;
        let mut plugin = target.join(format!("{}.wasm", project.name));
        if let Some(script) = script_of(&project) {
            plugin = target.join(script);
        } else if !plugin.is_file() {
            bail!("{} is not there: `millrace plugin build {}` makes it", plugin.display(), target.display());
        }
        (plugin, target.clone())
    } else {
        (target.clone(), target.parent().unwrap_or(Path::new("")).to_owned())
    };
    let cases = options.cases.clone().unwrap_or_else(|| folder.join("tests/cases.kdl"));
    Ok((plugin, cases))
}
