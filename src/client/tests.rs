use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::answer::{Verdict, judge};
use super::*;

fn told(code: Code, reason: &str, after: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "boxoffice", HashMap::new());
    if after.is_some() {
        details.set_retry_info(after);
    }
    Status::with_error_details(code, "no", details)
}

fn again(status: Status) -> Failed {
    match judge(status, false) {
        Verdict::Again(failed) => failed,
        Verdict::Unknown(status) => panic!("unknown: {status:?}"),
        Verdict::Refused(refused) => panic!("refused: {refused:?}"),
    }
}

fn refused(status: Status) -> Refused {
    match judge(status, false) {
        Verdict::Refused(refused) => *refused,
        Verdict::Again(failed) => panic!("again: {:?}", failed.status),
        Verdict::Unknown(status) => panic!("unknown: {status:?}"),
    }
}

#[test]
fn what_may_pass_is_asked_again_and_a_refusal_never() {
    let after = Some(Duration::from_millis(100));
    for (code, reason) in [
        (Code::Unavailable, "OVERLOADED"),
        (Code::Unavailable, "STORE_UNAVAILABLE"),
        (Code::Unavailable, "SHUTTING_DOWN"),
        (Code::Unavailable, "WAITING_ROOM_UNAVAILABLE"),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    ] {
        let failed = again(told(code, reason, after));
        assert_eq!(failed.asked_for, after, "{reason}");
    }
    for (code, reason, refusal) in [
        (Code::FailedPrecondition, "SOLD_OUT", Refusal::SoldOut),
        (Code::FailedPrecondition, "ALL_HELD", Refusal::AllHeld),
        (Code::AlreadyExists, "RESERVATION_ID_REUSED", Refusal::ReservationIdReused),
        (Code::NotFound, "RESERVATION_NOT_FOUND", Refusal::ReservationNotFound),
        (Code::InvalidArgument, "INVALID_LINES", Refusal::Invalid("INVALID_LINES".to_owned())),
        (Code::ResourceExhausted, "RATE_LIMITED", Refusal::Other("RATE_LIMITED".to_owned())),
    ] {
        let refused = refused(told(code, reason, after));
        assert_eq!((refused.refusal.clone(), refused.code()), (refusal, code));
    }
}

#[test]
fn without_a_reason_only_what_the_connection_or_a_proxy_says_is_asked_again() {
    again(Status::unavailable("bad gateway"));
    again(Status::cancelled("operation was canceled"));
    let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    again(Status::from_error(Box::new(broken)));
    let foreign = refused(Status::unimplemented("no such method"));
    assert_eq!(foreign.refusal, Refusal::Other(String::new()));
    // A reason of somebody else's is none.
    let details = ErrorDetails::with_error_info("SOLD_OUT", "example.com", HashMap::new());
    let foreign = refused(Status::with_error_details(Code::FailedPrecondition, "no", details));
    assert_eq!((foreign.refusal, foreign.reason.as_str()), (Refusal::Other(String::new()), ""));
}

/// Neither is repeated at once, nor told as a refusal, which says that there was no effect.
#[test]
fn where_the_server_or_a_proxy_failed_the_effect_is_unknown() {
    for status in [
        told(Code::Internal, "INTERNAL", None),
        Status::internal("failed to decode"),
        Status::unknown("grpc-status header missing, mapped from HTTP status code 500"),
    ] {
        assert!(matches!(judge(status.clone(), false), Verdict::Unknown(_)), "{status:?}");
    }
}

/// What is said before the call's id is looked up tells nothing of an earlier attempt.
#[test]
fn after_an_attempt_without_an_answer_only_a_refusal_that_knows_of_it_is_told_as_one() {
    let before_a_look = [
        told(Code::Unauthenticated, "UNAUTHENTICATED", None),
        told(Code::PermissionDenied, "PERMISSION_DENIED", None),
        Status::unimplemented("no such method"),
    ];
    for status in before_a_look {
        assert!(matches!(judge(status.clone(), true), Verdict::Unknown(_)), "{status:?}");
        refused(status);
    }
    let limited = || told(Code::ResourceExhausted, "RATE_LIMITED", Some(Duration::from_secs(1)));
    assert!(matches!(judge(limited(), true), Verdict::Again(failed) if failed.asked_for.is_some()));
    for (code, reason) in [
        (Code::FailedPrecondition, "SOLD_OUT"),
        (Code::AlreadyExists, "RESERVATION_ID_REUSED"),
        (Code::NotFound, "RESERVATION_NOT_FOUND"),
        (Code::InvalidArgument, "INVALID_LINES"),
    ] {
        assert!(matches!(judge(told(code, reason, None), true), Verdict::Refused(_)), "{reason}");
    }
}

