// The same as sale.py, with the other library: `sale.mjs HOST:PORT BUYERS`. scripts/strangers puts it beside a built example.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { call, calledBy, connect, reason } from "../../examples/typescript/dist/client.js";

// How often a buyer asks again by himself, when the library has given up.
const AGAIN_MAX = 50;
// Until a buyer looks again whether holds have come back.
const REST_MILLIS = 20;
// gRPC codes.
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

const [target, buyers] = process.argv.slice(2);
const inventory = connect(target);
const refused = {};
const again = {};
const count = (counts, key) => (counts[key] = (counts[key] ?? 0) + 1);

async function untilTold(method, request, caller) {
  for (let attempt = 0; attempt < AGAIN_MAX; attempt += 1) {
    try {
      return await call(inventory, method, request, caller);
    } catch (error) {
      if (error.code !== UNAVAILABLE && error.code !== DEADLINE_EXCEEDED) throw error;
      count(again, error.message);
    }
  }
  throw new Error("no answer");
}

async function buy(owner) {
  const caller = calledBy(owner);
  for (let granted = 0; ; ) {
    const id = randomUUID();
    const lines = [{ allocation: "events/sale/allocations/floor", quantity: 2 }];
    const wanted = { parent: "events/sale", reservation_id: id, reservation: { lines } };
    let hold;
    try {
      hold = await untilTold("CreateReservation", wanted, caller);
    } catch (error) {
      const why = reason(error);
      count(refused, why);
      if (why === "SOLD_OUT") return;
      if (why !== "ALL_HELD") throw error;
      await sleep(REST_MILLIS);
      continue;
    }
    granted += 1;
    const ended =
      granted % 4 === 0
        ? await untilTold("ReleaseReservation", { name: hold.name }, caller)
        : await untilTold("ConfirmReservation", { name: hold.name, order_ref: `order-${id}` }, caller);
    const { name, state, order_ref } = ended;
    console.log(JSON.stringify({ name, owner, state, order_ref }));
  }
}

await Promise.all(Array.from({ length: Number(buyers) }, (_, number) => buy(`buyer-${number}`)));
console.log(JSON.stringify({ refused, again }));
inventory.close();
