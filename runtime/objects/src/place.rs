//! `scheme://bucket/folder`: which store, which bucket, and the folder as a template.

/// The kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage; the bucket is a container.
    Azure,
    /// A folder of this machine.
    File,
}

/// Where objects go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    pub scheme: Scheme,
    /// Empty for a folder of this machine.
    pub bucket: &'a str,
    /// May hold escapes; neither begins nor ends with a `/`.
    pub folder: &'a str,
}

impl<'a> Place<'a> {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &'a str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("it is no URL: there is no `://`".into());
        };
        let scheme = match scheme {
            "s3" | "s3a" => Scheme::S3,
            "gs" => Scheme::Google,
            "az" | "azure" => Scheme::Azure,
            "file" => Scheme::File,
            other => return Err(format!("`{other}` is no kind of store; there are s3, gs, az and file")),
        };
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme == Scheme::File {
            return match (bucket, folder.trim_matches('/')) {
                ("", folder) if !folder.is_empty() => Ok(Self { scheme, bucket, folder }),
                ("", _) => Err("it names no folder".into()),
                _ => Err("a folder of this machine has three slashes: `file:///srv/objects`".into()),
            };
        }
        if bucket.is_empty() {
            return Err("it names no bucket".into());
        }
        if let Some(letter) =
            bucket.chars().find(|letter| !(letter.is_ascii_alphanumeric() || "-._".contains(*letter)))
        {
            return Err(format!("a bucket's name cannot hold `{letter}`; escapes belong behind it"));
        }
        Ok(Self { scheme, bucket, folder: folder.trim_matches('/') })
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Scheme};

    #[test]
    fn urls_are_taken_apart() {
        let place = |url| Place::parse(url).unwrap();
        assert_eq!(place("s3://logs/a/%Y"), Place { scheme: Scheme::S3, bucket: "logs", folder: "a/%Y" });
        assert_eq!(place("s3a://logs"), Place { scheme: Scheme::S3, bucket: "logs", folder: "" });
        assert_eq!(place("gs://logs/"), Place { scheme: Scheme::Google, bucket: "logs", folder: "" });
        assert_eq!(place("az://box/a/"), Place { scheme: Scheme::Azure, bucket: "box", folder: "a" });
        assert_eq!(place("file:///srv/a"), Place { scheme: Scheme::File, bucket: "", folder: "srv/a" });
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, reason) in [
            ("", "it is no URL: there is no `://`"),
            ("logs/a", "it is no URL: there is no `://`"),
            ("ftp://logs/a", "`ftp` is no kind of store; there are s3, gs, az and file"),
            ("s3://", "it names no bucket"),
            ("s3:///a", "it names no bucket"),
            ("s3://%{host}/a", "a bucket's name cannot hold `%`; escapes belong behind it"),
            ("file://srv/a", "a folder of this machine has three slashes: `file:///srv/objects`"),
            ("file:///", "it names no folder"),
        ] {
            assert_eq!(Place::parse(url).unwrap_err(), reason, "{url}");
        }
    }
}