#[test]
fn an_attempt_is_in_doubt_unless_it_was_sent_away_or_never_sent() {
    for (reason, in_doubt) in [
        ("OVERLOADED", false),
        ("SHUTTING_DOWN", false),
        ("STORE_UNAVAILABLE", true),
        ("WAITING_ROOM_UNAVAILABLE", true),
    ] {
        assert_eq!(again(told(Code::Unavailable, reason, None)).in_doubt, in_doubt, "{reason}");
    }
    for status in [told(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None), Status::unavailable("bad gateway")] {
        assert!(again(status).in_doubt);
    }
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    assert!(!again(Status::from_error(Box::new(tonic::ConnectError(Box::new(refused))))).in_doubt);
    let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert!(again(Status::from_error(Box::new(broken))).in_doubt);
    assert!(Failed::in_time().in_doubt);
}

#[test]
fn pauses_double_up_to_a_bound_and_start_where_the_server_asks() {
    let config =
        Config { back_off_min: Duration::from_millis(50), back_off_max: Duration::from_secs(2), ..Config::default() };
    for (attempts, chance, expected_millis) in
        [(1, 0.0, 0), (1, 0.5, 25), (1, 1.0, 50), (2, 1.0, 100), (3, 0.5, 100), (6, 1.0, 1_600), (7, 1.0, 2_000)]
    {
        assert_eq!(config.pause(attempts, None, chance), Duration::from_millis(expected_millis), "{attempts}");
    }
    assert_eq!(config.pause(u32::MAX, None, 1.0), Duration::from_secs(2));
    assert_eq!(config.pause(2, Some(Duration::from_millis(500)), 0.5), Duration::from_millis(550));
}

#[test]
fn callers_that_cannot_be_are_refused_and_tokens_do_not_show() {
    for text in ["", "ann b", "änn", "a\nb"] {
        assert!(matches!(Caller::owner(text), Err(Error::Unusable(_))), "{text:?}");
        assert!(matches!(Caller::token(text), Err(Error::Unusable(_))), "{text:?}");
    }
    let gateway = Caller::token("secret").unwrap().on_behalf_of("ann").unwrap();
    assert!(!format!("{gateway:?}").contains("secret"));
    let mut metadata = tonic::metadata::MetadataMap::new();
    gateway.stamp(&mut metadata);
    assert_eq!(metadata.get("authorization").unwrap(), "Bearer secret");
    assert_eq!(metadata.get("boxoffice-owner").unwrap(), "ann");
}

#[tokio::test]
async fn servers_that_cannot_be_are_refused() {
    let none: [&str; 0] = [];
    assert!(matches!(Client::connect(&none, Caller::default(), Config::default()), Err(Error::Unusable(_))));
    assert!(matches!(Client::connect(&["::"], Caller::default(), Config::default()), Err(Error::Unusable(_))));
}

#[tokio::test]
async fn a_call_may_have_all_the_time_there_is() {
    let config = Config { deadline: Duration::MAX, attempts_max: 1, ..Config::default() };
    let client = Client::connect(&["http://127.0.0.1:1"], Caller::default(), config).unwrap();
    let error = client.get_reservation("events/sale/reservations/none").await.expect_err("nobody is there");
    assert!(matches!(error, Error::Unanswered { attempts: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn an_attempt_takes_no_longer_than_what_is_left_of_the_call() {
    // Somebody who takes connections and never says anything.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let config = Config {
        deadline: Duration::from_millis(200),
        attempt_timeout: Duration::from_secs(3_600),
        ..Config::default()
    };
    let client = Client::connect(&[url], Caller::default(), config).unwrap();
    let call = client.get_reservation("events/sale/reservations/none");
    let answer = timeout(Duration::from_secs(20), call).await.expect("within the time of the call");
    assert!(matches!(answer, Err(Error::Unanswered { .. })), "{answer:?}");
}
