# Two stages: build on Debian 12 with clang-19, run from scratch. Nothing but the executable is in
# the image; it needs no shell, no libraries, no /etc and no capabilities.
FROM debian:12 AS build
WORKDIR /src
COPY scripts/deps scripts/deps
RUN apt-get update && scripts/deps build
COPY . .
RUN scripts/build release consort && llvm-strip-19 -o /consort build/consort

FROM scratch
COPY --from=build /consort /consort
USER 65532:65532
ENTRYPOINT ["/consort"]
