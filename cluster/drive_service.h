// DriveService: serves this node's drives to its peers: the other end of RemoteDrive. Calls "drive.*" of
// cluster/FORMAT.md. What a peer leaves open here (pins of its reads, shard files that it reads or writes) is
// bounded in number, and ends minutes after the peer was last heard of.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cluster/transport.h"
#include "disk/drive.h"
#include "runtime/random.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

struct DriveServiceCore;

struct DriveServiceDeps {
  Clock& clock;
  Random& random;
  Shard& home;  // where leases are looked after
  // A node has probed a drive here. Called on any shard; may be empty.
  std::function<void(const NodeName&)> probed_by = {};
  // What share of the time slots may be moved, so that clients here hardly notice; 0: nothing just now. Told
  // what was moved (work, as OtherPaces says) since it was asked last. Called on any shard; empty: 1.
  std::function<double(std::uint64_t work, bool resting)> move_pace = {};
};

// Thread safe.
class DriveService final : public PeerService {
 public:
  // The drives outlive it.
  DriveService(const DriveServiceDeps& deps, const std::vector<disk::Drive*>& drives);
  DriveService(const DriveService&) = delete;
  DriveService& operator=(const DriveService&) = delete;
  ~DriveService() override;
  void start();
  // Lets go of all that peers left open. No call may be running, nor an answer be on its way, and none may
  // come. Before it goes.
  Task<> close();

  // Answers that carry what the drive said, errors too. Errors of its own: unsupported_version (no such
  // call), wrong_drive (no such drive here), malformed, overloaded.
  Task<Result<PeerAnswer>> serve(Ctx& ctx, const NodeName& from, PeerCall call) override;

  // What peers keep here.
  struct Kept {
    std::size_t pins = 0, readers = 0, writers = 0;
  };
  Kept kept() const;

 private:
  const std::unique_ptr<DriveServiceCore> core_;
};

}  // namespace ostraka::cluster
