//! Plugins in OCI registries, in the layout that the CNCF describes for WebAssembly: an artifact with one layer of the type
//! `application/wasm` and a configuration that names what is in it.
//!
//! The protocol is a handful of requests, so it is spoken here; what clients for containers bring along is not needed. Registries are
//! asked over https; plain http is for those on this machine.

use millrace_config::closest;
use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{component, error::BuildError};

const WASM: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIGNATURE: &str = "application/vnd.millrace.minisig";

/// Largest manifest of an artifact.
const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// `oci://host/name:tag` or `oci://host/name@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    host: String,
    name: String,
    /// A tag, or a digest.
    at: String,
}

/// Name and password for a registry.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Empty: none.
    pub name: String,
    /// Or a token.
    pub password: String,
}

/// What is in a registry now, or came out of one.
#[derive(Debug)]
pub struct Artifact {
    /// The digest of the artifact: what to pull to get exactly this again.
    pub digest: String,
    /// The digest of the component: what `digest=` in a configuration pins.
    pub component_digest: String,
    /// The component.
    pub component: Vec<u8>,
    /// The signature that came with it.
    pub signature: Option<Vec<u8>>,
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BuildError> {
        let wrong = |why: &str| {
            BuildError::Project(format!(
                "`{}` is no reference: {why}; write oci://host/name:tag",
                text.escape_debug()
            ))
        };
        let rest = match text.split_once("://") {
            Some(("oci", rest)) => rest,
            Some((scheme, _)) => {
                let near = closest(scheme, ["oci"]).map_or("", |_| ", did you mean oci?");
                return Err(wrong(&format!("the scheme is {scheme}{near}")));
            }
            None => return Err(wrong("it does not begin with oci://")),
        };
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("a name is missing"))?;
        let (name, at) = match path.split_once('@') {
            Some((name, digest)) => (name.split(':').next().unwrap_or(name), digest),
            None => path.split_once(':').unwrap_or((path, "latest")),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c);
        let is_at = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(wrong("the host is wrong"));
        }
        if name.is_empty()
            || !name.chars().all(is_name)
            || name.split('/').any(|part| part.is_empty() || part == "." || part == "..")
        {
            return Err(wrong("a name has lower-case letters, digits, `.`, `_`, `-` and `/`"));
        }
        if at.is_empty() || at.len() > 128 || !at.chars().all(is_at) {
            return Err(wrong("the tag is wrong"));
        }
        Ok(Self { host: host.to_owned(), name: name.to_owned(), at: at.to_owned() })
    }

    /// The same artifact by its digest.
    #[must_use]
    pub fn pinned(&self, digest: &str) -> String {
        format!("oci://{}/{}@{digest}", self.host, self.name)
    }

    /// The last part of the name: what a file of it is called.
    pub fn file_stem(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    fn url(&self, path: &str) -> String {
        let host = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        format!("{}://{}/v2/{}/{path}", if is_here { "http" } else { "https" }, self.host, self.name)
    }
}

/// Puts a component, and its signature if there is one, into a registry.
///
/// # Errors
/// The registry refuses it, or does not answer.
pub async fn push(
    reference: &Reference,
    wasm: Vec<u8>,
    signature: Option<Vec<u8>>,
    credentials: &Credentials,
) -> Result<Artifact, BuildError> {
    if !component::is_component(&wasm) {
        return Err(BuildError::Component("only components are pushed".into()));
    }
    if reference.at.contains(':') {
        return Err(BuildError::Project("push to a tag: the digest follows from the content".into()));
    }
    let inspection = crate::look(&wasm)?;
    let manifest = crate::manifest(&inspection);
    let imports: Vec<&str> = inspection.imports.iter().map(|import| import.name.as_str()).collect();
    let config = json!({
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [inspection.digest],
        "component": { "exports": inspection.exports, "imports": imports, "target": null },
    })
    .to_string();
    let mut session = Session::new(reference, credentials, "pull,push")?;
    let mut layers = vec![json!({ "mediaType": WASM, "digest": inspection.digest, "size": wasm.len() })];
    session.put_blob(wasm.clone()).await?;
    if let Some(signature) = &signature {
        layers.push(json!({ "mediaType": SIGNATURE, "digest": digest(signature), "size": signature.len() }));
        session.put_blob(signature.clone()).await?;
    }
    session.put_blob(config.clone().into_bytes()).await?;
    let mut annotations = serde_json::Map::new();
    if let Some(manifest) = &manifest {
        let texts = [
            ("title", Some(&manifest.name)),
            ("version", manifest.version.as_ref()),
            ("licenses", manifest.licence.as_ref()),
            ("description", manifest.summary.as_ref()),
        ];
        for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text?))) {
            annotations.insert(format!("org.opencontainers.image.{key}"), text.as_str().into());
        }
    }
    let text = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": WASM,
        "config": { "mediaType": CONFIG, "digest": digest(config.as_bytes()), "size": config.len() },
        "layers": layers,
        "annotations": annotations,
    })
    .to_string();
    let url = reference.url(&format!("manifests/{}", reference.at));
    let response = session.send(Method::PUT, &url, Some((MANIFEST, text.clone().into_bytes()))).await?;
    expect(response, "the manifest").await?;
    Ok(Artifact {
        digest: digest(text.as_bytes()),
        component_digest: inspection.digest,
        component: wasm,
        signature,
    })
}

