// A RemoteDrive over the real network: TLS, sockets, and a node that serves on threads of its own.
#include <stdlib.h>

#include <filesystem>

#include "../net/test_pki.h"
#include "cluster/drive_service.h"
#include "cluster/http_transport.h"
#include "cluster/peer_server.h"
#include "cluster/remote_drive.h"
#include "net/http_server.h"
#include "tests/unit/disk/drive_upkeep_suite.h"
#include "tests/unit/disk/drive_upload_suite.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

class HttpBackend {
 public:
  HttpBackend() {
    EXPECT_TRUE(local_.format());
    const auto started = local_.start();
    EXPECT_TRUE(started) << started.error().detail;
    const auto own = tls("node2");
    net::HttpServerConfig config;
    config.address = "127.0.0.1:0";
    config.peers = net::PeerPort{.tls = own, .service = &peers_};
    server_.emplace(shards_, nobody_, config, local_.metrics);
    service_.emplace(cluster::DriveServiceDeps{local_.clock, random_, shards_[0]},
                     std::vector<Drive*>{local_.drive.get()});
    service_->start();
    peers_.set_service("drive.", &*service_);
    shards_.start();
    const auto listening = server_->start();
    EXPECT_TRUE(listening) << listening.error().detail;

    cluster::HttpTransportConfig transport;
    transport.tls = tls("node1");
    transport.connect_timeout = std::chrono::seconds(20);  // on a machine that is busy
    transport_.emplace(std::vector<Shard*>{&here_}, random_, local_.metrics, std::move(transport));
    transport_->set_nodes({{"node2", {"127.0.0.1", server_->port()}}});
    cluster::RemoteDriveSpec spec;
    spec.node = "node2";
    spec.drive = local_.drive->id();
    spec.path = "https://node2:9000/data/d1";
    remote_.emplace(cluster::RemoteDriveDeps{*transport_, local_.clock, random_, here_}, spec);
    remote_->start();
  }
  ~HttpBackend() { run_to_end(here_, close(this)); }

  Drive& drive() { return *remote_; }
  Shard& shard() { return here_; }
  Clock& clock() { return local_.clock; }

 private:
  class Nobody final : public net::Service {
   public:
    Task<> serve(Ctx&, net::RequestHead&, net::BodySource&, net::ResponseSink&) override { co_return; }
  };
  static Task<> close(HttpBackend* self) {
    co_await self->remote_->close();
    co_await self->transport_->close();
    co_await self->server_->stop(std::chrono::seconds(10));
    co_await self->service_->close();
    self->shards_.stop();
  }
  std::shared_ptr<net::PeerTls> tls(const std::string& node) {
    const std::string folder = local_.dir / node;
    net::write_peer_folder(folder, pki_.authority().certificate, pki_.node(node));
    return net::PeerTls::load(local_.fs, folder).value();
  }

  DriveWorld local_{true};
  SystemRandom random_;
  net::TestPki pki_;
  Nobody nobody_;
  Shard here_{9, local_.clock, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
  ShardPool shards_{2, local_.clock, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}};
  cluster::PeerServer peers_{{&shards_[0], &shards_[1]}, local_.metrics, {.self = "node2", .build = "test"}};
  std::optional<cluster::DriveService> service_;
  std::optional<net::HttpServer> server_;
  std::optional<cluster::HttpTransport> transport_;
  std::optional<cluster::RemoteDrive> remote_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(RemoteOverHttp, DriveUploadSuite, HttpBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(RemoteOverHttp, DriveUpkeepSuite, HttpBackend);

}  // namespace
}  // namespace ostraka::disk
