//! A store, ready to be used.

use std::{sync::Arc, time::Duration};

use object_store::{
    ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    multipart::MultipartStore,
};

use crate::place::Scheme;

/// How long one request is repeated before its file waits for the next attempt.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// A store.
#[derive(Clone)]
pub struct Remote {
    pub store: Arc<dyn ObjectStore>,
    /// None: everything is uploaded in one piece.
    pub parts: Option<Arc<dyn MultipartStore>>,
    /// The size of a part in bytes. What is not larger is uploaded in one piece.
    pub part_bytes: u64,
    /// How many parts are on their way at the same time.
    pub concurrency: usize,
}

/// What a store is opened with: names of settings, as the client knows them, and values.
pub struct Opening<'a> {
    pub scheme: Scheme,
    pub bucket: &'a str,
    pub settings: Vec<(String, String)>,
    pub allows_http: bool,
    pub timeout: Duration,
}

/// A setting that does not exist, or a store that cannot be opened.
pub enum NotOpened {
    Unknown(String),
    Refused(String),
}

impl Opening<'_> {
    /// Opens it. Nothing is sent.
    pub fn open(self) -> Result<(Arc<dyn ObjectStore>, Option<Arc<dyn MultipartStore>>), NotOpened> {
        let retry = RetryConfig { max_retries: 5, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        let client = ClientOptions::new()
            .with_timeout(self.timeout)
            .with_connect_timeout(Duration::from_secs(5))
            .with_allow_http(self.allows_http)
            .with_user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")).parse().map_err(refused)?);
        match self.scheme {
            Scheme::S3 => {
                let builder = AmazonS3Builder::from_env()
                    .with_bucket_name(self.bucket)
                    .with_client_options(client)
                    .with_retry(retry);
                let builder = self.settings.into_iter().try_fold(builder, |builder, (name, value)| {
                    let key = name.parse::<AmazonS3ConfigKey>().map_err(|_| NotOpened::Unknown(name))?;
                    Ok(builder.with_config(key, value))
                })?;
                both(builder.build().map_err(refused)?)
            }
            Scheme::Google => {
                let builder = GoogleCloudStorageBuilder::from_env()
                    .with_bucket_name(self.bucket)
                    .with_client_options(client)
                    .with_retry(retry);
                let builder = self.settings.into_iter().try_fold(builder, |builder, (name, value)| {
                    let key = name.parse::<GoogleConfigKey>().map_err(|_| NotOpened::Unknown(name))?;
                    Ok(builder.with_config(key, value))
                })?;
                both(builder.build().map_err(refused)?)
            }
            Scheme::Azure => {
                let builder = MicrosoftAzureBuilder::from_env()
                    .with_container_name(self.bucket)
                    .with_client_options(client)
                    .with_retry(retry);
                let builder = self.settings.into_iter().try_fold(builder, |builder, (name, value)| {
                    let key = name.parse::<AzureConfigKey>().map_err(|_| NotOpened::Unknown(name))?;
                    Ok(builder.with_config(key, value))
                })?;
                both(builder.build().map_err(refused)?)
            }
            Scheme::File => match self.settings.into_iter().next() {
                Some((name, _)) => Err(NotOpened::Unknown(name)),
                None => Ok((Arc::new(LocalFileSystem::new().with_fsync(true)), None)),
            },
        }
    }
}

fn both<S: ObjectStore + MultipartStore>(
    store: S,
) -> Result<(Arc<dyn ObjectStore>, Option<Arc<dyn MultipartStore>>), NotOpened> {
    let store = Arc::new(store);
    Ok((Arc::clone(&store) as Arc<dyn ObjectStore>, Some(store)))
}

fn refused(error: impl std::fmt::Display) -> NotOpened {
    NotOpened::Refused(error.to_string())
}
