# Builds and runs `boxoffice serve`. See docs/operations.md, "In a container".

FROM rust:1-bookworm AS build
WORKDIR /source
# Dependencies are compiled once, and again only when they change: the cache outlives the layer.
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --locked --release --package boxoffice \
    && cp target/release/boxoffice /boxoffice \
    && mkdir /empty

# The C library and root certificates (for PostgreSQL over TLS), and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /boxoffice /usr/local/bin/boxoffice
# A volume that is made here belongs to the user who writes into it.
COPY --from=build --chown=65532:65532 /empty /var/lib/boxoffice
USER 65532:65532
WORKDIR /var/lib/boxoffice
VOLUME ["/var/lib/boxoffice"]
# Without a database-url, the inventory is in ./data here. (BOXOFFICE_DATA would go before a database-url of the file.)
ENV BOXOFFICE_LOG_FORMAT=json
# gRPC, and /metrics with /healthz. Neither listens beyond loopback unless told so.
EXPOSE 50051 9464
# The graceful end takes up to 30 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/boxoffice"]
CMD ["serve"]
