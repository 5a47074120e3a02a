//! `millrace plugin push` and `pull`: plugins in OCI registries.

use std::path::PathBuf;

use anyhow::{Context, bail};
use millrace_author::{
    component, read,
    registry::{self, Artifact, Credentials, Reference},
};
use serde_json::json;

use crate::{
    args::OutputFormat,
    exit::Answer,
    plugin_args::{PullOptions, PushOptions, RegistryLogin},
};

#[expect(clippy::disallowed_methods, reason = "the signature stands beside the file that the user names")]
pub(crate) fn push(options: &PushOptions) -> anyhow::Result<Answer> {
    let reference = Reference::parse(&options.reference)?;
    let wasm = read(&options.file)?;
    let signature = std::fs::read(millrace_wasm::signature_path(&options.file)).ok();
    let pushed =
        super::runtime()?.block_on(registry::push(&reference, wasm, signature, &credentials(&options.login)));
    let artifact = match pushed {
        Ok(artifact) => artifact,
        Err(error) => return super::no(&error),
    };
    tell(&reference, &artifact, None, options.format)
}

#[expect(clippy::disallowed_methods, reason = "the user says where the signature goes")]
pub(crate) fn pull(options: &PullOptions) -> anyhow::Result<Answer> {
    let reference = Reference::parse(&options.reference)?;
    let output = match &options.output {
        Some(output) => output.clone(),
        None => PathBuf::from(format!("{}.wasm", reference.file_stem())),
    };
    if output.is_dir() {
        bail!("{} is a folder", output.display());
    }
    let pulled = super::runtime()?.block_on(registry::pull(&reference, &credentials(&options.login)));
    let artifact = match pulled {
        Ok(artifact) => artifact,
        Err(error) => return super::no(&error),
    };
    // The signature first: an agent that watches the component finds its signature beside it.
    if let Some(signature) = &artifact.signature {
        let path = millrace_wasm::signature_path(&output);
        std::fs::write(&path, signature).with_context(|| format!("cannot write {}", path.display()))?;
    }
    component::replace(&output, &artifact.component)?;
    tell(&reference, &artifact, Some(&output), options.format)
}

fn credentials(login: &RegistryLogin) -> Credentials {
    Credentials { name: login.username.clone(), password: login.password.clone() }
}

fn tell(
    reference: &Reference,
    artifact: &Artifact,
    output: Option<&PathBuf>,
    format: OutputFormat,
) -> anyhow::Result<Answer> {
    let pinned = reference.pinned(&artifact.digest);
    match format {
        OutputFormat::Json => {
            let json = json!({
                "reference": pinned,
                "digest": artifact.digest,
                "component_digest": artifact.component_digest,
                "bytes": artifact.component.len(),
                "signed": artifact.signature.is_some(),
                "path": output,
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
        }
        OutputFormat::Text => {
            println!("artifact {pinned}");
            println!("digest   {}", artifact.component_digest);
            println!("signed   {}", if artifact.signature.is_some() { "yes" } else { "no" });
            if let Some(output) = output {
                println!("plugin   {}", output.display());
                let name = reference.file_stem();
                println!(
                    "to pin it: plugins {{ {name} path={:?} digest={:?} }}",
                    output.display().to_string(),
                    artifact.component_digest
                );
            }
        }
    }
    Ok(Answer::Good)
}
