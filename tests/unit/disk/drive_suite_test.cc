#include "tests/unit/disk/drive_suite.h"
#include "tests/unit/disk/drive_upkeep_suite.h"
#include "tests/unit/disk/drive_upload_suite.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {
namespace {

template <bool kMemoryIndex>
class LocalBackend {
 public:
  LocalBackend() {
    const auto formatted = world_.format();
    EXPECT_TRUE(formatted) << formatted.error().detail;
    const auto started = world_.start();
    EXPECT_TRUE(started) << started.error().detail;
  }
  Drive& drive() { return *world_.drive; }
  Shard& shard() { return world_.shard; }
  Clock& clock() { return world_.clock; }

 private:
  DriveWorld world_{kMemoryIndex};
};

INSTANTIATE_TYPED_TEST_SUITE_P(LocalOnRocks, DriveSuite, LocalBackend<false>);
INSTANTIATE_TYPED_TEST_SUITE_P(LocalOnMemory, DriveSuite, LocalBackend<true>);
INSTANTIATE_TYPED_TEST_SUITE_P(LocalOnRocks, DriveUploadSuite, LocalBackend<false>);
INSTANTIATE_TYPED_TEST_SUITE_P(LocalOnMemory, DriveUploadSuite, LocalBackend<true>);
INSTANTIATE_TYPED_TEST_SUITE_P(LocalOnRocks, DriveUpkeepSuite, LocalBackend<false>);
INSTANTIATE_TYPED_TEST_SUITE_P(LocalOnMemory, DriveUpkeepSuite, LocalBackend<true>);

}  // namespace
}  // namespace ostraka::disk
