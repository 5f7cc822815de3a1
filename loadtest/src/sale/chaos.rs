//! Kills servers in mid-sale, and brings them back.

use std::time::Duration;

use anyhow::Result;
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::progress::Progress;
use crate::server::{Children, Servers};

/// The kills come while so much of the sale is done.
const FIRST_KILL_AT: f64 = 0.02;
const LAST_KILL_AT: f64 = 0.9;
/// How closely the progress is watched.
const POLL: Duration = Duration::from_millis(1);
/// How often the servers are looked after once none is killed any more.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// How long a server stays away, at most, before it is started again.
const DOWN_TIME_MAX: Duration = Duration::from_millis(300);

/// Kills a server `kills` times while the buyers are at work, each time any of them (the others go on), and then watches over
/// all until the buyers have gone.
///
/// # Errors
/// Where a server dies by itself or does not come up again.
pub(super) async fn torment(
    servers: &mut Servers,
    kills: u32,
    buyers: u32,
    progress: &Progress,
    mut random: SmallRng,
) -> Result<()> {
    let Servers::Children(children) = servers else { return Ok(()) };
    let mut moments: Vec<_> =
        (0..kills).map(|_| f64::from(buyers) * random.random_range(FIRST_KILL_AT..LAST_KILL_AT)).collect();
    moments.sort_by(f64::total_cmp);
    for moment in moments {
        while f64::from(progress.served()) < moment {
            sleep(POLL).await;
        }
        // Not only when a buyer has just been served: also a little later, in the midst of anything.
        sleep(POLL.mul_f64(random.random_range(0.0..20.0))).await;
        let victim = random.random_range(0..children.count());
        children.check_alive()?;
        children.server(victim)?.kill().await?;
        let killed = Instant::now();
        sleep(DOWN_TIME_MAX.mul_f64(random.random_range(0.0..1.0))).await;
        children.server(victim)?.restart().await?;
        progress.add_kill(killed.elapsed());
    }
    watch(children, progress).await
}

/// Sees to it that a server that dies by itself ends the sale, rather than that all buyers wait for it.
async fn watch(children: &mut Children, progress: &Progress) -> Result<()> {
    while !progress.is_over() {
        children.check_alive()?;
        sleep(WATCH_INTERVAL).await;
    }
    Ok(())
}
