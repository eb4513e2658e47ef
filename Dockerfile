# The images of docker-compose.yml: `server` (Ostraka) and `balancer` (HAProxy with its configuration).
#     docker build --target server --tag ostraka .
# BASE_IMAGE may be any Debian 12 with bash and apt: packages that it has already are not fetched again, so that a site without a
# mirror can put them into its own.
ARG BASE_IMAGE=debian:12-slim

FROM ${BASE_IMAGE} AS source
WORKDIR /source
COPY scripts/packages.sh scripts/
RUN bash -c '. scripts/packages.sh && install_packages build'
COPY . .
RUN cmake --preset release -DOSTRAKA_TESTS=OFF -DOSTRAKA_BENCH=OFF \
 && cmake --build --preset release --target ostraka \
 && install -D --strip build/release/bin/ostraka /out/ostraka

FROM ${BASE_IMAGE} AS server
COPY scripts/packages.sh /tmp/
RUN bash -c '. /tmp/packages.sh && install_packages runtime' && rm -rf /tmp/* /var/cache/apt/* /var/lib/apt/lists/*
COPY --from=source /out/ostraka /usr/local/bin/
COPY deploy/http_ok.sh deploy/make_certificates.sh /usr/local/bin/
# A volume that is mounted on one of these folders for the first time takes over its owner.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ostraka \
 && install -d -m 0700 -o ostraka -g ostraka \
      /data /data/d1 /data/d2 /certs /authority /nodes /nodes/node1 /nodes/node2 /nodes/node3 /nodes/node4 \
 && ostraka version
USER ostraka
EXPOSE 9000 9001
ENTRYPOINT ["ostraka"]

FROM ${BASE_IMAGE} AS balancer
COPY scripts/packages.sh /tmp/
RUN bash -c '. /tmp/packages.sh && install_packages balancer' && rm -rf /tmp/* /var/cache/apt/* /var/lib/apt/lists/*
COPY deploy/http_ok.sh /usr/local/bin/
COPY deploy/haproxy.cfg /etc/haproxy/
RUN haproxy -c -q -f /etc/haproxy/haproxy.cfg
USER haproxy
EXPOSE 9000 9001
# Requests under way are finished.
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
