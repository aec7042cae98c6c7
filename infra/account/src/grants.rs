//! Who may do what: each function's role, as the template deploys it, is asked before a call of the function's is
//! answered. Whoever else calls is the account's administrator, and nobody is asked.
//!
//! Separate because the services know no callers. Only the caller's own role decides here: no bucket, key or table of the
//! account has a policy that would give more, or less.
//!
//! That a refused call costs nothing of a service's quota is assumed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{ACCOUNT, ApiError};
use crate::iam::{self, Decision, Request};
use crate::template::Template;
use crate::wire::Service;

/// What the functions' roles allow, by the functions' names.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    roles: BTreeMap<String, Role>,
}

#[derive(Debug, Clone)]
struct Role {
    /// Who calls, in the words of a refusal.
    session: String,
    statements: Vec<Value>,
}

/// A permission that the caller has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it was asked for on.
    pub resource: String,
    /// AWS's words.
    pub words: String,
}

impl Grants {
    /// What a template deploys. The error names what its roles are written in that is not simulated.
    pub fn of(template: &Template) -> Result<Self, String> {
        let mut roles = BTreeMap::new();
        for function in template.functions.values() {
            let statements = template.roles.get(&function.role).cloned().unwrap_or_default();
            iam::check(&statements).map_err(|unknown| format!("{} has {unknown}", function.role))?;
            // Lambda names the session like the function.
            //= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
            let role = function.role.rsplit('/').next().unwrap_or_default();
            let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{}", function.name);
            roles.insert(function.name.clone(), Role { session, statements });
        }
        Ok(Self { roles })
    }

    /// Asks the caller's role, if it is a function, for each of the permissions, notes the answer in it as `allowed`, and
    /// returns those that it does not give.
    pub fn ask(&self, caller: &str, asked: &mut [Value]) -> Vec<Refusal> {
        let Some(role) = self.roles.get(caller) else {
            return Vec::new();
        };
        let mut refusals = Vec::new();
        for permission in asked {
            let request = request(permission);
            let decision = iam::decide(&role.statements, &request)
                .unwrap_or_else(|unknown| panic!("{caller}'s role has what is not simulated: {unknown}"));
            if decision != Decision::Allowed {
                refusals.push(Refusal {
                    resource: request.resource.to_owned(),
                    words: words(&role.session, &request, decision),
                });
            }
            permission["allowed"] = (decision == Decision::Allowed).into();
        }
        refusals
    }
}

/// A permission of the journal's, as IAM is asked for it.
pub fn request(permission: &Value) -> Request<'_> {
    let text = |name: &str| permission[name].as_str().unwrap_or_default();
    let values = |value: &Value| -> Vec<String> {
        let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let context = permission["context"].as_object().into_iter().flatten();
    Request {
        action: text("action"),
        resource: text("resource"),
        context: context.map(|(key, value)| (key.clone(), values(value))).collect(),
    }
}

/// AWS's words on a refusal. S3 puts the names of its own resources in quotes, and EC2 names none where there is none.
//= https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
fn words(session: &str, request: &Request<'_>, decision: Decision) -> String {
    let (action, resource) = (request.action, request.resource);
    let on = match action.split(':').next() {
        Some("s3") => format!(" on resource: \"{resource}\""),
        Some("ec2") if resource == "*" => String::new(),
        _ => format!(" on resource: {resource}"),
    };
    let why = match decision {
        Decision::Denied => "with an explicit deny in an identity-based policy".to_owned(),
        Decision::Allowed | Decision::NotAllowed => {
            format!("because no identity-based policy allows the {action} action")
        }
    };
    format!("User: {session} is not authorized to perform: {action}{on} {why}")
}

/// The error of a service whose caller lacks a permission.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
//= https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
//= https://docs.aws.amazon.com/emr/latest/APIReference/CommonErrors.html
//= https://docs.aws.amazon.com/fis/latest/APIReference/CommonErrors.html
pub fn refused(service: &Service, refusal: &Refusal) -> ApiError {
    let words = &refusal.words;
    match service {
        Service::Ec2 => {
            let words = format!("You are not authorized to perform this operation. {words}");
            ApiError::with_status(403, "UnauthorizedOperation", words)
        }
        Service::S3 | Service::Sts | Service::CloudFormation => ApiError::with_status(403, "AccessDenied", words),
        // What speaks JSON 1.0 or 1.1 answers 400, what speaks REST 403.
        Service::CloudWatch
        | Service::DynamoDb
        | Service::Emr
        | Service::Events
        | Service::Logs
        | Service::Unknown(_) => ApiError::client("AccessDeniedException", words),
        Service::Fis | Service::Lambda | Service::Scheduler => {
            ApiError::with_status(403, "AccessDeniedException", words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn grants(statements: Value) -> Grants {
        let role = Role {
            session: "arn:aws:sts::000000000000:assumed-role/role/f".into(),
            statements: statements.as_array().unwrap().clone(),
        };
        Grants {
            roles: [("f".to_owned(), role)].into(),
        }
    }

    #[test]
    fn a_function_is_refused_what_its_role_does_not_give_and_nobody_else_is_asked() {
        let grants = grants(
            json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
            {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]),
        );
        let asked = [
            json!({"action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "context": {}}),
            json!({"action": "s3:ListBucket", "resource": "arn:aws:s3:::b", "context": {}}),
            json!({"action": "ec2:DescribeInstances", "resource": "*", "context": {}}),
        ];
        assert_eq!(grants.ask("somebody", &mut asked.clone()), []);
        let mut noted = asked.clone();
        let refusals = grants.ask("f", &mut noted);
        let allowed: Vec<&Value> = noted.iter().map(|one| &one["allowed"]).collect();
        assert_eq!(allowed, [true, false, false]);
        assert_eq!(
            refusals[0].words,
            "User: arn:aws:sts::000000000000:assumed-role/role/f is not authorized to perform: s3:ListBucket on \
             resource: \"arn:aws:s3:::b\" because no identity-based policy allows the s3:ListBucket action"
        );
        let refused = refused(&Service::Ec2, &refusals[1]);
        assert_eq!((refused.status, refused.code.as_str()), (403, "UnauthorizedOperation"));
        assert_eq!(
            refused.message,
            "You are not authorized to perform this operation. User: \
             arn:aws:sts::000000000000:assumed-role/role/f is not authorized to perform: ec2:DescribeInstances with an \
             explicit deny in an identity-based policy"
        );
    }
}
