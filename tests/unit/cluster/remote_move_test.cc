// Groups move between drives of other nodes as between those of one.
#include <filesystem>

#include "disk/drive_format.h"
#include "tests/unit/cluster/remote_world.h"
#include "tests/unit/disk/move_suite.h"

namespace ostraka::disk {
namespace {

class RemotePair {
 public:
  RemotePair() {
    for (DriveWorld* world : {&a_, &b_}) {
      EXPECT_TRUE(world->format());
      EXPECT_TRUE(world->start());
    }
    from_.emplace(*a_.drive, a_.clock, a_.shard);
    to_.emplace(*b_.drive, a_.clock, a_.shard);
    for (auto* world : {&*from_, &*to_}) world->remote->start();
  }
  ~RemotePair() {
    for (auto* world : {&*from_, &*to_}) run_to_end(a_.shard, cluster::RemoteWorld::close(world));
  }
  Drive& from() { return *from_->remote; }
  Drive& to() { return *to_->remote; }
  Shard& shard() { return a_.shard; }
  Clock& clock() { return a_.clock; }
  bool lose_file(std::uint8_t data) { return std::filesystem::remove(data_path(a_.folder(), data_id(data))); }

 private:
  DriveWorld a_{true}, b_{true};
  std::optional<cluster::RemoteWorld> from_, to_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Remote, MoveSuite, RemotePair);

}  // namespace
}  // namespace ostraka::disk
