//! The one error type of the functions: what we were doing, and why it failed.
//!
//! Only what a retry may mend, or what somebody has to look at, is an error. What is simply not for us is an
//! [`Outcome`](crate::outcome::Outcome).

use std::error::Error as StdError;

use aws_smithy_types::error::ErrorMetadata;
use lambda_runtime::Diagnostic;

/// Why an invocation failed. Display says what we were doing; `source` carries why, and is never repeated in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An AWS call failed, after the SDK's own retries.
    #[error("{doing}")]
    Aws {
        /// What we were doing, beginning with a gerund: "starting the experiment".
        doing: &'static str,
        /// AWS's error code, where there was an answer.
        code: Option<String>,
        /// The SDK's error.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A part of an object could not be read.
    #[error("reading bytes {first} to {last} of {place}")]
    Range {
        /// The object, as `s3://bucket/key`.
        place: String,
        /// Its first byte asked for, counted from 0.
        first: u64,
        /// Its last byte asked for.
        last: u64,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// An object that is there may not be read.
    #[error("reading {place}")]
    Withheld {
        /// The object, as `s3://bucket/key`.
        place: String,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// AWS answered, and the answer lacks what we need.
    #[error("reading AWS's answer: {0}")]
    Answer(String),
    /// The event is not what the function is made for.
    #[error("reading the event: {0}")]
    Event(#[from] rules::event::EventError),
    /// An item of the ledger is not what we write there.
    #[error("reading the ledger: {0}")]
    Ledger(String),
    /// The request cannot be carried out as it is: a name matches no cluster or several, a place may not be emptied.
    #[error("{0}")]
    Refused(String),
    /// Something has to be so and is not yet; trying again later may help.
    #[error("{0}")]
    NotYet(String),
}

impl Error {
    /// Wraps an error of the SDK's.
    pub fn aws<E>(doing: &'static str, error: E) -> Self
    where
        E: aws_sdk_dynamodb::error::ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        Self::Aws {
            doing,
            code: error.code().map(str::to_owned),
            source: Box::new(error),
        }
    }

    /// AWS's error code, where AWS answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Aws { code, .. } => code.as_deref(),
            Self::Range { source, .. } | Self::Withheld { source, .. } => source.code(),
            _ => None,
        }
    }

    /// Did AWS answer with this error code?
    pub fn is_code(&self, code: &str) -> bool {
        self.code() == Some(code)
    }

    /// Did AWS refuse the call, since the caller lacks a permission?
    pub fn is_refusal(&self) -> bool {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
        ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"]
            .iter()
            .any(|code| self.is_code(code))
    }

    /// The same error; or, if it is a refusal, that this object is withheld.
    pub fn of_object(self, place: String) -> Self {
        if self.is_refusal() {
            Self::Withheld {
                place,
                source: Box::new(self),
            }
        } else {
            self
        }
    }

    /// The whole chain in one line, for the log and for the ledger.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            // AWS's own words, without the code, which stands before them, and the request's id.
            let said = cause.downcast_ref::<ErrorMetadata>().and_then(ErrorMetadata::message);
            let words = said.map_or_else(|| cause.to_string(), str::to_owned);
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            source = cause.source();
        }
        text
    }

    fn variant(&self) -> &'static str {
        match self {
            Self::Aws { .. } => "Aws",
            Self::Range { .. } => "Range",
            Self::Withheld { .. } => "Withheld",
            Self::Answer(_) => "Answer",
            Self::Event(_) => "Event",
            Self::Ledger(_) => "Ledger",
            Self::Refused(_) => "Refused",
            Self::NotYet(_) => "NotYet",
        }
    }
}

/// Lambda's error answer: the variant as the type, the whole chain as the message.
impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Diagnostic {
            error_type: error.variant().into(),
            error_message: error.chain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Error {
        Error::Aws {
            doing: "reading an object",
            code: Some(code.into()),
            source: "because".into(),
        }
    }

    #[test]
    fn lambda_is_told_the_kind_and_the_whole_chain() {
        let of_place = || "s3://bucket/key".to_owned();
        let range = Error::Range {
            place: of_place(),
            first: 1,
            last: 9,
            source: Box::new(refused("SlowDown")),
        };
        let event = rules::event::StepStatusChange::parse(&serde_json::json!({})).unwrap_err();
        for (error, kind, message) in [
            (refused("SlowDown"), "Aws", "reading an object: because"),
            (
                range,
                "Range",
                "reading bytes 1 to 9 of s3://bucket/key: reading an object: because",
            ),
            (
                refused("AccessDenied").of_object(of_place()),
                "Withheld",
                "reading s3://bucket/key: reading an object: because",
            ),
            (Error::Answer("no id".into()), "Answer", "reading AWS's answer: no id"),
            (Error::Ledger("no id".into()), "Ledger", "reading the ledger: no id"),
            (Error::Refused("two of a name".into()), "Refused", "two of a name"),
            (Error::NotYet("not yet".into()), "NotYet", "not yet"),
        ] {
            let diagnostic = Diagnostic::from(error);
            assert_eq!(
                (diagnostic.error_type.as_str(), diagnostic.error_message.as_str()),
                (kind, message)
            );
        }
        assert_eq!(Diagnostic::from(Error::Event(event)).error_type, "Event");
    }

    #[test]
    fn only_an_object_that_may_not_be_read_is_withheld() {
        for code in ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"] {
            let error = refused(code).of_object("s3://bucket/key".into());
            assert!(matches!(error, Error::Withheld { .. }) && error.is_code(code), "{code}");
        }
        let error = refused("NoSuchKey").of_object("s3://bucket/key".into());
        assert!(matches!(error, Error::Aws { .. }) && error.is_code("NoSuchKey") && !error.is_code("AccessDenied"));
    }
}
