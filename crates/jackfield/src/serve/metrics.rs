//! `GET /metrics`: what every part has counted, as OpenMetrics text.

use std::fmt;

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use jackfield_driver::stats::Sample;
use jackfield_turn::Stats as TurnCoreStats;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::app::App;
use super::http::{Body, full, text};

/// Answers with the present values. Labels are names of our own, never something that a client sent.
pub(super) async fn answer(app: &App) -> Response<Body> {
    let samples = collect(app).await;
    let mut registry = Registry::with_prefix("jackfield");
    registry.register_collector(Box::new(samples));
    let mut body = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut body, &registry) {
        tracing::error!(%error, "Cannot write metrics");
        return text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n");
    }
    let mut response = Response::new(full(body.into()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    response
}

/// Metrics in the order of first mention, each with its labelled values.
#[derive(Debug, Default)]
struct Samples(Vec<Metric>);

#[derive(Debug)]
struct Metric {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    /// A label's value, empty for a metric without labels, and the number.
    values: Vec<(String, u64)>,
    /// The label's name.
    label: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

impl Samples {
    /// Adds to a metric's value; shards add up.
    fn add(&mut self, kind: Kind, name: &'static str, help: &'static str, value: u64) {
        self.add_labelled(kind, name, help, ("", ""), value);
    }

    fn add_labelled(
        &mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        (label, label_value): (&'static str, &str),
        value: u64,
    ) {
        let metric = match self.0.iter_mut().position(|metric| metric.name == name) {
            Some(index) => self.0.get_mut(index),
            None => {
                self.0.push(Metric {
                    name,
                    help,
                    kind,
                    values: Vec::new(),
                    label,
                });
                self.0.last_mut()
            }
        };
        let Some(metric) = metric else { return };
        match metric
            .values
            .iter_mut()
            .find(|(known, _)| known == label_value)
        {
            Some((_, sum)) => *sum += value,
            None => metric.values.push((label_value.to_owned(), value)),
        }
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in &self.0 {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut encoder = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for (value_of_label, value) in &metric.values {
                let labels = [(metric.label, value_of_label.as_str())];
                if metric.label.is_empty() {
                    write(metric.kind, *value, &mut encoder)?;
                } else {
                    write(metric.kind, *value, &mut encoder.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn write(kind: Kind, value: u64, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match kind {
        Kind::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
        Kind::Gauge => encoder.encode_gauge(&gauge(value)),
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

async fn collect(app: &App) -> Samples {
    let mut samples = Samples::default();
    server(app, &mut samples);
    signaling(app, &mut samples);
    for (name, value) in app.io.stats().all() {
        samples.add_labelled(
            Kind::Gauge,
            "socketio",
            "What the Socket.IO server has counted, and how many there are at present",
            ("what", name),
            value,
        );
    }
    for shard in app.shards.get().into_iter().flatten() {
        shard.shard.visit(|sample| {
            samples.add_labelled(
                Kind::Gauge,
                "shard",
                "Tasks of shards, and how they ended",
                ("what", sample.name),
                sample.value,
            );
        });
        shard.tcp.visit(|sample| {
            samples.add_labelled(
                Kind::Counter,
                "tcp",
                "Connections as the listeners saw them",
                ("what", sample.name),
                sample.value,
            );
        });
        turn_driver(&shard.turn, &mut samples);
        if let Some(stats) = shard.turn.stats().await {
            turn_core(&stats, &mut samples);
        }
    }
    samples
}

fn server(app: &App, samples: &mut Samples) {
    let admission = app.admission.counts();
    samples.add(
        Kind::Gauge,
        "connections",
        "Open TCP connections",
        admission.open as u64,
    );
    samples.add(
        Kind::Counter,
        "connections_accepted",
        "TCP connections admitted",
        admission.accepted,
    );
    samples.add(
        Kind::Counter,
        "connections_refused",
        "TCP connections over a limit",
        admission.refused,
    );
    let counters = &app.counters;
    for (what, counter) in [
        ("http_requests", &counters.http_requests),
        ("http_errors", &counters.http_errors),
        ("connection_failures", &counters.connection_failures),
        ("connection_timeouts", &counters.connection_timeouts),
        ("unknown_protocols", &counters.unknown_protocols),
    ] {
        samples.add_labelled(
            Kind::Counter,
            "server",
            "Requests, and connections that ended early",
            ("what", what),
            counter.value(),
        );
    }
}

fn signaling(app: &App, samples: &mut Samples) {
    let counts = app.switchboard.counts();
    samples.add(
        Kind::Gauge,
        "signal_members",
        "Clients connected for signaling",
        counts.members as u64,
    );
    samples.add(
        Kind::Gauge,
        "signal_rooms",
        "Rooms with somebody in them",
        counts.rooms as u64,
    );
    let hub = counts.hub;
    for (what, value) in [
        ("connected", hub.connected),
        ("disconnected", hub.disconnected),
        ("received", hub.received),
        ("sent", hub.sent),
        ("relayed", hub.relayed),
        ("joined", hub.joined),
        ("left", hub.left),
        ("minted", hub.minted),
        ("renamed", hub.renamed),
        ("late", hub.late),
        ("overflowed", counts.overflows),
    ] {
        samples.add_labelled(
            Kind::Counter,
            "signal",
            "What signaling has counted",
            ("what", what),
            value,
        );
    }
    for (code, value) in hub.refused() {
        samples.add_labelled(
            Kind::Counter,
            "signal_refused",
            "Signaling messages refused, by the code of the error",
            ("code", code.as_str()),
            value,
        );
    }
    let ws = &app.websocket.counters;
    for (what, counter) in [
        ("refused", &ws.refused),
        ("protocol_errors", &ws.protocol_errors),
        ("frames_too_large", &ws.frames_too_large),
        ("messages_too_large", &ws.messages_too_large),
        ("too_many_fragments", &ws.too_many_fragments),
        ("queue_full", &ws.queue_full),
        ("silent", &ws.silent),
        ("stalled", &ws.stalled),
        ("close_timeouts", &ws.close_timeouts),
    ] {
        samples.add_labelled(
            Kind::Counter,
            "signal_websocket",
            "Signaling WebSockets that were refused or failed",
            ("what", what),
            counter.load(std::sync::atomic::Ordering::Relaxed),
        );
    }
}

fn turn_driver(handle: &jackfield_driver::turn::TurnHandle, samples: &mut Samples) {
    let stats = handle.driver_stats();
    let add = |name, help| {
        move |samples: &mut Samples, sample: Sample| {
            let label = ("what", sample.name);
            samples.add_labelled(Kind::Counter, name, help, label, sample.value);
        }
    };
    let listeners = add("udp_listener", "UDP sockets that clients send to");
    stats.listeners.visit(|sample| listeners(samples, sample));
    let relays = add("udp_relay", "UDP sockets that peers send to");
    stats.relays.visit(|sample| relays(samples, sample));
    let streams = add("turn_stream", "TCP and TLS connections of TURN clients");
    stats.streams.visit(|sample| streams(samples, sample));
    let driver = add(
        "turn_driver",
        "What the TURN driver counts beside its sockets",
    );
    stats.driver.visit(|sample| driver(samples, sample));
}

fn turn_core(stats: &TurnCoreStats, samples: &mut Samples) {
    samples.add(
        Kind::Gauge,
        "turn_allocations",
        "TURN allocations",
        stats.allocations,
    );
    for (what, value) in [
        ("bindings", stats.bindings),
        ("discoveries", stats.discoveries),
        ("helped", stats.helped),
        ("allocated", stats.allocated),
        ("packets_to_peers", stats.packets_to_peers),
        ("bytes_to_peers", stats.bytes_to_peers),
        ("packets_to_clients", stats.packets_to_clients),
        ("bytes_to_clients", stats.bytes_to_clients),
        ("successes", stats.successes),
    ] {
        samples.add_labelled(
            Kind::Counter,
            "turn",
            "What TURN has done",
            ("what", what),
            value,
        );
    }
    for (code, value) in stats.all_errors() {
        samples.add_labelled(
            Kind::Counter,
            "turn_errors",
            "TURN error responses, by code",
            ("code", &code.value().to_string()),
            value,
        );
    }
    for (reason, value) in stats.all_dropped() {
        samples.add_labelled(
            Kind::Counter,
            "turn_dropped",
            "TURN messages dropped without an answer, by reason",
            ("reason", reason.name()),
            value,
        );
    }
}
