//! Address and credentials of the bucket, from the settings of raw mode.

use std::time::Duration;

use secrecy::SecretString;

use crate::common::failure::Failure;
use crate::config::{base_url::BaseUrl, settings::Settings};
use crate::raw::key::KeyLayout;
use crate::secrets::sealing::{self, SealingKey};

#[derive(Debug, Clone)]
pub struct BucketAccess {
    pub endpoint: BaseUrl,
    pub region: String,
    pub bucket: String,
    pub key_id: SecretString,
    pub secret: SecretString,
    pub layout: KeyLayout,
    /// The longest pause of the server before a call is given up.
    pub read_timeout: Duration,
}

impl BucketAccess {
    /// Reads the settings and opens the sealed ones with `key`. Fails for the first setting that is missing
    /// or invalid.
    pub fn from_settings(
        settings: &Settings,
        key: Option<&SealingKey>,
        read_timeout: Duration,
    ) -> Result<Self, Failure> {
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
        let secret = |name| sealing::unseal_setting(key, name, settings.text(name));
        Ok(Self {
            endpoint,
            region: settings.text("ow.s3.region").to_owned(),
            bucket: settings.text("ow.s3.bucket_name").to_owned(),
            key_id: secret("ow.s3.access_key_id")?,
            secret: secret("ow.s3.secret_access_key")?,
            layout: KeyLayout::new(settings.text("ow.s3.key_prefix")),
            read_timeout,
        })
    }
}
