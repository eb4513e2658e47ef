#include "lock_service_suite.h"

#include "cluster/local_lock_service.h"

namespace ostraka::cluster {
namespace {

class InOneProcess {
 public:
  LockWorld& world() { return world_; }
  control::LockService& locks() { return locks_; }
  std::size_t held() const { return locks_.held(); }

 private:
  LockWorld world_{0};
  LocalLockService locks_;
};

template <std::size_t kNodes>
class OnNodes {
 public:
  LockWorld& world() { return world_; }
  control::LockService& locks() { return world_.node(1).locks; }
  // By what the servers believe.
  std::size_t held() {
    if (kNodes == 1) return world_.node(1).locks.held_here();
    return world_.node(kNodes).server.size().held;
  }

 private:
  LockWorld world_{kNodes};
};

using Backends = testing::Types<InOneProcess, OnNodes<1>, OnNodes<2>, OnNodes<3>, OnNodes<4>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Leases, LockServiceSuite, Backends);

}  // namespace
}  // namespace ostraka::cluster