/// Takes a component, and its signature if there is one, out of a registry. Every byte is checked against its digest.
///
/// # Errors
/// It is not there, is no plugin, or is not what its digest says.
pub async fn pull(reference: &Reference, credentials: &Credentials) -> Result<Artifact, BuildError> {
    let mut session = Session::new(reference, credentials, "pull")?;
    let url = reference.url(&format!("manifests/{}", reference.at));
    let response = expect(session.send(Method::GET, &url, None).await?, "the manifest").await?;
    let text = bounded(response, MANIFEST_BYTES_MAX).await?;
    let found = digest(&text);
    if reference.at.contains(':') && reference.at != found {
        return Err(BuildError::Project(format!("the registry sent {found} for {}", reference.at)));
    }
    let manifest: Value = serde_json::from_slice(&text)
        .map_err(|error| BuildError::Project(format!("the manifest is no JSON: {error}")))?;
    let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_type = |kind: &str| layers.iter().find(|layer| layer["mediaType"] == kind);
    let layer = of_type(WASM).ok_or_else(|| {
        BuildError::Project("the artifact holds no layer of the type application/wasm".into())
    })?;
    let component = session.blob(layer).await?;
    if !component::is_component(&component) {
        return Err(BuildError::Component("the artifact holds no component".into()));
    }
    let signature = match of_type(SIGNATURE) {
        Some(layer) => Some(session.blob(layer).await?),
        None => None,
    };
    Ok(Artifact { digest: found, component_digest: digest(&component), component, signature })
}

struct Session<'a> {
    reference: &'a Reference,
    credentials: &'a Credentials,
    client: Client,
    scope: &'static str,
    /// The token that the registry gave, once it asked for one.
    authorization: Option<String>,
}

impl<'a> Session<'a> {
    fn new(
        reference: &'a Reference,
        credentials: &'a Credentials,
        scope: &'static str,
    ) -> Result<Self, BuildError> {
        let client = Client::builder().timeout(std::time::Duration::from_secs(300)).build();
        let client = client.map_err(|error| BuildError::Project(format!("no HTTP client: {error}")))?;
        Ok(Self { reference, credentials, client, scope, authorization: None })
    }

