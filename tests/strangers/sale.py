"""Buyers of events/sale who buy until it is sold out: `sale.py HOST:PORT BUYERS`.

Prints a line of JSON for each reservation that ended, as its buyer was told, and last one on the whole.
"""

import collections
import json
import sys
import threading
import time
import uuid

import grpc

import client
from boxoffice.v1 import inventory_service_pb2 as api
from boxoffice.v1 import resources_pb2 as resources

# How often a buyer asks again by himself, when the library has given up.
AGAIN_MAX = 50
# Until a buyer looks again whether holds have come back.
REST_SECONDS = 0.02

lock = threading.Lock()
refused = collections.Counter()
again = collections.Counter()


def until_told(method, request, owner):
    for _ in range(AGAIN_MAX):
        try:
            return method(request, metadata=[("boxoffice-owner", owner)])
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            with lock:
                again[f"{error.code().name} {error.details()}"] += 1
    raise SystemExit(f"{owner} got no answer")


def buy(inventory, owner):
    """Buys, and gives every fourth hold back, until told that everything is sold."""
    count = 0
    while True:
        line = resources.Reservation.Line(allocation="events/sale/allocations/floor", quantity=2)
        wanted = api.CreateReservationRequest(
            parent="events/sale", reservation_id=str(uuid.uuid4()), reservation=resources.Reservation(lines=[line])
        )
        try:
            hold = until_told(inventory.CreateReservation, wanted, owner)
        except grpc.RpcError as error:
            reason = client.reason(error)
            with lock:
                refused[reason] += 1
            if reason == "SOLD_OUT":
                return
            assert reason == "ALL_HELD", error
            time.sleep(REST_SECONDS)
            continue
        count += 1
        if count % 4 == 0:
            ended = until_told(inventory.ReleaseReservation, api.ReleaseReservationRequest(name=hold.name), owner)
        else:
            confirm = api.ConfirmReservationRequest(name=hold.name, order_ref=f"order-{wanted.reservation_id}")
            ended = until_told(inventory.ConfirmReservation, confirm, owner)
        state = resources.Reservation.State.Name(ended.state)
        told = {"name": ended.name, "owner": owner, "state": state, "order_ref": ended.order_ref}
        with lock:
            print(json.dumps(told), flush=True)


def main(target, buyers):
    failures = []

    def run(number):
        try:
            buy(client.inventory(channel), f"buyer-{number}")
        except BaseException as error:
            failures.append(error)

    with client.connect(target) as channel:
        threads = [threading.Thread(target=run, args=(number,)) for number in range(int(buyers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    print(json.dumps({"refused": refused, "again": again}))


main(*sys.argv[1:])
