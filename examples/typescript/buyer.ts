// A buyer: looks at an event, takes two units, and pays.
//
//   npm start -- [HOST:PORT [EVENT [ALLOCATION]]]

import { randomUUID } from "node:crypto";

import { call, calledBy, connect, reason } from "./client.js";

const [target = "127.0.0.1:50051", event = "demo", allocation = "floor"] = process.argv.slice(2);
const inventory = connect(target);
const caller = calledBy("ann");

async function buy(): Promise<void> {
  const seen = await call(inventory, "GetEvent", { name: `events/${event}` }, caller);
  for (const each of seen.allocations) {
    console.log(`${each.name}: ${each.available} of ${each.capacity} available`);
  }

  const wanted = {
    parent: seen.name,
    // Chosen once, also for retries: one id has one effect. (Version 7, of the package uuid, is stored faster.)
    reservation_id: randomUUID(),
    reservation: { lines: [{ allocation: `${seen.name}/allocations/${allocation}`, quantity: 2 }] },
  };
  const hold = await call(inventory, "CreateReservation", wanted, caller);
  console.log(`held: ${hold.name}`);

  // The order's own number, chosen once: with it, a repeated confirmation happens once.
  const confirm = { name: hold.name, order_ref: "order-1" };
  const sold = await call(inventory, "ConfirmReservation", confirm, caller);
  console.log(`sold: ${sold.name} for ${sold.order_ref}`);
}

try {
  await buy();
} catch (error) {
  if (!reason(error)) throw error;
  console.log(`refused: ${reason(error)}`);
} finally {
  inventory.close();
}