    /// One request, and once more where the registry asks who this is.
    async fn send(
        &mut self,
        method: Method,
        url: &str,
        content: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, BuildError> {
        let response = self.once(method.clone(), url, content.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return Ok(response);
        }
        let challenge =
            response.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let challenge = challenge.unwrap_or_default().to_owned();
        self.authorization = Some(self.answer(&challenge).await?);
        self.once(method, url, content).await
    }

    async fn once(
        &self,
        method: Method,
        url: &str,
        content: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, BuildError> {
        let accept = format!("{MANIFEST}, application/octet-stream, {WASM}, */*");
        let mut request = self.client.request(method, url).header(header::ACCEPT, accept);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some((kind, bytes)) = content {
            request = request.header(header::CONTENT_TYPE, kind).body(bytes);
        }
        request.send().await.map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, error: reqwest::Error) -> BuildError {
        let error = error.without_url();
        // The innermost cause says what happened, the outer ones only that something did.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        BuildError::Project(format!("the registry {} does not answer: {cause}", self.reference.host))
    }

    /// What to send after `WWW-Authenticate: Bearer realm="…",service="…"` or `Basic`.
    async fn answer(&self, challenge: &str) -> Result<String, BuildError> {
        let Credentials { name, password } = self.credentials;
        let refused = |why: &str| {
            BuildError::Project(format!(
                "the registry {} wants to know who asks: {why}; give --username and MILLRACE_REGISTRY_PASSWORD",
                self.reference.host
            ))
        };
        let Some(parameters) = challenge.strip_prefix("Bearer ") else {
            if name.is_empty() {
                return Err(refused("no name was given"));
            }
            return Ok(basic(name, password));
        };
        let realm = parameter(parameters, "realm").ok_or_else(|| refused("it does not say where"))?;
        if !realm.starts_with("https://") && !self.reference.url("").starts_with("http://") {
            return Err(refused("its realm is not https"));
        }
        let scope = format!("repository:{}:{}", self.reference.name, self.scope);
        let mut url = reqwest::Url::parse(&realm).map_err(|_| refused("its realm is no address"))?;
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = parameter(parameters, "service") {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.client.get(url);
        if !name.is_empty() {
            request = request.header(header::AUTHORIZATION, basic(name, password));
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(refused(&format!("its answer is {}", response.status())));
        }
        let token: Value = serde_json::from_slice(&bounded(response, 1 << 20).await?).unwrap_or_default();
        let token = token["token"].as_str().or_else(|| token["access_token"].as_str());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| refused("it gives no token"))
    }

    async fn put_blob(&mut self, bytes: Vec<u8>) -> Result<(), BuildError> {
        let digest = digest(&bytes);
        let url = self.reference.url(&format!("blobs/{digest}"));
        if self.send(Method::HEAD, &url, None).await?.status().is_success() {
            return Ok(());
        }
        let url = self.reference.url("blobs/uploads/");
        let response = expect(self.send(Method::POST, &url, None).await?, "the upload").await?;
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let nowhere = |_| BuildError::Project("the registry does not say where to upload to".into());
        let mut target = reqwest::Url::parse(&url).and_then(|base| base.join(location)).map_err(nowhere)?;
        target.query_pairs_mut().append_pair("digest", &digest);
        let response =
            self.send(Method::PUT, target.as_str(), Some(("application/octet-stream", bytes))).await?;
        expect(response, "the content").await.map(drop)
    }

    async fn blob(&mut self, layer: &Value) -> Result<Vec<u8>, BuildError> {
        let wanted = layer["digest"].as_str().unwrap_or_default().to_owned();
        let is_digest = wanted
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()));
        if !is_digest {
            return Err(BuildError::Project("the manifest names a digest that is not one of SHA-256".into()));
        }
        let url = self.reference.url(&format!("blobs/{wanted}"));
        let response = expect(self.send(Method::GET, &url, None).await?, "the content").await?;
        let bytes =
            bounded(response, usize::try_from(millrace_wasm::FILE_BYTES_MAX).unwrap_or(usize::MAX)).await?;
        let found = digest(&bytes);
        if found != wanted {
            return Err(BuildError::Project(format!("the registry sent {found} for {wanted}")));
        }
        Ok(bytes)
    }
}

fn basic(name: &str, password: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

/// `name="value"` out of a list of such.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    parameters.split(',').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

/// An answer that says yes; otherwise what it says.
async fn expect(response: Response, what: &str) -> Result<Response, BuildError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let said = bounded(response, 64 << 10).await.unwrap_or_default();
    let said: Value = serde_json::from_slice(&said).unwrap_or_default();
    let said = said["errors"][0]["message"]
        .as_str()
        .map_or_else(String::new, |said| format!(": {}", said.escape_debug()));
    Err(BuildError::Project(format!("the registry answers {status} for {what}{said}")))
}

/// The body of an answer, unless it is larger than this.
async fn bounded(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, BuildError> {
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            BuildError::Project(format!("the answer breaks off: {}", error.without_url()))
        })?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        if bytes.len() + chunk.len() > bytes_max {
            return Err(BuildError::Project(format!("the answer has more than {bytes_max} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::{Reference, parameter};

    #[test]
    fn references_are_read_and_bad_ones_refused() {
        let reference = Reference::parse("oci://127.0.0.1:5000/team/redact:1.2").unwrap();
        assert_eq!(reference.url("x"), "http://127.0.0.1:5000/v2/team/redact/x");
        assert_eq!(reference.pinned("sha256:00"), "oci://127.0.0.1:5000/team/redact@sha256:00");
        assert_eq!(Reference::parse("oci://ghcr.io/a/b").unwrap().url("y"), "https://ghcr.io/v2/a/b/y");
        assert_eq!(Reference::parse("oci://ghcr.io/a/b@sha256:ab").unwrap().at, "sha256:ab");
        assert!(
            Reference::parse("oci://127.0.0.1.evil.example/a:b").unwrap().url("").starts_with("https://")
        );
        for text in [
            "",
            "redact",
            "https://h/a",
            "oci://h",
            "oci:///a",
            "oci://h/A",
            "oci://h/a/../b",
            "oci://h/a:",
            "oci://h/a b",
            "oci://h/a:b?c",
            "oci://u@h/a",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_parameters_of_a_challenge_are_found() {
        let text = "realm=\"https://auth.example/token\",service=\"registry\"";
        assert_eq!(parameter(text, "realm").unwrap(), "https://auth.example/token");
        assert_eq!(parameter(text, "scope"), None);
    }
}
