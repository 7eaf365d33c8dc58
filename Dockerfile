# syntax=docker/dockerfile:1
# The program `portcullis`, from source, as it is run in production.

FROM rust:1.95-slim-bookworm AS build
# aws-lc, the one cryptography library, is C and needs nothing more than a compiler.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The statements were checked when they were committed: no database is needed to compile.
ENV SQLX_OFFLINE=true CARGO_INCREMENTAL=0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package portcullis \
 && install -D target/release/portcullis /out/portcullis

FROM debian:bookworm-slim
# ca-certificates: AWS and identity providers are reached by TLS. curl: the health checks of docker-compose.yml.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home portcullis \
 && install -d -o portcullis -g portcullis -m 0700 /var/lib/portcullis
COPY --from=build /out/portcullis /usr/local/bin/portcullis
USER portcullis
WORKDIR /var/lib/portcullis
EXPOSE 8080
# The program handles SIGTERM itself; `init: true` or --init reaps what it starts.
ENTRYPOINT ["portcullis"]
CMD ["serve"]
