//! Whole scenarios.

use std::ffi::OsString;
use std::time::Duration;

use loadtest::cli::{self, Scenario};
use loadtest::report::Report;
use loadtest::server::{Options, Servers};

use crate::fake::{Bug, start};

/// Small sales, so that all run in seconds.
const SALE: &str = "sale --tickets 600 --buyers 1500 --seconds 2 --hold-seconds 1 --in-flight 64 --drain-seconds 3";

fn scenario(line: &str) -> Scenario {
    cli::parse(line.split(' ').map(OsString::from)).scenario
}

async fn run(url: &str, line: &str) -> Report {
    loadtest::play(&scenario(&format!("loadtest {line} --target {url}"))).await.unwrap()
}

async fn sale_with(bug: Option<Bug>) -> Report {
    run(&start(bug).await, SALE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_server_passes_the_sale() {
    let report = sale_with(None).await;
    assert!(report.passed, "{:#?}", report.violations);
    assert_eq!((report.audit.capacity, report.audit.sold), (600, 600));
}

/// A request is granted to a buyer who has gone when the last units are to be sold: he holds them, and they are sold later.
#[tokio::test(flavor = "multi_thread")]
async fn an_honest_server_passes_though_requests_arrive_when_all_have_gone() {
    // The rush is over before the first holds lapse, so that units are left.
    let line = "storm --tickets 200 --buyers 800 --hold-seconds 1 --drain-seconds 3";
    let report = run(&start(Some(Bug::DeliversLate)).await, line).await;
    assert!(report.passed, "{:#?}", report.violations);
    assert_eq!((report.audit.capacity, report.audit.sold), (200, 200));
    assert!(report.audit.unknown > 0, "requests were lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_racy_server_is_caught_overselling() {
    let report = sale_with(Some(Bug::ChecksBeforeItActs)).await;
    assert!(!report.passed && report.audit.oversold > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_what_it_confirmed_is_caught() {
    let report = sale_with(Some(Bug::ForgetsConfirmations)).await;
    assert!(!report.passed && report.audit.lost > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_remembers_sold_out_for_too_long_is_caught() {
    let report = sale_with(Some(Bug::RemembersSoldOut)).await;
    assert!(!report.passed && report.audit.false_sold_out > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_reclaims_is_caught() {
    let report = sale_with(Some(Bug::NeverReclaims)).await;
    assert!(!report.passed && report.audit.leaked > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shows_reservations_to_others_is_caught() {
    let report = sale_with(Some(Bug::ShowsEverybody)).await;
    assert!(!report.passed && report.audit.disclosed > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_retries_for_new_requests_is_caught() {
    let report = sale_with(Some(Bug::GrantsRetriesAnew)).await;
    assert!(!report.passed && report.audit.duplicated > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lists_others_reservations_hints_at_them_or_denies_them_is_caught() {
    for bug in [Bug::ListsEverybodys, Bug::HintsAtOthers, Bug::DeniesOthers] {
        let report = sale_with(Some(bug)).await;
        assert!(!report.passed && report.audit.disclosed > 0, "{bug:?}: {:#?}", report.violations);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_add_up_the_lines_of_an_allocation_is_caught() {
    let report = sale_with(Some(Bug::TakesTheFirstLine)).await;
    assert!(!report.passed && report.audit.wrong_answer > 0, "{:#?}", report.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_another_request_for_a_retry_is_caught() {
    let report = sale_with(Some(Bug::TakesOthersForRetries)).await;
    assert!(!report.passed && report.audit.wrong_answer > 0, "{:#?}", report.violations);
}

/// A sale that is paused and opened again and again.
const PAUSED: &str = "sale --tickets 2000 --buyers 3000 --seconds 2 --hold-seconds 1 --operators 20 --drain-seconds 3";

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_server_passes_though_its_sales_are_paused() {
    let report = run(&start(None).await, PAUSED).await;
    assert!(report.passed, "{:#?}", report.violations);
    assert_eq!((report.audit.capacity, report.audit.sold), (2000, 2000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_heed_pauses_or_remembers_them_is_caught() {
    for (bug, words) in [
        (Bug::SellsInPauses, "when the event was not on sale"),
        (Bug::RemembersPauses, "SALES_NOT_OPEN, but the event was on sale"),
    ] {
        let report = run(&start(Some(bug)).await, PAUSED).await;
        let told = report.violations.iter().any(|violation| violation.text.contains(words));
        assert!(!report.passed && told, "{bug:?}: {:#?}", report.violations);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_down_is_asked_for_with_patience_which_has_an_end() {
    const FEW: &str = "storm --tickets 20 --buyers 200 --hold-seconds 1 --drain-seconds 3";
    let report = run(&start(Some(Bug::FindsItsJournalLate)).await, FEW).await;
    assert!(report.passed, "{:#?}", report.violations);
    let report = run(&start(Some(Bug::LosesItsJournal)).await, FEW).await;
    assert!(!report.passed && report.audit.unproven == 1, "{:#?}", report.violations);
    let report = run(&start(Some(Bug::InventsAllocations)).await, FEW).await;
    assert!(!report.passed && report.audit.wrong_answer == 1, "{:#?}", report.violations);
    assert!(report.violations[0].text.contains("has no allocation"), "{:#?}", report.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_back_what_has_lapsed_is_caught() {
    let report = sale_with(Some(Bug::ReleasesTheLapsed)).await;
    assert!(!report.passed && report.audit.duplicated > 0, "{:#?}", report.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_benchmark_measures_every_call_and_counts_what_it_made() {
    let report = run(&start(None).await, "bench --turns 1 --seconds 0.2").await;
    assert!(report.passed, "{}", report.summary);
    assert!(report.facts.contains(&("journal_replayed", true.into())), "{:?}", report.facts);
    let names: Vec<_> = report.measurements.iter().map(|m| format!("{}@{}", m.name, m.in_flight)).collect();
    assert_eq!(
        names.join(" "),
        "empty@64 h2load_empty@64 reserve@64 empty@256 reserve@256 batch_reserve@8 refuse@64 refuse@256 \
        confirm@64 empty@1 reserve@1"
    );
    let timed = report.measurements.iter().filter(|m| m.name != "h2load_empty");
    assert!(timed.clone().count() == 10 && timed.clone().all(|m| m.latency_us.max > 0));
    assert!(report.measurements.iter().all(|m| m.rate_per_s > 0.0 && m.ratio_to_empty > 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_benchmark_catches_a_server_that_forgets() {
    let server = start(Some(Bug::ForgetsConfirmations)).await;
    let report = run(&server, "bench --turns 1 --seconds 0.2 --only confirm@64").await;
    assert!(!report.passed && report.audit.lost > 0, "{}", report.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_benchmark_catches_a_server_that_hides_units() {
    let server = start(Some(Bug::HidesUnits)).await;
    let report = run(&server, "bench --turns 1 --seconds 0.2 --only reserve@64").await;
    assert!(!report.passed && report.audit.stranded == 1, "{}", report.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_benchmark_fails_a_server_that_sells_what_is_sold() {
    let server = start(Some(Bug::SellsWhatIsSold)).await;
    let report = run(&server, "bench --turns 1 --seconds 0.2 --only refuse@64").await;
    assert!(!report.passed && report.scenario == "bench" && report.audit.oversold == 1, "{}", report.summary);
    assert_eq!(report.violations[0].text, "a sold-out event sold");
}

#[tokio::test(flavor = "multi_thread")]
async fn growth_catches_a_server_that_forgets_where_many_events_sell() {
    let server = start(Some(Bug::ForgetsElsewhere)).await;
    let report = run(&server, "growth --reservations 5000 --events 70 --turns 1 --seconds 0.2").await;
    assert!(!report.passed && report.audit.lost > 0, "{}", report.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn growth_makes_its_reservations_and_its_events() {
    let line = "growth --reservations 5000 --events 70 --turns 1 --seconds 0.2";
    let report = run(&start(None).await, line).await;
    assert!(report.passed, "{}", report.summary);
    let names: Vec<_> = report.measurements.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["reserve_at_start", "reserve_grown", "reserve_one_of_many", "reserve_spread"]);
}

/// The other scenarios in small forms; the fake has one allocation.
const STORM: &str = "storm --tickets 60 --buyers 3000 --hold-seconds 1 --drain-seconds 3";
const LIMITS: &str =
    "limits --allocations 1 --allocation-limit 0 --tickets 2000 --buyers 60 --hold-seconds 1 --drain-seconds 3";
const DUPLICATES: &str = "duplicates --tickets 200 --buyers 500 --hold-seconds 1 --drain-seconds 3";
const EXPIRY: &str = "expiry --tickets 150 --buyers 500 --seconds 3 --drain-seconds 5";
const OPEN_LOOP: &str = "sale --tickets 300 --buyers 600 --rate 300 --shape bursts --hold-seconds 1";

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_server_passes_every_scenario() {
    for line in [STORM, LIMITS, DUPLICATES, EXPIRY, OPEN_LOOP] {
        let report = run(&start(None).await, line).await;
        assert!(report.passed, "{line}: {:#?}", report.violations);
        assert!(report.audit.sold > 0 && report.audit.sold == report.audit.capacity, "{line}: {:?}", report.audit);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs_already_need_not_look_for_what_has_lapsed() {
    let common = scenario("loadtest sale").common().clone();
    let options = Options { sweep_interval: Some(Duration::ZERO), ..Options::default() };
    let servers = Servers::start(&common, options).await.unwrap();
    // All have gone before the first hold lapses.
    let line = "storm --tickets 400 --buyers 500 --hold-seconds 2 --drain-seconds 3";
    let report = run(&servers.urls()[0], line).await;
    assert!(report.passed, "{:#?}", report.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_clock_is_refused() {
    let url = start(Some(Bug::IsAhead)).await;
    let refused = loadtest::play(&scenario(&format!("loadtest {STORM} --target {url}"))).await.unwrap_err();
    let told = format!("{refused:#}");
    assert!(told.starts_with("the clock of the server's database is +") && told.lines().count() == 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_racy_server_is_caught_in_a_storm_and_at_its_limits() {
    let report = run(&start(Some(Bug::ChecksBeforeItActs)).await, STORM).await;
    assert!(!report.passed && report.audit.oversold > 0, "{:#?}", report.audit);
    let report = run(&start(Some(Bug::ChecksBeforeItActs)).await, LIMITS).await;
    assert!(!report.passed && report.audit.limit_passed > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn intruders_come_where_owners_pass_their_limits_and_where_holds_lapse_too() {
    for line in [LIMITS, EXPIRY] {
        let report = run(&start(Some(Bug::HintsAtOthers)).await, line).await;
        assert!(!report.passed && report.audit.disclosed > 0, "{line}: {:#?}", report.violations);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_mixes_up_the_answers_of_a_batch_is_caught() {
    let report = run(&start(Some(Bug::MixesUpAnswers)).await, LIMITS).await;
    assert!(!report.passed && report.audit.wrong_answer > 0, "{:#?}", report.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_duplicates_for_new_requests_is_caught() {
    let report = run(&start(Some(Bug::GrantsRetriesAnew)).await, DUPLICATES).await;
    assert!(!report.passed && report.audit.duplicated > 0, "{:#?}", report.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_sent_several_times_and_some_are_given_up() {
    let report = run(&start(None).await, DUPLICATES).await;
    assert!(report.passed, "{:#?}", report.violations);
    let fact =
        |name| report.facts.iter().find(|(fact, _)| *fact == name).and_then(|(_, value)| value.as_u64()).unwrap();
    // Of whom most are refused at once: with single requests it is less than two for each.
    assert!(fact("calls") >= 3 * fact("buyers"), "{:?}", report.facts);
    assert!(report.audit.unknown > 0, "an answer that nobody waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_place_waits_in_the_latency_too() {
    // All come within 20 ms, and one after the other is served, who thinks for a while.
    let line = "sale --tickets 500 --buyers 40 --rate 2000 --in-flight 1 --hold-seconds 1";
    let report = run(&start(None).await, line).await;
    assert!(report.passed, "{:#?}", report.violations);
    assert!(report.facts.iter().any(|(fact, _)| *fact == "buyers_who_found_all_places_taken"), "{:?}", report.facts);
    assert!(report.measurements[0].latency_us.max >= 1_000_000, "{:?}", report.measurements);
}
