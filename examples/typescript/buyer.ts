// A buyer: looks at an event, takes two units, and pays.
//
//   npm start -- [HOST:PORT [EVENT [ALLOCATION]]]

import { randomUUID } from "node:crypto";

import { call, calledBy, codeName, connect, refusal } from "./client.js";

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
  // The order's own number, chosen once: with it, a repeated confirmation happens once.
  const confirm = { name: `${seen.name}/reservations/${wanted.reservation_id}`, order_ref: "order-1" };
  try {
    const hold = await call(inventory, "CreateReservation", wanted, caller);
    console.log(`held: ${hold.name}`);
    const sold = await call(inventory, "ConfirmReservation", confirm, caller);
    console.log(`sold: ${sold.name} for ${sold.order_ref}`);
  } catch (error) {
    if (refusal(error) || !codeName(error)) throw error;
    // A shop keeps the id, and sends the same request later. A new id would buy a second time.
    console.error(`what became of ${confirm.name} is not known (${codeName(error)}): ask again with the same id`);
    process.exitCode = 1;
  }
}

try {
  await buy();
} catch (error) {
  if (!refusal(error)) throw error;
  console.log(`refused: ${refusal(error)}`);
} finally {
  inventory.close();
}
