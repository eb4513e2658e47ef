# etcd from Debian's packages, as ETCD_IMAGE of docker-compose.yml.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN command -v etcd && command -v etcdctl \
 || { apt-get update && apt-get install -y --no-install-recommends etcd-server etcd-client && rm -rf /var/lib/apt/lists/*; }
EXPOSE 2379 2380
CMD ["etcd"]
