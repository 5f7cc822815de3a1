// A connection that retries by itself, and the reasons of refusals.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";

import type { ProtoGrpcType as Errors } from "./generated/error_info.js";
import type { ProtoGrpcType as Services } from "./generated/inventory_service.js";
import type { InventoryServiceClient, InventoryServiceDefinition } from "./generated/boxoffice/v1/InventoryService.js";

// This file is compiled into dist/.
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const files = ["boxoffice/v1/inventory_service.proto", "google/rpc/status.proto", "error_info.proto"];
const definition = loader.loadSync(files, {
  includeDirs: [path("../../../proto"), path("..")],
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
const { boxoffice, google } = grpc.loadPackageDefinition(definition) as unknown as Services & Errors;

// Retries of UNAVAILABLE, and a time limit for each call. Retries are safe, because they send the same ids.
const SERVICE_CONFIG = readFileSync(path("../../service-config.json"), "utf8");

/** The buyers' service at `host:port`. With TLS: grpc.credentials.createSsl(). */
export function connect(target: string): InventoryServiceClient {
  return new boxoffice.v1.InventoryService(target, grpc.credentials.createInsecure(), {
    "grpc.service_config": SERVICE_CONFIG,
    // A server that restarts is found again soon (the default is 1 s, and more each time).
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
  });
}

/** Who buys. A server with --dev believes it; others want "authorization": `Bearer ${token}`. */
export function calledBy(owner: string): grpc.Metadata {
  // This library takes waitForReady from here only, not from the service config.
  const metadata = new grpc.Metadata({ waitForReady: true });
  metadata.set("boxoffice-owner", owner);
  return metadata;
}

type Methods = InventoryServiceDefinition;
type Request<M extends keyof Methods> = Methods[M] extends loader.MethodDefinition<infer R, any, any, any> ? R : never;
type Answer<M extends keyof Methods> = Methods[M] extends loader.MethodDefinition<any, any, any, infer A> ? A : never;

/** Calls a method that has one answer, as a promise. */
export function call<M extends Exclude<keyof Methods, "WatchEvent">>(
  client: InventoryServiceClient,
  method: M,
  request: Request<M>,
  metadata: grpc.Metadata,
): Promise<Answer<M>> {
  const { path, requestSerialize, responseDeserialize } = boxoffice.v1.InventoryService.service[
    method
  ] as unknown as grpc.MethodDefinition<Request<M>, Answer<M>>;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error, answer) =>
      error ? reject(error) : resolve(answer as Answer<M>),
    );
  });
}

// How a server refuses that has looked for the id. With any other code it is not known what became of the call: it may end the
// repetition of an attempt whose answer was lost.
const { FAILED_PRECONDITION, ALREADY_EXISTS, NOT_FOUND, INVALID_ARGUMENT } = grpc.status;
const REFUSALS = [FAILED_PRECONDITION, ALREADY_EXISTS, NOT_FOUND, INVALID_ARGUMENT];

/** Why a call was refused, so that nothing was done; empty where that is not known. */
export function refusal(error: unknown): string {
  const { code } = error as Partial<grpc.ServiceError>;
  return code !== undefined && REFUSALS.includes(code) ? reason(error) : "";
}

/** The name of an answer's code; empty where it is none of a call. */
export function codeName(error: unknown): string {
  const { code } = error as Partial<grpc.ServiceError>;
  return code === undefined ? "" : (grpc.status[code] ?? "");
}

/** The reason in an answer; empty where the server did not say, for example because it was not reached. */
export function reason(error: unknown): string {
  const metadata = (error as Partial<grpc.ServiceError>).metadata;
  const [bytes] = metadata?.get("grpc-status-details-bin") ?? [];
  if (!(bytes instanceof Buffer)) return "";
  for (const { type_url, value } of google.rpc.Status.deserialize(bytes).details) {
    if (type_url !== "type.googleapis.com/google.rpc.ErrorInfo") continue;
    const info = google.rpc.ErrorInfo.deserialize(value as Buffer);
    if (info.domain === "boxoffice") return info.reason;
  }
  return "";
}
