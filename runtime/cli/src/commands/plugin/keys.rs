//! `millrace plugin keygen`, `sign` and `verify`.

use anyhow::bail;
use millrace_author::{BuildError, sign as signing};

use crate::{
    exit::Answer,
    plugin_args::{KeygenOptions, SignOptions, VerifyOptions},
};

pub(crate) fn keygen(options: &KeygenOptions) -> anyhow::Result<Answer> {
    let key = signing::keygen(&options.stem, &options.password)?;
    let stem = options.stem.display();
    println!(
        "{stem}.key  the secret key{}",
        if options.password.is_empty() { ", not protected by a password" } else { "" }
    );
    println!("{stem}.pub  the public key: {key}");
    Ok(Answer::Good)
}

pub(crate) fn sign(options: &SignOptions) -> anyhow::Result<Answer> {
    let (signature, key) = signing::sign(&options.file, &options.key, &options.password)?;
    let name = options.file.file_stem().unwrap_or_default().to_string_lossy();
    println!("{}", signature.display());
    println!(
        "to make it mandatory: plugins {{ {name} path={:?} key={key:?} }}",
        options.file.display().to_string()
    );
    Ok(Answer::Good)
}

pub(crate) fn verify(options: &VerifyOptions) -> anyhow::Result<Answer> {
    match signing::verify(&options.file, &options.key) {
        Ok(comment) => {
            println!("{}: good ({})", options.file.display(), comment.escape_debug());
            Ok(Answer::Good)
        }
        Err(error @ BuildError::File { .. }) => bail!("{error}"),
        Err(error) => super::no(&error),
    }
}
