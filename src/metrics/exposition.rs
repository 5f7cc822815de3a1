//! The text that Prometheus reads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabel, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::counters::Counters;
use super::histogram::Histogram;
use super::process::Process;
use super::{Method, Metrics};

/// The type of the answer to `GET /metrics`.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// All instruments as they are now, in the OpenMetrics text format.
    pub(crate) fn text(self: &Arc<Self>) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Everything(Arc::clone(self))));
        let mut text = String::with_capacity(32 * 1024);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct Everything(Arc<Metrics>);

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.0.write_calls(&mut out)?;
        self.0.write_engine(&mut out)?;
        self.0.write_store(&mut out)?;
        self.0.write_redis(&mut out)?;
        write_process(&mut out)
    }
}

impl Metrics {
    fn write_calls(&self, out: &mut Out<'_>) -> fmt::Result {
        let mut calls = Vec::new();
        let mut times = Vec::new();
        for method in Method::all() {
            let (service, name) = method.names();
            let own = &self.calls[method.index()];
            let before = calls.len();
            for (code, count) in own.by_code.read().filter(|(_, count)| *count > 0) {
                calls.push((vec![("grpc_service", service), ("grpc_method", name), ("grpc_code", code)], count));
            }
            if calls.len() > before {
                times.push((vec![("grpc_service", service), ("grpc_method", name)], &own.seconds));
            }
        }
        out.counters("boxoffice_grpc_requests", "Calls that were answered.", &calls)?;
        out.histograms(
            "boxoffice_grpc_request_duration_seconds",
            "Time until the answer, or until the beginning of a stream.",
            &times,
        )?;
        let in_flight = self.requests_in_flight.load(Ordering::Relaxed) as u64;
        out.gauge("boxoffice_grpc_requests_in_flight", "Calls that are being answered.", in_flight)?;
        let watchers = self.watchers.load(Ordering::Relaxed) as u64;
        out.gauge("boxoffice_watchers", "Streams of WatchEvent, WatchPlace and WatchChanges that are open.", watchers)?;
        let help = "Changes that a stream of changes found when it looked.";
        out.histogram("boxoffice_watch_lag_changes", help, &self.watch_lag)
    }

    fn write_engine(&self, out: &mut Out<'_>) -> fmt::Result {
        let queues = self.queues.get().map(Vec::as_slice).unwrap_or_default();
        let depths: Vec<_> = queues
            .iter()
            .enumerate()
            .map(|(lane, depth)| (vec![("lane", lane.to_string())], depth.load(Ordering::Relaxed)))
            .collect();
        out.gauges("boxoffice_queue_commands", "Commands that wait for a lane or are in its batch.", &depths)?;
        out.histogram("boxoffice_batch_commands", "Commands of a batch.", &self.batch_commands)?;
        out.histogram(
            "boxoffice_batch_duration_seconds",
            "Time of a batch, tries that failed included.",
            &self.batch_seconds,
        )?;
        let help = "Time of a transaction until its rows are locked and loaded.";
        out.histogram("boxoffice_batch_load_duration_seconds", help, &self.load_seconds)?;
        let help = "Time of a transaction's writes and its commit.";
        out.histogram("boxoffice_batch_commit_duration_seconds", help, &self.commit_seconds)?;
        let help = "Commands that were refused or failed, by the API's reason.";
        out.labelled("boxoffice_refusals", help, "reason", &self.refusals)?;
        let help = "Changes that this server committed to the journal, by kind.";
        out.labelled("boxoffice_journal_changes", help, "kind", &self.changes)
    }

    fn write_store(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Failures of the store, by kind.";
        out.labelled("boxoffice_store_errors", help, "kind", &self.store_errors)?;
        let serving = u64::from(self.serving.load(Ordering::Relaxed));
        out.gauge("boxoffice_serving", "1 where the store answers and the server is not ending.", serving)?;
        let lost = self.waiting_rooms_lost.load(Ordering::Relaxed);
        let help = "Waiting rooms that Redis lost, as this server noticed.";
        out.counters::<(&str, &str), _>("boxoffice_waiting_rooms_lost", help, &[(Vec::new(), lost)])?;
        let [capacity, held, sold, lag] = self.totals.each_ref().map(|total| total.load(Ordering::Relaxed));
        let units = [("capacity", capacity), ("held", held), ("sold", sold)];
        let units: Vec<_> = units.into_iter().map(|(state, count)| (vec![("state", state)], count)).collect();
        out.gauges("boxoffice_units", "Units of all events in the database, by state.", &units)?;
        let help = "Changes of all events that the index of owners does not cover yet.";
        out.gauge("boxoffice_owner_index_lag_changes", help, lag)
    }

    fn write_redis(&self, out: &mut Out<'_>) -> fmt::Result {
        let Some(redis) = self.redis.get() else { return Ok(()) };
        let help = "1 where Redis answers, all of it.";
        out.gauge("boxoffice_redis_up", help, u64::from(redis.is_up()))?;
        let help = "Commands for Redis, by what became of them.";
        out.labelled("boxoffice_redis_commands", help, "outcome", &redis.commands)?;
        out.histogram("boxoffice_redis_command_duration_seconds", "Time until Redis answered.", &redis.seconds)
    }
}

fn write_process(out: &mut Out<'_>) -> fmt::Result {
    let Some(process) = Process::read() else { return Ok(()) };
    let help = "Time on processors, in user and system mode.";
    let mut cpu = out.0.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
    cpu.encode_counter::<NoLabelSet, _, u64>(&process.cpu_seconds, None)?;
    out.gauge("process_resident_memory_bytes", "Memory in use.", process.resident_bytes)?;
    out.gauge("process_open_fds", "Open file descriptors.", process.open_fds)
}

/// Writes one family after another.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn labelled(&mut self, name: &str, help: &str, label: &'static str, counters: &Counters) -> fmt::Result {
        let samples: Vec<_> = counters.read().map(|(value, count)| (vec![(label, value)], count)).collect();
        self.counters(name, help, &samples)
    }

    fn counters<L: EncodeLabel, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: &[(Vec<L>, V)],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in samples {
            family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<L: EncodeLabel, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: &[(Vec<L>, V)],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(labels)?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        write_histogram(self.0.encode_descriptor(name, help, None, MetricType::Histogram)?, histogram)
    }

    fn histograms<L: EncodeLabel>(&mut self, name: &str, help: &str, samples: &[(Vec<L>, &Histogram)]) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in samples {
            write_histogram(family.encode_family(labels)?, histogram)?;
        }
        Ok(())
    }
}

fn write_histogram(mut sample: MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let read = histogram.read();
    sample.encode_histogram::<NoLabelSet>(read.sum, read.count, &read.buckets, None)
}
