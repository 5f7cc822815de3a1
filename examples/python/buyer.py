"""A buyer: looks at an event, takes two units, and pays.

python buyer.py [HOST:PORT [EVENT [ALLOCATION]]]
"""

import sys
import uuid

import grpc

import client
from boxoffice.v1 import inventory_service_pb2 as api
from boxoffice.v1 import resources_pb2 as resources

# Who buys. A server with --dev believes it; others want ("authorization", "Bearer " + token).
CALLER = [("boxoffice-owner", "ann")]


def main(target: str = "127.0.0.1:50051", event: str = "demo", allocation: str = "floor") -> None:
    with client.connect(target) as channel:
        inventory = client.inventory(channel)

        seen = inventory.GetEvent(api.GetEventRequest(name=f"events/{event}"))
        for each in seen.allocations:
            print(f"{each.name}: {each.available} of {each.capacity} available")

        line = resources.Reservation.Line(allocation=f"{seen.name}/allocations/{allocation}", quantity=2)
        wanted = api.CreateReservationRequest(
            parent=seen.name,
            # Chosen once, also for retries: one id has one effect. (Python 3.14 has uuid7, which is stored faster.)
            reservation_id=str(uuid.uuid4()),
            reservation=resources.Reservation(lines=[line]),
        )
        name = f"{seen.name}/reservations/{wanted.reservation_id}"
        # The order's own number, chosen once: with it, a repeated confirmation happens once.
        confirm = api.ConfirmReservationRequest(name=name, order_ref="order-1")
        try:
            hold = inventory.CreateReservation(wanted, metadata=CALLER)
            print(f"held: {hold.name}")
            sold = inventory.ConfirmReservation(confirm, metadata=CALLER)
            print(f"sold: {sold.name} for {sold.order_ref}")
        except grpc.RpcError as error:
            if client.refusal(error):
                raise
            # A shop keeps the id, and sends the same request later. A new id would buy a second time.
            sys.exit(f"what became of {name} is not known ({error.code().name}): ask again with the same id")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        if not client.refusal(error):
            raise
        print(f"refused: {client.refusal(error)}")
