//! `GET /metrics`: what every part has counted, for Prometheus.
//!
//! Each number is a family of its own, with one kind and one unit; shards add up. Prometheus itself
//! asks for OpenMetrics; every other client gets the older text format, which `promtool` and
//! people with curl read.

use std::fmt;
use std::sync::atomic::Ordering;

use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use jackfield_driver::stats::{Kind, Sample};
use jackfield_socketio::StatKind;
use jackfield_turn::ServerCounters;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::app::App;
use super::http::{Body, full, text};

/// Answers with the present values. Labels are names of our own, never something that a client
/// sent.
pub(super) async fn answer(app: &App, request: &HeaderMap) -> Response<Body> {
    let families = collect(app).await;
    let mut registry = Registry::with_prefix("jackfield");
    registry.register_collector(Box::new(families));
    let mut body = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut body, &registry) {
        tracing::error!(%error, "Cannot write metrics");
        return text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n");
    }
    let kind = if wants_open_metrics(request) {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        body = older_text_format(&body);
        "text/plain; version=0.0.4; charset=utf-8"
    };
    let mut response = Response::new(full(body.into()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn wants_open_metrics(request: &HeaderMap) -> bool {
    let accepted = request.get_all(header::ACCEPT).into_iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"))
}

/// Turns OpenMetrics into the text format 0.0.4, where a counter's family has the name of its
/// samples, with `_total`, and nothing marks the end.
fn older_text_format(open_metrics: &str) -> String {
    let counters: Vec<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let about = ["# HELP ", "# TYPE "]
            .into_iter()
            .find_map(|word| Some((word, line.strip_prefix(word)?.split_once(' ')?)));
        match about {
            Some((word, (name, rest))) if counters.contains(&name) => {
                text.extend([word, name, "_total ", rest, "\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

/// Families in the order of first mention.
#[derive(Debug, Default)]
struct Families(Vec<Family>);

/// A metric's values: one, or one for each value of a label.
#[derive(Debug)]
struct Family {
    name: String,
    help: String,
    kind: Kind,
    /// The label's name and value, and the number.
    series: Vec<(Option<Label>, u64)>,
}

/// A label's name and value.
type Label = (&'static str, String);

impl Families {
    /// Adds a number of one part of the server; the part's name comes before the number's own.
    fn add(&mut self, part: &str, sample: Sample) {
        let name = match part {
            "" => sample.name.to_owned(),
            part => format!("{part}_{}", sample.name),
        };
        self.add_series(name, sample.help, sample.kind, None, sample.value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.add_series(name.to_owned(), help, Kind::Counter, None, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.add_series(name.to_owned(), help, Kind::Gauge, None, value);
    }

    fn labelled(&mut self, name: &str, help: &str, (key, label): (&'static str, &str), value: u64) {
        let label = (key, label.to_owned());
        self.add_series(name.to_owned(), help, Kind::Counter, Some(label), value);
    }

    /// Adds to a number; a number that another shard has mentioned grows.
    fn add_series(
        &mut self,
        name: String,
        help: &str,
        kind: Kind,
        label: Option<Label>,
        value: u64,
    ) {
        let index = self.0.iter().position(|family| family.name == name);
        let index = index.unwrap_or_else(|| {
            self.0.push(Family {
                name,
                help: plain(help),
                kind,
                series: Vec::new(),
            });
            self.0.len() - 1
        });
        let Some(family) = self.0.get_mut(index) else {
            return;
        };
        let known = family.series.iter_mut().find(|(known, _)| *known == label);
        match known {
            Some((_, sum)) => *sum += value,
            None => family.series.push((label, value)),
        }
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.0 {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut encoder = encoder.encode_descriptor(&family.name, &family.help, None, kind)?;
            for (label, value) in &family.series {
                match label {
                    None => write(family.kind, *value, &mut encoder)?,
                    Some((key, label)) => {
                        let labels = [(*key, label.as_str())];
                        write(family.kind, *value, &mut encoder.encode_family(&labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn write(kind: Kind, value: u64, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match kind {
        Kind::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
        Kind::Gauge => encoder.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
    }
}

/// Takes the links and code marks out of a doc comment, and the full stop that the encoder adds.
fn plain(doc: &str) -> String {
    let mut text = String::with_capacity(doc.len());
    let mut rest = doc.trim().trim_end_matches('.');
    while let Some((before, (name, after))) = rest.split_once('[').and_then(|(before, link)| {
        let (name, target) = link.split_once(']')?;
        let after = match target.strip_prefix('(') {
            Some(target) => target.split_once(')')?.1,
            None => target,
        };
        Some((before, (name, after)))
    }) {
        text.push_str(before);
        text.push_str(name);
        rest = after;
    }
    text.push_str(rest);
    text.replace('`', "")
}

async fn collect(app: &App) -> Families {
    let mut families = Families::default();
    server(app, &mut families);
    signaling(app, &mut families);
    app.io.stats().visit(|stat| {
        let name = format!("socketio_{}", stat.name);
        let kind = match stat.kind {
            StatKind::Level => Kind::Gauge,
            StatKind::Total => Kind::Counter,
        };
        families.add_series(name, stat.help, kind, None, stat.value);
    });
    for shard in app.shards.get().into_iter().flatten() {
        shard.shard.visit(|sample| families.add("shard", sample));
        shard.tcp.visit(|sample| families.add("tcp", sample));
        let driver = shard.turn.driver_stats();
        driver
            .listeners
            .visit(|sample| families.add("udp_listener", sample));
        driver
            .relays
            .visit(|sample| families.add("udp_relay", sample));
        driver
            .streams
            .visit(|sample| families.add("turn_stream", sample));
        driver
            .driver
            .visit(|sample| families.add("turn_driver", sample));
        if let Some(stats) = shard.turn.stats().await {
            turn_core(&stats, &mut families);
        }
    }
    families
}

fn server(app: &App, families: &mut Families) {
    let admission = app.admission.counts();
    families.gauge("connections", "Open TCP connections", admission.open as u64);
    families.counter(
        "connections_accepted",
        "TCP connections admitted",
        admission.accepted,
    );
    families.counter(
        "connections_refused",
        "TCP connections over a limit",
        admission.refused,
    );
    let waiting = app.budget.stats();
    families.gauge(
        "waiting_memory_bytes",
        "Memory of what waits for clients, and of their connections",
        waiting.held as u64,
    );
    families.counter(
        "waiting_memory_evicted",
        "Clients closed because too much waited for them or for their network",
        waiting.evicted,
    );
    families.counter(
        "waiting_memory_refused",
        "Clients refused because what waits for their network takes all its memory",
        waiting.refused,
    );
    let counters = &app.counters;
    for (name, help, counter) in [
        ("http_requests", "HTTP requests", &counters.http_requests),
        (
            "http_bad_host",
            "HTTP requests refused because they named no host, or two",
            &counters.http_bad_host,
        ),
        (
            "http_foreign_origins",
            "HTTP requests refused because a page of another origin made them",
            &counters.http_foreign_origins,
        ),
        (
            "http_unknown_hosts",
            "HTTP requests refused because a browser named a host that may be anyone's",
            &counters.http_unknown_hosts,
        ),
        (
            "http_metrics_refused",
            "Requests for the metrics refused to clients that may not read them",
            &counters.http_metrics_refused,
        ),
        (
            "http_errors",
            "HTTP connections that ended in an error",
            &counters.http_errors,
        ),
        (
            "connection_failures",
            "Connections that ended before their first bytes or TLS handshake were complete",
            &counters.connection_failures,
        ),
        (
            "connection_timeouts",
            "Connections that took too long for their first bytes or TLS handshake",
            &counters.connection_timeouts,
        ),
        (
            "tls_handshakes_refused",
            "TLS handshakes refused to a network above its rate",
            &counters.tls_handshakes_refused,
        ),
        (
            "unknown_protocols",
            "Connections that began with bytes of no protocol of ours",
            &counters.unknown_protocols,
        ),
    ] {
        families.counter(name, help, counter.value());
    }
}

fn signaling(app: &App, families: &mut Families) {
    let counts = app.hub.counts();
    families.gauge(
        "signal_members",
        "Clients connected for signaling",
        counts.members as u64,
    );
    families.gauge(
        "signal_rooms",
        "Rooms with somebody in them, or kept for those who were lost",
        counts.rooms as u64,
    );
    families.gauge(
        "signal_waiting",
        "Newcomers that wait to be let into a room",
        counts.waiting as u64,
    );
    families.gauge(
        "signal_names_held",
        "Names held for members whose connections were lost",
        counts.held_names as u64,
    );
    let hub = counts.hub;
    for (name, help, value) in [
        (
            "signal_connected",
            "Connections that became members",
            hub.connected,
        ),
        (
            "signal_disconnected",
            "Members that are gone, for whatever reason",
            hub.disconnected,
        ),
        (
            "signal_received",
            "Messages that came in, refused ones included",
            hub.received,
        ),
        (
            "signal_sent",
            "Messages that went out, one for each receiver",
            hub.sent,
        ),
        (
            "signal_sent_bytes",
            "Bytes of the messages that went out, counted once for each receiver",
            hub.sent_bytes,
        ),
        (
            "signal_lobby_lists_merged",
            "Changes among clients of MDN's sample that share a user list with a later change",
            hub.lobby_lists_merged,
        ),
        (
            "signal_changes_coalesced",
            "Changes in rooms that a slow reader gets as one list later",
            hub.changes_coalesced,
        ),
        (
            "signal_joins_limited",
            "Joins refused as there were too many from the client's network",
            hub.joins_limited,
        ),
        (
            "signal_knocks",
            "Newcomers that knocked at a room",
            hub.knocks,
        ),
        (
            "signal_knocks_admitted",
            "Newcomers let into a room after they had knocked",
            hub.knocks_admitted,
        ),
        (
            "signal_names_taken_back",
            "Names that the owners of lost connections took back",
            hub.names_taken_back,
        ),
        (
            "signal_names_not_held",
            "Names of lost connections that were free at once, as too many are held",
            hub.names_not_held,
        ),
        (
            "signal_relayed",
            "Messages passed on from one member to others",
            hub.relayed,
        ),
        ("signal_joined", "Joins of a room", hub.joined),
        (
            "signal_left",
            "Departures from a room, disconnects included",
            hub.left,
        ),
        ("signal_minted", "Times ICE servers were minted", hub.minted),
        (
            "signal_renamed",
            "Names that were taken and got a suffix",
            hub.renamed,
        ),
        (
            "signal_late",
            "Inputs for a member that was closed already",
            hub.late,
        ),
        (
            "signal_receiver_busy",
            "Messages that a receiver did not get, as too much waited for it",
            hub.receiver_busy,
        ),
        (
            "signal_overflowed",
            "Members disconnected because they read too slowly",
            counts.overflows,
        ),
    ] {
        families.counter(name, help, value);
    }
    for (code, value) in hub.refused() {
        let help = "Signaling messages refused, by the code of the error";
        families.labelled("signal_refused", help, ("code", code.as_str()), value);
    }
    websockets(&app.websocket.counters, families);
}

fn websockets(counters: &jackfield_ws::Counters, families: &mut Families) {
    for (name, help, counter) in [
        (
            "signal_websocket_refused",
            "Requests that opened no WebSocket",
            &counters.refused,
        ),
        (
            "signal_websocket_protocol_errors",
            "WebSockets failed for a broken protocol",
            &counters.protocol_errors,
        ),
        (
            "signal_websocket_frames_too_large",
            "WebSockets failed for a frame over the limit",
            &counters.frames_too_large,
        ),
        (
            "signal_websocket_messages_too_large",
            "WebSockets failed for a message over the limit",
            &counters.messages_too_large,
        ),
        (
            "signal_websocket_too_many_fragments",
            "WebSockets failed for a message in too many frames",
            &counters.too_many_fragments,
        ),
        (
            "signal_websocket_pongs_skipped",
            "Pings left unanswered because too many Pongs waited",
            &counters.pongs_skipped,
        ),
        (
            "signal_websocket_reading_paused",
            "Times that reading stopped because too much waited to be written",
            &counters.reading_paused,
        ),
        (
            "signal_websocket_queue_full",
            "Messages that did not fit into the queue of a WebSocket",
            &counters.queue_full,
        ),
        (
            "signal_websocket_silent",
            "WebSockets ended because the peer answered no Ping",
            &counters.silent,
        ),
        (
            "signal_websocket_stalled",
            "WebSockets ended because the peer took no bytes",
            &counters.stalled,
        ),
        (
            "signal_websocket_close_timeouts",
            "Closing handshakes that took too long",
            &counters.close_timeouts,
        ),
        (
            "signal_websocket_lingered_too_much",
            "Peers that sent on after their WebSocket had failed",
            &counters.lingered_too_much,
        ),
    ] {
        families.counter(name, help, counter.load(Ordering::Relaxed));
    }
}

fn turn_core(stats: &ServerCounters, families: &mut Families) {
    families.gauge("turn_allocations", "TURN allocations", stats.allocations);
    for (name, help, value) in [
        (
            "turn_allocations_created",
            "TURN allocations made so far",
            stats.allocated,
        ),
        ("turn_bindings", "Binding requests answered", stats.bindings),
        (
            "turn_discoveries",
            "Binding requests that asked for an answer from elsewhere, to elsewhere, or with padding",
            stats.discoveries,
        ),
        (
            "turn_helped_discoveries",
            "Answers sent for another server that asked for help",
            stats.helped,
        ),
        (
            "turn_successes",
            "Success responses to TURN requests",
            stats.successes,
        ),
        (
            "turn_wrong_passwords",
            "TURN requests with a wrong password or an unknown name, answered or not",
            stats.wrong_passwords,
        ),
    ] {
        families.counter(name, help, value);
    }
    for (direction, packets, bytes) in [
        ("to_peers", stats.packets_to_peers, stats.bytes_to_peers),
        (
            "to_clients",
            stats.packets_to_clients,
            stats.bytes_to_clients,
        ),
    ] {
        let label = ("direction", direction);
        families.labelled("turn_relayed_packets", "Packets relayed", label, packets);
        families.labelled(
            "turn_relayed_bytes",
            "Bytes of payload relayed",
            label,
            bytes,
        );
    }
    for (code, value) in stats.all_errors() {
        let help = "TURN error responses, by code";
        families.labelled(
            "turn_errors",
            help,
            ("code", &code.value().to_string()),
            value,
        );
    }
    for (limit, value) in stats.all_over_limit() {
        let help = "TURN requests refused with 486 or 508, by the limit they were over";
        families.labelled("turn_over_limit", help, ("limit", limit.name()), value);
    }
    for (reason, value) in stats.all_dropped() {
        let help = "TURN messages dropped without an answer, by reason";
        families.labelled("turn_dropped", help, ("reason", reason.name()), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_a_counter_as_its_samples() {
        let open_metrics = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"y\"} 3\n\
             # HELP c Level.\n# TYPE c gauge\nc 1\n# EOF\n";
        let expected = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"y\"} 3\n\
             # HELP c Level.\n# TYPE c gauge\nc 1\n";
        assert_eq!(older_text_format(open_metrics), expected);
    }

    #[test]
    fn help_has_no_marks_of_documentation() {
        let doc = " Handshakes over [`Config::max`](crate::Config::max), or [`Io`].";
        assert_eq!(plain(doc), "Handshakes over Config::max, or Io");
        assert_eq!(plain("[open"), "[open");
    }

    #[test]
    fn shards_add_up_and_labels_stay_apart() {
        let mut families = Families::default();
        for value in [1, 2] {
            families.counter("a", "A", value);
            families.labelled("b", "B", ("way", "in"), value);
        }
        families.labelled("b", "B", ("way", "out"), 5);
        let values: Vec<Vec<u64>> = families
            .0
            .iter()
            .map(|family| family.series.iter().map(|(_, value)| *value).collect())
            .collect();
        assert_eq!(values, [vec![3], vec![3, 5]]);
    }
}
