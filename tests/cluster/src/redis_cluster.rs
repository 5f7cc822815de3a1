//! A private Redis Cluster. (Its tests are those of Boxoffice: it takes seconds to start.)

use anyhow::{Context as _, Result};

use crate::redis::{Redis, RedisOptions};

/// Hash slots of a Redis Cluster.
const SLOTS: usize = 16_384;

/// A Redis Cluster of primaries without replicas, each with an equal share of the slots.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts it, and waits until all nodes know all slots: about two seconds, since a node waits so long by itself.
    ///
    /// # Errors
    /// If a node does not start, or they do not find each other.
    pub fn start(count: usize, options: &RedisOptions) -> Result<Self> {
        let options = options.clone().clustered();
        let nodes = (0..count).map(|_| Redis::start(&options)).collect::<Result<Vec<_>>>()?;
        for (index, node) in nodes.iter().enumerate() {
            let (first, last) = (index * SLOTS / count, (index + 1) * SLOTS / count - 1);
            node.tell(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
            node.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1))?;
            if index == 0 {
                continue;
            }
            let bus = node.bus_port().context("a node without a bus")?;
            nodes[0].tell(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port()))?;
        }
        let all = format!("cluster_known_nodes:{count}\r");
        for node in &nodes {
            node.wait_until_told("CLUSTER INFO", |info| {
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384") && info.contains(&all)
            })?;
        }
        Ok(Self { nodes })
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The node that has the slot of a key.
    ///
    /// # Errors
    /// If it does not say.
    pub fn node_of(&self, key: &str) -> Result<&Redis> {
        let slot: usize = self.nodes[0].tell(&format!("CLUSTER KEYSLOT {key}"))?.parse()?;
        let count = self.nodes.len();
        let index = (0..count).find(|index| slot < (index + 1) * SLOTS / count);
        self.nodes.get(index.context("a slot beyond the last")?).context("no such node")
    }
}
