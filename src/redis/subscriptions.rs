//! Channels that this server hears. Of each only the newest message is kept: a message says that there is something new, and
//! whoever hears it asks for the newest state.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, watch};

/// Most channels that are heard. Whoever gets none still finds out by asking from time to time.
const CHANNELS_MAX: usize = 10_000;

/// What somebody here wants to hear, and what Redis was asked for.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    state: Mutex<State>,
    /// The two differ.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wanted: HashMap<String, watch::Sender<Vec<u8>>>,
    heard: HashSet<String>,
    /// How often a connection was lost: what was heard on one is not on the next.
    losses: u64,
}

/// What Redis is to be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Channels to hear.
    pub(super) more: Vec<String>,
    /// Channels to hear no longer.
    pub(super) less: Vec<String>,
    /// To be handed back with the answers.
    pub(super) losses: u64,
}

impl Subscriptions {
    /// The newest message of a channel, from now on. `None`: too many are heard already.
    pub(super) fn hear(&self, channel: &str) -> Option<watch::Receiver<Vec<u8>>> {
        let mut state = self.lock();
        if let Some(sender) = state.wanted.get(channel) {
            return Some(sender.subscribe());
        }
        if state.wanted.len() >= CHANNELS_MAX {
            state.forget_unwanted();
            if state.wanted.len() >= CHANNELS_MAX {
                return None;
            }
        }
        let (sender, receiver) = watch::channel(Vec::new());
        state.wanted.insert(channel.to_owned(), sender);
        drop(state);
        self.changed.notify_one();
        Some(receiver)
    }

    /// Hands on a message. A channel that a node says it will tell no more of, since its slot moved, is asked for again.
    pub(super) fn pushed(&self, push: &PushInfo) {
        let text = |value: &Value| match value {
            Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        };
        let Some(channel) = push.data.first().and_then(text) else { return };
        match (&push.kind, push.data.get(1)) {
            (PushKind::SMessage, Some(Value::BulkString(message))) => {
                if let Some(sender) = self.lock().wanted.get(&channel) {
                    sender.send_replace(message.clone());
                }
            }
            (PushKind::SUnsubscribe, _) => {
                self.lock().heard.remove(&channel);
                self.changed.notify_one();
            }
            _ => {}
        }
    }

    /// A connection broke, or there is a new one: Redis knows nothing of what is wanted. Whoever waits for messages is told to
    /// look for what he missed.
    pub(super) fn lost(&self) {
        let mut state = self.lock();
        state.heard.clear();
        state.losses += 1;
        state.wanted.values().for_each(|sender| sender.send_modify(|_| {}));
        drop(state);
        self.changed.notify_one();
    }

    /// What is to be asked of Redis.
    pub(super) fn difference(&self) -> Difference {
        let mut state = self.lock();
        state.forget_unwanted();
        let more = state.wanted.keys().filter(|channel| !state.heard.contains(*channel)).cloned().collect();
        let less = state.heard.iter().filter(|channel| !state.wanted.contains_key(*channel)).cloned().collect();
        Difference { more, less, losses: state.losses }
    }

    /// Redis was told; after so many losses, or it is forgotten already.
    pub(super) fn told(&self, channel: String, heard: bool, losses: u64) {
        let mut state = self.lock();
        if state.losses != losses {
            return;
        }
        if heard {
            state.heard.insert(channel);
        } else {
            state.heard.remove(&channel);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_unwanted(&mut self) {
        self.wanted.retain(|_, sender| sender.receiver_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_heard_as_long_as_somebody_listens() {
        let subscriptions = Subscriptions::default();
        let difference = |more: &[&str], less: &[&str], losses| {
            let owned = |channels: &[&str]| channels.iter().map(|channel| (*channel).to_owned()).collect();
            Difference { more: owned(more), less: owned(less), losses }
        };
        let mut listener = subscriptions.hear("a").unwrap();
        subscriptions.told("b".to_owned(), true, 0);
        assert_eq!(subscriptions.difference(), difference(&["a"], &["b"], 0));
        subscriptions.told("a".to_owned(), true, 0);
        subscriptions.told("b".to_owned(), false, 0);
        assert_eq!(subscriptions.difference(), difference(&[], &[], 0));
        let text = |text: &str| Value::BulkString(text.into());
        let message = |channel, body| PushInfo { kind: PushKind::SMessage, data: vec![text(channel), text(body)] };
        subscriptions.pushed(&message("a", "1"));
        subscriptions.pushed(&message("b", "2"));
        subscriptions.pushed(&PushInfo { kind: PushKind::SMessage, data: vec![Value::Nil] });
        assert_eq!(*listener.borrow_and_update(), b"1");
        // The slot moved.
        subscriptions.pushed(&PushInfo { kind: PushKind::SUnsubscribe, data: vec![text("a"), Value::Int(0)] });
        assert_eq!(subscriptions.difference(), difference(&["a"], &[], 0));
        // The connection broke: what was said meanwhile is unknown.
        subscriptions.told("a".to_owned(), true, 0);
        assert!(!listener.has_changed().unwrap());
        subscriptions.lost();
        assert!(listener.has_changed().unwrap());
        // What that one answered last is no news of the next.
        subscriptions.told("a".to_owned(), true, 0);
        assert_eq!(subscriptions.difference(), difference(&["a"], &[], 1));
        drop(listener);
        assert_eq!(subscriptions.difference(), difference(&[], &[], 1));
    }

    #[test]
    fn no_more_are_heard_than_so_many_and_whoever_goes_makes_room() {
        let subscriptions = Subscriptions::default();
        let mut listeners: Vec<_> =
            (0..CHANNELS_MAX).map(|number| subscriptions.hear(&number.to_string()).unwrap()).collect();
        assert!(subscriptions.hear("one more").is_none());
        assert!(subscriptions.hear("0").is_some(), "it is heard already");
        listeners.pop();
        assert!(subscriptions.hear("one more").is_some());
    }
}
