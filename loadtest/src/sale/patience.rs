//! Reads of what a server has written down, when the rush is over and nothing goes wrong any more.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::drain::POLL;
use crate::audit::findings::Key;
use crate::client::is_of_a_connection;
use crate::misdeed::Misdeed;

/// Reads, and again where there is no answer: servers may need a moment until they are well again. (Each call has its own time.)
///
/// # Errors
/// A [`Misdeed`] where `patience` is at its end, or where the server answers what cannot be.
pub(super) async fn read<T>(patience: Duration, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        let error = match attempt().await {
            Ok(read) => return Ok(read),
            Err(error) => error,
        };
        let passing = error.downcast_ref::<Status>().is_some_and(|status| is_of_a_connection(status.code()));
        if !passing {
            return Err(Misdeed::new(Key::WrongAnswer, format!("when all had gone, {error:#}")).into());
        }
        if begun.elapsed() >= patience {
            return Err(
                Misdeed::new(Key::Unproven, format!("when all had gone, nothing was answered: {error:#}")).into()
            );
        }
        sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, bail};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(600);

    async fn key_of(result: Result<i32>) -> Key {
        result.unwrap_err().downcast::<Misdeed>().expect("it is the server's doing").into_violation().key
    }

    #[tokio::test]
    async fn who_does_not_answer_at_once_is_asked_again_but_not_for_ever() {
        let mut asked = 0;
        let late = read(Duration::from_secs(600), async || {
            asked += 1;
            if asked < 3 { Err(Status::unavailable("soon")).context("it cannot be read") } else { Ok(7) }
        });
        assert_eq!(late.await.unwrap(), 7);
        let mut asked = 0;
        let never = read(PATIENCE, async || {
            asked += 1;
            Err(Status::deadline_exceeded("no answer")).context("it cannot be read")
        });
        assert_eq!(key_of(never.await).await, Key::Unproven);
        assert!(asked > 1);
    }

    #[tokio::test]
    async fn what_cannot_be_is_not_asked_for_again() {
        let mut asked = 0;
        let nonsense = read(PATIENCE, async || {
            asked += 1;
            bail!("the event has no such allocation")
        });
        assert_eq!(key_of(nonsense.await).await, Key::WrongAnswer);
        let refused = read(PATIENCE, async || Err(Status::permission_denied("no").into()));
        assert_eq!(key_of(refused.await).await, Key::WrongAnswer);
        assert_eq!(asked, 1);
    }
}
