//! Server-side encryption: under which key an object lies. Its bytes are kept as they came.
//!
//! Separate because a writer, or else the bucket, says it, and readers are told; who may use a key is IAM's matter.
//
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html

use s3s::dto::ServerSideEncryption;

use crate::api::{ACCOUNT, ApiError, REGION};

/// The account's `aws/s3`, which whoever may use the bucket may use through S3.
//= https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
const MANAGED_KEY_ID: &str = "00000000-0000-4000-8000-0000000000a3";

/// How an object is encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encryption {
    /// With S3's own keys: what S3 does unless it is told otherwise.
    #[default]
    S3,
    /// With the KMS key of this ARN.
    Kms(String),
}

impl Encryption {
    /// With a KMS key, by its ARN or its id.
    pub fn kms(key: &str) -> Self {
        if key.starts_with("arn:") {
            Self::Kms(key.to_owned())
        } else {
            Self::Kms(format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}"))
        }
    }

    /// What a writer's headers ask for; nothing: as the bucket says.
    //= https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    pub fn asked_for(algorithm: Option<&str>, key: Option<&str>) -> Result<Option<Self>, ApiError> {
        match (algorithm, key) {
            (Some("aws:kms"), key) => Ok(Some(Self::kms(key.unwrap_or(MANAGED_KEY_ID)))),
            (_, Some(_)) => Err(ApiError::client(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : \
                 aws:kms",
            )),
            (None, None) => Ok(None),
            (Some("AES256"), None) => Ok(Some(Self::S3)),
            (Some("aws:kms:dsse"), None) => Err(ApiError::not_implemented("s3", "PutObject with aws:kms:dsse")),
            (Some(_), None) => Err(ApiError::client(
                "InvalidEncryptionAlgorithmError",
                "The encryption request that you specified is not valid. The valid value is AES256.",
            )),
        }
    }

    /// `x-amz-server-side-encryption`
    pub(super) fn algorithm(&self) -> ServerSideEncryption {
        ServerSideEncryption::from_static(match self {
            Self::S3 => ServerSideEncryption::AES256,
            Self::Kms(_) => ServerSideEncryption::AWS_KMS,
        })
    }

    /// `x-amz-server-side-encryption-aws-kms-key-id`
    pub(super) fn key(&self) -> Option<String> {
        match self {
            Self::S3 => None,
            Self::Kms(key) => Some(key.clone()),
        }
    }

    /// The key that a role must be allowed to use.
    pub fn key_to_ask_for(&self) -> Option<&str> {
        match self {
            Self::Kms(key) if !key.ends_with(MANAGED_KEY_ID) => Some(key),
            Self::S3 | Self::Kms(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_arn_or_an_id_and_needs_its_algorithm() {
        let asked = |algorithm, key| Encryption::asked_for(algorithm, key).map_err(|error| error.code);
        assert_eq!(asked(None, None), Ok(None));
        assert_eq!(asked(Some("AES256"), None), Ok(Some(Encryption::S3)));
        let arn = "arn:aws:kms:us-sim-1:000000000000:key/k";
        assert_eq!(asked(Some("aws:kms"), Some("k")), Ok(Some(Encryption::Kms(arn.into()))));
        assert_eq!(asked(Some("aws:kms"), Some(arn)), Ok(Some(Encryption::Kms(arn.into()))));
        assert_eq!(asked(None, Some("k")), Err("InvalidArgument".into()));
        assert_eq!(
            asked(Some("rot13"), None),
            Err("InvalidEncryptionAlgorithmError".into())
        );
        let managed = asked(Some("aws:kms"), None).unwrap().unwrap();
        assert_eq!(managed.key_to_ask_for(), None);
        assert_eq!(Encryption::kms("k").key_to_ask_for(), Some(arn));
    }
}
