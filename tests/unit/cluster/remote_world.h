// A drive on one node, and a RemoteDrive for it on another, over a network in memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "cluster/drive_service.h"
#include "cluster/remote_drive.h"
#include "runtime/random.h"
#include "tests/unit/cluster/memory_transport.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::cluster {

class RemoteWorld {
 public:
  RemoteWorld(disk::Drive& drive, Clock& clock, Shard& shard)
      : service({clock, random_, shard, [this](const NodeName& node) { probed_by.insert(node); }}, {&drive}) {
    service.start();
    network.join("node2", service, shard);
    transport_ = network.transport("node1");
    RemoteDriveSpec spec;
    spec.node = "node2";
    spec.drive = drive.id();
    spec.path = "http://node2:9000/data/d1";
    spec.slot = 1;
    remote = std::make_unique<RemoteDrive>(RemoteDriveDeps{*transport_, clock, random_, shard}, spec);
  }
  RemoteWorld(const RemoteWorld&) = delete;
  RemoteWorld& operator=(const RemoteWorld&) = delete;
  // Before it goes; the caller runs it to its end.
  static Task<> close(RemoteWorld* self) {
    co_await self->remote->close();
    co_await self->network.close();
    co_await self->service.close();
  }

 private:
  SystemRandom random_;

 public:
  std::set<NodeName> probed_by;  // the drive
  DriveService service;
  MemoryNetwork network;
  std::unique_ptr<RemoteDrive> remote;

 private:
  std::unique_ptr<Transport> transport_;
};

}  // namespace ostraka::cluster
