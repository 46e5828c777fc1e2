//! Tries the addresses of a name side by side (Happy Eyeballs, [RFC 8305]), so that a family that
//! leads nowhere costs a quarter of a second and not a time-out.
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Makes an attempt at each address, each a little after the one before or once that one failed,
/// and returns what the first success gave ([RFC 8305 §5]).
///
/// IPv6 comes first, and then the families take turns. The other attempts are dropped.
///
/// # Errors
/// Returns the error of the attempt that failed last; `None` without an address.
///
/// [RFC 8305 §5]: https://www.rfc-editor.org/rfc/rfc8305#section-5
pub async fn race<T, E, F>(
    addresses: &[SocketAddr],
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = in_turns(addresses).into_iter();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut last = None;
    let mut next = waiting.next();
    loop {
        match next.take() {
            Some(address) => running.push(Box::pin(attempt(address))),
            None if running.is_empty() => return Err(last),
            None => {}
        }
        let until = Instant::now() + ATTEMPT_DELAY;
        tokio::select! {
            outcome = first_of(&mut running) => match outcome {
                Ok(success) => return Ok(success),
                Err(error) => last = Some(error),
            },
            () = sleep_until(until), if waiting.len() > 0 => {}
        }
        next = waiting.next();
    }
}

/// Returns addresses with the families taking turns, IPv6 first ([RFC 8305 §4]).
///
/// [RFC 8305 §4]: https://www.rfc-editor.org/rfc/rfc8305#section-4
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let of = |v6: bool| addresses.iter().filter(move |it| it.is_ipv6() == v6);
    let (mut v6, mut v4) = (of(true), of(false));
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(v6.next());
        order.extend(v4.next());
    }
    order
}

/// Waits for the first of some futures, which is taken out.
async fn first_of<F: Future>(running: &mut Vec<Pin<Box<F>>>) -> F::Output {
    std::future::poll_fn(|context| {
        let mut polled = running.iter_mut().enumerate();
        let ready = polled.find_map(|(index, future)| match future.as_mut().poll(context) {
            Poll::Ready(output) => Some((index, output)),
            Poll::Pending => None,
        });
        match ready {
            Some((index, output)) => {
                drop(running.swap_remove(index));
                Poll::Ready(output)
            }
            None => Poll::Pending,
        }
    })
    .await
}

/// The time between attempts that RFC 8305 §8 recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> [SocketAddr; 4] {
        [
            "192.0.2.1:1",
            "192.0.2.2:1",
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
        ]
        .map(|address| address.parse().unwrap())
    }

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let [a, b, c, d] = addresses();
        assert_eq!(in_turns(&[a, b, c, d]), [c, a, d, b]);
        assert_eq!(in_turns(&[a, b]), [a, b]);
        assert_eq!(in_turns(&[]), []);
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_does_not_keep_the_other_family_from_trying() {
        let all = addresses();
        let reached = race(&all, |address| async move {
            if address.is_ipv6() {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(address)
        });
        assert_eq!(reached.await, Ok(all[0]));
    }

    #[tokio::test]
    async fn a_failure_starts_the_next_attempt() {
        let mut tried = 0;
        let all = addresses();
        let reached = race(&all, |address| {
            tried += 1;
            let is_last = tried == 4;
            async move { if is_last { Ok(address) } else { Err("no") } }
        });
        assert_eq!(reached.await, Ok(all[1]));
    }

    #[tokio::test]
    async fn where_all_fail_there_is_an_error_and_without_an_address_there_is_none() {
        let none: Result<(), _> = race(&addresses(), |_| async { Err("no") }).await;
        assert_eq!(none, Err(Some("no")));
        let none: Result<(), Option<&str>> = race(&[], |_| async { Ok(()) }).await;
        assert_eq!(none, Err(None));
    }
}
