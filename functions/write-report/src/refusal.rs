//! What to do about a place that the deployment may not read: which of its parameters would mend it.

use aws::Error;

/// What is read, and the parameter that names the buckets where.
const PARAMETERS: [(&str, &str); 3] = [
    ("event log", "EventLogBucketArns"),
    ("output", "OutputBucketArns"),
    ("step log", "LogBucketArns"),
];

/// Why something could not be had; of what may not be read, with the parameter that would mend it.
pub(crate) fn why(error: &Error, what: &str) -> String {
    match remedy(error, what) {
        Some(remedy) => format!("{}; {remedy}", error.chain()),
        None => error.chain(),
    }
}

/// That an event log is there and may not be read, if that is the error.
pub(crate) fn withheld(error: &Error) -> Option<String> {
    let Error::Withheld { place, .. } = error else {
        return None;
    };
    let remedy = remedy(error, "event log")?;
    Some(format!("{place} may not be read; {remedy}"))
}

fn remedy(error: &Error, what: &str) -> Option<String> {
    let (_, parameter) = PARAMETERS.iter().find(|(known, _)| *known == what)?;
    if !error.is_refusal() {
        return None;
    }
    // S3 refuses in the same words whoever may not use the key, but for the action that it names.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    Some(if error.chain().contains("kms:Decrypt") {
        "it is encrypted, and the deployment's parameter KmsKeyArns does not name its key".into()
    } else {
        format!("the deployment's parameter {parameter} does not name its bucket")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &str) -> Error {
        Error::Aws {
            doing: "reading an object",
            code: Some("AccessDenied".into()),
            source: words.into(),
        }
    }

    #[test]
    fn a_refusal_names_the_parameter_that_would_mend_it_and_no_other_error_does() {
        let bucket = refused("User: a is not authorized to perform: s3:GetObject");
        assert!(
            why(&bucket, "step log").ends_with("; the deployment's parameter LogBucketArns does not name its bucket")
        );
        assert!(!why(&bucket, "cluster").contains("parameter"));
        let key = refused("User: a is not authorized to perform: kms:Decrypt").of_object("s3://b/log".into());
        assert!(why(&key, "event log").ends_with("KmsKeyArns does not name its key"));
        assert!(
            withheld(&key)
                .unwrap()
                .starts_with("s3://b/log may not be read; it is encrypted")
        );
        let other = Error::NotYet("kms:Decrypt".into());
        assert_eq!(why(&other, "event log"), "kms:Decrypt");
        assert_eq!(withheld(&other), None);
    }
}
