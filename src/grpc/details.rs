//! Writes the details of a gRPC status: an encoded `google.rpc.Status`.
//!
//! At a sell-out nearly every answer is a refusal, so a refusal must cost no more than a grant. The messages are
//! therefore written straight into one buffer, without building them (with their maps and lists of strings) first; the
//! tests read them back with the types of `tonic-types`.

use std::time::Duration;

use tonic::{Code, Status};

/// The `domain` of every `ErrorInfo`.
pub(super) const DOMAIN: &str = "boxoffice";

/// Room for the details of a usual refusal.
const USUAL_BYTES: usize = 384;
/// The wire type of strings and messages.
const LENGTH_DELIMITED: u64 = 2;

/// The details of one status, being written.
pub(super) struct Details {
    code: Code,
    message: String,
    buffer: Vec<u8>,
}

impl Details {
    /// Begins with an `ErrorInfo` of `reason` and `metadata`.
    pub(super) fn new(code: Code, reason: &str, message: impl Into<String>, metadata: &[(&str, &str)]) -> Self {
        let message = message.into();
        let mut buffer = Vec::with_capacity(USUAL_BYTES);
        put_number(&mut buffer, 1, u64::from((code as i32).cast_unsigned()));
        put_text(&mut buffer, 2, &message);
        Self { code, message, buffer }.any("google.rpc.ErrorInfo", |out| {
            put_text(out, 1, reason);
            put_text(out, 2, DOMAIN);
            for (key, value) in metadata {
                put_message(out, 3, |out| {
                    put_text(out, 1, key);
                    put_text(out, 2, value);
                });
            }
        })
    }

    /// Adds a `BadRequest` of field violations: (path, description, reason).
    pub(super) fn bad_request<'a>(self, violations: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        self.any("google.rpc.BadRequest", |out| {
            for (field, description, reason) in violations {
                put_message(out, 1, |out| {
                    put_text(out, 1, field);
                    put_text(out, 2, description);
                    put_text(out, 3, reason);
                });
            }
        })
    }

    /// Adds a `PreconditionFailure` of violations of one type: (subject, description).
    pub(super) fn precondition(
        self,
        kind: &str,
        violations: impl Iterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
    ) -> Self {
        self.any("google.rpc.PreconditionFailure", |out| {
            for (subject, description) in violations {
                put_message(out, 1, |out| {
                    put_text(out, 1, kind);
                    put_text(out, 2, subject.as_ref());
                    put_text(out, 3, description.as_ref());
                });
            }
        })
    }

    /// Adds a `QuotaFailure` of one violation.
    pub(super) fn quota(self, subject: &str, description: &str) -> Self {
        self.any("google.rpc.QuotaFailure", |out| {
            put_message(out, 1, |out| {
                put_text(out, 1, subject);
                put_text(out, 2, description);
            });
        })
    }

    /// Adds a `RetryInfo`.
    pub(super) fn retry(self, after: Duration) -> Self {
        self.any("google.rpc.RetryInfo", |out| {
            put_message(out, 1, |out| {
                put_number(out, 1, after.as_secs());
                put_number(out, 2, u64::from(after.subsec_nanos()));
            });
        })
    }

    /// Adds a `ResourceInfo`.
    pub(super) fn resource(self, kind: &str, name: &str) -> Self {
        self.any("google.rpc.ResourceInfo", |out| {
            put_text(out, 1, kind);
            put_text(out, 2, name);
        })
    }

    /// Adds any other message, such as the current state of a resource.
    pub(super) fn message(self, name: &str, message: &impl prost::Message) -> Self {
        self.any(name, |out| out.extend(message.encode_to_vec()))
    }

    /// The status.
    pub(super) fn into_status(self) -> Status {
        Status::with_details(self.code, self.message, self.buffer.into())
    }

    fn any(mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        put_message(&mut self.buffer, 3, |out| {
            put_message(out, 1, |out| {
                out.extend(b"type.googleapis.com/");
                out.extend(name.as_bytes());
            });
            put_message(out, 2, write);
        });
        self
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        put_varint(out, field << 3);
        put_varint(out, value);
    }
}

fn put_text(out: &mut Vec<u8>, field: u64, text: &str) {
    if !text.is_empty() {
        put_varint(out, field << 3 | LENGTH_DELIMITED);
        put_varint(out, text.len() as u64);
        out.extend(text.as_bytes());
    }
}

/// Writes a message (or the bytes) of a field. Its length stands before it and is known only after it: one byte is kept
/// free for the length, and what was written moves up where the length takes more.
fn put_message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, field << 3 | LENGTH_DELIMITED);
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    match u8::try_from(length) {
        Ok(short @ ..0x80) => out[start] = short,
        _ => {
            let mut prefix = Vec::with_capacity(10);
            put_varint(&mut prefix, length as u64);
            out.splice(start..=start, prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tonic_types::{StatusExt as _, pb};

    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_types_of_tonic() {
        let long = "x".repeat(300);
        let after = Duration::from_millis(1_250);
        let status =
            Details::new(Code::InvalidArgument, "INVALID_X", long.as_str(), &[("a", "1"), ("b", long.as_str())])
                .bad_request([("f.g[1]", "must be small", "INVALID_X"), ("h", long.as_str(), "INVALID_H")].into_iter())
                .precondition("SOLD_OUT", [("events/e/allocations/a", "nothing left")].into_iter())
                .quota("ann", "4 at most")
                .retry(after)
                .resource("boxoffice.v1/Event", "events/e")
                .into_status();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, long.as_str()));

        let raw = pb::Status::decode(status.details()).unwrap();
        assert_eq!((raw.code, raw.message.as_str(), raw.details.len()), (3, long.as_str(), 6));

        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_X", "boxoffice"));
        assert_eq!(info.metadata.len(), 2);
        assert_eq!((info.metadata["a"].as_str(), info.metadata["b"].as_str()), ("1", long.as_str()));
        let fields = &details.bad_request().unwrap().field_violations;
        assert_eq!((fields[0].field.as_str(), fields[0].description.as_str()), ("f.g[1]", "must be small"));
        assert_eq!((fields[1].field.as_str(), fields[1].description.as_str()), ("h", long.as_str()));
        let precondition = &details.precondition_failure().unwrap().violations[0];
        assert_eq!(
            (precondition.r#type.as_str(), precondition.subject.as_str()),
            ("SOLD_OUT", "events/e/allocations/a")
        );
        assert_eq!(precondition.description, "nothing left");
        assert_eq!(details.quota_failure().unwrap().violations[0].subject, "ann");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(after));
        assert_eq!(details.resource_info().unwrap().resource_name, "events/e");
    }

    #[test]
    fn lengths_around_the_bounds_of_their_encoding_are_right() {
        for length in [0, 1, 126, 127, 128, 129, 16_383, 16_384, 20_000] {
            let text = "y".repeat(length);
            let status = Details::new(Code::Aborted, "R", "m", &[("k", text.as_str())]).into_status();
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["k"].len(), length);
        }
    }
}
