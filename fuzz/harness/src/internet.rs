//! Bytes into a proxy, and into the TCP stack.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_internet::proxy::{Proxy, ProxyConfig};
use jackfield_internet::{TcpApp, TcpClient, World};
use jackfield_nat::packet::build;
use jackfield_proxy::Credentials;
use jackfield_tcp::{Stack, StackLimits};
use jackfield_testing::epoch;

/// Says the bytes to a proxy, in pieces, and lets time pass: it answers or closes, and keeps
/// nothing.
pub fn proxy_server(data: &[u8]) {
    let (Some((first, words)), start) = (data.split_first(), epoch()) else {
        return;
    };
    let mut world = World::new(start, 1);
    world.record(false);
    let net = world.network("net", jackfield_internet::Link::default());
    let address = |last: u8| IpAddr::from([192, 0, 2, last]);
    let config = ProxyConfig {
        credentials: Credentials::new(b"user", b"password").filter(|_| first & 2 != 0),
        ..ProxyConfig::default()
    };
    let proxy = TcpApp::new(1, Proxy::new(config));
    let proxy = world.host("proxy", net, address(1), proxy);
    let port = if first & 1 == 0 { 3128 } else { 1080 };
    let to = SocketAddr::new(address(1), port);
    let client = TcpClient::new(to, Vec::new()).keep_open();
    let client = world.host("client", net, address(2), TcpApp::new(2, client));
    for piece in words.chunks(1 + usize::from(first >> 2)) {
        world.with_app(client, |app: &mut TcpApp<TcpClient>, now| {
            app.act(now, |client, stack| client.send(now, stack, piece));
        });
        world.run_for(Duration::from_millis(20));
    }
    world.run_for(Duration::from_secs(200));
    world.with_app(client, |app: &mut TcpApp<TcpClient>, now| {
        app.act(now, |_, stack| {
            for id in stack.connections().collect::<Vec<_>>() {
                stack.abort(now, id);
            }
        });
    });
    world.run_for(Duration::from_secs(200));
    let proxy = world.app::<TcpApp<Proxy>>(proxy);
    let left = proxy.map_or(0, |app| app.stack().connections().count());
    assert_eq!(left, 0, "a connection outlives its client");
}

/// Plays segments and calls on a stack and, from some point on, on a clone of it: they stay the
/// same, within limits.
pub fn stack(data: &[u8]) {
    let limits = StackLimits {
        connections: 8,
        half_open: 4,
        receive_buffer: 2000,
        send_buffer: 2000,
        journal: usize::MAX,
        ..StackLimits::default()
    };
    let mut stack = Stack::with_limits(&[[192, 0, 2, 1].into()], [1; 32], limits);
    stack.listen(80);
    let mut clone: Option<Stack> = None;
    let mut now = epoch();
    for step in data.chunks(STEP).take(MOST_STEPS) {
        if step.first().is_some_and(|kind| kind % 16 == 15) && clone.is_none() {
            clone = Some(stack.clone());
            continue;
        }
        now += Duration::from_millis(7 * u64::from(step.get(1).copied().unwrap_or(0)));
        play(&mut stack, now, step);
        if let Some(clone) = &mut clone {
            play(clone, now, step);
            assert_eq!(stack.counters(), clone.counters());
            assert_eq!(stack.next_timeout(), clone.next_timeout());
            loop {
                let (packet, event) = (stack.poll_packet(), stack.poll_event());
                assert_eq!(packet, clone.poll_packet());
                assert_eq!(event, clone.poll_event());
                if packet.is_none() && event.is_none() {
                    break;
                }
            }
        }
        assert!(stack.connections().count() <= stack.limits().connections);
    }
}

fn play(stack: &mut Stack, now: Instant, step: &[u8]) {
    let byte = |at: usize| step.get(at).copied().unwrap_or(0);
    let ids: Vec<_> = stack.connections().collect();
    let id = ids.get(usize::from(byte(2)) % ids.len().max(1)).copied();
    match (byte(0) % 16, id) {
        (0, _) => {
            let to = SocketAddr::from(([203, 0, 113, 1], 1000 + u16::from(byte(2) % 4)));
            let _ = stack.connect(now, 5000, to);
        }
        (1, Some(id)) => {
            stack.send(now, id, &vec![byte(3); usize::from(byte(4)) * 16]);
        }
        (2, Some(id)) => {
            stack.recv(now, id, usize::from(byte(3)) * 8);
        }
        (3, Some(id)) => stack.close(now, id),
        (4, Some(id)) => stack.abort(now, id),
        (5, _) => stack.handle_timeout(now),
        (6, _) => stack.handle_packet(now, step),
        _ => stack.handle_packet(now, &segment(step)),
    }
}

/// Builds a segment that has a chance to fit a connection.
fn segment(step: &[u8]) -> Vec<u8> {
    let byte = |at: usize| step.get(at).copied().unwrap_or(0);
    let port = if byte(2) & 4 == 0 { 80 } else { 5000 };
    let mut bytes = Vec::new();
    bytes.extend((1000 + u16::from(byte(2) % 4)).to_be_bytes());
    bytes.extend(u16::to_be_bytes(port));
    bytes.extend([byte(3), 0, 0, byte(4), byte(5), byte(6), byte(7), byte(8)]);
    bytes.extend([(5 + byte(9) % 3) << 4, byte(10), byte(11), byte(12)]);
    bytes.extend([0; 4]);
    bytes.extend(step.get(13..).unwrap_or_default());
    build::ip(
        [203, 0, 113, 1].into(),
        [192, 0, 2, 1].into(),
        jackfield_nat::packet::protocol::TCP,
        &bytes,
    )
}

/// Bytes of one step of a stack's life.
const STEP: usize = 24;
const MOST_STEPS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::replay;

    #[test]
    fn the_proxy_corpus_and_mutations_of_it_hold() {
        replay("nat_proxy_server", 300, proxy_server);
    }

    #[test]
    fn the_stack_corpus_and_mutations_of_it_hold() {
        replay("nat_stack", 1_000, stack);
    }
}
