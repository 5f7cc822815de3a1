//! The methods that are counted one by one.

use boxoffice_proto::v1::admin_service_server::SERVICE_NAME as ADMIN;
use boxoffice_proto::v1::inventory_service_server::SERVICE_NAME as INVENTORY;
use boxoffice_proto::v1::waiting_room_service_server::SERVICE_NAME as WAITING_ROOM;

/// Buyers' methods, the hottest first, since they are looked for in this order.
const INVENTORY_METHODS: [&str; 11] = [
    "CreateReservation",
    "ConfirmReservation",
    "BatchCreateReservations",
    "GetEvent",
    "ReleaseReservation",
    "ExtendReservation",
    "GetReservation",
    "ListReservations",
    "CancelReservation",
    "WatchEvent",
    "ListEvents",
];
const ADMIN_METHODS: [&str; 11] = [
    "CreateEvent",
    "UpdateEvent",
    "CreateAllocation",
    "UpdateAllocation",
    "ApplyEvent",
    "TransferCapacity",
    "ForceReleaseReservation",
    "ListReservations",
    "ListChanges",
    "WatchChanges",
    "AuditEvent",
];
/// Methods of those who wait.
const WAITING_ROOM_METHODS: [&str; 3] = ["JoinWaitingRoom", "WatchPlace", "LeaveWaitingRoom"];
/// Health, reflection, and what does not exist.
const OTHER: &str = "other";

const FIRST_OF_ADMIN: usize = INVENTORY_METHODS.len();
const FIRST_OF_WAITING_ROOM: usize = FIRST_OF_ADMIN + ADMIN_METHODS.len();
const METHODS: usize = FIRST_OF_WAITING_ROOM + WAITING_ROOM_METHODS.len();

/// A method of the API, or "other": callers may send any path, and must not thereby make more series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method(usize);

impl Method {
    /// The method that a path names.
    pub(crate) fn of_path(path: &str) -> Self {
        let place = |methods: &[&str], name: &str| methods.iter().position(|method| *method == name);
        let known =
            path.strip_prefix('/').and_then(|path| path.split_once('/')).and_then(|(service, name)| match service {
                INVENTORY => place(&INVENTORY_METHODS, name),
                ADMIN => place(&ADMIN_METHODS, name).map(|place| FIRST_OF_ADMIN + place),
                WAITING_ROOM => place(&WAITING_ROOM_METHODS, name).map(|place| FIRST_OF_WAITING_ROOM + place),
                _ => None,
            });
        Self(known.unwrap_or(METHODS))
    }

    /// Whether its answer is a stream.
    pub(crate) fn is_stream(self) -> bool {
        self.names().1.starts_with("Watch")
    }

    /// Whether its answer may be large: a list, an event with all its allocations, the outcomes of a batch.
    pub(crate) fn may_answer_much(self) -> bool {
        let name = self.names().1;
        self.is_stream() || ["List", "Batch"].iter().any(|start| name.starts_with(start)) || name.ends_with("Event")
    }

    /// All, in the order of [`Self::index`].
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=METHODS).map(Self)
    }

    pub(super) const fn index(self) -> usize {
        self.0
    }

    /// The names of its service and of itself.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        let in_service = |service, methods: &[&'static str], first: usize| {
            self.0.checked_sub(first).and_then(|place| methods.get(place)).map(|name| (service, *name))
        };
        in_service(INVENTORY, &INVENTORY_METHODS, 0)
            .or_else(|| in_service(ADMIN, &ADMIN_METHODS, FIRST_OF_ADMIN))
            .or_else(|| in_service(WAITING_ROOM, &WAITING_ROOM_METHODS, FIRST_OF_WAITING_ROOM))
            .unwrap_or((OTHER, OTHER))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn every_method_of_the_api_is_known_and_no_other() {
        let set = prost_types::FileDescriptorSet::decode(boxoffice_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut count = 0;
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let service = format!("{}.{}", file.package(), service.name());
                    let names = Method::of_path(&format!("/{service}/{}", method.name())).names();
                    let known = Method::of_path(&format!("/{service}/{}", method.name()));
                    assert_eq!(known.is_stream(), method.server_streaming());
                    assert_eq!(names, (service.as_str(), method.name()));
                    count += 1;
                }
            }
        }
        assert_eq!(count + 1, Method::all().count(), "and the other");
        for path in ["", "/", "/grpc.health.v1.Health/Check", "/boxoffice.v1.InventoryService/Buy", "CreateReservation"]
        {
            assert_eq!(Method::of_path(path).names(), (OTHER, OTHER), "{path}");
        }
    }

    #[test]
    fn what_may_be_large_is_known() {
        let small: Vec<_> =
            Method::all().filter(|method| !method.may_answer_much()).map(|method| method.names().1).collect();
        let of_one_thing = [
            "CreateReservation",
            "ConfirmReservation",
            "ReleaseReservation",
            "ExtendReservation",
            "GetReservation",
            "CancelReservation",
            "CreateAllocation",
            "UpdateAllocation",
            "TransferCapacity",
            "ForceReleaseReservation",
            "JoinWaitingRoom",
            "LeaveWaitingRoom",
            OTHER,
        ];
        assert_eq!(small, of_one_thing);
    }
}
