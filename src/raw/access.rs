//! What it takes to reach the bucket: the settings of raw mode, its secrets opened.

use std::time::Duration;

use secrecy::SecretString;

use crate::common::failure::Failure;
use crate::config::base_url::BaseUrl;
use crate::config::settings::Snapshot;
use crate::raw::key::Layout;
use crate::secrets::sealing;
use crate::secrets::sealing::Key;

/// Where the bucket is, and with which key it is read.
#[derive(Debug, Clone)]
pub struct Access {
    /// The address of S3.
    pub endpoint: BaseUrl,
    /// Its region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The name of the key.
    pub key_id: SecretString,
    /// The key.
    pub secret: SecretString,
    /// How the keys of the objects are built.
    pub layout: Layout,
    /// How long the server may be silent before a call is given up.
    pub silence: Duration,
}

impl Access {
    /// Takes what the settings say; `key` opens what they keep sealed, `silence` is the patience with the server.
    ///
    /// # Errors
    /// The first setting that is missing, or cannot be opened.
    pub fn of(settings: &Snapshot, key: Option<&Key>, silence: Duration) -> Result<Self, Failure> {
        if let Some(missing) = settings.missing_for_raw() {
            return Err(Failure::failed(
                format!("OW raw ingest requires setting '{missing}' to be set."),
                format!("jhe-ow settings set {missing} VALUE"),
            ));
        }
        let address = settings.text("ow.s3.endpoint_url");
        let endpoint = BaseUrl::parse(address).map_err(|allowed| {
            Failure::failed(format!("ow.s3.endpoint_url = '{address}' is no address"), allowed)
        })?;
        let secret = |name| sealing::open_setting(key, name, settings.text(name));
        Ok(Self {
            endpoint,
            region: settings.text("ow.s3.region").to_owned(),
            bucket: settings.text("ow.s3.bucket_name").to_owned(),
            key_id: secret("ow.s3.access_key_id")?,
            secret: secret("ow.s3.secret_access_key")?,
            layout: Layout::new(settings.text("ow.s3.key_prefix")),
            silence,
        })
    }
}
