//! What can go wrong with a call, and what a user can do about it.

use sdbuild_core::failure::{Class, Failure};

/// The request for the address from which AWS sees this machine, as messages name it.
pub(super) const OWN_ADDRESS: &str = "the request for this machine's public address";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service answered with an error.
    #[error("AWS refused {action}: {message} ({code})")]
    Refused {
        /// The name of the call.
        action: &'static str,
        /// AWS's name of the error.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// No answer, after all attempts.
    #[error("AWS does not answer {action}: {why}")]
    Unreachable {
        /// The name of the call.
        action: &'static str,
        /// What happened to the last attempt.
        why: String,
    },
    /// An answer that the call's documentation does not allow.
    #[error("unexpected response from AWS to {action}: {what}")]
    Unexpected {
        /// The name of the call.
        action: &'static str,
        /// What was in the answer, or was not.
        what: String,
    },
    /// The user ended the run.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether the account has an image of that name.
    pub fn is_duplicate_name(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "InvalidAMIName.Duplicate")
    }

    /// Whether AWS refused with the error `code`.
    pub fn has_code(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == expected)
    }

    /// Whether the account has no such image or snapshot, or no longer.
    pub fn is_gone(&self) -> bool {
        const CODES: [&str; 3] = [
            "InvalidAMIID.NotFound",
            "InvalidAMIID.Unavailable",
            "InvalidSnapshot.NotFound",
        ];
        matches!(self, Self::Refused { code, .. } if CODES.contains(&code.as_str()))
    }

    fn hint(&self) -> Option<String> {
        if matches!(self, Self::Unexpected { action, .. } if *action == OWN_ADDRESS) {
            let text = "a proxy or login page of this network answers instead of AWS";
            return Some(text.to_owned());
        }
        let Self::Refused { code, message, .. } = self else {
            let reach =
                "check the network, and that the region exists (--region, or --on aws:region=NAME)";
            return matches!(self, Self::Unreachable { .. }).then(|| reach.to_owned());
        };
        let text = match code.as_str() {
            _ if message.contains("Signature expired") || message.contains("not yet current") => {
                "this machine's clock is wrong; set it, for instance with timedatectl set-ntp true"
            }
            // EC2's name for both.
            "RequestExpired" => {
                "the credentials have expired (log in again, for instance with aws sso login), or this machine's clock is wrong"
            }
            "ExpiredToken" | "ExpiredTokenException" => {
                "the credentials have expired; log in again, for instance with aws sso login"
            }
            "AuthFailure"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException" => {
                "the access key or its secret is wrong; test them with aws sts get-caller-identity"
            }
            "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
                "the account's policy lacks the permission for this. Allow it there, or use another account"
            }
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted" => {
                "the first spot instance of an account needs a role. Somebody with more permissions must run, once: \
                 aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
            }
            "VPCIdNotSpecified" | "DefaultVpcDoesNotExist" => {
                "the region has no default network; make one with aws ec2 create-default-vpc"
            }
            "OperationNotPermitted" if message.contains("block public access") => {
                "the account blocks public images in this region: name accounts (--share 123456789012), or, if all your images may \
                 become public, aws ec2 disable-image-block-public-access"
            }
            "InvalidAMIName.Duplicate" => "choose another name: --name",
            "OptInRequired" => {
                "enable the region in the account's settings, or take another one (--region, or --on aws:region=NAME)"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if matches!(error, Error::Interrupted) {
            return Self::interrupted();
        }
        let hint = error.hint();
        let failure = Self::new(Class::Environment, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
