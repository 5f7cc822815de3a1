"""A connection that retries by itself, and the reasons of refusals."""

import pathlib

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from boxoffice.v1 import inventory_service_pb2_grpc

# Retries of UNAVAILABLE, and a time limit for each call. Retries are safe, because they send the same ids.
SERVICE_CONFIG = pathlib.Path(__file__).parent.parent / "service-config.json"

# How a server refuses that has looked for the id. With any other code it is not known what became of the call: it may end the
# repetition of an attempt whose answer was lost.
REFUSALS = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
)


def connect(target: str) -> grpc.Channel:
    """A channel to `host:port`. With TLS: grpc.secure_channel, and the same options."""
    return grpc.insecure_channel(
        target,
        options=[
            ("grpc.service_config", SERVICE_CONFIG.read_text()),
            # A server that restarts is found again soon (the default is 1 s, and more each time).
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
        ],
    )


def inventory(channel: grpc.Channel) -> inventory_service_pb2_grpc.InventoryServiceStub:
    """The buyers' service."""
    return inventory_service_pb2_grpc.InventoryServiceStub(channel)


def refusal(error: grpc.RpcError) -> str:
    """Why a call was refused, so that nothing was done; empty where that is not known."""
    return reason(error) if error.code() in REFUSALS else ""


def reason(error: grpc.RpcError) -> str:
    """The reason in an answer; empty where the server did not say, for example because it was not reached."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else []:
        if detail.Unpack(info) and info.domain == "boxoffice":
            return info.reason
    return ""
