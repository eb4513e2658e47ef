// A RemoteDrive does what every drive does.
#include "tests/unit/cluster/remote_world.h"
#include "tests/unit/disk/drive_suite.h"
#include "tests/unit/disk/drive_upkeep_suite.h"
#include "tests/unit/disk/drive_upload_suite.h"

namespace ostraka::disk {
namespace {

class RemoteBackend {
 public:
  RemoteBackend() {
    const auto formatted = local_.format();
    EXPECT_TRUE(formatted) << formatted.error().detail;
    const auto started = local_.start();
    EXPECT_TRUE(started) << started.error().detail;
    world_.emplace(*local_.drive, local_.clock, local_.shard);
    world_->remote->start();
  }
  ~RemoteBackend() { run_to_end(local_.shard, cluster::RemoteWorld::close(&*world_)); }
  Drive& drive() { return *world_->remote; }
  Shard& shard() { return local_.shard; }
  Clock& clock() { return local_.clock; }

 private:
  DriveWorld local_{true};
  std::optional<cluster::RemoteWorld> world_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Remote, DriveSuite, RemoteBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(Remote, DriveUploadSuite, RemoteBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(Remote, DriveUpkeepSuite, RemoteBackend);

}  // namespace
}  // namespace ostraka::disk
