//! Reservations.

use boxoffice_proto::v1;
use serde::Serialize;

use super::{enum_name, moment, time};
use crate::cli::table::Column::Text;
use crate::cli::table::table;
use crate::cli::values::last_segment;

/// A reservation.
#[derive(Debug, Serialize)]
pub(crate) struct ReservationView {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) lines: Vec<LineView>,
    pub(crate) owner: String,
    pub(crate) expire_time: Option<String>,
    pub(crate) create_time: Option<String>,
    pub(crate) update_time: Option<String>,
    pub(crate) order_ref: String,
}

/// A line of it.
#[derive(Debug, Serialize)]
pub(crate) struct LineView {
    pub(crate) allocation: String,
    pub(crate) quantity: i32,
    pub(crate) requested_quantity: i32,
    pub(crate) cancelled_quantity: i32,
}

impl From<v1::Reservation> for ReservationView {
    fn from(reservation: v1::Reservation) -> Self {
        Self {
            id: last_segment(&reservation.name).to_owned(),
            name: reservation.name,
            state: enum_name(reservation.state, "STATE_", v1::reservation::State::as_str_name),
            lines: reservation.lines.into_iter().map(Into::into).collect(),
            owner: reservation.owner,
            expire_time: time(reservation.expire_time),
            create_time: time(reservation.create_time),
            update_time: time(reservation.update_time),
            order_ref: reservation.order_ref,
        }
    }
}

impl From<v1::reservation::Line> for LineView {
    fn from(line: v1::reservation::Line) -> Self {
        Self {
            allocation: last_segment(&line.allocation).to_owned(),
            quantity: line.quantity,
            requested_quantity: line.requested_quantity,
            cancelled_quantity: line.cancelled_quantity,
        }
    }
}

impl ReservationView {
    /// Whether its units are set aside.
    pub(crate) fn is_held(&self) -> bool {
        self.state == "HELD"
    }

    /// What it holds, for people: `2 floor, 1 of 3 balcony`.
    pub(crate) fn units(&self) -> String {
        let line = |line: &LineView| {
            let wanted = match line.requested_quantity {
                wanted if wanted > line.quantity => format!(" of {wanted}"),
                _ => String::new(),
            };
            let refunded = match line.cancelled_quantity {
                0 => String::new(),
                refunded => format!(" ({refunded} refunded)"),
            };
            format!("{}{wanted} {}{refunded}", line.quantity, line.allocation)
        };
        self.lines.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    /// What has become of it, for people.
    pub(crate) fn as_text(&self) -> String {
        let what = match self.state.as_str() {
            "HELD" => format!("held for {} until {}", self.owner, moment(self.expire_time.as_ref())),
            "CONFIRMED" => format!("sold to {}, order {}", self.owner, self.order_ref),
            "EXPIRED" => format!("lapsed at {}", moment(self.expire_time.as_ref())),
            other => other.to_lowercase(),
        };
        format!("{}\n  {}: {what}", self.name, self.units())
    }
}

/// Reservations, one line each, for people.
pub(crate) fn reservation_table(reservations: &[ReservationView]) -> String {
    let rows = reservations.iter().map(|one| {
        vec![
            one.id.clone(),
            one.owner.clone(),
            one.state.clone(),
            one.units(),
            moment(one.create_time.as_ref()),
            moment(one.expire_time.as_ref().filter(|_| one.is_held())),
            one.order_ref.clone(),
        ]
    });
    table(&["reservation", "owner", "state", "units", "created", "held until", "order"].map(Text), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_what_was_granted_of_what_was_asked_for() {
        let line = |allocation: &str, quantity, requested_quantity, cancelled_quantity| v1::reservation::Line {
            allocation: format!("events/demo/allocations/{allocation}"),
            quantity,
            requested_quantity,
            cancelled_quantity,
        };
        let view = ReservationView::from(v1::Reservation {
            lines: vec![line("balcony", 2, 5, 0), line("floor", 3, 3, 1)],
            state: v1::reservation::State::Confirmed.into(),
            ..Default::default()
        });
        assert_eq!(view.units(), "2 of 5 balcony, 3 floor (1 refunded)");
        assert_eq!(view.state, "CONFIRMED");
        assert!(!view.is_held());
    }
}
