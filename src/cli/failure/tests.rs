use std::collections::HashMap;

use tonic_types::ErrorDetails;

use super::*;

fn told(code: Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "boxoffice", HashMap::new());
    Status::with_error_details(code, "no", details)
}

#[test]
fn a_refusal_is_one_line_with_its_reason_and_the_fields_below() {
    let mut details = ErrorDetails::with_error_info("INVALID_LINES", "boxoffice", HashMap::new());
    details.add_bad_request_violation("reservation.lines[0].quantity", "must be 1 to 1,000,000");
    let status = Status::with_error_details(Code::InvalidArgument, "the request is not valid", details);
    let failure = Failure::from(status);
    assert_eq!(
        failure.as_text(),
        "error: INVALID_LINES: the request is not valid\n  reservation.lines[0].quantity: must be 1 to 1,000,000"
    );
    assert_eq!(failure.exit_code(), ExitCode::from(1));
    assert!(!failure.leaves_effect_unknown());
}

#[test]
fn json_errors_tell_code_reason_and_metadata() {
    let metadata = HashMap::from([("next_expire_time".to_owned(), "2027-01-01T00:00:00Z".to_owned())]);
    let details = ErrorDetails::with_error_info("ALL_HELD", "boxoffice", metadata);
    let status = Status::with_error_details(Code::FailedPrecondition, "nothing is free now", details);
    let value: serde_json::Value = serde_json::from_str(&Failure::from(status).as_json()).unwrap();
    assert_eq!(value["error"]["code"], "FAILED_PRECONDITION");
    assert_eq!(value["error"]["reason"], "ALL_HELD");
    assert_eq!(value["error"]["metadata"]["next_expire_time"], "2027-01-01T00:00:00Z");
}

#[test]
fn somebody_elses_edit_and_a_dry_run_have_exit_codes_of_their_own() {
    let details = ErrorDetails::with_error_info("ETAG_MISMATCH", "boxoffice", HashMap::new());
    let stale = Status::with_error_details(Code::Aborted, "it was changed", details);
    assert_eq!(Failure::from(stale).exit_code(), ExitCode::from(4));
    let conflict =
        Failure::Conflict { message: "changed".to_owned(), conflicts: Conflicts::default(), hints: Vec::new() };
    assert_eq!(conflict.exit_code(), ExitCode::from(4));
    assert_eq!(Failure::WouldChange.exit_code(), ExitCode::from(5));
    assert_eq!((Failure::WouldChange.as_text(), Failure::WouldChange.as_json()), (String::new(), String::new()));
}

#[test]
fn where_a_request_may_have_been_carried_out_that_is_known() {
    let gone = Failure::from(Status::unavailable("connection refused"));
    assert!(gone.exit_code() == ExitCode::from(3) && gone.leaves_effect_unknown());
    for (code, reason, unknown) in [
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", true),
        (Code::Unavailable, "STORE_UNAVAILABLE", true),
        (Code::Unavailable, "OVERLOADED", true),
        (Code::Internal, "INTERNAL", true),
        (Code::Unknown, "", true),
        (Code::DataLoss, "", true),
        (Code::Cancelled, "", true),
        (Code::FailedPrecondition, "SOLD_OUT", false),
        (Code::ResourceExhausted, "RATE_LIMITED", false),
        (Code::Unauthenticated, "UNAUTHENTICATED", false),
    ] {
        let told = Failure::from(told(code, reason));
        let exit_code = ExitCode::from(if unknown { 3 } else { 1 });
        assert_eq!((told.exit_code(), told.leaves_effect_unknown()), (exit_code, unknown), "{code} {reason}");
        let text = told.with_hint_if_unknown(|| "repeat it".to_owned()).as_text();
        assert_eq!(text.ends_with("\n  repeat it"), unknown, "{text}");
    }
}

#[test]
fn of_several_attempts_the_last_does_not_tell_what_became_of_those_before() {
    for (code, reason) in [(Code::Unavailable, "OVERLOADED"), (Code::Unauthenticated, "UNAUTHENTICATED")] {
        let last = Box::new(told(code, reason));
        let failure = Failure::from(Error::Unanswered { name: "events/demo".to_owned(), attempts: 2, last });
        assert_eq!((failure.exit_code(), failure.leaves_effect_unknown()), (ExitCode::from(3), true), "{reason}");
        assert!(failure.as_text().starts_with(&format!("error: {reason}: ")), "{}", failure.as_text());
    }
}

#[test]
fn what_this_side_made_up_is_no_answer_of_the_server() {
    let broken = || Box::new(std::io::Error::other("reset by peer"));
    let caused = |mut status: Status| {
        status.set_source(std::sync::Arc::new(std::io::Error::other("reset by peer")));
        status
    };
    let cases = [
        (Failure::from(Status::from_error(broken())), "the connection to the server broke: reset by peer"),
        (Failure::from(Status::from_error(Box::new(TimeoutExpired(())))), "the server did not answer within 30 s"),
        (Failure::from(caused(Status::cancelled("gone"))), "the connection to the server broke: reset by peer"),
        (
            Failure::from(Error::Unanswered {
                name: "events/demo".to_owned(),
                attempts: 2,
                last: Box::new(Status::deadline_exceeded("no answer in time")),
            }),
            "no answer in time",
        ),
    ];
    for (failure, told) in cases {
        assert_eq!((failure.exit_code(), failure.in_short()), (ExitCode::from(3), told));
    }
}

#[test]
fn when_to_come_again_is_told() {
    let metadata = HashMap::from([("next_expire_time".to_owned(), "2027-01-01T00:00:00Z".to_owned())]);
    let mut details = ErrorDetails::with_error_info("ALL_HELD", "boxoffice", metadata);
    details.set_retry_info(Some(std::time::Duration::from_millis(1_500)));
    let failure = Failure::from(Status::with_error_details(Code::FailedPrecondition, "nothing is free now", details));
    assert_eq!(
        failure.as_text(),
        "error: ALL_HELD: nothing is free now\n  the next hold lapses at 2027-01-01T00:00:00Z\n  try again in 1.5 s"
    );
}
