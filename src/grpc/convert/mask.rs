//! Field masks: which fields of a message an edit names.

/// A field of an event that can be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum EventField {
    DisplayName,
    SalesState,
    OnSaleTime,
    OffSaleTime,
    DefaultHoldTtl,
    MaxHoldTtl,
    LimitPerOwner,
    WaitingRoom,
}

impl EventField {
    /// Reads a path of a mask.
    pub(in crate::grpc) fn parse(path: &str) -> Option<Self> {
        match path {
            "display_name" => Some(Self::DisplayName),
            "sales_state" => Some(Self::SalesState),
            "on_sale_time" => Some(Self::OnSaleTime),
            "off_sale_time" => Some(Self::OffSaleTime),
            "default_hold_ttl" => Some(Self::DefaultHoldTtl),
            "max_hold_ttl" => Some(Self::MaxHoldTtl),
            "limit_per_owner" => Some(Self::LimitPerOwner),
            "waiting_room" => Some(Self::WaitingRoom),
            _ => None,
        }
    }
}

/// A field of an allocation that can be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum AllocationField {
    DisplayName,
    Capacity,
    LimitPerOwner,
}

impl AllocationField {
    /// Reads a path of a mask.
    pub(in crate::grpc) fn parse(path: &str) -> Option<Self> {
        match path {
            "display_name" => Some(Self::DisplayName),
            "capacity" => Some(Self::Capacity),
            "limit_per_owner" => Some(Self::LimitPerOwner),
            _ => None,
        }
    }
}
