//! Every order of a tiny history, without any of the search's cleverness.

use crate::audit::linear::history::History;
use crate::audit::linear::model::{Availability, Judgement, Model};

/// Whether some order of the operations (of those that may not have happened: some of them) makes every answer true.
pub(super) fn has_an_order(history: &History) -> bool {
    let mut model = Model::new(history, Availability::Counted);
    place_next(history, &mut model, &mut vec![false; history.operations.len()])
}

fn place_next(history: &History, model: &mut Model<'_>, placed: &mut Vec<bool>) -> bool {
    let operations = history.operations.iter().enumerate();
    let left: Vec<_> = operations.filter(|(index, _)| !placed[*index]).collect();
    if left.iter().all(|(_, operation)| !operation.is_certain()) {
        return true;
    }
    for (index, operation) in &left {
        if left.iter().any(|(_, other)| other.end < operation.start) {
            continue;
        }
        let change = match model.judge(operation) {
            Judgement::Untrue => continue,
            Judgement::Idle => None,
            Judgement::Changes(change) => Some(change),
        };
        let undo = change.map(|change| model.apply(change));
        placed[*index] = true;
        let found = place_next(history, model, placed);
        placed[*index] = false;
        if let Some(undo) = undo {
            model.apply(undo);
        }
        if found {
            return true;
        }
    }
    false
}
